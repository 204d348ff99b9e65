r"""The maximum recommended starting dose: NOAEL, MABEL and exposure, one equation each.

.. math::
    HED = \frac{NOAEL}{k_{species}}, \qquad
    D_{NOAEL} = \frac{HED \cdot 60\,\mathrm{kg}}{s}, \qquad
    C_{MABEL} = K_d \frac{RO}{1 - RO}

k is the factor of body surface area between the species and people, s the safety factor (10
unless there are reasons), RO the receptor occupancy of a minimal effect (0.1 unless known).

Sources: FDA (2005) Guidance for industry: estimating the maximum safe starting dose in initial
clinical trials for therapeutics in adult healthy volunteers, table 1 and section V; EMA (2017)
Guideline on strategies to identify and mitigate risks for first-in-human and early clinical
trials (EMEA/CHMP/SWP/28367/07 Rev. 1), section 6; Muller et al. (2009) Curr Opin Biotechnol
20:722 for the minimal anticipated biological effect level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._core.arguments import check_mapping
from .._core.errors import InputError, unknown_name
from .._core.units import quantity

#: animal dose [mg/kg] over human equivalent dose [mg/kg]; FDA (2005), table 1
SURFACE_AREA_FACTOR = {
    "mouse": 12.3,
    "hamster": 7.4,
    "rat": 6.2,
    "ferret": 5.3,
    "guinea pig": 4.6,
    "rabbit": 3.1,
    "dog": 1.8,
    "monkey": 3.1,
    "marmoset": 6.2,
    "squirrel monkey": 5.3,
    "baboon": 1.8,
    "micropig": 1.4,
    "minipig": 1.1,
}
PERSON = 60.0  # [kg] of FDA (2005), table 1
SAFETY_FACTOR = 10.0  # FDA (2005), section VII
OCCUPANCY = 0.1  # of a minimal effect, EMA (2017) and Muller et al. (2009)
_FIELDS = (
    "noael",
    "noael_auc",
    "noael_cmax",
    "safety_factor",
    "mabel",
    "exposure_factor",
)
_MABEL = ("kd", "concentration", "occupancy")


def human_equivalent_dose(dose: Any, species: str) -> float:
    """The dose of people with the same amount per body surface area.

    Parameters
    ----------
    dose : float or str, mg/kg
        In the animal.
    species : str
        One of :data:`SURFACE_AREA_FACTOR`.

    Returns
    -------
    float, mg/kg

    Raises
    ------
    UnknownNameError
        A species without a factor.
    InputError, UnitError
        A dose that is not > 0 mg/kg.
    """
    if species not in SURFACE_AREA_FACTOR:
        raise unknown_name("species", species, SURFACE_AREA_FACTOR, what="a species with a factor")
    return (
        quantity(dose, "mg/kg", f"dose of {species}", positive=True) / SURFACE_AREA_FACTOR[species]
    )


def receptor_bound_concentration(kd: float, occupancy: float = OCCUPANCY) -> float:
    """The free concentration at which this share of the receptors is bound, one site each.

    Parameters
    ----------
    kd : float
        Dissociation constant, in any unit of concentration.
    occupancy : float
        Share of the receptors that are bound, between 0 and 1.

    Returns
    -------
    float
        In the unit of `kd`.

    Raises
    ------
    InputError
        A value out of range.
    """
    if not (np.isfinite(kd) and kd > 0):
        raise InputError("kd", kd, "a concentration > 0")
    if not 0 < occupancy < 1:
        raise InputError("occupancy", occupancy, "a share between 0 and 1")
    return kd * occupancy / (1.0 - occupancy)


@dataclass(frozen=True)
class Safety:
    """What is known of the safety of a compound, checked.

    Parameters
    ----------
    noael : mapping of str to float, mg/kg
        Species -> no observed adverse effect level.
    noael_auc, noael_cmax : mapping of str to float, mg*h/L and mg/L
        Species -> total exposure in plasma at the NOAEL.
    safety_factor, exposure_factor : float
        By which the human equivalent dose, and the exposure at the NOAEL, are divided.
    mabel : float or None, mg/L
        Free concentration of a minimal effect.
    mabel_words : str
        Where it is from.
    """

    noael: Mapping[str, float] = field(default_factory=dict)
    noael_auc: Mapping[str, float] = field(default_factory=dict)
    noael_cmax: Mapping[str, float] = field(default_factory=dict)
    safety_factor: float = SAFETY_FACTOR
    exposure_factor: float = SAFETY_FACTOR
    mabel: float | None = None
    mabel_words: str = ""


def parse_safety(safety: Mapping[str, Any] | None, molar_mass: float | None) -> Safety:
    """Read and check what :func:`.first_in_human` is told of safety.

    Parameters
    ----------
    safety : mapping or None
        See :func:`.first_in_human`.
    molar_mass : float or None, g/mol
        For concentrations in molar units.

    Returns
    -------
    Safety

    Raises
    ------
    InputError, UnitError, UnknownNameError
        Names the field, the value and what was expected.
    """
    given = check_mapping("safety", safety, "a mapping such as {'noael': {'rat': '50 mg/kg'}}")
    for name in given:
        if name not in _FIELDS:
            raise unknown_name("safety", name, _FIELDS, what="a field of safety")
    concentration, words = _mabel(given.get("mabel"), molar_mass)
    return Safety(
        _levels(given, "noael", "mg/kg", None, tuple(SURFACE_AREA_FACTOR)),
        _levels(given, "noael_auc", "mg*h/L", molar_mass),
        _levels(given, "noael_cmax", "mg/L", molar_mass),
        *(
            quantity(given.get(name, SAFETY_FACTOR), "1", f"safety.{name}", minimum=1.0)
            for name in ("safety_factor", "exposure_factor")
        ),
        concentration,
        words,
    )


def _levels(
    given: Mapping[str, Any],
    name: str,
    unit: str,
    molar_mass: float | None,
    species: tuple[str, ...] = (),
) -> dict[str, float]:
    """Species -> value of one of the fields."""
    table = check_mapping(
        f"safety.{name}", given.get(name), f"a mapping of species to values [{unit}]"
    )
    for one in table:
        if species and one not in species:
            raise unknown_name(f"safety.{name}", one, species, what="a species with a factor")
    return {
        one: quantity(value, unit, f"safety.{name}[{one!r}]", molar_mass=molar_mass, positive=True)
        for one, value in table.items()
    }


def _mabel(given: Any, molar_mass: float | None) -> tuple[float | None, str]:
    """(free concentration [mg/L], where it is from)."""
    if given is None:
        return None, ""
    table = check_mapping("safety.mabel", given, "a mapping such as {'kd': '10 nM'}")
    for name in table:
        if name not in _MABEL:
            raise unknown_name("safety.mabel", name, _MABEL, what="a field of safety.mabel")
    if ("kd" in table) == ("concentration" in table):
        raise InputError("safety.mabel", sorted(table), "either kd or concentration")
    if "concentration" in table:
        if "occupancy" in table:
            raise InputError(
                "safety.mabel.occupancy", table["occupancy"], "nothing beside concentration"
            )
        value = _molar(table["concentration"], "safety.mabel.concentration", molar_mass)
        return value, "free concentration of a minimal effect, as given"
    occupancy = quantity(
        table.get("occupancy", OCCUPANCY), "1", "safety.mabel.occupancy", positive=True
    )
    kd = _molar(table["kd"], "safety.mabel.kd", molar_mass)
    return (
        receptor_bound_concentration(kd, occupancy),
        f"free concentration at {100 * occupancy:g} % receptor occupancy, Kd {kd:.4g} mg/L",
    )


def _molar(value: Any, where: str, molar_mass: float | None) -> float:
    return quantity(value, "mg/L", where, molar_mass=molar_mass, positive=True)


@dataclass(frozen=True)
class Limit:
    """One way to a maximum starting dose.

    Parameters
    ----------
    method : str
        In words.
    dose : float, mg
    basis : str
        How it was computed.
    """

    method: str
    dose: float
    basis: str


def dose_limits(
    safety: Safety, exposure: Mapping[str, np.ndarray], free: np.ndarray
) -> list[Limit]:
    """Maximum starting doses by every way that `safety` allows.

    Parameters
    ----------
    safety : Safety
    exposure : mapping of str to ndarray, (n_people,)
        ``auc`` [mg*h/L] and ``cmax`` [mg/L] per mg of dose.
    free : ndarray, (n_people,)
        Fraction unbound in plasma.

    Returns
    -------
    list of Limit
        Of exposures and MABEL: the dose with which 95 % of people stay below.
    """
    limits = []
    for species, level in safety.noael.items():
        equivalent = human_equivalent_dose(level, species)
        basis = (
            f"NOAEL {level:g} mg/kg / {SURFACE_AREA_FACTOR[species]:g} = HED {equivalent:.3g} "
            f"mg/kg; x {PERSON:g} kg / {safety.safety_factor:g}"
        )
        dose = equivalent * PERSON / safety.safety_factor
        limits.append(Limit(f"NOAEL in {species}, surface area", dose, basis))
    for name, levels, unit in (
        ("auc", safety.noael_auc, "mg*h/L"),
        ("cmax", safety.noael_cmax, "mg/L"),
    ):
        for species, level in levels.items():
            bound = level / safety.exposure_factor
            dose = bound / float(np.quantile(exposure[name], 0.95))
            basis = f"{level:.3g} {unit} / {safety.exposure_factor:g}; 95 % of people stay below"
            limits.append(Limit(f"{name.upper()} at the NOAEL in {species}", dose, basis))
    if safety.mabel is not None:
        dose = safety.mabel / float(np.quantile(exposure["cmax"] * free, 0.95))
        basis = (
            f"{safety.mabel_words} = {safety.mabel:.3g} mg/L; free Cmax of 95 % of people "
            "stays below"
        )
        limits.append(Limit("MABEL", dose, basis))
    return limits
