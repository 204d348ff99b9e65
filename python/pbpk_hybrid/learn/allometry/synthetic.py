"""Synthetic compounds with a known law: exact powers of body mass, and compounds of the
engine's equations in every species.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...models.scaling import TABLE_WEIGHT
from . import bodies
from .composition import WIDTH, composition
from .data import PARAMETERS, SPECIES, Table
from .law import Compounds
from .readout import Elimination, Places, as_tensor, readout

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


#: methods of partition that the compounds of :func:`engine_examples` take turns with
_METHODS = ("schmitt", "poulin_theil", "berezhkovskiy", "rodgers_rowland")
_KINDS = ("neutral", "acid", "base")


def engine_examples(n: int, seed: int) -> tuple[Compounds, Tensor]:
    """n made-up compounds in all species of the path, by the engine's algebra.

    Kp by one of four methods of partition, intrinsic clearance per gram of liver the same in
    every species, unbound fractions that scatter, a share of it renal.

    Returns
    -------
    compounds : Compounds
        of unknown structure, but with descriptors and composition
    values : Tensor
        (n, species of the path, 4); nothing measured in vitro
    """
    rng = np.random.default_rng(seed)
    per_kind = -(-n // 40)  # compounds that share their pKa, for the engine's arrays
    rows = [_engine_block(rng, per_kind) for _ in range(40)]
    composed, descriptors, volume, states = (
        np.concatenate(part)[:n] for part in zip(*rows, strict=True)
    )
    places = Places.of(bodies.Bodies.of_species(range(len(bodies.KNOT_SPECIES))))
    human = Places.of(bodies.Bodies.of_species([bodies.KNOT_SPECIES.index("human")]))
    shares = as_tensor(1 / (1 + np.exp(1.5 - rng.normal(0.0, 1.0, n))))
    epsilon = torch.tensor(0.003, dtype=torch.float64)
    division = Elimination(shares, epsilon, float(human.liver_mass[0] / human.gfr[0]))
    y, _ = readout(as_tensor(states), as_tensor(composed), places, division, None)
    values = torch.cat([y, torch.full_like(y[..., :1], torch.nan)], -1)
    values[..., 1] = torch.log(as_tensor(volume))
    blank = unknown_values(n)
    return Compounds(blank[0], as_tensor(descriptors), as_tensor(composed), *blank[1:]), values


def unknown_values(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction from structure, distance and known of compounds without a structure."""
    zero = torch.zeros(n, dtype=torch.float64)
    return torch.zeros(n, 3, dtype=torch.float64), zero + 0.5, zero


def _engine_block(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    """n compounds of one pKa and one method of partition: composition, descriptors, volumes
    (n, species) [L], states (n, species, 3). Twenty or so share their log P.
    """
    from ...models.small_molecules.partition import partition_coefficients

    kind, method = rng.choice(_KINDS), str(rng.choice(_METHODS))
    acid = (float(rng.uniform(2.5, 6.0)),) if kind == "acid" else ()
    base = (float(rng.uniform(7.5, 10.5)),) if kind == "base" else ()
    grid = rng.uniform(-1.0, 5.5, -(-n // 20))
    log_p = np.repeat(grid, 20)[:n]
    b = rng.normal(-1.8, 1.6, (n, 1)) - 0.3 * (log_p[:, None] - 2.0)
    b = np.clip(b + 0.4 * rng.standard_normal((n, len(bodies.KNOT_SPECIES))), -7.0, 4.0)
    a = np.broadcast_to(rng.normal(-4.0, 1.8, (n, 1)), b.shape)
    table = bodies.Bodies.of_species(range(len(bodies.KNOT_SPECIES)))
    composed = np.empty((n, WIDTH))
    volume = np.empty(b.shape)
    for one in grid:
        rows = np.flatnonzero(log_p == one)
        composed[rows] = composition(float(one), acid, base)
        fu = 1 / (1 + np.exp(-b[rows]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Kp far from what any method was tested on
            kp = partition_coefficients(
                _drug(float(one), acid, base), "human", method, fraction_unbound_plasma=fu.ravel()
            ).values  # (compounds x species, tissues)
        kp = kp.reshape(*fu.shape, -1)
        # the blood:plasma ratio is taken as 1: blood is a twentieth of most volumes
        volume[rows] = (kp * table.volume).sum(-1) + table.blood
    descriptors = 0.7 * rng.standard_normal((n, 8))
    descriptors[:, 0] = (log_p - 2.0) / 2.0
    descriptors[:, 3], descriptors[:, 4] = float(kind == "acid"), float(kind == "base")
    descriptors[:, 5] = descriptors[:, 4] - descriptors[:, 3]
    descriptors[:, 6] = 0.0
    return composed, descriptors, volume, np.stack([a, np.zeros_like(b), b], -1)


def _drug(log_p: float, acid: tuple[float, ...], base: tuple[float, ...]) -> Compound:
    from ...compounds import Compound

    return Compound.create(
        name="engine",
        molar_mass=300.0,
        log_p=log_p,
        pka_acid=acid,
        pka_base=base,
        fraction_unbound_plasma=0.5,
        blood_to_plasma_ratio=1.0,
    )
