"""Questions about a dose that have no answer, or another than it seems: refused by field and words."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.estimation.dose_targets import as_target


@pytest.fixture(scope="module")
def found():
    return ph.posterior("theophylline", ph.Patient("320 mg oral q12h x2"), draws=100)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "text such as"),
        (None, "text such as"),
        (12, "text such as"),
        ("trough", "a range behind 'trough'"),
        ("trough 10-15", "needs its unit"),
        ("trough 10-15 mg", "mg/L"),
        ("trough 15-10 mg/L", "first number is the smaller"),
        ("troug 10-15 mg/L", "trough"),
        ("trough -5 mg/L", "a range with its unit"),
        ("AUC 400-600 mg*h/L", "AUC"),
        ("AUC24 400-600 mg/L", r"mg\*h/L"),
        ("AUC48 400-600 mg*h/L", "metric"),
        ("AUC24 4oo mg*h/L", "unit"),
        ("fT>MIC 100 %", 'MIC after "of"'),
        ("T>2 mg/L 60 %", 'the MIC after "of"'),
        ("fT>MIC 120 % of 2 mg/L", "at most 100 %"),
        ("fT>MIC 100 of 2 mg/L", "at most 100 %"),
        ("fT>MIC 100 % of 2 mg", "mg/L"),
        ("fT>MIC 100 % of 0 mg/L", "> 0"),
        ("trough 10-15 mg/L of 2 mg/L", '"of" with a metric by MIC only'),
        ("trough 10-15 mg/L or peak < 20 mg/L", "unit"),
    ],
)
def test_text_that_is_no_target_is_refused(text, words):
    with pytest.raises(ph.InputError, match=words):
        as_target(text)


def test_units_of_a_target_keep_their_case_and_are_converted():
    assert as_target("trough 10-15 ug/mL").goals[0].high == 15.0
    assert as_target("trough 10000-15000 ng/mL").goals[0].low == pytest.approx(10.0)
    with pytest.raises(ph.InputError, match="molar mass"):
        as_target("trough 10-15 mM")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"interval": 0}, "interval"),
        ({"interval": "12 mg"}, "interval"),
        ({"interval": []}, "at least one interval"),
        ({"route": "rectal"}, "route"),
        ({"route": "oral", "infusion": 1}, "infusion"),
        ({"infusion": 1}, "infusion"),
        ({"amounts": []}, "amounts"),
        ({"amounts": [0]}, r"amounts\[0\]"),
        ({"amounts": ["5 mL"]}, r"amounts\[0\]"),
        ({"amounts": "250 mg"}, "multiples of"),
        ({"amounts": "multiples of 1 mg up to 1 kg"}, "500 multiples"),
        ({"loss": "squared"}, "loss"),
        ({"loss": lambda p: np.zeros(3), "amounts": [100]}, "one finite number per draw"),
        ({"confidence": 90}, "confidence"),
        ({"when": 7}, "multiple of the dosing interval"),
        ({"start": -1}, "start"),
        ({"compartment": "hart"}, "compartment"),
        ({"draws": 0}, "draws"),
        ({"fraction_unbound": 40}, "fraction_unbound"),
        ({"model": "theophylline"}, "model"),
        ({"error": "additive"}, "error"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(found, more, words):
    with pytest.raises(ph.InputError, match=words):
        ph.dose(found, "trough 5-10 mg/L", **{"interval": 12, **more})


def test_without_doses_so_far_route_and_interval_are_not_guessed():
    found = ph.posterior("theophylline", ph.Patient(), draws=100)
    with pytest.raises(ph.InputError, match="route"):
        ph.dose(found, "trough 5-10 mg/L", interval=12)
    with pytest.raises(ph.InputError, match="interval"):
        ph.dose(found, "trough 5-10 mg/L", route="oral")


def test_a_target_of_the_free_drug_needs_the_fraction_unbound():
    from pbpk_hybrid.estimation import Normal
    from pbpk_hybrid.models.system.derivatives import parameter_names

    bare = ph.System(
        ("body",),
        [0],
        [0],
        np.array([[-0.1]]),
        observables={"plasma": ph.Observable((0,), np.array([0.1]))},
        targets={"iv_bolus": 0},
    )
    (name,) = parameter_names(bare)
    found = ph.posterior(bare, ph.Patient("100 mg iv"), {name: Normal(-0.1, 0.01)}, draws=100)
    ask = {"interval": 12, "amounts": [100]}
    with pytest.raises(ph.InputError, match="fraction_unbound"):
        ph.dose(found, "fT>MIC 50 % of 2 mg/L", **ask)
    free = ph.dose(found, "fT>MIC 50 % of 2 mg/L", fraction_unbound="50 %", **ask)
    total = ph.dose(found, "T>MIC 50 % of 4 mg/L", **ask)
    assert free.attainment == total.attainment


def test_a_patient_needs_a_model_and_a_function_has_to_answer_for_each_draw(found):
    with pytest.raises(ph.InputError, match="model"):
        ph.dose(ph.Patient("320 mg oral"), "trough 5-10 mg/L", interval=12)
    with pytest.raises(ph.InputError, match="truth values"):
        ph.dose(found, lambda t, c: c[:, -1], interval=12, amounts=[100])
    with pytest.raises(ph.InputError, match="amounts"):
        ph.dose(found, lambda t, c: c[:, -1] > 1, interval=12)
    with pytest.raises(ph.InputError, match="patient"):
        ph.dose("Anna", "trough 5-10 mg/L", interval=12)


def test_an_answer_that_no_candidate_gives_says_so(found):
    result = ph.dose(found, "trough 5-10 mg/L", interval=12, amounts=[1])
    assert result.attainment == 0 and "attained with probability 0.00" in str(result)
