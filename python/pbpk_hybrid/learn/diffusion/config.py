"""What a PCDM is made of, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from ..._core.errors import InputError
from ..settings import Settings


@dataclass(frozen=True)
class PCDMConfig(Settings):
    """Settings of the network, the noise and the training.

    Parameters
    ----------
    width, blocks
        Hidden units and residual blocks of the network.
    noise_mean, noise_sd
        Of log sigma in training (Karras et al. 2022, table 1, moved up since the coordinates have
        unit variance instead of 0.5).
    sigma_min, sigma_max, steps
        Noise levels of sampling.
    copies
        How often each person trained on is spread over the rounding of what was measured.
    batch_size, learning_rate, training_steps, evaluate_every, patience, seed
        Of the training; :meth:`.PCDM.fit` puts its own `seed` here.
    """

    width: int = 64
    blocks: int = 2
    noise_mean: float = -0.6
    noise_sd: float = 1.3
    sigma_min: float = 0.01
    sigma_max: float = 40.0
    steps: int = 10
    copies: int = 16
    batch_size: int = 1024
    learning_rate: float = 1e-3
    training_steps: int = 4_000
    evaluate_every: int = 250
    patience: int | None = 6
    seed: int = 1

    def __post_init__(self) -> None:
        for name in (
            "width",
            "blocks",
            "steps",
            "copies",
            "batch_size",
            "training_steps",
            "evaluate_every",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"config.{name}", getattr(self, name), "at least 1")
        if not 0 < self.sigma_min < self.sigma_max:
            raise InputError("config.sigma_min", self.sigma_min, "positive and below sigma_max")
