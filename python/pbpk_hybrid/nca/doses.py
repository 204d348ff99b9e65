"""Doses of the analysis: one plan for each group of subjects that were dosed alike.

Plans come from dose records, from columns of the samples, or from parameters of the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_choice
from .._core.errors import InputError
from .._core.units import quantity
from .options import ROUTES, NCAOptions
from .profiles import Profiles, numbers

#: routes of a dose besides `ROUTES`: into a named compartment; several routes at one time
COMPARTMENT, SEVERAL = "compartment", "several"
#: names of plasma and blood in models and data
CENTRAL = ("plasma", "serum", "blood", "central", "venous_blood", "arterial_blood")
_GIVE = "data without dose records do not say it; on the command line: --route"


@dataclass(frozen=True, eq=False)
class Plan:
    """The doses that some subjects have in common, except for amounts and lengths of infusions.

    Parameters
    ----------
    rows
        Subjects, in order.
    time
        (n_doses,) [h].
    stop
        (n_doses,) [h] when the body is emptied or the next dose comes; inf for none.
    route
        (n_doses,) one of ROUTES, COMPARTMENT or SEVERAL.
    interval
        (n_doses,) [h] II of a steady-state record, else NaN.
    steady
        (n_doses,) 0, 1 or 2, as SS of NONMEM.
    fresh
        (n_doses,) bool: nothing is left of earlier doses.
    leaps
        (n_doses,) bool: the saved value at `stop` is that after a bolus or a reset, not
        the trough before it.
    amount
        (n_rows, n_doses) [mg] as given, NaN where unknown.
    entered
        (n_rows, n_doses) [mg] what an intravenous clearance counts: amount x stated
        bioavailability.
    duration
        (n_rows, n_doses) [h].
    simulated
        A curve's value at the time of a bolus is the one after it, not the sample
        before it.
    own
        The doses are of the compound that is analysed.
    only
        The one dose that is wanted; None: all.
    """

    rows: slice | np.ndarray
    time: np.ndarray
    stop: np.ndarray
    route: tuple[str, ...]
    interval: np.ndarray
    steady: np.ndarray
    fresh: np.ndarray
    leaps: np.ndarray
    amount: np.ndarray
    entered: np.ndarray
    duration: np.ndarray
    simulated: bool = False
    own: bool = True
    only: int | None = None

    @property
    def repeated(self) -> bool:
        """Several doses, or one at steady state: analysed by dosing interval."""
        return len(self.time) > 1 or bool(self.steady.any())


def plans_for(
    data: Any,
    profiles: Profiles,
    dose: Any,
    route: str | None,
    duration: Any,
    compartment: str,
    options: NCAOptions,
) -> list[Plan]:
    """One plan for each group of subjects that were dosed alike.

    Raises
    ------
    InputError, UnknownNameError
        No route; parameters that contradict the data; a time without a dose.
    """
    if route is not None:
        check_choice("route", route, ROUTES)
    if isinstance(data, xr.Dataset) and "dose_record" in data.dims and profiles.simulated:
        plans = _from_records(data, profiles, compartment)
        _agree(plans, profiles, dose, route, duration, options)
        return plans if options.dose_time is None else [_only(p, options) for p in plans]
    if isinstance(data, xr.Dataset) and "dose_subject" in data.variables:
        if options.dose_time is None and not options.steady_state:
            plans = _from_samples(data, profiles, route)
            if plans is not None:
                _agree(plans, profiles, dose, None, duration, options)
                return plans
    return _from_parameters(data, profiles, dose, route, duration, options)


# ---- records ------------------------------------------------------------------------------------
def _from_records(ds: xr.Dataset, profiles: Profiles, compartment: str) -> list[Plan]:
    from ..results.doses import dose_records

    records = dose_records(ds)
    compound = _compound_of(ds, compartment)
    of_compound = compound in records.compounds or records.compounds in ((), ("",))
    of = records.of(compound) if of_compound else records
    n = len(profiles.subject)
    columns = (of.time, of.route, of.steady_state, of.interval, of.reset, of.lag_time)
    if n and all(_same_for_all(c) for c in columns):
        return [_doses_within_samples(_plan(of, slice(None), of_compound), profiles)]
    keys: dict[tuple, list[int]] = {}
    for i in range(n):
        keys.setdefault(tuple(c[i].tobytes() for c in columns), []).append(i)
    return [
        _doses_within_samples(_plan(of, np.array(rows), of_compound), profiles)
        for rows in keys.values()
    ]


def _doses_within_samples(plan: Plan, profiles: Profiles) -> Plan:
    """The plan without doses at the last sampling time or later, which no sample follows."""
    doses_seen = int(np.sum(plan.time < profiles.time[-1])) if profiles.time.size else 0
    if doses_seen in (0, len(plan.time)):
        return plan
    cut = {
        name: getattr(plan, name)[:doses_seen]
        for name in ("time", "stop", "route", "interval", "steady", "fresh", "leaps")
    }
    wide = {name: getattr(plan, name)[:, :doses_seen] for name in ("amount", "entered", "duration")}
    return replace(plan, **cut, **wide)


def _same_for_all(column: np.ndarray) -> bool:
    if column.strides[0] == 0 or len(column) == 1:
        return True
    same = column == column[:1]
    if column.dtype.kind == "f":
        same |= np.isnan(column) & np.isnan(column[:1])
    return bool(same.all())


def _compound_of(ds: xr.Dataset, compartment: str) -> str:
    """The compound of a compartment such as ``midazolam:plasma``; without a name the first."""
    if ":" in compartment:
        return compartment.split(":")[0]
    return str(ds.attrs.get("compounds", "")).split(",")[0].strip()


def _plan(r, rows, of_compound: bool) -> Plan:
    """Records of subjects dosed alike; those of one time become one dose."""
    first = 0 if isinstance(rows, slice) else int(rows[0])
    route = r.route[first]
    intravenous = np.isin(route, ("iv_bolus", "iv_infusion"))
    # a lagged intravenous dose enters later; the delay of an oral one is part of its absorption
    time = r.time[first] + np.where(intravenous, np.nan_to_num(r.lag_time[first]), 0.0)
    amount = np.asarray(r.amount[rows], dtype=float)
    present = np.isfinite(time)  # subjects with fewer records have NaN at the end
    is_dose = present & (np.nan_to_num(amount) > 0).any(axis=0) & (route != "")
    empties = time[present & (r.reset[first] > 0)]
    # records of one time are one dose of the analysis
    groups: list[list[int]] = []
    for i in sorted(np.flatnonzero(is_dose), key=lambda i: time[i]):
        if groups and time[i] == time[groups[-1][0]]:
            groups[-1].append(i)
        else:
            groups.append([int(i)])
    duration = np.asarray(r.duration[rows], dtype=float)
    share = np.nan_to_num(np.asarray(r.bioavailability[rows], dtype=float), nan=1.0)
    lead = [g[0] for g in groups]
    times = time[lead]
    after = np.r_[times[1:], np.inf] if len(times) else times
    stop = np.array(
        [
            min([b, *empties[(empties > a) & (empties <= b)]])
            for a, b in zip(times, after, strict=True)
        ]
    )
    fresh = np.array([k == 0 or bool((empties == t).any()) for k, t in enumerate(times)], bool)
    # a reset between two doses leaves nothing for the second
    fresh[1:] |= np.isin(stop[:-1], empties)
    routes = tuple(_route(r, first, rows, g, duration) for g in groups)
    steady = np.array([max(r.steady_state[first][g]) for g in groups], dtype=int)
    leap = np.isin(routes, ("iv_bolus", COMPARTMENT, SEVERAL)) | (steady > 0) | fresh
    return Plan(
        rows,
        times,
        stop,
        routes,
        np.array([r.interval[first][i] for i in lead]),
        steady,
        fresh,
        np.r_[leap[1:], False] | (stop < after) if len(times) else leap,
        _summed(amount, groups),
        _summed(amount * share, groups),
        _longest(duration, groups),
        simulated=True,
        own=of_compound,
    )


def _summed(amount: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    out = np.zeros((len(amount), len(groups)))
    for k, group in enumerate(groups):
        out[:, k] = amount[:, group].sum(axis=1)
    return out


def _longest(duration: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    out = np.zeros((len(duration), len(groups)))
    for k, group in enumerate(groups):
        out[:, k] = duration[:, group].max(axis=1)
    return out


def _route(r, first: int, rows, group: list[int], duration: np.ndarray) -> str:
    """The route of the doses of one time; SEVERAL where they differ."""
    routes = {str(r.route[first][i]) for i in group}
    same = all(np.array_equal(duration[:, i], duration[:, group[0]]) for i in group)
    targets = {str(r.compartment[first][i]).split(":")[-1] for i in group}
    if len(routes) > 1 or not same or (COMPARTMENT in routes and len(targets) > 1):
        return SEVERAL
    return routes.pop() if routes <= {*ROUTES} else COMPARTMENT


def _agree(plans, profiles, dose, route, duration, options: NCAOptions) -> None:
    """Refuse parameters that contradict the dose records."""
    hint = "leave it out: the data carry their dose records"
    for plan in plans:
        subject = profiles.subject[plan.rows]
        known = {*plan.route}
        if route is not None and known - {route}:
            raise InputError(
                "route",
                route,
                f"the route of the dose records ({', '.join(sorted(known))})",
                hint=hint,
            )
        if dose is not None:
            stated = read_dose(dose, profiles)[plan.rows][:, None]
            off = np.abs(stated - plan.amount) > 1e-3 * plan.amount
            if off.any():
                i, k = np.argwhere(off)[0]
                raise InputError(
                    "dose",
                    float(stated[i, 0]),
                    f"the dose of the records, {plan.amount[i, k]:g} mg at {plan.time[k]:g} h",
                    subject=subject[i],
                    hint=hint,
                )
        if duration is not None:
            stated = _durations(duration, len(profiles.subject))[plan.rows][:, None]
            off = np.abs(stated - plan.duration) > 1e-3 * np.maximum(plan.duration, 1e-9)
            if off.any():
                i, k = np.argwhere(off)[0]
                raise InputError(
                    "infusion_duration",
                    float(stated[i, 0]),
                    f"the duration of the dose records, {plan.duration[i, k]:g} h",
                    hint=hint,
                )
        if options.steady_state and not plan.repeated:
            raise InputError(
                "steady_state",
                True,
                "False: the dose records of this simulation hold one dose, not at steady state",
                hint="simulate repeated doses, or a dose such as '100 mg oral q12h ss'",
            )
        if options.tau is not None:
            _agree_tau(plan, options)


def _agree_tau(plan: Plan, options: NCAOptions) -> None:
    tau = float(options.tau or 0.0)
    known = plan.interval[plan.steady > 0]
    known = np.r_[known[np.isfinite(known)], np.diff(plan.time)]
    if known.size and np.abs(known - tau).min() > 1e-6 * tau:
        raise InputError(
            "tau",
            tau,
            "the dosing interval of the records: "
            + ", ".join(f"{x:g} h" for x in np.unique(known.round(9))[:5]),
            hint="leave it out: the data carry their dose records",
        )


def _only(plan: Plan, options: NCAOptions) -> Plan:
    """The plan with the dose that ``options.dose_time`` selects."""
    at = float(options.dose_time or 0.0)
    near = np.flatnonzero(np.abs(plan.time - at) <= 1e-9 * max(1.0, abs(at)))
    if not near.size:
        raise InputError(
            "dose_time",
            at,
            "the time of a dose in the records: "
            + ", ".join(f"{t:g}" for t in plan.time[:8])
            + (" ... h" if len(plan.time) > 8 else " h"),
        )
    return replace(plan, only=int(near[0]))


def _from_samples(ds: xr.Dataset, profiles: Profiles, route: str | None) -> list[Plan] | None:
    """Plans from the dose records of a data set (NONMEM); None for records of other profiles.

    Such a file gives the compartment of a dose, not whether it is a vein: an infusion is taken
    as intravenous, any other dose needs `route`.
    """
    from ..results.doses import DoseRecords

    dose_subject = np.asarray(ds["dose_subject"].values).astype(str)
    labels = np.array([str(s) for s in profiles.subject])
    if not np.isin(labels, dose_subject).all():
        return None
    index = [np.flatnonzero(dose_subject == s) for s in labels]
    width = max(len(i) for i in index)
    columns = {}
    for name in DoseRecords.__dataclass_fields__:
        values = np.asarray(ds[f"dose_{name}"].values)
        values = values if values.dtype.kind in "fiu" else values.astype(str)
        empty = np.nan if values.dtype.kind == "f" else 0 if values.dtype.kind in "iu" else ""
        columns[name] = np.full((len(labels), width), empty, dtype=values.dtype)
        for row, where in enumerate(index):
            columns[name][row, : len(where)] = values[where]
    infused = np.nan_to_num(columns["duration"]) > 0
    dosed = columns["amount"] > 0
    if route is None and (dosed & ~infused).any():
        raise InputError(
            "route", None, "how the doses were given: iv_bolus, iv_infusion or oral", hint=_GIVE
        )
    stated = np.where(infused, "iv_infusion", route or "")
    if route is not None and (dosed & (stated != route)).any():
        raise InputError(
            "route",
            route,
            "iv_infusion for the infusions of the data set",
            hint="leave `route` out",
        )
    columns["route"] = np.where(dosed, stated, "")
    records = DoseRecords(**columns)
    keys: dict[tuple, list[int]] = {}
    for i in range(len(labels)):
        parts = (records.time, records.route, records.steady_state, records.interval, records.reset)
        keys.setdefault(tuple(c[i].tobytes() for c in parts), []).append(i)
    plans = [_plan(records, np.array(rows), True) for rows in keys.values()]
    return [replace(p, simulated=False, leaps=np.zeros(len(p.time), dtype=bool)) for p in plans]


# ---- parameters ---------------------------------------------------------------------------------
def _from_parameters(
    data: Any, profiles: Profiles, dose: Any, route: str | None, duration: Any, options: NCAOptions
) -> list[Plan]:
    """Doses of data without records: from the columns of the samples and the parameters."""
    n = len(profiles.subject)
    _check_old_file(data, options)
    routes = _routes(profiles, route)
    doses = read_dose(dose, profiles)
    lengths = _lengths(profiles, routes, duration)
    amount = np.full(n, np.nan) if doses is None else doses
    starts = _starts(profiles, options)
    keys: dict[tuple, list[int]] = {}
    if len({*routes}) == 1 and len({*starts}) == 1:
        keys[(routes[0], starts[0])] = []
    else:
        for i in range(n):
            keys.setdefault((routes[i], starts[i]), []).append(i)
    plans = []
    for (route_name, times), subjects in keys.items():
        rows = np.array(subjects) if subjects else slice(None)
        k = len(times)
        time = np.array(times, dtype=float)
        size = np.repeat(amount[rows][:, None], k, axis=1)
        plans.append(
            Plan(
                rows,
                time,
                np.r_[time[1:], np.inf],
                (route_name,) * k,
                np.full(k, np.nan),
                np.zeros(k, dtype=int),
                np.arange(k) == 0,
                np.zeros(k, dtype=bool),
                size,
                size,
                np.repeat(lengths[rows][:, None], k, axis=1),
            )
        )
    return plans


def _check_old_file(data: Any, options: NCAOptions) -> None:
    """Refuse a simulation of several doses without dose records.

    Files of older versions have the regimen only as text.
    """
    if not (isinstance(data, xr.Dataset) and "concentration" in data.variables):
        return
    text = str(data.attrs.get("regimen", ""))
    several = ("records" in text and not text.startswith("Regimen(1 records")) or any(
        word in f" {text} ".lower() for word in (" then ", " and ", " x", " ss ", " q")
    )
    if several and options.dose_time is None and options.tau is None:
        raise InputError(
            "data",
            text,
            "a simulation with its dose records (this file has none) or of one dose",
            hint="simulate again with this version, or select one dosing interval with the options "
            "dose_time and tau",
        )


def _routes(profiles: Profiles, route: str | None) -> np.ndarray:
    n = len(profiles.subject)
    known = profiles.route
    if known is None or not np.any(known != ""):
        if route is None:
            raise InputError(
                "route", None, "how the dose was given: iv_bolus, iv_infusion or oral", hint=_GIVE
            )
        return np.full(n, route, dtype=object)
    unclear = ~np.isin(known, ROUTES)
    if route is None and unclear.any():
        i = int(np.argmax(unclear))
        raise InputError(
            "route",
            str(known[i]),
            "iv_bolus, iv_infusion or oral for every profile",
            subject=profiles.subject[i],
            hint="give `route` for those that do not say it, or select the profiles that do",
        )
    if route is None:
        return known.astype(object)
    clash = ~unclear & (known != route)
    clash &= ~((known == "iv") & (route != "oral"))
    if clash.any():
        i = int(np.argmax(clash))
        raise InputError(
            "route",
            route,
            f"'{known[i]}', the route that the data state",
            subject=profiles.subject[i],
            hint="leave `route` out, or select the profiles of one route",
        )
    return np.full(n, route, dtype=object)


def _lengths(profiles: Profiles, routes: np.ndarray, duration: Any) -> np.ndarray:
    """Lengths of infusions (n,) [h]; 0 for other routes."""
    n = len(profiles.subject)
    infusion = routes == "iv_infusion"
    if duration is not None:
        stated = _durations(duration, n)
        if np.any(stated[~infusion] != 0) and not infusion.any():
            raise InputError(
                "infusion_duration",
                duration,
                f"0 for route '{routes[0]}'",
                hint="use route='iv_infusion'",
            )
    elif profiles.duration is not None:
        stated = profiles.duration
    else:
        stated = np.zeros(n)
    bad = infusion & ~(stated > 0)
    if bad.any():
        raise InputError(
            "infusion_duration",
            float(stated[int(np.argmax(bad))]),
            "a number > 0 [h] for route 'iv_infusion'",
            subject=profiles.subject[int(np.argmax(bad))],
        )
    return np.where(infusion, stated, 0.0)


def _durations(value: Any, n: int) -> np.ndarray:
    if isinstance(value, (Mapping, xr.Dataset)):
        raise InputError("infusion_duration", value, f"one number [h] or {n} of them")
    if isinstance(value, str) or np.ndim(value) == 0:
        value = quantity(value, "h", "infusion_duration", minimum=0)
    elif np.asarray(value).dtype.kind not in "fiu":
        each = np.ravel(np.asarray(value, dtype=object))
        value = [quantity(v, "h", "infusion_duration", minimum=0) for v in each]
    duration = np.asarray(value, dtype=float)
    if duration.ndim and duration.shape != (n,):
        raise InputError(
            "infusion_duration", duration.shape, f"one number [h] or {n} of them, one per subject"
        )
    return np.broadcast_to(duration, (n,))


def _starts(profiles: Profiles, options: NCAOptions) -> list[tuple[float, ...]]:
    """Dose times of each profile: the option's, or those of the samples, or 0."""
    n = len(profiles.subject)
    if options.dose_time is not None:
        return [(float(options.dose_time),)] * n
    if profiles.dose_times is None or options.steady_state:
        return [(0.0,)] * n
    return [t or (0.0,) for t in profiles.dose_times]


def read_dose(dose: Any, profiles: Profiles) -> np.ndarray | None:
    """Doses (n_subjects,) [mg]; None where none is known.

    Raises
    ------
    InputError
        Not positive, or not one per subject.
    """
    n = len(profiles.subject)
    if dose is None:
        return None if profiles.dose is None else np.where(profiles.dose > 0, profiles.dose, np.nan)
    if isinstance(dose, Mapping):
        table = {str(k): v for k, v in dose.items()}
        missing = [str(s) for s in profiles.subject if str(s) not in table]
        if missing:
            raise InputError("dose", sorted(table), "a dose for every subject", subject=missing[0])
        dose = [
            quantity(table[str(s)], "mg", "dose", positive=True, subject=s)
            for s in profiles.subject
        ]
    if isinstance(dose, str) or np.ndim(dose) == 0:
        return np.full(n, quantity(dose, "mg", "dose", positive=True))
    values = numbers("dose", dose, "mg")
    if values.shape != (n,):
        raise InputError("dose", values.shape, f"one number [mg] or {n} of them, one per subject")
    bad = np.flatnonzero(~(values > 0) & ~np.isnan(values))
    if bad.size:
        raise InputError(
            "dose", float(values[bad[0]]), "a number > 0 [mg]", subject=profiles.subject[bad[0]]
        )
    return values
