"""What the strategies draw can be used: systems solve, compounds and people simulate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import pbpk_hybrid as ph
from pbpk_hybrid.solvers import SolverOptions
from pbpk_hybrid.solvers.base import ADD, Problem, Status
from pbpk_hybrid.solvers.embedded.backend import EmbeddedBackend
from pbpk_hybrid.testing import compounds, populations, regimens, systems
from pbpk_hybrid.testing.problems import stop_table


@settings(max_examples=15)
@given(systems(max_organs=12))
def test_a_drawn_system_keeps_its_mass(system):
    assert system.closed
    stops = stop_table((-1, 0.0, ADD, system.targets["iv_bolus"], 10.0))
    problem = Problem(system, stops, np.array([0.0, 1.0, 24.0]), system.states)
    result = EmbeddedBackend().solve(problem, SolverOptions())
    assert (result.status == Status.SUCCESS).all()
    assert np.abs(result.balance).max() < 1e-9 * 10.0


# the ranges reach beyond what partition equations are meant for; then they warn, and the result still stands
@pytest.mark.filterwarnings("ignore::pbpk_hybrid.OutOfRangeWarning")
@settings(max_examples=10)
@given(compounds(), regimens(max_doses=2), populations(max_subjects=2))
def test_drawn_compound_regimen_and_people_go_together(compound, regimen, people):
    result = ph.simulate(compound, regimen, people, times=[0, 1, 24, 96], seed=1)
    assert (result.status == 0).all()
    assert float(np.abs(result.mass_balance_error).max()) < 1e-9


@settings(max_examples=20)
@given(regimens(routes=("oral",)))
def test_a_regimen_has_the_routes_that_were_asked_for_and_positive_amounts(regimen):
    table = regimen.to_dataset()
    assert (table["amount"].values > 0).all()
    assert len(regimen) >= 1
