"""Random people of the survey, of any age, with organs by one model of bodies.

Sex, age, weight, height, hematocrit, creatinine and ethnicity are those of a real
person of NHANES 2013-2018, drawn with the survey weights, so their joint distribution
is that of the US population; nothing is resmoothed, and a person's weight and height
stay exactly as measured. From 80 years on, where the survey ends, people are those ten years
younger, moved on (:func:`.survey.oldest`). Organs follow :mod:`..bodies` with the variability
of :mod:`.variability`. GFR of adults is CKD-EPI 2021 from the creatinine, with its scatter of 21
%, taken off the 1.73 m^2 by the person's own surface; of children, by weight and age. Children,
and adults drawn together with children, have the activity of their enzymes by age.

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
from ..bodies import draw_bodies, estimated_gfr
from ..conditions.enzymes import with_enzymes
from ..dataset import build
from ..species import reference
from .body import People
from .fixed_organs import FixedOrgan
from .redraws import (
    PERSON_ROUNDS,
    SOFT_ROUNDS,
    count_attributes,
    draw_until_fit,
    joined,
)
from .selection import Selection, female_fraction, select
from .survey import ADULT_AGE, Survey, adults, said_of_the_oldest, taken
from .variability import CUT, GFR_SD_LN, truncated_normal

SOURCES = (
    "NHANES 2013-2018 (CDC/NCHS) via httk; ICRP 89; McNally et al. 2014; Gallagher et al. 2000; "
    "Bosgra et al. 2012; Baxter-Jones et al. 2011; Looker et al. 2009; CKD-EPI 2021; Barter et al. "
    "2007, 2008; Wilson et al. 2003"
)
SOURCES_OF_CHILDREN = (
    "; ICRP 89 via compphysiol; Rhodin et al. 2009; Deurenberg et al. 1991; Haycock et al. 1978"
)


def sample_people(
    n: int,
    rng: np.random.Generator,
    seed: Any,
    filters: dict[str, Any],
    sex: Any,
    *,
    weighted: bool,
    scatter: bool,
) -> xr.Dataset:
    """What ``sample_population`` does for people.

    Parameters
    ----------
    n
        Number of people.
    rng
        Draws them; the order of the draws is part of what a seed means.
    seed : int or None
        For the attributes.
    filters, sex
        As of ``sample_population``; without an age adults of 18 to 79 years.
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
    young = bool((columns["age"] < ADULT_AGE).any())
    attrs = {
        "method": "people of NHANES 2013-2018 with organs by regression and variability",
        "seed": seed,
        "weighted": weighted,
        "filters": "; ".join(f"{k}={v!r}" for k, v in requested.items() if v is not None) or "none",
        **count_attributes(counts),
        "sources": SOURCES + (SOURCES_OF_CHILDREN if young else ""),
        "notes": "\n".join(reference("human", "male").notes),
    }
    people = build(mass, flow, "human", columns, attrs | said_of_the_oldest(columns["age"]))
    return with_enzymes(people) if young else people


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

    def filtration(people: People) -> np.ndarray:
        low, high = selection.z_low[position], selection.z_high[position]
        z = truncated_normal(rng, low, high, n) if scatter else np.zeros(n)
        return selection.estimated_gfr[position] * np.exp(GFR_SD_LN * z)

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
    return draw_bodies(rng, measured, filtration)


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
        Name -> (n, ...), as :func:`..bodies.draw_bodies`.
    missing : ndarray
        Numbers of those whom no draw of organs fits.
    """

    def organs(rows: np.ndarray) -> dict[str, np.ndarray]:
        some = {name: values[rows] for name, values in measured.items()}
        return draw_bodies(rng, some, lambda people: some["gfr"], fixed)

    return _organs_of_each(organs, measured["age"].size)


def complete(persons: np.ndarray, seed: int) -> xr.Dataset:
    """Survey people with organs by regression and variability.

    What :func:`sample_people` does with the people it draws, for adults who are given.

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
    people = adults()
    return complete_people(taken(people, _positions(people, persons)), seed)


def complete_people(people: Survey, seed: int) -> xr.Dataset:
    """People of any age with organs; see :func:`complete`."""
    rng = np.random.default_rng(seed)
    names = ("male", "age", "body_weight", "height", "hematocrit", "serum_creatinine")
    measured = {name: getattr(people, name) for name in (*names, "ethnicity", "person")}
    estimate = estimated_gfr(people)

    def organs(rows: np.ndarray) -> dict[str, np.ndarray]:
        some = {name: values[rows] for name, values in measured.items()}
        z = truncated_normal(rng, -CUT, CUT, rows.size)
        return draw_bodies(rng, some, lambda _: estimate[rows] * np.exp(GFR_SD_LN * z))

    columns, missing = _organs_of_each(organs, people.age.size)
    kept = np.setdiff1d(np.arange(people.age.size), missing)
    columns = {name: values[kept] for name, values in columns.items()}
    mass, flow = columns.pop("mass"), columns.pop("blood_flow")
    columns["nhanes_person"] = (columns.pop("person"), "1", "NHANES sequence number of the person")
    columns["survey_weight"] = (
        people.weight[kept],
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


def _positions(people: Survey, persons: np.ndarray) -> np.ndarray:
    """(n,) where among some people these are.

    Raises
    ------
    InputError
        Somebody who is not among them.
    """
    known = people.person
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
