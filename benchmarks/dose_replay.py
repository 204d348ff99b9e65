"""Replay of routine monitoring: how well is the next sample of a patient foreseen?

    python benchmarks/dose_replay.py [--folds 3] [--limit 300]

Three public data sets of people under treatment: phenobarbital in neonates (Grasela & Donn 1985), quinidine (Verme et al.
1992), warfarin (O'Reilly 1963, 1968). For each third of the patients a one-compartment model is fitted to the other two
(FOCE; clearance and volume by weight to the powers 0.75 and 1, both differing between people, and with warfarin the absorption
too; proportional error). What comes out is the prior. Then every patient is replayed: before each sample from the second on,
`ph.posterior` of the samples so far foresees it under the doses that were really given. Nothing was chosen on these data; the
models were written down before they were run, and no patient is in the fit of the own prior.

`population`: the same without any sample of the patient. AAFE: exp of the mean |ln(foreseen median/observed)|. Coverage: share
of the samples inside the 90 % interval of the posterior prediction with residual error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE / "forecasting"))

import studies
from _harness import RESULTS, machine

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import LogNormal, Parameter, fit_population
from pbpk_hybrid.estimation.posterior_draws import with_residual_error
from pbpk_hybrid.models.system.system import Coefficients

#: study -> where the search starts (ka [1/h], CL [L/h] and V [L] of 70 kg), what differs between people
STUDIES = {
    "phenobarbital": ((1.0, 0.13, 70.0), ("cl", "v")),
    "quinidine": ((0.5, 15.0, 200.0), ("cl", "v")),
    "warfarin": ((1.0, 0.13, 8.0), ("ka", "cl", "v")),
}
POWERS = {"ka": 0.0, "cl": 0.75, "v": 1.0}
DRAWS = 400


def system(weights: np.ndarray, start: tuple[float, float, float], subjects=None) -> ph.System:
    """One compartment with absorption, one subject for each weight [kg]."""

    def assemble(p):
        rate = p["cl"] / p["v"]
        columns = np.broadcast_arrays(*(np.atleast_1d(x) for x in (-p["ka"], p["ka"], -rate)))
        return Coefficients(np.stack(columns, axis=1), (), {"plasma": 1.0 / np.atleast_1d(p["v"])})

    parameters = {
        n: x * (weights / 70.0) ** POWERS[n] for n, x in zip(("ka", "cl", "v"), start, strict=True)
    }
    c = assemble(parameters)
    return ph.System(
        ("depot", "body"),
        [0, 1, 1],
        [0, 0, 1],
        c.k_value,
        observables={"plasma": ph.Observable((1,), c.observable_factor["plasma"])},
        targets={"oral": 0, "iv_bolus": 1, "iv_infusion": 1},
        n_subjects=len(weights),
        subjects=subjects,
        parameters=parameters,
        assemble=assemble,
    )


def of(study, numbers):
    """Observations and doses of some subjects, by number."""
    who = study.observation["subject"].values.astype(str)
    rows = np.flatnonzero(np.isin(who, [str(i) for i in numbers]))
    c = study.regimen.columns
    mine = np.isin(c["subject"], numbers)
    return study.observation.isel(sample=rows), ph.Regimen({k: v[mine] for k, v in c.items()})


def replay(name: str, folds: int, limit: float) -> dict:
    """One row for each sample that was foreseen."""
    study = _from_zero(getattr(studies, name)())
    start, random = STUDIES[name]
    weights = np.array(study.physiology["body_weight"], dtype=float)
    numbers = np.arange(len(weights))
    estimated = {n: Parameter(1.0, factor=True, targets=(n,)) for n in (*random,)}
    if "ka" not in random and name == "quinidine":  # the same in all people
        estimated = {"ka": Parameter(1.0, factor=True, targets=("ka",)), **estimated}
    fold = np.random.default_rng(5).permutation(len(weights)) % folds
    rows, priors_found, began = [], [], time.process_time()
    for k in range(folds):
        others = numbers[fold != k]
        data, _ = of(study, others)
        seen = np.isin(others.astype(str), data["subject"].values.astype(str))
        others = others[seen]
        found = fit_population(
            system(weights[others], start, subjects=others),
            data,
            estimated,
            list(random),
            regimen=of(study, others)[1],
            error="proportional",
            standard_errors=False,
        )
        priors_found.append(dict(zip(found.names, map(float, found.values), strict=True)))
        error = found["error.proportional"]
        prior = {
            n: LogNormal(found[n], found[f"omega.{n}"] if n in random else 0.05) for n in estimated
        }
        for i in numbers[fold == k]:
            if time.process_time() - began > limit:
                break
            rows += of_patient(study, int(i), weights[i], start, estimated, prior, error)
    return {"study": name, "rows": rows, "priors": priors_found}


def _from_zero(study):
    """The study with its first dose at time 0 or later: quinidine was given before records begin."""
    c = study.regimen.columns
    later = max(0.0, -float(c["time"].min()))
    regimen = ph.Regimen({**c, "time": c["time"] + later})
    observation = study.observation.assign(
        time=("sample", study.observation["time"].values + later, {"units": "h"})
    )
    return replace(study, regimen=regimen, observation=observation)


def of_patient(study, number, weight, start, estimated, prior, error) -> list[dict]:
    """(observed, foreseen) of every sample but the first."""
    data, doses = of(study, [number])
    t, y = data["time"].values.astype(float), data["value"].values.astype(float)
    order = np.argsort(t, kind="stable")
    t, y = t[order], y[order]
    doses = ph.Regimen({**doses.columns, "subject": np.full(len(doses), -1)})
    model, rng, out = system(np.array([weight]), start), np.random.default_rng(number), []
    for n in range(1, len(t)):
        if t[n] == t[n - 1]:
            continue
        row = {"subject": number, "n": n, "observed": y[n]}
        for who, k in (("population", 0), ("posterior", n)):
            samples = [(float(a), float(b)) for a, b in zip(t[:k], y[:k], strict=True)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = ph.posterior(
                    model,
                    ph.Patient(doses, samples),
                    prior,
                    parameters=estimated,
                    error={"proportional": error},
                    draws=DRAWS,
                    seed=n,
                )
            run = found.simulate(times=[t[n]], draws=DRAWS)
            value = run["concentration"].values[:, 0, 0]
            picks = found.picks(DRAWS)
            with_error = with_residual_error(
                value, found.model.error, found.error_values(picks), rng
            )
            low, high = np.quantile(with_error, (0.05, 0.95))
            row[who] = float(np.median(value))
            row[f"{who} in"] = bool(low <= y[n] <= high)
            if k:
                row["k"] = found.pareto_k
        out.append(row)
    return out


def summary(found: dict) -> dict:
    """AAFE, bias and coverage, overall and by number of samples."""
    rows = found["rows"]
    out = {"study": found["study"], "patients": len({r["subject"] for r in rows})}
    for label, few in (("all", None), ("after 1", 1), ("after 2 and more", 2)):
        some = [r for r in rows if few is None or (r["n"] == 1 if few == 1 else r["n"] >= 2)]
        part = {"samples": len(some)}
        for who in ("population", "posterior"):
            error = np.log(np.array([r[who] / r["observed"] for r in some]))
            part[who] = {
                "aafe": float(np.exp(np.abs(error).mean())),
                "bias": float(np.exp(error.mean())),
                "covered": float(np.mean([r[f"{who} in"] for r in some])),
            }
        out[label] = part
    out["good_k"] = float(np.mean([r["k"] <= 0.7 for r in rows]))
    return out


def markdown(all_of: list[dict]) -> str:
    """The table; coverage that is off by more than twice its standard error bold."""
    facts = machine()
    lines = ["# Replay of routine monitoring", "", *(__doc__ or "").strip().split("\n\n")[2:], ""]
    lines += [
        f"Machine: {facts['processor']}, {facts['cores']} cores, shared with other work.",
        "",
        "| study | samples of the patient so far | patients | foreseen | AAFE population | AAFE posterior | bias (fold) |"
        " coverage population [%] | coverage posterior [%] |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for s in all_of:
        for label in ("all", "after 1", "after 2 and more"):
            part = s[label]
            a, b = part["population"], part["posterior"]
            cells = []
            for x in (a, b):
                text = f"{100 * x['covered']:.0f}"
                se = np.sqrt(0.09 / part["samples"])
                cells.append(f"**{text}**" if abs(x["covered"] - 0.9) > 2 * se else text)
            aafe = f"{b['aafe']:.2f}"
            aafe = f"**{aafe}**" if b["aafe"] > a["aafe"] else aafe
            lines.append(
                f"| {s['study']} | {label} | {s['patients']} | {part['samples']} | {a['aafe']:.2f} | {aafe} | {b['bias']:.2f} |"
                f" {cells[0]} | {cells[1]} |"
            )
    good = ", ".join(f"{s['study']} {100 * s['good_k']:.0f} %" for s in all_of)
    lines += [
        "",
        f"Bold: a posterior worse than the population, or a coverage off 90 % by more than twice its standard error. Pareto k at"
        f" most 0.7: {good}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds of each study")
    parser.add_argument("--studies", default=",".join(STUDIES))
    given = parser.parse_args()
    kept = RESULTS / "dose_replay.json"
    before = json.loads(kept.read_text(encoding="utf-8"))["studies"] if kept.exists() else []
    found = {s["study"]: s for s in before}  # studies that are not run again stay
    for name in given.studies.split(","):
        new = replay(name, given.folds, given.limit)
        found[name] = summary(new) | {"priors": new["priors"]}
        print(found[name], flush=True)
        rows = [found[n] for n in STUDIES if n in found]
        text = markdown(rows)
        (RESULTS / "dose_replay.md").write_text(text, encoding="utf-8")
        stored = {"machine": machine(), "studies": rows}
        kept.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
