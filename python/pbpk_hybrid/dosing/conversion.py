"""A regimen from whatever describes one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import xarray as xr

from .._core.errors import InputError
from .regimen import Regimen


def as_regimen(regimen: Regimen | xr.Dataset | str | Any) -> Regimen:
    """A Regimen from a Regimen, its Dataset or text.

    Parameters
    ----------
    regimen : Regimen, xarray.Dataset or str
        Text such as ``"100 mg oral q24h x7"``.

    Returns
    -------
    Regimen

    Raises
    ------
    InputError
        Anything else, and text that is no regimen.
    """
    if isinstance(regimen, Regimen):
        return regimen
    if isinstance(regimen, str):
        return _parsed(regimen)
    if isinstance(regimen, xr.Dataset):
        return Regimen.from_dataset(regimen)
    raise InputError(
        "regimen",
        type(regimen).__name__,
        "a Regimen, a regimen Dataset or text such as '100 mg oral'",
    )


@lru_cache(maxsize=256)
def _parsed(text: str) -> Regimen:
    """The regimen of a text; its columns cannot be written to, so that all may share it."""
    return Regimen.parse(text)


__all__ = ["as_regimen"]
