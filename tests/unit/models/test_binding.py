"""Binding equations against hand calculation and at their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid.models.small_molecules import binding


def test_fraction_unbound_correction_only_lowers():
    assert binding.corrected_fraction_unbound(0.2, 0.0) == 0.2
    assert binding.corrected_fraction_unbound(0.2, 1000.0) == pytest.approx(1 / (7.3 + 5))
    assert binding.corrected_fraction_unbound(0.2, 1e9) == binding.corrected_fraction_unbound(
        0.2, 1e6
    )


def test_hepatocyte_binding_by_hand():
    assert binding.fraction_unbound_hepatocytes(0.0) == pytest.approx(1 / (1 + 0.625 * 10**-1.126))


def test_microsomal_binding_grows_with_protein():
    assert binding.fraction_unbound_microsomes(3.0, 1.0) == pytest.approx(1 / (1 + 10**0.27))
    assert binding.fraction_unbound_microsomes(3.0, 0.1) > binding.fraction_unbound_microsomes(
        3.0, 1.0
    )


@given(st.floats(0.6, 3), st.floats(0.3, 0.55), st.floats(0.3, 0.55))
def test_blood_to_plasma_at_the_same_hematocrit_is_unchanged_and_goes_back(ratio, h1, h2):
    there = binding.blood_to_plasma_at_hematocrit(ratio, h1, h2)
    assert binding.blood_to_plasma_at_hematocrit(ratio, h1, h1) == pytest.approx(ratio, rel=1e-13)
    assert binding.blood_to_plasma_at_hematocrit(there, h2, h1) == pytest.approx(ratio, rel=1e-12)


def test_a_drug_outside_red_cells_has_a_ratio_of_one_minus_hematocrit():
    assert binding.blood_to_plasma(0.0, 0.5, 0.45) == pytest.approx(0.55)
