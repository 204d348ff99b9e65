"""What pharmacokinetics says of any forecast holds for a network of random weights: it is built in."""

import numpy as np
import pytest
from forecaster_samples import observed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pbpk_hybrid import Regimen, get_compound

#: samples drawn at random may be more than the dose could give
pytestmark = pytest.mark.filterwarnings("ignore:.*unlike the corpus")
QUICK = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TIMES = np.array([0.5, 1.0, 3.0, 8.0, 24.0, 40.0])


@st.composite
def studies(draw):
    """(times, values, regimen) of one patient."""
    n = draw(st.integers(0, 4))
    times = np.sort(np.array(draw(st.lists(st.floats(0.1, 30.0), min_size=n, max_size=n))))
    values = np.array(draw(st.lists(st.floats(1e-3, 100.0), min_size=n, max_size=n)))
    amount = draw(st.floats(1.0, 500.0))
    kind = draw(st.sampled_from(["bolus", "infusion", "oral", "repeated"]))
    regimen = {
        "bolus": lambda: Regimen.bolus(amount),
        "infusion": lambda: Regimen.infusion(amount, 1.5),
        "oral": lambda: Regimen.oral(amount),
        "repeated": lambda: Regimen.oral(amount).repeat(8.0, 4),
    }[kind]()
    return times, values, regimen


def scaled(regimen, factor):
    return Regimen(
        {**regimen.columns, "amount": regimen.columns["amount"] * factor}, span=regimen.span
    )


def values_of(forecaster, times, values, regimen, grid=TIMES, **more):
    ds = observed(times, values) if len(times) else None
    return forecaster.forecast(ds, regimen, {"body_weight": 80.0}, times=grid, **more)[
        "concentration_quantile"
    ].values


@QUICK
@given(studies())
def test_doubling_doses_and_samples_doubles_the_forecast_to_the_bit(untrained, study):
    times, values, regimen = study
    once = values_of(untrained, times, values, regimen)
    twice = values_of(untrained, times, 2 * values, scaled(regimen, 2.0))
    # ln 2 is added to a logarithm in double precision, so the last digits may differ
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


@QUICK
@given(studies(), st.integers(1, 2000))
def test_shifting_all_times_changes_nothing(untrained, study, hours):
    times, values, regimen = study
    once = values_of(untrained, times, values, regimen)
    later = values_of(untrained, times + hours, values, regimen.shift(float(hours)), TIMES + hours)
    # subtracting the shift again rounds times in the 13th digit; single precision may then differ in its last two
    np.testing.assert_allclose(later, once, rtol=2e-4)


@QUICK
@given(studies(), st.floats(1.0, 100.0))
def test_nothing_is_there_before_the_first_dose(untrained, study, start):
    times, values, regimen = study
    result = values_of(
        untrained,
        times + start,
        values,
        regimen.shift(start),
        np.array([0.0, start / 2, start + 1.0]),
    )
    assert np.all(result[0, :2] == 0.0)
    assert np.all(result[0, 2] > 0.0)


def test_nothing_has_entered_with_an_oral_dose_and_all_of_it_with_a_bolus(untrained):
    grid = np.array([0.0, 1.0])
    assert np.all(values_of(untrained, [], [], Regimen.oral(10), grid)[0, 0] == 0.0)
    assert np.all(values_of(untrained, [], [], Regimen.bolus(10), grid)[0, 0] > 0.0)


@QUICK
@given(studies(), st.floats(5.0, 30.0))
def test_a_dose_still_to_come_changes_nothing_before_it(untrained, study, ahead):
    times, values, regimen = study
    last = max(float(regimen.columns["time"].max()), *(times.tolist() or [0.0]))
    grid = np.array([last + 0.25 * ahead, last + 0.9 * ahead])
    plain = values_of(untrained, times, values, regimen, grid)
    more = values_of(untrained, times, values, regimen + Regimen.bolus(70.0, last + ahead), grid)
    np.testing.assert_allclose(more, plain, rtol=2e-5)  # sums of one more zero, in single precision


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_order_of_other_patients_changes_nothing_to_the_bit(untrained, order):
    subjects, times, values = (
        ["a", "b", "c"],
        [[1, 4], [2, 9], [3, 12]],
        [[3.0, 1.0], [5.0, 0.4], [2.0, 0.9]],
    )

    def context(who):
        ds = observed(
            np.concatenate([times[i] for i in who]),
            np.concatenate([values[i] for i in who]),
            [subjects[i] for i in who for _ in range(2)],
        )
        return (
            ds,
            Regimen.bolus(100.0),
            {"subject": [subjects[i] for i in who], "body_weight": [60.0 + 10 * i for i in who]},
        )

    plain = values_of(untrained, [2.0], [4.0], Regimen.bolus(90.0))
    first = values_of(untrained, [2.0], [4.0], Regimen.bolus(90.0), context=context((0, 1, 2)))
    again = values_of(untrained, [2.0], [4.0], Regimen.bolus(90.0), context=context(order))
    assert np.array_equal(first, again)
    assert not np.allclose(first, plain)


def test_the_size_of_the_dose_matters_for_saturable_compounds_alone(untrained):
    linear = get_compound("theophylline")
    saturable = linear.replace(saturable=[{"name": "CYP1A2", "vmax": 1.0, "km": 5.0}])
    ratio = {}
    for compound in (linear, saturable):
        low = values_of(untrained, [2.0], [1.0], Regimen.bolus(10.0), compound=compound)
        high = values_of(untrained, [2.0], [64.0], Regimen.bolus(640.0), compound=compound)
        ratio[bool(compound.saturable)] = high / low / 64.0
    # the mechanistic curve itself is solved to 1e-4 per step, with tolerances that follow the dose
    np.testing.assert_allclose(ratio[False], 1.0, rtol=1e-3)
    assert np.abs(np.log(ratio[True])).max() > 1e-3
