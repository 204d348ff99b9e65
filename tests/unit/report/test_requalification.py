"""Requalification passes an identical build, catches a defect, and refuses what it cannot compare."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import FileFormatError, InputError, UnknownNameError
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.report.requalification import _two_one_sided
from pbpk_hybrid.report.scenarios import RUNNER, SCENARIOS, SEED, SUBJECTS

FEW = ("high extraction, oral", "high extraction, bolus", "rat")


def results_of(monkeypatch, names=FEW) -> dict:
    """What this process gives when the runner runs in it, as another interpreter would print it."""
    asked = {
        "scenarios": [s for s in SCENARIOS if s["name"] in names],
        "subjects": SUBJECTS,
        "seed": SEED,
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asked)))
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(RUNNER, {})
    return json.loads(printed.getvalue())


@pytest.fixture
def stored(monkeypatch, tmp_path):
    def store(name: str, **changes) -> str:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({**results_of(monkeypatch), **changes}))
        return str(path)

    return store


def test_an_identical_build_passes(stored):
    found = ph.requalify(stored("old"), stored("new"), scenarios=FEW)
    assert found.equivalent
    assert len(found.table) == 2 * len(FEW)
    assert found.table["ratio"].to_numpy() == pytest.approx(1.0, abs=1e-12)


def test_flows_that_are_a_tenth_too_high_are_caught(stored, monkeypatch, tmp_path):
    old = stored("old")
    real = ph.sample_population

    def seeded(*args, **kwargs):
        people = real(*args, **kwargs)
        for name in ("blood_flow", "cardiac_output"):
            people[name] = people[name] * 1.1
        return people

    monkeypatch.setattr(ph, "sample_population", seeded)
    found = ph.requalify(old, stored("new"), scenarios=FEW, out=tmp_path / "c.html")
    assert not found.equivalent
    wrong = found.table[~found.table["equivalent"]]
    assert set(wrong["scenario"]) == set(FEW)
    page = (tmp_path / "c.html").read_text()
    assert "NOT equivalent" in page and "<td" in page


def test_this_interpreter_in_a_process_of_its_own(stored, tmp_path):
    kept = tmp_path / "kept.json"
    found = ph.requalify(stored("old"), "this", scenarios=FEW[:1], store=kept)
    assert found.equivalent
    assert ph.requalify(kept, stored("new"), scenarios=FEW[:1]).equivalent


def test_a_scenario_that_one_version_cannot_run_is_not_equivalent(stored):
    results = {"rat": {"error": "UnknownNameError: rat"}}
    found = ph.requalify(stored("old"), stored("new", results=results), scenarios=("rat",))
    assert not found.equivalent
    assert found.table["remark"].tolist() == ["new: UnknownNameError: rat"] * 2


def test_the_two_one_sided_tests():
    """Against the closed form: mean 0.002, sd 0.004, n 12, margin ln 1.01."""
    log = 0.002 + 0.004 * np.sqrt(12 / 12) * np.tile([1.0, -1.0], 6) * np.sqrt(11 / 12)
    mean, low, high, p = _two_one_sided(log, np.log(1.01))
    assert mean == pytest.approx(0.002)
    # t(0.95, 11) = 1.7959; standard error 0.004/sqrt(12)
    assert (high - mean) == pytest.approx(1.7959 * 0.004 / np.sqrt(12), rel=1e-4)
    assert low < 0 < high < np.log(1.01) and p < 0.05
    assert _two_one_sided(log + 0.02, np.log(1.01))[3] > 0.95
    assert _two_one_sided(np.zeros(12), 0.01)[3] == 0.0
    assert _two_one_sided(np.full(12, 0.011), 0.01)[3] == 1.0


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("nowhere", InputError, "a Python interpreter"),
        ("nowhere.json", FileFormatError, "results that requalify stored"),
        (".", InputError, "a Python interpreter"),
    ],
)
def test_what_is_no_version_is_refused(source, error, words):
    with pytest.raises(error, match=words):
        ph.requalify(source, "this", scenarios=FEW[:1])


def test_results_of_other_scenarios_are_refused(stored):
    asked = {"scenarios": [{"name": "rat", "dose": "other"}], "subjects": SUBJECTS, "seed": SEED}
    with pytest.raises(InputError, match="it has changed"):
        ph.requalify(stored("old", asked=asked), stored("new"), scenarios=("rat",))
    asked = {"scenarios": [], "subjects": 3, "seed": 1}
    with pytest.raises(InputError, match=f"results of {SUBJECTS} people"):
        ph.requalify(stored("old", asked=asked), stored("new"), scenarios=("rat",))


@pytest.mark.parametrize("margin", [0, -0.1, 0.5, float("nan"), True])
def test_a_margin_that_says_nothing_is_refused(margin):
    with pytest.raises(InputError, match=r"between 0 and 0\.25"):
        ph.requalify("a.json", "b.json", margin=margin)


def test_an_unknown_scenario_is_refused():
    with pytest.raises(UnknownNameError, match="a scenario"):
        ph.requalify("a.json", "b.json", scenarios=("nothing",))


def test_the_command_says_which_and_ends_with_6(stored, monkeypatch):
    old = stored("old")
    wrong = json.loads(Path(old).read_text())["results"]
    wrong["rat"]["auc"] = [1.02 * v for v in wrong["rat"]["auc"]]
    new = stored("new", results=wrong)
    arguments = ["requalify", old, new, *(x for name in FEW for x in ("--scenario", name))]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 6, done.output
    assert "1.020000" in done.output and "NOT equivalent in 1 comparisons" in done.output
    done = CliRunner().invoke(app, [*arguments, "--margin", "0.05", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["equivalent"] is True
