"""Inclusion criteria as expressions, such as ``"18 <= age < 65 and bmi < 35"``.

Grammar::

    criterion  = or-term                 "and", "or", "not", brackets
    comparison = sum { (<|<=|>|>=|==|!=) sum }      chains as in mathematics
               | ("sex" | "ethnicity") ("==" | "!=") text
               | "ethnicity" ["not"] "in" (text, ...)
    sum        = numbers and quantities with + - * /

Quantities are those of :mod:`.quantities`, in their units. The text is parsed by Python's parser
and its tree is walked; nothing of it is executed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..._core.errors import InputError, unknown_name
from ..organs import SEXES
from .quantities import ETHNICITIES, QUANTITIES, Columns, known_name

LONGEST = 500
_DEEPEST = 30
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_WORDS = {"sex": SEXES, "ethnicity": ETHNICITIES}
_EXPECTED = "a criterion such as '18 <= age < 65 and bmi < 35'"


@dataclass(frozen=True)
class Criterion:
    """Who belongs to a study.

    Parameters
    ----------
    text : str
        The expression.
    field : str
        Name of the argument, for errors.

    Raises
    ------
    InputError
        Text that the grammar does not have.
    UnknownNameError
        A quantity, sex or ethnicity that does not exist.
    """

    text: str
    field: str = "where"

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise InputError(self.field, self.text, _EXPECTED)
        if len(self.text) > LONGEST:
            raise InputError(self.field, self.text, f"at most {LONGEST} characters")
        one = np.ones(1)
        dummy = {
            name: one
            for name in ("age", "body_weight", "height", "hematocrit", "serum_creatinine", "gfr")
        }
        self.holds({**dummy, "male": one > 0, "ethnicity": np.array([ETHNICITIES[0]])})

    @cached_property
    def _tree(self) -> ast.expr:
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(self.field, self.text, _EXPECTED, hint=str(error)) from error

    def holds(self, columns: Columns) -> np.ndarray:
        """(person,) bool."""
        with np.errstate(divide="ignore", invalid="ignore"):
            result = self._truth(self._tree, columns, 0)
        return np.broadcast_to(result, columns["male"].shape)

    # ---- walking the tree ---------------------------------------------------------------------
    def _truth(self, node: ast.expr, columns: Columns, depth: int) -> np.ndarray:
        if depth > _DEEPEST:
            raise InputError(self.field, self.text, f"at most {_DEEPEST} brackets in each other")
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(v, columns, depth + 1) for v in node.values]
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return join.reduce(np.broadcast_arrays(*parts))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self._truth(node.operand, columns, depth + 1)
        if isinstance(node, ast.Compare):
            return self._comparison(node, columns, depth)
        raise self._refused(node, "a comparison such as 'age < 65'")

    def _comparison(self, node: ast.Compare, columns: Columns, depth: int) -> np.ndarray:
        word = node.left.id if isinstance(node.left, ast.Name) else ""
        if word.lower() in _WORDS:
            return self._word(node, word.lower(), columns)
        left = self._number(node.left, columns, depth + 1)
        result = np.ones(columns["male"].shape, dtype=bool)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARE:
                raise self._refused(right_node, "<, <=, >, >=, == or !=")
            right = self._number(right_node, columns, depth + 1)
            result = result & _COMPARE[type(op)](left, right)
            left = right
        return result

    def _word(self, node: ast.Compare, name: str, columns: Columns) -> np.ndarray:
        """``sex == "female"``, ``ethnicity in ("Other", "Other Hispanic")``."""
        if len(node.ops) != 1:
            raise self._refused(node, f"one comparison of {name}")
        op, right = node.ops[0], node.comparators[0]
        many = isinstance(op, (ast.In, ast.NotIn))
        items = right.elts if many and isinstance(right, (ast.Tuple, ast.List)) else [right]
        texts = []
        for item in items:
            if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
                raise self._refused(item, f"text in quotes, such as {_WORDS[name][0]!r}")
            known = {w.lower(): w for w in _WORDS[name]}
            if item.value.lower() not in known:
                raise unknown_name(self.field, item.value, _WORDS[name])
            texts.append(known[item.value.lower()])
        if not isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            raise self._refused(node, f"==, != or in for {name}")
        values = (
            np.where(columns["male"], "male", "female") if name == "sex" else columns["ethnicity"]
        )
        found = np.isin(values, texts)
        return ~found if isinstance(op, (ast.NotEq, ast.NotIn)) else found

    def _number(self, node: ast.expr, columns: Columns, depth: int) -> Any:
        if depth > _DEEPEST:
            raise InputError(self.field, self.text, f"at most {_DEEPEST} brackets in each other")
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            if not np.isfinite(float(node.value)):
                raise self._refused(node, "finite numbers")
            return float(node.value)
        if isinstance(node, ast.Name):
            name = known_name(node.id)
            if name not in QUANTITIES:
                raise unknown_name(self.field, node.id, (*QUANTITIES, *_WORDS), what="a quantity")
            return QUANTITIES[name].value(columns)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            left = self._number(node.left, columns, depth + 1)
            right = self._number(node.right, columns, depth + 1)
            if isinstance(right, float) and right == 0 and isinstance(node.op, ast.Div):
                raise self._refused(node, "no division by zero")
            return _ARITHMETIC[type(node.op)](left, right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number(node.operand, columns, depth + 1)
        raise self._refused(node, "numbers, quantities and + - * /")

    def _refused(self, node: ast.AST, expected: str) -> InputError:
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        return InputError(self.field, part, expected, hint=f"in {self.text!r}")


class Excess:
    """How far people are from satisfying a criterion, in spreads of what it compares.

    Parameters
    ----------
    criterion : Criterion
        The criterion.
    scales : dict
        Spread of each comparison; filled by the first people that are looked at.
    """

    def __init__(self, criterion: Criterion, scales: dict[str, float]) -> None:
        self._criterion, self._scales = criterion, scales

    def of(self, columns: Columns) -> np.ndarray:
        """(person,), 0 where the criterion holds; "and" takes the largest, "or" the smallest."""
        with np.errstate(divide="ignore", invalid="ignore"):
            off = self._walk(self._criterion._tree, columns)
        off = np.broadcast_to(np.where(np.isnan(off), _UNREACHABLE, off), columns["male"].shape)
        return np.where(self._criterion.holds(columns), 0.0, off)

    def _walk(self, node: ast.expr, columns: Columns) -> np.ndarray:
        if isinstance(node, ast.BoolOp):
            parts = np.broadcast_arrays(*(self._walk(v, columns) for v in node.values))
            return (np.maximum if isinstance(node.op, ast.And) else np.minimum).reduce(parts)
        word = node.left.id.lower() if isinstance(getattr(node, "left", 0), ast.Name) else ""
        if not isinstance(node, ast.Compare) or word in _WORDS:
            return np.where(self._criterion._truth(node, columns, 0), 0.0, _UNREACHABLE)
        off = np.zeros(columns["male"].shape)
        left = self._criterion._number(node.left, columns, 0)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self._criterion._number(right_node, columns, 0)
            gap = np.asarray(left - right, float)
            key = ast.dump(right_node) + ast.dump(node.left)
            spread = self._scales.setdefault(key, float(np.nanstd(gap)) or 1.0)
            if isinstance(op, (ast.Lt, ast.LtE)):
                gap = np.maximum(gap, 0.0)
            elif isinstance(op, (ast.Gt, ast.GtE)):
                gap = np.maximum(-gap, 0.0)
            else:
                gap = np.abs(gap)
            off = np.maximum(off, gap / spread)
            left = right
        return off


_UNREACHABLE = 1e3  # spreads: of what is true or not


__all__ = ["Criterion", "Excess"]
