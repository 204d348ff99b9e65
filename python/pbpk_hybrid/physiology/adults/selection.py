"""Who may be drawn: turns the filters of :func:`sample_population` into a draw from the survey.

A filter on measured quantities (age, weight, ...) keeps the survey people inside it. A
filter on the filtration rate acts on the individual rate, which scatters around the
estimate from creatinine: a person is drawn in proportion to the survey weight times the
probability that this scatter lands inside, and the scatter is then drawn inside
(conditional sampling, not rejection).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._core.arguments import check_names
from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from ..bodies import estimated_gfr
from ..dataset import body_surface_area
from ..organs import SEXES
from .survey import ETHNICITIES, Survey, adults, draw_weighted, everybody
from .variability import CUT, GFR_SD_LN

Bounds = tuple[float, float]

UNITS = {
    "age": "year",
    "body_weight": "kg",
    "height": "cm",
    "bmi": "kg/m^2",
    "hematocrit": "1",
    "serum_creatinine": "mg/dL",
    "gfr": "L/h",
    "egfr": "mL/min/1.73 m^2",
}


@dataclass(frozen=True)
class Selection:
    """Survey people who qualify, their draw weights, and the limits of their filtration scatter."""

    survey: Survey
    index: np.ndarray  # into the survey
    weight: np.ndarray
    z_low: np.ndarray  # of the log GFR residual, in standard deviations
    z_high: np.ndarray
    estimated_gfr: np.ndarray  # L/h

    def draw(self, rng: np.random.Generator, n: int, male: bool | None = None) -> np.ndarray:
        """n positions in ``index``, with replacement, of one sex or of both."""
        weight = self.weight
        if male is not None:
            weight = np.where(self.survey.male[self.index] == male, weight, 0.0)
        return draw_weighted(rng, weight, n)


def bounds(field: str, value: Any) -> Bounds:
    """(low, high) of a filter in its unit; a single number is allowed for age (that year of life).

    Raises
    ------
    InputError
        Not a pair, not numbers, or upside down.
    """
    unit = UNITS[field]
    if field == "age" and not isinstance(value, (tuple, list, np.ndarray)):
        years = quantity(value, unit, field, minimum=0)
        return (years, np.nextafter(years + 1, years))
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise InputError(field, value, f"a pair (low, high) [{unit}]")
    low, high = (quantity(v, unit, field, minimum=0) for v in value)
    if low > high:
        raise InputError(field, value, f"low <= high [{unit}]")
    return (low, high)


def ethnicities(value: Any) -> tuple[str, ...]:
    """The survey's names of ethnicities (one name or several, any case)."""
    wanted = check_names("ethnicity", value, "one name or several: " + ", ".join(ETHNICITIES))
    known = {name.lower(): name for name in ETHNICITIES}
    for name in wanted:
        if str(name).lower() not in known:
            raise unknown_name("ethnicity", name, ETHNICITIES, what="an ethnicity of the survey")
    return tuple(known[str(name).lower()] for name in wanted)


def female_fraction(value: Any) -> float | None:
    """The fraction of women that a sex or a fraction means; None: as in the population."""
    if value is None:
        return None
    if isinstance(value, str):
        if value not in SEXES:
            raise unknown_name(
                "sex", value, SEXES, what="'male', 'female' or the fraction of women"
            )
        return 1.0 if value == "female" else 0.0
    fraction = quantity(value, "1", "sex")
    if not 0 <= fraction <= 1:
        raise InputError("sex", value, "'male', 'female' or the fraction of women, 0 to 1")
    return fraction


def select(
    filters: Mapping[str, Any], *, weighted: bool, women: float | None, scatter: bool
) -> Selection:
    """The survey people who pass all filters.

    Raises
    ------
    InputError
        A filter that nobody passes, naming it and the range available among those who
        pass the others.
    """
    survey = adults() if filters.get("age") is None else everybody()
    estimated = estimated_gfr(survey)
    surface = body_surface_area(survey.body_weight, survey.height)
    filtration = {"egfr": estimated / surface * 1.73 / 0.06, "gfr": estimated}
    measured = _measured(survey)
    passes: dict[str, np.ndarray] = {}
    reach: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    z_low, z_high = np.full(estimated.size, -CUT), np.full(estimated.size, CUT)
    sigma = GFR_SD_LN if scatter else 0.0
    for field, value in filters.items():
        if value is None:
            continue
        if field == "ethnicity":
            passes[field] = np.isin(survey.ethnicity, ethnicities(value))
            continue
        low, high = bounds(field, value)
        if field in measured:
            passes[field] = (measured[field] >= low) & (measured[field] <= high)
            reach[field] = (measured[field], measured[field])
            continue
        rate = filtration[field]
        reach[field] = (rate * np.exp(-CUT * sigma), rate * np.exp(CUT * sigma))
        if scatter:
            # two filters on the filtration rate leave the residuals that are inside of both
            with np.errstate(divide="ignore"):
                z_low = np.maximum(z_low, np.log(low / rate) / sigma)
                z_high = np.minimum(z_high, np.log(high / rate) / sigma)
            passes[field] = z_low < z_high
        else:
            passes[field] = (rate >= low) & (rate <= high)
    if women in (0.0, 1.0):
        passes["sex"] = survey.male == (women == 0.0)
    keep = _keep(passes, reach, filters)
    _check_sexes(survey.male[keep], women)
    weight = survey.weight[keep] if weighted else np.ones(int(keep.sum()))
    if scatter:
        weight = weight * _probability(z_low[keep], z_high[keep])
    return Selection(
        survey, np.flatnonzero(keep), weight, z_low[keep], z_high[keep], estimated[keep]
    )


def _measured(survey: Survey) -> dict[str, np.ndarray]:
    """Field -> (person,) what the survey measured, in the units of :data:`UNITS`."""
    return {
        "age": survey.age,
        "body_weight": survey.body_weight,
        "height": survey.height,
        "bmi": survey.body_mass_index,
        "hematocrit": survey.hematocrit,
        "serum_creatinine": survey.serum_creatinine,
    }


def _probability(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """That a standard normal residual lands in [low, high]."""
    from scipy.special import ndtr

    return ndtr(high) - ndtr(low)


def _check_sexes(male: np.ndarray, women: float | None) -> None:
    """Refuse a fraction of women that those who qualify cannot make up.

    Raises
    ------
    InputError
        Nobody of a sex that is to be drawn.
    """
    if women is None:
        return
    for sex, share in ((False, women), (True, 1 - women)):
        if share > 0 and not (male == sex).any():
            raise InputError(
                "sex",
                women,
                f"people of both sexes, but no {'man' if sex else 'woman'} qualifies",
            )


def _keep(
    passes: Mapping[str, np.ndarray],
    reach: Mapping[str, tuple[np.ndarray, np.ndarray]],
    filters: Mapping[str, Any],
) -> np.ndarray:
    """(person,) who passes all filters.

    Parameters
    ----------
    passes
        Field -> (person,) bool.
    reach
        Field -> the lowest and highest value (person,) that somebody may have.

    Raises
    ------
    InputError
        Nobody passes.
    """
    keep = np.ones(next(iter(passes.values())).size if passes else adults().age.size, dtype=bool)
    # a filter that nobody passes is named before a combination that nobody passes
    for field in sorted(passes, key=lambda name: passes[name].any()):
        if not (keep & passes[field]).any():
            among = np.logical_and.reduce(
                [p for name, p in passes.items() if name != field] or [keep]
            )
            expected = "people of the survey who qualify"
            if field in reach and np.isfinite(reach[field][0][among]).any():
                low, high = np.nanmin(reach[field][0][among]), np.nanmax(reach[field][1][among])
                qualifying = (
                    "among those who pass the other filters" if len(passes) > 1 else "in the survey"
                )
                expected = (
                    f"a range that overlaps {low:.4g} to {high:.4g} {UNITS[field]} ({qualifying})"
                )
            raise InputError(
                field, filters.get(field), expected, hint="nobody in NHANES 2013-2018 qualifies"
            )
        keep &= passes[field]
    return keep
