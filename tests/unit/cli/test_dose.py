"""``pbpk-hybrid dose`` from a data set to a regimen and its files."""

from __future__ import annotations

import pandas as pd
import pytest
from typer.testing import CliRunner

from pbpk_hybrid.cli.app import app

DATA = """ID,TIME,AMT,ADDL,II,CMT,EVID,DV,MDV,WT,AGE,SEX
1,0,320,1,12,1,1,.,1,70,40,F
1,2,.,.,.,2,0,7400,0,70,40,F
1,11.9,.,.,.,2,0,4400,0,70,40,F
"""


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "patient.csv"
    path.write_text(DATA)
    return path


def run(path, *more, code=0):
    fixed = ["--compound", "theophylline", "--compartment", "1=oral", "--compartment", "2=plasma"]
    result = CliRunner().invoke(app, ["dose", str(path), *fixed, "--unit", "ng/mL", *more])
    assert result.exit_code == code, result.output
    return result.output


def test_a_dose_is_found_written_and_called_what_it_is(data, tmp_path):
    out = tmp_path / "found"
    more = ["--interval", "8,12 h", "--amounts", "multiples of 100 mg up to 800 mg"]
    target = ["--target", "trough 5-10 mg/L", "--error", "proportional=0.1"]
    text = run(data, *target, *more, "--out", str(out))
    assert "research software, not a medical device" in text and "best regimen: " in text
    assert "assumed prior: clearance" in text and "Pareto k" in text and "next sample" in text
    table = pd.read_csv(out / "candidates.csv")
    assert sorted(set(table["interval"])) == [8.0, 12.0] and len(table) == 16
    names = {"attainment.png", "concentrations.png", "next_sample.csv", "parameters.csv"}
    assert names <= {p.name for p in out.iterdir()}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--target", "troug 5-10 mg/L"], "troug"),
        (["--target", "trough 5-10 mg/L", "--interval", "12 mg"], "--interval"),
        (["--target", "trough 5-10 mg/L", "--amounts", "100,5x"], "amounts[1]"),
        (["--target", "trough 5-10 mg/L", "--prior", "clint.livr=1,0.3"], "clint.liver"),
        (["--target", "trough 5-10 mg/L", "--error", "proportional=x"], "--error"),
        (["--target", "trough 5-10 mg/L", "--subject", "7"], "--subject"),
    ],
)
def test_what_cannot_be_used_is_bad_input(data, more, words):
    assert words in run(data, *more, code=2)


def test_of_several_people_one_has_to_be_named(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text(DATA + "".join("2" + line[1:] + "\n" for line in DATA.splitlines()[1:]))
    assert "--subject" in run(path, "--target", "trough 5-10 mg/L", code=2)
    more = ["--target", "trough 5-10 mg/L", "--error", "proportional=0.1", "--subject", "2"]
    assert "best regimen" in run(path, *more)
