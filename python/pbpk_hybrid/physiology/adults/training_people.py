"""Real people to learn from and to be judged by: the people of NHANES, split by person,
once and for all.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from ..._core.errors import InputError, unknown_name
from .population import complete, complete_people
from .survey import ELDERLY, Survey, adults, children, joined, taken, ten_years_on

SPLITS = ("train", "validation", "test")
AGES = ("adults", "all")
_FILE = Path(__file__).parents[1] / "data" / "own" / "nhanes_split.csv.gz"


@lru_cache(maxsize=1)
def _split() -> dict[int, str]:
    """Person -> split, from the shipped file (70 % train, 10 % validation, 20 % test,
    by a hash of the person's number).
    """
    with gzip.open(_FILE, "rt") as file:
        next(file)
        return {int(person): name for person, name in (line.strip().split(",") for line in file)}


def people_of(split: str) -> np.ndarray:
    """NHANES sequence numbers of the adults of a split, ascending.

    Raises
    ------
    UnknownNameError
        Not "train", "validation" or "test".
    """
    _check_split(split)
    table = _split()
    return np.array(sorted(int(p) for p in adults().person if table.get(int(p)) == split))


def everybody_of(split: str) -> Survey:
    """The people of a split of any age: children, adults, and those of 70 to 79 again ten years
    older (:func:`.survey.oldest`).

    Raises
    ------
    UnknownNameError
        Not "train", "validation" or "test".
    """
    _check_split(split)
    table = _split()
    people = joined(children(), adults())
    mine = taken(people, np.array([table.get(int(p)) == split for p in people.person]))
    return joined(mine, ten_years_on(taken(mine, mine.age >= ELDERLY)))


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)


def training_people(
    split: Literal["train", "validation", "test"],
    *,
    copies: int = 1,
    seed: int = 0,
    ages: Literal["adults", "all"] = "adults",
) -> xr.Dataset:
    """The people of a split with all measurements, completed with organ masses and flows.

    Sex, ethnicity, age, weight, height, hematocrit and creatinine are the person's own;
    organs, flows, GFR, hepatocytes and microsomal protein follow the engine's
    regressions with their published residual variances. Adults without one of the
    measurements are not in it.

    Parameters
    ----------
    split
        "train", "validation" or "test"; nobody is in two of them.
    copies
        How often each person is completed, each time with other residuals.
    seed
        Of the residuals.
    ages
        "adults" of 18 to 79 years, or "all" from birth to 89; of children hematocrit below 1 year
        and creatinine below 12 are not measured (NaN), and people over 79 are moved on from those
        ten years younger.

    Returns
    -------
    Dataset
        Physiology Dataset with ``survey_weight`` and ``nhanes_person``.

    Raises
    ------
    UnknownNameError
        Another split or group of ages.
    InputError
        `copies` below 1.
    """
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise InputError("copies", copies, "a whole number >= 1")
    if ages not in AGES:
        raise unknown_name("ages", ages, AGES)
    if ages == "adults":
        people = complete(np.tile(people_of(split), copies), seed)
    else:
        everybody = everybody_of(split)
        rows = np.tile(np.arange(everybody.age.size), copies)
        people = complete_people(taken(everybody, rows), seed)
    people.attrs["split"] = split
    return people


__all__ = ["everybody_of", "people_of", "training_people"]
