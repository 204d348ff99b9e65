"""Random populations: exact size, exact closure, exact covariates, filters, seeds and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.physiology import (
    SPECIES,
    check_physiology,
    reference_individual,
    sample_population,
)
from pbpk_hybrid.physiology.adults.survey import adults
from pbpk_hybrid.physiology.organs import SYSTEMIC_ORGANS

EXACT = 1e-12  # rounding of a sum of 16 numbers


@given(
    n=st.integers(1, 300),
    seed=st.integers(0, 2**32),
    age=st.sampled_from([None, (18, 30), (60, 79), 45]),
    sex=st.sampled_from([None, "male", "female", 0.3]),
    bmi=st.sampled_from([None, (0, 22), (35, 100)]),
)
@settings(max_examples=25, deadline=None)
def test_exactly_n_closed_people_come_back(n, seed, age, sex, bmi):
    ds = check_physiology(sample_population(n, seed=seed, age=age, sex=sex, bmi=bmi))
    assert ds.sizes["subject"] == n
    mass = (ds["volume"] * ds["density"]).sum("organ").values
    flow = ds["blood_flow"].sel(organ=list(SYSTEMIC_ORGANS)).sum("organ").values
    np.testing.assert_allclose(mass, ds["body_weight"].values, rtol=EXACT)
    np.testing.assert_allclose(flow, ds["cardiac_output"].values, rtol=EXACT)


def test_people_are_people_of_the_survey_with_their_own_covariates():
    ds = sample_population(500, seed=4)
    survey = adults()
    order = np.argsort(survey.person)
    at = order[np.searchsorted(survey.person, ds["nhanes_person"].values, sorter=order)]
    for name, column in {
        "body_weight": survey.body_weight,
        "height": survey.height,
        "age": survey.age,
        "hematocrit": survey.hematocrit,
        "serum_creatinine": survey.serum_creatinine,
        "ethnicity": survey.ethnicity,
    }.items():
        np.testing.assert_array_equal(ds[name].values, column[at], err_msg=name)
    np.testing.assert_array_equal(ds["sex"].values == "male", survey.male[at])


@pytest.mark.parametrize("species", ["human", "dog"])
def test_same_seed_same_people_other_seed_others(species):
    a, b, c = (sample_population(50, species, seed=s) for s in (7, 7, 8))
    assert (a["volume"].values == b["volume"].values).all()
    assert (a["volume"].values != c["volume"].values).any()
    assert a.attrs["seed"] == 7


def test_a_drawn_seed_reproduces_the_population():
    a = sample_population(20, seed=None)
    b = sample_population(20, seed=int(a.attrs["seed"]))
    assert (a["volume"].values == b["volume"].values).all()


def test_a_generator_is_accepted_and_its_seed_stored():
    a = sample_population(20, seed=np.random.default_rng(3))
    b = sample_population(20, seed=int(a.attrs["seed"]))
    assert (a["gfr"].values == b["gfr"].values).all()


@pytest.mark.parametrize(
    ("name", "field", "bounds"),
    [
        ("age", "age", (30, 40)),
        ("body_weight", "body_weight", (60, 70)),
        ("height", "height", (170, 180)),
        ("bmi", "body_mass_index", (20, 25)),
        ("hematocrit", "hematocrit", (0.40, 0.45)),
        ("serum_creatinine", "serum_creatinine", (2, 20)),
        ("gfr", "gfr", (1.0, 2.0)),
    ],
)
def test_filters_hold_for_everyone(name, field, bounds):
    values = sample_population(200, seed=5, **{name: bounds})[field].values
    # the individual GFR is the estimate times exp(scatter): bounds hold up to rounding
    assert values.min() >= bounds[0] * (1 - 1e-12)
    assert values.max() <= bounds[1] * (1 + 1e-12)


@pytest.mark.parametrize("scatter", [True, False])
def test_filter_on_indexed_gfr_selects_a_stage_of_renal_function(scatter):
    ds = sample_population(300, seed=6, egfr=(15, 30), gfr_scatter=scatter)
    indexed = ds["gfr"].values / 0.06 / ds["body_surface_area"].values * 1.73
    assert indexed.min() >= 15 * (1 - 1e-9)
    assert indexed.max() <= 30 * (1 + 1e-9)


def test_age_as_one_number_is_that_year_of_life():
    age = sample_population(100, seed=1, age=50)["age"].values
    assert age.min() >= 50
    assert age.max() < 51


def test_units_are_understood_in_filters():
    a = sample_population(30, seed=2, body_weight=("60000 g", "70 kg"))
    b = sample_population(30, seed=2, body_weight=(60, 70))
    assert (a["volume"].values == b["volume"].values).all()


@pytest.mark.parametrize(
    ("sex", "women"), [("male", 0), ("female", 40), (0.25, 10), (0, 0), (1.0, 40)]
)
def test_sex_is_exact(sex, women):
    assert int((sample_population(40, seed=3, sex=sex)["sex"] == "female").sum()) == women


def test_the_sexes_are_mixed():
    sex = sample_population(200, seed=3, sex=0.5)["sex"].values
    assert 20 < (sex[:100] == "female").sum() < 80


def test_ethnicity_by_name_in_any_case():
    ds = sample_population(50, seed=3, ethnicity="non-hispanic black")
    assert set(ds["ethnicity"].values) == {"Non-Hispanic Black"}
    two = sample_population(200, seed=3, ethnicity=["Other", "Mexican American"])
    assert set(two["ethnicity"].values) == {"Other", "Mexican American"}


def test_survey_weights_change_who_is_drawn():
    a, b = (sample_population(4000, seed=3, weighted=w) for w in (True, False))
    share = [(ds["ethnicity"] == "Non-Hispanic White").mean().item() for ds in (a, b)]
    # 64 % of US adults, 37 % of those examined (minorities are oversampled)
    assert share[0] > share[1] + 0.15


@pytest.mark.parametrize(
    ("kw", "field", "says"),
    [
        ({"age": 200}, "age", "89.9"),
        ({"age": (100, 120)}, "age", "89.9"),
        ({"age": (50, 40)}, "age", "low <= high"),
        ({"age": -1}, "age", ">= 0"),
        ({"body_weight": (400, 500)}, "body_weight", "242.6"),
        ({"body_weight": 70}, "body_weight", "pair"),
        ({"height": (1.6, 1.8)}, "height", "overlaps"),
        ({"height": (150, 155), "body_weight": (180, 190)}, "body_weight|height", "other filters"),
        ({"bmi": (10, 10.5)}, "bmi", "overlaps"),
        ({"gfr": (100, 200)}, "gfr", "overlaps"),
        ({"hematocrit": (40, 45)}, "hematocrit", "overlaps"),
        ({"sex": 1.5}, "sex", "0 to 1"),
        ({"egfr": (30, 15)}, "egfr", "low <= high"),
        ({"age": (30, 40, 50)}, "age", "pair"),
        ({"age": float("nan")}, "age", "finite"),
    ],
)
def test_filters_that_nobody_passes_name_the_field_and_the_range(kw, field, says):
    with pytest.raises(InputError, match=field) as err:
        sample_population(10, seed=1, **kw)
    assert says in str(err.value)


@pytest.mark.parametrize("n", [0, -1, 2.5, "10", True, None])
def test_n_must_be_a_positive_whole_number(n):
    with pytest.raises(InputError, match="n:"):
        sample_population(n, seed=1)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_seed_must_be_a_non_negative_integer(seed):
    with pytest.raises(InputError, match="seed"):
        sample_population(2, seed=seed)


@pytest.mark.parametrize(
    ("args", "kw", "hint"),
    [
        ((2, "hunam"), {}, "human"),
        ((2,), {"sex": "femal"}, "female"),
        ((2,), {"ethnicity": "Mexican"}, "Mexican American"),
        ((2, "rat"), {"sex": "femal"}, "female"),
    ],
)
def test_unknown_names_are_refused_with_suggestions(args, kw, hint):
    with pytest.raises(UnknownNameError, match=hint):
        sample_population(*args, seed=1, **kw)


@pytest.mark.parametrize("species", [s for s in SPECIES if s != "human"])
def test_animals_vary_around_their_reference_and_stay_closed(species):
    ds = check_physiology(sample_population(2000, species, seed=9))
    ref = reference_individual(species)
    mean = ds["volume"].mean("subject") / ref["volume"].isel(subject=0)
    # log-normal factors of up to 42 % CV, divided by their sum: means stay within 15 % of the reference
    assert float(np.abs(mean - 1).max()) < 0.15
    weight = ds["body_weight"].values
    assert np.std(weight) / np.mean(weight) == pytest.approx(0.10, rel=0.1)  # the stated CV


def test_animal_filters():
    ds = check_physiology(
        sample_population(300, "rat", seed=1, body_weight=("200 g", "240 g"), sex=0.5)
    )
    assert ds["body_weight"].min() >= 0.2
    assert ds["body_weight"].max() <= 0.24
    assert int((ds["sex"] == "female").sum()) == 150


@pytest.mark.parametrize(
    ("kw", "field"),
    [
        ({"age": (1, 2)}, "age"),
        ({"bmi": (1, 2)}, "bmi"),
        ({"body_weight": (100, 200)}, "body_weight"),
        ({"body_weight": 0.25}, "body_weight"),
        ({"sex": 2}, "sex"),
    ],
)
def test_filters_that_an_animal_cannot_have_are_refused(kw, field):
    with pytest.raises(InputError, match=field):
        sample_population(5, "rat", seed=1, **kw)


def test_population_survives_netcdf(tmp_path):
    import xarray as xr

    ds = sample_population(10, seed=1)
    ds.to_netcdf(tmp_path / "people.nc")
    with xr.open_dataset(tmp_path / "people.nc") as back:
        check_physiology(back.load())
        assert back.attrs["seed"] == 1
