"""Integrating a model that was assembled from a file: its corners and events per subject,
and its outputs as formulas.

Readers of other programs' models (PK-Sim, SBML) share this: they give an
:class:`AssembledModel`, times in the model's unit, and what they want to know as
expressions over states, time and parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._core.errors import InputError, SolveError, SubjectFailedWarning
from ..models.expressions.assembly import AssembledModel, given
from ..models.expressions.derivative import directional
from ..models.expressions.tree import Expression, evaluate, number, symbol, symbols
from .base import KEEP, Backend, Problem, SolverOptions, Status, StopTable, Trajectories

#: a saved time and a stop are the same if they differ by less than this share of them
SAME_TIME = 1e-10
#: largest amount that counts as the scale of the absolute tolerance, where a model starts with less
LEAST_SCALE = 1e-3


@dataclass(frozen=True, eq=False)
class ModelRun:
    """What came out.

    Parameters
    ----------
    values : (n_subjects, n_times, n_outputs)
    slopes : (n_subjects, n_times, n_outputs, n_parameters) derivatives by the parameters;
        None: none were asked for
    trajectories : what the backend returned
    """

    values: np.ndarray
    slopes: np.ndarray | None
    trajectories: Trajectories


def run_model(
    assembled: AssembledModel,
    times: np.ndarray,
    outputs: Mapping[str, Expression],
    backend: Backend,
    options: SolverOptions,
    *,
    sensitivities: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> ModelRun:
    """Integrate an assembled model for all its subjects.

    Parameters
    ----------
    times : ascending, in the model's unit of time; the first is not before the start
    outputs : name -> formula over states, discrete states, time and given parameters
    sensitivities : names of given parameters
    options : `max_step` in the model's unit of time; `atol` None: rtol x 1e-5 of the
        largest amount that the model starts with or that an event sets

    Raises
    ------
    InputError : a sensitivity by a parameter that moves the time of an event
    """
    system = assembled.system
    names = tuple(given(name) for name in sensitivities)
    _check_sensitivities(assembled, sensitivities)
    start = assembled.start
    needed = symbols(*outputs.values())
    saved = tuple(s for s in system.states if s in needed) or system.states[:1]
    stops, moments = _stops(assembled, times)
    if system.events is not None and system.events.n_switches:
        # every threshold adds an error of its own; with this, curves keep to what the
        # same rtol gives without any
        options = replace(options, rtol=max(1e-13, 0.3 * options.rtol))
    if options.atol is None:
        options = replace(options, atol=max(options.rtol * 1e-5, 1e-14) * _scale(assembled, start))
    problem = Problem(
        system,
        stops,
        moments,
        saved,
        assembled.start_time,
        start,
        names,
        start_slope=assembled.start_slope(names) if names else None,
    )
    result = backend.solve(problem, options, progress)
    known: dict[str, np.ndarray] = {s: result.amount[:, :, i] for i, s in enumerate(saved)}
    known[assembled.model.time] = times[None, :]
    known |= {k: v[:, None] for k, v in assembled.parameters.items()}
    shape = (system.n_subjects, len(times), len(outputs))
    values = _stack(evaluate(outputs.values(), known), shape[:2])
    slopes = None
    if names:
        slopes = np.empty((*shape, len(names)))
        seeds = {s: symbol(f"{s} slope") for s in saved}
        for q, name in enumerate(names):
            known |= {f"{s} slope": result.sensitivity[:, :, i, q] for i, s in enumerate(saved)}
            formulas = directional(outputs.values(), {**seeds, name: number(1.0)})
            slopes[..., q] = _stack(evaluate(formulas, known), shape[:2])
    return ModelRun(values, slopes, result)


def report_failures(status: np.ndarray, labels: Sequence, raise_on_failure: bool) -> None:
    """Say which subjects could not be integrated.

    Raises
    ------
    SolveError : there are some and `raise_on_failure` is set

    Warns
    -----
    SubjectFailedWarning : there are some
    """
    failed = np.flatnonzero(status != Status.SUCCESS)
    if not failed.size:
        return
    names = ", ".join(str(labels[s]) for s in failed[:5]) + (", ..." if failed.size > 5 else "")
    text = (
        f"{failed.size} of {len(labels)} subjects could not be integrated ({names}); "
        f"subject {labels[failed[0]]}: {Status(int(status[failed[0]])).advice}"
    )
    if raise_on_failure:
        raise SolveError(text)
    warnings.warn(text + "; their values are NaN", SubjectFailedWarning, stacklevel=5)


def _stack(columns: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    out = np.empty((*shape, len(columns)))
    for i, column in enumerate(columns):
        out[..., i] = column
    return out


def _scale(assembled: AssembledModel, start: np.ndarray) -> float:
    """The largest amount at the start, or that an event would set there."""
    system, program = assembled.system, assembled.system.events
    still = set(program.still) | {program.time} if program is not None else {assembled.model.time}
    moving = [i for i, s in enumerate(system.states) if s not in still]
    found = [start[:, moving].ravel()]
    if program is not None:
        known = {s: start[:, i] for i, s in enumerate(system.states)}
        known |= dict(zip(program.constants, program.values_of_constants.T, strict=True))
        set_to = [
            value
            for targets, values in zip(program.targets, program.values, strict=True)
            for target, value in zip(targets, values, strict=True)
            if target not in still
        ]
        found += [np.atleast_1d(v).ravel() for v in evaluate(set_to, known)]
    amounts = np.abs(np.concatenate(found))
    return max(float(amounts[np.isfinite(amounts)].max(initial=0.0)), LEAST_SCALE)


def _check_sensitivities(assembled: AssembledModel, names: Sequence[str]) -> None:
    for name in names:
        if given(name) not in assembled.parameters:
            raise InputError("sensitivities", name, "a parameter whose value was given")
        if moved := assembled.shifts.get(given(name)):
            raise InputError(
                "sensitivities",
                name,
                "a parameter on which no event's time depends",
                hint=f"it moves {moved}: simulate with two values of it and take the difference",
            )


def _stops(assembled: AssembledModel, times: np.ndarray) -> tuple[StopTable, np.ndarray]:
    """Where a formula has a corner or an event may happen; and the saved times, moved
    onto those that they equal.
    """
    corners = assembled.stops
    first, last = min(times[0], assembled.start_time), times[-1]
    inside = np.isfinite(corners) & (corners >= first) & (corners <= last)
    if len(corners) == 1:
        when = np.unique(corners[0][inside[0]])
        who = np.full(len(when), -1)
    else:
        pairs = [(s, t) for s, row in enumerate(corners) for t in np.unique(row[inside[s]])]
        who = np.array([s for s, _ in pairs], dtype=int)
        when = np.array([t for _, t in pairs], dtype=float)
    n = len(when)
    nothing = np.zeros(n, dtype=int)
    table = StopTable(who, when, np.full(n, KEEP), nothing, np.ones(n))
    return table, _snapped(np.asarray(times, dtype=float), np.unique(when))


def _snapped(times: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Times in their order, those within rounding of a stop moved onto it."""
    if not len(stops):
        return times
    right = np.clip(np.searchsorted(stops, times), 1, max(1, len(stops) - 1))
    near = [stops[np.clip(right - 1, 0, len(stops) - 1)], stops[np.clip(right, 0, len(stops) - 1)]]
    out = times.copy()
    for candidate in near:
        same = np.abs(candidate - times) <= SAME_TIME * np.maximum(1.0, np.abs(times))
        out[same] = candidate[same]
    return out if np.all(np.diff(out) > 0) else times


__all__ = ["ModelRun", "report_failures", "run_model"]
