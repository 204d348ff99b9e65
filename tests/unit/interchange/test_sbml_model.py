"""Any SBML model as an object: kinetics, rules, events, units, populations, sensitivities, fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

from pbpk_hybrid._core import errors, schemas
from pbpk_hybrid.interchange import read_sbml_model
from pbpk_hybrid.solvers.base import SolverOptions

TIGHT = SolverOptions(rtol=1e-10, threads=1)
MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'
TIME = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>'


def formula(inner: str) -> str:
    return f"<math {MATH}>{inner}</math>"


def apply(operator: str, *args: str) -> str:
    return f"<apply><{operator}/>{''.join(args)}</apply>"


def ci(name: str) -> str:
    return f"<ci> {name} </ci>"


def cn(value: float) -> str:
    return f"<cn> {value} </cn>"


def call(name: str, *args: str) -> str:
    return f"<apply><ci>{name}</ci>{''.join(args)}</apply>"


def sbml(inside: str, attributes: str = 'timeUnits="hour" substanceUnits="mmole"') -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2">
<model id="m" {attributes}>
<listOfUnitDefinitions>
  <unitDefinition id="mmole"><listOfUnits>
    <unit kind="mole" exponent="1" scale="-3" multiplier="1"/></listOfUnits></unitDefinition>
  <unitDefinition id="hour"><listOfUnits>
    <unit kind="second" exponent="1" scale="0" multiplier="3600"/></listOfUnits></unitDefinition>
  <unitDefinition id="per_hour"><listOfUnits>
    <unit kind="second" exponent="-1" scale="0" multiplier="3600"/></listOfUnits></unitDefinition>
</listOfUnitDefinitions>
{inside}</model></sbml>"""


COMPARTMENT = (
    '<listOfCompartments><compartment id="V" spatialDimensions="3" size="2" units="litre"'
    ' constant="true"/></listOfCompartments>'
)


def species(name: str, value: float = 0.0, more: str = "") -> str:
    return (
        f'<species id="{name}" compartment="V" initialConcentration="{value}"'
        f' hasOnlySubstanceUnits="false" boundaryCondition="false" constant="false" {more}/>'
    )


def parameter(name: str, value: float, constant: str = "true", more: str = "") -> str:
    return f'<parameter id="{name}" value="{value}" constant="{constant}" {more}/>'


def reaction(name: str, left: str, right: str, law: str) -> str:
    reference = lambda s: (
        f'<speciesReference species="{s}" stoichiometry="1" constant="true"/>' if s else ""
    )
    return (
        f'<reaction id="{name}" reversible="false">'
        f"<listOfReactants>{reference(left)}</listOfReactants>"
        f"<listOfProducts>{reference(right)}</listOfProducts>"
        f"<kineticLaw>{formula(law)}</kineticLaw></reaction>"
    )


#: reversible Michaelis-Menten through a function definition: what whole-body models are full of
TRANSPORT = sbml(
    "<listOfFunctionDefinitions><functionDefinition id='rmm'>"
    + formula(
        "<lambda><bvar><ci>s</ci></bvar><bvar><ci>p</ci></bvar><bvar><ci>km</ci></bvar>"
        + apply(
            "divide",
            apply("minus", ci("s"), ci("p")),
            apply("plus", ci("km"), ci("s"), ci("p")),
        )
        + "</lambda>"
    )
    + "</functionDefinition></listOfFunctionDefinitions>"
    + COMPARTMENT
    + f"<listOfSpecies>{species('A', 5.0)}{species('B')}</listOfSpecies>"
    + "<listOfParameters>"
    + parameter("vmax", 3.0, more='units="per_hour"')
    + parameter("km", 0.7)
    + "</listOfParameters><listOfReactions>"
    + reaction(
        "T", "A", "B", apply("times", ci("vmax"), call("rmm", ci("A"), ci("B"), ci("km")), ci("V"))
    )
    + reaction("out", "B", "", apply("times", cn(0.4), ci("B"), ci("V")))
    + "</listOfReactions>"
)


def transport(hours, vmax=3.0, a0=5.0):
    def rhs(_, y):
        flow = vmax * (y[0] - y[1]) / (0.7 + y[0] + y[1])
        return [-flow, flow - 0.4 * y[1]]

    return solve_ivp(
        rhs, (0, max(hours)), [a0, 0], t_eval=hours, rtol=1e-11, atol=1e-13, method="LSODA"
    ).y.T


@pytest.fixture(scope="module")
def model():
    return read_sbml_model(TRANSPORT)


def test_reversible_transport_agrees_with_its_equations_by_hand(model):
    hours = np.linspace(0.0, 10.0, 21)
    got = model.simulate(hours, options=TIGHT)
    np.testing.assert_allclose(got["value"].values[0], transport(hours), rtol=1e-7, atol=1e-9)
    # two litres
    np.testing.assert_allclose(got["amount"].values[0], 2 * transport(hours), rtol=1e-7, atol=1e-9)
    assert got.attrs["amount_unit"] == "mmol"
    assert got["concentration"].attrs["units"] == "mmol/L"
    assert got["compartment"].values.tolist() == ["A", "B"]


def test_molar_masses_give_milligrams(model):
    got = model.with_molar_mass(300.0).simulate([0.0, 1.0])
    schemas.validate(got, "simulation")
    assert got.attrs["amount_unit"] == "mg"
    assert got["concentration"].values[0, 0, 0] == pytest.approx(5 * 300.0)
    with pytest.raises(errors.InputError, match="molar_mass"):
        model.simulate([1.0], unit="mg")
    with pytest.raises(errors.UnknownNameError, match="did you mean 'A'"):
        model.with_molar_mass({"a1": 300.0})


def test_parameters_by_id_and_the_model_printed(model):
    assert "2 species" in repr(model) and "mmol" in repr(model) and "time in hours" in repr(model)
    assert model.parameters("vmax")["vmax"].value == 3.0
    assert model.parameters("vmax")["vmax"].unit == "1/h"
    assert model.species == ("A", "B")
    assert "vmax" in model.tree()
    with pytest.raises(errors.UnknownNameError, match="vmax"):
        model.set({"vmx": 1.0})


def test_set_changes_the_initial_value_of_a_species_not_its_course(model):
    hours = np.array([0.0, 2.0, 5.0])
    changed = model.set({"A": 8.0, "vmax": "2 1/h"})
    got = changed.simulate(hours, options=TIGHT)["value"].values[0]
    np.testing.assert_allclose(got, transport(hours, 2.0, 8.0), rtol=1e-7, atol=1e-9)
    assert model.simulate([0.0])["value"].values[0, 0, 0] == 5.0


def test_a_population_runs_as_lanes(model):
    people = pd.DataFrame({"IndividualId": range(9), "vmax": np.linspace(1.0, 5.0, 9)})
    people["A"] = np.linspace(3.0, 6.0, 9)
    got = model.simulate([4.0], population=people, options=TIGHT)["value"].values[:, 0]
    for i in range(9):
        wanted = transport(np.array([0.0, 4.0]), people["vmax"][i], people["A"][i])[1]
        np.testing.assert_allclose(got[i], wanted, rtol=1e-7)


def test_a_column_that_is_no_name_warns(model):
    people = pd.DataFrame({"vmaxx": [1.0, 2.0]})
    with pytest.warns(errors.NoEffectWarning, match="vmaxx"):
        model.simulate([1.0], population=people)


def test_sensitivities_are_those_of_differences(model):
    hours = [1.0, 3.0]
    got = model.simulate(hours, sensitivities=["vmax", "A"], options=TIGHT)
    for i, (name, value) in enumerate({"vmax": 3.0, "A": 5.0}.items()):
        up, down = (
            model.set({name: value * f}).simulate(hours, options=TIGHT)["value"].values
            for f in (1.001, 0.999)
        )
        wanted = (up - down) / (0.002 * value)
        np.testing.assert_allclose(
            got["value_sensitivity"].values[..., i], wanted, rtol=1e-5, atol=1e-8
        )


def test_a_fit_finds_the_parameters_again(model):
    from pbpk_hybrid.estimation import LogNormal, fit

    own = model.with_molar_mass(300.0)
    hours = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 8.0])
    curve = own.set({"vmax": 4.0}).simulate(hours, outputs="B", options=TIGHT)
    sample = lambda value: ("sample", np.full(len(hours), value))
    observed = xr.Dataset(
        {
            "time": ("sample", hours),
            "value": ("sample", curve["concentration"].values.ravel()),
            "subject": sample("1"),
            "matrix": sample("plasma"),
            "study": sample("example"),
            "reference": sample("simulated"),
        }
    )
    found = fit(
        own,
        observed,
        ["vmax"],
        {"vmax": LogNormal(3.0, 1.0)},
        error={"proportional": 0.02},
        compartments={"plasma": "B"},
    )
    assert found.table()["value"]["vmax"] == pytest.approx(4.0, rel=1e-3)


GROWING = sbml(
    '<listOfCompartments><compartment id="V" spatialDimensions="3" size="1" constant="false"/>'
    "</listOfCompartments>"
    f"<listOfSpecies>{species('A', 2.0)}</listOfSpecies>"
    f"<listOfParameters>{parameter('k', 0.5)}{parameter('x', 1.0, 'false')}"
    f"{parameter('twice', 0.0, 'false')}{parameter('first', 0.0)}</listOfParameters>"
    "<listOfInitialAssignments><initialAssignment symbol='first'>"
    + formula(apply("times", cn(10), ci("A")))
    + "</initialAssignment></listOfInitialAssignments><listOfRules>"
    "<rateRule variable='V'>" + formula(cn(0.25)) + "</rateRule>"
    "<rateRule variable='x'>" + formula(apply("minus", ci("x"))) + "</rateRule>"
    "<assignmentRule variable='twice'>"
    + formula(apply("times", cn(2), ci("x")))
    + "</assignmentRule></listOfRules><listOfReactions>"
    + reaction("out", "A", "", apply("times", ci("k"), ci("A"), ci("V")))
    + "</listOfReactions>"
)


def test_rules_initial_assignments_and_a_compartment_that_grows():
    hours = np.array([0.0, 1.0, 4.0])
    model = read_sbml_model(GROWING)
    got = model.simulate(hours, outputs=["A", "V", "x", "twice", "first", "out"], options=TIGHT)
    value = got["value"].values[0].T
    amount = 2 * np.exp(-0.5 * hours)
    volume = 1 + 0.25 * hours
    np.testing.assert_allclose(value[0], amount / volume, rtol=1e-8)
    np.testing.assert_allclose(value[1], volume, rtol=1e-8)
    np.testing.assert_allclose(value[2], np.exp(-hours), rtol=1e-8)
    np.testing.assert_allclose(value[3], 2 * np.exp(-hours), rtol=1e-8)
    np.testing.assert_allclose(value[4], 20.0)  # of the start, not of the course
    np.testing.assert_allclose(value[5], 0.5 * amount, rtol=1e-8)


def events(*inside: str) -> str:
    return f"<listOfEvents>{''.join(inside)}</listOfEvents>"


def event(
    name: str,
    trigger: str,
    assignments: dict[str, str],
    *,
    before: str = "false",
    persistent: str = "true",
    at_trigger: str = "true",
    priority: float | None = None,
) -> str:
    first = "" if priority is None else f"<priority>{formula(cn(priority))}</priority>"
    inner = "".join(
        f'<eventAssignment variable="{k}">{formula(v)}</eventAssignment>'
        for k, v in assignments.items()
    )
    return (
        f'<event id="{name}" useValuesFromTriggerTime="{at_trigger}">'
        f'<trigger initialValue="{before}" persistent="{persistent}">{formula(trigger)}</trigger>'
        f"{first}<listOfEventAssignments>{inner}</listOfEventAssignments></event>"
    )


def variables(*names: str) -> str:
    inner = "".join(parameter(n, 0.0, "false") for n in names)
    return f"<listOfParameters>{inner}</listOfParameters>"


def values(text: str, hours, *names: str) -> np.ndarray:
    got = read_sbml_model(text).simulate(hours, outputs=list(names), options=TIGHT)
    return got["value"].values[0].T


AT_TWO = apply("geq", TIME, cn(2.0))
PLUS = lambda name, value: apply("plus", ci(name), cn(value))


def test_the_event_of_highest_priority_goes_first():
    text = sbml(
        variables("x", "y")
        + events(
            event("low", AT_TWO, {"x": apply("times", ci("x"), cn(10))}, at_trigger="false"),
            event("high", AT_TWO, {"x": PLUS("x", 3)}, priority=5, at_trigger="false"),
        )
    )
    assert values(text, [1.0, 3.0], "x")[0].tolist() == [0.0, 30.0]


def test_values_from_trigger_time_are_those_before_the_other_event():
    text = sbml(
        variables("x")
        + events(
            event("low", AT_TWO, {"x": PLUS("x", 10)}),
            event("high", AT_TWO, {"x": PLUS("x", 3)}, priority=5),
        )
    )
    # the second one still adds to the zero of its trigger
    assert values(text, [3.0], "x")[0].tolist() == [10.0]


@pytest.mark.parametrize(("persistent", "wanted"), [("true", 1.0), ("false", 0.0)])
def test_an_event_that_is_not_persistent_is_undone_by_another(persistent, wanted):
    both = apply("and", AT_TWO, apply("lt", ci("y"), cn(0.5)))
    text = sbml(
        variables("x", "y")
        + events(
            event("late", both, {"x": PLUS("x", 1)}, persistent=persistent),
            event("first", AT_TWO, {"y": cn(1)}, priority=5),
        )
    )
    assert values(text, [3.0], "x")[0].tolist() == [wanted]


@pytest.mark.parametrize(("before", "wanted"), [("true", 0.0), ("false", 4.0)])
def test_an_event_at_the_start_happens_if_its_trigger_was_false_before(before, wanted):
    always = apply("geq", TIME, cn(0))
    text = sbml(variables("x") + events(event("e", always, {"x": cn(4)}, before=before)))
    assert values(text, [0.0, 1.0], "x")[0].tolist() == [wanted, wanted]


def doses(trigger: str) -> str:
    return sbml(
        COMPARTMENT
        + f"<listOfSpecies>{species('A', 4.0)}</listOfSpecies>"
        + f"<listOfParameters>{parameter('k', 0.5)}{parameter('dose', 3.0)}</listOfParameters>"
        + "<listOfReactions>"
        + reaction("out", "A", "", apply("times", ci("k"), ci("A"), ci("V")))
        + "</listOfReactions>"
        + events(event("again", trigger, {"A": apply("plus", ci("A"), ci("dose"))}))
    )


def test_an_event_is_found_on_the_way():
    when = np.log(4.0) / 0.5
    got = values(doses(apply("lt", ci("A"), cn(1))), [2.0, 4.0], "A")[0]
    np.testing.assert_allclose(got, [4 * np.exp(-1), 4 * np.exp(-0.5 * (4 - when))], rtol=1e-7)


@pytest.mark.parametrize("at", ["true", "false"])
def test_sensitivities_go_through_an_event(at):
    text = doses(AT_TWO).replace('TriggerTime="true"', f'TriggerTime="{at}"')
    got = read_sbml_model(text).simulate([1.0, 4.0], sensitivities=["dose", "A"], options=TIGHT)
    slope = got["value_sensitivity"].values[0, :, 0]
    wanted = [[0.0, np.exp(-0.5)], [np.exp(-1.0), np.exp(-2.0)]]
    np.testing.assert_allclose(slope, wanted, rtol=1e-6, atol=1e-9)


def test_a_sensitivity_that_would_miss_the_move_of_an_event_is_refused():
    model = read_sbml_model(doses(apply("lt", ci("A"), cn(1))))
    with pytest.raises(errors.InputError, match="the time of event 'again'"):
        model.simulate([1.0], sensitivities=["k"])


def test_events_that_cause_each_other_without_end_are_a_failure_not_a_loop():
    text = sbml(
        variables("x")
        + events(
            event("up", apply("lt", ci("x"), cn(0.5)), {"x": cn(1)}),
            event("down", apply("gt", ci("x"), cn(0.5)), {"x": cn(0)}),
        )
    )
    with pytest.raises(errors.SolveError):
        read_sbml_model(text).simulate([1.0], outputs="x", raise_on_failure=True)
