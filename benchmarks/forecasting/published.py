"""The published in-context forecasters of pharmacokinetics, by their protocol, on the data that are ours too.

    python benchmarks/forecasting/published.py [--checkpoint FILE]

AICMET (Ojeda Marin et al. 2025, arXiv 2508.15659) and Prior-Fitted Functional Flows (Ojeda et al. 2026, UAI, arXiv
2604.17670): each person in turn is left out. The model gets the profiles of all others and the person's first four samples,
and forecasts the rest; the log-RMSE of each person is averaged over people. They use 18 compounds of a cocktail study
(Lenuzza et al. 2016, in PK-DB), which is in none of our tables, and the sets Theoph and Indometh of R, which are here.
Their figures are those of the table "Comparison of Log-RMSE Across Models" of arXiv 2604.17670 in the authors' repository
(github.com/cesarali/pff, commit 2c68dfc, paper/.../sections/model.tex), mean and standard deviation over people; AICMET,
NODE and the transformer are their runs. There, the printed standard deviations of NLME are equal to the means.

Two points that the papers leave open are taken thus: samples at time zero are dropped, so that the four are those after the
dose; and only values above 0 are scored, with predictions no lower than 1e-8 before the logarithm. They score the mean of the model's
draws; here the median is scored. In both, the data do not change the weights; the common curve of the others, an input of
this forecaster, is fitted to them. The baselines: population MAP of two compartments, and of one to three by AIC
(compartments.py), from the others; the mean of the logs of the forecaster and that MAP; MAP alone with a generic prior.

The data of the cocktail study have no licence and are not part of this repository; with `--cocktail FILE` they are read from
where you have them: a CSV with the columns compound, subject, time [h], concentration [mg/L], amount [mg] and, if known,
body_weight [kg], one row for each sample of an oral dose at time 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
import pandas as pd
import torch
from baselines import MapForecaster
from compartments import AicMap, GenericMap
from contenders import Points, by_baseline, by_network
from studies import Study, indometacin, make, theophylline

from pbpk_hybrid.learn.transformer import Forecaster
from pbpk_hybrid.learn.transformer.context_curve import TypicalCurve
from pbpk_hybrid.learn.transformer.data import collate, read_patients

RESULTS = HERE.parent / "results"
#: log-RMSE of NLME, and mean and sd over people of transformer, NODE, AICMET and PFF, arXiv 2604.17670
_TABLE = {
    "caffeine": (0.294, 0.451, 0.258, 0.432, 0.209, 0.399, 0.205, 0.174, 0.086),
    "dextromethorphan": (0.752, 0.395, 0.163, 0.605, 0.248, 0.595, 0.364, 0.963, 0.426),
    "digoxin": (0.300, 0.683, 0.242, 0.661, 0.315, 0.691, 0.464, 0.375, 0.216),
    "indometacin": (0.582, 0.429, 0.328, 0.350, 0.291, 0.536, 0.203, 0.245, 0.170),
    "memantine": (0.343, 0.513, 0.335, 0.554, 0.386, 0.475, 0.341, 0.404, 0.388),
    "midazolam": (0.596, 0.288, 0.173, 0.352, 0.224, 0.264, 0.151, 0.295, 0.300),
    "omeprazole": (1.300, 0.842, 0.400, 1.003, 0.618, 0.936, 0.942, 0.593, 0.161),
    "paracetamol": (0.299, 0.447, 0.274, 0.582, 0.302, 0.352, 0.187, 0.309, 0.220),
    "repaglinide": (0.479, 0.709, 0.268, 0.693, 0.290, 0.339, 0.311, 0.681, 0.155),
    "rosuvastatin": (0.383, 0.502, 0.205, 0.535, 0.303, 0.558, 0.286, 0.495, 0.336),
    "theophylline": (0.732, 0.356, 0.141, 0.327, 0.144, 0.274, 0.109, 0.184, 0.110),
    "tolbutamide": (0.723, 0.678, 0.339, 0.578, 0.263, 0.517, 0.254, 0.421, 0.214),
}
PUBLISHED = {
    drug: {"NLME": (row[0], None)}
    | {
        who: (row[1 + 2 * i], row[2 + 2 * i])
        for i, who in enumerate(("Transformer", "NODE", "AICMET", "PFF"))
    }
    for drug, row in _TABLE.items()
}
CUTS = (4, 2, 1)
#: mg/L that predictions are no lower than before the logarithm
CLAMP = 1e-8


def cocktail(path: Path) -> dict[str, Study]:
    """Compound -> study, of a table as the text above has it; times at or before the dose and values of 0 are left out."""
    table = pd.read_csv(path)
    missing = {"compound", "subject", "time", "concentration", "amount"} - set(table.columns)
    if missing:
        raise SystemExit(f"{path}: no column {', '.join(sorted(missing))}")
    found = {}
    for compound, part in table.groupby("compound", sort=True):
        part = part[(part["time"] > 0) & (part["concentration"] > 0)]
        samples = part.rename(columns={"concentration": "value"})[["subject", "time", "value"]]
        first = part.groupby("subject", sort=False).first().reset_index()
        doses = first[["subject", "amount"]].assign(time=0.0, route="oral", duration=0.0)
        people = first[["subject", *[c for c in ("body_weight",) if c in first]]]
        found[str(compound)] = make(str(compound), samples, doses, people)
    return found


def after_the_dose(patient):
    """The patient without samples at time zero."""
    keep = (patient.time > patient.doses.first + 1e-9) & (patient.value > 0)
    columns = {n: getattr(patient, n)[keep] for n in ("time", "value", "censored", "site")}
    reference = None if patient.reference is None else patient.reference[keep]
    return replace(patient, **columns, reference=reference)


_BY_AIC = "population MAP, 1 to 3 compartments by AIC"


def one_out(model: Forecaster, study, shown: int, fitted: dict | None = None) -> dict:
    """Contender -> (people,) log-RMSE of each one, left out of what the model sees; `fitted` keeps what all cuts share."""
    fitted = {} if fitted is None else fitted
    people = [
        after_the_dose(p)
        for p in read_patients(study.observation, study.regimen, study.physiology)[0]
    ]
    people = [p for p in people if len(p.time) > shown]
    rows: dict[str, list[float]] = {}
    for i, one in enumerate(people):
        theirs = people[:i] + people[i + 1 :]
        others = collate(theirs, np.zeros(0), [0], None)
        if one.label not in fitted:
            fitted[one.label] = TypicalCurve(others), MapForecaster(theirs), AicMap(theirs)
        typical, two, by_aic = fitted[one.label]
        found: dict[str, Points] = {
            "forecaster, with others": by_network(model, [one], [shown], others, typical),
            "forecaster, alone": by_network(model, [one], [shown]),
            "2-compartment MAP": by_baseline(two, [one], [shown]),
            _BY_AIC: by_baseline(by_aic, [one], [shown]),
            "generic-prior MAP, alone": by_baseline(GenericMap(), [one], [shown]),
        }
        of = {who: np.concatenate(points.rows) for who, points in found.items()}
        both = of["forecaster, with others"].copy()
        both[:, 3] = 0.5 * (both[:, 3] + of[_BY_AIC][:, 3])
        of["mean of logs, forecaster and MAP"] = both
        for who, r in of.items():
            miss = np.maximum(r[:, 3], np.log(CLAMP)) - r[:, 0]
            rows.setdefault(who, []).append(float(np.sqrt(np.mean(miss**2))))
    return {who: np.array(values) for who, values in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--cocktail", type=Path, help="CSV of the cocktail study, see above")
    parser.add_argument("--cuts", default=",".join(map(str, CUTS)), help="samples that are shown")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model = Forecaster.load(args.checkpoint)
    rows = []
    cases = {"theophylline": theophylline(), "indometacin": indometacin()}
    cases |= {} if args.cocktail is None else cocktail(args.cocktail)
    for name, study in cases.items():
        fitted: dict = {}
        for shown in map(int, args.cuts.split(",")):
            label = f"{name}, {shown} samples after the dose"
            for who, values in one_out(model, study, shown, fitted).items():
                rows.append(
                    {
                        "data": label,
                        "contender": who,
                        "log_rmse": values.mean(),
                        "sd": values.std(ddof=1),
                        "people": len(values),
                        "published": False,
                    }
                )
            # theirs have four samples
            for who, (mean, sd) in PUBLISHED.get(name, {}).items() if shown == 4 else ():
                rows.append(
                    {
                        "data": label,
                        "contender": who,
                        "log_rmse": mean,
                        "sd": sd,
                        "people": len(values),
                        "published": True,
                    }
                )
            print(label, flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "forecasting_published.json").write_text(json.dumps(rows, indent=1))
    lines = [
        "# Beside published in-context forecasters, by their protocol",
        "",
        *__doc__.split("\n\n", 2)[2].splitlines(),
    ]
    for label in dict.fromkeys(r["data"] for r in rows):
        lines += [
            "",
            f"### {label}",
            "",
            "| contender | log-RMSE, mean over people | sd | |",
            "|---|---|---|---|",
        ]
        for r in sorted((r for r in rows if r["data"] == label), key=lambda r: r["log_rmse"]):
            sd = "" if r["sd"] is None else f"{r['sd']:.3f}"
            source = "published, arXiv 2604.17670" if r["published"] else "measured here"
            lines.append(f"| {r['contender']} | {r['log_rmse']:.3f} | {sd} | {source} |")
    (RESULTS / "forecasting_published.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
