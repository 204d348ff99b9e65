"""A fit of an uploaded data set."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.errors import InputError
from ..compounds import get_compound
from ..dosing import read_nonmem
from ..estimation import Fit, Parameter, fit
from ..models import whole_body_system

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class FittedStudy:
    """A fit with its data, and what was assumed when they were read."""

    fit: Fit
    observed: xr.Dataset
    notes: tuple[str, ...]

    def curves(self) -> Figure:
        """Each person's curve through their samples."""
        from matplotlib.figure import Figure

        from ..plots.individual_profiles import individual_profiles, panel_size

        last = float(self.observed["time"].max())
        run = self.fit.simulate(times=np.linspace(0.0, last or 1.0, 161), compartments=["plasma"])
        figure = Figure(figsize=panel_size(min(run.sizes["subject"], 12)), layout="constrained")
        individual_profiles(run, self.observed, figure=figure, title="fitted curves")
        return figure


def estimate(content: bytes, compound: str, names: tuple[str, ...], route: str) -> FittedStudy:
    """Fit multiples of parameters, shared by all people, to a data set.

    Parameters
    ----------
    content
        Of a CSV file with the columns of NONMEM.
    compound
        Name of a compound in the database.
    names
        Parameters, such as "clint.liver".
    route
        Of doses whose compartment has no name.

    Raises
    ------
    InputError and its kin
        Data or names that cannot be used; the message names row and column.
    """
    from ..cli.data_set import people_of
    from ..cli.fit import after_the_first_dose

    if not names:
        raise InputError("parameters", names, "at least one")
    drug = get_compound(compound)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(content)
        table = read_nonmem(path, route=route)
    notes: list[str] = [str(n) for n in table.observations.attrs.get("notes", ())]
    people = people_of(table.covariates, "human", True, notes)
    observed = after_the_first_dose(table, notes)
    found = fit(
        whole_body_system(drug, people),
        observed,
        {name: Parameter(factor=True, targets=(name,)) for name in names},
        regimen=table.regimen,
        body_weight=people["body_weight"].values,
        lag_time=drug.absorption_lag_time or 0.0,
        error="proportional",
    )
    return FittedStudy(found, observed, tuple(notes))
