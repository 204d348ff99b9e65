"""Physical laws and closed forms of the whole-body model, for random compounds in sampled people and animals."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from engine_tools import TIGHT, few, relative_error, slowest_rate, states_of, with_area
from hypothesis import assume, given
from hypothesis import strategies as st

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.whole_body import SINKS, whole_body_system
from pbpk_hybrid.physiology.organs import PORTAL_ORGANS, SPECIES

FEW = few(12)


@lru_cache(maxsize=32)
def people(species: str, n: int = 3):
    return ph.sample_population(n, species, seed=7)


@st.composite
def compounds(draw, saturable=False):
    acid = draw(st.lists(st.floats(2, 11), max_size=1))
    base = [] if acid else draw(st.lists(st.floats(2, 10), max_size=1))
    fields = {
        "name": "random",
        "partition_method": "measured",
        "molar_mass": 300.0,
        "log_p": draw(st.floats(-1, 4.5)),
        "pka_acid": tuple(acid),
        "pka_base": tuple(base),
        "fraction_unbound_plasma": draw(st.floats(0.005, 1)),
        "blood_to_plasma_ratio": draw(st.floats(0.56, 2)),
        "clint_hepatocyte": 10 ** draw(st.floats(-0.5, 2.5)),
        "fraction_unbound_hepatocyte": draw(st.floats(0.2, 1)),
        "gfr_fraction": draw(st.floats(0.05, 1)),
        "absorption_rate": draw(st.floats(0.1, 3)),
        "fraction_absorbed": draw(st.floats(0.1, 1)),
        "fraction_gut": draw(st.floats(0.1, 1)),
        # given, so that every random compound has them; what is predicted is tested with the partition equations
        "kp": {
            o: 10 ** draw(st.floats(-1, 1))
            for o in people("human")["organ"].values
            if "blood" not in o
        },
    }
    n = draw(st.integers(0, 4))
    if n:
        fields |= {"transit_compartments": n, "transit_rate": draw(st.floats(0.5, 10))}
    if saturable:
        fields["saturable"] = (
            ph.SaturablePathway.create(
                name="enzyme", vmax=10 ** draw(st.floats(-1, 1)), km=10 ** draw(st.floats(-2, 0))
            ),
        )
        fields["clearance_basis"] = "in_vitro"
    return ph.Compound.create(**fields)


def model(compound, species) -> ph.System:
    return whole_body_system(compound, people(species))


def value(system, name):
    return np.broadcast_to(system.parameters[name], (system.n_subjects,))


def clearances(system):
    """(hepatic, renal) blood clearance, liver blood flow and unbound intrinsic blood clearance [L/h]."""
    flow = sum(value(system, f"flow.{o}") for o in (*PORTAL_ORGANS, "liver"))
    ratio = value(system, "blood_to_plasma_ratio")
    intrinsic = value(system, "fraction_unbound_plasma") / ratio * value(system, "clint.liver")
    return (
        flow * intrinsic / (flow + intrinsic),
        value(system, "clearance_renal") / ratio,
        flow,
        intrinsic,
    )


def long_run(system, regimen, *, expm=False):
    """Amounts at the time at which e^-40 of the slowest mode is left, as {state: (n_subjects,)}, and that time."""
    slowest = min(slowest_rate(system, s) for s in range(system.n_subjects))
    end = 40.0 / slowest
    options = ph.SolverOptions(method="expm") if expm else TIGHT
    ds = ph.simulate_system(system, regimen, [end], options=options, compartments=system.states)
    assert (ds["status"] == 0).all()
    return {s: ds["amount"].sel(compartment=s).values[:, 0] for s in system.states}, end


SPECIES_ = st.sampled_from(SPECIES)


@FEW
@given(compounds(), SPECIES_)
def test_area_after_an_intravenous_dose_is_dose_over_clearance(compound, species):
    system = model(compound, species)
    hepatic, renal, *_ = clearances(system)
    end, _ = long_run(
        with_area(system, "blood"), ph.Regimen.bolus(3.0) + ph.Regimen.infusion(7.0, 2.0, 1.0)
    )
    np.testing.assert_allclose(end["area"], 10.0 / (hepatic + renal), rtol=1e-8)
    np.testing.assert_allclose(end["metabolised"], 10.0 * hepatic / (hepatic + renal), rtol=1e-8)
    np.testing.assert_allclose(end["excreted_renal"], 10.0 * renal / (hepatic + renal), rtol=1e-8)


@FEW
@given(compounds(), SPECIES_)
def test_area_after_an_oral_dose_is_what_gut_and_liver_let_through(compound, species):
    system = model(compound, species)
    hepatic, renal, flow, intrinsic = clearances(system)
    absorbed, gut = value(system, "fraction_absorbed"), value(system, "fraction_gut")
    end, _ = long_run(with_area(system, "plasma"), ph.Regimen.oral(5.0, lag=0.7))
    expected = (
        5.0
        * absorbed
        * gut
        * flow
        / (flow + intrinsic)
        / (hepatic + renal)
        / value(system, "blood_to_plasma_ratio")
    )
    np.testing.assert_allclose(end["area"], expected, rtol=1e-8)
    np.testing.assert_allclose(end["faeces"], 5.0 * (1 - absorbed), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        end["metabolised_gut"], 5.0 * absorbed * (1 - gut), rtol=1e-8, atol=1e-10
    )


def volume_at_steady_state(system):
    """Amount in the body per blood concentration while an infusion runs for ever [L]."""
    ratio = value(system, "blood_to_plasma_ratio")
    _, renal, flow, intrinsic = clearances(system)
    total = value(system, "volume.arterial_blood") + value(system, "volume.venous_blood")
    for name in system.parameters:
        if name.startswith("kp."):
            organ = name[3:]
            left = 1.0
            if organ == "liver":  # its blood leaves with 1 - E of what came
                left = flow / (flow + intrinsic)
            elif organ == "kidney":  # filtration takes its part on the way in
                left = 1.0 - renal / value(system, "flow.kidney")
            total = total + value(system, f"volume.{organ}") * value(system, name) / ratio * left
    return total


@FEW
@given(compounds(), SPECIES_)
def test_a_constant_infusion_ends_at_rate_over_clearance_and_at_the_volume_of_steady_state(
    compound, species
):
    system = model(compound, species)
    hepatic, renal, *_ = clearances(system)
    concentration = 2.0 / (hepatic + renal)
    body = [s for s in system.states if s not in SINKS]
    end = 60.0 / min(slowest_rate(system, s) for s in range(system.n_subjects))
    runs = {
        "long": ph.simulate_system(
            system, ph.Regimen.infusion(2.0 * 2 * end, 2 * end), [end], options=TIGHT
        ),
        "steady": ph.simulate_system(
            system, ph.Regimen.constant_infusion_steady_state(2.0), [0.0], options=TIGHT
        ),
    }
    for name, ds in runs.items():
        blood = ds["concentration"].sel(compartment="blood").values[:, 0]
        np.testing.assert_allclose(blood, concentration, rtol=1e-8, err_msg=name)
        np.testing.assert_allclose(
            ds["concentration"].sel(compartment="arterial_blood").values[:, 0],
            concentration,
            rtol=1e-8,
            err_msg=name,
        )
        held = ds["amount"].sel(compartment=body).sum("compartment").values[:, 0]
        np.testing.assert_allclose(
            held, volume_at_steady_state(system) * concentration, rtol=1e-8, err_msg=name
        )


@FEW
@given(compounds(), SPECIES_)
def test_mean_residence_time_in_the_body_is_steady_state_volume_over_clearance(compound, species):
    # every molecule's time in the body, on average: the integral of what is not yet eliminated, over the dose
    system = model(compound, species)
    hepatic, renal, *_ = clearances(system)
    expected = volume_at_steady_state(system) / (hepatic + renal)
    n, m, end = (
        system.n_states,
        system.n_subjects,
        40.0 / min(slowest_rate(system, s) for s in range(system.n_subjects)),
    )
    body = [i for i, s in enumerate(system.states) if s not in SINKS]
    wide = ph.System(
        (*system.states, "time_in_body"),
        [*system.k_row, *[n] * len(body)],
        [*system.k_col, *body],
        np.column_stack(
            [np.broadcast_to(system.k_value, (m, len(system.k_row))), np.ones((m, len(body)))]
        ),
        targets={"iv_bolus": system.targets["iv_bolus"]},
        n_subjects=m,
    )
    ds = ph.simulate_system(wide, ph.Regimen.bolus(4.0), [end], options=TIGHT)
    np.testing.assert_allclose(
        ds["amount"].sel(compartment="time_in_body").values[:, 0] / 4.0, expected, rtol=1e-8
    )


@FEW
@given(st.integers(1, 6), st.integers(0, 1000))
def test_aumc_over_auc_is_steady_state_volume_over_clearance_where_plasma_eliminates(
    n_peripheral, seed
):
    rng = np.random.default_rng(seed)
    volume, clearance = 10 ** rng.uniform(0, 2, n_peripheral + 1), 10 ** rng.uniform(-1, 1)
    k = {(0, 0): -clearance / volume[0], (n_peripheral + 1, 0): clearance / volume[0]}
    for i in range(1, n_peripheral + 1):
        flow = 10 ** rng.uniform(-1, 1.5)
        k[i, 0], k[0, i] = flow / volume[0], flow / volume[i]
        k[i, i] = -flow / volume[i]
        k[0, 0] -= flow / volume[0]
    states = ("plasma", *(f"tissue_{i}" for i in range(n_peripheral)), "out")
    system = ph.System(
        states,
        [i for i, _ in k],
        [j for _, j in k],
        [list(k.values())],
        observables={"plasma": ph.Observable((0,), np.array([1 / volume[0]]))},
        targets={"iv_bolus": 0},
    )
    end, time = long_run(with_area(system, "plasma"), ph.Regimen.bolus(50.0))
    area, moment = end["area"], time * end["area"] - end["area_twice"]
    np.testing.assert_allclose(area, 50.0 / clearance, rtol=1e-8)
    # T area and its integral cancel to the moment: T is 40 times the slowest time
    np.testing.assert_allclose(moment / area, volume.sum() / clearance, rtol=1e-7)


ROUTES = {
    "oral": ph.Regimen.oral(20.0).repeat(8, 3)
    + ph.Regimen.reset(21.5)
    + ph.Regimen.oral(5.0, 22.0, lag=0.3),
    "infusion": ph.Regimen.infusion(20.0, 11.0).repeat(8, 3) + ph.Regimen.bolus(3.0, 4.0),
}


@FEW
@given(compounds(saturable=True), SPECIES_, st.sampled_from(sorted(ROUTES)))
def test_mass_is_kept_and_nothing_is_negative_with_saturable_metabolism(compound, species, route):
    system = model(compound, species)
    ds = ph.simulate_system(system, ROUTES[route], np.linspace(0, 40, 81))
    assert (ds["status"] == 0).all()
    assert float(np.abs(ds["mass_balance_error"]).max()) < 1e-9
    assert float(ds["amount"].min()) > -1e-9 * 20.0
    if route == "infusion":
        total = states_of(system, ds).sum(axis=2)[:, -1]
        np.testing.assert_allclose(total, 63.0, rtol=1e-9)


@FEW
@given(compounds(saturable=True), SPECIES_)
def test_area_grows_faster_than_the_dose_with_saturable_metabolism(compound, species):
    # the last of a saturating dose may take very long: compare over 1000 h, in which the smaller one has gone
    system = with_area(model(compound, species), "plasma")
    weight = people(species)["body_weight"].values

    def after(dose):
        ds = ph.simulate_system(
            system, ph.Regimen.bolus(dose), [1000.0], options=TIGHT, body_weight=weight
        )
        return ds["amount"].sel(compartment=["area", "venous_blood"]).values[:, 0]

    small, large = after("0.1 mg/kg"), after("1 mg/kg")
    assume((small[:, 1] < 1e-6).all())
    assert (large[:, 0] > 10 * small[:, 0]).all()


@FEW
@given(compounds(saturable=True), SPECIES_)
def test_tolerances_and_methods_agree(compound, species):
    system = model(compound, species)
    times = np.linspace(0, 24, 25)
    plan = ph.Regimen.oral(10.0) + ph.Regimen.infusion(10.0, 3.0, 6.0)

    def amounts(**options):
        return states_of(
            system, ph.simulate_system(system, plan, times, options=ph.SolverOptions(**options))
        )

    tight = amounts(rtol=1e-10)
    assert relative_error(amounts(), tight, 10.0) < 1e-5
    for method in ("rodas4", "rodas4p"):
        assert relative_error(amounts(method=method, rtol=1e-9), tight, 10.0) < 1e-6


@pytest.mark.parametrize("species", SPECIES)
def test_a_subject_alone_and_in_a_population_has_the_same_curve(species):
    # in a population, steps are shared by packs of eight: the answer changes within the tolerance
    population = people(species, 20)
    plan, times = ph.Regimen.oral("1 mg/kg").repeat(12, 3), np.linspace(0, 48, 49)
    together = ph.simulate("midazolam", plan, population, times)
    dose = together["dose"].values
    for s in (0, 7, 19):
        alone = ph.simulate("midazolam", plan, population.isel(subject=[s]), times)
        assert (
            relative_error(together["amount"].values[s], alone["amount"].values[0], dose[s]) < 1e-5
        )
