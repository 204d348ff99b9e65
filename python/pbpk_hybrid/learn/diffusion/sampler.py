r"""From noise to scores: the probability-flow ODE in the angle of the noise level.

With \sigma = \tan t and y = x / \sqrt{1 + \sigma^2} the ODE of Karras et al. (2022, arXiv
2206.00364) is

.. math:: \frac{dy}{dt} = -F(y, t),

with F the network's own output, see :class:`.module.Denoiser`. Scores that were normal and
independent would have F = 0 and no error at any step length; of people only what makes them
different from that has to be integrated. Solvers in \sigma or \ln \sigma have the trivial part to
integrate as well: DPM-Solver++(2M) with 16 steps left standard deviations 3.5 % too large, Adams
and Bashforth's two-step method in t with 10 steps leaves 0.1 %.
"""

from __future__ import annotations

import numpy as np
import torch

from ...physiology.adults.survey import ETHNICITIES
from ..devices import autocast, device_of
from ..threads import over_threads
from .config import PCDMConfig
from .module import Denoiser
from .training import groups

_CHUNK = 2048  # people at a time on a thread: their hidden layers stay in the processor's cache
N_GROUPS = 2 * len(ETHNICITIES)  #: group = sex x 5 + ethnicity, sex 1 for male


def angles(config: PCDMConfig) -> np.ndarray:
    """(steps + 1,) evenly falling angles of the noise level; the last is 0."""
    ends = np.arctan(config.sigma_max), np.arctan(config.sigma_min)
    return np.append(np.linspace(*ends, config.steps), 0.0)


class Flow:
    """The map from standard normal noise to scores of people.

    What the network makes of noise level and group is the same for all people of a group and
    computed once.

    Parameters
    ----------
    module : Denoiser
        The network.
    config : PCDMConfig
        Its noise levels.
    precision
        of the network, see :class:`~pbpk_hybrid.learn.devices.OnDevice`
    """

    def __init__(self, module: Denoiser, config: PCDMConfig, precision: str = "float32") -> None:
        self._module, self._device, self._precision = module, device_of(module), precision
        self._angles = angles(config)
        number = torch.arange(N_GROUPS)
        one_hot = groups(number >= len(ETHNICITIES), number % len(ETHNICITIES))
        levels = torch.tensor(np.tan(self._angles[:-1]), dtype=torch.float32)
        one_hot, levels = one_hot.to(self._device), levels.to(self._device)
        with torch.no_grad():
            self._shifts = [module.modulation(level.expand(N_GROUPS), one_hot) for level in levels]

    def scores(self, noise: np.ndarray, group: np.ndarray) -> np.ndarray:
        """(n, dimension) scores of noise (n, dimension) and groups (n,)."""
        out = np.empty(noise.shape)
        pieces = []
        for number in np.unique(group):
            rows = np.flatnonzero(group == number)
            pieces += [(int(number), rows[i : i + _CHUNK]) for i in range(0, rows.size, _CHUNK)]

        def piece(task: tuple[int, np.ndarray]) -> np.ndarray:
            number, rows = task
            y = torch.tensor(noise[rows], dtype=torch.float32, device=self._device)
            with autocast(self._device, self._precision):
                return self._solve(y, number).float().cpu().numpy()

        found_of_all = over_threads(piece, pieces, self._device)
        for (_, rows), found in zip(pieces, found_of_all, strict=True):
            out[rows] = found
        return out

    def _solve(self, y: torch.Tensor, group: int) -> torch.Tensor:
        """From the largest noise level to none, by Adams and Bashforth; y (n, dimension)."""
        before, last = None, 0.0
        steps = -np.diff(self._angles)
        for step, shifts in zip(steps, self._shifts, strict=True):
            slope = self._module.direction(y, [shift[group : group + 1] for shift in shifts])
            share = 0.0 if before is None else step / (2 * last)
            y = y + step * ((1 + share) * slope - (0.0 if before is None else share * before))
            before, last = slope, step
        return y


__all__ = ["N_GROUPS", "Flow", "angles"]
