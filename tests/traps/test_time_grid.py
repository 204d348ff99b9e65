"""Times that nobody named: peaks, troughs and ends are where they belong, and the areas do not depend on them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid.app.work import Choice, simulate_choice
from pbpk_hybrid.dosing import just_before
from pbpk_hybrid.solvers import TimeGrid

R = ph.Regimen
MINE = ph.Compound.create(
    name="mine",
    molar_mass=300.0,
    log_p=2.0,
    fraction_unbound_plasma=0.1,
    clearance_plasma="10 mL/min/kg",
    absorption_rate=1.0,
)


@pytest.fixture(scope="module")
def people() -> xr.Dataset:
    return ph.sample_population(20, seed=3)


def plasma(ds: xr.Dataset) -> np.ndarray:
    return ds["concentration"].sel(compartment="plasma").values


def peaks(ds: xr.Dataset) -> np.ndarray:
    """(n_subjects, n_doses) largest saved value of each dosing interval."""
    t, c = ds["time"].values, plasma(ds)
    edges = np.r_[np.unique(ds["dose_time"].values), np.inf]
    pairs = itertools.pairwise(edges)
    return np.stack([c[:, (t >= a) & (t < b)].max(axis=1) for a, b in pairs], axis=1)


def simulate(drug, regimen, people, times=None) -> xr.Dataset:
    return ph.simulate(
        drug,
        regimen,
        people,
        times,
        compartments=["plasma"],
        variability=ph.Variability(),
        seed=1,
    )


@pytest.mark.parametrize("drug", ["midazolam", "caffeine", "metoprolol"])
@pytest.mark.parametrize(
    "regimen", ["5 mg oral q24h x3", "5 mg oral q8h x6", "5 mg oral", "5 mg oral q24h x70"]
)
def test_saved_peaks_of_every_dose_are_within_1_percent_of_a_fine_grid(drug, regimen, people):
    ds = simulate(drug, regimen, people)
    t = ds["time"].values
    last = ds["dose_time"].values[-1]
    near = (np.unique(ds["dose_time"].values)[:, None] + np.arange(0, 4, 1 / 60)).ravel()
    fine = simulate(drug, regimen, people, np.union1d(t, near[near < last + 4]))
    found, right = peaks(ds), peaks(fine)
    assert (found >= 0.99 * right).all()
    np.testing.assert_allclose(np.median(found, axis=0), np.median(right, axis=0), rtol=0.01)
    doses = found.shape[1]
    assert t.size < 130 * min(doses, 3) + 40 * doses


def test_three_daily_doses_of_midazolam_have_about_the_same_peak(people):
    """Formerly .021, .022, .033: only the last dose had points at its peak."""
    first, second, third = np.median(peaks(simulate("midazolam", "7.5 mg oral q24h x3", people)), 0)
    assert first < second <= third < 1.1 * first


def test_a_point_before_each_dose_is_the_trough():
    ds = ph.simulate("midazolam", "5 mg iv q24h x3", compartments=["plasma"])
    t, c = ds["time"].values, plasma(ds)[0]
    for dose in (24.0, 48.0):
        i = int(np.flatnonzero(t == dose)[0])
        assert t[i - 1] == just_before(dose) < dose
        assert c[i - 1] == c[(t > dose - 20) & (t < dose)].min()
        assert c[i] > 50 * c[i - 1]  # the point at the dose has seen it


def test_just_before_is_earlier_by_a_hair_and_survives_nine_decimals():
    t = np.array([0.5, 24.0, 5000.0])
    before = just_before(t)
    assert (before < t).all() and (before > t * (1 - 1e-8)).all()
    assert (before.round(9) < t).all()


def test_an_infusion_has_points_at_its_end_and_seconds_after():
    t = ph.simulate("midazolam", "5 mg iv over 90 min q12h x2")["time"].values
    for end in (1.5, 13.5):
        assert end in t
        after = t[t > end][0] - end
        assert after < 60 / 3600
    assert just_before(12.0) in t


@pytest.mark.parametrize("regimen", ["10 mg iv", "10 mg iv over 1 min", "10 mg iv over 30 min"])
def test_area_to_infinity_on_the_default_grid_gives_back_the_clearance(regimen):
    """10 mL/min/kg was put in; formerly 5.05 came out for a bolus (a log trapezoid over the first quarter of an hour)."""
    man = ph.reference_individual("human")
    ds = ph.simulate(MINE, regimen, man, TimeGrid(at_least=400.0))
    auc = float(ds["cumulative_auc"].sel(auc_compartment="plasma")[0, -1])
    reached = float(ds["amount"].sel(compartment="metabolised")[0, -1])
    clearance = reached / auc * 1000 / 60 / float(man["body_weight"][0])
    assert clearance == pytest.approx(10.0, rel=1e-6)


def test_the_default_end_leaves_one_percent_of_the_area_in_the_median_person(people):
    for regimen in ("5 mg iv", "5 mg oral q12h x4"):
        ds = simulate("caffeine", regimen, people)
        end, last = float(ds["time"][-1]), float(ds["dose_time"][-1])
        longer = simulate("caffeine", regimen, people, np.array([last, end, end + 2000.0]))
        gone = longer["cumulative_auc"].values[:, :, 0]
        share = np.median((gone[:, 1] - gone[:, 0]) / (gone[:, 2] - gone[:, 0]))
        assert 0.985 < share < 0.9995  # eight people stand for twenty
        assert "99% of the area under the curve" in ds.attrs["time_grid"]
        assert f"to {end:g} h" in ds.attrs["time_grid"]


def test_a_steady_state_has_its_whole_interval():
    ds = ph.simulate(MINE, R.oral("10 mg", interval=31.7, steady_state=1))
    assert 31.7 in ds["time"].values


def test_a_drug_that_stays_for_ever_ends_after_a_year_and_says_so():
    slow = ph.Compound.create(
        name="slow",
        molar_mass=300.0,
        log_p=2.0,
        fraction_unbound_plasma=0.1,
        clearance_plasma="0.00001 mL/min/kg",
    )
    ds = ph.simulate(slow, "5 mg iv")
    assert float(ds["time"][-1]) == 8760.0
    assert "cut off a year after the last dose" in ds.attrs["time_grid"]


def test_more_changes_than_anyone_looks_at_are_refused_with_what_to_do():
    with pytest.raises(ph.InputError, match=r"times.*5000 changes"):
        ph.simulate("midazolam", R.oral("1 mg", interval=24, additional_doses=10**6))


def test_many_doses_keep_the_number_of_points_bounded():
    from pbpk_hybrid.models.system.examples import yardstick_system
    from pbpk_hybrid.solvers.base import ADD, SolverOptions, StopTable
    from pbpk_hybrid.solvers.select import get_backend
    from pbpk_hybrid.solvers.time_grid import default_times

    n = 2000
    stops = StopTable(
        np.full(n, -1), np.arange(n) * 12.0, np.full(n, ADD), np.zeros(n, int), np.ones(n)
    )
    system = yardstick_system(1)
    t, note = default_times(system, stops, get_backend("embedded"), SolverOptions())
    assert t.size < 8 * n and (np.diff(t) > 0).all() and "few points a dose" in note


def test_a_formulation_that_releases_in_pieces_counts_as_one_dose():
    from pbpk_hybrid.models.small_molecules.absorption import GutAbsorption

    gut = GutAbsorption(formulation="zero_order", release_time=6.0, effective_permeability=5.0)
    ds = ph.simulate("midazolam", "7.5 mg oral", absorption=gut, compartments=["plasma"])
    assert ds.sizes["time"] < 400
    t = ds["time"].values
    fine = ph.simulate(
        "midazolam",
        "7.5 mg oral",
        times=np.union1d(t, np.arange(0, 24, 1 / 60)),
        absorption=gut,
        compartments=["plasma"],
    )
    assert plasma(ds).max() > 0.99 * plasma(fine).max()


def test_people_with_doses_at_times_of_their_own_have_their_peaks(people):
    own = [R.oral("10 mg", 0.4 * i).repeat(11 + i / 7, 2) for i in range(20)]
    ds = simulate("caffeine", R.per_subject(own), people)
    t = ds["time"].values
    fine = simulate("caffeine", R.per_subject(own), people, np.union1d(t, np.arange(0, 36, 1 / 60)))
    assert (plasma(ds).max(axis=1) > 0.99 * plasma(fine).max(axis=1)).all()


def test_python_command_line_app_and_cohort_have_one_grid(tmp_path):
    """The same people and doses: the same times; the app's hours cut the grid and change nothing before."""
    pytest.importorskip("zarr")
    from typer.testing import CliRunner

    from pbpk_hybrid.cli.app import app
    from pbpk_hybrid.results import open_results
    from pbpk_hybrid.scale import simulate_cohort

    dose = "7.5 mg oral q24h x2"
    words = ["simulate", "midazolam", "--dose", dose, "-n", "4", "--seed", "1", "-o", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    command = open_results(tmp_path / "simulation.nc")
    people = ph.sample_population(4, seed=1)
    python = simulate("midazolam", dose, people)
    np.testing.assert_array_equal(command["time"].values, python["time"].values)
    assert command.attrs["time_grid"] == python.attrs["time_grid"]
    page = simulate_choice(Choice("midazolam", dose, subjects=4, seed=1, hours=30.0)).simulation
    t = page["time"].values
    assert t[-1] == 30.0
    np.testing.assert_array_equal(t[t < 29], python["time"].values[python["time"].values < 29])
    store = simulate_cohort("midazolam", dose, people, store=tmp_path / "x.zarr", workers=1)
    plain = ph.simulate("midazolam", dose, people, compartments=["plasma"])
    np.testing.assert_array_equal(store["time"].values, plain["time"].values)
    assert store.attrs["time_grid"] == plain.attrs["time_grid"]
