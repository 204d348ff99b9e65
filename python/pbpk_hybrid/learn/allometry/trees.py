"""Extremely randomised trees on descriptors and fingerprints, as plain arrays: the other
half of the structure's prediction.

Trees err elsewhere than the kernel machine does, so their mean is better than either. They
are grown by scikit-learn (Geurts, Ernst & Wehenkel 2006, Mach Learn 63:3) and kept as
arrays; predicting needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..._core.errors import CheckpointError
from ..._core.optional import require
from ..checkpoints import check_array
from .features import Features

LEAF, SHARE = 3, 0.05  # compounds in a leaf, share of the columns looked at per split
RARE = 5  # columns in which fewer compounds differ from the commonest value are not looked at
REPEAT = 10  # copies of the kernel's predictions among the columns, so that splits find them


@dataclass
class Trees:
    """A forest for several parameters; node arrays end to end. The value of a parameter
    without trees is NaN.

    `feature` (n_nodes,) column, -1 at a leaf; `threshold`; `left`, `right` places of the
    children; `value` at leaves; `roots` (n_trees,) and `of` (n_trees,) the parameter that
    each tree is about; `stacked` (n_parameters,) whether its trees see the kernel's
    predictions.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    of: np.ndarray
    stacked: np.ndarray

    @classmethod
    def fit(
        cls,
        features: Features,
        targets: np.ndarray,
        kernel_prediction: np.ndarray,
        n_trees: int,
        parameters: Sequence[int],
        stacked: Collection[int],
        seed: int,
    ) -> Trees:
        """Grow `n_trees` for each of `parameters` (column numbers of `targets`, NaN where
        unknown); `kernel_prediction` (n, n_parameters): the kernel's predictions for rows
        it has not seen.
        """
        ensemble = require("sklearn.ensemble", "learn", "training Neural Allometry")
        parts: list[list[np.ndarray]] = []
        roots, of, first = [], [], 0
        for p in parameters:
            known = np.flatnonzero(np.isfinite(targets[:, p]))
            x = _columns(features.take(known), kernel_prediction[known] if p in stacked else None)
            keep = np.flatnonzero((x != np.median(x, axis=0)).sum(0) >= RARE)
            forest = ensemble.ExtraTreesRegressor(
                n_trees, min_samples_leaf=LEAF, max_features=SHARE, random_state=seed + p
            )
            for grown in forest.fit(x[:, keep], targets[known, p]).estimators_:
                tree = grown.tree_
                leaf = tree.children_left < 0
                shifted = lambda child, leaf=leaf, first=first: np.where(leaf, 0, child + first)
                column = np.where(leaf, -1, keep[np.maximum(tree.feature, 0)])
                children = shifted(tree.children_left), shifted(tree.children_right)
                parts.append([column, tree.threshold, *children, tree.value[:, 0, 0]])
                roots.append(first), of.append(p)
                first += tree.node_count
        kinds = (np.int16, np.float32, np.int32, np.int32, np.float32)
        arrays = [
            np.concatenate(a).astype(k)
            for a, k in zip(zip(*parts, strict=True), kinds, strict=True)
        ]
        seen = np.zeros(targets.shape[1], dtype=np.uint8)
        seen[list(stacked)] = 1
        return cls(*arrays, np.array(roots, dtype=np.int32), np.array(of, dtype=np.int32), seen)

    def predict(self, features: Features, kernel_prediction: np.ndarray) -> np.ndarray:
        """(n, n_parameters) of new structures; `kernel_prediction`: the kernel's
        predictions for them.
        """
        out = np.full(kernel_prediction.shape, np.nan)
        plain, full = _columns(features, None), _columns(features, kernel_prediction)
        rows = np.arange(len(out))[:, None]
        for p in np.unique(self.of):
            x = full if self.stacked[p] else plain
            node = np.tile(self.roots[self.of == p], (len(out), 1))
            while True:
                column = self.feature[node]
                inner = column >= 0
                if not inner.any():
                    break
                low = x[rows, np.maximum(column, 0)] <= self.threshold[node]
                node = np.where(inner, np.where(low, self.left[node], self.right[node]), node)
            out[:, p] = self.value[node].mean(1)
        return out

    def check(self, columns: int) -> None:
        """Whether these are trees: every way from a root ends at a leaf.

        Children stand behind their parent, as scikit-learn numbers them, so no way can go
        round in a circle.

        Parameters
        ----------
        columns
            descriptors and fingerprints; trees that see the kernel's predictions have
            REPEAT more for each

        Raises
        ------
        CheckpointError
            names the array
        """
        n = len(self.feature)
        for name in ("threshold", "left", "right", "value"):
            check_array(f"trees/{name}", getattr(self, name), (n,))
        stacked = check_array("trees/stacked", self.stacked, (None,), 0, 1)
        parameters = len(stacked)
        of = check_array("trees/of", self.of, (None,), 0, parameters - 1)
        roots = check_array("trees/roots", self.roots, (len(of),), 0, n - 1)
        check_array("trees/feature", self.feature, (n,), -1, columns + REPEAT * parameters - 1)
        if not n or parameters != 3 or (np.diff(roots) <= 0).any() or roots[0] != 0:
            raise CheckpointError("tensor trees/roots", "out of order", "roots that rise from 0")
        inner = np.flatnonzero(self.feature >= 0)
        tree = np.searchsorted(roots, inner, side="right") - 1
        ends = np.append(roots[1:], n)[tree]
        for name in ("left", "right"):
            child = getattr(self, name)[inner].astype(np.int64)
            if not ((child > inner) & (child < ends)).all():
                raise CheckpointError(
                    f"tensor trees/{name}",
                    "a child before its node",
                    "nodes of one tree, parents first",
                )
        plain = stacked[of[tree]] == 0
        if (self.feature[inner][plain] >= columns).any():
            raise CheckpointError("tensor trees/feature", columns, f"columns below {columns}")

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields by name, as they go into a checkpoint."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def _columns(features: Features, kernel_prediction: np.ndarray | None) -> np.ndarray:
    parts = [features.descriptors, features.fingerprint]
    if kernel_prediction is not None:
        parts.append(np.repeat(kernel_prediction, REPEAT, axis=1))
    return np.hstack(parts).astype(np.float32)
