r"""Human clearance, volume and unbound fraction from structure alone: the prior that
animals then correct.

A Gaussian process with a Student-t likelihood, at its mode. The kernel is a sum of a
constant, min-max (Tanimoto) kernels of three fingerprints (Ralaivola et al. 2005, Neural
Netw 18:1093) and Matern-3/2 kernels of descriptors and of the counts of ionisable groups.
Outliers are weighted down by iteratively reweighted least squares; the mode is a kernel
machine, so what has to be kept is the table of training structures and one coefficient
each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .features import GROUPS, SLICES, Features

#: variance of each part of the kernel, and of the noise [squared natural-log units]; chosen
#: once by cross-validation
VARIANCE = {"morgan": 0.4, "pharmacophore": 0.35, "maccs": 0.3, "descriptors": 0.45, "groups": 0.3}
CONSTANT, NOISE = 1.6, 0.32
LENGTH = {"descriptors": 0.9, "groups": 1.0}
DEGREES, ITERATIONS = 4.0, 5


@dataclass
class Structures:
    """Training structures as the kernel needs them: fingerprints and standardised
    descriptors, and how to standardise.
    """

    fingerprint: np.ndarray  # (n, 2215) uint8
    descriptors: np.ndarray  # (n, d) standardised
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: Features) -> Structures:
        """From the features of the training compounds."""
        mean, scale = features.descriptors.mean(0), features.descriptors.std(0)
        scale = np.where(scale > 1e-8, scale, np.inf)  # a constant column says nothing
        return cls(
            features.fingerprint,
            standardise(features.descriptors, mean, scale).astype(np.float16),
            mean,
            scale,
        )

    def kernel(self, features: Features | Structures, *, constant: bool = True) -> np.ndarray:
        """(n_new, n) prior covariance between new structures and the training ones."""
        new = features.descriptors
        if isinstance(features, Features):
            new = standardise(new, self.mean, self.scale).astype(np.float16)
        out = np.full((len(new), len(self.fingerprint)), CONSTANT if constant else 0.0)
        for name, part in SLICES.items():
            out += VARIANCE[name] * minmax(features.fingerprint[:, part], self.fingerprint[:, part])
        groups = len(GROUPS)
        ours = self.descriptors.astype(np.float64)
        new = new.astype(np.float64)
        out += VARIANCE["descriptors"] * matern(
            new[:, :-groups], ours[:, :-groups], LENGTH["descriptors"]
        )
        out += VARIANCE["groups"] * matern(new[:, -groups:], ours[:, -groups:], LENGTH["groups"])
        return out


@dataclass
class StructurePrior:
    """log parameter = mean + kernel @ coefficients, for several parameters at once."""

    structures: Structures
    coefficients: np.ndarray  # (n, n_parameters)
    mean: np.ndarray  # (n_parameters,)

    @classmethod
    def fit(
        cls, features: Features, targets: np.ndarray, gram: np.ndarray | None = None
    ) -> StructurePrior:
        """Fit to `targets` (n, n_parameters), NaN where unknown. `gram`: the kernel among
        the rows, where it is known.
        """
        structures = Structures.of(features)
        gram = structures.kernel(structures) if gram is None else gram
        coefficients, mean = fit_coefficients(gram, targets)
        return cls(structures, coefficients, mean)

    def predict(self, features: Features) -> np.ndarray:
        """(n_new, n_parameters) in the unit of the targets."""
        return self.mean + self.structures.kernel(features) @ self.coefficients


def fit_coefficients(gram: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (zero where a target is unknown) and mean of each column of `targets`."""
    coefficients, mean = np.zeros_like(targets), np.zeros(targets.shape[1])
    for p in range(targets.shape[1]):
        known = np.flatnonzero(np.isfinite(targets[:, p]))
        if not known.size:
            continue
        mean[p] = np.median(targets[known, p])
        y = targets[known, p] - mean[p]
        inner, noise = gram[np.ix_(known, known)], np.full(known.size, NOISE)
        for _ in range(ITERATIONS):
            weights = np.linalg.solve(inner + np.diag(noise), y)
            square = (noise * weights) ** 2  # residuals
            scale = 0.75 * NOISE
            noise = scale * (DEGREES + square / scale) / (DEGREES + 1)
        coefficients[known, p] = weights
    return coefficients, mean


def out_of_fold(gram: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Predictions for every row by the model that has not seen its fold."""
    out = np.empty_like(targets)
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        coefficients, mean = fit_coefficients(gram[np.ix_(outside, outside)], targets[outside])
        out[inside] = mean + gram[np.ix_(inside, outside)] @ coefficients
    return out


def standardise(descriptors: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """To mean 0 and standard deviation 1 of the training set; five deviations are as far as
    a descriptor counts.
    """
    return np.clip((descriptors - mean) / scale, -5.0, 5.0)


def minmax(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Min-max kernel of counts, (n_a, n_b) in [0, 1]; two empty fingerprints are alike."""
    total_a, total_b = a.sum(1, dtype=np.float32), b.sum(1, dtype=np.float32)
    out = np.empty((len(a), len(b)))
    for i, row in enumerate(a):
        used = np.flatnonzero(row)  # elsewhere the minimum is zero
        common = np.minimum(row[used], b[:, used]).sum(1, dtype=np.float32)
        either = total_a[i] + total_b - common
        out[i] = np.where(either > 0, common / np.where(either > 0, either, 1.0), 1.0)
    return out


def matern(a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
    """Matern-3/2 kernel of the root mean squared difference per column."""
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    r = np.sqrt(3 * np.maximum(square, 0.0) / a.shape[1]) / length
    return (1 + r) * np.exp(-r)
