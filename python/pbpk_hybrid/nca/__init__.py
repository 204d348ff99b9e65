"""Noncompartmental analysis: exposure, terminal slope, clearance and volumes of every subject at once."""

from __future__ import annotations

from .analysis import VARIABLES, nca
from .flags import Flag, describe
from .options import AUC_METHODS, NCAOptions

__all__ = ["AUC_METHODS", "VARIABLES", "Flag", "NCAOptions", "describe", "nca"]
