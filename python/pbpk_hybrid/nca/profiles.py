"""Any accepted input in one form: samples per subject, without values below quantification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.arguments import check_increasing
from .._core.errors import InputError, SchemaError, unknown_name
from .._core.table_files import is_table
from .._core.units import quantity
from .options import NCAOptions

#: subjects worked on at a time: arrays this small are handed out again by the allocator, larger
#: ones cost page faults (2 x time)
BLOCK = 1024
#: of Cmax: what rounding leaves of an exact solution, with room
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Integral:
    """Areas from the solver: the exact integrals of C and of t C up to each time."""

    time: np.ndarray  # (n_points,) [h]
    auc: np.ndarray  # (n_subjects, n_points) [mg/L h]
    aumc: np.ndarray  # (n_subjects, n_points) [mg/L h^2], time counted from 0 h

    def take(self, rows: slice | np.ndarray) -> Integral:
        """Some of the subjects."""
        return Integral(self.time, self.auc[rows], self.aumc[rows])


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
    simulated: bool = False
    # (n_subjects, 1) [mg/L] below which a simulated curve is noise of the solver
    floor: np.ndarray | None = None
    integral: Integral | None = None  # of a simulation whose solver integrated the curve
    route: np.ndarray | None = None  # (n_subjects,) text, "" where the samples do not say
    duration: np.ndarray | None = None  # (n_subjects,) [h]
    dose_times: list[tuple[float, ...]] | None = None  # [h] of each profile, () where not said

    def take(self, rows: slice | np.ndarray) -> Profiles:
        """Some of the subjects; coordinates stay behind."""
        if isinstance(rows, slice) and rows == slice(None):
            return self

        def pick(values):
            return None if values is None else values[rows]

        return replace(
            self,
            time=self.time if self.time.ndim == 1 else self.time[rows],
            concentration=self.concentration[rows],
            lloq=pick(self.lloq),
            below=pick(self.below),
            subject=self.subject[rows],
            failed=pick(self.failed),
            floor=pick(self.floor),
            integral=None if self.integral is None else self.integral.take(rows),
        )


def read_profiles(data: Any, compartment: str, lloq: Any, compound: str | None = None) -> Profiles:
    """Profiles of a simulation or observation Dataset, or of a pair ``(time, concentration)``.

    Raises
    ------
    InputError, SchemaError, UnknownNameError
        Input that cannot be used.
    """
    # whether a Dataset has columns takes xarray longer than the analysis of a hundred curves
    if not isinstance(data, xr.Dataset) and is_table(data):
        from .tables import read_profile_table

        data = read_profile_table(data).observations
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
        "a simulation or observation Dataset, a table or .csv of samples, or a pair (time, "
        "concentration)",
    )


def _from_simulation(ds: xr.Dataset, compartment: str, lloq: Any, compound: str | None) -> Profiles:
    schemas.validate(ds, "simulation")
    for name in ("subject", "time", "compartment"):
        if name not in ds.coords:
            raise SchemaError(
                f"simulation.{name}", list(map(str, ds.coords)), f"a coordinate '{name}'"
            )
    names = [str(c) for c in ds.variables["compartment"].values]
    if compartment not in names:
        raise unknown_name(
            "compartment", compartment, names, what="a compartment of the simulation"
        )
    curve = ds.variables["concentration"].isel(compartment=names.index(compartment))
    if "compound" in curve.dims:
        known = [str(c) for c in ds["compound"].values] if "compound" in ds.coords else []
        if compound is None and curve.sizes["compound"] > 1:
            raise InputError("compound", None, "the compound to analyse: " + ", ".join(known))
        curve = (
            curve.isel(compound=0)
            if compound is None
            else curve.isel(compound=_position(compound, known))
        )
    time = np.asarray(ds.variables["time"].values, dtype=float)
    _check_times(time, None)
    values = np.asarray(curve.transpose("subject", "time").values, dtype=float)
    coords = {
        str(k): ds.variables[k]
        for k in ds.coords
        if ds.variables[k].dims == ("subject",) and k not in ("subject", "dose")
    }
    status = np.asarray(ds.variables["status"].values)
    dose = (
        np.asarray(ds.variables["dose"].values, dtype=float)
        if "dose" in ds.variables and ds.variables["dose"].dims == ("subject",)
        else None
    )
    return Profiles(
        time,
        values,
        _lloq(lloq, values),
        None,
        np.asarray(ds.variables["subject"].values),
        dose,
        status != 0,
        coords,
        simulated=True,
        floor=_noise(ds) * np.fmax.reduce(values, axis=1, initial=0.0)[:, None],
        integral=_integral(ds, compartment, time),
    )


def _noise(ds: xr.Dataset) -> float:
    """Fraction of Cmax below which the solver's absolute tolerance dominates.

    The tolerance is 1e-5 rtol of the dose; of an exact solution rounding is what is left. No
    terminal fit uses such values.
    """
    if ds.attrs.get("method") == "expm":
        return _ROUNDING
    rtol = ds.attrs.get("rtol", 0.0)
    return 5e-3 * float(rtol) if isinstance(rtol, (int, float, np.number)) else 0.0


def _integral(ds: xr.Dataset, compartment: str, time: np.ndarray) -> Integral | None:
    """The solver's areas of one compartment; None where the file has none of it."""
    if "cumulative_auc" not in ds.variables or "cumulative_aumc" not in ds.variables:
        return None
    names = [str(c) for c in ds.variables["auc_compartment"].values]
    if compartment not in names:
        return None
    at = names.index(compartment)
    auc, aumc = (
        np.asarray(
            ds.variables[name].isel(auc_compartment=at).transpose("subject", "time").values,
            dtype=float,
        )
        for name in ("cumulative_auc", "cumulative_aumc")
    )
    return Integral(time, auc, aumc)


def _position(compound: str, known: list[str]) -> int:
    if compound not in known:
        raise unknown_name("compound", compound, known, what="a compound of the simulation")
    return known.index(compound)


@dataclass(frozen=True, eq=False)
class _Samples:
    """Samples of an observation Dataset, sorted by profile and time."""

    ds: xr.Dataset
    rows: np.ndarray  # (n_samples,) of the Dataset
    group: np.ndarray  # (n_samples,) number of the profile
    labels: list[str]  # names of the profiles

    def column(self, name: str) -> np.ndarray:
        """A variable of the samples, (n_samples,)."""
        return np.asarray(self.ds[name].values)[self.rows]

    @cached_property
    def first(self) -> np.ndarray:
        """The first sample of each profile, (n_profiles,)."""
        return np.searchsorted(self.group, np.arange(len(self.labels)))

    def packed(self, values: np.ndarray, fill: Any = np.nan) -> np.ndarray:
        """(n_samples,) -> (n_profiles, n_points), filled at the end of shorter profiles."""
        position = np.arange(len(self.group)) - self.first[self.group]
        out = np.full((len(self.labels), int(position.max()) + 1), fill)
        out[self.group, position] = values
        return out

    def stated(self, name: str) -> np.ndarray | None:
        """A column that holds for the whole profile, (n_profiles,); None if it is missing."""
        if name not in self.ds or self.ds[name].dims != ("sample",):
            return None
        values = self.column(name)
        if values.dtype.kind not in "fiu":
            values = values.astype(str)
            _one_each(name, values, self.group, self.labels)
            return values[self.first]
        values = values.astype(float)
        known = ~np.isnan(values)  # a dose may stand beside one sample of a profile only
        _one_each(name, values[known], self.group[known], self.labels)
        out = np.full(len(self.labels), np.nan)
        out[self.group[known]] = values[known]
        return out


def _samples(ds: xr.Dataset, compartment: str) -> _Samples:
    """The samples of one matrix, sorted.

    Raises
    ------
    UnknownNameError
        No sample of this matrix.
    InputError
        Two samples of a profile at one time.
    """
    matrix = np.asarray(ds["matrix"].values).astype(str)
    serum_too = ["plasma", "serum"]
    wanted = np.isin(matrix, serum_too) if compartment == "plasma" else matrix == compartment
    if not wanted.any():
        raise unknown_name(
            "compartment", compartment, sorted(set(matrix)), what="a matrix of the observations"
        )
    kept = np.flatnonzero(wanted)
    labels, group = _groups(ds, lambda name: np.asarray(ds[name].values)[kept])
    time = np.asarray(ds["time"].values)[kept].astype(float)
    order = np.lexsort((time, group))
    group, time = group[order], time[order]
    same = np.flatnonzero((np.diff(group) == 0) & (np.diff(time) == 0))
    if same.size:
        raise InputError(
            "time",
            float(time[same[0]]),
            "one sample per time",
            subject=labels[group[same[0]]],
            hint="average repeated samples, or select one study",
        )
    return _Samples(ds, kept[order], group, labels)


def _from_observations(ds: xr.Dataset, compartment: str, lloq: Any) -> Profiles:
    """Samples grouped by profile where the Dataset has one, else by study and subject.

    Serum counts as plasma.
    """
    schemas.validate(ds, "observation")
    samples = _samples(ds, compartment)
    values = samples.packed(samples.column("value").astype(float))
    limits, below = _lloq(lloq, values), None
    if limits is None and "lloq" in ds:
        limits = samples.packed(samples.column("lloq").astype(float))
    if "censored" in ds:
        below = samples.packed(samples.column("censored") == 1, False)
    times = samples.stated("dose_times")
    return Profiles(
        samples.packed(samples.column("time").astype(float)),
        values,
        limits,
        below,
        np.array(samples.labels),
        samples.stated("dose"),
        route=samples.stated("route"),
        duration=samples.stated("infusion_duration"),
        dose_times=None if times is None else [_dose_times(t) for t in times],
    )


def _one_each(name: str, values: np.ndarray, group: np.ndarray, labels: list[str]) -> None:
    at = np.flatnonzero((values[1:] != values[:-1]) & (group[1:] == group[:-1]))
    if at.size:
        i = int(at[0])
        raise InputError(
            name,
            f"{values[i]} and {values[i + 1]}",
            f"one {name} for all samples of a profile",
            subject=labels[group[i]],
            hint="a profile of its own (column `profile`) for each treatment or period",
        )


def _dose_times(text: str) -> tuple[float, ...]:
    """Times of all doses [h] from "0;24;48"; () for none."""
    try:
        return tuple(float(t) for t in text.split(";") if t.strip())
    except ValueError:
        raise InputError(
            "dose_times", text, "times [h] separated by ';', such as '0;24;48'"
        ) from None


def _groups(ds: xr.Dataset, column) -> tuple[list[str], np.ndarray]:
    subject, study = column("subject").astype(str), column("study").astype(str)
    if "profile" in ds:
        keys = column("profile").astype(str)
        one_each = len(set(zip(keys, subject, strict=True))) == len(set(keys)) == len(set(subject))
    else:
        keys = np.char.add(np.char.add(study, ": "), subject)
        one_each = len(set(study)) == 1
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # np.unique sorts; profiles keep the order of the file
    names = (subject if one_each else keys)[np.sort(first)]
    return [str(n) for n in names], rank[group]


def _from_arrays(time: Any, concentration: Any, lloq: Any) -> Profiles:
    values = numbers("concentration", concentration)
    times = numbers("time", time)
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


def numbers(name: str, value: Any, unit: str = "") -> np.ndarray:
    """An array of numbers. Text such as "5 mg" is read with a `unit` and refused without."""
    try:
        array = np.asarray(value)
        if array.dtype.kind in "fiu":
            out = array.astype(float, copy=False)
        else:  # numpy makes numbers of "1_0" and of True
            array = np.asarray(value, dtype=object)
            read = [_one_number(name, v, unit) for v in array.ravel()]
            out = np.array(read, dtype=float).reshape(array.shape)
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
    """Refuse times [h] that are infinite or do not increase; of a subject, NaN is no sample."""
    known = times[~np.isnan(times)] if subject is not None else times
    if not np.isfinite(known).all():
        raise InputError("time", times, "finite numbers [h]", subject=subject)
    check_increasing("time", known, subject)


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
    limit = numbers("lloq", lloq, "mg/L")
    if limit.ndim == 1 and limit.shape == values.shape[:1] != values.shape[1:]:
        limit = limit[:, None]
    if limit.ndim and limit.shape not in ((len(values), 1), values.shape):
        raise InputError(
            "lloq", limit.shape, f"one number [mg/L], one per subject, or an array {values.shape}"
        )
    if (limit < 0).any():
        raise InputError("lloq", float(np.nanmin(limit)), "a number >= 0 [mg/L]")
    return np.broadcast_to(limit, values.shape)


@dataclass(frozen=True, eq=False)
class Block:
    """Some subjects, cleaned: times after the dose; samples packed to the left, NaN behind them."""

    rows: slice
    time: np.ndarray
    concentration: np.ndarray
    last: np.ndarray  # index of the last quantifiable sample, -1: none
    column: np.ndarray  # the same as an index into the samples as given
    empty: np.ndarray  # bool: no sample at all
    negative: np.ndarray  # bool: a negative value was taken as below quantification


def blocks(n: int) -> Iterator[slice]:
    """Slices of at most BLOCK subjects."""
    for start in range(0, n, BLOCK):
        yield slice(start, min(n, start + BLOCK))


def clean(
    p: Profiles,
    rows: slice,
    start: float,
    length: float,
    options: NCAOptions,
    *,
    first: bool = True,
    last: bool = True,
) -> Block:
    """The samples of a block from `start` [h] for `length` [h], BLQ rules applied.

    Parameters
    ----------
    p : Profiles
    rows : slice
    start, length : float, h
    options : NCAOptions
    first, last : bool
        Whether samples exactly at the start and at the end are included.
    """
    value, time, lloq, below, offset = _window(p, rows, start, length)
    with np.errstate(invalid="ignore"):
        keep = ~np.isnan(value)
        inside = (time >= 0 if first else time > 0) & (time <= length if last else time < length)
        keep &= inside
        floor = 0.0 if p.floor is None else p.floor[rows]
        negative = np.any(keep & (value < -floor), axis=1)
        blq = value <= floor
        if lloq is not None:
            blq |= value < lloq
    if below is not None:  # a value reported as below quantification may be missing
        below = below & inside
        blq |= below
        keep |= below
    good = keep & ~blq
    any_good = good.any(axis=1)
    # first and last quantifiable sample: the BLQ rules differ before, between and after them
    width = value.shape[1]
    head = np.where(any_good, np.argmax(good, axis=1) if width else 0, width)
    final = np.where(any_good, width - 1 - np.argmax(good[:, ::-1], axis=1) if width else 0, width)
    index = np.arange(width)
    early, late = lambda: index < head[:, None], lambda: index > final[:, None]
    for where, rule in (
        (early, options.blq_first),
        (late, options.blq_last),
        (lambda: ~early() & ~late(), options.blq_middle),
    ):
        if rule == "drop":
            keep &= ~(blq & where())
    value = np.where(blq, 0.0, value)
    if (
        width and keep.all() and not np.any(good & ~(value > 0))
    ):  # a simulation: nothing to close up
        end = np.where(any_good, final, -1)
        nothing = np.zeros(len(value), dtype=bool)
        return Block(rows, time, value, end, np.clip(end, 0, None) + offset, nothing, negative)
    count = keep.sum(axis=1)
    packed = index < count[:, None]
    if np.array_equal(keep, packed):  # nothing to close up: the usual case of a simulation
        order = None
        value, time = np.where(packed, value, np.nan), np.where(packed, time, np.nan)
    else:
        # kept samples to the left, in their order: a stable sort of False before True
        order = np.argsort(~keep, axis=1, kind="stable")
        value = np.where(packed, np.take_along_axis(value, order, axis=1), np.nan)
        time = np.where(packed, np.take_along_axis(time, order, axis=1), np.nan)
    positive = value > 0
    end = np.where(
        positive.any(axis=1), width - 1 - np.argmax(positive[:, ::-1], axis=1) if width else 0, -1
    )
    # the last quantifiable sample counted among the samples as given
    column = np.clip(end, 0, None)
    if order is not None:
        column = order[np.arange(len(order)), column]
    return Block(rows, time, value, end, column + offset, count == 0, negative)


def _window(p: Profiles, rows: slice, start: float, length: float):
    """The columns of a window: value, time after the start, lloq, below, first column."""
    cut = slice(None)
    if p.time.ndim == 1:
        cut = slice(
            int(np.searchsorted(p.time, start)),
            int(np.searchsorted(p.time, start + length * (1 + 1e-9), side="right")),
        )
        time = p.time[cut] - start
    else:
        time = p.time[rows] - start
    value = p.concentration[rows, cut]
    if not value.shape[1]:  # no saved time lies in the window
        nothing = np.full((len(value), 1), np.nan)
        return nothing, nothing, None, None, 0
    lloq = None if p.lloq is None else p.lloq[rows, cut]
    below = None if p.below is None else p.below[rows, cut]
    # rows in memory: running sums over a transposed layout cost twice the time
    times = np.ascontiguousarray(np.broadcast_to(time, value.shape))
    return value, times, lloq, below, cut.start or 0
