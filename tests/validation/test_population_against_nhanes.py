"""Does the sampled population look like the population it stands for, and like the physiology it is built on?"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid.physiology import RULES, check_plausibility, sample_population
from pbpk_hybrid.physiology.adults.survey import adults
from pbpk_hybrid.physiology.plausibility.httk_population import read_httk_population

N = 20_000
HTTK_POP = (
    Path(__file__).parents[2]
    / "benchmarks/data/httk_population/httkpop_direct_resampling_2000.csv.gz"
)


@pytest.fixture(scope="module")
def people():
    return sample_population(N, seed=20260101)


def weighted_ks(sample, values, weight):
    order = np.argsort(values)
    cdf = np.cumsum(weight[order]) / weight.sum()
    grid = values[order]
    last = np.append(grid[1:] != grid[:-1], True)  # ties: compare after the jump
    empirical = np.searchsorted(np.sort(sample), grid, side="right") / sample.size
    return np.abs(cdf - empirical)[last].max()


@pytest.mark.parametrize("name", ["age", "body_weight", "height", "hematocrit", "serum_creatinine"])
def test_margins_equal_the_weighted_survey(people, name):
    survey = adults()
    distance = weighted_ks(people[name].values, getattr(survey, name), survey.weight)
    # Kolmogorov: 1.95/sqrt(n) is exceeded by a right sampler once in a thousand
    assert distance < 1.95 / np.sqrt(N)


def test_men_have_the_higher_hematocrit(people):
    mean = people["hematocrit"].groupby(people["sex"]).mean()
    assert mean.sel(sex="male") > mean.sel(sex="female") + 0.02


def test_gfr_falls_with_age(people):
    from scipy.stats import spearmanr

    indexed = people["gfr"] / people["body_surface_area"]
    assert spearmanr(people["age"], indexed).statistic < -0.4


def test_adipose_follows_weight(people):
    from scipy.stats import spearmanr

    assert spearmanr(people["body_weight"], people["volume"].sel(organ="adipose")).statistic > 0.5


def test_muscle_falls_with_age_at_given_sex_height_and_weight(people):
    mass = (people["volume"] * people["density"]).sel(organ="muscle")
    for sex in ("male", "female"):
        k = (people["sex"] == sex).values
        x = np.column_stack(
            [np.ones(k.sum()), people["age"][k], people["height"][k], people["body_weight"][k]]
        )
        slope = np.linalg.lstsq(x, mass.values[k], rcond=None)[0][1]
        # Janssen et al. 2000: -.001 age^2 is -.10 kg a year at 50
        assert -0.20 < slope < -0.03


def test_organ_means_of_people_of_reference_size_are_near_icrp():
    from pbpk_hybrid.physiology.species import reference

    ds = sample_population(
        4000, seed=5, sex="male", age=(25, 45), height=(173, 179), body_weight=(68, 78)
    )
    mass = (ds["volume"] * ds["density"]).mean("subject").values
    # 4,000 draws of a few hundred people around the reference: 6 % covers CV/sqrt(n) and unlike neighbours;
    # log-normal organs (lung, spleen CV 33-38 %) have a mean 5-7 % above their median
    np.testing.assert_allclose(mass, reference("human", "male").mass, rtol=0.10)


def test_few_draws_are_thrown_away_and_nobody_is_replaced(people):
    assert people.attrs["redrawn_fraction"] < 0.10
    assert people.attrs["replaced_people"] == 0


def test_hard_rules_hold_for_a_hundred_thousand():
    result = check_plausibility(sample_population(100_000, seed=77))
    assert result.attrs["hard_violation_rate"] == 0.0
    assert result.attrs["soft_violation_rate"] < 0.02


def httk_pop_body():
    if not HTTK_POP.exists():
        pytest.skip(f"{HTTK_POP} is not here")
    with gzip.open(HTTK_POP, "rt") as file:
        drawn = np.array([float(row["weight"]) for row in csv.DictReader(file)])
    return drawn, read_httk_population(HTTK_POP)


def test_the_rule_counter_reproduces_the_published_rate_of_httk_pop():
    drawn, body = httk_pop_body()
    broken = {rule.id: rule.residual(body) > 0 for rule in RULES}
    moved = np.abs(body.weight / drawn - 1)
    # figures published for this sample: 50.3 % move by more than 10 %, 15.65 % by more than 25 %, adipose 8.65 %
    assert 100 * np.mean(moved > 0.10) == pytest.approx(50.3, abs=1e-9)
    assert 100 * np.mean(moved > 0.25) == pytest.approx(15.65, abs=1e-9)
    assert 100 * np.mean(broken["S4_adipose"]) == pytest.approx(8.65, abs=1e-9)
    left_out = ("S2", "S4_lean", "S8")  # not in the generous reference set
    rules = [b for name, b in broken.items() if name[0] == "S" and not name.startswith(left_out)]
    rate = 100 * np.mean(np.logical_or.reduce([moved > 0.25, *rules]))
    # reference set: 22.35 %; its bounds are documented to two digits only
    assert rate == pytest.approx(22.35, abs=0.5)
    assert broken["H3"].mean() > 0.9  # its flows leave 0-11 % of the cardiac output to nobody


def test_with_the_hematocrit_percentiles_of_each_sex_the_count_is_the_published_one():
    drawn, body = httk_pop_body()
    # .1 and 99.9 % of NHANES as the reference set documents them, men and women; S1 takes 25 to 60 % for both instead
    low, high = np.where(body.male, 0.287, 0.252), np.where(body.male, 0.564, 0.499)
    broken = [
        np.abs(body.weight / drawn - 1) > 0.25,
        (body.hematocrit < low) | (body.hematocrit > high),
    ]
    left_out = ("S1", "S2", "S4_lean", "S8")
    broken += [
        rule.residual(body) > 0
        for rule in RULES
        if rule.kind == "soft" and not rule.id.startswith(left_out)
    ]
    assert 100 * np.mean(np.logical_or.reduce(broken)) == pytest.approx(22.35, abs=1e-9)
