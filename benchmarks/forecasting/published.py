"""The published in-context forecasters of pharmacokinetics, by their protocol, on the data that are ours too.

    python benchmarks/forecasting/published.py [--checkpoint FILE]

AICMET (Ojeda Marin et al. 2025, arXiv 2508.15659) and Prior-Fitted Functional Flows (Ojeda et al. 2026, UAI, arXiv
2604.17670): each person in turn is left out. The model gets the profiles of all others and the person's first four samples,
and forecasts the rest; the log-RMSE of each person is averaged over people. They use 18 compounds of a cocktail study
(Lenuzza et al. 2016, in PK-DB), which is in none of our tables, and the sets Theoph and Indometh of R, which are here.
Their figures are those of the table "Comparison of Log-RMSE Across Models" of arXiv 2604.17670 in the authors' repository
(github.com/cesarali/pff, commit 2c68dfc, paper/.../sections/model.tex), mean and standard deviation over people; AICMET,
NODE and the transformer are their runs. There, the printed standard deviations of NLME are equal to the means.

Two points of the protocol are not known: whether the predose sample of Theoph counts as one of the four (both are given),
and how small concentrations enter the logarithm. They score the mean of the model's draws; here the median is scored. In
both, the data do not change the weights; the common curve of the others, an input of this forecaster, is fitted to them.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
import torch
from baselines import MapForecaster
from contenders import Points, by_baseline, by_network
from studies import indometacin, theophylline

from pbpk_hybrid.learn.transformer import Forecaster
from pbpk_hybrid.learn.transformer.context_curve import TypicalCurve
from pbpk_hybrid.learn.transformer.data import collate, read_patients

RESULTS = HERE.parent / "results"
#: mean and sd of log-RMSE over people, arXiv 2604.17670
PUBLISHED = {
    "theophylline": {
        "NLME": (0.732, None),
        "Transformer": (0.356, 0.141),
        "NODE": (0.327, 0.144),
        "AICMET": (0.274, 0.109),
        "PFF": (0.184, 0.110),
    },
    "indometacin": {
        "NLME": (0.582, None),
        "Transformer": (0.429, 0.328),
        "NODE": (0.350, 0.291),
        "AICMET": (0.536, 0.203),
        "PFF": (0.245, 0.170),
    },
}
CASES = {"theophylline": (theophylline, (4, 3)), "indometacin": (indometacin, (4,))}


def one_out(model: Forecaster, study, shown: int) -> dict[str, np.ndarray]:
    """Contender -> (people,) log-RMSE of each one, left out of what the model sees."""
    people = [
        p
        for p in read_patients(study.observation, study.regimen, study.physiology)[0]
        if len(p.time) > shown
    ]
    rows: dict[str, list[float]] = {}
    for i, one in enumerate(people):
        theirs = people[:i] + people[i + 1 :]
        others = collate(theirs, np.zeros(0), [0], None)
        found: dict[str, Points] = {
            "forecaster, with others": by_network(
                model, [one], [shown], others, TypicalCurve(others)
            ),
            "forecaster, alone": by_network(model, [one], [shown]),
            "2-compartment MAP": by_baseline(MapForecaster(theirs), [one], [shown]),
        }
        for who, points in found.items():
            r = np.concatenate(points.rows)
            rows.setdefault(who, []).append(float(np.sqrt(np.mean((r[:, 3] - r[:, 0]) ** 2))))
    return {who: np.array(values) for who, values in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model = Forecaster.load(args.checkpoint)
    rows = []
    for name, (make, cuts) in CASES.items():
        for shown in cuts:
            label = f"{name}, {shown} samples after the dose"
            for who, values in one_out(model, make(), shown).items():
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
            for who, (mean, sd) in PUBLISHED[name].items():
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
