r"""Log density of people under the model, along the probability-flow ODE.

In the angle t of the noise level (:mod:`.sampler`), with F the network's own output,

.. math:: \ln p(x, g) = \ln p(g) + \ln \mathcal N(y_T; 0, 1) - \int_0^T \nabla\cdot F(y, t)\, dt

(Song et al. 2021, arXiv 2011.13456, eq. 39), by Heun's method. The divergence is exact: one
derivative for each coordinate.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from ..devices import device_of
from .config import PCDMConfig
from .module import Denoiser


def log_density(
    module: Denoiser, config: PCDMConfig, x: torch.Tensor, group: torch.Tensor, steps: int
) -> torch.Tensor:
    """ln p(x | g) of coordinates x (n, dimension), (n,) in double precision.

    Parameters
    ----------
    group : Tensor
        (n, 7) one-hot sex and ethnicity
    steps : int
        noise levels, at even angles
    """
    device, back = device_of(module), x.device
    y, group = x.to(device), group.to(device)
    angles = np.linspace(np.arctan(config.sigma_min), np.arctan(config.sigma_max), steps + 1)
    integral = torch.zeros(len(y), dtype=torch.float64, device=device)
    for low, high in pairwise(angles):
        size = high - low
        f1, divergence1 = _direction(module, y, low, group)
        f2, divergence2 = _direction(module, y - size * f1, high, group)
        y = y - 0.5 * size * (f1 + f2)
        integral += 0.5 * size * (divergence1 + divergence2)
    normal = -0.5 * (y.double() ** 2).sum(1) - 0.5 * y.shape[1] * np.log(2 * np.pi)
    return (normal - integral).to(back)


def _direction(
    module: Denoiser, y: torch.Tensor, angle: float, group: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """F (n, dimension) and its divergence (n,)."""
    sigma = torch.full((len(y),), float(np.tan(angle)), device=y.device)
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        f = module.direction(y, module.modulation(sigma, group))
        divergence = torch.zeros(len(y), device=y.device)
        for k in range(y.shape[1]):
            last = k + 1 == y.shape[1]
            (slope,) = torch.autograd.grad(f[:, k].sum(), y, retain_graph=not last)
            divergence += slope[:, k].detach()
    return f.detach(), divergence


__all__ = ["log_density"]
