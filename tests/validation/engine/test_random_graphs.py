"""What every model must obey, on random circulations with random regimens (property tests)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from engine_tools import EXACT, TIGHT, few, relative_error, states_of, with_area
from hypothesis import assume, given
from hypothesis import strategies as st

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.examples import random_system

FEW = few(15)
TIMES = np.linspace(0.0, 30.0, 61)


@dataclass(frozen=True)
class Dose:
    """One dose record; `duration` 0 is a bolus, `amount` 0 with `reset` a reset without a dose (EVID 3)."""

    time: float
    amount: float
    duration: float
    lag: float
    organ: int
    reset: bool

    def regimen(self, system: ph.System) -> ph.Regimen:
        if self.amount == 0:
            return ph.Regimen.reset(self.time)
        organs = [s for s in system.states if s not in ("bound", "sink")]
        return ph.Regimen.dose(
            self.amount,
            self.time,
            compartment=organs[self.organ % len(organs)],
            lag=self.lag,
            reset=self.reset,
            **({"duration": self.duration} if self.duration else {}),
        )


def records(resets: bool = True):
    build = lambda amount: st.builds(
        Dose,
        st.integers(0, 20).map(float),
        amount,
        st.sampled_from([0.0, 0.25, 2.0, 13.7]),
        st.sampled_from([0.0, 0.4, 3.0]),
        st.integers(0, 100),
        st.booleans() if resets else st.just(False),
    )
    dose = build(st.floats(0.1, 1000))
    # one record per time: what happens at equal times is tested with the regimens
    options = st.one_of(dose, build(st.just(0.0))) if resets else dose
    several = st.lists(options, min_size=1, max_size=5, unique_by=lambda d: d.time)
    return several.map(lambda doses: sorted(doses, key=lambda d: d.time))


def regimen(system, doses) -> ph.Regimen:
    total = ph.Regimen.empty()
    for dose in doses:
        total = total + dose.regimen(system)
    return total


def given_by(doses, times) -> np.ndarray:
    """(n_times,) what has entered since the last reset; a reset also cancels what earlier records still had to give."""
    total = np.zeros(len(times))
    for d in doses:
        if d.reset or d.amount == 0:
            total[times >= d.time] = 0.0
        end = min(
            (x.time for x in doses if x.time > d.time and (x.reset or x.amount == 0)),
            default=np.inf,
        )
        since = times - d.time - d.lag
        share = np.clip(since / d.duration, 0, 1) if d.duration else (since >= 0).astype(float)
        total += np.where((times < end), share * d.amount, 0.0)
    return total


def systems(most_reactions=4):
    return st.builds(
        random_system,
        st.integers(3, 40),
        st.integers(0, 10_000),
        n_subjects=st.integers(1, 9),
        n_reactions=st.integers(0, most_reactions),
    )


linear = systems(0)


def run(system, doses, times=TIMES, **options):
    plan = doses if isinstance(doses, ph.Regimen) else regimen(system, doses)
    ds = ph.simulate_system(
        system, plan, times, compartments=system.states, options=ph.SolverOptions(**options)
    )
    assert (ds["status"] == 0).all()
    return ds


@FEW
@given(systems(), records())
def test_body_and_sinks_hold_what_was_given_at_every_time_through_infusions_resets_and_lags(
    system, doses
):
    ds = run(system, doses)
    expected = given_by(doses, TIMES)
    size = max(d.amount for d in doses) or 1.0
    # a lagged dose may enter within round-off of an output time: those outputs may see it or not
    jumps = np.array([d.time + d.lag for d in doses if d.lag and not d.duration])
    clear = (
        np.ones(len(TIMES), bool)
        if not len(jumps)
        else np.abs(TIMES[:, None] - jumps).min(axis=1) > 1e-9
    )
    total = states_of(system, ds).sum(axis=2)
    expected = np.broadcast_to(expected, total.shape)
    np.testing.assert_allclose(total[:, clear], expected[:, clear], rtol=1e-9, atol=1e-9 * size)
    assert np.abs(ds["mass_balance_error"]).max() < 1e-9


@FEW
@given(systems(), records())
def test_amounts_are_positive_to_the_tolerance(system, doses):
    ds = run(system, doses)
    # the absolute tolerance is 1e-11 of the largest dose per step; a thousandth of rtol is room for a hundred steps of it
    assert float(ds["amount"].min()) >= -1e-9 * max(d.amount for d in doses)


@FEW
@given(systems())
def test_nothing_given_gives_exactly_nothing(system):
    ds = run(system, ph.Regimen.empty())
    assert (ds["amount"] == 0.0).all()
    nought = ph.Regimen.bolus(0.0) + ph.Regimen.reset(3.0) + ph.Regimen.other(5.0)
    assert (run(system, nought)["amount"] == 0.0).all()


@FEW
@given(linear, records(), st.floats(1e-6, 1e6))
def test_linear_models_are_proportional_to_the_dose(system, doses, factor):
    more = [Dose(d.time, d.amount * factor, d.duration, d.lag, d.organ, d.reset) for d in doses]
    size = max(d.amount for d in doses) * factor or 1.0
    a, b = (states_of(system, run(system, d)) for d in (doses, more))
    # the tolerances scale with the dose, so that the steps are the same
    np.testing.assert_allclose(b, factor * a, rtol=1e-9, atol=1e-15 * size)


@FEW
@given(linear, records(resets=False), records(resets=False))
def test_doses_superpose_in_linear_models(system, some, others):
    alone = [states_of(system, run(system, d, rtol=1e-10)) for d in (some, others)]
    together = states_of(
        system, run(system, regimen(system, some) + regimen(system, others), rtol=1e-10)
    )
    size = max(d.amount for d in (*some, *others))
    jumps = np.array([d.time + d.lag for d in (*some, *others)])
    clear = np.abs(TIMES[:, None] - jumps).min(axis=1) > 1e-9
    assert relative_error(together[:, clear], (alone[0] + alone[1])[:, clear], size) < 1e-7


@FEW
@given(systems(), records(), st.floats(0.01, 1000))
def test_a_later_start_shifts_the_curves_and_nothing_else(system, doses, by):
    times = TIMES[doses[0].time <= TIMES]
    now = states_of(system, run(system, doses, times))
    later = states_of(system, run(system, regimen(system, doses).shift(by), times + by))
    size = max(d.amount for d in doses) or 1.0
    jumps = np.array([d.time + d.lag + e for d in doses for e in (0.0, d.duration)])
    clear = np.abs(times[:, None] - jumps).min(axis=1) > 1e-9
    # times of 1000 h have a round-off of 1e-13 h; the fastest rates are some thousands per hour
    assert relative_error(later[:, clear], now[:, clear], size) < 1e-7


@FEW
@given(systems(), records(), st.lists(st.integers(1, 60), max_size=10, unique=True))
def test_saved_times_do_not_change_the_answer_at_all(system, doses, also):
    # the same last time, because the last step ends there
    some = sorted({*also, 60})
    # integrated: what is solved exactly goes from saved time to saved time, and rounds there
    stepped = {"method": "rodas5p"}
    few = states_of(system, run(system, doses, TIMES[some], **stepped))
    all_of_them = states_of(system, run(system, doses, **stepped))
    np.testing.assert_array_equal(few, all_of_them[:, some])


@FEW
@given(systems(), records())
def test_other_subjects_change_the_answer_by_less_than_the_tolerance_allows(system, doses):
    together = states_of(system, run(system, doses))
    size = max(d.amount for d in doses) or 1.0
    for s in range(system.n_subjects):
        alone = states_of(system, run(system.take([s]), doses))
        assert relative_error(together[s], alone[0], size) < 1e-4


@FEW
@given(systems(), records())
def test_a_thousandth_of_the_tolerance_changes_the_answer_by_less_than_1e4(system, doses):
    size = max(d.amount for d in doses) or 1.0
    loose, tight = (states_of(system, run(system, doses, rtol=r)) for r in (1e-6, 1e-10))
    assert relative_error(loose, tight, size) < 1e-4


@FEW
@given(systems(), records())
def test_the_three_methods_agree(system, doses):
    size = max(d.amount for d in doses) or 1.0
    answers = [
        states_of(system, run(system, doses, method=m, rtol=1e-9))
        for m in ("rodas5p", "rodas4", "rodas4p")
    ]
    assert relative_error(answers[1], answers[0], size) < 1e-6
    assert relative_error(answers[2], answers[0], size) < 1e-6


@FEW
@given(linear, records())
def test_linear_models_agree_with_the_matrix_exponential(system, doses):
    size = max(d.amount for d in doses) or 1.0
    exact = ph.simulate_system(
        system, regimen(system, doses), TIMES, compartments=system.states, options=EXACT
    )
    assert np.abs(exact["mass_balance_error"]).max() < 1e-9
    default, tight = (states_of(system, run(system, doses, rtol=r)) for r in (1e-6, 1e-10))
    assert relative_error(default, states_of(system, exact), size) < 1e-5
    assert relative_error(tight, states_of(system, exact), size) < 1e-8


def test_threads_do_not_change_the_answer_at_all():
    system = random_system(12, seed=3, n_subjects=400)
    plan = ph.Regimen.bolus(100.0).repeat(8, 3) + ph.Regimen.infusion(50.0, 5.0, 2.0)
    one, two = (run(system, plan, threads=k) for k in (1, 2))
    np.testing.assert_array_equal(one["amount"], two["amount"])
    np.testing.assert_array_equal(one["mass_balance_error"], two["mass_balance_error"])


@FEW
@given(st.integers(3, 20), st.integers(0, 1000), st.floats(1.5, 20))
def test_saturation_makes_the_area_grow_faster_than_the_dose(n_organs, seed, factor):
    system = random_system(n_organs, seed, n_subjects=2, n_reactions=1)
    assume(not system.linear)
    system = with_area(system, "venous_blood")
    areas = []
    for dose in (50.0, 50.0 * factor):
        ds = ph.simulate_system(system, ph.Regimen.bolus(dose), [2000.0], options=TIGHT)
        areas.append(ds["amount"].sel(compartment="area").values.ravel())
    assert (areas[1] > factor * areas[0] * (1 + 1e-6)).all()


@pytest.mark.parametrize("dose", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_a_saturable_pathway_is_linear_far_below_km_and_constant_far_above(dose):
    # one compartment, Vmax 2 mg/h, Km 5 mg: exact implicit solution y + Km ln y = y0 + Km ln y0 - Vmax t
    law = ph.Reaction("only", "michaelis_menten", (0,), {0: -1.0, 1: 1.0}, np.array([[2.0, 5.0]]))
    system = ph.System(("body", "out"), [0], [0], [[0.0]], (law,))
    times = np.linspace(0.0, 3.0, 13)
    y = (
        run(system, ph.Regimen.dose(dose, compartment="body"), times, rtol=1e-10)["amount"]
        .sel(compartment="body")
        .values[0]
    )
    np.testing.assert_allclose(
        y - dose + 5.0 * np.log(y / dose), -2.0 * times, rtol=1e-8, atol=1e-9 * (dose + 1e-3)
    )
