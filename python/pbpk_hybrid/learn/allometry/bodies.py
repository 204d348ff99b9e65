r"""The path of bodies from mouse to human: organ graph, liver flow, filtration and liver mass
as smooth functions of log body mass.

Between the reference bodies everything is interpolated by a cubic Hermite spline in x =
ln(body mass / kg) with slopes of central differences; it is linear in the values at the
species, continuous with its derivative, and straight outside mouse and human.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ...models.scaling import TABLE_WEIGHT
from ...models.system.graph import whole_body_graph
from ...physiology import ORGANS, PORTAL_ORGANS, reference_individual, tissue_composition

#: species along the path by mass, and their masses [kg]
WEIGHT = dict(sorted({**TABLE_WEIGHT, "minipig": 40.0}.items(), key=lambda item: item[1]))
KNOT_SPECIES = tuple(WEIGHT)
KNOTS = np.log(np.array(list(WEIGHT.values())))
LOWEST, HIGHEST = 0.005, 500.0  # [kg] masses that predictions are made for
#: what scales with body mass in known ways: rows of `processes`
PROCESSES = ("liver_blood_flow", "glomerular_filtration", "liver_mass")
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


def breakpoints(start: ArrayLike, end: ArrayLike) -> np.ndarray:
    """(n, n_points) log masses at which integration from `start` to `end` (n,) stops: the
    species between, so that every piece is smooth.

    Pieces of no length fill the rows of short trajectories.
    """
    start, end = np.broadcast_arrays(np.asarray(start, float), np.asarray(end, float))
    low, high = np.minimum(start, end)[:, None], np.maximum(start, end)[:, None]
    points = np.concatenate([low, np.clip(KNOTS[None], low, high), high], axis=1)
    used = np.ptp(points, axis=0) * 0 + (
        np.diff(points, axis=1, append=points[:, -1:]) > 1e-12
    ).any(0)
    keep = used.astype(bool)
    keep[-1] = True
    points = points[:, keep]
    return np.where((end >= start)[:, None], points, points[:, ::-1])


@lru_cache(maxsize=1)
def processes() -> np.ndarray:
    """(3, n_species) natural logs of liver blood flow [L/h], GFR [L/h] and liver mass [kg]
    at the masses of the path.
    """
    rows = []
    for species, weight in WEIGHT.items():
        body = reference_individual(species)
        flows = {organ: float(body["blood_flow"].sel(organ=organ).values[0]) for organ in ORGANS}
        scale = weight / float(body["body_weight"].values[0])
        liver_flow = sum(flows[organ] for organ in (*PORTAL_ORGANS, "liver"))
        liver = float(body["volume"].sel(organ="liver").values[0])
        rows.append([liver_flow * scale, float(body["gfr"].values[0]) * scale, liver * scale])
    return np.log(np.array(rows)).T


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
