"""The command first-in-human: the same words as in Python, files, and errors of one line."""

from __future__ import annotations

import pytest

typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("torch")
pytest.importorskip("rdkit")

from pbpk_hybrid.cli.app import build

RAT = ("--source", "rat: clearance=30 mL/min/kg, volume=1.5 L/kg")


def run(*words):
    app = build("first-in-human")
    return typer_testing.CliRunner().invoke(app, ["first-in-human", *map(str, words)])


def test_a_starting_dose_from_a_rat(tmp_path):
    words = ("--dose", "100 mg oral", "--noael", "rat: 62 mg/kg", "-n", 10, "--out", tmp_path / "x")
    done = run("CC(=O)Nc1ccc(O)cc1", *RAT, *words)
    assert done.exit_code == 0, done.output
    assert "maximum recommended starting dose: 60 mg" in done.output
    files = {"table.csv", "margins.csv", "first_in_human.png", "report.html"}
    assert {p.name for p in (tmp_path / "x").iterdir()} == files


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "either dose= or target_exposure="),
        (("--dose", "100 mg oral", "--noael", "62 mg/kg"), "rat: 50 mg/kg"),
        (("--dose", "100 mg oral", "--noael", "rat: 1 mg/kg", "--noael", "rat: 2 mg/kg"), "once"),
        (("--dose", "100 mg oral", "--kd", "10 furlongs"), "kd"),
        (("--dose", "100 mg oral", "--out", "x.csv"), "folder"),
    ],
)
def test_what_cannot_be_used_is_named(words, said):
    done = run("CC(=O)Nc1ccc(O)cc1", *RAT, *words)
    assert done.exit_code == 2 and said in " ".join(done.output.split())
