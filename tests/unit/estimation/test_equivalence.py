"""Bioequivalence: the closed form against published values, rules by hand, simulated trials against both."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import pbpk_hybrid as ph
from pbpk_hybrid.estimation import (
    Formulation,
    reference_scaled_limits,
    simulated_power,
    tost_power,
    tost_sample_size,
    virtual_bioequivalence,
)
from pbpk_hybrid.estimation.equivalence_designs import SEQUENCES, Design
from pbpk_hybrid.estimation.equivalence_rules import judge

TIMES = np.r_[0:6:0.25, 6:25:1.0]


def log_values(name, n, cv=0.3, ratio=0.95, trials=1, seed=0):
    plan = Design(name, n)
    rng = np.random.default_rng(seed)
    test = plan.is_test[:, :, None]
    values = np.log(ratio) * test + np.sqrt(np.log1p(cv**2)) * rng.standard_normal(
        (*plan.is_test.shape, trials)
    )
    return plan, values + 0.4 * rng.standard_normal((n, 1, trials))


def test_power_and_sample_size_are_those_of_powertost():
    # help page of exppower.TOST: power.TOST(CV = 0.3, n = 40) gives 0.8158453
    assert tost_power(0.3, 0.95, 40) == pytest.approx(0.8158453, abs=1e-6)
    # its readme: 20 subjects at CV 0.2, power 0.834680
    assert tost_sample_size("20 %", 0.95, 0.8) == 20
    assert tost_power(0.2, 0.95, 20) == pytest.approx(0.834680, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "freedom"), [("2x2x2", 22), ("2x2x3", 45), ("2x2x4", 68), ("2x3x3", 45)]
)
def test_degrees_of_freedom_are_those_of_the_analysis_of_variance(name, freedom):
    # n - 2, 2 n - 3, 3 n - 4, 2 n - 3 (readme of PowerTOST)
    plan = Design(name, 24)
    assert plan.comparison.freedom == freedom
    uneven = Design(name, 25)
    for p in (plan, uneven):
        expected = (p.comparison.freedom, p.comparison.factor)
        assert p.freedom_and_factor == pytest.approx(expected)


@pytest.mark.parametrize("name", SEQUENCES)
def test_simulated_power_is_the_closed_forms_to_one_point(name):
    n = 60 if name == "parallel" else 24
    found = simulated_power(0.25, 0.95, n, name, trials=20_000, cv_between=1e-6)
    assert found.power == pytest.approx(tost_power(0.25, 0.95, n, name), abs=0.01)


@pytest.mark.parametrize("name", ["2x2x2", "2x2x3", "2x2x4", "2x3x3"])
@pytest.mark.parametrize("ratio", [0.8, 1.25])
def test_at_the_border_five_percent_pass(name, ratio):
    found = simulated_power(0.2, ratio, 24, name, trials=20_000, seed=3)
    assert found.power == pytest.approx(0.05, abs=4 * found.standard_error)


def test_a_two_period_crossover_is_the_t_test_of_the_sequences_differences():
    plan, values = log_values("2x2x2", 13)
    found = judge(values, plan)
    half = 0.5 * (values[:, 0, 0] - values[:, 1, 0])  # of TR, and minus that of RT
    groups = [half[plan.sequence == s] for s in (0, 1)]
    result = stats.ttest_ind(*groups)
    assert np.log(found.ratio[0]) == pytest.approx(groups[0].mean() - groups[1].mean())
    ends = result.confidence_interval(0.90)
    np.testing.assert_allclose(np.log([found.lower[0], found.upper[0]]), [ends.low, ends.high])


def test_parallel_groups_are_compared_with_variances_of_their_own():
    plan, values = log_values("parallel", 31, cv=0.2)
    values[plan.is_test[:, 0]] *= 3
    found = judge(values, plan)
    groups = [values[plan.is_test[:, 0] == t, 0, 0] for t in (True, False)]
    ends = stats.ttest_ind(*groups, equal_var=False).confidence_interval(0.90)
    np.testing.assert_allclose(np.log([found.lower[0], found.upper[0]]), [ends.low, ends.high])


def test_variance_of_the_reference_is_half_that_of_its_differences():
    plan, values = log_values("2x2x4", 40)
    found = judge(values, plan, "EMA")
    given = ~plan.is_test
    d = np.array([np.diff(values[i, given[i], 0])[0] for i in range(40)])
    within = sum(
        ((d[plan.sequence == s] - d[plan.sequence == s].mean()) ** 2).sum() for s in (0, 1)
    )
    assert found.cv_reference[0] == pytest.approx(np.sqrt(np.expm1(within / 38 / 2)), rel=1e-9)
    assert judge(values, plan, "FDA").cv_reference[0] == pytest.approx(found.cv_reference[0])


def test_expanded_limits_are_those_of_the_guideline():
    # annex of CPMP/EWP/QWP/1401/98 Rev. 1, section 4.1.10: CV 30, 35, 40, 45, >= 50 %
    table = {
        0.30: (80.00, 125.00),
        0.35: (77.23, 129.48),
        0.40: (74.62, 134.02),
        0.45: (72.15, 138.59),
    }
    table |= {0.50: (69.84, 143.19), 0.80: (69.84, 143.19)}
    for cv, ends in table.items():
        np.testing.assert_allclose(100 * np.array(reference_scaled_limits(cv)), ends, atol=0.006)
    assert reference_scaled_limits(0.29, "FDA") == (0.8, 1.25)
    sd = np.sqrt(np.log1p(0.4**2))
    assert reference_scaled_limits(0.4, "FDA")[1] == pytest.approx(1.25 ** (sd / 0.25))


def test_scaled_rules_have_the_power_of_powertost():
    # readme of PowerTOST: sampleN.scABEL(CV = 0.45), partial replicate: 39 subjects, 0.8059;
    # sampleN.RSABE(CV = c(0.40, 0.50), "2x2x4"): 20 subjects, 0.81509; true ratio 0.9
    ema = simulated_power(0.45, 0.9, 39, "2x3x3", "EMA", trials=20_000)
    fda = simulated_power((0.4, 0.5), 0.9, 20, "2x2x4", "FDA", trials=20_000)
    assert ema.power == pytest.approx(0.8059, abs=0.012)
    assert fda.power == pytest.approx(0.81509, abs=0.012)


def test_the_ema_widens_limits_of_cmax_only():
    plan, values = log_values("2x2x4", 24, cv=0.6, trials=50)
    assert (judge(values, plan, "EMA", metric="cmax").high > 1.25).any()
    assert (judge(values, plan, "EMA", metric="auc").high == 1.25).all()


def test_howes_bound_is_the_guidances_formula():
    plan, values = log_values("2x2x4", 24, cv=0.5)
    found = judge(values, plan, "FDA")
    test = plan.is_test
    i = np.array([v[t].mean() - v[~t].mean() for v, t in zip(values[:, :, 0], test, strict=True)])
    d = np.array([np.diff(v[~t])[0] for v, t in zip(values[:, :, 0], test, strict=True)])
    groups = [plan.sequence == s for s in (0, 1)]
    estimate = np.mean([i[g].mean() for g in groups])
    square = lambda x: sum(((x[g] - x[g].mean()) ** 2).sum() for g in groups) / 22
    error = np.sqrt(square(i) / 4 * (1 / 12 + 1 / 12))
    s2 = square(d) / 2
    x, y = estimate**2 - error**2, -((np.log(1.25) / 0.25) ** 2) * s2
    half = stats.t.ppf(0.95, 22) * error
    bx = max(abs(estimate - half), abs(estimate + half)) ** 2
    by = y * 22 / stats.chi2.ppf(0.95, 22)
    assert found.bound[0] == pytest.approx(x + y + np.sqrt((bx - x) ** 2 + (by - y) ** 2))


# ---- occasions and formulations -----------------------------------------------------------------


def test_occasions_vary_a_person_and_leave_the_rest_alone():
    both = ph.Variability(0.3, occasion=ph.Variability(0.2, 0.0, 0.0))
    names = ("clint.liver", "absorption_rate")
    first, second = (both.at_occasion(k).draw(4000, 1, names) for k in (0, 1))
    alone = ph.Variability(0.3).draw(4000, 1, names)
    np.testing.assert_array_equal(first["absorption_rate"], alone["absorption_rate"])
    within = np.log(first["clint.liver"] / second["clint.liver"]) / np.sqrt(2)
    assert within.std() == pytest.approx(np.sqrt(np.log1p(0.2**2)), rel=0.05)
    between = np.log(first["clint.liver"] / alone["clint.liver"])
    assert abs(np.corrcoef(between, np.log(alone["clint.liver"]))[0, 1]) < 0.05
    np.testing.assert_array_equal(both.draw(5, 1, names)["clint.liver"], first["clint.liver"][:5])
    # means stay 1
    assert first["clint.liver"].mean() == pytest.approx(1.0, abs=0.02)


def test_a_simulation_takes_the_occasion():
    people = ph.sample_population(20, seed=1)
    varied = ph.Variability(occasion=0.3)
    runs = [
        ph.simulate("midazolam", "5 mg iv", people, [1.0, 4.0], variability=v, seed=2)
        for v in (varied, varied.at_occasion(0), varied.at_occasion(1))
    ]
    a, b, c = (r["concentration"].sel(compartment="plasma").values for r in runs)
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)
    assert "on occasion 1" in runs[2].attrs["variability"]


@pytest.mark.parametrize("bad", [-0.1, "0.2", True, 6.0, ph.Variability(occasion=ph.Variability())])
def test_occasions_that_are_none_are_refused(bad):
    with pytest.raises(ph.InputError, match="occasion"):
        ph.Variability(occasion=bad)
    with pytest.raises(ph.InputError, match="occasion"):
        ph.Variability().at_occasion(-1)


@pytest.fixture(scope="module")
def people():
    return ph.sample_population(40, seed=1, age=(20, 45))


def test_a_virtual_crossover_has_the_within_subject_variance_that_it_was_given(people):
    same = ("midazolam", "5 mg iv")
    found = virtual_bioequivalence(
        same,
        same,
        people,
        TIMES,
        design="2x2x4",
        rule="EMA",
        within_cv=0.4,
        subjects=36,
        trials=200,
    )
    assert float(np.median(found["cv_reference"])) == pytest.approx(0.4, abs=0.02)
    assert float(found["ratio"].median()) == pytest.approx(1.0, abs=0.02)
    assert float(found["power"].sel(metric="cmax")) > float(found["power"].sel(metric="auc"))


def test_occasions_raise_the_within_subject_variance(people):
    same = ("midazolam", "5 mg iv")
    ask = {"design": "2x2x4", "rule": "EMA", "within_cv": 0.05, "subjects": 36, "trials": 100}
    still = virtual_bioequivalence(same, same, people, TIMES, **ask)
    moved = virtual_bioequivalence(
        same, same, people, TIMES, variability=ph.Variability(occasion=0.3), **ask
    )
    assert moved.attrs["occasions"] == 4 and still.attrs["occasions"] == 1
    a, b = (float(d["cv_reference"].sel(metric="auc").median()) for d in (still, moved))
    assert a == pytest.approx(0.05, abs=0.01) and b > 0.12


def test_power_of_virtual_trials_is_the_closed_forms(people):
    # the same formulation at 0.9 of the dose: ratio 0.9 in everybody
    found = virtual_bioequivalence(
        ("midazolam", "10 mg iv"),
        ("midazolam", "9 mg iv"),
        people,
        TIMES,
        within_cv=0.2,
        subjects=24,
        trials=4000,
    )
    expected = tost_power(0.2, 0.9, 24)
    error = np.sqrt(expected * (1 - expected) / 4000)
    for metric in ("auc", "cmax"):
        assert float(found["power"].sel(metric=metric)) == pytest.approx(expected, abs=4 * error)


def test_a_formulation_is_a_treatment(people):
    solution = Formulation("midazolam", "5 mg oral", ph.GutAbsorption(effective_permeability=4.0))
    slow = ph.GutAbsorption(formulation="zero_order", release_time=8.0, effective_permeability=4.0)
    found = virtual_bioequivalence(
        solution, ("midazolam", "5 mg oral", slow), people, TIMES, subjects=24, trials=50
    )
    assert float(found["ratio"].sel(metric="cmax").median()) < 0.6
    assert float(found["power"].sel(metric="cmax")) == 0.0
    parallel = virtual_bioequivalence(
        solution, solution, people, TIMES, design="parallel", subjects=40, trials=50
    )
    assert float(parallel["ratio"].median()) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"design": "2x2"}, "design"),
        ({"rule": "EMA"}, "replicate design for EMA"),
        ({"rule": "ema", "design": "2x2x4"}, "rule"),
        ({"subjects": 3}, "subjects"),
        ({"subjects": 41}, "subjects"),
        ({"trials": 0}, "trials"),
        ({"within_cv": (0.1, 0.2, 0.3)}, "within_cv"),
        ({"within_cv": "0.2"}, "within_cv"),
        ({"limits": (0.8,)}, "limits"),
        ({"alpha": 0.9}, "alpha"),
        ({"reference": "midazolam"}, "reference"),
    ],
)
def test_arguments_of_a_trial_that_cannot_be_used_are_named(people, more, words):
    ask = {"reference": ("midazolam", "5 mg iv"), "test": ("midazolam", "5 mg iv")} | more
    with pytest.raises(ph.InputError, match=words):
        virtual_bioequivalence(ask.pop("reference"), ask.pop("test"), people, TIMES, **ask)


def test_a_ratio_outside_the_limits_needs_no_search():
    with pytest.raises(ph.InputError, match="ratio"):
        tost_sample_size(0.3, 1.3)


@pytest.mark.parametrize(
    "ask",
    [
        {"cv": 0},
        {"cv": "30 mg"},
        {"cv": 0.3, "ratio": -1},
        {"cv": 0.3, "subjects": 3},
        {"cv": 0.3, "design": "3x3"},
        {"cv": 0.3, "limits": (0.8, 0.9)},
        {"cv": 0.3, "alpha": 0},
    ],
)
def test_arguments_of_the_power_that_cannot_be_used_are_refused(ask):
    with pytest.raises(ph.InputError):
        tost_power(**ask)
