"""Simulating a PKSimModel and putting what comes out into the schema `simulation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._core import schemas
from .._core.arguments import check_choice, check_kind
from .._core.errors import InputError
from .._core.provenance import provenance
from ..models.expressions.assembly import AssembledModel, given
from ..models.expressions.derivative import directional
from ..models.expressions.tree import Expression, evaluate, number, substitute, symbols
from ..solvers.base import SolverOptions, Status
from ..solvers.model_runs import ModelRun, report_failures, run_model
from ..solvers.select import choose_backend

if TYPE_CHECKING:
    from .pksim_model import PKSimModel

_DIMS = ("subject", "time", "compartment")


def simulate_model(
    model: PKSimModel,
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
    """See :meth:`PKSimModel.simulate`."""
    options = SolverOptions() if options is None else options
    check_kind("options", options, SolverOptions, "SolverOptions(rtol=1e-8) or None")
    people = model.individuals(population)
    labels = np.arange(1) if people is None else people.labels
    numbers = dict(people.values) if people is not None else {}
    for path, value in values.items():
        numbers[path] = model._number(path, value, "values", several=True)
    own = {
        p: v
        for p, v in ((p, _own_value(model, p, numbers, labels)) for p in sensitivities)
        if v is not None
    }
    assembled = model.assembled({**numbers, **own}, labels)
    paths = model.output_paths(outputs)
    hours = _hours(times, model)
    unit = _unit(model, paths, unit)
    wanted = _Wanted(model, assembled, paths, unit)
    backend, reason = choose_backend("embedded")
    in_minutes = replace(options, max_step=options.max_step * 60.0)
    run = run_model(
        assembled,
        hours * 60.0,
        wanted.formulas,
        backend,
        in_minutes,
        sensitivities=sensitivities,
        progress=progress,
    )
    report_failures(run.trajectories.status, labels, raise_on_failure)
    data = wanted.dataset(run, hours, labels, sensitivities)
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
        amount_unit="mg" if unit == "mg" else "umol",
        failed_subjects=int((run.trajectories.status != Status.SUCCESS).sum()),
        schema="simulation",
        schema_version=schemas.SCHEMA_VERSION,
    )
    return data


def _own_value(
    model: PKSimModel, path: str, numbers: Mapping[str, Any], labels
) -> np.ndarray | None:
    """The value that a parameter has in each subject, to be differentiated by; None: it is given already."""
    if path in numbers:
        return None
    model._number(path, 0.0, "sensitivities")
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


def _hours(times, model: PKSimModel) -> np.ndarray:
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


def _unit(model: PKSimModel, paths: Sequence[str], unit: str | None) -> str:
    """mg or mol; mg needs every molecular weight."""
    if unit is not None:
        check_choice("unit", unit, ("mg", "mol"))
    without = [p for p in paths if model.measure(p, "mol") and not model.measure(p, "mg")]
    if unit == "mg" and without:
        raise InputError(
            "unit",
            "mg",
            f"'mol': the molecular weight is not known of {without[0]}",
            hint="or set it: model.set({'<molecule>|Molecular weight': '350 g/mol'})",
        )
    return unit or ("mol" if without else "mg")


@dataclass(eq=False)
class _Wanted:
    """What is calculated for the outputs: their values, and concentrations of molecules."""

    model: PKSimModel
    assembled: AssembledModel
    paths: tuple[str, ...]
    unit: str

    def __post_init__(self) -> None:
        model, assembled = self.model, self.assembled
        self.formulas: dict[str, Expression] = {
            p: model.expression(p, assembled) for p in self.paths
        }
        self.concentration_of: dict[str, str] = {}
        for path in self.paths:
            if (beside := model._beside(path)) is not None:
                self.concentration_of[path] = beside
                self.formulas.setdefault(beside, model.expression(beside, assembled))
        self.column = {name: i for i, name in enumerate(self.formulas)}

    def factor(self, path: str) -> tuple[str, Expression] | None:
        known = self.model.measure(path, self.unit)
        if known is None:
            return None
        names = {n: self.model.expression(n, self.assembled) for n in symbols(known[1])}
        return known[0], substitute([known[1]], names)[0]

    def dataset(self, run: ModelRun, hours, labels, sensitivities: Sequence[str]) -> xr.Dataset:
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
            for source in filter(None, (path, self.concentration_of.get(path))):
                if (known := self.factor(source)) is not None:
                    self._fill(own, slopes, run, i, source, *known, sensitivities)
        column = [self.column[p] for p in self.paths]
        mass = "mg" if self.unit == "mg" else "umol"
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
                {"units": "see the coordinate unit", "long_name": "value in PK-Sim's base unit"},
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
