"""Ranges that no person can satisfy together, found before anybody is drawn.

Two relations hold exactly: BMI is weight over height squared, and filtration [L/h] is the
estimated one [mL/min/1.73 m^2] times the body surface. A third holds within the spread of
people: what is estimated from creatinine, age and sex (CKD-EPI 2021) differs from a person's
filtration by a factor that is log-normal (:data:`.GFR_SD_LN`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..._core.errors import InputError
from ...physiology.adults.regressions import ckd_epi_2021
from ...physiology.adults.survey import ADULT_AGE
from ...physiology.adults.variability import GFR_SD_LN
from ...physiology.dataset import body_surface_area

Range = tuple[float, float]
_ADULTS = (ADULT_AGE, 80.0)  # who is drawn where no age is asked for
#: standard deviations that nobody is away from the estimate by creatinine
_MOST_SD = 6.0
#: ranges this close to each other touch
_TOUCH = 1e-9


def contradiction(
    ranges: Mapping[str, Range], sex: str | float | None, trained: Mapping[str, Range]
) -> None:
    """
    Parameters
    ----------
    ranges
        name -> (low, high) that are asked for
    sex
        "female", "male", the fraction of women, or None
    trained
        name -> (low, high) of the people trained on, for what is not asked for

    Raises
    ------
    InputError
        ranges of which no person can satisfy all
    """
    _of_size(ranges, trained)
    _of_surface(ranges, trained)
    _of_creatinine(ranges, sex, trained)


def _of_size(ranges: Mapping[str, Range], trained: Mapping[str, Range]) -> None:
    """BMI against weight and height."""
    if "bmi" not in ranges or not {"body_weight", "height"} & ranges.keys():
        return
    weight, height = (ranges.get(n, trained[n]) for n in ("body_weight", "height"))
    least = weight[0] / (height[1] / 100) ** 2 if np.isfinite(height[1]) else 0.0
    most = weight[1] / (height[0] / 100) ** 2 if height[0] else np.inf
    _overlap("bmi", ranges, (least, most), "kg/m^2", "the asked body_weight and height")


def _of_surface(ranges: Mapping[str, Range], trained: Mapping[str, Range]) -> None:
    """Filtration in L/h against that of 1.73 m^2, by the surfaces that weight and height allow."""
    if not {"gfr", "egfr"} <= ranges.keys():
        return
    least, most = (0.06 / 1.73 * s for s in _surfaces(ranges, trained))
    low, high = ranges["egfr"]
    _overlap("gfr", ranges, (low * least, high * most), "L/h", "the asked egfr and body size")


def _of_creatinine(
    ranges: Mapping[str, Range], sex: str | float | None, trained: Mapping[str, Range]
) -> None:
    """Filtration against the estimate from creatinine, age and sex."""
    if "serum_creatinine" not in ranges or not {"gfr", "egfr"} & ranges.keys():
        return
    creatinine, age = ranges["serum_creatinine"], ranges.get("age", _ADULTS)
    if age[0] < ADULT_AGE:
        return  # filtration of children goes by weight and age
    estimates = [
        float(ckd_epi_2021(np.array(male), np.array(a), np.array(max(c, 1e-3))))
        for male in ([sex == "male"] if isinstance(sex, str) else [True, False])
        for a in np.minimum(age, trained["age"][1])
        for c in np.minimum(creatinine, 1e3)
    ]
    factor = np.exp(_MOST_SD * GFR_SD_LN)
    allowed = (min(estimates) / factor, max(estimates) * factor)
    told = "the asked serum_creatinine (with age and sex)"
    if "egfr" in ranges:
        _overlap("egfr", ranges, allowed, "mL/min/1.73 m^2", told)
    if "gfr" in ranges:
        least, most = (0.06 / 1.73 * s for s in _surfaces(ranges, trained))
        _overlap("gfr", ranges, (allowed[0] * least, allowed[1] * most), "L/h", told)


def _surfaces(ranges: Mapping[str, Range], trained: Mapping[str, Range]) -> Range:
    """Smallest and largest body surface [m^2] that weight, height and BMI allow."""
    weight, height = (ranges.get(n, trained[n]) for n in ("body_weight", "height"))
    weight, height = ((low or 1.0, min(high, 1e3)) for low, high in (weight, height))
    ends = [float(body_surface_area(w, h)) for w, h in zip(weight, height, strict=True)]
    return ends[0], ends[1]


def _overlap(name: str, ranges: Mapping[str, Range], allowed: Range, unit: str, by: str) -> None:
    """
    Raises
    ------
    InputError
        the range that is asked for has nothing in common with what the others allow
    """
    low, high = ranges[name]
    if high * (1 + _TOUCH) < allowed[0] or low > allowed[1] * (1 + _TOUCH):
        raise InputError(
            f"condition.{name}",
            (low, high),
            f"a range that overlaps {allowed[0]:.4g} to {allowed[1]:.4g} {unit}",
            hint=f"that is what {by} allow",
        )


__all__ = ["contradiction"]
