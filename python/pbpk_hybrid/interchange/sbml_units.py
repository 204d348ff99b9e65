"""Units of an SBML file: how much of ours one of theirs is, what to call it, and regimens
that are not in mg.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._core.errors import InputError
from ..dosing import Regimen

#: names of amounts -> (family, how many of the family's unit): gram in mg, mole in mol
AMOUNTS: dict[str, tuple[str, float]] = {
    "kg": ("gram", 1e6),
    "g": ("gram", 1e3),
    "mg": ("gram", 1.0),
    "ug": ("gram", 1e-3),
    "ng": ("gram", 1e-6),
    "mol": ("mole", 1.0),
    "mmol": ("mole", 1e-3),
    "umol": ("mole", 1e-6),
    "nmol": ("mole", 1e-9),
    "pmol": ("mole", 1e-12),
    "fmol": ("mole", 1e-15),
    "item": ("item", 1.0),
    "1": ("dimensionless", 1.0),
}
UNKNOWN = "unknown"
_BASE = {"gram": "mg", "mole": "mol", "item": "item", "dimensionless": "1"}


@dataclass(frozen=True)
class Amount:
    """A unit of amount: its family and how many of the family's base unit it is; no
    family: not stated.
    """

    family: str
    size: float

    @property
    def name(self) -> str:
        """What the unit is called, or the family's base unit where it has no name of its own."""
        for name, (family, size) in AMOUNTS.items():
            if family == self.family and abs(size / self.size - 1.0) < 1e-9:
                return name
        return _BASE.get(self.family, UNKNOWN)


STATED_NOWHERE = Amount("", 1.0)


def amount_of(name: str) -> Amount:
    """The unit that a user names.

    Raises
    ------
    InputError : no unit of amount
    """
    if name not in AMOUNTS:
        raise InputError("substance_unit", name, ", ".join(AMOUNTS))
    return Amount(*AMOUNTS[name])


def read_amount(sbml: Any, model: Any, unit: str) -> Amount | None:
    """The unit of amount with this name in a file; None: it is no unit of amount."""
    parts = _parts(sbml, model, unit)
    if parts is None or len(parts) != 1:
        return None
    kind, exponent, factor = parts[0]
    if kind == "dimensionless":
        return Amount("dimensionless", factor)
    if exponent != 1:
        return None
    sizes = {"mole": 1.0, "avogadro": None, "gram": 1e3, "kilogram": 1e6, "item": 1.0}
    size = sizes.get(kind)
    if size is None:
        return None
    return Amount("gram" if kind == "kilogram" else kind, size * factor)


def litres(sbml: Any, model: Any, unit: str) -> float | None:
    """How many litres the unit of volume with this name is; None: it is none."""
    parts = _parts(sbml, model, unit)
    if parts is None or len(parts) != 1:
        return None
    kind, exponent, factor = parts[0]
    if kind == "litre" and exponent == 1:
        return factor
    if kind == "metre" and exponent == 3:
        return 1000.0 * factor
    return None


def _parts(sbml: Any, model: Any, unit: str) -> list[tuple[str, float, float]] | None:
    """(kind, exponent, factor with its exponent applied) of a unit; None where the file
    does not define it.
    """
    definition = model.getUnitDefinition(unit)
    if definition is None:
        builtin = {"substance": "mole", "volume": "litre"}.get(unit, unit)
        known = sbml.UnitKind_forName(builtin)
        if known == sbml.UNIT_KIND_INVALID:
            return None
        return [(_kind(sbml, known), 1.0, 1.0)]
    out = []
    for i in range(definition.getNumUnits()):
        u = definition.getUnit(i)
        exponent = float(u.getExponentAsDouble())
        factor = (u.getMultiplier() * 10.0 ** u.getScale()) ** exponent
        out.append((_kind(sbml, u.getKind()), exponent, factor))
    return out


def _kind(sbml: Any, kind: int) -> str:
    name = sbml.UnitKind_toString(kind)
    return {"liter": "litre", "meter": "metre"}.get(name, name)


def unit_of_export(name: str) -> tuple[str, float]:
    """(kind, multiplier) with which a file defines one of our units of amount."""
    family, size = AMOUNTS.get(name, ("dimensionless", 1.0))
    return family, size * (1e-3 if family == "gram" else 1.0)


@dataclass(frozen=True, eq=False)
class UnitRegimen(Regimen):
    """Doses in another unit of amount than mg, of a model that is in that unit.

    ``+``, :meth:`shift` and :meth:`repeat` keep the unit; doses in mg cannot be added.
    """

    unit: str = "mg"

    def _keep(self, regimen: Regimen) -> UnitRegimen:
        return UnitRegimen(regimen.columns, span=regimen.span, unit=self.unit)

    def __add__(self, other: Regimen) -> UnitRegimen:
        theirs = getattr(other, "unit", "mg")
        if theirs != self.unit and len(other):
            raise InputError(
                "regimen",
                f"doses in {theirs}",
                f"doses in {self.unit}",
                hint="use the imported model's dose(), or import_sbml(..., molar_mass=) for "
                "doses in mg",
            )
        return self._keep(super().__add__(other))

    def shift(self, by: Any) -> UnitRegimen:
        """The same regimen, later by a time [h]."""
        return self._keep(super().shift(by))

    def repeat(self, interval: Any, n: int) -> UnitRegimen:
        """The same regimen, n times at an interval [h]."""
        return self._keep(super().repeat(interval, n))


def molar_masses(given: float | Mapping[str, float] | None, states: list[str]) -> dict[str, float]:
    """State -> molar mass [g/mol] of those that have one.

    Raises
    ------
    InputError : a value that is no number > 0, a name that is no state
    """
    if given is None:
        return {}
    many = given if isinstance(given, Mapping) else dict.fromkeys(states, given)
    for name, value in many.items():
        if name not in states:
            raise InputError(
                "molar_mass", name, f"a species of the model: {', '.join(states)}"[:300]
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
            raise InputError(f"molar_mass[{name!r}]", value, "a number > 0 [g/mol]")
    return {k: float(v) for k, v in many.items()}
