"""Learned components: what the mechanistic engine is given, or what forecasts beside it.

Everything here needs the extra ``learn`` (torch, torch-geometric, torchdiffeq,
safetensors); importing this package does not import torch, using a name does. Nothing of the
engine imports from here.
"""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "checkpoints": ("save_checkpoint", "load_checkpoint"),
    "training": ("TrainingOptions", "TrainingLog", "train"),
    "allometry": ("NeuralAllometry",),
    "diffusion": ("PCDM", "PCDMConfig"),
    "transformer": ("Forecaster", "ForecasterConfig"),
    "neural_ode": ("odeint", "MLPField", "GraphField"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted(__all__)
