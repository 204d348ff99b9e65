"""Reactions whose law is an expression, and events, inside the integrator.

The machine code of a model's expressions (:mod:`.expression_code`) is called by its address, so that the integrator itself is
compiled once for all models. Systems without expressions or events are compiled without any of this.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from ...models.expressions.derivative import derivatives
from ...models.expressions.tree import Expression
from ...models.system import Reaction, System
from .expression_code import Row, compile_expressions
from .lanes import LANES, _row_pointer, aligned_lanes, load, splat, store

#: Expression reactions of a System: code of their rates and slopes, number of the first one, its first row of slopes, and
#: scratch for the rates (one set per thread).
Expressions = namedtuple("Expressions", "rates slopes first slope_row v")

#: Events: code that gives conditions (rows 0..n) and then values; where they begin, what they set, whether only once;
#: constants of the pack; per event and lane whether the condition holds and whether it has happened; scratch rows, scratch state;
#: rows of the states that only events change, and of time (-1: none), which steps must leave exact.
Events = namedtuple("Events", "code ptr target once constants holds happened rows y still time")


@intrinsic
def call(typingctx, address, a, a_row, b, c, out, out_row):
    """Call a compiled function: inputs a (from row a_row), b and c, output from row out_row of `out`."""

    def codegen(context, builder, sig, args):
        address, a, a_row, b, c, out, out_row = args
        pointer = lambda i, value, row: _row_pointer(builder, context, sig.args[i], value, row)
        zero = ir.Constant(ir.IntType(64), 0)
        given = [pointer(1, a, a_row), pointer(3, b, zero), pointer(4, c, zero)]
        kind = given[0].type
        given += [ir.Constant(kind, None)] * 2
        result = pointer(5, out, out_row)
        signature = ir.FunctionType(ir.VoidType(), [kind] * 5 + [ir.IntType(64), kind])
        function = builder.inttoptr(address, signature.as_pointer())
        builder.call(function, [*given, ir.Constant(ir.IntType(64), 1), result])
        return context.get_dummy_value()

    return types.void(types.int64, a, types.intp, b, c, out, types.intp), codegen


def expression_arrays(system: System, r_ptr: Sequence[int], p_ptr: Sequence[int]):
    """The compiled expressions of a System, or None where it has none; they are its last reactions."""
    own = [m for m, r in enumerate(system.reactions) if r.law == "expression"]
    if not own:
        return None
    rows = _rows(system, own, p_ptr)
    reactions = [system.reactions[m] for m in own]
    slopes = [d for r in reactions for d in _slopes(system, r)]
    rates = compile_expressions([r.expression for r in reactions], rows)
    compiled = compile_expressions(slopes, rows) if slopes else None
    return Expressions(
        rates.address,
        compiled.address if compiled else 0,
        own[0],
        int(r_ptr[own[0]]),
        aligned_lanes(len(own)),
    )


def _rows(system: System, own: Sequence[int], p_ptr: Sequence[int]) -> dict[str, Row]:
    """Where each symbol lies: states in the stage's u (array 0), states that only events change in y (1), constants (2)."""
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


def _slopes(system: System, reaction: Reaction) -> list[Expression]:
    """d v / d reactant, in the order of the reactants."""
    names = {state: name for name, state in reaction.inputs.items()}
    return [derivatives([reaction.expression], names[s])[0] for s in reaction.reactants]


def event_arrays(system: System, constants: np.ndarray):
    """The compiled events of a System (constants of one pack are put in later), or None."""
    program = system.events
    if program is None:
        return None
    place = system.plan.place
    number = {name: i for i, name in enumerate(system.states)}
    rows = {name: Row(0, int(place[i])) for name, i in number.items()}
    rows |= {name: Row(2, j) for j, name in enumerate(program.constants)}
    values = [v for group in program.values for v in group]
    code = compile_expressions([*program.conditions, *values], rows)
    n = len(program.conditions)
    ptr = n + np.r_[0, np.cumsum([len(t) for t in program.targets])]
    target = [int(place[number[t]]) for group in program.targets for t in group]
    return Events(
        code.address,
        ptr.astype(np.int64),
        np.array(target, dtype=np.int64),
        np.array(program.once, dtype=np.int64),
        constants,
        np.zeros((n, LANES), dtype=np.int8),
        np.zeros((n, LANES), dtype=np.int8),
        aligned_lanes(n + len(values)),
        aligned_lanes(system.n_states),
        np.array([place[number[s]] for s in program.still], dtype=np.int64),
        int(place[number[program.time]]),
    )


@njit(cache=True, nogil=True)
def keep_exact(ev, y, z, at, now):
    """What a step must not change by rounding: discrete states, and time."""
    for q in range(len(ev.still)):
        store(z, at + ev.still[q], load(y, ev.still[q]))
    store(z, at + ev.time, splat(now))


@njit(cache=True, nogil=True)
def reset_events(ev):
    """Nothing has happened yet."""
    ev.holds[:] = 0
    ev.happened[:] = 0


@njit(cache=True, nogil=True)
def fire(ev, y):
    """Let every event happen whose condition has become true; y is changed in the lanes concerned."""
    n = len(ev.once)
    happened = False
    for k in range(n):
        call(ev.code, y, 0, y, ev.constants, ev.rows, 0)
        for l in range(LANES):
            now = ev.rows[k, l] != 0.0 and ev.rows[k, l] == ev.rows[k, l]
            if now and ev.holds[k, l] == 0 and not (ev.once[k] != 0 and ev.happened[k, l] != 0):
                for q in range(ev.ptr[k], ev.ptr[k + 1]):
                    y[ev.target[q - n], l] = ev.rows[q, l]
                ev.happened[k, l] = 1
                happened = True
            ev.holds[k, l] = 1 if now else 0
    return happened


@njit(cache=True, nogil=True)
def rising(ev, state, row, count, note):
    """Whether a condition that did not hold does so now, in a lane with a subject; `note`: remember those that ended."""
    n = len(ev.once)
    call(ev.code, state, row, state, ev.constants, ev.rows, 0)
    for k in range(n):
        for l in range(count):
            now = ev.rows[k, l] != 0.0 and ev.rows[k, l] == ev.rows[k, l]
            if now and ev.holds[k, l] == 0 and not (ev.once[k] != 0 and ev.happened[k, l] != 0):
                return True
            if note and not now:
                ev.holds[k, l] = 0
    return False


@njit(cache=True, nogil=True)
def locate(ev, n, y, new, at, dense, n_dense, count):
    """Share of the step at which the first event happens; the state there is left in `ev.y`."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        interpolate(n, middle, n_dense, y, new, at, dense, ev.still, ev.y)
        if rising(ev, ev.y, 0, count, False):
            high = middle
        else:
            low = middle
        if high - low < 1e-14:
            break
    interpolate(n, high, n_dense, y, new, at, dense, ev.still, ev.y)
    return high


@njit(cache=True, nogil=True)
def interpolate(n, theta, n_dense, y, new, at, dense, still, out):
    """The whole state at t + theta h."""
    rest = 1.0 - theta
    for i in range(n):
        bend = load(dense, (n_dense - 1) * n + i)
        for m in range(n_dense - 2, -1, -1):
            bend = load(dense, m * n + i) + theta * bend
        store(out, i, rest * load(y, i) + theta * (load(new, at + i) + rest * bend))
    for q in range(len(still)):
        store(out, still[q], load(y, still[q]))


def per_pack_constants(system: System, n_subjects: int) -> np.ndarray:
    """(packs, rows, LANES) constants of the events."""
    from .pack import to_lanes

    values = system.events.values_of_constants
    return to_lanes(values if values.shape[1] else np.zeros((1, 1)), n_subjects)


__all__ = [
    "Events",
    "Expressions",
    "event_arrays",
    "expression_arrays",
    "fire",
    "keep_exact",
    "locate",
    "per_pack_constants",
    "rising",
]
