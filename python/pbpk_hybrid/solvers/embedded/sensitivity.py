"""Forward sensitivities s = dy/dp, by differentiating the Rosenbrock step itself.

The method applied to y and s together, with the exact Jacobian of the pair, has the same matrix for both:

.. math::
    (I - \\gamma h J) z^s_i = c_i s + \\sum_{j<i} D_{ij} z^s_j + \\gamma h [(J(u_i) - J) w_i + f_p(u_i) + H (z_i - u_i)],

    w_i = a_i s + \\sum_{j<i} A_{ij} z^s_j, \\qquad H = \\frac{\\partial}{\\partial y}(J s + f_p)

so one factorisation serves the state and all parameters (names as in :mod:`.rosenbrock`). For the linear part
f_p(u) + H (z - u) is K_p z. `BLOCK` parameters go through the triangular solves together: their chains of
dependent operations overlap, and every LU entry is loaded once for all of them. Row i of parameter b in a block is
``i * BLOCK + b``.
"""

from __future__ import annotations

from collections import namedtuple

from numba import njit

from .enzymatic import add_enzymatic
from .expressions import add_expressions
from .hill import seconds
from .lanes import entry, lane, load, splat, store
from .stages import combine, stage_value

BLOCK = 4

#: Derivatives of K's values: block q owns entries ``ptr[q]:ptr[q+1]``; ``row`` is i * BLOCK + b, ``column`` a state.
#: All int64; values come per pack as rows of lanes.
KDerivative = namedtuple("KDerivative", "ptr row column")


@njit(cache=True, nogil=True, forceinline=True)
def _solve_block(n, st, lu, z, at):
    """Solve (I - gamma h J) z = r in place for BLOCK right-hand sides at once, in rows from `at`."""
    for i in range(n):
        if entry(st.l_ptr, i) == entry(st.l_ptr, i + 1):
            continue  # most organs: nothing was eliminated into them
        q = at + i * BLOCK
        x0, x1, x2, x3 = load(z, q), load(z, q + 1), load(z, q + 2), load(z, q + 3)
        for p in range(entry(st.l_ptr, i), entry(st.l_ptr, i + 1)):
            m, c = load(lu, n + p), at + entry(st.l_col, p) * BLOCK
            x0 = x0 - m * load(z, c)
            x1 = x1 - m * load(z, c + 1)
            x2 = x2 - m * load(z, c + 2)
            x3 = x3 - m * load(z, c + 3)
        store(z, q, x0)
        store(z, q + 1, x1)
        store(z, q + 2, x2)
        store(z, q + 3, x3)
    first_u = n + len(st.l_col)
    for i in range(n - 1, -1, -1):
        q = at + i * BLOCK
        x0, x1, x2, x3 = load(z, q), load(z, q + 1), load(z, q + 2), load(z, q + 3)
        for p in range(entry(st.u_ptr, i), entry(st.u_ptr, i + 1)):
            m, c = load(lu, first_u + p), at + entry(st.u_col, p) * BLOCK
            x0 = x0 - m * load(z, c)
            x1 = x1 - m * load(z, c + 1)
            x2 = x2 - m * load(z, c + 2)
            x3 = x3 - m * load(z, c + 3)
        pivot = load(lu, i)
        store(z, q, x0 * pivot)
        store(z, q + 1, x1 * pivot)
        store(z, q + 2, x2 * pivot)
        store(z, q + 3, x3 * pivot)


@njit(cache=True, nogil=True, forceinline=True)
def _saturation(first, reactants, state, par, p, x, at):
    """(1 + sum of x_i/Ki, substrate amount) of one Michaelis-Menten reaction at amounts x[at:]."""
    inhibition = splat(1.0)
    for j in range(1, reactants):
        inhibition = inhibition + load(x, at + entry(state, first + j)) / load(par, p + 1 + j)
    return inhibition, load(x, at + entry(state, first))


@njit(cache=True, nogil=True, forceinline=True)
def _add_michaelis_menten(
    m, st, stoich, par, n_par, y, u, at, d, s, at_s, w, dpar, at_d, slope, gamma_h, z, at_z
):
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


@njit(cache=True, nogil=True, forceinline=True)
def _add_mass_action(
    m, st, stoich, par, n_par, y, u, at, d, s, at_s, w, dpar, at_d, slope, gamma_h, z, at_z
):
    """The same for v = c a b."""
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


@njit(cache=True, nogil=True)
def _add_hill(
    m, st, stoich, par, n_par, y, u, at, d, s, at_s, w, dpar, at_d, slope, gamma_h, z, at_z
):
    """The same for v = k b phi(a; K, g); without a second reactant b = 1."""
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


@njit(cache=True, nogil=True, forceinline=True)
def _add_reactions(
    st, stoich, par, n_par, y, u, at, d, s, at_s, w, dpar, at_d, slope, gamma_h, z, at_z, expr
):
    if expr is not None:
        add_expressions(
            st,
            stoich,
            par,
            n_par,
            y,
            u,
            at,
            d,
            s,
            at_s,
            w,
            dpar,
            at_d,
            slope,
            gamma_h,
            z,
            at_z,
            BLOCK,
            expr,
        )
    for m in range(len(st.law)):
        if expr is not None and entry(st.law, m) == 5:
            continue
        if st.enzymatic is not None and entry(st.law, m) == 4:
            add_enzymatic(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )
        elif entry(st.law, m) == 0:
            _add_michaelis_menten(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )
        elif st.hill is None or entry(st.law, m) == 1:
            _add_mass_action(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )
        else:
            _add_hill(
                m,
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                z,
                at_z,
            )


@njit(cache=True, nogil=True, forceinline=True)
def step_block(
    n,
    stages,
    st,
    stoich,
    par,
    n_par,
    weights,
    gamma_h,
    lu,
    slope,
    y,
    u,
    z,
    kd,
    kd_value,
    dpar,
    block,
    s,
    w,
    d,
    zs,
    expr,
):
    """Advance one block of parameters over an accepted step; the new s is the last stage of zs."""
    rows = n * BLOCK
    at_s = block * rows
    at_d = block * BLOCK * n_par
    for stage in range(stages):
        combine(stage, rows, s, at_s, zs, weights.c, weights.D)
        at, at_z = stage * n, stage * rows
        for e in range(entry(kd.ptr, block), entry(kd.ptr, block + 1)):
            row = at_z + entry(kd.row, e)
            store(
                zs,
                row,
                load(zs, row) + gamma_h * load(kd_value, e) * load(z, at + entry(kd.column, e)),
            )
        if len(st.law):
            for j in range(len(st.r_state)):
                state = entry(st.r_state, j)
                store(d, state, load(z, at + state) - load(u, at + state))
                for b in range(BLOCK):
                    row = state * BLOCK + b
                    store(w, row, stage_value(stage, row, rows, s, at_s, zs, weights.a, weights.A))
            _add_reactions(
                st,
                stoich,
                par,
                n_par,
                y,
                u,
                at,
                d,
                s,
                at_s,
                w,
                dpar,
                at_d,
                slope,
                gamma_h,
                zs,
                at_z,
                expr,
            )
        _solve_block(n, st, lu, zs, at_z)


@njit(cache=True, nogil=True)
def _weights_inside(stages, weights, theta, part):
    """Weight of s in the solution at t + theta h; those of every z are left in `part`."""
    rest = 1.0 - theta
    of_s = rest
    for m in range(len(weights.h)):
        of_s += theta * rest * theta**m * weights.h[m]
    for j in range(stages):
        total = 0.0
        for m in range(len(weights.H) - 1, -1, -1):
            total = weights.H[m, j] + theta * total
        part[j] = theta * rest * total
    part[stages - 1] += theta
    return of_s


@njit(cache=True, nogil=True)
def move_block(n, stages, weights, theta, s, zs, block, part):
    """Leave in s the sensitivities at t + theta h, where an event has cut the step short. `part`: (stages,) scratch."""
    rows = n * BLOCK
    of_s = _weights_inside(stages, weights, theta, part)
    for i in range(rows):
        total = of_s * load(s, block * rows + i)
        for j in range(stages):
            total = total + part[j] * load(zs, j * rows + i)
        store(s, block * rows + i, total)


@njit(cache=True, nogil=True, forceinline=True)
def save_block(
    st,
    out_weight,
    n,
    stages,
    weights,
    theta,
    s,
    zs,
    block,
    n_parameters,
    part,
    out,
    first,
    count,
    row,
):
    """Write the sensitivities of the saved sums at t + theta h; theta = 0 needs no stages. `part`: (stages,) scratch."""
    rows = n * BLOCK
    at = block * rows
    of_s = _weights_inside(stages, weights, theta, part)
    for o in range(len(st.out_ptr) - 1):
        x0, x1, x2, x3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
        for e in range(entry(st.out_ptr, o), entry(st.out_ptr, o + 1)):
            q = entry(st.out_state, e) * BLOCK
            p, size = at + q, of_s * out_weight[e]
            x0, x1 = x0 + size * load(s, p), x1 + size * load(s, p + 1)
            x2, x3 = x2 + size * load(s, p + 2), x3 + size * load(s, p + 3)
            if theta > 0.0:
                for j in range(stages):
                    size, p = part[j] * out_weight[e], j * rows + q
                    x0, x1 = x0 + size * load(zs, p), x1 + size * load(zs, p + 1)
                    x2, x3 = x2 + size * load(zs, p + 2), x3 + size * load(zs, p + 3)
        parameters = n_parameters - block * BLOCK
        for l in range(count):
            out[first + l, row, o, block * BLOCK] = lane(x0, l)
            if parameters > 1:
                out[first + l, row, o, block * BLOCK + 1] = lane(x1, l)
            if parameters > 2:
                out[first + l, row, o, block * BLOCK + 2] = lane(x2, l)
            if parameters > 3:
                out[first + l, row, o, block * BLOCK + 3] = lane(x3, l)
