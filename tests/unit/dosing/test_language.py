"""Regimens in words."""

from __future__ import annotations

import pytest

from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.dosing import Regimen

B, I, O, D = Regimen.bolus, Regimen.infusion, Regimen.oral, Regimen.dose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100 mg iv", B(100)),
        ("100mg IV", B(100)),
        ("100 kg iv", B(1e8)),
        ("0.5 g po", O(500)),
        ("5 mg/kg po", O("5 mg/kg")),
        ("5mg/kg po", O("5 mg/kg")),
        ("100 mg over 2 h", I(100, 2)),
        ("100 mg over 30min iv", I(100, 0.5)),
        ("100 mg at 50 mg/h", I(100, rate=50)),
        ("10 mg/kg at 5 mg/kg/h", I("10 mg/kg", rate="5 mg/kg/h")),
        ("100 mg into liver", D(100, compartment="liver")),
        ("100 mg into liver over 1 h", D(100, compartment="liver", duration=1)),
        ("100 mg oral over 4 h", O(100, duration=4)),
        ("100 mg po lag 0.5 h f 0.8", O(100, lag=0.5, bioavailability=0.8)),
        ("100 mg iv q12h x4", B(100).repeat(12, 4)),
        ("100 mg iv x 4 every 12 h", B(100).repeat(12, 4)),
        ("100 mg iv q1d x4", B(100).repeat(24, 4)),
        ("100 mg iv q30min x4", B(100).repeat(0.5, 4)),
        ("100 mg iv bid x4", B(100).repeat(12, 4)),
        ("100 mg iv tid for 2 days", B(100).repeat(8, 6)),
        ("100 mg iv q24h for 60 h", B(100).repeat(24, 3)),
        ("100 mg iv q24h ss", B(100, interval=24, steady_state=True)),
        ("100 mg iv q24h ss x3", B(100, interval=24, steady_state=True).repeat(24, 3)),
        ("100 mg iv reset at 6 h", B(100, 6, reset=True)),
        ("100 mg po and 50 mg iv at 6 h", O(100) + B(50, 6)),
        (
            "100 mg over 2 h q24h x7 then 50 mg oral q12h x20",
            I(100, 2).repeat(24, 7).then(O(50).repeat(12, 20)),
        ),
        (
            "200 mg po then after 12 h 100 mg po q12h x9",
            O(200).then(O(100).repeat(12, 9), after=12),
        ),
        ("100 mg over 1 h then 240 mg over 24 h", I(100, 1).then(I(240, 24))),
    ],
)
def test_words_mean_the_same_as_calls(text, expected):
    got = Regimen.parse(text)
    for name, column in expected.columns.items():
        assert got.columns[name].tolist() == column.tolist(), name
    assert got.span == expected.span


def test_a_later_start_moves_the_following_part_too():
    assert Regimen.parse("10 mg iv at 6 h q12h x2 then 5 mg po").columns["time"].tolist() == [
        6.0,
        18.0,
        30.0,
    ]


@pytest.mark.parametrize(
    ("text", "column", "word", "hint"),
    [
        ("100 mg ivv", 8, "ivv", "'iv'"),
        ("100 mg iv q24h x7 hten 50 mg po", 19, "hten", "'then'"),
        ("100 mg iv then 50 mg po", 11, "then", "then after 12 h"),
        ("mg iv", 1, "mg", "100 mg"),
        ("100 iv", 5, "iv", "unit after '100'"),
        ("100 mg over fast", 13, "fast", "2 h"),
        ("100 mg iv q24h", 1, "100 mg", "x7"),
        ("100 mg iv x7", 1, "100 mg", "q12h"),
        ("100 mg", 1, "100 mg", "route"),
        ("100 mg iv po", 11, "po", "only once"),
        ("100 mg iv q12h x4 for 2 days", 1, "100 mg", "not both"),
        ("100 mg iv q12h x0", 16, "0", ">= 1"),
        ("100 mg over 2 h at 50 mg/h", 1, "50", "not both"),
        ("100 L iv", 1, "100 L", "mg"),
        ("-5 mg iv", 1, "-5 mg", ">= 0"),
        ("1,000 mg iv", 1, "1,000", "100 mg"),
    ],
)
def test_errors_point_to_the_word(text, column, word, hint):
    with pytest.raises(InputError) as err:
        Regimen.parse(text)
    message = str(err.value)
    assert f"column {column}" in message and word in message and hint in message


def test_text_that_ends_too_soon_says_where():
    with pytest.raises(InputError, match="ends after 'over' at column 8"):
        Regimen.parse("100 mg over")
    with pytest.raises(InputError, match="ends after 'then'"):
        Regimen.parse("100 mg iv q12h x2 then")


@pytest.mark.parametrize("text", ["", "   ", None, 5])
def test_no_text_is_refused(text):
    with pytest.raises(InputError, match="100 mg iv"):
        Regimen.parse(text)


def test_unknown_words_are_unknown_names():
    with pytest.raises(UnknownNameError):
        Regimen.parse("100 mg iv quickly")
