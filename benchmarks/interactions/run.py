"""Predicted against published AUC ratios of CYP3A4 interactions.

    python benchmarks/interactions/run.py [--data FILE]

Each study is repeated with one reference person and the protocol of studies.csv (doses and the hour at which the victim was
given; clock times of irregular regimens are made regular). The published ratios are read from the collection DDI_ratios.csv
(Open Systems Pharmacology, no licence: it is in no checkout), by id, or by study, drugs, route
and time. Left out: Kim 2018 (a ratio above 1 for an inducer). Writes results/studies.csv and README.md.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
from drugs import drugs

import pbpk_hybrid as ph

HERE = Path(__file__).parent
COLLECTION = HERE.parents[2] / "shared" / "data" / "osp" / "DDI_ratios.csv"
TARGET = 1.4


def published(row: dict, collection: list[dict]) -> float:
    """The AUC ratio of one study."""
    if row["id"]:
        return float(next(r for r in collection if r["ID"] == row["id"])["AUCR Avg"])
    route = "IV" if " iv" in row["victim_dose"] else "PO"
    hits = [
        r for r in collection
        if r["Study ID"].startswith(row["study"]) and r["Victim"].lower() == row["victim"]
        and r["Perpetrator"].lower() == row["perpetrator"] and r["Route Victim"] == route
        and float(r["t_treatment_0"]) == float(row["victim_time"]) and r["AUCR Avg"]
    ]  # fmt: skip
    return float(hits[0]["AUCR Avg"])


def predicted(row: dict, known: dict) -> float:
    perpetrators = [(known[row["perpetrator"]], row["perpetrator_dose"])]
    if row["perpetrator"] == "itraconazole":
        perpetrators.append((known["hydroxyitraconazole"], None))
    out = ph.interaction(
        (known[row["victim"]], row["victim_dose"]), perpetrators, victim_time=float(row["victim_time"]), duration=96.0
    )
    return float(out["auc_ratio"][0])


def gmfe(ratio) -> float:
    return float(10 ** np.mean(np.abs(np.log10(ratio))))


def guest(observed, delta: float = 1.0):
    """Upper limit of predicted/observed (or its inverse) by Guest et al. (2011) Drug Metab Dispos 39:170."""
    r = np.maximum(observed, 1 / np.asarray(observed))
    return (delta + 2 * (r - 1)) / r


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=COLLECTION, type=Path, help="DDI_ratios.csv")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    collection = list(csv.DictReader(arguments.data.open()))
    known = drugs()
    rows = list(csv.DictReader((HERE / "studies.csv").open()))
    for row in rows:
        row["observed"], row["predicted"] = published(row, collection), predicted(row, known)
        row["fold"] = row["predicted"] / row["observed"]
        print(*(f"{v:.3g}" if isinstance(v, float) else v for v in row.values()))
    with (HERE / "results" / "studies.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows)
    report(rows)


def report(rows: list[dict]) -> None:
    fold = np.array([r["fold"] for r in rows])
    observed = np.array([r["observed"] for r in rows])
    within = np.maximum(fold, 1 / fold)
    text = [
        "# Drug interactions: predicted against published AUC ratios", "",
        "Made by `python benchmarks/interactions/run.py`; rules at the top of that file, drugs and the source of each value "
        "in `drugs.py`. One reference person; no constant was fitted here (the inactivation constants of clarithromycin and "
        "erythromycin were fitted by their source).", "",
        "| perpetrator | studies | GMFE | within 1.25-fold | within 2-fold | geometric mean of predicted/observed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for name in [*dict.fromkeys(r["perpetrator"] for r in rows), None]:
        pick = np.array([name in (None, r["perpetrator"]) for r in rows])
        f = fold[pick]
        text.append(
            f"| {name or '**all**'} | {pick.sum()} | {gmfe(f):.2f} | {100 * np.mean(within[pick] <= 1.25):.0f} % | "
            f"{100 * np.mean(within[pick] <= 2):.0f} % | {10 ** np.mean(np.log10(f)):.2f} |"
        )
    total = gmfe(fold)
    met = "met" if total <= TARGET else "**missed**"
    text += [
        "", f"The target is a GMFE of {TARGET}: {met} ({total:.2f}). {100 * np.mean(within <= guest(observed)):.0f} % are "
        "inside the limits of Guest et al. (2011).", "",
        (HERE / "reading.md").read_text() if (HERE / "reading.md").exists() else "",
        "| study | victim | perpetrator | given at h | published | predicted | predicted/published |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    text += [
        f"| {r['study']} | {r['victim']} {r['victim_dose']} | {r['perpetrator']} {r['perpetrator_dose']} "
        f"| {r['victim_time']} "
        f"| {r['observed']:.3g} | {r['predicted']:.3g} | {r['fold']:.2f} |" for r in rows
    ]  # fmt: skip
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
