"""Simulation results: the accessor ``ds.pk``, files, tables."""

from __future__ import annotations

from .accessor import PKAccessor
from .doses import DoseRecords, dose_records, has_dose_records
from .ratios import RATIO_COLUMNS, ratio_table
from .storage import open_results, save_results
from .tables import last_interval, nca_summary, nca_table, simulation_table

__all__ = [
    "RATIO_COLUMNS",
    "DoseRecords",
    "PKAccessor",
    "dose_records",
    "has_dose_records",
    "last_interval",
    "nca_summary",
    "nca_table",
    "open_results",
    "ratio_table",
    "save_results",
    "simulation_table",
]
