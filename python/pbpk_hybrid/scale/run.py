"""Simulate a cohort chunk by chunk over dask workers, straight into a zarr store."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, StoreError, SubjectFailedWarning
from .._core.optional import require
from .._core.provenance import VERSION
from ..compounds import Compound, get_compound
from ..dosing import Regimen
from ..simulation import simulate
from ..solvers import SolverOptions
from ..variability import Variability
from .cohort import BLOCK, Cohort, block_of, size_of, stream
from .store import CohortStore

#: futures in flight per worker: one that runs, one that waits for it
_AHEAD = 2
#: local clusters that are started for one run before it is given up
_CLUSTERS = 5
_TEMPLATE = 4  # subjects simulated at first: finds bad input before any worker starts, and gives the store its shape


@dataclass(frozen=True)
class Study:
    """Everything the numbers depend on, in a form that crosses process borders."""

    compound: Compound
    regimen: Regimen
    population: Cohort | xr.Dataset
    times: np.ndarray
    variability: Variability | None
    seed: int | None
    keywords: Mapping[str, Any] = field(default_factory=dict)  # further ones of simulate
    first_block: int = 0  # the block that a population which is there begins with

    def few(self, people: xr.Dataset) -> xr.Dataset:
        """Simulate some of the first block's people."""
        return self._simulate(people, (0,))

    def blocks(self, first: int, last: int) -> xr.Dataset:
        """Simulate subjects first to last (whole blocks, but for the cohort's last).

        Blocks are drawn one by one and integrated together: a block is a whole number of every backend's packs of lanes, so
        that its numbers do not depend on its neighbours.
        """
        numbers = range(first // BLOCK, -(-last // BLOCK))
        parts = [self._people(b) for b in numbers]
        people = parts[0] if len(parts) == 1 else xr.concat(
            parts, "subject", combine_attrs="override", data_vars="minimal", coords="minimal", join="override",
            compat="override",
        )  # fmt: skip
        return self._simulate(people, numbers)

    def _simulate(self, people: xr.Dataset, blocks: Sequence[int]) -> xr.Dataset:
        variability, seed = self.variability, None
        if variability is not None:
            seed = stream(self.seed, blocks[0], 1)
            variability = _ByBlock(variability, tuple(stream(self.seed, b, 1) for b in blocks))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SubjectFailedWarning)  # counted, and named once at the end
            return simulate(
                self.compound, self.regimen, people, self.times, variability=variability, seed=seed, **self.keywords
            )

    def _people(self, block: int) -> xr.Dataset:
        return block_of(self.population, block if isinstance(self.population, Cohort) else block - self.first_block)

    def part(self, first: int, last: int) -> Study:
        """What a worker needs for subjects first to last: of a population that is there, only those."""
        if isinstance(self.population, Cohort):
            return self
        people = self.population.isel(subject=slice(first, last))
        return dataclasses.replace(self, population=people, first_block=first // BLOCK)

    def request(self, chunk: int) -> dict[str, Any]:
        """The same as plain JSON, to know a run again."""
        people = self.population
        if isinstance(people, Cohort):
            who: Any = {"seed": people.seed, "species": people.species, "filters": repr(sorted(people.filters.items()))}
        else:
            who = _fingerprint(people)
        return {
            "compound": repr(self.compound), "regimen": _fingerprint(self.regimen.to_dataset()), "population": who,
            "times": self.times.tolist(), "variability": repr(self.variability), "seed": self.seed,
            "keywords": repr(sorted(self.keywords.items())), "n": size_of(people), "chunk": chunk, "block": BLOCK,
            "package_version": VERSION,
        }  # fmt: skip


@dataclass(frozen=True)
class _ByBlock:
    """Variability that draws every block of subjects from its own stream."""

    of: Variability
    seeds: tuple[int, ...]

    def draw(self, n: int, seed: int, parameters: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Multipliers (n,); see :meth:`pbpk_hybrid.Variability.draw`. `seed` is that of the first block."""
        drawn = [self.of.draw(min(BLOCK, n - i * BLOCK), own, parameters) for i, own in enumerate(self.seeds)]
        return {name: np.concatenate([d[name] for d in drawn]) for name in drawn[0]}

    def __str__(self) -> str:
        return str(self.of)


def simulate_cohort(
    compound: Compound | str,
    regimen: Regimen | str,
    population: Cohort | xr.Dataset,
    times: Sequence[float] | np.ndarray,
    *,
    store: str | os.PathLike,
    chunks: int = 10_000,
    client: Any = None,
    workers: int | None = None,
    compartments: Sequence[str] = ("plasma",),
    variability: Variability | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    **keywords: Any,
) -> xr.Dataset:
    """Simulate a cohort of any size; memory is bounded by the chunks, not by the cohort.

    >>> from pbpk_hybrid.scale import Cohort, simulate_cohort
    >>> people = Cohort(1_000_000, seed=1)
    >>> simulate_cohort("theophylline", "320 mg oral", people, range(25), store="cohort.zarr")            # doctest: +SKIP

    A run that was stopped, by whatever, is finished by calling it again in the same words: finished chunks are checked
    and kept. Numbers do not depend on `chunks`, on the number of workers, or on what went wrong on the way.

    Parameters
    ----------
    compound, regimen, times : as in :func:`pbpk_hybrid.simulate`
    population : a :class:`Cohort` (people are drawn by the workers) or a physiology Dataset
    store : name of the zarr store, ending in ``.zarr``; a journal ``<store>.run`` lies beside it
    chunks : subjects per chunk, rounded up to whole blocks of 2,000: what a worker holds in memory at a time
    client : a ``distributed.Client`` (local, SLURM, Kubernetes, ...); the store must be reachable for its workers.
        None: processes on this machine
    workers : processes when `client` is None; None: one per core; 1: in this process
    compartments : what to save
    variability, seed : as in simulate; `seed` None takes the cohort's
    overwrite : replace a store that is there
    progress : called with numbers of subjects done
    keywords : further ones of :func:`pbpk_hybrid.simulate` (options, backend, partition_method, kp, hepatic_model)

    Returns
    -------
    Dataset of schema ``simulation`` with dask arrays on the store; attribute ``failed_subjects``

    Raises
    ------
    InputError and its kin : anything that cannot be used, before any worker starts
    StoreError : the store is in use, belongs to another run, the disk is full, or workers keep dying

    Warns
    -----
    SubjectFailedWarning : subjects whose integration failed
    """
    study = _study(
        compound, regimen, population, times, variability, seed, {**keywords, "compartments": tuple(compartments)}
    )
    if isinstance(chunks, bool) or not isinstance(chunks, (int, np.integer)) or chunks < 1:
        raise InputError("chunks", chunks, "a whole number of subjects >= 1")
    n = size_of(population)
    chunk = min(-(-int(chunks) // BLOCK), -(-n // BLOCK)) * BLOCK
    target = CohortStore(store, chunk, n)
    people = block_of(study.population, 0)
    template = study.few(people.isel(subject=slice(0, _TEMPLATE)))
    labels = np.arange(n) if isinstance(population, Cohort) else population["subject"].values
    template = _clean(template, study)
    with target.lock():
        pending = target.begin(study.request(chunk), template, labels, overwrite)
        if progress is not None and len(pending) < target.chunks:
            done = set(range(target.chunks)) - set(pending)
            progress(sum(b - a for a, b in map(target.bounds, done)))
        if pending:
            _run(study, target, pending, client, workers, progress)
        target.end()
    failed = target.failed()
    if failed:
        warnings.warn(
            f"{failed} of {n} subjects could not be integrated; their values are NaN", SubjectFailedWarning, stacklevel=2
        )
    return target.open()


def _study(compound, regimen, population, times, variability, seed, keywords) -> Study:
    if isinstance(compound, str):
        compound = get_compound(compound)
    if isinstance(regimen, str):
        regimen = Regimen.parse(regimen)
    if not isinstance(population, (Cohort, xr.Dataset)):
        raise InputError("population", type(population).__name__, "a Cohort or a physiology Dataset")
    for name in ("sensitivities", "progress", "raise_on_failure"):
        if keywords.get(name):
            raise InputError(name, keywords[name], "nothing", hint="not available for cohorts in chunks")
    if seed is None:
        seed = population.seed if isinstance(population, Cohort) else population.attrs.get("seed")
    if variability is not None and seed is None:
        raise InputError("seed", None, "a non-negative integer, for the variability between subjects")
    if times is None:
        raise InputError("times", None, "the times to save [h]")
    # one process per core: threads inside would only compete
    options = keywords.get("options") or SolverOptions()
    if options.threads is None:
        keywords["options"] = dataclasses.replace(options, threads=1)
    return Study(
        compound,
        regimen,
        population,
        np.asarray(times, dtype=float),
        variability,
        None if seed is None else int(seed),
        keywords,
    )


def _run(study: Study, target: CohortStore, pending: list[int], client, workers: int | None, progress) -> None:
    workers = workers or _cores()
    if client is None and (workers == 1 or len(pending) == 1):
        for i in pending:
            _report(progress, target, _chunk(study, target, i))
        return
    require("distributed", "scale", "a cohort over several processes")
    rest = set(pending)

    def done(i: int) -> None:
        rest.discard(i)
        _report(progress, target, i)

    for turn in range(_CLUSTERS):
        try:
            with _client(client, min(workers, len(rest))) as active:
                _over(active, study, target, sorted(rest), done)
            return
        except _TaskFailed as error:
            raise error.__cause__ from None
        except StoreError:
            raise
        except Exception as error:
            # dask mends the loss of a worker that runs, but not of one that is just starting: its cluster then fails as a
            # whole. What is finished is on disk, so another cluster takes what is left. A client of the user's is his
            if client is not None or turn == _CLUSTERS - 1:
                raise StoreError(
                    f"{target.path}: the workers could not be kept running ({type(error).__name__}: {error}); run the same "
                    "command again, finished chunks are kept"
                ) from error
            for i in sorted(rest):
                if target.finished(i):
                    done(i)
            if not rest:
                return


class _TaskFailed(Exception):
    """A chunk could not be computed: its error, as the cause, is the user's to see, and no reason to try again."""


def _over(active, study: Study, target: CohortStore, pending: list[int], done: Callable[[int], None]) -> None:
    """Send the chunks to the workers of a client, a few ahead of what they can do at once."""
    import distributed

    waiting = iter(pending)
    capacity = _AHEAD * max(1, sum(active.nthreads().values()))

    def submit() -> list[Any]:
        following = next(waiting, None)
        if following is None:
            return []
        # sent with each task, not scattered: what lies on a worker is lost with it. A chunk is written whole or not at
        # all, so the scheduler may give it to another worker when one dies
        part = study.part(*target.bounds(following))
        return [active.submit(_chunk, part, target, following, pure=False)]

    futures = [f for _ in range(capacity) for f in submit()]
    stream_ = distributed.as_completed(futures)
    try:
        for future in stream_:
            done(_result(future, target))
            for new in submit():
                stream_.add(new)
    except BaseException:
        active.cancel([f for f in stream_.futures] if hasattr(stream_, "futures") else [])
        raise


def _result(future, target: CohortStore) -> int:
    import distributed

    try:
        return future.result()
    except distributed.scheduler.KilledWorker as error:
        raise StoreError(
            f"{target.path}: workers died again and again on one chunk, most likely for want of memory; smaller "
            "`chunks` need less. Finished chunks are kept"
        ) from error
    except (distributed.CancelledError, distributed.comm.CommClosedError, TimeoutError):
        raise  # the cluster's, not the chunk's
    except Exception as error:
        raise _TaskFailed from error


def _chunk(study: Study, target: CohortStore, i: int) -> int:
    """What a worker does: simulate chunk i and write it. Returns i."""
    ds = study.blocks(*target.bounds(i))
    target.write(i, ds)
    return i


def _report(progress, target: CohortStore, i: int) -> None:
    if progress is not None:
        first, last = target.bounds(i)
        progress(last - first)


@contextlib.contextmanager
def _client(client, workers: int) -> Iterator[Any]:
    if client is not None:
        yield client
        return
    distributed = require("distributed", "scale", "a cohort over several processes")
    import dask

    # no dashboard: a port that nobody asked for; workers may die some times before a chunk is given up
    settings = {"distributed.scheduler.allowed-failures": 10, "distributed.worker.daemon": True}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as active,
    ):  # fmt: skip
        yield active


def _clean(template: xr.Dataset, study: Study) -> xr.Dataset:
    """The template with attributes of the whole cohort instead of those of its first people."""
    facts = {"block": BLOCK, "seed": study.seed}
    if isinstance(study.population, Cohort):
        facts["population_seed"] = study.population.seed
    attrs = {k: v for k, v in template.attrs.items() if k not in ("failed_subjects", *facts)}
    return template.assign_attrs({}).pipe(_with_attrs, {**attrs, **{k: v for k, v in facts.items() if v is not None}})


def _with_attrs(ds: xr.Dataset, attrs: dict[str, Any]) -> xr.Dataset:
    ds = ds.copy()
    ds.attrs = attrs
    return ds


def _fingerprint(ds: xr.Dataset) -> str:
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(map(str, ds.variables)):
        values = np.ascontiguousarray(ds[name].values)
        digest.update(f"{name}{values.dtype}{values.shape}".encode())
        digest.update("\0".join(map(str, values.ravel())).encode() if values.dtype.kind == "O" else values.tobytes())
    return digest.hexdigest()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
