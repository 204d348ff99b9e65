"""``--renal severe --hepatic B --phenotype CYP2D6=poor --pregnant 30``: the people are those."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid.cli.app import app


def population(tmp_path, *options, code=0):
    out = tmp_path / "people.nc"
    arguments = ["population", "6", "--seed", "3", "--out", str(out), *options]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, done.output
    return xr.open_dataset(out) if code == 0 else done.stderr


def test_each_option_does_what_the_function_does(tmp_path):
    got = population(
        tmp_path,
        "--renal",
        "20",
        "--hepatic",
        "B",
        "--phenotype",
        "CYP2D6=poor",
        "--phenotype",
        "CYP2C9=poor",
    )
    people = ph.sample_population(6, seed=3)
    conditions = {
        "renal": 20.0,
        "hepatic": "B",
        "phenotypes": {"CYP2D6": "poor", "CYP2C9": "poor"},
    }
    expected = ph.with_conditions(people, **conditions)
    for name in ("gfr", "enzyme_activity", "blood_flow", "liver_function"):
        np.testing.assert_array_equal(got[name].values, expected[name].values)
    assert got["enzyme_activity"].sel(enzyme="CYP2D6").values == pytest.approx(0)


def test_pregnant_people_are_women_of_that_week(tmp_path):
    got = population(tmp_path, "--pregnant", "30")
    assert set(got["sex"].values.astype(str)) == {"female"}
    assert "30 weeks pregnant" in got.attrs["special"]


def test_words_say_the_same(tmp_path):
    a = population(tmp_path, "--special", "elderly, severe renal impairment").load()
    b = population(tmp_path, "--special", "elderly", "--renal", "severe")
    np.testing.assert_array_equal(a["gfr"].values, b["gfr"].values)
    assert (a["age"] >= 65).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--renal", "sever"), "did you mean 'severe'"),
        (("--renal", "-5"), "renal"),
        (("--hepatic", "D"), "A, B, C"),
        (("--phenotype", "CYP2D6"), "CYP2D6=poor"),
        (("--phenotype", "CYP2D6=bad"), "a phenotype"),
        (("--phenotype", "CYP9=poor"), "a polymorphic"),
        (("--pregnant", "50"), "0 to 40 weeks"),
        (("--pregnant", "30", "--sex", "male"), "women"),
        (("--pregnant", "30", "--species", "rat"), "human"),
        (("--special", "tall"), "a special population"),
        (("--special", "severe renal impairment", "--renal", "mild"), "said once"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, options, words):
    assert words in population(tmp_path, *options, code=2)


def test_the_summary_says_who_they_are_and_that_the_data_are_of_others(tmp_path):
    arguments = ["simulate", "theophylline", "-n", "2", "--seed", "1", "--hepatic", "A"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "special population: Child-Pugh A; the published data are of people" in done.stdout
