"""`--out NAME.zarr`: cohorts of any size, streamed into a store by several processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.basis import basis_in_words
from .._core.errors import InputError, unknown_name
from .subjects import parse_filters
from .terminal import console, stage

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from ..compounds import Compound
    from ..dosing import Regimen
    from ..scale import Cohort


@dataclass(frozen=True)
class Chunks:
    """How the chunks of a store are worked on, as the options say."""

    chunk: int
    workers: int | None
    scheduler: str | None
    overwrite: bool
    quiet: bool

    @contextlib.contextmanager
    def run(self, doing: str, subjects: int) -> Iterator[dict[str, Any]]:
        """The keywords that all work on chunks takes, with progress shown while it runs."""
        with _cluster(self.scheduler) as client, stage(doing, self.quiet, subjects) as progress:
            yield {
                "chunks": self.chunk,
                "workers": self.workers,
                "client": client,
                "overwrite": self.overwrite,
                "progress": progress,
            }


def simulate_to_store(
    compound: Compound,
    regimen: Regimen,
    times: np.ndarray | None,
    out: Path,
    *,
    subjects: int,
    species: str,
    seed: int,
    filters: Mapping[str, str | None],
    chunks: Chunks,
    keywords: Mapping[str, Any],
    generator: str = "survey",
) -> int:
    """Run or finish the cohort in `out`; returns how many subjects failed."""
    from ..scale import simulate_cohort

    if times is None:
        raise InputError(
            "--times",
            None,
            'the times to save [h], such as "0:24:0.5"',
            hint="this regimen suggests none",
        )
    cohort = cohort_of(subjects, species, seed, generator, filters)
    with chunks.run("simulating", subjects) as how:
        ds = simulate_cohort(compound, regimen, cohort, times, store=out, **how, **keywords)
    failed = int(ds.attrs["failed_subjects"])
    if not chunks.quiet:
        names = ", ".join(ds["compartment"].values)
        console().print(
            f"written: {out}: {subjects} subjects x {ds.sizes['time']} times ({names}), {failed} failed, seed {seed}",
            soft_wrap=True,
        )
        console().print(
            f"basis: {basis_in_words(ds.attrs)}; variability: {ds.attrs['variability']}",
            soft_wrap=True,
        )
    return failed


def population_to_store(
    out: Path,
    *,
    subjects: int,
    species: str,
    seed: int,
    generator: str,
    filters: Mapping[str, str | None],
    chunks: Chunks,
) -> xr.Dataset:
    """Draw or finish the population in `out`."""
    from ..scale import draw_cohort

    cohort = cohort_of(subjects, species, seed, generator, filters)
    with chunks.run("drawing", subjects) as how:
        return draw_cohort(cohort, store=out, **how)


def cohort_of(
    n: int, species: str, seed: int, generator: str, filters: Mapping[str, str | None]
) -> Cohort:
    """Who is asked for; the filters are the texts of the options."""
    from ..scale import Cohort
    from ..scale.cohort import GENERATORS

    if generator not in GENERATORS:
        raise unknown_name("--generator", generator, GENERATORS)
    return Cohort(n, seed, species, parse_filters(filters), generator)


@contextlib.contextmanager
def _cluster(scheduler: str | None) -> Iterator[Any]:
    if scheduler is None:
        yield None
        return
    from .._core.optional import require

    distributed = require("distributed", "scale", "--scheduler")
    try:
        client = distributed.Client(scheduler, timeout="15s")
    except (OSError, ValueError) as error:
        raise InputError(
            "--scheduler", scheduler, "the address of a running dask scheduler", hint=str(error)
        ) from error
    with client:
        yield client
