"""Pictures: forecasts over observations, calibration, error against number of samples."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from contenders import LEVELS, first, in_folds

from pbpk_hybrid.learn.transformer.data import collate
from pbpk_hybrid.learn.transformer.features import prepare
from pbpk_hybrid.learn.transformer.model import with_context


def over_observations(model, studies: dict, path: Path, shown: int = 3, each: int = 3) -> None:
    """Rows of studies, a few patients each: samples shown, samples to come, median and 50 and 90 % intervals."""
    figure, axes = plt.subplots(
        len(studies),
        each,
        figsize=(3.2 * each, 2.4 * len(studies)),
        layout="constrained",
        squeeze=False,
    )
    for row, (name, patients) in zip(axes, studies.items(), strict=True):
        mine, theirs = next(iter(in_folds(patients)))
        able = [patients[i] for i in mine if len(patients[i].time) > shown][:each]
        for axis, p in zip(row, able, strict=False):
            grid = np.linspace(p.doses.first + 1e-3, p.time.max() * 1.05, 120)
            batch = collate([first(p, shown)], grid, [0], None)
            with_context(batch, collate(theirs[:64], np.zeros(0), [0], None))
            mixture = model.mixture(batch)
            with torch.no_grad():
                q = np.exp(
                    mixture.quantiles(LEVELS).numpy()[0] + prepare(batch).log_scale.numpy()[0]
                )
            axis.fill_between(grid, q[:, 0], q[:, 4], color="C0", alpha=0.2, lw=0)
            axis.fill_between(grid, q[:, 1], q[:, 3], color="C0", alpha=0.3, lw=0)
            axis.plot(grid, q[:, 2], color="C0")
            axis.plot(p.time[:shown], p.value[:shown], "o", color="k", ms=4)
            axis.plot(p.time[shown:], p.value[shown:], "o", mfc="none", color="C3", ms=4)
            axis.set(
                yscale="log", ylim=(0.5 * p.value.min(), 2.5 * max(p.value.max(), q[:, 2].max()))
            )
        row[0].set_ylabel(f"{name} [mg/L]")
    for axis in axes[-1]:
        axis.set_xlabel("time [h]")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def calibration(pits: dict[str, np.ndarray], path: Path) -> None:
    """Share of values below the forecast's quantile, against the quantile's level."""
    figure, axis = plt.subplots(figsize=(4, 4), layout="constrained")
    levels = np.linspace(0.0, 1.0, 41)
    axis.plot([0, 1], [0, 1], color="0.7", lw=1)
    for name, values in pits.items():
        axis.plot(
            levels, [(values <= v).mean() for v in levels], label=f"{name} ({len(values)} points)"
        )
    axis.set(xlabel="level", ylabel="share of values below the quantile")
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def against_samples(rows: list[dict], groups: str, x: str, path: Path) -> None:
    """AAFE of every contender against the number of samples shown; a panel per study or case."""
    names = list(dict.fromkeys(r[groups] for r in rows if str(r[x]).isdigit()))[:8]
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(3.1 * columns, 2.7 * lines), layout="constrained", squeeze=False
    )
    who = list(dict.fromkeys(r["contender"] for r in rows))
    for axis, name in zip(axes.flat, names, strict=False):
        for k, contender in enumerate(who):
            mine = [
                (int(r[x]), r["aafe"])
                for r in rows
                if r[groups] == name and r["contender"] == contender and str(r[x]).isdigit()
            ]
            if mine:
                axis.plot(
                    *np.array(mine).T,
                    marker="o",
                    ms=3,
                    label=contender,
                    color=f"C{k % 10}",
                    ls="-" if k < 10 else "--",
                )
        axis.set(title=name, ylim=(1, 4), xlabel="samples shown", ylabel="average fold error")
    axes.flat[0].legend(frameon=False, fontsize=6)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
