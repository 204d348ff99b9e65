"""A one-compartment model with named parameters, and observations of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid.models.system.system import Coefficients


def one_compartment(n=1, ka=1.5, cl=3.0, v=30.0, subjects=None):
    """depot -> body, n subjects; parameters ka [1/h], cl [L/h], v [L]."""

    def assemble(p):
        rate = p["cl"] / p["v"]
        columns = np.broadcast_arrays(*(np.atleast_1d(x) for x in (-p["ka"], p["ka"], -rate)))
        return Coefficients(np.stack(columns, axis=1), (), {"plasma": 1.0 / np.atleast_1d(p["v"])})

    parameters = {"ka": np.array([ka]), "cl": np.array([cl]), "v": np.array([v])}
    c = assemble(parameters)
    return ph.System(
        ("depot", "body"),
        [0, 1, 1],
        [0, 0, 1],
        c.k_value,
        observables={"plasma": ph.Observable((1,), c.observable_factor["plasma"])},
        targets={"oral": 0, "iv_bolus": 1, "iv_infusion": 1},
        n_subjects=n,
        subjects=subjects,
        parameters=parameters,
        assemble=assemble,
    )


def observed(time, value, subject="0", lloq=None, matrix="plasma"):
    """Observations of one or many subjects; below `lloq` they are censored."""
    time, value = np.asarray(time, float), np.asarray(value, float)
    n = time.size
    limit = np.full(n, np.nan if lloq is None else lloq)
    censored = np.zeros(n, dtype=int) if lloq is None else (value < lloq).astype(int)
    text = lambda x: ("sample", np.broadcast_to(np.asarray(x, dtype=str), (n,)).copy())
    return xr.Dataset(
        {
            "time": ("sample", time),
            "value": ("sample", np.where(censored, np.nan, value)),
            "lloq": ("sample", limit),
            "censored": ("sample", censored),
            "matrix": text(matrix),
            "subject": text(subject),
            "study": text("s"),
            "reference": text("r"),
        }
    )


@pytest.fixture(scope="session")
def model():
    return one_compartment


@pytest.fixture(scope="session")
def observe():
    return observed


@pytest.fixture(scope="session")
def nlmixr2data() -> Path:
    """Folder of the nlmixr2data collection (GPL-3, not part of the package)."""
    folder = Path(__file__).parents[3] / "benchmarks" / "data" / "nlmixr2data"
    if not (folder / "theo_sd.csv.gz").is_file():
        pytest.skip("the nlmixr2data collection is not beside this repository")
    return folder
