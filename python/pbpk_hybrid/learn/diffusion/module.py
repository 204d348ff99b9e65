"""The denoiser: a residual network of a person's coordinates, noise level, sex and ethnicity."""

from __future__ import annotations

import torch
from torch import nn

from .config import PCDMConfig


class Denoiser(nn.Module):
    """Preconditioned denoiser D(x; sigma, c) of Karras et al. (2022, arXiv 2206.00364), eq.
    7, with sigma_data = 1.

    .. math::

        D &= c_{skip}\\, x + c_{out}\\, F(c_{in} x; \\tfrac14 \\ln\\sigma, c) \\\\
        c_{skip} &= 1/(\\sigma^2 + 1),\\quad c_{out} = \\sigma/\\sqrt{\\sigma^2 + 1},\\quad
        c_{in} = 1/\\sqrt{\\sigma^2 + 1}

    This parametrisation is chosen because the coordinates have unit variance by
    construction, so that no schedule has to be tuned, and because c_skip gives the network
    nothing to do where there is little noise: residuals that are independent stay so.

    Shapes
    ------
    x : (n, dimension); sigma : (n,); group : (n, groups) one-hot sex and ethnicity; the result
        is (n, dimension)
    """

    def __init__(self, config: PCDMConfig, dimension: int, groups: int) -> None:
        super().__init__()
        width = config.width
        self.register_buffer("frequencies", torch.exp(torch.linspace(0.0, 3.0, 16)))
        self.enter = nn.Linear(dimension, width)
        self.context = nn.Sequential(
            nn.Linear(32 + groups, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
        )
        self.blocks = nn.ModuleList(Block(width) for _ in range(config.blocks))
        self.leave = nn.Linear(width, dimension)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
        """(n, dimension) denoised people, from inputs as under Shapes."""
        shifts = self.modulation(sigma, group)
        return self.denoise(x, sigma[:, None], shifts)

    def modulation(self, sigma: torch.Tensor, group: torch.Tensor) -> list[torch.Tensor]:
        """What noise level and group do to each block, (n, 2 width) each."""
        noise = 0.25 * torch.log(sigma)[:, None] * self.frequencies  # (n, 16)
        # (n, 32 + groups) -> (n, width)
        seen = torch.cat([noise.sin(), noise.cos(), group], 1)
        context = self.context(seen)
        return [block.modulate(context) for block in self.blocks]

    def denoise(
        self, x: torch.Tensor, sigma: torch.Tensor, shifts: list[torch.Tensor]
    ) -> torch.Tensor:
        """D for people whose modulation is known; `sigma` (n, 1) or (1, 1)."""
        variance = sigma**2 + 1
        f = self.direction(x / variance.sqrt(), shifts)
        return x / variance + sigma / variance.sqrt() * f

    def direction(self, y: torch.Tensor, shifts: list[torch.Tensor]) -> torch.Tensor:
        """F of scaled people y = c_in x (n, dimension)."""
        h = self.enter(y)
        for block, shift in zip(self.blocks, shifts, strict=True):
            h = block(h, shift)
        return self.leave(h)


class Block(nn.Module):
    """h + W2 silu(W1 norm(h)(1 + a(c)) + b(c)): context scales and shifts, nothing else
    mixes with it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(width, 2 * width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        for layer in (self.modulate, self.second):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, h: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """(n, width) from h (n, width) and modulation (n, 2 width)."""
        scale, shift = modulation.chunk(2, dim=1)  # (n, width) each
        return h + self.second(nn.functional.silu(self.first(self.norm(h) * (1 + scale) + shift)))
