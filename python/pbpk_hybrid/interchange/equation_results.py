"""Simulating an EquationModel and putting what comes out into the schema `simulation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.arguments import check_kind
from .._core.errors import InputError
from .._core.provenance import provenance
from ..models.expressions.assembly import AssembledModel, given
from ..models.expressions.derivative import directional
from ..models.expressions.tree import Expression, evaluate, number, substitute, symbols
from ..solvers.base import SolverOptions, Status
from ..solvers.model_runs import ModelRun, report_failures, run_model
from ..solvers.select import choose_backend

if TYPE_CHECKING:
    from .equation_model import EquationModel

_DIMS = ("subject", "time", "compartment")


def simulate_model(
    model: EquationModel,
    times: Sequence[float] | np.ndarray | None,
    values: Mapping[str, Any],
    population: Any,
    outputs: str | Sequence[str] | None,
    unit: str | None,
    sensitivities: Sequence[str],
    options: SolverOptions | None,
    raise_on_failure: bool,
    progress: Callable[[int], None] | None,
) -> xr.Dataset:
    """See :meth:`EquationModel.simulate`."""
    options = SolverOptions() if options is None else options
    check_kind("options", options, SolverOptions, "SolverOptions(rtol=1e-8) or None")
    people = model.individuals(population)
    labels = np.arange(1) if people is None else people.labels
    numbers = people.values if people is not None else {}
    numbers = {model.start_name(path): value for path, value in numbers.items()}
    for path, value in values.items():
        numbers[model.start_name(path)] = model._number(path, value, "values", several=True)
    by = tuple(_differentiable(model, path) for path in sensitivities)
    own = {
        p: v for p, v in ((p, _own_value(model, p, numbers, labels)) for p in by) if v is not None
    }
    assembled = model.assembled({**numbers, **own}, labels)
    paths = model.output_paths(outputs)
    hours = _hours(times, model)
    unit = model.unit_of_results(paths, unit)
    wanted = _Wanted(model, assembled, paths, unit)
    backend, reason = choose_backend("embedded")
    per_hour = model.contents.per_hour
    own_time = replace(options, max_step=options.max_step * per_hour)
    run = run_model(
        assembled,
        hours * per_hour,
        wanted.formulas,
        backend,
        own_time,
        sensitivities=by,
        progress=progress,
    )
    report_failures(run.trajectories.status, labels, raise_on_failure)
    data = wanted.dataset(run, hours, labels, sensitivities, by)
    if people is not None:
        data = data.assign_coords({k: ("subject", v) for k, v in people.covariates.items()})
    changed = {**model.changed, **{k: "given" for k in values}}
    data.attrs = provenance(
        model=model.name,
        file=model.label,
        file_form=model.contents.form,
        changed=[f"{k} = {v}" for k, v in changed.items()] or None,
        **run.trajectories.facts,
        backend_reason=reason,
        amount_unit=model.amount_unit(unit),
        failed_subjects=int((run.trajectories.status != Status.SUCCESS).sum()),
        schema="simulation",
        schema_version=schemas.SCHEMA_VERSION,
    )
    return data


def _differentiable(model: EquationModel, path: str) -> str:
    model._number(path, 0.0, "sensitivities")
    return model.start_name(path)


def _own_value(
    model: EquationModel, path: str, numbers: Mapping[str, Any], labels
) -> np.ndarray | None:
    """The value of a parameter in each subject, to differentiate by; None: it is given already."""
    if path in numbers:
        return None
    if path in model.ode.initial:
        formula = model.ode.initial[path]
        if formula.is_number:
            return np.array([formula.value])
        assembled = model.assembled(numbers, labels)
        if path in assembled.system.states:
            return assembled.start[:, assembled.system.states.index(path)]
        formula = assembled.formulas[path]
    else:
        assembled = model.assembled(numbers, labels)
        formula = assembled.formulas[path]
    moving = symbols(formula) - assembled.parameters.keys()
    if moving:
        raise InputError(
            "sensitivities",
            path,
            "a parameter that stands still (this one changes with time or amounts)",
            hint="take the parameters of its formula: "
            + ", ".join(sorted(symbols(model.ode.parameters[path]))[:5]),
        )
    return np.atleast_1d(evaluate([formula], assembled.parameters)[0]).astype(float)


def _hours(times, model: EquationModel) -> np.ndarray:
    hours = model.times if times is None else np.atleast_1d(np.asarray(times, dtype=float))
    if not hours.size:
        raise InputError("times", [], "at least one time [h]", hint="the file asks for none")
    if (
        not np.isfinite(hours).all()
        or np.any(np.diff(hours) <= 0)
        or hours[0] < 0
        or hours.ndim != 1
    ):
        raise InputError("times", hours.tolist()[:5], "ascending times >= 0 [h]")
    return hours


@dataclass(eq=False)
class _Wanted:
    """What is calculated for the outputs: their values, and concentrations of molecules."""

    model: EquationModel
    assembled: AssembledModel
    paths: tuple[str, ...]
    unit: str

    def __post_init__(self) -> None:
        model, assembled = self.model, self.assembled
        self.formulas: dict[str, Expression] = {
            p: model.expression(p, assembled) for p in self.paths
        }
        for path in self.paths:
            for source in model.sides(path):
                self.formulas.setdefault(source, model.expression(source, assembled))
        self.column = {name: i for i, name in enumerate(self.formulas)}

    def factor(self, path: str) -> tuple[str, Expression] | None:
        known = self.model.measure(path, self.unit)
        if known is None:
            return None
        names = {n: self.model.expression(n, self.assembled) for n in symbols(known[1])}
        return known[0], substitute([known[1]], names)[0]

    def dataset(
        self, run: ModelRun, hours, labels, sensitivities: Sequence[str], by: Sequence[str]
    ) -> xr.Dataset:
        shape = run.values.shape[:2]
        n = len(self.paths)
        own = {
            "amount": np.full((*shape, n), np.nan),
            "concentration": np.full((*shape, n), np.nan),
        }
        slopes = None
        if run.slopes is not None:
            slopes = {k: np.full((*shape, n, len(sensitivities)), np.nan) for k in own}
        for i, path in enumerate(self.paths):
            for source in self.model.sides(path):
                if (known := self.factor(source)) is not None:
                    self._fill(own, slopes, run, i, source, *known, by)
        column = [self.column[p] for p in self.paths]
        mass = self.model.amount_unit(self.unit)
        variables: dict[str, Any] = {
            "concentration": (
                _DIMS,
                own["concentration"],
                self._attrs("concentration", f"{mass}/L"),
            ),
            "amount": (_DIMS, own["amount"], self._attrs("amount", mass)),
            "value": (
                _DIMS,
                run.values[:, :, column],
                {"units": "see the coordinate unit", "long_name": self.model.value_text},
            ),
            "status": (
                "subject",
                run.trajectories.status,
                {
                    **schemas.attrs("simulation", "status"),
                    "flag_values": np.array([s.value for s in Status], dtype=np.int8),
                    "flag_meanings": " ".join(s.name.lower() for s in Status),
                },
            ),
            "steps": (
                "subject",
                run.trajectories.steps[:, 0].astype(np.int32),
                {"units": "1", "long_name": "accepted solver steps"},
            ),
        }
        coords: dict[str, Any] = {
            "subject": labels,
            "time": ("time", hours, {"units": "h", "long_name": "time"}),
            "compartment": np.array(self.paths, dtype=str),
            "unit": ("compartment", [self.model.quantities[p].unit for p in self.paths]),
        }
        if slopes is not None:
            per = {"units": "(unit)/(base unit of the parameter)"}
            dims = (*_DIMS, "parameter")
            variables["concentration_sensitivity"] = (dims, slopes["concentration"], dict(per))
            variables["amount_sensitivity"] = (dims, slopes["amount"], dict(per))
            variables["value_sensitivity"] = (dims, run.slopes[:, :, column], dict(per))
            coords["parameter"] = np.array(sensitivities, dtype=str)
        return xr.Dataset(variables, coords)

    def _attrs(self, name: str, units: str) -> dict[str, str]:
        return {**schemas.attrs("simulation", name), "units": units}

    def _fill(
        self, own, slopes, run: ModelRun, i: int, source: str, kind: str, factor, names
    ) -> None:
        """One column of amounts or concentrations, and its derivatives."""
        known = self.assembled.parameters
        size = np.atleast_1d(evaluate([factor], known)[0])[:, None]
        at = self.column[source]
        own[kind][:, :, i] = run.values[:, :, at] * size
        if slopes is None:
            return
        for q, name in enumerate(names):
            moved = evaluate(directional([factor], {given(name): number(1.0)}), known)[0]
            slopes[kind][:, :, i, q] = run.slopes[:, :, at, q] * size
            slopes[kind][:, :, i, q] += run.values[:, :, at] * np.atleast_1d(moved)[:, None]


__all__ = ["simulate_model"]
