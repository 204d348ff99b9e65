"""The compartmental part of the corpus: one to three compartments, absorption of many
shapes, some saturable.

Real concentration curves have shapes that no whole-body model draws. As in AICMET (Ojeda
Marin et al. 2025, arXiv 2508.15659), random compartmental models cover them; here they are
integrated by the engine as ordinary Systems. States: a1 -> a2 -> a3 -> central <-> two
peripheral compartments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.system.system import Observable, Reaction, System
from .corpus_people import People

STATES = ("a1", "a2", "a3", "central", "shallow", "deep")
#: share of compounds drawn evenly over ln clearance and ln volume instead of near the table's:
#: limits [L/h/kg] and [L/kg]
_EVEN_SHARE, _EVEN_CLEARANCE, _EVEN_VOLUME = 0.2, (0.01, 6.0), (0.08, 10.0)
#: most [L/h/kg], and mean residence times [h] from two minutes (remifentanil: 6 min) to four weeks
_MOST_CLEARANCE, _RESIDENCE = 6.0, (1 / 30, 700.0)
#: shares of compounds of one, two and three compartments; central share of the steady-state
#: volume (beta); ln range of the distribution's rate over that of elimination, and of the fast
#: over the slow. Together they give terminal over steady-state volumes like those of PKSmart's
#: 1,180 human drugs (median 1.36, 10th and 90th percentile 1.02 and 2.9; here 1.2, 1.0, 2.8)
_COMPARTMENTS, _CENTRAL = (0.1, 0.5, 0.4), (1.1, 2.0)
_FAST_OVER_ELIMINATION, _FAST_OVER_SLOW = (0.7, 20.0), (1.5, 12.0)
_A1, _A2, _A3, _C, _S, _D = range(6)
_ROW = np.array([_A1, _A2, _A2, _A3, _A3, _C, _C, _S, _S, _C, _D, _D, _C])
_COL = np.array([_A1, _A1, _A2, _A2, _A3, _A3, _C, _C, _S, _S, _C, _D, _D])


@dataclass(frozen=True)
class Compartmental:
    """Parameters per kg of a 70-kg human, each (groups,) typical or (n,) of the subjects.

    clearance [L/h/kg], volume [L/kg] of the centre, k12.. [1/h], ka [1/h], stages (1 to 3),
    fraction (bioavailable), lag [h], second (share of a second absorption, its delay [h]),
    km [mg/L per mg/kg of dose] and share of saturable clearance
    """

    clearance: np.ndarray
    volume: np.ndarray
    k12: np.ndarray
    k21: np.ndarray
    k13: np.ndarray
    k31: np.ndarray
    ka: np.ndarray
    stages: np.ndarray
    fraction: np.ndarray
    lag: np.ndarray
    second: np.ndarray
    second_delay: np.ndarray
    km: np.ndarray
    saturable: np.ndarray
    volume_steady_state: np.ndarray

    @property
    def half_life(self) -> np.ndarray:
        """[h] ln 2 times the mean residence time, absorption included where that is slower."""
        return np.log(2) * np.maximum(self.volume_steady_state / self.clearance, 0.5 / self.ka)


def draw_typical(
    rng: np.random.Generator,
    groups: int,
    clearance_and_volume: tuple[np.ndarray, np.ndarray],
) -> Compartmental:
    """Typical values of `groups` compounds.

    `clearance_and_volume`: mean (2,) and covariance (2, 2) of ln clearance [L/h/kg] and ln
    steady-state volume [L/kg] of human drugs.
    """
    cl, vss = _draw_clearance_and_volume(rng, groups, *clearance_and_volume)
    n_peripheral = rng.choice([0, 1, 2], groups, p=_COMPARTMENTS)
    central = np.where(n_peripheral == 0, 1.0, rng.beta(*_CENTRAL, groups) * 0.93 + 0.02)
    shallow = np.where(n_peripheral == 2, rng.uniform(0.1, 0.9, groups), 1.0)
    v1, v2, v3 = vss * central, vss * (1 - central) * shallow, vss * (1 - central) * (1 - shallow)
    fast = np.exp(rng.uniform(*np.log(_FAST_OVER_ELIMINATION), groups)) * cl / vss
    slow = fast / np.exp(rng.uniform(*np.log(_FAST_OVER_SLOW), groups))
    q2, q3 = fast * v2, slow * v3
    with np.errstate(divide="ignore", invalid="ignore"):
        k21, k31 = np.where(v2 > 0, q2 / v2, 0.0), np.where(v3 > 0, q3 / v3, 0.0)
    k21, k31 = np.nan_to_num(k21), np.nan_to_num(k31)
    ka = np.exp(rng.normal(np.log(0.9), 1.0, groups))
    stages = rng.choice([1, 2, 3], groups, p=[0.6, 0.2, 0.2])
    return Compartmental(
        cl,
        v1,
        q2 / v1,
        k21,
        q3 / v1,
        k31,
        ka,
        stages,
        rng.uniform(0.1, 1.0, groups),
        _draw_lag(rng, groups),
        np.where(rng.random(groups) < 0.2, rng.uniform(0.1, 0.7, groups), 0.0),
        rng.exponential(3.0, groups),
        np.exp(rng.uniform(np.log(0.02), np.log(20.0), groups)),
        rng.random(groups) < 0.12,
        vss,
    )


def _draw_clearance_and_volume(
    rng: np.random.Generator, groups: int, mean: np.ndarray, cov: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Clearance [L/h/kg] and steady-state volume [L/kg], (groups,) each: near the table's, or
    evenly over a wider range, so that fast drugs are no rarity.
    """
    ln = rng.multivariate_normal(mean, 1.2 * cov, groups)
    even = np.stack(
        [rng.uniform(*np.log(limits), groups) for limits in (_EVEN_CLEARANCE, _EVEN_VOLUME)], axis=1
    )
    ln = np.where(rng.random((groups, 1)) < _EVEN_SHARE, even, ln)
    ln_cl = np.minimum(ln[:, 0], np.log(_MOST_CLEARANCE))
    residence = np.clip(ln[:, 1] - ln_cl, *np.log(_RESIDENCE))
    return np.exp(ln_cl), np.exp(ln_cl + residence)


def _draw_lag(rng: np.random.Generator, groups: int) -> np.ndarray:
    """[h] none for half of the compounds, short for most others, hours for coated tablets."""
    kind = rng.choice(3, groups, p=[0.52, 0.38, 0.1])
    return np.choose(
        kind, [np.zeros(groups), rng.exponential(0.35, groups), rng.gamma(2.0, 0.9, groups)]
    )


def vary(rng: np.random.Generator, typical: Compartmental, group: np.ndarray) -> Compartmental:
    """Values of subjects, which differ by an amount of each compound's own; see
    :class:`.corpus_people.People`.
    """
    people = People(rng, group)

    def factor(low: float, high: float) -> np.ndarray:
        return people.factor(low, high)[0]

    size = factor(0.05, 0.4)  # volumes go together
    cl = typical.clearance[group] * factor(0.1, 0.6) * people.slow_class()
    v1 = typical.volume[group] * size * factor(0.0, 0.2)
    exchange = factor(0.0, 0.4)
    return Compartmental(
        cl,
        v1,
        typical.k12[group] * exchange,
        typical.k21[group] * exchange * factor(0.0, 0.2),
        typical.k13[group] * exchange,
        typical.k31[group] * exchange,
        typical.ka[group] * factor(0.1, 0.8),
        typical.stages[group],
        np.clip(typical.fraction[group] * factor(0.0, 0.3), 0.01, 1.0),
        typical.lag[group] * factor(0.0, 0.8),
        typical.second[group],
        typical.second_delay[group] * factor(0.0, 0.5),
        typical.km[group],
        typical.saturable[group],
        typical.volume_steady_state[group] * size,
    )


def compartmental_system(p: Compartmental, scale: np.ndarray, weight: np.ndarray) -> System:
    """The System in units of each subject's horizon.

    Parameters
    ----------
    scale
        (n,) factor that turns the rates of a 70-kg human [1/h] into those of the subject
        per horizon
    weight
        (n,) [kg]

    Returns
    -------
    System
        With the observable ``plasma``; oral doses go into state ``4 - stages`` of
        the chain.
    """
    n = len(scale)
    zero = np.zeros(n)
    k10 = np.where(p.saturable, 0.0, p.clearance / p.volume)
    rate = np.stack(  # (n, coefficient), in the order of _ROW and _COL
        [
            -p.ka,
            p.ka,
            -p.ka,
            p.ka,
            -p.ka,
            p.ka,
            -(k10 + p.k12 + p.k13),
            p.k12,
            -p.k21,
            p.k21,
            p.k13,
            -p.k31,
            p.k31,
        ],
        axis=1,
    )
    litres = p.volume * weight
    reactions = ()
    if p.saturable.any():
        # amounts are relative to the dose per kg, so Km is in multiples of the dose
        km_amount = p.km * weight * p.volume
        vmax = np.where(p.saturable, p.clearance / p.volume * km_amount, 0.0)
        values = np.stack([vmax * scale, km_amount], axis=1)  # (n, 2)
        reactions = (Reaction("elimination", "michaelis_menten", (_C,), {_C: -1.0}, values),)
    return System(
        STATES,
        _ROW,
        _COL,
        rate * scale[:, None],
        reactions,
        {"plasma": Observable((_C,), 1.0 / litres + zero)},
        {"iv": _C},
        n_subjects=n,
    )


__all__ = ["Compartmental", "compartmental_system", "draw_typical", "vary"]
