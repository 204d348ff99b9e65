"""One patient: the doses that were given, the samples that were taken, the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind
from .._core.errors import InputError
from .._core.schemas import validate
from .._core.units import quantity
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..dosing.table import EVERYONE, is_dose

Samples = xr.Dataset | Mapping[Any, Any] | Sequence[tuple[Any, Any]] | None


@dataclass(frozen=True, eq=False)
class Patient:
    """What is known of one person.

    Parameters
    ----------
    doses : Regimen, xarray.Dataset, str or None
        The doses so far, on the clock of the samples; None: none yet.
    samples : mapping, sequence of pairs, xarray.Dataset or None
        Time [h] -> concentration in plasma [mg/L], or pairs of them, or a Dataset of schema
        ``observation`` (other compartments too). Text has its unit: ``{"30 min": "12 mg/L"}``;
        ``"<0.5 mg/L"`` is below that limit of quantification. A sample at the time of a dose was
        taken just before it. None: none yet.
    person : xarray.Dataset or None
        Physiology of one subject, such as :func:`pbpk_hybrid.reference_individual` gives; None:
        the reference human where a model is built, nothing else otherwise.
    body_weight : float or str, kg, optional
        Of a patient without `person`, for doses per kg.

    Raises
    ------
    InputError
        Doses, samples or a person that cannot be used.

    Examples
    --------
    >>> from pbpk_hybrid import Patient
    >>> Patient("320 mg oral q12h x2", {2: "9.1 mg/L", 11.5: "4.2 mg/L"})
    Patient(2 doses, 2 samples from 2 to 11.5 h)
    """

    doses: Regimen | xr.Dataset | str | None = None
    samples: Samples = None
    person: xr.Dataset | None = None
    body_weight: float | str | None = None

    def __post_init__(self) -> None:
        doses = Regimen.empty() if self.doses is None else as_regimen(self.doses)
        object.__setattr__(self, "doses", _of_one(doses, self.samples))
        if self.person is not None:
            check_kind("person", self.person, xr.Dataset, "a physiology Dataset of one subject")
            if self.person.sizes.get("subject", 0) != 1:
                n = self.person.sizes.get("subject", 0)
                raise InputError("person", n, "one subject", hint="people.isel(subject=[0])")
        if self.body_weight is not None:
            if self.person is not None:
                raise InputError("body_weight", self.body_weight, "nothing beside `person`")
            weight = quantity(self.body_weight, "kg", "body_weight", positive=True)
            object.__setattr__(self, "body_weight", weight)
        if not (self.samples is None or isinstance(self.samples, xr.Dataset)):
            _pairs(self.samples)  # refuse what is no list of samples now, not at the first use

    @property
    def weight(self) -> np.ndarray | None:
        """(1,) body weight [kg]; None where it is not known."""
        if self.person is not None and "body_weight" in self.person:
            return np.asarray(self.person["body_weight"].values, dtype=float)
        return None if self.body_weight is None else np.array([float(self.body_weight)])

    def observations(self, molar_mass: float | None = None) -> xr.Dataset | None:
        """The samples as a Dataset of schema ``observation``; None where there are none.

        Parameters
        ----------
        molar_mass : float, g/mol, optional
            For samples in moles per volume.

        Raises
        ------
        InputError, UnitError
            A sample that cannot be read; names it.
        """
        if self.samples is None or isinstance(self.samples, xr.Dataset):
            return self.samples
        rows = [
            _read_sample(i, time, value, molar_mass)
            for i, (time, value) in enumerate(_pairs(self.samples))
        ]
        if not rows:
            return None
        time, value, lloq = (np.array(column) for column in zip(*sorted(rows), strict=True))
        n = len(time)
        text = lambda words: ("sample", np.full(n, words))
        dataset = xr.Dataset(
            {
                "time": ("sample", time, {"units": "h"}),
                "value": ("sample", value, {"units": "mg/L"}),
                "lloq": ("sample", lloq, {"units": "mg/L"}),
                "censored": ("sample", np.isfinite(lloq).astype(int)),
                "before_dose": ("sample", np.isin(time, _dose_times(self.doses)).astype(int)),
                "matrix": text("plasma"),
                "subject": text("0"),
                "study": text("patient"),
                "reference": text("user"),
            }
        )
        validate(dataset, "observation")
        return dataset

    def __repr__(self) -> str:
        n = len(_dose_times(self.doses))
        samples = self.samples
        if isinstance(samples, xr.Dataset):
            time = np.asarray(samples["time"].values, dtype=float)
        else:
            time = np.array([quantity(t, "h", "time") for t, _ in _pairs(samples or {})])
        words = f"{len(time)} samples"
        if len(time):
            words += f" from {time.min():g} to {time.max():g} h"
        return f"Patient({n} {'dose' if n == 1 else 'doses'}, {words})"


def _of_one(doses: Regimen, samples: Any) -> Regimen:
    """The doses without a subject number.

    Raises
    ------
    InputError
        Doses or samples of several people, or of different ones.
    """
    who = np.unique(doses.columns["subject"])
    who = who[who != EVERYONE]
    if len(who) > 1:
        hint = "a Patient for each, with the records of one"
        raise InputError("doses", f"subjects {who.tolist()}", "doses of one person", hint=hint)
    if isinstance(samples, xr.Dataset) and "subject" in samples:
        labels = list(dict.fromkeys(samples["subject"].values.astype(str).tolist()))
        if len(labels) > 1:
            raise InputError("samples", f"subjects {labels}", "samples of one person")
        if labels and len(who) and labels[0].isdigit() and int(labels[0]) != who[0]:
            raise InputError("samples", f"subject {labels[0]}", f"subject {who[0]}, as the doses")
    if not len(who):
        return doses
    everyone = np.full(len(doses), EVERYONE)
    return Regimen({**doses.columns, "subject": everyone}, span=doses.span)


def _pairs(samples: Any) -> list[tuple[Any, Any]]:
    """(time, value) of every sample.

    Raises
    ------
    InputError
        Anything but a mapping or a sequence of pairs.
    """
    expected = "a mapping time -> concentration, pairs (time, concentration), or a Dataset"
    if isinstance(samples, Mapping):
        return list(samples.items())
    if isinstance(samples, (str, bytes)) or not isinstance(samples, Sequence):
        raise InputError("samples", samples, expected)
    for i, pair in enumerate(samples):
        if isinstance(pair, (str, bytes)) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise InputError(f"samples[{i}]", pair, "a pair (time, concentration)")
    return [(pair[0], pair[1]) for pair in samples]


def _read_sample(
    i: int, time: Any, value: Any, molar_mass: float | None
) -> tuple[float, float, float]:
    """Time [h], value and limit of quantification [mg/L]; NaN for the one that is not there."""
    hours = quantity(time, "h", f"samples[{i}].time", minimum=0)
    field = f"samples[{i}].value"
    below = isinstance(value, str) and value.strip().startswith("<")
    if below:
        value = value.strip().removeprefix("<").strip()
    expected = {"molar_mass": molar_mass} if isinstance(value, str) else {}
    number = quantity(value, "mg/L", field, positive=True, **expected)
    return (hours, np.nan, number) if below else (hours, number, np.nan)


def _dose_times(regimen: Regimen) -> np.ndarray:
    """(n_doses,) times [h] of all doses, additional ones written out."""
    c = regimen.columns
    rows = np.flatnonzero(is_dose(c))
    each = [
        c["time"][i] + c["interdose_interval"][i] * np.arange(c["additional_doses"][i] + 1)
        for i in rows
    ]
    return np.concatenate(each) if each else np.empty(0)


def doses_before(regimen: Regimen, time: float) -> Regimen:
    """The records of a regimen from before a time; of additional doses those before it.

    Parameters
    ----------
    regimen : Regimen
    time : float, h

    Returns
    -------
    Regimen
    """
    c = {name: column.copy() for name, column in regimen.columns.items()}
    keep = c["time"] < time
    many = keep & (c["additional_doses"] > 0)
    interval = np.where(many, c["interdose_interval"], 1.0)
    left = np.ceil((time - c["time"]) / interval * (1.0 - 1e-12)).astype(np.int64)
    c["additional_doses"] = np.where(
        many, np.minimum(c["additional_doses"], left - 1), c["additional_doses"]
    )
    idle = (c["steady_state"] == 0) & (c["additional_doses"] == 0)
    c["interdose_interval"] = np.where(idle, 0.0, c["interdose_interval"])
    return Regimen({name: column[keep] for name, column in c.items()}, span=regimen.span)


__all__ = ["Patient", "doses_before"]
