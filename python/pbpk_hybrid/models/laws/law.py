"""What a rate law says of itself; see :mod:`.registry` for who reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..._core.errors import InputError

if TYPE_CHECKING:
    from ..system.system import Reaction

#: an amount or a constant: a number, or an array of any shape; complex while differentiating
Value = Any


class RateLaw:
    """A rate law v(amounts; constants) with at least one reactant.

    Amounts are those of the reactants in their order, constants those of a reaction in
    theirs. Both are numbers, or arrays that broadcast; complex ones pass through (complex
    step).

    Attributes
    ----------
    name : str
        By which a :class:`.system.Reaction` names the law.
    code : int
        By which compiled backends know it; the same in Julia.
    n_reactants, n_constants : int
        Those that every reaction of this law has.
    per_inhibitor : int
        Constants of each further reactant; 0: there may be none.
    """

    name: ClassVar[str]
    code: ClassVar[int]
    n_reactants: ClassVar[int]
    n_constants: ClassVar[int]
    per_inhibitor: ClassVar[int] = 0

    def constants(self, n_inhibitors: int) -> tuple[str, ...]:
        """Names of the constants, without the reaction's name."""
        raise NotImplementedError

    def value(self, amounts: Sequence[Value], constants: Sequence[Value]) -> Value:
        """v: the definition that every compiled form is checked against."""
        raise NotImplementedError

    def derivative(self, amounts: Sequence[Value], constants: Sequence[Value]) -> list[Value]:
        """dv/d(amount) of every reactant, in their order."""
        raise NotImplementedError

    def formula(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """v as text in the syntax of SBML's level 3 formulas."""
        raise NotImplementedError

    def equation(self, amounts: Sequence[str], constants: Sequence[str]) -> str:
        """v as a reader writes it; `constants` are numbers as text."""
        raise NotImplementedError

    def initial_slope(self, gain: float, constants: Sequence[float]) -> float:
        """`gain` times dv/d(first amount) where all amounts are 0; 0 where there is no slope."""
        return 0.0

    def half_constant(
        self, constants: Sequence[float], names: Sequence[str], reaction: str
    ) -> tuple[float, str] | None:
        """(amount of half saturation [mg], name of its constant); None: it does not saturate."""
        return None

    # ---- a reaction of this law ----

    def parameter_names(self, reaction: Reaction) -> tuple[str, ...]:
        """Names of a reaction's parameters, ``constant[reaction]``."""
        n_inhibitors = len(reaction.reactants) - self.n_reactants
        return tuple(f"{c}[{reaction.name}]" for c in self.constants(n_inhibitors))

    def rate(self, reaction: Reaction, y: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """v of a reaction at amounts y (..., n_states), with parameters (..., n_constants)."""
        amounts = [y[..., state] for state in reaction.reactants]
        return self.value(amounts, [parameters[..., j] for j in range(parameters.shape[-1])])

    def shown(self, reaction: Reaction, states: Sequence[str], parameters: np.ndarray) -> str:
        """A reaction's rate as a reader writes it.

        Parameters
        ----------
        states : names of all states of the System
        parameters : (n_constants,) of one subject; four digits are shown
        """
        amounts = [f"[{states[i]}]" for i in reaction.reactants]
        return self.equation(amounts, [f"{value:.4g}" for value in parameters])

    def check(self, reaction: Reaction, n_states: int) -> None:
        """Whether the reaction fits the law.

        Raises
        ------
        InputError
            A number of reactants or parameters that the law does not have, or a state
            that the System does not have.
        """
        extra = len(reaction.reactants) - self.n_reactants
        if extra < 0 or (extra and not self.per_inhibitor):
            raise InputError(
                f"reaction {reaction.name}: reactants",
                reaction.reactants,
                f"{self.n_reactants} reactants for {self.name}",
            )
        n = self.n_constants + self.per_inhibitor * extra
        if np.ndim(reaction.parameters) != 2 or reaction.parameters.shape[1] != n:
            raise InputError(
                f"reaction {reaction.name}: parameters",
                np.shape(reaction.parameters),
                f"shape (n_subjects or 1, {n})",
            )
        if any(not 0 <= s < n_states for s in (*reaction.reactants, *reaction.stoichiometry)):
            raise InputError(
                f"reaction {reaction.name}",
                (reaction.reactants, dict(reaction.stoichiometry)),
                f"states 0 to {n_states - 1}",
            )
