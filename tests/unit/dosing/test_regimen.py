"""Building, combining and checking regimens."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import InputError, SchemaError, UnitError
from pbpk_hybrid._core.schemas import validate
from pbpk_hybrid.dosing import Regimen


def times(r: Regimen) -> list[float]:
    return r.columns["time"].tolist()


# ---- any regimen, for property tests ----------------------------------------------------------------------------

numbers = st.floats(0.1, 1000)


@st.composite
def single_doses(draw):
    kind = draw(
        st.sampled_from(["bolus", "duration", "rate", "oral", "into", "per_kg", "reset", "other"])
    )
    time = draw(st.floats(0, 500))
    if kind == "reset":
        return Regimen.reset(time)
    if kind == "other":
        return Regimen.other(time)
    options = {"lag": draw(st.floats(0, 10)), "bioavailability": draw(st.floats(0.05, 2))}
    if draw(st.booleans()):
        options |= {
            "interval": draw(st.floats(0.5, 48)),
            "additional_doses": draw(st.integers(1, 5)),
        }
    amount = draw(numbers)
    if kind == "bolus":
        return Regimen.bolus(amount, time, **options)
    if kind == "duration":
        return Regimen.infusion(amount, draw(st.floats(0.1, 60)), time, **options)
    if kind == "rate":
        return Regimen.infusion(amount, time=time, rate=draw(numbers), **options)
    if kind == "oral":
        return Regimen.oral(amount, time, **options)
    if kind == "per_kg":
        return Regimen.bolus(f"{amount} mg/kg", time, **options)
    return Regimen.dose(
        amount, time, compartment=draw(st.sampled_from(["liver", "lung"])), **options
    )


regimens = st.lists(single_doses(), min_size=1, max_size=4).map(
    lambda parts: sum(parts[1:], parts[0])
)


# ---- making ------------------------------------------------------------------------------------------------------


def test_amounts_and_times_are_converted_to_mg_and_h():
    r = Regimen.infusion("0.5 g", "30 min", "1 day")
    c = r.columns
    assert (c["amount"][0], c["duration"][0], c["time"][0]) == (500.0, 0.5, 24.0)
    assert c["route"][0] == "iv_infusion" and c["subject"][0] == -1


def test_amounts_per_kg_keep_their_own_column():
    c = Regimen.oral("5 mg/kg").columns
    assert (c["amount"][0], c["amount_per_kg"][0]) == (0.0, 5.0)
    assert Regimen.bolus("200 ug/kg").columns["amount_per_kg"][0] == pytest.approx(0.2, rel=1e-12)


@pytest.mark.parametrize("text", ["5 mg/kg/h", "5 mg/h/kg", "5000 ug/kg/h"])
def test_rates_per_kg_are_understood_in_both_orders(text):
    c = Regimen.infusion("10 mg/kg", rate=text).columns
    assert c["rate_per_kg"][0] == pytest.approx(5.0, rel=1e-12)
    assert c["rate"][0] == 0


def test_repeat_counts_the_first_dose():
    assert times(Regimen.bolus(1, 2).repeat(12, 3)) == [2.0, 14.0, 26.0]


def test_repeat_keeps_steady_state_and_reset_on_the_first_copy_only():
    c = Regimen.bolus(1, steady_state=True, interval=24, reset=True).repeat(24, 3).columns
    assert c["steady_state"].tolist() == [1, 0, 0] and c["evid"].tolist() == [4, 1, 1]
    assert c["interdose_interval"].tolist() == [24, 0, 0]


def test_then_starts_one_interval_after_the_last_dose():
    r = Regimen.infusion(100, 2).repeat(24, 7).then(Regimen.oral(50).repeat(12, 20))
    assert times(r)[6:9] == [144.0, 168.0, 180.0]
    assert r.span == 168 + 240


def test_then_starts_at_the_end_of_a_single_infusion():
    assert times(Regimen.infusion(100, 2).then(Regimen.infusion(10, 24))) == [0.0, 2.0]
    assert times(Regimen.infusion(100, rate=25).then(Regimen.infusion(10, 24))) == [0.0, 4.0]


def test_then_after_a_single_dose_at_once_needs_a_time():
    with pytest.raises(InputError, match="after"):
        Regimen.bolus(100).then(Regimen.oral(50))
    assert times(Regimen.bolus(100).then(Regimen.oral(50), after=12)) == [0.0, 12.0]


def test_loading_then_maintenance():
    r = Regimen.loading(Regimen.bolus(300), Regimen.bolus(100), 24, 3)
    assert times(r) == [0.0, 24.0, 48.0, 72.0] and r.columns["amount"].tolist() == [
        300,
        100,
        100,
        100,
    ]
    assert times(Regimen.loading(Regimen.bolus(300), Regimen.bolus(100), 24, 2, delay=12)) == [
        0.0,
        12.0,
        36.0,
    ]


def test_at_moves_the_first_record_there():
    r = (Regimen.bolus(1, 3) + Regimen.bolus(1, 5)).at(10)
    assert times(r) == [10.0, 12.0]


def test_per_subject_gives_each_its_own():
    r = Regimen.per_subject([Regimen.bolus(1), Regimen.bolus(2).repeat(12, 2)], subjects=[7, 3])
    assert r.columns["subject"].tolist() == [3, 3, 7] and r.columns["amount"].tolist() == [2, 2, 1]
    with pytest.raises(InputError, match="subjects"):
        Regimen.per_subject([Regimen.bolus(1)], subjects=[1, 2])
    with pytest.raises(InputError, match="differ"):
        Regimen.per_subject([Regimen.bolus(1)] * 2, subjects=[1, 1])


def test_a_lag_per_subject_writes_the_regimen_out():
    r = Regimen.bolus(1).repeat(12, 2).with_lag([0.0, 0.5, 1.0])
    assert len(r) == 6 and not r.shared
    assert r.columns["lag_time"].tolist() == [0, 0, 0.5, 0.5, 1, 1]


def test_lag_and_bioavailability_leave_resets_alone():
    r = (Regimen.bolus(1) + Regimen.reset(5)).with_lag("30 min").with_bioavailability(0.4)
    assert r.columns["lag_time"].tolist() == [0.5, 0.0]
    assert r.columns["bioavailability"].tolist() == [0.4, 1.0]


def test_a_regimen_cannot_be_changed():
    r = Regimen.bolus(1)
    with pytest.raises(ValueError, match="read-only"):
        r.columns["amount"][0] = 2
    with pytest.raises(AttributeError):
        r.span = 3.0
    assert Regimen.empty() + r == r


# ---- refusing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Regimen.infusion(100, 2, rate=50), ["rate", "50", "not both"]),
        (lambda: Regimen.infusion(100), ["duration", "bolus"]),
        (lambda: Regimen.infusion(100, 0), ["duration", "> 0"]),
        (lambda: Regimen.bolus(-5), ["amount", "-5", ">= 0 [mg]"]),
        (lambda: Regimen.bolus(float("nan")), ["amount", "nan", "finite"]),
        (lambda: Regimen.bolus(1, time=float("inf")), ["time", "inf", "finite"]),
        (lambda: Regimen.bolus(1, additional_doses=3), ["interdose_interval", "additional doses"]),
        (lambda: Regimen.bolus(1, steady_state=True), ["interdose_interval", "steady_state"]),
        (lambda: Regimen.bolus(1, interval=12), ["additional_doses", "ignored"]),
        (lambda: Regimen.bolus(1, interval=12, steady_state=3), ["steady_state", "3", "0, 1 or 2"]),
        (
            lambda: Regimen.bolus(1, interval=12, additional_doses=1.5),
            ["additional_doses", "whole"],
        ),
        (lambda: Regimen.bolus(1, interval=12, additional_doses=-1), ["additional_doses", "-1"]),
        (lambda: Regimen.bolus(1, lag=-1), ["lag", "-1"]),
        (lambda: Regimen.bolus(1, bioavailability=-0.1), ["bioavailability", "-0.1"]),
        (lambda: Regimen.bolus(1, subject=-2), ["subject", "-2"]),
        (lambda: Regimen.dose(1, compartment=""), ["compartment", "name"]),
        (lambda: Regimen.infusion(0, rate=5), ["amount", "infusion given by its rate"]),
        (lambda: Regimen.infusion(100, rate="5 mg/kg/h"), ["rate_per_kg", "body weight"]),
        (lambda: Regimen.bolus(1).repeat(12, 0), ["n", "0", ">= 1"]),
        (lambda: Regimen.bolus(1).repeat(0, 2), ["interval", "> 0"]),
        (
            lambda: Regimen({"amount": [1, 2], "time": [0, 1, 2], "route": "iv_bolus"}),
            ["amount", "3 values"],
        ),
        (lambda: Regimen({"amuont": 1.0}), ["amuont", "'amount'"]),
        (lambda: Regimen({"amount": 1.0, "route": "rectal"}), ["route", "rectal", "oral"]),
        (lambda: Regimen({"evid": 3, "amount": 5.0}), ["amount", "5", "evid 2 and 3"]),
        (
            lambda: Regimen.constant_infusion_steady_state(5, additional_doses=2, interval=0),
            ["interval"],
        ),
    ],
)
def test_contradictions_are_refused_by_name_and_value(make, words):
    with pytest.raises(InputError) as err:
        make()
    for word in words:
        assert word in str(err.value)


def test_errors_name_row_and_subject():
    with pytest.raises(InputError, match=r"amount\[row 1\] \(subject 8\).*-3"):
        Regimen({"subject": [7, 8], "amount": [1.0, -3.0], "route": "iv_bolus"})


@pytest.mark.parametrize("amount", ["5 L", "5 mg/h", "5 mgg", "five mg", "5 mL/kg"])
def test_wrong_units_are_unit_errors(amount):
    with pytest.raises(UnitError, match="amount"):
        Regimen.bolus(amount)


# ---- laws --------------------------------------------------------------------------------------------------------


@given(regimens, regimens, regimens)
def test_combination_is_associative(a, b, c):
    assert (a + b) + c == a + (b + c)


@given(regimens, st.integers(1, 4), st.integers(1, 4), st.sampled_from([0.5, 8.0, 12.0, 24.0]))
def test_repeating_repeats_equals_repeating_once(a, n, m, interval):
    twice = a.repeat(interval, n).repeat(interval * n, m)
    once = a.repeat(interval, n * m)
    # times are sums in another order: equal to round-off; rows of almost equal time may have swapped
    assert twice.span == once.span
    np.testing.assert_allclose(np.sort(times(twice)), np.sort(times(once)), rtol=1e-12, atol=1e-9)
    for name in ("amount", "amount_per_kg", "additional_doses"):
        assert np.array_equal(np.sort(twice.columns[name]), np.sort(once.columns[name]))


@given(regimens, regimens, st.integers(-64, 64))
def test_shift_distributes_over_combination(a, b, quarters):
    dt = quarters / 4
    assert ((a + b).shift(dt)).columns["time"].tolist() == (a.shift(dt) + b.shift(dt)).columns[
        "time"
    ].tolist()
    assert (a.shift(dt)).columns["time"] == pytest.approx(a.columns["time"] + dt, abs=1e-12)


@given(regimens)
def test_datasets_follow_the_schema_and_come_back_unchanged(r):
    ds = r.to_dataset()
    validate(ds, "regimen")
    assert Regimen.from_dataset(ds) == r


def test_netcdf_round_trip_is_lossless(tmp_path):
    r = (
        Regimen.infusion(100, rate=7, lag=0.25, bioavailability=0.3).repeat(24, 3)
        + Regimen.infusion("3 mg/kg", rate="0.7 mg/kg/h", time=1 / 3)
        + Regimen.infusion("3 mg/kg", rate="11 mg/h", time=2)
        + Regimen.dose(
            0.1 + 0.2, 5, compartment="liver", interval=8, additional_doses=4, steady_state=2
        )
        + Regimen.reset(50)
        + Regimen.other(60)
        + Regimen.oral(1, 70, subject=12, reset=True)
    )
    r.to_dataset().to_netcdf(tmp_path / "regimen.nc")
    with xr.open_dataset(tmp_path / "regimen.nc") as ds:
        back = Regimen.from_dataset(ds.load())
    assert back == r


def test_a_dataset_with_only_required_variables_is_enough():
    full = Regimen.infusion(100, 2).to_dataset()
    small = full[["time", "amount", "route", "duration", "compartment", "subject"]]
    assert np.array_equal(Regimen.from_dataset(small).columns["duration"], [2.0])


def test_a_dataset_with_a_rate_that_contradicts_the_duration_is_refused():
    ds = Regimen.infusion(100, rate=50).to_dataset()
    assert ds["duration"].values.tolist() == [2.0]  # shown, but the rate rules
    ds["duration"].values[0] = 3.0
    with pytest.raises(InputError, match=r"duration\[row 0\].*3.*amount/rate = 2"):
        Regimen.from_dataset(ds)


def test_a_dataset_outside_the_schema_is_refused():
    ds = Regimen.bolus(100).to_dataset().drop_vars("amount")
    with pytest.raises(SchemaError, match="amount"):
        Regimen.from_dataset(ds)
