"""Saturable elimination or transport, with competitive inhibitors."""

from __future__ import annotations

from collections.abc import Sequence

from .law import RateLaw, Value


class MichaelisMenten(RateLaw):
    r""":math:`v = V_{max}\,a\,/\,(K_m (1 + \sum_k i_k/K_{i,k}) + a)`.

    Reactants (a, i_1, i_2, ...); constants (vmax, km, ki1, ki2, ...): Vmax an amount per
    hour, Km and Ki amounts. Constants of concentrations become amounts in the model that
    builds the reaction (Km V / partition).
    """

    name = "michaelis_menten"
    code = 0
    n_reactants = 1
    n_constants = 2
    per_inhibitor = 1

    def constants(self, n_inhibitors: int) -> tuple[str, ...]:
        """vmax, km, ki1, ki2, ..."""
        return ("vmax", "km", *(f"ki{k + 1}" for k in range(n_inhibitors)))

    def value(self, amounts: Sequence[Value], constants: Sequence[Value]) -> Value:
        """v [amount/h]."""
        return (
            constants[0]
            * amounts[0]
            / (constants[1] * _inhibition(amounts, constants) + amounts[0])
        )

    def derivative(self, amounts: Sequence[Value], constants: Sequence[Value]) -> list[Value]:
        """Vmax Km I / D^2 by a, and -Vmax a Km / (Ki_k D^2) by i_k, with D = Km I + a."""
        a, vmax, km = amounts[0], constants[0], constants[1]
        inhibition = _inhibition(amounts, constants)
        common = vmax / (km * inhibition + a) ** 2
        return [common * km * inhibition, *(-common * a * km / ki for ki in constants[2:])]

    def formula(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """As SBML text."""
        pairs = zip(amounts[1:], constants[2:], strict=True)
        inhibition = "".join(f" + {i} / {ki}" for i, ki in pairs)
        a, vmax, km = amounts[0], constants[0], constants[1]
        return f"{vmax} * {a} / ({km} * (1{inhibition}) + {a})"

    def equation(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """For a reader; Km alone where nothing inhibits."""
        pairs = zip(amounts[1:], constants[2:], strict=True)
        inhibition = "".join(f" + {i}/{ki}" for i, ki in pairs)
        km = f"{constants[1]} (1{inhibition})" if inhibition else constants[1]
        return f"{constants[0]} {amounts[0]} / ({km} + {amounts[0]})"

    def initial_slope(self, gain: float, constants: Sequence[float]) -> float:
        """`gain` Vmax/Km [1/h]."""
        return gain * constants[0] / constants[1]

    def half_constant(
        self, constants: Sequence[float], names: Sequence[str], reaction: str
    ) -> tuple[float, str] | None:
        """Km."""
        return constants[1], names[1]


def _inhibition(amounts: Sequence[Value], constants: Sequence[Value]) -> Value:
    """1 + sum of i_k/Ki_k."""
    inhibition: Value = 1.0
    for i, ki in zip(amounts[1:], constants[2:], strict=True):
        inhibition = inhibition + i / ki
    return inhibition
