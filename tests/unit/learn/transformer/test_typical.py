"""The curve that other patients have in common."""

import numpy as np
import pytest
import torch
from forecaster_samples import observed

from pbpk_hybrid.dosing import Regimen
from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
from pbpk_hybrid.learn.transformer.context_curve import TypicalCurve
from pbpk_hybrid.learn.transformer.data import collate, read_patients

TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 12.0])


def truth(t, weight=70.0):
    """100 mg as a bolus into 40 L that clear 8 L/h, in a body of 70 kg; volume and time scaled by allometry."""
    unit = (weight / 70.0) ** 0.25
    return 100 / (40 * weight / 70) * np.exp(-0.2 * t / unit)


def patients(weights, times=TIMES, regimen=None, seen=True):
    labels = [str(i) for i in range(len(weights))]
    ds = None
    if seen:
        values = np.concatenate([truth(times, w) for w in weights])
        ds = observed(np.tile(times, len(weights)), values, np.repeat(labels, len(times)))
    found, _ = read_patients(
        ds, regimen or Regimen.bolus(100.0), {"subject": labels, "body_weight": list(weights)}
    )
    return found


@pytest.fixture(scope="module")
def fitted():
    return TypicalCurve(collate(patients([55.0, 70.0, 90.0]), np.zeros(0), [0], None))


def test_it_is_the_curve_behind_the_samples_for_another_body(fitted):
    batch = collate(patients([80.0], seen=False), TIMES, [0], None)
    fitted.put(batch)
    # a few per cent: the fit is pulled towards where it started
    np.testing.assert_allclose(batch.query_reference[0], truth(TIMES, 80.0), rtol=0.08)


def test_it_follows_another_regimen_by_superposition(fitted):
    twice = Regimen.bolus(100.0) + Regimen.bolus(50.0, time=6.0)
    batch = collate(patients([70.0], seen=False, regimen=twice), np.array([8.0]), [0], None)
    fitted.put(batch)
    assert batch.query_reference[0, 0] == pytest.approx(truth(8.0) + 0.5 * truth(2.0), rel=0.08)


@pytest.mark.parametrize(
    ("weight", "regimen", "site"), [(3.0, None, 0), (70.0, Regimen.oral(100.0), 0), (70.0, None, 8)]
)
def test_there_is_none_for_a_body_a_route_or_a_place_too_far_off(fitted, weight, regimen, site):
    batch = collate(patients([weight], seen=False, regimen=regimen), TIMES, [site], None)
    fitted.put(batch)
    assert np.isnan(batch.query_reference).all()


def test_one_wild_sample_does_not_carry_it_away():
    several = patients([60.0, 70.0, 80.0, 75.0])
    several[0].value[3] *= 50.0
    batch = collate(patients([70.0], seen=False), TIMES, [0], None)
    TypicalCurve(collate(several, np.zeros(0), [0], None)).put(batch)
    np.testing.assert_allclose(batch.query_reference[0], truth(TIMES), rtol=0.25)


def test_the_corpus_shows_such_curves_where_others_are_seen():
    corpus = Corpus(CorpusOptions(batch_size=64, context=1.0))
    for kind in ("compartmental", "whole_body"):
        batch = corpus.batch(2, 1, kind)
        sees = (batch.context >= 0).any(axis=1)
        own = batch.query_mask & ~batch.query_censored & (batch.query_site == batch.obs_site[:, :1])
        shown = np.isfinite(batch.query_reference) & own
        assert shown[sees].sum() > 0.5 * own[sees].sum()
        if kind == "compartmental":
            assert not np.isfinite(batch.query_reference[~sees]).any()
        miss = np.log(batch.query_reference[shown] / batch.query_value[shown])
        assert np.median(np.abs(miss)) < 0.7  # differences between people and the error of a sample


def test_the_fit_leaves_no_trace_in_the_state_of_torch():
    before = torch.random.get_rng_state()
    TypicalCurve(collate(patients([70.0]), np.zeros(0), [0], None))
    assert torch.equal(before, torch.random.get_rng_state()) and torch.is_grad_enabled()
