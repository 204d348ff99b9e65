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
    """Start the process that workers are forked from, while this process goes on.

    That process has loaded the engine (:mod:`._warm`). Its workers start at once and share its
    memory, and a killed worker is replaced in milliseconds. A second call, or a run without
    workers, does no harm.
    """
    if (workers or cores()) < 2 or _start_method() != "forkserver":
        return
    from multiprocessing import forkserver

    # dask sets its own list when it starts a process; by then this server has loaded ours
    multiprocessing.get_context("forkserver").set_forkserver_preload(["pbpk_hybrid.scale._warm"])
    forkserver.ensure_running()


def _start_method() -> str:
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


@contextlib.contextmanager
def client_of(client: Any, workers: int) -> Iterator[Any]:
    """`client`, or one with `workers` processes on this machine that end with the block."""
    if client is not None:
        yield client
        return
    distributed = require("distributed", "scale", "a cohort over several processes")
    import dask

    # No dashboard: nobody asked for an open port. The scheduler opens a page of its own anyway:
    # at a free port, so that two runs do not both want dask's 8787. A chunk is given up only
    # after its workers have died several times
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
