"""The backend ``cuda``: a batch of subjects at a time, one thread each.

Untested on CUDA: no machine with such a device has run it yet. The algorithm of a thread is tested
on the CPU against the embedded backend, and the launch in numba's simulator
(``NUMBA_ENABLE_CUDASIM=1``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._core.errors import InputError
from ..base import KEEP, Availability, Problem, SolverOptions, Status, Trajectories
from ..embedded.tableaus import tableau
from ..signs import judge_signs
from .integrator import (
    KNOWN,
    Control,
    Doses,
    Results,
    Structure,
    Values,
    Weights,
    Work,
    as_type,
)

#: subjects of a launch, and threads of a block
MOST_THREADS, BLOCK = 131_072, 64
#: share of the device's free memory that a batch may take
_SHARE = 0.6
#: single precision resolves six digits; below this tolerance a step's error is rounding
LEAST_RTOL_SINGLE = 1e-5


class CudaBackend:
    """Rosenbrock integration on an NVIDIA GPU through numba-cuda, in double or single precision.

    Untested on CUDA.

    Parameters
    ----------
    single
        Amounts in single precision: about three digits less; rtol is at least 1e-5.
    """

    integrates_areas = False

    def __init__(self, single: bool = False) -> None:
        self.single = single
        self.real: Any = np.float32 if single else np.float64
        self.name = "cuda32" if single else "cuda"

    def available(self) -> Availability:
        """Whether numba finds a CUDA device, and why not."""
        try:
            from numba import cuda
        except ImportError as error:
            return Availability(False, f"numba's CUDA target cannot be imported: {error}")
        try:
            if not cuda.is_available():
                return Availability(False, "numba finds no CUDA device or driver")
            of_now = getattr(cuda, "get_current_device", None)  # the simulator has none
            device = of_now().name if of_now is not None else "numba's simulator of a device"
        except Exception as error:  # the driver's own error types
            return Availability(False, f"the CUDA driver does not start: {error}")
        shown = device.decode() if isinstance(device, bytes) else str(device)
        return Availability(True, f"{shown}; untested on CUDA")

    def solve(
        self,
        problem: Problem,
        options: SolverOptions,
        progress: Callable[[int], None] | None = None,
    ) -> Trajectories:
        """Integrate all subjects; see :class:`Trajectories`.

        Raises
        ------
        InputError
            Sensitivities, events, laws written as text, or in single precision a tolerance below
            1e-5.
        """
        if options.method == "expm":  # on the CPU: small dense products
            from ..expm import solve_exactly

            return solve_exactly(problem, options, progress)
        self._refuse(problem, options)
        run = Batches(problem, options, self.real)
        first = 0
        while first < run.n_subjects:
            count = min(self._batch(run), run.n_subjects - first)
            run.take(first, count, self._integrate(run, first, count))
            if progress is not None:
                progress(count)
            first += count
        result = run.trajectories(self.name)
        judge_signs(problem, options, result, run.lowest)
        failed = result.status != Status.SUCCESS
        for values in (result.amount, result.final, result.balance):
            if values is not None:
                values[failed] = np.nan
        return result

    def _refuse(self, problem: Problem, options: SolverOptions) -> None:
        hint = "use backend='embedded'"
        if problem.parameters:
            raise InputError("sensitivities", problem.parameters, "none on cuda", hint=hint)
        if problem.system.events is not None:
            raise InputError("events", "events of a model", "none on cuda", hint=hint)
        for reaction in problem.system.reactions:
            if reaction.law not in KNOWN:
                expected = f"on cuda one of {', '.join(KNOWN)}"
                raise InputError(
                    f"reaction {reaction.name}: law", reaction.law, expected, hint=hint
                )
        if self.single and options.rtol < LEAST_RTOL_SINGLE:
            raise InputError(
                "rtol",
                options.rtol,
                f"at least {LEAST_RTOL_SINGLE:g} in single precision",
                hint="SolverOptions(rtol=1e-5), or backend='cuda'",
            )

    def _batch(self, run: Batches) -> int:
        """Subjects that a launch takes: what fits into the device's memory."""
        from numba import cuda

        try:
            free = cuda.current_context().get_memory_info()[0]
        except (AttributeError, NotImplementedError):  # the simulator has no memory of its own
            free = 2**30
        return int(max(1, min(MOST_THREADS, _SHARE * free / run.bytes_per_subject)))

    def _integrate(self, run: Batches, first: int, count: int) -> Results:
        from numba import cuda

        from .device import kernel_of

        arrays = run.arrays(first, count)
        work, results = run.empty(count)
        moved = [_to_device(cuda, group) for group in arrays]
        scratch = Work(*(cuda.device_array(a, self.real) for a in work))
        found = _to_device(cuda, results)
        blocks = -(-count // BLOCK)
        st, w, values, doses, times = moved
        control = Control(*(float(c) for c in run.control))
        kernel_of(self.single)[blocks, BLOCK](
            count, st, w, values, doses, times, control, scratch, found
        )
        return Results(*(a.copy_to_host() for a in found))


def _to_device(cuda: Any, group: Any) -> Any:
    """Arrays on the device."""
    if isinstance(group, np.ndarray):
        return cuda.to_device(group)
    return type(group)(*(cuda.to_device(a) for a in group))


class Batches:
    """A problem as threads take it, batch by batch, and what they found.

    Parameters
    ----------
    problem, options
        As for every backend.
    real
        Type of amounts.
    """

    def __init__(self, problem: Problem, options: SolverOptions, real: Any) -> None:
        from ..embedded import pack

        system = problem.system
        self.problem, self.options, self.real = problem, options, real
        self.n_subjects, self.tableau = system.n_subjects, tableau(options.integrator)
        whole, stoich, out = pack.structure(system, problem.saved_terms())
        self.structure = as_type(
            Structure(*(getattr(whole, f) for f in Structure._fields)), np.int32
        )
        stages = self.tableau.stage_weights
        weights = (stages.c, stages.D, stages.a, stages.A, stages.h, stages.H)
        self.weights = as_type(Weights(stoich, out, *weights), real)
        self.times = np.ascontiguousarray(problem.times, dtype=float)
        self.control = Control(
            self.tableau.gamma,
            self.tableau.error_order,
            options.rtol,
            options.max_steps,
            1e-14,
            float(options.max_step),
            float(problem.start_time),
        )
        self._subjects()
        shape = (self.n_subjects, len(self.times))
        self.amount = np.empty((*shape, len(problem.saved)))
        self.total, self.given = np.empty(shape), np.empty(shape)
        self.final = np.empty((self.n_subjects, system.n_states))
        self.statistics = np.empty((self.n_subjects, 3), dtype=np.int64)
        self.lowest = np.empty(self.n_subjects)

    def _subjects(self) -> None:
        """(subjects or 1, rows) of what differs between subjects."""
        system = self.problem.system
        parts = [
            np.broadcast_to(r.parameters, (self.n_subjects, r.parameters.shape[1]))
            for r in system.reactions
        ]
        par = np.concatenate(parts, axis=1) if parts else np.zeros((1, 1))
        start = self.problem.start[:, system.plan.order]
        atol = self.problem.tolerance(self.options)[:, None]
        if self.real is np.float32:
            atol = np.maximum(atol, np.float32(1e-30))
        self.of_subjects = (-system.k_value, par if par.shape[1] else np.zeros((1, 1)), atol, start)

    @property
    def bytes_per_subject(self) -> float:
        """What a subject takes on the device, about."""
        work, results = self.empty(1)
        sizes = [np.prod(s, dtype=float) for s in work] + [a.size for a in results]
        return np.dtype(self.real).itemsize * (
            sum(sizes) + sum(a.shape[1] for a in self.of_subjects)
        )

    def arrays(self, first: int, count: int) -> tuple[Any, ...]:
        """Structure, weights, values, doses and times for subjects first to first + count."""

        def rows(values: np.ndarray) -> np.ndarray:
            some = values if len(values) == 1 else values[first : first + count]
            return np.ascontiguousarray(some.T, dtype=self.real)

        values = Values(*(rows(v) for v in self.of_subjects))
        return self.structure, self.weights, values, self._doses(first, count), self.times

    def _doses(self, first: int, count: int) -> Doses:
        stops = self.problem.stops
        place = self.problem.system.plan.place
        if stops.shared:
            order, counts = np.arange(len(stops.time)), np.array([len(stops.time)])
            value = np.atleast_2d(stops.value)
            value = value if len(value) == 1 else value[first : first + count]
        else:
            # what everybody gets stands in every subject's list, in the order of the table
            everyone = np.flatnonzero(stops.subject == -1)
            lists = []
            for s in range(first, first + count):
                a, b = np.searchsorted(stops.subject, [s, s + 1])
                one = np.concatenate([everyone, np.arange(a, b)])
                kept = stops.kind[one] != KEEP
                lists.append(one[np.lexsort((kept, stops.time[one]))])
            counts = np.array([len(one) for one in lists])
            order = np.concatenate(lists) if lists else np.zeros(0, int)
            value = stops.value[order][None, :]
        return Doses(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            np.ascontiguousarray(stops.time[order], dtype=float),
            np.ascontiguousarray(stops.kind[order], dtype=np.int32),
            np.ascontiguousarray(place[stops.state[order]], dtype=np.int32),
            np.ascontiguousarray(value.T, dtype=self.real),
        )

    def empty(self, count: int) -> tuple[Work, Results]:
        """Shapes of the scratch, and arrays for the results, of so many subjects."""
        system = self.problem.system
        n, stages = system.n_states, self.tableau.stages
        reactants = max(1, len(self.structure.r_state))
        rows = (n, stages * n, n, system.plan.n_entries, reactants, n, n)
        work = Work(*((r, count) for r in rows))
        t = len(self.times)
        results = Results(
            np.zeros((t, len(self.problem.saved), count), self.real),
            np.zeros((t, count), self.real),
            np.zeros((t, count), self.real),
            np.zeros((n, count), self.real),
            np.zeros((3, count), np.int64),
            np.zeros(count, self.real),
        )
        return work, results

    def take(self, first: int, count: int, found: Results) -> None:
        """Keep the results of a batch."""
        some = slice(first, first + count)
        self.amount[some] = found.out.transpose(2, 0, 1)
        self.total[some], self.given[some] = found.total.T, found.given.T
        self.final[some] = found.final.T[:, self.problem.system.plan.place]
        self.statistics[some] = found.statistics.T
        self.lowest[some] = found.lowest

    def trajectories(self, backend: str) -> Trajectories:
        """The results of all batches."""
        closed = self.problem.system.closed
        return Trajectories(
            amount=self.amount,
            balance=self.total - self.given if closed else None,
            given=self.given,
            final=self.final,
            status=self.statistics[:, 2].astype(np.int8),
            steps=self.statistics[:, :2].copy(),
            facts={
                "backend": backend,
                "method": self.tableau.name,
                "rtol": self.options.rtol,
                "atol": self.options.atol_fact,
                "precision": np.dtype(self.real).name,
                "method_reference": self.tableau.reference,
            },
        )
