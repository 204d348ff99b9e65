"""Draws of a posterior by adaptive importance sampling on the engine.

The first proposal is a mixture of heavy-tailed t distributions around the posterior's mode, with
the Laplace covariance. Each further one is fitted to the weighted draws so far. All draws count,
each weighted by the target over the mixture of all proposals that were used (the deterministic
mixture of Veach & Guibas 1995; Cornuet et al. 2012, Scand J Stat 39:798), and the weights are
Pareto-smoothed. Every round is one batch of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .discrepancy import DiscrepancyPredictor
from .draw_systems import predict_draws
from .error_models import terms
from .objective import Objective
from .parameters import Prior, Scale
from .pareto import Weights, smooth_weights

#: shape at which no further round is due: the error of the weights themselves is small then
_GOOD_K = 0.5
_KERNELS = 48


@dataclass(frozen=True, eq=False)
class ImportanceDraws:
    """Weighted draws of a posterior.

    Parameters
    ----------
    u : ndarray, (n_draws, n_parameters)
        On the scale of the search.
    predicted : ndarray, (n_draws, n_observations)
    weights : Weights
    rounds : int
        Proposals used.
    """

    u: np.ndarray
    predicted: np.ndarray
    weights: Weights
    rounds: int


@dataclass(frozen=True, eq=False)
class _Component:
    """A multivariate t distribution."""

    mean: np.ndarray  # (p,)
    root: np.ndarray  # (p, p) lower triangle of the scale matrix
    freedom: float

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        z = rng.standard_normal((n, len(self.mean)))
        stretch = np.sqrt(self.freedom / rng.chisquare(self.freedom, n))
        return self.mean + (z @ self.root.T) * stretch[:, None]

    def log_density(self, u: np.ndarray) -> np.ndarray:
        from scipy.linalg import solve_triangular
        from scipy.special import gammaln

        p, nu = len(self.mean), self.freedom
        z = solve_triangular(self.root, (u - self.mean).T, lower=True)
        constant = gammaln((nu + p) / 2) - gammaln(nu / 2) - 0.5 * p * np.log(nu * np.pi)
        constant -= np.log(np.diag(self.root)).sum()
        return constant - 0.5 * (nu + p) * np.log1p((z**2).sum(axis=0) / nu)


@dataclass(frozen=True, eq=False)
class _Mixture:
    components: tuple[_Component, ...]
    shares: np.ndarray

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, p): each component has its share to within one draw."""
        ends = np.round(np.cumsum(self.shares) / self.shares.sum() * n).astype(int)
        counts = np.diff(ends, prepend=0)
        parts = [c.draw(k, rng) for c, k in zip(self.components, counts, strict=True)]
        return np.concatenate(parts)

    def log_density(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import logsumexp

        each = np.stack([c.log_density(u) for c in self.components])
        return logsumexp(each, axis=0, b=(self.shares / self.shares.sum())[:, None])


def draw_by_importance(
    objective: Objective,
    u: np.ndarray,
    covariance: np.ndarray,
    *,
    draws: int,
    rng: np.random.Generator,
    rounds: int = 5,
) -> ImportanceDraws:
    """Weighted draws of the posterior of an Objective.

    Parameters
    ----------
    objective : Objective
    u : ndarray, (n_parameters,)
        Its mode.
    covariance : ndarray, (n_parameters, n_parameters)
        Inverse of the information there.
    draws : int
        Draws of each round.
    rng : numpy Generator
    rounds : int
        At most; fewer where the effective size is half of `draws` and k below 0.5 before.

    Returns
    -------
    ImportanceDraws
    """
    from scipy.special import logsumexp

    proposals, drawn, seen, log_target = [_first_proposal(u, covariance)], [], [], []
    while True:
        new = proposals[-1].draw(draws, rng)
        predicted = predict_objective(objective, new)
        drawn.append(new)
        seen.append(predicted)
        log_target.append(log_posterior(objective, new, predicted))
        every = np.concatenate(drawn)
        mixed = logsumexp([q.log_density(every) for q in proposals], axis=0)
        weights = smooth_weights(np.concatenate(log_target) - mixed)
        even = weights.effective_size >= 0.5 * draws
        if (weights.k < _GOOD_K and even) or len(proposals) == rounds:
            return ImportanceDraws(every, np.concatenate(seen), weights, len(proposals))
        proposals.append(_next_proposal(every, weights, covariance, rng))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Lower triangular root of a covariance; directions without information are kept finite."""
    size, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    size = np.clip(size, 1e-12 * max(float(size.max()), 1e-12), 25.0)
    return np.linalg.cholesky((vectors * size) @ vectors.T)


def _first_proposal(u: np.ndarray, covariance: np.ndarray) -> _Mixture:
    root = _root(covariance)
    components = (_Component(u, root, 7.0), _Component(u, 1.8 * root, 4.0))
    return _Mixture(components, np.array([0.75, 0.25]))


def _next_proposal(
    u: np.ndarray, weights: Weights, covariance: np.ndarray, rng: np.random.Generator
) -> _Mixture:
    """A t distribution with the weighted moments, and kernels on draws, which follow any shape."""
    w, p = weights.values, u.shape[1]
    mean = w @ u
    moved = u - mean
    size = weights.effective_size
    # few effective draws know no covariance: then the earlier one counts too
    found = (moved * w[:, None]).T @ moved
    found = (size * found + 2.0 * p * covariance) / (size + 2.0 * p)
    root = _root(found)
    bandwidth = (4.0 / ((p + 2.0) * max(size, 2.0))) ** (1.0 / (p + 4.0))  # Silverman's rule
    centres = u[rng.choice(len(u), _KERNELS, p=w)]
    kernels = tuple(_Component(c, min(bandwidth, 0.7) * root, 5.0) for c in centres)
    wide = (_Component(mean, root, 7.0), _Component(mean, 1.7 * root, 4.0))
    shares = np.r_[0.45, 0.2, np.full(_KERNELS, 0.35 / _KERNELS)]
    return _Mixture((*wide, *kernels), shares)


# ---- the target ---------------------------------------------------------------------------------


def predict_objective(objective: Objective, u: np.ndarray) -> np.ndarray:
    """(n_draws, n_observations) predictions at the rows of u."""
    values = target_values(objective, u)
    predictor = objective.predictor
    if not isinstance(predictor, DiscrepancyPredictor):
        return predict_draws(predictor, values, len(u))
    values, coefficients = predictor.split(values)
    factor = np.exp(coefficients.T @ predictor.basis.T)
    return factor * predict_draws(predictor.inner, values, len(u))


def target_values(objective: Objective, u: np.ndarray) -> dict[str, np.ndarray]:
    """Values of the model's targets at the rows of u: (n_draws,), or by subject (n_draws, n)."""
    values = {}
    for i, p in enumerate(objective.parameters):
        x = np.asarray(p.scale.back(u[:, i]), dtype=float)
        for target in p.targets:
            own = np.atleast_1d(objective.predictor.own[target]) if p.factor else np.ones(1)
            values[target] = x * own[0] if own.size == 1 else x[:, None] * own
    return values


def log_posterior(objective: Objective, u: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(n_draws,) log density on the scale of the search, up to a constant.

    Parameters
    ----------
    objective : Objective
    u : ndarray, (n_draws, n_parameters)
    predicted : ndarray, (n_draws, n_observations)

    Returns
    -------
    ndarray
        -inf outside the bounds and where the model cannot be integrated.
    """
    out = -0.5 * (deviance_terms(objective, u, predicted).sum(axis=1))
    for i, (prior, scale) in enumerate(zip(objective.priors, objective.scales, strict=True)):
        x = np.asarray(scale.back(u[:, i]), dtype=float)
        with np.errstate(all="ignore"):
            if prior is not None:
                out = out - 0.5 * prior.residual(x)[0] ** 2
            out = out + _log_jacobian(prior, scale, x)
    low, high = objective.bounds
    inside = ((u >= low) & (u <= high)).all(axis=1)
    return np.where(inside & np.isfinite(out), out, -np.inf)


def deviance_terms(objective: Objective, u: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(n_draws, n_observations) -2 log likelihood of each observation, up to a constant."""
    n, m = predicted.shape
    d, error = objective.data, objective.error
    free = iter(np.exp(u[:, objective.n_model :]).T)
    each = [
        np.full(n, error.fixed[name]) if name in error.fixed else next(free) for name in error.names
    ]
    flat = terms(
        error,
        predicted.ravel(),
        np.array([np.repeat(e, m) for e in each]),
        np.tile(d.value, n),
        np.tile(d.lloq, n),
        np.tile(d.censored, n),
    )
    return (flat.r**2 + flat.l).reshape(n, m)


def _log_jacobian(prior: Prior | None, scale: Scale, x: np.ndarray) -> np.ndarray | float:
    """log |d(the prior's own variable)/du|, as :func:`.nuts.log_jacobian` for one value."""
    if scale.kind == "log":
        natural = np.log(x)
    elif scale.kind == "logit":
        share = (x - scale.lower) / (scale.upper - scale.lower)
        natural = np.log((scale.upper - scale.lower) * share * (1.0 - share))
    else:
        natural = np.zeros_like(x)
    if prior is None:
        return natural if scale.kind == "logit" else 0.0
    return natural - np.log(x) if prior.native == "log" else natural


__all__ = [
    "ImportanceDraws",
    "deviance_terms",
    "draw_by_importance",
    "log_posterior",
    "predict_objective",
    "target_values",
]
