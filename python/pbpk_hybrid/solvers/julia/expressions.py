"""Rate laws that are expressions, as the list of operations that Julia walks or compiles.

The tree goes over as numbers (operation, arguments, value), never as text: nothing that
stands in a model file is parsed or evaluated by Julia. Shared nodes are one operation;
the slopes by the reactants are on the same list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._core.errors import BackendUnavailableError
from ...models.expressions.derivative import derivatives
from ...models.expressions.tree import Expression, Table, postorder
from ...models.system.system import Reaction, System

#: by number, as in ``julia/src/expressions.jl``
OPERATIONS = (
    *("number", "state", "parameter", "table", "powi", "add", "mul", "div", "pow", "min", "max"),
    *("and", "or", "not", "if", "lt", "le", "eq", "ne", "abs", "floor", "ceil", "sqrt", "exp"),
    *("log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
)
_NUMBER = {name: i for i, name in enumerate(OPERATIONS)}
#: powers up to this one are products
_LARGEST_PRODUCT = 8


@dataclass(frozen=True, eq=False)
class OperationList:
    """Operations as flat arrays; numbers of operations count from 0, of states,
    parameters and tables from 1.

    Parameters
    ----------
    op, args_per, arg : operation, how many arguments it has, and which operations they are
    value : of a number
    index : of a state, a parameter or a table; the exponent of a whole power
    rate, slope : operations that give each rate, and each rate's slope by each of its reactants
    table_per, table_x, table_y, table_slope : points of each table, one table after the other
    """

    op: np.ndarray
    args_per: np.ndarray
    arg: np.ndarray
    value: np.ndarray
    index: np.ndarray
    rate: np.ndarray
    slope: np.ndarray
    table_per: np.ndarray
    table_x: np.ndarray
    table_y: np.ndarray
    table_slope: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of them, in the order of ``FLAT`` in ``julia/src/flat.jl``."""
        lists = (self.op, self.args_per, self.arg, self.value, self.index, self.rate, self.slope)
        return (*lists, self.table_per, self.table_x, self.table_y, self.table_slope)


def operation_list(system: System) -> OperationList:
    """The operations of all expression reactions of a system; empty where it has none."""
    own = [r for r in system.reactions if r.law == "expression"]
    first = np.cumsum([0, *(r.parameters.shape[1] for r in system.reactions)])
    rows = [int(first[m]) for m, r in enumerate(system.reactions) if r.law == "expression"]
    # the slopes of a large model take longer to write than the model to integrate: once
    # for each structure
    structure = tuple((r.expression, r.reactants, tuple(r.inputs.items()), r.symbols) for r in own)
    return _remembered((structure, tuple(rows)), lambda: _written(own, rows))


@dataclass(frozen=True, eq=False)
class EventList:
    """The events of a system as flat arrays; states count from 0.

    Parameters
    ----------
    operations : their rates are first the conditions, then the values that events set
    targets_per, target : how many states each event sets, and which
    once : per event
    constants : (n_subjects or 1, n_constants)
    still : states that only events change
    numbers : the state that is time, whether the state before an event is reported,
        number of switches
    """

    operations: OperationList
    targets_per: np.ndarray
    target: np.ndarray
    once: np.ndarray
    constants: np.ndarray
    still: np.ndarray
    numbers: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of them, in the order of ``FLAT`` in ``julia/src/flat.jl``."""
        own = (self.targets_per, self.target, self.once, self.constants, self.still, self.numbers)
        return (*self.operations.arrays, *own)


def refuse_queues(system: System) -> None:
    """Events that wait for each other are the embedded backend's alone.

    Raises
    ------
    BackendUnavailableError : the system has such events
    """
    if system.events is not None and system.events.queue is not None:
        raise BackendUnavailableError(
            "backend 'julia' cannot integrate events with priorities or persistence, as SBML has "
            "them; use backend='embedded', which can"
        )


def event_list(system: System) -> EventList:
    """The events of a system; empty where it has none."""
    program = system.events
    if program is None:
        nothing = _ints([])
        empty = _listed({}, [], [])
        return EventList(
            empty, nothing, nothing, nothing, np.zeros((1, 0)), nothing, _ints([0, 0, 0])
        )
    number = {name: i for i, name in enumerate(system.states)}
    symbols = {name: ("state", i + 1) for name, i in number.items()}
    symbols |= {name: ("parameter", j + 1) for j, name in enumerate(program.constants)}
    roots = [*program.conditions, *(v for group in program.values for v in group)]
    key = ("events", tuple(roots), tuple(symbols.items()))
    return EventList(
        _remembered(key, lambda: _listed(symbols, roots, [])),
        _ints([len(group) for group in program.targets]),
        _ints([number[t] for group in program.targets for t in group]),
        _ints(program.once),
        np.ascontiguousarray(program.values_of_constants, dtype=np.float64),
        _ints([number[s] for s in program.still]),
        _ints([number[program.time], program.reported_before, program.n_switches]),
    )


_lists: dict = {}
_lock = threading.Lock()
#: structures that are remembered
_REMEMBERED = 64


def _remembered(key: tuple, make: Callable[[], OperationList]) -> OperationList:
    with _lock:
        if key not in _lists:
            if len(_lists) >= _REMEMBERED:
                _lists.pop(next(iter(_lists)))
            _lists[key] = make()
        return _lists[key]


def _written(reactions: list[Reaction], rows: list[int]) -> OperationList:
    symbols: dict[str, tuple[str, int]] = {}
    for r, row in zip(reactions, rows, strict=True):
        symbols |= {name: ("state", state + 1) for name, state in r.inputs.items()}
        for j, name in enumerate(r.symbols):
            symbols.setdefault(name, ("parameter", row + j + 1))
    rates = [r.expression for r in reactions]
    slopes = [d for r in reactions for d in _slopes(r)]
    return _listed(symbols, rates, slopes)


def _listed(
    symbols: dict[str, tuple[str, int]], rates: list[Expression], slopes: list[Expression]
) -> OperationList:
    writer = _Writer(symbols)
    for node in postorder([*rates, *slopes]):
        writer.add(node)
    return writer.finished(rates, slopes)


def _slopes(r: Reaction) -> list[Expression]:
    """d v / d reactant, in the order of the reactants."""
    names = {state: name for name, state in r.inputs.items()}
    return [derivatives([r.expression], names[s])[0] for s in r.reactants]


class _Writer:
    """Adds one operation after the other; arguments come before what uses them."""

    def __init__(self, symbols: dict[str, tuple[str, int]]) -> None:
        self.symbols = symbols
        self.number: dict[Expression, int] = {}
        self.rows: list[tuple[int, float, int]] = []
        self.args: list[tuple[int, ...]] = []
        self.tables: dict[Table, int] = {}

    def add(self, node: Expression) -> None:
        op, args, value, index = node.op, node.args, 0.0, 0
        if op == "number":
            value = float(node.value)
        elif op == "symbol":
            op, index = self.symbols[str(node.value)]
        elif op == "table":
            index = self.tables.setdefault(node.value, len(self.tables) + 1)
        elif op == "pow" and _is_whole(args[1]):
            op, index, args = "powi", int(args[1].value), args[:1]
        self.number[node] = len(self.rows)
        self.rows.append((_NUMBER[op], value, index))
        self.args.append(tuple(self.number[a] for a in args))

    def finished(self, rates: list[Expression], slopes: list[Expression]) -> OperationList:
        op, value, index = zip(*self.rows, strict=True) if self.rows else ((), (), ())
        tables = list(self.tables)
        return OperationList(
            _ints(op),
            _ints([len(a) for a in self.args]),
            _ints([a for args in self.args for a in args]),
            _floats(value),
            _ints(index),
            _ints([self.number[r] for r in rates]),
            _ints([self.number[s] for s in slopes]),
            _ints([len(t.x) for t in tables]),
            _floats([x for t in tables for x in t.x]),
            _floats([y for t in tables for y in t.y]),
            _ints([t.slope for t in tables]),
        )


def _is_whole(exponent: Expression) -> bool:
    """Whether a power is written as products, as the embedded backend does."""
    if not exponent.is_number:
        return False
    value = float(exponent.value)
    return value.is_integer() and 0 < abs(value) <= _LARGEST_PRODUCT


def _ints(values) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _floats(values) -> np.ndarray:
    return np.array(values, dtype=np.float64)
