"""What an operation of an expression does with numbers, and the tables that it may look up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._core.errors import InputError

#: operation -> number of arguments; None: one or more
OPERATIONS: dict[str, int | None] = {
    "number": 0,
    "symbol": 0,
    "add": None,
    "mul": None,
    "div": 2,
    "pow": 2,
    "min": None,
    "max": None,
    "and": None,
    "or": None,
    "not": 1,
    "if": 3,
    "table": 1,
    "lt": 2,
    "le": 2,
    "eq": 2,
    "ne": 2,
    "abs": 1,
    "floor": 1,
    "ceil": 1,
    "sqrt": 1,
    "exp": 1,
    "log": 1,
    "sin": 1,
    "cos": 1,
    "tan": 1,
    "asin": 1,
    "acos": 1,
    "atan": 1,
    "sinh": 1,
    "cosh": 1,
    "tanh": 1,
}

#: function of one number each: name -> numpy function
FUNCTIONS: dict[str, Callable] = {
    "abs": np.abs,
    "floor": np.floor,
    "ceil": np.ceil,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
}


@dataclass(frozen=True)
class Table:
    """Points (x, y) with straight lines between them; constant beyond the ends.

    Parameters
    ----------
    x : strictly ascending
    y : as many values
    slope : the table's derivative by x instead of its value (a step function)
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    slope: bool = False

    def __post_init__(self) -> None:
        if not self.x or len(self.x) != len(self.y):
            raise InputError("table", (len(self.x), len(self.y)), "as many x as y, at least one")
        if not all(math.isfinite(v) for v in (*self.x, *self.y)):
            raise InputError("table", (self.x, self.y), "finite numbers")
        back = next((i for i in range(1, len(self.x)) if not self.x[i] > self.x[i - 1]), None)
        if back is not None:
            raise InputError(f"table.x[{back}]", self.x[back], f"a number > {self.x[back - 1]:g}")

    def __call__(self, at: np.ndarray) -> np.ndarray:
        """Value (or slope) at any numbers."""
        if not self.slope:
            return np.interp(at, self.x, self.y)
        if len(self.x) == 1:
            return np.zeros_like(np.asarray(at, dtype=float))
        steps = np.diff(self.y) / np.diff(self.x)
        # a corner belongs to the piece that begins there, as a restarted integration needs it
        piece = np.searchsorted(self.x, at, side="right") - 1
        inside = (piece >= 0) & (piece < len(steps))
        return np.where(inside, steps[np.clip(piece, 0, len(steps) - 1)], 0.0)


def compute(op: str, value: Table | None, *args: Any) -> Any:
    """One operation on numbers or arrays: the definition that compiled code is checked against.

    Complex numbers with a tiny imaginary part go through as derivatives do (complex
    step): what compares or has corners looks at the real part.
    """
    if any(np.iscomplexobj(a) for a in args) and op in _BY_REAL_PART:
        return _BY_REAL_PART[op](value, *args)
    if op in FUNCTIONS:
        return FUNCTIONS[op](args[0])
    if op == "table":
        return value(args[0])
    if op == "add":
        return sum(args[1:], args[0])
    if op == "mul":
        out = args[0]
        for a in args[1:]:
            out = out * a
        return out
    if op in ("min", "max"):
        pick = np.minimum if op == "min" else np.maximum
        out = args[0]
        for a in args[1:]:
            out = pick(out, a)
        return out
    if op in ("and", "or"):
        test = np.logical_and if op == "and" else np.logical_or
        out = np.asarray(args[0]) != 0.0
        for a in args[1:]:
            out = test(out, np.asarray(a) != 0.0)
        return out * 1.0
    return _PLAIN[op](*args)


def _table_of_complex(table: Table, x):
    slope = table if table.slope else Table(table.x, table.y, slope=True)
    value = table(np.real(x)) + 0j
    return value if table.slope else value + 1j * slope(np.real(x)) * np.imag(x)


def _extreme_of_complex(better: Callable):
    def extreme(_, *args):
        out = args[0]
        for a in args[1:]:
            out = np.where(better(np.real(a), np.real(out)), a, out)
        return out

    return extreme


def _steps_of_real(op: str):
    return lambda _, *args: compute(op, None, *(np.real(a) for a in args))


_BY_REAL_PART: dict[str, Callable] = {
    "abs": lambda _, a: np.where(np.real(a) < 0.0, -a, a),
    "min": _extreme_of_complex(np.less),
    "max": _extreme_of_complex(np.greater),
    "table": _table_of_complex,
    "if": lambda _, c, a, b: np.where(np.real(c) != 0.0, a, b),
    **{op: _steps_of_real(op) for op in ("lt", "le", "eq", "ne", "and", "or", "not")},
    **{op: _steps_of_real(op) for op in ("floor", "ceil")},
}
_PLAIN: dict[str, Callable] = {
    "div": lambda a, b: a / b,
    "pow": lambda a, b: np.power(a, b),
    "not": lambda a: (np.asarray(a) == 0.0) * 1.0,
    "lt": lambda a, b: np.less(a, b) * 1.0,
    "le": lambda a, b: np.less_equal(a, b) * 1.0,
    "eq": lambda a, b: np.equal(a, b) * 1.0,
    "ne": lambda a, b: np.not_equal(a, b) * 1.0,
    "if": lambda c, a, b: np.where(np.asarray(c) != 0.0, a, b),
}
