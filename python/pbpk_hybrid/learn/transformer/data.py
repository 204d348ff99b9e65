"""From the user's Datasets to patients: every check of what comes in happens here.

A regimen is written out as single doses: additional doses become doses, a steady state the
doses that led to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from ..._core.errors import InputError, unknown_name
from ..._core.schemas import validate
from ..._core.units import quantity
from ...dosing.conversion import as_regimen
from ...physiology import SPECIES, reference_individual
from .batch import COVARIATES, DESCRIPTORS, MATRICES, SITES, Batch

#: most doses, observations and other patients that one patient's context may hold
MOST_DOSES, MOST_OBSERVATIONS, MOST_OTHERS = 512, 64, 64
_BEFORE = 1e-4  # h before a dose at which a sample recorded before it counts
_STEADY_DOSES = 60  # earlier doses by which a steady state is written out
_KNOWN = ("species", "body_weight", "age", "sex", "height", "hematocrit", "gfr")


@dataclass
class Doses:
    """(n,) each: time [h], amount [mg] that enters, duration [h], by mouth."""

    time: np.ndarray
    amount: np.ndarray
    duration: np.ndarray
    oral: np.ndarray

    @property
    def first(self) -> float:
        """Time of the first dose [h]."""
        return float(self.time.min())


@dataclass
class Patient:
    """One patient, checked. `reference`, the mechanistic model's concentrations at the
    samples [mg/L], is filled in where a compound is given.
    """

    label: str
    doses: Doses
    covariates: np.ndarray
    body_weight: float
    species: str
    time: np.ndarray = field(default_factory=lambda: np.zeros(0))
    value: np.ndarray = field(default_factory=lambda: np.zeros(0))
    censored: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    site: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    reference: np.ndarray | None = None
    descriptors: np.ndarray = field(default_factory=lambda: np.full(len(DESCRIPTORS), np.nan))


def read_patients(
    observation: xr.Dataset | None,
    regimen: Any,
    physiology: xr.Dataset | Mapping[str, Any] | None,
    where: str = "",
) -> tuple[list[Patient], int]:
    """All patients of a study, and how many predose samples were left out.

    Raises
    ------
    InputError, SchemaError, UnknownNameError, UnitError
        see :meth:`Forecaster.forecast`
    """
    labels, known = _people(physiology, observation)
    n = len(labels)
    doses = _doses(regimen, labels, known["body_weight"], where)
    patients = [
        Patient(
            labels[i],
            doses[i],
            known["covariates"][i],
            float(known["body_weight"][i]),
            known["species"][i],
        )
        for i in range(n)
    ]
    dropped = _observations(patients, observation, where)
    return patients, dropped


# ------------------------------------------------------------------ who
def _people(physiology, observation) -> tuple[list[str], dict[str, Any]]:
    seen = [] if observation is None else _labels(observation)
    if physiology is None:
        labels = seen or ["0"]
        given: dict[str, Any] = {}
    elif isinstance(physiology, xr.Dataset):
        if "subject" not in physiology.dims or "species" not in physiology:
            raise InputError(
                "physiology",
                sorted(map(str, physiology.variables)),
                "a Dataset of schema physiology with species",
            )
        n = physiology.sizes["subject"]
        labels = [
            str(label)
            for label in (
                physiology["subject"].values if "subject" in physiology.coords else range(n)
            )
        ]
        given = {name: physiology[name].values for name in _KNOWN if name in physiology}
    elif isinstance(physiology, Mapping):
        labels, given = _mapping(physiology, seen)
    else:
        raise InputError(
            "physiology",
            type(physiology).__name__,
            "a physiology Dataset, a mapping of covariates, or None",
        )
    if len(set(labels)) != len(labels):
        raise InputError("physiology.subject", labels, "labels that differ from each other")
    missing = [label for label in seen if label not in labels]
    if missing:
        raise unknown_name(
            "observation.subject", missing[0], labels, what="a subject of the physiology"
        )
    return labels, _covariates(given, len(labels), labels)


def _labels(observation: xr.Dataset) -> list[str]:
    validate(observation, "observation")
    return list(dict.fromkeys(str(label) for label in observation["subject"].values))


def _mapping(given: Mapping[str, Any], seen: list[str]) -> tuple[list[str], dict[str, Any]]:
    for name in given:
        if name not in (*_KNOWN, "subject"):
            raise unknown_name(f"physiology[{name!r}]", name, _KNOWN, what="a covariate")
    sizes = {len(v) for v in given.values() if isinstance(v, list | tuple | np.ndarray)}
    if len(sizes) > 1:
        raise InputError("physiology", sorted(sizes), "covariates of one length, or single values")
    if "subject" in given:
        labels = [str(label) for label in np.atleast_1d(given["subject"])]
    else:
        labels = seen or [str(i) for i in range(max(sizes, default=1))]
    if sizes and sizes != {len(labels)}:
        raise InputError("physiology", sizes.pop(), f"one value for each of {len(labels)} subjects")
    out = {}
    for name, value in given.items():
        if name == "subject":
            continue
        many = (
            list(value) if isinstance(value, list | tuple | np.ndarray) else [value] * len(labels)
        )
        out[name] = np.array(many, dtype=object)
    return labels, out


_SEXES = ("male", "female", "unknown", "mixed", "nan")
_UNITS = {"body_weight": "kg", "age": "year", "height": "cm", "hematocrit": "1", "gfr": "L/h"}


def _covariates(given: dict[str, Any], n: int, labels: list[str]) -> dict[str, Any]:
    species = [str(s) for s in given.get("species", ["human"] * n)]
    for s, label in zip(species, labels, strict=True):
        if s not in SPECIES:
            raise unknown_name(
                f"physiology.species (subject {label})", s, SPECIES, what="a species"
            )
    numbers = {name: _numbers(name, given.get(name), n, labels) for name in _UNITS}
    weight = numbers["body_weight"]
    usual = {
        s: float(reference_individual(s)["body_weight"][0])
        for s in set(species)
        if np.isnan(weight).any()
    }
    body_weight = np.array(
        [w if np.isfinite(w) else usual[s] for w, s in zip(weight, species, strict=True)]
    )
    sex = ["unknown" if s is None else str(s).lower() for s in given.get("sex", ["unknown"] * n)]
    for s, label in zip(sex, labels, strict=True):
        if s not in _SEXES:
            raise unknown_name(
                f"physiology.sex (subject {label})", s, ("male", "female", "unknown"), what="a sex"
            )
    out = np.full((n, len(COVARIATES)), np.nan)
    out[:, 0] = np.log(weight)
    out[:, 1] = numbers["age"]
    out[:, 2] = [{"male": 1.0, "female": 0.0}.get(s, np.nan) for s in sex]
    out[:, 3], out[:, 4] = numbers["height"], numbers["hematocrit"]
    out[:, 5] = np.log(numbers["gfr"] / body_weight)
    out[:, 6:] = np.array(species)[:, None] == np.array(SPECIES)[None, :]
    return {"species": species, "body_weight": body_weight, "covariates": out}


def _numbers(name: str, values, n: int, labels: list[str]) -> np.ndarray:
    if values is None:
        return np.full(n, np.nan)
    out = np.empty(n)
    for i, (value, label) in enumerate(zip(values, labels, strict=True)):
        if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
            out[i] = np.nan
        else:
            out[i] = quantity(
                value, _UNITS[name], f"physiology.{name}", positive=True, subject=label
            )
    return out


# ------------------------------------------------------------------ what they get
def subject_ids(labels: Sequence[str]) -> list[int]:
    """Numbers by which a regimen names subjects: the labels where all are whole numbers,
    else 0, 1, ...
    """
    whole = [label.isdigit() for label in labels]
    return [int(label) for label in labels] if labels and all(whole) else list(range(len(labels)))


def _doses(regimen: Any, labels: list[str], body_weight: np.ndarray, where: str) -> list[Doses]:
    """The doses of each subject, by label; `body_weight` (subject,) [kg].

    Raises
    ------
    InputError, UnknownNameError
        A subject that is not among the labels, resets, doses into other compartments.
    """
    regimen = as_regimen(regimen)
    columns = regimen.columns
    ids = subject_ids(labels)
    unknown = sorted(set(columns["subject"].tolist()) - {-1, *ids})
    if unknown:
        raise unknown_name(f"{where}regimen.subject", unknown[0], ids, what="a subject")
    for i in range(len(regimen)):
        if columns["evid"][i] in (3, 4):
            raise InputError(
                f"{where}regimen.evid[row {i}]",
                int(columns["evid"][i]),
                "a dose (1)",
                hint="split the study at the reset",
            )
        if columns["evid"][i] == 1 and (
            columns["route"][i] == "compartment" or columns["compartment"][i]
        ):
            raise InputError(
                f"{where}regimen.compartment[row {i}]",
                str(columns["compartment"][i]),
                "a dose by iv_bolus, iv_infusion or oral",
            )
    if bool(np.all(columns["subject"] == -1)) and not regimen.needs_body_weight:
        shared = _single_doses(columns, np.arange(len(regimen)), 1.0, labels[0], where)
        return [shared] * len(labels)
    rows = [
        np.flatnonzero((columns["subject"] == -1) | (columns["subject"] == number))
        for number in ids
    ]
    return [
        _single_doses(columns, own_rows, weight, label, where)
        for own_rows, weight, label in zip(rows, body_weight, labels, strict=True)
    ]


def _single_doses(
    columns: Mapping[str, np.ndarray], rows: np.ndarray, weight: float, label: str, where: str
) -> Doses:
    """The records `rows` of one subject written out as single doses, sorted by time.

    Raises
    ------
    InputError
        No dose, a dose of 0 mg, or more than :data:`MOST_DOSES`.
    """
    out: list[tuple[float, float, float, bool]] = []
    previous = -np.inf
    for i in rows:
        if columns["evid"][i] != 1:
            continue
        given = columns["amount"][i] + columns["amount_per_kg"][i] * weight
        amount = given * columns["bioavailability"][i]
        rate = columns["rate"][i] + columns["rate_per_kg"][i] * weight
        duration = amount / rate if rate > 0 else columns["duration"][i]
        start, interval = (
            columns["time"][i] + columns["lag_time"][i],
            columns["interdose_interval"][i],
        )
        if amount <= 0:
            raise InputError(
                f"{where}regimen.amount[row {i}]", float(amount), "a dose > 0 mg", subject=label
            )
        before = 0
        if columns["steady_state"][i] and interval > 0:
            # the doses that led to the steady state, as far back as the dose recorded before
            doses_before = (columns["time"][i] - previous) / interval
            before = int(
                min(
                    _STEADY_DOSES,
                    np.ceil(doses_before) - 1 if np.isfinite(doses_before) else _STEADY_DOSES,
                )
            )
        for k in range(-before, int(columns["additional_doses"][i]) + 1):
            out.append((start + k * interval, amount, duration, columns["route"][i] == "oral"))
        previous = columns["time"][i] + columns["additional_doses"][i] * interval
    if not out:
        raise InputError(f"{where}regimen", "no dose", "at least one dose", subject=label)
    if len(out) > MOST_DOSES:
        raise InputError(
            f"{where}regimen",
            f"{len(out)} doses",
            f"at most {MOST_DOSES} per subject",
            subject=label,
        )
    time, amount, duration, oral = (np.array(v) for v in zip(*sorted(out), strict=True))
    return Doses(
        time.astype(float), amount.astype(float), duration.astype(float), oral.astype(bool)
    )


# ------------------------------------------------------------------ what was measured
@dataclass(frozen=True)
class _Samples:
    """All samples of an observation Dataset, (sample,) each; `limit` is NaN where not given."""

    time: np.ndarray  # h
    value: np.ndarray  # mg/L
    limit: np.ndarray  # mg/L
    below: np.ndarray  # bool
    matrix: list[str]

    @classmethod
    def of(cls, observation: xr.Dataset) -> _Samples:
        """From a Dataset of schema ``observation``."""
        time = observation["time"].values.astype(float)

        def column(name: str, missing: float, kind: type) -> np.ndarray:
            if name not in observation:
                return np.full(time.shape, missing, dtype=kind)
            return observation[name].values.astype(kind)

        # earlier by more than single precision rounds, so that the dose of the same time is
        # still to come
        early = np.maximum(_BEFORE, 5e-7 * np.abs(time))
        time = np.where(column("before_dose", False, bool), time - early, time)
        return cls(
            time,
            observation["value"].values.astype(float),
            column("lloq", np.nan, float),
            column("censored", False, bool),
            [str(m).lower() for m in observation["matrix"].values],
        )


def _observations(patients: list[Patient], observation: xr.Dataset | None, where: str) -> int:
    """Give each patient the samples that can be used; how many could not.

    Raises
    ------
    InputError, UnknownNameError
        Samples that are not sorted, too many, or cannot mean what they say.
    """
    if observation is None:
        return 0
    samples = _Samples.of(observation)
    rows_of = _rows_by_subject(observation["subject"].values.astype(str))
    dropped = 0
    for patient in patients:
        rows = rows_of.get(patient.label, np.zeros(0, dtype=np.int64))
        _refuse_unsorted(samples.time, rows, patient.label, where)
        usable = [i for i in rows if _is_usable(patient, i, samples, where)]
        dropped += len(rows) - len(usable)
        if len(usable) > MOST_OBSERVATIONS:
            raise InputError(
                f"{where}observation",
                f"{len(usable)} samples",
                f"at most {MOST_OBSERVATIONS} per subject",
                subject=patient.label,
            )
        _give(patient, samples, np.array(usable, dtype=np.int64))
    return dropped


def _rows_by_subject(subject: np.ndarray) -> dict[str, np.ndarray]:
    """Label -> rows of its samples, in their order."""
    names, inverse = np.unique(subject, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1) if len(order) else []
    return dict(zip(names.tolist(), parts, strict=True))


def _refuse_unsorted(time: np.ndarray, rows: np.ndarray, label: str, where: str) -> None:
    for earlier, later in pairwise(rows):
        if time[later] < time[earlier]:
            raise InputError(
                f"{where}observation.time[{later}]",
                float(time[later]),
                f"a time >= {time[earlier]:g} h, that of the sample before",
                subject=label,
                hint="sort the samples of every subject by time",
            )


def _give(patient: Patient, samples: _Samples, rows: np.ndarray) -> None:
    """Put the samples of `rows` into a patient; what is below its limit has the limit as value."""
    time, value, limit = samples.time[rows], samples.value[rows], samples.limit[rows]
    censored = samples.below[rows] | ~(value > 0) | (np.isfinite(limit) & (value < limit))
    patient.time, patient.censored = time, censored
    patient.value = np.where(censored & np.isfinite(limit), limit, value)
    sites = [SITES.index(MATRICES[samples.matrix[i]]) for i in rows]
    patient.site = np.array(sites, dtype=np.int64)


def _is_usable(patient: Patient, i: int, samples: _Samples, where: str) -> bool:
    """Whether sample `i` says something about this drug.

    Raises
    ------
    UnknownNameError
        Another matrix.
    InputError
        A time before the first dose, or no concentration and no limit.
    """
    label, matrix = patient.label, samples.matrix[i]
    time, value = samples.time[i], samples.value[i]
    if matrix not in MATRICES:
        raise unknown_name(
            f"{where}observation.matrix[{i}]", matrix, MATRICES, what="plasma, serum or blood"
        )
    if np.isnan(value) and not samples.below[i]:
        return False
    if time < patient.doses.first - 2 * _BEFORE:
        raise InputError(
            f"{where}observation.time[{i}]",
            float(time),
            f"a time after the first dose at {patient.doses.first:g} h",
            subject=label,
            hint="predose samples say nothing about this drug",
        )
    if time < patient.doses.first - 1e-9:
        return False  # recorded before the first dose
    first = patient.doses.time <= patient.doses.first + 1e-9
    at_once = bool((first & ~patient.doses.oral & (patient.doses.duration == 0)).any())
    if time <= patient.doses.first + 1e-9 and not at_once:
        return False  # nothing has entered yet
    if not value > 0 and not np.isfinite(samples.limit[i]):
        raise InputError(
            f"{where}observation.value[{i}]",
            float(value),
            "a concentration > 0 mg/L, or an lloq",
            subject=label,
            hint="give the limit of quantification for values below it",
        )
    return True


# ------------------------------------------------------------------ to arrays
def collate(
    patients: Sequence[Patient],
    times: np.ndarray,
    sites: Sequence[int],
    references: np.ndarray | None,
) -> Batch:
    """Patients as a Batch; every time is asked for at every site.

    Parameters
    ----------
    times
        (n_times,) or (B, n_times) [h]
    references
        (B, n_times, n_sites) [mg/L] or None
    """
    n, n_sites = len(patients), len(sites)
    most_doses = max(len(p.doses.time) for p in patients)
    most_seen = max((len(p.time) for p in patients), default=0)

    def padded(
        arrays: Sequence[np.ndarray], width: int, kind: type = float, fill: float = 0
    ) -> np.ndarray:
        out = np.full((n, width), fill, dtype=kind)
        for row, values in zip(out, arrays, strict=True):
            row[: len(values)] = values
        return out

    by_patient = np.broadcast_to(times, (n, np.shape(times)[-1]))
    query_time = np.repeat(by_patient, n_sites, axis=1)  # (B, n_times x n_sites), sites fastest
    reference = (
        np.full(query_time.shape, np.nan)
        if references is None
        else references.reshape(query_time.shape)  # (B, n_times, n_sites) -> as the queries
    )
    return Batch(
        dose_time=padded([p.doses.time for p in patients], most_doses),
        dose_amount=padded([p.doses.amount for p in patients], most_doses),
        dose_duration=padded([p.doses.duration for p in patients], most_doses),
        dose_oral=padded([p.doses.oral for p in patients], most_doses, bool),
        dose_mask=padded([np.ones(len(p.doses.time), bool) for p in patients], most_doses, bool),
        obs_time=padded([p.time for p in patients], most_seen),
        obs_value=padded([p.value for p in patients], most_seen, fill=1.0),
        obs_censored=padded([p.censored for p in patients], most_seen, bool),
        obs_mask=padded([np.ones(len(p.time), bool) for p in patients], most_seen, bool),
        obs_site=padded([p.site for p in patients], most_seen, np.int64),
        obs_reference=padded(
            [
                np.full(len(p.time), np.nan) if p.reference is None else p.reference
                for p in patients
            ],
            most_seen,
            fill=np.nan,
        ),
        query_time=query_time,
        query_site=np.tile(np.asarray(sites, np.int64), (n, np.shape(times)[-1])),
        query_mask=np.ones(query_time.shape, bool),
        query_reference=reference,
        body_weight=np.array([p.body_weight for p in patients]),
        covariates=np.stack([p.covariates for p in patients]),  # (B, covariate)
        descriptors=np.stack([p.descriptors for p in patients]),  # (B, descriptor)
    )


__all__ = [
    "MOST_DOSES",
    "MOST_OBSERVATIONS",
    "MOST_OTHERS",
    "Doses",
    "Patient",
    "as_regimen",
    "collate",
    "read_patients",
    "subject_ids",
]
