"""Populations, analyses and forecasts over chunks: the numbers of the whole, for any chunking, resumed after a stop."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError, SchemaError, StoreError, UnknownNameError
from pbpk_hybrid.scale import (
    BLOCK,
    Cohort,
    draw_cohort,
    forecast_cohort,
    nca_cohort,
    simulate_cohort,
)

N = BLOCK + 300
TIMES = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0]


@pytest.fixture(scope="module")
def simulation(tmp_path_factory):
    path = tmp_path_factory.mktemp("work") / "simulation.zarr"
    simulate_cohort(
        "theophylline", "320 mg oral", Cohort(N, seed=3), TIMES, store=path, chunks=BLOCK, workers=1
    )
    return path


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    assert set(a.data_vars) == set(b.data_vars)
    for name in a.data_vars:
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


def test_a_drawn_population_is_the_one_that_is_simulated(simulation, tmp_path):
    people = draw_cohort(Cohort(N, seed=3), store=tmp_path / "people.zarr", chunks=BLOCK, workers=1)
    simulated = ph.open_results(simulation)
    np.testing.assert_array_equal(people["body_weight"].values, simulated["body_weight"].values)
    ph.check_physiology(people.load())
    assert set(people["sex"].values) == {"female", "male"}
    same(
        people,
        draw_cohort(Cohort(N, seed=3), store=tmp_path / "other.zarr", chunks=10**6, workers=1),
    )


def test_an_analysis_of_a_store_is_that_of_its_simulation(simulation, tmp_path):
    whole = ph.nca(ph.open_results(simulation), route="oral")
    result = nca_cohort(simulation, store=tmp_path / "nca.zarr", chunks=BLOCK, workers=1)
    same(result, whole.drop_vars("flag_reasons"))
    doses = np.linspace(100.0, 300.0, N)
    with pytest.raises(InputError, match="dose of the records, 320 mg"):  # it knows what was given
        nca_cohort(simulation, doses, store=tmp_path / "doses.zarr", chunks=BLOCK, workers=1)


def test_a_stopped_analysis_is_finished_and_another_one_is_refused(simulation, tmp_path):
    def stop(done):
        raise KeyboardInterrupt

    store = tmp_path / "nca.zarr"
    with pytest.raises(KeyboardInterrupt):
        nca_cohort(simulation, None, "oral", store=store, chunks=BLOCK, workers=1, progress=stop)
    with pytest.raises(StoreError, match="route"):
        nca_cohort(simulation, store=store, chunks=BLOCK, workers=1)
    done = []
    result = nca_cohort(
        simulation, None, "oral", store=store, chunks=BLOCK, workers=1, progress=done.append
    )
    assert done == [BLOCK, N - BLOCK]
    same(result, ph.nca(ph.open_results(simulation), route="oral").drop_vars("flag_reasons"))


def test_bad_input_to_an_analysis_is_named(simulation, tmp_path):
    with pytest.raises(InputError, match="one for each"):
        nca_cohort(simulation, [1.0, 2.0], store=tmp_path / "a.zarr")
    with pytest.raises(StoreError):
        nca_cohort(tmp_path / "nothing.zarr", 1.0, store=tmp_path / "a.zarr")
    draw_cohort(Cohort(5, seed=3), store=tmp_path / "people.zarr", workers=1)
    with pytest.raises(SchemaError, match="simulation"):
        nca_cohort(tmp_path / "people.zarr", 1.0, store=tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()


def test_people_of_the_diffusion_model_are_drawn_block_by_block(tmp_path):
    pytest.importorskip("torch")
    women = Cohort(BLOCK + 50, seed=4, filters={"sex": "female", "age": (60, 80)}, generator="pcdm")
    people = draw_cohort(women, store=tmp_path / "a.zarr", chunks=BLOCK, workers=1)
    assert (
        (people["sex"].values == "female").all()
        and people["age"].min() >= 60
        and people["age"].max() <= 80
    )
    assert len(np.unique(people["volume"].sel(organ="liver").values)) == BLOCK + 50
    assert 0 < people.attrs["probability"] <= 1
    whole = Cohort(BLOCK, seed=4, filters=women.filters, generator="pcdm").people(0)
    np.testing.assert_array_equal(whole["volume"].values, people["volume"].values[:BLOCK])
    result = ph.simulate(
        "theophylline",
        "320 mg oral",
        whole.isel(subject=slice(30)),
        [0.0, 4.0],
        compartments=("plasma",),
    )
    assert np.isfinite(result["concentration"].values).all()


def test_a_generator_that_does_not_exist_or_does_not_fit_is_named():
    with pytest.raises(UnknownNameError, match="pcdm"):
        Cohort(5, seed=1, generator="pcmd")
    with pytest.raises(InputError, match="species"):
        Cohort(5, seed=1, species="rat", generator="pcdm")


def test_forecasts_over_chunks_are_those_of_one_call(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from pbpk_hybrid.learn import Forecaster
    from pbpk_hybrid.scale import forecasting, run

    # small blocks, so that there are several
    monkeypatch.setattr(run, "BLOCK", 4)
    monkeypatch.setattr(forecasting, "BLOCK", 4)
    n = 10
    regimen = ph.Regimen.per_subject([ph.Regimen.oral(100.0 + 10 * i) for i in range(n)])
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(n - 1), 2)  # the last patient has no sample
    samples = xr.Dataset(
        {
            "subject": ("sample", who.astype(str)),
            "time": ("sample", np.tile([1.0, 4.0], n - 1), {"units": "h"}),
            "value": ("sample", rng.uniform(1, 3, who.size), {"units": "mg/L"}),
            "matrix": ("sample", np.full(who.size, "plasma")),
            "study": ("sample", np.full(who.size, "a")),
            "reference": ("sample", np.full(who.size, "b")),
            "censored": ("sample", np.zeros(who.size, int)),
        }
    )
    people = xr.Dataset(
        {
            "species": ("subject", np.full(n, "human")),
            "body_weight": ("subject", np.linspace(50, 90, n), {"units": "kg"}),
        },
        {"subject": np.arange(n).astype(str)},
    )
    grid = [2.0, 8.0, 24.0]
    result = forecast_cohort(
        samples, regimen, people, times=grid, store=tmp_path / "f.zarr", chunks=4, workers=1
    )
    whole = Forecaster.load().forecast(samples, regimen, people, times=grid)
    # a network's sums are rounded differently when other patients are worked out beside one
    np.testing.assert_allclose(
        result["concentration"].values, whole["concentration"].values, rtol=1e-4
    )
    assert result["concentration_quantile"].shape == (n, 3, 1, 5)
    same(
        result,
        forecast_cohort(
            samples, regimen, people, times=grid, store=tmp_path / "g.zarr", chunks=100, workers=1
        ),
    )
    with pytest.raises(InputError, match=r"observation\.subject"):
        forecast_cohort(
            samples,
            regimen,
            people.isel(subject=slice(0, 3)),
            times=grid,
            store=tmp_path / "h.zarr",
        )
