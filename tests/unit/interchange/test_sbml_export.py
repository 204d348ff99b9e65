"""Exported models simulated by libRoadRunner, another program, give the same amounts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.compounds.curated import curated_names
from pbpk_hybrid.interchange import export_sbml
from pbpk_hybrid.models import with_indirect_response
from pbpk_hybrid.models.system.examples import random_system, yardstick_system

pytest.importorskip("libsbml", exc_type=ImportError)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    roadrunner = pytest.importorskip("roadrunner", exc_type=ImportError)
roadrunner.Logger.setLevel(roadrunner.Logger.LOG_CRITICAL)

TIMES = np.linspace(0.0, 48.0, 25)
TWO_DOSES = ph.Regimen.infusion(100, 2) + ph.Regimen.bolus(50, time=10)


def largest_difference(system, regimen, subject=0, **doses):
    """Between libRoadRunner (CVODE, 1e-10) and this engine (1e-9), relative; under 1e-6 of the largest amount absolute."""
    run = roadrunner.RoadRunner(
        export_sbml(system, subject=subject, regimen=regimen, horizon=TIMES[-1], **doses)
    )
    run.integrator.relative_tolerance, run.integrator.absolute_tolerance = 1e-10, 1e-14
    run.integrator.maximum_num_steps = 1_000_000
    run.timeCourseSelections = list(run.model.getFloatingSpeciesIds())
    theirs = np.array(run.simulate(times=list(TIMES)))
    one = system.take([subject])
    ds = ph.simulate_system(
        one, regimen, TIMES, backend="embedded", options=ph.SolverOptions(rtol=1e-9), **doses
    )
    ours = ds["amount"].sel(compartment=list(system.states))[0].values
    return float(np.max(np.abs(theirs - ours) / (np.abs(ours) + 1e-6 * ours.max())))


@pytest.mark.parametrize("name", curated_names())
def test_every_curated_model_simulates_in_libroadrunner_to_1e5(name):
    person = ph.reference_individual("human")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.OutOfRangeWarning)
        system = ph.whole_body_system(ph.get_compound(name), person)
    regimen = TWO_DOSES + ph.Regimen.oral(30, time=20) if "oral" in system.targets else TWO_DOSES
    assert largest_difference(system, regimen) < 1e-5


STATIN = ph.Compound.create(
    name="statin",
    molar_mass=400.0,
    log_p=2.0,
    fraction_unbound_plasma=0.05,
    clint_hepatocyte=10.0,
    kp={"liver": 0.5},
    fraction_unbound_hepatocyte=1.0,
    absorption_rate=1.0,
    permeability_surface_area={"liver": 3.0},
    transporters=[
        {"name": "OATP1B1", "jmax": 2.0, "km": 0.05},
        {"name": "MRP2", "direction": "secretion", "clint": 10.0},
    ],
)
BINDER = ph.Antibody(name="binder", fcrn_capacity=50.0, target=20.0, target_on=0.5)

SYSTEMS = {
    "transporters": (ph.whole_body_system(STATIN, ph.reference_individual("human")), "10 mg oral"),
    "two pores": (
        ph.two_pore_system(BINDER, ph.reference_individual("human"), target_in=("skin",)),
        "100 mg iv",
    ),
    "yardstick": (yardstick_system(3, seed=1), "100 mg oral"),
    "random": (random_system(8, 3, n_subjects=2, n_reactions=4), "100 mg iv"),
    "httk": (ph.httk_pbtk("midazolam"), "5 mg oral q24h x2"),
    "response": (
        with_indirect_response(
            yardstick_system(1),
            "stimulate_loss",
            kin=10,
            kout=0.2,
            maximum=2.0,
            half=1.0,
            power=1.7,
            compartment="liver",
        ),
        "100 mg oral",
    ),
    "reset": (
        yardstick_system(1),
        ph.Regimen.infusion(100, 12) + ph.Regimen.reset(6.0) + ph.Regimen.oral(20, time=8),
    ),
}


@pytest.mark.parametrize(("system", "regimen"), SYSTEMS.values(), ids=SYSTEMS)
def test_other_systems_do_too(system, regimen):
    assert largest_difference(system, regimen, subject=system.n_subjects - 1) < 1e-5


def test_observables_are_the_concentrations_and_the_file_is_written(tmp_path):
    system, path = yardstick_system(1), tmp_path / "model.xml"
    text = export_sbml(system, path, regimen="100 mg oral")
    assert path.read_text(encoding="utf-8") == text
    run = roadrunner.RoadRunner(text)
    run.timeCourseSelections = ["concentration_liver"]
    theirs = np.array(run.simulate(times=list(TIMES)))[:, 0]
    ds = ph.simulate_system(
        system, "100 mg oral", TIMES, compartments=["liver"], backend="embedded"
    )
    np.testing.assert_allclose(theirs, ds["concentration"][0, :, 0], rtol=1e-4, atol=1e-6)


def test_what_cannot_be_exported_is_refused():
    system = yardstick_system(1)
    with pytest.raises(ph.InputError, match="subject"):
        export_sbml(system, subject=1)
    with pytest.raises(ph.InputError, match="steady-state"):
        export_sbml(system, regimen=ph.Regimen.oral(10, steady_state=1, interval=12))
    with pytest.raises(ph.InputError, match="nowhere"):
        export_sbml(system, regimen=ph.Regimen.dose(10, compartment="nowhere"))
