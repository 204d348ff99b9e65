"""Concentrations of a CSV file or a DataFrame, as profiles for noncompartmental analysis.

A profile holds the samples of one subject, analyte, period, treatment, study and matrix.
Records with an EVID other than 0 or with MDV 1 are no samples. Nothing is guessed: ambiguous
rows are refused, with their line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._core.clock import DATE_ORDERS, elapsed_hours, needs_translation
from .._core.columns import ALIASES, EXCLUDED_WORDS, KEPT_WORDS, PROFILES
from .._core.errors import FileFormatError
from .._core.limits import border
from .._core.schemas import attrs
from .._core.table_files import (
    Table,
    flags,
    is_missing,
    parse_below,
    parse_number,
    read_table,
    value_key,
)

if TYPE_CHECKING:
    import xarray as xr

_CONCENTRATION = ("CONCENTRATION", "CONC", "DV", "VALUE", "Y")
_DOSE = ("DOSE",)
#: columns that change the meaning of a row: used only if they hold one value
_ONE_VALUE = ("CMT",)


class ProfileTable(NamedTuple):
    """The samples of a table, and notes on how it was read.

    Parameters
    ----------
    observations : xarray.Dataset
        Schema ``observation`` with ``profile`` (the label of each sample's profile), and
        ``dose`` [mg] where the file has it.
    notes : tuple of str
        What was assumed, left out or not used, one sentence each.
    """

    observations: xr.Dataset
    notes: tuple[str, ...]


def read_profile_table(
    source: Any, *, unit: str | None = None, ignore: tuple[str, ...] = ()
) -> ProfileTable:
    """Read concentrations of any number of subjects.

    Columns, in upper or lower case, with or without a unit (``Time (h)``,
    ``Conc (ng/mL)``): subject (ID), time, concentration (conc, DV); optional: dose,
    analyte, period, treatment, study, matrix; EVID, AMT, MDV, CENS, BLQ and LLOQ as in
    :func:`pbpk_hybrid.dosing.read_nonmem`. ``<0.5`` and BLQ are values below
    quantification; ``.``, NA and empty fields are missing.

    Parameters
    ----------
    source : path or DataFrame
        CSV file (also .gz), or a pandas or polars DataFrame.
    unit : str, optional
        Unit of the concentrations; None: that of the header, else mg/L.
    ignore : tuple of str
        Columns to leave out unread.

    Returns
    -------
    ProfileTable

    Raises
    ------
    FileFormatError
        A file or column that does not exist, a row without a subject, a value that is no
        number, rows of one profile whose times decrease; names the line.
    UnitError
        A unit that is not one of concentration or time.
    """
    with border("source", source, "a table of concentrations"):
        table = read_table(source, keys=("TIME",))
        table.drop(ignore)
        return _Reader(table, unit).read()


class _Reader:
    """One pass over a table."""

    def __init__(self, table: Table, unit: str | None) -> None:
        self.t, self.notes = table, []
        self.used: list[str] = []
        self.excluded()
        self.subject = self.column("a subject", ALIASES["ID"], needed=False)
        self.time = self.column("time", ALIASES["TIME"])
        self.value = self.column("concentration", _CONCENTRATION)
        self.factor = self.concentration_factor(unit)

    def column(self, what: str, names: tuple[str, ...], needed: bool = True) -> str | None:
        found = self.t.find(names, what)
        if found is None and needed:
            raise FileFormatError(
                self.t.name, self.t.header, f"a column {' or '.join(n.lower() for n in names[:3])}"
            )
        if found is not None:
            self.used.append(found)
        return found

    def read(self) -> ProfileTable:
        import xarray as xr

        subjects = self.subjects()
        hours = self.hours(subjects)
        samples, doses = self.kinds()
        parts, profile = self.profiles(subjects, samples)
        self.refuse_running_back(hours, profile, samples)
        dose = self.doses(profile, samples, doses, hours)
        value, limit, below = self.values(samples)
        rows = np.flatnonzero(samples)

        def text(values: list[str]) -> tuple:
            return ("sample", np.array([values[i] for i in rows], dtype=str))

        study = parts.get("study") or [self.t.name.removesuffix(".gz").removesuffix(".csv")] * len(
            subjects
        )
        data = {
            "subject": text(subjects),
            "matrix": text(parts.get("matrix") or ["plasma"] * len(subjects)),
            "study": text(study),
            "reference": ("sample", np.full(rows.size, self.t.name)),
            "profile": text(profile),
            "time": ("sample", hours[rows], attrs("observation", "time")),
            "value": ("sample", value[rows], attrs("observation", "value")),
            "censored": ("sample", below[rows].astype(int)),
        }
        if np.isfinite(limit[rows]).any():
            data["lloq"] = ("sample", limit[rows], attrs("observation", "lloq"))
        if dose is not None:
            data["dose"] = ("sample", dose[rows], {"units": "mg"})
        idle = [h for h in self.t.header if h not in self.used]
        if idle:
            self.notes.append("not used: " + ", ".join(idle))
        return ProfileTable(xr.Dataset(data), tuple(self.notes))

    # ---- rows
    def excluded(self) -> None:
        column = self.column("exclusion", ALIASES["EXCL"], needed=False)
        if column is None:
            return
        out = flags(self.t, column, yes=EXCLUDED_WORDS, no=KEPT_WORDS, what="0 or 1")
        if out.any():
            self.t.keep(np.flatnonzero(~out))
            self.notes.append(f"{int(out.sum())} rows left out, as {column} says")

    def subjects(self) -> list[str]:
        if self.subject is None:
            self.notes.append("no column of subjects: one subject, 1")
            return ["1"] * len(self.t)
        out = []
        for i, field in enumerate(self.t.text[self.subject]):
            if is_missing(field):
                raise FileFormatError(
                    self.t.where(i, self.subject),
                    field,
                    "a subject in every row",
                    hint="leave the row out, or say whose it is",
                )
            out.append(field)
        return out

    def hours(self, who: list[str]) -> np.ndarray:
        date = next((h for h in self.t.header if self.t.base[h] in DATE_ORDERS), None)
        text = self.t.text[self.time]
        if date is not None or needs_translation(text):
            self.used += [date] if date else []
            self.notes.append("times are hours since each subject's first row")
            return elapsed_hours(
                text,
                None if date is None else self.t.text[date],
                "DATE" if date is None else self.t.base[date],
                who,
                self.t.where,
            )
        has_unit = self.time in self.t.unit
        if not has_unit:
            self.notes.append("times taken in h")
        factor = self.t.factor(self.time, None, "h", "time")
        return factor * self.t.floats(self.time, None, subject=lambda i: who[i])

    def kinds(self) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are samples, and which are doses."""
        n = len(self.t)
        evid_column = self.column("EVID", ALIASES["EVID"], needed=False)
        amount_column = self.column("AMT", ALIASES["AMT"], needed=False)
        mdv_column = self.column("MDV", ALIASES["MDV"], needed=False)
        evid = self.t.floats(evid_column, 0) if evid_column else np.zeros(n)
        amount = self.t.floats(amount_column, 0) if amount_column else np.zeros(n)
        mdv = self.t.floats(mdv_column, 0) if mdv_column else np.zeros(n)
        if evid_column and not np.isin(evid, (0, 1, 2, 3, 4)).all():
            i = int(np.argmax(~np.isin(evid, (0, 1, 2, 3, 4))))
            raise FileFormatError(self.t.where(i, evid_column), float(evid[i]), "0 to 4")
        doses = np.isin(evid, (1, 4)) if evid_column else amount > 0
        samples = (evid == 0) & (mdv % 100 == 0) & ~doses
        for name in _ONE_VALUE:
            self.one_value(name, samples)
        left = n - int(samples.sum())
        if left:
            self.notes.append(f"{left} rows are no samples (EVID, MDV or AMT says so)")
        if not samples.any():
            raise FileFormatError(self.t.name, 0, "at least one row that is a sample")
        return samples, doses

    def one_value(self, name: str, samples: np.ndarray) -> None:
        column = self.column(name, ALIASES[name], needed=False)
        if column is None:
            return
        found = {value_key(self.t.text[column][i]) for i in np.flatnonzero(samples)}
        if len(found) > 1:
            raise FileFormatError(
                f"{self.t.name}, column {column!r}",
                sorted(found),
                "samples of one compartment",
                hint="keep the rows of one, or name the column analyte",
            )

    # ---- profiles
    def profiles(
        self, who: list[str], samples: np.ndarray
    ) -> tuple[dict[str, list[str]], list[str]]:
        """The columns that tell profiles apart, and each row's label: the subject, then
        what differs within subjects.
        """
        parts: dict[str, list[str]] = {}
        label = list(who)
        for name, names in (*PROFILES.items(), ("matrix", ALIASES["MATRIX"])):
            column = self.column(name, names, needed=False)
            if column is None:
                continue
            parts[name] = [f if not is_missing(f) else "" for f in self.t.text[column]]
            blank = [i for i in np.flatnonzero(samples) if not parts[name][i]]
            if blank:
                raise FileFormatError(
                    self.t.where(blank[0], column),
                    self.t.text[column][blank[0]],
                    f"{name} in every row",
                    subject=who[blank[0]],
                )
            within: dict[str, set[str]] = {}
            for i in np.flatnonzero(samples):
                within.setdefault(who[i], set()).add(parts[name][i])
            if name != "matrix" and any(len(v) > 1 for v in within.values()):
                shown = "" if name == "analyte" else f"{name} "
                label = [
                    f"{a}, {shown}{b}" if b else a for a, b in zip(label, parts[name], strict=True)
                ]
                self.notes.append(f"{column}: a profile for each of its values")
        if "matrix" in parts:
            parts["matrix"] = [m.lower() for m in parts["matrix"]]
            found = sorted({parts["matrix"][i] for i in np.flatnonzero(samples)})
            if len(found) > 1:
                self.notes.append("one matrix is analysed at a time, of " + ", ".join(found))
        return parts, label

    def refuse_running_back(self, hours, profile: list[str], samples) -> None:
        """Refuse times that decrease: sorting would mix two profiles under one label."""
        last: dict[str, tuple[float, int]] = {}
        for i in np.flatnonzero(samples):
            before = last.get(profile[i])
            if before is not None and hours[i] < before[0]:
                raise FileFormatError(
                    self.t.where(i, self.time),
                    float(hours[i]),
                    f"a time >= {before[0]:g} of {self.t.word} {self.t.line[before[1]]}, "
                    "of the same profile",
                    subject=profile[i],
                    hint="sort the rows, or name the column that tells profiles apart (period, "
                    "analyte, treatment)",
                )
            last[profile[i]] = (hours[i], i)

    def doses(self, profile, samples, doses, hours) -> np.ndarray | None:
        """The dose [mg] of each row's profile: of a column, or of its only record with an amount.

        Times count from that record.
        """
        column = self.t.find(_DOSE, "dose")
        if column is not None:
            self.used.append(column)
            return self.dose_column(column, profile, samples)
        amounts = self.t.find(ALIASES["AMT"], "AMT")
        dose_rows = np.flatnonzero(doses)
        if amounts is None or not dose_rows.size:
            return None
        amount = self.t.factor(amounts, None, "mg", "AMT") * self.t.floats(amounts, 0)
        out = np.full(len(self.t), np.nan)
        repeated, several = self.repeated(), 0
        # doses belong to the subject (and period): the labels of its profiles begin with theirs
        for name in dict.fromkeys(profile[i] for i in np.flatnonzero(samples)):
            profile_rows = [
                i for i in dose_rows if name == profile[i] or name.startswith(profile[i] + ", ")
            ]
            rows = [i for i in np.flatnonzero(samples) if profile[i] == name]
            if len(profile_rows) == 1 and not repeated[profile_rows[0]]:
                out[rows] = amount[profile_rows[0]]
                hours[rows] -= hours[profile_rows[0]]
            several += len(profile_rows) > 1 or bool(repeated[profile_rows].any())
        if several:
            self.notes.append(
                f"{several} profiles have several doses: the file's doses are not used, times are "
                "those of the file"
            )
        if np.isfinite(out).any():
            self.notes.append("doses from AMT, times since the dose")
            return out
        return None

    def repeated(self) -> np.ndarray:
        """Records of several doses: with ADDL, or at steady state (SS)."""
        out = np.zeros(len(self.t), bool)
        for item in ("ADDL", "SS"):
            column = self.column(item, ALIASES[item], needed=False)
            if column is not None:
                out |= self.t.floats(column, 0) > 0
        return out

    def dose_column(self, column: str, profile, samples) -> np.ndarray:
        factor = self.t.factor(column, None, "mg", "dose")
        if column not in self.t.unit:
            self.notes.append("doses taken in mg")
        out = factor * self.t.floats(column, np.nan)
        first: dict[str, float] = {}
        for i in np.flatnonzero(samples & ~np.isnan(out)):
            if first.setdefault(profile[i], out[i]) != out[i]:
                raise FileFormatError(
                    self.t.where(i, column),
                    float(out[i]),
                    f"one dose for each profile; it is {first[profile[i]]:g} mg above",
                    subject=profile[i],
                )
        return np.array([first.get(p, np.nan) for p in profile])

    # ---- values
    def concentration_factor(self, unit: str | None) -> float:
        column = self.column("units", ALIASES["UNIT"], needed=False)
        if column is not None:
            units = {f for f in self.t.text[column] if not is_missing(f)}
            if len(units) > 1:
                raise FileFormatError(
                    f"{self.t.name}, column {column!r}", sorted(units), "one unit in all rows"
                )
            if units:
                self.t.unit.setdefault(self.value, units.pop())
        if unit is None and self.value not in self.t.unit:
            self.notes.append("concentrations taken in mg/L (--unit)")
        return self.t.factor(self.value, unit, "mg/L", "--unit")

    def values(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, limit [mg/L], and whether below it, of every row."""
        n = len(self.t)
        cens = self.flag("CENS")
        blq = self.flag("BLQ")
        lloq = self.column("LLOQ", ALIASES["LLOQ"], needed=False)
        limit = np.full(n, np.nan)
        if lloq is not None:
            limit_factor = (
                self.t.factor(lloq, None, "mg/L", "LLOQ") if lloq in self.t.unit else self.factor
            )
            limit = limit_factor * self.t.floats(lloq, np.nan)
        value, below = np.full(n, np.nan), np.zeros(n, bool)
        for i in np.flatnonzero(samples):
            number, stated_limit = self.number_or_limit(i)
            below[i] = stated_limit is not None or cens[i] or blq[i]
            if stated_limit is not None:
                if np.isfinite(stated_limit):
                    limit[i] = stated_limit * self.factor
            elif cens[i]:  # a censored value is its limit of quantification
                limit[i] = number * self.factor if number else limit[i]
            elif number is not None and not below[i]:
                value[i] = number * self.factor
        if (value < 0).any():
            i = int(np.argmax(value < 0))
            raise FileFormatError(
                self.t.where(i, self.value), float(value[i]), "a concentration >= 0 or BLQ"
            )
        return value, limit, below

    def number_or_limit(self, i: int) -> tuple[float | None, float | None]:
        """The number in row i, or the limit that it is below (infinite: "BLQ"); None for none.

        Raises
        ------
        FileFormatError
            Text that is neither.
        """
        field = self.t.text[self.value][i]
        number, limit = parse_number(field), parse_below(field)
        if limit is None and number is None and not is_missing(field):
            raise FileFormatError(
                self.t.where(i, self.value),
                field,
                'a number, "BLQ", "<0.5" or nothing',
                subject=self.t.text[self.subject][i] if self.subject else None,
                hint=f"write {field.replace(',', '.')}" if "," in field else "",
            )
        return number, limit

    def flag(self, item: str) -> np.ndarray:
        column = self.column(item, ALIASES[item], needed=False)
        if column is None:
            return np.zeros(len(self.t), bool)
        out = flags(
            self.t, column, yes=("y", "yes", "true"), no=("n", "no", "false"), what="0 or 1"
        )
        numbers = [parse_number(f) for f in self.t.text[column]]
        right = [i for i, v in enumerate(numbers) if v is not None and v not in (0, 1)]
        if right:
            raise FileFormatError(
                self.t.where(right[0], column),
                numbers[right[0]],
                "0, or 1 for below quantification",
            )
        return out


__all__ = ["ProfileTable", "read_profile_table"]
