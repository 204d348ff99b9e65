"""Models: OrganGraph, System, and what turns compound + physiology into coefficients."""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "graph": ("OrganGraph", "whole_body_graph"),
    "system": ("System", "Reaction", "Observable", "Coefficients", "RATE_LAWS"),
    "whole_body": ("whole_body_system",),
    "mixed_cohort": ("mixed_cohort_system",),
    "interactions": ("interacting_system",),
    "antibody": ("Antibody", "antibody_system"),
    "two_pore": ("PROTEINS", "Pores", "two_pore_system"),
    "derivatives": ("parameter_derivatives", "parameter_names"),
    "httk_parameterisation": ("httk_parameters",),
    "httk_presets": ("httk_pbtk", "httk_3compartment", "httk_1compartment", "httk_css"),
    "pharmacodynamics": ("with_effect_compartment", "with_indirect_response", "emax"),
    "partition": ("partition_coefficients", "blood_to_plasma_ratio"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)
