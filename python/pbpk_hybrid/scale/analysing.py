"""Noncompartmental analysis of a store of any size into another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, SchemaError
from .cohort import fingerprint, with_attrs
from .run import Work, run_work
from .store import open_cohort, run_record

_TEMPLATE = 4
_READ = ("concentration", "dose", "status")  # and the dose records and areas
_TEXT = "flag_reasons"  # says in words what `flags` says in bits; too wide for a million rows


@dataclass(frozen=True)
class Analysis:
    """NCA of the subjects of a simulation on disk."""

    path: str
    subjects: int
    dose: Any
    route: str | None
    infusion_duration: Any
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of subjects."""
        return self.subjects

    def labels(self) -> np.ndarray:
        """(n,) names of the subjects."""
        return open_cohort(self.path)["subject"].values

    def template(self) -> xr.Dataset:
        """The first subjects."""
        few = self.blocks(0, min(_TEMPLATE, self.subjects))
        return with_attrs(few, {**few.attrs, "simulation": Path(self.path).name})

    def blocks(self, first: int, last: int) -> xr.Dataset:
        """Subjects first to last."""
        from ..nca import nca

        ds = open_cohort(self.path).isel(subject=slice(first, last))
        needed = [
            v
            for v in map(str, ds.variables)
            if v in _READ or v.startswith(("dose_", "cumulative_"))
        ]
        part = ds[needed].load()
        if np.ndim(self.dose) == 1 and not isinstance(self.dose, str):
            dose: Any = np.asarray(self.dose, dtype=float)[first:last]
        else:
            dose = self.dose
        return nca(part, dose, self.route, self.infusion_duration, **self.keywords).drop_vars(_TEXT)

    def part(self, first: int, last: int) -> Work:
        """All of it: the worker reads its subjects from the store."""
        return self

    def request(self) -> dict[str, Any]:
        """What identifies the run, as plain JSON."""
        dose = (
            self.dose
            if self.dose is None or isinstance(self.dose, str)
            else np.asarray(self.dose, float).tolist()
        )
        record = run_record(self.path)
        return {
            "work": "nca",
            "simulation": record or fingerprint(open_cohort(self.path)),
            "dose": dose,
            "route": self.route,
            "infusion_duration": repr(self.infusion_duration),
            "keywords": repr(sorted(self.keywords.items())),
        }


def nca_cohort(
    simulation: str | os.PathLike,
    dose: Any = None,
    route: str | None = None,
    infusion_duration: Any = None,
    *,
    store: str | os.PathLike,
    chunks: int = 10_000,
    client: Any = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    **keywords: Any,
) -> xr.Dataset:
    """Noncompartmental analysis of every subject of a store, in bounded memory.

    Parameters
    ----------
    simulation : str or path
        Store that :func:`simulate_cohort` has completed.
    dose, route, infusion_duration
        As in :func:`pbpk_hybrid.nca`, for stores of older versions, which have no dose records.
        A dose for each subject is an array (n_subjects,) [mg].
    store, chunks, client, workers, overwrite, progress
        As in :func:`simulate_cohort`. The same call finishes a run that was stopped.
    **keywords
        Further keywords of :func:`pbpk_hybrid.nca`: lloq, compartment, compound, options.

    Returns
    -------
    xarray.Dataset
        As from :func:`pbpk_hybrid.nca`, without ``flag_reasons``; dask arrays on the store.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used, before any worker starts.
    StoreError
        The simulation is missing or incomplete; otherwise as :func:`simulate_cohort`.
    """
    path = Path(simulation).expanduser().absolute()
    ds = open_cohort(path)
    if "concentration" not in ds.variables or "subject" not in ds.dims:
        raise SchemaError("simulation", str(path), "a store of schema simulation")
    n = ds.sizes["subject"]
    if np.ndim(dose) > 1 or (np.ndim(dose) == 1 and len(dose) != n):
        raise InputError("dose", np.shape(dose), f"one dose, or one for each of {n} subjects")
    work = Analysis(str(path), n, dose, route, infusion_duration, keywords)
    return run_work(
        work,
        store,
        chunks=chunks,
        client=client,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )
