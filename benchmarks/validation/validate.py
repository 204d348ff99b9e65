"""Predicted against observed AUC and Cmax of every curated drug, none left out.

    python benchmarks/validation/validate.py [--data FOLDER] [--drug NAME ...]

Each observed profile is repeated by one typical person or animal (the species' reference individual, of the reported body weight where
there is one), with the reported dose, route and times. AUC is taken over the observed sampling times by the linear-up/log-down rule, for
observation and prediction alike; Cmax is the largest value at those times. An intravenous dose of unknown duration is taken as a bolus.
Nothing is fitted here. Two predictions for each profile: clearance from literature in vivo values, and from hepatocytes (IVIVE).

Writes results/profiles.csv (one row a profile), README.md (tables) and pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import pbpk_hybrid as ph
from pbpk_hybrid.compounds import list_compounds

HERE = Path(__file__).parent
BASES = ("in_vivo", "in_vitro")
UNLICENSED = HERE.parents[2] / "shared" / "data"
FOLD = 2.0


def auc(time: np.ndarray, value: np.ndarray) -> float:
    """Linear up, logarithmic down."""
    total = 0.0
    for t1, t2, c1, c2 in zip(time, time[1:], value, value[1:], strict=False):
        if c2 < c1 and c2 > 0:
            total += (c1 - c2) * (t2 - t1) / np.log(c1 / c2)
        else:
            total += (c1 + c2) * (t2 - t1) / 2
    return total


def refuse(p) -> str | None:
    """Why a profile cannot be repeated; None if it can."""
    first = p.iloc[0]
    if first["interaction"]:
        return "another drug was given"
    if first["matrix"] not in ("plasma", "serum", "blood"):
        return f"measured in {first['matrix']}"
    if not first["route"]:
        return "route not reported or not oral or intravenous"
    if not (np.isfinite(first["dose"]) or np.isfinite(first["dose_per_body_weight"])):
        return "dose not reported"
    if not first["dose_times"]:
        return "dose times not reported"
    good = p[(p["value"] > 0) & (p["censored"] == 0)]
    if len(good) < 3:
        return "fewer than three quantified samples"
    return None


def regimen_of(first, body_weight: float) -> ph.Regimen:
    dose = first["dose"] if np.isfinite(first["dose"]) else first["dose_per_body_weight"] * body_weight
    duration = first["infusion_duration"]
    if first["route"] == "oral":
        one = ph.Regimen.oral(dose)
    elif np.isfinite(duration) and duration > 0:
        one = ph.Regimen.infusion(dose, duration)
    else:
        one = ph.Regimen.bolus(dose)
    times = [float(t) for t in str(first["dose_times"]).split(";")]
    total = ph.Regimen.empty()
    for t in times:
        total = total + one.shift(t)
    return total


def predict(compound, basis: str, p):
    """Predicted concentrations at the sampling times; None where this basis has no parameter."""
    first = p.iloc[0]
    drug = compound.for_species(first["species"])
    if basis == "in_vivo" and drug.clearance_plasma is None:
        return None
    if basis == "in_vitro" and drug.clint_hepatocyte is None and drug.clint_microsome is None:
        return None
    drug = drug.replace(clearance_basis=basis, species_values={})
    if first["route"] == "oral" and drug.absorption_rate is None:
        return None
    weight = first["body_weight"]
    body = ph.reference_individual(first["species"], body_weight=float(weight) if np.isfinite(weight) else None)
    times = np.unique(p["time"].to_numpy())
    times = times[times >= 0]
    name = "blood" if first["matrix"] == "blood" else "plasma"
    result = ph.simulate(drug, regimen_of(first, float(body["body_weight"][0])), body, times, compartments=[name])
    at = dict(zip(times, result["concentration"].values[0, :, 0], strict=True))
    return np.array([at[t] for t in p["time"]])


def observed_profiles(name: str, folder):
    """All observations of a drug as a table. Data without a licence are in no checkout; they are read where they lie."""
    import pandas as pd

    tables = []
    for collection, where in (("shipped", None), ("osp", folder), ("cvtdb", folder), ("pbpk_pc", folder or UNLICENSED)):
        with contextlib.suppress(ph.InputError):
            tables.append(ph.observations(name, collection, folder=where).to_dataframe())
    return pd.concat(tables, ignore_index=True) if tables else None


def rows_for(name: str, folder) -> tuple[list[dict], Counter]:
    refused: Counter = Counter()
    observed = observed_profiles(name, folder)
    if observed is None:
        return [], Counter({"no observations at hand": 1})
    compound = ph.get_compound(name)
    rows = []
    for label, p in observed.groupby("profile", sort=False):
        why = refuse(p)
        if why:
            refused[why] += 1
            continue
        p = p[(p["value"] > 0) & (p["censored"] == 0) & (p["time"] >= 0)].sort_values("time")
        if p.iloc[0]["route"] != "oral":
            p = p[p["time"] > 0]  # at the moment of a bolus the model holds it all in venous blood: nothing to compare
        p = p.drop_duplicates("time")
        if len(p) < 3:
            refused["fewer than three quantified samples"] += 1
            continue
        first = p.iloc[0]
        t, c = p["time"].to_numpy(), p["value"].to_numpy()
        row = {"drug": name, "species": first["species"], "route": "oral" if first["route"] == "oral" else "iv",
               "collection": first["collection"], "profile": label, "n": len(p),
               "observed_auc": auc(t, c), "observed_cmax": c.max()}  # fmt: skip
        try:
            predictions = {basis: predict(compound, basis, p) for basis in BASES}
        except ph.InputError as err:
            refused[f"{err.field} of {err.value} outside what the model of an adult covers"] += 1
            continue
        for basis, predicted in predictions.items():
            ok = predicted is not None
            row[f"{basis}_auc"] = auc(t, predicted) if ok else np.nan
            row[f"{basis}_cmax"] = predicted.max() if ok else np.nan
        rows.append(row)
    return rows, refused


def summary(rows: list[dict], basis: str, quantity: str) -> tuple[int, float, float, float]:
    """(n, geometric mean of predicted/observed, AAFE, share within two-fold)."""
    ratio = np.array([r[f"{basis}_{quantity}"] / r[f"observed_{quantity}"] for r in rows])
    ratio = np.log10(ratio[np.isfinite(ratio) & (ratio > 0)])
    if not ratio.size:
        return 0, np.nan, np.nan, np.nan
    within = float(np.mean(np.abs(ratio) <= np.log10(FOLD)))
    return ratio.size, 10 ** ratio.mean(), 10 ** np.abs(ratio).mean(), within


def groups(rows):
    out: dict[tuple[str, str, str], list[dict]] = {}
    for r in rows:
        out.setdefault((r["drug"], r["species"], r["route"]), []).append(r)
    return out


def picture(rows, path: Path) -> None:
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(9.5, 9), constrained_layout=True)
    drugs = sorted({r["drug"] for r in rows})
    colours = plt.get_cmap("tab20")(np.linspace(0, 1, len(drugs)))
    units = {"auc": "mg h/L", "cmax": "mg/L"}
    for line, basis in zip(axes, BASES, strict=True):
        for ax, quantity in zip(line, ("auc", "cmax"), strict=True):
            for drug, colour in zip(drugs, colours, strict=True):
                for route, marker in (("iv", "o"), ("oral", "^")):
                    mine = [r for r in rows if r["drug"] == drug and r["route"] == route]
                    if mine:
                        ax.loglog([r[f"observed_{quantity}"] for r in mine], [r[f"{basis}_{quantity}"] for r in mine],
                                  marker, color=colour, ms=4.5, alpha=0.75, mec="none",
                                  label=drug if route == "oral" or not any(
                                      q["route"] == "oral" and q["drug"] == drug for q in rows) else None)  # fmt: skip
            low, high = 10 ** np.floor(np.log10(min(ax.get_xlim()))), 10 ** np.ceil(np.log10(max(ax.get_xlim())))
            line_x = np.array([low, high])
            ax.plot(line_x, line_x, color="0.3", lw=1)
            for f in (FOLD, 1 / FOLD):
                ax.plot(line_x, f * line_x, color="0.6", lw=1, ls="--")
            ax.set(xlim=(low, high), ylim=(low, high), xlabel=f"observed {quantity.upper()} [{units[quantity]}]",
                   ylabel=f"predicted {quantity.upper()} [{units[quantity]}]",
                   title=f"clearance {basis.replace('_', ' ')}")  # fmt: skip
    axes[0, 0].legend(fontsize=6.5, ncols=2, frameon=False)
    fig.suptitle("Typical subject against observed profiles (circles intravenous, triangles oral); dashed: two-fold")
    fig.savefig(path, dpi=130)
    plt.close(fig)


def percent(x: float) -> str:
    return "-" if not np.isfinite(x) else f"{100 * x:.0f} %"


def number(x: float) -> str:
    return "-" if not np.isfinite(x) else f"{x:.2f}"


def report(rows, refused, path: Path) -> None:
    lines = [
        "# Predicted against observed", "",
        "Every curated drug, every observed profile at hand that can be repeated; made by "
        "`python benchmarks/validation/validate.py`. How it is done, and what is assumed, stands at the top of that file. No parameter was "
        "fitted to these profiles. *in vivo*: clearance from the literature's in vivo values (so the AUC after intravenous doses tests "
        "little more than the literature's own spread); *in vitro*: clearance from hepatocytes. Ratios are predicted/observed.", "",
        "![predicted against observed](results/predicted_observed.png)", "", "## All together", "",
        "| profiles | clearance | n | AUC: AAFE | AUC within 2-fold | Cmax: AAFE | Cmax within 2-fold |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    sets = {"human iv": lambda r: r["species"] == "human" and r["route"] == "iv",
            "human oral": lambda r: r["species"] == "human" and r["route"] == "oral",
            "human": lambda r: r["species"] == "human", "other species": lambda r: r["species"] != "human",
            "all": lambda r: True}  # fmt: skip
    for label, keep in sets.items():
        mine = [r for r in rows if keep(r)]
        for basis in BASES:
            n, _, aafe, within = summary(mine, basis, "auc")
            _, _, aafe_c, within_c = summary(mine, basis, "cmax")
            lines.append(f"| {label} | {basis.replace('_', ' ')} | {n} | {number(aafe)} | {percent(within)} | "
                         f"{number(aafe_c)} | {percent(within_c)} |")  # fmt: skip
    lines += ["", "Each drug counted once (geometric mean of its profiles' ratios, human):", "",
              "| clearance | route | drugs | AUC within 2-fold | Cmax within 2-fold | outside |", "| --- | --- | --- | --- | --- | --- |"]
    for basis in BASES:
        for route in ("iv", "oral"):
            means, out = {}, []
            for (drug, species, way), mine in groups(rows).items():
                if species == "human" and way == route:
                    n, gm, _, _ = summary(mine, basis, "auc")
                    _, gm_c, _, _ = summary(mine, basis, "cmax")
                    if n:
                        means[drug] = (gm, gm_c)
            inside = [[1 / FOLD <= x <= FOLD for x in pair] for pair in means.values()]
            out = [f"{d} ({number(a)}, {number(c)})" for (d, (a, c)), ok in zip(means.items(), inside, strict=True) if not all(ok)]
            counts = np.array(inside).sum(axis=0) if inside else (0, 0)
            lines.append(f"| {basis.replace('_', ' ')} | {route} | {len(means)} | {counts[0]} | {counts[1]} | {', '.join(out) or '-'} |")
    lines += ["", "## Drug by drug", "",
              "| drug | species | route | profiles | AUC ratio in vivo | 2-fold | Cmax ratio in vivo | 2-fold | AUC ratio in vitro | 2-fold | "
              "Cmax ratio in vitro | 2-fold |", "| --- " * 12 + "|"]
    for (drug, species, route), mine in sorted(groups(rows).items()):
        cells = [drug, species, route, str(len(mine))]
        for basis in BASES:
            for quantity in ("auc", "cmax"):
                _, gm, _, within = summary(mine, basis, quantity)
                cells += [number(gm), percent(within)]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Profiles that could not be repeated", "", "| drug | why | profiles |", "| --- | --- | --- |"]
    for drug, counts in refused.items():
        lines += [f"| {drug} | {why} | {n} |" for why, n in counts.items()]
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with osp/, cvtdb/, pbpk_pc/; default: benchmarks/data")
    parser.add_argument("--drug", nargs="*", help="only these; default: all curated drugs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    rows, refused = [], {}
    for name in arguments.drug or list_compounds(curated=True):
        mine, why = rows_for(name, arguments.data)
        rows += mine
        refused[name] = why
        print(f"{name}: {len(mine)} profiles, not repeated: {dict(why)}")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    with (results / "profiles.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows)
    picture(rows, results / "predicted_observed.png")
    report(rows, refused, HERE / "README.md")


if __name__ == "__main__":
    main()
