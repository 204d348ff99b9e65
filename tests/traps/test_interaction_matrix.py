"""What people type wrongly when they ask whether one drug changes another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.plots import forest_plot
from pbpk_hybrid.results import ratio_table


@pytest.mark.parametrize(
    ("victims", "perpetrators", "words"),
    [
        ("midazolam", "caffeine", "regimen"),
        ("ofloxacin", "ketoconazole", "regimen"),
        ("midazolam", "midazolam", "other than the victims"),
        ("midazolam", [], "at least one drug"),
        ("midazolam", ["ketoconazole", "ketoconazole"], "each drug once"),
        (7, "ketoconazole", "names of drugs"),
        ("midazolam", "ketoconazol", "Ketoconazole"),
    ],
)
def test_who_gets_what_is_refused_with_what_to_do(victims, perpetrators, words):
    if victims == perpetrators:
        victims, perpetrators = {"midazolam": "1 mg iv"}, {"midazolam": "7.5 mg oral"}
    with pytest.raises(ph.InputError, match=words):
        ph.interactions(victims, perpetrators)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("delays", []),
        ("delays", [1, 1]),
        ("delays", [-500]),
        ("draws", 0),
        ("draws", 2.5),
        ("duration", 0),
        ("victim_time", -1),
        ("constants", "wide"),
        ("together", "yes"),
        ("variability", 0.3),
        ("nonsense", 1),
    ],
)
def test_numbers_that_make_no_sense_are_refused(option, value):
    with pytest.raises(ph.InputError) as caught:
        ph.interactions("midazolam", "ketoconazole", **{option: value})
    assert option in str(caught.value)


def test_a_pair_of_which_nothing_is_known_has_no_ratio_and_says_so():
    with pytest.warns(ph.NoEffectWarning, match="fluconazole on theophylline"):
        found = ph.interactions(
            {"theophylline": "320 mg oral"}, "fluconazole", constants=None, seed=1
        )
    assert not bool(found["linked"][0, 0])
    assert np.isnan(found["auc_ratio"]).all() and np.isnan(found["auc_ratio_static"]).all()


@pytest.mark.parametrize(
    ("table", "bounds"),
    [
        (3, (0.8, 1.25)),
        (pd.DataFrame({"label": ["a"]}), (0.8, 1.25)),
        (pd.DataFrame({"label": ["a"], "quantity": ["AUC"], "ratio": [np.nan]}), (0.8, 1.25)),
        (pd.DataFrame({"label": ["a"], "quantity": ["AUC"], "ratio": [2.0]}), (1.25, 0.8)),
        (pd.DataFrame({"label": ["a"], "quantity": ["AUC"], "ratio": [2.0]}), "FDA"),
    ],
)
def test_a_forest_plot_of_nothing_is_refused(table, bounds):
    with pytest.raises(ph.InputError):
        forest_plot(table, bounds=bounds)


def test_a_table_of_ratios_of_something_else_is_refused():
    with pytest.raises(ph.InputError, match="interactions"):
        ratio_table(ph.simulate("caffeine", "100 mg oral", times=[1, 2]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["midazolam"], "--with"),
        (["midazolam", "--with", "caffeine"], "regimen"),
        (["midazolam", "--with", "ketoconazole: 400 mgg"], "400 mgg"),
        (["midazolam:", "--with", "ketoconazole"], "midazolam:"),
        (["midazolam", "--with", "ketoconazole", "--delay", ","], "--delay"),
        (["midazolam", "--with", "ketoconazole", "--constants", "mine"], "--constants"),
        (["midazolam", "--with", "ketoconazole", "--out", "x.nc"], "--out"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["interaction", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_the_command_writes_table_and_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        app,
        [
            "interaction",
            "midazolam",
            "--with",
            "fluconazole",
            "-n",
            "3",
            "--draws",
            "5",
            "--seed",
            "1",
            "--out",
            "out",
        ],
    )
    assert done.exit_code == 0, done.stderr
    assert "200 mg oral q24h" in done.stdout and "7.5 mg oral" in done.stdout
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "interactions.nc",
        "ratios.csv",
        "forest.png",
    }
    table = pd.read_csv(tmp_path / "out" / "ratios.csv")
    assert (table["ratio"] > 1).all() and (table["low"] < table["ratio"]).all()
