"""Tables that objects show of themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

MOST_ROWS = 60


def html_table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as HTML, all text escaped.

    Parameters
    ----------
    title : str
        Line above the table.
    header : sequence of str
        Names of the columns.
    rows : iterable of sequences
        Cells, one sequence per row; floats are written with six
        digits. After 60 rows the table says how many are left out.

    Returns
    -------
    str
    """
    rows = list(rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(cell))}</td>" for cell in row) + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    hidden = len(rows) - MOST_ROWS
    tail = f"<p>{hidden} more rows</p>" if hidden > 0 else ""
    return (
        f"<div><p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{tail}</div>"
    )


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
