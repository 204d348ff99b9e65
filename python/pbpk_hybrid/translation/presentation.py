"""A first-in-human prediction as a figure and as a page."""

from __future__ import annotations

import base64
import io
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._core.errors import InputError
from .._core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .prediction import FirstInHuman

NOTICE = "research software, not a medical device: no basis for treating anyone"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;font-size:.92rem}
th,td{padding:.25rem .7rem;border-bottom:1px solid #e4e4e4;text-align:left}img{max-width:100%}
"""


def draw(found: FirstInHuman, figure: Figure | None = None) -> Figure:
    """Curves of the people with intervals, and the doses beside their limits."""
    from matplotlib.figure import Figure

    from ..plots.style import quiet

    if figure is None:
        figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    _draw_curves(found, left)
    _draw_doses(found, right)
    for ax in (left, right):
        quiet(ax)
    return figure


def _draw_curves(found: FirstInHuman, ax: Axes) -> None:
    from ..plots.style import GREY, OBSERVED, SIMULATED

    curves = found.curves
    c = curves["concentration"].sel(compartment="plasma").values
    tail = 0.5 * (1.0 - found.level)
    low, middle, high = np.nanquantile(c, (tail, 0.5, 1.0 - tail), axis=0)
    times = curves["time"].values
    ax.fill_between(
        times,
        low,
        high,
        color=SIMULATED,
        alpha=0.2,
        lw=0,
        label=f"{100 * found.level:g} % of people",
    )
    ax.plot(times, middle, color=SIMULATED, label="median")
    target = found.target
    if target is not None and target.metric != "auc" and not target.free:
        ax.axhline(target.value, color=GREY, ls="--", lw=1, label=str(target))
    if found.safety.mabel is not None:
        bound = found.safety.mabel / float(np.median(found.free))
        ax.axhline(bound, color=OBSERVED, ls=":", lw=1.2, label="minimal effect (MABEL)")
    top = max(float(np.nanmax(high)), 1e-12)
    late = times > 0.02 * times[-1]  # absorption begins at zero
    ax.set(
        yscale="log",
        ylim=(max(float(np.nanmin(low[late])), 1e-4 * top), 2 * top),
        xlabel="time [h]",
        ylabel="plasma concentration [mg/L]",
    )
    ax.set_title(found.regimen, fontsize=10)
    ax.legend(frameon=False, fontsize=8)


def _draw_doses(found: FirstInHuman, ax: Axes) -> None:
    from ..plots.style import OBSERVED, SIMULATED

    names, y = [], 0
    for limit in found.limits:
        ax.plot(limit.dose, y, "D", color=OBSERVED)
        names.append(limit.method)
        y += 1
    label = "dose" if found.needed is None else "dose for the target"
    if found.needed is not None:
        tail = 0.5 * (1.0 - found.level)
        ends = np.quantile(found.needed, (tail, 1.0 - tail))
        ax.plot(ends, [y, y], color=SIMULATED, lw=2)
    ax.plot(found.dose, y, "o", color=SIMULATED)
    names.append(label)
    start = found.starting_dose
    if start is not None:
        ax.axvline(start, color=OBSERVED, lw=0.8, ls="--")
    title = "" if start is None else f"starting dose at most {start:.3g} mg"
    ax.set(xscale="log", xlabel="dose [mg]", ylim=(-0.6, y + 0.6))
    ax.set_title(title, fontsize=10)
    ax.set_yticks(range(len(names)), names)


def write_page(found: FirstInHuman, path: str | os.PathLike) -> Path:
    """The table, the margins, the figure and what was assumed as one HTML page."""
    target = Path(path).expanduser()
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError("path", str(target), "a name that ends in .html")
    buffer = io.BytesIO()
    draw(found).savefig(buffer, format="png", dpi=110)
    image = base64.b64encode(buffer.getvalue()).decode()
    title = f"First in human: {found.compound.name}"
    table = found.table.reset_index()
    margins = found.margins()
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(found.regimen)}. {escape(NOTICE)}.</p>",
        f'<p><img alt="curves and doses" src="data:image/png;base64,{image}"></p>',
        "<h2>Predicted</h2>",
        _html(table.columns, table.values),
        "<h2>Margins</h2>" if len(margins) else "",
        _html(margins.columns, margins.values) if len(margins) else "",
        "<h2>Assumed</h2><ul>",
        *(f"<li>{escape(note)}</li>" for note in found.notes),
        "</ul>",
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )
    with atomic_path(target) as draft:
        draft.write_text(page, encoding="utf-8")
    return target


def _html(head: list[str], rows: np.ndarray) -> str:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.3g}"
        return escape(str(value))

    top = "".join(f"<th>{escape(str(h))}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{cell(v)}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
