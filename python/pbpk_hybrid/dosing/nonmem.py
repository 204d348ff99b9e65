"""NONMEM-style data sets: read and write.

Columns understood (all in upper or all in lower case): ID TIME AMT RATE DUR ADDL II SS CMT EVID DV MDV, and
ALAG and BIOAV for what NONMEM takes from the model: lag [time] and bioavailability of the dose. All others
are covariates and are carried along. ``.`` and an empty field mean "not given". RATE -2 takes the duration
from DUR, RATE -1 the rate from DUR's sibling, the argument `modelled_rate`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._core.errors import FileFormatError
from .._core.provenance import provenance
from .._core.schemas import attrs, validate
from .._core.units import quantity
from .nonmem_table import RecordTable
from .records import with_doses
from .regimen import Regimen
from .table import COLUMNS, check_rows

if TYPE_CHECKING:
    import xarray as xr

#: items that must be 0 in a record that gives no dose
DOSE_ITEMS = ("AMT", "RATE", "ADDL", "II", "SS")


class NonmemData(NamedTuple):
    """What a data set holds.

    Parameters
    ----------
    regimen : doses, one subject id each
    observations : Dataset of schema ``observation`` (EVID 0, MDV 0), with the compartment number as ``cmt``
    covariates : Dataset; columns that are constant within each subject over ``subject``, others over
        ``record`` (with
        ``record_subject`` and ``record_time``)
    """

    regimen: Regimen
    observations: xr.Dataset
    covariates: xr.Dataset


def read_nonmem(
    path: str | os.PathLike,
    *,
    amount_unit: str = "mg",
    time_unit: str = "h",
    concentration_unit: str = "mg/L",
    compartments: Mapping[int, str] | None = None,
    dv: str = "DV",
    columns: Mapping[str, str] | None = None,
    modelled_rate: str | float | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
    matrix: str = "plasma",
    study: str = "",
    reference: str = "",
) -> NonmemData:
    """Read a NONMEM-style CSV data set (also .csv.gz).

    Parameters
    ----------
    path : the file; the first line holds the names, lines that start with ``#`` are skipped
    amount_unit, time_unit, concentration_unit : units of AMT, of TIME and II (and DUR, ALAG), and of DV; RATE
        is in amount_unit/time_unit
    compartments : compartment number -> name; the names ``"iv"`` and ``"oral"`` mean the model's own
        compartments of those routes. None: the number as text; without a CMT column, all doses are
        intravenous
    dv : name of the column with the observed concentration
    columns : our name -> name in the file, e.g. ``{"ALAG": "lagt", "BIOAV": "bioav", "DUR": "dur2"}``
    modelled_rate : column name or number, the rate for RATE -1
    missing : column -> texts that mean "not given" there, besides ``.``, e.g. ``{"SS": ["99"]}``
    matrix, study, reference : for the observations

    Returns
    -------
    NonmemData : (regimen, observations, covariates)

    Raises
    ------
    FileFormatError : a value that is no number (NA included), mixed case, times that run back, an ID that
        comes twice; names the line of the file
    InputError : a record that contradicts itself
    """
    table = RecordTable.read(Path(path), {**(columns or {}), "DV": dv}, missing or {})
    scale = _Scale(amount_unit, time_unit, concentration_unit)
    evid = _event_ids(table)
    _check_order(table)
    regimen = _regimen(table, evid, scale, compartments, modelled_rate)
    observations = _observations(table, evid, scale, matrix, study or Path(path).name, reference)
    observations = with_doses(observations, regimen)
    return NonmemData(regimen, observations, _covariates(table, scale))


class _Scale:
    """Factors from the file's units to ours."""

    def __init__(self, amount: str, time: str, concentration: str) -> None:
        self.amount = quantity(f"1 {amount}", "mg", "amount_unit")
        self.time = quantity(f"1 {time}", "h", "time_unit")
        self.concentration = quantity(f"1 {concentration}", "mg/L", "concentration_unit")


def _event_ids(t: RecordTable) -> np.ndarray:
    """EVID as given, or 1 where there is a dose."""
    gives = (t.number("AMT", 0) != 0) | ((t.number("RATE", 0) > 0) & (t.number("SS", 0) > 0))
    if not t.has("EVID"):
        return np.where(gives, 1, 0)
    evid = t.number("EVID", 0)
    bad = ~np.isin(evid, (0, 1, 2, 3, 4))
    if bad.any():
        i = int(np.argmax(bad))
        raise FileFormatError(
            f"{t.where(i)}, EVID", float(evid[i]), "0, 1, 2, 3 or 4", subject=int(t.id[i])
        )
    for item in DOSE_ITEMS:
        value = t.number(item, 0)
        bad = np.isin(evid, (0, 2, 3)) & (value != 0)
        if bad.any():
            i = int(np.argmax(bad))
            raise FileFormatError(
                f"{t.where(i)}, {item}",
                float(value[i]),
                f"0 in a record with EVID {int(evid[i])}",
                subject=int(t.id[i]),
            )
    return evid.astype(np.int64)


def _check_order(t: RecordTable) -> None:
    starts = (
        np.flatnonzero(np.concatenate([[True], np.diff(t.id) != 0]))
        if t.id.size
        else np.empty(0, np.int64)
    )
    _, first = np.unique(t.id[starts], return_index=True)
    again = np.setdiff1d(np.arange(starts.size), first)
    if again.size:
        row = int(starts[again[0]])
        raise FileFormatError(
            f"{t.where(row)}, ID",
            int(t.id[row]),
            "all records of a subject together",
            subject=int(t.id[row]),
        )
    back = (np.diff(t.time) < 0) & (np.diff(t.id) == 0)
    if back.any():
        i = int(np.argmax(back)) + 1
        raise FileFormatError(
            f"{t.where(i)}, TIME",
            float(t.time[i]),
            f"a time >= {t.time[i - 1]:g} of the record before",
            subject=int(t.id[i]),
            hint="sort the records; let time run on after a reset",
        )


def _regimen(
    t: RecordTable, evid: np.ndarray, scale: _Scale, compartments, modelled_rate
) -> Regimen:
    rows = np.flatnonzero(evid > 0)
    rate = t.number("RATE", 0)
    bad = (rate < 0) & ~np.isin(rate, (-1, -2))
    _refuse(t, bad, "RATE", rate, "a rate >= 0, -1 (modelled rate) or -2 (modelled duration)")
    duration = np.zeros(rate.size)
    two = rate == -2
    if two.any():
        if not t.has("DUR"):
            raise FileFormatError(
                f"{t.where(int(np.argmax(two)))}, RATE", -2, "a column DUR with the duration"
            )
        duration = np.where(two, t.number("DUR", 0), 0.0)
        _refuse(t, two & (duration <= 0), "DUR", duration, "a duration > 0 with RATE -2")
    one = rate == -1
    if one.any():
        if modelled_rate is None:
            raise FileFormatError(
                f"{t.where(int(np.argmax(one)))}, RATE", -1, "modelled_rate given to the reader"
            )
        known = (
            t.floats(modelled_rate, 0)
            if isinstance(modelled_rate, str)
            else np.full(rate.size, float(modelled_rate))
        )
        _refuse(t, one & (known <= 0), "RATE", known, "a modelled rate > 0 with RATE -1")
        rate = np.where(one, known, rate)
    rate = np.where(two, 0.0, rate)

    flows = (rate > 0) | (duration > 0)
    route, compartment = _places(t, rows, flows, compartments)
    dose = np.isin(evid, (1, 4))
    for item in ("ADDL", "SS"):
        value = t.number(item, 0)
        _refuse(t, value != np.floor(value), item, value, "a whole number")
    c = {
        "subject": t.id,
        "time": t.time * scale.time,
        "evid": evid,
        "amount": t.number("AMT", 0) * scale.amount,
        "rate": rate * scale.amount / scale.time,
        "duration": duration * scale.time,
        "interdose_interval": t.number("II", 0) * scale.time,
        "additional_doses": t.number("ADDL", 0).astype(np.int64),
        "steady_state": t.number("SS", 0).astype(np.int64),
        "lag_time": np.where(dose, t.number("ALAG", 0), 0.0) * scale.time,
        "bioavailability": np.where(dose, t.number("BIOAV", 1), 1.0),
    }
    c = {name: column[rows] for name, column in c.items()}
    # NONMEM ignores an interval that nothing uses, as files carry one in every dose
    idle = (c["additional_doses"] == 0) & (c["steady_state"] == 0)
    c["interdose_interval"] = np.where(idle, 0.0, c["interdose_interval"])
    c |= {
        "route": np.where(dose[rows], route, ""),
        "compartment": np.where(dose[rows], compartment, ""),
    }
    full = {
        name: c.get(name, np.full(rows.size, default))
        for name, (_k, default, *_r) in COLUMNS.items()
    }
    check_rows(full, row_label=[f"{t.path.name}, line {t.line[r]}" for r in rows])
    end = c["time"] + c["interdose_interval"] * (1 + c["additional_doses"])
    return Regimen(full, span=float(end.max(initial=0.0)))


def _places(
    t: RecordTable, rows: np.ndarray, flows: np.ndarray, compartments
) -> tuple[np.ndarray, np.ndarray]:
    """Route and compartment of `rows`."""
    iv = np.where(flows[rows], "iv_infusion", "iv_bolus")
    _refuse(
        t,
        t.number("CMT", 0) < 0,
        "CMT",
        t.number("CMT", 0),
        "a compartment number >= 0 (compartments are never off here)",
    )
    if not t.has("CMT"):
        return iv, np.full(rows.size, "", dtype=object).astype(str)
    number = t.number("CMT", 0)[rows].astype(np.int64)
    # 0 or not given is the default compartment
    if compartments is None:
        name = np.array(["iv" if n == 0 else str(n) for n in number], dtype=str)
    else:
        dose = np.isin(t.number("EVID", 1)[rows], (1, 4))
        bad = np.zeros(len(t.line), bool)
        bad[rows] = dose & (number != 0) & ~np.isin(number, list(compartments))
        known = ", ".join(f"{k} ({v})" for k, v in compartments.items())
        _refuse(t, bad, "CMT", t.number("CMT", 0), f"one of {known}")
        name = np.array([compartments.get(n, "iv") for n in number.tolist()], dtype=str)
    route = np.where(name == "iv", iv, np.where(name == "oral", "oral", "compartment"))
    return route, np.where(np.isin(name, ("iv", "oral")), "", name)


def _refuse(t: RecordTable, bad: np.ndarray, item: str, value: np.ndarray, expected: str) -> None:
    if bad.any():
        i = int(np.argmax(bad))
        raise FileFormatError(
            f"{t.where(i)}, {item}", float(value[i]), expected, subject=int(t.id[i])
        )


def _observations(
    t: RecordTable, evid: np.ndarray, scale: _Scale, matrix: str, study: str, reference: str
) -> xr.Dataset:
    import xarray as xr

    rows = (
        np.flatnonzero((evid == 0) & (t.number("MDV", 0) == 0))
        if t.has("DV")
        else np.empty(0, np.int64)
    )
    value = t.number("DV", np.nan)[rows] * scale.concentration
    # a negative concentration is a simulated or misread one: say so here, where the line is known
    bad = np.zeros(evid.size, bool)
    bad[rows] = value < 0
    _refuse(t, bad, "DV", t.number("DV", np.nan), "a concentration >= 0, or MDV 1")
    n = rows.size

    def text(name: str, values: Any) -> tuple:
        return ("sample", np.asarray(values, dtype=object), attrs("observation", name))

    ds = xr.Dataset(
        {
            "time": ("sample", t.time[rows] * scale.time, attrs("observation", "time")),
            "value": ("sample", value, attrs("observation", "value")),
            "matrix": text("matrix", [matrix] * n),
            "subject": text("subject", [str(i) for i in t.id[rows]]),
            "study": text("study", [study] * n),
            "reference": text("reference", [reference] * n),
        },
        attrs=provenance(schema="observation", source=str(t.path.name)),
    )
    if t.has("CMT"):
        ds["cmt"] = (
            "sample",
            t.number("CMT", 0)[rows].astype(np.int64),
            {"long_name": "compartment number in the file"},
        )
    return validate(ds, "observation")


def _covariates(t: RecordTable, scale: _Scale) -> xr.Dataset:
    import xarray as xr

    first = (
        np.flatnonzero(np.concatenate([[True], np.diff(t.id) != 0]))
        if t.id.size
        else np.empty(0, np.int64)
    )
    count = np.diff(np.append(first, t.id.size))
    ds = xr.Dataset(
        coords={"subject": ("subject", t.id[first])}, attrs=provenance(source=str(t.path.name))
    )
    for column in t.text:
        if column in t.names.values():
            continue
        try:
            values = t.floats(column, np.nan)
            same = (values == np.repeat(values[first], count)) | (
                np.isnan(values) & np.isnan(np.repeat(values[first], count))
            )
        except FileFormatError:  # a covariate may be text, or hold NA
            values = np.asarray(t.text[column], dtype=object)
            same = values == np.repeat(values[first], count)
        if np.all(same):
            ds[column] = ("subject", values[first])
        else:
            ds[column] = ("record", values)
    if "record" in ds.dims:
        ds["record_subject"] = ("record", t.id)
        ds["record_time"] = (
            "record",
            t.time * scale.time,
            {"units": "h", "long_name": "time of the record"},
        )
    return ds
