"""Exposure of special populations over that of healthy adults: predicted against published.

    python benchmarks/special_populations/run.py [--people N]

Each row of ratios.csv is a published ratio of AUC (or of oral clearance, the other way round) with the paper or label that it
was read in. The prediction is `ph.exposure_ratios` with the package's own drugs, their defaults and 40 people: the geometric
mean of their ratios. Nothing is fitted, and nothing that was found is left out. Rules that were set before the first run:

- cirrhosis whose class the source does not say: Child-Pugh B; compensated: A
- renal impairment by the creatinine clearance that the source says: above 60 mL/min mild, 30 to 60 moderate, 10 to 30 severe
- pregnancy by weeks; elderly people: 65 to 79 years, over 20 to 50 years
- a range in the source: its middle; men and women apart: their geometric mean

Writes README.md and results/.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

import pbpk_hybrid as ph

HERE = Path(__file__).parent
TARGET = 1.35
SEED = 1


def gmfe(fold: np.ndarray) -> float:
    """Geometric mean of how far off the ratios are, in either direction."""
    return float(np.exp(np.mean(np.abs(np.log(fold)))))


def predicted(rows: list[dict], people: int) -> None:
    """Puts the predicted ratio and the 90 % interval of the mean of the people into every row."""
    together = defaultdict(list)
    for row in rows:
        together[row["drug"], row["regimen"]].append(row)
    for (drug, regimen), mine in together.items():
        names = list(dict.fromkeys(row["scenario"] for row in mine))
        found = ph.exposure_ratios(drug, regimen, names, n=people, seed=SEED)
        for row in mine:
            one = found.sel(scenario=row["scenario"])
            row["predicted"] = float(np.exp(np.nanmean(np.log(one["auc_ratio"]))))
            drawn = one["auc_ratio_drawn"].values
            known = np.isfinite(drawn).any()  # one person has no interval
            row["low"], row["high"] = (
                map(float, np.nanpercentile(drawn, (5, 95))) if known else (np.nan, np.nan)
            )
            row["group"] = str(one["group"].values)
            row["fold"] = row["predicted"] / row["published"]
        print(drug, regimen, [round(row["fold"], 2) for row in mine], flush=True)


def picture(rows: list[dict], path: Path) -> None:
    """Published and predicted ratios, one line each."""
    import matplotlib.pyplot as plt

    from pbpk_hybrid.plots.style import PALETTE, quiet

    rows = sorted(rows, key=lambda r: (r["group"], r["drug"], r["scenario"]), reverse=True)
    figure, ax = plt.subplots(figsize=(8.5, 0.2 * len(rows) + 1.2), layout="constrained")
    y = np.arange(len(rows))
    ax.axvspan(0.8, 1.25, color="0.92", lw=0)
    ax.axvline(1.0, color="0.5", lw=0.8)
    ax.plot(
        [r["published"] for r in rows], y, "D", color="black", ms=4, label="published", zorder=3
    )
    ax.plot(
        [r["predicted"] for r in rows], y, "o", color=PALETTE[0], ms=5, label="predicted", zorder=2
    )
    for i, r in enumerate(rows):
        ax.plot([r["low"], r["high"]], [i, i], color=PALETTE[0], lw=2, zorder=2)
        ax.plot([r["published"], r["predicted"]], [i, i], ":", color="0.6", lw=0.8, zorder=1)
    ax.set(xscale="log", ylim=(-0.7, len(rows) - 0.3), xlabel="AUC over that of the reference")
    ticks = [0.2, 0.5, 1, 2, 5, 10, 20]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    route = lambda r: "oral" if "oral" in r["regimen"] else "iv"
    ax.set_yticks(y, [f"{r['drug']} {route(r)}, {r['scenario']}" for r in rows], fontsize=7.5)
    quiet(ax, "x")
    ax.legend(loc="upper right", fontsize="small")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def line(name: str, fold: np.ndarray) -> str:
    """One line of the table of groups."""
    within = np.maximum(fold, 1 / fold)
    mean = np.exp(np.mean(np.log(fold)))
    return (
        f"| {name} | {len(fold)} | {gmfe(fold):.2f} | {mean:.2f} | "
        f"{100 * np.mean(within <= 1.25):.0f} % | {100 * np.mean(within <= 2):.0f} % |"
    )


def report(rows: list[dict]) -> None:
    fold = np.array([r["fold"] for r in rows])
    pairs = defaultdict(list)
    for r in rows:
        route = "oral" if "oral" in r["regimen"] else "iv"
        pairs[r["drug"], route, r["scenario"]].append(np.log(r["fold"]))
    each = np.exp([np.mean(v) for v in pairs.values()])
    met = "met" if gmfe(fold) <= TARGET else "**missed**"
    lines = [
        "# Special populations: predicted against published",
        "",
        "Made by `python benchmarks/special_populations/run.py`; the rules stand at the top of that file. Each published ratio "
        "has the paper or label that it was read in. Nothing is fitted; every ratio that was found is here.",
        "",
        f"The aim is a GMFE of {TARGET} or less on 25 or more drug-scenario pairs: {len(pairs)} pairs ({len(rows)} published "
        f"ratios), {met} ({gmfe(fold):.2f}; several ratios of a pair averaged first: {gmfe(each):.2f}).",
        "",
        "| group | published ratios | GMFE | geometric mean of predicted/published | within 1.25-fold | within 2-fold |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for group in dict.fromkeys(r["group"] for r in rows):
        lines.append(line(group, np.array([r["fold"] for r in rows if r["group"] == group])))
    lines += [
        line("**all**", fold),
        "",
        "![predicted and published ratios](results/forest.png)",
        "",
        (HERE / "reading.md").read_text() if (HERE / "reading.md").exists() else "",
        "## Ratio by ratio",
        "",
        "| drug | dose | scenario | published | from | read in | predicted | predicted/published |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['drug']} | {r['regimen']} | {r['scenario']} | {r['published']:g} | {r['how']} | {r['study']} "
        f"| {r['predicted']:.3g} | {r['fold']:.2f} |"
        for r in rows
    ]
    (HERE / "README.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=40)
    people = parser.parse_args().people
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    rows = list(csv.DictReader((HERE / "ratios.csv").open()))
    for row in rows:
        row["published"] = float(row["published"])
    predicted(rows, people)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    keep = ("drug", "regimen", "scenario", "group", "published", "predicted", "low", "high", "fold")
    (results / "ratios.json").write_text(
        json.dumps([{k: r[k] for k in keep} for r in rows], indent=1) + "\n"
    )
    picture(rows, results / "forest.png")
    report(rows)


if __name__ == "__main__":
    main()
