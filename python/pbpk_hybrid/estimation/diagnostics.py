"""Pictures of a fit: predicted against observed, residuals, profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..plots import style
from ..plots.goodness_of_fit import goodness_of_fit
from .fitting import Fit
from .population import PopulationFit
from .profiles import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_observed_predicted(
    found: Fit | PopulationFit, *, typical: bool = False, ax: Axes | None = None
) -> Axes:
    """Predicted over observed with the line of identity and the twofold band; censored
    observations are left out.

    Parameters
    ----------
    typical : of a hierarchical fit: predictions of the typical subject instead of each
        subject's own
    """
    ds = found.predictions()
    seen = ~ds["censored"].values
    name = "predicted_typical" if typical and "predicted_typical" in ds else "predicted"
    kinds = ds["compartment"].values[seen]
    groups = kinds if len(set(kinds)) > 1 else None
    return goodness_of_fit(ds[name].values[seen], ds["observed"].values[seen], groups=groups, ax=ax)


def plot_residuals(
    found: Fit | PopulationFit, *, against: str = "time", ax: Axes | None = None
) -> Axes:
    """Weighted residuals over time, or over the prediction.

    Parameters
    ----------
    against : "time" or "predicted"

    Raises
    ------
    UnknownNameError
    """
    from .._core.errors import unknown_name

    if against not in ("time", "predicted"):
        raise unknown_name("against", against, ("time", "predicted"))
    ds = found.predictions()
    seen = ~ds["censored"].values
    ax = style.axes(ax)
    x, r = ds[against].values[seen], ds["weighted_residual"].values[seen]
    ax.axhline(0.0, color=style.GREY, linewidth=1.0)
    ax.axhspan(
        -1.96,
        1.96,
        color=style.GREY,
        alpha=0.13,
        linewidth=0,
        label="95 % of a normal distribution",
    )
    ax.plot(
        x,
        r,
        linestyle="none",
        marker="o",
        markersize=4.5,
        color=style.OBSERVED,
        alpha=0.8,
        markeredgewidth=0,
    )
    if against == "predicted":
        ax.set_xscale("log")
    else:
        style.hour_ticks(ax, 0.0, float(x.max()))
    units = "h" if against == "time" else "mg/L"
    ax.set(xlabel=f"{against} [{units}]", ylabel="weighted residual")
    style.quiet(ax)
    style.legend(ax, loc="upper right")
    return ax


def plot_goodness_of_fit(
    found: Fit | PopulationFit, *, title: str | None = None, figure: Figure | None = None
) -> Figure:
    """Four panels: predicted over observed, residuals over time, over the prediction, and their
    distribution beside the normal one.

    Parameters
    ----------
    found : Fit or PopulationFit
    title : str, optional
        Above the figure; None: how many observations, and -2 log likelihood.
    figure : Figure, optional
        To draw on; None: a new one.

    Returns
    -------
    Figure
        The figure.
    """
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(9.0, 7.4), layout="constrained")
    (identity, time), (size, normal) = figure.subplots(2, 2)
    plot_observed_predicted(found, ax=identity)
    plot_residuals(found, against="time", ax=time)
    plot_residuals(found, against="predicted", ax=size)
    _quantiles(found, normal)
    n = found.facts["observations"]
    text = f"{n} observations, -2 log likelihood {found.minus_two_log:.2f}"
    figure.suptitle(text if title is None else title, fontsize="medium", x=0.012, ha="left")
    return figure


def _quantiles(found: Fit | PopulationFit, ax: Axes) -> None:
    """Weighted residuals over the quantiles of a normal distribution."""
    from scipy.special import ndtri

    ds = found.predictions()
    r = np.sort(ds["weighted_residual"].values[~ds["censored"].values])
    r = r[np.isfinite(r)]
    normal = ndtri((np.arange(r.size) + 0.5) / max(r.size, 1))
    reach = 1.1 * max(np.abs(np.concatenate([r, normal])).max(initial=1.0), 1.0)
    ax.plot([-reach, reach], [-reach, reach], color=style.GREY, linewidth=1.0)
    ax.plot(normal, r, linestyle="none", marker="o", markersize=4.5, color=style.OBSERVED)
    ax.set(xlabel="normal quantile", ylabel="weighted residual")
    style.quiet(ax)


def plot_profile(profile: Profile, *, ax: Axes | None = None) -> Axes:
    """Rise of -2 log likelihood along one parameter, with the threshold and the interval."""
    ax = style.axes(ax)
    ax.plot(profile.values, profile.rise, marker="o", markersize=3.5, color=style.SIMULATED)
    ax.axhline(
        profile.threshold,
        color=style.GREY,
        linestyle="--",
        linewidth=1.0,
        label=f"{100 * profile.level:g} %",
    )
    for end in (profile.lower, profile.upper):
        if np.isfinite(end):
            ax.axvline(end, color=style.OBSERVED, linewidth=1.0)
    ax.set(
        xlabel=profile.name, ylabel="rise of -2 log likelihood", ylim=(0, 3.0 * profile.threshold)
    )
    style.quiet(ax)
    style.legend(ax, loc="upper center")
    return ax
