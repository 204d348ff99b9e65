"""The drugs of the interaction benchmark: those of the package's library, whose files name the source of every value."""

from __future__ import annotations

import pbpk_hybrid as ph

NAMES = (
    "midazolam",
    "alprazolam",
    "alfentanil",
    "triazolam",
    "ketoconazole",
    "itraconazole",
    "hydroxyitraconazole",
    "fluconazole",
    "rifampicin",
    "clarithromycin",
    "erythromycin",
)


def drugs() -> dict[str, ph.Compound]:
    """Name -> compound."""
    return {name: ph.get_compound(name) for name in NAMES}
