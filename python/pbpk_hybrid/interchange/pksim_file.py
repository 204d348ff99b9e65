"""Reading a PK-Sim snapshot: objects, texts, numbers with units, and which alternatives
and processes act.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._core.errors import FileFormatError, InputError, unknown_name
from .._core.limits import parse_json, read_text
from .._core.units import quantity

MOST_ENTRIES = 2_000
ALTERNATIVES = {
    "Lipophilicity": "COMPOUND_LIPOPHILICITY",
    "FractionUnbound": "COMPOUND_FRACTION_UNBOUND",
}
"""Properties of a compound that are read and may have alternatives -> the group's name in
a simulation."""
# units of snapshots -> (ours, factor); a month is a twelfth of a year
_UNITS = {
    "%": ("1", 0.01),
    "Log Units": ("1", 1.0),
    "year(s)": ("year", 1.0),
    "month(s)": ("year", 1.0 / 12.0),
    "week(s)": ("week", 1.0),
    "day(s)": ("day", 1.0),
    "h": ("hour", 1.0),
}


def read_snapshot(path: Path) -> dict[str, Any]:
    """Content of a snapshot file.

    Raises
    ------
    FileFormatError : a file that is too large, or that is no JSON object
    """
    text = read_text(path, "json_bytes", field="source", expected="a JSON file (UTF-8)")
    data = parse_json(text, path.name, field="source")
    if not isinstance(data, dict):
        raise FileFormatError(path.name, type(data).__name__, "a PK-Sim snapshot: a JSON object")
    return data


def objects(entry: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
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


def text_of(entry: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    """A text of an entry; the default if it is missing."""
    value = entry.get(key, default)
    if value is None:
        return default
    if not isinstance(value, str):
        raise FileFormatError(f"{where}.{key}", value, "text")
    return value


def value_of(
    entry: Mapping[str, Any], unit: str, where: str, molar_mass: float | None = None
) -> float:
    """Value and Unit of a snapshot's parameter in our unit; only a number without
    dimension may lack its Unit.
    """
    value = entry.get("Value")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise FileFormatError(f"{where}.Value", value, "a number")
    if entry.get("TableFormula"):
        raise FileFormatError(f"{where}.TableFormula", "a table", "one number")
    theirs = text_of(entry, "Unit", where).strip()
    if theirs in _UNITS:
        theirs, factor = _UNITS[theirs]
        value, theirs = value * factor, "" if theirs == "1" else theirs
        if not theirs and unit == "1":
            return float(value)
    if not theirs:
        if unit != "1":
            raise FileFormatError(f"{where}.Unit", None, f"a unit that converts to {unit}")
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
    if text.startswith("l/"):
        text = "L" + text[1:]
    try:
        return quantity(f"{value!r} {text}", unit, where, molar_mass=molar_mass)
    except InputError as err:
        raise FileFormatError(f"{where}.Unit", theirs, f"a unit that converts to {unit}") from err


class Choice:
    """Which alternatives and processes act: by argument, by a simulation, or as the
    file's defaults say.
    """

    def __init__(self, data, alternatives, processes, simulation):
        self.notes: list[str] = []
        self.alternatives = dict(alternatives or {})
        for key in self.alternatives:
            if key not in ALTERNATIVES:
                raise unknown_name(
                    "alternatives", key, ALTERNATIVES, what="a property that is read"
                )
        if isinstance(processes, str):
            processes = (processes,)
        self.processes = None if processes is None else list(processes)
        self.simulations = objects(data, "Simulations", "")
        self.simulation = self._named(simulation)
        self.concentrations = reference_concentrations(data)
        self.seen: dict[str, set[str]] = {"processes": set(), **{k: set() for k in ALTERNATIVES}}

    def _named(self, name: str | None) -> dict[str, Any] | None:
        if name is None:
            return None
        names = [text_of(s, "Name", f"Simulations[{i}]") for i, s in enumerate(self.simulations)]
        if name not in names:
            raise unknown_name("simulation", name, names, what="a simulation of the file")
        return self.simulations[names.index(name)]

    def check_used(self) -> None:
        """Refuse names that matched nothing."""
        for key, name in self.alternatives.items():
            if name not in self.seen[key]:
                raise unknown_name(f"alternatives[{key!r}]", name, self.seen[key])
        for name in self.processes or ():
            if name not in self.seen["processes"]:
                raise unknown_name("processes", name, self.seen["processes"], what="a process")

    def of_simulation(self, simulation: Mapping[str, Any] | None, compound: str) -> dict[str, Any]:
        """What a simulation says about a compound; empty where it has none of it."""
        if simulation is None:
            return {}
        parts = objects(simulation, "Compounds", "Simulations[]")
        return next((c for c in parts if c.get("Name") == compound), {})

    def alternative(self, key: str, compound: str) -> str | None:
        """The name of the alternative to take, where one is asked for."""
        if key in self.alternatives:
            return self.alternatives[key]
        for chosen in objects(
            self.of_simulation(self.simulation, compound), "Alternatives", "Simulations[]"
        ):
            if chosen.get("GroupName") == ALTERNATIVES[key]:
                return text_of(chosen, "AlternativeName", "Simulations[]")
        return None

    def concentrations_of(self, molecule: str) -> set[float]:
        """The reference concentrations of a molecule that the file gives [umol/L]."""
        return {value_of(p, "umol/L", where) for p, where in self.concentrations.get(molecule, ())}

    def methods(self, compound: str) -> Any:
        """Calculation methods of a compound in the chosen simulation."""
        return self.of_simulation(self.simulation, compound).get("CalculationMethods")

    def acting(self, compound: str) -> set[str] | None:
        """Names of the processes that the simulation, or most simulations of the
        compound, use; None: not known.
        """
        many = [self.simulation] if self.simulation else self.simulations
        sets: list[frozenset[str]] = []
        for simulation in many:
            part = self.of_simulation(simulation, compound)
            if part:
                used = objects(part, "Processes", "Simulations[].Compounds[]")
                sets.append(
                    frozenset(
                        n for p in used if (n := text_of(p, "Name", "Simulations[].Processes[]"))
                    )
                )
        if not sets:
            return None
        counts = Counter(sets)
        most, n = counts.most_common(1)[0]
        if len(counts) > 1:
            self.notes.append(
                f"{compound}: the simulations of the file use {len(counts)} different sets of "
                "processes; "
                f"that of {n} of {len(sets)} is taken: {', '.join(sorted(most)) or 'none'} "
                "(choose with simulation= or processes=)"
            )
        return set(most)


def reference_concentrations(data: Mapping[str, Any]) -> dict[str, list[tuple[dict, str]]]:
    """Molecule -> the parameters that give its reference concentration anywhere in the
    file, with their places.
    """
    found: dict[str, list[tuple[dict, str]]] = {}
    for key in ("ExpressionProfiles", "Individuals"):
        for i, entry in enumerate(objects(data, key, "")):
            where = f"{key}[{i}]"
            profiles = [(entry, where)]
            if key == "Individuals":
                profiles += [
                    (m, f"{where}.Molecules[{j}]")
                    for j, m in enumerate(objects(entry, "Molecules", where))
                ]
            for profile, place in profiles:
                for j, p in enumerate(objects(profile, "Parameters", place)):
                    path = str(p.get("Path") or p.get("Name") or "")
                    molecule, _, what = path.rpartition("|")
                    molecule = molecule or str(profile.get("Molecule") or profile.get("Name"))
                    if what == "Reference concentration" and "|" not in molecule:
                        found.setdefault(molecule, []).append((p, f"{place}.Parameters[{j}]"))
    return found
