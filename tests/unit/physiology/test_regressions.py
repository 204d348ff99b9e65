"""Published regressions at values that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid.physiology.adults import regressions as r

MAN, WOMAN = np.array([True]), np.array([False])


def test_ckd_epi_2021_at_its_knots():
    # at creatinine = k both powers are 1: 142 x .9938^age (x 1.012)
    assert r.ckd_epi_2021(MAN, 50.0, np.array([0.9]))[0] == pytest.approx(142 * 0.9938**50)
    assert r.ckd_epi_2021(WOMAN, 50.0, np.array([0.7]))[0] == pytest.approx(
        142 * 0.9938**50 * 1.012
    )
    # twice k: 2^-1.2; half k: .5^-.302 (M), .5^-.241 (F)
    assert r.ckd_epi_2021(MAN, 0.0, np.array([1.8]))[0] == pytest.approx(142 * 2**-1.2)
    assert r.ckd_epi_2021(MAN, 0.0, np.array([0.45]))[0] == pytest.approx(142 * 0.5**-0.302)
    assert r.ckd_epi_2021(WOMAN, 0.0, np.array([0.35]))[0] == pytest.approx(
        142 * 0.5**-0.241 * 1.012
    )


def test_brain_of_a_newborn_is_its_birth_weight():
    assert r.brain_mass(MAN, 0.0)[0] == pytest.approx(0.405)
    assert r.brain_mass(WOMAN, 0.0)[0] == pytest.approx(0.373)


def test_fat_of_the_icrp_people_is_what_icrp_says():
    # storage fat of ICRP 89: 14.6 of 73 kg and 18 of 60 kg; Gallagher's line was fitted on other people (2 points)
    man = r.fat_fraction(MAN, 35.0, np.array([73 / 1.76**2]))[0]
    woman = r.fat_fraction(WOMAN, 35.0, np.array([60 / 1.63**2]))[0]
    assert man == pytest.approx(14.6 / 73, abs=0.02)
    assert woman == pytest.approx(18 / 60, abs=0.02)


def test_fat_never_falls_below_essential_fat():
    assert r.fat_fraction(MAN, 20.0, np.array([12.0]))[0] == 0.03
    assert r.fat_fraction(WOMAN, 20.0, np.array([12.0]))[0] == 0.10


def test_skin_is_continuous_and_grows_with_surface():
    surface = np.linspace(1.2, 3.2, 400)
    skin = r.skin_mass(surface)
    assert (np.diff(skin) > 0).all()
    assert np.diff(skin).max() < 0.06  # no step: 400 points over 10 kg
    assert skin.max() < 12


def test_janmahasatian_worked_example():
    # 70 kg man, BMI 25: 9270 x 70 / (6680 + 5400)
    assert r.fat_free_mass(MAN, 70.0, 25.0)[0] == pytest.approx(9270 * 70 / 12080)


def test_cardiac_output_is_flat_to_25_and_falls_half_a_percent_a_year():
    np.testing.assert_allclose(r.cardiac_output_age(np.array([18.0, 25.0, 45.0])), [1, 1, 0.9])


def test_microsomal_protein_peaks_near_30_at_40_mg_per_g():
    assert r.microsomal_protein(30.0) == pytest.approx(40, abs=0.5)
    assert r.microsomal_protein(70.0) < r.microsomal_protein(30.0)
