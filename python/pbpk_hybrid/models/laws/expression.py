"""Any formula of states and parameters, as imported models have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..._core.errors import InputError
from ..expressions.printing import text_of
from ..expressions.tree import evaluate, number, substitute
from .law import RateLaw

if TYPE_CHECKING:
    from ..system.system import Reaction


class ExpressionLaw(RateLaw):
    """v is the reaction's own ``expression`` over the names of states and of its ``symbols``.

    Its derivative, its text and its compiled code are made from the expression
    (:mod:`..expressions`), not from constants in a fixed order.
    """

    name = "expression"
    code = 5
    n_reactants = 0
    n_constants = 0

    def parameter_names(self, reaction: Reaction) -> tuple[str, ...]:
        """Names of the reaction's parameters, ``symbol[reaction]``."""
        return tuple(f"{s}[{reaction.name}]" for s in reaction.symbols)

    def rate(self, reaction: Reaction, y: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """v at amounts y (..., n_states), with parameters (..., n_symbols)."""
        values = {name: y[..., i] for name, i in reaction.inputs.items()}
        values |= {name: parameters[..., j] for j, name in enumerate(reaction.symbols)}
        return evaluate([reaction.expression], values)[0]

    def shown(self, reaction: Reaction, states: Sequence[str], parameters: np.ndarray) -> str:
        """The formula with the subject's numbers; states by their names."""
        values = zip(reaction.symbols, parameters, strict=True)
        numbers = {name: number(float(f"{value:.4g}")) for name, value in values}
        return text_of(substitute([reaction.expression], numbers)[0])

    def check(self, reaction: Reaction, n_states: int) -> None:
        """Whether there is an expression, and a parameter for each of its symbols.

        Raises
        ------
        InputError
            One of them is missing.
        """
        shape = np.shape(reaction.parameters)
        if reaction.expression is None or shape[1:] != (len(reaction.symbols),):
            raise InputError(
                f"reaction {reaction.name}",
                (reaction.expression, shape),
                "an expression, and one parameter for each of its symbols",
            )
