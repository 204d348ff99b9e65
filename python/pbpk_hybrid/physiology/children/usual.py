"""What is usual in children: organ masses of the ICRP reference children, and the range of
the children of NHANES.

ICRP Publication 89 gives reference bodies at birth, 1, 5, 10 and 15 years (the last by
sex); between them the logarithms of mass and height are interpolated in age, and adult
values are reached at 18. The survey has 7,353 people below 18 with weight and height, 6,448
of them (from 1 year) with hematocrit and 2,104 (from 12 years) with creatinine. All numbers
are read from the package's files (compphysiol, NHANES); each was read there.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..adults.survey import ADULT_AGE, children
from ..organs import ORGANS
from ..species import ICRP_MASS, arterial_share, reference
from ..tables.files import compphysiol

_AGES = (0.0, 1.0, 5.0, 10.0, 15.0, ADULT_AGE)
_REFERENCE_CHILDREN = {
    "male": ("human0u", "human1u", "human5u", "human10u", "human15m"),
    "female": ("human0u", "human1u", "human5u", "human10u", "human15f"),
}
_TAIL = 0.001  # share of children beyond each bound
_WIDTH = 0.15  # of the smoothing, in roots of a year: growth is nearly straight in the root of age


@cache
def _growth(sex: str) -> tuple[np.ndarray, np.ndarray]:
    """Log masses (age, organ) [kg] and log heights (age,) [cm] of the reference children
    and, last, the adult.

    Rest is not a mass of its own and stays at 0.
    """
    mass, height = np.zeros((len(_AGES), len(ORGANS))), np.zeros(len(_AGES))
    for i, name in enumerate(_REFERENCE_CHILDREN[sex]):
        tissue = {part: value for part, (value, _) in compphysiol(name, "OWtis").items()}
        blood = compphysiol(name, "OWtbl")[""][0]
        whole = {organ: sum(tissue[part] for part in parts) for organ, parts in ICRP_MASS.items()}
        whole["adipose"] = tissue["adipose_tissue"] - tissue["marrow_inactive"]  # see species.py
        whole["arterial_blood"], whole["venous_blood"] = (
            arterial_share() * blood,
            (1 - arterial_share()) * blood,
        )
        mass[i] = [np.log(whole[organ] / 1000) if organ in whole else 0.0 for organ in ORGANS]
        height[i] = np.log(compphysiol(name, "BH")[""][0])
    adult = reference("human", sex)
    mass[-1] = [
        0.0 if organ == "rest" else np.log(value)
        for organ, value in zip(ORGANS, adult.mass, strict=True)
    ]
    height[-1] = np.log(adult.height)
    return mass, height


def reference_mass(male: np.ndarray, age: np.ndarray) -> np.ndarray:
    """(n, organ) [kg] organ masses of the ICRP reference child of that age; 1 for rest,
    which has none.
    """
    return np.exp(_interpolate(male, age, 0))


def reference_height(male: np.ndarray, age: np.ndarray) -> np.ndarray:
    """(n,) [cm] height of the ICRP reference child of that age."""
    return np.exp(_interpolate(male, age, 1))


def _interpolate(male: np.ndarray, age: np.ndarray, table: int) -> np.ndarray:
    """(n, ...) one of the two tables of :func:`_growth` at an age (n,) [year], by sex."""
    age = np.clip(np.asarray(age, float), _AGES[0], _AGES[-1])
    left = np.clip(np.searchsorted(_AGES, age, side="right") - 1, 0, len(_AGES) - 2)
    ages = np.array(_AGES)
    share = (age - ages[left]) / (ages[left + 1] - ages[left])
    by_sex = []
    for sex in ("female", "male"):
        values = _growth(sex)[table]  # (age,) or (age, organ)
        right = share[:, None] if values.ndim == 2 else share
        by_sex.append(values[left] * (1 - right) + values[left + 1] * right)
    is_male = np.asarray(male, bool)
    is_male = is_male[:, None] if by_sex[0].ndim == 2 else is_male
    return np.where(is_male, by_sex[1], by_sex[0])


def usual_range(name: str, male: np.ndarray, age: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a measured quantity by sex and age, beyond each of which is one in a
    thousand children of the survey.

    Mean and standard deviation of the logarithm are smoothed over age (local linear,
    Gaussian, 0.15 roots of a year); the bounds are the weighted 0.1 and 99.9 % of what is
    left when they are taken off, over all ages of a sex.

    Parameters
    ----------
    name
        "body_weight" [kg], "height" [cm], "body_mass_index" [kg/m^2], "hematocrit" or
        "serum_creatinine" [mg/dL].
    male, age : (n,)
        Age [year].

    Returns
    -------
    low, high : (n,)
        NaN at ages at which the survey did not measure it.
    """
    low, high = np.full(len(age), np.nan), np.full(len(age), np.nan)
    age = np.asarray(age, dtype=float)
    for is_male in (True, False):
        grid, bounds, youngest = _survey_bounds(name, is_male)
        rows = (np.asarray(male, bool) == is_male) & (age >= youngest) & (age < ADULT_AGE)
        low[rows], high[rows] = (
            np.exp(np.interp(np.sqrt(age[rows]), grid, bound)) for bound in bounds
        )
    return low, high


@cache
def _survey_bounds(
    name: str, male: bool
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], float]:
    """Grid over the root of age, the two log bounds on it, and the youngest age measured."""
    survey = children()
    value = survey.body_mass_index if name == "body_mass_index" else getattr(survey, name)
    rows = (survey.male == male) & np.isfinite(value) & (value > 0)
    root, logs, weight = np.sqrt(survey.age[rows]), np.log(value[rows]), survey.weight[rows]
    grid = np.linspace(root.min(), root.max(), 61)
    mean = _smooth(grid, root, logs, weight)
    residual = logs - np.interp(root, grid, mean)
    sd = np.sqrt(np.maximum(_smooth(grid, root, residual**2, weight), 1e-6))
    z = residual / np.interp(root, grid, sd)
    order = np.argsort(z)
    quantile = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    ends = np.interp((_TAIL, 1 - _TAIL), quantile, z[order])
    return grid, (mean + ends[0] * sd, mean + ends[1] * sd), float(survey.age[rows].min())


def _smooth(grid: np.ndarray, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Local linear regression of y on x with a Gaussian kernel, at the points of the grid.

    With d = x - grid, kernel k (weights included) and moments s_i = sum k d^i, the intercept
    is (sum k y s_2 - sum k d y s_1) / (s_0 s_2 - s_1^2).
    """
    d = x[None, :] - grid[:, None]  # (grid, child)
    k = weight * np.exp(-0.5 * (d / _WIDTH) ** 2)
    s0, s1, s2 = k.sum(1), (k * d).sum(1), (k * d**2).sum(1)
    return ((k * y).sum(1) * s2 - (k * d * y).sum(1) * s1) / (s0 * s2 - s1**2)
