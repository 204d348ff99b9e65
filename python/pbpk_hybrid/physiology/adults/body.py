"""From a person's sex, age, weight and height to organ masses and flows that close exactly.

Recipe (httk-pop, Ring et al., Environ Int 106:105, 2017, with McNally et al. 2014 and
ICRP 89 as reference), made closure-safe:

1. organs other than those below: ICRP mass of the sex x (H/H_ref)^(3/4);
2. brain by age, skin and blood by body surface, skeleton by age (bone mineral) and height,
   each as a ratio to the reference person, so that the reference person comes back exactly;
3. the rest of the body is a constant fraction of body weight (ICRP remainder: 4.6 % of a
   man, 4.7 % of a woman);
4. adipose tissue is body weight x fat fraction (Gallagher et al. 2000: sex, age, BMI) x the
   tissue-to-fat ratio of the ICRP reference person;
5. **muscle is the exact remainder**. httk-pop instead predicts muscle from height and age
   alone, draws adipose with a CV of 42 % around what is left and then changes the body
   weight to fit, which is where half its people move by more than 10 % off their own
   weight. With the fat of step 4 the remainder falls with age and rises with weight as
   muscle does;
6. cardiac output: ICRP x S/S_ref (body surface) x decline of 0.5 % a year after 25; organ flows
   are ICRP fractions of it and the rest of the body takes the remainder. The index, output over
   surface, does not depend on body size, also in obese people: Rusinaru et al. (2021) Am J Cardiol
   140:128, 4,040 adults; read: its abstract. httk-pop scales with (H/H_ref)^(3/4) instead, which
   leaves out the weight.

Between-person variability multiplies each organ (steps 1-2) and flow (6), see
:mod:`.population`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import copy, where
from ..dataset import body_surface_area
from ..organs import BLOOD_POOLS, FULL_FLOW_ORGANS, ORGANS, SYSTEMIC_ORGANS
from ..species import SpeciesReference, reference
from . import regressions as r

SCALED_ORGANS = ("lung", "heart", "kidney", "gut", "spleen", "pancreas", "stomach", "liver")
"""Organs that scale with height alone."""

INDEX = {organ: i for i, organ in enumerate(ORGANS)}
_SYSTEMIC = [INDEX[organ] for organ in SYSTEMIC_ORGANS if organ != "rest"]
_FULL = [INDEX[organ] for organ in FULL_FLOW_ORGANS]


@dataclass(frozen=True)
class People:
    """Covariates of n people, arrays of one length."""

    male: np.ndarray  # bool
    age: np.ndarray  # year
    weight: np.ndarray  # kg
    height: np.ndarray  # cm

    @property
    def body_mass_index(self) -> np.ndarray:
        """Body mass index [kg/m^2], (n,)."""
        return self.weight / (self.height / 100) ** 2

    @property
    def surface(self) -> np.ndarray:
        """Body surface [m^2] after Mosteller, (n,)."""
        return body_surface_area(self.weight, self.height)


def by_sex(male: np.ndarray, value: Callable[[SpeciesReference], ArrayLike]) -> np.ndarray:
    """A quantity of the reference man or woman for every person.

    Parameters
    ----------
    male : (n,) bool
        Array or tensor.
    value : callable
        From a reference body to a number or an array (...).

    Returns
    -------
    (n, ...) array
        ``value`` of the reference man where `male`, of the reference woman elsewhere.
    """
    male_value, female_value = (
        np.asarray(value(reference("human", sex)), dtype=float) for sex in ("male", "female")
    )
    sexes = male.reshape((-1,) + (1,) * male_value.ndim)  # (n, 1, ...), against (...)
    return where(sexes, male_value, female_value)


def expected_masses(people: People) -> np.ndarray:
    """Mean organ masses [kg], (n, organ); muscle and adipose are left at zero (they
    come after the variability).
    """
    male, age = people.male, people.age
    mass = by_sex(male, lambda ref: ref.mass)
    scale = r.height_scale(people.height, by_sex(male, lambda ref: ref.height))
    age_ref = by_sex(male, lambda ref: ref.age)
    surface_ref = by_sex(male, lambda ref: body_surface_area(ref.body_weight, ref.height))
    for organ in SCALED_ORGANS:
        mass[:, INDEX[organ]] *= scale
    mass[:, INDEX["brain"]] *= r.brain_mass(male, age) / r.brain_mass(male, age_ref)
    mass[:, INDEX["skin"]] *= r.skin_mass(people.surface) / r.skin_mass(surface_ref)
    blood = r.blood_mass(male, people.surface) / r.blood_mass(male, surface_ref)
    for organ in BLOOD_POOLS:
        mass[:, INDEX[organ]] *= blood
    mass[:, INDEX["bone"]] *= scale * r.bone_mineral(male, age) / r.bone_mineral(male, age_ref)
    mass[:, INDEX["rest"]] *= people.weight / by_sex(male, lambda ref: ref.body_weight)
    mass[:, INDEX["muscle"]] = mass[:, INDEX["adipose"]] = 0.0
    return mass


def adipose_per_fat(male: np.ndarray) -> np.ndarray:
    """Adipose tissue per body fat of the ICRP reference person, about 1.17 (adipose
    tissue holds 85 % fat).
    """

    def ratio(ref: SpeciesReference) -> float:
        bmi = ref.body_weight / (ref.height / 100) ** 2
        fat = r.fat_fraction(np.array([ref.sex == "male"]), np.array([ref.age]), np.array([bmi]))[0]
        return ref.mass[INDEX["adipose"]] / ref.body_weight / fat

    return by_sex(male, ratio)


def expected_cardiac_output(people: People) -> np.ndarray:
    """Mean cardiac output [L/h]: ICRP reference, body surface, decline after 25 years."""
    male = people.male
    decline = r.cardiac_output_age(people.age) / r.cardiac_output_age(
        by_sex(male, lambda ref: ref.age)
    )
    surface = by_sex(male, lambda ref: body_surface_area(ref.body_weight, ref.height))
    return by_sex(male, lambda ref: ref.cardiac_output) * people.surface / surface * decline


def close_masses(mass: np.ndarray, people: People, fat: np.ndarray) -> np.ndarray:
    """Put in adipose tissue for the fat fraction `fat` and give muscle the exact
    remainder of body weight.
    """
    mass = copy(mass)
    mass[:, INDEX["adipose"]] = people.weight * fat * adipose_per_fat(people.male)
    mass[:, INDEX["muscle"]] = people.weight - mass.sum(axis=1)
    return mass


def close_flows(people: People, output: np.ndarray, factor: np.ndarray | float = 1.0) -> np.ndarray:
    """Organ flows [L/h]: ICRP fractions x `factor`, the rest of the body takes the
    exact remainder.
    """
    share = by_sex(people.male, lambda ref: ref.blood_flow / ref.cardiac_output)
    return flows_from_shares(share, output, factor)


def flows_from_shares(
    share: np.ndarray, output: np.ndarray, factor: np.ndarray | float
) -> np.ndarray:
    """Blood flows that add to the cardiac output.

    Parameters
    ----------
    share : (n, organ)
        Expected flows as fractions of cardiac output.
    output : (n,), L/h
        Cardiac output.
    factor : (n, organ) or float
        On the expected flows; the rest of the body takes the exact remainder.

    Returns
    -------
    (n, organ) array, L/h
    """
    flow = share * output[:, None] * factor
    flow[:, _FULL] = output[:, None]
    flow[:, INDEX["rest"]] = output - flow[:, _SYSTEMIC].sum(axis=1)
    return flow
