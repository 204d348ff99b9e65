"""zarr stores (format 2), looked at before zarr decodes them, and verified while they are read.

A store is a folder of small files, any of which may be damaged, lost, or made to do harm: a
chunk's first bytes say how much memory it wants. So sizes are compared with what the array's own
description allows (:func:`check_store`); and what the journal of a cohort keeps a digest of is
compared with it whenever it is read (:func:`open_store`), not only by
:func:`pbpk_hybrid.scale.verify_cohort`. Stores written here also carry a checksum in each chunk
(:func:`codecs`), which every program that reads zarr compares.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .errors import FileFormatError, StoreError
from .limits import border, check, environment_name, limit, parse_json
from .optional import require

#: what an array's folder holds besides chunks
_METADATA = (".zarray", ".zattrs")
#: codecs whose output cannot be larger than what is checked here
_COMPRESSORS = ("blosc", "zstd", "lz4", "zlib", "gzip")
_FILTERS = ("shuffle", "delta", "vlen-utf8", "crc32", "adler32", "fletcher32", "fixedscaleoffset")
_HEADER = 32  # bytes of a chunk that say how large it will be
#: results may always unpack to this [bytes]: some of ours are all zero, or all NaN
FREE = 512 * 1024**2


def codecs(dtype: np.dtype) -> tuple[list[Any], Any]:
    """Filters and compressor of an array: bytes of one place beside each other, and Zstandard with
    a checksum of the content.

    On profiles this is smaller and faster than zarr's default, and damage is noticed by every
    reader.
    """
    numcodecs = require("numcodecs", "scale", "writing .zarr")
    shuffled = dtype.kind in "fiu" and dtype.itemsize > 1
    filters = [numcodecs.Shuffle(dtype.itemsize)] if shuffled else []
    return filters, numcodecs.Zstd(level=1, checksum=True)


def open_store(path: Path, *, chunks: Any = None) -> xr.Dataset:
    """A store of format 2, checked; its chunks are compared with the journal as they are read.

    Parameters
    ----------
    chunks
        As in xarray: ``{}`` for dask arrays, None to read on access.

    Raises
    ------
    FileFormatError
        No such store, damaged, or over a limit.
    StoreError
        On reading: a chunk whose digest is not that of the journal.
    """
    require("zarr", "scale", "reading .zarr")
    known = journal_digests(path)
    check_store(path)
    source: Any = _verified(path, known) if known else path
    with border("path", str(path), "a zarr store"):
        ds = xr.open_dataset(
            source,
            engine="zarr",
            consolidated=False,
            chunks=chunks,
            decode_times=False,
            decode_timedelta=False,
        )
    ds.encoding["source"] = str(path)
    return ds


def journal_digests(path: Path) -> dict[str, str]:
    """Key of a chunk -> its digest, from the journal beside a cohort's store; empty without one.

    Raises
    ------
    StoreError
        A damaged journal.
    """
    folder = _journal(path).parent
    if not _journal(path).is_file():
        return {}
    found: dict[str, str] = {}
    width = {f.parent.name: _dimensions(f) for f in path.glob("*/.zarray")}
    for file in sorted(folder.glob("chunk-*.json")):
        try:
            files = json.loads(file.read_text())["files"]
            number = int(file.stem.removeprefix("chunk-"))
            if lost := sorted(set(files) - set(width)):
                raise StoreError(
                    f"{path} is damaged: {lost[0]}/.zarray is missing; run the same command with "
                    "overwrite=True"
                )
            for name, digest in files.items():
                if isinstance(digest, str):
                    found[f"{name}/{'.'.join([str(number)] + ['0'] * (width[name] - 1))}"] = digest
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{file}: the journal is damaged; run the same command again, the chunk is "
                "computed anew"
            ) from error
    return found


def _journal(path: Path) -> Path:
    return path.with_name(path.name + ".run") / "run.json"


def _attribute(path: Path, name: str) -> Any:
    return _json(path / ".zattrs").get(name) if (path / ".zattrs").is_file() else None


def digest(data: bytes | memoryview) -> str:
    """What the journal keeps of a chunk."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _dimensions(file: Path) -> int:
    with border("path", str(file), "a zarr store"):
        return len(json.loads(file.read_text())["shape"])


def _verified(path: Path, known: Mapping[str, str]) -> Any:
    """A store that hands out no chunk whose digest is not the known one."""
    from zarr.storage import LocalStore

    class Verified(LocalStore):
        """zarr's store of a folder."""

        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            """The bytes of a key, compared first."""
            found = await super().get(key, prototype, byte_range)
            if key in known and byte_range is None:
                _compare(path, key, None if found is None else found.to_bytes(), known[key])
            return found

        def __reduce__(self) -> tuple:  # dask sends it to workers
            return _verified, (path, known)

    return Verified(path, read_only=True)


def _compare(path: Path, key: str, data: bytes | None, wanted: str) -> None:
    if data is not None and digest(data) == wanted:
        return
    what = "missing" if data is None else "damaged: its digest is not that of the journal"
    raise StoreError(
        f"{path}: chunk {key} is {what}; run the same command again, it is computed anew and the "
        "others are kept"
    )


# ---- before anything is decoded -----------------------------------------------------------------
def check_store(path: Path) -> None:
    """Refuse a store that is none, is damaged, or wants more memory than it can hold.

    Raises
    ------
    FileFormatError
    """
    if not (path / ".zgroup").is_file():
        newer = (path / "zarr.json").is_file()
        raise FileFormatError(
            "path",
            str(path),
            "a zarr store of format 2",
            hint="this one has format 3; write it with zarr_format=2" if newer else "",
        )
    for name in (".zgroup", ".zattrs", ".zmetadata"):
        if (path / name).is_file():
            _json(path / name)
    arrays = sorted(path.glob("*/.zarray"))
    check("results_variables", len(arrays), str(path))
    described = [_Array(file) for file in arrays]
    # of a cohort that is being computed, chunks are missing; its journal knows which
    unfinished = _journal(path).is_file() or _attribute(path, "complete") == 0
    total = sum(a.bytes for a in described)
    check("results_bytes", total, str(path))
    held = 0
    for array in described:
        held += array.check_chunks(whole=array.whole and not unfinished)
    check_ratio(total, held, str(path))


def check_ratio(claimed: float, held: int, where: str) -> None:
    """Refuse a file that would unpack to much more than it has.

    Deflate packs at most 1,030 to 1; results that were simulated, some three to one.

    Raises
    ------
    FileFormatError
    """
    if claimed > max(FREE, limit("results_ratio") * held):
        raise FileFormatError(
            "path",
            where,
            f"a file that can hold the {claimed:.3g} bytes it claims",
            hint=f"it has {held} bytes; if it is sound, {environment_name('results_ratio')} sets "
            "another limit",
        )


def check_texts(longest: int, count: int, where: str) -> None:
    """Refuse texts that would take too much as text of fixed width, where one that is long makes
    all of them as long.

    Raises
    ------
    FileFormatError
    """
    if 4.0 * longest * count > limit("results_chunk"):
        raise FileFormatError(
            where,
            f"{count:,} texts of up to {longest:,} characters",
            f"texts that together take at most {limit('results_chunk'):,} bytes at that width",
        )


def _json(file: Path) -> dict[str, Any]:
    check("settings_bytes", file.stat().st_size, str(file))
    with border("path", str(file), "a zarr store"):
        value = parse_json(file.read_text(encoding="utf-8"), str(file), expected="a zarr store")
    if not isinstance(value, dict):
        raise FileFormatError("path", str(file), "a zarr store: a JSON object")
    return value


class _Array:
    """What ``.zarray`` says of an array, and the chunks beside it."""

    def __init__(self, file: Path) -> None:
        self.folder, self.where = file.parent, str(file)
        meta = _json(file)
        with border("path", self.where, "the description of a zarr array"):
            self.shape = self._sizes(meta["shape"], 0)
            self.chunk = self._sizes(meta["chunks"], 1)
            self.dtype = np.dtype(meta["dtype"])
            self.compressor = meta.get("compressor")
            self.filters = [f["id"] for f in meta.get("filters") or []]
            known = self.compressor is None or self.compressor["id"] in _COMPRESSORS
            unknown = [f for f in self.filters if f not in _FILTERS]
            if len(self.shape) != len(self.chunk):
                raise ValueError("shape and chunks of different lengths")
            if not known or unknown:
                raise ValueError(f"the codec {unknown or self.compressor} is not read here")
            if self.dtype.kind not in "biufcSUO" or (
                self.dtype.kind == "O" and self.filters[-1:] != ["vlen-utf8"]
            ):
                raise ValueError(f"the type {meta['dtype']} is not read here")
        self.text = "vlen-utf8" in self.filters
        self.bytes = math.prod(self.shape) * self.dtype.itemsize
        self.chunk_bytes = math.prod(self.chunk) * self.dtype.itemsize
        check("results_chunk", self.chunk_bytes, self.where)

    @staticmethod
    def _sizes(values: Any, least: int) -> list[int]:
        if not all(isinstance(v, int) and least <= v < 2**63 for v in values):
            raise ValueError(f"sizes {values}")
        return list(values)

    @property
    def whole(self) -> bool:
        """Whether every chunk has to be there: written here, with checksums."""
        return isinstance(self.compressor, dict) and bool(self.compressor.get("checksum"))

    def check_chunks(self, whole: bool) -> int:
        """Bytes of all chunks, each compared with what it may unpack to.

        Raises
        ------
        FileFormatError
        """
        held, names = 0, set()
        for file in self._files():
            held += file.stat().st_size
            names.add(file.name)
            self._check_chunk(file)
        wanted = math.prod(-(-s // c) for s, c in zip(self.shape, self.chunk, strict=True))
        if whole and len(names) < wanted:
            raise FileFormatError(
                "path",
                str(self.folder),
                f"{wanted} chunks",
                hint=f"{wanted - len(names)} are missing: the store is damaged",
            )
        return held

    def _files(self) -> Iterator[Path]:
        for folder, _, names in os.walk(self.folder):  # links are not followed
            for name in names:
                if name not in _METADATA and not name.endswith(".partial"):
                    yield Path(folder) / name

    def _check_chunk(self, file: Path) -> None:
        size = file.stat().st_size
        with border("path", str(file), "a chunk of a zarr store"):
            with file.open("rb") as handle:
                head = handle.read(_HEADER)
            claimed = self._claimed(head, size, file)
            most = limit("results_chunk") if self.text else self.chunk_bytes + 64
            if claimed > most:
                raise FileFormatError(
                    "path", str(file), f"a chunk of {most} bytes", hint=f"it claims {claimed}"
                )
            check_ratio(claimed, size, str(file))
            if self.text:
                self._check_texts(file)

    def _claimed(self, head: bytes, size: int, file: Path) -> int:
        """Bytes that a chunk unpacks to, by its first bytes."""
        kind = None if self.compressor is None else self.compressor["id"]
        if kind is None:
            return size
        if kind == "blosc":
            return int.from_bytes(head[4:8], "little")
        if kind == "lz4":
            return int.from_bytes(head[:4], "little")
        if kind == "zstd":
            return _zstd_size(head)
        most = (limit("results_chunk") if self.text else self.chunk_bytes) + 65
        unpack = zlib.decompressobj(wbits=47)  # zlib or gzip
        total = 0
        with file.open("rb") as handle:
            while packed := unpack.unconsumed_tail or handle.read(1 << 16):
                total += len(unpack.decompress(packed, 1 << 20))
                if total > most or unpack.eof:
                    break
        return total

    def _check_texts(self, file: Path) -> None:
        """A text chunk begins with how many texts it holds."""
        import numcodecs

        data = file.read_bytes()
        if self.compressor is not None:
            data = bytes(numcodecs.get_codec(self.compressor).decode(data))
        count = int.from_bytes(data[:4], "little")
        if count > math.prod(self.chunk):
            raise FileFormatError(
                "path", str(file), f"{math.prod(self.chunk)} texts", hint=f"it claims {count}"
            )
        at = longest = 0
        for _ in range(count):
            size = int.from_bytes(data[4 + at : 8 + at], "little")
            longest, at = max(longest, size), at + 4 + size
        check_texts(longest, math.prod(self.shape), str(file))


def _zstd_size(head: bytes) -> int:
    """Content size of a Zstandard frame (RFC 8878, section 3.1.1.1).

    Raises
    ------
    ValueError
        No such frame, or one that does not say its size.
    """
    if head[:4] != b"\x28\xb5\x2f\xfd":
        raise ValueError("no Zstandard frame")
    described = head[4]
    single, code = bool(described & 0x20), described >> 6
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[described & 3]
    width = (1 if single else 0, 2, 4, 8)[code]
    if width == 0:
        raise ValueError("a Zstandard frame without its size")
    return int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0)


__all__ = [
    "check_ratio",
    "check_store",
    "check_texts",
    "codecs",
    "digest",
    "journal_digests",
    "open_store",
]
