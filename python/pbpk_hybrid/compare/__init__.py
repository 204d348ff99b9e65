"""Ways to foresee one patient, beside each other."""

from __future__ import annotations

from .forecasts import ForecastComparison, compare_forecasts

__all__ = ["ForecastComparison", "compare_forecasts"]
