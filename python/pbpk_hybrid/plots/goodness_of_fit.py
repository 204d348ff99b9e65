r"""Predicted against observed, with the fold error.

.. math:: AAFE = 10^{\frac{1}{n}\sum |\log_{10}(p_i/o_i)|}, \qquad AFE = 10^{\frac{1}{n}\sum \log_{10}(p_i/o_i)}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import InputError
from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    predicted, observed : (n,) in the same unit
    groups : (n,) labels; one colour and marker each
    names : (n,) texts written beside the points that lie outside the band
    quantity, units : what is compared, for the axes
    fold : half width of the band, > 1
    statistics : write n, the share within the band, AAFE and AFE into a corner
    ax : axes to draw on; None: a new figure

    Returns
    -------
    the axes

    Raises
    ------
    InputError : different lengths, nothing to draw, or fold <= 1

    Warns
    -----
    OutOfRangeWarning : zero or negative values, which a log scale cannot show; they are left out of the statistics too
    """
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
    p, o = style.positive(p, "the predictions"), style.positive(o, "the observations")
    known = np.isfinite(p) & np.isfinite(o)
    if not known.any():
        raise InputError("predicted", p, "at least one pair of positive values")
    ax = style.axes(ax, (4.4, 4.2))
    margin = 1.8 if names is None else 3.5  # room for the names
    low, high = (
        min(p[known].min(), o[known].min()) / margin,
        max(p[known].max(), o[known].max()) * margin,
    )
    line = np.array([low, high])
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
    kinds = np.full(p.size, "") if groups is None else np.asarray(groups).astype(str)
    for i, kind in enumerate(dict.fromkeys(kinds)):
        of_kind = known & (kinds == kind)
        ax.plot(
            o[of_kind],
            p[of_kind],
            linestyle="none",
            marker=style.MARKERS[i % len(style.MARKERS)],
            markersize=5.5,
            color=style.PALETTE[i % len(style.PALETTE)],
            markeredgecolor="white",
            markeredgewidth=0.5,
            alpha=0.9,
            label=kind or None,
            zorder=3,
        )
    error = np.log10(p[known] / o[known])
    outside = np.abs(error) > np.log10(fold)
    if names is not None:
        texts = np.asarray(names).astype(str)[known]
        for j in np.flatnonzero(outside):
            above = error[j] > 0  # away from the band, where there is room
            ax.annotate(
                texts[j],
                (o[known][j], p[known][j]),
                xytext=(-5, 3) if above else (5, -3),
                fontsize="x-small",
                textcoords="offset points",
                ha="right" if above else "left",
                va="bottom" if above else "top",
                color="#3c4043",
            )
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
        share = 100 * np.mean(~outside)
        text = (
            f"n = {error.size}\n{share:.0f} % within {fold:g}-fold\n"
            f"AAFE {10 ** np.mean(np.abs(error)):.2f}, AFE {10 ** np.mean(error):.2f}"
        )
        ax.text(
            0.97,
            0.03,
            text,
            transform=ax.transAxes,
            ha="right",
            va="bottom",
            fontsize="small",
            color="#3c4043",
        )
    style.legend(ax, loc="upper left")
    return ax
