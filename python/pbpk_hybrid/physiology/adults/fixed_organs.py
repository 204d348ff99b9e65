"""Organs whose mass is known: measured by imaging, or a share of the normal one.

With an organ held at its mass the others are drawn from what goes with it
(:func:`.variability.mass_scores`), and muscle takes what is left: the distribution of bodies given
the organ. Who has such a body is another matter. A mass in kg makes people likelier for whom it is
usual: they are drawn in proportion to its density given their sex, age, size and filtration. A
share of normal says nothing about who they are, but that small kidneys filter less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from ..species import density
from .body import INDEX, SCALED_ORGANS
from .variability import (
    CUT,
    VISCERAL,
    VISCERAL_CORRELATION,
    lowest_scores,
    out_of_bounds,
    own_part,
    sd_ln,
)

#: organs with a mass of their own; muscle, adipose tissue and the rest follow from weight and fat
FIXABLE = (*SCALED_ORGANS, "brain", "skin", "bone")
_OF_NORMAL = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)\s*(?:of|x|×)\s*normal\s*")
_SHARES = (0.2, 3.0)


@dataclass(frozen=True)
class FixedOrgan:
    """An organ whose mass is given.

    Parameters
    ----------
    organ : str
        One of :data:`FIXABLE`.
    value : float
        Mass [kg], or share of the mass expected at the person's sex, age and size.
    relative : bool
        Whether `value` is a share.
    """

    organ: str
    value: float
    relative: bool

    def mass(self, expected: np.ndarray) -> np.ndarray:
        """(person,) mass [kg], from the expected ones."""
        return self.value * expected if self.relative else np.full(expected.shape, self.value)

    def scores(self, male: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(person,) normal scores of the mass, and logarithm of their change with the mass [kg].

        Scores are infinite beyond the bounds of the organ; `expected` (person, organ) [kg].
        """
        at = INDEX[self.organ]
        low, cv, logarithmic = (table[:, at] for table in lowest_scores(male))
        usual = expected[:, at]
        ratio = self.mass(usual) / usual
        with np.errstate(divide="ignore"):
            z = np.where(logarithmic, np.log(ratio) / sd_ln(cv), (ratio - 1) / cv)
        width = np.where(logarithmic, self.mass(usual) * sd_ln(cv), usual * cv)
        inside = (z >= low) & (z <= CUT)
        n = out_of_bounds(np.clip(z, low, CUT), low)
        # dn/dz of scores cut at the bounds
        slope = 0.5 * (n**2 - z**2) - np.log(ndtr(CUT) - ndtr(low))
        return np.where(inside, n, np.inf * np.sign(z)), slope - np.log(width)


def known_scores(
    fixed: tuple[FixedOrgan, ...], male: np.ndarray, expected: np.ndarray
) -> dict[str, np.ndarray]:
    """Organ -> (person,) normal scores of the organs that are given, at most 5 in size."""
    return {o.organ: np.clip(o.scores(male, expected)[0], -5.0, 5.0) for o in fixed}


def log_likelihood(
    fixed: tuple[FixedOrgan, ...],
    male: np.ndarray,
    expected: np.ndarray,
    residual_of_gfr: np.ndarray,
) -> np.ndarray:
    """(person,) logarithm of the density of the given organs, up to a constant; -inf beyond bounds.

    Of masses given the shares of normal, both with what they say about filtration.

    Parameters
    ----------
    male, expected
        (person,) and (person, organ) [kg].
    residual_of_gfr : ndarray
        (person,) standard deviations of GFR from the expected one.
    """
    total = np.zeros(male.size)
    if not fixed:
        return total
    z = np.clip(residual_of_gfr, -CUT, CUT)
    every, shares = {}, {}
    for organ in fixed:
        score, slope = organ.scores(male, expected)
        every[organ.organ] = score
        if organ.relative:
            shares[organ.organ] = score
        else:
            total += slope
    possible = np.all([np.isfinite(score) for score in every.values()], axis=0)
    with np.errstate(invalid="ignore"):
        total += _joint(every, z) - _joint(shares, None)
    return np.where(possible, total, -np.inf)


def _joint(scores: Mapping[str, np.ndarray], residual: np.ndarray | None) -> np.ndarray | float:
    """(person,) log density of scores together, up to a constant; given filtration, or not."""
    total: np.ndarray | float = 0.0
    precision: np.ndarray | float = 1.0
    pull: np.ndarray | float = 0.0
    for organ, score in scores.items():
        if organ not in VISCERAL:
            total = total - 0.5 * score**2
            continue
        if residual is None:
            mean, variance = np.zeros(score.size), 1 - VISCERAL_CORRELATION
        else:
            mean, variance = own_part(organ, residual)
        left = score - mean
        total = total - 0.5 * left**2 / variance
        precision = precision + VISCERAL_CORRELATION / variance
        pull = pull + np.sqrt(VISCERAL_CORRELATION) * left / variance
    return total + 0.5 * pull**2 / precision


def read_organs(organs: Mapping[str, Any] | None) -> tuple[FixedOrgan, ...]:
    """Organs that are given.

    Parameters
    ----------
    organs : mapping or None
        Organ -> mass [kg], text such as "1.2 kg", "1.1 L" or "0.8 of normal".

    Raises
    ------
    UnknownNameError
        No organ, or one that follows from others.
    InputError
        A value that cannot be understood.
    """
    if organs is None:
        return ()
    if not isinstance(organs, Mapping):
        raise InputError("organs", type(organs).__name__, "a mapping such as {'liver': '1.2 kg'}")
    out = []
    for name, value in organs.items():
        if name not in FIXABLE:
            raise unknown_name("organs", name, FIXABLE, what="an organ with a mass of its own")
        where = f"organs[{name!r}]"
        found = _OF_NORMAL.fullmatch(value) if isinstance(value, str) else None
        if found:
            share = float(found[1]) / (100 if found[2] else 1)
            if not _SHARES[0] <= share <= _SHARES[1]:
                raise InputError(where, value, f"{_SHARES[0]:g} to {_SHARES[1]:g} of normal")
            out.append(FixedOrgan(name, share, True))
        elif isinstance(value, str) and re.fullmatch(r"\s*[0-9.]+\s*", value):
            wanted = f"{value.strip()} kg, {value.strip()} L or {value.strip()} of normal"
            raise InputError(where, value, "a mass, volume or share of normal", hint=wanted)
        elif isinstance(value, str) and re.search(r"\b(m|µ|u)?L\b", value):
            litres = quantity(value, "L", where, positive=True)
            out.append(FixedOrgan(name, litres * density()[name][0], False))
        else:
            out.append(FixedOrgan(name, quantity(value, "kg", where, positive=True), False))
    return tuple(out)


def put_in(mass: np.ndarray, expected: np.ndarray, fixed: tuple[FixedOrgan, ...]) -> np.ndarray:
    """Masses (person, organ) [kg] with the given organs at theirs."""
    if not fixed:
        return mass
    mass = mass.copy()
    for organ in fixed:
        column = INDEX[organ.organ]
        mass[:, column] = organ.mass(expected[:, column])
    return mass


__all__ = [
    "FIXABLE",
    "FixedOrgan",
    "known_scores",
    "log_likelihood",
    "put_in",
    "read_organs",
]
