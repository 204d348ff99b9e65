"""The one place where a field's weights become one flat vector and back.

Layout: network by network (:meth:`NativeField.networks`), layer by layer, the weight matrix
row by row (outputs x inputs, C order), then the bias. ``weight_layout`` in
``julia/src/neural/fields.jl`` is the same list.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..._core.errors import InputError
from .fields import NativeField


@dataclass(frozen=True)
class WeightBlock:
    """One tensor of a field within the flat vector.

    Parameters
    ----------
    name
        its name in the field's ``state_dict``
    first
        where it starts, counting from 0
    shape
        its shape
    """

    name: str
    first: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of weights in it."""
        return int(torch.Size(self.shape).numel())


def weight_layout(field: NativeField) -> tuple[WeightBlock, ...]:
    """Every block of the flat vector, in order."""
    blocks, first = [], 0
    for net_name, net in field.networks().items():
        for number, layer in enumerate(net.layers):
            for kind in ("weight", "bias"):
                tensor = getattr(layer, kind)
                block = WeightBlock(
                    f"{net_name}.layers.{number}.{kind}", first, tuple(tensor.shape)
                )
                blocks.append(block)
                first += block.size
    return tuple(blocks)


def n_weights(field: NativeField) -> int:
    """Length of the flat vector."""
    last = weight_layout(field)[-1]
    return last.first + last.size


def flatten_weights(field: NativeField) -> Tensor:
    """(n_weights,) all weights of a field; gradients flow back to them."""
    tensors = dict(field.named_parameters())
    # every tensor row by row: (n_weights,)
    return torch.cat([tensors[block.name].reshape(-1) for block in weight_layout(field)])


def unflatten_weights(field: NativeField, flat: Tensor) -> dict[str, Tensor]:
    """Tensors by name, as ``field.load_state_dict(..., strict=False)`` or
    ``torch.func.functional_call`` take them.

    Raises
    ------
    InputError
        a vector of another length
    """
    count = n_weights(field)
    if flat.shape != (count,):
        raise InputError("flat", tuple(flat.shape), f"a vector of {count} weights")
    return {
        block.name: flat[block.first : block.first + block.size].reshape(block.shape)
        for block in weight_layout(field)
    }
