r"""The law: how a compound's own numbers change from species to species, and how far species
differ from it.

The states of :mod:`.readout`, a (intrinsic clearance per gram), k (factor on Kp) and b (binding),
and a correction :math:`\kappa_t` of every tissue's Kp move along x = ln(body mass of the species):

.. math::
    \frac{d(a, k, b)}{dx} = w_0 + W\,[\phi, \tanh(z)] + \frac{1}{n}\sum_o h_o W_p + h_{liver} W_l,
    \qquad \frac{d\kappa_t}{dx} = h_t \cdot w_\kappa - \mathrm{mean}

:math:`\phi` are eight descriptors, h the organs' states after two rounds of messages along the
blood flows (:class:`OrganConv`); the nodes see organ, tissue and the compound in them: Kp, and in
the liver the intrinsic clearance. Within a species nothing moves: organs and flows alone make a
heavier body clear more (:mod:`.bodies`). All weights have normal priors: without evidence
intrinsic clearance per gram falls with mass to the power 0.1 and everything else stays.

What the law leaves is a normal deviation z - m with covariance

.. math::
    C_{ij} = \Sigma + e^{-|x_i - x_j|/\ell} S_1 + [i = j] S_{2,species}

:math:`\Sigma` is the error of the prediction from structure, common to all species and larger the
less similar the training compounds are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from ...physiology import ORGANS
from . import bodies
from .composition import N_TISSUES
from .config import AllometryConfig
from .readout import Elimination, Places, as_tensor, readout, states_with

N_SPECIES = len(bodies.KNOT_SPECIES)
HUMAN = bodies.KNOT_SPECIES.index("human")
N_DESCRIPTORS = 8
LIVER = ORGANS.index("liver")
N_POOLS = len(ORGANS) - N_TISSUES
#: where states lie, and how far they spread: what the network sees is tanh of this
_CENTRE, _SPREAD = (-4.0, 0.0, -1.5), 3.0
#: prior of the drift: intrinsic clearance per gram falls slowly with body mass, as liver
#: mass grows faster than metabolism
_DRIFT = (-0.1, 0.0, 0.0)
_SHARE = -1.5  # logit of the renal share before training
_EXTRAHEPATIC = math.log(0.003)
#: standard deviations before training: of a, k, b
_COMMON, _UNKNOWN = (0.7, 0.5, 0.9), (1.3, 1.0, 1.3)
_ALONG, _SPECIES = (0.35, 0.25, 0.35), (0.35, 0.30, 0.40)
#: of what is measured: ln CL, ln V, logit fu, ln of the intrinsic clearance in vitro
_NOISE = (0.15, 0.15, 0.20, 0.8)


@dataclass(frozen=True)
class Compounds:
    """What the law sees of n compounds.

    Parameters
    ----------
    structure : Tensor
        (n, 3) human ln CL, ln V, logit fu predicted from structure
    descriptors : Tensor
        (n, 8)
    composition : Tensor
        (n, WIDTH)
    distance : Tensor
        (n,) 1 - similarity to the most similar training compound
    known : Tensor
        (n,) 1 where the structure is known, else 0
    """

    structure: Tensor
    descriptors: Tensor
    composition: Tensor
    distance: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.known)

    def take(self, rows: Tensor | np.ndarray) -> Compounds:
        """Some of the compounds."""
        return Compounds(*(getattr(self, f.name)[rows] for f in fields(self)))

    def to(self, device: torch.device) -> Compounds:
        """The same on another device."""
        return Compounds(*(getattr(self, f.name).to(device) for f in fields(self)))


class OrganConv(nn.Module):
    r"""One round of messages along the blood flows.

    .. math:: x_i' = \tanh\Big(x_i W_1 + \frac{1}{|N(i)|} \sum_{j \in N(i)} x_j W_2 + b\Big)

    The same as a ``MessagePassing`` layer of PyTorch Geometric with ``aggr="mean"``; written out,
    so that a prediction need not import it.

    Shapes
    ------
    x : (n, organs, inputs); edge_index : (2, edges); returns (n, organs, outputs)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight_root = nn.Parameter(torch.randn(inputs, outputs) / math.sqrt(inputs))
        self.weight_neighbour = nn.Parameter(torch.randn(inputs, outputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, edge_index: Tensor | None) -> Tensor:
        """(n, organs, outputs), see the class; without edges every organ is alone."""
        out = x @ self.weight_root + self.bias
        if edge_index is not None:
            out = out + self.propagate(x, edge_index) @ self.weight_neighbour
        return torch.tanh(out)

    @staticmethod
    def propagate(x: Tensor, edge_index: Tensor) -> Tensor:
        """Mean of the states of the organs upstream of each organ."""
        source, target = edge_index
        count = x.new_zeros(x.shape[1]).index_add(0, target, x.new_ones(len(target)))
        total = torch.zeros_like(x).index_add(1, target, x[:, source])
        return total / count.clamp(min=1.0)[:, None]


class Law(nn.Module):
    """See the module.

    Parameters
    ----------
    config : AllometryConfig
    """

    def __init__(self, config: AllometryConfig) -> None:
        super().__init__()
        self.config = config
        constant = {"persistent": False}
        self.register_buffer("knots", as_tensor(bodies.KNOTS), **constant)
        nodes = bodies.node_features()
        if config.shuffled:
            nodes = nodes[np.random.default_rng(config.seed).permutation(N_SPECIES)]
        self.register_buffer("nodes", as_tensor(nodes), **constant)
        self.register_buffer("edges", torch.tensor(bodies.edge_index()), **constant)
        self._register_law(config)
        self._register_deviations()
        self.double()

    def _register_law(self, config: AllometryConfig) -> None:
        """Weights of the prior, of elimination and of the drift."""
        self.register_buffer("centre", torch.zeros(3))  # of human values, without structure
        self.prior_bias = nn.Parameter(torch.zeros(3))
        self.prior_slope = nn.Parameter(torch.ones(3))
        self.prior_weight = nn.Parameter(torch.zeros(3, N_DESCRIPTORS))
        self.unknown_bias = nn.Parameter(torch.zeros(3))
        self.share_bias = nn.Parameter(torch.tensor(_SHARE))
        self.share_weight = nn.Parameter(torch.zeros(N_DESCRIPTORS))
        self.log_extrahepatic = nn.Parameter(torch.tensor(_EXTRAHEPATIC))
        self.drift = nn.Parameter(torch.tensor(_DRIFT))
        self.drift_weight = nn.Parameter(torch.zeros(3, N_DESCRIPTORS + 3))
        if config.table:
            self.table = nn.Parameter(torch.zeros(N_SPECIES, 3))
            self.table_weight = nn.Parameter(torch.zeros(N_SPECIES, 3, N_DESCRIPTORS))
        if config.graph:
            width = config.hidden
            self.conv1 = OrganConv(self.nodes.shape[-1] + 2 + N_DESCRIPTORS, width)
            self.conv2 = OrganConv(width, width)
            self.pool = nn.Parameter(torch.zeros(width, 3))
            self.liver = nn.Parameter(torch.zeros(width, 3))
            self.tissue = nn.Parameter(torch.zeros(width))
            self.tissue_start = nn.Parameter(torch.zeros(width))

    def _register_deviations(self) -> None:
        """Covariance of what the law leaves, and errors of what is measured."""
        # by numpy: a logarithm on torch's meta device imports its compiler, two seconds
        log = lambda sd: torch.tensor(np.log(sd), dtype=torch.get_default_dtype())
        log_diagonal = lambda sd: torch.diag(log(sd))
        self.common = nn.Parameter(log_diagonal(_COMMON))
        self.common_unknown = nn.Parameter(log_diagonal(_UNKNOWN))
        self.log_along = nn.Parameter(log(_ALONG))
        self.log_length = nn.Parameter(torch.zeros(()))
        self.log_species = nn.Parameter(log([_SPECIES] * N_SPECIES))
        self.log_noise = nn.Parameter(log(_NOISE))
        self.in_vitro_bias = nn.Parameter(torch.zeros(()))
        self.log_distance = nn.Parameter(torch.tensor(-1.0))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.drift.device

    @property
    def human(self) -> Places:
        """The human of usual weight."""
        return Places.of(bodies.Bodies.of_species([HUMAN]), self.device)

    # ------------------------------------------------------------------ mean
    def elimination(self, compounds: Compounds) -> Elimination:
        """How intrinsic clearance is divided."""
        share = torch.sigmoid(self.share_bias + compounds.descriptors @ self.share_weight)
        per_filtration = float(self.human.liver_mass[0] / self.human.gfr[0])
        return Elimination(share, torch.exp(self.log_extrahepatic), per_filtration)

    def start(self, compounds: Compounds, elimination: Elimination) -> Tensor:
        """States in the human (n, 3) before anything is measured."""
        structure = compounds.structure - self.centre
        told = self.prior_bias + self.prior_slope * structure
        told = told + compounds.descriptors @ self.prior_weight.T
        human = torch.where(compounds.known[:, None] > 0, told, self.unknown_bias)
        return states_with(
            human + self.centre, compounds.composition, self.human, elimination, None
        )

    def along(
        self, start: Tensor, compounds: Compounds, log_mass: Sequence[float]
    ) -> tuple[Tensor, Tensor]:
        """States (n, P, 3) and corrections of tissues (n, P, tissues) at log masses of species."""
        kappa = start.new_zeros(len(start), N_TISSUES)
        if self.config.graph:
            organs = self._organs(start, kappa, self.nodes[HUMAN], compounds)
            kappa = organs[:, N_POOLS:] @ self.tissue_start
        found = {}
        x0 = float(bodies.KNOTS[HUMAN])
        for side in (-1.0, 1.0):
            ends = sorted(
                {x for x in map(float, log_mass) if side * (x - x0) >= 0}, key=abs_from(x0)
            )
            found |= self._integrate((start, kappa), compounds, x0, ends)
        z, kappa = (
            torch.stack(part, 1) for part in zip(*(found[float(x)] for x in log_mass), strict=True)
        )
        if self.config.table:
            z = z + self._offsets(compounds, log_mass)
        return z, kappa

    def _integrate(
        self, at: tuple[Tensor, Tensor], compounds: Compounds, x: float, ends: Sequence[float]
    ) -> dict[float, tuple[Tensor, Tensor]]:
        """States at `ends`, in order, by midpoint steps from species to species; without the
        ODE by one step each, at the slope of the human.
        """
        found, now = {}, at
        slope = None if self.config.ode or not ends else self._rates(at, compounds, x)
        first = x
        for end in ends:
            if slope is not None:
                found[end] = tuple(v + (end - first) * s for v, s in zip(at, slope, strict=True))
                continue
            between = [float(k) for k in bodies.KNOTS if min(x, end) < k < max(x, end)]
            for stop in [*sorted(between, key=abs_from(x)), end]:
                dx = stop - x
                if dx:
                    half = self._rates(now, compounds, x)
                    middle = tuple(v + 0.5 * dx * s for v, s in zip(now, half, strict=True))
                    rate = self._rates(middle, compounds, x + 0.5 * dx)
                    now = tuple(v + dx * s for v, s in zip(now, rate, strict=True))
                x = stop
            found[end] = now
        return found

    def _rates(
        self, at: tuple[Tensor, Tensor], compounds: Compounds, x: float
    ) -> tuple[Tensor, Tensor]:
        """Derivatives of states and corrections by log mass."""
        z, kappa = at
        seen = torch.tanh((z - as_tensor(_CENTRE, self.device)) / _SPREAD)
        rate = self.drift + torch.cat([compounds.descriptors, seen], -1) @ self.drift_weight.T
        if not self.config.graph:
            return rate, torch.zeros_like(kappa)
        share = as_tensor(bodies.basis(x)[0][0], self.device)
        nodes = torch.einsum("s,sof->of", share, self.nodes)
        organs = self._organs(z, kappa, nodes, compounds)
        rate = rate + organs.mean(1) @ self.pool + organs[:, LIVER] @ self.liver
        tissue = organs[:, N_POOLS:] @ self.tissue
        return rate, tissue - tissue.mean(1, keepdim=True)

    def _organs(self, z: Tensor, kappa: Tensor, nodes: Tensor, compounds: Compounds) -> Tensor:
        """States of the organs after two rounds of messages, (n, organs, hidden)."""
        n = len(z)
        fu, c = torch.sigmoid(z[:, 2:]), compounds.composition
        bound = (1 - fu * c[:, 2 * N_TISSUES, None]).clamp(min=0.0)
        kp = fu * c[:, :N_TISSUES] + bound * c[:, N_TISSUES : 2 * N_TISSUES]
        held = torch.log(kp.clamp(min=1e-4)) + z[:, 1:2] + kappa
        held = 0.5 * torch.cat([held.new_zeros(n, N_POOLS), held], 1)
        enzymes = torch.zeros_like(held)
        enzymes[:, LIVER] = (z[:, 0] + z[:, 2] - sum(_CENTRE[::2])) / _SPREAD
        parts = (
            nodes.expand(n, *nodes.shape),
            held[..., None],
            enzymes[..., None],
            compounds.descriptors[:, None].expand(n, len(ORGANS), -1),
        )
        edges = self.edges if self.config.messages else None
        return self.conv2(self.conv1(torch.cat(parts, -1), edges), edges)

    def _offsets(self, compounds: Compounds, log_mass: Sequence[float]) -> Tensor:
        """A table in place of a law: (n, P, 3), none in the human."""
        table = self.table + torch.einsum("nb,skb->nsk", compounds.descriptors, self.table_weight)
        table = table - table[:, HUMAN : HUMAN + 1]
        share = as_tensor(bodies.basis(np.asarray(log_mass, dtype=float))[0], self.device)
        return torch.einsum("ps,nsk->npk", share, table)

    # ------------------------------------------------------------------ deviations
    def covariance(self, compounds: Compounds, places: bodies.Bodies) -> Tensor:
        """Covariance of the deviations at P bodies, (n, 3P, 3P)."""
        x = as_tensor(places.log_mass, self.device)
        number = torch.tensor(places.species, device=self.device)
        n_points = len(x)
        common = torch.where(
            compounds.known[:, None, None] > 0,
            _positive(self.common) * self._spread(compounds.distance)[:, None, None],
            _positive(self.common_unknown),
        )
        kernel = torch.exp(-(x[:, None] - x).abs() * torch.exp(self.log_length) / 2)
        along = torch.diag(torch.exp(2 * self.log_along))
        usual = torch.cat([self.log_species, self.log_species.mean(0, keepdim=True)])
        own = torch.exp(2 * usual[number])  # (P, 3); -1 is the mean of all
        same = torch.eye(n_points, dtype=torch.bool, device=self.device) | (
            (number[:, None] == number) & (number[:, None] >= 0)
        )
        block = torch.einsum("pq,pi,ij->piqj", same.to(own), own, torch.eye(3).to(own))
        shared = torch.einsum("pq,ij->piqj", kernel, along) + block
        ones = own.new_ones(n_points, n_points)
        total = shared + torch.einsum("pq,nij->npiqj", ones, common)
        return total.reshape(len(compounds), 3 * n_points, 3 * n_points)

    def _spread(self, distance: Tensor) -> Tensor:
        """Variance of the prediction from structure over that at a distance of 0.5."""
        return torch.exp(2 * torch.exp(self.log_distance) * (distance - 0.5))

    def noise(self) -> Tensor:
        """(4,) variance of what is measured."""
        return torch.exp(2 * self.log_noise)

    def measured(
        self,
        z: Tensor,
        compounds: Compounds,
        places: Places,
        elimination: Elimination,
        kappa: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """What would be measured, (n, P, 4), and its Jacobian (n, P, 4, 3): ln CL, ln V, logit
        fu, and ln of the intrinsic clearance per gram of liver in vitro.
        """
        y, jacobian = readout(z, compounds.composition, places, elimination, kappa)
        in_vitro = (z[..., 0] + self.in_vitro_bias)[..., None]
        row = torch.zeros_like(jacobian[..., :1, :])
        row[..., 0] = 1.0
        return torch.cat([y, in_vitro], -1), torch.cat([jacobian, row], -2)

    def penalty(self) -> Tensor:
        """Minus log prior of the weights up to a constant."""
        species = self.log_species - self.log_species.mean(0)
        off = lambda m: m - torch.diag(torch.diagonal(m))
        tensor = lambda values: as_tensor(values, self.device)
        normal = [
            (self.drift - tensor(_DRIFT), 0.1),
            (self.drift_weight, 0.05),
            (self.share_weight, 0.5),
            (self.share_bias - _SHARE, 1.0),
            (self.log_extrahepatic - _EXTRAHEPATIC, 1.0),
            (self.prior_slope - 1.0, 0.3),
            (self.prior_weight, 0.1),
            (self.prior_bias, 0.3),
            (self.unknown_bias, 1.0),
            (species, 0.5),
            (off(self.common), 0.3),
            (off(self.common_unknown), 0.3),
            (self.log_noise - tensor(_NOISE).log(), 0.3),
            (self.in_vitro_bias, 1.0),
            (self.log_distance + 1.0, 1.0),
        ]
        if self.config.table:
            normal += [(self.table, 0.3), (self.table_weight, 0.15)]
        if self.config.graph:
            normal += [(w, 1.0) for conv in (self.conv1, self.conv2) for w in conv.parameters()]
            normal += [(self.pool, 0.05), (self.liver, 0.05), (self.tissue, 0.05)]
            normal += [(self.tissue_start, 0.2)]
        return 0.5 * sum(((weight / sd) ** 2).sum() for weight, sd in normal)


def abs_from(x: float) -> Callable[[float], float]:
    """Sort key: distance from x."""
    return lambda other: abs(other - x)


def _positive(factor: Tensor) -> Tensor:
    """Covariance of a triangular factor whose diagonal is kept as logarithms."""
    lower = torch.tril(factor, -1) + torch.diag(torch.diagonal(factor).exp())
    return lower @ lower.T
