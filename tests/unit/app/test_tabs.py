"""Every tab without a browser: streamlit's own runner of pages, and what the tabs compute."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.app.comparison import (
    Scenario,
    compare,
    comparison_figure,
    comparison_table,
    read_scenarios,
)
from pbpk_hybrid.app.link import packed, unpacked
from pbpk_hybrid.app.models import SlidingModel, read_uploaded
from pbpk_hybrid.app.patient import PatientChoice, look_ahead, next_dose
from pbpk_hybrid.app.people import people_figure, people_like
from pbpk_hybrid.app.work import Choice, dose_of

pytest.importorskip("streamlit")
COMMON = Choice("", "", subjects=6, seed=1)


def test_scenarios_are_simulated_side_by_side():
    rows = [
        {"compound": "metoprolol"},
        {"compound": "metoprolol", "people": "CYP2D6 poor"},
        {"compound": "midazolam", "dose": "7.5 mg oral", "with": "itraconazole"},
        {"compound": "", "dose": "1 mg oral"},
    ]
    scenarios = read_scenarios(rows, COMMON)
    assert [s.choice.compound for s in scenarios] == ["metoprolol", "metoprolol", "midazolam"]
    with pytest.warns(ph.NoEffectWarning, match="anatomy alone"):
        studies = compare(scenarios)
    table = comparison_table(studies)
    assert table["AUC ratio"].iloc[0] == 1 and table["AUC ratio"].iloc[1] > 2
    assert len(comparison_figure(studies).axes[0].get_legend_handles_labels()[1]) >= 3


def test_a_companion_raises_the_exposure_as_in_an_interaction():
    plain, both = (
        Scenario(n, Choice("midazolam", "7.5 mg oral", 4, variability=False), w)
        for n, w in (("alone", ""), ("with", "fluconazole"))
    )
    table = comparison_table(compare([plain, both]))
    people = ph.sample_population(4, seed=1)
    known = ph.interactions("midazolam", "fluconazole", people, draws=2, seed=1, constants=None)
    ratio = float(np.exp(np.log(known["auc_ratio"]).mean()))
    assert table["AUC ratio"].iloc[1] == pytest.approx(ratio, rel=0.15)  # of 24 h, and to infinity


def test_a_companion_does_not_hide_the_basis_that_was_chosen():
    alone, both = (
        Scenario(
            n, Choice("midazolam", "7.5 mg oral", 3, variability=False, clearance="in_vitro"), w
        )
        for n, w in (("alone", ""), ("with", "caffeine: 100 mg oral"))
    )
    table = comparison_table(compare([alone, both]))  # caffeine does nothing to midazolam
    assert table["AUC ratio"].iloc[1] == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "1 to"),
        ([{"compound": "theophylline"}] * 2, "differ"),
        ([{"compound": "midazolam", "with": "theophylline"}], "with its dose"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_in_words(rows, words):
    with pytest.raises(ph.InputError, match=words):
        compare(read_scenarios(rows, COMMON))


def test_a_dose_is_known_for_every_curated_drug():
    assert dose_of("midazolam") == "7.5 mg oral"
    for name in ph.list_compounds()[:12]:
        ph.Regimen.parse(dose_of(name))


def test_people_are_like_the_pasted_table():
    people = people_like("age: 34 ± 8 (21-52)\nfemale: 45 %", 60, 1, "bmi < 40")
    assert not people.pk.like().missed
    assert people_figure(people, "age", "gfr").axes[0].get_xlabel() == "age [year]"
    with pytest.raises(ph.InputError, match="table"):
        people_like("  ", 10, 1)


PATIENT = PatientChoice("2, 7.4\n6, 6.1\n11.9, 4.4", "320 mg oral q12h x2", 80, 36, "theophylline")


def test_a_patient_has_a_posterior_and_a_next_dose():
    found = look_ahead(PATIENT, network=False)
    assert found.posterior.reliable and found.forecast is None
    assert "samples" in found.figure().axes[0].get_legend_handles_labels()[1]
    result, figure = next_dose(
        PATIENT, "trough 5-10 mg/L", "8, 12", "multiples of 50 mg up to 800 mg"
    )
    assert result.best.attainment > 0.8 and figure.axes


def test_sliders_agree_with_solving_again():
    from pbpk_hybrid.interchange import example_sbml_model

    content = example_sbml_model().read_bytes()
    model = read_uploaded("model.xml", content)
    output, name = model.outputs[0], "uptake_Vmax"
    sliding = SlidingModel(model, output, (name,))
    near = {name: 1.05}
    np.testing.assert_allclose(sliding.instant(near), sliding.exact(near), rtol=5e-3, atol=1e-6)
    np.testing.assert_allclose(sliding.instant({name: 1.0}), sliding.exact({}), rtol=1e-8)
    with pytest.raises(ph.PBPKError):
        read_uploaded("x.pkml", b"no model")


def test_a_link_restores_what_was_typed_and_nothing_else():
    values = {"simulate.hours": 48.0, "simulate.rows": [{"compound": "midazolam"}], "é": "ü"}
    assert unpacked(packed(values)) == values
    for strange in ("", "%%%", "AAAA", packed(values)[:-7], "x" * 10_000):
        assert unpacked(strange) == {}
    import base64
    import zlib

    bomb = base64.urlsafe_b64encode(zlib.compress(b" " * 4_000_000)).decode()
    assert unpacked(bomb) == {}


@pytest.fixture
def page(monkeypatch):
    from pathlib import Path

    from streamlit.testing.v1 import AppTest

    import pbpk_hybrid.app

    path = Path(pbpk_hybrid.app.__file__).with_name("page.py")
    return AppTest.from_file(str(path), default_timeout=240)


def test_the_page_opens_with_a_picture_and_no_message(page):
    page.run()
    assert not page.exception and not page.error
    assert len(page.tabs) == 8
    assert page.dataframe, "the table of the first scenario"


def test_a_link_fills_the_fields_of_the_page(page):
    page.query_params["s"] = packed({"simulate.hours": 12.0, "dose.target": "trough 6-9 mg/L"})
    page.run()
    assert page.number_input(key="simulate.hours").value == 12.0
    assert page.text_input(key="dose.target").value == "trough 6-9 mg/L"


def test_what_is_wrong_is_said_on_the_page(page):
    page.run()
    page.text_input(key="dose.target").set_value("trough five").run()
    next(b for b in page.button if b.label == "find a dose").click().run()
    assert any("five" in e.value for e in page.error)


def test_the_model_tab_has_a_tree_and_sliders(page):
    page.run()
    page.toggle(key="model.example").set_value(True).run()
    options = page.multiselect(key="model.names").options
    name = next(o for o in options if o.endswith("Lipophilicity"))
    page.multiselect(key="model.names").set_value([name]).run()
    page.slider(key=f"model.slider.{name}").set_value(1.5).run()
    assert not page.exception and not page.error
    assert any("Organism" in block.value for block in page.code)


def test_a_first_dose_comes_from_animals_and_has_a_report():
    pytest.importorskip("torch_geometric")
    from pbpk_hybrid.app.translation import first_dose, report_of

    rat = "rat: clearance=35 mL/min/kg, volume=1.1 L/kg"
    found = first_dose(rat, "CC(=O)Nc1ccc(O)cc1", "100 mg oral", "", "rat: 60 mg/kg", n=10)
    assert found.starting_dose == pytest.approx(58.1, rel=0.02)
    assert b"<html" in report_of(found)[:300]
    with pytest.raises(ph.InputError, match="NOAEL"):
        first_dose(rat, "CCO", "100 mg oral", "", "60 mg/kg")
