"""People who could be meant: as many as wanted, nobody twice, around those of the survey.

A candidate is a person of the survey moved in age, ln weight, height, ln creatinine and hematocrit
by a normal step with the covariance of that person's K nearest neighbours of the same sex,

.. math:: x = x_i + \\frac{h}{\\sqrt{K}} \\sum_k g_k\\,(x_k - \\bar x), \\quad g_k \\sim N(0, 1),

so that what goes together among neighbours goes together in the step. Values are rounded as the
survey's are. Ethnicity is the person's own. Filtration is CKD-EPI 2021 of the new creatinine with
its scatter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from ..adults import regressions as r
from ..adults.survey import ADULT_AGE, Survey, adults
from ..adults.variability import CUT, GFR_SD_LN, truncated_normal
from ..dataset import body_surface_area
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

    @classmethod
    def of(cls, survey: Survey) -> Pool:
        """The pool of some people of the survey."""
        from scipy.spatial import cKDTree

        scores = np.column_stack(
            [
                survey.age,
                np.log(survey.body_weight),
                survey.height,
                np.log(survey.serum_creatinine),
                survey.hematocrit,
            ]
        )
        neighbours = np.empty((len(scores), NEIGHBOURS), dtype=int)
        for male in (True, False):
            rows = np.flatnonzero(survey.male == male)
            spread = scores[rows].std(axis=0)
            tree = cKDTree(scores[rows] / spread)
            found = tree.query(scores[rows] / spread, NEIGHBOURS + 1)[1]
            neighbours[rows] = rows[found[:, 1:]]  # the first is the person
        return cls(survey, scores, neighbours)

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
        age, log_weight, height, log_creatinine, hematocrit = scores.T
        s = self.survey
        measured = {
            "male": s.male[parent],
            "age": np.round(_reflected(age, ADULT_AGE, OLDEST - _MONTH) * 12) / 12,
            "body_weight": np.round(np.exp(log_weight), 1),
            "height": np.round(height, 1),
            # tenths of a percent, divided as the survey's are: the same floating-point numbers
            "hematocrit": np.round(hematocrit * 1000) / 10 / 100,
            "serum_creatinine": np.round(np.exp(log_creatinine), 2),
            "ethnicity": s.ethnicity[parent],
            "person": s.person[parent],
        }
        z = np.zeros(m)
        if scatter:
            z = KEPT * parents["residual"][chosen]
            z = z + np.sqrt(1 - KEPT**2) * truncated_normal(rng, -CUT, CUT, m)
        return _with_filtration(measured, np.clip(z, -CUT, CUT))

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


def _ends(values: np.ndarray) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if values.size else (-np.inf, np.inf)


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
    surface = body_surface_area(measured["body_weight"], measured["height"])
    estimate = r.ckd_epi_2021(measured["male"], measured["age"], measured["serum_creatinine"])
    gfr = estimate * np.exp(GFR_SD_LN * z) * surface / 1.73 * 0.06
    return {**measured, "gfr": gfr, "residual": z}


def taken(columns: Columns, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some people, by number or mask."""
    return {name: values[rows] for name, values in columns.items()}


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


__all__ = ["Pool", "adult_pool", "joined", "restricted", "taken"]
