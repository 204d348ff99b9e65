"""Which tissues fill slowly by default, and where a measured volume of distribution is put."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid import Compound, InputError
from pbpk_hybrid._core.errors import UnknownNameError
from pbpk_hybrid.compounds.predicted_absorption import predict_caco2
from pbpk_hybrid.models.small_molecules.disposition import resolve_disposition
from pbpk_hybrid.models.small_molecules.distribution import equilibrium_volume
from pbpk_hybrid.models.small_molecules.slow_tissues import SURFACE

PERSON = ph.reference_individual("human")


def drug(**changes) -> Compound:
    """Neutral; the partition method predicts 1.1 L/kg."""
    values = {
        "name": "slow",
        "molar_mass": 400.0,
        "log_p": 2.0,
        "fraction_unbound_plasma": 0.2,
        "blood_to_plasma_ratio": 0.8,
        "clearance_plasma": 5.0,
        "volume_steady_state": 3.0,
        "distribution_basis": "in_vivo",
        "caco2_permeability": 4.0,
    }
    return Compound.create(**values | changes)


def barriers(compound: Compound, species: str = "human", **choices) -> dict[str, float]:
    """Organ -> PS of its cell membranes [L/h/kg]."""
    system = ph.whole_body_system(compound, ph.reference_individual(species), **choices)
    mass = lambda o: system.parameters[f"ps_cells.{o}"][0]
    named = system.attrs.get("permeability_limited", "")
    return {o: mass(o) for o in named.split(", ") if o}


def test_volume_beyond_the_predicted_lies_behind_membranes_of_the_drugs_permeability():
    found = resolve_disposition(drug(), PERSON)
    assert set(found.barriers) >= {"muscle", "skin", "kidney", "brain"}
    assert "liver" not in found.barriers
    for barrier in found.barriers.values():
        assert barrier.cells == pytest.approx(SURFACE * 4.0)
    assert "Caco-2" in found.entries["ps_cells.muscle"].source


@pytest.mark.parametrize(
    "changes",
    [
        {"caco2_permeability": 10.0},  # crosses membranes easily
        {"volume_steady_state": 0.5},  # nothing unexplained
        {"distribution_basis": "predicted"},
        {"binding_organs": ["muscle"]},  # explained by its target
    ],
)
def test_other_drugs_fill_tissues_with_the_blood(changes):
    assert barriers(drug(**changes)) == {}


def test_an_own_permeability_and_the_choice_of_a_run_come_first():
    assert list(barriers(drug(permeability_surface_area={"skin": 0.5}))) == ["skin"]
    assert barriers(drug(), permeability_limited={}) == {}
    assert list(barriers(drug(), permeability_limited={"bone": 1.0})) == ["bone"]


def test_without_a_measured_permeability_it_is_predicted_from_structure():
    predicted = predict_caco2(2.0, 700.0)
    assert predicted < 10
    found = resolve_disposition(drug(caco2_permeability=None, molar_mass=700.0), PERSON)
    assert found.barriers["muscle"].cells == pytest.approx(SURFACE * predicted)
    assert "predicted from structure" in found.entries["ps_cells.muscle"].source


def test_the_final_volume_is_the_measured_one_and_the_peak_is_higher():
    """After a long infusion the amount in the body over plasma is the measured volume."""
    still = drug(clearance_plasma=0.0)
    system = ph.whole_body_system(still, PERSON)
    late = ph.simulate_system(
        system, "100 mg iv", np.array([0.0, 4000.0]), options=ph.SolverOptions(method="expm")
    )
    plasma = float(late["concentration"].sel(compartment="plasma").values[0, -1])
    assert 100.0 / plasma / float(PERSON["body_weight"][0]) == pytest.approx(3.0, rel=1e-6)
    times = np.array([0.0, 0.25, 0.5])
    slow = ph.simulate(drug(), "100 mg iv", PERSON, times)["concentration"]
    fast = ph.simulate(drug(), "100 mg iv", PERSON, times, permeability_limited={})["concentration"]
    at = lambda c: c.sel(compartment="plasma").values[0, 1:]
    assert (at(slow) > 1.3 * at(fast)).all()


def test_binding_organs_hold_what_the_volume_exceeds_the_predicted_by():
    named = drug(binding_organs="muscle")
    found = resolve_disposition(named, PERSON)
    plain = resolve_disposition(drug(distribution_basis="predicted"), PERSON)
    kp = {o: float(found.entries[f"kp.{o}"].value[0]) for o in ("muscle", "heart", "skin")}
    assert kp["heart"] == plain.entries["kp.heart"].value[0]
    assert kp["skin"] == plain.entries["kp.skin"].value[0]
    every = {
        k.removeprefix("kp."): float(e.value[0])
        for k, e in found.entries.items()
        if k.startswith("kp.")
    }
    blood, tissues = equilibrium_volume(named.for_species("human"), every)
    assert blood + tissues == pytest.approx(3.0, rel=1e-12)
    assert "times" in found.entries["kp.muscle"].source
    assert "times" not in found.entries["kp.heart"].source


def test_binding_organs_are_tissues_and_need_room():
    with pytest.raises(UnknownNameError, match="muscle"):
        drug(binding_organs=["mucsle"])
    with pytest.raises(InputError, match="each organ once"):
        drug(binding_organs=["muscle", "muscle"])
    with pytest.raises(InputError, match="body without muscle"):
        resolve_disposition(drug(binding_organs=["muscle"], volume_steady_state=0.3), PERSON)
    assert drug(binding_organs="muscle").to_dict()["binding_organs"] == ["muscle"]
    again = Compound.from_dict(drug(binding_organs=("muscle", "heart")).to_dict())
    assert again.binding_organs == ("muscle", "heart")


def test_digoxin_is_where_its_target_is():
    found = resolve_disposition(ph.get_compound("digoxin"), PERSON)
    kp = lambda organ: found.entries[f"kp.{organ}"].value[0]
    assert kp("muscle") > 5 * kp("skin")
    assert not found.barriers


@pytest.mark.parametrize("species", ["rat", "dog"])
def test_a_volume_of_people_limits_nothing_in_animals(species):
    assert barriers(drug(clint_hepatocyte=5.0), species) == {}
