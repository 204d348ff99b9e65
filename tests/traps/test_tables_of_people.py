"""Texts of demographics tables: read as a reader of the paper would, or refused with both ways to say it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import pbpk_hybrid as ph
from pbpk_hybrid.physiology.like.criteria import Criterion
from pbpk_hybrid.physiology.like.request import read_request


def read(name, text):
    return {
        s.kind if s.kind != "quantile" else f"q{100 * s.probability:g}": s.value
        for s in read_request({name: text}).statistics
    }


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("age", "34 ± 8", {"mean": 34, "sd": 8}),
        ("age", "34 +/- 8 years", {"mean": 34, "sd": 8}),
        ("age", "34±8 (21–52)", {"mean": 34, "sd": 8, "min": 21, "max": 52}),
        ("age", "34 (SD 8; range 21 to 52)", {"mean": 34, "sd": 8, "min": 21, "max": 52}),
        ("age", "mean (SD) [range] 34 (8) [21-52]", {"mean": 34, "sd": 8, "min": 21, "max": 52}),
        ("age", "mean 34, 20 % CV", {"mean": 34, "sd": 6.8}),
        ("age", "408 ± 96 months", {"mean": 34, "sd": 8}),
        ("age", "18-65", {"min": 18, "max": 65}),
        ("age", "≥ 18", {"min": 18}),
        ("egfr", "median 62 [IQR 50-75]", {"q50": 62, "q25": 50, "q75": 75}),
        ("egfr", "median (IQR) 62 (50-75)", {"q50": 62, "q25": 50, "q75": 75}),
        ("egfr", "median 62 (5th-95th percentile 30-99)", {"q50": 62, "q5": 30, "q95": 99}),
        ("weight", "172 ± 20 lb", {"mean": 172 * 0.45359237, "sd": 20 * 0.45359237}),
        ("height", "1.76 ± 0.07 m", {"mean": 176, "sd": 7}),
        ("creatinine", "88.4 ± 17.7 µmol/L", {"mean": 1.0, "sd": 0.2}),
        ("hematocrit", "42 ± 4 %", {"mean": 0.42, "sd": 0.04}),
        ("Hematocrit (%)", "42 ± 4", {"mean": 0.42, "sd": 0.04}),
        ("Age (years), mean (SD)", "34 (8)", {"mean": 34, "sd": 8}),
        ("BMI [kg/m²] median (min-max)", "25 (18-31)", {"q50": 25, "min": 18, "max": 31}),
        ("weight", {"mean": 70, "sd": "10 kg"}, {"mean": 70, "sd": 10}),
        ("weight", (50, 90), {"min": 50, "max": 90}),
        ("female", "12 (44 %)", {"share": 0.44}),
        ("Women", "12/27", {"share": 12 / 27}),
        ("Male, n (%)", "15 of 20", {"share": 0.25}),
        ("female", 0.45, {"share": 0.45}),
    ],
)
def test_what_papers_print_is_read(name, text, expected):
    found = read(name, text)
    assert found.keys() == expected.keys()
    for kind, value in expected.items():
        # creatinine: 88.4 µmol/L are 1.0 mg/dL to three digits
        assert found[kind] == pytest.approx(value, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("age", "34 (8)", "mean 34"),
        ("age", "34 (21-52)", "median 34"),
        ("age", "median 62 (50-75)", "IQR"),
        ("age", "34", "say what 34 is"),
        ("age", "34 ± 1,5", "decimal sign is a point"),
        ("age", "34 ± 8 (SE)", "standard error"),
        ("age", "mean 34 (95% CI 30-38)", "confidence interval"),
        ("age", "-5 ± 3", "negative"),
        ("age", "34 ± 8 ± 3", "two values"),
        ("age", "3 years ± 4 months", "more than one unit"),
        ("age", "52 ± 8 (60-21)", "above"),
        ("age", "median 40 [IQR 45-60]", "rise"),
        ("age", "SD 8", "mean"),
        ("age", "nobody knows", "such as"),
        ("age", "٣٤ ± 8", "cannot be read"),
        ("age", "34 ± 8 kg", "year"),
        ("Weight (stone)", "12 ± 1", "stone"),
        ("Weight [kg/m2]", "25 ± 3", "kg"),
        ("female", "45", "share"),
        ("female", "145 %", "0 to 100 %"),
        ("female", "12/0", "0 to 100 %"),
        ("weight", {"mean": 70, "sdd": 10}, "one of"),
        ("weight", 70, "mean 70"),
        ("age", "34 ± 0", "above zero"),
        ("age", "0 ± 3", "above zero"),
        ("weight", "1e308 ± 1", "that people have"),
        ("age", None, "mean"),
    ],
)
def test_what_can_mean_two_things_or_nothing_is_refused(name, text, words):
    with pytest.raises(ph.InputError, match=words):
        read_request({name: text})


def test_an_unknown_row_of_a_mapping_is_an_error_with_a_hint():
    with pytest.raises(ph.UnknownNameError, match="white"):
        read_request({"race": "60 %"})
    with pytest.raises(ph.UnknownNameError, match="body_weight"):
        read_request({"wieght": "70 ± 10", "body_weigth": "3 ± 1"})


def test_a_quantity_given_twice_is_refused():
    with pytest.raises(ph.InputError, match="one value for the mean of body_weight"):
        read_request({"weight": "70 ± 10", "Body weight (kg)": "75 ± 10"})


PASTED = """
Characteristic          All (n = 27)
Age (years)             34 ± 8 (21-52)
Weight, kg              78.1 ± 9.4
Albumin (g/L)           41 ± 3
Female, n (%)           12 (44 %)
"""


def test_pasted_text_is_read_and_says_which_rows_do_nothing():
    with pytest.warns(ph.NoEffectWarning, match="Albumin"):
        request = read_request(PASTED)
    assert {(s.quantity, s.kind) for s in request.statistics} == {
        ("age", "mean"),
        ("age", "sd"),
        ("age", "min"),
        ("age", "max"),
        ("body_weight", "mean"),
        ("body_weight", "sd"),
        ("female", "share"),
    }


def test_a_csv_file_and_a_frame_say_the_same(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "table.csv"
    path.write_text("row,value\nage,34 ± 8 (21-52)\nfemale,45 %\n", encoding="utf-8")
    frame = pandas.DataFrame({"row": ["age", "female"], "value": ["34 ± 8 (21-52)", "45 %"]})
    long = pandas.DataFrame(
        {"row": ["age"], "unit": ["year"], "mean": [34], "sd": [8.0], "min": [21], "max": [52]}
    )
    expected = read_request({"age": "34 ± 8 (21-52)", "female": "45 %"}).statistics
    assert read_request(str(path)).statistics == expected
    assert read_request(path).statistics == expected
    assert read_request(frame).statistics == expected
    assert set(read_request(long).statistics) == set(expected[:4])


def test_a_table_of_two_arms_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("row,placebo,drug\nage,34 ± 8,35 ± 8\n", encoding="utf-8")
    with pytest.raises(ph.InputError, match="one group of the study"):
        read_request(path)


@pytest.mark.parametrize(
    ("like", "named"),
    [
        ({"age": "60 ± 40 (50-70)"}, "SD of age"),
        ({"age": "95 ± 3"}, "mean of age"),
        ({"bmi": "20 ± 2", "weight": "100 ± 10", "height": "175 ± 7"}, "body_weight"),
        ({"white": "50 %", "black": "40 %", "hispanic": "30 %"}, "share of white"),
    ],
)
def test_a_contradiction_gives_the_nearest_and_names_what_gave(like, named):
    with pytest.warns(ph.OutOfRangeWarning, match=named):
        people = ph.sample_population(60, like=like, seed=1)
    assert any(named in row.statistic.label for row in people.pk.like().missed)
    with pytest.raises(ph.InputError, match=named):
        ph.sample_population(60, like=like, seed=1, strict=True)


def test_ranges_that_nobody_has_are_refused():
    with pytest.raises(ph.InputError, match="nobody in NHANES"):
        ph.sample_population(10, like={"bmi": "10-12"}, seed=1)
    with pytest.raises(ph.InputError, match="nobody in NHANES"):
        ph.sample_population(10, like={"bmi": "15-17", "weight": "120-130"}, seed=1)


def test_what_a_table_cannot_be_combined_with_is_refused():
    with pytest.raises(ph.InputError, match="either in like or as sex"):
        ph.sample_population(10, like={"female": "45 %"}, sex="male", seed=1)
    with pytest.raises(ph.InputError, match="given by like"):
        ph.sample_population(10, strict=True, seed=1)
    with pytest.raises(ph.InputError, match="a criterion"):
        ph.sample_population(10, where=5, seed=1)
    with pytest.raises(ph.InputError, match="rat"):
        ph.sample_population(10, "rat", like={"weight": "0.3 ± 0.02 kg"}, seed=1)


def test_people_without_a_table_have_no_comparison():
    with pytest.raises(ph.InputError, match="like="):
        ph.sample_population(3, seed=1).pk.like()
    table = ph.like_table(ph.sample_population(50, seed=1), {"age": "34 ± 8"})
    assert "mean of age" in str(table) and table.missed


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "age",
        "age < 65 and",
        "weight < 'x'",
        "age < 10**9",
        "sex == 'x'",
        "(lambda: 1)() < 3",
        "liver < 3",
        "age < 1/0",
        "age < 65; bmi < 3",
        "1e999 > age",
        "age[0] < 3",
        "True < age",
        "age.real < 3",
        "sex < 'male'",
        "",
        "age < 5" + " or age < 5" * 60,
        "(" * 60 + "age < 5" + ")" * 60 + " and " + "not " * 60 + "age < 5",
    ],
)
def test_a_criterion_outside_the_grammar_is_refused(text):
    with pytest.raises(ph.InputError):
        Criterion(text)


def test_a_criterion_means_what_it_says():
    columns = {
        "male": np.array([True, False, False]),
        "age": np.array([30.0, 50.0, 70.0]),
        "body_weight": np.array([80.0, 60.0, 90.0]),
        "height": np.array([180.0, 160.0, 165.0]),
        "hematocrit": np.array([0.45, 0.4, 0.4]),
        "serum_creatinine": np.array([1.0, 0.8, 1.2]),
        "gfr": np.array([7.0, 6.0, 4.0]),
        "ethnicity": np.array(["Other", "Other Hispanic", "Other"]),
    }

    def holds(text):
        return Criterion(text).holds(columns).tolist()

    assert holds("18 <= age < 65") == [True, True, False]
    assert holds("not (sex == 'female') or weight / height > 0.5") == [True, False, True]
    assert holds("ethnicity in ('Other', 'Mexican American')") == [True, False, True]
    assert holds("sex != 'male' and age - 10 >= 60") == [False, False, True]


def test_the_command_takes_a_table_and_prints_the_achieved_one(tmp_path):
    from typer.testing import CliRunner

    from pbpk_hybrid.cli.app import app

    def run(*words):
        return CliRunner().invoke(app, [str(w) for w in words], env={"COLUMNS": "200"})

    path, out = tmp_path / "table.csv", tmp_path / "people.nc"
    path.write_text("row,value\nAge (years),40 ± 10\nWomen,50 %\n", encoding="utf-8")
    result = run("population", 60, "--like", path, "--where", "bmi < 35", "--seed", 3, "-o", out)
    assert result.exit_code == 0, result.output
    assert "all met" in result.output and "mean of age" in result.output
    written = xr.open_dataset(out)
    same = ph.sample_population(60, like=str(path), where="bmi < 35", seed=3)
    np.testing.assert_array_equal(written["body_weight"], same["body_weight"])
    assert written.pk.like().missed == ()
    for words, text in (
        (("--strict",), "--like"),
        (("--like", "age: 34 (8)"), "mean 34"),
        (("--where", "liver < 3"), "a quantity"),
    ):
        result = run("population", 20, "--seed", 1, *words)
        assert result.exit_code != 0 and text in " ".join(result.output.split())
