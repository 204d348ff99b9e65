"""Datasets in files: netCDF by default, zarr where the name ends so. Whole or not at
all, and nothing lost on the way.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_choice, check_path
from .._core.errors import FileFormatError, InputError, PBPKError
from .._core.files import atomic_path
from .._core.optional import require
from .._core.schemas import SCHEMAS, validate

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
        with atomic_path(target) as draft:
            # format 2: format 3 has no settled way yet to write text of fixed width
            clean.to_zarr(draft, mode="w", zarr_format=2, consolidated=False)
        return target
    encoding = {
        name: {"zlib": True, "complevel": compression, "shuffle": True}
        for name, v in clean.variables.items()
        if compression and v.dtype.kind in "fiub" and v.ndim
    }
    with atomic_path(target) as draft:
        try:
            clean.to_netcdf(draft, engine="netcdf4", format="NETCDF4", encoding=encoding)
        except (TypeError, ValueError) as err:
            raise InputError(
                "ds", str(err), "variables and attributes that netCDF can hold"
            ) from err
    return target


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
    options: dict[str, Any] = {"decode_times": False, "decode_timedelta": False}
    try:
        if source.suffix == ZARR:
            require("zarr", "scale", "reading .zarr")
            opened = xr.open_dataset(source, engine="zarr", consolidated=False, **options)
        else:
            opened = xr.open_dataset(source, engine="netcdf4", **options)
        with opened:
            _refuse_bombs(opened, source)
            ds = opened.load()
    except (PBPKError, KeyboardInterrupt):
        raise
    # a damaged file makes the libraries raise nearly anything: AttributeError, MemoryError, ...
    except Exception as err:
        raise FileFormatError(
            "path", str(source), "a netCDF file or zarr store", hint=str(err)
        ) from err
    ds = _plain_text(ds)
    return ds if schema is None else validate(ds, schema)


#: a file may always unpack to this [bytes] ...
_UNPACKED = 64 * 1024**2
#: ... and otherwise to so many times its size: deflate packs at most 1,030 to 1, zarr's
#: compressors somewhat more
_RATIO = {"file": 1100, "folder": 10_000}


def _refuse_bombs(ds: xr.Dataset, source: Path) -> None:
    """A small file that would unpack to more memory than it can hold numbers for is
    damaged or made to do harm.
    """
    files = [source] if source.is_file() else [f for f in source.rglob("*") if f.is_file()]
    size = sum(f.stat().st_size for f in files)
    if ds.nbytes > max(_UNPACKED, _RATIO["file" if source.is_file() else "folder"] * size):
        raise FileFormatError(
            "path",
            str(source),
            f"a file that can hold the {ds.nbytes:.3g} bytes it claims",
            hint=f"it has {size} bytes",
        )


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
