"""The text of an SBML file, checked before libsbml sees it: its size, that it is plain XML, how deep and how much it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.parsers import expat

from .._core.errors import FileFormatError, InputError

LARGEST_FILE = 20_000_000  # bytes
DEEPEST, MOST_ELEMENTS = (
    500,
    1_000_000,
)  # of XML; libsbml itself ends the process on some 5000 levels


def read_text(source: str | os.PathLike) -> tuple[str, str]:
    if isinstance(source, str) and source.lstrip().startswith("<"):
        text, name = source, "SBML text"
    else:
        path = Path(source)
        name = path.name
        try:
            size = path.stat().st_size
            if size > LARGEST_FILE:
                raise FileFormatError(name, f"{size} bytes", f"at most {LARGEST_FILE} bytes")
            text = path.read_text(encoding="utf-8", errors="strict")
        except UnicodeDecodeError as err:
            raise FileFormatError(name, "bytes that are not UTF-8", "an SBML file") from err
        except OSError as err:
            raise InputError(
                "source", str(source), "a file that can be read", hint=str(err)
            ) from err
    if len(text) > LARGEST_FILE:
        raise FileFormatError(name, f"{len(text)} characters", f"at most {LARGEST_FILE}")
    head = text[:100_000].lower()
    if "<!doctype" in head or "<!entity" in text.lower():
        raise FileFormatError(
            name, "a document type or entities", "plain XML"
        )  # entities can expand without end
    _check_shape(text, name)
    return text, name


def _check_shape(text: str, name: str) -> None:
    """Refuse what is nested so deep that libsbml would end the process, or is too much to keep."""
    depth = deepest = count = 0

    def start(*_: Any) -> None:
        nonlocal depth, deepest, count
        depth, count = depth + 1, count + 1
        deepest = max(deepest, depth)
        if deepest > DEEPEST or count > MOST_ELEMENTS:
            raise FileFormatError(
                name,
                f"{count} elements, {deepest} levels deep",
                f"at most {MOST_ELEMENTS} elements, {DEEPEST} levels",
            )

    def end(*_: Any) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(text.encode("utf-8"), True)
    except (expat.ExpatError, UnicodeEncodeError) as err:
        raise FileFormatError(name, str(err)[:200], "an SBML file, which is XML") from err
