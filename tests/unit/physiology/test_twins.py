"""Virtual twins: what is known is kept, what is missing is as uncertain as it is in people like them."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.physiology import check_physiology
from pbpk_hybrid.physiology.adults.survey import adults
from pbpk_hybrid.physiology.like import twins as twins_module
from pbpk_hybrid.physiology.like.candidates import Pool, restricted

pandas = pytest.importorskip("pandas")


def frame(**columns):
    return pandas.DataFrame(columns)


def test_known_values_are_kept_and_missing_ones_differ_between_imputations():
    people = frame(
        ID=["a", "b"], WT=[70.0, np.nan], AGE=[30.0, 55.5], HT=[175.3, 170.0], sex=["M", "F"]
    )
    twins = check_physiology(ph.virtual_twins(people, seed=1, imputations=6))
    first = twins.isel(subject=(twins.twin_of == "a").values)
    assert set(first.body_weight.values) == {70.0} and set(first.height.values) == {175.3}
    assert set(first.sex.values) == {"male"} and set(first.age.values) == {30.0}
    assert np.unique(first.serum_creatinine).size > 1
    assert np.unique(first.volume.sel(organ="liver")).size == 6
    second = twins.isel(subject=(twins.twin_of == "b").values)
    assert np.unique(second.body_weight).size > 3
    assert second.imputation.values.tolist() == [0, 1, 2, 3, 4, 5]


def test_derived_quantities_are_met_exactly():
    people = frame(
        age=[40.0, 40.0, 60.0, 60.0],
        bmi=[33.0, 33.0, np.nan, np.nan],
        weight=[100.0, np.nan, 80.0, 80.0],
        crcl=[np.nan, np.nan, 50.0, np.nan],
        egfr=[np.nan, np.nan, np.nan, 45.0],
    )
    twins = ph.virtual_twins(people, seed=2)
    np.testing.assert_allclose(twins.body_mass_index[:2], 33.0)
    assert twins.body_weight[0] == 100.0
    i = 2
    factor = 1.0 if twins.sex[i] == "male" else 0.85
    clearance = (140 - 60) * 80 / (72 * twins.serum_creatinine[i]) * factor
    assert clearance == pytest.approx(50)
    egfr = twins.gfr[3] * 1000 / 60 * 1.73 / np.sqrt(twins.height[3] * 80 / 3600)
    assert egfr == pytest.approx(45)


def test_intervals_of_what_is_missing_hold_the_true_value_as_often_as_they_say(monkeypatch):
    survey, rng = adults(), np.random.default_rng(5)
    rows = rng.choice(survey.age.size, 120, replace=False, p=survey.weight / survey.weight.sum())
    others = np.setdiff1d(np.arange(survey.age.size), rows)
    pool = Pool.of(restricted(survey, others))  # nobody is the donor of their own twin
    monkeypatch.setattr(twins_module, "adult_pool", lambda: pool)
    people = frame(
        age=survey.age[rows],
        height=survey.height[rows],
        sex=np.where(survey.male[rows], "male", "female"),
    )
    twins = ph.virtual_twins(people, seed=3, imputations=20)
    weight = twins.body_weight.values.reshape(120, 20)
    low, high = np.quantile(weight, (0.1, 0.9), axis=1)
    inside = np.mean((survey.body_weight[rows] >= low) & (survey.body_weight[rows] <= high))
    # 80 % of 120 people: a standard error of 3.7 %
    assert 0.69 < inside < 0.91
    bias = np.mean(weight.mean(axis=1) - survey.body_weight[rows])
    assert abs(bias) < 3 * survey.body_weight.std() / np.sqrt(120)


def test_like_takes_people_and_gives_as_many_twins_as_fit():
    people = frame(weight=[70.0, 90.0, 60.0])
    twins = ph.sample_population(6, like=people, seed=4)
    np.testing.assert_array_equal(twins.body_weight, [70, 70, 90, 90, 60, 60])
    again = ph.sample_population(6, like=people, seed=4)
    np.testing.assert_array_equal(twins.volume, again.volume)
    with pytest.raises(ph.InputError, match="multiple of the 3"):
        ph.sample_population(7, like=people, seed=4)
    with pytest.raises(ph.InputError, match="without filters"):
        ph.sample_population(6, like=people, age=(20, 30), seed=4)


def test_the_covariates_of_a_nonmem_data_set_get_twins(tmp_path):
    from pbpk_hybrid.dosing.nonmem import read_nonmem

    path = tmp_path / "data.csv"
    path.write_text(
        "ID,TIME,AMT,DV,EVID,WT,AGE,SEX\n"
        "7,0,100,.,1,70.5,30,1\n7,1,.,2.5,0,70.5,30,1\n9,0,100,.,1,82,44,0\n9,1,.,2,0,82,44,0\n"
    )
    covariates = read_nonmem(path).covariates
    with pytest.raises(ph.InputError, match="sex_codes"):
        ph.virtual_twins(covariates, seed=1)
    twins = ph.virtual_twins(covariates, seed=1, sex_codes={0: "male", 1: "female"})
    assert twins.twin_of.values.tolist() == [7, 9]
    assert twins.sex.values.tolist() == ["female", "male"]
    np.testing.assert_array_equal(twins.body_weight, [70.5, 82])


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"weight": ["heavy"]}, "a number"),
        ({"weight": [7.0]}, "30 to 250"),
        ({"age": [8.0]}, "18 to 100"),
        ({"bmi": [25.0], "weight": [100.0], "height": [170.0]}, "by weight and height"),
        ({"gfr": [5.0], "egfr": [60.0]}, "either gfr or egfr"),
        ({"weight": [70.0], "sex": ["other"]}, "sex"),
        ({"weight": [70.0], "WT": [70.0]}, "one column of body_weight"),
        ({"albumin": [40.0]}, "a column of age"),
        ({"weight": [40.0], "height": [215.0]}, "body mass index"),
    ],
)
@pytest.mark.filterwarnings("ignore::pbpk_hybrid.OutOfRangeWarning")
def test_people_who_cannot_be_are_refused(columns, words):
    with pytest.raises(ph.InputError, match=words):
        ph.virtual_twins(pandas.DataFrame(columns), seed=1)


def test_what_says_nothing_warns_and_so_does_who_is_unlike_everybody():
    with pytest.warns(ph.NoEffectWarning, match="albumin"):
        ph.virtual_twins(frame(weight=[70.0], albumin=[40.0]), seed=1)
    with pytest.warns(ph.OutOfRangeWarning, match="extrapolated"):
        ph.virtual_twins(frame(weight=[230.0], height=[200.0], age=[95.0]), seed=1)
