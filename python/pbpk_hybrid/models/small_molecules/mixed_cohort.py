"""A cohort in which every subject may get a drug of its own, of any species: one System, one integration.

A System holds one value of every coefficient per subject, and nothing in it says that the subjects share a compound. What
:func:`.whole_body.whole_body_system` works out from one Compound and one species is given here as plain arrays instead,
so that thousands of (compound, subject) pairs are assembled and integrated at once, as the training of learned
components needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..._core.errors import InputError
from ..system.graph import whole_body_graph
from ..system.system import Observable, Reaction, System
from .whole_body import LUMEN, METABOLISED, ROUTE_STATES, SINKS, VENOUS, _assembler

#: name of the one saturable pathway that every subject has; its Vmax is 0 where a drug has none
PATHWAY = "saturable"


def mixed_cohort_system(
    parameters: Mapping[str, np.ndarray], organs: Sequence[str], *, saturable: bool = False
) -> System:
    """The flow-limited whole-body model of n subjects from arrays of its parameters.

    Parameters
    ----------
    parameters : name -> (n,) or (1,): ``fraction_unbound_plasma``, ``blood_to_plasma_ratio``, ``volume.<organ>`` [L],
        ``flow.<organ>`` [L/h] and ``kp.<organ>`` of every organ, ``clint.liver`` [L/h], ``clearance_renal`` [L/h],
        ``absorption_rate`` [1/h], ``fraction_absorbed``, ``fraction_gut``; with `saturable` also ``vmax[saturable]``
        [mg/h] and ``km[saturable]`` [mg/L unbound] in the liver
    organs : names, in order; ``arterial_blood``, ``venous_blood``, ``lung`` and ``liver`` among them
    saturable : whether subjects have a Michaelis-Menten pathway in the liver

    Returns
    -------
    System with the observables of :func:`.whole_body.whole_body_system`, differentiable by every one of `parameters`

    Raises
    ------
    InputError : a parameter is missing (named)
    """
    graph = whole_body_graph(tuple(organs))
    states = (LUMEN, *graph.organs, *SINKS)
    number = {s: i for i, s in enumerate(states)}
    pathways = [(PATHWAY, "liver")] if saturable else []
    assemble = _assembler(states, graph, pathways, 0, {})
    try:
        coefficients = assemble(parameters)
    except KeyError as missing:
        raise InputError("parameters", sorted(parameters), f"a parameter {missing}") from missing
    rows, columns = assemble.pattern
    reactions = tuple(
        Reaction(
            PATHWAY,
            "michaelis_menten",
            (number["liver"],),
            {number["liver"]: -1.0, number[METABOLISED]: 1.0},
            values,
        )
        for values in coefficients.reaction_parameters
    )
    parts = {"plasma": VENOUS, "blood": VENOUS}
    observables = {
        name: Observable((number[parts.get(name, name)],), factor)
        for name, factor in coefficients.observable_factor.items()
    }
    return System(
        states,
        rows,
        columns,
        coefficients.k_value,
        reactions,
        observables,
        {**{route: number[state] for route, state in ROUTE_STATES.items()}, "oral": number[LUMEN]},
        n_subjects=len(coefficients.k_value),
        parameters=dict(parameters),
        assemble=assemble,
        attrs={"model": "whole_body_flow_limited", "compound": "a drug per subject"},
    )


__all__ = ["PATHWAY", "mixed_cohort_system"]
