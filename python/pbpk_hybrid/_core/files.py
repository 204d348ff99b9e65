"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Works for files and for folders (zarr). On any error nothing is left at `path` that
    was not there before.

    Raises
    ------
    InputError
        If the folder of `path` cannot be made or written.
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
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
