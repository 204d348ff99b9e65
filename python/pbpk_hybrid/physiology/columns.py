"""Organ by organ out of a physiology Dataset: plain arrays, without xarray's look-up of labels."""

from __future__ import annotations

import numpy as np
import xarray as xr


def by_organ(physiology: xr.Dataset, name: str) -> dict[str, np.ndarray]:
    """A variable of all organs.

    Parameters
    ----------
    physiology : xarray.Dataset
        Schema ``physiology``.
    name : str
        Variable over (subject, organ) in any order, or over (organ,).

    Returns
    -------
    dict
        Organ -> (n_subjects,) values, or one number as an array without dimension; copies.
    """
    variable = physiology.variables[name]
    values = np.moveaxis(variable.values, variable.dims.index("organ"), 0)
    rows = np.array(values, dtype=float, order="C")
    return dict(zip(physiology.get_index("organ").tolist(), rows, strict=True))


def of_organ(physiology: xr.Dataset, name: str, organ: str) -> np.ndarray:
    """A variable of one organ: (n_subjects,) values, or one number as an array; a copy.

    Raises
    ------
    KeyError
        No organ of this name.
    """
    variable = physiology.variables[name]
    place = physiology.get_index("organ").get_loc(organ)
    return np.array(variable.values.take(place, variable.dims.index("organ")), dtype=float)


__all__ = ["by_organ", "of_organ"]
