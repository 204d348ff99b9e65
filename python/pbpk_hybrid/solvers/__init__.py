"""Backends that integrate a System: embedded (numba) and julia, one contract."""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "base": (
        "SolverOptions",
        "Status",
        "Problem",
        "StopTable",
        "Trajectories",
        "Availability",
        "METHODS",
    ),
    "time_grid": ("TimeGrid",),
    "select": ("choose_backend", "get_backend", "availability", "BACKENDS"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)
