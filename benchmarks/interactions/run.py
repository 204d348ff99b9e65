"""Predicted against published AUC ratios of CYP3A4 interactions.

    python benchmarks/interactions/run.py [--data FILE]

Each study is repeated with one reference person and the protocol of studies.csv (doses and the hour at which the victim was
given; clock times of irregular regimens are made regular; ratios of AUCs of unequal doses of the victim are divided by the
ratio of doses). The published ratios are read from the collection DDI_ratios.csv
(Open Systems Pharmacology, no licence: not in the checkout), by id, or by study, drugs, route
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
OBSERVED = HERE.parent / "data" / "osp" / "osp_observed_data.csv.gz"
TARGET = 1.4
#: perpetrator, dose, its own AUC [mg h/L] to infinity as published, or the data set of OBSERVED that holds its profile
OWN = (
    ("ketoconazole", "200 mg oral", 16.0, "Huang 1986; set by it"),
    ("ketoconazole", "400 mg oral", 50.0, "Baxter 1986; set by it"),
    ("rifampicin", "300 mg iv over 0.5 h", 21.6, "label; set by it"),
    ("rifampicin", "600 mg iv over 0.5 h", 58.7, "label; set by it"),
    (
        "rifampicin",
        "600 mg oral",
        "Peloquin 1999 - fast1 - Rifampicin - PO - 600 mg - Serum - agg. (n=14)",
        "Peloquin 1999",
    ),
    ("itraconazole", "100 mg oral", "Heykants 1989 - po 100 mg SD fed", "Heykants 1989"),
    (
        "itraconazole",
        "200 mg oral",
        "Barone 1993 - day 1 fed - Itraconazole - PO - 200 mg - Plasma - agg. (n=28)",
        "Barone 1993",
    ),
    ("clarithromycin", "250 mg oral", "Chu 1993, 250 mg po", "Chu 1993"),
    ("clarithromycin", "500 mg oral", "Chu 1993, 500 mg po", "Chu 1993"),
    (
        "erythromycin",
        "500 mg iv over 0.25 h",
        "Austin 1980 - 500 mg over 15 min (Regimen 2) - Erythromycin - IV - 500 mg - Serum - agg. (n=4)",
        "Austin 1980",
    ),
    (
        "erythromycin",
        "500 mg iv over 0.5 h",
        "Barre 1987 - 500 mg over 30 min, total concentrations - Erythromycin - IV - 500 mg - Serum - agg. (n=6)",
        "Barre 1987",
    ),
    ("erythromycin", "500 mg oral", "Schreiner 1984 - Part I, stearate tablet", "Schreiner 1984"),
)


def published(row: dict, collection: list[dict]) -> float:
    """The AUC ratio of one study, of equal doses of the victim.

    Where the victim's dose beside the perpetrator was another (`dose_ratio`) and the collection holds the ratio of AUCs as they
    were, it is divided by the ratio of doses.
    """
    return float(found(row, collection)["AUCR Avg"]) / float(row["dose_ratio"] or 1.0)


def found(row: dict, collection: list[dict]) -> dict:
    """The study in the collection: by id, or by study, drugs, route and time."""
    if row["id"]:
        return next(r for r in collection if r["ID"] == row["id"])
    route = "IV" if " iv" in row["victim_dose"] else "PO"
    hits = [
        r
        for r in collection
        if r["Study ID"].startswith(row["study"])
        and r["Victim"].lower() == row["victim"]
        and r["Perpetrator"].lower() == row["perpetrator"]
        and r["Route Victim"] == route
        and float(r["t_treatment_0"]) == float(row["victim_time"])
        and r["AUCR Avg"]
    ]
    return hits[0]


def members(perpetrator: str, dose: str) -> list[tuple[ph.Compound, str | None]]:
    """The perpetrator with its dose, and its metabolites of the library that act on enzymes."""
    compound = ph.get_compound(perpetrator)
    names = dict.fromkeys(m.metabolite for m in compound.metabolism if m.metabolite)
    return [(compound, dose), *((ph.get_compound(n), None) for n in names)]


def predicted(row: dict) -> float:
    out = ph.interaction(
        (ph.get_compound(row["victim"]), row["victim_dose"]),
        members(row["perpetrator"], row["perpetrator_dose"]),
        victim_time=float(row["victim_time"]),
        duration=96.0,
    )
    return float(out["auc_ratio"][0])


def own_exposure(known: dict) -> list[str]:
    """Rows of the perpetrators' own AUC after one dose: predicted over published, over the times sampled."""
    import pandas as pd

    data = pd.read_csv(OBSERVED, low_memory=False)
    out = []
    for name, dose, published, source in OWN:
        grid = np.r_[0.0, np.geomspace(0.01, 200, 500)]
        observed = published
        if isinstance(published, str):
            mine = (data["dataset"] == published) | data["dataset"].str.startswith(
                f"{published} - "
            )
            p = data[mine & (data["time"] > 0)].drop_duplicates("time").sort_values("time")
            if p.empty:
                raise ph.InputError("OWN", published, "a data set of the collection")
            value = p["value"].to_numpy() * (
                known[name].molar_mass / 1000 if "mol" in p["unit"].iloc[0] else 1.0
            )
            grid = np.r_[0.0, p["time"].to_numpy()]
            observed = np.trapezoid(value, grid[1:])
        c = ph.simulate(known[name], dose, None, grid, compartments=["plasma"])[
            "concentration"
        ].values[0, :, 0]
        own = (
            np.trapezoid(c, grid)
            if not isinstance(published, str)
            else np.trapezoid(c[1:], grid[1:])
        )
        out.append(
            f"| {name} | {dose} | {source} | {observed:.3g} | {own:.3g} | {own / observed:.2f} |"
        )
    return out


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
        row["observed"], row["predicted"] = published(row, collection), predicted(row)
        row["fold"] = row["predicted"] / row["observed"]
        print(*(f"{v:.3g}" if isinstance(v, float) else v for v in row.values()))
    with (HERE / "results" / "studies.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows
        )
    picture(rows)
    report(rows, own_exposure(known))


def picture(rows: list[dict]) -> None:
    """Predicted against published ratios, with the limits of Guest et al. (2011) and of two-fold."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from pbpk_hybrid.plots.style import MARKERS, PALETTE, quiet

    figure, ax = plt.subplots(figsize=(5.2, 5.0), layout="constrained")
    line = np.geomspace(0.01, 40, 400)
    limit = guest(line)
    ax.fill_between(
        line, line / limit, line * limit, color="0.6", alpha=0.25, lw=0, label="Guest et al. (2011)"
    )
    ax.plot(line, line, color="0.4", lw=1)
    for fold in (0.5, 2.0):
        ax.plot(
            line, fold * line, "--", color="0.4", lw=0.8, label="two-fold" if fold == 2 else None
        )
    for i, name in enumerate(dict.fromkeys(r["perpetrator"] for r in rows)):
        mine = [r for r in rows if r["perpetrator"] == name]
        ax.plot(
            [r["observed"] for r in mine],
            [r["predicted"] for r in mine],
            MARKERS[i % len(MARKERS)],
            color=PALETTE[i % len(PALETTE)],
            markeredgecolor="white",
            markeredgewidth=0.5,
            label=name,
        )
    ax.set(xscale="log", yscale="log", xlim=(0.01, 40), ylim=(0.01, 40), aspect="equal")
    ax.set(xlabel="published AUC ratio", ylabel="predicted AUC ratio")
    quiet(ax)
    ax.legend(frameon=False, fontsize="x-small", loc="upper left")
    figure.savefig(HERE / "results" / "ratios.png", dpi=110, metadata={"Software": None})
    plt.close(figure)


def report(rows: list[dict], own: list[str]) -> None:
    fold = np.array([r["fold"] for r in rows])
    observed = np.array([r["observed"] for r in rows])
    within = np.maximum(fold, 1 / fold)
    text = [
        "# Drug interactions: predicted against published AUC ratios",
        "",
        "Made by `python benchmarks/interactions/run.py`; rules at the top of that file, the source of each value "
        "in the drugs' files of the package (`pbpk-hybrid compounds show NAME`). One reference person; no constant was fitted to an interaction here (Vmax and Km of ketoconazole and rifampicin are set by their own exposure; the inactivation constants of clarithromycin and "
        "erythromycin were fitted by their source).",
        "",
        "| perpetrator | studies | GMFE | within 1.25-fold | within 2-fold | geometric mean of predicted/observed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    groups = {
        name: [r["perpetrator"] == name for r in rows]
        for name in dict.fromkeys(r["perpetrator"] for r in rows)
    }
    groups["**the first 81**"] = [not r["more"] for r in rows]
    groups["**all**"] = [True] * len(rows)
    for name, chosen in groups.items():
        pick = np.array(chosen)
        f = fold[pick]
        text.append(
            f"| {name} | {pick.sum()} | {gmfe(f):.2f} | {100 * np.mean(within[pick] <= 1.25):.0f} % | "
            f"{100 * np.mean(within[pick] <= 2):.0f} % | {10 ** np.mean(np.log10(f)):.2f} |"
        )
    total = gmfe(fold[[not r["more"] for r in rows]])
    met = "met" if total <= TARGET else "**missed**"
    text += [
        "",
        f"The target is a GMFE of {TARGET}: {met} ({total:.2f}). {100 * np.mean(within <= guest(observed)):.0f} % are "
        "inside the limits of Guest et al. (2011).",
        "",
        "![predicted against published ratios](results/ratios.png)",
        "",
        (HERE / "reading.md").read_text() if (HERE / "reading.md").exists() else "",
        "## The perpetrators' own exposure",
        "",
        "AUC [mg h/L] after one dose alone, over the times sampled.",
        "",
        "| perpetrator | dose | study | published | predicted | predicted/published |",
        "| --- | --- | --- | --- | --- | --- |",
        *own,
        "",
        "## Study by study",
        "",
        "| study | victim | perpetrator | given at h | published | predicted | predicted/published |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    text += [
        f"| {r['study']} | {r['victim']} {r['victim_dose']} | {r['perpetrator']} {r['perpetrator_dose']} "
        f"| {r['victim_time']} "
        f"| {r['observed']:.3g} | {r['predicted']:.3g} | {r['fold']:.2f} |"
        for r in rows
    ]
    (HERE / "README.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
