"""Curves fitted to the samples themselves: the most probable parameters of a hypothesis under
a normal prior, by damped Gauss-Newton steps, for many patients at once.

The network's own curves go near the samples, not through them, and a compound unlike the corpus
they miss. Here the parameters of :mod:`.hypotheses` are fitted to what was measured, in the
network's units (so that one prior serves mice and people): the samples have Student's t about the
ln curve, the parameters a normal prior, of compounds at large or of the other patients
(:mod:`.curve_population`). The second derivative at the solution gives the spread (Laplace).

Shapes: B patients, N samples, K starting points, P parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .features import Prepared
from .hypotheses import Column, curve_parameters, log_concentration
from .superposition import responses

#: columns of the raw parameters that are fitted: all of a linear curve
PARAMETERS = Column.LAG_KB + 1
#: step of the forward differences, in units of the parameters (logarithms and logits)
_STEP = 0.02
#: parts of a Gauss-Newton step that are tried, and the longest step in prior sds
_TRIALS, _LONGEST = (1.0, 0.4, 0.1), 2.5
#: degrees of freedom of the samples about their curve
_DEGREES = 5.0


@dataclass(frozen=True)
class CurvePrior:
    """Normal prior of the parameters, and the ln sd of samples about their curve.

    Parameters
    ----------
    mean
        (P,)
    covariance
        (P, P)
    sigma
        ln sd of a sample
    """

    mean: Tensor
    covariance: Tensor
    sigma: float

    @property
    def precision(self) -> Tensor:
        """(P, P)."""
        return torch.linalg.inv(self.covariance)


@dataclass(frozen=True)
class Fitted:
    """Fits of B patients from K starting points.

    Parameters
    ----------
    theta
        (B, K, P) most probable parameters
    covariance
        (B, K, P, P) of the posterior
    objective
        (B, K) twice the negative log posterior, less its constant: about chi square of as many
        degrees of freedom as there are samples, where the prior and the error are right
    log_evidence
        (B, K) ln density of the samples, of the normal approximation
    """

    theta: Tensor
    covariance: Tensor
    objective: Tensor
    log_evidence: Tensor


def curves(patients: Prepared, time: Tensor, theta: Tensor) -> Tensor:
    """(B, T, K) ln concentrations of parameters (B, K, P) at times (B, T)."""
    missing = Column.COUNT - theta.shape[-1]
    raw = torch.nn.functional.pad(theta, (0, missing))
    return log_concentration(responses(patients, time, curve_parameters(raw)))


def slopes(patients: Prepared, time: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """ln concentrations (B, T, K) and their derivatives (B, T, K, P), by forward differences."""
    _, n_fits, n = theta.shape
    moved = theta[:, :, None, :] + _STEP * torch.eye(n, dtype=theta.dtype)  # (B, K, P, P)
    every = torch.cat([theta[:, :, None, :], moved], dim=2).flatten(1, 2)
    values = curves(patients, time, every).unflatten(-1, (n_fits, 1 + n))
    return values[..., 0], (values[..., 1:] - values[..., :1]) / _STEP


@torch.no_grad()
def fit_curves(
    patients: Prepared, prior: CurvePrior, start: Tensor, use: Tensor, iterations: int = 4
) -> Fitted:
    """Most probable curves from the samples of `use`.

    Parameters
    ----------
    start
        (B, K, P) starting points
    use
        (B, N) bool, which samples count
    """
    precision, mean = prior.precision, prior.mean.expand_as(start)
    spread = prior.covariance.diagonal().sqrt()
    theta = start.clone()
    best = _objective(patients, prior, precision, theta, use)
    for _ in range(iterations):
        step, _ = _step(patients, prior, precision, theta, use)
        longest = (step / spread).abs().amax(dim=-1, keepdim=True)
        step = step * (_LONGEST / longest.clamp_min(_LONGEST))
        tried = torch.stack([theta + part * step for part in _TRIALS], dim=2)  # (B, K, trials, P)
        about = replace(prior, mean=mean.repeat_interleave(len(_TRIALS), dim=1))
        cost = _objective(patients, about, precision, tried.flatten(1, 2), use)
        cost, which = cost.unflatten(-1, (theta.shape[1], -1)).min(dim=-1)
        chosen = tried.gather(2, which[..., None, None].expand(-1, -1, 1, theta.shape[-1]))[:, :, 0]
        better = cost < best
        theta = torch.where(better[..., None], chosen, theta)
        best = torch.where(better, cost, best)
    _, information = _step(patients, prior, precision, theta, use)
    factor = torch.linalg.cholesky(information)
    covariance = torch.cholesky_inverse(factor)
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    log_det_prior = torch.linalg.slogdet(precision)[1]
    density = _log_density(patients, prior, theta, use)
    off = theta - mean
    square = torch.einsum("bkp,pq,bkq->bk", off, precision, off)
    evidence = density - 0.5 * square + 0.5 * (log_det_prior - log_det)
    return Fitted(theta, covariance, best, evidence)


def _residuals(patients: Prepared, values: Tensor, use: Tensor) -> tuple[Tensor, Tensor]:
    """Measured less fitted ln values (B, N, K), 0 where nothing speaks against a curve, and where
    a sample speaks (B, N, K).
    """
    residual = patients.obs_log[..., None] - values
    below = patients.obs_censored[..., None]
    counts = use[..., None] & ~(below & (residual > 0))
    return torch.where(counts, residual, 0.0), counts


def _objective(
    patients: Prepared, prior: CurvePrior, precision: Tensor, theta: Tensor, use: Tensor
) -> Tensor:
    """(B, K) twice the negative log posterior, less its constant."""
    residual, _ = _residuals(patients, curves(patients, patients.obs_time, theta), use)
    z = (residual / prior.sigma) ** 2
    misfit = ((_DEGREES + 1) * torch.log1p(z / _DEGREES)).sum(dim=1)  # (B, K)
    off = theta - prior.mean
    square = torch.einsum("bkp,pq,bkq->bk", off, precision, off)
    return torch.nan_to_num(misfit + square, nan=1e9)


def _step(
    patients: Prepared, prior: CurvePrior, precision: Tensor, theta: Tensor, use: Tensor
) -> tuple[Tensor, Tensor]:
    """The Gauss-Newton step (B, K, P) and the information (B, K, P, P)."""
    values, slope = slopes(patients, patients.obs_time, theta)
    residual, counts = _residuals(patients, values, use)
    slope = slope * counts[..., None]
    z = (residual / prior.sigma) ** 2
    weight = (_DEGREES + 1) / (_DEGREES + z) / prior.sigma**2  # of Student's t
    weighted = slope * weight[..., None]
    information = torch.einsum("bnkp,bnkq->bkpq", weighted, slope) + precision
    pull = torch.einsum("bnkp,bnk->bkp", weighted, residual) - (theta - prior.mean) @ precision
    factor = torch.linalg.cholesky(information)
    step = torch.cholesky_solve(pull[..., None], factor)[..., 0]
    return step, information


def _log_density(patients: Prepared, prior: CurvePrior, theta: Tensor, use: Tensor) -> Tensor:
    """(B, K) ln density of the samples about the curves; what lies below its limit counts 0."""
    values = curves(patients, patients.obs_time, theta)
    residual, _ = _residuals(patients, values, use)
    each = _log_student(residual, prior.sigma)
    return (each * (use & ~patients.obs_censored)[..., None]).sum(dim=1)


def _log_student(residual: Tensor, sigma: float) -> Tensor:
    half = torch.tensor(0.5 * (_DEGREES + 1))
    constant = (
        torch.lgamma(half)
        - torch.lgamma(torch.tensor(0.5 * _DEGREES))
        - 0.5 * torch.log(torch.tensor(torch.pi * _DEGREES * sigma**2))
    )
    return constant - half * torch.log1p((residual / sigma) ** 2 / _DEGREES)


@torch.no_grad()
def predict_curves(
    patients: Prepared, time: Tensor, fitted: Fitted, prior: CurvePrior
) -> tuple[Tensor, Tensor]:
    """Mean and sd of what would be measured, ln, at times (B, T): (B, T, K) both."""
    # the columns of the factor are independent deviations of one sd each
    ahead = torch.linalg.cholesky(fitted.covariance).transpose(-1, -2)  # (B, K, P, P)
    moved = fitted.theta[:, :, None, :] + _PART * ahead
    every = torch.cat([fitted.theta[:, :, None, :], moved], dim=2)
    values = curves(patients, time, every.flatten(1, 2)).unflatten(-1, every.shape[1:3])
    mean = values[..., 0]
    spread = (((values[..., 1:] - values[..., :1]) / _PART) ** 2).sum(dim=-1)
    return mean, torch.sqrt(spread.clamp_max(_MOST_SPREAD**2) + prior.sigma**2)


#: part of a posterior sd by which curves are moved to find their spread, and the widest ln sd that
#: a curve is given
_PART, _MOST_SPREAD = 0.5, 4.0

__all__ = ["PARAMETERS", "CurvePrior", "Fitted", "curves", "fit_curves", "predict_curves", "slopes"]
