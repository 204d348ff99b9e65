"""Doses that studies of interactions give, for those who name a drug without a dose."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_EVERY = re.compile(r"q\s*([\d.]+)\s*h")
_FILE = Path(__file__).parent / "data" / "usual_doses.toml"


@dataclass(frozen=True, kw_only=True)
class UsualDose:
    """How a drug is given in studies of interactions.

    Parameters
    ----------
    source
        Which study, and where its protocol was read.
    victim
        One dose, as text; None: not studied as a victim.
    perpetrator
        One dose and its interval, as text such as ``"400 mg oral q24h"``; None: not studied
        as a perpetrator.
    victim_time
        [h] after the first dose of the perpetrator at which the victim is given.
    """

    source: str
    victim: str | None = None
    perpetrator: str | None = None
    victim_time: float = 0.0

    def perpetrator_until(self, until: float) -> str:
        """The perpetrator's dose, repeated from time 0 up to a time [h], as text."""
        every = float(_EVERY.search(self.perpetrator)[1])
        return f"{self.perpetrator} x{math.ceil(until / every)}"


@cache
def usual_doses() -> Mapping[str, UsualDose]:
    """Name of a curated compound -> how it is given in studies of interactions."""
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {name: UsualDose(**values) for name, values in table.items()}


__all__ = ["UsualDose", "usual_doses"]
