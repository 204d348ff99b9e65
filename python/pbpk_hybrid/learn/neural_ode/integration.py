"""`odeint`: checks, the choice between Julia and torchdiffeq, and what the result says of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._core.errors import BackendUnavailableError, InputError, unknown_name
from ...solvers.julia import neural as julia
from ...solvers.select import availability
from . import torchdiffeq_backend as _torchdiffeq
from .fields import NativeField, whole_number
from .weights import flatten_weights

BACKENDS = ("auto", "julia", "torchdiffeq")
METHODS = (*julia.METHODS, *_torchdiffeq.METHODS)


def odeint(
    field: nn.Module,
    y0: Tensor,
    t: Tensor | np.ndarray | Sequence[float],
    parameters: Tensor | None = None,
    *,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    method: str | None = None,
    backend: str = "auto",
    adjoint: str = "auto",
    max_steps: int = 100_000,
) -> Tensor:
    r"""Integrate a neural vector field for a batch of subjects, with gradients to weights,
    start and parameters.

    .. math:: \frac{dy}{dt} = f_\theta(t, y, p), \qquad y(t_1) = y_0

    The batch is one system of ODEs with one step size; its error norm is the worst
    subject's, so that nobody's accuracy depends on who else is in the batch. All arithmetic
    is in float64, whatever the dtypes of weights and tensors; the result has the dtype of
    `y0`.

    **Gradients.** For a loss :math:`L(y(t_1), \dots, y(t_N))`, with :math:`g_i = \partial L
    / \partial y(t_i)`,

    - ``adjoint="discrete"`` (default of explicit methods): reverse-mode differentiation of
      the steps taken, step sizes held fixed. The exact gradient of the numbers returned. In
      Julia only the states at the ends of steps are kept and stages are evaluated again;
      torchdiffeq keeps the whole graph.
    - ``adjoint="continuous"`` (default, and only choice, of "rodas5p"): the adjoint ODE
      (Chen et al. 2018), backward from :math:`t_N`,

      .. math::
         \frac{d\lambda}{dt} = -\Big(\frac{\partial f}{\partial y}\Big)^T \lambda, \qquad
         \lambda(t_i^-) = \lambda(t_i^+) + g_i, \qquad
         \frac{dL}{d\theta} = \int_{t_1}^{t_N}
         \Big(\frac{\partial f}{\partial \theta}\Big)^T \lambda \, dt, \qquad
         \frac{dL}{dy_0} = \lambda(t_1)

      and dL/dp as dL/dθ. In Julia y(t) is the dense output of the forward solve and the
      integral is taken by Gauss' rule in every step; torchdiffeq integrates y backward
      again. Its error follows `rtol`.
    - ``adjoint="sciml"``: SciMLSensitivity's GaussAdjoint, in Julia where that package is
      installed. Untested.

    Gradients of the two backends agree to 1e-6 relative. Julia gives first derivatives with
    respect to weights, `y0` and `parameters`; for second derivatives, or for derivatives
    with respect to `t`, take ``backend="torchdiffeq"``.

    **A field of your own** is any ``torch.nn.Module`` called as ``field(t, y)`` or, where
    `parameters` are given, ``field(t, y, parameters)``, that returns dy/dt in the shape of
    `y`. It always runs on torchdiffeq. Julia integrates the native fields only,
    :class:`MLPField`, :class:`GraphField` and :class:`ScalingField`. A model that is a
    native field inside (a context vector per subject made by another network, then a dense
    network in time, say) can use both: compute the context in PyTorch and pass it as
    `parameters`, through which gradients flow on:

    >>> import torch
    >>> from pbpk_hybrid.learn import MLPField, odeint
    >>> encoder, field = torch.nn.Linear(5, 4), MLPField(3, hidden=(32,), n_parameters=4)
    >>> y0, times, covariates = torch.ones(2, 3), torch.linspace(0.0, 1.0, 5), torch.randn(2, 5)
    >>> y = odeint(field, y0, times, encoder(covariates))

    Parameters
    ----------
    field
        a :class:`NativeField` or a module of your own
    y0
        (batch, n_states) [the caller's units] at ``t[0]``
    t
        (n_times,) strictly increasing, or strictly decreasing to integrate backward; two or
        more [the caller's time unit]
    parameters
        (batch, n_parameters), constant in time; None where the field takes none
    rtol, atol
        tolerances per step
    method
        None: "tsit5" in Julia, "dopri5" in torchdiffeq. Of Julia: "tsit5", "rodas5p" (stiff
        fields). Of torchdiffeq: "dopri5", "bosh3", "fehlberg2", "adaptive_heun".
    backend
        "auto" takes Julia where it is set up and can do what is asked, else torchdiffeq
    adjoint
        "auto", "discrete", "continuous" or "sciml", see above
    max_steps
        steps allowed from the first to the last time

    Returns
    -------
    Tensor
        (n_times, batch, n_states), with an attribute ``facts``: a dict of backend,
        backend_reason, backend_version, method, adjoint, rtol, atol, evaluations of the
        field and, from Julia, accepted steps. Tensors computed from it do not carry the
        attribute.

    Raises
    ------
    InputError
        shapes that do not fit, times that are not strictly monotonic, values that are not
        finite
    UnknownNameError
        an unknown method, backend or adjoint
    BackendUnavailableError
        Julia was asked for and cannot run here, or not this
    SolveError
        the integration failed; the message names time, subject and the way out

    References
    ----------
    Chen, Rubanova, Bettencourt & Duvenaud (2018) Neural ordinary differential equations,
    arXiv:1806.07366. Tsitouras (2011) Comput Math Appl 62:770. Steinebach (2023) BIT 63:27.
    """
    times = check_times(t)
    check_arguments(field, y0, parameters)
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not (np.isfinite(value) and 0 < value < 1):
            raise InputError(name, value, "a number between 0 and 1")
    max_steps = whole_number("max_steps", max_steps, 1)
    for name, value, known in (
        ("method", method, (None, *METHODS)),
        ("backend", backend, BACKENDS),
        ("adjoint", adjoint, julia.ADJOINTS),
    ):
        if value not in known:
            raise unknown_name(name, value, [k for k in known if k], what=f"a {name}")
    chosen, reason = choose(field, y0, t, method, backend, adjoint)
    method = method or ("tsit5" if chosen == "julia" else "dopri5")
    if adjoint == "auto":
        adjoint = "continuous" if method == "rodas5p" else "discrete"
    elif adjoint == "discrete" and method == "rodas5p":
        raise InputError("adjoint", adjoint, '"continuous" with method "rodas5p"')
    facts: dict[str, Any] = {
        "backend": chosen,
        "backend_reason": reason,
        "method": method,
        "adjoint": adjoint,
        "rtol": rtol,
        "atol": atol,
    }
    if chosen == "julia":
        call = julia.Call(field.spec(), times, method, float(rtol), float(atol), max_steps, adjoint)
        y = julia.integrate(flatten_weights(field), y0, parameters, call)
        facts |= call.facts
    else:
        tensor = t if isinstance(t, Tensor) else torch.as_tensor(times)
        y = _torchdiffeq.integrate(
            field, y0, tensor, parameters, rtol, atol, method, adjoint, max_steps, facts
        )
    y = y.to(y0.dtype)
    y.facts = facts
    return y


def choose(
    field: nn.Module, y0: Tensor, t: object, method: str | None, backend: str, adjoint: str
) -> tuple[str, str]:
    """The backend that runs, and why.

    Raises
    ------
    BackendUnavailableError
        no backend can do what is asked for
    """
    against = {
        "julia": _obstacles_of_julia(field, y0, t, method),
        "torchdiffeq": _obstacles_of_torchdiffeq(method, adjoint),
    }
    reason = "asked for"
    preferred = os.environ.get("PBPK_HYBRID_BACKEND", "").strip()
    if backend == "auto" and preferred == "embedded" and not against["torchdiffeq"]:
        backend, reason = "torchdiffeq", "PBPK_HYBRID_BACKEND is embedded"
    if backend != "torchdiffeq" and not against["julia"]:
        state = availability("julia")
        if state.ok:
            return "julia", reason if backend == "julia" else f"Julia is ready ({state.reason})"
        against["julia"].append(state.reason)
    if backend != "julia" and not against["torchdiffeq"]:
        if backend != "torchdiffeq":
            reason = f"Julia is not used: {against['julia'][0]}"
        return "torchdiffeq", reason
    obstacles = against.get(backend, against["julia"] + against["torchdiffeq"])
    raise BackendUnavailableError(
        f"neural ODE: backend {backend!r} cannot run this: {'; '.join(obstacles)}"
    )


def _obstacles_of_julia(field: nn.Module, y0: Tensor, t: object, method: str | None) -> list[str]:
    """What keeps Julia from running this."""
    found = []
    if not isinstance(field, NativeField):
        name = type(field).__name__
        found.append(f"{name} is not a native field (MLPField, GraphField, ScalingField)")
    if method is not None and method not in julia.METHODS:
        found.append(f"method {method!r} is torchdiffeq's")
    if y0.device.type != "cpu":
        found.append(f"tensors are on {y0.device}")
    if isinstance(t, Tensor) and t.requires_grad:
        found.append("gradients with respect to t are asked for")
    return found


def _obstacles_of_torchdiffeq(method: str | None, adjoint: str) -> list[str]:
    """What keeps torchdiffeq from running this."""
    found = []
    if method is not None and method not in _torchdiffeq.METHODS:
        found.append(f"method {method!r} is Julia's")
    if adjoint not in _torchdiffeq.ADJOINTS:
        found.append(f"adjoint {adjoint!r} is Julia's")
    return found


def check_times(t: Tensor | np.ndarray | Sequence[float]) -> np.ndarray:
    """(n_times,) float64, strictly monotonic."""
    values = t.detach().cpu().numpy() if isinstance(t, Tensor) else np.asarray(t)
    if values.ndim != 1 or len(values) < 2:
        raise InputError("t", values.shape, "two or more times in one dimension")
    times = np.array(values, dtype=np.float64)
    if not np.isfinite(times).all():
        raise InputError("t", float(times[~np.isfinite(times)][0]), "finite times")
    steps = np.diff(times)
    if not ((steps > 0).all() or (steps < 0).all()):
        sign = np.sign(steps[0])
        worst = int(np.argmax((np.sign(steps) != sign) | (steps == 0)))
        raise InputError(
            "t",
            (float(times[worst]), float(times[worst + 1])),
            "times that increase strictly, or decrease strictly",
            hint=f"entries {worst} and {worst + 1} are out of order",
        )
    return times


def check_arguments(field: nn.Module, y0: Tensor, parameters: Tensor | None) -> None:
    """Shapes, dtypes and finiteness of what goes in."""
    if not isinstance(field, nn.Module):
        raise InputError("field", field, "a torch.nn.Module")
    _check_matrix("y0", y0, None)
    if len(y0) == 0:
        raise InputError("y0", tuple(y0.shape), "one subject or more")
    if parameters is not None:
        _check_matrix("parameters", parameters, len(y0))
    if not isinstance(field, NativeField):
        return
    if y0.shape[1] != field.n_states:
        raise InputError("y0", tuple(y0.shape), f"shape (batch, {field.n_states})")
    width = 0 if parameters is None else parameters.shape[1]
    if width != field.n_parameters:
        shape = None if parameters is None else tuple(parameters.shape)
        expected = (
            f"shape ({len(y0)}, {field.n_parameters})"
            if field.n_parameters
            else "None: the field has no parameters"
        )
        raise InputError("parameters", shape, expected)
    for name, weight in field.named_parameters():
        if not torch.isfinite(weight.detach()).all():
            raise InputError(
                f"field.{name}",
                "values that are not finite",
                "finite weights",
                hint="training has diverged",
            )


def _check_matrix(name: str, value: object, rows: int | None) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise InputError(name, value, "a tensor of floating-point numbers")
    if value.ndim != 2 or (rows is not None and len(value) != rows):
        raise InputError(
            name, tuple(value.shape), f"two dimensions: ({'batch' if rows is None else rows}, ...)"
        )
    finite = torch.isfinite(value.detach()).all(dim=1)
    if not finite.all():
        raise InputError(
            name,
            "a value that is not finite",
            "finite numbers",
            subject=int(torch.argmin(finite.int())),
        )
