"""From a StopTable to what each pack does at each stop, as rows of lanes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base import KEEP, StopTable
from .lanes import LANES, aligned_lanes
from .pack import pack_count


@dataclass(frozen=True, eq=False)
class PackedStops:
    """Stops of all packs, concatenated: pack p owns ``time[first[p]:first[p+1]]``; stop s
    owns actions ``ptr[s]:ptr[s+1]`` of `kind`, `state` and `value` (n_actions, LANES)."""

    first: np.ndarray
    time: np.ndarray
    ptr: np.ndarray
    kind: np.ndarray
    state: np.ndarray
    value: np.ndarray


def pack_stops(stops: StopTable, n_subjects: int, place: np.ndarray) -> PackedStops:
    """Merge what happens to the subjects of each pack at the same time into one stop.

    Lanes that a stop does not concern get 0 (ADD, RATE) or 1 (KEEP): nothing happens to
    them but a step end.
    """
    if stops.shared:
        return _pack_shared(stops, n_subjects, place)
    return _pack_each(stops, n_subjects, place)


def _pack_shared(stops: StopTable, n_subjects: int, place: np.ndarray) -> PackedStops:
    packs, n = pack_count(n_subjects), len(stops.time)
    order = np.lexsort((stops.kind != KEEP, stops.time))
    time = stops.time[order]
    begins = (
        np.flatnonzero(np.r_[True, time[1:] != time[:-1]]) if n else np.zeros(0, dtype=np.int64)
    )
    value = np.broadcast_to(np.atleast_2d(stops.value)[:, order], (n_subjects, n))
    out = aligned_lanes(packs * n)
    neutral = np.where(stops.kind[order] == KEEP, 1.0, 0.0)
    padded = np.empty((packs * LANES, n))
    padded[:n_subjects] = value
    padded[n_subjects:] = neutral
    out[:] = padded.reshape(packs, LANES, n).transpose(0, 2, 1).reshape(packs * n, LANES)
    n_stops = len(begins)
    ptr = (np.arange(packs)[:, None] * n + begins[None, :]).ravel()
    return PackedStops(
        first=np.arange(packs + 1, dtype=np.int64) * n_stops,
        time=np.tile(time[begins], packs),
        ptr=np.r_[ptr, packs * n].astype(np.int64),
        kind=np.tile(stops.kind[order], packs).astype(np.int64),
        state=np.tile(place[stops.state[order]], packs).astype(np.int64),
        value=out,
    )


def _pack_each(stops: StopTable, n_subjects: int, place: np.ndarray) -> PackedStops:
    subject, time, kind, state, value = _for_each_subject(stops, n_subjects)
    pack, place_in_pack = subject // LANES, subject % LANES
    state = np.where(kind == KEEP, 0, place[state])
    # one row of lanes per (pack, time, kind, state); KEEP first so that a reset comes
    # before the dose
    kind_order = np.where(kind == KEEP, 0, 1 + kind)
    order = np.lexsort((state, kind_order, time, pack))
    pack, time, kind, state, value, place_in_pack = (
        a[order] for a in (pack, time, kind, state, value, place_in_pack)
    )
    new = _changes(pack, time, kind, state)
    row = np.cumsum(new) - 1
    heads = np.flatnonzero(new)
    out = aligned_lanes(len(heads))
    out[kind[heads] == KEEP] = 1.0
    adds = kind != KEEP
    np.add.at(out, (row[adds], place_in_pack[adds]), value[adds])
    out[row[~adds], place_in_pack[~adds]] = value[~adds]
    pack_h, time_h = pack[heads], time[heads]
    stop_rows = np.flatnonzero(_changes(pack_h, time_h))
    packs = pack_count(n_subjects)
    return PackedStops(
        first=np.searchsorted(pack_h[stop_rows], np.arange(packs + 1)).astype(np.int64),
        time=np.ascontiguousarray(time_h[stop_rows]),
        ptr=np.r_[stop_rows, len(heads)].astype(np.int64),
        kind=kind[heads].astype(np.int64),
        state=state[heads].astype(np.int64),
        value=out,
    )


def _for_each_subject(stops: StopTable, n_subjects: int) -> tuple[np.ndarray, ...]:
    """(subject, time, kind, state, value) with shared rows repeated for every subject."""
    subject, time, kind, state = stops.subject, stops.time, stops.kind, stops.state
    everyone = subject == -1
    if not everyone.any():
        return subject, time, kind, state, stops.value
    shared = np.flatnonzero(everyone)
    rows = np.r_[np.flatnonzero(~everyone), np.repeat(shared, n_subjects)]
    subject = np.r_[subject[~everyone], np.tile(np.arange(n_subjects), len(shared))]
    return subject, time[rows], kind[rows], state[rows], stops.value[rows]


def _changes(*columns: np.ndarray) -> np.ndarray:
    """(n,) whether a row of sorted columns differs from the row before; the first one does."""
    new = np.ones(len(columns[0]), dtype=bool)
    if len(new):
        new[1:] = np.any([c[1:] != c[:-1] for c in columns], axis=0)
    return new
