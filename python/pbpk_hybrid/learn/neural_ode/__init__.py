"""Neural ODEs: vector fields with weights in PyTorch, integrated by Julia or by
torchdiffeq, with gradients.

>>> import torch
>>> from pbpk_hybrid.learn.neural_ode import MLPField, odeint
>>> field = MLPField(2, hidden=(16,), n_parameters=1)
>>> y0 = torch.ones(10, 2, dtype=torch.float64)  # 10 subjects, 2 states

One parameter for each subject, and the state at three times:

>>> clearance = torch.rand(10, 1, dtype=torch.float64, requires_grad=True)
>>> y = odeint(field, y0, [0.0, 1.0, 4.0], clearance, backend="torchdiffeq")
>>> y.shape  # time, batch, state
torch.Size([3, 10, 2])

Gradients reach weights and parameters:

>>> y[-1].square().mean().backward()
>>> y.facts["backend"], clearance.grad.shape
('torchdiffeq', torch.Size([10, 1]))

See :func:`odeint` for the equations, for what runs where and for fields of your own.
"""

from __future__ import annotations

from ..._core.lazy import lazy_names

_WHERE = {
    "fields": ("NativeField", "MLPField", "GraphField"),
    "scaling_field": ("ScalingField",),
    "integration": ("odeint", "BACKENDS"),
    "weights": ("weight_layout", "flatten_weights", "unflatten_weights", "n_weights"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted(__all__)
