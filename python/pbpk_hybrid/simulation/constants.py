"""How uncertain the constants of an interaction are, and draws of them.

A perpetrator's Ki, KI and EC50 of one enzyme share a factor: what moves one of them (binding in the
incubation, the concentration at the enzyme, the preparation) moves all. Its logarithm is normal,
with a mean and a spread of its own for each kind of effect. The share f of a victim's clearance
that an enzyme does has a normal log-odds, so that it stays between 0 and 1.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .._core.arguments import check_kind, check_real
from .._core.errors import InputError
from .._core.random import stream
from ..compounds import Compound
from ..models.system.named import with_values
from ..models.system.system import System

#: kinds of effects that are as uncertain as each other
MECHANISMS = {
    "competitive": "reversible",
    "noncompetitive": "reversible",
    "uncompetitive": "reversible",
    "inactivation": "inactivation",
    "induction": "induction",
}
#: SD of the log-odds of an enzyme's share of a clearance: assumed (docs/assumptions.md)
SHARE_SPREAD = 0.5
_LEARNED = Path(__file__).parent / "data" / "interaction_constants.json"


@dataclass(frozen=True)
class ConstantSpread:
    """Spread of the constants of interactions around their values in the compounds.

    Parameters
    ----------
    reversible, inactivation, induction
        Standard deviation of the natural logarithm of the factor that Ki, KI or EC50 of one
        perpetrator and enzyme share, by kind of effect.
    shift
        Kind of effect -> mean of that logarithm; below 0: the perpetrators act at lower
        concentrations than their constants say. Empty: none.
    share
        Standard deviation of the log-odds of the share of a clearance that one enzyme does.
    """

    reversible: float
    inactivation: float
    induction: float
    share: float = SHARE_SPREAD
    shift: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        expected = "a standard deviation of a logarithm from 0 to 5"
        for name in ("reversible", "inactivation", "induction", "share"):
            value = check_real(f"constants.{name}", getattr(self, name), expected)
            if not 0.0 <= value <= 5.0:
                raise InputError(f"constants.{name}", value, expected)
        for kind, value in (self.shift or {}).items():
            if kind not in ("reversible", "inactivation", "induction"):
                raise InputError("constants.shift", kind, "reversible, inactivation or induction")
            if not abs(check_real(f"constants.shift[{kind!r}]", value, "a number")) <= 5.0:
                raise InputError(f"constants.shift[{kind!r}]", value, "a number from -5 to 5")

    def factors(self, n: int, seed: int, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Factors (n + 1,) of concentration constants; the first has no spread, only the shift.

        Parameters
        ----------
        n
            Draws.
        seed
            Of the draws.
        names
            What shares a factor -> its kind of effect.
        """
        out = {}
        for i, (name, kind) in enumerate(sorted(names.items())):
            mechanism = MECHANISMS[kind]
            z = np.r_[0.0, stream(seed, "interaction constants", i).standard_normal(n)]
            mean = (self.shift or {}).get(mechanism, 0.0)
            out[name] = np.exp(mean + getattr(self, mechanism) * z)
        return out


@cache
def learned_spread() -> ConstantSpread:
    """What the package's interaction benchmark found; see `data/interaction_constants.json`."""
    values = json.loads(_LEARNED.read_text(encoding="utf-8"))
    return ConstantSpread(**values["spread"])


def as_spread(given: Any) -> ConstantSpread | None:
    """The spread from what a user gives: ``"default"``, None or a :class:`ConstantSpread`.

    Raises
    ------
    InputError
        Anything else.
    """
    if isinstance(given, str) and given == "default":
        return learned_spread()
    check_kind(
        "constants", given, (ConstantSpread, type(None)), "'default', None or a ConstantSpread"
    )
    return given


@dataclass(frozen=True, eq=False)
class Drawn:
    """Gives each of n + 1 copies of one person constants of his own; the first has no spread.

    Parameters
    ----------
    spread
        Of the constants.
    effects
        Prefix of a perpetrator's parameters -> its effects (enzyme, kind) in their order.
    pathways
        Prefix of the victim's parameters -> organs of its pathways in their order.
    n
        Draws.
    seed
        Of the draws.
    """

    spread: ConstantSpread
    effects: Mapping[str, tuple[tuple[str, str], ...]]
    pathways: Mapping[str, tuple[str, ...]]
    n: int
    seed: int

    def __call__(self, system: System) -> System:
        """The system with its constants multiplied, and the victim's shares moved."""
        p = {k: np.atleast_1d(v) for k, v in system.parameters.items()}
        kinds = {
            f"{prefix}{enzyme}.{MECHANISMS[kind]}": kind
            for prefix, own in self.effects.items()
            for enzyme, kind in own
        }
        factors = self.spread.factors(self.n, self.seed, kinds)
        for prefix, own in self.effects.items():
            for i, (enzyme, kind) in enumerate(own):
                factor = factors[f"{prefix}{enzyme}.{MECHANISMS[kind]}"]
                for constant in ("ki", "ec50"):
                    name = f"{prefix}{constant}[{i}.{enzyme}]"
                    if name in p:
                        p[name] = p[name] * factor
        for prefix, organs in self.pathways.items():
            self._move_shares(p, prefix, organs)
        return with_values(system, p)

    def _move_shares(self, p: dict[str, np.ndarray], prefix: str, organs: tuple[str, ...]) -> None:
        """The named share of the liver's clearance, one draw for all pathways; the gut's stays."""
        total = np.clip(p[f"{prefix}share.liver"], 0.0, 1.0)
        if not np.any((total > 0) & (total < 1)):
            return
        z = np.r_[0.0, stream(self.seed, "interaction shares").standard_normal(self.n)]
        with np.errstate(divide="ignore"):
            odds = np.log(total) - np.log1p(-total)
        moved = 1.0 / (1.0 + np.exp(-(odds + self.spread.share * z)))
        moved = np.where(total >= 1.0, 1.0, moved)
        p[f"{prefix}share.liver"] = moved
        for i, organ in enumerate(organs):
            if organ == "liver":
                name = f"{prefix}share[{i}]"
                p[name] = p[name] * moved / np.where(total > 0, total, 1.0)


def shifted(compound: Compound, spread: ConstantSpread | None) -> Compound:
    """The compound with its concentration constants moved by the shift of their kind."""
    if spread is None or not spread.shift:
        return compound
    effects = []
    for e in compound.enzyme_effects:
        factor = float(np.exp(spread.shift.get(MECHANISMS[e.kind], 0.0)))
        moved = {k: getattr(e, k) * factor for k in ("ki", "ec50") if getattr(e, k) is not None}
        effects.append(dataclasses.replace(e, **moved))
    return dataclasses.replace(compound, enzyme_effects=tuple(effects))


__all__ = ["ConstantSpread", "Drawn", "as_spread", "learned_spread", "shifted"]
