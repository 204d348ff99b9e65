"""Hill laws phi(a) = a^g/(K^g + a^g): values and slopes of all lanes at once, with powers by
:mod:`..vector_math`; second derivatives, for sensitivities, one lane after the other.

Under `FLOOR` K phi is a straight line to 0, so that its slope is finite there whatever g
(and below 0, where a state may be by a rounding error).
"""

from __future__ import annotations

import math

import numpy as np

from ....models.laws.hill import HILL_FLOOR
from ..compiled import kernel
from ..kernel_arrays import BLOCK, Structure
from ..lanes import (
    LANES,
    Lanes,
    entry,
    lane,
    lane_max,
    lane_min,
    load,
    splat,
    store,
    where_above,
    with_lane,
)
from ..vector_math import lane_pow

FLOOR = float(HILL_FLOOR)


@kernel()
def share(a: float, half: float, power: float) -> float:
    """phi, without overflow for any x."""
    x = a / half
    if x > 1.0:
        return 1.0 / (1.0 + x ** (-power))
    if x > FLOOR:
        p = x**power
        return p / (1.0 + p)
    p = FLOOR**power
    return p / (1.0 + p) * (x / FLOOR)


@kernel()
def slope(a: float, half: float, power: float) -> float:
    """d phi/da."""
    if a / half > FLOOR:
        s = share(a, half, power)
        return power / a * s * (1.0 - s)
    return share(FLOOR * half, half, power) / (FLOOR * half)


@kernel()
def second(a: float, half: float, power: float) -> tuple[float, ...]:
    """(phi, phi_a, phi_K, phi_g, phi_aa, phi_aK, phi_ag)."""
    x = a / half
    if x > FLOOR:
        s = share(a, half, power)
        psi, log_x = s * (1.0 - s), math.log(x)
        bend = psi * (1.0 - 2.0 * s)
        return (
            s,
            power / a * psi,
            -power / half * psi,
            log_x * psi,
            power / (a * a) * (power * bend - psi),
            -power * power / (a * half) * bend,
            (psi + power * log_x * bend) / a,
        )
    s = share(FLOOR * half, half, power)
    by_g = math.log(FLOOR) * s * (1.0 - s)
    start = s / (FLOOR * half)
    return (
        s * x / FLOOR,
        start,
        -s * x / (FLOOR * half),
        by_g * x / FLOOR,
        0.0,
        -start / half,
        by_g / (FLOOR * half),
    )


@kernel(forceinline=True)
def _share_from(x: Lanes, power: Lanes) -> Lanes:
    """x^g/(1 + x^g) of every lane: 0 where x^-g is infinite."""
    return 1.0 / (1.0 + lane_pow(x, 0.0 - power))


@kernel()
def shares(a: Lanes, half: Lanes, power: Lanes) -> Lanes:
    """phi of every lane."""
    x = a / half
    s = _share_from(lane_max(x, splat(FLOOR)), power)
    return s * (lane_min(x, splat(FLOOR)) / FLOOR)


@kernel()
def slopes(a: Lanes, half: Lanes, power: Lanes) -> Lanes:
    """d phi/da of every lane."""
    x = a / half
    inside = lane_max(x, splat(FLOOR))
    s = _share_from(inside, power)
    # above the floor inside x half is a
    curved = power / (inside * half) * s * (1.0 - s)
    return where_above(x, splat(FLOOR), curved, s / (FLOOR * half))


@kernel()
def seconds(a: Lanes, half: Lanes, power: Lanes) -> tuple[Lanes, ...]:
    """The seven of `second`, as lanes."""
    phi, a1, k1, g1 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
    aa, ak, ag = splat(0.0), splat(0.0), splat(0.0)
    for l in range(LANES):
        n = second(lane(a, l), lane(half, l), lane(power, l))
        phi, a1, k1, g1 = (
            with_lane(phi, l, n[0]),
            with_lane(a1, l, n[1]),
            with_lane(k1, l, n[2]),
            with_lane(g1, l, n[3]),
        )
        aa, ak, ag = with_lane(aa, l, n[4]), with_lane(ak, l, n[5]), with_lane(ag, l, n[6])
    return phi, a1, k1, g1, aa, ak, ag


@kernel()
def rate(m: int, st: Structure, par: np.ndarray, u: np.ndarray, at: int) -> Lanes:
    """v of Hill reaction m at amounts u[at:]."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    a = load(u, at + entry(st.r_state, first))
    v = load(par, p) * shares(a, load(par, p + 1), load(par, p + 2))
    if entry(st.law, m) == 3:
        v = v * load(u, at + entry(st.r_state, first + 1))
    return v


@kernel()
def linearise(m: int, st: Structure, par: np.ndarray, y: np.ndarray, slope: np.ndarray) -> None:
    """d v / d reactant of Hill reaction m at y, into its rows of `slope`."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    a = load(y, entry(st.r_state, first))
    k, half, power = load(par, p), load(par, p + 1), load(par, p + 2)
    d = k * slopes(a, half, power)
    if entry(st.law, m) == 3:
        d = d * load(y, entry(st.r_state, first + 1))
        store(slope, first + 1, k * shares(a, half, power))
    store(slope, first, d)


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
    """What :func:`.michaelis_menten.add_sensitivity` does, for v = k b phi(a; K, g); without
    a second reactant b = 1.
    """
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    k, half, power = load(par, p), load(par, p + 1), load(par, p + 2)
    i = entry(st.r_state, first)
    product = entry(st.law, m) == 3
    j = i
    ub, yb, kb = splat(1.0), splat(1.0), splat(0.0)
    if product:
        j = entry(st.r_state, first + 1)
        ub, yb, kb = load(u, at + j), load(y, j), load(d, j)
    phi, phi_a, phi_h, phi_g, _, _, _ = seconds(load(u, at + i), half, power)
    o, o_a, o_h, o_g, o_aa, o_ah, o_ag = seconds(load(y, i), half, power)
    ka = load(d, i)
    for b in range(BLOCK):
        row = at_d + b * n_par + p
        dk, dh, dg = load(dpar, row), load(dpar, row + 1), load(dpar, row + 2)
        wa, sa = load(w, i * BLOCK + b), load(s, at_s + i * BLOCK + b)
        wb, sb = splat(0.0), splat(0.0)
        known = load(slope, first) * wa
        if product:
            wb, sb = load(w, j * BLOCK + b), load(s, at_s + j * BLOCK + b)
            known = known + load(slope, first + 1) * wb
        first_order = dk * ub * phi + k * ub * (phi_a * wa + phi_h * dh + phi_g * dg) + k * wb * phi
        # d/dy (v_y s + v_p)(y) along d: by a, then by b
        by_a = dk * yb * o_a + k * yb * (o_aa * sa + o_ah * dh + o_ag * dg) + k * sb * o_a
        by_b = dk * o + k * (o_a * sa + o_h * dh + o_g * dg)
        total = gamma_h * (first_order - known + by_a * ka + by_b * kb)
        for q in range(entry(st.s_ptr, m), entry(st.s_ptr, m + 1)):
            to = at_z + entry(st.s_state, q) * BLOCK + b
            store(z, to, load(z, to) + stoich[q] * total)
