"""``ds.pk``: curves, quantiles, tables."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pbpk_hybrid._core.errors import InputError, SchemaError, UnknownNameError
from pbpk_hybrid.nca import nca


def test_plasma_and_tissues_are_read_by_name(make_simulation):
    sim = make_simulation()
    assert sim.pk.plasma.dims == ("subject", "time") and sim.pk.plasma.attrs["units"] == "mg/L"
    np.testing.assert_array_equal(sim.pk.tissue("liver"), 2 * sim.pk.plasma)


def test_unknown_tissues_are_refused_with_the_nearest_name(make_simulation):
    with pytest.raises(UnknownNameError, match="'liver'"):
        make_simulation().pk.tissue("livr")


def test_a_compartment_without_volume_has_no_concentration(make_simulation):
    with pytest.raises(InputError, match="amount"):
        make_simulation().pk.tissue("metabolised")


def test_a_dataset_of_another_kind_is_refused():
    with pytest.raises(SchemaError, match="concentration"):
        _ = xr.Dataset({"x": ("subject", [1.0])}).pk.plasma


def test_quantiles_leave_failed_subjects_out(make_simulation):
    whole, holed = make_simulation(n=9), make_simulation(n=9, failed=[2, 7])
    q = holed.pk.quantiles([0.0, 0.5, 1.0])
    assert q.dims == ("quantile", "time") and q.attrs["n_subjects"] == 7
    left = np.delete(whole.pk.plasma.values, [2, 7], axis=0)
    np.testing.assert_array_equal(q.sel(quantile=0.5), np.median(left, axis=0))
    np.testing.assert_array_equal(q.sel(quantile=1.0), left.max(axis=0))


@pytest.mark.parametrize("q", [-0.1, 1.1, [0.5, np.nan]])
def test_quantiles_outside_zero_to_one_are_refused(make_simulation, q):
    with pytest.raises(InputError, match="q"):
        make_simulation().pk.quantiles(q)


def test_quantiles_of_nobody_are_refused(make_simulation):
    with pytest.raises(InputError, match="status"):
        make_simulation(n=2, failed=[0, 1]).pk.quantiles()


def test_dataframe_has_a_row_per_subject_time_and_compartment_and_the_covariates(make_simulation):
    sim = make_simulation(n=2)
    frame = sim.pk.to_dataframe()
    assert len(frame) == 2 * 49 * 3
    assert {
        "subject",
        "time",
        "compartment",
        "concentration",
        "amount",
        "dose",
        "sex",
        "body_weight",
    } <= set(frame)
    liver = sim.pk.to_dataframe("liver")
    assert set(liver["compartment"]) == {"liver"}
    row = liver[(liver["subject"] == 1) & (liver["time"] == 4.0)]
    assert row["concentration"].item() == float(
        sim.concentration.sel(subject=1, time=4.0, compartment="liver")
    )
    with pytest.raises(UnknownNameError):
        sim.pk.to_dataframe(["plasma", "brain"])


def test_nca_through_the_accessor_is_nca(make_simulation):
    sim = make_simulation()
    xr.testing.assert_equal(
        sim.pk.nca(route="oral", compartment="liver"), nca(sim, route="oral", compartment="liver")
    )


def test_plot_through_the_accessor_draws_on_the_given_axes(make_simulation):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert make_simulation().pk.plot(ax=ax) is ax and ax.lines
