"""What was asked of the model's people, as a distance from it and a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...physiology.adults.survey import ETHNICITIES
from ...physiology.like.criteria import Excess
from ...physiology.like.sample import Task, for_all
from .crowd import Columns, Goal


def group_chances(
    shares: np.ndarray, male: bool | None, ethnicity: tuple[str, ...] | None
) -> np.ndarray:
    """(group,) chances of sex and ethnicity, of `shares` (2, 5) in the population.

    `male` None: both sexes; `ethnicity` None: all.
    """
    shares = shares.copy()
    if male is not None:
        shares[int(not male)] = 0
    if ethnicity is not None:
        shares[:, [name not in ethnicity for name in ETHNICITIES]] = 0
    return shares.ravel() / shares.sum()


def goal_of(
    task: Task,
    groups: np.ndarray,
    tilted: Callable[[Columns], np.ndarray] | None = None,
    reach: Mapping[str, tuple[float, float]] | None = None,
) -> Goal:
    """The goal that a task means.

    Parameters
    ----------
    task : Task
        Ranges, criteria and organs hold for everybody; the rest of its table is left to `tilted`.
    groups : ndarray
        (group,) chances of sex and ethnicity.
    tilted : callable, optional
        Columns -> (person,) logarithm of a further weight.
    reach : mapping, optional
        Quantity -> (low, high) that nobody leaves who is known.
    """
    reach = reach or {}
    ranges = [s for s in task.request.statistics if s.kind in ("min", "max")]
    certain = [s for s in task.request.statistics if for_all(s)]
    scales: dict[str, float] = {}

    def distance(columns: Columns) -> np.ndarray:
        off = np.zeros(columns["male"].size)
        for s in ranges:
            values, members = s.values(columns), s.members(columns)
            with np.errstate(invalid="ignore"):
                spread = scales.setdefault(s.label, float(np.nanstd(values)) or 1.0)
                gap = (s.value - values if s.kind == "min" else values - s.value) / spread
            # what is not known of somebody is not inside
            gap = np.where(np.isnan(gap), 1e3, gap)
            off = np.maximum(off, np.where(members, gap, 0.0))
        for criterion in task.criteria:
            off = np.maximum(off, Excess(criterion, scales).of(columns))
        for s in certain:
            off = np.maximum(off, np.where(s.values(columns) == s.value, 0.0, 1e3))
        # the last word is of the same function as everywhere: what prints as it is inside
        allowed = task.allowed(columns).copy()
        for name, (low, high) in reach.items():
            values = columns[name]
            allowed &= ~((values < low) | (values > high))
        return np.where(allowed, 0.0, np.maximum(off, 1e-6))

    def weight(columns: Columns) -> np.ndarray:
        total = task.log_likelihood(columns)
        return total if tilted is None else total + tilted(columns)

    asked = bool(ranges or certain or task.criteria or task.organs or reach)
    weighted = tilted is not None or bool(task.organs)
    return Goal(groups, distance if asked else None, weight if weighted else None)


__all__ = ["goal_of", "group_chances"]
