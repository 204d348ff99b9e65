r"""Pareto-smoothed importance weights and the diagnostic k.

The largest weights are replaced by the expected order statistics of a generalised Pareto
distribution fitted to them, and the fitted shape k says whether they can be relied on: up to
k = 0.7 the error of a weighted mean falls about as fast as the number of draws lets it (Vehtari,
Simpson, Gelman, Yao & Gabry 2024, J Mach Learn Res 25(72):1). The fit is the empirical Bayes
estimator of Zhang & Stephens (2009), Technometrics 51:316.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: shape above which weighted means are not relied on (Vehtari et al. 2024, section 3.2.4)
LARGEST_K = 0.7
_FEWEST_TAIL = 5


@dataclass(frozen=True, eq=False)
class Weights:
    """Normalised importance weights and how far they can be relied on.

    Parameters
    ----------
    log_weights : ndarray, (n_draws,)
        Smoothed; their exponentials sum to 1.
    k : float
        Pareto shape of the largest raw weights; infinite where the tail cannot be fitted.
    """

    log_weights: np.ndarray
    k: float

    @property
    def values(self) -> np.ndarray:
        """(n_draws,) weights that sum to 1."""
        return np.exp(self.log_weights)

    @property
    def effective_size(self) -> float:
        """Number of equally weighted draws that would know a mean as well (Kong 1992)."""
        return float(1.0 / (self.values**2).sum())


def smooth_weights(log_ratios: np.ndarray) -> Weights:
    """Weights from log importance ratios.

    Parameters
    ----------
    log_ratios : ndarray, (n_draws,)
        log target minus log proposal, up to a constant; -inf where the target is 0.

    Returns
    -------
    Weights
    """
    log_weights = np.asarray(log_ratios, dtype=float)
    log_weights = log_weights - log_weights.max()
    n = log_weights.size
    tail = int(np.ceil(min(0.2 * n, 3.0 * np.sqrt(n))))
    k = np.inf
    if tail >= _FEWEST_TAIL:
        log_weights, k = _smooth_tail(log_weights, tail)
    total = np.log(np.exp(log_weights).sum())
    return Weights(log_weights - total, float(k))


def _smooth_tail(log_weights: np.ndarray, tail: int) -> tuple[np.ndarray, float]:
    """The weights with their `tail` largest smoothed, and the shape of that tail."""
    order = np.argsort(log_weights)
    largest = order[-tail:]
    cutoff = np.exp(log_weights[order[-tail - 1]])
    excess = np.exp(log_weights[largest]) - cutoff
    if not excess[0] > 0:  # equal weights have no tail
        return log_weights, -np.inf if np.ptp(log_weights[largest]) == 0 else np.inf
    shape, scale = fit_generalised_pareto(excess)
    if not np.isfinite(shape):
        return log_weights, np.inf
    # a weakly informative prior of k: ten observations of 0.5 (Vehtari et al. 2024, appendix C)
    shape = (tail * shape + 5.0) / (tail + 10.0)
    quantile = (np.arange(tail) + 0.5) / tail
    stretch = -np.log1p(-quantile) if shape == 0 else np.expm1(-shape * np.log1p(-quantile)) / shape
    out = log_weights.copy()
    out[largest] = np.minimum(np.log(cutoff + scale * stretch), 0.0)  # none above the largest raw
    return out, shape


def fit_generalised_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape k and scale sigma of excesses over a threshold; heavy tails have k > 0.

    Parameters
    ----------
    excess : ndarray, (n,)
        In ascending order, > 0.

    Returns
    -------
    shape, scale : float
    """
    n = excess.size
    n_grid = 30 + int(np.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    # theta = -k/sigma over a grid of quantiles of its prior (Zhang & Stephens 2009, section 3)
    theta = 1.0 - np.sqrt(n_grid / (np.arange(1, n_grid + 1) - 0.5))
    theta = theta / (3.0 * quartile) + 1.0 / excess[-1]
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_likelihood = n * (np.log(-theta / shape) - shape - 1.0)
    usable = np.isfinite(log_likelihood)
    if not usable.any():
        return np.inf, np.nan
    weight = np.exp(log_likelihood[usable] - log_likelihood[usable].max())
    mean = float((theta[usable] * weight).sum() / weight.sum())
    fitted = float(np.log1p(-mean * excess).mean())
    return fitted, -fitted / mean


__all__ = ["LARGEST_K", "Weights", "fit_generalised_pareto", "smooth_weights"]
