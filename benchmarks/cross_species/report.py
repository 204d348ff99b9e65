"""The results page and its pictures from the files that folds.py wrote: targets first, each met or MISSED.

python benchmarks/cross_species/report.py --folds build/cross_species
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from folds import SOURCES, TARGETS, VARIANTS

from pbpk_hybrid._core.errors import OutOfRangeWarning
from pbpk_hybrid.learn.allometry import NeuralAllometry, baselines, load_table
from pbpk_hybrid.learn.allometry.bodies import KNOT_SPECIES, WEIGHT, Bodies
from pbpk_hybrid.learn.allometry.data import N_FOLDS, PARAMETERS
from pbpk_hybrid.learn.allometry.encoder import states
from pbpk_hybrid.learn.allometry.law import HUMAN, N_DESCRIPTORS, Compounds
from pbpk_hybrid.learn.allometry.readout import as_tensor
from pbpk_hybrid.learn.allometry.training import posterior_at
from pbpk_hybrid.models import scaling

RESULTS = Path(__file__).resolve().parent / "results"
MODEL = "shipped"
LABELS = {
    "shipped": "**shipped law** (no graph, one step)",
    "ode": "+ ODE",
    "graph": "+ ODE + organ graph",
    "graph, no messages": "+ ODE + organs without messages",
    "graph, one step": "+ organ graph, one step",
    "graph, shuffled": "+ ODE + organ graph of another species",
    "graph, pre-trained": "+ ODE + organ graph, pre-trained on 20,000 compounds of the engine",
    "table": "a table of species in place of the law",
}
SIGNS = {True: ">=", False: "<="}
BANDS = ((0.0, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.65), (0.65, 1.01))


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


def collect(folder: Path, n: int) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray, dict]:
    """variant -> set -> (n, 3, 2), NaN where a fold is missing; similarity; folds and seconds per variant."""
    out: dict[str, dict[str, np.ndarray]] = {}
    similarity, about = np.full(n, np.nan), {}
    for variant in VARIANTS:
        seconds = []
        for fold in range(N_FOLDS):
            path = folder / f"{variant}_{fold}.npz"
            if not path.exists():
                continue
            with np.load(path) as file:
                seconds.append(float(file["seconds"]))
                for key in file.files:
                    if key == "similarity":
                        similarity[file["rows"]] = file[key]
                    elif key not in ("rows", "seconds"):
                        part = out.setdefault(variant, {}).setdefault(
                            key, np.full((n, 3, 2), np.nan)
                        )
                        part[file["rows"]] = file[key]
        if seconds:
            about[variant] = {"folds": len(seconds), "cpu_seconds": float(np.mean(seconds))}
    return out, similarity, about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=Path, default=Path("build/cross_species"))
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", OutOfRangeWarning)  # of IVIVE, one per compound
    table = load_table()
    truth = states(table)
    found, similarity, about = collect(options.folds, len(table))
    record: dict = {"variants": about}
    body = []
    for p, parameter in enumerate(PARAMETERS[:2]):
        for sources, species in SOURCES.items():
            body += _set(table, truth, found, p, parameter, sources, species, record)
    body += _in_vitro(table, truth, found, record)
    body += _left_out(options.folds, table, truth, record)
    body += _pooled(table, truth, found, record)
    body += _coverage(table, truth, found, similarity, record)
    record["monotone"] = monotone()
    record["speed"] = speed()
    lines = [
        "# Human parameters across species: nested cross-validation by scaffold",
        "",
        f"{N_FOLDS} outer folds by Bemis-Murcko scaffold without bond orders, over both tables joined so that salts, charge states, "
        "stereoisomers and tautomers are one compound; settings are the package's defaults, which were set once and not tuned, but for "
        "the organ graph, which an earlier draft was tried with and without on all folds (in brackets: folds 5 to 9 alone). AAFE = exp(mean |ln(pred/obs)|); 2x, 3x per cent within. Ratio: AAFE of the shipped law over "
        "that of the row on the same compounds with the 95 % interval of a paired bootstrap over compounds: below 1 throughout means "
        "better.",
        "",
        *targets(record),
        *body,
    ]
    (RESULTS / "cross_species.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "cross_species.json").write_text(json.dumps(record, indent=1) + "\n")
    picture(table, found, truth)
    print("\n".join(lines))


def targets(record: dict) -> list[str]:
    """What is to be reached, with what was."""
    value = lambda key, column: record.get(key, {}).get(MODEL, {}).get(column)
    rows = []
    for parameter, bounds in (("clearance", (2.0, 1.8, 1.7)), ("volume", (1.75, 1.65, 1.55))):
        for species, bound in zip(TARGETS, bounds, strict=True):
            key = f"{parameter} / without {species}"
            rows.append(
                (f"{species} {parameter}, species left out: AAFE", False, bound, value(key, "AAFE"))
            )
            worse = _not_better(record.get(key, {}))
            rows.append(
                (
                    f"{species} {parameter}, species left out: rows not beaten beyond doubt",
                    False,
                    0,
                    worse,
                )
            )
    rare = "rat, dog, monkey"
    rows += [
        (
            "human clearance from rat, dog, monkey: AAFE",
            False,
            1.70,
            value(f"clearance / {rare}", "AAFE"),
        ),
        (
            "human clearance from rat, dog, monkey: % within 2-fold",
            True,
            72,
            value(f"clearance / {rare}", "within_2"),
        ),
        (
            "human volume from rat, dog, monkey: AAFE",
            False,
            1.45,
            value(f"volume / {rare}", "AAFE"),
        ),
        ("human clearance from rat: AAFE", False, 2.00, value("clearance / rat", "AAFE")),
        ("human volume from rat: AAFE", False, 1.75, value("volume / rat", "AAFE")),
        (
            "human clearance from structure alone: AAFE (nested, not the external set)",
            False,
            2.45,
            value("clearance / none", "AAFE"),
        ),
        (
            "human clearance with measured fup and CLint, no animal: AAFE",
            False,
            2.1,
            value("clearance / fu and hepatocytes", "AAFE"),
        ),
        (
            "pooled comparison: ablations not beaten beyond doubt",
            False,
            0,
            record.get("pooled", {}).get("not_beaten"),
        ),
        (
            "90 % intervals cover (clearance and volume pooled) at least",
            True,
            87,
            record.get("coverage", {}).get("overall"),
        ),
        ("90 % intervals cover at most", False, 93, record.get("coverage", {}).get("overall")),
        (
            "smallest coverage of a band of similarity",
            True,
            80,
            record.get("coverage", {}).get("least"),
        ),
        (
            "random compounds whose clearance or volume falls with body weight, of 1,000",
            False,
            0,
            record["monotone"]["falling"],
        ),
        ("a prediction [ms of CPU]", False, 50, record["speed"]["prediction_ms"]),
        (
            "import and first prediction of the command [s of CPU]",
            False,
            3.0,
            record["speed"]["command_s"],
        ),
        ("human curves from curves of rat, mouse or dog: AUC within 2-fold [%]", True, 75, None),
    ]
    lines = ["| target | bound | reached | |", "|---|---|---|---|"]
    for words, larger, bound, reached in rows:
        good = None if reached is None else (reached >= bound if larger else reached <= bound)
        verdict = {None: "MISSED (not measured)", True: "met", False: "MISSED"}[good]
        shown = "" if reached is None else f"{reached:.4g}"
        lines.append(f"| {words} | {SIGNS[larger]} {bound:g} | {shown} | {verdict} |")
    return [*lines, ""]


def _not_better(rows: dict) -> int | None:
    """Rows that the shipped law is not better than beyond doubt."""
    ratios = [r["ratio"] for name, r in rows.items() if name != MODEL and "ratio" in r]
    return sum(r[2] >= 1 for r in ratios) if ratios else None


def _rows(
    methods: dict,
    observed: np.ndarray,
    heading: str,
    key: str,
    record: dict,
    folds: np.ndarray | None,
) -> list[str]:
    """A table of methods, name -> (prediction, half width or None), the shipped law first."""
    lines = [
        f"## {heading}",
        "",
        "| method | n | AAFE | AFE | 2x | 3x | 90 % covers | ratio (95 %) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    model, part = methods[MODEL][0], []
    # other laws are compared with the shipped one before it leans on the monkey
    alone = methods.get("shipped law, law alone", methods[MODEL])[0]
    for name, (mean, reach) in methods.items():
        s = scores(mean, observed, reach)
        if s["n"] < 5:
            continue
        if name != MODEL:
            s["ratio"] = paired_bootstrap(alone if name in VARIANTS else model, mean, observed)
        elif folds is not None:
            s["untouched"] = scores(np.where(folds >= 5, mean, np.nan), observed).get("AAFE")
        part.append((name, s))
    part.sort(key=lambda item: (item[0] != MODEL, item[1]["AAFE"]))
    for name, s in part:
        ratio = "{:.2f} ({:.2f}-{:.2f})".format(*s["ratio"]) if "ratio" in s else ""
        cover = f"{s['coverage_90']:.0f}" if "coverage_90" in s and name == MODEL else ""
        more = f" ({s['untouched']:.2f})" if s.get("untouched") else ""
        lines.append(
            f"| {LABELS.get(name, name)} | {s['n']} | {s['AAFE']:.2f}{more} | {s['AFE']:.2f} | {s['within_2']:.0f} | "
            f"{s['within_3']:.0f} | {cover} | {ratio} |"
        )
    record[key] = dict(part)
    return [*lines, ""]


def _set(table, truth, found, p, parameter, sources, species, record) -> list[str]:
    everywhere = table.has(parameter, [*species, "human"])
    observed = np.where(everywhere, truth[:, HUMAN, p], np.nan)
    methods = {
        v: (k[sources][:, p, 0], k[sources][:, p, 1]) for v, k in found.items() if sources in k
    }
    if MODEL not in methods:
        return []
    for note in ("law alone", "no human fu", "no structure"):
        key = f"{sources} | {note}"
        if key in found[MODEL]:
            methods[f"shipped law, {note}"] = (found[MODEL][key][:, p, 0], None)
    methods |= {k: (v, None) for k, v in baselines.classical(table, parameter, species).items()}
    if not species:
        constant = np.where(np.isfinite(observed), np.nanmean(observed), np.nan)
        methods["constant (log mean)"] = (constant, None)
    return _rows(
        methods,
        observed,
        f"Human {parameter} from {sources if species else 'structure'}",
        f"{parameter} / {sources}",
        record,
        table.folds,
    )


def _in_vitro(table, truth, found, record) -> list[str]:
    """Measured unbound fraction and clearance by hepatocytes, no animal."""
    key, lines = "fu and hepatocytes", []
    for p, parameter in enumerate(PARAMETERS[:2]):
        known = np.isfinite(truth[:, HUMAN, [p, 2, 3]]).all(1)
        observed = np.where(known, truth[:, HUMAN, p], np.nan)
        methods = {v: (k[key][:, p, 0], k[key][:, p, 1]) for v, k in found.items()}
        methods["structure alone"] = (found[MODEL]["none"][:, p, 0], None)
        methods["IVIVE + PBPK from in-vitro data"] = (baselines.ivive(table, parameter), None)
        words = f"Human {parameter} from measured fup and hepatocytes, no animal"
        lines += _rows(methods, observed, words, f"{parameter} / {key}", record, table.folds)
    return lines


def _left_out(folder: Path, table, truth, record) -> list[str]:
    """Species that no training compound had."""
    lines = []
    for species in (*TARGETS, "human"):
        paths = {v: folder / f"without {species} {v}.npz" for v in VARIANTS}
        found = {v: np.load(path)["prediction"] for v, path in paths.items() if path.exists()}
        if MODEL not in found:
            continue
        others = [s for s in (*TARGETS, "human") if s != species]
        for p, parameter in enumerate(PARAMETERS[:2]):
            known = table.has(parameter, [*others, species])
            observed = np.where(known, truth[:, KNOT_SPECIES.index(species), p], np.nan)
            methods = {v: (f[:, p, 0], f[:, p, 1]) for v, f in found.items()}
            values = np.stack([table.parameter(parameter, o) for o in others], 1)
            weights = np.array([WEIGHT[o] for o in others])
            power = (0.75, 1.0)[p]
            fixed = scaling.fixed_exponent(values, weights, WEIGHT[species], power)
            methods[f"fixed exponent {power:g}"] = (np.log(fixed), None)
            words = f"{species} {parameter}, the species left out of training for all compounds, from {', '.join(others)}"
            lines += _rows(
                methods, observed, words, f"{parameter} / without {species}", record, None
            )
    return lines


def _pooled(table, truth, found, record) -> list[str]:
    """All sets of animals and both parameters together, by compounds."""
    lines = [
        "## Pooled comparison",
        "",
        "Mean |ln error| per compound over all sets of animals and both parameters.",
        "",
    ]
    lines += ["| variant | ratio (95 %) |", "|---|---|"]
    beaten, total = 0, 0
    for variant, sets in found.items():
        if variant == MODEL:
            continue
        mine, theirs = [], []
        for sources, species in SOURCES.items():
            if not species or species == ("monkey",):  # that set has no prediction of the law alone
                continue
            for p, parameter in enumerate(PARAMETERS[:2]):
                known = table.has(parameter, [*species, "human"])
                y = np.where(known, truth[:, HUMAN, p], np.nan)
                own = found[MODEL].get(f"{sources} | law alone", found[MODEL][sources])
                mine.append(np.abs(own[:, p, 0] - y))
                theirs.append(np.abs(sets[sources][:, p, 0] - y))
        some = np.isfinite(np.stack(theirs)).any(0) & np.isfinite(np.stack(mine)).any(0)
        one, other = (np.nanmean(np.stack(v)[:, some], 0) for v in (mine, theirs))
        zero = np.zeros(len(one))
        ratio = paired_bootstrap(one, other, zero)
        record.setdefault("pooled", {})[variant] = ratio
        total, beaten = total + 1, beaten + (ratio[2] < 1)
        lines.append(f"| {LABELS[variant]} | {ratio[0]:.3f} ({ratio[1]:.3f}-{ratio[2]:.3f}) |")
    record.setdefault("pooled", {})["not_beaten"] = total - beaten
    return [*lines, ""]


def _coverage(table, truth, found, similarity, record) -> list[str]:
    """Of the 90 % intervals, overall and by similarity to the training compounds."""
    inside, near = [], []
    for sources, species in SOURCES.items():
        for p, parameter in enumerate(PARAMETERS[:2]):
            known = table.has(parameter, [*species, "human"])
            y = truth[:, HUMAN, p]
            mean, reach = found[MODEL][sources][:, p].T
            ok = known & np.isfinite(y + mean)
            inside.append((np.abs(mean - y) <= reach)[ok])
            near.append(similarity[ok])
    inside, near = np.concatenate(inside), np.concatenate(near)
    lines = ["## Coverage of the 90 % intervals by similarity to the nearest training compound", ""]
    lines += ["| similarity | n | covers |", "|---|---|---|"]
    least = []
    for low, high in BANDS:
        here = inside[(near >= low) & (near < high)]
        if len(here) >= 20:
            least.append(100 * here.mean())
            lines.append(f"| {low:g} to {min(high, 1):g} | {len(here)} | {least[-1]:.1f} |")
    overall = 100 * inside.mean()
    lines.append(f"| all | {len(inside)} | {overall:.1f} |")
    record["coverage"] = {"overall": overall, "least": min(least)}
    return [*lines, ""]


def monotone(n: int = 1000) -> dict[str, int]:
    """Random compounds whose clearance or volume falls somewhere with body weight, in any species."""
    law = NeuralAllometry.load()._law
    rng = np.random.default_rng(1)
    table = load_table()
    drawn = rng.integers(0, len(table), n)
    structure = rng.normal([2.0, 4.3, -1.8], [1.5, 1.2, 1.8], (n, 3))
    compounds = Compounds(
        as_tensor(structure),
        as_tensor(0.8 * rng.standard_normal((n, N_DESCRIPTORS))),
        as_tensor(table.features.composition[drawn]),
        as_tensor(rng.uniform(0.2, 0.9, n)),
        as_tensor(np.ones(n)),
    )
    falling = np.zeros(n, dtype=bool)
    for species, usual in WEIGHT.items():
        curve = []
        for ratio in (0.5, 0.7, 0.85, 1.0, 1.2, 1.6):
            at = Bodies.of([("rat", 0.25), ("dog", 10.0), (species, usual * ratio)])
            values = np.full((n, 3, 4), np.nan)
            values[:, 0, :2] = rng_values(1, n)
            values[:, 1, :2] = rng_values(2, n)
            keep = torch.tensor(np.isfinite(values))
            with torch.no_grad():
                curve.append(
                    posterior_at(law, compounds, at, as_tensor(values), keep).y[:, 2, :2].numpy()
                )
        falling |= (np.diff(np.stack(curve), axis=0) <= 0).any((0, 2))
    return {"compounds": n, "falling": int(falling.sum())}


def rng_values(seed: int, n: int) -> np.ndarray:
    """Random clearances and volumes of rat (1) and dog (2), natural logs."""
    rng = np.random.default_rng(seed)
    middle = ((-1.3, -1.2), (1.6, 2.5))[seed - 1]
    return rng.normal(middle, 1.0, (n, 2))


def speed() -> dict[str, float]:
    """CPU time of a prediction, and of the command in a fresh process; least of several."""
    model = NeuralAllometry.load()
    given = {"rat": {"clearance": 30.0, "volume": 1.5}, "monkey": {"clearance": 12.0}}
    times = []
    for i in range(8):
        start = time.process_time()
        model.predict("CC(=O)Nc1ccc(O)cc1" + "C" * i, given)
        times.append(time.process_time() - start)
    command = [sys.executable, "-m", "pbpk_hybrid", "scale", "--quiet"]
    command += ["-s", "rat: clearance=30 mL/min/kg", "--smiles", "CC(=O)Nc1ccc(O)cc1"]
    runs = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        runs.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return {"prediction_ms": 1000 * min(times), "command_s": min(runs)}


def picture(table, found, truth) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.4), layout="constrained")
    predicted = found[MODEL]["rat, dog, monkey"]
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
            truth[ok, HUMAN, p] - np.log(scale),
            predicted[ok, p, 0] - np.log(scale),
            predicted[ok, p, 1],
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
