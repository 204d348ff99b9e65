"""An integration whose amounts fall below zero is no success, and the warning says whose and what to change.

Zero-order elimination in closed form: an amount D eliminated at Vmax with Km -> 0 is D - Vmax t until D/Vmax, then 0; what
was eliminated is never more than what was given.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.effects import with_effect_compartment, with_indirect_response
from pbpk_hybrid.models.system.system import signed_by_equations
from pbpk_hybrid.solvers.base import ADD, Problem, StopTable, Trajectories
from pbpk_hybrid.solvers.signs import allowed_below_zero, judge_signs, why_negative

DOSE, VMAX = 100.0, 5.0
TIMES = np.arange(0, 61.0, 10)


def zero_order(km: float | np.ndarray, n: int = 1) -> ph.System:
    """One compartment with Michaelis-Menten elimination into a sink."""
    values = np.stack(np.broadcast_arrays(np.full(n, VMAX), km), axis=1)
    return ph.System(
        ("c", "out"),
        [0],
        [0],
        [[0.0]],
        (ph.Reaction("mm", "michaelis_menten", (0,), {0: -1.0, 1: 1.0}, values),),
        {"c": ph.Observable((0,), np.ones(1)), "out": ph.Observable((1,), np.ones(1))},
        n_subjects=n,
        subjects=np.array([f"p{i}" for i in range(n)]),
    )


def run(system: ph.System, **options):
    return ph.simulate_system(
        system,
        ph.Regimen.dose(DOSE, compartment="c"),
        TIMES,
        options=ph.SolverOptions(**options),
    )


@pytest.mark.parametrize("km", [1e-6, 1e-8])
@pytest.mark.parametrize("method", ["rodas5p", "rodas4", "rodas4p"])
def test_a_tiny_km_is_right_or_has_a_status(km, method):
    system = zero_order(km)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = run(system, method=method)
    if result["status"][0] == ph.Status.SUCCESS:
        np.testing.assert_allclose(
            result["amount"].sel(compartment="out")[0], np.minimum(VMAX * TIMES, DOSE), atol=1e-3
        )
        return
    assert result["status"][0] == ph.Status.NEGATIVE_AMOUNT
    assert np.isnan(result["amount"]).all() and result.attrs["failed_subjects"] == 1
    (text,) = (str(w.message) for w in said if w.category is ph.SubjectFailedWarning)
    for word in ("p0", "below zero", "rtol=1e-10", "km[mm]", f"{km:.3g}"):
        assert word in text


@pytest.mark.parametrize(("km", "rtol"), [(1e-2, 2e-7), (1e-4, 2e-7), (1e-6, 1e-10)])
def test_where_the_answer_is_right_nothing_is_said(km, rtol):
    """Integrated closed form: t = (D - a + Km ln(D/a))/Vmax, so that all is gone after 20 h."""
    amount = run(zero_order(km), rtol=rtol)["amount"].values[0]
    np.testing.assert_allclose(amount[:, 1], np.minimum(VMAX * TIMES, DOSE), atol=20 * km)
    assert amount.min() > -1e-6 * DOSE


def test_only_the_subject_to_blame_is_lost():
    with pytest.warns(ph.SubjectFailedWarning, match=r"1 of 11 subjects .*\(p7\)"):
        result = run(zero_order(np.where(np.arange(11) == 7, 1e-8, 1.0), 11))
    failed = result["status"].values == ph.Status.NEGATIVE_AMOUNT
    assert failed.tolist() == [i == 7 for i in range(11)]
    expected = run(zero_order(1.0))["amount"].values[0]
    np.testing.assert_allclose(result["amount"].values[3], expected, rtol=1e-5, atol=1e-6)


def test_the_status_can_be_raised():
    with pytest.raises(ph.SolveError, match="below zero"):
        ph.simulate_system(
            zero_order(1e-8),
            ph.Regimen.dose(DOSE, compartment="c"),
            TIMES,
            raise_on_failure=True,
        )


def test_a_whole_body_does_not_metabolise_more_than_it_got():
    drug = ph.Compound.create(
        name="x",
        molar_mass=300.0,
        log_p=2.0,
        fraction_unbound_plasma=0.1,
        absorption_rate=1.0,
        saturable=[{"name": "a", "vmax": 5.0, "km": 1e-8}],
    )
    with pytest.warns(ph.SubjectFailedWarning, match=r"km\[a\]"):
        result = ph.simulate(drug, "100 mg iv", times=np.arange(0, 200.0))
    assert result["status"][0] == ph.Status.NEGATIVE_AMOUNT
    assert "negative_amount" in result["status"].attrs["flag_meanings"]


def test_a_kidney_that_filters_more_than_flows_through_it():
    """httk's pbtk takes the filtrate of arterial plasma out of the kidney's own amount."""
    usual = ph.simulate_system(
        ph.httk_pbtk("theophylline"), ph.Regimen.bolus("70 mg"), range(9), body_weight=[70.0]
    )
    assert usual["status"][0] == 0
    broken = ph.httk_pbtk("theophylline", changes={"Qgfrc": 500.0})
    with pytest.warns(ph.SubjectFailedWarning, match="plasma flow to the kidney"):
        result = ph.simulate_system(broken, ph.Regimen.bolus("70 mg"), range(9), body_weight=[70.0])
    assert result["status"][0] == ph.Status.NEGATIVE_AMOUNT


def test_exact_exponentials_are_judged_as_well():
    broken = ph.httk_pbtk("theophylline", changes={"Qgfrc": 500.0})
    with pytest.warns(ph.SubjectFailedWarning, match="below zero"):
        ph.simulate_system(
            broken,
            ph.Regimen.bolus("70 mg"),
            range(9),
            body_weight=[70.0],
            options=ph.SolverOptions(method="expm"),
        )


def test_a_backend_that_returns_curves_alone_is_judged_by_them():
    """The common path of backends without a minimum of their own (Julia's): saved amounts and the last state."""
    system = zero_order(1.0, 3)
    stops = StopTable(*(np.array([v]) for v in (-1, 0.0, ADD, 0, DOSE)))
    problem = Problem(system, stops, np.array([0.0, 1.0]), ("c", "out"))
    amount = np.array([[[100.0, 0], [90, 10]], [[100, 0], [-1, 101]], [[100, 0], [-1e-9, 100]]])
    result = Trajectories(
        amount=amount,
        balance=np.zeros((3, 2)),
        given=np.full((3, 2), DOSE),
        final=amount[:, -1].copy(),
        status=np.zeros(3, dtype=np.int8),
        steps=np.zeros((3, 2), dtype=np.int64),
    )
    judge_signs(problem, ph.SolverOptions(), result)
    assert result.status.tolist() == [0, ph.Status.NEGATIVE_AMOUNT, 0]
    assert np.isnan(result.amount[1]).all() and np.isfinite(result.amount[[0, 2]]).all()
    assert np.isnan(result.balance[1]).all() and np.isnan(result.final[1]).all()


def test_what_is_allowed_follows_dose_and_tolerance():
    def allowed(dose: float, **options) -> float:
        system = zero_order(1.0)
        stops = StopTable(*(np.array([v]) for v in (-1, 0.0, ADD, 0, dose)))
        problem = Problem(system, stops, np.array([0.0, 1.0]), ("c",))
        zero = np.zeros((1, 2))
        result = Trajectories(
            zero[:, :, None], zero, np.full((1, 2), dose), zero, np.zeros(1), np.zeros((1, 2))
        )
        return float(allowed_below_zero(problem, ph.SolverOptions(**options), result)[0])

    assert allowed(100.0) == pytest.approx(100 * allowed(1.0))
    assert allowed(100.0) < 1e-4 * 100.0
    assert allowed(1.0, rtol=1e-3) == pytest.approx(1e4 * allowed(1.0, rtol=1e-7), rel=1e-3)
    assert allowed(1.0, rtol=1e-13) >= 1e-10  # never as near as rounding


def test_deviations_may_be_negative_and_say_so():
    base = ph.simulate("midazolam", "5 mg iv", times=[0, 1])
    assert base["status"][0] == 0
    system = ph.whole_body_system(ph.get_compound("midazolam"), ph.reference_individual("human"))
    assert system.signed is None and not system.may_be_negative.any()
    with_effect = with_effect_compartment(system, 0.5)
    pd = with_indirect_response(
        with_effect,
        "inhibit_production",
        kin=10.0,
        kout=0.5,
        maximum=0.9,
        half=0.005,
        compartment="effect",
    )
    assert pd.states[pd.may_be_negative.argmax()] in ("effect", "response")
    assert {pd.states[i] for i in np.flatnonzero(pd.may_be_negative)} == {"effect", "response"}
    result = ph.simulate_system(pd, "5 mg iv", np.linspace(0, 24, 25))
    assert result["status"][0] == 0
    assert result["amount"].sel(compartment="response").min() < -1.0
    antibody = ph.antibody_system(ph.Antibody(name="mab"))
    assert "fcrn_change" in antibody.signed
    result = ph.simulate_system(antibody, "5000 mg iv", [0, 24, 240.0])
    assert result["status"][0] == 0
    assert result["amount"].sel(compartment="fcrn_change").min() < -1e-3


def test_which_states_are_deviations_is_found_in_the_equations():
    """A closed system: an inactivated enzyme, its turnover, a drug; a mark of one's own overrides."""
    drug_loss = ph.Reaction("loss", "enzymatic", (0, 1), {0: -1.0, 3: 1.0}, np.array([[0.5, 0.0]]))
    lost = ph.Reaction("lost", "enzymatic", (0, 1), {1: -1.0, 2: 1.0}, np.array([[0.9, 0.5]]))
    parts = (("drug", "enzyme", "turnover", "out"), [1, 2], [1, 1], [[-0.2, 0.2]])
    system = ph.System(*parts, (drug_loss, lost))
    assert system.closed
    assert system.may_be_negative.tolist() == [False, True, True, False]
    assert signed_by_equations(system).tolist() == [False, True, True, False]
    marked = ph.System(*parts, (drug_loss, lost), signed=("out",))
    assert marked.may_be_negative.tolist() == [False, False, False, True]
    with pytest.raises(ph.UnknownNameError, match="enzyme"):
        ph.System(*parts, (drug_loss, lost), signed=("enzym",))


def test_a_swing_that_is_not_closed_is_left_alone():
    """dx/dt = -y, dy/dt = x: an oscillator, whose states are no amounts."""
    swing = ph.System(("x", "y"), [0, 1], [1, 0], [[-1.0, 1.0]])
    result = ph.simulate_system(
        swing, ph.Regimen.dose(1.0, compartment="x"), np.linspace(0, 6.28, 40)
    )
    assert result["status"][0] == 0
    assert result["amount"].min() == pytest.approx(-1.0, abs=1e-2)


def test_the_advice_names_the_smallest_constant():
    system = zero_order(3e-7)
    assert "km[mm], which is 3e-07 mg" in why_negative(system, 0)


@pytest.mark.parametrize("name", ["midazolam", "theophylline", "verapamil", "warfarin", "digoxin"])
@pytest.mark.parametrize("rtol", [2e-7, 1e-4])
def test_no_false_alarm_for_drugs_of_the_database(name, rtol):
    people = ph.sample_population(9, seed=3)
    drug = ph.get_compound(name)
    drug = drug.replace(saturable=[{"name": "s", "vmax": 50.0, "km": 0.5}])
    for dose in ("100 mg iv", "500 mg oral q12h x4", "10 mg iv over 2 h q8h x4", "0.01 mg iv"):
        result = ph.simulate(drug, dose, people, options=ph.SolverOptions(rtol=rtol))
        assert (result["status"] == 0).all()
