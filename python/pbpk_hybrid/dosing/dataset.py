"""Regimen as a Dataset of schema ``regimen``, and back, without loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from .._core.errors import InputError
from .._core.provenance import provenance
from .._core.schemas import validate
from .table import COLUMNS


def to_dataset(columns: Mapping[str, np.ndarray], span: float) -> xr.Dataset:
    """Dataset over ``event`` of a dose table that ends at `span` [h].

    Where the rate was ordered, ``duration`` holds amount/rate for the reader's
    convenience (0 if it depends on body weight) and ``rate`` or ``rate_per_kg`` says
    that the rate rules.
    """
    c = dict(columns)
    c["duration"] = np.where(c["duration"] > 0, c["duration"], _nominal_duration(c))
    data = {}
    for name, (kind, _default, unit, long_name) in COLUMNS.items():
        attrs = {"long_name": long_name}
        if kind != "U":
            attrs["units"] = unit
        values = c[name].astype(object) if kind == "U" else c[name].copy()
        data[name] = ("event", values, attrs)
    ds = xr.Dataset(data, attrs=provenance(schema="regimen", span=span, span_units="h"))
    return validate(ds, "regimen")


def from_dataset(ds: xr.Dataset) -> tuple[dict[str, np.ndarray], float]:
    """Columns of a dose table and its span [h] from a Dataset of schema ``regimen``.

    Optional variables take their defaults, others are left alone.

    Raises
    ------
    SchemaError
        The Dataset does not follow the schema.
    InputError
        A duration that contradicts amount and rate.
    """
    validate(ds, "regimen")
    c = {name: ds[name].values for name in COLUMNS if name in ds.variables}
    for name, values in c.items():
        if COLUMNS[name][0] == "U":
            c[name] = values.astype(str)
    if "rate" in c or "rate_per_kg" in c:
        rated = (c.get("rate", 0) > 0) | (c.get("rate_per_kg", 0) > 0)
        nominal = _nominal_duration({k: c.get(k, np.zeros(ds.sizes["event"])) for k in COLUMNS})
        wrong = (
            rated & (c["duration"] > 0) & (np.abs(c["duration"] - nominal) > 1e-9 * np.abs(nominal))
        )
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InputError(
                f"duration[row {i}]",
                float(c["duration"][i]),
                f"amount/rate = {nominal[i]:g} h or 0",
                subject=int(c["subject"][i]),
                hint="give the rate or the duration, not both",
            )
        c["duration"] = np.where(rated, 0.0, c["duration"])
    end = float(np.max(c["time"] + c["duration"])) if c["time"].size else 0.0
    return c, float(ds.attrs.get("span", end))


def _nominal_duration(c) -> np.ndarray:
    """amount/rate at F = 1 where both are per kg or neither is, else 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where((c["rate"] > 0) & (c["amount_per_kg"] == 0), c["amount"] / c["rate"], 0.0)
        return np.where(c["rate_per_kg"] > 0, c["amount_per_kg"] / c["rate_per_kg"], plain)
