"""Visual predictive check: do the percentiles of the observations run where the
simulated ones do?
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.errors import InputError
from . import style
from .observed import read_observed
from .time_profile import time_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def visual_predictive_check(
    sim: xr.Dataset,
    observations: xr.Dataset,
    *,
    bins: int | Sequence[float] | None = None,
    log: bool = False,
    compartment: str = "plasma",
    dose_normalise: bool = False,
    interval: tuple[float, float] = (0.05, 0.95),
    ax: Axes | None = None,
) -> Axes:
    """The simulated band and median over the observations, with the observed
    percentiles of each time bin.

    Parameters
    ----------
    bins
        Number of bins with about as many samples each, or their edges [h], ascending;
        None: a bin for each cluster of sampling times, or eight bins where the times do
        not cluster.
    Others as in :func:`time_profile`.

    Returns
    -------
    Axes
        The axes.
    """
    points = read_observed(observations, compartment, dose_normalise)
    edges = _edges(points.time, bins)
    ax = time_profile(
        sim,
        observations,
        log=log,
        compartment=compartment,
        dose_normalise=dose_normalise,
        interval=interval,
        legend=False,
        ax=ax,
    )
    rows = []
    for left, right in pairwise(edges):
        inside = (
            (points.time >= left)
            & (points.time < right)
            & ~points.censored
            & np.isfinite(points.value)
        )
        if inside.sum() >= 3:  # fewer have no percentiles worth a line
            rows.append(
                [
                    np.median(points.time[inside]),
                    *np.quantile(points.value[inside], (interval[0], 0.5, interval[1])),
                ]
            )
    if rows:
        time, low, middle, high = np.array(rows).T
        if log:
            low, middle, high = (
                style.positive(v, "the observed percentiles", time <= 0)
                for v in (low, middle, high)
            )
        color = style.OBSERVED
        ax.plot(time, middle, color=color, linewidth=1.5, label="observed median", zorder=2.6)
        names = f"observed {100 * interval[0]:g} % and {100 * interval[1]:g} %"
        ax.plot(
            time, low, color=color, linewidth=1.2, linestyle=(0, (4, 2)), label=names, zorder=2.6
        )
        ax.plot(time, high, color=color, linewidth=1.2, linestyle=(0, (4, 2)), zorder=2.6)
    style.legend(ax)
    return ax


def _edges(time: np.ndarray, bins: int | Sequence[float] | None) -> np.ndarray:
    if bins is None:
        edges = _clusters(time)
        if edges is not None:
            return edges
        bins = 8
    if isinstance(bins, (int, np.integer)) and not isinstance(bins, bool):
        if bins < 1:
            raise InputError("bins", bins, "an integer > 0")
        edges = np.unique(np.quantile(time[np.isfinite(time)], np.linspace(0, 1, int(bins) + 1)))
        edges = edges if edges.size > 1 else np.array([edges[0], edges[0] + 1.0])
        edges[-1] = np.nextafter(edges[-1], np.inf)
        return edges
    edges = np.asarray(bins, dtype=float)
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
        raise InputError("bins", bins, "an integer, or ascending edges [h]")
    return edges


#: a cluster of sampling times ends where the next sample is this much later, relative to its
#: own time
_GAP = 0.15


def _clusters(time: np.ndarray) -> np.ndarray | None:
    """Edges between clusters of times; None where a cluster would be longer than a
    factor of two.
    """
    t = np.unique(time[np.isfinite(time)])
    split = np.flatnonzero(np.diff(t) > _GAP * np.abs(t[1:]))
    first, last = t[np.r_[0, split + 1]], t[np.r_[split, t.size - 1]]
    if np.any(last > 2 * first):
        return None
    return np.r_[first, np.nextafter(t[-1], np.inf)]
