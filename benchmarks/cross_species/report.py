"""Tables and pictures of the cross-species benchmark from the fold files that folds.py wrote.

python benchmarks/cross_species/report.py --folds build/cross_species
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from pbpk_hybrid.learn.allometry import baselines, load_table
from pbpk_hybrid.learn.allometry.bodies import KNOT_SPECIES
from pbpk_hybrid.learn.allometry.data import N_FOLDS, PARAMETERS
from pbpk_hybrid.learn.allometry.encoder import HUMAN, states

RESULTS = Path(__file__).resolve().parent / "results"
MODEL = "Neural Allometry"
LABELS = {
    "full": MODEL,
    "only_ode": "its integrating members alone",
    "no_ode": "organ graph without neural ODE (one-step members alone)",
    "no_graph": "neural ODE without the organ graph",
}
#: what the benchmark is to reach: parameter, sources, column, bound, whether larger is better
TARGETS = (
    ("clearance", "rat, dog, monkey", "AAFE", 1.75, False),
    ("clearance", "rat, dog, monkey", "within_2", 70.0, True),
    ("volume", "rat, dog, monkey", "AAFE", 1.55, False),
    ("volume", "rat, dog, monkey", "within_2", 80.0, True),
    ("clearance", "none", "AAFE", 2.4, False),
    ("volume", "none", "AAFE", 2.1, False),
)
SETS = {
    "none": (),
    "rat": ("rat",),
    "rat, dog": ("rat", "dog"),
    "rat, dog, monkey": ("rat", "dog", "monkey"),
}


def scores(
    predicted: np.ndarray, observed: np.ndarray, reach: np.ndarray | None = None
) -> dict[str, float]:
    """Columns of the table from natural logs: AAFE, AFE, shares within 2- and 3-fold, R2 on log, coverage, n."""
    ok = np.isfinite(predicted) & np.isfinite(observed)
    error, y = (predicted - observed)[ok], observed[ok]
    if not len(error):
        return {"n": 0}
    out = {
        "n": len(error),
        "AAFE": float(np.exp(np.abs(error).mean())),
        "AFE": float(np.exp(error.mean())),
        "within_2": float(100 * (np.abs(error) < np.log(2)).mean()),
        "within_3": float(100 * (np.abs(error) < np.log(3)).mean()),
        "R2": float(1 - (error**2).sum() / ((y - y.mean()) ** 2).sum()),
    }
    if reach is not None and np.isfinite(reach).any():
        out["coverage_90"] = float(100 * (np.abs(error) <= reach[ok]).mean())
    return out


def paired_bootstrap(
    one: np.ndarray, other: np.ndarray, observed: np.ndarray, n: int = 4000
) -> tuple[float, float, float]:
    """Ratio of the AAFE of `one` to that of `other` on the compounds both predict: estimate and 95 % interval over
    compounds.
    """
    ok = np.isfinite(one) & np.isfinite(other) & np.isfinite(observed)
    gain = np.abs(one - observed)[ok] - np.abs(other - observed)[ok]
    draws = np.random.default_rng(1).integers(0, len(gain), (n, len(gain)))
    means = np.exp(gain[draws].mean(1))
    return (
        float(np.exp(gain.mean())),
        float(np.quantile(means, 0.025)),
        float(np.quantile(means, 0.975)),
    )


def collect(folder: Path, n: int) -> tuple[dict[str, np.ndarray], float]:
    """name -> (n, 3, 2) over all folds, NaN where a fold is missing; and the mean seconds of a fold of the full model."""
    out: dict[str, np.ndarray] = {}
    seconds = []
    for variant in ("full", "only_ode", "no_ode", "no_graph", "trees"):
        for fold in range(N_FOLDS):
            path = folder / f"{variant}_{fold}.npz"
            if not path.exists():
                continue
            with np.load(path) as file:
                if variant == "full":
                    seconds.append(float(file["seconds"]))
                for key in file.files:
                    if key in ("rows", "seconds"):
                        continue
                    label = _label(variant, key)
                    out.setdefault(label, np.full((n, 3, 2), np.nan))[file["rows"]] = file[key]
    return out, float(np.mean(seconds)) if seconds else np.nan


def _label(variant: str, key: str) -> str:
    if variant == "trees":
        learner, sources = key.split(" | ")
        return f"{sources} / {learner}"
    name = LABELS[variant]
    sources, _, note = key.partition(" | ")
    return f"{sources} / {name}{', ' + note if note else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=Path, default=Path("build/cross_species"))
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    table = load_table()
    truth = states(table)[:, HUMAN]
    found, seconds = collect(options.folds, len(table))
    lines = [
        "# Human parameters across species: nested cross-validation by scaffold",
        "",
        f"{N_FOLDS} outer folds by Bemis-Murcko scaffold over both tables; stacking and calibration on inner scaffold folds. "
        f"Mean time of an outer fold {seconds:.0f} s on one core of a busy machine. AAFE = exp(mean |ln(pred/obs)|), AFE its signed "
        "counterpart; 2x, 3x per cent within; coverage of 90 % intervals. Ratio: AAFE of the full model "
        "over that of the row on the "
        "same compounds, with the 95 % interval of a paired bootstrap over compounds: below 1 throughout means "
        "better.",
        "",
    ]
    record: dict = {}
    for p, parameter in enumerate(PARAMETERS[:2]):
        in_vitro = baselines.ivive(table, parameter)
        for sources, species in SETS.items():
            everywhere = table.has(parameter, [*species, "human"])
            rows = {
                k.split(" / ", 1)[1]: v[:, p]
                for k, v in found.items()
                if k.split(" / ", 1)[0] == sources
            }
            if MODEL not in rows:
                continue
            model = rows[MODEL][:, 0]
            methods = {k: (v[:, 0], v[:, 1]) for k, v in rows.items()}
            methods |= {
                k: (v, None) for k, v in baselines.classical(table, parameter, species).items()
            }
            methods["IVIVE + PBPK from in-vitro data"] = (in_vitro, None)
            if not species:
                methods["constant (log mean)"] = (
                    np.where(np.isfinite(truth[:, p]), np.nanmean(truth[:, p]), np.nan),
                    None,
                )
            lines += [
                f"## Human {parameter} from {sources or 'structure'}",
                "",
                "| method | n | AAFE | AFE | 2x | 3x | R2 | 90 % covers | ratio (95 %) |",
                "|---|---|---|---|---|---|---|---|---|",
            ]
            observed = np.where(everywhere, truth[:, p], np.nan)
            part = []
            for name, (mean, reach) in methods.items():
                s = scores(mean, observed, reach)
                if s["n"] < 5:
                    continue
                if name != MODEL:
                    s["ratio"] = paired_bootstrap(model, mean, observed)
                part.append((name, s))
            part.sort(key=lambda item: (item[0] != MODEL, item[1]["AAFE"]))
            for name, s in part:
                ratio = "{:.2f} ({:.2f}-{:.2f})".format(*s["ratio"]) if "ratio" in s else ""
                cover = f"{s['coverage_90']:.0f}" if "coverage_90" in s else ""
                bold = "**" if name == MODEL else ""
                lines.append(
                    f"| {bold}{name}{bold} | {s['n']} | {s['AAFE']:.2f} | {s['AFE']:.2f} | {s['within_2']:.0f} | "
                    f"{s['within_3']:.0f} | {s['R2']:.2f} | {cover} | {ratio} |"
                )
            lines.append("")
            record[f"{parameter} / {sources}"] = dict(part)
    lines[4:4] = summary(record)
    lines += other_species(table, found, record)
    lines += pooled_coverage(table, found, truth, record)
    (RESULTS / "cross_species.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "cross_species.json").write_text(json.dumps(record, indent=1) + "\n")
    picture(table, found, truth)
    print("\n".join(lines))


def summary(record) -> list[str]:
    """Targets with their figures, and which baselines the paired bootstrap cannot tell from the model."""
    lines = ["| target | reached | |", "|---|---|---|"]
    for parameter, sources, column, bound, larger in TARGETS:
        found = record.get(f"{parameter} / {sources}", {}).get(MODEL)
        if found:
            sign, good = (
                (">=", found[column] >= bound) if larger else ("<=", found[column] <= bound)
            )
            lines.append(
                f"| human {parameter} from {sources}: {column} {sign} {bound:g} | {found[column]:.{3 if column == 'AAFE' else 1}f} | {'met' if good else '**missed**'} |"
            )
    lines += [
        "",
        "Baselines that the model is not better than beyond doubt (the interval of the ratio reaches 1), of those that cover half of "
        "its compounds or more; variants of the model itself are left out:",
        "",
    ]
    for key, rows in record.items():
        n = rows[MODEL]["n"]
        names = [
            f"{k} ({r['ratio'][0]:.2f}, to {r['ratio'][2]:.2f})"
            for k, r in rows.items()
            if "ratio" in r
            and r["ratio"][2] >= 1
            and r["n"] >= n / 2
            and not k.startswith((MODEL, *LABELS.values()))
        ]
        lines.append(f"- {key}: {', '.join(names) or 'none'}")
    return [*lines, ""]


def other_species(table, found, record) -> list[str]:
    """Targets other than man."""
    lines = [
        "## Other targets (sources: all the other species, man included)",
        "",
        "| target | parameter | n | AAFE | AFE | 2x | 3x | R2 | best classical (all sources) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for target in ("rat", "dog", "monkey"):
        key = next((k for k in found if k == f"to {target} / {MODEL}"), None)
        if key is None:
            continue
        true = states(table)[:, KNOT_SPECIES.index(target)]
        others = [s for s in ("rat", "dog", "monkey", "human") if s != target]
        for p, parameter in enumerate(PARAMETERS[:2]):
            ok = table.has(parameter, [*others, target])
            s = scores(found[key][:, p, 0], np.where(ok, true[:, p], np.nan), found[key][:, p, 1])
            values = np.stack([table.parameter(parameter, o) for o in others], 1)
            weights = np.array([table.weights[table.species.index(o)] for o in others])
            from pbpk_hybrid.models import scaling

            simple = np.log(
                scaling.fixed_exponent(
                    values,
                    weights,
                    table.weights[table.species.index(target)],
                    0.75 if p == 0 else 1.0,
                )
            )
            c = scores(simple, np.where(ok, true[:, p], np.nan))
            lines.append(
                f"| {target} | {parameter} | {s['n']} | {s['AAFE']:.2f} | {s['AFE']:.2f} | {s['within_2']:.0f} | {s['within_3']:.0f} | "
                f"{s['R2']:.2f} | fixed exponent {c['AAFE']:.2f}, {c['within_2']:.0f} % |"
            )
            record[f"{parameter} / to {target}"] = {MODEL: s, "fixed exponent": c}
    return [*lines, ""]


def pooled_coverage(table, found, truth, record) -> list[str]:
    lines = [
        "## Coverage of the 90 % intervals, all compounds with the sources",
        "",
        "| sources | clearance | volume | n |",
        "|---|---|---|---|",
    ]
    for sources, species in SETS.items():
        key = f"{sources} / {MODEL}"
        if key not in found:
            continue
        cells, n = [], 0
        for p, parameter in enumerate(PARAMETERS[:2]):
            ok = table.has(parameter, [*species, "human"])
            s = scores(found[key][:, p, 0], np.where(ok, truth[:, p], np.nan), found[key][:, p, 1])
            cells.append(f"{s['coverage_90']:.1f}")
            n = s["n"]
            record[f"coverage {parameter} / {sources}"] = s["coverage_90"]
        lines.append(f"| {sources} | {cells[0]} | {cells[1]} | {n} |")
    return [*lines, ""]


def picture(table, found, truth) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.4), layout="constrained")
    key = f"rat, dog, monkey / {MODEL}"
    if key not in found:
        return
    for p, (axis, parameter, unit, scale) in enumerate(
        zip(
            figure.subplots(1, 2),
            PARAMETERS[:2],
            ("mL/min/kg", "L/kg"),
            (0.06 * 70, 70.0),
            strict=True,
        )
    ):
        ok = table.has(parameter, ["rat", "dog", "monkey", "human"])
        o, m, r = (
            truth[ok, p] - np.log(scale),
            found[key][ok, p, 0] - np.log(scale),
            found[key][ok, p, 1],
        )
        axis.errorbar(
            np.exp(o),
            np.exp(m),
            yerr=[np.exp(m) - np.exp(m - r), np.exp(m + r) - np.exp(m)],
            fmt="o",
            ms=4,
            lw=0.5,
            alpha=0.7,
        )
        line = np.array([o.min() - 0.5, o.max() + 0.5])
        axis.fill_between(
            np.exp(line),
            np.exp(line) / 2,
            np.exp(line) * 2,
            alpha=0.15,
            color="grey",
            label="within 2-fold",
        )
        axis.plot(np.exp(line), np.exp(line), color="black", lw=0.8)
        axis.set(
            xscale="log",
            yscale="log",
            xlabel=f"observed [{unit}]",
            ylabel=f"predicted from rat, dog, monkey [{unit}]",
            title=f"human {parameter}, {int(ok.sum())} compounds, out of fold",
        )
        axis.legend(loc="upper left")
    figure.savefig(RESULTS / "predicted_observed.png", dpi=130)


if __name__ == "__main__":
    main()
