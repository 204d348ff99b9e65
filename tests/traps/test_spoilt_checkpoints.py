"""A spoilt checkpoint ends in a CheckpointError at once: no other error, no hang, no memory spent on what it says it is.

Each of the three shipped checkpoints is changed in one place (a setting, a number, a shape, a name, bytes of the file), with
a fixed seed. What is read must be refused, or be a model as whole as before.
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("torch_geometric")

from pbpk_hybrid._core.errors import CheckpointError
from pbpk_hybrid.learn import PCDM, Forecaster, NeuralAllometry
from pbpk_hybrid.learn import allometry as _allometry

DATA = Path(_allometry.__file__).parents[1] / "data"
MODELS = {
    "allometry": (NeuralAllometry, DATA / "allometry" / "allometry.safetensors"),
    "forecaster": (Forecaster, DATA / "forecaster" / "forecaster.safetensors"),
    "pcdm": (PCDM, DATA / "pcdm" / "pcdm.safetensors"),
}
BAD_VALUES = (10**12, 10**40, -1, 0, 1e308, "x", None, [], {}, [1] * 50, True, 0.5)


class File:
    """A safetensors file taken apart: settings, table of tensors, numbers."""

    def __init__(self, path: Path):
        raw = path.read_bytes()
        (n,) = struct.unpack("<Q", raw[:8])
        self.table = json.loads(raw[8 : 8 + n])
        self.head = json.loads(self.table["__metadata__"]["pbpk_hybrid"])
        self.numbers = bytearray(raw[8 + n :])

    @property
    def names(self) -> list[str]:
        return [n for n in self.table if n != "__metadata__"]

    def array(self, name: str) -> np.ndarray:
        """A view: what is written into it is written into the file."""
        kinds = {
            "F64": "<f8",
            "F32": "<f4",
            "F16": "<f2",
            "I64": "<i8",
            "I32": "<i4",
            "I16": "<i2",
            "U8": "u1",
        }
        entry = self.table[name]
        a, b = entry["data_offsets"]
        return np.frombuffer(memoryview(self.numbers)[a:b], dtype=kinds[entry["dtype"]])

    def write(self, path: Path) -> Path:
        self.table["__metadata__"]["pbpk_hybrid"] = json.dumps(self.head)
        table = json.dumps(self.table).encode()
        path.write_bytes(struct.pack("<Q", len(table)) + table + bytes(self.numbers))
        return path


def refused(kind: str, file: File, tmp_path: Path, words: str | None = None) -> None:
    with pytest.raises(CheckpointError, match=words):
        MODELS[kind][0].load(file.write(tmp_path / "spoilt.safetensors"))


@pytest.mark.parametrize("kind", MODELS)
def test_the_taking_apart_changes_nothing(kind, tmp_path):
    MODELS[kind][0].load(File(MODELS[kind][1]).write(tmp_path / "whole.safetensors"))


SIZES = [
    *(("allometry", n) for n in ("graph", "table")),
    *(("forecaster", n) for n in ("width", "heads", "encoder_layers", "hypotheses", "summaries")),
    *(("pcdm", n) for n in ("width", "blocks", "steps")),
]


@pytest.mark.parametrize(("kind", "name"), SIZES)
@pytest.mark.parametrize("value", [10**12, 7919, -1, 0, "x", None, 2.5])
def test_a_size_that_is_not_the_files_is_refused_before_anything_is_built(
    kind, name, value, tmp_path
):
    file = File(MODELS[kind][1])
    file.head["config"]["config"][name] = value
    refused(kind, file, tmp_path)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_weights_that_are_no_numbers_are_refused_by_name(kind, value, tmp_path):
    """The last tensor of floating-point numbers, in its last place."""
    file = File(MODELS[kind][1])
    name = [n for n in file.names if file.table[n]["dtype"] == "F32"][-1]
    file.array(name)[-1] = value
    refused(kind, file, tmp_path, name)


def trees_with(change) -> File:
    file = File(MODELS["allometry"][1])
    change(
        {n: file.array(f"encoder/trees/{n}") for n in ("feature", "left", "right", "roots", "of")}
    )
    return file


def inner(t) -> int:
    return int(np.flatnonzero(t["feature"] >= 0)[5])


TREES = {
    "a node that is its own child": lambda t: t["left"].__setitem__(inner(t), inner(t)),
    "a way back to the root": lambda t: t["right"].__setitem__(inner(t), 0),
    "a child in another tree": lambda t: t["left"].__setitem__(inner(t), t["roots"][1] + 1),
    "a child that is not there": lambda t: t["left"].__setitem__(inner(t), 10**8),
    "a column that is not there": lambda t: t["feature"].__setitem__(inner(t), 30_000),
    "a root that is not there": lambda t: t["roots"].__setitem__(-1, 10**8),
    "a parameter that is not there": lambda t: t["of"].__setitem__(-1, 7),
}


@pytest.mark.parametrize("what", TREES)
def test_trees_that_are_none_are_refused(what, tmp_path):
    refused("allometry", trees_with(TREES[what]), tmp_path, "trees/")


def test_tables_that_fall_and_shares_that_are_none_are_refused(tmp_path):
    file = File(MODELS["pcdm"][1])
    file.array("ages")[100] = 0.0
    refused("pcdm", file, tmp_path, "ages")
    file = File(MODELS["pcdm"][1])
    file.array("shape")[100] = -1e5
    refused("pcdm", file, tmp_path, "shape")
    file = File(MODELS["pcdm"][1])
    file.array("spread")[7] = 0.0
    refused("pcdm", file, tmp_path, "spread")
    file = File(MODELS["pcdm"][1])
    file.array("shares")[:] = 0.0
    refused("pcdm", file, tmp_path, "shares")


def test_a_reference_that_is_no_covariance_is_refused(tmp_path):
    file = File(MODELS["forecaster"][1])
    file.head["config"]["reference"]["covariance"][0][0] = -1.0
    refused("forecaster", file, tmp_path, "covariance")
    file = File(MODELS["forecaster"][1])
    file.head["config"]["reference"]["mean"][0] = float("nan")
    refused("forecaster", file, tmp_path)


def spoil(file: File, dice: random.Random) -> None:
    """One change of a kind drawn at random."""
    kind = dice.choice(["setting", "entry", "shape", "name", "type", "numbers", "header"])
    name = dice.choice(file.names)
    entry = file.table[name]
    if kind == "setting":
        settings = file.head["config"]["config"]
        settings[dice.choice([*settings, "unheard_of"])] = dice.choice(BAD_VALUES)
    elif kind == "entry":
        config = file.head["config"]
        config[dice.choice(list(config))] = dice.choice(BAD_VALUES)
    elif kind == "header":
        file.head[dice.choice(list(file.head))] = dice.choice(BAD_VALUES)
    elif kind == "shape":
        entry["shape"] = dice.choice(
            [entry["shape"][::-1], [int(np.prod(entry["shape"]))], [*entry["shape"], 1], [0], []]
        )
    elif kind == "name":
        file.table[name + dice.choice("xyz")] = file.table.pop(name)
    elif kind == "type":
        entry["dtype"] = dice.choice(
            ["F64", "F32", "F16", "BF16", "I32", "I16", "U8", "BOOL", "Q9"]
        )
    else:
        numbers = file.array(name)
        for _ in range(3):
            bad = dice.choice([np.nan, np.inf, -1, 2**14, 0, 255])
            with np.errstate(all="ignore"):
                numbers[dice.randrange(len(numbers))] = np.array(bad).astype(numbers.dtype)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("kind", MODELS)
def test_spoilt_at_random_they_end_in_the_right_error_or_not_at_all(kind, tmp_path):
    dice, model, ended = random.Random(20261128), MODELS[kind][0], 0
    for _ in range(25):
        file = File(MODELS[kind][1])
        spoil(file, dice)
        try:
            model.load(file.write(tmp_path / "spoilt.safetensors"))
        except CheckpointError:
            ended += 1
    assert ended >= 12  # most changes are not harmless


@pytest.mark.parametrize("kind", MODELS)
def test_bytes_changed_in_the_table_and_files_cut_short(kind, tmp_path):
    dice, (model, path) = random.Random(7), MODELS[kind]
    raw = path.read_bytes()
    spoilt = tmp_path / "spoilt.safetensors"
    (n,) = struct.unpack("<Q", raw[:8])
    for _ in range(10):
        changed = bytearray(raw)
        for _ in range(2):
            changed[dice.randrange(8 + n)] = dice.randrange(256)
        spoilt.write_bytes(changed)
        try:
            model.load(spoilt)
        except CheckpointError:
            continue
    for length in (0, 7, 8, 8 + n, len(raw) - 1):
        spoilt.write_bytes(raw[:length])
        with pytest.raises(CheckpointError):
            model.load(spoilt)
