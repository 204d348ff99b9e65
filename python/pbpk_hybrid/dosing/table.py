"""The columns of a dose table, and the rules every row obeys.

A row is one NONMEM-style event record. Amounts are in mg, times in h. What does not
apply to a row is 0 (or ""):

================== ======== =========================================================
column             unit     meaning
================== ======== =========================================================
subject            -        subject id that gets the dose; -1 for every subject
time               h        time of the record (the dose enters at time + lag_time)
evid               -        1 dose, 2 other (a stop without effect), 3 reset, 4 both 3
                            and 1
route              -        iv_bolus, iv_infusion, oral, compartment; "" for evid 2
                            and 3
compartment        -        state that receives the dose; "" for the route's own
amount             mg       dose
amount_per_kg      mg/kg    dose per body weight, instead of `amount`
rate               mg/h     RATE > 0: infusion at this rate; its duration follows from
                            the amount
rate_per_kg        mg/h/kg  the same per body weight
duration           h        infusion over this time; its rate follows from the amount
interdose_interval h        II
additional_doses   -        ADDL: number of further doses, II apart
steady_state       -        SS: 0 none, 1 start at steady state, 2 add the steady state
                            to what is there
lag_time           h        lag before the dose (never the reset) enters
bioavailability    -        fraction of the dose that enters
================== ======== =========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.errors import InputError, unknown_name
from .row_rules import EVERYONE, ROUTES, ROW_RULES, RowRule, Rows, is_dose

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

__all__ = [
    "COLUMNS",
    "EVERYONE",
    "MOST_DOSES",
    "ROUTES",
    "check_count",
    "check_rows",
    "concatenate",
    "is_dose",
    "make_columns",
]

_DTYPE = {"i": np.int64, "f": np.float64, "U": np.str_}


def make_columns(values: Mapping[str, Any], n: int | None = None) -> dict[str, np.ndarray]:
    """All columns of a dose table, read-only, from those that are given.

    Values are broadcast to one length, missing columns filled with their default, the
    rows checked and sorted by (subject, time); rows of equal time keep their order.

    Parameters
    ----------
    values : mapping
        Column -> one value, or (row,) values.
    n : int or None
        Number of rows; None: of the longest column.

    Raises
    ------
    UnknownNameError
        A column that does not exist.
    InputError
        Values of another number or kind than the column has, or rows that contradict
        themselves.
    """
    for name in values:
        if name not in COLUMNS:
            raise unknown_name("column", name, COLUMNS, what="a column of a dose table")
    arrays = {name: np.atleast_1d(np.asarray(value)) for name, value in values.items()}
    if n is None:
        n = max((a.size for a in arrays.values()), default=0)
    columns = {}
    for name, (kind, default, *_rest) in COLUMNS.items():
        source = arrays.get(name, np.asarray([default]))
        if source.size not in (1, n):
            raise InputError(name, source.shape, f"one value or {n} values")
        columns[name] = np.broadcast_to(_typed(name, source, kind), (n,))
    check_rows(columns)
    return _sorted_read_only(columns)


def _typed(name: str, source: np.ndarray, kind: str) -> np.ndarray:
    """`source` in the type of its column."""
    if kind == "i" and source.dtype.kind == "f":
        whole = (source == np.floor(source)) & (np.abs(source) < 2.0**53)
        if not np.all(whole):
            raise InputError(name, source.tolist(), "whole numbers")
    try:
        return source.astype(_DTYPE[kind], copy=False)
    except (TypeError, ValueError) as err:
        raise InputError(name, source.tolist(), "numbers" if kind != "U" else "text") from err


def _sorted_read_only(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.lexsort((columns["time"], columns["subject"]))  # lexsort is stable
    in_order = bool(np.all(order[1:] > order[:-1]))  # copying is much cheaper than picking rows
    result = {}
    for name, column in columns.items():
        column = column.copy() if in_order else column[order]
        column.setflags(write=False)
        result[name] = column
    return result


def check_count(field: str, count: int, typed: Any = None) -> None:
    """Refuse more doses than anybody gets, before they are written out.

    Raises
    ------
    InputError
    """
    if count > MOST_DOSES:
        raise InputError(
            field,
            count if typed is None else typed,
            f"at most {MOST_DOSES} doses",
            hint="for a steady state give 'ss' (steady_state=True) instead of very many doses",
        )


def check_rows(table: Mapping[str, np.ndarray], row_label: Any = None) -> None:
    """Raise on the first row that contradicts itself.

    Parameters
    ----------
    c : mapping
        All columns of a dose table, each (row,).
    row_label : (row,) array or None
        What to call each row in the message; None: its number from 0.

    Raises
    ------
    InputError
        Names the column, the value, what was expected, the subject and the row.
    """
    if table["time"].size == 0:
        return
    rows = Rows(table)
    for rule in (*_NUMBER_RULES, *ROW_RULES):
        broken = rule.broken(rows)
        if broken.any():
            raise _row_error(table, rule, int(np.argmax(broken)), row_label)


def _number_rules() -> list[RowRule]:
    """Every number is finite; every one but the time is at least 0."""
    rules = []
    for name, (kind, _default, unit, _long_name) in COLUMNS.items():
        if kind != "f":
            continue
        rules.append(
            RowRule(name, lambda r, n=name: ~np.isfinite(r[n]), f"a finite number [{unit}]")
        )
        if name != "time":
            rules.append(RowRule(name, lambda r, n=name: r[n] < 0, f"a number >= 0 [{unit}]"))
    return rules


_NUMBER_RULES = _number_rules()


def _row_error(
    table: Mapping[str, np.ndarray], rule: RowRule, row: int, row_label: Any
) -> InputError:
    label = row if row_label is None else row_label[row]
    subject = int(table["subject"][row])
    return InputError(
        f"{rule.column}[row {label}]",
        table[rule.column][row].item(),
        rule.expected,
        subject=None if subject == EVERYONE else subject,
        hint=rule.hint,
    )


def concatenate(tables: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The rows of all tables, one table after the other; every table has all columns."""
    return {name: np.concatenate([t[name] for t in tables]) for name in COLUMNS}
