"""Write NONMEM-style data sets; the columns are those of :mod:`.nonmem`."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import InputError
from .._core.files import atomic_path
from .events import body_weights
from .regimen import Regimen
from .table import EVERYONE, is_dose

if TYPE_CHECKING:
    import xarray as xr


def write_nonmem(
    path: str | os.PathLike,
    regimen: Regimen,
    observations: xr.Dataset | None = None,
    covariates: xr.Dataset | None = None,
    *,
    subjects: Sequence[int] | None = None,
    body_weight: Any = None,
    compartments: Mapping[int, str] | None = None,
) -> Path:
    """Write a NONMEM-style CSV data set; the file appears whole or not at all.

    Units are mg, h and mg/L. A dose ordered by its duration is written with RATE -2 and
    DUR, so that a bioavailability means the same when read back; ALAG and BIOAV are
    written if a dose has them. At equal times doses come before observations, save
    those that ``before_dose`` says were taken before.

    Parameters
    ----------
    path
        Where to write.
    regimen
        Regimen; doses for every subject are written out for `subjects`.
    observations
        Dataset of schema ``observation``; its subject labels must be integers.
    covariates
        Dataset over ``subject``, as :func:`read_nonmem` gives (variables over
        ``record`` are left out).
    subjects
        Ids; None: those of the regimen, the observations and the covariates.
    body_weight
        (n_subjects,) or one number [kg], needed for doses per kg.
    compartments
        Compartment number -> name, as in :func:`read_nonmem`; None: compartment names
        must be numbers.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        A compartment without a number, doses per kg without body weight, or no subject
        to write.
    """
    ids = _ids_to_write(regimen, observations, covariates, subjects)
    rows = _dose_rows(regimen.for_subjects(ids), ids, body_weight, compartments)
    rows += _observation_rows(observations, ids)
    # stable: a sample taken before the dose, the doses, the other samples
    rows.sort(key=lambda r: (r["ID"], r["TIME"], 0 if r.get("BEFORE") else 1 + (r["EVID"] == 0)))
    extra = {}
    if covariates is not None:
        extra = {
            str(n): covariates[n].values
            for n in covariates.data_vars
            if covariates[n].dims == ("subject",)
        }
        row_of = {int(s): i for i, s in enumerate(covariates["subject"].values)}
        for row in rows:
            row |= {
                name: values[row_of[row["ID"]]] if row["ID"] in row_of else "."
                for name, values in extra.items()
            }
    names = [
        "ID",
        "TIME",
        "EVID",
        "AMT",
        "RATE",
        "DUR",
        "ADDL",
        "II",
        "SS",
        "CMT",
        "ALAG",
        "BIOAV",
        "DV",
        "MDV",
    ]
    defaults = {"DUR": 0.0, "ALAG": 0.0, "BIOAV": 1.0, "CMT": "."}
    names = [
        n
        for n in names
        if n not in defaults or any(r.get(n, defaults[n]) != defaults[n] for r in rows)
    ]
    target = Path(path)
    with atomic_path(target) as draft, open(draft, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, *extra])
        for row in rows:
            writer.writerow([_text(row.get(name, ".")) for name in (*names, *extra)])
    return target


def _ids_to_write(regimen: Regimen, observations, covariates, subjects) -> np.ndarray:
    dosed = regimen.columns["subject"]
    if subjects is not None:
        ids = np.asarray(subjects, dtype=np.int64)
    else:
        found = set(dosed[dosed != EVERYONE].tolist())
        if observations is not None:
            found |= set(_observed_ids(observations).tolist())
        if covariates is not None:
            found |= {int(s) for s in covariates["subject"].values}
        ids = np.array(sorted(found), dtype=np.int64)
    if ids.size == 0:
        raise InputError(
            "subjects",
            subjects,
            "the ids of the subjects to write",
            hint="the regimen is for every subject",
        )
    return ids


def _observed_ids(observations: xr.Dataset) -> np.ndarray:
    labels = [str(s) for s in observations["subject"].values]
    for label in labels:
        if not label.isdigit():
            raise InputError(
                "observations.subject", label, "a whole number >= 0 as NONMEM wants for ID"
            )
    return np.array([int(s) for s in labels], dtype=np.int64)


def _dose_rows(
    regimen: Regimen, ids: np.ndarray, body_weight: Any, compartments
) -> list[dict[str, Any]]:
    table = regimen.columns
    amount, rate = table["amount"], table["rate"]
    if regimen.needs_body_weight:
        weight = dict(zip(ids.tolist(), body_weights(regimen, body_weight, ids), strict=True))
        per_row = np.array([weight[s] for s in table["subject"].tolist()])
        amount = np.where(table["amount_per_kg"] > 0, table["amount_per_kg"] * per_row, amount)
        rate = np.where(table["rate_per_kg"] > 0, table["rate_per_kg"] * per_row, rate)
    number = {name: k for k, name in (compartments or {}).items()}
    dose = is_dose(table)
    rows = []
    for i in range(len(regimen)):
        row = {
            "ID": int(table["subject"][i]),
            "TIME": float(table["time"][i]),
            "EVID": int(table["evid"][i]),
            "MDV": 1,
            "DV": ".",
        }
        if dose[i]:
            row |= {
                "AMT": float(amount[i]),
                "RATE": -2.0 if table["duration"][i] > 0 else float(rate[i]),
                "DUR": float(table["duration"][i]),
                "ADDL": int(table["additional_doses"][i]),
                "II": float(table["interdose_interval"][i]),
                "SS": int(table["steady_state"][i]),
                "ALAG": float(table["lag_time"][i]),
                "BIOAV": float(table["bioavailability"][i]),
                "CMT": _number_of(
                    str(table["route"][i]), str(table["compartment"][i]), number, compartments
                ),
            }
        rows.append(row)
    return rows


def _number_of(route: str, compartment: str, number: Mapping[str, int], compartments) -> Any:
    name = compartment or {"oral": "oral"}.get(route, "iv")
    if name in number:
        return number[name]
    if compartments is None and name.isdigit():
        return int(name)
    if compartments is None and name == "iv":
        return "."
    raise InputError(
        "compartments",
        compartments,
        f"a number for the compartment {name!r}",
        hint='for example {1: "oral", 2: "iv"}',
    )


def _observation_rows(observations, ids: np.ndarray) -> list[dict[str, Any]]:
    if observations is None:
        return []
    observed_ids = _observed_ids(observations)
    cmt = observations["cmt"].values if "cmt" in observations else None
    before = observations["before_dose"].values if "before_dose" in observations else None
    rows = []
    for i, subject in enumerate(observed_ids.tolist()):
        if subject not in ids:
            continue
        value = float(observations["value"].values[i])
        row = {
            "ID": subject,
            "TIME": float(observations["time"].values[i]),
            "EVID": 0,
            "MDV": int(np.isnan(value)),
            "DV": "." if np.isnan(value) else value,
        }
        if before is not None:
            row["BEFORE"] = bool(before[i])  # only to sort by
        rows.append(row if cmt is None else row | {"CMT": cmt[i]})
    return rows


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        if np.isnan(value):
            return "."
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
    return str(value)
