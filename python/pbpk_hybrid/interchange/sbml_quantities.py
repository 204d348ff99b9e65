"""Units of an SBML file read without libSBML, and what its species measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from .._core.errors import FileFormatError
from .sbml_formulas import tag
from .sbml_units import STATED_NOWHERE, Amount

#: kinds of units (SBML Level 3 Version 2, table 2; Celsius and spellings of Level 2) -> symbol
_SYMBOLS = {
    "ampere": "A",
    "avogadro": "",
    "becquerel": "Bq",
    "candela": "cd",
    "celsius": "degC",
    "coulomb": "C",
    "dimensionless": "",
    "farad": "F",
    "gram": "g",
    "gray": "Gy",
    "henry": "H",
    "hertz": "Hz",
    "item": "item",
    "joule": "J",
    "katal": "kat",
    "kelvin": "K",
    "kilogram": "kg",
    "liter": "l",
    "litre": "l",
    "lumen": "lm",
    "lux": "lx",
    "meter": "m",
    "metre": "m",
    "mole": "mol",
    "newton": "N",
    "ohm": "ohm",
    "pascal": "Pa",
    "radian": "rad",
    "second": "s",
    "siemens": "S",
    "sievert": "Sv",
    "steradian": "sr",
    "tesla": "T",
    "volt": "V",
    "watt": "W",
    "weber": "Wb",
}
_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", -2: "c", -1: "d", 0: "", 3: "k"}
_TIMES = {60.0: "min", 3600.0: "h", 86400.0: "d"}
#: names that Level 2 gives a meaning without a definition
_BUILT_IN = {
    "substance": ("mole", 1.0),
    "volume": ("litre", 1.0),
    "time": ("second", 1.0),
    "area": ("metre", 2.0),
    "length": ("metre", 1.0),
}


@dataclass(frozen=True)
class UnitPart:
    """One factor of a unit: (multiplier x 10^scale x kind)^exponent."""

    kind: str
    exponent: float
    scale: int
    multiplier: float

    @property
    def factor(self) -> float:
        """How many of its kind, exponent applied."""
        return (self.multiplier * 10.0**self.scale) ** self.exponent


class Units:
    """The units that a file defines.

    Parameters
    ----------
    file : its name, for messages
    level : of SBML; Level 2 has names that need no definition
    model : the <model> element
    """

    def __init__(self, file: str, level: int, model: ElementTree.Element) -> None:
        self.file, self.level = file, level
        self.definitions: dict[str, tuple[UnitPart, ...]] = {}
        for group in model:
            if tag(group) == "listOfUnitDefinitions":
                for definition in group:
                    if tag(definition) == "unitDefinition":
                        self._define(definition)

    def _define(self, definition: ElementTree.Element) -> None:
        name = definition.get("id") or definition.get("name") or "?"
        parts = [self._part(u, name) for u in definition.iter() if tag(u) == "unit"]
        self.definitions[name] = tuple(parts)

    def _part(self, unit: ElementTree.Element, name: str) -> UnitPart:
        kind = unit.get("kind", "")
        if kind.lower() not in _SYMBOLS:
            raise FileFormatError(f"{self.file}: unit {name}", kind, "a kind of unit of SBML")
        try:
            return UnitPart(
                kind.lower(),
                float(unit.get("exponent", "1")),
                int(unit.get("scale", "0")),
                float(unit.get("multiplier", "1")),
            )
        except ValueError as error:
            raise FileFormatError(
                f"{self.file}: unit {name}", str(error)[:80], "numbers"
            ) from error

    def parts(self, name: str, at: str) -> tuple[UnitPart, ...]:
        """The factors of a unit.

        Raises
        ------
        FileFormatError : the file does not define it
        """
        if name in self.definitions:
            return self.definitions[name]
        if name.lower() in _SYMBOLS:
            return (UnitPart(name.lower(), 1.0, 0, 1.0),)
        if self.level < 3 and name in _BUILT_IN:
            kind, exponent = _BUILT_IN[name]
            return (UnitPart(kind, exponent, 0, 1.0),)
        raise FileFormatError(f"{self.file}: {at}", f"unit {name}", "a unit that the file defines")

    def text(self, name: str | None, at: str) -> str:
        """A unit as text, such as "mmol/min"; the file's own name where it is nothing plain."""
        if not name:
            return ""
        above, below = [], []
        for part in self.parts(name, at):
            symbol = _symbol(part)
            if symbol is None:
                return name
            if not symbol or part.exponent == 0:
                continue
            power = abs(part.exponent)
            shown = symbol if power == 1 else f"{symbol}^{power:g}"
            (above if part.exponent > 0 else below).append(shown)
        return "/".join(["*".join(above) or "1", *below]) if above or below else ""

    def amount(self, name: str | None, at: str) -> Amount:
        """What a unit of substance is."""
        if not name:
            return STATED_NOWHERE
        parts = [p for p in self.parts(name, at) if p.kind != "dimensionless" or p.factor != 1.0]
        if not parts:
            return Amount("dimensionless", 1.0)
        sizes = {"mole": 1.0, "gram": 1e3, "kilogram": 1e6, "item": 1.0, "dimensionless": 1.0}
        if len(parts) != 1 or parts[0].kind not in sizes or parts[0].exponent != 1:
            raise FileFormatError(f"{self.file}: {at}", f"unit {name}", "a unit of amount")
        kind = parts[0].kind
        family = "gram" if kind == "kilogram" else kind
        return Amount(family, sizes[kind] * parts[0].factor)

    def litres(self, name: str | None, at: str) -> float | None:
        """How many litres a unit is; None: it is no volume, or none is stated."""
        parts = self.parts(name, at) if name else ()
        if len(parts) != 1:
            return None
        kind, exponent, factor = parts[0].kind, parts[0].exponent, parts[0].factor
        if kind in ("litre", "liter") and exponent == 1:
            return factor
        return 1000.0 * factor if kind in ("metre", "meter") and exponent == 3 else None

    def seconds(self, name: str | None, at: str) -> float | None:
        """How many seconds a unit of time is; None: none is stated."""
        if not name:
            return None
        parts = self.parts(name, at)
        if len(parts) == 1 and parts[0].kind == "second" and parts[0].exponent == 1:
            return parts[0].factor
        if all(p.kind == "dimensionless" for p in parts):
            return None
        raise FileFormatError(f"{self.file}: {at}", f"unit {name}", "a unit of time")


def _symbol(part: UnitPart) -> str | None:
    """The symbol of one factor with its prefix; None: it has none."""
    size = part.multiplier * 10.0**part.scale
    if part.kind == "second" and size in _TIMES:
        return _TIMES[size]
    plain = _SYMBOLS[part.kind]
    if size == 1.0:
        return plain
    prefix = _PREFIXES.get(part.scale) if part.multiplier == 1.0 else None
    if prefix is None or not plain or (part.kind == "kilogram" and prefix):
        return None
    return prefix + plain


@dataclass(frozen=True)
class Measure:
    """What a quantity of a file measures.

    Parameters
    ----------
    kind : "amount" or "concentration"
    amount : its unit of amount
    litres : size of the unit of its compartment [L]; None: not a volume (for concentrations)
    species : whose molar mass counts
    """

    kind: str
    amount: Amount
    litres: float | None
    species: str

    def factor(self, unit: str, own: Amount, molar_mass: Mapping[str, float]) -> float | None:
        """Factor to "mg", to µmol ("mol") or to the unit `own` ("own"), per litre; None: not known.

        Parameters
        ----------
        molar_mass : species -> [g/mol]
        """
        size, family = self.amount.size, self.amount.family
        mass = molar_mass.get(self.species)
        if unit == "own":
            out = size / own.size if family == own.family else None
        elif family == {"mg": "gram", "mol": "mole"}[unit]:
            out = size if unit == "mg" else size * 1e6
        elif mass is None or family not in ("gram", "mole"):
            out = None
        else:  # mol -> mg, mg -> µmol
            out = size * mass * 1e3 if unit == "mg" else size / mass * 1e3
        if out is None or self.kind == "amount":
            return out
        return None if self.litres is None else out / self.litres


__all__ = ["Measure", "UnitPart", "Units"]
