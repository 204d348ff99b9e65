"""Permeability-limited tissues and recirculation are first-order terms like any other: every backend takes them."""

from __future__ import annotations

import numpy as np

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system
from pbpk_hybrid.solvers.base import Problem
from pbpk_hybrid.solvers.doses import dose_stops, steady_state_stops
from pbpk_hybrid.solvers.expm import solve_exactly


def test_a_permeability_limited_model_is_within_1e8_of_the_matrix_exponential(backend):
    tissues = (
        "lung",
        "heart",
        "brain",
        "muscle",
        "adipose",
        "skin",
        "bone",
        "kidney",
        "gut",
        "spleen",
        "pancreas",
        "stomach",
        "liver",
        "rest",
    )
    compound = ph.Compound.create(
        name="drug",
        fraction_unbound_plasma=0.2,
        blood_to_plasma_ratio=0.9,
        clint_hepatocyte=10.0,
        fraction_unbound_hepatocyte=1.0,
        absorption_rate=1.0,
        biliary_clearance=5.0,
        gallbladder_emptying_rate=0.5,
        kp=dict.fromkeys(tissues, 2.0),
        partition_method="measured",
    )
    people = ph.sample_population(10, seed=3)
    system = whole_body_system(
        compound, people, permeability_limited={o: (0.5, 5.0) for o in tissues}
    )
    times = np.linspace(0.0, 24.0, 13)
    options = ph.SolverOptions(rtol=1e-10, atol=1e-13)
    doses = dose_stops(system, ph.Regimen.parse("100 mg oral q12h x2"), 24.0)
    stops, _ = steady_state_stops(system, doses, backend, options)
    problem = Problem(system, stops, times, ("plasma", "muscle", "brain.cells", "gallbladder"))
    exact = solve_exactly(problem, ph.SolverOptions(method="expm")).amount
    result = backend.solve(problem, options)
    assert (result.status == 0).all()
    # relative to the amount or 1e-4 mg of a 100 mg dose; the local error is 1e-10 per step
    assert np.max(np.abs(result.amount - exact) / (np.abs(exact) + 1e-4)) < 1e-8
    # body + bile + sinks = what was given
    assert np.abs(result.balance).max() < 1e-7
