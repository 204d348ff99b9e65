"""The predictive distribution of ln concentration: a mixture of normals; a value below its
limit counts by its probability.

A mixture because it holds the alternatives that few samples leave open (fast or slow
elimination, absorption still going on), and has a density, a distribution function and
quantiles without a grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass
class Mixture:
    """(B, Q, M) each: ln weight (summing to 1), mean and ln sd of ln concentration."""

    log_weight: Tensor
    mean: Tensor
    log_sd: Tensor

    def float(self) -> Mixture:
        """In single precision, which its tails need whatever the network computed in."""
        return Mixture(self.log_weight.float(), self.mean.float(), self.log_sd.float())

    def to(self, device: torch.device | str) -> Mixture:
        """On another device."""
        return Mixture(self.log_weight.to(device), self.mean.to(device), self.log_sd.to(device))

    def log_density(self, x: Tensor) -> Tensor:
        """(B, Q) ln density at ln concentrations x (B, Q)."""
        z = (x[..., None] - self.mean) * torch.exp(-self.log_sd)
        return torch.logsumexp(self.log_weight - 0.5 * z * z - self.log_sd - _HALF_LOG_2PI, dim=-1)

    def log_probability_below(self, x: Tensor) -> Tensor:
        """(B, Q) ln probability of a value below x (B, Q), for samples below their limit."""
        z = (x[..., None] - self.mean) * torch.exp(-self.log_sd)
        return torch.logsumexp(self.log_weight + torch.special.log_ndtr(z), dim=-1)

    def distribution(self, x: Tensor) -> Tensor:
        """P(X <= x) for x (..., Q, n): (B, Q, n)."""
        z = (x[..., None] - self.mean[..., None, :]) * torch.exp(-self.log_sd)[..., None, :]
        return (torch.exp(self.log_weight)[..., None, :] * torch.special.ndtr(z)).sum(dim=-1)

    def quantiles(self, levels: Tensor) -> Tensor:
        """(B, Q, n) by bisection between the outermost quantiles of the components,
        finished by Newton steps.
        """
        z = torch.special.ndtri(levels.to(self.mean.dtype))
        needed = (self.log_weight > -12.0).flatten(0, -2).any(dim=0)
        if not needed.all():  # components about a mechanistic curve, where no compound is given
            return Mixture(
                self.log_weight[..., needed], self.mean[..., needed], self.log_sd[..., needed]
            ).quantiles(levels)
        each = self.mean[..., None] + torch.exp(self.log_sd)[..., None] * z  # (B, Q, M, n)
        alive = (self.log_weight > -12.0)[..., None]
        low = torch.where(alive, each, torch.inf).amin(dim=-2)
        high = torch.where(alive, each, -torch.inf).amax(dim=-2)
        scale, weight = (
            torch.exp(-self.log_sd)[..., None, :],
            torch.exp(self.log_weight)[..., None, :],
        )
        x = 0.5 * (low + high)
        for step in range(12):
            before = x
            score = (x[..., None] - self.mean[..., None, :]) * scale
            below = (weight * torch.special.ndtr(score)).sum(dim=-1)
            low, high = torch.where(below < levels, x, low), torch.where(below < levels, high, x)
            x = 0.5 * (low + high)
            if step < 9:
                continue
            # on the scale of a normal variate the distribution is nearly straight, out into
            # its tails
            at = torch.special.ndtri(below.clamp(1e-7, 1 - 1e-7))
            slope = (weight * scale * torch.exp(-0.5 * score * score)).sum(dim=-1)
            newton = before - (at - z) * torch.exp(-0.5 * at * at) / slope.clamp_min(1e-12)
            x = torch.where((newton >= low) & (newton <= high), newton, x)
        return x

    @property
    def expected(self) -> Tensor:
        """(B, Q) mean of ln concentration."""
        return (torch.exp(self.log_weight) * self.mean).sum(dim=-1)


def negative_log_likelihood(mixture: Mixture, x: Tensor, censored: Tensor, mask: Tensor) -> Tensor:
    """Mean over what is asked; one value may cost at most 30, so that no single one steers
    a step.
    """
    each = -torch.where(censored, mixture.log_probability_below(x), mixture.log_density(x))
    return (each.clamp_max(30.0) * mask).sum() / mask.sum().clamp_min(1)


__all__ = ["Mixture", "negative_log_likelihood"]
