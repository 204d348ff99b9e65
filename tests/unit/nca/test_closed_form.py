"""Curves whose areas, slopes and volumes are known on paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbpk_hybrid.nca import NCAOptions, nca
from pbpk_hybrid.nca.area import segment_areas

EXACT = 1e-10  # the log rule is exact on exponentials: only rounding is left
rates = st.floats(0.01, 2.0)
volumes = st.floats(0.5, 500.0)
doses = st.floats(0.01, 5000.0)


@given(k=rates, volume=volumes, dose=doses)
@settings(max_examples=60, deadline=None)
def test_one_compartment_bolus_is_exact(k, volume, dose):
    time = np.array([0.0, 0.5, 1, 2, 3, 5, 8, 12]) / k / 2
    result = nca((time, dose / volume * np.exp(-k * time)), dose=dose, route="iv_bolus").isel(
        subject=0
    )
    expected = {
        "c0": dose / volume,
        "cmax": dose / volume,
        "tmax": 0.0,
        "lambda_z": k,
        "half_life": np.log(2) / k,
        "auc_last": dose / volume * -np.expm1(-k * time[-1]) / k,
        "auc_inf_obs": dose / volume / k,
        "auc_inf_pred": dose / volume / k,
        "aumc_inf_obs": dose / volume / k**2,
        "mrt": 1 / k,
        "cl": k * volume,
        "vz": volume,
        "vss": volume,
        "lambda_z_points": 8,
        "lambda_z_first": 0.0,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=EXACT, err_msg=name)


@given(k=rates, volume=volumes)
@settings(max_examples=30, deadline=None)
def test_bolus_without_a_sample_at_zero_is_extrapolated_back_to_the_same_numbers(k, volume):
    time = np.array([0.25, 0.5, 1, 2, 4, 6.0]) / k
    result = nca((time, 10 / volume * np.exp(-k * time)), dose=10, route="iv_bolus").isel(subject=0)
    np.testing.assert_allclose(result.c0, 10 / volume, rtol=EXACT)
    np.testing.assert_allclose(result.auc_inf_obs, 10 / volume / k, rtol=EXACT)
    np.testing.assert_allclose(result.vss, volume, rtol=EXACT)
    assert "inserted" in str(result.flag_reasons.values)


def test_a_sample_taken_just_before_the_bolus_is_replaced_by_c0():
    time = np.array([0.0, 0.25, 0.5, 1, 2, 4, 6])
    curve = np.where(time > 0, 5 * np.exp(-0.3 * time), 0.0)
    result = nca((time, curve), dose=10, route="iv_bolus").isel(subject=0)
    np.testing.assert_allclose(result.auc_inf_obs, 5 / 0.3, rtol=EXACT)


@given(k=rates, duration=st.floats(0.1, 5.0))
@settings(max_examples=30, deadline=None)
def test_mrt_of_an_infusion_is_that_of_the_drug(k, duration):
    # The rising part is not exponential: measure it finely. Linear trapezoids err by (k h)^2 / 12.
    time = np.r_[np.linspace(0, duration, 2001), duration + np.array([0.5, 1, 2, 4, 8, 12]) / k]
    curve = np.where(
        time <= duration,
        -np.expm1(-k * time),
        -np.expm1(-k * duration) * np.exp(-k * (time - duration)),
    )
    result = nca(
        (time, curve / (k * duration)), dose=1.0, route="iv_infusion", infusion_duration=duration
    ).isel(subject=0)
    np.testing.assert_allclose(result.lambda_z, k, rtol=EXACT)
    np.testing.assert_allclose(result.mrt, 1 / k, rtol=1e-4)
    np.testing.assert_allclose(result.vss, 1.0, rtol=1e-4)


def test_linear_rule_is_exact_on_straight_lines():
    time = np.array([0.0, 1, 2.5, 4])
    result = nca(
        (time, 3 + 2 * time), dose=1, route="oral", options=NCAOptions(auc_method="linear")
    ).isel(subject=0)
    np.testing.assert_allclose(result.auc_last, 3 * 4 + 4**2, rtol=EXACT)
    assert np.isnan(result.lambda_z)


@pytest.mark.parametrize("gap", [1e-12, 1e-9, 1e-6, 1e-3, 0.05, 0.0999, 0.1001, 0.5, 3.0])
def test_log_rule_keeps_its_digits_when_two_values_are_close(gap):
    """Against integrals in long double arithmetic; the naive formula loses everything below a gap of 1e-6."""
    c1, t1, dt = np.longdouble(7.3), np.longdouble(3.0), np.longdouble(1.7)
    ratio = np.log1p(np.longdouble(gap))
    c2 = c1 * np.exp(-ratio)
    s, w = np.polynomial.legendre.leggauss(24)
    s = (s.astype(np.longdouble) + 1) / 2 * dt
    curve = c1 * np.exp(-ratio * s / dt)
    weights = w.astype(np.longdouble) * dt / 2
    auc, aumc = segment_areas(
        np.array([[t1, t1 + dt]], float), np.array([[c1, c2]], float), "linear_up_log_down"
    )
    np.testing.assert_allclose(auc[0, 0], float((weights * curve).sum()), rtol=1e-14)
    np.testing.assert_allclose(aumc[0, 0], float((weights * curve * (t1 + s)).sum()), rtol=1e-13)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("linear", 0.5 * 4 + 0.5 * 6 + 0.5 * 3),
        ("linear_up_log_down", 0.5 * 4 + 2 / np.log(2) + 1 / np.log(2)),
        ("linear_log", 0.5 * 4 + 2 / np.log(2) + 1 / np.log(2)),
        ("log", 0.5 * 4 + 2 / np.log(2) + 1 / np.log(2)),
    ],
)
def test_methods_differ_where_they_should(method, expected):
    result = nca(
        (np.arange(4.0), np.array([0.0, 4, 2, 1])),
        dose=1,
        route="oral",
        options=NCAOptions(auc_method=method),
    )
    np.testing.assert_allclose(result.auc_last[0], expected, rtol=EXACT)


def test_linear_log_stays_linear_in_a_dip_before_the_peak_and_log_rises_by_log():
    time, dip = np.arange(6.0), np.array([0.0, 2, 1, 4, 2, 1])

    def auc(method):
        return float(
            nca((time, dip), dose=1, route="oral", options=NCAOptions(auc_method=method)).auc_last[
                0
            ]
        )

    down = 2 / np.log(2) + 1 / np.log(2)
    np.testing.assert_allclose(auc("linear_log"), 1 + 1.5 + 2.5 + down, rtol=EXACT)
    np.testing.assert_allclose(
        auc("linear_up_log_down"), 1 + 1 / np.log(2) + 2.5 + down, rtol=EXACT
    )
    np.testing.assert_allclose(auc("log"), 1 + 1 / np.log(2) + 3 / np.log(4) + down, rtol=EXACT)


@given(factor=st.floats(1e-6, 1e6), seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_exposure_is_proportional_to_dose_and_the_rest_does_not_change(factor, seed):
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.uniform(0.1, 2, 12))
    curve = (np.exp(-0.2 * time) - 0.9 * np.exp(-1.1 * time)) * np.exp(
        0.05 * rng.standard_normal(12)
    )
    one = nca((time, curve), dose=1.0, route="oral")
    other = nca((time, factor * curve), dose=factor, route="oral")
    for name in ("cmax", "auc_last", "auc_inf_obs", "aumc_inf_obs", "clast_pred"):
        np.testing.assert_allclose(other[name], factor * one[name], rtol=EXACT, err_msg=name)
    for name in (
        "tmax",
        "lambda_z",
        "lambda_z_points",
        "lambda_z_adj_r2",
        "mrt",
        "cl_f",
        "vz_f",
        "auc_extrapolated_obs",
    ):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-9, err_msg=name)
    np.testing.assert_array_equal(one.flags, other.flags)


@given(shift=st.floats(0.1, 500.0))
@settings(max_examples=20, deadline=None)
def test_a_later_dose_gives_the_same_numbers(shift):
    time = np.array([0.0, 0.5, 1, 2, 4, 8, 12])
    curve = 3 * np.exp(-0.2 * time)
    result = nca(
        (time + shift, curve), dose=1, options=NCAOptions(dose_time=shift), route="iv_bolus"
    )
    # adding the shift rounds the times to the spacing of doubles near 500
    np.testing.assert_allclose(result.mrt, 5.0, rtol=1e-9)
    np.testing.assert_allclose(result.tmax, 0.0, atol=1e-9)


def test_steady_state_interval_gives_the_clearance_and_mrt_of_a_single_dose():
    k, tau, volume = 0.15, 12.0, 20.0
    time = np.array([0.0, 1, 2, 4, 6, 8, 10, 12])
    curve = 100 / volume * np.exp(-k * time) / -np.expm1(-k * tau)
    r = nca(
        (time, curve), dose=100, options=NCAOptions(tau=tau, steady_state=True), route="iv_bolus"
    ).isel(subject=0)
    top, bottom = curve[0], curve[-1]
    for name, value in {
        "auc_tau": 100 / volume / k,
        "cl": k * volume,
        "vz": volume,
        "mrt": 1 / k,
        "vss": volume,
        "cavg": 100 / volume / k / tau,
        "ctrough": bottom,
        "cmin_tau": bottom,
        "swing": 100 * (top - bottom) / bottom,
        "fluctuation": 100 * (top - bottom) / (100 / volume / k / tau),
        "accumulation": 1 / -np.expm1(-k * tau),
    }.items():
        np.testing.assert_allclose(r[name], value, rtol=EXACT, err_msg=name)


@pytest.mark.parametrize("last", [9.0, 12.0, 24.0])
def test_interval_is_interpolated_or_extrapolated_to_tau(last):
    k, tau = 0.15, 10.5
    time = np.linspace(0, last, 7)
    r = nca((time, 5 * np.exp(-k * time)), options=NCAOptions(tau=tau), route="iv_bolus").isel(
        subject=0
    )
    np.testing.assert_allclose(r.ctrough, 5 * np.exp(-k * tau), rtol=EXACT)
    np.testing.assert_allclose(r.auc_tau, 5 * -np.expm1(-k * tau) / k, rtol=EXACT)
    assert ("interval extrapolated" in str(r.flag_reasons.values)) == (last < tau)


def test_steady_state_profile_without_a_sample_at_the_dose_starts_at_its_minimum():
    time, curve = np.array([1.0, 2, 4, 6, 8]), np.array([5.0, 6, 4, 3, 2])
    steady = nca(
        (time, curve),
        route="oral",
        options=NCAOptions(tau=8, steady_state=True, auc_method="linear"),
    )
    single = nca((time, curve), route="oral", options=NCAOptions(tau=8, auc_method="linear"))
    np.testing.assert_allclose(steady.auc_tau - single.auc_tau, 0.5 * 2.0 * 1.0, rtol=EXACT)
