"""Tables from strangers: CSV files and DataFrames as columns of text, and the strict
reading of their values.

One reader for every door (NONMEM-style data sets, tables for noncompartmental
analysis). A table is never repaired by guessing: what can be read in two ways is
refused with the line and what to write instead.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FileFormatError
from .limits import read_table_text
from .units import quantity

#: texts that mean "not given", whatever their case
MISSING = frozenset(("", ".", "na", "n/a", "#n/a", "nan", "<na>", "nat", "null", "none"))

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?")  # D: exponent of Fortran
_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+")
_UNIT_IN_NAME = re.compile(r"^(?P<name>[^()\[\]]*?)\s*[(\[](?P<unit>[^()\[\]]+)[)\]]\s*$")
_BELOW = re.compile(r"<\s*=?\s*(?P<limit>.+)")
#: words that say "below the limit of quantification" without saying what the limit is
_BELOW_WORDS = frozenset(
    ("blq", "bql", "bloq", "blloq", "lloq", "<lloq", "<loq", "<lod", "< lloq", "< loq", "lod")
)
#: endings of names such as time_h, where the part before is a known column
_ENDINGS = {
    "_H": "h",
    "_HR": "h",
    "_HRS": "h",
    "_HOUR": "h",
    "_HOURS": "h",
    "_MIN": "min",
    "_DAY": "day",
    "_DAYS": "day",
    "_MG": "mg",
    "_UG": "ug",
    "_KG": "kg",
    "_CM": "cm",
    "_MG_L": "mg/L",
    "_MG_ML": "mg/mL",
    "_UG_L": "ug/L",
    "_UG_ML": "ug/mL",
    "_NG_L": "ng/L",
    "_NG_ML": "ng/mL",
}
_SPELLINGS = {"hr": "h", "hrs": "h", "hours": "h", "hour": "h", "mins": "min", "yrs": "year"}


def is_missing(text: str, more: Iterable[str] = ()) -> bool:
    """Whether a field says "not given"."""
    return text.lower() in MISSING or text in more


def parse_number(text: str) -> float | None:
    """The number that a field is, or None. Digits of other scripts, ``1_000`` and
    ``inf`` are no numbers.
    """
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return None
    return float(text.lower().replace("d", "e"))


def parse_below(text: str) -> float | None:
    """``<0.5`` -> 0.5; a word such as BLQ -> NaN (below a limit that the field does not
    say); else None.
    """
    if text.lower() in _BELOW_WORDS:
        return np.nan
    found = _BELOW.fullmatch(text)
    return parse_number(found["limit"].strip()) if found else None


def canonical(name: str) -> str:
    """A column's name in capitals, without a leading ``#`` and with ``_`` for blanks,
    dots and dashes.
    """
    return re.sub(r"[\s.\-]+", "_", name.strip().lstrip("#").strip()).upper()


class Table:
    """Columns of text with the number of the line of each row.

    Parameters
    ----------
    name
        Of the file, for messages.
    header
        Names as they stand in the file.
    rows
        Text of every field.
    line
        Number of the line of each row.
    word
        What the number counts, "line" of a file or "row" of a DataFrame.
    """

    def __init__(
        self,
        name: str,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        line: Sequence[int],
        word: str = "line",
    ) -> None:
        self.name, self.word, self.line = name, word, list(line)
        self.header = list(header)
        self.text = {h: [row[i] for row in rows] for i, h in enumerate(self.header)}
        self.base: dict[str, str] = {}
        self.unit: dict[str, str] = {}
        for h in self.header:
            found = _UNIT_IN_NAME.match(h)
            self.base[h] = canonical(found["name"] if found else h)
            if found:
                self.unit[h] = found["unit"].strip()
        self._refuse_doubles()

    def __len__(self) -> int:
        return len(self.line)

    def where(self, row: int, column: str = "") -> str:
        """Name of the file, line and column, for messages."""
        return f"{self.name}, {self.word} {self.line[row]}" + (f", {column}" if column else "")

    def keep(self, rows: np.ndarray) -> None:
        """Leave out all other rows."""
        self.line = [self.line[i] for i in rows]
        self.text = {name: [values[i] for i in rows] for name, values in self.text.items()}

    def drop(self, names: Iterable[str]) -> None:
        """Leave out columns, named in any case.

        Raises
        ------
        FileFormatError
            no such column.
        """
        for name in names:
            found = [h for h in self.header if h == name or self.base[h] == canonical(name)]
            if not found:
                raise FileFormatError(
                    f"{self.name}, columns", name, "one of " + ", ".join(self.header)
                )
            for h in found:
                self.header.remove(h)
                del self.text[h], self.base[h]
                self.unit.pop(h, None)

    def find(self, aliases: Sequence[str], item: str = "", ordered: bool = True) -> str | None:
        """The column with one of these canonical names, or None.

        Parameters
        ----------
        aliases
            The usual name first.
        item
            What is looked for, for messages.
        ordered
            The first name that is there wins; False: two columns that differ are
            refused.

        Raises
        ------
        FileFormatError
            Several columns could be meant.
        """
        hits = [
            (alias, ending, name)
            for alias in aliases
            for ending in ("", *_ENDINGS)
            for name in self.header
            if self.base[name] == alias + ending
        ]
        if not hits:
            return None
        if ordered:
            rivals = [name for alias, _, name in hits if alias == hits[0][0]]
        else:
            rivals = [name for *_, name in hits if self.text[name] != self.text[hits[0][2]]]
            rivals = [hits[0][2], *rivals] if rivals else [hits[0][2]]
        if len(rivals) > 1:
            raise FileFormatError(
                f"{self.name}, columns",
                rivals,
                f"one column for {item or aliases[0]}",
                hint="rename or leave out the others",
            )
        _, ending, found = hits[0]
        if ending:
            self.unit.setdefault(found, _ENDINGS[ending])
        return found

    def factor(self, column: str | None, given: str | None, unit: str, option: str) -> float:
        """By what to multiply a column to have it in `unit`.

        Parameters
        ----------
        column
            Its header may name a unit.
        given
            What the caller says, or None.
        unit
            The unit wanted, also that of a column of which nobody says anything.
        option
            Name of the caller's parameter, for messages.

        Raises
        ------
        FileFormatError
            Header and caller disagree.
        UnitError
            Text that is no unit of this kind.
        """
        header_unit = self.unit.get(column) if column else None
        by_header = (
            _factor(header_unit, unit, f"{self.name}, column {column!r}") if header_unit else None
        )
        by_caller = _factor(given, unit, option) if given is not None else None
        contradicting = by_header is not None and by_caller is not None
        if contradicting and not np.isclose(by_header, by_caller, rtol=1e-9, atol=0):
            raise FileFormatError(
                f"{self.name}, column {column!r}",
                header_unit,
                f"the unit given by {option}, {given}",
                hint=f"correct the header or leave out {option}",
            )
        known = by_header if by_header is not None else by_caller
        return 1.0 if known is None else known

    def floats(
        self,
        column: str,
        default: float | None,
        *,
        missing: Iterable[str] = (),
        subject: Any = None,
        rows: Iterable[int] | None = None,
    ) -> np.ndarray:
        """A column as numbers, `default` where a field is not given (None: it must be).

        Parameters
        ----------
        missing
            Texts that mean "not given" here, besides MISSING.
        subject
            Function of the row that names its subject, for messages.
        rows
            Rows to look at; the others are `default`.

        Raises
        ------
        FileFormatError
            A field that is no finite number.
        """
        empty = frozenset(map(str, missing))
        out = np.full(len(self), np.nan if default is None else default, float)
        for i in range(len(self)) if rows is None else rows:
            field = self.text[column][i]
            if is_missing(field, empty):
                if default is None:
                    raise FileFormatError(
                        self.where(i, column),
                        field,
                        "a number",
                        subject=subject(i) if subject else None,
                    )
                continue
            value = parse_number(field)
            if value is None or not np.isfinite(value):
                raise FileFormatError(
                    self.where(i, column),
                    field,
                    "a finite number, or '.' where it is not given",
                    subject=subject(i) if subject else None,
                    hint=_number_hint(field),
                )
            out[i] = value
        return out

    def _refuse_doubles(self) -> None:
        doubled = sorted(name for name, n in Counter(self.header).items() if n > 1)
        names = Counter(self.base[name] for name in self.header)
        doubled = doubled or [name for name in self.header if names[self.base[name]] > 1]
        if doubled:
            raise FileFormatError(
                f"{self.name}, columns",
                doubled,
                "each name once",
                hint="upper and lower case are not told apart",
            )


def _factor(text: str, unit: str, field: str) -> float:
    text = text.strip()
    return quantity(f"1 {_SPELLINGS.get(text.lower(), text)}", unit, field, positive=True)


def _number_hint(field: str) -> str:
    if _COMMA.fullmatch(field):
        return f"{field.replace(',', '.')} is meant if the comma is decimal"
    return ""


# ---- reading ------------------------------------------------------------------------------------
def read_table(source: Any, *, keys: Sequence[str] = ()) -> Table:
    """Read a CSV file (also .gz), or take a table: pandas, polars, pyarrow, or what offers the
    dataframe interchange.

    Files are UTF-8 text with one line of names. Columns are separated by commas,
    semicolons, tabs or (where there are none of these) blanks. A first line that begins
    with ``#`` and holds all of `keys` is the line of names; other lines that begin with
    ``#``, and lines of nothing but separators, are skipped. Decimal commas are read
    where semicolons or tabs separate the columns and no number can be taken for one
    with thousands' separators.

    Parameters
    ----------
    source
        Path, or DataFrame.
    keys
        Canonical names that a header has.

    Raises
    ------
    FileFormatError
        no such file, not a table, lines of unequal length, ambiguous numbers.
    """
    if is_frame(source):
        return _from_frame(_plain_frame(source))
    try:
        path = Path(source)
    except TypeError as err:
        raise FileFormatError(
            "path", type(source).__name__, "a path of a CSV file, or a DataFrame"
        ) from err
    return _from_file(path, keys)


def is_frame(source: Any) -> bool:
    """Whether `source` is a table in memory, of whatever library."""
    named = hasattr(source, "columns") and hasattr(source, "__getitem__")
    return named or any(hasattr(source, name) for name in ("__dataframe__", "__arrow_c_stream__"))


def is_table(source: Any) -> bool:
    """Whether `source` is a table in memory or the name of a text file."""
    import os

    if isinstance(source, (str, os.PathLike)):
        return str(source).lower().endswith((".csv", ".csv.gz", ".tsv", ".txt", ".dat"))
    return is_frame(source) and not hasattr(source, "data_vars")


def _plain_frame(source: Any) -> Any:
    """A frame whose columns are names: pandas and polars as they are, others through pandas."""
    names = getattr(source, "columns", None)
    if names is not None and not hasattr(source, "to_pylist"):
        return source
    if hasattr(source, "to_pandas"):  # pyarrow
        return source.to_pandas()
    import pandas as pd

    return pd.api.interchange.from_dataframe(source)


def _from_frame(frame: Any) -> Table:
    """Cells as text; an index with a name is a column like the others."""
    index = getattr(frame, "index", None)
    if index is not None and any(n is not None for n in getattr(index, "names", [])):
        frame = frame.reset_index()
    header = [str(c).strip() for c in frame.columns]
    if len(set(header)) != len(header):
        raise FileFormatError(
            "DataFrame, columns",
            sorted({name for name in header if header.count(name) > 1}),
            "each name once",
        )
    columns = [[_cell(v) for v in _listed(frame[c])] for c in frame.columns]
    rows = list(zip(*columns, strict=True))
    return Table("DataFrame", header, rows, range(1, len(rows) + 1), "row")


def _listed(column: Any) -> list:
    for name in ("tolist", "to_list"):
        if hasattr(column, name):
            return getattr(column, name)()
    return list(column)


def _cell(value: Any) -> str:
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return ""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return str(int(value)) if value == int_or_none(value) else repr(float(value))
    return str(value).strip()


def int_or_none(value: float) -> int | None:
    """The whole number that a float is, or None."""
    return int(value) if np.isfinite(value) and abs(value) < 2**53 and value == int(value) else None


def _from_file(path: Path, keys: Sequence[str]) -> Table:
    if not path.is_file():
        raise FileFormatError("path", str(path), "a file that exists")
    lines = _lines(path)
    if lines and (found := re.fullmatch(r"sep=(.)", lines[0][1].strip())):  # written by Excel
        lines, separator = lines[1:], found[1]
    else:
        separator = ""
    lines = [(n, text) for n, text in lines if text.strip()]
    while lines and lines[0][1].startswith("#") and not _is_header(lines[0][1], keys):
        lines = lines[1:]
    if not lines:
        raise FileFormatError(str(path), "", "a CSV file: a line of column names and records")
    first = lines[0][1]
    separator = separator or next((s for s in ";\t," if s in first), "" if " " in first else ",")
    body = [lines[0], *((n, t) for n, t in lines[1:] if not t.startswith("#"))]
    try:
        fields = _split(body, separator)
    except csv.Error as err:
        raise FileFormatError(
            "path",
            str(path),
            "a text file of comma-separated columns",
            hint="a quote is opened and not closed" if "field larger" in str(err) else str(err),
        ) from err
    header, rows = fields[0][1], [f for f in fields[1:] if any(f[1])]
    header = [name.strip() for name in header]
    if header and header[0].startswith("#"):
        header[0] = header[0].lstrip("#").strip()
    _check_widths(path, header, rows, separator)
    nameless = [i for i, name in enumerate(header) if not name]
    for i in nameless:
        filled = next((f for f in rows if f[1][i]), None)
        if filled:
            raise FileFormatError(
                f"{path.name}, line {filled[0]}", filled[1][i], "a name for every column"
            )
    header = [name for name in header if name]
    rows = [(n, [v for i, v in enumerate(f) if i not in nameless]) for n, f in rows]
    if separator in (";", "\t"):
        _decimal_commas(path, rows)
    return Table(path.name, header, [f for _, f in rows], [n for n, _ in rows])


def _lines(path: Path) -> list[tuple[int, str]]:
    text = read_table_text(path, expected="a text file of comma-separated columns (UTF-8)")
    return [(i, line.rstrip("\n")) for i, line in enumerate(io.StringIO(text), start=1)]


def _is_header(text: str, keys: Sequence[str]) -> bool:
    """Whether a line that begins with # is the line of names."""
    names = {canonical(f.strip("\"'")) for f in re.split(r"[;\t,]|\s+", text.lstrip("#"))}
    return bool(keys) and set(keys) <= names


def _split(lines: list[tuple[int, str]], separator: str) -> list[tuple[int, list[str]]]:
    if not separator:
        return [(n, text.split()) for n, text in lines]
    out = []
    numbers = [n for n, _ in lines]
    reader = csv.reader((t + "\n" for _, t in lines), delimiter=separator)
    for row in reader:
        out.append((numbers[reader.line_num - 1], [field.strip() for field in row]))
    return out


def _check_widths(path: Path, header: list[str], rows, separator: str) -> None:
    for number, row in rows:
        if len(row) != len(header):
            commas = separator == "," and len(row) > len(header)
            raise FileFormatError(
                f"{path.name}, line {number}",
                len(row),
                f"{len(header)} fields as in the first line",
                hint="separate the columns by semicolons if the decimal sign is a comma"
                if commas
                else "",
            )


def _decimal_commas(path: Path, rows: list[tuple[int, list[str]]]) -> None:
    """Write decimal points, where every comma can only be a decimal one.

    Raises
    ------
    FileFormatError
        Points and commas in one file, or commas that may separate thousands.
    """
    commas = [
        (n, f) for n, row in rows for f in row if _COMMA.fullmatch(f) or _THOUSANDS.fullmatch(f)
    ]
    if not commas:
        return
    points = [(n, f) for n, row in rows for f in row if "." in f and parse_number(f) is not None]
    if points:
        raise FileFormatError(
            f"{path.name}, line {points[0][0]}",
            points[0][1],
            f"one decimal sign in the file; line {commas[0][0]} has {commas[0][1]!r}",
        )
    if all(_THOUSANDS.fullmatch(f) for _, f in commas):
        number, field = commas[0]
        raise FileFormatError(
            f"{path.name}, line {number}",
            field,
            "a number that can be read in one way only",
            hint=f"{field.replace(',', '')} or {field.replace(',', '.')}? write a decimal point",
        )
    for _, row in rows:
        row[:] = [
            f.replace(",", ".") if _COMMA.fullmatch(f.lstrip("<").strip()) else f for f in row
        ]


def flags(
    table: Table, column: str, *, yes: Iterable[str], no: Iterable[str], what: str
) -> np.ndarray:
    """A column of yes and no as booleans; numbers other than 0 mean yes.

    Raises
    ------
    FileFormatError
        Another word.
    """
    yes, no = frozenset(yes), frozenset(no)
    out = np.zeros(len(table), bool)
    for i, field in enumerate(table.text[column]):
        word = field.lower()
        if is_missing(field) or word in no:
            continue
        number = parse_number(field)
        if word not in yes and number is None:
            raise FileFormatError(table.where(i, column), field, what)
        out[i] = word in yes or number != 0
    return out


def texts(table: Table, column: str, rows: Iterable[int]) -> dict[str, int]:
    """The distinct values of a column in some rows, in their order, with how often they
    occur; "" for not given.

    Numbers that are equal are one value however they are written (1 and 1.0).
    """
    out: dict[str, int] = {}
    for i in rows:
        key = value_key(table.text[column][i])
        out[key] = out.get(key, 0) + 1
    return out


def value_key(field: str) -> str:
    """One text for all ways to write a value: 1.0 and 01 are "1"; not given is ""."""
    if is_missing(field):
        return ""
    number = parse_number(field)
    if number is None:
        return field
    whole = int_or_none(number)
    return repr(number) if whole is None else str(whole)


def listed(values: Mapping[str, int]) -> str:
    """``"1" (7 records), "2" (7 records)``, for messages."""
    return ", ".join(f"{k or 'not given'} ({n} record{'s' * (n > 1)})" for k, n in values.items())


def first_back(time: np.ndarray, subject: np.ndarray) -> int | None:
    """The first row whose time is before that of the row above, of the same subject."""
    back = (np.diff(time) < 0) & (subject[1:] == subject[:-1])
    return int(np.argmax(back)) + 1 if back.any() else None
