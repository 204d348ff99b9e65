"""What a regimen shows of itself."""

from __future__ import annotations

from pbpk_hybrid import Regimen


def test_to_dataframe_leaves_out_what_says_nothing():
    table = Regimen.oral("50 mg").repeat("12 h", 3).to_dataframe()
    assert list(table.columns) == ["subject", "time", "route", "amount"]
    assert table["time"].tolist() == [0.0, 12.0, 24.0]
    assert table["amount"].tolist() == [50.0] * 3
    assert table.attrs["units"]["amount"] == "mg" and table.attrs["units"]["subject"] == ""


def test_to_dataframe_keeps_what_differs_in_one_row():
    table = Regimen.parse("100 mg iv over 2 h and 5 mg/kg po lag 0.5 h").to_dataframe()
    assert table["duration"].tolist() == [2.0, 0.0]
    assert table["amount_per_kg"].tolist() == [0.0, 5.0]
    assert table["lag_time"].tolist() == [0.0, 0.5]
    assert "steady_state" not in table


def test_html_has_units_and_is_escaped():
    html = Regimen.dose(5, compartment="<x>")._repr_html_()
    assert "<th>amount [mg]</th>" in html and "<td>&lt;x&gt;</td>" in html and "<x>" not in html


def test_long_regimens_say_how_many_rows_are_hidden():
    assert "40 more rows" in Regimen.oral(1).repeat(1, 100)._repr_html_()


def test_empty_regimen():
    assert len(Regimen.empty().to_dataframe()) == 0
    assert "no records" in Regimen.empty()._repr_html_()
