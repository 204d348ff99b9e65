"""Canonical units inside, anything pint understands at the border.

Inside the package: time h, volume L, amount mg, concentration mg/L, flow L/h, body mass kg, height cm,
age year. A plain number is taken in the documented unit of its field; a string such as ``"0.5 mg/L"`` or a
pint quantity is converted. pint is imported on the first string or quantity, never before.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import numpy as np

from .errors import InputError, UnitError

_PLAIN = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")


@lru_cache(maxsize=1)
def _registry():
    import pint

    registry = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    registry.define("cell = [cell_count] = cells")
    registry.define("million_cells = 1e6 * cell")
    return registry


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
) -> float:
    """One number in `unit`.

    Parameters
    ----------
    value : number (already in `unit`), string with a unit such as ``"80 mL/min"``, or pint quantity
    unit : the canonical unit, e.g. ``"L/h"``; ``"1"`` for a dimensionless field
    field : name used in the error
    molar_mass : [g/mol], allows molar amounts and concentrations where mass is expected
    positive, minimum, maximum : bounds, in `unit`

    Raises
    ------
    UnitError : unknown unit, or a unit of another dimension
    InputError : not a finite number, or out of bounds
    """
    number = _magnitude(value, unit, field, molar_mass, subject)
    if not math.isfinite(number):
        raise InputError(field, value, f"a finite number [{unit}]", subject=subject)
    if positive and number <= 0:
        raise InputError(field, value, f"a number > 0 [{unit}]", subject=subject)
    if minimum is not None and number < minimum:
        raise InputError(field, value, f"a number >= {minimum:g} [{unit}]", subject=subject)
    if maximum is not None and number > maximum:
        raise InputError(field, value, f"a number <= {maximum:g} [{unit}]", subject=subject)
    return number


def _magnitude(value: Any, unit: str, field: str, molar_mass: float | None, subject: Any) -> float:
    if isinstance(value, bool):
        raise InputError(field, value, f"a number [{unit}]", subject=subject)
    if isinstance(value, (int, float, np.integer, np.floating)):
        return float(value)
    if isinstance(value, str):
        if _PLAIN.match(value):
            return float(value)
        return _convert_string(value, unit, field, molar_mass, subject)
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return _convert_string(
            f"{value.magnitude!r} {value.units}", unit, field, molar_mass, subject
        )
    raise InputError(field, value, f"a number [{unit}] or a string with a unit", subject=subject)


def _convert_string(
    text: str, unit: str, field: str, molar_mass: float | None, subject: Any
) -> float:
    import pint

    registry = _registry()
    target = "dimensionless" if unit == "1" else unit
    try:
        parsed = registry.Quantity(text.replace("µ", "u").replace("%", " percent"))
        if not hasattr(parsed, "to"):
            return float(parsed)
        try:
            return float(parsed.to(target).magnitude)
        except pint.DimensionalityError:
            if molar_mass is None:
                raise
            # a molar amount or concentration where a mass is wanted (or the reverse)
            per_mole = registry.Quantity(molar_mass, "g/mol")
            for trial in (parsed * per_mole, parsed / per_mole):
                if trial.check(registry.Quantity(1, target).dimensionality):
                    return float(trial.to(target).magnitude)
            raise
    except pint.DimensionalityError as err:
        raise UnitError(
            field, text, f"a value in {unit} or a unit that converts to it", subject=subject
        ) from err
    except InputError:
        raise
    except Exception as err:  # pint raises many kinds for text that it cannot read
        raise UnitError(
            field,
            text,
            f'a number [{unit}] or a number and a unit such as "1 {unit}"',
            subject=subject,
        ) from err
