"""Physiology: species, organs, reference individuals, virtual populations, tissue composition, plausibility."""

from __future__ import annotations

from .composition import METHODS, tissue_composition
from .dataset import check_physiology
from .individual import reference_individual
from .organs import BLOOD_POOLS, ORGANS, PORTAL_ORGANS, SPECIES
from .people import training_people
from .plausibility import CHILD_RULES, RULES, check_plausibility, check_ranks, summary
from .population import sample_population

__all__ = [
    "BLOOD_POOLS",
    "CHILD_RULES",
    "METHODS",
    "ORGANS",
    "PORTAL_ORGANS",
    "RULES",
    "SPECIES",
    "check_physiology",
    "check_plausibility",
    "check_ranks",
    "reference_individual",
    "sample_population",
    "summary",
    "tissue_composition",
    "training_people",
]
