r"""What sources say: the states of a compound in all its bodies, given what was measured.

The prior is normal with the law's mean m and covariance C, measurements y are the readout h of the
states with normal errors R. The most probable states are found by Gauss and Newton,

.. math::
    z \leftarrow m + C H^T (H C H^T + R)^{-1} (y - h(z) + H (z - m))

(the iterated Kalman update; Bell & Cathey 1993, IEEE Trans Automat Contr 38:294). Errors have
heavy tails: a measurement r standard deviations off weighs (nu + 1)/(nu + r^2) of one that fits.
The variance is widened by (nu + chi^2)/(nu + n) where the sources disagree with the law or with
each other, as in a Student-t process (Shah, Wilson & Ghahramani 2014, AISTATS), never narrowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .readout import within

NU = 4.0  # degrees of freedom: a few compounds scale like no other
ITERATIONS = 5


@dataclass(frozen=True)
class Conditioned:
    """States and readouts at P bodies.

    Parameters
    ----------
    z : Tensor
        (n, P, 3)
    y : Tensor
        (n, P, 4) readout
    covariance : Tensor
        (n, 4P, 4P) of the readout, without errors of measurement
    gain : Tensor
        (n, 4P, 4P) of readouts by measurements
    """

    z: Tensor
    y: Tensor
    covariance: Tensor
    gain: Tensor

    def variance(self, point: int) -> Tensor:
        """(n, 4) of the readout of one body."""
        return torch.diagonal(self.covariance, dim1=-2, dim2=-1)[:, 4 * point : 4 * point + 4]


def condition(
    mean: Tensor,
    covariance: Tensor,
    observed: Tensor,
    mask: Tensor,
    measured: Callable[[Tensor], tuple[Tensor, Tensor]],
    noise: Tensor,
) -> Conditioned:
    """The most probable states and their linearised uncertainty.

    Parameters
    ----------
    mean : Tensor
        (n, P, 3)
    covariance : Tensor
        (n, 3P, 3P)
    observed : Tensor
        (n, P, 4), anything where not measured
    mask : Tensor
        (n, P, 4) bool, what was measured
    measured : callable
        states -> readout (n, P, 4) and Jacobian (n, P, 4, 3)
    noise : Tensor
        (4,) variances
    """
    n, points, _ = mean.shape
    use = mask.reshape(n, -1).to(mean.dtype)
    given = torch.where(mask, observed, mean.new_zeros(()))
    z = mean
    for _ in range(ITERATIONS):
        h, jacobian = measured(z)
        residual = (given - h) * mask
        across, inner = _projected(jacobian, covariance)
        weight = (NU + 1) / (NU + residual.detach() ** 2 / (2 * noise))
        error = (noise / weight.clamp(max=1.0)).reshape(n, -1)
        inner = inner * use[:, :, None] * use[:, None] + torch.diag_embed(use * error + 1 - use)
        innovation = residual + torch.einsum("npij,npj->npi", jacobian, z - mean) * mask
        innovation = innovation.reshape(n, -1)
        across = across * use[:, :, None]
        solved = torch.linalg.solve(inner, innovation) * use
        z = within(mean + torch.einsum("nqs,nq->ns", across, solved).reshape(n, points, 3))
    squared = (innovation * solved).sum(-1)
    count = use.sum(-1)
    widened = ((NU + squared) / (NU + count)).clamp(min=1.0)
    y, jacobian = measured(z)
    solved = torch.linalg.solve(inner, across)
    remaining = covariance - torch.einsum("nqs,nqr->nsr", across, solved)
    _, of_readout = _projected(jacobian, remaining)
    gain = torch.einsum("npij,nqpj->npiq", jacobian, solved.reshape(n, -1, points, 3)).reshape(
        n, 4 * points, -1
    )
    return Conditioned(z, y, of_readout * widened[:, None, None], gain)


def _projected(jacobian: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """J C (n, 4P, 3P) and J C J' (n, 4P, 4P) of block-diagonal J."""
    n, points = jacobian.shape[:2]
    across = torch.einsum(
        "npij,npjs->npis", jacobian, covariance.reshape(n, points, 3, 3 * points)
    ).reshape(n, 4 * points, 3 * points)
    inner = torch.einsum("nqpj,npij->nqpi", across.reshape(n, 4 * points, points, 3), jacobian)
    return across, inner.reshape(n, 4 * points, 4 * points)
