"""Fits of shared parameters against closed forms and against SciPy's own fit of the closed solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import chi2, norm

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import HalfCauchy, LogNormal, Normal, Parameter, fit, profile_likelihood
from pbpk_hybrid.estimation.error_models import as_error_model, terms
from pbpk_hybrid.estimation.fitting import make_objective

TIMES = np.array([0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 30.0])


def bateman(t, ka, cl, v, dose=100.0):
    ke = cl / v
    return dose * ka / (v * (ka - ke)) * (np.exp(-ke * t) - np.exp(-ka * t))


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(7)
    return bateman(TIMES, 1.2, 4.0, 35.0) * np.exp(0.1 * rng.standard_normal(TIMES.size))


def test_least_squares_of_three_parameters_is_scipys(model, observe, noisy):
    found = fit(
        model(),
        observe(TIMES, noisy),
        ["ka", "cl", "v"],
        regimen="100 mg oral",
        error="additive",
        starts=3,
    )
    assert found.converged
    expected, covariance = curve_fit(
        bateman, TIMES, noisy, p0=(1.5, 3.0, 30.0), xtol=1e-13, ftol=1e-13
    )
    np.testing.assert_allclose([found["ka"], found["cl"], found["v"]], expected, rtol=2e-5)
    # curve_fit divides by n - p, maximum likelihood by n; the Laplace covariance is of logs and of the observed information
    residual = noisy - bateman(TIMES, *expected)
    assert found["error.additive"] == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-5)
    error = found.table()["standard_error"].to_numpy()[:3]
    np.testing.assert_allclose(error, np.sqrt(np.diag(covariance) * 9 / 12), rtol=0.05)
    # all starts end in the same place
    np.testing.assert_allclose(found.starts, found.minus_two_log, atol=1e-5)


@pytest.mark.parametrize("error", ["additive", "proportional", "combined", "lognormal"])
def test_objective_is_minus_two_log_likelihood_and_its_gradient_the_derivative(
    model, observe, noisy, error
):
    lloq = 0.5
    data = observe(TIMES, noisy, lloq=lloq)
    objective = make_objective(
        model(),
        data,
        ["ka", "cl"],
        {"cl": LogNormal(3.0, 0.3), "ka": Normal(1.0, 0.5)},
        regimen="100 mg oral",
        error=error,
    )
    u = objective.start + 0.1
    ka, cl = np.exp(u[:2])
    f = bateman(TIMES, ka, cl, 30.0)
    e = dict(zip(objective.error.names, np.exp(u[2:]), strict=True))
    a, b = e.get("error.additive", 0.0), e.get("error.proportional", 0.0)
    seen = noisy >= lloq
    assert 2 <= (~seen).sum() <= 4
    if error == "lognormal":
        s = e["error.lognormal"]
        value = (
            norm.logpdf(np.log(noisy[seen]), np.log(f[seen]), s).sum() - np.log(noisy[seen]).sum()
        )
        value += norm.logcdf((np.log(lloq) - np.log(f[~seen])) / s).sum()
    else:
        sd = np.sqrt(a**2 + (b * f) ** 2)
        value = (
            norm.logpdf(noisy[seen], f[seen], sd[seen]).sum()
            + norm.logcdf((lloq - f[~seen]) / sd[~seen]).sum()
        )
    prior = (np.log(cl / 3.0) / 0.3) ** 2 + ((ka - 1.0) / 0.5) ** 2
    assert objective.minus_two_log(u) == pytest.approx(-2 * value + prior, rel=1e-5)
    h = 1e-4
    expected = [
        (objective.minus_two_log(u + h * d) - objective.minus_two_log(u - h * d)) / (2 * h)
        for d in np.eye(len(u))
    ]
    # the integrator's own error of 1e-7 over the step of 1e-4
    np.testing.assert_allclose(objective.gradient(u), expected, rtol=2e-3, atol=2e-2)


def test_residuals_of_far_censored_values_stay_finite():
    model = as_error_model("additive")
    f = np.array([1e-9, 1.0, 1e6])
    t = terms(model, f, np.array([1e-3]), f, np.full(3, 0.5), np.ones(3, bool))
    assert np.isfinite(t.r).all() and np.isfinite(t.r_f).all()
    assert t.r[0] < 1e-10  # surely below the limit
    # far above it: sqrt(-2 log Phi(z)) tends to |z|
    assert t.r[2] == pytest.approx(1e9, rel=1e-3)


def test_intervals_of_a_log_linear_model_are_exact(model, observe):
    # after a bolus log C = log D - log V - k t: with k and the error known, log V is a mean of n normal values
    t = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    rng = np.random.default_rng(3)
    y = 100 / 25 * np.exp(-0.1 * t + 0.2 * rng.standard_normal(t.size))
    # ke = cl/v: hold it by letting one number scale both
    both = {"size": Parameter(1.0, factor=True, targets=("cl", "v"))}
    found = fit(model(), observe(t, y), both, regimen="100 mg iv", error={"lognormal": 0.2})
    expected = np.exp(np.mean(np.log(100 / y) - 0.1 * t)) / 30.0
    half = norm.ppf(0.975) * 0.2 / np.sqrt(t.size)
    assert found["size"] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        found.intervals()["size"], expected * np.exp([-half, half]), rtol=1e-4
    )
    profile = profile_likelihood(found, "size")["size"]
    assert profile.identified and profile.threshold == pytest.approx(chi2.ppf(0.95, 1))
    # the crossing is found to 1e-3 of the threshold
    np.testing.assert_allclose(
        [profile.lower, profile.upper], expected * np.exp([-half, half]), rtol=2e-4
    )


def test_a_prior_and_data_meet_by_their_precision(model, observe):
    t = np.array([1.0, 2.0, 4.0, 8.0])
    y = 100 / 30 * np.exp(-0.1 * t) / 1.2  # data say: size 1.2 exactly
    both = {"size": Parameter(1.0, factor=True, targets=("cl", "v"))}
    found = fit(
        model(),
        observe(t, y),
        both,
        {"size": LogNormal(1.0, 0.1)},
        regimen="100 mg iv",
        error={"lognormal": 0.2},
    )
    data, prior = 4 / 0.2**2, 1 / 0.1**2
    assert np.log(found["size"]) == pytest.approx(np.log(1.2) * data / (data + prior), rel=1e-5)
    assert found.covariance[0, 0] == pytest.approx(1 / (data + prior), rel=1e-3)


def test_censoring_by_m3_is_less_biased_than_leaving_out(model, observe):
    rng = np.random.default_rng(11)
    t = np.tile(np.arange(2.0, 40.0, 2.0), 12)
    y = bateman(t, 1.5, 3.0, 30.0) * np.exp(0.4 * rng.standard_normal(t.size))
    lloq = 0.3
    known = {"lognormal": 0.4}
    m3 = fit(model(), observe(t, y, lloq=lloq), ["cl"], regimen="100 mg oral", error=known)["cl"]
    left_out = fit(
        model(), observe(t[y >= lloq], y[y >= lloq]), ["cl"], regimen="100 mg oral", error=known
    )["cl"]
    assert 0.2 < np.mean(y < lloq) < 0.6
    assert abs(np.log(m3 / 3.0)) < 0.03 < abs(np.log(left_out / 3.0))


def test_what_the_data_do_not_say_shows_in_the_profile(model, observe, noisy):
    late = TIMES > 5  # nothing is left of absorption: ka has no upper limit
    both = {"ka": Parameter(1.5, lower=0.05, upper=500.0), "cl": 3.0, "v": 30.0}
    found = fit(
        model(),
        observe(TIMES[late], noisy[late]),
        both,
        regimen="100 mg oral",
        error={"proportional": 0.1},
    )
    profile = profile_likelihood(found, ["ka"])["ka"]
    assert not profile.identified and profile.upper == 500.0
    # the clearance of an elimination phase alone is known from there on
    assert profile_likelihood(found, ["cl"])["cl"].upper < 10


def test_priors_of_a_standard_deviation(model, observe, noisy):
    loose = fit(model(), observe(TIMES, noisy), ["cl"], regimen="100 mg oral")
    tight = fit(
        model(),
        observe(TIMES, noisy),
        ["cl"],
        {"error.proportional": HalfCauchy(0.01)},
        regimen="100 mg oral",
    )
    assert tight["error.proportional"] < loose["error.proportional"]


def test_a_whole_body_model_is_fitted_through_its_named_parameters(observe):
    people = ph.reference_individual("human")
    system = ph.whole_body_system(ph.get_compound("midazolam"), people)
    times = np.array([0.5, 1, 2, 4, 6, 8, 12.0])
    truth = system.parameters["clint.liver"][0]
    run = ph.simulate_system(
        system, "5 mg oral", times, compartments=["plasma"], backend="embedded"
    )
    half = {
        "clint.liver": Parameter(0.5 * truth),
        "absorption": Parameter(factor=True, targets=("absorption_rate",)),
    }
    found = fit(
        system,
        observe(times, run["concentration"].values[0, :, 0]),
        half,
        regimen="5 mg oral",
        error={"lognormal": 0.1},
    )
    assert found["clint.liver"] == pytest.approx(truth, rel=1e-5)
    assert found["absorption"] == pytest.approx(1.0, rel=1e-5)
    ds = found.predictions()
    np.testing.assert_allclose(ds["predicted"], ds["observed"], rtol=1e-5)
    assert ds.attrs["estimation"] == "maximum likelihood"


BAD = {
    "no parameters": (dict(parameters=[]), "parameters"),
    "unknown": (dict(parameters=["clearance"]), "clearance"),
    "twice": (dict(parameters={"a": Parameter(targets=("cl",)), "cl": 3.0}), "already"),
    "outside": (dict(parameters={"cl": Parameter(5.0, lower=6.0, upper=7.0)}), "initial"),
    "negative log": (dict(parameters={"cl": Parameter(-1.0, lower=-2.0, scale="log")}), "initial"),
    "scale": (dict(parameters={"cl": Parameter(scale="cubic")}), "cubic"),
    "text": (dict(parameters={"cl": "3 L/h"}), "cl"),
    "error": (dict(error="poisson"), "poisson"),
    "error value": (dict(error={"proportional": 0.0}), "proportional"),
    "error pair": (dict(error={"lognormal": 0.1, "additive": 1.0}), "error"),
    "prior name": (dict(priors={"v": LogNormal(1, 1)}), "v"),
    "prior kind": (dict(priors={"cl": 3.0}), "Normal"),
    "starts": (dict(starts=0), "starts"),
    # one at the first record is fitted (tests/traps); here samples come before it
    "steady state": (
        dict(regimen=ph.Regimen.oral(100, 5.0, steady_state=1, interval=12)),
        "steady-state",
    ),
    "route": (dict(regimen="100 mg iv over 1 h", targets={"oral": 0}), "route"),
    "method": (dict(options=ph.SolverOptions(method="expm")), "expm"),
    "model": (dict(model="midazolam"), "System"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_by_name(model, observe, noisy, change, message):
    call = {
        "model": model(),
        "observation": observe(TIMES, noisy),
        "parameters": ["cl"],
        "regimen": "100 mg oral",
    } | change
    if targets := call.pop("targets", None):
        call["model"] = replace(call["model"], targets=targets)
    with pytest.raises(ph.InputError, match=message):
        fit(**call)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (([1.0], [0.0]), "value"),
        (([-1.0], [1.0]), "time"),
        (([1.0], [1.0], "0", None, "urine"), "urine"),
        (([], []), "observation"),
        (([1.0], [np.nan]), "value"),
    ],
)
def test_bad_observations_are_refused_by_name(model, observe, data, message):
    with pytest.raises(ph.InputError, match=message):
        fit(model(), observe(*data), ["cl"], regimen="100 mg oral")


def test_a_subject_that_the_model_does_not_have_is_refused(model, observe):
    with pytest.raises(ph.InputError, match="nobody"):
        fit(
            model(2, subjects=["a", "b"]),
            observe([1.0], [1.0], "nobody"),
            ["cl"],
            regimen="100 mg oral",
        )


def test_parameters_of_a_response_are_fitted_from_it(model, observe):
    from pbpk_hybrid.models import with_indirect_response

    def build(**values):
        pd = {"kin": 20.0, "kout": 0.3, "maximum": 0.8, "half": 1.0} | values
        return with_indirect_response(model(), "inhibit_production", **pd)

    times = np.array([0.0, 1, 2, 4, 8, 12, 24, 48])
    run = ph.simulate_system(
        build(kout=0.25, half=0.6),
        "100 mg oral",
        times,
        compartments=["response"],
        backend="embedded",
    )
    data = observe(times, run["concentration"].values[0, :, 0], matrix="response")
    found = fit(
        build(),
        data,
        ["kout[response]", "half[response]"],
        regimen="100 mg oral",
        error={"additive": 1.0},
    )
    assert found["kout[response]"] == pytest.approx(0.25, rel=1e-5)
    assert found["half[response]"] == pytest.approx(0.6, rel=1e-5)
