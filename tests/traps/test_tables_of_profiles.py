"""Tables of concentrations for noncompartmental analysis: nobody's rows are merged, no column is passed over in silence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pbpk_hybrid._core.errors import FileFormatError, InputError
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.nca.tables import read_profile_table


def read(folder, text, **options):
    (folder / "data.csv").write_text(text, encoding="utf-8")
    return read_profile_table(folder / "data.csv", **options)


def refused(folder, text, *words, error=FileFormatError, **options):
    with pytest.raises(error) as caught:
        read(folder, text, **options)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))


def nca(folder, text, *more):
    """Rows of the result by their label, and what was printed."""
    (folder / "data.csv").write_text(text, encoding="utf-8")
    words = [
        "nca",
        str(folder / "data.csv"),
        "--route",
        "oral",
        "-o",
        str(folder / "out.csv"),
        *more,
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return pd.read_csv(folder / "out.csv", dtype={"subject": str}).set_index(
        "subject"
    ), result.output


PROFILE = "0,0\n{0},0.5,5\n{0},1,4\n{0},2,2\n"


def test_names_of_subjects_are_never_cut(tmp_path):
    text = "subject,time,conc\nA10,0,0\nA10,0.5,5\nA10,1,4\nA10,2,2\nA11,0.1,0\nA11,0.6,3\nA11,1.1,2\nA11,2.1,1\n"
    table, _ = nca(tmp_path, text, "--dose", "100 mg")
    assert table["cmax"].to_dict() == {"A10": 5.0, "A11": 3.0}
    numbers = text.replace("A10", "10").replace("A11", "11")
    table, _ = nca(tmp_path, numbers, "--dose", "100 mg")
    assert table["cmax"].to_dict() == {"10": 5.0, "11": 3.0}
    leading = text.replace("A10", "010").replace("A11", "10")
    assert list(nca(tmp_path, leading)[0].index) == ["010", "10"]


def test_a_row_without_a_subject_is_refused_by_its_line(tmp_path):
    text = "subject,time,conc\n10,0,0\n10,1,5\n,3,1\n"
    refused(tmp_path, text, "line 4", "subject")
    frame = pd.DataFrame({"subject": [10, 10, None], "time": [0, 1, 3], "conc": [0.0, 5.0, 1.0]})
    with pytest.raises(FileFormatError, match="row 3"):
        read_profile_table(frame)


def test_the_first_column_is_no_index(tmp_path):
    data = read(tmp_path, "time,conc,subject\n0,0,a\n1,5,a\n0,0,b\n1,6,b\n").observations
    assert data["time"].values.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("column", "one", "two", "labels"),
    [
        ("period", "1", "2", ["1, period 1", "1, period 2"]),
        ("Occ", "1", "2", ["1, period 1", "1, period 2"]),
        ("ANALYTE", "parent", "metab", ["1, parent", "1, metab"]),
        ("dvid", "1", "2", ["1, 1", "1, 2"]),
        ("Treatment", "test", "reference", ["1, treatment test", "1, treatment reference"]),
    ],
)
def test_profiles_of_one_subject_stay_apart(tmp_path, column, one, two, labels):
    text = f"subject,{column},time,conc\n"
    text += "".join(f"1,{one},{t},{c}\n" for t, c in ((0, 0), (1, 5), (2, 4), (4, 2)))
    text += "".join(f"1,{two},{t},{c}\n" for t, c in ((0.5, 3), (1.5, 4), (3, 2), (6, 1)))
    table, said = nca(tmp_path, text, "--dose", "100 mg")
    assert list(table.index) == labels and table["cmax"].tolist() == [5.0, 4.0]
    assert table["tlast"].tolist() == [4.0, 6.0] and column in said
    refused(tmp_path, text.replace(column, "colour"), "line 6", "time", "same profile", "period")
    refused(tmp_path, text.replace(f",{two},6", ",,6"), "line 9", "''")


def test_records_that_are_no_samples_are_left_out(tmp_path):
    text = "ID,TIME,AMT,DV,EVID,MDV\n1,0,100,0,1,1\n" + "".join(
        f"1,{t},.,{c},0,{m}\n"
        for t, c, m in ((1, 5, 0), (2, 4, 0), (4, 2, 0), (8, 0.5, 0), (9, 99, 1))
    )
    table, said = nca(tmp_path, text)
    assert table.loc["1", "cmax"] == 5.0 and table.loc["1", "tlast"] == 8.0
    assert table.loc["1", "dose"] == 100.0 and "no samples" in said and "AMT" in said
    later = text.replace("1,0,100", "1,0.5,100")
    assert nca(tmp_path, later)[0].loc["1", "tmax"] == 0.5  # since the dose
    excluded = text.replace("MDV", "EXCL")
    assert nca(tmp_path, excluded)[0].loc["1", "cmax"] == 5.0


@pytest.mark.parametrize("head", ["ADDL", "SS"])
def test_a_record_of_several_doses_gives_no_dose(tmp_path, head):
    text = f"ID,TIME,AMT,DV,II,{head}\n1,0,100,.,12,1\n" + "".join(
        f"1,{t},.,{c},.,.\n" for t, c in ((1, 8), (2, 4), (3, 2), (4, 1))
    )
    table, said = nca(tmp_path, text)
    assert "cl_f" not in table and "several doses" in said
    assert nca(tmp_path, text.replace(",12,1", ",0,0"))[0].loc["1", "dose"] == 100.0


def test_units_stand_in_the_header_or_on_the_command_line(tmp_path):
    text = "Subject,Time (min),Conc (ng/mL),Dose (ug)\n1,0,8000,1e5\n1,60,4000,1e5\n1,120,2000,1e5\n1,180,1000,1e5\n"
    table, said = nca(tmp_path, text)
    assert table.loc["1", "cmax"] == pytest.approx(8.0) and table.loc[
        "1", "half_life"
    ] == pytest.approx(1.0)
    assert table.loc["1", "dose"] == pytest.approx(100.0) and "taken in" not in said
    plain = (
        text.replace(" (min)", "")
        .replace(" (ng/mL)", "")
        .replace("60", "1")
        .replace("120", "2")
        .replace("180", "3")
    )
    table, said = nca(tmp_path, plain, "--unit", "ng/mL")
    assert table.loc["1", "cmax"] == pytest.approx(8.0) and "times taken in h" in said
    refused(tmp_path, text, "ng/mL", "mg/L", unit="mg/L")
    refused(tmp_path, text, "--unit", "1 mg", error=InputError, unit="mg")


def test_what_is_not_used_and_what_is_assumed_is_said(tmp_path):
    _, said = nca(tmp_path, "id,time,conc,site,colour\n1,0,8,x,red\n1,1,4,x,red\n1,2,2,x,red\n")
    assert "not used: site, colour" in said and "taken in mg/L" in said
    quiet = CliRunner().invoke(app, ["nca", str(tmp_path / "data.csv"), "--route", "oral", "-q"])
    assert quiet.exit_code == 0 and "note" not in quiet.output


def test_below_and_missing_are_told_apart(tmp_path):
    text = "id,time,conc,lloq\n1,0,8,.5\n1,1,4,.5\n1,2,NA,.5\n1,3,.,.5\n1,4,BLQ,.5\n1,5,<0.6,.5\n"
    data = read(tmp_path, text).observations
    assert data["censored"].values.tolist() == [0, 0, 0, 0, 1, 1]
    assert data["lloq"].values.tolist() == [0.5, 0.5, 0.5, 0.5, 0.5, 0.6]
    assert np.isnan(data["value"].values).tolist() == [False, False, True, True, True, True]
    flagged = "id,time,conc,CENS\n1,0,8,0\n1,1,4,0\n1,2,2,1\n"
    assert read(tmp_path, flagged).observations["lloq"].values[2] == 2.0
    refused(tmp_path, flagged.replace("2,2,1", "2,2,-1"), "line 4", "CENS", "-1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,conc\n1,2\n", ["a column time"]),
        ("id,time\n1,2\n", ["a column concentration"]),
        ("id,time,conc\n1,0,1\n1,x,2\n", ["line 3", "time", "'x'"]),
        ('id,time,conc\n1,0,"1,5"\n', ["line 2", "conc", "1.5"]),
        ("id;time;conc\n1;0;1,500\n", ["line 2", "1500 or 1.500"]),
        ("id,time,conc,conc\n1,0,1,2\n", ["conc", "once"]),
        ("id,time,conc\n1,0,-1\n", ["line 2", "conc", ">= 0"]),
        ("id,time,conc,dose\n1,0,1,10\n1,1,2,20\n", ["line 3", "dose", "10 mg"]),
        ("time,conc\n0,1\n1,2\n0,3\n", ["line 4", "time"]),
        ("id,time,conc,cmt\n1,0,1,2\n1,1,2,3\n", ["cmt", "one compartment"]),
        ("id,time,conc,unit\n1,0,1,mg/L\n1,1,2,ug/L\n", ["unit", "one unit"]),
    ],
)
def test_what_cannot_be_read_is_refused_with_line_and_column(tmp_path, text, words):
    refused(tmp_path, text, *words)


def test_semicolons_with_decimal_commas(tmp_path):
    data = read(tmp_path, "Subject;Time;Conc\nx;0;8,25\nx;1,5;<0,5\n").observations
    assert data["value"].values[0] == 8.25 and data["time"].values.tolist() == [0, 1.5]
    assert data["lloq"].values[1] == 0.5


def test_unit_and_ignore_are_for_tables_only(tmp_path):
    result = CliRunner().invoke(app, ["nca", str(tmp_path / "a.nc"), "--unit", "ng/mL"])
    assert result.exit_code == 2 and "--unit" in result.output
