"""One suite over every backend: same numbers, same errors, same attributes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.examples import random_system, yardstick_system
from pbpk_hybrid.solvers.areas import of_concentrations, with_area_states
from pbpk_hybrid.solvers.areas import solve as solve_with_areas
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


# ---- areas: AUC and AUMC by the integrator, against closed forms -------------------------------------------------------
K, K12, K21, KA, V = 0.4, 1.5, 0.6, 1.1, 8.0
BASELINE = 2.5  # mg/L, the observable's offset
AREA_TIMES = np.r_[0.0, 0.01, np.linspace(0.5, 60.0, 24)]


def two_compartments(n: int = 1, factor=1 / V, offset=None) -> ph.System:
    """Depot, body, a second compartment that exchanges with the body, and what has left."""
    rows, columns = [1, 1, 2, 1, 2, 3, 0], [0, 1, 1, 2, 2, 1, 0]
    k = [KA, -(K + K12), K12, K21, -K21, K, -KA]
    plasma = ph.Observable((1,), np.atleast_1d(factor), offset=offset)
    return ph.System(
        ("depot", "body", "second", "out"),
        rows,
        columns,
        np.array([k]),
        observables={"plasma": plasma},
        n_subjects=n,
    )


def exponentials(first: dict[int, float]) -> list[tuple[float, float]]:
    """(size, rate) pairs of the body's amount after amounts in (depot, body) at time 0: eigenvalues of the 3 x 3 matrix."""
    k = two_compartments().matrix()[:3, :3]
    values, vectors = np.linalg.eig(k)
    y0 = np.array([first.get(0, 0.0), first.get(1, 0.0), 0.0])
    weights = np.linalg.solve(vectors, y0)
    return [(float(w * v), float(-e)) for w, v, e in zip(weights, vectors[1], values, strict=True)]


def integrals(terms, t: np.ndarray, begin: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of f and of tau f up to t, f = sum of size exp(-rate (tau - begin)) from `begin` on; rate 0: a constant."""
    x = np.maximum(t - begin, 0.0)
    area, moment = np.zeros_like(x), np.zeros_like(x)
    for size, rate in terms:
        if rate == 0:
            a, m = x, x**2 / 2
        else:
            e = np.exp(-rate * x)
            a, m = (1 - e) / rate, (1 - e) / rate**2 - x * e / rate
        area, moment = area + size * a, moment + size * (m + begin * a)
    return area, moment


def dosed(kind: str) -> tuple[StopTable, list[tuple[list, float]]]:
    """Stops, and the (terms, begin) pairs whose sum is the amount in the body."""
    bolus, oral = exponentials({1: 100.0}), exponentials({0: 100.0})
    if kind == "bolus":
        return stop_table((-1, 0.0, ADD, 1, 100.0)), [(bolus, 0.0)]
    if kind == "oral":
        return stop_table((-1, 0.0, ADD, 0, 100.0)), [(oral, 0.0)]
    if kind == "repeated":
        at = [0.0, 12.0, 20.0]
        return stop_table(*[(-1, t, ADD, 0, 100.0) for t in at]), [(oral, t) for t in at]
    # an infusion of 100 mg/h over 2 h: the integral of the bolus, from 0 and less the same from 2 h
    steady = [(size / rate, 0.0) for size, rate in bolus]
    fading = [(-size / rate, rate) for size, rate in bolus]
    stops = stop_table((-1, 0.0, RATE, 1, 100.0), (-1, 2.0, RATE, 1, -100.0))
    minus = [(-size, rate) for size, rate in (*steady, *fading)]
    return stops, [([*steady, *fading], 0.0), (minus, 2.0)]


def assert_areas(problem, result, curves, rtol=1e-6):
    auc, aumc = of_concentrations(problem, result)
    found = [integrals(terms, problem.times, begin) for terms, begin in curves]
    t = problem.times
    offset = problem.system.observables["plasma"].offset
    rest = np.zeros(1) if offset is None else offset
    for s, size in enumerate(
        np.broadcast_to(problem.system.observables["plasma"].factor, len(auc))
    ):
        base = float(np.broadcast_to(rest, len(auc))[s])
        expected = size * sum(a for a, _ in found) + base * t
        moment = size * sum(m for _, m in found) + base * t**2 / 2
        np.testing.assert_allclose(auc[s, :, 0], expected, rtol=rtol, atol=0)
        # the moment of the first minute is 1e-8 of the last; an integrator's tolerance is not meant for it
        np.testing.assert_allclose(aumc[s, :, 0], moment, rtol=rtol, atol=1e-9 * moment[-1])


@pytest.mark.parametrize("kind", ["bolus", "oral", "repeated", "infusion"])
@pytest.mark.parametrize("method", ["rodas5p", "rodas4", "rodas4p", "expm"])
def test_areas_are_those_of_the_closed_form_to_1e6(backend, kind, method):
    stops, curves = dosed(kind)
    problem = Problem(two_compartments(), stops, AREA_TIMES, ("plasma",), areas=("plasma",))
    result = solve_with_areas(backend, problem, SolverOptions(method=method))
    assert_areas(problem, result, curves)


@pytest.mark.parametrize("kind", ["bolus", "oral", "repeated", "infusion"])
def test_area_states_give_the_same_areas_and_leave_the_rest_alone(backend, kind):
    stops, curves = dosed(kind)
    problem = Problem(two_compartments(), stops, AREA_TIMES, ("plasma", "out"), areas=("plasma",))
    result = with_area_states(backend, problem, SolverOptions())
    plain = backend.solve(problem, SolverOptions(method="expm"))
    assert result.final.shape == plain.final.shape
    assert result.amount.shape == plain.amount.shape
    np.testing.assert_allclose(result.amount, plain.amount, rtol=1e-6, atol=1e-7)
    assert np.abs(result.balance).max() < 1e-9 * 100  # areas are no part of the mass balance
    assert_areas(problem, result, curves)


def test_areas_know_factor_and_baseline_of_each_subject(backend):
    stops, curves = dosed("oral")
    offset = BASELINE * np.arange(1.0, 12.0)
    system = two_compartments(11, factor=1 / np.linspace(5, 15, 11), offset=offset)
    problem = Problem(system, stops, AREA_TIMES, ("plasma",), areas=("plasma",))
    assert_areas(problem, solve_with_areas(backend, problem, SolverOptions()), curves)


def test_areas_go_on_through_a_reset(backend):
    """100 mg at 0 h, everything emptied at 5 h, 40 mg then: the areas up to 5 h, and from there on those of 40 mg."""
    stops = stop_table((-1, 0.0, ADD, 1, 100.0), (-1, 5.0, KEEP, 0, 0.0), (-1, 5.0, ADD, 1, 40.0))
    times = np.array([3.0, 5.0, 30.0])
    problem = Problem(two_compartments(), stops, times, ("plasma",), areas=("plasma",))
    terms = exponentials({1: 1.0})
    until = [100.0 / V * x for x in integrals(terms, np.array([3.0, 5.0, 5.0]))]
    after = [40.0 / V * x for x in integrals(terms, times, 5.0)]
    for solve in (solve_with_areas, with_area_states):
        for method in ("rodas5p", "expm"):
            auc, aumc = of_concentrations(
                problem, solve(backend, problem, SolverOptions(method=method))
            )
            np.testing.assert_allclose(auc[0, :, 0], until[0] + after[0], rtol=1e-6)
            np.testing.assert_allclose(aumc[0, :, 0], until[1] + after[1], rtol=1e-6)


def test_each_subject_of_a_pack_has_the_areas_of_its_own_doses_and_resets(backend):
    n = 11
    rows = [(s, 0.3 * s, ADD, 1, 10.0 + s) for s in range(n)]
    rows += [(s, 2.0 + s, KEEP, 0, 0.0) for s in range(n)]
    system = two_compartments(n)
    times = np.linspace(0.0, 20.0, 9)
    problem = Problem(system, stop_table(*sorted(rows)), times, ("plasma",), areas=("plasma",))
    terms = exponentials({1: 1.0})
    for solve in (solve_with_areas, with_area_states):
        auc, aumc = of_concentrations(problem, solve(backend, problem, SolverOptions()))
        for s in range(n):
            area, moment = integrals(terms, np.minimum(times, 2.0 + s), 0.3 * s)
            np.testing.assert_allclose(auc[s, :, 0], (10.0 + s) / V * area, rtol=1e-6)
            np.testing.assert_allclose(aumc[s, :, 0], (10.0 + s) / V * moment, rtol=1e-6)


def test_areas_do_not_change_the_solution_and_do_not_depend_on_the_saved_times(backend):
    system = yardstick_system(19)
    stops = stop_table((-1, 0.0, ADD, 0, 100.0), (-1, 12.0, ADD, 0, 50.0))
    plain = Problem(system, stops, TIMES, ("liver",))
    asked = Problem(system, stops, TIMES, ("liver",), areas=("liver", "venous_blood"))
    few = Problem(system, stops, TIMES[[0, 96]], ("liver",), areas=("liver", "venous_blood"))
    a, b, c = (solve_with_areas(backend, p, SolverOptions()) for p in (plain, asked, few))
    if backend.integrates_areas:
        np.testing.assert_array_equal(a.amount, b.amount)
        np.testing.assert_array_equal(a.balance, b.balance)
        np.testing.assert_array_equal(b.area[:, -1], c.area[:, -1])
        np.testing.assert_array_equal(b.moment[:, -1], c.moment[:, -1])
    assert a.area is None
    np.testing.assert_allclose(a.amount, b.amount, rtol=1e-5, atol=1e-5)


def test_a_saturable_model_has_the_area_of_a_fine_sum_over_its_curve(backend):
    system = yardstick_system(3)
    fine = np.unique(np.r_[0.0, np.geomspace(1e-5, 24.0, 20001)])
    stops = stop_table((-1, 0.0, ADD, 0, 100.0))
    problem = Problem(system, stops, fine, ("liver",), areas=("liver",))
    result = solve_with_areas(backend, problem, SolverOptions())
    s, dt = result.amount[:, :, 0], np.diff(fine)
    sums = np.cumsum((s[:, 1:] + s[:, :-1]) / 2 * dt, axis=1)
    ts = s * fine
    moments = np.cumsum((ts[:, 1:] + ts[:, :-1]) / 2 * dt, axis=1)
    late = fine[1:] > 0.5  # the trapezoids' own error is largest, relatively, at the beginning
    np.testing.assert_allclose(result.area[:, 1:, 0][:, late], sums[:, late], rtol=1e-6)
    np.testing.assert_allclose(result.moment[:, 1:, 0][:, late], moments[:, late], rtol=1e-6)


def test_a_failed_subject_has_no_areas_and_the_others_have_theirs(backend):
    n = 9
    k = np.full((n, 1), -0.1)
    k[7] = 200.0
    system = ph.System(("body",), [0], [0], k, n_subjects=n)
    stops = stop_table((-1, 0.0, ADD, 0, 10.0))
    problem = Problem(system, stops, np.array([0.0, 10.0]), ("body",), areas=("body",))
    result = solve_with_areas(backend, problem, SolverOptions())
    assert np.isnan(result.area[7]).all() and np.isnan(result.moment[7]).all()
    others = np.arange(n) != 7
    np.testing.assert_allclose(result.area[others, 1, 0], 100 * (1 - np.exp(-1)), rtol=1e-6)
