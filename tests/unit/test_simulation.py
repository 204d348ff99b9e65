"""simulate: the main job, and every kind of input it must refuse before any integration starts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid._core.schemas import validate

DRUG = ph.Compound.create(
    name="test drug",
    molar_mass=300.0,
    log_p=1.0,
    fraction_unbound_plasma=0.2,
    blood_to_plasma_ratio=0.8,
    clint_hepatocyte=8.0,
    fraction_unbound_hepatocyte=1.0,
    absorption_rate=1.0,
)


@pytest.fixture(scope="module")
def people() -> xr.Dataset:
    return ph.sample_population(20, seed=1)


@pytest.fixture(scope="module")
def result(people) -> xr.Dataset:
    return ph.simulate(DRUG, "100 mg oral", people, times=np.arange(0.0, 25.0))


def test_result_follows_the_simulation_schema_and_says_where_it_is_from(result):
    validate(result, "simulation")
    for fact in (
        "pbpk_hybrid_version",
        "backend",
        "method",
        "rtol",
        "compound",
        "model",
        "population_seed",
    ):
        assert fact in result.attrs, fact


def test_body_and_sinks_hold_the_whole_dose_at_every_time(result):
    assert float(np.abs(result["mass_balance_error"]).max()) < 1e-9
    stores = [c for c in result["compartment"].values if c not in ("plasma", "blood")]
    total = result["amount"].sel(compartment=stores).sum("compartment")
    np.testing.assert_allclose(total, 100.0, rtol=1e-9)


def test_plasma_is_venous_blood_over_the_blood_to_plasma_ratio(result, people):
    from pbpk_hybrid.models import blood_to_plasma_ratio

    ratio = blood_to_plasma_ratio(DRUG, "human", hematocrit=people["hematocrit"].values)
    c = result["concentration"]
    np.testing.assert_allclose(
        c.sel(compartment="blood"), c.sel(compartment="plasma") * ratio[:, None], rtol=1e-12
    )


def test_result_survives_netcdf(result, tmp_path):
    path = tmp_path / "r.nc"
    result.to_netcdf(path)
    with xr.open_dataset(path) as back:
        xr.testing.assert_identical(back.load(), result)


def test_same_seed_same_numbers_other_seed_other_numbers(people):
    times = [1.0, 5.0]
    run = lambda seed: (
        ph.simulate(
            DRUG,
            "100 mg oral",
            people,
            times,
            compartments=["plasma"],
            variability=ph.Variability(),
            seed=seed,
        )["concentration"].values
    )
    np.testing.assert_array_equal(run(3), run(3))
    assert not np.array_equal(run(3), run(4))


def test_variability_has_the_stated_spread_and_mean_one():
    factors = ph.Variability(0.4, 0.0, 0.2).draw(
        200_000, 1, ("clint.liver", "absorption_rate", "kp.liver")
    )
    assert set(factors) == {"clint.liver", "absorption_rate"}
    # standard errors at this n are near .001 and .002
    assert factors["clint.liver"].mean() == pytest.approx(1.0, abs=0.005)
    assert factors["clint.liver"].std() == pytest.approx(0.4, abs=0.01)


def test_without_a_population_the_reference_human_is_used():
    r = ph.simulate(DRUG, "10 mg iv", times=[1.0], compartments=["plasma"])
    assert r.sizes["subject"] == 1 and r["species"].item() == "human"


def test_doses_per_kg_use_each_body_weight(people):
    r = ph.simulate(DRUG, "2 mg/kg iv", people, times=[0.0], compartments=["venous_blood"])
    np.testing.assert_allclose(r["amount"].values[:, 0, 0], 2.0 * people["body_weight"], rtol=1e-12)


def test_sensitivity_of_a_concentration_includes_the_volume_it_is_measured_in(people):
    """d(plasma concentration)/d(venous volume) against central differences of the whole model at tight tolerance."""
    from pbpk_hybrid.solvers import SolverOptions

    one = people.isel(subject=[0])
    tight = SolverOptions(rtol=1e-10)
    name = "volume.venous_blood"
    system = ph.whole_body_system(DRUG, one)
    r = ph.simulate_system(
        system, "10 mg iv", [0.5, 4.0], compartments=["plasma"], options=tight, sensitivities=[name]
    )
    size = float(system.parameters[name][0])

    def at(volume):
        moved = one.copy(deep=True)
        moved["volume"].loc[{"organ": "venous_blood"}] = volume
        s = ph.whole_body_system(DRUG, moved)
        return ph.simulate_system(
            s, "10 mg iv", [0.5, 4.0], compartments=["plasma"], options=tight
        )["concentration"].values

    h = 1e-3 * size
    slope = (at(size - 2 * h) - 8 * at(size - h) + 8 * at(size + h) - at(size + 2 * h)) / (12 * h)
    np.testing.assert_allclose(r["concentration_sensitivity"].values[..., 0], slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"times": [1.0, 0.5]}, ph.InputError, r"times\[1\]"),
        ({"times": [1.0, 1.0]}, ph.InputError, "times"),
        ({"times": []}, ph.InputError, "times"),
        ({"times": [np.nan]}, ph.InputError, "times"),
        ({"times": [-1.0]}, ph.InputError, "times"),
        ({"times": ["3 kg"]}, ph.UnitError, "times"),
        ({"compartments": ["lever"]}, ph.UnknownNameError, "liver"),
        ({"compartments": []}, ph.InputError, "compartments"),
        ({"backend": "fortran"}, ph.UnknownNameError, "backend"),
        ({"backend": "julia"}, ph.PBPKError, "julia|Julia"),
        ({"compound": "theophyline"}, ph.UnknownNameError, "(?i)theophylline"),
        ({"regimen": 100.0}, ph.InputError, "regimen"),
        ({"regimen": ph.Regimen.dose(10.0, compartment="elbow")}, ph.UnknownNameError, "elbow"),
        ({"regimen": ph.Regimen.bolus(10.0, time=-1.0)}, ph.InputError, "time"),
        ({"sensitivities": ["clint.lever"]}, ph.UnknownNameError, "clint.liver"),
        ({"partition_method": "rodgers"}, ph.UnknownNameError, "rodgers_rowland"),
        ({"hepatic_model": "stirred"}, ph.UnknownNameError, "well_stirred"),
        ({"kp": {"liver": -1.0}}, ph.InputError, "kp.liver"),
        ({"kp": {"lever": 1.0}}, ph.UnknownNameError, "liver"),
    ],
)
def test_bad_input_is_refused_by_name(people, changes, error, match):
    given = {
        "compound": DRUG,
        "regimen": "100 mg oral",
        "population": people,
        "times": [1.0],
    } | changes
    if given.get("backend") == "julia":
        from pbpk_hybrid.solvers import availability

        if availability("julia").ok:
            pytest.skip("Julia is here, so it is not refused")
    with pytest.raises(error, match=match):
        ph.simulate(**given)


def broken(people, variable, value, subject=3, organ=None):
    out = people.copy(deep=True)
    index = {"subject": subject} | (
        {"organ": list(people["organ"].values).index(organ)} if organ else {}
    )
    out[variable][index] = value
    return out


@pytest.mark.parametrize(
    ("variable", "value", "organ"),
    [
        ("volume", -1.0, "liver"),
        ("volume", np.nan, "liver"),
        ("blood_flow", 1e4, "brain"),
        ("body_weight", 1.0, None),
        ("hematocrit", 1.5, None),
        ("gfr", np.inf, None),
    ],
)
def test_a_broken_person_is_named_before_anything_is_integrated(people, variable, value, organ):
    with pytest.raises(ph.InputError) as caught:
        ph.simulate(DRUG, "1 mg iv", broken(people, variable, value, 3, organ), times=[1.0])
    assert "3" in str(caught.value)


def test_a_dataset_of_another_schema_is_refused(result):
    with pytest.raises(ph.SchemaError, match="volume"):
        ph.simulate(DRUG, "1 mg iv", result, times=[1.0])


def test_oral_dose_without_absorption_rate_is_refused():
    with pytest.raises(ph.InputError, match="absorption_rate"):
        ph.simulate(DRUG.replace(absorption_rate=None), "1 mg oral", times=[1.0])


def test_missing_clearance_is_refused_and_zero_clearance_is_not():
    with pytest.raises(ph.InputError, match="clearance"):
        ph.simulate(
            DRUG.replace(clint_hepatocyte=None, fraction_unbound_hepatocyte=None),
            "1 mg iv",
            times=[1.0],
        )
    r = ph.simulate(
        DRUG.replace(clint_hepatocyte=0.0, gfr_fraction=0.0), "1 mg iv", times=[1.0, 500.0]
    )
    np.testing.assert_allclose(
        r["amount"].sel(compartment=["metabolised", "excreted_renal"]), 0.0, atol=1e-15
    )


def test_options_out_of_range_are_refused():
    from pbpk_hybrid.solvers import SolverOptions

    for bad in (
        {"rtol": 0.0},
        {"rtol": np.nan},
        {"atol": -1.0},
        {"max_steps": 0},
        {"max_step": 0.0},
        {"threads": 0},
    ):
        with pytest.raises(ph.InputError, match=next(iter(bad))):
            SolverOptions(**bad)
    with pytest.raises(ph.UnknownNameError, match="rodas5p"):
        SolverOptions(method="rodas5")


def test_failed_subjects_are_named_in_a_warning_counted_and_nan():
    """Three of four bodies fit; the fourth overflows (a positive eigenvalue)."""
    k = np.array([[-0.1], [-0.1], [300.0], [-0.1]])
    system = ph.System(("body",), [0], [0], k, n_subjects=4, subjects=np.array([10, 11, 12, 13]))
    with pytest.warns(ph.SubjectFailedWarning, match="1 of 4 subjects .*12"):
        r = ph.simulate_system(system, ph.Regimen.dose(1.0, compartment="body"), [0.0, 10.0])
    assert r.attrs["failed_subjects"] == 1
    assert np.isnan(r["amount"].sel(subject=12)).all()
    assert r["amount"].drop_sel(subject=12).notnull().all()
    with pytest.raises(ph.SolveError, match="12"):
        ph.simulate_system(
            system, ph.Regimen.dose(1.0, compartment="body"), [0.0, 10.0], raise_on_failure=True
        )


def test_steady_state_equals_many_doses_in_a_whole_body(people):
    three = people.isel(subject=slice(0, 3))
    times = np.array([0.0, 2.0, 11.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        at_once = ph.simulate(
            DRUG, ph.Regimen.oral(100.0, interval=12.0, steady_state=True), three, times
        )
        many = ph.simulate(DRUG, ph.Regimen.oral(100.0).repeat(12.0, 80), three, times + 79 * 12.0)
    organs = ["plasma", "liver", "adipose", "muscle"]
    a, b = (r["concentration"].sel(compartment=organs).values for r in (at_once, many))
    np.testing.assert_allclose(a, b, rtol=2e-5)  # both at rtol 1e-6 per step, over 80 doses
