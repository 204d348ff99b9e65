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
    table = dict(columns)
    table["duration"] = np.where(table["duration"] > 0, table["duration"], _nominal_duration(table))
    data = {}
    for name, (kind, _default, unit, long_name) in COLUMNS.items():
        attrs = {"long_name": long_name}
        if kind != "U":
            attrs["units"] = unit
        values = table[name].astype(object) if kind == "U" else table[name].copy()
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
    table = {name: ds[name].values for name in COLUMNS if name in ds.variables}
    for name, values in table.items():
        if COLUMNS[name][0] == "U":
            table[name] = values.astype(str)
    if "rate" in table or "rate_per_kg" in table:
        rated = (table.get("rate", 0) > 0) | (table.get("rate_per_kg", 0) > 0)
        nominal = _nominal_duration({k: table.get(k, np.zeros(ds.sizes["event"])) for k in COLUMNS})
        wrong = (
            rated
            & (table["duration"] > 0)
            & (np.abs(table["duration"] - nominal) > 1e-9 * np.abs(nominal))
        )
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InputError(
                f"duration[row {i}]",
                float(table["duration"][i]),
                f"amount/rate = {nominal[i]:g} h or 0",
                subject=int(table["subject"][i]),
                hint="give the rate or the duration, not both",
            )
        table["duration"] = np.where(rated, 0.0, table["duration"])
    end = float(np.max(table["time"] + table["duration"])) if table["time"].size else 0.0
    return table, float(ds.attrs.get("span", end))


def _nominal_duration(table) -> np.ndarray:
    """amount/rate at F = 1 where both are per kg or neither is, else 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(
            (table["rate"] > 0) & (table["amount_per_kg"] == 0),
            table["amount"] / table["rate"],
            0.0,
        )
        return np.where(
            table["rate_per_kg"] > 0, table["amount_per_kg"] / table["rate_per_kg"], plain
        )
