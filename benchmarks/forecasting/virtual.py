"""Forecasts of held-out virtual patients, against the oracle: the true mechanistic model with the true prior.

    python benchmarks/forecasting/virtual.py [--checkpoint FILE] [--patients 512] [--name forecasting_virtual]

Compounds are drawn near rows of the compound table that the corpus never draws near; their properties are told exactly, as
the oracle knows them. Curves are the whole-body model's without further deviation, samples have log-normal errors. The
oracle fits
ln factors on six parameters (CLint, renal clearance, fraction unbound, absorption rate, fraction absorbed, all Kp
together) with
their true variances and the true error, by Gauss-Newton on the engine, all patients at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scores import mixture_crps, table_row  # noqa: E402

from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions, Forecaster  # noqa: E402
from pbpk_hybrid.learn.transformer._batch import SITES  # noqa: E402
from pbpk_hybrid.learn.transformer._corpus import Part  # noqa: E402
from pbpk_hybrid.learn.transformer._features import prepare  # noqa: E402
from pbpk_hybrid.models import mixed_cohort_system  # noqa: E402
from pbpk_hybrid.physiology import ORGANS  # noqa: E402
from pbpk_hybrid.physiology.organs import TISSUES  # noqa: E402

RESULTS = HERE.parent / "results"
FREE = ("clint.liver", "clearance_renal", "fraction_unbound_plasma", "absorption_rate", "fraction_absorbed", "kp")
LEVELS = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
_STEP = 1e-3


def curves(corpus: Corpus, part: Part, ln_factors: np.ndarray) -> np.ndarray:
    """(copies, n, times, sites) [mg/L] of the true model with ln factors (copies, n, 6) on its typical parameters."""
    copies, n, _ = ln_factors.shape
    cohort = part.cohort
    p = {name: np.tile(values[:n], copies) for name, values in cohort.parameters.items()}
    for j, name in enumerate(FREE):
        factor = np.exp(ln_factors[:, :, j]).ravel()
        if name == "kp":
            for organ in TISSUES:
                p[f"kp.{organ}"] = np.tile(cohort.typical[f"kp.{organ}"], copies) * factor
        else:
            value = np.tile(cohort.typical[name], copies) * factor
            p[name] = np.minimum(value, 1.0) if name.startswith("fraction") else value
    system = mixed_cohort_system(p, ORGANS)
    b = part.batch
    whole = np.ones(copies * n)
    out = corpus.integrate(system, part.schedules, np.tile(part.lengths, copies), np.tile(b.body_weight, copies),
                           np.tile(part.lag, copies), whole, whole.astype(int), 0 * whole, 0 * whole, True)  # fmt: skip
    first = np.repeat([s.size[0] for s in part.schedules], n // len(part.schedules))  # the engine gave 1 mg/kg times this
    factor = (b.dose_amount[:, 0] / first / b.body_weight)[None, :, None, None]
    return out.reshape(copies, n, *out.shape[1:]) * factor


def pick(c: np.ndarray, index: np.ndarray, site: np.ndarray) -> np.ndarray:
    """ln concentration at samples (n, N) of curves (..., n, times, sites)."""
    rows = np.arange(index.shape[0])[:, None]
    return np.log(np.maximum(c[..., rows, np.maximum(index, 0), site], 1e-30))


def oracle(corpus: Corpus, part: Part, iterations: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """MAP of the true model: ln concentration at the queries (n, Q), and its sd by Laplace, the error of a sample
    included.
    """
    b, n = part.batch, len(part.batch)
    spread = np.stack([part.cohort.spread[name] for name in FREE], axis=1) + 1e-6
    y = np.where(b.obs_mask, np.log(b.obs_value), 0.0)
    weight = np.where(b.obs_mask & ~b.obs_censored, 1.0 / part.noise[:, None], 0.0)
    z, damping = np.zeros((n, len(FREE))), np.full(n, 1e-2)
    moves = np.concatenate([np.zeros((1, len(FREE))), _STEP * np.eye(len(FREE))])

    def at(z, index, site, slopes: bool):
        points = z[None] + (moves[:, None, :] if slopes else 0.0)
        value = pick(curves(corpus, part, np.broadcast_to(points * spread, (len(points), n, len(FREE)))), index, site)
        return value[0], np.moveaxis((value[1:] - value[0]) / _STEP, 0, -1) if slopes else None

    def cost(value, z):
        return (((value - y) * weight) ** 2).sum(axis=1) + (z**2).sum(axis=1)

    value, jac = at(z, part.samples.observed, b.obs_site, True)
    now = cost(value, z)
    for _ in range(iterations):
        jw = jac * weight[..., None]
        normal = np.einsum("nij,nik->njk", jw, jw) + np.eye(len(FREE)) * (1 + damping[:, None, None])
        gradient = np.einsum("nij,ni->nj", jw, (value - y) * weight) + z
        trial = np.clip(z - np.linalg.solve(normal, gradient[..., None])[..., 0], -4, 4)
        tried, slopes = at(trial, part.samples.observed, b.obs_site, True)
        then = cost(tried, trial)
        better = then < now
        z, value, jac = (np.where(better.reshape(-1, *[1] * (a.ndim - 1)), a, old) for a, old in
                         ((trial, z), (tried, value), (slopes, jac)))  # fmt: skip
        now, damping = np.where(better, then, now), np.where(better, damping * 0.3, damping * 8.0)
    jw = jac * weight[..., None]
    cov = np.linalg.inv(np.einsum("nij,nik->njk", jw, jw) + np.eye(len(FREE)))
    median, slope = at(z, part.samples.asked, b.query_site, True)
    return median, np.sqrt(np.einsum("nqj,njk,nqk->nq", slope, cov, slope) + part.noise[:, None] ** 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--patients", type=int, default=512)
    parser.add_argument("--name", default="forecasting_virtual")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = Forecaster.load(args.checkpoint)
    trained = ("bolus", "infusion", "oral", "repeated")
    cases = {
        "single doses": (1, trained), "repeated doses": (8, trained),
        "loading dose (never trained on)": (8, (*trained, "loading")), "missed doses (never trained on)": (8,
        (*trained, "missed")),
    }  # fmt: skip
    rows = []
    for case, (doses, kinds) in cases.items():
        corpus = Corpus(CorpusOptions(regimens=kinds, deviation=0.0, exact=True, split="test"))
        kept: dict[tuple, list] = {}
        timing: dict[str, list[float]] = {}
        for step in range(max(1, args.patients // 128)):
            rng = np.random.default_rng([77, step])
            part = corpus.part(rng, 8, doses, 12, whole_body=True)
            part.batch.context_batch = None
            scored(model, corpus, part, kept, timing)
        for (n, who), parts in sorted(kept.items()):
            r = np.concatenate(parts)
            row = table_row(r[:, 0], r[:, 3], r[:, 2], r[:, 4], r[:, 1], r[:, 5], r[:, 6])
            rows.append({"case": case, "samples": n, "contender": who, **row, "ms_per_patient": 1e3 * np.mean(timing[who])})
            print(rows[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{args.name}.json").write_text(json.dumps(rows, indent=1))
    head = list(rows[0])
    lines = ["# Forecasts of virtual patients on held-out compounds", "", __doc__.split("\n\n")[2], "",
    "| " + " | ".join(head) + " |",
             "|" + "---|" * len(head)]  # fmt: skip
    lines += ["| " + " | ".join(v if isinstance(v, str) else f"{v:.3g}" for v in r.values()) + " |" for r in rows]
    (RESULTS / f"{args.name}.md").write_text("\n".join(lines) + "\n")


def scored(model: Forecaster, corpus: Corpus, part: Part, kept: dict, timing: dict) -> None:
    """Points of the oracle and the forecaster for one part, by number of samples."""
    b = part.batch
    count = b.obs_mask.sum(axis=1)
    ask = b.query_mask & ~b.query_censored & (b.query_site == SITES.index("plasma"))
    start = time.perf_counter()
    median, sd = oracle(corpus, part)
    timing.setdefault("oracle", []).append((time.perf_counter() - start) / len(b))
    start = time.perf_counter()
    mixture = model.mixture(b)
    with torch.no_grad():
        q = mixture.quantiles(LEVELS).numpy()
    timing.setdefault("forecaster", []).append((time.perf_counter() - start) / len(b))
    timing.setdefault("typical mechanistic curve", []).append(0.0)
    scale = prepare(b).log_scale.numpy()[:, None]
    y = np.log(b.query_value)
    w, mu, spread = (a.numpy() for a in (mixture.log_weight.exp(), mixture.mean, mixture.log_sd.exp()))
    crps = {"oracle": mixture_crps(np.ones((*y.shape, 1)), median[..., None], sd[..., None], y),
            "forecaster": mixture_crps(w, mu + scale[..., None], spread, y)}  # fmt: skip
    z = torch.special.ndtri(LEVELS).numpy()
    quantiles = {"oracle": median[..., None] + sd[..., None] * z, "forecaster": q + scale[..., None]}
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = np.log(b.query_anchor)
    quantiles["typical mechanistic curve"] = np.where(z == 0, typical[..., None], np.nan)
    crps["typical mechanistic curve"] = np.full(y.shape, np.nan)
    ask &= np.isfinite(typical) & (y > y.max(axis=1, keepdims=True) - 9.0)
    for n in (0, 1, 2, 3, 5):
        rows = ask & (count == n)[:, None]
        if rows.any():
            for who, values in quantiles.items():
                kept.setdefault((n, who), []).append(np.c_[y[rows], values[rows], crps[who][rows]])


if __name__ == "__main__":
    main()
