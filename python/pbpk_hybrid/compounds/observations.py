"""Observed concentrations as ``observation`` Datasets: mg/L and h, and for each profile what a simulation needs to repeat it.

Two small data sets ship with the package. Larger collections under other licences are read from a folder: the argument
`folder`, else the environment variable ``PBPK_HYBRID_DATA``, else ``benchmarks/data`` of a source checkout.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, unknown_name
from .._core.provenance import provenance
from .._core.schemas import attrs, validate
from .database import get_compound

SHIPPED = Path(__file__).parent / "data" / "observations"
ENVIRONMENT = "PBPK_HYBRID_DATA"
COLLECTIONS = ("shipped", "osp", "cvtdb")

# name -> (unit, meaning); text where the unit is None. The first eight belong to the schema.
COLUMNS: dict[str, tuple[str | None, str]] = {
    "time": ("h", "time after the first dose"),
    "value": ("mg/L", "observed concentration"),
    "lloq": ("mg/L", "lower limit of quantification"),
    "censored": ("1", "1 where the value is below lloq"),
    "matrix": (None, "plasma, blood or serum"),
    "subject": (None, "subject label; 'mean' for a group mean"),
    "study": (None, "study"),
    "reference": (None, "bibliographic source"),
    "profile": (None, "label of the concentration-time profile the sample belongs to"),
    "collection": (None, "where the data were collected"),
    "compound": (None, "compound measured"),
    "species": (None, "species"),
    "route": (None, "iv_bolus, iv_infusion, iv (bolus or infusion, not said) or oral"),
    "dose": ("mg", "one dose; NaN where not reported or per body weight with no weight known"),
    "dose_per_body_weight": ("mg/kg", "one dose per body weight, where given so"),
    "body_weight": ("kg", "body weight"),
    "infusion_duration": ("h", "duration of the infusion; NaN where not reported, 0 for a bolus"),
    "dose_times": (None, "times of all doses [h], separated by ';'; empty where not reported"),
    "standard_deviation": ("mg/L", "standard deviation between people of a mean value"),
    "n_subjects": ("1", "number of people or animals behind a mean value"),
    "group": (None, "arm of the study as labelled in the source"),
    "interaction": ("1", "1 where another drug was given that may change the curve (judged from the label)"),
}
_TEXT = tuple(k for k, (unit, _) in COLUMNS.items() if unit is None)
_INTEGER = ("censored", "interaction")


def observations(name: str, collection: str | None = None, *, folder: str | os.PathLike | None = None) -> xr.Dataset:
    """Observed concentrations of one compound.

    Parameters
    ----------
    name : compound name, alias, CAS number or DTXSID
    collection : "shipped", "osp" (Open Systems Pharmacology; humans) or "cvtdb" (US EPA; mostly rat and mouse); None takes all
        that are there
    folder : folder that holds ``osp/`` and ``cvtdb/``; default as in the module's description

    Returns
    -------
    Dataset of schema ``observation`` over ``sample``, with the further columns of ``COLUMNS``; samples of one
    profile stand together, ordered by time. Time starts at the first dose.

    Raises
    ------
    UnknownNameError : unknown compound or collection
    InputError : no observations of this compound, or the collection's folder is not there
    """
    if collection is not None and collection not in COLLECTIONS:
        raise unknown_name("collection", collection, COLLECTIONS)
    compound = get_compound(name)
    key = compound.name.lower()
    wanted = COLLECTIONS if collection is None else (collection,)
    records: list[dict[str, Any]] = []
    for where in wanted:
        if where == "shipped":
            if key in _SHIPPED:
                records += _SHIPPED[key]()
            continue
        path = _collection_file(where, folder)
        if path is None:
            if collection is not None:
                raise InputError(
                    "collection", where, f"the file {_FILES[where]} in a data folder",
                    hint=f"pass folder=... or set {ENVIRONMENT}; the collection is licensed apart from the package and is "
                    "in benchmarks/data of its source repository",
                )
            continue
        reader = _osp if where == "osp" else _cvtdb
        records += reader(path, key, compound.identifiers.get("dtxsid", ""))
    if not records:
        raise InputError("name", name, "a compound with observed concentrations",
                         hint="shipped with the package: " + ", ".join(sorted(_SHIPPED)))
    return _dataset(records, compound.name)


def list_observations(folder: str | os.PathLike | None = None) -> list[dict[str, Any]]:
    """Which compounds have observations: rows of ``compound, collection, profiles, samples``."""
    counts: dict[tuple[str, str], tuple[set, int]] = {}
    for name, read in _SHIPPED.items():
        records = read()
        counts[name, "shipped"] = ({r["profile"] for r in records}, len(records))
    for where, reader in (("osp", _osp), ("cvtdb", _cvtdb)):
        path = _collection_file(where, folder)
        if path is None:
            continue
        for r in reader(path, None, ""):
            profiles, n = counts.get((r["compound"], where), (set(), 0))
            counts[r["compound"], where] = (profiles | {r["profile"]}, n + 1)
    return [{"compound": c, "collection": w, "profiles": len(p), "samples": n} for (c, w), (p, n) in sorted(counts.items())]


def _collection_file(collection: str, folder: str | os.PathLike | None) -> Path | None:
    candidates: Iterable[Path]
    if folder is not None:
        candidates = [Path(folder).expanduser()]
    elif os.environ.get(ENVIRONMENT):
        candidates = [Path(os.environ[ENVIRONMENT]).expanduser()]
    else:  # python/pbpk_hybrid/compounds/observations.py in a checkout
        candidates = [Path(__file__).resolve().parents[3] / "benchmarks" / "data"]
    for base in candidates:
        path = base / _FILES[collection]
        if path.is_file():
            return path
    return None


_FILES = {"osp": "osp/osp_observed_data.csv.gz", "cvtdb": "cvtdb/cvt_invivopkfit_2.0.2.csv.gz"}


def _record(**values: Any) -> dict[str, Any]:
    out = {k: "" if k in _TEXT else 0 if k in _INTEGER else np.nan for k in COLUMNS}
    out.update(values)
    return out


def _dataset(records: list[dict[str, Any]], name: str) -> xr.Dataset:
    order: dict[str, int] = {}
    for r in records:
        order.setdefault(r["collection"] + r["profile"], len(order))
    records = sorted(records, key=lambda r: (order[r["collection"] + r["profile"]], r["time"]))
    data = {}
    for key, (unit, meaning) in COLUMNS.items():
        values = [r[key] for r in records]
        if key in _TEXT:
            data[key] = ("sample", np.array(values, dtype=str), {"long_name": meaning})
        else:
            kind = np.int64 if key in _INTEGER else float
            data[key] = ("sample", np.array(values, dtype=kind), {"units": unit, "long_name": meaning})
    ds = xr.Dataset(data, attrs=provenance(title=f"observed concentrations of {name}"))
    for key in ("time", "value", "lloq", "censored", "matrix", "subject", "study", "reference"):
        ds[key].attrs = attrs("observation", key)
    return validate(ds, "observation")


# ------------------------------------------------------------------------------------------------- shipped
def _theophylline() -> list[dict[str, Any]]:
    out = []
    with (SHIPPED / "Theophylline.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter=";"):
            weight, per_kg = float(row["Wt"]), float(row["Dose"])
            out.append(_record(
                time=float(row["Time"]), value=float(row["conc"]), matrix="serum", subject=row["Subject"], study="Upton",
                reference="Boeckmann, Sheiner & Beal (1994) NONMEM Users Guide V", profile=f"Upton subject {row['Subject']}",
                collection="shipped", compound="theophylline", species="human", route="oral", dose=weight * per_kg,
                dose_per_body_weight=per_kg, body_weight=weight, infusion_duration=0.0, dose_times="0", n_subjects=1.0,
            ))  # fmt: skip
    return out


def _warfarin() -> list[dict[str, Any]]:
    out, dose = [], np.nan
    with (SHIPPED / "Warfarin_Holford1986.csv").open(encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["NAME"] == "Warfarin oral dose":
                dose = float(row["VALUE"].removesuffix("mg"))
            elif row["NAME"] == "Warfarin plasma concentration":
                out.append(_record(
                    time=float(row["TIME"].removesuffix("h")), value=float(row["VALUE"].removesuffix("ug/L")) / 1000,
                    matrix="plasma", subject="mean", study="Holford 1986",
                    reference="Holford (1986) Clin Pharmacokinet 11:483, figure 1", profile="Holford 1986, 15 mg oral",
                    collection="shipped", compound="warfarin", species="human", route="oral", dose=dose,
                    infusion_duration=0.0, dose_times="0",
                ))  # fmt: skip
    return out


_SHIPPED: dict[str, Callable[[], list[dict[str, Any]]]] = {"theophylline": _theophylline, "warfarin": _warfarin}


# ------------------------------------------------------------------------------------------------- OSP
_MOLECULE = {  # labels as they stand in the files -> compound
    "fluvoxaminekujjhöjö": "fluvoxamine",
    "clarithromycin test old": "clarithromycin",
    "midazolam_userdeftemplate": "midazolam",
}
_PERPETRATORS = (
    "ketoconazole|itraconazole|fluconazole|voriconazole|posaconazole|clarithromycin|erythromycin|troleandomycin|rifamp|"
    "grapefruit|cimetidine|ranitidine|efavirenz|fluvoxamine|ritonavir|verapamil|diltiazem|aprepitant|st\\.? ?john|phenytoin|"
    "carbamazepine|cyclosporin|quinidine|mibefradil|nefazodone|fluoxetine|perpetrator|inhibit|induc|\\bddi\\b|with |pretreat|"
    "coadmin|co-admin|after treatment|probenecid|gemfibrozil|valpro|propranolol|digoxin|midazolam|alfentanil|omeprazole"
)
_ALONE = re.compile(r"control|placebo|alone|without|\bw/o\b|\bonly\b|baseline|no inhibitor", re.IGNORECASE)
_ROUTES = {"iv": "iv", "iv bolus": "iv_bolus", "po": "oral", "capsule": "oral"}
_INFUSION = re.compile(r"(\d+(?:\.\d+)?)[ -_]?min[ _-]?infusion", re.IGNORECASE)
_DOSE = re.compile(r"^([\d.]+)\s*(mg/kg|µg/kg|ug/kg|ng/kg|mg|g|µg|ug|ng)?\s*(?:SD|iv|po)?$", re.IGNORECASE)
_MG = {"mg": 1.0, "g": 1000.0, "µg": 1e-3, "ug": 1e-3, "ng": 1e-6}
_TO_MG_L = {"mg/l": 1.0, "µg/ml": 1.0, "ug/ml": 1.0, "ng/ml": 1e-3, "µg/l": 1e-3, "ug/l": 1e-3}


def _osp(path: Path, name: str | None, dtxsid: str) -> list[dict[str, Any]]:
    """Rows of osp_observed_data.csv.gz: concentrations in blood, plasma or serum of the compound `name` (None: all)."""
    import pandas as pd

    table = pd.read_csv(path, low_memory=False)
    molecule = table["molecule"].str.lower().map(lambda m: _MOLECULE.get(m, m))
    keep = table["compartment"].isin(["Plasma", "Whole Blood"]) & table["organ"].isin(
        ["Peripheral Venous Blood", "Arterial Blood"]
    )
    keep &= table["unit"].notna() & ~table["dimension"].eq("Fraction") & table["value"].notna()
    if name is not None:
        keep &= molecule.eq(name)
    table = table.assign(molecule=molecule)[keep]
    out: list[dict[str, Any]] = []
    for (repo, dataset, substance, organ, compartment), rows in table.groupby(
        ["repo", "dataset", "molecule", "organ", "compartment"], sort=False
    ):
        out += _osp_profile(repo, dataset, substance, organ, compartment, rows)
    return out


def _osp_profile(repo, dataset, substance, organ, compartment, rows) -> list[dict[str, Any]]:
    first = rows.iloc[0]
    hours = rows["time"].to_numpy(float) * np.where(rows["time_unit"].eq("day(s)"), 24.0, 1.0)
    dose_times, start = dosing_times(first["times_of_administration_h"], hours)
    group = _text(first["grouping"])
    label = f"{group} {dataset}"
    dose, per_kg = osp_dose(first["dose"], dataset)
    route, duration = osp_route(first["route"], first["formulation"], dataset)
    factor = np.array([_concentration_factor(u, m) for u, m in zip(rows["unit"], rows["mol_weight"], strict=True)])
    values = rows["value"].to_numpy(float) * factor
    error = rows["error"].to_numpy(float) * factor
    error[~rows["error_type"].eq("ArithmeticStdDev").to_numpy()] = np.nan
    kind = _text(first["data_type"])
    n = re.search(r"\(n ?= ?(\d+)\)", dataset)
    individual = kind == "individual" or "indiv." in dataset
    others = re.sub(re.escape(substance), "", label, flags=re.IGNORECASE)
    interaction = bool(re.search(_PERPETRATORS, others, re.IGNORECASE)) and not _ALONE.search(label)
    common = dict(
        matrix="blood" if compartment == "Whole Blood" else "plasma",
        subject=group or dataset if individual else "mean", study=_text(first["study"]) or dataset,
        reference=_text(first["reference"]) or f"{_text(first['study']) or dataset}, in {repo}",
        profile=dataset + (" (arterial)" if organ == "Arterial Blood" else ""), collection="osp", compound=substance,
        species="human", route=route, dose=dose, dose_per_body_weight=per_kg, infusion_duration=duration,
        dose_times=dose_times, n_subjects=1.0 if individual else float(n[1]) if n else np.nan, group=group,
        interaction=int(interaction),
    )  # fmt: skip
    # times before the first dose are baselines of other phases: kept, as the schema allows them
    return [
        _record(time=t - start, value=max(v, 0.0) if np.isfinite(v) else np.nan, standard_deviation=s, **common)
        for t, v, s in zip(hours, values, error, strict=True)
    ]


def _text(value: Any) -> str:
    text = "" if value is None or value != value else str(value).strip()
    return "" if text == "." else text


def _concentration_factor(unit: str, molar_mass: float) -> float:
    """What turns a value of `unit` into mg/L."""
    unit = str(unit).lower()
    if unit == "µmol/l":
        return float(molar_mass) / 1000.0
    if unit not in _TO_MG_L:
        raise unknown_name("unit", unit, _TO_MG_L, what="a concentration unit")
    return _TO_MG_L[unit]


def osp_dose(dose: Any, dataset: str) -> tuple[float, float]:
    """Dose [mg] and dose per body weight [mg/kg] of a label such as ``"15 µg/kg"``; NaN for what it does not say.

    A bare number is mg, or mg/kg where the data set's name says so.
    """
    text = _text(dose).replace(",", ".")
    match = _DOSE.match(text)
    if not match:
        return np.nan, np.nan
    number, unit = float(match[1]), (match[2] or "").lower()
    if unit.endswith("/kg"):
        return np.nan, number * _MG[unit[:-3]]
    if not unit and re.search(r"mg[/ ]?kg", dataset):
        return np.nan, number
    return number * _MG[unit or "mg"], np.nan


def osp_route(route: Any, formulation: Any, dataset: str) -> tuple[str, float]:
    """Route and infusion duration [h] (NaN where a duration is not reported) from the labels of a profile."""
    text = _text(route).lower()
    words = f"{text} {_text(formulation).lower()} {dataset.lower()}"
    minutes = _INFUSION.search(words)
    if minutes and not text.startswith(("po", "capsule")):
        return "iv_infusion", float(minutes[1]) / 60.0
    if text in ("po", "capsule"):
        return "oral", 0.0
    if text in ("iv", "iv bolus") or text.startswith("iv_"):
        if "bolus" in words and "cnt" not in words:
            return "iv_bolus", 0.0
        return ("iv_infusion" if "infusion" in words else "iv"), np.nan
    if not text or text == "na":
        if re.search(r"(^|[ _.,-])iv($|[ _.,-])", dataset, re.IGNORECASE):
            return "iv", np.nan
        if re.search(r"(^|[ _.,-])(po|oral)($|[ _.,-])", dataset, re.IGNORECASE):
            return "oral", 0.0
    return "", np.nan


def dosing_times(label: Any, hours: np.ndarray) -> tuple[str, float]:
    """Times of all doses, from the first one, as text; and the clock time of the first dose.

    Understood: a number, ``"0-12-24"``, ``"S0-T8-R7"`` (start 0, every 8 h, 7 doses) and sums of them. A single time later
    than the first sample is a slip of the source and taken as 0. An empty text means that the label says nothing.
    """
    text = _text(label).replace(" ", "").strip()
    if not text:
        return "", 0.0
    try:
        single = float(text)
    except ValueError:
        pass
    else:
        return "0", (single if single <= np.min(hours) else 0.0)
    times: list[float] = []
    rest = text
    for m in re.finditer(r"\(?S-?(\d+(?:\.\d+)?)[-,]T-?(\d+(?:\.\d+)?)[-,](?:R-?)?(\d+)\)?", text):
        start, every, count = float(m[1]), float(m[2]), int(m[3])
        times += [start + every * i for i in range(count)]
        rest = rest.replace(m[0], "", 1)
    rest = rest.strip("-,()")
    if rest:
        try:
            times += [float(p) for p in re.split(r"[-,]", rest) if p]
        except ValueError:
            return "", 0.0
    times = sorted(set(times))
    return ";".join(f"{t - times[0]:g}" for t in times), times[0]


# ------------------------------------------------------------------------------------------------- CvTdb
_MINUTES = {"seconds": 1 / 3600, "minute": 1 / 60, "minutes": 1 / 60}


def _cvtdb(path: Path, name: str | None, dtxsid: str) -> list[dict[str, Any]]:
    """Rows of the CvTdb export: parent compound after a dose of itself (`name` None: all compounds)."""
    import pandas as pd

    table = pd.read_csv(path, low_memory=False)
    keep = table["conc"].notna() & table["analyzed_chem_dtxsid"].eq(table["dosed_chem_dtxsid"]) & table["time_hr"].notna()
    keep &= table["conc"] >= 0
    if name is not None:
        keep &= table["analyzed_chem_dtxsid"].eq(dtxsid) if dtxsid else table["analyzed_chem_name"].str.lower().eq(name)
    table = table[keep]
    out = []
    for row in table.to_dict("records"):
        iv = row["administration_route_normalized"] == "iv"
        unit = _text(row["dose_duration_units"])
        duration = float(row["dose_duration"]) * _MINUTES[unit] if unit else (np.nan if iv else 0.0)
        weight, per_kg = float(row["weight_kg"]), float(row["dose_level_normalized"])
        source = _text(row["doi"]) or (f"PMID {int(row['pmid'])}" if row["pmid"] == row["pmid"] else "CvTdb")
        lloq = float(row["loq"])
        n = float(row["n_subjects_normalized"])
        out.append(_record(
            time=float(row["time_hr"]), value=float(row["conc"]), lloq=lloq, censored=int(float(row["conc"]) < lloq),
            matrix=row["conc_medium_normalized"], subject="mean" if not n == 1 else _text(row["fk_subject_id"]),
            study=f"CvTdb study {row['fk_study_id']}", reference=source,
            profile=f"CvTdb series {row['fk_series_id']}", collection="cvtdb",
            compound=name or _text(row["analyzed_chem_name"]).lower() or row["analyzed_chem_dtxsid"],
            species=row["species"], route=("iv_bolus" if duration == 0 else "iv" if np.isnan(duration) else "iv_infusion")
            if iv else "oral",
            dose=per_kg * weight, dose_per_body_weight=per_kg, body_weight=weight, infusion_duration=duration,
            dose_times="0", standard_deviation=float(row["conc_sd"]), n_subjects=n,
        ))  # fmt: skip
    return out
