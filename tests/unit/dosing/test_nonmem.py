"""NONMEM-style data sets, in and out."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import FileFormatError, InputError
from pbpk_hybrid._core.schemas import validate
from pbpk_hybrid.dosing import Regimen, expand, read_nonmem, write_nonmem

SMALL = """\
ID,TIME,AMT,RATE,ADDL,II,SS,CMT,EVID,DV,MDV,WT,ARM
# a comment
1,0,100,0,2,12,0,1,1,.,1,70,A
1,1,.,.,.,.,.,2,0,3.5,0,70,A
1,2,.,.,.,.,.,2,0,.,1,70,A
2,0,120,60,.,.,.,2,1,.,1,55,B
2,4,0,0,0,0,0,2,0,1.25,0,56,B
2,6,0,0,0,0,0,2,3,.,1,56,B
"""


def read(tmp_path, text, **options):
    file = tmp_path / "data.csv"
    file.write_text(text)
    return read_nonmem(file, **options)


# ---- reading -----------------------------------------------------------------------------------------------------


def test_doses_observations_and_covariates_are_told_apart(tmp_path):
    regimen, obs, cov = read(tmp_path, SMALL, compartments={1: "oral", 2: "iv"})
    c = regimen.columns
    assert c["subject"].tolist() == [1, 2, 2] and c["evid"].tolist() == [1, 1, 3]
    assert c["route"].tolist() == ["oral", "iv_infusion", ""] and c["rate"].tolist() == [0, 60, 0]
    assert c["additional_doses"].tolist() == [2, 0, 0] and c["interdose_interval"].tolist() == [
        12,
        0,
        0,
    ]
    validate(obs, "observation")
    assert obs["value"].values.tolist() == [3.5, 1.25] and obs["subject"].values.tolist() == [
        "1",
        "2",
    ]
    assert obs["cmt"].values.tolist() == [2, 2]
    assert cov["ARM"].dims == ("subject",) and cov["ARM"].values.tolist() == ["A", "B"]
    assert cov["WT"].dims == ("record",) and cov["WT"].values.tolist() == [70, 70, 70, 55, 56, 56]
    assert cov["record_subject"].values.tolist() == [1, 1, 1, 2, 2, 2]


def test_lower_case_names_and_compressed_files_are_read_alike(tmp_path):
    lines = SMALL.splitlines()
    file = tmp_path / "data.csv.gz"
    with gzip.open(file, "wt") as f:
        f.write("\n".join([lines[0].lower(), *lines[1:]]))
    low = read_nonmem(file, dv="dv")
    assert low.regimen == read(tmp_path, SMALL).regimen
    assert low.observations["value"].values.tolist() == [3.5, 1.25]


def test_units_are_converted(tmp_path):
    text = "ID,TIME,AMT,RATE,EVID,DV\n1,0,5000,2500,1,.\n1,60,.,.,0,80\n"
    regimen, obs, _ = read(
        tmp_path, text, amount_unit="ug", time_unit="min", concentration_unit="ng/mL"
    )
    c = regimen.columns
    assert c["amount"][0] == pytest.approx(5.0) and c["rate"][0] == pytest.approx(150.0)
    assert obs["time"].values[0] == pytest.approx(1.0) and obs["value"].values[0] == pytest.approx(
        0.08
    )


def test_without_evid_an_amount_makes_a_dose(tmp_path):
    regimen, obs, _ = read(tmp_path, "ID,TIME,AMT,DV\n1,0,100,.\n1,1,.,5\n")
    assert (
        len(regimen) == 1
        and regimen.columns["route"].tolist() == ["iv_bolus"]
        and obs.sizes["sample"] == 1
    )


def test_modelled_duration_and_rate(tmp_path):
    text = "ID,TIME,AMT,RATE,DUR,BIOAV,ALAG\n1,0,100,-2,4,0.5,1\n1,50,100,-1,0,0.5,1\n"
    regimen = read(tmp_path, text, modelled_rate=10).regimen
    e = expand(regimen, [1])
    # duration kept at 4 h, rate F D/T; then rate kept at 10 mg/h, duration F D/R
    assert e.time.tolist() == [1, 5, 51, 56] and e.value.tolist() == [12.5, -12.5, 10, -10]


def test_compartment_numbers_become_names(tmp_path):
    text = "ID,TIME,AMT,CMT\n1,0,100,3\n1,1,100,0\n"
    c = read(tmp_path, text).regimen.columns
    assert c["compartment"].tolist() == ["3", ""] and c["route"].tolist() == [
        "compartment",
        "iv_bolus",
    ]
    with pytest.raises(FileFormatError, match=r"line 2, CMT.*3.*1 \(oral\)"):
        read(tmp_path, text, compartments={1: "oral"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID,time,TIME,AMT\n1,0,0,100\n", ["columns", "'time'", "'TIME'", "once"]),
        ("TIME,AMT\n0,100\n", ["column ID"]),
        ("ID,TIME,AMT,AMT\n1,0,1,1\n", ["AMT", "once"]),
        ("ID,TIME,AMT\n1,0,100\n1,NA,100\n", ["line 3", "TIME", "'NA'", "subject 1"]),
        ("ID,TIME,AMT\n1,.,100\n", ["line 2", "TIME", "'.'"]),
        ("ID,TIME,AMT\n1,0,1e999\n", ["line 2", "AMT", "finite"]),
        ("ID,TIME,AMT\n1,0,ten\n", ["line 2", "AMT", "'ten'"]),
        ("ID,TIME,AMT\n1,0\n", ["line 2", "2", "3 fields"]),
        ("ID,TIME,AMT\n1.5,0,5\n", ["line 2", "ID", "1.5"]),
        ("ID,TIME,AMT\n1,2,100\n1,1,100\n", ["line 3", "TIME", "1.0", ">= 2", "subject 1"]),
        ("ID,TIME,AMT\n1,0,1\n2,0,1\n1,5,1\n", ["line 4", "ID", "together", "subject 1"]),
        ("ID,TIME,AMT,EVID\n1,0,100,5\n", ["line 2", "EVID", "5"]),
        ("ID,TIME,AMT,EVID\n1,0,100,0\n", ["line 2", "AMT", "100", "EVID 0"]),
        ("ID,TIME,AMT,EVID\n1,0,100,3\n", ["line 2", "AMT", "EVID 3"]),
        ("ID,TIME,AMT\n1,0,-5\n", ["line 2", "amount", "-5", "subject 1"]),
        ("ID,TIME,AMT,RATE\n1,0,5,-3\n", ["line 2", "RATE", "-3"]),
        ("ID,TIME,AMT,RATE\n1,0,5,-2\n", ["line 2", "column DUR"]),
        ("ID,TIME,AMT,RATE,DUR\n1,0,5,-2,0\n", ["line 2", "DUR", "> 0"]),
        ("ID,TIME,AMT,RATE\n1,0,5,-1\n", ["line 2", "modelled_rate"]),
        ("ID,TIME,AMT,ADDL,II\n1,0,5,3,0\n", ["line 2", "interdose_interval", "additional"]),
        ("ID,TIME,AMT,ADDL,II\n1,0,5,2.5,12\n", ["line 2", "ADDL", "2.5", "whole"]),
        ("ID,TIME,AMT,SS,II\n1,0,5,1,0\n", ["line 2", "interdose_interval", "steady_state"]),
        ("ID,TIME,AMT,SS,II\n1,0,5,99,0\n", ["line 2", "steady_state", "99"]),
        ("ID,TIME,AMT,DV,EVID\n1,0,0,-1,0\n", ["line 2", "DV", "-1"]),
        ("ID,TIME,AMT,EVID,CMT\n1,0,0,2,-1\n", ["line 2", "CMT", "-1", "never off"]),
        ("", ["column names"]),
    ],
)
def test_faults_name_file_line_and_value(tmp_path, text, words):
    with pytest.raises(InputError) as err:
        read(tmp_path, text)
    for word in words:
        assert word in str(err.value)


def test_steady_state_with_additional_doses_is_no_contradiction(tmp_path):
    c = read(tmp_path, "ID,TIME,AMT,SS,II,ADDL\n1,0,5,1,12,3\n").regimen.columns
    assert (c["steady_state"][0], c["additional_doses"][0]) == (1, 3)


def test_codes_for_missing_are_named_per_column(tmp_path):
    text = "ID,TIME,AMT,SS,II\n1,0,99,99,0\n"
    c = read(tmp_path, text, missing={"SS": ["99"]}).regimen.columns
    assert c["steady_state"].tolist() == [0] and c["amount"].tolist() == [99]


def test_a_file_that_is_not_there_is_an_error_of_ours(tmp_path):
    with pytest.raises(FileFormatError, match="exists"):
        read_nonmem(tmp_path / "none.csv")


def test_unknown_columns_to_rename_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match="'lagtime' for ALAG"):
        read(tmp_path, SMALL, columns={"ALAG": "lagtime"})
    with pytest.raises(FileFormatError, match=r"LAG.*one of"):
        read(tmp_path, SMALL, columns={"LAG": "WT"})


# ---- writing -----------------------------------------------------------------------------------------------------

NUMBERS = {1: "oral", 2: "iv", 3: "liver"}


def test_what_is_written_is_read_back_as_it_was(tmp_path):
    regimen = Regimen.per_subject(
        [
            Regimen.infusion(100, 3, lag=0.5, bioavailability=0.4, interval=12, additional_doses=2),
            Regimen.infusion(100, rate=7, bioavailability=0.4, steady_state=True, interval=8)
            + Regimen.oral(1 / 3, 20)
            + Regimen.dose(5, 30, compartment="liver", reset=True)
            + Regimen.reset(40)
            + Regimen.other(41),
        ],
        subjects=[4, 9],
    )
    path = write_nonmem(tmp_path / "out.csv", regimen, compartments=NUMBERS)
    back = read_nonmem(path, compartments=NUMBERS).regimen
    for name, column in regimen.columns.items():
        assert back.columns[name].tolist() == column.tolist(), name


def test_observations_and_covariates_survive_the_round_trip(tmp_path):
    first = read(tmp_path, SMALL.replace(",56,", ",55,"), compartments=NUMBERS)
    path = write_nonmem(tmp_path / "out.csv", *first, compartments=NUMBERS)
    second = read_nonmem(path, compartments=NUMBERS)
    assert second.regimen.columns["time"].tolist() == first.regimen.columns["time"].tolist()
    for name in ("time", "value", "subject", "cmt"):
        assert second.observations[name].values.tolist() == first.observations[name].values.tolist()
    for name in ("WT", "ARM"):
        assert second.covariates[name].values.tolist() == first.covariates[name].values.tolist()


def test_shared_doses_per_kg_are_written_out_for_each_subject(tmp_path):
    path = write_nonmem(
        tmp_path / "out.csv", Regimen.bolus("2 mg/kg"), subjects=[1, 2], body_weight=[50, 80]
    )
    assert read_nonmem(path).regimen.columns["amount"].tolist() == [100, 160]
    with pytest.raises(InputError, match="body_weight"):
        write_nonmem(tmp_path / "out.csv", Regimen.bolus("2 mg/kg"), subjects=[1, 2])
    with pytest.raises(InputError, match="subjects"):
        write_nonmem(tmp_path / "out.csv", Regimen.bolus(2))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_nonmem(tmp_path / "out.csv", Regimen.bolus(1), subjects=[1])
    before = path.read_text()
    with pytest.raises(InputError, match=r"compartments.*'liver'"):
        write_nonmem(path, Regimen.dose(1, compartment="liver"), subjects=[1])
    assert path.read_text() == before and [p.name for p in tmp_path.iterdir()] == ["out.csv"]


@given(
    st.lists(
        st.builds(
            lambda kind, amount, extent, time, lag, f, n: {
                "bolus": lambda **k: Regimen.bolus(amount, time, **k),
                "duration": lambda **k: Regimen.infusion(amount, extent, time, **k),
                "rate": lambda **k: Regimen.infusion(amount, time=time, rate=extent, **k),
                "oral": lambda **k: Regimen.oral(amount, time, **k),
            }[kind](
                lag=lag,
                bioavailability=f,
                **({"interval": extent, "additional_doses": n} if n else {}),
            ),
            st.sampled_from(["bolus", "duration", "rate", "oral"]),
            st.floats(0.01, 1e4),
            st.floats(0.1, 60),
            st.floats(0, 200),
            st.sampled_from([0, 0.25, 1 / 3]),
            st.sampled_from([1, 0.5, 1 / 3]),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_regimen_gives_the_same_events_after_a_round_trip(tmp_path_factory, parts):
    regimen = sum(parts[1:], parts[0])
    path = write_nonmem(
        tmp_path_factory.mktemp("nm") / "r.csv", regimen, subjects=[3], compartments=NUMBERS
    )
    back = read_nonmem(path, compartments=NUMBERS).regimen
    one, two = expand(regimen.for_subjects([3]), [3]), expand(back, [3])
    for name in ("subject", "time", "kind", "value"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()
    assert [one.compartments[i] for i in one.compartment] == [
        two.compartments[i] for i in two.compartment
    ]
