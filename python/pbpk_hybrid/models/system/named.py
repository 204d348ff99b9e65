"""A System through its named parameters: what they are, and the same system with other
values of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .derivatives import parameter_names
from .system import Coefficients, System


def own_values(system: System) -> dict[str, np.ndarray]:
    """Named parameters of the system, (n_subjects or 1,) each; entries of K and reaction
    constants where it names none.
    """
    if system.assemble is not None:
        return {k: np.atleast_1d(np.asarray(v, dtype=float)) for k, v in system.parameters.items()}
    names = parameter_names(system)
    columns = [*system.k_value.T, *(column for r in system.reactions for column in r.parameters.T)]
    return dict(zip(names, columns, strict=True))


def named(system: System) -> System:
    """The system with named parameters: where it has none, every entry of K and every
    reaction constant is one.
    """
    if system.assemble is not None:
        return system
    names = parameter_names(system)
    n_k, sizes = len(system.k_row), [r.parameters.shape[1] for r in system.reactions]

    def assemble(p: Mapping[str, Any]) -> Coefficients:
        columns = [np.atleast_1d(p[n]) for n in names]
        stack = lambda part: (
            np.stack(np.broadcast_arrays(*part), axis=1) if part else np.zeros((1, 0))
        )
        reactions, at = [], n_k
        for size in sizes:
            reactions.append(stack(columns[at : at + size]))
            at += size
        factor = {k: o.factor for k, o in system.observables.items()}
        offset = {k: o.offset for k, o in system.observables.items() if o.offset is not None}
        return Coefficients(stack(columns[:n_k]), tuple(reactions), factor, offset)

    return replace(system, parameters=own_values(system), assemble=assemble)


def with_values(
    system: System,
    parameters: Mapping[str, np.ndarray],
    numbers: Mapping[str, np.ndarray] | None = None,
) -> System:
    """The same system with other values of its named parameters, (n_subjects or 1,) each.

    `numbers`: the same values for `assemble`, where it takes them in a shorter form (one
    number for all subjects).
    """
    c = system.assemble(parameters if numbers is None else numbers)
    n = system.n_subjects
    rows = lambda a: a if len(a) in (1, n) else np.broadcast_to(a, (n, *a.shape[1:]))
    return replace(
        system,
        k_value=rows(c.k_value),
        reactions=tuple(
            replace(r, parameters=rows(np.atleast_2d(p)))
            for r, p in zip(system.reactions, c.reaction_parameters, strict=True)
        ),
        observables={
            k: replace(
                o,
                factor=np.atleast_1d(c.observable_factor.get(k, o.factor)),
                offset=np.atleast_1d(c.observable_offset[k])
                if k in c.observable_offset
                else o.offset,
            )
            for k, o in system.observables.items()
        },
        parameters=dict(parameters),
        events=_with_constants(system, c),
    )


def _with_constants(system: System, coefficients: Coefficients):
    """The system's events with other constants."""
    if system.events is None or coefficients.event_constants is None:
        return system.events
    return replace(system.events, values_of_constants=coefficients.event_constants)
