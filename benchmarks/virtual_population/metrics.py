"""How like two populations are. Arrays are (people, columns), with a weight for each person; the tests check closed cases.

Survey people carry weights. They enter every measure as weights: drawing people with their weights instead would repeat
them, and
a classifier that is to tell two populations apart recognises repetitions.
"""

from __future__ import annotations

import numpy as np


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Largest difference of the two weighted distribution functions, by column."""

    def one(x: np.ndarray, y: np.ndarray) -> float:
        grid = np.unique(np.concatenate([x, y]))

        def below(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
            order = np.argsort(values, kind="stable")
            total = np.concatenate([[0.0], np.cumsum(weight[order])]) / weight.sum()
            return total[np.searchsorted(values[order], grid, side="right")]

        return float(np.abs(below(x, wa) - below(y, wb)).max())

    return np.array([one(x, y) for x, y in zip(a.T, b.T, strict=True)])


def wasserstein(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """First Wasserstein distance in standard deviations of `b`, by column."""
    from scipy.stats import wasserstein_distance

    return np.array(
        [wasserstein_distance(x, y, wa, wb) / y.std() for x, y in zip(a.T, b.T, strict=True)]
    )


def correlation_difference(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> float:
    """Mean absolute difference of the weighted rank correlations of all pairs of columns."""

    def correlations(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        ranks = np.empty_like(x, dtype=float)
        for k, column in enumerate(x.T):
            values, index = np.unique(column, return_inverse=True)
            each = np.bincount(index, weight, minlength=values.size)
            ranks[:, k] = (np.cumsum(each) - 0.5 * each)[index]
        c = np.cov(ranks.T, aweights=weight)
        return c / np.sqrt(np.outer(np.diag(c), np.diag(c)))

    upper = np.triu_indices(a.shape[1], 1)
    return float(np.abs(correlations(a, wa)[upper] - correlations(b, wb)[upper]).mean())


def classifier_auc(
    a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray, seed: int
) -> float:
    """Area under the weighted ROC curve of gradient boosting that tells `a` from `b`, 5-fold; 0.5: it cannot."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    x, y = np.concatenate([a, b]), np.r_[np.zeros(len(a)), np.ones(len(b))]
    weight = np.concatenate([wa / wa.mean(), wb / wb.mean() * len(a) / len(b)])
    guess = np.empty(len(x))
    for fit, judge in StratifiedKFold(5, shuffle=True, random_state=seed).split(x, y):
        model = HistGradientBoostingClassifier(max_iter=60, random_state=seed).fit(
            x[fit], y[fit], sample_weight=weight[fit]
        )
        guess[judge] = model.predict_proba(x[judge])[:, 1]
    return float(roc_auc_score(y, guess, sample_weight=weight))


def coverage_density(
    a: np.ndarray, b: np.ndarray, wb: np.ndarray, k: int = 5
) -> tuple[float, float]:
    """Coverage and density of generated `a` over real `b` (Naeem et al. 2020, arXiv 2002.09797), standardised by `b`.

    Real people count by their weights in the coverage.
    """
    from scipy.spatial import cKDTree

    mean, sd = b.mean(0), b.std(0)
    a, b = (a - mean) / sd, (b - mean) / sd
    radius = cKDTree(b).query(b, k + 1)[0][:, -1]
    tree = cKDTree(a)
    inside = [len(found) for found in tree.query_ball_point(b, radius)]
    return float(np.average(tree.query(b)[0] <= radius, weights=wb)), float(
        np.sum(inside) / (k * len(a))
    )


def closest_record(train: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Distance of each of `people` to the nearest of `train`, columns standardised by `train`."""
    from scipy.spatial import cKDTree

    mean, sd = train.mean(0), train.std(0)
    return cKDTree((train - mean) / sd).query((people - mean) / sd)[0]


def copied_share(
    train: np.ndarray, held_out: np.ndarray, generated: np.ndarray, weight: np.ndarray
) -> float:
    """Share of `generated` nearer to a training record than 95 % of the held-out people (by `weight`) are.

    0.05 when nothing is copied.
    """
    distance = closest_record(train, held_out)
    order = np.argsort(distance)
    place = np.cumsum(weight[order]) / weight.sum()
    limit = distance[order][np.searchsorted(place, 0.05)]
    return float((closest_record(train, generated) < limit).mean())
