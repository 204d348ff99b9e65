"""Sums of stages, the same for the state and for sensitivities."""

from __future__ import annotations

from numba import njit

from .lanes import load, store


@njit(cache=True, nogil=True, forceinline=True)
def combine(s, tail, n, y, from_y, k, A, C, over_h, over_gamma_h, u, at, r):
    """u = y + sum_j A_sj k_j and r = u/(gamma h) + (1/h) sum_j C_sj k_j for stage s, row by row.

    In the last `tail` stages A repeats the row before with one more 1, so u is the previous solution z, still in r.
    `n` rows of y from row `from_y`, of u from row `at`; k_j in rows j n to (j + 1) n. The sums are written out, since a loop
    over so few terms costs more than the terms.
    """
    if s == 0:
        for i in range(n):
            yi = load(y, from_y + i)
            store(u, at + i, yi)
            store(r, i, yi * over_gamma_h)
    elif tail and s == 5:
        c0, c1, c2, c3, c4 = C[s, 0], C[s, 1], C[s, 2], C[s, 3], C[s, 4]
        for i in range(n):
            k0, k1, k2 = load(k, i), load(k, n + i), load(k, 2 * n + i)
            k3, k4 = load(k, 3 * n + i), load(k, 4 * n + i)
            ui = load(r, i)
            ci = c0 * k0 + c1 * k1 + c2 * k2 + c3 * k3 + c4 * k4
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
    elif tail and s == 6:
        c0, c1, c2, c3, c4, c5 = C[s, 0], C[s, 1], C[s, 2], C[s, 3], C[s, 4], C[s, 5]
        for i in range(n):
            k0, k1, k2 = load(k, i), load(k, n + i), load(k, 2 * n + i)
            k3, k4, k5 = load(k, 3 * n + i), load(k, 4 * n + i), load(k, 5 * n + i)
            ui = load(r, i)
            ci = c0 * k0 + c1 * k1 + c2 * k2 + c3 * k3 + c4 * k4 + c5 * k5
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
    elif tail and s == 7:
        c0, c1, c2, c3, c4, c5, c6 = C[s, 0], C[s, 1], C[s, 2], C[s, 3], C[s, 4], C[s, 5], C[s, 6]
        for i in range(n):
            k0, k1, k2, k3 = load(k, i), load(k, n + i), load(k, 2 * n + i), load(k, 3 * n + i)
            k4, k5, k6 = load(k, 4 * n + i), load(k, 5 * n + i), load(k, 6 * n + i)
            ui = load(r, i)
            ci = c0 * k0 + c1 * k1 + c2 * k2 + c3 * k3 + c4 * k4 + c5 * k5 + c6 * k6
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
    elif s == 1:
        c0 = C[s, 0]
        a0 = A[s, 0]
        for i in range(n):
            k0 = load(k, i)
            ui = load(y, from_y + i) + a0 * k0
            ci = c0 * k0
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
    elif s == 2:
        c0, c1 = C[s, 0], C[s, 1]
        a0, a1 = A[s, 0], A[s, 1]
        for i in range(n):
            k0, k1 = load(k, i), load(k, n + i)
            ui = load(y, from_y + i) + a0 * k0 + a1 * k1
            ci = c0 * k0 + c1 * k1
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
    elif s == 3:
        c0, c1, c2 = C[s, 0], C[s, 1], C[s, 2]
        a0, a1, a2 = A[s, 0], A[s, 1], A[s, 2]
        for i in range(n):
            k0, k1, k2 = load(k, i), load(k, n + i), load(k, 2 * n + i)
            ui = load(y, from_y + i) + a0 * k0 + a1 * k1 + a2 * k2
            ci = c0 * k0 + c1 * k1 + c2 * k2
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
    elif s == 4:
        c0, c1, c2, c3 = C[s, 0], C[s, 1], C[s, 2], C[s, 3]
        a0, a1, a2, a3 = A[s, 0], A[s, 1], A[s, 2], A[s, 3]
        for i in range(n):
            k0, k1, k2, k3 = load(k, i), load(k, n + i), load(k, 2 * n + i), load(k, 3 * n + i)
            ui = load(y, from_y + i) + a0 * k0 + a1 * k1 + a2 * k2 + a3 * k3
            ci = c0 * k0 + c1 * k1 + c2 * k2 + c3 * k3
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
    else:
        c0, c1, c2, c3, c4 = C[s, 0], C[s, 1], C[s, 2], C[s, 3], C[s, 4]
        a0, a1, a2, a3, a4 = A[s, 0], A[s, 1], A[s, 2], A[s, 3], A[s, 4]
        for i in range(n):
            k0, k1, k2 = load(k, i), load(k, n + i), load(k, 2 * n + i)
            k3, k4 = load(k, 3 * n + i), load(k, 4 * n + i)
            ui = load(y, from_y + i) + a0 * k0 + a1 * k1 + a2 * k2 + a3 * k3 + a4 * k4
            ci = c0 * k0 + c1 * k1 + c2 * k2 + c3 * k3 + c4 * k4
            store(u, at + i, ui)
            store(r, i, ui * over_gamma_h + ci * over_h)
