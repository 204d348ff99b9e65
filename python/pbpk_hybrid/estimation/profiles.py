r"""Profile likelihood: how the best objective rises as one parameter is held away from
its estimate.

The interval holds the values with :math:`-2\log p(\theta_j) - \min \le \chi^2_{1,level}`
(Venzon & Moolgavkar 1988, Appl Stat 37:87; Raue et al. 2009, Bioinformatics 25:1923). An
end that is not reached within the search is the parameter's bound: the data do not limit
the parameter there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._core.errors import InputError, unknown_name
from .fitting import Fit, minimise

_MOST_STEPS = 40


@dataclass(frozen=True)
class Profile:
    """The profile of one parameter: values and the rise of the objective there, and the
    interval at `level`.

    An end that the data do not give is the parameter's bound, and `identified` is False.
    """

    name: str
    values: np.ndarray
    rise: np.ndarray
    lower: float
    upper: float
    level: float
    threshold: float
    identified: bool


def profile_likelihood(
    found: Fit, names: Sequence[str] | str | None = None, *, level: float = 0.95
) -> dict[str, Profile]:
    """Profiles of some parameters of a fit; None: all of them.

    Parameters
    ----------
    found : the result of fit
    level : of the interval, between 0 and 1

    Raises
    ------
    InputError, UnknownNameError
    """
    from scipy.stats import chi2

    if not 0 < level < 1:
        raise InputError("level", level, "a number between 0 and 1")
    names = found.names if names is None else ((names,) if isinstance(names, str) else tuple(names))
    for name in names:
        if name not in found.names:
            raise unknown_name("names", name, found.names, what="an estimated parameter")
    threshold = float(chi2.ppf(level, 1))
    return {name: _profile(found, found.names.index(name), level, threshold) for name in names}


def _profile(found: Fit, j: int, level: float, threshold: float) -> Profile:
    objective, scale = found.objective, found.objective.scales[j]
    points = {float(found.u[j]): 0.0}
    ends = []
    for side in (-1, 1):
        ends.append(_walk(found, j, side, threshold, points))
    order = sorted(points)
    back = [float(scale.back(u)) for u in order]
    lower, upper = ends
    return Profile(
        objective.names[j],
        np.array(back),
        np.array([points[u] for u in order]),
        scale.lower if lower is None else float(scale.back(lower)),
        scale.upper if upper is None else float(scale.back(upper)),
        level,
        threshold,
        lower is not None and upper is not None,
    )


def _walk(
    found: Fit, j: int, side: int, threshold: float, points: dict[float, float]
) -> float | None:
    """Walk outwards until the rise exceeds the threshold, then find where it equals it.

    None: it never does.
    """
    objective = found.objective
    low, high = (b[j] for b in objective.bounds)
    step = 0.5 * float(np.clip(np.sqrt(found.covariance[j, j]), 1e-4, 2.0))
    u, rise, at = found.u.copy(), 0.0, float(found.u[j])
    for _ in range(_MOST_STEPS):
        target = at + side * step
        if not low < target < high or abs(target - found.u[j]) > 40.0:
            return None
        new_u, new_rise = _held(found, j, target, u)
        points[target] = new_rise
        if new_rise > threshold:
            return _cross(found, j, (at, rise, u), (target, new_rise, new_u), threshold, points)
        gain = new_rise - rise
        step *= 2.0 if gain < 0.15 * threshold else 0.7 if gain > 0.6 * threshold else 1.0
        at, rise, u = target, new_rise, new_u
    return None


def _held(found: Fit, j: int, target: float, start: np.ndarray) -> tuple[np.ndarray, float]:
    u = start.copy()
    u[j] = target
    u, value, _ = minimise(found.objective, u, fixed=[j])
    return u, max(value - found.minus_two_log, 0.0)


def _cross(
    found: Fit, j: int, inside, outside, threshold: float, points: dict[float, float]
) -> float:
    """Regula falsi on the root of the rise, which is nearly linear in the distance."""
    (a, fa, ua), (b, fb, _) = inside, outside
    for _ in range(8):
        ra, rb, r = np.sqrt(fa), np.sqrt(fb), np.sqrt(threshold)
        middle = a + (b - a) * float(np.clip((r - ra) / (rb - ra), 0.05, 0.95))
        u, f = _held(found, j, middle, ua)
        points[middle] = f
        if abs(f - threshold) < 1e-3 * threshold:
            return middle
        if f > threshold:
            b, fb = middle, f
        else:
            a, fa, ua = middle, f, u
    return middle
