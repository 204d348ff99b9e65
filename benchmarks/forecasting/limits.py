"""Speed, memory and falling medians of the shipped forecaster: what must hold whatever the patients are.

    python benchmarks/forecasting/limits.py [--checkpoint FILE] [--cases 10000]

Random cases: one to four samples with log-normal values and times that no drug need have made, one to four doses by all routes,
alone; a rise is the largest ratio of a median to an earlier one after the last input (by mouth: after the peak of the first
24 h of a 70-kg human). Times are CPU times on one thread, the least of three; memory is the most that the process held more
than before.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch

from pbpk_hybrid.learn.transformer import Forecaster
from pbpk_hybrid.learn.transformer.batch import COVARIATES
from pbpk_hybrid.learn.transformer.context_curve import TypicalCurve, with_context
from pbpk_hybrid.learn.transformer.data import Doses, Patient, collate

RESULTS = Path(__file__).resolve().parents[1] / "results"
PEAK_WITHIN = 24.0


def patient(rng, times, values, doses: Doses, weight: float = 70.0) -> Patient:
    covariates = np.full(len(COVARIATES), np.nan)
    covariates[0], covariates[6:] = np.log(weight), 0.0
    covariates[-1] = 1.0  # human
    n = len(times)
    site = np.zeros(n, np.int64)
    return Patient("0", doses, covariates, weight, "human", times, values, np.zeros(n, bool), site)


def random_case(rng, count: int) -> Patient:
    n = int(rng.integers(1, 5))
    gap = np.exp(rng.uniform(0.0, 3.5))
    oral = np.full(n, rng.random() < 0.5)
    duration = np.where(oral | (rng.random() < 0.5), 0.0, np.exp(rng.uniform(-2.0, 1.5)))
    doses = Doses(gap * np.arange(n), np.full(n, 100.0), np.full(n, duration.max()), oral)
    times = np.sort(np.exp(rng.uniform(-1.0, 3.5, count)))
    values = np.exp(
        rng.normal(0.5, 1.0)
        - np.exp(rng.normal(-2.0, 1.0)) * times
        + 0.3 * rng.standard_normal(count)
    )
    return patient(rng, times, values, doses)


def rises(model: Forecaster, cases: int) -> np.ndarray:
    """(cases,) largest ratio of a median to an earlier one, after the last input."""
    rng, out = np.random.default_rng(17), []
    grid = np.geomspace(0.05, 400.0, 40)
    for start in range(0, cases, 250):
        people = [random_case(rng, 1 + start // 250 % 4) for _ in range(min(250, cases - start))]
        end = np.array([(p.doses.time + p.doses.duration).max() for p in people])
        batch = collate(people, end[:, None] + grid, [0], None)
        median = model.mixture(batch).quantiles(torch.tensor([0.5]))[..., 0].numpy()
        for p, row in zip(people, median, strict=True):
            first = int(row[grid <= PEAK_WITHIN].argmax()) if p.doses.oral.any() else 0
            later = row[first:]
            out.append(np.exp((later - np.minimum.accumulate(later)).max()))
    return np.array(out)


def cpu(call, times: int = 3) -> float:
    best = np.inf
    for _ in range(times):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def one_with_others(model: Forecaster) -> float:
    """CPU seconds for one patient with three samples and 64 others of ten, fits to the others included."""
    rng, times = np.random.default_rng(3), np.geomspace(0.5, 24.0, 10)
    dose = Doses(np.zeros(1), np.array([100.0]), np.zeros(1), np.zeros(1, bool))

    def of(n: int) -> Patient:
        rate, volume = (
            0.2 * np.exp(0.3 * rng.standard_normal()),
            40 * np.exp(0.2 * rng.standard_normal()),
        )
        return patient(
            rng,
            times[:n],
            100 / volume * np.exp(-rate * times[:n] + 0.1 * rng.standard_normal(n)),
            dose,
        )

    others, one = collate([of(10) for _ in range(64)], np.zeros(0), [0], None), [of(3)]

    def call() -> None:
        batch = collate(one, np.linspace(8.0, 48.0, 50), [0], None)
        with_context(batch, others, TypicalCurve(others))
        model.mixture(batch).quantiles(torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95]))

    return cpu(call, 5)


def many_doses(model: Forecaster) -> tuple[float, float]:
    """MiB more than before, and CPU seconds, for 256 patients, 200 doses and 300 times."""
    rng = np.random.default_rng(4)
    dose = Doses(8.0 * np.arange(200), np.full(200, 100.0), np.zeros(200), np.full(200, True))
    people = [
        patient(rng, np.array([3.0, 7.0, 50.0]), np.array([1.0, 0.6, 1.5]), dose)
        for _ in range(256)
    ]
    batch = collate(people, np.linspace(60.0, 1700.0, 300), [0], None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = cpu(lambda: model._quantiles(batch, np.array([0.05, 0.5, 0.95])), 1)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--cases", type=int, default=10_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = Forecaster.load(args.checkpoint)
    mib, seconds = many_doses(model)
    print(f"many doses {mib:.0f} MiB, {seconds:.1f} s", flush=True)
    others = one_with_others(model)
    print(f"64 others {1e3 * others:.0f} ms", flush=True)
    found = rises(model, args.cases)
    share, worst = float((found > 1.05).mean()), float(found.max())
    word = lambda good: "met" if good else "**MISSED**"
    rows = [
        (
            f"no median rises by more than 5 % after the last input, {args.cases:,} random cases",
            f"{100 * share:.2f} % of cases do, the worst by {100 * (worst - 1):.2g} %",
            word(share == 0),
        ),
        (
            "one patient with 64 others in 150 ms",
            f"{1e3 * others:.0f} ms CPU, the fits to the others included",
            word(others < 0.15),
        ),
        (
            "256 patients x 300 times x 200 doses in 1 GiB",
            f"{mib:.0f} MiB, {seconds:.1f} s CPU",
            word(mib < 1024),
        ),
    ]
    kept = {
        "rise_share": share,
        "rise_worst": worst,
        "others_ms": 1e3 * others,
        "mib": mib,
        "seconds": seconds,
        "cases": args.cases,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "forecasting_limits.json").write_text(json.dumps(kept, indent=1))
    lines = [
        "# Limits of the forecaster",
        "",
        *__doc__.split("\n\n")[2].splitlines(),
        "",
        "| target | figure | |",
        "|---|---|---|",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    (RESULTS / "forecasting_limits.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
