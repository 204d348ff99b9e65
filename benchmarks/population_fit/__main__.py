"""The published hierarchical fit of mavoglurant's 16-state model, by conditional estimation and by NUTS: figures and time.

    python -m benchmarks.population_fit [--people 20 120] [--sample]

Data: nlmixr2data's mavoglurant (GPL-3, benchmarks/data/nlmixr2data), study A2121, first occasion of each person. Model,
priors and posteriors: BayesPBPK tutorial (Elmokadem et al. 2023, CPT Pharmacometrics Syst Pharmacol 12:1362), fitted
there to the first 20 people. Results go to benchmarks/results/population_fit.{md,json}.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pbpk_hybrid.dosing import read_nonmem
from pbpk_hybrid.estimation import (
    HalfCauchy,
    LogNormal,
    fit_population,
    plot_observed_predicted,
    sample_posterior,
)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "validation" / "engine"))
from mavoglurant import mavoglurant_system

DATA = HERE.parent / "data" / "nlmixr2data" / "mavoglurant.csv.gz"
RESULTS = HERE.parent / "results"
LOG_MEDIANS = {
    "clint": 7.1,
    "kb.brain": 1.1,
    "kb.muscle": 0.3,
    "kb.adipose": 2.0,
    "kb.bone": 0.03,
    "kb.rest": 0.3,
}
#: (mean, 5 %, 95 %) of the linear-ODE model in Torsten, and of Turing
PUBLISHED = {
    "clint": ((1405, 1239, 1604), (1392, 1216, 1585)),
    "kb.brain": ((4.89, 3.64, 6.36), (4.97, 3.54, 6.54)),
    "kb.muscle": ((1.754, 1.486, 2.042), (1.752, 1.488, 2.041)),
    "kb.adipose": ((10.33, 9.31, 11.51), (10.34, 9.37, 11.46)),
    "kb.bone": ((1.062, 0.739, 1.472), (1.060, 0.741, 1.424)),
    "kb.rest": ((1.808, 1.257, 2.459), (1.808, 1.258, 2.427)),
    "error.lognormal": ((0.321, 0.298, 0.345), (0.321, 0.297, 0.345)),
    "omega.clint": ((0.364, 0.263, 0.499), (0.361, 0.270, 0.484)),
}


def study(people: int):
    """NonmemData and body weights of the first people, first occasion."""
    with gzip.open(DATA, "rt") as file:
        rows = [r for r in csv.DictReader(file) if r["OCC"] == "1"]
    ids = list(dict.fromkeys(r["ID"] for r in rows))[:people]
    rows = [r for r in rows if r["ID"] in ids]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        data = read_nonmem(
            path, concentration_unit="ng/mL", compartments={1: "iv", 2: "venous_blood"}
        )
    return data, {int(r["ID"]): float(r["WT"]) for r in rows}


def run(people: int, sample: bool) -> dict:
    data, weights = study(people)
    system = mavoglurant_system(np.array(list(weights.values())), subjects=np.array(list(weights)))
    priors = {n: LogNormal(float(np.exp(m)), 0.25) for n, m in LOG_MEDIANS.items()}
    began, cpu = time.perf_counter(), time.process_time()
    found = fit_population(
        system,
        data.observations,
        {n: float(np.exp(m)) for n, m in LOG_MEDIANS.items()},
        ["clint"],
        {**priors, "error.lognormal": HalfCauchy(0.5), "omega.clint": HalfCauchy(0.5)},
        regimen=data.regimen,
        error="lognormal",
    )
    out = {
        "people": people,
        "samples": int(data.observations.sizes["sample"]),
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
        "evaluations": found.facts["evaluations"],
        "converged": found.converged,
        "minus_two_log": found.minus_two_log,
        "estimates": {n: found[n] for n in found.names},
        "intervals": found.intervals(0.90),
    }
    import matplotlib

    matplotlib.use("Agg")
    plot_observed_predicted(found).figure.savefig(RESULTS / f"population_fit_{people}.png", dpi=130)
    if sample:
        began, cpu = time.perf_counter(), time.process_time()
        post = sample_posterior(found, draws=500, tune=400, chains=2, seed=1)
        out["posterior"] = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "draws": 500,
            "tune": 400,
            "chains": 2,
            "divergences": int(post["diverging"].sum()),
            "rhat": float(post["rhat"].max()),
            "ess": float(post["ess"].min()),
            "summary": {
                n: [float(post[n].mean()), *(float(q) for q in np.quantile(post[n], [0.05, 0.95]))]
                for n in found.names
            },
        }
    return out


def markdown(results: list[dict]) -> str:
    sources = __doc__.strip().split("\n\n")[2].replace("\n", " ")
    lines = ["# Hierarchical fit of mavoglurant's whole-body model", "", sources, ""]
    lines += [
        f"Machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, shared with other work.",
        "",
    ]
    first = results[0]
    sampled = first.get("posterior")
    head = "| parameter | Torsten: mean (5-95 %) | Turing | here, conditional: value (5-95 %) |"
    lines += [
        head + (" here, NUTS |" if sampled else ""),
        "|---|---|---|---|" + ("---|" if sampled else ""),
    ]
    inside = 0
    for n, (torsten, turing) in PUBLISHED.items():
        show = lambda x: f"{x[0]:.4g} ({x[1]:.4g}-{x[2]:.4g})"
        value, ends = first["estimates"][n], first["intervals"][n]
        inside += torsten[1] < value < torsten[2] and turing[1] < value < turing[2]
        row = f"| {n} | {show(torsten)} | {show(turing)} | {show((value, *ends))} |"
        lines.append(row + (f" {show(sampled['summary'][n])} |" if sampled else ""))
    lines += [
        "",
        f"{inside} of {len(PUBLISHED)} estimates lie within both published 90 % intervals.",
        "",
    ]
    lines += [
        "| people | samples | model evaluations | wall time | CPU time |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['people']} | {r['samples']} | {r['evaluations']} | {r['seconds']:.1f} s | {r['cpu_seconds']:.1f} s |"
        for r in results
    ]
    if sampled:
        lines += [
            "",
            f"NUTS ({sampled['chains']} chains of {sampled['tune']} + {sampled['draws']} draws, first "
            f"{first['people']} people): {sampled['seconds']:.0f} s wall, {sampled['cpu_seconds']:.0f} s CPU, "
            f"{sampled['divergences']} divergences, largest R-hat {sampled['rhat']:.3f}, smallest effective size "
            f"{sampled['ess']:.0f}.",
        ]
    for r in results[1:]:
        each = [
            f"{n} {v:.4g} ({r['intervals'][n][0]:.4g}-{r['intervals'][n][1]:.4g})"
            for n, v in r["estimates"].items()
        ]
        lines += [
            "",
            f"{r['people']} people (no published fit of them to compare with): {', '.join(each)}.",
        ]
    lines += [
        "",
        "Times include standard errors (a second derivative of the objective). Target: 10 minutes on 2 cores.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, nargs="+", default=[20, 120])
    parser.add_argument("--sample", action="store_true")
    options = parser.parse_args()
    results = [run(n, options.sample and i == 0) for i, n in enumerate(options.people)]
    (RESULTS / "population_fit.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "population_fit.md").write_text(markdown(results))


if __name__ == "__main__":
    main()
