"""Cardiac output: as spread as it is measured, by body surface, shared by all organs."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.physiology.adults.body import People, expected_cardiac_output
from pbpk_hybrid.physiology.adults.variability import output_of_score


@pytest.fixture(scope="module")
def people():
    return ph.sample_population(2000, seed=9)


def residual(ds):
    columns = (ds[name].values for name in ("age", "body_weight", "height"))
    return ds.cardiac_output / expected_cardiac_output(People(ds.sex.values == "male", *columns))


def test_the_spread_given_sex_age_and_size_is_that_of_the_sources(people):
    factor = residual(people)
    assert factor.mean() == pytest.approx(1, abs=0.012)
    assert 0.15 < factor.std() < 0.20


def test_output_follows_the_surface_and_the_index_does_not(people):
    index = people.cardiac_output / 60 / people.body_surface_area
    assert np.corrcoef(people.cardiac_output, people.body_surface_area)[0, 1] > 0.4
    middle = (people.age > 40) & (people.age < 60)
    slope = np.polyfit(people.body_mass_index[middle], index[middle] / index[middle].mean(), 1)[0]
    # Rusinaru et al. (2021): the index of obese people is that of the others; 10 kg/m^2 more BMI
    assert abs(10 * slope) < 0.05
    # their normal limits, 1.9 to 4.3 L/min/m^2 at a mean age of 55 years
    low, high = np.quantile(index[middle], (0.025, 0.975))
    assert 1.9 < low < 2.6 and 3.9 < high < 4.8


def test_organs_share_it(people):
    flow = people.blood_flow
    liver = flow.sel(organ=["liver", "gut", "spleen", "pancreas", "stomach"]).sum("organ")
    factor = np.log(residual(people))
    for organ in (liver, flow.sel(organ="kidney"), flow.sel(organ="brain")):
        columns = (people[name].values for name in ("age", "body_weight", "height"))
        expected = expected_cardiac_output(People(people.sex.values == "male", *columns))
        share = np.log(organ / expected)
        for sex in ("male", "female"):
            rows = (people.sex == sex).values
            assert np.corrcoef(share[rows], factor[rows])[0, 1] > 0.85


def test_scores_and_factors_have_mean_one():
    z = np.random.default_rng(0).standard_normal(200_000)
    factor = output_of_score(z)
    assert factor.mean() == pytest.approx(1, abs=0.002)
    assert factor.std() == pytest.approx(0.17, rel=0.02)
