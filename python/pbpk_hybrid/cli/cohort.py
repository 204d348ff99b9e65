"""`--out NAME.zarr`: cohorts of any size, streamed into a store by several processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core.basis import basis_in_words
from .._core.errors import InputError
from . import options as opt
from .terminal import console, stage

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from ..compounds import Compound
    from ..dosing import Regimen
    from ..scale import Cohort
    from ..solvers import TimeGrid


@dataclass(frozen=True)
class Chunks:
    """How the chunks of a store are computed: options of all commands that write one."""

    chunk: opt.Chunk = 10_000
    workers: opt.Workers = None
    scheduler: opt.Scheduler = None
    overwrite: opt.Overwrite = False

    @contextlib.contextmanager
    def run(self, doing: str, subjects: int, quiet: bool) -> Iterator[dict[str, Any]]:
        """Keywords of every function that works in chunks, with progress shown while it runs."""
        with _cluster(self.scheduler) as client, stage(doing, quiet, subjects) as progress:
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
    times: np.ndarray | TimeGrid | None,
    out: Path,
    *,
    cohort: Cohort,
    chunks: Chunks,
    quiet: bool,
    keywords: Mapping[str, Any],
) -> int:
    """Simulate `cohort` into the store `out`, or finish it; returns the number of failed subjects.

    Parameters
    ----------
    compound, regimen
        What is simulated.
    times : ndarray, h
        Saved times; a :class:`~pbpk_hybrid.solvers.TimeGrid` chooses them.
    out : Path
        The store, ``NAME.zarr``.
    cohort : Cohort
    chunks : Chunks
    quiet : bool
        Print nothing.
    keywords : mapping
        Model choices, as of :func:`pbpk_hybrid.simulate`.

    Raises
    ------
    InputError
        No times.
    """
    from ..scale import simulate_cohort

    if times is None:
        raise InputError(
            "--times",
            None,
            'the times to save [h], such as "0:24:0.5"',
            hint="this regimen suggests none",
        )
    with chunks.run("simulating", cohort.n, quiet) as chunk_keywords:
        ds = simulate_cohort(
            compound, regimen, cohort, times, store=out, **chunk_keywords, **keywords
        )
    failed = int(ds.attrs["failed_subjects"])
    if not quiet:
        names = ", ".join(ds["compartment"].values)
        screen = console()
        screen.print(
            f"written: {out}: {cohort.n} subjects x {ds.sizes['time']} times ({names}), "
            f"{failed} failed, seed {cohort.seed}",
            soft_wrap=True,
        )
        screen.print(
            f"basis: {basis_in_words(ds.attrs)}; variability: {ds.attrs['variability']}",
            soft_wrap=True,
        )
    return failed


def population_to_store(out: Path, *, cohort: Cohort, chunks: Chunks, quiet: bool) -> xr.Dataset:
    """Draw `cohort` into the store `out`, or finish it."""
    from ..scale import draw_cohort

    with chunks.run("drawing", cohort.n, quiet) as chunk_keywords:
        return draw_cohort(cohort, store=out, **chunk_keywords)


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
