"""Cohorts larger than memory: chunks of subjects over dask workers, streamed into a zarr store.

A run that was stopped can be resumed. Needs the extra ``scale`` (dask, distributed, zarr). Of
the engine only ``simulate(chunks=...)`` imports from here, on call.
"""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "cohort": ("Cohort", "BLOCK"),
    "study": ("simulate_cohort",),
    "model_study": ("simulate_model_cohort",),
    "drawing": ("draw_cohort",),
    "analysing": ("nca_cohort",),
    "forecasting": ("forecast_cohort",),
    "store": ("open_cohort", "verify_cohort"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted(__all__)
