"""Draw a population of any size into a store."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError
from .cohort import BLOCK, Cohort, concatenated, labels_of, with_attrs
from .run import Work, run_work
from .store import AVERAGED, SUMMED, over_all


@dataclass(frozen=True)
class Drawing:
    """The people of a cohort themselves."""

    cohort: Cohort

    @property
    def n(self) -> int:
        """Number of subjects."""
        return self.cohort.n

    def labels(self) -> np.ndarray:
        """(n,) names of the subjects."""
        return labels_of(self.cohort)

    def template(self) -> xr.Dataset:
        """The first block, with attributes of the whole cohort instead of its own."""
        people = self.cohort.people(0)
        facts = {"block": BLOCK, "seed": self.cohort.seed, "generator": self.cohort.generator}
        return with_attrs(
            people, {k: v for k, v in people.attrs.items() if k not in (*AVERAGED, *SUMMED)} | facts
        )

    def blocks(self, first: int, last: int) -> xr.Dataset:
        """Subjects first to last; attributes of the blocks are averaged over them."""
        parts = [self.cohort.people(b) for b in range(first // BLOCK, -(-last // BLOCK))]
        people = concatenated(parts)
        return with_attrs(people, {**people.attrs, **over_all(parts)})

    def part(self, first: int, last: int) -> Work:
        """All of it: people are drawn from the seed."""
        return self

    def request(self) -> dict[str, Any]:
        """What identifies the run, as plain JSON."""
        return {"work": "population", "population": self.cohort.request()}


def draw_cohort(
    cohort: Cohort,
    *,
    store: str | os.PathLike,
    chunks: int = 10_000,
    client: Any = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Draw the people of a cohort into a zarr store, in bounded memory.

    They are the people that :func:`simulate_cohort` simulates for the same cohort.

    >>> from pbpk_hybrid.scale import Cohort, draw_cohort
    >>> filters = {"sex": "female", "age": (60, 80)}
    >>> women = Cohort(1_000_000, seed=1, filters=filters, generator="pcdm")
    >>> drawn = draw_cohort(women, store="women.zarr")

    Parameters
    ----------
    cohort : Cohort
        Who is drawn.
    store, chunks, client, workers, overwrite, progress
        As in :func:`simulate_cohort`. The same call finishes a run that was stopped.

    Returns
    -------
    xarray.Dataset
        Schema ``physiology`` with dask arrays on the store. For people of the diffusion model
        the attributes ``probability`` and ``people_trained_on_like_that``
        are means over all of them.

    Raises
    ------
    InputError and its kin
        A condition that cannot be met, before any worker starts.
    StoreError
        As :func:`simulate_cohort`.
    """
    if not isinstance(cohort, Cohort):
        raise InputError("cohort", type(cohort).__name__, "a Cohort")
    return run_work(
        Drawing(cohort),
        store,
        chunks=chunks,
        client=client,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )
