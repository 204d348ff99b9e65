"""Random adults: people of NHANES with organs by regression and variability.

Sex, age, weight, height, hematocrit, creatinine and ethnicity are those of a real
person of NHANES 2013-2018, drawn with the survey weights, so their joint distribution
is that of the US population; nothing is resmoothed, and a person's weight and height
stay exactly as measured. Organs follow the recipe of :mod:`.body` with the variability
of :mod:`.variability`. GFR is CKD-EPI 2021 from the creatinine, with its scatter of 21
%, taken off the 1.73 m^2 by the person's own surface.

A draw of organs that breaks a rule (muscle left over outside a plausible range,
filtration above renal plasma flow, ...) is drawn again for the same person. A person
for whom no draw satisfies the soft rules keeps the last that satisfies the hard ones;
one for whom none does is replaced. How often each happened is in the attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..._core.errors import InputError
from ..dataset import build
from ..species import reference
from . import regressions as r
from .body import (
    INDEX,
    People,
    by_sex,
    close_flows,
    close_masses,
    expected_cardiac_output,
    expected_masses,
)
from .fixed_organs import FixedOrgan, put_in
from .redraws import (
    PERSON_ROUNDS,
    SOFT_ROUNDS,
    count_attributes,
    draw_until_fit,
    hard_rules_hold,
    joined,
)
from .selection import Selection, female_fraction, select
from .variability import (
    CUT,
    GFR_SD_LN,
    HEPATOCELLULARITY_SD_LN,
    MICROSOMAL_PROTEIN_SD_LN,
    flow_factors,
    log_normal_factor,
    mass_factors,
    output_factor,
    scatter_fat,
    sd_ln,
    truncated_normal,
)


def sample_adults(
    n: int,
    rng: np.random.Generator,
    seed: Any,
    filters: dict[str, Any],
    sex: Any,
    *,
    weighted: bool,
    scatter: bool,
) -> xr.Dataset:
    """What ``sample_population`` does from 18 years on.

    Parameters
    ----------
    n
        Number of people.
    rng
        Draws them; the order of the draws is part of what a seed means.
    seed : int or None
        For the attributes.
    filters, sex
        As of ``sample_population``.
    weighted : bool
        Draw with the survey weights.
    scatter : bool
        Let GFR scatter around its estimate.

    Raises
    ------
    InputError
        A filter that nobody of the survey passes.
    """
    women = female_fraction(sex)
    selection = select(filters, weighted=weighted, women=women, scatter=scatter)
    strata = [(n, None)]  # how many, and whether male
    if women is not None and 0 < women < 1:
        females = round(n * women)
        strata = [(females, False), (n - females, True)]
    blocks, counts = [], np.zeros(4)
    for size, male in strata:
        if size:
            block, count = _draw_people(rng, selection, size, male, scatter)
            blocks.append(block)
            counts += count
    columns = joined(blocks, n, rng, mix=len(strata) > 1)
    mass, flow = columns.pop("mass"), columns.pop("blood_flow")
    requested = {**filters, "sex": sex}
    attrs = {
        "method": "people of NHANES 2013-2018 with organs by regression and variability",
        "seed": seed,
        "weighted": weighted,
        "filters": "; ".join(f"{k}={v!r}" for k, v in requested.items() if v is not None) or "none",
        **count_attributes(counts),
        "sources": "NHANES 2013-2018 (CDC/NCHS) via httk; ICRP 89; McNally et al. 2014; "
        "Gallagher et al. 2000; Bosgra et al. 2012; Baxter-Jones et al. 2011; "
        "Looker et al. 2009; CKD-EPI 2021; Barter et al. 2007, 2008; Wilson et al. 2003",
        "notes": "\n".join(reference("human", "male").notes),
    }
    return build(mass, flow, "human", columns, attrs)


def _draw_people(
    rng: np.random.Generator, selection: Selection, n: int, male: bool | None, scatter: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """n people of a stratum with organs; and the counts of :func:`.redraws.draw_until_fit`."""
    return draw_until_fit(
        n,
        lambda size: selection.draw(rng, size, male),
        lambda position: _draw_organs(rng, selection, position, scatter),
        "people could not be given organs that fit their weight and height in {} draws; the "
        "filters leave only people outside the range of the regressions: widen body_weight, "
        "height or bmi",
    )


def _draw_organs(
    rng: np.random.Generator, selection: Selection, position: np.ndarray, scatter: bool
) -> dict[str, np.ndarray]:
    """One draw of organs for people of the selection, by position (m,); name -> (m, ...).

    ``hard`` and ``good`` (m,) say whether it satisfies the hard rules, and all rules.
    """
    survey, index, n = selection.survey, selection.index[position], position.size

    def filtration(surface: np.ndarray) -> np.ndarray:
        low, high = selection.z_low[position], selection.z_high[position]
        z = truncated_normal(rng, low, high, n) if scatter else np.zeros(n)
        return selection.estimated_gfr[position] * np.exp(GFR_SD_LN * z) * surface / 1.73 * 0.06

    measured = {
        "male": survey.male[index],
        "age": survey.age[index],
        "body_weight": survey.body_weight[index],
        "height": survey.height[index],
        "hematocrit": survey.hematocrit[index],
        "serum_creatinine": survey.serum_creatinine[index],
        "ethnicity": survey.ethnicity[index],
        "person": survey.person[index],
    }
    return _with_organs(rng, measured, filtration)


def _with_organs(
    rng: np.random.Generator,
    measured: Mapping[str, np.ndarray],
    filtration: Callable[[np.ndarray], np.ndarray],
    fixed: tuple[FixedOrgan, ...] = (),
) -> dict[str, np.ndarray]:
    """People who are measured, with one draw of organs; see :func:`_draw_organs`.

    `filtration`: body surface (m,) -> GFR [L/h]. `fixed`: organs that are known. The order in
    which the parts draw from `rng` is part of what a seed means.
    """
    male, n = measured["male"], measured["age"].size
    people = People(male, measured["age"], measured["body_weight"], measured["height"])
    fat = r.fat_fraction(people.male, people.age, people.body_mass_index)
    fat = scatter_fat(rng, fat)
    expected = expected_masses(people)
    mass = put_in(expected * mass_factors(rng, people.male), expected, fixed)
    mass = close_masses(mass, people, fat)
    output = expected_cardiac_output(people) * output_factor(rng, n)
    flow = close_flows(people, output, flow_factors(rng, n))
    surface = people.surface
    gfr = filtration(surface)
    hard = hard_rules_hold(mass, flow, gfr, measured["hematocrit"])
    return {
        "mass": mass,
        "blood_flow": flow,
        "sex": np.where(people.male, "male", "female"),
        "age": people.age,
        "body_weight": people.weight,
        "height": people.height,
        "hematocrit": measured["hematocrit"],
        "gfr": gfr,
        "cardiac_output": output,
        "serum_creatinine": measured["serum_creatinine"],
        "body_surface_area": surface,
        "body_mass_index": people.body_mass_index,
        "hepatocellularity": r.hepatocellularity(people.age)
        * log_normal_factor(rng, HEPATOCELLULARITY_SD_LN, n),
        "microsomal_protein": r.microsomal_protein(people.age)
        * log_normal_factor(rng, MICROSOMAL_PROTEIN_SD_LN, n),
        "ethnicity": measured["ethnicity"],
        "person": measured["person"],
        "hard": hard,
        "good": hard & _soft(people, mass),
    }


def complete_columns(
    rng: np.random.Generator,
    measured: Mapping[str, np.ndarray],
    fixed: tuple[FixedOrgan, ...] = (),
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """People of whom everything but the organs is known, with organs.

    Parameters
    ----------
    rng : Generator
        Of the organs.
    measured : mapping
        (n,) ``male``, ``age`` [year], ``body_weight`` [kg], ``height`` [cm], ``hematocrit``,
        ``serum_creatinine`` [mg/dL], ``gfr`` [L/h], ``ethnicity`` and ``person``.
    fixed : tuple of FixedOrgan
        Organs whose mass is known.

    Returns
    -------
    columns : dict
        Name -> (n, ...), as :func:`_draw_organs`.
    missing : ndarray
        Numbers of those whom no draw of organs fits.
    """

    def organs(rows: np.ndarray) -> dict[str, np.ndarray]:
        some = {name: values[rows] for name, values in measured.items()}
        return _with_organs(rng, some, lambda surface: some["gfr"], fixed)

    return _organs_of_each(organs, measured["age"].size)


def complete(persons: np.ndarray, seed: int) -> xr.Dataset:
    """Survey people with organs by regression and variability.

    What :func:`sample_adults` does with the people it draws, for people who are given.

    Parameters
    ----------
    persons : (n,) int
        NHANES sequence numbers of adults; one may be given several times and gets other
        organs each time.
    seed : int
        Of the organs.

    Returns
    -------
    Dataset
        Physiology with ``nhanes_person`` and ``survey_weight``, subjects in the order given. People
        whose body no draw of organs fits are left out and counted in the attribute ``left_out``.

    Raises
    ------
    InputError
        Somebody who is not an adult of the survey.
    """
    selection = select({}, weighted=True, women=None, scatter=True)
    position = _positions(selection, persons)
    rng = np.random.default_rng(seed)
    columns, missing = _organs_of_each(
        lambda rows: _draw_organs(rng, selection, position[rows], True), position.size
    )
    kept = np.setdiff1d(np.arange(position.size), missing)
    columns = {name: values[kept] for name, values in columns.items()}
    mass, flow = columns.pop("mass"), columns.pop("blood_flow")
    columns["nhanes_person"] = (columns.pop("person"), "1", "NHANES sequence number of the person")
    columns["survey_weight"] = (
        selection.survey.weight[selection.index][position[kept]],
        "1",
        "people of the US population that the person stands for",
    )
    attrs = {
        "method": "people of NHANES 2013-2018, organs by regression and variability",
        "seed": seed,
        "left_out": int(missing.size),
        "sources": "NHANES 2013-2018 (CDC/NCHS) via httk",
    }
    return build(mass, flow, "human", columns, attrs)


def _positions(selection: Selection, persons: np.ndarray) -> np.ndarray:
    """(n,) where in the selection these people are.

    Raises
    ------
    InputError
        Somebody who is not in it.
    """
    known = selection.survey.person[selection.index]
    order = np.argsort(known)
    found = np.searchsorted(known, persons, sorter=order)
    position = order[np.minimum(found, known.size - 1)]
    strangers = persons[known[position] != persons]
    if strangers.size:
        raise InputError(
            "persons", int(strangers[0]), "an adult of the survey with all measurements"
        )
    return position


def _organs_of_each(
    organs: Callable[[np.ndarray], dict[str, np.ndarray]], n: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Organs of n people who are not replaced: name -> (n, ...), and those (k,) without a fit.

    `organs`: numbers of people (m,) -> one draw for them.
    """
    result: dict[str, np.ndarray] = {}
    pending = np.arange(n)
    for turn in range(PERSON_ROUNDS):
        trial = organs(pending)
        hard, good = trial.pop("hard"), trial.pop("good")
        accept = good | (hard & (turn >= SOFT_ROUNDS))
        for name, values in trial.items():
            if name not in result:
                result[name] = np.empty((n, *values.shape[1:]), values.dtype)
            result[name][pending[accept]] = values[accept]
        pending = pending[~accept]
        if not pending.size:
            break
    return result, pending


def _soft(people: People, mass: np.ndarray) -> np.ndarray:
    """Soft rules that the organ draw decides (S4, S5 and S8 for muscle)."""
    adipose, muscle = mass[:, INDEX["adipose"]], mass[:, INDEX["muscle"]]
    fraction = adipose / people.weight
    lean = r.fat_free_mass(people.male, people.weight, people.body_mass_index)
    scale = r.height_scale(people.height, by_sex(people.male, lambda ref: ref.height))
    expected = by_sex(people.male, lambda ref: ref.mass[INDEX["muscle"]]) * scale
    muscle_range = np.exp(CUT * sd_ln(0.27))  # McNally et al. 2014: muscle CV 27 %
    liver = mass[:, INDEX["liver"]] / people.weight
    return (
        (fraction >= 0.03)
        & (fraction <= 0.65)
        & (np.abs((people.weight - adipose) / lean - 1) <= 0.25)
        & (muscle >= expected / muscle_range)
        & (muscle <= expected * muscle_range)
        & (liver >= 0.008)
        & (liver <= 0.06)
        & (mass[:, INDEX["heart"]] >= 0.12)
        & (mass[:, INDEX["skin"]] <= 12)
        & (mass[:, INDEX["stomach"]] >= 0.03)
        & (mass[:, INDEX["brain"]] >= 1.0)
        & (mass[:, INDEX["brain"]] <= 1.9)
    )
