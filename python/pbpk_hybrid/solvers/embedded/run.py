"""One problem in packs: its arrays in the kernel's order, work for each thread, results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...models.system.derivatives import parameter_derivatives
from ..base import Problem, SolverOptions, Trajectories
from . import event_lanes, expressions, pack
from .areas import area_arrays
from .kernel_arrays import (
    BLOCK,
    Control,
    Lanewise,
    Method,
    Model,
    PackDerivatives,
    PackEvents,
    Results,
    Stops,
)
from .lanes import LANES, aligned_lanes
from .rosenbrock import integrate_packs
from .stops import pack_stops
from .tableaus import tableau


class PackedRun:
    """A problem as :func:`.rosenbrock.integrate_packs` takes it.

    Parameters
    ----------
    problem : of any number of subjects
    options : method, tolerances and limits
    """

    def __init__(self, problem: Problem, options: SolverOptions):
        system = problem.system
        self.problem, self.options, self.tableau = problem, options, tableau(options.integrator)
        self.derivatives = parameter_derivatives(system, problem.parameters)
        self.n_subjects, self.n_packs = system.n_subjects, pack.pack_count(system.n_subjects)
        self.times = np.ascontiguousarray(problem.times, dtype=float)
        self.model = Model(*pack.structure(system, problem.saved_terms()))
        weights = self.tableau.stage_weights
        self.method = Method(weights, self.tableau.gamma, self.tableau.error_order)
        self.control = Control(options.rtol, options.max_steps, 1e-14, float(options.max_step))
        self.values = self._values()
        stops = pack_stops(problem.stops, self.n_subjects, system.plan.place)
        self.stops = Stops(stops.first, stops.time, stops.ptr, stops.kind, stops.state, stops.value)
        self.results = self._results()
        shape = (self.n_subjects, len(self.times), len(problem.areas))
        self.area, self.moment = np.empty(shape), np.empty(shape)
        self._prepare_sensitivities()
        self.of_packs = self._events()

    def _values(self) -> Lanewise:
        """Coefficients, tolerances and start, with the pack as first axis."""
        problem, n_subjects = self.problem, self.n_subjects
        base, par = pack.coefficient_lanes(problem.system)
        atol = pack.to_lanes(problem.tolerance(self.options)[:, None], n_subjects)
        y = pack.to_lanes(problem.start[:, problem.system.plan.order], n_subjects)
        # Lanes without a subject hold nothing and never set the step. Expressions may not
        # be defined for nothing (a volume of zero): there these lanes go along as copies of
        # the last subject.
        if n_subjects % LANES and not any(r.law == "expression" for r in problem.system.reactions):
            y[-1, :, n_subjects % LANES :] = 0.0
        return Lanewise(base, par, atol, y)

    def _results(self) -> Results:
        n_subjects, n_times = self.n_subjects, len(self.times)
        return Results(
            np.empty((n_subjects, n_times, len(self.problem.saved))),
            np.empty((n_subjects if self.problem.system.closed else 0, n_times)),
            np.empty((n_subjects, n_times)),
            np.zeros((self.n_packs, 3), dtype=np.int64),
            aligned_lanes(self.n_packs, 1),
        )

    def _prepare_sensitivities(self) -> None:
        """Derivatives by pack, and where sensitivities go; None where none are wanted."""
        self.sensitivity = self.of_parameters = None
        if not self.derivatives:
            return
        problem, n = self.problem, len(self.derivatives)
        starts = pack.start_slope_lanes(problem.system, problem.start_slope, n)
        self.kd, kd_values, dpars, self.n_par = pack.derivative_lanes(
            problem.system, self.derivatives
        )
        self.of_parameters = PackDerivatives(kd_values, dpars, starts)
        self.sensitivity = np.empty((self.n_subjects, len(self.times), len(problem.saved), n))

    def _events(self) -> PackEvents | None:
        system = self.problem.system
        if system.events is None:
            return None
        directions = aligned_lanes(0, 1)
        if self.derivatives:
            directions = event_lanes.per_pack_directions(system, self.derivatives, self.n_subjects)
        return PackEvents(event_lanes.per_pack_constants(system, self.n_subjects), directions)

    def subjects_before(self, n_packs: int) -> int:
        """How many subjects the first packs hold."""
        return min(n_packs * LANES, self.n_subjects)

    def worker(self) -> Callable[[int, int], None]:
        """What integrates packs a..b, with scratch of its own: one for each thread."""
        system, stages = self.problem.system, self.tableau.stages
        work = pack.scratch(system, stages, len(self.tableau.H))
        sens = None
        if self.derivatives:
            sens = pack.sensitivity_scratch(
                system, stages, len(self.derivatives), self.kd, self.n_par, self.sensitivity
            )
        areas = area_arrays(system, self.problem.area_terms(), self.tableau, self.area, self.moment)
        expr = expressions.expression_arrays(
            system,
            self.model.structure.r_ptr,
            pack.parameter_rows(system),
            bool(self.derivatives),
        )
        rows = -(-len(self.derivatives) // BLOCK) * BLOCK
        events = expressions.event_arrays(system, aligned_lanes(1), rows)

        def integrate(a: int, b: int) -> None:
            integrate_packs(
                self.model,
                self.method,
                self.control,
                self.values,
                self.times,
                self.stops,
                self.problem.start_time,
                work,
                self.results,
                sens,
                self.of_parameters,
                areas,
                expr,
                events,
                self.of_packs,
                self.n_subjects,
                a,
                b,
            )

        return integrate

    def lowest(self) -> np.ndarray:
        """(n_subjects,) the smallest amount met in a guarded state [mg], at most 0."""
        return self.results.lowest.reshape(-1)[: self.n_subjects]

    def trajectories(self) -> Trajectories:
        """The results subject by subject, states in the System's order."""
        problem, n = self.problem, self.n_subjects
        place = problem.system.plan.place
        # (pack, state, lane) -> (subject, state)
        final = self.values.y.transpose(0, 2, 1).reshape(self.n_packs * LANES, -1)[:n][:, place]
        per_subject = np.repeat(self.results.statistics, LANES, axis=0)[:n]
        return Trajectories(
            amount=self.results.out,
            balance=self.results.balance if problem.system.closed else None,
            given=self.results.given,
            final=np.ascontiguousarray(final),
            status=per_subject[:, 2].astype(np.int8),
            steps=per_subject[:, :2].copy(),
            facts={
                "backend": "embedded",
                "method": self.tableau.name,
                "rtol": self.options.rtol,
                "atol": self.options.atol_fact,
                "lanes": LANES,
                "method_reference": self.tableau.reference,
            },
            sensitivity=self.sensitivity,
            derivatives=tuple(self.derivatives),
            area=self.area if problem.areas else None,
            moment=self.moment if problem.areas else None,
        )
