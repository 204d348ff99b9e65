"""Regimens in words.

A regimen is one or more parts, joined by ``then`` (one after the other) or ``and`` (at the
same time; binds closer)::

    100 mg iv
    5 mg/kg po
    100 mg over 2 h q24h x7 then 50 mg oral q12h x20
    200 mg po then after 12 h 100 mg po q12h x9
    10 mg/kg at 5 mg/kg/h
    100 mg po q24h ss and 50 mg iv at 6 h

A part starts with the dose (number and unit: ``100 mg``, ``0.5 g``, ``1e3 mg``, ``5
mg/kg``); the other words may come in any order:

- ``iv``, ``bolus``, ``intravenous``: into the blood; with ``over`` or ``at`` a rate: an
  infusion
- ``po``, ``oral``, ``orally``: into the absorption compartment
- ``into NAME``: into the compartment NAME
- ``over 2 h``: infusion of this duration
- ``at 50 mg/h``: infusion at this rate (a unit with ``/``)
- ``at 6 h``: starts this long after the start of the part (a unit of time)
- ``q12h``, ``every 12 h``: repeated; also ``qd``, ``daily``, ``bid``, ``tid``, ``qid``,
  ``weekly``
- ``x7``: this many doses in all
- ``for 10 days``: as many doses as start within this time
- ``ss``: starts at the steady state of this dose at its interval
- ``lag 0.5 h``: the dose enters this much later
- ``f 0.8``: bioavailability
- ``reset``: empties all compartments first

Without a route an infusion is intravenous; a dose at once needs its route. ``then``
starts the next part one interval after the last dose of a repeated dose, or at the end
of a single infusion; after a single dose at once it needs ``after``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._core.errors import InputError, UnknownNameError, unknown_name
from .._core.limits import check
from .._core.numbers_in_text import NUMBER, meant
from .._core.units import quantity
from .dose_record import dose_record
from .table import MOST_DOSES, check_count, make_columns

INTERVALS = {
    "qd": 24.0,
    "od": 24.0,
    "daily": 24.0,
    "bid": 12.0,
    "tid": 8.0,
    "qid": 6.0,
    "weekly": 168.0,
}
ROUTE_WORDS = {
    "iv": "iv",
    "intravenous": "iv",
    "bolus": "iv",
    "infusion": "iv",
    "po": "oral",
    "oral": "oral",
    "orally": "oral",
}
WORDS = (
    *ROUTE_WORDS,
    *INTERVALS,
    "into",
    "over",
    "at",
    "every",
    "for",
    "ss",
    "lag",
    "f",
    "reset",
    "then",
    "and",
    "after",
)

#: characters; a part has some thirty
LONGEST = 20_000

_NUMBER_UNIT = re.compile(rf"({NUMBER.pattern})([a-zA-Zµμ%].*)", re.ASCII)
_INTERVAL = re.compile(rf"q(?=[\d.])({NUMBER.pattern})([a-z]+)", re.ASCII)
_TIMES = re.compile(r"x(\d+)", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Part:
    """One dose, once or repeated.

    Parameters
    ----------
    columns : mapping
        Dose table of one row, see :mod:`.table`.
    span : float, hour
        End of the dose's interval or infusion.
    start
        Float, hour.
    interval : float or None, hour
        None for a dose that is not repeated.
    count : int
        Number of doses.
    """

    columns: Mapping[str, np.ndarray]
    span: float
    start: float
    interval: float | None
    count: int


@dataclass(frozen=True)
class Phase:
    """Parts that start together.

    Parameters
    ----------
    parts : tuple of Part
        Joined by ``and``.
    after : float or None, hour
        Time from the end of the phase before; None: not given.
    field, word : str
        What an error about this phase names: the place of its ``then``, and the word as
        typed.
    """

    parts: tuple[Part, ...]
    after: float | None = None
    field: str = ""
    word: str = ""

    def missing_after(self) -> InputError:
        """The error where the phase before has no end that ``then`` could mean."""
        return InputError(
            self.field,
            self.word,
            "'then after' and a time, such as 'then after 12 h'",
            hint="what comes before is a single dose at once, which has no interval that could end",
        )


@dataclass(frozen=True)
class _Word:
    text: str
    column: int  # from 1

    @property
    def field(self) -> str:
        """What an error names as the place of the word."""
        return f"regimen, column {self.column}"


class _Option(NamedTuple):
    """An option of a part: its name, its value, and the word that an error about it names."""

    name: str
    value: Any
    word: _Word


def parse(text: str) -> list[Phase]:
    """The phases that `text` describes, in order.

    Raises
    ------
    InputError, UnknownNameError
        Names the word that cannot be understood and its column in the text.
    """
    if not isinstance(text, str):
        raise InputError("regimen", text, 'text such as "100 mg iv q12h x4"')
    if len(text) > LONGEST:
        raise InputError(
            "regimen",
            text,
            f"text of at most {LONGEST} characters",
            hint="build a long regimen from Regimen.dose and +, or read it with read_nonmem",
        )
    words = _words(text)
    if not words:
        raise InputError("regimen", text, 'text such as "100 mg iv q12h x4"')
    return _Parser(words).phases()


def _words(text: str) -> list[_Word]:
    """Words with their columns; `100mg` is two words, `1e3` is one."""
    out = []
    for match in re.finditer(r"\S+", text):
        column, word = match.start() + 1, match.group()
        both = _NUMBER_UNIT.fullmatch(word)
        if both and not NUMBER.fullmatch(word):
            out += [_Word(both.group(1), column), _Word(both.group(2), column + len(both.group(1)))]
        else:
            out.append(_Word(word, column))
    return out


class _Parser:
    """Recursive descent over the words: phases, parts, options."""

    def __init__(self, words: list[_Word]) -> None:
        self._words, self._position = words, 0

    # ---- words ----------------------------------------------------------------------------------

    def _peek(self) -> str:
        """The next word in small letters; "" at the end."""
        if self._position == len(self._words):
            return ""
        return self._words[self._position].text.lower()

    def _next(self, expected: str) -> _Word:
        if self._position == len(self._words):
            last = self._words[-1]
            raise InputError(
                "regimen",
                "",
                expected,
                hint=f"the text ends after {last.text!r} at column {last.column}",
            )
        self._position += 1
        return self._words[self._position - 1]

    def _measure(self, expected: str) -> tuple[str, _Word]:
        """A number and its unit, as one text."""
        number = self._next(expected)
        if not NUMBER.fullmatch(number.text):
            hint = meant(number.text) if re.search(r"\d", number.text) else ""
            raise InputError(number.field, number.text, expected, hint=hint)
        unit = self._next(f"a unit after {number.text!r}")
        low = unit.text.lower()
        if unit.text[0] in "0123456789+-.,<>±" or low in WORDS or _INTERVAL.fullmatch(low):
            hint = meant(f"{number.text} {unit.text}") if re.search(r"\d", unit.text) else ""
            raise InputError(unit.field, unit.text, f"a unit after {number.text!r}", hint=hint)
        return f"{number.text} {unit.text}", number

    def _hours(self, expected: str) -> float:
        text, word = self._measure(expected)
        return quantity(text, "h", word.field, minimum=0)

    # ---- grammar --------------------------------------------------------------------------------

    def phases(self) -> list[Phase]:
        phases = [Phase(self._parts())]
        while self._peek() == "then":
            then = self._next("then")
            after = None
            if self._peek() == "after":
                self._next("after")
                after = self._hours("a time such as '12 h' after 'after'")
            phases.append(Phase(self._parts(), after, then.field, then.text))
        # each part has its own bound; all of them are written out, too
        total = sum(part.count for phase in phases for part in phase.parts)
        check("regimen_doses", total, "regimen", error=InputError)
        return phases

    def _parts(self) -> tuple[Part, ...]:
        parts = [self._part()]
        while self._peek() == "and":
            self._next("and")
            parts.append(self._part())
        return tuple(parts)

    def _part(self) -> Part:
        amount, first = self._measure("a dose such as '100 mg' or '5 mg/kg'")
        options: dict[str, Any] = {}
        while self._peek() not in ("", "then", "and"):
            name, value, word = self._option()
            if name in options:
                raise InputError(word.field, word.text, f"the {name} only once in a part")
            options[name] = value
        return _build_part(amount, first.field, options)

    def _option(self) -> _Option:
        word = self._next("a word")
        low = word.text.lower()
        if low in _OPTIONS:
            return _OPTIONS[low](self, word)
        if low in ROUTE_WORDS:
            return _Option("route", ROUTE_WORDS[low], word)
        if low in INTERVALS:
            return _Option("interval", INTERVALS[low], word)
        if low in _FLAGS:
            return _Option(_FLAGS[low], True, word)
        if low in _HOURS:
            name, expected = _HOURS[low]
            return _Option(name, self._hours(expected), word)
        if match := _INTERVAL.fullmatch(low):
            hours = quantity(f"{match[1]} {match[2]}", "h", word.field, positive=True)
            return _Option("interval", hours, word)
        if match := _TIMES.fullmatch(low):
            return _Option("number of doses", _dose_count(match[1], word), word)
        raise _unknown_word(word)

    def _compartment(self, word: _Word) -> _Option:
        name = self._next("the name of a compartment after 'into'")
        return _Option("compartment", name.text, word)

    def _rate_or_start(self, _word: _Word) -> _Option:
        text, number = self._measure("a rate such as '50 mg/h' or a time such as '6 h' after 'at'")
        if "/" in text:
            return _Option("rate", text, number)
        return _Option("start", quantity(text, "h", number.field, minimum=0), number)

    def _number_of_doses(self, word: _Word) -> _Option:
        count = self._next("a number of doses after 'x'")
        return _Option("number of doses", _dose_count(count.text, word), word)

    def _bioavailability(self, word: _Word) -> _Option:
        fraction = self._next("a number after 'f'")
        text = fraction.text
        if self._peek() == "%":
            text += self._next("%").text
        return _Option("bioavailability", quantity(text, "1", fraction.field, minimum=0), word)


#: words with a rule of their own
_OPTIONS = {
    "into": _Parser._compartment,
    "at": _Parser._rate_or_start,
    "x": _Parser._number_of_doses,
    "f": _Parser._bioavailability,
}
#: words that stand alone
_FLAGS = {"ss": "steady state", "reset": "reset"}
#: words before a time: name of the option, and what is expected
_HOURS = {
    "over": ("duration", "a duration such as '2 h' after 'over'"),
    "every": ("interval", "an interval such as '12 h' after 'every'"),
    "for": ("length", "a length such as '10 days' after 'for'"),
    "lag": ("lag", "a time such as '0.5 h' after 'lag'"),
}


def _unknown_word(word: _Word) -> UnknownNameError:
    low = word.text.lower()
    if re.match(r"[qx][\d.]", low):
        expected = "an interval such as 'q12h'" if low[0] == "q" else "a number of doses, 'x7'"
        return UnknownNameError(word.field, word.text, expected, hint=meant(word.text[1:]))
    known = (*WORDS, "q12h", "x7")
    return unknown_name(word.field, word.text, known, what="a word of the regimen language")


def _dose_count(text: str, word: _Word) -> int:
    count = int(text) if _COUNT.fullmatch(text) else 0
    if text.isascii() and text.isdecimal() and len(text) > 9:
        count = MOST_DOSES + 1  # more digits than _COUNT reads
    if count < 1:
        raise InputError(word.field, text, "a whole number of doses >= 1, such as 'x7'")
    check_count(word.field, count, text)
    return count


# ---- from options to a dose ---------------------------------------------------------------------

_REPEATS = ("number of doses", "length", "steady state")


def _build_part(amount: str, field: str, options: dict[str, Any]) -> Part:
    """The part, checked; errors name `field`, the place of its dose."""
    _check_options(amount, field, options)
    steady_state = "steady state" in options
    start = options.get("start", 0.0)
    try:
        row, span = dose_record(
            amount,
            start,
            route=_route(options),
            compartment=options.get("compartment", ""),
            duration=options.get("duration"),
            rate=options.get("rate"),
            interval=options["interval"] if steady_state else 0.0,
            steady_state=steady_state,
            lag=options.get("lag", 0.0),
            bioavailability=options.get("bioavailability", 1.0),
            reset=options.get("reset", False),
        )
        columns = make_columns(row)
    except InputError as err:
        raise type(err)(f"{field}: {err.field}", err.value, err.expected, hint=err.hint) from err
    interval = options.get("interval")
    count = options.get("number of doses", 1)
    if interval is not None and "length" in options:
        # 1e-9: ten days hold ten intervals of 24 h, whatever the last digit
        count = max(1, math.ceil(min(options["length"] / interval, 1e12) - 1e-9))
        check_count(f"{field}: number of doses", count)
    return Part(columns, span, start, interval, count)


def _has_infusion(options: dict[str, Any]) -> bool:
    return "duration" in options or "rate" in options


def _check_options(amount: str, field: str, options: dict[str, Any]) -> None:
    """
    Raises
    ------
    InputError
        Options that contradict each other, or one that is missing.
    """
    if not (options.keys() & {"route", "compartment"} or _has_infusion(options)):
        raise InputError(field, amount, "a route ('iv', 'po' or 'into NAME') for a dose at once")
    repeats = [name for name in _REPEATS if name in options]
    if "interval" not in options and repeats:
        raise InputError(field, amount, f"an interval such as 'q12h' with the {repeats[0]}")
    if "interval" in options and not repeats:
        raise InputError(
            field, amount, "how many doses ('x7' or 'for 10 days') or 'ss' with an interval"
        )
    if "number of doses" in options and "length" in options:
        raise InputError(field, amount, "'x7' or 'for 10 days', not both")


def _route(options: dict[str, Any]) -> str:
    """The route as the dose table names it."""
    infusion = _has_infusion(options)
    word = options.get("route", "iv" if infusion and "compartment" not in options else "")
    if word == "iv":
        return "iv_infusion" if infusion else "iv_bolus"
    return word or "compartment"
