"""Reading observations for a figure: matrix, dose, limits of quantification."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, OutOfRangeWarning, unknown_name
from .._core.schemas import validate
from .._core.table_files import is_table

#: doses count as the same within this ratio: people in one study get different amounts
SAME_DOSE = 1.25


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
        """For the legend, with the number of profiles where there are several."""
        n = len(np.unique(self.profile))
        return f"observed (n = {n})" if n > 1 else "observed"


def as_observations(source: Any) -> xr.Dataset | None:
    """Samples of a Dataset, a table (pandas, polars) or a .csv; None stays None.

    Raises
    ------
    FileFormatError, UnitError
        A table that cannot be read.
    """
    if not is_table(source):
        return source
    from ..nca.tables import read_profile_table

    return read_profile_table(source).observations


def warn_of_others(sim: xr.Dataset, ds: xr.Dataset, per_dose: bool = False) -> None:
    """Say where observations are of something else than what was simulated.

    Warns
    -----
    OutOfRangeWarning
        Another compound or species, or doses more than a quarter from every simulated
        one.
    """

    def warn(text: str) -> None:
        warnings.warn(f"the observations are {text}", OutOfRangeWarning, stacklevel=4)

    for name in ("compound", "species"):
        simulated = str(sim.attrs.get(name, "")).lower()
        if not simulated or name not in ds:
            continue
        theirs = sorted({str(v).lower() for v in np.ravel(ds[name].values)} - {""})
        if theirs and simulated not in theirs:
            warn(f"of {', '.join(theirs)}, and the simulation is of {simulated}")
    if per_dose or "dose" not in ds or "dose" not in sim.coords:
        return
    dose = np.ravel(ds["dose"].values).astype(float)
    simulated_dose = np.ravel(sim["dose"].values).astype(float)
    dose, simulated_dose = dose[dose > 0], simulated_dose[simulated_dose > 0]
    if not (dose.size and simulated_dose.size):
        return
    other = (dose < simulated_dose.min() / SAME_DOSE) | (dose > simulated_dose.max() * SAME_DOSE)
    if other.any():
        span = lambda v: f"{v.min():.3g}" + (f" to {v.max():.3g}" if v.max() > v.min() else "")
        warn(
            f"after other doses in {other.sum()} of {other.size} samples: "
            f"{span(dose[other])} mg, and {span(simulated_dose)} mg were simulated; divide "
            "both by dose (dose_normalise, --dose-normalise), or leave these samples out"
        )


def read_observed(ds: xr.Dataset, compartment: str, per_dose: bool = False) -> Observed:
    """Samples in one compartment; serum counts as plasma, blood as the blood pools.

    Raises
    ------
    SchemaError
        Not an observation Dataset.
    UnknownNameError
        no sample of this matrix.
    InputError
        `per_dose` and a dose is missing.
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
