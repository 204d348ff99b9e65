"""What the user says of each species, checked and brought to one unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._core.errors import InputError, UnitError, unknown_name
from ..._core.units import quantity
from ...compounds import Compound
from ...models.small_molecules.clearance import HEPATOCELLULARITY
from . import bodies
from .data import LARGEST_FU, in_vitro_clearance

#: field -> spellings
FIELDS = {
    "clearance_plasma": ("clearance_plasma", "clearance", "cl"),
    "volume_steady_state": ("volume_steady_state", "volume", "vss"),
    "fraction_unbound_plasma": ("fraction_unbound_plasma", "fraction_unbound", "fup"),
    "clint_hepatocyte": ("clint_hepatocyte", "clint"),
    "body_weight": ("body_weight",),
    "kp": ("kp",),
}
_SPELLING = {spelling: name for name, spellings in FIELDS.items() for spelling in spellings}


@dataclass(frozen=True)
class Source:
    """One species: `clearance` [L/h] and `volume` [L] of the whole animal, `in_vitro` intrinsic
    clearance by hepatocytes [L/h per gram of liver, unbound]; NaN where unknown.
    """

    species: str
    weight: float
    clearance: float = np.nan
    volume: float = np.nan
    fraction_unbound: float = np.nan
    in_vitro: float = np.nan
    kp: Mapping[str, float] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether anything that the law takes is given."""
        return bool(np.isfinite(self.states).any())

    @property
    def states(self) -> np.ndarray:
        """(4,) ln clearance, ln volume, logit fu, ln intrinsic clearance in vitro."""
        logs = np.log([self.clearance, self.volume])
        return np.r_[logs, logit(self.fraction_unbound), np.log(self.in_vitro)]


@dataclass(frozen=True)
class Target:
    """The body to predict for.

    Parameters
    ----------
    species : str
        any name
    weight : float
        [kg]
    """

    species: str
    weight: float


def logit(p: ArrayLike) -> np.ndarray:
    """ln p/(1 - p) of fractions; those near 1 are taken as :data:`.data.LARGEST_FU`."""
    p = np.minimum(np.asarray(p, dtype=float), LARGEST_FU)
    return np.log(p) - np.log1p(-p)


def parse_sources(
    sources: Mapping[str, Any] | None, compound: Compound | None = None
) -> list[Source]:
    """Sources in order of mass, whatever the order they were given in.

    Parameters
    ----------
    sources
        species -> fields
    compound
        whose log P and pKa say how much binds in an incubation

    Raises
    ------
    InputError, UnitError, UnknownNameError
        a species whose weight is not known, a value out of range or in another unit
    """
    if sources is None:
        return []
    if not isinstance(sources, Mapping):
        raise InputError("sources", type(sources).__name__, "a mapping of species to their values")
    return sorted(
        (_source(s, v, compound) for s, v in sources.items()), key=lambda s: (s.weight, s.species)
    )


def parse_weight(weight: Any, where: str, extrapolate: bool) -> float:
    """A body mass [kg] that the path reaches."""
    kg = quantity(weight, "kg", where, positive=True)
    if not extrapolate and not bodies.LOWEST <= kg <= bodies.HIGHEST:
        raise InputError(
            where,
            weight,
            f"a body mass from {bodies.LOWEST * 1000:g} g to {bodies.HIGHEST:g} kg",
            hint="extrapolate=True goes further",
        )
    return kg


def _source(species: str, values: Any, compound: Compound | None) -> Source:
    where = f"sources[{species!r}]"
    if not isinstance(values, Mapping):
        raise InputError(where, values, "a mapping such as {'clearance': '12 mL/min/kg'}")
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in _SPELLING:
            raise unknown_name(where, key, _SPELLING, what="a field of a source species")
        if _SPELLING[key] in given:
            raise InputError(f"{where}.{key}", value, f"{_SPELLING[key]} once")
        if value is not None:
            given[_SPELLING[key]] = value
    if "body_weight" in given:
        weight = parse_weight(given["body_weight"], f"{where}.body_weight", extrapolate=False)
    elif species in bodies.WEIGHT:
        weight = bodies.WEIGHT[species]
    else:
        raise InputError(
            f"{where}.body_weight",
            None,
            "a body weight [kg]",
            hint=f"only of {', '.join(bodies.WEIGHT)} a usual one is known",
        )
    numbers = {
        "clearance": _scaled(given, "clearance_plasma", "mL/min/kg", "L/h", 0.06 * weight, where),
        "volume": _scaled(given, "volume_steady_state", "L/kg", "L", weight, where),
    }
    fu = given.get("fraction_unbound_plasma")
    if fu is not None:
        numbers["fraction_unbound"] = quantity(
            fu, "1", f"{where}.fraction_unbound_plasma", positive=True, maximum=1.0
        )
    if given.get("clint_hepatocyte") is not None:
        numbers["in_vitro"] = _in_vitro(given["clint_hepatocyte"], species, compound, where)
    if not isinstance(given.get("kp", {}), Mapping):
        raise InputError(
            f"{where}.kp", given["kp"], "a mapping of organs to values, {'liver': 3.2}"
        )
    kp = {
        o: quantity(v, "1", f"{where}.kp[{o!r}]", positive=True)
        for o, v in dict(given.get("kp") or {}).items()
    }
    return Source(species, weight, kp=kp, **numbers)


def _in_vitro(value: Any, species: str, compound: Compound | None, where: str) -> float:
    """Intrinsic clearance per gram of liver [L/h] from that of hepatocytes."""
    unit = "uL/min/million_cells"
    clint = quantity(value, unit, f"{where}.clint_hepatocyte", positive=True)
    if species not in HEPATOCELLULARITY:
        raise unknown_name(
            f"{where}.clint_hepatocyte", species, HEPATOCELLULARITY, what="a species of known cells"
        )
    plain = compound or Compound.create(name="compound", molar_mass=300.0)
    changes: dict[str, Any] = {"species": species, "clint_hepatocyte": clint}
    if plain.log_p is None and plain.fraction_unbound_hepatocyte is None:
        changes["fraction_unbound_hepatocyte"] = 1.0  # nothing says how much binds
    return in_vitro_clearance(plain.replace(species_values={}, **changes), species)


def _scaled(given: Mapping, name: str, per_kg: str, whole: str, scale: float, where: str) -> float:
    """A number per kg, or text with a unit per kg or of the whole animal."""
    if name not in given:
        return np.nan
    value, field_name = given[name], f"{where}.{name}"
    both = f"{per_kg}, or {whole} of the whole animal"
    try:
        return quantity(value, per_kg, field_name, positive=True, possible=both) * scale
    except UnitError as first:
        try:
            return quantity(value, whole, field_name, positive=True)
        except UnitError:
            raise UnitError(
                field_name,
                value,
                f"a value in {per_kg}, or in {whole} of the whole animal",
                hint=first.hint,
            ) from None
