"""A device that is not there: tensors whose numbers are on the CPU and that say they are on "meta".

Inside :func:`fake_device` whatever is made on, or moved to, the device "meta" keeps its numbers, so
that a whole training runs; but as on a real accelerator an operation between it and a tensor of
the CPU fails, and so does reading it as numpy.
"""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = "meta"
_INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}
#: may take tensors of the CPU beside others, on real devices too: copies, and indices
_MIXED = {
    torch.ops.aten._to_copy.default,
    torch.ops.aten.copy_.default,
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class DeviceMixError(RuntimeError):
    """Tensors of two devices in one operation."""


class _OnDevice(torch.Tensor):
    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=DEVICE,
        )

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"_OnDevice({self.inner!r})"

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in _INDEXING:  # a list would become an index on "meta", without numbers
            args = (args[0], _index(args[1]), *args[2:])
        if function is torch.Tensor.tolist:  # works on every real device
            return args[0].inner.tolist()
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _index(key):
    if isinstance(key, tuple):
        return tuple(map(_index, key))
    return torch.tensor(key) if isinstance(key, (list, np.ndarray)) else key


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _run(function, args, kwargs):
    found, _ = tree_flatten((args, kwargs))
    there = [a for a in found if isinstance(a, _OnDevice)]
    here = [a for a in found if isinstance(a, torch.Tensor) and not isinstance(a, _OnDevice)]
    if there and any(a.dim() for a in here) and function not in _MIXED:
        raise DeviceMixError(f"{function}: {[tuple(a.shape) for a in here]} on the CPU")
    kwargs = dict(kwargs)
    asked = kwargs.get("device")
    if asked is not None and torch.device(asked).type == DEVICE:
        kwargs["device"] = torch.device("cpu")
    plain = lambda a: a.inner if isinstance(a, _OnDevice) else a
    out = function(*tree_map(plain, args), **tree_map(plain, kwargs))
    on_device = bool(there) if asked is None else torch.device(asked).type == DEVICE
    if function is torch.ops.aten.copy_.default:
        return args[0]
    wrapped = {id(a.inner): a for a in there}

    def back(value):
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in wrapped:  # in place
            return wrapped[id(value)]
        return _OnDevice(value) if on_device else value

    return tree_map(back, out)


@contextlib.contextmanager
def fake_device():
    """While it lasts, "meta" is a device with numbers; yields its name."""
    made = torch.tensor, torch.as_tensor
    # made on "meta" these two would have no numbers: they are made here and then moved
    torch.tensor, torch.as_tensor = map(_then_moved, made)
    try:
        with _Mode():
            yield DEVICE
    finally:
        torch.tensor, torch.as_tensor = made


def _then_moved(make):
    def moved(data, *args, device=None, **kwargs):
        there = data.device if isinstance(data, torch.Tensor) and device is None else device
        if isinstance(data, torch.Tensor):
            data = data.cpu()
        found = make(data, *args, **kwargs)
        return found if there is None else found.to(there)

    return moved


def numbers(tensor):
    """The numbers of a tensor of either kind, on the CPU."""
    return tensor.inner if isinstance(tensor, _OnDevice) else tensor
