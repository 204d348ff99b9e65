"""People like a pasted demographics table, and what their table looks like."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from .._core.errors import InputError
from ..physiology import sample_population
from ..plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: of the dots behind the people
_SURVEY = 800


def people_like(table: str, n: int, seed: int, where: str = "") -> xr.Dataset:
    """People like a table; text as it is pasted from a paper, or lines of "age: 34 ± 8".

    Raises
    ------
    InputError
        No text, or a table that cannot be understood or met.
    """
    if not table.strip():
        raise InputError("table", table, 'lines such as "age: 34 ± 8 (21-52)"')
    return sample_population(n, like=table, where=where or None, seed=seed)


def people_figure(people: xr.Dataset, horizontal: str, vertical: str) -> Figure:
    """Two quantities of the people over those of adults of the survey."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    style.quiet(ax)
    anybody = sample_population(_SURVEY, seed=0)
    ax.plot(anybody[horizontal], anybody[vertical], ".", color="0.75", label="adults of the survey")
    for sex, color in (("female", "#D55E00"), ("male", "#0072B2")):
        some = people.isel(subject=(people["sex"] == sex).values)
        ax.plot(some[horizontal], some[vertical], ".", color=color, label=f"{sex}, like the table")
    for axis, name in ((ax.xaxis, horizontal), (ax.yaxis, vertical)):
        unit = people[name].attrs.get("units", "")
        axis.set_label_text(f"{name.replace('_', ' ')} [{unit}]")
    ax.legend(frameon=False, fontsize="small")
    return figure


def people_netcdf(people: xr.Dataset) -> bytes:
    """The people as a netCDF file, for ``--population`` and ``simulate``."""
    from ..results import save_results

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.nc"
        save_results(people, path)
        return path.read_bytes()
