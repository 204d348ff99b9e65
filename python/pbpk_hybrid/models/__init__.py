"""Models: OrganGraph, System, and what turns compound + physiology into coefficients."""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "system.graph": ("OrganGraph", "whole_body_graph"),
    "system.system": ("System", "Reaction", "Observable", "Coefficients"),
    "laws.registry": ("RATE_LAWS",),
    "small_molecules.whole_body": ("whole_body_system",),
    "small_molecules.mixed_cohort": ("mixed_cohort_system",),
    "small_molecules.interactions": ("interacting_system",),
    "large_molecules.antibody": ("Antibody", "antibody_system"),
    "large_molecules.two_pore": ("PROTEINS", "Pores", "two_pore_system"),
    "system.derivatives": ("parameter_derivatives", "parameter_names"),
    "httk.parameterisation": ("httk_parameters",),
    "httk.presets": ("httk_pbtk", "httk_3compartment", "httk_1compartment", "httk_css"),
    "effects": ("with_effect_compartment", "with_indirect_response", "emax"),
    "small_molecules.partition": ("partition_coefficients", "blood_to_plasma_ratio"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)
