"""Formulas of SBML as sums of rational functions of the species, so that System's rate
laws can be recognised.

A polynomial is a mapping from monomials to coefficients; a monomial is a sorted tuple of
(state, power), powers being any numbers. A term is numerator / denominator. Everything
that holds no species is a number at once.

Files come from strangers: how deep formulas nest, how often functions call each other and
how many products are formed is limited, so that a small file cannot take all memory or
time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

Monomial = tuple[tuple[int, float], ...]
Polynomial = dict[Monomial, float]
Term = tuple[Polynomial, Polynomial]  # numerator, denominator

ONE: Polynomial = {(): 1.0}
MOST_TERMS, MOST_DEPTH = 2000, 150
MOST_PRODUCTS = 500_000
NODES, NODES_PER_ELEMENT = 20_000, 20  # functions written out may be this much larger than the file


class Work:
    """What has been done for one file; over the limits it raises Unsupported."""

    def __init__(self, elements: int = 0) -> None:
        self.nodes = self.products = self.depth = 0
        self.most_nodes = NODES + NODES_PER_ELEMENT * elements

    def node(self) -> None:
        """Count one node of a formula; refuse a formula with too many."""
        self.nodes += 1
        if self.nodes > self.most_nodes:
            raise Unsupported(
                f"formulas of more than {self.most_nodes} parts, functions and rules written out"
            )

    def product(self, n: int) -> None:
        """Count products of terms; refuse a formula with too many."""
        self.products += n
        if self.products > MOST_PRODUCTS:
            raise Unsupported(f"formulas that multiply out to more than {MOST_PRODUCTS} products")


_work: ContextVar[Work | None] = ContextVar("work", default=None)


def start_work(elements: int = 0) -> Work:
    """Count anew, for one file of so many XML elements."""
    work = Work(elements)
    _work.set(work)
    return work


def _current() -> Work:
    return _work.get() or start_work()


class Unsupported(Exception):
    """A construct that has no place in a System; the text says which."""


def constant(x: float) -> list[Term]:
    """A number as a sum of one term."""
    if not math.isfinite(x):
        raise Unsupported(f"a value of {x}")
    return [({(): x} if x else {}, ONE)]


def species(state: int, factor: float) -> list[Term]:
    """A state times a factor as a sum of one term."""
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
    """Product of two polynomials."""
    out: Polynomial = {}
    _current().product(len(a) * len(b))
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
    """Sum of two polynomials."""
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
            for m, x in n.items():
                plain[m] = plain.get(m, 0.0) + x / d[()]
        elif n:
            rest.append((n, d))
    plain = {m: x for m, x in plain.items() if x != 0.0}
    return [(plain, ONE), *rest] if plain or not rest else rest


def product(a: list[Term], b: list[Term]) -> list[Term]:
    """Product of two sums of terms."""
    if len(a) * len(b) > MOST_TERMS:
        raise Unsupported(f"a formula of more than {MOST_TERMS} terms")
    return simplify([(multiply(n, k), multiply(d, l)) for n, d in a for k, l in b])


def quotient(a: list[Term], b: list[Term]) -> list[Term]:
    """Quotient of two sums of terms."""
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
    """Power of a sum of terms."""
    if exponent == 0:
        return constant(1.0)
    whole = float(exponent).is_integer() and 0 < exponent <= 4
    n, d = _one(a)
    if len(n) == 1 and set(d) == {()}:
        ((m, x),) = n.items()
        x = x / d[()]
        whole_powers = all(float(p).is_integer() for _, p in m)
        if x > 0 or (float(exponent).is_integer() and whole_powers):
            return [({tuple((s, p * exponent) for s, p in m): _number(x**exponent)}, ONE)]
    if whole:
        out = a
        for _ in range(int(exponent) - 1):
            out = product(out, a)
        return out
    raise Unsupported("a power of a sum")


def _number(x: Any) -> float:
    """A finite real number, else Unsupported."""
    if isinstance(x, complex) or not math.isfinite(x):
        raise Unsupported(f"a value of {x}")
    return float(x)


class Formulas:
    """Turns formulas of one file into terms.

    Parameters
    ----------
    sbml : libsbml
    functions : id -> FunctionDefinition
    elements : of the file
    positive : takes the state in ``max(state, 0)``, which is read as the state; the
        caller sees to it that it holds
    """

    def __init__(
        self,
        sbml: Any,
        functions: Mapping[str, Any],
        elements: int,
        positive: Callable[[int], None],
    ) -> None:
        self.sbml, self.functions, self.positive = sbml, functions, positive
        self.work = start_work(elements)

    def evaluate(self, node: Any, resolve: Callable[[str], list[Term]]) -> list[Term]:
        """The terms of an AST. `resolve` gives those of a symbol.

        Raises
        ------
        Unsupported : a function or a construct that no rate law of a System has, or too much of it
        """
        self.work.node()
        if node is None:
            raise Unsupported("a formula that is missing")
        if self.work.depth >= MOST_DEPTH:
            raise Unsupported(f"formulas and rules nested deeper than {MOST_DEPTH}")
        self.work.depth += 1
        try:
            return self._evaluate(node, resolve)
        except (OverflowError, ZeroDivisionError) as err:
            raise Unsupported(f"a value that is no number ({err})") from err
        finally:
            self.work.depth -= 1

    def _evaluate(self, node: Any, resolve: Callable[[str], list[Term]]) -> list[Term]:
        sbml, kind, n = self.sbml, node.getType(), node.getNumChildren()
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
        if kind == sbml.AST_FUNCTION:
            return self._call(node, resolve)
        allowed = {
            sbml.AST_MINUS: (1, 2),
            sbml.AST_DIVIDE: (2,),
            sbml.AST_POWER: (2,),
            sbml.AST_FUNCTION_POWER: (2,),
        }
        if n not in allowed.get(kind, (n,)):
            raise Unsupported(f"an operator with {n} arguments")
        inner = [self.evaluate(child, resolve) for child in self._operands(node, kind, n)]
        if kind == sbml.AST_PLUS:
            return simplify([t for terms in inner for t in terms]) if inner else constant(0.0)
        if kind == sbml.AST_MINUS:
            negative = [({m: -x for m, x in n.items()}, d) for n, d in inner[-1]]
            return negative if n == 1 else simplify([*inner[0], *negative])
        if kind == sbml.AST_TIMES:
            out = constant(1.0)
            for terms in inner:
                out = product(out, terms)
            return out
        if kind == sbml.AST_DIVIDE:
            return quotient(*inner)
        if kind in (sbml.AST_POWER, sbml.AST_FUNCTION_POWER):
            exponent = value_of(inner[1])
            if exponent is None:
                raise Unsupported("an exponent that depends on species")
            return power(inner[0], exponent)
        return self._other(node, kind, inner)

    def _operands(self, node: Any, kind: int, n: int) -> list[Any]:
        """The arguments; those of a sum of sums, or a product of products, in one row, as
        libsbml keeps them nested.
        """
        if kind not in (self.sbml.AST_PLUS, self.sbml.AST_TIMES):
            return [node.getChild(i) for i in range(n)]
        out, waiting = [], [node]
        while waiting:
            self.work.node()
            one = waiting.pop()
            if one is not None and one.getType() == kind:
                waiting += [one.getChild(i) for i in reversed(range(one.getNumChildren()))]
            else:
                out.append(one)
        return out

    def names(self, node: Any) -> set[str]:
        """All symbols in a formula."""
        found, waiting = set(), [] if node is None else [node]
        while waiting:
            one = waiting.pop()
            if one.getType() == self.sbml.AST_NAME:
                found.add(one.getName())
            waiting += [one.getChild(i) for i in range(one.getNumChildren())]
        return found

    def _other(self, node: Any, kind: int, inner: list[list[Term]]) -> list[Term]:
        """A function of numbers, or max(state, 0)."""
        numbers = [value_of(i) for i in inner]
        if kind == self.sbml.AST_FUNCTION_MAX and len(inner) == 2:
            state = _single_state(inner)
            if state is not None:
                self.positive(state)
                return inner[numbers.index(None)]
        if numbers and None not in numbers:
            return constant(_function(node, kind, self.sbml, numbers))
        raise Unsupported(f"the function {_name(node, self.sbml)}")

    def _call(self, node: Any, resolve: Callable[[str], list[Term]]) -> list[Term]:
        """A function definition with its arguments put in as values."""
        name = node.getName()
        definition = self.functions.get(name)
        if definition is None or not definition.isSetBody():
            raise Unsupported(f"the function {name}")
        if definition.getNumArguments() != node.getNumChildren():
            raise Unsupported(f"the function {name} with {node.getNumChildren()} arguments")
        values = {
            definition.getArgument(i).getName(): self.evaluate(node.getChild(i), resolve)
            for i in range(node.getNumChildren())
        }

        def inside(symbol: str) -> list[Term]:
            if symbol not in values:
                raise Unsupported(f"the symbol {symbol} in the function {name}")
            return values[symbol]

        return self.evaluate(definition.getBody(), inside)


def _single_state(inner: list[list[Term]]) -> int | None:
    """The state s of max(c s, 0) with c > 0."""
    numbers = [value_of(i) for i in inner]
    if sorted(numbers, key=lambda x: x is None) != [0.0, None]:
        return None
    terms = inner[numbers.index(None)]
    if len(terms) != 1 or set(terms[0][1]) != {()} or len(terms[0][0]) != 1:
        return None
    ((monomial, x),) = terms[0][0].items()
    if len(monomial) != 1 or monomial[0][1] != 1.0 or x / terms[0][1][()] <= 0:
        return None
    return monomial[0][0]


def _name(node: Any, sbml: Any) -> str:
    names = {
        sbml.AST_FUNCTION_MAX: "max",
        sbml.AST_FUNCTION_MIN: "min",
        sbml.AST_FUNCTION_PIECEWISE: "piecewise",
    }
    return names.get(node.getType()) or node.getName() or sbml.formulaToL3String(node)[:40]


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
        raise Unsupported(f"the function {_name(node, sbml)}")
    try:
        return _number(table[kind](*x))
    except (ValueError, ZeroDivisionError, OverflowError, TypeError) as err:
        raise Unsupported(f"a value that is no number ({err})") from err
