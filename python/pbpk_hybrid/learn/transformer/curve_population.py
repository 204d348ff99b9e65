"""Priors of curves: of compounds at large, and of the people on one compound, by expectation
and maximisation (Laplace in place of the exact expectation; Racine-Poon 1985, Biometrics
41:1015).

Of compounds at large the prior is fitted to the corpus once and kept in
``data/forecaster/curve_prior.json``. Of one compound it is fitted to all other patients: their mean
starts at compounds at large, their covariance is drawn towards the one that people have on a usual
compound of the corpus, the more the fewer they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from .curve_fit import PARAMETERS, CurvePrior, curves, fit_curves
from .features import Prepared
from .hypotheses import initial_hypotheses

FILE = Path(__file__).parents[1] / "data" / "forecaster" / "curve_prior.json"
#: how many people the covariance of a usual compound counts for, and the error of a usual assay
_USUAL_PEOPLE, _USUAL_SAMPLES, _USUAL_SIGMA = 12.0, 12.0, 0.15
_LEAST_SIGMA, _MOST_SIGMA = 0.05, 0.6
_ROUNDS = 3


@dataclass(frozen=True)
class Priors:
    """Of compounds at large; the covariance (P, P) between people on a usual compound; and the
    fitted curves (C, P) of single compounds, of which the normal prior is a summary.
    """

    compounds: CurvePrior
    people: Tensor
    curves: Tensor


@cache
def shipped_priors() -> Priors:
    """The priors fitted to the corpus, from their file."""
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    tensor = lambda name: torch.tensor(stored[name], dtype=torch.float32)
    compounds = CurvePrior(tensor("mean"), tensor("covariance"), float(stored["sigma"]))
    return Priors(compounds, tensor("people"), tensor("curves"))


def starts(prior: CurvePrior, rows: int) -> Tensor:
    """(B, K, P) starting points: the prior's mean, and it with faster and slower kinetics."""
    spread = prior.covariance.diagonal().sqrt()
    offset = torch.zeros(3, PARAMETERS)
    offset[1, 1], offset[2, 1] = spread[1], -spread[1]
    return (prior.mean + offset).expand(rows, -1, -1)


def rough_prior() -> CurvePrior:
    """Where the fit to the corpus starts: hours to days, two e-folds each way."""
    return CurvePrior(
        initial_hypotheses(1)[0, :PARAMETERS], torch.diag(torch.full((PARAMETERS,), 4.0)), 0.2
    )


def people_prior(
    others: Prepared, priors: Priors | None = None, rounds: int = _ROUNDS
) -> CurvePrior:
    """The prior of a patient, from the samples of all other patients on the compound."""
    use = others.obs_mask & (others.obs_site < 2)
    return _of_people(others, use, priors or shipped_priors(), rounds)


@torch.no_grad()
def _of_people(seen: Prepared, use: Tensor, priors: Priors, rounds: int) -> CurvePrior:
    """Expectation and maximisation from the priors; `use` (B, N)."""
    compounds = priors.compounds
    people = use.any(dim=1)
    n = int(people.sum())
    if n == 0:
        return CurvePrior(compounds.mean, compounds.covariance + priors.people, compounds.sigma)
    # first the curve they have in common, if each is fitted by himself
    wide = CurvePrior(compounds.mean, compounds.covariance, 2 * _USUAL_SIGMA)
    first = fit_curves(seen, wide, starts(wide, len(use)), use, iterations=4)
    best = first.objective.argmin(dim=1)
    theta = first.theta[torch.arange(len(best)), best]
    prior = CurvePrior(theta[people].median(dim=0).values, priors.people, _USUAL_SIGMA)
    for _ in range(rounds):
        start = torch.stack([prior.mean.expand_as(theta), theta], dim=1)
        found = fit_curves(seen, prior, start, use, iterations=3)
        best = found.objective.argmin(dim=1)
        rows = torch.arange(len(best))
        theta, spread = found.theta[rows, best], found.covariance[rows, best]
        prior = _maximise(seen, use, priors, prior, theta, spread)
    return prior


def _maximise(
    seen: Prepared, use: Tensor, priors: Priors, prior: CurvePrior, theta: Tensor, spread: Tensor
) -> CurvePrior:
    """The next prior from fits theta (B, P) and their covariances (B, P, P)."""
    people = use.any(dim=1)
    theta_seen, n = theta[people], int(people.sum())
    between = torch.linalg.inv(prior.covariance)
    large = priors.compounds.precision
    together = torch.linalg.inv(large + n * between)
    mean = together @ (large @ priors.compounds.mean + between @ theta_seen.sum(dim=0))
    off = theta_seen - mean
    moment = off.T @ off + spread[people].sum(dim=0)
    covariance = (_USUAL_PEOPLE * priors.people + moment) / (_USUAL_PEOPLE + n) + together
    residual = (seen.obs_log - curves(seen, seen.obs_time, theta[:, None])[..., 0]).clamp(-1.0, 1.0)
    counts = use & ~seen.obs_censored
    squares = float((residual**2 * counts).sum())
    # each person's fit takes so many of his samples up
    taken = float((PARAMETERS - torch.einsum("bij,ji->b", spread[people], between)).sum())
    left = max(float(counts.sum()) - taken, 0.3 * float(counts.sum()))
    sigma = (_USUAL_SAMPLES * _USUAL_SIGMA**2 + squares) / (_USUAL_SAMPLES + left)
    sigma = min(max(sigma**0.5, _LEAST_SIGMA), _MOST_SIGMA)
    return CurvePrior(mean, covariance, sigma)


__all__ = ["FILE", "Priors", "people_prior", "rough_prior", "shipped_priors", "starts"]
