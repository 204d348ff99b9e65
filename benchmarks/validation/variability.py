"""Variability of clearance between people: observed in individuals, and simulated with the default variability.

    python benchmarks/validation/variability.py

Writes variability.md and results/variability.csv. The rules:

- observed: every series of one healthy adult of a curated drug given alone, as one dose at time 0, whose clearance (CL, or CL/F
  after oral doses) the noncompartmental analysis finds. A group is one study, route, formulation and dose with at least
  FEWEST people. Geometric CV = sqrt(exp(s^2) - 1) with s the standard deviation of the logarithms; its 90 % interval is that of
  a variance of normal logarithms (chi-square with n - 1 degrees of freedom).
- where doses were per body weight and no weight is known, clearance is per body weight, in observation and simulation alike
- simulated: the same quantity, by the same analysis, of PEOPLE virtual people: volunteers (18 to 55 years, BMI 18.5 to 30) and
  the default adults of `sample_population`, with the drug's default basis
- the CV of intrinsic clearance is chosen by maximum likelihood of the observed variances of the groups that calibrate, over
  GRID with volunteers, to the nearest 0.01; TEST_DRUGS drugs take no part in it. The likelihood requires independent groups, and the
  people of a study are in several of its groups: the largest of each study calibrates, of equals the intravenous one
"""

from __future__ import annotations

import csv
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from report import table
from scipy.stats import chi2

import pbpk_hybrid as ph
from pbpk_hybrid.compounds import list_compounds

HERE = Path(__file__).parent
NLMIXR = HERE.parent / "data" / "nlmixr2data"
TEST_DRUGS = ("theophylline", "warfarin")
FEWEST = 5
PEOPLE = 1000
GRID = np.round(np.arange(0.0, 0.501, 0.01), 2)
#: target: largest difference of the test drugs [percentage points]
CLOSE = 10.0


@dataclass(frozen=True)
class Group:
    """Clearances of single people of one study, route and dose."""

    drug: str
    study: str
    route: str
    form: str
    dose: float  # [mg], or [mg/kg] with `per_weight`
    duration: float  # [h]
    per_weight: bool
    clearance: np.ndarray  # (n,) [L/h] or [L/h/kg]

    @property
    def is_test(self) -> bool:
        return self.drug in TEST_DRUGS

    @property
    def variance(self) -> float:
        """Of the logarithm of clearance."""
        return float(np.var(np.log(self.clearance), ddof=1))

    def interval(self) -> tuple[float, float]:
        """90 % interval of the geometric CV [%]."""
        df = len(self.clearance) - 1
        low, high = df * self.variance / chi2.ppf((0.95, 0.05), df)
        return percent_cv(low), percent_cv(high)


def percent_cv(variance: float) -> float:
    """Geometric CV [%] of a variance of logarithms."""
    return float(100 * np.sqrt(np.expm1(variance)))


def clearance_of(time, value, dose: float, route: str, duration: float) -> float:
    """CL or CL/F of one person; NaN where the analysis finds none."""
    result = ph.nca((time, value), dose=dose, route=route, infusion_duration=duration)
    return float(result["cl_f" if route == "oral" else "cl"].values[0])


def single_series() -> pd.DataFrame:
    """A row for each series of one person: drug, study, route, form, dose, duration, per_weight, clearance."""
    rows = []
    for drug in list_compounds(curated=True):
        for collection in ("shipped", "osp", "cvtdb"):
            try:
                table_ = ph.observations(drug, collection).to_dataframe().reset_index()
            except ph.InputError:
                continue
            for label, p in table_.groupby("profile", sort=False):
                first = p.iloc[0]
                alone = (
                    first["species"] == "human"
                    and not first["interaction"]
                    and not first["special_population"]
                    and first["route"] in ("oral", "iv_bolus", "iv_infusion")
                    and str(first["dose_times"]) in ("0", "0.0")
                )
                single = collection == "shipped" and "subject" in str(label)
                single |= "indiv." in str(label)
                # an infusion whose duration the source does not state has no clearance
                stated = first["route"] != "iv_infusion" or first["infusion_duration"] > 0
                if alone and single and stated:
                    rows.append(_row(drug, str(label), first, p))
    return pd.DataFrame(rows + warfarin()).dropna(subset=["clearance"])


def _row(drug: str, label: str, first, p) -> dict:
    p = p[(p["value"] > 0) & (p["time"] >= 0) & (p["censored"] == 0)]
    p = p.groupby("time")["value"].mean()
    per_weight = not np.isfinite(first["dose"])
    dose = float(first["dose_per_body_weight"] if per_weight else first["dose"])
    route, duration = str(first["route"]), float(np.nan_to_num(first["infusion_duration"]))
    form = re.search(r"\b(tab|sol|caps)\b", label)
    return {
        "drug": drug,
        "study": str(first["study"]),
        "route": route,
        "form": form.group() if form else "",
        # people of one study got about the same dose; its first two digits make the group
        "dose": float(f"{dose:.2g}") if drug not in TEST_DRUGS else float("nan"),
        "duration": duration,
        "per_weight": per_weight,
        "clearance": clearance_of(p.index.values, p.values, dose, route, duration),
    }


def warfarin() -> list[dict]:
    """32 people of O'Reilly, 1.5 mg/kg by mouth: nlmixr2data (doses in mg there)."""
    data = pd.read_csv(NLMIXR / "warfarin.csv.gz")
    rows = []
    for _, person in data.groupby("id"):
        dose = float(person["amt"].max())
        samples = person[(person["evid"] == 0) & (person["dvid"] == "cp") & (person["dv"] > 0)]
        samples = samples.groupby("time")["dv"].mean()  # two samples of one person are at one time
        rows.append(
            {
                "drug": "warfarin",
                "study": "O'Reilly (nlmixr2data)",
                "route": "oral",
                "form": "",
                "dose": float("nan"),
                "duration": 0.0,
                "per_weight": False,
                "clearance": clearance_of(samples.index.values, samples.values, dose, "oral", 0.0),
                "age": float(person["age"].iloc[0]),
                "weight": float(person["wt"].iloc[0]),
            }
        )
    return rows


def groups_of(series: pd.DataFrame) -> tuple[list[Group], dict[str, int]]:
    """The groups with enough people, and how many series of each drug are in smaller ones."""
    keys = ["drug", "study", "route", "form", "dose", "duration", "per_weight"]
    groups, few = [], {}
    for key, g in series.groupby(keys, dropna=False):
        if len(g) >= FEWEST:
            groups.append(Group(*key, g["clearance"].to_numpy()))
        else:
            few[key[0]] = few.get(key[0], 0) + len(g)
    return groups, few


def simulated(
    group: Group, people, cv: float | None = None, clearance: str | None = None
) -> np.ndarray:
    """The group's clearance in virtual people; `cv` of intrinsic clearance, None: the default."""
    drug = ph.get_compound(group.drug)
    mean_residence = drug.volume_steady_state * 1000 / (drug.clearance_plasma * 60)  # h
    end = 12 * max(mean_residence, 1 / drug.absorption_rate)
    # the shape is dose-linear: 1 mg in everybody, or 1 mg/kg, gives the same clearance
    regimen = {
        "oral": lambda: ph.Regimen.oral(1.0),
        "iv_bolus": lambda: ph.Regimen.bolus(1.0),
        "iv_infusion": lambda: ph.Regimen.infusion(1.0, group.duration),
    }[group.route]()
    dense = np.geomspace(end / 2000, end, 160)
    times = np.unique(np.r_[0.0, dense, group.duration] if group.duration else np.r_[0.0, dense])
    varied = ph.Variability() if cv is None else ph.Variability(intrinsic_clearance=cv)
    sim = ph.simulate(
        drug,
        regimen,
        people,
        times,
        compartments=["plasma"],
        variability=varied,
        clearance=clearance,
    )
    result = ph.nca(sim, dose=1.0, route=group.route, infusion_duration=group.duration)
    values = result["cl_f" if group.route == "oral" else "cl"].values.ravel()
    return values / people["body_weight"].values if group.per_weight else values


def log_variance(values: np.ndarray) -> float:
    return float(np.var(np.log(values[np.isfinite(values) & (values > 0)]), ddof=1))


def calibrating(groups: list[Group]) -> list[Group]:
    """One group of each study, without the test drugs."""
    best: dict[tuple[str, str], Group] = {}
    for g in groups:
        known = best.get((g.drug, g.study))
        rank = lambda x: (len(x.clearance), x.route != "oral")
        if not g.is_test and (known is None or rank(g) > rank(known)):
            best[g.drug, g.study] = g
    return list(best.values())


def likelihood(groups: list[Group], people) -> np.ndarray:
    """(len(GRID),) log-likelihood of the observed variances with each CV, less its maximum."""
    total = np.zeros(len(GRID))
    for g in groups:
        v = np.array([log_variance(simulated(g, people, cv)) for cv in GRID])
        total -= 0.5 * (len(g.clearance) - 1) * (np.log(v) + g.variance / v)
    return total - total.max()


def slope(age, value) -> tuple[float, float, float]:
    """Power of age that `value` follows, and its 90 % interval."""
    x, y = np.log(np.asarray(age)), np.log(np.asarray(value))
    b, a = np.polyfit(x, y, 1)
    error = np.sqrt(np.sum((y - a - b * x) ** 2) / (len(x) - 2) / np.sum((x - x.mean()) ** 2))
    return float(b), float(b - 1.645 * error), float(b + 1.645 * error)


def mavoglurant() -> pd.DataFrame:
    """Age and clearance of 120 people after infusions of mavoglurant (first occasion)."""
    data = pd.read_csv(NLMIXR / "mavoglurant.csv.gz")
    rows = []
    for _, p in data[data["OCC"] == 1].groupby("ID"):
        given = p[p["EVID"] == 1].iloc[0]
        samples = p[(p["EVID"] == 0) & (p["DV"] > 0)]
        value = samples.groupby("TIME")["DV"].mean() / 1000
        length = given["AMT"] / given["RATE"]
        time = value.index.values - given["TIME"]
        cl = clearance_of(time, value.values, given["AMT"], "iv_infusion", length)
        rows.append({"age": given["AGE"], "weight": given["WT"], "clearance": cl})
    return pd.DataFrame(rows).dropna()


def ages(series: pd.DataFrame) -> list[list[str]]:
    """Lines on the power of age in clearance per kg, where ages are known."""
    lines = []
    known = series[(series["drug"] == "warfarin") & series["age"].notna()]
    for name, d in (("warfarin", known), ("mavoglurant", mavoglurant())):
        b, low, high = slope(d["age"], d["clearance"] / d["weight"])
        span = f"{d['age'].min():.0f} to {d['age'].max():.0f}"
        lines.append([name, str(len(d)), span, f"{b:+.2f} ({low:+.2f} to {high:+.2f})"])
    return lines


def main() -> None:
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    series = single_series()
    groups, few = groups_of(series)
    volunteers = ph.sample_population(PEOPLE, seed=1, age=(18, 55), bmi=(18.5, 30))
    adults = ph.sample_population(PEOPLE, seed=1)
    chosen = calibrating(groups)
    fit = likelihood(chosen, volunteers)
    best = float(GRID[fit.argmax()])
    print(dict(zip(GRID.tolist(), fit.round(2).tolist(), strict=True)))
    every = likelihood([g for g in groups if not g.is_test], volunteers)
    crowded = float(GRID[every.argmax()])
    inside = GRID[fit > -0.5 * chi2.ppf(0.9, 1)]
    rows = []
    for g in sorted(groups, key=lambda g: (g.is_test, g.drug, g.route, g.form)):
        low, high = g.interval()
        row = {
            "drug": g.drug,
            "role": "test"
            if g.is_test
            else "calibration"
            if any(g is c for c in chosen)
            else "overlapping people",
            "study": g.study,
            "route": f"{g.route} {g.form}".strip(),
            "n": len(g.clearance),
            "observed": percent_cv(g.variance),
            "low": low,
            "high": high,
            "volunteers": percent_cv(log_variance(simulated(g, volunteers))),
            "adults": percent_cv(log_variance(simulated(g, adults))),
        }
        compound = ph.get_compound(g.drug)
        row["adults_in_vitro"] = (
            percent_cv(log_variance(simulated(g, adults, clearance="in_vitro")))
            if compound.clint_hepatocyte is not None
            else np.nan
        )
        rows.append(row)
        print({k: round(v, 1) if isinstance(v, float) else v for k, v in row.items()})
    write(rows, few, (best, crowded), (inside.min(), inside.max()), ages(series))


def write(rows, few, best: tuple[float, float], interval, by_age) -> None:
    """variability.md and results/variability.csv."""
    with (HERE / "results" / "variability.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows
        )
    number = lambda v: "-" if not np.isfinite(v) else f"{v:.0f}"
    lines = [
        [
            r["drug"],
            r["role"],
            r["study"],
            r["route"],
            str(r["n"]),
            f"{number(r['observed'])} ({number(r['low'])} to {number(r['high'])})",
            number(r["volunteers"]),
            number(r["adults"]),
            number(r["adults_in_vitro"]),
        ]
        for r in rows
    ]
    tested = [r for r in rows if r["role"] == "test"]
    worst = max(abs(r["observed"] - r[who]) for r in tested for who in ("volunteers", "adults"))
    default = ph.Variability()
    text = [
        "# Variability of clearance between people",
        "",
        "Made by `python benchmarks/validation/variability.py` (rules: top of that file). Geometric CV [%] of CL "
        "(intravenous) or CL/F (oral) of individuals, 90 % interval in brackets, beside that of "
        f"{PEOPLE} virtual people with the default variability "
        f"(CV of intrinsic clearance {default.intrinsic_clearance:g}) and the anatomy of each.",
        "",
        *table(
            [
                "drug",
                "role",
                "study",
                "route",
                "n",
                "observed",
                "simulated: volunteers",
                "simulated: adults 18 to 79",
                "adults, clearance in vitro",
            ],
            lines,
        ),
        f"The largest difference of the test drugs is {worst:.0f} percentage points "
        f"(target: at most {CLOSE:g}).",
        "",
        f"Maximum likelihood of the calibrating groups: CV {best[0]:g}, 90 % interval {interval[0]:g} to {interval[1]:g} "
        f"(steps of 0.01); {best[1]:g} if all groups except those of the test drugs were counted, although the same people are in "
        f"several. Series of individuals in groups of fewer than {FEWEST}, not used: "
        + (", ".join(f"{d} {n}" for d, n in sorted(few.items())) or "none")
        + ".",
        "",
        "## Age",
        "",
        "Power of age that clearance per body weight follows (90 % interval). Cells per gram of liver by Barter et al. (2007), "
        "which the population has, fall with the power -0.66.",
        "",
        *table(["drug", "n", "age [year]", "power of age"], by_age),
        *(HERE / "variability_reading.md").read_text().splitlines(),
    ]
    (HERE / "variability.md").write_text("\n".join(text).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
