"""The curated compounds: one TOML file each, every value with its citation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .._core.errors import PBPKError
from .compound import Compound
from .compound_files import read_compound_values

FOLDER = Path(__file__).parent / "data" / "curated"


@cache
def curated_names() -> dict[str, Path]:
    """Lower-case name -> file, for every curated compound; aliases are not read here."""
    return {p.stem.replace("_", " "): p for p in sorted(FOLDER.glob("*.toml"))}


@cache
def curated_compound(name: str) -> Compound:
    """The curated compound whose file is called `name`."""
    path = curated_names()[name]
    try:
        return Compound.create(**read_compound_values(path))
    except PBPKError as err:
        err.add_note(f"while reading {path}")
        raise
