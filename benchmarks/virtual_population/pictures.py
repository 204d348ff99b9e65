"""Pictures of virtual people beside real ones: pairs of quantities, percentiles by age, who breaks which rule."""

from __future__ import annotations

import numpy as np
from generators import COVARIATES, Drawn, of_dataset
from matplotlib.figure import Figure


def quantiles(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted 5th, 50th and 95th percentile."""
    order = np.argsort(values)
    place = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    return np.interp((0.05, 0.5, 0.95), place, values[order])


def pairs(real: Drawn, drawn: Drawn):
    k = len(COVARIATES)
    figure = Figure(figsize=(10, 10), layout="constrained")
    axes = figure.subplots(k, k)
    some = slice(0, 1500)
    for i in range(k):
        for j in range(k):
            ax = axes[i, j]
            if i == j:
                ends = np.quantile(real.covariates[:, i], (0.002, 0.998))
                for data, color in ((real, "0.3"), (drawn, "tab:orange")):
                    ax.hist(
                        data.covariates[:, i],
                        40,
                        range=ends,
                        weights=data.weight,
                        density=True,
                        histtype="step",
                        color=color,
                    )
            elif i > j:
                ax.plot(real.covariates[some, j], real.covariates[some, i], ".", ms=1, color="0.3")
                ax.plot(
                    drawn.covariates[some, j],
                    drawn.covariates[some, i],
                    ".",
                    ms=1,
                    color="tab:orange",
                )
            else:
                ax.axis("off")
            ax.tick_params(labelsize=6)
            if i == k - 1:
                ax.set_xlabel(COVARIATES[j], fontsize=8)
            if j == 0:
                ax.set_ylabel(COVARIATES[i], fontsize=8)
    figure.suptitle("held-out people (grey) and generated people (orange)")
    return figure


def ranges(real, drawn):
    """5th, 50th and 95th percentile by age and sex."""
    shown = {
        "body_weight": "kg",
        "hematocrit": "1",
        "serum_creatinine": "mg/dL",
        "gfr": "L/h",
        "cardiac_output": "L/h",
        "liver": "kg",
        "muscle": "kg",
        "adipose": "kg",
    }
    figure = Figure(figsize=(12, 11), layout="constrained")
    axes = figure.subplots(4, 4)
    edges = np.arange(18, 81, 5.0)
    middle = 0.5 * (edges[:-1] + edges[1:])
    for i, (name, unit) in enumerate(shown.items()):
        for j, sex in enumerate(("female", "male")):
            ax = axes[i // 2, 2 * (i % 2) + j]
            for ds, style, color in ((real, "o", "0.3"), (drawn, "-", "tab:orange")):
                rows = ds["sex"].values == sex
                values = (
                    ds[name] if name in ds else (ds["volume"] * ds["density"]).sel(organ=name)
                ).values[rows]
                bins, weight = (
                    np.digitize(ds["age"].values[rows], edges) - 1,
                    of_dataset(ds).weight[rows],
                )
                lines = np.array(
                    [quantiles(values[bins == b], weight[bins == b]) for b in range(len(middle))]
                )
                ax.plot(middle, lines, style, ms=3, color=color)
            ax.set_title(f"{name.replace('_', ' ')} [{unit}], {sex}", fontsize=8)
            ax.tick_params(labelsize=6)
    figure.suptitle(
        "5th, 50th and 95th percentile by age [year]: held-out people (dots) and generated people (lines)"
    )
    return figure


def violations(rules: list[str], shares: dict[str, np.ndarray]) -> Figure:
    """Share of people [%] who break each rule, one column a generator."""
    table = 100 * np.array(list(shares.values())).T
    figure = Figure(figsize=(2.2 + 1.5 * len(shares), 1.6 + 0.3 * len(rules)), layout="constrained")
    ax = figure.subplots()
    ax.imshow(np.log10(np.maximum(table, 0.01)), cmap="Oranges", aspect="auto", vmin=-2, vmax=1.5)
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            ax.text(j, i, f"{value:.2f}" if value else "0", ha="center", va="center", fontsize=8)
    names = [name.split(" (")[0].replace(", ", ",\n").replace(": ", ":\n") for name in shares]
    ax.set_xticks(range(len(shares)), names, fontsize=8)
    ax.set_yticks(range(len(rules)), rules, fontsize=8)
    ax.set_title("people who break a rule [%]", fontsize=10)
    return figure
