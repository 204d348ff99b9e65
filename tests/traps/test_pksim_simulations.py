"""Damaged and hostile simulation files of PK-Sim and MoBi: a typed error that names the object, never a wrong number."""

from __future__ import annotations

import gzip

import pytest

from pbpk_hybrid._core.errors import FileFormatError, InputError, NoEffectWarning
from pbpk_hybrid.interchange import example_pksim_simulation, read_pksim_simulation

TEXT = example_pksim_simulation().read_text("utf-8")


def read(tmp_path, text, name="x.pkml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_pksim_simulation(path)


def changed(old, new):
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed('formula="ka*M"', 'formula="kka*M"'), ["Absorption", "kka"]),
        (changed('formula="ka*M"', 'formula="frob(ka)*M"'), ["Absorption", "frob"]),
        (
            changed('formula="ka*M"', "formula=\"__import__('os').system('x')\""),
            ["Absorption", "column"],
        ),
        (changed('formula="ka*M"', 'formula="' + "(" * 500 + "ka" + ")" * 500 + '"'), ["levels"]),
        (
            changed('s="Tablet|Drug|Absorption rate"', 's="Tablet|Drug|Absorbtion rate"'),
            ["Absorption, ka", "Absorbtion rate", "path of an object"],
        ),
        (
            changed('s="..|..|Volume"', 's="..|..|..|..|..|..|..|Volume"'),
            ["Concentration", "path of an object"],
        ),
        (
            changed(
                '<Path path="20" as="2" /></Paths>',
                '<Path path="19" as="2" /><Path path="20" as="2" /></Paths>',
            ),
            ["alias M", "one object for one alias"],
        ),
        (changed('sourceAmount="drug_gut"', 'sourceAmount="nobody"'), ["Absorption", "nobody"]),
        (changed('partner="metabolite"', 'partner="km"'), ["Metabolism", "km", "molecule"]),
        (
            changed('formula="f_absorption"', 'formula="f_none"'),
            ["Absorption", "f_none", "id of a formula"],
        ),
        (
            changed(
                'name="Weight" isFixedValue="0" dim="Mass" value="70"',
                'name="Weight" isFixedValue="0" dim="Mass" value="7O"',
            ),
            ["Organism|Weight", "7O"],
        ),
        (
            changed('id="mw" name="Molecular weight"', 'id="mw" name="Absorption rate"'),
            ["Drug|Absorption rate", "beside"],
        ),
        (
            changed("<ConstantFormula", "<BlackBoxFormula name='CM'").replace(
                'id="fu" name="Fraction unbound" isFixedValue="1"',
                'id="fu" name="Fraction unbound" isFixedValue="0"',
            ),
            ["Drug|Fraction unbound", "placeholder"],
        ),
        (
            changed("<Reaction id", "<Wormhole id").replace("</Reaction>", "</Wormhole>"),
            ["Wormhole"],
        ),
        (changed('version="18"', 'version="9"'), ["version", "13"]),
        (changed('path="11" as="12"', 'path="99" as="12"'), ["StringMap", "99"]),
        (changed('value="1440"', 'value="soon"'), ["End time", "soon"]),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path, text, words):
    with pytest.raises(FileFormatError) as caught:
        read(tmp_path, text)
    for word in ("x.pkml", *words):
        assert word in str(caught.value)


def test_formulas_that_need_each_other(tmp_path):
    text = (
        changed('formula="0.075*W"', 'formula="0.075*W"')
        .replace(
            'name="Weight" isFixedValue="0" dim="Mass" value="70"',
            'name="Weight" isFixedValue="0" dim="Mass" formula="f_weight"',
        )
        .replace(
            '<ConstantFormula id="f_fraction',
            '<Formula id="f_weight" formula="V"><Paths><Path path="90" as="4" /></Paths></Formula>'
            '<ConstantFormula id="f_fraction',
        )
        .replace(
            '<Map s=".." id="1" />',
            '<Map s=".." id="1" /><Map s="Tablet|Organism|Blood|Volume" id="90" />',
        )
    )
    with pytest.raises(InputError, match="need each other") as caught:
        read(tmp_path, text).simulate()
    assert "Organism|Weight" in str(caught.value)


@pytest.mark.parametrize(
    "points",
    [
        '<ValuePoint x="0" y="1" /><ValuePoint x="5" y="1" /><ValuePoint x="5" y="2" />',
        '<ValuePoint x="0" y="1" />',
    ],
)
def test_tables_that_are_none(tmp_path, points):
    text = changed(
        '<ConstantFormula id="f_fraction_unbound" value="0.5" />',
        f'<TableFormula id="f_fraction_unbound" useDerivedValues="1"><AllPoints>{points}</AllPoints></TableFormula>',
    ).replace(
        'id="fu" name="Fraction unbound" isFixedValue="1"',
        'id="fu" name="Fraction unbound" isFixedValue="0"',
    )
    with pytest.raises(FileFormatError, match=r"table|at least two points"):
        read(tmp_path, text)


@pytest.mark.parametrize("cut", [0, 1, 40, 3000, len(TEXT) - 40])
def test_truncated_files(tmp_path, cut):
    with pytest.raises(FileFormatError):
        read(tmp_path, TEXT[:cut])
    with pytest.raises(FileFormatError):
        read(tmp_path, gzip.compress(TEXT.encode())[: max(1, cut // 10)], "x.pkml.gz")


def test_a_packed_bomb_and_entities(tmp_path, monkeypatch):
    monkeypatch.setenv("PBPK_HYBRID_LIMIT_XML_BYTES", "10000000")
    with pytest.raises(FileFormatError, match="at most"):
        read(tmp_path, gzip.compress(b"<a>" + b" " * 50_000_000 + b"</a>"), "x.gz")
    with pytest.raises(FileFormatError, match="entities"):
        read(tmp_path, '<!DOCTYPE x [<!ENTITY a "b">]><SimulationTransfer />')


@pytest.mark.parametrize(
    "text",
    [
        "<SpatialStructure />",
        "<Simulation />",
        "<html></html>",
        '<SimulationTransfer version="18" />',
    ],
)
def test_other_files(tmp_path, text):
    with pytest.raises(FileFormatError, match=r"simulation|pkml"):
        read(tmp_path, text)


def test_a_number_that_is_missing_is_named_when_it_is_needed(tmp_path):
    model = read(
        tmp_path,
        changed(
            'name="Liver blood flow" isFixedValue="0" dim="Flow" value="1.5"',
            'name="Liver blood flow" isFixedValue="0" dim="Flow" value="NaN"',
        ),
    )
    with pytest.raises(InputError, match=r"Organism\|Liver blood flow.*model.set"):
        model.simulate()
    assert model.set({"Organism|Liver blood flow": "1.5 l/min"}).simulate()["status"].values[0] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"outputs": "Organism|Nowhere|Drug"}, "Organism|Gut|Drug"),
        ({"times": [2.0, 1.0]}, "ascending"),
        ({"times": [-1.0]}, "ascending"),
        ({"values": {"Organism|Weight": [1.0, 2.0]}}, "1"),
        ({"unit": "g"}, "mg"),
        ({"sensitivities": ["Organism|Wait"]}, "path"),
        ({"options": {"rtol": 1e-6}}, "SolverOptions"),
    ],
)
def test_wrong_arguments_of_simulate(call, words):
    with pytest.raises(InputError) as caught:
        read_pksim_simulation(example_pksim_simulation()).simulate(**call)
    assert words in str(caught.value)


SIMMODEL = """<Simulation objectPathDelimiter="|" version="4" xmlns="http://www.systems-biology.com">
<ObserverList><Observer id="4" name="O" path="S|Out" value="3"/>
<Observer id="5" name="I" path="S|Out" formulaId="21"/></ObserverList>
<VariableList/>
<ParameterList><P id="1" name="k" path="S|A" value="2"/>
<P id="2" name="Br" path="S|A" formulaId="20"/>{use}</ParameterList>
<FormulaList><ExplicitFormula id="20"><Equation>n. def.</Equation></ExplicitFormula>
<ExplicitFormula id="21"><Equation>k * 2 + (1 / Inf)</Equation><ReferenceList><R alias="k" id="1"/>
</ReferenceList></ExplicitFormula>
<ExplicitFormula id="22"><Equation>b + 1</Equation><ReferenceList><R alias="b" id="2"/>
</ReferenceList></ExplicitFormula></FormulaList>
<OutputSchema><OutputTimeList><OutputTime>0</OutputTime><OutputTime>60</OutputTime></OutputTimeList>
</OutputSchema></Simulation>"""


def test_a_model_without_states_and_a_formula_that_nothing_uses(tmp_path):
    """A spreadsheet's "n. def." for a number, in a parameter that no formula has."""
    with pytest.warns(NoEffectWarning, match=r"A\|Br is left out: nothing uses it"):
        model = read(tmp_path, SIMMODEL.format(use=""), "x.xml")
    values = model.simulate()["value"]
    assert values.sel(compartment="Out|O").values.tolist() == [[3.0, 3.0]]
    assert values.sel(compartment="Out|I").values.tolist() == [[4.0, 4.0]]


def test_a_formula_that_is_used_and_cannot_be_read(tmp_path):
    used = '<P id="3" name="c" path="S|A" formulaId="22"/>'
    with pytest.raises(FileFormatError, match=r"n\. def\."):
        read(tmp_path, SIMMODEL.format(use=used), "x.xml")
