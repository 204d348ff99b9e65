"""How the model is built and trained."""

from __future__ import annotations

from dataclasses import dataclass

from ..._core.errors import InputError
from ..settings import Settings


@dataclass(frozen=True)
class AllometryConfig(Settings):
    """Sizes and priors.

    Parameters
    ----------
    folds, seeds
        members are folds x seeds; each has not seen one inner scaffold fold, on which its
        intervals are calibrated
    landmarks
        directions of the structure kernel that the field sees
    trees
        per parameter, whose mean with the kernel machine is the structure's prediction; 0
        leaves the kernel alone
    hidden
        size of the embedding of a body
    steps, learning_rate, seed
        of the training
    sd_constant, sd_linear, sd_kernel
        prior standard deviations of the field's weights
    graph, ode, one_step
        switch off the organ graph, the members that integrate the law, or those that go
        from species to species in one step at the slope of the source (for comparison)
    animal_weight, human_only_weight
        in the loss, of targets other than the human, of compounds without animals, and of human
        targets with three source species or more
    """

    folds: int = 5
    seeds: int = 1
    landmarks: int = 48
    trees: int = 60
    hidden: int = 6
    steps: int = 120
    learning_rate: float = 0.03
    seed: int = 20261123
    sd_constant: float = 0.5
    sd_linear: float = 0.1
    sd_kernel: float = 0.12
    graph: bool = True
    ode: bool = True
    one_step: bool = True
    animal_weight: float = 0.25
    human_only_weight: float = 0.15
    rich_weight: float = 1.0

    def __post_init__(self) -> None:
        for name, low in (
            ("folds", 2),
            ("seeds", 1),
            ("landmarks", 0),
            ("trees", 0),
            ("hidden", 1),
            ("steps", 1),
            ("seed", 0),
        ):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < low:
                raise InputError(name, getattr(self, name), f"an integer of at least {low}")

        if not (self.ode or self.one_step):
            raise InputError("one_step", False, "True where ode is False: no members are left")

    @property
    def kinds(self) -> tuple[bool, ...]:
        """Of each module, whether it integrates."""
        return tuple(kind for kind, used in ((True, self.ode), (False, self.one_step)) if used)

    @property
    def members(self) -> int:
        """Number of members of each kind."""
        return self.folds * self.seeds
