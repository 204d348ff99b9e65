"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError, StoreError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Works for files and for folders (zarr). On any error nothing is left at `path` that
    was not there before.

    Raises
    ------
    InputError
        If the folder of `path` cannot be made or written.
    StoreError
        The disk is full.
    """
    final = Path(path).expanduser()
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    except OSError as err:
        raise InputError("path", str(final), "a place that can be written", hint=str(err)) from err
    try:
        draft = scratch / final.name
        yield draft
        if draft.is_dir() and final.is_dir():
            old = scratch / ".replaced"
            os.replace(final, old)
        os.replace(draft, final)
    except OSError as error:
        if error.errno in FULL:
            raise write_error(error, final) from error
        raise
    finally:
        _remove(scratch)


def _remove(folder: Path) -> None:
    """A folder in which threads of a library may still be writing: tried again for a moment."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


#: what the operating system says when there is no room
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_error(error: Exception, path: Path, kept: str = "what was there is kept") -> StoreError:
    """What went wrong while a file was written, in words that say what to do.

    Parameters
    ----------
    kept
        What the failure left.
    """
    try:
        free = shutil.disk_usage(path.parent).free
        room = f"{free / 1e6:,.0f} MB are free there"
    except OSError:
        free, room = None, "nobody can say how much is free there"
    if getattr(error, "errno", None) in FULL or (free is not None and free < 1e6):
        return StoreError(
            f"{path}: the disk is full, or files may not be so large ({room}); free some space and "
            f"run the same command again; {kept}"
        )
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return StoreError(f"{path}: cannot be written ({reason}; {room}); {kept}")
