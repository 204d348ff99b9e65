"""A document of :mod:`.blocks` as HTML, Word or PDF."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._core.errors import InputError
from .._core.files import atomic_path
from .._core.optional import require
from .blocks import ASKED, Block, Equation, Heading, Picture, Table, Text, equation_png

#: characters of a cell that is not broken into lines
_SHORT = 14
_STYLE = """
:root{color-scheme:light dark;--line:#d5d8dc;--soft:#5f6368;--warn:#fff3cd;--ask:#fde7d6}
@media(prefers-color-scheme:dark){:root{--line:#444;--soft:#aaa;--warn:#4a3f12;--ask:#553018}}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem}h2{font-size:1.3rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}
h3{font-size:1.05rem}.t{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td{overflow-wrap:break-word}td.l{min-width:9rem}.s{color:var(--soft);font-size:.82rem}
figure{margin:1rem 0}img{max-width:100%;background:#fff}caption{text-align:left}
td.n{white-space:nowrap}.w{background:var(--warn);padding:.5rem 1rem}
.a{background:var(--ask)}.e img{background:#fff;padding:.3rem;height:2.4rem;max-width:100%}
"""


def write_document(path: str | os.PathLike, title: str, blocks: Sequence[Block]) -> Path:
    """Write a document; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        A name that ends in ``.html``, ``.docx`` or ``.pdf``.
    title : str
        Of the document, for its properties.
    blocks : sequence
        Headings, text, equations, tables and pictures.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        Another ending.
    MissingDependencyError
        ``.docx`` or ``.pdf`` without the extra ``report``.
    """
    target = Path(path).expanduser()
    with atomic_path(target) as draft:
        writer(target)(draft, title, blocks)
    return target


def writer(target: Path) -> Callable[[Path, str, Sequence[Block]], None]:
    """The function that writes this kind of file; raises as :func:`write_document`."""
    known = {".html": _html, ".htm": _html, ".docx": _docx, ".pdf": _pdf}
    kind = target.suffix.lower()
    if kind not in known:
        raise InputError("path", str(target), "a name that ends in .html, .docx or .pdf")
    if kind == ".docx":
        require("docx", "report", "a Word document")
    if kind == ".pdf":
        require("reportlab", "report", "a PDF")
    return known[kind]


# ---- HTML ---------------------------------------------------------------------------------------


def _html(path: Path, title: str, blocks: Sequence[Block]) -> None:
    body = "\n".join(_html_block(block) for block in blocks)
    path.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>\n{body}\n"
        "</body></html>\n",
        encoding="utf-8",
    )


def _html_block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_text(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        return f"<p{' class=w' if block.warning else ''}>{_text(block.text)}</p>"
    if isinstance(block, Equation):
        image = f'<img alt="{_text(block.latex)}" src="{_data(equation_png(block.latex))}">'
        return f'<p class="e">{image}<br>{_text(block.text)}</p>'
    if isinstance(block, Picture):
        return (
            f'<figure><img alt="{_text(block.caption)}" src="{_data(block.png)}">'
            f"<figcaption>{_text(block.caption)} {_source(block.source)}</figcaption></figure>"
        )
    head = "".join(f"<th>{_text(h)}</th>" for h in block.head)
    rows = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in block.rows)
    return (
        f'<div class="t"><table><caption class="s">{_text(block.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<p>{_source(block.source)}</p>"
    )


def _html_cell(text: str) -> str:
    kind = "a" if text == ASKED else "n" if len(text) <= _SHORT else "l"
    return f'<td class="{kind}">{_text(text)}</td>'


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _source(text: str) -> str:
    return f'<span class="s">Source: {_text(text)}</span>'


def _text(value: Any) -> str:
    """Text from anywhere as text of the page, never as markup."""
    return html.escape(str(value), quote=True)


# ---- Word ---------------------------------------------------------------------------------------


def _docx(path: Path, title: str, blocks: Sequence[Block]) -> None:
    from docx import Document
    from docx.shared import Cm, Pt, RGBColor

    document = Document()
    document.core_properties.title = title
    document.core_properties.author = ""
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21.0), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.0)
    width = 17.0  # [cm] between the margins

    def small(text: str) -> None:
        run = document.add_paragraph().add_run(text)
        run.font.size, run.font.color.rgb = Pt(8), RGBColor(0x5F, 0x63, 0x68)

    for block in blocks:
        if isinstance(block, Heading):
            document.add_heading(block.text, level=block.level - 1)
        elif isinstance(block, Text):
            document.add_paragraph().add_run(block.text).bold = block.warning
        elif isinstance(block, Equation):
            document.add_picture(io.BytesIO(equation_png(block.latex)), height=Cm(0.9))
            document.add_paragraph(block.text)
        elif isinstance(block, Picture):
            wide = min(width, block.width / 130 * 2.54)
            document.add_picture(io.BytesIO(block.png), width=Cm(wide))
            document.add_paragraph(block.caption)
            small(f"Source: {block.source}")
        else:
            document.add_paragraph().add_run(block.caption).bold = True
            _docx_table(document, block)
            small(f"Source: {block.source}")
    document.save(str(path))


def _docx_table(document: Any, block: Table) -> None:
    from docx.enum.text import WD_COLOR_INDEX
    from docx.shared import Pt

    table = document.add_table(rows=1, cols=len(block.head), style="Light Grid Accent 1")
    for cell, text in zip(table.rows[0].cells, block.head, strict=True):
        cell.text = text
    for row in block.rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
            if text == ASKED:
                cell.paragraphs[0].runs[0].font.highlight_color = WD_COLOR_INDEX.YELLOW
    for line in table.rows:
        for cell in line.cells:
            for run in cell.paragraphs[0].runs:
                run.font.size = Pt(8)


# ---- PDF ----------------------------------------------------------------------------------------


def _pdf(path: Path, title: str, blocks: Sequence[Block]) -> None:
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import cm
    from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Spacer

    regular, bold = _pdf_fonts()
    base = ParagraphStyle("base", fontName=regular, fontSize=9.5, leading=13, spaceAfter=5)
    soft = ParagraphStyle("soft", parent=base, fontSize=7.5, leading=9.5, textColor="#5f6368")
    warn = ParagraphStyle("warn", parent=base, backColor="#fff3cd", borderPadding=4)
    name = ParagraphStyle(
        "name", parent=base, fontName=bold, fontSize=8.5, leading=11, spaceBefore=6, keepWithNext=1
    )
    sizes = {1: 18, 2: 14, 3: 11}
    heads = {
        level: ParagraphStyle(
            f"h{level}",
            parent=base,
            fontName=bold,
            fontSize=size,
            leading=size * 1.3,
            spaceBefore=10,
            spaceAfter=6,
            keepWithNext=1,
        )
        for level, size in sizes.items()
    }
    width = A4[0] - 4 * cm
    flow: list[Any] = []
    for block in blocks:
        if isinstance(block, Heading):
            flow.append(Paragraph(_text(block.text), heads[block.level]))
        elif isinstance(block, Text):
            flow.append(Paragraph(_text(block.text), warn if block.warning else base))
        elif isinstance(block, Equation):
            flow += [_pdf_image(Image, equation_png(block.latex), width, 160 / 72)]
            flow.append(Paragraph(_text(block.text), base))
        elif isinstance(block, Picture):
            flow.append(_pdf_image(Image, block.png, width, 130 / 72))
            flow.append(Paragraph(_text(block.caption), base))
            flow.append(Paragraph("Source: " + _text(block.source), soft))
        else:
            flow.append(Paragraph(_text(block.caption), name))
            flow.append(_pdf_table(block, width, (regular, bold)))
            flow += [Spacer(1, 3), Paragraph("Source: " + _text(block.source), soft)]

    def foot(canvas: Any, document: Any) -> None:
        canvas.setFont(regular, 7.5)
        canvas.drawString(2 * cm, 1.1 * cm, title)
        canvas.drawRightString(A4[0] - 2 * cm, 1.1 * cm, str(document.page))

    margins = {f"{side}Margin": 2 * cm for side in ("left", "right", "top", "bottom")}
    # invariant: the same blocks make the same bytes
    document = SimpleDocTemplate(
        str(path), pagesize=A4, title=title, author="", invariant=1, **margins
    )
    document.build(flow, onFirstPage=foot, onLaterPages=foot)


def _pdf_fonts() -> tuple[str, str]:
    """A font with Greek letters and signs of inequality, which the standard fonts lack."""
    from matplotlib import get_data_path
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(get_data_path()) / "fonts" / "ttf"
    for font, file in (("DejaVu", "DejaVuSans.ttf"), ("DejaVu-Bold", "DejaVuSans-Bold.ttf")):
        if font not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(font, str(folder / file)))
    return "DejaVu", "DejaVu-Bold"


def _pdf_image(image: Any, png: bytes, width: float, dots_per_point: float) -> Any:
    """A picture at its own size, or as wide as the page."""
    drawn = image(io.BytesIO(png))
    scale = min(1 / dots_per_point, width / drawn.imageWidth)
    drawn.drawWidth, drawn.drawHeight = drawn.imageWidth * scale, drawn.imageHeight * scale
    drawn.hAlign = "LEFT"
    return drawn


def _pdf_table(block: Table, width: float, fonts: tuple[str, str]) -> Any:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import LongTable, Paragraph, TableStyle

    cell = ParagraphStyle("cell", fontName=fonts[0], fontSize=7.5, leading=9.5, splitLongWords=1)
    head = ParagraphStyle("head", parent=cell, fontName=fonts[1])
    rows = [[Paragraph(_text(h), head) for h in block.head]]
    rows += [[Paragraph(_text(c), cell) for c in row] for row in block.rows]
    style = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, "#d5d8dc"),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        *(
            ("BACKGROUND", (j, i + 1), (j, i + 1), "#fde7d6")
            for i, row in enumerate(block.rows)
            for j, text in enumerate(row)
            if text == ASKED
        ),
    ]
    return LongTable(
        rows, colWidths=_widths(block, width), repeatRows=1, style=TableStyle(style), hAlign="LEFT"
    )


def _widths(block: Table, width: float) -> list[float]:
    """Widths of the columns, by their longest text but none starved."""
    longest = [
        max(min(len(row[j]), 60) for row in (block.head, *block.rows)) + 2
        for j in range(len(block.head))
    ]
    word = [
        max((len(w) for row in (block.head, *block.rows) for w in row[j].split()), default=1) + 2
        for j in range(len(block.head))
    ]
    least = [min(w, 18) * 4.6 for w in word]
    spare = max(width - sum(least), 0.0)
    share = [n / sum(longest) for n in longest]
    found = [low + spare * part for low, part in zip(least, share, strict=True)]
    return [w * width / sum(found) for w in found]


__all__ = ["write_document", "writer"]
