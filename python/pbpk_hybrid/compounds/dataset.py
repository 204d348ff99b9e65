"""Compounds as a ``compound`` Dataset and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .._core.errors import InputError
from .._core.provenance import provenance
from ._fields import NUMBERS, TISSUES, plain_unit
from .compound import Compound

if TYPE_CHECKING:
    import xarray as xr


def compounds_to_dataset(compounds: Compound | Iterable[Compound]) -> xr.Dataset:
    """A Dataset of schema ``compound``: one variable per numeric field, NaN where it is not given.

    What does not fit an array (names of methods, pathways, species values, citations)
    travels as JSON in ``record``, from which :func:`compounds_from_dataset` restores
    the compounds exactly; the numeric variables win where both differ, so that they can
    be edited.
    """
    import xarray as xr

    from .._core.schemas import attrs

    items = [compounds] if isinstance(compounds, Compound) else list(compounds)
    if not items:
        raise InputError("compounds", items, "at least one compound")
    names = [compound.name for compound in items]
    if len(set(names)) < len(names):
        raise InputError("compounds", names, "compounds with different names")
    n_sites = max(
        [
            1,
            *(len(compound.pka_acid) for compound in items),
            *(len(compound.pka_base) for compound in items),
        ]
    )
    data: dict[str, tuple] = {}
    for key, spec in NUMBERS.items():
        values = [
            np.nan if getattr(compound, key) is None else getattr(compound, key)
            for compound in items
        ]
        data[key] = (
            "compound",
            np.array(values, float),
            {"units": plain_unit(spec.unit), "long_name": spec.meaning},
        )
    for key in ("pka_acid", "pka_base"):
        table = np.full((len(items), n_sites), np.nan)
        for row, compound in zip(table, items, strict=True):
            row[: len(getattr(compound, key))] = getattr(compound, key)
        data[key] = (("compound", "site"), table, {})
    kp = np.array([[compound.kp.get(o, np.nan) for o in TISSUES] for compound in items])
    data["partition_coefficient"] = (("compound", "organ"), kp, {})
    data["record"] = (
        "compound",
        np.array(
            [json.dumps(compound.to_dict(), sort_keys=True) for compound in items], dtype=object
        ),
        {"long_name": "the whole compound as JSON"},
    )
    ds = xr.Dataset(
        data,
        coords={"compound": names, "organ": list(TISSUES)},
        attrs=provenance(title="compounds"),
    )
    for key in (
        "molar_mass",
        "log_p",
        "pka_acid",
        "pka_base",
        "fraction_unbound_plasma",
        "blood_to_plasma_ratio",
        "partition_coefficient",
    ):
        ds[key].attrs = attrs("compound", key)
    return ds


def compounds_from_dataset(ds: xr.Dataset) -> list[Compound]:
    """The compounds of a Dataset of schema ``compound``; only molar mass and fraction
    unbound need to be there.

    Raises
    ------
    SchemaError
        The Dataset does not follow the schema.
    InputError, UnknownNameError
        A value out of range.
    """
    from .._core.schemas import validate

    validate(ds, "compound")
    out = []
    for i, name in enumerate(
        ds["compound"].values if "compound" in ds.coords else range(ds.sizes["compound"])
    ):
        values = json.loads(str(ds["record"].values[i])) if "record" in ds else {}
        values["name"] = str(name)
        for key in NUMBERS:
            if key in ds:
                number = float(ds[key].values[i])
                values[key] = None if np.isnan(number) else number
        for key in ("pka_acid", "pka_base"):
            if key in ds:
                row = ds[key].values[i]
                values[key] = [float(p) for p in row[~np.isnan(row)]]
        if "partition_coefficient" in ds:
            row = ds["partition_coefficient"].values[i]
            values["kp"] = {
                str(o): float(v)
                for o, v in zip(ds["organ"].values, row, strict=True)
                if not np.isnan(v)
            }
        out.append(Compound.create(**values))
    return out
