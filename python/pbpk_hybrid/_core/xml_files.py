"""Reading XML of unknown origin: gzip or plain, with bounds on what it may unpack to, no
entities, typed errors.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .errors import FileFormatError
from .limits import border, check, read_bytes

_CHUNK = 1 << 20
#: encodings in which the marks of XML are the bytes of ASCII
_ENCODING = re.compile(
    rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["'](?!utf-?8|us-ascii|ascii|iso-8859-|windows-125)""",
    re.IGNORECASE,
)


def read_xml(path: str | os.PathLike) -> ElementTree.Element:
    """The root of an XML file.

    Raises
    ------
    FileFormatError : no such file, not XML, too large, too deep, or with a document type of its own
    """
    source = Path(path).expanduser()
    data = read_bytes(source, "xml_bytes", field="file")
    check_plain_xml(data, str(source))
    parser: Any = ElementTree.XMLPullParser(("start", "end"))
    root: ElementTree.Element | None = None
    depth = count = 0
    with border("file", str(source), "well-formed XML"):
        for at in range(0, len(data), _CHUNK):
            parser.feed(data[at : at + _CHUNK])
            deepest = depth
            for event, element in parser.read_events():
                if root is None:
                    root = element
                count += event == "start"
                depth += 1 if event == "start" else -1
                deepest = max(deepest, depth)
            check("xml_depth", deepest, str(source))
            check("xml_elements", count, str(source))
        parser.close()
    if root is None:
        raise FileFormatError("file", str(source), "an XML file that is not empty")
    return root


def check_plain_xml(data: bytes, where: str) -> None:
    """Refuse XML with a document type or entities, which can expand without end, and encodings
    in which they could not be seen.

    Raises
    ------
    FileFormatError
    """
    if b"\0" in data[:4096] or _ENCODING.match(data[:1000].removeprefix(b"\xef\xbb\xbf")):
        raise FileFormatError("file", where, "XML in UTF-8", hint="save it in that encoding")
    if re.search(rb"<!(?:DOCTYPE|ENTITY)", data, re.IGNORECASE):
        raise FileFormatError("file", where, "XML without a document type or entities")
