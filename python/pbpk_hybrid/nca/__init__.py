"""Noncompartmental analysis: exposure, terminal slope, clearance and volumes."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .analysis import VARIABLES, nca
from .flags import Flag, describe
from .options import AUC_METHODS, NCAOptions

__all__ = ["AUC_METHODS", "VARIABLES", "Flag", "NCAOptions", "describe", "nca"]


class _CallableModule(ModuleType):
    """This package can be called: ``pbpk_hybrid.nca(...)`` works whether it was imported or not."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return nca(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
