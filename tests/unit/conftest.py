"""Synthetic simulations and observations for the rooms that read them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pbpk_hybrid._core import schemas


def _make_simulation(n=5, failed=(), route="oral", times=None):
    """One-compartment curves: 100 mg into 20 L, k from 0.1 to 0.3 1/h, ka 1.5 1/h; the liver at twice the plasma."""
    time = np.linspace(0, 24, 49) if times is None else np.asarray(times, dtype=float)
    k = np.linspace(0.1, 0.3, n)[:, None]
    if route == "oral":
        plasma = 100 / 20 * 1.5 / (1.5 - k) * (np.exp(-k * time) - np.exp(-1.5 * time))
    else:
        plasma = 100 / 20 * np.exp(-k * time)
    status = np.zeros(n, dtype=np.int8)
    metabolised = 100 - 20 * plasma
    for i in failed:
        status[i], plasma[i], metabolised[i] = 3, np.nan, np.nan
    dims = ("subject", "time", "compartment")
    return xr.Dataset(
        {
            "concentration": (
                dims,
                np.stack([plasma, 2 * plasma, np.full_like(plasma, np.nan)], axis=-1),
                schemas.attrs("simulation", "concentration"),
            ),
            "amount": (
                dims,
                np.stack([plasma * 3, plasma * 4, metabolised], axis=-1),
                schemas.attrs("simulation", "amount"),
            ),
            "mass_balance_error": (
                dims[:2],
                np.full(plasma.shape, 1e-14),
                schemas.attrs("simulation", "mass_balance_error"),
            ),
            "status": (
                "subject",
                status,
                {
                    **schemas.attrs("simulation", "status"),
                    "flag_values": np.array([0, 3], dtype=np.int8),
                    "flag_meanings": "success not_finite",
                },
            ),
        },
        {
            "subject": np.arange(n),
            "time": ("time", time, {"units": "h", "long_name": "time"}),
            "compartment": np.array(["plasma", "liver", "metabolised"]),
            "dose": ("subject", np.full(n, 100.0), {"units": "mg", "long_name": "dose"}),
            "sex": ("subject", np.array(["male", "female"] * n)[:n]),
            "body_weight": (
                "subject",
                np.linspace(50, 90, n),
                {"units": "kg", "long_name": "body weight"},
            ),
        },
        attrs={
            "compound": "testine",
            "regimen": "100 mg oral",
            "backend": "embedded",
            "rtol": 1e-6,
            "seed": 7,
            "note": "",
        },
    )


@pytest.fixture
def make_simulation():
    """Function: (n, failed, route, times) -> simulation Dataset."""
    return _make_simulation


@pytest.fixture
def observed():
    """Function: simulation, n -> observation Dataset: n people read off its first subjects, with error."""

    def make(sim, n=3, times=(0.0, 0.5, 1, 2, 4, 8, 12, 24), seed=0):
        rng = np.random.default_rng(seed)
        curve = (
            sim["concentration"]
            .sel(compartment="plasma")
            .isel(subject=slice(0, n))
            .interp(time=list(times))
            .values
        )
        value = (curve * np.exp(0.1 * rng.standard_normal(curve.shape))).ravel()
        size = value.size
        return xr.Dataset(
            {
                "time": ("sample", np.tile(times, n), schemas.attrs("observation", "time")),
                "value": ("sample", value, schemas.attrs("observation", "value")),
                "matrix": ("sample", np.full(size, "plasma")),
                "subject": ("sample", np.repeat(np.arange(n).astype(str), len(times))),
                "study": ("sample", np.full(size, "made up")),
                "reference": ("sample", np.full(size, "none")),
                "dose": ("sample", np.full(size, 100.0), {"units": "mg"}),
            }
        )

    return make
