"""Closed responses against matrix exponentials and quadrature."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from pbpk_hybrid.learn.transformer import superposition as k
from pbpk_hybrid.learn.transformer.features import Prepared

T = lambda x: torch.tensor(x, dtype=torch.float64)
rates = st.floats(1e-3, 10.0)


def chain(rates_in_order, t):
    """Amount in the last compartment of a chain from one unit in the first."""
    n = len(rates_in_order)
    m = np.diag([-r for r in rates_in_order]) + np.diag(list(rates_in_order[:-1]), -1)
    return (expm(m * t) @ np.eye(n)[0])[-1]


@settings(max_examples=60, deadline=None)
@given(rates, rates, st.floats(0.0, 30.0))
def test_first_order_absorption_is_a_chain_of_two(rate, ka, t):
    assert float(k.first_order(T(rate), T(ka), T(t))) == pytest.approx(
        chain([ka, rate], t), rel=1e-9, abs=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(rates, rates, st.floats(0.0, 30.0))
def test_two_stages_are_a_chain_of_three(rate, kb, t):
    # the series is cut after x^4/720 at |x| < .3: 1e-6 of the value
    assert float(k.two_stages(T(rate), T(kb), T(t))) == pytest.approx(
        chain([kb, kb, rate], t), rel=3e-6, abs=1e-12
    )


@pytest.mark.parametrize("difference", [0.0, 1e-9, 1e-5, -1e-5, 1e-2])
def test_equal_rates_are_no_exception(difference):
    value = float(k.first_order(T(0.3), T(0.3 + difference), T(4.0)))
    assert value == pytest.approx(
        0.3 * 4.0 * np.exp(-1.2), rel=3e-2 if abs(difference) > 1e-3 else 1e-4
    )


@settings(max_examples=60, deadline=None)
@given(rates, st.floats(0.0, 20.0), st.floats(0.01, 10.0))
def test_an_infusion_is_the_mean_of_boluses_over_its_time(rate, t, duration):
    s = (np.arange(4000) + 0.5) / 4000 * duration
    expected = np.mean(np.where(s <= t, np.exp(-rate * np.maximum(t - s, 0)), 0.0))
    assert float(k.intravenous(T(rate), T(t), T(duration))) == pytest.approx(
        expected, abs=2.6e-4
    )  # one step of the sum


def test_an_infusion_of_no_length_is_a_bolus():
    assert float(k.intravenous(T(0.7), T(2.0), T(0.0))) == pytest.approx(np.exp(-1.4), rel=1e-12)


def doses(time, amount, duration=None, oral=None):
    n = len(time)
    blank = torch.zeros(1, 0, dtype=torch.float64)
    flags = torch.zeros(1, 0, dtype=torch.bool)
    return Prepared(
        T([time]),
        T([amount]),
        T([duration or [0.0] * n]),
        torch.tensor([oral or [False] * n]),
        torch.ones(1, n, dtype=torch.bool),
        blank,
        blank,
        flags,
        flags,
        blank,
        blank,
        blank,
        blank,
        flags,
        blank,
        blank,
        T([0.0]),
    )


def parameters():
    one = lambda v: T([[v]])
    return {
        "weight": T([[[0.5, 0.3, 0.2]]]),
        "rate": T([[[2.0, 0.3, 0.05]]]),
        "fraction": one(0.6),
        "ka": one(1.1),
        "kb": one(0.8),
        "split": one(0.7),
        "lag_a": one(0.25),
        "lag_b": one(0.0),
    }


def test_doses_superpose():
    grid, p = T([[0.5, 3.0, 9.0, 26.0]]), parameters()
    together = k.responses(doses([0.0, 8.0], [1.0, 2.0], oral=[True, False]), grid, p)
    first = k.responses(doses([0.0], [1.0], oral=[True]), grid, p)
    second = k.responses(doses([8.0], [2.0]), grid, p)
    torch.testing.assert_close(together, first + second, rtol=1e-12, atol=1e-15)


def test_nothing_comes_before_its_dose_or_its_lag():
    p = parameters()
    assert float(k.responses(doses([5.0], [1.0]), T([[4.9]]), p)) == 0.0
    p["split"] = T([[1.0]])
    assert float(k.responses(doses([0.0], [1.0], oral=[True]), T([[0.2]]), p)) == 0.0


def test_exposures_say_how_much_came_by_mouth():
    log_exposure, share = k.exposures(doses([0.0, 0.0], [1.0, 3.0], oral=[True, False]), T([[1.0]]))
    torch.testing.assert_close(share, torch.full_like(share, 0.25))
    expected = np.log(4.0) - np.array(k.BANK)
    np.testing.assert_allclose(log_exposure[0, 0].numpy(), np.maximum(expected, -25.0), rtol=1e-6)
