"""Models: OrganGraph, System, and what turns compound + physiology into coefficients."""

from __future__ import annotations

import importlib

_WHERE = {
    "graph": ("OrganGraph", "whole_body_graph"),
    "system": ("System", "Reaction", "Observable", "Coefficients", "RATE_LAWS"),
    "whole_body": ("whole_body_system",),
    "derivatives": ("parameter_derivatives", "parameter_names"),
    "partition": ("partition_coefficients", "blood_to_plasma_ratio"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}
__all__ = list(_MODULE_OF)  # noqa: PLE0605


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
