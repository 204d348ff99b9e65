"""A cohort's numbers depend on its seed alone; its store is exact, resumable, and refuses what it should."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError, StoreError, SubjectFailedWarning
from pbpk_hybrid.scale import BLOCK, Cohort, open_cohort, simulate_cohort, verify_cohort
from pbpk_hybrid.scale.store import storage_error

TIMES = [0.0, 1.0, 6.0, 24.0]


def run(store, n=BLOCK + 700, **changes):
    given = {"chunks": BLOCK, "workers": 1, "variability": ph.Variability(), **changes}
    return simulate_cohort(
        "theophylline",
        "320 mg oral",
        given.pop("cohort", Cohort(n, seed=5)),
        TIMES,
        store=store,
        **given,
    )


def equal(a, b):
    """Same variables, same bits."""
    assert set(a.variables) == set(b.variables)
    for name in a.variables:
        x, y = a[name].values, b[name].values
        assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("cohort") / "reference.zarr")


def test_the_store_is_an_ordinary_simulation(reference):
    path = reference.encoding["source"]
    ds = ph.open_results(path)
    assert ds.sizes["subject"] == BLOCK + 700
    assert list(ds["subject"].values[[0, -1]]) == [0, BLOCK + 699]
    assert ds["status"].dtype == np.int8 and (ds["status"] == 0).all()
    assert np.isfinite(ds["concentration"]).all()
    assert ds.attrs["complete"] == 1 and ds.attrs["failed_subjects"] == 0
    assert verify_cohort(path) == []


@pytest.mark.parametrize("chunks", [1, 2 * BLOCK, 10**9])
def test_numbers_do_not_depend_on_the_chunks(reference, chunks, tmp_path):
    equal(run(tmp_path / "other.zarr", chunks=chunks), reference)


def test_the_first_block_of_a_large_cohort_is_a_cohort_by_itself(reference, tmp_path):
    # and both are the people of sample_population: see tests/traps/test_random_streams.py
    small, large = run(tmp_path / "small.zarr", n=BLOCK), reference.isel(subject=slice(0, BLOCK))
    equal(small, large)


def test_numbers_do_not_depend_on_the_number_of_processes(reference, tmp_path):
    equal(run(tmp_path / "two.zarr", workers=2), reference)


def test_blocks_hold_different_people(reference):
    weights = reference["body_weight"].values
    assert not np.array_equal(weights[:700], weights[BLOCK:])


def test_a_population_that_is_there_gives_what_simulate_gives(tmp_path):
    people = ph.sample_population(50, seed=2)
    ds = ph.simulate(
        "theophylline", "320 mg oral", people, TIMES, chunks=BLOCK, store=tmp_path / "x.zarr"
    )
    whole = ph.simulate("theophylline", "320 mg oral", people, TIMES, compartments=["plasma"])
    np.testing.assert_array_equal(ds["concentration"].values, whole["concentration"].values)
    np.testing.assert_array_equal(ds["subject"].values, whole["subject"].values)


def test_a_finished_run_is_not_computed_again(reference, tmp_path, monkeypatch):
    path = tmp_path / "x.zarr"
    first = run(path).load()
    monkeypatch.setattr(
        "pbpk_hybrid.scale.run._chunk",
        lambda *a: pytest.fail("a finished chunk was computed again"),
    )
    done = []
    equal(run(path, progress=done.append), first)
    assert sum(done) == BLOCK + 700


def test_damaged_and_missing_chunks_are_found_and_computed_again(reference, tmp_path):
    path = tmp_path / "x.zarr"
    run(path)
    spoilt = path / "concentration" / "1.0.0"
    spoilt.write_bytes(spoilt.read_bytes()[:-7])  # truncated
    (path / "steps" / "0").unlink()
    assert verify_cohort(path) == [0, 1]
    equal(run(path), reference)
    assert verify_cohort(path) == []


@pytest.mark.parametrize(
    "change",
    [
        {"cohort": Cohort(BLOCK + 700, seed=6)},
        {"variability": None},
        {"compartments": ("plasma", "liver")},
        {"cohort": Cohort(BLOCK + 700, seed=5, filters={"sex": "male"})},
        {"chunks": 2 * BLOCK},
    ],
    ids=["seed", "variability", "compartments", "filters", "chunks"],
)
def test_another_run_into_the_same_store_is_refused_and_says_why(reference, change, tmp_path):
    path = tmp_path / "x.zarr"
    run(path)
    before = verify_cohort(path)
    with pytest.raises(StoreError, match="holds another run"):
        run(path, **change)
    assert verify_cohort(path) == before == []
    run(path, overwrite=True, **change)


def test_a_folder_that_is_not_ours_is_never_touched(tmp_path):
    path = tmp_path / "precious.zarr"
    path.mkdir()
    (path / "data").write_text("precious")
    with pytest.raises(StoreError, match="not an unfinished run"):
        run(path)
    assert (path / "data").read_text() == "precious"


def test_two_runs_at_once_into_one_store_are_refused(tmp_path):
    from pbpk_hybrid.scale.store import CohortStore

    with (
        CohortStore(tmp_path / "x.zarr", BLOCK, 10).lock(),
        pytest.raises(StoreError, match="another run"),
    ):
        run(tmp_path / "x.zarr", n=10)


def test_a_subject_that_fails_is_named_and_the_others_stand(tmp_path):
    options = ph.SolverOptions(max_steps=102)  # enough for most, not for all
    with pytest.warns(SubjectFailedWarning, match="could not be integrated"):
        ds = run(tmp_path / "x.zarr", n=300, options=options)
    failed = ds["status"].values != 0
    assert 0 < failed.sum() < 300 and ds.attrs["failed_subjects"] == failed.sum()
    assert (
        np.isnan(ds["concentration"].values[failed]).all()
        and np.isfinite(ds["concentration"].values[~failed]).all()
    )


def test_an_unfinished_store_is_opened_only_when_asked(tmp_path):
    path = tmp_path / "x.zarr"

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, progress=stop)
    with pytest.raises(StoreError, match="not complete"):
        open_cohort(path)
    part = open_cohort(path, partial=True)
    assert (part["status"].values[:BLOCK] == 0).all() and (
        part["status"].values[BLOCK:] == -1
    ).all()
    assert np.isnan(part["concentration"].values[BLOCK:]).all()
    assert len(list((tmp_path / "x.zarr.run").glob("chunk-*.json"))) == 1


def test_a_damaged_journal_is_reported(tmp_path):
    path = tmp_path / "x.zarr"
    run(path, n=10)
    (tmp_path / "x.zarr.run" / "run.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        run(path, n=10)
    (tmp_path / "x.zarr.run" / "chunk-000000.json").write_text(json.dumps([1]))
    run(path, n=10, overwrite=True)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"chunks": 0}, "chunks"),
        ({"cohort": 5}, "population"),
        ({"sensitivities": ["clint.liver"]}, "sensitivities"),
        ({"cohort": Cohort(5, seed=1, filters={"age": (200, 210)})}, "age"),
        ({"compartments": ("moon",)}, "compartments"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(change, name, tmp_path):
    with pytest.raises(InputError, match=name):
        run(tmp_path / "x.zarr", **change)
    assert list(tmp_path.iterdir()) == []


def test_a_cohort_of_nobody_is_refused():
    with pytest.raises(InputError, match=r"cohort\.n"):
        Cohort(0, seed=1)
    with pytest.raises(InputError, match=r"cohort\.seed"):
        Cohort(5, seed=-1)


def test_a_full_disk_is_named(tmp_path):
    import errno

    assert "disk is full" in str(
        storage_error(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
    )
