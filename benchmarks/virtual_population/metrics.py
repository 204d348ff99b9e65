"""How like two populations are. Every function takes arrays (people, columns); the tests check them on closed cases."""

from __future__ import annotations

import numpy as np


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest difference of the two empirical distribution functions, by column."""
    from scipy.stats import ks_2samp

    return np.array([ks_2samp(x, y).statistic for x, y in zip(a.T, b.T, strict=True)])


def wasserstein(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """First Wasserstein distance in standard deviations of `b`, by column."""
    from scipy.stats import wasserstein_distance

    return np.array([wasserstein_distance(x, y) / y.std() for x, y in zip(a.T, b.T, strict=True)])


def correlation_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of the Spearman correlations of all pairs of columns."""
    from scipy.stats import rankdata

    def ranks(x: np.ndarray) -> np.ndarray:
        return np.corrcoef(np.apply_along_axis(rankdata, 0, x), rowvar=False)

    upper = np.triu_indices(a.shape[1], 1)
    return float(np.abs(ranks(a)[upper] - ranks(b)[upper]).mean())


def classifier_auc(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Area under the ROC curve of gradient boosting that tells `a` from `b`, 5-fold; .5: it cannot."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    x, y = np.concatenate([a, b]), np.r_[np.zeros(len(a)), np.ones(len(b))]
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    guess = cross_val_predict(HistGradientBoostingClassifier(random_state=seed), x, y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, guess[:, 1]))


def coverage_density(a: np.ndarray, b: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Coverage and density of generated `a` over real `b` (Naeem et al. 2020, arXiv 2002.09797), standardised by `b`."""
    from scipy.spatial import cKDTree

    mean, sd = b.mean(0), b.std(0)
    a, b = (a - mean) / sd, (b - mean) / sd
    tree = cKDTree(b)
    radius = tree.query(b, k + 1)[0][:, -1]
    nearest = cKDTree(a).query(b)[0]
    inside = [len(found) for found in cKDTree(a).query_ball_point(b, radius)]
    return float((nearest <= radius).mean()), float(np.sum(inside) / (k * len(a)))


def closest_record(train: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Distance of each of `people` to the nearest of `train`, columns standardised by `train`."""
    from scipy.spatial import cKDTree

    mean, sd = train.mean(0), train.std(0)
    return cKDTree((train - mean) / sd).query((people - mean) / sd)[0]


def copied_share(train: np.ndarray, held_out: np.ndarray, generated: np.ndarray) -> float:
    """Share of `generated` nearer to a training record than 95 % of the held-out people are; .05 if nothing is copied."""
    return float((closest_record(train, generated) < np.quantile(closest_record(train, held_out), 0.05)).mean())
