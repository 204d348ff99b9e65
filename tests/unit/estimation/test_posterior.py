"""The posterior of one patient: against closed forms, and what it is simulated forward with."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import Discrepancy, LogNormal, Parameter, fit
from pbpk_hybrid.estimation.draw_systems import system_of_draws
from pbpk_hybrid.estimation.fitting import make_objective
from pbpk_hybrid.estimation.importance import log_posterior, predict_objective
from pbpk_hybrid.estimation.nuts import ObjectiveDensity
from pbpk_hybrid.estimation.posterior_sampling import SamplingSettings, sample_objective
from pbpk_hybrid.models.system.system import Coefficients

SIZE = {"size": Parameter(1.0, factor=True, targets=("cl", "v"))}
PRIORS = {"cl": LogNormal(3.0, 0.4), "v": LogNormal(30.0, 0.3), "ka": LogNormal(1.5, 0.5)}
ORAL = ph.Patient("100 mg oral q12h x2", {2: 2.4, 11.9: 1.3, 20: 1.6})


def test_a_conjugate_model_gives_the_closed_form(model):
    # log C = log D - log V - k t with one factor of cl and v: log size is normal
    t = np.array([1.0, 2.0, 4.0, 8.0])
    y = 100 / 30 * np.exp(-0.1 * t) / 1.2
    found = ph.posterior(
        model(),
        ph.Patient("100 mg iv", dict(zip(t.tolist(), y.tolist(), strict=True))),
        {"size": LogNormal(1.0, 0.1)},
        parameters=SIZE,
        error={"lognormal": 0.2},
        draws=2000,
    )
    data, prior = 4 / 0.2**2, 1 / 0.1**2
    sd = 1 / np.sqrt(data + prior)
    log = np.log(found["size"].values.ravel())
    assert found.reliable and found.pareto_k < 0.5 and found.effective_size > 1500
    assert log.mean() == pytest.approx(np.log(1.2) * data / (data + prior), abs=0.05 * sd)
    assert log.std() == pytest.approx(sd, rel=0.04)


def test_the_density_is_the_one_that_nuts_samples(model):
    objective = make_objective(
        model(),
        ORAL.observations(),
        ["cl", "ka"],
        {"cl": PRIORS["cl"], "ka": PRIORS["ka"], "error.proportional": LogNormal(0.2, 0.4)},
        regimen=ORAL.doses,
    )
    u = objective.start + np.array([[0.0, 0.0, 0.0], [0.3, -0.2, 0.1], [-0.5, 0.4, 0.3]])
    found = log_posterior(objective, u, predict_objective(objective, u))
    density = ObjectiveDensity(objective, objective.start, np.eye(3))
    expected = np.array([density.log_density(row)[0] for row in u])
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-5, atol=1e-5)


def test_a_batch_is_what_each_draw_gives_by_itself_even_where_the_assembly_ignores_draws(model):
    one = model()

    def stubborn(p):  # uses the first value of whatever it gets: right shape, wrong numbers
        return one.assemble({k: np.atleast_1d(v)[:1] for k, v in p.items()})

    from dataclasses import replace

    values = {"cl": np.array([1.0, 2.0, 4.0]), "v": np.array([20.0, 30.0, 50.0])}
    easy, hard = (system_of_draws(s, values, 3) for s in (one, replace(one, assemble=stubborn)))
    np.testing.assert_array_equal(easy.k_value, hard.k_value)
    np.testing.assert_allclose(easy.k_value[:, 2], -values["cl"] / values["v"])
    np.testing.assert_allclose(hard.observables["plasma"].factor, 1 / values["v"])


def test_doses_per_kg_reach_every_draw(model):
    plain = ph.Patient("100 mg oral", {2: 2.4})
    per_kg = ph.Patient("2 mg/kg oral", {2: 2.4}, body_weight=50)
    a, b = (ph.posterior(model(), p, PRIORS, error={"proportional": 0.1}) for p in (plain, per_kg))
    np.testing.assert_allclose(a.u, b.u, rtol=1e-6)
    run = b.simulate("2 mg/kg oral", [2.0], draws=50)
    np.testing.assert_allclose(
        run["concentration"].values, a.simulate("100 mg oral", [2.0], draws=50)["concentration"]
    )


def test_no_sample_gives_the_prior(model):
    found = ph.posterior(model(), ph.Patient("100 mg oral"), PRIORS, draws=4000)
    log = np.log(found["cl"].values.ravel())
    assert log.mean() == pytest.approx(np.log(3.0), abs=0.03)
    assert log.std() == pytest.approx(0.4, rel=0.05)
    assert "no samples" in repr(found)


def test_samples_narrow_the_prior_and_the_truth_is_inside(model):
    found = ph.posterior(model(), ORAL, PRIORS, error={"proportional": 0.1})
    table = found.table(0.9)
    assert found.sd()["cl"] < 0.5 * 0.4 * 3.0
    assert (table["lower"] < table["median"]).all() and (table["median"] < table["upper"]).all()
    assert "Pareto k" in str(found) and "effective size" in str(found)


def test_simulated_forward_after_the_doses_so_far(model):
    found = ph.posterior(model(), ORAL, PRIORS, error={"proportional": 0.1})
    times = [30.0, 36.0]
    ahead = found.simulate("50 mg oral q8h x2", times, after=24, draws=40)
    whole = found.simulate(
        ph.Regimen.parse("100 mg oral q12h x2") + ph.Regimen.parse("50 mg oral q8h x2").shift(24.0),
        times,
        draws=40,
    )
    np.testing.assert_allclose(ahead["concentration"], whole["concentration"], rtol=1e-9)
    # at 12 h only the first of the two doses so far had been given
    early = found.simulate("50 mg oral", [20.0], after=12, draws=40)
    other = found.simulate(
        ph.Regimen.parse("100 mg oral") + ph.Regimen.parse("50 mg oral").shift(12.0),
        [20.0],
        draws=40,
    )
    np.testing.assert_allclose(early["concentration"], other["concentration"], rtol=1e-9)


def test_exposure_under_steady_doses_is_dose_over_clearance(model):
    found = ph.posterior(model(), ORAL, PRIORS, error={"proportional": 0.1})
    table = found.exposure("100 mg oral q12h x30", draws=200)
    ends = np.quantile(100.0 / found.values[found.picks(200)][:, 0], [0.5, 0.05, 0.95])
    np.testing.assert_allclose(table.loc[("plasma", "auc_tau")], ends, rtol=0.01)
    assert (table.loc[("plasma", "cmax")] > table.loc[("plasma", "trough")]).all()


def test_a_discrepancy_widens_what_is_known_and_follows_the_samples(model):
    known = {"proportional": 0.08}
    plain = ph.posterior(model(), ORAL, PRIORS, error=known)
    loose = ph.posterior(model(), ORAL, PRIORS, error=known, discrepancy=Discrepancy(0.3, "8 h"))
    assert loose.sd()["cl"] > 1.2 * plain.sd()["cl"]
    run = loose.simulate(None, [2.0, 11.9, 20.0], draws=300, compartments=["plasma"])
    rows = loose.picks(300)
    np.testing.assert_allclose(run["concentration"][:, :, 0], loose.predicted[rows], rtol=0.05)
    # far from any sample the factor is free again
    late = loose.simulate(None, [80.0], draws=300, compartments=["plasma"])
    bare = loose.simulate(None, [80.0], draws=300, compartments=["plasma"], discrepancy=False)
    spread = np.log(late["concentration"] / bare["concentration"]).values.std()
    assert spread == pytest.approx(0.3, rel=0.2)


def test_a_censored_sample_counts_as_below_its_limit(model):
    seen = ph.Patient("100 mg oral", {2: 2.4})
    low = ph.Patient("100 mg oral", {2: 2.4, 12: "<300 ug/L"})
    a, b = (ph.posterior(model(), p, PRIORS, error={"proportional": 0.1}) for p in (seen, low))
    assert b.mean()["cl"] > 1.3 * a.mean()["cl"]


def test_where_the_weights_fail_nuts_takes_over_and_says_so(model):
    pytest.importorskip("nutpie", exc_type=ImportError)
    known = {"proportional": 0.1}
    right = ph.posterior(model(), ORAL, PRIORS, error=known)
    objective = make_objective(
        model(), ORAL.observations(), list(PRIORS), PRIORS, regimen=ORAL.doses, error=known
    )
    u = right.weights.values @ right.u
    bad = 1e-4 * np.eye(3)  # a proposal much too narrow, and no second one
    with pytest.warns(ph.OutOfRangeWarning, match="NUTS takes over"):
        found = sample_objective(objective, u, bad, SamplingSettings(rounds=1))
    assert found.facts["method"] == "nuts" and found.reliable and found.pareto_k > 0.7
    assert "NUTS took over" in repr(found)
    for name in right.names:
        assert found.mean()[name] == pytest.approx(right.mean()[name], abs=0.2 * right.sd()[name])
        assert found.sd()[name] == pytest.approx(right.sd()[name], rel=0.15)
    with pytest.warns(ph.OutOfRangeWarning, match="not to be relied on"):
        kept = sample_objective(objective, u, bad, SamplingSettings(rounds=1, fallback="none"))
    assert not kept.reliable and "NOT RELIABLE" in repr(kept)


def test_a_fit_gives_its_posterior_and_simulates(model):
    found = fit(
        model(), ORAL.observations(), list(PRIORS), PRIORS, regimen=ORAL.doses, error="proportional"
    )
    run = found.simulate("100 mg oral q12h x2", [2.0, 20.0], compartments=["plasma"])
    ahead = found.predictions()["predicted"].values
    np.testing.assert_allclose(run["concentration"].values[0, :, 0], ahead[[0, 2]], rtol=1e-6)
    np.testing.assert_allclose(
        found.simulate(times=[2.0], compartments=["plasma"])["concentration"].values.ravel(),
        ahead[0],
    )
    drawn = found.posterior(draws=1000, fallback="none")
    assert drawn.names == found.names
    low, high = found.intervals(0.99)["cl"]
    assert low < drawn.mean()["cl"] < high


def test_a_posterior_of_several_subjects_shares_the_parameters(model, observe):
    rng = np.random.default_rng(0)
    t = np.tile([1.0, 4.0, 10.0], 2)
    y = 100 / 30 * 1.07 * (np.exp(-0.1 * t) - np.exp(-1.5 * t)) * np.exp(0.05 * rng.normal(size=6))
    two = model(2, subjects=np.array(["a", "b"]))
    data = observe(t, y, subject=np.repeat(["a", "b"], 3))
    found = fit(
        two, data, ["cl"], {"cl": PRIORS["cl"]}, regimen="100 mg oral", error={"lognormal": 0.1}
    )
    drawn = found.posterior(draws=200)
    sd = np.sqrt(found.covariance[0, 0])
    grid = found.u[0] + sd * np.linspace(-5, 5, 201)
    density = np.exp([-0.5 * found.objective.minus_two_log(np.array([x])) for x in grid])
    mean = density @ grid / density.sum()
    assert np.log(drawn["cl"].values).mean() == pytest.approx(mean, abs=0.2 * sd)
    with pytest.raises(ph.InputError, match="one subject"):
        drawn.simulate("100 mg oral", [1.0])


def test_a_compound_by_name_has_usual_priors_that_are_printed():
    patient = ph.Patient("320 mg oral", {2: "7.1 mg/L", 9: 3.9})
    found = ph.posterior("theophylline", patient, error={"proportional": 0.1}, draws=200)
    assert found.names == ("clearance", "partition", "absorption_rate")
    assert "assumed prior: clearance log-normal, median 1, sd of the log 0.4" in str(found)
    organs = found.exposure("320 mg oral", times=[0, 1, 2, 6, 24], compartments=["liver", "plasma"])
    assert organs.loc[("liver", "cmax"), "median"] > 0


def test_arviz_reads_the_tree(model, tmp_path):
    found = ph.posterior(model(), ORAL, PRIORS)
    tree = found.to_datatree()
    assert set(tree.children) == {
        "posterior",
        "posterior_predictive",
        "log_likelihood",
        "observed_data",
    }
    tree["posterior"].to_dataset().to_netcdf(tmp_path / "posterior.nc")  # attributes can be stored
    arviz = pytest.importorskip("arviz", exc_type=ImportError)
    if hasattr(arviz, "InferenceData"):
        tree = arviz.InferenceData.from_datatree(tree)
    table = arviz.summary(tree, kind="stats")
    assert table.loc["cl", "mean"] == pytest.approx(found.mean()["cl"], rel=0.02)


def test_a_model_of_a_reaction_is_sampled_too():
    def assemble(p):
        one = np.ones_like(np.atleast_1d(p["vmax"]))
        constants = np.stack([p["vmax"] * one, p["km"] * one], axis=1)
        return Coefficients(np.zeros((1, 1)), (constants,), {"plasma": 0.1 * one})

    own = {"vmax": np.array([5.0]), "km": np.array([20.0])}
    system = ph.System(
        ("body",),
        [0],
        [0],
        np.zeros((1, 1)),
        reactions=(
            ph.Reaction("loss", "michaelis_menten", (0,), {0: -1.0}, np.array([[5.0, 20.0]])),
        ),
        observables={"plasma": ph.Observable((0,), np.array([0.1]))},
        targets={"iv_bolus": 0},
        parameters=own,
        assemble=assemble,
    )
    run = ph.simulate_system(system, "100 mg iv", [2.0, 10.0, 20.0], compartments=["plasma"])
    truth = run["concentration"].values.ravel()
    patient = ph.Patient("100 mg iv", list(zip([2.0, 10.0, 20.0], truth.tolist(), strict=True)))
    priors = {"vmax": LogNormal(4.0, 0.5), "km": LogNormal(25.0, 0.3)}
    found = ph.posterior(system, patient, priors, error={"proportional": 0.03})
    assert found.mean()["vmax"] == pytest.approx(5.0, abs=3 * found.sd()["vmax"])
    again = found.simulate("100 mg iv", [10.0], draws=100, compartments=["plasma"])
    again = again["concentration"].values
    assert np.median(again) == pytest.approx(truth[1], rel=0.05)
