"""The processes that work on chunks: a client of the user's, or processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

from .._core.optional import require


def cores() -> int:
    """Cores that this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )


def warm_up(workers: int | None) -> None:
    """Begin to make ready what the workers start from, while this process does something else.

    Workers are forked from one process that has loaded the engine (:mod:`._warm`): they begin at once, share its memory, and
    one that was killed is replaced in milliseconds. Harmless when called again, or when no worker is started after all.
    """
    if (workers or cores()) < 2 or _start_method() != "forkserver":
        return
    from multiprocessing import forkserver

    # dask adds its own list when it starts a process: the server runs by then, and has what it needs
    multiprocessing.get_context("forkserver").set_forkserver_preload(["pbpk_hybrid.scale._warm"])
    forkserver.ensure_running()


def _start_method() -> str:
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


@contextlib.contextmanager
def client_of(client: Any, workers: int) -> Iterator[Any]:
    """The client given, or one of `workers` processes on this machine that end with the block."""
    if client is not None:
        yield client
        return
    distributed = require("distributed", "scale", "a cohort over several processes")
    import dask

    # no dashboard: a port that nobody asked for; and the scheduler's own page, which it opens all the same, at a free port
    # of this machine, so that two runs never meet on dask's 8787. Workers may die some times before a chunk is given up
    settings = {
        "distributed.scheduler.allowed-failures": 10,
        "distributed.worker.daemon": True,
        "distributed.worker.multiprocessing-method": _start_method(),
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as active,
    ):
        yield active
