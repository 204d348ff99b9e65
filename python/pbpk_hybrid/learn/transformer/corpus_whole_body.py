"""The whole-body part of the corpus: virtual compounds in people and animals of the pool,
integrated by the engine.

Each subject is simulated twice: as it is, and as the mechanistic model would have it from
what is known of the compound (no differences between subjects beyond anatomy; clearance and
Kp as far off as such values usually are). The second curve is the *reference* that the
network is shown where a compound is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models import whole_body_graph
from ...models.small_molecules.clearance import HEPATOCELLULARITY
from ...models.small_molecules.mixed_cohort import mixed_cohort_system
from ...models.system.system import System
from ...physiology import ORGANS, SPECIES
from ...physiology.organs import TISSUES
from .batch import DESCRIPTORS
from .corpus_prior import Pool, VirtualCompound, charges, draw_compound, partition

_GRAPH = whole_body_graph(tuple(ORGANS))
_ROW = {name: i for i, name in enumerate(DESCRIPTORS)}
_TISSUE = [ORGANS.index(t) for t in TISSUES]
_LIVER_INFLOW = [ORGANS.index(o) for o in ("liver", "gut", "spleen", "pancreas", "stomach")]
#: ln sd of what is known against what is: from in vivo data, and predicted (Kp: Rodgers &
#: Rowland are within 2-fold for
#: 80 %; CLint: Wood et al. 2017)
_CLEARANCE_ERROR, _VOLUME_ERROR = (0.15, 0.8), (0.15, 0.5)


@dataclass(frozen=True)
class WholeBody:
    """A cohort of pairs: the Systems of the truth and of the reference are one System of 2
    n subjects.

    Parameters
    ----------
    parameters
        name -> (2 n,), first the truth, then the reference
    typical, spread
        name -> (n,) value of the typical subject of the same anatomy, and ln sd between
        subjects, of what
    varies;
        "kp" stands for the one factor on all partition coefficients
    descriptors
        (n, len(DESCRIPTORS)), before any is left out
    half_life
        (n,) [h]
    subjects
        (n,) rows of the pool
    lag
        (n,) [h]
    """

    parameters: dict[str, np.ndarray]
    descriptors: np.ndarray
    half_life: np.ndarray
    subjects: np.ndarray
    lag: np.ndarray
    saturable: bool
    typical: dict[str, np.ndarray]
    spread: dict[str, np.ndarray]

    def system(self) -> System:
        return mixed_cohort_system(self.parameters, ORGANS, saturable=self.saturable)


def draw_whole_body(
    rng: np.random.Generator,
    pool: Pool,
    group: np.ndarray,
    species: tuple[str, ...],
    split: str,
    mean_log_vss: float,
    exact: bool = False,
) -> WholeBody:
    """Compounds for the groups of `group` (n,), each in its own species and subjects;
    `exact`: what is known is the truth.
    """
    n, groups = len(group), int(group.max()) + 1
    weights = np.array([3.0 if s == "human" else 0.5 for s in species])
    drawn = [str(s) for s in rng.choice(species, groups, p=weights / weights.sum())]
    subjects = np.array([rng.choice(pool.rows[drawn[g]]) for g in group])
    values = [_compound(rng, pool, s, split, mean_log_vss) for s in drawn]
    compounds: list[VirtualCompound] = [v[0] for v in values]
    kp = np.stack([v[1] for v in values])
    bp = np.array([v[2] for v in values])[group]

    typical, spread = {}, {}

    def own(name: str, low: float, high: float) -> np.ndarray:
        spread[name] = rng.uniform(low, high, groups)[group]
        return np.exp(spread[name] * rng.standard_normal(n))

    fu = np.array([c.fraction_unbound for c in compounds])[group]
    per_gram = np.array(
        [c.clint * HEPATOCELLULARITY[s][0] * 6e-5 for c, s in zip(compounds, drawn, strict=True)]
    )
    clint = per_gram[group] * pool.liver_mass[subjects]
    ratio = np.array([c.gfr_fraction for c in compounds])[group]
    kidney = pool.flow[subjects][:, ORGANS.index("kidney")]
    renal = np.minimum(ratio * fu * pool.gfr[subjects], 0.8 * kidney * bp)
    ka = (
        np.exp(rng.normal(np.log(0.9), 0.9, groups))[group]
        * (70.0 / pool.body_weight[subjects]) ** 0.25
    )
    fa, fg = rng.uniform(0.15, 1.0, groups)[group], rng.uniform(0.4, 1.0, groups)[group]

    in_vivo_cl, in_vivo_v = (rng.random(groups) < 0.5 for _ in range(2))
    # some compounds are known much worse than others
    worse = np.exp(0.5 * rng.standard_normal(groups))
    pick = lambda flag, sd: np.where(flag, sd[0], sd[1]) * worse * rng.standard_normal(groups)
    wrong_cl = np.exp(pick(in_vivo_cl, _CLEARANCE_ERROR))[group]
    wrong_kp = np.exp(pick(in_vivo_v, _VOLUME_ERROR))[group]
    wrong_ka, wrong_fa = (
        np.exp(rng.normal(0, 0.6, groups))[group],
        np.exp(rng.normal(0, 0.25, groups))[group],
    )
    # Kp is wrong organ by organ too, beyond the one factor
    uneven = np.exp(np.where(in_vivo_v, 0.25, 0.35)[:, None] * rng.standard_normal(kp.shape))

    pair = lambda truth, reference: np.concatenate(
        [np.broadcast_to(truth, (n,)), np.broadcast_to(reference, (n,))]
    )
    p = {
        "fraction_unbound_plasma": pair(
            np.clip(fu * own("fraction_unbound_plasma", 0.0, 0.2), 1e-3, 1.0), fu
        ),
        "blood_to_plasma_ratio": pair(bp, bp),
        "clint.liver": pair(clint * own("clint.liver", 0.1, 0.6), clint * wrong_cl),
        "clearance_renal": pair(
            np.minimum(renal * own("clearance_renal", 0.05, 0.3), 0.9 * kidney * bp),
            np.minimum(renal * wrong_cl, 0.9 * kidney * bp),
        ),
        "absorption_rate": pair(ka * own("absorption_rate", 0.1, 0.8), ka * wrong_ka),
        "fraction_absorbed": pair(
            np.clip(fa * own("fraction_absorbed", 0.0, 0.3), 0.01, 1.0),
            np.clip(fa * wrong_fa, 0.01, 1.0),
        ),
        "fraction_gut": pair(fg, fg),
    }
    if exact:
        in_vivo_cl[:], in_vivo_v[:] = True, True
        wrong_cl, wrong_kp, wrong_ka, wrong_fa, uneven = (
            1.0,
            np.ones(n),
            1.0,
            1.0,
            np.ones_like(uneven),
        )
        for name, value in (
            ("clint.liver", clint),
            ("clearance_renal", renal),
            ("absorption_rate", ka),
            ("fraction_absorbed", fa),
        ):
            p[name][n:] = value
    size = own("kp", 0.0, 0.3)
    for j, organ in enumerate(ORGANS):
        volume, flow = pool.volume[subjects, j], pool.flow[subjects, j]
        p[f"volume.{organ}"] = pair(volume, volume)
        if organ in _GRAPH.perfused:
            p[f"flow.{organ}"] = pair(flow, flow)
    for k, organ in enumerate(TISSUES):
        p[f"kp.{organ}"] = pair(kp[group, k] * size, kp[group, k] * (wrong_kp * uneven[group, k]))
        typical[f"kp.{organ}"] = kp[group, k]
    typical |= {
        "fraction_unbound_plasma": fu,
        "clint.liver": clint,
        "clearance_renal": renal,
        "absorption_rate": ka,
        "fraction_absorbed": fa,
    }
    descriptors = np.stack([_describe(c) for c in compounds])[group]
    volume = (pool.volume[subjects][:, _TISSUE] * kp[group]).sum(axis=1) + bp * pool.volume[
        subjects
    ][:, :2].sum(axis=1)
    flow = pool.flow[subjects][:, _LIVER_INFLOW].sum(axis=1)
    unbound = fu / bp * clint
    clearance = bp * flow * unbound / (flow + unbound) + renal

    flagged = (rng.random(groups) < 0.25) & (not exact)
    saturable = bool(flagged.any())
    descriptors[:, _ROW["saturable"]] = flagged[group]
    if saturable:
        # unbound concentration at half the rate, against the unbound concentration that 1
        # mg/kg gives in Vss
        reach = np.exp(rng.uniform(-3.0, 3.0, groups))[group]
        km = reach * fu * pool.body_weight[subjects] / volume
        share = np.where(flagged[group], p["clint.liver"][:n], 0.0)
        known = np.where(flagged[group], p["clint.liver"][n:], 0.0)
        p["km[saturable]"] = pair(km, km)
        p["vmax[saturable]"] = np.concatenate([share, known]) * p["km[saturable]"]
        p["clint.liver"] = p["clint.liver"] - np.concatenate([share, known])
        descriptors[:, _ROW["log_dose_over_km"]] = np.where(flagged[group], -np.log(km), np.nan)
    descriptors[:, _ROW["log_blood_to_plasma"]] = np.log(bp)
    descriptors[:, _ROW["clearance_in_vivo"]] = in_vivo_cl[group]
    descriptors[:, _ROW["volume_in_vivo"]] = in_vivo_v[group]
    descriptors[:, _ROW["log_absorption_rate"]] = np.log(p["absorption_rate"][n:])
    descriptors[:, _ROW["oral_fraction"]] = p["fraction_absorbed"][n:] * fg
    lag = np.where(rng.random(groups) < 0.3, rng.exponential(0.3, groups), 0.0)[group] * own(
        "lag", 0.0, 0.5
    )
    return WholeBody(
        p,
        descriptors,
        np.log(2) * np.maximum(volume / clearance, 0.5 / ka),
        subjects,
        lag,
        saturable,
        typical,
        spread,
    )


def _compound(rng, pool: Pool, species: str, split: str, mean_log_vss: float):
    """A compound, its Kp and BP in the species; drawn again while its mean residence time
    is beyond four weeks.
    """
    row = pool.rows[species][0]
    for _ in range(6):
        compound = draw_compound(rng, split)
        kp, bp = partition(compound, species)
        volume, weight = pool.volume[row], pool.body_weight[row]
        tissues, blood = float(volume[_TISSUE] @ kp), bp * float(volume[:2].sum())
        # predicted volumes of lipophilic compounds are far above measured ones: a third of
        # the way back to the mean
        log_vss = np.log((tissues + blood) / weight)
        factor = np.exp(-0.35 * (log_vss - mean_log_vss) + rng.normal(0.0, 0.35))
        kp = np.clip(kp * factor, 0.01, 100.0)
        clearance = compound.clint * HEPATOCELLULARITY[species][0] * pool.liver_mass[row] * 6e-5
        clearance = compound.fraction_unbound * (clearance + compound.gfr_fraction * pool.gfr[row])
        if (float(volume[_TISSUE] @ kp) + blood) / clearance < 700.0:
            break
    return compound, kp, bp


def _describe(c: VirtualCompound) -> np.ndarray:
    out = np.full(len(DESCRIPTORS), np.nan)
    anionic, cationic = charges(c)
    fu = c.fraction_unbound
    for name, value in (
        ("log_p", c.log_p),
        ("anionic", anionic),
        ("cationic", cationic),
        ("log_molar_mass", np.log(c.molar_mass)),
        ("logit_fraction_unbound", np.log(fu / (1 - fu))),
    ):
        out[_ROW[name]] = value
    return out


__all__ = ["SPECIES", "WholeBody", "draw_whole_body"]
