"""Which states of a System may be negative: deviations from a baseline, and what they drive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .system import System


def signed_by_equations(system: System, *, flows: bool = True) -> np.ndarray:
    """(n_states,) True for states that the equations can take below zero, and for what those drive.

    These are states that something takes from whatever they hold (a reaction of which the state is
    no reactant; with `flows` also a negative entry of K beside the diagonal), and enzymes as
    deviations from their baseline.
    """
    out = np.zeros(system.n_states, dtype=bool)
    beside = system.k_row != system.k_col
    if flows:
        out[system.k_row[beside & np.any(system.k_value < 0, axis=0)]] = True
    drivers = []
    for r in system.reactions:
        change = {r.reactants[1]} if r.law == "enzymatic" else set()  # 1 + e is never below zero
        out[list(change)] = True
        # the value of an expression may have either sign
        either = r.law == "expression"
        takes = [s for s, gain in r.stoichiometry.items() if either or gain < 0]
        out[[s for s in takes if s not in r.reactants]] = True
        drivers.append((set(r.reactants) - change, [s for s in r.stoichiometry if s not in change]))
    moved = beside & np.any(system.k_value != 0, axis=0)
    edges = list(zip(system.k_row[moved], system.k_col[moved], strict=True))
    while True:
        before = out.sum()
        for to, of in edges:
            out[to] |= out[of]
        for reactants, targets in drivers:
            if out[list(reactants)].any():
                out[targets] = True
        if out.sum() == before:
            return out


__all__ = ["signed_by_equations"]
