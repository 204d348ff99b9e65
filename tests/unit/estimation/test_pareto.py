"""Pareto smoothing against distributions of known tail, and against ArviZ where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import genpareto

from pbpk_hybrid.estimation.pareto import fit_generalised_pareto, smooth_weights


@pytest.mark.parametrize("shape", [-0.3, 0.1, 0.5, 0.9])
def test_shape_and_scale_of_a_generalised_pareto_sample_are_found(shape):
    x = np.sort(genpareto.rvs(shape, scale=2.0, size=20_000, random_state=1))
    k, sigma = fit_generalised_pareto(x)
    assert k == pytest.approx(shape, abs=0.03)
    assert sigma == pytest.approx(2.0, rel=0.05)


def test_equal_weights_stay_equal_and_have_no_tail():
    found = smooth_weights(np.zeros(1000))
    np.testing.assert_allclose(found.values, 1e-3)
    assert found.k == -np.inf and found.effective_size == pytest.approx(1000)


def test_k_tells_a_proposal_with_thin_tails_from_one_with_heavy_tails():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(4000)
    # target of twice the sd: weights exp(3/8 x^2) have infinite variance, k is 1 - (1/2)^2 = 0.75
    narrow = smooth_weights(-0.125 * normal**2 + 0.5 * normal**2)
    # target of 0.7 times the sd: bounded weights
    wide = smooth_weights(-0.5 * (normal / 0.7) ** 2 + 0.5 * normal**2)
    assert narrow.k > 0.6 > 0.2 > wide.k
    assert narrow.effective_size < 1000 < 3000 < wide.effective_size


def test_draws_where_the_target_is_zero_have_no_weight():
    ratios = np.zeros(500)
    ratios[:100] = -np.inf
    found = smooth_weights(ratios)
    assert (found.values[:100] == 0).all() and found.values.sum() == pytest.approx(1.0)


def test_smoothing_is_that_of_arviz():
    arviz = pytest.importorskip("arviz", exc_type=ImportError)
    z = np.random.default_rng(3).standard_t(4, 3000)
    ratios = -0.5 * z**2 + 2.5 * np.log1p(z**2 / 4) + 0.4 * z
    weights, k = arviz.psislw(ratios[None, :])
    found = smooth_weights(ratios)
    assert found.k == pytest.approx(float(k[0]), abs=1e-6)
    np.testing.assert_allclose(found.log_weights, np.asarray(weights)[0], atol=1e-6)
