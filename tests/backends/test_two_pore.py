"""Two-pore models with saturable FcRn and a target: every backend gives the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.integrate import solve_ivp

import pbpk_hybrid as ph
from pbpk_hybrid.models.large_molecules.two_pore import PROTEINS, two_pore_system
from pbpk_hybrid.solvers.base import Problem
from pbpk_hybrid.solvers.doses import dose_stops, steady_state_stops
from pbpk_hybrid.solvers.expm import solve_exactly

TIMES = np.linspace(0.0, 240.0, 13)


def problem_of(backend, protein, people, saved, **kw):
    system = two_pore_system(protein, people, **kw)
    doses = dose_stops(system, ph.Regimen.parse("100 mg iv q48h x3"), 240.0)
    return Problem(
        system, steady_state_stops(system, doses, backend, ph.SolverOptions())[0], TIMES, saved
    )


def lsoda(problem, doses, into):
    """Amounts of the saved states by LSODA at rtol 1e-11, piece by piece between the doses."""
    system, y, out = problem.system, np.zeros(problem.system.n_states), []
    cuts = [*doses, TIMES[-1]]
    for start, end in pairwise(cuts):
        y = y.copy()
        y[system.state_number(into)] += doses[start]
        inside = np.array([t for t in TIMES if start <= t < end or t == end == TIMES[-1]])
        times = np.unique(np.r_[inside, end])
        found = solve_ivp(
            lambda _t, a: system.rhs(a), (start, end), y, "LSODA", times, rtol=1e-11, atol=1e-12
        )
        out += [found.y[:, list(times).index(t)] for t in inside]
        y = found.y[:, -1]
    return np.array(out)[:, [system.state_number(s) for s in problem.saved]]


def test_a_protein_without_fcrn_is_within_1e7_of_the_matrix_exponential(backend):
    problem = problem_of(
        backend,
        PROTEINS["Fab"],
        ph.sample_population(5, seed=3),
        ("venous_plasma", "skin.interstitium", "filtered"),
    )
    options = ph.SolverOptions(rtol=1e-10, atol=1e-13)
    exact = solve_exactly(problem, ph.SolverOptions(method="expm")).amount
    result = backend.solve(problem, options)
    assert (result.status == 0).all()
    assert np.max(np.abs(result.amount - exact) / (np.abs(exact) + 1e-3)) < 1e-7
    assert np.abs(result.balance).max() < 1e-7


def test_an_antibody_with_a_target_agrees_with_lsoda_to_1e5(backend):
    drug = ph.Antibody(name="d", fcrn_capacity=50.0, target=20.0, target_on=0.5)
    saved = ("venous_plasma", "skin.interstitium", "complex.skin", "degraded")
    problem = problem_of(
        backend, drug, ph.reference_individual("human"), saved, target_in=("skin", "plasma")
    )
    result = backend.solve(problem, ph.SolverOptions())
    expected = lsoda(problem, {0.0: 100.0, 48.0: 100.0, 96.0: 100.0}, "venous_plasma")
    assert (result.status == 0).all()
    assert np.max(np.abs(result.amount[0] - expected) / (np.abs(expected) + 1e-4)) < 1e-5
    assert np.abs(result.balance).max() < 1e-8
