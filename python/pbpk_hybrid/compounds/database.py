"""Looking compounds up: the curated ones first, then the 2,815 chemicals of the httk table.

And compounds from files, which may start from a known one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .._core.arguments import check_choice, check_kind
from .._core.errors import InputError, PBPKError, unknown_name
from .compound import Compound
from .compound_files import read_compound_values
from .curated import curated_compound, curated_names
from .httk_table import httk_compound, httk_table
from .synonyms import SYNONYMS

COLLECTIONS = ("curated", "httk")


def get_compound(name: str, *, collection: str | None = None, **values: Any) -> Compound:
    """A known compound by name, alias, CAS number or DTXSID; capital letters do not matter.

    Parameters
    ----------
    name
        For instance ``"midazolam"``, ``"59467-70-8"`` or ``"DTXSID5023320"``.
    collection
        ``"curated"`` or ``"httk"``; None looks in both, the curated first.
    values
        Fields that take the place of the known ones, with units as in
        :meth:`Compound.create`.

    Returns
    -------
    Compound
        Compound, with a citation for every value and for_species values where known.

    Raises
    ------
    UnknownNameError
        no such compound; the nearest names are suggested.
    InputError
        Httk has no molar mass for it and none is given in `values`.
    """
    if collection is not None:
        check_choice("collection", collection, COLLECTIONS)
    if not isinstance(name, str):
        raise unknown_name("compound", name, list(curated_names()), what="the name of a compound")
    key = " ".join(name.strip().lower().replace("_", " ").split())
    if key in SYNONYMS and key not in httk_table().index:
        return get_compound(SYNONYMS[key], collection=collection, **values)
    if collection != "httk" and (found := _curated_index().get(key)) is not None:
        compound = curated_compound(found)
        return compound.replace(**values) if values else compound
    if collection != "curated":
        index = httk_table().index
        number = index.get(name.strip().lower(), index.get(key))
        if number is not None:
            return httk_compound(number, **values)
    known = (
        list(curated_names()) if collection == "curated" else [row[0] for row in httk_table().rows]
    )
    synonyms = () if collection == "curated" else SYNONYMS
    known = [*_curated_index(), *synonyms, *known]
    raise unknown_name("compound", name, known, what="a known compound")


def load_compound_file(path: str | os.PathLike) -> Compound:
    """A compound from a TOML or YAML file whose keys are the fields of :class:`Compound`.

    Values are numbers in the documented unit or strings with a unit; ``[sources]``,
    ``[kp]`` and ``[species_values.rat]`` are tables. A key ``compound`` may hold all of
    it. An option ``base = "midazolam"`` starts from a known compound and changes what
    the file gives.

    Raises
    ------
    FileFormatError
        The file does not exist, cannot be read as TOML or YAML, or holds no mapping.
    InputError, UnitError, UnknownNameError
        As :meth:`Compound.create`, the message naming the file.
    """
    values = read_compound_values(path)
    base = values.pop("base", None)
    try:
        if base is not None:
            return get_compound(base).replace(**values)
        return Compound.create(**values)
    except PBPKError as err:
        err.add_note(f"while reading {Path(path).expanduser()}")
        raise


@cache
def _curated_index() -> dict[str, str]:
    """Lower-case name, alias, CAS or DTXSID -> name of the curated file."""
    index = {}
    for file in curated_names():
        compound = curated_compound(file)
        for key in (
            file,
            compound.name,
            *compound.aliases,
            compound.identifiers.get("cas", ""),
            compound.identifiers.get("dtxsid", ""),
        ):
            if key:
                index[key.lower()] = file
    return index


def list_compounds(curated: bool | None = None, *, route: str | None = None) -> list[str]:
    """Names of known compounds.

    Parameters
    ----------
    curated
        Curated (True), of the httk table only (False), or both (None).
    route
        ``"iv"`` or ``"oral"``: only those whose doses by this route can be simulated in
        people with the defaults; None: all.
        :func:`~pbpk_hybrid.compounds.compound_overview` says on what each stands.

    Returns
    -------
    list[str]
        The curated ones first.
    """
    check_kind("curated", curated, (bool, type(None)), "True, False or None")
    if route is not None:
        from .overview import ROUTES, compound_overview

        check_choice("route", route, ROUTES)
        table = compound_overview()
        table = table[table[route]]
        if curated is not None:
            table = table[(table["collection"] == "curated") == curated]
        return list(table["name"])
    names = [] if curated is False else list(curated_names())
    if curated is not True:
        rows = (row[0].strip() for row in httk_table().rows)
        names += [name for name in rows if name.lower() not in _curated_index()]
    return names


def search_compounds(
    text: str = "", *, curated: bool | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Compounds whose name, alias or identifier contains `text`.

    Returns
    -------
    list[dict[str, Any]]
        List of rows, best first (name starts with the text, then the rest; curated
        before others), each with ``name, collection, cas, dtxsid, formula, molar_mass,
        has`` - the last names the values that are known.
    """
    check_kind("text", text, str, "part of a name or number")
    check_kind("curated", curated, (bool, type(None)), "True, False or None")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InputError("limit", limit, "a whole number >= 0")
    needle = text.strip().lower()
    rows = [] if curated is False else _curated_rows(needle)
    if curated is not True:
        rows += _httk_rows(needle, {row["cas"] for row in rows})
    rows.sort(
        key=lambda r: (
            not r["name"].lower().startswith(needle),
            r["collection"] != "curated",
            r["name"].lower(),
        )
    )
    return rows if limit is None else rows[:limit]


def _curated_rows(needle: str) -> list[dict[str, Any]]:
    """Curated compounds with `needle` in their name, an alias or a number."""
    rows = []
    for name in curated_names():
        compound = curated_compound(name)
        words = (compound.name, *compound.aliases, *compound.identifiers.values())
        if any(needle in word.lower() for word in words):
            known = [field for field in _SHOWN if getattr(compound, field) is not None]
            rows.append(
                _row(compound.name, "curated", compound.identifiers, compound.molar_mass, known)
            )
    return rows


def _httk_rows(needle: str, seen: set[str]) -> list[dict[str, Any]]:
    """Chemicals of the httk table with `needle` in name, CAS or DTXSID, but for those `seen`."""
    rows = []
    for number, row in enumerate(httk_table().rows):
        if not any(needle in word.lower() for word in row[:3]) or row[1] in seen:
            continue
        record = httk_table().record(number)
        known = [
            field
            for field, column in _SHOWN.items()
            if column and record[column].strip() not in ("", "NA")
        ]
        identifiers = {
            "cas": record["CAS"],
            "dtxsid": record["DTXSID"],
            "formula": record["Formula"],
        }
        text = record["MW"].strip()
        mass = float(text) if text not in ("", "NA") else None
        rows.append(_row(record["Compound"], "httk", identifiers, mass, known))
    return rows


#: values that a search names -> column of the httk table, "" where it has none
_SHOWN = {
    "log_p": "logP",
    "fraction_unbound_plasma": "Human.Funbound.plasma",
    "blood_to_plasma_ratio": "Human.Rblood2plasma",
    "clint_hepatocyte": "Human.Clint",
    "caco2_permeability": "Human.Caco2.Pab",
    "clearance_plasma": "",
    "absorption_rate": "",
}


def _row(
    name: str,
    collection: str,
    identifiers: Mapping[str, str],
    molar_mass: float | None,
    known: list[str],
) -> dict[str, Any]:
    return {
        "name": name,
        "collection": collection,
        "cas": identifiers.get("cas", ""),
        "dtxsid": identifiers.get("dtxsid", ""),
        "formula": identifiers.get("formula", ""),
        "molar_mass": molar_mass,
        "has": known,
    }
