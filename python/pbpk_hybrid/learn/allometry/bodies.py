r"""Bodies: those of the species, of any weight within a species, and the path between them.

Within a species organs grow with body weight and flows and filtration with its power of 3/4, so
that a heavier human is a heavier human and nothing else. The path leads from mouse to human: its
organ graph and its tables are smooth functions of x = ln(body mass / kg). Between the reference
bodies everything is interpolated by a cubic Hermite spline with slopes of central differences; it
is linear in the values at the species, continuous with its derivative, and straight outside mouse
and human.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ...models.scaling import TABLE_WEIGHT
from ...models.small_molecules.partition import REFERENCE_HEMATOCRIT
from ...models.system.graph import whole_body_graph
from ...physiology import (
    BLOOD_POOLS,
    ORGANS,
    PORTAL_ORGANS,
    SPECIES,
    reference_individual,
    tissue_composition,
)
from ...physiology.organs import TISSUES

#: species along the path by mass, and their masses [kg]
WEIGHT = dict(sorted({**TABLE_WEIGHT, "minipig": 40.0}.items(), key=lambda item: item[1]))
KNOT_SPECIES = tuple(WEIGHT)
KNOTS = np.log(np.array(list(WEIGHT.values())))
LOWEST, HIGHEST = 0.005, 500.0  # [kg] masses that predictions are made for
_COMPOSITION = (
    "fraction_neutral_lipid",
    "fraction_neutral_phospholipid",
    "fraction_extracellular_water",
    "fraction_intracellular_water",
    "acidic_phospholipid",
)


def basis(x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the species at log masses x, and their derivatives: both (n, n_species)."""
    x = np.atleast_1d(np.asarray(x, dtype=float))
    slopes, n = _slopes(), len(KNOTS)
    i = np.clip(np.searchsorted(KNOTS, x, side="right") - 1, 0, n - 2)
    width = KNOTS[i + 1] - KNOTS[i]
    t = np.clip((x - KNOTS[i]) / width, 0.0, 1.0)
    beyond = (x - np.clip(x, KNOTS[0], KNOTS[-1]))[:, None]
    one = np.eye(n)
    h00, h10, h01, h11 = (
        2 * t**3 - 3 * t**2 + 1,
        t**3 - 2 * t**2 + t,
        -2 * t**3 + 3 * t**2,
        t**3 - t**2,
    )
    value = h00[:, None] * one[i] + h01[:, None] * one[i + 1]
    value += width[:, None] * (h10[:, None] * slopes[i] + h11[:, None] * slopes[i + 1])
    d00, d10, d01, d11 = 6 * t**2 - 6 * t, 3 * t**2 - 4 * t + 1, -6 * t**2 + 6 * t, 3 * t**2 - 2 * t
    slope = (d00[:, None] * one[i] + d01[:, None] * one[i + 1]) / width[:, None]
    slope += d10[:, None] * slopes[i] + d11[:, None] * slopes[i + 1]
    return value + beyond * slope, slope


@dataclass(frozen=True)
class Bodies:
    """P bodies as the equations of clearance and volume need them.

    Parameters
    ----------
    log_mass : array
        (P,) of the species (of no known species: of the body), where the law stands
    volume : array
        (P, tissues) [L]
    blood, hematocrit : array
        (P,) [L], [1]
    liver_flow, kidney_flow, other_flow, gfr : array
        (P,) [L/h] of blood, the last of plasma water
    liver_mass, other_mass : array
        (P,) [g]
    species : array
        (P,) number of the species, -1 for none that is known
    """

    log_mass: np.ndarray
    volume: np.ndarray
    blood: np.ndarray
    hematocrit: np.ndarray
    liver_flow: np.ndarray
    kidney_flow: np.ndarray
    other_flow: np.ndarray
    gfr: np.ndarray
    liver_mass: np.ndarray
    other_mass: np.ndarray
    species: np.ndarray

    @classmethod
    def of(cls, who: Sequence[tuple[str, float]]) -> Bodies:
        """Bodies of (species, body weight [kg])."""
        rows = [_body(species, weight) for species, weight in who]
        return cls(*(np.array(column) for column in zip(*rows, strict=True)))

    @classmethod
    def of_species(cls, numbers: Sequence[int]) -> Bodies:
        """Bodies of the usual weight of the path's species."""
        return cls.of([(KNOT_SPECIES[i], WEIGHT[KNOT_SPECIES[i]]) for i in numbers])


#: how each column of the table grows with body weight within a species
_GROWTH = {
    "volume": 1.0,
    "blood": 1.0,
    "hematocrit": 0.0,
    "liver_flow": 0.75,
    "kidney_flow": 0.75,
    "other_flow": 0.75,
    "gfr": 0.75,
    "liver_mass": 1.0,
    "other_mass": 1.0,
}


def _body(species: str, weight: float) -> tuple:
    """One body, in the order of :class:`Bodies`."""
    table, x = _tables(), float(np.log(weight))
    if species in KNOT_SPECIES:
        s = KNOT_SPECIES.index(species)
        ratio = weight / WEIGHT[species]
        return (
            KNOTS[s],
            *(table[name][s] * ratio**power for name, power in _GROWTH.items()),
            s,
        )
    share = basis(x)[0][0]
    return (x, *(np.exp(share @ np.log(table[name])) for name in _GROWTH), -1)


@lru_cache(maxsize=1)
def _tables() -> dict[str, np.ndarray]:
    """Of the species at the masses of the path: column -> (n_species, ...)."""
    rows = []
    for species, weight in WEIGHT.items():
        body = reference_individual(species)
        scale = weight / float(body["body_weight"].values[0])
        flows = {organ: float(body["blood_flow"].sel(organ=organ).values[0]) for organ in ORGANS}
        volumes = body["volume"].isel(subject=0)
        liver = sum(flows[organ] for organ in (*PORTAL_ORGANS, "liver")) * scale
        kidney, output = flows["kidney"] * scale, flows["lung"] * scale
        mass = (
            1000.0 * scale * float(volumes.sel(organ="liver") * body["density"].sel(organ="liver"))
        )
        rows.append(
            (
                volumes.sel(organ=list(TISSUES)).values * scale,
                float(volumes.sel(organ=list(BLOOD_POOLS)).sum()) * scale,
                REFERENCE_HEMATOCRIT[species],
                liver,
                kidney,
                output - liver - kidney,
                float(body["gfr"].values[0]) * scale,
                mass,
                1000.0 * weight - mass,
            )
        )
    return dict(zip(_GROWTH, map(np.array, zip(*rows, strict=True)), strict=True))


@lru_cache(maxsize=1)
def node_features() -> np.ndarray:
    """(n_species, n_organs, 7): log mass and flow fraction, and tissue composition,
    standardised over all species.
    """
    out = np.zeros((len(WEIGHT), len(ORGANS), 2 + len(_COMPOSITION)))
    for s, species in enumerate(WEIGHT):
        body = reference_individual(species)
        mass = (
            (body["volume"] * body["density"]).sel(organ=list(ORGANS)).values.reshape(-1)
        )  # (organ,)
        flow = body["blood_flow"].sel(organ=list(ORGANS)).values.reshape(-1)  # (organ,)
        out[s, :, 0] = np.log(mass / mass.sum())
        out[s, :, 1] = np.log(flow / float(body["cardiac_output"].values[0]))
        table = tissue_composition(species, "rodgers_rowland")
        for c, name in enumerate(_COMPOSITION):
            known = dict(
                zip(table["organ"].values.tolist(), table[name].values.tolist(), strict=True)
            )
            out[s, :, 2 + c] = [known.get(organ, 0.0) for organ in ORGANS]
    out = np.nan_to_num(out)
    sd = out.std(axis=(0, 1))
    return (out - out.mean(axis=(0, 1))) / np.where(sd > 0, sd, 1.0)


def reference_weight(species: str) -> float | None:
    """Body weight of the engine's reference individual [kg]; None where there is none."""
    return float(reference_individual(species)["body_weight"][0]) if species in SPECIES else None


def edge_index() -> np.ndarray:
    """(2, n_edges) of the whole-body graph."""
    return whole_body_graph(ORGANS).edge_index


@lru_cache(maxsize=1)
def _slopes() -> np.ndarray:
    """(n, n) matrix that turns values at the species into slopes there; at the ends the
    slope over the whole path.
    """
    n = len(KNOTS)
    slopes = np.zeros((n, n))
    for i in range(1, n - 1):
        slopes[i, i + 1] = 1 / (KNOTS[i + 1] - KNOTS[i - 1])
        slopes[i, i - 1] = -slopes[i, i + 1]
    centred = KNOTS - KNOTS.mean()
    slopes[0] = slopes[-1] = centred / (centred @ centred)
    return slopes
