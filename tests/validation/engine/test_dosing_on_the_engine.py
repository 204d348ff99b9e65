"""Regimens through the engine against closed forms (analytical.py), and against NONMEM's predictions."""

from __future__ import annotations

import analytical as closed
import numpy as np
import pytest
from engine_tools import EXACT, few
from hypothesis import given
from hypothesis import strategies as st

import pbpk_hybrid as ph
from pbpk_hybrid.dosing import read_nonmem

METHODS = {"rodas5p": ph.SolverOptions(rtol=1e-11), "expm": EXACT}
CL, V, Q, V2, KA = 5.0, 30.0, 8.0, 60.0, 1.1
MODELS = {
    "one": (
        closed.one_compartment(CL, V),
        closed.first_order_absorption(closed.one_compartment(CL, V), KA),
    ),
    "two": (
        closed.two_compartment(CL, V, Q, V2),
        closed.first_order_absorption(closed.two_compartment(CL, V, Q, V2), KA),
    ),
}
T = np.linspace(0.0, 60.0, 121)


def system(which: str) -> ph.System:
    """depot -> central (<-> peripheral) -> out."""
    k = {(0, 0): -KA, (1, 0): KA, (1, 1): -CL / V, (3, 1): CL / V}
    if which == "two":
        k |= {(1, 1): -(CL + Q) / V, (2, 1): Q / V, (1, 2): Q / V2, (2, 2): -Q / V2}
    return ph.System(
        ("depot", "central", "peripheral", "out"),
        [i for i, _ in k],
        [j for _, j in k],
        [list(k.values())],
        observables={"plasma": ph.Observable((1,), np.array([1 / V]))},
        targets={"oral": 0, "iv_bolus": 1, "iv_infusion": 1},
    )


@pytest.fixture(params=[(m, o) for m in MODELS for o in METHODS], ids="-".join)
def check(request):
    """Compare a regimen's curve with the expected one at 1e-8, for each model and method; returns the Dataset."""
    which, method = request.param
    iv, oral = MODELS[which]

    def compare(regimen, expected, times=T):
        ds = ph.simulate_system(system(which), regimen, times, options=METHODS[method])
        got = ds["concentration"].sel(compartment="plasma").values[0]
        want = expected(iv, oral)
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10 * np.max(want))
        return ds

    return compare


def test_bolus(check):
    check(ph.Regimen.bolus(100), lambda iv, oral: iv.bolus(T, 100))


def test_oral_with_lag_and_bioavailability(check):
    check(
        ph.Regimen.oral(100, 1.0, lag=0.75, bioavailability=0.6),
        lambda iv, oral: oral.bolus(T - 1.75, 60),
    )


def test_additional_doses(check):
    regimen = ph.Regimen.oral(100, interval=8, additional_doses=4)
    check(regimen, lambda iv, oral: sum(oral.bolus(T - 8 * i, 100) for i in range(5)))


def test_additional_infusions_that_overlap(check):
    # each takes 20 h and one starts every 8 h: up to three run at a time
    regimen = ph.Regimen.infusion(100, 20, interval=8, additional_doses=4)
    ds = check(regimen, lambda iv, oral: sum(iv.infusion(T - 8 * i, 100, 20) for i in range(5)))
    total = (
        ds["amount"].sel(compartment=["depot", "central", "peripheral", "out"]).sum("compartment")
    )
    np.testing.assert_allclose(total[0, -1], 500, rtol=1e-10)


def test_bioavailability_shortens_an_infusion_of_given_rate(check):
    regimen = ph.Regimen.infusion(100, rate=10, bioavailability=0.5)
    check(regimen, lambda iv, oral: iv.infusion(T, 50, 5))


def test_bioavailability_slows_an_infusion_of_given_duration(check):
    regimen = ph.Regimen.infusion(100, 10, bioavailability=0.5)
    check(regimen, lambda iv, oral: iv.infusion(T, 50, 10))


@pytest.mark.parametrize("lag", [0.0, 0.5, 7.9, 8.0, 19.0])
def test_oral_steady_state_with_lag(check, lag):
    # all doses ever are lagged: at the record the last one entered lag mod II earlier than II ago
    regimen = ph.Regimen.oral(100, interval=8, steady_state=1, lag=lag)

    def expected(iv, oral):
        # no dose follows the record's own; implied ones at -8, -16, ... enter at lag - 8 k
        late = int(np.floor(lag / 8))
        own = sum(oral.bolus(T - lag + 8 * k, 100) for k in range(late + 1))
        return own + oral.steady_bolus(T - lag + 8 * (late + 1), 100, 8)

    check(regimen, expected)


@pytest.mark.parametrize(("duration", "interval"), [(2, 8), (8, 8), (11, 8), (16, 8), (29, 6)])
def test_steady_state_of_infusions_shorter_and_longer_than_their_interval(
    check, duration, interval
):
    regimen = ph.Regimen.infusion(100, duration, interval=interval, steady_state=1)
    check(regimen, lambda iv, oral: iv.steady_infusion(T, 100, duration, interval))


def test_steady_state_then_more_doses(check):
    regimen = ph.Regimen.oral(100, interval=12, steady_state=1, additional_doses=3)
    check(
        regimen,
        lambda iv, oral: (
            oral.steady_bolus(T, 100, 12) + sum(oral.bolus(T - 12 * i, 100) for i in (1, 2, 3))
        ),
    )


def test_steady_state_1_forgets_what_was_there_and_2_keeps_it(check):
    before = ph.Regimen.bolus(500, 0.0) + ph.Regimen.infusion(300, 30, 2.0)
    late = np.where(T >= 10, T - 10, 0.0)

    def forgets(iv, oral):
        early = iv.bolus(T, 500) + iv.infusion(T - 2, 300, 30)
        return np.where(T >= 10, oral.steady_bolus(late, 100, 12), early)

    def keeps(iv, oral):
        return (
            iv.bolus(T, 500)
            + iv.infusion(T - 2, 300, 30)
            + np.where(T >= 10, oral.steady_bolus(late, 100, 12), 0.0)
        )

    check(before + ph.Regimen.oral(100, 10.0, interval=12, steady_state=1), forgets)
    check(before + ph.Regimen.oral(100, 10.0, interval=12, steady_state=2), keeps)


def test_two_steady_states_at_different_times_of_day_add_up(check):
    regimen = ph.Regimen.oral(100, 0.0, interval=24, steady_state=1) + ph.Regimen.oral(
        40, 8.0, interval=24, steady_state=2
    )
    late = np.where(T >= 8, T - 8, 0.0)
    check(
        regimen,
        lambda iv, oral: (
            oral.steady_bolus(T, 100, 24) + np.where(T >= 8, oral.steady_bolus(late, 40, 24), 0.0)
        ),
    )


def test_steady_state_of_a_constant_infusion(check):
    late = np.linspace(0, 30, 61)
    regimen = ph.Regimen.constant_infusion_steady_state(12.0)
    # it ends at the record: from then on it is a wash-out
    check(
        regimen,
        lambda iv, oral: (12.0 * iv.coefficient / iv.rate * np.exp(-iv.rate * late[:, None])).sum(
            1
        ),
        late,
    )


@pytest.mark.parametrize("with_dose", [False, True])
def test_reset_stops_a_running_infusion_pending_lags_and_additional_doses(check, with_dose):
    before = (
        ph.Regimen.infusion(300, 40)
        + ph.Regimen.oral(100, 8.0, lag=5.0)
        + ph.Regimen.bolus(50, 1.0, interval=6, additional_doses=9)
    )
    again = ph.Regimen.bolus(70, 10.0, reset=True) if with_dose else ph.Regimen.reset(10.0)

    def expected(iv, oral):
        early = iv.infusion(T, 300, 40) + sum(iv.bolus(T - 1 - 6 * i, 50) for i in range(10))
        return np.where(T < 10, early, iv.bolus(T - 10, 70) if with_dose else 0.0)

    check(before + again, expected)


def test_an_event_without_effect_changes_nothing(check):
    regimen = ph.Regimen.oral(100)
    for t in (0.1, 0.3, 0.30000000000000004, 7.0):
        regimen = regimen + ph.Regimen.other(t)
    check(regimen, lambda iv, oral: oral.bolus(T, 100))


def test_ends_and_starts_a_rounding_error_apart(check):
    # 0.1 + 0.2 ends 5e-17 h after 0.3: a step of that length must do no harm
    regimen = (
        ph.Regimen.infusion(10, 0.2, 0.1)
        + ph.Regimen.infusion(10, 0.2, 0.3)
        + ph.Regimen.bolus(5, 0.3)
    )
    check(
        regimen,
        lambda iv, oral: (
            iv.infusion(T - 0.1, 10, 0.2) + iv.infusion(T - 0.3, 10, 0.2) + iv.bolus(T - 0.3, 5)
        ),
    )


def test_nothing_drips_on_after_overlapping_infusions():
    # rates 0.1 + 0.2 - 0.1 - 0.2 leave 2.8e-17: no negative amounts, no drift
    regimen = sum(
        (ph.Regimen.infusion(r * 3, 3, t) for r, t in ((0.1, 0.0), (0.2, 1.0), (0.7, 1.5))),
        ph.Regimen.empty(),
    )
    late = np.array([500.0, 5000.0])
    for options in METHODS.values():
        ds = ph.simulate_system(system("one"), regimen, late, options=options)
        assert np.abs(ds["concentration"].sel(compartment="plasma")).max() < 1e-15
        np.testing.assert_allclose(ds["amount"].sel(compartment="out").values[0], 3.0, rtol=1e-10)


single = st.tuples(
    st.floats(0, 30),
    st.floats(1, 100),
    st.floats(0.01, 40),
    st.sampled_from(["bolus", "infusion", "oral"]),
)


@few(20)
@given(st.lists(single, min_size=1, max_size=8))
def test_random_regimens_are_sums_of_single_doses(doses):
    regimen, times = ph.Regimen.empty(), np.linspace(0.013, 70.013, 51)
    want = {m: np.zeros(len(times)) for m in MODELS}
    for start, amount, duration, kind in doses:
        since = times - start
        for m, (iv, oral) in MODELS.items():
            if kind == "infusion":
                want[m] += iv.infusion(since, amount, duration)
            else:
                want[m] += (oral if kind == "oral" else iv).bolus(since, amount)
        if kind == "infusion":
            regimen = regimen + ph.Regimen.infusion(amount, duration, start)
        else:
            regimen = regimen + getattr(ph.Regimen, kind)(amount, start)
    for m in MODELS:
        for options in METHODS.values():
            ds = ph.simulate_system(system(m), regimen, times, options=options)
            got = ds["concentration"].sel(compartment="plasma").values[0]
            np.testing.assert_allclose(got, want[m], rtol=1e-8, atol=1e-10 * want[m].max())


def test_saturable_steady_state_is_where_repeated_doses_lead():
    law = ph.Reaction(
        "only", "michaelis_menten", (1,), {1: -1.0, 2: 1.0}, np.array([[12.0, 20.0], [18.0, 40.0]])
    )
    body = ph.System(
        ("depot", "central", "out"),
        [0, 1],
        [0, 0],
        [[-KA, KA]],
        (law,),
        targets={"oral": 0, "iv_infusion": 1},
        n_subjects=2,
    )
    times, options = np.linspace(0, 24, 25), ph.SolverOptions(rtol=1e-10)
    plans = {
        "oral": (ph.Regimen.oral(60.0, lag=0.5), 12.0),
        "infusion": (ph.Regimen.infusion(60.0, 3.0), 12.0),
        "overlap": (ph.Regimen.infusion(60.0, 17.0), 12.0),
    }
    for name, (dose, interval) in plans.items():
        many = ph.simulate_system(
            body, dose.repeat(interval, 101), times + 100 * interval, options=options
        )
        flagged = ph.Regimen(
            {**dose.columns, "steady_state": np.ones(1), "interdose_interval": np.full(1, interval)}
        )
        ss = ph.simulate_system(body, flagged, times, options=options)
        assert (ss["status"] == 0).all()
        np.testing.assert_allclose(
            ss["amount"].sel(compartment="central"),
            many["amount"].sel(compartment="central"),
            rtol=1e-7,
            err_msg=name,
        )


@pytest.mark.parametrize("vmax", [4.0, 4.99])
def test_a_saturable_subject_that_cannot_keep_up_is_flagged_and_the_others_stand(vmax):
    # 60 mg every 12 h is 5 mg/h: more than the second subject's enzyme can do
    law = ph.Reaction(
        "only", "michaelis_menten", (0,), {0: -1.0, 1: 1.0}, np.array([[12.0, 20.0], [vmax, 20.0]])
    )
    body = ph.System(
        ("central", "out"), [0], [0], [[0.0]], (law,), targets={"iv_bolus": 0}, n_subjects=2
    )
    with pytest.warns(ph.SubjectFailedWarning, match="no steady state"):
        ds = ph.simulate_system(
            body, ph.Regimen.bolus(60.0, interval=12, steady_state=1), [0.0, 6.0]
        )
    assert ds["status"].values.tolist() == [0, 4]
    assert np.isnan(ds["amount"].values[1]).all() and np.isfinite(ds["amount"].values[0]).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "regimen",
    [
        ph.Regimen.bolus(10.0, interval=12, steady_state=1),
        ph.Regimen.infusion(10.0, 3.0, interval=12, steady_state=1),
        ph.Regimen.constant_infusion_steady_state(1.0),
    ],
    ids=["bolus", "infusion", "constant"],
)
def test_a_linear_model_without_elimination_has_no_steady_state(regimen, seed):
    # exchange between four states and nothing else: round-off may or may not make the matrix singular
    k = np.random.default_rng(seed).random((4, 4))
    np.fill_diagonal(k, 0.0)
    k -= np.diag(k.sum(axis=0))
    row, column = np.indices((4, 4))
    body = ph.System(
        tuple("abcd"),
        row.ravel(),
        column.ravel(),
        [k.ravel()],
        targets={"iv_bolus": 0, "iv_infusion": 0},
    )
    with pytest.warns(ph.SubjectFailedWarning, match="no steady state"):
        ds = ph.simulate_system(body, regimen, [0.0, 6.0])
    assert int(ds["status"][0]) == 4


#: the control stream of nmtest: ADVAN2 TRANS2, CL 1.1 L/h, V 20 L, KA 1.5 /h, S2 V/1000; its lag and F act on compartment 2
#: only
NONMEM = ph.System(
    ("1", "2", "out"),
    [0, 1, 1, 2],
    [0, 0, 1, 1],
    [[-1.5, 1.5, -1.1 / 20, 1.1 / 20]],
    observables={"plasma": ph.Observable((1,), np.array([1e3 / 20]))},
    targets={"oral": 0, "iv_bolus": 1, "iv_infusion": 1},
)


def test_all_of_nonmems_scenarios_on_the_engine(nlmixr2data):
    data = read_nonmem(
        nlmixr2data / "nmtest.csv.gz",
        columns={"ALAG": "lagt", "BIOAV": "bioav", "DUR": "dur2"},
        modelled_rate="rat2",
    )
    c = data.regimen.columns
    depot = c["compartment"] == "1"
    c = {
        **c,
        "lag_time": np.where(depot, 0, c["lag_time"]),
        "bioavailability": np.where(depot, 1, c["bioavailability"]),
    }
    who, when = data.covariates["record_subject"].values, data.covariates["record_time"].values
    compared = 0
    for subject in data.covariates["subject"].values:
        mine = c["subject"] == subject
        own = {k: v[mine] for k, v in c.items()}
        odd = (
            (own["steady_state"] > 0)
            & (own["interdose_interval"] > 0)
            & (own["lag_time"] >= own["interdose_interval"])
        )
        if (
            odd.any()
        ):  # NONMEM's steady state is not periodic there (see test_nonmem_event_oracle.py)
            continue
        regimen = ph.Regimen({**own, "subject": np.full(int(mine.sum()), -1)})
        rows = np.flatnonzero(who == subject)
        rows = rows[np.append(np.diff(when[rows]) > 0, True)]  # the last record of each time
        theirs = data.covariates["cp"].values[rows]
        for name, options in METHODS.items():
            ds = ph.simulate_system(NONMEM, regimen, when[rows], options=options)
            ours = ds["concentration"].sel(compartment="plasma").values[0]
            # NONMEM prints 5 digits
            message = f"scenario {subject}, {name}"
            np.testing.assert_allclose(
                ours, theirs, rtol=1e-4, atol=1e-7 * theirs.max(), err_msg=message
            )
        compared += 1
    assert compared == 42
