"""How far patients are from what the network was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import chi2

from ..._core.errors import CheckpointError
from ...physiology import SPECIES
from ..checkpoints import check_array
from .batch import COVARIATES, DESCRIPTORS, Batch
from .config import ForecasterConfig
from .corpus import Corpus
from .training import VALIDATION_SEED

#: body weights [kg] beyond which nothing like it was trained on: the corpus' own range,
#: about a factor of two wider; of
#: people the smallest of its sizes, and more than the heaviest of the survey
WEIGHTS = {
    "mouse": (0.008, 0.05),
    "rat": (0.1, 0.7),
    "rabbit": (1.0, 6.5),
    "minipig": (15.0, 100.0),
    "dog": (4.0, 25.0),
    "monkey": (1.8, 12.5),
    "human": (0.5, 250.0),
}
#: [L/kg] less than any species' plasma
_PLASMA_VOLUME = 0.03
#: columns of covariates and descriptors that the corpus draws from a continuous distribution
_CONTINUOUS = [
    *range(6),
    *(len(COVARIATES) + i for i in range(len(DESCRIPTORS)) if DESCRIPTORS[i] != "log_dose_over_km"),
]


def ood_score(batch: Batch, reference: Mapping[str, np.ndarray]) -> np.ndarray:
    """How far each patient is from the corpus, (B,); above 1 is outside. See
    :meth:`.Forecaster.ood_score`.

    Parameters
    ----------
    reference : mapping
        ``mean`` (n,) and ``covariance`` (n, n) of :func:`corpus_reference`
    """
    distance = _mahalanobis(_continuous(batch), reference["mean"], reference["covariance"])
    return np.maximum(distance, np.maximum(_weight_outside(batch), _above_the_dose(batch)))


def _continuous(batch: Batch) -> np.ndarray:
    """(B, n) covariates and descriptors with a continuous distribution."""
    return np.concatenate([batch.covariates, batch.descriptors], axis=1)[:, _CONTINUOUS]


def _mahalanobis(values: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """(B,) distance over that of the corpus' 99th percentile, by the values (B, n) that are
    known.
    """
    out = np.zeros(len(values))
    known = np.isfinite(values)
    for pattern in np.unique(known, axis=0):
        rows, k = np.flatnonzero((known == pattern).all(axis=1)), np.flatnonzero(pattern)
        if k.size:
            deviation = values[np.ix_(rows, k)] - mean[k]
            solved = np.linalg.solve(covariance[np.ix_(k, k)], deviation.T)
            square = np.einsum("ij,ji->i", deviation, solved)  # (rows, k) and (k, rows) -> (rows,)
            out[rows] = np.sqrt(square / chi2.ppf(0.99, k.size))
    return out


def _weight_outside(batch: Batch) -> np.ndarray:
    """(B,) fold by which the body weight lies outside what the corpus has of the species; 0
    inside or where not known.
    """
    low, high = np.array([WEIGHTS[s] for s in SPECIES]).T
    which = batch.covariates[:, -len(SPECIES) :].argmax(axis=1)
    known = np.isfinite(batch.covariates[:, 0]) & batch.covariates[:, -len(SPECIES) :].any(axis=1)
    fold = np.maximum(batch.body_weight / high[which], low[which] / batch.body_weight)
    return np.where(known & (fold > 1), fold, 0.0)


def _above_the_dose(batch: Batch) -> np.ndarray:
    """(B,) highest sample over the concentration that all doses begun by then would give in
    the plasma alone; 0 below 1.
    """
    if batch.obs_time.shape[1] == 0:
        return np.zeros(len(batch))
    begun = (batch.dose_time[:, None, :] <= batch.obs_time[:, :, None] + 1e-9) & batch.dose_mask[
        :, None, :
    ]
    most = (begun * batch.dose_amount[:, None, :]).sum(axis=2) / (
        _PLASMA_VOLUME * batch.body_weight
    )[:, None]
    seen = batch.obs_mask & ~batch.obs_censored & (most > 0)
    fold = np.where(seen, batch.obs_value / np.where(most > 0, most, 1.0), 0.0).max(axis=1)
    return np.where(fold > 1, fold, 0.0)


def corpus_reference(config: ForecasterConfig, batches: int = 12) -> dict[str, np.ndarray]:
    """Mean and covariance of covariates and descriptors over the corpus, for
    :meth:`Forecaster.ood_score`.
    """
    corpus = Corpus(replace(config.corpus, context=0.0))
    rows = []
    for i in range(batches):
        rows.append(_continuous(corpus.batch(VALIDATION_SEED + 7, i)))
    values = np.concatenate(rows)
    mean = np.nanmean(values, axis=0)
    deviation = np.nan_to_num(values - mean)
    known = np.isfinite(values).astype(float)
    cov = (deviation.T @ deviation) / np.maximum(known.T @ known, 1.0)
    # pairs are seen together in different subsets: the nearest positive definite matrix
    size, vectors = np.linalg.eigh(cov)
    cov = (vectors * np.maximum(size, 1e-3 * size.max() / len(size))) @ vectors.T
    return {"mean": mean, "covariance": cov}


def reference_from_checkpoint(stored: Any) -> dict[str, np.ndarray]:
    """Mean and covariance of the corpus' patients, from a checkpoint.

    Raises
    ------
    CheckpointError
        other names, shapes, or numbers that are no covariance
    """
    n = len(_CONTINUOUS)
    mean = check_array("reference/mean", np.array(stored["mean"], dtype=float), (n,))
    cov = check_array("reference/covariance", np.array(stored["covariance"], dtype=float), (n, n))
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise CheckpointError("reference", "NaN or infinity", "finite numbers")
    size = np.abs(cov).max()
    if np.abs(cov - cov.T).max() > 1e-6 * size or np.linalg.eigvalsh(cov).min() <= 0:
        raise CheckpointError("reference/covariance", "not one", "a positive definite matrix")
    return {"mean": mean, "covariance": cov}


__all__ = ["WEIGHTS", "corpus_reference", "ood_score", "reference_from_checkpoint"]
