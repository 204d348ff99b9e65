"""Random children: those of NHANES with the organs of the ICRP reference child of their age
and variability about it.

Sex, age, weight, height, hematocrit and ethnicity are those of a real child of the survey,
drawn with the survey weights. With the reference child (:func:`.reference.reference_child`) of
that age and sex, weight W_0, height H_0, surface S_0, BMI B_0:

- lung, heart, kidney, gut, spleen, pancreas, stomach, liver, bone: its mass x
  (H/H_0)^(3/4); brain: its mass; skin and blood: its mass x S/S_0 (Haycock et al. 1978);
  rest: x W/W_0. Each with the variability of adults, :mod:`.variability`
- adipose tissue: its share of body weight + 0.0151 x 1.17 (B - B_0), at least 5 %, and
  scatter as in adults. 1.51 % body fat per unit of BMI: Deurenberg et al. (1991) Br J Nutr
  65:105, for children to 15 years; read in: its abstract. 1.17: adipose tissue per fat of
  the ICRP adults
- muscle: the exact remainder of body weight
- cardiac output: that of the reference child x (W/W_0)^(3/4); organs: their share of it with
  a CV of 5 %; rest: the exact remainder
- GFR: as in the reference child by weight and age (Rhodin et al. 2009), with the scatter of
  adults about their estimate
- hematocrit below one year, where the survey has none: that of the reference child with the
  survey children's spread

A draw of organs that breaks a plausibility rule of children (organs, adipose tissue, GFR)
is drawn again, as in :mod:`.population`; rules on what was measured are left to the
children of the survey.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..._core.errors import InputError
from ..adults import regressions as r
from ..adults.body import INDEX, SCALED_ORGANS, by_sex, flows_from_shares
from ..adults.redraws import count_attributes, draw_until_fit, hard_rules_hold, joined
from ..adults.selection import bounds, ethnicities
from ..adults.survey import ADULT_AGE, Survey, children, draw_weighted
from ..adults.variability import (
    CUT,
    GFR_SD_LN,
    HEPATOCELLULARITY_SD_LN,
    MICROSOMAL_PROTEIN_SD_LN,
    flow_factors,
    log_normal_factor,
    mass_factors,
    output_factor,
    scatter_fat,
    truncated_normal,
)
from ..conditions.enzymes import with_enzymes
from ..dataset import build
from ..organs import BLOOD_POOLS, ORGANS
from ..plausibility.body import Body
from ..plausibility.check import check_bodies
from ..plausibility.rules import RULES
from .reference import maturation_of_filtration, reference_children

FAT_PER_BMI = 0.0151 * 1.17  # share of adipose tissue per kg/m^2
LEAST_FAT = 0.05
#: rules that a draw of organs decides
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
_MEASURED = ("age", "body_weight", "height", "bmi", "hematocrit")


def sample_children(
    n: int,
    rng: np.random.Generator,
    seed: Any,
    filters: dict[str, Any],
    women: float | None,
    *,
    weighted: bool,
    scatter: bool,
) -> xr.Dataset:
    """n children of the survey with organs and enzymes of their age: what
    ``sample_population`` does below 18 years.

    Parameters
    ----------
    filters
        As of ``sample_population``; creatinine, GFR and eGFR are not for children.
    women
        Share of girls, or None.

    Raises
    ------
    InputError
        A filter that is not for children, or that nobody passes.
    """
    survey = children()
    keep = _qualify(survey, filters)
    strata = (
        [(n, None)] if women is None else [(round(n * women), False), (n - round(n * women), True)]
    )
    blocks, counts = [], np.zeros(4)
    for size, male in strata:
        if size == 0:
            continue
        index = np.flatnonzero(keep if male is None else keep & (survey.male == male))
        if not index.size:
            raise InputError(
                "sex",
                women,
                f"children of both sexes, but no {'boy' if male else 'girl'} qualifies",
            )
        block, count = _draw(rng, survey, index, size, weighted, scatter)
        blocks.append(block)
        counts += count
    columns = joined(blocks, n, rng, mix=len(blocks) > 1)
    mass, flow = columns.pop("mass"), columns.pop("blood_flow")
    requested = {**filters, "sex": women}
    attributes = {
        "method": "children of NHANES 2013-2018 with organs of the ICRP reference child and "
        "variability",
        "seed": seed,
        "weighted": weighted,
        "filters": "; ".join(f"{k}={v!r}" for k, v in requested.items() if v is not None),
        **count_attributes(counts),
        "sources": "NHANES 2013-2018 (CDC/NCHS) via httk; ICRP 89 via compphysiol; Rhodin et "
        "al. 2009; McNally et al. 2014; Deurenberg et al. 1991; Haycock et al. 1978; Barter "
        "et al. 2008; Wilson et al. 2003",
        "notes": __doc__.strip(),
    }
    return with_enzymes(build(mass, flow, "human", columns, attributes))


def _qualify(survey: Survey, filters: dict[str, Any]) -> np.ndarray:
    """(child,) who passes all filters.

    Raises
    ------
    InputError
        A filter that is not for children, or the first that leaves nobody.
    """
    keep = np.ones(survey.age.size, dtype=bool)
    for field, value in filters.items():
        if value is None:
            continue
        if field == "ethnicity":
            keep &= np.isin(survey.ethnicity, ethnicities(value))
        elif field in _MEASURED:
            low, high = bounds(field, value)
            measured = survey.body_mass_index if field == "bmi" else getattr(survey, field)
            keep &= (measured >= low) & (measured <= high)
        else:
            raise InputError(
                field, value, "nothing for children", hint="their GFR follows from weight and age"
            )
        if not keep.any():
            raise InputError(
                field,
                value,
                "children of the survey who qualify",
                hint="nobody in NHANES 2013-2018 qualifies",
            )
    return keep


def _draw(
    rng: np.random.Generator,
    survey: Survey,
    index: np.ndarray,
    n: int,
    weighted: bool,
    scatter: bool,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """n children of `index` with organs; and the counts of :func:`.redraws.draw_until_fit`."""
    weight = survey.weight[index] if weighted else np.ones(index.size)
    return draw_until_fit(
        n,
        lambda size: index[draw_weighted(rng, weight, size)],
        lambda persons: _organs(rng, survey, persons, scatter),
        "children could not be given organs that fit their weight and height in {} draws; "
        "the filters leave only children far from the reference: widen body_weight, height "
        "or bmi",
    )


def _organs(
    rng: np.random.Generator, survey: Survey, index: np.ndarray, scatter: bool
) -> dict[str, np.ndarray]:
    """One draw of organs for children of the survey, by index (m,); name -> (m, ...).

    ``hard`` and ``good`` (m,) say whether it satisfies the hard rules, and all rules. The order in
    which the parts draw from `rng` is part of what a seed means.
    """
    male, age = survey.male[index], survey.age[index]
    weight, height = survey.body_weight[index], survey.height[index]
    n, ref = index.size, reference_children(male, age)
    surface, bmi = r.haycock_surface(weight, height), weight / (height / 100) ** 2
    mass = _masses(rng, male, weight, height, ref)
    output = ref["cardiac_output"] * (weight / ref["weight"]) ** 0.75 * output_factor(rng, n)
    flow = flows_from_shares(ref["flow_share"], output, flow_factors(rng, n))
    z = truncated_normal(rng, -CUT, CUT, n) if scatter else np.zeros(n)
    expected_gfr = (
        by_sex(male, lambda adult: adult.gfr)
        * (weight / by_sex(male, lambda adult: adult.body_weight)) ** 0.75
        * maturation_of_filtration(age)
    )
    gfr = expected_gfr * np.exp(GFR_SD_LN * z)
    hematocrit = _hematocrit(rng, survey, index, ref["hematocrit"])
    hard = hard_rules_hold(mass, flow, gfr, hematocrit)
    unknown = np.full(n, np.nan)
    body = Body(
        mass, flow, male, weight, height, hematocrit, gfr, output, unknown, bmi, surface, age
    )
    return {
        "mass": mass,
        "blood_flow": flow,
        "sex": np.where(male, "male", "female"),
        "age": age,
        "body_weight": weight,
        "height": height,
        "hematocrit": hematocrit,
        "gfr": gfr,
        "cardiac_output": output,
        "body_surface_area": surface,
        "body_mass_index": bmi,
        "hepatocellularity": by_sex(male, lambda adult: adult.hepatocellularity)
        * log_normal_factor(rng, HEPATOCELLULARITY_SD_LN, n),
        "microsomal_protein": r.microsomal_protein(age)
        * log_normal_factor(rng, MICROSOMAL_PROTEIN_SD_LN, n),
        "ethnicity": survey.ethnicity[index],
        "person": survey.person[index],
        "hard": hard,
        "good": hard & ~_breaks_a_rule(body),
    }


def _masses(
    rng: np.random.Generator,
    male: np.ndarray,
    weight: np.ndarray,
    height: np.ndarray,
    ref: dict[str, np.ndarray],
) -> np.ndarray:
    """(child, organ) masses [kg] that add to the weight."""
    size = np.ones((weight.size, len(ORGANS)))
    for organ in (*SCALED_ORGANS, "bone"):
        size[:, INDEX[organ]] = (height / ref["height"]) ** 0.75
    surface_ratio = r.haycock_surface(weight, height) / r.haycock_surface(
        ref["weight"], ref["height"]
    )
    for organ in ("skin", *BLOOD_POOLS):
        size[:, INDEX[organ]] = surface_ratio
    size[:, INDEX["rest"]] = weight / ref["weight"]
    mass = ref["mass"] * size * mass_factors(rng, male)
    bmi_difference = weight / (height / 100) ** 2 - ref["weight"] / (ref["height"] / 100) ** 2
    fat = ref["mass"][:, INDEX["adipose"]] / ref["weight"] + FAT_PER_BMI * bmi_difference
    fat = scatter_fat(rng, np.maximum(fat, LEAST_FAT))
    mass[:, INDEX["adipose"]], mass[:, INDEX["muscle"]] = fat * weight, 0.0
    mass[:, INDEX["muscle"]] = weight - mass.sum(axis=1)
    return mass


def _hematocrit(
    rng: np.random.Generator, survey: Survey, index: np.ndarray, expected: np.ndarray
) -> np.ndarray:
    """(child,) as measured; where the survey has none, expected with the survey's scatter."""
    sd_ln = np.nanstd(np.log(survey.hematocrit[survey.age >= 1]))
    drawn = expected * log_normal_factor(rng, sd_ln, index.size)
    measured = survey.hematocrit[index]
    return np.where(np.isfinite(measured), measured, drawn)


def _breaks_a_rule(body: Body) -> np.ndarray:
    """(child,) whether the draw of organs breaks a rule that it decides."""
    rules = tuple(rule for rule in RULES if rule.id in _RULES_OF_ORGANS)
    with np.errstate(invalid="ignore", divide="ignore"):
        violated = check_bodies(body, rules)["violated"].transpose("rule", "subject")
    return violated.values.any(axis=0)


def only_children(age: Any) -> bool:
    """Whether an age filter asks for children.

    Raises
    ------
    InputError
        A range with children and adults.
    """
    if age is None:
        return False
    low, high = bounds("age", age)
    if low >= ADULT_AGE:
        return False
    if high > ADULT_AGE:
        raise InputError(
            "age",
            age,
            "a range below 18 years or one from 18 to 79",
            hint="draw children and adults apart: their organs follow other recipes",
        )
    return True


__all__ = ["only_children", "sample_children"]
