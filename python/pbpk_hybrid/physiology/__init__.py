"""Physiology: species, organs, reference individuals, virtual populations, tissue composition, plausibility."""

from __future__ import annotations

from .composition import METHODS, tissue_composition
from .dataset import check_physiology
from .individual import reference_individual
from .organs import BLOOD_POOLS, ORGANS, PORTAL_ORGANS, SPECIES
from .population import sample_population

__all__ = [
    "BLOOD_POOLS",
    "METHODS",
    "ORGANS",
    "PORTAL_ORGANS",
    "SPECIES",
    "check_physiology",
    "reference_individual",
    "sample_population",
    "tissue_composition",
]
