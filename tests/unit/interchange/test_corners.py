"""Corners of min and max: the rate is continuous there, so exact derivatives go through them."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph

HOURS = np.array([1.0, 2.0, 4.0, 5.0, 8.0])


@pytest.fixture
def model():
    """dA/dt = -min(vmax, k A) from A = 10: A falls along a line to vmax/k, then exponentially."""
    return ph.ode_model(
        rates={"A": "-min(vmax, k*A)"}, start={"A": 10.0}, parameters={"vmax": 2.0, "k": 0.5}
    )


def exact(vmax: float, k: float) -> np.ndarray:
    corner = (10.0 - vmax / k) / vmax
    after = vmax / k * np.exp(-k * (HOURS - corner))
    return np.where(corner > HOURS, 10.0 - vmax * HOURS, after)


def test_a_solution_through_a_corner(model):
    got = model.simulate(HOURS)["value"].values[0, :, 0]
    np.testing.assert_allclose(got, exact(2.0, 0.5), rtol=1e-5)


def test_derivatives_by_parameters_that_move_a_corner(model):
    names = ["vmax", "k"]
    found = model.simulate(HOURS, sensitivities=names)["value_sensitivity"].values[0, :, 0]
    h = 1e-5
    by_vmax = (exact(2.0 + h, 0.5) - exact(2.0 - h, 0.5)) / (2 * h)
    by_k = (exact(2.0, 0.5 + h) - exact(2.0, 0.5 - h)) / (2 * h)
    np.testing.assert_allclose(found, np.stack([by_vmax, by_k], axis=1), rtol=1e-4, atol=1e-6)
