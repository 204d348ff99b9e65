"""The dose records of a simulation, as a table beside its curves: what was given, when, to whom.

Events (:mod:`.events`) say what the solver does; records say what a person was given:
one row per dose, additional doses (ADDL) written out, doses per kg in mg, and rows that
empty the body marked. The analysis of a curve reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .._core.schemas import attrs as _attrs
from .events import BOLUS, RESET, body_weights, cancelled_by_resets, dose_times
from .regimen import Regimen
from .table import EVERYONE, is_dose

#: name -> value of a row that pads a shorter list of records
PADDING = {
    "dose_time": np.nan,
    "dose_amount": np.nan,
    "dose_duration": np.nan,
    "dose_route": "",
    "dose_compartment": "",
    "dose_compound": "",
    "dose_interval": np.nan,
    "dose_steady_state": 0,
    "dose_bioavailability": np.nan,
    "dose_lag_time": np.nan,
    "dose_reset": 0,
}
NAMES = tuple(PADDING)


def dose_table(
    regimens: Sequence[tuple[str, Regimen]],
    ids: np.ndarray,
    *,
    body_weight: np.ndarray | None = None,
    horizon: float = np.inf,
) -> dict[str, np.ndarray]:
    """Every dose up to `horizon`, in order of time.

    Parameters
    ----------
    regimens
        (name of the compound, its regimen) pairs; the name is "" where there is one
        compound.
    ids
        (n_subjects,) ids of the subjects.
    body_weight
        (n_subjects,) [kg], for doses per kg.
    horizon
        [h] doses recorded later are left out.

    Returns
    -------
    dict[str, array]
        Columns of :data:`PADDING`, each (n_records,) where it is the same for all
        subjects, else (n_subjects, n_records). Where subjects have regimens of their
        own, shorter lists are padded at the end. A row with a reset and no route is a
        reset without a dose (EVID 3).
    """
    parts = [_rows(name, r, ids, body_weight, horizon) for name, r in regimens]
    if all(shared for _, shared in parts):
        return _shared([rows for rows, _ in parts])
    return _one_row_per_subject([rows for rows, _ in parts], len(ids))


def _rows(
    name: str,
    regimen: Regimen,
    ids: np.ndarray,
    body_weight: np.ndarray | None,
    horizon: float,
) -> tuple[dict[str, np.ndarray], bool]:
    """Long columns of one compound's records with `subject` (index, -1 for all), and
    whether they are shared.
    """
    shared = regimen.shared
    table = (regimen if shared else regimen.for_subjects(ids)).columns
    index = table["subject"] if shared else _index(table["subject"], ids)
    weight = body_weights(regimen, body_weight, ids)
    doses = np.flatnonzero(is_dose(table))
    row, entry = dose_times(
        table, doses, np.inf if np.isinf(horizon) else horizon + _longest_lag(table)
    )
    time = entry - table["lag_time"][row]
    first = np.ones(row.size, bool)
    first[1:] = row[1:] != row[:-1]
    # dose_times adds the lag; what has none keeps the record's own time to the last digit
    time = np.where(first, table["time"][row], time)
    resets = np.flatnonzero(table["evid"] == 3)  # resets without a dose
    row = np.r_[row, resets]
    first = np.r_[first, np.ones(resets.size, bool)]
    time, entry = np.r_[time, table["time"][resets]], np.r_[entry, table["time"][resets]]
    keep = _enters(table, index, row, entry) & (time <= horizon)
    row, time, first = row[keep], time[keep], first[keep]
    amount, duration = _sizes(table, row, index, weight)
    # additional doses repeat neither the steady state nor the reset
    steady = np.where(first, table["steady_state"][row], 0)
    dose = is_dose(table)[row]
    rows = {
        "subject": index[row],
        "dose_time": time,
        "dose_amount": amount,
        "dose_duration": duration,
        "dose_route": table["route"][row],
        "dose_compartment": table["compartment"][row],
        "dose_compound": np.full(row.size, name),
        "dose_interval": np.where(
            (steady > 0) & (table["interdose_interval"][row] > 0),
            table["interdose_interval"][row],
            np.nan,
        ),
        "dose_steady_state": steady,
        "dose_bioavailability": np.where(dose, table["bioavailability"][row], np.nan),
        "dose_lag_time": table["lag_time"][row],
        "dose_reset": (first & ((table["evid"][row] >= 3) | (steady == 1))).astype(np.int64),
    }
    return rows, shared


def _longest_lag(table: Mapping[str, np.ndarray]) -> float:
    return float(table["lag_time"].max()) if table["time"].size else 0.0


def _index(subject: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Places of ids (all of them known: expand() has refused others)."""
    order = np.argsort(ids, kind="stable")
    return order[np.searchsorted(ids[order], subject)].astype(np.int64)


def _enters(
    table: Mapping[str, np.ndarray], index: np.ndarray, row: np.ndarray, entry: np.ndarray
) -> np.ndarray:
    """(n,) False for doses that a later reset (EVID 3 or 4, SS 1) cancels before they
    enter; as the solver does it.
    """
    resets = np.flatnonzero((table["evid"] >= 3) | (table["steady_state"] == 1))
    if not resets.size:
        return np.ones(row.size, bool)
    n = row.size
    events = {
        "subject": np.r_[index[row], index[resets]],
        "time": np.r_[
            np.where(table["evid"][row] == 3, table["time"][row], entry), table["time"][resets]
        ],
        "kind": np.r_[np.full(n, BOLUS), np.full(resets.size, RESET)],
        "record": np.r_[row, resets],
        "number": np.r_[np.arange(n), np.full(resets.size, -1)],
    }
    entering = cancelled_by_resets(events)["number"]
    out = np.zeros(n, bool)
    out[entering[entering >= 0]] = True
    return out | (table["evid"][row] == 3)


def _sizes(
    table: Mapping[str, np.ndarray], row: np.ndarray, index: np.ndarray, weight: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Amount [mg] and length of the infusion [h] of each row: (n,), or (n_subjects, n)
    where body weight decides.
    """
    plain, per_kg = table["amount"][row], table["amount_per_kg"][row]
    rate, rate_per_kg = table["rate"][row], table["rate_per_kg"][row]
    fraction = table["bioavailability"][row]
    if not (per_kg > 0).any():
        amount = plain
        relative = amount
    elif np.all(index == EVERYONE):
        amount = np.where(per_kg > 0, per_kg * weight[:, None], plain)
        # only an amount per kg at a rate in mg/h gives each subject another length
        relative = amount if np.any((per_kg > 0) & (rate > 0)) else plain
    else:
        amount = np.where(per_kg > 0, per_kg * weight[np.maximum(index[row], 0)], plain)
        relative = amount
    with np.errstate(divide="ignore", invalid="ignore"):
        duration = np.where(rate > 0, fraction * relative / rate, table["duration"][row])
        duration = np.where(rate_per_kg > 0, fraction * per_kg / rate_per_kg, duration)
    return amount, duration


def _shared(parts: list[dict]) -> dict[str, np.ndarray]:
    """One list of records for all subjects, by time; records of equal time keep their order."""
    joined = {}
    for name in NAMES:
        columns = [p[name] for p in parts]
        if any(x.ndim == 2 for x in columns):
            n = max(len(x) for x in columns if x.ndim == 2)
            columns = [np.broadcast_to(x, (n, x.shape[-1])) for x in columns]
        joined[name] = _joined(columns)
    order = np.argsort(joined["dose_time"], kind="stable")
    return {k: v[..., order] for k, v in joined.items()}


def _one_row_per_subject(parts: list[dict], n: int) -> dict[str, np.ndarray]:
    """Each subject's own list, padded to the longest."""
    written = [_for_each(p, n) for p in parts]
    rows = {k: _joined([p[k] for p in written]) for k in ("subject", *NAMES)}
    order = np.lexsort((rows["dose_time"], rows["subject"]))
    rows = {k: v[order] for k, v in rows.items()}
    counts = np.bincount(rows["subject"], minlength=n)
    position = np.arange(rows["subject"].size) - np.repeat(np.cumsum(counts) - counts, counts)
    width = int(counts.max(initial=0))
    out = {}
    for name, empty in PADDING.items():
        values = rows[name]
        table = np.full((n, width), empty, dtype=values.dtype if values.size else None)
        table[rows["subject"], position] = values
        out[name] = table
    return out


def _for_each(rows: dict, n: int) -> dict:
    """Long columns with every row written out for the subject that it is for."""
    if not np.all(rows["subject"] == EVERYONE) or not rows["subject"].size:
        return rows
    size = rows["subject"].size
    out = {k: np.broadcast_to(rows[k], (n, size)).ravel() for k in NAMES}
    return {"subject": np.repeat(np.arange(n), size), **out}


def _joined(columns: list[np.ndarray]) -> np.ndarray:
    return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=-1)


def with_doses(
    observations: xr.Dataset, regimen: Regimen, labels: Mapping[int, str] | None = None
) -> xr.Dataset:
    """Samples with the dose records of their subjects beside them, so that an analysis
    knows what was given.

    `labels` names subjects that go by number in the regimen. Doses per kg are left
    without amount (NaN). The records are one list over ``dose_record`` with their
    subject's label in ``dose_subject``.
    """
    doses = regimen.columns
    ids = np.unique(doses["subject"][doses["subject"] != EVERYONE])
    ids = ids if ids.size else np.zeros(1, dtype=np.int64)
    weight = np.full(ids.size, np.nan) if (doses["amount_per_kg"] > 0).any() else None
    table = dose_table([("", regimen)], ids, body_weight=weight, horizon=_last_time(observations))
    shape = (ids.size, max(np.shape(v)[-1] for v in table.values()))
    full = {k: np.broadcast_to(v, shape).ravel() for k, v in table.items()}
    keep = np.isfinite(full["dose_time"])
    names = [str(i) if labels is None else labels.get(int(i), str(i)) for i in ids]
    subject = np.repeat(np.array(names, dtype=str), shape[1])[keep]
    columns = {k: ("dose_record", v[keep], _attrs("simulation", k)) for k, v in full.items()}
    label = {"units": "", "long_name": "subject that got the dose"}
    return observations.assign({**columns, "dose_subject": ("dose_record", subject, label)})


def _last_time(observations: xr.Dataset) -> float:
    times = observations["time"].values
    return float(times.max()) if times.size else 0.0


__all__ = ["NAMES", "PADDING", "dose_table", "with_doses"]
