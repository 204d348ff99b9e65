"""Is the posterior of one patient the right one, and how long does it take?

    python benchmarks/patient_posterior.py [--people 8] [--patients 400]

1. Single people of the mavoglurant study (nlmixr2data, GPL-3, benchmarks/data/nlmixr2data; model and priors of the
   BayesPBPK tutorial, Elmokadem et al. 2023, CPT Pharmacometrics Syst Pharmacol 12:1362; clearance with the published
   spread between people): means and standard deviations by importance sampling beside those by NUTS.
2. Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788): parameters are drawn from the prior, data from
   them, and the rank of the truth among the posterior's draws must be uniform. Two models: two compartments by mouth
   with an estimated error, and theophylline's whole-body model.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import chi2

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "tests" / "validation" / "engine"))
sys.path.insert(0, str(HERE.parent))

from _harness import RESULTS, machine
from benchmarks.population_fit.__main__ import LOG_MEDIANS, study
from mavoglurant import mavoglurant_system

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import HalfCauchy, LogNormal
from pbpk_hybrid.estimation.individual import usual_priors
from pbpk_hybrid.estimation.nuts import ChainSettings, ObjectiveDensity, run_nuts
from pbpk_hybrid.models.system.system import Coefficients

#: sd of log clearance between people, as published for this model
BETWEEN = 0.36
RANKS, BINS = 199, 20


def mavoglurant(people: int) -> list[dict]:
    """One row for each person: both posteriors and their times."""
    data, weights = study(people)
    priors = {n: LogNormal(float(np.exp(m)), 0.25) for n, m in LOG_MEDIANS.items()}
    priors |= {"clint": LogNormal(float(np.exp(7.1)), BETWEEN), "error.lognormal": HalfCauchy(0.5)}
    rows = []
    for label, weight in weights.items():
        mine = data.observations["subject"].values.astype(str) == str(label)
        c = data.regimen.columns
        own = {k: v[c["subject"] == label] for k, v in c.items()}
        own["subject"] = np.full(len(own["time"]), -1)
        patient = ph.Patient(
            ph.Regimen(own), data.observations.isel(sample=np.flatnonzero(mine)), body_weight=weight
        )
        model = mavoglurant_system(np.array([weight]))
        began, cpu = time.perf_counter(), time.process_time()
        found = ph.posterior(model, patient, priors, error="lognormal", seed=1)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        if not rows:  # the first compiled the engine
            began, cpu = time.perf_counter(), time.process_time()
            found = ph.posterior(model, patient, priors, error="lognormal", seed=1)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        began = time.perf_counter()
        chains = nuts(model, patient, priors)
        rows.append(
            {
                "person": label,
                "samples": int(mine.sum()),
                "seconds": seconds,
                "cpu_seconds": cpu,
                "k": found.pareto_k,
                "effective_size": found.effective_size,
                "nuts_seconds": time.perf_counter() - began,
                "mean_error": [
                    abs(found.mean()[n] - chains[n].mean()) / chains[n].std() for n in found.names
                ],
                "sd_error": [abs(found.sd()[n] / chains[n].std() - 1.0) for n in found.names],
            }
        )
        print(rows[-1], flush=True)
    return rows


def nuts(model, patient, priors) -> dict[str, np.ndarray]:
    """Draws of the same posterior by NUTS."""
    from pbpk_hybrid.estimation import fit

    found = fit(
        model,
        patient.observations(),
        {n: float(np.exp(m)) for n, m in LOG_MEDIANS.items()},
        priors,
        regimen=patient.doses,
        error="lognormal",
    )
    density = ObjectiveDensity(found.objective, found.u, found.covariance)
    q, _ = run_nuts(density, ChainSettings(draws=1500, tune=400, chains=2, seed=1))
    return {
        n: np.asarray(s.back(q[..., i]))
        for i, (n, s) in enumerate(zip(found.names, found.objective.scales, strict=True))
    }


def two_compartments() -> ph.System:
    """Depot, centre, periphery: ka [1/h], cl, q [L/h], v1, v2 [L]."""

    def assemble(p):
        ka, cl, q, v1, v2 = (np.atleast_1d(p[n]) for n in ("ka", "cl", "q", "v1", "v2"))
        columns = np.broadcast_arrays(-ka, ka, -(cl + q) / v1, q / v2, q / v1, -q / v2)
        return Coefficients(np.stack(columns, axis=1), (), {"plasma": 1.0 / v1})

    parameters = {
        n: np.array([x])
        for n, x in zip(("ka", "cl", "q", "v1", "v2"), (1, 4, 6, 25, 60), strict=True)
    }
    c = assemble(parameters)
    return ph.System(
        ("depot", "centre", "periphery"),
        [0, 1, 1, 1, 2, 2],
        [0, 0, 1, 2, 1, 2],
        c.k_value,
        observables={"plasma": ph.Observable((1,), c.observable_factor["plasma"])},
        targets={"oral": 0, "iv_bolus": 1, "iv_infusion": 1},
        parameters=parameters,
        assemble=assemble,
    )


def calibration(name: str, patients: int, limit: float) -> dict:
    """Ranks of the truth among the draws, for as many patients as the limit of CPU time [s] allows."""
    rng = np.random.default_rng(7)
    if name == "two compartments":
        model, parameters = two_compartments(), None
        sds = {"ka": 0.5, "cl": 0.4, "q": 0.3, "v1": 0.3, "v2": 0.3}
        priors = {n: LogNormal(float(model.parameters[n][0]), sd) for n, sd in sds.items()}
        doses, error = "100 mg oral q12h x3", "proportional"
        priors["error.proportional"] = LogNormal(0.2, 0.4)
        times = [[1.0, 4.0, 11.9, 26.0], [2.0, 11.9, 35.9], [3.0, 30.0]]
    else:
        doses, error = "320 mg oral q12h x2", {"proportional": 0.15}
        model = ph.whole_body_system(
            ph.get_compound("theophylline"), ph.reference_individual("human")
        )
        parameters, priors = usual_priors(model, ph.Patient(doses))
        times = [[1.0, 4.0, 11.9], [2.0, 14.0, 23.9], [6.0]]
    before = ph.posterior(
        model, ph.Patient(doses), priors, parameters=parameters, error=error, draws=patients, seed=3
    )
    order = rng.permutation(patients)
    ranks, ks, methods, seconds = [], [], [], []
    began = time.process_time()
    for number, i in enumerate(order):
        if time.process_time() - began > limit:
            break
        grid = times[number % len(times)]
        run = ph.simulate_system(before.system(np.array([i])), doses, grid, compartments=["plasma"])
        curve = run["concentration"].values[0, :, 0]
        sd = before.error_values(np.array([i]))[0, 0]
        value = curve * (1.0 + sd * rng.standard_normal(len(grid)))
        if (value <= 0).any():  # the model of the error gives such values, an assay does not
            continue
        patient = ph.Patient(doses, list(zip(grid, value.tolist(), strict=True)))
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ph.posterior(
                model, patient, priors, parameters=parameters, error=error, seed=number
            )
        seconds.append(time.process_time() - start)
        drawn = found.u[found.picks(RANKS)]
        ranks.append((drawn < before.u[i]).sum(axis=0))
        ks.append(found.pareto_k)
        methods.append(found.facts["method"])
    ranks = np.array(ranks)
    expected = len(ranks) / BINS
    p = {}
    for j, parameter in enumerate(before.names):
        counts = np.bincount(ranks[:, j] * BINS // (RANKS + 1), minlength=BINS)
        p[parameter] = float(chi2.sf(((counts - expected) ** 2 / expected).sum(), BINS - 1))
    return {
        "model": name,
        "patients": len(ranks),
        "p": p,
        "share_good_k": float(np.mean(np.array(ks) <= 0.7)),
        "nuts": int(sum(m == "nuts" for m in methods)),
        "seconds": float(np.median(seconds)),
    }


def markdown(rows: list[dict], checks: list[dict]) -> str:
    """The tables, misses bold."""
    mark = lambda value, met, text: text if met else f"**{text}**"
    lines = ["# Posterior of one patient", "", (__doc__ or "").split("\n\n", 2)[2].strip(), ""]
    facts = machine()
    lines += [f"Machine: {facts['processor']}, {facts['cores']} cores, shared with other work.", ""]
    if rows:
        lines += [
            "Targets: means and sds within 0.1 sd of NUTS, under 1 s a person. NUTS has an error of its own, about 0.03 sd.",
            "",
            "| person | samples | wall time [s] | CPU [s] | Pareto k | effective size | largest error of a mean [sd] "
            "| largest error of an sd [%] | NUTS [s] |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for r in rows:
            mean, sd = max(r["mean_error"]), max(r["sd_error"])
            cells = [
                r["person"],
                r["samples"],
                mark(r["seconds"], r["seconds"] < 1, f"{r['seconds']:.2f}"),
                f"{r['cpu_seconds']:.2f}",
                mark(r["k"], r["k"] <= 0.7, f"{r['k']:.2f}"),
                f"{r['effective_size']:.0f}",
                mark(mean, mean <= 0.1, f"{mean:.3f}"),
                mark(sd, sd <= 0.1, f"{100 * sd:.1f}"),
                f"{r['nuts_seconds']:.0f}",
            ]
            lines.append("| " + " | ".join(str(c) for c in cells) + " |")
        lines.append("")
    if checks:
        lines += [
            f"Simulation-based calibration: rank of the truth among {RANKS} draws, chi-squared test of {BINS} bins.",
            "",
            "| model | patients | k <= 0.7 | NUTS took over | median CPU [s] | p by parameter |",
            "|---|---|---|---|---|---|",
        ]
        for c in checks:
            p = ", ".join(
                f"{n} {mark(x, x > 0.01 / len(c['p']), f'{x:.2g}')}" for n, x in c["p"].items()
            )
            share = mark(0, c["share_good_k"] >= 0.95, f"{100 * c['share_good_k']:.1f} %")
            lines.append(
                f"| {c['model']} | {c['patients']} | {share} | {c['nuts']} | {c['seconds']:.2f} | {p} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument(
        "--limit", type=float, default=60.0, help="CPU seconds for each calibration"
    )
    given = parser.parse_args()
    rows = mavoglurant(given.people) if given.people else []
    checks = [
        calibration(name, given.patients, given.limit)
        for name in (("two compartments", "theophylline, whole body") if given.patients else ())
    ]
    text = markdown(rows, checks)
    (RESULTS / "patient_posterior.md").write_text(text, encoding="utf-8")
    stored = {"machine": machine(), "mavoglurant": rows, "calibration": checks}
    (RESULTS / "patient_posterior.json").write_text(json.dumps(stored, indent=1), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
