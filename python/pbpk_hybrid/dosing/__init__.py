"""Dosing: who gets how much, where and when; and what happens when, for the solvers."""

from __future__ import annotations

from .events import DoseEvents, expand
from .regimen import Regimen
from .steady import SteadyStates

__all__ = ["DoseEvents", "Regimen", "SteadyStates", "expand"]
