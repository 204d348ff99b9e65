"""Backends that integrate a System: embedded (numba) and julia, one contract."""

from __future__ import annotations

import importlib

_WHERE = {
    "base": ("SolverOptions", "Status", "Problem", "StopTable", "Trajectories", "Availability", "METHODS"),
    "select": ("choose_backend", "get_backend", "availability", "BACKENDS"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}
__all__ = list(_MODULE_OF)  # noqa: PLE0605


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
