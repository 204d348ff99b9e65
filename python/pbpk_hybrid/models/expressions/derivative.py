"""Derivatives of expressions by their symbols, as expressions again.

Sharing of nodes does the work of bookkeeping: a derivative contains the nodes of the
value it comes from. Where a function has a corner (``abs``, ``min``, ``max``, conditions,
tables) the derivative is that of the piece in force; comparisons and steps have
derivative zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .tree import (
    Expression,
    Table,
    add,
    apply,
    dependencies,
    div,
    mul,
    number,
    postorder,
    power,
    where,
)

_ZERO = number(0.0)
_STEPS = {"lt", "le", "eq", "ne", "and", "or", "not", "floor", "ceil"}


def derivatives(roots: Iterable[Expression], by: str) -> list[Expression]:
    """d(root)/d(symbol `by`) of each root."""
    return directional(roots, {by: number(1.0)})


def directional(roots: Iterable[Expression], seeds: Mapping[str, Expression]) -> list[Expression]:
    """Derivative of each root along a direction.

    Parameters
    ----------
    seeds : symbol -> how fast it changes along the direction; others stand still
    """
    wanted = list(roots)
    moving = seeds.keys()
    depends = dependencies(wanted)
    slope: dict[Expression, Expression] = {}
    for node in postorder(wanted):
        if depends[node].isdisjoint(moving):
            slope[node] = _ZERO
        elif node.op == "symbol":
            slope[node] = seeds[str(node.value)]
        else:
            slope[node] = _rule(node, [slope[a] for a in node.args])
    return [slope[root] for root in wanted]


def gradient(root: Expression, names: Iterable[str]) -> dict[str, Expression]:
    """Symbol -> d(root)/d(symbol), for those of `names` that the root depends on."""
    own = dependencies([root])[root]
    return {name: derivatives([root], name)[0] for name in names if name in own}


def _rule(node: Expression, d: list[Expression]) -> Expression:
    """Derivative of one node from those of its arguments."""
    a = node.args
    op = node.op
    if op in _STEPS:
        return _ZERO
    if op == "add":
        return add(*d)
    if op == "mul":
        return add(
            *(
                mul(*(d[i] if i == j else a[i] for i in range(len(a))))
                for j in range(len(a))
                if d[j] is not _ZERO
            )
        )
    if op == "div":
        first = div(d[0], a[1])
        return first if d[1] is _ZERO else first - div(mul(node, d[1]), a[1])
    if op == "pow":
        return _power_rule(node, a, d)
    if op == "if":
        return where(a[0], d[1], d[2])
    if op in ("min", "max"):
        return _extreme_rule(op, a, d)
    if op == "table":
        table = node.value
        assert isinstance(table, Table)
        if table.slope:
            return _ZERO
        return mul(apply("table", a[0], table=Table(table.x, table.y, slope=True)), d[0])
    return mul(_FUNCTION_RULES[op](node, a[0]), d[0])


def _power_rule(node: Expression, a, d) -> Expression:
    base, exponent = a
    by_base = mul(exponent, power(base, exponent - 1.0), d[0])
    if d[1] is _ZERO:
        return by_base
    # 0**b has slope zero in b, where the logarithm is not finite
    log = where(apply("lt", 0.0, base), apply("log", base), 0.0)
    return by_base + mul(node, log, d[1])


def _extreme_rule(op: str, a, d) -> Expression:
    """The slope of the argument in force; of the first where two are equal."""
    best, slope = a[0], d[0]
    for other, other_slope in zip(a[1:], d[1:], strict=True):
        better = apply("lt", other, best) if op == "min" else apply("lt", best, other)
        slope = where(better, other_slope, slope)
        best = apply(op, best, other)
    return slope


_FUNCTION_RULES = {
    "abs": lambda f, x: where(apply("lt", x, 0.0), number(-1.0), number(1.0)),
    "sqrt": lambda f, x: div(0.5, f),
    "exp": lambda f, x: f,
    "log": lambda f, x: div(1.0, x),
    "sin": lambda f, x: apply("cos", x),
    "cos": lambda f, x: -apply("sin", x),
    "tan": lambda f, x: 1.0 + f * f,
    "asin": lambda f, x: div(1.0, apply("sqrt", 1.0 - x * x)),
    "acos": lambda f, x: div(-1.0, apply("sqrt", 1.0 - x * x)),
    "atan": lambda f, x: div(1.0, 1.0 + x * x),
    "sinh": lambda f, x: apply("cosh", x),
    "cosh": lambda f, x: apply("sinh", x),
    "tanh": lambda f, x: 1.0 - f * f,
}
