"""The times that are saved where nobody names any: one grid for Python, command line and app.

A curve is dense after every change of what enters (a dose, the start and end of an
infusion, a reset), has a point just before every later one, so that troughs are troughs,
and goes on until 99 % of the area that the last dose leaves is behind in the median
person. Where the area ends and when curves peak is found by integrating a few of the
people first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._core.errors import InputError
from .._core.units import quantity
from ..dosing import just_before
from ..models.system.system import System
from .areas import solve
from .base import ADD, KEEP, RATE, Backend, Problem, SolverOptions, Status, StopTable

#: share of the area after the last dose that the grid covers in the median person
SHARE = 0.99
#: [h] after the last change at which the search for that time ends
LONGEST = 8760.0
#: [h] after the last change where there is no curve to go by
PLAIN = 24.0
#: people integrated for the search: one pack of the embedded backend
PEOPLE = 8
#: up to so many changes of the input get every point; points around the peak and some
#: more; points around the peak; few points. More are refused
FULL, ROUGH, PEAKS, MOST = 3, 60, 1000, 5000

_SECONDS = np.array([1, 2, 4, 8, 15, 30]) / 3600
# ratio 1.13 up to an hour: the largest saved value of a first-order rise and fall is
# within 0.3 % of the peak
_MINUTES = np.unique(np.round(np.geomspace(60, 3600, 35) / 15) * 15) / 3600
#: (up to, every) [h]
_HOURS = (
    (2, 0.125),
    (6, 0.25),
    (12, 0.5),
    (24, 1),
    (48, 2),
    (96, 4),
    (192, 8),
    (768, 24),
    (LONGEST, 120),
)
_LATER = np.unique(np.concatenate([np.arange(step, end + step / 2, step) for end, step in _HOURS]))
_AROUND = (
    1.2  # ratio of points about a peak: ((1.2 - 1)^2)/8 = 0.5 % at most for first-order curves
)
_EVERY = 0.125  # h: where subjects are dosed at times of their own
_NEAR = 1e-5  # h: points closer to a change than this are left out


@dataclass(frozen=True)
class TimeGrid:
    """What a grid of default times should reach.

    Parameters
    ----------
    until : [h] last time; None: as the curve needs
    at_least : [h] the last time is not earlier than this, e.g. that of the last observation

    Raises
    ------
    InputError, UnitError : a time that cannot be used
    """

    until: float | None = None
    at_least: float = 0.0

    def __post_init__(self) -> None:
        if self.until is not None:
            until = quantity(self.until, "h", "until", positive=True)
            object.__setattr__(self, "until", until)
        object.__setattr__(self, "at_least", quantity(self.at_least, "h", "at_least", minimum=0))


@dataclass(frozen=True, eq=False)
class _Changes:
    """When what enters changes: (n,) times [h], ascending, and whether it is at once (a
    bolus, a reset) or by a rate.
    """

    time: np.ndarray
    rated: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, eq=False)
class _Curves:
    """A few people's curves over a fine grid: (n_people, n_times) of each compound; areas alike."""

    time: np.ndarray
    sums: np.ndarray
    area: np.ndarray


def default_times(
    system: System,
    stops: StopTable,
    backend: Backend,
    options: SolverOptions,
    *,
    wanted: TimeGrid | None = None,
    interval: float = 0.0,
    start: float = 0.0,
) -> tuple[np.ndarray, str]:
    """The times to save, and one sentence about them for the attributes of the result.

    Parameters
    ----------
    stops : of all subjects, with all doses
    wanted : what the grid should reach
    interval : [h] from the last dose to where the next would be; the grid covers it
    start : [h] time at which the integration starts

    Raises
    ------
    InputError : more than 5000 changes of what enters
    """
    wanted = wanted or TimeGrid()
    changes = _changes(stops)
    refuse_many(len(changes))
    last = float(changes.time[-1]) if len(changes) else 0.0
    curves = _curves(system, stops, changes, backend, options, start) if len(changes) else None
    end, note = _horizon(curves, last, interval, wanted)
    if len(changes) > PEAKS:
        note += f"; few points a dose, since the input changes {len(changes)} times"
    times = _grid(changes, curves, end, last + interval)
    if not stops.shared:  # one subject's peak may lie behind another one's dose
        times = np.union1d(times, np.arange(0.0, end, max(_EVERY, end / MOST)))
    return times, note


def refuse_many(changes: int) -> None:
    """
    Raises
    ------
    InputError : so many changes of what enters that no default times make sense
    """
    if changes > MOST:
        raise InputError(
            "times",
            None,
            f"the times to save [h], where doses and infusions change the input {changes} times",
            hint=f"times are chosen for you for at most {MOST} changes",
        )


def _changes(stops: StopTable) -> _Changes:
    """Times of the stops that matter: a formulation that releases in 60 pieces of nearly
    one rate changes little 58 times.
    """
    value = np.nan_to_num(np.atleast_2d(stops.value))  # NaN: a steady state that was not found
    size = np.abs(value).max(axis=0)
    signed = np.where(np.abs(value.min(axis=0)) > value.max(axis=0), -size, size)
    key = np.stack([stops.subject, stops.time])
    pairs, which = np.unique(key, axis=1, return_inverse=True)
    which = which.ravel()
    net = np.zeros(pairs.shape[1])
    rates = stops.kind == RATE
    np.add.at(net, which[rates], signed[rates])
    net = np.abs(net)
    subject = pairs[0].astype(int) + 1
    most = np.zeros(subject.max(initial=0) + 1)
    np.maximum.at(most, subject, net)
    scale = most[subject]
    rated = (net > 0.1 * scale) & (net > 0)
    at_once = np.zeros(pairs.shape[1], bool)
    jump = ((stops.kind == ADD) & (size > 0)) | ((stops.kind == KEEP) & (value != 1).any(axis=0))
    at_once[which[jump]] = True
    keep = rated | at_once
    time = np.unique(pairs[1, keep])
    by_rate = np.isin(time, pairs[1, rated])
    return _Changes(time, by_rate)


def _representatives(system: System) -> np.ndarray:
    n = system.n_subjects
    return np.unique(np.linspace(0, n - 1, min(n, PEOPLE)).round().astype(int))


def _stops_of(stops: StopTable, people: np.ndarray) -> StopTable:
    """The stops of some subjects, renumbered from 0."""
    if stops.shared:
        value = stops.value
        if value.ndim == 2 and len(value) > 1:
            value = value[people]
        return replace(stops, value=value)
    place = np.searchsorted(people, stops.subject)
    mine = (place < len(people)) & (people[np.minimum(place, len(people) - 1)] == stops.subject)
    keep = mine | (stops.subject == -1)
    subject = np.where(mine, place, -1)[keep]
    return StopTable(
        subject, stops.time[keep], stops.kind[keep], stops.state[keep], stops.value[keep]
    )


def _watched(system: System) -> tuple[str, ...]:
    """Plasma of every compound."""
    each = tuple(n for n in system.observables if n.endswith(":plasma"))
    return each or (("plasma",) if "plasma" in system.observables else ())


def _curves(system, stops, changes, backend, options, start) -> _Curves | None:
    """Plasma of a few people to a year after the last change; None where there is none or
    it cannot be integrated.
    """
    names = _watched(system)
    if not names:
        return None
    people = _representatives(system)
    spans = np.diff(np.r_[changes.time, changes.time[-1] + LONGEST])
    fine = np.r_[_SECONDS[3:], _MINUTES, _LATER]
    parts = []
    for i, (time, span) in enumerate(zip(changes.time, spans, strict=True)):
        near_an_end = min(i, len(changes) - 1 - i) < 5
        points = fine if len(changes) <= ROUGH or near_an_end else np.geomspace(0.02, span, 30)
        parts.append(time + points[points < span])
    tail = changes.time[-1] + np.geomspace(0.02, LONGEST, 400)
    times = np.unique(np.concatenate([[start], changes.time, *parts, tail]))
    quick = SolverOptions(rtol=1e-5, max_steps=options.max_steps, threads=1)
    problem = Problem(
        system.take(people), _stops_of(stops, people), times, names, start, None, (), names
    )
    result = solve(backend, problem, quick)
    good = result.status == Status.SUCCESS
    if not good.any():
        return None
    return _Curves(times, result.amount[good], result.area[good])


def _horizon(
    curves: _Curves | None, last: float, interval: float, wanted: TimeGrid
) -> tuple[float, str]:
    """Last time [h], and why."""
    if wanted.until is not None:
        return wanted.until, f"dense after every dose, to {wanted.until:g} h as asked for"
    floor = max(last + interval, wanted.at_least)
    ends = _ends(curves, last)
    if ends is None:
        end = max(last + PLAIN, floor)
        return (
            end,
            f"dense after every dose, to {end:g} h: a day after the last change of the input",
        )
    capped = ends >= last + LONGEST
    end = _rounded(ends, last)
    if end <= floor:
        return floor, f"dense after every dose, to {floor:g} h: the last interval or observation"
    if capped:
        return end, (
            f"dense after every dose, to {end:g} h: cut off a year after the last dose, "
            "although less than "
            f"{SHARE:.0%} of the area under the curve lies before it in the median person"
        )
    return end, (
        f"dense after every dose, to {end:g} h: {SHARE:.0%} of the area under the curve from "
        "the last dose on lies "
        "before it in the median person"
    )


def _ends(curves: _Curves | None, last: float) -> float | None:
    """When the median person has lost its area after `last`, of the compound that takes
    longest; None: no area.
    """
    if curves is None:
        return None
    row = int(np.searchsorted(curves.time, last))
    t = curves.time[row:]
    found = []
    for o in range(curves.area.shape[2]):
        ends = []
        for area, amount in zip(curves.area[:, row:, o], curves.sums[:, row:, o], strict=True):
            gone = area - area[0]
            total = gone[-1] + _rest(t, amount)
            if not total > 0:
                continue
            reached = np.flatnonzero(gone >= SHARE * total)
            ends.append(np.interp(SHARE * total, gone, t) if reached.size else last + LONGEST)
        if ends:
            found.append(float(np.median(ends)))
    return max(found) if found else None


def _rest(t: np.ndarray, amount: np.ndarray) -> float:
    """Area beyond the last time, by the slope at the end; infinite where nothing falls."""
    before, after = amount[-2], amount[-1]
    if not after > 1e-9 * amount.max():
        return 0.0
    return after * (t[-1] - t[-2]) / np.log(before / after) if before > after else np.inf


def _rounded(end: float, last: float) -> float:
    """Up to the next whole tenth of an hour, hour, six hours or day, as the time after
    the last change is long.
    """
    length = end - last
    step = next(s for limit, s in ((1, 0.1), (24, 1), (96, 6), (np.inf, 24)) if length <= limit)
    return float(min(round(np.ceil(end / step - 1e-9) * step, 9), last + LONGEST))


def _grid(changes: _Changes, curves: _Curves | None, end: float, next_dose: float) -> np.ndarray:
    at = changes.time[changes.time <= end]
    special = np.r_[0.0, at, min(next_dose, end), end]
    later = at[at > 0]
    special = np.r_[special, just_before(later)]
    first = at[0] if at.size else 0.0
    parts = [_pattern(end)] if not at.size else []
    if first > 0:
        parts.append(np.linspace(0.0, first, 5))
    for i, time in enumerate(at):
        span = (at[i + 1] if i + 1 < len(at) else end) - time
        parts.append(time + _after(i, len(at), span, bool(changes.rated[i]), curves, time))
    times = np.unique(np.concatenate([*parts, [0.0]]).round(9))
    special = np.unique(special)
    place = np.searchsorted(special, times)
    near = np.zeros(times.size, bool)
    for j in (place - 1, place):
        inside = (j >= 0) & (j < special.size)
        near |= inside & (np.abs(special[np.clip(j, 0, special.size - 1)] - times) < _NEAR)
    return np.union1d(times[~near & (times <= end)], special)


def _pattern(span: float) -> np.ndarray:
    fine = np.r_[_MINUTES, _LATER]
    return fine[fine < span]


def _after(i: int, n: int, span: float, rated: bool, curves, time: float) -> np.ndarray:
    """Points after change i of n, relative to it: all for few changes and the last, else
    about the peak and a few more.
    """
    if n <= FULL or i == n - 1:
        return np.r_[_SECONDS[_SECONDS < span], _pattern(span), _peaks(curves, time, span, 1.1)]
    if n <= ROUGH:
        rough = np.r_[_SECONDS[3], np.geomspace(1 / 60, max(span, 1 / 30), 10)]
        return np.r_[rough[rough < span], _peaks(curves, time, span, _AROUND)]
    ratio = _AROUND if n <= PEAKS or min(i, n - 1 - i) < 5 else 1.6
    return np.r_[_peaks(curves, time, span, ratio), span / 2]


def _peaks(curves: _Curves | None, time: float, span: float, ratio: float) -> np.ndarray:
    """Points from half of the earliest peak to twice the latest one among the people, a
    ratio apart.
    """
    if curves is None:
        return np.empty(0)
    inside = (curves.time > time) & (curves.time < just_before(time + span))
    if inside.sum() < 3:
        return np.empty(0)
    t = curves.time[inside] - time
    peak = t[curves.sums[:, inside].argmax(axis=1)]
    # a peak at either end is at a change, which is saved anyway
    peak = peak[(peak > t[0]) & (peak < t[-1])]
    if not peak.size:
        return np.empty(0)
    low, high = peak.min() / 2, min(2 * peak.max(), span)
    points = low * ratio ** np.arange(np.ceil(np.log(high / low) / np.log(ratio)) + 1)
    return points[points < span]


__all__ = ["TimeGrid", "default_times", "refuse_many"]
