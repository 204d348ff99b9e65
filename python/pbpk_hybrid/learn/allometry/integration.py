"""The law integrated by an adaptive method, in Julia or by torchdiffeq: each step between
two species as the native field :class:`pbpk_hybrid.learn.neural_ode.ScalingField`, in which
everything that depends on mass alone is a cubic.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..devices import seeded
from ..neural_ode import ScalingField, odeint
from . import bodies
from .module import AllometryModule
from .trajectories import Trajectories, TransportInputs

RTOL, ATOL = 1e-8, 1e-10
#: t of the four points that fix a cubic
_NODES = np.array([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0])
_TO_CUBIC = np.linalg.inv(np.vander(_NODES, increasing=True))


def adaptive(
    module: AllometryModule,
    y0: Tensor,
    trajectories: Trajectories,
    inputs: TransportInputs,
    integrator: str,
) -> tuple[Tensor, str]:
    """States carried by an adaptive method, as :meth:`.AllometryModule.transport` does by
    fixed steps.

    Parameters
    ----------
    y0 : Tensor
        (T, 2) or (E, T, 2)
    integrator : str
        "julia", "torchdiffeq", or "adaptive" for the first of them that is set up

    Returns
    -------
    y : Tensor
        (E, T, 2), of double precision: rounded to single, ln CL would be off by 1e-7
    backend : str
        that integrated
    """
    backend = "auto" if integrator == "adaptive" else integrator
    y = module.expand_members(y0).double()
    fields = [scaling_field(module, e) for e in range(module.members)]
    used = ""
    for step in range(trajectories.steps):
        parameters = step_parameters(module, trajectories, step, inputs)  # (E, T, n_parameters)
        states = []
        for e, field in enumerate(fields):
            solution = odeint(
                field, y[e], [0.0, 1.0], parameters[e], rtol=RTOL, atol=ATOL, backend=backend
            )
            used = solution.facts["backend"]
            states.append(solution[-1])  # (T, 2)
        y = torch.stack(states)  # (E, T, 2)
    return y, used


def scaling_field(module: AllometryModule, member: int) -> ScalingField:
    """One member's law as a native field; with copies of its weights."""
    with seeded(0):  # its first weights are drawn, and replaced below
        field = ScalingField(module.binding_descriptors.shape[1], module.gate_bias_in.shape[-1])
    weights = {
        "gate.layers.0.weight": module.gate_weight_in[member].T,
        "gate.layers.0.bias": module.gate_bias_in[member, 0],
        "gate.layers.1.weight": module.gate_weight_out[member].T,
        "gate.layers.1.bias": module.gate_bias_out[member],
        "share.layers.0.weight": torch.cat(
            [module.binding_volume[member], module.binding_descriptors[member]]
        )[None],
        "share.layers.0.bias": module.binding_bias[member],
    }
    field.load_state_dict({name: value.detach() for name, value in weights.items()})
    return field.double().to(module.gate_bias_in.device)


def step_parameters(
    module: AllometryModule, trajectories: Trajectories, step: int, inputs: TransportInputs
) -> Tensor:
    """Parameters of :class:`ScalingField` for one step of the trajectories, (E, T,
    n_parameters).
    """
    points = trajectories.points
    a, b = points[:, step], points[:, step + 1]
    n, span = len(a), b - a
    log_mass = a[:, None] + span[:, None] * _NODES  # (T, 4)
    # (T x 4, species) -> (T, 4, species)
    device = module.processes.device
    value, slope = (_double(v.reshape(n, 4, -1), device) for v in bodies.basis(log_mass.ravel()))
    processes = module.processes.double()
    logs, slopes = value @ processes.T, slope @ processes.T  # (T, 4, 3)
    # (E, T, 4, hidden), at the four nodes
    body = torch.einsum("tjs,esh->etjh", value, inputs.embeddings.double())
    # (E, 3, T, 4)
    deviation = torch.einsum("ekth,etjh->ektj", inputs.compound_weights.double(), body)
    curves = [logs[..., 0], logs[..., 1], *slopes.unbind(-1)]  # (T, 4) each

    def every(values: Tensor) -> Tensor:
        """For every member: (E, ...)."""
        return values.expand(module.members, *values.shape)

    return torch.cat(
        [
            every(_linear_parts(points, a, span, inputs)),
            module.exponent.double()[:, None, None].expand(-1, n, 1),
            *(every(_cubic(curve)) for curve in curves),
            _cubic(deviation[:, 0]),
            _cubic(deviation[:, 1]),
            every(inputs.descriptors.double()),
        ],
        dim=-1,
    )


def _linear_parts(
    points: np.ndarray, a: np.ndarray, span: np.ndarray, inputs: TransportInputs
) -> Tensor:
    """(T, 5): ln mass at the start of the step and its span; logit fu there, its change,
    its slope.
    """
    length = points[:, -1] - points[:, 0]
    fu_start, change = inputs.fu_start.double(), (inputs.fu_end - inputs.fu_start).double()
    device = fu_start.device
    safe = _double(np.where(length == 0, 1.0, length), device)
    slope = torch.where(_double(np.abs(length), device) > 1e-9, change / safe, 0.0)
    start = fu_start + slope * _double(a - points[:, 0], device)
    # 0 for trajectories that have arrived
    span = _double(np.where(np.abs(span) < 1e-12, 0.0, span), device)
    return torch.stack([_double(a, device), span, start, slope * span, slope], 1)  # (T, 5)


def _cubic(at_nodes: Tensor) -> Tensor:
    """(..., 4) values at the nodes -> coefficients of the cubic through them."""
    cubic = _double(_TO_CUBIC, at_nodes.device)
    return torch.einsum("kj,...j->...k", cubic, at_nodes)  # (..., 4)


def _double(array: ArrayLike, device: torch.device | None = None) -> Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float64, device=device)
