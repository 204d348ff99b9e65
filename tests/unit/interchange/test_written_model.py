"""Models written as text: laws of one's own, differential equations, doses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

import pbpk_hybrid as ph
from pbpk_hybrid._core import errors
from pbpk_hybrid.solvers.base import SolverOptions

TIGHT = SolverOptions(rtol=1e-10, threads=1)
HOURS = np.array([0.0, 0.5, 1.0, 3.0, 8.0])


def binding(**more):
    return ph.ode_model(
        ph.Reaction("binding", "kon*A*B - koff*AB", "A + B -> AB"),
        ph.Reaction("loss", "kloss*A", "A ->"),
        start={"A": 10, "B": 4, "AB": 0},
        parameters={"kon": 0.5, "koff": 0.1, "kloss": 0.2},
        **more,
    )


def by_hand(times, kon=0.5):
    def rhs(_, y):
        v = kon * y[0] * y[1] - 0.1 * y[2]
        return [-v - 0.2 * y[0], -v, v]

    return solve_ivp(rhs, (0, 8), [10, 4, 0], t_eval=times, rtol=1e-11, atol=1e-13).y.T


def test_a_law_as_text_is_what_it_says():
    got = binding().simulate(HOURS, outputs=["A", "B", "AB"], options=TIGHT)
    np.testing.assert_allclose(got["value"].values[0], by_hand(HOURS), rtol=1e-7, atol=1e-9)
    assert got["amount"].attrs["units"] == "mg"
    np.testing.assert_array_equal(got["amount"], got["value"])


def test_equations_are_printed_and_parameters_are_set():
    model = binding()
    assert model.equations.splitlines()[0] == "dA/dt = -binding - loss"
    assert "binding = kon*A*B - koff*AB" in model.equations
    assert "3 states, 3 parameters" in repr(model)
    got = model.set({"kon": 0.05}).simulate(HOURS, outputs=["A", "B", "AB"], options=TIGHT)
    np.testing.assert_allclose(got["value"].values[0], by_hand(HOURS, 0.05), rtol=1e-7, atol=1e-9)


def test_numbers_before_states_and_differential_equations():
    model = ph.ode_model(
        ph.Reaction("pair", "k*A^2", "2 A -> A2"),
        rates={"A": "0.3 - 0.1*time"},
        start={"A": "2*first", "A2": 0},
        parameters={"k": 0.4, "first": 1.5},
        outputs={"sum": "A + 2*A2"},
    )
    got = model.simulate([0.0, 2.0], outputs=["A", "A2", "sum"], options=TIGHT)["value"].values[0]
    assert got[0].tolist() == [3.0, 0.0, 3.0]
    # 0.3 t - 0.1 t²/2 has been added
    assert got[1, 2] == pytest.approx(3.0 + 0.6 - 0.2, rel=1e-8)


@pytest.mark.parametrize(("unit", "factor"), [("h", 1.0), ("min", 60.0), ("d", 1 / 24)])
def test_the_unit_of_time_of_the_laws(unit, factor):
    model = ph.ode_model(rates={"A": "-k*A"}, start={"A": 1}, parameters={"k": 0.1}, time_unit=unit)
    got = model.simulate([3.0], options=TIGHT)["value"].values.ravel()
    assert got[0] == pytest.approx(np.exp(-0.1 * 3.0 * factor), rel=1e-8)


def test_doses_and_infusions():
    model = ph.ode_model(
        rates={"gut": "-ka*gut", "blood": "ka*gut - CL*C"},
        start={"gut": 0, "blood": 0},
        parameters={"ka": 1.0, "CL": 2.0, "V": 10.0},
        outputs={"C": "blood/V"},
        units={"C": "mg/L"},
        doses="100 mg into gut every 4 h for 12 h",
    )
    model = model.with_doses(ph.Regimen.dose(30, 2.0, compartment="blood", duration=3.0))
    times = np.array([0.0, 1.0, 3.5, 6.0, 12.0])
    got = model.simulate(times, outputs=["gut", "blood", "C"], options=TIGHT)

    def exact(t):
        gut = blood = 0.0
        for start in (0.0, 4.0, 8.0):
            s = t - start
            if s >= 0:
                gut += 100 * np.exp(-s)
                blood += 100 * 1.0 / (0.2 - 1.0) * (np.exp(-s) - np.exp(-0.2 * s))
        into = lambda s: 10 / 0.2 * (1 - np.exp(-0.2 * s)) if s > 0 else 0.0
        return gut, blood + into(t - 2.0) - into(t - 5.0)

    wanted = np.array([exact(t) for t in times])
    np.testing.assert_allclose(got["value"].values[0, :, :2], wanted, rtol=1e-7, atol=1e-9)
    concentration = got["concentration"].sel(compartment="C").values[0]
    np.testing.assert_allclose(concentration, wanted[:, 1] / 10, rtol=1e-7, atol=1e-9)
    assert "4 doses" in repr(model)
    slopes = model.simulate([3.0], outputs="gut", sensitivities=["dose 1 amount"], options=TIGHT)
    assert slopes["value_sensitivity"].values.ravel()[0] == pytest.approx(np.exp(-3.0), rel=1e-7)


def test_a_population_and_a_fit():
    model = ph.ode_model(
        rates={"blood": "-CL/V*blood"},
        start={"blood": 100},
        parameters={"CL": 2.0, "V": 10.0},
        outputs={"C": "blood/V"},
        units={"C": "mg/L"},
    )
    people = pd.DataFrame({"CL": [1.0, 2.0, 4.0]})
    got = model.simulate([5.0], population=people, outputs="C")["concentration"].values.ravel()
    np.testing.assert_allclose(got, 10 * np.exp(-people["CL"] / 2), rtol=1e-5)

    from pbpk_hybrid.estimation import LogNormal, fit

    hours = np.array([1.0, 2.0, 4.0, 8.0])
    sample = lambda value: ("sample", np.full(len(hours), value))
    observed = xr.Dataset(
        {
            "time": ("sample", hours),
            "value": ("sample", 10 * np.exp(-0.3 * hours)),
            "subject": sample("1"),
            "matrix": sample("plasma"),
            "study": sample("example"),
            "reference": sample("simulated"),
        }
    )
    found = fit(
        model,
        observed,
        ["CL"],
        {"CL": LogNormal(2.0, 1.0)},
        error={"proportional": 0.05},
        compartments={"plasma": "C"},
    )
    assert found.table()["value"]["CL"] == pytest.approx(3.0, rel=5e-3)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: binding(outputs={"x": "A/Vd"}), ["outputs['x']", "Vd"]),
        (lambda: binding(outputs={"A": "B"}), ["A", "start"]),
        (lambda: binding(units={"Q": "mg"}), ["units", "Q"]),
        (lambda: binding(outputs={"x": "y", "y": "x"}), ["x -> y -> x"]),
        (lambda: binding(outputs={"x": "A +"}), ["outputs['x']", "column"]),
        (lambda: binding(outputs={"x": "hill(A)"}), ["outputs['x']", "hill"]),
        (lambda: binding(outputs={"x": "().__class__"}), ["outputs['x']"]),
        (lambda: binding(doses="100 mg oral"), ["compartment"]),
        (lambda: binding(doses="5 mg/kg into A"), ["body weight"]),
        (lambda: binding(time_unit="week"), ["time_unit"]),
        (lambda: ph.ode_model(start={}), ["start"]),
        (lambda: ph.ode_model(rates={"B": "1"}, start={"A": 1}), ["rates", "B"]),
        (lambda: ph.ode_model(ph.Reaction("r", "1", "A => B"), start={"A": 1}), ["scheme"]),
        (lambda: ph.ode_model(ph.Reaction("r", "1", "A -> B"), start={"A": 1}), ["scheme", "B"]),
        (lambda: ph.ode_model(rates={"A": "1"}, start={"A": float("nan")}), ["start['A']"]),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(made, words):
    with pytest.raises(errors.InputError) as caught:
        made()
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_law_as_text_in_a_system_says_where_it_belongs():
    law = ph.Reaction("r", "k*A", "A ->")
    with pytest.raises(errors.InputError, match="ode_model"):
        ph.System(("A",), [0], [0], [[-1.0]], (law,))
