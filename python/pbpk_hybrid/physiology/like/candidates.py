"""People who could be meant: as many as wanted, nobody twice, around those of the survey.

A candidate is a person of the survey moved in age, ln weight, height, ln creatinine and hematocrit
by a normal step with the covariance of that person's K nearest neighbours of the same sex,

.. math:: x = x_i + \\frac{h}{\\sqrt{K}} \\sum_k g_k\\,(x_k - \\bar x), \\quad g_k \\sim N(0, 1),

so that what goes together among neighbours goes together in the step. Values are rounded as the
survey's are. Ethnicity is the person's own. Filtration is CKD-EPI 2021 of the new creatinine with
its scatter. Where children or the oldest are wanted, all but ethnicity moves in normal scores given
age (:mod:`..growth`) and age in ln(1.5 + age).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from ..adults.body import People
from ..adults.survey import ADULT_AGE, Survey, adults, everybody, growth_of_survey
from ..adults.variability import CUT, GFR_SD_LN, truncated_normal
from ..bodies import expected_gfr
from ..growth import MEASURED_FROM, OLDEST_AGE, Growth, age_scale
from .quantities import Columns

NEIGHBOURS = 12  #: K
STEP = 0.6  #: h
COPIES = 4  #: draws of filtration for each person of the survey
KEPT = 0.9  #: correlation of a candidate's residual of filtration with the parent's
OLDEST = 80.0  #: year; the survey's ages end here
_MONTH = 1 / 12


@dataclass(frozen=True)
class Pool:
    """People of the survey with their neighbours.

    Parameters
    ----------
    survey : Survey
        The people.
    scores : ndarray
        (person, 5) transformed measurements.
    neighbours : ndarray
        (person, NEIGHBOURS) their nearest, by number.
    """

    survey: Survey
    scores: np.ndarray
    neighbours: np.ndarray
    growth: Growth | None = None

    @property
    def ages(self) -> str:
        """How old they are, in words."""
        return f"18 to {OLDEST:g}" if self.growth is None else f"0 to {OLDEST_AGE:g}"

    @classmethod
    def of(cls, survey: Survey, growth: Growth | None = None) -> Pool:
        """The pool of some people of the survey; with `growth` they may be of any age."""
        from scipy.spatial import cKDTree

        scores = _scores(survey, growth)
        neighbours = np.empty((len(scores), NEIGHBOURS), dtype=int)
        for male in (True, False):
            rows = np.flatnonzero(survey.male == male)
            spread = scores[rows].std(axis=0)
            tree = cKDTree(scores[rows] / spread)
            found = tree.query(scores[rows] / spread, NEIGHBOURS + 1)[1]
            neighbours[rows] = rows[found[:, 1:]]  # the first is the person
        return cls(survey, scores, neighbours, growth)

    def parents(self, rng: np.random.Generator, scatter: bool) -> dict[str, np.ndarray]:
        """Columns of the people themselves, each with :data:`COPIES` draws of their filtration.

        ``row`` is the person's number, ``residual`` that of filtration in standard deviations.
        """
        s = self.survey
        row = np.tile(np.arange(s.age.size), COPIES if scatter else 1)
        measured = {
            "row": row,
            "male": s.male[row],
            "age": s.age[row],
            "body_weight": s.body_weight[row],
            "height": s.height[row],
            "hematocrit": s.hematocrit[row],
            "serum_creatinine": s.serum_creatinine[row],
            "ethnicity": s.ethnicity[row],
            "person": s.person[row],
        }
        z = truncated_normal(rng, -CUT, CUT, row.size) if scatter else np.zeros(row.size)
        return _with_filtration(measured, z)

    def draw(
        self, rng: np.random.Generator, parents: Columns, chosen: np.ndarray, scatter: bool
    ) -> dict[str, np.ndarray]:
        """One candidate around each of some of the parents, by number (m,).

        The residual of filtration is that of the parent, for the most part: both are normal, and
        correlated by :data:`KEPT`.
        """
        parent, m = parents["row"][chosen], chosen.size
        near = self.scores[self.neighbours[parent]]  # (m, neighbour, score)
        near = near - near.mean(axis=1, keepdims=True)
        g = rng.standard_normal((m, NEIGHBOURS)) * (STEP / np.sqrt(NEIGHBOURS))
        scores = self.scores[parent] + np.einsum("mk,mks->ms", g, near)
        s = self.survey
        values = self._values(scores, s.male[parent])
        measured = {
            "male": s.male[parent],
            "age": values[0],
            "body_weight": np.round(values[1], 1),
            "height": np.round(values[2], 1),
            # tenths of a percent, divided as the survey's are: the same floating-point numbers
            "hematocrit": np.round(values[4] * 1000) / 10 / 100,
            "serum_creatinine": np.round(values[3], 2),
            "ethnicity": s.ethnicity[parent],
            "person": s.person[parent],
        }
        z = np.zeros(m)
        if scatter:
            z = KEPT * parents["residual"][chosen]
            z = z + np.sqrt(1 - KEPT**2) * truncated_normal(rng, -CUT, CUT, m)
        return _with_filtration(measured, np.clip(z, -CUT, CUT))

    def _values(self, scores: np.ndarray, male: np.ndarray) -> list[np.ndarray]:
        """Age (by the month), weight, height, creatinine and hematocrit of scores."""
        age, weight, height, creatinine, hematocrit = scores.T
        if self.growth is None:
            age = np.round(_reflected(age, ADULT_AGE, OLDEST - _MONTH) * 12) / 12
            return [age, np.exp(weight), height, np.exp(creatinine), hematocrit]
        age = np.round(_reflected(np.exp(age) - 1.5, 0.0, OLDEST_AGE - _MONTH) * 12) / 12
        columns = [age]
        for name, z in zip(_OF_GROWTH, (weight, height, creatinine, hematocrit), strict=True):
            value = self.growth.value(name, male, age, z)
            columns.append(np.where(age < MEASURED_FROM[name], np.nan, value))
        return columns

    def reached(self, columns: Columns) -> np.ndarray:
        """(person,) bool: nobody is beyond the smallest and largest of the survey's people."""
        inside = np.ones(columns["male"].size, dtype=bool)
        for name in ("body_weight", "height", "hematocrit", "serum_creatinine"):
            values = getattr(self.survey, name)
            for male in (True, False):
                low, high = _ends(values[self.survey.male == male])
                outside = (columns[name] < low) | (columns[name] > high)
                inside &= ~(outside & (columns["male"] == male))
        return inside


@lru_cache(maxsize=1)
def everybodys_pool() -> Pool:
    """The pool of children, adults and the oldest."""
    return Pool.of(everybody(), growth_of_survey())


_OF_GROWTH = ("body_weight", "height", "serum_creatinine", "hematocrit")


def _scores(survey: Survey, growth: Growth | None) -> np.ndarray:
    """(person, 5) measurements on scales on which neighbours are alike.

    With `growth` they are normal scores given age; what was not measured is usual.
    """
    if growth is None:
        logs = np.log(survey.body_weight), np.log(survey.serum_creatinine)
        return np.column_stack([survey.age, logs[0], survey.height, logs[1], survey.hematocrit])
    z = [growth.score(n, survey.male, survey.age, getattr(survey, n)) for n in _OF_GROWTH]
    return np.column_stack([age_scale(survey.age), *(np.nan_to_num(score) for score in z)])


def _ends(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (-np.inf, np.inf)


@lru_cache(maxsize=1)
def adult_pool() -> Pool:
    """The pool of all adults of the survey."""
    return Pool.of(adults())


def restricted(survey: Survey, keep: np.ndarray) -> Survey:
    """Some people of a survey."""
    return Survey(*(getattr(survey, f.name)[keep] for f in fields(Survey)))


def _reflected(values: np.ndarray, low: float, high: float) -> np.ndarray:
    values = np.where(values < low, 2 * low - values, values)
    return np.clip(np.where(values > high, 2 * high - values, values), low, high)


def _with_filtration(measured: dict[str, np.ndarray], z: np.ndarray) -> dict[str, np.ndarray]:
    """With the individual filtration rate [L/h], `z` standard deviations from its estimate."""
    names = ("male", "age", "body_weight", "height")
    people = People(*(measured[name] for name in names))
    gfr = expected_gfr(people, measured["serum_creatinine"]) * np.exp(GFR_SD_LN * z)
    return {**measured, "gfr": gfr, "residual": z}


def taken(columns: Columns, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some people, by number or mask."""
    return {name: values[rows] for name, values in columns.items()}


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


__all__ = ["Pool", "adult_pool", "everybodys_pool", "joined", "restricted", "taken"]
