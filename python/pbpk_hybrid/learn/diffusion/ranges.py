"""Into the asked ranges: what the network leaves a little outside is mirrored at the bound.

A network that sees a range draws from it with soft edges: what it learned of the edge is
blurred by its noise, and some of the people land just outside. Throwing these away would
thin out the people near the edge, where those outside belong. Mirrored at the bound, z -> 2
b - z in standard scores (or logarithms, for BMI and filtration), what leaked comes back to
where the blur took it from. Nobody is moved by more than half a standard deviation; who is
further outside is drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ...physiology.adults.variability import GFR_SD_LN
from .conditions import Condition
from .coordinates import MEASURED, NAMES, RESIDUALS, STEPS, Coordinates

_PASSES = 4
#: standard deviations (measured: standard scores; BMI and filtration: of the coordinate moved)
_FARTHEST = 0.5
_GFR = NAMES.index("gfr")


def mirror(
    coordinates: Coordinates,
    x: torch.Tensor,
    male: torch.Tensor,
    condition: Condition,
    rounded: bool,
) -> tuple[torch.Tensor, int]:
    """Coordinates with those just outside an asked range mirrored into it, and how many were.

    BMI is moved by the weight, filtration by its residual around the estimate from creatinine.
    """
    x = x.double().clone()
    if not condition.ranges:
        return x, 0
    before = x.clone()
    bounds = {
        name: _bounds(name, ends, coordinates, male, rounded)
        for name, ends in condition.ranges.items()
        if name in MEASURED
    }
    derived = [name for name in condition.ranges if name not in MEASURED]
    for turn in range(_PASSES):
        for name, (low, high) in bounds.items():
            k = MEASURED.index(name)
            x[:, k] = _into(x[:, k], low, high, _FARTHEST)
        if not derived:
            break
        if _mirror_derived(coordinates, x, male, condition, rounded, final=turn > 0):
            break
    return x, int((x != before).any(1).sum())


def _mirror_derived(
    coordinates: Coordinates,
    x: torch.Tensor,
    male: torch.Tensor,
    condition: Condition,
    rounded: bool,
    *,
    final: bool,
) -> bool:
    """Moves BMI by weight and filtration by its residual, in place; whether all are inside."""
    people = coordinates.decode(x, male, rounded=rounded)
    values = people.quantities()
    inside = condition.within(values)
    if inside.all():
        return True
    for name in ("bmi", "egfr", "gfr"):
        if name not in condition.ranges:
            continue
        # in later turns straight to the bound, and by as little over it as rounding takes back
        margin = 2e-3 if final and name == "bmi" else 1e-9
        low, high = (np.log(v) if v > 0 else -np.inf for v in condition.ranges[name])
        now = torch.log(values[name])
        there = _into(now, low, high, np.inf)
        if final:
            middle = 0.5 * (max(low, -1e3) + min(high, 1e3))
            there = torch.where(
                now < low,
                torch.full_like(now, min(low + margin, middle if high < np.inf else np.inf)),
                there,
            )
            there = torch.where(
                now > high,
                torch.full_like(now, max(high - margin, middle if low > -np.inf else -np.inf)),
                there,
            )
        step = torch.where(there != now, there - now, torch.zeros_like(now))
        _shift(coordinates, x, male, values, "body_weight" if name == "bmi" else "gfr", step)
    return False


def _shift(
    coordinates: Coordinates,
    x: torch.Tensor,
    male: torch.Tensor,
    values: Mapping[str, torch.Tensor],
    what: str,
    step: torch.Tensor,
) -> None:
    """Multiply body weight or filtration by exp(step), in place, where that is no more than
    allowed.
    """
    if what == "body_weight":
        k = MEASURED.index(what)
        z = coordinates.score(what, values[what] * torch.exp(step), male)
    else:
        k = _GFR
        z = x[:, k] + step / (GFR_SD_LN * coordinates.scale[RESIDUALS.index("gfr")])
    allowed = (step != 0) & ((z - x[:, k]).abs() <= _FARTHEST)
    x[:, k] = torch.where(allowed, z, x[:, k])


def _into(z: torch.Tensor, low, high, farthest: float) -> torch.Tensor:
    """z mirrored at the bounds; left alone when that moves it farther than `farthest` or
    out at the other end.
    """
    low, high = torch.as_tensor(low, dtype=z.dtype), torch.as_tensor(high, dtype=z.dtype)
    width = (high - low).clamp_min(0)
    over = (low - z).clamp_min(0)
    # a range narrower than the way back: spread evenly, mirrored to and fro
    back = torch.where(width > 0, over - 2 * width * torch.floor(over / (2 * width)), over)
    mirrored = torch.where(over > 0, low + torch.where(back > width, 2 * width - back, back), z)
    over = (z - high).clamp_min(0)
    back = torch.where(width > 0, over - 2 * width * torch.floor(over / (2 * width)), over)
    mirrored = torch.where(
        over > 0, high - torch.where(back > width, 2 * width - back, back), mirrored
    )
    return torch.where((mirrored - z).abs() <= farthest, mirrored, z)


def _bounds(
    name: str,
    ends: tuple[float, float],
    coordinates: Coordinates,
    male: torch.Tensor,
    rounded: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(n,) lower and upper standard scores: of all values that are inside once they are rounded."""
    low, high = ends
    if rounded:
        steps = STEPS[name][0] * STEPS[name][1]
        first, last = np.ceil(low * steps - 1e-9), np.floor(high * steps + 1e-9)
        if first <= last:  # otherwise nothing that the survey writes down is inside
            low, high = (first - 0.499) / steps, (last + 0.499) / steps
    n = len(male)

    def score(value: float, none: float) -> torch.Tensor:
        if value <= 0 or not np.isfinite(value):
            return torch.full((n,), none, dtype=torch.float64)
        return coordinates.score(name, torch.full((n,), value, dtype=torch.float64), male)

    return score(low, -np.inf), score(high, np.inf)


__all__ = ["mirror"]
