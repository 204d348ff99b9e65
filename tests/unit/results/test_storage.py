"""Files: nothing lost, nothing half written."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import xarray as xr

from pbpk_hybrid._core import limits, store_files
from pbpk_hybrid._core.errors import (
    FileFormatError,
    InputError,
    MissingDependencyError,
    SchemaError,
    StoreError,
)
from pbpk_hybrid._core.provenance import provenance
from pbpk_hybrid.nca import nca
from pbpk_hybrid.results import open_results, save_results, storage


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    """Identical in values, names, attributes and types."""
    xr.testing.assert_identical(a, b)
    for name in a.variables:
        assert a[name].dtype == b[name].dtype, name
        for key, value in a[name].attrs.items():
            np.testing.assert_array_equal(value, b[name].attrs[key])


@pytest.mark.parametrize("compression", [0, 4])
def test_simulation_comes_back_from_netcdf_as_it_was(make_simulation, tmp_path, compression):
    sim = make_simulation(failed=[1])
    path = sim.pk.save(tmp_path / "new" / "simulation.nc", compression=compression)
    same(sim, open_results(path))


def test_simulation_comes_back_from_zarr_as_it_was(make_simulation, tmp_path):
    pytest.importorskip("zarr", reason="zarr is in the extra 'scale'")
    sim = make_simulation(failed=[1])
    path = sim.pk.save(tmp_path / "simulation.zarr")
    same(sim, open_results(path))
    make_simulation(n=2).pk.save(path)  # a folder is replaced as a whole
    assert open_results(path).sizes["subject"] == 2


def test_zarr_without_zarr_says_which_extra_brings_it(make_simulation, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependencyError, match="scale"):
        make_simulation().pk.save(tmp_path / "simulation.zarr")
    assert not list(tmp_path.iterdir())


def test_provenance_and_text_beyond_ascii_survive(make_simulation, tmp_path):
    sim = make_simulation(n=2)
    sim.attrs.update(
        provenance(
            steady=True, seed=2**62, references=["Doe (2020), µg/L", "Roe (2021)"], nothing=None
        )
    )
    sim = sim.assign_coords(label=("subject", ["größer", "b"]))
    same(sim, open_results(sim.pk.save(tmp_path / "a.nc")))


def test_none_and_bool_attributes_are_made_portable_without_touching_the_original(
    make_simulation, tmp_path
):
    sim = make_simulation(n=2)
    sim.attrs.update(steady=True, missing=None)
    back = open_results(save_results(sim, tmp_path / "a.nc"))
    assert back.attrs["steady"] == 1 and "missing" not in back.attrs
    assert sim.attrs["steady"] is True and sim.attrs["missing"] is None


def test_nca_results_come_back_as_they_were(make_simulation, tmp_path):
    result = nca(make_simulation(), route="oral")
    same(result, open_results(save_results(result, tmp_path / "nca.nc"), schema=None))


def test_compression_makes_the_file_smaller(make_simulation, tmp_path):
    sim = make_simulation(n=200)
    plain = sim.pk.save(tmp_path / "plain.nc", compression=0).stat().st_size
    assert sim.pk.save(tmp_path / "small.nc", compression=4).stat().st_size < 0.8 * plain


def test_a_failed_write_leaves_the_old_file_and_no_debris(make_simulation, tmp_path, monkeypatch):
    sim = make_simulation()
    path = sim.pk.save(tmp_path / "a.nc")
    before = path.read_bytes()

    def broken(self, target, **kw):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", broken)
    # one of our errors, so that the command line does not ask for a report
    with pytest.raises(StoreError, match=r"the disk is full.*what was there is kept"):
        sim.pk.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_a_disk_that_fills_up_while_results_are_written_is_said(make_simulation, tmp_path, name):
    """The libraries' own error is "HDF error", or one of zarr's; files that may not grow stand
    for a disk without room.
    """
    resource = pytest.importorskip("resource")
    pytest.importorskip("zarr")
    sim = make_simulation()
    noise = np.random.default_rng(1).random(sim["concentration"].shape)
    sim = sim.assign(concentration=sim["concentration"] + noise)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        with pytest.raises(StoreError, match=r"MB are free.*what was there is kept"):
            sim.pk.save(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_missing_chunk_of_a_store_is_noticed_by_every_reader(
    make_simulation, tmp_path
):
    pytest.importorskip("zarr")
    path = make_simulation().pk.save(tmp_path / "a.zarr")
    chunk = next(f for f in sorted((path / "concentration").iterdir()) if f.name[0].isdigit())
    whole = chunk.read_bytes()
    for at in (len(whole) // 2, len(whole) - 1):
        spoilt = bytearray(whole)
        spoilt[at] ^= 4
        chunk.write_bytes(bytes(spoilt))
        with pytest.raises(FileFormatError, match="zarr store"):
            open_results(path)
        # another program: no error of ours, but an error
        with pytest.raises(RuntimeError), xr.open_zarr(path, consolidated=False) as ds:
            ds["concentration"].load()
    chunk.write_bytes(whole)
    assert open_results(path).sizes["subject"] == 5
    chunk.unlink()
    with pytest.raises(FileFormatError, match="1 are missing: the store is damaged"):
        open_results(path)


@pytest.mark.parametrize("name", ["a.csv", "a", "a.h5"])
def test_other_endings_are_refused(make_simulation, tmp_path, name):
    with pytest.raises(InputError, match="path"):
        make_simulation().pk.save(tmp_path / name)


@pytest.mark.parametrize("compression", [-1, 10, True, 2.5])
def test_compression_out_of_range_is_refused(make_simulation, tmp_path, compression):
    with pytest.raises(InputError, match="compression"):
        make_simulation().pk.save(tmp_path / "a.nc", compression=compression)


def test_attributes_that_netcdf_cannot_hold_are_refused_and_nothing_is_written(
    make_simulation, tmp_path
):
    sim = make_simulation()
    sim.attrs["bad"] = {"a": 1}
    with pytest.raises(InputError, match="netCDF"):
        sim.pk.save(tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_results_are_refused_by_name(tmp_path):
    with pytest.raises(FileFormatError, match=r"missing\.nc"):
        open_results(tmp_path / "missing.nc")
    text = tmp_path / "text.nc"
    text.write_text("time,concentration\n")
    with pytest.raises(FileFormatError, match=r"text\.nc"):
        open_results(text)
    other = tmp_path / "other.nc"
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(other, engine="netcdf4")
    with pytest.raises(SchemaError, match="concentration"):
        open_results(other)
    assert float(open_results(other, schema=None).x[0]) == 1.0


def test_saving_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="Dataset"):
        storage.save_results([1, 2], tmp_path / "a.nc")


@pytest.mark.parametrize("ending", ["nc", "zarr"])
@pytest.mark.parametrize("fill", [0.0, np.nan, 1.25], ids=["zeros", "nothing but NaN", "constant"])
def test_a_large_result_that_packs_well_is_no_bomb(ending, fill, make_simulation, tmp_path):
    """72 MB of the same number: more than a file may always unpack to, and as small on disk as our own files get."""
    if ending == "zarr":
        pytest.importorskip("zarr", reason="zarr is in the extra 'scale'")
    sim = make_simulation(n=1000, times=np.linspace(0, 300, 1501))
    sim["amount"] = sim["amount"].copy(data=np.full(sim["amount"].shape, fill))
    sim["concentration"] = sim["concentration"].copy(data=np.full(sim["amount"].shape, fill))
    assert sim.nbytes > 64 * 1024**2
    path = sim.pk.save(tmp_path / f"large.{ending}")
    back = open_results(path)
    assert back.sizes == sim.sizes
    np.testing.assert_array_equal(back["amount"].values[::100], sim["amount"].values[::100])


def test_the_limit_of_what_a_small_file_may_unpack_to(tmp_path, monkeypatch):
    """Just within and just beyond: 512 MiB at any rate, otherwise 400 times the file."""
    path = tmp_path / "a.nc"
    xr.Dataset({"x": ("y", np.zeros(100_000))}).to_netcdf(
        path, engine="netcdf4", encoding={"x": {"zlib": True}}
    )
    monkeypatch.setattr(store_files, "FREE", 500_000)
    size = path.stat().st_size
    monkeypatch.setenv("PBPK_HYBRID_LIMIT_RESULTS_RATIO", str(800_000 // size + 1))
    assert open_results(path, schema=None).sizes == {"y": 100_000}
    monkeypatch.setenv("PBPK_HYBRID_LIMIT_RESULTS_RATIO", str(800_000 // size))
    with pytest.raises(FileFormatError, match=f"it has {size} bytes"):
        open_results(path, schema=None)
    monkeypatch.undo()
    assert store_files.FREE == 512 * 1024**2
    assert limits.LIMITS["results_ratio"].value == 400
