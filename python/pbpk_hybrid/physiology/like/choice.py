"""n of the candidates, nobody twice, who meet the table among themselves.

They are drawn with chances in proportion to their weights (systematic sampling, in random order).
Then chosen people change places with others, drawn by the same weights, wherever that brings the
moments of the n nearer to the table.

A quantile of few people lies between two of them, who may be far apart. Some of the n are therefore
taken right below and right above each quantile asked, and keep their places.
"""

from __future__ import annotations

import numpy as np

_ANCHORS = 2  # people right below, and above, each quantile
_TRIES = 64  # pairs looked at for one exchange
_SCAN = 10  # rounds without a better exchange, after which everybody is looked at
_PATIENCE = 60  # rounds without a better exchange
_ENOUGH = 5e-4  # gap of every moment, relative to the value asked, at which to stop
_LARGEST_ROUNDS = 4000


def inclusion(weight: np.ndarray, n: int) -> np.ndarray:
    """(person,) chances to be among n: n w, but at most 1."""
    chance = np.minimum(n * weight, 1.0)
    for _ in range(100):
        free = chance < 1.0
        missing = n - chance.sum()
        total = chance[free].sum()
        if missing < 1e-9 or total <= 0:
            break
        chance[free] = np.minimum(chance[free] * (1 + missing / total), 1.0)
    return chance


def draw(rng: np.random.Generator, weight: np.ndarray, n: int) -> np.ndarray:
    """n different people by systematic sampling, by number."""
    order = rng.permutation(weight.size)
    cumulative = np.cumsum(inclusion(weight, n)[order])
    points = (np.arange(n) + rng.random()) * (cumulative[-1] / n)
    found = np.searchsorted(cumulative, points, side="right")
    chosen = np.unique(order[np.minimum(found, weight.size - 1)])
    if chosen.size < n:  # rounding at a chance of 1: fill up with the likeliest of the others
        others = np.setdiff1d(np.argsort(-weight), chosen, assume_unique=True)
        likely = others[np.argsort(-weight[others], kind="stable")]
        chosen = np.concatenate([chosen, likely[: n - chosen.size]])
    return rng.permutation(chosen)


def anchor(
    rng: np.random.Generator, weight: np.ndarray, chosen: np.ndarray, groups: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The chosen people with some of each group among them, and (n,) bool who keeps the place.

    `groups`: numbers of people, such as those right below a quantile.
    """
    chosen = chosen.copy()
    kept = np.zeros(chosen.size, dtype=bool)
    for group in groups:
        there = np.flatnonzero(np.isin(chosen, group) & ~kept)[:_ANCHORS]
        kept[there] = True
        others = np.setdiff1d(group, chosen, assume_unique=True)
        others = others[weight[others] > 0]
        free = rng.permutation(np.flatnonzero(~kept))
        size = min(_ANCHORS - there.size, others.size, free.size)
        if size <= 0:
            continue
        chance = weight[others] / weight[others].sum()
        if np.count_nonzero(chance) < size:
            continue
        chosen[free[:size]] = rng.choice(others, size, replace=False, p=chance)
        kept[free[:size]] = True
    return chosen, kept


def exchange(
    rng: np.random.Generator,
    f: np.ndarray,
    weight: np.ndarray,
    chosen: np.ndarray,
    kept: np.ndarray | None = None,
) -> np.ndarray:
    """The chosen people after exchanges that bring the mean of `f` among them to 0.

    Parameters
    ----------
    f : ndarray
        (person, feature), of mean 0 where the table is met.
    weight : ndarray
        (person,) by which others are drawn.
    chosen : ndarray
        (n,) numbers of different people.
    kept : ndarray, optional
        (n,) bool, who keeps the place.
    """
    chosen = chosen.copy()
    n = chosen.size
    free = np.arange(n) if kept is None else np.flatnonzero(~kept)
    if not f.shape[1] or weight.size <= n or not free.size:
        return chosen
    inside = np.zeros(weight.size, dtype=bool)
    inside[chosen] = True
    cumulative, everybody = np.cumsum(weight), np.arange(weight.size)
    gap = f[chosen].mean(axis=0)
    waiting = 0
    for _ in range(_LARGEST_ROUNDS):
        if np.abs(gap).max() < _ENOUGH or waiting > _PATIENCE:
            break
        if waiting and waiting % _SCAN == 0:
            # nobody drawn by weight helps: look at everybody for one of the places
            other = everybody
            place = np.full(other.size, free[rng.integers(0, free.size)])
        else:
            place = free[rng.integers(0, free.size, _TRIES)]
            other = np.searchsorted(cumulative, rng.random(_TRIES) * cumulative[-1], side="right")
            other = np.minimum(other, weight.size - 1)
        after = gap + (f[other] - f[chosen[place]]) / n  # (try, feature)
        error = np.square(after).sum(axis=1)
        error[inside[other]] = np.inf
        best = int(np.argmin(error))
        if error[best] >= np.square(gap).sum() * (1 - 1e-9):
            waiting += 1
            continue
        waiting = 0
        inside[chosen[place[best]]], inside[other[best]] = False, True
        chosen[place[best]] = other[best]
        gap = after[best]
    return chosen


__all__ = ["anchor", "draw", "exchange", "inclusion"]
