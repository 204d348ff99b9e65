"""Closed-form patients by the ten thousand: what anybody who sees the samples can attain at most.

Two drugs made up for this benchmark, both linear: two compartments with infusions (AUC decides) and
one compartment by mouth (trough decides). Parameters, curves, most probable parameters and weighted
draws of the posterior are arrays over all patients at once, so that the exact Bayesian answer is known
for as many patients as are wanted: a Gauss-Newton mode from the prior, a t distribution around it,
importance weights. Nothing of pbpk_hybrid is used here: it is judged by this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

#: lognormal spread of body weight about 75 kg
WEIGHT_SD = 0.2


@dataclass(frozen=True)
class Drug:
    """A linear drug in closed form.

    Parameters
    ----------
    names : tuple of str
        Parameters.
    typical : ndarray
        At 70 kg.
    exponents : ndarray
        Of body weight.
    sds : ndarray
        Of ln between patients: the prior.
    dose, doses : float, tuple
        Amount [mg] and times [h] of the first regimen.
    infusion : float
        [h]; 0 by mouth.
    interval : float
        Between doses, also of the regimen that is looked for [h].
    low, high : float
        Of the target.
    """

    names: tuple[str, ...]
    typical: np.ndarray
    exponents: np.ndarray
    sds: np.ndarray
    dose: float
    doses: tuple[float, ...]
    infusion: float
    interval: float
    low: float
    high: float
    amounts: np.ndarray
    curve: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    metric: Callable[[np.ndarray, float], np.ndarray]
    text: str

    def centre(self, weight: np.ndarray) -> np.ndarray:
        """(n, p) ln of the typical parameters of patients of these weights."""
        return np.log(self.typical) + self.exponents * np.log(weight / 70.0)[:, None]

    def concentrations(self, u: np.ndarray, times: np.ndarray, given: np.ndarray) -> np.ndarray:
        """(..., n_times) [mg/L] of ln parameters u (..., p).

        Parameters
        ----------
        given : ndarray, (n_doses, 2) or (..., n_doses, 2)
            Time [h] and amount [mg] of each dose.
        """
        p = np.exp(u)
        out = np.zeros((*u.shape[:-1], len(times)))
        for k in range(given.shape[-2]):
            start, amount = given[..., k, 0], given[..., k, 1]
            since = times - np.asarray(start)[..., None]
            answer = self.curve(p[..., None, :], np.maximum(since, 0.0), self.infusion)
            out += np.where(since > 0, answer, 0.0) * np.asarray(amount)[..., None]
        return out


def _two_compartments(p: np.ndarray, t: np.ndarray, infusion: float) -> np.ndarray:
    """Concentration of 1 mg infused over `infusion` h; p: cl, q, v1, v2."""
    cl, q, v1, v2 = np.moveaxis(p, -1, 0)
    k10, k12, k21 = cl / v1, q / v1, q / v2
    half = 0.5 * (k10 + k12 + k21)
    root = np.sqrt(half**2 - k10 * k21)
    running = np.minimum(t, infusion)
    out = 0.0
    for rate, share in ((half + root, 1.0), (half - root, -1.0)):
        factor = share * (rate - k21) / (2.0 * root)
        out = out + factor * -np.expm1(-rate * running) / rate * np.exp(-rate * (t - running))
    return out / v1 / infusion


def _one_compartment_oral(p: np.ndarray, t: np.ndarray, _: float) -> np.ndarray:
    """Concentration of 1 mg by mouth; p: ka, cl, v."""
    ka, cl, v = np.moveaxis(p, -1, 0)
    k = cl / v
    return ka / (v * (ka - k)) * (np.exp(-k * t) - np.exp(-ka * t))


def _auc24(p: np.ndarray, interval: float) -> np.ndarray:
    return 24.0 / interval / p[..., 0]


def _trough(p: np.ndarray, interval: float) -> np.ndarray:
    ka, cl, v = np.moveaxis(p, -1, 0)
    k = cl / v
    left = lambda r: np.exp(-r * interval) / -np.expm1(-r * interval)
    return ka / (v * (ka - k)) * (left(k) - left(ka))


TWO = Drug(
    ("cl", "q", "v1", "v2"),
    np.array([4.0, 6.0, 25.0, 60.0]),
    np.array([0.75, 0.75, 1.0, 1.0]),
    np.array([0.4, 0.2, 0.3, 0.3]),
    1000.0,
    (0.0, 12.0),
    1.0,
    12.0,
    400.0,
    600.0,
    125.0 * np.arange(1, 33),
    _two_compartments,
    _auc24,
    "AUC24 400-600 mg*h/L",
)
ORAL = Drug(
    ("ka", "cl", "v"),
    np.array([1.0, 3.0, 35.0]),
    np.array([0.0, 0.75, 1.0]),
    np.array([0.5, 0.4, 0.15]),
    300.0,
    (0.0, 12.0),
    0.0,
    12.0,
    5.0,
    10.0,
    50.0 * np.arange(1, 41),
    _one_compartment_oral,
    _trough,
    "trough 5-10 mg/L",
)


@dataclass(frozen=True)
class Cohort:
    """Virtual patients of a drug, with their samples.

    Parameters
    ----------
    weight : ndarray, (n,)
    truth : ndarray, (n, p)
        ln of their parameters.
    times : ndarray, (m,)
    given : ndarray, (n, n_doses, 2)
        Times and amounts of the doses so far.
    values : ndarray, (n, m)
        Samples [mg/L], with proportional error.
    error : float
        Its sd.
    """

    drug: Drug
    weight: np.ndarray
    truth: np.ndarray
    times: np.ndarray
    given: np.ndarray
    values: np.ndarray
    error: float

    @classmethod
    def draw(cls, drug: Drug, n: int, times, error: float, seed: int) -> Cohort:
        """`n` patients from the prior, sampled under the first regimen."""
        rng = np.random.default_rng(seed)
        weight = 75.0 * np.exp(WEIGHT_SD * rng.standard_normal(n))
        truth = drug.centre(weight) + drug.sds * rng.standard_normal((n, len(drug.names)))
        times = np.asarray(times, dtype=float)
        each = np.array([[t, drug.dose] for t in drug.doses])
        given = np.broadcast_to(each, (n, *each.shape)).copy()
        clean = drug.concentrations(truth, times, given)
        # an assay gives no negative values: such a draw is drawn again
        noise = rng.standard_normal(clean.shape)
        while (bad := 1.0 + error * noise <= 0.02).any():
            noise[bad] = rng.standard_normal(bad.sum())
        return cls(drug, weight, truth, times, given, clean * (1.0 + error * noise), error)

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.weight)

    def log_posterior(self, u: np.ndarray) -> np.ndarray:
        """(n, k) of ln parameters u (n, k, p), up to a constant."""
        c = self.drug.concentrations(u, self.times, self.given[:, None])
        c = np.maximum(c, 1e-12)  # far proposals may leave nothing
        r = (self.values[:, None] - c) / (self.error * c)
        z = (u - self.drug.centre(self.weight)[:, None]) / self.drug.sds
        return -0.5 * (r**2).sum(-1) - np.log(c).sum(-1) - 0.5 * (z**2).sum(-1)

    def mode(self, iterations: int = 30) -> tuple[np.ndarray, np.ndarray]:
        """(n, p) most probable ln parameters and (n, p, p) covariance there (Gauss-Newton, damped)."""
        drug, centre = self.drug, self.drug.centre(self.weight)
        u, p = centre.copy(), len(drug.names)
        damping = np.full(self.n, 1e-3)
        cost = -self.log_posterior(u[:, None])[:, 0]
        for _ in range(iterations):
            c = drug.concentrations(u, self.times, self.given)
            slope = np.stack(
                [
                    (drug.concentrations(u + h, self.times, self.given) - c) / 1e-5
                    for h in 1e-5 * np.eye(p)
                ],
                -1,
            )  # (n, m, p)
            j = slope / c[..., None]
            r = (self.values - c) / (self.error * c)
            # d(-log L)/d ln c of each sample, and its Fisher information (proportional error)
            g = 1.0 - r * (r + 1.0 / self.error)
            gradient = np.einsum("nmp,nm->np", j, g) + (u - centre) / drug.sds**2
            information = np.einsum("nmp,nmq->npq", j, j) * (1 / self.error**2 + 2.0)
            information = information + np.diag(drug.sds**-2.0)
            scale = np.einsum("npp->np", information)[:, :, None] * np.eye(p)
            step = np.linalg.solve(
                information + damping[:, None, None] * scale, gradient[..., None]
            )[..., 0]
            new = u - step
            better_cost = -self.log_posterior(new[:, None])[:, 0]
            better = better_cost < cost
            u = np.where(better[:, None], new, u)
            cost = np.where(better, better_cost, cost)
            damping = np.where(better, damping * 0.3, damping * 4.0)
        return u, np.linalg.inv(information)

    def posterior(self, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(n, draws, p) ln parameters and (n, draws) weights that sum to 1."""
        rng = np.random.default_rng(seed)
        u, covariance = self.mode()
        p, nu = u.shape[1], 6.0
        root = np.linalg.cholesky(1.15 * covariance)
        z = rng.standard_normal((self.n, draws, p))
        stretch = np.sqrt(nu / rng.chisquare(nu, (self.n, draws)))
        z = z * stretch[..., None]
        proposal = -0.5 * (nu + p) * np.log1p((z**2).sum(-1) / nu)
        drawn = u[:, None] + np.einsum("npq,nkq->nkp", root, z)
        log_weight = self.log_posterior(drawn) - proposal
        weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
        return drawn, weight / weight.sum(1, keepdims=True)

    def part(self, rows: slice) -> Cohort:
        """Some of the patients."""
        names = ("weight", "truth", "given", "values")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def treated(self, amount: np.ndarray, n_doses: int, after, rng: np.random.Generator) -> Cohort:
        """The same patients after `n_doses` of `amount` (n,) mg, with samples `after` h from the last."""
        begin = self.given[0, -1, 0] + self.drug.interval
        new = begin + self.drug.interval * np.arange(n_doses)
        doses = np.stack(
            [np.broadcast_to(new, (self.n, n_doses)), np.repeat(amount[:, None], n_doses, 1)], -1
        )
        given = np.concatenate([self.given, doses], 1)
        times = new[-1] + np.asarray(after, dtype=float)
        clean = self.drug.concentrations(self.truth, times, given)
        noise = np.maximum(rng.standard_normal(clean.shape), 0.02 / self.error - 1 / self.error)
        values = np.concatenate([self.values, clean * (1.0 + self.error * noise)], 1)
        return replace(self, times=np.r_[self.times, times], given=given, values=values)

    def metric(self, u: np.ndarray) -> np.ndarray:
        """Of the target per mg, of ln parameters u (..., p)."""
        return self.drug.metric(np.exp(u), self.drug.interval)


def attained(drug: Drug, value: np.ndarray) -> np.ndarray:
    """Whether values of the metric lie in the range."""
    return (value >= drug.low) & (value <= drug.high)


def measured(drug: Drug, value: np.ndarray, error: float) -> np.ndarray:
    """Probability that one measurement of these values lies in the range."""
    return ndtr((drug.high / value - 1.0) / error) - ndtr((drug.low / value - 1.0) / error)


def expected(drug: Drug, unit: np.ndarray, weight: np.ndarray, error: float | None) -> np.ndarray:
    """(n, n_amounts) probability of the target over weighted draws of the metric per mg (n, draws).

    `error`: of the measurement by which it is judged; None: the true value.
    """
    out = np.empty((len(unit), len(drug.amounts)))
    for i, a in enumerate(drug.amounts):
        value = unit * a
        hit = attained(drug, value) if error is None else measured(drug, value, error)
        out[:, i] = (hit * weight).sum(1)
    return out


def nearest(drug: Drug, unit: np.ndarray, error: float | None) -> np.ndarray:
    """(n,) the amount that is best for a known metric per mg (n,)."""
    value = unit[:, None] * drug.amounts
    if error is None:  # in the range, and of those the nearest to its middle on the log scale
        off = np.abs(np.log(value / np.sqrt(drug.low * drug.high)))
        return np.argmin(off, 1)
    return np.argmax(measured(drug, value, error), 1)


__all__ = [
    "ORAL",
    "TWO",
    "Cohort",
    "Drug",
    "attained",
    "expected",
    "measured",
    "nearest",
]
