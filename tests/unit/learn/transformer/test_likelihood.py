import math

import numpy as np
import pytest
import torch

from pbpk_hybrid.learn.transformer.likelihood import Mixture, negative_log_likelihood


@pytest.fixture
def mixture():
    weight = torch.tensor([[[0.5, 0.3, 0.2]]])
    return Mixture(
        torch.log(weight),
        torch.tensor([[[0.0, 2.0, -1.0]]]),
        torch.log(torch.tensor([[[0.3, 0.5, 1.0]]])),
    )


def test_quantiles_invert_the_distribution(mixture):
    levels = torch.tensor([0.01, 0.05, 0.5, 0.9, 0.99])
    # single precision
    torch.testing.assert_close(
        mixture.distribution(mixture.quantiles(levels))[0, 0], levels, atol=2e-5, rtol=0
    )


def test_quantiles_never_cross(mixture):
    q = mixture.quantiles(torch.linspace(0.02, 0.98, 49))
    assert bool((q.diff(dim=-1) > 0).all())


def test_the_density_is_that_of_the_distribution(mixture):
    x = torch.linspace(-3, 4, 29)
    step = 1e-3
    for v in x.tolist():
        at = torch.tensor([[[v - step, v + step]]])
        slope = float(
            (mixture.distribution(at)[0, 0, 1] - mixture.distribution(at)[0, 0, 0]) / (2 * step)
        )
        assert math.exp(float(mixture.log_density(torch.tensor([[v]])))) == pytest.approx(
            slope, abs=2e-4
        )


def test_a_value_below_its_limit_counts_by_its_probability(mixture):
    x = torch.tensor([[0.4]])
    yes, no = torch.tensor([[True]]), torch.tensor([[False]])
    below = -math.log(float(mixture.distribution(x[..., None])))
    assert float(negative_log_likelihood(mixture, x, yes, yes)) == pytest.approx(below, rel=1e-5)
    assert float(negative_log_likelihood(mixture, x, no, yes)) == pytest.approx(
        -float(mixture.log_density(x)), rel=1e-6
    )


def test_what_is_not_asked_does_not_count(mixture):
    two = Mixture(
        *(
            torch.cat([a, a + 3.0], dim=1)
            for a in (mixture.log_weight * 1, mixture.mean, mixture.log_sd)
        )
    )
    x = torch.tensor([[0.1, 50.0]])
    none = torch.zeros(1, 2, dtype=torch.bool)
    one = negative_log_likelihood(two, x, none, torch.tensor([[True, False]]))
    assert np.isfinite(float(one))
    assert float(one) == pytest.approx(-float(mixture.log_density(x[:, :1])), rel=1e-5)
