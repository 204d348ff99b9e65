"""The chemicals of the R package httk as compounds. Read once, on first use."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .._core.errors import InputError
from .compound import Compound
from .predicted_absorption import predict_absorption

TABLE = Path(__file__).parent / "data" / "httk" / "chem_physical_and_invitro_measured.csv.gz"
VERSION = "httk 2.7.4"
CLINT_P_LIMIT = 0.05  # httk: a slope with a larger p value is no clearance (get_clint)
LARGEST_FRACTION = 1.2  # a fraction up to here is 1 with its measurement error; above, it is a slip

_COLUMNS = (
    "Compound",
    "CAS",
    "DTXSID",
    "Formula",
    "MW",
    "logP",
    "logP.Reference",
    "logMA",
    "logMA.Reference",
    "MW.Reference",
    "pKa_Accept",
    "pKa_Accept.Reference",
    "pKa_Donor",
    "pKa_Donor.Reference",
    "Human.Caco2.Pab",
    "Human.Caco2.Pab.Reference",
    "Human.Fabs",
    "Human.Fabs.Reference",
    "Human.Fgut",
    "Human.Fgut.Reference",
    "Human.Fhep",
    "Human.Foral",
    "Dog.Foral",
    "Monkey.Foral",
    "Mouse.Foral",
    "Rat.Foral",
    "Human.Clint",
    "Human.Clint.pValue",
    "Human.Clint.Reference",
    "Human.Funbound.plasma",
    "Human.Funbound.plasma.Reference",
    "Human.Rblood2plasma",
    "Human.Rblood2plasma.Reference",
    "Mouse.Funbound.plasma",
    "Mouse.Funbound.plasma.Reference",
    "Rabbit.Funbound.plasma",
    "Rabbit.Funbound.plasma.Reference",
    "Rat.Clint",
    "Rat.Clint.pValue",
    "Rat.Clint.Reference",
    "Rat.Funbound.plasma",
    "Rat.Funbound.plasma.Reference",
    "Rat.Rblood2plasma",
    "Rat.Rblood2plasma.Reference",
)


@dataclass(frozen=True)
class HttkTable:
    """All rows (tuples of text in the order of ``_COLUMNS``) and where to find each name."""

    rows: tuple[tuple[str, ...], ...]
    index: dict[str, int]  # lower-case name, CAS or DTXSID -> row

    def record(self, number: int) -> dict[str, str]:
        """One row by column name."""
        return dict(zip(_COLUMNS, self.rows[number], strict=True))


@cache
def httk_table() -> HttkTable:
    """The table, parsed on the first call."""
    with gzip.open(TABLE, "rb") as file:
        text = file.read().decode("utf-8")
    reader = csv.reader(io.StringIO(text))
    header = next(reader)
    pick = [header.index(name) for name in _COLUMNS]
    rows = []
    index: dict[str, int] = {}
    for line in reader:
        row = tuple([line[i] for i in pick])
        for key in row[:3]:
            if key and key != "NA":
                index.setdefault(key.strip().lower(), len(rows))
        rows.append(row)
    return HttkTable(tuple(rows), index)


def httk_bioavailability(name: str, species: str) -> tuple[float | None, float | None]:
    """(oral bioavailability, fraction that passes the liver) measured in vivo, as the
    table has them for a species.

    Raises
    ------
    KeyError
        The table does not know the name, CAS number or DTXSID.
    """
    record = httk_table().record(httk_table().index[name.strip().lower()])
    label = species.capitalize()
    return _number(record.get(f"{label}.Foral", "")), _number(record.get(f"{label}.Fhep", ""))


def httk_compound(number: int, **values: Any) -> Compound:
    """A row as a :class:`Compound`; `values` take the place of what the table says.

    What is done to the table's entries, each with a note in ``Compound.notes``: a
    fraction unbound of 0 is "below the limit of detection" and left out, as is one that
    is no number ("<0.01") or far above 1; a CLint whose slope is not significant (p >
    0.05) is 0, as in httk; a fraction absorbed or passing the gut above 1 (rounding in
    its source) is 1. Ranges "value,low,high,p" give their value.

    Raises
    ------
    InputError
        The table has no molar mass (NA or 0) and none is given.
    """
    row = httk_table().record(number)
    name = row["Compound"].strip()
    notes: list[str] = []
    sources: dict[str, str] = {}
    human = _molecule(row, sources)
    if "molar_mass" not in human and values.get("molar_mass") is None:
        raise InputError(
            "molar_mass",
            _number(row["MW"]),
            "a number > 0 [g/mol]",
            subject=name,
            hint=f"{VERSION} has none for this chemical; give one: get_compound({name!r}, "
            "molar_mass=...)",
        )
    human |= _in_vitro(row, "Human", notes, sources, "")
    human |= _absorption(row, notes, sources)
    _predict_absorption(human, sources)
    species = {}
    for label in ("Rat", "Mouse", "Rabbit"):
        if found := _in_vitro(row, label, notes, sources, label.lower() + "."):
            species[label.lower()] = found
    columns = {"cas": "CAS", "dtxsid": "DTXSID", "formula": "Formula"}
    compound = Compound.create(
        name=name,
        sources=sources,
        notes=notes,
        identifiers={
            kind: row[column]
            for kind, column in columns.items()
            if row[column] and row[column] != "NA"
        },
        species_values=species,
        **human,
    )
    return compound.replace(**values) if values else compound


def _molecule(row: Mapping[str, str], sources: dict[str, str]) -> dict[str, Any]:
    """Molar mass, lipophilicity and pKa of a row; `sources` gains a citation for each."""
    found: dict[str, Any] = {}
    mass = _number(row["MW"])
    if mass is not None and mass > 0:
        found["molar_mass"] = mass
        sources["molar_mass"] = _cite(row["MW.Reference"])
    for field, column in (("log_p", "logP"), ("log_membrane_affinity", "logMA")):
        if (value := _number(row[column])) is not None:
            found[field] = value
            sources[field] = _cite(row[column + ".Reference"])
    for field, column in (("pka_acid", "pKa_Donor"), ("pka_base", "pKa_Accept")):
        sites = [float(part) for part in row[column].split(",") if part.strip() not in ("", "NA")]
        if sites:
            found[field] = sites
            sources[field] = _cite(row[column + ".Reference"])
    return found


def _absorption(
    row: Mapping[str, str], notes: list[str], sources: dict[str, str]
) -> dict[str, float]:
    """Caco-2 permeability, fraction absorbed and fraction that passes the gut, of humans."""
    found: dict[str, float] = {}
    for field, column in (
        ("caco2_permeability", "Human.Caco2.Pab"),
        ("fraction_absorbed", "Human.Fabs"),
        ("fraction_gut", "Human.Fgut"),
    ):
        value = _number(row[column])
        if value is None:
            continue
        if field != "caco2_permeability" and value > 1:
            notes.append(f"{field}: {value:g} in the table, taken as 1")
            value = 1.0
        found[field] = value
        sources[field] = _cite(row[column + ".Reference"])
    return found


def _predict_absorption(human: dict[str, Any], sources: dict[str, str]) -> None:
    """Absorption rate, and fraction absorbed where the table has none: predicted, and said so."""
    found = predict_absorption(
        human.get("caco2_permeability"),
        human.get("log_p"),
        human.get("molar_mass"),
        human.get("pka_acid", ()),
        human.get("pka_base", ()),
    )
    if found is None:
        return
    human["absorption_rate"], sources["absorption_rate"] = found.rate, found.cite_rate()
    if "fraction_absorbed" not in human:
        human["fraction_absorbed"] = found.fraction
        sources["fraction_absorbed"] = found.cite_fraction()


def _in_vitro(
    row: Mapping[str, str], label: str, notes: list[str], sources: dict[str, str], prefix: str
) -> dict[str, float]:
    """Fraction unbound, CLint and blood:plasma ratio of one species.

    Parameters
    ----------
    row
        Of the table, column -> text.
    label
        The species as the table's columns name it, such as "Rat".
    notes, sources
        Gain what was done to an entry, and a citation for each value.
    prefix
        Of the fields in notes and sources: "" for humans, else such as "rat.".
    """
    found: dict[str, float] = {}
    column = f"{label}.Funbound.plasma"
    fraction = _fraction_unbound(row, column, notes, f"{prefix}fraction_unbound_plasma")
    if fraction is not None:
        found["fraction_unbound_plasma"] = fraction
        sources[f"{prefix}fraction_unbound_plasma"] = _cite(row[column + ".Reference"])
    column = f"{label}.Clint"
    if (clint := _number(row.get(column, ""))) is not None:
        parts = row[column].split(",")
        p = _number(parts[3]) if len(parts) == 4 else _number(row[column + ".pValue"])
        if p is not None and p > CLINT_P_LIMIT and clint > 0:
            notes.append(
                f"{prefix}clint_hepatocyte: {clint:g} in the table with p = {p:g}, taken as "
                "0 as in httk"
            )
            clint = 0.0
        found["clint_hepatocyte"] = clint
        sources[f"{prefix}clint_hepatocyte"] = _cite(row[column + ".Reference"])
    column = f"{label}.Rblood2plasma"
    ratio = _number(row.get(column, ""))
    if ratio is not None and ratio > 0:
        found["blood_to_plasma_ratio"] = ratio
        sources[f"{prefix}blood_to_plasma_ratio"] = _cite(row[column + ".Reference"])
    return found


def _fraction_unbound(
    row: Mapping[str, str], column: str, notes: list[str], field: str
) -> float | None:
    """The fraction unbound of a column; None, with a note on `field`, where it is none."""
    text = row[column].strip()
    value = _number(row[column])
    if value is None:
        if text not in ("", "NA"):
            notes.append(f"{field}: {text!r} in the table, left out")
        return None
    if value <= 0:
        notes.append(f"{field}: below the limit of detection ({row[column + '.Reference']})")
        return None
    if value > LARGEST_FRACTION:
        notes.append(f"{field}: {value:g} in the table, not a fraction, left out")
        return None
    if value > 1:
        notes.append(f"{field}: {value:g} in the table, taken as 1")
        return 1.0
    return value


def _number(text: str) -> float | None:
    """The first number of 'value,low,high,p'; None for an empty cell, NA or words
    ("<0.01", "No analytical method").
    """
    try:
        value = float(text.split(",", 1)[0])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _cite(reference: str) -> str:
    reference = reference.strip()
    return f"{reference}, in {VERSION}" if reference and reference != "NA" else VERSION
