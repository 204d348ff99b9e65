"""The sums that begin a stage, the same for the state and for sensitivities."""

from __future__ import annotations

import numpy as np

from .compiled import kernel
from .lanes import Lanes, load, store


@kernel(forceinline=True)
def combine(
    s: int, n: int, y: np.ndarray, from_y: int, z: np.ndarray, c: np.ndarray, D: np.ndarray
) -> None:
    """x = c_s y + sum_j D_sj z_j of stage s, row by row, into the place of z_s.

    `n` rows of y from row `from_y`; z_j in rows j n to (j + 1) n. The sums are written
    out, since a loop over so few terms costs more than the terms.
    """
    at = s * n
    c_s = c[s]
    if s == 0:
        for i in range(n):
            store(z, i, load(y, from_y + i))
    elif s == 1:
        d0 = D[s, 0]
        for i in range(n):
            x = c_s * load(y, from_y + i) + d0 * load(z, i)
            store(z, at + i, x)
    elif s == 2:
        d0, d1 = D[s, 0], D[s, 1]
        for i in range(n):
            x = c_s * load(y, from_y + i) + d0 * load(z, i) + d1 * load(z, n + i)
            store(z, at + i, x)
    elif s == 3:
        d0, d1, d2 = D[s, 0], D[s, 1], D[s, 2]
        for i in range(n):
            x = (
                c_s * load(y, from_y + i)
                + d0 * load(z, i)
                + d1 * load(z, n + i)
                + d2 * load(z, 2 * n + i)
            )
            store(z, at + i, x)
    elif s == 4:
        d0, d1, d2, d3 = D[s, 0], D[s, 1], D[s, 2], D[s, 3]
        for i in range(n):
            x = (
                c_s * load(y, from_y + i)
                + d0 * load(z, i)
                + d1 * load(z, n + i)
                + d2 * load(z, 2 * n + i)
            )
            x = x + d3 * load(z, 3 * n + i)
            store(z, at + i, x)
    elif s == 5:
        d0, d1, d2, d3, d4 = D[s, 0], D[s, 1], D[s, 2], D[s, 3], D[s, 4]
        for i in range(n):
            x = (
                c_s * load(y, from_y + i)
                + d0 * load(z, i)
                + d1 * load(z, n + i)
                + d2 * load(z, 2 * n + i)
            )
            x = x + d3 * load(z, 3 * n + i) + d4 * load(z, 4 * n + i)
            store(z, at + i, x)
    elif s == 6:
        d0, d1, d2, d3, d4, d5 = D[s, 0], D[s, 1], D[s, 2], D[s, 3], D[s, 4], D[s, 5]
        for i in range(n):
            x = (
                c_s * load(y, from_y + i)
                + d0 * load(z, i)
                + d1 * load(z, n + i)
                + d2 * load(z, 2 * n + i)
            )
            x = x + d3 * load(z, 3 * n + i) + d4 * load(z, 4 * n + i) + d5 * load(z, 5 * n + i)
            store(z, at + i, x)
    else:
        d0, d1, d2, d3, d4, d5, d6 = D[s, 0], D[s, 1], D[s, 2], D[s, 3], D[s, 4], D[s, 5], D[s, 6]
        for i in range(n):
            x = (
                c_s * load(y, from_y + i)
                + d0 * load(z, i)
                + d1 * load(z, n + i)
                + d2 * load(z, 2 * n + i)
            )
            x = x + d3 * load(z, 3 * n + i) + d4 * load(z, 4 * n + i) + d5 * load(z, 5 * n + i)
            x = x + d6 * load(z, 6 * n + i)
            store(z, at + i, x)


@kernel(forceinline=True)
def stage_value(
    s: int,
    row: int,
    n: int,
    y: np.ndarray,
    from_y: int,
    z: np.ndarray,
    a: np.ndarray,
    A: np.ndarray,
) -> Lanes:
    """u = a_s y + sum_j A_sj z_j in one row: where the rate laws of stage s are evaluated."""
    u = a[s] * load(y, from_y + row)
    for j in range(s):
        u = u + A[s, j] * load(z, j * n + row)
    return u
