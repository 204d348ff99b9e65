"""Physiology: species, organs, reference individuals, virtual populations, tissue composition, plausibility."""

from __future__ import annotations

from .child import reference_child
from .composition import METHODS, tissue_composition
from .conditions import reference_pregnancy, with_hepatic_impairment, with_renal_impairment
from .dataset import check_physiology
from .enzymes import ontogeny, with_enzymes
from .individual import reference_individual
from .organs import BLOOD_POOLS, ORGANS, PORTAL_ORGANS, SPECIES
from .people import training_people
from .plausibility import CHILD_RULES, RULES, check_plausibility, check_ranks, summary
from .population import sample_population
from .transporters import with_transporters

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
    "ontogeny",
    "reference_child",
    "reference_individual",
    "reference_pregnancy",
    "sample_population",
    "summary",
    "tissue_composition",
    "training_people",
    "with_enzymes",
    "with_hepatic_impairment",
    "with_renal_impairment",
    "with_transporters",
]
