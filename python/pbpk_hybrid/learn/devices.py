"""Where a network runs and in which numbers: the one place that knows of devices, of
precision and of torch's random state.

Random numbers are drawn on the CPU and then moved, so that a seed gives the same draws on
every device. Nobody's own random state is touched: torch's generators are put back as they were.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .._core.errors import InputError

if TYPE_CHECKING:
    from torch import nn

#: names of the precisions, and how each is kept in a run's state
PRECISIONS = {"float32": "float32", "bf16": "bfloat16", "bfloat16": "bfloat16"}


def as_device(device: str | torch.device | None) -> torch.device:
    """A device that is there; None is the CPU.

    Raises
    ------
    InputError
        a name torch does not know, or a device that this machine or this torch does not have
    """
    try:
        found = torch.device("cpu" if device is None else device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ValueError) as error:
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise InputError(
            "device",
            str(device),
            f"a device that torch finds here: {', '.join(there)}",
            hint=(str(error).splitlines() or [""])[0],
        ) from error
    return found


def as_precision(precision: str) -> str:
    """The precision as a run's state names it: "float32" or "bfloat16".

    Raises
    ------
    InputError
        another name
    """
    if precision not in PRECISIONS:
        raise InputError("precision", precision, "float32 or bf16")
    return PRECISIONS[precision]


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Automatic mixed precision for "bfloat16", nothing for "float32"."""
    if as_precision(precision) == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """torch's own generators, of the CPU and of `device`, seeded for as long as this lasts.

    ``torch.manual_seed`` would seed those of every device and leave them so.
    """
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def device_of(module: nn.Module) -> torch.device:
    """Where the weights of a network are."""
    return next(module.parameters()).device


class OnDevice:
    """A trained model whose networks can be moved to another device.

    Attributes
    ----------
    precision
        "float32", or "bfloat16" for automatic mixed precision of the networks
    """

    precision = "float32"

    def _networks(self) -> Sequence[nn.Module]:
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return device_of(self._networks()[0])

    def to(self, device: Any = None, precision: str | None = None) -> Any:
        """This model, with its networks on a device and in a precision.

        Untested on CUDA.

        Parameters
        ----------
        device
            such as "cuda"; None: where they are
        precision
            "float32", or "bf16" for automatic mixed precision; None: as it is

        Raises
        ------
        InputError
            a device that is not there, another precision
        """
        if precision is not None:
            self.precision = as_precision(precision)
        if device is not None:
            found = as_device(device)
            for network in self._networks():
                network.to(found)
        return self


__all__ = ["PRECISIONS", "OnDevice", "as_device", "as_precision", "autocast", "device_of", "seeded"]
