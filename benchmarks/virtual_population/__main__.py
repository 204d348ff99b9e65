"""Whose virtual people look like real ones, and whose bodies are possible?

    python benchmarks/virtual_population [--quick] [--neural-peers] [--tabddpm PYTHON] [--drawn NAME=FILE ...]
                                         [--million]

Every generator is fitted to the training people of NHANES and compared with the held-out people, who have their survey
weights; the number of people is the same for each, in one run. Figures are means over several draws. "Floor" is the score
of as many other real people, of the training split. The engine's own sampler draws people of the survey itself, including
the held-out ones, so its scores are leaked. Peers without bodies of their own are compared in the measured quantities alone.
C2ST is the area under the ROC curve of a classifier that tells generated from held-out people, on values rounded as the
survey rounds them and on values spread over their rounding.
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
from pbpk_hybrid.learn.diffusion.coordinates import RESOLUTION
from pbpk_hybrid.physiology import ORGANS, check_plausibility, training_people
from pbpk_hybrid.physiology.adults.body import People, expected_cardiac_output, expected_masses
from pbpk_hybrid.physiology.adults.survey import growth_of_survey
from pbpk_hybrid.physiology.adults.variability import CUT, lowest_scores, sd_ln
from pbpk_hybrid.physiology.children.reference import reference_children
from pbpk_hybrid.physiology.plausibility.body import Body
from pbpk_hybrid.physiology.plausibility.rules import RULES

#: of high, middle and low extraction by the liver
EXTRACTED = (
    ("verapamil", "10 mg iv", 48.0),
    ("midazolam", "5 mg iv", 48.0),
    ("theophylline", "320 mg iv", 120.0),
)
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
    spread = [np.c_[_spread(d.covariates, seed + k), d.male] for k, d in enumerate((drawn, real))]
    out["C2ST, spread"] = classifier_auc(*spread, drawn.weight, real.weight, seed)
    out["coverage"], out["density"] = coverage_density(a, b, real.weight)
    out["near a record"] = copied_share(t, b, a, real.weight)
    out["covariate rules broken"] = covariate_rules(drawn)
    if drawn.bodies is not None and real.bodies is not None:
        out["C2ST with organs"] = classifier_auc(
            bodies(drawn.bodies), bodies(real.bodies), drawn.weight, real.weight, seed
        )
        out["hard"], out["soft"] = broken(drawn)
    return out


def _spread(covariates: np.ndarray, seed: int) -> np.ndarray:
    """Each value anywhere within its rounding."""
    steps = np.array([RESOLUTION[name] for name in COVARIATES])
    return covariates + steps * (np.random.default_rng(seed).random(covariates.shape) - 0.5)


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
    "C2ST, spread",
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
    parser.add_argument(
        "--without-exposures", action="store_true", help="leave out AUC and Cmax, which take long"
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
    size = real.weight.sum() ** 2 / (real.weight**2).sum()
    report.text(
        f"The {len(real.male):,} held-out people have unequal survey weights and count as {size:,.0f} alike."
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
    _outputs(report, model, asked.quick)
    _children(report, model, asked.quick)
    _tails(report, model, real, known, asked.quick)
    if asked.without_exposures:
        report.text("Exposures were left out of this run.")
    else:
        _exposures(report, asked.quick, model)
    _conditions(report, model, test, asked.quick)
    ours, base = table[OURS], table[FLOOR]
    for name in ("mean KS", "worst KS", "Wasserstein / sd", "correlation"):
        report.target(f"{name} / floor", ours[name] / base[name], 1.0)
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
    report.target("classifier AUC, covariates", ours["C2ST"], 0.52)
    report.target(
        "classifier AUC, covariates spread over their rounding", ours["C2ST, spread"], 0.52
    )
    report.target("classifier AUC, with organ masses and flows", ours["C2ST with organs"], 0.55)
    report.target("soft violations / those of the held-out people", ours["soft"] / soft, 1.0)
    report.target("share near a training record", ours["near a record"], 0.06)
    report.target("10,000 people, processor time", used, 2.0, unit="s")
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


def _outputs(report: Report, model: PCDM, quick: bool) -> None:
    """What the spread of cardiac output does to clearance, by the extraction of the drug."""
    people = model.sample(60 if quick else 400, seed=51)
    male = people["sex"].values == "male"
    columns = (people[name].values for name in ("age", "body_weight", "height"))
    factor = people["cardiac_output"].values / expected_cardiac_output(People(male, *columns))
    cv = float(np.std(np.log(factor)))
    report.target("CV of cardiac output given age, sex and size, least", 0.15 / cv, 1.0)
    report.target("CV of cardiac output given age, sex and size, most", cv / 0.20, 1.0)
    usual = people.assign(
        cardiac_output=("subject", people["cardiac_output"].values / factor),
        blood_flow=people["blood_flow"]
        / people["cardiac_output"]
        * people["cardiac_output"]
        / factor[:, None],
    )
    rows = []
    for drug, dose, end in EXTRACTED:
        clearance = {}
        for name, some in (("as drawn", people), ("at the expected output", usual)):
            times = np.linspace(0, end, 49)
            sim = ph.simulate(drug, dose, some, times, compartments=["plasma"], areas=["plasma"])
            auc = sim["cumulative_auc"].values[:, -1, 0]
            clearance[name] = 1 / auc
        ratio = np.log(clearance["as drawn"] / clearance["at the expected output"])
        slope = float(np.polyfit(np.log(factor), ratio, 1)[0])
        with_, without = (float(np.std(np.log(c))) for c in clearance.values())
        rows.append((drug, dose, slope, with_, without))
    report.table(
        f"Cardiac output (CV {100 * cv:.1f} % given age, sex and size) and clearance, {people.sizes['subject']} people",
        (
            "drug",
            "dose",
            "clearance changes with output to the power",
            "CV of clearance",
            "CV with everybody at the expected output",
        ),
        rows,
    )


def _children(report: Report, model: PCDM, quick: bool) -> None:
    """Children against the survey's growth curves and the ICRP reference child."""
    growth, n = growth_of_survey(), 300 if quick else 5000
    rows, off, worst = [], [], 0.0
    for low, high in ((0, 1), (1, 2), (2, 6), (6, 12), (12, 18)):
        children = model.sample(n, {"age": (low, high)}, seed=61)
        male, age = children["sex"].values == "male", children["age"].values
        row = [f"{low} to {high} years"]
        for name in ("body_weight", "height"):
            z = growth.score(name, male, age, children[name].values)
            row += [float(np.mean(z < -1.8808)), float(np.mean(z > 1.8808))]
        off += [abs(v - 0.03) for v in row[1:]]
        usual = reference_children(male, age)
        mass = (children["volume"] * children["density"]).transpose("subject", "organ").values
        size = (children["height"].values / usual["height"]) ** 0.75
        ratios = []
        for organ in ("liver", "kidney", "heart", "brain"):
            k = ORGANS.index(organ)
            expected = usual["mass"][:, k] * (1 if organ == "brain" else size)
            ratios.append(float((mass[:, k] / expected).mean()))
        if high <= 12:
            worst = max(worst, *(abs(v - 1) for v in ratios))
        rows.append((*row, *ratios))
    report.table(
        "Children: shares below the 3rd and above the 97th percentile of the survey's growth curves; organ masses over those "
        "of the ICRP reference child of their age, sex and height, mean",
        (
            "age",
            "weight below",
            "weight above",
            "height below",
            "height above",
            "liver",
            "kidney",
            "heart",
            "brain",
        ),
        rows,
    )
    report.target("share outside 3 to 97 %, largest difference from 3 % at an end", max(off), 0.02)
    report.target(
        "organ masses of children to 12 years over ICRP's, largest deviation", worst, 0.03
    )


def _tails(report: Report, model: PCDM, real: Drawn, known: Drawn, quick: bool) -> None:
    """eGFR far out, and whether anybody piles up at the bound of an organ."""
    people = model.sample(2000 if quick else 30_000, seed=71)
    egfr, rng = _egfr(people), np.random.default_rng(5)
    both = [_egfr(d.bodies) for d in (known, real)]
    others, weight = np.concatenate(both), np.concatenate([known.weight, real.weight])
    rows = []
    for level in (0.001, 0.999):
        again = []
        for _ in range(200):
            pick = rng.integers(0, others.size, others.size)
            again.append(_weighted_quantile(others[pick], weight[pick], level))
        low, high = np.quantile(again, (0.025, 0.975))
        rows.append(
            (f"{100 * level:g} %", float(np.quantile(egfr, level)), float(low), float(high))
        )
    report.table(
        "eGFR [mL/min/1.73 m2] far out, beside the 95 % interval of the survey's people (people drawn again)",
        ("quantile", "PCDM", "from", "to"),
        rows,
    )
    report.target(
        "quantiles 0.1 and 99.9 % of eGFR outside the survey's interval",
        float(sum(not a <= v <= b for _, v, a, b in rows)),
        0.0,
    )
    near = {
        name: _near_a_bound(ds)
        for name, ds in (("PCDM", people), ("training people", known.bodies))
    }
    report.table(
        "Share of people within 5 % of a bound of an organ's mass",
        ("people", *near["PCDM"]),
        [(name, *found.values()) for name, found in near.items()],
    )


def _near_a_bound(ds) -> dict[str, float]:
    """Organ -> share of people whose mass is within 5 % of a bound of its residual."""
    male = ds["sex"].values == "male"
    columns = (ds[name].values for name in ("age", "body_weight", "height"))
    usual = expected_masses(People(male, *columns))
    mass = (ds["volume"] * ds["density"]).transpose("subject", "organ").values
    low, cv, logarithmic = lowest_scores(male)
    found = {}
    for organ in ("liver", "kidney", "heart", "lung", "spleen", "brain", "skin"):
        k = ORGANS.index(organ)
        ends = [
            np.where(logarithmic[:, k], np.exp(sd_ln(cv[:, k]) * z), 1 + cv[:, k] * z)
            for z in (low[:, k], np.full(male.size, CUT))
        ]
        ratio = mass[:, k] / usual[:, k]
        found[organ] = float(np.mean((ratio < 1.05 * ends[0]) | (ratio > 0.95 * ends[1])))
    return found


def _weighted_quantile(values: np.ndarray, weight: np.ndarray, level: float) -> float:
    order = np.argsort(values)
    place = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    return float(np.interp(level, place, values[order]))


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


def strata() -> list[tuple[str, dict]]:
    """60 conditions: sexes, ages, sizes and filtration, alone and together, down to a few of the survey's people."""
    found = []
    for sex in (None, "female", "male"):
        for age in ((18, 40), (40, 60), (60, 80), (65, 90), (2, 12)):
            for name, more in (
                ("", {}),
                (", BMI from 30", {"bmi": (30, None)}),
                (", eGFR 30 to 60", {"egfr": (30, 60)}),
                (", BMI from 35, eGFR below 75", {"bmi": (35, None), "egfr": (None, 75)}),
            ):
                text = f"{sex or 'all'}, {age[0]} to {age[1]} years{name}"
                found.append((text, {"age": age, **({"sex": sex} if sex else {}), **more}))
    return found


def _conditions(report: Report, model: PCDM, test, quick: bool) -> None:
    """People under a condition against the model's own people who satisfy it by chance."""
    from pbpk_hybrid.learn.diffusion.conditions import check

    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    free = model.sample(5000 if quick else 150_000, {"age": (0, 90)}, seed=77)
    rows, n = [], 100 if quick else 1000
    for text, condition in strata():
        asked = check(condition, model.ranges, False)
        who = np.flatnonzero(_satisfies(free, asked))
        start = time.process_time()
        try:
            drawn = model.sample(n, condition, seed=4)
        except ph.SolveError:
            rows.append((text, len(who), float("nan"), float("nan"), float("nan"), "nobody"))
            continue
        seconds = time.process_time() - start
        measured = np.column_stack([np.nan_to_num(drawn[c].values) for c in COVARIATES])
        repeated = n - len(np.unique(measured, axis=0))
        like = drawn.attrs["people_trained_on_like_that"]
        if len(who) < 100:
            rows.append((text, len(who), like, float("nan"), float("nan"), repeated, seconds))
            continue
        x, y = (_judged(ds) for ds in (drawn, free.isel(subject=who)))
        ks = kolmogorov_smirnov(x, y, np.ones(len(x)), np.ones(len(y)))
        # mean of Kolmogorov's distribution
        expected = float(0.87 * np.sqrt(1 / len(x) + 1 / len(y)))
        rows.append((text, len(who), like, float(ks.mean()), expected, repeated, seconds))
    report.table(
        f"{n:,} people asked for by a condition, beside those who satisfy it by chance among {free.sizes['subject']:,}",
        (
            "condition",
            "by chance",
            "people trained on like that",
            "mean KS",
            "expected",
            "repeated",
            "s of processor",
        ),
        rows,
    )
    judged = [row for row in rows if np.isfinite(row[3])]
    ratio = float(np.mean([row[3] for row in judged]) / np.mean([row[4] for row in judged]))
    report.target(f"mean KS over what chance gives, {len(judged)} strata", ratio, 1.1)
    report.target(
        "repeated people in all strata", float(sum(r[5] for r in rows if r[5] != "nobody")), 0.0
    )
    for text, size, condition in (
        ("5,000 people with BMI 70 to 80", 5000, {"bmi": (70, 80)}),
        (
            "10,000 people of 20 to 30 years with BMI 60 to 80",
            10_000,
            {"age": (20, 30), "bmi": (60, 80)},
        ),
    ):
        size = size // 10 if quick else size
        start = time.process_time()
        drawn = model.sample(size, condition, seed=5)
        used = time.process_time() - start
        measured = np.column_stack([drawn[c].values for c in COVARIATES])
        report.target(f"repeated, {text}", float(size - len(np.unique(measured, axis=0))), 0.0)
        report.target(f"processor time, {text}", used, 10.0, unit="s")


def _judged(ds) -> np.ndarray:
    """Covariates, filtration, and who is male; what children do not have is left out."""
    columns = [ds[name].values for name in COVARIATES] + [_egfr(ds)]
    known = [c for c in columns if np.isfinite(c).all()]
    return np.column_stack(known)


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
    hard = soft = 0.0
    start, size = time.perf_counter(), min(n, 50_000)
    for seed in range(n // size):
        drawn = model.sample(size, seed=1000 + seed)
        checked = check_plausibility(drawn)
        violated, kind = checked["violated"].values, checked["kind"].values
        hard += violated[kind == "hard"].any(0).sum()
        soft += violated[kind == "soft"].any(0).sum()
    report.text(
        f"{n:,} people: {int(hard)} break a hard rule, {int(soft):,} a soft one ({100 * soft / n:.2f} %); "
        f"{time.perf_counter() - start:.0f} s."
    )
    report.target(f"hard violations in {n:,} people", hard, 0.0)


if __name__ == "__main__":
    main()
