"""``ds.pk`` on every Dataset, from the moment the package makes or reads one.

The accessor's methods live in :mod:`pbpk_hybrid.results`. What is registered here only
looks them up when somebody asks, so that every module that makes a Dataset has the
accessor and none pays for it.
"""

from __future__ import annotations

import importlib
from typing import Any

import xarray as xr


@xr.register_dataset_accessor("pk")
def _pk(ds: xr.Dataset) -> Any:
    return importlib.import_module("pbpk_hybrid.results.accessor").PKAccessor(ds)
