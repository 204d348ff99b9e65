"""The records of a NONMEM-style data set: which columns mean what, which rows count,
and the numbers in them.

Every column is understood (:mod:`pbpk_hybrid._core.columns`), or a covariate, or
refused by name: nothing that changes what a row means is carried along unread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._core.clock import DATE_ORDERS, elapsed_hours, needs_translation
from .._core.columns import ALIASES, EXCLUDED_WORDS, KEPT_WORDS
from .._core.errors import FileFormatError
from .._core.table_files import (
    Table,
    first_back,
    flags,
    int_or_none,
    is_missing,
    parse_number,
    read_table,
)

KNOWN = tuple(ALIASES)
#: model parameters of NONMEM and others that would act on doses; read only where the caller says so
_MODEL_ITEMS = re.compile(r"ALAG\d+|T?LAG|F\d+|D\d+|R\d+")

#: items of which a second column says the same or nothing that counts: the first name wins
_ORDERED = ("ID", "DV", "OCC", "ANALYTE", "MATRIX")


class RecordTable:
    """Rows of records, without those that the file itself leaves out.

    Attributes
    ----------
    table
        The text.
    names
        Item -> column of the file.
    label
        Name of each record's subject, as it stands in the file.
    id
        (n,) number of each record's subject: the name itself where all are whole
        numbers, else its place, 0, 1, ...
    time
        (n,) [unit of the file].
    notes
        What was assumed or left out, one sentence each.
    """

    def __init__(
        self,
        source: Any,
        renamed: Mapping[str, str],
        missing: Mapping[str, Sequence[str]],
        ignore: Sequence[str] = (),
    ) -> None:
        self.table: Table = read_table(source, keys=("ID", "TIME"))
        self.table.drop(ignore)
        self.missing, self.notes = dict(missing), []
        self.names = _column_names(self.table, renamed)
        self._parsed: dict[tuple[str, float | None], np.ndarray] = {}
        self._leave_out()
        self.label = self._labels()
        self.id = self._ids()
        self.translated = False
        self.time = self._times()
        self._refuse_model_items()
        if self.has("CONT"):
            self.refuse(self.number("CONT", 0) != 0, "CONT", "0: continued records are not read")

    @property
    def line(self) -> list[int]:
        """Number of the line of each record in the file."""
        return self.table.line

    def has(self, item: str) -> bool:
        """Whether the file has a column for an item, under any of its names."""
        return item in self.names

    def where(self, row: int, item: str = "") -> str:
        """Name of the file, line and column, for messages."""
        return self.table.where(row, self.names.get(item, item))

    def field(self, row: int, item: str) -> str:
        """The text that stands there, "" where it says "not given"."""
        if item not in self.names:
            return ""
        text = self.table.text[self.names[item]][row]
        return "" if is_missing(text, self._empty(item)) else text

    def number(self, item: str, default: float | None) -> np.ndarray:
        """Column as floats, `default` where not given (None: it must be)."""
        if item not in self.names:
            return np.full(len(self.line), default, float)
        if (item, default) not in self._parsed:
            self._parsed[item, default] = self.floats(self.names[item], default, item)
        return self._parsed[item, default]

    def floats(self, column: str, default: float | None, item: str = "") -> np.ndarray:
        """A column of the file as (record,) numbers, `default` where not given.

        Parameters
        ----------
        column
            As the file spells it.
        default
            None: it must be given.
        item
            Whose texts for "not given" hold (argument ``missing`` of the reader); "": those
            of the column.

        Raises
        ------
        FileFormatError
            No such column, or a value that is no number.
        """
        if column not in self.table.text:
            raise FileFormatError(
                f"{self.table.name}, columns", self.table.header, f"a column {column!r}"
            )
        return self.table.floats(
            column, default, missing=self._empty(item or column), subject=lambda i: self.label[i]
        )

    def refuse(self, bad: np.ndarray, item: str, expected: str, hint: str = "") -> None:
        """Raise on the first row of `bad`, with what stands there."""
        if not bad.any():
            return
        i = int(np.argmax(bad))
        text = self.table.text[self.names[item]][i] if item in self.names else ""
        number = parse_number(text)
        raise FileFormatError(
            self.where(i, item),
            text if number is None else number,
            expected,
            subject=self.label[i],
            hint=hint,
        )

    def _empty(self, item: str) -> frozenset[str]:
        column = self.names.get(item, item)
        return frozenset(
            str(text) for name in {item, column} for text in self.missing.get(name, ())
        )

    # ---- rows that the file leaves out
    def _leave_out(self) -> None:
        out = np.zeros(len(self.table), bool)
        if self.has("EXCL"):
            out |= flags(
                self.table,
                self.names["EXCL"],
                yes=EXCLUDED_WORDS,
                no=KEPT_WORDS,
                what="0 or 1 (or Y or N): whether the record is left out",
            )
        if self.has("C"):
            out |= self._comments()
        if out.any():
            which = " and ".join(self.names[i] for i in ("EXCL", "C") if self.has(i))
            self.notes.append(f"{int(out.sum())} records left out, as {which} says")
            self.table.keep(np.flatnonzero(~out))

    def _comments(self) -> np.ndarray:
        """Rows marked in a column C (IGNORE=C of NONMEM)."""
        column = self.names["C"]
        out = np.zeros(len(self.table), bool)
        for i, field in enumerate(self.table.text[column]):
            number = parse_number(field)
            if is_missing(field) or number == 0:
                continue
            if field.lower() not in EXCLUDED_WORDS and number != 1:
                raise FileFormatError(
                    self.table.where(i, column),
                    field,
                    "C where the record is left out, '.' where it counts",
                    hint="name the column DV if it holds concentrations",
                )
            out[i] = True
        return out

    # ---- who and when
    def _labels(self) -> list[str]:
        column, out = self.names["ID"], []
        for i, field in enumerate(self.table.text[column]):
            if is_missing(field, self._empty("ID")):
                raise FileFormatError(
                    self.table.where(i, column), field, "a subject in every record"
                )
            out.append(field)
        return out

    def _ids(self) -> np.ndarray:
        """Whole numbers as they are; other names by their place in the file."""
        column = self.names["ID"]
        numbers = [parse_number(label) for label in self.label]
        if any(number is None for number in numbers):
            positions = {label: i for i, label in enumerate(dict.fromkeys(self.label))}
            self.numbered = False
            return np.array([positions[label] for label in self.label], np.int64)
        self.numbered = True
        out = np.zeros(len(numbers), np.int64)
        spelling: dict[int, str] = {}
        for i, number in enumerate(numbers):
            whole = int_or_none(number)
            if whole is None or whole < 0:
                raise FileFormatError(
                    self.table.where(i, column), number, "a whole number >= 0, or a name"
                )
            bare = self.label[i].lstrip("+").split(".")[0]
            if bare.isdigit() and spelling.setdefault(whole, bare) != bare:
                raise FileFormatError(
                    self.table.where(i, column),
                    self.label[i],
                    f"one way to write subject {whole}; {spelling[whole]!r} stands above",
                )
            out[i] = whole
        self.label = [str(n) for n in out.tolist()]
        return out

    def _times(self) -> np.ndarray:
        """(record,) times; hours since a subject's first record where clock times or dates are."""
        column = self.names["TIME"]
        date = next((h for h in self.table.header if self.table.base[h] in DATE_ORDERS), None)
        if date is not None:
            self.names["DATE"] = date
        text = self.table.text[column]
        if date is None and not needs_translation(text):
            return self.number("TIME", None)
        for i, field in enumerate(text):
            if is_missing(field):
                raise FileFormatError(self.where(i, "TIME"), field, "a time", subject=self.label[i])
        self.translated = True
        self.notes.append(
            "times are hours since each subject's first record, "
            + (f"from {date} and {column}" if date else f"from the clock times of {column}")
        )
        return elapsed_hours(
            text,
            None if date is None else self.table.text[date],
            "DATE" if date is None else self.table.base[date],
            self.label,
            self.table.where,
        )

    def run_on(self, evid: np.ndarray, occasions: str | None) -> None:
        """Let time run on where it starts anew at a reset (EVID 3 or 4), as it may in NONMEM.

        `occasions` "reset": a change of the occasion is a reset too.

        Raises
        ------
        FileFormatError
            A subject's records apart, times that run back elsewhere.
        """
        self._refuse_scattered()
        self.resets = self._new_occasions(occasions)
        starts = (evid >= 3) | self.resets
        shift = np.zeros(len(self.time))
        anew = 0
        for i in range(1, len(self.time)):
            if self.id[i] != self.id[i - 1]:
                continue
            shift[i] = shift[i - 1]
            if starts[i] and self.time[i] < self.time[i - 1]:
                shift[i] += self.time[i - 1] - self.time[i]
                anew += 1
        if anew:
            self.notes.append(
                f"time starts anew at {anew} resets: it runs on from the record before"
            )
            self.time = self.time + shift
        i = first_back(self.time, self.id)
        if i is not None:
            hint = "sort the records; time may start anew only at a reset (EVID 3 or 4)"
            if self.translated and "DATE" not in self.names:
                hint = "add a column DATE where a clock passes midnight"
            elif self.has("OCC") and self.field(i, "OCC") != self.field(i - 1, "OCC"):
                hint = (
                    f"if nobody has drug left when {self.names['OCC']} "
                    f"{self.field(i, 'OCC')} starts, read it with "
                    'occasions="reset" (--occasions reset)'
                )
            raise FileFormatError(
                self.where(i, "TIME"),
                self.table.text[self.names["TIME"]][i]
                if self.translated
                else float(self.time[i] - shift[i]),
                f"a time >= {self.time[i - 1] - shift[i - 1]:g} of the record before",
                subject=self.label[i],
                hint=hint,
            )

    def _new_occasions(self, occasions: str | None) -> np.ndarray:
        """Records at which an occasion begins that a reset opens."""
        out = np.zeros(len(self.line), bool)
        if occasions is None:
            return out
        if occasions != "reset":
            raise FileFormatError("occasions", occasions, "reset, or nothing")
        if not self.has("OCC"):
            raise FileFormatError(
                f"{self.table.name}, columns", self.table.header, "a column OCC or PERIOD"
            )
        for i in range(1, len(out)):
            same = self.id[i] == self.id[i - 1]
            out[i] = same and self.field(i, "OCC") != self.field(i - 1, "OCC")
        self.notes.append(f"{int(out.sum())} changes of {self.names['OCC']} empty all compartments")
        return out

    def _refuse_scattered(self) -> None:
        if not self.id.size:
            return
        starts = np.flatnonzero(np.concatenate([[True], np.diff(self.id) != 0]))
        _, first = np.unique(self.id[starts], return_index=True)
        again = np.setdiff1d(np.arange(starts.size), first)
        if again.size:
            row = int(starts[again[0]])
            raise FileFormatError(
                self.where(row, "ID"),
                self.label[row],
                "all records of a subject together",
                subject=self.label[row],
            )

    def _refuse_model_items(self) -> None:
        """Lags, bioavailabilities and the like that act only if the caller says so."""
        used = set(self.names.values())
        for column in self.table.header:
            base = self.table.base[column]
            if column in used or not _MODEL_ITEMS.fullmatch(base):
                continue
            try:
                values = self.table.floats(column, 0.0)
            except FileFormatError:
                continue
            idle = np.isin(values, (0.0, 1.0)) if base.startswith("F") else values == 0
            if not idle.all():
                i = int(np.argmax(~idle))
                ours = {"F": "BIOAV", "D": "DUR"}.get(base[0], "ALAG")
                raise FileFormatError(
                    self.table.where(i, column),
                    float(values[i]),
                    "a column whose use is stated",
                    subject=self.label[i],
                    hint=f'columns={{"{ours}": "{column}"}} uses it, '
                    f'ignore=["{column}"] leaves it out',
                )


def _column_names(table: Table, renamed: Mapping[str, str]) -> dict[str, str]:
    """Item -> column of the file; what the caller says comes first."""
    names: dict[str, str] = {}
    for item, name in renamed.items():
        if item not in KNOWN:
            raise FileFormatError("columns", item, "one of " + ", ".join(KNOWN))
        found = [h for h in table.header if h == name] or [
            h for h in table.header if h.lower() == name.lower()
        ]
        if found:
            names[item] = found[0]
        elif not (item == "DV" and name == "DV"):
            raise FileFormatError(
                f"{table.name}, columns", table.header, f"a column {name!r} for {item}"
            )
    taken = set(names.values())
    for item, aliases in ALIASES.items():
        if item in names:
            continue
        found = table.find(aliases, item, ordered=item in _ORDERED)
        if found is not None and found not in taken:
            names[item] = found
    for item in ("ID", "TIME"):
        if item not in names:
            raise FileFormatError(f"{table.name}, columns", table.header, f"a column {item}")
    return names
