"""Summaries: the statistics, and how they print."""

from __future__ import annotations

import io

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from pbpk_hybrid._core.errors import UnknownNameError
from pbpk_hybrid.nca import nca
from pbpk_hybrid.results import nca_summary, nca_table, simulation_table
from pbpk_hybrid.results.tables import number


def printed(table) -> str:
    out = io.StringIO()
    Console(width=120, file=out).print(table)
    return out.getvalue()


def test_summary_is_geometric_mean_cv_median_and_percentiles():
    values = np.exp(np.random.default_rng(0).normal(1.0, 0.4, 500))
    ds = xr.Dataset({"cmax": ("subject", np.r_[values, np.nan], {"units": "mg/L"})})
    row = nca_summary(ds).loc["cmax"]
    logs = np.log(values)
    assert row["n"] == 500 and row["units"] == "mg/L"
    np.testing.assert_allclose(row["geometric_mean"], np.exp(logs.mean()))
    np.testing.assert_allclose(row["geometric_cv"], 100 * np.sqrt(np.exp(logs.var(ddof=1)) - 1))
    np.testing.assert_allclose(
        [row["p05"], row["median"], row["p95"]], np.quantile(values, [0.05, 0.5, 0.95])
    )


def test_values_that_are_not_positive_have_no_geometric_mean():
    row = nca_summary(xr.Dataset({"tmax": ("subject", [0.0, 1.0, 2.0])})).loc["tmax"]
    assert (
        np.isnan(row["geometric_mean"]) and np.isnan(row["geometric_cv"]) and row["median"] == 1.0
    )


def test_one_subject_has_no_spread_and_none_has_nothing():
    one = nca_summary(xr.Dataset({"cmax": ("subject", [2.0])})).loc["cmax"]
    assert one["geometric_mean"] == pytest.approx(2.0) and np.isnan(one["geometric_cv"])
    none = nca_summary(xr.Dataset({"cmax": ("subject", [np.nan])})).loc["cmax"]
    assert none["n"] == 0 and np.isnan(none["median"])


def test_unknown_variables_are_refused(make_simulation):
    with pytest.raises(UnknownNameError, match="half_life"):
        nca_summary(nca(make_simulation(), route="oral"), ["half_lif"])


def test_printed_table_names_parameters_units_and_flags(make_simulation):
    text = printed(nca_table(nca(make_simulation(failed=[0]), route="oral"), title="testine"))
    for word in (
        "testine",
        "Cmax",
        "mg/L",
        "AUC(0-inf)",
        "CL/F",
        "geo. mean",
        "simulation failed 1",
    ):
        assert word in text
    assert "no subject flagged" in printed(
        nca_table(nca(make_simulation(n=1, times=np.linspace(0, 48, 97)), route="oral"))
    )


def test_simulation_table_counts_failures(make_simulation):
    text = printed(simulation_table(make_simulation(failed=[0, 3])))
    assert "5, of which 2 failed" in text and "testine" in text and "1.0e-14" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (np.nan, "-"),
        (12345.6, "12346"),
        (123.4, "123"),
        (1.2345, "1.23"),
        (0.01234, "0.0123"),
        (1e-5, "1.00e-05"),
        (2.5e7, "2.50e+07"),
        (-3.14159, "-3.14"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text
