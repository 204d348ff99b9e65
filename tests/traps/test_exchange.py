"""Meaning across programs: PK-Sim snapshots and SBML files read as their programs mean them, or refused by name.

Right values: PK-Sim's documentation (processes add up; a specific clearance or kcat in the file replaces the measured
value; files mark only alternatives that are not the default), mass balance, closed forms, and libRoadRunner.
"""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.interchange import export_sbml, import_pksim_snapshot, import_sbml
from pbpk_hybrid.models.examples import yardstick_system

PERSON = ph.reference_individual("human")
GFR = float(PERSON["gfr"][0]) * 1000 / 60 / float(PERSON["body_weight"][0])  # mL/min/kg
LONG = np.r_[np.linspace(0, 2, 41), np.arange(3.0, 400.0)]


# -- PK-Sim -----------------------------------------------------------------------------------------------------------
def p(name, value, unit=None):
    return {"Name": name, "Value": value} | ({"Unit": unit} if unit else {})


def process(kind, *parameters, **keys):
    return {"InternalName": kind, "DataSource": "Lab", "Parameters": list(parameters), **keys}


HEPATIC = process("LiverClearance", p("Plasma clearance", 2.0, "ml/min/kg"), Species="Human")
FILTRATION = process("GlomerularFiltration", p("GFR fraction", 1.0), Species="Human")
MICROSOMES = process(
    "MetabolizationLiverMicrosomes_FirstOrder",
    p("In vitro CL for liver microsomes", 5.0, "µl/min/mg mic. protein"),
    Molecule="CYP3A4",
)


def saturable(vmax, *more, molecule="CYP3A4", **keys):
    return process(
        "MetabolizationLiverMicrosomes_MM",
        p("In vitro Vmax for liver microsomes", vmax, "pmol/min/mg mic. protein"),
        p("Km", 4.0, "µmol/l"),
        *more,
        Molecule=molecule,
        **keys,
    )


def compound(*processes, **keys):
    unbound = "Fraction unbound (plasma, reference value)"
    return {
        "Name": "X",
        "Lipophilicity": [{"Name": "Fit", "Parameters": [p("Lipophilicity", 0.5, "Log Units")]}],
        "FractionUnbound": [
            {"Name": "lit", "Species": "Human", "Parameters": [p(unbound, 90.0, "%")]}
        ],
        "PkaTypes": [{"Type": "Base", "Pka": 6.0}],
        "Processes": list(processes),
        "Parameters": [p("Molecular weight", 325.0, "g/mol")],
    } | keys


@pytest.fixture
def snapshot(tmp_path):
    def read(*compounds, people=(), more=None, **options):
        data = {"Version": 79, "Compounds": list(compounds), "Individuals": list(people)}
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps(data | (more or {})), encoding="utf-8")
        return import_pksim_snapshot(path, **options)

    return read


def eliminated(drug, person=PERSON):
    """Shares of an intravenous dose that the liver and the kidney eliminate."""
    end = ph.simulate(drug, "100 mg iv", person, times=LONG)["amount"][0, -1]
    share = lambda name: float(end.sel(compartment=name)) / 100
    assert share("metabolised") + share("excreted_renal") == pytest.approx(1, abs=1e-4)
    return share("metabolised"), share("excreted_renal")


def test_filtration_adds_to_a_hepatic_plasma_clearance(snapshot):
    drug = snapshot(compound(HEPATIC, FILTRATION)).compounds["X"]
    assert (drug.clearance_hepatic, drug.clearance_plasma, drug.gfr_fraction) == (2.0, None, 1.0)
    total = 2.0 + 0.9 * GFR
    assert total == pytest.approx(3.54, abs=0.01)
    liver, kidney = eliminated(drug)
    assert kidney == pytest.approx(0.9 * GFR / total, rel=1e-4) == pytest.approx(0.44, abs=0.01)
    result = ph.simulate(drug, "100 mg iv", PERSON, times=np.r_[0, np.geomspace(1e-4, 400, 4000)])
    curve = result["concentration"].sel(compartment="plasma")[0]
    area = float(np.trapezoid(curve, result["time"]))
    clearance = 100 / area * 1000 / 60 / float(PERSON["body_weight"][0])
    assert clearance == pytest.approx(total, rel=2e-3)


@pytest.mark.parametrize("processes", [[HEPATIC], [MICROSOMES], [saturable(850.0)]])
def test_what_has_no_filtration_process_is_not_filtered(snapshot, processes):
    found = snapshot(compound(*processes))
    drug = found.compounds["X"]
    assert drug.gfr_fraction == 0.0 and "not filtered" in drug.sources["gfr_fraction"]
    assert eliminated(drug) == (pytest.approx(1.0, abs=1e-4), 0.0)


def test_microsomal_values_are_taken_as_they_are(snapshot):
    """PK-Sim's documentation: normalised to protein they "can be used without further modification"."""
    drug = snapshot(compound(MICROSOMES)).compounds["X"]
    assert (drug.clint_microsome, drug.fraction_unbound_microsome) == (5.0, 1.0)


def test_only_filtration_means_no_clearance_in_the_liver(snapshot):
    drug = snapshot(compound(FILTRATION)).compounds["X"]
    assert drug.clearance_hepatic == 0.0
    assert eliminated(drug) == (0.0, pytest.approx(1.0, abs=1e-4))


def test_a_hepatic_clearance_that_was_fitted_is_not_the_plasma_clearance_beside_it(snapshot):
    fitted = process(
        "LiverClearance",
        p("Plasma clearance", 0.0, "ml/min/kg"),
        p("Specific clearance", 0.12, "1/min"),
        Species="Human",
    )
    found = snapshot(compound(fitted, FILTRATION))
    drug = found.compounds["X"]
    assert drug.clearance_hepatic is None
    assert any("specific clearance" in t and "Processes[0]" in t for t in found.unmapped)
    assert any("not complete" in note for note in (*found.notes, *drug.notes))
    with pytest.raises(ph.InputError, match="clearance_hepatic"):
        ph.simulate(drug, "100 mg iv", PERSON)


def test_a_kidney_clearance_is_added_to_filtration(snapshot):
    kidney = process("KidneyClearance", p("Plasma clearance", 1.0, "ml/min/kg"), Species="Human")
    drug = snapshot(compound(HEPATIC, FILTRATION, kidney)).compounds["X"]
    assert drug.gfr_fraction == pytest.approx(1.0 + 1.0 / (0.9 * GFR))
    total = 3.0 + 0.9 * GFR
    assert eliminated(drug)[0] == pytest.approx(2.0 / total, rel=1e-4)


def test_kcat_replaces_the_measured_vmax(snapshot):
    """kcat x content of the enzyme: 10/min x 108 pmol/mg (PK-Sim's default) = 1080 pmol/min/mg."""
    per_protein = 325.0 * 1e-9 * 60 * 40 * 1800 / 73  # pmol/min/mg -> mg/h/kg
    vmax = lambda *a, **k: snapshot(compound(*a), **k).compounds["X"].saturable[0].vmax
    assert vmax(saturable(850.0)) == pytest.approx(850 * per_protein)
    kcat = p("kcat", 10.0, "1/min")
    assert vmax(saturable(850.0, kcat)) == pytest.approx(1080 * per_protein)
    assert vmax(saturable(0.0, kcat)) == pytest.approx(1080 * per_protein)  # as in fitted models
    content = p("Content of CYP proteins in liver microsomes", 58.0, "pmol/mg mic. protein")
    assert vmax(saturable(850.0, kcat, content)) == pytest.approx(580 * per_protein)
    # 2 umol/L is 2000 pmol/g of liver, 50 pmol/mg of protein at 40 mg/g
    place = {"Path": "CYP3A4|Reference concentration", "Value": 2.0, "Unit": "µmol/l"}
    profile = {"ExpressionProfiles": [{"Molecule": "CYP3A4", "Parameters": [place]}]}
    assert vmax(saturable(850.0, kcat), more=profile) == pytest.approx(500 * per_protein)


def test_pathways_add_up_and_none_is_dropped(snapshot):
    one, two = (saturable(v, DataSource=name) for v, name in ((100.0, "a"), (200.0, "b")))
    drug = snapshot(compound(one, two, MICROSOMES)).compounds["X"]
    assert [s.name for s in drug.saturable] == ["CYP3A4", "CYP3A4 (b)"]
    assert drug.saturable[1].vmax == pytest.approx(2 * drug.saturable[0].vmax)
    assert drug.resolved_clearance_basis == drug.clearance_basis == "in_vitro"
    beside = snapshot(compound(HEPATIC, MICROSOMES))
    assert any("beside a hepatic plasma clearance" in t for t in beside.unmapped)


def test_the_alternative_without_a_mark_is_the_default(snapshot):
    """PK-Sim writes IsDefault only where it is false."""
    many = [
        {"Name": "old", "IsDefault": False, "Parameters": [p("Lipophilicity", 1.0, "Log Units")]},
        {"Name": "new", "Parameters": [p("Lipophilicity", 3.0, "Log Units")]},
    ]
    drug = compound(HEPATIC, Lipophilicity=many)
    found = snapshot(drug)
    assert found.compounds["X"].log_p == 3.0
    assert any("Lipophilicity[0]" in t and "'old'" in t for t in found.unmapped)
    assert any("'new' of 'old', 'new'" in note for note in found.notes)
    assert snapshot(drug, alternatives={"Lipophilicity": "old"}).compounds["X"].log_p == 1.0
    with pytest.raises(ph.UnknownNameError, match="did you mean 'new'"):
        snapshot(drug, alternatives={"Lipophilicity": "nem"})
    with pytest.raises(ph.UnknownNameError, match="Lipophilicity"):
        snapshot(drug, alternatives={"Lipophilicty": "old"})


def test_a_simulation_says_which_processes_act(snapshot):
    """Two measurements of one clearance in the library: the one that the simulations use, or the one asked for."""
    other = HEPATIC | {"DataSource": "Other"}
    other["Parameters"] = [p("Plasma clearance", 5.0, "ml/min/kg")]
    drug = compound(HEPATIC, other, FILTRATION)
    names = lambda *many: [{"Name": n} for n in many]
    one = {"Name": "X", "Processes": names("Total Hepatic Clearance-Other")}
    two = {
        "Name": "X",
        "Processes": names("Total Hepatic Clearance-Lab", "Glomerular Filtration-Lab"),
    }
    more = {
        "Simulations": [
            {"Name": "a", "Compounds": [one]},
            {"Name": "b", "Compounds": [one]},
            {"Name": "c", "Compounds": [two]},
        ]
    }
    key = lambda d: (d.clearance_hepatic, d.gfr_fraction)
    found = snapshot(drug, more=more)
    assert key(found.compounds["X"]) == (5.0, 0.0)
    assert any("2 different sets" in note for note in found.notes)
    assert key(snapshot(drug, more=more, simulation="c").compounds["X"]) == (2.0, 1.0)
    assert key(snapshot(drug, processes=["Other"]).compounds["X"]) == (5.0, 0.0)
    assert any("given already" in t for t in snapshot(drug).unmapped)
    for wrong in ({"simulation": "d"}, {"processes": ["Nowhere"]}):
        with pytest.raises(ph.UnknownNameError):
            snapshot(drug, more=more, **wrong)


def test_whatever_is_not_read_is_listed(snapshot):
    metabolising = saturable(100.0, p("Hill", 2.0), Metabolite="Y", Surprise=1)
    secretion = process("TubularSecretion_FirstOrder", p("TSspec", 1.0, "1/min"), Species="Human")
    bile = process("BiliaryClearance", p("Plasma clearance", 1.0, "ml/min/kg"), Species="Human")
    odd = compound(
        metabolising,
        secretion,
        bile,
        Novelty={"a": 1},
        PlasmaProteinBindingPartner="Albumin",
        CalculationMethods=["Cellular partition coefficient method - Brand New"],
    )
    odd["PkaTypes"] = [{"Type": "Base", "Pka": 6.0, "Shift": 1}]
    found = snapshot(odd, more={"Protocols": [{}, {}]})
    text = "\n".join(found.unmapped)
    for part in (
        "Parameters[2]: Hill",
        "Processes[0].Metabolite: Y",
        "Processes[0].Surprise",
        "TubularSecretion_FirstOrder",
        "BiliaryClearance",
        "Novelty",
        "Albumin",
        "Brand New: a partition method that is not known",
        "PkaTypes[0].Shift",
        "Protocols (2)",
    ):
        assert part in text, part


def test_numbers_without_a_unit_and_keys_given_twice_are_refused(snapshot, tmp_path):
    bare = process("LiverClearance", p("Plasma clearance", 2.0), Species="Human")
    with pytest.raises(ph.FileFormatError, match=r"Parameters\[0\].Unit.*mL/min/kg"):
        snapshot(compound(bare))
    path = tmp_path / "twice.json"
    path.write_text('{"Compounds": [], "Compounds": []}', encoding="utf-8")
    with pytest.raises(ph.FileFormatError, match="given twice"):
        import_pksim_snapshot(path)
    assert any("a second compound" in t for t in snapshot(compound(), compound()).unmapped)


def individual(species="Human", **origin):
    units = {"Age": "year(s)", "Weight": "kg", "Height": "cm", "GestationalAge": "week(s)"}
    values = {
        k: p("", *(v if isinstance(v, tuple) else (v, units[k]))) if k in units else v
        for k, v in origin.items()
    }
    return {"Name": "i", "OriginData": {"Species": species, "Gender": "FEMALE"} | values}


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ((18.0, "month(s)"), 1.5),
        ((5.0, "year(s)"), 5.0),
        ((26.0, "week(s)"), 26 * 7 / 365.25),
        ((10.0, "day(s)"), 10 / 365.25),
    ],
)
def test_infants_and_children_are_reference_children(snapshot, age, years):
    found = snapshot(compound(HEPATIC), people=[individual(Age=age)])
    child, expected = found.individuals["i"], ph.reference_child(years, "female")
    for name in ("age", "body_weight", "gfr", "cardiac_output"):
        assert float(child[name][0]) == pytest.approx(float(expected[name][0]), rel=1e-9)
    assert list(found.compounds) == ["X"]


def test_a_child_keeps_its_weight_and_its_height_is_listed(snapshot):
    found = snapshot(people=[individual(Age=(18.0, "month(s)"), Weight=11.0, Height=82.0)])
    assert float(found.individuals["i"]["body_weight"][0]) == 11.0
    assert any("Height: 82 cm" in t for t in found.unmapped)


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ({"Age": (2.0, "week(s)"), "GestationalAge": 30.0}, "born early"),
        ({"Age": (2.0, "week(s)"), "Population": "Preterm"}, "anatomy"),
        ({"Age": 30.0, "Population": "Pregnant"}, "anatomy"),
        ({"Age": (3.0, "moon(s)")}, "moon"),
        ({"species": "Cat"}, "Cat"),
    ],
)
def test_people_without_a_reference_are_listed_and_the_compound_is_read(snapshot, origin, why):
    found = snapshot(compound(HEPATIC), people=[individual(**origin)])
    assert not found.individuals and list(found.compounds) == ["X"]
    assert any("Individuals[0]" in t and why in t for t in found.unmapped)


def test_an_age_that_is_a_bare_number_is_not_overlooked(snapshot):
    person = individual()
    person["OriginData"]["Age"] = 5
    found = snapshot(people=[person])
    assert not found.individuals and any("Age" in t for t in found.unmapped)


# -- the compound's own field -----------------------------------------------------------------------------------------
DRUG = dict(name="d", log_p=2.0, fraction_unbound_plasma=0.5, pka_base=6.0, molar_mass=325.0)


def test_hepatic_and_total_clearance_are_told_apart():
    hepatic = ph.Compound.create(**DRUG, clearance_hepatic="0.12 L/h/kg", gfr_fraction=0.5)
    assert hepatic.clearance_hepatic == pytest.approx(2.0)
    assert ph.Compound.from_dict(hepatic.to_dict()) == hepatic
    assert hepatic.resolved_clearance_basis == "in_vivo"
    liver, kidney = eliminated(hepatic)
    assert liver == pytest.approx(2 / (2 + 0.25 * GFR), rel=1e-4)
    with pytest.raises(ph.InputError, match="one of the two"):
        ph.Compound.create(**DRUG, clearance_hepatic=2, clearance_plasma=3)
    with pytest.raises(ph.InputError, match="gfr_fraction"):
        ph.Compound.create(**DRUG, clearance_hepatic=2, fraction_excreted_renal=0.3)
    with pytest.raises(ph.InputError, match="species_values.rat"):
        both = {"clearance_hepatic": 2, "clearance_plasma": 3}
        ph.Compound.create(**DRUG, species_values={"rat": both})


def test_another_species_does_not_borrow_the_hepatic_clearance():
    human = ph.Compound.create(**DRUG, clearance_hepatic=2, clint_hepatocyte=5)
    assert human.for_species("rat").clearance_hepatic is None
    own = ph.Compound.create(
        **DRUG, clearance_plasma=3, species_values={"rat": {"clearance_hepatic": 20}}
    ).for_species("rat")
    assert (own.clearance_hepatic, own.clearance_plasma) == (20.0, None)


def test_saturable_pathways_come_beside_a_hepatic_clearance():
    alone = ph.Compound.create(**DRUG, clearance_hepatic=2, gfr_fraction=0)
    pathway = {"name": "CYP3A4", "vmax": 5.0, "km": 1e4}  # 5e-4 L/h/kg of unbound drug, linear
    both = alone.replace(saturable=[pathway])
    first = lambda d: ph.whole_body_system(d, PERSON).parameters["clint.liver"][0]
    assert first(both) == first(alone) > 0


# -- SBML -------------------------------------------------------------------------------------------------------------
sbml_needed = pytest.importorskip("libsbml", exc_type=ImportError)
HEAD = '<?xml version="1.0" encoding="UTF-8"?><sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2">'
MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML">{}</math>'
UNITS = (
    '<listOfUnitDefinitions><unitDefinition id="hr"><listOfUnits><unit kind="second" exponent="1" scale="0" '
    'multiplier="3600"/></listOfUnits></unitDefinition><unitDefinition id="mmole"><listOfUnits><unit kind="mole" '
    'exponent="1" scale="-3" multiplier="1"/></listOfUnits></unitDefinition><unitDefinition id="ug"><listOfUnits>'
    '<unit kind="gram" exponent="1" scale="-6" multiplier="1"/></listOfUnits></unitDefinition><unitDefinition id="m3">'
    '<listOfUnits><unit kind="metre" exponent="3" scale="0" multiplier="1"/></listOfUnits></unitDefinition>'
    "</listOfUnitDefinitions>"
)


def mathml(formula):
    tree = sbml_needed.parseL3Formula(formula)
    assert tree is not None, formula
    text = sbml_needed.writeMathMLToString(tree)
    return text[text.index("<math") :].strip()


def model(species, reactions, *, units="mmole", volume="litre", size=5.0, parameters="", **more):
    """species -> initial amount or None; reactions: (reactants, products, law)."""
    wrap = lambda tag, text: f"<listOf{tag}>{text}</listOf{tag}>" if text else ""
    every = "".join(
        f'<species id="{s}" compartment="c" initialAmount="{a}" hasOnlySubstanceUnits="{more.get("only", "true")}" '
        'boundaryCondition="false" constant="false"/>'
        for s, a in species.items()
    )
    side = lambda tag, ids: wrap(
        tag,
        "".join(
            f'<speciesReference species="{s}" stoichiometry="1" constant="true"/>' for s in ids
        ),
    )
    laws = "".join(
        f'<reaction id="r{i}" reversible="false">{side("Reactants", a)}{side("Products", b)}'
        f"<kineticLaw>{mathml(law)}</kineticLaw></reaction>"
        for i, (a, b, law) in enumerate(reactions)
    )
    given = f'substanceUnits="{units}"' if units else ""
    rules = "".join(
        f'<assignmentRule variable="{v}">{mathml(f)}</assignmentRule>'
        for v, f in more.get("rules", {}).items()
    )
    values = "".join(
        f'<parameter id="{k}" value="{v}" constant="true"/>'
        if v is not None
        else f'<parameter id="{k}" constant="false"/>'
        for k, v in dict(parameters or {}).items()
    )
    return (
        f'{HEAD}<model id="m" timeUnits="hr" {given}>{UNITS}<listOfCompartments><compartment id="c" '
        f'spatialDimensions="3" size="{size}" units="{volume}" constant="true"/></listOfCompartments>'
        + wrap("Species", every)
        + wrap("Parameters", values)
        + wrap("Rules", rules)
        + wrap("Reactions", laws)
        + "</model></sbml>"
    )


@pytest.mark.parametrize(
    "law", ["max(0.3 * (A - B), 0)", "max(0, A - 3)", "min(A, B)", "max(A, B)", "max(A, 1)"]
)
def test_max_and_min_are_refused_by_name(law):
    with pytest.raises(ph.FileFormatError, match="the function m(ax|in)"):
        import_sbml(model({"A": 1, "B": 4}, [(["A"], ["B"], law)]))
    rule = dict(parameters={"ex": None}, rules={"ex": law})
    text = model({"A": 1, "B": 4}, [(["A"], ["B"], "0.2 * A")], **rule)
    with pytest.raises(ph.FileFormatError, match="rule of ex: the function m(ax|in)"):
        import_sbml(text)
    left = import_sbml(text, drop_outputs=True)
    assert "ex" not in left.system.observables and any("rule of ex" in n for n in left.notes)


def test_max_of_an_amount_that_stays_positive_is_that_amount():
    law = "2 * max(A, 0)^1.5 / (3^1.5 + max(A, 0)^1.5)"
    (r,) = import_sbml(model({"A": 1}, [(["A"], [], law)])).system.reactions
    assert (r.law, r.parameters.tolist()) == ("hill", [[2.0, 3.0, 1.5]])
    # B feeds on -A, so that B falls below 0 and max(B, 0) is not B
    with pytest.raises(ph.FileFormatError, match="max of B, which may become negative"):
        import_sbml(model({"A": 1, "B": 0}, [(["B"], [], "0.1 * A"), (["A"], [], "max(B, 0)")]))


def test_amounts_carry_the_unit_of_the_file():
    text = model({"x": 0}, [(["x"], [], "0.6 * x")])
    found = import_sbml(text)
    assert found.unit == "mmol" and any("mmol" in note for note in found.notes)
    result = ph.simulate_system(found.system, found.dose(10, into="x"), [0.0, 1.0])
    assert result["amount"].values[0, :, 0] == pytest.approx([10, 10 * np.exp(-0.6)], rel=1e-6)
    units = [result[v].attrs["units"] for v in ("amount", "dose", "concentration")]
    assert units == ["mmol", "mmol", "mmol/L"]
    assert float(result["concentration"][0, 0, 0]) == 2.0
    for dose in ("10 mg into x", ph.Regimen.dose(10, compartment="x")):
        with pytest.raises(ph.InputError, match=r"doses in mg.*mmol.*molar_mass"):
            ph.simulate_system(found.system, dose, [0.0, 1.0])
    with pytest.raises(ph.InputError, match="doses in mmol"):
        found.dose(10, into="x") + ph.Regimen.dose(10, compartment="x")
    with pytest.raises(ph.PBPKError):
        ph.nca(result, route="iv_bolus")  # an analysis in mg/L does not take mmol/L


def test_moles_become_mg_with_a_molar_mass():
    laws = [(["x"], ["y"], "3 * x / (0.5 + x)"), (["y", "x"], [], "0.2 * x * y")]
    text = model({"x": 1.0, "y": 0.2}, laws)
    times = [0.5, 1.0, 2.0]
    own = import_sbml(text)
    amounts = ph.simulate_system(own.system, own.regimen, times)["amount"][0]
    for mass in (250.0, {"x": 250.0, "y": 266.0}):
        found = import_sbml(text, molar_mass=mass)
        assert found.unit == "mg"
        result = ph.simulate_system(found.system, found.regimen, times)
        assert result["amount"].attrs["units"] == "mg"
        factor = [250.0, 250.0 if mass == 250.0 else 266.0]  # mg per mmol
        np.testing.assert_allclose(result["amount"][0], amounts * factor, rtol=1e-5)
    ph.simulate_system(found.system, "100 mg into x", times)
    with pytest.raises(ph.InputError, match="molar_mass"):
        import_sbml(text, molar_mass={"z": 250.0})
    with pytest.raises(ph.FileFormatError, match="y: no molar mass"):
        import_sbml(text, molar_mass={"x": 250.0})


def test_other_units_of_amount_and_volume():
    grams = import_sbml(model({"x": 500.0}, [(["x"], [], "0.6 * x")], units="ug", volume="m3"))
    assert grams.unit == "mg" and grams.initial == {"x": 0.5}
    assert grams.system.observables["x"].factor[0] == pytest.approx(1 / 5000)  # 5 m3
    none = import_sbml(model({"x": 1.0}, [(["x"], [], "0.6 * x")], units=""))
    assert none.unit == "unknown" and any("no unit of amount" in n for n in none.notes)
    with pytest.raises(ph.InputError, match="substance_unit"):
        ph.simulate_system(none.system, "1 mg into x", [1.0])
    text = model({"x": 1.0}, [(["x"], [], "0.6 * x")], units="")
    assert import_sbml(text, substance_unit="mg").unit == "mg"
    with pytest.raises(ph.FileFormatError, match="hr, which is no unit of amount"):
        import_sbml(model({"x": 1.0}, [(["x"], [], "0.6 * x")], units="hr"))


def test_a_model_in_moles_is_exported_in_moles():
    found = import_sbml(model({"x": 2.0}, [(["x"], [], "0.6 * x")]))
    again = import_sbml(export_sbml(found.system, regimen=found.regimen))
    assert (again.unit, again.initial) == ("mmol", {"x": 2.0})
    with pytest.raises(ph.InputError, match="doses in mg"):
        export_sbml(found.system, regimen="2 mg into x")


def roadrunner(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rr = pytest.importorskip("roadrunner", exc_type=ImportError)
    rr.Logger.setLevel(rr.Logger.LOG_CRITICAL)
    run = rr.RoadRunner(text)
    run.integrator.relative_tolerance, run.integrator.absolute_tolerance = 1e-10, 1e-14
    return run


LAWS = {
    "reversible Michaelis-Menten": ("4 * (A/2 - B/3) / (1 + A/2 + B/3)", "true"),
    "in concentrations": ("c * 4 * (A - B) / (1.5 + A + B)", "false"),
    "competitive": ("4 * A / (2 * (1 + B/3) + A)", "true"),
    "second order": ("0.3 * A * B - 0.1 * B^2", "true"),
    "Hill times an amount": ("2 * B * A^2 / (1.5^2 + A^2)", "false"),
}


@pytest.mark.parametrize(("law", "only"), LAWS.values(), ids=LAWS)
def test_laws_give_what_libroadrunner_gives(law, only):
    text = model({"A": 6.0, "B": 1.0}, [(["A"], ["B"], law), (["B"], [], "0.5 * B")], only=only)
    found, times = import_sbml(text), np.linspace(0.0, 4.0, 9)
    run = roadrunner(text)
    run.timeCourseSelections = list(found.system.states)
    theirs = np.array(run.simulate(times=list(times)))
    ours = ph.simulate_system(
        found.system, found.regimen, times, options=ph.SolverOptions(rtol=1e-10)
    )
    np.testing.assert_allclose(ours["amount"][0], theirs, rtol=1e-6, atol=1e-9)


def test_what_happens_at_one_time_happens_in_order():
    """A reset, two doses and the end and start of infusions at 6 h, in libRoadRunner as here."""
    system, times = yardstick_system(1), np.linspace(0.0, 24.0, 13)
    make = ph.Regimen
    regimen = (
        make.infusion(100, 6)
        + make.infusion(50, 6, time=6)
        + make.reset(6.0)
        + make.oral(20, time=6)
        + make.oral(5, time=6)
    )
    for doses in (regimen, make.reset(0.0) + make.oral(50) + make.infusion(10, 2)):
        run = roadrunner(export_sbml(system, regimen=doses, horizon=24.0))
        run.timeCourseSelections = list(run.model.getFloatingSpeciesIds())
        theirs = np.array(run.simulate(times=list(times)))
        ours = ph.simulate_system(system, doses, times, options=ph.SolverOptions(rtol=1e-9))
        ours = ours["amount"].sel(compartment=list(system.states))[0]
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-6 * float(ours.max()))


def test_every_subject_exports_its_own_dose():
    system = yardstick_system(3, seed=1)
    weights, per_kg = np.array([40.0, 70.0, 120.0]), ph.Regimen.oral("2 mg/kg")
    start = lambda s, **k: import_sbml(export_sbml(system, subject=s, **k)).initial["gut_lumen"]
    assert [start(s, regimen=per_kg, body_weight=weights) for s in range(3)] == [80, 140, 240]
    assert [start(s, regimen=per_kg, body_weight=60.0) for s in range(3)] == [120, 120, 120]
    for wrong in (None, weights[:2]):
        with pytest.raises(ph.InputError, match="body_weight"):
            export_sbml(system, subject=2, regimen=per_kg, body_weight=wrong)
    own = ph.Regimen.per_subject([ph.Regimen.oral(a) for a in (10, 20, 30)])
    assert [start(s, regimen=own) for s in range(3)] == [10, 20, 30]
    system = dataclasses.replace(system, subjects=np.array(["a", "b", "c"]))
    assert [start(s, regimen=own) for s in range(3)] == [10, 20, 30]
    with pytest.raises(ph.UnknownNameError, match="subject"):
        export_sbml(system, regimen=ph.Regimen.per_subject([ph.Regimen.oral(1)], [7]))


def chain(n):
    """f_i(x) = f_{i-1}(x) + f_{i-1}(x): 2^n terms if written out."""
    lambdas = ["<bvar><ci>x</ci></bvar><ci>x</ci>"] + [
        "<bvar><ci>x</ci></bvar><apply><plus/>"
        + f"<apply><ci>f{i - 1}</ci><ci>x</ci></apply>" * 2
        + "</apply>"
        for i in range(1, n)
    ]
    return "".join(
        f'<functionDefinition id="f{i}">{MATH.format(f"<lambda>{body}</lambda>")}</functionDefinition>'
        for i, body in enumerate(lambdas)
    )


def with_law(mathml_text, functions=""):
    text = model({"A": 1.0}, [(["A"], [], "0.5 * A")])
    i, j = text.index("<kineticLaw>") + 12, text.index("</kineticLaw>")
    text = text[:i] + MATH.format(mathml_text) + text[j:]
    listed = f"<listOfFunctionDefinitions>{functions}</listOfFunctionDefinitions>"
    return (
        text.replace("<listOfUnitDefinitions>", listed + "<listOfUnitDefinitions>", 1)
        if functions
        else text
    )


HOSTILE = {
    "nested": (
        with_law("<apply><plus/><ci>A</ci>" * 50_000 + "<ci>A</ci>" + "</apply>" * 50_000),
        "levels",
    ),
    "wide": (with_law("<apply><plus/>" + "<ci>A</ci>" * 200_000 + "</apply>"), "terms"),
    "functions": (with_law("<apply><ci>f39</ci><ci>A</ci></apply>", chain(40)), "written out"),
    "annotation": (
        with_law("<ci>A</ci>").replace(
            "<listOfUnit",
            "<annotation>" + "<a>" * 9_000 + "</a>" * 9_000 + "</annotation><listOfUnit",
            1,
        ),
        "levels",
    ),
    "no argument": (with_law("<apply><minus/></apply>"), "arguments"),
}


@pytest.mark.parametrize(("text", "named"), HOSTILE.values(), ids=HOSTILE)
def test_files_that_would_end_the_process_or_fill_memory_are_refused(text, named):
    with pytest.raises(ph.FileFormatError, match=named):
        import_sbml(text)


def test_what_is_large_but_sound_is_read():
    ten = import_sbml(with_law("<apply><ci>f9</ci><ci>A</ci></apply>", chain(10))).system
    assert ten.matrix()[0, 0] == -512.0
    wide = "<apply><plus/>" + "<ci>A</ci>" * 1_000 + "</apply>"
    assert import_sbml(with_law(wide)).system.matrix()[0, 0] == -1000.0
    rules = {f"p{i}": f"1.001 * p{i + 1}" for i in range(999)} | {"p999": "A"}
    long = model({"A": 1.0}, [(["A"], [], "p0")], parameters=dict.fromkeys(rules), rules=rules)
    assert import_sbml(long).system.matrix()[0, 0] == pytest.approx(-(1.001**999))


def test_what_the_file_leaves_open_is_said():
    text = model({"A": 1.0, "B": 1.0}, [(["A"], ["B"], "0.5 * A")])
    without = text.replace(
        '<species id="B" compartment="c" initialAmount="1.0"', '<species id="B" compartment="c"'
    )
    assert any("B: the file states no initial amount" in n for n in import_sbml(without).notes)
    sizeless = model({"A": 1.0}, [(["A"], [], "0.5 * A * c")]).replace('size="5.0" ', "")
    with pytest.raises(ph.FileFormatError, match="size of compartment c, which has no value"):
        import_sbml(sizeless)
    fixed = text.replace(
        '<species id="B" compartment="c" initialAmount="1.0" hasOnlySubstanceUnits="true" boundaryCondition="false" constant="false"',
        '<species id="B" compartment="c" initialAmount="1.0" hasOnlySubstanceUnits="true" boundaryCondition="true" constant="true"',
    )
    assert import_sbml(fixed).constants == {"B": 1.0}
