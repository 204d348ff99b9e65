"""From a Problem to the table of arrays that Julia reads and fills: addresses and shapes,
nothing copied that need not be.

The order of the arrays is that of ``FLAT`` in ``julia/src/flat.jl``. C-ordered NumPy
arrays of shape (a, b, c) are Julia arrays of shape (c, b, a) on the same memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base import Problem, SolverOptions, Trajectories
from .expressions import event_list, operation_list


@dataclass(frozen=True, eq=False)
class FlatProblem:
    """A Problem as Julia sees it.

    Parameters
    ----------
    table : (n_arrays, 4) int64: address and up to three dimensions, in Julia's order
    arrays : the arrays themselves, kept alive while Julia uses them
    result : Trajectories whose arrays Julia fills
    counts : numbers of states, subjects and steps allowed; and the last subject that is done,
        which Julia writes
    """

    table: np.ndarray
    arrays: tuple[np.ndarray, ...]
    result: Trajectories
    counts: np.ndarray

    @property
    def last_done(self) -> int:
        """The last subject (from 1) whose results are there."""
        return int(self.counts[3])

    @property
    def address(self) -> int:
        """Address of the table in memory, as Julia takes it."""
        return self.table.ctypes.data


def flatten(problem: Problem, options: SolverOptions) -> FlatProblem:
    """The table of a problem, and empty results for Julia to fill."""
    system, stops = problem.system, problem.stops
    n_subjects, n, n_times = system.n_subjects, system.n_states, len(problem.times)
    result = _empty_result(problem)
    terms = problem.saved_terms()
    reactions = system.reactions
    counts = _ints([n, n_subjects, options.max_steps, 0])
    arrays = (
        _ints(system.k_row),
        _ints(system.k_col),
        _floats(system.k_value),
        _ints([r.rate_law.code for r in reactions]),
        _ints([len(r.reactants) for r in reactions]),
        _ints([s for r in reactions for s in r.reactants]),
        _ints([len(r.stoichiometry) for r in reactions]),
        _ints([s for r in reactions for s in r.stoichiometry]),
        _floats([v for r in reactions for v in r.stoichiometry.values()]),
        _ints([r.parameters.shape[1] for r in reactions]),
        _parameters(problem),
        _ints([len(t) for t in terms]),
        _ints([s for t in terms for s, _ in t]),
        _floats([w for t in terms for _, w in t]),
        _ints(stops.subject),
        _floats(stops.time),
        _ints(stops.kind),
        _ints(stops.state),
        _floats(np.atleast_2d(stops.value)),
        _floats(problem.times),
        _floats(problem.start),
        _floats(problem.tolerance(options)),
        _floats([problem.start_time, options.rtol, options.max_step]),
        counts,
        result.amount,
        result.balance if result.balance is not None else np.empty((0, n_times)),
        result.given,
        result.final,
        result.status,
        result.steps,
        *operation_list(system).arrays,
        *event_list(system).arrays,
    )
    table = np.zeros((len(arrays), 4), dtype=np.int64)
    for row, array in zip(table, arrays, strict=True):
        row[0] = array.ctypes.data
        row[1 : 1 + array.ndim] = array.shape[::-1]
    return FlatProblem(table, arrays, result, counts)


def _empty_result(problem: Problem) -> Trajectories:
    """Arrays for Julia to fill."""
    system, n_times = problem.system, len(problem.times)
    n = system.n_subjects
    return Trajectories(
        amount=np.empty((n, n_times, len(problem.saved))),
        balance=np.empty((n, n_times)) if system.closed else None,
        given=np.empty((n, n_times)),
        final=np.empty((n, system.n_states)),
        status=np.zeros(n, dtype=np.int8),
        steps=np.zeros((n, 2), dtype=np.int64),
    )


def _ints(values) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.int64)


def _floats(values) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float64)


def _parameters(problem: Problem) -> np.ndarray:
    """(1 or n_subjects, all reaction parameters)."""
    blocks = [r.parameters for r in problem.system.reactions]
    if not blocks:
        return np.zeros((1, 0))
    rows = max(len(b) for b in blocks)
    return _floats(np.concatenate([np.broadcast_to(b, (rows, b.shape[1])) for b in blocks], axis=1))
