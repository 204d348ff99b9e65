r"""Linear systems solved exactly, eight subjects at a time: exponentials by doubling.

For dy/dt = K y and a short time :math:`\delta` the change is
:math:`F_0 = e^{K\delta} - I`, by its Taylor series. Doubling the time,

.. math:: F_{j+1} = 2 F_j + F_j^2,

gives :math:`F_j = e^{K \delta 2^j} - I` for all powers of two (scaling and squaring, Higham
2005, SIAM J Matrix Anal Appl 26:1179, in the form of `expm1`, which keeps the digits of slow
processes: squaring :math:`I + F` would double the rounding error of the identity each time).
A step of any length then takes one product with a vector for each bit of its length in units
of :math:`\delta`, and a Taylor series for what is left.

States that nothing leaves have columns of zeros in K and F; the others come first here.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from ..base import ADD, KEEP, RATE
from .compiled import kernel
from .lanes import LANES, lane, load, splat, store

#: terms of the Taylor series: the norm of K delta is at most 1, so the rest is below 1/19!
TERMS = 18

#: Integer structure (int64): number of states `n`, of them `c` that something leaves, first;
#: K by rows (ptr, column); sums to save, those to integrate (rows of their integrals and of
#: the integrals of these); states of the system, and those that a reset empties
Flow = namedtuple("Flow", "n c ptr column out_ptr out_state area moment own emptied")


@kernel(forceinline=True)
def _taylor_matrix(flow, k_value, delta, f, at, spare):
    """F_0 = e^(K delta) - I into rows at.. of `f`, by Horner's scheme."""
    n, c = flow.n, flow.c
    for i in range(n * c):
        store(f, at + i, splat(0.0))
    for term in range(TERMS, 0, -1):
        for i in range(n):
            for j in range(c):
                store(spare, i * c + j, splat(0.0))
            for e in range(flow.ptr[i], flow.ptr[i + 1]):
                through = flow.column[e]
                a = (delta / term) * load(k_value, e)
                for j in range(c):
                    x = load(spare, i * c + j) + a * load(f, at + through * c + j)
                    store(spare, i * c + j, x)
                store(spare, i * c + through, load(spare, i * c + through) + a)
        for i in range(n * c):
            store(f, at + i, load(spare, i))


@kernel(forceinline=True)
def _double(n, c, f, of, to):
    """Rows to.. of `f` = 2 F + F F, of the F in rows of.."""
    for i in range(n):
        row, out = of + i * c, to + i * c
        for j in range(c):
            store(f, out + j, 2.0 * load(f, row + j))
        k = 0
        while k + 3 < c:
            a0, a1 = load(f, row + k), load(f, row + k + 1)
            a2, a3 = load(f, row + k + 2), load(f, row + k + 3)
            first = of + k * c
            for j in range(c):
                x = load(f, out + j) + a0 * load(f, first + j)
                x = x + a1 * load(f, first + c + j)
                x = x + a2 * load(f, first + 2 * c + j)
                x = x + a3 * load(f, first + 3 * c + j)
                store(f, out + j, x)
            k += 4
        while k < c:
            a0 = load(f, row + k)
            for j in range(c):
                store(f, out + j, load(f, out + j) + a0 * load(f, of + k * c + j))
            k += 1


@kernel(forceinline=True)
def _apply(n, c, f, at, y, change):
    """y += F y."""
    for i in range(n):
        row = at + i * c
        x = load(f, row) * load(y, 0)
        for k in range(1, c):
            x = x + load(f, row + k) * load(y, k)
        store(change, i, x)
    for i in range(n):
        store(y, i, load(y, i) + load(change, i))


@kernel(forceinline=True)
def _taylor_vector(flow, k_value, time, y, term, change):
    """y = e^(K time) y for a time at most delta."""
    n = flow.n
    for i in range(n):
        store(term, i, load(y, i))
    for m in range(1, TERMS + 1):
        for i in range(n):
            x = splat(0.0)
            for e in range(flow.ptr[i], flow.ptr[i + 1]):
                x = x + load(k_value, e) * load(term, flow.column[e])
            store(change, i, (time / m) * x)
        for i in range(n):
            store(term, i, load(change, i))
            store(y, i, load(y, i) + load(change, i))


@kernel()
def fill_ladder(
    flow: Flow, k_value: np.ndarray, delta: float, levels: int, f: np.ndarray, spare: np.ndarray
) -> None:
    """F_0 to F_(levels - 1) of one pack, one after the other."""
    size = flow.n * flow.c
    _taylor_matrix(flow, k_value, delta, f, 0, spare)
    for j in range(1, levels):
        _double(flow.n, flow.c, f, (j - 1) * size, j * size)


@kernel()
def advance(
    flow: Flow,
    k_value: np.ndarray,
    delta: float,
    levels: int,
    f: np.ndarray,
    time: float,
    y: np.ndarray,
    scratch: np.ndarray,
    change: np.ndarray,
) -> None:
    """y after `time`, below 2^levels delta."""
    size = flow.n * flow.c
    count = int(time / delta + 1e-9)
    rest = time - count * delta
    for j in range(levels - 1, -1, -1):
        if count & (1 << j):
            _apply(flow.n, flow.c, f, j * size, y, change)
    if abs(rest) > 4e-16 * time:  # else rounding of the length
        _taylor_vector(flow, k_value, rest, y, scratch, change)


@kernel(forceinline=True)
def _sum(rows, y):
    total = splat(0.0)
    for r in rows:
        total = total + load(y, r)
    return total


@kernel()
def propagate_packs(
    flow: Flow,
    out_weight: np.ndarray,
    k_value: np.ndarray,
    delta: np.ndarray,
    levels: np.ndarray,
    times: np.ndarray,
    first_stop: np.ndarray,
    stop_time: np.ndarray,
    stop_ptr: np.ndarray,
    kind: np.ndarray,
    state: np.ndarray,
    value: np.ndarray,
    start: float,
    y: np.ndarray,
    f: np.ndarray,
    spare: np.ndarray,
    out: np.ndarray,
    area: np.ndarray,
    moment: np.ndarray,
    given: np.ndarray,
    balance: np.ndarray,
    lowest: np.ndarray,
    guarded: np.ndarray,
    n_subjects: int,
    from_pack: int,
    to_pack: int,
) -> None:
    """Exact solutions of packs from_pack..to_pack at all times.

    Parameters
    ----------
    k_value : (packs, entries, LANES)
    delta, levels : (packs,) shortest time of each ladder and its length
    first_stop, stop_time, stop_ptr, kind, state, value : as of :class:`.stops.PackedStops`
    y : (packs, n, LANES) at the start; at the last time afterwards
    f, spare : scratch for a ladder and for a matrix
    out, area, moment, given, balance : results by subject, as of :class:`.PackedRun`
    lowest : (packs, 1, LANES) smallest amount of a guarded state at a saved time
    """
    n = flow.n
    change, term = spare[:n], spare[n : 2 * n]
    for pack in range(from_pack, to_pack):
        k, at = k_value[pack], y[pack]
        step, top = delta[pack], levels[pack]
        fill_ladder(flow, k, step, top, f, spare)
        first = pack * LANES
        count = min(LANES, n_subjects - first)
        stop, last_stop = first_stop[pack], first_stop[pack + 1]
        put_in, flow_in = _sum(flow.own, at), splat(0.0)
        t = start
        for row in range(len(times)):
            while True:
                due = stop < last_stop and stop_time[stop] <= times[row]
                to = stop_time[stop] if due else times[row]
                if to > t:
                    advance(flow, k, step, top, f, to - t, at, term, change)
                    put_in = put_in + (to - t) * flow_in
                    t = to
                if not due:
                    break
                for e in range(stop_ptr[stop], stop_ptr[stop + 1]):
                    x, i = load(value, e), state[e]
                    if kind[e] == KEEP:
                        for r in flow.emptied:
                            store(at, r, load(at, r) * x)
                        put_in, flow_in = put_in * x, flow_in * x
                    else:
                        store(at, i, load(at, i) + x)
                        if kind[e] == ADD:
                            put_in = put_in + x
                        elif kind[e] == RATE:
                            flow_in = flow_in + x
                stop += 1
            for o in range(out.shape[2]):
                total = splat(0.0)
                for q in range(flow.out_ptr[o], flow.out_ptr[o + 1]):
                    total = total + out_weight[q] * load(at, flow.out_state[q])
                for l in range(count):
                    out[first + l, row, o] = lane(total, l)
            for o in range(area.shape[2]):
                whole = load(at, flow.area[o])
                # dA/dt = sum, dB/dt = A: the integral of t x sum is t A - B
                moved = t * whole - load(at, flow.moment[o])
                for l in range(count):
                    area[first + l, row, o] = lane(whole, l)
                    moment[first + l, row, o] = lane(moved, l)
            for l in range(count):
                given[first + l, row] = lane(put_in, l)
            if len(balance):
                total = _sum(flow.own, at) - put_in
                for l in range(count):
                    balance[first + l, row] = lane(total, l)
            for g in guarded:
                for l in range(count):
                    lowest[pack, 0, l] = min(lowest[pack, 0, l], at[g, l])


@kernel()
def steady_packs(
    flow: Flow,
    k_value: np.ndarray,
    delta: np.ndarray,
    levels: np.ndarray,
    n_kept: int,
    state: int,
    rate_state: int,
    amount: np.ndarray,
    base_rate: np.ndarray,
    pulse_rate: np.ndarray,
    pulse: float,
    interval: float,
    phase: float,
    before: np.ndarray,
    y: np.ndarray,
    f: np.ndarray,
    spare: np.ndarray,
    from_pack: int,
    to_pack: int,
) -> None:
    """States just before a dose that is repeated for ever, and at `phase` after it.

    y = E y + b with the change F = E - I over one interval, which is the top of the ladder:
    -F y = b, by elimination without pivots, since for flows -F has a positive diagonal that
    is at least the sum of the rest of its column.

    Parameters
    ----------
    n_kept : the first states, which have a steady state; of the `c` states of the flow
    state, rate_state : that get the dose, and that holds the rate of an infusion
    amount, base_rate, pulse_rate : (packs, 1, LANES); `pulse_rate` for `pulse` after the dose
    delta, levels : as in :func:`propagate_packs`; the interval is 2^(levels - 1) delta
    before, y : (packs, n, LANES) are written: just before the dose, and at `phase`
    """
    n, c = flow.n, flow.c
    size = n * c
    change, term = spare[:n], spare[n : 2 * n]
    for pack in range(from_pack, to_pack):
        k, at = k_value[pack], y[pack]
        step, top = delta[pack], levels[pack]
        fill_ladder(flow, k, step, top, f, spare)
        for i in range(n):
            store(at, i, splat(0.0))
        for turn in range(2):
            to = interval if turn == 0 else phase
            store(at, state, load(at, state) + load(amount[pack], 0))
            store(at, rate_state, load(base_rate[pack], 0) + load(pulse_rate[pack], 0))
            during = min(pulse, to)
            if during > 0.0:
                advance(flow, k, step, top, f, during, at, term, change)
            store(at, rate_state, load(base_rate[pack], 0))
            if to > during:
                advance(flow, k, step, top, f, to - during, at, term, change)
            if turn == 0:
                last = (top - 1) * size
                for m in range(n_kept):
                    for i in range(m + 1, n_kept):
                        x = load(f, last + i * c + m) / load(f, last + m * c + m)
                        for j in range(m + 1, n_kept):
                            below = load(f, last + i * c + j) - x * load(f, last + m * c + j)
                            store(f, last + i * c + j, below)
                        store(at, i, load(at, i) - x * load(at, m))
                for m in range(n_kept - 1, -1, -1):
                    x = splat(0.0) - load(at, m)
                    for j in range(m + 1, n_kept):
                        x = x - load(f, last + m * c + j) * load(at, j)
                    store(at, m, x / load(f, last + m * c + m))
                for i in range(n_kept, n):
                    store(at, i, splat(0.0))
                for i in range(n):
                    store(before[pack], i, load(at, i))
                # the top of the ladder is used up: shorter steps do not need it
                if phase >= interval * (1.0 - 1e-9):
                    break


@kernel()
def factor_cycles(
    flow: Flow,
    k_value: np.ndarray,
    delta: np.ndarray,
    levels: np.ndarray,
    n_kept: int,
    lu: np.ndarray,
    f: np.ndarray,
    spare: np.ndarray,
    whole: np.ndarray,
) -> None:
    """Factors of I - E, where E is the product of the exponentials of all parts of a cycle.

    Parameters
    ----------
    k_value : (parts, packs, entries, LANES)
    delta, levels : (parts, packs); the length of a part is the top of its ladder
    lu : (packs, n_kept * n_kept, LANES) is written
    whole : scratch, a matrix
    """
    n, c = flow.n, flow.c
    size = n * c
    for pack in range(len(lu)):
        for part in range(len(k_value)):
            top = levels[part, pack]
            fill_ladder(flow, k_value[part, pack], delta[part, pack], top, f, spare)
            last = (top - 1) * size
            # (I + F)(I + G) - I = F + G + F G
            for i in range(n):
                for j in range(c):
                    x = load(f, last + i * c + j)
                    if part > 0:
                        x = x + load(whole, i * c + j)
                        for k in range(c):
                            x = x + load(f, last + i * c + k) * load(whole, k * c + j)
                    store(spare, i * c + j, x)
            for i in range(size):
                store(whole, i, load(spare, i))
        out = lu[pack]
        for i in range(n_kept):
            for j in range(n_kept):
                store(out, i * n_kept + j, splat(0.0) - load(whole, i * c + j))
        for m in range(n_kept):
            store(out, m * n_kept + m, 1.0 / load(out, m * n_kept + m))
            for i in range(m + 1, n_kept):
                x = load(out, i * n_kept + m) * load(out, m * n_kept + m)
                store(out, i * n_kept + m, x)
                for j in range(m + 1, n_kept):
                    below = load(out, i * n_kept + j) - x * load(out, m * n_kept + j)
                    store(out, i * n_kept + j, below)


@kernel()
def solve_cycles(n_kept: int, lu: np.ndarray, r: np.ndarray) -> None:
    """r = (I - E)^-1 r in place; r: (packs, n, LANES), its first `n_kept` rows."""
    for pack in range(len(lu)):
        a, x = lu[pack], r[pack]
        for m in range(n_kept):
            for i in range(m + 1, n_kept):
                store(x, i, load(x, i) - load(a, i * n_kept + m) * load(x, m))
        for m in range(n_kept - 1, -1, -1):
            total = load(x, m)
            for j in range(m + 1, n_kept):
                total = total - load(a, m * n_kept + j) * load(x, j)
            store(x, m, total * load(a, m * n_kept + m))


__all__ = [
    "Flow",
    "factor_cycles",
    "fill_ladder",
    "propagate_packs",
    "solve_cycles",
    "steady_packs",
]
