"""Forecasts of any number of patients into a store."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, SchemaError
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from .cohort import BLOCK, concatenated, fingerprint, request_text, with_attrs
from .run import run_work

_EVERYONE = -1  # subject of a regimen's records that are for all


@dataclass(frozen=True)
class Forecasting:
    """Patients, with their covariates, samples and doses."""

    checkpoint: str | None
    observation: xr.Dataset
    regimen: Regimen  # subjects by their position among the patients
    physiology: xr.Dataset
    times: np.ndarray
    keywords: Mapping[str, Any] = field(default_factory=dict)
    first: int = 0  # patient that `physiology` begins with
    computing: tuple[str, str] = ("cpu", "float32")  # device and precision of the network

    @property
    def n(self) -> int:
        """Number of patients."""
        return self.physiology.sizes["subject"]

    def labels(self) -> np.ndarray:
        """(n,) names of the patients."""
        return self.physiology["subject"].values

    def template(self) -> xr.Dataset:
        """The first patients, with attributes of all."""
        few = self._forecast(0, min(2, self.n))
        return with_attrs(
            few, {k: v for k, v in few.attrs.items() if k != "ignored_samples"} | {"block": BLOCK}
        )

    def blocks(self, first: int, last: int) -> xr.Dataset:
        """Patients first to last, in blocks.

        The rounding of a network's sums may depend on the patients of one batch: equal blocks
        give equal numbers.
        """
        starts = range(first, last, BLOCK)
        return concatenated(
            [self._forecast(a - self.first, min(a + BLOCK, last) - self.first) for a in starts]
        )

    def _forecast(self, first: int, last: int) -> xr.Dataset:
        part = self.part(first + self.first, last + self.first)
        ids = np.array(_numbers(part.physiology["subject"].values))
        columns = dict(part.regimen.columns)
        columns["subject"] = np.where(
            columns["subject"] == _EVERYONE, _EVERYONE, ids[columns["subject"]]
        )
        return _forecaster(self.checkpoint, *self.computing).forecast(
            part.observation if part.observation.sizes["sample"] else None,
            Regimen(columns, span=part.regimen.span),
            part.physiology,
            times=self.times,
            **self.keywords,
        )

    def part(self, first: int, last: int) -> Forecasting:
        """Only these patients, their samples and their doses, counted from `first`."""
        a, b = first - self.first, last - self.first
        people = self.physiology.isel(subject=slice(a, b))
        names = set(people["subject"].values.astype(str).tolist())
        mine = np.array(
            [s in names for s in self.observation["subject"].values.astype(str).tolist()],
            dtype=bool,
        )
        columns = self.regimen.columns
        who = columns["subject"]
        rows = (who == _EVERYONE) | ((who >= a) & (who < b))
        kept = {name: values[rows] for name, values in columns.items()}
        kept["subject"] = np.where(kept["subject"] == _EVERYONE, _EVERYONE, kept["subject"] - a)
        return Forecasting(
            self.checkpoint,
            self.observation.isel(sample=np.flatnonzero(mine)),
            Regimen(kept, span=self.regimen.span),
            people,
            self.times,
            self.keywords,
            first,
            self.computing,
        )

    def request(self) -> dict[str, Any]:
        """What identifies the run, as plain JSON."""
        return {
            "work": "forecast",
            "checkpoint": self.checkpoint,
            "observation": fingerprint(self.observation),
            "regimen": fingerprint(self.regimen.to_dataset()),
            "physiology": fingerprint(self.physiology),
            "times": self.times.tolist(),
            "keywords": request_text(self.keywords),
            # another precision gives other numbers; on the CPU as before
            **({} if self.computing == ("cpu", "float32") else {"computing": self.computing}),
        }


def _numbers(labels: np.ndarray) -> list[int]:
    """Numbers by which a regimen names subjects."""
    from ..learn.transformer import subject_ids

    return subject_ids(labels.astype(str).tolist())


def _by_position(regimen: Regimen, labels: np.ndarray) -> Regimen:
    """The regimen with subjects numbered by their position among the patients."""
    position = {number: i for i, number in enumerate(_numbers(labels))}
    who = regimen.columns["subject"]
    strangers = sorted(set(who.tolist()) - {_EVERYONE, *position})
    if strangers:
        raise InputError("regimen.subject", strangers[0], "a subject of the physiology Dataset")
    return Regimen(
        {**regimen.columns, "subject": [position.get(int(s), _EVERYONE) for s in who]},
        span=regimen.span,
    )


@functools.lru_cache(maxsize=1)
def _forecaster(checkpoint: str | None, device: str, precision: str):
    """The forecaster, read once in each process."""
    from ..learn import Forecaster

    return Forecaster.load(checkpoint, device=device, precision=precision)


def forecast_cohort(
    observation: xr.Dataset,
    regimen: Regimen | str,
    physiology: xr.Dataset,
    *,
    times: Any,
    store: str | os.PathLike,
    checkpoint: str | os.PathLike | None = None,
    chunks: int = 10_000,
    client: Any = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    device: str = "cpu",
    precision: str = "float32",
    **keywords: Any,
) -> xr.Dataset:
    """Forecast any number of patients; results go to the store chunk by chunk.

    Parameters
    ----------
    observation, regimen, times
        As in :meth:`pbpk_hybrid.learn.Forecaster.forecast`.
    physiology : xarray.Dataset
        Known covariates over ``subject``: species, body_weight [kg], age [year], sex, ... Each
        of its subjects is a patient.
    checkpoint : str or path, optional
        Another forecaster than the shipped one.
    store, chunks, client, workers, overwrite, progress
        As in :func:`simulate_cohort`. The same call finishes a run that was stopped.
    device, precision : str
        Where and in which numbers the network runs ("float32" or "bf16"); untested on CUDA.
    **keywords
        Further keywords of :meth:`~pbpk_hybrid.learn.Forecaster.forecast`: compound,
        compartments, quantiles.

    Returns
    -------
    xarray.Dataset
        As from :meth:`~pbpk_hybrid.learn.Forecaster.forecast`; dask arrays on the store.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used.
    StoreError
        As :func:`simulate_cohort`.
    """
    if not isinstance(physiology, xr.Dataset) or "subject" not in physiology.coords:
        raise SchemaError(
            "physiology", type(physiology).__name__, "a Dataset with the coordinate subject"
        )
    if not isinstance(observation, xr.Dataset) or "subject" not in observation.variables:
        raise SchemaError(
            "observation",
            type(observation).__name__,
            "a Dataset of schema observation with subjects",
        )
    if keywords.get("context") is not None:
        raise InputError(
            "context",
            type(keywords["context"]).__name__,
            "nothing",
            hint="not available for cohorts",
        )
    known = set(physiology["subject"].values.astype(str).tolist())
    strangers = sorted(set(observation["subject"].values.astype(str).tolist()) - known)
    if strangers:
        raise InputError("observation.subject", strangers[0], "a subject of the physiology Dataset")
    path = None if checkpoint is None else str(Path(checkpoint).expanduser().absolute())
    given = _by_position(as_regimen(regimen), physiology["subject"].values)
    work = Forecasting(
        path,
        observation,
        given,
        physiology,
        np.asarray(times, dtype=float),
        keywords,
        computing=(device, precision),
    )
    return run_work(
        work,
        store,
        chunks=chunks,
        client=client,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )
