"""Amounts and concentrations of a large result are worked out when they are read."""

import pickle

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid._core import schemas
from pbpk_hybrid.models.effects import with_indirect_response
from pbpk_hybrid.simulation import derived


@pytest.fixture(scope="module")
def run():
    """A simulation as what is worked out on reading (large=True) or as arrays."""
    model = ph.whole_body_system(ph.get_compound("theophylline"), ph.sample_population(9, seed=1))
    model = with_indirect_response(model, "inhibit_loss", kin=10, kout=0.2, maximum=0.9, half=5)

    def simulate(large):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(derived, "LARGE", 0 if large else derived.LARGE)
            return ph.simulate_system(model, "320 mg oral", range(25))

    return simulate


@pytest.fixture
def pair(run):
    return run(large=False), run(large=True)


def test_it_is_the_same_result(pair):
    plain, lazy = pair
    assert plain["amount"]._in_memory and not lazy["amount"]._in_memory
    for name in plain.variables:
        xr.testing.assert_identical(plain[name], lazy[name])


@pytest.mark.parametrize(
    "part",
    [
        {"compartment": 3},
        {"compartment": -1, "time": slice(2, 20, 3)},
        {"subject": [5, 1, 7], "compartment": [2, 0, 2]},
        {"subject": slice(None, None, -2), "time": -1},
        {"subject": 4, "time": 5, "compartment": 6},
        {"time": slice(3, 3)},
    ],
)
def test_parts_are_parts_of_the_whole(pair, part):
    plain, lazy = pair
    for name in ("amount", "concentration"):
        xr.testing.assert_identical(plain[name].isel(part), lazy[name].copy().isel(part))


def test_labels_masks_and_arithmetic_work(pair):
    plain, lazy = pair
    of = lambda ds: ds["concentration"].sel(compartment="plasma").max("time") / ds["amount"].sum()
    xr.testing.assert_identical(of(plain), of(lazy))
    xr.testing.assert_identical(
        plain["amount"].where(plain["amount"] > 1), lazy["amount"].where(lazy["amount"] > 1)
    )


def test_writing_into_one_leaves_the_other_alone(pair):
    _, lazy = pair
    copy = lazy.copy(deep=True)
    copy["amount"][0, 3, 0] = -5.0
    copy["concentration"].values[1, 3, 0] = -7.0
    assert copy["amount"][0, 3, 0] == -5.0 and copy["concentration"][1, 3, 0] == -7.0
    assert copy["concentration"][0, 3, 0] >= 0 and copy["amount"][1, 3, 0] >= 0
    assert lazy["amount"][0, 3, 0] >= 0 and lazy["concentration"][1, 3, 0] >= 0


def test_it_goes_to_other_processes_and_files(pair, tmp_path):
    plain, lazy = pair
    assert pickle.loads(pickle.dumps(lazy)).identical(plain.assign_attrs(lazy.attrs))
    back = ph.open_results(lazy.pk.save(tmp_path / "a.nc"))
    assert back.drop_attrs().identical(plain.drop_attrs())


def test_a_look_at_plasma_does_not_work_out_the_rest(pair, monkeypatch):
    monkeypatch.setattr(schemas, "_PIECE", 1000)  # as if the result were large
    lazy = pair[1]
    assert np.isfinite(lazy.pk.plasma.values).all() and (lazy.pk.nca()["cmax"] > 0).all()
    assert not lazy["concentration"]._in_memory and not lazy["amount"]._in_memory


def test_compartments_of_one_sum_are_kept_once(pair):
    lazy = pair[1]
    sums = lazy["amount"].variable._data.array.array.array.sums
    assert sums.shape[2] < lazy.sizes["compartment"]
    same = lazy["amount"].sel(compartment=["plasma", "blood", "venous_blood"]).values
    assert (same[:, :, 0] == same[:, :, 1]).all() and (same[:, :, 0] == same[:, :, 2]).all()
