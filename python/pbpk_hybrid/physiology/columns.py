"""Organ by organ out of a physiology Dataset: plain arrays, without a look-up of labels each."""

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
    axis = variable.dims.index("organ")
    rows = np.ascontiguousarray(np.moveaxis(variable.values, axis, 0), dtype=float)
    if np.may_share_memory(rows, variable.values):
        rows = rows.copy()
    return {str(organ): rows[i] for i, organ in enumerate(physiology.variables["organ"].values)}


__all__ = ["by_organ"]
