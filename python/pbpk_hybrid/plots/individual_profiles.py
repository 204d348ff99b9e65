"""A panel for each person: the curve of a fit or a forecast through their samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.errors import InputError, SchemaError, unknown_name
from . import style
from .observed import Observed, as_observations, read_observed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: panels that fit on one page
MOST_PANELS = 24


def individual_profiles(
    curves: xr.Dataset,
    observations: xr.Dataset | None = None,
    *,
    typical: xr.Dataset | None = None,
    compartment: str = "plasma",
    log: bool = False,
    most: int = 12,
    columns: int = 4,
    title: str | None = None,
    figure: Figure | None = None,
) -> np.ndarray:
    """One panel per subject: own curve, interval where there is one, and own samples.

    Parameters
    ----------
    curves : Dataset
        A simulation (``concentration``), or a forecast (``concentration_quantile``), whose
        median is drawn with its widest interval.
    observations : Dataset, optional
        Schema ``observation``; the samples of a subject carry its label.
    typical : Dataset, optional
        A simulation of the same subjects by the typical parameters, drawn as a broken line.
    compartment : str
        What is drawn.
    log : bool
        Logarithmic concentration axes.
    most : int
        Subjects to show; of more, evenly chosen ones are drawn, and the title says so.
    columns : int
        Panels in a row.
    title : str, optional
        Of the figure; None: from the Dataset.
    figure : Figure, optional
        To draw on; None: a new one.

    Returns
    -------
    array of Axes
        (n_shown,) one for each subject shown.

    Raises
    ------
    SchemaError, UnknownNameError, InputError
        Data or options that cannot be drawn.
    """
    for name, value, highest in (("most", most, MOST_PANELS), ("columns", columns, MOST_PANELS)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
            raise InputError(name, value, f"an integer from 1 to {highest}")
    low, middle, high = _curves(curves, compartment)
    names = _names(curves)
    labels = [str(s) for s in np.atleast_1d(curves["subject"].values)]
    shown = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), most)).round().astype(int))
    observations = as_observations(observations)
    points = None if observations is None else read_observed(observations, compartment)
    who = None if observations is None else _subjects(observations, compartment)
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=panel_size(len(shown), columns), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = grid.ravel()[: len(shown)]
    for ax in grid.ravel()[len(shown) :]:
        ax.set_visible(False)
    values = np.concatenate([middle[shown].ravel(), [] if points is None else points.value])
    unit = style.concentration_unit(values)
    time = np.asarray(curves["time"].values, dtype=float)
    usual = None if typical is None else _curves(typical, compartment)[1]
    for ax, i in zip(panels, shown, strict=True):
        _panel(ax, time, (low[i], middle[i], high[i]), unit, names)
        if usual is not None:
            ax.plot(time, usual[i] * unit.factor, color=style.GREY, ls="--", lw=1, label="typical")
        if points is not None:
            _samples(ax, points, who == labels[i], unit)
        ax.set_title(labels[i], fontsize="small", loc="left")
        _axis(ax, time, log)
    hidden = len(labels) - len(shown)
    text = title if title is not None else str(curves.attrs.get("compound", ""))
    text += f" ({len(shown)} of {len(labels)} subjects)" if hidden else ""
    if text:
        figure.suptitle(text, fontsize="medium", x=0.012, ha="left")
    figure.supxlabel("time [h]", fontsize="small")
    figure.supylabel(f"{compartment} concentration [{unit.label}]", fontsize="small")
    _legend(figure, panels)
    return panels


def panel_size(subjects: int, columns: int = 4) -> tuple[float, float]:
    """Width and height [inch] of a figure of this many panels."""
    columns = min(columns, subjects)
    return max(4.6, 0.6 + 2.3 * columns), 0.9 + 1.9 * -(-subjects // columns)


def _curves(ds: xr.Dataset, compartment: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower edge, middle and upper edge, (subject, time) each; edges NaN where there are none."""
    name = next((n for n in ("concentration_quantile", "concentration") if n in ds), None)
    if name is None:
        raise SchemaError("curves", list(ds.data_vars), "a simulation or a forecast")
    values = ds[name]
    if "compartment" in values.dims:
        known = [str(c) for c in np.atleast_1d(values["compartment"].values)]
        if compartment not in known:
            raise unknown_name("compartment", compartment, known)
        values = values.isel(compartment=known.index(compartment))
    if name == "concentration":
        middle = values.transpose("subject", "time").values
        return np.full_like(middle, np.nan), middle, np.full_like(middle, np.nan)
    values = values.transpose("quantile", "subject", "time")
    levels = np.asarray(values["quantile"].values, dtype=float)
    return (
        values.values[int(levels.argmin())],
        values.values[int(np.abs(levels - 0.5).argmin())],
        values.values[int(levels.argmax())],
    )


def _subjects(observations: xr.Dataset, compartment: str) -> np.ndarray:
    """Labels of the samples that :func:`read_observed` keeps."""
    matrix = observations["matrix"].values.astype(str)
    also = {"plasma": ("plasma", "serum"), "venous_blood": ("blood", "venous_blood")}
    keep = np.isin(matrix, also.get(compartment, (compartment,)))
    return observations["subject"].values.astype(str)[keep]


def _names(ds: xr.Dataset) -> tuple[str, str]:
    """What the line and the band are called in the legend."""
    if "concentration_quantile" not in ds:
        return "own curve", ""
    levels = np.asarray(ds["quantile"].values, dtype=float)
    return "median", f"{100 * levels.min():g}–{100 * levels.max():g} %"


def _panel(
    ax: Axes,
    time: np.ndarray,
    curve: tuple[np.ndarray, np.ndarray, np.ndarray],
    unit: style.ShownUnit,
    names: tuple[str, str],
) -> None:
    low, middle, high = (values * unit.factor for values in curve)
    if np.isfinite(low).any():
        color = style.SIMULATED
        ax.fill_between(time, low, high, color=color, alpha=0.22, linewidth=0, label=names[1])
    ax.plot(time, middle, color=style.SIMULATED, linewidth=1.6, label=names[0])


def _samples(ax: Axes, points: Observed, mine: np.ndarray, unit: style.ShownUnit) -> None:
    for censored, marker, fill, label in (
        (False, "o", style.OBSERVED, "observed"),
        (True, "v", "none", "below quantification"),
    ):
        rows = mine & (points.censored == censored)
        if rows.any():
            ax.plot(
                points.time[rows],
                points.value[rows] * unit.factor,
                linestyle="none",
                marker=marker,
                markersize=4,
                color=style.OBSERVED,
                markerfacecolor=fill,
                markeredgecolor=style.OBSERVED if censored else "white",
                markeredgewidth=0.6,
                label=label,
                zorder=3,
            )


def _axis(ax: Axes, time: np.ndarray, log: bool) -> None:
    style.quiet(ax)
    style.hour_ticks(ax, float(time[0]), float(time[-1]), most=5)
    ax.tick_params(labelsize="small")
    if not log:
        ax.set_ylim(bottom=0)
        return
    shown = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.lines])
    shown = shown[shown > 0]
    if shown.size:
        style.log_limits(ax, float(shown.min()), float(shown.max()))


def _legend(figure: Figure, panels: np.ndarray) -> None:
    """One legend for all panels, of what any of them shows."""
    entries: dict[str, object] = {}
    for ax in panels:
        handles, labels = ax.get_legend_handles_labels()
        entries |= {label: h for h, label in zip(handles, labels, strict=True)}
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower right",
            ncols=len(entries),
            frameon=False,
            fontsize="small",
        )


__all__ = ["individual_profiles", "panel_size"]
