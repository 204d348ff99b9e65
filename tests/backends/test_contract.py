"""One suite over every backend: same numbers, same errors, same attributes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pbpk_hybrid as ph
from pbpk_hybrid.models.examples import random_system, yardstick_system
from pbpk_hybrid.solvers.base import ADD, KEEP, RATE, Problem, SolverOptions, Status, StopTable

TIMES = np.linspace(0.0, 24.0, 97)


def stop_table(*rows) -> StopTable:
    """StopTable from (subject, time, kind, state, value) rows."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    subject, time, kind, state, value = (np.array(c) for c in columns)
    return StopTable(
        subject.astype(int),
        time.astype(float),
        kind.astype(int),
        state.astype(int),
        value.astype(float),
    )


def one_compartment(n_subjects: int = 1, rate: float = 0.1) -> ph.System:
    k = np.full((n_subjects, 2), rate) * [-1.0, 1.0]
    return ph.System(
        ("body", "out"),
        [0, 1],
        [0, 0],
        k,
        observables={"plasma": ph.Observable((0,), np.array([0.1]))},
        n_subjects=n_subjects,
    )


def reference(system: ph.System, subject: int, y0: np.ndarray, times: np.ndarray) -> np.ndarray:
    """LSODA at rtol 1e-11 with the System's own numpy right-hand side."""
    k = system.matrix(subject)

    def rhs(_t, y):
        out = k @ y
        for r in system.reactions:
            v = r.rate(y, r.parameters[subject if len(r.parameters) > 1 else 0])
            for state, gain in r.stoichiometry.items():
                out[state] += gain * v
        return out

    span = (times[0], times[-1])
    return solve_ivp(rhs, span, y0, "LSODA", times, rtol=1e-11, atol=1e-14 * y0.max()).y.T


def relative_error(amount: np.ndarray, expected: np.ndarray, dose: float) -> float:
    """Largest relative error; amounts under a millionth of the dose count as that much."""
    return float(np.max(np.abs(amount - expected) / (np.abs(expected) + 1e-6 * dose)))


def test_yardstick_agrees_with_lsoda_to_1e5_at_default_tolerances(backend):
    system = yardstick_system(11, seed=3)  # one full pack and one of three subjects
    problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 100.0)), TIMES, system.states)
    result = backend.solve(problem, SolverOptions())
    assert (result.status == Status.SUCCESS).all()
    y0 = np.zeros(system.n_states)
    y0[0] = 100.0
    for s in (0, 5, 10):
        assert relative_error(result.amount[s], reference(system, s, y0, TIMES), 100.0) < 1e-5


@pytest.mark.parametrize("seed", range(8))
def test_random_circulations_agree_with_lsoda_to_1e5_at_default_tolerances(backend, seed):
    rng = np.random.default_rng(seed)
    system = random_system(
        int(rng.integers(5, 121)), seed, n_subjects=2, n_reactions=int(rng.integers(0, 6))
    )
    dose, into = 10 ** rng.uniform(-1, 3), system.targets["iv_bolus"]
    times = np.linspace(0.0, 24.0, 25)
    problem = Problem(system, stop_table((-1, 0.0, ADD, into, dose)), times, system.states)
    result = backend.solve(problem, SolverOptions())
    y0 = np.zeros(system.n_states)
    y0[into] = dose
    for s in range(2):
        assert relative_error(result.amount[s], reference(system, s, y0, times), dose) < 1e-5
    assert np.abs(result.balance / result.given).max() < 1e-9  # issue's bound; measured near 1e-14


def test_linear_models_agree_with_the_matrix_exponential_to_1e6(backend):
    system = random_system(20, seed=5, n_subjects=9, n_reactions=0)
    into = system.targets["iv_infusion"]
    stops = stop_table(
        (-1, 0.0, RATE, into, 50.0), (-1, 2.0, RATE, into, -50.0), (-1, 5.0, ADD, into, 30.0)
    )
    problem = Problem(system, stops, TIMES, system.states)
    exact = backend.solve(problem, SolverOptions(method="expm"))
    result = backend.solve(problem, SolverOptions())
    assert (
        relative_error(result.amount, exact.amount, 50.0) < 1e-6
    )  # the largest dose here is 50 mg
    np.testing.assert_allclose(result.given, exact.given, rtol=1e-12)


def test_answer_at_tight_tolerance_is_within_1e8_of_the_matrix_exponential(backend):
    system = random_system(12, seed=8, n_subjects=3, n_reactions=0)
    problem = Problem(
        system, stop_table((-1, 0.0, ADD, system.targets["iv_bolus"], 10.0)), TIMES, system.states
    )
    exact = backend.solve(problem, SolverOptions(method="expm"))
    result = backend.solve(problem, SolverOptions(rtol=1e-10))
    assert relative_error(result.amount, exact.amount, 10.0) < 1e-8


def test_observation_at_the_time_of_a_dose_sees_the_dose(backend):
    stops = stop_table((-1, 0.0, ADD, 0, 100.0), (-1, 10.0, ADD, 0, 50.0))
    problem = Problem(one_compartment(), stops, np.array([0.0, 10.0]), ("body",))
    amount = backend.solve(problem, SolverOptions(rtol=1e-9)).amount[0, :, 0]
    np.testing.assert_allclose(amount, [100.0, 100.0 * np.exp(-1.0) + 50.0], rtol=1e-8)


def test_reset_comes_before_the_dose_of_the_same_time_and_stops_infusions(backend):
    stops = stop_table((-1, 0.0, RATE, 0, 10.0), (-1, 5.0, KEEP, 0, 0.0), (-1, 5.0, ADD, 0, 7.0))
    problem = Problem(one_compartment(), stops, np.array([4.0, 5.0, 15.0]), ("body", "out"))
    result = backend.solve(problem, SolverOptions(rtol=1e-9))
    body = result.amount[0, :, 0]
    np.testing.assert_allclose(body, [100 * (1 - np.exp(-0.4)), 7.0, 7.0 * np.exp(-1.0)], rtol=1e-8)
    np.testing.assert_allclose(result.given[0], [40.0, 7.0, 7.0], rtol=1e-12)
    np.testing.assert_allclose(result.balance[0], 0.0, atol=1e-10)


def test_each_subject_gets_its_own_doses_at_its_own_times(backend):
    n = 19
    rows = [(s, 0.5 * s, ADD, 0, 10.0 + s) for s in range(n)] + [
        (s, 0.0, KEEP, 0, 1.0) for s in range(n)
    ]
    problem = Problem(one_compartment(n), stop_table(*sorted(rows)), np.array([20.0]), ("body",))
    amount = backend.solve(problem, SolverOptions(rtol=1e-9)).amount[:, 0, 0]
    s = np.arange(n)
    np.testing.assert_allclose(amount, (10.0 + s) * np.exp(-0.1 * (20.0 - 0.5 * s)), rtol=1e-7)


def test_shared_and_written_out_stops_give_the_same(backend):
    system = yardstick_system(10)
    shared = stop_table((-1, 0.0, ADD, 0, 100.0), (-1, 6.0, ADD, 0, 50.0))
    rows = [(s, t, ADD, 0, v) for s in range(10) for t, v in ((0.0, 100.0), (6.0, 50.0))]
    a = backend.solve(Problem(system, shared, TIMES, system.states), SolverOptions())
    b = backend.solve(Problem(system, stop_table(*rows), TIMES, system.states), SolverOptions())
    np.testing.assert_array_equal(a.amount, b.amount)


def test_saved_times_do_not_change_the_answer(backend):
    system = yardstick_system(4)
    stops = stop_table((-1, 0.0, ADD, 0, 100.0))
    few = backend.solve(
        Problem(system, stops, np.array([6.0, 24.0]), system.states), SolverOptions()
    )
    many = backend.solve(Problem(system, stops, TIMES, system.states), SolverOptions())
    np.testing.assert_array_equal(few.amount[:, 0], many.amount[:, 24])
    np.testing.assert_array_equal(few.amount[:, 1], many.amount[:, 96])


def test_number_of_threads_does_not_change_the_answer(backend):
    system = yardstick_system(300)
    problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 100.0)), TIMES[:9], ("liver",))
    one = backend.solve(problem, SolverOptions(threads=1))
    two = backend.solve(problem, SolverOptions(threads=2))
    np.testing.assert_array_equal(one.amount, two.amount)


def test_zero_dose_gives_exactly_zero(backend):
    system = yardstick_system(3)
    result = backend.solve(
        Problem(system, stop_table((-1, 0.0, ADD, 0, 0.0)), TIMES, system.states), SolverOptions()
    )
    assert (result.amount == 0.0).all() and (result.status == Status.SUCCESS).all()


def test_dose_scales_a_linear_model_exactly(backend):
    system = random_system(10, seed=2, n_reactions=0)
    into = system.targets["iv_bolus"]
    a = backend.solve(
        Problem(system, stop_table((-1, 0.0, ADD, into, 1.0)), TIMES, system.states),
        SolverOptions(),
    )
    b = backend.solve(
        Problem(system, stop_table((-1, 0.0, ADD, into, 1024.0)), TIMES, system.states),
        SolverOptions(),
    )
    # tolerances scale with the dose, so the steps are the same and 1024 is exact in binary
    np.testing.assert_allclose(b.amount, 1024.0 * a.amount, rtol=1e-13)


def test_a_failing_subject_is_flagged_and_the_others_stand(backend):
    """One subject of eleven has a positive eigenvalue of 200 1/h: its amount overflows within 4 h."""
    n = 11
    k = np.full((n, 1), -0.1)
    k[7] = 200.0
    system = ph.System(("body",), [0], [0], k, n_subjects=n)
    problem = Problem(
        system, stop_table((-1, 0.0, ADD, 0, 10.0)), np.array([0.0, 1.0, 10.0]), ("body",)
    )
    result = backend.solve(problem, SolverOptions())
    assert result.status[7] in (Status.NOT_FINITE, Status.STEP_TOO_SMALL)
    assert np.isnan(result.amount[7]).all()
    others = np.arange(n) != 7
    assert (result.status[others] == Status.SUCCESS).all()
    np.testing.assert_allclose(result.amount[others, 2, 0], 10.0 * np.exp(-1.0), rtol=1e-5)


def test_too_few_steps_are_reported_as_such(backend):
    system = yardstick_system(2)
    problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 100.0)), TIMES, system.states)
    result = backend.solve(problem, SolverOptions(max_steps=3))
    assert (result.status == Status.MAX_STEPS).all()
    assert np.isnan(result.amount).all()


def test_start_amounts_are_used(backend):
    problem = Problem(
        one_compartment(3),
        stop_table(),
        np.array([0.0, 10.0]),
        ("body",),
        0.0,
        np.array([[1.0, 0], [2, 0], [3, 0]]),
    )
    amount = backend.solve(problem, SolverOptions(rtol=1e-9)).amount[:, 1, 0]
    np.testing.assert_allclose(amount, np.array([1.0, 2.0, 3.0]) * np.exp(-1.0), rtol=1e-8)


def test_expm_refuses_a_saturable_model_and_names_the_reaction(backend):
    system = yardstick_system(1)
    problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 1.0)), TIMES, ("liver",))
    with pytest.raises(ph.InputError, match="hepatic"):
        backend.solve(problem, SolverOptions(method="expm"))


def test_facts_name_backend_method_and_tolerance(backend, backend_name):
    system = yardstick_system(1)
    result = backend.solve(
        Problem(system, stop_table((-1, 0.0, ADD, 0, 1.0)), TIMES, ("liver",)),
        SolverOptions(rtol=1e-5),
    )
    assert result.facts["backend"] == backend_name
    assert result.facts["method"] == "rodas5p"
    assert result.facts["rtol"] == 1e-5


def test_progress_counts_every_subject_once(backend):
    system = yardstick_system(300)
    seen = []
    backend.solve(
        Problem(system, stop_table((-1, 0.0, ADD, 0, 1.0)), TIMES[:5], ("liver",)),
        SolverOptions(),
        seen.append,
    )
    assert sum(seen) == 300


def test_inhibited_metabolism_and_binding_agree_with_lsoda(backend):
    """Competitive inhibition and mass action with all derivatives; stiff enough to need them right."""
    rng = np.random.default_rng(4)
    n = 5
    inhibited = ph.Reaction(
        "inhibited",
        "michaelis_menten",
        (0, 1),
        {0: -1.0, 3: 1.0},
        np.exp(rng.normal(0, 0.3, (n, 3))) * [40, 2, 0.5],
    )
    binding = ph.Reaction(
        "binding", "mass_action", (0, 1), {0: -1.0, 1: -1.0, 2: 2.0}, np.full((n, 1), 0.3)
    )
    system = ph.System(
        ("victim", "inhibitor", "complex", "out"),
        [0, 1, 2, 0, 1],
        [0, 1, 2, 2, 2],
        np.exp(rng.normal(0, 0.2, (n, 5))) * [-0.1, -0.05, -0.4, 0.2, 0.2],
        (inhibited, binding),
        n_subjects=n,
    )
    stops = stop_table((-1, 0.0, ADD, 0, 20.0), (-1, 0.0, ADD, 1, 5.0))
    result = backend.solve(Problem(system, stops, TIMES, system.states), SolverOptions())
    for s in range(n):
        expected = reference(system, s, np.array([20.0, 5.0, 0.0, 0.0]), TIMES)
        assert relative_error(result.amount[s], expected, 20.0) < 1e-5


def enzymatic_system(n: int = 5) -> ph.System:
    """Two drugs and one enzyme (as its change from baseline): mixed inhibition, inactivation, induction, turnover."""
    rng = np.random.default_rng(9)
    spread = lambda *v: np.exp(rng.normal(0, 0.2, (n, len(v)))) * v
    mixed = ph.Reaction(
        "mixed", "enzymatic", (0, 2, 1, 4), {0: -1.0, 3: 1.0}, spread(1.5, 0.2, 0.8, 0.0, 0.1, 0.4)
    )
    linear = ph.Reaction("linear", "enzymatic", (4, 2), {4: -1.0, 3: 1.0}, spread(0.3, 0.0))
    lost = ph.Reaction("lost", "enzymatic", (1, 2), {2: -1.0, 5: 1.0}, spread(0.9, 0.5))
    made = ph.Reaction("made", "michaelis_menten", (4,), {2: 1.0, 5: -1.0}, spread(0.2, 3.0))
    return ph.System(
        ("victim", "inhibitor", "enzyme", "out", "inducer", "turnover"),
        [0, 1, 2, 3, 3, 5],
        [0, 1, 2, 0, 1, 2],
        spread(-0.05, -0.1, -0.2, 0.05, 0.1, 0.2) * 0 + [[-0.05, -0.1, -0.2, 0.05, 0.1, 0.2]],
        (mixed, linear, lost, made),
        n_subjects=n,
    )


def test_inhibited_inactivated_and_induced_enzymes_agree_with_lsoda(backend):
    system = enzymatic_system()
    assert system.closed
    stops = stop_table((-1, 0.0, ADD, 0, 20.0), (-1, 0.0, ADD, 1, 5.0), (-1, 0.0, ADD, 4, 8.0))
    result = backend.solve(Problem(system, stops, TIMES, system.states), SolverOptions())
    enzyme = result.amount[:, :, 2]
    assert enzyme.min() < -0.3  # the enzyme is mostly gone at some time, so that every term counts
    for s in range(5):
        expected = reference(system, s, np.array([20.0, 5.0, 0.0, 0.0, 8.0, 0.0]), TIMES)
        assert relative_error(result.amount[s], expected, 20.0) < 1e-5
    assert np.abs(result.balance / result.given).max() < 1e-9
