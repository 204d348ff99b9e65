"""Amounts and concentrations of a large result, worked out from one array when they are read.

The integrator's sums are kept once. An amount is one of them; a concentration is amount x factor
+ offset. Both are variables of the Dataset like those of an opened file: a part that is selected
is computed alone, and a variable that is read as a whole stays in memory from then on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

#: values of a variable from which on it is not worked out beforehand (8 MB)
LARGE = 2**20


class Derived(BackendArray):
    """(subject, time, compartment) values: a sum of amounts, times a factor, plus an offset.

    Parameters
    ----------
    sums : (n_subjects, n_times, n_sums)
    column : (n_compartments,) the sum of each compartment
    factor : (n_subjects or 1, n_compartments); None: the sums themselves
    offset : number of a compartment -> (n_subjects or 1,)
    """

    def __init__(
        self,
        sums: np.ndarray,
        column: np.ndarray,
        factor: np.ndarray | None = None,
        offset: dict[int, np.ndarray] | None = None,
    ):
        self.sums, self.column, self.factor, self.offset = sums, column, factor, offset or {}
        self.shape = (*sums.shape[:2], len(column))
        self.dtype = np.dtype(float)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._part
        )

    def _part(self, key: tuple[Any, ...]) -> np.ndarray:
        """The values at (subjects, times, compartments): numbers, slices or arrays of numbers."""
        who, when, where = (
            slice(k, k + 1 or None) if isinstance(k, (int, np.integer)) else k for k in key
        )
        part = self.sums[who][:, when]
        columns = self.column[where]
        same = len(columns) == part.shape[2] and np.array_equal(columns, np.arange(len(columns)))
        part = part if same else part[:, :, columns]
        if self.factor is None:
            # a view would let one who writes into it change what concentrations come from
            out = part.copy() if np.may_share_memory(part, self.sums) else part
        else:
            factor = self.factor if len(self.factor) == 1 else self.factor[who]
            out = part * factor[:, where][:, None, :]
            for o, compartment in enumerate(np.arange(self.shape[2])[where]):
                if (offset := self.offset.get(int(compartment))) is not None:
                    of_subjects = offset if len(offset) == 1 else offset[who]
                    out[:, :, o] += of_subjects[:, None]
        single = tuple(a for a, k in enumerate(key) if isinstance(k, (int, np.integer)))
        return out.squeeze(axis=single) if single else out

    def variable(self) -> Any:
        """What a Dataset takes: the values themselves where they are few."""
        if int(np.prod(self.shape)) < LARGE:
            plain = self.factor is None and len(self.column) == self.sums.shape[2]
            return self.sums if plain else self._part((slice(None),) * 3)
        lazy = indexing.LazilyIndexedArray(self)
        return indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy))


__all__ = ["LARGE", "Derived"]
