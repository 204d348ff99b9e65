"""Designs of bioequivalence trials, and the least squares that estimate the difference in them.

A crossover is analysed as the European guideline asks: log values, fixed effects of sequence,
subject within sequence, period and treatment, replicate designs the same way ("method A" of
EMA/582648/2016, annex I; CPMP/EWP/QWP/1401/98 Rev. 1, section 4.1.8). Two parallel groups are
compared with variances of their own (Welch), since the FDA's guidance of 2001, "Statistical
Approaches to Establishing Bioequivalence", asks not to assume equal ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._core.errors import InputError, unknown_name

#: name (treatments x sequences x periods) -> sequences; T test, R reference
SEQUENCES: dict[str, tuple[str, ...]] = {
    "2x2x2": ("TR", "RT"),
    "2x2x3": ("TRT", "RTR"),
    "2x2x4": ("TRTR", "RTRT"),
    "2x3x3": ("TRR", "RTR", "RRT"),
    "parallel": ("T", "R"),
}


@dataclass(frozen=True)
class Design:
    """A design with its subjects.

    Parameters
    ----------
    name : str
        One of :data:`SEQUENCES`.
    subjects : int
        In all; sequences differ by at most one subject.

    Raises
    ------
    InputError, UnknownNameError
        A design that is not known, or fewer than two subjects for a sequence.
    """

    name: str
    subjects: int

    def __post_init__(self) -> None:
        if self.name not in SEQUENCES:
            raise unknown_name("design", self.name, SEQUENCES, what="a design")
        n, least = self.subjects, 2 * len(self.sequences)
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < least:
            raise InputError("subjects", n, f"an integer >= {least} in a {self.name} design")

    @property
    def sequences(self) -> tuple[str, ...]:
        """Treatments of each sequence, period by period."""
        return SEQUENCES[self.name]

    @property
    def periods(self) -> int:
        """Number of periods."""
        return len(self.sequences[0])

    @property
    def replicate(self) -> bool:
        """Whether some subjects get the reference twice."""
        return any(s.count("R") > 1 for s in self.sequences)

    @cached_property
    def sequence(self) -> np.ndarray:
        """(n_subjects,) number of each subject's sequence."""
        return np.arange(self.subjects) % len(self.sequences)

    @cached_property
    def is_test(self) -> np.ndarray:
        """(n_subjects, n_periods) whether the test is given."""
        table = np.array([[t == "T" for t in s] for s in self.sequences])
        return table[self.sequence]

    @cached_property
    def freedom_and_factor(self) -> tuple[int, float]:
        """Degrees of freedom of the residuals, and variance of the difference for variance 1.

        Those of :attr:`comparison`, from what each sequence says within a subject.
        """
        counts = np.bincount(self.sequence, minlength=len(self.sequences))
        p = self.periods
        within = np.eye(p) - 1.0 / p  # without the subject's mean
        information = np.zeros((p, p))
        for treatments, n in zip(self.sequences, counts, strict=True):
            effects = np.column_stack([[t == "T" for t in treatments], np.eye(p)[:, 1:]])
            information += n * effects.T @ within @ effects
        freedom = self.subjects * (p - 1) - np.linalg.matrix_rank(information)
        return int(freedom), float(np.linalg.pinv(information)[0, 0])

    @cached_property
    def comparison(self) -> LinearFit:
        """Least squares of the difference test minus reference."""
        n, p = self.is_test.shape
        rows = np.repeat(np.arange(n), p)
        subject = (rows[:, None] == np.arange(n)).astype(float)
        period = (np.tile(np.arange(p), n)[:, None] == np.arange(1, p)).astype(float)
        return LinearFit(np.column_stack([self.is_test.ravel(), subject, period]))

    @cached_property
    def reference_fit(self) -> LinearFit:
        """Least squares of the reference's values alone, for its within-subject variance."""
        given = ~self.is_test
        n, p = given.shape
        subject, period = np.nonzero(given)
        columns = [(subject[:, None] == np.arange(n)), (period[:, None] == np.arange(1, p))]
        return LinearFit(np.column_stack(columns).astype(float))


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Least squares with one matrix for many sets of values.

    Parameters
    ----------
    matrix : ndarray, (n_values, n_effects)
        The first column is the effect of interest.
    """

    matrix: np.ndarray

    @cached_property
    def inverse(self) -> np.ndarray:
        """(n_effects, n_values) pseudo-inverse."""
        return np.linalg.pinv(self.matrix)

    @cached_property
    def freedom(self) -> int:
        """Degrees of freedom of the residuals."""
        return int(len(self.matrix) - np.linalg.matrix_rank(self.matrix))

    @cached_property
    def factor(self) -> float:
        """Variance of the first effect for residual variance 1."""
        return float((self.inverse[0] ** 2).sum())

    def residual_variance(self, values: np.ndarray) -> np.ndarray:
        """(n_sets,) mean square of the residuals of values (n_values, n_sets)."""
        rest = values - self.matrix @ (self.inverse @ values)
        return (rest**2).sum(axis=0) / self.freedom

    def first(self, values: np.ndarray) -> np.ndarray:
        """(n_sets,) estimate of the first effect."""
        return self.inverse[0] @ values


__all__ = ["SEQUENCES", "Design", "LinearFit"]
