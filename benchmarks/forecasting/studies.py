"""The real data sets with individual profiles, each as observation, regimen and covariates. None was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pbpk_hybrid import Regimen, observations
from pbpk_hybrid._core import schemas
from pbpk_hybrid._core.errors import UnknownNameError

DATA = Path(__file__).resolve().parents[1] / "data"
NLMIXR, R = DATA / "nlmixr2data", DATA / "r_datasets"
#: the PK-DB tables are not part of this repository; they are used where they lie beside the checkout
PKDB = (
    Path(__file__).resolve().parents[3]
    / "shared"
    / "data"
    / "pkdb_koenig"
    / "pk_timecourses.csv.gz"
)


@dataclass
class Study:
    """One compound's individuals, ready for ``Forecaster.forecast``; `compound` names it where the database has it."""

    name: str
    observation: xr.Dataset
    regimen: Regimen
    physiology: dict[str, Any]
    compound: str | None = None


def make(
    name: str,
    samples: pd.DataFrame,
    doses: pd.DataFrame,
    people: pd.DataFrame,
    compound: str | None = None,
) -> Study:
    """A study from three tables: samples (subject, time, value), doses (subject, time, amount, route, duration), people."""
    people = people.reset_index(drop=True)
    number = {s: i for i, s in enumerate(people["subject"])}
    samples = samples.sort_values(["subject", "time"], kind="stable")
    n = len(samples)
    text = lambda value: ("sample", np.full(n, value))
    ds = xr.Dataset(
        {
            "time": (
                "sample",
                samples["time"].to_numpy(float),
                schemas.attrs("observation", "time"),
            ),
            "value": (
                "sample",
                samples["value"].to_numpy(float),
                schemas.attrs("observation", "value"),
            ),
            "matrix": text("plasma"),
            "subject": ("sample", np.array([str(number[s]) for s in samples["subject"]])),
            "study": text(name),
            "reference": text(name),
        }
    )
    regimen = Regimen(
        {
            "subject": [number[s] for s in doses["subject"]],
            "time": doses["time"].to_numpy(float),
            "amount": doses["amount"].to_numpy(float),
            "route": doses["route"].to_numpy(str),
            "duration": doses["duration"].to_numpy(float),
        }
    )
    given = {c: people[c].tolist() for c in people.columns if c != "subject"}
    return Study(
        name, ds, regimen, {"subject": [str(i) for i in range(len(people))], **given}, compound
    )


def theophylline() -> Study:
    """Twelve people, 320 mg by mouth, 10 samples after the dose (Upton)."""
    t = pd.read_csv(NLMIXR / "theo_sd.csv.gz").rename(
        columns={"ID": "subject", "TIME": "time", "WT": "body_weight"}
    )
    return _nonmem("theophylline", t, t["EVID"] > 0, "oral", "DV", "theophylline")


def warfarin() -> Study:
    """32 people, 1.5 mg/kg by mouth (O'Reilly 1963, 1968), racemic drug in plasma."""
    t = pd.read_csv(NLMIXR / "warfarin.csv.gz").rename(
        columns={"id": "subject", "wt": "body_weight", "amt": "AMT"}
    )
    t = t[t["dvid"].eq("cp")]
    return _nonmem("warfarin", t, t["evid"] == 1, "oral", "dv", "warfarin")


def phenobarbital() -> Study:
    """59 neonates on a loading and many maintenance doses (Grasela & Donn 1985), one to six samples each."""
    t = pd.read_csv(NLMIXR / "pheno_sd.csv.gz").rename(
        columns={"ID": "subject", "TIME": "time", "WT": "body_weight"}
    )
    return _nonmem("phenobarbital", t, t["EVID"] == 1, "iv_bolus", "DV")


def quinidine() -> Study:
    """136 patients by mouth, routine samples (Verme et al. 1992); doses between a record with `interval` and its predecessor
    are those of that interval."""
    t = pd.read_csv(R / "nlme_Quinidine.csv.gz").rename(
        columns={"Subject": "subject", "Weight": "body_weight", "Age": "age", "Height": "height"}
    )
    t["height"] *= 2.54
    rows = []
    for subject, mine in t[t["dose"].notna()].groupby("subject", sort=False):
        before = -np.inf
        for _, r in mine.iterrows():
            step = r["interval"]
            if step > 0:
                room = (r["time"] - before) / step
                earlier = int(np.ceil(room) - 1) if np.isfinite(room) else int(96 // step)
                rows += [
                    (subject, r["time"] - k * step, r["dose"])
                    for k in range(min(earlier, int(96 // step)), 0, -1)
                ]
            rows.append((subject, r["time"], r["dose"]))
            before = r["time"]
    doses = pd.DataFrame(rows, columns=["subject", "time", "amount"]).assign(
        route="oral", duration=0.0
    )
    start = doses.groupby("subject")["time"].min()
    samples = t[t["conc"] > 0][["subject", "time", "conc"]].rename(columns={"conc": "value"})
    samples = samples[samples["time"] > samples["subject"].map(start)]
    people = (
        t.groupby("subject", sort=False)[["body_weight", "age", "height"]].first().reset_index()
    )
    people = people[people["subject"].isin(samples["subject"])]
    doses, samples = (
        doses[doses["subject"].isin(people["subject"])],
        samples[samples["subject"].isin(people["subject"])],
    )
    return make("quinidine", samples, doses, people)


def mavoglurant(single_occasion: bool = True) -> Study:
    """Infusions over 10 minutes, 16 samples in 48 h; the 42 people with one occasion, or the first occasion of all 120."""
    t = pd.read_csv(NLMIXR / "mavoglurant.csv.gz").rename(
        columns={"ID": "subject", "TIME": "time", "WT": "body_weight", "AGE": "age", "HT": "height"}
    )
    t["height"] *= 100.0
    t["DV"] /= 1000.0  # ng/mL
    t["sex"] = np.where(t["SEX"] == 1, "male", "female")
    both = t.groupby("subject")["OCC"].nunique()
    t = (
        t[t["subject"].map(both) == 1]
        if single_occasion
        else t[t["OCC"] == t.groupby("subject")["OCC"].transform("min")]
    )
    t["duration"] = np.where(t["RATE"] > 0, t["AMT"] / t["RATE"].replace(0, np.nan), 0.0)
    return _nonmem("mavoglurant", t, t["EVID"] == 1, "iv_infusion", "DV")


def indometacin() -> Study:
    """Six people, an intravenous injection, 11 samples in 8 h (Kwan et al. 1976); the dose is assumed, see docs/assumptions.md."""
    t = pd.read_csv(R / "Indometh.csv").rename(columns={"Subject": "subject", "conc": "value"})
    people = t[["subject"]].drop_duplicates()
    doses = people.assign(time=0.0, amount=25.0, route="iv_bolus", duration=0.0)
    return make("indometacin", t[["subject", "time", "value"]], doses, people)


def nimotuzumab() -> Study:
    """Twelve women, weekly infusions of an antibody (Rodriguez-Vera et al. 2015)."""
    t = pd.read_csv(NLMIXR / "nimoData.csv.gz").rename(
        columns={
            "ID": "subject",
            "TIME": "time",
            "WGT": "body_weight",
            "AGE": "age",
            "HGT": "height",
        }
    )
    t["DV"] = np.exp(t["DV"])  # the table holds logarithms
    t["duration"] = np.where(t["RATE"] > 0, t["AMT"] / t["RATE"].replace(0, np.nan), 0.0)
    return _nonmem("nimotuzumab", t, t["EVID"] == 1, "iv_infusion", "DV")


def osp() -> Iterator[Study]:
    """Individuals of the OSP collection: one single dose, 5 to 64 samples; a study per compound and route."""
    from pbpk_hybrid.compounds import list_observations

    for name in sorted(
        {r["compound"] for r in list_observations(DATA) if r["collection"] == "osp"}
    ):
        try:
            ds = observations(name, collection="osp", folder=DATA)
        except (
            UnknownNameError
        ):  # metabolites and prodrugs that the compound database does not hold
            continue
        t = ds.to_dataframe().reset_index(drop=True)
        t = t[
            (t["subject"] != "mean")
            & (t["dose_times"] == "0")
            & (t["value"] > 0)
            & (t["dose"] > 0)
            & t["species"].eq("human")
        ]
        t = t[
            t["matrix"].eq("plasma")
            & ~t.get("interaction", pd.Series(0, index=t.index)).astype(bool)
            & (t["time"] > 0)
        ]
        t = t[t["route"].isin(["iv_bolus", "iv_infusion", "oral"])]
        t = t[
            t["route"].ne("iv_infusion") | (t["infusion_duration"] > 0)
        ]  # a few do not say how long
        t = t[t.groupby("profile")["time"].transform("size").between(5, 64)]
        for route in sorted(t["route"].unique()):
            r = t[t["route"] == route]
            people = r.groupby("profile", sort=False)[["body_weight"]].first().reset_index()
            people = people.rename(columns={"profile": "subject"})
            doses = r.groupby("profile", sort=False).first().reset_index()
            doses = pd.DataFrame(
                {
                    "subject": doses["profile"],
                    "time": 0.0,
                    "amount": doses["dose"],
                    "route": route,
                    "duration": doses["infusion_duration"].fillna(0.0),
                }
            )
            samples = r[["profile", "time", "value"]].rename(columns={"profile": "subject"})
            yield make(f"{name}, {route.removeprefix('iv_')}", samples, doses, people, name)


_PKDB_CODES = {
    "losartan": r"LOS(\d+)(?:PO)?",
    "glimepiride": r"GLIM?(\d+)",
    "apixaban": r"(?:PO|API)(\d+\.?\d*)",
    "rivaroxaban": r"RIV(\d+)",
    "dapagliflozin": r"DAP(\d+\.?\d*)",
}
_PER_LITRE = {
    "ng/ml": 1e-3,
    "\u00b5g/l": 1e-3,
    "ug/l": 1e-3,
    "\u03bcg/l": 1e-3,
    "ug/ml": 1.0,
    "\u00b5g/ml": 1.0,
    "mg/l": 1.0,
}
_HOURS = {"hr": 1.0, "h": 1.0, "min": 1 / 60, "day": 24.0, "days": 24.0}


def pkdb() -> Iterator[Study]:
    """Individuals digitised from publications (PK-DB, models of M. Koenig's group) after one oral dose, whose size [mg] is
    in the code of the intervention; a study per publication, substance and dose."""
    if not PKDB.exists():
        return
    t = pd.read_csv(PKDB, low_memory=False)
    t = t[
        t["individual"].notna()
        & t["tissue"].isin(["plasma", "serum"])
        & t["measurement_type"].eq("concentration")
    ]
    t = t.assign(
        hours=pd.to_numeric(t["time"], errors="coerce") * t["time_unit"].map(_HOURS).astype(float),
        mg=t["value"] * t["unit"].str.lower().map(_PER_LITRE).astype(float),
    )
    for substance, code in _PKDB_CODES.items():
        mine = t[t["substance"].eq(substance) & (t["hours"] > 0) & (t["mg"] > 0)]
        mine = mine.assign(
            dose=pd.to_numeric(mine["intervention"].str.extract(f"^{code}$")[0], errors="coerce")
        )
        mine = mine[mine["dose"].notna()]
        for (study, what), r in mine.groupby(["study", "intervention"]):
            r = r.assign(
                subject=r["group"].fillna("").astype(str)
                + r["individual"].astype(str)
                + r["label"].astype(str)
            )
            r = r.drop_duplicates(["subject", "hours"])
            r = r[r.groupby("subject")["hours"].transform("size") >= 4]
            if r.empty:
                continue
            people = r[["subject"]].drop_duplicates()
            doses = people.assign(
                time=0.0, amount=float(r["dose"].iloc[0]), route="oral", duration=0.0
            )
            samples = r[["subject", "hours", "mg"]].rename(columns={"hours": "time", "mg": "value"})
            yield make(f"{study}, {substance} {what}", samples, doses, people)


def _nonmem(
    name: str, t: pd.DataFrame, dose, route: str, value: str, compound: str | None = None
) -> Study:
    doses = t[dose].rename(columns={"AMT": "amount"})
    doses = doses.assign(route=route, duration=doses.get("duration", 0.0))
    start = doses.groupby("subject")["time"].min()
    samples = t[~dose & (t[value] > 0)].rename(columns={value: "value"})
    samples = samples[samples["time"] > samples["subject"].map(start)]
    columns = [c for c in ("body_weight", "age", "sex", "height") if c in t]
    people = t.groupby("subject", sort=False)[columns].first().reset_index()
    return make(
        name,
        samples[["subject", "time", "value"]],
        doses[["subject", "time", "amount", "route", "duration"]],
        people,
        compound,
    )


CLASSIC = {
    "theophylline": theophylline,
    "warfarin": warfarin,
    "phenobarbital": phenobarbital,
    "quinidine": quinidine,
    "mavoglurant": mavoglurant,
    "nimotuzumab": nimotuzumab,
}
