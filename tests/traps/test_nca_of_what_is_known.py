"""The analysis uses what a simulation or data set says of its doses, and says when it cannot know.

Public troubles of this kind: humanpred/pknca#132, #139, #203, #241, #440; Open-Systems-Pharmacology/Forum#281.
"""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.dosing import read_nonmem
from pbpk_hybrid.nca import NCAOptions

TIMES = np.arange(0, 193, 0.5)


def theophylline(dose):
    return ph.simulate("theophylline", dose, times=TIMES, compartments=["plasma"])


@pytest.fixture(scope="module")
def single():
    """CL/F [L/h] after one dose."""
    return float(ph.nca(theophylline("200 mg oral")).cl_f[0])


def words(result, interval=-1):
    return str(result.flag_reasons.values.reshape(result.sizes["subject"], -1)[0, interval])


@pytest.mark.parametrize("dose", ["200 mg oral q12h x14", "200 mg oral q12h ss"])
def test_clearance_of_repeated_doses_is_that_of_one(single, dose):
    result = ph.nca(theophylline(dose))
    np.testing.assert_allclose(result.cl_f.values.ravel()[-1], single, rtol=1e-3)
    assert words(result) == ""


def test_before_steady_state_there_is_no_clearance_and_a_flag(single):
    result = ph.nca(theophylline("200 mg oral q12h x14"))
    assert result.cl_f.dims == ("subject", "interval")
    assert np.isnan(result.cl_f[0, :3]).all() and "not at steady state" in words(result, 0)
    # AUC_tau of linear kinetics rises to that of one dose to infinity
    assert (np.diff(result.auc_tau[0]) > -1e-6).all()
    np.testing.assert_allclose(result.auc_tau[0, -1], 200 / single, rtol=1e-3)
    np.testing.assert_allclose(result.cavg[0, -1], 200 / single / 12, rtol=1e-3)
    # lambda_z only after the last dose
    assert np.isnan(result.half_life[0, :-1]).all() and result.half_life[0, -1] > 5


@pytest.mark.parametrize(
    ("dose", "says"),
    [
        ("10 mg iv then after 24 h 200 mg oral", "interval unknown"),
        ("100 mg iv and 200 mg oral at 0 h", "several routes at once"),
        ("100 mg oral then after 12 h 200 mg oral", "differ in amount"),
        ("200 mg oral then after 12 h 200 mg oral then after 30 h 200 mg oral", "no clearance"),
    ],
)
def test_doses_that_tell_no_clearance(dose, says):
    result = ph.nca(theophylline(dose))
    for name in ("cl", "cl_f", "vz", "vz_f", "vss"):
        assert name not in result or np.isnan(result[name]).all(), name
    assert says in words(result)


def test_a_loading_dose_does_not_hide_the_steady_state(single):
    result = ph.nca(theophylline("400 mg oral then after 12 h 200 mg oral q12h x13"))
    assert np.isnan(result.cl_f[0, :2]).all()
    np.testing.assert_allclose(result.cl_f[0, -1], single, rtol=2e-3)


def test_doses_that_each_empty_the_body_are_no_steady_state():
    regimen = ph.Regimen.oral("200 mg")
    for k in range(1, 5):  # the areas of these intervals are equal, and none of them is whole
        regimen = regimen + ph.Regimen.oral("200 mg", 6.0 * k, reset=True)
    result = ph.nca(theophylline(regimen))
    areas = result.auc_tau.values[0]
    np.testing.assert_allclose(areas[:-1], areas[0], rtol=1e-4)
    assert np.isnan(result.cl_f).all() and "not at steady state" in words(result, 2)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"route": "iv_bolus"}, "oral"),
        ({"dose": 100}, "200 mg at 0 h"),
        ({"infusion_duration": 2.0}, "duration of the dose records"),
        ({"options": NCAOptions(tau=12.0, steady_state=True)}, "one dose"),
        ({"options": NCAOptions(dose_time=5.0)}, "time of a dose"),
    ],
)
def test_what_contradicts_the_records_is_refused(keywords, says):
    with pytest.raises(InputError, match=says):
        ph.nca(theophylline("200 mg oral"), **keywords)


def test_what_agrees_with_the_records_is_welcome(single):
    result = ph.nca(theophylline("200 mg oral"), dose="200 mg", route="oral")
    assert float(result.cl_f[0]) == single


def test_a_tissue_has_no_clearance():
    result = ph.nca(ph.simulate("theophylline", "200 mg oral"), compartment="liver")
    assert "cl_f" not in result and "not plasma" in words(result)


def test_other_data_have_no_default_route(tmp_path):
    t = np.array([0.0, 1, 2, 4, 8])
    with pytest.raises(InputError, match="iv_bolus, iv_infusion or oral"):
        ph.nca((t, np.exp(-t)), dose=1)


TWO_DOSES = """ID,TIME,AMT,EVID,DV
1,0,100,1,.
1,1,.,0,5
1,2,.,0,4
1,4,.,0,2
1,8,.,0,.5
1,12,100,1,.
1,13,.,0,5.1
1,14,.,0,4.1
1,16,.,0,2.1
1,20,.,0,.55
"""


def test_samples_of_two_doses_are_two_intervals(tmp_path):
    file = tmp_path / "two.csv"
    file.write_text(TWO_DOSES)
    result = ph.nca(read_nonmem(file, compartments={1: "gut"}).observations, dose=100, route="oral")
    assert result.sizes["interval"] == 2
    assert np.isnan(result.cl_f[0, 0])
    # the second interval starts from what the first has left, 0.5 mg/L at 8 h falling to 1/4 in 4 h: not from 0
    k = np.log(2 / 0.5) / 4
    start = 0.5 * np.exp(-k * 4)
    by_hand = 0.5 * (start + 5.1)
    later = ph.nca((np.array([0.0, 1]), np.array([start, 5.1])), route="oral")
    np.testing.assert_allclose(later.auc_last, by_hand)
    pieces = [(5.1, 4.1, 1), (4.1, 2.1, 2), (2.1, 0.55, 4)]
    log = sum((a - b) * dt / np.log(a / b) for a, b, dt in pieces)
    lambda_z = float(result.lambda_z[0, 1])
    tail = 0.55 * (1 - np.exp(-4 * lambda_z)) / lambda_z
    np.testing.assert_allclose(result.auc_tau[0, 1], by_hand + log + tail, rtol=1e-6)


def test_no_slope_from_a_running_infusion():
    t = np.array([0, 1, 2, 4, 8, 12, 16, 20, 24, 24.5])
    c = np.array([0, 6, 11, 18, 25, 22, 21.5, 21, 20.5, 20.2])
    result = ph.nca((t, c), dose=1000.0, route="iv_infusion", infusion_duration=24.0)
    assert np.isnan(result.lambda_z[0]) and "too few points" in words(result)


@pytest.mark.parametrize("method", ["linear", "linear_up_log_down", "linear_log", "log"])
def test_beyond_the_last_sample_every_rule_follows_lambda_z(method):
    t = np.array([0, 2, 4, 8, 12.0])
    c = 10 * np.exp(-0.2 * t)
    options = NCAOptions(auc_method=method, tau=24.0)
    result = ph.nca((t, c), dose=100, route="iv_bolus", options=options)
    closed = (c[-1] - c[-1] * np.exp(-0.2 * 12)) / 0.2
    np.testing.assert_allclose(result.auc_tau - result.auc_last, closed, rtol=1e-9)


def test_a_first_interval_that_holds_much_is_flagged():
    """Fast distribution between C0 and the first sample: the trapezoid finds a fraction of the area."""
    t = np.array([0.0, 0.25, 1, 2, 4, 8, 12])
    c = 100 * np.exp(-30 * t) + np.exp(-0.2 * t)
    result = ph.nca((t, c), dose=100, route="iv_bolus")
    assert float(result.auc_first_interval[0]) > 20
    assert "before the first sample" in words(result)
    loose = NCAOptions(max_first_interval=100.0)
    assert "before the first" not in words(
        ph.nca((t, c), dose=100, route="iv_bolus", options=loose)
    )
    short = ph.nca((t, c), dose=100, route="iv_infusion", infusion_duration=1 / 60)
    assert "infusion" in words(short)


def test_the_command_line_needs_no_route_for_a_simulation_and_says_the_same(tmp_path):
    def run(*given):
        result = CliRunner().invoke(app, [str(w) for w in given], env={"COLUMNS": "160"})
        assert result.exit_code == 0, result.output
        return result.stdout

    for dose in ("5 mg iv", "5 mg oral q12h x5"):
        out = tmp_path / dose.replace(" ", "_")
        first = run("simulate", "midazolam", "--dose", dose, "-n", 3, "--seed", 1, "-o", out)
        again = run("nca", out / "simulation.nc")
        rows = [line for line in again.splitlines() if line.startswith("│")]
        assert len(rows) > 5 and set(rows) <= set(first.splitlines())
    (tmp_path / "x.csv").write_text("subject,time,conc\n1,0,0\n1,1,4\n1,2,3\n1,4,1\n")
    result = CliRunner().invoke(app, ["nca", str(tmp_path / "x.csv"), "--dose", "100 mg"])
    assert result.exit_code == 2 and "route" in result.stderr
