"""The sampler on a posterior that is known exactly; convergence figures on chains with known correlation."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import LogNormal, Parameter, fit, sample_posterior
from pbpk_hybrid.estimation.nuts import effective_size, split_rhat


def test_draws_of_a_conjugate_model_are_its_posterior(model, observe):
    pytest.importorskip("nutpie", exc_type=ImportError)
    t = np.array([1.0, 2.0, 4.0, 8.0])
    y = 100 / 30 * np.exp(-0.1 * t) / 1.2
    both = {"size": Parameter(1.0, factor=True, targets=("cl", "v"))}
    found = fit(
        model(),
        observe(t, y),
        both,
        {"size": LogNormal(1.0, 0.1)},
        regimen="100 mg iv",
        error={"lognormal": 0.2},
    )
    post = sample_posterior(found, draws=200, tune=150, chains=2, seed=3)
    data, prior = 4 / 0.2**2, 1 / 0.1**2
    draws = np.log(post["size"].values)
    sd = 1 / np.sqrt(data + prior)
    assert post["size"].shape == (2, 200) and float(post["rhat"].max()) < 1.05
    # 4 Monte Carlo standard errors
    assert draws.mean() == pytest.approx(
        np.log(1.2) * data / (data + prior), abs=4 * sd / np.sqrt(float(post["ess"][0]))
    )
    assert draws.std() == pytest.approx(sd, rel=0.2)


def test_effective_size_of_an_autoregressive_chain_is_the_textbooks():
    rng = np.random.default_rng(0)
    rho, n = 0.7, 20_000
    x = np.zeros((2, n))
    for i in range(1, n):
        x[:, i] = rho * x[:, i - 1] + rng.standard_normal(2)
    # n (1 - rho)/(1 + rho)
    assert effective_size(x) == pytest.approx(2 * n * 0.3 / 1.7, rel=0.1)
    assert effective_size(rng.standard_normal((2, n))) == pytest.approx(2 * n, rel=0.1)


def test_chains_in_different_places_have_a_large_rhat():
    rng = np.random.default_rng(0)
    assert split_rhat(rng.standard_normal((4, 500))) < 1.02
    assert split_rhat(rng.standard_normal((4, 500)) + np.arange(4)[:, None]) > 1.5


def test_counts_that_cannot_be_used_are_refused(model, observe):
    found = fit(
        model(),
        observe([1.0, 2.0], [2.0, 1.9]),
        ["cl"],
        regimen="100 mg oral",
        error={"proportional": 0.1},
    )
    with pytest.raises(ph.InputError, match="draws"):
        sample_posterior(found, draws=0)
