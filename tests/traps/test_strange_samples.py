"""Samples in another unit, or of a curve that no drug has: said, and the unit named."""

import warnings

import numpy as np
import pytest
import xarray as xr

from pbpk_hybrid._core.errors import OutOfRangeWarning
from pbpk_hybrid.dosing import Regimen
from pbpk_hybrid.learn import Forecaster


@pytest.fixture(scope="module")
def forecaster():
    return Forecaster.load()


def samples(times, values):
    n = len(times)
    return xr.Dataset(
        {
            "time": ("sample", np.asarray(times, float), {"units": "h"}),
            "value": ("sample", np.asarray(values, float), {"units": "mg/L"}),
            "matrix": ("sample", np.full(n, "plasma")),
            "subject": ("sample", np.full(n, "p7")),
            "study": ("sample", np.full(n, "s")),
            "reference": ("sample", np.full(n, "r")),
        }
    )


TIMES = np.array([1.0, 2.0, 4.0, 8.0])
CURVE = 100 / 40 * np.exp(-0.15 * TIMES)
ASKED = {"times": [12.0, 24.0]}


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1000.0, "look like ng/mL given as mg/L"), (0.001, "look like mg/L given as ng/mL")],
)
def test_a_unit_off_by_a_thousand_is_named(forecaster, factor, words):
    with pytest.warns(OutOfRangeWarning, match=f"subject p7 are about 1,000 times.*{words}"):
        out = forecaster.forecast(samples(TIMES, factor * CURVE), Regimen.bolus(100.0), **ASKED)
    assert out["ood_score"].values[0] > 1


def test_usual_samples_are_not_called_strange(forecaster):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rate, volume in ((0.05, 60.0), (0.15, 40.0), (0.6, 15.0), (0.15, 400.0)):
            values = 100 / volume * np.exp(-rate * TIMES)
            forecaster.forecast(samples(TIMES, values), Regimen.bolus(100.0), **ASKED)


def test_samples_that_no_drug_makes_are_strange_without_a_unit_to_blame(forecaster):
    zigzag = np.array([2.0, 0.002, 2.0, 0.002])
    with pytest.warns(OutOfRangeWarning, match="unlike the corpus") as caught:
        forecaster.forecast(samples(TIMES, zigzag), Regimen.bolus(100.0), **ASKED)
    assert not any("look like" in str(w.message) for w in caught)


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_others_tell_a_mistaken_unit_from_one_sample(forecaster, factor):
    others = samples(np.tile(TIMES, 3), np.concatenate([0.8 * CURVE, CURVE, 1.2 * CURVE]))
    others["subject"] = ("sample", np.repeat(list("abc"), 4))
    context = (others, Regimen.bolus(100.0), {"subject": list("abc"), "body_weight": 70.0})
    one = samples(TIMES[:1], factor * CURVE[:1])
    with pytest.warns(OutOfRangeWarning, match="look like"):
        forecaster.forecast(
            one, Regimen.bolus(100.0), {"body_weight": 70.0}, context=context, **ASKED
        )
