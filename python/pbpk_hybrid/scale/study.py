"""Simulate a cohort of any size."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, SubjectFailedWarning
from .._core.random import block_seed
from ..compounds import Compound
from ..compounds.conversion import as_compound
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..simulation.single import simulate
from ..simulation.variability import ByRow, Draws, Variability, draw_rows, resolve_variability
from ..solvers import SolverOptions, TimeGrid
from .cohort import (
    BLOCK,
    Cohort,
    block_of,
    concatenated,
    fingerprint,
    labels_of,
    request_text,
    size_of,
    with_attrs,
)
from .run import run_work

#: subjects simulated first: bad input is found before any worker starts, and the store gets its
#: shape
_TEMPLATE = 4


@dataclass(frozen=True)
class Study:
    """Everything the numbers depend on, in a form that is sent to workers."""

    compound: Compound
    regimen: Regimen
    population: Cohort | xr.Dataset
    times: np.ndarray | TimeGrid | None
    variability: Draws | None
    seed: int | None
    keywords: Mapping[str, Any] = field(default_factory=dict)  # further keywords of simulate
    first_block: int = 0  # the first block of a population Dataset (a part of one, in a worker)
    rows: np.ndarray | None = None  # (n,) of a Dataset: the draw that each subject takes
    time_grid: str = ""  # of times that were chosen here: how far they reach

    @property
    def n(self) -> int:
        """Number of subjects."""
        return size_of(self.population)

    def labels(self) -> np.ndarray:
        """(n,) names of the subjects."""
        return labels_of(self.population)

    def template(self) -> xr.Dataset:
        """The result for a few people of the first block, with attributes of the whole cohort."""
        few = self._simulate(block_of(self.population, 0).isel(subject=slice(0, _TEMPLATE)), (0,))
        facts = {"block": BLOCK, "seed": self.seed}
        if self.time_grid:
            facts["time_grid"] = self.time_grid
        if isinstance(self.population, Cohort):
            facts |= {
                "population_seed": self.population.seed,
                "population_generator": self.population.generator,
            }
        attrs = {k: v for k, v in few.attrs.items() if k not in ("failed_subjects", *facts)}
        return with_attrs(few, {**attrs, **{k: v for k, v in facts.items() if v is not None}})

    def blocks(self, first: int, last: int) -> xr.Dataset:
        """Simulate subjects first to last: whole blocks, except the last of the cohort.

        Blocks are drawn one by one and integrated together. A block is a whole number of every
        backend's packs of lanes, so that its numbers do not depend on its neighbours.
        """
        numbers = range(first // BLOCK, -(-last // BLOCK))  # the last block may be smaller
        people = concatenated([self._people(b) for b in numbers])
        return self._simulate(people, numbers)

    def _simulate(self, people: xr.Dataset, blocks: Sequence[int]) -> xr.Dataset:
        variability, seed = self.variability, None
        if variability is not None and self.rows is not None:
            # as simulate draws for a population Dataset
            first, seed = (blocks[0] - self.first_block) * BLOCK, self.seed
            variability = ByRow(variability, self.rows[first : first + people.sizes["subject"]])
        elif isinstance(variability, Variability):
            # as simulate draws for the same people at once
            first, seed = blocks[0] * BLOCK, self.seed
            variability = ByRow(variability, np.arange(first, first + people.sizes["subject"]))
        elif variability is not None:
            seeds = tuple(block_seed(self.seed, b) for b in blocks)
            seed, variability = seeds[0], _ByBlock(variability, seeds)
        with warnings.catch_warnings():
            # counted, and reported once at the end
            warnings.simplefilter("ignore", SubjectFailedWarning)
            return simulate(
                self.compound,
                self.regimen,
                people,
                self.times,
                variability=variability,
                seed=seed,
                **self.keywords,
            )

    def _people(self, block: int) -> xr.Dataset:
        return block_of(
            self.population,
            block if isinstance(self.population, Cohort) else block - self.first_block,
        )

    def part(self, first: int, last: int) -> Study:
        """What a worker needs for subjects first to last: of a Dataset only those."""
        if isinstance(self.population, Cohort):
            return self
        people = self.population.isel(subject=slice(first, last))
        rows = None if self.rows is None else self.rows[first:last]
        return dataclasses.replace(self, population=people, first_block=first // BLOCK, rows=rows)

    def request(self) -> dict[str, Any]:
        """What identifies the run, as plain JSON."""
        people = self.population
        return {
            "compound": request_text(self.compound),
            "regimen": fingerprint(self.regimen.to_dataset()),
            "population": people.request() if isinstance(people, Cohort) else fingerprint(people),
            "times": self.times.tolist(),
            "variability": repr(self.variability),
            "seed": self.seed,
            "keywords": request_text(self.keywords),
        }


@dataclass(frozen=True)
class _ByBlock:
    """Variability that draws every block of subjects from its own stream."""

    of: Draws
    seeds: tuple[int, ...]

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,); see :meth:`pbpk_hybrid.Variability.draw`.

        Each block takes its own seed, not `seed`.
        """
        drawn = [
            self.of.draw(min(BLOCK, n - i * BLOCK), own, parameters)
            for i, own in enumerate(self.seeds)
        ]
        return {name: np.concatenate([d[name] for d in drawn]) for name in drawn[0]}

    def __str__(self) -> str:
        return str(self.of)


def simulate_cohort(
    compound: Compound | str,
    regimen: Regimen | str,
    population: Cohort | xr.Dataset,
    times: Sequence[float] | np.ndarray | TimeGrid | None = None,
    *,
    store: str | os.PathLike,
    chunks: int = 10_000,
    client: Any = None,
    workers: int | None = None,
    compartments: Sequence[str] = ("plasma",),
    variability: Variability | float | bool | str | None = "default",
    seed: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    **keywords: Any,
) -> xr.Dataset:
    """Simulate a cohort of any size; memory is bounded by the chunks, not by the cohort.

    >>> from pbpk_hybrid.scale import Cohort, simulate_cohort
    >>> people, times = Cohort(1_000_000, seed=1), range(25)
    >>> run = simulate_cohort("theophylline", "320 mg oral", people, times, store="cohort.zarr")

    The same call finishes a run that was stopped for any reason: finished chunks are checked and
    kept. The numbers do not depend on `chunks`, on the number of workers or on interruptions.

    Parameters
    ----------
    compound, regimen, times
        As in :func:`pbpk_hybrid.simulate`.
    population : Cohort or xarray.Dataset
        A :class:`Cohort`, whose people the workers draw, or a physiology Dataset.
    store : str or path
        Name of the zarr store; ends in ``.zarr``. The journal ``<store>.run`` is beside it.
    chunks : int
        Subjects that a worker holds in memory at a time; rounded up to whole blocks of 2,000.
    client : distributed.Client, optional
        Local, SLURM, Kubernetes, ...; its workers must reach the store. None: processes on this
        machine.
    workers : int, optional
        Processes if `client` is None. None: one per core; 1: this process.
    compartments : sequence of str
        What is saved.
    variability, seed
        As in :func:`pbpk_hybrid.simulate`. A Cohort is drawn at random: its "default" is
        ``Variability()``. Without `seed` the cohort's seed is used.
    overwrite : bool
        Replace a store that exists.
    progress : callable, optional
        Called with numbers of subjects done.
    **keywords
        Further keywords of :func:`pbpk_hybrid.simulate`: options, backend, clearance,
        distribution, partition_method, kp, hepatic_model.

    Returns
    -------
    xarray.Dataset
        Schema ``simulation`` with dask arrays on the store; attribute ``failed_subjects``.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used, before any worker starts.
    StoreError
        The store is in use or belongs to another run, the disk is full, or workers keep dying.

    Warns
    -----
    SubjectFailedWarning
        Subjects whose integration failed.
    """
    study = _study(
        compound,
        regimen,
        population,
        times,
        variability,
        seed,
        {**keywords, "compartments": tuple(compartments)},
    )
    return run_work(
        study,
        store,
        chunks=chunks,
        client=client,
        workers=workers,
        overwrite=overwrite,
        progress=progress,
    )


def _study(compound, regimen, population, times, variability, seed, keywords) -> Study:
    compound, regimen = as_compound(compound), as_regimen(regimen)
    if not isinstance(population, (Cohort, xr.Dataset)):
        raise InputError(
            "population", type(population).__name__, "a Cohort or a physiology Dataset"
        )
    for name in ("sensitivities", "progress", "raise_on_failure"):
        if keywords.get(name):
            raise InputError(
                name, keywords[name], "nothing", hint="not available for cohorts in chunks"
            )
    if seed is None:
        seed = population.seed if isinstance(population, Cohort) else population.attrs.get("seed")
    variability = resolve_variability(variability, population)
    if variability is not None and seed is None:
        raise InputError(
            "seed", None, "a non-negative integer, for the variability between subjects"
        )
    # one process per core: threads inside would only compete
    options = keywords.get("options") or SolverOptions()
    if options.threads is None:
        keywords["options"] = dataclasses.replace(options, threads=1)
    automatic = times is None or isinstance(times, TimeGrid)
    study = Study(
        compound,
        regimen,
        population,
        times if automatic else np.asarray(times, dtype=float),
        variability,
        None if seed is None else int(seed),
        keywords,
        rows=draw_rows(population) if isinstance(population, xr.Dataset) else None,
    )
    if not automatic:
        return study
    # found once, with the first people, so that all chunks have the same
    few = study.template()
    return dataclasses.replace(study, times=few["time"].values, time_grid=few.attrs["time_grid"])
