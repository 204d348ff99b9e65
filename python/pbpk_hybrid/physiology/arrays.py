"""The few array functions that regressions and rules need, for numpy arrays and torch
tensors alike.

The physics-informed loss differentiates the very rules that populations are checked
with, so these must work on tensors. torch is never imported here: a tensor can only
arrive when somebody else has imported it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def _torch(*values: Any):
    """The torch module if any of `values` is a tensor, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and any(isinstance(v, torch.Tensor) for v in values) else None


def _tensors(torch, *values: Any) -> list[Any]:
    like = next(v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point())
    return [
        v
        if isinstance(v, torch.Tensor)
        else torch.as_tensor(v, dtype=like.dtype, device=like.device)
        for v in values
    ]


def where(condition, a, b):
    """Elementwise a where `condition`, else b."""
    torch = _torch(condition, a, b)
    if torch is None:
        return np.where(condition, a, b)
    condition = torch.as_tensor(condition)

    def tensor(value):
        return (
            value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)
        )

    a, b = tensor(a), tensor(b)
    kind = torch.promote_types(a.dtype, b.dtype)
    return torch.where(condition, a.to(kind), b.to(kind))


def maximum(a, b):
    """Elementwise larger one."""
    torch = _torch(a, b)
    return np.maximum(a, b) if torch is None else torch.maximum(*_tensors(torch, a, b))


def minimum(a, b):
    """Elementwise smaller one."""
    torch = _torch(a, b)
    return np.minimum(a, b) if torch is None else torch.minimum(*_tensors(torch, a, b))


def fmax(a, b):
    """Elementwise larger one; NaN counts as missing."""
    torch = _torch(a, b)
    return np.fmax(a, b) if torch is None else torch.fmax(*_tensors(torch, a, b))


def _unary(name: str):
    def function(x):
        torch = _torch(x)
        return getattr(np if torch is None else torch, name)(x)

    function.__name__, function.__doc__ = name, f"Elementwise {name}."
    return function


exp, log, log10, sqrt, isfinite = map(_unary, ("exp", "log", "log10", "sqrt", "isfinite"))


def largest(x, axis: int = 1):
    """Largest along an axis."""
    torch = _torch(x)
    return x.max(axis=axis) if torch is None else x.amax(dim=axis)


def smallest(x, axis: int = 1):
    """Smallest along an axis."""
    torch = _torch(x)
    return x.min(axis=axis) if torch is None else x.amin(dim=axis)


def copy(x):
    """A copy that may be written to."""
    return x.copy() if _torch(x) is None else x.clone()
