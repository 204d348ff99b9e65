"""What all commands share: exit codes, errors as one line, warnings, progress, files
that appear together or not at all.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .._core import errors

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

UNEXPECTED, BAD_INPUT, SUBJECTS_FAILED, NOT_AVAILABLE, STORE = 1, 2, 3, 4, 5
NOT_EQUIVALENT, INTERRUPTED = 6, 130


def exit_code(error: BaseException) -> int:
    """The exit code that tells a script what kind of error this was."""
    if isinstance(error, (errors.BackendUnavailableError, errors.MissingDependencyError)):
        return NOT_AVAILABLE
    if isinstance(error, errors.SolveError):
        return SUBJECTS_FAILED
    if isinstance(error, errors.StoreError):
        return STORE
    if isinstance(error, errors.InputError):
        return BAD_INPUT
    return UNEXPECTED


@contextlib.contextmanager
def reporting(debug: bool = False, kept: str = "nothing was written") -> Iterator[None]:
    """Errors become one line on stderr and an exit code; our own warnings one line
    each. `kept`: what Ctrl-C leaves.
    """
    with _our_warnings(debug):
        try:
            yield
        except KeyboardInterrupt:
            typer.echo("interrupted; " + kept, err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (errors.PBPKError, OSError) as error:
            _print_error(error, debug)
            raise typer.Exit(exit_code(error)) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            _print_error(error, debug, "unexpected error: " + type(error).__name__ + ": ")
            if not debug:
                typer.echo("run again with --debug to see where; please report it", err=True)
            raise typer.Exit(UNEXPECTED) from None


def _print_error(error: BaseException, debug: bool, prefix: str = "error: ") -> None:
    if debug:
        traceback.print_exc(file=sys.stderr)
    typer.echo(prefix + " ".join(str(error).split()), err=True)


@contextlib.contextmanager
def _our_warnings(debug: bool) -> Iterator[None]:
    def show(message, category, filename, lineno, file=None, line=None):
        typer.echo("warning: " + " ".join(str(message).split()), err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default" if debug else "ignore")
        shown = (errors.SubjectFailedWarning, errors.OutOfRangeWarning, errors.NoEffectWarning)
        for category in shown:
            warnings.simplefilter("always", category)
        warnings.showwarning = show
        yield


def console(quiet: bool = False) -> Console:
    """Console on stdout; silent when `quiet`."""
    from rich.console import Console

    return Console(quiet=quiet, highlight=False)


def stage(
    text: str, quiet: bool, total: int | None = None
) -> AbstractContextManager[Callable[[int], None]]:
    """Progress on stderr while the block runs; yields the function to call with numbers of
    things done. See :func:`pbpk_hybrid._core.progress.progress`.
    """
    from .._core.progress import progress

    return progress(text, total, quiet=quiet)


def check_folder(out: Path) -> None:
    """
    Raises
    ------
    InputError
        The name of a file, such as ``x.nc``: a folder of that name would be created.
    """
    if out.suffix and re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{0,11}", out.suffix) and not out.is_dir():
        raise errors.InputError(
            "--out",
            str(out),
            "the name of a folder",
            hint=f"several files are written into it; for {out.name} give "
            f"--out {out.with_suffix('')}",
        )


@contextlib.contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """A scratch folder whose files move to `folder` together when the block ends without an error.

    On an error nothing appears, and a `folder` that was not there before is not left
    behind.

    Raises
    ------
    InputError
        `folder` cannot be made or written, is a file, or has the name of one.
    """
    folder = folder.expanduser()
    check_folder(folder)
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".pbpk-hybrid.", dir=folder))
    except OSError as error:
        raise errors.InputError(
            "--out", str(folder), "a folder that can be written", hint=str(error)
        ) from error
    try:
        yield scratch
        for file in sorted(scratch.iterdir()):
            os.replace(file, folder / file.name)
        made = []
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for path in made:  # innermost first; not empty means that someone else uses it by now
            with contextlib.suppress(OSError):
                path.rmdir()


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """A pandas table as CSV, whole or not at all."""
    from .._core.files import atomic_path

    with atomic_path(path) as draft:
        frame.to_csv(draft)


def say_json(facts: Mapping[str, Any]) -> None:
    """One JSON object on stdout: numbers as numbers, what is missing or not finite as null."""
    typer.echo(json.dumps(_plain(facts), ensure_ascii=False, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """`value` of types that JSON has."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table, each a mapping of its columns, the named index among them."""
    named = table.reset_index() if table.index.name or table.index.nlevels > 1 else table
    return [
        dict(zip(map(str, named.columns), row, strict=True))
        for row in named.itertuples(index=False, name=None)
    ]
