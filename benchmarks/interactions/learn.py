"""How far a perpetrator's constants may be trusted: learned from the studies of the others.

    python benchmarks/interactions/learn.py [--data FILE]

Each study of studies.csv is repeated with the perpetrator's Ki, KI or EC50 times a factor exp(b) on a grid. The model of
the published ratios, in logarithms, with b of perpetrator p and its mechanism m(p) (reversible, inactivation, induction):

    observed ~ N(predicted(b_p), sigma^2),   b_p ~ N(mu_m(p), omega^2),   mu_m ~ N(0, omega^2)

b_p is integrated out on the grid; mu, omega and sigma are those of the largest posterior. A perpetrator is judged with
what the others teach: mu and omega without it (mu is 0 where no other perpetrator has its mechanism). Writes
results/learned.json, the page learned.md, and python/pbpk_hybrid/simulation/data/interaction_constants.json, the spread
that `ph.interactions` uses, which is that of all perpetrators together.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from run import COLLECTION, gmfe, guest, members, published
from scipy.optimize import minimize
from scipy.special import logsumexp

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.named import with_values
from pbpk_hybrid.models.system.system import System
from pbpk_hybrid.simulation.constants import MECHANISMS
from pbpk_hybrid.simulation.interactions import changed_interaction

HERE = Path(__file__).parent
SPREAD = HERE.parents[1] / "python" / "pbpk_hybrid" / "simulation" / "data"
GRID = np.linspace(-3.0, 3.0, 25)  # of b; the middle is 0
FINE = np.linspace(-3.0, 3.0, 241)
KINDS = ("reversible", "inactivation", "induction")


@dataclass(frozen=True)
class Scaled:
    """Multiplies the concentration constants of some compounds by the factors of the copies of a person."""

    names: tuple[str, ...]

    def __call__(self, system: System) -> System:
        p = {k: np.atleast_1d(v) for k, v in system.parameters.items()}
        for key in p:
            name, _, rest = key.partition(":")
            if name in self.names and rest.split("[")[0] in ("ki", "ec50"):
                p[key] = p[key] * np.exp(GRID)
        return with_values(system, p)


def mechanism(compound: ph.Compound) -> str:
    """What the compound mainly does: inactivation and induction before reversible inhibition."""
    found = {MECHANISMS[e.kind] for e in compound.enzyme_effects if e.enzyme == "CYP3A4"}
    return next(k for k in ("induction", "inactivation", "reversible") if k in found)


def curve(row: dict) -> np.ndarray:
    """log AUC ratio of a study at every b of GRID."""
    given = members(row["perpetrator"], row["perpetrator_dose"])
    person = ph.reference_individual("human")
    copies = person.isel(subject=np.zeros(len(GRID), int)).assign_coords(
        subject=np.arange(len(GRID))
    )
    found = changed_interaction(
        Scaled(tuple(c.name for c, _ in given)),
        (ph.get_compound(row["victim"]), row["victim_dose"]),
        given,
        copies,
        victim_time=float(row["victim_time"]),
    )
    return np.log(found["auc_ratio"].values)


def fit(studies: list[dict]) -> dict:
    """mu, omega, sigma of the largest posterior."""
    names = sorted({s["perpetrator"] for s in studies})
    kinds = {s["perpetrator"]: s["mechanism"] for s in studies}
    there = [k for k in KINDS if k in kinds.values()]

    def unlikely(x):
        omega, sigma = np.exp(x[:2])
        mu = dict(zip(there, x[2:], strict=True))
        total = 0.5 * np.sum((np.array(x[2:]) / omega) ** 2) + len(there) * np.log(omega)
        for name in names:
            mine = [s for s in studies if s["perpetrator"] == name]
            log = -0.5 * ((FINE - mu[kinds[name]]) / omega) ** 2 - np.log(omega)
            for s in mine:
                log = log - 0.5 * ((s["log_observed"] - s["fine"]) / sigma) ** 2 - np.log(sigma)
            total -= logsumexp(log)
        # half-normal priors of scale 1 on both spreads: few perpetrators say little of omega
        return total + 0.5 * (omega**2 + sigma**2)

    starts = [np.r_[np.log([w, 0.3]), np.zeros(len(there))] for w in (0.2, 0.5, 1.0)]
    best = min((minimize(unlikely, x, method="L-BFGS-B") for x in starts), key=lambda r: r.fun)
    omega, sigma = np.exp(best.x[:2])
    mu = {k: 0.0 for k in KINDS} | {k: float(m) for k, m in zip(there, best.x[2:], strict=True)}
    return {"omega": float(omega), "sigma": float(sigma), "mu": mu}


def judge(study: dict, learned: dict) -> dict:
    """Typical ratio and 90 % interval of a study, from what others taught."""
    mu, omega, sigma = learned["mu"][study["mechanism"]], learned["omega"], learned["sigma"]
    rng = np.random.default_rng(1)
    b = mu + omega * rng.standard_normal(4000)
    drawn = np.interp(b, FINE, study["fine"]) + sigma * rng.standard_normal(4000)
    low, high = np.exp(np.percentile(drawn, (5, 95)))
    return {
        "predicted": float(np.exp(np.interp(mu, FINE, study["fine"]))),
        "low": float(low),
        "high": float(high),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=COLLECTION, type=Path, help="DDI_ratios.csv")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    collection = list(csv.DictReader(arguments.data.open()))
    studies = []
    for row in csv.DictReader((HERE / "studies.csv").open()):
        at_grid = curve(row)
        row["observed"] = published(row, collection)
        row["log_observed"] = float(np.log(row["observed"]))
        row["fine"] = np.interp(FINE, GRID, at_grid)
        row["as_published"] = float(np.exp(at_grid[len(GRID) // 2]))
        row["mechanism"] = mechanism(ph.get_compound(row["perpetrator"]))
        studies.append(row)
    without = {
        name: fit([s for s in studies if s["perpetrator"] != name])
        for name in dict.fromkeys(s["perpetrator"] for s in studies)
    }
    for s in studies:
        s |= judge(s, without[s["perpetrator"]])
    everything = fit(studies)
    write(studies, without, everything)


def write(studies: list[dict], without: dict, everything: dict) -> None:
    today = datetime.date.today().isoformat()
    omega, mu = everything["omega"], everything["mu"]
    rule = (
        "logarithm of the factor on Ki, KI, EC50 of a perpetrator ~ N(shift of its mechanism, spread^2), learned on "
        f"{len(studies)} published AUC ratios of {len(without)} perpetrators: benchmarks/interactions/learn.py"
    )
    spread = {k: round(omega, 3) for k in KINDS}
    shift = {k: round(v, 3) for k, v in mu.items()}
    SPREAD.mkdir(exist_ok=True)
    (SPREAD / "interaction_constants.json").write_text(
        json.dumps({"date": today, "rule": rule, "spread": spread | {"shift": shift}}, indent=1)
        + "\n"
    )
    keep = [
        "study",
        "victim",
        "perpetrator",
        "mechanism",
        "more",
        "observed",
        "as_published",
        "predicted",
        "low",
        "high",
    ]
    (HERE / "results" / "learned.json").write_text(
        json.dumps(
            {
                "date": today,
                "all": everything,
                "without": without,
                "studies": [{k: s[k] for k in keep} for s in studies],
            },
            indent=1,
        )
        + "\n"
    )
    page(studies, without, everything)


def page(studies, without, everything) -> None:
    observed = np.array([s["observed"] for s in studies])
    lines = [
        "# What the other perpetrators teach about one",
        "",
        "Made by `python benchmarks/interactions/learn.py` (the model stands at the top of that file). *As published*: constants as "
        "in the drug's file. *Learned from the others*: the concentration constants times the factor that the other "
        "perpetrators of the same mechanism suggest; no study of the perpetrator itself is used. Rifampicin and carbamazepine are the only inducers. The 90 % intervals hold "
        "the spread between perpetrators and between studies.",
        "",
        "| perpetrator | mechanism | studies | factor on Ki, KI, EC50 from the others | GMFE as published | GMFE learned from the "
        "others | inside the 90 % interval |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups = {name: [s["perpetrator"] == name for s in studies] for name in without}
    groups["**the 81 of the first comparison**"] = [not s["more"] for s in studies]
    groups["**all**"] = [True] * len(studies)
    for name, chosen in groups.items():
        mine = np.array(chosen)
        pick = lambda k, mine=mine: np.array(
            [s[k] for s, m in zip(studies, mine, strict=True) if m]
        )
        o = observed[mine]
        inside = np.mean((o >= pick("low")) & (o <= pick("high")))
        kind = next((s["mechanism"] for s in studies if s["perpetrator"] == name), "-")
        factor = f"{np.exp(without[name]['mu'][kind]):.2f}" if name in without else "-"
        lines.append(
            f"| {name} | {kind} | {mine.sum()} | {factor} | {gmfe(pick('as_published') / o):.2f} "
            f"| {gmfe(pick('predicted') / o):.2f} | {100 * inside:.0f} % |"
        )
    fold = np.array([s["predicted"] for s in studies]) / observed
    within = np.maximum(fold, 1 / fold)
    guest_share = np.mean(within <= guest(observed))
    first = [s for s in studies if not s["more"]]
    total = gmfe(np.array([s["predicted"] / s["observed"] for s in first]))
    covered = np.mean([s["low"] <= s["observed"] <= s["high"] for s in first])
    lines += [
        "",
        f"Of the 81 studies the aim is a GMFE of 1.40 or less: {'met' if total <= 1.4 else '**missed**'} ({total:.2f}). The aim for the 90 % "
        f"intervals is 85 to 95 %: {'met' if 0.85 <= covered <= 0.95 else '**missed**'} ({100 * covered:.0f} %). "
        f"{100 * guest_share:.0f} % of all are inside the limits of Guest et al. (2011).",
        "",
        f"All perpetrators together: spread {everything['omega']:.2f} between perpetrators and {everything['sigma']:.2f} between studies "
        f"(natural logarithms); factors {', '.join(f'{k} {np.exp(v):.2f}' for k, v in everything['mu'].items())}. "
        "These are what `ph.interactions` draws from.",
    ]
    (HERE / "learned.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
