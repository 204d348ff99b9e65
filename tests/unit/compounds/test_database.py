"""Looking up compounds: curated files, the httk table, the user's own files, Datasets."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pbpk_hybrid._core.errors import FileFormatError, InputError, SchemaError, UnknownNameError
from pbpk_hybrid._core.schemas import validate
from pbpk_hybrid.compounds import (
    Compound,
    _fields,
    compounds_from_dataset,
    compounds_to_dataset,
    get_compound,
    list_compounds,
    load_compound_file,
    search_compounds,
)
from pbpk_hybrid.compounds.httk_table import httk_compound, httk_table
from pbpk_hybrid.models.small_molecules.clearance import absorption_rate_from_caco2, split_clearance

CURATED = list_compounds(curated=True)


# ------------------------------------------------------------------ curated
def test_the_curated_set_has_the_drugs_of_the_validation():
    assert len(CURATED) >= 16
    assert {
        "theophylline",
        "warfarin",
        "midazolam",
        "caffeine",
        "alfentanil",
        "digoxin",
        "verapamil",
    } <= set(CURATED)


@pytest.mark.parametrize("name", CURATED)
def test_every_curated_value_has_a_citation_and_nothing_else_has(name):
    c = get_compound(name)
    names = (
        *_fields.NUMBERS,
        "pka_acid",
        "pka_base",
        "kp",
        "saturable",
        "metabolism",
        "enzyme_effects",
        "transporters",
    )
    given = {k for k in names if getattr(c, k) not in (None, (), {})}
    given -= {"gfr_fraction"} if c.gfr_fraction == 1 else set()
    given |= {"clearance_basis", "distribution_basis"}  # why these are the default
    given |= {f"{s}.{k}" for s, values in c.species_values.items() for k in values}
    assert set(c.sources) == given


@pytest.mark.parametrize("name", CURATED)
def test_every_curated_compound_can_be_simulated(name):
    c = get_compound(name)
    for field in (
        "molar_mass",
        "log_p",
        "fraction_unbound_plasma",
        "clearance_plasma",
        "fraction_excreted_renal",
    ):
        assert getattr(c, field) is not None
    assert c.resolved_clearance_basis == "in_vivo"
    # a metabolite may be in no register that was read
    formed = {m.metabolite for n in CURATED for m in get_compound(n).metabolism}
    assert {"formula"} <= set(c.identifiers)
    assert name in formed or {"cas", "dtxsid"} <= set(c.identifiers)


@pytest.mark.parametrize("name", CURATED)
def test_curated_clearances_stay_below_the_liver_blood_flow(name):
    """20.7 mL/min/kg in humans (Davies & Morris 1993): else no intrinsic clearance could explain them."""
    c = get_compound(name)
    bp = c.blood_to_plasma_ratio or 0.6
    hepatic, _ = split_clearance(c.clearance_plasma, c.fraction_excreted_renal, 1.0, bp)
    assert hepatic / 0.06 < 20.7


CALCULATED = [
    n
    for n in CURATED
    if get_compound(n).sources.get("absorption_rate", "").startswith("calculated")
]


@pytest.mark.parametrize("name", CALCULATED)
def test_calculated_absorption_rates_are_what_their_source_says(name):
    c = get_compound(name)
    assert c.absorption_rate == pytest.approx(
        absorption_rate_from_caco2(c.caco2_permeability), rel=5e-3
    )  # 3 digits


@pytest.mark.parametrize("name", [n for n in CURATED if "cas" in get_compound(n).identifiers])
def test_values_said_to_come_from_httk_are_in_httk(name):
    c = get_compound(name)
    table = get_compound(c.identifiers["cas"], collection="httk")
    compared = 0
    for key, source in c.sources.items():
        if not source.endswith("in httk 2.7.4") or key in (
            "molar_mass",
            "pka_acid",
            "pka_base",
            "absorption_rate",
        ):
            continue
        species, _, field = key.rpartition(".")
        ours, theirs = (
            (c.species_values[species][field], table.species_values[species][field])
            if species
            else (getattr(c, field), getattr(table, field))
        )
        # log P is given to two decimals, all else as it stands there
        rounded = {"rel": 0, "abs": 5e-3} if key == "log_p" else {"rel": 1e-12}
        assert ours == pytest.approx(theirs, **rounded), key
        compared += 1
    assert compared >= 1  # the others stand in papers and labels


@pytest.mark.parametrize(
    "name", [n for n in CURATED if get_compound(n).clint_hepatocyte is not None]
)
def test_renal_clearance_beside_in_vitro_clearance_is_the_measured_one(name):
    """Plain filtration (a fraction of 1) would by itself clear theophylline and caffeine faster than whole people do."""
    c = get_compound(name)
    renal = c.gfr_fraction * c.fraction_unbound_plasma * 7.5  # L/h
    assert renal == pytest.approx(
        c.fraction_excreted_renal * c.clearance_plasma * 73 * 0.06, rel=5e-3
    )  # 3 digits


def test_at_least_three_curated_drugs_have_an_animal_clearance():
    have = [
        n
        for n in CURATED
        if any("clearance_plasma" in v for v in get_compound(n).species_values.values())
    ]
    assert len(have) >= 3


# ------------------------------------------------------------------ names
@pytest.mark.parametrize(
    "name",
    ["midazolam", "MIDAZOLAM", " Midazolam ", "59467-70-8", "DTXSID5023320", "dtxsid5023320"],
)
def test_one_compound_has_many_names(name):
    assert get_compound(name).name == "midazolam"


def test_an_alias_finds_its_compound():
    assert get_compound("thiopentone").name == "thiopental"


def test_the_collection_can_be_chosen():
    assert get_compound("midazolam", collection="httk").clearance_plasma is None
    with pytest.raises(UnknownNameError):
        get_compound("bisphenol-a", collection="curated")
    with pytest.raises(UnknownNameError, match="curated"):
        get_compound("midazolam", collection="curatd")


@pytest.mark.parametrize(
    ("name", "nearest"), [("midazolm", "[Mm]idazolam"), ("teophylline", "[Tt]heophylline")]
)
def test_an_unknown_compound_suggests_the_nearest(name, nearest):
    with pytest.raises(UnknownNameError, match=nearest):
        get_compound(name)
    with pytest.raises(UnknownNameError):
        get_compound(3)


def test_given_values_take_the_place_of_known_ones():
    assert get_compound("midazolam", fraction_unbound_plasma="2 %").fraction_unbound_plasma == 0.02
    assert get_compound("bisphenol-a", log_p=3).log_p == 3


# ------------------------------------------------------------------ httk
def test_the_whole_httk_table_becomes_compounds():
    refused = []
    for number in range(len(httk_table().rows)):
        try:
            c = httk_compound(number)
        except InputError as err:
            assert err.field == "molar_mass"
            refused.append(err.subject)
            c = httk_compound(number, molar_mass=100)
        assert c.molar_mass > 0
    assert len(httk_table().rows) == 2815
    assert len(refused) == 5, refused


def test_a_missing_molar_mass_is_refused_aloud_and_can_be_given():
    with pytest.raises(InputError, match=r"molar_mass \(subject Gentamicin\).*get_compound"):
        get_compound("gentamicin")
    assert get_compound("gentamicin", molar_mass="477.6 g/mol").molar_mass == pytest.approx(477.6)


def test_a_reported_distribution_gives_its_value():
    c = get_compound("warfarin", collection="httk")  # "0.01327,0.01262,0.01392"
    assert c.fraction_unbound_plasma == 0.01327
    assert c.sources["fraction_unbound_plasma"] == "Paini 2020, in httk 2.7.4"


def test_an_insignificant_clearance_is_zero_with_a_note():
    c = get_compound("erythromycin", collection="httk")
    assert c.clint_hepatocyte == 0
    assert any("p = 0.0683" in note for note in c.notes)


def test_a_fraction_unbound_below_detection_is_left_out_with_a_note():
    c = get_compound("2971-36-0")
    assert c.fraction_unbound_plasma is None
    assert any("below the limit of detection" in note for note in c.notes)


def test_slips_of_the_table_are_left_out_with_a_note():
    notes = [n for i in range(2815) if httk_table().rows[i][4] not in ("", "0") for n in _notes(i)]
    assert sum("not a fraction, left out" in n for n in notes) == 5
    assert any("No analytical method" in n for n in notes)


def _notes(i):
    try:
        return httk_compound(i).notes
    except InputError:
        return ()


def test_species_values_of_the_table_are_there():
    rat = get_compound("midazolam", collection="httk").for_species("rat")
    assert (rat.fraction_unbound_plasma, rat.blood_to_plasma_ratio, rat.clint_hepatocyte) == (
        0.07,
        0.55,
        95.83,
    )
    assert rat.sources["clint_hepatocyte"] == "Wood 2017, in httk 2.7.4"


# ------------------------------------------------------------------ search
def test_search_returns_plain_rows_best_first():
    rows = search_compounds("midaz")
    assert rows[0]["name"] == "midazolam" and rows[0]["collection"] == "curated"
    assert any(r["name"] == "Hydroxymidazolam" for r in rows)
    assert [r["cas"] for r in rows].count("59467-70-8") == 1
    assert set(rows[0]) == {"name", "collection", "cas", "dtxsid", "formula", "molar_mass", "has"}


def test_search_finds_identifiers_and_can_be_limited():
    assert search_compounds("59467-70-8")[0]["name"] == "midazolam"
    assert search_compounds("no such thing at all") == []
    assert len(search_compounds("", limit=7)) == 7
    assert all(r["collection"] == "curated" for r in search_compounds("", curated=True))


def test_lists_do_not_name_a_compound_twice():
    names = [n.lower() for n in list_compounds()]
    assert len(set(names)) == len(names)
    assert len(names) == len(CURATED) + len(list_compounds(curated=False))


# ------------------------------------------------------------------ files
TOML = """
name = "mine"
molar_mass = "325.8 g/mol"
fraction_unbound_plasma = "3 %"
clint_hepatocyte = "20 uL/min/1e6 cells"
[kp]
liver = 4.0
[species_values.rat]
fraction_unbound_plasma = 0.06
[sources]
fraction_unbound_plasma = "our report"
"""
YAML = """
name: mine
molar_mass: 325.8 g/mol
fraction_unbound_plasma: 3 %
clint_hepatocyte: 20 uL/min/1e6 cells
kp: {liver: 4.0}
species_values: {rat: {fraction_unbound_plasma: 0.06}}
sources: {fraction_unbound_plasma: our report}
"""


def test_toml_and_yaml_files_say_the_same(tmp_path):
    (tmp_path / "a.toml").write_text(TOML)
    (tmp_path / "a.yaml").write_text(YAML)
    c = load_compound_file(tmp_path / "a.toml")
    assert c == load_compound_file(str(tmp_path / "a.yaml"))
    assert (
        c.molar_mass == pytest.approx(325.8)
        and c.for_species("rat").fraction_unbound_plasma == 0.06
    )


def test_a_file_may_start_from_a_known_compound(tmp_path):
    (tmp_path / "b.yaml").write_text(
        "base: midazolam\nname: my midazolam\nclearance_plasma: 0.3 L/h/kg\n"
    )
    c = load_compound_file(tmp_path / "b.yaml")
    assert c.name == "my midazolam" and c.clearance_plasma == pytest.approx(5.0)
    assert c.log_p == get_compound("midazolam").log_p
    assert "clearance_plasma" not in c.sources


def test_a_compound_table_in_a_file_is_read(tmp_path):
    (tmp_path / "c.toml").write_text('[[compound]]\nname = "mine"\nmolar_mass = 3.0\n')
    assert load_compound_file(tmp_path / "c.toml").molar_mass == 3


@pytest.mark.parametrize(
    ("name", "text", "error", "match"),
    [
        ("a.toml", "name = ", FileFormatError, "TOML"),
        ("a.yaml", "a: [1", FileFormatError, "YAML"),
        ("a.yaml", "- 1\n- 2\n", FileFormatError, "table of fields"),
        ("a.txt", "name: x", InputError, r"\.toml"),
        ("a.toml", 'name = "x"\nlogp = 1', UnknownNameError, "log_p"),
        ("a.yaml", "name: x\nmolar_mass: -3", InputError, "molar_mass"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, name, text, error, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=match):
        load_compound_file(tmp_path / name)


def test_an_error_in_a_file_names_the_file(tmp_path):
    (tmp_path / "bad.toml").write_text('name = "x"\nmolar_mass = -3')
    with pytest.raises(InputError) as caught:
        load_compound_file(tmp_path / "bad.toml")
    assert any("bad.toml" in note for note in caught.value.__notes__)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="nowhere"):
        load_compound_file(tmp_path / "nowhere.toml")


# ------------------------------------------------------------------ Datasets
def test_compounds_survive_a_dataset_and_netcdf(tmp_path):
    items = [get_compound(n) for n in ("midazolam", "warfarin", "ofloxacin", "bisphenol-a")]
    ds = compounds_to_dataset(items)
    validate(ds, "compound")
    assert compounds_from_dataset(ds) == items
    ds.to_netcdf(tmp_path / "c.nc")
    with xr.open_dataset(tmp_path / "c.nc") as back:
        assert compounds_from_dataset(back) == items


def test_an_edited_variable_wins_over_the_record():
    ds = compounds_to_dataset(get_compound("midazolam"))
    ds["fraction_unbound_plasma"][0] = 0.02
    assert compounds_from_dataset(ds)[0].fraction_unbound_plasma == 0.02


def test_a_minimal_dataset_is_enough():
    ds = xr.Dataset(
        {"molar_mass": ("compound", [300.0]), "fraction_unbound_plasma": ("compound", [np.nan])},
        coords={"compound": ["x"]},
    )
    assert compounds_from_dataset(ds) == [Compound.create(name="x", molar_mass=300)]
    with pytest.raises(SchemaError, match="molar_mass"):
        compounds_from_dataset(ds.drop_vars("molar_mass"))


def test_two_compounds_of_one_name_are_refused():
    with pytest.raises(InputError, match="different names"):
        compounds_to_dataset([get_compound("midazolam")] * 2)
    with pytest.raises(InputError, match="at least one"):
        compounds_to_dataset([])
