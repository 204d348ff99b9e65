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
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._core.errors import InputError
from ...compounds import Compound
from ...dosing import Regimen
from ...models.system.system import System
from ...physiology import SPECIES, reference_individual
from ...simulation.single import simulate_system
from . import bodies
from .conditioning import NU
from .model import NeuralAllometry, structure_features
from .readout import as_tensor
from .sources import parse_sources
from .species_system import PARAMETERS, scaled_system, with_parameters
from .training import posterior_at

#: what is not trained: the covariance of the deviations, and with it the intervals
FIXED = (
    "common",
    "common_unknown",
    "log_along",
    "log_length",
    "log_species",
    "log_noise",
    "log_distance",
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
    used = [s for s in parse_sources(curve.sources) if s.known]
    compound = model._encoder.compounds(structure_features(curve.compound))
    who = [*((s.species, s.weight) for s in used), (curve.species, curve.weight)]
    values = np.full((1, len(who), 4), np.nan)
    values[0, : len(used)] = np.array([s.states for s in used]).reshape(-1, 4)
    keep = torch.tensor(np.isfinite(values))
    at = bodies.Bodies.of(who)
    found = posterior_at(model._law, compound, at, as_tensor(values), keep)
    clearance, volume = found.y[0, -1, :2].cpu()  # the engine is on the CPU
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
              + \tfrac12 \sum_k \left(\frac{\theta_k - \theta_k^0}{\tau}\right)^2

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
    weights = {n: w for n, w in tuned._law.named_parameters() if n not in FIXED}
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
        anchor = 0.5 * sum((((w - start[n]) / anchor_sd) ** 2).sum() for n, w in weights.items())
        anchor.backward()
        losses.append((total + float(anchor.detach())) / len(curves))
        optimizer.step()
    return tuned, losses


def fold_error(model: NeuralAllometry, curve: Curve) -> float:
    """Mean absolute ln(predicted/observed) over the points of a curve."""
    with torch.no_grad():
        return float(np.abs(simulated(model, curve).numpy() - np.log(curve.concentrations)).mean())
