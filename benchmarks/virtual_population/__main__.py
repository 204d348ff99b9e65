"""Whose virtual people look like real ones, and whose bodies are possible?

    python benchmarks/virtual_population [--quick] [--unconstrained NAME=CHECKPOINT ...] [--neural-peers]
                                         [--tabddpm PYTHON] [--million]

Every generator is fitted to the training people of NHANES and compared with the held-out people, who have their survey
weights; the number of people is the same for each, in one run. Figures are means over several draws. "Floor" is the score
of as many other real people, of the training split. The engine's own sampler draws people of the survey itself, including
the held-out ones, so its scores are leaked. The unconstrained ablations (`unconstrained.py`) diffuse raw logarithms, without
balances by construction. Ablations and peers without bodies of their own are compared in the measured quantities alone.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
from _harness import RESULTS, Report
from generators import (
    COVARIATES,
    Drawn,
    Peer,
    before,
    copula,
    lognormal,
    of_dataset,
    regression_sampler,
    resampled,
)
from metrics import (
    classifier_auc,
    copied_share,
    correlation_difference,
    coverage_density,
    kolmogorov_smirnov,
    wasserstein,
)
from peer import EPOCHS, TABDDPM_PASSES
from pictures import pairs, quantiles, ranges, violations

import pbpk_hybrid as ph
from pbpk_hybrid.learn import PCDM
from pbpk_hybrid.physiology import ORGANS, check_plausibility, training_people
from pbpk_hybrid.physiology.plausibility.body import Body, body_of
from pbpk_hybrid.physiology.plausibility.rules import RULES

DRUGS = (("midazolam", "5 mg oral", 24.0), ("theophylline", "320 mg oral", 48.0))


def covariate_rules(drawn: Drawn) -> float:
    """Share of people whose measured quantities alone break a rule (S1, S2, S3 creatinine): all generators have these."""
    x = dict(zip(COVARIATES, drawn.covariates.T, strict=True))
    nothing = np.full(len(drawn.male), np.nan)
    body = Body(
        None,
        None,
        drawn.male,
        x["body_weight"],
        x["height"],
        x["hematocrit"],
        nothing,
        nothing,
        x["serum_creatinine"],
        nothing,
        nothing,
    )
    named = [
        rule
        for rule in RULES
        if rule.id in ("S1", "S2_weight", "S2_height", "S2_bmi", "S3_creatinine")
    ]
    return float(np.any([rule.residual(body) > 0 for rule in named], axis=0).mean())


def bodies(ds) -> np.ndarray:
    """Covariates, organ masses and flows as columns, without those that follow from others."""
    ds = ds.sel(organ=list(ORGANS))
    mass, flow = (
        (ds["volume"] * ds["density"]).transpose("subject", "organ").values,
        ds["blood_flow"].values,
    )
    return np.concatenate(
        [of_dataset(ds).covariates, mass[:, 1:], flow[:, 2:], ds["gfr"].values[:, None]], 1
    )


def broken(drawn: Drawn) -> tuple[float, float]:
    """Shares of people, by weight, who break a hard and a soft rule."""
    checked = check_plausibility(drawn.bodies)
    violated, kind = checked["violated"].values, checked["kind"].values
    return tuple(
        float(np.average(violated[kind == k].any(0), weights=drawn.weight))
        for k in ("hard", "soft")
    )


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
        out["hard"], out["soft"] = broken(drawn)
    return out


def exposures(ds, drug: str, dose: str, end: float) -> dict[str, np.ndarray]:
    """AUC and Cmax of everybody."""
    parts = []
    for start in range(0, ds.sizes["subject"], 5000):
        some = ds.isel(subject=slice(start, start + 5000))
        sim = ph.simulate(drug, dose, some, np.linspace(0, end, 97), compartments=["plasma"])
        curve = sim["concentration"].values[..., 0]
        parts.append((np.trapezoid(curve, sim["time"].values, axis=1), curve.max(1)))
    return {
        "AUC": np.concatenate([p[0] for p in parts]),
        "Cmax": np.concatenate([p[1] for p in parts]),
    }


COLUMNS = (
    "mean KS",
    "worst KS",
    "Wasserstein / sd",
    "correlation",
    "C2ST",
    "C2ST with organs",
    "coverage",
    "density",
    "near a record",
    "covariate rules broken",
    "hard",
    "soft",
    "s / 10,000",
)
FLOOR, OURS = "floor: other real people", "PCDM"
LEAKED = "engine's sampler (leaked: survey people of all splits)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few people: to see that it runs")
    parser.add_argument("--draws", type=int, default=5, help="draws of every generator")
    parser.add_argument("--unconstrained", action="append", default=[], metavar="NAME=CHECKPOINT")
    parser.add_argument(
        "--neural-peers",
        action="store_true",
        help="also CTGAN and TVAE, which take minutes to train",
    )
    parser.add_argument(
        "--tabddpm", type=Path, metavar="PYTHON", help="also TabDDPM: python with synthcity"
    )
    parser.add_argument(
        "--drawn",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="people drawn before (npz) by a generator fitted to the same",
    )
    parser.add_argument(
        "--million", action="store_true", help="only count hard violations in 1,000,000 people"
    )
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    out = asked.out or (None if asked.quick else RESULTS)
    warnings.simplefilter("ignore", ph.SubjectFailedWarning)
    rng = np.random.default_rng(11)
    train, test = training_people("train", seed=11), training_people("test", seed=12)
    weight = train["survey_weight"].values
    report = Report("virtual_population", "Virtual people", __doc__.split("\n\n", 2)[2].strip())

    draws = 1 if asked.quick else asked.draws
    n = 500 if asked.quick else test.sizes["subject"]
    real, known = of_dataset(test), of_dataset(train)
    model = PCDM.load()
    if asked.million:
        report = Report(
            "virtual_population_million",
            "A million virtual people",
            "How many of them break a hard rule.",
        )
        _million(report, model, 3000 if asked.quick else 1_000_000)
        report.finish(out)
        return
    model.sample(1000, seed=0)  # the first call loads what later ones find loaded
    start, used = time.perf_counter(), time.process_time()
    model.sample(500 if asked.quick else 10_000, seed=99)
    used = (time.process_time() - used) * (20 if asked.quick else 1)
    seconds = {OURS: (time.perf_counter() - start) * (20 if asked.quick else 1)}
    pythons = {"CTGAN": sys.executable, "TVAE": sys.executable} if asked.neural_peers else {}
    pythons |= {"TabDDPM": str(asked.tabddpm)} if asked.tabddpm else {}
    peers = {
        name: Peer(name, python, train, weight, 2 * n, rng) for name, python in pythons.items()
    }
    people = _generators(model, train, weight, n, rng) | dict.fromkeys(peers)
    for text in asked.drawn:
        name, path = text.split("=", 1)
        people[f"{name} (fitted before)"], seconds[f"{name} (fitted before)"] = (
            before(Path(path), n, rng),
            float("nan"),
        )
    named = [*peers, *(text.split("=", 1)[0] for text in asked.drawn)]
    skipped = [
        f"{name} (not asked for)" for name in ("CTGAN", "TVAE", "TabDDPM") if name not in named
    ]
    table: dict[str, dict[str, float]] = {}
    spread: dict[str, tuple[dict, dict]] = {}
    first = {}
    for name, make in people.items():
        if make is None:
            try:
                sample, seconds[name] = peers[name].ready()
            except ImportError as error:
                skipped.append(f"{name} ({error})")
                continue
            make = lambda k, sample=sample: sample(n)
        rows = []
        for k in range(draws):
            start = time.perf_counter()
            drawn = make(k)
            spent = time.perf_counter() - start
            if name not in seconds:
                seconds[name] = spent / n * 10_000
            first.setdefault(name, drawn)
            rows.append(compare(drawn, real, known, k))
        table[name] = {c: float(np.mean([row[c] for row in rows])) for c in rows[0]} | {
            "s / 10,000": seconds[name]
        }
        spread[name] = tuple(
            {c: float(f([row[c] for row in rows])) for c in rows[0]} for f in (np.min, np.max)
        )
        print(name, {k: round(v, 4) for k, v in table[name].items()}, flush=True)
    table[FLOOR].pop("s / 10,000")
    title = f"{n:,} people of each against {len(real.male):,} held out, means of {draws} draws"
    report.table(
        title,
        ("generator", *COLUMNS),
        [(name, *(row.get(c, "-") for c in COLUMNS)) for name, row in table.items()],
    )
    low, high = spread[OURS]
    report.text(
        "PCDM from draw to draw: "
        + "; ".join(f"{c} {low[c]:.3f} to {high[c]:.3f}" for c in COLUMNS[:6])
        + "."
    )
    hard, soft = broken(real)
    report.text(
        f"Held-out people, by survey weight: hard rules broken by {100 * hard:.2f} %, soft rules by {100 * soft:.2f} %."
    )
    if "TabDDPM" in table:
        report.text(
            f"TabDDPM was fitted with {TABDDPM_PASSES} passes over the training people; synthcity's default, 1,000, "
            f"takes too long on two cores. CTGAN and TVAE: {EPOCHS} passes."
        )
    if skipped:
        report.text("Skipped: " + "; ".join(skipped) + ".")
    _rules(
        report,
        {"held-out people": real, **{k: d for k, d in first.items() if d.bodies is not None}},
        out,
    )
    _unconstrained(report, asked, model, real)
    _exposures(report, asked.quick, model)
    rejected = _conditions(report, model, test, asked.quick)
    ours, base = table[OURS], table[FLOOR]
    for name in ("mean KS", "worst KS", "Wasserstein / sd", "correlation"):
        report.target(f"{name} / floor", ours[name] / base[name], 1.2)
    rivals = [
        name
        for name in table
        if name not in (OURS, FLOOR, LEAKED) and not name.startswith("training people")
    ]
    for name in ("mean KS", "worst KS", "Wasserstein / sd", "correlation", "C2ST"):
        best = min(rivals, key=lambda rival, name=name: table[rival][name])
        report.target(
            f"{name} / that of the best peer ({best})", ours[name] / table[best][name], 1.0
        )
    report.target("classifier AUC, covariates", ours["C2ST"], 0.53)
    report.target("classifier AUC, with organ masses and flows", ours["C2ST with organs"], 0.55)
    report.target("soft violations / those of the held-out people", ours["soft"] / soft, 1.0)
    report.target("share near a training record", ours["near a record"], 0.06)
    report.target("rejected, largest of the conditions", rejected, 0.01)
    report.target("10,000 people", ours["s / 10,000"], 5.0, unit="s")
    report.text(
        f"10,000 people took {used:.1f} s of processor time; the rest of the {ours['s / 10,000']:.1f} s others had it."
    )
    report.picture(
        pairs(real, first[OURS]), "pairs of covariates, held-out and generated people", out
    )
    report.picture(
        ranges(test, model.sample(1000 if asked.quick else 10_000, seed=31)),
        "percentiles by age",
        out,
        name="virtual_population_ages",
    )
    report.finish(out)


def _generators(model: PCDM, train, weight, n: int, rng):
    """Name -> number of the draw -> people."""
    return {
        FLOOR: lambda k: of_dataset(train.isel(subject=rng.choice(len(weight), n, replace=False))),
        OURS: lambda k: of_dataset(model.sample(n, seed=1 + k)),
        LEAKED: lambda k: regression_sampler(n, 3 + k),
        "Gaussian copula": lambda k: copula(train, weight, n, rng),
        "multivariate lognormal": lambda k: lognormal(train, weight, n, rng),
        "training people, repeated by weight": lambda k: resampled(train, weight, n, rng),
    }


def _rules(report: Report, people: dict[str, Drawn], out: Path | None) -> None:
    checked = {name: check_plausibility(d.bodies)["violated"] for name, d in people.items()}
    share = {
        name: np.average(c.values, axis=1, weights=people[name].weight)
        for name, c in checked.items()
    }
    names = next(iter(checked.values()))["rule"].values
    rows = [
        (str(rule), *(float(s[i]) for s in share.values()))
        for i, rule in enumerate(names)
        if any(s[i] > 0 for s in share.values())
    ]
    report.table("Share of people who break a rule", ("rule", *share), rows)
    at = {str(rule): i for i, rule in enumerate(names)}
    picture = violations(
        [row[0] for row in rows],
        {name: s[[at[row[0]] for row in rows]] for name, s in share.items()},
    )
    report.picture(
        picture,
        "people who break a rule, by rule and generator",
        out,
        name="virtual_population_rules",
    )


def _unconstrained(report: Report, asked, model: PCDM, real: Drawn) -> None:
    """Whether physics in the loss, and the projection, keep what is not closed by construction from breaking physiology."""
    if not asked.unconstrained:
        return
    import torch
    from unconstrained import Unconstrained, body

    n = 500 if asked.quick else 10_000
    rows, any_rule = [], {}

    def judge(name: str, b: Body) -> None:
        with np.errstate(invalid="ignore"):
            residual = {
                rule.id: torch.as_tensor(np.asarray(rule.residual(b))).numpy() for rule in RULES
            }
        kinds = {rule.id: rule.kind for rule in RULES}
        hard = np.any([residual[i] > 0 for i in residual if kinds[i] == "hard"], axis=0)
        soft = np.any([residual[i] > 0 for i in residual if kinds[i] == "soft"], axis=0)
        organs = np.any(
            [residual[i] > 0 for i in residual if i[:2] in ("S4", "S5", "S6", "S7", "S8")], axis=0
        )
        # H2 to H4 are relative errors less a tolerance of 1e-6: how many are off by more than this many percent
        closure = np.maximum.reduce([residual[i] for i in ("H2", "H3", "H4")])
        others = np.any([residual[i] > 0 for i in ("H1", "H5")], axis=0)
        loose = [float(((closure > t) | others).mean()) for t in (0.001, 0.01, 0.05)]
        any_rule[name] = float((others | (closure > 0.01) | soft).mean())
        rows.append(
            (
                name,
                float(hard.mean()),
                *loose,
                float(np.median(closure)),
                float(np.quantile(closure, 0.95)),
                float(soft.mean()),
                float(organs.mean()),
                any_rule[name],
            )
        )

    for text in asked.unconstrained:
        name, path = text.split("=", 1)
        net = Unconstrained.load(Path(path))
        judge(f"raw logarithms, {name}", body(net.sample(n, 1)))
        if "physics" in name and "no" not in name:
            judge(f"raw logarithms, {name} and projection", body(net.sample(n, 1, projection=True)))
    judge("PCDM", body_of(model.sample(n, seed=1)))
    judge("held-out people", body_of(real.bodies))
    report.table(
        f"What physics in the loss and the projection do: {n:,} people of each",
        (
            "variant",
            "hard, to 1e-6",
            "hard, closures to 0.1 %",
            "hard, closures to 1 %",
            "hard, closures to 5 %",
            "closure error, median",
            "closure error, 95th percentile",
            "soft",
            "soft, on organs and flows",
            "any rule, closures to 1 %",
        ),
        rows,
    )
    report.text(
        "A closure is an equality: people decoded freely meet it to 1e-6 with probability nil, whatever the loss, so "
        "that how far they are off (error; hard rules with closures to 0.1, 1 and 5 %) is what tells variants apart."
    )
    names = list(any_rule)
    if len(names) >= 2 and names[0].endswith("no physics"):
        by = {row[0]: row for row in rows}
        for text, column in (("1e-6", 1), ("0.1 %", 2), ("1 %", 3)):
            report.target(
                f"hard violations of the physics loss / no physics, closures to {text}",
                by[names[1]][column] / max(by[names[0]][column], 1e-9),
                0.25,
            )
        report.target(
            "soft violations on organs and flows of the physics loss / no physics",
            by[names[1]][8] / max(by[names[0]][8], 1e-9),
            0.25,
        )


def _exposures(report: Report, quick: bool, model: PCDM) -> None:
    """Exposure in generated people against held-out people, each of whom has several draws of organs.

    One draw of organs for 2,530 people leaves percentiles uncertain by some percent: how much is shown by the same people
    with other organs, and by as many other real people.
    """
    copies = 1 if quick else 5
    real, again = training_people("test", copies=copies, seed=100), training_people("test", seed=12)
    train = training_people("train", seed=200)
    person, rng = train["nhanes_person"].values, np.random.default_rng(2)
    names = rng.permutation(np.unique(person))
    size = len(np.unique(real["nhanes_person"].values))
    sets = {
        OURS: [
            model.sample(600 if quick else 10_000, seed=31 + k) for k in range(1 if quick else 2)
        ],
        "PCDM, as many as held out": [
            model.sample(size, seed=41 + k) for k in range(1 if quick else 3)
        ],
        "all training people": [train],
        "as many other real people": [
            train.isel(subject=np.isin(person, names[k * size : (k + 1) * size])) for k in range(3)
        ],
        "the held-out people with one draw of organs": [again],
        LEAKED: [regression_sampler(600 if quick else 10_000, 5).bodies],
    }
    rows, worst = [], {}
    for drug, dose, end in DRUGS:
        expected = exposures(real, drug, dose, end)
        weights = of_dataset(real).weight
        reference = {what: quantiles(values, weights) for what, values in expected.items()}
        # how uncertain the held-out percentiles themselves are: people drawn again with replacement, organs and all
        each = (
            {what: values.reshape(copies, -1) for what, values in expected.items()}
            if real.attrs["left_out"] == 0
            else None
        )
        boot = {what: [] for what in reference}
        if each is not None:
            for _ in range(100):
                pick = rng.integers(0, each["AUC"].shape[1], each["AUC"].shape[1])
                w = np.tile(weights.reshape(copies, -1)[0][pick], copies)
                for what in boot:
                    boot[what].append(
                        quantiles(each[what][:, pick].ravel(), w) / reference[what] - 1
                    )
        for name, members in sets.items():
            off = {"AUC": [], "Cmax": []}
            for ds in members:
                got = exposures(ds, drug, dose, end)
                for what in off:
                    off[what].append(
                        quantiles(got[what], of_dataset(ds).weight) / reference[what] - 1
                    )
            for what, values in off.items():
                values = np.array(values)
                worst[name] = max(worst.get(name, 0.0), float(np.abs(values).max()))
                worst[f"mean {name}"] = max(
                    worst.get(f"mean {name}", 0.0), float(np.abs(values.mean(0)).max())
                )
                text = [
                    f"{100 * v.mean():+.1f} %"
                    + (f" ({100 * v.min():+.1f}, {100 * v.max():+.1f})" if len(v) > 1 else "")
                    for v in values.T
                ]
                rows.append((f"{drug}, {what}", name, *text))
        for what, values in boot.items():
            if values:
                rows.append(
                    (
                        f"{drug}, {what}",
                        "standard error of the held-out people",
                        *(f"{100 * v:.1f} %" for v in np.std(values, 0)),
                    )
                )
    report.table(
        "Exposure against the held-out people, each with several draws of organs: mean (and range) of the draws",
        ("", "people", "5th", "median", "95th percentile"),
        rows,
    )
    report.target(
        "largest deviation of a percentile of AUC or Cmax, mean of the draws",
        worst[f"mean {OURS}"],
        0.03,
    )
    report.target("largest deviation of a percentile of AUC or Cmax, worst draw", worst[OURS], 0.03)
    report.target(
        "largest deviation of a percentile of AUC or Cmax, as many as held out, worst draw",
        worst["PCDM, as many as held out"],
        0.03,
    )
    report.text(
        f"As many other real people: {worst['as many other real people']:.3f}; for all training people: "
        f"{worst['all training people']:.3f}."
    )


CONDITIONS = (
    ("women of 60 to 80", {"sex": "female", "age": (60, 80)}),
    ("BMI from 30", {"bmi": (30, None)}),
    ("eGFR 30 to 60", {"egfr": (30, 60)}),
    (
        "women of 60 to 80, BMI from 30, eGFR 30 to 60",
        {"sex": "female", "age": (60, 80), "bmi": (30, None), "egfr": (30, 60)},
    ),
    (
        "men, 80 to 90 kg, 175 to 185 cm",
        {"sex": "male", "body_weight": (80, 90), "height": (175, 185)},
    ),
    (
        "hematocrit below 0.36, creatinine from 1.2",
        {"hematocrit": (None, 0.36), "serum_creatinine": (1.2, None)},
    ),
    ("GFR below 3 L/h, age 30 to 50", {"gfr": (None, 3.0), "age": (30, 50)}),
)


def _conditions(report: Report, model: PCDM, test, quick: bool) -> float:
    """Generated people under a condition against the model's own people who satisfy it by chance, and real ones."""
    from pbpk_hybrid.learn.diffusion.conditions import check

    free = model.sample(3000 if quick else 40_000, seed=77)
    rows, most = [], 0.0
    for text, condition in CONDITIONS:
        n = 100 if quick else 2000
        start = time.perf_counter()
        drawn = model.sample(n, condition, seed=4)
        seconds = time.perf_counter() - start
        asked = check(condition, model.ranges, False)
        mine = of_dataset(drawn)
        got = []
        for ds in (free, test):
            who = np.flatnonzero(_satisfies(ds, asked))
            if len(who) < 5:
                got.append((len(who), float("nan"), float("nan")))
                continue
            others = of_dataset(ds.isel(subject=who))
            x, y = (
                np.c_[d.covariates, _egfr(b)] for d, b in ((mine, drawn), (others, others.bodies))
            )
            ks = kolmogorov_smirnov(x, y, np.ones(n), others.weight)
            # mean of Kolmogorov's distribution over the root of the number of alike people that unequal weights amount to
            size = others.weight.sum() ** 2 / (others.weight**2).sum()
            got.append((len(who), float(ks.mean()), float(0.87 * np.sqrt(1 / size + 1 / n))))
        most = max(most, drawn.attrs["rejected_fraction"])
        rows.append(
            (
                text,
                *got[0],
                *got[1],
                drawn.attrs["rejected_fraction"],
                drawn.attrs["mirrored_fraction"],
                seconds,
            )
        )
    report.table(
        "2,000 people asked for by a condition",
        (
            "condition",
            "own people who satisfy it, of 40,000",
            "mean KS to them",
            "expected",
            "held-out people",
            "mean KS to them ",
            "expected ",
            "rejected",
            "mirrored",
            "s",
        ),
        rows,
    )
    return most


def _satisfies(ds, asked) -> np.ndarray:
    values = {"bmi": ds["body_mass_index"].values, "egfr": _egfr(ds)}
    good = (
        np.ones(ds.sizes["subject"], bool) if asked.sex is None else ds["sex"].values == asked.sex
    )
    for name, (low, high) in asked.ranges.items():
        x = values.get(name, ds[name].values if name in ds else None)
        good &= (x >= low) & (x <= high)
    return good


def _egfr(people) -> np.ndarray:
    return (people["gfr"] / 0.06 * 1.73 / people["body_surface_area"]).values


def _million(report: Report, model: PCDM, n: int) -> None:
    """Hard rules in very many people."""
    hard = soft = rejected = 0.0
    start, size = time.perf_counter(), min(n, 50_000)
    for seed in range(n // size):
        drawn = model.sample(size, seed=1000 + seed)
        checked = check_plausibility(drawn)
        violated, kind = checked["violated"].values, checked["kind"].values
        hard += violated[kind == "hard"].any(0).sum()
        soft += violated[kind == "soft"].any(0).sum()
        rejected += drawn.attrs["rejected_fraction"] * size
    report.text(
        f"{n:,} people: {int(hard)} break a hard rule, {int(soft):,} a soft one ({100 * soft / n:.2f} %); "
        f"{int(rejected)} were drawn again; {time.perf_counter() - start:.0f} s."
    )
    report.target(f"hard violations in {n:,} people", hard, 0.0)


if __name__ == "__main__":
    main()
