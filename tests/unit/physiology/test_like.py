"""Populations like a published table: moments met, correlations of people, nobody twice."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.physiology import check_physiology, check_plausibility
from pbpk_hybrid.physiology.like.choice import anchor, draw, exchange, inclusion
from pbpk_hybrid.physiology.like.tilt import tilt

PAPER = {
    "age": "34 ± 8 (21-52)",
    "weight": "78.1 ± 9.4 kg",
    "height": "176 ± 7 cm",
    "female": "45 %",
    "egfr": "median 62 [IQR 50-75]",
}


@pytest.fixture(scope="module")
def people():
    return ph.sample_population(200, like=PAPER, seed=1)


def test_every_statistic_of_the_table_is_met(people):
    assert people.sizes["subject"] == 200
    assert people.pk.like().missed == ()
    # by the definitions of the statistics, without the package's comparison
    assert people.age.mean() == pytest.approx(34, rel=0.01)
    assert people.age.std(ddof=1) == pytest.approx(8, rel=0.01)
    assert people.age.min() >= 21 and people.age.max() <= 52
    assert people.body_weight.mean() == pytest.approx(78.1, rel=0.01)
    assert people.body_weight.std(ddof=1) == pytest.approx(9.4, rel=0.01)
    assert people.height.mean() == pytest.approx(176, rel=0.01)
    assert people.height.std(ddof=1) == pytest.approx(7, rel=0.01)
    assert (people.sex == "female").mean() == pytest.approx(0.45, abs=0.006)
    surface = np.sqrt(people.height * people.body_weight / 3600)
    egfr = people.gfr * 1000 / 60 * 1.73 / surface
    np.testing.assert_allclose(np.quantile(egfr, (0.25, 0.5, 0.75)), (50, 62, 75), rtol=0.01)


def test_bodies_close_and_obey_the_hard_rules(people):
    check_physiology(people)
    assert check_plausibility(people).attrs["hard_violation_rate"] == 0


def test_nobody_is_drawn_twice(people):
    columns = [people[name].values for name in ("age", "body_weight", "height", "hematocrit")]
    assert np.unique(np.column_stack(columns), axis=0).shape[0] == 200


def test_weight_and_height_go_together_as_in_people(people):
    anybody = ph.sample_population(2000, seed=3, age=(21, 52), sex=0.45)
    men, all_men = people.sex == "male", anybody.sex == "male"

    def correlation(ds, rows):
        return np.corrcoef(ds.body_weight[rows], ds.height[rows])[0, 1]

    # a spread of weights that is half of that of all people leaves less to height
    assert 0.2 < correlation(people, men) < 0.75
    assert 0.2 < correlation(anybody, all_men) < 0.75


def test_the_same_seed_gives_the_same_people():
    one, two = (ph.sample_population(100, like=PAPER, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.body_weight, two.body_weight)


def test_blocks_hold_the_people_of_the_whole():
    like = {"age": "40 ± 10", "female": "50 %"}
    people = ph.sample_population(2100, like=like, seed=2)
    from pbpk_hybrid.scale import Cohort

    block = Cohort(2100, 2, filters={"like": like}).people(1)
    np.testing.assert_array_equal(people.body_weight[2000:], block.body_weight)
    assert people.pk.like().missed == ()


@pytest.mark.parametrize(
    "like",
    [
        {"bmi": "31 ± 4 (25-45)", "bsa": "2.1 ± 0.2 m2"},
        {"creatinine clearance": "95 ± 25 mL/min", "age": "55 ± 12"},
        {"serum creatinine": "geometric mean 80 umol/L (CV 20 %)"},
        {"fat-free mass": "52 ± 8 kg", "male": "70 %"},
        {"hematocrit": "42 ± 3 %", "egfr_ckd_epi": "mean 95, SD 15"},
        {"weight, men": "85 ± 10", "weight, women": "65 ± 8", "female": "50 %"},
        {"white": "60 %", "black": "25 %", "bmi >= 30": "40 %"},
        {"age": "mean 60, CV 12 %", "weight": "median 75 (5th-95th percentile 55-100)"},
    ],
)
def test_derived_quantities_groups_shares_and_criteria(like):
    people = ph.sample_population(150, like=like, seed=1)
    assert people.pk.like().missed == (), str(people.pk.like())


def test_a_criterion_holds_for_everybody():
    where = "18 <= age < 65 and (bmi < 27 or sex == 'female')"
    people = ph.sample_population(200, where=where, seed=1)
    bmi = people.body_mass_index
    assert ((people.age < 65) & ((bmi < 27) | (people.sex == "female"))).all()
    assert people.attrs["where"] == f"({where})"


def test_filters_and_table_hold_together():
    people = ph.sample_population(
        100, like={"weight": "80 ± 12"}, age=(30, 50), ethnicity="Non-Hispanic Black", seed=1
    )
    assert people.age.min() >= 30 and people.age.max() <= 50
    assert set(people.ethnicity.values) == {"Non-Hispanic Black"}
    assert people.pk.like().missed == ()


def test_a_rare_region_gives_different_people_and_a_warning():
    with pytest.warns(ph.OutOfRangeWarning, match="people of the survey lie within the ranges"):
        people = ph.sample_population(500, where="70 <= bmi <= 80", seed=1)
    columns = [people[name].values for name in ("age", "body_weight", "height", "hematocrit")]
    assert np.unique(np.column_stack(columns), axis=0).shape[0] == 500
    assert people.body_mass_index.min() >= 70 and people.body_mass_index.max() <= 80


# ---- the parts, against closed forms ----------------------------------------------------------
def test_the_tilt_of_a_uniform_pool_is_the_exponential_family():
    x = np.linspace(-1, 1, 4001)
    found = tilt((x - 0.3)[:, None], np.zeros(x.size), 10)
    assert found.met
    # exp(a x) on [-1, 1] has mean coth(a) - 1/a
    slope = found.slope[0]
    assert 1 / np.tanh(slope) - 1 / slope == pytest.approx(0.3, abs=1e-3)
    assert np.ptp(np.log(found.weight) - slope * x) < 1e-6


def test_a_normal_pool_tilted_to_mean_and_sd_stays_normal():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(100_000)
    f = np.column_stack([x - 0.5, 0.5 * ((x - 0.5) ** 2 / 0.49 - 1)])
    found = tilt(f, np.zeros(x.size), 100)
    third = found.weight @ ((x - 0.5) / 0.7) ** 3
    fourth = found.weight @ ((x - 0.5) / 0.7) ** 4
    assert abs(third) < 0.05 and abs(fourth - 3) < 0.15


def test_what_cannot_be_met_comes_as_near_as_possible():
    x = np.linspace(0, 1, 1001)
    found = tilt((x / 2.0 - 1)[:, None], np.zeros(x.size), 20)
    assert not found.met
    assert found.weight @ x > 0.95
    assert found.effective >= 20


def test_chances_add_to_n_and_stay_below_one():
    weight = np.array([0.7, 0.1, 0.1, 0.05, 0.05])
    chance = inclusion(weight, 3)
    assert chance.sum() == pytest.approx(3)
    assert chance.max() <= 1
    assert chance[0] == 1


def test_drawn_people_are_different_and_follow_their_weights():
    rng = np.random.default_rng(1)
    weight = np.arange(1.0, 51.0) / np.arange(1.0, 51.0).sum()
    counts = np.zeros(50)
    for _ in range(2000):
        chosen = draw(rng, weight, 10)
        assert np.unique(chosen).size == 10
        counts[chosen] += 1
    np.testing.assert_allclose(counts / 2000, 10 * weight, atol=0.05)


def test_exchange_brings_the_mean_to_zero_and_keeps_who_is_kept():
    rng = np.random.default_rng(2)
    f = rng.standard_normal((3000, 3))
    weight = np.full(3000, 1 / 3000)
    chosen = rng.choice(3000, 100, replace=False)
    kept = np.zeros(100, dtype=bool)
    kept[:5] = True
    after = exchange(rng, f, weight, chosen, kept)
    assert np.abs(f[after].mean(axis=0)).max() < 2e-3
    np.testing.assert_array_equal(after[:5], chosen[:5])
    assert np.unique(after).size == 100


def test_an_anchored_group_is_among_the_chosen():
    rng = np.random.default_rng(3)
    weight = np.full(500, 1 / 500)
    chosen, kept = anchor(rng, weight, np.arange(50), [np.arange(400, 410)])
    assert np.isin(chosen[kept], np.arange(400, 410)).all()
    assert kept.sum() == 2 and np.unique(chosen).size == 50
