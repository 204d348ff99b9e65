"""Formulas of SBML as sums of rational functions of the species, so that System's rate laws can be recognised.

A polynomial is a mapping from monomials to coefficients; a monomial is a sorted tuple of (state, power), powers being any
numbers. A term is numerator / denominator. Everything that holds no species is a number at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Monomial = tuple[tuple[int, float], ...]
Polynomial = dict[Monomial, float]
Term = tuple[Polynomial, Polynomial]  # numerator, denominator

ONE: Polynomial = {(): 1.0}
MOST_TERMS, MOST_DEPTH = 2000, 200


class Unsupported(Exception):
    """A construct that has no place in a System; the text says which."""


def constant(x: float) -> list[Term]:
    if not math.isfinite(x):
        raise Unsupported(f"a value of {x}")
    return [({(): x} if x else {}, ONE)]


def species(state: int, factor: float) -> list[Term]:
    return [({((state, 1.0),): factor}, ONE)]


def value_of(terms: list[Term]) -> float | None:
    """The number that an expression is; None if it holds species."""
    total = 0.0
    for n, d in terms:
        if any(m != () for m in n) or any(m != () for m in d):
            return None
        total += n.get((), 0.0) / d[()]
    return total


def multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    out: Polynomial = {}
    for m, x in a.items():
        for n, y in b.items():
            key = _join(m, n)
            out[key] = out.get(key, 0.0) + x * y
            if len(out) > MOST_TERMS:
                raise Unsupported(f"a formula of more than {MOST_TERMS} terms")
    return {m: x for m, x in out.items() if x != 0.0}


def _join(m: Monomial, n: Monomial) -> Monomial:
    powers = dict(m)
    for state, power in n:
        powers[state] = powers.get(state, 0.0) + power
    return tuple(sorted((s, p) for s, p in powers.items() if p != 0.0))


def add(a: Polynomial, b: Polynomial) -> Polynomial:
    out = dict(a)
    for m, x in b.items():
        out[m] = out.get(m, 0.0) + x
    return {m: x for m, x in out.items() if x != 0.0}


def simplify(terms: list[Term]) -> list[Term]:
    """All terms with a constant denominator in one; the others as they are."""
    plain: Polynomial = {}
    rest = []
    for n, d in terms:
        if set(d) == {()}:
            plain = add(plain, {m: x / d[()] for m, x in n.items()})
        elif n:
            rest.append((n, d))
    return [(plain, ONE), *rest] if plain or not rest else rest


def product(a: list[Term], b: list[Term]) -> list[Term]:
    if len(a) * len(b) > MOST_TERMS:
        raise Unsupported(f"a formula of more than {MOST_TERMS} terms")
    return simplify([(multiply(n, k), multiply(d, l)) for n, d in a for k, l in b])


def quotient(a: list[Term], b: list[Term]) -> list[Term]:
    n, d = _one(b)
    if not n:
        raise Unsupported("a division by zero")
    return product(a, [(d, n)])


def _one(terms: list[Term]) -> Term:
    """A sum of fractions as one fraction."""
    n, d = terms[0]
    for k, l in terms[1:]:
        n, d = add(multiply(n, l), multiply(k, d)), multiply(d, l)
    return n, d


def power(a: list[Term], exponent: float) -> list[Term]:
    if exponent == 0:
        return constant(1.0)
    whole = float(exponent).is_integer() and 0 < exponent <= 4
    n, d = _one(a)
    if len(n) == 1 and set(d) == {()}:
        ((m, x),) = n.items()
        x = x / d[()]
        if x > 0 or float(exponent).is_integer():
            return [({tuple((s, p * exponent) for s, p in m): x**exponent}, ONE)]
    if whole:
        out = a
        for _ in range(int(exponent) - 1):
            out = product(out, a)
        return out
    raise Unsupported("a power of a sum")


def evaluate(
    node: Any, sbml: Any, resolve: Callable[[str], list[Term]], depth: int = 0
) -> list[Term]:
    """The terms of an AST. `resolve` gives those of a symbol.

    Raises
    ------
    Unsupported : a function or a construct that no rate law of a System has
    """
    if depth > MOST_DEPTH:
        raise Unsupported(f"a formula nested deeper than {MOST_DEPTH}")
    kind = node.getType()
    children = [node.getChild(i) for i in range(node.getNumChildren())]
    go = lambda child: evaluate(child, sbml, resolve, depth + 1)
    if node.isNumber():
        return constant(float(node.getValue()))
    if kind == sbml.AST_NAME:
        return resolve(node.getName())
    if kind == sbml.AST_NAME_TIME:
        raise Unsupported("the time")
    if kind == sbml.AST_CONSTANT_PI:
        return constant(math.pi)
    if kind == sbml.AST_CONSTANT_E:
        return constant(math.e)
    if kind == sbml.AST_PLUS:
        return simplify([t for c in children for t in go(c)]) if children else constant(0.0)
    if kind == sbml.AST_MINUS:
        first = go(children[0])
        negative = lambda terms: [({m: -x for m, x in n.items()}, d) for n, d in terms]
        return (
            negative(first)
            if len(children) == 1
            else simplify([*first, *negative(go(children[1]))])
        )
    if kind == sbml.AST_TIMES:
        out = constant(1.0)
        for c in children:
            out = product(out, go(c))
        return out
    if kind == sbml.AST_DIVIDE:
        return quotient(go(children[0]), go(children[1]))
    if kind in (sbml.AST_POWER, sbml.AST_FUNCTION_POWER):
        exponent = value_of(go(children[1]))
        if exponent is None:
            raise Unsupported("an exponent that depends on species")
        return power(go(children[0]), exponent)
    inner = [go(c) for c in children]
    numbers = [value_of(i) for i in inner]
    if kind == sbml.AST_FUNCTION_MAX and len(inner) == 2 and 0.0 in numbers and None in numbers:
        return inner[numbers.index(None)]  # amounts are not negative: max(a, 0) is a
    if numbers and None not in numbers:
        return constant(_function(node, kind, sbml, numbers))
    raise Unsupported(f"the function {node.getName() or sbml.formulaToL3String(node)[:40]}")


def _function(node: Any, kind: int, sbml: Any, x: list[float]) -> float:
    """A function of numbers."""
    table = {
        sbml.AST_FUNCTION_EXP: math.exp,
        sbml.AST_FUNCTION_LN: math.log,
        sbml.AST_FUNCTION_ABS: abs,
        sbml.AST_FUNCTION_MAX: max,
        sbml.AST_FUNCTION_MIN: min,
        sbml.AST_FUNCTION_LOG: lambda base, v: math.log(v, base),
        sbml.AST_FUNCTION_ROOT: lambda n, v=None: math.sqrt(n) if v is None else v ** (1.0 / n),
    }
    if kind not in table:
        raise Unsupported(f"the function {node.getName() or sbml.formulaToL3String(node)[:40]}")
    try:
        return float(table[kind](*x))
    except (ValueError, ZeroDivisionError, OverflowError, TypeError) as err:
        raise Unsupported(f"a value that is no number ({err})") from err
