"""Reactions whose law is an expression, and events, inside the integrator.

The machine code of a model's expressions (:mod:`.expression_code`) is called by its
address, so that the integrator itself is compiled once for all models. Systems without
expressions or events are compiled without any of this.
"""

from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir
from numba.core import types

from ...models.expressions.derivative import derivatives, directional
from ...models.expressions.tree import Expression, add, apply, mul, symbol, symbols
from ...models.system.system import Reaction, System
from .compiled import kernel
from .expression_code import N_INPUTS, Row, compile_expressions
from .lanes import LANES, _row_pointer, aligned_lanes, intrinsic, lane, load, splat, store

if TYPE_CHECKING:
    from numba.core.typing import Context

    from .kernel_arrays import Structure
    from .lanes import Lanes, Typed

#: Expression reactions of a System: code of their rates and slopes, number of the first
#: one, its first row of slopes, and scratch for the rates (one set per thread). For
#: sensitivities: code of the rates' derivative along a direction of states and parameters
#: (`along`), and of the derivative of slope times d along one (`bend`); 0 where none are
#: wanted.
Expressions = namedtuple("Expressions", "rates slopes along bend first slope_row v")

#: Events: code that gives conditions (rows 0..n) and then values; where they begin, what
#: they set, whether only once; constants of the pack; per event and lane whether the
#: condition holds and whether it has happened; scratch rows, scratch state; rows of the
#: states that only events change, and of time (-1: none), which steps must leave exact.
#: For sensitivities: code of the derivative of the values along a direction (0: none
#: wanted), the direction of the constants, scratch rows; 1 if what is saved at the time
#: of an event is the state before it; how many of the last ones are switches; rows of the
#: states that conditions look at.
Events = namedtuple(
    "Events",
    "code ptr target once constants holds happened rows y still time along direction tangent "
    "before switches used queue",
)

#: Events that wait for each other (0 events: none does): whether they persist, set the
#: values of when their condition became true, and count as true before the start; per
#: event and lane how many wait; the values kept since then, and their derivatives (one
#: set of rows for each parameter of a sensitivity).
Queue = namedtuple("Queue", "persistent at_trigger true_before waits kept kept_slopes")

#: so many events of a queue may happen at one time, before it counts as one that never ends
MOST_AT_ONCE = 10_000


@intrinsic
def call(
    typingctx: Context,
    address: types.Type,
    a: types.Type,
    a_row: types.Type,
    b: types.Type,
    c: types.Type,
    out: types.Type,
    out_row: types.Type,
) -> Typed:
    """Call a compiled function: inputs a (from row a_row), b and c, output from row
    out_row of `out`.
    """

    def codegen(context, builder, sig, args):
        address, a, a_row, b, c, out, out_row = args
        zero = ir.Constant(ir.IntType(64), 0)
        places = [(1, a, a_row), (3, b, zero), (4, c, zero)]
        _emit_call(
            context,
            builder,
            sig,
            address,
            places,
            ir.Constant(ir.IntType(64), 1),
            (5, out, out_row),
        )
        return context.get_dummy_value()

    return types.void(types.int64, a, types.intp, b, c, out, types.intp), codegen


@intrinsic
def call_wide(
    typingctx: Context,
    address: types.Type,
    a: types.Type,
    a_row: types.Type,
    b: types.Type,
    c: types.Type,
    d: types.Type,
    d_row: types.Type,
    e: types.Type,
    e_row: types.Type,
    f: types.Type,
    f_row: types.Type,
    stride: types.Type,
    out: types.Type,
) -> Typed:
    """The same with six inputs, of which some have rows that lie `stride` apart."""

    def codegen(context, builder, sig, args):
        address, a, a_row, b, c, d, d_row, e, e_row, f, f_row, stride, out = args
        zero = ir.Constant(ir.IntType(64), 0)
        places = [(1, a, a_row), (3, b, zero), (4, c, zero)]
        places += [(5, d, d_row), (7, e, e_row), (9, f, f_row)]
        _emit_call(context, builder, sig, address, places, stride, (12, out, zero))
        return context.get_dummy_value()

    row = types.intp
    return types.void(types.int64, a, row, b, c, d, row, e, row, f, row, types.int64, out), codegen


def _emit_call(context, builder, sig, address, inputs, stride, output):
    """LLVM's call of the code at an address; `inputs` and `output` are (argument number,
    array, first row).
    """
    pointer = lambda i, value, row: _row_pointer(builder, context, sig.args[i], value, row)
    given = [pointer(*place) for place in inputs]
    kind = given[0].type
    given += [ir.Constant(kind, None)] * (N_INPUTS - len(given))
    signature = ir.FunctionType(ir.VoidType(), [kind] * N_INPUTS + [ir.IntType(64), kind])
    function = builder.inttoptr(address, signature.as_pointer())
    builder.call(function, [*given, stride, pointer(*output)])


def expression_arrays(
    system: System, r_ptr: Sequence[int], p_ptr: Sequence[int], sensitivities: bool = False
) -> Expressions | None:
    """The compiled expressions of a System, or None where it has none; they are its last
    reactions.
    """
    own = [m for m, r in enumerate(system.reactions) if r.law == "expression"]
    if not own:
        return None
    reactions = [system.reactions[m] for m in own]
    # the text of a large model takes longer to write than the model to integrate: once
    # for each structure
    structure = tuple(
        (r.expression, r.reactants, tuple(r.inputs.items()), r.symbols) for r in reactions
    )
    key = (structure, tuple(system.plan.place.tolist()), tuple(p_ptr), own[0], sensitivities)
    codes = _remembered(key, lambda: _expression_codes(system, own, p_ptr, sensitivities))
    return Expressions(
        *codes,
        own[0],
        int(r_ptr[own[0]]),
        aligned_lanes(len(own)),
    )


def _expression_codes(
    system: System, own: Sequence[int], p_ptr: Sequence[int], sensitivities: bool
) -> tuple[int, int, int, int]:
    """Addresses of rates, slopes and what sensitivities need."""
    rows = _rows(system, own, p_ptr)
    reactions = [system.reactions[m] for m in own]
    slopes = [d for r in reactions for d in _slopes(system, r)]
    rates = compile_expressions([r.expression for r in reactions], rows)
    compiled = compile_expressions(slopes, rows) if slopes else None
    along, bend = _directions(system, own, rows, p_ptr) if sensitivities else (0, 0)
    return rates.address, compiled.address if compiled else 0, along, bend


_codes: dict = {}
_lock = threading.Lock()
#: structures whose addresses are remembered
_REMEMBERED = 64


def _remembered(key, make):
    """What `make` gives, once for each key; one thread at a time."""
    with _lock:
        if key not in _codes:
            if len(_codes) >= _REMEMBERED:
                _codes.pop(next(iter(_codes)))
            _codes[key] = make()
        return _codes[key]


def _rows(system: System, own: Sequence[int], p_ptr: Sequence[int]) -> dict[str, Row]:
    """Where each symbol lies: states in the stage's u (array 0), states that only events
    change in y (1), constants (2).
    """
    place = system.plan.place
    rows: dict[str, Row] = {}
    for m in own:
        reaction = system.reactions[m]
        for name, state in reaction.inputs.items():
            moving = state in reaction.reactants
            rows[name] = Row(0 if moving else 1, int(place[state]))
        for j, name in enumerate(reaction.symbols):
            rows.setdefault(name, Row(2, int(p_ptr[m]) + j))
    return rows


def _directions(system: System, own: Sequence[int], rows: dict[str, Row], p_ptr) -> tuple[int, int]:
    """Code of dv along (w, dp), and of d(slope d) along (s, dp).

    Inputs of the first: u, y, p, w (rows `stride` apart), dp, s (rows `stride` apart); of
    the second: y, d, p, s, dp, s.
    """
    reactions = [system.reactions[m] for m in own]
    place = system.plan.place
    first_rows, second_rows = dict(rows), {}
    along, bend = [], []
    for reaction in reactions:
        seeds = {}
        for name, state in reaction.inputs.items():
            moving = state in reaction.reactants
            seeds[name] = symbol(f"{name} direction")
            first_rows[f"{name} direction"] = Row(3 if moving else 5, int(place[state]))
            second_rows[f"{name} direction"] = Row(3 if moving else 5, int(place[state]))
            second_rows[name] = Row(0, int(place[state]))
            second_rows[f"{name} ahead"] = Row(1, int(place[state]))
        for name in reaction.symbols:
            # a constant that several reactions share has the same row in all of them
            row = rows[name].index
            seeds[name] = symbol(f"{name} direction")
            first_rows[f"{name} direction"] = second_rows[f"{name} direction"] = Row(4, row)
            second_rows[name] = Row(2, row)
        along.append(directional([reaction.expression], seeds)[0])
        names = {state: name for name, state in reaction.inputs.items()}
        ahead = add(
            *(
                mul(d, symbol(f"{names[s]} ahead"))
                for s, d in zip(reaction.reactants, _slopes(system, reaction), strict=True)
            ),
            0.0,
        )
        bend.append(directional([ahead], seeds)[0])
    strided = frozenset((3, 5))
    return (
        compile_expressions(along, first_rows, strided).address,
        compile_expressions(bend, second_rows, strided).address,
    )


@kernel()
def add_expressions(
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
    block: int,
    expr: Expressions,
) -> None:
    """z += gamma h S [(v'(u) - v'(y)) w + v_p(u) + d/dy(v' s + v_p)(y) d] of all
    expression reactions.
    """
    for b in range(block):
        dp = at_d + b * n_par
        call_wide(expr.along, u, at, y, par, w, b, dpar, dp, s, at_s + b, block, expr.v)
        for m in range(expr.first, len(st.law)):
            total = load(expr.v, m - expr.first)
            for j in range(st.r_ptr[m], st.r_ptr[m + 1]):
                total = total - load(slope, j) * load(w, st.r_state[j] * block + b)
            _spread(st, stoich, m, gamma_h * total, block, b, z, at_z)
        call_wide(expr.bend, y, 0, d, par, s, at_s + b, dpar, dp, s, at_s + b, block, expr.v)
        for m in range(expr.first, len(st.law)):
            _spread(st, stoich, m, gamma_h * load(expr.v, m - expr.first), block, b, z, at_z)


@kernel(forceinline=True)
def _spread(st, stoich, m, v, block, b, z, at_z):
    """Add what a reaction gives to every state that it changes."""
    for q in range(st.s_ptr[m], st.s_ptr[m + 1]):
        row = at_z + st.s_state[q] * block + b
        store(z, row, load(z, row) + stoich[q] * v)


def _slopes(system: System, reaction: Reaction) -> list[Expression]:
    """d v / d reactant, in the order of the reactants."""
    names = {state: name for name, state in reaction.inputs.items()}
    return [derivatives([reaction.expression], names[s])[0] for s in reaction.reactants]


def _queue_arrays(program, n_values: int, n_slopes: int) -> Queue:
    """The queue of a System's events; empty arrays where they do not queue."""
    queue = program.queue
    flags = lambda values: np.array(values, dtype=np.int64)
    if queue is None:
        empty = flags(())
        nothing = np.zeros((0, LANES), dtype=np.int64)
        return Queue(empty, empty, empty, nothing, aligned_lanes(1), aligned_lanes(1))
    return Queue(
        flags(queue.persistent),
        flags(queue.at_trigger),
        flags(queue.true_before),
        np.zeros((len(queue.persistent), LANES), dtype=np.int64),
        aligned_lanes(max(1, n_values)),
        aligned_lanes(max(1, n_values * n_slopes)),
    )


def event_arrays(system: System, constants: np.ndarray, sensitivities: int = 0) -> Events | None:
    """The compiled events of a System (constants of one pack are put in later), or None.

    Parameters
    ----------
    sensitivities : rows of sensitivities that a state has (0: none are wanted)
    """
    program = system.events
    if program is None:
        return None
    place = system.plan.place
    number = {name: i for i, name in enumerate(system.states)}
    values = [v for group in program.values for v in group]
    priorities = () if program.queue is None else program.queue.priorities
    wanted = bool(sensitivities and values)
    key = (
        program.conditions,
        tuple(values),
        priorities,
        system.states,
        place.tobytes(),
        program.constants,
        wanted,
    )
    code, along, used = _remembered(key, lambda: _event_codes(system, values, wanted))
    n = len(program.conditions)
    once = aligned_lanes(n)
    once[:] = np.array(program.once, dtype=float)[:, None]
    ptr = n + np.r_[0, np.cumsum([len(t) for t in program.targets])]
    target = [int(place[number[t]]) for group in program.targets for t in group]
    return Events(
        code,
        ptr.astype(np.int64),
        np.array(target, dtype=np.int64),
        once,
        constants,
        aligned_lanes(n),
        aligned_lanes(n),
        aligned_lanes(n + len(values) + len(priorities)),
        aligned_lanes(system.n_states),
        np.array([place[number[s]] for s in program.still], dtype=np.int64),
        int(place[number[program.time]]),
        along,
        constants,
        aligned_lanes(max(1, len(values))),
        int(program.reported_before),
        int(program.n_switches),
        used,
        _queue_arrays(program, len(values), sensitivities),
    )


def _event_codes(
    system: System, values: Sequence[Expression], sensitivities: bool
) -> tuple[int, int, np.ndarray]:
    """Addresses of conditions with values, and of the values' tangents; rows that
    conditions use.
    """
    program = system.events
    priorities = () if program.queue is None else program.queue.priorities
    rows = {n: Row(0, int(i)) for n, i in zip(system.states, system.plan.place, strict=True)}
    rows |= {name: Row(2, j) for j, name in enumerate(program.constants)}
    conditions = [_zero_or_one(c) for c in program.conditions]
    code = (
        compile_expressions([*conditions, *values, *priorities], rows).address if conditions else 0
    )
    along = _event_tangents(program, values, rows) if sensitivities else 0
    used = sorted(rows[s].index for s in symbols(*conditions) if rows[s].array == 0)
    return code, along, np.array(used, dtype=np.int64)


def _zero_or_one(condition: Expression) -> Expression:
    """1 where a condition holds, 0 elsewhere and where it is not a number, so that lanes
    can be added up.
    """
    if condition.op in ("lt", "le", "eq", "and", "or", "not"):
        return condition
    return apply("and", apply("eq", condition, condition), condition)


def _event_tangents(program, values: Sequence[Expression], rows: dict[str, Row]) -> int:
    """Code of the derivative of what events set, along (s, d constants).

    Inputs: y, -, constants, s, d constants, -.
    """
    seeds = {name: symbol(f"{name} direction") for name in rows}
    own = dict(rows)
    for name, row in rows.items():
        own[f"{name} direction"] = Row(4 if name in program.constants else 3, row.index)
    return compile_expressions(directional(values, seeds), own, frozenset((3,))).address


@kernel()
def keep_exact(ev: Events, y: np.ndarray, z: np.ndarray, at: int, now: float) -> None:
    """What a step must not change by rounding: discrete states, and time."""
    for q in range(len(ev.still)):
        store(z, at + ev.still[q], load(y, ev.still[q]))
    store(z, at + ev.time, splat(now))


@kernel()
def reset_events(ev: Events) -> None:
    """Nothing has happened yet."""
    ev.holds[:] = 0.0
    ev.happened[:] = 0.0
    for k in range(len(ev.queue.true_before)):
        ev.holds[k] = float(ev.queue.true_before[k])
        ev.queue.waits[k] = 0


@kernel(forceinline=True)
def _rise(ev: Events, k: int) -> Lanes:
    """1 in the lanes in which an event's condition is true that was not, unless it happens
    once and has happened.
    """
    spent = load(ev.once, k) * load(ev.happened, k)
    return load(ev.rows, k) * (1.0 - load(ev.holds, k)) * (1.0 - spent)


@kernel()
def fire(ev: Events, y: np.ndarray, s: np.ndarray | None, block: int) -> bool:
    """Let every event happen whose condition has become true; y (and s, unless it is
    None) is changed in its lanes.

    Whether anything but a switch has happened.
    """
    n = len(ev.once)
    if n == 0:
        return False
    if len(ev.queue.waits):
        return _fire_queue(ev, y, s, block)
    happened = False
    changed = True
    for k in range(n):
        if changed:
            call(ev.code, y, 0, y, ev.constants, ev.rows, 0)
            changed = False
        rise = _rise(ev, k)
        for l in range(LANES):
            if lane(rise, l) == 0.0:
                continue
            if s is not None:
                _set_sensitivities(ev, k, l, y, s, block)
            for q in range(ev.ptr[k], ev.ptr[k + 1]):
                y[ev.target[q - n], l] = ev.rows[q, l]
            ev.happened[k, l] = 1.0
            changed = True
            if k < n - ev.switches:
                happened = True
        store(ev.holds, k, load(ev.rows, k))
    return happened


@kernel()
def _set_sensitivities(ev, k, l, y, s, block):
    """The sensitivities of what an event sets, from those before it; y is still the one
    before it.
    """
    n = len(ev.once)
    rows = len(y) * block
    n_constants = len(ev.constants)
    for group in range(len(s) // rows):
        for b in range(block):
            at = (group * block + b) * n_constants
            first = group * rows + b
            call_wide(
                ev.along,
                y,
                0,
                y,
                ev.constants,
                s,
                first,
                ev.direction,
                at,
                s,
                first,
                block,
                ev.tangent,
            )
            for q in range(ev.ptr[k], ev.ptr[k + 1]):
                s[group * rows + ev.target[q - n] * block + b, l] = ev.tangent[q - n, l]


@kernel()
def _fire_queue(ev, y, s, block):
    """As `fire`, of events that queue: those whose condition has become true wait; the
    one of the highest priority happens; then all conditions are looked at again.

    A queue without an end makes the state of its lane NaN, which the integration then reports.
    """
    n = len(ev.once)
    own = n - ev.switches
    happened = False
    for count in range(MOST_AT_ONCE + 1):
        call(ev.code, y, 0, y, ev.constants, ev.rows, 0)
        switched = _look(ev, y, s, block)
        if switched:  # what conditions and values are calculated from is out of date
            call(ev.code, y, 0, y, ev.constants, ev.rows, 0)
            _look(ev, y, s, block)
        waiting = False
        for l in range(LANES):
            k = _next_in_queue(ev, own, l)
            if k < 0:
                continue
            waiting = True
            ev.queue.waits[k, l] -= 1
            if count == MOST_AT_ONCE:
                for i in range(len(y)):
                    y[i, l] = np.nan
                ev.queue.waits[:, l] = 0
                continue
            _happen(ev, k, l, y, s, block)
            happened = True
        if not waiting:
            break
    return happened


@kernel()
def _look(ev, y, s, block):
    """Note which events have begun or ceased to wait, and set switches; whether a switch
    was set.
    """
    n = len(ev.once)
    own = n - ev.switches
    queue = ev.queue
    switched = False
    for k in range(n):
        for l in range(LANES):
            now = ev.rows[k, l] != 0.0
            if now and ev.holds[k, l] == 0.0:
                if k >= own:
                    for q in range(ev.ptr[k], ev.ptr[k + 1]):
                        switched = switched or y[ev.target[q - n], l] != ev.rows[q, l]
                        y[ev.target[q - n], l] = ev.rows[q, l]
                else:
                    queue.waits[k, l] += 1
                    for q in range(ev.ptr[k], ev.ptr[k + 1]):
                        queue.kept[q - n, l] = ev.rows[q, l]
                    if s is not None and queue.at_trigger[k] != 0:
                        _keep_slopes(ev, k, l, y, s, block)
            elif not now and k < own and queue.persistent[k] == 0:
                queue.waits[k, l] = 0
            ev.holds[k, l] = 1.0 if now else 0.0
    return switched


@kernel()
def _next_in_queue(ev, own, l):
    """The event of a lane that happens next; -1: none waits."""
    first = ev.ptr[len(ev.once)]
    best = -1
    for k in range(own):
        if ev.queue.waits[k, l] != 0:
            if best < 0 or ev.rows[first + k, l] > ev.rows[first + best, l]:
                best = k
    return best


@kernel()
def _happen(ev, k, l, y, s, block):
    """One event happens in one lane."""
    n = len(ev.once)
    before = ev.queue.at_trigger[k] != 0
    if s is not None:
        if before:
            _use_slopes(ev, k, l, y, s, block)
        else:
            _set_sensitivities(ev, k, l, y, s, block)
    for q in range(ev.ptr[k], ev.ptr[k + 1]):
        y[ev.target[q - n], l] = ev.queue.kept[q - n, l] if before else ev.rows[q, l]
    ev.happened[k, l] = 1


@kernel()
def _keep_slopes(ev, k, l, y, s, block):
    """Derivatives of what an event will set, as they are now."""
    n = len(ev.once)
    n_values = ev.ptr[n] - n
    rows = len(y) * block
    n_constants = len(ev.constants)
    for group in range(len(s) // rows):
        for b in range(block):
            at = (group * block + b) * n_constants
            first = group * rows + b
            call_wide(
                ev.along,
                y,
                0,
                y,
                ev.constants,
                s,
                first,
                ev.direction,
                at,
                s,
                first,
                block,
                ev.tangent,
            )
            for q in range(ev.ptr[k], ev.ptr[k + 1]):
                place = (group * block + b) * n_values + q - n
                ev.queue.kept_slopes[place, l] = ev.tangent[q - n, l]


@kernel()
def _use_slopes(ev, k, l, y, s, block):
    """Sensitivities of what an event sets, as they were kept."""
    n = len(ev.once)
    n_values = ev.ptr[n] - n
    rows = len(y) * block
    for group in range(len(s) // rows):
        for b in range(block):
            for q in range(ev.ptr[k], ev.ptr[k + 1]):
                place = (group * block + b) * n_values + q - n
                row = group * rows + ev.target[q - n] * block + b
                s[row, l] = ev.queue.kept_slopes[place, l]


@kernel()
def rising(ev: Events, state: np.ndarray, row: int, count: int, note: bool) -> bool:
    """Whether a condition that did not hold does so now, in a lane with a subject;
    `note`: remember those that ended.
    """
    n = len(ev.once)
    if n == 0:
        return False
    call(ev.code, state, row, state, ev.constants, ev.rows, 0)
    rise = splat(0.0)
    for k in range(n):
        rise = rise + _rise(ev, k)
    for l in range(count):
        if lane(rise, l) != 0.0:
            return True
    if note:  # only of a step that stands: one that is cut short says nothing about its end
        for k in range(n):
            store(ev.holds, k, load(ev.holds, k) * load(ev.rows, k))
    return False


@kernel()
def locate(
    ev: Events,
    n: int,
    y: np.ndarray,
    new: np.ndarray,
    at: int,
    dense: np.ndarray,
    n_dense: int,
    count: int,
) -> float:
    """Share of the step at which the first event happens; the state there is left in `ev.y`."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        interpolate_some(ev.used, n, middle, n_dense, y, new, at, dense, ev.still, ev.y)
        if rising(ev, ev.y, 0, count, False):
            high = middle
        else:
            low = middle
        if high - low < 1e-13:
            break
    interpolate(n, high, n_dense, y, new, at, dense, ev.still, ev.y)
    return high


@kernel()
def interpolate_some(
    rows: np.ndarray,
    n: int,
    theta: float,
    n_dense: int,
    y: np.ndarray,
    new: np.ndarray,
    at: int,
    dense: np.ndarray,
    still: np.ndarray,
    out: np.ndarray,
) -> None:
    """Some rows of the state at t + theta h."""
    rest = 1.0 - theta
    for q in range(len(rows)):
        i = rows[q]
        bend = load(dense, (n_dense - 1) * n + i)
        for m in range(n_dense - 2, -1, -1):
            bend = load(dense, m * n + i) + theta * bend
        store(out, i, rest * load(y, i) + theta * (load(new, at + i) + rest * bend))
    for q in range(len(still)):
        store(out, still[q], load(y, still[q]))


@kernel()
def interpolate(
    n: int,
    theta: float,
    n_dense: int,
    y: np.ndarray,
    new: np.ndarray,
    at: int,
    dense: np.ndarray,
    still: np.ndarray,
    out: np.ndarray,
) -> None:
    """The whole state at t + theta h."""
    rest = 1.0 - theta
    for i in range(n):
        bend = load(dense, (n_dense - 1) * n + i)
        for m in range(n_dense - 2, -1, -1):
            bend = load(dense, m * n + i) + theta * bend
        store(out, i, rest * load(y, i) + theta * (load(new, at + i) + rest * bend))
    for q in range(len(still)):
        store(out, still[q], load(y, still[q]))


@kernel()
def events_of_pack(
    ev: Events | None, constants: np.ndarray | None, directions: np.ndarray | None, pack: int
) -> Events | None:
    """The events with the constants of one pack; None stays None."""
    if ev is None:
        return None
    return Events(
        ev.code,
        ev.ptr,
        ev.target,
        ev.once,
        constants[pack],
        ev.holds,
        ev.happened,
        ev.rows,
        ev.y,
        ev.still,
        ev.time,
        ev.along,
        directions[pack] if len(directions) else ev.direction,
        ev.tangent,
        ev.before,
        ev.switches,
        ev.used,
        ev.queue,
    )


__all__ = [
    "Events",
    "Expressions",
    "add_expressions",
    "event_arrays",
    "expression_arrays",
    "fire",
    "keep_exact",
    "locate",
    "rising",
]
