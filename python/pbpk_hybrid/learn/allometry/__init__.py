"""Neural Allometry: a continuous law of clearance and volume from mouse to human, with power
laws as its special case.
"""

from __future__ import annotations

from ..._core.lazy import lazy_names

_WHERE = {
    "model": ("NeuralAllometry",),
    "config": ("AllometryConfig",),
    "data": ("Table", "load_table", "scaffold_folds"),
    "engine": ("prediction_to_compound",),
    "curves": ("Curve", "fine_tune", "scaled_system"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted(__all__)
