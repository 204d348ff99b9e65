"""The expression tree: numbers, symbols, functions; immutable, shared, folded as it is built.

Equal expressions are one object: building ``a*b`` twice gives the same node, so that
common parts are found by identity and derivatives do not repeat them. Sums and products
hold any number of arguments. A comparison is 1 where it holds, else 0. Nothing here
recurses over a tree: an expression from a file may be thousands of operations deep.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ..._core.errors import InputError
from .operations import OPERATIONS, Table, compute
from .printing import text_of
from .traversal import postorder


class Expression:
    """One node; made by the functions of this module and by ``+ - * / **``, never directly."""

    __slots__ = ("__weakref__", "args", "op", "value")

    op: str
    args: tuple[Expression, ...]
    value: float | str | Table | None

    def __add__(self, other):
        return add(self, other)

    def __radd__(self, other):
        return add(other, self)

    def __sub__(self, other):
        return add(self, mul(-1.0, other))

    def __rsub__(self, other):
        return add(other, mul(-1.0, self))

    def __mul__(self, other):
        return mul(self, other)

    def __rmul__(self, other):
        return mul(other, self)

    def __truediv__(self, other):
        return div(self, other)

    def __rtruediv__(self, other):
        return div(other, self)

    def __pow__(self, other):
        return power(self, other)

    def __rpow__(self, other):
        return power(other, self)

    def __neg__(self):
        return mul(-1.0, self)

    def __repr__(self) -> str:
        return text_of(self)

    def node_table(self) -> tuple[tuple[str, tuple[int, ...], float | str | Table | None], ...]:
        """(operation, numbers of its arguments, value) of every node, arguments first.

        Equal for equal expressions, in every process.
        """
        nodes = postorder([self])
        number = {node: i for i, node in enumerate(nodes)}
        return tuple((n.op, tuple(number[a] for a in n.args), n.value) for n in nodes)

    def __reduce__(self):  # rebuilt node by node, so that identity holds in the other process too
        return (_rebuild, (self.node_table(),))

    @property
    def is_number(self) -> bool:
        """Whether this is a plain number."""
        return self.op == "number"


_nodes: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_lock = threading.Lock()


def _node(op: str, args: tuple[Expression, ...] = (), value=None) -> Expression:
    """The one node of this operation on these arguments."""
    # -0.0 == 0.0 but they are not the same number, and NaN is not itself: both go by their bits
    kept = float(value).hex() if op == "number" else value
    key = (op, kept, tuple(map(id, args)))
    with _lock:
        found = _nodes.get(key)
        if found is None:
            found = object.__new__(Expression)
            found.op, found.args, found.value = op, args, value
            _nodes[key] = found
        return found


def _rebuild(table) -> Expression:
    nodes: list[Expression] = []
    for op, args, value in table:
        nodes.append(_node(op, tuple(nodes[a] for a in args), value))
    return nodes[-1]


def number(value: float) -> Expression:
    """A plain number."""
    return _node("number", (), float(value))


def symbol(name: str) -> Expression:
    """A state, a parameter or time, by name."""
    if not isinstance(name, str) or not name:
        raise InputError("symbol", name, "a name")
    return _node("symbol", (), name)


def as_expression(value: Expression | float) -> Expression:
    """An expression from itself or from a number."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool):
        return number(float(value))
    raise InputError("expression", type(value).__name__, "an expression or a number")


def add(*terms: Expression | float) -> Expression:
    """Sum: nested sums are one sum, numbers are added up, zeros left out."""
    flat: list[Expression] = []
    constant = 0.0
    for term in map(as_expression, terms):
        for part in term.args if term.op == "add" else (term,):
            if part.is_number:
                constant += part.value
            else:
                flat.append(part)
    if not flat:
        return number(constant)
    if constant != 0.0:
        flat.append(number(constant))
    return flat[0] if len(flat) == 1 else _node("add", tuple(flat))


def mul(*factors: Expression | float) -> Expression:
    """Product: nested products are one product, numbers are multiplied; a factor zero
    makes it zero.
    """
    flat: list[Expression] = []
    constant = 1.0
    for factor in map(as_expression, factors):
        for part in factor.args if factor.op == "mul" else (factor,):
            if part.is_number:
                constant *= part.value
            else:
                flat.append(part)
    if constant == 0.0 or not flat:
        return number(constant)
    if constant != 1.0:
        flat.insert(0, number(constant))
    return flat[0] if len(flat) == 1 else _node("mul", tuple(flat))


def div(a: Expression | float, b: Expression | float) -> Expression:
    """Quotient; by a number it is a product, so that sums of such terms stay linear."""
    a, b = as_expression(a), as_expression(b)
    if b.is_number and b.value != 0.0:
        return mul(a, 1.0 / b.value) if not a.is_number else number(a.value / b.value)
    if a.is_number and a.value == 0.0 and not b.is_number:
        return a
    return _node("div", (a, b))


def power(a: Expression | float, b: Expression | float) -> Expression:
    """a to the power b."""
    a, b = as_expression(a), as_expression(b)
    if b.is_number:
        if b.value == 1.0:
            return a
        if b.value == 0.0:
            return number(1.0)
        if b.value == 0.5:
            return apply("sqrt", a)
    return _fold("pow", (a, b))


def apply(op: str, *args: Expression | float, table: Table | None = None) -> Expression:
    """Any operation of :data:`OPERATIONS` by name.

    Raises
    ------
    InputError : an unknown operation, or a wrong number of arguments
    """
    if op not in OPERATIONS or op in ("number", "symbol"):
        raise InputError("operation", op, "one of: " + ", ".join(OPERATIONS))
    wanted = OPERATIONS[op]
    if (wanted is None and not args) or (wanted is not None and len(args) != wanted):
        raise InputError(f"arguments of {op}", len(args), f"{wanted or 'at least one'} argument(s)")
    nodes = tuple(map(as_expression, args))
    if op in _BUILDERS:
        return _BUILDERS[op](*nodes)
    if op == "table":
        if table is None:
            raise InputError("table", None, "a Table")
        if nodes[0].is_number:
            return number(float(table(np.array(nodes[0].value))))
        return _node("table", nodes, table)
    if op in ("min", "max", "and", "or") and len(nodes) == 1 and op in ("min", "max"):
        return nodes[0]
    return _fold(op, nodes)


def where(
    condition: Expression, then: Expression | float, otherwise: Expression | float
) -> Expression:
    """`then` where the condition is not zero, else `otherwise`."""
    condition, then, otherwise = map(as_expression, (condition, then, otherwise))
    if condition.is_number:
        return then if condition.value != 0.0 else otherwise
    return then if then is otherwise else _node("if", (condition, then, otherwise))


_BUILDERS: dict[str, Callable[..., Expression]] = {
    "add": add,
    "mul": mul,
    "div": div,
    "pow": power,
    "if": where,
}


def _fold(op: str, args: tuple[Expression, ...]) -> Expression:
    """The node, or its value where all arguments are numbers."""
    if all(a.is_number for a in args):
        with np.errstate(all="ignore"):
            value = compute(op, None, *(np.float64(a.value) for a in args))
        return number(float(value))
    return _node(op, args)


def symbols(*roots: Expression) -> frozenset[str]:
    """Names of all symbols below the roots."""
    return frozenset(str(n.value) for n in postorder(roots) if n.op == "symbol")


def dependencies(roots: Iterable[Expression]) -> dict[Expression, frozenset[str]]:
    """Node -> names of the symbols it depends on, for every node below the roots."""
    found: dict[Expression, frozenset[str]] = {}
    empty: frozenset[str] = frozenset()
    for node in postorder(roots):
        if node.op == "symbol":
            found[node] = frozenset((str(node.value),))
        else:
            below = [found[a] for a in node.args if found[a]]
            found[node] = below[0].union(*below[1:]) if below else empty
    return found


def rewrite(
    roots: Iterable[Expression],
    change: Callable[[Expression, tuple[Expression, ...]], Expression | None],
) -> list[Expression]:
    """The same expressions with some nodes changed, arguments first, folded again.

    Parameters
    ----------
    change
        Takes a node and its rewritten arguments; gives what stands in the node's place, or None
        for the same operation on the rewritten arguments.
    """
    new: dict[Expression, Expression] = {}
    wanted = list(roots)
    for node in postorder(wanted):
        args = tuple(new[a] for a in node.args)
        changed = change(node, args)
        if changed is not None:
            new[node] = changed
        elif all(x is a for x, a in zip(args, node.args, strict=True)):
            new[node] = node
        else:
            table = node.value if node.op == "table" else None
            new[node] = apply(node.op, *args, table=table)
    return [new[root] for root in wanted]


def substitute(
    roots: Iterable[Expression], values: Mapping[str, Expression | float]
) -> list[Expression]:
    """The same expressions with symbols replaced, folded again."""

    def given(node: Expression, _args: tuple[Expression, ...]) -> Expression | None:
        value = values.get(str(node.value)) if node.op == "symbol" else None
        return None if value is None else as_expression(value)

    return rewrite(roots, given)


def evaluate(
    roots: Iterable[Expression], values: Mapping[str, float | np.ndarray]
) -> list[np.ndarray]:
    """Values of expressions; arrays broadcast against each other.

    Raises
    ------
    InputError : a symbol without a value
    """
    wanted = list(roots)
    found: dict[Expression, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for node in postorder(wanted):
            if node.op == "number":
                found[node] = np.float64(node.value)
            elif node.op == "symbol":
                if node.value not in values:
                    raise InputError("symbol", node.value, "a symbol with a value")
                given = np.asarray(values[node.value])
                found[node] = given if given.dtype.kind == "c" else given.astype(float)
            else:
                found[node] = compute(node.op, node.value, *(found[a] for a in node.args))
    return [np.asarray(found[root]) for root in wanted]
