"""Names that were replaced: one table, one warning, one way to keep an old name working.

A package keeps its old public names like this::

    from ._core.deprecation import deprecated_names

    _names, _load = lazy_names(__name__, _WHERE)
    __getattr__ = deprecated_names(__name__, otherwise=_load)

The table is part of the documentation (`docs/stability.md`). An old name works for at least one
minor version after the one that replaced it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class PBPKDeprecationWarning(DeprecationWarning):
    """A name of this package that was replaced; the message names the new one."""


@dataclass(frozen=True)
class Replacement:
    """What takes the place of an old name.

    Parameters
    ----------
    new : str
        Full name of what to use instead, ``package.module.name``.
    since : str
        Version that introduced the new name.
    removed_in : str
        First version without the old name.
    """

    new: str
    since: str
    removed_in: str


#: full old name -> what replaced it; public names only, of an `__all__` or shown in the docs
DEPRECATED: dict[str, Replacement] = {}

#: old module -> new module, without `pbpk_hybrid.`, of version 0.2; no alias, only this list
MOVED_MODULES: dict[str, str] = {
    "learn.allometry._blend": "learn.allometry.blending",
    "learn.allometry._calibration": "learn.allometry.calibration",
    "learn.allometry._config": "learn.allometry.config",
    "learn.allometry._data": "learn.allometry.data",
    "learn.allometry._encoder": "learn.allometry.encoder",
    "learn.allometry._features": "learn.allometry.features",
    "learn.allometry._left_out": "learn.allometry.cross_validation",
    "learn.allometry._model": "learn.allometry.model",
    "learn.allometry._module": "learn.allometry.law",
    "learn.allometry._path": "learn.allometry.bodies",
    "learn.allometry._sources": "learn.allometry.sources",
    "learn.allometry._structure": "learn.allometry.structure",
    "learn.allometry._training": "learn.allometry.training",
    "learn.allometry._trees": "learn.allometry.trees",
    "learn.diffusion._conditions": "learn.diffusion.conditions",
    "learn.diffusion._config": "learn.diffusion.config",
    "learn.diffusion._coordinates": "learn.diffusion.coordinates",
    "learn.diffusion._model": "learn.diffusion.model",
    "learn.diffusion._module": "learn.diffusion.module",
    "learn.diffusion._sampler": "learn.diffusion.sampler",
    "learn.neural_ode._fields": "learn.neural_ode.fields",
    "learn.neural_ode._odeint": "learn.neural_ode.integration",
    "learn.neural_ode._scaling_field": "learn.neural_ode.scaling_field",
    "learn.neural_ode._torchdiffeq": "learn.neural_ode.torchdiffeq_backend",
    "learn.neural_ode._weights": "learn.neural_ode.weights",
    "learn.transformer._anchor": "learn.transformer.mechanistic_curve",
    "learn.transformer._batch": "learn.transformer.batch",
    "learn.transformer._compartmental": "learn.transformer.corpus_compartmental",
    "learn.transformer._config": "learn.transformer.config",
    "learn.transformer._corpus": "learn.transformer.corpus",
    "learn.transformer._designs": "learn.transformer.corpus_designs",
    "learn.transformer._features": "learn.transformer.features",
    "learn.transformer._kernels": "learn.transformer.superposition",
    "learn.transformer._likelihood": "learn.transformer.likelihood",
    "learn.transformer._model": "learn.transformer.model",
    "learn.transformer._module": "learn.transformer.module",
    "learn.transformer._patients": "learn.transformer.data",
    "learn.transformer._prior": "learn.transformer.corpus_prior",
    "learn.transformer._training": "learn.transformer.training",
    "learn.transformer._typical": "learn.transformer.context_curve",
    "learn.transformer._whole_body": "learn.transformer.corpus_whole_body",
    "models.absorption": "models.small_molecules.absorption",
    "models.antibody": "models.large_molecules.antibody",
    "models.basis": "models.small_molecules.basis",
    "models.binding": "models.small_molecules.binding",
    "models.clearance": "models.small_molecules.clearance",
    "models.derivatives": "models.system.derivatives",
    "models.distribution": "models.small_molecules.distribution",
    "models.elimination": "models.system.elimination_order",
    "models.elimination_parameters": "models.small_molecules.elimination_parameters",
    "models.enzymes": "models.small_molecules.enzymes",
    "models.examples": "models.system.examples",
    "models.graph": "models.system.graph",
    "models.httk_parameterisation": "models.httk.parameterisation",
    "models.httk_presets": "models.httk.presets",
    "models.interactions": "models.small_molecules.interactions",
    "models.ionisation": "models.small_molecules.ionisation",
    "models.links": "models.small_molecules.links",
    "models.mixed_cohort": "models.small_molecules.mixed_cohort",
    "models.named": "models.system.named",
    "models.partition": "models.small_molecules.partition",
    "models.partition_equations": "models.small_molecules.partition_equations",
    "models.permeability": "models.small_molecules.permeability",
    "models.pharmacodynamics": "models.effects",
    "models.system": "models.system.system",
    "models.transport": "models.small_molecules.transport",
    "models.two_pore": "models.large_molecules.two_pore",
    "models.whole_body": "models.small_molecules.whole_body",
    "oral": "simulation.oral",
    "physiology.animals": "physiology.animals.population",
    "physiology.child": "physiology.children.reference",
    "physiology.children": "physiology.children.usual",
    "physiology.composition": "physiology.tables.composition",
    "physiology.conditions": "physiology.conditions.disease",
    "physiology.corrections": "physiology.tables.corrections",
    "physiology.enzymes": "physiology.conditions.enzymes",
    "physiology.httk_population": "physiology.plausibility.httk_population",
    "physiology.human": "physiology.adults.body",
    "physiology.nhanes": "physiology.adults.survey",
    "physiology.people": "physiology.adults.training_people",
    "physiology.plausibility": "physiology.plausibility.rules",
    "physiology.redraws": "physiology.adults.redraws",
    "physiology.regressions": "physiology.adults.regressions",
    "physiology.selection": "physiology.adults.selection",
    "physiology.tables": "physiology.tables.files",
    "physiology.transporters": "physiology.conditions.transporters",
    "physiology.variability": "physiology.adults.variability",
    "report": "report.html",
    "simulation": "simulation.single",
    "together": "simulation.interactions",
    "variability": "simulation.variability",
}


def deprecated_names(
    module: str,
    otherwise: Callable[[str], Any] | None = None,
    table: Mapping[str, Replacement] | None = None,
) -> Callable[[str], Any]:
    """``__getattr__`` of a module that still answers to the old names of the table.

    Parameters
    ----------
    module : str
        The module's ``__name__``.
    otherwise : callable, optional
        The module's ``__getattr__`` for all other names.
    table : mapping, optional
        Full old name to :class:`Replacement`; :data:`DEPRECATED` if not given.

    Returns
    -------
    callable
        From a name to its value. An old name warns with :class:`PBPKDeprecationWarning`.

    Raises
    ------
    AttributeError
        On use, for a name that is neither old nor known to `otherwise`.
    """

    def load(name: str) -> Any:
        found = (DEPRECATED if table is None else table).get(f"{module}.{name}")
        if found is None:
            if otherwise is not None:
                return otherwise(name)
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} is now {found.new} (since {found.since}); "
            f"the old name goes in {found.removed_in}",
            PBPKDeprecationWarning,
            stacklevel=2,
        )
        where, _, attribute = found.new.rpartition(".")
        return getattr(importlib.import_module(where), attribute)

    return load
