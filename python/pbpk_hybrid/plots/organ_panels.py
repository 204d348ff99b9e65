"""Small multiples: the same compound in every organ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.basis import basis_in_words
from .._core.errors import InputError, unknown_name
from ..results.curves import compartment_names, quantiles
from . import style
from .time_profile import time_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def organ_panels(
    sim: xr.Dataset,
    organs: Sequence[str] | None = None,
    *,
    kind: str = "band",
    log: bool = False,
    columns: int = 4,
    share_y: bool = False,
    interval: tuple[float, float] = (0.05, 0.95),
    unit: str | None = None,
    figure: Figure | None = None,
) -> np.ndarray:
    """One panel per organ, with common time axis and one legend.

    Parameters
    ----------
    organs
        Compartments to show, in order; None: all that have a concentration.
    kind, log, interval
        As in :func:`time_profile`.
    columns
        Panels in a row.
    share_y
        The same concentration axis everywhere.
    unit
        Of all panels, such as "ng/mL"; None: one in which the numbers are short.
    figure
        Figure to draw on; None: a new one.

    Returns
    -------
    array
        (n_organs,) array of axes.

    Raises
    ------
    UnknownNameError
        A compartment that the simulation does not have.
    InputError
        Nothing to show, or columns < 1.
    """
    shown = _organs(sim, organs)
    if isinstance(columns, bool) or not isinstance(columns, (int, np.integer)) or columns < 1:
        raise InputError("columns", columns, "an integer > 0")
    columns = min(int(columns), len(shown))
    rows = -(-len(shown) // columns)
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(0.5 + 2.25 * columns, 0.7 + 1.75 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    panels = grid.ravel()[: len(shown)]
    values = [quantiles(sim, interval[1], organ).values for organ in shown]
    label = style.shown_unit(unit, sim, values).label
    for ax, organ in zip(panels, shown, strict=True):
        time_profile(
            sim,
            kind=kind,
            log=log,
            compartment=organ,
            interval=interval,
            legend=False,
            unit=label,
            ax=ax,
        )
        ax.set_title(organ.replace("_", " "), fontsize="medium", loc="left")
        ax.set_xlabel("")
        ax.set_ylabel("")
    if share_y:
        _share_limits(panels, columns, log)
    for ax in grid.ravel()[len(shown) :]:
        ax.set_visible(False)
    # the lowest panel of each column, also where the last row is short
    for ax in panels[-columns:]:
        ax.tick_params(labelbottom=True)
    _label(figure, panels[0], basis_in_words(sim.attrs), label)
    return panels


def _organs(sim: xr.Dataset, organs: Sequence[str] | None) -> Sequence[str]:
    """The compartments to show; None: all that have a concentration.

    Raises
    ------
    UnknownNameError
        A compartment that the simulation does not have.
    InputError
        None to show.
    """
    names = compartment_names(sim)
    if organs is None:
        values = sim["concentration"]
        organs = [
            name
            for i, name in enumerate(names)
            if np.isfinite(values.isel(compartment=i).values).any()
        ]
    for organ in organs:
        if organ not in names:
            raise unknown_name("organs", organ, names, what="a compartment of the simulation")
    if not len(organs):
        raise InputError("organs", list(organs), "at least one compartment with a concentration")
    return organs


def _share_limits(panels: np.ndarray, columns: int, log: bool) -> None:
    """The widest of the panels' own limits for all, each having been scaled to its data."""
    low, high = np.array([ax.get_ylim() for ax in panels]).T
    for i, ax in enumerate(panels):
        ax.set_ylim(max(low.min(), high.max() * 1e-6) if log else low.min(), high.max())
        ax.tick_params(labelleft=i % columns == 0)


def _label(figure: Figure, panel: Axes, basis: str, unit: str) -> None:
    """Axis labels and the legend of all panels, from one of them."""
    figure.supxlabel("time [h]" + (f"\n{basis}" if basis else ""), fontsize="medium")
    figure.supylabel(f"concentration [{unit}]", fontsize="medium")
    handles, labels = panel.get_legend_handles_labels()
    style.solid(
        figure.legend(
            handles,
            labels,
            loc="outside upper right",
            ncols=len(labels),
            frameon=False,
            fontsize="small",
        )
    )
