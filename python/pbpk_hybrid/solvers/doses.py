"""From a regimen to the stops of one System: names become states, steady states become amounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._core.errors import InputError, unknown_name
from ..dosing import DoseEvents, Regimen, expand
from ..dosing.events import BOLUS, OTHER, RATE, RESET, ROUTE_COMPARTMENT, STEADY
from ..dosing.table import is_dose
from ..models.system.system import System
from . import base
from .base import StopTable


@dataclass(frozen=True, eq=False)
class Doses:
    """The events of a regimen with compartments resolved to states.

    Parameters
    ----------
    events : what happens when, shared by all subjects or written out for each
    state : (n_compartments of `events`,) state numbers
    first_dose : (n_subjects,) [mg] amount of each subject's first dose; 0 for none
    """

    events: DoseEvents
    state: np.ndarray
    first_dose: np.ndarray

    @property
    def first_time(self) -> float:
        """Time [h] of the first event."""
        return self.events.start

    @property
    def steady_state(self) -> bool:
        """Whether any record asks for a steady state."""
        return len(self.events.steady) > 0


def dose_stops(
    system: System,
    regimen: Regimen,
    horizon: float,
    *,
    body_weight: np.ndarray | None = None,
    lag_time: float = 0.0,
) -> Doses:
    """Expand a regimen for the subjects of a system.

    Parameters
    ----------
    horizon : [h] last time of interest
    body_weight : (n_subjects,) [kg], for doses per kg
    lag_time : [h] of the compound, added to oral doses that state none of their own

    Raises
    ------
    InputError, UnknownNameError : a dose before time 0, a compartment or route that the
        model does not have
    """
    _check_targets(system, regimen)
    if lag_time:
        c = regimen.columns
        lag = np.where((c["route"] == "oral") & (c["lag_time"] == 0), lag_time, c["lag_time"])
        regimen = Regimen({**c, "lag_time": lag}, span=regimen.span)
    ids = subject_ids(system)
    names = {
        own: system.states[system.targets[r]]
        for r, own in ROUTE_COMPARTMENT.items()
        if r in system.targets
    }
    events = expand(
        regimen, ids, body_weight=body_weight, horizon=horizon, route_compartments=names
    )
    state = np.array([system.targets[name] for name in events.compartments], dtype=np.int64)
    return Doses(events, state, _first_dose(regimen, ids, body_weight))


def subject_ids(system: System) -> np.ndarray:
    """(n_subjects,) the ids by which a regimen knows the subjects: their labels where
    these are whole numbers.
    """
    labels = np.asarray(system.subjects)
    return labels if labels.dtype.kind in "iu" else np.arange(system.n_subjects)


def last_dose_time(regimen: Regimen) -> float:
    """Time of the last dose record, additional doses included [h]."""
    c = regimen.columns
    if not len(regimen):
        return 0.0
    return float(np.max(c["time"] + c["additional_doses"] * c["interdose_interval"]))


def last_interval(regimen: Regimen) -> float:
    """[h] from the last dose to where the next one would be: its II, or the time since
    the dose before; 0 for one dose.
    """
    c = regimen.columns
    dose = np.flatnonzero(is_dose(c) & ((c["amount"] > 0) | (c["amount_per_kg"] > 0)))
    if not dose.size:
        return 0.0
    ends = c["time"][dose] + c["additional_doses"][dose] * c["interdose_interval"][dose]
    last = dose[np.argmax(ends)]
    if c["interdose_interval"][last] > 0:
        return float(c["interdose_interval"][last])
    earlier = np.unique(ends[ends < ends.max()])
    return float(ends.max() - earlier[-1]) if earlier.size else 0.0


def _check_targets(system: System, regimen: Regimen) -> None:
    c = regimen.columns
    for i, (route, compartment) in enumerate(zip(c["route"], c["compartment"], strict=True)):
        if compartment:
            if compartment not in system.targets:
                raise unknown_name(
                    f"compartment[row {i}]",
                    str(compartment),
                    system.targets,
                    what="a compartment of the model",
                )
        elif route and route not in system.targets:
            hint = (
                "give the compound an absorption_rate" if route == "oral" else "name a compartment"
            )
            routes = sorted(set(system.targets) & set(ROUTE_COMPARTMENT))
            raise InputError(
                f"route[row {i}]", str(route), f"a route of the model: {routes}", hint=hint
            )


def _first_dose(regimen: Regimen, ids: np.ndarray, body_weight: np.ndarray | None) -> np.ndarray:
    c = regimen.columns
    out = np.zeros(len(ids))
    weight = np.zeros(len(ids)) if body_weight is None else np.broadcast_to(body_weight, out.shape)
    number = {int(s): i for i, s in enumerate(ids)}
    filled = np.zeros(len(ids), dtype=bool)
    for row in np.lexsort((c["subject"] == -1, c["time"])):
        if c["evid"][row] not in (1, 4):
            continue
        who = slice(None) if c["subject"][row] == -1 else [number[int(c["subject"][row])]]
        size = np.broadcast_to(c["amount"][row] + c["amount_per_kg"][row] * weight, out.shape)
        take = np.zeros(len(ids), dtype=bool)
        take[who] = True
        take &= ~filled
        out[take] = size[take]
        filled |= take
        if filled.all():
            break
    return out


def steady_state_stops(
    system: System, doses: Doses, backend: base.Backend, options: base.SolverOptions
) -> tuple[StopTable, np.ndarray]:
    """The stops the integrator needs, with every steady state found.

    Returns
    -------
    StopTable, and (n_subjects,) True where no steady state was found
    """
    events = doses.events
    failed = np.zeros(system.n_subjects, dtype=bool)
    kinds = {BOLUS: base.ADD, RATE: base.RATE, RESET: base.KEEP}
    plain = np.isin(events.kind, list(kinds))
    idle = events.kind == OTHER  # a stop without effect: keep everything
    rows = plain | idle
    kind = np.array([kinds.get(int(k), base.KEEP) for k in events.kind[rows]], dtype=np.int64)
    compartment = events.compartment[rows]
    state = np.where(
        compartment >= 0, doses.state[np.maximum(compartment, 0)] if len(doses.state) else 0, 0
    )
    value = np.where(events.kind[rows] == RESET, 0.0, np.where(idle[rows], 1.0, 0.0))
    given = events.values_for()
    moves = np.isin(events.kind[rows], (BOLUS, RATE))
    value = np.where(moves, given[..., rows], value)
    table = [events.subject[rows], events.time[rows], kind, state, value]
    if doses.steady_state:
        from .steady_state import find_steady_states

        amounts, failed = find_steady_states(system, doses, backend, options)
        table = _with_steady_states(table, events, amounts, system.n_subjects)
    subject, time, kind, state, value = table
    order = np.lexsort((kind != base.KEEP, time, subject))
    value = value[order] if value.ndim == 1 else value[:, order]
    return StopTable(subject[order], time[order], kind[order], state[order], value), failed


def _with_steady_states(table, events: DoseEvents, amounts: dict[int, np.ndarray], n_subjects: int):
    """Append an ADD for every state of every steady state; amounts[row] is (n_subjects or
    1, n_states).
    """
    subject, time, kind, state, value = table
    at = np.flatnonzero(events.kind == STEADY)
    n_states = next(iter(amounts.values())).shape[1]
    which = events.value[at].astype(int)
    more_state = np.tile(np.arange(n_states), len(at))
    more_time = np.repeat(events.time[at], n_states)
    more_subject = np.repeat(events.subject[at], n_states)
    if events.shared:
        more = np.concatenate(
            [np.broadcast_to(amounts[r], (n_subjects, n_states)) for r in which], axis=1
        )
        value = np.broadcast_to(np.atleast_2d(value), (n_subjects, len(time)))
        value = np.concatenate([value, more], axis=1)
    else:
        value = np.concatenate([value, *(amounts[r][0] for r in which)])
    return (
        np.r_[subject, more_subject],
        np.r_[time, more_time],
        np.r_[kind, np.full(len(more_state), base.ADD)],
        np.r_[state, more_state],
        value,
    )
