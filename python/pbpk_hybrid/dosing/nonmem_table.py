"""The text columns of a NONMEM-style CSV file, with the line number of every record."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .._core.errors import FileFormatError

KNOWN = (
    "ID",
    "TIME",
    "AMT",
    "RATE",
    "DUR",
    "ADDL",
    "II",
    "SS",
    "CMT",
    "EVID",
    "DV",
    "MDV",
    "ALAG",
    "BIOAV",
)
MISSING = (".", "")


#: characters; a packed file may unpack to any size
_LARGEST = 2_000_000_000


def _bounded(file, path: Path):
    """The lines of a file, up to the largest size that is read."""
    size = 0
    for text in file:
        size += len(text)
        if size > _LARGEST:
            raise FileFormatError(
                "path", str(path), f"a table of at most {_LARGEST:.0e} characters"
            )
        yield text


class RecordTable:
    """Text columns of the file, with the line number of each record."""

    def __init__(
        self,
        path: Path,
        names: dict[str, str],
        text: dict[str, list[str]],
        line: list[int],
        missing,
    ) -> None:
        self.path, self.names, self.text, self.line, self.missing = path, names, text, line, missing
        self._parsed: dict[tuple[str, float | None], np.ndarray] = {}
        self.id = self._ids()
        self.time = self.number("TIME", None)

    @classmethod
    def read(
        cls, path: Path, renamed: Mapping[str, str], missing: Mapping[str, Sequence[str]]
    ) -> RecordTable:
        if not path.is_file():
            raise FileFormatError("path", str(path), "a file that exists")
        opener = gzip.open if path.suffix == ".gz" else open
        line, rows = [], []
        try:
            with opener(path, "rt", newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(_bounded(file, path))
                for row in reader:
                    if row and not row[0].startswith("#"):
                        rows.append([field.strip() for field in row])
                        line.append(reader.line_num)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as err:
            raise FileFormatError(
                "path", str(path), "a text file of comma-separated columns", hint=str(err)
            ) from err
        if not rows:
            raise FileFormatError(str(path), "", "a line of column names and records")
        header = rows[0]
        for number, row in zip(line[1:], rows[1:], strict=True):
            if len(row) != len(header):
                raise FileFormatError(
                    f"{path.name}, line {number}",
                    len(row),
                    f"{len(header)} fields as in the first line",
                )
        names = _column_names(path, header, renamed)
        text = {name: [row[i] for row in rows[1:]] for i, name in enumerate(header)}
        return cls(path, names, text, line[1:], missing)

    def has(self, item: str) -> bool:
        return item in self.names

    def where(self, row: int) -> str:
        return f"{self.path.name}, line {self.line[row]}"

    def number(self, item: str, default: float | None) -> np.ndarray:
        """Column as floats, `default` where not given (None: it must be)."""
        if item not in self.names:
            return np.full(len(self.line), default, float)
        if (item, default) not in self._parsed:
            self._parsed[item, default] = self.floats(self.names[item], default, item)
        return self._parsed[item, default]

    def floats(self, column: str, default: float | None, item: str = "") -> np.ndarray:
        empty = {
            *MISSING,
            *map(str, self.missing.get(column, ())),
            *map(str, self.missing.get(item, ())),
        }
        out = np.empty(len(self.line))
        for i, field in enumerate(self.text[column]):
            if field in empty:
                if default is None:
                    raise FileFormatError(f"{self.where(i)}, {column}", field, "a number")
                out[i] = default
                continue
            try:
                out[i] = float(field)
            except ValueError:
                out[i] = np.nan
            if not np.isfinite(out[i]):
                raise FileFormatError(
                    f"{self.where(i)}, {column}",
                    field,
                    "a finite number, or '.' where it is not given",
                    subject=None if item == "ID" else self._subject(i),
                )
        return out

    def _subject(self, row: int) -> str:
        return self.text[self.names["ID"]][row]

    def _ids(self) -> np.ndarray:
        ids = self.number("ID", None)
        bad = (ids != np.floor(ids)) | (ids < 0)
        if bad.any():
            i = int(np.argmax(bad))
            raise FileFormatError(
                f"{self.where(i)}, {self.names['ID']}", float(ids[i]), "a whole number >= 0"
            )
        return ids.astype(np.int64)


def _column_names(path: Path, header: list[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Item -> name in the file. Known names are all in upper or all in lower case."""
    doubled = sorted({h for h in header if header.count(h) > 1})
    if doubled:
        raise FileFormatError(f"{path.name}, columns", doubled, "each name once")
    names = {}
    for item, name in renamed.items():
        if item not in KNOWN:
            raise FileFormatError("columns", item, "one of " + ", ".join(KNOWN))
        if name in header:
            names[item] = name
        elif not (item == "DV" and name == "DV"):
            raise FileFormatError(f"{path.name}, columns", header, f"a column {name!r} for {item}")
    found = [h for h in header if h.upper() in KNOWN and h not in names.values()]
    if not (all(h.isupper() for h in found) or all(h.islower() for h in found)):
        raise FileFormatError(
            f"{path.name}, columns", found, "names all in upper or all in lower case"
        )
    for h in found:
        names.setdefault(h.upper(), h)
    for item in ("ID", "TIME"):
        if item not in names:
            raise FileFormatError(f"{path.name}, columns", header, f"a column {item}")
    return names
