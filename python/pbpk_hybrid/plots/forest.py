"""Forest plot of exposure ratios, as labels of drugs show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.arguments import check_real
from .._core.errors import InputError
from ..results.ratios import RATIO_COLUMNS, ratio_table
from . import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: limits of ratios within which agencies speak of no effect of clinical relevance by default
NO_EFFECT = (0.8, 1.25)
_COLOURS = {"AUC": style.PALETTE[0], "Cmax": style.PALETTE[1]}
_ROW, _HEAD = 0.30, 1.25  # inches
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def forest_plot(
    ratios: xr.Dataset | pd.DataFrame,
    *,
    level: float = 0.90,
    bounds: tuple[float, float] | None = NO_EFFECT,
    observed: pd.DataFrame | None = None,
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Ratios of AUC and Cmax with their intervals, one line each, and the no-effect bounds.

    Filled marks are geometric means of the people, thick lines the interval of that mean (constants
    of an interaction), thin lines the interval that holds `level` of the people, open diamonds the
    static model, crosses published ratios. The numbers stand beside the lines.

    Parameters
    ----------
    ratios
        Result of :func:`pbpk_hybrid.interactions` or :func:`pbpk_hybrid.exposure_ratios`, or a
        table such as :func:`pbpk_hybrid.results.ratio_table` makes.
    level
        Of the intervals, where `ratios` is a Dataset.
    bounds
        No-effect bounds, shaded; None: none.
    observed
        Published ratios: columns ``label``, ``quantity``, ``ratio`` and, where labels repeat,
        ``group``.
    title
        Above the figure; None: none.
    figure
        To draw on; None: a new one, as high as it needs.

    Returns
    -------
    Figure
        The figure.

    Raises
    ------
    InputError
        A table without the columns, without a ratio above 0, or bounds that are not ascending above
        0.
    """
    table = _table(ratios, level)
    low, high = _bounds(bounds)
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(8.6, _HEAD + _ROW * _lines(table)), layout="constrained")
    names, ax, texts = figure.subplots(1, 3, sharey=True, width_ratios=(2.1, 4.0, 2.1))
    if bounds is not None:
        ax.axvspan(low, high, color=style.GREY, alpha=0.13, linewidth=0, label="no-effect bounds")
    ax.axvline(1.0, color=style.GREY, linewidth=0.9)
    y = _draw(table, names, ax, texts, observed)
    _scale(ax, table, (low, high), y)
    for side in (names, texts):
        side.set_axis_off()
        side.set_xlim(0, 1)
    ax.set_xlabel("ratio to the reference")
    texts.text(0.0, 0.3, f"ratio ({100 * level:g} % interval)", fontsize="small", va="center")
    handles, labels = ax.get_legend_handles_labels()
    kept = dict(zip(labels, handles, strict=True))
    figure.legend(
        kept.values(),
        kept.keys(),
        loc="outside lower center",
        ncols=min(4, len(kept)),
        frameon=False,
        fontsize="small",
    )
    if title:
        figure.suptitle(title, fontsize="large", x=0.012, ha="left")
    return figure


def _table(ratios: Any, level: float) -> pd.DataFrame:
    import pandas as pd

    if isinstance(ratios, xr.Dataset):
        ratios = ratio_table(ratios, level)
    needed = {"label", "quantity", "ratio"}
    if not isinstance(ratios, pd.DataFrame) or not needed <= set(ratios.columns):
        found = list(ratios.columns) if isinstance(ratios, pd.DataFrame) else type(ratios).__name__
        raise InputError("ratios", found, f"a table with the columns {', '.join(sorted(needed))}")
    table = ratios.copy()
    for column in RATIO_COLUMNS:
        if column not in table:
            table[column] = "" if column == "group" else np.nan
    if not (table["ratio"] > 0).any():
        raise InputError("ratios", list(table["ratio"]), "at least one ratio above 0")
    return table


def _bounds(bounds: Any) -> tuple[float, float]:
    if bounds is None:
        return np.nan, np.nan
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise InputError("bounds", bounds, "two numbers, such as (0.8, 1.25), or None")
    low, high = (check_real("bounds", b, "two numbers above 0") for b in bounds)
    if not 0 < low < high < np.inf:
        raise InputError("bounds", bounds, "two ascending numbers above 0")
    return low, high


def _lines(table: pd.DataFrame) -> int:
    return len(table) + 0.8 * table["group"].nunique()


def _draw(table: pd.DataFrame, names: Axes, ax: Axes, texts: Axes, observed: Any) -> float:
    """All rows from above; returns where the last one lies."""
    y, last = 0.0, None
    for group, rows in table.groupby("group", sort=False):
        y += 1.0
        if group:
            names.text(0.0, y, str(group), va="center", fontweight="bold", fontsize="medium")
        for label, pair in rows.groupby("label", sort=False):
            for i, row in enumerate(pair.to_dict("records")):
                y += 1.0 if (group or i or last is not None) else 0.0
                last = y
                if i == 0:
                    names.text(0.06, y, str(label), va="center", fontsize="small")
                names.text(
                    1.0, y, row["quantity"], va="center", ha="right", fontsize="small", color="0.35"
                )
                _draw_row(ax, y, row)
                texts.text(0.0, y, _numbers(row), va="center", fontsize="small")
                _draw_observed(ax, y, row, observed)
    return y


def _draw_row(ax: Axes, y: float, row: dict) -> None:
    colour = _COLOURS.get(row["quantity"], style.PALETTE[2])
    if not row["ratio"] > 0:
        return
    if np.isfinite(row["person_low"]):
        ax.plot(
            [row["person_low"], row["person_high"]],
            [y, y],
            color=colour,
            linewidth=0.9,
            alpha=0.8,
            label="interval of people",
        )
    if np.isfinite(row["low"]):
        ax.plot(
            [row["low"], row["high"]],
            [y, y],
            color=colour,
            linewidth=3.2,
            alpha=0.5,
            solid_capstyle="butt",
            label="interval of the mean",
        )
    ax.plot(
        row["ratio"], y, "s", color=colour, markersize=5, label=f"{row['quantity']}, mean of people"
    )
    if np.isfinite(row["static"]) and row["static"] > 0:
        ax.plot(
            row["static"],
            y,
            "D",
            markerfacecolor="white",
            markeredgecolor="0.2",
            markersize=4.5,
            label="static model",
        )


def _draw_observed(ax: Axes, y: float, row: dict, observed: Any) -> None:
    if observed is None:
        return
    mine = (observed["label"] == row["label"]) & (observed["quantity"] == row["quantity"])
    if "group" in observed:
        mine &= observed["group"] == row["group"]
    for ratio in observed.loc[mine, "ratio"]:
        ax.plot(ratio, y, "x", color="black", markersize=5, label="published", zorder=4)


def _numbers(row: dict) -> str:
    if not np.isfinite(row["ratio"]):
        return "-"
    text = f"{row['ratio']:.3g}"
    pair = (row["low"], row["high"])
    if not np.isfinite(pair[0]):
        pair = (row["person_low"], row["person_high"])
    return f"{text} ({pair[0]:.3g} to {pair[1]:.3g})" if np.isfinite(pair[0]) else text


def _scale(ax: Axes, table: pd.DataFrame, bounds: tuple[float, float], last: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    columns = ["ratio", "low", "high", "person_low", "person_high", "static"]
    values = np.r_[table[columns].to_numpy(dtype=float).ravel(), bounds, 1.0]
    values = values[np.isfinite(values) & (values > 0)]
    low, high = values.min() / 1.25, values.max() * 1.25
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator([t for t in _TICKS if low <= t <= high]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_ylim(last + 0.8, -0.2)
    ax.set_yticks([])
    style.quiet(ax, "x")
    ax.spines["left"].set_visible(False)


__all__ = ["NO_EFFECT", "forest_plot"]
