"""Organs whose mass is known: measured by imaging, or a share of the normal one.

The residuals of organs are independent of each other, so that with one organ held at its mass the
others are drawn as always, and muscle takes what is left: the distribution of bodies given the
organ. Who has such a body is another matter. A mass in kg makes people likelier for whom it is
usual: they are drawn in proportion to its density given their sex, age and size. A share of normal
says nothing about who they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from ..species import density
from .body import INDEX, SCALED_ORGANS, People, expected_masses
from .variability import CUT, organ_cv, sd_ln

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

    def likelihood(self, people: People) -> np.ndarray:
        """(person,) density of the mass given sex, age and size, up to a factor; 1 for a share."""
        if self.relative:
            return np.ones(people.age.size)
        expected = expected_masses(people)[:, INDEX[self.organ]]
        column = INDEX[self.organ]
        by_sex = {sex: organ_cv(sex) for sex in ("male", "female")}
        cv = np.where(people.male, by_sex["male"][0][column], by_sex["female"][0][column])
        logarithmic = np.where(people.male, by_sex["male"][1][column], by_sex["female"][1][column])
        ratio = self.value / expected
        z = np.where(logarithmic, np.log(ratio) / sd_ln(cv), (ratio - 1) / cv)
        width = np.where(logarithmic, self.value * sd_ln(cv), expected * cv)
        return np.where(np.abs(z) <= CUT, np.exp(-0.5 * z**2) / width, 0.0)


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


__all__ = ["FIXABLE", "FixedOrgan", "put_in", "read_organs"]
