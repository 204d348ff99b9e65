"""Reference individuals: closed, traceable, and refusing nonsense."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import InputError, UnitError, UnknownNameError
from pbpk_hybrid.physiology import (
    ORGANS,
    PORTAL_ORGANS,
    SPECIES,
    check_physiology,
    reference_individual,
)
from pbpk_hybrid.physiology.organs import SYSTEMIC_ORGANS
from pbpk_hybrid.physiology.species import reference

# closure is exact up to the rounding of a sum of 16 numbers
EXACT = 1e-12

BODIES = [(s, None) for s in SPECIES if s != "human"] + [("human", "male"), ("human", "female")]


def gaps(ds):
    mass = (ds["volume"] * ds["density"]).sum("organ") / ds["body_weight"] - 1
    flow = ds["blood_flow"].sel(organ=list(SYSTEMIC_ORGANS)).sum("organ") / ds["cardiac_output"] - 1
    return float(np.abs(mass).max()), float(np.abs(flow).max())


@pytest.mark.parametrize(("species", "sex"), BODIES)
def test_masses_add_to_body_weight_and_flows_to_cardiac_output(species, sex):
    ds = check_physiology(reference_individual(species, sex))
    assert max(gaps(ds)) < EXACT
    for organ in ("lung", "arterial_blood", "venous_blood"):
        assert ds["blood_flow"].sel(organ=organ).item() == ds["cardiac_output"].item()
    assert (ds["volume"] > 0).all()
    assert (ds["blood_flow"] > 0).all()


@pytest.mark.parametrize(("species", "sex"), BODIES)
def test_every_number_names_its_source(species, sex):
    ref = reference(species, sex or "unknown")
    wanted = [f"{o}.{p}" for o in ORGANS for p in ("mass", "blood_flow", "density")]
    wanted += [
        "body_weight",
        "cardiac_output",
        "hematocrit",
        "gfr",
        "hepatocellularity",
        "microsomal_protein",
    ]
    assert [name for name in wanted if len(ref.sources.get(name, "")) < 8] == []
    ds = reference_individual(species, sex)
    assert all(len(str(text)) > 8 for text in ds["volume_source"].values)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_scaled_individuals_stay_closed(data):
    species, sex = data.draw(st.sampled_from(BODIES))
    if species == "human":
        height = data.draw(st.floats(150, 200))
        bmi = data.draw(st.floats(18.5, 45))
        kw = {
            "body_weight": bmi * (height / 100) ** 2,
            "height": height,
            "age": data.draw(st.floats(18, 90)),
        }
    else:
        kw = {
            "body_weight": reference(species, "unknown").body_weight
            * data.draw(st.floats(0.3, 3.5))
        }
    ds = check_physiology(reference_individual(species, sex, **kw))
    assert ds["body_weight"].item() == pytest.approx(kw["body_weight"], rel=1e-15)
    assert max(gaps(ds)) < EXACT


def test_man_and_woman_of_icrp_89_come_back_exactly():
    man = reference_individual("human")
    assert (man["body_weight"].item(), man["height"].item(), man["age"].item()) == (
        73.0,
        176.0,
        35.0,
    )
    mass = (man["volume"] * man["density"]).isel(subject=0)
    for organ, kg in {
        "liver": 1.8,
        "brain": 1.45,
        "muscle": 29.0,
        "kidney": 0.31,
        "skin": 3.3,
    }.items():
        assert mass.sel(organ=organ).item() == pytest.approx(kg, rel=1e-12)
    woman = reference_individual("human", "female")
    assert woman["body_weight"].item() == 60.0
    assert (woman["volume"] * woman["density"]).sel(organ="muscle").item() == pytest.approx(
        17.5, rel=1e-12
    )


@pytest.mark.parametrize(
    ("species", "output", "gfr", "liver", "kidney"),
    [  # mL/min, the table of round values that Davies & Morris (1993) and PK-Sim (minipig) report
        ("mouse", 8.0, 0.28, 1.8, 1.3),
        ("rat", 74.0, 1.31, 11.8, 9.2),
        ("rabbit", 530.0, 7.8, 177.0, 80.0),
        ("monkey", 1086.0, 10.4, 218.0, 138.0),
        ("minipig", 4500.0, 101.0, 1531.0, 992.0),
        ("dog", 1200.0, 61.3, 309.0, 216.0),
    ],
)
def test_animals_have_the_published_round_flows(species, output, gfr, liver, kidney):
    ds = reference_individual(species)
    flow = ds["blood_flow"].isel(subject=0) / 0.06
    # the httk table carries four digits
    assert ds["cardiac_output"].item() / 0.06 == pytest.approx(output, rel=2e-3)
    assert ds["gfr"].item() / 0.06 == pytest.approx(gfr, rel=2e-3)
    assert flow.sel(organ=["liver", *PORTAL_ORGANS]).sum().item() == pytest.approx(liver, rel=2e-3)
    assert flow.sel(organ="kidney").item() == pytest.approx(kidney, rel=2e-3)


def test_animal_flows_scale_with_three_quarters_of_weight():
    one, two = reference_individual("rat"), reference_individual("rat", body_weight="500 g")
    assert (two["volume"] / one["volume"]).values == pytest.approx(2.0, rel=1e-12)
    for name in ("blood_flow", "gfr", "cardiac_output"):
        assert (two[name] / one[name]).values == pytest.approx(2**0.75, rel=1e-12)


def test_old_man_has_less_muscle_and_more_fat_than_a_young_one_of_the_same_weight():
    young, old = reference_individual("human", age=25), reference_individual("human", age=75)
    assert old["volume"].sel(organ="muscle").item() < young["volume"].sel(organ="muscle").item()
    assert old["volume"].sel(organ="adipose").item() > young["volume"].sel(organ="adipose").item()
    assert old["cardiac_output"].item() < young["cardiac_output"].item()


@pytest.mark.parametrize("species", ["minpig", "Human", "hamster", 3])
def test_unknown_species_is_refused_with_suggestions(species):
    with pytest.raises(UnknownNameError, match="species") as err:
        reference_individual(species)
    if species == "minpig":
        assert "minipig" in str(err.value)


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (("human", "man"), "sex"),
        (("rat", "bitch"), "sex"),
    ],
)
def test_unknown_sex_is_refused(args, field):
    with pytest.raises(UnknownNameError, match=field):
        reference_individual(*args)


@pytest.mark.parametrize(
    ("species", "kw", "field"),
    [
        ("human", {"body_weight": -3}, "body_weight"),
        ("human", {"body_weight": float("nan")}, "body_weight"),
        ("human", {"body_weight": 900}, "body_weight"),
        ("human", {"body_weight": 30, "height": 210}, "body_weight"),
        ("human", {"height": 1.8}, "height"),
        ("human", {"age": 3}, "age"),
        ("human", {"age": 140}, "age"),
        ("rat", {"body_weight": 250}, "body_weight"),
        ("rat", {"body_weight": 0}, "body_weight"),
        ("rat", {"height": 20}, "height"),
        ("rat", {"age": 1}, "age"),
    ],
)
def test_nonsense_covariates_are_refused(species, kw, field):
    with pytest.raises(InputError, match=field):
        reference_individual(species, **kw)


def test_a_weight_in_litres_is_a_unit_error():
    with pytest.raises(UnitError, match="body_weight"):
        reference_individual("human", body_weight="70 L")


def test_dataset_survives_netcdf(tmp_path):
    import xarray as xr

    ds = reference_individual("monkey")
    ds.to_netcdf(tmp_path / "monkey.nc")
    with xr.open_dataset(tmp_path / "monkey.nc") as back:
        check_physiology(back.load())
        assert (back["volume"].values == ds["volume"].values).all()


def test_references_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        reference("rat", "unknown").mass[0] = 1.0


@pytest.mark.parametrize("sex", ["male", "female"])
@pytest.mark.parametrize("bmi", [12.01, 89.9])
@pytest.mark.parametrize("height", [140, 200])
@pytest.mark.parametrize("age", [18, 95])
def test_corners_of_the_allowed_range_give_a_body_or_a_typed_error(sex, bmi, height, age):
    weight = bmi * (height / 100) ** 2
    try:
        ds = reference_individual("human", sex, body_weight=weight, height=height, age=age)
    except InputError as err:
        assert err.field == "body_weight"
    else:
        check_physiology(ds)
