"""Occasions in hierarchical fits: against a linear mixed model in closed form, recovery, NUTS, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import (
    InputError,
    OutOfRangeWarning,
    SchemaError,
    UnknownNameError,
)
from pbpk_hybrid.dosing import read_nonmem
from pbpk_hybrid.estimation import Parameter, bayes, fit_population
from pbpk_hybrid.estimation.bayes import _PopulationDensity

TIMES = np.array([1.0, 3, 6, 12])
SIZE = {"size": Parameter(1.0, factor=True, targets=("cl", "v"))}
#: a bolus on each of three days a week apart, the body emptied in between
VISITS = 168.0 * np.arange(3)
DOSES = sum((ph.Regimen.bolus(100, t, reset=True) for t in VISITS[1:]), start=ph.Regimen.bolus(100))


def with_occasions(observe, n, curves, occasions=None):
    """Observations of n subjects, (n, visits, times) concentrations."""
    visits = VISITS[: curves.shape[1]]
    time = (visits[:, None] + TIMES).ravel()
    who = np.repeat(np.arange(n), time.size).astype(str)
    data = observe(np.tile(time, n), curves.reshape(n, -1).ravel(), who)
    names = np.repeat([f"visit {k}" for k in range(len(visits))], len(TIMES))
    return data.assign(occasion=("sample", np.tile(names, n).astype(object)))


@pytest.fixture(scope="module")
def log_linear(model, observe):
    """With cl/v held log C is linear in log size: a linear mixed model of two levels."""
    rng = np.random.default_rng(5)
    n = 14
    size = 0.2 + 0.35 * rng.standard_normal((n, 1)) + 0.25 * rng.standard_normal((n, 3))
    log_c = np.log(100 / 30) - size[..., None] - 0.1 * TIMES
    log_c = log_c + 0.1 * rng.standard_normal(log_c.shape)
    return model(n, subjects=np.arange(n)), with_occasions(observe, n, np.exp(log_c)), log_c


@pytest.fixture(scope="module")
def found(log_linear):
    system, data, _ = log_linear
    return fit_population(
        system, data, SIZE, ["size"], regimen=DOSES, error="lognormal", occasion=["size"]
    )


def exact(log_c, mu, omega, pi, sigma):
    """-2 log likelihood of (n, visits, times) log concentrations, as a density of the values."""
    visits, m = log_c.shape[1:]
    mean = np.tile(np.log(100 / 30) - mu - 0.1 * TIMES, visits)
    within = np.kron(np.eye(visits), np.ones((m, m)))
    cov = sigma**2 * np.eye(visits * m) + omega**2 + pi**2 * within
    rows = log_c.reshape(len(log_c), -1)
    return -2 * (multivariate_normal(mean, cov).logpdf(rows).sum() - log_c.sum())


def test_laplace_is_exact_for_a_linear_mixed_model_of_two_levels(log_linear, found):
    _, _, log_c = log_linear
    best = minimize(
        lambda p: exact(log_c, p[0], *np.exp(p[1:])),
        [0.1, -1.0, -1.5, -2.0],
        method="BFGS",
        options={"gtol": 1e-6},
    )
    assert found.converged and found.facts["occasions"] == 42 and found.facts["subjects"] == 14
    assert found.minus_two_log == pytest.approx(best.fun, abs=2e-3)
    assert np.log(found["size"]) == pytest.approx(best.x[0], abs=5e-3)
    for name, log_sd in zip(
        ("omega.size", "occasion.size", "error.lognormal"), best.x[1:], strict=True
    ):
        assert found[name] == pytest.approx(np.exp(log_sd), rel=0.02)


def test_what_the_simulation_had_is_recovered(found):
    table = found.table()
    for name, true in (
        ("size", np.exp(0.2)),
        ("omega.size", 0.35),
        ("occasion.size", 0.25),
        ("error.lognormal", 0.1),
    ):
        assert table.loc[name, "lower"] < true < table.loc[name, "upper"], name


def test_deviations_of_subjects_and_occasions_are_those_of_the_data(log_linear, found):
    _, _, log_c = log_linear
    own = found.occasions()
    raw = (np.log(100 / 30) - 0.1 * TIMES - log_c).mean(axis=2)  # (n, visits)
    value = np.log(own["value"].sel(parameter="size").values).reshape(raw.shape)
    assert np.corrcoef(value.ravel(), raw.ravel())[0, 1] > 0.99
    assert own["occasion"].values[:3].tolist() == ["visit 0", "visit 1", "visit 2"]
    assert found.individuals()["eta"].shape == (14, 1)
    ds = found.predictions()
    assert np.std(np.log(ds["predicted"] / ds["observed"])) < 0.11


def test_curves_are_made_for_every_occasion(found):
    run = found.simulate(times=[1.0, 169.0])
    assert run.sizes["subject"] == 42 and run["occasion"].values[1] == "visit 1"
    c = run["concentration"].values[:3, :, 0]
    own = found.occasions()["value"].values[:3, 0]
    np.testing.assert_allclose(c[:, 0], 100 / 30 / own * np.exp(-0.1), rtol=1e-4)


def test_without_occasions_their_scatter_goes_into_the_error(log_linear, found):
    system, data, _ = log_linear
    plain = fit_population(
        system,
        data,
        SIZE,
        ["size"],
        regimen=DOSES,
        error="lognormal",
        standard_errors=False,
    )
    assert plain["error.lognormal"] > 1.8 * found["error.lognormal"]
    assert plain.minus_two_log > found.minus_two_log + 50


def test_the_gradient_of_the_joint_density_is_that_of_differences(found):
    density = _PopulationDensity(found)
    rng = np.random.default_rng(1)
    q = density.start + 0.05 * rng.standard_normal(len(density.start))
    _, gradient = density.log_density(q)
    for i in (0, 1, 2, 3, 4, 7, len(q) - 1):
        h = np.zeros(len(q))
        h[i] = 1e-5
        difference = (density.log_density(q + h)[0] - density.log_density(q - h)[0]) / 2e-5
        assert gradient[i] == pytest.approx(difference, rel=2e-3, abs=2e-3), i


def test_subjects_may_have_different_numbers_of_occasions(log_linear, found):
    """What is missing adds nothing: the same objective as the closed form of what is there."""
    system, data, log_c = log_linear
    keep = ~((data["subject"].values == "3") & (data["occasion"].values != "visit 0"))
    part = fit_population(
        system,
        data.isel(sample=np.flatnonzero(keep)),
        SIZE,
        ["size"],
        regimen=DOSES,
        error="lognormal",
        occasion="size",
        standard_errors=False,
    )
    args = [
        np.log(part["size"]),
        part["omega.size"],
        part["occasion.size"],
        part["error.lognormal"],
    ]
    others = np.delete(log_c, 3, axis=0)
    expected = exact(others, *args) + exact(log_c[3:4, :1], *args)
    assert part.minus_two_log == pytest.approx(expected, abs=1e-3)
    assert part.facts["occasions"] == 40


def test_draws_of_the_posterior_have_deviations_of_occasions(found, monkeypatch):
    """The sampler's own draws take minutes; what is made of them is checked on draws at the mode."""
    density = _PopulationDensity(found)
    noise = np.random.default_rng(1).standard_normal((1, 10, len(density.start)))
    at_mode = density.start + 1e-9 * noise
    monkeypatch.setattr(bayes, "run_nuts", lambda *_: (at_mode, np.zeros((1, 10), dtype=bool)))
    draws = ph.estimation.sample_posterior(found, draws=10, chains=1)
    assert draws["kappa"].dims == ("chain", "draw", "row", "between_occasions")
    own = found.occasions()
    np.testing.assert_allclose(draws["kappa"][0, 0], own["kappa"], atol=1e-7)
    np.testing.assert_allclose(
        draws["eta"][0, 0, :, 0], found.individuals()["eta"][:, 0], atol=1e-7
    )
    assert draws["row_occasion"].values.tolist() == own["occasion"].values.tolist()
    assert float(draws["occasion.size"][0, 0]) == pytest.approx(found["occasion.size"])


def test_drug_that_is_left_of_an_earlier_occasion_is_said(model, observe):
    rng = np.random.default_rng(3)
    curves = np.exp(np.log(3.0) - 0.1 * TIMES + 0.1 * rng.standard_normal((4, 2, len(TIMES))))
    data = with_occasions(observe, 4, curves)
    data["time"] = data["time"] - np.where(data["time"] > 100, 156, 0)  # 12 h apart: half is left
    with pytest.warns(OutOfRangeWarning, match="% of a prediction is left of an earlier occasion"):
        found = fit_population(
            model(4, subjects=np.arange(4)),
            data,
            SIZE,
            ["size"],
            regimen="100 mg iv q12h x2",
            error="lognormal",
            occasion="size",
            standard_errors=False,
        )
    assert 0.1 < found.facts["carried_over"] < 0.6


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"occasion": ["ka"]}, UnknownNameError, "occasion"),
        ({"drop": True}, SchemaError, "OCC or PERIOD"),
        ({"one": True}, InputError, "two occasions"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(log_linear, change, error, words):
    system, data, _ = log_linear
    if "drop" in change:
        data = data.drop_vars("occasion")
    if "one" in change:
        data = data.assign(occasion=("sample", np.full(data.sizes["sample"], "1", dtype=object)))
    with pytest.raises(error, match=words):
        fit_population(
            system,
            data,
            SIZE,
            ["size"],
            regimen=DOSES,
            error="lognormal",
            occasion=change.get("occasion", ["size"]),
        )


def test_a_column_occ_becomes_the_occasion_of_the_samples(tmp_path):
    file = tmp_path / "d.csv"
    file.write_text(
        "ID,TIME,AMT,DV,EVID,OCC\n1,0,100,.,1,1\n1,1,.,3,0,1\n1,24,100,.,4,2\n1,25,.,2.5,0,2\n"
    )
    study = read_nonmem(file, route="iv")
    assert study.observations["occasion"].values.tolist() == ["1", "2"]
    assert "told apart where a fit asks" in study.observations.attrs["notes"]
