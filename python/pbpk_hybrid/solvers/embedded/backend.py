"""The embedded backend: packs over threads, failed packs again subject by subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...models.system.derivatives import parameter_names
from ..base import Availability, Problem, SolverOptions, Status, Trajectories, smallest_problem
from ..signs import judge_signs
from ..threads import run_in_threads, thread_count

#: packs per task: small enough to share evenly and to report progress, large enough not to be felt
_PACKS_PER_TASK = 16


class EmbeddedBackend:
    """Lane-packed, graph-sparse Rosenbrock integration, compiled by numba on first use
    and cached on disk.
    """

    name = "embedded"
    integrates_areas = True

    def available(self) -> Availability:
        """Whether numba can be imported, and why not."""
        try:
            import numba
        except ImportError as err:  # pragma: no cover - numba is a base dependency
            return Availability(False, f"numba cannot be imported: {err}")
        return Availability(True, f"numba {numba.__version__}")

    def solve(
        self,
        problem: Problem,
        options: SolverOptions,
        progress: Callable[[int], None] | None = None,
    ) -> Trajectories:
        """Integrate all subjects; see :class:`Trajectories`.

        `progress` is called with numbers of finished subjects.

        Raises
        ------
        InputError : method "expm" on a system with reactions
        """
        if options.method in ("auto", "expm"):
            from ..expm import pays_off, solve_exactly

            if options.method == "expm" or pays_off(problem):
                return solve_exactly(problem, options, progress)
        result, lowest = _integrate(problem, options, progress)
        judge_signs(problem, options, result, lowest)
        _retry_failed(problem, options, result)
        failed = result.status != Status.SUCCESS
        if failed.any():
            result.amount[failed] = np.nan
            result.final[failed] = np.nan
            for optional in (result.balance, result.sensitivity, result.area, result.moment):
                if optional is not None:
                    optional[failed] = np.nan
        return result


def _integrate(
    problem: Problem, options: SolverOptions, progress: Callable[[int], None] | None
) -> tuple[Trajectories, np.ndarray]:
    """The trajectories, and (n_subjects,) the smallest amount met in a guarded state, at most 0."""
    from .run import PackedRun

    run = PackedRun(problem, options)

    def make_worker() -> Callable[[int], None]:
        integrate = run.worker()

        def worker(task: int) -> None:
            a, b = task * _PACKS_PER_TASK, min(run.n_packs, (task + 1) * _PACKS_PER_TASK)
            integrate(a, b)
            if progress is not None:
                progress(run.subjects_before(b) - run.subjects_before(a))

        return worker

    run_in_threads(-(-run.n_packs // _PACKS_PER_TASK), thread_count(options.threads), make_worker)
    return run.trajectories(), run.lowest()


def _retry_failed(problem: Problem, options: SolverOptions, result: Trajectories) -> None:
    """Integrate every subject of a failed pack alone, so that only the one to blame is lost."""
    for s in np.flatnonzero(result.status != Status.SUCCESS):
        alone = problem.take(int(s))
        once, lowest = _integrate(alone, options, None)
        judge_signs(alone, options, once, lowest)
        result.amount[s], result.given[s], result.final[s] = (
            once.amount[0],
            once.given[0],
            once.final[0],
        )
        result.status[s], result.steps[s] = once.status[0], once.steps[0]
        for name in ("balance", "sensitivity", "area", "moment"):
            if (whole := getattr(result, name)) is not None:
                whole[s] = getattr(once, name)[0]


def warm_up(everything: bool = False) -> None:
    """Compile (or load from numba's disk cache) what `solve` needs, on a system of two states.

    Parameters
    ----------
    everything : bool
        Also sensitivities, exact solutions and steady states, which not every run needs.
    """
    problem, options = smallest_problem(), SolverOptions(threads=1)
    EmbeddedBackend().solve(problem, options)
    if not everything:
        return
    first = parameter_names(problem.system)[:1]
    EmbeddedBackend().solve(replace(problem, parameters=first), options)
    EmbeddedBackend().solve(problem, replace(options, method="expm"))
