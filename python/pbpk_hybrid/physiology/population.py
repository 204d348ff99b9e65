"""Random populations: people drawn from NHANES, animals around their reference.

People. Sex, age, weight, height, hematocrit, creatinine and ethnicity are those of a real person of NHANES 2013-2018, drawn
with the survey weights, so their joint distribution is that of the US population; nothing is resmoothed, and a
person's weight and height stay exactly as measured. Organs follow the recipe of :mod:`.human` with the variability of
:mod:`.variability`. GFR is CKD-EPI 2021 from the creatinine, with its scatter of 21 %, taken off the 1.73 m^2 by the
person's own surface.

A draw of organs that breaks a rule (muscle left over outside a plausible range, filtration above renal plasma flow, ...)
is drawn again for the same person. A person for whom no draw satisfies the soft rules keeps the last that satisfies
the hard ones; one for whom none does is replaced. How often each happened is in the attributes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind
from .._core.errors import InputError
from .._core.random import generator
from . import regressions as r
from .animals import sample_animals
from .child_population import only_children, sample_children
from .dataset import build
from .human import (
    INDEX,
    People,
    by_sex,
    close_flows,
    close_masses,
    expected_cardiac_output,
    expected_masses,
)
from .individual import check_species
from .redraws import PERSON_ROUNDS, SOFT_ROUNDS, draw_until_fit
from .selection import Selection, female_fraction, select
from .species import reference
from .variability import (
    CUT,
    FAT_SD_LOGIT,
    GFR_SD_LN,
    HEPATOCELLULARITY_SD_LN,
    MICROSOMAL_PROTEIN_SD_LN,
    flow_factors,
    log_normal_factor,
    mass_factors,
    sd_ln,
    truncated_normal,
)

#: drawn by one call; about 30 GB of organs
MOST_SUBJECTS = 100_000_000
_BLOCK = 20_000  # people at a time: bounds the memory of the temporaries


def sample_population(
    n: int,
    species: str = "human",
    *,
    seed: int | np.random.Generator | None,
    age: Any = None,
    sex: Any = None,
    body_weight: Any = None,
    height: Any = None,
    bmi: Any = None,
    hematocrit: Any = None,
    serum_creatinine: Any = None,
    gfr: Any = None,
    egfr: Any = None,
    ethnicity: Any = None,
    weighted: bool = True,
    gfr_scatter: bool = True,
) -> xr.Dataset:
    """n random subjects of a species, each closed on its own body weight and cardiac output.

    Parameters
    ----------
    n : number of subjects, at least 1; exactly n come back
    species : one of ``SPECIES``; the filters below are for "human" alone, except `sex` and `body_weight`
    seed : non-negative integer, Generator, or None (drawn and stored in the attributes)
    age : (low, high) or one number [year]; None: adults, 18 to 79. A range below 18: children, see :mod:`.child_population`,
        with the activity of their enzymes by age; one that holds both is refused
    sex : "male", "female", the fraction of women (0 to 1, exact to rounding), or None (as in the population)
    body_weight : (low, high) [kg]
    height : (low, high) [cm]
    bmi : (low, high) [kg/m^2]
    hematocrit : (low, high) [1]
    serum_creatinine : (low, high) [mg/dL]
    gfr : (low, high) [L/h], of the individual filtration rate
    egfr : (low, high) [mL/min/1.73 m^2], of the same rate indexed to body surface, for stages of renal function
    ethnicity : one name or several, as coded in NHANES
    weighted : draw with the survey weights (True) or each survey person alike
    gfr_scatter : let GFR scatter around the CKD-EPI estimate (True) or equal it

    Returns
    -------
    physiology Dataset; attributes ``seed``, ``redrawn_fraction`` (organ draws thrown away), ``soft_rule_exceptions``
    and ``replaced_people``; variable ``nhanes_person`` names the survey person.

    Raises
    ------
    InputError : n or a filter that makes no sense, or that nobody of the survey passes (names the field and the range
        available); children together with adults; creatinine or GFR of children
    UnknownNameError : unknown species, sex or ethnicity
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError("n", n, "a whole number of subjects >= 1")
    if n > MOST_SUBJECTS:
        raise InputError(
            "n",
            n if n < 10**15 else "more than 10^15",
            f"at most {MOST_SUBJECTS} subjects at a time",
            hint="Cohort and simulate_cohort draw any number in chunks",
        )
    for name, flag in (("weighted", weighted), ("gfr_scatter", gfr_scatter)):
        check_kind(name, flag, (bool, np.bool_), "True or False")
    species = check_species(species)
    rng, seed = generator(seed)
    filters = {
        "age": age,
        "body_weight": body_weight,
        "height": height,
        "bmi": bmi,
        "hematocrit": hematocrit,
        "serum_creatinine": serum_creatinine,
        "gfr": gfr,
        "egfr": egfr,
        "ethnicity": ethnicity,
    }
    if species != "human":
        for field, value in filters.items():
            if value is not None and field != "body_weight":
                raise InputError(
                    field,
                    value,
                    "nothing",
                    hint=f"the {species} can be filtered by sex and body_weight",
                )
        return sample_animals(int(n), species, rng, seed, sex, body_weight)
    women = female_fraction(sex)
    if only_children(age):
        return sample_children(
            int(n), rng, seed, filters, women, weighted=bool(weighted), scatter=bool(gfr_scatter)
        )
    chosen = select(filters, weighted=bool(weighted), women=women, scatter=bool(gfr_scatter))
    strata = [(int(n), None)]
    if women is not None and 0 < women < 1:
        females = round(n * women)
        strata = [(females, False), (int(n) - females, True)]
    blocks, counts = [], np.zeros(4)
    for size, male in strata:
        for start in range(0, size, _BLOCK):
            block, count = _draw_people(
                rng, chosen, min(_BLOCK, size - start), male, bool(gfr_scatter)
            )
            blocks.append(block)
            counts += count
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if len(strata) > 1:  # the sexes are drawn one after the other: mix them
        order = rng.permutation(int(n))
        columns = {name: values[order] for name, values in columns.items()}
    draws, thrown, soft, replaced = counts
    mass, flow = columns.pop("mass"), columns.pop("blood_flow")
    columns["nhanes_person"] = (
        columns.pop("person"),
        "1",
        "NHANES sequence number of the person drawn",
    )
    return build(
        mass,
        flow,
        "human",
        columns,
        {
            "method": "people of NHANES 2013-2018 with organs by regression and variability",
            "seed": seed,
            "weighted": bool(weighted),
            "filters": "; ".join(
                f"{k}={v!r}" for k, v in {**filters, "sex": sex}.items() if v is not None
            )
            or "none",
            "redrawn_fraction": float(thrown / draws),
            "soft_rule_exceptions": int(soft),
            "replaced_people": int(replaced),
            "sources": "NHANES 2013-2018 (CDC/NCHS) via httk; ICRP 89; McNally et al. 2014; Gallagher et al. 2000; "
            "Bosgra et al. 2012; Baxter-Jones et al. 2011; Looker et al. 2009; CKD-EPI 2021; Barter et al. 2007, 2008; "
            "Wilson et al. 2003",
            "notes": "\n".join(reference("human", "male").notes),
        },
    )


def _draw_people(
    rng: np.random.Generator, chosen: Selection, n: int, male: bool | None, scatter: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """n people of a stratum with organs; and the counts of :func:`.redraws.draw_until_fit`."""
    return draw_until_fit(
        n,
        lambda size: chosen.draw(rng, size, male),
        lambda position: _draw_organs(rng, chosen, position, scatter),
        "people could not be given organs that fit their weight and height in {} draws; the filters leave only people "
        "outside the range of the regressions: widen body_weight, height or bmi",
    )


def _draw_organs(
    rng, chosen: Selection, position: np.ndarray, scatter: bool
) -> dict[str, np.ndarray]:
    survey, index, n = chosen.survey, chosen.index[position], position.size
    people = People(
        survey.male[index], survey.age[index], survey.body_weight[index], survey.height[index]
    )
    fat = r.fat_fraction(people.male, people.age, people.body_mass_index)
    fat = 1 / (1 + (1 - fat) / fat * np.exp(-FAT_SD_LOGIT * truncated_normal(rng, -CUT, CUT, n)))
    mass = close_masses(expected_masses(people) * mass_factors(rng, people.male), people, fat)
    output = expected_cardiac_output(people)
    flow = close_flows(people, output, flow_factors(rng, n))
    surface = people.surface
    z = (
        truncated_normal(rng, chosen.z_low[position], chosen.z_high[position], n)
        if scatter
        else np.zeros(n)
    )
    gfr = chosen.estimated_gfr[position] * np.exp(GFR_SD_LN * z) * surface / 1.73 * 0.06
    hematocrit = survey.hematocrit[index]
    hard = (
        (mass > 0).all(axis=1)
        & (flow > 0).all(axis=1)
        & (gfr <= flow[:, INDEX["kidney"]] * (1 - hematocrit))
    )
    return {
        "mass": mass,
        "blood_flow": flow,
        "sex": np.where(people.male, "male", "female"),
        "age": people.age,
        "body_weight": people.weight,
        "height": people.height,
        "hematocrit": hematocrit,
        "gfr": gfr,
        "cardiac_output": output,
        "serum_creatinine": survey.serum_creatinine[index],
        "body_surface_area": surface,
        "body_mass_index": people.body_mass_index,
        "hepatocellularity": r.hepatocellularity(people.age)
        * log_normal_factor(rng, HEPATOCELLULARITY_SD_LN, n),
        "microsomal_protein": r.microsomal_protein(people.age)
        * log_normal_factor(rng, MICROSOMAL_PROTEIN_SD_LN, n),
        "ethnicity": survey.ethnicity[index],
        "person": survey.person[index],
        "hard": hard,
        "good": hard & _soft(people, mass),
    }


def complete(persons: np.ndarray, seed: int) -> xr.Dataset:
    """The survey people of these numbers with organs by regression and variability: what :func:`sample_population` does with
    the people it draws, for people who are given.

    Parameters
    ----------
    persons : (n,) NHANES sequence numbers of adults; one may be given several times and gets other organs each time
    seed : of the organs

    Returns
    -------
    physiology Dataset with ``nhanes_person`` and ``survey_weight``, subjects in the order given; people whose body no draw
    of organs fits are left
    out and counted in the attribute ``left_out``

    Raises
    ------
    InputError : somebody who is not an adult of the survey
    """
    chosen = select({}, weighted=True, women=None, scatter=True)
    known = chosen.survey.person[chosen.index]
    order = np.argsort(known)
    at = order[np.minimum(np.searchsorted(known, persons, sorter=order), known.size - 1)]
    if (known[at] != persons).any():
        raise InputError(
            "persons",
            int(persons[known[at] != persons][0]),
            "an adult of the survey with all measurements",
        )
    rng = np.random.default_rng(seed)
    result: dict[str, np.ndarray] = {}
    pending = np.arange(at.size)
    for turn in range(PERSON_ROUNDS):
        trial = _draw_organs(rng, chosen, at[pending], True)
        hard, good = trial.pop("hard"), trial.pop("good")
        accept = good | (hard & (turn >= SOFT_ROUNDS))
        for name, values in trial.items():
            result.setdefault(name, np.empty((at.size, *values.shape[1:]), values.dtype))[
                pending[accept]
            ] = values[accept]
        pending = pending[~accept]
        if not pending.size:
            break
    kept = np.setdiff1d(np.arange(at.size), pending)
    result = {name: values[kept] for name, values in result.items()}
    mass, flow = result.pop("mass"), result.pop("blood_flow")
    result["nhanes_person"] = (result.pop("person"), "1", "NHANES sequence number of the person")
    weight = chosen.survey.weight[chosen.index][at[kept]]
    result["survey_weight"] = (
        weight,
        "1",
        "people of the US population that the person stands for",
    )
    facts = {
        "method": "people of NHANES 2013-2018, organs by regression and variability",
        "seed": seed,
        "left_out": int(pending.size),
        "sources": "NHANES 2013-2018 (CDC/NCHS) via httk",
    }
    return build(mass, flow, "human", result, facts)


def _soft(people: People, mass: np.ndarray) -> np.ndarray:
    """Soft rules that the organ draw decides (S4, S5 and S8 for muscle)."""
    adipose, muscle = mass[:, INDEX["adipose"]], mass[:, INDEX["muscle"]]
    fraction = adipose / people.weight
    lean = r.fat_free_mass(people.male, people.weight, people.body_mass_index)
    scale = r.height_scale(people.height, by_sex(people.male, lambda ref: ref.height))
    expected = by_sex(people.male, lambda ref: ref.mass[INDEX["muscle"]]) * scale
    spread = np.exp(CUT * sd_ln(0.27))  # McNally et al. 2014: muscle CV 27 %
    liver = mass[:, INDEX["liver"]] / people.weight
    return (
        (fraction >= 0.03)
        & (fraction <= 0.65)
        & (np.abs((people.weight - adipose) / lean - 1) <= 0.25)
        & (muscle >= expected / spread)
        & (muscle <= expected * spread)
        & (liver >= 0.008)
        & (liver <= 0.06)
        & (mass[:, INDEX["heart"]] >= 0.12)
        & (mass[:, INDEX["skin"]] <= 12)
        & (mass[:, INDEX["stomach"]] >= 0.03)
        & (mass[:, INDEX["brain"]] >= 1.0)
        & (mass[:, INDEX["brain"]] <= 1.9)
    )
