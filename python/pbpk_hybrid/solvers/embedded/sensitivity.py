"""Forward sensitivities s = dy/dp, by differentiating the Rosenbrock step itself.

The method applied to y and s together, with the exact Jacobian of the pair, has the same
matrix for both:

.. math::
    (I - \\gamma h J) z^s_i = c_i s + \\sum_{j<i} D_{ij} z^s_j
    + \\gamma h [(J(u_i) - J) w_i + f_p(u_i) + H (z_i - u_i)],

    w_i = a_i s + \\sum_{j<i} A_{ij} z^s_j, \\qquad H = \\frac{\\partial}{\\partial y}(J s + f_p)

so one factorisation serves the state and all parameters (names as in :mod:`.rosenbrock`).
For the linear part f_p(u) + H (z - u) is K_p z. `BLOCK` parameters go through the
triangular solves together: their chains of dependent operations overlap, and every LU
entry is loaded once for all of them. Row i of parameter b in a block is
``i * BLOCK + b``.
"""

from __future__ import annotations

import numpy as np

from .compiled import kernel
from .expressions import Expressions
from .kernel_arrays import BLOCK, KDerivative, Structure
from .lanes import entry, lane, load, splat, store
from .laws.dispatch import add_sensitivities
from .stages import combine, stage_value
from .tableaus import StageWeights


@kernel(forceinline=True)
def _solve_block(n, st, lu, z, at):
    """Solve (I - gamma h J) z = r in place for BLOCK right-hand sides at once, in rows
    from `at`.
    """
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


@kernel(forceinline=True)
def step_block(
    n: int,
    stages: int,
    st: Structure,
    stoich: np.ndarray,
    par: np.ndarray,
    n_par: int,
    weights: StageWeights,
    gamma_h: float,
    lu: np.ndarray,
    slope: np.ndarray,
    y: np.ndarray,
    u: np.ndarray,
    z: np.ndarray,
    kd: KDerivative,
    kd_value: np.ndarray,
    dpar: np.ndarray,
    block: int,
    s: np.ndarray,
    w: np.ndarray,
    d: np.ndarray,
    zs: np.ndarray,
    expr: Expressions | None,
) -> None:
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
            add_sensitivities(
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


@kernel()
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


@kernel()
def move_block(
    n: int,
    stages: int,
    weights: StageWeights,
    theta: float,
    s: np.ndarray,
    zs: np.ndarray,
    block: int,
    part: np.ndarray,
) -> None:
    """Leave in s the sensitivities at t + theta h, where an event has cut the step short.

    Parameters
    ----------
    part : (stages,) scratch
    """
    rows = n * BLOCK
    of_s = _weights_inside(stages, weights, theta, part)
    for i in range(rows):
        total = of_s * load(s, block * rows + i)
        for j in range(stages):
            total = total + part[j] * load(zs, j * rows + i)
        store(s, block * rows + i, total)


@kernel(forceinline=True)
def save_block(
    st: Structure,
    out_weight: np.ndarray,
    n: int,
    stages: int,
    weights: StageWeights,
    theta: float,
    s: np.ndarray,
    zs: np.ndarray,
    block: int,
    n_parameters: int,
    part: np.ndarray,
    out: np.ndarray,
    first: int,
    count: int,
    row: int,
) -> None:
    """Write the sensitivities of the saved sums at t + theta h; theta = 0 needs no stages.

    `part`: (stages,) scratch.
    """
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
