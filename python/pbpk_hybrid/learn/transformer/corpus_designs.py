"""Who gets what and when, and when blood is drawn: the trial designs of the corpus.

A pack of subjects (as many as are integrated side by side) shares one schedule in units of
its horizon, so that their doses fall together; the horizon itself, in hours, is each
compound's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._core.errors import InputError

#: kinds of regimen; what is not among a corpus' kinds is never drawn and can be held out to
#: test generalisation
REGIMENS = ("bolus", "infusion", "oral", "repeated", "loading", "missed")
#: common grid of saved times in units of the horizon, (0, 1]
GRID = np.unique(np.r_[np.geomspace(2e-3, 0.1, 40), np.linspace(0.02, 1.0, 99)])
_NICE = np.array([6.0, 8.0, 12.0, 24.0, 48.0, 168.0])


@dataclass(frozen=True)
class Schedule:
    """One pack's doses in units of the horizon.

    Parameters
    ----------
    time
        (D,)
    size
        (D,) relative to the first
    duration
        of each dose, 0 for a bolus or an oral dose
    oral
        by mouth
    spacing
        between doses, 0 for a single one
    """

    time: np.ndarray
    size: np.ndarray
    duration: float
    oral: bool
    spacing: float


def draw_schedule(rng: np.random.Generator, kinds: tuple[str, ...], most: int) -> Schedule:
    """A schedule of at most `most` doses."""
    routes = [k for k in ("bolus", "infusion", "oral") if k in kinds]
    weights = np.array([{"bolus": 0.22, "infusion": 0.28, "oral": 0.5}[r] for r in routes])
    route = routes[rng.choice(len(routes), p=weights / weights.sum())]
    n = 1 if most == 1 or "repeated" not in kinds else int(rng.integers(2, most + 1))
    if n == 1:
        duration = (
            float(np.exp(rng.uniform(np.log(0.01), np.log(0.6)))) if route == "infusion" else 0.0
        )
        return Schedule(np.zeros(1), np.ones(1), duration, route == "oral", 0.0)
    spacing = 1.0 / (n - 1 + rng.uniform(0.8, 3.5))
    time, size = spacing * np.arange(n), np.ones(n)
    if "loading" in kinds and rng.random() < 0.3:
        size[0] = rng.uniform(1.5, 3.0)
    if "missed" in kinds and n > 2 and rng.random() < 0.4:
        stay = np.r_[True, rng.random(n - 1) > 0.25]
        time, size = time[stay], size[stay]
    duration = (
        spacing * float(np.exp(rng.uniform(np.log(0.03), np.log(0.6))))
        if route == "infusion"
        else 0.0
    )
    return Schedule(time, size, duration, route == "oral", spacing)


def horizon(rng: np.random.Generator, schedule: Schedule, half_life: np.ndarray) -> np.ndarray:
    """(n,) [h] length of the study for compounds of these half-lives [h]."""
    n = len(half_life)
    if schedule.spacing == 0.0:
        own = half_life * np.exp(rng.uniform(np.log(0.5), np.log(9.0), n))
        if schedule.duration > 0:
            # fast drugs are infused for many half-lives
            own = own * np.exp(np.where(rng.random(n) < 0.25, rng.uniform(0.0, 2.0, n), 0.0))
        # many studies sample one day, whatever the half-life
        day = rng.choice([12.0, 24.0, 48.0, 72.0], n)
        near = (day > 0.7 * half_life) & (day < 12 * half_life) & (rng.random(n) < 0.4)
        return np.clip(np.where(near, day, own), 0.05, 2000.0)
    # drugs of long half-lives are given daily all the same: phenobarbital in neonates every
    # 12 of 110 h
    wished = half_life * np.exp(rng.uniform(np.log(0.08), np.log(5.0), n))
    interval = _NICE[np.abs(np.log(wished[:, None] / _NICE)).argmin(axis=1)]
    interval = np.where(wished < 3.0, wished, interval)
    return interval / schedule.spacing


@dataclass(frozen=True)
class Samples:
    """Which points of GRID are observed and which are asked for: (B, N) and (B, Q), -1 for none."""

    observed: np.ndarray
    asked: np.ndarray
    whole: np.ndarray  # (B, N) of the patient's full profile, as other patients see it


def draw_samples(
    rng: np.random.Generator, n: int, n_observed: int, n_asked: int, n_whole: int
) -> Samples:
    """Rich, sparse and random designs: few or many samples, early or spread, the rest asked for.

    In four of five patients all that is observed lies before all that is asked for; in the
    fifth the two are mixed.
    """
    logs = np.gradient(np.log(GRID))
    # density of sampling over the grid: even in log time, even in time, or in between
    evenness = rng.random((n, 1))
    weight = logs[None, :] ** evenness * np.gradient(GRID)[None, :] ** (1 - evenness)
    key = np.log(weight) + rng.gumbel(size=weight.shape)
    cut = np.exp(rng.uniform(np.log(0.02), np.log(0.8), n))[:, None]
    forecast = (rng.random(n) < 0.8)[:, None]
    before = GRID[None, :] <= cut
    counts = rng.choice(
        np.array([0, 1, 2, 3, 4, 5, 6, 8, 10, 12]),
        n,
        p=[0.06, 0.17, 0.17, 0.18, 0.1, 0.1, 0.08, 0.06, 0.04, 0.04],
    )
    observed = _pick(
        np.where(before | ~forecast, key, -np.inf), np.minimum(counts, n_observed), n_observed
    )
    taken = np.zeros_like(before)
    np.put_along_axis(taken, np.maximum(observed, 0), observed >= 0, axis=1)
    later = rng.gumbel(size=weight.shape) + np.log(weight)
    # a sixth of the questions may lie before the cut: gaps are to be filled too
    open_ = ~taken & (~(before & forecast) | (rng.random(weight.shape) < 0.1))
    asked = _pick(np.where(open_, later, -np.inf), np.full(n, n_asked), n_asked)
    whole = _pick(
        key + 0.5 * rng.gumbel(size=key.shape),
        rng.integers(min(4, n_whole), n_whole + 1, n),
        n_whole,
    )
    return Samples(observed, asked, whole)


def _pick(key: np.ndarray, count: np.ndarray, most: int) -> np.ndarray:
    """The `count` points with the highest keys of every row, in order of time; -1 where
    there are fewer.
    """
    best = np.argpartition(-key, most, axis=1)[:, :most]
    best = np.take_along_axis(
        best, np.argsort(-np.take_along_axis(key, best, axis=1), axis=1), axis=1
    )
    ok = (np.arange(most)[None, :] < count[:, None]) & np.isfinite(
        np.take_along_axis(key, best, axis=1)
    )
    out = np.sort(np.where(ok, best, len(GRID)), axis=1)
    return np.where(out < len(GRID), out, -1)


def check_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds themselves; at least one route among them.

    Raises
    ------
    InputError
        an unknown kind, or no route
    """
    unknown = [k for k in kinds if k not in REGIMENS]
    if unknown or not set(kinds) & {"bolus", "infusion", "oral"}:
        raise InputError("regimens", list(kinds), f"some of {list(REGIMENS)}, a route among them")
    return tuple(kinds)


__all__ = [
    "GRID",
    "REGIMENS",
    "Samples",
    "Schedule",
    "check_kinds",
    "draw_samples",
    "draw_schedule",
    "horizon",
]
