"""What can be asked for: ranges of measured and derived quantities, sex, ethnicity; and the
features of a condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from ...physiology.adults.selection import ethnicities
from ...physiology.adults.survey import ETHNICITIES
from ...physiology.organs import SEXES
from .contradictions import contradiction
from .coordinates import MEASURED, UNITS, Coordinates, Decoded
from .module import CONDITIONS

#: share of the range trained on by which an end may lie beyond it unmarked, such as age 80
_NEAR = 0.01
_FAR = 4.5  # z that stands for "no bound"
DERIVED = CONDITIONS[len(MEASURED) :]


@dataclass(frozen=True)
class Condition:
    """A checked request.

    Parameters
    ----------
    ranges : mapping
        quantity -> (low, high)
    sex : str, float or None
        a name, or the fraction of women
    ethnicity
        tuple of str or None
    extrapolated : tuple of str
        quantities whose range lies outside of what was trained on
    beyond : tuple of str
        ends that reach further than the people trained on: nobody is drawn there
    request : mapping
        as the user wrote it, for messages and attributes
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sex: str | float | None = None
    ethnicity: tuple[str, ...] | None = None
    extrapolated: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, people: Decoded) -> torch.Tensor:
        """(n,) bool: who satisfies every range."""
        return self.within(people.quantities())

    def within(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """As :meth:`holds`, for columns by name."""
        good = torch.ones(len(values["age"]), dtype=torch.bool)
        for name, (low, high) in self.ranges.items():
            good &= (values[name] >= low) & (values[name] <= high)
        return good


def check(
    condition: Mapping[str, Any] | None,
    trained: Mapping[str, tuple[float, float]],
    extrapolate: bool,
) -> Condition:
    """Check a request against the ranges seen in training.

    Parameters
    ----------
    condition
        name -> (low, high) with None for an open end, or a number (age: that year of life);
        "sex": "female", "male" or the fraction of women; "ethnicity": one name or several
    trained
        name -> (low, high) of the people trained on
    extrapolate
        allow ranges that reach nobody of them

    Raises
    ------
    UnknownNameError
        a quantity, sex or ethnicity that does not exist
    InputError
        upside down, contradictory, or outside what was trained on; names the field, the
        value and the range
    """
    ranges: dict[str, tuple[float, float]] = {}
    sex = ethnicity = None
    for name, value in (condition or {}).items():
        if name == "sex":
            sex = _sex(value)
        elif name == "ethnicity":
            ethnicity = ethnicities(value)
        elif name in CONDITIONS:
            ranges[name] = _range(name, value)
        else:
            raise unknown_name(
                "condition",
                name,
                (*CONDITIONS, "sex", "ethnicity"),
                what="a quantity that can be asked for",
            )
    outside, beyond = [], []
    for name, (low, high) in ranges.items():
        least, most = trained[name]
        if high < least or low > most:
            if not extrapolate:
                raise InputError(
                    f"condition.{name}",
                    (low, high),
                    f"a range that overlaps {least:.4g} to {most:.4g} {UNITS[name]}",
                    hint="nobody like that was trained on; extrapolate=True tries nevertheless",
                )
            outside.append(name)
        elif ends := [
            f"{name} {word} {end:.4g} {UNITS[name]} (trained on {word} {bound:.4g})"
            for word, end, bound, far in (
                ("from", low, least, least - low),
                ("to", high, most, high - most),
            )
            if 0 < end < np.inf and far > _NEAR * (most - least)
        ]:
            beyond += ends
    contradiction(ranges, sex, trained)
    return Condition(ranges, sex, ethnicity, tuple(outside), tuple(beyond), dict(condition or {}))


def _sex(value: Any) -> str | float:
    if isinstance(value, str):
        if value not in SEXES:
            raise unknown_name(
                "condition.sex", value, SEXES, what="'male', 'female' or the fraction of women"
            )
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InputError(
            "condition.sex", value, "'male', 'female' or the fraction of women, 0 to 1"
        )
    return float(value)


def _range(name: str, value: Any) -> tuple[float, float]:
    unit = UNITS[name]
    if not isinstance(value, (tuple, list, np.ndarray)):
        number = quantity(value, unit, f"condition.{name}", minimum=0)
        if name != "age":
            raise InputError(
                f"condition.{name}",
                value,
                f"a pair (low, high) [{UNITS[name]}]; None for an open end",
            )
        return number, float(np.nextafter(number + 1, number))
    if len(value) != 2:
        raise InputError(f"condition.{name}", value, f"a pair (low, high) [{UNITS[name]}]")
    low, high = (
        None if v is None else quantity(v, unit, f"condition.{name}", minimum=0) for v in value
    )
    low, high = 0.0 if low is None else low, np.inf if high is None else high
    if low > high:
        raise InputError(f"condition.{name}", value, f"low <= high [{UNITS[name]}]")
    return float(low), float(high)


def scores(
    values: Mapping[str, torch.Tensor],
    male: torch.Tensor,
    coordinates: Coordinates,
    log_moments: torch.Tensor,
) -> torch.Tensor:
    """(n, 8) of the conditionable quantities as standard scores.

    `log_moments` (3, 2) holds mean and standard deviation of the logarithms of the derived ones.
    """
    columns = [coordinates.score(name, values[name], male) for name in MEASURED]
    for k, name in enumerate(DERIVED):
        columns.append((torch.log(values[name].double()) - log_moments[k, 0]) / log_moments[k, 1])
    return torch.stack(columns, 1)  # (n, 8)


def features(
    condition: Condition, male: torch.Tensor, coordinates: Coordinates, log_moments: torch.Tensor
) -> torch.Tensor:
    """(n, 8, 3) features of a condition: 1 where there is a range, its ends as scores."""
    n = len(male)
    encoded = torch.zeros(n, len(CONDITIONS), 3)
    for k, name in enumerate(CONDITIONS):
        bounds = condition.ranges.get(name)
        if bounds is None:
            continue
        ends = []
        for bound, far in zip(bounds, (-_FAR, _FAR), strict=True):
            if bound <= 0 or not np.isfinite(bound):
                ends.append(torch.full((n,), far, dtype=torch.float64))
            elif name in MEASURED:
                ends.append(
                    coordinates.score(name, torch.full((n,), bound, dtype=torch.float64), male)
                )
            else:
                j = DERIVED.index(name)
                ends.append(
                    (
                        (torch.log(torch.tensor(bound)) - log_moments[j, 0]) / log_moments[j, 1]
                    ).expand(n)
                )
        encoded[:, k, 0] = 1.0
        # (n, 2), lower and upper end
        encoded[:, k, 1:] = torch.stack(ends, 1).clamp(-_FAR, _FAR).float()
    return encoded


def random_features(z: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Random conditions that hold for people with scores `z` (n, 8), for training.

    The ends must tell nothing about where inside the person is, or the network would learn
    it. A range with the person at a uniformly random place in it has this property; so has
    a one-sided bound that is drawn first and kept only if it holds.
    """
    n, m = z.shape

    def uniform() -> torch.Tensor:
        return torch.rand(n, m, generator=generator).to(z.device)

    width = torch.exp(-0.3 + torch.randn(n, m, generator=generator).to(z.device))
    low = z - width * uniform()
    high = low + width
    bound, upper = 7.0 * uniform() - 3.5, uniform() < 0.5
    one_sided = uniform() < 0.5
    holds = torch.where(upper, z <= bound, z >= bound)
    low = torch.where(one_sided, torch.where(upper, torch.full_like(z, -_FAR), bound), low)
    high = torch.where(one_sided, torch.where(upper, bound, torch.full_like(z, _FAR)), high)
    anybody = torch.rand(n, 1, generator=generator).to(z.device) < share
    requested = (anybody & (uniform() < 0.3) & (holds | ~one_sided)).float()
    return torch.stack(  # (n, 8, 3)
        [requested, requested * low.clamp(-_FAR, _FAR), requested * high.clamp(-_FAR, _FAR)], 2
    )


def groups(male: torch.Tensor, ethnicity: torch.Tensor) -> torch.Tensor:
    """(n, 7) one-hot: sex (2) and ethnicity (5)."""
    sex = torch.nn.functional.one_hot(male.long(), 2)
    return torch.cat(
        [sex, torch.nn.functional.one_hot(ethnicity.long(), len(ETHNICITIES))], 1
    ).float()
