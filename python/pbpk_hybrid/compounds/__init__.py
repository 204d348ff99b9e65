"""Compounds: what is known about each drug, where it was published, and what was
measured in people.
"""

from __future__ import annotations

from .compound import Compound, SaturablePathway
from .database import get_compound, list_compounds, load_compound_file, search_compounds
from .dataset import compounds_from_dataset, compounds_to_dataset
from .enzymes import EnzymeEffect, Metabolism
from .observations import list_observations, observations
from .transporters import Transporter

__all__ = [
    "Compound",
    "EnzymeEffect",
    "Metabolism",
    "SaturablePathway",
    "Transporter",
    "compounds_from_dataset",
    "compounds_to_dataset",
    "get_compound",
    "list_compounds",
    "list_observations",
    "load_compound_file",
    "observations",
    "search_compounds",
]
