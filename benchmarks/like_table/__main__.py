"""How like its table is a population drawn like a table, and how like the people whom the table is about?

    python benchmarks/like_table [--quick] [--strata N] [--out FOLDER]

Strata are groups of held-out people of NHANES (the test and validation splits), by sex, age, BMI and renal function. Each is known only by
mean, SD and range of age, weight, height, BMI, hematocrit and creatinine, and the share of women. People are drawn like this table
from the training split alone and compared with those of the stratum, beside three others: people of the training split who
belong to the same stratum (the floor: other real people), those within the table's ranges ("range filter"), and normal draws
with the table's means and SDs, cut at its ranges, each quantity by itself ("independent"); and the diffusion model, trained on
the same split, drawn like the same table ("PCDM, like="). Organs of all are drawn by the same model of bodies. Studies are demographics tables
of papers (`studies.toml`), for which 200 people each are drawn from the whole survey.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "virtual_population"), str(HERE.parent)]

import numpy as np
from _harness import RESULTS, Report
from metrics import classifier_auc, kolmogorov_smirnov

import pbpk_hybrid as ph
from pbpk_hybrid.learn import PCDM
from pbpk_hybrid.learn.diffusion.crowd import Maker
from pbpk_hybrid.learn.diffusion.goal import group_chances
from pbpk_hybrid.learn.diffusion.sampler import Flow
from pbpk_hybrid.learn.diffusion.source import ModelSource
from pbpk_hybrid.physiology.adults.population import complete_columns, complete_people
from pbpk_hybrid.physiology.adults.survey import Survey, adults
from pbpk_hybrid.physiology.adults.training_people import people_of
from pbpk_hybrid.physiology.adults.variability import truncated_normal
from pbpk_hybrid.physiology.like.candidates import Pool, restricted
from pbpk_hybrid.physiology.like.comparison import compare
from pbpk_hybrid.physiology.like.request import Request, Statistic
from pbpk_hybrid.physiology.like.sample import Options, SurveySource, Task, choose

COLUMNS = ("age", "body_weight", "height", "hematocrit", "serum_creatinine")
FEWEST = 400  # held-out people in a stratum
N_STUDY = 200
CONTENDERS = ("like=", "PCDM, like=", "floor: other real people", "range filter", "independent")


@dataclass(frozen=True)
class Stratum:
    """Ranges that people of the survey are within."""

    text: str
    ranges: dict[str, tuple[float, float]]
    male: bool | None

    def holds(self, survey: Survey) -> np.ndarray:
        """(person,) bool."""
        values = {**{c: getattr(survey, c) for c in COLUMNS}, "bmi": survey.body_mass_index}
        keep = np.ones(survey.age.size, dtype=bool)
        for name, (low, high) in self.ranges.items():
            keep &= (values[name] >= low) & (values[name] <= high)
        return keep if self.male is None else keep & (survey.male == self.male)


def strata(test: Survey, count: int, rng: np.random.Generator) -> list[Stratum]:
    """Random groups with enough people, no two with the same text."""
    options = {
        "age": [(18, 40), (30, 50), (40, 65), (55, 80), (60, 80), (18, 80)],
        "bmi": [(14, 25), (20, 28), (25, 35), (30, 90), (14, 90)],
        "serum_creatinine": [(0.2, 0.8), (0.7, 1.1), (0.9, 20.0), (0.2, 20.0)],
    }
    found: dict[str, Stratum] = {}
    while len(found) < count:
        ranges = {name: ends[rng.integers(len(ends))] for name, ends in options.items()}
        male = (None, True, False)[rng.integers(3)]
        sex = {None: "all", True: "men", False: "women"}[male]
        text = sex + "".join(f", {k} {lo:g}-{hi:g}" for k, (lo, hi) in ranges.items())
        stratum = Stratum(text, ranges, male)
        if stratum.holds(test).sum() >= FEWEST:
            found[text] = stratum
    return list(found.values())


def table_of(people: Survey) -> Request:
    """Mean, SD and range of every column, and the share of women."""
    rows = []
    for name in (*COLUMNS, "bmi"):
        values = people.body_mass_index if name == "bmi" else getattr(people, name)
        rows += [
            Statistic(name, "mean", float(values.mean())),
            Statistic(name, "sd", float(values.std(ddof=1))),
            Statistic(name, "min", float(values.min())),
            Statistic(name, "max", float(values.max())),
        ]
    return Request((*rows, Statistic("female", "share", float((~people.male).mean()))))


def matrix(columns) -> np.ndarray:
    """(person, column) of the measured quantities and sex."""
    return np.column_stack([*(columns[name] for name in COLUMNS), columns["male"]]).astype(float)


def columns_of(people: Survey) -> dict[str, np.ndarray]:
    """Columns of people of the survey."""
    return {**{name: getattr(people, name) for name in COLUMNS}, "male": people.male}


def independent(request: Request, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Each quantity by itself: normal, cut at the range, rounded as the survey is."""
    value = {(s.quantity, s.kind): s.value for s in request.statistics}
    digits = {"body_weight": 1, "height": 1, "serum_creatinine": 2}
    out = {"male": rng.random(n) >= value["female", "share"]}
    for name in COLUMNS:
        mean, sd = value[name, "mean"], value[name, "sd"]
        low, high = ((value[name, k] - mean) / sd for k in ("min", "max"))
        x = mean + sd * truncated_normal(rng, low, high, n)
        if name == "age":
            x = np.round(x * 12) / 12
        elif name == "hematocrit":
            x = np.round(x * 1000) / 10 / 100
        else:
            x = np.round(x, digits[name])
        out[name] = x
    return out


def correlations(x: np.ndarray) -> np.ndarray:
    """Of all pairs of the measured quantities."""
    upper = np.triu_indices(len(COLUMNS), 1)
    return np.corrcoef(x[:, : len(COLUMNS)].T)[upper]


def worst_moment(request: Request, columns: dict[str, np.ndarray]) -> float:
    """Largest relative difference of a mean or SD; of the share of women, absolute."""
    errors = []
    for row in compare(request, {**columns, "gfr": columns["age"]}).rows:
        if row.statistic.kind in ("mean", "sd"):
            errors.append(abs(row.achieved / row.statistic.value - 1))
        elif row.statistic.kind == "share":
            errors.append(abs(row.achieved - row.statistic.value))
    return max(errors)


@lru_cache(maxsize=1)
def model() -> PCDM:
    """The shipped model, trained on the training split."""
    return PCDM.load()


def model_source(rng: np.random.Generator, task: Task) -> ModelSource:
    """The diffusion model as a source of people like a table."""
    pcdm = model()
    maker = Maker(Flow(pcdm._module, pcdm.config), pcdm._coordinates, True)
    chances = group_chances(pcdm._shares, None, None)
    return ModelSource(maker, rng, task, chances, pcdm.n_people, pcdm.ranges)


def masses(data: dict[str, np.ndarray]) -> np.ndarray:
    """Organ masses and cardiac output, (person, column)."""
    return np.column_stack([data["mass"][:, 1:], data["cardiac_output"]])


def survey_masses(people: Survey, seed: int) -> np.ndarray:
    """Of people of the survey, with a draw of organs."""
    ds = complete_people(people, seed)
    mass = (ds["volume"] * ds["density"]).transpose("subject", "organ").values
    return np.column_stack([mass[:, 1:], ds["cardiac_output"].values])


def one_stratum(
    stratum: Stratum, pool: Pool, train: Survey, test: Survey, rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """All figures of a stratum, contender by contender."""
    real = restricted(test, stratum.holds(test))
    n, request = real.age.size, table_of(real)
    task = Task(request)
    source = SurveySource(pool, rng, task, Options(weighted=False))
    drawn = choose(n, rng, source, task)
    made = choose(n, rng, model_source(rng, task), task)
    others = np.flatnonzero(stratum.holds(train))
    within = np.flatnonzero(request.within_ranges({**columns_of(train), "gfr": train.age}))
    some = rng.choice(others, min(n, others.size), replace=False)
    filtered = rng.choice(within, min(n, within.size), replace=False)
    people = {
        "like=": drawn,
        "PCDM, like=": made,
        "floor: other real people": columns_of(restricted(train, some)),
        "range filter": columns_of(restricted(train, filtered)),
        "independent": independent(request, n, rng),
    }
    target = matrix(columns_of(real))
    with_organs = {
        "like=": masses(complete_columns(rng, drawn)[0]),
        "PCDM, like=": masses(complete_columns(rng, made)[0]),
        "floor: other real people": survey_masses(restricted(train, some), 2),
    }
    real_masses = survey_masses(real, 1)
    out = {}
    for name, columns in people.items():
        x = matrix(columns)
        with np.errstate(invalid="ignore"):
            gap = np.abs(correlations(x) - correlations(target))
        auc = classifier_auc(x, target, np.ones(len(x)), np.ones(len(target)), 1)
        out[name] = {
            "C2ST": auc,
            "worst moment": worst_moment(request, columns),
            "pair correlation": float(np.nanmean(gap)),
        }
        if name in with_organs:
            a, b = with_organs[name], real_masses
            ks = kolmogorov_smirnov(a, b, np.ones(len(a)), np.ones(len(b)))
            out[name]["KS of organs"] = float(ks.mean())
    return out


def run_strata(report: Report, count: int) -> None:
    """The table of strata and its targets."""
    survey, rng = adults(), np.random.default_rng(19)
    train, test = (
        restricted(survey, np.isin(survey.person, np.concatenate([people_of(s) for s in splits])))
        for splits in (("train",), ("validation", "test"))
    )
    pool = Pool.of(train)
    chosen = strata(test, count, rng)
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    rows = []
    for stratum in chosen:
        found = one_stratum(stratum, pool, train, test, rng)
        for name in CONTENDERS:
            figures[name].append(found[name])
        ours, floor = found["like="], found["floor: other real people"]
        rows.append(
            (
                stratum.text,
                int(stratum.holds(test).sum()),
                ours["worst moment"],
                ours["pair correlation"],
                floor["pair correlation"],
                ours["C2ST"],
                floor["C2ST"],
            )
        )
    summary = []
    header = ("C2ST", "worst moment", "pair correlation", "KS of organs")
    for name in CONTENDERS:
        mean = {k: float(np.mean([f[k] for f in figures[name]])) for k in figures[name][0]}
        most = {k: float(np.max([f[k] for f in figures[name]])) for k in figures[name][0]}
        summary.append((name, *(t.get(k, "-") for k in header for t in (mean, most))))
        if name == "like=":
            ours, worst = mean, most
        if name == "PCDM, like=":
            of_model = mean
        if name == "floor: other real people":
            floor_mean = mean
    report.table(
        f"{count} strata of held-out people, mean and largest over strata",
        ("contender", *(f"{h}, {w}" for h in header for w in ("mean", "largest"))),
        summary,
    )
    columns = ("stratum", "people", "worst moment", "correlation", "floor", "C2ST", "floor")
    report.table("Each stratum, drawn with like=", columns, rows)
    report.target(
        "moments: largest relative difference over all strata", worst["worst moment"], 0.01
    )
    report.target("pair correlations: mean difference", ours["pair correlation"], 0.05)
    report.target("C2ST: mean over strata", ours["C2ST"], 0.56)
    organs = ours["KS of organs"] / floor_mean["KS of organs"]
    report.target("KS of organs over that of other real people", organs, 1.2)
    report.target("PCDM, pair correlations: mean difference", of_model["pair correlation"], 0.05)
    report.target("PCDM, C2ST: mean over strata", of_model["C2ST"], 0.56)
    organs = of_model["KS of organs"] / floor_mean["KS of organs"]
    report.target("PCDM, KS of organs over that of other real people", organs, 1.2)
    best = min(row[1] for row in summary if row[0] in ("range filter", "independent"))
    report.target("C2ST over that of the better rival", ours["C2ST"] / best, 1.0)


def run_studies(report: Report) -> None:
    """Tables of papers: every statistic met to 1 %, or named."""
    studies = tomllib.loads((HERE / "studies.toml").read_text(encoding="utf-8"))["study"]
    rows, named = [], []
    met = total = unnamed = 0
    for study in studies:
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            people = ph.sample_population(N_STUDY, like=study["table"], seed=19)
        table = people.pk.like()
        text = " ".join(str(w.message) for w in caught)
        unnamed += sum(row.statistic.label not in text for row in table.missed)
        met, total = met + len(table.rows) - len(table.missed), total + len(table.rows)
        named += [(study["name"], *row.cells()[:4], row.verdict) for row in table.missed]
        seconds = time.perf_counter() - start
        rows.append(
            (
                study["name"],
                study["n"],
                len(table.rows),
                len(table.missed),
                seconds,
                study["source"],
            )
        )
    columns = ("study", "people in it", "statistics", "not met", "s", "source")
    report.table(f"{len(studies)} tables of clinical studies, {N_STUDY} people each", columns, rows)
    columns = ("study", "statistic", "unit", "asked", "nearest", "")
    report.table("Statistics that cannot be met, as the warning names them", columns, named)
    report.target("statistics met to 1 %, of all", met / total, 0.0, at_least=True)
    report.target("statistics neither met nor named", float(unnamed), 0.0)


def main() -> None:
    """Run and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="five strata: to see that it runs")
    parser.add_argument("--strata", type=int, default=50)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    report = Report("like_table", "Populations like a table", __doc__.split("\n\n", 2)[2].strip())
    run_strata(report, 5 if asked.quick else asked.strata)
    run_studies(report)
    report.finish(asked.out or (None if asked.quick else RESULTS))


if __name__ == "__main__":
    main()
