"""What a document is made of, whatever it is written as: headings, text, tables, pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: stands in a cell that only the author of a dossier can fill
ASKED = "[to be stated by the author]"


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title of the document."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; `warning`: one that must not be overlooked."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Equation:
    """An equation in LaTeX, and what it is."""

    latex: str
    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text under a head, and where its numbers come from."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    source: str


@dataclass(frozen=True)
class Picture:
    """A picture, what it shows, and where its numbers come from."""

    png: bytes
    caption: str
    source: str
    width: int  # [pixel]
    height: int


Block = Heading | Text | Equation | Table | Picture


def picture(figure: Figure, caption: str, source: str, dpi: int = 130) -> Picture:
    """A figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    width, height = (round(inch * dpi) for inch in figure.get_size_inches())
    return Picture(buffer.getvalue(), caption, source, width, height)


def equation_png(latex: str, dpi: int = 160) -> bytes:
    """An equation as a picture, for documents without MathML."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 0.6))
    figure.text(0.0, 0.5, f"${latex}$", fontsize=12, va="center")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.03)
    return buffer.getvalue()


def number(value: float, digits: int = 4) -> str:
    """A number for a table; "-" where there is none."""
    return "-" if value != value else f"{value:.{digits}g}"


def asked(blocks: Sequence[Block]) -> int:
    """Cells that the author has still to fill."""
    tables = [block for block in blocks if isinstance(block, Table)]
    return sum(cell == ASKED for table in tables for row in table.rows for cell in row)


__all__ = [
    "ASKED",
    "Block",
    "Equation",
    "Heading",
    "Picture",
    "Table",
    "Text",
    "asked",
    "equation_png",
    "number",
    "picture",
]
