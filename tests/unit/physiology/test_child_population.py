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
        ({"age": (2, 9), "serum_creatinine": (0.3, 0.5)}, "serum_creatinine"),
        ({"age": (2, 9), "egfr": (1, 2)}, "egfr"),
        ({"age": (2, 4), "body_weight": (90, 99)}, "body_weight"),
    ],
)
def test_what_cannot_be_drawn_is_refused(filters, field):
    with pytest.raises(ph.InputError) as caught:
        ph.sample_population(5, seed=1, **filters)
    assert caught.value.field == field


def test_filters_on_filtration_hold_for_children():
    few = ph.sample_population(40, seed=1, age=(2, 9), egfr=(60, 90))
    surface = np.sqrt(few["body_weight"] * few["height"] / 3600)
    egfr = few["gfr"] / 0.06 * 1.73 / surface
    assert egfr.min() >= 60 and egfr.max() <= 90


def test_children_and_adults_are_drawn_together_without_a_seam():
    """Just below and just above 15 and 18 years, bodies of one weight and height are expected to be the same."""
    from pbpk_hybrid.physiology.adults.body import People
    from pbpk_hybrid.physiology.bodies import expected, expected_gfr

    male = np.array([True, False])
    for age, width in ((15.0, 1e-6), (18.0, 1e-6)):
        sides = [
            People(male, np.full(2, a), np.array([62.0, 55.0]), np.array([172.0, 162.0]))
            for a in (age - width, age + width)
        ]
        before, after = (expected(p) for p in sides)
        for name in ("mass", "output", "flow_share", "surface", "hepatocellularity"):
            np.testing.assert_allclose(getattr(before, name), getattr(after, name), rtol=1e-5)
        gfr = [expected_gfr(p, np.array([0.8, 0.6])) for p in sides]
        np.testing.assert_allclose(*gfr, rtol=1e-5)
    both = ph.sample_population(300, seed=1, age=(10, 40))
    assert (both["age"] < 18).any() and (both["age"] > 18).any()
    assert ph.physiology.check_plausibility(both).attrs["hard_violation_rate"] == 0
    # everybody has the enzymes of the age, the 30-year-old those of an adult
    adult = both["enzyme_activity"].sel(enzyme="CYP3A4").values[both["age"].values > 25]
    np.testing.assert_allclose(adult, 1.0)


def test_the_oldest_are_as_heavy_and_tall_as_measured_in_another_survey():
    """NHANES 2009-2012, people of 80 and more: men 79.7 kg and 171.2 cm, women 64.0 kg and 155.7 cm."""
    old = ph.sample_population(4000, seed=1, age=(80, 90))
    assert old["age"].max() < 90
    for sex, weight, height in (("male", 79.7, 171.2), ("female", 64.0, 155.7)):
        rows = old["sex"].values == sex
        assert old["body_weight"].values[rows].mean() == pytest.approx(weight, rel=0.02)
        assert old["height"].values[rows].mean() == pytest.approx(height, rel=0.005)
    assert (old["sex"].values == "female").mean() > 0.55


def test_children_are_within_the_growth_charts_at_the_right_share():
    """94 % between the 3rd and the 97th percentile of the survey's own growth curves."""
    from pbpk_hybrid.physiology.adults.survey import growth_of_survey

    growth = growth_of_survey()
    children = ph.sample_population(6000, seed=3, age=(0, 17.99))
    male, age = children["sex"].values == "male", children["age"].values
    for name in ("body_weight", "height"):
        for low, high in ((0, 2), (2, 6), (6, 12), (12, 18)):
            rows = (age >= low) & (age < high)
            z = growth.score(name, male[rows], age[rows], children[name].values[rows])
            inside = np.mean(np.abs(z) < 1.8808)
            # 94 % of about 1,000 children, each drawn from some hundreds of the survey by weight
            assert inside == pytest.approx(0.94, abs=0.03), (name, low)


def test_people_over_79_are_named_as_assumed():
    assert "moved on" in ph.sample_population(20, seed=1, age=(75, 90)).attrs["over_79"]
    assert "over_79" not in ph.sample_population(5, seed=1).attrs
