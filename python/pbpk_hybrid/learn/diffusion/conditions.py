"""What can be asked for: ranges of measured and derived quantities, sex, ethnicity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from ...physiology.adults.selection import ethnicities
from ...physiology.adults.survey import ADULT_AGE
from ...physiology.individual import HUMAN_HEIGHT, HUMAN_WEIGHT
from ...physiology.organs import SEXES
from .contradictions import contradiction
from .coordinates import MEASURED, UNITS

#: what ranges can be asked for; the first five are measured
CONDITIONS = (*MEASURED, "bmi", "egfr", "gfr")

#: share of the range trained on by which an end may lie beyond it unmarked, such as age 80
_NEAR = 0.01


@dataclass(frozen=True)
class Condition:
    """A checked request.

    Parameters
    ----------
    ranges : mapping
        quantity -> (low, high)
    sex : str, float or None
        a name, or the fraction of women
    ethnicity
        tuple of str or None
    extrapolated : tuple of str
        quantities whose range lies outside of what was trained on
    beyond : tuple of str
        ends that reach further than the people trained on: nobody is drawn there
    request : mapping
        as the user wrote it, for messages and attributes
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sex: str | float | None = None
    ethnicity: tuple[str, ...] | None = None
    extrapolated: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)


def check(
    condition: Mapping[str, Any] | None,
    trained: Mapping[str, tuple[float, float]],
    extrapolate: bool,
) -> Condition:
    """Check a request against the ranges seen in training.

    Parameters
    ----------
    condition
        name -> (low, high) with None for an open end, or a number (age: that year of life);
        "sex": "female", "male" or the fraction of women; "ethnicity": one name or several
    trained
        name -> (low, high) of the people trained on
    extrapolate
        allow ranges that reach nobody of them

    Raises
    ------
    UnknownNameError
        a quantity, sex or ethnicity that does not exist
    InputError
        upside down, contradictory, or outside what was trained on; names the field, the
        value and the range
    """
    ranges: dict[str, tuple[float, float]] = {}
    sex = ethnicity = None
    for name, value in (condition or {}).items():
        if name == "sex":
            sex = _sex(value)
        elif name == "ethnicity":
            ethnicity = ethnicities(value)
        elif name in CONDITIONS:
            ranges[name] = _range(name, value)
        else:
            raise unknown_name(
                "condition",
                name,
                (*CONDITIONS, "sex", "ethnicity"),
                what="a quantity that can be asked for",
            )
    outside, beyond = [], []
    for name, (low, high) in ranges.items():
        least, most = trained[name]
        if high < least or low > most:
            if not extrapolate:
                raise InputError(
                    f"condition.{name}",
                    (low, high),
                    f"a range that overlaps {least:.4g} to {most:.4g} {UNITS[name]}",
                    hint="nobody like that was trained on; extrapolate=True tries nevertheless",
                )
            outside.append(name)
        elif ends := [
            f"{name} {word} {end:.4g} {UNITS[name]} (trained on {word} {bound:.4g})"
            for word, end, bound, far in (
                ("from", low, least, least - low),
                ("to", high, most, high - most),
            )
            if 0 < end < np.inf and far > _NEAR * (most - least)
        ]:
            beyond += ends
    contradiction(ranges, sex, _as_large(ranges, trained))
    return Condition(ranges, sex, ethnicity, tuple(outside), tuple(beyond), dict(condition or {}))


def _as_large(
    ranges: Mapping[str, tuple[float, float]], trained: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Ranges trained on, of adults where no children are asked for."""
    out = dict(trained)
    if ranges.get("age", (ADULT_AGE,))[0] >= ADULT_AGE:
        for name, (low, high) in (("body_weight", HUMAN_WEIGHT), ("height", HUMAN_HEIGHT)):
            out[name] = max(trained[name][0], low), min(trained[name][1], high)
    return out


def _sex(value: Any) -> str | float:
    if isinstance(value, str):
        if value not in SEXES:
            raise unknown_name(
                "condition.sex", value, SEXES, what="'male', 'female' or the fraction of women"
            )
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InputError(
            "condition.sex", value, "'male', 'female' or the fraction of women, 0 to 1"
        )
    return float(value)


def _range(name: str, value: Any) -> tuple[float, float]:
    unit = UNITS[name]
    if not isinstance(value, (tuple, list, np.ndarray)):
        number = quantity(value, unit, f"condition.{name}", minimum=0)
        if name != "age":
            raise InputError(
                f"condition.{name}",
                value,
                f"a pair (low, high) [{UNITS[name]}]; None for an open end",
            )
        return number, float(np.nextafter(number + 1, number))
    if len(value) != 2:
        raise InputError(f"condition.{name}", value, f"a pair (low, high) [{UNITS[name]}]")
    low, high = (
        None if v is None else quantity(v, unit, f"condition.{name}", minimum=0) for v in value
    )
    low, high = 0.0 if low is None else low, np.inf if high is None else high
    if low > high:
        raise InputError(f"condition.{name}", value, f"low <= high [{UNITS[name]}]")
    return float(low), float(high)


__all__ = ["CONDITIONS", "Condition", "check"]
