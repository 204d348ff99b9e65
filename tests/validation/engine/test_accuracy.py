"""Accuracy of the default tolerances, as |y - reference|/(|reference| + 1e-6 dose), and the order of each method."""

from __future__ import annotations

import numpy as np
import pytest
from engine_tools import EXACT, few, reference, relative_error, states_of
from hypothesis import given
from hypothesis import strategies as st

import pbpk_hybrid as ph
from pbpk_hybrid.compounds import list_compounds
from pbpk_hybrid.models.small_molecules.disposition import acts_on_itself
from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system
from pbpk_hybrid.models.system.examples import random_system, yardstick_system

DAY = np.linspace(0.0, 24.0, 97)
PROMISED = 1e-5  # of the default tolerances, for any model


def run(system, regimen, times=DAY, **options):
    ds = ph.simulate_system(
        system, regimen, times, compartments=system.states, options=ph.SolverOptions(**options)
    )
    assert (ds["status"] == 0).all()
    return states_of(system, ds)


def started(system, dose, into):
    y0 = np.zeros(system.n_states)
    y0[system.targets[into]] = dose
    return y0


@pytest.mark.parametrize("method", ["LSODA", "Radau"])
@pytest.mark.parametrize("route", ["oral", "iv_bolus"])
def test_the_yardstick_is_within_1e5_of_scipy(route, method):
    system = yardstick_system(6, seed=21)
    ours = run(system, getattr(ph.Regimen, "oral" if route == "oral" else "bolus")(100.0))
    for s in range(6) if method == "LSODA" else (0, 5):
        theirs = reference(system, s, started(system, 100.0, route), DAY, method=method)
        assert relative_error(ours[s], theirs, 100.0) < PROMISED


@few(12)
@given(
    st.integers(5, 120),
    st.integers(0, 100_000),
    st.integers(0, 6),
    st.floats(-1, 3),
    st.floats(0, 6),
)
def test_random_circulations_are_within_1e5_of_scipy(
    n_organs, seed, n_reactions, log_dose, duration
):
    system = random_system(n_organs, seed, n_subjects=2, n_reactions=n_reactions)
    dose, times = 10**log_dose, np.linspace(0.0, 24.0, 25)
    if duration < 0.1:
        ours = run(system, ph.Regimen.bolus(dose), times)
        expected = [
            reference(system, s, started(system, dose, "iv_bolus"), times) for s in range(2)
        ]
    else:
        ours = run(system, ph.Regimen.infusion(dose, duration), times)
        expected = [infused(system, s, dose, duration, times) for s in range(2)]
    assert relative_error(ours, np.array(expected), dose) < PROMISED


def infused(system, subject, dose, duration, times):
    rate = np.zeros(system.n_states)
    rate[system.targets["iv_infusion"]] = dose / duration
    during, after = times[times < duration], times[times >= duration]
    atol = 1e-13 * dose
    first = reference(
        system, subject, np.zeros(system.n_states), np.r_[during, duration], rate=rate, atol=atol
    )
    rest = reference(system, subject, first[-1], np.unique(np.r_[duration, after]), atol=atol)
    return np.concatenate([first[: len(during)], rest[len(rest) - len(after) :]])


LINEAR = [
    name
    for name in list_compounds(curated=True)
    if not ph.get_compound(name).saturable and not acts_on_itself(ph.get_compound(name))
]


@pytest.mark.filterwarnings("ignore::pbpk_hybrid._core.errors.OutOfRangeWarning")
@pytest.mark.parametrize("name", LINEAR)
def test_every_curated_drug_is_within_1e6_of_the_exact_solution(name):
    people = ph.sample_population(3, "human", seed=4)
    system = whole_body_system(ph.get_compound(name), people)
    assert system.linear
    regimens = {
        "iv_bolus": ph.Regimen.bolus(100.0),
        "iv_infusion": ph.Regimen.infusion(100.0, 0.5).repeat(8, 3),
    }
    if "oral" in system.targets:
        regimens["oral"] = ph.Regimen.oral(100.0).repeat(12, 2)
    for route, regimen in regimens.items():
        # what is asked of a user's own simulation: concentrations and amounts in every compartment, sinks included
        ours = run(system, regimen, DAY[::4])
        exact = states_of(
            system,
            ph.simulate_system(
                system, regimen, DAY[::4], compartments=system.states, options=EXACT
            ),
        )
        assert relative_error(ours, exact, 100.0) < 1e-6, route


def test_a_saturable_whole_body_is_within_1e5_of_scipy():
    pathways = [
        {"name": "CYP", "vmax": 2.0, "km": 0.05},
        {"name": "renal", "organ": "kidney", "vmax": 0.5, "km": 1.0},
    ]
    compound = ph.Compound.create(
        name="saturable",
        molar_mass=300.0,
        log_p=1.5,
        pka_base=(6.0,),
        fraction_unbound_plasma=0.1,
        blood_to_plasma_ratio=0.8,
        clint_hepatocyte=3.0,
        absorption_rate=1.2,
        saturable=pathways,
    )
    people = ph.sample_population(3, "human", seed=4)
    system = whole_body_system(compound, people)
    assert len(system.reactions) == 2
    for route, regimen in (("oral", ph.Regimen.oral(500.0)), ("iv_bolus", ph.Regimen.bolus(500.0))):
        ours = run(system, regimen)
        for s in range(3):
            assert (
                relative_error(
                    ours[s], reference(system, s, started(system, 500.0, route), DAY), 500.0
                )
                < PROMISED
            )


def smooth_system() -> ph.System:
    """Two compartments, saturable and bilinear loss, rates near 1/h: smooth enough to see the order of the steps."""
    law = ph.Reaction(
        "saturable", "michaelis_menten", (0, 1), {0: -1.0, 2: 1.0}, np.array([[3.0, 2.0, 4.0]])
    )
    pair = ph.Reaction(
        "pair", "mass_action", (0, 1), {0: -1.0, 1: -1.0, 2: 2.0}, np.array([[0.05]])
    )
    return ph.System(
        ("a", "b", "out"), [0, 1, 0, 1], [0, 0, 1, 1], [[-0.7, 0.7, 0.4, -0.4]], (law, pair)
    )


@pytest.mark.parametrize(("method", "order"), [("rodas4", 4), ("rodas4p", 4), ("rodas5p", 5)])
def test_each_method_converges_with_its_order(method, order):
    system, times = smooth_system(), np.array([0.0, 4.0])
    exact = run(system, ph.Regimen.dose(10.0, compartment="a"), times, rtol=1e-13)[0, -1]
    # an absolute tolerance above all amounts accepts every step: the steps are max_step, but for the first ones
    steps = np.array([0.5, 0.25, 0.125, 0.0625])
    dose, errors = ph.Regimen.dose(10.0, compartment="a"), []
    for h in steps:
        end = run(system, dose, times, method=method, rtol=1e-3, atol=1e6, max_step=h)[0, -1]
        errors.append(np.abs(end - exact).max())
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert order - 0.35 < slope < order + 1.0


@pytest.mark.parametrize("method", ["rodas4", "rodas4p", "rodas5p"])
def test_a_tenth_of_the_tolerance_gives_about_a_tenth_of_the_error(method):
    system = yardstick_system(4, seed=2)
    exact = run(system, ph.Regimen.oral(100.0), rtol=1e-12)
    tolerances = 10.0 ** -np.arange(4, 10)
    errors = [
        relative_error(run(system, ph.Regimen.oral(100.0), rtol=r, method=method), exact, 100.0)
        for r in tolerances
    ]
    # error per step is controlled by the embedded solution, one order lower: the slope is between .8 and 1.3
    slope = np.polyfit(np.log10(tolerances), np.log10(errors), 1)[0]
    assert 0.75 < slope < 1.4
    assert (np.diff(errors) < 0).all()


@pytest.mark.parametrize("method", ["rodas4", "rodas4p", "rodas5p"])
def test_between_steps_the_answer_is_as_good_as_at_their_ends(method):
    system, fine = yardstick_system(4, seed=2), np.linspace(0.0, 24.0, 2881)
    options = ph.SolverOptions(method=method)
    ds = ph.simulate_system(
        system, ph.Regimen.oral(100.0), fine, compartments=system.states, options=options
    )
    assert 5 * int(ds["steps"].max()) < len(fine)  # most saved times lie inside a step
    exact = run(system, ph.Regimen.oral(100.0), fine, rtol=1e-11)
    assert relative_error(states_of(system, ds), exact, 100.0) < PROMISED


def test_the_error_scale_follows_the_dose_down_to_nanograms():
    system = yardstick_system(2, seed=5)
    for dose in (1e-6, 1e-3, 1e3):
        ours = run(system, ph.Regimen.oral(dose))
        assert (
            relative_error(ours[0], reference(system, 0, started(system, dose, "oral"), DAY), dose)
            < PROMISED
        )


@pytest.mark.parametrize("duration", [1e-7, 1e-4, 0.01, 1.0, 24.0])
def test_the_error_scale_is_what_an_infusion_gives_not_how_fast(duration):
    # 100 mg in 0.4 ms is a rate of 1e9 mg/h, and still 100 mg
    system, plan = yardstick_system(2, seed=5), ph.Regimen.infusion(100.0, duration)
    assert (
        relative_error(run(system, plan), run(system, plan, rtol=1e-11, atol=1e-13), 100.0)
        < PROMISED
    )


def test_infusions_of_each_subjects_own_scale_its_own_tolerance():
    system, dose = yardstick_system(8, seed=5), 10.0 ** np.arange(-4, 4)
    plan = ph.Regimen.per_subject(
        [ph.Regimen.infusion(float(d), 0.5 * (i + 1)) for i, d in enumerate(dose)]
    )
    assert (
        relative_error(run(system, plan), run(system, plan, rtol=1e-11, atol=1e-18), dose)
        < PROMISED
    )
