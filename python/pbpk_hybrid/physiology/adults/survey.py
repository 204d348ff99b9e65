"""The people of NHANES 2013-2018 from whom human populations are drawn.

The US National Health and Nutrition Examination Survey (CDC/NCHS, public domain), as
prepared by httk: sex, ethnicity, age in months, weight, height, serum creatinine,
hematocrit and the six-year examination weight. Adults of 18 to 79 years with all
measurements: 12,713 people in the shipped file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np

from ..growth import QUANTITIES, Growth
from ..tables.files import content

ETHNICITIES = (
    "Mexican American",
    "Non-Hispanic Black",
    "Non-Hispanic White",
    "Other",
    "Other Hispanic",
)
ADULT_AGE = 18.0  # year
ELDERLY = 70.0  # year: whose likes are taken for people ten years older


@dataclass(frozen=True)
class Survey:
    """Columns of the survey, one entry per adult with all measurements."""

    person: np.ndarray  # NHANES sequence number
    male: np.ndarray  # bool
    age: np.ndarray  # year, from months
    body_weight: np.ndarray  # kg
    height: np.ndarray  # cm
    serum_creatinine: np.ndarray  # mg/dL
    hematocrit: np.ndarray  # fraction
    ethnicity: np.ndarray  # text
    weight: np.ndarray  # people of the US population this person stands for

    @property
    def body_mass_index(self) -> np.ndarray:
        """Body mass index [kg/m^2], (person,)."""
        return self.body_weight / (self.height / 100) ** 2


def draw_weighted(rng: np.random.Generator, weight: np.ndarray, n: int) -> np.ndarray:
    """(n,) positions in `weight`, with replacement, each with a probability in proportion."""
    cumulative = np.cumsum(weight)
    position = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    # a product may round up to the total
    return np.minimum(position, np.flatnonzero(weight)[-1])


@lru_cache(maxsize=1)
def adults() -> Survey:
    """All adults with weight, height, creatinine and hematocrit measured."""
    survey = _everybody()
    keep = survey.age >= ADULT_AGE
    for values in (survey.serum_creatinine, survey.hematocrit, survey.body_weight, survey.height):
        keep &= np.isfinite(values) & (values > 0)
    return taken(survey, keep)


@lru_cache(maxsize=1)
def children() -> Survey:
    """All people below 18 with weight and height; hematocrit is NaN below 1 year,
    creatinine below 12, and where missing.
    """
    survey = _everybody()
    keep = survey.age < ADULT_AGE
    for values in (survey.body_weight, survey.height):
        keep &= np.isfinite(values) & (values > 0)
    return taken(survey, keep)


def everybody() -> Survey:
    """Children, adults and the oldest: everybody of 0 to 89 years."""
    return joined(children(), adults(), oldest())


@lru_cache(maxsize=1)
def oldest() -> Survey:
    """People of 80 to 89 years, of whom the survey has none.

    Each person of 70 to 79 stands for one ten years older as well: as far from what is usual at
    80 to 89 (:mod:`..growth`) as they are from what is usual at their age. How many they are goes
    on with age as it does from 70 to 79.
    """
    people = adults()
    elderly = taken(people, people.age >= ELDERLY)
    return ten_years_on(elderly)


def ten_years_on(people: Survey) -> Survey:
    """People of 70 to 79 years as people of 80 to 89, see :func:`oldest`."""
    age = people.age + 10.0
    growth = growth_of_survey()
    moved = {}
    for name in QUANTITIES:
        now = growth.score(name, people.male, people.age, getattr(people, name))
        moved[name] = growth.value(name, people.male, age, now)
    moved["body_weight"] = np.round(moved["body_weight"], 1)
    moved["height"] = np.round(moved["height"], 1)
    moved["hematocrit"] = np.round(moved["hematocrit"] * 1000) / 10 / 100
    moved["serum_creatinine"] = np.round(moved["serum_creatinine"], 2)
    weight = people.weight.copy()
    for male in (True, False):
        rows = people.male == male
        older = people.age[rows] >= ELDERLY + 5.0
        weight[rows] *= (weight[rows][older].sum() / weight[rows][~older].sum()) ** 2
    return replace(people, age=age, weight=weight, **moved)


@lru_cache(maxsize=1)
def growth_of_survey() -> Growth:
    """What is usual at an age, of all children and adults of the survey."""
    people = joined(children(), adults())
    values = {name: getattr(people, name) for name in QUANTITIES}
    return Growth.fit(people.male, people.age, values, people.weight, oldest=True)


def joined(*parts: Survey) -> Survey:
    """One after the other."""
    names = [field.name for field in fields(Survey)]
    return Survey(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def said_of_the_oldest(age: np.ndarray) -> dict[str, str]:
    """The attribute ``over_79`` of people of these ages; none where there is nobody of 80 years."""
    count = int(np.count_nonzero(np.asarray(age) >= ELDERLY + 10.0))
    text = f"{count} of {np.size(age)}, by survey people ten years younger, moved on"
    return {"over_79": text} if count else {}


def taken(people: Survey, rows: np.ndarray) -> Survey:
    """Some people, by number or mask."""
    return Survey(*(getattr(people, field.name)[rows] for field in fields(Survey)))


def _everybody() -> Survey:
    """The whole table; what was not measured is NaN."""
    import io

    import pandas as pd

    # pandas reads it in a tenth of the time of a row at a time; as text, since its own numbers are
    # not in every version the nearest floats that Python's are
    table = pd.read_csv(
        io.BytesIO(content("nhanes")), dtype=str, na_values=["NA", ""], keep_default_na=False
    )

    def column(name: str) -> np.ndarray:
        return np.array([float(x) for x in table[name]])

    return Survey(
        person=column("seqn").astype(np.int64),
        male=table["riagendr"].to_numpy(dtype=str) == "Male",
        age=column("ridexagm") / 12,
        body_weight=column("bmxwt"),
        height=column("bmxhtlenavg"),
        serum_creatinine=column("lbxscr"),
        hematocrit=column("lbxhct") / 100,
        ethnicity=table["ridreth1"].to_numpy(dtype=str),
        weight=column("wtmec6yr"),
    )
