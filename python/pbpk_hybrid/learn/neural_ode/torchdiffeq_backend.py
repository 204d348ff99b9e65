"""The same integration by torchdiffeq: any torch module, any device, explicit methods only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._core.errors import SolveError
from ..._core.optional import require

# not its dopri8: between steps it interpolates at fourth order, 5e-5 off at rtol 1e-7
METHODS = ("dopri5", "bosh3", "fehlberg2", "adaptive_heun")
ADJOINTS = ("auto", "discrete", "continuous")


def integrate(
    field: nn.Module,
    y0: Tensor,
    t: Tensor,
    parameters: Tensor | None,
    rtol: float,
    atol: float,
    method: str,
    adjoint: str,
    max_steps: int,
    facts: dict[str, Any],
) -> Tensor:
    """States (n_times, batch, n_states) in float64. "discrete": backpropagation through the
    steps; "continuous": the adjoint ODE.

    Raises
    ------
    MissingDependencyError
        torchdiffeq is not installed
    SolveError
        the integration failed
    """
    torchdiffeq = require("torchdiffeq", "learn", "neural ODEs without Julia")
    double = {name: p.to(torch.float64) for name, p in field.named_parameters()}
    buffers = {
        name: b.to(torch.float64) if b.is_floating_point() else b
        for name, b in field.named_buffers()
    }
    y0 = y0.to(torch.float64)
    extra = () if parameters is None else (parameters.to(torch.float64),)
    evaluations = 0

    def f(t: Tensor, y: Tensor) -> Tensor:
        nonlocal evaluations
        evaluations += 1
        return torch.func.functional_call(field, {**double, **buffers}, (t, y, *extra))

    keywords: dict[str, Any] = {
        "rtol": rtol,
        "atol": atol,
        "method": method,
        "options": {"norm": worst_subject, "max_num_steps": max_steps},
    }
    integrator = torchdiffeq.odeint
    if adjoint == "continuous":
        integrator = torchdiffeq.odeint_adjoint
        # the error norm of the adjoint is torchdiffeq's own, over state, adjoint and gradients
        keywords |= {
            "adjoint_params": tuple(p for p in (*double.values(), *extra) if p.requires_grad),
            "adjoint_options": {"max_num_steps": max_steps},
        }
    try:
        y = integrator(f, y0, t.to(device=y0.device, dtype=torch.float64), **keywords)
    except AssertionError as err:  # torchdiffeq asserts that steps are not too small, nor too many
        raise SolveError(f"the neural ODE could not be integrated: {_reason(str(err))}") from err
    finite = torch.isfinite(y.detach()).all(dim=2)
    if not finite.all():
        row, subject = (int(i) for i in torch.nonzero(~finite)[0])
        raise SolveError(
            "the neural ODE could not be integrated: not finite at t = "
            f"{float(t[row]):.6g} in subject {subject}; {_NOT_FINITE}"
        )
    facts.update(
        evaluations=evaluations,
        backend_version=f"torchdiffeq {torchdiffeq.__version__}, torch {torch.__version__}",
    )
    return y


_NOT_FINITE = (
    "the state grew without bound; start from smaller weights, or scale states and parameters "
    "to about 1"
)


def _reason(message: str) -> str:
    if "max_num_steps" in message:
        return (
            "max steps reached; raise max_steps, loosen rtol, or integrate a stiff field in "
            "Julia with method='rodas5p'"
        )
    if "underflow" in message:
        return (
            "the step became too small; the field changes too fast or grows without bound: "
            "start from smaller weights, or integrate a stiff field in Julia with "
            "method='rodas5p'"
        )
    return f"{message}; {_NOT_FINITE}"


def worst_subject(error: Tensor) -> Tensor:
    """The largest over subjects of the root mean square over states, as in Julia."""
    if error.ndim < 2:
        return error.abs().max()
    return error.square().mean(dim=tuple(range(1, error.ndim))).max().sqrt()
