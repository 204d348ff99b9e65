r"""Integrals of saved sums over time, from the stages of the steps that are taken anyway.

For a sum s = w . y of amounts let dA/dt = s and dB/dt = A. Were A and B two more states, nothing else would depend on them,
and the Rosenbrock step would give them from its stages alone (names as in :mod:`.rosenbrock`, s_k = w . z_k):

.. math:: z^A_j = A + h \sum_k Q_{jk} s_k, \qquad z^B_j - B - \theta_j h A = h^2 \sum_k (Q^2)_{jk} s_k, \qquad
    Q = \gamma (I - D)^{-1}

so the integral over a step, and inside it by the dense output, is a fixed weighted sum of the s_k: the method's own order,
no further state, and y is what it would be without them. The first moment follows from both without cancellation,

.. math:: \int_t^{t+h} \tau s\,d\tau = (t + h)\,\Delta A - \Delta B .
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit

from ...models.system import System
from .lanes import aligned_lanes, entry, lane, load, splat, store
from .tableaus import Tableau

#: What one thread needs for its areas: sums (ptr, state, weight), weights of the stages at a step's end (q, r) and in its
#: dense output (hq, hr), scratch, integrals up to now (rows A and M of each area), and where results go
AreaArrays = namedtuple("AreaArrays", "ptr state weight q r hq hr stage part now area moment")


def area_arrays(
    system: System,
    terms: list[tuple[tuple[int, float], ...]],
    method: Tableau,
    area: np.ndarray,
    moment: np.ndarray,
) -> AreaArrays:
    """The arrays of one thread; `area` and `moment`: (n_subjects, n_times, n_areas) are written by all of them."""
    place, weights = system.plan.place, method.area_weights
    state = [place[s] for sums in terms for s, _ in sums]
    weight = [w for sums in terms for _, w in sums]
    ptr = np.cumsum([0, *map(len, terms)])
    n = len(terms)
    return AreaArrays(
        np.ascontiguousarray(ptr, dtype=np.int64),
        np.array(state, dtype=np.int64),
        np.array(weight, dtype=float),
        *weights,
        aligned_lanes(method.stages),
        aligned_lanes(max(1, n * 2 * (1 + len(method.H)))),
        aligned_lanes(max(1, 2 * n)),
        area,
        moment,
    )


@njit(cache=True, nogil=True, forceinline=True)
def prepare_areas(area, n, stages, z, inside):
    """Integrals over an accepted step in units of h and h^2, and, if something is saved `inside`, their dense output."""
    n_dense = len(area.hq)
    rows = 2 * (1 + n_dense)
    for o in range(len(area.ptr) - 1):
        a, b = splat(0.0), splat(0.0)
        for k in range(stages):
            s = splat(0.0)
            for e in range(entry(area.ptr, o), entry(area.ptr, o + 1)):
                s = s + area.weight[e] * load(z, k * n + entry(area.state, e))
            store(area.stage, k, s)
            a = a + area.q[k] * s
            b = b + area.r[k] * s
        store(area.part, o * rows, a)
        store(area.part, o * rows + 1, b)
        if inside:
            for m in range(n_dense):
                a, b = splat(0.0), splat(0.0)
                for k in range(stages):
                    s = load(area.stage, k)
                    a = a + area.hq[m, k] * s
                    b = b + area.hr[m, k] * s
                store(area.part, o * rows + 2 + 2 * m, a)
                store(area.part, o * rows + 3 + 2 * m, b)


@njit(cache=True, nogil=True, forceinline=True)
def advance_areas(area, step, now):
    """Add a prepared step that ends at `now`."""
    rows = 2 * (1 + len(area.hq))
    for o in range(len(area.ptr) - 1):
        a = step * load(area.part, o * rows)
        b = step * step * load(area.part, o * rows + 1)
        store(area.now, 2 * o, load(area.now, 2 * o) + a)
        store(area.now, 2 * o + 1, load(area.now, 2 * o + 1) + now * a - b)


@njit(cache=True, nogil=True, forceinline=True)
def save_areas(area, step, theta, at, first, count, row):
    """Write the integrals up to time `at`, theta of a prepared step along (0: those up to now)."""
    n_dense = len(area.hq)
    rows = 2 * (1 + n_dense)
    for o in range(len(area.ptr) - 1):
        total, moment = load(area.now, 2 * o), load(area.now, 2 * o + 1)
        if theta > 0.0:
            a, b = splat(0.0), splat(0.0)
            for m in range(n_dense - 1, -1, -1):
                a = load(area.part, o * rows + 2 + 2 * m) + theta * a
                b = load(area.part, o * rows + 3 + 2 * m) + theta * b
            along = step * theta
            a = along * (load(area.part, o * rows) + (1.0 - theta) * a)
            b = along * step * (load(area.part, o * rows + 1) + (1.0 - theta) * b)
            total = total + a
            moment = moment + at * a - b
        for l in range(count):
            area.area[first + l, row, o] = lane(total, l)
            area.moment[first + l, row, o] = lane(moment, l)
