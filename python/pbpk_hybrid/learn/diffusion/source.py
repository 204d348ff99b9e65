"""The model as a source of people like a table: drawn tilted, exactly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...physiology.like.sample import Task
from ...physiology.like.tilt import features, tilt
from .coordinates import MEASURED
from .crowd import Columns, Crowd, Maker
from .goal import goal_of

_PARENTS = 4000  # people by whom the first slope is found
_FEWEST = 40.0  # effective number of them
_FEWEST_CANDIDATES = 3000
_FOR_EACH = 5  # candidates for each person asked for


class ModelSource:
    """Candidates of the diffusion model; see :class:`pbpk_hybrid.physiology.like.sample.Source`.

    Parameters
    ----------
    maker : Maker
        Makes people.
    rng : Generator
        Of the noise.
    task : Task
        As asked.
    groups : ndarray
        (group,) chances of sex and ethnicity.
    n_people : int
        How many the model was trained on.
    ranges : mapping
        Quantity -> (low, high) of those people.
    """

    method = "physiologically constrained diffusion model, weighted to meet a table"
    sources = "NHANES 2013-2018 (CDC/NCHS); arXiv 2602.18472; Hainmueller 2012"

    def __init__(
        self,
        maker: Maker,
        rng: np.random.Generator,
        task: Task,
        groups: np.ndarray,
        n_people: int,
        ranges: Mapping[str, tuple[float, float]],
    ) -> None:
        self._maker, self._rng, self._task, self._groups = maker, rng, task, groups
        self._reach = {name: ranges[name] for name in MEASURED[1:]}
        ages = ranges["age"]
        found = maker.find(_PARENTS, goal_of(task, groups, reach=self._reach), rng)
        self._parents: Crowd = found.crowd
        self.behind = found.probability * n_people
        self.ages = f"{ages[0]:.0f} to {ages[1]:.0f}"

    def slope(self, n: int) -> np.ndarray:
        """See :class:`pbpk_hybrid.physiology.like.sample.Source`."""
        f = features(self._task.balanced, self._parents.columns)
        return tilt(f, np.zeros(len(f)), _FEWEST).slope

    def candidates(
        self, size: int, n: int, slope: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """See :class:`pbpk_hybrid.physiology.like.sample.Source`."""
        request = self._task.balanced

        def tilted(columns: Columns) -> np.ndarray:
            return features(request, columns) @ slope

        # they are drawn by the very weights that are wanted: a few for each person are enough
        size = min(size, max(_FEWEST_CANDIDATES, _FOR_EACH * n))
        goal = goal_of(self._task, self._groups, tilted if slope.any() else None, self._reach)
        crowd = self._maker.find(size, goal, self._rng, self._parents).crowd
        columns = {**crowd.columns, "person": np.zeros(len(crowd), int)}
        return columns, -tilted(crowd.columns)


__all__ = ["ModelSource"]
