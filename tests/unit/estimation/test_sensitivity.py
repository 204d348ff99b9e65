"""Sobol indices and elasticities where they follow from algebra; bioequivalence against SciPy's tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import (
    LogNormal,
    elasticity,
    sobol,
    two_one_sided_tests,
    virtual_bioequivalence,
)

TIMES = np.r_[0.0, np.geomspace(0.01, 400.0, 300)]


def test_sobol_indices_of_a_product_are_shares_of_log_variance(model):
    pytest.importorskip("SALib", exc_type=ImportError)
    # AUC = D/cl whatever v and ka; Cmax after a bolus = D/v
    regions = {"cl": LogNormal(3.0, 0.3), "v": LogNormal(30.0, 0.2), "ka": (0.5, 3.0)}
    found = sobol(model(), regions, regimen="100 mg iv", times=TIMES, samples=256, seed=1)
    np.testing.assert_allclose(found["first"].sel(metric="auc"), [1, 0, 0], atol=0.05)
    np.testing.assert_allclose(found["total"].sel(metric="cmax"), [0, 1, 0], atol=0.05)


def test_elasticities_of_area_and_peak(model):
    found = elasticity(
        model(), ["cl", "v", "ka"], regimen="100 mg iv", times=np.linspace(0, 400, 4001)
    )["elasticity"]
    np.testing.assert_allclose(found.sel(metric="auc")[0], [-1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(found.sel(metric="cmax")[0], [0, -1, 0], atol=1e-12)


def test_two_one_sided_tests_are_two_t_tests():
    rng = np.random.default_rng(4)
    reference = np.exp(rng.normal(2.0, 0.5, 24))
    test = reference * np.exp(rng.normal(0.05, 0.2, 24))
    found = two_one_sided_tests(test, reference)
    d = np.log(test / reference)
    assert found.p_lower == pytest.approx(
        stats.ttest_1samp(d, np.log(0.8), alternative="greater").pvalue, rel=1e-10
    )
    assert found.p_upper == pytest.approx(
        stats.ttest_1samp(d, np.log(1.25), alternative="less").pvalue, rel=1e-10
    )
    interval = stats.ttest_1samp(d, 0).confidence_interval(0.90)
    np.testing.assert_allclose(
        [found.lower, found.upper], np.exp([interval.low, interval.high]), rtol=1e-10
    )
    assert found.equivalent == (found.p_lower < 0.05 and found.p_upper < 0.05)
    assert not two_one_sided_tests(
        1.3 * reference, reference * np.exp(rng.normal(0, 0.01, 24))
    ).equivalent


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_one_sided_tests([1.0], [1.0]), "test"),
        (lambda: two_one_sided_tests([1.0, 0.0], [1.0, 1.0]), "test"),
        (lambda: two_one_sided_tests([1.0, 2.0], [1.0, 1.0], limits=(1.1, 1.2)), "limits"),
        (lambda: two_one_sided_tests([1.0, 2.0], [1.0, 1.0], alpha=0.7), "alpha"),
    ],
)
def test_bad_input_of_the_tests_is_refused(call, message):
    with pytest.raises(ph.InputError, match=message):
        call()


def test_virtual_trials_pass_equal_formulations_and_fail_half_the_dose():
    people = ph.sample_population(30, seed=1)
    times = np.r_[0:6:0.25, 6:25:1.0]
    same = virtual_bioequivalence(
        ("midazolam", "5 mg oral"),
        ("midazolam", "5 mg oral"),
        people,
        times,
        trials=200,
        subjects=24,
        seed=1,
    )
    # power of TOST at ratio 1, CV 15 %, 24 subjects: above .99 (Julious 2012, table of crossover powers)
    assert same.attrs["power"] > 0.95
    assert float(same["ratio"].mean()) == pytest.approx(1.0, abs=0.01)
    half = virtual_bioequivalence(
        ("midazolam", "5 mg oral"),
        ("midazolam", "2.5 mg oral"),
        people,
        times,
        trials=20,
        subjects=24,
        seed=1,
    )
    assert half.attrs["power"] == 0.0
    with pytest.raises(ph.InputError, match="subjects"):
        virtual_bioequivalence(
            ("midazolam", "5 mg oral"), ("midazolam", "5 mg oral"), people, times, subjects=31
        )


def test_regions_that_cannot_be_sampled_are_refused(model):
    bad = (
        ({"cl": (3, 2), "v": (1, 2)}, "cl"),
        ({"cl": (1, 2)}, "two"),
        ({"x": (1, 2), "v": (1, 2)}, "x"),
    )
    for regions, message in bad:
        with pytest.raises(ph.InputError, match=message):
            sobol(model(), regions, regimen="100 mg iv", times=[1, 2])
    with pytest.raises(ph.InputError, match="samples"):
        sobol(model(), {"cl": (1, 2), "v": (1, 2)}, regimen="100 mg iv", times=[1, 2], samples=100)
