"""How a System's coefficients change with its named parameters.

Models assemble their coefficients by plain arithmetic, so one evaluation with a parameter
moved by i 1e-30 gives the derivative to rounding error (complex step: Squire & Trapp
1998, SIAM Review 40:110).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..._core.errors import unknown_name
from .system import Coefficients, System

_STEP = 1e-30


@dataclass(frozen=True, eq=False)
class ParameterDerivative:
    """d(coefficients)/d(parameter) for every subject.

    Parameters
    ----------
    name : the parameter
    k_index : (n_touched,) entries of K that depend on it
    k_value : (n_subjects or 1, n_touched)
    reactions : one (n_subjects or 1, n_parameters) per reaction
    factor, offset : observable -> (n_subjects or 1,), only those that depend on it
    events : (n_subjects or 1, n_constants) of the events' constants; None: no events
    """

    name: str
    k_index: np.ndarray
    k_value: np.ndarray
    reactions: tuple[np.ndarray, ...]
    factor: dict[str, np.ndarray]
    offset: dict[str, np.ndarray] = field(default_factory=dict)
    events: np.ndarray | None = None


def parameter_names(system: System) -> tuple[str, ...]:
    """Names that sensitivities can be asked for."""
    if system.assemble is not None:
        return tuple(system.parameters)
    entries = tuple(
        f"K[{system.states[i]},{system.states[j]}]"
        for i, j in zip(system.k_row, system.k_col, strict=True)
    )
    return entries + tuple(name for r in system.reactions for name in r.parameter_names)


def parameter_derivatives(system: System, names: Sequence[str]) -> list[ParameterDerivative]:
    """Derivatives of K, reaction parameters and observable factors.

    Raises
    ------
    UnknownNameError : a name that is no parameter of the system
    """
    known = parameter_names(system)
    for name in names:
        if name not in known:
            raise unknown_name("parameters", name, known, what="a parameter of the system")
    if system.assemble is None:
        return [_entry(system, known.index(name), name) for name in names]
    return [_complex_step(system, name) for name in names]


def _entry(system: System, which: int, name: str) -> ParameterDerivative:
    zero = [np.zeros((1, r.parameters.shape[1])) for r in system.reactions]
    if which < len(system.k_row):
        return ParameterDerivative(name, np.array([which]), np.ones((1, 1)), tuple(zero), {})
    which -= len(system.k_row)
    for block in zero:
        if which < block.shape[1]:
            block[0, which] = 1.0
            break
        which -= block.shape[1]
    return ParameterDerivative(name, np.zeros(0, dtype=np.int64), np.zeros((1, 0)), tuple(zero), {})


def _complex_step(system: System, name: str) -> ParameterDerivative:
    moved = dict(system.parameters)
    moved[name] = np.asarray(moved[name], dtype=complex) + 1j * _STEP
    c: Coefficients = system.assemble(moved)
    slope = lambda a: np.imag(a) / _STEP
    k = np.atleast_2d(slope(c.k_value))
    touched = np.flatnonzero(np.any(k != 0.0, axis=0))
    factor, offset = (
        {n: d for n, f in of.items() if np.any((d := np.atleast_1d(slope(f))) != 0.0)}
        for of in (c.observable_factor, c.observable_offset)
    )
    return ParameterDerivative(
        name,
        touched,
        k[:, touched],
        tuple(np.atleast_2d(slope(r)) for r in c.reaction_parameters),
        factor,
        offset,
        None if c.event_constants is None else np.atleast_2d(slope(c.event_constants)),
    )
