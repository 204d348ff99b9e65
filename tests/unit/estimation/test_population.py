"""Hierarchical fits where the marginal likelihood is known in closed form, and against published fits of theophylline."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import halfcauchy, multivariate_normal, norm

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import HalfCauchy, LogNormal, Parameter, fit_population
from pbpk_hybrid.estimation.bayes import _PopulationDensity

TIMES = np.array([1.0, 2, 4, 8, 12])
SIZE = {"size": Parameter(1.0, factor=True, targets=("cl", "v"))}


@pytest.fixture(scope="module")
def log_linear(model, observe):
    """After a bolus with cl/v held, log C is linear in log size: a linear mixed model."""
    rng = np.random.default_rng(2)
    n = 12
    size = np.exp(0.3 + 0.4 * rng.standard_normal(n))
    log_c = (
        np.log(100 / 30)
        - np.log(size)[:, None]
        - 0.1 * TIMES
        + 0.15 * rng.standard_normal((n, len(TIMES)))
    )
    who = np.repeat(np.arange(n), len(TIMES))
    data = observe(np.tile(TIMES, n), np.exp(log_c.ravel()), who.astype(str))
    return model(n, subjects=np.arange(n)), data, log_c


def exact(log_c, mu, omega, sigma):
    """-2 log likelihood of the concentrations."""
    mean = np.log(100 / 30) - mu - 0.1 * TIMES
    cov = sigma**2 * np.eye(len(TIMES)) + omega**2
    return -2 * (multivariate_normal(mean, cov).logpdf(log_c).sum() - log_c.sum())


def test_laplace_is_exact_for_a_linear_mixed_model(log_linear):
    system, data, log_c = log_linear
    found = fit_population(system, data, SIZE, ["size"], regimen="100 mg iv", error="lognormal")
    best = minimize(
        lambda p: exact(log_c, p[0], np.exp(p[1]), np.exp(p[2])),
        [0.0, -1.0, -2.0],
        method="BFGS",
        options={"gtol": 1e-7},
    )
    assert found.converged
    assert found.minus_two_log == pytest.approx(best.fun, abs=1e-3)
    assert np.log(found["size"]) == pytest.approx(best.x[0], abs=2e-3)
    assert found["omega.size"] == pytest.approx(np.exp(best.x[1]), rel=5e-3)
    assert found["error.lognormal"] == pytest.approx(np.exp(best.x[2]), rel=5e-3)
    # standard error of the mean: sqrt((omega^2 + sigma^2/m)/n)
    expected = np.sqrt(
        (found["omega.size"] ** 2 + found["error.lognormal"] ** 2 / len(TIMES)) / len(log_c)
    )
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(expected, rel=0.02)
    # each subject's own value: the data's shrunk by omega^2/(omega^2 + sigma^2/m)
    raw = (np.log(100 / 30) - 0.1 * TIMES - log_c).mean(axis=1) - np.log(found["size"])
    shrink = found["omega.size"] ** 2 / (
        found["omega.size"] ** 2 + found["error.lognormal"] ** 2 / len(TIMES)
    )
    np.testing.assert_allclose(
        found.individuals()["eta"].sel(parameter="size"), shrink * raw, atol=1e-4
    )
    ds = found.predictions()
    assert np.std(np.log(ds["predicted"] / ds["observed"])) < np.std(
        np.log(ds["predicted_typical"] / ds["observed"])
    )


def test_priors_act_on_typical_values_and_on_omega(log_linear):
    system, data, _ = log_linear
    pulled = fit_population(
        system,
        data,
        SIZE,
        ["size"],
        {"size": LogNormal(1.0, 1e-3), "omega.size": LogNormal(0.2, 1e-3)},
        regimen="100 mg iv",
        error="lognormal",
        standard_errors=False,
    )
    assert pulled["size"] == pytest.approx(1.0, rel=0.01)
    assert pulled["omega.size"] == pytest.approx(0.2, rel=0.01)


def test_theophylline_by_conditional_estimation_is_what_others_publish(model, observe, nlmixr2data):
    """theo_sd: 12 people, 132 samples, first-order absorption, additive error.

    The README of nlmixr2 (commit 0840fedc) prints its fit of the same model to the same data, by SAEM: log ka 0.454
    (SE 0.196), log CL 1.02 (0.0853), log V 3.45 (0.0454), additive error 0.693 mg/L, between-subject CV
    71.5 %, 27.6 %, 13.4 %.
    """
    with gzip.open(nlmixr2data / "theo_sd.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    seen = [r for r in rows if r["EVID"] == "0"]
    doses = {r["ID"]: float(r["AMT"]) for r in rows if float(r["AMT"]) > 0}
    ids = [int(i) for i in doses]
    data = observe(
        *np.array([[float(r["TIME"]), float(r["DV"])] for r in seen]).T,
        np.array([r["ID"] for r in seen]),
    )
    regimen = ph.Regimen.per_subject([ph.Regimen.oral(d) for d in doses.values()], ids)
    found = fit_population(
        model(12, subjects=np.array(ids)),
        data,
        {"ka": 1.5, "cl": 3.0, "v": 30.0},
        ["ka", "cl", "v"],
        regimen=regimen,
        error="additive",
        standard_errors=False,
    )
    assert len(seen) == 132
    # half a published standard error, and a tenth of the published spread: SAEM and FOCE are two approximations
    assert np.log(found["ka"]) == pytest.approx(0.454, abs=0.1)
    assert np.log(found["cl"]) == pytest.approx(1.02, abs=0.04)
    assert np.log(found["v"]) == pytest.approx(3.45, abs=0.02)
    assert found["error.additive"] == pytest.approx(0.693, rel=0.02)
    cv = {n: np.sqrt(np.expm1(found[f"omega.{n}"] ** 2)) for n in ("ka", "cl", "v")}
    assert cv["ka"] == pytest.approx(0.715, rel=0.1)
    assert cv["cl"] == pytest.approx(0.276, rel=0.1)
    assert cv["v"] == pytest.approx(0.134, rel=0.1)


def test_joint_density_of_the_sampler_is_the_models_own(log_linear):
    """log p(x, z) of the non-centred form, with the priors as densities on the scale of the search."""
    system, data, log_c = log_linear
    found = fit_population(
        system,
        data,
        SIZE,
        ["size"],
        {"omega.size": HalfCauchy(0.5), "size": LogNormal(1.2, 0.3)},
        regimen="100 mg iv",
        error="lognormal",
        standard_errors=False,
    )
    density = _PopulationDensity(found)
    rng = np.random.default_rng(5)

    def closed(q):
        u, log_sigma, log_omega, z = q[0], q[1], q[2], q[3:]
        mean = np.log(100 / 30) - (u + np.exp(log_omega) * z)[:, None] - 0.1 * TIMES
        out = (
            norm.logpdf(log_c, mean, np.exp(log_sigma)).sum()
            + norm.logpdf(z).sum()
            + norm.logpdf(u, np.log(1.2), 0.3)
        )
        return out + halfcauchy.logpdf(np.exp(log_omega), scale=0.5) + log_omega

    qs = [density.start + 0.1 * rng.standard_normal(len(density.start)) for _ in range(3)]
    differences = [density.log_density(q)[0] - closed(q) for q in qs]
    np.testing.assert_allclose(differences, differences[0], atol=1e-4)  # up to a constant
    q, h = qs[0], 1e-5
    expected = [(closed(q + h * d) - closed(q - h * d)) / (2 * h) for d in np.eye(len(q))]
    np.testing.assert_allclose(density.log_density(q)[1], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(random=[]), "random"),
        (dict(random=["v"]), "v"),
        (dict(omega=0.0), "omega"),
        (dict(priors={"omega.cl": LogNormal(1, 1)}), "omega.cl"),
    ],
)
def test_bad_input_is_refused_by_name(log_linear, change, message):
    system, data, _ = log_linear
    call = dict(parameters=SIZE, random=["size"], regimen="100 mg iv") | change
    with pytest.raises(ph.InputError, match=message):
        fit_population(system, data, **call)


def test_a_subject_without_observations_is_refused(log_linear):
    system, data, _ = log_linear
    with pytest.raises(ph.InputError, match="subject 11"):
        fit_population(system, data.isel(sample=slice(0, 55)), SIZE, ["size"], regimen="100 mg iv")
