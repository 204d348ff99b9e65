"""SBML files that are damaged, hostile, or hold what an ODE cannot: an error that names the element, never a wrong number."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.errors import FileFormatError, InputError
from pbpk_hybrid.interchange import read_sbml_model

MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'


def sbml(inside: str, level: int = 3, attributes: str = "", root: str = "") -> str:
    space = f"http://www.sbml.org/sbml/level{level}/version2/core"
    return (
        f'<sbml xmlns="{space}" level="{level}" version="2" {root}>'
        f'<model id="m" timeUnits="second" {attributes}>{inside}</model></sbml>'
    )


def rule(variable: str, inner: str, kind: str = "assignmentRule") -> str:
    return f'<{kind} variable="{variable}"><math {MATH}>{inner}</math></{kind}>'


def rules(*inside: str) -> str:
    return f"<listOfRules>{''.join(inside)}</listOfRules>"


def parameters(*names: str) -> str:
    inner = "".join(f'<parameter id="{n}" value="1" constant="false"/>' for n in names)
    return f"<listOfParameters>{inner}</listOfParameters>"


def function(name: str, body: str, *arguments: str) -> str:
    bound = "".join(f"<bvar><ci>{a}</ci></bvar>" for a in arguments)
    return (
        f'<functionDefinition id="{name}"><math {MATH}><lambda>{bound}{body}</lambda></math>'
        "</functionDefinition>"
    )


def functions(*inside: str) -> str:
    return f"<listOfFunctionDefinitions>{''.join(inside)}</listOfFunctionDefinitions>"


def refused(text: str, *words: str) -> FileFormatError:
    with pytest.raises((FileFormatError, InputError)) as caught:
        read_sbml_model(text)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))
    return caught.value


def test_a_truncated_file():
    whole = sbml(parameters("x"))
    refused(whole[: len(whole) // 2], "SBML")


def test_ten_thousand_levels_of_mathml():
    deep = "<apply><minus/>" * 10_000 + "<cn>1</cn>" + "</apply>" * 10_000
    refused(sbml(parameters("x") + rules(rule("x", deep))), "levels")


def test_more_levels_than_a_formula_may_have_name_the_element():
    deep = "<apply><exp/>" * 200 + "<cn>1</cn>" + "</apply>" * 200
    refused(sbml(parameters("x") + rules(rule("x", deep))), "assignmentRule of x", "levels")


def test_functions_that_explode_when_they_are_written_out():
    double = "<apply><plus/><apply><ci>f{0}</ci><ci>a</ci></apply><apply><ci>f{0}</ci><ci>b</ci></apply></apply>"
    chain = [function("f0", "<apply><times/><ci>a</ci><ci>a</ci></apply>", "a")]
    chain += [
        function(f"f{i}", double.format(i - 1).replace("<ci>b</ci>", "<ci>a</ci>"), "a")
        for i in range(1, 45)
    ]
    call = "<apply><ci>f44</ci><ci>y</ci></apply>"
    refused(
        sbml(functions(*chain) + parameters("x", "y") + rules(rule("x", call))),
        "assignmentRule of x",
        "at most",
    )


def test_functions_that_call_each_other():
    text = sbml(
        functions(
            function("f", "<apply><ci>g</ci><ci>a</ci></apply>", "a"),
            function("g", "<apply><ci>f</ci><ci>a</ci></apply>", "a"),
        )
        + parameters("x")
        + rules(rule("x", "<apply><ci>f</ci><cn>1</cn></apply>"))
    )
    refused(text, "f -> g -> f")


def test_rules_that_need_each_other():
    model = read_sbml_model(
        sbml(parameters("x", "y") + rules(rule("x", "<ci>y</ci>"), rule("y", "<ci>x</ci>")))
    )
    with pytest.raises(InputError, match=r"x -> y -> x|y -> x -> y"):
        model.simulate([1.0])


def test_an_unknown_function():
    refused(
        sbml(parameters("x") + rules(rule("x", "<apply><ci>hill</ci><cn>1</cn></apply>"))),
        "hill",
        "assignmentRule of x",
    )


def test_an_id_that_is_nothing_with_the_nearest_one():
    refused(
        sbml(parameters("clearance") + rules(rule("clearance", "<ci>clearence</ci>"))),
        "clearence",
        "did you mean 'clearance'",
    )


def test_python_in_a_formula_is_only_an_unknown_id():
    refused(
        sbml(parameters("x") + rules(rule("x", "<ci>__import__('os').system('true')</ci>"))),
        "__import__",
    )


@pytest.mark.parametrize("number", ["1_000", "0x10", "one", "1,5", ""])
def test_text_that_is_no_number(number):
    refused(
        sbml(parameters("x") + rules(rule("x", f"<cn>{number}</cn>"))),
        "assignmentRule of x",
        "number",
    )


def test_a_value_that_is_no_number_names_its_parameter():
    refused(sbml(parameters("x").replace('value="1"', 'value="1,5"')), "parameter x, value", "1,5")


def test_the_same_id_twice():
    refused(sbml(parameters("x", "x")), "parameter x", "id of its own")


def test_what_an_ode_does_not_have_is_refused_by_name():
    algebraic = (
        f"<listOfRules><algebraicRule><math {MATH}><ci>x</ci></math></algebraicRule></listOfRules>"
    )
    refused(sbml(parameters("x") + algebraic), "algebraic rule")
    delay = '<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">d</csymbol><ci>x</ci><cn>1</cn></apply>'
    refused(sbml(parameters("x", "y") + rules(rule("y", delay))), "assignmentRule of y", "delay")
    late = (
        '<listOfEvents><event id="later" useValuesFromTriggerTime="true"><trigger initialValue="true" persistent="true">'
        f"<math {MATH}><true/></math></trigger><delay><math {MATH}><cn>2</cn></math></delay></event></listOfEvents>"
    )
    refused(sbml(parameters("x") + late), "event later, delay")
    fast = '<listOfReactions><reaction id="r" reversible="false" fast="true"/></listOfReactions>'
    refused(sbml(fast), "reaction r, fast")


def test_packages_that_change_the_equations_are_refused():
    comp = (
        'xmlns:comp="http://www.sbml.org/sbml/level3/version1/comp/version1" comp:required="true"'
    )
    inside = "<comp:listOfSubmodels/>"
    refused(sbml(parameters("x") + inside, root=comp), "comp", "flatten")
    # declared, not used
    assert read_sbml_model(sbml(parameters("x"), root=comp)).parameters("x")["x"].value == 1.0


def test_a_unit_that_is_not_defined_or_does_not_fit():
    refused(
        sbml(parameters("x").replace("constant", 'units="furlong" constant')),
        "parameter x",
        "furlong",
    )
    refused(
        sbml(parameters("x")).replace('timeUnits="second"', 'timeUnits="litre"'), "unit of time"
    )
    text = sbml(parameters("x").replace("constant", 'units="second" constant'))
    with pytest.raises(InputError, match="x"):
        read_sbml_model(text).set({"x": "3 mg"})


def test_a_missing_value_is_said_when_it_is_needed():
    text = sbml(
        parameters("x", "k").replace('id="k" value="1"', 'id="k"')
        + rules(rule("x", "<ci>k</ci>", "rateRule"))
    )
    with pytest.raises(InputError, match="k"):
        read_sbml_model(text).simulate([1.0], raise_on_failure=True)


def test_an_older_level_is_refused_with_the_way_out():
    refused(sbml(parameters("x"), level=1), "Level 1", "convert")


def test_a_reaction_of_a_species_with_a_rule_of_its_own():
    text = sbml(
        '<listOfCompartments><compartment id="c" size="1" constant="true"/></listOfCompartments>'
        '<listOfSpecies><species id="s" compartment="c" initialAmount="1" hasOnlySubstanceUnits="true"'
        ' boundaryCondition="false" constant="false"/></listOfSpecies>'
        + rules(rule("s", "<cn>1</cn>", "rateRule"))
        + '<listOfReactions><reaction id="r" reversible="false"><listOfReactants>'
        '<speciesReference species="s" stoichiometry="1" constant="true"/></listOfReactants>'
        f"<kineticLaw><math {MATH}><cn>1</cn></math></kineticLaw></reaction></listOfReactions>"
    )
    refused(text, "reaction r", "boundary condition")


def test_max_is_a_maximum():
    """max(A - B, 0) was read as its argument by the importer of closed laws."""
    text = sbml(
        parameters("x", "y")
        + rules(
            rule("x", "<apply><max/><cn>0</cn><apply><minus/><ci>y</ci><cn>3</cn></apply></apply>"),
            rule("y", "<apply><minus/><cn>1</cn></apply>", "rateRule"),
        )
    ).replace('id="y" value="1"', 'id="y" value="5"')
    got = read_sbml_model(text).simulate(np.array([0.0, 1.0, 4.0]) / 3600, outputs="x")
    np.testing.assert_allclose(got["value"].values[0, :, 0], [2.0, 1.0, 0.0], atol=1e-6)


def test_a_compilation_that_takes_minutes_says_so_first():
    names = [f"x{i}" for i in range(1500)]
    law = "<apply><times/><ci>{0}</ci><ci>{1}</ci><apply><exp/><ci>{0}</ci></apply></apply>"
    laws = [
        rule(a, law.format(a, b), "rateRule")
        for a, b in zip(names, names[1:] + names[:1], strict=True)
    ]
    model = read_sbml_model(sbml(parameters(*names) + rules(*laws)))
    with pytest.warns(UserWarning, match="compiling them takes about"):
        model.assembled({})
