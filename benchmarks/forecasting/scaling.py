"""How the loss falls with the size of the network and with the patients it has seen.

    python benchmarks/forecasting/scaling.py [--steps 400] [--run FOLDER]

Three networks of width 32, 64 and 128 are trained from scratch on the same patients, in batches of 64; the loss (nats per
value asked) is that on held-out compounds. `--run` adds the curve of a longer run of the usual size, whose log.csv is read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pbpk_hybrid.learn.training import RunOptions
from pbpk_hybrid.learn.transformer import ForecasterConfig
from pbpk_hybrid.learn.transformer.training import new_module, train_module

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--run", type=Path)
    args = parser.parse_args()
    base = ForecasterConfig()
    curves, sizes, seconds = {}, {}, {}
    for width, heads in ((32, 2), (64, 4), (128, 4)):
        config = replace(
            base,
            width=width,
            heads=heads,
            steps=args.steps,
            schedule="cosine",
            warmup=50,
            ema=0.98,
            learning_rate=1.5e-3 * (32 / width) ** 0.5,
            evaluate_every=max(1, args.steps // 8),
            validation_batches=4,
            corpus=replace(base.corpus, batch_size=64, context=0.0),
        )
        module = new_module(config)
        with tempfile.TemporaryDirectory() as folder:
            log = train_module(module, config, run=RunOptions(folder=folder, threads=1))
        sizes[width] = sum(t.numel() for t in module.parameters())
        curves[width] = (64 * np.array(log.history["step"]), np.array(log.history["validation"]))
        seconds[width] = log.seconds
        print(width, sizes[width], curves[width][1], f"{log.seconds:.0f} s", flush=True)
    n = np.array(list(sizes.values()), float)
    final = np.array([c[1][-1] for c in curves.values()])
    slope = np.polyfit(np.log10(n), final, 1)[0]
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for width, (seen, loss) in curves.items():
        left.plot(
            seen, loss, marker="o", ms=3, label=f"width {width}, {sizes[width] / 1e3:.0f}k weights"
        )
    if args.run is not None:
        t = pd.read_csv(args.run / "log.csv")
        left.plot(256 * t["step"], t["validation"], color="0.4", label="width 128, long run")
    left.set(xscale="log", xlabel="patients seen", ylabel="held-out loss [nats]", ylim=(None, 2.0))
    left.legend(frameon=False, fontsize=8)
    right.plot(n, final, marker="o")
    right.set(
        xscale="log", xlabel="weights", ylabel=f"held-out loss after {64 * args.steps:,} patients"
    )
    figure.savefig(RESULTS / "forecasting_scaling.png", dpi=130)
    out = {
        "weights": sizes,
        "loss": {w: c[1].tolist() for w, c in curves.items()},
        "seconds": seconds,
        "patients": {w: c[0].tolist() for w, c in curves.items()},
        "per_decade_of_weights": float(slope),
    }
    (RESULTS / "forecasting_scaling.json").write_text(json.dumps(out, indent=1))
    lines = [
        "# Forecaster: loss against size and patients",
        "",
        *__doc__.split("\n\n")[2].splitlines(),
        "",
        "| width | weights | patients | held-out loss | s on a busy core |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {w} | {sizes[w]:,} | {64 * args.steps:,} | {curves[w][1][-1]:.3f} | {seconds[w]:.0f} |"
        for w in sizes
    ]
    lines += [
        "",
        f"{slope:+.3f} nats per tenfold weights at this little training.",
        "",
        "![](forecasting_scaling.png)",
    ]
    if args.run is not None:
        rise = np.polyfit(
            np.log10(t["step"].iloc[len(t) // 3 :]), t["validation"].iloc[len(t) // 3 :], 1
        )[0]
        lines.insert(
            -2,
            f"Long run of width 128 (256 patients a step, {t['step'].iloc[-1]:,} steps): {rise:+.3f} nats per "
            f"tenfold patients over its last two thirds; {t['validation'].iloc[-1]:.3f} at its end (that run "
            "was validated on patients that may see others).",
        )
    (RESULTS / "forecasting_scaling.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
