"""Simulation results: the accessor ``ds.pk``, files, tables."""

from __future__ import annotations

from .accessor import PKAccessor
from .storage import open_results, save_results
from .tables import nca_summary, nca_table, simulation_table

__all__ = [
    "PKAccessor",
    "nca_summary",
    "nca_table",
    "open_results",
    "save_results",
    "simulation_table",
]
