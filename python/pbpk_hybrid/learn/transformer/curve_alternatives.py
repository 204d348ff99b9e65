"""Curves of compounds at large that could have made the samples: the forecast that knows nothing
but the samples, and the measure of how strange they are.

The prior is the normal one of compounds at large (:func:`.curve_population.shipped_priors`). The
fit starts at its mean and at those of the corpus' fitted curves that are nearest to the samples, so
that a drug a hundred times faster than the usual one is found.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .curve_fit import CurvePrior, Fitted, curves, fit_curves
from .curve_population import Priors
from .features import Prepared

#: curves that fits start at beside the mean, of each so many-th curve of the corpus; and the ln sd
#: by which a curve may miss the samples before it is fitted to them, with Student's t
_NEAREST, _EVERY, _MISS, _DEGREES = 3, 4, 0.45, 5.0


@torch.no_grad()
def alternatives(
    patients: Prepared, priors: Priors, use: Tensor, iterations: int = 5
) -> tuple[CurvePrior, Fitted]:
    """The prior of compounds at large, and fits (B, K) under it; `use` (B, N): samples that
    count.
    """
    prior, some = priors.compounds, priors.curves[::_EVERY]
    best = _misses(patients, some, use).topk(_NEAREST, dim=1, largest=False).indices
    start = torch.cat([prior.mean.expand(len(use), 1, -1), some[best]], dim=1)
    return prior, fit_curves(patients, prior, start, use, iterations)


def least_miss(patients: Prepared, priors: Priors, use: Tensor) -> Tensor:
    """(B,) how far the nearest of the curves at large is from the samples: the sum over samples
    of ln(1 + z^2 / 5).
    """
    return _misses(patients, priors.curves[:: 2 * _EVERY], use).amin(dim=1)


def _misses(patients: Prepared, theta: Tensor, use: Tensor) -> Tensor:
    """(B, C) misses of curves (C, P)."""
    values = curves(patients, patients.obs_time, theta.expand(len(use), -1, -1))
    residual = patients.obs_log[..., None] - values
    residual = torch.where(patients.obs_censored[..., None], residual.clamp_max(0), residual)
    miss = torch.log1p((residual / _MISS) ** 2 / _DEGREES) * use[..., None]
    return miss.sum(dim=1)


__all__ = ["alternatives", "least_miss"]
