"""The encoder as arrays of a checkpoint, and back, with everything checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..._core.errors import CheckpointError
from ..checkpoints import check_array, with_prefix
from .encoder import Encoder
from .features import SLICES
from .structure import StructurePrior, Structures
from .trees import Trees

_MOST_STRUCTURES = 100_000


def encoder_arrays(encoder: Encoder) -> dict[str, np.ndarray]:
    """Arrays of an encoder, for :func:`encoder_from_arrays`."""
    arrays = {"centre": encoder.centre}
    if encoder.prior is not None:
        structures = encoder.prior.structures
        arrays |= {
            **_sparse("fingerprint", structures.fingerprint),
            "descriptors": structures.descriptors,
            "mean": structures.mean,
            "scale": structures.scale,
            "coefficients": encoder.prior.coefficients.astype(np.float32),
            "prior_mean": encoder.prior.mean,
        }
    if encoder.trees is not None:
        arrays |= {f"trees/{n}": a for n, a in encoder.trees.arrays().items()}
    return arrays


def encoder_from_arrays(arrays: Mapping[str, np.ndarray]) -> Encoder:
    """The encoder of a checkpoint.

    Raises
    ------
    CheckpointError, KeyError
        arrays whose shapes or values do not fit together
    """
    prior, n_descriptors = None, 0
    if "coefficients" in arrays:
        prior = _structure_prior(arrays)
        n_descriptors = len(prior.structures.mean)
    centre = check_array("centre", arrays["centre"], (3,))
    return Encoder(prior, centre, _trees(arrays, n_descriptors))


def _structure_prior(arrays: Mapping[str, np.ndarray]) -> StructurePrior:
    """The kernel machine of a checkpoint.

    Raises
    ------
    CheckpointError, KeyError
        as :func:`encoder_from_arrays`
    """
    prints = _dense("fingerprint", arrays, SLICES["maccs"].stop)
    mean = check_array("mean", arrays["mean"], (None,))
    n, width = len(prints), len(mean)
    scale = check_array("scale", arrays["scale"], (width,), 1e-12)
    descriptors = check_array("descriptors", arrays["descriptors"], (n, width), -5.0, 5.0)
    coefficients = check_array("coefficients", arrays["coefficients"], (n, 3))
    return StructurePrior(
        Structures(prints, descriptors, mean, scale),
        coefficients.astype(float),
        check_array("prior_mean", arrays["prior_mean"], (3,)),
    )


def _sparse(name: str, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Fingerprints are mostly zeros: columns and values of the others, and how many in each row."""
    rows, columns = np.nonzero(counts)
    return {
        f"{name}/columns": columns.astype(np.int16),
        f"{name}/counts": counts[rows, columns],
        f"{name}/rows": np.bincount(rows, minlength=len(counts)).astype(np.int32),
        f"{name}/width": np.array([counts.shape[1]], dtype=np.int32),
    }


def _dense(name: str, arrays: Mapping[str, np.ndarray], width: int) -> np.ndarray:
    """(n, width) counts from :func:`_sparse`.

    Raises
    ------
    CheckpointError, KeyError
        not the counts of fingerprints of this width
    """
    of_row = check_array(f"{name}/rows", arrays[f"{name}/rows"], (None,), 0, width)
    columns = check_array(f"{name}/columns", arrays[f"{name}/columns"], (None,), 0, width - 1)
    counts = check_array(f"{name}/counts", arrays[f"{name}/counts"], (len(columns),), 0, 255)
    check_array(f"{name}/width", arrays[f"{name}/width"], (1,), width, width)
    if len(of_row) > _MOST_STRUCTURES or int(of_row.sum()) != len(columns):
        raise CheckpointError(
            f"tensor {name}/rows",
            f"{len(of_row)} rows of {int(of_row.sum())} entries",
            f"at most {_MOST_STRUCTURES} rows of {len(columns)} entries",
        )
    out = np.zeros((len(of_row), width), dtype=np.uint8)
    out[np.repeat(np.arange(len(of_row)), of_row), columns] = counts
    return out


def _trees(arrays: Mapping[str, np.ndarray], n_descriptors: int) -> Trees | None:
    """The trees of a checkpoint, None where it has none.

    Raises
    ------
    CheckpointError
        trees that do not hold together, see :meth:`Trees.check`
    """
    found = with_prefix(arrays, "trees/")
    if not found:
        return None
    trees = Trees(**found)
    trees.check(n_descriptors + SLICES["maccs"].stop)
    return trees
