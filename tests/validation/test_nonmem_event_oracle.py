"""Event semantics against NONMEM 7.4.3's own predictions, and steady states against long trains of doses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_reference import play

from pbpk_hybrid.dosing import Regimen, expand, read_nonmem

#: the control stream of the set: ADVAN2 TRANS2, CL 1.1 L/h, V 20 L, KA 1.5 /h; ALAG2 and F2 act on compartment 2 only
K = np.array([[-1.5, 0.0], [1.5, -1.1 / 20]])
PLACE = {"1": 0, "2": 1}
#: NONMEM prints 5 digits
PRINTED = 1e-4


@pytest.fixture(scope="module")
def nmtest(nlmixr2data):
    data = read_nonmem(
        nlmixr2data / "nmtest.csv.gz",
        columns={"ALAG": "lagt", "BIOAV": "bioav", "DUR": "dur2"},
        modelled_rate="rat2",
    )
    c = data.regimen.columns
    depot = c["compartment"] == "1"
    regimen = Regimen(
        {
            **c,
            "lag_time": np.where(depot, 0, c["lag_time"]),
            "bioavailability": np.where(depot, 1, c["bioavailability"]),
        }
    )
    return regimen, data.covariates


def compare(nmtest, subject):
    """Times, our and NONMEM's concentration at the observation records."""
    regimen, covariates = nmtest
    ids = covariates["subject"].values
    events = expand(regimen, ids).for_subject(int(np.flatnonzero(ids == subject)[0]))
    mine = covariates["record_subject"].values == subject
    time, theirs = covariates["record_time"].values[mine], covariates["cp"].values[mine]
    # dose records print the prediction too, but which side of the jump differs with the record: keep observations,
    # which come last at their time
    last = np.append(np.diff(time) > 0, True)
    time, theirs = time[last], theirs[last]
    return time, play(K, events, time, PLACE)[:, 1] / 0.02, theirs


def longest_wait(nmtest, subject):
    """Until when implied doses may still be on their way, if some record has lag >= II; else None."""
    c = nmtest[0].columns
    rows = (
        (c["subject"] == subject)
        & (c["steady_state"] > 0)
        & (c["lag_time"] >= c["interdose_interval"])
    )
    rows &= c["interdose_interval"] > 0
    return float((c["time"] + c["lag_time"])[rows].max()) if rows.any() else None


def test_all_nonmem_scenarios_agree_to_the_printed_digits(nmtest):
    compared = 0
    for subject in nmtest[1]["subject"].values:
        if longest_wait(nmtest, subject) is not None:
            continue
        _time, ours, theirs = compare(nmtest, subject)
        np.testing.assert_allclose(
            ours,
            theirs,
            rtol=PRINTED,
            atol=PRINTED * 1e-3 * theirs.max(),
            err_msg=f"scenario {subject}",
        )
        compared += 1
    assert (
        compared == 42
    )  # lag, F, rate, duration, ADDL, SS 1 and 2, EVID 3 and 4, infusions up to 50 h in II of 12 h


def test_lag_beyond_the_interval_agrees_with_nonmem_once_the_dose_has_entered(nmtest):
    # before that NONMEM's steady state is not periodic (and even negative in some of these scenarios)
    compared = 0
    for subject in nmtest[1]["subject"].values:
        wait = longest_wait(nmtest, subject)
        if wait is None:
            continue
        time, ours, theirs = compare(nmtest, subject)
        after = time >= wait
        assert after.any()
        np.testing.assert_allclose(
            ours[after], theirs[after], rtol=PRINTED, err_msg=f"scenario {subject}"
        )
        assert np.all(ours >= 0)
        compared += 1
    assert compared == 12


dose = {
    "interval": st.floats(4, 24),
    "duration": st.one_of(st.none(), st.floats(0.3, 60)),
    "lag": st.floats(0, 60),
    "f": st.floats(0.1, 2),
    "flag": st.sampled_from([1, 2]),
    "by_rate": st.booleans(),
}


@settings(max_examples=30, deadline=None)
@given(**dose)
def test_steady_state_equals_a_long_train_of_doses(interval, duration, lag, f, flag, by_rate):
    options = {"lag": lag, "bioavailability": f}
    if duration is not None:
        options |= {"rate": 100 / duration} if by_rate else {"duration": duration}
    n = int(np.ceil((450 + (duration or 0)) / interval))
    here = 7.5
    train = (
        Regimen.dose(100, compartment="2", **options)
        .repeat(interval, n + 1)
        .shift(here - n * interval)
    )
    ss = Regimen.dose(100, here, compartment="2", steady_state=flag, interval=interval, **options)
    time = np.linspace(here, here + 150, 76)
    expected = play(K, expand(train, 1, start=-1e5), time, PLACE)[:, 1]
    got = play(K, expand(ss, 1), time, PLACE)[:, 1]
    # slowest rate 0.055 /h over 450 h leaves e^-24; the rest is round-off of the expm chain, and a jump that a
    # lag puts within round-off of a sample time is seen by one side only: leave those samples out
    jumps = np.concatenate([expand(ss, 1).time, expand(train, 1, start=-1e5).time])
    clear = np.abs(time[:, None] - jumps).min(axis=1) > 1e-6
    clear[0] = False  # at the record itself the train's own dose may or may not be due
    np.testing.assert_allclose(got[clear], expected[clear], rtol=1e-7)


def test_ss_with_infusion_as_long_as_its_interval_only_after_bioavailability():
    # mrgsolve#947: rate 4.12, amount 100, F 0.412, II 10: the infusion takes exactly II and never stops
    r = Regimen.infusion(
        100, rate=4.12, bioavailability=0.412, interval=10, steady_state=1, compartment="2"
    )
    events = expand(r, 1)
    assert events.steady.pulse_duration[0] == 0 and events.steady.base_rate[0] == 4.12
    assert play(K, events, np.array([5.0]), PLACE)[0, 1] == pytest.approx(4.12 * 20 / 1.1, rel=1e-9)
