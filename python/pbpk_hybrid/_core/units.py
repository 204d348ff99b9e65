"""Canonical units inside, text with units at the border.

Inside the package: time h, volume L, amount mg, concentration mg/L, flow L/h, body mass
kg, height cm, age year. A plain number is taken in the documented unit of its field;
text such as ``"0.5 mg/L"`` is converted. What text may say is in
:mod:`.numbers_in_text`: one decimal number, then a unit.

Units are those of the tables below and no others, so that no text is ever evaluated: SI
units and prefixes (SI Brochure, 9th ed., BIPM 2019, tables 2, 4, 7 and 8), the Julian
year of 365.25 days (IAU), and pound, ounce, inch and foot (NIST SP 811, 2008, appendix
B.8). Factors are exact fractions: the same quantity in two notations is the same float.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from .errors import InputError, UnitError
from .numbers_in_text import Split, split_number

#: exponents of mass (g), length (m), time (s), amount (mol), cells
Dimensions = tuple[int, int, int, int, int]
_NONE: Dimensions = (0, 0, 0, 0, 0)
_MASS, _LENGTH, _TIME = (1, 0, 0, 0, 0), (0, 1, 0, 0, 0), (0, 0, 1, 0, 0)
_VOLUME, _AMOUNT, _CELLS = (0, 3, 0, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1)
_MOLAR, _MOLAR_MASS = (0, -3, 0, 1, 0), (1, 0, 0, -1, 0)

_LITRE = Fraction(1, 1000)  # m3
_DAY = 24 * 3600
_YEAR = Fraction(36525, 100) * _DAY

#: symbol -> (factor, dimensions), with the prefixes of the second table
_PREFIXED: dict[str, tuple[Fraction, Dimensions]] = {
    "g": (Fraction(1), _MASS),
    "L": (_LITRE, _VOLUME),
    "l": (_LITRE, _VOLUME),
    "m": (Fraction(1), _LENGTH),
    "mol": (Fraction(1), _AMOUNT),
    "M": (1 / _LITRE, _MOLAR),
}
#: no M (mega): "Mg", "ML" and "MM" are slips of the shift key, a factor of a thousand million
_PREFIXES = {
    "f": Fraction(1, 10**15),
    "p": Fraction(1, 10**12),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "mc": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "c": Fraction(1, 100),
    "d": Fraction(1, 10),
    "da": Fraction(10),
    "k": Fraction(1000),
}
_SYMBOLS: dict[str, tuple[Fraction, Dimensions]] = {
    **{p + s: (f * v, d) for p, f in _PREFIXES.items() for s, (v, d) in _PREFIXED.items()},
    **_PREFIXED,
    "%": (Fraction(1, 100), _NONE),
    "ms": (Fraction(1, 1000), _TIME),
    **dict.fromkeys(("s", "sec", "secs"), (Fraction(1), _TIME)),
    **dict.fromkeys(("min", "mins"), (Fraction(60), _TIME)),
    **dict.fromkeys(("h", "hr", "hrs"), (Fraction(3600), _TIME)),
    "d": (Fraction(_DAY), _TIME),
    **dict.fromkeys(("wk", "wks"), (Fraction(7 * _DAY), _TIME)),
    "mo": (_YEAR / 12, _TIME),
    **dict.fromkeys(("y", "yr", "yrs"), (_YEAR, _TIME)),
    # one mole of particles of 1 Da weighs 1 g: here a dalton only ever says a molar mass
    "Da": (Fraction(1), _MOLAR_MASS),
    "kDa": (Fraction(1000), _MOLAR_MASS),
    **dict.fromkeys(("lb", "lbs"), (Fraction("453.59237"), _MASS)),
    "oz": (Fraction("28.349523125"), _MASS),
    "in": (Fraction("0.0254"), _LENGTH),
    "ft": (Fraction("0.3048"), _LENGTH),
}
_LONG_PREFIXES = {
    "": Fraction(1),
    "femto": _PREFIXES["f"],
    "pico": _PREFIXES["p"],
    "nano": _PREFIXES["n"],
    "micro": _PREFIXES["u"],
    "milli": _PREFIXES["m"],
    "centi": _PREFIXES["c"],
    "deci": _PREFIXES["d"],
    "deca": _PREFIXES["da"],
    "kilo": _PREFIXES["k"],
}
_LONG_PREFIXED = {
    "gram": _PREFIXED["g"],
    "liter": _PREFIXED["L"],
    "litre": _PREFIXED["L"],
    "meter": _PREFIXED["m"],
    "metre": _PREFIXED["m"],
    "mole": _PREFIXED["mol"],
    "molar": _PREFIXED["M"],
    "dalton": _SYMBOLS["Da"],
    "second": _SYMBOLS["s"],
}
#: written out; capital letters and a plural s do not matter
_WORDS: dict[str, tuple[Fraction, Dimensions]] = {
    **{
        p + w: (f * v, d) for p, f in _LONG_PREFIXES.items() for w, (v, d) in _LONG_PREFIXED.items()
    },
    "minute": _SYMBOLS["min"],
    "hour": _SYMBOLS["h"],
    "day": _SYMBOLS["d"],
    "week": _SYMBOLS["wk"],
    "month": _SYMBOLS["mo"],
    "year": _SYMBOLS["y"],
    "pound": _SYMBOLS["lb"],
    "ounce": _SYMBOLS["oz"],
    "inch": _SYMBOLS["in"],
    "foot": _SYMBOLS["ft"],
    "percent": _SYMBOLS["%"],
    "dimensionless": (Fraction(1), _NONE),
    "cell": (Fraction(1), _CELLS),
    "hepatocyte": (Fraction(1), _CELLS),
    "million_cell": (Fraction(10**6), _CELLS),
}
_NO_UNIT = {
    "IU": "international units are no mass: give the amount in mg",
    "U": "units of activity are no mass: give the amount in mg",
    "mEq": "give the amount in mg or mmol",
    "meq": "give the amount in mg or mmol",
}

#: where text without a unit is understood: a unit that nobody replaces by another one
_UNDERSTOOD = {"1", "g/mol", "h", "year", "kg", "cm", "kg/m^2", "mL/min/1.73 m^2"}
#: what a number without a unit could have meant
_POSSIBLE = {
    "mg": "mg, g or ug",
    "mg/kg": "mg/kg or ug/kg",
    "mg/L": "mg/L, ng/mL or uM",
    "mg/dL": "mg/dL or mg/L",
    "mg/h": "mg/h, mg/min or mg/kg/h",
    "mg/h/kg": "mg/h/kg or nmol/min/kg",
    "1/h": "1/h or 1/min",
    "L/h": "L/h or mL/min",
    "L/h/kg": "L/h/kg or mL/min/kg",
    "mL/min/kg": "mL/min/kg or L/h/kg",
    "uL/min/million_cells": "uL/min/1e6 cells or mL/min/1e6 cells",
    "uL/min/mg": "uL/min/mg or mL/min/mg",
    "1e-6 cm/s": "cm/s or nm/s",
}


@dataclass(frozen=True)
class Unit:
    """A unit that was read: its size in base units, and what it was made of."""

    factor: Fraction
    dimensions: Dimensions
    parts: tuple[tuple[str, int], ...] = ()  # (symbol, exponent), as written
    note: str = ""  # "protein" or "body weight"

    @property
    def per_kg(self) -> bool:
        """Whether kg is one of its divisors: "mg/kg/h"."""
        return any(name == "kg" and power < 0 for name, power in self.parts)


class _UnitTextError(ValueError):
    """Why a unit cannot be read; becomes a UnitError that names the field."""


def quantity(
    value: Any,
    unit: str,
    field: str,
    *,
    molar_mass: float | None = None,
    positive: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    subject: Any = None,
    percent: bool = True,
    possible: str = "",
) -> float:
    """One number in `unit`.

    Parameters
    ----------
    value
        Number (already in `unit`), text with a unit such as ``"80 mL/min"``, or pint
        quantity.
    unit
        The canonical unit, e.g. ``"L/h"``; ``"1"`` for a dimensionless field.
    field
        Name used in the error.
    molar_mass
        [g/mol], allows molar amounts and concentrations where mass is expected.
    positive, minimum, maximum
        Bounds, in `unit`.
    percent
        Whether "%" makes sense where `unit` is "1" (it does not for a logarithm or a
        count).
    possible
        The units to name where text has none and needs one; "" for the usual ones of
        `unit`.

    Raises
    ------
    UnitError
        Unknown unit, a unit of another dimension, or text without the unit that it
        needs.
    InputError
        Not exactly one finite number, or out of bounds.
    """
    number = _magnitude(value, unit, field, molar_mass, subject, percent, possible)
    shown = _shown(unit)
    if not math.isfinite(number):
        raise InputError(field, value, f"a finite number [{shown}]", subject=subject)
    if positive and number <= 0:
        raise InputError(field, value, f"a number > 0 [{shown}]", subject=subject)
    if minimum is not None and number < minimum:
        raise InputError(field, value, f"a number >= {minimum:g} [{shown}]", subject=subject)
    if maximum is not None and number > maximum:
        raise InputError(field, value, f"a number <= {maximum:g} [{shown}]", subject=subject)
    return number


def says_per_kg(value: Any) -> bool:
    """Whether text or a pint quantity is per kg of body weight: "5 mg/kg", "1 mg/kg/h"."""
    try:
        if isinstance(value, str):
            return read_unit(split_number(value, "", "", "").unit).per_kg
        return hasattr(value, "magnitude") and read_unit(format(value.units, "D")).per_kg
    except ValueError:
        return False  # what it is, the reader of the number will say


def _magnitude(
    value: Any,
    unit: str,
    field: str,
    molar_mass: float | None,
    subject: Any,
    percent: bool,
    possible: str,
) -> float:
    if type(value) is float:
        return value
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as err:
            raise InputError(
                field, "an integer of hundreds of digits", f"a finite number [{_shown(unit)}]"
            ) from err
    if isinstance(value, str):
        split = split_number(value, field, f"a number [{_shown(unit)}]", _example(unit), subject)
        return _from_text(split, unit, field, molar_mass, subject, percent, possible)
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return _from_pint(value, unit, field, molar_mass, subject)
    raise InputError(
        field, value, f"a number [{_shown(unit)}] or text with a unit", subject=subject
    )


def _from_text(
    split: Split,
    unit: str,
    field: str,
    molar_mass: float | None,
    subject: Any,
    percent: bool,
    possible: str,
) -> float:
    if not split.unit:
        if unit not in _UNDERSTOOD and split.number != 0:
            raise UnitError(
                field,
                split.text,
                f"a number and its unit: {possible or _POSSIBLE.get(unit, _shown(unit))}",
                subject=subject,
                hint="as text a number needs its unit here, such as "
                f"{_example(unit, split.digits)!r}",
            )
        return _float(split.number, split.text, field, unit, subject)
    if not percent and "%" in split.unit:
        raise UnitError(field, split.text, "a number without a unit", subject=subject)
    try:
        found = read_unit(split.unit)
    except _UnitTextError as err:
        raise UnitError(
            field,
            split.text,
            f"a number [{_shown(unit)}], or a number and a unit such as {_example(unit)!r}",
            subject=subject,
            hint=str(err),
        ) from None
    return _float(
        split.number * _ratio(found, unit, field, split.text, molar_mass, subject),
        split.text,
        field,
        unit,
        subject,
    )


def _ratio(
    found: Unit, unit: str, field: str, text: Any, molar_mass: float | None, subject: Any
) -> Fraction:
    """What a number in `found` is to be multiplied by, to be in `unit`."""
    target = _target(unit)
    ratio = found.factor / target.factor
    per_protein = unit == "uL/min/mg"
    if (found.note == "protein" and not per_protein) or (
        found.note == "body weight" and per_protein
    ):
        raise UnitError(
            field,
            text,
            f"a value in {_shown(unit)}, not per kg or mg of {found.note}",
            subject=subject,
        )
    if found.dimensions == target.dimensions:
        return ratio
    # a molar amount or concentration where a mass is wanted (or the reverse)
    sign = _moles_to_mass(found.dimensions, target.dimensions)
    if sign and molar_mass is not None:
        return ratio * Fraction(molar_mass) ** sign
    raise UnitError(
        field,
        text,
        f"a value in {_shown(unit)} or a unit that converts to it",
        subject=subject,
        hint="between moles and mass the molar mass is needed, which is not known here"
        if sign
        else "",
    )


def _moles_to_mass(found: Dimensions, target: Dimensions) -> int:
    """The power of the molar mass that makes one of the other: 1, -1, or 0 where none does."""
    if _NONE in (found, target):
        return 0
    for sign in (1, -1):
        if target == tuple(d + sign * m for d, m in zip(found, _MOLAR_MASS, strict=True)):
            return sign
    return 0


def _from_pint(value: Any, unit: str, field: str, molar_mass: float | None, subject: Any) -> float:
    """A pint quantity: its number as it is, its unit by our table, or by its own
    registry where we have none.
    """
    number = _magnitude(value.magnitude, unit, field, molar_mass, subject, True, "")
    if not math.isfinite(number):
        return number
    try:
        found = read_unit(format(value.units, "D"))
    except _UnitTextError:
        return _by_its_registry(value, unit, field, subject)
    ratio = _ratio(found, unit, field, str(value), molar_mass, subject)
    return _float(Fraction(number) * ratio, str(value), field, unit, subject)


def _by_its_registry(value: Any, unit: str, field: str, subject: Any) -> float:
    import pint

    try:
        return float(value.to("dimensionless" if unit == "1" else unit).magnitude)
    except (pint.PintError, AttributeError, TypeError, ValueError) as err:
        raise UnitError(
            field,
            str(value),
            f"a value in {_shown(unit)} or a unit that converts to it",
            subject=subject,
        ) from err


def _float(number: Fraction, text: Any, field: str, unit: str, subject: Any) -> float:
    try:
        found = float(number)
    except OverflowError:
        found = math.inf
    if math.isinf(found) or (found == 0) != (number == 0):
        raise InputError(
            field,
            text,
            f"a number of a size that a computer holds [{_shown(unit)}]",
            subject=subject,
        )
    return found


def _shown(unit: str) -> str:
    return unit.replace("million_cells", "1e6 cells")


def _example(unit: str, digits: str = "1") -> str:
    """Text with the canonical unit: "1 mg/L"."""
    if unit == "1":
        return "0.1" if digits == "1" else digits
    if unit.startswith("1e-6 "):
        return f"{digits}e-6 {unit[5:]}" if "e" not in digits.lower() else f"{digits} {unit[5:]}"
    return f"{digits} {_shown(unit)}"


# ---- units as text ------------------------------------------------------------------------------
#: the longest that makes sense is "nmol/min/1e6 hepatocytes"
_LONGEST = 80
_LARGEST_POWER = 4
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SUPERSCRIPT = re.compile("([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_PROTEIN = re.compile(r"\bmg\s*(?:of\s+)?(?:mic(?:rosomal|\.)?\s+)?protein\b", re.ASCII)
_PER_BODY_WEIGHT = re.compile(
    r"\bkg\s*(?:of\s+)?(?:body[ _]?weight|bw)\b", re.IGNORECASE | re.ASCII
)
_CELLS_TEXT = re.compile(
    r"(?<![A-Za-z0-9.])(?:(1\s*[eE]\s*\+?\s*0*\d|10\s*(?:\^|\*\*)\s*\d)|(million|M))"
    r"[\s*_]*(?:hepatocytes?|cells?)\b",
    re.ASCII,
)
_SURFACE = re.compile(r"/\s*\(?\s*1\.73\s*\*?\s*m\s*(?:\^|\*\*)?\s*2\s*\)?", re.ASCII)
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]+|%)"
    r"(?:\s*(?:\^|\*\*)\s*(?P<power>[-+]?\d+|\([-+]?\d+\))|(?P<direct>[-+]?\d+))?"
    r"|(?P<cells>\{\d\})|(?P<surface>\{m2\})|(?P<one>1)(?=\s*/)|(?P<sign>\*(?!\*)|/|\(|\)))",
    re.ASCII,
)


@lru_cache(maxsize=512)
def read_unit(text: str) -> Unit:
    """The unit that `text` says, such as ``mL/min/kg``, ``uL/(min*mg)``, ``h-1`` or
    ``uL/min/1e6 cells``.

    Raises
    ------
    ValueError
        Says what cannot be understood.
    """
    if len(text) > _LONGEST:
        raise _UnitTextError(f"a unit has at most {_LONGEST} characters")
    plain, note = _plain(text)
    return _Reader(plain, note).unit()


def _plain(text: str) -> tuple[str, str]:
    """Signs of print as signs of typing; what stands for one unit in one word; and of
    what a mass is said to be.
    """
    text = text.replace("µ", "u").replace("μ", "u").replace("−", "-")
    text = _SUPERSCRIPT.sub(lambda m: "^" + m[1].translate(_SUPERSCRIPTS), text)
    text = re.sub("[·⋅×]", "*", text)
    text = re.sub(r"\bper\b", "/", text)
    text = _CELLS_TEXT.sub(lambda m: "{" + (m[1][-1] if m[1] else "6") + "}", text)
    text = _SURFACE.sub("/{m2}", text)
    bare = _PROTEIN.sub("mg", text)
    if bare != text:
        return bare, "protein"
    bare = _PER_BODY_WEIGHT.sub("kg", text)
    return bare, "body weight" if bare != text else ""


class _Reader:
    """Left to right: a factor, then factors joined by ``*``, ``/`` or a space."""

    def __init__(self, text: str, note: str) -> None:
        self._text, self._note, self._at = text.strip(), note, 0
        self._parts: list[tuple[str, int]] = []
        self._factor, self._dimensions = Fraction(1), [0, 0, 0, 0, 0]

    def unit(self) -> Unit:
        self._product(1, inside=False)
        if not self._parts and self._text != "1":
            raise _UnitTextError("a unit is missing")
        dimensions: Any = tuple(self._dimensions)
        return Unit(self._factor, dimensions, tuple(self._parts), self._note)

    def _product(self, outer: int, *, inside: bool) -> None:
        sign, joined, divided, first = outer, True, False, True
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise _UnitTextError(f"{self._text[self._at :].strip()!r} is no unit")
            self._at = found.end()
            mark = found["sign"]
            if mark == ")":
                if inside and not joined:
                    return
                raise _UnitTextError("a bracket too many, or an empty one")
            if mark in ("*", "/"):
                if joined and not (first and mark == "/" and not inside):
                    raise _UnitTextError(f"a unit is missing before {mark!r}")
                sign, joined, divided = (outer, -outer)[mark == "/"], True, divided or mark == "/"
            else:
                if not joined and divided:
                    if found["name"]:
                        _look_up(found["name"])  # a word that is no unit is told first
                    raise _UnitTextError("write '/' before every divisor: mL/min/kg")
                sign = sign if joined else outer
                if mark == "(":
                    if inside:
                        raise _UnitTextError("one pair of brackets at most")
                    self._product(sign, inside=True)
                else:
                    self._take(found, sign)
                joined = False
            first = False
        if inside or joined or self._at < len(self._text):
            raise _UnitTextError("the unit is not complete")

    def _take(self, found: re.Match, sign: int) -> None:
        if found["one"]:
            return
        if found["cells"]:
            name, (factor, dimensions), power = (
                "cells",
                (Fraction(10) ** int(found["cells"][1]), _CELLS),
                1,
            )
        elif found["surface"]:
            name, (factor, dimensions), power = "1.73 m^2", (Fraction("1.73"), (0, 2, 0, 0, 0)), 1
        else:
            name = found["name"]
            factor, dimensions = _look_up(name)
            power = int((found["power"] or found["direct"] or "1").strip("()")[:4])
        if not 1 <= abs(power) <= _LARGEST_POWER:
            raise _UnitTextError(f"powers of units go from -{_LARGEST_POWER} to {_LARGEST_POWER}")
        if len(self._parts) == 8:
            raise _UnitTextError("a unit has at most eight factors")
        power *= sign
        self._parts.append((_KILOGRAM.get(name.lower(), name), power))
        self._factor *= factor**power
        for i, d in enumerate(dimensions):
            self._dimensions[i] += d * power


_KILOGRAM = {"kilogram": "kg", "kilograms": "kg"}


def _look_up(name: str) -> tuple[Fraction, Dimensions]:
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    low = name.lower()
    for word in (
        low,
        low.removesuffix("s"),
        low.removesuffix("es"),
        "foot" if low == "feet" else low,
    ):
        if len(low) > 2 and word in _WORDS:
            return _WORDS[word]
    if name in _NO_UNIT:
        raise _UnitTextError(_NO_UNIT[name])
    raise _UnitTextError(f"the unit {name[:30]!r} is not known" + _nearest(name))


def _nearest(name: str) -> str:
    same = [
        s
        for s in ("mg", "ug", "kg", "mL", "uL", "L", "g", "h", "min", "uM", "nM")
        if s.lower() == name.lower()
    ]
    near = same or difflib.get_close_matches(name, [*_SYMBOLS, *_WORDS], n=2, cutoff=0.7)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


@lru_cache(maxsize=64)
def _target(unit: str) -> Unit:
    """A canonical unit; that of Caco-2 permeability has a number before it."""
    if unit == "1":
        return Unit(Fraction(1), _NONE)
    if unit.startswith("1e-6 "):
        read = read_unit(unit[5:])
        return Unit(read.factor / 10**6, read.dimensions, read.parts)
    return read_unit(unit)
