"""From any accepted input to one form: samples per subject, packed to the left, cleaned of values below quantification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.errors import InputError, SchemaError, unknown_name
from .._core.units import quantity
from .options import NCAOptions

#: subjects worked on at a time, so that 100,000 subjects need little more memory than their concentrations
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Profiles:
    """Concentrations as given: a shared or per-subject time axis, and who they belong to."""

    time: np.ndarray  # (n_points,) or (n_subjects, n_points) [h]
    concentration: np.ndarray  # (n_subjects, n_points) [mg/L]
    lloq: np.ndarray | None  # like concentration, or None
    below: np.ndarray | None  # like concentration: bool, reported as below quantification
    subject: np.ndarray
    dose: np.ndarray | None = None  # (n_subjects,) [mg]
    failed: np.ndarray | None = None  # (n_subjects,) bool
    coords: dict[str, Any] = field(default_factory=dict)


def read_profiles(data: Any, compartment: str, lloq: Any, compound: str | None = None) -> Profiles:
    """Profiles of a simulation or observation Dataset, or of a pair ``(time, concentration)``.

    Raises
    ------
    InputError, SchemaError, UnknownNameError : input that cannot be used
    """
    if isinstance(data, xr.Dataset):
        if "concentration" in data.variables:
            return _from_simulation(data, compartment, lloq, compound)
        if "sample" in data.dims:
            return _from_observations(data, compartment, lloq)
        raise SchemaError(
            "data",
            sorted(map(str, data.variables)),
            "a Dataset of schema simulation or observation",
        )
    if isinstance(data, tuple) and len(data) == 2:
        return _from_arrays(*data, lloq)
    raise InputError(
        "data",
        type(data).__name__,
        "a simulation or observation Dataset, or a pair (time, concentration)",
    )


def _from_simulation(ds: xr.Dataset, compartment: str, lloq: Any, compound: str | None) -> Profiles:
    schemas.validate(ds, "simulation")
    for name in ("subject", "time", "compartment"):
        if name not in ds.coords:
            raise SchemaError(
                f"simulation.{name}", list(map(str, ds.coords)), f"a coordinate '{name}'"
            )
    names = [str(c) for c in ds["compartment"].values]
    if compartment not in names:
        raise unknown_name(
            "compartment", compartment, names, what="a compartment of the simulation"
        )
    curve = ds["concentration"].sel(compartment=compartment)
    if "compound" in curve.dims:
        known = [str(c) for c in ds["compound"].values] if "compound" in ds.coords else []
        if compound is None and curve.sizes["compound"] > 1:
            raise InputError("compound", None, "the compound to analyse: " + ", ".join(known))
        curve = (
            curve.isel(compound=0)
            if compound is None
            else curve.isel(compound=_position(compound, known))
        )
    time = np.asarray(ds["time"].values, dtype=float)
    _check_times(time, None)
    values = np.asarray(curve.transpose("subject", "time").values, dtype=float)
    coords = {
        str(k): v
        for k, v in ds.coords.items()
        if v.dims == ("subject",) and k not in ("subject", "dose")
    }
    status = np.asarray(ds["status"].values)
    dose = (
        np.asarray(ds["dose"].values, dtype=float)
        if "dose" in ds.variables and ds["dose"].dims == ("subject",)
        else None
    )
    return Profiles(
        time,
        values,
        _lloq(lloq, values),
        None,
        np.asarray(ds["subject"].values),
        dose,
        status != 0,
        coords,
    )


def _position(compound: str, known: list[str]) -> int:
    if compound not in known:
        raise unknown_name("compound", compound, known, what="a compound of the simulation")
    return known.index(compound)


def _from_observations(ds: xr.Dataset, compartment: str, lloq: Any) -> Profiles:
    """Samples grouped by profile where the Dataset has one, else by study and subject. Serum counts as plasma."""
    schemas.validate(ds, "observation")
    matrix = np.asarray(ds["matrix"].values).astype(str)
    wanted = (
        np.isin(matrix, ["plasma", "serum"]) if compartment == "plasma" else matrix == compartment
    )
    if not wanted.any():
        raise unknown_name(
            "compartment", compartment, sorted(set(matrix)), what="a matrix of the observations"
        )
    keep = np.flatnonzero(wanted)

    def column(name: str) -> np.ndarray:
        return np.asarray(ds[name].values)[keep]

    labels, group = _groups(ds, column)
    time, value = column("time").astype(float), column("value").astype(float)
    order = np.lexsort((time, group))
    group, time, value = group[order], time[order], value[order]
    same = np.flatnonzero((np.diff(group) == 0) & (np.diff(time) == 0))
    if same.size:
        raise InputError(
            "time",
            float(time[same[0]]),
            "one sample per time",
            subject=labels[group[same[0]]],
            hint="average repeated samples, or select one study",
        )
    start = np.searchsorted(group, np.arange(len(labels)))
    place = np.arange(len(group)) - start[group]
    shape = (len(labels), int(place.max()) + 1)

    def packed(values: np.ndarray, fill: Any = np.nan) -> np.ndarray:
        out = np.full(shape, fill)
        out[group, place] = values
        return out

    limits = _lloq(lloq, packed(value))
    if limits is None and "lloq" in ds:
        limits = packed(column("lloq").astype(float)[order])
    below = packed(column("censored")[order] == 1, False) if "censored" in ds else None
    dose = None
    if "dose" in ds and ds["dose"].dims == ("sample",):
        dose = packed(column("dose").astype(float)[order])[:, 0]
    return Profiles(packed(time), packed(value), limits, below, np.array(labels), dose)


def _groups(ds: xr.Dataset, column) -> tuple[list[str], np.ndarray]:
    subject, study = column("subject").astype(str), column("study").astype(str)
    if "profile" in ds:
        keys = column("profile").astype(str)
        one_each = len(set(zip(keys, subject, strict=True))) == len(set(keys)) == len(set(subject))
    else:
        keys = np.char.add(np.char.add(study, ": "), subject)
        one_each = len(set(study)) == 1
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # in the order in which they appear
    names = (subject if one_each else keys)[np.sort(first)]
    return [str(n) for n in names], rank[group]


def _from_arrays(time: Any, concentration: Any, lloq: Any) -> Profiles:
    values = _numbers("concentration", concentration)
    times = _numbers("time", time)
    values = values[None, :] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] == 0:
        raise InputError(
            "concentration", values.shape, "an array (n_points,) or (n_subjects, n_points)"
        )
    if times.shape not in ((values.shape[1],), values.shape):
        raise InputError(
            "time",
            times.shape,
            f"an array {(values.shape[1],)} or {values.shape}, as the concentrations",
        )
    if times.ndim == 1:
        _check_times(times, None)
    else:
        for i in _unordered_rows(times)[:1]:
            _check_times(times[i], int(i))
    return Profiles(times, values, _lloq(lloq, values), None, np.arange(len(values)))


def _numbers(name: str, value: Any, unit: str = "") -> np.ndarray:
    """An array of numbers; with a `unit` text such as "5 mg" is read too, without one it is refused."""
    try:
        given = np.asarray(value)
        if given.dtype.kind in "fiu":
            out = given.astype(float, copy=False)
        else:  # numpy makes numbers of "1_0" and of True
            given = np.asarray(value, dtype=object)
            read = [_one_number(name, v, unit) for v in given.ravel()]
            out = np.array(read, dtype=float).reshape(given.shape)
    except (TypeError, ValueError) as err:
        if isinstance(err, InputError):
            raise
        raise InputError(name, value, "an array of numbers") from err
    bad = np.argwhere(np.isinf(out))
    if bad.size:
        where = tuple(int(i) for i in bad[0])
        raise InputError(
            f"{name}{list(where)}",
            float(out[where]),
            "finite numbers or NaN",
            subject=where[0] if out.ndim == 2 else None,
        )
    return out


def _unordered_rows(times: np.ndarray) -> np.ndarray:
    filled = np.where(np.isnan(times), -np.inf, times)
    highest = np.maximum.accumulate(filled, axis=1)
    return np.flatnonzero(
        np.any((times[:, 1:] <= highest[:, :-1]) & ~np.isnan(times[:, 1:]), axis=1)
    )


def _check_times(times: np.ndarray, subject: int | None) -> None:
    known = times[~np.isnan(times)] if subject is not None else times
    if not np.isfinite(known).all():
        raise InputError("time", times, "finite numbers [h]", subject=subject)
    back = np.flatnonzero(np.diff(known) <= 0)
    if back.size:
        i = int(back[0])
        raise InputError(
            f"time[{i + 1}]",
            float(known[i + 1]),
            f"a time after the one before, {known[i]:g} h",
            subject=subject,
            hint="sort the times and leave out doubles",
        )


def _one_number(name: str, value: Any, unit: str) -> float:
    if value is None:
        return np.nan
    if isinstance(value, float) and not np.isfinite(value):
        return value
    if isinstance(value, str) and not unit:
        raise InputError(name, value, "numbers, not text")
    return quantity(value, unit or "1", name)


def _lloq(lloq: Any, values: np.ndarray) -> np.ndarray | None:
    if lloq is None:
        return None
    if isinstance(lloq, str):
        lloq = quantity(lloq, "mg/L", "lloq", minimum=0)
    limit = _numbers("lloq", lloq, "mg/L")
    if limit.ndim == 1 and limit.shape == values.shape[:1] != values.shape[1:]:
        limit = limit[:, None]
    if limit.ndim and limit.shape not in ((len(values), 1), values.shape):
        raise InputError(
            "lloq", limit.shape, f"one number [mg/L], one per subject, or an array {values.shape}"
        )
    if (limit < 0).any():
        raise InputError("lloq", float(np.nanmin(limit)), "a number >= 0 [mg/L]")
    return np.broadcast_to(limit, values.shape)


def read_dose(dose: Any, profiles: Profiles) -> np.ndarray | None:
    """(n_subjects,) [mg]; None where no dose is known at all.

    Raises
    ------
    InputError : not positive, or not one per subject
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
    values = _numbers("dose", dose, "mg")
    if values.shape != (n,):
        raise InputError("dose", values.shape, f"one number [mg] or {n} of them, one per subject")
    bad = np.flatnonzero(~(values > 0) & ~np.isnan(values))
    if bad.size:
        raise InputError(
            "dose", float(values[bad[0]]), "a number > 0 [mg]", subject=profiles.subject[bad[0]]
        )
    return values


@dataclass(frozen=True, eq=False)
class Block:
    """Some subjects, cleaned: times after the dose; samples packed to the left, NaN behind them."""

    rows: slice
    time: np.ndarray
    concentration: np.ndarray
    last: np.ndarray  # index of the last quantifiable sample, -1: none
    empty: np.ndarray  # bool: no sample at all
    negative: np.ndarray  # bool: a negative value was taken as below quantification


def blocks(profiles: Profiles, options: NCAOptions) -> Iterator[Block]:
    """Cleaned blocks of subjects: window cut out, BLQ rule applied."""
    n = len(profiles.subject)
    for start in range(0, n, BLOCK):
        rows = slice(start, min(n, start + BLOCK))
        yield _clean(profiles, rows, options)


def _clean(p: Profiles, rows: slice, options: NCAOptions) -> Block:
    value = p.concentration[rows]
    time = (
        np.broadcast_to(p.time if p.time.ndim == 1 else p.time[rows], value.shape)
        - options.dose_time
    )
    with np.errstate(invalid="ignore"):
        keep = ~np.isnan(value) & (time >= 0) & (time <= options.last_time)
        negative = np.any(keep & (value < 0), axis=1)
        blq = value <= 0
        if p.lloq is not None:
            blq |= value < p.lloq[rows]
    if p.below is not None:  # a value reported as below quantification may be missing
        below = p.below[rows] & (time >= 0) & (time <= options.last_time)
        blq |= below
        keep |= below
    good = keep & ~blq
    any_good = good.any(axis=1)
    width = value.shape[1]
    first = np.where(any_good, np.argmax(good, axis=1), width)
    final = np.where(any_good, width - 1 - np.argmax(good[:, ::-1], axis=1), width)
    index = np.arange(width)
    early, late = index < first[:, None], index > final[:, None]
    for where, rule in (
        (early, options.blq_first),
        (late, options.blq_last),
        (~early & ~late, options.blq_middle),
    ):
        if rule == "drop":
            keep &= ~(blq & where)
    order = np.argsort(~keep, axis=1, kind="stable")
    count = keep.sum(axis=1)
    packed = index < count[:, None]
    value = np.where(packed, np.take_along_axis(np.where(blq, 0.0, value), order, axis=1), np.nan)
    time = np.where(packed, np.take_along_axis(time, order, axis=1), np.nan)
    positive = value > 0
    last = np.where(positive.any(axis=1), width - 1 - np.argmax(positive[:, ::-1], axis=1), -1)
    return Block(rows, time, value, last, count == 0, negative)
