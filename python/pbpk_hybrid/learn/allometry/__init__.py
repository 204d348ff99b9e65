"""Neural Allometry: a law of clearance and volume over the species that ends in the engine's
algebra.
"""

from __future__ import annotations

from ..._core.lazy import lazy_names

_WHERE = {
    "model": ("NeuralAllometry",),
    "config": ("AllometryConfig",),
    "data": ("Table", "load_table", "scaffold_folds"),
    "engine": ("prediction_to_compound",),
    "curves": ("Curve", "fine_tune"),
    "species_system": ("scaled_system",),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted(__all__)
