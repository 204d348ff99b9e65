"""Transporters, linear and saturable, alone and inhibited: every backend gives the same."""

from __future__ import annotations

import numpy as np

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.interactions import interacting_system

STATIN = ph.Compound.create(
    name="statin",
    molar_mass=400.0,
    log_p=2.0,
    pka_acid=[4.5],
    fraction_unbound_plasma=0.05,
    blood_to_plasma_ratio=0.7,
    clint_hepatocyte=10.0,
    fraction_unbound_hepatocyte=1.0,
    absorption_rate=1.0,
    permeability_surface_area={"liver": 3.0},
    kp={"liver": 0.5},
    transporters=[
        {"name": "OATP1B1", "jmax": 2.0, "km": 0.05},
        {"name": "MRP3", "direction": "efflux", "clint": 5.0},
        {"name": "MRP2", "direction": "secretion", "clint": 10.0},
    ],
)
INHIBITOR = ph.Compound.create(
    name="inhibitor",
    molar_mass=500.0,
    log_p=2.0,
    fraction_unbound_plasma=0.1,
    blood_to_plasma_ratio=1.0,
    clint_hepatocyte=5.0,
    fraction_unbound_hepatocyte=1.0,
    absorption_rate=1.0,
    enzyme_effects=[{"enzyme": "OATP1B1", "kind": "competitive", "ki": 0.05}],
)
TIMES = np.r_[0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0]


def check(system, regimen, backend_name):
    """Against the embedded backend at a tight tolerance, which the contract checks against LSODA."""
    tight = ph.SolverOptions(rtol=1e-10, atol=1e-13)
    exact = ph.simulate_system(system, regimen, TIMES, options=tight, backend="embedded")
    result = ph.simulate_system(system, regimen, TIMES, backend=backend_name)
    a, b = exact["amount"].values, result["amount"].values
    keep = np.isfinite(a)
    assert np.max(np.abs(b - a)[keep] / (np.abs(a)[keep] + 1e-4)) < 1e-5
    assert float(np.abs(result["mass_balance_error"]).max()) < 1e-8


def test_a_drug_with_transporters(backend_name):
    people = ph.with_transporters(ph.sample_population(5, seed=2), phenotypes="population", seed=1)
    check(ph.whole_body_system(STATIN, people), "10 mg oral", backend_name)


def test_a_drug_whose_uptake_is_inhibited(backend_name):
    system = interacting_system([STATIN, INHIBITOR], ph.reference_individual("human"))
    regimen = ph.Regimen.dose(10.0, compartment="statin:oral") + ph.Regimen.dose(
        200.0, compartment="inhibitor:oral"
    )
    check(system, regimen, backend_name)
