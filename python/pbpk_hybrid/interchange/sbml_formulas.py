"""MathML of SBML as expressions, without any other library.

Files come from strangers: how deep formulas nest and how large they become when function
definitions are written out is limited, and nothing is ever evaluated as code.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from .._core.errors import FileFormatError
from ..models.expressions.tree import (
    Expression,
    add,
    apply,
    div,
    mul,
    number,
    postorder,
    power,
    substitute,
    symbol,
    where,
)

#: levels of one formula, functions called inside each other, arguments of one operation, and
#: operations of all formulas of a file
MOST_LEVELS, MOST_CALLS, MOST_ARGUMENTS, MOST_OPERATIONS = 150, 50, 10_000, 2_000_000
#: operations of functions, each written out where it is called
MOST_WRITTEN = 300_000

#: Avogadro's constant as SBML Level 3 Version 1, section 3.4.6 sets it (CODATA 2006)
AVOGADRO = 6.02214179e23

_CONSTANTS = {
    "true": 1.0,
    "false": 0.0,
    "pi": math.pi,
    "exponentiale": math.e,
    "infinity": math.inf,
    "notanumber": math.nan,
}
_PLAIN = {
    "exp": "exp",
    "ln": "log",
    "abs": "abs",
    "floor": "floor",
    "ceiling": "ceil",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "not": "not",
}


def _arcsinh(x: Expression) -> Expression:
    return apply("log", x + apply("sqrt", x * x + 1.0))


def _arccosh(x: Expression) -> Expression:
    return apply("log", x + apply("sqrt", x * x - 1.0))


def _arctanh(x: Expression) -> Expression:
    return 0.5 * apply("log", (1.0 + x) / (1.0 - x))


_OF_ONE: dict[str, Callable[[Expression], Expression]] = {
    "sec": lambda x: 1.0 / apply("cos", x),
    "csc": lambda x: 1.0 / apply("sin", x),
    "cot": lambda x: 1.0 / apply("tan", x),
    "sech": lambda x: 1.0 / apply("cosh", x),
    "csch": lambda x: 1.0 / apply("sinh", x),
    "coth": lambda x: 1.0 / apply("tanh", x),
    "arcsinh": _arcsinh,
    "arccosh": _arccosh,
    "arctanh": _arctanh,
    "arcsec": lambda x: apply("acos", 1.0 / x),
    "arccsc": lambda x: apply("asin", 1.0 / x),
    "arccot": lambda x: apply("atan", 1.0 / x),
    "arcsech": lambda x: _arccosh(1.0 / x),
    "arccsch": lambda x: _arcsinh(1.0 / x),
    "arccoth": lambda x: _arctanh(1.0 / x),
}


def _quotient(a: Expression, b: Expression) -> Expression:
    ratio = a / b
    return where(apply("lt", ratio, 0.0), apply("ceil", ratio), apply("floor", ratio))


_OF_TWO: dict[str, Callable[[Expression, Expression], Expression]] = {
    "divide": div,
    "power": power,
    "quotient": _quotient,
    "rem": lambda a, b: a - b * _quotient(a, b),
    "implies": lambda a, b: apply("or", apply("not", a), b),
    "neq": lambda a, b: apply("ne", a, b),
}
#: relation -> (operation, whether its arguments change places)
_RELATIONS = {
    "eq": ("eq", False),
    "lt": ("lt", False),
    "leq": ("le", False),
    "gt": ("lt", True),
    "geq": ("le", True),
}


@dataclass(frozen=True)
class Function:
    """A function definition: names of its arguments, and its body as MathML (None: it has none)."""

    arguments: tuple[str, ...]
    body: ElementTree.Element | None


def tag(element: ElementTree.Element) -> str:
    """Name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


class Formulas:
    """Reads the formulas of one file.

    Parameters
    ----------
    file : its name, for messages
    functions : id -> Function
    time : the symbol of time
    """

    def __init__(self, file: str, functions: Mapping[str, Function], time: str) -> None:
        self.file, self.functions, self.time = file, functions, time
        self.operations = 0
        self.at = ""
        self.rates: set[str] = set()
        self._bodies: dict[str, Expression] = {}
        self._sizes: dict[str, int] = {}
        self.written = 0
        self._calling: list[str] = []

    def wrong(self, value: object, expected: str, hint: str = "") -> FileFormatError:
        """An error at the element that is being read."""
        return FileFormatError(f"{self.file}: {self.at}", value, expected, hint=hint)

    def read(
        self, math: ElementTree.Element, at: str, local: Mapping[str, Expression]
    ) -> Expression:
        """The expression of a <math> element.

        Parameters
        ----------
        at : what it belongs to, for messages
        local : id -> what it means here

        Raises
        ------
        FileFormatError : something that an ODE cannot have, too deep, or too large
        """
        self.at = at
        inner = list(math)
        if len(inner) != 1:
            raise self.wrong(f"{len(inner)} formulas in one <math>", "one")
        return self._node(inner[0], local, 0)

    def _node(self, element: ElementTree.Element, local: Mapping, depth: int) -> Expression:
        if depth > MOST_LEVELS:
            raise self.wrong(f"more than {MOST_LEVELS} levels", f"at most {MOST_LEVELS} levels")
        self.operations += 1
        if self.operations > MOST_OPERATIONS:
            raise self.wrong(f"{self.operations} operations", f"at most {MOST_OPERATIONS}")
        kind = tag(element)
        if kind == "cn":
            return number(self._number(element))
        if kind == "ci":
            name = (element.text or "").strip()
            return local[name] if name in local else symbol(name or self._nameless())
        if kind == "csymbol":
            return self._csymbol(element)
        if kind in _CONSTANTS:
            return number(_CONSTANTS[kind])
        if kind == "piecewise":
            return self._piecewise(element, local, depth)
        if kind == "semantics" and len(element):
            return self._node(element[0], local, depth + 1)
        if kind == "apply" and len(element):
            out = self._apply(element, local, depth)
            if len(out.args) > MOST_ARGUMENTS:
                raise self.wrong(
                    f"a sum or product of {len(out.args)}", f"at most {MOST_ARGUMENTS}"
                )
            return out
        raise self.wrong(f"<{kind}>", "MathML of SBML")

    def _nameless(self) -> str:
        raise self.wrong("<ci> without a name", "the id of an element")

    def _number(self, element: ElementTree.Element) -> float:
        kind = element.get("type", "real")
        parts = [t.strip() for t in element.itertext() if t.strip()]
        try:
            if kind == "e-notation":
                mantissa, exponent = parts
                return _finite(float(f"{float(mantissa)!r}e{int(exponent)}"), mantissa)
            if kind == "rational":
                above, below = map(float, parts)
                return above / below
            (text,) = parts
            if "_" in text:
                raise ValueError(text)
            return _finite(float(text), text)
        except (ValueError, ZeroDivisionError, OverflowError):
            raise self.wrong(" ".join(parts)[:60], f"a number of type {kind}") from None

    def _csymbol(self, element: ElementTree.Element) -> Expression:
        which = (element.get("definitionURL") or "").rpartition("/")[2]
        if which == "time":
            return symbol(self.time)
        if which == "avogadro":
            return number(AVOGADRO)
        if which == "delay":
            raise self.wrong(
                "delay", "an ordinary differential equation", "delays are not integrated here"
            )
        raise self.wrong(f"csymbol {which or '?'}", "time, avogadro or rateOf")

    def _piecewise(self, element: ElementTree.Element, local: Mapping, depth: int) -> Expression:
        out = number(math.nan)
        pieces = []
        for piece in element:
            inner = [self._node(e, local, depth + 1) for e in piece]
            if tag(piece) == "otherwise" and len(inner) == 1:
                out = inner[0]
            elif tag(piece) == "piece" and len(inner) == 2:
                pieces.append(inner)
            else:
                raise self.wrong(f"<{tag(piece)}> of {len(inner)}", "<piece> of 2 or <otherwise>")
        for value, condition in reversed(pieces):
            out = where(condition, value, out)
        return out

    def _apply(self, element: ElementTree.Element, local: Mapping, depth: int) -> Expression:
        head, *rest = element
        kind = tag(head)
        if kind == "apply" and not rest:  # brackets
            return self._node(head, local, depth + 1)
        if kind == "csymbol":
            return self._called_symbol(head, rest, local)
        qualifier = None
        if rest and tag(rest[0]) in ("degree", "logbase"):
            qualifier = self._node(rest[0][0], local, depth + 1) if len(rest[0]) else None
            rest = rest[1:]
        args = [self._node(e, local, depth + 1) for e in rest]
        if kind == "ci":
            return self.call((head.text or "").strip(), args)
        return self._operation(kind, args, qualifier)

    def _called_symbol(self, head, rest, local: Mapping) -> Expression:
        which = (head.get("definitionURL") or "").rpartition("/")[2]
        if which != "rateOf":
            return self._csymbol(head)
        name = (rest[0].text or "").strip() if len(rest) == 1 and tag(rest[0]) == "ci" else ""
        # inside a function the argument stands for something else
        meant = local.get(name)
        name = str(meant.value) if meant is not None and meant.op == "symbol" else name
        if not name:
            raise self.wrong("rateOf", "rateOf of one variable")
        self.rates.add(name)
        return symbol(rate_name(name))

    def _operation(self, kind: str, args: list[Expression], qualifier) -> Expression:
        n = len(args)
        if kind == "plus":
            return add(*args) if args else number(0.0)
        if kind == "times":
            return mul(*args) if args else number(1.0)
        if kind == "minus" and n in (1, 2):
            return -args[0] if n == 1 else args[0] - args[1]
        if kind in ("max", "min") and args:
            return apply(kind, *args)
        if kind in ("and", "or"):
            # without arguments they are their neutral element
            return apply(kind, *args) if args else number(float(kind == "and"))
        if kind == "xor":
            return _odd(args)
        if kind in _RELATIONS and n >= 2:
            return _chain(kind, args)
        if n == 1:
            return self._of_one(kind, args[0], qualifier)
        if n == 2 and kind in _OF_TWO:
            return _OF_TWO[kind](*args)
        raise self.wrong(f"{kind} of {n}", "an operation of SBML with as many arguments as it has")

    def _of_one(self, kind: str, x: Expression, qualifier: Expression | None) -> Expression:
        if kind == "root":
            if qualifier is None or (qualifier.is_number and qualifier.value == 2.0):
                return apply("sqrt", x)
            return power(x, 1.0 / qualifier)
        if kind == "log":
            base = number(10.0) if qualifier is None else qualifier
            return div(apply("log", x), apply("log", base))
        if kind == "factorial":
            return self._factorial(x)
        if kind in _PLAIN:
            return apply(_PLAIN[kind], x)
        if kind in _OF_ONE:
            return _OF_ONE[kind](x)
        raise self.wrong(f"the function {kind}", "an operation of SBML")

    def _factorial(self, x: Expression) -> Expression:
        if not x.is_number or x.value < 0 or x.value != int(x.value) or x.value > 170:
            raise self.wrong("factorial", "factorial of a whole number from 0 to 170")
        return number(float(math.factorial(int(x.value))))

    def call(self, name: str, args: list[Expression]) -> Expression:
        """A function definition of the file, written out."""
        if name not in self.functions:
            raise self.wrong(f"the function {name}", "a function that the file defines")
        function = self.functions[name]
        if len(args) != len(function.arguments):
            raise self.wrong(
                f"{name} of {len(args)}", f"{len(function.arguments)} arguments, as it is defined"
            )
        # its body is read once, with names that nothing else has
        inside = [symbol(f"argument {a} of {name}") for a in function.arguments]
        body = self._body(name, function, dict(zip(function.arguments, inside, strict=True)))
        given = {str(s.value): a for s, a in zip(inside, args, strict=True)}
        # functions that call each other can stand for any number of operations
        self.written += self._sizes[name]
        if self.written > MOST_WRITTEN:
            raise self.wrong(
                f"the function {name}", f"at most {MOST_WRITTEN} operations written out"
            )
        return substitute([body], given)[0]

    def _body(self, name: str, function: Function, local: Mapping) -> Expression:
        if name in self._calling or len(self._calling) >= MOST_CALLS:
            chain = " -> ".join([*self._calling[-5:], name])
            raise self.wrong(chain, f"functions that do not call each other, {MOST_CALLS} at most")
        if name not in self._bodies:
            if function.body is None:
                raise self.wrong(f"the function {name}", "a function with a formula")
            self._calling.append(name)
            self._bodies[name] = self._node(function.body, local, 0)
            self._calling.pop()
            self._sizes[name] = sum(1 for _ in postorder([self._bodies[name]]))
        return self._bodies[name]


def _finite(value: float, text: str) -> float:
    """A number that a text writes out; one too large to hold is not infinity, INF is."""
    if math.isinf(value) and any(c.isdigit() for c in text):
        raise OverflowError(text)
    return value


def rate_name(name: str) -> str:
    """The symbol of how fast a variable changes."""
    return f"rateOf({name})"


def _odd(args: list[Expression]) -> Expression:
    """xor: whether an odd number of them is true."""
    out = number(0.0)
    for a in args:
        out = apply("ne", out, apply("ne", a, 0.0))
    return out


def _chain(kind: str, args: list[Expression]) -> Expression:
    """a < b < c: each pair of neighbours."""
    operation, swapped = _RELATIONS[kind]
    pairs = [(b, a) if swapped else (a, b) for a, b in itertools.pairwise(args)]
    tests = [apply(operation, *pair) for pair in pairs]
    return tests[0] if len(tests) == 1 else apply("and", *tests)


__all__ = ["AVOGADRO", "Formulas", "Function", "rate_name", "tag"]
