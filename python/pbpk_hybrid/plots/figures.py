"""Whole figures, and their files."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.basis import basis_in_words
from .._core.errors import InputError
from .._core.files import atomic_path
from ..results.curves import succeeded
from .observed import as_observations
from .time_profile import time_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")


def profile_figure(
    sim: xr.Dataset,
    observations: xr.Dataset | None = None,
    *,
    kind: str = "band",
    compartment: str = "plasma",
    dose_normalise: bool = False,
    title: str | None = None,
    unit: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Concentration over time on a linear and on a log axis, side by side, with a title
    of compound, dose and n.

    A line below says what clearance and distribution stand on, where the Dataset tells.

    Parameters
    ----------
    sim, observations, kind, compartment, dose_normalise
        As in :func:`time_profile`.
    title
        None: from the Dataset.
    unit
        As in :func:`time_profile`.
    figure
        Figure to draw on; None: a new one.

    Returns
    -------
    Figure
        The figure.
    """
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(9.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    options = {
        "kind": kind,
        "compartment": compartment,
        "dose_normalise": dose_normalise,
        "unit": unit,
    }
    observations = as_observations(observations)
    time_profile(sim, observations, **options, ax=left)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the observations are")  # said once, on the left
        time_profile(sim, observations, **options, log=True, legend=False, ax=right)
    right.set_ylabel(f"{left.get_ylabel()}, log", fontsize="small")
    figure.suptitle(title or _title(sim), fontsize="large", x=0.012, ha="left")
    if basis := basis_in_words(sim.attrs):
        figure.supxlabel(basis, fontsize="x-small", color="0.35", x=0.012, ha="left")
    return figure


def _title(sim: xr.Dataset) -> str:
    parts = [str(sim.attrs.get("compound", "")), _dose(sim)]
    n = int(succeeded(sim).sum())
    species = str(sim.attrs.get("species", ""))
    parts.append(f"{n} {species + ' ' if species else ''}subject{'s' if n != 1 else ''}")
    return ", ".join(p for p in parts if p)


def _dose(sim: xr.Dataset) -> str:
    if "dose" not in sim.variables:
        return ""
    dose = np.asarray(sim["dose"].values, dtype=float)
    low, high = np.nanmin(dose), np.nanmax(dose)
    return f"{low:.3g} mg" if np.isclose(low, high) else f"{low:.3g} to {high:.3g} mg"


def save_figure(figure: Figure | Axes, path: str | os.PathLike, *, dpi: int = 200) -> Path:
    """Write a figure (or the figure of some axes) as PNG, SVG or PDF; the file appears
    whole or not at all.

    Raises
    ------
    InputError
        Another ending, or a place that cannot be written.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in FORMATS:
        raise InputError("path", str(target), "a name that ends in " + ", ".join(FORMATS))
    whole = figure if hasattr(figure, "savefig") else getattr(figure, "figure", None)
    if whole is None or not hasattr(whole, "savefig"):
        raise InputError("figure", type(figure).__name__, "a matplotlib Figure or Axes")
    with atomic_path(target) as draft:
        whole.savefig(draft, dpi=dpi, format=target.suffix.lower()[1:])
    return target
