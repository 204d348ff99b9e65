"""What a patient, or a question about one, may not be: refused with the field, or answered rightly."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import Discrepancy, LogNormal


def ask(samples, doses="320 mg oral", **more):
    return ph.posterior("theophylline", ph.Patient(doses, samples), draws=100, **more)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ({2: "7.1 mg"}, r"samples\[0\].value.*mg/L"),
        ({2: "seven"}, r"samples\[0\].value"),
        ({-1: 7.1}, r"samples\[0\].time"),
        ({2: 0.0}, "number > 0"),
        ({"2 mg": 7.1}, r"samples\[0\].time"),
        ({2: "< 0 mg/L"}, "number > 0"),
    ],
)
def test_a_sample_that_cannot_be_read_is_named(samples, words):
    with pytest.raises(ph.InputError, match=words):
        ask(samples)


@pytest.mark.parametrize("samples", [7.1, "7.1 mg/L", [7.1, 3.9], [(1, 2, 3)], ["ab"]])
def test_what_is_no_list_of_samples_is_refused_at_once(samples):
    with pytest.raises(ph.InputError, match="samples"):
        ph.Patient("320 mg oral", samples)


def test_a_sample_in_moles_is_converted_by_the_compound():
    # theophylline has 180.16 g/mol
    molar, mass = ask({4: "30 umol/L"}), ask({4: 30e-6 * 180.164 * 1000})
    assert molar.mean()["clearance"] == pytest.approx(mass.mean()["clearance"], rel=1e-3)


def test_a_concentration_before_any_dose_is_refused_and_one_at_the_dose_is_the_trough():
    with pytest.raises(ph.InputError, match=r"0 h.*the model has no drug there"):
        ask({0: 3.0, 4: 7.0})
    trough = ph.Patient("320 mg oral q12h x2", {12: 3.0}).observations()
    assert trough["before_dose"].values.tolist() == [1]


def test_two_people_are_not_one_patient():
    people = ph.sample_population(2, seed=1)
    with pytest.raises(ph.InputError, match="one subject"):
        ph.Patient("320 mg oral", {2: 7.1}, people)
    system = ph.whole_body_system(ph.get_compound("theophylline"), people)
    with pytest.raises(ph.InputError, match="one subject"):
        ph.posterior(system, ph.Patient("320 mg oral", {2: 7.1}))


def test_a_parameter_without_a_prior_is_refused():
    with pytest.raises(ph.InputError, match=r"a prior of 'clint\.liver'"):
        ask({2: 7.1}, parameters=["clint.liver"])
    with pytest.raises(ph.UnknownNameError, match=r"clint\.liver"):
        ask({2: 7.1}, priors={"clint.livr": LogNormal(1.0, 0.3)})


def test_the_body_is_the_patients():
    child = ph.sample_population(1, seed=3, age=(20, 30))
    here = ph.posterior("theophylline", ph.Patient("320 mg oral", {4: 7.1}, child), draws=100)
    weight = float(child["body_weight"].values[0])
    assert float(np.ravel(here.model.body_weight)[0]) == weight
    with pytest.raises(ph.InputError, match="body_weight"):
        ph.Patient("320 mg oral", None, child, body_weight=70)


@pytest.mark.parametrize("bad", ["0.2", True, -0.1, 0])
def test_a_discrepancy_that_is_none_is_refused(bad):
    with pytest.raises(ph.InputError, match="discrepancy"):
        ask({2: 7.1}, discrepancy=bad)
    with pytest.raises(ph.InputError, match="correlation_time"):
        Discrepancy(0.2, "3 mg")


def test_a_regimen_is_needed_to_go_on_after_a_time():
    found = ask({4: 7.0})
    with pytest.raises(ph.InputError, match="after"):
        found.simulate(None, [5.0], after=4)
    with pytest.raises(ph.InputError, match="draws"):
        found.simulate("320 mg oral", [5.0], draws=0)
    with pytest.raises(ph.UnknownNameError, match="clearence"):
        found["clearence"]


def test_a_unit_that_is_wrong_by_a_thousand_is_noticed():
    with pytest.warns(ph.OutOfRangeWarning, match="contradict each other.*units"):
        ask({2: 7100.0, 8: 4100.0}, error={"proportional": 0.1}, fallback="none")


def test_a_prior_that_is_a_number_is_refused():
    with pytest.raises(ph.InputError, match=r"priors.*LogNormal"):
        ask({2: 7.1}, priors={"clint.liver": 0.3})
