r"""From a model as a file states it to a System: what is linear goes to the matrix, the
rest becomes reactions.

Every formula is written in terms of states, time and parameters. A right-hand side is then split,

.. math:: \dot y_i = \sum_j K_{ij}(p)\,y_j + \sum_m S_{im}\,v_m(y, t, p),

and in each v the largest parts without states are computed once per subject. A term that
two right-hand sides share with different factors (what leaves one compartment enters
another) is one reaction.

Quantities that events change are discrete states: rows of y that only events move. Time
is a state of its own, with slope 1, where a rate depends on it: a Rosenbrock method then
needs no derivative by time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..._core.errors import InputError
from ..system.named import with_values
from ..system.signs import signed_by_equations
from ..system.system import Coefficients, Reaction, System
from .derivative import directional
from .events import EventProgram, EventQueue
from .linear import split_linear
from .ode_model import OdeModel, resolve
from .printing import text_of
from .tree import (
    Expression,
    add,
    apply,
    dependencies,
    div,
    evaluate,
    mul,
    number,
    postorder,
    rewrite,
    substitute,
    symbol,
    symbols,
    where,
)

#: two times are the same if they differ by less than this share of them: what rounding
#: leaves of a sum of times
SAME_TIME = 1e-11


@dataclass(frozen=True, eq=False)
class ModelCoefficients:
    """Parameters -> Coefficients of an assembled model; complex numbers pass through.

    Parameters
    ----------
    entries : of the matrix
    constants : of each reaction
    events : constants of the events; None: there are none
    """

    entries: tuple[Expression, ...]
    constants: tuple[tuple[Expression, ...], ...]
    events: tuple[Expression, ...] | None = None

    def __call__(self, parameters: Mapping[str, np.ndarray]) -> Coefficients:
        roots = [
            *self.entries,
            *(c for group in self.constants for c in group),
            *(self.events or ()),
        ]
        numbers = iter(evaluate(roots, parameters))
        k = stack_columns([next(numbers) for _ in self.entries])
        groups = tuple(stack_columns([next(numbers) for _ in group]) for group in self.constants)
        events = None if self.events is None else stack_columns(list(numbers))
        return Coefficients(k, groups, {}, event_constants=events)


def stack_columns(numbers: Sequence[np.ndarray]) -> np.ndarray:
    """(n_subjects or 1, n) from n numbers or arrays (n_subjects,)."""
    if not numbers:
        return np.zeros((1, 0))
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(v) for v in numbers)), axis=1)


@dataclass(frozen=True, eq=False)
class AssembledModel:
    """A model ready to be integrated.

    Parameters
    ----------
    system : the equations; unit of time as in the model
    start_formulas : of each state, over what is given
    corners : times at which formulas have corners or events may happen, over what is given
    outputs : name -> formula over states, discrete states, time and parameters
    parameters : name -> (n_subjects or 1,) numbers that the formulas take
    formulas : name of a parameter -> formula over the same
    shifts : given numbers (names of `parameters`) that move the time of an event or
        corner -> what moves
    start_time : at which the start holds
    """

    model: OdeModel
    system: System
    start_formulas: tuple[Expression, ...]
    corners: tuple[Expression, ...]
    outputs: Mapping[str, Expression]
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    formulas: Mapping[str, Expression] = field(default_factory=dict)
    shifts: Mapping[str, str] = field(default_factory=dict)
    start_time: float = 0.0

    def with_values(
        self,
        values: Mapping[str, np.ndarray | float],
        subjects: Sequence | np.ndarray | None = None,
    ) -> AssembledModel:
        """The same equations for other subjects: other numbers for exactly the names that
        were given before.

        Parameters
        ----------
        values : as in :func:`assemble_model`
        subjects : labels; None: one subject

        Raises
        ------
        InputError : other names, a shape that does not fit, a value that is not finite
        """
        n = 1 if subjects is None else len(subjects)
        base = _checked(values, n)
        if base.keys() != self.parameters.keys():
            raise InputError("values", sorted(values), f"the names {sorted(self.parameters)}")
        labels = np.arange(n) if subjects is None else np.asarray(subjects)
        system = replace(
            self.system,
            n_subjects=n,
            subjects=labels,
            k_value=self.system.k_value[:1],
            reactions=tuple(replace(r, parameters=r.parameters[:1]) for r in self.system.reactions),
            events=None if self.system.events is None else self.system.events.take(slice(0, 1)),
        )
        if base:
            parameters = {k: np.broadcast_to(v, (n,)) for k, v in base.items()}
            system = with_values(system, parameters, base)
        return replace(self, system=system, parameters=base)

    @cached_property
    def start(self) -> np.ndarray:
        """(n_subjects or 1, n_states) state at the start."""
        return stack_columns(evaluate(self.start_formulas, self.parameters))

    @cached_property
    def stops(self) -> np.ndarray:
        """(n_subjects or 1, n) times of corners, not sorted; infinite or NaN where a
        subject has none.
        """
        return stack_columns(evaluate(self.corners, self.parameters))

    def start_slope(self, names: Sequence[str]) -> np.ndarray | None:
        """(n_subjects or 1, n_states, n) derivative of the start by given parameters;
        None: it depends on none.
        """
        columns = []
        for name in names:
            formulas = directional(self.start_formulas, {name: number(1.0)})
            columns.append(stack_columns(evaluate(formulas, self.parameters)))
        slope = np.stack(np.broadcast_arrays(*columns), axis=2) if columns else np.zeros(1)
        return slope if np.any(slope) else None


def assemble_model(
    model: OdeModel,
    values: Mapping[str, np.ndarray | float] | None = None,
    *,
    n_subjects: int = 1,
    subjects: np.ndarray | None = None,
    start_time: float = 0.0,
    reported_before: bool = False,
    time_switches: bool = False,
) -> AssembledModel:
    """The System of a model for some subjects.

    Parameters
    ----------
    values : parameter (or state, for its initial value) -> a number, or (n_subjects,)
    subjects : labels
    start_time : at which the initial values hold
    reported_before : what is saved at the time of an event is the state before it
    time_switches : comparisons of time in rates are discrete states too, so that no stage of a
        step sees the rate behind a jump at its end. Without, such a step is cut until its error
        passes, which it may not at tight tolerances

    Raises
    ------
    InputError, UnknownNameError : a name that the model does not have, a shape that does
        not fit, a value that is not finite
    """
    base = _checked(values or {}, n_subjects)
    replaced = model.with_parameters({name: symbol(given(name)) for name in values or {}}, base)
    assembly = _Assembly(replaced, base, n_subjects, subjects, start_time)
    assembly.time_switches = time_switches
    return assembly.build(model, reported_before)


def given(name: str) -> str:
    """The symbol, in the formulas of an assembled model, of a number given for a parameter."""
    return f"{name} given"


def _checked(values: Mapping[str, np.ndarray | float], n_subjects: int) -> dict[str, np.ndarray]:
    """Symbol -> (n_subjects or 1,) of what is given."""
    base = {}
    for name, value in values.items():
        numbers = np.atleast_1d(np.asarray(value, dtype=float))
        if numbers.shape not in ((1,), (n_subjects,)):
            raise InputError(f"values[{name}]", numbers.shape, f"one number or {n_subjects}")
        if not np.isfinite(numbers).all():
            wrong = float(numbers[~np.isfinite(numbers)][0])
            raise InputError(f"values[{name}]", wrong, "a finite number")
        base[given(name)] = numbers
    return base


class _Assembly:
    """One pass from formulas to coefficients."""

    def __init__(self, model: OdeModel, base, n_subjects: int, subjects, start_time: float) -> None:
        self.model, self.base = model, dict(base)
        self.n_subjects, self.subjects, self.start_time = n_subjects, subjects, start_time
        self.discrete: dict[str, Expression] = {}  # discrete state -> value at the start
        self.modes: dict[str, tuple[str, str, list[Expression]]] = {}
        self._conditions: list[Expression] = []
        self._switches: list[tuple[str, Expression]] = []
        self._corner_switches: set[str] = set()  # those at which the rate is continuous
        self._event_constants: tuple[Expression, ...] | None = None
        self.time_switches = False
        self.formulas = self._closed_formulas()

    # -- formulas in terms of states, time and numbers ------------------------------------------

    def _closed_formulas(self) -> dict[str, Expression]:
        """Every parameter's formula over states, discrete states, time and what is given."""
        model = self.model
        moving = self._moving_states()
        self.states = tuple(s for s in model.states if s in moving)
        formulas = dict(model.parameters)
        # a state that nothing moves is a number, the one that it has at the start
        fixed = [s for s in model.states if s not in moving]
        if fixed:
            at_start = self._at_start({**dict(model.initial), **dict(model.parameters)})
            formulas |= {s: at_start[s] for s in fixed}
        changed: dict[str, list[Expression]] = {}
        for event in model.events:
            for a in event.assignments:
                if a.target not in moving:
                    changed.setdefault(a.target, []).append(a.value if a.keeps_formula else None)
        for name, alternatives in changed.items():
            formulas |= self._switched(name, formulas[name], alternatives)
        return resolve(formulas, kept=self.states)

    def _moving_states(self) -> set[str]:
        zero = number(0.0)
        assigned = {a.target for e in self.model.events for a in e.assignments}
        moving = {s for s, rate in self.model.rates.items() if rate is not zero or s in assigned}
        # a model in which nothing moves has a state all the same: its first, or time
        return moving or set(self.model.states[:1])

    def _switched(self, name: str, first: Expression, alternatives) -> dict[str, Expression]:
        """A parameter that events change: which of its formulas is in force is a discrete
        state, and so is the number that an event has given it."""
        mode, held = f"{name} formula in force", f"{name} number given by an event"
        value = first
        kept = list(dict.fromkeys(f for f in alternatives if f is not None))
        for i, formula in enumerate(kept):
            value = where(_is(symbol(mode), i + 2), formula, value)
        if None in alternatives:
            value = where(_is(symbol(mode), 1), symbol(held), value)
            self.discrete[held] = number(0.0)
        self.discrete[mode] = number(0.0)
        self.modes[name] = mode, held, kept
        return {name: value}

    def closed(self, expressions: Iterable[Expression]) -> list[Expression]:
        """Expressions of the model in terms of states, discrete states, time and what is given."""
        return substitute(expressions, self.formulas)

    # -- the system -----------------------------------------------------------------------------

    def build(self, original: OdeModel, reported_before: bool = False) -> AssembledModel:
        model = self.model
        rates = dict(
            zip(self.states, self.closed(model.rates[s] for s in self.states), strict=True)
        )
        time = model.time
        rates = self._frozen(rates)
        events = self._events(rates)
        if events is not None:
            events = replace(events, reported_before=reported_before)
        # a model without states (parameters, events and observers only) has time as its state
        if not rates or events is not None:
            rates[time] = number(1.0)
        self.names = (*rates, *self.discrete)
        self.index = {name: i for i, name in enumerate(self.names)}
        entries, terms = self._split(rates)
        reactions, constants = self._reactions(terms)
        assemble = ModelCoefficients(
            tuple(entries.values()), tuple(constants), self._event_constants
        )
        coefficients = assemble(self.base)
        reactions = [
            replace(r, parameters=p)
            for r, p in zip(reactions, coefficients.reaction_parameters, strict=True)
        ]
        rows, columns = zip(*entries, strict=True) if entries else ((), ())
        system = System(
            self.names,
            np.array(rows, dtype=np.int64),
            np.array(columns, dtype=np.int64),
            coefficients.k_value,
            tuple(reactions),
            {},
            {},
            parameters={k: np.broadcast_to(v, (self.n_subjects,)) for k, v in self.base.items()},
            assemble=assemble if self.base else None,
            n_subjects=self.n_subjects,
            subjects=self.subjects,
            events=events,
            signed=self._signed(),
        )
        # a file may forbid what its own equations do (PK-Sim's saliva gland gives what it
        # never got)
        taken = [n for n, free in zip(self.names, signed_by_equations(system), strict=True) if free]
        system = replace(system, signed=(*system.signed, *taken))
        outputs = dict(zip(model.outputs, self.closed(model.outputs.values()), strict=True))
        corners = self._corners(rates)
        return AssembledModel(
            original,
            system,
            self._start(),
            corners,
            outputs,
            dict(self.base),
            self.formulas,
            self._shifts(corners, rates),
            self.start_time,
        )

    def _shifts(
        self, corners: Sequence[Expression], rates: Mapping[str, Expression]
    ) -> dict[str, str]:
        """Given number -> the event, or corner, whose time depends on it; a sensitivity
        would miss that.
        """
        moved: dict[str, str] = {}
        own = set(self.base)
        reached = self._reached(rates)
        for corner in corners:
            for name in symbols(corner) & own:
                moved.setdefault(name, "the time at which a formula changes")
        tainted = self._tainted()
        for event, condition in zip(self.model.events, self._conditions, strict=True):
            used = symbols(condition)
            touched = used.union(*(tainted.get(s, ()) for s in used))
            touched = touched.union(*(reached.get(s, ()) for s in touched))
            for name in touched & own:
                moved[name] = f"the time of event {event.name!r}"
        for name, condition in self._switches:
            if name in self._corner_switches:
                continue  # the rate does not jump there, and its derivative does not either
            used = symbols(condition)
            for given_name in used.union(*(reached.get(s, ()) for s in used)) & own:
                moved.setdefault(
                    given_name, f"the time at which it changes {name.removeprefix('whether ')}"
                )
        return moved

    def _reached(self, rates: Mapping[str, Expression]) -> dict[str, frozenset[str]]:
        """State -> given numbers that it depends on, by way of other states and of what
        events set.
        """
        start = dict(zip(self.names, self._start(), strict=True))
        conditions = dict(self._switches)
        uses = {s: set(symbols(rate)) | symbols(start[s]) for s, rate in rates.items()}
        for s in self.discrete:
            uses[s] = set(symbols(start[s]))
            if s in conditions:
                uses[s] |= symbols(conditions[s])
        for event in self.model.events:
            for a in event.assignments:
                places = [a.target] if a.target in uses else self.modes[a.target][:2]
                for place in places:
                    if place in uses:
                        uses[place] |= symbols(self.closed([a.value])[0])
        own = set(self.base)
        reached = {s: names & own for s, names in uses.items()}
        changed = True
        while changed:
            changed = False
            for s, names in uses.items():
                size = len(reached[s])
                reached[s].update(*(reached[n] for n in names if n in reached))
                changed |= len(reached[s]) > size
        return {s: frozenset(names) for s, names in reached.items()}

    def _tainted(self) -> dict[str, frozenset[str]]:
        """Discrete state -> names of what its values come from, also by way of other
        discrete states.
        """
        comes_from: dict[str, set[str]] = {d: set() for d in self.discrete}
        for event in self.model.events:
            for a in event.assignments:
                if a.target in self.modes and not a.keeps_formula:
                    held = self.modes[a.target][1]
                    comes_from[held] |= symbols(self.closed([a.value])[0])
        for _ in comes_from:
            size = sum(map(len, comes_from.values()))
            for names in comes_from.values():
                names.update(*(comes_from[n] for n in tuple(names) if n in comes_from))
            if sum(map(len, comes_from.values())) == size:
                break
        return {d: frozenset(names) for d, names in comes_from.items()}

    def _signed(self) -> tuple[str, ...]:
        """States that may be negative: those the file allows, time, and what only events change."""
        free = {*self.model.may_be_negative, self.model.time, *self.discrete}
        return tuple(name for name in self.index if name in free)

    def _split(self, rates: Mapping[str, Expression]):
        """(row, column) -> coefficient; and nonlinear term -> {row: factor}."""
        continuous = set(rates)
        moving = {*continuous, *self.discrete}
        entries: dict[tuple[int, int], Expression] = {}
        terms: dict[Expression, dict[int, float]] = {}
        for name, rate in rates.items():
            row = self.index[name]
            linear, rest = split_linear(rate, continuous, moving)
            for state, coefficient in linear.items():
                entries[row, self.index[state]] = coefficient
            for term in rest.args if rest.op == "add" else (rest,):
                factor, core = _factor(term)
                if factor == 0.0:
                    continue
                gains = terms.setdefault(core, {})
                gains[row] = gains.get(row, 0.0) + factor
        return entries, terms

    def _reactions(self, terms):
        """One reaction per term; and the constants that each takes, as expressions."""
        moving = set(self.names)
        roots = list(terms)
        depends = dependencies(roots)
        discrete = set(self.discrete)
        replaced, constants = _with_constants(roots, moving, depends, "c")
        reactions = []
        taken = []
        for m, (term, rate) in enumerate(zip(roots, replaced, strict=True)):
            used = symbols(rate)
            reactants = tuple(
                self.index[s] for s in sorted(used & moving - discrete, key=self.index.get)
            )
            own = tuple(c for c in constants if c in used)
            taken.append(tuple(constants[c] for c in own))
            reactions.append(
                Reaction(
                    f"term {m + 1}",
                    "expression",
                    reactants,
                    terms[term],
                    np.zeros((1, len(own))),
                    expression=rate,
                    inputs={s: self.index[s] for s in sorted(used & moving, key=self.index.get)},
                    symbols=own,
                )
            )
        return reactions, taken

    # -- numbers --------------------------------------------------------------------------------

    def _numbers(self, expressions: Iterable[Expression]) -> list[np.ndarray]:
        return evaluate(expressions, self.base)

    def _stack(self, numbers: Sequence[np.ndarray]) -> np.ndarray:
        return stack_columns(numbers)

    def _at_start(self, formulas: Mapping[str, Expression]) -> dict[str, Expression]:
        """Formulas at the start time, where states are their initial values."""
        time = {self.model.time: number(self.start_time)}
        return resolve({k: substitute([v], time)[0] for k, v in formulas.items()})

    def _start(self) -> tuple[Expression, ...]:
        """State at the start; initial values may use each other and every parameter."""
        closed = self._at_start(
            {**{s: self.model.initial[s] for s in self.states}, **self.formulas, **self.discrete}
        )
        time = number(self.start_time)
        return tuple(closed.get(name, time) for name in self.names)

    # -- events and corners ---------------------------------------------------------------------

    def _frozen(self, rates: Mapping[str, Expression]) -> dict[str, Expression]:
        """Rates in which a comparison of a state with a threshold is a discrete state
        that an event sets.

        Within a step nothing jumps then, and steps end at thresholds. (A step whose
        stages lie on both sides of a jump can look accurate and go nowhere, since they
        cancel.) Signs, thresholds of zero, stay as they are: amounts that have died away
        change theirs by rounding.
        """
        states = {*self.states, self.model.time} if self.time_switches else set(self.states)
        frozen: dict[Expression, Expression] = {}
        for node in postorder(rates.values()):
            if node.op not in ("lt", "le"):
                continue
            linear, rest = split_linear(node.args[0] - node.args[1], states)
            zero = rest.is_number and rest.value == 0.0 and self.model.time not in linear
            if linear and not zero and not symbols(rest, *linear.values()) & states:
                # a <= b is not (b < a): thresholds between neighbours need one switch, not two
                below = node if node.op == "lt" else apply("lt", node.args[1], node.args[0])
                side = symbol(self._switch(below))
                frozen[node] = side if node is below else 1.0 - side
        if frozen:
            new = rewrite(rates.values(), lambda node, _: frozen.get(node))
            rates = dict(zip(rates, new, strict=True))
        return self._one_side(rates)

    def _switch(self, below: Expression, corner: bool = False) -> str:
        """Name of the discrete state that says whether a comparison holds.

        `corner`: the rate is continuous where it changes.
        """
        # texts of long comparisons are cut, so that two of them may read the same
        name = f"whether {text_of(below)}"
        while self.discrete.get(name, below) is not below:
            name += "'"
        if name not in self.discrete:
            self.discrete[name] = below
            self._switches.append((name, below))
            if corner:
                self._corner_switches.add(name)
        return name

    def _one_side(self, rates: Mapping[str, Expression]) -> dict[str, Expression]:
        """Rates in which the smaller, or larger, of a number and a quantity is one of
        them within a step.

        A step over such a corner is refused until it is short; one that ends there is not.
        """
        moving = {*self.states, *self.discrete}
        depends = dependencies(list(rates.values()))

        def one(node: Expression, args: tuple[Expression, ...]) -> Expression | None:
            if node.op not in ("min", "max") or len(args) != 2:
                return None
            fixed = [moving.isdisjoint(depends[a]) for a in node.args]
            if sum(fixed) != 1 or node.args[fixed.index(True)] is number(0.0):
                return None
            side = symbol(self._switch(apply("lt", *args), corner=True))
            first, second = args if node.op == "min" else args[::-1]
            return where(side, first, second)

        return dict(zip(rates, rewrite(rates.values(), one), strict=True))

    def _events(self, rates: Mapping[str, Expression]) -> EventProgram | None:
        """Events and switches; without any, a program that only says which state is time."""
        model = self.model
        timed = any(model.time in symbols(rate) for rate in rates.values())
        if not (model.events or self._switches or timed):
            return None
        self._conditions = self.closed(e.condition for e in model.events)
        conditions = [_tolerant(c, model.time) for c in self._conditions]
        targets: list[list[str]] = []
        values: list[list[Expression]] = []
        for event in model.events:
            targets.append([])
            values.append([])
            for a in event.assignments:
                value = self.closed([a.value])[0]
                if a.target in self.states:
                    targets[-1].append(a.target)
                    values[-1].append(value)
                    continue
                mode, held, kept = self.modes[a.target]
                targets[-1].append(mode)
                if a.keeps_formula:
                    values[-1].append(number(float(kept.index(a.value) + 2)))
                else:
                    values[-1].append(number(1.0))
                    targets[-1].append(held)
                    values[-1].append(value)
        for name, condition in self._switches:
            conditions += [condition, apply("not", condition)]
            targets += [[name], [name]]
            values += [[number(1.0)], [number(0.0)]]
        return self._program(conditions, targets, values, self._priorities())

    def _priorities(self) -> list[Expression]:
        """Of events that queue; empty where none does."""
        queued = [e.queued for e in self.model.events]
        if not any(queued):
            return []
        if not all(queued):
            raise InputError("events", "some queued", "all events of a model queued, or none")
        least = number(-np.inf)
        return self.closed(least if e.priority is None else e.priority for e in self.model.events)

    def _program(self, conditions, targets, values, priorities) -> EventProgram:
        """Conditions, values and priorities with their constants taken out."""
        model = self.model
        # names of states are not numbered yet: rates come after events
        moving = {*self.states, *self.discrete, model.time}
        roots = [*conditions, *(v for group in values for v in group), *priorities]
        replaced, constants = _with_constants(roots, moving, dependencies(roots), "e")
        parts = iter(replaced)
        conditions = tuple(next(parts) for _ in conditions)
        values = tuple(tuple(next(parts) for _ in group) for group in values)
        queue = None
        if priorities:
            queue = EventQueue(
                tuple(parts),
                tuple(e.persistent for e in model.events),
                tuple(e.values_at_trigger for e in model.events),
                tuple(e.true_before for e in model.events),
            )
        numbers = self._numbers(constants.values())
        self._event_constants = tuple(constants.values())
        return EventProgram(
            conditions,
            tuple(tuple(group) for group in targets),
            values,
            (*(e.once for e in model.events), *(False for _ in conditions[len(model.events) :])),
            tuple(constants),
            self._stack(numbers),
            tuple(self.discrete),
            model.time,
            n_switches=2 * len(self._switches),
            queue=queue,
        )

    def _corners(self, rates: Mapping[str, Expression]) -> tuple[Expression, ...]:
        """Times at which a formula has a corner or an event may happen."""
        time = self.model.time
        roots = list(rates.values())
        roots += self._conditions
        moving = {*self.names} - {time}
        depends = dependencies(roots)
        found: list[Expression] = []
        for node in postorder(roots):
            if node.op in ("lt", "le", "eq", "ne"):
                found += _zeros(node.args[0] - node.args[1], time, moving)
            elif node.op in ("min", "max") and time in depends[node]:
                found += _zeros(node.args[0] - node.args[-1], time, moving)
            elif node.op == "abs" and time in depends[node]:
                found += _zeros(node.args[0], time, moving)
            elif node.op == "table" and time in depends[node]:
                for x in node.value.x:
                    found += _zeros(node.args[0] - x, time, moving)
        return tuple(dict.fromkeys(found))


def _is(mode: Expression, value: int) -> Expression:
    """Whether a discrete state has a value; interpolation between steps may leave its
    last digit off.
    """
    return apply("lt", apply("abs", mode - float(value)), 0.5)


def _factor(term: Expression) -> tuple[float, Expression]:
    """(number, rest) of a product."""
    if term.is_number:
        return term.value, number(1.0)
    if term.op == "mul" and term.args[0].is_number:
        return term.args[0].value, mul(*term.args[1:])
    return 1.0, term


def _with_constants(roots, moving: set[str], depends, prefix: str):
    """Expressions in which the largest parts without states are symbols; and those
    symbols' expressions.
    """
    constants: dict[Expression, str] = {}
    new: dict[Expression, Expression] = {}
    fixed = lambda node: moving.isdisjoint(depends[node])

    def argument(node: Expression) -> Expression:
        """The node as an argument of one that moves."""
        if not fixed(node):
            return new[node]
        if node.is_number:
            return node
        return symbol(constants.setdefault(node, f"{prefix}[{len(constants)}]"))

    for node in postorder(roots):
        if fixed(node):
            continue
        if node.op == "symbol":
            new[node] = node
            continue
        if node.op in ("add", "mul") and sum(fixed(a) for a in node.args) > 1:
            build = add if node.op == "add" else mul
            still = build(*(a for a in node.args if fixed(a)))
            depends.setdefault(still, frozenset(symbols(still)))
            moved = [new[a] for a in node.args if not fixed(a)]
            new[node] = build(argument(still), *moved)
            continue
        table = node.value if node.op == "table" else None
        new[node] = apply(node.op, *(argument(a) for a in node.args), table=table)
    out = [argument(root) if fixed(root) else new[root] for root in roots]
    return out, {name: node for node, name in constants.items()}


def _zeros(difference: Expression, time: str, moving: set[str]) -> list[Expression]:
    """Times at which a difference that is linear in time alone is zero."""
    used = symbols(difference)
    if time not in used or used & moving:
        return []
    linear, rest = split_linear(difference, [time])
    if time in symbols(rest) or time not in linear:
        return []
    return [div(mul(-1.0, rest), linear[time])]


def _tolerant(condition: Expression, time: str) -> Expression:
    """A condition in which times are equal if they differ by rounding alone."""
    depends = dependencies([condition])

    def near(node: Expression, args: tuple[Expression, ...]) -> Expression | None:
        if node.op != "eq" or time not in depends[node]:
            return None
        scale = add(1.0, apply("abs", args[0]))
        return apply("le", apply("abs", args[0] - args[1]), mul(SAME_TIME, scale))

    return rewrite([condition], near)[0]


__all__ = ["AssembledModel", "EventProgram", "assemble_model", "given"]
