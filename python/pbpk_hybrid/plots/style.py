"""What all figures share: colours that colour-blind readers can tell apart, quiet axes,
ticks in hours, log scales.

Colours: Okabe & Ito (2008) Color Universal Design, https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import InputError, OutOfRangeWarning

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SIMULATED, OBSERVED = PALETTE[0], PALETTE[1]
#: one more than colours, so that the two together differ 56 times before they repeat
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
GREY = "#5f6368"
#: steps between ticks of a time axis [h]
_HOURS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 6, 12, 24, 48, 72, 168, 336, 672, 1344, 2688, 8760)


@dataclass(frozen=True)
class ShownUnit:
    """A unit of an axis, and what values in mg/L are multiplied by."""

    label: str
    factor: float


#: mg/L, what clinical papers write for less (ng/mL), and for traces
_UNITS = (ShownUnit("mg/L", 1.0), ShownUnit("ng/mL", 1e3), ShownUnit("pg/mL", 1e6))


def concentration_unit(values: np.ndarray) -> ShownUnit:
    """The unit in which the largest of `values` [mg/L] is a number that people read: at least
    0.1 mg/L, else 0.1 ng/mL, else pg/mL.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    highest = float(finite.max()) if finite.size else 0.0
    if highest <= 0:
        return _UNITS[0]
    return next((u for u in _UNITS if highest * u.factor >= 0.1), _UNITS[-1])


def shown_unit(unit: str | None, sim: xr.Dataset, values: Sequence[Any]) -> ShownUnit:
    """The unit that was asked for, else the one in which `values` [mg/L] read well.

    Raises
    ------
    UnitError
        A unit that is none of concentration, or molar without a molar mass.
    """
    if unit is None:
        return concentration_unit(np.concatenate([np.ravel(v) for v in values]))
    from ..results.curves import factor_to

    return ShownUnit(unit, factor_to(sim, unit))


def unit_of_axes(ax: Axes) -> float:
    """What mg/L is multiplied by on axes that :func:`.time_profile` drew."""
    label = ax.get_ylabel().rpartition("[")[2].rstrip("]")
    return next((u.factor for u in _UNITS if u.label == label), 1.0)


def axes(ax: Axes | None, size: tuple[float, float] = (5.2, 3.6)) -> Axes:
    """The given axes, or those of a new figure.

    Raises
    ------
    InputError
        Something that is not a matplotlib Axes.
    """
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise InputError("ax", type(ax).__name__, "a matplotlib Axes or None")
    return ax


def quiet(ax: Axes, grid: str = "both") -> None:
    """Open frame, light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#9aa0a6")
    ax.tick_params(colors="#3c4043", which="both")
    ax.tick_params(which="minor", length=2)
    ax.grid(True, which="major", axis=grid, color="#e8eaed", linewidth=0.7)
    ax.set_axisbelow(True)


def hour_ticks(ax: Axes, first: float, last: float, most: int = 8) -> None:
    """At most `most` ticks at hours that people think in."""
    from matplotlib.ticker import MultipleLocator

    span = last - first
    if not span > 0:
        return
    step = next((s for s in _HOURS if span / s <= most), None)
    if step is not None:
        ax.xaxis.set_major_locator(MultipleLocator(step))
    ax.set_xlim(first - 0.015 * span, last + 0.02 * span)


def legend(ax: Axes, **kwargs: Any) -> None:
    """A legend without a frame that keeps off the data as far as matplotlib can tell."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        solid(
            ax.legend(handles, labels, frameon=False, fontsize="small", handlelength=1.6, **kwargs)
        )


def solid(box: Any) -> None:
    """Faint lines are faint because there are many; the one in the legend is not."""
    from matplotlib.collections import LineCollection

    for handle in box.legend_handles:
        if isinstance(handle, LineCollection):
            handle.set_alpha(0.7)


def positive(values: np.ndarray, what: str, expected_zero: np.ndarray | None = None) -> np.ndarray:
    """Values for a log axis: what is not above zero becomes NaN, with a warning unless
    it is an expected zero.

    Parameters
    ----------
    expected_zero
        Bool, like `values`: places where nothing has reached the compartment yet, so
        zero says nothing.
    """
    with np.errstate(invalid="ignore"):
        bad = values <= 0
    strange = bad if expected_zero is None else bad & ~(expected_zero & (values == 0))
    n = int(np.count_nonzero(strange))
    if n:
        warnings.warn(
            f"{n} values of {what} are zero or negative and left out of the log scale",
            OutOfRangeWarning,
            stacklevel=4,
        )
    return np.where(bad, np.nan, values)


def before_arrival(curves: np.ndarray) -> np.ndarray:
    """True up to the first value above zero along the last axis."""
    return np.cumsum(np.nan_to_num(curves) > 0, axis=-1) == 0


def log_limits(ax: Axes, lowest: float, highest: float) -> None:
    """A log axis that shows the data and at most six decades of it."""
    ax.set_yscale("log")
    if np.isfinite(lowest) and np.isfinite(highest) and highest > 0:
        bottom = max(lowest / 1.6, highest * 1e-6)
        ax.set_ylim(bottom, highest * 1.6)
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        ax.yaxis.set_minor_formatter(NullFormatter())
        if highest / bottom < 1e4:  # plain numbers read better than powers while they are short
            ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        if highest / bottom < 30:  # less than a decade and a half: powers of ten alone are too few
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def check_kind(kind: str, known: tuple[str, ...]) -> str:
    """`kind` if it is one of the known ones.

    Raises
    ------
    UnknownNameError
        Otherwise.
    """
    from .._core.errors import unknown_name

    if kind not in known:
        raise unknown_name("kind", kind, known)
    return kind
