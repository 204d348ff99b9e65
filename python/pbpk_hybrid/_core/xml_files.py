"""Reading XML of unknown origin: gzip or plain, with bounds on what it may unpack to, no
entities, typed errors.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from xml.etree import ElementTree

from .errors import FileFormatError

#: a packed file may unpack to so many times its size
MAX_RATIO = 200
#: levels of elements
MAX_LEVELS = 500
_CHUNK = 1 << 20


def read_xml(path: str | os.PathLike, max_bytes: int) -> ElementTree.Element:
    """The root of an XML file.

    Raises
    ------
    FileFormatError : no such file, not XML, too large, too deep, or with a document type of its own
    """
    source = Path(path).expanduser()
    try:
        data = _bytes(source, max_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(
            "file", str(source), "a file that can be read", hint=str(error)
        ) from error
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data:
        raise FileFormatError("file", str(source), "XML without a document type or entities")
    parser = ElementTree.XMLPullParser(("start", "end"))
    root, depth = None, 0
    try:
        for at in range(0, len(data), _CHUNK):
            parser.feed(data[at : at + _CHUNK])
            for event, element in parser.read_events():
                if root is None:
                    root = element
                depth += 1 if event == "start" else -1
                if depth > MAX_LEVELS:
                    raise FileFormatError("file", str(source), f"at most {MAX_LEVELS} levels")
        parser.close()
    except ElementTree.ParseError as error:
        raise FileFormatError("file", str(source), "well-formed XML", hint=str(error)) from error
    if root is None:
        raise FileFormatError("file", str(source), "an XML file that is not empty")
    return root


def _bytes(source: Path, limit: int) -> bytes:
    """The whole file, unpacked piece by piece so that a bomb is refused before it has gone off."""
    size = source.stat().st_size
    with source.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    if not packed:
        if size > limit:
            raise FileFormatError("file", str(source), f"at most {limit / 1e6:.0f} MB")
        return source.read_bytes()
    allowed = min(limit, max(size, 4096) * MAX_RATIO)
    pieces, total = [], 0
    with gzip.open(source, "rb") as file:
        while piece := file.read(_CHUNK):
            total += len(piece)
            if total > allowed:
                raise FileFormatError(
                    "file", str(source), f"a packed file of at most {allowed / 1e6:.0f} MB unpacked"
                )
            pieces.append(piece)
    return b"".join(pieces)
