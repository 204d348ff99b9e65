"""One table of all comparisons with people: compounds, interactions, children, antibodies.

    python benchmarks/validation/overview.py [--keep]

Predicted over observed AUC and Cmax, with their bias (AFE, 10^(mean of log10 ratio)), spread (AAFE, 10^(mean of |log10 ratio|),
also called GMFE) and the share within 2-fold, beside the figures that the source of the data reports for its own model. First runs
validate.py and antibody.py (`--keep`: takes their results as they are). Writes overview.md, results/overview.json and pictures.

- compounds: the default basis of each drug, which was chosen on these profiles (validate.py), human profiles, nobody left out
- interactions: pairs of benchmarks/interactions, AUC and Cmax ratios, and the profiles of Olkkola 1993
- children: clearances of benchmarks/mechanisms (AUC is their inverse), and the profiles of itraconazole of Abdel-Rahman 2007
  by the itraconazole of benchmarks/interactions: 2.5 mg/kg, taken as infused over 1 h, the time of the first sample

The ratios of interactions and the clearances of children are of collections without licence (see those benchmarks).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BASIS = "default"
#: drug -> AAFE of concentrations that the source's report gives for its own model: OSP-PBPK-Model-Library, <drug> evaluation
#: report, group "All" (omeprazole: table 3-3, mean data; verapamil: racemate and metabolites together)
SOURCE = {
    "alfentanil": 1.32,
    "alprazolam": 1.18,
    "cimetidine": 1.47,
    "dapagliflozin": 1.22,
    "digoxin": 1.46,
    "midazolam": 1.45,
    "omeprazole": 2.09,
    "sufentanil": 1.40,
    "verapamil": 1.36,
}
#: OSP-Qualification-Reports, DDI_Qualification_CYP3A4: GMFE of AUC ratios (118 studies) and of Cmax ratios (76)
SOURCE_INTERACTIONS = (1.40, 1.37)
#: study, victim, perpetrator, dose of the victim as in benchmarks/interactions/studies.csv
PAIRS = (
    ("Ahonen 1997", "midazolam", "fluconazole", "7.5 mg oral", "400 mg oral"),
    ("Olkkola 1994", "midazolam", "itraconazole", "7.5 mg oral", ""),
    ("Olkkola 1994", "midazolam", "ketoconazole", "7.5 mg oral", ""),
    ("Backman 1996", "midazolam", "rifampicin", "15 mg oral", ""),
    ("Kharasch 2004", "alfentanil", "rifampicin", "1 mg iv", ""),
    ("Gurley 2006", "midazolam", "clarithromycin", "8 mg oral", ""),
    ("Varhe 1996", "triazolam", "fluconazole", "0.25 mg oral", "100 mg"),
    ("Olkkola 1993", "midazolam", "erythromycin", "15 mg oral", ""),
)
#: panel -> (data set, dose, hour of the victim, perpetrator's doses) of Olkkola 1993
ARMS = {
    "midazolam 15 mg oral": (
        "Olkkola 1993 - po Control (Perpetrator Placebo)",
        "15 mg oral",
        0.0,
        None,
    ),
    "midazolam oral, with erythromycin": (
        "Olkkola 1993 - po with Perpetrator (Erythromycin)",
        "15 mg oral",
        128.0,
        "500 mg oral q8h x21",
    ),
    "midazolam 0.05 mg/kg iv": (
        "Olkkola 1993 - iv Control (Perpetrator Placebo)",
        "3.5 mg iv over 2 min",
        0.0,
        None,
    ),
    "midazolam iv, with erythromycin": (
        "Olkkola 1993 - iv with Perpetrator (Erythromycin)",
        "3.5 mg iv over 2 min",
        128.0,
        "500 mg oral q8h x21",
    ),
}
#: age group of Abdel-Rahman 2007 -> age [year] of the reference child
GROUPS = {"6m-2y": 1.25, "2-6y": 4.0, "6-12y": 9.0, "12-16y": 14.0}


def errors(ratios) -> dict:
    """n, AFE, AAFE and share within 2-fold of ratios; those that are not numbers are left out."""
    log = np.log10([r for r in ratios if np.isfinite(r) and r > 0])
    if not log.size:
        return {"n": 0, "afe": None, "aafe": None, "within_2_fold": None}
    return {
        "n": int(log.size),
        "afe": float(10 ** log.mean()),
        "aafe": float(10 ** np.abs(log).mean()),
        "within_2_fold": float(np.mean(np.abs(log) <= np.log10(2))),
    }


def compounds() -> list[dict]:
    """A row for each compound and route."""
    table = pd.read_csv(RESULTS / "profiles.csv")
    table = table[(table["species"] == "human") & np.isfinite(table[f"{BASIS}_auc"])]
    out = []
    for (drug, route), p in table.groupby(["drug", "route"]):
        fold = 10 ** np.average(p[f"{BASIS}_fold"], weights=p["n"])
        out.append(
            {
                "kind": "compound",
                "what": drug,
                "route": route,
                "concentration_aafe": float(fold),
                "source_aafe": SOURCE.get(drug),
                **{q: errors(p[f"{BASIS}_{q}"] / p[f"observed_{q}"]) for q in ("auc", "cmax")},
            }
        )
    return out


def interactions() -> list[dict]:
    """A row for each of PAIRS: published and predicted ratios."""
    sys.path.insert(0, str(HERE.parent / "interactions"))
    import run
    from drugs import drugs

    import pbpk_hybrid as ph

    known = drugs()
    collection = list(csv.DictReader(run.COLLECTION.open()))
    studies = list(csv.DictReader((run.HERE / "studies.csv").open()))
    out = []
    for study, victim, perpetrator, dose, beside in PAIRS:
        row = next(
            r
            for r in studies
            if (r["study"], r["victim"], r["perpetrator"], r["victim_dose"])
            == (study, victim, perpetrator, dose)
            and r["perpetrator_dose"].startswith(beside)
        )
        hit = run.found(row, collection)
        others = [(known[perpetrator], row["perpetrator_dose"])]
        others += [(known["hydroxyitraconazole"], None)] if perpetrator == "itraconazole" else []
        got = ph.interaction((known[victim], dose), others, victim_time=float(row["victim_time"]))
        values = {
            "auc": (float(hit["AUCR Avg"]), float(got["auc_ratio"][0])),
            "cmax": (
                float(hit["CmaxR Avg"]) if hit["CmaxR Avg"] else np.nan,
                float(got["cmax_ratio"][0]),
            ),
        }
        out.append(
            {
                "kind": "interaction",
                "what": f"{victim} {dose}, {perpetrator} {row['perpetrator_dose']}",
                "study": study,
                **{
                    q: {"observed": o, "predicted": p, "ratio": p / o}
                    for q, (o, p) in values.items()
                },
            }
        )
    return out


def _compare(what: str, kind: str, t, value, predicted, study: str) -> dict:
    from validate import auc

    none = np.array([-1.0])
    pair = {
        "auc": (auc(t, value, none), auc(t, predicted, none)),
        "cmax": (value.max(), predicted.max()),
    }
    return {
        "kind": kind,
        "what": what,
        "study": study,
        **{
            q: {"observed": float(o), "predicted": float(p), "ratio": float(p / o)}
            for q, (o, p) in pair.items()
        },
    }


def profiles() -> tuple[list[dict], list[dict]]:
    """Rows and panels of the arms of an interaction and of children with itraconazole."""
    from drugs import drugs

    import pbpk_hybrid as ph

    data = pd.read_csv(HERE.parent / "data" / "osp" / "osp_observed_data.csv.gz", low_memory=False)
    known, rows, panels = drugs(), [], []

    def samples(start: str):
        p = (
            data[data["dataset"].str.startswith(start) & (data["value"] > 0)]
            .drop_duplicates("time")
            .sort_values("time")
        )
        factor = (
            1 / 1000 if p["unit"].iloc[0].startswith("µg") or p["unit"].iloc[0] == "ng/ml" else 1.0
        )
        if "mol" in p["unit"].iloc[0]:
            factor = float(p["mol_weight"].iloc[0]) / 1000
        return p["time"].to_numpy(), p["value"].to_numpy() * factor

    for what, (start, dose, hour, beside) in ARMS.items():
        t, value = samples(start)
        t = t - hour
        if " iv" in dose:  # as in validate.py: until the dose is mixed
            value, t = value[t >= (2 + 5) / 60 - 1e-9], t[t >= (2 + 5) / 60 - 1e-9]
        grid = np.unique(np.r_[0.0, np.linspace(0.02, t.max(), 200), t])
        given = [(known["midazolam"], ph.Regimen.parse(dose).shift(hour))] + (
            [(known["erythromycin"], beside)] if beside else []
        )
        ds = ph.simulate_together(
            given, None, np.unique(np.r_[0.0, grid + hour]), compartments=["midazolam:plasma"]
        )
        curve = np.interp(grid + hour, ds["time"].values, ds["concentration"].values[0, :, 0])
        rows.append(
            _compare(
                what, "interaction profile", t, value, np.interp(t, grid, curve), "Olkkola 1993"
            )
        )
        panels.append(
            {
                "title": what,
                "grid": grid,
                "curve": curve,
                "time": t,
                "value": value,
                "study": "Olkkola 1993",
            }
        )
    for group, age in GROUPS.items():
        t, value = samples(f"Abdel-Rahman 2007 - {group} - Itraconazole")
        child = ph.reference_child(age)
        grid = np.unique(np.r_[0.0, np.linspace(0.05, t.max(), 400), t])
        c = ph.simulate(
            known["itraconazole"], "2.5 mg/kg iv over 1 h", child, grid, compartments=["plasma"]
        )["concentration"].values[0, :, 0]
        what = f"itraconazole, {group}"
        rows.append(
            _compare(what, "child profile", t, value, np.interp(t, grid, c), "Abdel-Rahman 2007")
        )
        panels.append(
            {
                "title": what,
                "grid": grid,
                "curve": c,
                "time": t,
                "value": value,
                "study": "Abdel-Rahman 2007",
            }
        )
    return rows, panels


def children() -> list[dict]:
    """A row for each drug given to children, from their clearances."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "mechanisms", HERE.parent / "mechanisms" / "run.py"
    )
    mechanisms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mechanisms)
    found = mechanisms.children()
    return [
        {
            "kind": "children",
            "what": drug,
            "source_aafe": mechanisms.SOURCES_OWN[drug],
            "auc": errors(r["published"] / r["predicted"] for r in found if r["drug"] == drug),
        }
        for drug in mechanisms.CHILDREN
    ]


def antibodies() -> list[dict]:
    """A row for each antibody, by the two-pore model."""
    table = pd.read_csv(RESULTS / "antibody.csv")
    return [
        {
            "kind": "antibody",
            "what": name,
            **{q: errors(p[f"two_pore_{q}"]) for q in ("auc", "cmax")},
        }
        for name, p in table.groupby("antibody", sort=False)
    ]


def cells(e: dict) -> list[str]:
    if not e["n"]:
        return ["-"] * 3
    return [
        f"{e['afe']:.2f}",
        f"{e['aafe']:.2f}",
        f"{round(e['within_2_fold'] * e['n'])} of {e['n']}",
    ]


def table(head: str, lines: list[list[str]]) -> list[str]:
    return [
        f"| {head} |",
        "| --- " * (head.count("|") + 1) + "|",
        *("| " + " | ".join(x) + " |" for x in lines),
        "",
    ]


def number(x) -> str:
    return "-" if x is None or not np.isfinite(x) else f"{x:.2f}"


def report(rows: list[dict]) -> list[str]:
    of = lambda kind: [r for r in rows if r["kind"] == kind]
    three = "AUC: AFE | AAFE | within 2-fold | Cmax: AFE | AAFE | within 2-fold"
    drugs = {r["what"] for r in of("compound")}
    text = [
        "# Compounds, interactions, children, antibodies: predicted over observed",
        "",
        f"{len(drugs)} compounds, {len({r['what'] for r in of('compound') if r['route'] == 'oral'})} of them with oral doses, {len(of('interaction'))} "
        "interactions, children and antibodies; made by `python benchmarks/validation/overview.py`. AFE is 10^(mean of log10 ratio), "
        "AAFE 10^(mean of |log10 ratio|). Failures are included.",
        "",
        "![predicted over observed](results/overview.png)",
        "",
        "## Compounds",
        "",
        "The default basis of each drug was chosen on these profiles, so the table is optimistic. [README.md](README.md) has other bases and every drug. "
        "The last two columns are AAFE of all concentrations, here and as the source of most of these data reports it for its own model, which was "
        "fitted to part of them.",
        "",
    ]
    text += table(
        f"compound | route | {three} | concentrations: AAFE | source's own model",
        [
            [
                r["what"],
                r["route"],
                *cells(r["auc"]),
                *cells(r["cmax"]),
                number(r["concentration_aafe"]),
                number(r["source_aafe"]),
            ]
            for r in of("compound")
        ],
    )
    text += [
        "## Interactions",
        "",
        "Ratios of the victim's AUC and Cmax with the perpetrator over those without.",
        "",
    ]
    text += table(
        "victim, perpetrator | study | AUC ratio observed | predicted | predicted/observed | Cmax ratio observed | predicted | predicted/observed",
        [
            [
                r["what"],
                r["study"],
                *(
                    number(r[q][k])
                    for q in ("auc", "cmax")
                    for k in ("observed", "predicted", "ratio")
                ),
            ]
            for r in of("interaction")
        ],
    )
    for q, own in zip(("auc", "cmax"), SOURCE_INTERACTIONS, strict=True):
        e = errors(r[q]["ratio"] for r in of("interaction"))
        name = "AUC" if q == "auc" else "Cmax"
        text.append(
            f"{name} ratios: AFE {e['afe']:.2f}, AAFE {e['aafe']:.2f}, {round(e['within_2_fold'] * e['n'])} of {e['n']} within 2-fold; the source's own model "
            f"{own:.2f} over all its studies. All 81 studies: [interactions](../interactions/README.md)."
        )
        text.append("")
    head = "what | study | AUC [mg h/L] observed | predicted | ratio | Cmax [mg/L] observed | predicted | ratio"
    for kind, title in (
        ("interaction profile", "Both arms of one interaction"),
        ("child profile", "Children with itraconazole"),
    ):
        text += [f"## {title}", ""]
        text += table(
            head,
            [
                [
                    r["what"],
                    r["study"],
                    *(
                        f"{r[q][k]:.3g}"
                        for q in ("auc", "cmax")
                        for k in ("observed", "predicted", "ratio")
                    ),
                ]
                for r in of(kind)
            ],
        )
    text += [
        "![profiles](results/overview_profiles.png)",
        "",
        "## Children, clearance",
        "",
        "AUC from published clearances of individual children and groups; all of them: [children](../mechanisms/README.md).",
        "",
    ]
    text += table(
        "drug | AUC: AFE | AAFE | within 2-fold | source's own model",
        [[r["what"], *cells(r["auc"]), number(r["source_aafe"])] for r in of("children")],
    )
    text += [
        "## Antibodies",
        "",
        "By the two-pore model, nothing fitted: [antibody.md](antibody.md).",
        "",
    ]
    text += table(
        f"antibody | {three}",
        [[r["what"], *cells(r["auc"]), *cells(r["cmax"])] for r in of("antibody")],
    )
    return [
        *text,
        *(
            (HERE / "overview_reading.md").read_text().splitlines()
            if (HERE / "overview_reading.md").exists()
            else []
        ),
    ]


def label(row: dict) -> str:
    """What a row is about, for the axis."""
    if row["kind"] == "interaction":  # victim and its dose, perpetrator without its dose
        victim, perpetrator = row["what"].split(", ")[:2]
        return f"{victim}, {perpetrator.split(' ')[0]}"
    route = " " + row["route"] if "route" in row else ""
    return row["what"] + route + (" (children)" if row["kind"] == "children" else "")


def ends(value: dict) -> tuple[float, float, float] | None:
    """Bias or single ratio, and the ends of the AAFE about it; None where there is no ratio."""
    ratio = value.get("ratio", value.get("afe"))
    if ratio is None or not np.isfinite(ratio):
        return None
    fold = value["aafe"] if value.get("n", 1) > 1 else 1.0
    return ratio, ratio / fold, ratio * fold


def overview_picture(rows: list[dict]) -> None:
    """A point for each row, with its AAFE as a bar."""
    import matplotlib.pyplot as plt
    from pictures import BLUE, ORANGE, STYLE

    kinds = {
        "compound": (BLUE, "compounds"),
        "interaction": (ORANGE, "interactions: ratios"),
        "interaction profile": ("#E69F00", "interactions: profiles"),
        "children": ("#009E73", "children"),
        "antibody": ("#CC79A7", "antibodies"),
    }
    kinds["child profile"] = kinds["children"]
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    reached = np.array([e for r in rows for q in ("auc", "cmax") if (e := ends(r.get(q, {})))])
    low = max(t for t in ticks if t <= min(0.1, reached.min()))
    high = min(t for t in ticks if t >= max(10, reached.max()))
    ticks = [t for t in ticks if low <= t <= high]
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(
            1, 2, figsize=(9.5, 0.2 * len(rows) + 1.7), layout="constrained", sharey=True
        )
        for ax, q in zip(axes, ("auc", "cmax"), strict=True):
            ax.axvspan(0.5, 2, color="0.93", zorder=0)
            ax.axvline(1, color="0.6", lw=0.8)
            for y, r in enumerate(reversed(rows)):
                if (found := ends(r.get(q, {}))) is None:
                    continue
                ratio, lower, upper = found
                colour = kinds[r["kind"]][0]
                ax.plot(ratio, y, "o", color=colour, ms=5)
                ax.plot([lower, upper], [y, y], color=colour, lw=1)
            name = "AUC" if q == "auc" else "Cmax"
            ax.set(xscale="log", xlabel=f"predicted/observed {name}", xlim=(low, high))
            ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
            ax.minorticks_off()
        axes[0].set_yticks(range(len(rows)), [label(r) for r in reversed(rows)])
        axes[0].set_ylim(-0.7, len(rows) - 0.3)
        handles = [
            plt.Line2D([], [], marker="o", lw=1, ms=5, color=colour, label=text)
            for colour, text in dict.fromkeys(kinds.values())
        ]
        fig.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
        fig.suptitle(
            "points: bias or single ratio; bars: AAFE about it; grey: within 2-fold", fontsize=9
        )
        fig.savefig(RESULTS / "overview.png", dpi=130)
        plt.close(fig)


def profile_picture(panels: list[dict]) -> None:
    """Curves over observations, a panel for each profile."""
    import matplotlib.pyplot as plt
    from pictures import BLUE, STYLE, plain_log_axis

    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(2, 4, figsize=(11, 5), layout="constrained")
        for ax, p in zip(axes.flat, panels, strict=True):
            ax.semilogy(p["grid"], np.maximum(p["curve"], 1e-9), color=BLUE, lw=1.5)
            ax.semilogy(p["time"], p["value"], "o", color="black", ms=3.5)
            top = max(p["value"].max() * 5, p["curve"].max() * 2)
            ax.set(ylim=(p["value"].min() / 4, top), title=p["title"])
            plain_log_axis(ax.yaxis, subs=(1,))
            ax.text(
                0.98,
                0.96,
                p["study"],
                transform=ax.transAxes,
                ha="right",
                va="top",
                fontsize=7,
                color="0.35",
            )
        fig.supxlabel("time after dose [h]", fontsize=9)
        fig.supylabel("plasma [mg/L]", fontsize=9)
        fig.savefig(RESULTS / "overview_profiles.png", dpi=130)
        plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--keep",
        action="store_true",
        help="take the results of validate.py and antibody.py as they are",
    )
    if not parser.parse_args().keep:
        for script in ("validate.py", "antibody.py"):
            subprocess.run([sys.executable, str(HERE / script)], check=True)
    import pbpk_hybrid as ph

    warnings.simplefilter("ignore", ph.OutOfRangeWarning)
    rows = compounds() + interactions()
    more, panels = profiles()
    rows += more + children() + antibodies()
    (RESULTS / "overview.json").write_text(
        json.dumps(rows, indent=1, default=float).replace("NaN", "null") + "\n"
    )
    overview_picture(rows)
    profile_picture(panels)
    (HERE / "overview.md").write_text("\n".join(report(rows)).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
