r"""Draws of clearance, volume and unbound fraction become people of the whole-body model.

Every draw is turned into intrinsic clearance, renal clearance and one factor on all Kp in the
species' reference individual,

.. math::
    CL_{int} = \frac{CL_h}{f_{u,b}\,(1 - CL_h/Q_h)}, \qquad
    f = \frac{V - V_{blood} BP}{\sum_t V_t Kp_t}

and these go to a person of the population, with the person's own organs and flows. A hepatic
clearance above 95 % of the liver's blood flow goes to the kidney, and what is above 95 % of the
kidney's too is not reached; a volume within the blood leaves 2 % of the predicted Kp. So every
draw can be simulated, and :class:`HumanDraws` counts those that were held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError
from ..compounds import Compound
from ..dosing import Regimen
from ..models.small_molecules.disposition import (
    Disposition,
    DispositionChoices,
    resolve_disposition,
)
from ..models.small_molecules.whole_body import assemble_system
from ..models.system.graph import LIVER, whole_body_graph
from ..physiology import reference_individual
from ..simulation.parameters import VariabilityChoice, resolve_parameters
from ..simulation.run import RunDoses, RunSettings, run_system

#: shares of an organ's blood flow that it can clear at most
LARGEST_EXTRACTION = 0.95
#: smallest factor on the predicted partition coefficients
SMALLEST_FACTOR = 0.02
KP = "kp."


@dataclass(frozen=True, eq=False)
class HumanDraws:
    """Joint draws of what was predicted, as multiples of the parameters of the model.

    Parameters
    ----------
    clearance, volume, fraction_unbound : ndarray, (n,)
        [L/h], [L], [1], of the reference individual.
    factors : mapping of str to ndarray, (n,)
        Parameter of the whole-body model -> multiples of the compound's value.
    held : int
        Draws whose clearance or volume the body cannot have; see the module.
    """

    clearance: np.ndarray
    volume: np.ndarray
    fraction_unbound: np.ndarray
    factors: Mapping[str, np.ndarray]
    held: int


def human_draws(
    compound: Compound,
    clearance: np.ndarray,
    volume: np.ndarray,
    fraction_unbound: np.ndarray,
) -> HumanDraws:
    """Draws as multiples of the parameters that `compound` has in the reference human.

    Parameters
    ----------
    compound : Compound
        With the typical prediction put in.
    clearance, volume, fraction_unbound : ndarray, (n,)
        [L/h], [L] and [1], of the reference human.

    Returns
    -------
    HumanDraws

    Raises
    ------
    InputError
        A compound without hepatic or renal clearance to multiply.
    """
    person = reference_individual("human")
    typical = resolve_disposition(compound, person, DispositionChoices())
    value = lambda name: float(np.ravel(typical.entries[name].value)[0])
    ratio, clint, renal = (
        value(name) for name in ("blood_to_plasma_ratio", "clint.liver", "clearance_renal")
    )
    if clint <= 0 and renal <= 0:
        raise InputError("clearance", 0.0, "a clearance > 0", subject=compound.name)
    flow, kidney = _flows(typical)
    share = _renal_share(clint, renal, flow, value("fraction_unbound_plasma") / ratio, ratio)
    most = LARGEST_EXTRACTION * flow
    hepatic = clearance * (1.0 - share) / ratio  # of blood
    rest = np.maximum(hepatic - most, 0.0)
    filtered = clearance * share + rest * ratio
    most_renal = LARGEST_EXTRACTION * kidney * ratio
    held = (rest > 0) | (filtered > most_renal)
    hepatic, filtered = np.minimum(hepatic, most), np.minimum(filtered, most_renal)
    wanted = hepatic / (fraction_unbound / ratio * (1.0 - hepatic / flow))
    blood, tissue = _volumes(typical, ratio)
    factor = (volume - blood) / tissue
    held |= factor < SMALLEST_FACTOR
    factor = np.maximum(factor, SMALLEST_FACTOR)
    unbound = fraction_unbound / value("fraction_unbound_plasma")
    factors = {"fraction_unbound_plasma": unbound}
    if clint > 0:
        factors["clint.liver"] = wanted / clint
    if renal > 0:
        factors["clearance_renal"] = filtered / renal
    factors |= {name: factor for name in typical.entries if name.startswith(KP)}
    return HumanDraws(clearance, volume, fraction_unbound, factors, int(held.sum()))


def simulate_draws(
    compound: Compound,
    draws: HumanDraws,
    people: xr.Dataset,
    regimen: Regimen | str,
    times: np.ndarray | None,
    variability: VariabilityChoice,
) -> xr.Dataset:
    """Plasma concentrations of people who each have a draw of their own.

    Parameters
    ----------
    people : xarray.Dataset
        As many as draws, or one (the same body with every draw).
    regimen, times, variability
        As in :func:`pbpk_hybrid.simulate`.

    Returns
    -------
    xarray.Dataset
        Schema ``simulation``.
    """
    n = len(draws.clearance)
    if people.sizes["subject"] == 1:
        people = people.isel(subject=np.zeros(n, dtype=int)).assign_coords(subject=np.arange(n))
    resolved = resolve_parameters(compound, people, DispositionChoices(), variability)
    system = assemble_system(_within_flow(resolved.disposition.scaled(draws.factors)))
    doses = RunDoses(regimen, None, people["body_weight"].values, compound.absorption_lag_time)
    settings = RunSettings(compartments=("plasma",))
    attributes: dict[str, Any] = {**resolved.attributes, "parameter_draws": n}
    return run_system(system, doses, times, settings, attributes, people)


def _within_flow(disposition: Disposition) -> Disposition:
    """Renal clearance of every person at most 95 % of what flows through the person's kidneys."""
    value = lambda name: np.asarray(disposition.entries[name].value, dtype=float)
    most = LARGEST_EXTRACTION * value("flow.kidney") * value("blood_to_plasma_ratio")
    renal = value("clearance_renal")
    if not np.any(renal > most):
        return disposition
    factor = np.where(renal > most, most / np.where(renal > 0, renal, 1.0), 1.0)
    return disposition.scaled({"clearance_renal": factor})


def _flows(typical: Disposition) -> tuple[float, float]:
    """Blood flow of liver and kidney [L/h]."""
    organs = tuple(n.removeprefix("volume.") for n in typical.entries if n.startswith("volume."))
    graph = whole_body_graph(organs)
    flow = {
        organ: float(np.ravel(typical.entries[f"flow.{organ}"].value)[0])
        for organ in graph.perfused
    }
    return float(graph.inflow(LIVER, flow)), flow["kidney"]


def _renal_share(clint: float, renal: float, flow: float, unbound: float, ratio: float) -> float:
    """Renal part of the plasma clearance."""
    hepatic = ratio * flow * unbound * clint / (flow + unbound * clint)
    return renal / (renal + hepatic)


def _volumes(typical: Disposition, ratio: float) -> tuple[float, float]:
    """Parts of the volume at steady state [L]: of blood, and of tissues at their Kp."""
    value = lambda name: float(np.ravel(typical.entries[name].value)[0])
    tissues = [n.removeprefix(KP) for n in typical.entries if n.startswith(KP)]
    tissue = sum(value(f"volume.{organ}") * value(KP + organ) for organ in tissues)
    return ratio * sum(
        value(f"volume.{pool}") for pool in ("arterial_blood", "venous_blood")
    ), tissue
