"""Forward sensitivities against differences of high-precision runs, and against closed forms.

The reference is the five-point difference quotient with steps of a thousandth of the parameter, of runs at rtol 1e-12: its
error is near 1e-8 of the sensitivity. Errors are relative to the largest value in time of each compartment's sensitivity.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine_tools import few
from hypothesis import given
from hypothesis import strategies as st

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system
from pbpk_hybrid.models.system.derivatives import parameter_names
from pbpk_hybrid.models.system.examples import random_system, yardstick_system

TIMES = np.linspace(0.0, 24.0, 25)
FINE = ph.SolverOptions(rtol=1e-12)
ASKED = ph.SolverOptions(rtol=1e-9)


def changed(system: ph.System, name: str, factor: float) -> tuple[ph.System, np.ndarray]:
    """The system with one parameter multiplied, and the parameter's value (n_subjects,)."""
    n = system.n_subjects
    if system.assemble is not None:
        p = dict(system.parameters)
        value = np.broadcast_to(p[name], (n,))
        p[name] = p[name] * factor
        c = system.assemble(p)
        reactions = tuple(
            replace(r, parameters=v)
            for r, v in zip(system.reactions, c.reaction_parameters, strict=True)
        )
        observables = {
            k: replace(o, factor=c.observable_factor.get(k, o.factor))
            for k, o in system.observables.items()
        }
        return replace(
            system, k_value=c.k_value, reactions=reactions, observables=observables, parameters=p
        ), value
    which = parameter_names(system).index(name)
    if which < len(system.k_row):
        k = np.array(np.broadcast_to(system.k_value, (n, len(system.k_row))))
        value = k[:, which].copy()
        k[:, which] *= factor
        return replace(system, k_value=k), value
    which -= len(system.k_row)
    reactions, value = list(system.reactions), None
    for i, r in enumerate(reactions):
        if 0 <= which < r.parameters.shape[1]:
            p = np.array(np.broadcast_to(r.parameters, (n, r.parameters.shape[1])))
            value = p[:, which].copy()
            p[:, which] *= factor
            reactions[i] = replace(r, parameters=p)
            break
        which -= r.parameters.shape[1]
    return replace(system, reactions=tuple(reactions)), value


def differences(system, regimen, name, quantity, **more):
    """d(quantity)/d(parameter), (n_subjects, n_times, n_compartments)."""
    step, total = 1e-3, 0.0
    for move, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
        moved, value = changed(system, name, 1 + move * step)
        total = (
            total
            + weight
            * ph.simulate_system(moved, regimen, TIMES, options=FINE, **more)[quantity].values
        )
    return total / (12 * step * value[:, None, None])


def largest_error(got, expected, size) -> float:
    """`size`: where the largest value in time is under 1e-5 of it, that is the scale: differences have noise."""
    scale = np.maximum(np.abs(expected).max(axis=1, keepdims=True), 1e-5 * size)
    return float(np.nanmax(np.abs(got - expected) / scale))


def check(system, regimen, names, within=1e-6, options=ASKED, compartments=None):
    compartments = compartments or [
        s for s, o in system.observables.items() if np.isfinite(o.factor).all()
    ]
    ds = ph.simulate_system(
        system, regimen, TIMES, options=options, sensitivities=names, compartments=compartments
    )
    assert (ds["status"] == 0).all()
    peak = np.abs(ds["concentration"]).max().item()
    worst = 0.0
    for q, name in enumerate(names):
        expected = differences(system, regimen, name, "concentration", compartments=compartments)
        got = ds["concentration_sensitivity"].values[..., q]
        _, value = changed(system, name, 1.0)
        size = peak / np.abs(value)[:, None, None]
        error = largest_error(got, expected, np.where(np.isfinite(size), size, 1.0))
        assert error < within, name
        worst = max(worst, error)
    return worst


def test_every_parameter_of_the_yardstick():
    system = yardstick_system(3, seed=6)
    check(system, ph.Regimen.oral(100.0), list(parameter_names(system)))


def test_default_tolerances_give_sensitivities_to_1e4():
    system = yardstick_system(3, seed=6)
    names = [*parameter_names(system)[::5], "vmax[hepatic]", "km[hepatic]"]
    check(system, ph.Regimen.oral(100.0), names, within=1e-4, options=ph.SolverOptions())


R = ph.Regimen
REGIMENS = {
    "repeated oral": R.oral(300.0, lag=0.4).repeat(8, 3),
    "overlapping infusions": R.infusion(300.0, 5.0)
    + R.infusion(100.0, 9.0, 3.3)
    + R.bolus(50.0, 12.0),
    "reset": R.infusion(300.0, 20.0) + R.reset(7.0) + R.oral(200.0, 9.5),
    "reset and dose": R.oral(300.0) + R.infusion(90.0, 30.0, 1.0) + R.bolus(50.0, 6.0, reset=True),
}


@pytest.mark.parametrize("regimen", REGIMENS.values(), ids=REGIMENS)
def test_whole_body_by_named_parameters(regimen):
    pathways = [
        {"name": "CYP", "vmax": 0.5, "km": 0.05},
        {"name": "OCT", "organ": "kidney", "vmax": 0.2, "km": 0.3},
    ]
    compound = ph.Compound.create(
        name="saturable",
        molar_mass=300.0,
        log_p=1.5,
        pka_base=(6.0,),
        fraction_unbound_plasma=0.1,
        blood_to_plasma_ratio=0.8,
        clint_hepatocyte=3.0,
        clearance_basis="in_vitro",
        absorption_rate=1.2,
        fraction_absorbed=0.8,
        fraction_gut=0.7,
        saturable=pathways,
        transit_compartments=2,
        transit_rate=4.0,
    )
    system = whole_body_system(compound, ph.sample_population(2, "human", seed=4))
    names = [
        "fraction_unbound_plasma",
        "blood_to_plasma_ratio",
        "clint.liver",
        "clearance_renal",
        "vmax[CYP]",
        "km[CYP]",
        "vmax[OCT]",
        "km[OCT]",
        "kp.adipose",
        "kp.liver",
        "kp.lung",
        "flow.liver",
        "flow.gut",
        "flow.muscle",
        "volume.venous_blood",
        "volume.liver",
        "volume.adipose",
        "absorption_rate",
        "fraction_absorbed",
        "fraction_gut",
        "transit_rate",
    ]
    check(system, regimen, names)


@few(5)
@given(
    st.integers(3, 14),
    st.integers(0, 10_000),
    st.integers(1, 4),
    st.sampled_from(["bolus", "infusion", "reset"]),
)
def test_random_circulations_with_inhibition_and_binding(n_organs, seed, n_reactions, kind):
    system = random_system(n_organs, seed, n_subjects=2, n_reactions=n_reactions)
    regimen = {
        "bolus": ph.Regimen.bolus(50.0),
        "infusion": ph.Regimen.infusion(50.0, 4.0) + ph.Regimen.bolus(10.0, 10.0),
        "reset": ph.Regimen.bolus(50.0)
        + ph.Regimen.reset(5.0)
        + ph.Regimen.infusion(40.0, 2.0, 6.0),
    }[kind]
    names = list(parameter_names(system))
    chosen = [n for n in names if not n.startswith("K[")] + names[: len(system.k_row) : 7]
    check(system, regimen, chosen)


def test_inhibitors_and_mass_action_by_every_constant():
    inhibited = ph.Reaction(
        "inhibited",
        "michaelis_menten",
        (0, 1, 2),
        {0: -1.0, 3: 1.0},
        np.array([[40.0, 2.0, 0.5, 1.5]]),
    )
    binding = ph.Reaction(
        "binding", "mass_action", (0, 1), {0: -1.0, 1: -1.0, 2: 2.0}, np.array([[0.3]])
    )
    twin = ph.Reaction("twin", "mass_action", (1, 1), {1: -2.0, 2: 2.0}, np.array([[0.02]]))
    states = ("victim", "inhibitor", "complex", "out")
    system = ph.System(
        states,
        [0, 1, 2, 0, 1],
        [0, 1, 2, 2, 2],
        [[-0.1, -0.05, -0.4, 0.2, 0.2]],
        (inhibited, binding, twin),
        {s: ph.Observable((i,), np.array([0.1])) for i, s in enumerate(states)},
    )
    regimen = ph.Regimen.dose(20.0, compartment="victim") + ph.Regimen.dose(
        5.0, compartment="inhibitor", duration=3.0
    )
    names = list(parameter_names(system))
    assert {"ki1[inhibited]", "ki2[inhibited]", "k[binding]", "k[twin]"} < set(names)
    check(system, regimen, names)


def test_inhibited_inactivated_and_induced_enzymes_by_every_constant():
    mixed = ph.Reaction(
        "mixed",
        "enzymatic",
        (0, 2, 1, 4),
        {0: -1.0, 3: 1.0},
        np.array([[1.5, 0.2, 0.8, 0.3, 0.1, 0.4]]),
    )
    lost = ph.Reaction(
        "lost", "enzymatic", (1, 2, 4), {2: -1.0, 5: 1.0}, np.array([[0.9, 0.5, 0.2, 0.1]])
    )
    made = ph.Reaction("made", "michaelis_menten", (4,), {2: 1.0, 5: -1.0}, np.array([[0.2, 3.0]]))
    states = ("victim", "inhibitor", "enzyme", "out", "inducer", "turnover")
    system = ph.System(
        states,
        [0, 1, 2, 3, 3, 5, 4],
        [0, 1, 2, 0, 1, 2, 4],
        [[-0.05, -0.1, -0.2, 0.05, 0.1, 0.2, -0.15]],
        (mixed, lost, made),
        {s: ph.Observable((i,), np.array([0.1])) for i, s in enumerate(states)},
    )
    doses = [("victim", 20.0, None), ("inhibitor", 5.0, 3.0), ("inducer", 8.0, None)]
    regimen = ph.Regimen.empty()
    for name, amount, duration in doses:
        regimen = regimen + ph.Regimen.dose(
            amount, compartment=name, **({} if duration is None else {"duration": duration})
        )
    names = list(parameter_names(system))
    assert {"k[mixed]", "s[mixed]", "c1[mixed]", "u2[mixed]", "c1[lost]", "u1[lost]"} < set(names)
    # what a parameter does not touch is 0 here and rounding noise in the differences: 1e-5 by the scale of `check`
    check(system, regimen, names, within=1e-4)


def test_one_compartment_against_the_derivative_of_its_closed_form():
    k, ka, dose, volume = 0.2, 1.3, 100.0, 30.0
    system = ph.System(
        ("depot", "body", "out"),
        [0, 1, 1, 2],
        [0, 0, 1, 1],
        [[-ka, ka, -k, k]],
        observables={"plasma": ph.Observable((1,), np.array([1 / volume]))},
        targets={"oral": 0},
    )
    names = ["K[body,body]", "K[body,depot]"]
    ds = ph.simulate_system(
        system, R.oral(dose), TIMES, options=ASKED, compartments="plasma", sensitivities=names
    )
    # C(t) = D b/(V (a - k)) (e^-kt - e^-at), K[body,body] = -k, b = K[body,depot], a = ka
    t = TIMES
    curve = dose / volume / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t))
    by_k = ka * (curve / (ka - k) - dose / volume / (ka - k) * t * np.exp(-k * t))
    got = ds["concentration_sensitivity"].values[0, :, 0]
    np.testing.assert_allclose(got[:, 0], -by_k, rtol=1e-7, atol=1e-7 * np.abs(by_k).max())
    np.testing.assert_allclose(got[:, 1], curve, rtol=1e-7, atol=1e-8 * curve.max())


def test_sensitivities_do_not_change_the_curves_nor_depend_on_what_else_is_asked():
    system = yardstick_system(5, seed=6)
    names = list(parameter_names(system))[:9]
    plain = ph.simulate_system(system, ph.Regimen.oral(100.0), TIMES)
    many = ph.simulate_system(system, ph.Regimen.oral(100.0), TIMES, sensitivities=names)
    alone = ph.simulate_system(system, ph.Regimen.oral(100.0), TIMES, sensitivities=[names[6]])
    np.testing.assert_array_equal(plain["amount"], many["amount"])
    np.testing.assert_allclose(
        alone["concentration_sensitivity"].values[..., 0],
        many["concentration_sensitivity"].values[..., 6],
        rtol=1e-12,
    )


def test_euler_homogeneity_of_a_linear_model():
    # scaling all rates by c is scaling time: sum over K entries of K dy/dK = t dy/dt after a bolus
    system = random_system(8, seed=12, n_subjects=1, n_reactions=0)
    names = list(parameter_names(system))
    fine = ph.SolverOptions(rtol=1e-10)
    ds = ph.simulate_system(
        system, R.bolus(10.0), TIMES, options=fine, compartments=["liver"], sensitivities=names
    )
    factor = float(np.broadcast_to(system.observables["liver"].factor, (1,))[0])
    amounts = ph.simulate_system(
        system, R.bolus(10.0), TIMES, compartments=system.states, options=fine
    )
    slope = (amounts["amount"].values[0] @ system.matrix().T)[:, system.states.index("liver")]
    total = ds["concentration_sensitivity"].values[0, :, 0] @ system.k_value[0] / factor
    np.testing.assert_allclose(
        total, TIMES * slope, rtol=1e-6, atol=1e-7 * np.abs(TIMES * slope).max()
    )
