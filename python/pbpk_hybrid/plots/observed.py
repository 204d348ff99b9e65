"""Reading observations for a figure: matrix, dose, limits of quantification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from .._core.errors import InputError, unknown_name
from .._core.schemas import validate


@dataclass(frozen=True, eq=False)
class Observed:
    """Samples of one matrix, arrays (n_samples,)."""

    time: np.ndarray  # [h]
    value: np.ndarray  # [mg/L] or [1/L]; the limit of quantification where censored
    error: np.ndarray  # standard deviation between people of a mean, NaN where there is none
    censored: np.ndarray  # bool
    profile: np.ndarray  # label of the person or mean curve

    @property
    def label(self) -> str:
        n = len(np.unique(self.profile))
        return f"observed (n = {n})" if n > 1 else "observed"


def read_observed(ds: xr.Dataset, compartment: str, per_dose: bool = False) -> Observed:
    """Samples in one compartment; serum counts as plasma, blood as the blood pools.

    Raises
    ------
    SchemaError : not an observation Dataset
    UnknownNameError : no sample of this matrix
    InputError : `per_dose` and a dose is missing
    """
    validate(ds, "observation", field="observations")
    matrix = np.asarray(ds["matrix"].values).astype(str)
    also = {
        "plasma": ("plasma", "serum"),
        "blood": ("blood",),
        "venous_blood": ("blood", "venous_blood"),
    }
    keep = np.isin(matrix, also.get(compartment, (compartment,)))
    if not keep.any():
        raise unknown_name(
            "compartment", compartment, sorted(set(matrix)), what="a matrix of the observations"
        )

    def column(name: str, default) -> np.ndarray:
        return (
            np.asarray(ds[name].values)[keep] if name in ds else np.full(int(keep.sum()), default)
        )

    value, lloq = column("value", np.nan).astype(float), column("lloq", np.nan).astype(float)
    censored = column("censored", 0) == 1
    with np.errstate(invalid="ignore"):
        censored |= value < lloq
    value = np.where(censored & ~np.isnan(lloq), lloq, value)
    error = column("standard_deviation", np.nan).astype(float)
    if per_dose:
        dose = column("dose", np.nan).astype(float)
        if not (dose > 0).all():
            first = column("subject", "")[np.flatnonzero(~(dose > 0))[0]]
            raise InputError(
                "observations.dose", np.nan, "a dose > 0 mg for every sample", subject=first
            )
        value, error = value / dose, error / dose
    keys = ("profile",) if "profile" in ds else ("study", "subject")
    profile = column(keys[0], "").astype(str)
    for key in keys[1:]:
        profile = np.char.add(np.char.add(profile, ": "), column(key, "").astype(str))
    return Observed(column("time", np.nan).astype(float), value, error, censored, profile)
