"""Samples below quantification, missing samples, choice of the terminal window, flags."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid.nca import Flag, NCAOptions, nca

TIME = np.array([0.0, 1, 2, 3, 4, 6, 8, 10])


def one(time, concentration, **kw):
    kw.setdefault("route", "oral")
    options = NCAOptions(**kw.pop("options", {}))
    return nca(
        (np.asarray(time, float), np.asarray(concentration, float)), options=options, **kw
    ).isel(subject=0)


def has(result, flag):
    return bool(int(result.flags) & flag)


def test_first_and_last_blq_are_kept_as_zero_and_middle_ones_dropped():
    with_blq = one(TIME, [0, 0.05, 4, 3, 0.05, 1.0, 0.5, 0.05], lloq=0.1)
    by_hand = one([0, 1, 2, 3, 6, 8], [0, 0, 4, 3, 1.0, 0.5])
    for name in ("auc_last", "lambda_z", "tlast", "auc_inf_obs"):
        assert float(with_blq[name]) == float(by_hand[name])
    assert float(with_blq.tlast) == 8


def test_blq_rules_can_be_changed():
    values = [0, 0.05, 4, 3, 0.05, 1.0, 0.5, 0.05]
    kept = one(TIME, values, lloq=0.1, options={"blq_middle": "keep", "auc_method": "linear"})
    assert float(kept.auc_last) == 0.5 * 4 + 3.5 + 1.5 + 1.0 + 1.5
    dropped = one(TIME, values, lloq=0.1, options={"blq_first": "drop", "auc_method": "linear"})
    # without its zeros before the first value the profile starts from the 0 put in at the dose
    assert float(dropped.auc_last) == 0.5 * 2 * 4 + 3.5 + 0.5 * 3 * 4 + 1.5


def test_missing_samples_are_left_out_wherever_they_are():
    sparse = one(TIME, [np.nan, 1, np.nan, 3, 2, np.nan, 0.5, np.nan])
    dense = one([1, 3, 4, 8], [1, 3, 2, 0.5])
    for name in sparse.data_vars:
        if sparse[name].dtype.kind == "f":  # another width, another order of summation
            np.testing.assert_allclose(sparse[name], dense[name], rtol=1e-13, err_msg=name)
        else:
            assert sparse[name].values == dense[name].values, name


def test_subjects_with_different_times_do_not_touch_each_other():
    rng = np.random.default_rng(3)
    time = np.cumsum(rng.uniform(0.2, 2, (9, 10)), axis=1)
    curve = np.exp(-0.2 * time) * np.exp(0.1 * rng.standard_normal((9, 10)))
    curve[rng.random((9, 10)) < 0.2] = np.nan
    together = nca((time, curve), dose=np.arange(1.0, 10), route="iv_bolus")
    for i in range(9):
        alone = nca((time[i], curve[i]), dose=float(i + 1), route="iv_bolus")
        for name in together.data_vars:
            if together[name].dtype.kind == "f":  # another shape, another order of summation
                np.testing.assert_allclose(
                    together[name][i], alone[name][0], rtol=1e-12, err_msg=name
                )
            else:
                assert together[name].values[i] == alone[name].values[0], name


def test_more_subjects_than_one_block_give_the_same_numbers():
    rng = np.random.default_rng(1)
    time = np.linspace(0, 10, 9)
    curve = np.exp(-rng.uniform(0.1, 0.5, (4500, 1)) * time)
    result = nca((time, curve), route="iv_bolus")
    np.testing.assert_array_equal(
        result.isel(subject=slice(4400, None)).auc_last,
        nca((time, curve[4400:]), route="iv_bolus").auc_last,
    )


def test_the_first_of_two_equal_maxima_is_tmax():
    assert float(one(TIME, [0, 4, 4, 3, 2, 1, 0.5, 0.2]).tmax) == 1


def test_terminal_window_leaves_out_tmax_except_after_a_bolus():
    values = [8.0, 4, 2, 1]
    assert np.isnan(one(range(3), values[:3]).lambda_z)
    assert int(one(range(4), values).lambda_z_points) == 3
    assert int(one(range(4), values, route="iv_bolus").lambda_z_points) == 4
    assert int(one(range(4), values, options={"include_tmax": True}).lambda_z_points) == 4
    assert (
        int(
            one(
                range(5), [*values, 0.5], route="iv_bolus", options={"include_tmax": False}
            ).lambda_z_points
        )
        == 4
    )


def test_of_windows_equal_within_the_factor_the_longest_wins():
    # conc 1, .5, .25, .1251 and its two half-lives: expected values of PKNCA's own tests of this rule
    values, times = [1, 0.5, 0.25, 0.1251], range(4)
    loose = one(times, values, options={"include_tmax": True, "adj_r2_factor": 0.1})
    assert f"{float(loose.half_life):.6f}" == "1.000346"
    assert f"{float(loose.lambda_z):.7f}" == "0.6929073"
    assert f"{float(loose.clast_pred):.5f}" == "0.12507"
    assert f"{float(loose.span_ratio):.6f}" == "2.998962"
    assert f"{float(one(times, values).half_life):.6f}" == "1.000577"


def test_a_noisy_distribution_phase_stays_out_of_the_window():
    time = np.array([0.0, 0.5, 1, 2, 4, 8, 12, 16, 20, 24])
    curve = 20 * np.exp(-2 * time) + np.exp(-0.1 * time)
    result = one(time, curve, route="iv_bolus")
    assert float(result.lambda_z_first) >= 4
    np.testing.assert_allclose(
        result.lambda_z, 0.1, rtol=0.01
    )  # what is left of the fast phase at 4 h


def test_given_range_is_fitted_as_a_whole():
    curve = 3 * np.exp(-0.3 * TIME)
    curve[-1] *= 2  # a last sample that one would leave out by hand
    result = one(TIME, curve, options={"lambda_z_range": (2.0, 8.0)})
    np.testing.assert_allclose(result.lambda_z, 0.3, rtol=1e-10)
    assert (
        float(result.lambda_z_first),
        float(result.lambda_z_last),
        int(result.lambda_z_points),
    ) == (2, 8, 5)
    assert float(result.clast_pred) == pytest.approx(3 * np.exp(-3), rel=1e-10)


def test_every_doubt_is_flagged():
    t4 = range(5)
    assert has(one(t4, [0, 1, 2, 3, 4]), Flag.TOO_FEW_POINTS)
    assert has(one(t4, [0, 9, 1, 2, 4]), Flag.NO_DECLINE)
    assert has(one(t4, [0, 9, 3, 5, 2.5]), Flag.LOW_ADJ_R2)
    short = one(t4, [0, 9, 8, 7.1, 6.3])
    assert has(short, Flag.SHORT_SPAN) and has(short, Flag.HIGH_EXTRAPOLATION)
    assert has(one(t4, [0, 0.01, 0.02, 0.01, 0], lloq=0.1), Flag.ALL_BELOW_LLOQ)
    assert has(one(t4, [np.nan] * 5), Flag.NO_DATA)
    assert has(one(t4, [0, 9, 3, 1, -1e-9]), Flag.NEGATIVE_VALUE)
    assert has(one([1, 2, 3, 4], [1, 2, 1.5, 1], route="iv_bolus"), Flag.C0_IS_FIRST_VALUE)
    clean = one(TIME, np.r_[0, 10 * np.exp(-0.8 * TIME[1:])])
    assert int(clean.flags) == 0 and str(clean.flag_reasons.values) == ""


def test_limits_of_the_flags_can_be_moved():
    values = [0, 9, 8, 7.1, 6.3]
    loose = one(range(5), values, options={"min_span_ratio": 0.0, "max_extrapolated": 100.0})
    assert int(loose.flags) == 0


def test_nothing_quantifiable_gives_zero_exposure_and_nothing_measured_gives_nan():
    blq = one(range(4), [0, 0, 0, 0])
    assert (
        float(blq.cmax) == 0
        and float(blq.auc_last) == 0
        and np.isnan(blq.tmax)
        and np.isnan(blq.auc_inf_obs)
    )
    none = one(range(4), [np.nan] * 4)
    assert np.isnan(none.cmax) and np.isnan(none.auc_last)


def test_every_variable_has_units_and_a_long_name():
    result = nca((TIME, np.exp(-TIME)), dose=1, options=NCAOptions(tau=8.0), route="iv_bolus")
    for name, values in result.data_vars.items():
        assert "units" in values.attrs and values.attrs["long_name"], name
    assert (
        result.attrs["auc_method"] == "linear_up_log_down" and result.attrs["route"] == "iv_bolus"
    )


def test_parameters_that_need_a_dose_are_left_out_without_one_and_follow_the_route():
    curve = (TIME, np.exp(-TIME))
    assert "cl" not in nca(curve, route="iv_bolus")
    assert {"cl", "vz", "vss", "c0"} <= set(nca(curve, dose=1, route="iv_bolus").data_vars)
    oral = nca(curve, dose=1, route="oral")
    assert {"cl_f", "vz_f"} <= set(oral.data_vars) and not {"cl", "vss", "c0"} & set(oral.data_vars)
