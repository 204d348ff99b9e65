"""Expressions: text and back, derivatives, what is linear; compiled code against numpy is in tests/backends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbpk_hybrid._core import errors
from pbpk_hybrid.models.expressions.derivative import derivatives
from pbpk_hybrid.models.expressions.linear import split_linear
from pbpk_hybrid.models.expressions.parser import parse_expression
from pbpk_hybrid.models.expressions.printing import text_of
from pbpk_hybrid.models.expressions.tree import (
    Table,
    add,
    apply,
    div,
    evaluate,
    mul,
    number,
    power,
    symbol,
    symbols,
    where,
)

NAMES = ("a", "b", "c")


def grow(children):
    """Expressions of expressions, smooth but for the choices among them."""
    two = st.tuples(children, children)
    three = st.tuples(children, children, children)
    return st.one_of(
        two.map(lambda p: add(*p)),
        two.map(lambda p: mul(*p)),
        two.map(lambda p: div(p[0], add(2.0, mul(p[1], p[1])))),
        children.map(lambda x: apply("exp", mul(0.1, apply("sin", x)))),
        children.map(lambda x: apply("log", add(1.5, mul(x, x)))),
        children.map(lambda x: power(add(1.5, mul(x, x)), 0.3)),
        two.map(lambda p: apply("max", *p)),
        two.map(lambda p: apply("min", *p)),
        three.map(lambda p: where(apply("lt", p[0], p[1]), p[2], p[0])),
    )


LEAVES = st.one_of(
    st.sampled_from(NAMES).map(symbol),
    st.floats(-3, 3, allow_nan=False).map(lambda v: number(round(v, 3))),
)
EXPRESSIONS = st.recursive(LEAVES, grow, max_leaves=12)
VALUES = st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(-2, 2)))


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, VALUES)
def test_text_is_read_back_as_the_same_function(expression, values):
    again = parse_expression(text_of(expression))
    np.testing.assert_allclose(
        evaluate([again], values)[0], evaluate([expression], values)[0], rtol=1e-12, atol=1e-12
    )


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, VALUES, st.sampled_from(NAMES))
def test_derivatives_agree_with_complex_steps(expression, values, by):
    moved = {**values, by: values[by] + 1e-30j}
    numeric = np.imag(evaluate([expression], moved)[0]) / 1e-30
    exact = evaluate(derivatives([expression], by), values)[0]
    np.testing.assert_allclose(exact, numeric, rtol=1e-9, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, VALUES)
def test_the_linear_part_and_the_rest_make_the_whole(expression, values):
    linear, rest = split_linear(expression, ("a", "b"))
    assert all(not symbols(k) & {"a", "b"} for k in linear.values())
    whole = sum(evaluate([k], values)[0] * values[s] for s, k in linear.items())
    whole = whole + evaluate([rest], values)[0]
    np.testing.assert_allclose(whole, evaluate([expression], values)[0], rtol=1e-9, atol=1e-9)


def test_equal_expressions_are_one_object():
    assert parse_expression("a*b + exp(a*b)") is parse_expression("a*b + exp(a*b)")


def test_the_slope_of_a_table_is_that_of_the_piece_that_begins():
    table = apply("table", symbol("a"), table=Table((0.0, 1.0, 3.0), (0.0, 2.0, 2.0)))
    slope = derivatives([table], "a")[0]
    assert [float(evaluate([slope], {"a": x})[0]) for x in (-1.0, 0.0, 0.5, 1.0, 4.0)] == [
        0,
        2,
        2,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a +", "number"),
        ("__import__('os')", "column"),
        ("sinn(a)", "sin"),
        ("max(a)", "arguments of max"),
        ("(" * 100 + "a" + ")" * 100, "levels"),
        ("a ? b", "':'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_column(text, words):
    with pytest.raises(errors.InputError, match=None) as caught:
        parse_expression(text)
    assert words in str(caught.value)


def test_a_table_that_does_not_ascend_is_refused():
    with pytest.raises(errors.InputError, match=r"table.x\[2\]"):
        Table((0.0, 2.0, 1.0), (0.0, 1.0, 2.0))
