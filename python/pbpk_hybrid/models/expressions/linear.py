"""What of an expression is linear in the states, and what is not.

A right-hand side of a whole-body model is mostly linear in the amounts once its
parameters are folded. The linear terms go to the System's matrix K, where they cost one
multiplication; the rest becomes reactions.
"""

from __future__ import annotations

from collections.abc import Collection

from .tree import Expression, add, dependencies, div, mul, number, where

#: a condition without states, and whether it has to hold
Gate = tuple[Expression, bool]


def split_linear(
    expression: Expression, states: Collection[str], moving: Collection[str] = ()
) -> tuple[dict[str, Expression], Expression]:
    """``expression = sum coefficient[state] * state + rest``.

    Parameters
    ----------
    states : names of the symbols that count as states (time among them, if it does)
    moving : further symbols that a coefficient must not depend on

    Returns
    -------
    state -> coefficient, an expression without states; and the rest, in which what
    depends on states is not linear
    """
    linear_in = frozenset(states)
    known = linear_in | frozenset(moving)
    depends = dependencies([expression])
    free = lambda node: known.isdisjoint(depends[node])
    linear: dict[str, Expression] = {}
    rest: list[Expression] = []
    # (node, factors that multiply it, gates it stands behind); worked off as a list,
    # since sums may be deep
    todo: list[tuple[Expression, tuple[Expression, ...], tuple[Gate, ...]]] = [(expression, (), ())]
    while todo:
        node, factors, gates = todo.pop()
        if free(node):
            rest.append(_behind(mul(node, *factors), gates))
        elif node.op == "symbol" and node.value in linear_in:
            name = str(node.value)
            linear[name] = add(linear.get(name, number(0.0)), _behind(mul(*factors), gates))
        elif node.op == "add":
            todo += [(term, factors, gates) for term in reversed(node.args)]
        elif node.op == "mul" and sum(not free(a) for a in node.args) == 1:
            inner = next(a for a in node.args if not free(a))
            todo.append((inner, (*factors, *(a for a in node.args if free(a))), gates))
        elif node.op == "div" and free(node.args[1]):
            todo.append((node.args[0], (*factors, div(1.0, node.args[1])), gates))
        elif node.op == "if" and free(node.args[0]):
            condition, then, otherwise = node.args
            todo.append((otherwise, factors, (*gates, (condition, False))))
            todo.append((then, factors, (*gates, (condition, True))))
        else:
            rest.append(_behind(mul(node, *factors), gates))
    zero = number(0.0)
    return {k: v for k, v in linear.items() if v is not zero}, add(*rest) if rest else zero


def _behind(product: Expression, gates: tuple[Gate, ...]) -> Expression:
    """The product where every gate is open, else zero: chosen, not multiplied, since what
    is behind a closed gate may be infinite (``V > 0 ? M/V : 0``)."""
    for condition, wanted in reversed(gates):
        product = where(condition, product, 0.0) if wanted else where(condition, 0.0, product)
    return product
