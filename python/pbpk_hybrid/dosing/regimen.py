"""Who gets how much, where and when.

A :class:`Regimen` is a frozen event table with NONMEM semantics (columns in
:mod:`.table`), built from single doses by repeating, shifting and combining. What the
numbers mean when they are given, and in which order, is written in :mod:`.events`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.arguments import check_kind
from .._core.errors import InputError
from .._core.html_table import html_table
from .._core.units import quantity
from .dataset import from_dataset, to_dataset
from .dose_record import dose_record, subject_id
from .language import Part, Phase, parse
from .table import COLUMNS, EVERYONE, check_count, concatenate, is_dose, make_columns

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Regimen:
    """A frozen table of dose records.

    Build it with the class methods :meth:`bolus`, :meth:`infusion`, :meth:`oral`,
    :meth:`dose`, :meth:`reset`, :meth:`other`, :meth:`per_subject` or :meth:`parse`;
    combine with ``+`` (at the same time) and :meth:`then` (one after the other). Every
    method returns a new regimen.

    Parameters
    ----------
    columns
        One read-only array per column of :data:`.table.COLUMNS`, sorted by subject and
        time.
    span
        [h] from time 0 to where a regimen that follows by :meth:`then` starts: the end
        of the last dosing interval, or of the infusion of a single dose.

    Raises
    ------
    InputError, UnitError
        A value that cannot be used; names the column, the value, the row and the
        subject.

    Examples
    --------
    >>> from pbpk_hybrid import Regimen
    >>> Regimen.oral("50 mg").repeat("12 h", 3).columns["time"].tolist()
    [0.0, 12.0, 24.0]
    """

    columns: Mapping[str, np.ndarray] = field(repr=False)
    span: float = 0.0

    def __post_init__(self) -> None:
        check_kind("columns", self.columns, Mapping, "a mapping: column -> values")
        object.__setattr__(self, "columns", make_columns(self.columns))
        object.__setattr__(self, "span", quantity(self.span, "h", "span"))

    # ---- making ---------------------------------------------------------------------------------

    @classmethod
    def empty(cls) -> Regimen:
        """No dose at all."""
        return cls({name: np.empty(0) for name in COLUMNS})

    @classmethod
    def bolus(
        cls, amount: Any, time: Any = 0.0, *, compartment: str = "", **options: Any
    ) -> Regimen:
        """An intravenous dose that enters at once.

        Parameters
        ----------
        amount
            [mg], or [mg/kg] as a string such as ``"5 mg/kg"``.
        time
            [h].
        compartment
            State that receives it; "" for the model's own intravenous compartment.
        options
            See :meth:`dose`.
        """
        return _single(amount, time, route="iv_bolus", compartment=compartment, **options)

    @classmethod
    def infusion(
        cls,
        amount: Any,
        duration: Any = None,
        time: Any = 0.0,
        *,
        rate: Any = None,
        compartment: str = "",
        **options: Any,
    ) -> Regimen:
        """An intravenous infusion, by its duration or by its rate.

        The two differ when the bioavailability is not 1: see :mod:`.events`.

        Parameters
        ----------
        amount
            [mg] or ``"mg/kg"``.
        duration
            [h].
        time
            [h].
        rate
            [mg/h], or ``"mg/h/kg"`` with an amount per kg.
        options
            See :meth:`dose`.
        """
        if duration is None and rate is None:
            raise InputError(
                "duration",
                None,
                "a duration [h] or a rate [mg/h]",
                hint="use bolus for a dose at once",
            )
        return _single(
            amount,
            time,
            route="iv_infusion",
            compartment=compartment,
            duration=duration,
            rate=rate,
            **options,
        )

    @classmethod
    def oral(
        cls, amount: Any, time: Any = 0.0, *, compartment: str = "", **options: Any
    ) -> Regimen:
        """An oral dose: it enters the model's absorption compartment (parameters as in
        :meth:`bolus`).
        """
        return _single(amount, time, route="oral", compartment=compartment, **options)

    @classmethod
    def dose(cls, amount: Any, time: Any = 0.0, *, compartment: str, **options: Any) -> Regimen:
        """A dose into a named compartment.

        Parameters
        ----------
        amount
            [mg] or ``"mg/kg"``.
        time
            [h].
        compartment
            Name of the state.
        duration, rate
            [h] or [mg/h] of an infusion; neither for a bolus.
        interval
            II [h].
        additional_doses
            ADDL.
        steady_state
            True or 1: start at the steady state of this dose every `interval`; 2: add
            that steady state to what is there (meaningful for linear kinetics).
        lag
            [h] before the dose enters.
        bioavailability
            Fraction that enters.
        reset
            Empty all compartments and stop all infusions first (EVID 4).
        subject
            Subject id; -1 for every subject.
        """
        return _single(amount, time, route="compartment", compartment=compartment, **options)

    @classmethod
    def constant_infusion_steady_state(
        cls, rate: Any, time: Any = 0.0, *, compartment: str = "", **options: Any
    ) -> Regimen:
        """Start at the steady state of a constant infusion, which ends at `time` (AMT
        0, RATE, SS 1, II 0).
        """
        return _single(
            0.0,
            time,
            route="iv_infusion",
            compartment=compartment,
            rate=rate,
            steady_state=1,
            **options,
        )

    @classmethod
    def reset(cls, time: Any, *, subject: int = EVERYONE) -> Regimen:
        """Empty all compartments and stop all infusions at `time` [h] (EVID 3)."""
        return cls(
            {
                "time": quantity(time, "h", "time"),
                "evid": 3,
                "subject": subject_id(subject),
            }
        )

    @classmethod
    def other(cls, time: Any, *, subject: int = EVERYONE) -> Regimen:
        """A stop of the solver at `time` [h] without effect (EVID 2)."""
        return cls(
            {
                "time": quantity(time, "h", "time"),
                "evid": 2,
                "subject": subject_id(subject),
            }
        )

    @classmethod
    def per_subject(
        cls, regimens: Iterable[Regimen], subjects: Sequence[int] | None = None
    ) -> Regimen:
        """One regimen for each subject.

        Parameters
        ----------
        regimens
            n regimens, each for every subject (subject -1).
        subjects
            n subject ids; None: 0, 1, ..., n - 1.
        """
        regimens = _regimens(regimens)
        if subjects is not None:
            subjects = _ids(subjects)
        ids = list(range(len(regimens))) if subjects is None else list(subjects)
        if len(ids) != len(regimens):
            raise InputError("subjects", len(ids), f"one id for each of {len(regimens)} regimens")
        if len(set(ids)) != len(ids):
            raise InputError("subjects", ids, "ids that differ from each other")
        parts = []
        for subject, regimen in zip(ids, regimens, strict=True):
            if np.any(regimen.columns["subject"] != EVERYONE):
                raise InputError(
                    "regimens",
                    regimen.columns["subject"].tolist(),
                    "regimens without subjects of their own",
                    subject=subject,
                )
            parts.append(regimen._with(subject=np.full(len(regimen), subject)))
        return combine(parts)

    @classmethod
    def loading(
        cls, loading: Regimen, maintenance: Regimen, interval: Any, n: int, *, delay: Any = None
    ) -> Regimen:
        """A loading dose, then `n` maintenance doses.

        Parameters
        ----------
        loading, maintenance
            Regimens that start at time 0.
        interval
            [h] between maintenance doses.
        n
            Number of maintenance doses.
        delay
            [h] from the loading dose to the first maintenance dose; None: `interval`.
        """
        check_kind("loading", loading, Regimen, "a Regimen")
        check_kind("maintenance", maintenance, Regimen, "a Regimen")
        tau = quantity(interval, "h", "interval", positive=True)
        wait = tau if delay is None else quantity(delay, "h", "delay", minimum=0)
        return loading + maintenance.repeat(tau, n).shift(wait)

    @classmethod
    def parse(cls, text: str) -> Regimen:
        """A regimen from words such as ``"100 mg over 2 h q24h x7 then 50 mg oral q12h
        x20"``; see :mod:`.language`.
        """
        phases = parse(text)
        whole = _from_phase(phases[0])
        for phase in phases[1:]:
            if phase.after is None and whole._open_end():
                raise phase.missing_after()
            whole = whole.then(_from_phase(phase), after=phase.after)
        return whole

    # ---- changing -------------------------------------------------------------------------------

    def repeat(self, interval: Any, n: int) -> Regimen:
        """The regimen `n` times, every `interval`: the first time included.

        Like ADDL, only the first copy keeps a steady-state flag or the reset of EVID 4;
        unlike ADDL, each copy is a record of its own, so a later reset does not cancel
        those recorded after it.

        Parameters
        ----------
        interval
            [h].
        n
            Number of times, at least 1.
        """
        tau = quantity(interval, "h", "interval", positive=True)
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError("n", n, "a whole number >= 1")
        check_count("n", n)
        table = self.columns
        first = np.tile(np.arange(n), (len(self), 1)).ravel() == 0
        repeated = {name: np.repeat(column, n) for name, column in table.items()}
        repeated["time"] = (table["time"][:, None] + tau * np.arange(n)).ravel()
        repeated["steady_state"] = np.where(first, repeated["steady_state"], 0)
        repeated["evid"] = np.where(~first & (repeated["evid"] == 4), 1, repeated["evid"])
        # an interval that served the steady state only would now be a contradiction
        idle = (repeated["steady_state"] == 0) & (repeated["additional_doses"] == 0)
        repeated["interdose_interval"] = np.where(idle, 0.0, repeated["interdose_interval"])
        if np.any((table["steady_state"] == 1) & (table["interdose_interval"] == 0)) and n > 1:
            raise InputError(
                "n", n, "1 for the steady state of a constant infusion, which is no dose to repeat"
            )
        return Regimen(repeated, span=tau * n)

    def shift(self, by: Any) -> Regimen:
        """Everything later by `by` [h] (or earlier, if negative)."""
        dt = quantity(by, "h", "by")
        return Regimen({**self.columns, "time": self.columns["time"] + dt}, span=self.span + dt)

    def at(self, time: Any) -> Regimen:
        """Shifted so that the first record is at `time` [h]."""
        start = quantity(time, "h", "time")
        first = float(self.columns["time"].min()) if len(self) else 0.0
        shifted = self.shift(start - first)
        if len(self) == 0 or first == 0.0:
            return shifted
        # start + (t - first) and t + (start - first) may differ in the last digit: `time` is
        # what was asked for
        exact = np.where(self.columns["time"] == first, start, shifted.columns["time"])
        return shifted._with(time=exact)

    def __add__(self, other: Regimen) -> Regimen:
        if not isinstance(other, Regimen):
            return NotImplemented
        return combine([self, other])

    def then(self, other: Regimen, *, after: Any = None) -> Regimen:
        """`other` when this regimen is over.

        Parameters
        ----------
        other
            Regimen that counts its times from its own start.
        after
            [h] from this regimen's end (:attr:`span`: one interval after the last dose
            of a repeated dose, the end of a single infusion) to the start of `other`;
            it must be given where this regimen ends with a single dose at once.

        Raises
        ------
        InputError
            If it is not clear when this regimen ends.
        """
        check_kind("other", other, Regimen, "a Regimen")
        if after is None and self._open_end():
            raise InputError(
                "after",
                None,
                "the time [h] from this single dose to what follows",
                hint="a single dose at once has no interval that could end",
            )
        wait = 0.0 if after is None else quantity(after, "h", "after", minimum=0)
        return self + other.shift(self.span + wait)

    def with_lag(self, lag: Any) -> Regimen:
        """All doses with this lag.

        Parameters
        ----------
        lag
            [h], or (n_subjects,) [h] for subjects 0, 1, ...: the regimen is then
            written out per subject.
        """
        return self._with_value("lag_time", lag, "h")

    def with_bioavailability(self, fraction: Any) -> Regimen:
        """All doses with this bioavailability.

        Parameters
        ----------
        fraction
            Number >= 0, or (n_subjects,) for subjects 0, 1, ...: the regimen is then
            written out per subject.
        """
        return self._with_value("bioavailability", fraction, "1")

    def for_subjects(self, subjects: Sequence[int] | np.ndarray) -> Regimen:
        """Records for every subject (-1) written out, one for each of `subjects` (n,)."""
        ids = _ids(subjects)
        shared = self.columns["subject"] == EVERYONE
        if not shared.any():
            return self
        copies = {name: np.tile(column[shared], ids.size) for name, column in self.columns.items()}
        copies["subject"] = np.repeat(ids, int(shared.sum()))
        if shared.all():
            return Regimen(copies, span=self.span)
        individual = {name: column[~shared] for name, column in self.columns.items()}
        return Regimen(concatenate([copies, individual]), span=self.span)

    # ---- asking ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self.columns["time"].size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Regimen):
            return NotImplemented
        return self.span == other.span and all(
            np.array_equal(self.columns[k], other.columns[k]) for k in COLUMNS
        )

    __hash__ = None  # arrays inside

    def __repr__(self) -> str:
        table = self.columns
        if len(self) == 0:
            return "Regimen(no records)"
        ids = np.unique(table["subject"])
        subjects = (
            "every subject"
            if ids.size == 1 and ids[0] == EVERYONE
            else f"{np.count_nonzero(ids >= 0)} subjects"
        )
        first, last = table["time"].min(), table["time"].max()
        return f"Regimen({len(self)} records for {subjects}, time {first:g} to {last:g} h)"

    def _repr_html_(self) -> str:
        table = self.to_dataframe()
        units = table.attrs["units"]
        header = [f"{name} [{units[name]}]" if units[name] else name for name in table.columns]
        return html_table(repr(self), header, table.itertuples(index=False))

    def to_dataframe(self) -> pd.DataFrame:
        """The records as a table, without the columns that say nothing here.

        Returns
        -------
        DataFrame
            One row per record, in the order of the regimen; columns as in :mod:`.table`. A column
            that holds its default in every row is left out, except ``subject``, ``time``, ``route``
            and ``amount``. ``attrs["units"]`` maps column to unit.
        """
        import pandas as pd

        always = ("subject", "time", "route", "amount")
        shown = [
            name
            for name, (_kind, default, *_rest) in COLUMNS.items()
            if name in always or np.any(self.columns[name] != default)
        ]
        table = pd.DataFrame({name: self.columns[name] for name in shown})
        units = {name: COLUMNS[name][2] for name in shown}
        table.attrs["units"] = {name: "" if unit == "1" else unit for name, unit in units.items()}
        return table

    @property
    def shared(self) -> bool:
        """True if every record is for every subject."""
        return bool(np.all(self.columns["subject"] == EVERYONE))

    @property
    def needs_body_weight(self) -> bool:
        """True if a dose is per kg of body weight."""
        return bool(
            np.any(self.columns["amount_per_kg"] > 0) or np.any(self.columns["rate_per_kg"] > 0)
        )

    def to_dataset(self) -> xr.Dataset:
        """The regimen as a Dataset of schema ``regimen``; see :mod:`.dataset`."""
        return to_dataset(self.columns, self.span)

    @classmethod
    def from_dataset(cls, ds: xr.Dataset) -> Regimen:
        """The regimen of a Dataset of schema ``regimen``; see :mod:`.dataset`."""
        columns, span = from_dataset(ds)
        return cls(columns, span=span)

    # ---- private --------------------------------------------------------------------------------

    def _with(self, **columns: Any) -> Regimen:
        return Regimen({**self.columns, **columns}, span=self.span)

    def _with_value(self, name: str, value: Any, unit: str) -> Regimen:
        if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1:
            values = np.array(
                [quantity(v, unit, name, minimum=0, subject=i) for i, v in enumerate(value)]
            )
            written = self.for_subjects(np.arange(values.size))
            ids = written.columns["subject"]
            if np.any(ids >= values.size):
                raise InputError(
                    name, values.size, f"a value for each subject up to {int(ids.max())}"
                )
            column = values[ids]
        else:
            written = self
            column = np.full(len(self), quantity(value, unit, name, minimum=0))
        return written._with(**{name: np.where(is_dose(written.columns), column, COLUMNS[name][1])})

    def _open_end(self) -> bool:
        """True if the last record is a dose at once and nothing says when its interval ends."""
        return len(self) == 0 or bool(self.span <= self.columns["time"].max())


def _ids(subjects: Any) -> np.ndarray:
    """Subject ids (n,)."""
    expected = "whole numbers, one id per subject"
    if isinstance(subjects, (str, bytes, Mapping)) or not np.iterable(subjects):
        raise InputError("subjects", subjects, expected)
    try:
        ids = np.asarray(subjects if hasattr(subjects, "__array__") else list(subjects))
    except ValueError as err:  # lists of different lengths
        raise InputError("subjects", subjects, expected) from err
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise InputError("subjects", subjects, expected)
    return ids.astype(np.int64)


def _regimens(value: Any) -> list[Regimen]:
    regimens = list(value) if np.iterable(value) and not isinstance(value, Mapping) else [None]
    for regimen in regimens:
        check_kind("regimens", regimen, Regimen, "an iterable of Regimens")
    return regimens


def combine(regimens: Sequence[Regimen]) -> Regimen:
    """All records of all `regimens` in one; it ends when the last of them ends."""
    regimens = list(regimens)
    if not regimens:
        return Regimen.empty()
    return Regimen(concatenate([r.columns for r in regimens]), span=max(r.span for r in regimens))


def _single(amount: Any, time: Any, **options: Any) -> Regimen:
    """One dose record; parameters as in :func:`.dose_record.dose_record`."""
    row, span = dose_record(amount, time, **options)
    return Regimen(row, span=span)


def _from_phase(phase: Phase) -> Regimen:
    """The parts of a phase of the regimen language, all at the same time."""
    return combine([_from_part(part) for part in phase.parts])


def _from_part(part: Part) -> Regimen:
    dose = Regimen(part.columns, span=part.span)
    if part.interval is None:
        return dose
    repeated = dose.repeat(part.interval, part.count)
    # it ends one interval after the last dose, wherever the infusion ends
    return Regimen(repeated.columns, span=part.start + part.interval * part.count)
