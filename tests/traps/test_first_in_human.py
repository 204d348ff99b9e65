"""What a first-in-human prediction refuses, and what it says instead of a silent number."""

from __future__ import annotations

import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.translation.animals import read_animals
from pbpk_hybrid.translation.starting_dose import parse_safety
from pbpk_hybrid.translation.targets import parse_target

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"
RAT = {"rat": {"clearance": 30.0}}
CURVE = {"dose": "1 mg/kg iv", "times": [1, 2, 4], "concentrations": [4.0, 2.0, 0.5]}


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({}, "either dose= or target_exposure="),
        ({"dose": "100 mg oral", "target_exposure": "AUC 5 mg*h/L"}, "either"),
        ({"dose": "100 mg oral q24h x7"}, "interval= repeats it"),
        ({"dose": "2 mg/kg oral"}, "one dose in mg"),
        ({"dose": "0 mg oral"}, "> 0 mg"),
        ({"dose": "100 mg oral", "route": "iv"}, "route"),
        ({"dose": "100 mg oral", "route": "sc"}, "oral or iv"),
        ({"dose": "100 mg oral", "n": 3}, "at least 10"),
        ({"dose": "100 mg oral", "level": 90}, "between 0 and 1"),
        ({"dose": "100 mg oral", "interval": "24 mg"}, "interval"),
        ({"target_exposure": "Ctrough 1 mg/L"}, "interval="),
        ({"target_exposure": "AUC24 10 mg*h/L"}, "interval="),
        ({"target_exposure": "AUC 10 mg/L"}, "target_exposure"),
        ({"target_exposure": "AUC 10"}, "target_exposure"),
        ({"target_exposure": "exposure 10 mg/L"}, "metric"),
        ({"target_exposure": 5.0}, "AUC 10"),
        ({"dose": "100 mg oral", "safety": {"noel": {"rat": 5}}}, "noael"),
        ({"dose": "100 mg oral", "safety": {"noael": {"cow": 5}}}, "cow"),
        ({"dose": "100 mg oral", "safety": {"noael": {"rat": "5 mg"}}}, "mg/kg"),
        ({"dose": "100 mg oral", "safety": {"noael": {"rat": -5}}}, "> 0"),
        ({"dose": "100 mg oral", "safety": {"safety_factor": 0.1}}, "safety_factor"),
    ],
)
def test_what_cannot_be_understood_is_named(keywords, words):
    with pytest.raises(ph.InputError, match=words):
        ph.first_in_human(PARACETAMOL, RAT, **keywords)


@pytest.mark.parametrize(
    ("mabel", "words"),
    [
        ({}, "either kd or concentration"),
        ({"kd": "1 nM", "concentration": "1 mg/L"}, "either"),
        ({"concentration": "1 mg/L", "occupancy": 0.2}, "nothing beside"),
        ({"kd": "1 nM", "occupancy": 1.5}, "occupancy"),
        ({"ec50": "1 nM"}, "kd"),
        ({"kd": "1 mg/kg"}, "kd"),
    ],
)
def test_a_minimal_effect_is_one_thing(mabel, words):
    with pytest.raises(ph.InputError, match=words):
        parse_safety({"mabel": mabel}, 300.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dose": "1 mg/kg oral"}, "bioavailability"),
        ({"dose": "1 mg/kg iv q8h x3"}, "one intravenous dose"),
        ({"times": [4, 2, 1]}, "times"),
        ({"concentrations": [4.0, 2.0]}, "3 numbers"),
        ({"concentrations": [4.0, -2.0, 1.0]}, "concentrations"),
        ({"concentrations": [1.0, 2.0, 4.0]}, "terminal phase"),
        ({"concentrations": None}, "a value"),
        ({"unit": "ng/mL"}, "unit"),
    ],
)
def test_a_curve_that_says_nothing_is_refused(change, words):
    with pytest.raises(ph.InputError, match=words):
        read_animals({"rat": {"curve": CURVE | change}}, 300.0, [])


def test_a_curve_and_a_clearance_are_not_given_together():
    with pytest.raises(ph.InputError, match="nothing beside a curve"):
        read_animals({"rat": {"curve": CURVE, "clearance": 3.0}}, 300.0, [])


def test_free_and_total_targets_differ():
    total, free = (
        parse_target("Cmax 1 mg/L", None, None),
        parse_target("free Cmax 1 mg/L", None, None),
    )
    assert (total.free, free.free) == (False, True)


def test_nothing_known_is_nothing_predicted():
    drug = ph.Compound.create(name="x", molar_mass=300.0, log_p=2.0, absorption_rate=1.0)
    with pytest.raises(ph.InputError, match="SMILES"):
        ph.first_in_human(drug, {}, dose="100 mg oral")


def test_a_name_that_is_neither_compound_nor_structure_is_refused_as_a_name():
    with pytest.raises(ph.UnknownNameError):
        ph.first_in_human("paracetamool", RAT, dose="100 mg oral")


def test_what_the_compound_itself_says_of_people_is_used():
    """Warfarin binds to 99 %: without its measured fraction unbound 4 % would be assumed."""
    from pbpk_hybrid.translation.prediction import _with_own_values

    notes: list[str] = []
    known = _with_own_values(ph.get_compound("warfarin"), RAT, notes)
    assert known["human"]["fraction_unbound"] < 0.02 and "in vitro, human" in notes[0]
    given = {"human": {"fraction_unbound": 0.5}}
    assert _with_own_values(ph.get_compound("warfarin"), given, []) == given
