"""Checkpoints come back as they were, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import CheckpointError
from pbpk_hybrid.learn.checkpoints import load_checkpoint, load_weights, save_checkpoint

TENSORS = {
    "a/weight": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor([1, 2], dtype=torch.int64),
}
CONFIG = {"hidden": [3, 4], "name": "µ", "nested": {"x": None}}


def save(path, **changes):
    return save_checkpoint(path, TENSORS, CONFIG, **{"kind": "pcdm", "format_version": 1} | changes)


def test_tensors_and_configuration_come_back(tmp_path):
    path = save(tmp_path / "model")
    assert path.name == "model.safetensors"
    tensors, config = load_checkpoint(path, kind="pcdm", format_version=1)
    assert config == CONFIG
    assert all(
        torch.equal(tensors[k], TENSORS[k]) and tensors[k].dtype == TENSORS[k].dtype
        for k in TENSORS
    )


def test_a_file_that_is_there_is_kept_unless_asked(tmp_path):
    path = save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="overwrite"):
        save(path)
    save(path, overwrite=True)


def test_another_kind_or_version_is_refused_by_name(tmp_path):
    path = save(tmp_path / "model", format_version=2)
    with pytest.raises(CheckpointError, match="kind"):
        load_checkpoint(path, kind="allometry", format_version=2)
    with pytest.raises(CheckpointError, match="upgrade"):
        load_checkpoint(path, kind="pcdm", format_version=1)
    with pytest.raises(CheckpointError, match="train it again"):
        load_checkpoint(path, kind="pcdm", format_version=3)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    import pickle

    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (ran.write_text, ("x",))

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError):
        load_checkpoint(path, kind="pcdm", format_version=1)
    assert not ran.exists()


def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file(TENSORS, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="written by pbpk_hybrid"):
        load_checkpoint(tmp_path / "x.safetensors", kind="pcdm", format_version=1)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), flip=st.integers(0, 399), garbage=st.binary(min_size=1, max_size=4))
def test_truncated_or_spoilt_files_raise_our_error_only(tmp_path_factory, cut, flip, garbage):
    folder = tmp_path_factory.mktemp("spoilt")
    whole = save(folder / "model").read_bytes()
    spoilt = bytearray(whole[: max(1, len(whole) - cut)])
    at = flip % len(spoilt)
    spoilt[at : at + len(garbage)] = garbage
    (folder / "bad.safetensors").write_bytes(bytes(spoilt))
    # any other error fails the test; a change inside the numbers is not noticed and need not be
    with contextlib.suppress(CheckpointError):
        load_checkpoint(folder / "bad.safetensors", kind="pcdm", format_version=1)


def test_a_header_that_promises_a_huge_tensor_is_refused(tmp_path):
    header = json.dumps(
        {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
    ).encode()
    path = tmp_path / "huge.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 16)
    with pytest.raises(CheckpointError):
        load_checkpoint(path, kind="pcdm", format_version=1)


def test_a_configuration_that_is_not_json_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="config"):
        save_checkpoint(
            tmp_path / "x", TENSORS, {"f": torch.nn.ReLU()}, kind="pcdm", format_version=1
        )
    assert not list(tmp_path.iterdir())


def test_weights_of_another_network_are_refused():
    with pytest.raises(CheckpointError, match="missing"):
        load_weights(torch.nn.Linear(2, 2), {"weight": torch.zeros(2, 2)})
    with pytest.raises(CheckpointError, match="shape"):
        load_weights(torch.nn.Linear(2, 2), {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})
