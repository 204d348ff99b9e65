"""Data sets from strangers: every column that changes what a row means is understood or refused by name.

Right values: NONMEM help (data items DATE, TIME, EVID, SS), the conventions of rxode2, nlmixr2 and Monolix for CENS, DVID
and DUR, closed forms, or the same data written in another way.
"""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import FileFormatError, InputError, UnknownNameError
from pbpk_hybrid.dosing import Regimen, expand, just_before, read_nonmem, write_nonmem
from pbpk_hybrid.models.system.system import Observable, System

HEAD = "ID,TIME,AMT,EVID,DV\n"


def read(folder, text, name="data.csv", **options):
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read_nonmem(file, **options)


def refused(folder, text, *words, error=FileFormatError, **options):
    with pytest.raises(error) as caught:
        read(folder, text, **options)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))


def notes(data) -> str:
    return data.observations.attrs["notes"]


# ---- names of columns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Id,Time,Amt,Evid,Dv,Wt\n1,0,100,1,.,70\n1,1,.,0,3,70\n",
        "id,time,amt,evid,dv,wt\n1,0,100,1,.,70\n1,1,.,0,3,70\n",
        "#ID,TIME,AMT,EVID,DV,WT\n1,0,100,1,.,70\n# a comment\n1,1,.,0,3,70\n",
        "# made by hand\n#ID,TIME,AMT,EVID,DV,WT\n1,0,100,1,.,70\n1,1,.,0,3,70\n",
        "\ufeffID,TIME,AMT,EVID,DV,WT\n1,0,100,1,.,70\n1,1,.,0,3,70\n",
        "ID;TIME;AMT;EVID;DV;WT\n1;0;100;1;.;70,0\n1;1,0;.;0;3;70,0\n",
        "ID\tTIME\tAMT\tEVID\tDV\tWT\n1\t0\t100\t1\t.\t70\n1\t1\t\t0\t3\t70\n",
        "ID TIME  AMT EVID DV WT\n 1 0 100 1 . 70\n 1 1.0 . 0 3 70\n",
        "sep=;\nID;TIME;AMT;EVID;DV;WT\n1;0;100;1;;70\n1;1;;0;3;70\n",
        'ID,TIME,AMT,EVID,DV,WT,\n"1",0,100,1,NA,70,\n1,1,NaN,0,3,70,\n,,,,,,\n',
        "Subject,Time (h),AMT (mg),EVID,Conc (mg/L),WT\n1,0,100,1,.,70\n1,1,.,0,3,70\n",
        "Subject,Time (min),AMT (ug),EVID,Conc [ng/mL],WT (g)\n1,0,1e5,1,.,7e4\n1,60,.,0,3000,7e4\n",
        "ID,TIME,AMT,EVID,DV,WT\n1,0,1D2,1,.,70\n1,1,.,0,3.0D0,70\n",
    ],
)
def test_one_data_set_in_many_forms_is_one_data_set(tmp_path, text):
    regimen, seen, covariates = read(tmp_path, text)
    assert regimen.columns["amount"].tolist() == [100.0]
    assert seen["time"].values.tolist() == pytest.approx([1.0])
    assert seen["value"].values.tolist() == pytest.approx([3.0])
    assert float(covariates["WT"][0]) in (70.0, 7e4)


def test_a_frame_is_read_as_its_file_is(tmp_path):
    text = "ID,TIME,AMT,EVID,DV,WT\n1,0,100,1,.,70\n1,1,.,0,3.25,70\n"
    one = read(tmp_path, text)
    frame = pd.read_csv(tmp_path / "data.csv", na_values=".")
    for source in (frame, frame.set_index(["ID", "TIME"]), frame.astype(object)):
        two = read_nonmem(source)
        assert two.regimen == one.regimen
        assert two.observations["value"].values.tolist() == [3.25]
        assert two.covariates["WT"].values.tolist() == [70.0]
    gaps = pd.DataFrame(
        {"ID": ["a", "a"], "TIME": [0, 1], "AMT": pd.array([5, None], dtype="Int64")}
    )
    assert read_nonmem(gaps.assign(DV=[None, 3.0])).observations["value"].values.tolist() == [3.0]
    clock = gaps.assign(
        TIME=pd.to_datetime(["2024-02-29 22:00", "2024-03-01 01:30"]), DV=[None, 3.0]
    )
    assert read_nonmem(clock).observations["time"].values.tolist() == [3.5]
    frame.loc[1, "DV"] = np.inf
    with pytest.raises(FileFormatError, match="DataFrame, row 2, DV"):
        read_nonmem(frame)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID;TIME;AMT\n1;0;1,234\n", ["line 2", "1,234", "1234 or 1.234"]),
        ("ID;TIME;AMT\n1;0;1,5\n1;1.5;2\n", ["line 3", "1.5", "line 2", "1,5"]),
        ("ID,TIME,AMT\n1,0,1,5\n", ["line 2", "3 fields", "semicolons"]),
        ('ID,TIME,AMT\n1,0,"1,5"\n', ["line 2", "AMT", "1.5 is meant"]),
        ("ID,TIME,AMT\n1,0,1_000\n", ["line 2", "AMT", "1_000"]),
        ("ID,TIME,AMT\n1,0,١\n", ["line 2", "AMT"]),
        ("ID,TIME,AMT,\n1,0,5,7\n", ["line 2", "7", "a name for every column"]),
        ("ID,TIME (parsec),AMT\n1,0,5\n", ["TIME (parsec)"]),
        ("ID,TIME,AMT,DUR,TINF\n1,0,5,1,2\n", ["DUR", "TINF", "one column"]),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path, text, words):
    refused(tmp_path, text, *words, error=InputError)


def test_header_and_caller_must_agree_on_the_unit(tmp_path):
    text = "ID,TIME,AMT,EVID,DV (ng/mL)\n1,0,100,1,.\n1,1,.,0,3000\n"
    assert read(tmp_path, text, concentration_unit="ug/L").observations.value.values[0] == 3.0
    refused(tmp_path, text, "ng/mL", "mg/L", concentration_unit="mg/L")
    units = "ID,TIME,AMT,EVID,DV,UNIT\n1,0,100,1,.,ng/mL\n1,1,.,0,3000,ng/mL\n"
    assert read(tmp_path, units).observations.value.values[0] == pytest.approx(3.0)
    refused(tmp_path, units.replace("3000,ng/mL", "3,mg/L"), "UNIT", "one unit")


# ---- who ------------------------------------------------------------------------------------------------------------


def test_names_of_subjects_are_kept_whole(tmp_path):
    text = HEAD + "S-001,0,100,1,.\nS-001,1,.,0,3\nS-0010,0,50,1,.\nS-0010,1,.,0,2\n"
    regimen, seen, covariates = read(tmp_path, text)
    assert seen["subject"].values.tolist() == ["S-001", "S-0010"]
    assert covariates["subject"].values.tolist() == ["S-001", "S-0010"]
    assert regimen.columns["subject"].tolist() == [0, 1]
    refused(tmp_path, HEAD + "S-001,0,100,1,.\n.,1,.,0,3\n", "line 3", "ID", "a subject")
    refused(tmp_path, HEAD + "1,0,100,1,.\n01,1,.,0,3\n", "line 3", "01")


# ---- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "rows", "hours"),
    [
        # NONMEM help, TIME: 8:00, 14:45, 14.75 are 0, 6.75, 6.75
        ("TIME", ["8:00", "14:45", "14.75"], [6.75, 6.75]),
        ("TIME", ["8:00 AM", "1:30 PM", "23:59:30"], [5.5, 15.991666666666667]),
        # NONMEM help, DATE: 10-1-86 9:15, 10-1-86 14:40, 10-2-86 8:30 are 0, 5.42, 23.25
        (
            "DATE,TIME",
            ["10-1-86,9:15", "10-1-86,14:40", "10-2-86,8:30"],
            [5.416666666666667, 23.25],
        ),
        # and 10-12 8, 10-14 10 are 0 and 50
        ("DATE,TIME", ["10-12,8", "10-14,10", "10-14,11"], [50, 51]),
        ("DATE,TIME", ["1,8", "1,9", "2,20"], [1, 36]),
        ("DATE,TIME", ["12/31/99,0", "1/1/00,0", "1/2/00,1"], [24, 49]),
        ("DATE,TIME", ["12/31/00,0", "1/1/01,0", "1/2/2001,1"], [24, 49]),
        ("DAT1,TIME", ["31/12/2023,23:00", "1/1/2024,1:00", "29/2/2024,23:00"], [2, 24 * 60]),
        ("DAT2,TIME", ["24-2-28,0", "24-2-29,0", "24-3-1,0"], [24, 48]),
        ("DAT3,TIME", ["24-28-2,0", "24-29-2,0", "24-1-3,0"], [24, 48]),
        ("DATE,TIME", ["2024-02-28,8:00", "2024-02-29,8:00", "2024-03-01,8:00"], [24, 48]),
        ("TIME", ["2024-02-28 08:00", "2024-02-28T20:00", "2024-02-29 08:00"], [12, 24]),
    ],
)
def test_clocks_and_dates_become_elapsed_hours_as_in_nm_tran(tmp_path, columns, rows, hours):
    text = f"ID,{columns},AMT,EVID,DV\n"
    text += f"1,{rows[0]},100,1,.\n" + "".join(f"1,{r},.,0,3\n" for r in rows[1:])
    data = read(tmp_path, text)
    assert data.regimen.columns["time"].tolist() == [0]
    assert data.observations["time"].values.tolist() == pytest.approx(hours, abs=1e-9)
    assert "hours since each subject's first record" in notes(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID,TIME,AMT\n1,23:00,5\n1,1:00,5\n", ["line 3", "1:00", "column DATE"]),
        ("ID,TIME,AMT\n1,8:61,5\n", ["line 2", "8:61", "clock time"]),
        ("ID,DATE,TIME,AMT\n1,31/12/2023,8,5\n", ["line 2", "31/12/2023", "DAT1"]),
        ("ID,DATE,TIME,AMT\n1,1,8,5\n1,1/2/24,8,5\n", ["line 3", "one kind"]),
        (
            "ID,DATE,TIME,AMT\n1,1,0,5\n1,2,24,5\n",
            ["line 3", "24", "leave the column of dates out"],
        ),
        ("ID,DATE,TIME,AMT\n1,.,0,5\n", ["line 2", "DATE", "a date"]),
    ],
)
def test_clocks_and_dates_that_cannot_be_are_refused(tmp_path, text, words):
    refused(tmp_path, text, *words)


def test_dates_beside_elapsed_times_can_be_left_out(tmp_path):
    data = read(tmp_path, "ID,DATE,TIME,AMT\n1,1,0,5\n1,2,24,5\n", ignore=["date"])
    assert data.regimen.columns["time"].tolist() == [0, 24]


def test_time_starts_anew_at_a_reset_and_nowhere_else(tmp_path):
    text = HEAD + "1,0,5,1,.\n1,24,.,0,1\n1,0,5,4,.\n1,2,.,0,3\n"
    regimen, seen, _ = read(tmp_path, text)
    c = regimen.columns
    assert c["evid"].tolist() == [1, 4] and c["time"].tolist() == [0, 24]
    # 2 h after the second dose; the sample of 24 h was taken before it
    assert seen["time"].values.tolist() == [24, 26] and seen["before_dose"].values.tolist() == [
        1,
        0,
    ]
    refused(tmp_path, text.replace("1,0,5,4", "1,0,5,1"), "line 4", "TIME", "EVID 3 or 4")


def test_every_subject_has_its_own_clock_resets_and_troughs(tmp_path):
    text = HEAD + "1,8:00,5,1,.\n1,9:00,.,0,1\n2,10:00,7,1,.\n2,10:30,.,0,2\n"
    data = read(tmp_path, text)
    assert data.regimen.columns["time"].tolist() == [0, 0]
    assert data.observations["time"].values.tolist() == [1, 0.5]
    text = HEAD + "1,0,5,1,.\n1,5,.,0,1\n2,5,7,1,.\n2,6,.,0,2\n"
    assert "before_dose" not in read(tmp_path, text).observations
    text = HEAD + "1,0,5,1,.\n1,24,.,0,1\n1,0,5,4,.\n1,3,.,0,1\n2,3,7,1,.\n2,5,.,0,2\n2,5,7,4,.\n"
    data = read(tmp_path, text)
    assert data.regimen.columns["time"].tolist() == [0, 24, 3, 5]
    assert data.observations["time"].values.tolist() == [24, 27, 5]
    assert data.observations["before_dose"].values.tolist() == [1, 0, 1]


def test_occasions_reset_only_where_the_caller_says_so(tmp_path):
    text = "ID,TIME,AMT,EVID,DV,OCC\n1,0,5,1,.,1\n1,24,.,0,1,1\n1,0,5,1,.,2\n1,2,.,0,3,2\n"
    refused(tmp_path, text, "line 4", "TIME", 'occasions="reset"')
    data = read(tmp_path, text, occasions="reset")
    events = expand(data.regimen, [1])
    assert events.time.tolist() == [0, 24, 24] and events.kind.tolist() == [3, 0, 3]
    assert data.observations["before_dose"].values.tolist() == [1, 0]
    assert data.observations["time"].values.tolist() == [24, 26]


# ---- doses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["DUR", "TINF", "dur"])
def test_a_duration_makes_an_infusion(tmp_path, name):
    c = read(tmp_path, f"ID,TIME,AMT,{name},EVID\n1,0,300,4,1\n1,9,300,.,1\n").regimen.columns
    assert c["route"].tolist() == ["iv_infusion", "iv_bolus"] and c["duration"].tolist() == [4, 0]


def test_rate_and_duration_must_agree(tmp_path):
    head = "ID,TIME,AMT,RATE,DUR\n"
    assert read(tmp_path, head + "1,0,300,75,4\n").regimen.columns["rate"].tolist() == [75]
    assert read(tmp_path, head + "1,0,300,.,4\n").regimen.columns["duration"].tolist() == [4]
    refused(tmp_path, head + "1,0,300,75,2\n", "line 2", "DUR", "AMT/RATE")
    refused(tmp_path, head + "1,0,300,0,4\n", "line 2", "DUR", "RATE 0", "RATE -2")


def test_minutes_and_micrograms_reach_every_item_of_a_dose(tmp_path):
    head = "ID,TIME,AMT,II,ADDL,ALAG,"
    rows = "1,60,5000,720,2,30,"
    for item, value, name, expected in (("DUR", 120, "duration", 2.0), ("RATE", 50, "rate", 3.0)):
        c = read(
            tmp_path, f"{head}{item}\n{rows}{value}\n", time_unit="min", amount_unit="ug"
        ).regimen.columns
        assert c["time"][0] == pytest.approx(1.0) and c["amount"][0] == pytest.approx(5.0)
        assert c["interdose_interval"][0] == pytest.approx(12.0)
        assert c["lag_time"][0] == pytest.approx(0.5) and c[name][0] == pytest.approx(expected)
    own = f"{head}RATE (mg/h)\n1,60,5000,720,2,30,3\n".replace("II,", "II (min),")
    c = read(tmp_path, own, amount_unit="ug").regimen.columns
    assert c["rate"][0] == 3.0 and c["interdose_interval"][0] == pytest.approx(12.0)
    assert c["lag_time"][0] == 30.0 and c["time"][0] == 60.0


def test_a_duration_of_an_infusion_is_simulated(tmp_path):
    person = ph.reference_individual("human").assign_coords(subject=[1])
    regimen = read(tmp_path, "ID,TIME,AMT,DUR\n1,0,300,4\n").regimen
    keywords = {"times": [0.05, 1, 4, 8], "compartments": ["plasma"], "backend": "embedded"}
    one = ph.simulate("theophylline", regimen, person, **keywords).concentration.values
    two = ph.simulate("theophylline", "300 mg iv over 4 h", person, **keywords).concentration.values
    # the lags of two routes are at other places in the data: other steps, within the tolerance
    np.testing.assert_allclose(one, two, rtol=1e-7)
    assert one[0, 0, 0] < 1.0  # a bolus would give 14
    predicted = {**keywords, "distribution": "predicted"}
    three = ph.simulate("theophylline", regimen, person, **predicted).concentration.values
    assert three[0, 0, 0] == pytest.approx(0.285, rel=0.01)


def test_items_filled_down_on_samples_mean_nothing(tmp_path):
    text = "ID,TIME,AMT,ADDL,II,SS,RATE,EVID,DV\n1,0,5,3,12,0,5,1,.\n1,1,.,3,12,1,5,0,3\n"
    data = read(tmp_path, text)
    assert data.regimen.columns["additional_doses"].tolist() == [3] and len(data.regimen) == 1
    assert data.observations["value"].values.tolist() == [3.0]
    assert "ADDL" in notes(data)
    refused(tmp_path, HEAD + "1,0,5,1,.\n1,1,5,0,3\n", "line 3", "AMT", "EVID 0")
    refused(tmp_path, "ID,TIME,AMT,DV\n1,0,5,3\n", "line 2", "DV", "rows of their own")


def test_codes_of_rxode_for_a_bolus_are_read_and_others_refused(tmp_path):
    text = "ID,TIME,AMT,EVID,CMT,DV\n1,0,5,101,1,.\n1,1,.,0,2,3\n"
    c = read(tmp_path, text, compartments={1: "oral"}).regimen.columns
    assert c["evid"].tolist() == [1] and c["route"].tolist() == ["oral"]
    refused(tmp_path, text.replace("101", "10101"), "line 2", "EVID", "RxODE")


def test_names_of_compartments_are_read(tmp_path):
    text = "ID,TIME,AMT,CMT,EVID,DV\n1,0,100,DEPOT,1,.\n1,1,.,CENT,0,3\n"
    data = read(tmp_path, text, compartments={"depot": "oral", "CENT": "plasma"})
    assert data.regimen.columns["route"].tolist() == ["oral"]
    assert data.observations["matrix"].values.tolist() == ["plasma"]
    assert read(tmp_path, text).regimen.columns["compartment"].tolist() == ["DEPOT"]


def test_a_column_of_routes_is_read(tmp_path):
    text = "ID,TIME,AMT,ROUTE,DV\n1,0,100,PO,.\n1,1,.,.,3\n1,24,50,iv,.\n"
    data = read(tmp_path, text)
    assert data.regimen.columns["route"].tolist() == ["oral", "iv_bolus"]
    assert data.observations.attrs["doses_of_unknown_route"] == 0
    refused(tmp_path, text.replace("PO", "nose"), "line 2", "ROUTE", "nose")


def test_lags_and_bioavailabilities_that_nothing_uses_are_refused(tmp_path):
    text = "ID,TIME,AMT,F1,ALAG1\n1,0,100,0.5,1\n"
    refused(tmp_path, text, "line 2", "F1", "0.5", "BIOAV")
    data = read(tmp_path, text, columns={"BIOAV": "F1", "ALAG": "ALAG1"})
    assert data.regimen.columns["bioavailability"].tolist() == [0.5]
    assert read(tmp_path, "ID,TIME,AMT,F1\n1,0,100,1\n").regimen.columns["amount"].tolist() == [100]


# ---- which records --------------------------------------------------------------------------------------------------


def test_records_that_the_file_leaves_out_are_not_even_looked_at(tmp_path):
    text = "C,ID,TIME,AMT,EVID,DV\n.,1,0,100,1,.\nC,1,?,100,1,.\n.,1,1,.,0,3\nc,1,2,.,0,99\n"
    data = read(tmp_path, text)
    assert len(data.regimen) == 1 and data.observations["value"].values.tolist() == [3.0]
    text = "EXCL,ID,TIME,AMT,EVID,DV\n0,1,0,100,1,.\nY,1,1,.,0,3\n1,1,2,.,0,99\nno,1,3,.,0,2\n"
    data = read(tmp_path, text)
    assert data.observations["value"].values.tolist() == [2.0] and "2 records left out" in notes(
        data
    )
    refused(tmp_path, text.replace("no,", "perhaps,"), "line 5", "EXCL", "perhaps")
    refused(tmp_path, "ID,TIME,AMT,C\n1,0,100,.\n1,1,.,3.5\n", "line 3", "C", "concentrations")


# ---- samples --------------------------------------------------------------------------------------------------------

TWO_KINDS = """\
ID,TIME,AMT,CMT,EVID,DV,DVID
1,0,100,1,1,.,.
1,1,.,2,0,3,1
1,1,.,3,0,60,2
1,2,.,2,0,2.5,1
"""


def test_samples_of_two_kinds_need_a_choice(tmp_path):
    refused(tmp_path, TWO_KINDS, "DVID", "1 (2 records), 2 (1 record)", "--dvid")
    data = read(tmp_path, TWO_KINDS, dvid=1)
    assert data.observations["value"].values.tolist() == [3.0, 2.5]
    refused(tmp_path, TWO_KINDS, "dvid", "3", error=UnknownNameError, dvid=3)
    by_type = TWO_KINDS.replace("DVID", "ytype").replace(",2\n", ",pca\n")
    assert read(tmp_path, by_type, dvid="PCA").observations["value"].values.tolist() == [60.0]
    analyte = TWO_KINDS.replace("DVID", "ANALYTE")
    refused(tmp_path, analyte, "ANALYTE", "--analyte")
    assert read(tmp_path, analyte, analyte="2").observations.sizes["sample"] == 1


def test_compartments_of_samples_count(tmp_path):
    text = "ID,TIME,AMT,CMT,EVID,DV\n1,0,100,1,1,.\n1,1,.,2,0,3\n1,1,.,3,0,60\n1,2,.,2,0,2.5\n"
    refused(tmp_path, text, "CMT", "2 (2 records), 3 (1 record)", "--cmt")
    names = {1: "oral", 2: "plasma"}
    refused(tmp_path, text, "CMT", "2 (plasma)", "name 3 too", compartments=names)
    seen = read(tmp_path, text, compartments={**names, 3: "liver"}).observations
    assert seen["matrix"].values.tolist() == ["plasma", "liver", "plasma"]
    seen = read(tmp_path, text, compartments=names, cmt=2).observations
    assert seen["value"].values.tolist() == [3.0, 2.5]
    refused(tmp_path, text.replace(",3,0,", ",1,0,"), "CMT", "oral doses", compartments=names)


def test_a_column_of_matrices_is_read(tmp_path):
    text = "ID,TIME,AMT,EVID,DV,MATRIX\n1,0,100,1,.,.\n1,1,.,0,3,Plasma\n1,1,.,0,5,BLOOD\n"
    assert read(tmp_path, text).observations["matrix"].values.tolist() == ["plasma", "blood"]


def test_what_is_missing_is_never_below(tmp_path):
    text = HEAD + "1,0,100,1,.\n1,1,.,0,3\n1,2,.,0,.\n1,3,.,0,NA\n1,4,.,0,\n1,5,.,0,0.05\n"
    seen = read(tmp_path, text, lloq=0.1).observations
    assert seen["censored"].values.tolist() == [0, 0, 0, 0, 1]
    assert np.isnan(seen["value"].values).tolist() == [False, True, True, True, True]
    assert seen["lloq"].values[-1] == pytest.approx(0.1)
    assert read(tmp_path, text, lloq="100 ng/mL").observations["censored"].values.sum() == 1


@pytest.mark.parametrize(
    ("head", "last", "limit"),
    [
        ("ID,TIME,AMT,EVID,DV", "1,9,.,0,<0.5", 0.5),
        ("ID,TIME,AMT,EVID,DV", "1,9,.,0,< 0.5", 0.5),
        ("ID,TIME,AMT,EVID,DV,CENS", "1,9,.,0,0.5,1", 0.5),
        ("ID,TIME,AMT,EVID,DV,CENS,LIMIT", "1,9,.,0,0.5,1,0", 0.5),
        ("ID,TIME,AMT,EVID,DV,BLQ,LLOQ", "1,9,.,0,0.2,1,0.5", 0.5),
        ("ID,TIME,AMT,EVID,DV,LLOQ", "1,9,.,0,BLQ,0.5", 0.5),
        ("ID,TIME,AMT,EVID,DV,LLOQ", "1,9,.,0,0.2,0.5", 0.5),
        ("ID,TIME,AMT,EVID,DV,BLOQ,LOQ", "1,9,.,0,.,Y,0.5", 0.5),
    ],
)
def test_values_below_a_limit_are_censored_at_it(tmp_path, head, last, limit):
    width = head.count(",") - 4
    more = "".join(",0" for _ in range(width))
    zero = more if "LLOQ" not in head and "LOQ" not in head else more[:-2] + ",0.5"
    text = f"{head}\n1,0,100,1,.{zero}\n1,1,.,0,3{zero}\n{last}\n"
    seen = read(tmp_path, text).observations
    assert seen["censored"].values.tolist() == [0, 1]
    assert seen["lloq"].values[1] == limit and np.isnan(seen["value"].values[1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "1,0,100,1,.\n1,9,.,0,BLQ\n", ["line 3", "BLQ", "--lloq"]),
        ("ID,TIME,AMT,EVID,DV,BLQ\n1,0,100,1,.,0\n1,9,.,0,0.2,1\n", ["line 3", "DV", "LLOQ"]),
        ("ID,TIME,AMT,EVID,DV,CENS\n1,0,100,1,.,0\n1,9,.,0,9,-1\n", ["line 3", "CENS", "above"]),
        ("ID,TIME,AMT,EVID,DV,CENS\n1,0,100,1,.,0\n1,9,.,0,9,2\n", ["line 3", "CENS", "2"]),
        (
            "ID,TIME,AMT,EVID,DV,CENS,LIMIT\n1,0,100,1,.,0,0\n1,9,.,0,9,1,0.5\n",
            ["line 3", "LIMIT", "0.5"],
        ),
        (HEAD + "1,0,100,1,.\n1,9,.,0,high\n", ["line 3", "DV", "high"]),
        (HEAD + "1,0,100,1,.\n1,9,.,0,-1.2\n", ["line 3", "DV", "-1.2", "logarithms"]),
        ("ID,TIME,AMT,EVID,DV,MDV\n1,0,100,1,.,1\n1,9,.,0,3,2\n", ["line 3", "MDV", "2"]),
    ],
)
def test_flags_of_samples_that_cannot_be_used_are_refused(tmp_path, text, words):
    refused(tmp_path, text, *words)


# ---- order of records at equal times --------------------------------------------------------------------------------

KA, K, V = 0.15, 0.1, 20.0


def one_compartment() -> System:
    return System(
        ("depot", "central", "out"),
        [0, 1, 1, 2],
        [0, 0, 1, 1],
        [[-KA, KA, -K, K]],
        (),
        {
            "depot": Observable((0,), np.ones(1)),
            "central": Observable((1,), np.array([1 / V])),
            "out": Observable((2,), np.ones(1)),
        },
    )


def bateman(t):
    t = np.asarray(t, float)
    return 100 * KA / V / (KA - K) * (np.exp(-K * t) - np.exp(-KA * t))


@pytest.mark.parametrize(
    ("records", "doses"),
    [
        ("1,10,100,1,1\n1,10,0,3,1\n", 0),  # NONMEM 7.6, ferx-core#1587, ID 9
        ("1,10,0,3,1\n1,10,100,1,1\n", 1),  # ID 10
        ("1,10,100,1,1\n1,10,100,4,1\n", 1),  # ID 15
        ("1,10,100,4,1\n1,10,100,1,1\n", 2),
    ],
)
def test_a_reset_wipes_the_doses_recorded_before_it_only(tmp_path, records, doses):
    text = "ID,TIME,AMT,EVID,CMT\n" + records
    regimen = read(tmp_path, text, compartments={1: "depot", 2: "central"}).regimen
    everyone = Regimen({**regimen.columns, "subject": -np.ones(len(regimen), int)})
    run = ph.simulate_system(
        one_compartment(), everyone, [10.5, 11.5, 20], backend="embedded"
    ).concentration.sel(compartment="central")
    np.testing.assert_allclose(run.values[0], doses * bateman([0.5, 1.5, 10]), rtol=1e-5, atol=1e-9)


def test_a_column_of_doses_without_amounts_is_pointed_at(tmp_path):
    data = read(tmp_path, "ID,TIME,DOSE,DV\n1,0,100,.\n1,1,.,3\n")
    assert len(data.regimen) == 0 and 'columns={"AMT": "DOSE"}' in notes(data)
    data = read(tmp_path, "ID,TIME,DOSE,DV\n1,0,100,.\n1,1,.,3\n", columns={"AMT": "DOSE"})
    assert data.regimen.columns["amount"].tolist() == [100.0]


def test_another_subjects_reset_wipes_nothing():
    regimen = Regimen.per_subject([Regimen.bolus(1, 5), Regimen.reset(5), Regimen.bolus(2, 5)])
    e = expand(regimen, 3)
    assert e.subject.tolist() == [0, 1, 2] and e.value.tolist() == [1, 0, 2]


def test_a_time_just_before_shows_what_was_there_before_the_dose():
    regimen = Regimen.dose(100, compartment="central").repeat(12, 3)
    times = np.concatenate([[1e-9], just_before([12.0, 24.0]), [12.0, 24.0]])
    order = np.argsort(times)
    run = ph.simulate_system(one_compartment(), regimen, times[order], backend="embedded")
    got = run.concentration.sel(compartment="central").values[0][np.argsort(order)]
    first = 5 * np.exp(-1.2)
    second = (5 + first) * np.exp(-1.2)
    np.testing.assert_allclose(got[1:], [first, second, 5 + first, 5 + second], rtol=1e-6)
    assert just_before(12.0) < 12.0 and just_before(0.0) == -1e-9


TROUGHS = "1,0,300,1,.\n1,1,.,0,{}\n1,12,.,0,{}\n1,12,300,1,.\n1,13,.,0,{}\n1,24,.,0,{}\n"


def test_a_sample_recorded_before_the_dose_of_its_time_is_the_trough(tmp_path):
    from pbpk_hybrid.estimation import Parameter, fit

    person = ph.reference_individual("human")
    system = ph.whole_body_system(ph.get_compound("theophylline"), person)
    alone = ph.simulate_system(
        system, "300 mg iv", [1, 12, 13, 24], compartments=["plasma"], backend="embedded"
    ).concentration.values[0, :, 0]
    sums = [alone[0], alone[1], alone[2] + alone[0], alone[3] + alone[1]]
    values = [float(v) for v in sums]
    text = HEAD + TROUGHS.format(*map(repr, values))
    data = read(tmp_path, text)
    assert data.observations["before_dose"].values.tolist() == [0, 1, 0, 0]
    # the person has number 0, the patient number 1: there is only one of each
    found = fit(
        system,
        data.observations,
        {"clint.liver": Parameter(factor=True, targets=("clint.liver",))},
        regimen=data.regimen,
        error={"lognormal": 0.05},
    )
    assert found["clint.liver"] == pytest.approx(1.0, rel=1e-4)
    seen = found.predictions()
    assert seen["time"].values.tolist() == [1, 12, 13, 24]
    np.testing.assert_allclose(seen["predicted"], values, rtol=1e-4)
    after = read(
        tmp_path,
        text.replace(f"1,12,.,0,{values[1]!r}\n1,12,300,1,.\n", "1,12,300,1,.\n1,12,.,0,60\n"),
    )
    assert "before_dose" not in after.observations


def test_a_forecast_takes_the_trough_before_the_dose(tmp_path):
    pytest.importorskip("torch")
    from pbpk_hybrid.learn.transformer.data import read_patients

    data = read(tmp_path, HEAD + "1,0,.,0,0\n" + TROUGHS.format(9, 2, 11, 3))
    (patient,), dropped = read_patients(data.observations, data.regimen, {"subject": ["1"]})
    assert dropped == 1  # recorded before the first dose
    later = patient.doses.time[1]
    assert (
        later == 12.0 and patient.time[1] < later and patient.time[1] == pytest.approx(12, abs=2e-4)
    )
    assert np.float32(patient.time[1]) < np.float32(later)
    assert patient.time[[0, 2, 3]].tolist() == [1, 13, 24]


def test_the_trough_stays_before_the_dose_when_written(tmp_path):
    data = read(tmp_path, HEAD + TROUGHS.format(9, 2, 11, 3))
    again = read_nonmem(write_nonmem(tmp_path / "again.csv", data.regimen, data.observations))
    assert again.observations["before_dose"].values.tolist() == [0, 1, 0, 0]
    assert again.observations["value"].values.tolist() == [9, 2, 11, 3]


def test_doses_of_one_patient_do_not_go_to_another(tmp_path):
    from pbpk_hybrid.estimation import fit

    person = ph.reference_individual("human")
    system = ph.whole_body_system(ph.get_compound("theophylline"), person)
    text = HEAD + "1,0,300,1,.\n1,1,.,0,8\n2,0,300,1,.\n2,1,.,0,9\n"
    data = read(tmp_path, text)
    with pytest.raises(InputError, match="one subject for each patient"):
        fit(system, data.observations, ["clint.liver"], regimen=data.regimen)


# ---- covariates -----------------------------------------------------------------------------------------------------


def test_covariates_are_carried_over_gaps_and_known_ones_have_one_name(tmp_path):
    text = "ID,TIME,AMT,wt,Age\n1,0,5,.,50\n1,1,5,70,.\n1,2,5,70,50\n2,0,5,80,40\n"
    covariates = read(tmp_path, text).covariates
    assert covariates["WT"].values.tolist() == [70, 80] and covariates["AGE"].values.tolist() == [
        50,
        40,
    ]


def test_packed_files_and_their_lines(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write(HEAD + "# x\n\n1,0,100,1,.\n1,1,.,0,what\n")
    with pytest.raises(FileFormatError, match=r"a.csv.gz, line 5, DV"):
        read_nonmem(tmp_path / "a.csv.gz")
