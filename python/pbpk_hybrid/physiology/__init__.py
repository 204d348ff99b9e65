"""Physiology: species, organs, reference individuals, virtual populations, tissue composition, plausibility."""

from __future__ import annotations

from .composition import METHODS, tissue_composition
from .dataset import check_physiology
from .individual import reference_individual
from .organs import BLOOD_POOLS, ORGANS, PORTAL_ORGANS, SPECIES
from .people import training_people
from .plausibility import RULES, check_plausibility
from .population import sample_population

__all__ = [
    "BLOOD_POOLS",
    "METHODS",
    "ORGANS",
    "PORTAL_ORGANS",
    "RULES",
    "SPECIES",
    "check_physiology",
    "check_plausibility",
    "reference_individual",
    "sample_population",
    "tissue_composition",
    "training_people",
]
