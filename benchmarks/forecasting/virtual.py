"""Forecasts of held-out virtual patients, against the oracle: the true mechanistic model with the true prior.

    python benchmarks/forecasting/virtual.py [--checkpoint FILE] [--gru FILE] [--latent-ode FILE] [--patients 1536]

Compounds are drawn in seven species, near rows of the compound table that are held out from the corpus. The networks get
the exact properties of the compound, as the oracle does. Curves are those of the whole-body model without further deviation;
samples have log-normal errors. The oracle (oracle.py) is the true model: it fits ln factors on six parameters (CLint, renal
clearance, fraction unbound, absorption rate, fraction absorbed, all Kp together) with their true variances and the true
error, by Gauss-Newton on the engine's sensitivities. It is run on all patients of a part at once, and on some with one call
of ``fit`` each, as a clinic would. The two-compartment MAP fit (virtual_map.py) gets the compound's typical curve, as the
networks do: its prior is centred on two compartments that describe this curve, and its covariance is that of whole-body
patients of the training compounds. The simple rules use the samples only. GRU and latent ODE (recurrent.py) are of similar
size and were trained on fewer patients than the forecaster's 4,500 and 6,500 steps of 256 (see below). All species were in
training; for held-out species see forecasting_species.md. Times are CPU times per patient: of the oracle and the networks
in a batch of 128, of the fits one by one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
import torch
import xarray as xr
from baselines import last_value, log_linear
from oracle import Oracle, fit_one
from plots import against_samples, calibration
from recurrent import Recurrent
from scipy.special import ndtr
from scores import mixture_crps, table_row
from virtual_map import VirtualMap, doses_of

from pbpk_hybrid import Regimen
from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions, Forecaster
from pbpk_hybrid.learn.transformer.batch import DESCRIPTORS, SITES
from pbpk_hybrid.learn.transformer.corpus import Part
from pbpk_hybrid.learn.transformer.corpus_designs import GRID
from pbpk_hybrid.learn.transformer.data import Patient
from pbpk_hybrid.learn.transformer.features import prepare
from pbpk_hybrid.physiology import SPECIES

RESULTS = HERE.parent / "results"
LEVELS = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
#: contender fitted to one patient at a time
SINGLE_FIT = "oracle, one fit per patient"


class Scores:
    """Scored points by number of samples and contender; seconds by contender."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, str], list[np.ndarray]] = {}
        self.seconds: dict[str, list[float]] = {}
        self.errors: list[
            np.ndarray
        ] = []  # of the oracle fitted one patient at a time, and all at once

    def add(self, who: str, count, ask, y, quantiles, crps, pit) -> None:
        for n in (0, 1, 2, 3, 5):
            rows = ask & (count == n)[:, None]
            if rows.any():
                self.rows.setdefault((n, who), []).append(
                    np.c_[y[rows], quantiles[rows], crps[rows], pit[rows]]
                )

    def table(self, case: str) -> list[dict]:
        out = []
        for (n, who), parts in sorted(self.rows.items()):
            r = np.concatenate(parts)
            row = table_row(r[:, 0], r[:, 3], r[:, 2], r[:, 4], r[:, 1], r[:, 5], r[:, 6])
            seconds = np.mean(self.seconds[who]) if who in self.seconds else np.nan
            out.append(
                {
                    "case": case,
                    "samples": n,
                    "contender": who,
                    **row,
                    "ms_per_patient": 1e3 * seconds,
                }
            )
        return out


def scored(
    networks: dict,
    part: Part,
    scores: Scores,
    fits: VirtualMap | None = None,
    single: int = 0,
    oracle: bool = True,
) -> None:
    """Points of all contenders for one part; all are scored on the same points.

    Parameters
    ----------
    fits : the two-compartment fit, where those that go patient by patient are wanted
    single : so many patients with three samples are also fitted one at a time by the oracle
    """
    b = part.batch
    # values below the limit of quantification do not count as samples: the simplest baselines cannot use them
    seen = b.obs_mask & ~b.obs_censored
    count = np.where((b.obs_mask == seen).all(axis=1), seen.sum(axis=1), -1)
    z = torch.special.ndtri(LEVELS).numpy()
    y = np.log(b.query_value)
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = np.log(b.query_reference)
    ask = b.query_mask & ~b.query_censored & (b.query_site == SITES.index("plasma"))
    ask &= np.isfinite(typical) & (y > y.max(axis=1, keepdims=True) - 9.0)
    none = np.full(y.shape, np.nan)
    if oracle:
        best = Oracle(part)
        start = time.process_time()
        median, sd = best.fit()
        scores.seconds.setdefault("oracle", []).append((time.process_time() - start) / len(b))
        crps = mixture_crps(np.ones((*y.shape, 1)), median[..., None], sd[..., None], y)
        scores.add(
            "oracle",
            count,
            ask,
            y,
            median[..., None] + sd[..., None] * z,
            crps,
            ndtr((y - median) / sd),
        )
    only = np.where(np.abs(z) < 1e-9, 1.0, np.nan)
    scores.add("typical mechanistic curve", count, ask, y, typical[..., None] * only, none, none)
    for name, model in networks.items():
        start = time.process_time()
        mixture = model.mixture(b)
        with torch.no_grad():
            q = mixture.quantiles(LEVELS).numpy()
        scores.seconds.setdefault(name, []).append((time.process_time() - start) / len(b))
        scale = prepare(b).log_scale.numpy()[:, None]
        w, mu, spread = (
            a.numpy() for a in (mixture.log_weight.exp(), mixture.mean, mixture.log_sd.exp())
        )
        crps = mixture_crps(w, mu + scale[..., None], spread, y)
        pit = (w * ndtr((y[..., None] - scale[..., None] - mu) / spread)).sum(axis=-1)
        scores.add(name, count, ask, y, q + scale[..., None], crps, pit)
    if single:
        _single(part, count, ask, y, median, networks, scores, single)
    if fits is not None:
        typical = best.curves(np.zeros((len(b), 6)), slopes=False)[0][..., SITES.index("plasma")]
        _fits(part, typical, fits, count, ask, y, z, scores)


def _single(
    part: Part, count, ask, y, batch: np.ndarray, networks: dict, scores: Scores, most: int
) -> None:
    """One fit per patient, and the networks on one patient at a time."""
    rows = np.flatnonzero((count == 3) & ask.any(axis=1))[:most]
    for k, i in enumerate(rows):
        median, seconds = fit_one(part, i)
        if k == 0:  # what is compiled and loaded once is not the patient's
            median, seconds = fit_one(part, i)
        scores.seconds.setdefault(SINGLE_FIT, []).append(seconds)
        scores.errors.append(np.c_[(median - y[i])[ask[i]], (batch[i] - y[i])[ask[i]]])
        for name, model in networks.items():
            alone = part.batch.take(slice(i, i + 1))
            start = time.process_time()
            with torch.no_grad():
                model.mixture(alone).quantiles(LEVELS)
            scores.seconds.setdefault(f"{name}, one patient", []).append(
                time.process_time() - start
            )


def _fits(
    part: Part, typical: np.ndarray, fits: VirtualMap, count, ask, y, z, scores: Scores
) -> None:
    """Those that go patient by patient."""
    b = part.batch
    to_plasma = np.exp(b.descriptors[:, DESCRIPTORS.index("log_blood_to_plasma")])
    for name, predict in (
        ("2-compartment MAP", fits),
        ("log-linear", log_linear),
        ("last value", last_value),
    ):
        median, sd = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        start = time.process_time()
        rows = np.flatnonzero(np.isin(count, (1, 2, 3, 5)) & ask.any(axis=1))
        for i in rows:
            sampled = b.obs_mask[i]
            value = b.obs_value[i, sampled] / np.where(
                b.obs_site[i, sampled] == SITES.index("blood"), to_plasma[i], 1.0
            )
            patient = Patient(
                "",
                doses_of(b, i),
                b.covariates[i],
                float(b.body_weight[i]),
                "",
                b.obs_time[i, sampled],
                value,
            )
            more = ((GRID * part.lengths[i], typical[i]),) if predict is fits else ()
            median[i], sd[i] = predict(patient, int(count[i]), b.query_time[i], *more)
            # what is scored is within nine e-folds of the highest value: no fit need say less
            median[i] = np.maximum(median[i], np.log(patient.value.max()) - 9.0)
        scores.seconds.setdefault(name, []).append(
            (time.process_time() - start) / max(len(rows), 1)
        )
        crps, pit = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        if np.isfinite(sd).any():
            crps = mixture_crps(np.ones((*y.shape, 1)), median[..., None], sd[..., None], y)
            pit = ndtr((y - median) / sd)
        spread = np.where(
            np.isnan(sd[..., None]), np.where(np.abs(z) < 1e-9, 0.0, np.nan), sd[..., None] * z
        )
        scores.add(name, count, ask & np.isfinite(median), y, median[..., None] + spread, crps, pit)


def throughput(model: Forecaster, patients: int = 2000, queries: int = 50) -> dict[str, float]:
    """Seconds for patients with three samples and five quantiles at every query, by the public method."""
    rng = np.random.default_rng(1)
    k = np.exp(rng.normal(-1.5, 0.7, patients))
    times = np.array([1.0, 3.0, 8.0])
    n = np.repeat(np.arange(patients), 3)
    observation = xr.Dataset(
        {
            "time": ("sample", np.tile(times, patients), {"units": "h"}),
            "value": ("sample", np.exp(-k[n] * np.tile(times, patients)), {"units": "mg/L"}),
            "matrix": ("sample", np.full(n.size, "plasma")),
            "subject": ("sample", n.astype(str)),
            "study": ("sample", np.full(n.size, "s")),
            "reference": ("sample", np.full(n.size, "r")),
        }
    )
    people = {
        "subject": [str(i) for i in range(patients)],
        "body_weight": rng.normal(75, 10, patients).clip(45).tolist(),
    }
    grid = np.linspace(9.0, 48.0, queries)
    out = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        best = [np.inf, np.inf]
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            model.forecast(observation, Regimen.bolus(100.0), people, times=grid)
            best = [
                min(best[0], time.perf_counter() - wall),
                min(best[1], time.process_time() - cpu),
            ]
        out[f"wall_{threads}"], out[f"cpu_{threads}"] = best
    torch.set_num_threads(1)
    return out


TRAINED = ("bolus", "infusion", "oral", "repeated")
SINGLE, REPEATED = "single doses", "repeated doses"
LOADING, MISSED = "loading dose (never trained on)", "missed doses (never trained on)"
ANIMALS = tuple(s for s in SPECIES if s != "human")
CASES = {
    SINGLE: (1, TRAINED, SPECIES),
    REPEATED: (8, TRAINED, SPECIES),
    LOADING: (8, (*TRAINED, "loading"), SPECIES),
    MISSED: (8, (*TRAINED, "missed"), SPECIES),
    "single doses, animals": (1, TRAINED, ANIMALS),
}


def single_fits(scores: Scores) -> dict[str, float]:
    """CPU ms per patient of those that went one by one (median), and the oracle's log-RMSE both ways on their points."""
    out = {who: 1e3 * float(np.median(s)) for who, s in scores.seconds.items() if "one " in who}
    alone, together = np.sqrt(np.mean(np.concatenate(scores.errors) ** 2, axis=0))
    return {
        **out,
        "log_rmse": float(alone),
        "log_rmse_batch": float(together),
        "patients": len(scores.errors),
    }


def targets(
    rows: list[dict], coverage: tuple[float, int], speed: dict[str, float], one: dict[str, float]
) -> list[str]:
    """Targets, met or missed."""
    of = {(r["case"], r["samples"], r["contender"]): r for r in rows}
    word = lambda good: "met" if good else "**MISSED**"
    rmse = lambda c, n, who: of[c, n, who]["log_rmse"]
    lines = ["| target | figure | |", "|---|---|---|"]
    mine, best = rmse(SINGLE, 3, "forecaster"), rmse(SINGLE, 3, "oracle")
    again, other = rmse(REPEATED, 3, "forecaster"), rmse(REPEATED, 3, "oracle")
    lines.append(
        f"| 3 samples: log-RMSE within 10 % of the oracle | single {mine:.3f} / {best:.3f} = {mine / best:.2f}, repeated "
        f"{again:.3f} / {other:.3f} = {again / other:.2f} | {word(max(mine / best, again / other) <= 1.1)} |"
    )
    ms = [of[SINGLE, 3, w]["ms_per_patient"] for w in ("oracle", "forecaster")]
    alone, mine_alone = one[SINGLE_FIT], one["forecaster, one patient"]
    lines.append(
        f"| 1,000 times faster per patient than the oracle | {ms[0]:.3g} / {ms[1]:.3g} ms = {ms[0] / ms[1]:.0f} times with "
        f"all patients of 128 at once in both; {alone:.3g} / {ms[1]:.3g} ms = {alone / ms[1]:.0f} times against one call of "
        f"fit per patient; {alone:.3g} / {mine_alone:.3g} ms = {alone / mine_alone:.0f} times with one patient at a time in "
        f"both (medians of {one['patients']:.0f} patients; log-RMSE of the oracle one by one {one['log_rmse']:.3f}, at once "
        f"{one['log_rmse_batch']:.3f}) | {word(ms[0] >= 1000 * ms[1])} / {word(alone >= 1000 * ms[1])} / "
        f"{word(alone >= 1000 * mine_alone)} |"
    )
    rivals = sorted({w for _, _, w in of} - {"oracle", "forecaster", "typical mechanistic curve"})
    worse = [
        f"{w} at {n} ({rmse(c, n, w):.2f} against {rmse(c, n, 'forecaster'):.2f}, {c})"
        for c in (SINGLE, REPEATED)
        for n in (1, 2, 3, 5)
        for w in rivals
        if (c, n, w) in of and rmse(c, n, w) <= rmse(c, n, "forecaster")
    ]
    lines.append(
        f"| better than {', '.join(rivals)} at every number of samples | {'; '.join(worse) or 'everywhere'} | "
        f"{word(not worse)} |"
    )

    def over(case: str) -> float:
        """log-RMSE over the oracle's, geometric mean over numbers of samples."""
        return float(
            np.exp(
                np.mean(
                    [
                        np.log(rmse(case, n, "forecaster") / rmse(case, n, "oracle"))
                        for n in (1, 2, 3, 5)
                    ]
                )
            )
        )

    loss = {c: over(c) / over(REPEATED) - 1 for c in (LOADING, MISSED)}
    figures = ", ".join(f"{c.split(' (')[0]} {100 * v:+.0f} %" for c, v in loss.items())
    lines.append(
        f"| regimens never trained on lose at most 15 % (log-RMSE over the oracle's, against repeated doses) | {figures}; "
        f"infusions were trained on | {word(max(loss.values()) <= 0.15)} |"
    )
    cover, points = coverage
    lines.append(
        f"| 90 % interval covers 87-93 % | {100 * cover:.1f} % of {points} points | {word(0.87 <= cover <= 0.93)} |"
    )
    lines.append(
        f"| 2,000 patients x 50 times in 1 s on two cores | wall {speed['wall_2']:.2f} s on two threads, "
        f"CPU {speed['cpu_1']:.2f} s on one | {word(speed['wall_2'] <= 1.0)} |"
    )
    return lines


def run(
    networks: dict, patients: int, alone: bool, single: int
) -> tuple[list[dict], dict, dict | None]:
    """Rows of all cases, where in their distributions values lie, and figures of those fitted one by one.

    `alone`: only the networks, which are then scored on the very same points.
    """
    rows: list[dict] = []
    pits: dict[str, list[np.ndarray]] = {}
    fits, one = None if alone else VirtualMap(), None
    for case, (doses, kinds, species) in CASES.items():
        corpus = Corpus(
            CorpusOptions(regimens=kinds, species=species, deviation=0.0, exact=True, split="test")
        )
        scores = Scores()
        for step in range(max(1, patients // 128)):
            part = corpus.part(np.random.default_rng([77, step]), 8, doses, 12, whole_body=True)
            few = single if case == SINGLE and step == 0 and not alone else 0
            scored(
                networks,
                part,
                scores,
                fits if case in (SINGLE, REPEATED) else None,
                few,
                oracle=not alone,
            )
        rows += [r for r in scores.table(case) if not alone or r["contender"] in networks]
        one = single_fits(scores) if scores.errors else one
        for (_, who), parts in scores.rows.items():
            if who in ("forecaster", "oracle"):
                pits.setdefault(who, []).extend(p[:, 7] for p in parts)
        print(case, flush=True)
    return rows, {who: np.concatenate(values) for who, values in pits.items()}, one


def report(name: str, kept: dict) -> None:
    """Markdown and the picture of errors from what is kept as JSON."""
    rows = sorted(
        kept["rows"], key=lambda r: (list(CASES).index(r["case"]), r["samples"], r["contender"])
    )
    against_samples(rows, "case", "samples", RESULTS / f"{name}_samples.png")
    head = list(rows[0])
    trained = [
        f"{who}: {steps} steps of {batch} patients"
        for who, (steps, batch) in kept["training"].items()
    ]
    lines = [
        "# Forecasts of virtual patients on held-out compounds",
        "",
        *__doc__.split("\n\n")[2].splitlines(),
        "",
        f"Training. {'; '.join(trained)}." if trained else "",
        "",
        *targets(rows, kept["coverage"], kept["throughput"], kept["one_by_one"]),
        "",
        f"![]({name}_samples.png)",
        f"![]({name}_calibration.png)",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    cell = lambda v: v if isinstance(v, str) else "" if np.isnan(v) else f"{v:.3g}"
    lines += ["| " + " | ".join(cell(v) for v in r.values()) + " |" for r in rows]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--gru", type=Path)
    parser.add_argument("--latent-ode", type=Path)
    parser.add_argument("--patients", type=int, default=1536)
    parser.add_argument(
        "--single", type=int, default=32, help="Patients the oracle also fits one by one."
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="Only add GRU and latent ODE to the results that are there.",
    )
    parser.add_argument("--name", default="forecasting_virtual")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = Forecaster.load(args.checkpoint)
    networks = {} if args.add else {"forecaster": model}
    for name, kind, path in (
        ("GRU", "gru", args.gru),
        ("latent ODE", "latent_ode", args.latent_ode),
    ):
        if path:
            networks[name] = Recurrent(kind, path)
    rows, pits, one = run(networks, args.patients, args.add, args.single)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{args.name}.json"
    if args.add:
        kept = json.loads(file.read_text())
        kept["rows"] = [r for r in kept["rows"] if r["contender"] not in networks] + rows
    else:
        cover = {who: [float(((p > 0.05) & (p < 0.95)).mean()), len(p)] for who, p in pits.items()}
        kept = {
            "rows": rows,
            "throughput": throughput(model),
            "one_by_one": one,
            "coverage": cover["forecaster"],
            "training": {},
        }
        calibration(pits, RESULTS / f"{args.name}_calibration.png")
    kept["training"] |= {
        who: [net.steps, 128] for who, net in networks.items() if isinstance(net, Recurrent)
    }
    file.write_text(json.dumps(kept, indent=1))
    report(args.name, kept)


if __name__ == "__main__":
    main()
