"""People as the noise that they are made of, and moving them without leaving what was asked.

The model maps standard normal noise to people. People who satisfy a condition are therefore normal
noise restricted to a region, and a chain that leaves that restricted distribution as it is moves
one such person to another: a step of preconditioned Crank-Nicolson,

.. math:: n' = \\sqrt{1 - b^2}\\, n + b\\, g, \\quad g \\sim N(0, 1),

taken where n' is inside and left out where it is not (Cotter et al. 2013, Stat Sci 28:424). Nothing
is trained for a condition, and others stay as likely as the model says.

A region that next to nobody is in by chance is reached by subset simulation (Au and Beck 2001,
Probab Eng Mech 16:263): the nearest quarter of the people is multiplied and moved without letting
anybody go farther off, until a quarter is inside. The product of the shares is the probability of
the region.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._core.errors import SolveError
from ...physiology.adults.body import People
from ...physiology.adults.survey import ETHNICITIES
from ...physiology.adults.variability import CUT, GFR_SD_LN, into_bounds
from ...physiology.bodies import expected_gfr
from .coordinates import MEASURED, Coordinates
from .sampler import Flow

Columns = dict[str, np.ndarray]
DIMENSION = len(MEASURED) + 1  #: of noise: what is measured, and the residual of filtration

PILOT = (1500, 4000)  #: fewest and most people drawn to learn how many satisfy a condition
_EASY = 0.1  # share inside from which people are drawn and taken or left
_QUARTER = 0.25  # kept at each level
_LEVELS = 40
_SWEEPS_OF_LEVEL = 4
_SWEEPS = 12  # of those who are handed out
_MORE_SWEEPS = 60  # until nobody is handed out twice
_RAREST = 1e-9  # probability below which nobody is looked for
_BATCH = 50_000  # people at a time: bounds memory
_GROUP_MOVES = 0.3  # share of steps that try another ethnicity or sex


@dataclass
class Crowd:
    """People with the noise that made them.

    Parameters
    ----------
    noise : ndarray
        (person, DIMENSION).
    group : ndarray
        (person,) sex x 5 + ethnicity.
    columns : dict
        Name -> (person,), as of :mod:`pbpk_hybrid.physiology.like.quantities`.
    """

    noise: np.ndarray
    group: np.ndarray
    columns: Columns

    def __len__(self) -> int:
        return int(self.group.size)

    def taken(self, rows: np.ndarray) -> Crowd:
        """Some of them, by number or mask."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Crowd(self.noise[rows], self.group[rows], columns)

    def put(self, rows: np.ndarray, other: Crowd) -> None:
        """The people of `other` at `rows`."""
        self.noise[rows], self.group[rows] = other.noise, other.group
        for name, values in self.columns.items():
            values[rows] = other.columns[name]

    @classmethod
    def joined(cls, parts: list[Crowd]) -> Crowd:
        """One after the other."""
        return cls(
            np.concatenate([p.noise for p in parts]),
            np.concatenate([p.group for p in parts]),
            {n: np.concatenate([p.columns[n] for p in parts]) for n in parts[0].columns},
        )

    def repeated(self) -> np.ndarray:
        """(person,) bool: who is as another before in all that is measured."""
        # of children less is measured: filtration tells them apart
        young = np.isnan(self.columns["serum_creatinine"])
        table = np.column_stack(
            [
                self.group.astype(float),
                *(np.nan_to_num(self.columns[n]) for n in MEASURED),
                np.where(young, self.columns["gfr"], 0.0),
            ]
        )
        first = np.unique(np.round(table, 6), axis=0, return_index=True)[1]
        repeated = np.ones(len(self), dtype=bool)
        repeated[first] = False
        return repeated


@dataclass(frozen=True)
class Goal:
    """Who is wanted.

    Parameters
    ----------
    groups : ndarray
        (group,) chances of sex and ethnicity before the rest is asked for, adding to 1.
    distance : callable
        Columns -> (person,), 0 inside and larger the farther outside; None: everybody is inside.
    log_weight : callable
        Columns -> (person,) logarithm of how much likelier somebody is to be made; None: alike.
    """

    groups: np.ndarray
    distance: Callable[[Columns], np.ndarray] | None = None
    log_weight: Callable[[Columns], np.ndarray] | None = None

    def off(self, columns: Columns) -> np.ndarray:
        """(person,) distance."""
        if self.distance is None:
            return np.zeros(columns["male"].size)
        return self.distance(columns)

    def weight(self, columns: Columns) -> np.ndarray:
        """(person,) logarithm of the weight."""
        if self.log_weight is None:
            return np.zeros(columns["male"].size)
        return self.log_weight(columns)


@dataclass(frozen=True)
class Found:
    """People who were wanted, and how they were found.

    Parameters
    ----------
    crowd : Crowd
        n people.
    probability : float
        Of the region among all people of the groups.
    levels : int
        Of subset simulation; 0: drawn and taken or left.
    """

    crowd: Crowd
    probability: float
    levels: int


class Maker:
    """Makes people from noise.

    Parameters
    ----------
    flow : Flow
        The network.
    coordinates : Coordinates
        Of the model.
    rounded : bool
        Measured quantities at the precision of the survey.
    """

    def __init__(self, flow: Flow, coordinates: Coordinates, rounded: bool) -> None:
        self._flow, self._coordinates, self._rounded = flow, coordinates, rounded

    def make(self, noise: np.ndarray, group: np.ndarray) -> Crowd:
        """People of noise (person, DIMENSION) and groups (person,)."""
        male = group >= len(ETHNICITIES)
        scores = self._flow.scores(noise[:, :-1], group)
        values = self._coordinates.decode(scores, male, rounded=self._rounded)
        people = People(male, values["age"], values["body_weight"], values["height"])
        residual = into_bounds(noise[:, -1], -CUT)
        estimate = expected_gfr(people, values["serum_creatinine"])
        names = np.array(ETHNICITIES)[group % len(ETHNICITIES)]
        columns = {
            **values,
            "male": male,
            "ethnicity": names,
            "gfr": estimate * np.exp(GFR_SD_LN * residual),
            "residual": residual,
        }
        return Crowd(noise, group, columns)

    def fresh(self, n: int, goal: Goal, rng: np.random.Generator) -> Crowd:
        """n people of the goal's groups, without any other condition."""
        parts = []
        for first in range(0, n, _BATCH):
            size = min(_BATCH, n - first)
            group = rng.choice(goal.groups.size, size, p=goal.groups)
            noise = rng.standard_normal((size, DIMENSION)).astype(np.float32)
            parts.append(self.make(noise, group))
        return Crowd.joined(parts)

    def find(
        self, n: int, goal: Goal, rng: np.random.Generator, start: Crowd | None = None
    ) -> Found:
        """n different people who satisfy a goal.

        Parameters
        ----------
        n : int
            How many.
        goal : Goal
            What they satisfy.
        rng : Generator
            Of the noise.
        start : Crowd, optional
            Some who do so already, of the goal's groups, but for its weight.

        Raises
        ------
        SolveError
            Next to nobody does, or fewer different people than n.
        """
        if goal.distance is None and goal.log_weight is None:
            return Found(self.fresh(n, goal, rng), 1.0, 0)
        if start is not None:
            return Found(self._weighted(start, n, goal, rng), np.nan, 0)
        pilot = self.fresh(int(np.clip(4 * n, *PILOT)), goal, rng)
        off = goal.off(pilot.columns)
        share = float((off == 0).mean())
        if share >= _EASY and goal.log_weight is None:
            parts, have = [pilot.taken(off == 0)], int((off == 0).sum())
            while have < n:
                more = self.fresh(int(1.1 * (n - have) / share) + 16, goal, rng)
                parts.append(more.taken(goal.off(more.columns) == 0))
                have += len(parts[-1])
            return Found(Crowd.joined(parts).taken(np.arange(n)), share, 0)
        inside, probability, levels = self._reach(pilot, off, goal, rng)
        return Found(self._weighted(inside, n, goal, rng), probability, levels)

    def _weighted(self, inside: Crowd, n: int, goal: Goal, rng: np.random.Generator) -> Crowd:
        """n different people by the goal's weight, from some who are inside."""
        weight = goal.weight(inside.columns)
        if not np.isfinite(weight).any():
            raise SolveError("nobody of the model can satisfy all that was asked for")
        chosen = _resampled(rng, np.exp(weight - weight.max()), n)
        crowd = self._moved(inside.taken(chosen), goal, 0.0, _SWEEPS, rng)
        return self._different(crowd, goal, rng)

    def _reach(
        self, crowd: Crowd, off: np.ndarray, goal: Goal, rng: np.random.Generator
    ) -> tuple[Crowd, float, int]:
        """People inside, the probability of being there, and the number of levels."""
        free = Goal(goal.groups, goal.distance)
        probability = 1.0
        for level in range(_LEVELS):
            n, inside = off.size, off == 0
            bound = float(np.partition(off, int(_QUARTER * n))[int(_QUARTER * n)])
            seeds = off <= bound
            stuck = bound > 0 and seeds.mean() > 0.9
            if bound == 0 or (stuck and inside.any()):
                return crowd.taken(inside), probability * float(inside.mean()), level
            probability *= float(seeds.mean())
            if probability < _RAREST:
                break
            start = _resampled(rng, seeds.astype(float), n)
            crowd = self._moved(crowd.taken(start), free, bound, _SWEEPS_OF_LEVEL, rng)
            off = goal.off(crowd.columns)
        raise SolveError(
            f"next to nobody of the model satisfies the condition (fewer than 1 in "
            f"{1 / max(probability, 1e-12):.0g} people): widen it"
        )

    def _moved(
        self, crowd: Crowd, goal: Goal, bound: float, sweeps: int, rng: np.random.Generator
    ) -> Crowd:
        """The crowd after `sweeps` steps of everybody, nobody farther off than `bound`.

        The step length goes to where a third of the steps is taken.
        """
        length = 0.5
        weight = goal.weight(crowd.columns)
        for _ in range(sweeps):
            moved, weight, share = self._step(crowd, weight, goal, bound, length, rng)
            crowd = moved
            length = float(np.clip(length * np.exp(1.5 * (share - 0.33)), 0.02, 1.0))
        return crowd

    def _step(
        self,
        crowd: Crowd,
        weight: np.ndarray,
        goal: Goal,
        bound: float,
        length: float,
        rng: np.random.Generator,
    ) -> tuple[Crowd, np.ndarray, float]:
        """One step of everybody; and the share that was taken."""
        n = len(crowd)
        # some coordinates stay, some move a little, some are drawn afresh
        kind = rng.random((n, DIMENSION))
        b = np.where(kind < 0.3, 0.0, np.where(kind < 0.85, length, 1.0))
        fresh = rng.standard_normal((n, DIMENSION))
        noise = (np.sqrt(1 - b**2) * crowd.noise + b * fresh).astype(np.float32)
        other = rng.choice(goal.groups.size, n, p=goal.groups)
        group = np.where(rng.random(n) < _GROUP_MOVES, other, crowd.group)
        trial = self.make(noise, group)
        new = goal.weight(trial.columns)
        accept = goal.off(trial.columns) <= bound
        with np.errstate(invalid="ignore"):
            accept &= np.log(rng.random(n)) < new - weight
        rows = np.flatnonzero(accept)
        out = Crowd(crowd.noise.copy(), crowd.group.copy(), dict(crowd.columns))
        out.columns = {name: values.copy() for name, values in out.columns.items()}
        out.put(rows, trial.taken(rows))
        return out, np.where(accept, new, weight), float(accept.mean())

    def _different(self, crowd: Crowd, goal: Goal, rng: np.random.Generator) -> Crowd:
        """The crowd with everybody moved on who is as somebody else.

        Raises
        ------
        SolveError
            There are not so many different people.
        """
        for _ in range(_MORE_SWEEPS):
            rows = np.flatnonzero(crowd.repeated())
            if not rows.size:
                return crowd
            crowd.put(rows, self._moved(crowd.taken(rows), goal, 0.0, 2, rng))
        raise SolveError(
            f"fewer than {len(crowd)} different people satisfy the condition: widen it, or ask for "
            "fewer"
        )


def _resampled(rng: np.random.Generator, chance: np.ndarray, n: int) -> np.ndarray:
    """(n,) numbers drawn in proportion, as evenly as possible (systematic), in random order."""
    cumulative = np.cumsum(chance) / chance.sum()
    points = (np.arange(n) + rng.random()) / n
    found = np.searchsorted(cumulative, points, side="right")
    return rng.permutation(np.minimum(found, chance.size - 1))


__all__ = ["Columns", "Crowd", "Found", "Goal", "Maker"]
