"""Simulate an imported model (PK-Sim, SBML, equations) in a population of any size."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr

from .._core.errors import InputError, SubjectFailedWarning
from ..solvers import SolverOptions
from .cohort import BLOCK, fingerprint, request_text
from .run import run_work
from .study import _TEMPLATE

if TYPE_CHECKING:
    import pandas as pd


class PopulationModel(Protocol):
    """What a model has to offer; every model of :mod:`pbpk_hybrid.interchange` does."""

    @property
    def ode(self) -> Any:
        """The equations, which have a ``digest()``."""

    @property
    def times(self) -> np.ndarray:
        """Times that the model's file asks for."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs that the model's file asks for."""

    def individuals(self, population: Any) -> Any:
        """Labels (n,), values (name -> (n,)) and covariates of a population table."""

    def simulate(self, times: Any = None, **keywords: Any) -> xr.Dataset:
        """Results of schema ``simulation``."""


@dataclass(frozen=True)
class ModelStudy:
    """Everything the numbers depend on, in a form that is sent to workers."""

    model: PopulationModel
    table: xr.Dataset  # over subject: one variable for each parameter or covariate
    times: np.ndarray | None
    keywords: Mapping[str, Any]  # outputs, unit and options of model.simulate
    first: int = 0  # number of the first individual of `table` among all

    @property
    def n(self) -> int:
        """Number of individuals."""
        return self.table.sizes["subject"]

    def labels(self) -> np.ndarray:
        """(n,) names of the individuals."""
        return self.table["subject"].values

    def template(self) -> xr.Dataset:
        """The result for the first few individuals."""
        few = self._simulate(self.table.isel(subject=slice(0, _TEMPLATE)))
        few.attrs.pop("failed_subjects", None)
        return few.assign_attrs(block=BLOCK)

    def blocks(self, first: int, last: int) -> xr.Dataset:
        """Simulate individuals first to last, block by block.

        The absolute tolerance goes by the largest amount among those simulated together, so
        that a block has to be simulated by itself to have the same numbers in any chunk.
        """
        starts = range(first - self.first, last - self.first, BLOCK)
        rows = [slice(a, min(a + BLOCK, last - self.first)) for a in starts]
        parts = [self._simulate(self.table.isel(subject=r)) for r in rows]
        if len(parts) == 1:
            return parts[0]
        same = {"data_vars": "minimal", "coords": "minimal", "compat": "override"}
        return xr.concat(parts, dim="subject", **same)

    def _simulate(self, people: xr.Dataset) -> xr.Dataset:
        import pandas as pd

        columns = {str(name): people[name].values for name in people.data_vars}
        table = pd.DataFrame({"IndividualId": people["subject"].values, **columns})
        with warnings.catch_warnings():
            # counted, and reported once at the end
            warnings.simplefilter("ignore", SubjectFailedWarning)
            found = self.model.simulate(self.times, population=table, **self.keywords)
        # covariates with the type that they have in the whole population, as wide as its texts
        same = {n: people[n].variable for n in people.data_vars if n in found.variables}
        return found.assign({n: v for n, v in same.items() if found[n].dtype.kind in "OU"})

    def part(self, first: int, last: int) -> ModelStudy:
        """What a worker needs for individuals first to last: only those."""
        people = self.table.isel(subject=slice(first - self.first, last - self.first))
        return dataclasses.replace(self, table=people, first=first)

    def request(self) -> dict[str, Any]:
        """What identifies the run, as plain JSON."""
        return {
            "model": self.model.ode.digest(),
            "population": fingerprint(self.table),
            # of two files with the same equations each may ask for other times and outputs
            "of_the_file": [self.model.times.tolist(), list(self.model.outputs)],
            "times": None if self.times is None else self.times.tolist(),
            "keywords": request_text(self.keywords),
        }


def _plain(column: Any) -> np.ndarray:
    """A column without Python objects, which no store takes."""
    values = np.asarray(column)
    return values.astype(str) if values.dtype.kind == "O" else values


def simulate_model_cohort(
    model: PopulationModel,
    population: pd.DataFrame | str | os.PathLike,
    times: Sequence[float] | np.ndarray | None = None,
    *,
    store: str | os.PathLike,
    outputs: str | Sequence[str] | None = None,
    unit: str | None = None,
    options: SolverOptions | None = None,
    chunks: int = 10_000,
    client: Any = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Simulate an imported model in a population of any size, chunk by chunk into a store.

    The same call finishes a run that was stopped for any reason. The numbers do not depend on
    `chunks`, on the number of workers or on interruptions.

    Parameters
    ----------
    model : PKSimModel, SBMLModel or WrittenModel
        Of :mod:`pbpk_hybrid.interchange`.
    population : DataFrame or path
        Columns are names (paths) of parameters and ``IndividualId``; PK-Sim's population CSV.
    times : sequence of float, h, optional
        None: those that the model's file asks for.
    store : str or path
        Name of the zarr store; ends in ``.zarr``.
    outputs, unit, options
        As in ``model.simulate``. Without `options.threads` each process uses one thread.
    chunks, client, workers, overwrite, progress
        As in :func:`simulate_cohort`.

    Returns
    -------
    xarray.Dataset
        Schema ``simulation`` with dask arrays on the store.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used, before any worker starts.
    StoreError
        The store is in use or belongs to another run, or the disk is full.

    Warns
    -----
    SubjectFailedWarning
        Individuals whose integration failed.
    NoEffectWarning
        Columns of the population that are no names of the model.
    """
    for name in ("individuals", "simulate", "ode"):
        if not hasattr(model, name):
            raise InputError(
                "model",
                type(model).__name__,
                "a model of pbpk_hybrid.interchange",
                hint="compounds of the package: simulate_cohort",
            )
    options = options or SolverOptions()
    if options.threads is None:
        # one process per core: threads inside would only compete
        options = dataclasses.replace(options, threads=1)
    people = model.individuals(population)
    if people is None:
        raise InputError("population", population, "a table of individuals, or its file")
    columns = {**people.values, **people.covariates}
    table = xr.Dataset(
        {name: ("subject", _plain(column)) for name, column in columns.items()},
        coords={"subject": _plain(people.labels)},
    )
    keywords = {"outputs": outputs, "unit": unit, "options": options}
    hours = None if times is None else np.asarray(times, dtype=float)
    return run_work(
        ModelStudy(model, table, hours, keywords),
        store,
        chunks=chunks,
        client=client,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )
