"""Forecaster, MAP and posterior beside each other."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import InputError
from pbpk_hybrid.estimation import LogNormal
from pbpk_hybrid.learn import Forecaster

TIMES = [24.0, 30.0, 35.9]


@pytest.fixture(scope="module")
def patient():
    samples = {2: "7.4 mg/L", 6: "6.1 mg/L", 11.9: 4.4}
    return ph.Patient("320 mg oral q12h x3", samples, ph.reference_individual("human"))


@pytest.fixture(scope="module")
def found(patient):
    return ph.compare_forecasts(patient, "theophylline", times=TIMES, error={"proportional": 0.1})


def test_all_are_run_and_each_is_what_it_is_alone(patient, found):
    assert found.methods == ("forecaster", "forecaster, told the compound", "MAP", "posterior")
    c = found.dataset["concentration"]
    assert c.dims == ("approach", "time", "quantile") and c.attrs["units"] == "mg/L"
    assert (c.diff("quantile") >= 0).all()
    alone = ph.posterior("theophylline", patient, error={"proportional": 0.1})
    curve = alone.simulate(times=TIMES)["concentration"].sel(compartment="plasma")
    np.testing.assert_allclose(
        c.sel(approach="posterior", quantile=0.5), curve.median("subject"), rtol=0.02
    )
    network = Forecaster.load().forecast(
        patient.observations(),
        patient.doses,
        patient.person.assign_coords(subject=["0"]),
        times=TIMES,
    )
    own = network["concentration_quantile"].sel(quantile=0.5).values.ravel()
    np.testing.assert_allclose(c.sel(approach="forecaster", quantile=0.5), own, rtol=1e-5)


def test_map_is_the_curve_at_the_mode(found):
    post = found.posterior
    at = post.facts["mode"]
    values = {n: float(s.back(u)) for n, s, u in zip(post.names, post.scales, at, strict=True)}
    assert set(values) == {"clearance", "partition", "absorption_rate"}
    c = found.dataset["concentration"].sel(approach="MAP")
    # residual error alone: 5 and 95 % at 1.645 x 10 % of the curve
    middle = c.sel(quantile=0.5)
    np.testing.assert_allclose(c.sel(quantile=0.95) / middle, 1.1645, atol=0.03)
    wide = found.dataset["concentration"].sel(approach="posterior")
    assert (wide.sel(quantile=0.95) > c.sel(quantile=0.95)).all()


def test_the_table_the_words_and_the_picture(found):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table = found.table
    assert table.shape == (3, 12) and table.index.name == "time [h]"
    text = str(found)
    for words in ("ood_score", "Pareto k", "assumed prior", "differ most", "not a medical device"):
        assert words in text
    assert "not a medical device" in found._repr_html_()
    assert len(found.plot().lines) == 5
    plt.close("all")
    worst = float(found.dataset["disagreement"].max())
    medians = table.xs("median", axis=1, level=1)
    assert worst == pytest.approx(float((medians.max(axis=1) / medians.min(axis=1)).max()))


def test_without_a_model_there_is_the_forecaster(patient):
    assert ph.compare_forecasts(patient, times=[24]).methods == ("forecaster",)


def test_a_system_is_not_told_to_the_forecaster_and_no_samples_have_no_map(patient):
    compound = ph.get_compound("theophylline")
    system = ph.whole_body_system(compound, ph.reference_individual("human"))
    priors = {"clint.liver": LogNormal(float(system.parameters["clint.liver"][0]), 0.4)}
    unsampled = ph.Patient("320 mg oral", None, body_weight=70)
    found = ph.compare_forecasts(
        unsampled, system, times=[4], priors=priors, error={"proportional": 0.1}
    )
    assert found.methods == ("forecaster", "posterior")


@pytest.mark.parametrize(
    ("model", "methods", "words"),
    [
        (None, ["posterior"], "a model"),
        (None, ["forecaster, told the compound"], "a compound"),
        ("theophylline", ["nonmem"], "one of 'forecaster'"),
        ("theophylline", [], "at least one"),
    ],
)
def test_methods_that_cannot_be_run_are_refused(patient, model, methods, words):
    with pytest.raises(InputError, match=words):
        ph.compare_forecasts(patient, model, times=[24], methods=methods)


@pytest.mark.parametrize("times", [[], [5, 5], [8, 4], [-1]])
def test_times_that_do_not_increase_are_refused(patient, times):
    with pytest.raises(InputError, match="times"):
        ph.compare_forecasts(patient, times=times)
