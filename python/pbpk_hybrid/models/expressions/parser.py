"""Text to expressions: a grammar of our own, so that no text from a file ever reaches
Python's evaluator.

.. code-block:: text

    condition ? a : b        if(condition, a, b)
    or and not  | & !        < <= > >= = == != <>
    + - * /                  unary -            ^ or ** (to the right)
    functions by name, numbers such as 1.5e-3, names such as kon, Organism.Liver or `any name`

Names are looked up as they stand. Functions and the words or, and, not are known in any case.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from ..._core.errors import InputError, unknown_name
from .tree import Expression, add, apply, as_expression, div, mul, number, power, symbol, where

#: characters of one expression, and levels of brackets, that are read; more is refused
#: before any work is done
MAX_LENGTH, MAX_DEPTH = 200_000, 60

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[^\W\d][\w.]*(?:\[[\w,]*\])?)
  | `(?P<quoted>[^`]+)`
  | (?P<operator>\*\*|<=|>=|<>|==|!=|&&|\|\||[-+*/^<>=?:(),;!&|])
    )""",
    re.VERBOSE,
)
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
#: other names of the same function
_ALIASES = {
    "ln": "log",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "ceiling": "ceil",
    "floor": "floor",
    "power": "pow",
    "piecewise": "if",
}
#: function -> arguments it takes at least and at most
_CALLS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(
        ("abs", "floor", "ceil", "sqrt", "exp", "log", "log10", "log2", "sin", "cos", "tan"), (1, 1)
    ),
    **dict.fromkeys(("asin", "acos", "atan", "sinh", "cosh", "tanh", "not", "sign"), (1, 1)),
    **dict.fromkeys(("min", "max", "and", "or"), (2, 1000)),
    **dict.fromkeys(("eq", "neq", "lt", "leq", "gt", "geq"), (2, 2)),
    "pow": (2, 2),
    "if": (3, 3),
}
#: function -> operation, and whether its arguments change places
_COMPARING = {
    "eq": ("eq", False),
    "neq": ("ne", False),
    "lt": ("lt", False),
    "leq": ("le", False),
    "gt": ("lt", True),
    "geq": ("le", True),
}
_COMPARE = {"<": "lt", "<=": "le", "=": "eq", "==": "eq", "!=": "ne", "<>": "ne"}


class Token(NamedTuple):
    """kind ("number", "name", "operator" or "end"), text, and column from 1."""

    kind: str
    text: str
    column: int


def parse_expression(
    text: str,
    names: Mapping[str, Expression | float] | None = None,
    *,
    field: str = "expression",
    decimal_comma: bool = False,
    value_first: bool = False,
) -> Expression:
    """The expression that a text says.

    Parameters
    ----------
    text : see the grammar of this module
    names : name -> what it stands for; others are symbols of their own name. None: all are
    field : what the text is, for errors
    value_first : ``piecewise(value, condition, other)``, as SBML and PEtab have it, also
        of several pieces
    decimal_comma : ``0,5`` is a half and arguments are separated by ``;`` alone, as in
        files of Open Systems Pharmacology

    Raises
    ------
    InputError : what cannot be read, with its column
    UnknownNameError : a function that does not exist
    """
    if not isinstance(text, str):
        raise InputError(field, type(text).__name__, "text")
    if len(text) > MAX_LENGTH:
        raise InputError(field, f"{len(text)} characters", f"at most {MAX_LENGTH}")
    if decimal_comma:
        text = _DECIMAL_COMMA.sub(".", text)
    parser = _Parser(_tokens(text, field), names or {}, field, "" if decimal_comma else ",")
    parser.value_first = value_first
    return parser.whole()


def _tokens(text: str, field: str) -> list[Token]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            column = end - len(rest.rstrip()) + 1
            raise InputError(
                f"{field}, column {column}", rest[:20], "a number, a name or an operator"
            )
        kind = str(match.lastgroup)
        word = match[kind]
        column = match.start(kind) + 1
        if kind == "quoted":
            found.append(Token("quoted", word, column))
        elif kind == "name" and word.lower() in ("and", "or", "not"):
            found.append(Token("word", word.lower(), column))
        else:
            found.append(Token(kind, word, column))
        at = match.end()
    return [*found, Token("end", "the end", end + 1)]


class _Parser:
    """Recursive descent over the tokens, one method a level of precedence."""

    def __init__(self, tokens: list[Token], names: Mapping, field: str, comma: str) -> None:
        self.tokens, self.names, self.field, self.comma = tokens, names, field, comma
        self.at, self.depth = 0, 0
        self.value_first = False

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def whole(self) -> Expression:
        out = self.ternary()
        if self.token.kind != "end":
            raise self.wrong("an operator or the end")
        return out

    def wrong(self, expected: str) -> InputError:
        return InputError(f"{self.field}, column {self.token.column}", self.token.text, expected)

    def take(self, *operators: str) -> str | None:
        """The operator or word that comes next, if it is one of these."""
        token = self.token
        if token.kind in ("operator", "word") and token.text in operators:
            self.at += 1
            return token.text
        return None

    def need(self, operator: str) -> None:
        if self.take(operator) is None:
            raise self.wrong(f"'{operator}'")

    def ternary(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.wrong(f"at most {MAX_DEPTH} levels of brackets")
        condition = self.either()
        if self.take("?"):
            then = self.ternary()
            self.need(":")
            condition = where(condition, then, self.ternary())
        self.depth -= 1
        return condition

    def either(self) -> Expression:
        terms = [self.both()]
        while self.take("or", "|", "||"):
            terms.append(self.both())
        return terms[0] if len(terms) == 1 else apply("or", *terms)

    def both(self) -> Expression:
        terms = [self.negation()]
        while self.take("and", "&", "&&"):
            terms.append(self.negation())
        return terms[0] if len(terms) == 1 else apply("and", *terms)

    def negation(self) -> Expression:
        count = 0
        while self.take("not", "!"):
            count += 1
        inner = self.comparison()
        for _ in range(min(count, 2 + count % 2)):
            inner = apply("not", inner)
        return inner

    def comparison(self) -> Expression:
        left = self.sum()
        while operator := self.take("<", "<=", ">", ">=", "=", "==", "!=", "<>"):
            right = self.sum()
            if operator in (">", ">="):
                left = apply("lt" if operator == ">" else "le", right, left)
            else:
                left = apply(_COMPARE[operator], left, right)
        return left

    def sum(self) -> Expression:
        terms = [self.product()]
        while operator := self.take("+", "-"):
            term = self.product()
            terms.append(term if operator == "+" else -term)
        return add(*terms)

    def product(self) -> Expression:
        out = self.signed()
        while operator := self.take("*", "/"):
            factor = self.signed()
            out = mul(out, factor) if operator == "*" else div(out, factor)
        return out

    def signed(self) -> Expression:
        negative = False
        while operator := self.take("-", "+"):
            negative ^= operator == "-"
        out = self.raised()
        return -out if negative else out

    def raised(self) -> Expression:
        base = self.atom()
        if self.take("^", "**"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.wrong(f"at most {MAX_DEPTH} levels")
            base = power(base, self.signed())
            self.depth -= 1
        return base

    def atom(self) -> Expression:
        token = self.token
        if token.kind == "number":
            self.at += 1
            value = float(token.text)
            if math.isinf(value):
                raise self.wrong("a number of a size that a computer holds")
            return number(value)
        if token.kind == "quoted":
            self.at += 1
            return self.name(token.text)
        if token.kind == "name":
            self.at += 1
            return self.call(token) if self.token.text == "(" else self.name(token.text)
        if token.kind == "word" and self.tokens[self.at + 1].text == "(":
            self.at += 1
            return self.call(token)
        if self.take("("):
            inner = self.ternary()
            self.need(")")
            return inner
        raise self.wrong("a number, a name or '('")

    def name(self, name: str) -> Expression:
        if name in self.names:
            return as_expression(self.names[name])
        return symbol(name)

    def call(self, token: Token) -> Expression:
        function = _ALIASES.get(token.text.lower(), token.text.lower())
        if function not in _CALLS:
            raise unknown_name(
                f"{self.field}, column {token.column}", token.text, _CALLS, what="a function"
            )
        self.need("(")
        arguments = [self.ternary()]
        while self.take(self.comma, ";"):
            arguments.append(self.ternary())
        self.need(")")
        if self.value_first and token.text.lower() == "piecewise" and len(arguments) % 2 == 1:
            return _pieces(arguments)
        low, high = _CALLS[function]
        if not low <= len(arguments) <= high:
            raise InputError(
                f"{self.field}, column {token.column}: arguments of {token.text}",
                len(arguments),
                f"{low}" if low == high else f"{low} or more",
            )
        return _call(function, arguments)


def _pieces(arguments: list[Expression]) -> Expression:
    """piecewise(value, condition, value, condition, ..., otherwise)."""
    out = arguments[-1]
    for i in range(len(arguments) - 3, -1, -2):
        out = where(arguments[i + 1], arguments[i], out)
    return out


def _call(function: str, arguments: list[Expression]) -> Expression:
    x = arguments[0]
    if function in _COMPARING:
        operation, swapped = _COMPARING[function]
        return apply(operation, *(reversed(arguments) if swapped else arguments))
    if function in ("log10", "log2"):
        base = 10.0 if function == "log10" else 2.0
        return div(apply("log", x), apply("log", base))
    if function == "sign":
        return where(apply("lt", 0.0, x), 1.0, where(apply("lt", x, 0.0), -1.0, 0.0))
    return apply(function, *arguments)
