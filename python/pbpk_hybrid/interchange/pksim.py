"""PK-Sim snapshots (JSON) as compounds and individuals, as far as they map, with a list of what did not.

Mapped of a compound: molar mass, lipophilicity, pKa, fraction unbound by species, partition method, glomerular filtration,
total hepatic plasma clearance, intrinsic clearance in microsomes, Michaelis-Menten metabolism with a Vmax per microsomal
protein. Of several alternatives of a property the default one is taken, else the first. Of an individual:
species, sex, age, weight, height. Everything else is listed in ``unmapped``, with its path in the file.

Lipophilicity in PK-Sim is that of membranes; it is taken as log P, as PK-Sim's own documentation suggests for a start.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from .._core.errors import FileFormatError, InputError, PBPKError
from .._core.units import quantity
from ..compounds import Compound
from ..physiology import reference_individual

LARGEST_FILE, MOST_ENTRIES = 200_000_000, 2_000
SPECIES = {
    "Human": "human",
    "Rat": "rat",
    "Mouse": "mouse",
    "Dog": "dog",
    "Beagle": "dog",
    "Monkey": "monkey",
    "Rabbit": "rabbit",
    "Minipig": "minipig",
}
METHODS = {
    "Cellular partition coefficient method - Rodgers and Rowland": "rodgers_rowland",
    "Cellular partition coefficient method - Schmitt": "schmitt",
    "Cellular partition coefficient method - Poulin and Theil": "poulin_theil",
    "Cellular partition coefficient method - Berezhkovskiy": "berezhkovskiy",
    "Cellular partition coefficient method - PK-Sim Standard": "pksim_standard",
}
_SEX = {"MALE": "male", "FEMALE": "female"}
_MICROSOMAL_PROTEIN_PER_KG = (
    40.0 * 1800.0 / 73.0
)  # mg: 40 mg/g (Barter et al. 2007), ICRP liver 1.8 kg of 73 kg


@dataclass(frozen=True, eq=False)
class ImportedSnapshot:
    """What a snapshot holds.

    Parameters
    ----------
    compounds : name -> Compound
    individuals : name -> physiology Dataset of one subject
    unmapped : paths of everything that has no place here, each with the reason
    """

    compounds: Mapping[str, Compound]
    individuals: Mapping[str, xr.Dataset]
    unmapped: tuple[str, ...]


def import_pksim_snapshot(source: str | os.PathLike) -> ImportedSnapshot:
    """Read the compounds and individuals of a PK-Sim project snapshot, or of an exported single one.

    Parameters
    ----------
    source : path of the JSON file

    Returns
    -------
    ImportedSnapshot ; look at ``unmapped`` before using it

    Raises
    ------
    FileFormatError : not JSON, not a snapshot, too large, or a value that cannot be (names its path)
    """
    data = _read(Path(source))
    lost: list[str] = []
    compounds, individuals = {}, {}
    if "Compounds" not in data and "Individuals" not in data:
        if "Lipophilicity" in data or "FractionUnbound" in data:
            data = {"Compounds": [data]}
        elif "OriginData" in data:
            data = {"Individuals": [data]}
        else:
            raise FileFormatError(
                Path(source).name, "no Compounds and no Individuals", "a PK-Sim snapshot"
            )
    for key, value in data.items():
        if key not in ("Compounds", "Individuals", "Version") and value:
            count = f" ({len(value)})" if isinstance(value, list) else ""
            lost.append(f"{key}{count}: not a compound or an individual")
    for i, entry in enumerate(_list(data, "Compounds", "")):
        where = f"Compounds[{i}]"
        compound = _Compound(entry, where, lost).read()
        compounds[compound.name] = compound
    for i, entry in enumerate(_list(data, "Individuals", "")):
        name, person = _individual(entry, f"Individuals[{i}]", lost)
        if person is not None:
            individuals[name] = person
    return ImportedSnapshot(compounds, individuals, tuple(lost))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise FileFormatError(
                path.name, f"{path.stat().st_size} bytes", f"at most {LARGEST_FILE} bytes"
            )
        data = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=lambda x: math.nan)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise FileFormatError(path.name, str(err)[:200], "a JSON file") from err
    except OSError as err:
        raise InputError("source", str(path), "a file that can be read", hint=str(err)) from err
    if not isinstance(data, dict):
        raise FileFormatError(path.name, type(data).__name__, "a PK-Sim snapshot: a JSON object")
    return data


def _list(entry: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """A list of objects, or nothing."""
    value = entry.get(key)
    if value is None:
        return []
    path = f"{where}.{key}".lstrip(".")
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise FileFormatError(path, type(value).__name__, "a list of objects")
    if len(value) > MOST_ENTRIES:
        raise FileFormatError(path, f"{len(value)} entries", f"at most {MOST_ENTRIES}")
    return value


def _text(entry: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise FileFormatError(f"{where}.{key}", value, "text")
    return value


def _value(
    entry: Mapping[str, Any], unit: str, where: str, molar_mass: float | None = None
) -> float:
    """Value and Unit of a snapshot's parameter in our unit; without a Unit the value is in it already."""
    value = entry.get("Value")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise FileFormatError(f"{where}.Value", value, "a number")
    theirs = _text(entry, "Unit", where)
    plain = {
        "%": ("1", 0.01),
        "Log Units": ("1", 1.0),
        "year(s)": ("year", 1.0),
        "day(s)": ("day", 1.0),
    }
    if theirs in plain:
        theirs, value = plain[theirs][0], value * plain[theirs][1]
        theirs = "" if theirs == "1" else theirs
    if not theirs:
        return float(value)
    text = (
        theirs.replace("µ", "u")
        .replace("μ", "u")
        .replace(" mic. protein", "")
        .replace("10^6 cells", "million_cells")
    )
    text = (
        text.replace("/l", "/L")
        .replace("ml", "mL")
        .replace("ul/", "uL/")
        .replace("dag", "decagram")
    )
    try:
        return quantity(f"{value!r} {text}", unit, where, molar_mass=molar_mass)
    except InputError as err:
        raise FileFormatError(f"{where}.Unit", theirs, f"a unit that converts to {unit}") from err


class _Compound:
    """One compound of a snapshot."""

    def __init__(self, entry: dict[str, Any], where: str, lost: list[str]):
        self.entry, self.where, self.lost = entry, where, lost
        self.values: dict[str, Any] = {"name": _text(entry, "Name", where) or where}
        self.sources: dict[str, str] = {}
        self.species: dict[str, dict[str, Any]] = {}

    def no(self, what: str, why: str) -> None:
        self.lost.append(f"{self.where}.{what}: {why}")

    def read(self) -> Compound:
        known = {"Name", "Version", "Description", "IsSmallMolecule", "PlasmaProteinBindingPartner"}
        readers = {
            "Parameters": self._parameters,
            "Lipophilicity": self._lipophilicity,
            "FractionUnbound": self._unbound,
            "PkaTypes": self._pka,
            "CalculationMethods": self._methods,
            "Processes": self._processes,
        }
        if self.entry.get("IsSmallMolecule") is False:
            self.no(
                "IsSmallMolecule", "a large molecule; only its physicochemical values are taken"
            )
        for key, reader in readers.items():  # molar mass first
            if self.entry.get(key):
                reader()
        for key, value in self.entry.items():
            if key not in known and key not in readers and value:
                self.no(key, "no field of Compound")
        try:
            sources = {k: f"PK-Sim snapshot: {v}" for k, v in self.sources.items()}
            return Compound.create(**self.values, species_values=self.species, sources=sources)
        except PBPKError as err:
            raise FileFormatError(
                self.where, str(err)[:200], "values that a Compound can have"
            ) from err

    def _alternative(self, key: str) -> tuple[dict[str, Any], str] | None:
        """The default alternative of a property, else the first; the others are listed."""
        many = _list(self.entry, key, self.where)
        if not many:
            return None
        chosen = next((i for i, a in enumerate(many) if a.get("IsDefault") is True), 0)
        for i, other in enumerate(many):
            if i != chosen and (
                key != "FractionUnbound" or other.get("Species") == many[chosen].get("Species")
            ):
                self.no(f"{key}[{i}]", f"alternative {other.get('Name', '')!r} not taken")
        return many[chosen], f"{key}[{chosen}]"

    def _named(self, entry: Mapping[str, Any], where: str) -> dict[str, tuple[dict[str, Any], str]]:
        parts = _list(entry, "Parameters", where)
        return {
            _text(p, "Name", f"{where}.Parameters[{i}]"): (p, f"{where}.Parameters[{i}]")
            for i, p in enumerate(parts)
        }

    def _parameters(self) -> None:
        halogens = 0.0
        for name, (p, where) in self._named(self.entry, self.where).items():
            if name == "Molecular weight":
                self.values["molar_mass"] = _value(p, "g/mol", where)
                self.sources["molar_mass"] = name
            elif name in ("F", "Cl", "Br", "I"):
                halogens += _value(p, "1", where)
            else:
                self.no(where.removeprefix(self.where + "."), f"{name}: no field of Compound")
        if halogens:
            self.no("Parameters", "halogen atoms (PK-Sim's effective molar mass) are not used")

    def _lipophilicity(self) -> None:
        found = self._alternative("Lipophilicity")
        parameters = self._named(found[0], f"{self.where}.{found[1]}")
        if "Lipophilicity" in parameters:
            p, where = parameters["Lipophilicity"]
            self.values["log_p"] = _value(p, "1", where)
            self.sources["log_p"] = f"lipophilicity, {found[0].get('Name', '')}"

    def _unbound(self) -> None:
        for i, alternative in enumerate(_list(self.entry, "FractionUnbound", self.where)):
            where = f"{self.where}.FractionUnbound[{i}]"
            species = SPECIES.get(_text(alternative, "Species", where, "Human"))
            parameters = self._named(alternative, where)
            found = parameters.get("Fraction unbound (plasma, reference value)")
            if species is None or found is None:
                self.no(f"FractionUnbound[{i}]", "a species or value that is not known here")
                continue
            value = _value(found[0], "1", found[1])
            holder = self.values if species == "human" else self.species.setdefault(species, {})
            if "fraction_unbound_plasma" in holder and not alternative.get("IsDefault"):
                self.no(
                    f"FractionUnbound[{i}]",
                    f"alternative {alternative.get('Name', '')!r} not taken",
                )
                continue
            holder["fraction_unbound_plasma"] = value
            prefix = "" if species == "human" else f"{species}."
            self.sources[f"{prefix}fraction_unbound_plasma"] = (
                f"fraction unbound, {alternative.get('Name', '')}"
            )

    def _pka(self) -> None:
        sites: dict[str, list[float]] = {"Acid": [], "Base": []}
        for i, site in enumerate(_list(self.entry, "PkaTypes", self.where)):
            kind, where = site.get("Type"), f"{self.where}.PkaTypes[{i}]"
            if kind in sites:
                sites[kind].append(_value({"Value": site.get("Pka")}, "1", where))
            elif kind != "Neutral":
                self.no(f"PkaTypes[{i}]", f"type {kind!r}")
        for kind, field in (("Acid", "pka_acid"), ("Base", "pka_base")):
            if sites[kind]:
                self.values[field] = sites[kind]
                self.sources[field] = "compound type"

    def _methods(self) -> None:
        methods = self.entry["CalculationMethods"]
        if not isinstance(methods, list):
            raise FileFormatError(
                f"{self.where}.CalculationMethods", type(methods).__name__, "a list"
            )
        for i, method in enumerate(methods):
            if isinstance(method, str) and method in METHODS:
                self.values["partition_method"] = METHODS[method]
            else:
                self.no(
                    f"CalculationMethods[{i}]",
                    f"{method}: cell permeability follows tissue by tissue here",
                )

    def _processes(self) -> None:
        for i, process in enumerate(_list(self.entry, "Processes", self.where)):
            where = f"{self.where}.Processes[{i}]"
            kind = _text(process, "InternalName", where)
            reader = _PROCESSES.get(kind)
            human = process.get("Species") in (None, "Human")
            reason = None if reader else f"process {kind}"
            if reader and not human:
                reason = f"{kind} of {process.get('Species')}: only human processes are taken"
            if reason is None:
                reason = reader(self, process, self._named(process, where))
            if reason:
                self.no(
                    f"Processes[{i}]",
                    f"{reason} ({process.get('Molecule') or process.get('DataSource') or ''})",
                )

    def _set(self, field: str, value: float, what: str) -> str | None:
        if field in self.values:
            return f"{what}: {field} is given already"
        self.values[field] = value
        self.sources[field] = what
        return None


def _filtration(c: _Compound, process, p) -> str | None:
    if "GFR fraction" not in p:
        return "glomerular filtration without a GFR fraction"
    return c._set(
        "gfr_fraction",
        _value(p["GFR fraction"][0], "1", p["GFR fraction"][1]),
        "glomerular filtration",
    )


def _hepatic(c: _Compound, process, p) -> str | None:
    if "Plasma clearance" not in p:
        return "hepatic clearance without a plasma clearance"
    return c._set(
        "clearance_plasma",
        _value(p["Plasma clearance"][0], "mL/min/kg", p["Plasma clearance"][1]),
        "total hepatic clearance",
    )


def _microsomes_first_order(c: _Compound, process, p) -> str | None:
    """Several enzymes add up."""
    name = "In vitro CL for liver microsomes"
    if name not in p:
        return f"{process['InternalName']} without {name}"
    c.values["clint_microsome"] = c.values.get("clint_microsome", 0.0) + _value(
        p[name][0], "uL/min/mg", p[name][1]
    )
    before = c.sources.get("clint_microsome", "MetabolizationLiverMicrosomes_FirstOrder")
    c.sources["clint_microsome"] = f"{before}, {process.get('Molecule') or 'unnamed enzyme'}"
    return None


def _microsomes_mm(c: _Compound, process, p) -> str | None:
    names = ("In vitro Vmax for liver microsomes", "Km")
    if any(n not in p for n in names):
        return "Michaelis-Menten metabolism without Vmax and Km"
    mass = c.values.get("molar_mass")
    if mass is None:
        return "Michaelis-Menten metabolism of a compound without molar mass"
    vmax = _value(
        p[names[0]][0], "pmol/min/mg", p[names[0]][1]
    )  # of the whole liver, per body weight
    per_weight = vmax * mass * 1e-9 * 60.0 * _MICROSOMAL_PROTEIN_PER_KG
    km = _value(p["Km"][0], "mg/L", p["Km"][1], molar_mass=mass)
    enzyme = str(process.get("Molecule") or f"pathway {len(c.values.get('saturable', ())) + 1}")
    known = c.values.setdefault("saturable", [])
    if any(s["name"] == enzyme for s in known):
        return f"Michaelis-Menten metabolism: a second process of {enzyme}"
    known.append({"name": enzyme, "vmax": per_weight, "km": km})
    c.sources["saturable"] = (
        "MetabolizationLiverMicrosomes_MM; 40 mg protein per g of liver (Barter et al. 2007)"
    )
    if "kcat" in p:
        return "kcat and enzyme concentration: the measured Vmax is taken instead"
    return None


_PROCESSES = {
    "GlomerularFiltration": _filtration,
    "LiverClearance": _hepatic,
    "MetabolizationLiverMicrosomes_FirstOrder": _microsomes_first_order,
    "MetabolizationLiverMicrosomes_MM": _microsomes_mm,
}


def _individual(
    entry: dict[str, Any], where: str, lost: list[str]
) -> tuple[str, xr.Dataset | None]:
    name, origin = _text(entry, "Name", where) or where, entry.get("OriginData")
    if not isinstance(origin, dict):
        raise FileFormatError(f"{where}.OriginData", type(origin).__name__, "an object")
    species = SPECIES.get(_text(origin, "Species", where))
    if species is None:
        lost.append(f"{where}: species {origin.get('Species')!r}")
        return name, None
    for key, value in entry.items():
        if key not in ("Name", "OriginData", "Seed", "Version", "Description") and value:
            lost.append(f"{where}.{key}: reference anatomy of the species is used")
    values: dict[str, Any] = {}
    for key, field, unit in (
        ("Age", "age", "year"),
        ("Weight", "body_weight", "kg"),
        ("Height", "height", "cm"),
    ):
        if isinstance(origin.get(key), dict):
            if species == "human" or key == "Weight":
                values[field] = _value(origin[key], unit, f"{where}.OriginData.{key}")
            else:
                lost.append(f"{where}.OriginData.{key}: not known of a {species}")
    sex = _SEX.get(_text(origin, "Gender", where).upper())
    for key in origin:
        if key not in ("Species", "Gender", "Age", "Weight", "Height", "ValueOrigin"):
            lost.append(f"{where}.OriginData.{key}: no counterpart")
    try:
        return name, reference_individual(species, sex, **values)
    except PBPKError as err:
        lost.append(f"{where}: {err}")
        return name, None
