"""Filters and options of the command line: in a folder, in a store and in Python they mean the same people and numbers."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid.cli.app import app

#: option -> (text, keyword, value, what it bounds)
FILTERS = {
    "--age": ("60-70", "age", (60, 70)),
    "--sex": ("female", "sex", "female"),
    "--body-weight": ("55-60", "body_weight", (55, 60)),
    "--bmi": ("33-38", "bmi", (33, 38)),
    "--egfr": ("30-50", "egfr", (30, 50)),
}
N, TIMES = 12, [0.0, 1.0, 8.0]


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(w) for w in words], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result


def bounded(people, keyword):
    """What the filter is about, by its own definition."""
    if keyword == "bmi":
        return people["body_weight"] / (people["height"] / 100) ** 2
    if keyword == "egfr":  # mL/min/1.73 m2 from L/h and Mosteller's surface
        surface = np.sqrt(people["height"] * people["body_weight"] / 3600)
        return people["gfr"] * 1000 / 60 * 1.73 / surface
    return people[keyword]


@pytest.mark.parametrize("option", FILTERS)
def test_a_filter_is_obeyed_by_a_folder_a_store_and_a_population(option, tmp_path):
    pytest.importorskip("zarr")
    text, keyword, value = FILTERS[option]
    people = ph.sample_population(N, seed=6, **{keyword: value})
    if keyword == "sex":
        assert set(people["sex"].values) == {"female"}
    else:
        low, high = value
        # ages are of whole months
        assert ((bounded(people, keyword) >= low) & (bounded(people, keyword) <= high)).all()
    anybody = bounded(ph.sample_population(N, seed=6), keyword).values
    assert not np.array_equal(bounded(people, keyword).values, anybody)
    python = ph.simulate("theophylline", "320 mg oral", people, TIMES, compartments=["plasma"])
    words = ("-n", N, "--seed", 6, option, text, "-q")
    simulate = ("simulate", "theophylline", "--dose", "320 mg oral", "--times", "0,1,8")
    simulate += ("--compartments", "plasma", *words)
    run(*simulate, "-o", tmp_path / "folder")
    run(*simulate, "-o", tmp_path / "x.zarr", "--workers", 1)
    for path in (tmp_path / "folder" / "simulation.nc", tmp_path / "x.zarr"):
        ds = ph.open_results(path)
        np.testing.assert_array_equal(ds["concentration"], python["concentration"])
        np.testing.assert_array_equal(ds["body_weight"], people["body_weight"])
    for path in (tmp_path / "p.nc", tmp_path / "p.zarr"):
        more = ("--workers", 1) if path.suffix == ".zarr" else ()
        run("population", N, "--seed", 6, option, text, "-q", "-o", path, *more)
        drawn = ph.open_results(path, schema="physiology")
        np.testing.assert_array_equal(drawn["volume"], people["volume"])


@pytest.mark.parametrize(
    ("words", "keywords"),
    [
        (("--rtol", "1e-4"), {"rtol": 1e-4}),
        (("--method", "rodas4"), {"method": "rodas4"}),
        (("--method", "expm"), {"method": "expm"}),
    ],
)
def test_the_solver_that_was_asked_for_is_used_in_a_folder_and_in_a_store(
    words, keywords, tmp_path
):
    pytest.importorskip("zarr")
    people = ph.sample_population(3, seed=6)
    python, plain = (
        ph.simulate(
            "theophylline", "320 mg oral", people, TIMES, compartments=["plasma"], options=options
        )
        for options in (ph.SolverOptions(**keywords), None)
    )
    assert not np.array_equal(python["concentration"], plain["concentration"])
    simulate = ("simulate", "theophylline", "--dose", "320 mg oral", "--times", "0,1,8", "-n", 3)
    simulate += ("--seed", 6, "--compartments", "plasma", "-q", *words)
    run(*simulate, "-o", tmp_path / "folder")
    run(*simulate, "-o", tmp_path / "x.zarr", "--workers", 1)
    for path in (tmp_path / "folder" / "simulation.nc", tmp_path / "x.zarr"):
        ds = ph.open_results(path)
        np.testing.assert_array_equal(ds["concentration"], python["concentration"])


def test_the_species_reaches_the_folder_and_the_store(tmp_path):
    pytest.importorskip("zarr")
    rats = ph.sample_population(3, "rat", seed=6)
    python = ph.simulate("midazolam", "1 mg/kg iv", rats, TIMES, compartments=["plasma"])
    simulate = ("simulate", "midazolam", "--dose", "1 mg/kg iv", "--times", "0,1,8", "-n", 3)
    simulate += ("--seed", 6, "--compartments", "plasma", "-q", "--species", "rat")
    run(*simulate, "-o", tmp_path / "folder")
    run(*simulate, "-o", tmp_path / "x.zarr", "--workers", 1)
    for path in (tmp_path / "folder" / "simulation.nc", tmp_path / "x.zarr"):
        ds = ph.open_results(path)
        np.testing.assert_array_equal(ds["concentration"], python["concentration"])
