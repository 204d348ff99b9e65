"""From dose records to what happens when.

:func:`expand` turns a :class:`~pbpk_hybrid.dosing.Regimen` into :class:`DoseEvents`:
flat arrays of jumps and rate changes, sorted by (subject, time, kind), ready for any
solver. Nothing about records, ADDL, SS, lag or bioavailability is left for the solver,
except to find each steady state.

Kinds, in the order in which they apply at equal times (then the solver's output is taken):

- ``RESET``: all amounts 0 and all infusion rates 0
- ``STEADY``: add the steady-state amounts of entry ``value`` of ``steady`` (the rates that
  still run are separate ``RATE`` events)
- ``RATE``: infusion rate into ``compartment`` changes by ``value`` [mg/h]
- ``BOLUS``: amount in ``compartment`` rises by ``value`` [mg]
- ``OTHER``: nothing; the solver stops (EVID 2)

Semantics (NONMEM's, where it states them; D dose, F bioavailability, R rate, T
duration, II interval):

- **Lag** moves the dose, never the reset nor the steady state: they hold at the time of
  the record.
- **Bioavailability**: a bolus gives F D. Where the *rate* was ordered (RATE > 0, or -1
  with its modelled value) the rate stays R and the infusion takes F D/R. Where the
  *duration* was ordered (RATE -2) it stays T and the rate is F D/T. (That F shortens an
  infusion of given rate is intended: metrumresearchgroup/mrgsolve#954.)
- **ADDL**: further doses at time + k II, k = 1..ADDL, plain doses: neither reset (EVID
  4) nor steady state is repeated (nlmixr2/rxode2#1351). Infusions longer than II
  overlap.
- **Reset** (EVID 3, 4) and SS = 1 also cancel what earlier records still had to give:
  running infusions, lagged doses that have not entered, additional doses. NONMEM's help
  states this for SS = 1 ("infusions in progress or pending additional doses are
  cancelled", SS data item) and calls EVID 3 the more complete reset; some other tools
  let additional doses go on after EVID 3. Doses of :meth:`Regimen.repeat` are records
  of their own and do go on. "Earlier" is by the time of the record and, at equal times,
  by the order of rows: a dose recorded before a reset of the same time is wiped by it,
  one recorded after it is given (NONMEM processes records in their order; results of
  NONMEM 7.6 in FeRx-NLME/ferx-core#1587). A second record with SS = 1 at the same time
  for the same subject is refused (it would erase the first): use SS = 2.
- **Steady state**: the state that doses at time - k II (k = 1, 2, ...) have led to,
  then the dose itself as an ordinary dose at time + lag. SS = 1 is a RESET and then the
  steady state; SS = 2 adds the steady state to what is there.

  With a lag L the implied doses are lagged as well: at the record's time the previous
  one entered II - L ago (NONMEM help, "SS dose event record";
  metrumresearchgroup/mrgsolve#264), so the state is the periodic one at ``phase`` = II -
  L (II for no lag: the trough just before the dose). If L >= II, implied doses that
  are still on their way enter at time + L - k II and the phase is II - (L mod II).
  There NONMEM clamps the phase to 0 and drops those on their way (measured in
  FeRx-NLME/ferx-core#1125); the true steady state is given here.

  An infusion of length T (after F) longer than II overlaps its predecessors. In the
  periodic regime the rate is ``base_rate`` = floor(T/II) R always, and ``pulse_rate`` = R
  more from phase 0 for ``pulse_duration`` = T - floor(T/II) II. Implied infusions that
  still run at the record are RATE events: R more each at the record's time, R less at the
  time at which each ends (metrumresearchgroup/mrgsolve#270). If T is a multiple of II
  within 1e-9, there is no pulse (metrumresearchgroup/mrgsolve#947).

  SS = 1 with amount 0, a rate and II 0: the steady state of a constant infusion that
  ends at the record; ``interval`` is 0 and ``base_rate`` = R. F does not apply, since
  there is no amount. The rate does not run on.

Shared and per-subject events: if every record is for every subject, all events have
``subject`` -1 and are stored once, however many subjects there are. Doses per kg stay
shared where only their size depends on body weight: ``per_kg`` marks values in mg/kg
(or mg/h/kg), to be multiplied by the subject's body weight
(:meth:`DoseEvents.values_for` does that). Records are written out per subject if some
are for one subject only, or if a dose per kg at a rate in mg/h gives each subject
another duration. Hence ``subject`` is -1 everywhere or nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._core.errors import InputError, unknown_name
from .._core.limits import check
from .._core.units import quantity
from .regimen import Regimen
from .steady import STEADY_COLUMNS, SteadyStates, steady_states
from .table import EVERYONE, check_count, is_dose

RESET, STEADY, RATE, BOLUS, OTHER = 0, 1, 2, 3, 4

#: compartment name under which a route's own compartment is listed, unless `route_compartments`
#: says otherwise
ROUTE_COMPARTMENT = {"iv_bolus": "iv", "iv_infusion": "iv", "oral": "oral"}


@dataclass(frozen=True, eq=False)
class DoseEvents:
    """What happens when: 1-D arrays of equal length, sorted by (subject, time, kind).

    Parameters
    ----------
    subject
        (n,) index into the subjects given to :func:`expand`; -1 in all places if shared
        by all.
    time
        (n,) [h].
    kind
        (n,) RESET, STEADY, RATE, BOLUS or OTHER.
    compartment
        (n,) index into `compartments`; -1 for RESET, STEADY and OTHER.
    value
        (n,) [mg] for BOLUS, change of [mg/h] for RATE, row of `steady` for STEADY, else
        0; per kg where `per_kg`.
    per_kg
        (n,) True where `value` has to be multiplied by body weight.
    record
        (n,) row of the expanded regimen from which the event comes (for messages).
    compartments
        Names; "iv" and "oral" stand for the model's own compartment of the route.
    steady
        The steady states to find.
    n_subjects
        Number of subjects.
    body_weight
        (n_subjects,) [kg] or None.
    """

    subject: np.ndarray
    time: np.ndarray
    kind: np.ndarray
    compartment: np.ndarray
    value: np.ndarray
    per_kg: np.ndarray
    record: np.ndarray
    compartments: tuple[str, ...]
    steady: SteadyStates
    n_subjects: int
    body_weight: np.ndarray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return int(self.time.size)

    @property
    def shared(self) -> bool:
        """True if all events are stored once for all subjects."""
        return bool(np.all(self.subject == EVERYONE))

    @property
    def start(self) -> float:
        """Time of the first event [h]; 0 if there is none."""
        return float(self.time.min()) if len(self) else 0.0

    def values_for(self, first: int = 0, stop: int | None = None) -> np.ndarray:
        """Values with body weight multiplied in.

        Returns
        -------
        array
            (n,) if no value differs between subjects that share an event, else (stop -
            first, n) for subjects first..stop.
        """
        return self._weighted(self.value, self.per_kg, self.subject, first, stop)

    def steady_values_for(self, name: str, first: int = 0, stop: int | None = None) -> np.ndarray:
        """Column `name` (amount, base_rate or pulse_rate) of `steady` with body weight
        multiplied in, shaped likewise.
        """
        steady = self.steady
        values = getattr(steady, name)
        return self._weighted(values, steady.per_kg, steady.subject, first, stop)

    def for_subject(self, index: int) -> DoseEvents:
        """The events of one subject as shared events of a single subject, with body
        weight multiplied in.
        """
        selected = np.ones(len(self), bool) if self.shared else self.subject == index
        value = self.values_for(index, index + 1)
        value = value[0][selected] if value.ndim == 2 else value[selected]
        rows = np.flatnonzero(
            np.isin(np.arange(len(self.steady)), value[self.kind[selected] == STEADY])
        )
        steady = self.steady.take(
            rows, self.body_weight[index] if self.body_weight is not None else None
        )
        renumbered = np.where(self.kind[selected] == STEADY, np.searchsorted(rows, value), value)
        weight = None if self.body_weight is None else self.body_weight[index : index + 1]
        return DoseEvents(
            np.full(int(selected.sum()), EVERYONE),
            self.time[selected],
            self.kind[selected],
            self.compartment[selected],
            renumbered,
            np.zeros(int(selected.sum()), bool),
            self.record[selected],
            self.compartments,
            steady,
            1,
            weight,
        )

    def _weighted(
        self,
        value: np.ndarray,
        per_kg: np.ndarray,
        subject: np.ndarray,
        first: int,
        stop: int | None,
    ) -> np.ndarray:
        """Values (n,) with body weight multiplied in: (n,), or (subject, n) if shared."""
        if not per_kg.any():
            return value
        weight: Any = self.body_weight  # not None: expand() refuses doses per kg without it
        if np.all(subject == EVERYONE):
            return np.where(per_kg, value * weight[first:stop, None], value)
        return np.where(per_kg, value * weight[subject], value)


def expand(
    regimen: Regimen,
    subjects: int | Sequence[int] | np.ndarray,
    *,
    body_weight: Any = None,
    horizon: Any = None,
    start: Any = 0.0,
    route_compartments: Mapping[str, str] | None = None,
) -> DoseEvents:
    """What happens when, to whom.

    Parameters
    ----------
    regimen
        Regimen.
    subjects
        Number of subjects (ids 0, 1, ...), or (n_subjects,) their integer ids.
    body_weight
        (n_subjects,) or one number [kg], needed for doses per kg.
    horizon
        [h] last time of interest; later events are left out. None: no limit.
    start
        [h] first time of the simulation; a record before it is refused.
    route_compartments
        Names of the model's own compartments, e.g. ``{"iv": "venous_blood", "oral":
        "gut_lumen"}``.

    Returns
    -------
    DoseEvents

    Raises
    ------
    InputError
        A record before `start`, no body weight for a dose per kg, two SS = 1 records at
        one time.
    UnknownNameError
        A subject of the regimen that is not in `subjects`.
    """
    ids = _subject_ids(subjects)
    weight = body_weights(regimen, body_weight, ids)
    end = np.inf if horizon is None else quantity(horizon, "h", "horizon")
    table, index = _rows_for(regimen, ids)
    _refuse_early(table, index, ids, quantity(start, "h", "start"))
    _refuse_two_fresh_starts(table, index, ids)
    ordered = _effective(table, weight, index)
    names, state = _compartments(table, route_compartments or {})
    events = _EventColumns(index)

    resets = np.flatnonzero((table["evid"] >= 3) | (table["steady_state"] == 1))
    events.add(resets, table["time"][resets], RESET)
    others = np.flatnonzero(table["evid"] == 2)
    events.add(others, table["time"][others], OTHER)

    dose, at_steady_state = is_dose(table), table["steady_state"] > 0
    steady = steady_states(
        table,
        np.flatnonzero(dose & at_steady_state),
        index,
        state,
        ordered.size,
        ordered.per_kg,
        ordered.rate,
        ordered.duration,
    )
    events.add(steady.record, steady.time, STEADY, value=np.arange(len(steady), dtype=float))
    for rows, times, change in steady.running():
        events.add(rows, times, RATE, state[rows], change, ordered.per_kg[rows])

    # a constant infusion to steady state (interval 0) ends at its record: it gives no dose of
    # its own
    giving = np.flatnonzero(dose & ~(at_steady_state & (table["interdose_interval"] == 0)))
    rows, entry = dose_times(table, giving, end)
    implied_rows, implied_entry = steady.on_their_way()
    rows, entry = np.concatenate([rows, implied_rows]), np.concatenate([entry, implied_entry])
    _add_doses(events, rows, entry, ordered, state, _ordered_as_infusion(table))
    columns = _in_order(cancelled_by_resets(events.arrays()), end)
    return DoseEvents(
        **columns, compartments=names, steady=steady, n_subjects=ids.size, body_weight=weight
    )


def _refuse_early(
    table: Mapping[str, np.ndarray], index: np.ndarray, ids: np.ndarray, start: float
) -> None:
    """
    Raises
    ------
    InputError
        A record before the start of the simulation.
    """
    early = table["time"] < start
    if early.any():
        i = int(np.argmax(early))
        raise InputError(
            f"time[row {i}]",
            float(table["time"][i]),
            f"a time >= start = {start:g} h",
            subject=None if index[i] == EVERYONE else int(ids[index[i]]),
            hint="shift the regimen or give an earlier start",
        )


def _add_doses(
    events: _EventColumns,
    rows: np.ndarray,
    entry: np.ndarray,
    ordered: _Ordered,
    state: np.ndarray,
    infusion: np.ndarray,
) -> None:
    """A jump for every bolus, and the start and end of every infusion.

    Parameters
    ----------
    rows, entry : (dose,)
        Row of the regimen and time [h] at which the dose enters.
    state, infusion : (row,)
        Index of the compartment, and whether a rate or a duration was ordered.
    """
    size, rate, duration, per_kg = ordered.size, ordered.rate, ordered.duration, ordered.per_kg
    at_once = (rate[rows] == 0) & (duration[rows] == 0) & ~infusion[rows]
    bolus = rows[at_once]
    events.add(bolus, entry[at_once], BOLUS, state[bolus], size[bolus], per_kg[bolus])
    flows = ~at_once & (duration[rows] > 0)  # F = 0 leaves an infusion of no length
    run = rows[flows]
    events.add(run, entry[flows], RATE, state[run], rate[run], per_kg[run])
    end = entry[flows] + duration[run]
    events.add(run, end, RATE, state[run], -rate[run], per_kg[run])


def _in_order(events: dict[str, np.ndarray], end: float) -> dict[str, np.ndarray]:
    """Events up to `end` [h], sorted by subject, time, kind and record."""
    keep = events["time"] <= end
    order = np.lexsort((events["record"], events["kind"], events["time"], events["subject"]))
    order = order[keep[order]]
    return {name: column[order] for name, column in events.items()}


def just_before(time: Any) -> np.ndarray:
    """The times [h] at which a simulation shows what was there before the events of
    `time`: 1e-9 of it, at least 1e-9 h, earlier.

    A saved value at the time of a dose sees the dose. The distance is large enough to
    be told apart after rounding to nine decimals, and small enough (4 microseconds to a
    few milliseconds) for no concentration to change by more than 1e-6.
    """
    time = np.asarray(time, dtype=float)
    return time - 1e-9 * np.maximum(1.0, np.abs(time))


class _EventColumns:
    """Collects events group by group; `index` (row,) is the subject of a regimen's row."""

    def __init__(self, index: np.ndarray) -> None:
        self._index = index
        self._groups: list[dict[str, np.ndarray]] = []

    def add(
        self,
        rows: np.ndarray,
        time: np.ndarray,
        kind: int,
        compartment: np.ndarray | int = -1,
        value: np.ndarray | float = 0.0,
        per_kg: np.ndarray | bool = False,
    ) -> None:
        """Events of one kind from `rows` of the regimen; all others have their shape or are one."""
        rows = np.asarray(rows, dtype=np.int64)
        n = rows.size
        self._groups.append(
            {
                "subject": self._index[rows],
                "time": np.asarray(time, float),
                "kind": np.full(n, kind, np.int8),
                "compartment": np.broadcast_to(np.asarray(compartment, np.int64), (n,)),
                "value": np.broadcast_to(np.asarray(value, float), (n,)),
                "per_kg": np.broadcast_to(np.asarray(per_kg, bool), (n,)),
                "record": rows,
            }
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The columns of :class:`DoseEvents`, (event,), in the order in which they were added."""
        groups = self._groups
        return {name: np.concatenate([g[name] for g in groups]) for name in groups[0]}


def _subject_ids(subjects: Any) -> np.ndarray:
    """(n_subjects,) ids, from their number or a list.

    Raises
    ------
    InputError
        No subject, ids that are not whole numbers, or an id twice.
    """
    if isinstance(subjects, (int, np.integer)) and not isinstance(subjects, bool):
        if subjects < 1:
            raise InputError("subjects", subjects, "at least 1 subject")
        return np.arange(int(subjects))
    ids = np.asarray(subjects)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise InputError("subjects", subjects, "a number of subjects or a list of integer ids")
    if np.unique(ids).size != ids.size:
        raise InputError("subjects", ids.tolist(), "ids that differ from each other")
    return ids.astype(np.int64)


def body_weights(regimen: Regimen, body_weight: Any, ids: np.ndarray) -> np.ndarray | None:
    """Body weight [kg] of each subject, (n_subjects,); None where neither given nor needed.

    Parameters
    ----------
    regimen
        Whose doses may be per kg.
    body_weight
        One number for all [kg] or text with a unit, (n_subjects,) numbers, or None.
    ids : (n_subjects,) int
        Ids of the subjects, for messages.

    Raises
    ------
    InputError
        None with a dose per kg, another number of weights, a weight that is not above 0.
    """
    if body_weight is None:
        if regimen.needs_body_weight:
            raise InputError(
                "body_weight", None, "the body weight [kg] of each subject, since a dose is per kg"
            )
        return None
    if isinstance(body_weight, (str, int, float)) or np.ndim(body_weight) == 0:
        return np.full(ids.size, quantity(body_weight, "kg", "body_weight", positive=True))
    weight = np.asarray(body_weight, dtype=float)
    if weight.shape != ids.shape:
        raise InputError("body_weight", weight.shape, f"one number for each of {ids.size} subjects")
    bad = ~(np.isfinite(weight) & (weight > 0))
    if bad.any():
        i = int(np.argmax(bad))
        raise InputError(
            "body_weight", float(weight[i]), "a finite number > 0 [kg]", subject=int(ids[i])
        )
    return weight


def _rows_for(regimen: Regimen, ids: np.ndarray) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
    """The rows to expand and, for each, the subject's index (-1 in all places if they
    stay shared).
    """
    table = regimen.columns
    # a rate in mg/h with an amount in mg/kg: the duration, not only the size, is another for
    # each subject
    own_duration = (table["amount_per_kg"] > 0) & (table["rate"] > 0)
    if regimen.shared and not own_duration.any():
        return table, table["subject"]
    written = regimen.for_subjects(ids).columns
    order = np.argsort(ids, kind="stable")
    slot = np.searchsorted(ids[order], written["subject"])
    known = slot < ids.size
    known[known] = ids[order][slot[known]] == written["subject"][known]
    if not known.all():
        stranger = int(written["subject"][int(np.argmin(known))])
        raise unknown_name("subject", stranger, ids.tolist(), what="a subject that is simulated")
    return written, order[slot].astype(np.int64)


def _ordered_as_infusion(table: Mapping[str, np.ndarray]) -> np.ndarray:
    """(row,) whether a rate or a duration was ordered."""
    return (table["rate"] > 0) | (table["rate_per_kg"] > 0) | (table["duration"] > 0)


@dataclass(frozen=True)
class _Ordered:
    """What each row of a regimen gives after bioavailability; all (row,)."""

    size: np.ndarray  # mg, or mg/kg where per_kg
    per_kg: np.ndarray  # bool
    rate: np.ndarray  # mg/h or mg/h/kg, 0 where not an infusion
    duration: np.ndarray  # h, 0 where not an infusion


def _effective(table: Mapping[str, np.ndarray], weight: Any, index: np.ndarray) -> _Ordered:
    """Size, rate and duration of each row after bioavailability.

    Parameters
    ----------
    table
        Columns of a dose table, (row,).
    weight : (n_subjects,), kg
        Body weights; None where no dose is per kg.
    index : (row,) int
        Subject of each row.
    """
    per_kg = (table["amount_per_kg"] > 0) | (table["rate_per_kg"] > 0)
    ordered = table["amount"] + table["amount_per_kg"]
    # such rows are written out per subject: to mg now, since the duration depends on it
    per_subject = (table["amount_per_kg"] > 0) & (table["rate"] > 0)
    if per_subject.any():
        ordered = np.where(per_subject, ordered * weight[np.where(per_subject, index, 0)], ordered)
        per_kg = per_kg & ~per_subject
    size = table["bioavailability"] * ordered
    ordered_rate = table["rate"] + table["rate_per_kg"]
    with np.errstate(divide="ignore", invalid="ignore"):
        duration = np.where(ordered_rate > 0, size / ordered_rate, table["duration"])
        rate = np.where(
            ordered_rate > 0,
            ordered_rate,
            np.where(table["duration"] > 0, size / table["duration"], 0.0),
        )
    return _Ordered(size, per_kg, rate, duration)


def _compartments(
    table: Mapping[str, np.ndarray], route_compartments: Mapping[str, str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names (routes first, then by name), and the index of each row (-1 where no dose)."""
    for name in route_compartments:
        if name not in ("iv", "oral"):
            raise unknown_name("route_compartments", name, ("iv", "oral"))
    state = np.full(table["time"].size, -1, dtype=np.int64)
    dose = is_dose(table)
    named = table["compartment"] != ""
    names: list[str] = []

    def slot(name: str) -> int:
        if name not in names:
            names.append(name)
        return names.index(name)

    for route, default_compartment in ROUTE_COMPARTMENT.items():
        rows = dose & ~named & (table["route"] == route)
        if rows.any():
            state[rows] = slot(route_compartments.get(default_compartment, default_compartment))
    if named.any():
        for name in np.unique(table["compartment"][named]).tolist():
            state[dose & (table["compartment"] == name)] = slot(name)
    return tuple(names), state


def _refuse_two_fresh_starts(
    table: Mapping[str, np.ndarray], index: np.ndarray, ids: np.ndarray
) -> None:
    """
    Raises
    ------
    InputError
        Two records with SS = 1 of a subject at one time: the second would erase the first.
    """
    fresh = np.flatnonzero(table["steady_state"] == 1)
    if fresh.size < 2:
        return
    order = fresh[np.lexsort((table["time"][fresh], index[fresh]))]
    twice = (np.diff(table["time"][order]) == 0) & (np.diff(index[order]) == 0)
    if twice.any():
        i = int(order[1:][np.argmax(twice)])
        raise InputError(
            f"steady_state[row {i}]",
            1,
            f"one record with steady_state 1 at {table['time'][i]:g} h",
            subject=None if index[i] == EVERYONE else int(ids[index[i]]),
            hint="use steady_state=2 to add to the first",
        )


def dose_times(
    table: Mapping[str, np.ndarray], giving: np.ndarray, end: float
) -> tuple[np.ndarray, np.ndarray]:
    """When each dose and its additional doses enter.

    Parameters
    ----------
    table
        Columns of a dose table, (row,).
    giving : (k,) int
        Rows that give a dose.
    end : float, h
        Doses after it may be left out.

    Returns
    -------
    rows, times : (dose,)
        Row of each dose and time [h] at which it enters, lag included.
    """
    first = table["time"][giving] + table["lag_time"][giving]
    ii, extra = table["interdose_interval"][giving], table["additional_doses"][giving]
    if np.isfinite(end):  # do not write out a million additional doses that nobody sees
        with np.errstate(divide="ignore", invalid="ignore"):
            started = np.where(ii > 0, np.floor((end - first) / ii) + 1, 0)
        extra = np.clip(np.minimum(extra, started), 0, None).astype(np.int64)
    # before they are written out
    check_count("additional_doses", int(extra.max(initial=0)))
    beyond = float(extra.sum(dtype=float)) - 1000.0 * extra.size
    check("regimen_doses", beyond, "regimen", error=InputError)
    rows = np.repeat(giving, extra + 1)
    starts = np.cumsum(extra + 1) - (extra + 1)
    k = np.arange(rows.size) - np.repeat(starts, extra + 1)
    return rows, np.repeat(first, extra + 1) + k * np.repeat(ii, extra + 1)


def cancelled_by_resets(events: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Events without those that a reset cancels before they happen.

    A reset cancels what earlier records of its subject would still give at its time or
    later.

    Parameters
    ----------
    events
        Columns (event,): ``subject``, ``time``, ``kind``, ``record`` (row of the regimen,
        in which rows are sorted by subject, then time, then order), and any others.
    """
    reset = events["kind"] == RESET
    if not reset.any():
        return events
    # one key for subject and row: a record is earlier than a reset if its key is lower
    width = int(events["record"].max()) + 2
    key = (events["subject"] + 1) * width + events["record"]
    order = np.argsort(key[reset], kind="stable")
    reset_key, reset_time = key[reset][order], events["time"][reset][order]
    following = np.searchsorted(reset_key, key, side="right")  # first reset recorded later
    known = following < reset_key.size
    candidate = np.where(known, following, 0)
    same_subject = known & (reset_key[candidate] // width == events["subject"] + 1)
    next_reset = np.where(same_subject, reset_time[candidate], np.inf)
    keep = events["time"] < next_reset
    return {name: column[keep] for name, column in events.items()}


__all__ = [
    "BOLUS",
    "OTHER",
    "RATE",
    "RESET",
    "ROUTE_COMPARTMENT",
    "STEADY",
    "STEADY_COLUMNS",
    "DoseEvents",
    "SteadyStates",
    "body_weights",
    "cancelled_by_resets",
    "dose_times",
    "expand",
    "just_before",
]
