"""Reads the shipped tables, once each, without changing a number.

Corrections of known slips live in :mod:`.corrections`, never here.
"""

from __future__ import annotations

import csv
import gzip
from functools import cache
from importlib.resources import files

Row = dict[str, str]

TABLES = {
    "httk_physiology": "httk/physiology_data.csv",
    "httk_tissue": "httk/tissue_data.csv",
    "mcnally": "httk/mcnally_dt.csv",
    "nhanes": "httk/nhanes_2013_2018_mecdt.csv.gz",
    "compphysiol": "compphysiol/physiology_records.csv",
    "kpcoeff_rodgers_rowland": "kpcoeff/Tissue_data_RandR.csv",
    "kpcoeff_poulin_theil": "kpcoeff/tissue_comp_PandT.csv",
    "species_reference": "own/species_reference.csv",
}


def content(name: str) -> bytes:
    """One shipped table as it is written, unpacked."""
    path = files("pbpk_hybrid.physiology") / "data" / TABLES[name]
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.name.endswith(".gz") else raw


@cache
def rows(name: str) -> tuple[Row, ...]:
    """All rows of one shipped table as text, header names as keys."""
    return tuple(csv.DictReader(content(name).decode("utf-8").splitlines()))


@cache
def httk_physiology(species: str) -> dict[str, float]:
    """Whole-body values of httk's ``physiology_data.csv`` for one species, in the
    table's own units.
    """
    column = species.capitalize()
    return {
        row["Parameter"]: float(row[column]) for row in rows("httk_physiology") if row.get(column)
    }


@cache
def httk_tissue(species: str, variable: str) -> dict[str, tuple[float, str]]:
    """One variable of httk's ``tissue_data.csv``: tissue -> (value, reference given in the row)."""
    column = species.capitalize()
    return {
        row["Tissue"]: (float(row["value"]), row["Reference"])
        for row in rows("httk_tissue")
        if row["Species"] == column and row["variable"] == variable
    }


@cache
def compphysiol(individual: str, parameter: str) -> dict[str, tuple[float, str]]:
    """One parameter of compphysiol's ``physiology_records.csv``: tissue -> (value,
    source heading).
    """
    return {
        row["tissue"]: (float(row["value"]), row["source_heading"].strip().rstrip(","))
        for row in rows("compphysiol")
        if row["individual"] == individual and row["parameter"] == parameter
    }


@cache
def mcnally(sex: str) -> dict[str, Row]:
    """Rows of ``mcnally_dt.csv`` (McNally et al. 2014) of one sex, by tissue."""
    return {row["tissue"]: row for row in rows("mcnally") if row["gender"].lower() == sex}


@cache
def own_reference(species: str) -> dict[tuple[str, str], Row]:
    """Rows of our own ``species_reference.csv`` for one species, by (organ, parameter)."""
    return {
        (row["organ"], row["parameter"]): row
        for row in rows("species_reference")
        if row["species"] == species
    }
