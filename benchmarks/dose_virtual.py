"""Does a dose over the whole posterior reach the target more often than other ways to dose?

    python benchmarks/dose_virtual.py [--patients 10000] [--own 2000] [--limit 120]

Virtual patients are drawn from the prior that the estimation has, sampled with residual error under a first regimen, then
dosed for good. Who doses: an oracle that knows the parameters; the exact Bayesian, who has the true prior, the exact posterior
of the samples (closed form, thousands of weighted draws) and searches all amounts: nobody who sees the samples can attain
more on average; `ph.dose` over `ph.posterior`; the dose that is best at the most probable parameters (MAP); the dose that is
best for the prior before any sample; and a nomogram, the mg/kg that reaches the target most often in 2,000 other patients.
All choose among the same amounts. Each patient counts twice: by the true value of the metric, and by the probability that one
measurement of it, with the residual error of the samples, lies in the range (everybody then chooses for that).

The two drugs in closed form are made up for this benchmark; theophylline's whole-body model is the package's, with its
usual priors. Nothing was tuned on these patients.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _dose_limit import ORAL, TWO, Cohort, Drug, attained, expected, measured, nearest
from _harness import RESULTS, machine

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import LogNormal, fit
from pbpk_hybrid.estimation.dose_profiles import Administration, ProfileSource
from pbpk_hybrid.estimation.dose_targets import as_target
from pbpk_hybrid.estimation.individual import usual_priors
from pbpk_hybrid.models.system.system import Coefficients


@dataclass(frozen=True)
class Scenario:
    """A drug, how patients are sampled, and what they are dosed for."""

    name: str
    first: str
    times: tuple[float, ...]
    give: Administration
    interval: float
    amounts: tuple[float, ...]
    target: str
    error: float

    def model(self, weight: float):
        """System, parameters and priors of a patient."""
        person = ph.reference_individual("human", body_weight=weight)
        system = ph.whole_body_system(ph.get_compound("theophylline"), person)
        return system, *usual_priors(system, ph.Patient(self.first))


SCENARIOS = (
    Scenario(
        "theophylline, whole body, oral: trough",
        "320 mg oral q12h x2",
        (2.0, 11.9, 20.0),
        Administration("oral"),
        12.0,
        tuple(50.0 * i for i in range(1, 41)),
        "trough 5-10 mg/L",
        0.15,
    ),
)
WAYS = ("oracle", "posterior", "MAP", "prior", "nomogram")


def values_of(source: ProfileSource, s: Scenario) -> np.ndarray:
    """(n_draws, n_amounts) of the target's metric; linear models."""
    goal = as_target(s.target).goals[0]
    return goal.value(source.steady_state(1.0, s.interval))[:, None] * np.array(s.amounts)


def nomogram(s: Scenario, rng: np.random.Generator) -> float:
    """mg/kg that reaches the target most often; 40 weights of 50 patients each."""
    goal = as_target(s.target).goals[0]
    grid = np.geomspace(0.3, 60, 120)
    found = np.zeros(len(grid))
    for weight in 75 * np.exp(0.2 * rng.standard_normal(40)):
        system, parameters, priors = s.model(weight)
        prior = ph.posterior(
            system,
            ph.Patient(s.first),
            priors,
            parameters=parameters,
            draws=100,
            seed=int(weight * 1e6) % 2**31,
        )
        unit = values_of(ProfileSource(prior, s.give, prior.picks(50), 0.0), s)[:, 0] / s.amounts[0]
        for i, per_kg in enumerate(grid):
            amount = min(s.amounts, key=lambda a: abs(a - per_kg * weight))
            found[i] += goal.attained(unit * amount).mean()
    return float(grid[int(np.argmax(found))])


def run(s: Scenario, patients: int, limit: float) -> dict:
    """Attainment of each way to dose, over as many patients as the CPU limit [s] allows."""
    rng = np.random.default_rng(11)
    goal, per_kg = as_target(s.target).goals[0], nomogram(s, rng)
    true = {w: [] for w in WAYS}
    seen = {w: [] for w in WAYS}
    expected, ks, began, seconds = [], [], time.process_time(), []
    for number in range(patients):
        if time.process_time() - began > limit:
            break
        weight = float(75 * np.exp(0.2 * rng.standard_normal()))
        system, parameters, priors = s.model(weight)
        before = ph.posterior(
            system,
            ph.Patient(s.first),
            priors,
            parameters=parameters,
            error={"proportional": s.error},
            draws=300,
            seed=number,
        )
        truth = ProfileSource(before, s.give, np.array([0]), 0.0)
        curve = before.system(np.array([0]))
        grid = np.array(s.times)
        c = ph.simulate_system(curve, s.first, grid, compartments=["plasma"])[
            "concentration"
        ].values.ravel()
        y = c * (1 + s.error * rng.standard_normal(len(grid)))
        if (y <= 0).any():
            continue
        patient = ph.Patient(s.first, list(zip(grid.tolist(), y.tolist(), strict=True)))
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ph.posterior(
                system,
                patient,
                priors,
                parameters=parameters,
                error={"proportional": s.error},
                seed=number,
            )
        result = ph.dose(
            found,
            s.target,
            interval=s.interval,
            route="oral" if s.give.route == "oral" else "iv",
            infusion=s.give.infusion or None,
            amounts=s.amounts,
            draws=400,
        )
        seconds.append(time.process_time() - start)
        most = fit(
            system,
            patient.observations(),
            parameters or {n: p.median for n, p in priors.items()},
            priors,
            regimen=s.first,
            error={"proportional": s.error},
        )
        at_map = _at(most, before, s)
        real = values_of(truth, s)[0]
        nearest = lambda metric: int(
            np.argmin(np.abs(np.log(metric / np.sqrt(goal.low * goal.high))))
        )
        unsampled = goal.attained(
            values_of(ProfileSource(before, s.give, before.picks(200), 0.0), s)
        ).mean(axis=0)
        chosen = {
            "oracle": nearest(real),
            "posterior": s.amounts.index(result.best.amount),
            "MAP": nearest(at_map),
            "prior": int(np.argmax(unsampled)),
            "nomogram": int(np.argmin(np.abs(np.array(s.amounts) - per_kg * weight))),
        }
        noise = 1 + s.error * rng.standard_normal()
        for way, i in chosen.items():
            true[way].append(bool(goal.attained(real[i])))
            seen[way].append(bool(goal.attained(real[i] * noise)))
        expected.append(result.attainment)
        ks.append(found.pareto_k)
    return {
        "scenario": s.name,
        "target": s.target,
        "samples": len(s.times),
        "patients": len(expected),
        "attained": {w: float(np.mean(true[w])) for w in WAYS},
        "measured": {w: float(np.mean(seen[w])) for w in WAYS},
        "expected": float(np.mean(expected)),
        "paired": {
            w: [float(x) for x in _paired(true["posterior"], true[w])]
            for w in WAYS
            if w != "posterior"
        },
        "good_k": float(np.mean(np.array(ks) <= 0.7)),
        "nomogram_mg_kg": per_kg,
        "cpu_seconds": float(np.median(seconds)),
    }


def _at(most, before, s: Scenario) -> np.ndarray:
    """The metric over amounts at the most probable parameters."""
    from dataclasses import replace

    u = np.array([[most.u[most.names.index(n)] if n in most.names else 0.0 for n in before.names]])
    single = replace(before, u=np.repeat(u, 1, axis=0))
    return values_of(ProfileSource(single, s.give, np.array([0]), 0.0), s)[0]


def _paired(a: list[bool], b: list[bool]) -> tuple[float, float]:
    """Difference of two attainments and its standard error."""
    d = np.array(a, float) - np.array(b, float)
    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))


# ---- drugs in closed form -----------------------------------------------------------------------

#: name -> drug, sampling times [h] of the first regimen, residual error
CLOSED = {
    "two compartments, infusions": (TWO, (2.0, 11.9), 0.15),
    "one compartment, oral": (ORAL, (2.0, 11.9, 20.0), 0.15),
}
WHO = ("oracle", "exact Bayesian", "MAP", "prior", "nomogram")
JUDGED = {"true": "true value in the range", "measured": "one measurement of it in the range"}
_CHUNK = 500


def closed_nomogram(drug: Drug) -> float:
    """mg/kg that reaches the target most often in 2,000 other patients."""
    others = Cohort.draw(drug, 2000, (2.0,), 0.1, seed=99)
    unit = others.metric(others.truth)
    amounts = drug.amounts
    grid = np.geomspace(0.3, 60, 240)
    share = []
    for per_kg in grid:
        chosen = amounts[np.abs(amounts - per_kg * others.weight[:, None]).argmin(1)]
        share.append(attained(drug, unit * chosen).mean())
    return float(grid[int(np.argmax(share))])


def closed(name: str, patients: int) -> dict:
    """Everybody but the package, over `patients` patients; arrays of hits by way and judge."""
    drug, times, error = CLOSED[name]
    cohort, per_kg = Cohort.draw(drug, patients, times, error, seed=21), closed_nomogram(drug)
    hits = {judge: {w: [] for w in WHO} for judge in JUDGED}
    for first in range(0, patients, _CHUNK):
        part = cohort.part(slice(first, first + _CHUNK))
        u, weight = part.posterior(1000, seed=first)
        unit, real = part.metric(u), part.metric(part.truth)
        at_mode = part.metric(part.mode()[0])
        z = np.random.default_rng(first).standard_normal((part.n, 500, len(drug.names)))
        before = part.metric(drug.centre(part.weight)[:, None] + drug.sds * z)
        even = np.full(before.shape, 1 / before.shape[1])
        by_weight = np.abs(drug.amounts - per_kg * part.weight[:, None]).argmin(1)
        for judge, err in (("true", None), ("measured", error)):
            chosen = {
                "oracle": nearest(drug, real, err),
                "exact Bayesian": expected(drug, unit, weight, err).argmax(1),
                "MAP": nearest(drug, at_mode, err),
                "prior": expected(drug, before, even, err).argmax(1),
                "nomogram": by_weight,
            }
            for way, i in chosen.items():
                hits[judge][way].append(_hit(drug, real * drug.amounts[i], err))
    return {
        "scenario": name,
        "target": drug.text,
        "samples": len(times),
        "error": error,
        "patients": patients,
        "nomogram_mg_kg": per_kg,
        "cohort": cohort,
        "hits": {j: {w: np.concatenate(x) for w, x in ways.items()} for j, ways in hits.items()},
    }


def _hit(drug: Drug, value: np.ndarray, error: float | None) -> np.ndarray:
    """(n,) of each patient: 1 or 0, or the probability of a measurement in the range."""
    if error is None:
        return attained(drug, value).astype(float)
    return measured(drug, value, error)


def closed_system(drug: Drug) -> ph.System:
    """The drug as a System, for the package."""
    two = drug is TWO

    def assemble(p):
        if two:
            cl, q, v1, v2 = (np.atleast_1d(p[n]) for n in drug.names)
            columns = np.broadcast_arrays(-(cl + q) / v1, q / v2, q / v1, -q / v2)
            return Coefficients(np.stack(columns, axis=1), (), {"plasma": 1.0 / v1})
        ka, cl, v = (np.atleast_1d(p[n]) for n in drug.names)
        columns = np.broadcast_arrays(-ka, ka, -cl / v)
        return Coefficients(np.stack(columns, axis=1), (), {"plasma": 1.0 / v})

    parameters = {n: np.array([x]) for n, x in zip(drug.names, drug.typical, strict=True)}
    c = assemble(parameters)
    central = 0 if two else 1
    return ph.System(
        ("centre", "periphery") if two else ("depot", "centre"),
        [0, 0, 1, 1] if two else [0, 1, 1],
        [0, 1, 0, 1] if two else [0, 0, 1],
        c.k_value,
        observables={"plasma": ph.Observable((central,), c.observable_factor["plasma"])},
        targets={"iv_bolus": 0, "iv_infusion": 0} if two else {"oral": 0, "iv_bolus": 1},
        parameters=parameters,
        assemble=assemble,
    )


def own(found: dict, patients: int, limit: float) -> None:
    """`ph.posterior` and `ph.dose` for the first patients, put into `found`."""
    drug, times, error = CLOSED[found["scenario"]]
    cohort, system = found["cohort"], closed_system(drug)
    oral = drug is ORAL
    hits = {judge: [] for judge in JUDGED}
    promised, ks, seconds, began = {j: [] for j in JUDGED}, [], [], time.process_time()
    first = f"{drug.dose:g} mg " + ("oral" if oral else f"iv over {drug.infusion:g} h")
    first += f" q{drug.interval:g}h x{len(drug.doses)}"
    for i in range(min(patients, cohort.n)):
        if time.process_time() - began > limit:
            break
        start = time.process_time()
        centre = np.exp(drug.centre(cohort.weight[i : i + 1])[0])
        priors = {
            n: LogNormal(float(m), float(sd))
            for n, m, sd in zip(drug.names, centre, drug.sds, strict=True)
        }
        samples = list(zip(times, cohort.values[i].tolist(), strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            post = ph.posterior(
                system,
                ph.Patient(first, samples),
                priors,
                error={"proportional": error},
                seed=i,
            )
        real = cohort.metric(cohort.truth[i])
        for judge in JUDGED:
            result = ph.dose(
                post,
                drug.text,
                interval=drug.interval,
                route="oral" if oral else "iv",
                infusion=drug.infusion or None,
                amounts=drug.amounts.tolist(),
                measured=judge == "measured",
            )
            err = error if judge == "measured" else None
            hits[judge].append(float(_hit(drug, real * np.array(result.best.amount), err)))
            promised[judge].append(result.attainment)
        seconds.append(time.process_time() - start)
        ks.append(post.pareto_k)
    found["own"] = {j: np.array(x) for j, x in hits.items()}
    found["promised"] = {j: float(np.mean(x)) for j, x in promised.items()}
    found["good_k"] = float(np.mean(np.array(ks) <= 0.7))
    found["cpu_seconds"] = float(np.median(seconds))


def rounds(name: str, patients: int, most: int = 5) -> list[dict]:
    """Attainment as the exact Bayesian measures again and again under the doses that were chosen."""
    drug, times, error = CLOSED[name]
    cohort = Cohort.draw(drug, patients, times, error, seed=31)
    rng = np.random.default_rng(32)
    real, rows = cohort.metric(cohort.truth), []
    for turn in range(most):
        row = {"scenario": name, "samples": cohort.values.shape[1], "patients": patients}
        chosen = {}
        for judge, err in (("true", None), ("measured", error)):
            picks = np.concatenate(
                [
                    _chosen(cohort.part(slice(a, a + _CHUNK)), err, seed=1000 * turn + a)
                    for a in range(0, patients, _CHUNK)
                ]
            )
            best = drug.amounts[nearest(drug, real, err)]
            chosen[judge] = drug.amounts[picks]
            row[judge] = float(_hit(drug, real * chosen[judge], err).mean())
            row[f"oracle {judge}"] = float(_hit(drug, real * best, err).mean())
        rows.append(row)
        cohort = cohort.treated(chosen["true"], 4, (2.0, drug.interval - 0.1), rng)
    return rows


def _chosen(part: Cohort, error: float | None, seed: int) -> np.ndarray:
    u, weight = part.posterior(1000, seed)
    return expected(part.drug, part.metric(u), weight, error).argmax(1)


# ---- results ------------------------------------------------------------------------------------


def _points(d: np.ndarray, least: float) -> str:
    """A paired difference in points with its standard error; bold below `least` beyond doubt."""
    mean, se = 100 * d.mean(), 100 * d.std(ddof=1) / np.sqrt(len(d))
    text = f"{mean:+.1f} ({se:.1f})"
    return f"**{text}**" if mean + 2 * se < least else text


def markdown(found: list[dict], again: list[dict], rows: list[dict]) -> str:
    facts = machine()
    lines = ["# Dose of virtual patients", "", *(__doc__ or "").strip().split("\n\n")[2:], ""]
    lines += [f"Machine: {facts['processor']}, {facts['cores']} cores, shared with other work.", ""]
    for judge, words in JUDGED.items():
        lines += [
            f"## {words[0].upper()}{words[1:]}",
            "",
            "Share of patients [%]; the package doses the first of them only.",
            "",
            "| drug | target | samples | patients | " + " | ".join(WHO) + " | `ph.dose` | of |",
            "|---|---|---|---|" + "---|" * (len(WHO) + 2),
        ]
        for f in found:
            cells = [f"{100 * f['hits'][judge][w].mean():.1f}" for w in WHO]
            mine = f["own"][judge]
            lines.append(
                f"| {f['scenario']} | {f['target']} | {f['samples']} | {f['patients']} | "
                + " | ".join(cells)
                + f" | {100 * mine.mean():.1f} | {len(mine)} |"
            )
        lines += [
            "",
            "`ph.dose` minus the other on the same patients, in points (standard error):",
            "",
            "| drug | " + " | ".join(WHO) + " | attainment it expected [%] |",
            "|---|" + "---|" * (len(WHO) + 1),
        ]
        for f in found:
            mine = f["own"][judge]
            least = {"oracle": -3.0, "exact Bayesian": -1.0}
            cells = [
                _points(mine - f["hits"][judge][w][: len(mine)], least.get(w, 0.0)) for w in WHO
            ]
            lines.append(
                f"| {f['scenario']} | "
                + " | ".join(cells)
                + f" | {100 * f['promised'][judge]:.1f} |"
            )
        lines.append("")
    lines += [
        "Targets: within 3 points of the oracle, above MAP and nomogram; misses beyond twice the standard error bold (from the"
        " exact Bayesian: more than one point). The distance to the oracle is that of the exact Bayesian: it is in the samples,"
        " not in the search. "
        + "; ".join(
            f"{f['scenario']}: {100 * f['good_k']:.0f} % of posteriors with k <= 0.7, "
            f"{f['cpu_seconds']:.2f} s CPU a patient for the posterior and two doses"
            for f in found
        )
        + ".",
        "",
        "## What it takes to come near the oracle",
        "",
        "The exact Bayesian doses, four doses later two more samples are taken (2 h after a dose and just before the next), and"
        " so on; all samples so far count. Within 3 points of the oracle bold.",
        "",
        "| drug | samples | patients | true value [%] | oracle | one measurement [%] | oracle |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in again:
        cells = []
        for judge in JUDGED:
            text = f"{100 * r[judge]:.1f}"
            near = r[judge] >= r[f"oracle {judge}"] - 0.03
            cells += [f"**{text}**" if near else text, f"{100 * r[f'oracle {judge}']:.1f}"]
        lines.append(
            f"| {r['scenario']} | {r['samples']} | {r['patients']} | " + " | ".join(cells) + " |"
        )
    lines += [
        "",
        "## Theophylline, whole-body model",
        "",
        "True value in the range [%]; posterior minus the other in points (standard error):",
        "",
        "| target | samples | patients | " + " | ".join(WAYS) + " | expected by `ph.dose` | minus"
        " MAP | minus nomogram |",
        "|---|---|---|" + "---|" * (len(WAYS) + 3),
    ]
    for r in rows:
        cells = [f"{100 * r['attained'][w]:.1f}" for w in WAYS]
        pairs = [
            f"{100 * d:+.1f} ({100 * se:.1f})"
            for d, se in (r["paired"][w] for w in ("MAP", "nomogram"))
        ]
        lines.append(
            f"| {r['target']} | {r['samples']} | {r['patients']} | "
            + " | ".join([*cells, f"{100 * r['expected']:.1f}", *pairs])
            + " |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--own", type=int, default=2_000, help="patients the package doses")
    parser.add_argument("--limit", type=float, default=120.0, help="CPU seconds of each scenario")
    given = parser.parse_args()
    found, again = [], []
    for name in CLOSED:
        found.append(closed(name, given.patients))
        own(found[-1], given.own, 2 * given.limit)
        again += rounds(name, max(given.patients // 8, 100))
        print(name, {j: {w: x.mean() for w, x in h.items()} for j, h in found[-1]["hits"].items()})
        print({j: (x.mean(), len(x)) for j, x in found[-1]["own"].items()}, flush=True)
    rows = [run(s, given.patients, given.limit) for s in SCENARIOS]
    text = markdown(found, again, rows)
    (RESULTS / "dose_virtual.md").write_text(text, encoding="utf-8")
    stored = [
        {k: v for k, v in f.items() if k not in ("cohort", "hits", "own")}
        | {
            "attained": {
                j: {w: float(x.mean()) for w, x in h.items()} for j, h in f["hits"].items()
            }
        }
        | {"own": {j: float(x.mean()) for j, x in f["own"].items()}, "of": len(f["own"]["true"])}
        for f in found
    ]
    (RESULTS / "dose_virtual.json").write_text(
        json.dumps(
            {"machine": machine(), "closed": stored, "rounds": again, "rows": rows}, indent=1
        ),
        encoding="utf-8",
    )
    print(text)


if __name__ == "__main__":
    main()
