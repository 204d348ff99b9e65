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
from .corpus_people import People
from .corpus_prior import Pool, VirtualCompound, charges, draw_compound, partition

_GRAPH = whole_body_graph(tuple(ORGANS))
_ROW = {name: i for i, name in enumerate(DESCRIPTORS)}
_TISSUE = [ORGANS.index(t) for t in TISSUES]
_LIVER_INFLOW = [ORGANS.index(o) for o in ("liver", "gut", "spleen", "pancreas", "stomach")]
#: ln sd of what is known against what is: from in vivo data, and predicted (Kp: Rodgers &
#: Rowland are within 2-fold for 80 %; CLint: Wood et al. 2017)
_CLEARANCE_ERROR, _VOLUME_ERROR = (0.15, 0.8), (0.15, 0.5)
#: degrees of freedom of those errors, and the share of compounds of which something is plainly
#: wrong (a salt, a unit, another species' value): by so many fold
_ERROR_DEGREES, _GROSS_SHARE, _GROSS_FOLD = 4.0, 0.1, (5.0, 30.0)


@dataclass(frozen=True)
class WholeBody:
    """A cohort of pairs: the Systems of the truth and of the reference are one System of 2
    n subjects.

    Parameters
    ----------
    parameters
        name -> (2 n,), first the truth, then the reference
    typical, between_subject_sd
        name -> (n,) value of the typical subject of the same anatomy, and ln sd between
        subjects, of what varies; "kp" stands for the one factor on all partition coefficients
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
    between_subject_sd: dict[str, np.ndarray]

    def system(self) -> System:
        """The System of all 2 n subjects, first the truth, then the reference."""
        return mixed_cohort_system(self.parameters, ORGANS, saturable=self.saturable)


@dataclass(frozen=True)
class _Typical:
    """Values of the typical subject of each patient's anatomy, (n,) each; kp (n, tissues)."""

    fraction_unbound: np.ndarray
    blood_to_plasma: np.ndarray
    clint: np.ndarray
    renal: np.ndarray
    renal_limit: np.ndarray  # [L/h] most that the kidney's blood flow can clear
    ka: np.ndarray
    fraction_absorbed: np.ndarray
    fraction_gut: np.ndarray
    kp: np.ndarray


@dataclass(frozen=True)
class _ModelErrors:
    """By what factor the mechanistic model is wrong, (n,) each; `kp_each` (n, tissues) beside `kp`.

    `clearance_in_vivo`, `volume_in_vivo` (n,): whether the value is one measured in vivo.
    """

    clearance_in_vivo: np.ndarray
    volume_in_vivo: np.ndarray
    clearance: np.ndarray
    kp: np.ndarray
    ka: np.ndarray
    fraction_absorbed: np.ndarray
    kp_each: np.ndarray


def draw_whole_body(
    rng: np.random.Generator,
    pool: Pool,
    group: np.ndarray,
    species: tuple[str, ...],
    split: str,
    mean_log_vss: float,
    exact: bool = False,
) -> WholeBody:
    """Compounds for the groups of `group` (n,), each in its own species and subjects.

    Parameters
    ----------
    group
        (n,) number of the compound of each patient
    split
        "train" or "test"
    mean_log_vss
        mean ln of the steady-state volume [L/kg] of human drugs
    exact
        what is known is the truth
    """
    groups = int(group.max()) + 1
    weights = np.array([3.0 if s == "human" else 0.5 for s in species])
    of_compound = [str(s) for s in rng.choice(species, groups, p=weights / weights.sum())]
    subjects = np.array([rng.choice(pool.rows[of_compound[g]]) for g in group])
    values = [_compound(rng, pool, s, split, mean_log_vss) for s in of_compound]
    typical = _typical_values(rng, pool, values, of_compound, group, subjects)
    errors = _model_errors(rng, group, typical.kp.shape[1])
    patients = People(rng, group, normal=exact)
    parameters, sd = _parameters(patients, pool, subjects, typical, errors, exact)
    descriptors = np.stack([_describe(v[0]) for v in values])[group]  # (n, descriptor)
    clearance, volume = _clearance_and_volume(pool, subjects, typical)
    amount = (typical.fraction_unbound, pool.body_weight[subjects], volume)
    saturable = _saturate(rng, parameters, descriptors, amount, (group, exact))
    n = len(group)
    for name, column in (
        ("log_blood_to_plasma", np.log(typical.blood_to_plasma)),
        ("clearance_in_vivo", errors.clearance_in_vivo | exact),
        ("volume_in_vivo", errors.volume_in_vivo | exact),
        ("log_absorption_rate", np.log(parameters["absorption_rate"][n:])),
        ("oral_fraction", parameters["fraction_absorbed"][n:] * typical.fraction_gut),
    ):
        descriptors[:, _ROW[name]] = column
    lag = np.where(rng.random(groups) < 0.3, rng.exponential(0.3, groups), 0.0)[group]
    lag_factor, sd["lag"] = patients.factor(0.0, 0.5)
    lag = lag * lag_factor
    half_life = np.log(2) * np.maximum(volume / clearance, 0.5 / typical.ka)
    return WholeBody(
        parameters, descriptors, half_life, subjects, lag, saturable, _varying(typical), sd
    )


def _typical_values(
    rng,
    pool: Pool,
    values: list[tuple[VirtualCompound, np.ndarray, float]],
    species: list[str],
    group: np.ndarray,
    subjects: np.ndarray,
) -> _Typical:
    """Of the compounds `values` with their Kp and blood:plasma ratio, in the bodies of the
    subjects.
    """
    compounds, groups = [v[0] for v in values], len(values)
    blood_to_plasma = np.array([v[2] for v in values])[group]
    fraction_unbound = np.array([c.fraction_unbound for c in compounds])[group]
    per_gram = np.array(
        [c.clint * HEPATOCELLULARITY[s][0] * 6e-5 for c, s in zip(compounds, species, strict=True)]
    )
    gfr_fraction = np.array([c.gfr_fraction for c in compounds])[group]
    kidney = pool.flow[subjects][:, ORGANS.index("kidney")]
    filtered = gfr_fraction * fraction_unbound * pool.gfr[subjects]
    unit_of_time = (70.0 / pool.body_weight[subjects]) ** 0.25
    ka = np.exp(rng.normal(np.log(0.9), 0.9, groups))[group] * unit_of_time
    return _Typical(
        fraction_unbound=fraction_unbound,
        blood_to_plasma=blood_to_plasma,
        clint=per_gram[group] * pool.liver_mass[subjects],
        renal=np.minimum(filtered, 0.8 * kidney * blood_to_plasma),
        renal_limit=0.9 * kidney * blood_to_plasma,
        ka=ka,
        fraction_absorbed=rng.uniform(0.15, 1.0, groups)[group],
        fraction_gut=rng.uniform(0.4, 1.0, groups)[group],
        kp=np.stack([v[1] for v in values])[group],  # (n, tissue)
    )


def _model_errors(rng, group: np.ndarray, n_tissues: int) -> _ModelErrors:
    """Errors of what is known of each compound; of some compounds much worse is known than
    of others.
    """
    groups = int(group.max()) + 1
    clearance_in_vivo, volume_in_vivo = (rng.random(groups) < 0.5 for _ in range(2))
    worse = np.exp(0.5 * rng.standard_normal(groups))

    # one of them, in either direction, is off by far
    off = rng.integers(0, 4, groups)
    fold = np.exp(rng.uniform(*np.log(_GROSS_FOLD), groups) * rng.choice([-1.0, 1.0], groups))
    off = np.where(rng.random(groups) < _GROSS_SHARE, off, -1)

    def gross(which: int) -> np.ndarray:
        return np.where(off == which, fold, 1.0)

    def error(in_vivo: np.ndarray, sd: tuple[float, float], which: int) -> np.ndarray:
        drawn = rng.standard_t(_ERROR_DEGREES, groups).clip(-6.0, 6.0)
        return (np.exp(np.where(in_vivo, *sd) * worse * drawn) * gross(which))[group]

    clearance = error(clearance_in_vivo, _CLEARANCE_ERROR, 0)
    kp = error(volume_in_vivo, _VOLUME_ERROR, 1)
    ka = (np.exp(rng.normal(0, 0.6, groups)) * gross(2))[group]
    fraction_absorbed = (np.exp(rng.normal(0, 0.25, groups)) * gross(3))[group]
    # Kp is wrong organ by organ too, beyond the one factor
    sd = np.where(volume_in_vivo, 0.25, 0.35)[:, None]
    kp_each = np.exp(sd * rng.standard_normal((groups, n_tissues)))[group]
    return _ModelErrors(
        clearance_in_vivo[group],
        volume_in_vivo[group],
        clearance,
        kp,
        ka,
        fraction_absorbed,
        kp_each,
    )


def _pair(truth, reference, n: int) -> np.ndarray:
    """(2 n,): first the truth, then the reference."""
    return np.concatenate([np.broadcast_to(truth, (n,)), np.broadcast_to(reference, (n,))])


def _parameters(
    patients: People,
    pool: Pool,
    subjects: np.ndarray,
    typical: _Typical,
    errors: _ModelErrors,
    exact: bool,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Parameters of the System, name -> (2 n,), and the ln sd between subjects, name -> (n,).

    `exact`: whether what is known is the truth.
    """
    n = len(subjects)
    sd: dict[str, np.ndarray] = {}

    def varied(name: str, value: np.ndarray, low: float, high: float) -> np.ndarray:
        factor, sd[name] = patients.factor(low, high)
        return value * factor

    t = typical
    fu = np.clip(varied("fraction_unbound_plasma", t.fraction_unbound, 0.0, 0.2), 1e-3, 1.0)
    clint = varied("clint.liver", t.clint, 0.1, 0.6) * patients.slow_class()
    renal = np.minimum(varied("clearance_renal", t.renal, 0.05, 0.3), t.renal_limit)
    ka = varied("absorption_rate", t.ka, 0.1, 0.8)
    absorbed = np.clip(varied("fraction_absorbed", t.fraction_absorbed, 0.0, 0.3), 0.01, 1.0)
    size = varied("kp", np.ones(n), 0.0, 0.3)
    reference = {
        "clint.liver": t.clint * errors.clearance,
        "clearance_renal": np.minimum(t.renal * errors.clearance, t.renal_limit),
        "absorption_rate": t.ka * errors.ka,
        "fraction_absorbed": np.clip(t.fraction_absorbed * errors.fraction_absorbed, 0.01, 1.0),
    }
    kp_error = errors.kp[:, None] * errors.kp_each  # (n, tissues)
    if exact:
        reference = {name: _varying(t)[name] for name in reference}
        kp_error = np.ones_like(kp_error)
    truth = {
        "clint.liver": clint,
        "clearance_renal": renal,
        "absorption_rate": ka,
        "fraction_absorbed": absorbed,
    }
    p = {
        "fraction_unbound_plasma": _pair(fu, t.fraction_unbound, n),
        "blood_to_plasma_ratio": _pair(t.blood_to_plasma, t.blood_to_plasma, n),
        **{name: _pair(truth[name], reference[name], n) for name in truth},
        "fraction_gut": _pair(t.fraction_gut, t.fraction_gut, n),
    }
    for j, organ in enumerate(ORGANS):
        volume, flow = pool.volume[subjects, j], pool.flow[subjects, j]
        p[f"volume.{organ}"] = _pair(volume, volume, n)
        if organ in _GRAPH.perfused:
            p[f"flow.{organ}"] = _pair(flow, flow, n)
    for k, organ in enumerate(TISSUES):
        p[f"kp.{organ}"] = _pair(t.kp[:, k] * size, t.kp[:, k] * kp_error[:, k], n)
    return p, sd


def _varying(typical: _Typical) -> dict[str, np.ndarray]:
    """name -> (n,) typical value of every parameter that varies between subjects."""
    return {
        **{f"kp.{organ}": typical.kp[:, k] for k, organ in enumerate(TISSUES)},
        "fraction_unbound_plasma": typical.fraction_unbound,
        "clint.liver": typical.clint,
        "clearance_renal": typical.renal,
        "absorption_rate": typical.ka,
        "fraction_absorbed": typical.fraction_absorbed,
    }


def _clearance_and_volume(
    pool: Pool, subjects: np.ndarray, typical: _Typical
) -> tuple[np.ndarray, np.ndarray]:
    """Blood clearance (well-stirred liver and kidney) [L/h] and steady-state volume [L],
    (n,) each.
    """
    bp, organs = typical.blood_to_plasma, pool.volume[subjects]  # (n, organs)
    blood = organs[:, :2].sum(axis=1)
    volume = (organs[:, _TISSUE] * typical.kp).sum(axis=1) + bp * blood
    flow = pool.flow[subjects][:, _LIVER_INFLOW].sum(axis=1)
    unbound = typical.fraction_unbound / bp * typical.clint
    return bp * flow * unbound / (flow + unbound) + typical.renal, volume


def _saturate(
    rng,
    parameters: dict[str, np.ndarray],
    descriptors: np.ndarray,
    amount: tuple[np.ndarray, np.ndarray, np.ndarray],
    design: tuple[np.ndarray, bool],
) -> bool:
    """Make the liver of a quarter of the compounds saturable, in place; whether there are any.

    Parameters
    ----------
    amount
        (n,) each: unbound fraction, body weight [kg] and steady-state volume [L], which give the
        unbound concentration [mg/L] after 1 mg/kg
    design
        the compound of each patient (n,), and whether what is known is the truth: then none
        saturates
    """
    (group, exact), n = design, len(design[0])
    groups = int(group.max()) + 1
    flagged = (rng.random(groups) < 0.25) & (not exact)
    descriptors[:, _ROW["saturable"]] = flagged[group]
    if not flagged.any():
        return False
    # Km against the unbound concentration: from far above it to far below
    fraction_unbound, weight, volume = amount
    ratio = np.exp(rng.uniform(-3.0, 3.0, groups))[group]
    km = ratio * fraction_unbound * weight / volume
    share = np.where(np.tile(flagged[group], 2), parameters["clint.liver"], 0.0)  # (2 n,)
    parameters["km[saturable]"] = _pair(km, km, n)
    parameters["vmax[saturable]"] = share * parameters["km[saturable]"]
    parameters["clint.liver"] = parameters["clint.liver"] - share
    descriptors[:, _ROW["log_dose_over_km"]] = np.where(flagged[group], -np.log(km), np.nan)
    return True


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
