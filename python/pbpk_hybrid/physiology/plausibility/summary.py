"""Three numbers that describe a population: hard rules, soft rules, and soft rules in
real people.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import xarray as xr

from ..adults.training_people import training_people
from .check import check_plausibility


def summary(population: xr.Dataset) -> dict[str, float]:
    """The three numbers of a population, as fractions of its people.

    Returns
    -------
    dict
        ``hard`` and ``soft``: subjects who break at least one rule of the kind.
        ``soft_of_real_people``: held-out adults of NHANES who break a soft rule, by survey
        weight; a population that scores far below has cut off real tails.

    Raises
    ------
    SchemaError
        Not a physiology Dataset.
    """
    result = check_plausibility(population)
    return {
        "hard": result.attrs["hard_violation_rate"],
        "soft": result.attrs["soft_violation_rate"],
        "soft_of_real_people": soft_rate_of_real_people(),
    }


@cache
def soft_rate_of_real_people() -> float:
    """Share of the held-out adults of NHANES, by survey weight, who break a soft rule."""
    people = training_people("test")
    violated = check_plausibility(people)
    soft = violated["violated"].values[violated["kind"].values == "soft"].any(axis=0)
    return float(np.average(soft, weights=people["survey_weight"].values))
