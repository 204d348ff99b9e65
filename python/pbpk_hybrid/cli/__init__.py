"""The command ``pbpk-hybrid``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence

#: imported by libraries below only to ask whether an array is one of theirs (xarray: dask, cupy,
#: sparse, pint; dask: distributed; pandas: pyarrow) or to offer more kinds of axes (matplotlib);
#: a second of CPU that a command whose arrays are all numpy's never gets back
_PROBED = ("dask", "distributed", "cupy", "sparse", "pint", "pyarrow", "mpl_toolkits.mplot3d")
#: commands that hold everything in memory, unless they read or write a store
_IN_MEMORY = ("simulate", "nca", "plot", "compounds", "interaction", "forecast")


def main() -> None:
    """Entry point of the command; everything is imported only now."""
    arguments = sys.argv[1:]
    with without(_PROBED if in_memory(arguments) else ()):
        from .app import build

        build(_command_of(arguments))()


def in_memory(arguments: Sequence[str]) -> bool:
    """Whether the command line names no store and no file that may be one, so no lazy array."""
    stores = any(".zarr" in text or text.startswith("--scheduler") for text in arguments)
    return bool(arguments) and arguments[0] in _IN_MEMORY and not stores


def _command_of(arguments: Sequence[str]) -> str | None:
    """The one command that is needed; None: all, for the help and for completion."""
    import os

    if not arguments or arguments[0].startswith("-") or "_PBPK_HYBRID_COMPLETE" in os.environ:
        return None
    return arguments[0]


@contextlib.contextmanager
def without(packages: Sequence[str]) -> Iterator[None]:
    """Let `packages` look as if they were not installed while the block runs.

    Those that were imported before stay. ``None`` in ``sys.modules`` is Python's own way to say
    that an import fails.
    """
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, name) is None:
                del sys.modules[name]


__all__ = ["in_memory", "main", "without"]
