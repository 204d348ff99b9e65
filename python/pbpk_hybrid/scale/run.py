"""Any work on many subjects, chunk by chunk over dask workers, straight into a zarr store."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import xarray as xr

from .._core.errors import InputError, StoreError, SubjectFailedWarning
from .._core.optional import require
from .._core.provenance import VERSION
from .cohort import BLOCK
from .store import CohortStore
from .workers import client_of, cores, warm_up

#: futures in flight per worker: one that runs, one that waits for it
_AHEAD = 2
#: local clusters that are started for one run before it is given up
_CLUSTERS = 5


class Work(Protocol):
    """What is done with the subjects of a chunk.

    It is sent to workers, and holds everything that the numbers depend on.
    """

    @property
    def n(self) -> int:
        """Number of subjects."""

    def labels(self) -> np.ndarray:
        """(n,) names of the subjects in the store."""

    def template(self) -> xr.Dataset:
        """The result for a few subjects, with the attributes of all.

        It gives the store its names and types, and raises errors before any worker starts.
        """

    def blocks(self, first: int, last: int) -> xr.Dataset:
        """The result for subjects first to last: whole blocks, except the last of the cohort."""

    def part(self, first: int, last: int) -> Work:
        """What a worker needs for subjects first to last."""

    def request(self) -> dict[str, Any]:
        """What identifies the run, as plain JSON."""


def run_work(
    work: Work,
    store: Any,
    *,
    chunks: int,
    client: Any = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Do the work on all subjects, or on those that are left.

    See :func:`simulate_cohort` for parameters and errors.
    """
    if isinstance(chunks, bool) or not isinstance(chunks, (int, np.integer)) or chunks < 1:
        raise InputError("chunks", chunks, "a whole number of subjects >= 1")
    if workers is not None and (
        isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or workers < 1
    ):
        raise InputError("workers", workers, "a whole number of processes >= 1")
    n = work.n
    chunk = min(-(-int(chunks) // BLOCK), -(-n // BLOCK)) * BLOCK
    target = CohortStore(store, chunk, n)
    if client is None and target.chunks > 1:
        warm_up(workers)
    template = work.template()
    request = {**work.request(), "n": n, "chunk": chunk, "block": BLOCK, "package_version": VERSION}
    with target.lock():
        pending = target.begin(request, template, work.labels(), overwrite)
        if progress is not None and len(pending) < target.chunks:
            done = set(range(target.chunks)) - set(pending)
            progress(sum(b - a for a, b in map(target.bounds, done)))
        if pending:
            _run(work, target, pending, client, workers, progress)
        target.end()
    failed = target.failed()
    if failed:
        warnings.warn(
            f"{failed} of {n} subjects could not be integrated; their values are NaN",
            SubjectFailedWarning,
            stacklevel=3,
        )
    return target.open()


def _run(
    work: Work, target: CohortStore, pending: list[int], client, workers: int | None, progress
) -> None:
    workers = workers or cores()
    if client is None and (workers == 1 or len(pending) == 1):
        for i in pending:
            _report(progress, target, _chunk(work, target, i))
        return
    require("distributed", "scale", "a cohort over several processes")
    rest = set(pending)

    def done(i: int) -> None:
        rest.discard(i)
        _report(progress, target, i)

    for turn in range(_CLUSTERS):
        try:
            with client_of(client, min(workers, len(rest))) as active:
                _over(active, work, target, sorted(rest), done)
            return
        except _TaskFailed as error:
            raise error.__cause__ from None
        except StoreError:
            raise
        except Exception as error:
            # dask replaces a worker that dies while it runs. If one dies while it starts, the whole
            # cluster fails. Finished chunks are on disk, so a new cluster computes the rest. A
            # client that the user passed is not replaced
            if client is not None or turn == _CLUSTERS - 1:
                raise StoreError(
                    f"{target.path}: the workers could not be kept running "
                    f"({type(error).__name__}: {error}); run the same command again, "
                    "finished chunks are kept"
                ) from error
            for i in sorted(rest):
                if target.finished(i):
                    done(i)
            if not rest:
                return


class _TaskFailed(Exception):
    """A chunk could not be computed. The cause is shown to the user; it would fail again."""


def _over(
    active, work: Work, target: CohortStore, pending: list[int], done: Callable[[int], None]
) -> None:
    """Send the chunks to the workers of a client, a few ahead of what they can do at once."""
    import distributed

    waiting = iter(pending)
    capacity = _AHEAD * max(1, sum(active.nthreads().values()))

    def submit() -> list[Any]:
        following = next(waiting, None)
        if following is None:
            return []
        # sent with each task, not scattered: scattered data are lost with their worker. A chunk is
        # written whole or not at all, so the scheduler may repeat it on another worker
        part = work.part(*target.bounds(following))
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
            f"{target.path}: workers died repeatedly on one chunk, most likely because memory ran "
            "out; use smaller `chunks`. Finished chunks are kept"
        ) from error
    except (distributed.CancelledError, distributed.comm.CommClosedError, TimeoutError):
        raise  # the cluster's, not the chunk's
    except Exception as error:
        raise _TaskFailed from error


def _chunk(work: Work, target: CohortStore, i: int) -> int:
    """What a worker does: compute chunk i and write it. Returns i."""
    ds = work.blocks(*target.bounds(i))
    target.write(i, ds)
    return i


def _report(progress, target: CohortStore, i: int) -> None:
    if progress is not None:
        first, last = target.bounds(i)
        progress(last - first)
