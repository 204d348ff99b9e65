"""Synthetic compounds with a known law: exact powers of body mass, and compounds simulated
by the engine in every species.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...models.scaling import TABLE_WEIGHT
from .data import PARAMETERS, SPECIES, Table

if TYPE_CHECKING:
    from ...compounds import Compound


def power_law_table(
    n: int, exponents: tuple[float, float] = (0.75, 1.0), *, seed: int, spread: float = 1.0
) -> Table:
    """n compounds whose clearance and volume are exact powers of mass with these exponents;
    fu the same everywhere.
    """
    rng = np.random.default_rng(seed)
    weights = np.array([TABLE_WEIGHT[s] for s in SPECIES])
    values = np.empty((n, len(SPECIES), len(PARAMETERS)))
    for p, b in enumerate(exponents):
        values[..., p] = np.exp(spread * rng.standard_normal((n, 1)) + b * np.log(weights))
    values[..., 2] = 1 / (1 + np.exp(-rng.normal(-1.5, 1.5, (n, 1))))
    return table_of(values, [f"power law {i}" for i in range(n)])


def table_of(values: np.ndarray, names: list[str]) -> Table:
    """A table without structures; every compound is a scaffold of its own."""
    n = len(values)
    weights = np.array([TABLE_WEIGHT[s] for s in SPECIES])
    keys = tuple(f"synthetic:{name}" for name in names)
    return Table(
        tuple(names), (None,) * n, keys, keys, np.arange(n) % 10, values, SPECIES, weights, None
    )


def engine_compounds(n: int, *, seed: int) -> list:
    """n made-up drugs as `Compound`, with hepatocyte clearance common to all species and
    unbound fractions that differ.
    """
    from ...compounds import Compound

    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        kind = rng.choice(["neutral", "acid", "base"])
        binding = rng.normal(-1.5, 1.5)
        fu = {s: float(1 / (1 + np.exp(-(binding + 0.4 * rng.standard_normal())))) for s in SPECIES}
        out.append(
            Compound.create(
                name=f"engine {i}",
                molar_mass=float(rng.uniform(200, 600)),
                log_p=float(rng.uniform(-1.0, 4.0)),
                pka_acid=(float(rng.uniform(3.0, 6.0)),) if kind == "acid" else (),
                pka_base=(float(rng.uniform(7.5, 10.0)),) if kind == "base" else (),
                fraction_unbound_plasma=fu["human"],
                blood_to_plasma_ratio=1.0,
                clint_hepatocyte=float(np.exp(rng.normal(2.3, 1.4))),
                absorption_rate=1.0,
                species_values={
                    s: {"fraction_unbound_plasma": f} for s, f in fu.items() if s != "human"
                },
            )
        )
    return out


def engine_values(compound: Compound, species: str) -> tuple[float, float, float]:
    """Plasma clearance [L/h] and Vss [L] of the animal of the usual weight, and fu, as the
    engine's equations have them.
    """
    from ...models.small_molecules.elimination_parameters import elimination_parameters
    from ...models.small_molecules.partition import blood_to_plasma_ratio, partition_coefficients
    from ...models.system.graph import whole_body_graph
    from ...physiology import BLOOD_POOLS, ORGANS, reference_individual

    drug, body = compound.for_species(species), reference_individual(species)
    scale = TABLE_WEIGHT[species] / float(body["body_weight"].values[0])
    ratio = float(np.ravel(blood_to_plasma_ratio(drug, species))[0])
    kp = partition_coefficients(drug, species)
    volumes = body["volume"].isel(subject=0)
    volume = float((volumes.sel(organ=kp["organ"]) * kp).sum()) + ratio * float(
        volumes.sel(organ=list(BLOOD_POOLS)).sum()
    )
    graph = whole_body_graph(ORGANS)
    values = elimination_parameters(drug, body, graph, np.array([ratio]))
    flow = graph.inflow(
        "liver", {organ: body["blood_flow"].sel(organ=organ).values for organ in graph.perfused}
    )
    unbound = drug.fraction_unbound_plasma / ratio * values["clint.liver"]
    clearance = ratio * flow * unbound / (flow + unbound) + values["clearance_renal"]
    return float(clearance[0]) * scale, volume * scale, float(drug.fraction_unbound_plasma)


def engine_table(compounds: list) -> Table:
    """The cross-species table of made-up drugs, by the engine's own equations."""
    values = np.array([[engine_values(c, s) for s in SPECIES] for c in compounds])
    return table_of(values, [c.name for c in compounds])
