"""The samples of a NONMEM-style data set: which records count, where they were taken,
what is below quantification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import FileFormatError, unknown_name
from .._core.provenance import provenance
from .._core.schemas import attrs, validate
from .._core.table_files import flags, listed, parse_below, parse_number, texts, value_key
from .._core.units import quantity
from .nonmem_table import RecordTable

if TYPE_CHECKING:
    import xarray as xr

#: names of compartments that doses enter and that say nothing about what was sampled
_DOSED = ("iv", "venous_blood", "arterial_blood")
#: MDV: 100 and 101 are NONMEM 7's, left out of the fit as 0 and 1 + 100
_MDV = (0, 1, 100, 101)


@dataclass(frozen=True)
class Choices:
    """What the caller says about samples; see :func:`.nonmem.read_nonmem`."""

    dvid: Any
    analyte: str | None
    cmt: Any
    lloq: float | str | None
    compartments: dict[str, str] | None
    matrix: str
    study: str
    reference: str


def observations_of(
    records: RecordTable, evid: np.ndarray, time_factor: float, factor: float, choices: Choices
) -> xr.Dataset:
    """Dataset of schema ``observation``; `factor` from the unit of DV to mg/L.

    Raises
    ------
    FileFormatError
        Samples of several kinds without a choice, values that are no concentration.
    """
    import xarray as xr

    rows = _sampled(records, evid)
    for item, chosen, option in (
        ("DVID", choices.dvid, "dvid"),
        ("ANALYTE", choices.analyte, "analyte"),
        ("CMT", choices.cmt, "cmt"),
    ):
        rows = _chosen(records, rows, item, chosen, option, choices.compartments)
    matrix = _matrices(records, rows, choices)
    value, limit, below = _values(records, rows, factor, choices.lloq)
    n = rows.size

    def text(name: str, values: Any) -> tuple:
        return ("sample", np.asarray(values, dtype=object), attrs("observation", name))

    ds = xr.Dataset(
        {
            "time": ("sample", records.time[rows] * time_factor, attrs("observation", "time")),
            "value": ("sample", value, attrs("observation", "value")),
            "matrix": text("matrix", matrix),
            "subject": text("subject", [records.label[i] for i in rows]),
            "study": text("study", [choices.study or records.table.name] * n),
            "reference": text("reference", [choices.reference] * n),
        },
        attrs=provenance(schema="observation", source=str(records.table.name)),
    )
    if np.isfinite(limit).any() or below.any():
        ds["lloq"] = ("sample", limit, attrs("observation", "lloq"))
        ds["censored"] = ("sample", below.astype(np.int64), attrs("observation", "censored"))
    if records.has("CMT"):
        ds["cmt"] = _compartments(records, rows)
    before = _before_dose(records, evid, rows)
    if before.any():
        ds["before_dose"] = ("sample", before.astype(np.int64), attrs("observation", "before_dose"))
    if records.has("OCC"):
        ds["occasion"] = text("occasion", [str(records.field(i, "OCC")) for i in rows])
        records.notes.append(
            f"{records.names['OCC']}: occasions of a subject are told apart where a fit asks for "
            "it (fit_population, occasion=); elsewhere its parameters are the same in all"
        )
    return validate(ds, "observation")


# ---- which records ------------------------------------------------------------------------------
def _sampled(records: RecordTable, evid: np.ndarray) -> np.ndarray:
    """Rows with EVID 0 and MDV 0."""
    if not records.has("DV"):
        if (evid == 0).any():
            records.notes.append("no column DV: the records with EVID 0 are not samples")
        return np.empty(0, np.int64)
    mdv = records.number("MDV", 0)
    records.refuse(~np.isin(mdv, _MDV), "MDV", "0 or 1")
    if records.names["DV"].upper() != "DV":
        records.notes.append(f"concentrations from column {records.names['DV']}")
    return np.flatnonzero((evid == 0) & (mdv % 100 == 0))


def _chosen(
    records: RecordTable,
    rows: np.ndarray,
    item: str,
    chosen: Any,
    option: str,
    compartments: dict[str, str] | None,
) -> np.ndarray:
    """The rows with the value chosen of a column that tells samples of different kinds apart."""
    if not records.has(item):
        if chosen is not None:
            raise FileFormatError(
                f"{records.table.name}, columns", records.table.header, f"a column {item}"
            )
        return rows
    column = records.names[item]
    found = texts(records.table, column, rows)
    if chosen is None:
        # what is sampled in which compartment is told by the caller's names
        if len(found) > 1 and not (item == "CMT" and compartments is not None):
            raise FileFormatError(
                f"{records.table.name}, column {column!r} of the samples",
                listed(found),
                "samples of one kind",
                hint=f"choose one with {option}= (--{option} on the command line)",
            )
        return rows
    key = value_key(str(chosen))
    spelling = {name.lower(): name for name in found}
    if key.lower() not in spelling:
        raise unknown_name(
            option, str(chosen), found, what=f"a value of {column} among the samples"
        )
    out = np.array(
        [i for i in rows if value_key(records.table.text[column][i]).lower() == key.lower()],
        np.int64,
    )
    if out.size < rows.size:
        records.notes.append(
            f"{out.size} samples with {column} {spelling[key.lower()]} used, "
            f"{rows.size - out.size} others left out"
        )
    return out


def _before_dose(records: RecordTable, evid: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether a dose or reset of the same subject and time follows in the file."""
    changes = (evid == 1) | (evid >= 3) | records.resets
    out = np.zeros(len(records.line), bool)
    for i in range(len(records.line) - 2, -1, -1):
        if records.id[i] == records.id[i + 1] and records.time[i] == records.time[i + 1]:
            out[i] = out[i + 1] or changes[i + 1]
    return out[rows]


# ---- where --------------------------------------------------------------------------------------
def _matrices(records: RecordTable, rows: np.ndarray, choices: Choices) -> list[str]:
    """What was sampled: by a column of matrices, else by the names of CMT, else the
    caller's matrix.
    """
    if records.has("MATRIX"):
        words = [records.field(i, "MATRIX").lower() for i in rows]
        return [w or choices.matrix for w in words]
    names = choices.compartments
    if not records.has("CMT") or names is None or choices.cmt is not None:
        return [choices.matrix] * rows.size
    found = texts(records.table, records.names["CMT"], rows)
    named = {k: names.get(k.upper()) for k in found if k not in ("", "0")}
    # one compartment without a name beside names of dosed ones only: that of the samples
    lone = len(named) == 1 and all(v in ("oral", *_DOSED) for v in names.values())
    for key, name in named.items():
        if name is None and not lone:
            raise FileFormatError(
                f"{records.table.name}, column {records.names['CMT']!r} of the samples",
                listed(found),
                "compartments that have names: "
                + ", ".join(f"{k} ({v})" for k, v in names.items()),
                hint=f"name {key} too, or choose the samples with cmt= or dvid= (--cmt, --dvid)",
            )
        if name == "oral":
            raise FileFormatError(
                f"{records.table.name}, column {records.names['CMT']!r} of the samples",
                key,
                "a compartment in which samples are taken, not that of oral doses",
                hint="write '.' in CMT of samples from plasma",
            )
    if lone and None in named.values():
        records.notes.append(f"samples of CMT {next(iter(named))} read as {choices.matrix}")
    matrix = {k: choices.matrix if v is None or v in _DOSED else v for k, v in named.items()}
    return [
        matrix.get(value_key(records.table.text[records.names["CMT"]][i]), choices.matrix)
        for i in rows
    ]


def _compartments(records: RecordTable, rows: np.ndarray) -> tuple:
    keys = [value_key(records.field(i, "CMT")) or "0" for i in rows]
    numbers = all(k.isdigit() for k in keys)
    values = np.array(keys, dtype=np.int64) if numbers else np.array(keys, dtype=object)
    return ("sample", values, {"long_name": "compartment in the file"})


# ---- what was measured --------------------------------------------------------------------------
def _values(
    records: RecordTable, rows: np.ndarray, factor: float, lloq: float | str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, limit [mg/L] and whether below it. What is missing is missing, never below.

    Parameters
    ----------
    rows : (sample,) int
        Records that are samples.
    factor : float
        From the unit of DV to mg/L.
    lloq
        Limit of samples whose record says none, in the unit of DV or text with a unit.

    Returns
    -------
    value, limit, below : (sample,)
    """
    n = rows.size
    value, limit, below = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool)
    if not n:
        return value, limit, below
    general = _limit(lloq, factor)
    limits = records.number("LLOQ", np.nan) * (
        _own_factor(records, factor) if records.has("LLOQ") else factor
    )
    limits = np.where(limits > 0, limits, general)
    flagged = _flagged(records)
    sampled = np.zeros(len(records.line), bool)
    sampled[rows] = True
    censored = _censored(records, sampled)
    _look_at_limits(records, sampled)
    for k, i in enumerate(rows.tolist()):
        value[k], limit[k], below[k] = _sample(
            records, i, factor, limits[i], flagged[i], censored[i]
        )
    negative = np.zeros(len(records.line), bool)
    negative[rows] = value < 0
    records.refuse(
        negative,
        "DV",
        "a concentration >= 0, or MDV 1",
        hint="logarithms are not read" if (value < 0).sum() > 0.2 * n else "",
    )
    return value, limit, below


def _flagged(records: RecordTable) -> np.ndarray:
    """(record,) below quantification as a column BLQ says."""
    if not records.has("BLQ"):
        return np.zeros(len(records.line), bool)
    return flags(
        records.table,
        records.names["BLQ"],
        yes=("y", "yes", "true", "blq", "bql"),
        no=("n", "no", "false"),
        what="0 or 1",
    )


def _censored(records: RecordTable, sampled: np.ndarray) -> np.ndarray:
    """(record,) CENS is 1: the value is below DV."""
    cens = records.number("CENS", 0)
    records.refuse(
        sampled & ~np.isin(cens, (-1, 0, 1)), "CENS", "0, or 1 where the value is below DV"
    )
    records.refuse(
        sampled & (cens == -1),
        "CENS",
        "0 or 1",
        hint="values above a limit (-1) cannot be used: leave the record out (MDV 1)",
    )
    return cens == 1


def _sample(
    records: RecordTable, i: int, factor: float, limit: float, flagged: bool, censored: bool
) -> tuple[float, float, bool]:
    """Value and limit [mg/L] of record `i`, and whether it is below the limit.

    What says the limit, first to last: ``<0.5`` in DV, DV of a record with CENS 1, then
    `limit`, that of the column LLOQ or of the caller.

    Raises
    ------
    FileFormatError
        A text that is no number, or a value below a limit that nothing says.
    """
    text = records.field(i, "DV")
    number, below_limit = parse_number(text), parse_below(text)
    if text and number is None and below_limit is None:
        decimal_comma = f"write {text.replace(',', '.')}"
        raise FileFormatError(
            records.where(i, "DV"),
            text,
            "a finite number, or '.' where it is not given",
            subject=records.label[i],
            hint=decimal_comma if "," in text else "a value below a limit is <0.5",
        )
    if below_limit is not None and not np.isnan(below_limit):
        limit = below_limit * factor
    elif censored:
        if number is not None and number > 0:
            limit = number * factor
    elif below_limit is None and not flagged:
        value = np.nan if number is None else number * factor
        if not abs(value) < limit:  # missing, or no limit
            return value, limit, False
    if not limit > 0:
        raise FileFormatError(
            records.where(i, "DV"),
            text,
            "the limit that the value is below",
            subject=records.label[i],
            hint="give lloq (--lloq on the command line), a column LLOQ, or <0.5 as the value",
        )
    return np.nan, limit, True


def _limit(lloq: float | str | None, factor: float) -> float:
    """The caller's limit [mg/L]: text with a unit, or a number in the unit of DV."""
    if lloq is None:
        return np.nan
    if isinstance(lloq, str) and parse_number(lloq.strip()) is None:
        return quantity(lloq, "mg/L", "lloq", positive=True)
    return quantity(float(lloq) * factor, "mg/L", "lloq", positive=True)


def _own_factor(records: RecordTable, factor: float) -> float:
    """From the unit of LLOQ to mg/L: its own where it says one, else that of DV."""
    column = records.names["LLOQ"]
    return (
        records.table.factor(column, None, "mg/L", "LLOQ")
        if column in records.table.unit
        else factor
    )


def _look_at_limits(records: RecordTable, sampled: np.ndarray) -> None:
    """LIMIT is the lower end of an interval: only 0 can be taken for "below"."""
    if not records.has("LIMIT"):
        return
    lower = records.number("LIMIT", 0)
    records.refuse(
        sampled & (lower != 0),
        "LIMIT",
        "0 or '.': intervals with a lower end are not fitted",
        hint="leave the record out (MDV 1), or the column (ignore=, --ignore)",
    )
    if any(records.field(i, "LIMIT") for i in np.flatnonzero(sampled)):
        records.notes.append(
            "LIMIT 0 is not used: censored values count as below the limit (M3), not as above 0"
        )
