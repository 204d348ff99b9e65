"""Exact areas under concentrations, whatever the backend: from its own steps, or by
states that hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .._core.errors import InputError, unknown_name
from ..models.system.system import Observable, System
from .base import KEEP, Backend, Problem, SolverOptions, StopTable, Trajectories

_TOTAL = "all states"


def area_names(
    system: System, saved: Sequence[str], asked: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Which observables to integrate over time.

    Parameters
    ----------
    saved : names of what is saved
    asked : names; None: "plasma" and every "<compound>:plasma" that is saved

    Raises
    ------
    UnknownNameError : no such observable
    InputError : one without a volume has no concentration
    """
    if asked is None:
        return tuple(n for n in saved if n == "plasma" or n.endswith(":plasma"))
    names = (asked,) if isinstance(asked, str) else tuple(dict.fromkeys(asked))
    for name in names:
        if name not in system.observables:
            raise unknown_name("areas", name, system.observables, what="a compartment of the model")
        if np.isnan(system.observables[name].factor).all():
            raise InputError("areas", name, "a compartment with a volume: others have amounts only")
    return names


def solve(
    backend: Backend,
    problem: Problem,
    options: SolverOptions,
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """`backend.solve`, with the areas of the problem whether or not the backend knows them itself.

    Sensitivities and "expm" are integrated by code that does (see the backends).
    """
    own = backend.integrates_areas or options.method == "expm" or problem.parameters
    own = (
        own and problem.system.events is None
    )  # a step that an event cuts short has no area of its own
    if not problem.areas or own:
        return backend.solve(problem, options, progress)
    return with_area_states(backend, problem, options, progress)


def with_area_states(
    backend: Backend,
    problem: Problem,
    options: SolverOptions,
    progress: Callable[[int], None] | None = None,
) -> Trajectories:
    """Areas as two more states each: dA/dt = sum and dB/dt = A, so that the integral of t
    x sum is t A - B.

    They are no part of the mass balance nor of what is returned as states. A reset
    empties all states of a backend: what it takes from A and B is put back afterwards,
    from the values just before it.
    """
    n, n_areas = problem.system.n_states, len(problem.areas)
    resets = _resets(problem)
    before = np.nextafter(resets, -np.inf)
    before = before[before > problem.start_time]
    times = np.union1d(problem.times, before)
    system, names = _system(problem)
    saved = (*problem.saved, *names, *((_TOTAL,) if problem.system.closed else ()))
    start = np.concatenate([problem.start, np.zeros((len(problem.start), 2 * n_areas))], axis=1)
    bigger = replace(problem, system=system, times=times, saved=saved, y0=start, areas=())
    result = backend.solve(bigger, options, progress)
    first = len(problem.saved)
    raw = result.amount[:, :, first : first + 2 * n_areas]
    area = raw[:, :, :n_areas].copy()
    moment = times[:, None] * area - raw[:, :, n_areas:]
    _put_back(problem, times, resets, area, moment)
    rows = np.searchsorted(times, problem.times)
    given = np.ascontiguousarray(result.given[:, rows])
    balance = None
    if problem.system.closed:
        balance = result.amount[:, rows, first + 2 * n_areas] - given
    return replace(
        result,
        amount=np.ascontiguousarray(result.amount[:, rows, :first]),
        balance=balance,
        given=given,
        final=np.ascontiguousarray(result.final[:, :n]),
        area=area[:, rows],
        moment=moment[:, rows],
    )


def of_concentrations(problem: Problem, result: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    """(AUC [mg*h/L], AUMC [mg*h^2/L]) from the problem's start, each (n_subjects,
    n_times, n_areas).

    The arrays of `result` are used up: they become the answer, since a copy of them may
    not fit into memory.
    """
    area, moment = result.area, result.moment
    t, start = problem.times, problem.start_time
    for o, name in enumerate(problem.areas):
        observable = problem.system.observables[name]
        factor = np.reshape(observable.factor, (-1, 1))
        area[:, :, o] *= factor
        moment[:, :, o] *= factor
        if observable.offset is not None:
            offset = np.reshape(observable.offset, (-1, 1))
            area[:, :, o] += offset * (t - start)
            moment[:, :, o] += offset * (t**2 - start**2) / 2
    return area, moment


def _system(problem: Problem) -> tuple[System, tuple[str, ...]]:
    """The system with states A and B of each area at the end, and their names."""
    system, n, n_areas = problem.system, problem.system.n_states, len(problem.areas)
    names = tuple(f"{kind}[{name}]" for kind in ("area", "moment") for name in problem.areas)
    rows, columns, values = [], [], []
    for o, terms in enumerate(problem.area_terms()):
        sums: dict[int, float] = {}
        for state, weight in terms:
            sums[state] = sums.get(state, 0.0) + weight
        rows += [n + o] * len(sums) + [n + n_areas + o]
        columns += [*sums, n + o]
        values += [*sums.values(), 1.0]
    k = system.k_value
    more = np.broadcast_to(np.array(values), (len(k), len(values)))
    whole = Observable(tuple(range(n)), np.full(1, np.nan))
    return replace(
        system,
        states=(*system.states, *names),
        k_row=np.r_[system.k_row, rows],
        k_col=np.r_[system.k_col, columns],
        k_value=np.concatenate([k, more], axis=1),
        observables={**system.observables, _TOTAL: whole},
        parameters={},
        assemble=None,
    ), names


def _resets(problem: Problem) -> np.ndarray:
    """Times in (start, last time] at which a stop multiplies some subject's amounts by
    less than 1.
    """
    stops = problem.stops
    value = np.atleast_2d(stops.value)
    mine = (stops.kind == KEEP) & (value != 1).any(axis=0)
    t = np.unique(stops.time[mine])
    return t[(t > problem.start_time) & (t <= problem.times[-1])]


def _put_back(problem: Problem, times, resets, area, moment) -> None:
    """Add to A and t A - B what resets took away, from each reset on; in place."""
    for values in (area, moment):
        raw = values.copy()
        for time in resets:
            before = int(np.searchsorted(times, np.nextafter(time, -np.inf)))
            after = int(np.searchsorted(times, time))
            lost = 1.0 - _kept(problem.stops, time, len(values))
            values[:, after:] += (lost[:, None] * raw[:, before])[:, None]


def _kept(stops: StopTable, time: float, n: int) -> np.ndarray:
    """(n,) what the stops at `time` multiply each subject's amounts by."""
    kept = np.ones(n)
    for e in np.flatnonzero((stops.kind == KEEP) & (stops.time == time)):
        value = np.atleast_2d(stops.value)[:, e]
        if stops.subject[e] == -1:
            kept *= value
        else:
            kept[stops.subject[e]] *= value[0]
    return kept


__all__ = ["area_names", "of_concentrations", "solve", "with_area_states"]
