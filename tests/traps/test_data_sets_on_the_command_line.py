"""``fit`` and ``forecast``: no route, body, sample or unit is assumed without a word."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.cli.data_set import covariates_of, people_of
from pbpk_hybrid.dosing import read_nonmem

HOURS = np.array([0.5, 1, 2, 4, 8, 12, 24.0])


def curve(dose, person):
    run = ph.simulate(
        "theophylline", dose, person, times=HOURS, compartments=["plasma"], backend="embedded"
    )
    return run.concentration.values[0, :, 0]


@pytest.fixture(scope="module")
def two_people():
    """Theophylline by mouth in two people of 40 and 110 kg, no noise but alternating 2 %: a frame of records."""
    rows = []
    for who, weight in ((1, 40.0), (2, 110.0)):
        values = curve("320 mg oral", ph.reference_individual("human", body_weight=weight))
        rows.append(dict(ID=who, TIME=0.0, AMT=320.0, CMT=1, EVID=1, DV=".", WT=weight))
        rows += [
            dict(ID=who, TIME=t, AMT=".", CMT=2, EVID=0, DV=c * (1 + 0.02 * (-1) ** k), WT=weight)
            for k, (t, c) in enumerate(zip(HOURS, values, strict=True))
        ]
    return pd.DataFrame(rows)


def run(command, frame, folder, *words, code=0):
    file = folder / "data.csv"
    if isinstance(frame, str):
        file.write_text(frame)
    else:
        frame.to_csv(file, index=False)
    result = CliRunner().invoke(app, [command, str(file), *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def fit(
    frame, folder, *words, route=("--compartment", "1=oral", "--compartment", "2=plasma"), code=0
):
    shutil.rmtree(folder / "out", ignore_errors=True)
    base = ["--compound", "theophylline", "-p", "clint.liver", "--out", folder / "out"]
    said = run("fit", frame, folder, *base, *route, *words, code=code)
    if code:
        assert not (folder / "out").exists()
        return said, None
    return said, pd.read_csv(folder / "out" / "estimates.csv", index_col=0)["value"]


def test_names_in_small_letters_give_the_same_estimates(two_people, tmp_path):
    said, upper = fit(two_people, tmp_path)
    assert upper["clint.liver"] == pytest.approx(1.0, rel=0.02)
    _, lower = fit(two_people.rename(columns=str.lower), tmp_path)
    pd.testing.assert_series_equal(upper, lower)
    assert "by body weight" in said and "14 observations" in said
    said, other = fit(two_people.drop(columns="WT"), tmp_path)
    assert "the reference individual" in said
    assert abs(other["clint.liver"] - upper["clint.liver"]) > 0.005


def test_samples_below_a_limit_count_as_such(two_people, tmp_path):
    frame = two_people.copy()
    number = pd.to_numeric(frame["DV"], errors="coerce")
    frame["CENS"] = (number < 2).astype(int)
    frame["DV"] = frame["DV"].where(~(number < 2), 2.0)
    _, by_flag = fit(frame, tmp_path)
    assert by_flag["clint.liver"] == pytest.approx(1.0, rel=0.05)
    words = two_people.copy()
    words["DV"] = words["DV"].where(~(number < 2), "<2")
    pd.testing.assert_series_equal(fit(words, tmp_path)[1], by_flag)
    _, by_limit = fit(two_people, tmp_path, "--lloq", "2")
    pd.testing.assert_series_equal(by_limit, by_flag)


@pytest.mark.parametrize("text", [".", "NA", ""])
def test_a_missing_sample_is_not_below_a_limit(two_people, tmp_path, text):
    frame = two_people.copy()
    frame.loc[3, "DV"] = text  # near the peak of the first person
    said, with_limit = fit(frame, tmp_path, "--lloq", "0.01")
    assert "13 observations" in said
    pd.testing.assert_series_equal(with_limit, fit(frame.drop(index=3), tmp_path)[1])


def test_an_effect_is_not_fitted_as_a_concentration(two_people, tmp_path):
    effect = two_people[two_people["EVID"] == 0].assign(DV=60.0, CMT=3)
    both = pd.concat([two_people.assign(DVID=1), effect.assign(DVID=2)])
    both = both.sort_values(["ID", "TIME"], kind="stable")
    assert "--dvid" in fit(both, tmp_path, code=2)[0]
    said, value = fit(both, tmp_path, "--dvid", "1")
    pd.testing.assert_series_equal(value, fit(two_people, tmp_path)[1])
    assert "14 samples with DVID 1 used, 14 others left out" in said
    by_cmt = both.drop(columns="DVID")
    assert "name 3 too" in fit(by_cmt, tmp_path, code=2)[0]
    pd.testing.assert_series_equal(fit(by_cmt, tmp_path, "--cmt", "2")[1], value)


@pytest.mark.parametrize("command", ["fit", "forecast"])
def test_a_route_is_never_assumed(two_people, tmp_path, command):
    usual = {
        "fit": ["--compound", "theophylline", "-p", "clint.liver", "--out", tmp_path / "out"],
        "forecast": ["--times", "1,2", "--out", tmp_path / "f.nc"],
    }[command]
    plain = two_people.drop(columns="CMT")
    assert "--route" in run(command, plain, tmp_path, *usual, code=2)
    said = run(command, two_people, tmp_path, *usual, code=2)
    assert "CMT 1" in said and "1=oral" in said
    said = run(command, two_people, tmp_path, *usual, "--compartment", "3=oral", code=2)
    assert "--compartment" in said and "'3'" in said
    said = run(command, plain, tmp_path, *usual, "--compartment", "1=oral", code=2)
    assert "column CMT" in said
    said = run(command, two_people, tmp_path, *usual, "--compartment", "1=plasmaa", code=2)
    assert "plasmaa" in said
    assert "iv or oral" in run(command, plain, tmp_path, *usual, "--route", "nose", code=2)


def test_names_of_compartments_and_of_subjects(two_people, tmp_path):
    frame = two_people.copy()
    frame["CMT"] = frame["CMT"].map({1: "DEPOT", 2: "Central"})
    frame["ID"] = frame["ID"].map({1: "S-001", 2: "S-0010"})
    _, value = fit(
        frame, tmp_path, route=("--compartment", "depot=oral", "--compartment", "central=plasma")
    )
    pd.testing.assert_series_equal(value, fit(two_people, tmp_path)[1])
    (tmp_path / "x").mkdir()
    said, _ = fit(frame, tmp_path / "x", route=("--compartment", "depott=oral"), code=2)
    assert "did you mean 'DEPOT'" in said


def test_doses_without_a_route_in_one_column_may_have_it_on_the_command_line(two_people, tmp_path):
    _, value = fit(two_people.drop(columns="CMT"), tmp_path, route=("--route", "oral"))
    pd.testing.assert_series_equal(value, fit(two_people, tmp_path)[1])


def test_samples_from_before_the_first_dose_are_left_out(two_people, tmp_path):
    first = pd.DataFrame([dict(ID=1, TIME=0.0, AMT=".", CMT=2, EVID=0, DV=0.7, WT=40.0)])
    said, value = fit(pd.concat([first, two_people]), tmp_path)
    assert "1 samples from before the first dose" in said and "14 observations" in said
    pd.testing.assert_series_equal(value, fit(two_people, tmp_path)[1])


def test_a_weight_that_changes_is_refused_by_name_or_taken_at_the_start(two_people, tmp_path):
    frame = two_people.copy()
    frame.loc[5:7, "WT"] = 44.0
    said, _ = fit(frame, tmp_path, code=2)
    assert "WT (subject 1)" in said and "44" in said and "--baseline" in said
    said, value = fit(frame, tmp_path, "--baseline")
    assert "the first value" in said
    pd.testing.assert_series_equal(value, fit(two_people, tmp_path)[1])


def test_a_steady_state_is_fitted_from_its_record(tmp_path):
    person = ph.reference_individual("human", body_weight=73.0)
    values = curve("200 mg oral q12h ss", person)[
        :5
    ]  # by the engine's search for the periodic state
    rows = "ID,TIME,AMT,CMT,EVID,SS,II,DV,WT\n1,0,200,1,1,1,12,.,73\n"
    rows += "".join(
        f"1,{t},.,2,0,.,.,{c!r},73\n" for t, c in zip(HOURS[:5], map(float, values), strict=True)
    )
    said, value = fit(rows, tmp_path, "--error", "lognormal")
    assert value["clint.liver"] == pytest.approx(1.0, rel=1e-3) and "5 observations" in said
    assert re.search(r"note: steady states \(SS\) are \d+ doses", said)
    alone = rows.replace(",1,12,", ",0,0,")
    assert fit(alone, tmp_path, "--error", "lognormal")[1]["clint.liver"] < 0.8
    late = rows.replace("\n1,0,200", "\n1,-1,200").replace(
        "\n1,-1,200", "\n1,0,100,1,1,0,0,.,73\n1,0.2,200"
    )
    said, _ = fit(late, tmp_path, code=2)
    assert "SS" in said and "ADDL" in said and "first record" in said


NEONATE = "ID,TIME,AMT,DV,EVID,WT\n1,0,25,.,1,1.4\n1,2,,17.3,0,1.4\n"


def test_children_are_built_from_age_and_weight(tmp_path):
    said, _ = fit(NEONATE, tmp_path, route=("--route", "iv"), code=2)
    assert (
        "np.float64" not in said and "1.4" in said and "column AGE" in said and "subject 1" in said
    )
    text = "ID,TIME,AMT,DV,EVID,WT,AGE (months),SEX\nA,0,25,.,1,11,18,F\nA,2,,1.7,0,11,18,F\nB,0,25,.,1,70,480,M\n"
    (tmp_path / "c.csv").write_text(text)
    notes: list[str] = []
    people = people_of(read_nonmem(tmp_path / "c.csv").covariates, "human", False, notes)
    assert people["subject"].values.tolist() == ["A", "B"]
    child = ph.physiology.reference_child(1.5, "female", body_weight=11.0)
    np.testing.assert_allclose(people["volume"].values[0], child["volume"].values[0], rtol=1e-12)
    np.testing.assert_allclose(people["age"].values, [1.5, 40.0])
    assert "1 children" in notes[-1]


@pytest.mark.parametrize(
    ("head", "row", "words"),
    [
        ("WT (lb)", "154", None),
        ("WGT", ".", ["WGT", "subject 1", "--ignore WGT"]),
        ("WT", "seventy", ["WT", "'seventy'", "[kg]"]),
        ("WT,WEIGHT", "70,70", ["WT", "WEIGHT", "one column"]),
        ("SEX", "other", ["SEX", "'other'", "male or female"]),
    ],
)
def test_covariates_of_people_are_read_with_their_unit_or_refused(tmp_path, head, row, words):
    (tmp_path / "a.csv").write_text(f"ID,TIME,AMT,{head}\n1,0,5,{row}\n")
    covariates = read_nonmem(tmp_path / "a.csv").covariates
    if words is None:
        assert covariates_of(covariates, False, [])["body_weight"] == pytest.approx(
            [69.853], rel=1e-4
        )
        return
    with pytest.raises(InputError) as caught:
        covariates_of(covariates, False, [])
    for word in words:
        assert word in str(caught.value)


def test_covariates_that_nothing_uses_are_said(two_people, tmp_path):
    said, _ = fit(two_people.assign(APGR=7, SEX=1), tmp_path)
    assert "not used: " in said and "APGR" in said and "SEX is a number" in said
