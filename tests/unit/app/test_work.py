"""What the page computes, without a browser."""

from __future__ import annotations

import io

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid.app.work import (
    MOST_SUBJECTS,
    Choice,
    forecast_pasted,
    scale_from_animals,
    simulate_choice,
)


@pytest.fixture(scope="module")
def study():
    return simulate_choice(Choice("theophylline", "320 mg oral", subjects=20, age="20-50"))


def test_a_choice_gives_curves_an_analysis_and_published_samples(study):
    assert study.simulation.sizes["subject"] == 20 and (study.simulation["status"] == 0).all()
    assert study.observed is not None and study.observed.sizes["sample"] > 50
    table = study.table()
    assert 3 < table.loc["cmax", "median"] < 20
    assert len(study.figure().axes) == 2


def test_downloads_hold_what_was_simulated(study, tmp_path):
    (tmp_path / "x.nc").write_bytes(study.netcdf())
    with xr.open_dataset(tmp_path / "x.nc", decode_timedelta=False) as again:
        np.testing.assert_allclose(again["concentration"], study.simulation["concentration"])
    assert study.csv().decode().count("\n") == 21
    assert study.png().startswith(b"\x89PNG")


def test_the_numbers_are_those_of_a_script(study):
    people = ph.sample_population(20, seed=1, age=(20, 50))
    times = study.simulation["time"].values  # the common grid, up to the hours that were asked for
    assert times[-1] == 24.0
    same = ph.simulate(
        "theophylline",
        "320 mg oral",
        people,
        times,
        compartments=("plasma",),
        variability=ph.Variability(),
        seed=1,
    )
    np.testing.assert_array_equal(same["concentration"], study.simulation["concentration"])


def test_repeated_doses_are_analysed_by_interval():
    study = simulate_choice(Choice("theophylline", "200 mg oral q12h x3", subjects=3, hours=36.0))
    assert study.analysis.sizes["interval"] == 3
    # the table is of the last interval, and no accumulated area stands over one dose
    table = study.table()
    assert table.loc["auc_tau", "n"] == 3 and "auc_inf_obs" not in table.index
    np.testing.assert_allclose(
        table.loc["auc_tau", "median"], study.analysis.auc_tau[:, -1].median(), rtol=1e-12
    )
    assert io.BytesIO(study.csv()).readline().decode().startswith("subject,interval,cmax")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subjects": 0}, "subjects"),
        ({"subjects": MOST_SUBJECTS + 1}, "subjects"),
        ({"hours": 0.0}, "hours"),
        ({"compound": "theofylline"}, "Theophylline"),
        ({"dose": "much"}, "much"),
        ({"age": "old"}, "age"),
    ],
)
def test_bad_input_is_named(change, field):
    with pytest.raises(ph.PBPKError, match=field):
        simulate_choice(Choice(**({"compound": "theophylline", "dose": "320 mg oral"} | change)))


def test_pasted_samples_are_forecast():
    pytest.importorskip("torch")
    ahead = forecast_pasted("1, 7.1\n4; 6.0\n9\t4.2", "320 mg oral", 75.0, 24.0)
    assert (ahead["concentration_quantile"].diff("quantile") >= 0).all()
    with pytest.raises(ph.InputError, match="line 2"):
        forecast_pasted("1, 7.1\nsoon, 3", "320 mg oral", 75.0, 24.0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_animals_are_scaled():
    pytest.importorskip("torch_geometric")
    table = scale_from_animals("rat: clearance=35 mL/min/kg\nmonkey: clearance=12 mL/min/kg")
    assert (
        table.loc["clearance", "lower"]
        < table.loc["clearance", "value"]
        < table.loc["clearance", "upper"]
    )
    with pytest.raises(ph.InputError):
        scale_from_animals("")
