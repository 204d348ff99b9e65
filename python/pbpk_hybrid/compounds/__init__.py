"""Compounds: what is known about each drug, where it was published, and what was
measured in people.
"""

from __future__ import annotations

from .compound import Compound, SaturablePathway
from .database import get_compound, list_compounds, load_compound_file, search_compounds
from .dataset import compounds_from_dataset, compounds_to_dataset
from .enzymes import EnzymeEffect, Metabolism
from .observations import list_observations, observations
from .overview import CompoundStatus, compound_overview, compound_status
from .transporters import Transporter
from .validation import Badge, validation_badge

__all__ = [
    "Badge",
    "Compound",
    "CompoundStatus",
    "EnzymeEffect",
    "Metabolism",
    "SaturablePathway",
    "Transporter",
    "compound_overview",
    "compound_status",
    "compounds_from_dataset",
    "compounds_to_dataset",
    "get_compound",
    "list_compounds",
    "list_observations",
    "load_compound_file",
    "observations",
    "search_compounds",
    "validation_badge",
]
