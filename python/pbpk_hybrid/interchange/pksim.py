"""PK-Sim snapshots (JSON) as compounds and individuals, as far as they map, with a list
of what did not.

Mapped of a compound: molar mass, lipophilicity, pKa, fraction unbound by species,
partition method, glomerular filtration, hepatic and kidney plasma clearance, intrinsic
clearance in microsomes, Michaelis-Menten metabolism in microsomes. Of an individual:
species, sex, age, weight, height; children become reference children. Everything else is
listed in ``unmapped``, with its path in the file; what was chosen or assumed is in
``notes``.

What PK-Sim means (Open-Systems-Pharmacology/docs, "PK-Sim compounds: definition and work flow"):

- Processes add up. ``LiverClearance`` is the plasma clearance of the liver alone. A
  compound without ``GlomerularFiltration`` is not filtered.
- A compound's processes are a library; a simulation says which of them act. Where the
  file has simulations of the compound, the set of processes that most of them use is
  taken.
- Of several alternatives of a property the default one acts. Files write ``IsDefault``
  only where it is false.
- A "Specific clearance" or "kcat" in the file was set by hand or fitted, and acts instead
  of the measured plasma clearance or Vmax beside it.
- In vitro values of microsomes are used as they are, unbound in the incubation.

Lipophilicity in PK-Sim is that of membranes; it is taken as log P, as PK-Sim's own
documentation suggests for a start.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from .._core.errors import FileFormatError, InputError, PBPKError
from .._core.limits import border
from ..compounds import Compound
from ..physiology import reference_individual
from ..physiology.children.reference import reference_child
from .pksim_file import Choice, objects, read_snapshot, text_of, value_of
from .pksim_processes import (
    BY_SPECIES,
    PROCESSES,
    clears_in_liver,
    eliminates,
    process_names,
    reason_for,
)

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
_REMARKS = {"Name", "Version", "Description", "ValueOrigin"}  # no numbers in them
_TERM = 37.0  # weeks of gestation
_SPECIAL = ("preterm", "pregnan")  # populations whose anatomy is not that of a reference individual


@dataclass(frozen=True, eq=False)
class ImportedSnapshot:
    """What a snapshot holds.

    Parameters
    ----------
    compounds : name -> Compound
    individuals : name -> physiology Dataset of one subject
    unmapped : paths of everything that has no place here, each with the reason
    notes : what was chosen of several, and what was assumed
    """

    compounds: Mapping[str, Compound]
    individuals: Mapping[str, xr.Dataset]
    unmapped: tuple[str, ...]
    notes: tuple[str, ...] = ()


def import_pksim_snapshot(
    source: str | os.PathLike,
    *,
    alternatives: Mapping[str, str] | None = None,
    processes: Sequence[str] | None = None,
    simulation: str | None = None,
) -> ImportedSnapshot:
    """Read the compounds and individuals of a PK-Sim project snapshot, or of an exported
    single one.

    Parameters
    ----------
    source : path of the JSON file
    alternatives : property -> name of the alternative to take, e.g.
        ``{"Lipophilicity": "fitted"}``; properties are ``Lipophilicity`` and
        ``FractionUnbound``. Without it the default alternative is taken
    processes : the processes to take, by data source (``"GFR"``) or as PK-Sim names them
        (``"CYP3A4-Optimized"``). Without it: those of `simulation`, or of most
        simulations of the file, or all
    simulation : name of a simulation of the file, whose alternatives, processes and
        calculation methods are taken

    Returns
    -------
    ImportedSnapshot ; look at ``unmapped`` before using it

    Raises
    ------
    FileFormatError : not JSON, not a snapshot, too large, or a value that cannot be
        (names its path)
    UnknownNameError : an alternative, process or simulation that the file does not have
    """
    with border("source", str(source), "a PK-Sim snapshot"):
        data = read_snapshot(Path(source))
        lost: list[str] = []
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
                lost.append(
                    f"{key}{count}: {_ELSEWHERE.get(key, 'not a compound or an individual')}"
                )
        choice = Choice(data, alternatives, processes, simulation)
        compounds: dict[str, Compound] = {}
        individuals: dict[str, xr.Dataset] = {}
        for i, entry in enumerate(objects(data, "Compounds", "")):
            compound = CompoundReader(entry, f"Compounds[{i}]", lost, choice).read()
            if compound.name in compounds:
                lost.append(f"Compounds[{i}]: a second compound with the name {compound.name!r}")
            else:
                compounds[compound.name] = compound
        choice.check_used()
        for i, entry in enumerate(objects(data, "Individuals", "")):
            where = f"Individuals[{i}]"
            name, person = _individual(entry, where, lost, choice.notes)
            if person is not None and name in individuals:
                lost.append(f"{where}: a second individual with the name {name!r}")
            elif person is not None:
                individuals[name] = person
        return ImportedSnapshot(compounds, individuals, tuple(lost), tuple(choice.notes))


_ELSEWHERE = {
    "Simulations": (
        "only which processes they use is read; what they change of compounds and "
        "individuals is not"
    ),
    "ExpressionProfiles": (
        "only reference concentrations of enzymes are read; expression outside the liver is not"
    ),
    "Populations": "populations are generated anew with pbpk_hybrid.sample_population",
    "Protocols": "write the doses as a Regimen",
    "Formulations": "write the absorption as absorption_rate, lag time or transit compartments",
    "ObservedData": "read observations with pbpk_hybrid.read_nonmem or a Dataset",
}


class CompoundReader:
    """One compound of a snapshot."""

    def __init__(self, entry: dict[str, Any], where: str, lost: list[str], choice: Choice):
        self.entry, self.where, self.lost, self.choice = entry, where, lost, choice
        self.name = text_of(entry, "Name", where) or where
        self.values: dict[str, Any] = {"name": self.name}
        self.sources: dict[str, str] = {}
        self.species: dict[str, dict[str, Any]] = {}
        self.missing: list[str] = []  # eliminating processes that are not taken

    def no(self, what: str, why: str) -> None:
        """Record what is not mapped, and why."""
        self.lost.append(f"{self.where}.{what}: {why}")

    def note(self, text: str) -> None:
        """Record a choice or an assumption."""
        self.choice.notes.append(f"{self.name}: {text}")

    def rest(self, entry: Mapping[str, Any], where: str, known: Iterable[str]) -> None:
        """List the keys of an object that nothing reads."""
        for key, value in entry.items():
            if key not in known and key not in _REMARKS and value not in (None, "", [], {}):
                self.no(f"{where.removeprefix(self.where)}.{key}".lstrip("."), "not known here")

    def read(self) -> Compound:
        """The Compound of this building block."""
        readers = {
            "Parameters": self._parameters,
            "Lipophilicity": self._lipophilicity,
            "FractionUnbound": self._unbound,
            "PkaTypes": self._pka,
            "CalculationMethods": self._methods,
        }
        if self.entry.get("IsSmallMolecule") is False:
            self.no(
                "IsSmallMolecule", "a large molecule; only its physicochemical values are taken"
            )
        partner = self.entry.get("PlasmaProteinBindingPartner")
        if partner not in (None, "", "Unknown"):
            self.no(
                "PlasmaProteinBindingPartner",
                f"{partner}: the fraction unbound does not follow a protein with age here",
            )
        for key, reader in readers.items():  # molar mass first
            if self.entry.get(key):
                reader()
        self._processes()
        known = {"IsSmallMolecule", "PlasmaProteinBindingPartner", "Processes", *_REMARKS}
        for key, value in self.entry.items():
            if key not in known and key not in readers and value:
                self.no(key, "no field of Compound")
        if self.missing:
            text = (
                "the snapshot's elimination is not complete here, not taken: "
                f"{', '.join(self.missing)}"
            )
            self.values["notes"] = (text,)
            self.note(text)
        try:
            sources = {k: f"PK-Sim snapshot: {v}" for k, v in self.sources.items()}
            return Compound.create(**self.values, species_values=self.species, sources=sources)
        except PBPKError as err:
            raise FileFormatError(
                self.where, str(err)[:200], "values that a Compound can have"
            ) from err

    # ---- alternatives ----
    def _pick(self, key: str, many: list[tuple[int, dict[str, Any]]]) -> tuple[int, dict[str, Any]]:
        """The alternative asked for, else the default one; which it is of several is
        noted, the others are listed.
        """
        names = [text_of(a, "Name", f"{self.where}.{key}[{i}]") for i, a in many]
        self.choice.seen[key].update(names)
        wanted = self.choice.alternative(key, self.name)
        defaults = [n for n, (_, a) in enumerate(many) if a.get("IsDefault") is not False]
        at = names.index(wanted) if wanted in names else defaults[0] if defaults else 0
        if len(many) > 1:
            why = "asked for" if wanted in names else "the default" if defaults else "the first"
            self.note(f"{key}: alternative {names[at]!r} of {', '.join(map(repr, names))} ({why})")
        for n, (i, _) in enumerate(many):
            if n != at:
                self.no(f"{key}[{i}]", f"alternative {names[n]!r} not taken")
        i, chosen = many[at]
        self.rest(chosen, f"{self.where}.{key}[{i}]", ("Parameters", "IsDefault", "Species"))
        return i, chosen

    def _named(self, entry: Mapping[str, Any], where: str) -> dict[str, tuple[dict[str, Any], str]]:
        parts = objects(entry, "Parameters", where)
        return {
            text_of(p, "Name", f"{where}.Parameters[{i}]"): (p, f"{where}.Parameters[{i}]")
            for i, p in enumerate(parts)
        }

    def unread(
        self, parameters: Mapping[str, tuple[dict, str]], read: Iterable[str], why: str = "not used"
    ) -> None:
        """Record parameters of a process that were not read."""
        for name, (_, where) in parameters.items():
            if name not in read:
                self.no(where.removeprefix(self.where + "."), f"{name}: {why}")

    # ---- physicochemistry ----
    def _parameters(self) -> None:
        halogens = 0.0
        for name, (p, where) in self._named(self.entry, self.where).items():
            if name == "Molecular weight":
                self.values["molar_mass"] = value_of(p, "g/mol", where)
                self.sources["molar_mass"] = name
            elif name in ("F", "Cl", "Br", "I"):
                halogens += value_of(p, "1", where)
            else:
                self.no(where.removeprefix(self.where + "."), f"{name}: no field of Compound")
        if halogens:
            self.no("Parameters", "halogen atoms (PK-Sim's effective molar mass) are not used")

    def _lipophilicity(self) -> None:
        many = list(enumerate(objects(self.entry, "Lipophilicity", self.where)))
        i, chosen = self._pick("Lipophilicity", many)
        parameters = self._named(chosen, f"{self.where}.Lipophilicity[{i}]")
        self.unread(parameters, ("Lipophilicity",))
        if "Lipophilicity" in parameters:
            p, where = parameters["Lipophilicity"]
            self.values["log_p"] = value_of(p, "1", where)
            self.sources["log_p"] = f"lipophilicity, {chosen.get('Name', '')}"
            self.note("lipophilicity, which PK-Sim defines for membranes, is taken as log P")

    def _unbound(self) -> None:
        name = "Fraction unbound (plasma, reference value)"
        by_species: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for i, alternative in enumerate(objects(self.entry, "FractionUnbound", self.where)):
            where = f"{self.where}.FractionUnbound[{i}]"
            theirs = text_of(alternative, "Species", where, "Human")
            parameters = self._named(alternative, where)
            if theirs not in SPECIES or name not in parameters:
                self.no(f"FractionUnbound[{i}]", "a species or value that is not known here")
                continue
            by_species.setdefault(SPECIES[theirs], []).append((i, alternative))
        for species, many in by_species.items():
            i, chosen = self._pick("FractionUnbound", many)
            parameters = self._named(chosen, f"{self.where}.FractionUnbound[{i}]")
            self.unread(parameters, (name,))
            holder, prefix = self.values_of(species)
            holder["fraction_unbound_plasma"] = value_of(
                parameters[name][0], "1", parameters[name][1]
            )
            self.sources[f"{prefix}fraction_unbound_plasma"] = (
                f"fraction unbound, {chosen.get('Name', '')}"
            )

    def values_of(self, species: str) -> tuple[dict[str, Any], str]:
        """Where a species' values go, and the prefix of their sources."""
        if species == "human":
            return self.values, ""
        return self.species.setdefault(species, {}), f"{species}."

    def _pka(self) -> None:
        sites: dict[str, list[float]] = {"Acid": [], "Base": []}
        for i, site in enumerate(objects(self.entry, "PkaTypes", self.where)):
            where = f"{self.where}.PkaTypes[{i}]"
            kind = text_of(site, "Type", where)
            self.rest(site, where, ("Type", "Pka"))
            if kind in sites:
                sites[kind].append(value_of({"Value": site.get("Pka")}, "1", where))
            elif kind != "Neutral":
                self.no(f"PkaTypes[{i}]", f"type {kind!r}")
        for kind, field in (("Acid", "pka_acid"), ("Base", "pka_base")):
            if sites[kind]:
                self.values[field] = sites[kind]
                self.sources[field] = "compound type"

    def _methods(self) -> None:
        methods = self.choice.methods(self.name) or self.entry["CalculationMethods"]
        if not isinstance(methods, list):
            raise FileFormatError(
                f"{self.where}.CalculationMethods", type(methods).__name__, "a list"
            )
        for i, method in enumerate(methods):
            if isinstance(method, str) and method in METHODS:
                self.values["partition_method"] = METHODS[method]
                continue
            kind = str(method).partition(" - ")[0]
            why = {
                "Cellular permeability": (
                    "organs are well stirred here unless the compound gives permeabilities"
                ),
                "Cellular partition coefficient method": (
                    "a partition method that is not known here; the compound gets none"
                ),
            }.get(kind, "not known here")
            self.no(f"CalculationMethods[{i}]", f"{method}: {why}")

    # ---- processes ----
    def _processes(self) -> None:
        acting = self.choice.acting(self.name) if self.choice.processes is None else None
        found: set[str] = set()
        for i, process in enumerate(objects(self.entry, "Processes", self.where)):
            where = f"{self.where}.Processes[{i}]"
            kind = text_of(process, "InternalName", where)
            names = process_names(process, where, kind)
            self.choice.seen["processes"].update(names)
            if acting is not None and kind in PROCESSES and not names & acting:
                self.no(f"Processes[{i}]", f"{kind}: not among the processes of the simulations")
                continue
            if self.choice.processes is not None and not names & set(self.choice.processes):
                self.no(f"Processes[{i}]", f"{kind}: not asked for")
                continue
            found.add(kind)
            self._process(i, kind, process, where)
        self._close(found)

    def _process(self, i: int, kind: str, process: dict[str, Any], where: str) -> None:
        theirs = text_of(process, "Species", where) or "Human"
        species = SPECIES.get(theirs)
        reader = PROCESSES.get(kind)
        if reader is None:
            reason = reason_for(kind)
        elif species is None or (species != "human" and reader not in BY_SPECIES):
            reason = f"{kind} of {theirs}: no species that is known here"
        else:
            reason = reader(self, process, self._named(process, where), species)
        keys = ("InternalName", "DataSource", "Species", "Molecule", "Metabolite", "Parameters")
        self.rest(process, where, keys)
        if process.get("Metabolite"):
            self.no(
                f"Processes[{i}].Metabolite",
                f"{process['Metabolite']}: what is metabolised is not followed",
            )
        if reason:
            label = process.get("Molecule") or process.get("DataSource") or ""
            self.no(f"Processes[{i}]", f"{reason} ({label})")
            if species == "human" and eliminates(kind):
                self.missing.append(f"{kind} ({label})")

    def _close(self, found: set[str]) -> None:
        """What the processes say together: they add up, and what is not there does not happen."""
        v = self.values
        for species, holder in (("human", v), *self.species.items()):
            if "gfr_fraction" not in holder:
                holder["gfr_fraction"] = 0.0
                prefix = self.values_of(species)[1]
                self.sources[f"{prefix}gfr_fraction"] = "no process of filtration: not filtered"
        if "clearance_hepatic" in v and "clint_microsome" in v:
            text = "MetabolizationLiverMicrosomes_FirstOrder beside LiverClearance"
            self.no(
                "Processes",
                "first-order metabolism in microsomes beside a hepatic plasma clearance: "
                "PK-Sim adds them, "
                "the Compound uses the plasma clearance (clint_microsome is kept for "
                "clearance_basis='in_vitro')",
            )
            self.missing.append(text)
        elif "clint_microsome" in v and v.get("saturable"):
            v["clearance_basis"] = "in_vitro"  # else the pathways would be all there is
        if "clint_microsome" in v:
            v["fraction_unbound_microsome"] = 1.0
            self.sources["fraction_unbound_microsome"] = (
                "used as they are, unbound (PK-Sim's documentation)"
            )
        hepatic = any(clears_in_liver(kind) for kind in found)
        if not hepatic and not {"clearance_hepatic", "clint_microsome", "saturable"} & set(v):
            v["clearance_hepatic"] = 0.0
            self.sources["clearance_hepatic"] = "no process in the liver: not cleared there"

    def set(self, species: str, field: str, value: float, what: str) -> str | None:
        """Set a field of a species; the reason as text if it has a value already."""
        holder, prefix = self.values_of(species)
        if field in holder:
            return f"{what}: {field} is given already; choose with processes= or simulation="
        holder[field] = value
        self.sources[prefix + field] = what
        return None


# ---- individuals ----
def _individual(
    entry: dict[str, Any], where: str, lost: list[str], notes: list[str]
) -> tuple[str, xr.Dataset | None]:
    name, origin = text_of(entry, "Name", where) or where, entry.get("OriginData")
    if not isinstance(origin, dict):
        raise FileFormatError(f"{where}.OriginData", type(origin).__name__, "an object")
    species = SPECIES.get(text_of(origin, "Species", where))
    if species is None:
        lost.append(f"{where}: species {origin.get('Species')!r}")
        return name, None
    for key, value in entry.items():
        if key not in (*_REMARKS, "OriginData", "Seed") and value:
            lost.append(f"{where}.{key}: reference anatomy of the species is used")
    known = ("Species", "Gender", "Age", "Weight", "Height", "GestationalAge", "Population")
    for key, value in origin.items():
        if key not in (*known, *_REMARKS) and value not in (None, "", [], {}):
            lost.append(f"{where}.OriginData.{key}: no counterpart")
    population = text_of(origin, "Population", where)
    if population:
        lost.append(
            f"{where}.OriginData.Population: {population}: the reference of ICRP 89 is used"
        )
    try:
        if any(part in population.lower() for part in _SPECIAL):
            raise InputError("Population", population, "people whose anatomy is known here")
        return name, _person(species, origin, where, lost, notes)
    except PBPKError as err:
        lost.append(f"{where}: {err}")
        return name, None


def _person(species: str, origin: Mapping[str, Any], where: str, lost: list[str], notes: list[str]):
    """The reference individual, adult or child, with the covariates of the file."""
    values: dict[str, Any] = {}
    for key, field, unit in (
        ("Age", "age", "year"),
        ("Weight", "body_weight", "kg"),
        ("Height", "height", "cm"),
        ("GestationalAge", "gestation", "week"),
    ):
        given, path = origin.get(key), f"{where}.OriginData.{key}"
        if given is None:
            continue
        if not isinstance(given, dict):
            raise InputError(path, given, "an object with Value and Unit")
        if species == "human" or key == "Weight":
            values[field] = value_of(given, unit, path)
        else:
            lost.append(f"{path}: not known of a {species}")
    gender = text_of(origin, "Gender", where)
    sex = _SEX.get(gender.upper())
    if species == "human" and sex is None:
        notes.append(f"{where}: gender {gender!r}: taken as male")
    gestation = values.pop("gestation", None)
    if gestation is not None and gestation < _TERM:
        raise InputError(
            "GestationalAge",
            gestation,
            f"at least {_TERM:g} weeks",
            hint="children born early have no reference individual here",
        )
    age = values.get("age")
    if species != "human" or age is None or age >= 18:
        if species == "human" and age is None:
            notes.append(f"{where}: no age: the reference adult's is taken")
        return reference_individual(species, sex, **values)
    if gestation is not None:
        lost.append(f"{where}.OriginData.GestationalAge: children are born at 40 weeks here")
    height = values.pop("height", None)
    child = reference_child(age, sex, body_weight=values.get("body_weight"))
    if height is not None:
        own = float(child["height"][0])
        lost.append(
            f"{where}.OriginData.Height: {height:.4g} cm; the reference child's {own:.4g} cm "
            "is used"
        )
    return child
