"""Interchange: SBML out and in, PK-Sim snapshots and simulations in.

Data sets of NONMEM are read and written by the room `dosing`.
"""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "sbml_export": ("export_sbml",),
    "sbml_import": ("import_sbml", "ImportedModel"),
    "pksim": ("import_pksim_snapshot", "ImportedSnapshot"),
    "pksim_simulation": ("read_pksim_simulation", "example_pksim_simulation"),
    "pksim_model": ("PKSimModel",),
    "sbml_model": ("read_sbml_model", "SBMLModel", "example_sbml_model"),
    "written_model": ("ode_model", "WrittenModel"),
    "petab": ("read_petab", "PetabProblem", "PetabFit", "example_petab_problem"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)
