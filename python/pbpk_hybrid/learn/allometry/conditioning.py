"""The conditional mean and variance of a normal distribution, with missing values: how
sources are weighed.
"""

from __future__ import annotations

import torch
from torch import Tensor


def condition(
    covariance: Tensor, cross: Tensor, variance: Tensor, mask: Tensor, jitter: float = 0.0
) -> tuple[Tensor, Tensor]:
    r"""Weights of the sources' innovations and the variance that remains (simple kriging).

    .. math:: g = C_{ss}^{-1} c_{st}, \qquad v = C_{tt} - c_{st}^T g

    The order of the sources changes nothing.

    Parameters
    ----------
    covariance : Tensor
        (..., n, n) among the sources
    cross : Tensor
        (..., n) of the sources with the target
    variance : Tensor
        (...) of the target
    mask : Tensor
        (..., n), 1 where a source has a value and 0 where not: its weight is then 0
    jitter : float
        added to the diagonal

    Returns
    -------
    gain : Tensor
        (..., n) weights
    variance : Tensor
        (...) conditional variance
    """
    n = mask.shape[-1]
    # rows and columns of missing sources become those of the identity
    inner = covariance * mask[..., None] * mask[..., None, :] + torch.diag_embed(1 - mask)
    if jitter:
        inner = inner + jitter * torch.eye(n, dtype=inner.dtype, device=inner.device)
    cross = cross * mask
    gain = torch.linalg.solve(inner, cross) if n else cross
    return gain, variance - (cross * gain).sum(-1)
