"""After the last input medians fall."""

import numpy as np
import pytest
import torch

from pbpk_hybrid.dosing import Regimen
from pbpk_hybrid.learn.transformer.data import collate, read_patients
from pbpk_hybrid.learn.transformer.falling import falling
from pbpk_hybrid.learn.transformer.features import prepare
from pbpk_hybrid.learn.transformer.likelihood import Mixture

TIMES = np.array([1.0, 2.0, 4.0, 8.0, 12.0, 24.0])


def held(regimen, medians, times=TIMES, site=0):
    patients, _ = read_patients(None, regimen, None)
    asked = prepare(collate(patients, times, [site], None))
    mean = torch.tensor(np.log(medians), dtype=torch.float32)[None, :, None]
    flat = torch.zeros_like(mean)
    moved = falling(asked, Mixture(flat, mean, flat - 1.0))
    assert torch.equal(moved.log_sd, flat - 1.0)
    return np.exp(moved.mean[0, :, 0].numpy())


def test_what_falls_stays_to_the_digit():
    medians = 10 * np.exp(-0.2 * TIMES)
    np.testing.assert_allclose(held(Regimen.bolus(100.0), medians), medians, rtol=1e-6)


def test_a_late_rise_becomes_the_nearest_falling_sequence():
    found = held(Regimen.bolus(100.0), [10.0, 8.0, 5.0, 2.0, 4.0, 1.0])
    # 2 and 4 meet at their geometric mean
    np.testing.assert_allclose(found, [10.0, 8.0, 5.0, 8**0.5, 8**0.5, 1.0], rtol=1e-5)


def test_a_dose_by_mouth_has_its_peak_first():
    medians = [1.0, 3.0, 4.0, 3.0, 2.0, 3.5]
    found = held(Regimen.oral(100.0), medians)
    np.testing.assert_allclose(found[:3], medians[:3], rtol=1e-6)
    assert np.diff(found[2:]).max() < 1e-5


def test_nothing_is_held_before_the_last_input_or_in_an_organ():
    medians = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    infused = held(Regimen.infusion(100.0, duration=12.0), medians)
    np.testing.assert_allclose(infused[:4], medians[:4], rtol=1e-6)
    assert infused[4] == pytest.approx(infused[5], rel=1e-5)
    np.testing.assert_allclose(held(Regimen.bolus(100.0), medians, site=8), medians, rtol=1e-6)


def test_the_order_of_what_is_asked_does_not_matter():
    medians = np.array([10.0, 8.0, 5.0, 2.0, 4.0, 1.0])
    swap = np.array([3, 0, 5, 1, 4, 2])
    found = held(Regimen.bolus(100.0), medians[swap], TIMES[swap])
    np.testing.assert_allclose(found, held(Regimen.bolus(100.0), medians)[swap], rtol=1e-6)
