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


def test_two_long_thresholds_whose_texts_are_cut_alike_stay_two():
    """They differ in the middle alone, where a long text is cut: 120 states, one weight."""
    names = [f"a_rather_long_name_{i:03d}" for i in range(120)]

    def total(weight: int) -> str:
        return " + ".join(f"{weight if i == 60 else 1}*{n}" for i, n in enumerate(names))

    rates = {n: f"-0.01*{n}" for n in names}
    rates |= {x: f"({total(w)}) < 50.5 ? 1 : 0" for x, w in (("X", 1), ("Y", 1000))}
    model = ph.ode_model(rates=rates, start=dict.fromkeys(names, 0.5) | {"X": 0, "Y": 0})
    x, y = model.simulate([40.0], outputs=["X", "Y"])["value"].values[0, 0]
    assert x == pytest.approx(40.0 - 100.0 * np.log(60.0 / 50.5), rel=1e-5)
    assert y == 0.0
