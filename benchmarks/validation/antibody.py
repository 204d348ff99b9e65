"""Predicted against observed AUC and Cmax of antibodies in people.

    python benchmarks/validation/antibody.py

An IgG1 of which only the dose is known: the default `Antibody` (clearance 0.22 L/day, FcRn salvage 0.87, no target) in
the reference person, by the two-pore model of all organs and by the minimal model. Nothing is fitted. AUC covers the
sampling times without the intervals in which a dose falls; Cmax is the largest value at a sampling time. Both are computed
in the same way for observation and prediction, as in validate.py. Writes antibody.md, results/antibody.csv, results/antibody.png.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from validate import auc

import pbpk_hybrid as ph

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
MODELS = {"two_pore": "two-pore, all organs", "minimal": "minimal"}
IGG = ph.Antibody(name="IgG1")
#: antibody in tissue over plasma [%], whole tissue: Shah & Betts (2013) mAbs 5:297, table 1. All but brain,
#: pancreas and stomach (assumed, docs/assumptions.md) read in: public code, shahbetts.m; gut is their small intestine
TISSUES = {
    "adipose": 4.78,
    "bone": 7.27,
    "brain": 0.351,
    "gut": 5.22,
    "heart": 10.2,
    "kidney": 13.7,
    "liver": 12.1,
    "lung": 14.9,
    "muscle": 3.97,
    "pancreas": 6.4,
    "skin": 15.7,
    "spleen": 12.8,
    "stomach": 4.98,
}


def curves(regimen: ph.Regimen, times: np.ndarray, body) -> dict[str, np.ndarray]:
    """Plasma concentrations [mg/L] at `times` by both models."""
    systems = {
        "two_pore": ph.two_pore_system(IGG, body),
        "minimal": ph.antibody_system(IGG, float(body["body_weight"][0])),
    }
    out = {}
    for name, system in systems.items():
        ds = ph.simulate_system(system, regimen, times, compartments=["plasma"])
        out[name] = ds["concentration"].values[0, :, 0]
    return out


def typical() -> list[dict]:
    """Mean profiles of tefibazumab and CDA1, one a dose."""
    data = pd.read_csv(DATA / "osp_antibodies" / "antibodies.csv")
    infusions = pd.read_csv(DATA / "osp_antibodies" / "infusions.csv")
    body = ph.reference_individual("human")
    weight = float(body["body_weight"][0])
    out = []
    for (name, dose), p in data.groupby(["antibody", "dose_mg_per_kg"], sort=False):
        regimen = ph.Regimen.empty()
        given = infusions[(infusions["antibody"] == name) & (infusions["dose_mg_per_kg"] == dose)]
        for _, i in given.iterrows():
            regimen = regimen + ph.Regimen.infusion(
                i["amount_mg_per_kg"] * weight, i["duration_h"]
            ).shift(i["start_h"])
        out.append(
            {
                "antibody": name,
                "label": f"{dose:g} mg/kg",
                "regimen": regimen,
                "body": body,
                "doses": np.array([0.0]),
                "time": p["time_h"].to_numpy(),
                "value": p["concentration_mg_per_L"].to_numpy(),
            }
        )
    return out


def patients() -> list[dict]:
    """Nimotuzumab in women with breast cancer, one profile a patient; DV taken as the natural logarithm of mg/L."""
    data = pd.read_csv(DATA / "nlmixr2data" / "nimoData.csv.gz")
    out = []
    for number, p in data.groupby("ID"):
        regimen, doses = ph.Regimen.empty(), p[p["EVID"] == 1]
        for _, d in doses.iterrows():
            regimen = regimen + ph.Regimen.infusion(d["AMT"], d["AMT"] / d["RATE"]).shift(d["TIME"])
        seen = p[p["MDV"] == 0].drop_duplicates("TIME")
        out.append(
            {
                "antibody": "nimotuzumab",
                "label": f"patient {number}, {doses['AMT'].iloc[0]:g} mg weekly",
                "regimen": regimen,
                "body": ph.reference_individual("human", body_weight=float(p["WGT"].iloc[0])),
                "doses": doses["TIME"].to_numpy(),
                "time": seen["TIME"].to_numpy(),
                "value": np.exp(seen["DV"].to_numpy()),
            }
        )
    return out


def compare(profile: dict) -> dict:
    """A row: observed figures, and predicted/observed of each model."""
    t, c, doses = profile["time"], profile["value"], profile["doses"]
    row = {
        "antibody": profile["antibody"],
        "profile": profile["label"],
        "n": len(t),
        "observed_auc": auc(t, c, doses),
        "observed_cmax": c.max(),
    }
    for model, predicted in curves(profile["regimen"], t, profile["body"]).items():
        row[f"{model}_auc"] = auc(t, predicted, doses) / row["observed_auc"]
        row[f"{model}_cmax"] = predicted.max() / row["observed_cmax"]
    return row


def summary(rows: list[dict], model: str, quantity: str) -> str:
    ratio = np.log10([r[f"{model}_{quantity}"] for r in rows])
    within = np.sum(np.abs(ratio) <= np.log10(2))
    return f"{10 ** ratio.mean():.2f} | {10 ** np.abs(ratio).mean():.2f} | {within} of {len(rows)}"


def picture(profiles: list[dict], rows: list[dict]) -> None:
    import matplotlib.pyplot as plt
    from pictures import plain_log_axis

    shown = [p for p in profiles if p["antibody"] != "nimotuzumab"]
    figure, axes = plt.subplots(2, 4, figsize=(13, 6))
    for axis, p in zip(axes.flat, shown, strict=False):
        grid = np.unique(np.r_[np.geomspace(0.5, p["time"].max(), 120), p["time"]])
        for (model, values), style in zip(
            curves(p["regimen"], grid, p["body"]).items(), ("-", "--"), strict=True
        ):
            axis.semilogy(grid / 24, values, style, color="#0072B2", label=MODELS[model])
        axis.semilogy(p["time"] / 24, p["value"], "o", color="#D55E00", ms=4, label="observed")
        axis.set(title=f"{p['antibody']} {p['label']}", xlabel="time [day]", ylabel="plasma [mg/L]")
        plain_log_axis(axis.yaxis)
    axes.flat[0].legend(frameon=False, fontsize=8)
    last = axes.flat[-1]
    colours = {"tefibazumab": "#D55E00", "CDA1": "#009E73", "nimotuzumab": "#999999"}
    for name, colour in colours.items():
        mine = [r for r in rows if r["antibody"] == name]
        for quantity, mark in (("auc", "o"), ("cmax", "^")):
            ratio = [r[f"two_pore_{quantity}"] for r in mine]
            last.semilogy(
                [colours_index(colours, name)] * len(ratio), ratio, mark, color=colour, mfc="none"
            )
    last.axhspan(0.5, 2, color="0.93", zorder=0)
    last.axhline(1, color="0.6", lw=0.8)
    last.set(xticks=range(len(colours)), title="predicted/observed\n(circles AUC, triangles Cmax)")
    last.set_xticklabels(colours)
    last.set_xlim(-0.6, len(colours) - 0.4)
    last.set_yticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
    last.minorticks_off()
    figure.tight_layout()
    figure.savefig(HERE / "results" / "antibody.png", dpi=120)


def colours_index(colours: dict, name: str) -> int:
    return list(colours).index(name)


def tissues() -> list[str]:
    """Lines on the share of antibody in whole tissues two weeks after a dose."""
    names = ["plasma", *TISSUES]
    ds = ph.simulate_system(
        ph.two_pore_system(IGG, ph.reference_individual("human")),
        "100 mg iv",
        [0.0, 336.0],
        compartments=names,
    )
    c = dict(zip(names, ds["concentration"].values[0, -1], strict=True))
    lines = ["| organ | published [%] | two-pore [%] | ratio |", "| --- " * 4 + "|"]
    ratios = []
    for organ, published in TISSUES.items():
        predicted = 100 * c[organ] / c["plasma"]
        ratios.append(predicted / published)
        lines.append(f"| {organ} | {published:.3g} | {predicted:.3g} | {ratios[-1]:.2f} |")
    logs = np.abs(np.log10(ratios))
    return [
        *lines,
        "",
        f"AAFE {10 ** logs.mean():.2f}; {np.sum(logs <= np.log10(2))} of {len(ratios)} within 2-fold.",
    ]


def fragments() -> list[str]:
    """Lines on albumin and fragments, whose plasma curves follow from their size and the uptake by endosomes."""
    from pbpk_hybrid.models.large_molecules.two_pore import PROTEINS

    published = {
        "IgG1": "21 days",
        "albumin": "19 days",
        "Fab": "idarucizumab 68 L/day, 8.9 L, 10 h",
        "F(ab')2": "",
        "scFv": "",
    }
    lines = [
        "| protein | clearance [L/day] | volume at steady state [L] | terminal half-life | published |",
        "| --- " * 5 + "|",
    ]
    for name, protein in PROTEINS.items():
        end = 4000.0 if protein.salvage else 400.0
        t = np.r_[0.0, np.geomspace(1e-3, end, 600)]
        system = ph.two_pore_system(protein, ph.reference_individual("human"))
        c = ph.simulate_system(system, "100 mg iv", t, compartments=["plasma"])[
            "concentration"
        ].values[0, :, 0]
        keep = c > 1e-6 * c[1]
        t, c = t[keep], c[keep]
        rate = -np.polyfit(t[-40:], np.log(c[-40:]), 1)[0]
        area = np.trapezoid(c, t) + c[-1] / rate
        moment = np.trapezoid(c * t, t) + c[-1] * (t[-1] / rate + 1 / rate**2)
        half = np.log(2) / rate
        shown = f"{half / 24:.1f} days" if half > 48 else f"{half:.1f} h"
        lines.append(
            f"| {name} | {100 / area * 24:.3g} | {100 * moment / area**2:.2g} | {shown} | {published[name] or '-'} |"
        )
    return lines


def main() -> None:
    profiles = typical() + patients()
    rows = [compare(p) for p in profiles]
    (HERE / "results").mkdir(exist_ok=True)
    with (HERE / "results" / "antibody.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows
        )
    picture(profiles, rows)
    two = "AUC: geometric mean | AAFE | within 2-fold | Cmax: geometric mean | AAFE | within 2-fold"
    each = (
        "samples | AUC [mg h/L] | Cmax [mg/L] | AUC: two-pore | minimal | Cmax: two-pore | minimal"
    )
    lines = [
        "# Antibodies: predicted against observed",
        "",
        *__doc__.split("\n\n")[2].splitlines(),
        "",
    ]
    lines += ["Ratios are predicted/observed; AAFE is 10^(mean of |log10 ratio|).", ""]
    lines += [
        "![antibodies](results/antibody.png)",
        "",
        f"| antibody | model | {two} |",
        "| --- " * 8 + "|",
    ]
    for name in ("tefibazumab", "CDA1", "nimotuzumab"):
        mine = [r for r in rows if r["antibody"] == name]
        for model, label in MODELS.items():
            lines.append(
                f"| {name} | {label} | {summary(mine, model, 'auc')} | {summary(mine, model, 'cmax')} |"
            )
    lines += [
        "",
        *(HERE / "antibody_reading.md").read_text().splitlines(),
        "",
        "## Antibody in whole tissues",
        "",
    ]
    lines += [
        "Over plasma, two weeks after a dose; published: Shah & Betts (2013); brain, pancreas and stomach assumed.",
        "",
        *tissues(),
        "",
    ]
    lines += [
        "## Other proteins",
        "",
        "By size alone; the clearance of IgG1 and albumin is given. Published: idarucizumab by its US label (Fab), albumin in [two_pore.py](../../python/pbpk_hybrid/models/large_molecules/two_pore.py); IgG1 assumed.",
        "",
    ]
    lines += [*fragments(), "", "## Profile by profile", ""]
    lines += [f"| antibody | profile | {each} |", "| --- " * 9 + "|"]
    for r in rows:
        ratios = [
            f"{r[f'{model}_{quantity}']:.2f}" for quantity in ("auc", "cmax") for model in MODELS
        ]
        seen = [str(r["n"]), f"{r['observed_auc']:.4g}", f"{r['observed_cmax']:.4g}"]
        lines.append("| " + " | ".join([r["antibody"], r["profile"], *seen, *ratios]) + " |")
    (HERE / "antibody.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
