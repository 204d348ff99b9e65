"""Whose virtual people look like real ones, and whose bodies are possible?

    python benchmarks/virtual_population [--quick] [--ablation NAME=CHECKPOINT ...]

Every generator is fitted to the training people of NHANES and compared with the held-out ones, who count by their survey
weights, the same number of each, in one run. "Floor" is what as many other real people, of the training split, score.
Ablations are checkpoints of `pbpk-hybrid train pcdm --physics-weight 0 --no-projection` and the like.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402
from _harness import RESULTS, Report  # noqa: E402
from generators import (  # noqa: E402
    COVARIATES,
    Drawn,
    copula,
    lognormal,
    neural_peer,
    of_dataset,
    regression_sampler,
    resampled,
)
from metrics import (  # noqa: E402
    classifier_auc,
    copied_share,
    correlation_difference,
    coverage_density,
    kolmogorov_smirnov,
    wasserstein,
)

import pbpk_hybrid as ph  # noqa: E402
from pbpk_hybrid.learn import PCDM  # noqa: E402
from pbpk_hybrid.physiology import ORGANS, check_plausibility, training_people  # noqa: E402
from pbpk_hybrid.physiology.plausibility import RULES, Body  # noqa: E402

DRUGS = (("midazolam", "5 mg oral", 24.0), ("theophylline", "320 mg oral", 48.0))


def covariate_rules(drawn: Drawn) -> float:
    """Share of people whose measured quantities alone break a rule (S1, S2, S3 creatinine): all generators have these."""
    x = dict(zip(COVARIATES, drawn.covariates.T, strict=True))
    nothing = np.full(len(drawn.male), np.nan)
    body = Body(None, None, drawn.male, x["body_weight"], x["height"], x["hematocrit"], nothing, nothing,
                x["serum_creatinine"], nothing, nothing)  # fmt: skip
    named = [rule for rule in RULES if rule.id in ("S1", "S2_weight", "S2_height", "S2_bmi", "S3_creatinine")]
    return float(np.any([rule.residual(body) > 0 for rule in named], axis=0).mean())


def bodies(ds) -> np.ndarray:
    """Covariates, organ masses and flows as columns, without those that follow from others."""
    ds = ds.sel(organ=list(ORGANS))
    mass, flow = (ds["volume"] * ds["density"]).transpose("subject", "organ").values, ds["blood_flow"].values
    return np.concatenate([of_dataset(ds).covariates, mass[:, 1:], flow[:, 2:], ds["gfr"].values[:, None]], 1)


def compare(drawn: Drawn, real: Drawn, train: Drawn, seed: int) -> dict[str, float]:
    """All columns of the table for one generator."""
    out: dict[str, float] = {}
    ks, w, rho = [], [], []
    for sex in (True, False):
        a, b = drawn.covariates[drawn.male == sex], real.covariates[real.male == sex]
        wa, wb = drawn.weight[drawn.male == sex], real.weight[real.male == sex]
        ks.append(kolmogorov_smirnov(a, b, wa, wb))
        w.append(wasserstein(a, b, wa, wb))
        rho.append(correlation_difference(a, b, wa, wb))
    out["mean KS"], out["worst KS"] = float(np.mean(ks)), float(np.max(ks))
    out["Wasserstein / sd"], out["correlation"] = float(np.mean(w)), float(np.mean(rho))
    a, b, t = (np.c_[d.covariates, d.male] for d in (drawn, real, train))
    out["C2ST"] = classifier_auc(a, b, drawn.weight, real.weight, seed)
    out["coverage"], out["density"] = coverage_density(a, b, real.weight)
    out["near a record"] = copied_share(t, b, a, real.weight)
    out["covariate rules broken"] = covariate_rules(drawn)
    if drawn.bodies is not None and real.bodies is not None:
        out["C2ST with organs"] = classifier_auc(
            bodies(drawn.bodies), bodies(real.bodies), drawn.weight, real.weight, seed
        )
        checked = check_plausibility(drawn.bodies)
        out["hard"], out["soft"] = checked.attrs["hard_violation_rate"], checked.attrs["soft_violation_rate"]
    return out


def exposure(ds, drug: str, dose: str, end: float) -> dict[str, np.ndarray]:
    """5th, 50th and 95th percentile of AUC and Cmax."""
    sim = ph.simulate(drug, dose, ds, np.linspace(0, end, 97), compartments=["plasma"])
    curve = sim["concentration"].values[..., 0]
    auc = np.trapezoid(curve, sim["time"].values, axis=1)
    weight = of_dataset(ds).weight
    return {"AUC": quantiles(auc, weight), "Cmax": quantiles(curve.max(1), weight)}


def quantiles(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted 5th, 50th and 95th percentile."""
    order = np.argsort(values)
    place = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    return np.interp((0.05, 0.5, 0.95), place, values[order])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few people: to see that it runs")
    parser.add_argument("--ablation", action="append", default=[], metavar="NAME=CHECKPOINT")
    parser.add_argument("--neural-peers", action="store_true", help="also CTGAN and TVAE, which take minutes to train")
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    out = asked.out or (None if asked.quick else RESULTS)
    warnings.simplefilter("ignore", ph.SubjectFailedWarning)
    rng = np.random.default_rng(11)
    train, test = training_people("train", seed=11), training_people("test", seed=12)
    weight, held = train["survey_weight"].values, test["survey_weight"].values
    report = Report("virtual_population", "Virtual people", __doc__.split("\n\n", 2)[2].strip())

    n = 500 if asked.quick else test.sizes["subject"]
    real = of_dataset(test)
    # the floor: as many other real people, who count by their weights too
    other = of_dataset(train.isel(subject=rng.choice(len(weight), n, replace=False)))
    known = of_dataset(train)
    model = PCDM.load()
    makers = {
        "PCDM": lambda: of_dataset(model.sample(n, seed=1)),
        **{name: (lambda p=path: of_dataset(PCDM.load(p).sample(n, seed=1)))
           for name, path in (text.split("=", 1) for text in asked.ablation)},
        "engine's sampler (survey people of all splits)": lambda: regression_sampler(n, 3),
        "Gaussian copula": lambda: copula(train, weight, n, rng),
        "multivariate lognormal": lambda: lognormal(train, weight, n, rng),
        "training people, repeated by weight": lambda: resampled(train, weight, n, rng),
    }  # fmt: skip
    skipped = ["TabDDPM (not tried)"]
    if asked.neural_peers:
        makers |= {name: (lambda p=name: neural_peer(p, train, weight, n, rng)) for name in ("CTGAN", "TVAE")}
    else:
        skipped.append("CTGAN and TVAE (not asked for)")
    table = {"floor: other real people": compare(other, real, known, 1)}
    print({k: round(v, 4) for k, v in next(iter(table.values())).items()}, flush=True)
    drawn = {}
    for name, make in makers.items():
        start = time.perf_counter()
        try:
            drawn[name] = make()
        except ImportError as error:
            skipped.append(f"{name} ({error})")
            continue
        seconds = time.perf_counter() - start
        table[name] = compare(drawn[name], real, known, 1) | {"s / 10,000": seconds / n * 10_000}
        print(name, {k: round(v, 4) for k, v in table[name].items()}, flush=True)
    columns = ["mean KS", "worst KS", "Wasserstein / sd", "correlation", "C2ST", "C2ST with organs", "coverage", "density",
               "near a record", "covariate rules broken", "hard", "soft", "s / 10,000"]  # fmt: skip
    report.table(f"{n:,} people of each against {len(real.male):,} held out", ("generator", *columns),
                 [(name, *(row.get(c, "-") for c in columns)) for name, row in table.items()])  # fmt: skip
    report.text("Skipped: " + "; ".join(skipped) + ".")
    _rules(report, {"held-out people": real.bodies, **{k: d.bodies for k, d in drawn.items() if d.bodies is not None}})
    _exposures(report, real.bodies, {k: drawn[k].bodies for k in ("PCDM", "engine's sampler (survey people of all splits)")})
    _conditions(report, model, test, held, asked.quick)
    ours, base = table["PCDM"], table["floor: other real people"]
    for name in ("mean KS", "worst KS", "Wasserstein / sd", "correlation"):
        report.target(f"{name} / floor", ours[name] / base[name], 1.2)
    report.target("classifier AUC, covariates", ours["C2ST"], 0.53)
    report.target("classifier AUC, with organ masses and flows", ours["C2ST with organs"], 0.55)
    report.target("hard violations", ours["hard"], 0.0)
    report.target("soft violations / those of the held-out people",
                  ours["soft"] / check_plausibility(real.bodies).attrs["soft_violation_rate"], 1.0)  # fmt: skip
    report.target("share near a training record", ours["near a record"], 0.06)
    report.target("10,000 people", ours["s / 10,000"], 5.0, unit="s")
    report.picture(_picture(real, drawn["PCDM"]), "pairs of covariates, held-out and generated people", out)
    report.finish(out)


def _rules(report: Report, people: dict) -> None:
    checked = {name: check_plausibility(ds)["violated"].mean("subject") for name, ds in people.items()}
    first = next(iter(checked.values()))
    rows = [(str(rule), *(float(c.sel(rule=rule)) for c in checked.values())) for rule in first["rule"].values
            if any(float(c.sel(rule=rule)) > 0 for c in checked.values())]  # fmt: skip
    report.table("Share of people who break a rule", ("rule", *checked), rows)


def _exposures(report: Report, real, people: dict) -> None:
    rows, worst = [], {name: 0.0 for name in people}
    for drug, dose, end in DRUGS:
        expected = exposure(real, drug, dose, end)
        for name, ds in people.items():
            got = exposure(ds, drug, dose, end)
            for what in ("AUC", "Cmax"):
                ratio = got[what] / expected[what] - 1
                worst[name] = max(worst[name], float(np.abs(ratio).max()))
                rows.append((f"{drug}, {what}", name, *(f"{100 * v:+.1f} %" for v in ratio)))
    report.table("Exposure in generated people against held-out people",
                 ("", "generator", "5th", "median", "95th percentile"), rows)  # fmt: skip
    report.target("largest deviation of a percentile of AUC or Cmax", worst["PCDM"], 0.03)


def _conditions(report: Report, model: PCDM, test, held: np.ndarray, quick: bool) -> None:
    """Generated people under a condition against the real held-out people who satisfy it."""
    rows = []
    for text, condition, keep in (
        ("women of 60 to 80", {"sex": "female", "age": (60, 80)}, lambda p: (p.sex == "female") & (p.age >= 60)),
        ("BMI from 30", {"bmi": (30, None)}, lambda p: p.body_mass_index >= 30),
        ("eGFR 30 to 60", {"egfr": (30, 60)}, lambda p: _egfr(p).clip(30, 60) == _egfr(p)),
        ("women of 60 to 80, BMI from 30, eGFR 30 to 60",
         {"sex": "female", "age": (60, 80), "bmi": (30, None), "egfr": (30, 60)},
         lambda p: (p.sex == "female") & (p.age >= 60) & (p.body_mass_index >= 30) & (_egfr(p).clip(30, 60) == _egfr(p))),
    ):  # fmt: skip
        who = np.flatnonzero(keep(test).values)
        n = 100 if quick else 500
        start = time.perf_counter()
        drawn = model.sample(n, condition, seed=4)
        seconds = time.perf_counter() - start
        real = of_dataset(test.isel(subject=who))
        ks = kolmogorov_smirnov(of_dataset(drawn).covariates, real.covariates, np.ones(n), real.weight)
        # mean of Kolmogorov's distribution over the root of the number of alike people that unequal weights amount to
        expected = 0.87 * np.sqrt((held[who] ** 2).sum() / held[who].sum() ** 2)
        rows.append((text, len(who), float(ks.mean()), float(expected), drawn.attrs["rejected_fraction"], seconds))
    report.table("People asked for by a condition, against the held-out people who satisfy it",
                 ("condition", "held-out people", "mean KS", "expected of so few", "rejected", "s"), rows)  # fmt: skip


def _egfr(people):
    return people.gfr / 0.06 * 1.73 / people.body_surface_area


def _picture(real: Drawn, drawn: Drawn):
    from matplotlib.figure import Figure

    k = len(COVARIATES)
    figure = Figure(figsize=(10, 10), layout="constrained")
    axes = figure.subplots(k, k)
    some = slice(0, 1500)
    for i in range(k):
        for j in range(k):
            ax = axes[i, j]
            if i == j:
                ends = np.quantile(real.covariates[:, i], (0.002, 0.998))
                for data, color in ((real, "0.3"), (drawn, "tab:orange")):
                    ax.hist(data.covariates[:, i], 40, ends, weights=data.weight, density=True, histtype="step", color=color)
            elif i > j:
                ax.plot(real.covariates[some, j], real.covariates[some, i], ".", ms=1, color="0.3")
                ax.plot(drawn.covariates[some, j], drawn.covariates[some, i], ".", ms=1, color="tab:orange")
            else:
                ax.axis("off")
            ax.tick_params(labelsize=6)
            if i == k - 1:
                ax.set_xlabel(COVARIATES[j], fontsize=8)
            if j == 0:
                ax.set_ylabel(COVARIATES[i], fontsize=8)
    figure.suptitle("held-out people (grey) and generated people (orange)")
    return figure


if __name__ == "__main__":
    main()
