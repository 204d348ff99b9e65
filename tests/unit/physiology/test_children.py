"""Children: bounds that follow age, the ICRP children inside them, few children of the survey outside."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid.physiology import RULES, check_ranks, sample_population, summary
from pbpk_hybrid.physiology.adults.regressions import haycock_surface
from pbpk_hybrid.physiology.adults.survey import children
from pbpk_hybrid.physiology.children.usual import reference_height, reference_mass, usual_range
from pbpk_hybrid.physiology.organs import ORGANS
from pbpk_hybrid.physiology.plausibility.body import Body
from pbpk_hybrid.physiology.plausibility.check import check_bodies, check_plausibility

# ICRP 89 Tables 2.8 and 2.9: sex, age, weight, height, liver, brain
ICRP = (
    (True, 0.0, 3.5, 51, 0.13, 0.38),
    (False, 1.0, 10, 76, 0.33, 0.95),
    (True, 5.0, 19, 109, 0.57, 1.245),
    (False, 10.0, 32, 138, 0.83, 1.31),
    (True, 15.0, 56, 167, 1.3, 1.42),
    (False, 15.0, 53, 161, 1.3, 1.3),
)


def bodies(survey_like) -> Body:
    """Children of these (male, age, weight, height) with the organs of the reference child, scaled to their height."""
    male, age, weight, height = (np.array(column) for column in zip(*survey_like, strict=True))
    mass = reference_mass(male, age) * (height / reference_height(male, age))[:, None] ** 0.75
    mass[:, ORGANS.index("rest")] = 0
    mass[:, ORGANS.index("rest")] = weight - mass.sum(1)
    unknown = np.full(len(age), np.nan)
    surface = haycock_surface(weight, height)
    return Body(
        mass,
        np.ones_like(mass),
        male,
        weight,
        height,
        unknown,
        unknown,
        unknown,
        unknown,
        weight / (height / 100) ** 2,
        surface,
        age,
    )


def test_the_reference_children_are_the_published_ones():
    male, age, _, height, liver, brain = (np.array(c) for c in zip(*ICRP, strict=True))
    np.testing.assert_allclose(
        reference_mass(male, age)[:, ORGANS.index("liver")], liver, rtol=1e-12
    )
    np.testing.assert_allclose(
        reference_mass(male, age)[:, ORGANS.index("brain")], brain, rtol=1e-12
    )
    np.testing.assert_allclose(reference_height(male, age), height, rtol=1e-12)


def test_icrp_children_break_no_soft_rule():
    result = check_bodies(bodies([row[:4] for row in ICRP]))
    soft = result["kind"].values == "soft"
    assert not result["violated"].values[soft].any()
    assert not result["violated"].sel(rule=["H2", "H4"]).values.any()
    seen = np.isfinite(result["residual"].values).any(1)
    named = dict(zip(result["rule"].values, seen, strict=True))
    assert all(
        named[r]
        for r in ("S2_weight", "S2_height", "S2_bmi", "S4_adipose", "S5_brain", "S5_liver", "S8")
    )
    assert not any(named[r] for r in ("S4_lean", "S6_output", "S7_muscle"))


def test_few_children_of_the_survey_are_outside():
    survey = children()
    for name in ("body_weight", "height", "body_mass_index", "hematocrit", "serum_creatinine"):
        low, high = usual_range(name, survey.male, survey.age)
        value = getattr(survey, name)
        known = np.isfinite(value)
        assert np.isfinite(low[known]).all(), name
        outside = (value < low) | (value > high)
        # two tails of one in a thousand by weight; a few hundred people by sex round that by some per mille
        assert 0 < np.average(outside[known], weights=survey.weight[known]) < 0.004, name


def test_bounds_grow_with_the_child():
    age = np.array([0.5, 2.0, 6.0, 12.0])
    for name in ("body_weight", "height"):
        for bound in usual_range(name, np.ones(4, bool), age):
            assert (np.diff(bound) > 0).all()
    low, high = usual_range("serum_creatinine", np.ones(4, bool), age)
    assert np.isnan(low[:3]).all() and 0.2 < low[3] < high[3] < 3


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("S2_weight", {"weight": 3.0}),
        ("S2_height", {"height": 1.4}),
        ("S2_bmi", {"weight": 2.5}),
        ("S5_brain", "brain"),
        ("S5_heart", "heart"),
        ("S5_skin", "skin"),
        ("S5_stomach", "stomach"),
        ("S8", "spleen"),
        ("H4", {"surface": 1.1}),
    ],
)
def test_each_rule_of_children_can_be_broken(rule, change):
    body = bodies([(True, 6.0, 21.0, 116.0)])
    if isinstance(change, str):
        body.mass[:, ORGANS.index(change)] *= {"skin": 20.0, "spleen": 20.0, "brain": 2.0}.get(
            change, 0.05
        )
        changed = body
    else:
        changed = Body(**{**vars(body), **{k: getattr(body, k) * v for k, v in change.items()}})
    assert check_bodies(bodies([(True, 6.0, 21.0, 116.0)]))["residual"].sel(rule=rule).item() <= 0
    assert check_bodies(changed)["residual"].sel(rule=rule).item() > 0


def test_adults_are_judged_as_before_whoever_is_beside_them():
    people = sample_population(30, seed=3)
    alone = check_plausibility(people)
    mixed = people.copy(deep=True)
    mixed["age"][4] = 7.0
    beside = check_plausibility(mixed)
    others = np.arange(30) != 4
    np.testing.assert_array_equal(
        alone["residual"].values[:, others], beside["residual"].values[:, others]
    )
    assert len(beside["text_children"]) == len(RULES)


def test_a_population_is_three_numbers():
    three = summary(sample_population(2000, seed=5))
    assert three["hard"] == 0 and 0 < three["soft"] < 0.03
    # bounds with a thousandth beyond each, on a dozen quantities
    assert 0.002 < three["soft_of_real_people"] < 0.02


def test_ranks_hold_in_people_and_are_seen_to_break():
    people = sample_population(1500, seed=6)
    good = check_ranks(people)
    assert not good["violated"].any() and np.isfinite(good["value"]).all()
    odd = people.copy(deep=True)
    odd["hematocrit"] = odd["hematocrit"].where(odd["sex"] == "female", odd["hematocrit"] - 0.2)
    odd["gfr"] = odd["gfr"] * (1 + odd["age"] / 20) ** 2
    odd["volume"].loc[{"organ": "adipose"}] = odd["volume"].sel(organ="adipose").values[::-1]
    assert check_ranks(odd)["violated"].all()
    assert not check_ranks(people.isel(subject=slice(0, 5)))["violated"].any()
