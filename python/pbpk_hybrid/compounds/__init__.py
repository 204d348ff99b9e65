"""Compounds: what is known about each drug, where it was published, and what was measured in people."""

from __future__ import annotations

from .compound import Compound, SaturablePathway
from .curated import load_compound_file
from .database import get_compound

__all__ = ["Compound", "SaturablePathway", "get_compound", "load_compound_file"]
