"""A System from a structure and its parameters: the whole-body model of one compound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..system.graph import VENOUS
from ..system.system import Coefficients, Observable, Reaction, System
from .coefficients import WholeBodyCoefficients, concentrations
from .disposition import Disposition, check_disposition
from .structure import METABOLISED, ROUTE_STATES, WholeBodyStructure


def assemble_one(disposition: Disposition) -> System:
    """The System of a resolved compound without what named enzymes do that stand apart.

    Raises
    ------
    InputError
        Kp of a permeability-limited organ leaves no room for its cells; a saturable pathway in an
        organ that is no tissue.
    """
    check_disposition(disposition)
    return build_system(
        disposition.structure,
        disposition.parameters,
        subjects=disposition.subjects,
        oral=disposition.compound.absorption_rate is not None,
        attrs=dict(disposition.attrs),
    )


def build_system(
    structure: WholeBodyStructure,
    parameters: Mapping[str, np.ndarray],
    *,
    subjects: np.ndarray | None = None,
    oral: bool = True,
    attrs: Mapping[str, Any],
) -> System:
    """The System of a structure and its parameters.

    Parameters
    ----------
    structure : WholeBodyStructure
    parameters : mapping of str to ndarray, (n_subjects,) or (1,)
    subjects : ndarray, (n_subjects,), optional
        Labels; None: as many as the parameters have, numbered.
    oral : bool
        Whether oral doses can be given.
    attrs : mapping
        Attributes of the System.
    """
    assemble = WholeBodyCoefficients(structure)
    per_amount = concentrations(structure, parameters)
    transfers = assemble.transfers(parameters, per_amount)
    coefficients = assemble.coefficients(parameters, per_amount, transfers)
    rows, columns = transfers.pattern
    return System(
        structure.states,
        rows,
        columns,
        coefficients.k_value,
        _reactions(structure, coefficients),
        _observables(structure, coefficients),
        _targets(structure, oral),
        n_subjects=len(coefficients.k_value) if subjects is None else len(subjects),
        subjects=subjects,
        parameters=dict(parameters),
        assemble=assemble,
        attrs=attrs,
    )


def _reactions(structure: WholeBodyStructure, coefficients: Coefficients) -> tuple[Reaction, ...]:
    """Saturable pathways, saturable carriers and those of the gut model, in this order."""
    one_way = lambda source, target: ((source,), {source: -1.0, target: 1.0})
    laws: list[tuple[str, str, tuple[str, ...], Mapping[str, float]]] = [
        (name, "michaelis_menten", *one_way(structure.inside[organ], METABOLISED))
        for name, organ in structure.pathways
    ]
    laws += [
        (carrier.label, "michaelis_menten", *one_way(carrier.source, carrier.target))
        for carrier in structure.saturable_carriers
    ]
    laws += structure.absorption.reactions() if structure.absorption else []
    number = structure.number
    return tuple(
        Reaction(
            name,
            law,
            tuple(number[state] for state in reactants),
            {number[state]: gain for state, gain in stoichiometry.items()},
            values,
        )
        for (name, law, reactants, stoichiometry), values in zip(
            laws, coefficients.reaction_parameters, strict=True
        )
    )


def _observables(
    structure: WholeBodyStructure, coefficients: Coefficients
) -> dict[str, Observable]:
    """Concentrations of venous plasma and blood, of every organ as a whole and of its parts."""
    parts: dict[str, tuple[str, ...]] = {"plasma": (VENOUS,), "blood": (VENOUS,)}
    parts |= {organ: barrier.states for organ, barrier in structure.barriers.items()}
    return {
        name: Observable(tuple(structure.number[s] for s in parts.get(name, (name,))), factor)
        for name, factor in coefficients.observable_factor.items()
    }


def _targets(structure: WholeBodyStructure, oral: bool) -> dict[str, int]:
    """Route -> state that receives its doses."""
    targets = {route: structure.number[state] for route, state in ROUTE_STATES.items()}
    return targets | ({"oral": structure.number[structure.oral_target]} if oral else {})


__all__ = ["assemble_one", "build_system"]
