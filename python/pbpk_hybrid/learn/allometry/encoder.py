"""From structures to what the law sees: human values predicted from structure, descriptors,
tissue composition, and how far the training compounds are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from . import bodies
from .composition import composition
from .data import Table
from .features import SLICES, Features
from .law import N_DESCRIPTORS, Compounds
from .readout import as_tensor
from .sources import logit
from .structure import StructurePrior, Structures, fit_coefficients, minmax, out_of_fold
from .trees import Trees

HUMAN = bodies.KNOT_SPECIES.index("human")
#: parameters that have trees (the unbound fraction is better without), and those whose
#: trees see the kernel's predictions
TREED, STACKED = (0, 1), (1,)
#: a compound of unknown structure: a neutral one of usual lipophilicity
_USUAL_LOG_P = 2.0


def average_known(kernel: np.ndarray, trees: np.ndarray) -> np.ndarray:
    """Mean of both predictions where both are."""
    return np.where(np.isfinite(trees), 0.5 * (kernel + trees), kernel)


def states(table: Table) -> np.ndarray:
    """(n, species of the path, 4): ln clearance, ln volume, logit fu, ln intrinsic clearance in
    vitro [L/h per gram of liver]; NaN where unknown.
    """
    out = np.full((len(table), len(bodies.KNOT_SPECIES), 4), np.nan)
    for s, species in enumerate(bodies.KNOT_SPECIES):
        if species in table.species:
            i = table.species.index(species)
            out[:, s, :2] = np.log(table.values[:, i, :2])
            out[:, s, 2] = logit(table.values[:, i, 2])
            out[:, s, 3] = np.log(table.in_vitro[:, i])
    return out


@dataclass
class Encoder:
    """Kernel machine, trees and centre, all plain arrays; `prior` None: no structures."""

    prior: StructurePrior | None
    centre: np.ndarray  # (3,) human values without a structure
    trees: Trees | None = None

    @classmethod
    def fit(
        cls,
        table: Table,
        inner: np.ndarray,
        gram: np.ndarray | None = None,
        n_trees: int = 0,
        seed: int = 0,
    ) -> tuple[Encoder, np.ndarray]:
        """The encoder, and out-of-fold predictions (n, 3) for training what sees them."""
        targets = states(table)[:, HUMAN, :3]
        centre = np.array([np.nanmedian(c) if np.isfinite(c).any() else 0.0 for c in targets.T])
        if table.features is None:
            return cls(None, centre), np.tile(centre, (len(table), 1))
        structures = Structures.of(table.features)
        gram = structures.kernel(structures) if gram is None else gram
        kernel = out_of_fold(gram, targets, inner)
        coefficients, mean = fit_coefficients(gram, targets)
        predicted, trees = kernel.copy(), None
        if n_trees:

            def grow(rows: np.ndarray) -> Trees:
                part = table.features.take(rows)
                return Trees.fit(part, targets[rows], kernel[rows], n_trees, TREED, STACKED, seed)

            for fold in np.unique(inner):
                out = np.flatnonzero(inner == fold)
                grown = grow(np.flatnonzero(inner != fold))
                predicted[out] = average_known(
                    kernel[out], grown.predict(table.features.take(out), kernel[out])
                )
            trees = grow(np.arange(len(table)))
        return cls(StructurePrior(structures, coefficients, mean), centre, trees), predicted

    def predict_structure(self, features: Features | None, n: int = 1) -> np.ndarray:
        """(n, 3) human predictions from structure; the centre where there is none."""
        if features is None or self.prior is None:
            return np.tile(self.centre, (n, 1))
        predicted = self.prior.predict(features)
        if self.trees is None:
            return predicted
        return average_known(predicted, self.trees.predict(features, predicted))

    def similarity(self, features: Features) -> np.ndarray:
        """(n,) to the most similar training compound: min-max kernel of Morgan counts."""
        part = SLICES["morgan"]
        ours = self.prior.structures.fingerprint[:, part]
        return minmax(features.fingerprint[:, part], ours).max(1)

    def compounds(self, features: Features | None, n: int = 1) -> Compounds:
        """What the law sees of new compounds; None: of n whose structure is unknown."""
        if features is None or self.prior is None:
            return unknown_compounds(n, self.centre)
        structure = self.predict_structure(features, n)
        return known_compounds(features, structure, 1.0 - self.similarity(features))


def known_compounds(features: Features, structure: np.ndarray, distance: np.ndarray) -> Compounds:
    """Compounds of known structure."""
    known = np.ones(len(structure))
    parts = (structure, features.block, features.composition, distance, known)
    return Compounds(*map(as_tensor, parts))


def unknown_compounds(n: int, centre: np.ndarray) -> Compounds:
    """Compounds of unknown structure."""
    return Compounds(
        as_tensor(np.tile(centre, (n, 1))),
        torch.zeros(n, N_DESCRIPTORS, dtype=torch.float64),
        as_tensor(np.tile(composition(_USUAL_LOG_P, (), ()), (n, 1))),
        torch.full((n,), 0.5, dtype=torch.float64),
        torch.zeros(n, dtype=torch.float64),
    )


def out_of_fold_similarity(features: Features, inner: np.ndarray) -> np.ndarray:
    """(n,) similarity of every compound to the most similar one of another fold."""
    part = SLICES["morgan"]
    prints = features.fingerprint[:, part]
    out = np.empty(len(prints))
    for fold in np.unique(inner):
        inside, outside = np.flatnonzero(inner == fold), np.flatnonzero(inner != fold)
        out[inside] = minmax(prints[inside], prints[outside]).max(1)
    return out
