r"""The network: organ graph -> vector field in log body mass, and the covariance that
weighs sources.

With x = ln(body mass):

.. math::
    \frac{d \ln CL}{dx} &= \sum_k g_k(y, x, c)\, \frac{d \ln P_k}{dx} + h(x)^T W_{CL}\, \phi(c) \\
    \frac{d \ln V}{dx} &= 1 + \alpha(y, x, c) \frac{d \ln fu}{dx} + h(x)^T W_V\, \phi(c) \\
    \frac{d\, \mathrm{logit} fu}{dx} &= h(x)^T W_{fu}\, \phi(c)

The processes P_k are a pure power of mass (exponent learned, 0.75 at the start), liver
blood flow, filtration of unbound drug (GFR fu) and intrinsic clearance (liver mass fu). The
gate g is a softmax of a small network that sees extraction, filtered share and compound.
h(x) is the embedding of the organ graph at that mass, phi(c) the features of the compound.
The share alpha of the volume that follows binding is a sigmoid of ln(V/kg): drug held by
blood alone does not follow it (V = V_blood + fu K gives alpha = 1 - V_blood/V). All of W
has a normal prior: without evidence the classical law holds.

Shapes: E members of an ensemble side by side (leading dimension of every weight), T trajectories,
S species of the path, P features phi of a compound, 3 parameters (CL, V, fu).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from . import bodies
from .trajectories import FieldInputs, Trajectories, TransportInputs, as_tensor

PARAMETERS = ("clearance", "volume", "fraction_unbound")
N_SPECIES = len(bodies.KNOT_SPECIES)
_ORGAN_WIDTH = 8
#: bias of the gate before training (power of mass, liver flow, filtration, liver mass): clearance
#: follows liver flow, as in the best classical method
_GATE_BIAS = (0.0, 1.5, 0.0, 0.0)


class OrganConv(MessagePassing):
    r"""One round of messages along the blood flows, for E members at once.

    .. math:: x_i' = \tanh\Big(x_i W_1 + \frac{1}{|N(i)|} \sum_{j \in N(i)} x_j W_2 + b\Big)

    Shapes
    ------
    x : (E, S, organs, inputs); edge_index : (2, edges); returns (E, S, organs, outputs)
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__(aggr="mean", node_dim=-2)
        shape = (members, 1, inputs, outputs)
        self.weight_root = nn.Parameter(torch.randn(shape) / math.sqrt(inputs))
        self.weight_neighbour = nn.Parameter(torch.randn(shape) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, 1, outputs))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """(E, S, organs, outputs), see the class."""
        upstream = self.propagate(edge_index, x=x)
        return torch.tanh(x @ self.weight_root + upstream @ self.weight_neighbour + self.bias)

    def message(self, x_j: Tensor) -> Tensor:
        """Features of the organ upstream of each edge."""
        return x_j


class AllometryModule(nn.Module):
    """The law of E members.

    Parameters
    ----------
    members : int
        E, networks side by side
    n_phi : int
        P, features of a compound
    n_descriptors : int
        those of them that the gate sees
    hidden, gate_hidden : int
        widths of the embedding and of the gate
    graph : bool
        False puts smooth functions of mass where the organ graph is
    ode : bool
        False makes one step with the slope at the source
    """

    def __init__(
        self,
        members: int,
        n_phi: int,
        n_descriptors: int,
        hidden: int = 6,
        gate_hidden: int = 8,
        graph: bool = True,
        ode: bool = True,
    ) -> None:
        super().__init__()
        self.members, self.n_phi, self.hidden = members, n_phi, hidden
        self.graph, self.ode = graph, ode
        self._register_species()
        # The order of the parameters is that of the random draws: a seed gives the same network.
        self._register_organ_graph(members, hidden)
        self.field_weight = nn.Parameter(torch.zeros(members, 3, n_phi, hidden))
        self._register_gate(members, n_descriptors, gate_hidden)
        self._register_prior(members, n_phi)
        self._register_covariance(members, n_descriptors, hidden)

    def _register_species(self) -> None:
        """Buffers of the path: the same in every network, so not in its checkpoint."""
        constant = {"persistent": False}
        self.register_buffer("nodes", as_tensor(bodies.node_features()), **constant)
        edges = torch.tensor(bodies.edge_index(), dtype=torch.long)
        self.register_buffer("edges", edges, **constant)
        self.register_buffer("processes", as_tensor(bodies.processes()), **constant)
        x = as_tensor(bodies.KNOTS)
        self.register_buffer("x", (x - x.mean()) / x.std(), **constant)  # (S,) standardised

    def _register_organ_graph(self, members: int, hidden: int) -> None:
        self.conv1 = OrganConv(members, self.nodes.shape[-1], _ORGAN_WIDTH)
        self.conv2 = OrganConv(members, _ORGAN_WIDTH, _ORGAN_WIDTH)
        self.readout = nn.Parameter(torch.randn(members, _ORGAN_WIDTH, hidden) * 0.7)
        self.mass_weight = nn.Parameter(torch.randn(members, 3, hidden) * 0.7)

    def _register_gate(self, members: int, n_descriptors: int, width: int) -> None:
        """Which process clearance follows, and how far the volume follows binding."""
        inputs = 3 + n_descriptors
        self.gate_bias_out = nn.Parameter(torch.tensor(_GATE_BIAS).repeat(members, 1))
        self.gate_weight_in = nn.Parameter(torch.randn(members, inputs, width) / math.sqrt(inputs))
        self.gate_bias_in = nn.Parameter(torch.zeros(members, 1, width))
        self.gate_weight_out = nn.Parameter(torch.zeros(members, width, 4))
        self.exponent = nn.Parameter(torch.full((members,), 0.75))
        self.binding_bias = nn.Parameter(torch.zeros(members, 1))
        self.binding_descriptors = nn.Parameter(torch.zeros(members, n_descriptors))
        self.binding_volume = nn.Parameter(torch.full((members, 1), 0.5))

    def _register_prior(self, members: int, n_phi: int) -> None:
        """Human values from structure: a line through the structure model's prediction, and
        the rest of phi.
        """
        self.prior_bias = nn.Parameter(torch.zeros(members, 3))
        self.prior_slope = nn.Parameter(torch.ones(members, 3))
        self.prior_phi = nn.Parameter(torch.zeros(members, 3, n_phi))
        self.prior_bias_unknown = nn.Parameter(torch.zeros(members, 3))

    def _register_covariance(self, members: int, n_descriptors: int, hidden: int) -> None:
        """Standard deviations of what the field leaves unexplained, see :meth:`covariance`."""
        self.log_sd_common = nn.Parameter(torch.full((members, 3), math.log(0.6)))
        self.log_sd_common_unknown = nn.Parameter(torch.full((members, 3), math.log(1.0)))
        self.log_sd_kernel = nn.Parameter(torch.full((members, 3), math.log(0.5)))
        self.log_sd_species = nn.Parameter(torch.full((members, 3), math.log(0.3)))
        self.log_sd_species_factor = nn.Parameter(torch.zeros(members, 3, N_SPECIES))
        self.kernel_embedding = nn.Parameter(torch.randn(members, hidden, 2) * 0.3)
        self.log_inverse_length = nn.Parameter(torch.zeros(members, 3))
        self.noise_weight = nn.Parameter(torch.zeros(members, 3, n_descriptors + 1))

    # ------------------------------------------------------------------ the organ graph
    def embeddings(self) -> Tensor:
        """Embeddings h of the bodies of all species, (E, S, hidden)."""
        if not self.graph:
            # Hermite polynomials of ln mass: (S, 3) @ (E, 3, hidden)
            smooth = torch.stack([self.x, self.x**2 - 1, torch.ones_like(self.x)], dim=-1)
            return torch.tanh(smooth @ self.mass_weight)
        nodes = self.nodes.expand(self.members, *self.nodes.shape)  # (E, S, organs, features)
        organs = self.conv2(self.conv1(nodes, self.edges), self.edges)
        return torch.tanh(organs.mean(-2) @ self.readout)

    # ------------------------------------------------------------------ the field
    def compound_weights(self, phi: Tensor) -> Tensor:
        """W phi(c) for compounds phi (T, P): (E, 3, T, hidden)."""
        return torch.einsum("tp,ekph->ekth", phi, self.field_weight)

    def rates(self, y: Tensor, at: FieldInputs) -> Tensor:
        """Vector field d(ln CL, ln V)/dx at states y (E, T, 2), also (E, T, 2)."""
        # d ln fu / dx = (1 - fu) d logit fu / dx
        binding = torch.sigmoid(-at.fu_logit) * at.fu_slope
        gate = self._gate(y[..., 0], at)  # (E, T, 4)
        liver_flow, filtration, liver_mass = at.process_slopes.unbind(-1)
        # (E, 3, T, hidden) x (E, 1, T, hidden) -> (E, 3, T)
        deviation = (at.compound_weights * at.embedding[:, None]).sum(-1)
        clearance = (
            gate[..., 0] * self.exponent[:, None]
            + gate[..., 1] * liver_flow
            + gate[..., 2] * (filtration + binding)
            + gate[..., 3] * (liver_mass + binding)
            + deviation[:, 0]
        )
        share = self.binding_share(at.descriptors, y[..., 1] - at.log_mass)
        volume = 1.0 + share * binding + deviation[:, 1]
        return torch.stack([clearance, volume], dim=-1)  # (E, T, 2)

    def _gate(self, log_clearance: Tensor, at: FieldInputs) -> Tensor:
        """Weights of the four processes (E, T, 4), summing to 1."""
        log_fu = nn.functional.logsigmoid(at.fu_logit)
        log_flow, log_gfr = at.log_processes[..., 0], at.log_processes[..., 1]
        state = torch.stack(
            [
                torch.tanh(0.5 * (log_clearance - log_flow)),  # extraction
                torch.tanh(0.5 * (log_fu + log_gfr - log_clearance)),  # filtered share
                (log_fu / 3.0).expand_as(log_clearance),
            ],
            dim=-1,
        )  # (E, T, 3)
        descriptors = at.descriptors.expand(self.members, *at.descriptors.shape)
        inputs = torch.cat([state, descriptors], dim=-1)  # (E, T, 3 + n_descriptors)
        hidden = torch.tanh(inputs @ self.gate_weight_in + self.gate_bias_in)
        return torch.softmax(hidden @ self.gate_weight_out + self.gate_bias_out[:, None], dim=-1)

    def binding_share(self, descriptors: Tensor, log_volume_per_kg: Tensor) -> Tensor:
        """How far the volume follows the unbound fraction, 0 to 1; (E, T) like
        `log_volume_per_kg`.
        """
        return torch.sigmoid(
            self.binding_bias
            + torch.einsum("tb,eb->et", descriptors, self.binding_descriptors)  # (E, T)
            + self.binding_volume * log_volume_per_kg
        )

    def transport(self, y0: Tensor, trajectories: Trajectories, inputs: TransportInputs) -> Tensor:
        """States (ln CL, ln V) at the ends, by classical Runge-Kutta steps from species to species.

        Parameters
        ----------
        y0 : Tensor
            (T, 2) or (E, T, 2) at the starts

        Returns
        -------
        Tensor
            (E, T, 2)
        """
        y = self.expand_members(y0)
        fu_slope = trajectories.fu_slope(inputs)
        for step in range(trajectories.steps):
            active = trajectories.active[step]  # the others have arrived
            start, middle, end = (
                self._stage(trajectories, inputs, fu_slope, step, stage) for stage in range(3)
            )
            dx = trajectories.step_size[step][active][None, :, None]  # (1, active, 1)
            now = y[:, active]
            k1 = self.rates(now, start)
            k2 = self.rates(now + 0.5 * dx * k1, middle)
            k3 = self.rates(now + 0.5 * dx * k2, middle)
            k4 = self.rates(now + dx * k3, end)
            y = y.index_add(1, active, dx / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4))
        return y

    def _stage(
        self,
        trajectories: Trajectories,
        inputs: TransportInputs,
        fu_slope: Tensor,
        step: int,
        stage: int,
    ) -> FieldInputs:
        """Inputs of the field at start, middle or end (stage 0, 1, 2) of a step, for those
        that move.
        """
        active = trajectories.active[step]
        weights = trajectories.basis[step, stage][active]  # (active, S)
        slopes = trajectories.basis_slope[step, stage][active]
        travelled = trajectories.travelled[step, stage][active]
        return FieldInputs(
            log_mass=trajectories.log_mass[step, stage][active],
            fu_logit=inputs.fu_start[active] + fu_slope[active] * travelled,
            fu_slope=fu_slope[active],
            descriptors=inputs.descriptors[active],
            compound_weights=inputs.compound_weights[:, :, active],
            # (E, active, hidden)
            embedding=torch.einsum("ts,esh->eth", weights, inputs.embeddings),
            log_processes=weights @ self.processes.T,
            process_slopes=slopes @ self.processes.T,
        )

    def one_step(self, y0: Tensor, trajectories: Trajectories, inputs: TransportInputs) -> Tensor:
        """States at the ends without integration: the slope at the start holds all the way.

        The embeddings still differ between both ends. Parameters and shapes as of
        :meth:`transport`.
        """
        if not trajectories.steps:
            return y0
        start, end = trajectories.basis[0, 0], trajectories.basis[-1, 2]  # (T, S)
        signed = trajectories.length * trajectories.direction  # (T,)
        safe = torch.where(signed[:, None].abs() > 1e-9, signed[:, None], 1.0)
        change = torch.einsum("ts,esh->eth", end - start, inputs.embeddings)  # (E, T, hidden)
        fu_slope = torch.where(
            trajectories.length > 1e-9,
            (inputs.fu_end - inputs.fu_start) / signed,
            torch.zeros_like(inputs.fu_start),
        )
        classical = FieldInputs(
            log_mass=trajectories.log_mass[0, 0],
            fu_logit=inputs.fu_start,
            fu_slope=fu_slope,
            descriptors=inputs.descriptors,
            compound_weights=torch.zeros_like(inputs.compound_weights),
            embedding=torch.zeros_like(change),
            log_processes=start @ self.processes.T,
            process_slopes=(end - start) @ self.processes.T / safe,  # mean over the trajectory
        )
        y = self.expand_members(y0)
        deviation = (inputs.compound_weights[:, :2] * change[:, None]).sum(-1)  # (E, 2, T)
        # (E, 2, T) -> (E, T, 2)
        return y + signed[None, :, None] * self.rates(y, classical) + deviation.permute(0, 2, 1)

    def carry(self, y0: Tensor, trajectories: Trajectories, inputs: TransportInputs) -> Tensor:
        """:meth:`transport` or, in members that do not integrate, :meth:`one_step`."""
        return (self.transport if self.ode else self.one_step)(y0, trajectories, inputs)

    def expand_members(self, y: Tensor) -> Tensor:
        """(T, 2) or (E, T, 2) -> (E, T, 2)."""
        return y if y.ndim == 3 else y.expand(self.members, *y.shape)

    def binding_shift(self, trajectories: Trajectories, inputs: TransportInputs) -> Tensor:
        """Change of logit fu along the trajectories, (E, T).

        Its field does not depend on the state, so the change is an integral (Simpson's rule).
        """
        basis = trajectories.basis
        weights = torch.einsum(  # (T, S), summed over the steps
            "kt,kts->ts",
            trajectories.step_size / 6.0,
            basis[:, 0] + 4 * basis[:, 1] + basis[:, 2],
        )
        integral = torch.einsum("ts,esh->eth", weights, inputs.embeddings)  # (E, T, hidden)
        return (inputs.compound_weights[:, 2] * integral).sum(-1)

    # ------------------------------------------------------------------ prior and covariance
    def prior(self, phi: Tensor, structure: Tensor, known: Tensor) -> Tensor:
        """Human values before any source is seen, (E, T, 3).

        Parameters
        ----------
        phi : Tensor
            (T, P)
        structure : Tensor
            (T, 3) prediction of the structure model
        known : Tensor
            (T,) bool, whether the structure is known
        """
        mean = self.prior_bias[:, None] + self.prior_slope[:, None] * structure
        mean = mean + torch.einsum("tp,ekp->etk", phi, self.prior_phi)  # (E, T, 3)
        unknown = self.prior_bias_unknown[:, None] + structure
        return torch.where(known[None, :, None], mean, unknown)

    def covariance(
        self, embeddings: Tensor, weights: Tensor, species: Tensor, known: bool = True
    ) -> Tensor:
        r"""Covariance of the deviations from the law at n points of the path, (E, 3, n, n).

        .. math:: C_{ij} = \sigma_c^2 + \sigma_k^2 e^{-|z_i - z_j| / \ell} + \sigma_s^2 [s_i = s_j]

        where z is an embedding of the body (two learned coordinates and ln mass).

        Parameters
        ----------
        embeddings : Tensor
            (E, S, hidden)
        weights : Tensor
            (n, S) of the species at the points
        species : Tensor
            (n, S) one-hot species, zero rows for bodies of no known species
        known : bool
            whether the structure is known; it decides the common variance
        """
        body = torch.einsum("ns,esh->enh", weights, embeddings)  # (E, n, hidden)
        log_mass = (weights @ self.x)[None, :, None].expand(self.members, -1, 1)
        z = torch.cat([body @ self.kernel_embedding, log_mass], dim=-1)  # (E, n, 3)
        # 1e-8 keeps the derivative of the root finite on the diagonal
        distance = ((z[:, :, None] - z[:, None]) ** 2).sum(-1).add(1e-8).sqrt()  # (E, n, n)
        inverse_length = torch.exp(self.log_inverse_length)[:, :, None, None]  # (E, 3, 1, 1)
        kernel = torch.exp(-distance[:, None] * inverse_length)  # (E, 3, n, n)
        common = self.log_sd_common if known else self.log_sd_common_unknown
        same = (species @ species.T > 0.5) | torch.eye(
            len(species), dtype=torch.bool, device=species.device
        )
        factor = torch.einsum("ns,eks->ekn", species, self.log_sd_species_factor)  # (E, 3, n)
        within = torch.exp(2 * (self.log_sd_species[..., None] + factor))  # (E, 3, n)
        return (
            torch.exp(2 * common)[..., None, None]
            + torch.exp(2 * self.log_sd_kernel)[..., None, None] * kernel
            + within[..., None] * same.to(within.dtype)
        )

    def log_sd_factor(self, descriptors: Tensor, known: Tensor) -> Tensor:
        """ln factor of the standard deviation of each compound, (E, 3, T), between -1 and 1."""
        inputs = torch.cat([descriptors, known[:, None].to(descriptors.dtype)], dim=-1)
        return torch.tanh(torch.einsum("tb,ekb->ekt", inputs, self.noise_weight))

    def penalty(self, sd_phi: Tensor) -> Tensor:
        """Minus log prior of the weights up to a constant, (E,).

        Parameters
        ----------
        sd_phi : Tensor
            (P,) prior standard deviations of the weights of each part of phi
        """
        gate_bias = torch.tensor(_GATE_BIAS, device=sd_phi.device)
        # weights about their prior means, and the prior's standard deviations
        normal = (
            (self.field_weight, sd_phi[None, None, :, None]),
            (self.gate_weight_out, 0.5),
            (self.gate_bias_out - gate_bias, 1.0),
            (self.gate_weight_in, 1.0),
            (self.exponent[:, None] - 0.75, 0.1),
            (self.prior_phi, 0.5 * sd_phi[None, None]),
            (self.prior_slope - 1.0, 0.3),
            (self.log_sd_species_factor, 0.7),
            (self.noise_weight, 0.3),
            (self.binding_descriptors, 0.3),
            (self.binding_volume - 0.5, 0.5),
            (self.kernel_embedding, 1.0),
            (self.readout, 1.0),
        )
        first, *others = (((weight / sd) ** 2).flatten(1).sum(1) for weight, sd in normal)
        return 0.5 * sum(others, first)
