"""Readers of the observation collections PBPK_PC and CvTdb: each turns a file into records,
one per sample (see :mod:`.observation_columns`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._core.limits import table_file
from .observation_columns import record, text

# ---- PBPK_PC ------------------------------------------------------------------------------------
#: Dose, route and unit of each file as stated in that repository's scripts
#: (metrumresearchgroup/PBPK_PC 75a5944). Not listed: thiopental, whose dose per enantiomer is
#: not clear, and drugs that are not curated here.
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
    """The samples of one file of ``PBPK_PC``, as records of :mod:`.observation_columns`."""
    about = PBPK_PC[name]
    rows = list(csv.DictReader(table_file(path), skipinitialspace=True))
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
#: hours in a unit of infusion duration
_HOURS = {"seconds": 1 / 3600, "minute": 1 / 60, "minutes": 1 / 60}
CHILD_WEIGHT = 40.0  # kg, below which a person without an age is taken for a child


def read_cvtdb(path: Path, name: str | None, dtxsid: str) -> list[dict[str, Any]]:
    """Rows of the CvTdb export: parent compound after a dose of itself (`name` None:
    all compounds).
    """
    import pandas as pd

    table = pd.read_csv(table_file(path), low_memory=False)
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
    return [_cvtdb_sample(row, name) for row in table.to_dict("records")]


def _cvtdb_sample(row: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """One row of the export; `name` of the compound, None: as the row names it."""
    route, duration = _cvtdb_route(row)
    weight, per_kg = float(row["weight_kg"]), float(row["dose_level_normalized"])
    pmid = f"PMID {int(row['pmid'])}" if row["pmid"] == row["pmid"] else "CvTdb"  # NaN: none
    lloq = float(row["loq"])
    n_subjects = float(row["n_subjects_normalized"])
    compound = text(row["analyzed_chem_name"]).lower() or row["analyzed_chem_dtxsid"]
    return record(
        time=float(row["time_hr"]),
        value=float(row["conc"]),
        lloq=lloq,
        censored=int(float(row["conc"]) < lloq),
        matrix=row["conc_medium_normalized"],
        subject="mean" if n_subjects != 1 else text(row["fk_subject_id"]),
        study=f"CvTdb study {row['fk_study_id']}",
        reference=text(row["doi"]) or pmid,
        profile=f"CvTdb series {row['fk_series_id']}",
        collection="cvtdb",
        compound=name or compound,
        species=row["species"],
        route=route,
        dose=per_kg * weight,
        dose_per_body_weight=per_kg,
        body_weight=weight,
        infusion_duration=duration,
        dose_times="0",
        special_population=int(row["species"] == "human" and weight < CHILD_WEIGHT),
        standard_deviation=float(row["conc_sd"]),
        n_subjects=n_subjects,
    )


def _cvtdb_route(row: Mapping[str, Any]) -> tuple[str, float]:
    """Route and infusion duration [h] of a row; NaN where it says none."""
    unit = text(row["dose_duration_units"])
    intravenous = row["administration_route_normalized"] == "iv"
    if unit:
        duration = float(row["dose_duration"]) * _HOURS[unit]
    else:
        duration = np.nan if intravenous else 0.0
    if not intravenous:
        return "oral", duration
    if np.isnan(duration):
        return "iv", duration
    return ("iv_bolus" if duration == 0 else "iv_infusion"), duration
