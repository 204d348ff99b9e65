"""The zarr store of a cohort, and the journal beside it that says which chunks are finished.

`NAME.zarr` is an ordinary store (format 2) of the ``simulation`` schema. `NAME.zarr.run` holds
the journal: the request (``run.json``), and for every finished chunk a record with a digest of
each of its files. A chunk is finished when its record exists and its files have these digests;
all others are computed again. Values not yet computed read as NaN, their status as -1.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import FileFormatError, InputError, SchemaError, StoreError
from .._core.files import atomic_path, write_error
from .._core.optional import require
from .._core.store_files import check_store, codecs, digest, open_store

#: what an integer variable holds until it is computed. It is written, not declared as the fill
#: value: readers would take a declared one for a mask and return floats
_UNREACHED = -1
#: attributes of chunks: the store has their mean over the subjects, or their sum
AVERAGED = (
    "rejected_fraction",
    "redrawn_fraction",
    "probability",
    "people_trained_on_like_that",
)
SUMMED = ("soft_rule_exceptions", "replaced_people")
#: least number of characters of a column of text: the first subjects need not have the longest
_WIDTH = 32


class CohortStore:
    """One cohort on disk. Several processes may write at once, each its own chunks."""

    def __init__(self, path: str | os.PathLike, chunk: int, n: int) -> None:
        self.path = Path(path).expanduser().absolute()
        if self.path.suffix != ".zarr":
            raise InputError("store", str(path), "a name that ends in .zarr")
        self.journal = self.path.with_name(self.path.name + ".run")
        self.chunk, self.n = chunk, n

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.n // self.chunk)

    def bounds(self, i: int) -> tuple[int, int]:
        """First subject and one past the last of chunk i."""
        return i * self.chunk, min((i + 1) * self.chunk, self.n)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps a second run out of the store; the operating system drops it when the process dies.

        Raises
        ------
        StoreError
            Another run holds it, or the folder cannot be written.
        """
        try:
            self.journal.mkdir(parents=True, exist_ok=True)
            handle = (self.journal / "lock").open("w")
        except OSError as error:
            raise storage_error(error, self.path) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreError(
                    f"{self.path}: another run is writing to it; wait for it or choose another name"
                ) from error
            yield

    def begin(
        self, request: Mapping[str, Any], template: xr.Dataset, labels: np.ndarray, overwrite: bool
    ) -> list[int]:
        """Create the store, or check the one that exists; returns the chunks still to compute.

        Parameters
        ----------
        request : mapping
            Everything the numbers depend on, as plain JSON.
        template : xarray.Dataset
            Result for a few subjects: names, types, attributes.
        labels : ndarray, (n_subjects,)
        overwrite : bool
            Delete a store that exists.

        Raises
        ------
        StoreError
            The store belongs to another request (the message says what differs), or was not
            made by this package.
        """
        wanted = json.loads(json.dumps(dict(request)))
        record = self.journal / "run.json"
        with self._reporting():
            self._sweep()
            if overwrite:
                self._remove()
        if self.path.exists() and record.exists():
            before = _read_json(record)
            if before is None:
                raise StoreError(f"{record} is damaged; overwrite=True starts again")
            for name in sorted(wanted.keys() | before.keys()):
                if wanted.get(name) != before.get(name):
                    raise StoreError(
                        f"{self.path} holds another run: {name} was {_short(before.get(name))} "
                        f"and is {_short(wanted.get(name))} now; choose another name, or "
                        "overwrite=True"
                    )
            self._check(template)
            return [i for i in range(self.chunks) if not self.finished(i)]
        if self.path.exists():
            raise StoreError(
                f"{self.path} is there and is not an unfinished run; choose another name, or "
                "overwrite=True"
            )
        # the journal first: a store without one could not be told from somebody else's, a journal
        # without a store is begun anew
        with self._reporting():
            self._forget()
            with atomic_path(record) as draft:
                draft.write_text(json.dumps(wanted, indent=1, sort_keys=True))
            self._create(template, labels)
        return list(range(self.chunks))

    def _remove(self) -> None:
        """The store and what the journal knows of it, in this order and each at once, so that a
        kill in between leaves nothing that looks finished.
        """
        self._forget()
        if self.path.exists():
            os.replace(self.path, self.journal / "replaced")
            self._sweep()

    def _forget(self) -> None:
        for file in self.journal.glob("chunk-*.json"):
            file.unlink()

    def _check(self, template: xr.Dataset) -> None:
        """
        Raises
        ------
        StoreError
            A store whose description is damaged, or is not that of this run.
        """
        damaged = f"{self.path} is damaged: {{}}; overwrite=True starts again"
        try:
            check_store(self.path)
            group = _zarr().open_group(str(self.path), mode="r", zarr_format=2)
            found = {name: array.shape for name, array in group.arrays()}
            marked = {name: array.attrs.get("_ARRAY_DIMENSIONS") for name, array in group.arrays()}
        except FileFormatError as error:
            raise StoreError(damaged.format(error)) from error
        except Exception as error:  # zarr raises many types for an unreadable store
            raise StoreError(damaged.format(f"{type(error).__name__}: {error}")) from error
        for name, variable in template.variables.items():
            dims = list(variable.dims)
            shape = tuple(self.n if d == "subject" else template.sizes[d] for d in dims)
            if found.get(str(name)) != shape or marked[str(name)] != dims:
                raise StoreError(damaged.format(f"{name} has not the shape of this run"))

    def write(self, i: int, ds: xr.Dataset) -> None:
        """Write chunk i and then its record. Writing it twice leaves it as once.

        Raises
        ------
        StoreError
            The disk is full or the store cannot be written.
        """
        first, last = self.bounds(i)
        # a chunk of nothing but zeros is a chunk, not one that was lost
        with self._reporting(), _zarr().config.set({"array.write_empty_chunks": True}):
            group = _zarr().open_group(str(self.path), mode="r+", zarr_format=2)
            for name in self.arrays(group):
                if name != "subject":
                    values = ds[name].values
                    if (
                        values.dtype.kind == "U"
                        and values.dtype.itemsize > group[name].dtype.itemsize
                    ):
                        raise SchemaError(
                            name, str(values.dtype), f"text of type {group[name].dtype}"
                        )
                    group[name][first:last] = values
            record = {
                "files": {
                    name: _digest(self._file(name, i))
                    for name in self.arrays(group)
                    if name != "subject"
                },
                "failed": int((ds["status"].values != 0).sum()) if "status" in ds else 0,
                "averaged": {name: float(ds.attrs[name]) for name in AVERAGED if name in ds.attrs},
                "summed": {name: int(ds.attrs[name]) for name in SUMMED if name in ds.attrs},
            }
            with atomic_path(self.journal / f"chunk-{i:06d}.json") as draft:
                draft.write_text(json.dumps(record))

    def finished(self, i: int) -> bool:
        """Whether chunk i has its record and files that fit it."""
        record = _read_json(self.journal / f"chunk-{i:06d}.json")
        if record is None:
            return False
        return all(
            _digest(self._file(name, i)) == digest for name, digest in record["files"].items()
        )

    def failed(self) -> int:
        """Subjects without a solution, over the finished chunks."""
        records = (_read_json(self.journal / f"chunk-{i:06d}.json") for i in range(self.chunks))
        return sum(record["failed"] for record in records if record)

    def end(self) -> None:
        """Write what is known only at the end."""
        with self._reporting():
            self._sweep()
            group = _zarr().open_group(str(self.path), mode="r+", zarr_format=2)
            if "status" in group:
                group.attrs["failed_subjects"] = self.failed()
            group.attrs.update(self._over_all())
            group.attrs["complete"] = 1

    def _over_all(self) -> dict[str, float]:
        """Means and sums over the subjects of what the chunks say of themselves."""
        sums: dict[str, float] = {}
        for i in range(self.chunks):
            first, last = self.bounds(i)
            record = _read_json(self.journal / f"chunk-{i:06d}.json") or {}
            for name, value in record.get("averaged", {}).items():
                sums[name] = sums.get(name, 0.0) + value * (last - first) / self.n
            for name, value in record.get("summed", {}).items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def open(self) -> xr.Dataset:
        """The store as a Dataset that reads chunk by chunk (dask arrays)."""
        return open_store(self.path, chunks={})

    @staticmethod
    def arrays(group: Any) -> list[str]:
        """Arrays that are cut into chunks of subjects."""
        return sorted(
            name
            for name, array in group.arrays()
            if array.attrs["_ARRAY_DIMENSIONS"][:1] == ["subject"]
        )

    def _create(self, template: xr.Dataset, labels: np.ndarray) -> None:
        zarr = _zarr()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path) as draft:
            group = zarr.open_group(str(draft), mode="w", zarr_format=2)
            for name, variable in template.variables.items():
                name = str(name)
                values = labels if name == "subject" else variable.values
                subject = variable.dims[:1] == ("subject",)
                shape = (self.n, *values.shape[1:]) if subject else values.shape
                kind = values.dtype
                if kind.kind == "U" and subject and name != "subject":
                    kind = np.dtype(f"<U{max(_WIDTH, kind.itemsize // 4)}")
                filters, compressor = codecs(kind)
                array = group.create_array(
                    name,
                    filters=filters or None,
                    compressors=compressor,
                    shape=shape,
                    chunks=tuple(
                        max(1, size)
                        for size in ((self.chunk, *values.shape[1:]) if subject else shape)
                    )
                    or (1,),
                    dtype=kind,
                    fill_value=np.nan if values.dtype.kind == "f" else None,
                    config={"write_empty_chunks": True},
                )
                array.attrs.update({k: _plain(v) for k, v in variable.attrs.items()})
                array.attrs["_ARRAY_DIMENSIONS"] = list(variable.dims)
                if not subject or name == "subject":
                    array[...] = values
                elif values.dtype.kind == "i":
                    array[...] = np.full(shape, _UNREACHED, dtype=values.dtype)
            coordinates = sorted(str(c) for c in template.coords if c not in template.dims)
            group.attrs.update({k: _plain(v) for k, v in template.attrs.items()})
            group.attrs.update({"coordinates": " ".join(coordinates), "complete": 0})

    def _file(self, name: str, i: int) -> Path:
        folder = self.path / name
        found = [folder / str(i)] if (folder / str(i)).exists() else sorted(folder.glob(f"{i}.*"))
        whole = [f for f in found if f.suffix != ".partial"]
        return whole[0] if whole else folder / str(i)

    def _sweep(self) -> None:
        """Remove what a killed writer left half-written. Called under the lock."""
        for file in self.path.glob("*/*.partial"):
            file.unlink(missing_ok=True)
        for folder in self.path.parent.glob(f".{self.path.name}.*"):  # drafts of atomic_path
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.journal / "replaced", ignore_errors=True)

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, self.path) from error


def over_all(parts: Sequence[xr.Dataset]) -> dict[str, float]:
    """The attributes that are means or sums over the subjects of all parts."""
    sizes = [p.sizes["subject"] for p in parts]
    averages = {
        k: float(np.average([p.attrs[k] for p in parts], weights=sizes))
        for k in AVERAGED
        if k in parts[0].attrs
    }
    return averages | {k: sum(p.attrs[k] for p in parts) for k in SUMMED if k in parts[0].attrs}


def open_cohort(path: str | os.PathLike, *, partial: bool = False) -> xr.Dataset:
    """Open a cohort's store, lazily (dask arrays, chunk by chunk).

    Every chunk is compared with the journal when it is read.

    Parameters
    ----------
    path : str or path
        The store, ``NAME.zarr``.
    partial : bool
        Accept a run that is not complete: missing values are NaN, their status -1.

    Raises
    ------
    StoreError
        Not a store, damaged, or not complete; on reading, a chunk that is damaged or missing.
    """
    path = Path(path).expanduser().absolute()
    try:
        ds = open_store(path, chunks={})
    except FileFormatError as error:
        raise StoreError(f"{path} cannot be read as a cohort: {error}") from error
    if not partial and not ds.attrs.get("complete"):
        raise StoreError(
            f"{path} is not complete: run the same command again to finish it, or partial=True"
        )
    return ds


def verify_cohort(path: str | os.PathLike) -> list[int]:
    """Chunks of a store that are missing or damaged, by the digests of the journal.

    Returns
    -------
    list of int
        Empty for a complete store without damage.

    Raises
    ------
    StoreError
        There is no journal beside the store.
    """
    path = Path(path).expanduser().absolute()
    request = run_record(path)
    if request is None:
        raise StoreError(f"{path}: no journal beside it ({path.name}.run/run.json)")
    store = CohortStore(path, request["chunk"], request["n"])
    return [i for i in range(store.chunks) if not store.finished(i)]


def run_record(path: str | os.PathLike) -> dict[str, Any] | None:
    """The request of a store, from the journal beside it; None without a journal."""
    path = Path(path).expanduser().absolute()
    return _read_json(path.with_name(path.name + ".run") / "run.json")


def storage_error(error: OSError, path: Path) -> StoreError:
    """An operating-system error in words that say what to do."""
    return write_error(error, path, "finished chunks are kept")


def _digest(file: Path) -> str | None:
    try:
        return digest(file.read_bytes())
    except FileNotFoundError:
        return None


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _zarr():
    zarr = require("zarr", "scale", "writing .zarr")
    # text of fixed width is well defined in format 2; zarr warns with an eye to format 3
    warnings.filterwarnings("ignore", category=UserWarning, module="zarr")
    return zarr
