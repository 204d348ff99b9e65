"""Kernels of the rate law ``mass_action``: v = c a b."""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..kernel_arrays import BLOCK, Structure
from ..lanes import Lanes, entry, load, store


@kernel(forceinline=True)
def rate(first: int, state: np.ndarray, par: np.ndarray, p: int, u: np.ndarray, at: int) -> Lanes:
    """v of one reaction at amounts u[at:]."""
    a = load(u, at + entry(state, first))
    return load(par, p) * a * load(u, at + entry(state, first + 1))


@kernel(forceinline=True)
def derivative(
    first: int, state: np.ndarray, par: np.ndarray, p: int, u: np.ndarray, which: int
) -> Lanes:
    """d v / d (reactant `which`) of one reaction at amounts u."""
    a = load(u, entry(state, first))
    if which == 0:
        return load(par, p) * load(u, entry(state, first + 1))
    return load(par, p) * a


@kernel(forceinline=True)
def add_sensitivity(
    m: int,
    st: Structure,
    stoich: np.ndarray,
    par: np.ndarray,
    n_par: int,
    y: np.ndarray,
    u: np.ndarray,
    at: int,
    d: np.ndarray,
    s: np.ndarray,
    at_s: int,
    w: np.ndarray,
    dpar: np.ndarray,
    at_d: int,
    slope: np.ndarray,
    gamma_h: float,
    z: np.ndarray,
    at_z: int,
) -> None:
    """What :func:`.michaelis_menten.add_sensitivity` does, for this law."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    c, i, j = load(par, p), entry(st.r_state, first), entry(st.r_state, first + 1)
    ua, ub = load(u, at + i), load(u, at + j)
    ya, yb = load(y, i), load(y, j)
    ka, kb = load(d, i), load(d, j)
    for b in range(BLOCK):
        dc = load(dpar, at_d + b * n_par + p)
        wa, wb = load(w, i * BLOCK + b), load(w, j * BLOCK + b)
        sa, sb = load(s, at_s + i * BLOCK + b), load(s, at_s + j * BLOCK + b)
        first_order = dc * ua * ub + c * (wa * ub + ua * wb)
        known = load(slope, first) * wa + load(slope, first + 1) * wb
        total = gamma_h * (first_order - known + dc * (ka * yb + ya * kb) + c * (ka * sb + sa * kb))
        for q in range(entry(st.s_ptr, m), entry(st.s_ptr, m + 1)):
            row = at_z + entry(st.s_state, q) * BLOCK + b
            store(z, row, load(z, row) + stoich[q] * total)
