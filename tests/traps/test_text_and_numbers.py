"""Text of numbers and units: read right, or refused with what was probably meant."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import FileFormatError, InputError, PBPKError, UnitError
from pbpk_hybrid._core.units import quantity, read_unit
from pbpk_hybrid.cli.app import app
from pbpk_hybrid.cli.parsing import parse_range, parse_sex, parse_times
from pbpk_hybrid.cli.scale import parse as parse_sources

PER_CELLS = "uL/min/million_cells"


# ------------------------------------------------------------------------------------------------ the reader
@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("410.5 g/mol", "g/mol", 410.5),
        ("150 kDa", "g/mol", 150_000.0),
        ("5e2 mg", "mg", 500.0),
        ("5E+2mg", "mg", 500.0),
        ("0.5 g", "mg", 500.0),
        ("2 mcg", "mg", 0.002),
        (".5 %", "1", 0.005),
        ("3.5%", "1", 0.035),
        ("-1e-3", "1", -0.001),
        ("1.8/h", "1/h", 1.8),
        ("1.8 1/h", "1/h", 1.8),
        ("1.8 h⁻¹", "1/h", 1.8),
        ("0.03 min-1", "1/h", 1.8),
        ("0.03 per min", "1/h", 1.8),
        ("12 µL/min/10^6 cells", PER_CELLS, 12.0),
        ("12 uL/min/(10⁶ cells)", PER_CELLS, 12.0),
        ("12 uL/min/1E+06 hepatocytes", PER_CELLS, 12.0),
        ("12 uL/min/M cells", PER_CELLS, 12.0),
        ("1.2 uL/min/1e5 cells", PER_CELLS, 12.0),
        ("8 uL/(min mg)", "uL/min/mg", 8.0),
        ("8 uL/min/mg microsomal protein", "uL/min/mg", 8.0),
        ("8 mL·min⁻¹·kg⁻¹", "mL/min/kg", 8.0),
        ("8 mL/min/kg BW", "mL/min/kg", 8.0),
        ("2 x 10^-5 cm/s", "1e-6 cm/s", 20.0),
        ("2 × 10⁻⁵ cm/s", "1e-6 cm/s", 20.0),
        ("60 mL/min/1.73 m²", "mL/min/1.73 m^2", 60.0),
        ("25 kg/m2", "kg/m^2", 25.0),
        ("6 months", "year", 0.5),
        ("7\u00a0days", "h", 168.0),
        ("30 Minutes", "h", 0.5),
        ("100 lb", "kg", 45.359237),  # NIST SP 811, appendix B.8
        ("0", "mg", 0.0),  # nothing is nothing in every unit
        (np.str_("5 mg"), "mg", 5.0),
    ],
)
def test_one_number_and_its_unit_are_read_exactly(text, unit, value):
    assert quantity(text, unit, "field") == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("410,5 g/mol", "'410.5 g/mol'"),
        ("0,125 g/mol", "'0.125 g/mol'"),
        ("1,000 g/mol", "'1.000 g/mol' or '1000 g/mol'"),
        ("1.234,5 g/mol", "'1234.5 g/mol'"),
        ("1,234.5 g/mol", "'1234.5 g/mol'"),
        ("1,234,567 g/mol", "'1234567 g/mol'"),
        ("1 000 g/mol", "'1000 g/mol'"),
        ("1'000 g/mol", "'1000 g/mol'"),
        ("1_000 g/mol", "'1000 g/mol'"),
        ("1\u202f000 g/mol", "'1000 g/mol'"),
        ("1-2 g/mol", "not a range"),
        ("1 to 2 g/mol", "not a range"),
        ("3.5 +- 0.5 g/mol", "without its spread, such as '3.5'"),
        ("3.5 ± 0.5 g/mol", "without its spread"),
        ("<0.01 g/mol", "a limit, not a value"),
        ("≤ 5", "a limit, not a value"),
        ("ca. 5 g/mol", "the number alone"),
        ("5*3 g/mol", "nothing to compute"),
        ("5 x 100 g/mol", "nothing to compute"),
        ("2 x 10-6 g/mol", "nothing to compute"),
        ("1:30", "not a time of the clock"),
        ("−5 g/mol", "minus sign"),
        ("١٢ g/mol", "digits 0 to 9"),
        ("１２ g/mol", "digits 0 to 9"),
        ("", "empty"),
        ("nan", "finite"),
        ("-inf g/mol", "finite"),
        ("1e999 g/mol", "size"),
        ("1e-999 g/mol", "size"),
        ("1 2 g/mol", "'2 g/mol' after the number"),
        ("5,", "',' after the number"),
        ("1/2 g/mol", "no unit"),
        ("5 g/mol)", "bracket"),
        ("5 (g/mol", "not complete"),
        ("5 g/mol extra", "'extra' is not known"),
        ("5 g//mol", "missing"),
        ("5 g/mol^99", "powers"),
        ("5" * 300, "200 characters"),
        ("5 g" + "*g" * 60, "80 characters"),
        ("100 Mg/mol", "'mg'"),
        ("five", "a number and a unit"),
    ],
)
def test_anything_else_is_refused_with_what_was_meant(text, words):
    with pytest.raises(InputError, match="molar_mass") as caught:
        quantity(text, "g/mol", "molar_mass")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["9**9**9**9 g/mol", "9^9^9^9", "5 g**9**9**9", "(" * 70 + "g", "1e99999999999 g"]
)
def test_nothing_is_evaluated(text):
    begin = time.perf_counter()
    with pytest.raises(InputError):
        quantity(text, "g/mol", "molar_mass")
    assert time.perf_counter() - begin < 0.1


@pytest.mark.parametrize(
    "value", [True, np.True_, 1 + 2j, b"5 mg", None, [5.0], np.array([5.0]), {}, 10**400, {5}]
)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="dose"):
        quantity(value, "mg", "dose")


def test_moles_need_the_molar_mass_and_say_so():
    assert quantity("2.5 uM", "mg/L", "ki", molar_mass=400.0) == 1.0
    with pytest.raises(UnitError, match="molar mass is needed"):
        quantity("2.5 uM", "mg/L", "ki")
    with pytest.raises(UnitError, match="converts to it") as caught:
        quantity("5 %", "g/mol", "molar_mass", molar_mass=400.0)
    assert "moles" not in str(caught.value)


def test_protein_and_body_weight_are_not_interchanged():
    with pytest.raises(UnitError, match="protein"):
        quantity("8 uL/min/mg protein", "mL/min/kg", "clearance_plasma")
    with pytest.raises(UnitError, match="body weight"):
        quantity("8 mL/min/kg bw", "uL/min/mg", "clint_microsome")


def test_pint_quantities_keep_their_meaning_and_their_own_units():
    q = pint.UnitRegistry().Quantity
    assert quantity(q(0.5, "g"), "mg", "dose") == 500.0
    assert quantity(q(3.5, "percent"), "1", "fu") == 0.035
    assert quantity(q(2, "stone"), "kg", "weight") == pytest.approx(12.70058636)  # 14 lb each
    for value in (q([1.0, 2.0], "g"), q(2, "mile"), q(float("nan"), "mg")):
        with pytest.raises(InputError, match="dose"):
            quantity(value, "mg", "dose")


@given(st.text(max_size=30))
@settings(max_examples=300)
def test_any_text_is_a_finite_number_or_a_typed_error(text):
    for unit in ("1", "mg", "mL/min/kg"):
        try:
            assert np.isfinite(quantity(text, unit, "field"))
        except InputError as error:
            assert "field" in str(error)


@given(st.text(alphabet="0123456789+-.,eE _'<>±*/^()%xmgLhkuµ·⁻¹", max_size=14))
@settings(max_examples=300)
def test_text_that_is_read_holds_the_number_that_it_says(text):
    """What was read is the float of the leading characters, times the size of the unit behind them."""
    try:
        found = quantity(text, "mg", "dose")
    except InputError:
        return
    plain = text.strip().replace("µ", "u")
    number = max((plain[:i] for i in range(1, len(plain) + 1) if _is_float(plain[:i])), key=len)
    unit = plain[len(number) :].strip()
    if "10" in unit:  # 5 x 10^3 mg
        return
    expected = float(number) * float(read_unit(unit).factor) * 1000 if unit else 0.0
    assert found == pytest.approx(expected, rel=1e-12)


def _is_float(text: str) -> bool:
    if not text[-1].isdigit() and text[-1] != ".":
        return False
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


# ------------------------------------------------------------------------------------------------ text without unit
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"clearance_plasma": "5"}, "mL/min/kg or L/h/kg"),
        ({"clint_hepatocyte": "5"}, "uL/min/1e6 cells"),
        ({"clint_microsome": "1e1"}, "uL/min/mg"),
        ({"caco2_permeability": "2e-5"}, "cm/s or nm/s"),
        ({"absorption_rate": "1.8"}, "1/h or 1/min"),
        ({"volume_steady_state": "3"}, "L/kg"),
        (
            {"enzyme_effects": [{"enzyme": "CYP3A4", "kind": "competitive", "ki": "5"}]},
            "mg/L, ng/mL or uM",
        ),
        ({"saturable": [{"name": "A", "vmax": "1", "km": "1 mg/L"}]}, "mg/h/kg"),
    ],
)
def test_text_without_unit_is_refused_where_units_differ(values, words):
    with pytest.raises(UnitError) as caught:
        ph.Compound.create(name="mine", molar_mass=400.0, **values)
    assert words in str(caught.value)


def test_doses_and_limits_as_text_need_their_unit():
    samples = ([0.0, 1, 2, 4, 8], [1.0, 0.8, 0.6, 0.3, 0.1])
    with pytest.raises(UnitError, match="mg, g or ug"):
        ph.Regimen.oral("50")
    with pytest.raises(UnitError, match="mg, g or ug"):
        ph.nca(samples, dose="320", route="oral")
    with pytest.raises(UnitError, match="mg/L, ng/mL or uM"):
        ph.nca(samples, dose="1.5 mg", route="oral", lloq="0.2")
    # numbers keep the unit of the docstring
    assert ph.Regimen.oral(50).columns["amount"][0] == 50.0


def test_text_without_unit_is_read_where_only_one_unit_is_in_use():
    c = ph.Compound.create(name="mine", molar_mass="410.5", log_p="2.4", gfr_fraction="50 %")
    assert (c.molar_mass, c.log_p, c.gfr_fraction) == (410.5, 2.4, 0.5)
    for field in ("log_p", "transit_compartments", "pka_acid"):
        with pytest.raises(UnitError, match=field):
            ph.Compound.create(name="mine", **{field: "2 %"})


def test_two_pka_with_a_comma_between_digits_are_not_guessed():
    assert ph.Compound.create(name="a", pka_acid="3.4, 9.1").pka_acid == (3.4, 9.1)
    with pytest.raises(InputError, match=r"'3\.4' for one, '3, 4' for two"):
        ph.Compound.create(name="a", pka_acid="3,4")


# ------------------------------------------------------------------------------------------------ files
def compound_file(folder: Path, body: str, suffix: str = ".yaml") -> ph.Compound:
    path = folder / f"mine{suffix}"
    path.write_text(body, encoding="utf-8")
    return ph.load_compound_file(path)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("molar_mass: 4.105e2", "molar_mass", 410.5),
        ("molar_mass: 1e3", "molar_mass", 1000.0),  # text in YAML 1.1
        ("molar_mass: 010", "molar_mass", 10.0),  # eight in YAML 1.1
        ("fraction_unbound_plasma: .5", "fraction_unbound_plasma", 0.5),
        ("fraction_unbound_plasma: 1.2 %", "fraction_unbound_plasma", 0.012),
        ("notes: no", "notes", ("no",)),
    ],
)
def test_yaml_numbers_mean_what_they_look_like(tmp_path, line, field, value):
    assert getattr(compound_file(tmp_path, f"name: mine\n{line}\n"), field) == value


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("molar_mass: 410,5 g/mol", "'410.5 g/mol'"),
        ("fraction_unbound_plasma: 1,2 %", "'1.2 %'"),
        ("clint_microsome: 20,5 uL/min/mg", "'20.5 uL/min/mg'"),
        ("absorption_rate: 1,8 1/h", "'1.8 1/h'"),
        ("molar_mass: 1_000", "'1000'"),
        ("molar_mass: 1:30", "clock"),  # ninety in YAML 1.1
        ("molar_mass: yes", "molar_mass"),
        ("molar_mass: true", "molar_mass"),
        ("molar_mass: 2020-01-02", "molar_mass"),
        ("molar_mass: .nan", "finite"),
        ("molar_mass: 0x10", "molar_mass"),
        ("molar_mass: 300\nmolar_mass: 400", "'molar_mass' comes twice"),
        ("? [a]\n: 3", "YAML"),
    ],
)
def test_other_yaml_is_refused_with_the_field(tmp_path, line, words):
    with pytest.raises((InputError, FileFormatError)) as caught:
        compound_file(tmp_path, f"name: mine\n{line}\n")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('molar_mass = "410,5 g/mol"', "'410.5 g/mol'"),
        ("molar_mass = 2020-01-02", "molar_mass"),
        ("molar_mass = nan", "finite"),
        ("molar_mass = true", "molar_mass"),
        ("pka_acid = [3, [4]]", "pka_acid"),
    ],
)
def test_toml_is_refused_with_the_field(tmp_path, line, words):
    with pytest.raises(InputError) as caught:
        compound_file(tmp_path, f'name = "mine"\n{line}\n', ".toml")
    assert words in str(caught.value)


# ------------------------------------------------------------------------------------------------ regimens
@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1e3 mg iv", 1000.0),
        ("1e-1 g oral", 100.0),
        ("1E+3mg iv", 1000.0),
        ("1000 mg iv", 1000.0),
        ("0.5 g iv", 500.0),
        ("500 µg iv", 0.5),
    ],
)
def test_doses_with_an_exponent(text, amount):
    assert ph.Regimen.parse(text).columns["amount"].tolist() == [amount]


def test_all_numbers_of_a_regimen_have_exponents_and_percent():
    got = ph.Regimen.parse("1e2 mg iv over 3e-1 h lag 5e-1 h f 80 % q1.2e1h x2")
    c = got.columns
    assert c["time"].tolist() == [0.0, 12.0] and c["duration"].tolist() == [0.3, 0.3]
    assert c["lag_time"].tolist() == [0.5, 0.5] and c["bioavailability"].tolist() == [0.8, 0.8]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,5 mg iv", "'1.5'"),
        ("1,000 mg iv", "'1.000' or '1000'"),
        ("1 000 mg iv", "'1000'"),
        ("1-2 mg iv", "not a range"),
        ("<5 mg iv", "a limit"),
        ("100 mg over 1,5 h", "'1.5'"),
        ("100 mg iv lag 0,5 h", "'0.5'"),
        ("100 mg iv f 0,8", "'0.8'"),
        ("100 mg iv q12,5h x2", "12.5"),
        ("100 mg iv q12h x2,5", "2.5"),
        ("100 mg iv q12h x٣", "x٣"),
        ("100 mg iv q12h x²", "x²"),
        ("100 mg iv at 1:30 h", "clock"),
        ("100 Mg iv", "'mg'"),
        ("100 IU iv", "international units"),
        ("100 mg iv q1h x20000000", "at most 100000 doses"),
        ("100 mg iv q1h x99999999999999999999999", "'ss'"),
        ("100 mg iv q1h for 1e9 days", "at most 100000 doses"),
        ("100 mg iv " * 3000, "20000 characters"),
    ],
)
def test_regimens_refuse_other_numbers_at_once(text, words):
    begin = time.perf_counter()
    with pytest.raises(InputError) as caught:
        ph.Regimen.parse(text)
    assert words in str(caught.value) and time.perf_counter() - begin < 1.0


def test_counts_of_doses_have_a_limit_in_python_too():
    with pytest.raises(InputError, match="at most 100000 doses"):
        ph.Regimen.oral(5).repeat(1, 10**9)
    endless = ph.Regimen.oral(
        5, interval=1, additional_doses=10**9
    )  # those after 2 h are never written
    ph.simulate("theophylline", endless, times=[0.0, 1.0, 2.0])
    with pytest.raises(InputError, match="additional_doses.*at most 100000 doses"):
        ph.simulate("theophylline", endless, times=[0.0, 1e9])


# ------------------------------------------------------------------------------------------------ command line, page
def test_times_and_ranges_of_the_command_line():
    assert parse_times("0, 30 min, 1e0").tolist() == [0.0, 0.5, 1.0]
    assert parse_range("6 months-2 years", "--age") == ("6 months", "2 years")
    assert parse_range("6-24 months", "--age") == ("6 months", "24 months")
    assert parse_range("2e1-6e1", "--age") == (20.0, 60.0)
    for text in ("1_0", "٣", "nan", "0:1_0", "0;1"):
        with pytest.raises(InputError, match="--times"):
            parse_times(text)
    for text in ("20,5-30", "1_0", "nan", "20-", "20-30-40", "20 kg-60", "<20"):
        with pytest.raises(InputError, match="--age"):
            parse_range(text, "--age")
    for text in ("0,4", "1_0", "2"):
        with pytest.raises(InputError, match="--sex"):
            parse_sex(text)


def test_ages_in_months_reach_the_population():
    people = ph.sample_population(5, age=parse_range("12-24 months", "--age"), seed=1)
    assert 1.0 <= people["age"].min() and people["age"].max() <= 2.0


def test_scaling_refuses_decimal_commas_and_clearances_without_unit():
    from pbpk_hybrid.learn.allometry._sources import parse_sources as read

    with pytest.raises(InputError, match="point"):
        parse_sources(["rat: clearance=35 mL/min/kg, fup=0,2"])
    with pytest.raises(InputError, match="once"):
        parse_sources(["rat: fup=0.2, fup=0.3"])
    with pytest.raises(UnitError, match="mL/min/kg, or in L/h of the whole animal"):
        read({"rat": {"clearance": "35"}})


@pytest.mark.parametrize("line", ["1,5; 7,2", "1; <0.5", "1; nan", "1; 1_0", "1", "a,b", "1;2;3"])
def test_pasted_samples_are_two_numbers_a_line(line):
    from pbpk_hybrid.app.work import _sample

    with pytest.raises(InputError, match="line 3"):
        _sample(line, "samples, line 3")


def test_pasted_samples_may_have_units():
    from pbpk_hybrid.app.work import _sample

    for line in ("1.5, 7.2", "90 min; 7200 ng/mL", "1.5e0\t7.2 mg/L"):
        assert _sample(line, "here") == (1.5, 7.2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dose", "320,5 mg"], "320.5 mg"),
        (["--dose", "320"], "its unit"),
        (["--dose", "320 mg", "--lloq", "0,2 mg/L"], "0.2 mg/L"),
        (["--dose", "320 mg", "--tau", "1_000"], "1000"),
        (["--dose", "320 mg", "--dose-time", "nan"], "finite"),
    ],
)
def test_options_of_the_command_line_are_read_by_the_same_reader(tmp_path, arguments, words):
    file = tmp_path / "samples.csv"
    file.write_text("time,concentration\n0,1.0\n1,0.8\n2,0.6\n4,0.3\n8,0.1\n")
    result = CliRunner().invoke(app, ["nca", str(file), "--route", "oral", *arguments])
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


# ------------------------------------------------------------------------------------------------ two notations
SAME = [
    ("molar_mass", 410.5, ["410.5 g/mol", "4.105e2 g/mol", "0.4105 kg/mol", "410.5 Da"]),
    ("fraction_unbound_plasma", 0.035, ["3.5 %", "0.035", "3.5e-2", "35e-1%"]),
    (
        "clint_hepatocyte",
        12.0,
        ["12 uL/min/1e6 cells", "0.72 mL/h/10^6 cells", "1.2e1 µL/min/million cells"],
    ),
    ("clint_microsome", 20.5, ["20.5 uL/min/mg", "1.23 mL/h/mg protein", "20.5 mL/min/g"]),
    ("clearance_plasma", 5.0, ["5 mL/min/kg", "0.3 L/h/kg", "300 mL/h/kg", "5 mL min-1 kg-1"]),
    ("absorption_rate", 1.8, ["1.8 1/h", "0.03 1/min", "1.8/h", "1.8 h-1"]),
    ("absorption_lag_time", 0.25, ["15 min", "0.25 h", "900 s"]),
    ("caco2_permeability", 20.0, ["20e-6 cm/s", "2 x 10^-5 cm/s", "200 nm/s"]),
]


@pytest.mark.parametrize(("field", "number", "texts"), SAME)
def test_a_compound_is_the_same_in_python_yaml_and_toml(tmp_path, field, number, texts):
    wanted = ph.Compound.create(name="mine", **{field: number})
    for text in texts:
        assert ph.Compound.create(name="mine", **{field: text}) == wanted
        assert compound_file(tmp_path, f"name: mine\n{field}: {text}\n") == wanted
        assert compound_file(tmp_path, f'name = "mine"\n{field} = "{text}"\n', ".toml") == wanted
    assert compound_file(tmp_path, f"name: mine\n{field}: {number:e}\n") == wanted
    assert compound_file(tmp_path, f"name = 'mine'\n{field} = {number:e}\n", ".toml") == wanted


@given(
    st.decimals(min_value="0.001", max_value="9999", places=3),
    st.sampled_from([("mg", 0), ("g", -3), ("ug", 3), ("kg", -6), ("ng", 6)]),
    st.integers(-3, 3),
)
@settings(max_examples=100)
def test_a_dose_is_the_same_in_every_notation(amount, unit, shift):
    """The decimal number moved by powers of ten, with the unit or the exponent that takes it back."""
    name, power = unit
    text = f"{amount.scaleb(power - shift):f}e{shift} {name}"
    wanted = ph.Regimen.oral(float(amount))
    assert ph.Regimen.oral(text) == wanted
    assert ph.Regimen.parse(f"{text} oral") == wanted
    per_kg = ph.Regimen.oral(f"{text}/kg").columns["amount_per_kg"][0]
    assert per_kg == float(amount) and ph.Regimen.parse(f"{text}/kg po") == ph.Regimen.oral(
        f"{text}/kg"
    )


def test_the_analysis_is_the_same_in_every_notation(tmp_path):
    samples = ([0.0, 1, 2, 4, 8], [1.0, 0.8, 0.6, 0.3, 0.1])
    wanted = ph.nca(samples, dose=1.5, route="oral", lloq=0.2)
    assert float(wanted["tlast"][0]) == 4.0
    for dose, lloq in (
        ("1.5 mg", "0.2 mg/L"),
        ("1500 ug", "200 ng/mL"),
        ("1.5e-3 g", "2e-1 ug/mL"),
    ):
        found = ph.nca(samples, dose=dose, route="oral", lloq=lloq)
        assert found["cl_f"].equals(wanted["cl_f"]) and found["tlast"].equals(wanted["tlast"])
        assert ph.nca(samples, dose=[dose], route="oral", lloq=[lloq])["cl_f"].equals(
            wanted["cl_f"]
        )
    file = tmp_path / "samples.csv"
    file.write_text(
        "time,concentration\n" + "".join(f"{t},{c}\n" for t, c in zip(*samples, strict=True))
    )
    tables = []
    for dose, lloq in (
        ("1.5 mg", "0.2 mg/L"),
        ("1500 ug", "200 ng/mL"),
        ("1.5e-3 g", "2e-1 ug/mL"),
    ):
        out = tmp_path / f"{len(tables)}.csv"
        line = [
            "nca",
            str(file),
            "--route",
            "oral",
            "--dose",
            dose,
            "--lloq",
            lloq,
            "--out",
            str(out),
            "-q",
        ]
        result = CliRunner().invoke(app, line)
        assert result.exit_code == 0, result.output
        tables.append(out.read_text())
    assert tables[0] == tables[1] == tables[2]


def test_a_simulation_is_the_same_in_every_notation():
    wanted = ph.simulate("theophylline", ph.Regimen.oral(320.0), times=[0.0, 0.5, 2.0, 6.0])
    for dose, times in (
        ("0.32 g oral", ["0 h", "30 min", "2 h", "0.25 day"]),
        ("3.2e2 mg po", [0, "5e-1 h", "120 min", 6]),
    ):
        found = ph.simulate("theophylline", dose, times=times)
        np.testing.assert_array_equal(found["concentration"], wanted["concentration"])


def test_reading_numbers_does_not_load_pint():
    import subprocess
    import sys

    code = (
        "import sys; import pbpk_hybrid as ph; ph.Regimen.parse('5 mg/kg iv'); "
        "ph.Compound.create(name='a', molar_mass='3e2 g/mol', clint_hepatocyte='2 uL/min/1e6 cells'); "
        "assert 'pint' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_every_refusal_is_a_typed_error():
    assert issubclass(UnitError, InputError) and issubclass(InputError, (PBPKError, ValueError))
