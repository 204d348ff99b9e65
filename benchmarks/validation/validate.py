"""Predicted against observed AUC and Cmax of every curated drug, none left out.

    python benchmarks/validation/validate.py [--data FOLDER] [--drug NAME ...]

Each observed profile is repeated by one typical person or animal (the species' reference individual, of the reported body
weight where there is one), with the reported dose, route and times. Nothing is fitted. The rules, for every drug alike:

- left out, and counted: another drug was given; children, old age, organ impairment, poor metabolisers (the label says so);
  no dose, route or dose times; not plasma, serum or blood; fewer than three quantified samples
- samples at one time (several people in one profile) are replaced by their mean
- an intravenous dose of unknown duration is taken as a bolus, and left out where concentrations rise by a fifth or more after
  the first sample, as they do during an infusion; samples up to five minutes after the end of an injection or of
  an infusion of a quarter of an hour or less are left out: the model gives into the venous blood in which it also measures,
  mixed at once, while people are sampled from the other arm, which the dose reaches after minutes
- AUC is taken over the observed sampling times by the linear-up/log-down rule, for observation and prediction alike, without
  the intervals between two samples in which a dose falls (nobody saw its peak)
- Cmax is the largest value at the observed sampling times

Four predictions for each profile, see BASES: what a user gets who says nothing, and the three bases that this choice was made
from. The rule of the default (`chosen`), for every curated drug alike: the basis with the lowest AAFE of concentrations over
the drug's human profiles, each profile counted once, among the bases that predict every one of them; equal to two decimals:
the first in ORDER; a drug without a human profile takes the basis with the lowest AAFE over the other drugs, each counted
once. Writes results/profiles.csv (one row a profile), README.md (tables), pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime
import json
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from pictures import multiples, scatter
from report import summary, write

import pbpk_hybrid as ph
from pbpk_hybrid.compounds import list_compounds

HERE = Path(__file__).parent
UNLICENSED = HERE.parents[2] / "shared" / "data"
BADGES = HERE.parents[1] / "python" / "pbpk_hybrid" / "compounds" / "data" / "validation.json"
MIXING, SHORT = 5 / 60, 0.25  # h

#: name -> (clearance, distribution)
BASES = {
    "default": (None, None),
    "in_vivo": ("in_vivo", "predicted"),
    "in_vitro": ("in_vitro", "predicted"),
    "in_vivo_volume": ("in_vivo", "in_vivo"),
}
ORDER = ("in_vivo_volume", "in_vivo", "in_vitro")


def auc(time: np.ndarray, value: np.ndarray, doses: np.ndarray) -> float:
    """Linear up, logarithmic down; NaN if every interval holds a dose."""
    total, intervals = 0.0, 0
    for t1, t2, c1, c2 in zip(time, time[1:], value, value[1:], strict=False):
        if np.any((doses > t1 + 1e-6) & (doses < t2 - 1e-6)):
            continue
        intervals += 1
        if c2 < c1 and c2 > 0:
            total += (c1 - c2) * (t2 - t1) / np.log(c1 / c2)
        else:
            total += (c1 + c2) * (t2 - t1) / 2
    return total if intervals >= 2 else np.nan


def dose_times(first) -> np.ndarray:
    return np.array([float(t) for t in str(first["dose_times"]).split(";")])


def refuse(p) -> str | None:
    """Why a profile is not repeated; None if it is."""
    first = p.iloc[0]
    if first["interaction"]:
        return "another drug was given"
    if first["special_population"]:
        return "special population"
    if first["matrix"] not in ("plasma", "serum", "blood"):
        return f"measured in {first['matrix']}"
    if not first["route"]:
        return "route not reported or not oral or intravenous"
    if not (np.isfinite(first["dose"]) or np.isfinite(first["dose_per_body_weight"])):
        return "dose not reported"
    if not first["dose_times"]:
        return "dose times not reported, or a bolus and an infusion"
    return None


def rises(p) -> bool:
    """Whether a single intravenous dose of unknown duration was an infusion: the first sample is not the largest."""
    first = p.iloc[0]
    if first["route"] == "oral" or np.isfinite(first["infusion_duration"]):
        return False
    last = dose_times(first)[-1]  # of repeated doses the first course tells
    value = p["value"].to_numpy()[p["time"].to_numpy() <= last + 24] if last > 0 else p["value"]
    value = np.asarray(value)
    return bool(len(value) and value.max() > 1.2 * value[0])


def usable(p):
    """The samples of a profile that are compared."""
    p = p[(p["value"] > 0) & (p["censored"] == 0) & (p["time"] >= 0)].sort_values("time")
    if p.empty:
        return p
    first = p.iloc[0]
    duration = np.nan_to_num(first["infusion_duration"])  # unknown: taken as a bolus
    if first["route"] != "oral" and duration <= SHORT:
        p = p[p["time"] >= duration + MIXING - 1e-9]
    value = p.groupby("time")["value"].transform("mean")
    return p.assign(value=value).drop_duplicates("time")


def regimen_of(first, body_weight: float) -> ph.Regimen:
    dose = (
        first["dose"] if np.isfinite(first["dose"]) else first["dose_per_body_weight"] * body_weight
    )
    duration = first["infusion_duration"]
    if first["route"] == "oral":
        one = ph.Regimen.oral(dose)
    elif np.isfinite(duration) and duration > 0:
        one = ph.Regimen.infusion(dose, duration)
    else:
        one = ph.Regimen.bolus(dose)
    total = ph.Regimen.empty()
    for t in dose_times(first):
        total = total + one.shift(t)
    return total


def drug_for(compound, basis: str, first):
    """The compound with the values of the species and basis put in; None where it lacks one."""
    clearance, distribution = BASES[basis]
    drug = compound.for_species(first["species"])
    if first["route"] == "oral" and drug.absorption_rate is None:
        return None
    if basis == "default":
        return None if drug.resolved_clearance_basis is None else drug
    if clearance == "in_vivo" and drug.clearance_plasma is None:
        return None
    values = compound.species_values.get(first["species"], {})
    own = first["species"] == "human" or "clint_hepatocyte" in values or "clint_microsome" in values
    if clearance == "in_vitro" and (
        not own or (drug.clint_hepatocyte is None and drug.clint_microsome is None)
    ):
        return None  # human hepatocytes say nothing about a rat
    if distribution == "in_vivo" and drug.volume_steady_state is None:
        return None
    # said aloud, clearance in vivo stands beside a saturable pathway; unsaid, the pathway takes its place
    saturates = clearance == "in_vivo" and bool(drug.saturable)
    return drug.replace(
        clearance_basis=None if saturates else clearance,
        distribution_basis=distribution,
        species_values={},
    )


def predict(compound, basis: str, p):
    """Predicted concentrations at the sampling times; None where this basis has no parameter."""
    first = p.iloc[0]
    drug = drug_for(compound, basis, first)
    if drug is None:
        return None
    weight = first["body_weight"]
    body = ph.reference_individual(
        first["species"], body_weight=float(weight) if np.isfinite(weight) else None
    )
    name = "blood" if first["matrix"] == "blood" else "plasma"
    times = p["time"].to_numpy()
    result = ph.simulate(
        drug, regimen_of(first, float(body["body_weight"][0])), body, times, compartments=[name]
    )
    return result["concentration"].values[0, :, 0]


def observed_profiles(name: str, folder):
    """All observations of a drug as a table. Data without a licence are in no checkout; they are read where they lie."""
    import pandas as pd

    tables = []
    for collection, where in (
        ("shipped", None),
        ("osp", folder),
        ("cvtdb", folder),
        ("pbpk_pc", folder or UNLICENSED),
    ):
        with contextlib.suppress(ph.InputError):
            tables.append(ph.observations(name, collection, folder=where).to_dataframe())
    return pd.concat(tables, ignore_index=True) if tables else None


def rows_for(name: str, folder) -> tuple[list[dict], Counter, list]:
    """Of one drug: a row for each profile, the counts of those left out, and the profiles themselves."""
    refused: Counter = Counter()
    observed = observed_profiles(name, folder)
    if observed is None:
        return [], Counter({"no observations at hand": 1}), []
    compound = ph.get_compound(name)
    rows, kept = [], []
    for label, p in observed.groupby(["collection", "profile"], sort=False):
        why = refuse(p)
        if why is None:
            p = usable(p)
            if len(p) < 3:
                why = "fewer than three quantified samples"
            elif rises(p):
                why = "an infusion whose duration is not reported"
        if why:
            refused[why] += 1
            continue
        first = p.iloc[0]
        t, c, doses = p["time"].to_numpy(), p["value"].to_numpy(), dose_times(first)
        row = {
            "drug": name,
            "species": first["species"],
            "route": "oral" if first["route"] == "oral" else "iv",
            "collection": first["collection"],
            "profile": label[1],
            "n": len(p),
            "observed_auc": auc(t, c, doses),
            "observed_cmax": c.max(),
        }
        try:
            predictions = {basis: predict(compound, basis, p) for basis in BASES}
        except ph.InputError as err:
            refused[f"{err.field} of {err.value} outside what the model of an adult covers"] += 1
            continue
        for basis, predicted in predictions.items():
            ok = predicted is not None
            row[f"{basis}_auc"] = auc(t, predicted, doses) if ok else np.nan
            row[f"{basis}_cmax"] = predicted.max() if ok else np.nan
            later = t > 0  # at the moment of an oral dose nothing is absorbed
            fold = (
                np.abs(np.log10(np.maximum(predicted, 1e-12) / c))[later]
                if ok
                else np.array([np.nan])
            )
            row[f"{basis}_fold"] = float(fold.mean())
        rows.append(row)
        kept.append(p)
    return rows, refused, kept


def errors_of(rows: list[dict], name: str) -> tuple[int, dict[str, float]]:
    """Number of human profiles of a drug, and AAFE of concentrations on the bases of ORDER that predict all of them."""
    mine = [r for r in rows if r["drug"] == name and r["species"] == "human"]
    folds = {b: np.array([r[f"{b}_fold"] for r in mine]) for b in ORDER}
    return len(mine), {
        b: float(10 ** f.mean()) for b, f in folds.items() if len(f) and np.isfinite(f).all()
    }


def chosen(rows: list[dict], names) -> dict[str, tuple[int, dict[str, float], str]]:
    """Drug -> profiles, errors and the basis that the rule makes the default."""
    errors = {name: errors_of(rows, name) for name in names}
    best = lambda e: min(e, key=lambda b: (round(e[b], 2), ORDER.index(b)))
    known = {b: [np.log10(e[b]) for _, e in errors.values() if b in e] for b in ORDER}
    general = best({b: 10 ** np.mean(v) for b, v in known.items() if v})
    return {name: (n, e, best(e) if e else general) for name, (n, e) in errors.items()}


def basis_of(compound) -> str:
    """The name in BASES of a compound's own basis, in people."""
    drug = compound.for_species("human")
    own = (drug.resolved_clearance_basis, drug.distribution_basis)
    return next((name for name, basis in BASES.items() if basis == own), " ".join(map(str, own)))


def representative(profiles) -> list:
    """Of each route the human single-dose profile with the most samples; the first of equals. Licensed data only."""
    chosen = {}
    for p in profiles:
        first = p.iloc[0]
        if (
            first["species"] != "human"
            or first["collection"] == "pbpk_pc"
            or len(dose_times(first)) > 1
        ):
            continue
        route = "oral" if first["route"] == "oral" else "iv"
        if route not in chosen or len(p) > len(chosen[route]):
            chosen[route] = p
    return [chosen[r] for r in ("iv", "oral") if r in chosen]


def curves(name: str, p, n_people: int = 200) -> dict:
    """Smooth curves of the typical person by default and with predicted Kp, and the default's band of virtual people."""
    first = p.iloc[0]
    compound = ph.get_compound(name)
    grid = np.linspace(0, 1.05 * p["time"].max(), 300)
    matrix = "blood" if first["matrix"] == "blood" else "plasma"
    person = ph.reference_individual("human")
    people = ph.sample_population(n_people, seed=1)
    out = {
        "drug": name,
        "grid": grid,
        "time": p["time"].to_numpy(),
        "value": p["value"].to_numpy(),
        "matrix": matrix,
        "error": p["standard_deviation"].to_numpy(),
        "route": first["route"],
        "study": first["study"],
    }
    per_kg = first["dose_per_body_weight"]
    out["dose"] = (
        f"{first['dose']:.3g} mg" if np.isfinite(first["dose"]) else f"{1000 * per_kg:.3g} µg/kg"
    )
    for basis in ("in_vivo", "default"):
        drug = drug_for(compound, basis, first)
        if drug is None:
            continue
        one = ph.simulate(
            drug,
            regimen_of(first, float(person["body_weight"][0])),
            person,
            grid,
            compartments=[matrix],
        )
        out[basis] = one["concentration"].values[0, :, 0]
    weights = people["body_weight"].values
    if drug is not None:
        # doses per body weight differ between people: the model is linear, so a unit dose is scaled
        relative = np.isfinite(per_kg) and not np.isfinite(first["dose"])
        unit = first.copy()
        if relative:
            unit["dose"] = 1.0
        many = ph.simulate(
            drug,
            regimen_of(unit, 1.0),
            people,
            grid,
            compartments=[matrix],
            variability=ph.Variability(),
            seed=2,
        )
        values = many["concentration"].values[:, :, 0] * (
            per_kg * weights[:, None] if relative else 1.0
        )
        out["band"] = np.nanpercentile(values, (5, 95), axis=0)
    return out


def badges(rows: list[dict], names) -> dict[str, dict]:
    """Of each drug with human profiles: their number, GMFE and share within two-fold of AUC and Cmax on its default."""
    out = {}
    for name in names:
        mine = [r for r in rows if r["drug"] == name and r["species"] == "human"]
        if not mine:
            continue
        badge: dict = {"profiles": len(mine)}
        for quantity in ("auc", "cmax"):
            n, _, aafe, within = summary(mine, "default", quantity)
            badge[f"{quantity}_gmfe"] = round(aafe, 3) if n else None
            badge[f"{quantity}_within_twofold"] = round(within, 3) if n else None
        out[name] = badge
    return out


def write_badges(rows: list[dict], names) -> None:
    """What the package shows of each compound: `compounds show`, `compound_overview`."""
    BADGES.write_text(
        json.dumps(
            {
                "date": datetime.date.today().isoformat(),
                "rule": "every human profile of the drug alone that can be repeated, on the default of its file, whose basis was "
                "chosen on the same profiles; benchmarks/validation/validate.py",
                "drugs": badges(rows, names),
            },
            indent=1,
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", help="folder with osp/, cvtdb/, pbpk_pc/; default: benchmarks/data"
    )
    parser.add_argument("--drug", nargs="*", help="only these; default: all curated drugs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    rows, refused, panels = [], {}, []
    for name in arguments.drug or list_compounds(curated=True):
        mine, why, profiles = rows_for(name, arguments.data)
        rows += mine
        refused[name] = why
        panels += [curves(name, p) for p in representative(profiles)]
        print(f"{name}: {len(mine)} profiles, not repeated: {dict(why)}")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    with (results / "profiles.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows
        )
    scatter(rows, tuple(BASES), results / "predicted_observed.png")
    multiples(panels, results / "profiles.png")
    if not arguments.drug:
        names = list_compounds(curated=True)
        choice = chosen(rows, names)
        write_badges(rows, names)
        own = {name: basis_of(ph.get_compound(name)) for name in names}
        for name, (_, _, basis) in choice.items():
            if own[name] != basis:
                print(f"{name}: its file says {own[name]}, the rule says {basis}")
        write(rows, refused, tuple(BASES), choice, own, HERE / "README.md", HERE / "reading.md")


if __name__ == "__main__":
    main()
