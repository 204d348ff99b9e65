"""Figures of the validation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from report import LABEL

FOLD = 2.0
#: where a Dataset names the person who measured, the publication
PUBLICATIONS = {"Upton": "Boeckmann 1994"}
UNITS = {"auc": "mg·h/L", "cmax": "mg/L"}
NAME = {"auc": "AUC", "cmax": "$C_{max}$"}
# Okabe & Ito (2008), each with filled and with open markers: fourteen drugs that colour-blind readers can tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
BLUE, ORANGE, BAND = "#0072B2", "#D55E00", "#9ec9e2"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.family": "DejaVu Sans",
}


def scatter(rows, bases, path: Path) -> None:
    """AUC and Cmax, predicted over observed, a column for each basis."""
    import matplotlib.pyplot as plt

    rows = [r for r in rows if any(np.isfinite(r[f"{b}_cmax"]) for b in bases)]
    drugs = sorted({r["drug"] for r in rows})
    look = {d: (COLOURS[i % len(COLOURS)], i // len(COLOURS)) for i, d in enumerate(drugs)}
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(
            2, len(bases), figsize=(3.35 * len(bases), 8.3), layout="constrained"
        )
        for line, quantity in zip(axes, ("auc", "cmax"), strict=True):
            # a prediction far off is what the picture is for: the axes hold it too
            sides = ("observed", *bases)
            seen = np.array([r[f"{side}_{quantity}"] for r in rows for side in sides])
            low = 10 ** np.floor(np.log10(np.nanmin(seen[seen > 0])))
            high = 10 ** np.ceil(np.log10(np.nanmax(seen[np.isfinite(seen)])))
            for ax, basis in zip(line, bases, strict=True):
                ends = np.array([low, high])
                ax.fill_between(ends, ends / FOLD, ends * FOLD, color="0.93", lw=0, zorder=0)
                ax.plot(ends, ends, color="0.4", lw=0.9, zorder=1)
                for drug in drugs:
                    colour, kind = look[drug]
                    for route, marker in (("iv", "o"), ("oral", "^")):
                        mine = [r for r in rows if r["drug"] == drug and r["route"] == route]
                        ax.plot(
                            [r[f"observed_{quantity}"] for r in mine],
                            [r[f"{basis}_{quantity}"] for r in mine],
                            marker,
                            color=colour,
                            ms=4.6,
                            alpha=0.8,
                            mfc=(colour, "white", "0.8")[kind],
                            mec=colour,
                            mew=0.8,
                            ls="none",
                        )
                ax.set(
                    xscale="log",
                    yscale="log",
                    xlim=(low, high),
                    ylim=(low, high),
                    aspect="equal",
                    xlabel=f"observed {NAME[quantity]} [{UNITS[quantity]}]",
                )
                ax.set_xticks(10.0 ** np.arange(np.log10(low), np.log10(high) + 1, 2))
                ax.set_yticks(10.0 ** np.arange(np.log10(low), np.log10(high) + 1, 2))
                ax.minorticks_off()
                if quantity == "auc":
                    ax.set_title(LABEL[basis], fontweight="bold")
            line[0].set_ylabel(f"predicted {NAME[quantity]} [{UNITS[quantity]}]")
        handles = [
            plt.Line2D(
                [],
                [],
                marker="s",
                ls="none",
                color=look[d][0],
                ms=6,
                label=d,
                mfc=(look[d][0], "white", "0.8")[look[d][1]],
            )
            for d in drugs
        ]
        handles += [
            plt.Line2D([], [], marker=m, ls="none", color="0.3", ms=6, label=label)
            for m, label in (("o", "intravenous"), ("^", "oral"))
        ]
        handles.append(plt.Rectangle((0, 0), 1, 1, fc="0.93", label="within two-fold"))
        fig.legend(
            handles=handles,
            loc="outside lower center",
            ncols=6,
            frameon=False,
            fontsize=8.5,
            handletextpad=0.4,
        )
        fig.savefig(path, dpi=150)
        plt.close(fig)


def multiples(panels, path: Path) -> None:
    """Curves over observations, one panel a profile."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    columns = 4
    count = -(-len(panels) // columns)
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(
            count, columns, figsize=(11, 2.45 * count), layout="constrained", squeeze=False
        )
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for ax, p in zip(axes.flat, panels, strict=False):
            if "band" in p:
                ax.fill_between(
                    p["grid"], *np.maximum(p["band"], 1e-12), color=BAND, alpha=0.6, lw=0
                )
            if "default" in p:
                ax.plot(p["grid"], p["default"], color=BLUE, lw=1.6)
            if "in_vivo" in p:
                ax.plot(p["grid"], p["in_vivo"], color=ORANGE, lw=1.2, ls="--")
            error = np.where(np.isfinite(p["error"]), p["error"], 0)
            low = np.minimum(error, 0.9 * p["value"])  # a log axis shows no zero
            ax.errorbar(
                p["time"],
                p["value"],
                yerr=(low, error),
                fmt="o",
                ms=3.4,
                color="black",
                elinewidth=0.7,
                zorder=5,
            )
            shown = p["value"]
            ax.set(yscale="log", ylim=(shown.min() / 4, shown.max() * 5), xlim=(0, p["grid"][-1]))
            ax.xaxis.set_major_locator(MaxNLocator(5))
            if shown.max() / shown.min() < 30:
                plain_log_axis(ax.yaxis, numticks=5)
            else:
                ax.yaxis.set_major_locator(LogLocator(numticks=5))
                ax.yaxis.set_minor_locator(NullLocator())
            how = (
                "oral"
                if p["route"] == "oral"
                else "iv infusion"
                if p["route"] == "iv_infusion"
                else "iv bolus"
            )
            ax.set_title(
                f"{p['drug']}, {p['dose']} {how}", fontweight="bold", loc="left", fontsize=9
            )
            ax.text(
                0.98,
                0.97,
                citation(p["study"]),
                transform=ax.transAxes,
                ha="right",
                va="top",
                fontsize=7,
                color="0.35",
            )
        fig.supxlabel("time after dose [h]", fontsize=10)
        fig.supylabel("plasma (or blood) concentration [mg/L]", fontsize=10)
        handles = [
            plt.Line2D([], [], color=BLUE, lw=1.6, label="typical person, default basis"),
            plt.Rectangle((0, 0), 1, 1, fc=BAND, alpha=0.6, label="5-95 % of 200 virtual people"),
            plt.Line2D(
                [],
                [],
                color=ORANGE,
                lw=1.2,
                ls="--",
                label="typical person, CL in vivo, Kp predicted",
            ),
            plt.Line2D([], [], marker="o", ls="none", ms=4, color="black", label="observed (± SD)"),
        ]
        fig.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
        fig.savefig(path, dpi=130)
        plt.close(fig)


def citation(study: str) -> str:
    """First author and year: "Andersson 1990" of "Andersson1990" or "Andersson et al. 1990 - iv"."""
    text = PUBLICATIONS.get(study, study).split(" - ")[0]
    text = re.sub(r" et al\.?", "", text)
    text = re.sub(r"(?<=[a-z])(?=(?:19|20)\d\d)", " ", text).split(".")[0]
    return text if len(text) <= 26 else text[:25] + "…"


def plain_log_axis(axis, numticks: int = 6, subs: tuple[float, ...] = (1, 2, 5)) -> None:
    """Labels 0.1, 0.5, 1 on the log axis instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=subs, numticks=numticks))
    axis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axis.set_minor_locator(NullLocator())
