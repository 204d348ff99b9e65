"""Curves fitted to samples, priors from other patients, and forecasts weighted by what they predicted."""

from dataclasses import replace

import numpy as np
import torch
from forecaster_samples import observed

from pbpk_hybrid.dosing import Regimen
from pbpk_hybrid.learn.transformer import combination
from pbpk_hybrid.learn.transformer.combination import Weights, combined
from pbpk_hybrid.learn.transformer.context_curve import with_context
from pbpk_hybrid.learn.transformer.curve_alternatives import alternatives
from pbpk_hybrid.learn.transformer.curve_fit import fit_curves, predict_curves
from pbpk_hybrid.learn.transformer.curve_population import people_prior, shipped_priors, starts
from pbpk_hybrid.learn.transformer.data import collate, read_patients
from pbpk_hybrid.learn.transformer.features import prepare
from pbpk_hybrid.learn.transformer.likelihood import Mixture
from pbpk_hybrid.learn.transformer.superposition import exposures

TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 12.0])
LATER = np.array([16.0, 24.0])


def bolus(t, clearance=8.0, volume=40.0, dose=100.0):
    return dose / volume * np.exp(-clearance / volume * t)


def batch_of(curves, times=TIMES, asked=LATER, regimen=None, n=None):
    labels = [str(i) for i in range(len(curves))]
    shown = times[:n]
    ds = observed(
        np.tile(shown, len(curves)),
        np.concatenate([c(shown) for c in curves]),
        np.repeat(labels, len(shown)),
    )
    people = {"subject": labels, "body_weight": 70.0}
    patients, _ = read_patients(ds, regimen or Regimen.bolus(100.0), people)
    return collate(patients, asked, [0], None)


def test_a_curve_goes_through_its_samples_and_on():
    # from a drug of minutes to one of days, all of them from the prior of compounds at large
    drugs = [(200.0, 30.0), (8.0, 40.0), (0.5, 60.0)]
    times = [np.array([0.03, 0.1, 0.3]), np.array([1.0, 4.0, 8.0]), np.array([4.0, 24.0, 72.0])]
    for (clearance, volume), t in zip(drugs, times, strict=True):
        batch = batch_of(
            [lambda x, c=clearance, v=volume: bolus(x, c, v)], t, np.array([1.5 * t[-1]])
        )
        patients = prepare(batch)
        prior, fitted = alternatives(patients, shipped_priors(), patients.obs_mask)
        mean, sd = predict_curves(patients, patients.query_time, fitted, prior)
        best = int(fitted.log_evidence[0].argmax())
        found = float(mean[0, 0, best] + patients.log_scale[0])
        off = found - np.log(bolus(1.5 * t[-1], clearance, volume))
        # compounds at large have slower tails than one exponential: high, and said to be unsure
        assert abs(off) < 1.0 and abs(off) < 2.5 * float(sd[0, 0, best]) < 4.0
        at_samples, _ = predict_curves(patients, patients.obs_time, fitted, prior)
        assert float((at_samples[..., best] - patients.obs_log).abs().max()) < 0.3


def test_the_gradient_steps_never_make_a_fit_worse():
    batch = batch_of([bolus, lambda t: bolus(t, 40.0)])
    patients, prior = prepare(batch), shipped_priors().compounds
    before = np.inf
    for iterations in (0, 1, 3, 8):
        fitted = fit_curves(patients, prior, starts(prior, 2), patients.obs_mask, iterations)
        assert (fitted.objective.numpy() <= before + 1e-4).all()
        before = fitted.objective.numpy()
    assert (torch.linalg.eigvalsh(fitted.covariance) > 0).all()


def test_a_value_below_its_limit_pulls_down_only_what_is_above():
    batch = batch_of([bolus], n=4)
    batch.obs_censored[0, 3] = True
    patients, prior = prepare(batch), shipped_priors().compounds
    high = fit_curves(patients, prior, starts(prior, 1), patients.obs_mask)
    batch.obs_value[0, 3] *= 100.0  # a limit far above the curve says nothing
    loose = prepare(batch)
    free = fit_curves(loose, prior, starts(prior, 1), loose.obs_mask)
    without = fit_curves(loose, prior, starts(prior, 1), loose.obs_mask & ~loose.obs_censored)
    torch.testing.assert_close(free.objective, without.objective)
    assert float(high.objective.min()) >= float(free.objective.min()) - 1e-3


def test_every_other_patient_counts_and_the_prior_narrows():
    rng = np.random.default_rng(0)
    clearances = 8.0 * np.exp(0.2 * rng.standard_normal(24))
    everyone = [lambda t, c=c: bolus(t, c) for c in clearances]
    usual = shipped_priors()
    few, many = (people_prior(prepare(batch_of(everyone[:n]))) for n in (3, 24))
    assert many.sigma < few.sigma < usual.compounds.sigma
    # samples without error, of people of one volume: less spread than usual people have
    assert float(many.covariance[0, 0]) < float(few.covariance[0, 0])
    last = people_prior(prepare(batch_of([*everyone[:-1], lambda t: bolus(t, 30.0)])))
    assert not torch.allclose(last.mean, many.mean, atol=1e-4)
    new = prepare(batch_of([bolus], n=1))
    fitted = fit_curves(new, many, starts(many, 1), new.obs_mask)
    mean, sd = predict_curves(new, new.query_time, fitted, many)
    found = (mean[0, :, 0] + new.log_scale[0]).exp().numpy()
    np.testing.assert_allclose(found, bolus(LATER), rtol=0.6)
    assert float(sd.max()) < 1.5


def test_the_forecast_that_predicted_the_samples_gets_the_weight(monkeypatch):
    batch = batch_of([bolus])

    def says(factor):
        def forecast(b):
            mean = torch.as_tensor(np.log(factor * bolus(b.query_time)), dtype=torch.float32)
            flat = torch.zeros_like(mean)[..., None]
            unit = prepare(b).log_scale[:, None, None]
            return Mixture(flat, mean[..., None] - unit, flat - 1.5)

        return forecast

    judged = combination._judged(batch, [says(1.0), says(3.0)])
    assert float(judged[0, 0] - judged[0, 1]) > 5.0


def test_where_nothing_is_told_the_network_speaks_alone(untrained):
    batch = batch_of([bolus, bolus])
    with torch.no_grad():
        assert torch.equal(combined(untrained.module, batch).mean, untrained.module(batch).mean)


def test_a_compound_told_wrongly_loses_its_weight(untrained):
    batch = batch_of([bolus, bolus], n=4)
    weights = []
    for factor in (1.0, 1000.0):
        batch.obs_reference = factor * batch.obs_value
        batch.query_reference = factor * bolus(batch.query_time)
        mixed = combined(untrained.module, batch, Weights(power=1.0))
        told = untrained.config.hypotheses + untrained.config.anchored
        assert mixed.mean.shape[-1] == 2 * told
        torch.testing.assert_close(mixed.log_weight.exp().sum(dim=-1), torch.ones(2, 2))
        weights.append(float(mixed.log_weight[..., :told].exp().sum(dim=-1).mean()))
    assert weights[1] < weights[0]


def test_others_are_used_all_of_them_and_organs_stay_the_networks(untrained):
    others = batch_of(
        [lambda t, c=c: bolus(t, c) for c in (6.0, 7.0, 8.0, 9.0, 10.0)], asked=LATER[:0]
    )
    batch = batch_of([bolus], n=3)
    with_context(batch, others)
    mixed = combined(untrained.module, batch, Weights(people=1e3))
    median = mixed.quantiles(torch.tensor([0.5]))[..., 0] + prepare(batch).log_scale[:, None]
    assert np.abs(median.numpy()[0] - np.log(bolus(LATER))).max() < 0.8
    organ = replace(batch, query_site=np.full_like(batch.query_site, 8))
    mixed = combined(untrained.module, organ)
    with torch.no_grad():
        alone = untrained.module(organ)
    kept = alone.mean.shape[-1]
    torch.testing.assert_close(mixed.log_weight[..., :kept], alone.log_weight)
    assert float(mixed.log_weight[..., kept:].exp().sum()) < 1e-6


def test_many_doses_need_no_more_memory_at_once(untrained, monkeypatch):
    from pbpk_hybrid.learn.transformer import superposition

    regimen = Regimen.bolus(50.0, interval=6.0, additional_doses=30)
    batch = batch_of([bolus], asked=np.linspace(13.0, 200.0, 40), regimen=regimen)
    patients = prepare(batch)
    with torch.no_grad():
        whole = exposures(patients, patients.query_time)
        monkeypatch.setattr(superposition, "_MOST_AT_ONCE", 700)
        parts = exposures(patients, patients.query_time)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))
