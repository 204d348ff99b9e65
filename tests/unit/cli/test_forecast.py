"""The commands `forecast` and `train transformer`."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from pbpk_hybrid.cli.app import app

runner = CliRunner()
TINY = """width = 16
heads = 2
encoder_layers = 1
hypotheses = 2
anchored = 1
evaluate_every = 2
validation_batches = 1
[corpus]
batch_size = 32
observations = 4
queries = 4
doses = 2
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "tiny.toml").write_text(TINY)
    command = [
        "train",
        "transformer",
        "--config",
        str(folder / "tiny.toml"),
        "--out",
        str(folder),
        "--threads",
        "1",
    ]
    result = runner.invoke(app, [*command, "--steps", "2", "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert "best validation loss" in result.output
    refused = runner.invoke(app, [*command, "--steps", "4", "--seed", "3", "-q"])
    assert refused.exit_code == 2 and "--overwrite" in refused.output
    again = runner.invoke(app, [*command, "--steps", "4", "--seed", "3", "-q", "--overwrite"])
    assert again.exit_code == 0 and again.output == ""
    assert pd.read_csv(folder / "log.csv")["step"].tolist() == [2, 4]
    return folder / "forecaster.safetensors"


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "study.csv"
    file.write_text(
        "ID,TIME,AMT,DV,WT,SEX\n1,0,100,.,70,male\n1,2,.,3.1,70,male\n4,0,100,.,55,female\n4,1,.,4.0,55,female\n"
    )
    return file


def run(*words):
    return runner.invoke(app, ["forecast", *map(str, words)])


def test_every_subject_of_a_data_set_is_forecast(study, trained, tmp_path):
    out = tmp_path / "f.nc"
    result = run(
        study, "--times", "1:9:2", "--route", "oral", "--checkpoint", trained, "--out", out
    )
    assert result.exit_code == 0, result.output
    with xr.open_dataset(out) as ds:
        assert ds["subject"].values.astype(str).tolist() == ["1", "4"]
        assert ds["body_weight"].values.tolist() == [70.0, 55.0]
        assert np.all(ds["concentration_quantile"].values > 0)


def test_quantiles_go_into_a_table_too(study, trained, tmp_path):
    out = tmp_path / "f.csv"
    words = ["--times", "1,2", "--route", "iv", "--checkpoint", trained, "-o", out, "-q"]
    assert run(study, *words).exit_code == 0
    table = pd.read_csv(out)
    assert len(table) == 2 * 2 * 5 and set(table["quantile"]) == {0.05, 0.25, 0.5, 0.75, 0.95}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "f.txt"), ".csv or .zarr"),
        (("--route", "nose"), "iv or oral"),
        (("--species", "humen"), "human"),
        (("--checkpoint", "none.safetensors"), "a checkpoint file that exists"),
    ],
)
def test_bad_words_are_named(study, trained, tmp_path, words, said):
    default = [] if "--checkpoint" in words else ["--checkpoint", trained]
    where = [] if "--out" in words else ["--out", tmp_path / "f.nc"]
    route = [] if "--route" in words else ["--route", "iv"]
    result = run(study, "--times", "1,2", *default, *where, *route, *words)
    assert result.exit_code == 2 and said in result.output
    assert not (tmp_path / "f.nc").exists()
