"""How far a body is beyond a bound: negative or zero where the bound is kept.

Each function takes a :class:`.body.Body` of numpy arrays or torch tensors and returns
(subject,), in the unit of its rule (:mod:`.rules`). :func:`child_range` and
:func:`child_organ` make such a function.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..adults import regressions as r
from ..adults.body import INDEX, by_sex
from ..adults.variability import CUT, organ_cv, sd_ln
from ..arrays import Array, fmax, isfinite, largest, log, maximum, minimum, smallest, where
from ..children.usual import reference_height, reference_mass, usual_range
from ..dataset import CLOSURE_TOLERANCE, body_surface_area
from ..organs import FULL_FLOW_ORGANS, SYSTEMIC_ORGANS
from .body import Body


def outside(value: Array, low: Array, high: Array) -> np.ndarray:
    """How far `value` is outside of [low, high], elementwise; negative inside."""
    return maximum(low - value, value - high)


def bound_by_sex(
    body: Body, value: Array, male: tuple[float, float], female: tuple[float, float]
) -> np.ndarray:
    """How far `value` (subject,) is outside of the (low, high) of the subject's sex."""
    low = where(body.male, male[0], female[0])
    high = where(body.male, male[1], female[1])
    return outside(value, low, high)


def positive_masses_and_flows(body: Body) -> np.ndarray:
    """H1: the smallest mass [kg] or flow [L/h], negated; infinite where one is not finite."""
    least = minimum(smallest(body.mass), smallest(body.flow))
    finite = isfinite(body.mass).all(axis=1) & isfinite(body.flow).all(axis=1)
    # exactly zero is not positive either
    return where(finite, maximum(-least, (least == 0) * 1e-300), np.inf)


def mass_closure(body: Body) -> np.ndarray:
    """H2: relative gap between the sum of organ masses and body weight, beyond 1e-6."""
    return abs(body.mass.sum(axis=1) / body.weight - 1) - CLOSURE_TOLERANCE


def flow_closure(body: Body) -> np.ndarray:
    """H3: largest relative gap between flows and cardiac output, beyond 1e-6.

    Of the sum over systemic organs, and of lung and blood pools, which carry all of it.
    """
    systemic = body.share(*SYSTEMIC_ORGANS)
    through = body.flow[:, [INDEX[organ] for organ in FULL_FLOW_ORGANS]] / body.output[:, None]
    return maximum(abs(systemic - 1), largest(abs(through - 1))) - CLOSURE_TOLERANCE


def definitions(body: Body) -> np.ndarray:
    """H4: relative gap of BMI or body surface (Mosteller) from weight and height, beyond 1e-6."""
    bmi = abs(body.bmi / (body.weight / (body.height / 100) ** 2) - 1)
    surface = abs(body.surface / body_surface_area(body.weight, body.height) - 1)
    return fmax(bmi, surface) - CLOSURE_TOLERANCE  # NaN (animals) does not apply


def hematocrit_and_filtration(body: Body) -> np.ndarray:
    """H5: filtration fraction above 1, or hematocrit outside of [0, 1]."""
    filtration = body.gfr / (body.flow[:, INDEX["kidney"]] * (1 - body.hematocrit))
    return maximum(filtration - 1, outside(body.hematocrit, 0.0, 1.0))


def lean_mass(body: Body) -> np.ndarray:
    """S4_lean: relative gap of weight less adipose tissue from fat-free mass, beyond 25 %.

    Fat-free mass after Janmahasatian et al., Clin Pharmacokinet 44:1051 (2005).
    """
    expected = r.fat_free_mass(body.male, body.weight, body.weight / (body.height / 100) ** 2)
    return abs((body.weight - body.organ("adipose")) / expected - 1) - 0.25


#: organs of rule S8
SCALED = ("lung", "heart", "kidney", "gut", "spleen", "pancreas", "stomach", "liver", "muscle")


def organ_spread(body: Body) -> np.ndarray:
    """Largest excess of |ln(mass / height-scaled ICRP mass)| over 3.5 sigma_ln among the organs."""
    return largest(organ_excess(body))


def organ_excess(body: Body) -> np.ndarray:
    """(n, organ of ``SCALED``) excess of |ln(mass / height-scaled ICRP mass)| over 3.5 sigma_ln."""
    index = [INDEX[organ] for organ in SCALED]
    scale = r.height_scale(body.height, by_sex(body.male, lambda ref: ref.height))
    return _beyond_spread(body, by_sex(body.male, lambda ref: ref.mass[index]) * scale[:, None])


def _beyond_spread(body: Body, expected: Array) -> np.ndarray:
    """(subject, organ of ``SCALED``) excess of |ln(mass / expected)| over 3.5 sigma_ln."""
    index = [INDEX[organ] for organ in SCALED]
    cv_male, cv_female = (np.array(organ_cv(sex)[0][index]) for sex in ("male", "female"))
    # McNally et al. 2014 for muscle, whose organ_cv is 0 because closure makes it
    cv_male[SCALED.index("muscle")] = cv_female[SCALED.index("muscle")] = 0.27
    sd = where(body.male[:, None], sd_ln(cv_male), sd_ln(cv_female))
    with np.errstate(invalid="ignore", divide="ignore"):
        return abs(log(body.mass[:, index] / expected)) - CUT * sd - 1e-9


def child_definitions(body: Body) -> np.ndarray:
    """Body surface of a child may be Mosteller's, Haycock's, or between the two."""
    bmi = abs(body.bmi / (body.weight / (body.height / 100) ** 2) - 1)
    mosteller = body_surface_area(body.weight, body.height)
    haycock = r.haycock_surface(body.weight, body.height)
    low, high = minimum(mosteller, haycock), maximum(mosteller, haycock)
    stated = maximum(outside(body.surface, low, high), 0.0) / low
    return fmax(bmi, stated) - CLOSURE_TOLERANCE


def child_range(name: str, value: Callable[[Body], np.ndarray]) -> Callable[[Body], np.ndarray]:
    """The rule that a quantity is usual in children of that age and sex.

    Parameters
    ----------
    name : str
        Of the quantity, as of :func:`.children.usual.usual_range`.
    value : callable
        From a body to the quantity, (subject,).
    """
    return lambda body: outside(value(body), *usual_range(name, body.male, body.age))


def child_organ(name: str, low: float, high: float) -> Callable[[Body], np.ndarray]:
    """The bounds of adults [kg] times the ICRP mass at that age over the adult's."""

    def residual(body: Body) -> np.ndarray:
        adult = by_sex(body.male, lambda ref: ref.mass[INDEX[name]])
        share = reference_mass(body.male, body.age)[:, INDEX[name]] / adult
        return outside(body.organ(name), low * share, high * share)

    return residual


def child_organ_spread(body: Body) -> np.ndarray:
    """S8 of children: as :func:`organ_spread`, about the ICRP masses of that age."""
    index = [INDEX[organ] for organ in SCALED]
    scale = r.height_scale(body.height, reference_height(body.male, body.age))
    return largest(
        _beyond_spread(body, reference_mass(body.male, body.age)[:, index] * scale[:, None])
    )
