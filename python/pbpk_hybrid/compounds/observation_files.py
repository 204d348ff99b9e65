"""Readers of the observation collections: each turns a file into records, one per
sample (see ``COLUMNS``).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from .._core.errors import unknown_name
from .observation_corrections import DOSE, SALT, TIMES, corrected, infusion_durations

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
    "interaction": (
        "1",
        "1 where another drug was given that may change the curve (judged from the label)",
    ),
    "special_population": (
        "1",
        "1 for children, old age, organ impairment or poor metabolisers (judged from the label)",
    ),
}
TEXT = tuple(k for k, (unit, _) in COLUMNS.items() if unit is None)
INTEGER = ("censored", "interaction", "special_population")


def record(**values: Any) -> dict[str, Any]:
    """One sample: `values`, and for the other columns empty text, 0 or NaN."""
    out = {k: "" if k in TEXT else 0 if k in INTEGER else np.nan for k in COLUMNS}
    out.update(values)
    return out


# ---- OSP ----------------------------------------------------------------------------------------
_MOLECULE = {  # labels as they stand in the files -> compound
    "fluvoxaminekjujhöjö": "fluvoxamine",
    "clarithromycin test old": "clarithromycin",
    "midazolam_userdeftemplate": "midazolam",
}
_PERPETRATORS = (
    "ketoconazole|itraconazole|fluconazole|voriconazole|posaconazole|clarithromycin|erythromycin|troleandomycin|rifamp|"
    "grapefruit|cimetidine|ranitidine|efavirenz|fluvoxamine|ritonavir|verapamil|diltiazem|aprepitant|st\\.? ?john|"
    "phenytoin|"
    "carbamazepine|cyclosporin|quinidine|mibefradil|nefazodone|fluoxetine|perpetrator|inhibit|induc|\\bddi\\b|"
    "pretreat|"
    "\\+ ?[a-z]{4}|coadmin|co-admin|after treatment|"
    "probenecid|gemfibrozil|with hyperforin|echinacea|valpro|propranolol|digoxin|midazolam|alfentanil|omeprazole"
)
_SPECIAL = re.compile(
    r"cirrho|renal (failure|insuff|disease)|impair|dialysis|uraemi|uremi|\bckd\b|obes|elderly|\bold\b|child|infant|neonat|"
    r"pregnan|burn|intensive care|poor metab|(?<![a-z])pm(?![a-z])|\*2/\*2|hypoxi|heart failure|surg",
    re.IGNORECASE,
)
_REPEATED = re.compile(
    r"day ?([2-9]|\d\d)|\bmd\b|\b(bid|tid|qid|qd)\b|multiple|steady|\bss\b", re.IGNORECASE
)
FIRST_SAMPLE_WITHIN = 12.0  # h
CHILD_WEIGHT = 40.0  # kg, below which a person without an age is taken for a child
_ALONE = re.compile(  # "alone" as a word: there is a Salonen among the authors
    r"control|placebo|(?<![a-z])alone(?![a-z])|without|\bw/o\b|\bonly\b|baseline|before|no inhibitor",
    re.IGNORECASE,
)
_ROUTES = {"iv": "iv", "iv bolus": "iv_bolus", "po": "oral", "capsule": "oral"}
_INFUSION = re.compile(r"(\d+(?:\.\d+)?)[ -_]?min[ _-]?infusion", re.IGNORECASE)
_DOSE = re.compile(
    r"^([\d.]+)\s*(mg/kg|µg/kg|ug/kg|ng/kg|mg|g|µg|ug|ng)?\s*(?:SD|iv|po)?$", re.IGNORECASE
)
_MG = {"mg": 1.0, "g": 1000.0, "µg": 1e-3, "ug": 1e-3, "ng": 1e-6}
_TO_MG_L = {"mg/l": 1.0, "µg/ml": 1.0, "ug/ml": 1.0, "ng/ml": 1e-3, "µg/l": 1e-3, "ug/l": 1e-3}


def read_osp(path: Path, name: str | None, dtxsid: str) -> list[dict[str, Any]]:
    """Rows of osp_observed_data.csv.gz: concentrations in blood, plasma or serum of the
    compound `name` (None: all).
    """
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
        out += _osp_profile(
            repo, dataset, substance, organ, compartment, rows, infusion_durations(path.parent)
        )
    return out


def _osp_profile(
    repo, dataset, substance, organ, compartment, rows, durations
) -> list[dict[str, Any]]:
    first = rows.iloc[0]
    hours = rows["time"].to_numpy(float) * np.where(rows["time_unit"].eq("day(s)"), 24.0, 1.0)
    times_label, times_note = corrected(TIMES, dataset, _text(first["times_of_administration_h"]))
    dose_times, start = dosing_times(times_label, hours)
    if not dose_times and not _REPEATED.search(dataset) and np.min(hours) < FIRST_SAMPLE_WITHIN:
        dose_times = (
            "0"  # no label: one dose, unless the name says otherwise or sampling starts late
        )
    elif dose_times == "0" and np.min(hours - start) > FIRST_SAMPLE_WITHIN:
        dose_times = (
            ""  # "one dose at 0", yet sampled from the next day on: the label contradicts the data
        )
    group = _text(first["grouping"])
    label = f"{group} {dataset}"
    dose_label, dose_note = corrected(DOSE, dataset, _text(first["dose"]))
    dose, per_kg = osp_dose(dose_label, dataset)
    salt, salt_note = SALT.get(substance, (1.0, ""))
    dose, per_kg = salt * dose, salt * per_kg
    group = "; ".join(filter(None, (group, dose_note, times_note, salt_note)))
    route, duration = osp_route(first["route"], first["formulation"], dataset)
    if route.startswith("iv") and np.isnan(duration) and dataset in durations:
        duration = durations[dataset]
        if duration is None:  # a bolus and an infusion, say: no single dose repeats it
            duration, dose_times = np.nan, ""
        else:
            route = "iv_infusion" if duration > 0 else "iv_bolus"
    factor = np.array(
        [_concentration_factor(u, m) for u, m in zip(rows["unit"], rows["mol_weight"], strict=True)]
    )
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
        subject=group or dataset if individual else "mean",
        study=_text(first["study"]) or dataset,
        reference=_text(first["reference"]) or f"{_text(first['study']) or dataset}, in {repo}",
        profile=dataset + (" (arterial)" if organ == "Arterial Blood" else ""),
        collection="osp",
        compound=substance,
        species="human",
        route=route,
        dose=dose,
        dose_per_body_weight=per_kg,
        infusion_duration=duration,
        dose_times=dose_times,
        n_subjects=1.0 if individual else float(n[1]) if n else np.nan,
        group=group,
        interaction=int(interaction),
        special_population=int(bool(_SPECIAL.search(label))),
    )
    # times before the first dose are baselines of other phases: kept, as the schema allows them
    return [
        record(
            time=t - start,
            value=max(v, 0.0) if np.isfinite(v) else np.nan,
            standard_deviation=s,
            **common,
        )
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
    """Dose [mg] and dose per body weight [mg/kg] of a label such as ``"15 µg/kg"``; NaN
    for what it does not say.

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
    """Route and infusion duration [h] (NaN where a duration is not reported) from the
    labels of a profile.
    """
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

    Understood: a number, ``"0-12-24"``, ``"S0-T8-R7"`` (start 0, every 8 h, 7 doses)
    and sums of them. A single time later than the first sample is a slip of the source
    and taken as 0. An empty text means that the label says nothing.
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


# ---- PBPK_PC ------------------------------------------------------------------------------------
# Dose, route and unit of each file as stated in that repository's scripts
# (metrumresearchgroup/PBPK_PC 75a5944).
# Not listed: thiopental (whose dose per enantiomer is not clear) and drugs that are not curated
# here.
PBPK_PC: dict[str, dict[str, Any]] = {
    "alfentanil": dict(
        file="obs_alfentanil.csv", value="conc", factor=1e-3, dose=3.5, route="iv_bolus"
    ),
    "caffeine": dict(file="obs_caffeine.csv", value="conc", factor=1.0, dose=150.0, route="oral"),
    # tracer dose of 0.013 mg; values in percent of dose per litre
    "digoxin": dict(
        file="obs_iv_digoxin.csv", value="conc", factor=0.013 / 100, dose=0.013, route="iv_bolus"
    ),
    "metoprolol": dict(
        file="obs_metoprolol.csv", value="mean", factor=1.0, dose=10.0, route="iv_bolus"
    ),
    "midazolam": dict(file="obs_midazolam.csv", value="conc", factor=1e-3, dose=2.0, route="oral"),
    # 400 mg over 1 h every 12 h; sampled after the ninth dose, at 96 h
    "ofloxacin": dict(
        file="obs_iv_ofloxacin.csv",
        value="conc",
        factor=1.0,
        dose=400.0,
        route="iv_infusion",
        duration=1.0,
        dose_times=";".join(str(12 * i) for i in range(9)),
        start=96.0,
    ),
}


def read_pbpk_pc(path: Path, name: str, dtxsid: str) -> list[dict[str, Any]]:
    """The samples of one file of ``PBPK_PC``."""
    about = PBPK_PC[name]
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    return [
        record(
            time=float(r["time"]) + about.get("start", 0.0),
            value=float(r[about["value"]]) * about["factor"],
            matrix="plasma",
            subject="mean",
            study="PBPK_PC",
            reference=f"metrumresearchgroup/PBPK_PC, {about['file']}",
            profile=f"PBPK_PC {about['file']}",
            collection="pbpk_pc",
            compound=name,
            species="human",
            route=about["route"],
            dose=about["dose"],
            infusion_duration=about.get("duration", 0.0),
            dose_times=about.get("dose_times", "0"),
        )
        for r in rows
    ]


# ---- CvTdb --------------------------------------------------------------------------------------
_MINUTES = {"seconds": 1 / 3600, "minute": 1 / 60, "minutes": 1 / 60}


def read_cvtdb(path: Path, name: str | None, dtxsid: str) -> list[dict[str, Any]]:
    """Rows of the CvTdb export: parent compound after a dose of itself (`name` None:
    all compounds).
    """
    import pandas as pd

    table = pd.read_csv(path, low_memory=False)
    keep = (
        table["conc"].notna()
        & table["analyzed_chem_dtxsid"].eq(table["dosed_chem_dtxsid"])
        & table["time_hr"].notna()
    )
    keep &= table["conc"] >= 0
    if name is not None:
        keep &= (
            table["analyzed_chem_dtxsid"].eq(dtxsid)
            if dtxsid
            else table["analyzed_chem_name"].str.lower().eq(name)
        )
    table = table[keep]
    out = []
    for row in table.to_dict("records"):
        iv = row["administration_route_normalized"] == "iv"
        unit = _text(row["dose_duration_units"])
        duration = float(row["dose_duration"]) * _MINUTES[unit] if unit else (np.nan if iv else 0.0)
        weight, per_kg = float(row["weight_kg"]), float(row["dose_level_normalized"])
        source = _text(row["doi"]) or (
            f"PMID {int(row['pmid'])}" if row["pmid"] == row["pmid"] else "CvTdb"
        )
        lloq = float(row["loq"])
        n = float(row["n_subjects_normalized"])
        out.append(
            record(
                time=float(row["time_hr"]),
                value=float(row["conc"]),
                lloq=lloq,
                censored=int(float(row["conc"]) < lloq),
                matrix=row["conc_medium_normalized"],
                subject="mean" if n != 1 else _text(row["fk_subject_id"]),
                study=f"CvTdb study {row['fk_study_id']}",
                reference=source,
                profile=f"CvTdb series {row['fk_series_id']}",
                collection="cvtdb",
                compound=name
                or _text(row["analyzed_chem_name"]).lower()
                or row["analyzed_chem_dtxsid"],
                species=row["species"],
                route=(
                    "iv_bolus" if duration == 0 else "iv" if np.isnan(duration) else "iv_infusion"
                )
                if iv
                else "oral",
                dose=per_kg * weight,
                dose_per_body_weight=per_kg,
                body_weight=weight,
                infusion_duration=duration,
                dose_times="0",
                special_population=int(row["species"] == "human" and weight < CHILD_WEIGHT),
                standard_deviation=float(row["conc_sd"]),
                n_subjects=n,
            )
        )
    return out
