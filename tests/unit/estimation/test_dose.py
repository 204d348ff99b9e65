"""Doses: targets in words, closed forms of one compartment, the oracle, what a sample is worth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.estimation import LogNormal
from pbpk_hybrid.estimation.dose_profiles import Administration, ProfileSource
from pbpk_hybrid.estimation.dose_targets import IntervalProfile, as_target, share_above
from pbpk_hybrid.models.system.system import Coefficients

PRIORS = {"cl": LogNormal(3.0, 0.3), "v": LogNormal(30.0, 0.2)}
KNOWN = {"cl": LogNormal(3.0, 1e-4), "v": LogNormal(30.0, 1e-4)}


@pytest.fixture(scope="module")
def one_compartment(model):
    return model


@pytest.fixture(scope="module")
def found(one_compartment):
    patient = ph.Patient("100 mg iv q12h x2", {1: 3.1, 11.9: 1.3}, body_weight=70)
    return ph.posterior(one_compartment(), patient, PRIORS, error={"proportional": 0.1})


@pytest.fixture(scope="module")
def certain(one_compartment):
    """A patient whose parameters are known: cl 3 L/h, v 30 L."""
    return ph.posterior(one_compartment(), ph.Patient(), KNOWN, error={"proportional": 0.1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trough 10-15 mg/L", "trough 10 mg/L to 15 mg/L"),
        ("Trough 10 to 15 ug/mL", "trough 10 mg/L to 15 mg/L"),
        ("AUC24 400-600 mg*h/L", "auc24 400 mg*h/L to 600 mg*h/L"),
        ("fT>MIC 100 % of 2 mg/L", "free time above 2 mg/L at least 100 %"),
        ("fT>4xMIC 50 % of 2 mg/L", "free time above 8 mg/L at least 50 %"),
        ("AUC24/MIC 400-600 of 0.5 mg/L", "auc24 200 mg*h/L to 300 mg*h/L"),
        ("Cmax/MIC >= 8 of 2 mg/L", "peak at least 16 mg/L"),
        (
            "peak < 40 mg/L and trough at least 10 mg/L",
            "peak at most 40 mg/L and trough at least 10 mg/L",
        ),
    ],
)
def test_targets_in_words(text, words):
    assert str(as_target(text)) == words


def test_the_metrics_of_a_profile():
    t = np.array([0.0, 2.0, 8.0])
    profile = IntervalProfile(t, np.array([[8.0, 6.0, 0.0]]), np.array([32.0]), np.array([0.5]))
    value = lambda text: float(as_target(text).goals[0].value(profile)[0])
    assert value("peak < 9 mg/L") == 8.0 and value("trough < 9 mg/L") == 0.0
    assert value("average < 9 mg/L") == 4.0 and value("AUC24 < 9 mg*h/L") == 96.0
    assert value("AUCtau < 9 mg*h/L") == 32.0 and value("fpeak < 9 mg/L") == 4.0
    # above 3 mg/L until half of the way from 6 to 0, at 5 h
    assert value("T>MIC 50 % of 3 mg/L") == pytest.approx(5 / 8)
    assert value("fT>MIC 50 % of 3 mg/L") == pytest.approx(2 / 8)


def test_time_above_a_concentration_is_that_of_the_closed_form():
    t = np.linspace(0.0, 12.0, 2001)
    c = 10 * np.exp(-0.2 * t)[None]
    assert share_above(t, c, 2.0)[0] == pytest.approx(np.log(5) / 0.2 / 12, abs=1e-5)
    assert share_above(t, c, 20.0)[0] == 0.0 and share_above(t, c, 0.1)[0] == 1.0


def test_average_and_auc_at_steady_state_are_dose_over_clearance(certain):
    result = ph.dose(certain, "average 4-6 mg/L", interval=8, route="iv", amounts=[90, 120, 150])
    # average = dose/(cl tau)
    np.testing.assert_allclose(result.table["average"], np.array([90, 120, 150]) / 24, rtol=1e-3)
    assert result.best.amount == 120 and result.text == "120 mg iv q8h"
    day = ph.dose(certain, "AUC24 90-130 mg*h/L", interval=8, route="iv", amounts=[90, 120, 150])
    np.testing.assert_allclose(day.table["auc24"], np.array([90, 120, 150]), rtol=1e-3)


def test_trough_and_peak_of_an_infusion_are_the_closed_form(certain):
    result = ph.dose(
        certain,
        "peak 1-9 mg/L and trough 1-9 mg/L",
        interval=12,
        route="iv",
        infusion=1,
        amounts=[200],
    )
    k, tau, t = 0.1, 12.0, 1.0
    peak = 200 / t / 3.0 * (1 - np.exp(-k * t)) / (1 - np.exp(-k * tau))
    assert result.table["peak"][0] == pytest.approx(peak, rel=1e-3)
    assert result.table["trough"][0] == pytest.approx(peak * np.exp(-k * (tau - t)), rel=1e-3)
    assert result.text == "200 mg iv over 1 h q12h"
    assert ph.Regimen.parse(f"{result.text} ss").columns["duration"].tolist() == [1.0]


def test_attainment_is_the_share_of_draws_and_the_best_has_most(found):
    result = ph.dose(found, "average 6-8 mg/L", interval=12, route="iv", draws=400)
    cl = found.values[found.picks(400)][:, 0]
    for row in result.table.itertuples():
        expected = np.mean((row.amount / cl / 12 >= 6) & (row.amount / cl / 12 <= 8))
        assert row.attainment == pytest.approx(expected, abs=0.01)
    assert result.attainment == result.table["attainment"].max() > 0.6


def test_intervals_are_compared_and_strengths_are_multiples(found):
    result = ph.dose(
        found, "trough 4-6 mg/L", interval=[6, "12 h"], amounts="multiples of 50 mg up to 0.4 g"
    )
    assert set(result.table["interval"]) == {6.0, 12.0}
    assert sorted(set(result.table["amount"])) == [50.0 * i for i in range(1, 9)]
    per_kg = ph.dose(found, "trough 4-6 mg/L", interval=12, amounts=["1 mg/kg", "2 mg/kg"])
    assert per_kg.table["amount"].tolist() == [70.0, 140.0]


def test_of_a_target_without_upper_limit_the_least_sufficient_dose_is_chosen(found):
    result = ph.dose(
        found,
        "T>MIC 100 % of 2 mg/L",
        interval=12,
        route="iv",
        amounts="multiples of 25 mg up to 600 mg",
    )
    enough = result.table.query("attainment >= 0.9")
    assert result.best.amount == enough["amount"].min()
    pta = result.pta([0.5, 2, 8])
    assert pta[2.0] == result.attainment and pta[0.5] > pta[2.0] > pta[8.0]


def test_a_loading_dose_is_proposed_where_accumulation_is_slow(certain):
    # half-life 6.9 h, every 4 h: steady state is 3 times the first dose
    slow = ph.dose(
        certain, "average 9-11 mg/L", interval=4, route="iv", amounts=[60, 120, 240, 360]
    )
    assert slow.best.amount == 120 and slow.loading.amount == 360
    given = slow.regimen(3).columns
    assert given["amount"].tolist() == [360.0, 120.0]  # the second with one additional dose
    assert given["time"].tolist() == [0.0, 4.0] and given["additional_doses"].tolist() == [0, 1]
    assert "first dose: 360 mg iv" in str(slow)


def test_what_the_doses_so_far_have_left_counts(found):
    fresh = ph.dose(
        found, "average 3-4 mg/L", interval=12, amounts=[100, 130, 160], when=12, start=500
    )
    soon = ph.dose(found, "average 3-4 mg/L", interval=12, amounts=[100, 130, 160], when=12)
    assert soon.start == 24.0
    left = soon.table["average"] - fresh.table["average"]
    run = found.simulate(None, np.linspace(24, 36, 50), draws=500, compartments=["plasma"])
    expected = np.trapezoid(run["concentration"][:, :, 0], run["time"], axis=1) / 12
    np.testing.assert_allclose(left, np.median(expected), rtol=0.05)


def test_the_proposed_regimen_simulated_does_what_was_said(found):
    result = ph.dose(found, "trough 4-6 mg/L", interval=8, route="iv", infusion="30 min")
    run = found.simulate(
        result.regimen(12), [96.0 - 1e-6], after=result.start, draws=500, compartments=["plasma"]
    )
    assert run["time"].values[0] < 96
    trough = found.simulate(
        result.regimen(12),
        [result.start + 95.999],
        after=result.start,
        draws=500,
        compartments=["plasma"],
    )["concentration"].values.ravel()
    assert np.median(trough) == pytest.approx(result.best.metrics[0][0], rel=0.01)
    assert np.mean((trough >= 4) & (trough <= 6)) == pytest.approx(result.attainment, abs=0.03)


def test_a_function_is_a_target_and_a_loss(found):
    target = lambda t, c: (c[:, -1] > 2) & (c.max(axis=1) < 9)
    result = ph.dose(found, target, interval=12, route="iv", amounts=[50, 150, 400])
    assert result.best.amount == 150
    cost = lambda profile: np.abs(profile.auc / 12 - 14.0)
    assert ph.dose(found, target, interval=12, amounts=[50, 150, 400], loss=cost).best.amount == 400


def test_a_saturable_model_is_run_for_each_amount():
    def assemble(p):
        one = np.ones_like(np.atleast_1d(p["vmax"]))
        constants = np.stack([p["vmax"] * one, p["km"] * one], axis=1)
        return Coefficients(np.zeros((1, 1)), (constants,), {"plasma": 0.1 * one})

    system = ph.System(
        ("body",),
        [0],
        [0],
        np.zeros((1, 1)),
        reactions=(
            ph.Reaction("loss", "michaelis_menten", (0,), {0: -1.0}, np.array([[20.0, 50.0]])),
        ),
        observables={"plasma": ph.Observable((0,), np.array([0.1]))},
        targets={"iv_bolus": 0},
        parameters={"vmax": np.array([20.0]), "km": np.array([50.0])},
        assemble=assemble,
    )
    found = ph.posterior(system, ph.Patient(), {"vmax": LogNormal(20.0, 0.1)}, draws=100)
    result = ph.dose(found, "average 4-9 mg/L", interval=8, route="iv", amounts=[40, 80], draws=50)
    average = result.table.set_index("amount")["average"]
    assert average[80] > 2.2 * average[40]  # more than in proportion
    source = ProfileSource(found, Administration("iv_bolus"), found.picks(50), 0.0)
    assert not source.linear
    # at steady state the mean elimination is the dose: the mean of Vmax a/(Km + a) over 8 h is 80/8
    profile = source.steady_state(80.0, 8.0)
    amount = 10 * profile.concentration
    vmax = found.values[found.picks(50)][:, :1]
    lost = np.trapezoid(vmax * amount / (50 + amount), profile.times, axis=1)
    np.testing.assert_allclose(lost, 80.0, rtol=2e-3)
    with pytest.raises(ph.InputError, match="amounts"):
        ph.dose(found, "average 4-9 mg/L", interval=8, route="iv")


def test_superposition_is_the_steady_state_of_the_engine(found):
    source = ProfileSource(found, Administration("oral"), found.picks(30), 24.0)
    fast = source.steady_state(200.0, 12.0)
    curve, area = source._run(
        source.administration.dose(200.0, interval=12.0, steady_state=1), source.grid(12.0)
    )
    np.testing.assert_allclose(fast.concentration, curve, rtol=1e-6)
    np.testing.assert_allclose(fast.auc, area, rtol=1e-6)


def test_a_sample_where_the_dose_depends_on_it_is_worth_most(found):
    result = ph.dose(found, "trough 4-6 mg/L", interval=12, route="iv")
    advice = result.next_sample()
    assert (advice.information > 0).all() and (advice.sd_after < advice.sd_now).all()
    assert advice.best > result.start + 6  # the trough says most of the trough
    assert "SampleAdvice(best at" in repr(advice)
    for times in ([], [3.0], ["12 mg"]):
        with pytest.raises(ph.InputError, match="times"):
            result.next_sample(times)


def test_information_of_a_sample_is_the_closed_form_of_two_normals(one_compartment):
    # log C = log D - log V at time 0: prior sd 0.3, error sd 0.2: I = 0.5 ln(1 + 0.3^2/0.2^2)
    priors = {"v": LogNormal(30.0, 0.3)}
    prior = ph.posterior(
        one_compartment(), ph.Patient(), priors, error={"lognormal": 0.2}, draws=2000
    )
    result = ph.dose(
        prior, "peak 1-9 mg/L", interval=240, route="iv", amounts=[100], start=0, draws=1500
    )
    advice = result.next_sample([1e-6], draws=1500)
    assert advice.information[0] == pytest.approx(0.5 * np.log(1 + (0.3 / 0.2) ** 2), abs=0.05)
    expected = 1 / np.sqrt(1 / 0.3**2 + 1 / 0.2**2)
    assert advice.sd_after[0] == pytest.approx(expected, rel=0.1)


def test_more_samples_bring_the_dose_nearer_to_the_oracles(one_compartment):
    rng = np.random.default_rng(2)
    truth = ph.posterior(one_compartment(), ph.Patient(), PRIORS, draws=100).values[:8]
    target, gaps = "average 6-8 mg/L", {0: [], 3: []}
    for cl, v, *_ in truth:
        for n, gap in gaps.items():
            times = [1.0, 6.0, 11.0][:n]
            y = 100 / v * np.exp(-cl / v * np.array(times)) * (1 + 0.05 * rng.standard_normal(n))
            samples = list(zip(times, y.tolist(), strict=True))
            patient = ph.Patient("100 mg iv", samples)
            result = ph.dose(
                patient,
                target,
                model=one_compartment(),
                priors=PRIORS,
                error={"proportional": 0.05},
                interval=12,
                amounts="multiples of 10 mg up to 900 mg",
            )
            gap.append(abs(np.log(result.best.amount / (7 * cl * 12))))
    assert np.mean(gaps[3]) < 0.1 < np.mean(gaps[0])


@pytest.mark.parametrize(
    ("target", "error", "expected"),
    [
        # normal about the value with sd .1 of it, 75 in 60 to 90; log-normal; sd 2 about 5
        ("AUC24 60-90 mg*h/L", {"proportional": 0.1}, ndtr(2.0) - ndtr(-2.0)),
        (
            "AUC24 60-90 mg*h/L",
            {"lognormal": 0.1},
            ndtr(np.log(90 / 75) / 0.1) - ndtr(np.log(60 / 75) / 0.1),
        ),
        ("average < 5 mg/L", {"additive": 2.0}, ndtr((5 - 75 / 24) / 2)),
    ],
)
def test_a_measurement_is_in_the_range_with_the_probability_of_its_error(
    one_compartment, target, error, expected
):
    known = ph.posterior(one_compartment(), ph.Patient(), KNOWN, error=error)
    result = ph.dose(known, target, interval=12, route="iv", amounts=[112.5], measured=True)
    assert result.attainment == pytest.approx(expected, abs=2e-3)
    true = ph.dose(known, target, interval=12, route="iv", amounts=[112.5])
    assert (
        true.attainment == 1.0 and "measurement" in str(result) and "measurement" not in str(true)
    )


def test_what_cannot_be_measured_is_refused(one_compartment, certain):
    for target in ("fT>MIC 50 % of 2 mg/L", lambda t, c: c[:, -1] > 1):
        with pytest.raises(InputError, match="measured"):
            ph.dose(
                certain,
                target,
                interval=12,
                route="iv",
                amounts=[100],
                measured=True,
                fraction_unbound=1.0,
            )
    additive = ph.posterior(one_compartment(), ph.Patient(), KNOWN, error={"additive": 1.0})
    with pytest.raises(InputError, match="AUC"):
        ph.dose(additive, "AUC24 > 5 mg*h/L", interval=12, route="iv", amounts=[9], measured=True)


def test_the_notice_is_printed_everywhere(found):
    result = ph.dose(found, "trough 4-6 mg/L", interval=12)
    for text in (str(result), repr(result), result._repr_html_()):
        assert "research software, not a medical device" in text
    assert "Pareto k" in str(result)


def test_the_curve_of_attainment_is_drawn(found):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = ph.dose(found, "trough 4-6 mg/L", interval=[8, 12]).plot()
    assert len(ax.lines) == 3
    plt.close(ax.figure)
