"""Organs of a known mass: everybody has them exactly, and the others are as likely as before."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.physiology import check_physiology, check_plausibility
from pbpk_hybrid.physiology.adults.body import INDEX, People, expected_masses
from pbpk_hybrid.physiology.adults.fixed_organs import read_organs


def mass(ds, organ):
    return (ds["volume"] * ds["density"]).sel(organ=organ)


def expected(ds, organ):
    columns = (ds[name].values for name in ("age", "body_weight", "height"))
    return expected_masses(People(ds["sex"].values == "male", *columns))[:, INDEX[organ]]


def test_a_share_of_normal_holds_for_everybody_and_bodies_close():
    people = ph.sample_population(150, organs={"liver": "0.8 of normal"}, seed=1)
    check_physiology(people)
    np.testing.assert_allclose(mass(people, "liver"), 0.8 * expected(people, "liver"), rtol=1e-9)
    assert check_plausibility(people).attrs["hard_violation_rate"] == 0
    # the other organs keep their spread
    spread = (mass(people, "kidney") / expected(people, "kidney")).std()
    assert 0.15 < spread < 0.35


def test_a_mass_makes_those_likelier_for_whom_it_is_usual():
    small = ph.sample_population(400, organs={"kidney": "0.22 kg"}, seed=2)
    large = ph.sample_population(400, organs={"kidney": "0.42 kg"}, seed=2)
    np.testing.assert_allclose(mass(small, "kidney"), 0.22, rtol=1e-9)
    np.testing.assert_allclose(mass(large, "kidney"), 0.42, rtol=1e-9)
    # Bayes: men have the larger kidneys (ICRP 89: 0.31 and 0.275 kg)
    assert (large.sex == "male").mean() > (small.sex == "male").mean() + 0.1
    assert large.height.mean() > small.height.mean()


def test_a_volume_and_a_table_hold_together():
    people = ph.sample_population(
        100, like={"age": "45 ± 10", "female": "50 %"}, organs={"liver": "1.5 L"}, seed=3
    )
    np.testing.assert_allclose(people["volume"].sel(organ="liver"), 1.5, rtol=1e-9)
    assert people.pk.like().missed == ()


@pytest.mark.parametrize(
    ("organs", "words"),
    [
        ({"muscle": "20 kg"}, "mass of its own"),
        ({"lever": "1 kg"}, "liver"),
        ({"liver": "0.1 of normal"}, "0.2 to 3"),
        ({"liver": "0.8"}, "liver"),
        ({"liver": "big"}, "liver"),
        ({"liver": -1.0}, "liver"),
        (["liver"], "a mapping"),
    ],
)
def test_what_is_no_mass_of_an_organ_is_refused(organs, words):
    with pytest.raises(ph.InputError, match=words):
        read_organs(organs)


def test_a_mass_that_nobody_has_is_refused():
    with pytest.raises(ph.InputError, match="organs"):
        ph.sample_population(10, organs={"liver": "9 kg"}, seed=1)
