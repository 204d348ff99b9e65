"""The lane-packed, graph-sparse Rosenbrock integrator.

:func:`integrate_pack` advances one pack of `LANES` subjects with one step size, the one
the worst of them needs. Three things make it fast: a Rosenbrock method (one factorisation
and no Newton iteration per step), linear solves along the organ graph
(:mod:`pbpk_hybrid.models.system.elimination_order`), and SIMD (:mod:`.lanes`).

With f(u) = J u + g(u), where g holds only doses and the curvature of saturable terms, a
stage is one sum and one solve,

.. math::
    (I - \\gamma h J)\\,z_s = c_s y + \\sum_{j<s} D_{sj} z_j + \\gamma h\\,g(u_s)

(:mod:`.tableaus` says how this follows from the usual form). The last z is the new value.
States are in elimination order throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import ADD, KEEP, RATE, Status
from .areas import AreaArrays, advance_areas, prepare_areas, save_areas, write_areas
from .compiled import kernel
from .expressions import (
    Events,
    Expressions,
    events_of_pack,
    fire,
    keep_exact,
    locate,
    reset_events,
    rising,
)
from .kernel_arrays import (
    BLOCK,
    Control,
    Lanewise,
    Method,
    Model,
    PackDerivatives,
    PackEvents,
    Results,
    SensitivityArrays,
    Stops,
    Workspace,
)
from .lanes import LANES, entry, lane, lane_abs, lane_max, lane_min, load, splat, store
from .laws.dispatch import add_curvature, linearise
from .sensitivity import move_block, save_block, step_block
from .stages import combine, stage_value

#: two times are the same if they differ by less than this share of them; more than
#: conditions allow for
SAME_TIME = 3e-11
#: how far inside a step its first and last moment are looked at, as a share of the time:
#: a few units of its last digit
NUDGE = 4e-15
#: an error so far below 1 allows a step to grow more than fivefold, in models with events
FAR_BELOW = 1e-5
# as plain numbers, which numba keeps as constants
SUCCESS, MAX_STEPS = int(Status.SUCCESS), int(Status.MAX_STEPS)
STEP_TOO_SMALL, NOT_FINITE = int(Status.STEP_TOO_SMALL), int(Status.NOT_FINITE)


@kernel(forceinline=True)
def _factorise(n, st, stoich, base, slope, lu, gamma_h):
    """lu = factors of I - gamma h J; minus K is in `base`, d v / d reactant in `slope`;
    pivots end inverted.
    """
    for i in range(n):
        store(lu, i, gamma_h * load(base, i) + 1.0)
    for i in range(n, len(lu)):
        store(lu, i, gamma_h * load(base, i))
    for m in range(len(st.law)):
        e = entry(st.j_ptr, m)
        for j in range(entry(st.r_ptr, m), entry(st.r_ptr, m + 1)):
            d = gamma_h * load(slope, j)
            for q in range(entry(st.s_ptr, m), entry(st.s_ptr, m + 1)):
                target = entry(st.j_entry, e)
                store(lu, target, load(lu, target) - stoich[q] * d)
                e += 1
    for i in range(n):
        for p in range(entry(st.l_ptr, i), entry(st.l_ptr, i + 1)):
            factor = load(lu, n + p) * load(lu, entry(st.l_col, p))
            store(lu, n + p, factor)
            for q in range(entry(st.op_ptr, p), entry(st.op_ptr, p + 1)):
                target = entry(st.op_target, q)
                store(lu, target, load(lu, target) - factor * load(lu, entry(st.op_source, q)))
        store(lu, i, 1.0 / load(lu, i))


@kernel(forceinline=True)
def _solve(n, st, lu, z, at):
    """Solve (I - gamma h J) z = r in place, in rows at..at+n."""
    for i in range(n):
        if entry(st.l_ptr, i) == entry(st.l_ptr, i + 1):
            continue  # most organs: nothing was eliminated into them
        x = load(z, at + i)
        for p in range(entry(st.l_ptr, i), entry(st.l_ptr, i + 1)):
            x = x - load(lu, n + p) * load(z, at + entry(st.l_col, p))
        store(z, at + i, x)
    first_u = n + len(st.l_col)
    for i in range(n - 1, -1, -1):
        x = load(z, at + i)
        for p in range(entry(st.u_ptr, i), entry(st.u_ptr, i + 1)):
            x = x - load(lu, first_u + p) * load(z, at + entry(st.u_col, p))
        store(z, at + i, x * load(lu, i))


@kernel(forceinline=True)
def _evaluate_reactants(s, n, st, y, z, a, A, u, at):
    """u of stage s, in the rows of reactants only (a row that two reactions share is done
    twice, to no harm).
    """
    for j in range(len(st.r_state)):
        row = entry(st.r_state, j)
        store(u, at + row, stage_value(s, row, n, y, 0, z, a, A))


@kernel(forceinline=True)
def _add_rates(n, rate, gamma_h, z, at):
    """z += gamma h (infusion rates)."""
    for i in range(n):
        store(z, at + i, load(z, at + i) + gamma_h * load(rate, i))


@kernel(forceinline=True)
def _error(n, counted, y, z, new, embedded, rtol, atol):
    """RMS of new minus embedded solution (rows of z), in units of the tolerance, of the
    worst lane; over the `counted` states that can have one."""
    total = splat(0.0)
    for i in range(n):
        after = load(z, new + i)
        scaled = (after - load(z, embedded + i)) / (
            atol + rtol * lane_max(lane_abs(load(y, i)), lane_abs(after))
        )
        total = total + scaled * scaled
    worst = 0.0
    for l in range(LANES):
        e = lane(total, l)
        if e != e:  # a NaN must win over the lanes that follow
            return e
        worst = max(worst, e)
    return np.sqrt(worst / counted)


@kernel(forceinline=True)
def _dense_prepare(n, stages, y, h, H, z, dense):
    """D_m = h_m y + sum_j H_mj z_j."""
    for m in range(len(H)):
        for i in range(n):
            d = h[m] * load(y, i)
            for j in range(stages):
                d = d + H[m, j] * load(z, j * n + i)
            store(dense, m * n + i, d)


@kernel(forceinline=True)
def _save(st, out_weight, n, theta, n_dense, y, new, at, dense, out, first, count, row):
    """Write the saved sums at t + theta h for the pack's real subjects."""
    rest = 1.0 - theta
    for o in range(len(st.out_ptr) - 1):
        total = splat(0.0)
        for q in range(entry(st.out_ptr, o), entry(st.out_ptr, o + 1)):
            i = entry(st.out_state, q)
            if theta == 0.0:
                value = load(y, i)
            elif theta == 1.0:
                value = load(new, at + i)
            else:
                bend = load(dense, (n_dense - 1) * n + i)
                for m in range(n_dense - 2, -1, -1):
                    bend = load(dense, m * n + i) + theta * bend
                value = rest * load(y, i) + theta * (load(new, at + i) + rest * bend)
            total = total + out_weight[q] * value
        for l in range(count):
            out[first + l, row, o] = lane(total, l)


@kernel(forceinline=True)
def _total(n, a, at):
    total = splat(0.0)
    for i in range(n):
        total = total + load(a, at + i)
    return total


@kernel(forceinline=True)
def _any(a):
    for l in range(LANES):  # noqa: SIM110 (numba compiles no generator)
        if lane(a, l) != 0.0:
            return True
    return False


@kernel(forceinline=True)
def _save_balance(n, theta, n_dense, y, new, at, dense, put_in, balance, given, first, count, row):
    """Sum of all states at t + theta h minus what was given; an array of no rows means:
    not wanted.
    """
    if len(given) == 0:
        return
    for l in range(count):
        given[first + l, row] = lane(put_in, l)
    if len(balance) == 0:
        return
    old, bent, later = _total(n, y, 0), splat(0.0), _total(n, new, at)
    if 0.0 < theta < 1.0:
        for m in range(n_dense - 1, -1, -1):
            part = splat(0.0)
            for i in range(n):
                part = part + load(dense, m * n + i)
            bent = part + theta * bent
    total = (1.0 - theta) * old + theta * (later + (1.0 - theta) * bent) - put_in
    for l in range(count):
        balance[first + l, row] = lane(total, l)


@kernel(forceinline=True)
def _apply_event(n, kind, state, value, y, rate):
    """A jump, a change of infusion rate, or a reset (value 0 in the lanes that are reset,
    1 elsewhere).
    """
    if kind == ADD:
        store(y, state, load(y, state) + value)
    elif kind == RATE:
        store(rate, state, load(rate, state) + value)
    else:
        for i in range(n):
            store(y, i, load(y, i) * value)
            store(rate, i, load(rate, i) * value)


@kernel(forceinline=True)
def _first_step(n, base0, rtol):
    """A step over which even the fastest process (the largest diagonal entry of K) moves little."""
    fastest = 0.0
    for i in range(n):
        d = load(base0, i)
        for l in range(LANES):
            fastest = max(fastest, abs(lane(d, l)))
    if fastest == 0.0:
        return np.inf
    return 0.5 * rtol**0.25 / fastest


@kernel(forceinline=True)
def _advance_sensitivities(
    n,
    stages,
    st,
    stoich,
    par,
    weights,
    gamma_h,
    lu,
    slope,
    y,
    u,
    z,
    sens,
    out_weight,
    t,
    now,
    step,
    share,
    times,
    row,
    first,
    count,
    expr,
):
    """All blocks over one accepted step, with what is to be saved inside it.

    Parameters
    ----------
    step, share : the step that was made, and how much of it counts: less than 1 where an
        event cuts it short at `now`
    """
    rows = n * BLOCK
    for block in range(len(sens.s) // rows):
        step_block(
            n,
            stages,
            st,
            stoich,
            par,
            sens.n_par,
            weights,
            gamma_h,
            lu,
            slope,
            y,
            u,
            z,
            sens.kd,
            sens.kd_value,
            sens.dpar,
            block,
            sens.s,
            sens.w,
            sens.d,
            sens.z,
            expr,
        )
        at = row
        while at < len(times) and times[at] < now:
            save_block(
                st,
                out_weight,
                n,
                stages,
                weights,
                (times[at] - t) / step,
                sens.s,
                sens.z,
                block,
                sens.out.shape[3],
                sens.weight,
                sens.out,
                first,
                count,
                at,
            )
            at += 1
        if share < 1.0:
            move_block(n, stages, weights, share, sens.s, sens.z, block, sens.weight)
            continue
        for i in range(rows):
            store(sens.s, block * rows + i, load(sens.z, (stages - 1) * rows + i))


@kernel()
def integrate_pack(
    model: Model,
    method: Method,
    control: Control,
    values: Lanewise,
    times: np.ndarray,
    stops: Stops,
    start: float,
    work: Workspace,
    results: Results,
    sens: SensitivityArrays | None,
    area: AreaArrays,
    expr: Expressions | None,
    ev: Events | None,
    first: int,
    count: int,
) -> None:
    """Integrate one pack over all its events and saved times.

    Parameters
    ----------
    values : of the pack; its `y` is the state at `start`, and at the last time afterwards
    times : (n_times,) saved times, ascending
    stops : of the pack
    start : time at which `y` holds
    work : scratch; its `rate`, the infusion rates (n, LANES), holds those at the start
    results : rows first..first+count are written; `statistics` and `lowest` of the pack
    sens : SensitivityArrays of the pack, or None: only the state is integrated
    area : AreaArrays, for none or some integrals over time
    expr : Expressions, or None
    ev : Events of the pack, or None
    """
    st, stoich, out_weight = model
    weights, gamma, error_order = method
    base0, par, atol, y = values
    _, ev_time, ev_ptr, ev_kind, ev_state, ev_value = stops
    u, z, lu, slope, dense, rate = work
    out, balance, given, statistics, lowest = results
    n = len(y)
    stages = len(weights.c)
    last_z = (stages - 1) * n
    n_dense = len(weights.H)
    tolerance = load(atol, 0)
    exponent = 1.0 / (error_order + 1)
    n_times = len(times)
    n_stops = len(ev_time)
    row = 0
    t = start
    end = times[n_times - 1]
    put_in = _total(n, y, 0)  # what was given up to `t`, start amounts included
    flow_in = splat(0.0)  # sum of the infusion rates
    h = 0.0
    stop = 0
    accepted, rejected = 0, 0
    store(lowest, 0, splat(0.0))
    infusing = False
    areas = len(area.ptr) > 1
    for i in range(len(area.now)):
        store(area.now, i, splat(0.0))
    happens = ev is not None  # events may be due at the start
    counted = n
    if ev is not None:
        counted = n - 1 - len(ev.still)  # not time, nor what only events change
        reset_events(ev)
    while True:
        # events at t, then what is to be saved at t: an observation at the time of a dose
        # sees the dose; the other way round in models that report the state before their
        # events
        fresh = False
        saves_first = False
        due = t
        if ev is not None:
            saves_first = ev.before != 0
            # conditions hold within rounding of their time, which may be ahead of it
            if saves_first:
                due = t + SAME_TIME * (1.0 + abs(t))
        for phase in range(2):
            if (phase == 0) == saves_first:
                while row < n_times and times[row] <= due:
                    _save(st, out_weight, n, 0.0, n_dense, y, y, 0, dense, out, first, count, row)
                    _save_balance(
                        n, 0.0, n_dense, y, y, 0, dense, put_in, balance, given, first, count, row
                    )
                    if areas:
                        save_areas(area, 0.0, 0.0, t, row)
                    if sens is not None:
                        for block in range(len(sens.s) // (n * BLOCK)):
                            save_block(
                                st,
                                out_weight,
                                n,
                                stages,
                                weights,
                                0.0,
                                sens.s,
                                sens.z,
                                block,
                                sens.out.shape[3],
                                sens.weight,
                                sens.out,
                                first,
                                count,
                                row,
                            )
                    row += 1
                continue
            while stop < n_stops and ev_time[stop] <= t:
                for e in range(ev_ptr[stop], ev_ptr[stop + 1]):
                    value = load(ev_value, e)
                    _apply_event(n, ev_kind[e], ev_state[e], value, y, rate)
                    if ev_kind[e] == ADD:
                        put_in = put_in + value
                    elif ev_kind[e] == KEEP:
                        put_in = put_in * value
                        if sens is not None:
                            for i in range(len(sens.s)):
                                store(sens.s, i, load(sens.s, i) * value)
                stop += 1
                fresh = True
            if ev is not None and (fresh or happens):
                if sens is None:
                    fresh = fire(ev, y, None, BLOCK) or fresh
                else:
                    fresh = fire(ev, y, sens.s, BLOCK) or fresh
                happens = False
            if fresh:
                flow_in = _total(n, rate, 0)
                infusing = _any(flow_in)
        if row >= n_times:
            break
        until = end
        if stop < n_stops and ev_time[stop] < end:
            until = ev_time[stop]
        if fresh or h <= 0.0:
            h = _first_step(n, base0, control.rtol)
        refused = False
        while t < until:
            if accepted + rejected >= control.max_steps:
                statistics[0], statistics[1], statistics[2] = accepted, rejected, MAX_STEPS
                return
            h = min(h, control.max_step)
            step = h
            last = False
            if t + 1.0001 * step >= until:
                step = until - t
                last = True
            gamma_h = gamma * step
            ends_before = 0.0
            if ev is not None:
                # a rate that jumps at a time, where a step begins or ends, has the value
                # that it has inside
                store(y, ev.time, splat(t + NUDGE * (1.0 + abs(t))))
                ends_before = t + step - NUDGE * (1.0 + abs(t + step))
            if not refused:  # a refused step starts again from the same y
                linearise(st, par, y, slope, expr)
            _factorise(n, st, stoich, base0, slope, lu, gamma_h)
            for s in range(stages):
                combine(s, n, y, 0, z, weights.c, weights.D)
                if len(st.law):
                    at = 0
                    if sens is not None:
                        at = s * n  # sensitivities need u of every stage
                    _evaluate_reactants(s, n, st, y, z, weights.a, weights.A, u, at)
                    if ev is not None:
                        row_of_time = at + ev.time
                        store(u, row_of_time, lane_min(load(u, row_of_time), splat(ends_before)))
                    add_curvature(st, stoich, par, y, u, at, slope, gamma_h, z, s * n, expr)
                if infusing:
                    _add_rates(n, rate, gamma_h, z, s * n)
                _solve(n, st, lu, z, s * n)
            error = _error(n, counted, y, z, last_z, last_z - n, control.rtol, tolerance)
            if error <= 1.0:
                most = 5.0
                if ev is not None and error < FAR_BELOW:
                    most = 50.0  # events restart from tiny steps, again and again
                grow = most if error == 0.0 else min(most, max(0.2, 0.9 * error ** (-exponent)))
                if refused:
                    grow = min(grow, 1.0)
                now = until if last else t + step
                prepared = False
                share = 1.0
                if ev is not None:
                    keep_exact(ev, y, z, last_z, now)
                    if rising(ev, z, last_z, count, True):
                        _dense_prepare(n, stages, y, weights.h, weights.H, z, dense)
                        prepared = True
                        share = locate(ev, n, y, z, last_z, dense, n_dense, count)
                        happens = True
                        if share < 1.0:
                            now = t + share * step
                            last = False
                if sens is not None:
                    _advance_sensitivities(
                        n,
                        stages,
                        st,
                        stoich,
                        par,
                        weights,
                        gamma_h,
                        lu,
                        slope,
                        y,
                        u,
                        z,
                        sens,
                        out_weight,
                        t,
                        now,
                        step,
                        share,
                        times,
                        row,
                        first,
                        count,
                        expr,
                    )
                if areas:
                    prepare_areas(area, n, stages, z, row < n_times and times[row] < now)
                while row < n_times and times[row] < now:
                    if not prepared:
                        _dense_prepare(n, stages, y, weights.h, weights.H, z, dense)
                        prepared = True
                    theta = (times[row] - t) / step
                    _save(
                        st,
                        out_weight,
                        n,
                        theta,
                        n_dense,
                        y,
                        z,
                        last_z,
                        dense,
                        out,
                        first,
                        count,
                        row,
                    )
                    if areas:
                        save_areas(area, step, theta, times[row], row)
                    so_far = put_in + (times[row] - t) * flow_in
                    _save_balance(
                        n,
                        theta,
                        n_dense,
                        y,
                        z,
                        last_z,
                        dense,
                        so_far,
                        balance,
                        given,
                        first,
                        count,
                        row,
                    )
                    row += 1
                if ev is not None and share < 1.0:
                    for i in range(n):
                        store(y, i, load(ev.y, i))
                else:
                    for i in range(n):
                        store(y, i, load(z, last_z + i))
                if len(st.guarded):
                    least = load(lowest, 0)
                    for g in range(len(st.guarded)):
                        least = lane_min(load(y, entry(st.guarded, g)), least)
                    store(lowest, 0, least)
                put_in = put_in + (now - t) * flow_in
                if areas:
                    advance_areas(area, step, now)
                t = now
                accepted += 1
                refused = False
                h = step * grow if not last else max(h, step * grow)
                if ev is not None:
                    if happens:
                        break
            else:
                rejected += 1
                refused = True
                finite = error < np.inf  # also false for NaN
                h = step * max(0.2, 0.9 * error ** (-exponent)) if finite else 0.1 * step
                if h < control.min_step * max(1.0, abs(t)):
                    statistics[0], statistics[1] = accepted, rejected
                    statistics[2] = NOT_FINITE if error != error else STEP_TOO_SMALL
                    return
    statistics[0], statistics[1], statistics[2] = accepted, rejected, SUCCESS


@kernel()
def _of_pack(
    sens: SensitivityArrays | None, derivatives: Any, pack: int
) -> SensitivityArrays | None:
    """The arrays of one pack, with s as it starts (zero where `starts` is empty); None
    stays None.
    """
    if sens is None:
        return None
    sens.s[:] = 0.0
    if len(derivatives.starts):
        sens.s[:] = derivatives.starts[pack]
    return SensitivityArrays(
        sens.s,
        sens.w,
        sens.d,
        sens.z,
        sens.kd,
        derivatives.kd_values[pack],
        derivatives.dpars[pack],
        sens.n_par,
        sens.weight,
        sens.out,
    )


@kernel()
def _events_of(ev: Events | None, of_packs: Any, pack: int) -> Events | None:
    """The events with the constants of one pack; None stays None."""
    if ev is None:
        return None
    return events_of_pack(ev, of_packs.constants, of_packs.directions, pack)


@kernel()
def integrate_packs(
    model: Model,
    method: Method,
    control: Control,
    values: Lanewise,
    times: np.ndarray,
    stops: Stops,
    start: float,
    work: Workspace,
    results: Results,
    sens: SensitivityArrays | None,
    derivatives: PackDerivatives | None,
    area: AreaArrays,
    expr: Expressions | None,
    ev: Events | None,
    of_packs: PackEvents | None,
    n_subjects: int,
    from_pack: int,
    to_pack: int,
) -> None:
    """Integrate packs from_pack..to_pack; arguments as in :func:`integrate_pack`, with
    the pack as first axis, and stops one pack after the other.
    """
    for pack in range(from_pack, to_pack):
        work.rate[:] = 0.0
        a, b = stops.first[pack], stops.first[pack + 1]
        first = pack * LANES
        count = min(LANES, n_subjects - first)
        integrate_pack(
            model,
            method,
            control,
            Lanewise(values.base[pack], values.par[pack], values.atol[pack], values.y[pack]),
            times,
            Stops(
                None, stops.time[a:b], stops.ptr[a : b + 1], stops.kind, stops.state, stops.value
            ),
            start,
            work,
            Results(
                results.out,
                results.balance,
                results.given,
                results.statistics[pack],
                results.lowest[pack],
            ),
            _of_pack(sens, derivatives, pack),
            area,
            expr,
            _events_of(ev, of_packs, pack),
            first,
            count,
        )
        if len(area.ptr) > 1:
            write_areas(area, first, count)
