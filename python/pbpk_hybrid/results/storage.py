"""Datasets in files: netCDF by default, zarr where the name ends so. Whole or not at
all, and nothing lost on the way.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_choice, check_path
from .._core.errors import FileFormatError, InputError
from .._core.files import atomic_path, write_error
from .._core.limits import border, check
from .._core.optional import require
from .._core.schemas import SCHEMAS, validate
from .._core.store_files import check_ratio, check_texts, codecs, open_store

NETCDF = (".nc", ".nc4", ".netcdf")
ZARR = ".zarr"


def save_results(
    ds: xr.Dataset, path: str | os.PathLike, *, compression: int = 0, schema: str | None = None
) -> Path:
    """Write a Dataset to `path`; an older file of that name is replaced only when the
    new one is complete.

    Parameters
    ----------
    path
        Ends in ``.nc`` (netCDF-4) or ``.zarr`` (needs zarr).
    compression
        0 (none) to 9, of netCDF. Curves are full of digits: level 4 makes a result of all
        organs about a quarter smaller and takes about 15 times as long.
    schema
        Check against it first; None: "simulation" where there is a ``concentration``,
        else no check.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    InputError
        Another ending, a compression out of range, or a place that cannot be written.
    StoreError
        The disk is full, or the file cannot be written for another reason.
    SchemaError
        The Dataset does not follow its schema.
    MissingDependencyError
        Zarr asked for and not installed.
    """
    target = Path(path).expanduser()
    if not isinstance(ds, xr.Dataset):
        raise InputError("ds", type(ds).__name__, "an xarray.Dataset")
    if (
        isinstance(compression, bool)
        or not isinstance(compression, int)
        or not 0 <= compression <= 9
    ):
        raise InputError("compression", compression, "an integer from 0 to 9")
    if target.suffix not in (*NETCDF, ZARR):
        raise InputError("path", str(target), "a name that ends in .nc or .zarr")
    schema = schema or ("simulation" if "concentration" in ds.variables else None)
    if schema is not None:
        validate(ds, schema)
    clean = _portable(ds)
    if target.suffix == ZARR:
        require("zarr", "scale", "writing .zarr")
        with atomic_path(target) as draft, _writing(target):
            # format 2: format 3 has no settled way yet to write text of fixed width. Every chunk
            # is written, with a checksum, so that any reader notices one that is lost or damaged
            clean.to_zarr(
                draft,
                mode="w",
                zarr_format=2,
                consolidated=False,
                write_empty_chunks=True,
                encoding={name: _packed(v.dtype) for name, v in clean.variables.items()},
            )
        return target
    encoding = {
        name: {"zlib": True, "complevel": compression, "shuffle": True}
        for name, v in clean.variables.items()
        if compression and v.dtype.kind in "fiub" and v.ndim
    }
    with atomic_path(target) as draft, _writing(target):
        try:
            clean.to_netcdf(draft, engine="netcdf4", format="NETCDF4", encoding=encoding)
        except (TypeError, ValueError) as err:
            raise InputError(
                "ds", str(err), "variables and attributes that netCDF can hold"
            ) from err
    return target


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """HDF5 says "HDF error" when the disk is full."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise write_error(error, target) from error


def _packed(dtype: np.dtype) -> dict[str, Any]:
    filters, compressor = codecs(dtype)
    if dtype.kind in "OT":  # texts of any length have a filter of their own
        return {"compressors": (compressor,)}
    return {"filters": tuple(filters) or None, "compressors": (compressor,)}


def _portable(ds: xr.Dataset) -> xr.Dataset:
    """The Dataset with attributes that netCDF can hold: None left out, bool as 0 or 1;
    old encodings dropped.
    """
    out = ds.drop_encoding()
    out.attrs = _attrs(ds.attrs)
    for name in out.variables:
        out[name].attrs = _attrs(ds[name].attrs)
    return out


def _attrs(attrs: dict[str, Any]) -> dict[str, Any]:
    return {
        k: int(v) if isinstance(v, (bool, np.bool_)) else v
        for k, v in attrs.items()
        if v is not None
    }


def open_results(path: str | os.PathLike, *, schema: str | None = "simulation") -> xr.Dataset:
    """Read a Dataset written by :func:`save_results` and check it.

    The values are loaded and the file is closed.

    Parameters
    ----------
    schema
        The schema that it must follow; None: no check.

    Raises
    ------
    FileFormatError
        no such file, or not a netCDF or zarr store.
    SchemaError
        A Dataset of another schema.
    """
    check_path("path", path, "the name of a .nc file or .zarr folder")
    source = Path(path).expanduser()
    if schema is not None:
        check_choice("schema", schema, SCHEMAS)
    if not source.exists():
        raise FileFormatError("path", str(source), "an existing .nc file or .zarr folder")
    with border("path", str(source), "a netCDF file or zarr store"):
        if source.suffix == ZARR:
            opened = open_store(source)
        else:
            _refuse_bombs(source)
            options: dict[str, Any] = {"decode_times": False, "decode_timedelta": False}
            opened = xr.open_dataset(source, engine="netcdf4", **options)
        with opened:
            ds = opened.load()
        ds = _plain_text(ds)
    return ds if schema is None else validate(ds, schema)


def _refuse_bombs(source: Path) -> None:
    """A small file that would unpack to more memory than it can hold numbers for is
    damaged or made to do harm; so is a small variable in a huge chunk.
    """
    import netCDF4

    where, size = str(source), source.stat().st_size
    with netCDF4.Dataset(source) as file:
        check("results_variables", len(file.variables), where)
        claimed = 0.0
        for name, v in file.variables.items():
            text = v.dtype is str
            width = 8 if text else v.dtype.itemsize
            nbytes = np.prod(v.shape, dtype=float) * width
            claimed += nbytes
            chunk = v.chunking()
            if isinstance(chunk, list):
                piece = np.prod(chunk, dtype=float) * width
                check("results_chunk", piece, f"{where}, chunk of {name}")
                if piece > 8.0 * nbytes:
                    check_ratio(piece, size, f"{where}, chunk of {name}")
        check("results_bytes", claimed, where)
        check_ratio(claimed, size, where)
        for name, v in file.variables.items():
            if v.dtype is str:
                texts = np.atleast_1d(v[...]).ravel()
                check_texts(max(map(len, texts), default=0), texts.size, f"{where}, {name}")


def _plain_text(ds: xr.Dataset) -> xr.Dataset:
    """Text comes back as numpy text of fixed width, as it was before writing."""
    for name, v in ds.variables.items():
        if v.dtype.kind in "OT":
            attrs, encoding = v.attrs, v.encoding
            ds = (
                ds.assign({name: (v.dims, v.values.astype(str))})
                if name not in ds.coords
                else ds.assign_coords({name: (v.dims, v.values.astype(str))})
            )
            ds[name].attrs, ds[name].encoding = attrs, encoding
    return ds
