"""Experiments of a PEtab problem as lanes: conditions, steady states, derivatives.

A period after the first begins with the state that the one before it has left. Its states are then
given numbers like any parameter, so that derivatives pass from period to period by the chain rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .._core.errors import InputError, SolveError
from ..models.expressions.assembly import AssembledModel, assemble_model, given
from ..models.expressions.derivative import derivatives
from ..models.expressions.tree import Expression, evaluate, number, substitute, symbol, symbols
from ..solvers.base import SolverOptions, Status
from ..solvers.model_runs import run_model
from ..solvers.select import choose_backend
from .equation_model import announce_compiling
from .petab_tables import Period
from .sbml_model import SBMLModel

#: times at which a steady state is looked for, in the model's unit, after the start
LADDER = tuple(10.0**k for k in range(0, 10))
#: a state has settled if between the last two it changes by less than this share of itself, or of
#: the largest state
SETTLED, SETTLED_OF_LARGEST = 1e-6, 1e-12


@dataclass(frozen=True, eq=False)
class Values:
    """Numbers and their derivatives by the estimated parameters.

    Parameters
    ----------
    value : (...,)
    slope : (..., n_parameters)
    """

    value: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True, eq=False)
class Point:
    """Where a problem is evaluated.

    Parameters
    ----------
    values : parameter -> number on the linear scale
    estimated : names of those that derivatives are wanted by
    """

    values: Mapping[str, float]
    estimated: tuple[str, ...]

    def of(self, formula: Expression, field: str) -> Values:
        """A formula over parameters.

        Raises
        ------
        InputError : a symbol that is no parameter
        """
        for name in symbols(formula):
            if name not in self.values:
                raise InputError(field, name, "a parameter of the parameter table")
        slope = np.zeros(len(self.estimated))
        for i, name in enumerate(self.estimated):
            if name in symbols(formula):
                slope[i] = float(evaluate(derivatives([formula], name), self.values)[0])
        return Values(np.float64(evaluate([formula], self.values)[0]), slope)


@dataclass(frozen=True, eq=False)
class Simulated:
    """What the model does in some experiments.

    Parameters
    ----------
    lanes : experiment -> its number
    times : (n_times,) saved
    columns : quantity -> its column
    values : (n_lanes, n_times, n_columns)
    slopes : (n_lanes, n_times, n_columns, n_given); None: none were asked for
    jacobian : (n_lanes, n_given, n_parameters) of what was given to the model, by the parameters
    """

    lanes: Mapping[str, int]
    times: np.ndarray
    columns: Mapping[str, int]
    values: np.ndarray
    slopes: np.ndarray | None
    jacobian: np.ndarray

    def at(self, lane: np.ndarray, row: np.ndarray, names: Sequence[str]) -> Values:
        """Quantities (n, n_names) at some lanes and times."""
        column = [self.columns[n] for n in names]
        value = self.values[lane[:, None], row[:, None], column]
        n_parameters = self.jacobian.shape[2]
        if self.slopes is None:
            return Values(value, np.zeros((*value.shape, n_parameters)))
        slope = self.slopes[lane[:, None], row[:, None], column]
        return Values(value, np.einsum("ncg,ngp->ncp", slope, self.jacobian[lane]))


@dataclass(eq=False)
class Simulator:
    """Runs the experiments of one problem.

    Parameters
    ----------
    model : the SBML model
    experiments : id -> periods
    version : of PEtab: whether changes of parameters last beyond their period (2) or not (1)
    wanted : quantities of the model that observables need
    options : how to integrate
    """

    model: SBMLModel
    experiments: Mapping[str, tuple[Period, ...]]
    version: int
    wanted: tuple[str, ...]
    options: SolverOptions
    _kept: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        ode = self.model.ode
        self.targets = tuple(
            dict.fromkeys(t for ps in self.experiments.values() for p in ps for t in p.changes)
        )
        for name in self.targets:
            if name not in self.model.quantities:
                known = list(self.model.quantities)
                raise self.model._unknown("condition table", name, known, "a quantity of the model")
        probe = assemble_model(ode, {})
        held = {*(() if probe.system.events is None else probe.system.events.still), ode.time}
        self.moving = tuple(s for s in probe.system.states if s not in held)
        self.expressed = self._what_changes_need()
        several = [n for n, ps in self.experiments.items() if len(ps) > 1]
        if several and ode.events:
            raise InputError(
                "experiments",
                several[0],
                "one period each, as the model has events",
                hint="whether an event has happened is not carried from one period to the next",
            )

    def _what_changes_need(self) -> tuple[str, ...]:
        """Quantities that a later period begins with: those in its formulas, and concentrations
        that stay as they are while their compartment changes its size."""
        model = self.model
        later = [c for ps in self.experiments.values() for p in ps[1:] for c in p.changes.items()]
        used = {s for _, formula in later for s in symbols(formula) if s in model.quantities}
        changed = {target for target, _ in later}
        inside = {s for s, c in model.compartment_of.items() if c in changed}
        own = {s for s in inside if model.start_names.get(s)} if self.version == 2 else set()
        return tuple(sorted(used | own))

    def state_of(self, target: str) -> str | None:
        """The moving state that a target sets at the start of a period; None: it is a constant."""
        for name in (target, f"amount({target})"):
            if name in self.moving:
                return name
        return None

    # -- what is given to the model --------------------------------------------------------------

    def run(
        self, point: Point, times: Mapping[str, Iterable[float]], slopes: bool
    ) -> dict[str, list[tuple[float, Simulated]]]:
        """Simulate all experiments up to the times of their measurements.

        Returns
        -------
        experiment -> its periods in order, each as (start, Simulated)
        """
        groups: dict[tuple[float, ...], list[str]] = {}
        for name in times:
            starts = tuple(p.start for p in self.experiments[name])
            groups.setdefault(starts, []).append(name)
        out: dict[str, list[tuple[float, Simulated]]] = {name: [] for name in times}
        for starts, names in groups.items():
            self._run_group(point, starts, names, times, slopes, out)
        return out

    def _run_group(self, point, starts, names, times, slopes: bool, out) -> None:
        state: dict[str, Values] | None = (
            None  # moving states, and what changes are calculated from
        )
        lasting: list[dict[str, Expression]] = [{} for _ in names]
        for k, start in enumerate(starts):
            changes = [dict(self.experiments[n][k].changes) for n in names]
            if self.version == 2:
                for own, new in zip(lasting, changes, strict=True):
                    own.update(new)
                changes_now = [dict(own) for own in lasting]
            else:
                changes_now = changes
            fresh = [set(c) for c in changes]
            until = starts[k + 1] if k + 1 < len(starts) else math.inf
            last = k + 1 == len(starts)
            every = sorted(
                {t for n in names for t in times[n] if start <= t and (last or t < until)}
            )
            begin = 0.0 if start == -math.inf else start
            known = self._given(point, changes_now, fresh, state, begin)
            if start == -math.inf:
                state = self._settle(known, begin, point, slopes, names)
                continue
            ends = [] if last else [until]
            simulated = self._stage(known, begin, every, ends, point, slopes, names)
            for name in names:
                out[name].append((start, simulated))
            if not last:
                state = self._states_at(simulated, -1)

    def _given(self, point: Point, changes, fresh, state, begin: float) -> dict[str, Values]:
        """Name in the equations -> (n_lanes,) values with slopes."""
        own = self._always(point)
        model = self.model
        out: dict[str, Values] = {}
        n = len(changes)
        repeated = lambda v: Values(np.full(n, v.value), np.tile(v.slope, (n, 1)))
        for name, value in own.items():
            moved = state is not None and self.state_of(name) is not None
            if not moved:
                out[model.start_name(name)] = repeated(value)
        targets = [t for t in self.targets if state is None or self.state_of(t) is None]
        for target in targets:
            out[model.start_name(target)] = self._lanes_of(target, changes, point, own, state)
        if state is not None:
            out |= {name: state[name] for name in self.moving}
            for target in self._sizes_first():
                if (name := self.state_of(target)) is not None:
                    out[name] = self._reset(target, name, changes, fresh, point, state, out)
        return out

    def _sizes_first(self) -> list[str]:
        """Targets, compartments before species; and species whose concentration stays."""
        sizes = set(self.model.compartment_of.values())
        more = [s for s in self.expressed if s not in self.targets and s in self.model.species]
        return sorted([*self.targets, *more], key=lambda t: t not in sizes)

    def _always(self, point: Point) -> dict[str, Values]:
        """Quantities of the model that the parameter table has a value of, in every condition."""
        known = self.model.quantities
        names = (n for n in point.values if n in known and n not in self.targets)
        return {n: point.of(symbol(n), n) for n in names}

    def _lanes_of(self, target: str, changes, point: Point, own, state) -> Values:
        """A target in each lane: from the condition, else the parameter table, else the model."""
        found = []
        for i, lane in enumerate(changes):
            if target in lane:
                found.append(self._changed(target, lane, point, state, i))
            elif target in point.values:
                found.append(point.of(symbol(target), target))
            else:
                found.append(self._of_model(target, changes, point, own))
        return Values(np.array([v.value for v in found]), np.array([v.slope for v in found]))

    def _changed(self, target: str, lane: Mapping[str, Expression], point, state, i: int) -> Values:
        """What a condition sets in lane `i`, by quantities as they were before the change."""
        formula = lane[target]
        names = sorted(symbols(formula) - point.values.keys())
        if not names:
            return point.of(formula, f"condition table, {target}")
        values = dict(point.values)
        slopes = {}
        for name in names:
            if state is not None and name in state:
                values[name], slopes[name] = state[name].value[i], state[name].slope[i]
            else:
                values[name] = self._plain_value(name, target, formula)
        own = Point(values, point.estimated).of(formula, f"condition table, {target}")
        slope = own.slope
        for name, by in slopes.items():
            slope = slope + float(evaluate(derivatives([formula], name), values)[0]) * by
        return Values(own.value, slope)

    def _plain_value(self, name: str, target: str, formula: Expression) -> float:
        """The number that the model gives a quantity, where nothing else does."""
        ode, own = self.model.ode, self.model.start_name(name)
        stated = ode.initial.get(own, ode.parameters.get(own))
        if stated is None or not stated.is_number or name in self.targets:
            raise InputError(
                f"condition table, {target}", str(formula), "a formula of parameters and numbers"
            )
        return stated.value

    def _of_model(self, target: str, changes, point: Point, own) -> Values:
        """The model's own value of a target, where a condition does not give one."""
        ode, name = self.model.ode, self.model.start_name(target)
        formula = ode.initial.get(name, ode.parameters.get(name))
        if formula.is_number:
            return Values(np.float64(formula.value), np.zeros(len(point.estimated)))
        others = {self.model.start_name(t) for lane in changes for t in lane}
        if (used := self._below(name)) & others - {name}:
            raise InputError(
                "condition table",
                target,
                f"a value in every condition: the model calculates it from {min(used & others)}",
            )
        base = self._assembled({self.model.start_name(n): float(v.value) for n, v in own.items()})
        if name in base.system.states:
            closed = base.start_formulas[base.system.states.index(name)]
        else:
            closed = substitute([base.formulas[name]], {ode.time: number(0.0)})[0]
        known = {given(self.model.start_name(n)): v.value for n, v in own.items()}
        slope = np.zeros(len(point.estimated))
        for n, v in own.items():
            by = given(self.model.start_name(n))
            if by in symbols(closed):
                slope = slope + float(evaluate(derivatives([closed], by), known)[0]) * v.slope
        return Values(np.float64(evaluate([closed], known)[0]), slope)

    def _below(self, name: str) -> set[str]:
        """Everything that a quantity is calculated from."""
        formulas = {**self.model.ode.initial, **self.model.ode.parameters}
        seen: set[str] = set()
        todo = [name]
        while todo:
            at = todo.pop()
            if at in formulas and at not in seen:
                seen.add(at)
                todo += symbols(formulas[at])
        return seen

    def _reset(self, target, name: str, changes, fresh, point, state, out) -> Values:
        """A state at a period's start: set where the condition says so, else as it was."""
        value, slope = state[name].value.copy(), state[name].slope.copy()
        for i, lane in enumerate(changes):
            if target in fresh[i]:
                new = self._changed(target, lane, point, state, i)
            elif self._keeps_concentration(target, fresh[i]):
                new = Values(state[target].value[i], state[target].slope[i])
            else:
                continue
            value[i], slope[i] = new.value, new.slope
            if name != target:  # the target is a concentration, the state an amount
                size = self._size(self.model.measures[target].species, i, out, state)
                slope[i] = new.slope * size.value + new.value * size.slope
                value[i] = new.value * size.value
        return Values(value, slope)

    def _keeps_concentration(self, target: str, fresh: set[str]) -> bool:
        """Version 2: a compartment that is set leaves the concentrations in it as they were."""
        where = self.model.compartment_of.get(target)
        return self.version == 2 and where in fresh and target in self.model.start_names

    def _size(self, species: str, lane: int, out, state) -> Values:
        """Size of a species' compartment in a lane."""
        where = self.model.compartment_of[species]
        for source in (out, state):
            if where in source:
                return Values(source[where].value[lane], source[where].slope[lane])
        own = self.model.ode.parameters.get(where)
        if own is None or not own.is_number:
            raise InputError("condition table", species, "a species in a compartment of known size")
        any_of_them = next(iter(state.values())).slope
        return Values(np.float64(own.value), np.zeros(any_of_them.shape[1]))

    # -- running it -----------------------------------------------------------------------------

    def _assembled(self, values: Mapping[str, float], begin: float = 0.0) -> AssembledModel:
        key = (frozenset(values), begin)
        if key not in self._kept:
            self._kept[key] = assemble_model(
                self.model.ode, values, start_time=begin, time_switches=True
            )
            announce_compiling(self._kept[key].system)
        kept = self._kept[key]
        return kept.with_values({k: np.atleast_1d(v) for k, v in values.items()})

    def _stage(
        self, known, begin: float, times, ends, point: Point, slopes: bool, names
    ) -> Simulated:
        """One period of all lanes; states are saved at `ends` too."""
        self._assembled({k: float(v.value[0]) for k, v in known.items()}, begin)
        kept = self._kept[frozenset(known), begin]
        labels = np.array(names)
        assembled = kept.with_values({k: v.value for k, v in known.items()}, labels)
        by = [k for k, v in known.items() if slopes and np.any(v.slope)]
        saved = np.array(sorted({*times, *ends} or {begin}))
        finite = saved[np.isfinite(saved)]
        infinite = len(finite) < len(saved)  # measured in steady state
        solved = np.union1d(finite, begin + np.array(LADDER[-2:])) if infinite else finite
        wanted = dict.fromkeys(self.wanted)
        if ends or infinite:
            wanted |= dict.fromkeys((*self.moving, *self.expressed))
        outputs = {n: self._output(n, assembled) for n in wanted}
        backend, _ = choose_backend("embedded")
        run = run_model(assembled, solved, outputs, backend, self.options, sensitivities=by)
        bad = np.flatnonzero(run.trajectories.status != Status.SUCCESS)
        if bad.size:
            status = Status(int(run.trajectories.status[bad[0]]))
            raise SolveError(f"experiment {labels[bad[0]]}: {status.advice}")
        keep = np.searchsorted(solved, finite)
        if infinite:
            self._check_settled(run.values[:, -2:], tuple(wanted), labels)
            keep = np.append(keep, len(solved) - 1)
        by_given = None if run.slopes is None else run.slopes[:, keep]
        n, count = len(labels), len(point.estimated)
        jacobian = np.stack([known[k].slope for k in by], axis=1) if by else np.zeros((n, 0, count))
        lanes = {name: i for i, name in enumerate(names)}
        columns = {name: i for i, name in enumerate(wanted)}
        return Simulated(lanes, saved, columns, run.values[:, keep], by_given, jacobian)

    def _output(self, name: str, assembled: AssembledModel) -> Expression:
        return symbol(name) if name in assembled.system.states else assembled.formulas[name]

    def _settle(self, known, begin: float, point: Point, slopes: bool, names) -> dict[str, Values]:
        """The steady state before the experiments.

        Raises
        ------
        InputError : states do not come to rest
        """
        # lanes with equal conditions (one preequilibration for many) are integrated once
        rows = np.concatenate([v.value[:, None] for v in known.values()], axis=1)
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        which = which.reshape(-1)
        few = {k: Values(v.value[first], v.slope[first]) for k, v in known.items()}
        tight = replace(self, options=replace(self.options, rtol=min(self.options.rtol, 1e-10)))
        tight._kept = self._kept
        times = [begin + t for t in LADDER]
        found = tight._stage(
            few, begin, times, times[-1:], point, slopes, [names[i] for i in first]
        )
        columns = [found.columns[s] for s in self.moving]
        self._check_settled(found.values[:, -2:, columns], self.moving, [names[i] for i in first])
        state = self._states_at(found, -1)
        return {k: Values(v.value[which], v.slope[which]) for k, v in state.items()}

    def _states_at(self, simulated: Simulated, row: int) -> dict[str, Values]:
        """Moving states, and what changes are calculated from, of each lane at one time."""
        n = len(simulated.lanes)
        row = row % len(simulated.times)
        names = tuple(dict.fromkeys((*self.moving, *self.expressed)))
        at = simulated.at(np.arange(n), np.full(n, row), names)
        return {s: Values(at.value[:, i], at.slope[:, i]) for i, s in enumerate(names)}

    def _check_settled(self, last: np.ndarray, names: Sequence[str], labels) -> None:
        """(n_lanes, 2, n) values at the last two times."""
        move = np.abs(last[:, 1] - last[:, 0])
        largest = np.abs(last[:, 1]).max(axis=1, keepdims=True)
        allowed = SETTLED * np.abs(last[:, 1]) + SETTLED_OF_LARGEST * largest
        lane, state = np.nonzero(move > allowed)
        if len(lane):
            raise InputError(
                "steady state",
                f"{names[state[0]]} in {labels[lane[0]]}",
                "a state that comes to rest before the experiment",
                hint=f"it still moves after {LADDER[-1]:g} units of time",
            )


__all__ = ["Point", "Simulated", "Simulator", "Values"]
