"""How the model is built and trained."""

from __future__ import annotations

from dataclasses import dataclass

from ..._core.errors import InputError
from ..settings import Settings


@dataclass(frozen=True)
class AllometryConfig(Settings):
    """Sizes and weights.

    Parameters
    ----------
    folds
        inner scaffold folds: each is predicted by a law that has not seen it, and on these
        predictions the intervals are calibrated
    trees
        per parameter, whose mean with the kernel machine is the structure's prediction; 0
        leaves the kernel alone
    hidden
        width of the organs' states
    steps, learning_rate, seed
        of the training
    pretrained
        compounds of the engine on which the law is trained first; 0: none
    graph, messages, ode, table, shuffled
        parts of the law: organs as nodes; messages between them; integration along the path of
        bodies rather than one step; a table of species in place of the drift; organs of another
        species in place of its own (for comparison)
    animal_weight, human_only_weight
        in the loss, of targets other than the human and of compounds without animals
    """

    folds: int = 5
    trees: int = 80
    hidden: int = 10
    steps: int = 70
    learning_rate: float = 0.02
    seed: int = 20261123
    pretrained: int = 0
    graph: bool = False
    messages: bool = True
    ode: bool = False
    table: bool = False
    shuffled: bool = False
    animal_weight: float = 0.25
    human_only_weight: float = 0.15

    def __post_init__(self) -> None:
        for name, low in (
            ("folds", 2),
            ("trees", 0),
            ("hidden", 1),
            ("steps", 1),
            ("seed", 0),
            ("pretrained", 0),
        ):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < low:
                raise InputError(name, getattr(self, name), f"an integer of at least {low}")
