"""Tornado plot: how far an output moves when one parameter does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.arguments import check_real
from .._core.errors import InputError, SchemaError, unknown_name
from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _HEAD = 0.27, 1.2  # inches
_NAMES = {"auc": "AUC", "cmax": "Cmax"}


def tornado_plot(
    elasticities: xr.Dataset,
    metric: str = "auc",
    *,
    change: float = 0.2,
    most: int = 12,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Bars of the change of a metric when each parameter is lower or higher by `change`.

    The change follows from the exact derivative: a parameter that is multiplied by f multiplies
    the metric by f to the power of its elasticity. The largest bars come first. Of several
    subjects the median elasticity is drawn.

    Parameters
    ----------
    elasticities : Dataset
        Of :func:`pbpk_hybrid.estimation.elasticity`: ``elasticity`` over metric, subject and
        parameter.
    metric : str
        One of its metrics, "auc" or "cmax".
    change : float
        Fraction by which each parameter is changed, 0.2 for 20 %; between 0 and 1.
    most : int
        Parameters to show.
    title : str, optional
        Of the axes; None: which metric, and the change.
    ax : Axes, optional
        To draw on; None: a new figure.

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    SchemaError, UnknownNameError, InputError
        No elasticities, a metric that they do not have, a change outside (0, 1).
    """
    if not isinstance(elasticities, xr.Dataset) or "elasticity" not in elasticities:
        raise SchemaError(
            "elasticities", type(elasticities).__name__, "the Dataset of estimation.elasticity"
        )
    check_real("change", change, "a number between 0 and 1")
    if not 0 < change < 1:
        raise InputError("change", change, "a number between 0 and 1")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise InputError("most", most, "an integer > 0")
    known = [str(m) for m in elasticities["metric"].values]
    if metric not in known:
        raise unknown_name("metric", metric, known)
    values = elasticities["elasticity"].sel(metric=metric).median("subject")
    names, e = values["parameter"].values.astype(str), values.values
    order = np.argsort(-np.abs(e), kind="stable")[:most]
    names, e = names[order], e[order]
    if ax is None:
        ax = style.axes(None, (6.4, _HEAD + _ROW * len(names)))
    y = np.arange(len(names))[::-1]
    for sign, color in ((-1, style.PALETTE[1]), (1, style.PALETTE[0])):
        effect = 100 * ((1 + sign * change) ** e - 1)
        label = f"parameter {'+' if sign > 0 else '−'}{100 * change:g} %"
        ax.barh(y, effect, height=0.66, color=color, label=label, zorder=2)
    ax.axvline(0, color="#3c4043", linewidth=0.9, zorder=3)
    ax.set_yticks(y, [f"{n}  ({v:+.2f})" for n, v in zip(names, e, strict=True)])
    style.quiet(ax, grid="x")
    ax.tick_params(axis="y", length=0, labelsize="small")
    label = _NAMES.get(metric, metric)
    ax.set_xlabel(f"change of {label} [%]")
    text = f"{label}: effect of ±{100 * change:g} % of each parameter (elasticity)"
    ax.set_title(title if title is not None else text, fontsize="medium", loc="left")
    style.legend(ax, loc="lower right")
    return ax


__all__ = ["tornado_plot"]
