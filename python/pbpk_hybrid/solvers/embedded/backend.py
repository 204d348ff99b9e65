"""The embedded backend: packs over threads, failed packs again subject by subject."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...models.system.derivatives import parameter_derivatives
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
        if options.method == "expm":
            from ..expm import solve_exactly

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
    problem: Problem, options: SolverOptions, progress
) -> tuple[Trajectories, np.ndarray]:
    """The trajectories, and (n_subjects,) the smallest amount met in a guarded state, at most 0."""
    from . import event_lanes, expressions, pack, rosenbrock
    from .areas import area_arrays
    from .kernel_arrays import Control
    from .lanes import LANES, aligned_lanes
    from .sensitivity import BLOCK
    from .stops import pack_stops
    from .tableaus import tableau

    system, method = problem.system, tableau(options.method)
    derivatives = parameter_derivatives(system, problem.parameters)
    n_subjects, n, n_times = system.n_subjects, system.n_states, len(problem.times)
    st, stoich, saved_weights = pack.structure(system, problem.saved_terms())
    base, par = pack.coefficient_lanes(system)
    stops = pack_stops(problem.stops, n_subjects, system.plan.place)
    atol = pack.to_lanes(problem.tolerance(options)[:, None], n_subjects)
    y = pack.to_lanes(problem.start[:, system.plan.order], n_subjects)
    packs = len(base)
    # Lanes without a subject hold nothing and never set the step. Expressions may not be
    # defined for nothing (a volume of zero): there these lanes go along as copies of the
    # last subject.
    if n_subjects % LANES and not any(r.law == "expression" for r in system.reactions):
        y[-1, :, n_subjects % LANES :] = 0.0
    out = np.empty((n_subjects, n_times, len(problem.saved)))
    given = np.empty((n_subjects, n_times))
    balance = np.empty((n_subjects if system.closed else 0, n_times))
    statistics = np.zeros((packs, 3), dtype=np.int64)
    lowest = aligned_lanes(packs, 1)
    control = Control(options.rtol, options.max_steps, 1e-14, float(options.max_step))
    times = np.ascontiguousarray(problem.times, dtype=float)
    area, moment = (np.empty((n_subjects, n_times, len(problem.areas))) for _ in range(2))
    kd = kd_values = dpars = n_par = sensitivity = starts = None
    if derivatives:
        starts = pack.start_slope_lanes(system, problem.start_slope, len(derivatives))
        kd, kd_values, dpars, n_par = pack.derivative_lanes(system, derivatives)
        sensitivity = np.empty((n_subjects, n_times, len(problem.saved), len(derivatives)))

    stage_weights = method.stage_weights
    event_constants = event_directions = None
    if system.events is not None:
        event_constants = event_lanes.per_pack_constants(system, n_subjects)
        event_directions = aligned_lanes(0, 1)
        if derivatives:
            event_directions = event_lanes.per_pack_directions(system, derivatives, n_subjects)

    def make_worker():
        work = pack.scratch(system, method.stages, len(method.H))
        sens = None
        if derivatives:
            sens = pack.sensitivity_scratch(
                system, method.stages, len(derivatives), kd, n_par, sensitivity
            )
        areas = area_arrays(system, problem.area_terms(), method, area, moment)
        rate = aligned_lanes(n)
        expr = expressions.expression_arrays(
            system, st.r_ptr, pack.parameter_rows(system), bool(derivatives)
        )
        events = expressions.event_arrays(
            system, aligned_lanes(1), -(-len(derivatives) // BLOCK) * BLOCK
        )

        def worker(task: int) -> None:
            a, b = task * _PACKS_PER_TASK, min(packs, (task + 1) * _PACKS_PER_TASK)
            rosenbrock.integrate_packs(
                st,
                stoich,
                saved_weights,
                stage_weights,
                method.gamma,
                method.error_order,
                control,
                base,
                par,
                atol,
                times,
                stops.first,
                stops.time,
                stops.ptr,
                stops.kind,
                stops.state,
                stops.value,
                problem.start_time,
                y,
                rate,
                work,
                out,
                balance,
                given,
                sens,
                kd_values,
                dpars,
                areas,
                starts,
                expr,
                events,
                event_constants,
                event_directions,
                n_subjects,
                a,
                b,
                statistics,
                lowest,
            )
            if progress is not None:
                progress(min(b * LANES, n_subjects) - a * LANES)

        return worker

    run_in_threads(-(-packs // _PACKS_PER_TASK), thread_count(options.threads), make_worker)
    final = y.transpose(0, 2, 1).reshape(packs * LANES, n)[:n_subjects][:, system.plan.place]
    per_subject = np.repeat(statistics, LANES, axis=0)[:n_subjects]
    trajectories = Trajectories(
        amount=out,
        balance=balance if system.closed else None,
        given=given,
        final=np.ascontiguousarray(final),
        status=per_subject[:, 2].astype(np.int8),
        steps=per_subject[:, :2].copy(),
        facts={
            "backend": "embedded",
            "method": method.name,
            "rtol": options.rtol,
            "atol": options.atol_fact,
            "lanes": LANES,
            "method_reference": method.reference,
        },
        sensitivity=sensitivity,
        derivatives=tuple(derivatives),
        area=area if problem.areas else None,
        moment=moment if problem.areas else None,
    )
    return trajectories, lowest.reshape(-1)[:n_subjects]


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


def warm_up() -> None:
    """Compile (or load from numba's disk cache) everything `solve` needs, on a system of
    two states.
    """
    EmbeddedBackend().solve(smallest_problem(), SolverOptions(threads=1))
