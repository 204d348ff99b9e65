"""From what is known of a compound to what the network sees: its own numbers, the
structure's prediction, kernel directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from . import bodies
from .data import LARGEST_FU, Table
from .features import BLOCK, SLICES, Features
from .structure import StructurePrior, Structures, fit_coefficients, minmax, out_of_fold
from .trees import Trees

HUMAN = bodies.KNOT_SPECIES.index("human")
#: descriptors of a compound that the gate sees, and where they stand in phi
N_DESCRIPTORS = len(BLOCK)
DESCRIPTOR_COLUMNS = slice(4, 4 + N_DESCRIPTORS)


#: parameters that have trees (the unbound fraction is better without), and those whose
#: trees see the kernel's predictions
TREED, STACKED = (0, 1), (1,)


def average_known(kernel: np.ndarray, trees: np.ndarray) -> np.ndarray:
    """Mean of both predictions where both are."""
    return np.where(np.isfinite(trees), 0.5 * (kernel + trees), kernel)


def logit(p: ArrayLike) -> np.ndarray:
    """ln p/(1 - p) of fractions; those near 1 are taken as :data:`LARGEST_FU`."""
    p = np.minimum(np.asarray(p, dtype=float), LARGEST_FU)
    return np.log(p) - np.log1p(-p)


def states(table: Table) -> np.ndarray:
    """(n, species of the path, 3): ln clearance, ln volume, logit fu; NaN where unknown."""
    out = np.full((len(table), len(bodies.KNOT_SPECIES), 3), np.nan)
    for s, species in enumerate(bodies.KNOT_SPECIES):
        if species in table.species:
            values = table.values[:, table.species.index(species)]
            out[:, s, :2] = np.log(values[:, :2])
            out[:, s, 2] = logit(values[:, 2])
    return out


@dataclass
class Encoder:
    """Kernel machine, landmarks and scales, all plain arrays."""

    prior: StructurePrior | None
    centre: np.ndarray  # (3,) mean of the structure's predictions
    scale: np.ndarray  # (3,)
    landmark_prints: np.ndarray  # (n_landmarks, bits) uint8
    projection: np.ndarray  # (n_landmarks, rank)
    offset: np.ndarray  # (rank,)
    trees: Trees | None = None

    @property
    def n_phi(self) -> int:
        """Length of what the field sees of a compound: descriptors and kernel directions."""
        return DESCRIPTOR_COLUMNS.stop + self.projection.shape[1]

    @classmethod
    def fit(
        cls,
        table: Table,
        rank: int,
        inner: np.ndarray,
        gram: np.ndarray | None = None,
        n_trees: int = 0,
        seed: int = 0,
    ) -> tuple[Encoder, np.ndarray]:
        """The encoder, and out-of-fold predictions (n, 3) for training what sees them."""
        targets = states(table)[:, HUMAN]
        if table.features is None:
            centre = np.array([np.nanmedian(c) if np.isfinite(c).any() else 0.0 for c in targets.T])
            empty = np.zeros((0, 0))
            return cls(
                None, centre, np.ones(3), np.zeros((0, 2048), np.uint8), empty, np.zeros(0)
            ), np.tile(centre, (len(table), 1))
        structures = Structures.of(table.features)
        gram = structures.kernel(structures) if gram is None else gram
        predicted = out_of_fold(gram, targets, inner)
        coefficients, mean = fit_coefficients(gram, targets)
        kernel, trees = predicted, None
        if n_trees:

            def grow(rows: np.ndarray) -> Trees:
                part = table.features.take(rows)
                return Trees.fit(part, targets[rows], kernel[rows], n_trees, TREED, STACKED, seed)

            predicted = kernel.copy()
            for fold in np.unique(inner):
                out = np.flatnonzero(inner == fold)
                grown = grow(np.flatnonzero(inner != fold))
                predicted[out] = average_known(
                    kernel[out], grown.predict(table.features.take(out), kernel[out])
                )
            trees = grow(np.arange(len(table)))
        animals = np.flatnonzero(np.isfinite(states(table)[:, :HUMAN]).any((1, 2)))
        prints = table.features.fingerprint[animals][:, :2048]
        rank = min(rank, len(animals))
        values, vectors = np.linalg.eigh(_landmark_kernel(prints, prints))
        top = np.argsort(values)[::-1][:rank]
        projection = vectors[:, top] / np.sqrt(np.maximum(values[top], 1e-6))
        offset = (_landmark_kernel(prints, prints) @ projection).mean(0)
        scale = np.maximum(predicted.std(0), 1e-3)
        return cls(
            StructurePrior(structures, coefficients, mean),
            predicted.mean(0),
            scale,
            prints,
            projection,
            offset,
            trees,
        ), predicted

    def predict_structure(self, features: Features | None, n: int = 1) -> np.ndarray:
        """(n, 3) human predictions from structure; the mean where there is none."""
        if features is None or self.prior is None:
            return np.tile(self.centre, (n, 1))
        predicted = self.prior.predict(features)
        return (
            predicted
            if self.trees is None
            else average_known(predicted, self.trees.predict(features, predicted))
        )

    def phi(self, features: Features | None, structure: np.ndarray) -> np.ndarray:
        """(n, n_phi): constant, structure's predictions, block, kernel directions; without
        a structure only the constant.

        Measured numbers are not in it: they enter as sources and as the unbound fraction
        along the way.
        """
        n = len(structure)
        out = np.zeros((n, self.n_phi))
        out[:, 0] = 1.0
        if features is not None and self.prior is not None:
            out[:, 1:4] = (structure - self.centre) / self.scale
            out[:, DESCRIPTOR_COLUMNS] = features.block
            kernel = _landmark_kernel(features.fingerprint[:, :2048], self.landmark_prints)
            out[:, DESCRIPTOR_COLUMNS.stop :] = kernel @ self.projection - self.offset
        return out

    def sd_phi(self, constant: float, linear: float, kernel: float) -> np.ndarray:
        """(n_phi,) prior standard deviation of the field's weights."""
        sd = np.full(self.n_phi, linear)
        sd[0] = constant
        sd[DESCRIPTOR_COLUMNS.stop :] = kernel
        return sd


def fill(values: np.ndarray, structure: np.ndarray) -> np.ndarray:
    """(n, species, 3) with the gaps closed: fu by the other species or the structure, the
    rest by classical scaling of the structure's.

    Filled numbers are only where a trajectory's other state starts and what its fu is; they
    are never assimilated.
    """
    out = values.copy()
    flow = bodies.processes()[0]
    out[..., 0] = np.where(
        np.isfinite(out[..., 0]), out[..., 0], structure[:, None, 0] + (flow - flow[HUMAN])[None]
    )
    mass = bodies.KNOTS - bodies.KNOTS[HUMAN]
    out[..., 1] = np.where(
        np.isfinite(out[..., 1]), out[..., 1], structure[:, None, 1] + mass[None]
    )
    known = np.isfinite(values[..., 2])
    some = known.any(1)
    mean = np.where(
        some,
        np.where(known, values[..., 2], 0.0).sum(1) / np.maximum(known.sum(1), 1),
        structure[:, 2],
    )
    out[..., 2] = np.where(known, values[..., 2], mean[:, None])
    return out


def _landmark_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    morgan, pharmacophore = SLICES["morgan"], SLICES["pharmacophore"]
    return 0.5 * minmax(a[:, morgan], b[:, morgan]) + 0.5 * minmax(
        a[:, pharmacophore], b[:, pharmacophore]
    )
