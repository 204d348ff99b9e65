"""How the people of the corpus differ on one compound: log-normal for most compounds,
heavy-tailed for some, and in two classes for a few.

Real studies have the person who clears six times slower than the others (a poor metaboliser),
and more people three standard deviations out than a normal distribution allows. A forecaster
that never saw one leans on the others against the person's own samples.
"""

from __future__ import annotations

import numpy as np

#: share of compounds whose people have Student's t (4 degrees of freedom) instead of a normal
_HEAVY_SHARE, _DEGREES = 0.25, 4.0
#: share of compounds with two classes of people, share of slow people, ln fold by which they
#: are slower (CYP2D6: 5-10 % of Europeans, AUC 2- to 10-fold; Zanger & Schwab 2013, Pharmacol
#: Ther 138:103)
_CLASSES_SHARE, _SLOW_SHARE, _SLOW_FOLD = 0.12, (0.05, 0.35), (0.5, 2.3)


class People:
    """Differences between the patients of the groups `group` (n,), the compound of each.

    Parameters
    ----------
    normal
        log-normal differences only, as the oracle of the benchmark assumes
    """

    def __init__(self, rng: np.random.Generator, group: np.ndarray, normal: bool = False) -> None:
        self.rng, self.group = rng, group
        self.groups = int(group.max()) + 1
        share = 0.0 if normal else 1.0
        self.heavy = (rng.random(self.groups) < share * _HEAVY_SHARE)[group]
        self.two_classes = rng.random(self.groups) < share * _CLASSES_SHARE

    def factor(self, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        """Factors of the patients about 1 and the ln sd of each one's compound, (n,) both.

        The sd is uniform between `low` and `high` over compounds.
        """
        sd = self.rng.uniform(low, high, self.groups)[self.group]
        z = self.rng.standard_normal(len(self.group))
        # normal over the root of chi square over its degrees, brought to unit variance
        chi = self.rng.chisquare(_DEGREES, len(self.group)) / _DEGREES
        wide = z / np.sqrt(chi) * np.sqrt((_DEGREES - 2) / _DEGREES)
        return np.exp(sd * np.where(self.heavy, np.clip(wide, -6.0, 6.0), z)), sd

    def slow_class(self) -> np.ndarray:
        """Factors on clearance, (n,): below 1 for the slow people of compounds with two classes."""
        share = self.rng.uniform(*_SLOW_SHARE, self.groups)
        fold = np.exp(-self.rng.uniform(*_SLOW_FOLD, self.groups))
        share = np.where(self.two_classes, share, 0.0)[self.group]
        return np.where(self.rng.random(len(self.group)) < share, fold[self.group], 1.0)


__all__ = ["People"]
