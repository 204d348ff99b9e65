"""Two reactants that meet, such as a drug and its target."""

from __future__ import annotations

from collections.abc import Sequence

from .law import RateLaw, Value


class MassAction(RateLaw):
    """v = k a b; reactants (a, b), constant k [1/(amount h)]."""

    name = "mass_action"
    code = 1
    n_reactants = 2
    n_constants = 1

    def constants(self, n_inhibitors: int) -> tuple[str, ...]:
        """k."""
        return ("k",)

    def value(self, amounts: Sequence[Value], constants: Sequence[Value]) -> Value:
        """v [amount/h]."""
        return constants[0] * amounts[0] * amounts[1]

    def derivative(self, amounts: Sequence[Value], constants: Sequence[Value]) -> list[Value]:
        """k b by a, and k a by b."""
        return [constants[0] * amounts[1], constants[0] * amounts[0]]

    def formula(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """As SBML text."""
        return f"{constants[0]} * {amounts[0]} * {amounts[1]}"

    def equation(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """For a reader."""
        return f"{constants[0]} {amounts[0]} {amounts[1]}"
