"""Physiology: species, organs, reference individuals, virtual populations, tissue
composition, plausibility.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.lazy import lazy_names
from .adults.training_people import training_people
from .children.reference import reference_child
from .conditions.disease import (
    reference_pregnancy,
    with_hepatic_impairment,
    with_pregnancy,
    with_renal_impairment,
)
from .conditions.enzymes import ontogeny, with_enzymes
from .conditions.special import with_conditions
from .conditions.transporters import with_transporters
from .dataset import check_physiology
from .individual import reference_individual
from .organs import BLOOD_POOLS, ORGANS, PORTAL_ORGANS, SPECIES
from .plausibility.check import check_plausibility, check_ranks
from .plausibility.rules import CHILD_RULES, RULES
from .plausibility.summary import summary
from .population import sample_population
from .tables.composition import METHODS, tissue_composition

if TYPE_CHECKING:
    from .like.comparison import like_table
    from .like.twins import virtual_twins

# few simulations need them, and they take as long to load as all the rest
_, __getattr__ = lazy_names(
    __name__, {"like.comparison": ("like_table",), "like.twins": ("virtual_twins",)}
)

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
    "like_table",
    "ontogeny",
    "reference_child",
    "reference_individual",
    "reference_pregnancy",
    "sample_population",
    "summary",
    "tissue_composition",
    "training_people",
    "virtual_twins",
    "with_conditions",
    "with_enzymes",
    "with_hepatic_impairment",
    "with_pregnancy",
    "with_renal_impairment",
    "with_transporters",
]
