"""Does a dose over the whole posterior reach the target more often than other ways to dose?

    python benchmarks/dose_virtual.py [--patients 10000] [--limit 120]

Virtual patients are drawn from the prior that the estimation has, sampled with residual error under a first regimen, then
dosed for good. Who doses: an oracle that knows the parameters; `ph.dose` over the posterior; the dose that is best at the
most probable parameters (MAP); the dose that is best for the prior before any sample; and a nomogram, the fixed mg/kg that
reaches the target most often in 2,000 other patients. All choose among the same amounts. The target is judged on the true
parameters, on the concentration itself and on one measurement of it with the same residual error.

The parameters of the drug of two compartments are made up for this benchmark; theophylline's whole-body model is the
package's, with its usual priors.
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

from _harness import RESULTS, machine
from patient_posterior import two_compartments

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import LogNormal, fit
from pbpk_hybrid.estimation.dose_profiles import Administration, ProfileSource
from pbpk_hybrid.estimation.dose_targets import as_target
from pbpk_hybrid.estimation.individual import usual_priors


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
        if self.name.startswith("two"):
            scale = {"cl": (weight / 70) ** 0.75, "q": (weight / 70) ** 0.75}
            scale |= {"v1": weight / 70, "v2": weight / 70}
            base = two_compartments()
            typical = {n: float(base.parameters[n][0]) * f for n, f in scale.items()}
            sds = {"cl": 0.4, "q": 0.2, "v1": 0.3, "v2": 0.3}
            return base, None, {n: LogNormal(typical[n], sds[n]) for n in sds}
        person = ph.reference_individual("human", body_weight=weight)
        system = ph.whole_body_system(ph.get_compound("theophylline"), person)
        return system, *usual_priors(system, ph.Patient(self.first))


SCENARIOS = (
    Scenario(
        "two compartments, infusions: AUC",
        "1000 mg iv over 1 h q12h x2",
        (2.0, 11.9),
        Administration("iv_infusion", 1.0),
        12.0,
        tuple(125.0 * i for i in range(1, 33)),
        "AUC24 400-600 mg*h/L",
        0.15,
    ),
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


def markdown(rows: list[dict]) -> str:
    facts = machine()
    lines = ["# Dose of virtual patients", "", *(__doc__ or "").strip().split("\n\n")[2:], ""]
    lines += [f"Machine: {facts['processor']}, {facts['cores']} cores, shared with other work.", ""]
    for key, words in (
        ("attained", "true value in the range"),
        ("measured", "one measurement of it in the range"),
    ):
        lines += [
            f"Share of patients with the {words} [%]:",
            "",
            "| scenario | target | samples | patients | " + " | ".join(WAYS) + " |",
            "|---|---|---|---|" + "---|" * len(WAYS),
        ]
        for r in rows:
            cells = [f"{100 * r[key][w]:.1f}" for w in WAYS]
            beaten = all(r[key]["posterior"] >= r[key][w] for w in ("MAP", "nomogram"))
            cells[1] = cells[1] if beaten else f"**{cells[1]}**"
            lines.append(
                f"| {r['scenario']} | {r['target']} | {r['samples']} | {r['patients']} | "
                + " | ".join(cells)
                + " |"
            )
        lines.append("")
    lines += [
        "Posterior minus the other, in points of the true attainment (paired, with standard error):",
        "",
        "| scenario | "
        + " | ".join(w for w in WAYS if w != "posterior")
        + " | attainment it expected | k <= 0.7 | CPU [s] |",
        "|---|" + "---|" * (len(WAYS) + 2),
    ]
    for r in rows:
        cells = []
        for w, (d, se) in r["paired"].items():
            text = f"{100 * d:+.1f} ({100 * se:.1f})"
            missed = d < -0.03 if w == "oracle" else d < 0 and w != "prior"
            cells.append(f"**{text}**" if missed else text)
        lines.append(
            f"| {r['scenario']} | "
            + " | ".join(cells)
            + f" | {100 * r['expected']:.1f} % | {100 * r['good_k']:.0f} % | {r['cpu_seconds']:.2f} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            "Targets: within 3 points of the oracle, above MAP and nomogram; misses bold.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--limit", type=float, default=120.0, help="CPU seconds of each scenario")
    given = parser.parse_args()
    rows = [run(s, given.patients, given.limit) for s in SCENARIOS]
    text = markdown(rows)
    (RESULTS / "dose_virtual.md").write_text(text, encoding="utf-8")
    (RESULTS / "dose_virtual.json").write_text(
        json.dumps({"machine": machine(), "rows": rows}, indent=1), encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    main()
