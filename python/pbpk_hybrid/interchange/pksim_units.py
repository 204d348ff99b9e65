"""Units of PK-Sim's quantities: to mass where a molecular weight is known, and numbers
with a unit into base units.
"""

from __future__ import annotations

from typing import Any

from .._core.errors import InputError, UnitError
from .._core.numbers_in_text import split_number
from .._core.units import read_unit

#: molar mass in its base unit, or as older files have it -> mg/µmol
MOLAR_MASS = {"kg/µmol": 1e6, "g/mol": 1e-3}
#: unit -> (what it is, factor to mg or mg/L, whether it has to be multiplied by the molar
#: mass in mg/µmol)
MASS = {
    "µmol": ("amount", 1.0, True),
    "mol": ("amount", 1e6, True),
    "kg": ("amount", 1e6, False),
    "g": ("amount", 1e3, False),
    "mg": ("amount", 1.0, False),
    "µmol/l": ("concentration", 1.0, True),
    "mol/l": ("concentration", 1e6, True),
    "kg/l": ("concentration", 1e6, False),
    "g/l": ("concentration", 1e3, False),
    "mg/l": ("concentration", 1.0, False),
    "µg/l": ("concentration", 1e-3, False),
}


def plain(unit: str) -> str:
    """A unit with one way of writing micro and litre."""
    return unit.strip().replace("\u03bc", "µ").replace("L", "l")


def in_base_unit(value: Any, unit: str, field: str) -> Any:
    """A value as a number in the base unit; text such as ``"5 g/mol"`` is converted.

    Raises
    ------
    UnitError : a unit of another dimension, or one that cannot be converted
    """
    if not isinstance(value, str):
        if isinstance(value, bool):
            raise InputError(field, value, f"a number [{unit}]")
        return value
    shown = unit or "no unit"
    split = split_number(value, field, f"a number [{shown}]", f"1 {unit}".strip())
    if not split.unit or plain(split.unit) == plain(unit):
        return float(split.number)
    try:
        own, base = read_unit(split.unit), read_unit(unit)
    except ValueError as error:
        raise UnitError(field, value, f"a number [{shown}]", hint=str(error)) from None
    if own.dimensions != base.dimensions:
        raise UnitError(field, value, f"a number [{shown}]")
    return float(split.number * own.factor / base.factor)
