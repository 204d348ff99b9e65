"""How well a curated compound's default has described people, as the validation found it.

The file is written by ``benchmarks/validation/validate.py`` from observed profiles; nothing in it
is typed by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .._core.arguments import check_kind

_FILE = Path(__file__).parent / "data" / "validation.json"


@dataclass(frozen=True, kw_only=True)
class Badge:
    """Predicted over observed profiles of people, on the compound's default basis.

    Parameters
    ----------
    profiles
        Number of human profiles of the compound alone.
    auc_gmfe, cmax_gmfe
        Geometric mean fold errors; None where no profile has one.
    auc_within_twofold, cmax_within_twofold
        Shares, 0 to 1.
    date, rule
        When it was computed, and by which rules.
    """

    profiles: int
    auc_gmfe: float | None
    cmax_gmfe: float | None
    auc_within_twofold: float | None
    cmax_within_twofold: float | None
    date: str
    rule: str

    def __str__(self) -> str:
        """In one line."""
        many = f"{self.profiles} human profile{'s' if self.profiles != 1 else ''}"
        parts = [
            f"{name} GMFE {value:.2f}"
            for name, value in (("AUC", self.auc_gmfe), ("Cmax", self.cmax_gmfe))
            if value is not None
        ]
        return f"{', '.join(parts)} ({many}, {self.date})"


@cache
def _table() -> dict[str, Any]:
    return json.loads(_FILE.read_text(encoding="utf-8"))


def validation_badge(name: str) -> Badge | None:
    """The badge of a curated compound.

    Parameters
    ----------
    name
        Of the compound, as the library has it.

    Returns
    -------
    Badge or None
        None where no observed profile of it is at hand.
    """
    check_kind("name", name, str, "the name of a compound")
    table = _table()
    found = table["drugs"].get(name)
    return None if found is None else Badge(**found, date=table["date"], rule=table["rule"])


__all__ = ["Badge", "validation_badge"]
