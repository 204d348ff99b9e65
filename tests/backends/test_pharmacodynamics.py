"""Effect compartments and responses on every backend, against the same definition integrated by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pbpk_hybrid as ph
from pbpk_hybrid.models import with_effect_compartment, with_indirect_response
from pbpk_hybrid.models.system.examples import yardstick_system
from pbpk_hybrid.solvers.base import ADD, Problem, SolverOptions, Status, StopTable

TIMES = np.linspace(0.0, 36.0, 37)


def model(kind: str, power: float) -> ph.System:
    """The yardstick in nine people, an effect compartment behind the brain, and a response to it."""
    system = with_effect_compartment(
        yardstick_system(9, seed=2), 0.8, compartment="brain", name="site"
    )
    top = np.linspace(0.4, 0.9, 9) * (1.0 if kind.startswith("inhibit") else 4.0)
    return with_indirect_response(
        system,
        kind,
        kin=30.0,
        kout=0.4,
        maximum=top,
        half=1.5,
        power=power,
        compartment="site",
        name="response",
    )


@pytest.mark.parametrize(
    ("kind", "power"),
    [
        ("inhibit_production", 1.0),
        ("inhibit_loss", 2.2),
        ("stimulate_production", 0.7),
        ("stimulate_loss", 3.0),
    ],
)
def test_all_states_agree_with_lsoda_to_1e5_at_default_tolerances(backend, kind, power):
    system = model(kind, power)
    stops = StopTable(*(np.array([v]) for v in (-1, 0.0, ADD, 0, 100.0)))
    result = backend.solve(Problem(system, stops, TIMES, system.states), SolverOptions())
    assert (result.status == Status.SUCCESS).all()
    y0 = np.zeros(system.n_states)
    y0[0] = 100.0
    for s in (0, 8):
        expected = solve_ivp(
            lambda _, y, s=s: system.rhs(y, s), (0, 36), y0, "LSODA", TIMES, rtol=1e-10, atol=1e-11
        ).y.T
        assert np.max(np.abs(result.amount[s] - expected) / (np.abs(expected) + 1e-4)) < 1e-5


def test_a_response_starts_and_ends_at_its_baseline(backend):
    system = model("inhibit_production", 1.0)
    ds = ph.simulate_system(
        system, "100 mg oral", [0.0, 2.0, 2000.0], compartments=["response"], backend=backend.name
    )
    response = ds["concentration"][:, :, 0]
    np.testing.assert_allclose(response[:, 0], 75.0, rtol=1e-12)
    assert (response[:, 1] < 74.9).all()
    np.testing.assert_allclose(response[:, 2], 75.0, rtol=1e-3)
