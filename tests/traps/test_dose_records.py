"""What was given stands beside the curves: every dose, its route, length and amount, of every subject."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.absorption import GutAbsorption
from pbpk_hybrid.results import dose_records, open_results, save_results

R = ph.Regimen
TIMES = (0.0, 1.0, 50.0)


@pytest.fixture(scope="module")
def people() -> xr.Dataset:
    return ph.sample_population(3, seed=1)


def run(regimen, people, times=TIMES, drug="midazolam", **more) -> xr.Dataset:
    return ph.simulate(drug, regimen, people, times, compartments=["plasma"], **more)


def test_a_shared_regimen_is_kept_once_whatever_the_number_of_subjects(people):
    ds = run("5 mg iv over 2 h q24h x3", people)
    columns = [v for v in ds.variables if str(v).startswith("dose_")]
    assert all(ds[v].dims == ("dose_record",) for v in columns)
    assert ds["dose_time"].values.tolist() == [0.0, 24.0, 48.0]
    r = dose_records(ds)
    assert r.time.shape == (3, 3) and r.given.all()
    assert (r.amount == 5.0).all() and (r.duration == 2.0).all()
    assert (r.route == "iv_infusion").all() and (r.bioavailability == 1.0).all()
    assert r.end[2].tolist() == [2.0, 26.0, 50.0]
    assert float(ds["dose"][0]) == 5.0  # the first dose stays where it was


def test_doses_after_the_last_time_are_left_out(people):
    assert run("5 mg oral q24h x3", people, (0.0, 30.0))["dose_time"].values.tolist() == [0.0, 24.0]


def test_doses_per_kg_are_in_mg_of_each_subject(people):
    r = dose_records(run("2 mg/kg oral q12h x2", people))
    np.testing.assert_allclose(r.amount, 2 * people["body_weight"].values[:, None] * np.ones(2))
    assert r.time.tolist() == [[0.0, 12.0]] * 3


def test_an_infusion_of_given_rate_lasts_as_long_as_each_subject_needs(people):
    """1 mg/kg at 20 mg/h with half of it lost: F D/R, as NONMEM has it."""
    regimen = R.infusion("1 mg/kg", rate="20 mg/h", bioavailability=0.5)
    r = dose_records(run(regimen, people))
    weight = people["body_weight"].values
    np.testing.assert_allclose(r.duration[:, 0], 0.5 * weight / 20)
    np.testing.assert_allclose(r.amount[:, 0], weight)  # as given
    assert (r.bioavailability == 0.5).all()


def test_additional_doses_are_written_out_and_a_reset_cancels_the_rest(people):
    regimen = R.oral("10 mg", interval=12, additional_doses=5) + R.reset(30.0)
    r = dose_records(run(regimen + R.bolus("1 mg", 40.0, reset=True), people))
    assert r.time[0].tolist() == [0.0, 12.0, 24.0, 30.0, 40.0]
    assert r.amount[0].tolist() == [10.0, 10.0, 10.0, 0.0, 1.0]
    assert r.reset[0].tolist() == [0, 0, 0, 1, 1]
    assert r.given[0].tolist() == [True, True, True, False, True]
    assert r.route[0].tolist() == ["oral", "oral", "oral", "", "iv_bolus"]


def test_steady_state_records_say_their_interval_and_their_additional_doses_do_not(people):
    regimen = R.oral("10 mg", interval=8, additional_doses=2, steady_state=1)
    r = dose_records(run(regimen, people))
    assert r.time[0].tolist() == [0.0, 8.0, 16.0]
    assert r.steady_state[0].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(r.interval[0], [8.0, np.nan, np.nan])


def test_lag_moves_the_dose_and_not_the_record(people):
    r = dose_records(
        run(R.infusion("10 mg", 2.0, lag=0.5, interval=12, additional_doses=1), people)
    )
    assert r.time[0].tolist() == [0.0, 12.0]
    assert r.end[0].tolist() == [2.5, 14.5]


def test_subjects_of_one_call_keep_their_own_doses(people):
    """q8h, q24h and one dose into a compartment: nobody takes the records of the first."""
    own = [
        R.oral("10 mg").repeat(8, 3),
        R.bolus("3 mg", 1.0).repeat(24, 2),
        R.dose("4 mg", 2.0, compartment="muscle"),
    ]
    r = dose_records(run(R.per_subject(own) + R.oral("7 mg", 40.0), people))
    assert r.time[0].tolist() == [0.0, 8.0, 16.0, 40.0]
    np.testing.assert_array_equal(r.time[1], [1.0, 25.0, 40.0, np.nan])
    np.testing.assert_array_equal(r.time[2], [2.0, 40.0, np.nan, np.nan])
    np.testing.assert_array_equal(r.amount[1], [3.0, 3.0, 7.0, np.nan])
    assert r.route[2].tolist() == ["compartment", "oral", "", ""]
    assert r.compartment[2].tolist() == ["muscle", "", "", ""]
    assert r.given.sum(axis=1).tolist() == [4, 3, 2]


def test_subjects_with_labels_of_their_own_are_matched_by_label(people):
    labelled = people.assign_coords(subject=[30, 10, 20])
    regimen = R.per_subject([R.oral("1 mg"), R.oral("2 mg", 5.0), R.oral("3 mg")], [10, 20, 30])
    r = dose_records(run(regimen, labelled))
    assert r.amount[:, 0].tolist() == [3.0, 1.0, 2.0]
    assert r.time[:, 0].tolist() == [0.0, 0.0, 5.0]


def test_a_formulation_leaves_the_dose_as_it_was_given(people):
    gut = GutAbsorption(formulation="weibull", release_time=4.0, effective_permeability=5.0)
    r = dose_records(run("7.5 mg oral q24h x2", people, absorption=gut))
    assert r.amount[0].tolist() == [7.5, 7.5] and r.route[0].tolist() == ["oral", "oral"]
    assert r.duration[0].tolist() == [0.0, 0.0]


def test_compounds_given_together_have_their_names(people):
    ds = ph.simulate_together(
        {"midazolam": "7.5 mg oral", "theophylline": "400 mg iv over 1 h q24h x2"},
        people,
        TIMES,
        compartments=["midazolam:plasma", "theophylline:plasma"],
    )
    r = dose_records(ds)
    assert r.compounds == ("midazolam", "theophylline")
    assert r.compound[0].tolist() == ["midazolam", "theophylline", "theophylline"]
    assert r.route[0].tolist() == ["oral", "iv_infusion", "iv_infusion"]
    assert (r.compartment == "").all()  # as given, not the state that it was sent to
    mine = r.of("theophylline")
    assert mine.present[0].tolist() == [False, True, True]
    assert mine.amount[mine.given].tolist() == [400.0] * 6
    assert ds["auc_compartment"].values.tolist() == ["midazolam:plasma", "theophylline:plasma"]


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
@pytest.mark.parametrize(
    "regimen",
    ["5 mg iv q24h x2", "0.1 mg/kg oral q12h x3", "5 mg oral q12h ss", "own", "none"],
)
def test_records_and_areas_come_back_from_files_as_they_were(people, tmp_path, ending, regimen):
    if ending == ".zarr":
        pytest.importorskip("zarr")
    if regimen == "own":
        regimen = R.per_subject([R.oral("1 mg").repeat(8, 3), R.bolus("2 mg"), R.empty()])
    ds = run(R.empty() if regimen == "none" else regimen, people)
    save_results(ds, tmp_path / f"x{ending}")
    again = open_results(tmp_path / f"x{ending}")
    for name in ds.variables:
        assert again[name].dims == ds[name].dims, name
        np.testing.assert_array_equal(again[name].values, ds[name].values, err_msg=str(name))
    assert dose_records(again).time.shape == dose_records(ds).time.shape


def test_chunks_of_a_cohort_keep_records_and_areas(tmp_path):
    pytest.importorskip("zarr")
    from pbpk_hybrid.scale import Cohort, open_cohort

    keywords = dict(times=(0.0, 1.0, 30.0), compartments=["plasma"])
    cohort = Cohort(2100, seed=4)
    made = ph.simulate(
        "midazolam",
        "0.1 mg/kg iv q24h x2",
        cohort,
        chunks=2000,
        store=str(tmp_path / "x.zarr"),
        **keywords,
    )
    del made
    ds = open_cohort(tmp_path / "x.zarr")
    r = dose_records(ds)
    np.testing.assert_allclose(r.amount[:, 1], 0.1 * ds["body_weight"].values)
    assert ds["dose_time"].dims == ("dose_record",) and ds["dose_time"].values.tolist() == [0, 24]
    people = cohort.people(1)
    # a block names its own seed; the variability of the cohort is drawn from the cohort's
    alone = ph.simulate("midazolam", "0.1 mg/kg iv q24h x2", people, seed=4, **keywords)
    np.testing.assert_allclose(
        ds["cumulative_auc"].values[2000:], alone["cumulative_auc"].values, rtol=1e-9
    )


def test_a_dataset_without_records_is_told_apart(make_bare):
    with pytest.raises(ph.PBPKError, match=r"dose_record.*give dose and route yourself") as caught:
        dose_records(make_bare)
    assert type(caught.value).__name__ == "SchemaError"


@pytest.fixture
def make_bare(people):
    ds = run("5 mg iv", people)
    return ds.drop_vars([v for v in ds.variables if str(v).startswith("dose_")])
