"""Sigmoid saturation: Hill's equation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .law import RateLaw, Value

#: below this fraction of its half constant a Hill law is a straight line to 0, so that
#: its slope is finite there
HILL_FLOOR = 1e-9


class Hill(RateLaw):
    """v = k a^g / (K^g + a^g); reactant (a,), constants (k, half, power) = (k, K, g).

    Under `HILL_FLOOR` K it is a straight line to 0.
    """

    name = "hill"
    code = 2
    n_reactants = 1
    n_constants = 3

    def constants(self, n_inhibitors: int) -> tuple[str, ...]:
        """k, half, power."""
        return ("k", "half", "power")

    def value(self, amounts: Sequence[Value], constants: Sequence[Value]) -> Value:
        """v, in the unit of k."""
        return constants[0] * hill_share(amounts[0], constants[1], constants[2])

    def derivative(self, amounts: Sequence[Value], constants: Sequence[Value]) -> list[Value]:
        """k phi' by a."""
        return [constants[0] * hill_slope(amounts[0], constants[1], constants[2])]

    def formula(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """As SBML text; a rounding error below 0 counts as 0."""
        k, half, g = constants
        power = f"max({amounts[0]}, 0)^{g}"
        return f"{k} * {power} / ({half}^{g} + {power})"

    def equation(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """For a reader."""
        k, half, g = constants
        return f"{k} {amounts[0]}^{g} / ({half}^{g} + {amounts[0]}^{g})"

    def half_constant(
        self, constants: Sequence[float], names: Sequence[str], reaction: str
    ) -> tuple[float, str] | None:
        """K."""
        return constants[1], names[1]


def hill_share(a: Value, half: Value, power: Value) -> np.ndarray:
    """phi(a) = a^g/(K^g + a^g), straight to 0 under HILL_FLOOR K.

    Parameters
    ----------
    a, half : amount and half constant K, in the same unit; arrays broadcast
    power : g

    Returns
    -------
    phi : array, in [0, 1] for a >= 0; complex where an argument is
    """
    x = np.asarray(a / half)
    inside = np.real(x) > HILL_FLOOR
    log_x = np.log(np.where(inside, x, HILL_FLOOR))
    share = 1.0 / (
        1.0 + np.exp(np.clip(-power * np.real(log_x), -700, 700) - 1j * power * np.imag(log_x))
    )
    if not np.iscomplexobj(x) and not np.iscomplexobj(np.asarray(power)):
        share = np.real(share)
    return np.where(inside, share, share * np.where(inside, 0.0, x) / HILL_FLOOR)


def hill_slope(a: Value, half: Value, power: Value) -> np.ndarray:
    """d phi/da = g phi (1 - phi)/a; under HILL_FLOOR K that of the straight line [1/amount]."""
    a, half = np.asarray(a), np.asarray(half)
    inside = np.real(a / half) > HILL_FLOOR
    share = hill_share(a, half, power)
    curved = power / np.where(inside, a, half) * share * (1.0 - share)
    return np.where(
        inside, curved, hill_share(HILL_FLOOR * half, half, power) / (HILL_FLOOR * half)
    )
