"""How many threads, and how work is shared among them.

Kernels release the GIL, so plain threads are enough.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from .._core.errors import InputError


def thread_count(asked: int | None) -> int:
    """Threads to use: as asked, else PBPK_HYBRID_THREADS, else the cores this process may use.

    Raises
    ------
    InputError : PBPK_HYBRID_THREADS is not a positive integer
    """
    if asked is not None:
        return asked
    text = os.environ.get("PBPK_HYBRID_THREADS", "").strip()
    if text:
        if not text.isdigit() or int(text) < 1:
            raise InputError("PBPK_HYBRID_THREADS", text, "an integer > 0")
        return int(text)
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )


def run_in_threads(
    tasks: int, threads: int, make_worker: Callable[[], Callable[[int], None]]
) -> None:
    """Run worker(0..tasks-1), each index once, on `threads` threads.

    `make_worker` is called once per thread (it owns that thread's scratch memory). Ctrl-C
    reaches the main thread, which stops the others after their current task. The first
    error is raised again.
    """
    if threads <= 1 or tasks <= 1:
        worker = make_worker()
        for i in range(tasks):
            worker(i)
        return
    lock, stop, errors = threading.Lock(), threading.Event(), []
    following = iter(range(tasks))

    def loop() -> None:
        try:
            worker = make_worker()
            while not stop.is_set():
                with lock:
                    i = next(following, None)
                if i is None:
                    return
                worker(i)
        except BaseException as err:
            errors.append(err)
            stop.set()

    crew = [threading.Thread(target=loop, daemon=True) for _ in range(min(threads, tasks))]
    for t in crew:
        t.start()
    try:
        for t in crew:
            while t.is_alive():
                t.join(0.1)  # a join without a time would not let Ctrl-C through
    except BaseException:
        stop.set()
        for t in crew:
            t.join()
        raise
    if errors:
        raise errors[0]
