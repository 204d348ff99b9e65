"""The embedded integrator's algorithm for one subject, in plain loops: what one thread does.

The same Rosenbrock method, elimination plan, step control and dense output as
:mod:`..embedded.rosenbrock`, with one subject instead of a pack of lanes. Arrays have the subject
as last axis, so that neighbouring threads read neighbouring numbers. The functions are compiled by
whatever `jit` is given: for a device, or for the CPU, where the tests run them at speed. `real` is
the type of amounts and coefficients; time is always double.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from ...models.laws.hill import HILL_FLOOR
from ...models.laws.registry import LAWS
from ..base import ADD, KEEP, RATE, Status

#: integer structure of a System; see :data:`..embedded.kernel_arrays.Structure`
Structure = namedtuple(
    "Structure",
    "l_ptr l_col u_ptr u_col op_ptr op_source op_target k_entry "
    "law r_ptr r_state p_ptr s_ptr s_state j_ptr j_entry out_ptr out_state guarded",
)
#: what all subjects share, in the type of amounts: stoichiometry, weights of saved sums, and of
#: stages (see :class:`..embedded.tableaus.StageWeights`)
Weights = namedtuple("Weights", "stoich out c D a A h H")
#: (rows, subjects or 1): minus K, constants of reactions, absolute tolerance, state at the start
Values = namedtuple("Values", "k par atol start")
#: stops of subject i are first[i]:first[i+1] (or first[0]:first[1] where all share them);
#: `value` is (stops, subjects or 1)
Doses = namedtuple("Doses", "first time kind state value")
#: (rows, subjects) scratch
Work = namedtuple("Work", "y z u lu slope dense rate")
#: (times, saved, subjects), (times, subjects) twice, (states, subjects), (3, subjects), (subjects)
Results = namedtuple("Results", "out total given final statistics lowest")
#: gamma, order of the error, rtol, largest number of steps, smallest and largest step, start [h]
Control = namedtuple("Control", "gamma error_order rtol max_steps min_step max_step start")

MICHAELIS_MENTEN = LAWS["michaelis_menten"].code
MASS_ACTION = LAWS["mass_action"].code
HILL = LAWS["hill"].code
HILL_PRODUCT = LAWS["hill_product"].code
ENZYMATIC = LAWS["enzymatic"].code
#: laws that a thread knows
KNOWN = ("michaelis_menten", "mass_action", "hill", "hill_product", "enzymatic")
_FLOOR = float(HILL_FLOOR)
_SUCCESS, _MAX_STEPS = int(Status.SUCCESS), int(Status.MAX_STEPS)
_TOO_SMALL, _NOT_FINITE = int(Status.STEP_TOO_SMALL), int(Status.NOT_FINITE)


def make_integrator(jit: Callable[[Any], Any], real: Any) -> Any:
    """The function of one subject: ``integrate(i, structure, weights, values, doses, times,
    control, work, results)``.

    Parameters
    ----------
    jit
        Compiles a function: ``numba.njit``, or ``numba.cuda.jit(device=True)``.
    real
        ``np.float64`` or ``np.float32``.
    """
    share, slope_of = _hill(jit, real)
    rate, slopes = _laws(jit, real, share, slope_of)
    factorise, solve, curvature = _algebra(jit, real, rate)
    save = _saving(jit, real)
    zero = real(0.0)

    @jit
    def column(array, i):
        """Where the numbers of subject i stand in an array that all may share."""
        return i if array.shape[1] > 1 else 0

    @jit
    def apply(n, kind, state, value, i, work):
        if kind == ADD:
            work.y[state, i] += value
        elif kind == RATE:
            work.rate[state, i] += value
        else:
            for j in range(n):
                work.y[j, i] *= value
                work.rate[j, i] *= value

    @jit
    def first_step(st, k, at, n, rtol):
        fastest = zero
        for e in range(len(st.k_entry)):
            if st.k_entry[e] < n:
                fastest = max(fastest, abs(k[e, at]))
        if fastest == zero:
            return math.inf
        return 0.5 * rtol**0.25 / fastest

    @jit
    def error_of(n, stages, work, i, rtol, atol):
        last, before = (stages - 1) * n, (stages - 2) * n
        total = zero
        for j in range(n):
            after = work.z[last + j, i]
            size = max(abs(work.y[j, i]), abs(after))
            scaled = (after - work.z[before + j, i]) / (atol + rtol * size)
            total += scaled * scaled
        return math.sqrt(total / real(n))

    @jit
    def integrate(i, st, w, values, doses, times, control, work, results):
        n = len(st.l_ptr) - 1
        stages, n_times = len(w.c), len(times)
        k_at, par_at = column(values.k, i), column(values.par, i)
        value_at, start_at = column(doses.value, i), column(values.start, i)
        own = i if len(doses.first) > 2 else 0
        stop, stops = doses.first[own], doses.first[own + 1]
        atol, rtol = values.atol[0, column(values.atol, i)], real(control.rtol)
        exponent = 1.0 / (control.error_order + 1)
        put_in, flow_in, lowest = zero, zero, zero
        for j in range(n):
            work.y[j, i] = values.start[j, start_at]
            work.rate[j, i] = zero
            put_in += work.y[j, i]
        t, h, row, steps, refusals = control.start, 0.0, 0, 0, 0
        end = times[n_times - 1]
        status = _SUCCESS
        while True:
            fresh = False
            while stop < stops and doses.time[stop] <= t:
                value = doses.value[stop, value_at]
                apply(n, doses.kind[stop], doses.state[stop], value, i, work)
                if doses.kind[stop] == ADD:
                    put_in += value
                elif doses.kind[stop] == KEEP:
                    put_in *= value
                stop += 1
                fresh = True
            if fresh:
                flow_in = zero
                for j in range(n):
                    flow_in += work.rate[j, i]
            while row < n_times and times[row] <= t:
                save(st, w, n, stages, zero, work, results, row, i, put_in)
                row += 1
            if row >= n_times:
                break
            until = end
            if stop < stops and doses.time[stop] < end:
                until = doses.time[stop]
            if fresh or h <= 0.0:
                h = first_step(st, values.k, k_at, n, control.rtol)
            refused = False
            while t < until and status == _SUCCESS:
                if steps + refusals >= control.max_steps:
                    status = _MAX_STEPS
                    break
                h = min(h, control.max_step)
                step, last = h, False
                if t + 1.0001 * step >= until:
                    step, last = until - t, True
                gamma_h = real(control.gamma * step)
                if not refused:
                    slopes(st, values.par, par_at, work, i)
                factorise(st, w, n, values.k, k_at, work, i, gamma_h)
                for s in range(stages):
                    at = s * n
                    for j in range(n):
                        x = w.c[s] * work.y[j, i]
                        for q in range(s):
                            x += w.D[s, q] * work.z[q * n + j, i]
                        work.z[at + j, i] = x + gamma_h * work.rate[j, i]
                    curvature(st, w, n, s, values.par, par_at, work, i, gamma_h)
                    solve(st, n, at, work, i)
                error = error_of(n, stages, work, i, rtol, atol)
                if error <= 1.0:
                    grow = 5.0
                    if error > 0.0:
                        grow = min(5.0, max(0.2, 0.9 * error ** (-exponent)))
                    if refused:
                        grow = min(grow, 1.0)
                    now = until if last else t + step
                    while row < n_times and times[row] < now:
                        theta = real((times[row] - t) / step)
                        so_far = put_in + real(times[row] - t) * flow_in
                        save(st, w, n, stages, theta, work, results, row, i, so_far)
                        row += 1
                    for j in range(n):
                        work.y[j, i] = work.z[(stages - 1) * n + j, i]
                    for g in range(len(st.guarded)):
                        lowest = min(lowest, work.y[st.guarded[g], i])
                    put_in += real(now - t) * flow_in
                    t, steps, refused = now, steps + 1, False
                    h = max(h, step * grow) if last else step * grow
                else:
                    refusals += 1
                    refused = True
                    finite = error < math.inf  # also false for NaN
                    h = step * max(0.2, 0.9 * error ** (-exponent)) if finite else 0.1 * step
                    if h < control.min_step * max(1.0, abs(t)):
                        status = _TOO_SMALL if error == error else _NOT_FINITE
            if status != _SUCCESS:
                break
        for j in range(n):
            results.final[j, i] = work.y[j, i]
        results.statistics[0, i] = steps
        results.statistics[1, i] = refusals
        results.statistics[2, i] = status
        results.lowest[i] = lowest

    return integrate


def _hill(jit: Callable, real: Any) -> tuple[Any, Any]:
    """phi(a) = a^g / (K^g + a^g) and its slope; see :mod:`..embedded.laws.hill`."""
    one, floor = real(1.0), real(_FLOOR)

    @jit
    def share(a, half, power):
        x = a / half
        if x > one:
            return one / (one + x ** (-power))
        if x > floor:
            p = x**power
            return p / (one + p)
        p = floor**power
        return p / (one + p) * (x / floor)

    @jit
    def slope_of(a, half, power):
        if a / half > floor:
            s = share(a, half, power)
            return power / a * s * (one - s)
        return share(floor * half, half, power) / (floor * half)

    return share, slope_of


def _laws(jit: Callable, real: Any, share: Any, slope_of: Any) -> tuple[Any, Any]:
    """Rate of a reaction at amounts x[at:], and the slopes of all at y; see
    :mod:`pbpk_hybrid.models.laws`.
    """
    zero, one = real(0.0), real(1.0)

    @jit
    def rate(st, m, par, c, x, i):
        """v; x holds the amounts of the states, in elimination order."""
        first, p = st.r_ptr[m], st.p_ptr[m]
        count, law = st.r_ptr[m + 1] - first, st.law[m]
        a = x[st.r_state[first], i]
        if law == MASS_ACTION:
            return par[p, c] * a * x[st.r_state[first + 1], i]
        if law == MICHAELIS_MENTEN:
            inhibition = one
            for j in range(1, count):
                inhibition += x[st.r_state[first + j], i] / par[p + 1 + j, c]
            return par[p, c] * a / (par[p + 1, c] * inhibition + a)
        if law == ENZYMATIC:
            free, bound = one, one
            for j in range(2, count):
                other = x[st.r_state[first + j], i]
                free += par[p + 2 * j - 2, c] * other
                bound += par[p + 2 * j - 1, c] * other
            active = par[p, c] * (one + x[st.r_state[first + 1], i])
            return active * a / (free + par[p + 1, c] * a * bound)
        v = par[p, c] * share(a, par[p + 1, c], par[p + 2, c])
        if law == HILL_PRODUCT:
            v *= x[st.r_state[first + 1], i]
        return v

    @jit
    def slopes(st, par, c, work, i):
        y, slope = work.y, work.slope
        for m in range(len(st.law)):
            first, p = st.r_ptr[m], st.p_ptr[m]
            count, law = st.r_ptr[m + 1] - first, st.law[m]
            a = y[st.r_state[first], i]
            if law == MASS_ACTION:
                slope[first, i] = par[p, c] * y[st.r_state[first + 1], i]
                slope[first + 1, i] = par[p, c] * a
            elif law == MICHAELIS_MENTEN:
                inhibition = one
                for j in range(1, count):
                    inhibition += y[st.r_state[first + j], i] / par[p + 1 + j, c]
                km = par[p + 1, c]
                below = km * inhibition + a
                common = par[p, c] / (below * below)
                slope[first, i] = common * km * inhibition
                for j in range(1, count):
                    slope[first + j, i] = zero - common * a * km / par[p + 1 + j, c]
            elif law == ENZYMATIC:
                free, bound = one, one
                for j in range(2, count):
                    other = y[st.r_state[first + j], i]
                    free += par[p + 2 * j - 2, c] * other
                    bound += par[p + 2 * j - 1, c] * other
                ra = par[p + 1, c] * a
                over = one / (free + ra * bound)
                active = par[p, c] * (one + y[st.r_state[first + 1], i]) * over * over
                slope[first, i] = active * free
                slope[first + 1, i] = par[p, c] * a * over
                for j in range(2, count):
                    of_j = par[p + 2 * j - 2, c] + ra * par[p + 2 * j - 1, c]
                    slope[first + j, i] = zero - active * a * of_j
            else:
                half, power = par[p + 1, c], par[p + 2, c]
                d = par[p, c] * slope_of(a, half, power)
                if law == HILL_PRODUCT:
                    d *= y[st.r_state[first + 1], i]
                    slope[first + 1, i] = par[p, c] * share(a, half, power)
                slope[first, i] = d

    return rate, slopes


def _algebra(jit: Callable, real: Any, rate: Any) -> tuple[Any, Any, Any]:
    """Factors of I - gamma h J, a solve with them, and the curvature of the reactions."""
    zero, one = real(0.0), real(1.0)

    @jit
    def factorise(st, w, n, k, k_at, work, i, gamma_h):
        lu = work.lu
        for j in range(n):
            lu[j, i] = one
        for j in range(n, lu.shape[0]):
            lu[j, i] = zero
        for e in range(len(st.k_entry)):
            lu[st.k_entry[e], i] += gamma_h * k[e, k_at]
        for m in range(len(st.law)):
            e = st.j_ptr[m]
            for j in range(st.r_ptr[m], st.r_ptr[m + 1]):
                d = gamma_h * work.slope[j, i]
                for q in range(st.s_ptr[m], st.s_ptr[m + 1]):
                    lu[st.j_entry[e], i] -= w.stoich[q] * d
                    e += 1
        for j in range(n):
            for p in range(st.l_ptr[j], st.l_ptr[j + 1]):
                factor = lu[n + p, i] * lu[st.l_col[p], i]
                lu[n + p, i] = factor
                for q in range(st.op_ptr[p], st.op_ptr[p + 1]):
                    lu[st.op_target[q], i] -= factor * lu[st.op_source[q], i]
            lu[j, i] = one / lu[j, i]

    @jit
    def solve(st, n, at, work, i):
        z, lu = work.z, work.lu
        for j in range(n):
            x = z[at + j, i]
            for p in range(st.l_ptr[j], st.l_ptr[j + 1]):
                x -= lu[n + p, i] * z[at + st.l_col[p], i]
            z[at + j, i] = x
        first_u = n + len(st.l_col)
        for back in range(n):
            j = n - 1 - back
            x = z[at + j, i]
            for p in range(st.u_ptr[j], st.u_ptr[j + 1]):
                x -= lu[first_u + p, i] * z[at + st.u_col[p], i]
            z[at + j, i] = x * lu[j, i]

    @jit
    def curvature(st, w, n, s, par, par_at, work, i, gamma_h):
        """z_s += gamma h S (v(u) - v'(y) u), with u in the rows of reactants."""
        u = work.u
        for r in range(len(st.r_state)):
            j = st.r_state[r]
            x = w.a[s] * work.y[j, i]
            for q in range(s):
                x += w.A[s, q] * work.z[q * n + j, i]
            u[j, i] = x
        for m in range(len(st.law)):
            v = rate(st, m, par, par_at, u, i)
            for r in range(st.r_ptr[m], st.r_ptr[m + 1]):
                v -= work.slope[r, i] * u[st.r_state[r], i]
            v *= gamma_h
            for q in range(st.s_ptr[m], st.s_ptr[m + 1]):
                work.z[s * n + st.s_state[q], i] += w.stoich[q] * v

    return factorise, solve, curvature


def _saving(jit: Callable, real: Any) -> Any:
    """The state at t + theta h as sums: those asked for, and that of all states."""
    zero, one = real(0.0), real(1.0)

    @jit
    def at_share(w, n, stages, theta, work, j, i):
        """State j inside the step: see :mod:`..embedded.tableaus`."""
        y = work.y[j, i]
        if theta == zero:
            return y
        n_dense = w.H.shape[0]
        bend = zero
        for back in range(n_dense):
            m = n_dense - 1 - back
            d = w.h[m] * y
            for q in range(stages):
                d += w.H[m, q] * work.z[q * n + j, i]
            bend = d + theta * bend
        rest = one - theta
        return rest * y + theta * (work.z[(stages - 1) * n + j, i] + rest * bend)

    @jit
    def save(st, w, n, stages, theta, work, results, row, i, put_in):
        total = zero
        for j in range(n):
            x = at_share(w, n, stages, theta, work, j, i)
            work.dense[j, i] = x
            total += x
        results.total[row, i] = total
        results.given[row, i] = put_in
        for o in range(len(st.out_ptr) - 1):
            value = zero
            for q in range(st.out_ptr[o], st.out_ptr[o + 1]):
                value += w.out[q] * work.dense[st.out_state[q], i]
            results.out[row, o, i] = value

    return save


def as_type(group: Any, dtype: Any) -> Any:
    """A named group with all its arrays of one type, contiguous."""
    return type(group)(*(np.ascontiguousarray(a, dtype=dtype) for a in group))
