"""Between people and the coordinates in which they are diffused: normal scores.

Age becomes the normal score of its survey-weighted distribution in the person's sex; weight,
height, hematocrit and creatinine become their normal scores given sex and age
(:mod:`pbpk_hybrid.physiology.growth`). Every coordinate is standard normal at every age, so that
the network learns what goes together and not how children grow.

What is not measured at an age (hematocrit below 1 year, creatinine below 12) is independent noise
in training. Decoded, hematocrit of infants is that about the reference child's, and creatinine of
children stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ...physiology.adults.survey import ETHNICITIES
from ...physiology.growth import MEASURED_FROM, OLDEST_AGE, Growth

MEASURED = ("age", "body_weight", "height", "hematocrit", "serum_creatinine")
#: resolution of the survey: what was measured is known to half of it
RESOLUTION = {
    "age": 1 / 12,
    "body_weight": 0.1,
    "height": 0.1,
    "hematocrit": 0.001,
    "serum_creatinine": 0.01,
}
#: steps to the survey's unit (age in years of months, hematocrit in tenths of a percent),
#: and how many of these make ours
STEPS = {
    "age": (12, 1),
    "body_weight": (10, 1),
    "height": (10, 1),
    "hematocrit": (10, 100),
    "serum_creatinine": (100, 1),
}
UNITS = {
    "age": "year",
    "body_weight": "kg",
    "height": "cm",
    "hematocrit": "1",
    "serum_creatinine": "mg/dL",
    "bmi": "kg/m^2",
    "egfr": "mL/min/1.73 m^2",
    "gfr": "L/h",
}
AGE_KNOTS = 513  # of the table of ages
_REACH = 4.0  # z at which it ends
_LEAST_AGE = 1e-3  # year


@dataclass(frozen=True)
class Measured:
    """What is measured of people.

    Parameters
    ----------
    male : ndarray
        (person,) bool.
    ethnicity : ndarray
        (person,) number in ``ETHNICITIES``.
    values : mapping
        Quantity of :data:`MEASURED` -> (person,); NaN where it is not known.
    weight : ndarray
        (person,) how many people each stands for.
    """

    male: np.ndarray
    ethnicity: np.ndarray
    values: Mapping[str, np.ndarray]
    weight: np.ndarray

    @classmethod
    def of(cls, people: xr.Dataset, weight: np.ndarray) -> Measured:
        """The people of a physiology Dataset."""
        return cls(
            people["sex"].values == "male",
            ethnicity_codes(people["ethnicity"].values),
            {name: np.asarray(people[name].values, float) for name in MEASURED},
            np.asarray(weight, float),
        )

    def __len__(self) -> int:
        return int(self.male.size)

    def spread(self, rng: np.random.Generator) -> Measured:
        """The same people, each value anywhere within its rounding."""
        values = {
            name: column + RESOLUTION[name] * (rng.random(column.size) - 0.5)
            for name, column in self.values.items()
        }
        values["age"] = np.maximum(values["age"], _LEAST_AGE)
        return Measured(self.male, self.ethnicity, values, self.weight)


class Coordinates:
    """The transformation, fitted to people; its tables go into the checkpoint.

    Parameters
    ----------
    ages : ndarray
        (sex, knot) age at normal scores from -4 to 4; sex 0 is female, 1 male.
    growth : Growth
        What is usual at an age.
    """

    def __init__(self, ages: np.ndarray, growth: Growth) -> None:
        self.ages, self.growth = ages, growth
        self._z = np.linspace(-_REACH, _REACH, AGE_KNOTS)

    @classmethod
    def fit(cls, people: Measured, seed: int, *, oldest: bool) -> Coordinates:
        """Tables of people; `seed` spreads what was rounded over its resolution.

        `oldest`: the people are of the survey, of whom more is known beyond 80 years.
        """
        from scipy.special import ndtr

        spread = people.spread(np.random.default_rng(seed))
        growth = Growth.fit(
            spread.male,
            np.minimum(spread.values["age"], OLDEST_AGE),
            {name: spread.values[name] for name in MEASURED[1:]},
            spread.weight,
            oldest=oldest,
        )
        probability = ndtr(np.linspace(-_REACH, _REACH, AGE_KNOTS))
        ages = np.empty((2, AGE_KNOTS))
        for sex in (0, 1):
            rows = spread.male == bool(sex)
            if not rows.any():
                rows = np.ones(rows.size, bool)
            order = np.argsort(spread.values["age"][rows])
            age, weight = spread.values["age"][rows][order], spread.weight[rows][order]
            middle = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
            # ages end at those of the people, give or take half a month
            ends = max(age[0] - 1 / 24, _LEAST_AGE), age[-1] + 1 / 24
            ages[sex] = np.interp(probability, np.r_[0.0, middle, 1.0], [ends[0], *age, ends[1]])
            ages[sex] += 1e-9 * np.arange(AGE_KNOTS)  # strictly rising
        return cls(ages, growth)

    def encode(self, people: Measured) -> np.ndarray:
        """(person, len(MEASURED)) scores; NaN where something is not known."""
        male, age = people.male, np.maximum(people.values["age"], 0.0)
        out = np.empty((len(people), len(MEASURED)))
        both = [np.interp(age, self.ages[sex], self._z) for sex in (0, 1)]
        out[:, 0] = np.where(male, both[1], both[0])
        for k, name in enumerate(MEASURED[1:], start=1):
            out[:, k] = self.growth.score(name, male, age, people.values[name])
            out[age < MEASURED_FROM[name], k] = np.nan
        return out

    def decode(self, x: np.ndarray, male: np.ndarray, *, rounded: bool) -> dict[str, np.ndarray]:
        """Name -> (person,) measured quantities of scores (person, len(MEASURED)).

        `rounded`: at the precision of the survey.
        """
        x = np.asarray(x, float)
        both = [np.interp(x[:, 0], self._z, self.ages[sex]) for sex in (0, 1)]
        values = {"age": _rounded("age", np.where(male, both[1], both[0]), rounded)}
        for k, name in enumerate(MEASURED[1:], start=1):
            value = self.growth.value(name, male, values["age"], x[:, k])
            values[name] = _rounded(name, value, rounded)
        values["serum_creatinine"] = np.where(
            values["age"] < MEASURED_FROM["serum_creatinine"], np.nan, values["serum_creatinine"]
        )
        return values


def _rounded(name: str, value: np.ndarray, rounded: bool) -> np.ndarray:
    if not rounded:
        return value
    # divided, not multiplied by the step: the very floating-point numbers that the survey's
    # decimals are
    steps, percent = STEPS[name]
    return np.round(value * steps * percent) / steps / percent


def ethnicity_codes(values: np.ndarray) -> np.ndarray:
    """Positions in ``ETHNICITIES``; -1 for another name."""
    table = {name: i for i, name in enumerate(ETHNICITIES)}
    return np.array([table.get(str(v), -1) for v in values])


__all__ = [
    "MEASURED",
    "RESOLUTION",
    "STEPS",
    "UNITS",
    "Coordinates",
    "Measured",
    "ethnicity_codes",
]
