"""Occasions of a hierarchical fit: which samples belong to which visit of which subject.

Every occasion of a subject is a row of its own in the model: the same person, all doses, and the
parameters of that occasion. Where the doses empty the body between occasions (EVID 3 or 4, or
``occasions="reset"`` of the reader), or a washout does, this is exact. Where drug of an earlier
occasion is left, that rest is calculated with the parameters of the present occasion; by how
much it counts is said.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .._core.errors import InputError, OutOfRangeWarning, SchemaError
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..dosing.table import EVERYONE
from ..models.system.system import System
from .patient import doses_before
from .predictor import Predictor
from .steady import has_steady_state

#: share of a prediction that may come from earlier occasions before it is said
_CARRIED = 0.05


@dataclass(frozen=True, eq=False)
class Occasions:
    """Rows of a hierarchical fit.

    Parameters
    ----------
    subject : ndarray, (n_rows,)
        Position of each row's subject in the model.
    number : ndarray, (n_rows,)
        Of its occasion among those of the subject, in order of time.
    labels : ndarray, (n_rows,) of str
        Of the occasions.
    row_of_sample : ndarray, (n_samples,)
    subjects : ndarray, (n_subjects,)
        Labels of the subjects.
    ends : ndarray, (n_rows,), h
        Time of the last sample of each row.
    """

    subject: np.ndarray
    number: np.ndarray
    labels: np.ndarray
    row_of_sample: np.ndarray
    subjects: np.ndarray
    ends: np.ndarray

    @classmethod
    def single(cls, subjects: np.ndarray) -> Occasions:
        """One occasion for every subject: nothing is told apart."""
        n = len(subjects)
        each, none = np.arange(n), np.zeros(n, dtype=int)
        return cls(each, none, np.full(n, ""), np.empty(0, dtype=int), subjects, np.zeros(0))

    @classmethod
    def of(cls, model: System, observation: xr.Dataset) -> Occasions:
        """From the variable ``occasion`` (sample) of the observations.

        Raises
        ------
        SchemaError
            Observations without that variable.
        InputError
            No subject with samples of two occasions.
        """
        if not isinstance(observation, xr.Dataset) or "occasion" not in observation:
            raise SchemaError(
                "observation.occasion",
                sorted(map(str, getattr(observation, "variables", ()))),
                "a variable 'occasion' over sample",
                hint="read_nonmem makes it of a column OCC or PERIOD",
            )
        position = {str(s): i for i, s in enumerate(model.subjects)}
        who = observation["subject"].values.astype(str)
        what = observation["occasion"].values.astype(str)
        time = observation["time"].values.astype(float)
        rows: dict[tuple[int, str], list[int]] = {}
        for i in np.argsort(time, kind="stable"):  # strangers are refused with the observations
            if who[i] in position:
                rows.setdefault((position[who[i]], what[i]), []).append(int(i))
        keys = sorted(rows, key=lambda k: (k[0], time[rows[k][0]]))
        subject = np.array([k[0] for k in keys], dtype=int)
        first = np.searchsorted(subject, subject)
        number = np.arange(len(keys)) - first
        if not (number > 0).any():
            raise InputError(
                "occasion", sorted(set(what.tolist())), "two occasions of one subject at least"
            )
        row_of_sample = np.zeros(len(who), dtype=int)
        for row, key in enumerate(keys):
            row_of_sample[rows[key]] = row
        ends = np.array([time[rows[key]].max() for key in keys])
        labels = np.array([k[1] for k in keys])
        return cls(subject, number, labels, row_of_sample, np.asarray(model.subjects), ends)

    @property
    def most(self) -> int:
        """Occasions of the subject who has most."""
        return int(self.number.max()) + 1

    def observations(self, observation: xr.Dataset) -> xr.Dataset:
        """The observations with rows as subjects."""
        names = self.row_of_sample.astype(str).astype(object)
        return observation.assign(subject=("sample", names, observation["subject"].attrs))

    def model(self, model: System) -> System:
        """The model with one subject for each row, numbered."""
        from dataclasses import replace

        return replace(model.take(self.subject.tolist()), subjects=np.arange(len(self.subject)))

    def regimen(self, model: System, regimen: Regimen | xr.Dataset | str) -> Regimen:
        """The doses of every subject for each of its rows."""
        given = as_regimen(regimen)
        who = given.columns["subject"]
        labels = np.asarray(model.subjects)
        ids = labels if labels.dtype.kind in "iu" else np.arange(len(labels))
        common = np.flatnonzero(who == EVERYONE)
        picks, rows = [common], [np.full(len(common), EVERYONE)]
        for row, subject in enumerate(self.subject):
            own = np.flatnonzero(who == ids[subject])
            picks.append(own), rows.append(np.full(len(own), row))
        pick = np.concatenate(picks)
        columns = {name: column[pick] for name, column in given.columns.items()}
        return Regimen({**columns, "subject": np.concatenate(rows)}, span=given.span)

    def carried(self, predictor: Predictor, values: dict[str, np.ndarray]) -> float:
        """Largest share of a prediction that is left of earlier occasions; NaN where doses at
        steady state do not let it be told.

        Parameters
        ----------
        predictor : Predictor
            Of the rows.
        values : mapping
            Target -> (n_rows,).
        """
        later = np.flatnonzero(self.number > 0)
        if has_steady_state(predictor.regimen):
            return np.nan
        whole, _ = predictor(values, slopes=False)
        parts = [_up_to(predictor.regimen, row, self.ends[row - 1]) for row in later]
        earlier = Predictor(
            predictor.system,
            predictor.data,
            _joined(parts, later),
            (),
            body_weight=predictor.body_weight,
            lag_time=predictor.lag_time,
            options=predictor.options,
        )
        left, _ = earlier(values, slopes=False)
        of_later = np.isin(predictor.data.subject, later)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(of_later & (whole > 0), left / whole, 0.0)
        return float(np.nanmax(share))


def _up_to(regimen: Regimen, row: int, time: float) -> Regimen:
    """The doses of a row before a time, and the resets from it on."""
    c = regimen.columns
    mine = np.isin(c["subject"], (row, EVERYONE))
    own = Regimen({n: v[mine] for n, v in c.items()}, span=regimen.span)
    before = doses_before(own, time)
    wiped = (own.columns["evid"] >= 3) & (own.columns["time"] >= time)
    columns = {n: np.concatenate([before.columns[n], v[wiped]]) for n, v in own.columns.items()}
    late = np.arange(len(columns["time"])) >= len(before)
    columns["evid"] = np.where(late, 3, columns["evid"])
    for name in ("amount", "rate", "duration", "interdose_interval"):
        columns[name] = np.where(late, 0.0, columns[name])
    columns["additional_doses"] = np.where(late, 0, columns["additional_doses"])
    columns["subject"] = np.full(len(late), row)
    return Regimen(columns, span=regimen.span)


def _joined(parts: list[Regimen], rows: np.ndarray) -> Regimen:
    names = parts[0].columns
    columns = {n: np.concatenate([p.columns[n] for p in parts]) for n in names}
    return Regimen(columns, span=parts[0].span)


def warn_if_carried(share: float) -> None:
    """
    Warns
    -----
    OutOfRangeWarning
        More than 5 % of a prediction is left of an earlier occasion.
    """
    if share > _CARRIED:
        warnings.warn(
            f"up to {100 * share:.0f} % of a prediction is left of an earlier occasion, whose "
            "rest is calculated with the parameters of the present one; choose occasions that a "
            "washout parts",
            OutOfRangeWarning,
            stacklevel=4,
        )


__all__ = ["Occasions", "warn_if_carried"]
