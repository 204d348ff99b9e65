"""`kernel`: numba's `njit` with a cache on disk that sees edits of every file of kernels.

numba looks at the file of a function alone. A kernel holds code of many files, since the
functions it calls are inlined: their edits would be missed, and stale machine code would
run.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import event

#: files of this folder that call kernels, and that no kernel takes anything from
WITHOUT_KERNELS = (
    "backend.py",
    "event_lanes.py",
    "flows.py",
    "pack.py",
    "run.py",
    "stops.py",
)


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function on first use, without the GIL, and keep it until a kernel's source
    changes.

    Parameters
    ----------
    options : of :func:`numba.njit`, e.g. ``forceinline=True``
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = njit(cache=True, nogil=True, **options)(function)
        # the file of the cache holds numba's stamp of the source; what differs is not loaded
        file = dispatcher._cache._cache_file
        file._source_stamp = (file._source_stamp, sources_hash())
        return dispatcher

    return compiled


class _Notice(event.Listener):
    """Says that a kernel is compiled which takes long, before it does: once for each kind."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def on_start(self, event: Any) -> None:
        name = event.data["dispatcher"].py_func.__name__
        if name != "integrate_packs":
            return
        what = "with sensitivities " if "SensitivityArrays" in str(event.data["args"]) else ""
        if what not in self.said:
            self.said.add(what)
            logging.getLogger("pbpk_hybrid").warning(
                "pbpk_hybrid: compiling the integrator %s(once on this machine, up to a minute; "
                "'pbpk-hybrid doctor --warm' does it beforehand)",
                what,
            )

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Notice())


@cache
def sources_hash() -> str:
    """Hash of all sources that kernels are made from: this folder, and the constants."""
    folder = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in (folder.parent / "base.py", *sorted(folder.rglob("*.py"))):
        if path.name in WITHOUT_KERNELS:
            continue
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


__all__ = ["WITHOUT_KERNELS", "kernel", "sources_hash"]
