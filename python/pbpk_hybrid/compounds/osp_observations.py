"""Observed concentrations of the Open Systems Pharmacology collection: what its labels say
about dose, route, times and people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._core.errors import unknown_name
from .._core.limits import table_file
from .observation_columns import record, text
from .observation_corrections import DOSE, SALT, TIMES, corrected, infusion_durations

if TYPE_CHECKING:
    import pandas as pd

_MOLECULE = {  # labels as they stand in the files -> compound
    "fluvoxaminekjujhöjö": "fluvoxamine",
    "clarithromycin test old": "clarithromycin",
    "midazolam_userdeftemplate": "midazolam",
}
#: drugs and words in a label that say that another drug may change the curve
_PERPETRATORS = (
    "ketoconazole|itraconazole|fluconazole|voriconazole|posaconazole|clarithromycin|"
    "erythromycin|troleandomycin|rifamp|grapefruit|cimetidine|ranitidine|efavirenz|"
    "fluvoxamine|ritonavir|verapamil|diltiazem|aprepitant|st\\.? ?john|phenytoin|"
    "carbamazepine|cyclosporin|quinidine|mibefradil|nefazodone|fluoxetine|perpetrator|"
    "inhibit|induc|\\bddi\\b|pretreat|\\+ ?[a-z]{4}|coadmin|co-admin|after treatment|"
    "probenecid|gemfibrozil|with hyperforin|echinacea|valpro|propranolol|digoxin|"
    "midazolam|alfentanil|omeprazole"
)
_SPECIAL = re.compile(
    r"cirrho|renal (failure|insuff|disease)|impair|dialysis|uraemi|uremi|\bckd\b|obes|"
    r"elderly|\bold\b|child|infant|neonat|pregnan|burn|intensive care|poor metab|"
    r"(?<![a-z])pm(?![a-z])|\*2/\*2|hypoxi|heart failure|surg",
    re.IGNORECASE,
)
_REPEATED = re.compile(
    r"day ?([2-9]|\d\d)|\bmd\b|\b(bid|tid|qid|qd)\b|multiple|steady|\bss\b", re.IGNORECASE
)
FIRST_SAMPLE_WITHIN = 12.0  # h after a single dose without a label
#: "alone" as a word: there is a Salonen among the authors
_ALONE = re.compile(
    r"control|placebo|(?<![a-z])alone(?![a-z])|without|\bw/o\b|\bonly\b|baseline|before|"
    r"no inhibitor",
    re.IGNORECASE,
)
#: "30-min infusion", "2 h IV infusion", "over 15 min"
_INFUSION = re.compile(
    r"(\d+(?:\.\d+)?)[ _-]?(min|h)[ _-]?(?:iv[ _-]?)?infusion|\bover (\d+(?:\.\d+)?) ?(min|h)\b",
    re.IGNORECASE,
)
_DOSE = re.compile(
    r"^([\d.]+)\s*(mg/kg|µg/kg|ug/kg|ng/kg|mg|g|µg|ug|ng)?\s*(?:SD|iv|po)?$", re.IGNORECASE
)
#: start, interval and number of doses, as in "S0-T8-R7"
_SCHEDULE = re.compile(r"\(?S-?(\d+(?:\.\d+)?)[-,]T-?(\d+(?:\.\d+)?)[-,](?:R-?)?(\d+)\)?")
_MG = {"mg": 1.0, "g": 1000.0, "µg": 1e-3, "ug": 1e-3, "ng": 1e-6}
_TO_MG_L = {"mg/l": 1.0, "µg/ml": 1.0, "ug/ml": 1.0, "ng/ml": 1e-3, "µg/l": 1e-3, "ug/l": 1e-3}


def read_osp(path: Path, name: str | None, dtxsid: str) -> list[dict[str, Any]]:
    """Rows of osp_observed_data.csv.gz: concentrations in blood, plasma or serum of the
    compound `name` (None: all).
    """
    import pandas as pd

    table = pd.read_csv(table_file(path), low_memory=False)
    molecule = table["molecule"].str.lower().map(lambda label: _MOLECULE.get(label, label))
    keep = table["compartment"].isin(["Plasma", "Whole Blood"]) & table["organ"].isin(
        ["Peripheral Venous Blood", "Arterial Blood"]
    )
    keep &= table["unit"].notna() & ~table["dimension"].eq("Fraction") & table["value"].notna()
    if name is not None:
        keep &= molecule.eq(name)
    table = table.assign(molecule=molecule)[keep]
    durations = infusion_durations(path.parent)
    columns = ["repo", "dataset", "molecule", "organ", "compartment"]
    out: list[dict[str, Any]] = []
    for key, rows in table.groupby(columns, sort=False):
        out += _osp_profile(_Profile(*key), rows, durations)
    return out


class _Profile(NamedTuple):
    """What names a concentration-time profile of the collection."""

    repo: str
    dataset: str
    substance: str
    organ: str
    compartment: str


def _osp_profile(
    profile: _Profile, rows: pd.DataFrame, durations: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """The samples of one profile; `rows` of the file are its samples, in their order."""
    first = rows.iloc[0]
    hours = rows["time"].to_numpy(float) * np.where(rows["time_unit"].eq("day(s)"), 24.0, 1.0)
    dose_times, start, times_note = _doses_of_profile(profile.dataset, first, hours)
    dose, per_kg, dose_note, salt_note = _dose_of_profile(profile, first)
    route, duration = osp_route(first["route"], first["formulation"], profile.dataset)
    if route.startswith("iv") and np.isnan(duration) and profile.dataset in durations:
        known = durations[profile.dataset]
        if known is None:  # a bolus and an infusion, say: no single dose repeats it
            dose_times = ""
        else:
            route, duration = ("iv_infusion" if known > 0 else "iv_bolus"), known
    common = _labels_of_profile(profile, first, (dose_note, times_note, salt_note)) | {
        "route": route,
        "dose": dose,
        "dose_per_body_weight": per_kg,
        "infusion_duration": duration,
        "dose_times": dose_times,
    }
    factor = np.array(
        [
            _concentration_factor(unit, mass)
            for unit, mass in zip(rows["unit"], rows["mol_weight"], strict=True)
        ]
    )
    values = rows["value"].to_numpy(float) * factor
    error = rows["error"].to_numpy(float) * factor
    error[~rows["error_type"].eq("ArithmeticStdDev").to_numpy()] = np.nan
    # times before the first dose are baselines of other phases: kept, as the schema allows them
    return [
        record(
            time=time - start,
            value=max(value, 0.0) if np.isfinite(value) else np.nan,
            standard_deviation=deviation,
            **common,
        )
        for time, value, deviation in zip(hours, values, error, strict=True)
    ]


def _doses_of_profile(dataset: str, first: pd.Series, hours: np.ndarray) -> tuple[str, float, str]:
    """Dose times as text, clock time [h] of the first dose, and a note.

    `first` is the first row of the profile, `hours` (sample,) its times.
    """
    label, note = corrected(TIMES, dataset, text(first["times_of_administration_h"]))
    dose_times, start = dosing_times(label, hours)
    if not dose_times and not _REPEATED.search(dataset) and np.min(hours) < FIRST_SAMPLE_WITHIN:
        # no label: one dose, unless the name says otherwise or sampling starts late
        return "0", start, note
    if dose_times == "0" and np.min(hours - start) > FIRST_SAMPLE_WITHIN:
        # "one dose at 0", yet sampled from the next day on: the label contradicts the data
        return "", start, note
    return dose_times, start, note


def _dose_of_profile(profile: _Profile, first: pd.Series) -> tuple[float, float, str, str]:
    """Dose of the base [mg] and per body weight [mg/kg], notes on the label and on a salt."""
    label, note = corrected(DOSE, profile.dataset, text(first["dose"]))
    dose, per_kg = osp_dose(label, profile.dataset)
    salt, salt_note = SALT.get(profile.substance, (1.0, ""))
    return salt * dose, salt * per_kg, note, salt_note


def _labels_of_profile(profile: _Profile, first: pd.Series, notes: Iterable[str]) -> dict[str, Any]:
    """Who was sampled, where, in which study, and what the labels say about them."""
    dataset, substance = profile.dataset, profile.substance
    label = f"{text(first['grouping'])} {dataset}"
    group = "; ".join(filter(None, (text(first["grouping"]), *notes)))
    n = re.search(r"\(n ?= ?(\d+)\)", dataset)
    individual = text(first["data_type"]) == "individual" or "indiv." in dataset
    others = re.sub(re.escape(substance), "", label, flags=re.IGNORECASE)
    interaction = bool(re.search(_PERPETRATORS, others, re.IGNORECASE)) and not _ALONE.search(label)
    study = text(first["study"]) or dataset
    return {
        "matrix": "blood" if profile.compartment == "Whole Blood" else "plasma",
        "subject": group or dataset if individual else "mean",
        "study": study,
        "reference": text(first["reference"]) or f"{study}, in {profile.repo}",
        "profile": dataset + (" (arterial)" if profile.organ == "Arterial Blood" else ""),
        "collection": "osp",
        "compound": substance,
        "species": "human",
        "n_subjects": 1.0 if individual else float(n[1]) if n else np.nan,
        "group": group,
        "interaction": int(interaction),
        "special_population": int(bool(_SPECIAL.search(label))),
    }


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
    match = _DOSE.match(text(dose).replace(",", "."))
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
    label = text(route).lower()
    words = f"{label} {text(formulation).lower()} {dataset.lower()}"
    said = _INFUSION.search(words)
    if said and not label.startswith(("po", "capsule")):
        number, unit = (said[1], said[2]) if said[1] else (said[3], said[4])
        return "iv_infusion", float(number) / (60.0 if unit.lower() == "min" else 1.0)
    if label in ("po", "capsule"):
        return "oral", 0.0
    if label in ("iv", "iv bolus") or label.startswith("iv_"):
        if "bolus" in words and "cnt" not in words:
            return "iv_bolus", 0.0
        return ("iv_infusion" if "infusion" in words else "iv"), np.nan
    if not label or label == "na":
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
    code = text(label).replace(" ", "").strip()
    if not code:
        return "", 0.0
    try:
        single = float(code)
    except ValueError:
        pass
    else:
        return "0", (single if single <= np.min(hours) else 0.0)
    times: list[float] = []
    rest = code
    for found in _SCHEDULE.finditer(code):
        start, every, count = float(found[1]), float(found[2]), int(found[3])
        times += [start + every * i for i in range(count)]
        rest = rest.replace(found[0], "", 1)
    rest = rest.strip("-,()")
    if rest:
        try:
            times += [float(p) for p in re.split(r"[-,]", rest) if p]
        except ValueError:
            return "", 0.0
    times = sorted(set(times))
    return ";".join(f"{t - times[0]:g}" for t in times), times[0]
