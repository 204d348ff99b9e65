"""Special populations in one language: words, mappings, filters and conditions."""

import warnings

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.physiology.conditions.special import filters_with, read_special


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("severe renal impairment", {"renal": "severe"}),
        ("kidney failure", {"renal": "failure"}),
        ("cirrhosis, Child-Pugh B", {"hepatic": "B"}),
        ("child-pugh c and elderly", {"hepatic": "C", "group": "elderly"}),
        ("30 weeks pregnant", {"pregnant": 30.0}),
        (
            "obese class 3, CYP2D6 poor",
            {"group": "obese class 3", "phenotypes": {"CYP2D6": "poor"}},
        ),
        ("CYP2D6=poor; OATP1B1=poor", {"phenotypes": {"CYP2D6": "poor", "OATP1B1": "poor"}}),
    ],
)
def test_words_mean_what_they_say(text, found):
    asked = read_special(text)
    for name, value in found.items():
        assert getattr(asked, name) == value
    assert read_special(str(asked)) == asked  # what is printed can be read


def test_a_mapping_and_keywords_say_the_same():
    expected = read_special("elderly, mild renal impairment, Child-Pugh A, CYP2C9 poor")
    given = {"group": "elderly", "renal": "mild", "hepatic": "A", "phenotypes": ["CYP2C9=poor"]}
    assert read_special(given) == read_special(**given) == expected
    assert read_special(renal="22", hepatic="child-pugh b", pregnant="30 weeks").renal == 22.0


@pytest.mark.parametrize(
    ("special", "words"),
    [
        ("elderli", "elderly"),
        ("CYP2D6 por", "poor"),
        ("CYP3A4 poor", "polymorphic"),
        ("obese, elderly", "said once"),
        ("45 weeks pregnant", "0 to 40"),
        ({"kidney": "severe"}, "renal"),
        ({"renal": "sever"}, "severe"),
        ({"renal": -3}, "number > 0"),
        ({"hepatic": "D"}, "A, B, C"),
        ("", "such as"),
        ({"phenotypes": "CYP2D6"}, "CYP2D6=poor"),
    ],
)
def test_what_cannot_be_understood_is_refused(special, words):
    with pytest.raises(ph.InputError, match=words):
        read_special(special)


def test_conditions_change_the_same_people():
    people = ph.sample_population(8, seed=4, age=(20, 50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sick = ph.with_conditions(people, "severe renal impairment, CYP2D6 poor, OATP1B1 poor")
    surface = np.sqrt(people["body_weight"] * people["height"] / 3600)
    np.testing.assert_allclose(sick["gfr"] / 0.06 * 1.73 / surface, 22.0)
    assert (sick["enzyme_activity"].sel(enzyme="CYP2D6") == 0).all()
    assert float(sick["enzyme_activity"].sel(enzyme="OATP1B1")[0]) < 1
    np.testing.assert_array_equal(sick["body_weight"], people["body_weight"])
    drawn = ph.sample_population(
        8, seed=4, age=(20, 50), special="severe renal impairment, CYP2D6 poor, OATP1B1 poor"
    )
    np.testing.assert_allclose(drawn["gfr"], sick["gfr"])
    assert drawn.attrs["special"] == "severe renal impairment, CYP2D6 poor, OATP1B1 poor"
    cirrhosis = ph.with_conditions(people, hepatic="C", renal="failure")
    np.testing.assert_allclose(cirrhosis["liver_function"], 0.28)


def test_pregnant_women_close_and_gain_what_the_reference_gains():
    women = ph.sample_population(6, seed=2, special="30 weeks pregnant")
    ph.check_physiology(women)
    assert (women["sex"] == "female").all()
    assert (women["age"] <= 45).all()
    before = ph.sample_population(6, seed=2, sex="female", age=(18, 45))
    reference = ph.reference_pregnancy(30)["body_weight"] - 60
    np.testing.assert_allclose(
        women["body_weight"] - before["body_weight"], float(reference[0]), rtol=1e-9
    )
    np.testing.assert_allclose(women["gfr"] / before["gfr"], 1 + 0.02839 * 30 - 0.000502 * 900)
    assert not ph.physiology.check_plausibility(women).violated.sel(rule="H4").any()
    with pytest.raises(ph.InputError, match="women from 12 to 55"):
        ph.with_conditions(ph.reference_individual("human"), pregnant=20)


def test_a_group_goes_with_the_filters():
    old = ph.sample_population(5, seed=1, special="elderly", age=(70, 79))
    assert (old["age"] >= 70).all()
    heavy = ph.sample_population(5, seed=1, special="obese class 3", sex="female")
    assert (heavy["body_mass_index"] >= 40).all()
    young = ph.sample_population(5, seed=1, special="infants")
    assert (young["age"] < 2).all()
    with pytest.raises(ph.InputError, match="overlaps 65"):
        ph.sample_population(5, seed=1, special="elderly", age=(20, 40))
    with pytest.raises(ph.InputError, match="women"):
        ph.sample_population(5, seed=1, special="30 weeks pregnant", sex="male")
    with pytest.raises(ph.InputError, match="rat has none"):
        ph.sample_population(5, "rat", seed=1, special="elderly")
    assert filters_with(read_special("obese"), {"bmi": (35, 50)})["bmi"] == (35, 50)
