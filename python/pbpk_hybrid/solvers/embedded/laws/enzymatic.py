"""The rate law ``enzymatic``: v = N/D, N = k (1 + e) a, D = F + r a B, F = 1 + sum c i,
B = 1 + sum q i.

Reactants (a, e, i_1, ...), parameters (k, r, c_1, q_1, ...); see
:class:`pbpk_hybrid.models.laws.enzymatic.Enzymatic`. Systems without it are compiled
without any of this.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..kernel_arrays import BLOCK, Structure
from ..lanes import Lanes, entry, load, splat, store


@kernel(forceinline=True)
def _sums(m, st, par, x, at, start):
    """(start + sum c_j x_j, start + sum q_j x_j) at amounts x[at:]."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    free, bound = splat(start), splat(start)
    for j in range(2, entry(st.r_ptr, m + 1) - first):
        i = load(x, at + entry(st.r_state, first + j))
        free = free + load(par, p + 2 * j - 2) * i
        bound = bound + load(par, p + 2 * j - 1) * i
    return free, bound


@kernel()
def rate(m: int, st: Structure, par: np.ndarray, u: np.ndarray, at: int) -> Lanes:
    """v at amounts u[at:]."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    a = load(u, at + entry(st.r_state, first))
    active = load(par, p) * (1.0 + load(u, at + entry(st.r_state, first + 1)))
    free, bound = _sums(m, st, par, u, at, 1.0)
    return active * a / (free + load(par, p + 1) * a * bound)


@kernel()
def linearise(m: int, st: Structure, par: np.ndarray, y: np.ndarray, slope: np.ndarray) -> None:
    """slope = d v / d reactant at y."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    a = load(y, entry(st.r_state, first))
    free, bound = _sums(m, st, par, y, 0, 1.0)
    ra = load(par, p + 1) * a
    over = 1.0 / (free + ra * bound)
    active = load(par, p) * (1.0 + load(y, entry(st.r_state, first + 1))) * over * over
    store(slope, first, active * free)
    store(slope, first + 1, load(par, p) * a * over)
    for j in range(2, entry(st.r_ptr, m + 1) - first):
        store(
            slope,
            first + j,
            splat(0.0) - active * a * (load(par, p + 2 * j - 2) + ra * load(par, p + 2 * j - 1)),
        )


@kernel()
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
    """What :func:`.michaelis_menten.add_sensitivity` does, for this law.

    Names: X at the stage, X0 at the start of the step, Xd its derivative along d, Xs
    along (s, parameter), Xsd both.
    """
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    reactants = entry(st.r_ptr, m + 1) - first
    k, r = load(par, p), load(par, p + 1)
    sa, se = entry(st.r_state, first), entry(st.r_state, first + 1)
    a, e = load(u, at + sa), 1.0 + load(u, at + se)
    a0, e0, ad, ed = load(y, sa), 1.0 + load(y, se), load(d, sa), load(d, se)
    free, bound = _sums(m, st, par, u, at, 1.0)
    free0, bound0 = _sums(m, st, par, y, 0, 1.0)
    freed, boundd = _sums(m, st, par, d, 0, 0.0)
    over, over0 = 1.0 / (free + r * a * bound), 1.0 / (free0 + r * a0 * bound0)
    v, v0 = k * e * a * over, k * e0 * a0 * over0
    den_d = freed + r * (ad * bound0 + a0 * boundd)
    vd = (k * (ed * a0 + e0 * ad) - v0 * den_d) * over0
    for b in range(BLOCK):
        q = at_d + b * n_par + p
        dk, dr = load(dpar, q), load(dpar, q + 1)
        wa, we = load(w, sa * BLOCK + b), load(w, se * BLOCK + b)
        s_a, s_e = load(s, at_s + sa * BLOCK + b), load(s, at_s + se * BLOCK + b)
        known = load(slope, first) * wa + load(slope, first + 1) * we
        freew, boundw, frees, bounds = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
        freesd, boundsd = splat(0.0), splat(0.0)
        for j in range(2, reactants):
            si = entry(st.r_state, first + j)
            c, o = load(par, p + 2 * j - 2), load(par, p + 2 * j - 1)
            dc, do = load(dpar, q + 2 * j - 2), load(dpar, q + 2 * j - 1)
            wi, s_i = load(w, si * BLOCK + b), load(s, at_s + si * BLOCK + b)
            ui, yi, di = load(u, at + si), load(y, si), load(d, si)
            freew, boundw = freew + dc * ui + c * wi, boundw + do * ui + o * wi
            frees, bounds = frees + dc * yi + c * s_i, bounds + do * yi + o * s_i
            freesd, boundsd = freesd + dc * di, boundsd + do * di
            known = known + load(slope, first + j) * wi
        den_w = freew + (dr * a + r * wa) * bound + r * a * boundw
        first_order = (dk * e * a + k * (we * a + e * wa) - v * den_w) * over
        ras = dr * a0 + r * s_a
        den_s = frees + ras * bound0 + r * a0 * bounds
        vs = (dk * e0 * a0 + k * (s_e * a0 + e0 * s_a) - v0 * den_s) * over0
        den_sd = freesd + dr * ad * bound0 + r * ad * bounds + ras * boundd + r * a0 * boundsd
        n_sd = dk * (ed * a0 + e0 * ad) + k * (ed * s_a + s_e * ad)
        total = gamma_h * (
            first_order - known + (n_sd - vs * den_d - vd * den_s - v0 * den_sd) * over0
        )
        for row in range(entry(st.s_ptr, m), entry(st.s_ptr, m + 1)):
            i = at_z + entry(st.s_state, row) * BLOCK + b
            store(z, i, load(z, i) + stoich[row] * total)
