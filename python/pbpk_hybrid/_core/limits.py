"""How much a reader takes, asked before anything is decoded.

Files and texts come from strangers. A few kilobytes can stand for gigabytes (packed zeros, a
table that claims a thousand million rows, functions that call each other), and a few thousand
brackets end a process. Every reader therefore asks here first: how many bytes, how far it
unpacks, how deep it nests, how many of what, how long a line, how large a number. The limits are
far above what the field's own files need; the environment variable that the message names raises
one for a sound file that is larger still.

What a decoder still raises goes through one :func:`border`, so that a caller has to know
:class:`~pbpk_hybrid.FileFormatError` only.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import FileFormatError, InputError, PBPKError

#: what every limit's environment variable begins with
PREFIX = "PBPK_HYBRID_LIMIT_"


@dataclass(frozen=True)
class Limit:
    """A limit.

    Parameters
    ----------
    value
        The default.
    unit
        What is counted, in words.
    bounds
        What it bounds, for the documentation's table.
    """

    value: int
    unit: str
    bounds: str


#: name -> limit; the table of docs/howto/limits.md
LIMITS: dict[str, Limit] = {
    "table_bytes": Limit(500_000_000, "bytes", "a table as text (CSV, TSV), unpacked"),
    "table_line": Limit(1_000_000, "characters", "a line of a table"),
    "table_columns": Limit(20_000, "columns", "columns of a table"),
    "table_cells": Limit(50_000_000, "cells", "cells of a table"),
    "settings_bytes": Limit(1_000_000, "bytes", "a TOML or YAML file: a compound, settings"),
    "json_bytes": Limit(200_000_000, "bytes", "a JSON file: a snapshot of PK-Sim"),
    "text_depth": Limit(100, "levels", "nesting of JSON, TOML and YAML"),
    "xml_bytes": Limit(400_000_000, "bytes", "a simulation of PK-Sim (XML, pkml), unpacked"),
    "xml_elements": Limit(1_000_000, "elements", "elements of such a simulation"),
    "xml_depth": Limit(500, "levels", "nesting of any XML"),
    "sbml_bytes": Limit(20_000_000, "bytes", "an SBML file, unpacked"),
    "sbml_elements": Limit(500_000, "elements", "elements of an SBML file"),
    "packed_ratio": Limit(100, "times its size", "what a packed text file may unpack to"),
    "results_bytes": Limit(64_000_000_000, "bytes", "a netCDF file or zarr store, in memory"),
    "results_chunk": Limit(2_000_000_000, "bytes", "one chunk of such a file, in memory"),
    "results_ratio": Limit(400, "times its size", "what a netCDF file or a chunk unpacks to"),
    "results_variables": Limit(10_000, "variables", "variables of a netCDF file or zarr store"),
    "checkpoint_bytes": Limit(2_147_483_648, "bytes", "a checkpoint"),
    "checkpoint_header": Limit(20_000_000, "bytes", "the header of a checkpoint"),
    "checkpoint_tensors": Limit(100_000, "tensors", "tensors of a checkpoint"),
    "regimen_doses": Limit(
        500_000, "doses", "doses of a regimen in words; of repeated doses beyond a thousand each"
    ),
}

#: a packed file may always unpack to this [bytes], however small it is
UNPACKED = 64 * 1024**2
_CHUNK = 1 << 16
#: blocks of a file of 500 MB that was packed in blocks are 10,000 or so; each is a copy of _CHUNK
_MEMBERS = 100_000
_GZIP = b"\x1f\x8b"
#: digits of a whole number in JSON; the largest float has 309
_DIGITS = 309


def environment_name(name: str) -> str:
    """The environment variable that sets a limit."""
    return PREFIX + name.upper()


def limit(name: str) -> int:
    """A limit: what its environment variable says, else its default.

    Raises
    ------
    InputError
        The variable is no number above 0.
    """
    text = os.environ.get(environment_name(name), "").strip()
    if not text:
        return LIMITS[name].value
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value < 1e18:
        raise InputError(environment_name(name), text, "a number of at least 1, such as 2e9")
    return int(value)


def check(
    name: str, found: float, where: str, *, error: type[InputError] = FileFormatError
) -> None:
    """Refuse what is over a limit.

    Parameters
    ----------
    name
        Of the limit.
    found
        How many there are.
    where
        The file, or what it belongs to, for the message.
    error
        What is raised.

    Raises
    ------
    FileFormatError
        Or `error`: more than the limit.
    """
    most = limit(name)
    if found <= most:
        return
    unit = LIMITS[name].unit
    raise error(
        where,
        f"{found:,.0f} {unit}",
        f"at most {most:,} {unit}",
        hint=f"if the file is sound, {environment_name(name)} sets another limit",
    )


@contextlib.contextmanager
def border(
    field: str,
    where: Any,
    expected: str,
    *,
    error: type[InputError] = FileFormatError,
    passing: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Whatever a decoder raises is the file's fault, and said so in one type.

    Parameters
    ----------
    field, where
        What the source is to the caller, and its name; of what is no path its kind is shown.
    expected
        What it should have been.
    error
        The type.
    passing
        Errors that the caller sees to.

    Raises
    ------
    FileFormatError
        Or `error`, with the decoder's own as its cause; errors of this package pass, and so do
        warnings that somebody has made errors.
    """
    try:
        yield
    except (PBPKError, Warning, *passing):
        raise
    except Exception as cause:  # decoders raise nearly anything for a damaged file
        kind, text = type(cause).__name__, " ".join(str(cause).split())[:200]
        shown = str(where)[:300] if isinstance(where, str | os.PathLike) else type(where).__name__
        raise error(field, shown, expected, hint=f"{kind}: {text}" if text else kind) from cause


def read_bytes(
    path: str | os.PathLike,
    name: str,
    *,
    field: str = "path",
    expected: str = "a file that can be read",
) -> bytes:
    """A whole file, unpacked if it is gzip, whatever its ending.

    It is unpacked piece by piece, so that a bomb is refused before it has gone off.

    Parameters
    ----------
    path
        The file.
    name
        Of the limit of its bytes.
    field, expected
        For messages.

    Raises
    ------
    FileFormatError
        No regular file, not readable, damaged, or over a limit.
    """
    source = Path(path).expanduser()
    try:
        if not source.is_file():
            what = "no pipe, device or folder" if source.exists() else "a file that exists"
            raise FileFormatError(field, str(source), expected, hint=what)
        size = source.stat().st_size
        with source.open("rb") as file:
            if file.read(2) == _GZIP:
                file.seek(0)
                return _unpacked(file, size, name, str(source))
            check(name, size, str(source))
            file.seek(0)
            data = file.read(limit(name) + 1)  # it may have grown since
            check(name, len(data), str(source))
            return data
    except (OSError, ValueError, EOFError, zlib.error) as error:
        if isinstance(error, PBPKError):
            raise
        raise FileFormatError(field, str(source), expected, hint=str(error)) from error


def _unpacked(file: Any, size: int, name: str, where: str) -> bytes:
    free = max(UNPACKED, limit("packed_ratio") * size)
    pieces: list[bytes] = []
    total, members, unpack = 0, 1, zlib.decompressobj(wbits=31)
    while True:
        if unpack.eof:  # a gzip file may have several members, and padding behind the last
            packed = unpack.unused_data.lstrip(b"\0") or file.read(_CHUNK).lstrip(b"\0")
            if not packed:
                return b"".join(pieces)
            unpack, members = zlib.decompressobj(wbits=31), members + 1
            if members > _MEMBERS:
                raise FileFormatError(where, "many packed members", f"at most {_MEMBERS:,}")
        elif not (packed := unpack.unconsumed_tail or file.read(_CHUNK)):
            raise EOFError("the packed file is cut off")
        piece = unpack.decompress(packed, 16 * _CHUNK)
        total += len(piece)
        check(name, total, where)
        if total > free:
            raise FileFormatError(
                where,
                f"{size:,} bytes that unpack to more than {free:,}",
                f"at most {limit('packed_ratio')} times its size",
                hint="if the file is sound, unpack it first, or set "
                + environment_name("packed_ratio"),
            )
        pieces.append(piece)


def read_text(
    path: str | os.PathLike,
    name: str,
    *,
    field: str = "path",
    expected: str = "a text file (UTF-8)",
) -> str:
    """The text of a file in UTF-8, with or without its mark, plain or gzip.

    Raises
    ------
    FileFormatError
        As :func:`read_bytes`, or other bytes than UTF-8.
    """
    data = read_bytes(path, name, field=field, expected=expected)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(field, str(path), expected, hint=str(error)) from error


def read_table_text(
    path: str | os.PathLike, *, field: str = "path", expected: str = "a text table (UTF-8)"
) -> str:
    """The text of a table, its lines ended by ``\\n``.

    Raises
    ------
    FileFormatError
        As :func:`read_text`, a line that is too long, or too many columns or cells.
    """
    text = read_text(path, "table_bytes", field=field, expected=expected)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    check_lines(text, str(path))
    return text


def check_lines(text: str, where: str) -> None:
    """Refuse a table whose lines are too long, or whose columns or cells are too many.

    Raises
    ------
    FileFormatError
    """
    most, at, number = limit("table_line"), 0, 0
    while at < len(text):  # no copy of the lines
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        number += 1
        if end - at > most:
            check("table_line", end - at, f"{where}, line {number}")
        at = end + 1
    first = text[: text.find("\n")] if "\n" in text else text
    separator = max(",;\t", key=first.count)
    check("table_columns", first.count(separator) + 1, f"{where}, line 1")
    check("table_cells", text.count(separator) + number, where)


def table_file(path: str | os.PathLike, *, field: str = "path", expected: str = "") -> io.StringIO:
    """A table's text as a file, for readers that take one (pandas would unpack without end, and
    would fetch a path that looks like an address).

    Raises
    ------
    FileFormatError
        As :func:`read_table_text`.
    """
    return io.StringIO(read_table_text(path, field=field, expected=expected or "a text table"))


#: possessive: a text of any length is passed over without a memory of each character
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
#: a key of TOML: a.b.c = 1, [a.b.c]
_KEY = re.compile(r"[\w\-.\"' \t\[\]]+")
_DASHES = re.compile(r"^[ \t]*((?:[-?:][ \t]+)+)", re.MULTILINE)


def check_nesting(
    text: str,
    where: str,
    *,
    json_text: bool = False,
    error: type[InputError] = FileFormatError,
) -> None:
    """Refuse text of JSON, TOML or YAML that nests too deep for its reader.

    Brackets are counted, of JSON those outside of quotes, ``- - -`` of YAML and the dots of a key
    of TOML. What a quote is
    in YAML depends on where it stands; a hundred brackets that are opened in words are refused.

    Raises
    ------
    FileFormatError
        Or `error`.
    """
    depth = deepest = 0
    for found in _BRACKETS.finditer(_QUOTED.sub("", text) if json_text else text):
        depth = depth + 1 if found[0] in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    if not json_text:
        for found in _DASHES.finditer(text):
            deepest = max(deepest, len(found[1].split()))
        for line in text.splitlines():
            key = line.partition("=")[0]
            if (dots := key.count(".")) > deepest and _KEY.fullmatch(key):
                deepest = dots
    check("text_depth", deepest, where, error=error)


def parse_json(text: str, where: str, *, field: str = "path", expected: str = "a JSON file") -> Any:
    """What a JSON text holds; a key that comes twice is refused, NaN and Infinity are NaN.

    Raises
    ------
    FileFormatError
        Not JSON, nested too deep, or a number that a computer does not hold.
    """
    check_nesting(text, where, json_text=True)

    def whole(digits: str) -> int:
        if len(digits.lstrip("-")) > _DIGITS or math.isinf(float(digits)):
            raise FileFormatError(where, digits, "a number of a size that a computer holds")
        return int(digits)

    with border(field, where, expected):
        return json.loads(
            text,
            parse_constant=lambda _: math.nan,
            parse_int=whole,
            object_pairs_hook=_once,
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key given twice, JSON readers keep the last without a word."""
    out = dict(pairs)
    if len(out) < len(pairs):
        twice = next(k for k, n in Counter(k for k, _ in pairs).items() if n > 1)
        raise FileFormatError(twice, "given twice in one object", "each key once")
    return out
