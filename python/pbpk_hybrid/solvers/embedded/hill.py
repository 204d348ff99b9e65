"""Hill laws phi(a) = a^g/(K^g + a^g), one lane after the other: powers have no vector instruction.

Under `FLOOR` K phi is a straight line to 0, so that its slope is finite there whatever g
(and below 0, where a state may be by a rounding error).
"""

from __future__ import annotations

import math

from numba import njit

from ...models.system.system import HILL_FLOOR
from .lanes import LANES, entry, lane, load, splat, store, with_lane

FLOOR = float(HILL_FLOOR)


@njit(cache=True, nogil=True)
def share(a, half, power):
    """phi, without overflow for any x."""
    x = a / half
    if x > 1.0:
        return 1.0 / (1.0 + x ** (-power))
    if x > FLOOR:
        p = x**power
        return p / (1.0 + p)
    p = FLOOR**power
    return p / (1.0 + p) * (x / FLOOR)


@njit(cache=True, nogil=True)
def slope(a, half, power):
    """d phi/da."""
    if a / half > FLOOR:
        s = share(a, half, power)
        return power / a * s * (1.0 - s)
    return share(FLOOR * half, half, power) / (FLOOR * half)


@njit(cache=True, nogil=True)
def second(a, half, power):
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


@njit(cache=True, nogil=True)
def shares(a, half, power):
    """phi of every lane."""
    out = splat(0.0)
    for l in range(LANES):
        out = with_lane(out, l, share(lane(a, l), lane(half, l), lane(power, l)))
    return out


@njit(cache=True, nogil=True)
def slopes(a, half, power):
    """d phi/da of every lane."""
    out = splat(0.0)
    for l in range(LANES):
        out = with_lane(out, l, slope(lane(a, l), lane(half, l), lane(power, l)))
    return out


@njit(cache=True, nogil=True)
def seconds(a, half, power):
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


@njit(cache=True, nogil=True)
def hill_rate(m, st, par, u, at):
    """v of Hill reaction m at amounts u[at:]."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    a = load(u, at + entry(st.r_state, first))
    v = load(par, p) * shares(a, load(par, p + 1), load(par, p + 2))
    if entry(st.law, m) == 3:
        v = v * load(u, at + entry(st.r_state, first + 1))
    return v


@njit(cache=True, nogil=True)
def hill_linearise(m, st, par, y, slope):
    """d v / d reactant of Hill reaction m at y, into its rows of `slope`."""
    first, p = entry(st.r_ptr, m), entry(st.p_ptr, m)
    a = load(y, entry(st.r_state, first))
    k, half, power = load(par, p), load(par, p + 1), load(par, p + 2)
    d = k * slopes(a, half, power)
    if entry(st.law, m) == 3:
        d = d * load(y, entry(st.r_state, first + 1))
        store(slope, first + 1, k * shares(a, half, power))
    store(slope, first, d)
