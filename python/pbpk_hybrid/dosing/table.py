"""The columns of a dose table, and the rules every row obeys.

A row is one NONMEM-style event record. Amounts are in mg, times in h. What does not apply to a row is 0 (or
""):

================== ============ ==============================================================================
column             unit         meaning
================== ============ ==============================================================================
subject            -            subject id that gets the dose; -1 for every subject
time               h            time of the record (the dose enters at time + lag_time)
evid               -            1 dose, 2 other (a stop without effect), 3 reset, 4 reset and dose
route              -            iv_bolus, iv_infusion, oral, compartment; "" for evid 2 and 3
compartment        -            state that receives the dose; "" for the route's own
amount             mg           dose
amount_per_kg      mg/kg        dose per body weight, instead of `amount`
rate               mg/h         RATE > 0: infusion at this rate; its duration follows from the amount
rate_per_kg        mg/h/kg      the same per body weight
duration           h            infusion over this time; its rate follows from the amount
interdose_interval h            II
additional_doses   -            ADDL: number of further doses, II apart
steady_state       -            SS: 0 none, 1 start at steady state, 2 add the steady state to what is there
lag_time           h            lag before the dose (never the reset) enters
bioavailability    -            fraction of the dose that enters
================== ============ ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.errors import InputError, unknown_name

ROUTES = ("iv_bolus", "iv_infusion", "oral", "compartment")
EVERYONE = -1

#: name -> (dtype kind, default, unit, long name)
COLUMNS: dict[str, tuple[str, Any, str, str]] = {
    "subject": ("i", EVERYONE, "", "subject that gets the dose; -1 for all"),
    "time": ("f", 0.0, "h", "time of the dose record"),
    "evid": ("i", 1, "1", "NONMEM event id: 1 dose, 2 other, 3 reset, 4 reset and dose"),
    "route": ("U", "", "", "route (iv_bolus, iv_infusion, oral, or compartment)"),
    "compartment": ("U", "", "", "state that receives the dose; empty for the route's own"),
    "amount": ("f", 0.0, "mg", "dose"),
    "amount_per_kg": ("f", 0.0, "mg/kg", "dose per body weight, instead of amount"),
    "rate": ("f", 0.0, "mg/h", "infusion rate, where the rate is what was ordered; 0 otherwise"),
    "rate_per_kg": (
        "f",
        0.0,
        "mg/h/kg",
        "infusion rate per body weight, where that was ordered; 0 otherwise",
    ),
    "duration": ("f", 0.0, "h", "infusion duration; 0 for a bolus"),
    "interdose_interval": ("f", 0.0, "h", "II: interval between additional doses"),
    "additional_doses": ("i", 0, "1", "ADDL: number of further doses"),
    "steady_state": ("i", 0, "1", "SS: 0 none, 1 start at steady state, 2 add steady state"),
    "lag_time": ("f", 0.0, "h", "lag before the dose enters"),
    "bioavailability": ("f", 1.0, "1", "fraction of the dose that enters"),
}

#: doses of one repeated dose; more are a slip: once an hour for eleven years
MOST_DOSES = 100_000

_DTYPE = {"i": np.int64, "f": np.float64, "U": np.str_}


def make_columns(given: Mapping[str, Any], n: int | None = None) -> dict[str, np.ndarray]:
    """All columns, broadcast to one length, missing ones filled with their default, sorted and checked.

    Rows are sorted by (subject, time); rows of equal time keep their order.
    """
    for name in given:
        if name not in COLUMNS:
            raise unknown_name("column", name, COLUMNS, what="a column of a dose table")
    arrays = {name: np.atleast_1d(np.asarray(value)) for name, value in given.items()}
    if n is None:
        n = max((a.size for a in arrays.values()), default=0)
    out = {}
    for name, (kind, default, *_rest) in COLUMNS.items():
        source = arrays.get(name, np.asarray([default]))
        if source.size not in (1, n):
            raise InputError(name, source.shape, f"one value or {n} values")
        if kind == "i" and source.dtype.kind == "f" and not np.all(source == np.floor(source)):
            raise InputError(name, source.tolist(), "whole numbers")
        try:
            typed = source.astype(_DTYPE[kind], copy=False)
        except (TypeError, ValueError) as err:
            raise InputError(name, source.tolist(), "numbers" if kind != "U" else "text") from err
        out[name] = np.broadcast_to(typed, (n,))
    check_rows(out)
    order = np.lexsort((out["time"], out["subject"]))  # lexsort is stable
    in_order = bool(np.all(order[1:] > order[:-1]))  # copying is much cheaper than picking rows
    frozen = {}
    for name, column in out.items():
        column = column.copy() if in_order else column[order]
        column.setflags(write=False)
        frozen[name] = column
    return frozen


def check_count(field: str, count: int, said: Any = None) -> None:
    """Refuse more doses than anybody gets, before they are written out.

    Raises
    ------
    InputError
    """
    if count > MOST_DOSES:
        raise InputError(
            field,
            count if said is None else said,
            f"at most {MOST_DOSES} doses",
            hint="for a steady state give 'ss' (steady_state=True) instead of very many doses",
        )


def is_dose(c: Mapping[str, np.ndarray]) -> np.ndarray:
    return (c["evid"] == 1) | (c["evid"] == 4)


def check_rows(c: Mapping[str, np.ndarray], row_label: Any = None) -> None:
    """Raise on the first row that contradicts itself.

    Parameters
    ----------
    c : all columns of a dose table
    row_label : (n,) what to call each row in the message; None: its number from 0

    Raises
    ------
    InputError : names the column, the value, what was expected, the subject and the row
    """
    if c["time"].size == 0:
        return

    def refuse(bad: np.ndarray, name: str, expected: str, hint: str = "") -> None:
        if not bad.any():
            return
        i = int(np.argmax(bad))
        label = i if row_label is None else row_label[i]
        subject = int(c["subject"][i])
        raise InputError(
            f"{name}[row {label}]",
            c[name][i].item(),
            expected,
            subject=subject if subject != EVERYONE else None,
            hint=hint,
        )

    for name, (kind, _default, unit, _long) in COLUMNS.items():
        if kind != "f":
            continue
        refuse(~np.isfinite(c[name]), name, f"a finite number [{unit}]")
        if name != "time":
            refuse(c[name] < 0, name, f"a number >= 0 [{unit}]")
    dose = is_dose(c)
    refuse(c["subject"] < EVERYONE, "subject", "a subject id >= 0, or -1 for every subject")
    refuse(
        ~np.isin(c["evid"], (1, 2, 3, 4)), "evid", "1 dose, 2 other, 3 reset, or 4 reset and dose"
    )
    refuse(dose & ~np.isin(c["route"], ROUTES), "route", "one of " + ", ".join(ROUTES))
    refuse(
        dose & (c["route"] == "compartment") & (c["compartment"] == ""),
        "compartment",
        "the name of a compartment for route 'compartment'",
    )
    refuse(~np.isin(c["steady_state"], (0, 1, 2)), "steady_state", "0, 1 or 2")
    refuse(c["additional_doses"] < 0, "additional_doses", "a whole number >= 0")

    for name in (
        "amount",
        "amount_per_kg",
        "rate",
        "rate_per_kg",
        "duration",
        "interdose_interval",
        "additional_doses",
        "steady_state",
    ):
        refuse(~dose & (c[name] != 0), name, "0 for evid 2 and 3, which give no dose")

    rated = (c["rate"] > 0) | (c["rate_per_kg"] > 0)
    ss, ii = c["steady_state"], c["interdose_interval"]
    # AMT = 0, RATE > 0, SS = 1, II = 0: the steady state of a constant infusion that ends at the record
    constant = dose & (ss == 1) & (ii == 0) & rated & (c["amount"] == 0) & (c["amount_per_kg"] == 0)
    refuse(
        (c["amount"] > 0) & (c["amount_per_kg"] > 0),
        "amount_per_kg",
        "0 where `amount` is given",
        "give one of the two",
    )
    refuse(
        (c["rate"] > 0) & (c["rate_per_kg"] > 0),
        "rate_per_kg",
        "0 where `rate` is given",
        "give one of the two",
    )
    refuse(
        rated & (c["duration"] > 0),
        "duration",
        "0 where a rate is given",
        "give the rate or the duration, not both",
    )
    refuse(
        (c["rate_per_kg"] > 0) & (c["amount"] > 0),
        "rate_per_kg",
        "a dose per body weight (amount_per_kg) beside it",
        "a rate per kg with an amount in mg would give each subject another duration",
    )
    refuse(
        rated & ~constant & (c["amount"] == 0) & (c["amount_per_kg"] == 0),
        "amount",
        "an amount > 0 for an infusion given by its rate",
        "only steady_state=1 with interval 0 may leave the amount at 0 (constant infusion until the record)",
    )
    refuse(
        (c["route"] == "iv_bolus") & (rated | (c["duration"] > 0)),
        "route",
        "iv_infusion where a rate or duration is given",
    )
    refuse(
        dose & (c["route"] == "iv_infusion") & ~rated & (c["duration"] == 0),
        "duration",
        "a duration or a rate > 0 for an infusion",
        "use a bolus for a dose that enters at once",
    )
    refuse(
        (c["additional_doses"] > 0) & (ii == 0),
        "interdose_interval",
        "an interval > 0 [h] with additional doses",
    )
    refuse(
        (ss > 0) & (ii == 0) & ~constant,
        "interdose_interval",
        "an interval > 0 [h] with steady_state",
    )
    refuse(
        constant & (c["additional_doses"] > 0),
        "additional_doses",
        "0 for the steady state of a constant infusion",
    )
    refuse(
        (ii > 0) & (c["additional_doses"] == 0) & (ss == 0),
        "additional_doses",
        "a number > 0 (or steady_state) with an interval",
        "an interval alone would be ignored",
    )


def concatenate(tables: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([t[name] for t in tables]) for name in COLUMNS}
