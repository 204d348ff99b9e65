"""Picture: the learned local exponent of clearance and volume against body mass, by class of compound (shipped model).

python benchmarks/cross_species/exponents.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from pbpk_hybrid.learn.allometry import NeuralAllometry, load_table

RESULTS = Path(__file__).resolve().parent / "results"
EACH = 12  # compounds of a class
MASSES = np.geomspace(0.02, 100.0, 50)


def main(table=None) -> None:
    torch.set_num_threads(1)
    table = table or load_table()
    model = NeuralAllometry.load()
    block = table.features.block
    classes = {
        "beta-lactams": block[:, 6] > 0,
        "acids": (block[:, 3] > 0) & (block[:, 4] == 0) & (block[:, 6] == 0),
        "bases": (block[:, 4] > 0) & (block[:, 3] == 0),
        "neutrals": (block[:, 3] == 0) & (block[:, 4] == 0) & (block[:, 6] == 0),
    }
    some = np.isfinite(table.parameter("clearance", "rat")) & np.isfinite(
        table.parameter("volume", "rat")
    )
    figure = Figure(figsize=(9.2, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    for colour, (name, members) in enumerate(classes.items()):
        rows = np.flatnonzero(members & some)[:EACH]
        found = []
        for i in rows:
            rat = {
                "clearance": float(table.parameter("clearance", "rat", per_kg=True)[i] / 0.06),
                "volume": float(table.parameter("volume", "rat", per_kg=True)[i]),
            }
            found.append(model.exponent(table.smiles[i], {"rat": rat}, MASSES)["exponent"].values)
        mean, low, high = np.mean(found, 0), *np.quantile(found, (0.1, 0.9), axis=0)
        for p, axis in enumerate(axes):
            axis.plot(MASSES, mean[:, p], color=f"C{colour}", label=f"{name} ({len(rows)})")
            axis.fill_between(MASSES, low[:, p], high[:, p], color=f"C{colour}", alpha=0.12)
    for axis, name, usual in zip(axes, ("clearance", "volume"), (0.75, 1.0), strict=True):
        axis.axhline(usual, color="black", lw=0.8, ls="--", label=f"classical {usual:g}")
        axis.set(xscale="log", xlabel="body mass [kg]", ylabel="d ln P / d ln BW", title=name)
    axes[0].legend(fontsize=8)
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "exponents.png", dpi=130)


if __name__ == "__main__":
    main()
