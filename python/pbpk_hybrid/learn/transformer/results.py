"""What is asked for, checked, and the forecast as a Dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..._core import schemas
from ..._core.arguments import check_times
from ..._core.errors import InputError, unknown_name
from ..._core.provenance import provenance
from .batch import SITES
from .data import Patient


@dataclass(frozen=True)
class Queries:
    """Where the forecast is wanted.

    Parameters
    ----------
    times : array
        (n_times,) [h]
    sites : list of int
        numbers in SITES
    levels : array
        (n_levels,) of the quantiles
    """

    times: np.ndarray
    sites: list[int]
    levels: np.ndarray

    @classmethod
    def of(cls, times: Any, compartments: Sequence[str], quantiles: Sequence[float]) -> Queries:
        """Checked queries.

        Raises
        ------
        InputError, UnknownNameError
            as :meth:`.Forecaster.forecast`
        """
        return cls(check_times("times", times), _sites(compartments), _levels(quantiles))


def _sites(compartments: Sequence[str]) -> list[int]:
    names = (compartments,) if isinstance(compartments, str) else tuple(compartments)
    if not names:
        raise InputError("compartments", names, "at least one compartment")
    for name in names:
        if name not in SITES:
            raise unknown_name("compartments", name, SITES, what="plasma, blood or an organ")
    return [SITES.index(n) for n in names]


def _levels(quantiles: Sequence[float]) -> np.ndarray:
    if isinstance(quantiles, str):
        raise InputError("quantiles", quantiles, "increasing numbers between 0 and 1")
    levels = np.atleast_1d(np.asarray(quantiles, dtype=float))
    if (
        levels.ndim != 1
        or not levels.size
        or not (np.all(levels > 0) and np.all(levels < 1))
        or np.any(np.diff(levels) <= 0)
    ):
        raise InputError(
            "quantiles", np.asarray(quantiles).tolist(), "increasing numbers between 0 and 1"
        )
    return levels


def has_entered(patient: Patient, times: np.ndarray) -> np.ndarray:
    """Where some of a dose has entered: after the first dose, or with it where it is a bolus."""
    first = patient.doses.time <= patient.doses.first
    at_once = bool((first & ~patient.doses.oral & (patient.doses.duration == 0)).any())
    return times >= patient.doses.first if at_once else times > patient.doses.first


def forecast_dataset(
    patients: Sequence[Patient],
    queries: Queries,
    values: np.ndarray,
    score: np.ndarray,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """The forecast, schema ``simulation``.

    Parameters
    ----------
    values : array
        (B, n_times, n_sites, 1 + n_levels) [mg/L]: median and quantiles
    score : array
        (B,) of :func:`.out_of_distribution.ood_score`
    attrs : mapping
        more attributes
    """
    dims = ("subject", "time", "compartment")
    concentration = schemas.attrs("simulation", "concentration")
    median = {**concentration, "long_name": "median forecast of the measured concentration"}
    quantile = {**concentration, "long_name": "quantiles of the forecast"}
    distance = {"units": "1", "long_name": "distance from the corpus; above 1: outside it"}
    status = schemas.attrs("simulation", "status")
    body_weight = schemas.attrs("physiology", "body_weight")
    return xr.Dataset(
        {
            "concentration": (dims, values[..., 0], median),
            "concentration_quantile": ((*dims, "quantile"), values[..., 1:], quantile),
            "status": ("subject", np.zeros(len(patients), np.int8), status),
            "ood_score": ("subject", score, distance),
        },
        {
            "subject": np.array([p.label for p in patients]),
            "time": ("time", queries.times, {"units": "h", "long_name": "time"}),
            "compartment": np.array([SITES[site] for site in queries.sites]),
            "quantile": queries.levels,
            "species": ("subject", np.array([p.species for p in patients])),
            "body_weight": ("subject", np.array([p.body_weight for p in patients]), body_weight),
        },
        attrs=provenance(
            model="forecaster", **attrs, schema="simulation", schema_version=schemas.SCHEMA_VERSION
        ),
    )


__all__ = ["Queries", "forecast_dataset", "has_entered"]
