"""NONMEM-style data sets: read and write.

What each column means
----------------------
Names count in any case, a unit may stand behind them (``TIME (min)``, ``Conc (ng/mL)``).

- Doses: ``AMT RATE DUR ADDL II SS CMT EVID``, with ``TINF`` for ``DUR``, ``ROUTE`` (iv,
  oral), and ``ALAG`` and ``BIOAV`` for what NONMEM takes from the model: lag [time] and
  bioavailability of the dose.
- Samples: ``DV MDV``; ``CENS`` (1: below DV), ``LIMIT``, ``BLQ`` and ``LLOQ``; ``DVID``,
  ``YTYPE``, ``ANALYTE`` and ``CMT`` of samples, of which one value is chosen.
- Rows: ``C`` and ``EXCL`` leave records out; ``DATE``, ``DAT1``, ``DAT2``, ``DAT3`` and
  clock times become elapsed hours.
- All others are covariates.

``.``, NA and an empty field mean "not given"; ``<0.5`` in DV means below 0.5.

RATE -2 takes the duration from DUR, RATE -1 the rate from DUR's sibling, the argument
`modelled_rate`. Without a rate, a DUR > 0 makes an infusion of that length (as in
rxode2 and Monolix).

Records of equal time keep their order: a sample recorded before a dose is the trough
(``before_dose`` 1 in the observations), and a reset wipes the doses recorded before it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._core.columns import ALIASES, PEOPLE, ROUTES
from .._core.errors import FileFormatError
from .._core.limits import border
from .._core.provenance import provenance
from .._core.table_files import read_table, texts, value_key
from .nonmem_samples import Choices, observations_of
from .nonmem_table import RecordTable
from .records import with_doses
from .regimen import Regimen
from .table import COLUMNS, check_rows

if TYPE_CHECKING:
    import xarray as xr

#: items that mean nothing in a record that gives no dose, where files carry them all the same
FILLED_DOWN = ("RATE", "ADDL", "II", "SS")
#: EVID of nlmixr and RxODE: 100 n + 1 is a bolus into compartment n
_CODED_BOLUS = 1


class NonmemData(NamedTuple):
    """What a data set holds.

    Parameters
    ----------
    regimen
        Doses, one subject id each.
    observations
        Dataset of schema ``observation`` (EVID 0, MDV 0), with the compartment as
        ``cmt`` and, where some sample was recorded before a dose of the same time,
        ``before_dose``; ``attrs["notes"]`` says what was assumed or left out, a line
        each.
    covariates
        Dataset; columns that are constant within each subject over ``subject``, others
        over ``record`` (with ``record_subject`` and ``record_time``).
    """

    regimen: Regimen
    observations: xr.Dataset
    covariates: xr.Dataset


def read_nonmem(
    path: str | os.PathLike | Any,
    *,
    amount_unit: str | None = None,
    time_unit: str | None = None,
    concentration_unit: str | None = None,
    compartments: Mapping[int | str, str] | None = None,
    route: str | None = None,
    dv: str = "DV",
    dvid: Any = None,
    analyte: str | None = None,
    cmt: Any = None,
    lloq: float | str | None = None,
    columns: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
    occasions: str | None = None,
    modelled_rate: str | float | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
    matrix: str = "plasma",
    study: str = "",
    reference: str = "",
) -> NonmemData:
    """Read a NONMEM-style data set: a CSV file (also .csv.gz) or a DataFrame.

    Parameters
    ----------
    path
        The file, or a pandas or polars DataFrame. The first line holds the names; lines
        that start with ``#`` are skipped (``#ID,TIME,...`` as the first line holds
        names). Columns are separated by commas, semicolons, tabs or blanks.
    amount_unit, time_unit, concentration_unit
        Units of AMT, of TIME and II (and DUR, ALAG), and of DV; RATE is in
        amount_unit/time_unit. None: what the header says, else mg, h and mg/L.
    compartments
        CMT -> name; the names ``"iv"`` and ``"oral"`` mean the model's own compartments
        of those routes. The name of samples' CMT is their matrix, ``"plasma"`` or
        another. None: CMT as it stands.
    route
        "iv" or "oral", of all doses, whatever their CMT. None: by CMT or a column
        ROUTE; without either, doses are intravenous.
    dv
        Name of the column with the observed concentration; DV may also be called CONC.
    dvid, analyte, cmt
        Which samples, where DVID (or YTYPE), ANALYTE or CMT of samples has several
        values.
    lloq
        Limit of quantification, in the unit of DV or text with a unit: samples below it
        are censored.
    columns
        Our name -> name in the file, e.g. ``{"ALAG": "lagt", "BIOAV": "bioav", "DUR":
        "dur2"}``.
    ignore
        Columns to leave out unread.
    occasions
        "reset": where OCC (or PERIOD) changes within a subject all compartments are
        emptied and time may start anew. None: an occasion changes nothing, and time
        starts anew only at EVID 3 and 4.
    modelled_rate
        Column name or number, the rate for RATE -1.
    missing
        Column -> texts that mean "not given" there, besides ``.``, e.g. ``{"SS":
        ["99"]}``.
    matrix, study, reference
        For the observations.

    Returns
    -------
    NonmemData
        (regimen, observations, covariates). Subjects are whole numbers; where they have
        names, ``subject`` holds the names and the regimen numbers them 0, 1, ... in their
        order.

    Raises
    ------
    FileFormatError
        A value that is no number, times that run back, an ID that comes twice, samples
        of several kinds without a choice, a column that changes what rows mean and
        cannot be used; names the line of the file.
    InputError
        A record that contradicts itself.
    """
    with border("path", path, "a data set"):
        table = RecordTable(path, {**(columns or {}), "DV": dv}, missing or {}, ignore)
        scale = _Scale(table, amount_unit, time_unit, concentration_unit)
        names = _names_of(compartments)
        evid, coded = _event_ids(table)
        table.run_on(evid, occasions)
        regimen, assumed = _regimen(table, evid, coded, scale, names, route, modelled_rate)
        choices = Choices(dvid, analyte, cmt, lloq, names, matrix, study, reference)
        observations = observations_of(table, evid, scale.time, scale.concentration, choices)
        covariates = _covariates(table, scale)
        labels = [str(s) for s in covariates["subject"].values]
        numbered = all(s.isdigit() for s in labels)
        of_number = {int(s) if numbered else i: s for i, s in enumerate(labels)}
        observations = with_doses(observations, regimen, of_number)
        if assumed:
            table.notes.append(f"{assumed} doses say no route: intravenous")
        observations.attrs |= {
            "notes": "\n".join(table.notes),
            "doses_of_unknown_route": assumed,
        }
        return NonmemData(regimen, observations, covariates)


class _Scale:
    """Factors from the file's units to ours."""

    def __init__(
        self, records: RecordTable, amount: str | None, time: str | None, concentration: str | None
    ) -> None:
        def factor(
            item: str, caller_unit: str | None, unit: str, option: str, otherwise: float = 1.0
        ) -> float:
            column = records.names.get(item)
            if caller_unit is None and records.table.unit.get(column) is None:
                return otherwise
            return records.table.factor(column, caller_unit, unit, option)

        self.amount = factor("AMT", amount, "mg", "amount_unit")
        self.time = factor("TIME", time, "h", "time_unit")
        if records.translated and self.time != 1.0:
            raise FileFormatError(
                f"{records.table.name}, column {records.names['TIME']!r}",
                time or records.table.unit[records.names["TIME"]],
                "h where clock times or dates are",
            )
        self.concentration = factor(
            "DV", _unit_column(records, concentration), "mg/L", "concentration_unit"
        )
        self.rate = factor("RATE", None, "mg/h", "RATE", self.amount / self.time)
        self.interval = factor("II", None, "h", "II", self.time)
        self.duration = factor("DUR", None, "h", "DUR", self.time)
        self.lag = factor("ALAG", None, "h", "ALAG", self.time)


def _unit_column(records: RecordTable, unit: str | None) -> str | None:
    """The unit that a column of units says, where it is one."""
    if not records.has("UNIT"):
        return unit
    column = records.names["UNIT"]
    named = {records.field(i, "UNIT") for i in range(len(records.line))} - {""}
    if len(named) > 1:
        raise FileFormatError(
            f"{records.table.name}, column {column!r}",
            sorted(named),
            "one unit",
            hint="convert the values",
        )
    if named and unit is None:
        return named.pop()
    if named and records.table.factor(None, named.pop(), "mg/L", column) != records.table.factor(
        None, unit, "mg/L", "concentration_unit"
    ):
        raise FileFormatError(
            f"{records.table.name}, column {column!r}",
            records.table.text[column][0],
            f"the unit given, {unit}",
        )
    return unit


def _names_of(compartments: Mapping[int | str, str] | None) -> dict[str, str] | None:
    """CMT as text in capitals -> name."""
    if compartments is None:
        return None
    return {str(k).strip().upper(): str(v) for k, v in compartments.items()}


def compartments_of(source: Any) -> list[str]:
    """All values of CMT in a data set, as text; none where it has no such column.

    Raises
    ------
    FileFormatError
        no such file, or not a table.
    """
    table = read_table(source, keys=("ID", "TIME"))
    column = table.find(ALIASES["CMT"], "CMT")
    found = texts(table, column, range(len(table))) if column else {}
    return sorted(k for k in found if k not in ("", "0"))


# ---- events -------------------------------------------------------------------------------------
def _event_ids(records: RecordTable) -> tuple[np.ndarray, np.ndarray]:
    """EVID as given, or 1 where there is a dose; and the compartment that a coded EVID
    names, else -1.
    """
    if not records.has("AMT"):
        named = next(
            (h for h in records.table.header if records.table.base[h].startswith("DOSE")), None
        )
        records.notes.append(
            "no column AMT: no doses are read"
            + (f'; columns={{"AMT": "{named}"}} takes them from {named}' if named else "")
        )
    gives = (records.number("AMT", 0) != 0) | (
        (records.number("RATE", 0) > 0) & (records.number("SS", 0) > 0)
    )
    coded = np.full(gives.size, -1, np.int64)
    if not records.has("EVID"):
        _refuse_dose_with_sample(records, gives)
        return np.where(gives, 1, 0), coded
    evid = records.number("EVID", 0)
    bolus = (evid > 100) & (evid < 10000) & (evid % 100 == _CODED_BOLUS)
    if bolus.any():
        coded[bolus] = (evid[bolus] // 100).astype(np.int64)
        evid = np.where(bolus, 1, evid)
        records.notes.append(
            f"{int(bolus.sum())} records with EVID 100 n + 1 (RxODE) are doses into compartment n"
        )
    records.refuse(
        ~np.isin(evid, (0, 1, 2, 3, 4)),
        "EVID",
        "0, 1, 2, 3 or 4",
        hint="codes of RxODE: write EVID 1 with CMT, RATE and AMT" if (evid > 100).any() else "",
    )
    none = np.isin(evid, (0, 2, 3))
    for code in (0, 2, 3):
        records.refuse(
            (evid == code) & (records.number("AMT", 0) != 0),
            "AMT",
            f"0 in a record with EVID {code}",
        )
    carried = [
        item
        for item in FILLED_DOWN
        if records.has(item) and (none & (records.number(item, 0) != 0)).any()
    ]
    if carried:
        records.notes.append(
            ", ".join(carried) + " of records without a dose mean nothing and were not used"
        )
    return evid.astype(np.int64), coded


def _refuse_dose_with_sample(records: RecordTable, gives: np.ndarray) -> None:
    """Without EVID, a row with an amount and a concentration may be either, or both."""
    if not records.has("DV"):
        return
    dose_and_sample = [
        i
        for i in np.flatnonzero(gives)
        if records.field(i, "DV") not in ("", "0", "0.0") and records.number("MDV", 0)[i] == 0
    ]
    if dose_and_sample:
        i = dose_and_sample[0]
        raise FileFormatError(
            records.where(i, "DV"),
            records.field(i, "DV"),
            "'.' in a record with a dose",
            subject=records.label[i],
            hint="write doses and samples in rows of their own, or add EVID or MDV",
        )


def _regimen(
    records: RecordTable,
    evid: np.ndarray,
    coded: np.ndarray,
    scale: _Scale,
    compartments: dict[str, str] | None,
    declared_route: str | None,
    modelled_rate,
) -> tuple[Regimen, int]:
    """The doses, and of how many nothing says the route."""
    rows = np.flatnonzero(evid > 0)
    dose = np.isin(evid, (1, 4))
    rate, duration = _infusions(records, dose, modelled_rate, scale)
    route, compartment, assumed = _routes_and_compartments(
        records, rows, dose, (rate > 0) | (duration > 0), coded, compartments, declared_route
    )
    records.refuse(
        dose & ~np.isin(records.number("SS", 0), (0, 1, 2)),
        "SS",
        "0, 1 or 2 (steady_state)",
        hint='a code for "not given" is said by missing={"SS": ["99"]} (--missing SS=99)',
    )
    for item in ("ADDL", "SS"):
        value = records.number(item, 0)
        whole = (value == np.floor(value)) & (np.abs(value) < 1e9)
        records.refuse(dose & ~whole, item, "a whole number below 1e9")

    def of_doses(values: np.ndarray, otherwise: float = 0) -> np.ndarray:
        return np.where(dose, values, otherwise)

    columns = {
        "subject": records.id,
        "time": records.time * scale.time,
        "evid": evid,
        "amount": of_doses(records.number("AMT", 0)) * scale.amount,
        "rate": of_doses(rate) * scale.rate,
        "duration": of_doses(duration) * scale.duration,
        "interdose_interval": of_doses(records.number("II", 0)) * scale.interval,
        "additional_doses": of_doses(records.number("ADDL", 0)).astype(np.int64),
        "steady_state": of_doses(records.number("SS", 0)).astype(np.int64),
        "lag_time": of_doses(records.number("ALAG", 0)) * scale.lag,
        "bioavailability": of_doses(records.number("BIOAV", 1), 1.0),
    }
    columns = {name: column[rows] for name, column in columns.items()}
    # NONMEM ignores an interval that nothing uses, as files carry one in every dose
    idle = (columns["additional_doses"] == 0) & (columns["steady_state"] == 0)
    columns["interdose_interval"] = np.where(idle, 0.0, columns["interdose_interval"])
    columns |= {
        "route": np.where(dose[rows], route, ""),
        "compartment": np.where(dose[rows], compartment, ""),
    }
    full = {
        name: columns.get(name, np.full(rows.size, default))
        for name, (_k, default, *_r) in COLUMNS.items()
    }
    check_rows(full, row_label=[records.where(r) for r in rows])
    end = columns["time"] + columns["interdose_interval"] * (1 + columns["additional_doses"])
    full = _with_resets(full, rows, np.flatnonzero(records.resets), records, scale)
    return Regimen(full, span=float(end.max(initial=0.0))), assumed


def _with_resets(
    full: dict[str, np.ndarray],
    rows: np.ndarray,
    at: np.ndarray,
    records: RecordTable,
    scale: _Scale,
) -> dict[str, np.ndarray]:
    """The records with a reset before each row of `at`, in the order of the file."""
    if not at.size:
        return full
    more = {
        name: np.full(at.size, default, dtype=full[name].dtype)
        for name, (_k, default, *_r) in COLUMNS.items()
    }
    more |= {
        "subject": records.id[at],
        "time": records.time[at] * scale.time,
        "evid": np.full(at.size, 3),
    }
    order = np.argsort(np.concatenate([rows, at - 0.5]), kind="stable")
    return {name: np.concatenate([full[name], more[name]])[order] for name in COLUMNS}


def _infusions(
    records: RecordTable, dose: np.ndarray, modelled_rate, scale: _Scale
) -> tuple[np.ndarray, np.ndarray]:
    """Rate and duration of every record [units of the file]; at most one of them is not 0."""
    rate, length = (
        np.where(dose, records.number("RATE", 0), 0.0),
        np.where(dose, records.number("DUR", 0), 0.0),
    )
    records.refuse(
        (rate < 0) & ~np.isin(rate, (-1, -2)),
        "RATE",
        "a rate >= 0, -1 (modelled rate) or -2 (modelled duration)",
    )
    modelled_duration, rate_is_modelled = rate == -2, rate == -1
    if modelled_duration.any() and not records.has("DUR"):
        raise FileFormatError(
            records.where(int(np.argmax(modelled_duration)), "RATE"),
            -2,
            "a column DUR with the duration",
        )
    records.refuse(modelled_duration & (length <= 0), "DUR", "a duration > 0 with RATE -2")
    if rate_is_modelled.any():
        if modelled_rate is None:
            raise FileFormatError(
                records.where(int(np.argmax(rate_is_modelled)), "RATE"),
                -1,
                "modelled_rate given to the reader",
            )
        known = (
            records.floats(modelled_rate, 0)
            if isinstance(modelled_rate, str)
            else np.full(rate.size, float(modelled_rate))
        )
        if (rate_is_modelled & (known <= 0)).any():
            i = int(np.argmax(rate_is_modelled & (known <= 0)))
            raise FileFormatError(
                records.where(i, "RATE"), float(known[i]), "a modelled rate > 0 with RATE -1"
            )
        rate = np.where(rate_is_modelled, known, rate)
    rate = np.where(modelled_duration, 0.0, rate)
    return rate, _durations(records, modelled_duration, rate_is_modelled, rate, length, scale)


def _durations(
    records: RecordTable, modelled_duration, modelled_rate, rate, length, scale: _Scale
) -> np.ndarray:
    """The duration where it rules: of RATE -2 and, where the file has no rate, of a DUR > 0."""
    if (
        "DUR" in records.names
        and records.names["DUR"].upper() not in ("DUR", "TINF")
        and records.has("RATE")
    ):
        # a column that the caller named: the duration of RATE -2
        return np.where(modelled_duration, length, 0.0)
    records.refuse(length < 0, "DUR", "a duration >= 0")
    plain = (length > 0) & ~modelled_duration & ~modelled_rate
    contradicting = plain & (rate > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_rate = records.number("AMT", 0) * scale.amount / (rate * scale.rate)
    records.refuse(
        contradicting & ~np.isclose(by_rate, length * scale.duration, rtol=1e-3),
        "DUR",
        "AMT/RATE, or no DUR beside a RATE",
    )
    rate_given = np.array([records.field(i, "RATE") != "" for i in range(len(records.line))], bool)
    records.refuse(
        plain & (rate == 0) & rate_given,
        "DUR",
        "no duration beside RATE 0, which is a bolus",
        hint="write RATE -2 for an infusion over DUR, or '.' in RATE",
    )
    return np.where(modelled_duration | (plain & (rate == 0)), length, 0.0)


def _routes_and_compartments(
    records: RecordTable,
    rows: np.ndarray,
    dose: np.ndarray,
    flows,
    coded,
    compartments,
    declared_route: str | None,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Route and compartment of `rows`, and for how many doses nothing says either."""
    assumed = 0
    iv = np.where(flows[rows], "iv_infusion", "iv_bolus")
    key = compartment_keys(records)
    has_code = coded >= 0
    if records.has("CMT"):
        clash = has_code & np.array(
            [k not in ("", str(n)) for k, n in zip(key, coded, strict=True)], bool
        )
        records.refuse(clash, "CMT", "the compartment that EVID names")
    key = np.where(has_code, coded.astype(str), key)
    if declared_route is not None:
        if declared_route not in ("iv", "oral"):
            raise FileFormatError("route", declared_route, "iv or oral")
        name = np.full(rows.size, declared_route)
    elif records.has("ROUTE"):
        name = _routes(records, rows, dose, key, compartments)
    elif compartments is None:
        assumed = int(np.sum(dose[rows] & (key[rows] == "")))
        name = np.array(["iv" if k == "" else k for k in key[rows]], dtype=str)
    else:
        assumed = int(np.sum(dose[rows] & (key[rows] == "")))
        bad = np.zeros(len(records.line), bool)
        bad[rows] = (
            dose[rows] & (key[rows] != "") & ~np.isin(np.char.upper(key[rows]), list(compartments))
        )
        known = ", ".join(f"{k} ({v})" for k, v in compartments.items())
        records.refuse(
            bad,
            "CMT" if records.has("CMT") else "EVID",
            f"one of {known}",
            hint="compartments= (--compartment) has no name for it",
        )
        name = np.array([compartments.get(k.upper(), "iv") for k in key[rows].tolist()], dtype=str)
    route = np.where(name == "iv", iv, np.where(name == "oral", "oral", "compartment"))
    return route, np.where(np.isin(name, ("iv", "oral")), "", name), assumed


def compartment_keys(records: RecordTable) -> np.ndarray:
    """CMT of every record as text: a number or a name; "" for 0 or not given, the
    default compartment.
    """
    out = [value_key(records.field(i, "CMT")) for i in range(len(records.line))]
    negative = np.array([k.startswith("-") and k[1:].isdigit() for k in out], bool)
    records.refuse(negative, "CMT", "a compartment number >= 0 (compartments are never off here)")
    decimal = np.array([k.replace(".", "", 1).isdigit() and not k.isdigit() for k in out], bool)
    records.refuse(decimal, "CMT", "a whole number, or a name")
    return np.array(["" if k == "0" else k for k in out], dtype=str)


def _routes(records: RecordTable, rows, dose, key, compartments) -> np.ndarray:
    """Routes by a column of that name, which CMT must not contradict."""
    out = []
    for i in rows:
        word = records.field(i, "ROUTE")
        if not dose[i]:
            out.append("iv")
            continue
        known = ROUTES.get(word.lower())
        if known is None:
            raise FileFormatError(
                records.where(i, "ROUTE"),
                word,
                "iv or oral in a record with a dose",
                subject=records.label[i],
            )
        named = (compartments or {}).get(key[i].upper())
        if named in ("iv", "oral") and named != known:
            raise FileFormatError(
                records.where(i, "ROUTE"),
                word,
                f"{named}, as CMT {key[i]} is",
                subject=records.label[i],
            )
        out.append(known)
    return np.array(out, dtype=str)


# ---- covariates ---------------------------------------------------------------------------------
def _covariates(records: RecordTable, scale: _Scale) -> xr.Dataset:
    """All other columns. Those of people, WT, AGE, HT and SEX, have these names in
    capitals and say their unit.
    """
    import xarray as xr

    first = (
        np.flatnonzero(np.concatenate([[True], np.diff(records.id) != 0]))
        if records.id.size
        else np.empty(0, np.int64)
    )
    count = np.diff(np.append(first, records.id.size))
    subject_labels = (
        records.id[first]
        if records.numbered
        else np.array([records.label[i] for i in first], dtype=object)
    )
    ds = xr.Dataset(
        coords={"subject": ("subject", subject_labels)},
        attrs=provenance(source=str(records.table.name)),
    )
    usual = {a: names[0] for names, _ in PEOPLE.values() for a in names[:1]}
    for column in records.table.header:
        if column in records.names.values() and column != records.names.get("OCC"):
            continue
        try:
            values = _carried(records.floats(column, np.nan), first, count)
            same = values == np.repeat(values[first], count)
            same |= np.isnan(values) & np.isnan(np.repeat(values[first], count))
        except FileFormatError:  # a covariate may be text
            values = np.asarray(records.table.text[column], dtype=object)
            same = values == np.repeat(values[first], count)
        base = records.table.base[column]
        name = usual.get(base, column if column not in records.table.unit else base)
        attrs = {"units": records.table.unit[column]} if column in records.table.unit else {}
        ds[name] = ("subject", values[first], attrs) if np.all(same) else ("record", values, attrs)
    if "record" in ds.dims:
        ds["record_subject"] = ("record", np.repeat(subject_labels, count))
        ds["record_time"] = (
            "record",
            records.time * scale.time,
            {"units": "h", "long_name": "time of the record"},
        )
    return ds


def _carried(values: np.ndarray, first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Where a number is not given, the one before within the subject, or the first that follows."""
    if not np.isnan(values).any():
        return values
    out = values.copy()
    for start, n in zip(first, count, strict=True):
        block = out[start : start + n]
        known = np.flatnonzero(~np.isnan(block))
        if known.size:
            before = np.searchsorted(known, np.arange(n), side="right") - 1
            out[start : start + n] = block[known[np.maximum(before, 0)]]
    return out
