"""Intervals that hold: how many of the model's own standard deviations it takes to cover,
counted on compounds it has not seen.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, J Am Stat Assoc 113:1094) on
the members' left-out folds, for each parameter and number of source species; small groups
lean on the parameter's pooled quantile.
"""

from __future__ import annotations

import numpy as np

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
GROUPS = 4  # none, one, two, three or more source species
PSEUDO = 20.0  # how many compounds the pooled quantile is worth


def quantiles(z: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(GROUPS, n_levels) factors from standardised residuals."""
    size = np.abs(z)
    pooled = _finite_sample(size)
    out = np.empty((GROUPS, len(LEVELS)))
    for g in range(GROUPS):
        here = size[group == g]
        share = here.size / (here.size + PSEUDO)
        of_group = _finite_sample(here) if here.size >= 10 else pooled
        out[g] = np.exp(share * np.log(of_group) + (1 - share) * np.log(pooled))
    return np.maximum.accumulate(out, axis=1)


def factor(table: np.ndarray, group: int, level: float) -> float:
    """Standard deviations on each side for an interval of `level`, between the stored
    levels by interpolation.
    """
    return float(np.exp(np.interp(level, LEVELS, np.log(table[min(group, GROUPS - 1)]))))


def _finite_sample(size: np.ndarray) -> np.ndarray:
    if not size.size:
        return np.array([0.674, 0.842, 1.036, 1.282, 1.44, 1.645, 1.96, 2.326])  # normal
    n = size.size
    ranks = np.minimum(np.ceil((n + 1) * np.array(LEVELS)), n) / n
    return np.maximum(np.quantile(size, ranks, method="inverted_cdf"), 1e-3)
