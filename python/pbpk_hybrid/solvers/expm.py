"""Linear systems solved exactly, by matrix exponentials: the quick way for doses at many
times, and the oracle for the integrator.

Subjects go in packs (:mod:`.embedded.propagators`). What follows is for models of very many
states or of absurd rates, one subject after the other: between stops y(t + d) = exp(K d) y(t) +
(integral of exp(K s) ds over 0..d) u. Both come from one exponential of the augmented matrix
[[K, u], [0, 0]] d (Van Loan 1978, IEEE TAC 23:395), by scaling and squaring (Higham 2005), good to
about 1e-13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .._core.errors import InputError
from .base import ADD, KEEP, RATE, Problem, SolverOptions, Status, StopTable, Trajectories
from .signs import judge_signs
from .threads import run_in_threads, thread_count


def solve_exactly(
    problem: Problem, options: SolverOptions, progress: Callable[[int], None] | None = None
) -> Trajectories:
    """The exact solution of a linear problem; same result as a backend's `solve`.

    Raises
    ------
    InputError : if the system has reactions
    """
    _check_linear(problem)
    from .embedded.flows import MOST_STATES

    n = problem.system.n_states + 2 * len(problem.areas) + len(_infused(problem.stops))
    parts = _in_packs if n <= MOST_STATES else _one_by_one
    result, lowest = parts(problem, options, progress)
    result.status[~np.isfinite(result.amount).all(axis=(1, 2))] = Status.NOT_FINITE
    judge_signs(problem, options, result, lowest)
    return result


def pays_off(problem: Problem) -> bool:
    """Whether "auto" solves a problem exactly: a linear one of several doses, where that is
    the quicker way.

    The integrator starts anew at every dose. The matrices of the exact solution cost the same
    whatever happens, but grow with the cube of the states, and moments that are no multiples
    of one length of time take more products.
    """
    system, stops = problem.system, problem.stops
    if not system.linear or system.events is not None or problem.parameters:
        return False
    inside = (stops.time > problem.start_time) & (stops.time < problem.times[-1])
    if stops.shared:
        restarts = len(np.unique(stops.time[inside]))
    else:  # a pack of eight stops where any of them does
        pairs = np.unique(np.stack([stops.subject[inside], stops.time[inside]]), axis=1)
        restarts = 8 * pairs.shape[1] / max(1, system.n_subjects)
    if restarts < _FEWEST:
        return False
    size = (system.n_states + 2 * len(problem.areas)) / 23
    usual, _ = _step_lengths(problem)
    multiples = np.diff(problem.times, prepend=problem.start_time) / usual
    odd = int((np.abs(multiples - multiples.round()) > 1e-9).sum())
    odd += 0 if stops.shared else restarts
    steps = len(problem.times) + restarts
    exact = 13.0 * size**3 + (0.04 * steps + 0.43 * odd) * size**2
    return size < 4 and exact < (13.0 + 13.0 * restarts) * size + 0.05 * len(problem.times)


#: doses after the first from which on "auto" compares; the constants above are microseconds per
#: subject of the whole-body model (21 states, one area), by benchmarks/engine_paths.py's machine
_FEWEST = 2


def _infused(stops: StopTable) -> np.ndarray:
    """States that infusions go into."""
    return np.unique(stops.state[stops.kind == RATE])


def _in_packs(
    problem: Problem, options: SolverOptions, progress: Callable[[int], None] | None
) -> tuple[Trajectories, np.ndarray]:
    """All subjects by :mod:`.embedded.propagators`, and the smallest guarded amount of each."""
    from .embedded.flows import MOST_LEVELS, LinearFlow
    from .embedded.lanes import LANES, aligned_lanes
    from .embedded.pack import pack_count, to_lanes
    from .embedded.propagators import propagate_packs
    from .embedded.stops import pack_stops

    system, times = problem.system, np.ascontiguousarray(problem.times, dtype=float)
    n_subjects, n_times, n_areas = system.n_subjects, len(times), len(problem.areas)
    infused = _infused(problem.stops)
    linear = LinearFlow(
        system,
        system.k_row,
        system.k_col,
        system.k_value,
        infused.tolist(),
        problem.saved_terms(),
        problem.area_terms(),
    )
    flow, weight, k_value = linear.packed
    delta, levels = linear.ladders(*_step_lengths(problem))
    if levels.max(initial=1) > MOST_LEVELS:
        return _one_by_one(problem, options, progress)
    stops = pack_stops(_on_rates(problem.stops, infused, system.n_states), n_subjects, linear.place)
    start = np.zeros((len(problem.start), linear.n))
    start[:, : system.n_states] = problem.start
    y = to_lanes(start[:, linear.order], n_subjects)
    out = np.empty((n_subjects, n_times, len(problem.saved)))
    area, moment = (np.empty((n_subjects, n_times, n_areas)) for _ in range(2))
    given = np.empty((n_subjects, n_times))
    balance = np.empty((n_subjects if system.closed else 0, n_times))
    lowest = aligned_lanes(pack_count(n_subjects), 1)
    guarded = np.ascontiguousarray(linear.place[system.guarded], dtype=np.int64)

    def make_worker() -> Callable[[int], None]:
        f, spare = linear.scratch(levels)

        def worker(task: int) -> None:
            a, b = task * _PACKS_PER_TASK, min(len(y), (task + 1) * _PACKS_PER_TASK)
            propagate_packs(
                flow,
                weight,
                k_value,
                delta,
                levels,
                times,
                stops.first,
                stops.time,
                stops.ptr,
                stops.kind,
                stops.state,
                stops.value,
                float(problem.start_time),
                y,
                f,
                spare,
                out,
                area,
                moment,
                given,
                balance,
                lowest,
                guarded,
                n_subjects,
                a,
                b,
            )
            if progress is not None:
                progress(min(b * LANES, n_subjects) - a * LANES)

        return worker

    run_in_threads(-(-len(y) // _PACKS_PER_TASK), thread_count(options.threads), make_worker)
    final = y.transpose(0, 2, 1).reshape(-1, linear.n)[:n_subjects][:, linear.place]
    result = Trajectories(
        out,
        balance if system.closed else None,
        given,
        np.ascontiguousarray(final[:, : system.n_states]),
        np.zeros(n_subjects, dtype=np.int8),
        np.zeros((n_subjects, 2), dtype=np.int64),
        dict(_FACTS),
        area=area if n_areas else None,
        moment=moment if n_areas else None,
    )
    return result, lowest.reshape(-1)[:n_subjects]


def _step_lengths(problem: Problem) -> tuple[float, float]:
    """(the most frequent, the longest) time [h] between two moments that matter."""
    stops = problem.stops
    moments: list[np.ndarray] = [np.array([problem.start_time]), problem.times]
    if stops.shared:
        moments.append(stops.time[stops.time < problem.times[-1]])
    gaps = np.diff(np.unique(np.concatenate(moments)))
    gaps = gaps[gaps > 0]
    if not gaps.size:
        return 1.0, 1.0
    kinds, counts = np.unique(gaps.round(9), return_counts=True)
    often = kinds[np.argmax(counts)]
    usual = gaps[np.argmin(np.abs(gaps - often))]
    return float(usual), float(gaps.max())


def _on_rates(stops: StopTable, infused: np.ndarray, n_states: int) -> StopTable:
    """Changes of rates as changes of the states that hold them."""
    held = n_states + np.searchsorted(infused, stops.state)
    return replace(stops, state=np.where(stops.kind == RATE, held, stops.state))


_PACKS_PER_TASK = 16
_FACTS = {
    "backend": "embedded",
    "method": "expm",
    "method_reference": "Van Loan (1978), Higham (2005)",
}


def _one_by_one(
    problem: Problem, options: SolverOptions, progress: Callable[[int], None] | None
) -> tuple[Trajectories, np.ndarray]:
    """Subject by subject with dense matrices: for models of very many states."""
    system = problem.system
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
    result = Trajectories(
        amount,
        balance,
        given,
        final,
        np.zeros(n_subjects, dtype=np.int8),
        np.zeros((n_subjects, 2), dtype=np.int64),
        dict(_FACTS),
        area=area if n_areas else None,
        moment=moment if n_areas else None,
    )
    return result, lowest


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
