"""Dosing: who gets how much, where and when; and what happens when, for the solvers."""

from __future__ import annotations

from .events import DoseEvents, expand, just_before
from .nonmem import NonmemData, compartments_of, read_nonmem
from .nonmem_writer import write_nonmem
from .regimen import Regimen
from .steady import SteadyStates

__all__ = [
    "DoseEvents",
    "NonmemData",
    "Regimen",
    "SteadyStates",
    "compartments_of",
    "expand",
    "just_before",
    "read_nonmem",
    "write_nonmem",
]
