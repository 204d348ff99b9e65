"""Exact solutions of linear models in packs, against SciPy's matrix exponential and each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.examples import random_system, yardstick_system
from pbpk_hybrid.models.system.system import Reaction, System
from pbpk_hybrid.solvers import expm as exact
from pbpk_hybrid.solvers import steady_state
from pbpk_hybrid.solvers.base import ADD, KEEP, RATE, Problem, SolverOptions, Status
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend
from pbpk_hybrid.testing.problems import stop_table

EXACT = SolverOptions(method="expm", threads=1)
#: rounding of some tens of squarings, relative to the largest amount
CLOSE = 1e-11


def solve(problem, options=EXACT):
    return EmbeddedBackend().solve(problem, options)


def same(one, other, rtol=CLOSE):
    for name in ("amount", "balance", "given", "final", "area", "moment"):
        a, b = getattr(one, name), getattr(other, name)
        size = 10.0 if name == "balance" else np.abs(b).max()  # a balance is all rounding of doses
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * size)


@st.composite
def linear_problems(draw):
    """Random circulations, doses, infusions and resets, for all or for each, at any times."""
    seed, n = draw(st.integers(0, 10**6)), draw(st.integers(1, 11))
    rng = np.random.default_rng(seed)
    system = random_system(draw(st.integers(3, 9)), seed, n, 0)
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        who = -1 if draw(st.booleans()) else int(rng.integers(n))
        when = float(draw(st.sampled_from([0.0, 1.0, 2.5, rng.uniform(0, 20)])))
        state = int(rng.integers(3))
        kind = draw(st.sampled_from(["dose", "infusion", "reset"]))
        if kind == "dose":
            rows.append((who, when, ADD, state, 10.0))
        elif kind == "infusion":
            rows += [(who, when, RATE, state, 3.0), (who, when + 1.7, RATE, state, -3.0)]
        else:
            rows.append((who, when, KEEP, 0, 0.0))
    grid = draw(st.sampled_from(["hourly", "any"]))
    times = np.arange(0.0, 25.0) if grid == "hourly" else np.sort(rng.uniform(0, 300, 12))
    y0 = rng.uniform(0, 5, (n, system.n_states)) if draw(st.booleans()) else None
    names = tuple(system.states[:3])
    return Problem(system, stop_table(*rows), times, names, 0.0, y0, (), names[:2])


@settings(max_examples=40, deadline=None)
@given(linear_problems())
def test_packs_agree_with_dense_exponentials_of_one_subject_at_a_time(problem):
    packed, _ = exact._in_packs(problem, EXACT, None)
    dense, _ = exact._one_by_one(problem, EXACT, None)
    same(packed, dense, 1e-9 if problem.times[-1] > 100 else CLOSE)


@settings(max_examples=15, deadline=None)
@given(linear_problems())
def test_the_integrator_agrees_to_its_tolerance(problem):
    tight = SolverOptions(method="rodas5p", rtol=1e-10, threads=1)
    same(solve(problem), solve(problem, tight), 1e-6)


def test_slow_states_keep_their_digits_beside_fast_ones():
    """Rates of 1e4 and 1e-5 per hour: squaring e^(K delta) itself would lose five digits."""
    system = System(("fast", "slow", "out"), [0, 1, 1, 2], [0, 0, 1, 1], [[-1e4, 1e4, -1e-5, 1e-5]])
    stop = stop_table((-1, 0.0, ADD, 0, 1.0))
    got = solve(Problem(system, stop, np.array([1.0, 1000.0]), ("slow", "out"))).amount[0]
    slow = lambda t: 1e4 / (1e4 - 1e-5) * (np.exp(-1e-5 * t) - np.exp(-1e4 * t))
    np.testing.assert_allclose(got[:, 0], slow(np.array([1.0, 1000.0])), rtol=1e-13)
    np.testing.assert_allclose(got[:, 1], [1 - slow(1.0), 1 - slow(1000.0)], rtol=1e-8)


def test_a_matrix_of_any_signs_is_solved_too():
    rng = np.random.default_rng(4)
    k = rng.normal(size=(5, 5)) * 10.0 ** rng.uniform(-2, 1, (5, 1))
    row, column = np.divmod(np.arange(25), 5)
    system = System(tuple("abcde"), row, column, [k.ravel()], signed=tuple("abcde"))
    y0, times = rng.normal(size=(1, 5)), np.array([0.3, 1.0, 1.1])
    got = solve(Problem(system, stop_table(), times, tuple("abcde"), 0.0, y0)).amount[0]
    for i, t in enumerate(times):
        np.testing.assert_allclose(got[i], expm(k * t) @ y0[0], rtol=1e-10)


def test_models_of_very_many_states_go_one_by_one():
    n = 140
    chain = np.arange(n - 1)
    system = System(
        tuple(f"s{i}" for i in range(n)),
        np.r_[chain, chain + 1],
        np.r_[chain, chain],
        [np.r_[np.full(n - 1, -5.0), np.full(n - 1, 5.0)]],
    )
    problem = Problem(system, stop_table((-1, 0.0, ADD, 0, 1.0)), np.array([20.0]), ("s100",))
    from scipy.stats import poisson

    np.testing.assert_allclose(solve(problem).amount[0, 0, 0], poisson.pmf(100, 100.0), rtol=1e-9)


# ---- auto ----
def method_of(model, regimen, times, **options):
    options = ph.SolverOptions(**options) if options else None
    return ph.simulate_system(model, regimen, times, options=options).attrs["method"]


def test_auto_is_exact_for_a_linear_model_with_many_doses_and_agrees_with_the_integrator():
    model = ph.whole_body_system(ph.get_compound("theophylline"), ph.sample_population(3, seed=1))
    grid, twelve = range(0, 85), "100 mg oral q12h x7"
    assert method_of(model, twelve, grid) == "expm"
    assert method_of(model, "100 mg oral", grid) == "rodas5p"
    assert method_of(model, twelve, grid, method="rodas5p") == "rodas5p"
    assert method_of(yardstick_system(2), twelve, grid) == "rodas5p"  # saturable
    auto = ph.simulate_system(model, twelve, grid)
    steps = ph.simulate_system(model, twelve, grid, options=ph.SolverOptions(method="rodas5p"))
    for name in ("amount", "cumulative_auc"):
        largest = float(np.abs(auto[name]).max())
        np.testing.assert_allclose(auto[name], steps[name], rtol=1e-6, atol=1e-6 * largest)
    assert np.abs(auto["mass_balance_error"]).max() < 1e-11


# ---- steady states ----
@pytest.mark.parametrize("dose", ["100 mg oral", "100 mg iv over 2 h", "100 mg iv over 30 h"])
def test_linear_steady_state_is_what_many_doses_lead_to(dose):
    people = ph.sample_population(9, seed=2)
    steady = ph.simulate("theophylline", f"{dose} q12h ss", people, range(13))["amount"]
    long = ph.simulate("theophylline", f"{dose} q12h x60", people, np.arange(59 * 12.0, 721))
    lasting = [
        c for c in steady.compartment.values if not str(c).startswith(("meta", "excr", "fae"))
    ]
    late = long["amount"].sel(compartment=lasting)
    np.testing.assert_allclose(
        steady.sel(compartment=lasting).values[:, 1:12],
        late.values[:, 1:12],
        rtol=1e-6,
        atol=1e-7 * float(late.max()),
    )


def test_packs_find_the_steady_states_of_dense_matrices(monkeypatch):
    people = ph.sample_population(11, seed=3)
    run = lambda: ph.simulate("midazolam", "5 mg iv over 1 h q8h ss", people, range(9))["amount"]
    packed = run()
    monkeypatch.setattr(steady_state, "_can_be_packed", lambda *_: False)
    np.testing.assert_allclose(packed, run(), rtol=1e-10, atol=1e-10 * float(packed.max()))


@pytest.mark.parametrize(
    ("amount", "interval", "duration"), [(100, 12, 0), (400, 12, 0), (150, 8, 3), (300, 12, 18)]
)
def test_saturable_steady_state_repeats_itself(amount, interval, duration):
    """Each interval after the steady state is as the one before, in every subject."""
    model = yardstick_system(40)
    how = {"interval": interval, "steady_state": 1, "additional_doses": 3}
    regimen = ph.Regimen.oral(amount, **how)
    if duration:
        regimen = ph.Regimen.infusion(amount, duration, **how)
    hours = np.arange(0.5, interval)
    times = np.r_[hours, hours + interval, hours + 2 * interval]
    tight = ph.SolverOptions(rtol=1e-10)
    amounts = ph.simulate_system(model, regimen, times, options=tight)["amount"].values
    one, two, three = np.split(amounts, 3, axis=1)
    assert np.isfinite(amounts).all()
    largest = amounts.max(axis=(1, 2), keepdims=True)
    for later in (two, three):
        assert (np.abs(later - one) / largest).max() < 1e-8


def test_one_who_has_no_steady_state_does_not_keep_it_from_the_others():
    """100 mg every 12 h is 8.3 mg/h, and one of nine clears 5 mg/h at most."""
    vmax = np.full(9, 20.0)
    vmax[4] = 5.0
    clear = Reaction("clear", "michaelis_menten", (0,), {0: -1.0, 1: 1.0}, np.c_[vmax, vmax / 2])
    some = np.zeros((1, 1))
    system = System(
        ("body", "out"), [0], [0], some, (clear,), targets={"iv_bolus": 0}, n_subjects=9
    )
    with pytest.warns(ph.SubjectFailedWarning, match="1 of 9"):
        result = ph.simulate_system(system, "100 mg iv q12h ss", range(12))
    assert result["status"].values.tolist() == [0] * 4 + [Status.NO_STEADY_STATE] + [0] * 4
    body = result["amount"].sel(compartment="body").values
    # a d(A)/dt = -Vmax A/(Km + A) over 12 h: Km ln(A0/A1) + A0 - A1 = 12 Vmax, A0 = A1 + 100
    after = body[0, 0]
    before = after - 100.0
    assert 10.0 * np.log(after / before) + 100.0 == pytest.approx(12 * 20.0, rel=1e-6)
    np.testing.assert_allclose(body[5], body[0], rtol=1e-9)


def test_absurd_rates_do_not_overflow_the_counts_of_steps():
    fast = System(("a", "b"), [0, 1], [0, 0], [[-1e25, 1e25]])
    problem = Problem(fast, stop_table((-1, 0.0, ADD, 0, 1.0)), np.array([1.0, 500.0]), ("a", "b"))
    np.testing.assert_allclose(solve(problem).amount[0], [[0.0, 1.0], [0.0, 1.0]], atol=1e-9)


def test_nothing_leaves_anywhere():
    still = System(("a", "b"), [0], [0], [[0.0]])
    stops = stop_table((-1, 1.0, ADD, 0, 2.0), (-1, 2.0, RATE, 1, 3.0), (-1, 4.0, RATE, 1, -3.0))
    got = solve(Problem(still, stops, np.array([0.0, 3.0, 9.0]), ("a", "b"), areas=("a",)))
    np.testing.assert_allclose(got.amount[0], [[0, 0], [2, 3], [2, 6]], rtol=1e-12)
    np.testing.assert_allclose(got.area[0, :, 0], [0, 4, 16], rtol=1e-12)
