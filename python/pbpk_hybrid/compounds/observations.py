"""Observed concentrations as ``observation`` Datasets: mg/L, h, and what a simulation
needs to repeat each profile.

Two small data sets ship with the package. Larger collections under other licences are
read from a folder: the argument `folder`, else the environment variable
``PBPK_HYBRID_DATA``, else ``benchmarks/data`` of a source checkout.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.arguments import check_choice, check_path
from .._core.errors import InputError
from .._core.provenance import provenance
from .database import get_compound
from .observation_columns import COLUMNS, INTEGER, TEXT, record
from .observation_files import PBPK_PC, read_cvtdb, read_pbpk_pc
from .osp_observations import read_osp

if TYPE_CHECKING:
    import xarray as xr

SHIPPED = Path(__file__).parent / "data" / "observations"
ENVIRONMENT = "PBPK_HYBRID_DATA"
COLLECTIONS = ("shipped", "osp", "cvtdb", "pbpk_pc")


def observations(
    name: str, collection: str | None = None, *, folder: str | os.PathLike | None = None
) -> xr.Dataset:
    """Observed concentrations of one compound.

    Parameters
    ----------
    name
        Compound name, alias, CAS number or DTXSID.
    collection
        "shipped", "osp" (Open Systems Pharmacology; humans), "cvtdb" (US EPA; mostly
        rat and mouse) or "pbpk_pc" (Metrum's PBPK_PC; humans; its data have no licence
        and are in no release); None takes all that are there.
    folder
        Folder that holds ``osp/``, ``cvtdb/`` and ``pbpk_pc/``; default as in the
        module's description.

    Returns
    -------
    Dataset
        Dataset of schema ``observation`` over ``sample``, with the further columns of
        ``COLUMNS``; samples of one profile stand together, ordered by time. Time starts
        at the first dose.

    Raises
    ------
    UnknownNameError
        Unknown compound or collection.
    InputError
        no observations of this compound, or the collection's folder is not there.
    """
    if collection is not None:
        check_choice("collection", collection, COLLECTIONS)
    if folder is not None:
        check_path("folder", folder, "a folder")
    compound = get_compound(name)
    key = compound.name.lower()
    wanted = COLLECTIONS if collection is None else (collection,)
    records: list[dict[str, Any]] = []
    for where in wanted:
        if where == "shipped":
            if key in _SHIPPED:
                records += _SHIPPED[key]()
            continue
        if where == "pbpk_pc" and key not in PBPK_PC:
            continue
        path = _collection_file(where, folder, key)
        if path is None:
            if collection is not None:
                raise InputError(
                    "collection",
                    where,
                    f"the file {_file_name(where, key)} in a data folder",
                    hint=f"pass folder=... or set {ENVIRONMENT}; collections are licensed "
                    "apart from the package, and those that may be copied are in "
                    "benchmarks/data of its source repository",
                )
            continue
        records += _READERS[where](path, key, compound.identifiers.get("dtxsid", ""))
    if not records:
        raise InputError(
            "name",
            name,
            "a compound with observed concentrations",
            hint="shipped with the package: " + ", ".join(sorted(_SHIPPED)),
        )
    return _dataset(records, compound.name)


def list_observations(folder: str | os.PathLike | None = None) -> list[dict[str, Any]]:
    """Which compounds have observations: rows of ``compound, collection, profiles, samples``."""
    counts: dict[tuple[str, str], tuple[set, int]] = {}
    for name, read in _SHIPPED.items():
        records = read()
        counts[name, "shipped"] = ({sample["profile"] for sample in records}, len(records))
    for where in ("osp", "cvtdb"):
        path = _collection_file(where, folder)
        if path is None:
            continue
        for sample in _READERS[where](path, None, ""):
            profiles, n = counts.get((sample["compound"], where), (set(), 0))
            counts[sample["compound"], where] = (profiles | {sample["profile"]}, n + 1)
    return [
        {"compound": c, "collection": w, "profiles": len(p), "samples": n}
        for (c, w), (p, n) in sorted(counts.items())
    ]


def _file_name(collection: str, key: str) -> str:
    return _FILES[collection] if collection in _FILES else f"pbpk_pc/{PBPK_PC[key]['file']}"


def _collection_file(
    collection: str, folder: str | os.PathLike | None, key: str = ""
) -> Path | None:
    candidates: Iterable[Path]
    if folder is not None:
        candidates = [Path(folder).expanduser()]
    elif os.environ.get(ENVIRONMENT):
        candidates = [Path(os.environ[ENVIRONMENT]).expanduser()]
    else:  # python/pbpk_hybrid/compounds/observations.py in a checkout
        candidates = [Path(__file__).resolve().parents[3] / "benchmarks" / "data"]
    for base in candidates:
        path = base / _file_name(collection, key)
        if path.is_file():
            return path
    return None


_FILES = {"osp": "osp/osp_observed_data.csv.gz", "cvtdb": "cvtdb/cvt_invivopkfit_2.0.2.csv.gz"}


def _dataset(records: list[dict[str, Any]], name: str) -> xr.Dataset:
    import xarray as xr

    from .._core.schemas import attrs, validate

    order: dict[str, int] = {}
    for sample in records:
        order.setdefault(sample["collection"] + sample["profile"], len(order))
    records = sorted(
        records,
        key=lambda sample: (order[sample["collection"] + sample["profile"]], sample["time"]),
    )
    data = {}
    for key, (unit, meaning) in COLUMNS.items():
        values = [sample[key] for sample in records]
        if key in TEXT:
            data[key] = ("sample", np.array(values, dtype=str), {"long_name": meaning})
        else:
            kind = np.int64 if key in INTEGER else float
            data[key] = (
                "sample",
                np.array(values, dtype=kind),
                {"units": unit, "long_name": meaning},
            )
    ds = xr.Dataset(data, attrs=provenance(title=f"observed concentrations of {name}"))
    for key in ("time", "value", "lloq", "censored", "matrix", "subject", "study", "reference"):
        ds[key].attrs = attrs("observation", key)
    return validate(ds, "observation")


# ---- shipped ------------------------------------------------------------------------------------
def _theophylline() -> list[dict[str, Any]]:
    out = []
    with (SHIPPED / "Theophylline.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter=";"):
            weight, per_kg = float(row["Wt"]), float(row["Dose"])
            out.append(
                record(
                    time=float(row["Time"]),
                    value=float(row["conc"]),
                    matrix="serum",
                    subject=row["Subject"],
                    study="Upton",
                    reference="Boeckmann, Sheiner & Beal (1994) NONMEM Users Guide V",
                    profile=f"Upton subject {row['Subject']}",
                    collection="shipped",
                    compound="theophylline",
                    species="human",
                    route="oral",
                    dose=weight * per_kg,
                    dose_per_body_weight=per_kg,
                    body_weight=weight,
                    infusion_duration=0.0,
                    dose_times="0",
                    n_subjects=1.0,
                )
            )
    return out


def _warfarin() -> list[dict[str, Any]]:
    out, dose = [], np.nan
    with (SHIPPED / "Warfarin_Holford1986.csv").open(encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["NAME"] == "Warfarin oral dose":
                dose = float(row["VALUE"].removesuffix("mg"))
            elif row["NAME"] == "Warfarin plasma concentration":
                out.append(
                    record(
                        time=float(row["TIME"].removesuffix("h")),
                        value=float(row["VALUE"].removesuffix("ug/L")) / 1000,
                        matrix="plasma",
                        subject="mean",
                        study="Holford 1986",
                        reference="Holford (1986) Clin Pharmacokinet 11:483, figure 1",
                        profile="Holford 1986, 15 mg oral",
                        collection="shipped",
                        compound="warfarin",
                        species="human",
                        route="oral",
                        dose=dose,
                        infusion_duration=0.0,
                        dose_times="0",
                    )
                )
    return out


_SHIPPED: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "theophylline": _theophylline,
    "warfarin": _warfarin,
}


_READERS: dict[str, Callable[[Path, Any, str], list[dict[str, Any]]]] = {
    "osp": read_osp,
    "cvtdb": read_cvtdb,
    "pbpk_pc": read_pbpk_pc,
}
