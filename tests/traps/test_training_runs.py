"""Trainings that would cost what was there, or run where nothing can run."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
typer_testing = pytest.importorskip("typer.testing")

from pbpk_hybrid.cli.app import app

COMPONENTS = {"allometry": "allometry", "pcdm": "pcdm", "transformer": "forecaster"}


def run(*words):
    return typer_testing.CliRunner().invoke(app, [str(w) for w in words])


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_checkpoint_that_is_there_is_not_replaced_unasked(component, tmp_path):
    path = tmp_path / f"{COMPONENTS[component]}.safetensors"
    path.write_bytes(b"the model of last month")
    done = run("train", component, "--out", tmp_path)
    assert done.exit_code == 2
    assert "--overwrite" in done.output and path.name in "".join(done.output.split())
    assert path.read_bytes() == b"the model of last month"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # no step was taken


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "gpu"), "device"),
        (("--device", "cuda:99"), "a device that torch finds here: cpu"),
        (("--precision", "fp8"), "float32 or bf16"),
    ],
)
def test_a_device_or_precision_that_is_not_there_is_named(component, words, said, tmp_path):
    done = run("train", component, "--out", tmp_path, *words)
    assert done.exit_code == 2 and said in " ".join(done.output.split())


def test_the_survey_has_no_network_to_put_on_a_device(tmp_path):
    done = run("population", 3, "--precision", "bf16", "--seed", 1)
    assert done.exit_code == 2 and "pcdm" in done.output
    words = ("--generator", "pcdm", "--device", "cpu", "--precision", "bf16", "--seed", 1)
    store = run("population", 3, *words, "--out", tmp_path / "x.zarr")
    assert store.exit_code == 2 and ".nc or .csv" in store.output
    assert run("population", 3, *words, "--quiet").exit_code == 0


def test_a_model_of_another_component_is_not_taken_for_a_run(tmp_path):
    done = run("scale", "-s", "rat: clearance=30 mL/min/kg", "--device", "tpu")
    assert done.exit_code == 2 and "device" in done.output
