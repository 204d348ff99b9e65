"""Fitting models that bring their own doses and events, such as simulations of PK-Sim,
where Systems are fitted otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .._core.errors import InputError
from ..models.expressions.assembly import AssembledModel
from ..models.expressions.tree import Expression
from ..solvers.base import SolverOptions
from ..solvers.model_runs import run_model
from ..solvers.select import choose_backend


class FittableModel(Protocol):
    """What a model has to offer to be fitted (:class:`pbpk_hybrid.interchange.PKSimModel` does)."""

    @property
    def units_per_hour(self) -> float:
        """Units of the model's time in an hour."""

    def fit_values(self) -> Mapping[str, float]:
        """Parameters that may be estimated, with their own values."""

    def fit_outputs(self) -> tuple[str, ...]:
        """Names of concentrations that may be observed."""

    def assembled(
        self, values: Mapping[str, Any], labels: np.ndarray | None = None
    ) -> AssembledModel:
        """The equations at values of parameters."""

    def observed(self, name: str, assembled: AssembledModel) -> Expression:
        """A concentration [mg/L] over states, time and given values."""


@dataclass(frozen=True, eq=False)
class ModelUnderFit:
    """A model in the place of a System: one subject, named parameters, names of observables."""

    model: FittableModel
    n_subjects: int = 1
    assemble: bool = True
    parameters: dict[str, np.ndarray] = field(init=False)
    observables: dict[str, None] = field(init=False)
    subjects: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        own = {k: np.atleast_1d(float(v)) for k, v in self.model.fit_values().items()}
        object.__setattr__(self, "parameters", own)
        object.__setattr__(self, "observables", dict.fromkeys(self.model.fit_outputs()))
        object.__setattr__(self, "subjects", np.arange(1))


class ModelPredictor:
    """Concentrations at the observations, and their derivatives by the model's
    parameters; as :class:`Predictor`.
    """

    def __init__(
        self,
        system: ModelUnderFit,
        data,
        targets: tuple[str, ...],
        *,
        backend: str = "embedded",
        options: SolverOptions | None = None,
    ):
        self.system, self.data, self.targets = system, data, targets
        self.options = options or SolverOptions()
        self.backend, _ = choose_backend(backend)
        hours, self.row = np.unique(data.time, return_inverse=True)
        self.times = hours * system.model.units_per_hour
        self.own = system.parameters
        self.calls = 0
        #: doses written out before a steady-state record; an imported model has none
        self.steady_doses = 0
        # refused now, not in the middle of a fit
        self({t: self.own[t] for t in targets})

    def unsettled(self, values: Mapping[str, np.ndarray]) -> float:
        """0: no doses before a steady-state record are written out in an imported model."""
        return 0.0

    def __call__(
        self, values: Mapping[str, np.ndarray], slopes: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Predictions (n_observations,) [mg/L] and derivatives (n_observations,
        n_targets) at values of the targets.
        """
        self.calls += 1
        model = self.system.model
        assembled = model.assembled({t: np.atleast_1d(values[t]) for t in self.targets})
        outputs = {c: model.observed(c, assembled) for c in self.data.compartments}
        names = self.targets if slopes else ()
        run = run_model(
            assembled, self.times, outputs, self.backend, self.options, sensitivities=names
        )
        at = self.data.subject, self.row, self.data.compartment
        return run.values[at], run.slopes[at] if slopes else None


def is_fittable(model: Any) -> bool:
    """Whether a model offers what :class:`FittableModel` asks for."""
    return all(hasattr(model, n) for n in ("fit_values", "fit_outputs", "assembled", "observed"))


def check_regimen(regimen: Any) -> None:
    """Refuse doses beside those that the model has."""
    if regimen is not None:
        raise InputError(
            "regimen",
            str(regimen)[:60],
            "None: the model has its own doses",
            hint="change them by path: model.set({'Applications|...|Dose': ...})",
        )
