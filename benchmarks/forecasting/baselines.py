"""What a forecaster has to beat: last value, log-linear extrapolation, and a two-compartment MAP fit.

Each baseline is ``predict(patient, n, times) -> (median, sd)`` of ln concentration from the first n samples; sd is NaN where
it has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

#: ln concentration that stands for none
FLOOR = -30.0


def last_value(patient, n: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last sample, for ever."""
    value = np.log(patient.value[n - 1])
    return np.full(times.shape, value), np.full(times.shape, np.nan)


def log_linear(patient, n: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line through the last two to three samples on the log scale after the peak; the last value where it would rise."""
    t, y = patient.time[:n], np.log(patient.value[:n])
    start = max(int(np.argmax(y)), n - 3)
    if n - start < 2:
        return last_value(patient, n, times)
    slope = min(np.polyfit(t[start:], y[start:], 1)[0], 0.0)
    return y[-1] + slope * (times - t[-1]), np.full(times.shape, np.nan)


# ------------------------------------------------------------------------------------------------ two compartments
def two_compartments(theta: np.ndarray, doses, times: np.ndarray) -> np.ndarray:
    """ln concentration; theta = ln of CL, V1, Q, V2 (over F by mouth), ka and lag."""
    cl, v1, q, v2, ka, lag = np.exp(theta)
    k10, k12, k21 = cl / v1, q / v1, q / v2
    total = k10 + k12 + k21
    root = np.sqrt(max(total**2 - 4 * k10 * k21, 1e-300))
    fast = (total + root) / 2
    slow = k10 * k21 / fast
    rates = np.array([fast, slow])
    weights = np.array([fast - k21, k21 - slow]) / (fast - slow + 1e-300) / v1
    since = times[:, None] - doses.time[None, :]
    out = np.zeros(len(times))
    for rate, weight in zip(rates, weights, strict=True):
        late = np.maximum(since - lag, 0.0)
        difference = ka - rate
        if abs(difference) < 1e-6 * ka:
            difference = 1e-6 * ka
        oral = ka / difference * (np.exp(-rate * late) - np.exp(-ka * late))
        running = np.clip(since, 0.0, doses.duration)
        length = np.where(doses.duration > 0, doses.duration, 1.0)
        infused = (
            -np.expm1(-rate * running)
            / (rate * length)
            * np.exp(-rate * np.maximum(since - doses.duration, 0.0))
        )
        given = np.where(doses.duration > 0, infused, np.exp(-rate * np.maximum(since, 0.0)))
        out += weight * (
            np.where(since >= 0, np.where(doses.oral, oral, given), 0.0) * doses.amount
        ).sum(axis=1)
    return np.log(np.maximum(out, np.exp(FLOOR)))


@dataclass
class Prior:
    """Population of ln parameters: mean, variances, the residual sd of ln concentration, and where parameters go together
    the Cholesky factor of their covariance."""

    mean: np.ndarray
    variance: np.ndarray
    sigma: float
    factor: np.ndarray | None = None


def map_fit(
    patient, n: int, prior: Prior, starts=(0.0, 0.7, -0.7)
) -> tuple[np.ndarray, np.ndarray]:
    """Most probable ln parameters from the first n samples, and their covariance (Laplace)."""
    t, y = patient.time[:n], np.log(patient.value[:n])
    spread = np.diag(np.sqrt(prior.variance)) if prior.factor is None else prior.factor

    def residual(z):
        theta = prior.mean + spread @ z
        return np.r_[(two_compartments(theta, patient.doses, t) - y) / prior.sigma, z]

    best = None
    for start in starts:
        z0 = np.zeros(len(spread))
        z0[0] = start
        fit = least_squares(residual, z0, bounds=(-4.5, 4.5), max_nfev=60)
        if best is None or fit.cost < best.cost:
            best = fit
    cov = np.linalg.inv(best.jac.T @ best.jac)
    return prior.mean + spread @ best.x, spread @ cov @ spread.T


def population(patients, rounds: int = 4) -> Prior:
    """A prior from all patients' whole profiles, by iterated two-stage (Steimer et al. 1984, Drug Metab Rev 15:265)."""
    patients = [p for p in patients if len(p.time)]
    oral = any(p.doses.oral.any() for p in patients)
    weight = np.median([p.body_weight for p in patients])
    # start: a naive pooled fit of CL and V at the others' usual ratios
    start = np.log(
        [0.1 * weight, 0.5 * weight, 0.1 * weight, 0.5 * weight, 1.0, 0.05 if oral else 1e-4]
    )

    def pooled(z):
        theta = start + z
        parts = [two_compartments(theta, p.doses, p.time) - np.log(p.value) for p in patients]
        return np.r_[np.clip(np.concatenate(parts), -5, 5), 0.05 * z]

    z = least_squares(pooled, np.zeros(6), bounds=(-6, 6), loss="soft_l1", max_nfev=60).x
    prior = Prior(start + z, np.array([0.15, 0.15, 0.3, 0.3, 0.4, 0.3]), 0.25)
    for _ in range(rounds):
        fits = [map_fit(p, len(p.time), prior, starts=(0.0,)) for p in patients]
        theta = np.array([f[0] for f in fits])
        mean = theta.mean(axis=0)
        variance = ((theta - mean) ** 2).mean(axis=0) + np.mean(
            [np.diag(f[1]) for f in fits], axis=0
        )
        miss = [
            two_compartments(t, p.doses, p.time) - np.log(p.value)
            for t, p in zip(theta, patients, strict=True)
        ]
        squares = sum(float((np.clip(m, -2, 2) ** 2).sum()) for m in miss)
        spent = sum(
            6 - float(np.trace(f[1] / np.outer(np.sqrt(prior.variance), np.sqrt(prior.variance))))
            for f in fits
        )
        sigma = np.sqrt(squares / max(sum(len(p.time) for p in patients) - spent, 1.0))
        prior = Prior(mean, np.clip(variance, 0.01, 2.0), float(np.clip(sigma, 0.03, 1.0)))
    return prior


class MapForecaster:
    """Two-compartment MAP with a population prior from the same study."""

    def __init__(self, patients) -> None:
        self.prior = population(patients)

    def __call__(self, patient, n: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        theta, cov = map_fit(patient, n, self.prior)
        y = two_compartments(theta, patient.doses, times)
        slope = np.empty((len(times), len(theta)))
        for j in range(len(theta)):
            moved = theta.copy()
            moved[j] += 1e-4
            slope[:, j] = (two_compartments(moved, patient.doses, times) - y) / 1e-4
        return y, np.sqrt(np.einsum("tj,jk,tk->t", slope, cov, slope) + self.prior.sigma**2)
