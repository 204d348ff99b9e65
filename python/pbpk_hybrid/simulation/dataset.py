"""Trajectories -> simulation Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from xarray.indexes import PandasIndex

from .._core import schemas
from .._core.provenance import provenance
from ..dosing.records import dose_table
from ..models.system.system import System
from ..solvers.areas import of_concentrations
from ..solvers.base import Problem, Status, Trajectories
from ..solvers.doses import subject_ids
from .derived import Derived

_DIMS = ("subject", "time", "compartment")
#: covariates that go along into the result
COVARIATES = (
    "species",
    "sex",
    "age",
    "body_weight",
    "height",
    "hematocrit",
    "gfr",
    "cardiac_output",
)
#: variables whose unit holds the amount
_AMOUNTS = (
    "amount",
    "dose",
    "concentration",
    "concentration_sensitivity",
    "cumulative_auc",
    "cumulative_aumc",
    "dose_amount",
)


def simulation_dataset(
    system: System,
    problem: Problem,
    result: Trajectories,
    saved: tuple[str, ...],
    attributes: Mapping[str, Any],
    first_dose: np.ndarray,
    records: Mapping[str, Any] | None = None,
    of_subjects: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """The result of one integration as a Dataset of schema ``simulation``.

    Parameters
    ----------
    system, problem, result
        What was integrated, and what came of it.
    saved : tuple of str
        Names of the compartments; the problem has the first name of each different sum.
    attributes : mapping
        Further attributes of the Dataset.
    first_dose : ndarray, (n_subjects,), mg
    records : mapping, optional
        The dose records as variables; see :func:`dose_records`.
    of_subjects : mapping, optional
        Further coordinates over subjects; see :func:`covariates`.
    """
    variables = _curves(system, problem, result, saved) | _diagnostics(result)
    if result.area is not None:
        variables |= _areas(problem, result)
    if result.sensitivity is not None:
        variables["concentration_sensitivity"] = _sensitivity(system, problem, result, saved)
    # in one call: each later assignment would align and copy everything again
    ds = xr.Dataset(
        variables | dict(records or {}),
        _indexed(
            _coordinates(system, problem, result, saved, first_dose) | dict(of_subjects or {})
        ),
        attrs=provenance(
            **system.attrs,
            **result.facts,
            **attributes,
            failed_subjects=int((result.status != Status.SUCCESS).sum()),
            schema="simulation",
            schema_version=schemas.SCHEMA_VERSION,
        ),
    )
    return _label_amounts(ds, system.attrs.get("amount_unit", "mg"))


def covariates(people: xr.Dataset) -> dict[str, Any]:
    """Covariates of the subjects as coordinates of the result."""
    return {
        name: ("subject", people.variables[name].values.copy(), people.variables[name].attrs)
        for name in COVARIATES
        if name in people.variables
    }


def dose_records(
    system: System, regimens: Any, body_weight: np.ndarray | None, horizon: float
) -> dict[str, Any]:
    """The dose records up to the last time as variables of a simulation Dataset."""
    table = dose_table(regimens, subject_ids(system), body_weight=body_weight, horizon=horizon)
    both = ("subject", "dose_record")
    return {
        name: (both[-values.ndim :], values, schemas.attrs("simulation", name))
        for name, values in table.items()
    }


def _label_amounts(dataset: xr.Dataset, unit: str) -> xr.Dataset:
    """Units of a model whose amounts are not in mg, in place of those of the schema."""
    if unit == "mg":
        return dataset
    for name in _AMOUNTS:
        if name in dataset.variables:
            attrs = dataset[name].attrs
            attrs["units"] = attrs["units"].replace("mg", unit)
    return dataset


def _curves(
    system: System, problem: Problem, result: Trajectories, saved: tuple[str, ...]
) -> dict[str, Any]:
    """Amounts and concentrations, (subject, time, compartment); see :mod:`.derived`."""
    offsets = {
        o: np.ravel(offset)
        for o, name in enumerate(saved)
        if (offset := system.observables[name].offset) is not None
    }
    column = _columns(system, problem, saved)
    amount = Derived(result.amount, column)
    concentration = Derived(result.amount, column, _factors(system, saved), offsets)
    return {
        name: (_DIMS, derived.variable(), schemas.attrs("simulation", name))
        for name, derived in (("concentration", concentration), ("amount", amount))
    }


def _columns(system: System, problem: Problem, saved: tuple[str, ...]) -> np.ndarray:
    """The sum of the problem for each compartment."""
    if problem.saved == saved:
        return np.arange(len(saved))
    place = {terms: i for i, terms in enumerate(problem.saved_terms())}
    return np.array([place[system.observables[name].terms] for name in saved])


def _factors(system: System, saved: tuple[str, ...]) -> np.ndarray:
    """Concentration per amount of what is saved, (subject, compartment)."""
    shape = (system.n_subjects,)
    factors = [np.broadcast_to(system.observables[n].factor, shape) for n in saved]
    return np.stack(factors, axis=1)


def _diagnostics(result: Trajectories) -> dict[str, Any]:
    """Status and steps of each subject, and the mass balance where the system is closed."""
    flags = {
        **schemas.attrs("simulation", "status"),
        "flag_values": np.array([s.value for s in Status], dtype=np.int8),
        "flag_meanings": " ".join(s.name.lower() for s in Status),
    }
    steps = {"units": "1", "long_name": "accepted solver steps"}
    variables: dict[str, Any] = {
        "status": ("subject", result.status, flags),
        "steps": ("subject", result.steps[:, 0].astype(np.int32), steps),
    }
    if result.balance is not None:
        # where nothing was given yet, the absolute error; in the memory of `balance`
        relative = np.divide(
            result.balance, result.given, out=result.balance, where=result.given > 0
        )
        attrs = schemas.attrs("simulation", "mass_balance_error")
        variables["mass_balance_error"] = (_DIMS[:2], relative, attrs)
    return variables


def _areas(problem: Problem, result: Trajectories) -> dict[str, Any]:
    """Cumulative AUC and AUMC by the integrator, (subject, time, auc_compartment)."""
    names = ("cumulative_auc", "cumulative_aumc")
    dims = ("subject", "time", "auc_compartment")
    return {
        name: (dims, values, schemas.attrs("simulation", name))
        for name, values in zip(names, of_concentrations(problem, result), strict=True)
    }


def _sensitivity(
    system: System, problem: Problem, result: Trajectories, saved: tuple[str, ...]
) -> tuple:
    """Derivative of the concentrations by the parameters, (subject, time, compartment, parameter).

    d(A f + o)/dp = f dA/dp + A df/dp + do/dp with the factor f and the offset o of the compartment.
    """
    column = _columns(system, problem, saved)
    slope = result.sensitivity[:, :, column] * _factors(system, saved)[:, None, :, None]
    for q, d in enumerate(result.derivatives):
        for o, name in enumerate(saved):
            if name in d.factor:
                by_factor = np.broadcast_to(d.factor[name], (system.n_subjects,))[:, None]
                slope[:, :, o, q] += result.amount[:, :, column[o]] * by_factor
            if name in d.offset:
                slope[:, :, o, q] += np.reshape(d.offset[name], (-1, 1))
    attrs = {
        "units": "(mg/L)/(unit of the parameter)",
        "long_name": "derivative of the concentration by the parameter",
    }
    return ((*_DIMS, "parameter"), slope, attrs)


def _coordinates(
    system: System,
    problem: Problem,
    result: Trajectories,
    saved: tuple[str, ...],
    first_dose: np.ndarray,
) -> dict[str, Any]:
    """Subjects, times, compartments and first doses; parameters of sensitivities."""
    coords = {
        "subject": system.subjects,
        "time": ("time", problem.times, {"units": "h", "long_name": "time"}),
        "compartment": np.array(saved, dtype=str),
        "dose": ("subject", first_dose, {"units": "mg", "long_name": "first dose"}),
    }
    if result.area is not None:
        coords["auc_compartment"] = np.array(problem.areas, dtype=str)
    if problem.parameters:
        coords["parameter"] = np.array(problem.parameters, dtype=str)
    return coords


def _indexed(coords: dict[str, Any]) -> xr.Coordinates:
    """Coordinates with their indexes; those of names are made once, since text takes long."""
    variables: dict[str, Any] = {}
    indexes: dict[str, PandasIndex] = {}
    for name, value in coords.items():
        if isinstance(value, tuple) and value[0] != name:
            variables[name] = xr.Variable(*value)
            continue
        if isinstance(value, tuple):
            index = PandasIndex(value[1], name)
            made = index.create_variables({name: xr.Variable(*value)})
        elif np.asarray(value).dtype.kind == "U":
            index, made = _index_of_names(name, tuple(np.asarray(value).tolist()))
        else:
            index = PandasIndex(value, name)
            made = index.create_variables()
        variables |= made
        indexes[name] = index
    return xr.Coordinates(variables, indexes)


@lru_cache(maxsize=64)
def _index_of_names(dim: str, names: tuple[str, ...]) -> tuple[PandasIndex, dict[Any, Any]]:
    values = np.array(names, dtype=str)
    index = PandasIndex(values, dim, values.dtype)
    return index, index.create_variables({dim: xr.Variable(dim, values)})


__all__ = ["COVARIATES", "covariates", "dose_records", "simulation_dataset"]
