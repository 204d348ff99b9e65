"""Reading curves out of a simulation Dataset: one compartment, the subjects that were
integrated, quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, unknown_name
from .._core.schemas import validate
from .._core.units import quantity

if TYPE_CHECKING:
    import pandas as pd


def compartment_names(ds: xr.Dataset) -> list[str]:
    """Labels of the compartments, in order."""
    return [str(c) for c in ds["compartment"].values]


def concentration(ds: xr.Dataset, compartment: str = "plasma") -> xr.DataArray:
    """Concentration in one compartment over (subject, time) [mg/L].

    Raises
    ------
    SchemaError
        Not a simulation Dataset.
    UnknownNameError
        no such compartment.
    InputError
        The compartment has no volume, so no concentration.
    """
    validate(ds, "simulation")
    names = compartment_names(ds)
    if compartment not in names:
        raise unknown_name(
            "compartment", compartment, names, what="a compartment of the simulation"
        )
    curve = ds["concentration"].isel(compartment=names.index(compartment))
    if bool(np.isnan(curve.values).all()) and bool(np.any(ds["status"].values == 0)):
        raise InputError(
            "compartment",
            compartment,
            "a compartment with a volume",
            hint="its `amount` is in the Dataset",
        )
    return curve


def factor_to(ds: xr.Dataset, unit: str) -> float:
    """What a concentration in mg/L is multiplied by, to be in `unit`.

    Parameters
    ----------
    ds : Dataset
        A simulation; its molar mass is that of its compound.
    unit : str
        Of mass per volume, or molar: "ng/mL", "uM", "nmol/L".

    Raises
    ------
    UnitError
        Another unit, or a molar one where the compound's molar mass is not known.
    """
    molar_mass = ds.attrs.get("molar_mass")
    return 1.0 / quantity(
        f"1 {unit}", "mg/L", "unit", molar_mass=None if molar_mass is None else float(molar_mass)
    )


def succeeded(ds: xr.Dataset) -> np.ndarray:
    """(n_subjects,) bool: subjects that were integrated to the end."""
    return np.asarray(ds["status"].values) == 0


def quantiles(
    ds: xr.Dataset,
    q: float | Sequence[float] = (0.05, 0.5, 0.95),
    compartment: str = "plasma",
    per_dose: bool = False,
) -> xr.DataArray:
    """Quantiles over the subjects that were integrated.

    Parameters
    ----------
    q
        Quantiles in [0, 1].
    per_dose
        Divide by each subject's dose first.

    Returns
    -------
    DataArray
        (quantile, time) [mg/L], or [1/L] per dose; attribute ``n_subjects`` counts who
        went into it.

    Raises
    ------
    InputError
        A quantile outside [0, 1], no subject left, or no dose known.
    """
    levels = np.atleast_1d(np.asarray(q, dtype=float))
    if levels.ndim != 1 or not np.all((levels >= 0) & (levels <= 1)):
        raise InputError("q", q, "numbers from 0 to 1")
    curve = concentration(ds, compartment)
    if per_dose:
        curve = curve / subject_dose(ds)
    keep = succeeded(ds)
    if not keep.any():
        raise InputError("status", ds.sizes["subject"], "at least one subject that was integrated")
    others = curve.dims[2:]
    values = np.quantile(curve.values[keep], levels, axis=0)
    coords: dict[str, Any] = {"quantile": levels, "time": ds["time"]}
    coords.update({str(d): ds[d] for d in others if d in ds.coords})
    return xr.DataArray(
        values,
        coords,
        ("quantile", "time", *others),
        name="concentration",
        attrs={
            "units": "1/L" if per_dose else "mg/L",
            "long_name": f"{compartment} concentration quantiles",
            "n_subjects": int(keep.sum()),
        },
    )


def subject_dose(ds: xr.Dataset) -> xr.DataArray:
    """Dose of each subject [mg].

    Raises
    ------
    InputError
        The Dataset has none, or one that is not positive.
    """
    if "dose" not in ds.variables or ds["dose"].dims != ("subject",):
        raise InputError("dose", None, "a coordinate `dose` over subject [mg]")
    dose = ds["dose"]
    bad = np.flatnonzero(~(dose.values > 0))
    if bad.size:
        raise InputError(
            "dose",
            float(dose.values[bad[0]]),
            "a dose > 0 mg",
            subject=ds["subject"].values[bad[0]],
        )
    return dose.astype(float)


def to_dataframe(ds: xr.Dataset, compartments: Sequence[str] | str | None = None) -> pd.DataFrame:
    """Long table: one row per subject, time and compartment, with the covariates beside."""
    validate(ds, "simulation")
    names = compartment_names(ds)
    if compartments is not None:
        wanted = [compartments] if isinstance(compartments, str) else list(compartments)
        for name in wanted:
            if name not in names:
                raise unknown_name(
                    "compartments", name, names, what="a compartment of the simulation"
                )
        ds = ds.isel(compartment=[names.index(name) for name in wanted])
    keep = [v for v in ("concentration", "amount") if v in ds]
    return ds[keep].to_dataframe().reset_index()
