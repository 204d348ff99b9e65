"""A picture of any model: its states, and what flows between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import InputError
from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: more states than this make a picture that nobody can read
MOST_STATES = 120
_ROUNDS = 300  # of the layout by springs


def organ_graph(system: Any, *, ax: Axes | None = None) -> Axes:
    """States as boxes, first-order transfers as arrows, reactions as broken arrows.

    A whole body is drawn with its arteries on one side and its veins on the other. Other models are
    laid out by springs. Widths of the arrows go with the logarithm of the rate constant of the
    first subject.

    Parameters
    ----------
    system : System
        Of :func:`pbpk_hybrid.whole_body_system`, or any other; or a model that has one.
    ax : Axes, optional
        To draw on; None: a new figure.

    Returns
    -------
    Axes
        The axes.

    Raises
    ------
    InputError
        Something without states, or with more than 120 of them.
    """
    system = getattr(system, "system", system)
    states = getattr(system, "states", None)
    if states is None or not hasattr(system, "k_row"):
        raise InputError("system", type(system).__name__, "a System")
    if len(states) > MOST_STATES:
        raise InputError("system", len(states), f"at most {MOST_STATES} states")
    names = [str(s) for s in states]
    edges = _edges(system)
    where = _body(names) if {"arterial_blood", "venous_blood"} <= set(names) else None
    where = _springs(len(names), edges) if where is None else where
    if ax is None:
        height = 1.2 + 0.34 * max(len(names), 6)
        ax = style.axes(None, (8.0, min(height, 16.0)))
    ax.set_axis_off()
    _draw_edges(ax, where, edges)
    for i, name in enumerate(names):
        ax.text(
            *where[i],
            name.replace("_", " "),
            ha="center",
            va="center",
            fontsize="small",
            color="#1a1a1a",
            bbox={"boxstyle": "round,pad=0.35", "fc": _colour(name), "ec": "#9aa0a6", "lw": 0.8},
            zorder=3,
        )
    low, high = where.min(axis=0), where.max(axis=0)
    space = 0.12 * np.maximum(high - low, 1.0)
    ax.set_xlim(low[0] - space[0], high[0] + space[0])
    ax.set_ylim(low[1] - space[1], high[1] + space[1])
    title = str(system.attrs.get("model", "")).replace("_", " ")
    compound = str(system.attrs.get("compound", ""))
    ax.set_title(", ".join(t for t in (title, compound) if t), fontsize="medium", loc="left")
    return ax


def _edges(system: Any) -> list[tuple[int, int, float, bool]]:
    """(from, to, rate constant, is a reaction) of everything that moves an amount."""
    value = np.abs(np.asarray(system.k_value)[0])
    pairs = zip(np.asarray(system.k_col), np.asarray(system.k_row), value, strict=True)
    found = [(int(a), int(b), float(k), False) for a, b, k in pairs if a != b and k > 0]
    for reaction in system.reactions:
        gains = dict(reaction.stoichiometry)
        sources = [int(s) for s, gain in gains.items() if gain < 0]
        sinks = [int(s) for s, gain in gains.items() if gain > 0]
        found += [(a, b, np.nan, True) for a in sources for b in sinks]
    return found


_SINKS = ("metabolised", "excreted", "faeces", "urine", "bile")
_LUMEN = ("depot", "gut_lumen", "lumen", "transit")


def _colour(name: str) -> str:
    if "blood" in name or name == "plasma":
        return "#fde0dd"
    if any(word in name for word in _SINKS):
        return "#eceff1"
    return "#fff8e1" if any(word in name for word in _LUMEN) else "#e3f2fd"


def _body(names: list[str]) -> np.ndarray:
    """Arteries right, veins left, organs between them, sinks and the gut's lumen outside."""
    where = np.zeros((len(names), 2))
    organs = []
    sinks, lumen = [], []
    for i, name in enumerate(names):
        if name in ("arterial_blood", "venous_blood", "lung"):
            continue
        if any(word in name for word in _SINKS):
            sinks.append(i)
        elif any(word in name for word in _LUMEN):
            lumen.append(i)
        else:
            organs.append(i)
    # what drains into the liver stands beside it
    portal = ("gut", "spleen", "pancreas", "stomach")
    organs.sort(key=lambda i: (names[i].split("_")[0] in (*portal, "liver"), i))
    for row, i in enumerate(organs):
        base = names[i].split("_")[0]
        where[i] = (0.55 if base in portal else 0.0, -float(row))
    middle = -(len(organs) - 1) / 2
    for i, name in enumerate(names):
        if name == "lung":
            where[i] = (0.0, 1.4)
        elif name == "arterial_blood":
            where[i] = (2.0, middle)
        elif name == "venous_blood":
            where[i] = (-2.0, middle)
    for k, i in enumerate(sinks):
        where[i] = (-2.0 + 1.15 * k, -len(organs) - 1.0)
    for k, i in enumerate(lumen):
        where[i] = (1.75 + 0.9 * k, -len(organs) + 2.5)
    return where


def _springs(n: int, edges: list[tuple[int, int, float, bool]]) -> np.ndarray:
    """Positions by attraction along edges and repulsion of all (Fruchterman & Reingold 1991)."""
    angle = 2 * np.pi * np.arange(n) / max(n, 1)
    where = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if n < 3:
        return np.stack([np.arange(n, dtype=float), np.zeros(n)], axis=1)
    linked = np.zeros((n, n))
    for a, b, *_ in edges:
        linked[a, b] = linked[b, a] = 1.0
    length = 1.0 / np.sqrt(n)
    for step in range(_ROUNDS):
        apart = where[:, None] - where[None]
        distance = np.maximum(np.linalg.norm(apart, axis=2), 1e-3)
        force = length**2 / distance**2 - linked * distance / length
        np.fill_diagonal(force, 0.0)
        move = (force[..., None] * apart).sum(axis=1)
        size = np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 1e-9)
        where = where + move / size * np.minimum(size, 0.1 * (1 - step / _ROUNDS))
    return where * np.array([1.6, 1.0]) / max(np.ptp(where, axis=0).max(), 1e-9) * np.sqrt(n)


def _draw_edges(ax: Axes, where: np.ndarray, edges: list[tuple[int, int, float, bool]]) -> None:
    rates = np.array([k for *_, k, reaction in edges if not reaction])
    low, high = (np.log(rates.min()), np.log(rates.max())) if rates.size else (0.0, 1.0)
    both = {(a, b) for a, b, *_ in edges}
    for a, b, k, reaction in edges:
        share = 0.0 if reaction or high <= low else (np.log(k) - low) / (high - low)
        bend = 0.12 if (b, a) in both else 0.0
        ax.annotate(
            "",
            xy=where[b],
            xytext=where[a],
            arrowprops={
                "arrowstyle": "-|>",
                "color": style.PALETTE[1] if reaction else "#5f6368",
                "lw": 0.6 + 1.2 * share,
                "ls": "--" if reaction else "-",
                "alpha": 0.75,
                "shrinkA": 16,
                "shrinkB": 16,
                "connectionstyle": f"arc3,rad={bend}",
            },
            zorder=1,
        )


__all__ = ["MOST_STATES", "organ_graph"]
