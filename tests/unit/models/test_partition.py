"""Partition coefficients of compounds: choices, errors, warnings, vectors and derivatives."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import InputError, OutOfRangeWarning, UnknownNameError
from pbpk_hybrid.compounds import Compound, get_compound, list_compounds
from pbpk_hybrid.models.small_molecules import partition_equations as eq
from pbpk_hybrid.models.small_molecules.partition import (
    METHODS,
    REFERENCE_HEMATOCRIT,
    blood_to_plasma_ratio,
    partition_coefficients,
)
from pbpk_hybrid.physiology.organs import SPECIES, TISSUES
from pbpk_hybrid.physiology.tables.composition import tissue_composition

PREDICTIVE = METHODS[:-1]


def compound(**values):
    return Compound.create(
        **{
            "name": "test",
            "molar_mass": 300,
            "log_p": 2.0,
            "fraction_unbound_plasma": 0.2,
            "blood_to_plasma_ratio": 1.0,
            **values,
        }
    )


@pytest.mark.parametrize("method", PREDICTIVE)
@pytest.mark.parametrize("species", SPECIES)
def test_every_method_gives_every_tissue_in_every_species(species, method):
    kp = partition_coefficients(compound(), species, method)
    assert kp.dims == ("organ",)
    assert tuple(kp["organ"].values) == TISSUES
    assert np.all(kp.values > 0)
    assert kp.attrs["units"] == "1" and kp.attrs["method"] == method


def test_the_compounds_own_method_is_the_default_and_rodgers_rowland_without_one():
    assert partition_coefficients(compound(), "human").attrs["method"] == "rodgers_rowland"
    assert (
        partition_coefficients(compound(partition_method="schmitt"), "human").attrs["method"]
        == "schmitt"
    )


@pytest.mark.parametrize("method", PREDICTIVE)
def test_vectors_over_subjects_equal_one_subject_at_a_time(method):
    c = compound(pka_base=[9.0])
    fu, bp = np.array([0.1, 0.2, 0.4]), np.array([0.9, 1.0, 1.3])
    kp = partition_coefficients(
        c, "human", method, fraction_unbound_plasma=fu, blood_to_plasma_ratio=bp
    )
    assert kp.dims == ("subject", "organ")
    for i in range(3):
        alone = partition_coefficients(
            c, "human", method, fraction_unbound_plasma=fu[i], blood_to_plasma_ratio=bp[i]
        )
        assert kp.values[i] == pytest.approx(alone.values, rel=1e-14)


@pytest.mark.parametrize("method", PREDICTIVE)
@pytest.mark.parametrize(
    "sites", [{}, {"pka_acid": [4.5]}, {"pka_base": [9.1]}, {"pka_acid": [5.0], "pka_base": [8.0]}]
)
def test_complex_step_gives_the_derivative_with_respect_to_fraction_unbound(method, sites):
    c, h = compound(**sites), 1e-25

    def f(fu):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", OutOfRangeWarning
            )  # the zwitterion's cells hold little: not the point here
            return partition_coefficients(c, "human", method, fraction_unbound_plasma=fu).values

    slope = f(0.2 + 1j * h).imag / h
    step = 1e-6
    # central difference: error of order step^2 plus rounding 1e-16/step
    assert slope == pytest.approx((f(0.2 + step) - f(0.2 - step)) / (2 * step), rel=1e-7, abs=1e-8)


def test_measured_values_replace_predicted_ones_in_any_method():
    kp = partition_coefficients(compound(kp={"liver": 12.5}), "human")
    assert kp.sel(organ="liver") == 12.5
    assert kp.sel(organ="muscle") == partition_coefficients(compound(), "human").sel(organ="muscle")


def test_measured_needs_every_tissue_but_the_stand_ins():
    full = {organ: 2.0 for organ in TISSUES if organ not in ("rest", "stomach")}
    kp = partition_coefficients(
        compound(kp={**full, "muscle": 3.0, "gut": 4.0}), "human", "measured"
    )
    assert kp.sel(organ="rest") == 3.0 and kp.sel(organ="stomach") == 4.0
    del full["brain"]
    with pytest.raises(InputError, match=r"kp \(subject test\).*brain"):
        partition_coefficients(compound(kp=full), "human", "measured")


@pytest.mark.parametrize("field", ["log_p", "fraction_unbound_plasma"])
def test_a_missing_value_is_named_with_the_way_out(field):
    with pytest.raises(InputError, match=rf"{field} \(subject test\).*replace"):
        partition_coefficients(compound(**{field: None}), "human")


def test_unknown_species_and_method_suggest_the_nearest():
    with pytest.raises(UnknownNameError, match="monkey"):
        partition_coefficients(compound(), "monky")
    with pytest.raises(UnknownNameError, match="rodgers_rowland"):
        partition_coefficients(compound(), "human", "rodgers-rowland")


def test_a_matrix_of_fraction_unbound_is_refused():
    with pytest.raises(InputError, match="one value per subject"):
        partition_coefficients(compound(), "human", fraction_unbound_plasma=np.ones((2, 2)))


def test_negative_binding_is_set_to_zero_with_a_warning():
    c = compound(log_p=3.0, fraction_unbound_plasma=0.9)
    with pytest.warns(OutOfRangeWarning, match="binding of test comes out negative"):
        kp = partition_coefficients(c, "human", blood_correction=False)
    x = tissue_composition("human", "rodgers_rowland").sel(organ="muscle")
    p = 1e3
    lipid = p * x.fraction_neutral_lipid + (0.3 * p + 0.7) * x.fraction_neutral_phospholipid
    expected = 0.9 * (x.fraction_extracellular_water + x.fraction_intracellular_water + lipid)
    assert float(kp.sel(organ="muscle")) == pytest.approx(float(expected), rel=1e-13)


def test_values_outside_the_tested_range_warn_and_are_not_clipped():
    c = compound(log_p=7.0, fraction_unbound_plasma=1.0)
    with pytest.warns(OutOfRangeWarning, match="outside 0.01 to 500"):
        kp = partition_coefficients(c, "human", "schmitt")
    assert kp.max() > 500


def test_a_strong_base_without_blood_ratio_says_that_it_was_predicted():
    with pytest.warns(OutOfRangeWarning, match="blood_to_plasma_ratio of test is not given"):
        partition_coefficients(compound(pka_base=[9.0], blood_to_plasma_ratio=None), "human")


def test_neutrals_bind_to_lipoproteins_without_the_ionisation_factor():
    """Two public codes multiply B by X/(1+Y), which leaves a neutral without binding."""
    c = compound(fraction_unbound_plasma=0.01, log_p=1.0)
    bound = partition_coefficients(c, "human", blood_correction=False).sel(organ="muscle")
    x = tissue_composition("human", "rodgers_rowland")
    m, plasma = x.sel(organ="muscle"), x.sel(organ="plasma")
    b = 99 - (10 * plasma.fraction_neutral_lipid + 3.7 * plasma.fraction_neutral_phospholipid)
    kpu = (
        m.fraction_extracellular_water
        + m.fraction_intracellular_water
        + 10 * m.fraction_neutral_lipid
        + 3.7 * m.fraction_neutral_phospholipid
        + b * m.lipoprotein_ratio
    )
    assert float(bound) == pytest.approx(float(0.01 * kpu), rel=1e-13)


@pytest.mark.parametrize(
    ("acid", "base", "neutral"),
    [
        ([], [], True),
        ([12.7], [], True),
        ([9.1], [], False),
        ([], [1.8], False),
        ([], [-2.0], True),
        ([13.0], [4.0], False),
    ],
)
def test_alcohols_and_amides_do_not_make_an_acid(acid, base, neutral):
    assert eq.is_neutral(acid, base) is neutral


@given(st.floats(-2, 6), st.floats(0.01, 1))
def test_poulin_theil_and_berezhkovskiy_agree_for_an_unbound_drug(log_p, fu):
    args = dict(
        fraction_water=0.76,
        fraction_neutral_lipid=0.0238,
        fraction_phospholipid=0.0072,
        plasma={
            "fraction_water": 0.945,
            "fraction_neutral_lipid": 0.0035,
            "fraction_phospholipid": 0.00225,
        },
    )
    assert eq.poulin_theil_kp(log_p, 1.0, **args) == pytest.approx(
        float(eq.berezhkovskiy_kp(log_p, 1.0, **args))
    )
    assert eq.fraction_unbound_tissue(fu) >= fu


def test_poulin_theil_by_hand():
    # Rowland-style numbers: log P 2, fu .2 -> fu_t = 1/(1 + .5 x 4) = 1/3
    kp = eq.poulin_theil_kp(
        2.0,
        0.2,
        fraction_water=0.76,
        fraction_neutral_lipid=0.02,
        fraction_phospholipid=0.01,
        plasma={
            "fraction_water": 0.94,
            "fraction_neutral_lipid": 0.004,
            "fraction_phospholipid": 0.002,
        },
    )
    top = 100 * (0.02 + 0.003) + 0.76 + 0.007
    bottom = 100 * (0.004 + 0.0006) + 0.94 + 0.0014
    assert kp == pytest.approx(top / bottom * 0.2 * 3, rel=1e-13)


def test_adipose_uses_the_oil_coefficient_at_plasma_ph():
    args = dict(
        fraction_water=0.18,
        fraction_neutral_lipid=0.79,
        fraction_phospholipid=0.002,
        adipose=True,
        pka_base=[8.4],
        plasma={
            "fraction_water": 0.945,
            "fraction_neutral_lipid": 0.0035,
            "fraction_phospholipid": 0.00225,
        },
    )
    d = 10 ** (1.115 * 3 - 1.35) / (1 + 10)
    top = d * (0.79 + 0.0006) + 0.18 + 0.0014
    bottom = d * (0.0035 + 0.000675) + 0.945 + 0.001575
    assert eq.poulin_theil_kp(3.0, 0.2, **args) == pytest.approx(top / bottom * 0.2, rel=1e-13)


# ------------------------------------------------------------------ blood:plasma ratio
def test_a_measured_blood_ratio_follows_the_subjects_hematocrit():
    c = compound(blood_to_plasma_ratio=1.45)
    assert blood_to_plasma_ratio(c) == 1.45
    assert blood_to_plasma_ratio(c, hematocrit=REFERENCE_HEMATOCRIT["human"]) == pytest.approx(1.45)
    # red cells hold (1.45 - .55)/.45 = 2 times the plasma concentration
    assert blood_to_plasma_ratio(c, hematocrit=np.array([0.3, 0.5])) == pytest.approx([1.3, 1.5])


@pytest.mark.parametrize("sites", [{}, {"pka_acid": [4.5]}, {"pka_base": [9.1]}])
def test_a_missing_blood_ratio_is_predicted(sites):
    c = compound(blood_to_plasma_ratio=None, **sites)
    ratio = blood_to_plasma_ratio(c, hematocrit=0.45)
    assert 0.55 < ratio < 5
    many = blood_to_plasma_ratio(
        c, hematocrit=np.array([0.45, 0.5]), fraction_unbound_plasma=np.array([0.2, 0.2])
    )
    assert many[0] == pytest.approx(float(ratio))


def test_rodgers_rowland_cannot_predict_the_blood_ratio_of_a_strong_base():
    with pytest.raises(InputError, match="schmitt"):
        blood_to_plasma_ratio(
            compound(blood_to_plasma_ratio=None, pka_base=[9.0]), method="rodgers_rowland"
        )


#: more of it is unbound in plasma than plasma lipid alone would leave: the method says so
_UNEXPLAINED = ("amikacin", "clarithromycin", "ketoconazole", "vancomycin")


@pytest.mark.parametrize("name", _UNEXPLAINED)
def test_a_fraction_unbound_that_lipid_cannot_explain_is_said(name):
    with pytest.warns(OutOfRangeWarning):
        partition_coefficients(get_compound(name), "human")
        blood_to_plasma_ratio(get_compound(name), "human", hematocrit=0.45)


@pytest.mark.parametrize("name", sorted(set(list_compounds(curated=True)) - set(_UNEXPLAINED)))
def test_curated_drugs_partition_without_a_warning(name):
    c = get_compound(name)
    for species in ("human", *c.species_values):
        own = c.for_species(species)
        assert partition_coefficients(own, species).notnull().all()
        assert blood_to_plasma_ratio(own, species, hematocrit=0.45) >= 0.55 - 1e-9
