"""SciPy's BDF and CasADi's CVODES on an assembled model: the same equations, linear part and expressions, stopped where ours stop.

Thresholds that a state passes (which ours locates) are plain conditions here: these solvers step across them. Time events happen
at their stops.
"""

from __future__ import annotations

import numpy as np

from pbpk_hybrid.models.expressions.assembly import AssembledModel
from pbpk_hybrid.models.expressions.tree import evaluate, postorder
from pbpk_hybrid.solvers.embedded import expressions, pack
from pbpk_hybrid.solvers.embedded.lanes import LANES, aligned_lanes


class Pieces:
    """One subject's equations between stops, and what happens at them."""

    def __init__(self, assembled: AssembledModel, times: np.ndarray) -> None:
        self.assembled, self.system = assembled, assembled.system
        self.times = times
        stops = assembled.stops[0]
        inside = stops[np.isfinite(stops) & (stops >= times[0]) & (stops < times[-1])]
        self.edges = np.unique(np.r_[times[0], inside, times[-1]])
        self.start = assembled.start[0].copy()

    def happen(self, y: np.ndarray, held: np.ndarray, done: np.ndarray) -> np.ndarray:
        """y after the events whose condition has become true."""
        program = self.system.events
        if program is None:
            return y
        y = y.copy()
        for k, condition in enumerate(program.conditions):
            known = dict(zip(self.system.states, y, strict=True))
            constants = program.values_of_constants[0] if program.constants else ()
            known |= dict(zip(program.constants, constants, strict=True))
            now = bool(evaluate([condition], known)[0])
            if now and not held[k] and not (program.once[k] and done[k]):
                values = evaluate(program.values[k], known)
                for target, value in zip(program.targets[k], values, strict=True):
                    y[self.system.states.index(target)] = value
                done[k] = True
            held[k] = now
        return y

    def run(self, advance) -> np.ndarray:
        """States at the output times; `advance(y, from, to, times)` integrates one piece."""
        n = len(self.system.events.conditions) if self.system.events else 0
        held, done = np.zeros(n, bool), np.zeros(n, bool)
        y, out = self.start.copy(), np.empty((len(self.times), self.system.n_states))
        out[0] = y
        for a, b in zip(self.edges[:-1], self.edges[1:], strict=True):
            y = self.happen(y, held, done)
            rows = np.flatnonzero((self.times > a) & (self.times <= b))
            at = np.unique(np.r_[self.times[rows], b])
            got = advance(y, a, b, at)
            out[rows] = got[np.searchsorted(at, self.times[rows])]
            y = got[-1]
        return out


def scipy_bdf(pieces: Pieces, rtol: float, atol: float):
    """A function that runs SciPy's BDF; expressions through our machine code (one lane is used), exact dense Jacobian."""
    import ctypes

    from scipy.integrate import solve_ivp
    from scipy.sparse import csr_matrix

    system = pieces.system
    n, place, order = system.n_states, system.plan.place, system.plan.order
    k = csr_matrix((system.k_value[0], (system.k_row, system.k_col)), shape=(n, n))
    structure, _, _ = pack.structure(system, [])
    rows = pack.parameter_rows(system)
    codes = expressions.expression_arrays(system, structure.r_ptr, rows)
    parameters = pack.coefficient_lanes(system)[1][0]
    lanes, v = aligned_lanes(n), aligned_lanes(len(system.reactions) + 1)
    slopes = aligned_lanes(sum(len(r.reactants) for r in system.reactions) + 1)
    kind = ctypes.CFUNCTYPE(None, *([ctypes.c_void_p] * 6), ctypes.c_int64, ctypes.c_void_p)
    stoich = np.zeros((n, len(system.reactions)))
    for m, r in enumerate(system.reactions):
        for s, f in r.stoichiometry.items():
            stoich[s, m] = f
    columns = [(m, s) for m, r in enumerate(system.reactions) for s in r.reactants]

    def call(address, y, out):
        lanes[:] = y[order][:, None]
        kind(address)(
            lanes.ctypes.data,
            lanes.ctypes.data,
            parameters.ctypes.data,
            0,
            0,
            0,
            1,
            out.ctypes.data,
        )
        return out[:, 0]

    def rhs(_, y):
        dy = k @ y
        if codes is not None:
            dy += stoich @ call(codes.rates, y, v)[: len(system.reactions)]
        return dy

    def jacobian(_, y):
        j = k.toarray()
        if columns:
            d = call(codes.slopes, y, slopes)
            for e, (m, s) in enumerate(columns):
                j[:, s] += stoich[:, m] * d[e]
        return j

    assert len(place) == n and LANES

    def advance(y, a, b, at):
        found = solve_ivp(rhs, (a, b), y, "BDF", at, rtol=rtol, atol=atol, jac=jacobian)
        return found.y.T

    return lambda: pieces.run(advance)


def casadi_cvodes(pieces: Pieces, rtol: float, atol: float):
    """A function that runs CasADi's CVODES on the expressions as CasADi's own graph."""
    import casadi as ca

    system = pieces.system
    y = ca.SX.sym("y", system.n_states)
    known = {s: y[i] for i, s in enumerate(system.states)}
    program = system.events
    # on which side of a threshold a state is, said directly
    switches = {}
    if program is not None and program.n_switches:
        first = len(program.conditions) - program.n_switches
        constants = dict(zip(program.constants, program.values_of_constants[0], strict=True))
        for q in range(first, len(program.conditions), 2):
            switches[program.targets[q][0]] = _graph(
                [program.conditions[q]], {**known, **constants}
            )[0]
    known |= switches
    dy = ca.SX(system.n_states, 1)
    for r, c, value in zip(system.k_row, system.k_col, system.k_value[0], strict=True):
        dy[int(r)] += value * y[int(c)]
    for reaction in system.reactions:
        own = dict(zip(reaction.symbols, reaction.parameters[0], strict=True))
        v = _graph([reaction.expression], {**known, **own})[0]
        for s, f in reaction.stoichiometry.items():
            dy[s] += f * v
    solvers = {}
    options = {"reltol": rtol, "abstol": atol, "max_num_steps": 100_000}

    def advance(y0, a, b, at):
        key = (a, b)
        if key not in solvers:
            dae = {"x": y, "ode": dy}
            solvers[key] = ca.integrator("f", "cvodes", dae, a, at.tolist(), options)
        return np.array(solvers[key](x0=y0)["xf"]).T

    return lambda: pieces.run(advance)


def _graph(roots, known):
    import casadi as ca

    unary = {
        f: getattr(ca, f) for f in ("exp", "log", "sqrt", "sin", "cos", "tan", "floor", "ceil")
    }
    unary |= {"abs": ca.fabs, "asin": ca.asin, "acos": ca.acos, "atan": ca.atan}
    unary |= {"sinh": ca.sinh, "cosh": ca.cosh, "tanh": ca.tanh, "not": lambda a: a == 0}
    compare = {
        "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b,
        "eq": lambda a, b: a == b,
        "ne": lambda a, b: a != b,
    }
    fold = {
        "add": lambda a, b: a + b,
        "mul": lambda a, b: a * b,
        "min": ca.fmin,
        "max": ca.fmax,
        "and": ca.logic_and,
        "or": ca.logic_or,
    }
    done = {}
    for node in postorder(roots):
        x = [done[a] for a in node.args]
        if node.op == "number":
            done[node] = ca.SX(node.value)
        elif node.op == "symbol":
            done[node] = ca.SX(known[node.value])
        elif node.op in fold:
            out = x[0]
            for other in x[1:]:
                out = fold[node.op](out, other)
            done[node] = out
        elif node.op in unary:
            done[node] = unary[node.op](x[0])
        elif node.op in compare:
            done[node] = compare[node.op](*x)
        elif node.op == "if":
            done[node] = ca.if_else(x[0] != 0, x[1], x[2])
        elif node.op == "div":
            done[node] = x[0] / x[1]
        elif node.op == "pow":
            done[node] = x[0] ** x[1]
        else:
            done[node] = _table(ca, node.value, x[0])
    return [done[r] for r in roots]


def _table(ca, table, x):
    out = ca.SX(0.0 if table.slope else table.y[0])
    for i in range(len(table.x) - 1):
        rise = (table.y[i + 1] - table.y[i]) / (table.x[i + 1] - table.x[i])
        inside = ca.logic_and(x >= table.x[i], x < table.x[i + 1])
        if table.slope:
            out = ca.if_else(inside, rise, out)
        else:
            cut = ca.fmin(ca.fmax(x, table.x[i]), table.x[i + 1])
            out = out + rise * (cut - table.x[i])
    return out
