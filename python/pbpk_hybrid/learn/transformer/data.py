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
        return float(self.time.min())


@dataclass
class Patient:
    """One patient, checked. Anchors [mg/L] are filled in where a compound is given."""

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
            str(s)
            for s in (physiology["subject"].values if "subject" in physiology.coords else range(n))
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
    missing = [s for s in seen if s not in labels]
    if missing:
        raise unknown_name(
            "observation.subject", missing[0], labels, what="a subject of the physiology"
        )
    return labels, _covariates(given, len(labels), labels)


def _labels(observation: xr.Dataset) -> list[str]:
    validate(observation, "observation")
    return list(dict.fromkeys(str(s) for s in observation["subject"].values))


def _mapping(given: Mapping[str, Any], seen: list[str]) -> tuple[list[str], dict[str, Any]]:
    for name in given:
        if name not in (*_KNOWN, "subject"):
            raise unknown_name(f"physiology[{name!r}]", name, _KNOWN, what="a covariate")
    sizes = {len(v) for v in given.values() if isinstance(v, list | tuple | np.ndarray)}
    if len(sizes) > 1:
        raise InputError("physiology", sorted(sizes), "covariates of one length, or single values")
    if "subject" in given:
        labels = [str(s) for s in np.atleast_1d(given["subject"])]
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
    whole = [s.isdigit() for s in labels]
    return [int(s) for s in labels] if labels and all(whole) else list(range(len(labels)))


def _doses(regimen: Any, labels: list[str], body_weight: np.ndarray, where: str) -> list[Doses]:
    regimen = as_regimen(regimen)
    c = regimen.columns
    ids = subject_ids(labels)
    strangers = sorted(set(c["subject"].tolist()) - {-1, *ids})
    if strangers:
        raise unknown_name(f"{where}regimen.subject", strangers[0], ids, what="a subject")
    for i in range(len(regimen)):
        if c["evid"][i] in (3, 4):
            raise InputError(
                f"{where}regimen.evid[row {i}]",
                int(c["evid"][i]),
                "a dose (1)",
                hint="split the study at the reset",
            )
        if c["evid"][i] == 1 and (c["route"][i] == "compartment" or c["compartment"][i]):
            raise InputError(
                f"{where}regimen.compartment[row {i}]",
                str(c["compartment"][i]),
                "a dose by iv_bolus, iv_infusion or oral",
            )
    if (
        len({tuple(c["subject"].tolist())})
        and bool(np.all(c["subject"] == -1))
        and not regimen.needs_body_weight
    ):
        shared = _single_doses(c, np.arange(len(regimen)), 1.0, labels[0], where)
        return [shared] * len(labels)
    rows = [np.flatnonzero((c["subject"] == -1) | (c["subject"] == who)) for who in ids]
    return [
        _single_doses(c, r, w, s, where) for r, w, s in zip(rows, body_weight, labels, strict=True)
    ]


def _single_doses(c, rows: np.ndarray, weight: float, label: str, where: str) -> Doses:
    out: list[tuple[float, float, float, bool]] = []
    previous = -np.inf
    for i in rows:
        if c["evid"][i] != 1:
            continue
        given = c["amount"][i] + c["amount_per_kg"][i] * weight
        amount = given * c["bioavailability"][i]
        rate = c["rate"][i] + c["rate_per_kg"][i] * weight
        duration = amount / rate if rate > 0 else c["duration"][i]
        start, interval = c["time"][i] + c["lag_time"][i], c["interdose_interval"][i]
        if amount <= 0:
            raise InputError(
                f"{where}regimen.amount[row {i}]", float(amount), "a dose > 0 mg", subject=label
            )
        before = 0
        if c["steady_state"][i] and interval > 0:
            # the doses that led to the steady state, as far back as the dose recorded before
            doses_before = (c["time"][i] - previous) / interval
            before = int(
                min(
                    _STEADY_DOSES,
                    np.ceil(doses_before) - 1 if np.isfinite(doses_before) else _STEADY_DOSES,
                )
            )
        for k in range(-before, int(c["additional_doses"][i]) + 1):
            out.append((start + k * interval, amount, duration, c["route"][i] == "oral"))
        previous = c["time"][i] + c["additional_doses"][i] * interval
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
def _observations(patients: list[Patient], observation: xr.Dataset | None, where: str) -> int:
    if observation is None:
        return 0
    time, value = (
        observation["time"].values.astype(float),
        observation["value"].values.astype(float),
    )
    limit = (
        observation["lloq"].values.astype(float)
        if "lloq" in observation
        else np.full(time.shape, np.nan)
    )
    below = (
        observation["censored"].values.astype(bool)
        if "censored" in observation
        else np.zeros(time.shape, bool)
    )
    if "before_dose" in observation:
        # earlier by more than single precision rounds, so that the dose of the same time is
        # still to come
        early = np.maximum(_BEFORE, 5e-7 * np.abs(time))
        time = np.where(observation["before_dose"].values.astype(bool), time - early, time)
    matrix = [str(m).lower() for m in observation["matrix"].values]
    subject = observation["subject"].values.astype(str)
    dropped = 0
    names, inverse = np.unique(subject, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1) if len(order) else []
    of = dict(zip(names.tolist(), parts, strict=True))
    for patient in patients:
        rows = of.get(patient.label, order[:0])
        keep = []
        for a, b in pairwise(rows):
            if time[b] < time[a]:
                raise InputError(
                    f"{where}observation.time[{b}]",
                    float(time[b]),
                    f"a time >= {time[a]:g} h, that of the sample before",
                    subject=patient.label,
                    hint="sort the samples of every subject by time",
                )
        for i in rows:
            dropped += _one(patient, i, time, value, limit, below, matrix, keep, where)
        if len(keep) > MOST_OBSERVATIONS:
            raise InputError(
                f"{where}observation",
                f"{len(keep)} samples",
                f"at most {MOST_OBSERVATIONS} per subject",
                subject=patient.label,
            )
        at = np.array(keep, dtype=np.int64)
        censored = below[at] | ~(value[at] > 0) | (np.isfinite(limit[at]) & (value[at] < limit[at]))
        patient.time, patient.censored = time[at], censored
        with np.errstate(invalid="ignore"):
            patient.value = np.where(censored & np.isfinite(limit[at]), limit[at], value[at])
        patient.site = np.array([SITES.index(MATRICES[matrix[i]]) for i in at], dtype=np.int64)
    return dropped


def _one(
    patient: Patient, i: int, time, value, limit, below, matrix, keep: list[int], where: str
) -> int:
    """Put sample i among those to keep, or leave it out and return 1."""
    label = patient.label
    if matrix[i] not in MATRICES:
        raise unknown_name(
            f"{where}observation.matrix[{i}]", matrix[i], MATRICES, what="plasma, serum or blood"
        )
    if np.isnan(value[i]) and not below[i]:
        return 1
    if time[i] < patient.doses.first - 2 * _BEFORE:
        raise InputError(
            f"{where}observation.time[{i}]",
            float(time[i]),
            f"a time after the first dose at {patient.doses.first:g} h",
            subject=label,
            hint="predose samples say nothing about this drug",
        )
    if time[i] < patient.doses.first - 1e-9:
        return 1  # recorded before the first dose
    first = patient.doses.time <= patient.doses.first + 1e-9
    at_once = bool((first & ~patient.doses.oral & (patient.doses.duration == 0)).any())
    if time[i] <= patient.doses.first + 1e-9 and not at_once:
        return 1  # nothing has entered yet
    if not value[i] > 0 and not np.isfinite(limit[i]):
        raise InputError(
            f"{where}observation.value[{i}]",
            float(value[i]),
            "a concentration > 0 mg/L, or an lloq",
            subject=label,
            hint="give the limit of quantification for values below it",
        )
    keep.append(i)
    return 0


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

    def padded(arrays, width: int, kind=float, fill=0):
        out = np.full((n, width), fill, dtype=kind)
        for row, a in zip(out, arrays, strict=True):
            row[: len(a)] = a
        return out

    each = np.broadcast_to(times, (n, np.shape(times)[-1]))
    asked = np.repeat(each, n_sites, axis=1)
    reference = (
        np.full(asked.shape, np.nan) if references is None else references.reshape(asked.shape)
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
        query_time=asked,
        query_site=np.tile(np.asarray(sites, np.int64), (n, np.shape(times)[-1])),
        query_mask=np.ones(asked.shape, bool),
        query_reference=reference,
        body_weight=np.array([p.body_weight for p in patients]),
        covariates=np.stack([p.covariates for p in patients]),
        descriptors=np.stack([p.descriptors for p in patients]),
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
