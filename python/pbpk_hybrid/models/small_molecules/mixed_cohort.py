"""A cohort in which every subject may get a drug of its own, of any species: one System,
one integration.

A System holds one value of every coefficient per subject, and nothing in it says that the subjects
share a compound. The parameters that :func:`.disposition.resolve_disposition` finds for one
compound and one species are given here as plain arrays instead. Thousands of (compound, subject)
pairs are then assembled and integrated at once, as the training of learned components needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..._core.errors import InputError
from ..system.graph import LIVER, whole_body_graph
from ..system.system import System
from .assembly import build_system
from .structure import WholeBodyStructure

#: name of the one saturable pathway that every subject has; its Vmax is 0 where a drug has none
PATHWAY = "saturable"


def mixed_cohort_system(
    parameters: Mapping[str, np.ndarray], organs: Sequence[str], *, saturable: bool = False
) -> System:
    """The flow-limited whole-body model of n subjects from arrays of its parameters.

    Parameters
    ----------
    parameters : mapping of str to ndarray, (n,) or (1,)
        ``fraction_unbound_plasma``, ``blood_to_plasma_ratio``, ``volume.<organ>`` [L],
        ``flow.<organ>`` [L/h] and ``kp.<organ>`` of every organ, ``clint.liver`` [L/h],
        ``clearance_renal`` [L/h], ``absorption_rate`` [1/h], ``fraction_absorbed``,
        ``fraction_gut``; with `saturable` also ``vmax[saturable]`` [mg/h] and ``km[saturable]``
        [mg/L unbound] in the liver
    organs : sequence of str
        Names, in order; ``arterial_blood``, ``venous_blood``, ``lung`` and ``liver`` among them.
    saturable : bool
        Whether subjects have a Michaelis-Menten pathway in the liver.

    Returns
    -------
    System
        With the observables of :func:`.whole_body.whole_body_system`, differentiable by every one
        of `parameters`.

    Raises
    ------
    InputError
        A parameter is missing (named).
    """
    structure = WholeBodyStructure(
        whole_body_graph(tuple(organs)), ((PATHWAY, LIVER),) if saturable else ()
    )
    attrs = {"model": "whole_body_flow_limited", "compound": "a drug per subject"}
    try:
        return build_system(structure, parameters, attrs=attrs)
    except KeyError as missing:
        raise InputError("parameters", sorted(parameters), f"a parameter {missing}") from missing


__all__ = ["PATHWAY", "mixed_cohort_system"]
