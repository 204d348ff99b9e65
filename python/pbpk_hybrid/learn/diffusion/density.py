r"""Log density of people under the model, along the probability-flow ODE.

.. math:: \ln p(x, g) = \ln p(g) + \ln \mathcal N(x_T; 0, \sigma_{max}^2)
          + \int_{\sigma_{min}}^{\sigma_{max}}
          \nabla\cdot \frac{x - D(x; \sigma, g)}{\sigma} \, d\sigma

(Song et al. 2021, arXiv 2011.13456, eq. 39), by Heun's method. The divergence is exact: one
derivative for each coordinate.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from ..devices import device_of
from .config import PCDMConfig
from .module import CONDITIONS, Denoiser


def log_density(
    module: Denoiser, config: PCDMConfig, x: torch.Tensor, group: torch.Tensor, steps: int
) -> torch.Tensor:
    """ln p(x | g) of coordinates x (n, dimension), (n,) in double precision.

    Parameters
    ----------
    group : Tensor
        (n, 7) one-hot sex and ethnicity
    steps : int
        noise levels, equidistant in ln sigma
    """
    device, back = device_of(module), x.device
    x, group = x.to(device), group.to(device)
    levels = torch.exp(
        torch.linspace(np.log(config.sigma_min), np.log(config.sigma_max), steps + 1)
    ).to(device)
    integral = torch.zeros(len(x), dtype=torch.float64, device=device)
    for low, high in pairwise(levels):
        size = high - low
        v1, divergence1 = _velocity(module, x, low, group)
        v2, divergence2 = _velocity(module, x + size * v1, high, group)
        x = x + 0.5 * size * (v1 + v2)
        integral += 0.5 * size * (divergence1 + divergence2)
    normaliser = x.shape[1] * np.log(config.sigma_max * np.sqrt(2 * np.pi))
    start = -0.5 * (x.double() ** 2).sum(1) / config.sigma_max**2 - normaliser
    return (integral + start).to(back)


def _velocity(
    module: Denoiser, x: torch.Tensor, sigma: torch.Tensor, group: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """dx/dsigma (n, dimension) and its divergence (n,), without a condition."""
    dimension = x.shape[1]
    unconditional = torch.zeros(len(x), len(CONDITIONS), 3, device=x.device)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        v = (x - module(x, sigma.expand(len(x)), group, unconditional)) / sigma
        divergence = torch.zeros(len(x), device=x.device)
        for k in range(dimension):
            last = k + 1 == dimension
            (slope,) = torch.autograd.grad(v[:, k].sum(), x, retain_graph=not last)
            divergence += slope[:, k]
    return v.detach(), divergence


__all__ = ["log_density"]
