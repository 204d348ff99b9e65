"""Random children: they close, are those of the reference child in the middle, obey the rules and carry their enzymes."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.physiology import check_physiology, check_plausibility
from pbpk_hybrid.physiology.children.reference import maturation_of_filtration, reference_children
from pbpk_hybrid.physiology.conditions.enzymes import ontogeny


@pytest.fixture(scope="module")
def many():
    return ph.sample_population(3000, seed=3, age=(2, 12))


def test_bodies_close_and_ages_are_those_asked_for(many):
    check_physiology(many)
    assert many.sizes["subject"] == 3000
    assert many["age"].values.min() >= 2 and many["age"].values.max() <= 12
    mass = (many["volume"] * many["density"]).sum("organ").values
    np.testing.assert_allclose(mass, many["body_weight"].values, rtol=1e-12)
    assert np.isfinite(many["hematocrit"].values).all()


@pytest.mark.parametrize("age", [(0, 2), (2, 12), (12, 17.9)])
def test_children_break_plausibility_rules_no_more_often_than_adults(age):
    children = check_plausibility(ph.sample_population(2000, seed=1, age=age)).attrs
    adults = check_plausibility(ph.sample_population(2000, seed=1)).attrs
    assert children["hard_violation_rate"] == 0
    assert 0 < children["soft_violation_rate"] < adults["soft_violation_rate"] + 0.005


def test_children_of_the_reference_size_are_the_reference_child_in_the_middle(many):
    male, age = many["sex"].values == "male", many["age"].values
    typical = reference_children(male, age)
    near = np.abs(many["body_weight"].values / typical["weight"] - 1) < 0.1
    near &= np.abs(many["height"].values / typical["height"] - 1) < 0.03
    assert near.sum() > 150
    mass = (many["volume"] * many["density"]).transpose("subject", "organ").values
    # organs with a CV of a third or less; both means scatter by CV/sqrt(n) and half a bin of height and weight
    middle = np.median(mass[near] / typical["mass"][near], axis=0)
    for organ, ratio in zip(many["organ"].values, middle, strict=True):
        assert ratio == pytest.approx(1.0, abs=0.1), organ
    output = np.median((many["cardiac_output"].values / typical["cardiac_output"])[near])
    assert output == pytest.approx(1.0, abs=0.05)


def test_a_body_of_the_reference_weight_has_the_reference_child_s_gfr_and_scatter(many):
    def expected(ds):
        child = ph.reference_child(5.0)
        share = (ds["body_weight"].values / float(child["body_weight"][0])) ** 0.75
        return (
            float(child["gfr"][0])
            * share
            * maturation_of_filtration(ds["age"].values)
            / maturation_of_filtration(5.0)
        )

    boys = many.isel(subject=many["sex"].values == "male")
    residual = np.log(boys["gfr"].values / expected(boys))
    assert np.median(residual) == pytest.approx(0.0, abs=0.02)
    assert np.std(residual) == pytest.approx(0.206, abs=0.02)
    exact = ph.sample_population(20, seed=1, age=(2, 12), sex="male", gfr_scatter=False)
    np.testing.assert_allclose(exact["gfr"].values, expected(exact), rtol=1e-12)


def test_enzymes_are_those_of_the_age():
    infants = ph.sample_population(50, seed=1, age=(0, 2), sex=0.5)
    got = infants["enzyme_activity"].sel(enzyme="CYP3A4").values
    np.testing.assert_allclose(got, ontogeny("CYP3A4", infants["age"].values))
    assert (infants["sex"].values == "female").sum() == 25
    ds = ph.simulate("midazolam", "0.1 mg/kg iv", infants, [0, 1, 8], compartments=["plasma"])
    assert (ds["status"].values == 0).all()


def test_the_same_seed_gives_the_same_children_and_filters_hold():
    one, two = (ph.sample_population(40, seed=7, age=(6, 9), bmi=(14, 20)) for _ in range(2))
    assert one.drop_attrs().equals(two.drop_attrs())
    assert one["body_mass_index"].values.min() >= 14 and one["body_mass_index"].values.max() <= 20
    assert np.all((ph.sample_population(5, seed=1, age=7)["age"].values // 1) == 7)


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"age": (10, 40)}, "age"),
        ({"age": (2, 9), "egfr": (60, 90)}, "egfr"),
        ({"age": (2, 4), "body_weight": (90, 99)}, "body_weight"),
    ],
)
def test_what_cannot_be_drawn_is_refused(filters, field):
    with pytest.raises(ph.InputError) as caught:
        ph.sample_population(5, seed=1, **filters)
    assert caught.value.field == field
