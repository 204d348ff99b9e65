"""`simulate_system`: any System + regimen -> simulation Dataset."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_kind, check_names, check_times
from .._core.errors import (
    InputError,
    NoEffectWarning,
    SolveError,
    SubjectFailedWarning,
    unknown_name,
)
from ..dosing import Regimen
from ..dosing.conversion import as_regimen
from ..models.system.system import System
from ..solvers.areas import area_names
from ..solvers.areas import solve as solve_with_areas
from ..solvers.base import Problem, SolverOptions, Status, Trajectories
from ..solvers.doses import dose_stops, last_dose_time, last_interval, steady_state_stops
from ..solvers.select import choose_backend, workload
from ..solvers.signs import why_negative
from ..solvers.time_grid import LONGEST, TimeGrid, default_times, refuse_many
from . import derived
from .dataset import covariates, dose_records, simulation_dataset


@dataclass(frozen=True, eq=False)
class RunSettings:
    """What is integrated how, and what is kept of it; the parameters of :func:`simulate_system`."""

    compartments: Sequence[str] | None = None
    areas: Sequence[str] | None = None
    backend: str = "auto"
    options: SolverOptions | None = None
    sensitivities: Sequence[str] = ()
    raise_on_failure: bool = False
    progress: Callable[[int], None] | None = None


@dataclass(frozen=True, eq=False)
class RunDoses:
    """The doses of a run, and what the result says about them.

    Parameters
    ----------
    regimen : Regimen, xarray.Dataset or str
        What is integrated.
    as_given : sequence of (str, Regimen), optional
        Name of a compound (or "") and its regimen as the user gave it, for the dose records.
    body_weight : ndarray, (n_subjects,), kg, optional
        For doses per kg.
    lag_time : float, h, optional
        Added to doses of route "oral".
    """

    regimen: Regimen | xr.Dataset | str
    as_given: Sequence[tuple[str, Regimen]] | None = None
    body_weight: np.ndarray | None = None
    lag_time: float | None = None


@dataclass(frozen=True, eq=False)
class _Integration:
    """An integrated problem with the attributes that describe how."""

    problem: Problem
    result: Trajectories
    saved: tuple[str, ...]  # all compartments; the problem has one name for each sum of amounts
    first_dose: np.ndarray  # (n_subjects,) mg
    attributes: Mapping[str, Any]
    time_grid: Mapping[str, str]  # empty where the times were given


def simulate_system(
    system: System,
    regimen: Regimen | xr.Dataset | str,
    times: Sequence[float] | np.ndarray | TimeGrid | None = None,
    *,
    compartments: Sequence[str] | None = None,
    areas: Sequence[str] | None = None,
    backend: str = "auto",
    options: SolverOptions | None = None,
    sensitivities: Sequence[str] = (),
    body_weight: np.ndarray | None = None,
    lag_time: float | None = None,
    raise_on_failure: bool = False,
    progress: Callable[[int], None] | None = None,
    facts: Mapping[str, Any] | None = None,
    as_given: Sequence[tuple[str, Regimen]] | None = None,
) -> xr.Dataset:
    """The same for any System: what :func:`.simulate` does once the model is built.

    Parameters
    ----------
    system : System
        The model.
    regimen, times
        As in :func:`.simulate`.
    compartments, areas, backend, options
        As in :func:`.simulate`.
    sensitivities, raise_on_failure, progress
        As in :func:`.simulate`.
    body_weight : ndarray, (n_subjects,), kg, optional
        For doses per kg.
    lag_time : float, h, optional
        Added to doses of route "oral".
    facts : mapping, optional
        Further attributes of the result.
    as_given : sequence of (str, Regimen), optional
        Name of a compound or "", and its regimen, for the dose records of the result, where
        `regimen` is not what was given but what became of it (released by a formulation,
        addressed to one of several compounds).

    Returns
    -------
    xarray.Dataset
        Schema ``simulation``.

    Raises
    ------
    InputError and its kin
        Anything that cannot be used, before any integration starts.
    SolveError
        A subject failed and `raise_on_failure` is set.
    """
    settings = RunSettings(
        compartments, areas, backend, options, sensitivities, raise_on_failure, progress
    )
    return run_system(
        system, RunDoses(regimen, as_given, body_weight, lag_time), times, settings, facts
    )


def run_system(
    system: System,
    doses: RunDoses,
    times: Sequence[float] | np.ndarray | TimeGrid | None,
    settings: RunSettings,
    attributes: Mapping[str, Any] | None = None,
    people: xr.Dataset | None = None,
) -> xr.Dataset:
    """:func:`simulate_system` with its keywords grouped; covariates of `people` go along."""
    check_kind(
        "options", settings.options, (SolverOptions, type(None)), "SolverOptions(rtol=1e-8) or None"
    )
    sensitivities = check_names("sensitivities", settings.sensitivities, "names of parameters")
    if settings.areas is not None:
        check_names("areas", settings.areas, "names of compartments, such as 'plasma'")
    check_kind("raise_on_failure", settings.raise_on_failure, (bool, np.bool_), "True or False")
    regimen = as_regimen(doses.regimen)
    _check_amount_unit(system, regimen)
    settings = replace(settings, sensitivities=sensitivities)
    done = _integrate(system, regimen, doses, times, settings)
    _report_failures(system, done.result, settings.raise_on_failure)
    attributes = {**done.attributes, **(attributes or {}), **done.time_grid}
    as_given = [("", regimen)] if doses.as_given is None else doses.as_given
    records = dose_records(system, as_given, doses.body_weight, done.problem.times[-1])
    return simulation_dataset(
        system,
        done.problem,
        done.result,
        done.saved,
        {**attributes, "regimen": str(regimen)},
        done.first_dose,
        records,
        {} if people is None else covariates(people),
    )


def _integrate(
    system: System,
    regimen: Regimen,
    doses: RunDoses,
    times: Sequence[float] | np.ndarray | TimeGrid | None,
    settings: RunSettings,
) -> _Integration:
    """Choose backend and times, bring steady-state records to their steady state, integrate."""
    options = settings.options or SolverOptions()
    sensitivities = tuple(settings.sensitivities)
    work = workload(system, options, sensitivities)
    backend, reason = choose_backend(settings.backend, work)
    # without times the last dose sets the horizon, and the grid follows from the solution
    automatic = times is None or isinstance(times, TimeGrid)
    grid = np.empty(0) if automatic else _times(times)
    if automatic:  # before a million additional doses are written out
        refuse_many(int(regimen.columns["additional_doses"].max(initial=0)))
    saved = _saved(system, settings.compartments)
    horizon = last_dose_time(regimen) + LONGEST if automatic else grid[-1]
    events = dose_stops(
        system,
        regimen,
        horizon,
        body_weight=doses.body_weight,
        lag_time=doses.lag_time or 0.0,
    )
    if sensitivities and events.steady_state:
        raise InputError(
            "sensitivities",
            list(sensitivities),
            "a regimen without steady-state records",
            hint="give enough doses before the time of interest instead of SS",
        )
    # steady-state records become the amounts that repeated doses would have left
    stops, failed = steady_state_stops(system, events, backend, options)
    time_grid = {}
    if automatic:
        grid, time_grid["time_grid"] = default_times(
            system,
            stops,
            backend,
            options,
            wanted=times,
            interval=last_interval(regimen),
            start=float(min(0.0, events.first_time)),
        )
    # a dose may come before the first saved time: the integration starts with it
    start = float(min(grid[0], events.first_time))
    areas = area_names(system, saved, settings.areas)
    large = system.n_subjects * len(grid) * len(saved) >= derived.LARGE
    kept = _different(system, saved) if large else saved
    problem = Problem(system, stops, grid, kept, start, None, sensitivities, areas)
    result = solve_with_areas(backend, problem, options, settings.progress)
    _mark_without_steady_state(result, failed)
    return _Integration(
        problem, result, saved, events.first_dose, {"backend_reason": reason}, time_grid
    )


def _mark_without_steady_state(result: Trajectories, failed: np.ndarray) -> None:
    """Subjects whose steady state was not found have a status and no values."""
    result.status[failed] = Status.NO_STEADY_STATE
    for values in (result.amount, result.area, result.moment):
        if values is not None:
            values[failed] = np.nan


def warn_of_idle_gut(regimen: Regimen, compound: str) -> None:
    """
    Warns
    -----
    NoEffectWarning
        A model of the gut for a regimen without oral doses.
    """
    if not (regimen.columns["route"] == "oral").any():
        warnings.warn(
            f"the gut model of {compound} changes nothing: none of its doses is oral ({regimen})",
            NoEffectWarning,
            stacklevel=3,
        )


def _check_amount_unit(system: System, regimen: Regimen) -> None:
    """Refuse doses in another unit of amount than the model's; imported ones may be in moles."""
    unit, theirs = system.attrs.get("amount_unit", "mg"), getattr(regimen, "unit", "mg")
    if unit != theirs and len(regimen):
        raise InputError(
            "regimen",
            f"doses in {theirs}",
            f"doses in the unit of the model, {unit}",
            hint="use the imported model's regimen and dose(), or import it in mg "
            "(import_sbml with molar_mass= or substance_unit=)",
        )


def _times(times: Any) -> np.ndarray:
    """Saved times (n_times,) [h], increasing and not below 0."""
    grid = check_times("times", times)
    if grid[0] < 0:
        raise InputError("times[0]", float(grid[0]), "a time >= 0 h")
    return grid


def _saved(system: System, compartments: Sequence[str] | None) -> tuple[str, ...]:
    if compartments is None:
        return tuple(system.observables)
    names = check_names("compartments", compartments, "names of compartments, such as 'plasma'")
    if not names:
        raise InputError("compartments", names, "at least one compartment")
    for name in names:
        if name not in system.observables:
            raise unknown_name(
                "compartments", name, system.observables, what="a compartment of the model"
            )
    return names


def _different(system: System, saved: tuple[str, ...]) -> tuple[str, ...]:
    """The first name of each sum of amounts: plasma, blood and the venous pool are one."""
    first: dict[tuple[tuple[int, float], ...], str] = {}
    for name in saved:
        first.setdefault(system.observables[name].terms, name)
    return tuple(first.values())


def _report_failures(system: System, result: Trajectories, raise_on_failure: bool) -> None:
    failed = np.flatnonzero(result.status != Status.SUCCESS)
    if not failed.size:
        return
    first = failed[0]
    status = Status(int(result.status[first]))
    advice = status.advice
    if status == Status.NEGATIVE_AMOUNT:
        advice = why_negative(system, first)
    names = ", ".join(str(system.subjects[s]) for s in failed[:5]) + (
        ", ..." if failed.size > 5 else ""
    )
    text = (
        f"{failed.size} of {system.n_subjects} subjects could not be integrated ({names}); "
        f"subject {system.subjects[first]}: {advice}"
    )
    if raise_on_failure:
        raise SolveError(text)
    warnings.warn(text + "; their values are NaN", SubjectFailedWarning, stacklevel=4)


__all__ = ["RunDoses", "RunSettings", "run_system", "simulate_system", "warn_of_idle_gut"]
