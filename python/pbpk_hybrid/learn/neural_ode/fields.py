"""Neural vector fields dy/dt = f(t, y, p): modules whose weights PyTorch owns and which
Julia can integrate natively.

What a field computes is defined here and, with hand-written pullbacks, in
``julia/src/neural/fields.jl``; a contract test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..._core.errors import InputError, unknown_name
from ...models.system.graph import OrganGraph
from ...solvers.julia.neural import FieldSpec

#: activations of hidden layers, in the order of ACTIVATIONS in
#: julia/src/neural/activations.jl; the last layer is linear
ACTIVATIONS = {"tanh": torch.tanh, "softplus": nn.functional.softplus, "silu": nn.functional.silu}


class DenseNet(nn.Module):
    """Layers ``sizes[0] -> sizes[1] -> ...``, `activation` between them, the last one linear.

    Parameters
    ----------
    sizes
        inputs, hidden layers, outputs
    activation
        "tanh", "softplus" or "silu"
    """

    def __init__(self, sizes: Sequence[int], activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        act = ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            x = act(layer(x))
        return self.layers[-1](x)


class NativeField(nn.Module):
    """A vector field that both torchdiffeq and Julia integrate: :class:`MLPField` or
    :class:`GraphField`.

    Called as ``field(t, y, parameters)`` with t a number [the time unit of the caller], y
    (batch, n_states) and parameters (batch, n_parameters) or None; gives dy/dt (batch,
    n_states).

    Attributes
    ----------
    n_states, n_parameters
        numbers of states, and of parameters per subject
    time_dependent
        whether t is an input of the networks
    activation, hidden
        of the hidden layers
    """

    n_states: int
    n_parameters: int

    def __init__(
        self, hidden: Sequence[int], n_parameters: int, activation: str, time_dependent: bool
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS, what="an activation")
        hidden = (hidden,) if isinstance(hidden, int) else tuple(hidden)
        for width in hidden:
            whole_number("hidden", width, 1)
        self.hidden = hidden
        self.n_parameters = whole_number("n_parameters", n_parameters, 0)
        self.activation = activation
        self.time_dependent = bool(time_dependent)

    def reset_parameters(self) -> None:
        """Start all layers anew, each uniform within 1/sqrt(inputs) of zero, from torch's
        random numbers.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()

    def spec(self) -> FieldSpec:
        """What Julia needs to know of the field beside its weights."""
        raise NotImplementedError

    def networks(self) -> dict[str, DenseNet]:
        """The field's networks by attribute name, in the order in which Julia stores their
        weights.
        """
        raise NotImplementedError

    def _common(self, t: Tensor | float, y: Tensor, parameters: Tensor | None) -> list[Tensor]:
        """(batch, n_parameters) and (batch, 1) inputs that every network gets: parameters
        and time.
        """
        inputs = []
        if self.n_parameters:
            if parameters is None:
                raise InputError(
                    "parameters", None, f"a tensor of shape ({len(y)}, {self.n_parameters})"
                )
            inputs.append(parameters)
        if self.time_dependent:
            time = torch.as_tensor(t, dtype=y.dtype, device=y.device)
            inputs.append(time.reshape(1, 1).expand(len(y), 1))
        return inputs


class MLPField(NativeField):
    r"""A dense network of state, parameters and time.

    .. math:: \frac{dy}{dt} = \mathrm{net}([y, p, t])

    Parameters
    ----------
    n_states
        states per subject
    hidden
        widths of the hidden layers; () gives the linear field W [y, p, t] + b
    n_parameters
        length of each subject's own parameters p (covariates, a context vector of another
        network, ...). They are inputs of the network, constant in time, and gradients reach
        them.
    activation
        "tanh" (default), "softplus" or "silu"
    time_dependent
        whether t is an input too

    Weights have torch's default dtype; :func:`odeint` computes in float64 whatever they are.

    Examples
    --------
    >>> import torch
    >>> from pbpk_hybrid.learn import MLPField
    >>> field = MLPField(2, hidden=(16,), n_parameters=3)
    >>> field(0.0, torch.zeros(5, 2), torch.ones(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_states: int,
        hidden: Sequence[int] = (32, 32),
        n_parameters: int = 0,
        activation: str = "tanh",
        time_dependent: bool = False,
    ) -> None:
        super().__init__(hidden, n_parameters, activation, time_dependent)
        self.n_states = whole_number("n_states", n_states, 1)
        inputs = self.n_states + self.n_parameters + self.time_dependent
        self.net = DenseNet((inputs, *self.hidden, self.n_states), activation)

    def forward(self, t: Tensor | float, y: Tensor, parameters: Tensor | None = None) -> Tensor:
        """dy/dt (batch, n_states) from y and parameters (batch, n_parameters)."""
        return self.net(torch.cat([y, *self._common(t, y, parameters)], dim=1))

    def networks(self) -> dict[str, DenseNet]:
        """The one network, ``net``."""
        return {"net": self.net}

    def spec(self) -> FieldSpec:
        """What Julia has to know to build the same field."""
        return FieldSpec.mlp(
            self.n_states,
            self.n_parameters,
            self.time_dependent,
            activation_code(self),
            self.hidden,
        )

    def __repr__(self) -> str:
        return (
            f"MLPField({self.n_states}, hidden={self.hidden}, n_parameters={self.n_parameters}, "
            f"activation={self.activation!r}, time_dependent={self.time_dependent})"
        )


class GraphField(NativeField):
    r"""One round of message passing along the blood flow of an :class:`OrganGraph` per evaluation.

    .. math::
        m_e &= \mathrm{message}([h_{s(e)}, h_{d(e)}, x_e, p, t]) \\
        \frac{dh_i}{dt} &= \mathrm{update}\Big(\Big[h_i, \sum_{e: d(e) = i} m_e, z_i, p, t\Big]\Big)

    Flow runs from organ s(e) to organ d(e). Both networks are shared by all organs and
    edges, so that what is learned does not depend on the number of organs; z and x tell
    organs and edges apart.

    Parameters
    ----------
    graph
        the organs and the flow edges between them
    n_features
        states per organ. The state of a subject is (n_organs * n_features,), organ by
        organ.
    hidden
        widths of the hidden layers of both networks
    n_messages
        length of a message m
    n_parameters
        length of each subject's own parameters p
    activation
        "tanh" (default), "softplus" or "silu"
    time_dependent
        whether t is an input of both networks
    edge_features
        (n_edges, k) fixed numbers x per edge, or None
    node_features
        (n_organs, k) fixed numbers z per organ, or None; ``torch.eye(graph.n_organs)``
        names each organ
    """

    def __init__(
        self,
        graph: OrganGraph,
        n_features: int = 1,
        hidden: Sequence[int] = (32,),
        n_messages: int = 8,
        n_parameters: int = 0,
        activation: str = "tanh",
        time_dependent: bool = False,
        edge_features: Tensor | None = None,
        node_features: Tensor | None = None,
    ) -> None:
        super().__init__(hidden, n_parameters, activation, time_dependent)
        self.n_organs, self.n_features = graph.n_organs, whole_number("n_features", n_features, 1)
        self.n_messages = whole_number("n_messages", n_messages, 1)
        self.n_states = self.n_organs * self.n_features
        self.register_buffer("source", torch.as_tensor(graph.source, dtype=torch.int64))
        self.register_buffer("target", torch.as_tensor(graph.target, dtype=torch.int64))
        self.register_buffer(
            "edge_features", feature_table("edge_features", edge_features, len(graph.source))
        )
        self.register_buffer(
            "node_features", feature_table("node_features", node_features, self.n_organs)
        )
        common, width = self.n_parameters + self.time_dependent, self.n_features
        self.message = DenseNet(
            (2 * width + self.edge_features.shape[1] + common, *self.hidden, self.n_messages),
            activation,
        )
        self.update = DenseNet(
            (width + self.n_messages + self.node_features.shape[1] + common, *self.hidden, width),
            activation,
        )

    def forward(self, t: Tensor | float, y: Tensor, parameters: Tensor | None = None) -> Tensor:
        """dy/dt (batch, n_organs * n_features) from y and parameters (batch, n_parameters)."""
        batch, organs, edges = len(y), self.n_organs, len(self.source)
        h = y.reshape(batch, organs, self.n_features)
        common = self._common(t, y, parameters)

        def inputs(count: int, features: Tensor) -> list[Tensor]:
            """(batch, count, k) fixed numbers, and what all edges or organs share."""
            fixed = features.to(y.dtype).expand(batch, -1, -1)
            return [fixed, *(c[:, None, :].expand(-1, count, -1) for c in common)]

        ends = [h.index_select(1, self.source), h.index_select(1, self.target)]
        # (batch, edge, n_messages)
        messages = self.message(torch.cat([*ends, *inputs(edges, self.edge_features)], dim=2))
        # (batch, organ, n_messages), summed over the edges that end in an organ
        arriving = messages.new_zeros(batch, organs, self.n_messages).index_add(
            1, self.target, messages
        )
        change = self.update(torch.cat([h, arriving, *inputs(organs, self.node_features)], dim=2))
        return change.reshape(batch, self.n_states)  # from (batch, organ, n_features)

    def networks(self) -> dict[str, DenseNet]:
        """``message`` and ``update``."""
        return {"message": self.message, "update": self.update}

    def spec(self) -> FieldSpec:
        """What Julia has to know to build the same field."""
        numbers = (self.n_organs, self.n_parameters, self.time_dependent, activation_code(self))
        return FieldSpec.graph(
            *numbers,
            self.n_features,
            self.n_messages,
            self.hidden,
            self.source.cpu().numpy(),
            self.target.cpu().numpy(),
            self.edge_features.cpu().double().numpy(),
            self.node_features.cpu().double().numpy(),
        )

    def __repr__(self) -> str:
        return (
            f"GraphField({self.n_organs} organs, {len(self.source)} edges, "
            f"n_features={self.n_features}, hidden={self.hidden}, "
            f"n_messages={self.n_messages}, n_parameters={self.n_parameters}, "
            f"activation={self.activation!r}, time_dependent={self.time_dependent})"
        )


def activation_code(field: NativeField) -> int:
    """The place of a field's activation in Julia's list."""
    return list(ACTIVATIONS).index(field.activation)


def whole_number(name: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise InputError(name, value, f"a whole number >= {least}")
    return int(value)


def feature_table(name: str, values: object, rows: int) -> Tensor:
    """(rows, k) float64; k is 0 for None."""
    if values is None:
        return torch.zeros(rows, 0, dtype=torch.float64)
    table = torch.as_tensor(values, dtype=torch.float64).detach().clone()
    if table.ndim != 2 or len(table) != rows:
        raise InputError(name, tuple(table.shape), f"a table of shape ({rows}, k)")
    if not torch.isfinite(table).all():
        raise InputError(name, "values that are not finite", "finite numbers")
    return table
