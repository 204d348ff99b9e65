"""What a concentration-time figure shows: read back from the axes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pbpk_hybrid._core.errors import InputError, OutOfRangeWarning, SchemaError, UnknownNameError
from pbpk_hybrid.plots import time_profile, visual_predictive_check


def line(ax, label):
    (found,) = [x for x in ax.lines if x.get_label() == label]
    return found.get_xdata(), found.get_ydata()


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def test_band_is_the_median_and_the_quantiles_of_the_subjects_that_succeeded(make_simulation, ax):
    sim = make_simulation(n=21, failed=[3])
    assert time_profile(sim, ax=ax) is ax
    x, y = line(ax, "simulated median")
    good = np.delete(sim.pk.plasma.values, 3, axis=0)
    np.testing.assert_array_equal(x, sim.time)
    np.testing.assert_allclose(y, np.median(good, axis=0))
    edge = ax.collections[0].get_paths()[0].vertices
    low, high = np.quantile(good, [0.05, 0.95], axis=0)
    for t, a, b in zip(sim.time.values, low, high, strict=True):
        at = edge[edge[:, 0] == t][:, 1]
        np.testing.assert_allclose([at.min(), at.max()], [a, b], atol=1e-12)
    assert "5–95 % of n = 20" in labels(ax)


def test_axes_are_named_with_units(make_simulation, ax):
    time_profile(make_simulation(), ax=ax, compartment="liver")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time [h]", "liver concentration [mg/L]")


def test_dose_normalised_curves_are_divided_by_each_subjects_dose(make_simulation, observed, ax):
    sim = make_simulation()
    obs = observed(sim)
    sim["dose"] = sim["dose"] * 2
    time_profile(sim, obs, dose_normalise=True, ax=ax)
    np.testing.assert_allclose(
        line(ax, "simulated median")[1], np.median(sim.pk.plasma, axis=0) / 200
    )
    np.testing.assert_allclose(line(ax, "observed (n = 3)")[1], obs.value / 100)
    assert ax.get_ylabel() == "plasma concentration / dose [1/L]"


def test_dose_normalised_without_doses_is_refused(make_simulation, observed, ax):
    sim = make_simulation()
    with pytest.raises(InputError, match="dose"):
        time_profile(sim.drop_vars("dose"), dose_normalise=True, ax=ax)
    with pytest.raises(InputError, match=r"observations\.dose"):
        time_profile(sim, observed(sim).drop_vars("dose"), dose_normalise=True, ax=ax)


def test_spaghetti_draws_a_line_per_subject_and_says_how_many(make_simulation, ax):
    time_profile(make_simulation(n=7, failed=[0]), kind="spaghetti", ax=ax)
    assert len(ax.collections[0].get_segments()) == 6
    assert "6 subjects" in labels(ax)


def test_very_many_lines_are_thinned_evenly_and_it_says_so(make_simulation, ax):
    time_profile(make_simulation(n=500), kind="spaghetti", ax=ax)
    assert len(ax.collections[0].get_segments()) == 200
    assert "200 of 500 subjects" in labels(ax)


def test_one_subject_is_one_line_without_a_band(make_simulation, ax):
    time_profile(make_simulation(n=1), ax=ax)
    assert not ax.collections and labels(ax) == ["simulated"]


def test_every_observation_is_drawn_in_its_place(make_simulation, observed, ax):
    sim = make_simulation()
    obs = observed(sim)
    time_profile(sim, obs, ax=ax)
    x, y = line(ax, "observed (n = 3)")
    np.testing.assert_array_equal(x, obs.time)
    np.testing.assert_array_equal(y, obs.value)


def test_serum_counts_as_plasma_and_other_matrices_are_left_out(make_simulation, observed, ax):
    sim = make_simulation()
    obs = observed(sim)
    obs["matrix"] = ("sample", ["serum"] * 8 + ["plasma"] * 8 + ["blood"] * 8)
    time_profile(sim, obs, ax=ax)
    assert len(line(ax, "observed (n = 2)")[0]) == 16
    with pytest.raises(UnknownNameError, match="serum"):
        time_profile(sim, obs, compartment="liver", ax=ax)


def test_samples_below_quantification_are_drawn_at_their_limit_with_a_sign_of_their_own(
    make_simulation, observed, ax
):
    sim = make_simulation()
    obs = observed(sim)
    obs["lloq"] = ("sample", np.full(obs.sizes["sample"], 0.4))
    below = obs.value.values < 0.4
    time_profile(sim, obs, ax=ax)
    x, y = line(ax, "below quantification")
    assert below.any() and len(x) == below.sum() and (y == 0.4).all()


def test_means_with_a_standard_deviation_get_error_bars(make_simulation, observed, ax):
    sim = make_simulation()
    obs = observed(sim, n=1)
    obs["standard_deviation"] = ("sample", np.r_[np.nan, np.full(7, 0.2)])
    time_profile(sim, obs, ax=ax)
    assert sum(len(c.get_segments()) for c in ax.collections if hasattr(c, "get_segments")) == 7


@pytest.mark.filterwarnings("error")
def test_zero_before_the_drug_arrives_is_no_cause_for_a_warning_on_a_log_scale(
    make_simulation, observed, ax
):
    sim = make_simulation()
    obs = observed(sim)
    for kind in ("band", "spaghetti"):
        time_profile(sim, obs, log=True, kind=kind, ax=ax)
    y = ax.lines[0].get_ydata()
    assert np.isnan(y[0]) and (y[1:] > 0).all() and ax.get_yscale() == "log"


def test_zero_or_negative_values_later_are_left_out_of_a_log_scale_with_a_warning(
    make_simulation, observed, ax
):
    sim = make_simulation(n=1)
    sim["concentration"][0, 30, 0] = -1e-9
    with pytest.warns(OutOfRangeWarning, match="1 values of the plasma concentration"):
        time_profile(sim, log=True, ax=ax)
    assert np.isnan(ax.lines[0].get_ydata()[30])
    obs = observed(make_simulation())
    obs["value"][5] = 0.0
    with pytest.warns(OutOfRangeWarning, match="observations"):
        time_profile(make_simulation(), obs, log=True, ax=ax)


def test_log_axis_shows_the_decline_and_all_observations(make_simulation, observed, ax):
    sim = make_simulation(n=9)
    obs = observed(sim)
    time_profile(sim, obs, log=True, ax=ax)
    bottom, top = ax.get_ylim()
    assert (
        bottom < float(obs.value.where(obs.value > 0).min())
        and top > float(sim.pk.plasma.max()) * 0.99
    )
    assert bottom < float(sim.pk.quantiles(0.05).values[0, -1])


def test_time_axis_has_few_round_ticks(make_simulation, ax):
    time_profile(make_simulation(times=np.linspace(0, 168, 50)), ax=ax)
    ticks = [t for t in ax.get_xticks() if 0 <= t <= 168]
    assert 4 <= len(ticks) <= 9 and all(t % 12 == 0 for t in ticks)


def test_without_axes_a_new_figure_is_made(make_simulation):
    first, second = time_profile(make_simulation()), time_profile(make_simulation())
    assert first.figure is not second.figure


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"kind": "bend"}, UnknownNameError),
        ({"compartment": "plasm"}, UnknownNameError),
        ({"interval": (0.6, 0.9)}, InputError),
        ({"interval": (0.05,)}, InputError),
        ({"ax": "here"}, InputError),
        ({"compartment": "metabolised"}, InputError),
    ],
)
def test_options_that_cannot_be_drawn_are_refused(make_simulation, options, error):
    with pytest.raises(error):
        time_profile(make_simulation(), **options)


def test_data_of_another_kind_are_refused(make_simulation, ax):
    with pytest.raises(SchemaError):
        time_profile(xr.Dataset(), ax=ax)
    with pytest.raises(SchemaError, match="observations"):
        time_profile(make_simulation(), make_simulation(), ax=ax)


def test_nobody_left_to_draw_is_refused(make_simulation, ax):
    with pytest.raises(InputError, match="status"):
        time_profile(make_simulation(n=2, failed=[0, 1]), ax=ax)


def test_predictive_check_draws_the_observed_percentiles_of_each_cluster_of_times(
    make_simulation, observed, ax
):
    sim = make_simulation(n=40)
    obs = observed(sim, n=20)
    visual_predictive_check(sim, obs, ax=ax)
    x, y = line(ax, "observed median")
    np.testing.assert_array_equal(x, [0, 0.5, 1, 2, 4, 8, 12, 24])
    at_four = obs.value.values[obs.time.values == 4]
    assert y[4] == np.median(at_four)
    low = line(ax, "observed 5 % and 95 %")[1]
    assert low[4] == np.quantile(at_four, 0.05)


def test_bins_can_be_given_as_a_number_or_as_edges(make_simulation, observed, ax):
    sim = make_simulation(n=40)
    obs = observed(sim, n=20)
    visual_predictive_check(sim, obs, bins=[0, 3, 30], ax=ax)
    assert len(line(ax, "observed median")[0]) == 2
    for bad in (0, [3, 1], [1], True):
        with pytest.raises(InputError, match="bins"):
            visual_predictive_check(sim, obs, bins=bad, ax=ax)
    obs["time"] = obs["time"] + np.random.default_rng(0).uniform(
        0, 24, obs.sizes["sample"]
    )  # no clusters any more
    other = ax.figure.add_subplot()
    visual_predictive_check(sim, obs, ax=other)
    assert len(line(other, "observed median")[0]) == 8
