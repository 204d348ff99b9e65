"""What can be simulated of each compound, by which route, on what it stands; predicted absorption; badges."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.compounds import compound_overview, list_compounds, validation_badge
from pbpk_hybrid.compounds.httk_table import httk_table
from pbpk_hybrid.compounds.predicted_absorption import predict_absorption
from pbpk_hybrid.compounds.synonyms import SYNONYMS

ROOT = Path(__file__).parents[3]
PROFILES = ROOT / "benchmarks" / "validation" / "results" / "profiles.csv"


# ------------------------------------------------------------------ overview
def test_what_it_says_can_be_simulated_can_be():
    table = compound_overview()
    assert len(table) == len(list_compounds()) > 2500
    some = table.sample(25, random_state=1)
    for row in some.to_dict("records"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ph.OutOfRangeWarning)
            try:
                compound = ph.get_compound(row["name"])
                run = ph.simulate(compound, "1 mg oral", times=[1.0], compartments=["plasma"])
                oral = bool(np.isfinite(run["concentration"]).all())
            except ph.InputError:
                oral = False
        assert oral == row["oral"], row
        assert (row["missing"] == "") == row["iv"], row


def test_many_chemicals_have_a_predicted_absorption_and_none_calls_it_measured():
    table = compound_overview()
    httk = table[table["collection"] == "httk"]
    assert (httk["oral"]).sum() > 1000
    assert set(httk["absorption"]) <= {"", "predicted"}
    assert list_compounds(route="oral") == list(table[table["oral"]]["name"])
    assert set(list_compounds(True, route="iv")) == set(list_compounds(True))
    with pytest.raises(ph.InputError, match="route"):
        list_compounds(route="rectal")


# ------------------------------------------------------------------ absorption
def test_permeability_says_rate_and_fraction_with_an_interval():
    found = predict_absorption(10.0, None, None)
    peff = 10 ** (0.4926 * 1.0 - 0.1454)
    assert found.rate == pytest.approx(2 * peff * 1e-4 * 3600 / 1.75)
    assert found.fraction == pytest.approx(1 - (1 + 0.54 * peff) ** -7)
    assert found.rate_low < found.rate < found.rate_high
    assert found.fraction_low < found.fraction < found.fraction_high
    structure = predict_absorption(None, 2.0, 300.0)
    width = lambda p: np.log(p.rate_high / p.rate_low)
    assert width(structure) > width(found)
    assert predict_absorption(None, None, 300.0) is None


def test_a_predicted_absorption_says_so_and_measured_fractions_stay():
    compound = ph.get_compound("acetaminophen")
    assert compound.sources["absorption_rate"].startswith("predicted from the Caco-2")
    assert "interval" in compound.sources["absorption_rate"]
    assert compound.fraction_absorbed == 1.0 and "Varma" in compound.sources["fraction_absorbed"]


# ------------------------------------------------------------------ names
@pytest.mark.parametrize("name", sorted(SYNONYMS))
def test_every_synonym_leads_to_a_compound(name):
    assert ph.get_compound(name.upper()).name.lower() == SYNONYMS[name]


def test_names_are_clean():
    assert all(name == " ".join(name.split()) for name in list_compounds(True))
    assert all(name == name.strip() for name in list_compounds())
    assert ph.get_compound("Fluconazole", collection="httk").name == "Fluconazole"
    assert len(httk_table().rows) > 2500


# ------------------------------------------------------------------ badges
@pytest.mark.skipif(not PROFILES.is_file(), reason="the benchmarks are not in an installed package")
def test_badges_are_those_of_the_profiles():
    with PROFILES.open() as file:
        people = [r for r in csv.DictReader(file) if r["species"] == "human"]
    for name in {r["drug"] for r in people}:
        mine = [r for r in people if r["drug"] == name]
        badge = validation_badge(name)
        assert badge.profiles == len(mine)
        for quantity, value in (("auc", badge.auc_gmfe), ("cmax", badge.cmax_gmfe)):
            pairs = [(r[f"default_{quantity}"], r[f"observed_{quantity}"]) for r in mine]
            logs = [np.log(float(p) / float(o)) for p, o in pairs if p and o]
            logs = np.abs([x for x in logs if np.isfinite(x)])
            assert value == pytest.approx(float(np.exp(logs.mean())), abs=6e-3)
    assert validation_badge("ketoconazole") is None


def test_the_command_shows_the_badge_and_the_routes():
    done = CliRunner().invoke(app, ["compounds", "show", "midazolam"])
    assert str(validation_badge("midazolam")) in done.stdout
    assert "can be simulated: iv, oral; validated" in done.stdout
    done = CliRunner().invoke(app, ["compounds", "list", "--table"])
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "validated" in lines["midazolam"] and "iv, oral" in lines["midazolam"]


# ------------------------------------------------------------------ the command line
def run(*arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fixed = ["-n", "2", "--seed", "1", "--times", "0,1,2,4", "--out", "out"]
    return CliRunner().invoke(app, ["simulate", *arguments, *fixed])


def test_fields_are_set_on_the_command_line_and_reported(tmp_path, monkeypatch):
    done = run(
        *("caffeine", "--dose", "100 mg oral", "--ka", "1 1/h"),
        *("--set", "fraction_unbound_plasma=50 %"),
        tmp_path=tmp_path,
        monkeypatch=monkeypatch,
    )
    assert done.exit_code == 0, done.stderr
    assert "set on the command line: fraction_unbound_plasma, absorption_rate" in done.stdout


def test_a_predicted_absorption_is_said_after_a_simulation(tmp_path, monkeypatch):
    done = run(
        *("paracetamol", "--dose", "500 mg oral"), tmp_path=tmp_path, monkeypatch=monkeypatch
    )
    assert done.exit_code == 0, done.stderr
    assert "predicted from the Caco-2 permeability" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "log_p"], "FIELD=VALUE"),
        (["--set", "logp=2"], "log_p"),
        (["--set", "log_p=2", "--set", "log-p=3"], "once"),
        (["--ka", "1", "--set", "absorption_rate=2"], "--ka"),
        (["--ka", "-1"], "absorption_rate"),
        (["--ka", "1 mg"], "absorption_rate"),
        (["--set", "molar_mass=heavy"], "molar_mass"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, words, tmp_path, monkeypatch):
    done = run(
        *("caffeine", "--dose", "100 mg oral"),
        *arguments,
        tmp_path=tmp_path,
        monkeypatch=monkeypatch,
    )
    assert done.exit_code == 2 and words in done.stderr
