r"""The network: organ graph -> vector field in log body mass, and the covariance that weighs sources.

With x = ln(body mass), E members side by side (leading dimension of every weight):

.. math::
    \frac{d \ln CL}{dx} &= \sum_k g_k(y, x, c)\, \frac{d \ln P_k}{dx} + h(x)^T W_{CL}\, \phi(c) \\
    \frac{d \ln V}{dx} &= 1 + \alpha(y, x, c) \frac{d \ln fu}{dx} + h(x)^T W_V\, \phi(c) \\
    \frac{d\, \mathrm{logit} fu}{dx} &= h(x)^T W_{fu}\, \phi(c)

P_k: a pure power of mass (exponent learned, 0.75 at the start), liver blood flow, filtration of unbound drug (GFR fu),
intrinsic clearance (liver mass fu); g a softmax of a small network that sees extraction, filtered share and compound. h(x)
is the embedding of the organ graph at that mass, phi(c) the compound. alpha, the share of the volume that follows binding,
is a sigmoid of ln(V/kg): what blood alone holds does not (V = V_blood + fu K gives alpha = 1 - V_blood/V). All of W has a
normal prior: with no evidence the classical law holds.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from . import bodies as _path

PARAMETERS = ("clearance", "volume", "fraction_unbound")
N_SPECIES = len(_path.KNOT_SPECIES)


class OrganMessages(MessagePassing):
    """One round along the blood flows: each organ hears the mean of the organs upstream of it."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__(aggr="mean", node_dim=-2)
        self.own = nn.Parameter(torch.randn(members, 1, inputs, outputs) / math.sqrt(inputs))
        self.heard = nn.Parameter(torch.randn(members, 1, inputs, outputs) / math.sqrt(inputs))
        self.shift = nn.Parameter(torch.zeros(members, 1, 1, outputs))

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        return torch.tanh(x @ self.own + self.propagate(edges, x=x) @ self.heard + self.shift)

    def message(self, x_j: Tensor) -> Tensor:
        return x_j


class AllometryModule(nn.Module):
    """E members. `graph` False puts smooth functions of mass where the organ graph is; `ode` False jumps in one
    Euler-like step.
    """

    def __init__(
        self,
        members: int,
        n_phi: int,
        n_block: int,
        hidden: int = 6,
        gate_hidden: int = 8,
        graph: bool = True,
        ode: bool = True,
    ) -> None:
        super().__init__()
        self.members, self.n_phi, self.hidden, self.graph, self.ode = (
            members,
            n_phi,
            hidden,
            graph,
            ode,
        )
        nodes = torch.tensor(_path.node_features(), dtype=torch.float32)
        self.register_buffer("nodes", nodes, persistent=False)
        self.register_buffer(
            "edges", torch.tensor(_path.edge_index(), dtype=torch.long), persistent=False
        )
        self.register_buffer(
            "processes", torch.tensor(_path.processes(), dtype=torch.float32), persistent=False
        )
        x = torch.tensor(_path.KNOTS, dtype=torch.float32)
        self.register_buffer("x", (x - x.mean()) / x.std(), persistent=False)
        inputs = nodes.shape[-1]
        self.first = OrganMessages(members, inputs, 8)
        self.second = OrganMessages(members, 8, 8)
        self.pool = nn.Parameter(torch.randn(members, 8, hidden) * 0.7)
        self.mass = nn.Parameter(torch.randn(members, 3, hidden) * 0.7)
        self.field = nn.Parameter(torch.zeros(members, 3, n_phi, hidden))
        # which process clearance follows: liver flow at the start, as in the best classical method
        self.gate_start = nn.Parameter(torch.tensor([0.0, 1.5, 0.0, 0.0]).repeat(members, 1))
        self.gate_in = nn.Parameter(
            torch.randn(members, 3 + n_block, gate_hidden) / math.sqrt(3 + n_block)
        )
        self.gate_shift = nn.Parameter(torch.zeros(members, 1, gate_hidden))
        self.gate_out = nn.Parameter(torch.zeros(members, gate_hidden, 4))
        self.exponent = nn.Parameter(torch.full((members,), 0.75))
        self.binding = nn.Parameter(torch.zeros(members, 1))
        self.binding_block = nn.Parameter(torch.zeros(members, n_block))
        self.binding_volume = nn.Parameter(torch.full((members, 1), 0.5))
        # prior from structure: shift, factor of the structure's own prediction, and the rest of phi
        self.prior_shift = nn.Parameter(torch.zeros(members, 3))
        self.prior_factor = nn.Parameter(torch.ones(members, 3))
        self.prior_phi = nn.Parameter(torch.zeros(members, 3, n_phi))
        self.unknown_shift = nn.Parameter(torch.zeros(members, 3))
        # covariance of what the field leaves unexplained
        self.log_common = nn.Parameter(torch.full((members, 3), math.log(0.6)))
        self.log_unknown = nn.Parameter(torch.full((members, 3), math.log(1.0)))
        self.log_path = nn.Parameter(torch.full((members, 3), math.log(0.5)))
        self.log_own = nn.Parameter(torch.full((members, 3), math.log(0.3)))
        self.log_own_species = nn.Parameter(torch.zeros(members, 3, N_SPECIES))
        self.place = nn.Parameter(torch.randn(members, hidden, 2) * 0.3)
        self.log_length = nn.Parameter(torch.zeros(members, 3))
        self.spread = nn.Parameter(torch.zeros(members, 3, n_block + 1))

    # ------------------------------------------------------------------ the organ graph
    def embeddings(self) -> Tensor:
        """(E, n_species, hidden): the bodies of the path."""
        mass = torch.stack([self.x, self.x**2 - 1, torch.ones_like(self.x)], dim=-1) @ self.mass
        if not self.graph:
            return torch.tanh(mass)
        nodes = self.nodes.expand(self.members, *self.nodes.shape)
        organs = self.second(self.first(nodes, self.edges), self.edges)
        return torch.tanh(organs.mean(-2) @ self.pool)

    # ------------------------------------------------------------------ the field
    def compound(self, phi: Tensor) -> Tensor:
        """(E, 3, T, hidden): what the compound makes of the bodies' embeddings."""
        return torch.einsum("tp,ekph->ekth", phi, self.field)

    def rates(
        self,
        y: Tensor,
        x: Tensor,
        fu_logit: Tensor,
        fu_slope: Tensor,
        block: Tensor,
        w: Tensor,
        body: Tensor,
        path: Tensor,
        path_slope: Tensor,
    ) -> Tensor:
        """d(ln CL, ln V)/dx, (E, T, 2).

        y (E, T, 2); x (T,) log masses; fu_logit, fu_slope (T,) or (E, T): of logit fu and its derivative; block (T, b);
        w (E, 3, T, hidden); body (E, T, hidden) or (E, 1, hidden); path, path_slope (T, 3): log processes and slopes at
        each trajectory's mass.
        """
        log_fu = nn.functional.logsigmoid(fu_logit)
        binding = torch.sigmoid(-fu_logit) * fu_slope  # d ln fu / dx
        log_cl = y[..., 0]
        seen = torch.stack(
            [
                torch.tanh(0.5 * (log_cl - path[..., 0])),
                torch.tanh(0.5 * (log_fu + path[..., 1] - log_cl)),
                (log_fu / 3.0).expand_as(log_cl),
            ],
            dim=-1,
        )
        seen = torch.cat([seen, block.expand(self.members, *block.shape)], dim=-1)
        gate = (
            torch.tanh(seen @ self.gate_in + self.gate_shift) @ self.gate_out
            + self.gate_start[:, None]
        )
        gate = torch.softmax(gate, dim=-1)
        flow, filtration, liver = path_slope.unbind(-1)
        deviation = (w * body[:, None]).sum(-1)
        clearance = (
            gate[..., 0] * self.exponent[:, None]
            + gate[..., 1] * flow
            + gate[..., 2] * (filtration + binding)
            + gate[..., 3] * (liver + binding)
            + deviation[:, 0]
        )
        volume = 1.0 + self.binding_share(block, y[..., 1] - x) * binding + deviation[:, 1]
        return torch.stack([clearance, volume], dim=-1)

    def binding_share(self, block: Tensor, volume: Tensor) -> Tensor:
        """(E, T) how far the volume follows the unbound fraction: 0 to 1; `volume` (E, T): ln of the volume per kg."""
        return torch.sigmoid(
            self.binding
            + torch.einsum("tb,eb->et", block, self.binding_block)
            + self.binding_volume * volume
        )

    def transport(
        self,
        y0: Tensor,
        way: Way,
        fu0: Tensor,
        fu1: Tensor,
        block: Tensor,
        w: Tensor,
        bodies: Tensor,
    ) -> Tensor:
        """(E, T, 2): ln CL, ln V carried along `way`, by classical Runge-Kutta steps from species to species.

        y0 (T, 2) or (E, T, 2); fu0, fu1 (T,): logit fu at both ends, straight between.
        """
        y = y0 if y0.ndim == 3 else y0.expand(self.members, *y0.shape)
        total = way.total.clamp(min=1e-9) * way.direction
        slope = torch.where(way.total > 1e-9, (fu1 - fu0) / total, torch.zeros_like(fu0))
        for k in range(way.steps):
            on = way.moving[k]  # the others have arrived
            stages = []
            for j in range(3):
                weights = way.basis[k, j][on]
                body = torch.einsum("ts,esh->eth", weights, bodies)
                path, path_slope = (
                    weights @ self.processes.T,
                    way.slope[k, j][on] @ self.processes.T,
                )
                fu = fu0[on] + slope[on] * way.gone[k, j][on]
                stages.append(
                    (
                        way.mass[k, j][on],
                        fu,
                        slope[on],
                        block[on],
                        w[:, :, on],
                        body,
                        path,
                        path_slope,
                    )
                )
            dx, here = way.dx[k][on][None, :, None], y[:, on]
            k1 = self.rates(here, *stages[0])
            k2 = self.rates(here + 0.5 * dx * k1, *stages[1])
            k3 = self.rates(here + 0.5 * dx * k2, *stages[1])
            k4 = self.rates(here + dx * k3, *stages[2])
            y = y.index_add(1, on, dx / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4))
        return y

    def binding_shift(self, way: Way, w: Tensor, bodies: Tensor) -> Tensor:
        """(E, T): change of logit fu along `way`: its field does not depend on the state, so it is an integral (Simpson)."""
        weights = torch.einsum(
            "kt,kts->ts", way.dx / 6.0, way.basis[:, 0] + 4 * way.basis[:, 1] + way.basis[:, 2]
        )
        body = torch.einsum("ts,esh->eth", weights, bodies)
        return (w[:, 2] * body).sum(-1)

    # ------------------------------------------------------------------ prior and covariance
    def prior(self, phi: Tensor, structure: Tensor, known: Tensor) -> Tensor:
        """(E, T, 3) at the human: from structure where it is known; `structure` (T, 3) is its prediction."""
        told = self.prior_shift[:, None] + self.prior_factor[:, None] * structure
        told = told + torch.einsum("tp,ekp->etk", phi, self.prior_phi)
        return torch.where(known[None, :, None], told, self.unknown_shift[:, None] + structure)

    def covariance(
        self, bodies: Tensor, weights: Tensor, own: Tensor, known: bool = True
    ) -> Tensor:
        """(E, 3, n, n) of the deviations from the law at n places of the path.

        weights (n, n_species): where they are; own (n, n_species): one-hot species, zero rows for bodies of no known
        species.
        """
        body = torch.einsum("ns,esh->enh", weights, bodies)
        place = torch.cat(
            [body @ self.place, (weights @ self.x)[None, :, None].expand(self.members, -1, 1)],
            dim=-1,
        )
        far = ((place[:, :, None] - place[:, None]) ** 2).sum(-1).add(1e-8).sqrt()
        near = torch.exp(-far[:, None] * torch.exp(self.log_length)[:, :, None, None])
        common = self.log_common if known else self.log_unknown
        same = (own @ own.T > 0.5) | torch.eye(len(own), dtype=torch.bool)
        single = torch.exp(
            2 * (self.log_own[..., None] + torch.einsum("ns,eks->ekn", own, self.log_own_species))
        )
        return (
            torch.exp(2 * common)[..., None, None]
            + torch.exp(2 * self.log_path)[..., None, None] * near
            + single[..., None] * same.to(single.dtype)
        )

    def log_spread(self, block: Tensor, known: Tensor) -> Tensor:
        """(E, 3, T) log factor of the standard deviation, within a factor of e of 1."""
        told = torch.cat([block, known[:, None].to(block.dtype)], dim=-1)
        return torch.tanh(torch.einsum("tb,ekb->ekt", told, self.spread))

    def penalty(self, sd_phi: Tensor) -> Tensor:
        """(E,) minus log prior of the weights. `sd_phi` (n_phi,): of the weights of each part of phi."""
        square = lambda p, sd: ((p / sd) ** 2).flatten(1).sum(1)
        start = torch.tensor([0.0, 1.5, 0.0, 0.0])
        total = square(self.field, sd_phi[None, None, :, None])
        total = total + square(self.gate_out, 0.5) + square(self.gate_start - start, 1.0)
        total = total + square(self.gate_in, 1.0) + square(self.exponent[:, None] - 0.75, 0.1)
        total = (
            total
            + square(self.prior_phi, 0.5 * sd_phi[None, None])
            + square(self.prior_factor - 1.0, 0.3)
        )
        total = total + square(self.log_own_species, 0.7) + square(self.spread, 0.3)
        total = (
            total
            + square(self.binding_block, 0.3)
            + square(self.binding_volume - 0.5, 0.5)
            + square(self.place, 1.0)
            + square(self.pool, 1.0)
        )
        return 0.5 * total


class Way:
    """Where trajectories go: T of them from `start` to `end` (log masses), in pieces between species, `substeps` each."""

    def __init__(self, start, end, substeps: int = 1) -> None:
        points = _path.breakpoints(np.asarray(start, float), np.asarray(end, float))
        if substeps > 1:
            parts = [
                points[:, :-1] + np.diff(points, axis=1) * j / substeps for j in range(substeps)
            ]
            points = np.concatenate(
                [np.stack(parts, -1).reshape(len(points), -1), points[:, -1:]], axis=1
            )
        left, right = points[:, :-1].T, points[:, 1:].T
        stages = np.stack([left, 0.5 * (left + right), right], axis=1)  # (steps, 3, T)
        # derivatives are taken a hair inside the piece: at a species the spline's derivative is continuous all the same
        value, slope = _path.basis(stages.ravel())
        shape = (*stages.shape, len(_path.KNOTS))
        as_tensor = lambda a: torch.tensor(np.asarray(a), dtype=torch.float32)
        self.steps = len(left)
        self.dx = as_tensor(right - left)
        self.basis, self.slope = as_tensor(value.reshape(shape)), as_tensor(slope.reshape(shape))
        self.mass = as_tensor(stages)
        self.moving = [
            torch.tensor(np.flatnonzero(np.abs(right[k] - left[k]) > 1e-12))
            for k in range(len(left))
        ]
        self.gone = as_tensor(stages - points[:, 0][None, None])
        self.total = as_tensor(np.abs(points[:, -1] - points[:, 0]))
        self.direction = as_tensor(np.where(points[:, -1] >= points[:, 0], 1.0, -1.0))
        self.points = points
