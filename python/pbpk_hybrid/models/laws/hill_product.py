"""Sigmoid saturation by one reactant of what another one does."""

from __future__ import annotations

from collections.abc import Sequence

from .hill import Hill, hill_share
from .law import Value


class HillProduct(Hill):
    """v = k b a^g / (K^g + a^g); reactants (a, b), constants as those of :class:`.hill.Hill`."""

    name = "hill_product"
    code = 3
    n_reactants = 2

    def value(self, amounts: Sequence[Value], constants: Sequence[Value]) -> Value:
        """v, in the unit of k times that of b."""
        return super().value(amounts, constants) * amounts[1]

    def derivative(self, amounts: Sequence[Value], constants: Sequence[Value]) -> list[Value]:
        """k b phi' by a, and k phi by b."""
        by_a = super().derivative(amounts, constants)[0] * amounts[1]
        return [by_a, constants[0] * hill_share(amounts[0], constants[1], constants[2])]

    def formula(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """As SBML text."""
        return f"{super().formula(amounts, constants)} * {amounts[1]}"

    def equation(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """For a reader."""
        return f"{super().equation(amounts, constants)} {amounts[1]}"
