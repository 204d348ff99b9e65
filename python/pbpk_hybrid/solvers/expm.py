"""Linear systems solved exactly, by matrix exponentials: a fast path for few subjects and
the oracle for the integrator.

Between stops y(t + d) = exp(K d) y(t) + (integral of exp(K s) ds over 0..d) u. Both come
from one exponential of the augmented matrix [[K, u], [0, 0]] d (Van Loan 1978, IEEE TAC
23:395), by scaling and squaring (Higham 2005), good to about 1e-13.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._core.errors import InputError
from .base import ADD, KEEP, Problem, SolverOptions, Status, Trajectories
from .signs import judge_signs


def solve_exactly(
    problem: Problem, options: SolverOptions, progress: Callable[[int], None] | None = None
) -> Trajectories:
    """The exact solution of a linear problem; same result as a backend's `solve`.

    Raises
    ------
    InputError : if the system has reactions
    """
    system = problem.system
    _check_linear(problem)
    n_subjects, n, n_times = system.n_subjects, system.n_states, len(problem.times)
    n_areas = len(problem.areas)
    sums, area_sums = (_sums(n, terms) for terms in (problem.saved_terms(), problem.area_terms()))
    amount = np.empty((n_subjects, n_times, len(problem.saved)))
    given = np.empty((n_subjects, n_times))
    balance = np.empty((n_subjects, n_times)) if system.closed else None
    area, moment = (np.empty((n_subjects, n_times, n_areas)) for _ in range(2))
    final = np.empty((n_subjects, n))
    lowest = np.zeros(n_subjects)
    start = problem.start
    for s in range(n_subjects):
        y = np.r_[start[s if len(start) > 1 else 0], np.zeros(2 * n_areas)]
        path, gave = _one(_with_areas(system.matrix(s), area_sums), problem, s, y)
        amount[s], given[s], final[s] = path[:, :n] @ sums, gave, path[-1, :n]
        area[s] = path[:, n : n + n_areas]
        # dA/dt = sum, dB/dt = A: the integral of t x sum is t A - B
        moment[s] = problem.times[:, None] * area[s] - path[:, n + n_areas :]
        lowest[s] = path[:, :n][:, system.guarded].min(initial=0.0)
        if balance is not None:
            balance[s] = path[:, :n].sum(axis=1) - gave
        if progress is not None:
            progress(1)
    status = np.zeros(n_subjects, dtype=np.int8)
    bad = ~np.isfinite(amount).all(axis=(1, 2))
    status[bad] = Status.NOT_FINITE
    result = Trajectories(
        amount,
        balance,
        given,
        final,
        status,
        np.zeros((n_subjects, 2), dtype=np.int64),
        {
            "backend": "embedded",
            "method": "expm",
            "method_reference": "Van Loan (1978), Higham (2005)",
        },
        area=area if n_areas else None,
        moment=moment if n_areas else None,
    )
    judge_signs(problem, options, result, lowest)
    return result


def _check_linear(problem: Problem) -> None:
    """Refuse reactions and sensitivities."""
    if not problem.system.linear:
        names = [r.name for r in problem.system.reactions]
        raise InputError(
            "method",
            "expm",
            "a linear system",
            hint=f"reactions {names} are not linear; use method='rodas5p'",
        )
    if problem.parameters:
        raise InputError(
            "method", "expm", "a method with sensitivities", hint="use method='rodas5p'"
        )


def _sums(n: int, terms: list[tuple[tuple[int, float], ...]]) -> np.ndarray:
    """(n, number of sums) weights of the states in each sum."""
    out = np.zeros((n, len(terms)))
    for o, pairs in enumerate(terms):
        for state, weight in pairs:
            out[state, o] += weight
    return out


def _with_areas(k: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """K with two rows more for each sum: dA/dt = sum, then dB/dt = A."""
    n, a = sums.shape
    big = np.zeros((n + 2 * a, n + 2 * a))
    big[:n, :n] = k
    big[n : n + a, :n] = sums.T
    big[n + a :, n : n + a] = np.eye(a)
    return big


def _one(
    k: np.ndarray, problem: Problem, subject: int, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All states (n_times, n) of one subject, and what was given; rows of `k` beyond the
    system's are never reset.
    """
    stops, n = problem.stops, problem.system.n_states
    mine = np.flatnonzero((stops.subject == -1) | (stops.subject == subject))
    value = (
        stops.value
        if stops.value.ndim == 1
        else stops.value[subject if len(stops.value) > 1 else 0]
    )
    # at equal times: reset, then dose, then observe
    acts = sorted(mine, key=lambda e: (stops.time[e], stops.kind[e] != KEEP))
    known: dict[tuple, np.ndarray] = {}
    rate = np.zeros(len(y))
    gave = y.sum()
    t, at = problem.start_time, 0
    path, given = np.empty((len(problem.times), len(y))), np.empty(len(problem.times))

    def advance(to: float) -> None:
        nonlocal y, gave, t
        if to <= t:
            return
        d = to - t
        y = step(k, rate, d, y, known)
        gave += rate.sum() * d
        t = to

    for row, time in enumerate(problem.times):
        while at < len(acts) and stops.time[acts[at]] <= time:
            e = acts[at]
            advance(stops.time[e])
            if stops.kind[e] == KEEP:
                y[:n], rate, gave = y[:n] * value[e], rate * value[e], gave * value[e]
            elif stops.kind[e] == ADD:
                y[stops.state[e]] += value[e]
                gave += value[e]
            else:
                rate[stops.state[e]] += value[e]
            at += 1
        advance(time)
        path[row], given[row] = y, gave
    return path, given


def step(k: np.ndarray, rate: np.ndarray, d: float, y: np.ndarray, known: dict) -> np.ndarray:
    """State after a time d [h] at constant infusion rates; `known` keeps exponentials."""
    from scipy.linalg import expm

    infusing = rate.any()
    key = (round(d, 14), rate.tobytes() if infusing else b"")
    if key not in known:
        if infusing:
            n = len(y)
            big = np.zeros((n + 1, n + 1))
            big[:n, :n], big[:n, n] = k, rate
            known[key] = expm(big * d)
        else:
            known[key] = expm(k * d)
    e = known[key]
    return e[:-1, :-1] @ y + e[:-1, -1] if infusing else e @ y
