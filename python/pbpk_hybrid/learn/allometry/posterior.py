"""One compound: sources carried to the target species and weighed there, for all members of
a module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..devices import device_of
from . import bodies
from .conditioning import condition
from .encoder import DESCRIPTOR_COLUMNS, HUMAN, Encoder, logit
from .features import Features
from .integration import adaptive
from .module import AllometryModule
from .sources import Source
from .trajectories import FieldInputs, Trajectories, TransportInputs, as_tensor

#: added to the diagonal of the sources' covariance
_JITTER = 1e-9


@dataclass(frozen=True)
class CompoundInputs:
    """What the network sees of one compound.

    Parameters
    ----------
    phi : Tensor
        (1, P)
    structure : array
        (1, 3) human values predicted from structure
    descriptors : Tensor
        (1, n_descriptors), part of phi
    known : Tensor
        (1,) bool, whether the structure is known
    """

    phi: Tensor
    structure: np.ndarray
    descriptors: Tensor
    known: Tensor

    def to(self, device: torch.device) -> CompoundInputs:
        """The same inputs on another device."""
        parts = {name: getattr(self, name).to(device) for name in ("phi", "descriptors", "known")}
        return replace(self, **parts)

    @classmethod
    def of(cls, encoder: Encoder, features: Features | None) -> CompoundInputs:
        """Inputs of a compound, None where the structure is unknown."""
        structure = encoder.predict_structure(features)
        phi = as_tensor(encoder.phi(features, structure))
        known = torch.tensor([features is not None and encoder.prior is not None])
        return cls(phi, structure, phi[:, DESCRIPTOR_COLUMNS], known)


@dataclass(frozen=True)
class Target:
    """The body to predict for.

    Parameters
    ----------
    species : str
        any name
    weight : float
        [kg]
    """

    species: str
    weight: float


@dataclass
class Posterior:
    """Mixture over all members at the target.

    Parameters
    ----------
    mean, sd : array
        (3,) of ln CL [L/h], ln V [L], logit fu
    gain : array
        (n, 3) weights of the sources
    backend : str
        that integrated
    """

    mean: np.ndarray
    sd: np.ndarray
    gain: np.ndarray
    backend: str


@dataclass(frozen=True)
class SourceStates:
    """States of n sources, and of the human prior after them.

    Parameters
    ----------
    observed : array
        (n, 3) ln clearance, ln volume, logit fu; NaN where not measured
    start : array
        (n, 2) ln clearance and ln volume with the gaps filled from structure
    log_mass : array
        (n + 1,) of the sources and of the human
    fu : array
        (n + 1,) logit fu at the starts, of the source or the mean of those that are known
    fu_target : float
        logit fu at the target
    weights : array
        (n + 1, species) of the path, at the sources and at the target
    species : array
        (n + 1, species) one-hot, zero rows for names that are not on the path
    """

    observed: np.ndarray
    start: np.ndarray
    log_mass: np.ndarray
    fu: np.ndarray
    fu_target: float
    weights: np.ndarray
    species: np.ndarray

    @classmethod
    def of(cls, sources: Sequence[Source], target: Target, structure: np.ndarray) -> SourceStates:
        """States of the sources with a value; `structure` (1, 3): human values predicted
        from structure.
        """
        n, x_human = len(sources), np.log(bodies.WEIGHT["human"])
        x = np.array([np.log(s.weight) for s in sources])
        values = [
            (np.log(s.clearance), np.log(s.volume), logit(s.fraction_unbound)) for s in sources
        ]
        observed = np.array(values).reshape(n, 3)  # also where there is no source: (0, 3)
        measured = np.isfinite(observed)
        weights = bodies.basis(np.r_[x, np.log(target.weight)])[0]
        liver_flow = bodies.processes()[0]
        flow_ratio = weights @ liver_flow - liver_flow[HUMAN]  # ln of the flow over the human's
        # (n, 2), what the law makes of the human prediction
        scaled = np.stack([structure[0, 0] + flow_ratio[:n], structure[0, 1] + x - x_human], -1)
        fu = {s.species: observed[i, 2] for i, s in enumerate(sources) if measured[i, 2]}
        mean_fu = float(np.mean(list(fu.values()))) if fu else float(structure[0, 2])
        one_hot = np.zeros((n + 1, len(bodies.KNOT_SPECIES)))
        for i, species in enumerate([*(s.species for s in sources), target.species]):
            if species in bodies.KNOT_SPECIES:
                one_hot[i, bodies.KNOT_SPECIES.index(species)] = 1.0
        return cls(
            observed=observed,
            start=np.where(measured[:, :2], observed[:, :2], scaled).reshape(n, 2),
            log_mass=np.r_[x, x_human],
            fu=np.array(
                [fu.get(name, mean_fu) for name in (*(s.species for s in sources), "human")]
            ),
            fu_target=fu.get(target.species, mean_fu),
            weights=weights,
            species=one_hot,
        )


def member_posterior(
    module: AllometryModule,
    compound: CompoundInputs,
    sources: Sequence[Source],
    target: Target,
    integrator: str = "rk4",
) -> tuple[Tensor, Tensor, Tensor, str]:
    """Posterior of every member, through which gradients reach the weights.

    Parameters
    ----------
    sources : sequence of Source
        those without a value are left out
    integrator : str
        of :data:`.model.INTEGRATORS`

    Returns
    -------
    mean, sd : Tensor
        (E, 3) ln CL [L/h], ln V [L], logit fu
    gain : Tensor
        (E, 3, n) weights of the sources
    backend : str
        that integrated
    """
    states = SourceStates.of([s for s in sources if s.known], target, compound.structure)
    device = device_of(module)
    compound = compound.to(device)
    embeddings = module.embeddings()
    arrived, backend = _arrived(module, compound, states, target, embeddings, integrator)
    n = len(states.observed)
    covariance = module.covariance(
        embeddings,
        as_tensor(states.weights, device),
        as_tensor(states.species, device),
        bool(compound.known[0]),
    ).double()  # (E, 3, n + 1, n + 1)
    measured = np.isfinite(states.observed)
    gain, variance = condition(
        covariance[..., :n, :n],
        covariance[..., :n, n],
        covariance[..., n, n],
        torch.tensor(measured.T.astype(float), device=device)[None],  # (1, 3, n)
        _JITTER,
    )
    prior = arrived[:, n]  # (E, 3)
    innovation = torch.where(
        torch.tensor(measured, device=device), arrived[:, :n] - arrived[:, n:], 0.0
    ).double()  # (E, n, 3)
    mean = prior.double() + (gain * innovation.transpose(1, 2)).sum(-1)
    log_factor = module.log_sd_factor(compound.descriptors, compound.known)[..., 0].double()
    return mean, variance.clamp(min=1e-10).sqrt() * torch.exp(log_factor), gain, backend


def _arrived(
    module: AllometryModule,
    compound: CompoundInputs,
    states: SourceStates,
    target: Target,
    embeddings: Tensor,
    integrator: str,
) -> tuple[Tensor, str]:
    """Sources and, last, the human prior carried to the target, (E, n + 1, 3), and the
    backend that did it.
    """
    n, members, device = len(states.observed), module.members, embeddings.device
    structure = as_tensor(compound.structure, device)
    prior = module.prior(compound.phi, structure, compound.known)  # (E, 1, 3)
    start = as_tensor(states.start, device).expand(members, n, 2)
    y0 = torch.cat([start, prior[..., :2]], dim=1)
    end = np.full(n + 1, np.log(target.weight))
    trajectories = Trajectories(states.log_mass, end).to(device)
    inputs = TransportInputs(
        as_tensor(states.fu, device),
        as_tensor(np.full(n + 1, states.fu_target), device),
        compound.descriptors.expand(n + 1, -1),
        module.compound_weights(compound.phi).expand(-1, -1, n + 1, -1),
        embeddings,
    )
    backend = integrator
    if not module.ode or integrator == "rk4":
        y1 = module.carry(y0, trajectories, inputs)
    else:
        y1, backend = adaptive(module, y0, trajectories, inputs, integrator)
    fu = as_tensor(states.observed[:, 2], device).expand(members, n)
    fu = torch.cat([fu, prior[..., 2]], dim=1) + module.binding_shift(trajectories, inputs)
    return torch.cat([y1, fu[..., None]], dim=-1), backend


def exponents_along(
    module: AllometryModule,
    compound: CompoundInputs,
    sources: Sequence[Source],
    log_mass: np.ndarray,
) -> tuple[Tensor, Tensor]:
    """States and local exponents of the curve through the human prediction, (E, n, 2) each.

    Parameters
    ----------
    log_mass : array
        (n,) ln body mass [kg]
    """
    weight, n = bodies.WEIGHT["human"], len(log_mass)
    human, *_ = member_posterior(module, compound, sources, Target("human", weight))
    human = human.float()  # (E, 3)
    device = human.device
    compound = compound.to(device)
    trajectories = Trajectories(np.full(n, np.log(weight)), log_mass).to(device)
    embeddings = module.embeddings()
    weights = module.compound_weights(compound.phi).expand(-1, -1, n, -1)
    fu = human[:, 2:3]
    inputs = TransportInputs(
        fu.mean(0).expand(n), fu.mean(0), compound.descriptors.expand(n, -1), weights, embeddings
    )
    fu_end = (fu + module.binding_shift(trajectories, inputs)).mean(0)  # (n,)
    inputs = replace(inputs, fu_end=fu_end)
    y0 = human[:, None, :2].expand(-1, n, -1).contiguous()
    y1 = module.transport(y0, trajectories, inputs)
    # (n, species)
    basis, basis_slope = (as_tensor(a, device) for a in bodies.basis(log_mass))
    body = torch.einsum("ns,esh->enh", basis, embeddings)  # (E, n, hidden)
    at = FieldInputs(
        log_mass=as_tensor(log_mass, device),
        fu_logit=fu_end,
        fu_slope=(weights[:, 2] * body).sum(-1),
        descriptors=inputs.descriptors,
        compound_weights=weights,
        embedding=body,
        log_processes=basis @ module.processes.T,
        process_slopes=basis_slope @ module.processes.T,
    )
    return y1, module.rates(y1, at)
