"""From records to what happens when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid.dosing import DoseEvents, Regimen, expand
from pbpk_hybrid.dosing.events import BOLUS, OTHER, RATE, RESET, STEADY


def rows(e: DoseEvents) -> list[tuple]:
    """(time, kind, value) in order."""
    return list(zip(e.time.tolist(), e.kind.tolist(), e.value.tolist(), strict=True))


def given_amount(e: DoseEvents) -> float:
    """All that the events give: boluses, and the integral of the rate (sum of changes must be 0)."""
    bolus = e.value[e.kind == BOLUS].sum()
    change, when = e.value[e.kind == RATE], e.time[e.kind == RATE]
    assert change.sum() == pytest.approx(0, abs=1e-9 * (1 + np.abs(change).sum()))
    return float(bolus - (change * when).sum())


# ---- single doses ------------------------------------------------------------------------------------------------


def test_a_bolus_is_one_jump():
    e = expand(Regimen.bolus(100, 3), 5)
    assert rows(e) == [(3.0, BOLUS, 100.0)]
    assert e.subject.tolist() == [-1] and e.compartments == ("iv",) and e.n_subjects == 5


def test_an_infusion_is_a_rate_up_and_a_rate_down():
    assert rows(expand(Regimen.infusion(100, 4, time=1), 1)) == [
        (1.0, RATE, 25.0),
        (5.0, RATE, -25.0),
    ]
    assert rows(expand(Regimen.infusion(100, rate=25, time=1), 1)) == [
        (1.0, RATE, 25.0),
        (5.0, RATE, -25.0),
    ]


def test_routes_have_compartments_of_their_own_unless_named():
    r = (
        Regimen.bolus(1)
        + Regimen.oral(2)
        + Regimen.dose(3, compartment="liver")
        + Regimen.oral(4, compartment="liver")
    )
    e = expand(r, 1)
    assert {
        e.compartments[i]: set(e.value[e.compartment == i]) for i in set(e.compartment.tolist())
    } == {
        "iv": {1.0},
        "oral": {2.0},
        "liver": {3.0, 4.0},
    }
    e = expand(r, 1, route_compartments={"iv": "venous_blood", "oral": "liver"})
    assert set(e.compartments) == {"venous_blood", "liver"}
    with pytest.raises(UnknownNameError, match="'oral'"):
        expand(r, 1, route_compartments={"orall": "gut"})


def test_lag_moves_the_dose():
    assert rows(expand(Regimen.infusion(100, 2, lag=0.5), 1)) == [
        (0.5, RATE, 50.0),
        (2.5, RATE, -50.0),
    ]


@pytest.mark.parametrize("f", [0.25, 1.0, 2.0])
def test_bioavailability_scales_a_bolus(f):
    assert rows(expand(Regimen.bolus(100, bioavailability=f), 1)) == [(0.0, BOLUS, 100 * f)]


def test_bioavailability_shortens_an_infusion_whose_rate_was_ordered():
    # mrgsolve#954: the rate is what the pump does, F changes the duration
    assert rows(expand(Regimen.infusion(100, rate=25, bioavailability=0.5), 1)) == [
        (0.0, RATE, 25.0),
        (2.0, RATE, -25.0),
    ]


def test_bioavailability_lowers_the_rate_of_an_infusion_whose_duration_was_ordered():
    assert rows(expand(Regimen.infusion(100, 4, bioavailability=0.5), 1)) == [
        (0.0, RATE, 12.5),
        (4.0, RATE, -12.5),
    ]


def test_no_bioavailability_gives_nothing():
    assert (
        given_amount(
            expand(
                Regimen.bolus(100, bioavailability=0) + Regimen.infusion(100, 4, bioavailability=0),
                1,
            )
        )
        == 0
    )
    assert len(expand(Regimen.infusion(100, rate=25, bioavailability=0), 1)) == 0


def test_no_dose_gives_no_events():
    e = expand(Regimen.empty(), 3)
    assert len(e) == 0 and e.shared and len(e.steady) == 0


# ---- additional doses, overlap -----------------------------------------------------------------------------------


def test_additional_doses_follow_at_the_interval():
    e = expand(Regimen.bolus(10, 1, interval=6, additional_doses=3, lag=0.5), 1)
    assert e.time.tolist() == [1.5, 7.5, 13.5, 19.5]


def test_infusions_longer_than_the_interval_overlap():
    e = expand(Regimen.infusion(10, rate=1, interval=4, additional_doses=2), 1)
    assert rows(e) == [
        (0.0, RATE, 1.0),
        (4.0, RATE, 1.0),
        (8.0, RATE, 1.0),
        (10.0, RATE, -1.0),
        (14.0, RATE, -1.0),
        (18.0, RATE, -1.0),
    ]


def test_horizon_leaves_out_what_comes_later():
    e = expand(
        Regimen.bolus(10, interval=1, additional_doses=10**9) + Regimen.infusion(5, 3), 1, horizon=2
    )
    assert e.time.tolist() == [0.0, 0.0, 1.0, 2.0] and e.kind.tolist() == [
        RATE,
        BOLUS,
        BOLUS,
        BOLUS,
    ]


def test_horizon_before_everything_leaves_nothing():
    assert len(expand(Regimen.bolus(10, 5, interval=1, additional_doses=3), 1, horizon=4)) == 0


# ---- resets ------------------------------------------------------------------------------------------------------


def test_at_equal_times_a_reset_wipes_what_was_recorded_before_it_and_nothing_after():
    # NONMEM processes records in their order (NONMEM 7.6 in FeRx-NLME/ferx-core#1587)
    doses = Regimen.bolus(1, 5) + Regimen.other(5) + Regimen.infusion(2, 1, time=5)
    assert expand(doses + Regimen.reset(5), 1).kind.tolist() == [RESET]
    after = expand(Regimen.reset(5) + doses, 1)
    assert after.kind.tolist() == [RESET, RATE, BOLUS, OTHER, RATE]
    twice = expand(Regimen.bolus(100, 5) + Regimen.bolus(100, 5, reset=True), 1)
    assert rows(twice) == [(5.0, RESET, 0.0), (5.0, BOLUS, 100.0)]


def test_a_reset_switches_off_a_running_infusion():
    # EVID 3: the infusion would run to 10 h; its end must not lower the rate a second time
    e = expand(Regimen.infusion(100, 10) + Regimen.reset(4), 1)
    assert rows(e) == [(0.0, RATE, 10.0), (4.0, RESET, 0.0)]


def test_reset_and_dose_switches_off_a_running_infusion_and_starts_its_own():
    # EVID 4 with a running infusion: mrgsolve#299, #683
    e = expand(Regimen.infusion(100, rate=1) + Regimen.infusion(200, rate=1, time=4, reset=True), 1)
    assert rows(e) == [(0.0, RATE, 1.0), (4.0, RESET, 0.0), (4.0, RATE, 1.0), (204.0, RATE, -1.0)]


def test_lag_applies_to_the_dose_not_to_the_reset():
    # mrgsolve#1396
    e = expand(Regimen.bolus(100, 4, reset=True, lag=2), 1)
    assert rows(e) == [(4.0, RESET, 0.0), (6.0, BOLUS, 100.0)]


def test_reset_and_dose_resets_only_once_with_additional_doses():
    e = expand(Regimen.bolus(100, reset=True, interval=12, additional_doses=2), 1)
    assert e.kind.tolist() == [RESET, BOLUS, BOLUS, BOLUS]


def test_a_reset_cancels_pending_lagged_and_additional_doses_of_earlier_records():
    r = (
        Regimen.bolus(1, 0, interval=12, additional_doses=9)
        + Regimen.bolus(2, 29, lag=3)
        + Regimen.reset(30)
    )
    assert rows(expand(r + Regimen.bolus(3, 30) + Regimen.bolus(4, 40), 1)) == [
        (0.0, BOLUS, 1.0),
        (12.0, BOLUS, 1.0),
        (24.0, BOLUS, 1.0),
        (30.0, RESET, 0.0),
        (30.0, BOLUS, 3.0),
        (40.0, BOLUS, 4.0),
    ]


def test_repeated_doses_are_records_of_their_own_which_an_earlier_reset_leaves_alone():
    e = expand(Regimen.bolus(1).repeat(12, 4) + Regimen.reset(18), 1)
    assert e.time.tolist() == [0.0, 12.0, 18.0, 24.0, 36.0]


def test_a_reset_concerns_its_own_subject_only():
    r = Regimen.per_subject([Regimen.infusion(10, 10) + Regimen.reset(4), Regimen.infusion(10, 10)])
    e = expand(r, 2)
    assert [x for x in zip(e.subject.tolist(), e.time.tolist(), e.kind.tolist(), strict=True)] == [
        (0, 0.0, RATE),
        (0, 4.0, RESET),
        (1, 0.0, RATE),
        (1, 10.0, RATE),
    ]


def test_an_infusion_between_two_resets_ends_where_it_should():
    r = Regimen.reset(1) + Regimen.infusion(10, 5, time=2) + Regimen.reset(9)
    assert rows(expand(r, 1)) == [
        (1.0, RESET, 0.0),
        (2.0, RATE, 2.0),
        (7.0, RATE, -2.0),
        (9.0, RESET, 0.0),
    ]


# ---- steady state ------------------------------------------------------------------------------------------------


def test_steady_state_bolus_is_reset_then_steady_then_dose():
    e = expand(Regimen.bolus(100, 5, steady_state=True, interval=12, bioavailability=0.5), 1)
    assert rows(e) == [(5.0, RESET, 0.0), (5.0, STEADY, 0.0), (5.0, BOLUS, 50.0)]
    s = e.steady
    assert (s.amount[0], s.interval[0], s.phase[0], s.flag[0]) == (50.0, 12.0, 12.0, 1)
    assert (s.base_rate[0], s.pulse_rate[0], s.n_running[0], s.n_on_their_way[0]) == (
        0.0,
        0.0,
        0,
        0,
    )


def test_steady_state_two_adds_without_a_reset():
    e = expand(Regimen.bolus(100, steady_state=2, interval=12), 1)
    assert e.kind.tolist() == [STEADY, BOLUS]


def test_steady_state_with_lag_is_the_phase_interval_minus_lag():
    # mrgsolve#264
    e = expand(Regimen.oral(100, 5, steady_state=True, interval=24, lag=4), 1)
    assert rows(e) == [(5.0, RESET, 0.0), (5.0, STEADY, 0.0), (9.0, BOLUS, 100.0)]
    assert e.steady.phase[0] == 20.0


def test_steady_state_with_lag_lets_the_previous_infusion_run_on():
    # II 24, lag 22: the previous infusion (10 h) entered 2 h ago and runs for 8 h more
    e = expand(Regimen.infusion(100, 10, steady_state=True, interval=24, lag=22), 1)
    assert rows(e) == [
        (0.0, RESET, 0.0),
        (0.0, STEADY, 0.0),
        (0.0, RATE, 10.0),
        (8.0, RATE, -10.0),
        (22.0, RATE, 10.0),
        (32.0, RATE, -10.0),
    ]
    assert e.steady.stop_times(0).tolist() == [8.0]


def test_steady_infusion_longer_than_its_interval_overlaps_its_predecessors():
    # mrgsolve#270: 30 h every 12 h: two run always, a third for the first 6 h of each interval
    e = expand(Regimen.infusion(60, 30, steady_state=True, interval=12), 1)
    s = e.steady
    assert (s.base_rate[0], s.pulse_rate[0], s.pulse_duration[0], s.n_running[0]) == (
        4.0,
        2.0,
        6.0,
        2,
    )
    assert s.stop_times(0).tolist() == [18.0, 6.0]
    assert rows(e) == [
        (0.0, RESET, 0.0),
        (0.0, STEADY, 0.0),
        (0.0, RATE, 4.0),
        (0.0, RATE, 2.0),
        (6.0, RATE, -2.0),
        (18.0, RATE, -2.0),
        (30.0, RATE, -2.0),
    ]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_infusion_of_whole_intervals_has_no_pulse(times):
    # 0.1 x 3 is not 0.3 in binary: the end of a pulse must not be a rounding error (mrgsolve#947)
    s = expand(Regimen.infusion(1, 0.1 * times, steady_state=True, interval=0.1), 1).steady
    assert s.pulse_duration[0] == 0 and s.pulse_rate[0] == 0
    assert s.base_rate[0] == pytest.approx(times * s.rate[0], rel=1e-12)
    assert s.n_running[0] == times - 1


def test_lag_beyond_the_interval_leaves_implied_doses_on_their_way():
    e = expand(Regimen.bolus(100, 10, steady_state=True, interval=12, lag=29), 1)
    # implied doses at 10 - 12 and 10 - 24 h enter at 27 and 15 h; the last that entered did so at 3 h, 7 h ago
    assert rows(e)[2:] == [(15.0, BOLUS, 100.0), (27.0, BOLUS, 100.0), (39.0, BOLUS, 100.0)]
    assert (e.steady.phase[0], e.steady.n_on_their_way[0]) == (7.0, 2)


def test_an_implied_dose_due_at_the_record_itself_is_not_lost_to_rounding():
    for lag in (12.0, np.nextafter(12.0, 0), np.nextafter(12.0, 13)):
        e = expand(Regimen.bolus(100, 10, steady_state=True, interval=12, lag=lag), 1)
        assert e.kind.tolist() == [RESET, STEADY, BOLUS, BOLUS]
        assert e.time == pytest.approx([10, 10, 10, 22], abs=1e-12) and e.steady.phase[
            0
        ] == pytest.approx(12)


def test_additional_doses_go_on_after_a_steady_state():
    e = expand(Regimen.bolus(100, steady_state=True, interval=12, additional_doses=2, lag=1), 1)
    assert e.kind.tolist() == [RESET, STEADY, BOLUS, BOLUS, BOLUS] and e.time.tolist() == [
        0,
        0,
        1,
        13,
        25,
    ]


def test_constant_infusion_ends_at_its_steady_state():
    e = expand(Regimen.constant_infusion_steady_state(7, 3, bioavailability=0.4), 1)
    assert rows(e) == [(3.0, RESET, 0.0), (3.0, STEADY, 0.0)]
    assert (e.steady.interval[0], e.steady.base_rate[0]) == (0.0, 7.0)


def test_steady_state_cancels_earlier_infusions_and_doses():
    r = Regimen.infusion(100, 50) + Regimen.bolus(1, interval=10, additional_doses=9)
    e = expand(r + Regimen.bolus(5, 20, steady_state=True, interval=8), 1)
    assert e.time.max() == 20.0 and given_amount_before(e, 20.0) == 2.0


def given_amount_before(e: DoseEvents, time: float) -> float:
    return float(e.value[(e.kind == BOLUS) & (e.time < time)].sum())


def test_two_steady_states_that_erase_each_other_are_refused():
    r = Regimen.bolus(1, steady_state=True, interval=12) + Regimen.oral(
        1, steady_state=True, interval=24
    )
    with pytest.raises(InputError, match=r"steady_state\[row 1\].*steady_state=2"):
        expand(r, 1)
    assert (
        len(
            expand(
                Regimen.bolus(1, steady_state=1, interval=12)
                + Regimen.oral(1, steady_state=2, interval=24),
                1,
            )
        )
        == 5
    )


@given(st.floats(1, 30), st.floats(0.01, 100), st.floats(0, 100), st.floats(0.1, 3))
def test_the_rate_at_a_steady_state_is_that_of_the_periodic_regime_at_its_phase(
    interval, duration, lag, f
):
    e = expand(
        Regimen.infusion(
            10, duration, steady_state=True, interval=interval, lag=lag, bioavailability=f
        ),
        1,
    )
    s = e.steady
    left = (s.duration[0] - s.phase[0]) / interval
    assume(
        abs(left - round(left)) > 1e-6
    )  # at the very moment at which one of them ends, either answer is right
    periodic = s.base_rate[0] + (s.pulse_rate[0] if s.phase[0] < s.pulse_duration[0] else 0)
    assert s.n_running[0] * s.rate[0] == pytest.approx(periodic, rel=1e-12)
    assert 0 < s.phase[0] <= interval and 0 <= s.pulse_duration[0] < interval
    # one period gives one dose
    assert s.base_rate[0] * interval + s.pulse_rate[0] * s.pulse_duration[0] == pytest.approx(
        10 * f, rel=1e-8
    )
    stops = s.stop_times(0)
    assert stops.size == s.n_running[0] and np.all(stops > -1e-6 * interval)


# ---- subjects ----------------------------------------------------------------------------------------------------


def test_a_shared_regimen_stays_shared_for_100_000_people():
    weight = np.linspace(40, 120, 100_000)
    e = expand(
        Regimen.infusion("2 mg/kg", 1).repeat(24, 7) + Regimen.oral(5), 100_000, body_weight=weight
    )
    assert len(e) == 15 and e.shared and e.per_kg.sum() == 14
    v = e.values_for(99_998, 100_000)
    assert v.shape == (2, 15)
    np.testing.assert_allclose(v[:, e.kind == BOLUS], 5.0)
    np.testing.assert_allclose(v[1, e.per_kg], e.value[e.per_kg] * 120.0, rtol=1e-15)


def test_values_without_doses_per_kg_are_shared_too():
    e = expand(Regimen.bolus(5), 10)
    assert e.values_for().shape == (1,)


def test_a_dose_per_kg_at_a_rate_in_mg_per_h_gives_everyone_another_duration():
    e = expand(Regimen.infusion("2 mg/kg", rate="10 mg/h"), 2, body_weight=[50, 100])
    assert (
        e.subject.tolist() == [0, 0, 1, 1]
        and e.time.tolist() == [0, 10, 0, 20]
        and not e.per_kg.any()
    )


def test_a_dose_per_kg_at_a_rate_per_kg_stays_shared():
    e = expand(Regimen.infusion("2 mg/kg", rate="0.5 mg/kg/h"), 2, body_weight=[50, 100])
    assert e.shared and e.time.tolist() == [0, 4]
    assert e.values_for().tolist() == [[25, -25], [50, -50]]


def test_steady_states_per_kg_are_weighted_too():
    e = expand(Regimen.bolus("2 mg/kg", steady_state=True, interval=12), 2, body_weight=[50, 100])
    assert e.steady_values_for("amount").tolist() == [[100.0], [200.0]]
    assert e.for_subject(1).steady.amount.tolist() == [200.0]


def test_records_for_all_and_for_one_are_written_out_together():
    r = Regimen.bolus(1) + Regimen.bolus(2, 1, subject=30)
    e = expand(r, [10, 20, 30])
    assert list(zip(e.subject.tolist(), e.value.tolist(), strict=True)) == [
        (0, 1),
        (1, 1),
        (2, 1),
        (2, 2),
    ]


def test_one_subjects_events_are_those_it_has_among_all():
    r = Regimen.per_subject(
        [
            Regimen.bolus(1, steady_state=True, interval=12),
            Regimen.infusion("1 mg/kg", 2, steady_state=2, interval=6),
        ]
    )
    e = expand(r, 2, body_weight=[50.0, 80.0])
    one = e.for_subject(1)
    assert rows(one) == [(0.0, STEADY, 0.0), (0.0, RATE, 40.0), (2.0, RATE, -40.0)]
    assert one.steady.rate.tolist() == [40.0] and one.shared


def test_subjects_that_are_not_simulated_are_refused():
    with pytest.raises(UnknownNameError, match=r"subject.*7"):
        expand(Regimen.bolus(1, subject=7), 3)


@pytest.mark.parametrize("weight", [None, [50.0], [50.0, -1.0], [50.0, np.nan]])
def test_doses_per_kg_need_every_body_weight(weight):
    with pytest.raises(InputError, match="body_weight"):
        expand(Regimen.bolus("1 mg/kg"), 2, body_weight=weight)


def test_a_dose_before_the_start_is_refused():
    with pytest.raises(InputError, match=r"time\[row 0\].*-1.*start"):
        expand(Regimen.bolus(1).shift(-1), 1)
    assert expand(Regimen.bolus(1).shift(-1), 1, start=-2).time.tolist() == [-1.0]


@pytest.mark.parametrize("subjects", [0, -1, True, [], [1, 1], [1.5], "3"])
def test_subjects_must_be_a_number_or_ids(subjects):
    with pytest.raises(InputError, match="subjects"):
        expand(Regimen.bolus(1), subjects)


# ---- laws --------------------------------------------------------------------------------------------------------

plain = st.builds(
    lambda kind, amount, extent, time, lag, f, ii, n: {
        "bolus": lambda **k: Regimen.bolus(amount, time, **k),
        "duration": lambda **k: Regimen.infusion(amount, extent, time, **k),
        "rate": lambda **k: Regimen.infusion(amount, time=time, rate=amount / extent, **k),
        "oral": lambda **k: Regimen.oral(amount, time, **k),
    }[kind](lag=lag, bioavailability=f, **({"interval": ii, "additional_doses": n} if n else {})),
    st.sampled_from(["bolus", "duration", "rate", "oral"]),
    st.floats(0.1, 1000),
    st.floats(0.1, 60),
    st.floats(0, 200),
    st.floats(0, 20),
    st.floats(0.05, 2),
    st.floats(0.5, 48),
    st.integers(0, 6),
)
many = st.lists(plain, min_size=1, max_size=5).map(lambda parts: sum(parts[1:], parts[0]))


@given(many)
def test_what_is_given_is_what_was_ordered(r):
    c = r.columns
    ordered = (c["amount"] * c["bioavailability"] * (1 + c["additional_doses"])).sum()
    assert given_amount(expand(r, 1)) == pytest.approx(ordered, rel=1e-9)


@given(many)
def test_events_are_sorted_and_rates_never_negative(r):
    e = expand(r, 1)
    assert np.all(np.diff(e.time) >= 0)
    same = np.diff(e.time) == 0
    assert np.all(np.diff(e.kind)[same] >= 0)
    for place in range(len(e.compartments)):
        change = np.where((e.kind == RATE) & (e.compartment == place), e.value, 0)
        # an end may come before a start of the same moment by round-off of their times
        assert np.cumsum(change).min() >= -1e-9 * (1 + np.abs(change).max())


@given(many, st.integers(-100, 400))
def test_shifting_the_regimen_shifts_the_events(r, quarters):
    dt = quarters / 4
    a, b = expand(r, 1, start=-1000), expand(r.shift(dt), 1, start=-1000)
    np.testing.assert_allclose(np.sort(b.time), np.sort(a.time + dt), rtol=1e-12, atol=1e-9)
    assert given_amount(a) == pytest.approx(given_amount(b), rel=1e-9)


@given(many, many)
def test_events_of_a_combination_are_the_events_of_its_parts(a, b):
    both, one, two = expand(a + b, 1), expand(a, 1), expand(b, 1)

    def table(*parts):
        return sorted(
            (t, k, v, e.compartments[c])
            for e in parts
            for t, k, v, c in zip(e.time, e.kind, e.value, e.compartment, strict=True)
        )

    assert table(both) == table(one, two)


@given(many, st.integers(1, 4))
def test_writing_a_shared_regimen_out_per_subject_changes_nothing(r, n):
    shared, written = expand(r, n), expand(r.for_subjects(np.arange(n)), n)
    assert len(written) == n * len(shared)
    for i in range(n):
        # rows of equal time and kind keep their order
        assert rows(written.for_subject(i)) == rows(shared)
