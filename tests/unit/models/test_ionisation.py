"""Ionisation: fractions add up, limits are right, and Rodgers & Rowland's X has its published forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid.models.small_molecules.ionisation import (
    anion_ratio,
    cation_ratio,
    charge_ratio,
    distribution_coefficient,
    ionisation,
)

pkas = st.lists(st.floats(-3, 17), max_size=4)


@given(st.floats(0, 14), pkas, pkas)
def test_fractions_add_up_to_one_and_lie_between_zero_and_one(ph, acid, base):
    i = ionisation(ph, acid, base)
    parts = np.array([i.neutral, i.zwitterion, i.positive, i.negative])
    assert np.all(parts >= 0)
    assert np.sum(parts) == pytest.approx(1, abs=1e-14)


def test_a_compound_without_sites_is_neutral():
    i = ionisation(np.array([2.0, 7.4]))
    assert np.array_equal(i.neutral, [1, 1])
    assert np.array_equal(i.charged, [0, 0])


def test_one_site_is_half_ionised_at_its_pka():
    assert ionisation(4.7, [4.7]).negative == pytest.approx(0.5)
    assert ionisation(8.5, (), [8.5]).positive == pytest.approx(0.5)


def test_an_amino_acid_is_a_zwitterion_between_its_pkas():
    i = ionisation(6.0, [2.3], [9.7])
    assert i.zwitterion > 0.999
    assert i.neutral == 0


def test_an_ordinary_ampholyte_is_neutral_between_its_pkas():
    i = ionisation(7.0, [9.5], [4.0])
    assert i.neutral > 0.99
    assert i.zwitterion == 0


def test_a_diprotic_acid_by_hand():
    ph, a, b = 7.4, 6.0, 8.0
    r1, r2 = 10 ** (ph - a), 10 ** (2 * ph - a - b)
    assert ionisation(ph, [b, a]).negative == pytest.approx((r1 + r2) / (1 + r1 + r2), rel=1e-14)


@pytest.mark.parametrize(
    ("acid", "base", "expected"),
    [
        ((), (), 0.0),
        ((4.0,), (), 10**3.0),
        ((), (9.0,), 10**2.0),
        ((4.0, 6.0), (), 10**3.0 + 10**4.0),
        ((), (9.0, 8.0), 10**2.0 + 10**3.0),
        ((6.0,), (9.0,), 10**1.0 + 10**2.0),
    ],
)
def test_charge_ratio_has_the_published_form(acid, base, expected):
    assert charge_ratio(7.0, acid, base) == pytest.approx(expected, rel=1e-13)


@given(st.floats(2, 12), st.floats(0, 14))
def test_charge_ratio_agrees_with_the_fractions_of_a_single_site(ph, pka):
    i = ionisation(ph, [pka])
    assert anion_ratio(ph, [pka]) * i.neutral == pytest.approx(float(i.negative), rel=1e-12)
    i = ionisation(ph, (), [pka])
    assert cation_ratio(ph, [pka]) * i.neutral == pytest.approx(float(i.positive), rel=1e-12)


def test_distribution_coefficient_counts_zwitterions_as_neutral():
    i = ionisation(6.0, [2.0], [10.0])
    assert distribution_coefficient(100.0, i.charged) == pytest.approx(100.0, rel=1e-3)


def test_a_complex_ph_gives_the_derivative():
    h = 1e-20
    slope = ionisation(7.4 + 1j * h, [7.0]).negative.imag / h
    f = float(ionisation(7.4, [7.0]).negative)
    assert slope == pytest.approx(np.log(10) * f * (1 - f), rel=1e-12)
