"""Classical scaling: limits, worked values, and what cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.models import scaling as sc

WEIGHTS = np.array([0.25, 10.0, 5.0])


def test_simple_allometry_recovers_a_power_law():
    values = 0.8 * WEIGHTS**0.63
    a, b = sc.fit_power_law(values, WEIGHTS)
    assert a == pytest.approx(0.8, rel=1e-12) and b == pytest.approx(0.63, rel=1e-12)
    assert sc.simple_allometry(values, WEIGHTS, 70.0) == pytest.approx(0.8 * 70**0.63, rel=1e-12)


def test_missing_species_are_left_out_of_the_fit():
    values = 0.8 * WEIGHTS**0.63
    values[1] = np.nan
    assert sc.fit_power_law(values, WEIGHTS)[1] == pytest.approx(0.63, rel=1e-12)
    assert np.isnan(sc.simple_allometry(np.array([1.0, np.nan, np.nan]), WEIGHTS, 70.0))


def test_one_source_with_a_fixed_exponent_is_single_species_scaling():
    assert sc.fixed_exponent([2.0], [5.0], 70.0, 0.75) == pytest.approx(2.0 * 14**0.75)


def test_scaling_by_flow_keeps_extraction():
    assert sc.flow_scaling(21.8, 43.6, 20.7) == pytest.approx(0.5 * 20.7)


def test_maximum_lifespan_of_man_is_about_ninety_years():
    assert 85 < sc.maximum_lifespan(1.4, 70.0) < 95  # 88 to 93.4 in the literature, by brain weight


@pytest.mark.parametrize(("exponent", "method"), [(0.6, "simple"), (0.85, "mlp"), (1.1, "brw")])
def test_rule_of_exponents_chooses_by_the_exponent(exponent, method):
    values = 0.5 * WEIGHTS**exponent
    brain = np.array([sc.BRAIN_WEIGHT[s] for s in ("rat", "dog", "monkey")])
    expected = {
        "simple": sc.simple_allometry(values, WEIGHTS, 70.0),
        "mlp": sc.corrected_allometry(
            values,
            WEIGHTS,
            70.0,
            sc.maximum_lifespan(brain, WEIGHTS),
            sc.maximum_lifespan(1.4, 70.0),
        ),
        "brw": sc.corrected_allometry(values, WEIGHTS, 70.0, brain, 1.4),
    }[method]
    assert sc.rule_of_exponents(values, WEIGHTS, 70.0, brain, 1.4) == pytest.approx(expected)


def test_fcim_takes_its_intercept_in_ml_per_min():
    values = 0.06 * 10 * WEIGHTS**0.7  # a = 10 mL/min
    assert sc.fcim(values, WEIGHTS, 0.2, 0.1) / 0.06 == pytest.approx(33.35 * 5.0**0.77)


@pytest.mark.parametrize("species", ["rat", "dog", "monkey", "human"])
def test_oie_tozer_is_inverted_by_its_tissue_binding(species):
    volume = sc.oie_tozer_volume(0.3, 0.05, species)
    assert sc.oie_tozer_tissue_binding(volume, 0.3, species) == pytest.approx(0.05)


def test_a_volume_below_plasma_and_extracellular_water_has_no_tissue_binding():
    assert np.isnan(sc.oie_tozer_tissue_binding(0.05, 0.9, "rat"))


def test_unbound_clearance_is_scaled_when_binding_differs():
    fu = np.array([0.1, 0.2, 0.4])
    values = 3.0 * WEIGHTS**0.7 * fu
    assert sc.fu_corrected_allometry(values, fu, WEIGHTS, 70.0, 0.05) == pytest.approx(
        3.0 * 70**0.7 * 0.05
    )


def test_a_transposed_curve_keeps_dose_over_area_as_clearance():
    times = np.linspace(0, 40, 4001)
    dose, cl, v = 2.0, 0.5, 3.0
    curve = dose / v * np.exp(-cl / v * times)
    new = np.linspace(0, 100, 5001)
    human = sc.wajima_curve(
        times, curve, dose, cl, v, new, target_dose=70.0, target_clearance=10.0, target_volume=200.0
    )
    assert human == pytest.approx(
        70 / 200 * np.exp(-10 / 200 * new), rel=1e-6
    )  # log-linear between samples: exact


def test_zero_values_and_unknown_species_are_refused():
    with pytest.raises(InputError, match="values"):
        sc.simple_allometry([1.0, 0.0, 2.0], WEIGHTS, 70.0)
    with pytest.raises(InputError, match="weights"):
        sc.simple_allometry([1.0, 2.0], WEIGHTS, 70.0)
    with pytest.raises(UnknownNameError, match="dog"):
        sc.oie_tozer_volume(0.1, 0.1, "doge")
