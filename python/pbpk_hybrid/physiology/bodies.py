"""Bodies of people of any age, from what is measured of them: the one model of organs.

From 18 years on the recipe is that of adults (:mod:`.adults.body`), up to 15 that of the ICRP
reference child (:mod:`.children.reference`). Between, each expected mass, share, flow and rate goes
from one to the other as 3 t^2 - 2 t^3 of t = (age - 15)/3, masses and rates on the logarithm, so
that nothing jumps at either age.

Children, with the reference child of their age and sex, weight W_0, height H_0, surface S_0, BMI
B_0:

- lung, heart, kidney, gut, spleen, pancreas, stomach, liver, bone: its mass x (H/H_0)^(3/4); brain:
  its mass; skin and blood: its mass x S/S_0 (Haycock et al. 1978); rest: x W/W_0
- adipose tissue: its share of body weight + 0.0151 x 1.17 (B - B_0), at least 5 %. 1.51 % body fat
  per unit of BMI: Deurenberg et al. (1991) Br J Nutr 65:105, for children to 15 years; read in: its
  abstract. 1.17: adipose tissue per fat of the ICRP adults
- cardiac output: that of the reference child x (W/W_0)^(3/4); organs: their share of it
- GFR: as in the reference child by weight and age (Rhodin et al. 2009)

Each person varies about what is expected (:mod:`.adults.variability`), muscle is the exact
remainder of the body weight, and the rest of the body takes the remainder of the cardiac output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .adults import regressions as r
from .adults.body import (
    INDEX,
    SCALED_ORGANS,
    People,
    adipose_per_fat,
    by_sex,
    expected_cardiac_output,
    expected_masses,
    flows_from_shares,
)
from .adults.fixed_organs import FixedOrgan, known_scores, put_in
from .adults.redraws import hard_rules_hold
from .adults.survey import ADULT_AGE, Survey
from .adults.variability import (
    CUT,
    FAT_SD_LOGIT,
    GFR_SD_LN,
    HEPATOCELLULARITY_SD_LN,
    MICROSOMAL_PROTEIN_SD_LN,
    flow_factors,
    log_normal_factor,
    mass_factors,
    output_factor,
    sd_ln,
    truncated_normal,
)
from .children.reference import maturation_of_filtration, reference_children
from .organs import BLOOD_POOLS, ORGANS
from .plausibility.body import Body
from .plausibility.check import check_bodies
from .plausibility.rules import RULES

YOUNGEST_BLENDED = 15.0  # year
FAT_PER_BMI = 0.0151 * 1.17  # share of adipose tissue per kg/m^2
LEAST_FAT = 0.05
HEMATOCRIT_SD_LN = 0.079
"""Spread of the hematocrit of the survey's children about their mean; for infants, of whom the
survey has none."""
#: rules that a draw of organs decides in children
_RULES_OF_ORGANS = (
    "S3_gfr",
    "S4_adipose",
    "S5_liver",
    "S5_heart",
    "S5_skin",
    "S5_stomach",
    "S5_brain",
    "S8",
)
_CHILD_RULES = tuple(rule for rule in RULES if rule.id in _RULES_OF_ORGANS)


@dataclass(frozen=True)
class Expected:
    """What is expected of n people.

    Parameters
    ----------
    mass : ndarray
        (person, organ) [kg]; muscle and adipose tissue 0.
    adult_fat, child_fat : ndarray
        (person,) share of body weight: fat of adults, adipose tissue of children.
    output : ndarray
        (person,) cardiac output [L/h].
    flow_share : ndarray
        (person, organ) of the cardiac output.
    surface : ndarray
        (person,) [m^2].
    hepatocellularity : ndarray
        (person,) [1e6 cell/g].
    grown : ndarray
        (person,) 0 up to 15 years, 1 from 18 on.
    """

    mass: np.ndarray
    adult_fat: np.ndarray
    child_fat: np.ndarray
    output: np.ndarray
    flow_share: np.ndarray
    surface: np.ndarray
    hepatocellularity: np.ndarray
    grown: np.ndarray


def share_grown(age: np.ndarray) -> np.ndarray:
    """(person,) 0 up to 15 years, 1 from 18 years on, smooth between."""
    t = np.clip((np.asarray(age, float) - YOUNGEST_BLENDED) / (ADULT_AGE - YOUNGEST_BLENDED), 0, 1)
    return t * t * (3 - 2 * t)


def expected(people: People) -> Expected:
    """What is expected of people of any age; see the module."""
    grown = share_grown(people.age)
    if (grown == 1).all():
        return _expected_adults(people)
    if (grown == 0).all():
        return _expected_children(people)
    adult, child = _expected_adults(people), _expected_children(people)
    mass = np.zeros_like(adult.mass)
    some = adult.mass > 0  # muscle and adipose tissue come later
    mass[some] = np.exp(
        _blended(
            np.broadcast_to(grown[:, None], some.shape)[some],
            np.log(child.mass[some]),
            np.log(adult.mass[some]),
        )
    )
    return Expected(
        mass,
        adult.adult_fat,
        child.child_fat,
        np.exp(_blended(grown, np.log(child.output), np.log(adult.output))),
        _blended(grown[:, None], child.flow_share, adult.flow_share),
        np.exp(_blended(grown, np.log(child.surface), np.log(adult.surface))),
        np.exp(_blended(grown, np.log(child.hepatocellularity), np.log(adult.hepatocellularity))),
        grown,
    )


def _blended(grown: np.ndarray, child: np.ndarray, adult: np.ndarray) -> np.ndarray:
    """child + grown (adult - child), exactly either at the ends."""
    return np.where(grown == 1, adult, np.where(grown == 0, child, child + grown * (adult - child)))


def _expected_adults(people: People) -> Expected:
    n = people.age.size
    share = by_sex(people.male, lambda ref: ref.blood_flow / ref.cardiac_output)
    return Expected(
        expected_masses(people),
        r.fat_fraction(people.male, people.age, people.body_mass_index),
        np.full(n, LEAST_FAT),
        expected_cardiac_output(people),
        share,
        people.surface,
        r.hepatocellularity(people.age),
        np.ones(n),
    )


def _expected_children(people: People) -> Expected:
    male, weight, height = people.male, people.weight, people.height
    n, ref = people.age.size, reference_children(male, np.minimum(people.age, 20.0))
    surface = r.haycock_surface(weight, height)
    size = np.ones((n, len(ORGANS)))
    for organ in (*SCALED_ORGANS, "bone"):
        size[:, INDEX[organ]] = (height / ref["height"]) ** 0.75
    for organ in ("skin", *BLOOD_POOLS):
        size[:, INDEX[organ]] = surface / r.haycock_surface(ref["weight"], ref["height"])
    size[:, INDEX["rest"]] = weight / ref["weight"]
    mass = ref["mass"] * size
    mass[:, INDEX["adipose"]] = mass[:, INDEX["muscle"]] = 0.0
    bmi_difference = people.body_mass_index - ref["weight"] / (ref["height"] / 100) ** 2
    fat = ref["mass"][:, INDEX["adipose"]] / ref["weight"] + FAT_PER_BMI * bmi_difference
    return Expected(
        mass,
        np.full(n, LEAST_FAT),
        np.maximum(fat, LEAST_FAT),
        ref["cardiac_output"] * (weight / ref["weight"]) ** 0.75,
        ref["flow_share"],
        surface,
        by_sex(male, lambda adult: adult.hepatocellularity),
        np.zeros(n),
    )


def expected_gfr(people: People, creatinine: np.ndarray) -> np.ndarray:
    """(person,) GFR [L/h] that measured filtration scatters about.

    CKD-EPI 2021 of creatinine [mg/dL] and the body surface from 18 years on, of weight and age up
    to 15 (Rhodin et al. 2009), see the module between.
    """
    grown = share_grown(people.age)
    child = adult = None
    if (grown < 1).any():
        child = (
            by_sex(people.male, lambda ref: ref.gfr)
            * (people.weight / by_sex(people.male, lambda ref: ref.body_weight)) ** 0.75
            * maturation_of_filtration(people.age)
        )
    if (grown > 0).any():
        adult = r.ckd_epi_2021(people.male, people.age, creatinine) * people.surface / 1.73 * 0.06
    if child is None or adult is None:
        return adult if child is None else child
    with np.errstate(invalid="ignore"):
        between = np.exp(np.log(child) + grown * (np.log(adult) - np.log(child)))
    return np.where(grown == 1, adult, np.where(grown == 0, child, between))


def estimated_gfr(people: Survey) -> np.ndarray:
    """(person,) GFR [L/h] about which filtration of people of the survey scatters."""
    bodies = People(people.male, people.age, people.body_weight, people.height)
    return expected_gfr(bodies, people.serum_creatinine)


def residual_of_gfr(people: People, creatinine: np.ndarray, gfr: np.ndarray) -> np.ndarray:
    """(person,) how many standard deviations a GFR [L/h] is from the expected one."""
    return np.log(gfr / expected_gfr(people, creatinine)) / GFR_SD_LN


def draw_bodies(
    rng: np.random.Generator,
    measured: Mapping[str, np.ndarray],
    filtration: Callable[[People], np.ndarray],
    fixed: tuple[FixedOrgan, ...] = (),
) -> dict[str, np.ndarray]:
    """One draw of organs for people who are measured; name -> (m, ...).

    Parameters
    ----------
    rng : Generator
        The order in which the parts draw from it is part of what a seed means.
    measured : mapping
        (m,) ``male``, ``age`` [year], ``body_weight`` [kg], ``height`` [cm], ``hematocrit``,
        ``serum_creatinine`` [mg/dL] (NaN in children), ``ethnicity`` and ``person``. Where the
        hematocrit is NaN it is drawn about that of the reference child.
    filtration : callable
        People -> GFR [L/h], (m,).
    fixed : tuple of FixedOrgan
        Organs that are known.

    Returns
    -------
    dict
        Columns of a physiology Dataset; ``hard`` and ``good`` (m,) say whether the draw satisfies
        the hard rules, and all rules that it decides.
    """
    male, n = measured["male"], measured["age"].size
    people = People(male, measured["age"], measured["body_weight"], measured["height"])
    usual = expected(people)
    adipose = _adipose_share(rng, people, usual)
    gfr = filtration(people)
    residual = residual_of_gfr(people, measured["serum_creatinine"], gfr)
    known = known_scores(fixed, male, usual.mass)
    mass = usual.mass * mass_factors(rng, male, residual, known)
    mass = put_in(mass, usual.mass, fixed)
    mass[:, INDEX["adipose"]], mass[:, INDEX["muscle"]] = adipose * people.weight, 0.0
    mass[:, INDEX["muscle"]] = people.weight - mass.sum(axis=1)
    output = usual.output * output_factor(rng, n)
    flow = flows_from_shares(usual.flow_share, output, flow_factors(rng, n))
    hematocrit = _hematocrit(rng, people, measured["hematocrit"])
    hard = hard_rules_hold(mass, flow, gfr, hematocrit)
    cells = log_normal_factor(rng, HEPATOCELLULARITY_SD_LN, n)
    protein = log_normal_factor(rng, MICROSOMAL_PROTEIN_SD_LN, n)
    creatinine, bmi = measured["serum_creatinine"], people.body_mass_index
    body = Body(
        mass,
        flow,
        male,
        people.weight,
        people.height,
        hematocrit,
        gfr,
        output,
        creatinine,
        bmi,
        usual.surface,
        people.age,
    )
    return {
        "mass": mass,
        "blood_flow": flow,
        "sex": np.where(male, "male", "female"),
        "age": people.age,
        "body_weight": people.weight,
        "height": people.height,
        "hematocrit": hematocrit,
        "gfr": gfr,
        "cardiac_output": output,
        "serum_creatinine": creatinine,
        "body_surface_area": usual.surface,
        "body_mass_index": bmi,
        "hepatocellularity": usual.hepatocellularity * cells,
        "microsomal_protein": r.microsomal_protein(people.age) * protein,
        "ethnicity": measured["ethnicity"],
        "person": measured["person"],
        "hard": hard,
        "good": hard & _soft_rules_hold(people, body),
    }


def _adipose_share(rng: np.random.Generator, people: People, usual: Expected) -> np.ndarray:
    """(person,) adipose tissue over body weight, with normal scatter of the logit of fat."""
    z = truncated_normal(rng, -CUT, CUT, people.age.size)
    spread = np.exp(-FAT_SD_LOGIT * z)
    adult, child = (1 / (1 + (1 - f) / f * spread) for f in (usual.adult_fat, usual.child_fat))
    return usual.grown * adult * adipose_per_fat(people.male) + (1 - usual.grown) * child


def _hematocrit(rng: np.random.Generator, people: People, measured: np.ndarray) -> np.ndarray:
    """(person,) as measured; where it was not, about that of the reference child."""
    unknown = ~np.isfinite(measured)
    if not unknown.any():
        return measured
    ref = reference_children(people.male[unknown], np.minimum(people.age[unknown], 20.0))
    out = measured.copy()
    factor = log_normal_factor(rng, HEMATOCRIT_SD_LN, int(unknown.sum()))
    out[unknown] = ref["hematocrit"] * factor
    return out


def _soft_rules_hold(people: People, body: Body) -> np.ndarray:
    """(person,) whether the soft rules hold that the organs decide."""
    young = people.age < ADULT_AGE
    good = np.empty(people.age.size, dtype=bool)
    if young.any():
        with np.errstate(invalid="ignore", divide="ignore"):
            found = check_bodies(body.subset(young), _CHILD_RULES)["violated"]
        good[young] = ~found.transpose("rule", "subject").values.any(axis=0)
    if not young.all():
        grown = ~young
        adults = People(*(values[grown] for values in vars(people).values()))
        good[grown] = _soft_of_adults(adults, body.mass[grown])
    return good


def _soft_of_adults(people: People, mass: np.ndarray) -> np.ndarray:
    """Soft rules that the organ draw decides (S4, S5 and S8 for muscle)."""
    adipose, muscle = mass[:, INDEX["adipose"]], mass[:, INDEX["muscle"]]
    fraction = adipose / people.weight
    lean = r.fat_free_mass(people.male, people.weight, people.body_mass_index)
    scale = r.height_scale(people.height, by_sex(people.male, lambda ref: ref.height))
    usual = by_sex(people.male, lambda ref: ref.mass[INDEX["muscle"]]) * scale
    muscle_range = np.exp(CUT * sd_ln(0.27))  # McNally et al. 2014: muscle CV 27 %
    liver = mass[:, INDEX["liver"]] / people.weight
    return (
        (fraction >= 0.03)
        & (fraction <= 0.65)
        & (np.abs((people.weight - adipose) / lean - 1) <= 0.25)
        & (muscle >= usual / muscle_range)
        & (muscle <= usual * muscle_range)
        & (liver >= 0.008)
        & (liver <= 0.06)
        & (mass[:, INDEX["heart"]] >= 0.12)
        & (mass[:, INDEX["skin"]] <= 12)
        & (mass[:, INDEX["stomach"]] >= 0.03)
        & (mass[:, INDEX["brain"]] >= 1.0)
        & (mass[:, INDEX["brain"]] <= 1.9)
    )


__all__ = [
    "Expected",
    "draw_bodies",
    "estimated_gfr",
    "expected",
    "expected_gfr",
    "residual_of_gfr",
    "share_grown",
]
