r"""Predicted against observed, with the fold error.

.. math::

    AAFE = 10^{\frac{1}{n}\sum |\log_{10}(p_i/o_i)|},
    \qquad AFE = 10^{\frac{1}{n}\sum \log_{10}(p_i/o_i)}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import InputError
from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEXT_COLOUR = "#3c4043"


def goodness_of_fit(
    predicted: Any,
    observed: Any,
    *,
    groups: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    quantity: str = "concentration",
    units: str = "mg/L",
    fold: float = 2.0,
    statistics: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Predicted over observed on equal log axes, with the line of identity and the band of `fold`.

    Parameters
    ----------
    predicted, observed
        (n,) in the same unit.
    groups
        (n,) labels; one colour and marker each.
    names
        (n,) texts written beside the points that lie outside the band.
    quantity, units
        What is compared, for the axes.
    fold
        Half width of the band, > 1.
    statistics
        Write n, the share within the band, AAFE and AFE into a corner.
    ax
        Axes to draw on; None: a new figure.

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    InputError
        Different lengths, nothing to draw, or fold <= 1.

    Warns
    -----
    OutOfRangeWarning
        Zero or negative values, which a log scale cannot show; they are left out of the
        statistics too.
    """
    p, o = _pairs(predicted, observed, fold, groups, names)
    known = np.isfinite(p) & np.isfinite(o)
    if not known.any():
        raise InputError("predicted", p, "at least one pair of positive values")
    ax = style.axes(ax, (4.4, 4.2))
    margin = 1.8 if names is None else 3.5  # space for the names
    low = min(p[known].min(), o[known].min()) / margin
    high = max(p[known].max(), o[known].max()) * margin
    _draw_band(ax, np.array([low, high]), fold)
    labels = np.full(p.size, "") if groups is None else np.asarray(groups).astype(str)
    _draw_groups(ax, p[known], o[known], labels[known], list(dict.fromkeys(labels)))
    log_error = np.log10(p[known] / o[known])
    if names is not None:
        texts = np.asarray(names).astype(str)[known]
        _name_outliers(ax, p[known], o[known], texts, log_error, fold)
    ax.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
        xlabel=f"observed {quantity} [{units}]",
        ylabel=f"predicted {quantity} [{units}]",
    )
    style.quiet(ax)
    if statistics:
        _write_statistics(ax, log_error, fold)
    style.legend(ax, loc="upper left")
    return ax


def _pairs(
    predicted: Any, observed: Any, fold: float, groups: Any, names: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Both (n,), NaN where a value is not positive; checks that all arguments fit each other."""
    p, o = np.asarray(predicted, dtype=float).ravel(), np.asarray(observed, dtype=float).ravel()
    if p.shape != o.shape or not p.size:
        raise InputError(
            "observed", o.shape, f"as many values as predicted ({p.size}), and at least one"
        )
    if not fold > 1:
        raise InputError("fold", fold, "a number > 1")
    for field, labels in (("groups", groups), ("names", names)):
        if labels is not None and len(labels) != p.size:
            raise InputError(field, len(labels), f"{p.size} labels, one per value")
    return style.positive(p, "the predictions"), style.positive(o, "the observations")


def _draw_band(ax: Axes, line: np.ndarray, fold: float) -> None:
    """The band of `fold` and the line of identity, between the two ends of `line`."""
    ax.fill_between(
        line,
        line / fold,
        line * fold,
        color=style.GREY,
        alpha=0.13,
        linewidth=0,
        label=f"within {fold:g}-fold",
    )
    ax.plot(line, line, color=style.GREY, linewidth=1.0, label="identity")


def _draw_groups(
    ax: Axes, p: np.ndarray, o: np.ndarray, labels: np.ndarray, groups: list[str]
) -> None:
    """The points, one colour and marker for each group."""
    for i, group in enumerate(groups):
        in_group = labels == group
        ax.plot(
            o[in_group],
            p[in_group],
            linestyle="none",
            marker=style.MARKERS[i % len(style.MARKERS)],
            markersize=5.5,
            color=style.PALETTE[i % len(style.PALETTE)],
            markeredgecolor="white",
            markeredgewidth=0.5,
            alpha=0.9,
            label=group or None,
            zorder=3,
        )


def _name_outliers(
    ax: Axes,
    p: np.ndarray,
    o: np.ndarray,
    texts: np.ndarray,
    log_error: np.ndarray,
    fold: float,
) -> None:
    """The names of the points outside the band, written away from it."""
    for j in np.flatnonzero(np.abs(log_error) > np.log10(fold)):
        above = log_error[j] > 0
        ax.annotate(
            texts[j],
            (o[j], p[j]),
            xytext=(-5, 3) if above else (5, -3),
            fontsize="x-small",
            textcoords="offset points",
            ha="right" if above else "left",
            va="bottom" if above else "top",
            color=_TEXT_COLOUR,
        )


def _write_statistics(ax: Axes, log_error: np.ndarray, fold: float) -> None:
    """n, the share within the band, AAFE and AFE in the lower right corner."""
    within = 100 * np.mean(~(np.abs(log_error) > np.log10(fold)))
    text = (
        f"n = {log_error.size}\n{within:.0f} % within {fold:g}-fold\n"
        f"AAFE {10 ** np.mean(np.abs(log_error)):.2f}, AFE {10 ** np.mean(log_error):.2f}"
    )
    ax.text(
        0.97,
        0.03,
        text,
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        fontsize="small",
        color=_TEXT_COLOUR,
    )
