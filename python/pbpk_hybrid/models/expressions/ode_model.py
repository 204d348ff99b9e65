"""A model as a file states it: quantities by name, each with an initial value, a rate or
a formula; events; outputs.

This is what readers of other programs' models make. :mod:`.assembly` turns it into a
:class:`System`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any

from ..._core.errors import InputError, unknown_name
from .tree import Expression, as_expression, number, postorder, substitute, symbols

#: formulas of one model; a file that claims more is refused before work begins
MAX_FORMULAS = 200_000


@dataclass(frozen=True)
class Assignment:
    """What an event does to one quantity.

    Parameters
    ----------
    target : name of a state or parameter
    value : what it becomes
    keeps_formula : a parameter follows `value` from then on; False: it keeps the number
        that `value` has at the event. A state always takes the number.
    """

    target: str
    value: Expression
    keeps_formula: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happens when a condition becomes true; assignments happen in order.

    Parameters
    ----------
    name : for messages
    condition : true where it is not zero
    assignments : what happens
    once : at most one time
    queued : events of one time happen by priority, and each may undo or cause others, as
        in SBML; False: in their order
    priority : of queued events; the highest first (None: the lowest)
    persistent : a queued event still happens if another one has made its condition false
    values_at_trigger : its assignments have the values of when its condition became true
    true_before : its condition counts as true before the start, so that it does not happen there
    """

    name: str
    condition: Expression
    assignments: tuple[Assignment, ...]
    once: bool = True
    queued: bool = False
    priority: Expression | None = None
    persistent: bool = True
    values_at_trigger: bool = False
    true_before: bool = False


def _plain(value: Any) -> Any:
    """Events, assignments and expressions as tuples of texts and numbers."""
    if isinstance(value, Expression):
        return value.node_table()
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if is_dataclass(value):
        return tuple(_plain(getattr(value, f.name)) for f in fields(value))
    return value


@dataclass(frozen=True, eq=False)
class OdeModel:
    """States, parameters, events and outputs; formulas may use every name, and `time`.

    Parameters
    ----------
    rates : state -> dy/dt [unit of the state per unit of time]
    initial : state -> value at the start, a formula of parameters and of other initial values
    parameters : name -> number or formula
    outputs : name -> formula that is reported besides the states
    events : in the order in which they are looked at
    time : the symbol of time
    units : name -> unit, where the file says one
    may_be_negative : states that may fall below zero
    given : further symbols that formulas may use; whoever assembles the model gives their values

    Raises
    ------
    InputError, UnknownNameError : a name that is nothing, or twice something; formulas
        that need each other
    """

    rates: Mapping[str, Expression]
    initial: Mapping[str, Expression]
    parameters: Mapping[str, Expression] = field(default_factory=dict)
    outputs: Mapping[str, Expression] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    time: str = "time"
    units: Mapping[str, str] = field(default_factory=dict)
    may_be_negative: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in ("rates", "initial", "parameters", "outputs"):
            given = {k: as_expression(v) for k, v in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(given))
        self._check()

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: read-only mappings cannot be sent."""
        return {k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            kept = MappingProxyType(value) if isinstance(value, dict) else value
            object.__setattr__(self, name, kept)

    def digest(self) -> str:
        """SHA-256 of all that results depend on: equal for equal models, in every process."""
        found = hashlib.sha256()
        for group in (self.rates, self.initial, self.parameters, self.outputs):
            for name, formula in group.items():
                found.update(repr((name, formula.node_table())).encode())
        others = (self.time, sorted(self.units.items()), sorted(self.may_be_negative))
        found.update(repr((_plain(self.events), others, sorted(self.given))).encode())
        return found.hexdigest()

    def _check(self) -> None:
        if not (self.rates or self.outputs or self.parameters):
            raise InputError("states", 0, "at least one state, output or parameter")
        total = len(self.rates) + len(self.parameters) + len(self.outputs)
        if total > MAX_FORMULAS:
            raise InputError("formulas", total, f"at most {MAX_FORMULAS}")
        twice = set(self.rates) & set(self.parameters)
        if twice:
            raise InputError("names", sorted(twice)[:5], "a state or a parameter, not both")
        if self.time in self.rates or self.time in self.parameters:
            raise InputError("time", self.time, "a name that no state and no parameter has")
        if set(self.initial) != set(self.rates):
            raise InputError(
                "initial",
                sorted(set(self.initial) ^ set(self.rates))[:5],
                "one initial value for each state",
            )
        known = {*self.rates, *self.parameters, *self.given, self.time}
        for what, formulas in self._formulas():
            for used in symbols(*formulas):
                if used not in known:
                    raise unknown_name(what, used, known, what="a state or parameter of the model")
        for event in self.events:
            for assignment in event.assignments:
                if assignment.target not in known or assignment.target == self.time:
                    raise unknown_name(
                        f"event {event.name}",
                        assignment.target,
                        known,
                        what="a state or parameter of the model",
                    )

    def _formulas(self) -> Iterable[tuple[str, list[Expression]]]:
        yield "rates", list(self.rates.values())
        yield "initial values", list(self.initial.values())
        yield "parameters", list(self.parameters.values())
        yield "outputs", list(self.outputs.values())
        for event in self.events:
            values = [a.value for a in event.assignments]
            first = [] if event.priority is None else [event.priority]
            yield f"event {event.name}", [event.condition, *first, *values]

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in order."""
        return tuple(self.rates)

    def with_parameters(
        self, values: Mapping[str, Expression | float], given: Iterable[str] = ()
    ) -> OdeModel:
        """The same model with other values or formulas of some parameters (or initial
        values of states), and further symbols.

        Raises
        ------
        UnknownNameError : a name that is neither
        """
        parameters, initial = dict(self.parameters), dict(self.initial)
        for name, value in values.items():
            if name in parameters:
                parameters[name] = as_expression(value)
            elif name in initial:
                initial[name] = as_expression(value)
            else:
                raise unknown_name("parameters", name, {**parameters, **initial})
        more = self.given | frozenset(given)
        return replace(self, parameters=parameters, initial=initial, given=more)


def resolve(formulas: Mapping[str, Expression], kept: Iterable[str] = ()) -> dict[str, Expression]:
    """Formulas with the names of others replaced by what they stand for, however deep.

    Parameters
    ----------
    formulas : name -> formula; names that are no key stay symbols
    kept : keys that stay symbols too, since their values come from elsewhere

    Raises
    ------
    InputError : formulas that need each other
    """
    stays = set(kept)
    done: dict[str, Expression] = {}
    for name in ordered(formulas, stays):
        formula = formulas[name]
        known = {s: done[s] for s in symbols(formula) if s in done and s not in stays}
        done[name] = substitute([formula], known)[0] if known else formula
    return done


def ordered(formulas: Mapping[str, Expression], kept: Iterable[str] = ()) -> list[str]:
    """Names of formulas, each after those that it needs.

    Raises
    ------
    InputError : a circle, with the names on it
    """
    stays = set(kept)
    needs = {
        name: sorted(s for s in symbols(formula) if s in formulas and s not in stays)
        for name, formula in formulas.items()
    }
    state: dict[str, int] = {}
    out: list[str] = []
    for start in formulas:
        stack = [(start, iter(needs[start]))] if start not in state else []
        if stack:
            state[start] = 1
        while stack:
            name, rest = stack[-1]
            for other in rest:
                if state.get(other) == 1:
                    circle = [n for n, _ in stack]
                    circle = [*circle[circle.index(other) :], other]
                    raise InputError(
                        f"formula of {other}",
                        " -> ".join(circle[:8]),
                        "formulas that do not need each other",
                    )
                if other not in state:
                    state[other] = 1
                    stack.append((other, iter(needs[other])))
                    break
            else:
                stack.pop()
                state[name] = 2
                out.append(name)
    return out


def count_operations(formulas: Iterable[Expression]) -> int:
    """Nodes below the formulas, shared ones once."""
    return len(postorder(formulas))


__all__ = ["Assignment", "Event", "OdeModel", "count_operations", "number", "ordered", "resolve"]
