"""The text of an SBML file, checked before libsbml sees it: its size, that it is plain
XML, how deep and how much it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.parsers import expat

from .._core import limits
from .._core.errors import FileFormatError
from .._core.limits import check, limit
from .._core.xml_files import check_plain_xml

MOST_OF_A_KIND = {"species": 5_000, "reaction": 20_000}  # elements outside formulas
MOST_OTHERS = 50_000
DEEPEST_FORMULA = 20_000  # libsbml ends the process somewhere between 50,000 and 200,000


def read_text(source: str | os.PathLike) -> tuple[str, str, int]:
    """(text, name, number of XML elements) of a file or of a text that begins with ``<``."""
    if isinstance(source, str) and source.lstrip().startswith("<"):
        text, name = source, "SBML text"
    else:
        path = Path(source)
        name = path.name
        text = limits.read_text(path, "sbml_bytes", field="source", expected="an SBML file (UTF-8)")
    check("sbml_bytes", len(text), name)
    check_plain_xml(text.encode("utf-8", "replace"), name)
    return text, name, _check_shape(text, name)


class _Shape:
    """How deep and how much an XML text is; raises FileFormatError over the limits.

    libsbml keeps a sum of n terms n levels deep, so that the depth of a formula is its
    elements' and their arguments'.
    """

    def __init__(self, name: str):
        self.name, self.count = name, 0
        self.deepest, self.most = limit("xml_depth"), limit("sbml_elements")
        self.open: list[
            list[int]
        ] = []  # per open element: children, depth of the deepest formula below
        self.math = 0
        self.kinds: dict[str, int] = {}

    def start(self, tag: str, _: Any) -> None:
        self.count += 1
        if self.open:
            self.open[-1][0] += 1
        self.open.append([0, 0])
        kind = tag.rpartition(":")[2]
        self.math += self.math > 0 or kind == "math"
        if not self.math:
            n = self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if n > (most := MOST_OF_A_KIND.get(kind, MOST_OTHERS)):
                self.refuse(f"{n} elements {kind}, at most {most}")
        if len(self.open) > self.deepest or self.count > self.most:
            check("xml_depth", len(self.open), self.name)
            check("sbml_elements", self.count, self.name)

    def end(self, _: str) -> None:
        children, below = self.open.pop()
        if self.math:
            self.math -= 1
            depth = children + below
            if depth > DEEPEST_FORMULA:
                self.refuse(f"a formula of {depth} terms or levels")
            if self.open:
                self.open[-1][1] = max(self.open[-1][1], depth)

    def refuse(self, what: str) -> None:
        raise FileFormatError(
            self.name,
            what,
            f"formulas of at most {DEEPEST_FORMULA} terms, "
            + ", ".join(f"{n} {kind}" for kind, n in MOST_OF_A_KIND.items()),
        )


def _check_shape(text: str, name: str) -> int:
    """Refuse what is nested so deep that libsbml would end the process, or is too much to
    keep; count elements.
    """
    shape, parser = _Shape(name), expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = shape.start, shape.end
    try:
        parser.Parse(text.encode("utf-8"), True)
    except (expat.ExpatError, UnicodeEncodeError) as err:
        raise FileFormatError(name, str(err)[:200], "an SBML file, which is XML") from err
    return shape.count
