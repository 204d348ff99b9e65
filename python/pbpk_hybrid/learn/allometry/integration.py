"""The law integrated by an adaptive method, in Julia or by torchdiffeq: each piece of the way between two species as the
native field :class:`pbpk_hybrid.learn.neural_ode.ScalingField`, in which everything that depends on mass alone is a cubic.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..neural_ode import ScalingField, odeint
from . import bodies as _path
from .module import AllometryModule, Way

RTOL, ATOL = 1e-8, 1e-10
#: t of the four points that fix a cubic
_NODES = np.array([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0])
_TO_CUBIC = np.linalg.inv(np.vander(_NODES, increasing=True))


def adaptive(
    module: AllometryModule,
    y0: Tensor,
    way: Way,
    fu0: Tensor,
    fu1: Tensor,
    block: Tensor,
    w: Tensor,
    bodies: Tensor,
    integrator: str,
) -> tuple[Tensor, str]:
    """(E, T, 2) states carried along `way`, and the backend that did it; arguments as of ``AllometryModule.transport``."""
    backend = "auto" if integrator == "adaptive" else integrator
    y = (y0 if y0.ndim == 3 else y0.expand(module.members, *y0.shape)).double()
    fields = [scaling_field(module, e) for e in range(module.members)]
    used = ""
    for piece in range(way.steps):
        tables = piece_parameters(
            module,
            way.points[:, piece],
            way.points[:, piece + 1],
            way.points,
            fu0,
            fu1,
            block,
            w,
            bodies,
        )
        rows = []
        for e, field in enumerate(fields):
            found = odeint(
                field, y[e], [0.0, 1.0], tables[e], rtol=RTOL, atol=ATOL, backend=backend
            )
            used = found.facts["backend"]
            rows.append(found[-1])
        y = torch.stack(rows)
    return y.float(), used


def scaling_field(module: AllometryModule, member: int) -> ScalingField:
    """One member's law as a native field; with copies of its weights."""
    field = ScalingField(module.binding_block.shape[1], module.gate_shift.shape[-1])
    weights = {
        "gate.layers.0.weight": module.gate_in[member].T,
        "gate.layers.0.bias": module.gate_shift[member, 0],
        "gate.layers.1.weight": module.gate_out[member].T,
        "gate.layers.1.bias": module.gate_start[member],
        "share.layers.0.weight": torch.cat(
            [module.binding_volume[member], module.binding_block[member]]
        )[None],
        "share.layers.0.bias": module.binding[member],
    }
    field.load_state_dict({name: value.detach() for name, value in weights.items()})
    return field.double()


def piece_parameters(
    module: AllometryModule,
    a: np.ndarray,
    b: np.ndarray,
    points: np.ndarray,
    fu0: Tensor,
    fu1: Tensor,
    block: Tensor,
    w: Tensor,
    bodies: Tensor,
) -> Tensor:
    """(E, T, n_parameters) of :class:`ScalingField` for the piece from log masses `a` to `b` (T,) of the ways `points`."""
    members, n = module.members, len(a)
    double = lambda v: torch.tensor(np.asarray(v), dtype=torch.float64)
    span = b - a
    places = a[:, None] + span[:, None] * _NODES
    value, slope = (v.reshape(n, 4, -1) for v in _path.basis(places.ravel()))
    at_end = np.abs(span) < 1e-12
    processes, to_cubic = module.processes.double(), double(_TO_CUBIC)
    cubic = lambda at_nodes: torch.einsum("kj,...j->...k", to_cubic, at_nodes)
    logs, slopes = (double(v) @ processes.T for v in (value, slope))  # (T, 4, 3)
    body = torch.einsum("tjs,esh->etjh", double(value), bodies.double())
    deviation = torch.einsum("ekth,etjh->ektj", w.double(), body)  # (E, 3, T, 4)
    total = points[:, -1] - points[:, 0]
    rate = torch.where(
        double(np.abs(total)) > 1e-9,
        (fu1 - fu0).double() / double(np.where(total == 0, 1.0, total)),
        0.0,
    )
    start = fu0.double() + rate * double(a - points[:, 0])
    zero_when_still = double(np.where(at_end, 0.0, span))
    common = torch.stack(
        [double(a), zero_when_still, start, rate * zero_when_still, rate], 1
    )  # (T, 5)
    shared = [cubic(logs[..., 0]), cubic(logs[..., 1]), *(cubic(slopes[..., k]) for k in range(3))]
    every = lambda v: v.expand(members, *v.shape)
    return torch.cat(
        [
            every(common),
            module.exponent.double()[:, None, None].expand(-1, n, 1),
            *(every(v) for v in shared),
            cubic(deviation[:, 0]),
            cubic(deviation[:, 1]),
            every(block.double()),
        ],
        dim=-1,
    )
