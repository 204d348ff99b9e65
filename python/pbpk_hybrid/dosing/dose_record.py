"""One dose record from numbers, texts with units and flags."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.arguments import check_kind, check_real
from .._core.errors import InputError
from .._core.units import quantity, says_per_kg
from .table import EVERYONE

_SUBJECT_ID = "a subject id >= 0, or -1 for every subject"


def dose_record(
    amount: Any,
    time: Any,
    *,
    route: str,
    compartment: str,
    duration: Any = None,
    rate: Any = None,
    interval: Any = 0.0,
    additional_doses: int = 0,
    steady_state: bool | int = 0,
    lag: Any = 0.0,
    bioavailability: Any = 1.0,
    reset: bool = False,
    subject: int = EVERYONE,
) -> tuple[dict[str, Any], float]:
    """A row of a dose table, and the time [h] at which its interval or infusion ends.

    Parameters as in :meth:`.regimen.Regimen.dose`.

    Raises
    ------
    InputError, UnitError
        A value that cannot be used, or a rate beside a duration.
    """
    if duration is not None and rate is not None:
        raise InputError(
            "rate",
            rate,
            f"no rate beside duration={duration!r}",
            hint="give the rate or the duration, not both",
        )
    if not isinstance(compartment, str):
        raise InputError("compartment", compartment, "the name of a compartment")
    check_kind("reset", reset, (bool, np.bool_), "True or False")
    row: dict[str, Any] = {
        "subject": subject_id(subject),
        "time": quantity(time, "h", "time"),
        "evid": 4 if reset else 1,
        "route": route,
        "compartment": compartment,
    }
    row |= _amount_and_rate(amount, rate)
    if duration is not None:
        row["duration"] = quantity(duration, "h", "duration", positive=True)
    row["interdose_interval"] = quantity(interval, "h", "interval", minimum=0)
    row["additional_doses"] = whole_number(
        "additional_doses", additional_doses, "a whole number >= 0"
    )
    row["steady_state"] = whole_number("steady_state", steady_state, "True, False, 1 or 2")
    row["lag_time"] = quantity(lag, "h", "lag", minimum=0)
    row["bioavailability"] = quantity(bioavailability, "1", "bioavailability", minimum=0)
    dosing_length = row["interdose_interval"] * (1 + row["additional_doses"])
    return row, row["time"] + (dosing_length or _infusion_length(row))


def subject_id(value: Any) -> int:
    """
    Raises
    ------
    InputError
        Not a whole number.
    """
    return whole_number("subject", value, _SUBJECT_ID)


def whole_number(name: str, value: Any, expected: str) -> int:
    """
    Raises
    ------
    InputError
        Not a whole number that a float holds exactly.
    """
    number = check_real(
        name, int(value) if isinstance(value, (bool, np.bool_)) else value, expected
    )
    if not (number == np.floor(number) and abs(number) < 2**53):
        raise InputError(name, value, expected)
    return int(number)


def _amount_and_rate(amount: Any, rate: Any) -> dict[str, float]:
    """Amount [mg or mg/kg] and rate [mg/h or mg/h/kg] under the column that their unit names."""
    columns = {}
    value, per_kg = _per_kg(amount, "mg", "amount")
    columns["amount_per_kg" if per_kg else "amount"] = value
    if rate is not None:
        value, per_kg = _per_kg(rate, "mg/h", "rate", positive=True)
        columns["rate_per_kg" if per_kg else "rate"] = value
    return columns


def _infusion_length(row: dict[str, Any]) -> float:
    """[h]; 0 for a bolus, and where it depends on the body weight."""
    if "rate" in row and "amount" in row:
        return row["amount"] / row["rate"]
    if "rate_per_kg" in row and "amount_per_kg" in row:
        return row["amount_per_kg"] / row["rate_per_kg"]
    return row.get("duration", 0.0)


def _per_kg(value: Any, unit: str, name: str, **bounds: Any) -> tuple[float, bool]:
    """A number in `unit`, or per kg of body weight if it says so: (number, is it per kg)."""
    per_kg = says_per_kg(value)
    if per_kg:
        unit = {"mg": "mg/kg", "mg/h": "mg/h/kg"}[unit]
    return quantity(value, unit, name, minimum=0, **bounds), per_kg
