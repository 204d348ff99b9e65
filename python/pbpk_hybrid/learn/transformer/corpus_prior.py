"""What there is to draw from: virtual compounds, and a pool of people and animals.

Compounds are drawn from a kernel density over the compound table of httk (log P, pKa,
fraction unbound, CLint, molar mass; one row with its gaps, every number moved by a kernel),
so that the ranges and how the properties go together are real. Clearance and volume of the
compartmental part of the corpus are log-normal, fitted to the human values of PKSmart's
table.
"""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ...compounds.httk_table import httk_table
from ...models.small_molecules import partition_equations as eq
from ...models.small_molecules.binding import blood_to_plasma
from ...models.small_molecules.partition import REFERENCE_HEMATOCRIT
from ...physiology import ORGANS, SPECIES, sample_population, tissue_composition
from ...physiology.organs import TISSUES

_PKSMART = Path(__file__).parents[1] / "data" / "pksmart" / "Human_PK_data.csv"
#: subjects of each species in the pool
_POOL = {"human": 1500}
_POOL_OTHER = 150
#: kernel widths: a fifth to a quarter of the table's standard deviation (Silverman's rule for
#: 1,000 rows in five dimensions is 0.4)
_KERNEL = {"log_p": 0.4, "pka": 0.4, "logit_fup": 0.5, "log_clint": 0.5, "log_mass": 0.1}


@dataclass(frozen=True)
class VirtualCompound:
    """One draw: what the whole-body model needs of a drug."""

    log_p: float
    pka_acid: tuple[float, ...]
    pka_base: tuple[float, ...]
    fraction_unbound: float
    clint: float  # uL/min/1e6 cells, unbound
    molar_mass: float
    gfr_fraction: float


@cache
def compound_rows(split: str) -> tuple[tuple, ...]:
    """Rows of the table with log P, fraction unbound and CLint: nine tenths for "train",
    one for "test".
    """
    table, out = httk_table(), []
    for i in range(len(table.rows)):
        r = table.record(i)
        log_p, fup, clint, mass = (
            _first(r[c]) for c in ("logP", "Human.Funbound.plasma", "Human.Clint", "MW")
        )
        if not (
            math.isfinite(log_p + fup + clint + mass)
            and 0 < fup <= 1.2
            and -4 < log_p < 8
            and mass > 0
        ):
            continue
        bucket = int(hashlib.sha256(r["CAS"].encode()).hexdigest(), 16) % 10
        if (bucket == 0) != (split == "test"):
            continue
        acid, base = (_sites(r[c]) for c in ("pKa_Donor", "pKa_Accept"))
        out.append((log_p, acid, base, min(fup, 0.999), clint, mass))
    return tuple(out)


def draw_compound(rng: np.random.Generator, split: str) -> VirtualCompound:
    """A compound near one of the table's."""
    rows = compound_rows(split)
    log_p, acid, base, fup, clint, mass = rows[rng.integers(len(rows))]
    z = rng.standard_normal(4)
    shift = _KERNEL["pka"] * rng.standard_normal(2)
    logit = math.log(fup / (1 - fup)) + _KERNEL["logit_fup"] * z[1]
    # a CLint of 0 means below what the assay sees: a small one, or a drug that the kidney
    # alone clears
    low = clint <= 0
    log_clint = (rng.uniform(-2, 1.5) if low else math.log(clint)) + _KERNEL["log_clint"] * z[2]
    # what hepatocytes say and what the liver does differ several-fold; Wood et al. (2017, Drug
    # Metab Dispos 45:1178) find a median underprediction of 3
    log_clint += rng.normal(0.7, 0.8)
    return VirtualCompound(
        log_p=float(np.clip(log_p + _KERNEL["log_p"] * z[0], -3.0, 6.5)),
        pka_acid=tuple(p + shift[0] for p in acid),
        pka_base=tuple(p + shift[1] for p in base),
        fraction_unbound=float(np.clip(1 / (1 + math.exp(-logit)), 0.003, 0.995)),
        clint=math.exp(min(log_clint, 7.5)),
        molar_mass=mass * math.exp(_KERNEL["log_mass"] * z[3]),
        gfr_fraction=float(rng.choice([0.0, 1.0, rng.uniform(0, 3)], p=[0.2, 0.5, 0.3])),
    )


def charges(compound: VirtualCompound) -> tuple[float, float]:
    """Fractions anionic and cationic at pH 7.4."""
    anions = float(eq.anion_ratio(7.4, compound.pka_acid))
    cations = float(eq.cation_ratio(7.4, compound.pka_base))
    return anions / (1 + anions + cations), cations / (1 + anions + cations)


def partition(compound: VirtualCompound, species: str) -> tuple[np.ndarray, float]:
    """Kp of the tissues (Rodgers & Rowland) and blood:plasma ratio at the species' usual
    hematocrit.
    """
    tissue, cells, plasma = _composition(species)
    hct = REFERENCE_HEMATOCRIT[species]
    sites = {"pka_acid": compound.pka_acid, "pka_base": compound.pka_base}
    fu = compound.fraction_unbound
    kpu = float(eq.red_cell_kpu_without_binding(compound.log_p, red_cells=cells, **sites))
    if eq.is_strong_base(compound.pka_base):
        # the affinity to acidic phospholipids is drawn instead of a measured ratio: twice
        # the lipids and water alone
        kpu *= 2.0
    bp = float(np.clip(blood_to_plasma(kpu, fu, hct), 1 - hct + 0.01, 3.0))
    kpu_tissue, _ = eq.rodgers_rowland_kpu(
        compound.log_p,
        fu,
        bp,
        hematocrit=hct,
        adipose=_IS_ADIPOSE,
        red_cells=cells,
        plasma=plasma,
        **sites,
        **tissue,
    )
    return np.clip(kpu_tissue * fu, 0.02, 100.0), bp


_IS_ADIPOSE = np.array([t == "adipose" for t in TISSUES])
_RR = (
    "fraction_neutral_lipid",
    "fraction_neutral_phospholipid",
    "fraction_extracellular_water",
    "fraction_intracellular_water",
    "acidic_phospholipid",
    "albumin_ratio",
    "lipoprotein_ratio",
)


@cache
def _composition(species: str):
    rows = tissue_composition(species, "rodgers_rowland")
    labels = [str(o) for o in rows["organ"].values]
    at = [labels.index(t) for t in TISSUES]
    tissue = {n: rows[n].values[at] for n in _RR}
    pick = lambda organ, names: {n: float(rows[n].values[labels.index(organ)]) for n in names}
    return tissue, pick("red_cells", tuple(eq.RED_CELLS)), pick("plasma", tuple(eq.PLASMA))


@dataclass(frozen=True)
class Pool:
    """People and animals of all species as plain arrays, each (n,) or (n, 16 organs)."""

    species: np.ndarray  # number in SPECIES
    volume: np.ndarray
    flow: np.ndarray
    liver_mass: np.ndarray  # g
    body_weight: np.ndarray
    age: np.ndarray
    male: np.ndarray
    height: np.ndarray
    hematocrit: np.ndarray
    gfr: np.ndarray
    rows: dict[str, np.ndarray]  # species -> rows


@cache
def pool() -> Pool:
    """The pool every corpus draws its subjects from; always the same."""
    parts = [
        sample_population(_POOL.get(s, _POOL_OTHER), s, seed=20 + i) for i, s in enumerate(SPECIES)
    ]

    def stack(name: str) -> np.ndarray:
        return np.concatenate([_column(p, name) for p in parts])

    number = np.concatenate([np.full(p.sizes["subject"], i) for i, p in enumerate(parts)])
    sex = np.concatenate([p["sex"].values.astype(str) for p in parts])
    liver = ORGANS.index("liver")
    volume = stack("volume")
    density = np.concatenate([_column(p, "density") for p in parts])
    return Pool(
        number,
        volume,
        stack("blood_flow"),
        volume[:, liver] * density[:, liver] * 1000.0,
        stack("body_weight"),
        stack("age"),
        np.where(sex == "male", 1.0, np.where(sex == "female", 0.0, np.nan)),
        stack("height"),
        stack("hematocrit"),
        stack("gfr"),
        {s: np.flatnonzero(number == i) for i, s in enumerate(SPECIES)},
    )


def _column(people, name: str) -> np.ndarray:
    n = people.sizes["subject"]
    if name not in people:
        return np.full(n, np.nan)
    values = people[name].values.astype(float)
    return (
        np.broadcast_to(values, (n, values.shape[-1]))
        if people[name].dims == ("organ",)
        else values
    )


@cache
def clearance_and_volume() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of ln CL [L/h/kg] and ln Vss [L/kg] over the human table of PKSmart."""
    pairs = []
    with _PKSMART.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cl, v = _first(row["human_CL_mL_min_kg"]), _first(row["human_VDss_L_kg"])
            if cl > 0 and v > 0:
                pairs.append((math.log(cl * 0.06), math.log(v)))
    values = np.array(pairs)
    return values.mean(axis=0), np.cov(values.T)


def _first(text: str) -> float:
    try:
        return float(text.split(",", 1)[0])
    except ValueError:
        return math.nan


def _sites(text: str) -> tuple[float, ...]:
    values = [_first(part) for part in text.split(",") if part.strip() not in ("", "NA")]
    return tuple(v for v in values if -2 < v < 16)[:3]


__all__ = [
    "Pool",
    "VirtualCompound",
    "charges",
    "clearance_and_volume",
    "compound_rows",
    "draw_compound",
    "partition",
    "pool",
]
