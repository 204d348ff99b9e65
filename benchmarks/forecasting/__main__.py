"""How well are concentrations forecast from the first samples of a patient?

    python benchmarks/forecasting [--checkpoint FILE] [--studies theophylline warfarin ...] [--name real_data]

Real data: every study's individuals; the first 1, 2, 3, 5 samples are shown, all later ones are scored, on natural
logarithms.
"Zero-shot" knows doses, body weight, age, sex and height, nothing of the compound; "with context" also sees the whole
profiles of
five other patients of the study; "with compound" also the compound's entry in the database, where it has one. The
two-compartment MAP fit takes its prior from the same study, the patient to be forecast included.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from baselines import MapForecaster, last_value, log_linear  # noqa: E402
from scipy.stats import norm  # noqa: E402
from scores import COLUMNS, mixture_crps, table_row  # noqa: E402
from studies import CLASSIC, mavoglurant, osp  # noqa: E402

from pbpk_hybrid.compounds import get_compound  # noqa: E402
from pbpk_hybrid.learn.transformer import Forecaster  # noqa: E402
from pbpk_hybrid.learn.transformer._anchor import anchors, describe  # noqa: E402
from pbpk_hybrid.learn.transformer._features import prepare  # noqa: E402
from pbpk_hybrid.learn.transformer._patients import collate, read_patients  # noqa: E402

RESULTS = HERE.parent / "results"
LEVELS = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
SHOWN = (1, 2, 3, 5)


def first(patient, n: int):
    """The patient with the first n samples."""
    anchor = None if patient.anchor is None else patient.anchor[:n]
    return replace(patient, time=patient.time[:n], value=patient.value[:n], censored=patient.censored[:n],
                   site=patient.site[:n], anchor=anchor)  # fmt: skip


class Points:
    """Scored points of one contender: ln true, quantiles, CRPS."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.seconds, self.patients = 0.0, 0

    def row(self) -> dict[str, float]:
        r = np.concatenate(self.rows)
        out = table_row(r[:, 0], r[:, 3], r[:, 2], r[:, 4], r[:, 1], r[:, 5], r[:, 6])
        return {**out, "ms_per_patient": 1e3 * self.seconds / self.patients}


def by_network(model: Forecaster, patients, shown: list[int], others=None) -> Points:
    """Forecast all patients at once; what is asked for differs between them, so it is padded."""
    points = Points()
    who = [(p, n) for p, n in zip(patients, shown, strict=True) if len(p.time) > n]
    if not who:
        return points
    most = max(len(p.time) - n for p, n in who)
    start = time.perf_counter()
    asked = np.stack([np.pad(p.time[n:], (0, most - len(p.time) + n), mode="edge") for p, n in who])
    known = None
    if who[0][0].anchor is not None:
        known = np.stack([np.pad(p.anchor[n:], (0, most - len(p.time) + n), mode="edge") for p, n in who])[..., None]
    batch = collate([first(p, n) for p, n in who], asked, [0], known)
    if others is not None:
        rows = [[i for i, o in enumerate(others) if o.label != p.label][:5] for p, _ in who]
        batch.context_batch = collate(others, np.zeros(0), [0], None)
        batch.context = np.array([r + [-1] * (5 - len(r)) for r in rows])
    mixture = model.mixture(batch)
    with torch.no_grad():
        q = mixture.quantiles(LEVELS).numpy()
    points.seconds, points.patients = time.perf_counter() - start, len(who)
    scale = prepare(batch).log_scale.numpy()
    for i, (p, n) in enumerate(who):
        m = len(p.time) - n
        y = np.log(p.value[n:])
        w, mu, sd = (a[i, :m].numpy() for a in (mixture.log_weight.exp(), mixture.mean, mixture.log_sd.exp()))
        points.rows.append(np.c_[y, q[i, :m] + scale[i], mixture_crps(w, mu + scale[i], sd, y)])
    return points


def by_baseline(predict, patients, shown: list[int]) -> Points:
    points = Points()
    z = norm.ppf(LEVELS.numpy())
    for p, n in zip(patients, shown, strict=True):
        if len(p.time) <= n:
            continue
        start = time.perf_counter()
        median, sd = predict(p, n, p.time[n:])
        points.seconds += time.perf_counter() - start
        points.patients += 1
        y = np.log(p.value[n:])
        crps = np.full(y.shape, np.nan)
        if np.isfinite(sd).all():
            crps = mixture_crps(np.ones((len(y), 1)), median[:, None], sd[:, None], y)
        points.rows.append(np.c_[y, median[:, None] + np.where(np.isnan(sd), 0.0, sd)[:, None] * z, crps])
        if np.isnan(sd).any():
            points.rows[-1][:, [1, 2, 4, 5]] = np.nan
    return points


def evaluate(model: Forecaster, study, cuts: dict[str, object]) -> list[dict]:
    """Rows of all contenders for one study."""
    patients, _ = read_patients(study.observation, study.regimen, study.physiology)
    patients = [p for p in patients if len(p.time)]
    fitted = MapForecaster(patients)
    told = None
    if study.compound is not None:
        compound = get_compound(study.compound)
        told, _ = read_patients(study.observation, study.regimen, study.physiology)
        for p in told:
            p.descriptors = describe(compound, p.species)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = anchors(compound, told, study.regimen, study.physiology, np.array([p.doses.first for p in told[:1]]),
            [0])
        told = [p for p in told if len(p.time)] if found is not None else None
    out = []
    for label, cut in cuts.items():
        shown = [cut if isinstance(cut, int) else int((p.time <= cut).sum()) for p in patients]
        rows = {
            "forecaster, zero-shot": by_network(model, patients, shown),
            "forecaster, with context": by_network(model, patients, shown, patients[:6]),
            "2-compartment MAP": by_baseline(fitted, patients, shown),
            "log-linear": by_baseline(log_linear, patients, shown),
            "last value": by_baseline(last_value, patients, shown),
        }
        if told is not None:
            rows["forecaster, with compound"] = by_network(model, told, shown)
        out += [{"study": study.name, "shown": label, "contender": who, **p.row()} for who, p in rows.items() if p.rows]
    return out


def markdown(rows: list[dict]) -> str:
    """One table per study."""
    lines = []
    columns = [*COLUMNS, "ms_per_patient"]
    for study in dict.fromkeys(r["study"] for r in rows):
        lines += [f"\n### {study}\n", "| shown | contender | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns)
        + 2)]
        for r in rows:
            if r["study"] == study:
                cells = ["" if isinstance(r[c], float) and np.isnan(r[c]) else f"{r[c]:.3g}" for c in columns]
                lines.append(f"| {r['shown']} | {r['contender']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--studies", nargs="*", default=[*CLASSIC, "osp"])
    parser.add_argument("--name", default="forecasting_real")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = Forecaster.load(args.checkpoint)
    cuts = {str(n): n for n in SHOWN}
    rows: list[dict] = []
    for name in args.studies:
        if name == "osp":
            merged: list[dict] = []
            for study in osp():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    merged += evaluate(model, study, cuts)
            rows += merged
        else:
            study = CLASSIC[name]()
            rows += evaluate(model, study, cuts)
            if name == "mavoglurant":
                rows += evaluate(model, study, {"up to 2 h": 2.0})
                everyone = mavoglurant(single_occasion=False)
                everyone.name = "mavoglurant, first occasion of all"
                rows += evaluate(model, everyone, {"up to 2 h": 2.0})
        print(name, flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{args.name}.json").write_text(json.dumps(rows, indent=1))
    title = "# Forecasts of real patients from their first samples\n\n"
    text = title + __doc__.split("\n\n")[2] + "\n" + markdown(rows) + "\n"
    (RESULTS / f"{args.name}.md").write_text(text)


if __name__ == "__main__":
    main()
