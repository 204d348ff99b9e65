"""The sum that begins a stage, the same for the state and for sensitivities."""

from __future__ import annotations

from numba import njit

from .lanes import load, store


@njit(cache=True, nogil=True, forceinline=True)
def combine(s, n, y, from_y, k, B, over_gamma_h, x, at, r):
    """x = y + sum_j B_sj k_j and r = x/(gamma h) for stage s, row by row.

    `n` rows of y from row `from_y`, of x from row `at`; k_j in rows j n to (j + 1) n. The sums are written out, since a
    loop over so few terms costs more than the terms.
    """
    if s == 0:
        for i in range(n):
            xi = load(y, from_y + i)
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)
    elif s == 1:
        b0 = B[s, 0]
        for i in range(n):
            k0 = load(k, i)
            xi = load(y, from_y + i) + b0 * k0
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)
    elif s == 2:
        b0, b1 = B[s, 0], B[s, 1]
        for i in range(n):
            k0, k1 = load(k, i), load(k, n + i)
            xi = load(y, from_y + i) + b0 * k0 + b1 * k1
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)
    elif s == 3:
        b0, b1, b2 = B[s, 0], B[s, 1], B[s, 2]
        for i in range(n):
            k0, k1, k2 = load(k, i), load(k, n + i), load(k, 2 * n + i)
            xi = load(y, from_y + i) + b0 * k0 + b1 * k1 + b2 * k2
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)
    elif s == 4:
        b0, b1, b2, b3 = B[s, 0], B[s, 1], B[s, 2], B[s, 3]
        for i in range(n):
            k0, k1, k2, k3 = load(k, i), load(k, n + i), load(k, 2 * n + i), load(k, 3 * n + i)
            xi = load(y, from_y + i) + b0 * k0 + b1 * k1 + b2 * k2 + b3 * k3
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)
    elif s == 5:
        b0, b1, b2, b3, b4 = B[s, 0], B[s, 1], B[s, 2], B[s, 3], B[s, 4]
        for i in range(n):
            k0, k1, k2 = load(k, i), load(k, n + i), load(k, 2 * n + i)
            k3, k4 = load(k, 3 * n + i), load(k, 4 * n + i)
            xi = load(y, from_y + i) + b0 * k0 + b1 * k1 + b2 * k2 + b3 * k3 + b4 * k4
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)
    elif s == 6:
        b0, b1, b2, b3, b4, b5 = B[s, 0], B[s, 1], B[s, 2], B[s, 3], B[s, 4], B[s, 5]
        for i in range(n):
            k0, k1, k2 = load(k, i), load(k, n + i), load(k, 2 * n + i)
            k3, k4, k5 = load(k, 3 * n + i), load(k, 4 * n + i), load(k, 5 * n + i)
            xi = load(y, from_y + i) + b0 * k0 + b1 * k1 + b2 * k2 + b3 * k3 + b4 * k4 + b5 * k5
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)
    else:
        b0, b1, b2, b3, b4, b5, b6 = B[s, 0], B[s, 1], B[s, 2], B[s, 3], B[s, 4], B[s, 5], B[s, 6]
        for i in range(n):
            k0, k1, k2, k3 = load(k, i), load(k, n + i), load(k, 2 * n + i), load(k, 3 * n + i)
            k4, k5, k6 = load(k, 4 * n + i), load(k, 5 * n + i), load(k, 6 * n + i)
            xi = load(y, from_y + i) + b0 * k0 + b1 * k1 + b2 * k2 + b3 * k3 + b4 * k4 + b5 * k5 + b6 * k6
            store(x, at + i, xi)
            store(r, i, xi * over_gamma_h)


@njit(cache=True, nogil=True, forceinline=True)
def stage_value(s, row, n, y, from_y, k, A):
    """u = y + sum_j A_sj k_j in one row: where the rate laws of stage s are evaluated."""
    u = load(y, from_y + row)
    for j in range(s):
        u = u + A[s, j] * load(k, j * n + row)
    return u
