"""The forecaster that comes with the package, on figures that a broken one would not reach."""

import numpy as np
import pytest
import torch
from forecaster_samples import observed

import pbpk_hybrid as ph
from pbpk_hybrid.dosing import Regimen
from pbpk_hybrid.learn import Forecaster
from pbpk_hybrid.learn.transformer import Corpus, CorpusOptions
from pbpk_hybrid.learn.transformer.features import prepare
from pbpk_hybrid.learn.transformer.model import SHIPPED


@pytest.fixture(scope="module")
def forecaster():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Forecaster.load()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def held_out(forecaster):
    """ln measured, quantiles .05 .5 .95, and the highest sample shown, of patients on compounds never drawn in training."""
    corpus = Corpus(CorpusOptions(split="test", deviation=0.0))
    rows = []
    for step in range(3):
        batch = corpus.batch(7_000_001, step)
        mixture = forecaster.mixture(batch)
        with torch.no_grad():
            q = mixture.quantiles(torch.tensor([0.05, 0.5, 0.95])).numpy()
        p = prepare(batch)
        use = batch.query_mask & ~batch.query_censored & (batch.obs_mask.sum(axis=1) >= 2)[:, None]
        last = np.log(np.where(batch.obs_mask, batch.obs_value, 0).max(axis=1, initial=1e-30))[
            :, None
        ]
        last = np.broadcast_to(last - p.log_scale.numpy()[:, None], use.shape)
        rows.append(np.c_[p.query_log.numpy()[use], q[use], last[use]])
    return np.concatenate(rows)


def test_the_file_is_small():
    assert SHIPPED.stat().st_size < 20e6


def test_its_medians_are_near_what_is_measured(held_out):
    fold = np.exp(np.abs(held_out[:, 2] - held_out[:, 0]).mean())
    assert fold < 1.8  # 1.67 when it was trained, most of it of patients whose compound is not told
    assert np.exp(np.abs(held_out[:, 4] - held_out[:, 0]).mean()) > 2 * fold


def test_its_intervals_cover_what_they_say(held_out):
    inside = (held_out[:, 0] > held_out[:, 1]) & (held_out[:, 0] < held_out[:, 3])
    # 3,000 dependent points of 96 compounds: 90 % within four standard errors
    assert 0.84 < inside.mean() < 0.96


def test_more_samples_narrow_the_interval_on_average(forecaster):
    times, widths = np.array([0.5, 1.0, 2.0, 4.0, 6.0]), []
    rng = np.random.default_rng(4)
    for n in (1, 3, 5):
        each = []
        for k, v in zip(rng.uniform(0.05, 0.4, 8), rng.uniform(10, 80, 8), strict=True):
            ds = observed(times[:n], 100 / v * np.exp(-k * times[:n]))
            out = forecaster.forecast(ds, Regimen.bolus(100.0), times=[8.0, 12.0])[
                "concentration_quantile"
            ].values
            each.append(np.log(out[..., -1] / out[..., 0]).mean())
        widths.append(np.mean(each))
    assert widths[0] > widths[1] > widths[2]


def test_theophylline_is_forecast_from_other_patients(forecaster):
    ds = ph.observations("theophylline")
    assert ds.sizes["sample"] > 0  # curated data are there
    times = np.array([1.0, 2.0, 4.0, 8.0, 12.0, 24.0])
    curve = lambda cl, v, ka: (
        320 / v * ka / (ka - cl / v) * (np.exp(-cl / v * times) - np.exp(-ka * times))
    )
    people = [(2.8, 32.0, 1.5), (2.2, 30.0, 1.2), (3.6, 36.0, 2.0), (2.5, 31.0, 0.9)]
    others = observed(
        np.tile(times, 4), np.concatenate([curve(*p) for p in people]), np.repeat(list("abcd"), 6)
    )
    context = (others, Regimen.oral(320.0), {"subject": list("abcd"), "body_weight": 75.0})
    new = curve(2.7, 33.0, 1.4)
    ds = observed(times[:1], new[:1])
    out = forecaster.forecast(
        ds, Regimen.oral(320.0), {"body_weight": 75.0}, times=times[1:], context=context
    )
    fold = np.exp(np.abs(np.log(out["concentration"].values.ravel() / new[1:])))
    assert fold.max() < 1.5
