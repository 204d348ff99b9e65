"""Visual predictive check: do the percentiles of the observations run where the
simulated ones do?
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.arguments import check_real
from .._core.errors import InputError
from ..results.curves import concentration, succeeded
from . import style
from .observed import as_observations, read_observed
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
    observations = as_observations(observations)
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
    factor = style.unit_of_axes(ax)
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
                    *factor * np.quantile(points.value[inside], (interval[0], 0.5, interval[1])),
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


def prediction_corrected_check(
    sim: xr.Dataset,
    observations: Any,
    *,
    corrected: bool = True,
    bins: int | Sequence[float] | None = None,
    log: bool = False,
    compartment: str = "plasma",
    interval: tuple[float, float] = (0.05, 0.95),
    confidence: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Percentiles of the observations over confidence bands of the simulated percentiles.

    As many simulated people as there are observed ones are drawn `replicates` times, at the
    sampling times of the observed; the bands hold `confidence` of the percentiles so found. With
    the correction, values are multiplied by the median prediction of their bin over that of their
    own time and dose, so that differences of time and dose within a bin do not widen the bands
    (Bergstrand et al. 2011, AAPS J 13:143).

    Parameters
    ----------
    sim : Dataset
        A simulation of many people after one dose; where the observations carry ``dose``, each
        prediction is scaled to it.
    observations : Dataset, table or path
        Samples of people; means of groups say nothing of percentiles and are refused.
    corrected : bool
        Correct for the prediction; False: a plain check with bands.
    bins
        As in :func:`visual_predictive_check`.
    log : bool
        Logarithmic axis.
    compartment : str
    interval : pair of float
        The outer percentiles.
    confidence : float
        Of the bands, between 0 and 1.
    replicates : int
        Draws of people, at least 20.
    seed : int
        Of the draws.
    ax : Axes, optional

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    InputError, SchemaError, UnknownNameError
        Fewer than ten simulated people, data or options that cannot be used.
    """
    check_real("confidence", confidence, "a number between 0 and 1")
    if not 0 < confidence < 1:
        raise InputError("confidence", confidence, "a number between 0 and 1")
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 20:
        raise InputError("replicates", replicates, "an integer of at least 20")
    observations = as_observations(observations)
    points = read_observed(observations, compartment)
    if np.isfinite(points.error).any():
        raise InputError("observations", "means with a standard deviation", "samples of people")
    curves = concentration(sim, compartment).transpose("subject", "time").values[succeeded(sim)]
    if len(curves) < 10:
        raise InputError("sim", len(curves), "a simulation of at least ten people")
    keep = np.isfinite(points.value) & ~points.censored & (points.time <= float(sim["time"][-1]))
    time, value, profile = points.time[keep], points.value[keep], points.profile[keep]
    at_time = _at(curves, sim["time"].values.astype(float), time)  # (people, samples)
    scale = _dose_scale(sim, observations, compartment)[keep]
    predicted = np.median(at_time, axis=0) * scale
    edges = _edges(time, bins)
    which = np.searchsorted(edges, time, side="right") - 1
    factor = np.ones(time.size)
    groups = [rows for b in range(len(edges) - 1) if (rows := np.flatnonzero(which == b)).size >= 3]
    if not groups:
        raise InputError("bins", bins, "at least three samples in a bin")
    for rows in groups if corrected else ():
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.median(predicted[rows]) / predicted[rows]
        factor[rows] = np.where(np.isfinite(ratio), ratio, 1.0)
    people = np.unique(profile, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    levels = (interval[0], 0.5, interval[1])
    found = np.empty((replicates, len(groups), 3))
    for r in range(replicates):
        drawn = rng.integers(0, len(at_time), people.max() + 1)[people]
        replicate = at_time[drawn, np.arange(time.size)] * scale * factor
        found[r] = [np.quantile(replicate[rows], levels) for rows in groups]
    edge = (1 - confidence) / 2
    low, high = np.quantile(found, (edge, 1 - edge), axis=0)
    seen = np.array([np.quantile(value[rows] * factor[rows], levels) for rows in groups])
    x = np.array([np.median(time[rows]) for rows in groups])
    return _draw_bands(ax, x, (low, high), seen, (time, value * factor), log, corrected, levels)


def _at(curves: np.ndarray, grid: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Every curve at the sampling times, (people, samples)."""
    return np.stack([np.interp(time, grid, curve) for curve in curves])


def _dose_scale(sim: xr.Dataset, observations: xr.Dataset, compartment: str) -> np.ndarray:
    """Dose of each sample over the simulated one; 1 where either is not known."""
    matrix = observations["matrix"].values.astype(str)
    also = {"plasma": ("plasma", "serum"), "venous_blood": ("blood", "venous_blood")}
    rows = np.isin(matrix, also.get(compartment, (compartment,)))
    if "dose" not in observations or "dose" not in sim.coords:
        return np.ones(int(rows.sum()))
    given = observations["dose"].values[rows].astype(float)
    ratio = given / float(np.median(sim["dose"].values))
    return np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)


def _draw_bands(
    ax: Axes | None,
    x: np.ndarray,
    band: tuple[np.ndarray, np.ndarray],
    seen: np.ndarray,
    samples: tuple[np.ndarray, np.ndarray],
    log: bool,
    corrected: bool,
    levels: tuple[float, float, float],
) -> Axes:
    """Bands and lines of three percentiles over time, (bins, 3) each."""
    ax = style.axes(ax, (6.4, 4.0))
    low, high = band
    unit = style.concentration_unit(np.concatenate([high.ravel(), samples[1]]))
    colors = (style.PALETTE[2], style.PALETTE[0], style.PALETTE[5])
    dashes = ("--", "-", "--")
    for k, level in enumerate(levels):
        label = f"simulated {100 * level:g} %" if k < 2 else f"simulated {100 * levels[2]:g} %"
        ax.fill_between(
            x,
            unit.factor * low[:, k],
            unit.factor * high[:, k],
            color=colors[k],
            alpha=0.3,
            linewidth=0,
            label=label,
        )
        ax.plot(
            x,
            unit.factor * seen[:, k],
            color=style.OBSERVED,
            linestyle=dashes[k],
            linewidth=1.5,
            marker="o",
            markersize=3,
            label=f"observed {100 * level:g} %",
            zorder=3,
        )
    ax.plot(
        samples[0],
        unit.factor * samples[1],
        linestyle="none",
        marker=".",
        markersize=3,
        color=style.GREY,
        alpha=0.5,
        label="samples",
    )
    style.quiet(ax)
    ax.set_xlabel("time [h]")
    what = "prediction-corrected concentration" if corrected else "concentration"
    ax.set_ylabel(f"{what} [{unit.label}]")
    style.hour_ticks(ax, 0.0, float(max(x.max(), samples[0].max())))
    values = unit.factor * np.concatenate([high.ravel(), seen.ravel(), samples[1]])
    positive = np.concatenate([low.ravel(), seen.ravel()]) * unit.factor
    if log and (positive > 0).any():
        style.log_limits(ax, float(positive[positive > 0].min()), float(values.max()))
    else:
        ax.set_ylim(0, 1.06 * float(values.max()))
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
