"""The whole-body model of a species with clearance and volume as its two parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ...compounds import Compound
from ...models.small_molecules.distribution import equilibrium_volume
from ...models.small_molecules.partition import partition_coefficients
from ...models.small_molecules.whole_body import whole_body_system
from ...models.system.graph import whole_body_graph
from ...models.system.system import System
from ...physiology import reference_individual

#: names of the two parameters of :func:`scaled_system` [L/h], [L], of the reference individual
PARAMETERS = ("clearance", "volume")
#: largest hepatic extraction; what the liver's blood flow cannot clear leaves with the kidney's
LARGEST_EXTRACTION = 0.95
#: smallest factor on the predicted partition coefficients: a volume near the blood's own
#: leaves nothing for tissues
SMALLEST_FACTOR = 0.02


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
