"""Neural ODEs in Julia as one ``torch.autograd.Function``.

Beside `learn` the only module that may import torch.

Julia reads and fills PyTorch's memory by address (``NEURAL_FLAT`` in
``julia/src/neural/flat.jl``): a C-ordered tensor of shape (a, b, c) is a Julia array of
shape (c, b, a). What the gradient needs stays in Julia under a number until the graph
that PyTorch holds goes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..._core.errors import InputError, SolveError
from ..base import Status
from . import runtime

METHODS = ("tsit5", "rodas5p")
ADJOINTS = ("auto", "discrete", "continuous", "sciml")

#: numbers of kept solves whose graphs are gone. Julia hears of them before the next
#: solve: a finaliser must not call it.
_spent: deque[int] = deque()


@dataclass(frozen=True, eq=False)
class FieldSpec:
    """A native field beside its weights.

    Parameters
    ----------
    numbers : (7,) kind (0 MLP, 1 graph, 2 scaling), states or organs, parameters, time
        dependent, activation, features (of a scaling field: length of its block),
        messages
    hidden : widths of the hidden layers
    source, target : (n_edges,) organ numbers from 0
    edge_features : (n_edges, k)
    node_features : (n_organs, k)
    """

    numbers: np.ndarray
    hidden: np.ndarray
    source: np.ndarray
    target: np.ndarray
    edge_features: np.ndarray
    node_features: np.ndarray

    @staticmethod
    def mlp(
        n_states: int,
        n_parameters: int,
        time_dependent: bool,
        activation: int,
        hidden: tuple[int, ...],
    ) -> FieldSpec:
        """Specification of a multilayer perceptron."""
        none = np.zeros(0, dtype=np.int64)
        numbers = _ints([0, n_states, n_parameters, time_dependent, activation, 0, 0])
        return FieldSpec(numbers, _ints(hidden), none, none, np.zeros((0, 0)), np.zeros((0, 0)))

    @staticmethod
    def scaling(
        n_block: int, n_parameters: int, activation: int, hidden: tuple[int, ...]
    ) -> FieldSpec:
        """Specification of the field of a scaling law."""
        none = np.zeros(0, dtype=np.int64)
        numbers = _ints([2, 2, n_parameters, 1, activation, n_block, 0])
        return FieldSpec(numbers, _ints(hidden), none, none, np.zeros((0, 0)), np.zeros((0, 0)))

    @staticmethod
    def graph(
        n_organs: int,
        n_parameters: int,
        time_dependent: bool,
        activation: int,
        n_features: int,
        n_messages: int,
        hidden: tuple[int, ...],
        source: np.ndarray,
        target: np.ndarray,
        edge_features: np.ndarray,
        node_features: np.ndarray,
    ) -> FieldSpec:
        """Specification of a field on an organ graph."""
        numbers = _ints(
            [1, n_organs, n_parameters, time_dependent, activation, n_features, n_messages]
        )
        return FieldSpec(
            numbers,
            _ints(hidden),
            _ints(source),
            _ints(target),
            np.ascontiguousarray(edge_features),
            np.ascontiguousarray(node_features),
        )


@dataclass(eq=False)
class Call:
    """One integration: what does not go through the graph, and what came back.

    Parameters
    ----------
    spec : the field
    times : (n_times,) strictly increasing or decreasing
    method : one of `METHODS`
    rtol, atol, max_steps : of the integration
    adjoint : one of `ADJOINTS`, or "none" where no gradient is wanted
    facts : filled in: accepted steps, evaluations of the field, versions
    """

    spec: FieldSpec
    times: np.ndarray
    method: str
    rtol: float
    atol: float
    max_steps: int
    adjoint: str
    facts: dict[str, Any] = field(default_factory=dict)

    def table(
        self,
        weights: Tensor,
        y0: Tensor,
        parameters: Tensor,
        y: Tensor,
        record: int = 0,
        gradients: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    ) -> _Table:
        """All arrays of a call in Julia's order."""
        none = np.zeros(0)
        s, gradients = self.spec, gradients or (none, np.zeros((0, 0)), np.zeros((0, 0)))
        return _Table(
            (
                s.numbers,
                s.hidden,
                s.source,
                s.target,
                s.edge_features,
                s.node_features,
                weights,
                y0,
                parameters,
                self.times,
                np.array([self.rtol, self.atol]),
                _ints([self.max_steps, record]),
                y,
                np.zeros(5, dtype=np.int64),
                np.zeros(1),
                *gradients,
            )
        )


#: places in the table
RESULT, FACTS, REACHED = 12, 13, 14


class _Table:
    """Addresses and shapes of arrays, which it keeps alive."""

    def __init__(self, arrays: tuple[np.ndarray | Tensor, ...]) -> None:
        self.arrays = arrays
        self.rows = np.zeros((len(arrays), 4), dtype=np.int64)
        for row, array in zip(self.rows, arrays, strict=True):
            row[0] = array.data_ptr() if isinstance(array, Tensor) else array.ctypes.data
            row[1 : 1 + array.ndim] = tuple(array.shape)[::-1]

    @property
    def address(self) -> int:
        return self.rows.ctypes.data


class _Kept:
    """A solve that Julia keeps for its gradient, by its number, and the arrays that it
    will read again.

    The result is not among them: it holds the graph that holds this.
    """

    def __init__(self, record: int, table: _Table) -> None:
        self.record, self.arrays = record, (*table.arrays[:RESULT], *table.arrays[RESULT + 1 :])

    def __del__(self) -> None:
        _spent.append(self.record)


class _Integration(torch.autograd.Function):
    """y = integrate(weights, y0, parameters): float64, contiguous, on the CPU."""

    @staticmethod
    def forward(ctx, weights: Tensor, y0: Tensor, parameters: Tensor, call: Call) -> Tensor:
        runtime.start()
        while _spent:
            runtime.call("neural_release", _spent.popleft())
        if call.adjoint == "sciml":
            runtime.call("load_sensitivity")
        y = torch.empty(len(call.times), *y0.shape, dtype=torch.float64)
        table = call.table(weights, y0, parameters, y)
        runtime.call(
            "neural_forward", table.address, call.method, call.adjoint, int(runtime.at_home())
        )
        record, status, steps, evaluations, blame = (int(x) for x in table.arrays[FACTS])
        if status != Status.SUCCESS:
            raise integration_failed(Status(status), float(table.arrays[REACHED][0]), blame)
        versions = ", ".join(f"{k} {v}" for k, v in runtime.versions().items())
        call.facts.update(steps=steps, evaluations=evaluations, backend_version=versions)
        if record:
            ctx.kept = _Kept(record, table)
            ctx.call = call
            ctx.save_for_backward(weights, y0, parameters)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor):
        weights, y0, parameters = ctx.saved_tensors
        dy = dy.contiguous()
        gradients = tuple(torch.empty_like(x) for x in (weights, y0, parameters))
        table = ctx.call.table(weights, y0, parameters, dy, ctx.kept.record, gradients)
        runtime.call("neural_backward", table.address, ctx.call.adjoint, int(runtime.at_home()))
        status = Status(int(table.arrays[FACTS][1]))
        if status != Status.SUCCESS:
            raise SolveError(
                f"the adjoint ODE of a neural field could not be integrated: {status.advice}"
            )
        return (*gradients, None)


def integrate(weights: Tensor, y0: Tensor, parameters: Tensor | None, call: Call) -> Tensor:
    """States (n_times, batch, n_states) in float64; gradients reach weights, y0 and parameters.

    Only first derivatives.

    Parameters
    ----------
    weights : (n_weights,) in the field's flat layout
    y0 : (batch, n_states) at the first time
    parameters : (batch, n_parameters) or None

    Raises
    ------
    InputError : a tensor that is not on the CPU
    BackendUnavailableError : Julia cannot be started
    SolveError : the integration failed; the message names the subject and the way out
    """
    if parameters is None:
        parameters = y0.new_zeros(len(y0), 0)
    tensors = []
    for name, tensor in (("weights", weights), ("y0", y0), ("parameters", parameters)):
        if tensor.device.type != "cpu":
            raise InputError(
                name,
                str(tensor.device),
                "a tensor on the CPU",
                hint='backend="torchdiffeq" runs on other devices',
            )
        tensors.append(tensor.to(torch.float64).contiguous())
    if not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
        call.adjoint = "none"
    return _Integration.apply(*tensors, call)


def integration_failed(status: Status, reached: float, subject: int) -> SolveError:
    """What to say of a failed integration."""
    advice = {
        Status.MAX_STEPS: (
            'raise max_steps, loosen rtol, or take method="rodas5p" if the field is stiff'
        ),
        Status.STEP_TOO_SMALL: (
            'the field changes too fast there; take method="rodas5p", or smaller weights'
        ),
        Status.NOT_FINITE: (
            "the state grew without bound; start from smaller weights, or scale states to about 1"
        ),
    }[status]
    return SolveError(
        f"the neural ODE could not be integrated: {status.name.lower().replace('_', ' ')} at t "
        f"= {reached:.6g} "
        f"in subject {subject}; {advice}"
    )


def evaluate(
    spec: FieldSpec, weights: Tensor, y: Tensor, parameters: Tensor | None, t: float
) -> Tensor:
    """dy/dt (batch, n_states) as Julia computes it: for tests that both languages mean
    the same field.
    """
    parameters = y.new_zeros(len(y), 0) if parameters is None else parameters
    tensors = [x.detach().to(torch.float64).contiguous() for x in (weights, y, parameters)]
    out = torch.empty(1, *y.shape, dtype=torch.float64)
    call = Call(spec, np.array([float(t)]), "tsit5", 1.0, 1.0, 1, "none")
    runtime.call("neural_evaluate", call.table(*tensors, out).address)
    return out[0]


def layout(spec: FieldSpec) -> list[tuple[str, int, int, int]]:
    """Julia's layout of the field's flat weight vector: name, first place from 0, rows,
    columns of every block.
    """
    none = torch.zeros(0, 0, dtype=torch.float64)
    call = Call(spec, np.zeros(1), "tsit5", 1.0, 1.0, 1, "none")
    table = call.table(none.reshape(0), none, none, none.reshape(0, 0, 0))
    rows = [line.split() for line in str(runtime.start().neural_layout(table.address)).splitlines()]
    return [(name, int(first) - 1, int(a), int(b)) for name, first, a, b in rows]


def _ints(values) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.int64)
