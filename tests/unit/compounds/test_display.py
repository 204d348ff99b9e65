"""What a compound shows of itself, and what identifies it."""

from __future__ import annotations

from pbpk_hybrid import Compound, get_compound
from pbpk_hybrid.scale.cohort import request_text


def example() -> Compound:
    return Compound.create(
        name="a <b>",
        molar_mass=300,
        pka_acid=[4.5],
        fraction_unbound_plasma="3 %",
        clearance_plasma=5,
        kp={"liver": 2.5},
        species_values={"rat": {"clearance_plasma": 40}},
        sources={"clearance_plasma": "Smith 1999", "rat.clearance_plasma": "Miller 2001"},
    )


def test_repr_is_one_line():
    text = repr(example())
    assert "\n" not in text and len(text) < 120
    assert text.startswith("Compound('a <b>': acid, 300 g/mol")
    assert "fraction unbound 0.03" in text and "in_vivo" in text


def test_table_has_units_and_sources():
    table = example().to_dataframe().set_index("field")
    assert table.loc["clearance_plasma"].tolist() == [5.0, "mL/min/kg", "Smith 1999"]
    assert table.loc["rat.clearance_plasma"].tolist() == [40.0, "mL/min/kg", "Miller 2001"]
    assert table.loc["kp.liver", "value"] == 2.5
    assert "metabolism" not in table.index  # not given


def test_html_is_escaped():
    html = example()._repr_html_()
    assert "<td>Smith 1999</td>" in html
    assert "a &lt;b&gt;" in html and "a <b>" not in html


def test_every_curated_value_is_shown():
    compound = get_compound("midazolam")
    shown = {name.split(".")[0].split("[")[0] for name in compound.to_dataframe()["field"]}
    given = set(compound.to_dict()) - {"name", "sources", "notes", "species_values"}
    assert given <= shown


def test_full_text_differs_where_repr_does_not():
    compound = get_compound("midazolam")
    other = compound.replace(transit_rate=3.0)
    assert repr(compound) == repr(other)
    assert compound.full_text() != other.full_text()
    assert request_text(compound) != request_text(other)
    assert request_text({"compound": compound}) != request_text({"compound": other})


def test_request_text_of_keywords_ignores_their_order():
    assert request_text({"b": 1, "a": ("x", 2.0)}) == request_text({"a": ("x", 2.0), "b": 1})
    assert request_text({"a": 1}) != request_text({"a": 1.0})
