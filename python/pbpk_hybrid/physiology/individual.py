"""Reference individuals: the typical member of a species, at a chosen body size."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_choice, check_kind
from .._core.errors import InputError, unknown_name
from .._core.units import quantity
from .adults import regressions as r
from .adults.body import (
    INDEX,
    People,
    close_flows,
    close_masses,
    expected_cardiac_output,
    expected_masses,
)
from .dataset import body_surface_area, build
from .organs import ORGANS, SEXES, SPECIES
from .species import SpeciesReference, reference

HUMAN_AGE = (18.0, 100.0)  # year; NHANES, from which the populations are drawn, ends at 79
HUMAN_WEIGHT = (30.0, 250.0)  # kg
HUMAN_HEIGHT = (130.0, 220.0)  # cm
HUMAN_BMI = (12.0, 90.0)  # kg/m^2, about the range of the adults in NHANES
ANIMAL_WEIGHT_FACTOR = 4.0
"""An animal may weigh between reference / 4 and reference x 4."""


def check_species(species: Any) -> str:
    """The name of a species that the package has a reference body of.

    Raises
    ------
    UnknownNameError
        Another name; the nearest are suggested.
    InputError
        Not a text.
    """
    return check_choice("species", species, SPECIES, what="a species")


def check_sex(species: str, sex: Any) -> str:
    """The sex to use: male where none is given for a human, unknown for an animal."""
    if sex is None:
        return "male" if species == "human" else "unknown"
    check_kind("sex", sex, str, "'male' or 'female'")
    if sex not in SEXES and not (species != "human" and sex == "unknown"):
        raise unknown_name("sex", sex, SEXES, what="'male' or 'female'")
    return sex


def reference_individual(
    species: str,
    sex: str | None = None,
    *,
    body_weight: float | str | None = None,
    height: float | str | None = None,
    age: float | str | None = None,
) -> xr.Dataset:
    """The reference individual of a species, as a physiology Dataset with one subject.

    Human: ICRP 89 man (73 kg, 176 cm, 35 years; the default) or woman (60 kg, 163 cm).
    With other covariates the organ masses and flows follow the regressions of
    :mod:`pbpk_hybrid.physiology.adults.body` without variability. A weight given
    without a height keeps the reference height; a height given without a weight keeps
    the reference BMI.

    Animals: the reference animal; with another body weight, volumes scale with weight
    and flows and GFR with weight^(3/4):

    .. math:: V = V_{ref} (W/W_{ref}), \\qquad Q = Q_{ref} (W/W_{ref})^{3/4}

    Masses add to the body weight and flows to the cardiac output exactly, always.

    Parameters
    ----------
    species
        One of ``SPECIES``.
    sex
        "male" or "female"; animals may leave it out (their tables do not tell the sexes
        apart).
    body_weight
        [kg] or a string with a unit, human 30 to 250, animals a quarter to four times
        the reference.
    height
        [cm], human only, 130 to 220.
    age
        [year], human only, 18 to 100.

    Returns
    -------
    Dataset
        Physiology Dataset, 1 subject; coordinates ``volume_source`` and
        ``blood_flow_source`` over ``organ`` say where each reference number is from,
        attribute ``notes`` lists the corrections made to the tables.

    Raises
    ------
    UnknownNameError
        Unknown species or sex, with the nearest names.
    InputError
        A weight, height or age out of range, or together impossible (no room for
        muscle).
    """
    species, sex = check_species(species), check_sex(check_species(species), sex)
    ref = reference(species, sex)
    if species == "human":
        ds = _human(ref, body_weight, height, age)
    else:
        for field, value in (("height", height), ("age", age)):
            if value is not None:
                raise InputError(
                    field,
                    value,
                    "nothing",
                    hint=f"the reference data of the {species} hold no {field}",
                )
        ds = _animal(ref, body_weight)
    return ds.assign_coords(
        {
            name: ("organ", [ref.sources[f"{organ}.{parameter}"] for organ in ORGANS])
            for parameter, name in (("mass", "volume_source"), ("blood_flow", "blood_flow_source"))
        }
    )


@cache
def standard_individual(species: str, sex: str | None = None) -> xr.Dataset:
    """:func:`reference_individual` without other covariates, made once; for reading only.

    Its arrays cannot be written to: all simulations without a population share them.
    """
    ds = reference_individual(species, sex)
    for variable in ds.variables.values():
        if variable.dims and not isinstance(variable, xr.IndexVariable):
            variable.values.flags.writeable = False
    return ds


def _attributes(ref: SpeciesReference) -> dict[str, Any]:
    whole = "; ".join(
        f"{name}: {source}" for name, source in ref.sources.items() if "." not in name
    )
    return {"method": "reference individual", "sources": whole, "notes": "\n".join(ref.notes)}


def _animal(ref: SpeciesReference, body_weight: Any) -> xr.Dataset:
    weight = ref.body_weight
    if body_weight is not None:
        low, high = ref.body_weight / ANIMAL_WEIGHT_FACTOR, ref.body_weight * ANIMAL_WEIGHT_FACTOR
        weight = quantity(body_weight, "kg", "body_weight", positive=True)
        if not low <= weight <= high:
            raise InputError(
                "body_weight", body_weight, f"{low:g} to {high:g} kg for a {ref.species}"
            )
    ratio = weight / ref.body_weight
    flow_ratio = ratio**0.75
    ones = np.ones(1)
    return build(
        ref.mass[None, :] * ratio,
        ref.blood_flow[None, :] * flow_ratio,
        ref.species,
        {
            "sex": np.array([ref.sex]),
            "age": ones * np.nan,
            "body_weight": ones * weight,
            "height": ones * np.nan,
            "hematocrit": ones * ref.hematocrit,
            "gfr": ones * ref.gfr * flow_ratio,
            "cardiac_output": ones * ref.cardiac_output * flow_ratio,
            "hepatocellularity": ones * ref.hepatocellularity,
            "microsomal_protein": ones * ref.microsomal_protein,
        },
        _attributes(ref),
    )


def _bounded(value: Any, unit: str, field: str, bounds: tuple[float, float]) -> float:
    number = quantity(value, unit, field, positive=True)
    if not bounds[0] <= number <= bounds[1]:
        raise InputError(field, value, f"{bounds[0]:g} to {bounds[1]:g} {unit}")
    return number


def _person(ref: SpeciesReference, body_weight: Any, height: Any, age: Any) -> People:
    """The covariates of one person; what is None is the reference person's.

    Raises
    ------
    InputError
        A covariate outside of its range, or a BMI outside of :data:`HUMAN_BMI`.
    """
    weight = (
        ref.body_weight
        if body_weight is None
        else _bounded(body_weight, "kg", "body_weight", HUMAN_WEIGHT)
    )
    tall = ref.height if height is None else _bounded(height, "cm", "height", HUMAN_HEIGHT)
    years = ref.age if age is None else _bounded(age, "year", "age", HUMAN_AGE)
    if height is not None and body_weight is None:
        weight = ref.body_weight * (tall / ref.height) ** 2
    bmi = weight / (tall / 100) ** 2
    if not HUMAN_BMI[0] <= bmi <= HUMAN_BMI[1]:
        low, high = (limit * (tall / 100) ** 2 for limit in HUMAN_BMI)
        raise InputError(
            "body_weight", weight, f"{low:.4g} to {high:.4g} kg for a height of {tall:.4g} cm"
        )
    return People(*(np.array([x]) for x in (ref.sex == "male", years, weight, tall)))


def _human(ref: SpeciesReference, body_weight: Any, height: Any, age: Any) -> xr.Dataset:
    people = _person(ref, body_weight, height, age)
    fat = r.fat_fraction(people.male, people.age, people.body_mass_index)
    mass = close_masses(expected_masses(people), people, fat)
    muscle = mass[0, INDEX["muscle"]]
    if muscle <= 0.1 * people.weight[0]:
        raise InputError(
            "body_weight",
            body_weight if body_weight is not None else float(people.weight[0]),
            f"a weight that goes with {people.height[0]:.4g} cm: the organs of that height leave "
            f"{muscle:.3g} kg for muscle",
        )
    output = expected_cardiac_output(people)
    surface = body_surface_area(people.weight, people.height)
    surface_ref = body_surface_area(ref.body_weight, ref.height)
    # same filtration per body surface, and the decline with age of CKD-EPI 2021 (0.9938 a year)
    gfr = ref.gfr * surface / surface_ref * 0.9938 ** (people.age - ref.age)
    ones = np.ones(1)
    return build(
        mass,
        close_flows(people, output),
        "human",
        {
            "sex": np.array([ref.sex]),
            "age": people.age,
            "body_weight": people.weight,
            "height": people.height,
            "hematocrit": ones * ref.hematocrit,
            "gfr": gfr,
            "cardiac_output": output,
            "body_surface_area": surface,
            "body_mass_index": people.body_mass_index,
            "hepatocellularity": ones * ref.hepatocellularity,
            "microsomal_protein": ones * ref.microsomal_protein,
        },
        _attributes(ref),
    )
