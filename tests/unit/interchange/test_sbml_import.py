"""SBML in: the same System back, foreign files by hand, and every construct that has no place is named."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.interchange import export_sbml, import_sbml
from pbpk_hybrid.models import with_effect_compartment, with_indirect_response
from pbpk_hybrid.models.system.examples import random_system, yardstick_system

pytest.importorskip("libsbml", exc_type=ImportError)

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">'
    '<model id="m" timeUnits="{time}" substanceUnits="mole">'
    '<listOfUnitDefinitions><unitDefinition id="hour"><listOfUnits>'
    '<unit kind="second" exponent="1" scale="0" multiplier="3600"/>'
    "</listOfUnits></unitDefinition></listOfUnitDefinitions>"
    '<listOfCompartments><compartment id="c" size="2" constant="true" spatialDimensions="3"/></listOfCompartments>'
)
MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML">{}</math>'


def species(name, amount=0.0, concentration=True, boundary=False):
    only, edge = str(not concentration).lower(), str(boundary).lower()
    return (
        f'<species id="{name}" compartment="c" initialAmount="{amount}" hasOnlySubstanceUnits="{only}"'
        f' boundaryCondition="{edge}" constant="false"/>'
    )


def parameter(name, value, constant="true"):
    return f'<parameter id="{name}" value="{value}" constant="{constant}"/>'


def reaction(name, law, reactants=(), products=()):
    def side(tag, ids):
        parts = "".join(
            f'<speciesReference species="{s}" stoichiometry="1" constant="true"/>' for s in ids
        )
        return f"<listOf{tag}>{parts}</listOf{tag}>" if ids else ""

    sides = side("Reactants", reactants) + side("Products", products)
    law = f"<kineticLaw>{MATH.format(law)}</kineticLaw>"
    return f'<reaction id="{name}" reversible="false" fast="false">{sides}{law}</reaction>'


def apply(op, *args):
    leaf = lambda a: f"<ci>{a}</ci>" if a[0].isalpha() else f"<cn>{a}</cn>"
    return f"<apply><{op}/>{''.join(a if a.startswith('<') else leaf(a) for a in map(str, args))}</apply>"


def document(inside_species="", parameters="", rules="", reactions="", other="", time="hour"):
    wrap = lambda tag, text: f"<{tag}>{text}</{tag}>" if text else ""
    lists = {
        "Species": inside_species,
        "Parameters": parameters,
        "Rules": rules,
        "Reactions": reactions,
    }
    return (
        HEAD.format(time=time)
        + "".join(wrap(f"listOf{k}", v) for k, v in lists.items())
        + other
        + "</model></sbml>"
    )


@pytest.mark.parametrize(
    "system",
    [
        yardstick_system(1),
        random_system(8, 3, n_subjects=1, n_reactions=4),
        random_system(5, 11, n_subjects=1, closed=False),
        ph.httk_pbtk("warfarin"),
        with_indirect_response(
            with_effect_compartment(yardstick_system(1), 0.5, compartment="brain"),
            "inhibit_loss",
            kin=10,
            kout=0.2,
            maximum=0.8,
            half=1.0,
            power=1.7,
            compartment="effect",
        ),
    ],
)
def test_a_system_comes_back_as_it_went(system):
    back = import_sbml(export_sbml(system)).system
    assert back.n_states == system.n_states
    np.testing.assert_allclose(back.matrix(), system.matrix(), rtol=1e-12, atol=1e-14)
    assert [r.law for r in back.reactions] == [r.law for r in system.reactions]
    for new, old in zip(back.reactions, system.reactions, strict=True):
        both = [
            list(r.reactants) if r.law != "mass_action" else sorted(r.reactants) for r in (new, old)
        ]  # a b is b a
        assert both[0] == both[1] and new.stoichiometry == dict(old.stoichiometry)
        np.testing.assert_allclose(new.parameters, old.parameters, rtol=1e-12)
    y = np.linspace(0.1, 2.0, system.n_states)
    np.testing.assert_allclose(back.rhs(y), system.rhs(y), rtol=1e-10, atol=1e-12)


def test_doses_at_time_zero_come_back_as_initial_amounts():
    model = import_sbml(export_sbml(yardstick_system(1), regimen="100 mg oral"))
    assert model.initial == {"gut_lumen": 100.0}
    times = [1.0, 8.0]
    ours = ph.simulate_system(
        yardstick_system(1), "100 mg oral", times, compartments=["liver"], backend="embedded"
    )
    theirs = ph.simulate_system(
        model.system, model.regimen, times, compartments=["liver"], backend="embedded"
    )
    np.testing.assert_allclose(theirs["amount"], ours["amount"], rtol=1e-9)


def test_concentrations_local_units_functions_and_reversible_laws():
    # v = k (A - B/keq) in concentrations per second, times a function of a constant
    law = apply("times", "c", apply("times", "k", apply("minus", "A", apply("divide", "B", "keq"))))
    text = document(
        species("A", 6.0) + species("B"),
        parameter("k", 0.001) + parameter("keq", 4.0),
        time="second",
        reactions=reaction("r", law, ["A"], ["B"]),
    )
    model = import_sbml(text)
    # amounts: dA/dt = -c k (A/c - B/(c keq)), 3600 s in an hour
    np.testing.assert_allclose(
        model.system.matrix(), 3.6 * np.array([[-1, 0.25], [1, -0.25]]), rtol=1e-12
    )
    assert model.initial == {"A": 6.0}
    assert model.system.observables["A"].factor[0] == 0.5
    assert import_sbml(text, time_unit="hour").system.matrix()[0, 0] == pytest.approx(-0.001)


def test_saturable_laws_in_concentrations_are_recognised():
    inhibition = apply("plus", "1", apply("divide", "I", "Ki"))
    law = apply(
        "divide", apply("times", "V", "A"), apply("plus", apply("times", "K", inhibition), "A")
    )
    text = document(
        species("A") + species("I") + species("P"),
        parameter("V", 3) + parameter("K", 5) + parameter("Ki", 7),
        reactions=reaction("r", law, ["A"], ["P"]),
    )
    (r,) = import_sbml(text).system.reactions
    assert (r.law, r.reactants, dict(r.stoichiometry)) == (
        "michaelis_menten",
        (0, 1),
        {0: -1.0, 2: 1.0},
    )
    np.testing.assert_allclose(r.parameters, [[3.0, 10.0, 14.0]])  # constants as amounts: times 2 L


def test_hill_laws_rules_and_rate_rules_are_recognised():
    power = apply("power", "A", "g")
    law = apply(
        "divide", apply("times", "V", "E", power), apply("plus", apply("power", "K", "g"), power)
    )
    parameters = parameter("V", 3) + parameter("K", 5) + parameter("g", 2.5)
    parameters += parameter("X", 0, "false") + parameter("T", 0, "false")
    rules = (
        f'<assignmentRule variable="T">{MATH.format(apply("plus", "A", "E", "1.5"))}</assignmentRule>'
        f'<rateRule variable="X">{MATH.format(apply("times", "0.3", "T"))}</rateRule>'
    )
    text = document(
        species("A", concentration=False) + species("E", concentration=False),
        parameters,
        rules,
        reaction("r", law, ["A"]),
    )
    with pytest.raises(ph.FileFormatError, match="constant rate"):  # 0.3 * 1.5 in the rate rule
        import_sbml(text)
    model = import_sbml(text.replace("<cn>1.5</cn>", "<cn>0</cn>")).system
    (r,) = model.reactions
    assert r.law == "hill_product"
    names = model.states
    assert r.reactants == (names.index("A"), names.index("E"))
    np.testing.assert_allclose(r.parameters, [[3.0, 5.0, 2.5]])
    row = model.matrix()[names.index("X")]
    np.testing.assert_allclose(row[[names.index("A"), names.index("E")]], 0.3)
    assert model.observables["T"].weights == (1.0, 1.0)


TWO = species("A", 1.0) + species("B")
LAW = apply("times", "k", "A")
CLOCK = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>'
EVENT = (
    '<listOfEvents><event id="e1" useValuesFromTriggerTime="true"><trigger initialValue="true" persistent="true">'
    f"{MATH.format(apply('gt', 'A', '1'))}</trigger></event></listOfEvents>"
)


def one_law(name, law, reactants=("A",), products=()):
    return document(TWO, parameter("k", 1), reactions=reaction(name, law, reactants, products))


def one_rule(variable, formula):
    return f'<assignmentRule variable="{variable}">{MATH.format(formula)}</assignmentRule>'


P, Q = parameter("p", 0, "false"), parameter("q", 0, "false")
UNSUPPORTED = {
    "event": (
        document(TWO, parameter("k", 1), reactions=reaction("r", LAW, ["A"]), other=EVENT),
        "event e1",
    ),
    "sine": (one_law("wave", apply("times", "k", apply("sin", "A"))), "wave"),
    "time": (one_law("clock", apply("times", "k", CLOCK)), "time"),
    "zero order": (one_law("feed", apply("times", "k", "2"), (), ["A"]), "feed"),
    "cubic": (one_law("cube", apply("times", "k", "A", "A", "B")), "cube"),
    "algebraic": (
        document(
            TWO, rules=f"<algebraicRule>{MATH.format(apply('minus', 'A', 'B'))}</algebraicRule>"
        ),
        "algebraic",
    ),
    "nonlinear rule": (document(TWO, P, one_rule("p", apply("times", "A", "A"))), "rule of p"),
    "loop": (
        document(
            TWO,
            P + Q,
            one_rule("p", apply("times", "q", "A")) + one_rule("q", apply("times", "p", "A")),
        ),
        "error|loop|itself|cycle",
    ),
}


@pytest.mark.parametrize(("text", "named"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_a_system_does_not_have_is_named_and_refused(text, named):
    with pytest.raises(ph.FileFormatError, match=named) as caught:
        import_sbml(text)
    if hasattr(caught.value, "unsupported"):  # else libsbml itself found the file invalid
        assert len(caught.value.unsupported) >= 1


def test_all_that_does_not_fit_is_listed_at_once():
    text = document(
        TWO,
        parameter("k", 1),
        reactions=reaction("wave", apply("sin", "A"), ["A"])
        + reaction("cube", apply("times", "A", "A", "B"), ["A"]),
    )
    with pytest.raises(ph.FileFormatError) as caught:
        import_sbml(text)
    assert len(caught.value.unsupported) == 2
    assert "wave" in str(caught.value) and "cube" in str(caught.value)


def test_values_that_are_no_numbers_are_named():
    text = document(
        TWO, parameter("k", "NaN") + parameter("j", 1), reactions=reaction("r", LAW, ["A"])
    )
    with pytest.raises(ph.FileFormatError, match="parameter k, whose value is nan"):
        import_sbml(text)


def test_outputs_that_are_not_linear_can_be_left_out_knowingly():
    text = document(
        TWO,
        P + parameter("k", 1),
        one_rule("p", apply("times", "A", "A")),
        reaction("r", LAW, ["A"]),
    )
    model = import_sbml(text, drop_outputs=True)
    assert "p" not in model.system.observables and any("rule of p" in note for note in model.notes)


def test_the_id_of_a_reaction_is_its_rate_and_a_ruled_size_that_is_a_number_is_constant():
    both = reaction("r", LAW, ["A"]) + reaction("twice", apply("times", "2", "r"), (), ["B"])
    text = document(
        TWO, parameter("k", 3) + parameter("w", 4), one_rule("c", apply("times", "w", "0.5")), both
    )
    model = import_sbml(
        text.replace('spatialDimensions="3"', 'spatialDimensions="3"').replace(
            'size="2" constant="true"', 'constant="false"'
        )
    )
    np.testing.assert_allclose(model.system.matrix(), [[-1.5, 0], [3, 0]])
    assert model.system.observables["A"].factor[0] == 0.5


BAD_FILES = {
    "no xml": "hello",
    "other xml": "<html/>",
    "cut off": document(TWO)[:400],
    "entities": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><sbml/>',
}


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES)
def test_files_that_are_no_sbml_are_refused(tmp_path, text):
    path = tmp_path / "model.xml"
    path.write_text(text)
    with pytest.raises(ph.FileFormatError):
        import_sbml(path)


def test_sizes_are_limited_and_missing_files_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PBPK_HYBRID_LIMIT_SBML_BYTES", "100")
    path = tmp_path / "model.xml"
    path.write_text(document(TWO))
    with pytest.raises(ph.FileFormatError, match="at most 100"):
        import_sbml(path)
    with pytest.raises(ph.InputError, match=r"nowhere\.xml"):
        import_sbml(tmp_path / "nowhere.xml")
    with pytest.raises(ph.InputError, match="time_unit"):
        monkeypatch.undo()
        import_sbml(document(TWO), time_unit="fortnight")
