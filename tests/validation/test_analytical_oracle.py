"""The closed forms against published simulated data sets, and against each other."""

from __future__ import annotations

import analytical as closed
import numpy as np
import pytest

from pbpk_hybrid.dosing import read_nonmem

FILES = ("Bolus_1CPT", "Infusion_1CPT", "Oral_1CPT", "Bolus_2CPT", "Oral_2CPT")


def model_of(covariates, i):
    def p(name):
        return float(covariates[name].values[i])

    if "V" in covariates:
        model = closed.one_compartment(p("CL"), p("V"))
    else:
        model = closed.two_compartment(p("CL"), p("V1"), p("Q"), p("V2"))
    return closed.first_order_absorption(model, p("KA")) if "KA" in covariates else model


@pytest.mark.parametrize("name", FILES)
def test_closed_forms_explain_the_simulated_data_up_to_their_noise(nlmixr2data, name):
    # 120 people each, simulated with their own parameters (given in the file) and log-normal residual error of SD 0.2:
    # single dose (< 72 h), multiple doses, then SS = 1 at 216 h. Against the right curve, mean log ratios are 0.
    data = read_nonmem(
        nlmixr2data / f"{name}.csv.gz",
        missing={"SS": ["99"]},
        amount_unit="ug",
        concentration_unit="ug/L",
    )
    c, obs = data.regimen.columns, data.observations
    assert len(c["time"]) > 900 and np.count_nonzero(c["steady_state"] == 1) == 120
    who = obs["subject"].values.astype(int)
    ratio, when, half_life = [], [], []
    for i, subject in enumerate(data.covariates["subject"].values):
        mine = c["subject"] == subject
        doses = [
            {"time": t, "amount": a, "duration": a / r if r else 0.0, "interval": ii}
            for t, a, r, ii in zip(
                c["time"][mine],
                c["amount"][mine],
                c["rate"][mine],
                c["interdose_interval"][mine],
                strict=True,
            )
        ]
        seen = who == subject
        time = obs["time"].values[seen]
        model = model_of(data.covariates, i)
        expected = closed.superpose(model, time, doses)
        half_life.append(np.full(time.size, np.log(2) / model.rate.min()))
        ratio.append(np.log(obs["value"].values[seen] / expected))
        when.append(time)
    ratio, when, half_life = np.concatenate(ratio), np.concatenate(when), np.concatenate(half_life)
    assert abs(ratio.std() - 0.2) < 0.01
    for start, stop in ((0, 72), (72, 216), (216, 400)):
        # the sets' steady state is that of about 7 daily doses (mean log ratios by half-life vanish for 7 and grow to
        # -0.15 at half-lives > 60 h for the true one): compare where 7 doses reach it within 1 %
        settled = (half_life < 25) | (stop < 400)
        part = ratio[(when >= start) & (when < stop) & settled]
        assert part.size > 300
        # 4 standard errors of a mean of noise 0.2: about 0.016
        assert abs(part.mean()) < 4 * 0.2 / np.sqrt(part.size)


MODELS = {
    "one": closed.one_compartment(5.0, 30.0),
    "two": closed.two_compartment(5.0, 30.0, 8.0, 60.0),
    "oral": closed.first_order_absorption(closed.one_compartment(5.0, 30.0), 1.1),
    "oral two": closed.first_order_absorption(closed.two_compartment(5.0, 30.0, 8.0, 60.0), 1.1),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_area_under_a_bolus_is_dose_over_clearance(model):
    assert (100 * model.coefficient / model.rate).sum() == pytest.approx(100 / 5.0, rel=1e-12)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("duration", [1.0, 12.0, 31.0])
def test_steady_infusions_equal_a_long_train_of_them(model, duration):
    phase = np.linspace(0, 30, 61)
    train = sum(model.infusion(phase + 12 * k, 50, duration) for k in range(300))
    # the slowest rate is 0.04 /h: 300 intervals of 12 h leave e^-140
    np.testing.assert_allclose(model.steady_infusion(phase, 50, duration, 12), train, rtol=1e-10)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_steady_boluses_equal_a_long_train_of_them(model):
    phase = np.linspace(0, 30, 61)
    train = sum(model.bolus(phase + 12 * k, 50) for k in range(300))
    # absolute part: the oral curve at phase 0 is a difference of equal terms
    np.testing.assert_allclose(model.steady_bolus(phase, 50, 12), train, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_long_infusion_reaches_the_constant_steady_state(model):
    assert model.infusion(1e4, 1e4 * 7, 1e4) == pytest.approx(model.constant(7), rel=1e-12)
    assert model.constant(7) == pytest.approx(7 / 5.0, rel=1e-12)


def test_two_compartment_roots_satisfy_the_differential_equations():
    m = closed.two_compartment(5.0, 30.0, 8.0, 60.0)
    k10, k12, k21 = 5 / 30, 8 / 30, 8 / 60
    k = np.array([[-k10 - k12, k21], [k12, -k21]])
    np.testing.assert_allclose(np.sort(m.rate), np.sort(-np.linalg.eigvals(k)), rtol=1e-12)
    assert m.coefficient.sum() == pytest.approx(1 / 30, rel=1e-12)
    # dC/dt at 0 is -(k10 + k12) C
    assert (m.coefficient * m.rate).sum() == pytest.approx((k10 + k12) / 30, rel=1e-12)
