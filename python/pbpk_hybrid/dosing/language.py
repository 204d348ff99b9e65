"""Regimens in words.

A regimen is one or more parts, joined by ``then`` (one after the other) or ``and`` (at the same time; binds
closer)::

    100 mg iv
    5 mg/kg po
    100 mg over 2 h q24h x7 then 50 mg oral q12h x20
    200 mg po then after 12 h 100 mg po q12h x9
    10 mg/kg at 5 mg/kg/h
    100 mg po q24h ss and 50 mg iv at 6 h

A part starts with the dose (number and unit: ``100 mg``, ``0.5 g``, ``1e3 mg``, ``5 mg/kg``); the other words
may come in any order:

======================================= ===========================================================================
``iv``, ``bolus``, ``intravenous``      into the blood; with ``over`` or ``at`` a rate: an infusion
``po``, ``oral``, ``orally``            into the absorption compartment
``into NAME``                           into the compartment NAME
``over 2 h``                            infusion of this duration
``at 50 mg/h``                          infusion at this rate (a unit with ``/``)
``at 6 h``                              starts this long after the start of the part (a unit of time)
``q12h``, ``every 12 h``                repeated; also ``qd``, ``daily``, ``bid``, ``tid``, ``qid``, ``weekly``
``x7``                                  this many doses in all
``for 10 days``                         as many doses as start within this time
``ss``                                  starts at the steady state of this dose at its interval
``lag 0.5 h``                           the dose enters this much later
``f 0.8``                               bioavailability
``reset``                               empties all compartments first
======================================= ===========================================================================

Without a route an infusion is intravenous; a dose at once needs its route. ``then`` starts the next part one
interval after the last dose of a repeated dose, or at the end of a single infusion; after a single dose at
once it needs ``after``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from .._core.errors import InputError, UnknownNameError, unknown_name
from .._core.numbers_in_text import NUMBER, meant
from .._core.units import quantity
from .regimen import Regimen, _single
from .table import MOST_DOSES, check_count

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
class _Word:
    text: str
    column: int  # from 1


def parse(text: str) -> Regimen:
    """The regimen that `text` describes.

    Raises
    ------
    InputError, UnknownNameError : names the word that cannot be understood and its column in the text
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
    return _Parser(words).regimen()


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
    def __init__(self, words: list[_Word]) -> None:
        self._words, self._at = words, 0

    # ---- words --------------------------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._words[self._at].text.lower() if self._at < len(self._words) else ""

    def _next(self, expected: str) -> _Word:
        if self._at == len(self._words):
            last = self._words[-1]
            raise InputError(
                "regimen",
                "",
                expected,
                hint=f"the text ends after {last.text!r} at column {last.column}",
            )
        self._at += 1
        return self._words[self._at - 1]

    @staticmethod
    def _where(word: _Word) -> str:
        return f"regimen, column {word.column}"

    def _measure(self, expected: str) -> tuple[str, _Word]:
        """A number and its unit, as one text."""
        number = self._next(expected)
        if not NUMBER.fullmatch(number.text):
            hint = meant(number.text) if re.search(r"\d", number.text) else ""
            raise InputError(self._where(number), number.text, expected, hint=hint)
        unit = self._next(f"a unit after {number.text!r}")
        low = unit.text.lower()
        if unit.text[0] in "0123456789+-.,<>±" or low in WORDS or _INTERVAL.fullmatch(low):
            hint = meant(f"{number.text} {unit.text}") if re.search(r"\d", unit.text) else ""
            raise InputError(
                self._where(unit), unit.text, f"a unit after {number.text!r}", hint=hint
            )
        return f"{number.text} {unit.text}", number

    def _hours(self, expected: str) -> float:
        text, word = self._measure(expected)
        return self._convert(text, "h", word, minimum=0)

    def _convert(self, text: str, unit: str, word: _Word, **bounds: Any) -> float:
        return quantity(text, unit, self._where(word), **bounds)

    # ---- grammar ------------------------------------------------------------------------------------------------

    def regimen(self) -> Regimen:
        whole = self._together()
        while self._peek() == "then":
            then = self._next("then")
            wait = None
            if self._peek() == "after":
                self._next("after")
                wait = self._hours("a time such as '12 h' after 'after'")
            following = self._together()
            if wait is None and whole._open_end():
                raise InputError(
                    self._where(then),
                    then.text,
                    "'then after' and a time, such as 'then after 12 h'",
                    hint="what comes before is a single dose at once, which has no interval that could end",
                )
            whole = whole.then(following, after=wait)
        return whole

    def _together(self) -> Regimen:
        whole = self._part()
        while self._peek() == "and":
            self._next("and")
            whole = whole + self._part()
        return whole

    def _part(self) -> Regimen:
        amount, first = self._measure("a dose such as '100 mg' or '5 mg/kg'")
        said: dict[str, Any] = {}

        def say(what: str, value: Any, word: _Word) -> None:
            if what in said:
                raise InputError(self._where(word), word.text, f"the {what} only once in a part")
            said[what] = value

        while self._peek() not in ("", "then", "and"):
            self._option(say)
        return self._build(amount, first, said)

    def _option(self, say: Any) -> None:
        word = self._next("a word")
        low = word.text.lower()
        if low in ROUTE_WORDS:
            say("route", ROUTE_WORDS[low], word)
        elif low == "into":
            say("compartment", self._next("the name of a compartment after 'into'").text, word)
        elif low == "over":
            say("duration", self._hours("a duration such as '2 h' after 'over'"), word)
        elif low == "at":
            text, number = self._measure(
                "a rate such as '50 mg/h' or a time such as '6 h' after 'at'"
            )
            if "/" in text:
                say("rate", text, number)
            else:
                say("start", self._convert(text, "h", number, minimum=0), number)
        elif low in INTERVALS:
            say("interval", INTERVALS[low], word)
        elif low == "every":
            say("interval", self._hours("an interval such as '12 h' after 'every'"), word)
        elif match := _INTERVAL.fullmatch(low):
            say("interval", self._convert(f"{match[1]} {match[2]}", "h", word, positive=True), word)
        elif match := _TIMES.fullmatch(low):
            say("number of doses", self._count(match[1], word), word)
        elif low == "x":
            say(
                "number of doses",
                self._count(self._next("a number of doses after 'x'").text, word),
                word,
            )
        elif low == "for":
            say("length", self._hours("a length such as '10 days' after 'for'"), word)
        elif low == "ss":
            say("steady state", True, word)
        elif low == "lag":
            say("lag", self._hours("a time such as '0.5 h' after 'lag'"), word)
        elif low == "f":
            fraction = self._next("a number after 'f'")
            text = fraction.text
            if self._peek() == "%":
                text += self._next("%").text
            say("bioavailability", self._convert(text, "1", fraction, minimum=0), word)
        elif low == "reset":
            say("reset", True, word)
        elif re.match(r"[qx][\d.]", low):
            kind = "an interval such as 'q12h'" if low[0] == "q" else "a number of doses, 'x7'"
            raise UnknownNameError(self._where(word), word.text, kind, hint=meant(word.text[1:]))
        else:
            raise unknown_name(
                self._where(word),
                word.text,
                (*WORDS, "q12h", "x7"),
                what="a word of the regimen language",
            )

    def _count(self, text: str, word: _Word) -> int:
        count = int(text) if _COUNT.fullmatch(text) else MOST_DOSES + 1 if text.isdecimal() else 0
        if count < 1:
            raise InputError(self._where(word), text, "a whole number of doses >= 1, such as 'x7'")
        check_count(self._where(word), count, text)
        return count

    def _build(self, amount: str, first: _Word, said: dict[str, Any]) -> Regimen:
        where, value = self._where(first), amount
        flows = "duration" in said or "rate" in said
        if "route" not in said and "compartment" not in said and not flows:
            raise InputError(where, value, "a route ('iv', 'po' or 'into NAME') for a dose at once")
        if "interval" not in said:
            for word in ("number of doses", "length", "steady state"):
                if word in said:
                    raise InputError(where, value, f"an interval such as 'q12h' with the {word}")
        elif not {"number of doses", "length", "steady state"} & set(said):
            raise InputError(
                where, value, "how many doses ('x7' or 'for 10 days') or 'ss' with an interval"
            )
        if "number of doses" in said and "length" in said:
            raise InputError(where, value, "'x7' or 'for 10 days', not both")

        route = said.get("route", "iv" if flows and "compartment" not in said else "")
        kind = {"iv": "iv_infusion" if flows else "iv_bolus", "oral": "oral", "": "compartment"}[
            route
        ]
        ss = bool(said.get("steady state"))
        try:
            part = _single(
                amount,
                said.get("start", 0.0),
                route=kind,
                compartment=said.get("compartment", ""),
                duration=said.get("duration"),
                rate=said.get("rate"),
                interval=said["interval"] if ss else 0.0,
                steady_state=ss,
                lag=said.get("lag", 0.0),
                bioavailability=said.get("bioavailability", 1.0),
                reset=said.get("reset", False),
            )
        except InputError as err:
            raise type(err)(
                f"{where}: {err.field}", err.value, err.expected, hint=err.hint
            ) from err
        if "interval" not in said:
            return part
        n = said.get("number of doses", 1)
        if "length" in said:
            n = max(1, math.ceil(min(said["length"] / said["interval"], 1e12) - 1e-9))
            check_count(f"{where}: number of doses", n)
        return _repeat(part, said["interval"], n, said.get("start", 0.0))


def _repeat(part: Regimen, interval: float, n: int, start: float) -> Regimen:
    """`n` doses, over n intervals after `start`."""
    many = part.repeat(interval, n)
    return Regimen(many.columns, span=start + interval * n)
