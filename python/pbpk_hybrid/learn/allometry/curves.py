r"""Training through the engine: concentration-time curves correct the law, by the
sensitivities of the simulated ones.

The law says clearance and volume of a species; the whole-body model turns them into a
curve; the distance to the measured curve is differentiated through both: the engine's
forward sensitivities give :math:`\partial C(t)/\partial (CL, V)` exactly (up to the
solver's tolerance), PyTorch the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..._core.errors import InputError
from ...compounds import Compound
from ...dosing import Regimen
from ...models.small_molecules.distribution import equilibrium_volume
from ...models.small_molecules.partition import partition_coefficients
from ...models.small_molecules.whole_body import whole_body_system
from ...models.system.graph import whole_body_graph
from ...models.system.system import System
from ...physiology import SPECIES, reference_individual
from ...simulation.single import simulate_system
from .model import NeuralAllometry, structure_features
from .posterior import CompoundInputs, Target, member_posterior
from .sources import parse_sources
from .training import NU

#: names of the two parameters of :func:`scaled_system` [L/h], [L], of the reference individual
PARAMETERS = ("clearance", "volume")
#: largest hepatic extraction; what the liver's blood flow cannot clear leaves with the kidney's
LARGEST_EXTRACTION = 0.95
#: smallest factor on the predicted partition coefficients: a volume near the blood's own
#: leaves nothing for tissues
SMALLEST_FACTOR = 0.02
#: what is trained: the law. The covariance of the sources, and with it the intervals, stays
TRAINED = (
    "conv1",
    "conv2",
    "readout",
    "field_weight",
    "gate_bias_out",
    "gate_weight_in",
    "gate_bias_in",
    "gate_weight_out",
    "exponent",
    "binding_bias",
    "binding_descriptors",
    "binding_volume",
    "prior_bias",
    "prior_slope",
    "prior_phi",
    "prior_bias_unknown",
)


@dataclass(frozen=True)
class Curve:
    """One intravenous concentration-time curve.

    Parameters
    ----------
    compound
        what the engine needs beside clearance and volume: log_p, pKa,
        fraction_unbound_plasma; with a SMILES in ``identifiers`` also the structure
    species
        one of the engine's species
    dose
        [mg/kg]
    times, concentrations
        (n,) [h], [mg/L], concentrations > 0
    duration
        of the infusion [h]; 0 for a bolus
    medium
        "plasma" or "blood"
    sources
        what is known of the compound in other species, as in
        :meth:`NeuralAllometry.predict`
    name
        for messages
    """

    compound: Compound
    species: str
    dose: float
    times: np.ndarray
    concentrations: np.ndarray
    duration: float = 0.0
    medium: str = "plasma"
    sources: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        where = self.name or self.compound.name
        if self.species not in SPECIES:
            raise InputError("species", self.species, f"one of {', '.join(SPECIES)}", subject=where)
        if self.species in self.sources and {"clearance", "volume"} & set(
            self.sources[self.species]
        ):
            raise InputError(
                "sources", self.species, "other species than the curve's own", subject=where
            )
        times, values = (np.asarray(a, dtype=float) for a in (self.times, self.concentrations))
        if times.ndim != 1 or times.shape != values.shape or not len(times):
            raise InputError(
                "concentrations", values.shape, f"one per time, {times.shape}", subject=where
            )
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all() and times[0] > 0):
            raise InputError("times", times.tolist(), "ascending times > 0 [h]", subject=where)
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise InputError(
                "concentrations", float(values.min()), "numbers > 0 [mg/L]", subject=where
            )
        if not (np.isfinite(self.dose) and self.dose > 0):
            raise InputError("dose", self.dose, "a number > 0 [mg/kg]", subject=where)
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "concentrations", values)

    @cached_property
    def system(self) -> System:
        """The whole-body System of the species, with clearance and volume as parameters."""
        return scaled_system(self.compound, self.species)

    @cached_property
    def weight(self) -> float:
        """Body weight of the species' reference individual [kg]."""
        return float(reference_individual(self.species)["body_weight"][0])

    @property
    def regimen(self) -> Regimen:
        """The dose, as an infusion where it has a duration."""
        amount = self.dose * self.weight
        return (
            Regimen.infusion(amount, self.duration) if self.duration > 0 else Regimen.bolus(amount)
        )


def scaled_system(compound: Compound, species: str) -> System:
    """The whole-body System of the species' reference individual with two named parameters,
    ``clearance`` [L/h of plasma] and ``volume`` [L, steady state]; everything else as the
    compound has it. Sensitivities by both can be asked for.
    """
    person = reference_individual(species)
    drug = compound.for_species(species)
    fe = drug.fraction_excreted_renal or 0.0
    if drug.clearance_hepatic is not None:
        filtered = drug.gfr_fraction * drug.fraction_unbound_plasma * float(person["gfr"][0])  # L/h
        liver = drug.clearance_hepatic * 0.06 * float(person["body_weight"][0])
        fe = filtered / (filtered + liver) if filtered + liver else 0.0
    drug = drug.replace(
        species=species,
        clearance_basis="in_vivo",
        clearance_plasma=1e-3,
        clearance_hepatic=None,
        fraction_excreted_renal=fe,
        saturable=(),
        distribution_basis="predicted",
        biliary_clearance=None,
        species_values={},
    )
    inner = whole_body_system(drug, person)
    graph = whole_body_graph(tuple(str(organ) for organ in person["organ"].values))
    flow = graph.inflow(
        "liver", {organ: inner.parameters[f"flow.{organ}"] for organ in graph.perfused}
    )
    tissues = [organ for organ in graph.organs if organ not in graph.blood_pools]
    kp = {
        organ: float(v)
        for organ, v in zip(
            tissues, partition_coefficients(drug, species).sel(organ=tissues).values, strict=True
        )
    }
    weight = float(person["body_weight"][0])
    blood, tissue = (part * weight for part in equilibrium_volume(drug, kp))
    assemble = _Scaled(inner, kp, fe, np.asarray(flow, dtype=float), blood, tissue)
    start = {"clearance": np.array([0.1 * float(flow[0])]), "volume": np.array([blood + tissue])}
    # what the liver cannot clear is put on the kidney, whatever flows through it: its
    # amount is no amount then
    inner = replace(inner, assemble=assemble, parameters=start, signed=("kidney",))
    return with_parameters(inner, **start)


def with_parameters(system: System, clearance: ArrayLike, volume: ArrayLike) -> System:
    """The same System with other values of both parameters, each (1,) or (n_subjects,)."""
    values = {
        "clearance": np.atleast_1d(clearance).astype(float),
        "volume": np.atleast_1d(volume).astype(float),
    }
    return replace(system, parameters=values, k_value=system.assemble(values).k_value)


class _Scaled:
    """Clearance and volume -> coefficients: plain arithmetic, so that complex numbers pass
    through.
    """

    def __init__(
        self,
        inner: System,
        kp: Mapping[str, float],
        fe: float,
        flow: np.ndarray,
        blood: float,
        tissue: float,
    ) -> None:
        self.inner, self.kp, self.fe, self.flow, self.blood, self.tissue = (
            inner,
            kp,
            fe,
            flow,
            blood,
            tissue,
        )

    def __call__(self, p: Mapping[str, np.ndarray]):
        values = dict(self.inner.parameters)
        clearance, volume = p["clearance"], p["volume"]
        factor = (volume - self.blood) / self.tissue
        factor = np.where(np.real(factor) < SMALLEST_FACTOR, SMALLEST_FACTOR, factor)
        values |= {f"kp.{organ}": value * factor for organ, value in self.kp.items()}
        ratio = values["blood_to_plasma_ratio"]
        hepatic, most = clearance * (1.0 - self.fe) / ratio, LARGEST_EXTRACTION * self.flow
        rest = np.where(np.real(hepatic) > most, hepatic - most, 0.0)
        hepatic = hepatic - rest
        unbound = values["fraction_unbound_plasma"] / ratio
        values["clint.liver"] = hepatic / (unbound * (1.0 - hepatic / self.flow))
        values["clearance_renal"] = clearance * self.fe + rest * ratio
        return self.inner.assemble(values)


class _Simulated(torch.autograd.Function):
    """ln C at the curve's times from ln clearance and ln volume, both scalars; backward by
    the engine's sensitivities.
    """

    @staticmethod
    def forward(ctx, log_clearance: Tensor, log_volume: Tensor, curve: Curve) -> Tensor:
        values = np.exp([float(log_clearance), float(log_volume)])
        result = simulate_system(
            with_parameters(curve.system, *values),
            curve.regimen,
            curve.times,
            compartments=(curve.medium,),
            sensitivities=PARAMETERS,
            body_weight=np.array([curve.weight]),
            raise_on_failure=True,
        )
        one = {"subject": 0, "compartment": 0}
        concentration = np.maximum(result["concentration"].isel(one).values, 1e-12)
        slopes = (
            result["concentration_sensitivity"].isel(one).sel(parameter=list(PARAMETERS)).values
        )
        ctx.save_for_backward(torch.tensor(slopes * values / concentration[:, None]))
        return torch.tensor(np.log(concentration))

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (jacobian,) = ctx.saved_tensors
        of_clearance, of_volume = gradient @ jacobian
        return of_clearance, of_volume, None


def simulated(model: NeuralAllometry, curve: Curve) -> Tensor:
    """(n,) ln C [mg/L] at the curve's times as law and engine predict it; gradients reach
    the weights of the law.
    """
    sources = parse_sources(curve.sources)
    compound = CompoundInputs.of(model._encoder, structure_features(curve.compound))
    target = Target(curve.species, curve.weight)
    means = [member_posterior(m, compound, sources, target)[0] for m in model._modules]
    clearance, volume = torch.cat(means)[:, :2].mean(0).cpu()  # the engine is on the CPU
    return _Simulated.apply(clearance, volume, curve)


def fine_tune(
    model: NeuralAllometry,
    curves: Sequence[Curve],
    *,
    steps: int = 30,
    learning_rate: float = 0.01,
    error_sd: float = 0.4,
    anchor_sd: float = 0.1,
) -> tuple[NeuralAllometry, list[float]]:
    r"""A copy of `model` whose law fits measured curves better, and the loss at each step.

    .. math:: \sum_i \frac{1}{n_i} \sum_j
              -\ln t_4\!\left(\frac{\ln C_{ij} - \ln \hat C_{ij}}{\sigma}\right)
              + \tfrac12 \sum_k \left(\frac{\theta_k - \theta_k^0}{\tau}\right)^2 / E

    Every curve counts once, Student's t forgives a few. The weights stay near those of
    `model`, which saw many more compounds. Intervals are those of `model`: its covariance
    and calibration are not trained.

    Parameters
    ----------
    curves
        of any compounds and species
    steps, learning_rate
        of Adam
    error_sd
        sigma, of ln C
    anchor_sd
        tau
    """
    if not curves:
        raise InputError("curves", [], "at least one curve")
    tuned = copy.deepcopy(model)
    weights = {
        (i, n): w
        for i, m in enumerate(tuned._modules)
        for n, w in m.named_parameters()
        if n.split(".")[0] in TRAINED
    }
    members = sum(m.members for m in tuned._modules)
    start = {n: w.detach().clone() for n, w in weights.items()}
    optimizer = torch.optim.Adam(weights.values(), lr=learning_rate)
    observed = [torch.tensor(np.log(c.concentrations)) for c in curves]
    losses: list[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        total = 0.0
        for curve, seen in zip(curves, observed, strict=True):  # one graph at a time
            error = (simulated(tuned, curve) - seen) / error_sd
            part = 0.5 * (NU + 1) * torch.log1p(error**2 / NU).mean()
            part.backward()
            total += float(part.detach())
        anchor = sum((((w - start[n]) / anchor_sd) ** 2).sum() for n, w in weights.items()) * (
            0.5 / members
        )
        anchor.backward()
        losses.append((total + float(anchor.detach())) / len(curves))
        optimizer.step()
    return tuned, losses


def fold_error(model: NeuralAllometry, curve: Curve) -> float:
    """Mean absolute ln(predicted/observed) over the points of a curve."""
    with torch.no_grad():
        return float(np.abs(simulated(model, curve).numpy() - np.log(curve.concentrations)).mean())
