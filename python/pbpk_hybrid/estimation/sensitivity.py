"""What the outputs depend on: Sobol indices over a region, elasticities at a point."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from .._core.errors import InputError, unknown_name
from .._core.optional import require
from .._core.provenance import provenance
from ..dosing import Regimen
from ..models.system.derivatives import parameter_names
from ..models.system.named import named, own_values, with_values
from ..models.system.system import System
from ..nca.area import segment_areas
from ..simulation.single import simulate_system
from ..solvers.base import SolverOptions
from .parameters import LogNormal

METRICS = ("auc", "cmax")
_MOST_RUNS = 500_000


def sobol(
    model: System,
    parameters: Mapping[str, tuple[float, float] | LogNormal],
    *,
    regimen: Regimen | xr.Dataset | str,
    times: Sequence[float] | np.ndarray,
    compartment: str = "plasma",
    samples: int = 512,
    seed: int = 0,
    body_weight: np.ndarray | None = None,
    lag_time: float | None = None,
    options: SolverOptions | None = None,
) -> xr.Dataset:
    """Variance-based sensitivity indices of log AUC and log Cmax (Saltelli et al. 2010,
    Comput Phys Commun 181:259; SALib).

    Parameters
    ----------
    model : a System with one subject
    parameters : name -> (low, high), uniform, or a LogNormal
    times : [h] AUC runs from the first to the last
    samples : a power of 2; samples x (parameters + 2) runs are done together

    Returns
    -------
    Dataset ``first`` and ``total`` with ``first_interval`` and ``total_interval`` (95 %,
    half width) over metric, parameter

    Raises
    ------
    InputError, UnknownNameError ; MissingDependencyError : SALib is not installed (extra
    ``estimate``)
    """
    _check_sobol(model, parameters, samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        require("SALib", "estimate", "Sobol indices")
        from SALib.analyze import sobol as analysis
        from SALib.sample import sobol as sampling
    problem = {
        "num_vars": len(parameters),
        "names": list(parameters),
        "bounds": [[0.0, 1.0]] * len(parameters),
    }
    # (run, parameter), each in (0, 1)
    share = sampling.sample(problem, int(samples), calc_second_order=False, seed=seed)
    many = repeated(model, len(share), _values_at(parameters, share))
    weight = None if body_weight is None else np.broadcast_to(body_weight, (len(share),))
    run = simulate_system(
        many,
        regimen,
        times,
        compartments=[compartment],
        backend="embedded",
        options=options,
        body_weight=weight,
        lag_time=lag_time,
        raise_on_failure=True,
    )
    curves = run["concentration"].values[:, :, 0]
    results: dict[str, list] = {
        k: [] for k in ("first", "total", "first_interval", "total_interval")
    }
    for metric in _metrics(np.asarray(run["time"].values), curves).values():
        with np.errstate(invalid="ignore", divide="ignore"):
            found = analysis.analyze(problem, np.log(metric), calc_second_order=False, seed=seed)
        for key, name in zip(results, ("S1", "ST", "S1_conf", "ST_conf"), strict=True):
            results[key].append(found[name])
    facts = {"samples": int(samples), "runs": len(share), "seed": seed, "compartment": compartment}
    return xr.Dataset(
        {k: (("metric", "parameter"), np.array(v)) for k, v in results.items()},
        {"metric": list(METRICS), "parameter": list(parameters)},
        attrs=provenance(method="Sobol, SALib", **facts),
    )


def _check_sobol(
    model: System, parameters: Mapping[str, tuple[float, float] | LogNormal], samples: int
) -> None:
    """Refuse what :func:`sobol` cannot use."""
    if model.n_subjects != 1:
        raise InputError("model", model.n_subjects, "a System with one subject")
    if len(parameters) < 2:
        raise InputError("parameters", list(parameters), "at least two parameters")
    if not isinstance(samples, (int, np.integer)) or samples < 8 or samples & (samples - 1):
        raise InputError("samples", samples, "a power of 2, at least 8")
    known = parameter_names(model)
    for name, region in parameters.items():
        if name not in known:
            raise unknown_name("parameters", name, known, what="a parameter of the model")
        ok = isinstance(region, LogNormal) or (
            len(region) == 2 and np.isfinite(region).all() and region[0] < region[1]
        )
        if not ok:
            raise InputError(f"parameters[{name!r}]", region, "(low, high) or a LogNormal")
    runs = samples * (len(parameters) + 2)
    if runs > _MOST_RUNS:
        raise InputError("samples", samples, f"at most {_MOST_RUNS:,} runs in all, not {runs:,}")


def _values_at(
    parameters: Mapping[str, tuple[float, float] | LogNormal], share: np.ndarray
) -> dict[str, np.ndarray]:
    """Values of the parameters, (n_runs,) each, at quantiles (n_runs, n_parameters)."""
    values = {}
    for i, (name, region) in enumerate(parameters.items()):
        inner = np.clip(share[:, i], 1e-9, 1 - 1e-9)
        values[name] = (
            region.draw(inner)
            if isinstance(region, LogNormal)
            else region[0] + inner * (region[1] - region[0])
        )
    return values


def elasticity(
    model: System,
    parameters: Sequence[str],
    *,
    regimen: Regimen | xr.Dataset | str,
    times: Sequence[float] | np.ndarray,
    compartment: str = "plasma",
    body_weight: np.ndarray | None = None,
    lag_time: float | None = None,
    options: SolverOptions | None = None,
) -> xr.Dataset:
    """Local elasticities of AUC and Cmax, d log metric / d log parameter, by forward sensitivities.

    The AUC is the linear trapezoidal one over `times`, Cmax the largest of the values there.

    Returns
    -------
    Dataset ``elasticity`` over metric, subject, parameter
    """
    if not len(parameters):
        raise InputError("parameters", list(parameters), "at least one parameter")
    run = simulate_system(
        model,
        regimen,
        times,
        compartments=[compartment],
        backend="embedded",
        options=options,
        sensitivities=tuple(parameters),
        body_weight=body_weight,
        lag_time=lag_time,
        raise_on_failure=True,
    )
    t = run["time"].values
    c, slope = (
        run["concentration"].values[:, :, 0],
        run["concentration_sensitivity"].values[:, :, 0],
    )
    peak = c.argmax(axis=1)
    rows = np.arange(len(c))
    own = own_values(model)
    size = np.stack([np.broadcast_to(own[p], (model.n_subjects,)) for p in parameters], axis=1)
    area = np.trapezoid(slope, t, axis=1) * size / np.trapezoid(c, t, axis=1)[:, None]
    highest = slope[rows, peak] * size / c[rows, peak][:, None]
    return xr.Dataset(
        {
            "elasticity": (
                ("metric", "subject", "parameter"),
                np.stack([area, highest]),
                {"units": "1"},
            )
        },
        {"metric": list(METRICS), "subject": run["subject"].values, "parameter": list(parameters)},
        attrs=provenance(compartment=compartment, regimen=run.attrs.get("regimen", "")),
    )


def repeated(model: System, n: int, values: Mapping[str, np.ndarray]) -> System:
    """One subject n times, each with its own values (n,) of some parameters."""
    one = named(model)
    own: dict[str, Any] = {
        **own_values(one),
        **{k: np.asarray(v, dtype=float) for k, v in values.items()},
    }
    wide = lambda a: np.broadcast_to(a, (n, *a.shape[1:]))
    many = replace(
        one,
        k_value=wide(one.k_value),
        n_subjects=n,
        subjects=np.arange(n),
        reactions=tuple(replace(r, parameters=wide(r.parameters)) for r in one.reactions),
    )
    return with_values(many, own)


def _metrics(times: np.ndarray, curves: np.ndarray) -> dict[str, np.ndarray]:
    area = segment_area(times, curves)
    return {"auc": area, "cmax": curves.max(axis=1)}


def segment_area(times: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Linear-up, log-down AUC of every row."""
    pieces = segment_areas(
        np.broadcast_to(times, curves.shape), np.maximum(curves, 0.0), "linear_up_log_down"
    )
    return np.asarray(pieces[0] if isinstance(pieces, tuple) else pieces).sum(axis=1)
