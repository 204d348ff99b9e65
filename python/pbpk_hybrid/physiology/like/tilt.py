"""Weights of people under which a table holds and nothing else is assumed.

Entropy balancing (Hainmueller 2012, Polit Anal 20:25): of all weights w that meet the moments
E_w[f] = 0, those nearest to the weights q that the people have already, in the Kullback-Leibler
divergence. They are exponential in the features,

.. math:: w_k \\propto q_k \\exp(\\lambda \\cdot f_k),

and \\lambda minimises the convex function

.. math:: \\ln \\sum_k q_k \\exp(\\lambda \\cdot f_k) + \\tfrac{\\epsilon}{2} |\\lambda|^2

(Newton's method), with features in units of the value asked. At the minimum the gap E_w[f] is
-\\epsilon \\lambda: with \\epsilon > 0 there always is a solution, also where no weights meet the
table, and as \\epsilon falls it comes as near as possible in the sum of squared gaps. \\epsilon is
lowered in steps until the gap is closed or too few people would carry all the weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .quantities import Columns
from .request import Request, Statistic

TOLERANCE = 2e-4  #: gap, relative to the value asked, below which a table is met
MEANS = ("mean", "geometric_mean")
_STEPS = 25
_LARGEST_STEP = 10.0
_SMALL = 1e-8
_EPSILONS = tuple(10.0**-k for k in range(-1, 9))


@dataclass(frozen=True)
class Tilt:
    """Result of :func:`tilt`.

    Parameters
    ----------
    weight : ndarray
        (person,) adding to 1.
    gap : ndarray
        (feature,) weighted mean of the features: 0 where the table is met.
    slope : ndarray
        (feature,) lambda, for features as they were given.
    prior : ndarray
        (person,) the weights before, adding to 1.
    """

    weight: np.ndarray
    gap: np.ndarray
    slope: np.ndarray
    prior: np.ndarray

    @property
    def effective(self) -> float:
        """How many people of equal weight would say as much (Kish): 1 / sum w^2."""
        return float(1 / np.square(self.weight).sum())

    @property
    def met(self) -> bool:
        """Whether every gap is closed."""
        return bool(np.abs(self.gap).max(initial=0.0) < TOLERANCE)


def feature(statistic: Statistic, columns: Columns) -> np.ndarray:
    """(person,) what has mean 0 where a statistic is met, in units of the value asked."""
    x, value = statistic.values(columns), statistic.value
    if statistic.kind == "mean":
        f = x / value - 1
    elif statistic.kind == "share":
        f = x - value
    elif statistic.kind == "quantile":
        f = (x < value) + 0.5 * (x == value) - statistic.probability
    else:  # geometric mean; spreads need their centre, see features()
        f = np.log(x / value)
    return np.where(statistic.members(columns), f, 0.0)


Centres = dict[tuple[str, str], float]
"""(quantity, group) -> mean about which an SD is taken, where it is not the mean asked."""


def features(
    request: Request, columns: Columns, n: int | None = None, centres: Centres | None = None
) -> np.ndarray:
    """(person, statistic) features of all balanced statistics of a table; see :func:`feature`.

    `n`: of how many people an SD is, which papers compute with n - 1; None: of a population.
    """
    about = {(s.quantity, s.group): s.value for s in request.statistics if s.kind in MEANS}
    about |= centres or {}
    of_sample = 1.0 if n is None else (n - 1) / n
    out = []
    for s in request.balanced:
        if s.kind == "sd":
            x = s.values(columns)
            deviation = (x - about[s.quantity, s.group]) / s.value
        elif s.kind == "geometric_sd":
            x = s.values(columns)
            sigma = np.sqrt(np.log1p(s.value**2))
            deviation = np.log(x / about[s.quantity, s.group]) / sigma
        else:
            out.append(feature(s, columns))
            continue
        # (d^2 - 1) / 2 is the relative error of the SD, to first order
        out.append(np.where(s.members(columns), 0.5 * (deviation**2 - of_sample), 0.0))
    return np.column_stack(out) if out else np.zeros((columns["male"].size, 0))


def achieved_centres(request: Request, columns: Columns, weight: np.ndarray) -> Centres:
    """The means that weighted people have, of all quantities of which a mean is asked."""
    out: Centres = {}
    for s in request.statistics:
        w = weight * s.members(columns)
        if s.kind not in MEANS or w.sum() <= 0:
            continue
        x = s.values(columns)
        if s.kind == "mean":
            out[s.quantity, s.group] = float(w @ x / w.sum())
        else:
            out[s.quantity, s.group] = float(np.exp(w @ np.log(x) / w.sum()))
    return out


def tilt(
    f: np.ndarray, log_prior: np.ndarray, fewest: float, start: np.ndarray | None = None
) -> Tilt:
    """The least-informative weights that meet E[f] = 0, or come as near as possible.

    Parameters
    ----------
    f : ndarray
        (person, feature).
    log_prior : ndarray
        (person,) logarithm of the weights before.
    fewest : float
        Effective number of people below which a gap is rather left open.
    start : ndarray, optional
        (feature,) a slope that may be near; it only saves time.
    """
    prior = np.exp(log_prior - log_prior.max())
    prior /= prior.sum()
    if not f.shape[1]:
        return Tilt(prior, np.zeros(0), np.zeros(0), prior)
    spread = np.sqrt(prior @ np.square(f - prior @ f))
    # what is equal in everybody cannot be tilted; its gap stays
    spread = np.where(spread > 0, spread, 1.0)
    scaled = f / spread

    def at(slope: np.ndarray, epsilon: float) -> Tilt:
        # epsilon |lambda|^2 for the slope of the features as they are given
        slope = _newton(scaled, prior, slope, epsilon / spread**2)
        weight = _weights(scaled, prior, slope)
        return Tilt(weight, weight @ f, slope / spread, prior)

    slope = np.zeros(f.shape[1]) if start is None else start * spread
    found = at(slope, _SMALL)
    if found.met and found.effective >= fewest:
        return found
    path = [at(np.zeros(f.shape[1]), _EPSILONS[0])]
    for epsilon in _EPSILONS[1:]:
        path.append(at(path[-1].slope * spread, epsilon))
        if path[-1].met or path[-1].effective < 0.3 * fewest:
            break
    enough = [step for step in path if step.effective >= fewest]
    return enough[-1] if enough else max(path, key=lambda step: step.effective)


def _weights(f: np.ndarray, prior: np.ndarray, slope: np.ndarray) -> np.ndarray:
    exponent = f @ slope
    weight = prior * np.exp(exponent - exponent.max())
    return weight / weight.sum()


def _objective(f: np.ndarray, prior: np.ndarray, slope: np.ndarray, epsilon: np.ndarray) -> float:
    exponent = f @ slope
    top = exponent.max()
    total = prior @ np.exp(exponent - top)
    return float(top + np.log(total) + 0.5 * epsilon @ slope**2)


def _newton(f: np.ndarray, prior: np.ndarray, slope: np.ndarray, epsilon: np.ndarray) -> np.ndarray:
    """The minimum, from `slope` on, by Newton's method with halved steps."""
    value = _objective(f, prior, slope, epsilon)
    for _ in range(_STEPS):
        weight = _weights(f, prior, slope)
        mean = weight @ f
        gradient = mean + epsilon * slope
        if np.abs(gradient).max() < 1e-10:
            break
        hessian = (f * weight[:, None]).T @ f - np.outer(mean, mean)
        hessian[np.diag_indices_from(hessian)] += epsilon
        step = np.linalg.lstsq(hessian, -gradient, rcond=1e-14)[0]
        step *= min(1.0, _LARGEST_STEP / max(np.abs(step).max(), 1e-300))
        factor = 1.0
        while factor > 1e-3:
            trial = _objective(f, prior, slope + factor * step, epsilon)
            if trial <= value + 1e-4 * factor * (gradient @ step):
                break
            factor *= 0.5
        else:
            break
        slope, value = slope + factor * step, trial
    return slope


__all__ = ["TOLERANCE", "Centres", "Tilt", "achieved_centres", "features", "tilt"]
