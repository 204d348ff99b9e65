"""pbpk_hybrid: physiologically based pharmacokinetics in virtual populations.

>>> import pbpk_hybrid as ph
>>> people = ph.sample_population(1000, seed=1)
>>> result = ph.simulate("theophylline", "320 mg oral", people, times=range(25))

Names are loaded on first use, so that importing the package takes milliseconds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ._core.lazy import lazy_names
from ._core.provenance import VERSION as __version__

_WHERE = {
    "simulation.single": ("simulate",),
    "simulation.run": ("simulate_system",),
    "simulation.parameters": ("disposition",),
    "simulation.oral": ("bioavailability",),
    "models.small_molecules.absorption": ("GutAbsorption",),
    "models.large_molecules.antibody": ("Antibody", "antibody_system"),
    "models.large_molecules.two_pore": ("Pores", "two_pore_system"),
    "simulation.reverse_dosimetry": ("oral_equivalent_dose", "oral_equivalent_doses"),
    "models.httk.variation": ("HttkVariation",),
    "simulation.interactions": ("simulate_together", "interaction"),
    "simulation.exposure": ("exposure_ratios",),
    "simulation.interaction_matrix": ("interactions",),
    "simulation.variability": ("Variability", "NO_VARIABILITY"),
    "physiology": (
        "sample_population",
        "like_table",
        "virtual_twins",
        "reference_individual",
        "check_physiology",
        "tissue_composition",
        "reference_child",
        "reference_pregnancy",
        "with_conditions",
        "with_enzymes",
        "with_hepatic_impairment",
        "with_pregnancy",
        "with_renal_impairment",
        "with_transporters",
    ),
    "compounds": (
        "Compound",
        "SaturablePathway",
        "Metabolism",
        "EnzymeEffect",
        "Transporter",
        "get_compound",
        "list_compounds",
        "search_compounds",
        "load_compound_file",
        "observations",
    ),
    "dosing": ("Regimen",),
    "models": (
        "System",
        "Reaction",
        "Observable",
        "OrganGraph",
        "whole_body_graph",
        "whole_body_system",
        "httk_pbtk",
        "httk_3compartment",
        "httk_1compartment",
        "httk_css",
    ),
    "interchange": ("ode_model",),
    "solvers": ("SolverOptions", "Status"),
    "estimation.patient": ("Patient",),
    "estimation.individual": ("posterior",),
    "estimation.dose_search": ("dose",),
    "compare": ("compare_forecasts",),
    "nca": ("nca",),
    "translation": ("first_in_human",),
    "results": ("open_results",),
    "report.dossier": ("dossier",),
    "report.assessment": ("Assessment",),
    "report.requalification": ("requalify",),
    "_core.errors": (
        "PBPKError",
        "InputError",
        "UnitError",
        "SchemaError",
        "FlowBalanceError",
        "UnknownNameError",
        "FileFormatError",
        "BackendUnavailableError",
        "SolveError",
        "SubjectFailedWarning",
        "OutOfRangeWarning",
        "NoEffectWarning",
    ),
}
_names, __getattr__ = lazy_names(__name__, _WHERE)
__all__ = ["__version__", *_names]

if "xarray" in sys.modules:  # then its Datasets have `.pk` at once; else with the first of ours
    from ._core import accessor as _accessor

if TYPE_CHECKING:
    from ._core.errors import (
        BackendUnavailableError,
        FileFormatError,
        FlowBalanceError,
        InputError,
        NoEffectWarning,
        OutOfRangeWarning,
        PBPKError,
        SchemaError,
        SolveError,
        SubjectFailedWarning,
        UnitError,
        UnknownNameError,
    )
    from .compare import compare_forecasts
    from .compounds import (
        Compound,
        EnzymeEffect,
        Metabolism,
        SaturablePathway,
        Transporter,
        get_compound,
        list_compounds,
        load_compound_file,
        observations,
        search_compounds,
    )
    from .dosing import Regimen
    from .estimation.dose_search import dose
    from .estimation.individual import posterior
    from .estimation.patient import Patient
    from .interchange import ode_model
    from .models import (
        Observable,
        OrganGraph,
        Reaction,
        System,
        httk_1compartment,
        httk_3compartment,
        httk_css,
        httk_pbtk,
        whole_body_graph,
        whole_body_system,
    )
    from .models.httk.variation import HttkVariation
    from .models.large_molecules.antibody import Antibody, antibody_system
    from .models.large_molecules.two_pore import Pores, two_pore_system
    from .models.small_molecules.absorption import GutAbsorption
    from .nca import nca
    from .physiology import (
        check_physiology,
        like_table,
        reference_child,
        reference_individual,
        reference_pregnancy,
        sample_population,
        tissue_composition,
        virtual_twins,
        with_conditions,
        with_enzymes,
        with_hepatic_impairment,
        with_pregnancy,
        with_renal_impairment,
        with_transporters,
    )
    from .report.assessment import Assessment
    from .report.dossier import dossier
    from .report.requalification import requalify
    from .results import open_results
    from .simulation.exposure import exposure_ratios
    from .simulation.interaction_matrix import interactions
    from .simulation.interactions import interaction, simulate_together
    from .simulation.oral import bioavailability
    from .simulation.parameters import disposition
    from .simulation.reverse_dosimetry import oral_equivalent_dose, oral_equivalent_doses
    from .simulation.run import simulate_system
    from .simulation.single import simulate
    from .simulation.variability import NO_VARIABILITY, Variability
    from .solvers import SolverOptions, Status
    from .translation import first_in_human


def __dir__() -> list[str]:
    return sorted(__all__)
