"""Looking compounds up: the curated ones first, then the httk table."""

from __future__ import annotations

from .._core.errors import unknown_name
from .compound import Compound
from .curated import curated_compound, curated_names


def get_compound(name: str) -> Compound:
    """A compound by name."""
    key = str(name).strip().lower()
    if key in curated_names():
        return curated_compound(key)
    raise unknown_name("compound", name, curated_names())
