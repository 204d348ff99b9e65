"""What was given in a simulation: its dose records, one array per column."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import xarray as xr

from .._core.errors import InputError, SchemaError

_OPTIONAL = {"compound": "", "lag_time": 0.0, "reset": 0, "interval": np.nan, "steady_state": 0}


@dataclass(frozen=True, eq=False)
class DoseRecords:
    """Dose records of a simulation; every array is (n_subjects, n_records), read-only,
    in order of time.

    Subjects with fewer records than others have rows at the end that hold nothing:
    ``time`` is NaN there (:attr:`present`). Additional doses are written out, doses per
    kg are in mg.

    Parameters
    ----------
    time
        [h] of the record (the dose enters at ``time + lag_time``).
    amount
        [mg] as given, before bioavailability; 0 for a reset without a dose.
    duration
        [h] of an infusion; 0 for a bolus and an oral dose.
    route
        iv_bolus, iv_infusion, oral, compartment; "" for a reset without a dose.
    compartment
        State that received the dose; "" for the route's own.
    compound
        "" where there is one compound.
    interval
        [h] II of a steady-state record, else NaN.
    steady_state
        0, 1 (started at steady state) or 2 (steady state added).
    bioavailability
        Fraction of the dose that enters, as stated in the record.
    lag_time
        [h] stated in the record; a compound's own absorption lag is not in it.
    reset
        1 where the body was emptied at the time of the record (EVID 3, 4; SS 1), else
        0.
    """

    time: np.ndarray
    amount: np.ndarray
    duration: np.ndarray
    route: np.ndarray
    compartment: np.ndarray
    compound: np.ndarray
    interval: np.ndarray
    steady_state: np.ndarray
    bioavailability: np.ndarray
    lag_time: np.ndarray
    reset: np.ndarray

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return self.time.shape[0]

    @property
    def n_records(self) -> int:
        """Records of the subject that has most."""
        return self.time.shape[1]

    @property
    def present(self) -> np.ndarray:
        """(n_subjects, n_records) True for records, False for padding."""
        return np.isfinite(self.time)

    @property
    def given(self) -> np.ndarray:
        """(n_subjects, n_records) True for records of a dose > 0 mg."""
        return np.isfinite(self.time) & (self.amount > 0)

    @property
    def end(self) -> np.ndarray:
        """(n_subjects, n_records) [h] when the dose has entered: time + lag_time +
        duration; NaN for padding.
        """
        return self.time + self.lag_time + self.duration

    @property
    def compounds(self) -> tuple[str, ...]:
        """Names of the compounds that were given, in order of their first record; ("",)
        where there is one.
        """
        names, first = np.unique(self.compound[self.present], return_index=True)
        return tuple(str(name) for name in names[np.argsort(first)])

    def of(self, compound: str) -> DoseRecords:
        """The records of one compound, in columns of the same width; the others are padding.

        Parameters
        ----------
        compound
            Name; where the simulation has one compound without a name, its records
            answer to any name.
        """
        keep = (self.compound == compound) | (self.compound == "")
        return replace(self, time=np.where(keep, self.time, np.nan))


def dose_records(ds: xr.Dataset) -> DoseRecords:
    """The dose records that a simulation carries.

    Parameters
    ----------
    ds
        Dataset of schema ``simulation``.

    Returns
    -------
    DoseRecords

    Raises
    ------
    SchemaError
        The Dataset has no dose records (it was not made by :func:`pbpk_hybrid.simulate`
        or its kin, or by an older version), or they have other dims than
        ``dose_record`` or ``(subject, dose_record)``.
    InputError
        A record without amount or route.
    """
    if not has_dose_records(ds):
        raise SchemaError(
            "simulation.dose_time",
            sorted(str(v) for v in ds.variables if str(v).startswith("dose")),
            "dose records (dose_time, dose_amount, dose_route, ...) over 'dose_record'",
            hint="give dose and route yourself, or simulate again with this version",
        )
    shape = (ds.sizes["subject"], ds.sizes["dose_record"])
    columns = {f.name: _column(ds, f.name, shape) for f in fields(DoseRecords)}
    records = DoseRecords(**columns)
    _check(ds, records)
    return records


def has_dose_records(ds: xr.Dataset) -> bool:
    """Whether a Dataset carries dose records."""
    needed = ("dose_time", "dose_amount", "dose_duration", "dose_route")
    return all(name in ds.variables for name in needed)


def _column(ds: xr.Dataset, name: str, shape: tuple[int, int]) -> np.ndarray:
    full = f"dose_{name}"
    if full not in ds.variables:
        default = {"compartment": "", "bioavailability": 1.0, **_OPTIONAL}[name]
        return np.broadcast_to(np.asarray(default), shape)
    da = ds.variables[full]
    if da.dims not in (("dose_record",), ("subject", "dose_record")):
        raise SchemaError(
            f"simulation.{full}", da.dims, "dims ('dose_record',) or ('subject', 'dose_record')"
        )
    values = np.asarray(da.values)
    if values.dtype.kind in "OTS":
        values = values.astype(str)
    return np.broadcast_to(values, shape)


def _check(ds: xr.Dataset, r: DoseRecords) -> None:
    bad = r.present & ~(np.isfinite(r.amount) & np.isfinite(r.duration))
    if bad.any():
        s, i = np.argwhere(bad)[0]
        raise InputError(
            f"dose_amount[record {i}]",
            float(r.amount[s, i]),
            "an amount [mg] and a duration [h] for every dose_time",
            subject=ds["subject"].values[s],
        )


__all__ = ["DoseRecords", "dose_records", "has_dose_records"]
