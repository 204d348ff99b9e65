"""MAP fits of one to three compartments: of a population, the number chosen by AIC, or alone with a generic prior.

``AicMap(patients)`` and ``GenericMap()`` are baselines as in :mod:`baselines`: ``predict(patient, n, times) -> (median, sd)`` of
ln concentration. Parameters are ln of CL, V1, then Q and V of each further compartment (over F by mouth), ka and lag. The
population comes from iterated two-stage fits (Steimer et al. 1984, Drug Metab Rev 15:265), and the number of compartments is
the one with the least

    AIC = sum over patients of -2 ln (Laplace approximation of the marginal likelihood) + 2 (2 p + 1)

with p means, p variances and the residual variance. The generic prior was written down before any data were looked at: CL 0.1
L/h and V1 0.5 L per kg to the powers 0.75 and 1 about 70 kg, as wide as marketed drugs spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from baselines import FLOOR
from scipy.optimize import least_squares

#: sd of ln CL, V1, Q, V2, ka, lag between drugs, and of the residual
GENERIC_SD, GENERIC_SIGMA = (1.3, 1.0, 1.2, 1.0, 0.8, 1.0), 0.2
MOST = 3


def curve(theta: np.ndarray, doses, times: np.ndarray) -> np.ndarray:
    """ln concentration of as many compartments as the parameters are of."""
    n = (len(theta) - 2) // 2
    cl, v1 = np.exp(theta[:2])
    ka, lag = np.exp(theta[-2:])
    q, v = np.exp(theta[2:-2].reshape(n - 1, 2)).T if n > 1 else (np.empty(0), np.empty(0))
    a = np.zeros((n, n))  # of amounts; a compartment has no flow to itself
    a[0, 0] = -(cl + q.sum()) / v1
    a[0, 1:], a[1:, 0] = q / v, q / v1
    a[np.arange(1, n), np.arange(1, n)] = -q / v
    # similar to a symmetric matrix: real rates, orthogonal vectors
    scale = np.sqrt(np.r_[v1, v])
    rates, vectors = np.linalg.eigh(a * scale[None, :] / scale[:, None])
    since = times[:, None] - doses.time[None, :]
    out = np.zeros(len(times))
    for rate, weight in zip(-rates, vectors[0] ** 2 / v1, strict=True):
        out += weight * (_answer(rate, ka, lag, doses, since) * doses.amount).sum(axis=1)
    return np.log(np.maximum(out, np.exp(FLOOR)))


def _answer(rate: float, ka: float, lag: float, doses, since: np.ndarray) -> np.ndarray:
    """(n_times, n_doses) response of exp(-rate t) to one unit of each dose."""
    rate = max(rate, 1e-12)
    late = np.maximum(since - lag, 0.0)
    difference = ka - rate
    if abs(difference) < 1e-6 * ka:
        difference = 1e-6 * ka
    oral = ka / difference * (np.exp(-rate * late) - np.exp(-ka * late))
    running = np.clip(since, 0.0, doses.duration)
    length = np.where(doses.duration > 0, doses.duration, 1.0)
    after = np.exp(-rate * np.maximum(since - doses.duration, 0.0))
    infused = -np.expm1(-rate * running) / (rate * length) * after
    given = np.where(doses.duration > 0, infused, np.exp(-rate * np.maximum(since, 0.0)))
    return np.where(since >= 0, np.where(doses.oral, oral, given), 0.0)


@dataclass(frozen=True)
class Population:
    """Normal distribution of ln parameters, and the residual sd of ln concentration."""

    mean: np.ndarray
    sd: np.ndarray
    sigma: float

    def fit(self, patient, n: int, starts=(0.0, 0.7, -0.7)) -> Mode:
        """Most probable parameters from the first n samples."""
        t, y = patient.time[:n], np.log(patient.value[:n])

        def residual(z):
            theta = self.mean + self.sd * z
            return np.r_[(curve(theta, patient.doses, t) - y) / self.sigma, z]

        best = None
        for start in starts:
            z0 = np.zeros(len(self.mean))
            z0[0] = start
            found = least_squares(residual, z0, bounds=(-4.5, 4.5), max_nfev=40)
            if best is None or found.cost < best.cost:
                best = found
        information = best.jac.T @ best.jac
        _, log_det = np.linalg.slogdet(information)
        minus_two_log = 2 * best.cost + log_det + n * np.log(2 * np.pi * self.sigma**2)
        cov = np.linalg.inv(information) * np.outer(self.sd, self.sd)
        return Mode(self.mean + self.sd * best.x, cov, float(minus_two_log))


@dataclass(frozen=True)
class Mode:
    """Most probable parameters, their covariance, and -2 ln of the marginal likelihood."""

    theta: np.ndarray
    covariance: np.ndarray
    minus_two_log: float


def population(patients, n: int, rounds: int = 3) -> tuple[Population, float]:
    """A population of `n` compartments and its AIC."""
    oral = any(p.doses.oral.any() for p in patients)
    weight = float(np.median([p.body_weight for p in patients]))
    further = [x for k in range(n - 1) for x in (0.1 * weight / 3**k, 0.5 * weight * 2**k)]
    start = np.log([0.1 * weight, 0.5 * weight, *further, 1.0, 0.05 if oral else 1e-4])

    def pooled(z):
        parts = [curve(start + z, p.doses, p.time) - np.log(p.value) for p in patients]
        return np.r_[np.clip(np.concatenate(parts), -5, 5), 0.05 * z]

    size = len(start)
    z = least_squares(pooled, np.zeros(size), bounds=(-6, 6), loss="soft_l1", max_nfev=60).x
    spread = np.sqrt([0.15, 0.15, *[0.3] * (size - 4), 0.4, 0.3])
    found = Population(start + z, spread, 0.25)
    for _ in range(rounds):
        modes = [found.fit(p, len(p.time), starts=(0.0,)) for p in patients]
        theta = np.array([m.theta for m in modes])
        variance = theta.var(axis=0) + np.mean([np.diag(m.covariance) for m in modes], axis=0)
        miss = [
            curve(t, p.doses, p.time) - np.log(p.value)
            for t, p in zip(theta, patients, strict=True)
        ]
        squares = sum(float((np.clip(m, -2, 2) ** 2).sum()) for m in miss)
        spent = sum(size - np.trace(m.covariance / np.outer(found.sd, found.sd)) for m in modes)
        freedom = max(sum(len(p.time) for p in patients) - spent, 1.0)
        sigma = float(np.clip(np.sqrt(squares / freedom), 0.03, 1.0))
        found = Population(theta.mean(axis=0), np.sqrt(np.clip(variance, 0.01, 2.0)), sigma)
    total = sum(found.fit(p, len(p.time), starts=(0.0,)).minus_two_log for p in patients)
    return found, total + 2 * (2 * size + 1)


def _predict(found: Population, patient, n: int, times: np.ndarray):
    mode = found.fit(patient, n)
    y = curve(mode.theta, patient.doses, times)
    steps = 1e-4 * np.eye(len(mode.theta))
    slope = np.stack([(curve(mode.theta + h, patient.doses, times) - y) / 1e-4 for h in steps], 1)
    variance = np.einsum("tj,jk,tk->t", slope, mode.covariance, slope) + found.sigma**2
    return y, np.sqrt(variance)


class AicMap:
    """MAP with a population prior of the other patients, one to three compartments by AIC."""

    def __init__(self, patients) -> None:
        patients = [p for p in patients if len(p.time)]
        every = [population(patients, n) for n in range(1, MOST + 1)]
        self.aic = [float(aic) for _, aic in every]
        self.compartments = 1 + int(np.argmin(self.aic))
        self.prior = every[self.compartments - 1][0]

    def __call__(self, patient, n: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _predict(self.prior, patient, n, times)


class GenericMap:
    """Two-compartment MAP of one patient alone, with the generic prior."""

    def __call__(self, patient, n: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = (patient.body_weight / 70.0) ** np.array([0.75, 1, 0.75, 1, 0, 0])
        typical = np.array([7.0, 35.0, 7.0, 35.0, 1.0, 0.1]) * size
        prior = Population(np.log(typical), np.array(GENERIC_SD), GENERIC_SIGMA)
        return _predict(prior, patient, n, times)


__all__ = ["AicMap", "GenericMap", "Mode", "Population", "curve", "population"]
