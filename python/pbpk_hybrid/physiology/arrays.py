"""The few array functions that regressions and rules need, for numpy arrays and torch
tensors alike.

The physics-informed loss differentiates the very rules that populations are checked
with, so these must work on tensors. torch is never imported here: a tensor can only
arrive when somebody else has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

#: a numpy array, a torch tensor or a number; tensors come out where a tensor went in
Array = Any


def _torch(*values: Any) -> Any:
    """The torch module if any of `values` is a tensor, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and any(isinstance(v, torch.Tensor) for v in values) else None


def _tensors(torch: Any, *values: Any) -> list[Any]:
    """All values as tensors of the type and on the device of the first that is one."""
    like = next(v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point())
    return [
        v
        if isinstance(v, torch.Tensor)
        else torch.as_tensor(v, dtype=like.dtype, device=like.device)
        for v in values
    ]


def where(condition: Array, a: Array, b: Array) -> Array:
    """Elementwise a where `condition`, else b; shapes broadcast."""
    torch = _torch(condition, a, b)
    if torch is None:
        return np.where(condition, a, b)
    device = next(v.device for v in (condition, a, b) if isinstance(v, torch.Tensor))
    condition = torch.as_tensor(condition, device=device)

    def tensor(value):
        if isinstance(value, torch.Tensor):
            return value
        return torch.tensor(value, dtype=torch.float64, device=device)

    a, b = tensor(a), tensor(b)
    kind = torch.promote_types(a.dtype, b.dtype)
    return torch.where(condition, a.to(kind), b.to(kind))


def maximum(a: Array, b: Array) -> Array:
    """Elementwise larger one."""
    torch = _torch(a, b)
    return np.maximum(a, b) if torch is None else torch.maximum(*_tensors(torch, a, b))


def minimum(a: Array, b: Array) -> Array:
    """Elementwise smaller one."""
    torch = _torch(a, b)
    return np.minimum(a, b) if torch is None else torch.minimum(*_tensors(torch, a, b))


def fmax(a: Array, b: Array) -> Array:
    """Elementwise larger one; NaN counts as missing."""
    torch = _torch(a, b)
    return np.fmax(a, b) if torch is None else torch.fmax(*_tensors(torch, a, b))


def _unary(name: str) -> Callable[[Array], Array]:
    def function(x: Array) -> Array:
        torch = _torch(x)
        return getattr(np if torch is None else torch, name)(x)

    function.__name__, function.__doc__ = name, f"Elementwise {name}."
    return function


exp, log, log10, sqrt, isfinite = map(_unary, ("exp", "log", "log10", "sqrt", "isfinite"))


def largest(x: Array, axis: int = 1) -> Array:
    """Largest along an axis."""
    torch = _torch(x)
    return x.max(axis=axis) if torch is None else x.amax(dim=axis)


def smallest(x: Array, axis: int = 1) -> Array:
    """Smallest along an axis."""
    torch = _torch(x)
    return x.min(axis=axis) if torch is None else x.amin(dim=axis)


def copy(x: Array) -> Array:
    """A copy that may be written to."""
    return x.copy() if _torch(x) is None else x.clone()
