"""Kernels of the rate law ``michaelis_menten``: v = V a / (K I + a), I = 1 + sum i/Ki."""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..kernel_arrays import BLOCK, Structure
from ..lanes import Lanes, entry, load, splat, store


@kernel(forceinline=True)
def rate(
    first: int, reactants: int, state: np.ndarray, par: np.ndarray, p: int, u: np.ndarray, at: int
) -> Lanes:
    """v of one reaction at amounts u[at:]."""
    a = load(u, at + entry(state, first))
    inhibition = splat(1.0)
    for j in range(1, reactants):
        inhibition = inhibition + load(u, at + entry(state, first + j)) / load(par, p + 1 + j)
    return load(par, p) * a / (load(par, p + 1) * inhibition + a)


@kernel(forceinline=True)
def derivative(
    first: int,
    reactants: int,
    state: np.ndarray,
    par: np.ndarray,
    p: int,
    u: np.ndarray,
    which: int,
) -> Lanes:
    """d v / d (reactant `which`) of one reaction at amounts u."""
    a = load(u, entry(state, first))
    inhibition = splat(1.0)
    for j in range(1, reactants):
        inhibition = inhibition + load(u, entry(state, first + j)) / load(par, p + 1 + j)
    km = load(par, p + 1)
    denominator = km * inhibition + a
    common = load(par, p) / (denominator * denominator)
    if which == 0:
        return common * km * inhibition
    return splat(0.0) - common * a * km / load(par, p + 1 + which)


@kernel(forceinline=True)
def _saturation(first, reactants, state, par, p, x, at):
    """(1 + sum of x_i/Ki, substrate amount) of one Michaelis-Menten reaction at amounts x[at:]."""
    inhibition = splat(1.0)
    for j in range(1, reactants):
        inhibition = inhibition + load(x, at + entry(state, first + j)) / load(par, p + 1 + j)
    return inhibition, load(x, at + entry(state, first))


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
    """z += gamma h S [(v'(u) - v'(y)) w + v_p(u) + d/dy(v' s + v_p)(y) d], d = z - u,
    for v = V a / (K I + a), I = 1 + sum i/Ki."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    reactants = entry(st.r_ptr, m + 1) - first
    vmax, km = load(par, p), load(par, p + 1)
    sa = entry(st.r_state, first)
    # at the stage, at the start of the step, and along k: the same for all parameters
    inh, a = _saturation(first, reactants, st.r_state, par, p, u, at)
    inh0, a0 = _saturation(first, reactants, st.r_state, par, p, y, 0)
    inh_k, ka = _saturation(first, reactants, st.r_state, par, p, d, 0)
    over, over0 = 1.0 / (km * inh + a), 1.0 / (km * inh0 + a0)
    v, v0 = vmax * a * over, vmax * a0 * over0
    k_inh = inh_k - 1.0
    k_den = km * k_inh + ka
    bend = (vmax * ka - v0 * k_den) * over0
    for b in range(BLOCK):
        d_vmax, d_km = load(dpar, at_d + b * n_par + p), load(dpar, at_d + b * n_par + p + 1)
        wa, s0 = load(w, sa * BLOCK + b), load(s, at_s + sa * BLOCK + b)
        d_inh, d_inh0, d_k_inh, known = splat(0.0), splat(0.0), splat(0.0), load(slope, first) * wa
        for j in range(1, reactants):
            si = entry(st.r_state, first + j)
            over_ki = 1.0 / load(par, p + 1 + j)
            relative = load(dpar, at_d + b * n_par + p + 1 + j) * over_ki
            wi = load(w, si * BLOCK + b)
            d_inh = d_inh + (wi - load(u, at + si) * relative) * over_ki
            d_inh0 = d_inh0 + (load(s, at_s + si * BLOCK + b) - load(y, si) * relative) * over_ki
            d_k_inh = d_k_inh - load(d, si) * relative * over_ki
            known = known + load(slope, first + j) * wi
        first_order = (d_vmax * a + vmax * wa - v * (d_km * inh + km * d_inh + wa)) * over
        d_den0 = d_km * inh0 + km * d_inh0 + s0
        d_v0 = (d_vmax * a0 + vmax * s0 - v0 * d_den0) * over0
        d_e = d_vmax * ka - d_v0 * k_den - v0 * (d_km * k_inh + km * d_k_inh)
        total = gamma_h * (first_order - known + (d_e - bend * d_den0) * over0)
        for q in range(entry(st.s_ptr, m), entry(st.s_ptr, m + 1)):
            i = at_z + entry(st.s_state, q) * BLOCK + b
            store(z, i, load(z, i) + stoich[q] * total)
