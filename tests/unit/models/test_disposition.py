"""A compound is resolved once: the parameter table holds what the System is built from."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules import partition, reference
from pbpk_hybrid.models.small_molecules.disposition import DispositionChoices, resolve_disposition


@pytest.fixture(scope="module")
def people():
    return ph.sample_population(5, seed=3)


def test_system_has_the_parameters_of_the_disposition(people):
    drug = ph.get_compound("midazolam")
    system, table = ph.whole_body_system(drug, people), resolve_disposition(drug, people)
    assert list(system.parameters) == list(table.parameters)
    for name, value in table.parameters.items():
        np.testing.assert_array_equal(system.parameters[name], value)


def test_disposition_is_that_of_the_simulation_with_its_variability(people):
    table = ph.disposition("midazolam", people)
    plain = ph.disposition("midazolam", people, variability=None)
    ratio = table.entries["clint.liver"].value / plain.entries["clint.liver"].value
    assert np.ptp(ratio) > 0 and "variability" in table.entries["clint.liver"].source
    assert "variability" not in plain.entries["clint.liver"].source
    np.testing.assert_array_equal(table.entries["kp.liver"].value, plain.entries["kp.liver"].value)


def test_every_entry_has_unit_and_source_and_all_are_in_the_prints(people):
    table = ph.disposition("midazolam", people)
    frame, html = table.to_dataframe(), table._repr_html_()
    assert list(frame.index) == list(table.entries)
    assert (frame["source"].str.len() > 0).all() and (frame["unit"].str.len() > 0).all()
    assert "\n" not in repr(table) and "midazolam in 5 human subjects" in repr(table)
    assert all(name in html for name in table.entries)
    assert frame.loc["volume.liver", "unit"] == "L" and frame.loc["flow.liver", "unit"] == "L/h"


def test_sources_say_what_was_chosen_for_this_run(people):
    table = ph.disposition(
        "midazolam", people, kp={"liver": 7.0}, partition_method="schmitt", distribution="predicted"
    )
    assert table.entries["kp.liver"].value == 7.0
    assert table.entries["kp.liver"].source == "given as kp for this run"
    assert "schmitt" in table.entries["kp.muscle"].source


def test_ratio_and_partition_are_computed_once(people, monkeypatch):
    calls = []
    ratio, kp = partition.blood_to_plasma_ratio, partition.kp_of_tissues
    count = lambda f: lambda *a, **k: (calls.append(f.__name__), f(*a, **k))[1]
    monkeypatch.setattr(reference, "blood_to_plasma_ratio", count(ratio))
    monkeypatch.setattr("pbpk_hybrid.models.small_molecules.distribution.kp_of_tissues", count(kp))
    choices = DispositionChoices(clearance="in_vivo", distribution="in_vivo")
    resolve_disposition(ph.get_compound("midazolam"), people, choices)
    assert sorted(calls) == ["blood_to_plasma_ratio", "kp_of_tissues"]


@pytest.mark.parametrize("name", ["midazolam", "metoprolol"])
def test_ratio_of_the_reference_individual_is_that_of_a_call_of_its_own(people, name):
    drug = ph.get_compound(name).for_species("human")
    body = reference.ReferenceBody(drug, people["hematocrit"].values)
    own = ph.reference_individual("human")["hematocrit"].values
    alone = partition.blood_to_plasma_ratio(drug, "human", hematocrit=own)
    assert body.blood_to_plasma == float(np.mean(alone))
    subjects = partition.blood_to_plasma_ratio(
        drug, "human", hematocrit=people["hematocrit"].values
    )
    np.testing.assert_array_equal(body.blood_to_plasma_of_subjects, subjects)


def test_disposition_refuses_what_simulate_refuses(people):
    with pytest.raises(ph.InputError, match="compound"):
        ph.disposition(3, people)
    with pytest.raises(ph.UnknownNameError, match="Midazolam"):
        ph.disposition("midazolan", people)
    with pytest.raises(ph.InputError, match="hepatic_model"):
        ph.disposition("midazolam", people, hepatic_model=2)


def test_gut_model_of_a_compound_with_transit_compartments_can_vary(people):
    drug = ph.get_compound("midazolam").replace(transit_compartments=3, transit_rate=2.0)
    gut = ph.GutAbsorption(effective_permeability=2.0)
    table = ph.disposition(drug, people, absorption=gut)
    assert "variability" in table.entries["clint.liver"].source
    assert "transit_rate" not in table.entries and table.entries["permeation"].unit == "1/h"
