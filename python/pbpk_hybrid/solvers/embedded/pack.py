"""From a System to packs: per-subject arrays become rows of lanes, in elimination order."""

from __future__ import annotations

import numpy as np

from ...models.system.derivatives import ParameterDerivative
from ...models.system.system import System
from .kernel_arrays import BLOCK, KDerivative, SensitivityArrays, Structure, Workspace
from .lanes import LANES, aligned_lanes


def pack_count(n_subjects: int) -> int:
    """Number of packs that hold so many subjects."""
    return -(-n_subjects // LANES)


def to_lanes(values: np.ndarray, n_subjects: int) -> np.ndarray:
    """(n_subjects or 1, rows) -> (packs, rows, LANES).

    Lanes left over in the last pack repeat its last subject, so that they never set the
    step size."""
    packs = pack_count(n_subjects)
    rows = values.shape[1]
    out = aligned_lanes(packs, rows)
    if len(values) == 1:
        out[:] = values[0][None, :, None]
        return out
    full = n_subjects // LANES
    out[:full] = values[: full * LANES].reshape(full, LANES, rows).transpose(0, 2, 1)
    if full < packs:
        left = values[full * LANES :]
        out[full, :, : len(left)] = left.T
        out[full, :, len(left) :] = left[-1][:, None]
    return out


def structure(
    system: System, saved: list[tuple[tuple[int, float], ...]]
) -> tuple[Structure, np.ndarray, np.ndarray]:
    """The integer structure the kernel reads, the stoichiometric coefficients, and the
    weights of saved sums.
    """
    plan = system.plan
    place = plan.place
    r_ptr, r_state, p_ptr, s_ptr, s_state, j_ptr, j_entry = [0], [], [], [0], [], [], []
    stoich: list[float] = []
    parameters = 0
    for reaction in system.reactions:
        r_state += [place[s] for s in reaction.reactants]
        r_ptr.append(len(r_state))
        p_ptr.append(parameters)
        parameters += reaction.parameters.shape[1]
        s_state += [place[s] for s in reaction.stoichiometry]
        stoich += list(reaction.stoichiometry.values())
        s_ptr.append(len(s_state))
        j_ptr.append(len(j_entry))
        j_entry += [
            plan.position[to, of] for of in reaction.reactants for to in reaction.stoichiometry
        ]
    out_ptr, out_state, out_weight = [0], [], []
    for terms in saved:
        out_state += [place[s] for s, _ in terms]
        out_weight += [w for _, w in terms]
        out_ptr.append(len(out_state))
    law = [reaction.rate_law.code for reaction in system.reactions]
    ints = [
        *(plan.l_ptr, plan.l_col, plan.u_ptr, plan.u_col),
        *(plan.op_ptr, plan.op_source, plan.op_target),
        plan.positions(system.k_row, system.k_col),
        *(law, r_ptr, r_state, p_ptr),
        *(s_ptr, s_state, j_ptr, j_entry),
        *(out_ptr, out_state, place[system.guarded]),
    ]
    unread = np.zeros(1, dtype=np.int64)
    used = {reaction.law for reaction in system.reactions}
    hill = unread if used & {"hill", "hill_product"} else None
    enzymatic = unread if "enzymatic" in used else None
    st = Structure(*(np.ascontiguousarray(a, dtype=np.int64) for a in ints), hill, enzymatic)
    return st, np.array(stoich, dtype=float), np.array(out_weight, dtype=float)


def parameter_rows(system: System) -> list[int]:
    """First row of each reaction's parameters."""
    counts = [r.parameters.shape[1] for r in system.reactions]
    return [int(c) for c in np.cumsum([0, *counts])[:-1]]


def coefficient_lanes(system: System) -> tuple[np.ndarray, np.ndarray]:
    """(minus K in LU order, reaction parameters), each (packs, rows, LANES)."""
    plan = system.plan
    base = np.zeros((len(system.k_value), plan.n_entries))
    base[:, plan.positions(system.k_row, system.k_col)] = -system.k_value
    if system.reactions:
        parts = [
            np.broadcast_to(r.parameters, (system.n_subjects, r.parameters.shape[1]))
            for r in system.reactions
        ]
        par = np.concatenate(parts, axis=1)
    if not system.reactions or not par.shape[1]:
        par = np.zeros((1, 1))
    return to_lanes(base, system.n_subjects), to_lanes(par, system.n_subjects)


def scratch(system: System, stages: int, n_dense: int) -> Workspace:
    """Work arrays of one thread."""
    n, entries = system.n_states, system.plan.n_entries
    reactants = max(1, sum(len(r.reactants) for r in system.reactions))
    rows = (stages * n, stages * n, entries, reactants, n_dense * n, n)
    return Workspace(*(aligned_lanes(count) for count in rows))


def derivative_lanes(
    system: System, derivatives: list[ParameterDerivative]
) -> tuple[KDerivative, np.ndarray, np.ndarray, int]:
    """Parameter derivatives as the kernel reads them: (KDerivative, its values (packs,
    rows, LANES), derivatives of the reaction parameters (packs, parameters x n_par,
    LANES), n_par). At least one parameter."""
    n_par = max(1, sum(r.parameters.shape[1] for r in system.reactions))
    blocks = -(-len(derivatives) // BLOCK)
    place = system.plan.place
    ptr, row, column, values = [0], [], [], []
    for block in range(blocks):
        for b, d in enumerate(derivatives[block * BLOCK : (block + 1) * BLOCK]):
            for e, index in enumerate(d.k_index):
                row.append(place[system.k_row[index]] * BLOCK + b)
                column.append(place[system.k_col[index]])
                values.append(np.broadcast_to(d.k_value[:, e], (system.n_subjects,)))
        ptr.append(len(row))
    kd = KDerivative(*(np.array(a, dtype=np.int64) for a in (ptr, row, column)))
    k_values = np.stack(values, axis=1) if values else np.zeros((1, 1))
    par = np.zeros((system.n_subjects, blocks * BLOCK, n_par))
    for q, d in enumerate(derivatives):
        at = 0
        for block in d.reactions:
            par[:, q, at : at + block.shape[1]] = block
            at += block.shape[1]
    return (
        kd,
        to_lanes(k_values, system.n_subjects),
        to_lanes(par.reshape(system.n_subjects, -1), system.n_subjects),
        n_par,
    )


def start_slope_lanes(system: System, slope: np.ndarray | None, n_parameters: int) -> np.ndarray:
    """(packs, blocks x n x BLOCK, LANES) sensitivities at the start, in the kernel's
    order of rows; (0, ...): all zero.
    """
    blocks = -(-n_parameters // BLOCK)
    n = system.n_states
    if slope is None:
        return aligned_lanes(0, blocks * n * BLOCK)
    padded = np.zeros((len(slope), n, blocks * BLOCK))
    padded[:, :, :n_parameters] = slope[:, system.plan.order]
    # (subject, state, block, parameter in block) -> (subject, block, state, parameter in block)
    rows = padded.reshape(len(slope), n, blocks, BLOCK).transpose(0, 2, 1, 3)
    return to_lanes(np.ascontiguousarray(rows).reshape(len(slope), -1), system.n_subjects)


def sensitivity_scratch(
    system: System, stages: int, n_parameters: int, kd: KDerivative, n_par: int, out: np.ndarray
) -> SensitivityArrays:
    """State and work arrays of one thread for `n_parameters` sensitivities."""
    blocks = -(-n_parameters // BLOCK)
    rows = system.n_states * BLOCK
    s, w, z = (aligned_lanes(m) for m in (blocks * rows, rows, stages * rows))
    idle = aligned_lanes(1)
    d = aligned_lanes(system.n_states)
    return SensitivityArrays(s, w, d, z, kd, idle, idle, n_par, np.empty(stages), out)
