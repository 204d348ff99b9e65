r"""Integrals of saved sums over time, from the stages of the steps that are taken anyway.

For a sum s = w . y of amounts let dA/dt = s and dB/dt = A. Were A and B two more states,
nothing else would depend on them, and the Rosenbrock step would give them from its stages
alone (names as in :mod:`.rosenbrock`, s_k = w . z_k):

.. math:: z^A_j = A + h \sum_k Q_{jk} s_k, \qquad
    z^B_j - B - \theta_j h A = h^2 \sum_k (Q^2)_{jk} s_k, \qquad Q = \gamma (I - D)^{-1}

so the integral over a step, and inside it by the dense output, is a fixed weighted sum of
the s_k: the method's own order, no further state, and y is what it would be without them.
The first moment follows from both without cancellation,

.. math:: \int_t^{t+h} \tau s\,d\tau = (t + h)\,\Delta A - \Delta B .
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from ...models.system.system import System
from .compiled import kernel
from .lanes import aligned_lanes, entry, load, splat, store
from .tableaus import Tableau

#: What one thread needs for its areas: sums (ptr, state, weight), weights of the stages
#: (table of `rows` rows, see Tableau.area_weights), scratch, integrals up to now (rows A
#: and M of each area) and at the saved times of one pack, and where results go
AreaArrays = namedtuple(
    "AreaArrays", "ptr state weight table rows stage part now saved area moment"
)


def area_arrays(
    system: System,
    terms: list[tuple[tuple[int, float], ...]],
    method: Tableau,
    area: np.ndarray,
    moment: np.ndarray,
) -> AreaArrays:
    """The arrays of one thread; `area` and `moment`: (n_subjects, n_times, n_areas) are
    written by all of them.
    """
    place, weights = system.plan.place, method.area_weights
    state = [place[s] for sums in terms for s, _ in sums]
    weight = [w for sums in terms for _, w in sums]
    ptr = np.cumsum([0, *map(len, terms)])
    n = len(terms)
    return AreaArrays(
        np.ascontiguousarray(ptr, dtype=np.int64),
        np.array(state, dtype=np.int64),
        np.array(weight, dtype=float),
        weights,
        len(weights),
        aligned_lanes(method.stages),
        aligned_lanes(max(1, n * 2 * (1 + len(method.H)))),
        aligned_lanes(max(1, 2 * n)),
        aligned_lanes(max(1, 2 * n * area.shape[1])),
        area,
        moment,
    )


@kernel(forceinline=True)
def prepare_areas(area: AreaArrays, n: int, stages: int, z: np.ndarray, inside: bool) -> None:
    """Integrals over an accepted step in units of h and h^2, and, if something is saved
    `inside`, their dense output.
    """
    rows = area.rows
    for o in range(len(area.ptr) - 1):
        first, last = entry(area.ptr, o), entry(area.ptr, o + 1)
        for k in range(stages):
            i = k * n
            s = area.weight[first] * load(z, i + entry(area.state, first))
            for e in range(first + 1, last):
                s = s + area.weight[e] * load(z, i + entry(area.state, e))
            store(area.stage, k, s)
        for r in range(0, rows if inside else 2, 2):
            s = load(area.stage, 0)
            a, b = area.table[r, 0] * s, area.table[r + 1, 0] * s
            for k in range(1, stages):
                s = load(area.stage, k)
                a = a + area.table[r, k] * s
                b = b + area.table[r + 1, k] * s
            store(area.part, o * rows + r, a)
            store(area.part, o * rows + r + 1, b)


@kernel(forceinline=True)
def advance_areas(area: AreaArrays, step: float, now: float) -> None:
    """Add a prepared step that ends at `now`."""
    rows = area.rows
    for o in range(len(area.ptr) - 1):
        a = step * load(area.part, o * rows)
        b = step * step * load(area.part, o * rows + 1)
        store(area.now, 2 * o, load(area.now, 2 * o) + a)
        store(area.now, 2 * o + 1, load(area.now, 2 * o + 1) + now * a - b)


@kernel(forceinline=True)
def save_areas(area: AreaArrays, step: float, theta: float, at: float, row: int) -> None:
    """Keep the integrals up to time `at`, theta of a prepared step along (0: those up to now)."""
    rows = area.rows
    n_areas = len(area.ptr) - 1
    for o in range(n_areas):
        total, moment = load(area.now, 2 * o), load(area.now, 2 * o + 1)
        if theta > 0.0:
            a, b = splat(0.0), splat(0.0)
            for m in range(rows - 2, 0, -2):
                a = load(area.part, o * rows + m) + theta * a
                b = load(area.part, o * rows + m + 1) + theta * b
            along = step * theta
            a = along * (load(area.part, o * rows) + (1.0 - theta) * a)
            b = along * step * (load(area.part, o * rows + 1) + (1.0 - theta) * b)
            total = total + a
            moment = moment + at * a - b
        store(area.saved, 2 * (row * n_areas + o), total)
        store(area.saved, 2 * (row * n_areas + o) + 1, moment)


@kernel()
def write_areas(area: AreaArrays, first: int, count: int) -> None:
    """Copy what was kept of a pack to its subjects: subject by subject, since that is how
    the results lie in memory.
    """
    n_times, n_areas = area.area.shape[1:]
    for l in range(count):
        to_area, to_moment = area.area[first + l], area.moment[first + l]
        for row in range(n_times):
            for o in range(n_areas):
                to_area[row, o] = area.saved[2 * (row * n_areas + o), l]
                to_moment[row, o] = area.saved[2 * (row * n_areas + o) + 1, l]
