"""Concentration over time, simulated and observed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.errors import InputError
from ..results.curves import concentration, quantiles, subject_dose, succeeded
from . import style
from .observed import Observed, as_observations, read_observed, warn_of_others

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: lines that a spaghetti plot shows at most; more hide each other
MOST_LINES = 200


def time_profile(
    sim: xr.Dataset,
    observations: xr.Dataset | None = None,
    *,
    kind: str = "band",
    log: bool = False,
    compartment: str = "plasma",
    dose_normalise: bool = False,
    interval: tuple[float, float] = (0.05, 0.95),
    color: str = style.SIMULATED,
    label: str | None = None,
    legend: bool = True,
    unit: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Concentration over time in one compartment, with observations laid over it.

    Parameters
    ----------
    sim
        Simulation Dataset; subjects whose integration failed are left out.
    observations
        Observation Dataset, or a table or .csv of samples; samples below quantification are
        drawn at their limit, open and pointing down; means with a standard deviation get error
        bars.
    kind
        "band": median and the range between the two quantiles of `interval`;
        "spaghetti": a line per subject (at most 200 of them, evenly chosen) and the
        median.
    log
        Logarithmic concentration axis; values at or below zero are left out, with a
        warning except before the drug arrives.
    dose_normalise
        Divide each concentration by its dose.
    label
        Of the median in the legend; None: its own.
    unit
        Of the concentrations, such as "ng/mL" or "uM"; None: mg/L, ng/mL or pg/mL, in which
        the numbers are short.
    ax
        Axes to draw on; None: a new figure.

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    SchemaError, UnknownNameError, UnitError, InputError
        Data or options that cannot be drawn.

    Notes
    -----
    After an intravenous bolus the linear axis ends at what is left after five minutes, when the
    blood has mixed; a note says how high the curve began. A simulation whose times were chosen by
    the package is drawn until 0.5 % of its peak is left.

    Warns
    -----
    OutOfRangeWarning
        Zero or negative values on a log scale; observations of another compound,
        species or dose.
    """
    style.check_kind(kind, ("band", "spaghetti"))
    if not (len(interval) == 2 and 0 <= interval[0] < 0.5 < interval[1] <= 1):
        raise InputError("interval", interval, "two quantiles, one on each side of 0.5")
    low, middle, high = quantiles(
        sim, (interval[0], 0.5, interval[1]), compartment, per_dose=dose_normalise
    ).values
    observations = as_observations(observations)
    if observations is not None:
        warn_of_others(sim, observations, dose_normalise)
    points = (
        None if observations is None else read_observed(observations, compartment, dose_normalise)
    )
    ax = style.axes(ax)
    time = np.asarray(sim["time"].values, dtype=float)
    shown = (
        style.ShownUnit("1/L", 1.0)
        if dose_normalise
        else style.shown_unit(unit, sim, [high, [] if points is None else points.value])
    )
    low, middle, high = (shown.factor * values for values in (low, middle, high))
    if points is not None:
        points = replace(
            points, value=points.value * shown.factor, error=points.error * shown.factor
        )
    n = int(succeeded(sim).sum())
    if log:
        zero = style.before_arrival(np.stack([high]))[0]
        # a lower quantile may be zero for longer than the upper one: some people have no drug yet
        low, middle, high = (
            style.positive(v, f"the {compartment} concentration", zero | style.before_arrival(v))
            for v in (low, middle, high)
        )
    single_subject = n == 1
    if kind == "spaghetti" and not single_subject:
        _lines(ax, sim, time, compartment, log, dose_normalise, color, n, shown.factor)
    elif not single_subject:
        # where the lower edge is not positive the band reaches down to the frame of a log plot
        floor = (
            np.where(np.isnan(low) & ~np.isnan(high), np.nanmin(low, initial=np.inf), low)
            if log
            else low
        )
        percent = f"{100 * interval[0]:g}–{100 * interval[1]:g} % of n = {n}"
        ax.fill_between(
            time, floor, high, color=color, alpha=0.22, linewidth=0, label=percent, zorder=1.5
        )
    curve_label = "simulated" if single_subject else "simulated median"
    ax.plot(time, middle, color=color, linewidth=1.9, label=label or curve_label, zorder=2.5)
    if points is not None:
        _points(ax, points, log)
    _finish(ax, sim, compartment, shown, log, (low, middle, high), points)
    if legend:
        style.legend(ax, loc="upper right" if not log else "best")
    return ax


def _lines(ax, sim, time, compartment, log, per_dose, color, n, factor) -> None:
    from matplotlib.collections import LineCollection

    curve = concentration(sim, compartment)
    if per_dose:
        curve = curve / subject_dose(sim)
    values = curve.values[succeeded(sim)] * factor
    shown = np.unique(np.linspace(0, n - 1, min(n, MOST_LINES)).round().astype(int))
    values = values[shown]
    if log:
        values = style.positive(
            values, f"the {compartment} concentration", style.before_arrival(values)
        )
    segments = np.stack([np.broadcast_to(time, values.shape), values], axis=-1)
    alpha = float(np.clip(6.0 / np.sqrt(len(shown)) / 5.0, 0.12, 0.6))
    some = f"{len(shown)} of {n} subjects" if len(shown) < n else f"{n} subjects"
    ax.add_collection(
        LineCollection(
            list(segments), colors=color, linewidths=0.7, alpha=alpha, label=some, zorder=1.5
        )
    )
    ax.autoscale_view()


def _points(ax, points: Observed, log: bool) -> None:
    value = (
        style.positive(points.value, "the observations", points.time <= 0) if log else points.value
    )
    sure, below = ~points.censored, points.censored
    common = {"color": style.OBSERVED, "linestyle": "none", "zorder": 3}
    bars = sure & np.isfinite(points.error)
    if bars.any():
        lower = np.minimum(points.error[bars], value[bars] * (0.999 if log else 1.0))
        ax.errorbar(
            points.time[bars],
            value[bars],
            yerr=np.stack([lower, points.error[bars]]),
            fmt="none",
            ecolor=style.OBSERVED,
            elinewidth=0.9,
            capsize=2,
            alpha=0.7,
            zorder=2.8,
        )
    ax.plot(
        points.time[sure],
        value[sure],
        marker="o",
        markersize=4.2,
        markeredgecolor="white",
        markeredgewidth=0.5,
        label=points.label,
        **common,
    )
    if below.any():
        ax.plot(
            points.time[below],
            value[below],
            marker="v",
            markersize=4.2,
            markerfacecolor="none",
            markeredgecolor=style.OBSERVED,
            label="below quantification",
            **common,
        )


def _finish(ax, sim, compartment, shown, log, edges, points: Observed | None) -> None:
    style.quiet(ax)
    time = np.asarray(sim["time"].values, dtype=float)
    name = compartment.replace("_", " ")
    what = f"{name} concentration / dose" if shown.label == "1/L" else f"{name} concentration"
    ax.set_xlabel("time [h]")
    ax.set_ylabel(f"{what} [{shown.label}]")
    mixed = _after_mixing(sim, time, edges[2], points)
    first, last = float(time[0]), _horizon(sim, time, edges[2], None if log else mixed)
    values = np.concatenate([np.concatenate(edges), [] if points is None else points.value])
    if points is not None and points.time.size:
        first, last = (
            min(first, float(np.nanmin(points.time))),
            max(last, float(np.nanmax(points.time))),
        )
    style.hour_ticks(ax, first, last)
    finite = values[np.isfinite(values) & (values > 0)]
    if not finite.size:
        return
    if not log:
        if mixed < finite.max():
            text = f"begins at {finite.max():.3g} {shown.label}"
            ax.annotate(
                text,
                (0.02, 1.0),
                xycoords="axes fraction",
                fontsize="x-small",
                color=style.GREY,
                va="bottom",
            )
        ax.set_ylim(0, _upper_limit(time, edges, points, mixed))
        return
    # the steep first rise is left to run out of the frame: what counts on a log scale is the
    # decline
    low, middle, _ = edges
    after = low[int(np.nanargmax(middle)) :] if np.isfinite(middle).any() else low
    shown = [after[np.isfinite(after)]]
    if points is not None:
        shown.append(points.value[points.value > 0])
    joined = np.concatenate(shown)
    style.log_limits(
        ax, float(joined.min()) if joined.size else float(finite.min()), float(finite.max())
    )


#: share of the peak below which a curve is flat on a linear axis
_FLAT = 0.005
#: [h] after a bolus, until its blood has mixed with the rest
_MIXING = 5 / 60


def _horizon(sim, time: np.ndarray, high: np.ndarray, top: float | None) -> float:
    """Where the time axis ends: times that somebody chose are all drawn; of the package's own,
    those until nothing can be seen below `top` (None: on a logarithmic axis everything can).
    """
    if top is None or "time_grid" not in sim.attrs or not np.isfinite(high).any():
        return float(time[-1])
    visible = np.flatnonzero(high > _FLAT * top)
    return float(time[min(visible[-1] + 1, time.size - 1)]) if visible.size else float(time[-1])


def _after_mixing(sim, time: np.ndarray, high: np.ndarray, points: Observed | None) -> float:
    """The highest value that matters: after a bolus that of mixed blood, or of a sample."""
    highest = float(np.nanmax(high)) if np.isfinite(high).any() else 0.0
    if points is not None and points.value.size:
        highest = max(highest, float(np.nanmax(points.value)))
    if "dose_route" not in sim or "iv_bolus" not in sim["dose_route"].values.astype(str):
        return highest
    doses = np.unique(sim["dose_time"].values[np.isfinite(sim["dose_time"].values)])
    after = time[:, None] - doses[None, :]
    mixed = ~((after >= 0) & (after < _MIXING)).any(axis=1)
    left = high[mixed & np.isfinite(high)]
    if not left.size:
        return highest
    seen = float(left.max())
    if points is not None and points.value.size:
        seen = max(seen, float(np.nanmax(points.value)))
    # a curve that falls little is shown whole
    return seen if seen < 0.6 * highest else highest


def _upper_limit(time, edges, points: Observed | None, highest: float) -> float:
    """Top of a linear axis: higher where curves or samples would run into the legend,
    upper right.
    """
    middle = 0.5 * (time[0] + time[-1])
    tail = edges[2][time > middle]
    if points is not None:
        tail = np.concatenate([tail, points.value[points.time > middle]])
    tail = tail[np.isfinite(tail)]
    crowded = tail.size and tail.max() > 0.7 * highest
    return highest * (1.4 if crowded else 1.06)
