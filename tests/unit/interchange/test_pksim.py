"""A snapshot written by hand in PK-Sim's form: what maps, what is listed, what is refused."""

from __future__ import annotations

import json

import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.interchange import import_pksim_snapshot


def p(name, value, unit=None):
    return {"Name": name, "Value": value} | ({"Unit": unit} if unit else {})


SNAPSHOT = {
    "Version": 80,
    "Compounds": [
        {
            "Name": "Drug",
            "IsSmallMolecule": True,
            "Lipophilicity": [
                {
                    "Name": "measured",
                    "IsDefault": False,
                    "Parameters": [p("Lipophilicity", 1.0, "Log Units")],
                },
                {
                    "Name": "fitted",
                    "IsDefault": True,
                    "Parameters": [p("Lipophilicity", 2.9, "Log Units")],
                },
            ],
            "FractionUnbound": [
                {
                    "Name": "a",
                    "Species": "Human",
                    "Parameters": [p("Fraction unbound (plasma, reference value)", 3.1, "%")],
                },
                {
                    "Name": "b",
                    "Species": "Rat",
                    "Parameters": [p("Fraction unbound (plasma, reference value)", 0.05)],
                },
            ],
            "Solubility": [
                {"Name": "s", "Parameters": [p("Solubility at reference pH", 0.13, "mg/ml")]}
            ],
            "PkaTypes": [{"Type": "Base", "Pka": 6.2}, {"Type": "Acid", "Pka": 10.95}],
            "Processes": [
                {
                    "InternalName": "GlomerularFiltration",
                    "Species": "Human",
                    "Parameters": [p("GFR fraction", 0.64)],
                },
                {
                    "InternalName": "MetabolizationLiverMicrosomes_MM",
                    "Molecule": "CYP3A4",
                    "Parameters": [
                        p("In vitro Vmax for liver microsomes", 850.0, "pmol/min/mg mic. protein"),
                        p("Km", 4.0, "µmol/l"),
                    ],
                },
                {
                    "InternalName": "MetabolizationLiverMicrosomes_FirstOrder",
                    "Molecule": "CYP2C9",
                    "Parameters": [
                        p("In vitro CL for liver microsomes", 0.39, "µl/min/mg mic. protein")
                    ],
                },
                {
                    "InternalName": "MetabolizationLiverMicrosomes_FirstOrder",
                    "Molecule": "CYP2C8",
                    "Parameters": [
                        p("In vitro CL for liver microsomes", 0.11, "µl/min/mg mic. protein")
                    ],
                },
                {
                    "InternalName": "LiverClearance",
                    "Species": "Human",
                    "Parameters": [p("Plasma clearance", 0.3, "l/h/kg")],
                },
                {
                    "InternalName": "SpecificBinding",
                    "Molecule": "GABRG2",
                    "Parameters": [p("koff", 1.0, "1/min")],
                },
            ],
            "CalculationMethods": [
                "Cellular partition coefficient method - Rodgers and Rowland",
                "Cellular permeability - PK-Sim Standard",
            ],
            "Parameters": [p("Molecular weight", 325.78, "g/mol"), p("Cl", 1.0)],
        }
    ],
    "Individuals": [
        {
            "Name": "man",
            "OriginData": {
                "Species": "Human",
                "Gender": "MALE",
                "Age": p("", 30.0, "year(s)"),
                "Weight": p("", 73.0, "kg"),
                "Height": p("", 17.6, "dm"),
            },
        },
        {"Name": "cat", "OriginData": {"Species": "Cat"}},
    ],
    "Simulations": [{"Name": "x"}],
}


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / "snapshot.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        return path

    return write


def test_a_compound_maps_as_far_as_it_can(file):
    found = import_pksim_snapshot(file(SNAPSHOT))
    drug = found.compounds["Drug"]
    assert (drug.molar_mass, drug.log_p, drug.pka_base, drug.pka_acid) == (
        325.78,
        2.9,
        (6.2,),
        (10.95,),
    )
    assert drug.fraction_unbound_plasma == pytest.approx(0.031)
    assert drug.for_species("rat").fraction_unbound_plasma == 0.05
    assert drug.partition_method == "rodgers_rowland" and drug.gfr_fraction == 0.64
    assert drug.clint_microsome == pytest.approx(0.5)
    # LiverClearance is of the liver alone: PK-Sim adds filtration to it. 0.3 L/h/kg in mL/min/kg
    assert drug.clearance_hepatic == pytest.approx(5.0) and drug.clearance_plasma is None
    (pathway,) = drug.saturable
    assert pathway.name == "CYP3A4" and pathway.km == pytest.approx(4.0 * 325.78 / 1000)
    # 850 pmol/min/mg x 40 mg/g x 1800 g / 73 kg
    assert pathway.vmax == pytest.approx(850e-9 * 60 * 325.78 * 40 * 1800 / 73)
    assert "PK-Sim snapshot" in drug.sources["log_p"]


def test_everything_else_is_listed_with_its_path(file):
    lost = import_pksim_snapshot(file(SNAPSHOT)).unmapped
    for part in (
        "Simulations",
        "Compounds[0].Lipophilicity[0]",
        "Compounds[0].Solubility",
        "Compounds[0].Processes[5]",
        "Compounds[0].CalculationMethods[1]",
        "halogen",
        "Individuals[1]: species 'Cat'",
    ):
        assert any(part in text for text in lost), part


def test_an_individual_is_the_reference_of_its_covariates(file):
    people = import_pksim_snapshot(file(SNAPSHOT)).individuals
    assert list(people) == ["man"]
    man = people["man"]
    assert float(man["height"][0]) == pytest.approx(176.0) and float(man["age"][0]) == 30.0
    assert man["sex"].values[0] == "male"
    ph.check_physiology(man)


def test_a_single_compound_or_individual_is_read_too(file):
    assert list(import_pksim_snapshot(file(SNAPSHOT["Compounds"][0])).compounds) == ["Drug"]
    assert list(import_pksim_snapshot(file(SNAPSHOT["Individuals"][0])).individuals) == ["man"]


BROKEN = {
    "no json": ("{", "JSON"),
    "list": ("[1]", "object"),
    "other": ({"a": 1}, "Compounds"),
    "deep": ("[" * 100_000, "levels"),
    "not a list": ({"Compounds": {"a": 1}}, "Compounds"),
    "value": (
        {"Compounds": [{"Name": "x", "Parameters": [p("Molecular weight", "heavy", "g/mol")]}]},
        r"Parameters\[0\]",
    ),
    "nan": (
        '{"Compounds": [{"Parameters": [{"Name": "Molecular weight", "Value": NaN}]}]}',
        r"Parameters\[0\]",
    ),
    "unit": (
        {"Compounds": [{"Name": "x", "Parameters": [p("Molecular weight", 300, "kg/h")]}]},
        "kg/h",
    ),
    "negative": (
        {"Compounds": [{"Name": "x", "Parameters": [p("Molecular weight", -300, "g/mol")]}]},
        "molar_mass",
    ),
    "origin": ({"Individuals": [{"Name": "x", "OriginData": 3}]}, "OriginData"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_refused_with_the_place(file, data, message):
    with pytest.raises(ph.FileFormatError, match=message):
        import_pksim_snapshot(file(data))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ph.InputError, match=r"nowhere\.json"):
        import_pksim_snapshot(tmp_path / "nowhere.json")
