"""The measures by which populations are compared give what they must on cases with a known answer."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[3] / "benchmarks" / "virtual_population" / "metrics.py"
spec = importlib.util.spec_from_file_location("population_metrics", FILE)
metrics = importlib.util.module_from_spec(spec)
spec.loader.exec_module(metrics)


@pytest.fixture(scope="module")
def normal():
    return np.random.default_rng(1).normal(size=(4000, 3))


def one(x):
    return np.ones(len(x))


def test_a_weight_of_two_is_the_person_twice(normal):
    a, b = normal[:100], normal[100:300]
    weight = np.tile([1.0, 2.0], 50)
    twice = np.repeat(a, weight.astype(int), axis=0)
    for measure in (metrics.kolmogorov_smirnov, metrics.wasserstein):
        np.testing.assert_allclose(
            measure(a, b, weight, one(b)), measure(twice, b, one(twice), one(b)), rtol=1e-12
        )


def test_a_shift_of_the_uniform_is_its_distance():
    x = np.linspace(0, 1, 10_001)[:, None]
    assert metrics.kolmogorov_smirnov(x, x + 0.1, one(x), one(x))[0] == pytest.approx(0.1, abs=1e-3)
    assert metrics.wasserstein(x + 0.1, x, one(x), one(x))[0] == pytest.approx(
        0.1 * np.sqrt(12), rel=1e-3
    )


def test_nothing_distinguishes_halves_of_one_sample_and_a_shift_is_seen(normal):
    a, b = normal[:2000], normal[2000:]
    assert metrics.classifier_auc(a, b, one(a), one(b), 1) == pytest.approx(0.5, abs=0.04)
    # two unit normals a distance d apart: AUC = Phi(d / sqrt 2) = .921 at d = 2
    assert metrics.classifier_auc(a, b + np.array([2.0, 0, 0]), one(a), one(b), 1) == pytest.approx(
        0.921, abs=0.03
    )


def test_correlations_are_compared_by_rank(normal):
    same = metrics.correlation_difference(normal, np.exp(normal), one(normal), one(normal))
    assert same == pytest.approx(0, abs=1e-12)
    tied = normal.copy()
    tied[:, 1] = tied[:, 0]
    assert metrics.correlation_difference(tied, normal, one(tied), one(tied)) == pytest.approx(
        1 / 3, abs=0.03
    )


def test_copies_are_near_records_and_new_people_are_not(normal):
    train, held, new = normal[:1500], normal[1500:2700], normal[2700:]
    assert metrics.copied_share(train, held, train + 1e-6, one(held)) == 1.0
    assert metrics.copied_share(train, held, new, one(held)) == pytest.approx(0.05, abs=0.02)


def test_coverage_and_density_of_the_same_distribution_are_near_one(normal):
    coverage, density = metrics.coverage_density(normal[:2000], normal[2000:], one(normal[2000:]))
    assert coverage > 0.93 and density == pytest.approx(1, abs=0.1)
    assert metrics.coverage_density(normal[:2000] + 100, normal[2000:], one(normal[2000:])) == (
        0.0,
        0.0,
    )
