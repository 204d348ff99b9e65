"""Constants of events, and their derivatives, as rows of lanes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...models.system.derivatives import ParameterDerivative
from ...models.system.system import System
from .kernel_arrays import BLOCK
from .pack import to_lanes


def per_pack_directions(
    system: System, derivatives: Sequence[ParameterDerivative], n_subjects: int
) -> np.ndarray:
    """(packs, parameters x constants, LANES) derivatives of the events' constants by each
    parameter.
    """
    n = max(1, system.events.values_of_constants.shape[1])
    padded = -(-len(derivatives) // BLOCK) * BLOCK
    out = np.zeros((n_subjects, padded, n))
    for q, d in enumerate(derivatives):
        if d.events is not None and d.events.shape[1]:
            out[:, q] = d.events
    return to_lanes(out.reshape(n_subjects, -1), n_subjects)


def per_pack_constants(system: System, n_subjects: int) -> np.ndarray:
    """(packs, rows, LANES) constants of the events."""
    values = system.events.values_of_constants
    return to_lanes(values if values.shape[1] else np.zeros((1, 1)), n_subjects)
