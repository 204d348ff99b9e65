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
        hidden units and residual blocks of the network
    noise_mean, noise_sd
        of log sigma in training (Karras et al. 2022, table 1, moved up since the
        coordinates have unit variance instead of 0.5)
    sigma_min, sigma_max, rho, steps
        noise levels of sampling (Karras et al. 2022, eq. 5)
    physics_weight
        weight of the physics loss; 0 leaves it out (ablation)
    projection
        repair organs that break a rule after sampling (ablation when False)
    condition_share
        share of training people shown with conditions
    measured_weight
        weight of the measured quantities in the loss against the organ residuals, which are
        five times as
    many and
        nearly independent
    pool
        people drawn without a condition when the model is fitted, from whom conditional
        sampling starts
    release
        noise level below which what was measured of them is free again
    batch_size, learning_rate, training_steps, evaluate_every, patience, seed
        of the training; :meth:`.PCDM.fit` puts its own `seed` here
    """

    width: int = 256
    blocks: int = 3
    noise_mean: float = -0.6
    noise_sd: float = 1.3
    sigma_min: float = 0.01
    sigma_max: float = 20.0
    rho: float = 5.0
    steps: int = 24
    physics_weight: float = 0.3
    projection: bool = True
    condition_share: float = 0.5
    measured_weight: float = 4.0
    pool: int = 200_000
    release: float = 0.3
    batch_size: int = 512
    learning_rate: float = 1e-3
    training_steps: int = 8_000
    evaluate_every: int = 500
    patience: int | None = 12
    seed: int = 1

    def __post_init__(self) -> None:
        for name in (
            "width",
            "blocks",
            "steps",
            "pool",
            "batch_size",
            "training_steps",
            "evaluate_every",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"config.{name}", getattr(self, name), "at least 1")
        if not 0 < self.sigma_min < self.sigma_max:
            raise InputError("config.sigma_min", self.sigma_min, "positive and below sigma_max")
        if self.physics_weight < 0:
            raise InputError("config.physics_weight", self.physics_weight, "zero or more")
