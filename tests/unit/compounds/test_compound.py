"""`Compound`: units in, checked values out; every refusal names the field and the way out."""

from __future__ import annotations

import dataclasses
import pickle

import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbpk_hybrid._core.errors import InputError, UnitError, UnknownNameError
from pbpk_hybrid.compounds import Compound, SaturablePathway, _fields
from pbpk_hybrid.compounds.compound import field_names
from pbpk_hybrid.physiology import organs


def make(**values):
    return Compound.create(**{"name": "test", "molar_mass": 300.0, **values})


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("molar_mass", "0.3 kg/mol", 300.0),
        ("molar_mass", 300, 300.0),
        ("fraction_unbound_plasma", "3 %", 0.03),
        ("fraction_unbound_plasma", "0.03", 0.03),
        ("clint_hepatocyte", 20, 20.0),
        ("clint_hepatocyte", "20 uL/min/1e6 cells", 20.0),
        ("clint_hepatocyte", "20 µL/min/10^6 cells", 20.0),
        ("clint_hepatocyte", "20 µL/min/million cells", 20.0),
        ("clint_hepatocyte", "0.02 mL/min/1e6 hepatocytes", 20.0),
        ("clint_hepatocyte", "1.2 mL/h/million_cells", 20.0),
        ("clint_microsome", "8 µL/min/mg protein", 8.0),
        ("clint_microsome", "8 uL/min/mg microsomal protein", 8.0),
        ("clint_microsome", "0.48 mL/h/mg", 8.0),
        ("clearance_plasma", "0.3 L/h/kg", 5.0),
        ("clearance_plasma", "5 mL/min/kg body weight", 5.0),
        ("absorption_rate", "0.02 /min", 1.2),
        ("absorption_rate", "1.2 1/h", 1.2),
        ("absorption_lag_time", "15 min", 0.25),
        ("caco2_permeability", "23e-6 cm/s", 23.0),
        ("caco2_permeability", "2.3 x 10^-5 cm/s", 23.0),
        ("caco2_permeability", "230 nm/s", 23.0),
        ("caco2_permeability", 23, 23.0),
        ("transit_compartments", 3, 3),
    ],
)
def test_a_value_arrives_in_the_documented_unit(field, text, value):
    assert getattr(make(**{field: text}), field) == pytest.approx(value, rel=1e-12)


def test_pint_quantities_are_converted():
    q = pint.UnitRegistry().Quantity
    c = make(clearance_plasma=q(0.3, "L/h/kg"), caco2_permeability=q(2.3e-5, "cm/s"))
    assert c.clearance_plasma == pytest.approx(5.0)
    assert c.caco2_permeability == pytest.approx(23.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("molar_mass", 0),
        ("molar_mass", -1),
        ("molar_mass", float("nan")),
        ("molar_mass", float("inf")),
        ("fraction_unbound_plasma", 0),
        ("fraction_unbound_plasma", 1.01),
        ("fraction_unbound_plasma", -0.1),
        ("fraction_unbound_hepatocyte", 0),
        ("fraction_unbound_microsome", 2),
        ("blood_to_plasma_ratio", 0),
        ("clint_hepatocyte", -1),
        ("clearance_plasma", -1),
        ("absorption_rate", 0),
        ("fraction_absorbed", 1.2),
        ("fraction_gut", -0.1),
        ("absorption_lag_time", -1),
        ("transit_compartments", 2.5),
        ("transit_compartments", -1),
        ("transit_rate", 0),
        ("gfr_fraction", -1),
        ("log_p", 99),
        ("pka_acid", ["a"]),
        ("pka_base", [float("nan")]),
        ("molar_mass", True),
        ("kp", {"liver": 0}),
        ("kp", 3),
        ("saturable", "CYP3A4"),
        ("saturable", [3]),
        ("sources", "me"),
        ("notes", 3),
        ("species_values", [1]),
        ("species_values", {"rat": 1}),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(InputError) as caught:
        make(**{field: value})
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("molar_mass", "300 L/h"),
        ("clint_hepatocyte", "20 uL/min"),
        ("clint_hepatocyte", "20 uL/min/mg"),
        ("clint_microsome", "8 uL/min/1e6 cells"),
        ("clearance_plasma", "80 mL/min"),
        ("absorption_rate", "2 h"),
        ("caco2_permeability", "20 cm"),
        ("fraction_unbound_plasma", "little"),
        ("caco2_permeability", "23"),  # nm/s and cm/s are as usual as 1e-6 cm/s
    ],
)
def test_a_wrong_unit_is_refused_by_name(field, value):
    with pytest.raises(UnitError, match=field):
        make(**{field: value})


@pytest.mark.parametrize(
    ("values", "suggestion"),
    [
        ({"fraction_unbound_plasm": 0.1}, "fraction_unbound_plasma"),
        ({"kp": {"livre": 2}}, "liver"),
        ({"kp": {"venous_blood": 2}}, "arterial_blood|known|tissue|organ"),
        ({"hepatic_model": "well_stired"}, "well_stirred"),
        ({"partition_method": "rogers_rowland"}, "rodgers_rowland"),
        ({"species": "humn"}, "human"),
        ({"species_values": {"ratt": {"log_p": 1}}}, "rat"),
        ({"species_values": {"rat": {"clearance": 1}}}, "clearance_plasma"),
        ({"sources": {"log_q": "me"}}, "log_p"),
        ({"saturable": [{"name": "a", "organ": "livr", "vmax": 1, "km": 1}]}, "liver"),
        ({"saturable": [{"name": "a", "vmx": 1, "km": 1}]}, "vmax"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(values, suggestion):
    with pytest.raises(UnknownNameError, match=suggestion):
        make(**values)


@pytest.mark.parametrize("name", [None, "", "  ", 3])
def test_a_compound_needs_a_name(name):
    with pytest.raises(InputError, match="name"):
        Compound.create(name=name)


def test_methods_forgive_capitals_and_hyphens():
    assert make(partition_method="Rodgers-Rowland").partition_method == "rodgers_rowland"
    assert make(hepatic_model="parallel tube").hepatic_model == "parallel_tube"


def test_values_that_contradict_each_other_are_refused():
    with pytest.raises(InputError, match="clearance_plasma"):
        make(clearance_basis="in_vivo")
    with pytest.raises(InputError, match="clint_hepatocyte"):
        make(clearance_basis="in_vitro", clearance_plasma=5)
    with pytest.raises(InputError, match="gfr_fraction"):
        make(fraction_excreted_renal=0.5)
    with pytest.raises(InputError, match="kp"):
        make(partition_method="measured")


# ------------------------------------------------------------------ saturable pathways
def test_molar_kinetics_need_the_molar_mass():
    path = {"name": "CYP3A4", "vmax": "2 umol/h/kg", "km": "3 uM"}
    c = make(saturable=path)
    assert c.saturable == (
        SaturablePathway(
            name="CYP3A4", organ="liver", vmax=pytest.approx(0.6), km=pytest.approx(0.9)
        ),
    )
    with pytest.raises(UnitError, match=r"saturable\[0\].vmax"):
        Compound.create(name="test", saturable=path)


@pytest.mark.parametrize("missing", ["name", "vmax", "km"])
def test_a_pathway_needs_all_its_values(missing):
    path = {"name": "a", "vmax": 1, "km": 1}
    del path[missing]
    with pytest.raises(InputError, match=missing):
        make(saturable=[path])


def test_two_pathways_of_one_name_in_one_organ_are_refused():
    with pytest.raises(InputError, match="different names"):
        make(saturable=[{"name": "a", "vmax": 1, "km": 1}, {"name": "a", "vmax": 2, "km": 1}])


# ------------------------------------------------------------------ behaviour
def full():
    return make(
        log_p=2.5,
        pka_acid=[9, 4],
        pka_base="8.1, 3",
        fraction_unbound_plasma=0.1,
        blood_to_plasma_ratio=0.8,
        clint_hepatocyte=12,
        clearance_plasma=5,
        fraction_excreted_renal=0.2,
        clearance_basis="in_vitro",
        saturable=[{"name": "x", "organ": "gut", "vmax": 1, "km": 2}],
        kp={"liver": 3, "brain": 0.2},
        species_values={
            "rat": {"fraction_unbound_plasma": "20 %", "clearance_plasma": 40, "kp": {"liver": 4}},
            "dog": {"pka_acid": [4.2]},
        },
        sources={"log_p": "book", "clearance_plasma": "man", "rat.clearance_plasma": "rat paper"},
        notes="a note",
        identifiers={"cas": "1-2-3"},
        aliases=["other"],
        transit_compartments=4,
        transit_rate=3,
    )


def test_sites_are_sorted():
    assert full().pka_acid == (4.0, 9.0) and full().pka_base == (3.0, 8.1)


def test_dictionary_and_pickle_round_trips_are_exact():
    c = full()
    assert Compound.from_dict(c.to_dict()) == c
    assert pickle.loads(pickle.dumps(c)) == c
    assert hash(pickle.loads(pickle.dumps(c))) == hash(c)


def test_a_dictionary_holds_plain_values_only():
    def plain(value):
        if isinstance(value, dict):
            return all(plain(v) for v in value.values())
        if isinstance(value, list):
            return all(plain(v) for v in value)
        return type(value) in (str, int, float)

    assert plain(full().to_dict())


def test_a_compound_cannot_be_changed():
    c = full()
    with pytest.raises(dataclasses.FrozenInstanceError):
        c.log_p = 3
    with pytest.raises(TypeError):
        c.kp["liver"] = 5


def test_replace_checks_and_drops_the_citation_of_what_changed():
    c = full().replace(log_p="3", fraction_gut=0.5)
    assert c.log_p == 3 and c.fraction_gut == 0.5
    assert "log_p" not in c.sources and c.sources["clearance_plasma"] == "man"
    with pytest.raises(InputError, match="fraction_gut"):
        full().replace(fraction_gut=2)
    with pytest.raises(UnknownNameError, match="fraction_gut"):
        full().replace(fraction_gutt=1)
    assert full().replace(log_p=None).log_p is None


def test_for_species_puts_the_species_values_in_with_their_citation():
    rat = full().for_species("rat")
    assert (rat.species, rat.fraction_unbound_plasma, rat.clearance_plasma) == ("rat", 0.2, 40)
    assert dict(rat.kp) == {"liver": 4}
    assert rat.log_p == 2.5
    assert rat.sources["clearance_plasma"] == "rat paper" and rat.sources["log_p"] == "book"


def test_a_clearance_measured_in_one_species_is_never_given_to_another():
    dog = full().for_species("dog")
    assert dog.clearance_plasma is None and dog.fraction_excreted_renal is None
    assert "clearance_plasma" not in dog.sources
    assert full().for_species("human").clearance_plasma == 5
    assert (
        make(clearance_plasma=5, clearance_basis="in_vivo").for_species("rat").clearance_basis
        is None
    )


def test_the_clearance_basis_prefers_in_vivo():
    assert make(clearance_plasma=5, clint_hepatocyte=2).resolved_clearance_basis == "in_vivo"
    assert make(clint_microsome=2).resolved_clearance_basis == "in_vitro"
    assert full().resolved_clearance_basis == "in_vitro"
    assert make().resolved_clearance_basis is None


@pytest.mark.parametrize(
    ("acid", "base", "kind"),
    [((), (), "neutral"), ((4,), (), "acid"), ((), (9,), "base"), ((4,), (9,), "ampholyte")],
)
def test_ionisation_class(acid, base, kind):
    assert make(pka_acid=acid, pka_base=base).ionisation_class == kind


@given(st.floats(1e-6, 1), st.floats(-4, 8), st.floats(0.1, 5), st.floats(0, 1e4))
def test_any_valid_numbers_survive_a_round_trip(fu, log_p, bp, clint):
    c = make(
        fraction_unbound_plasma=fu, log_p=log_p, blood_to_plasma_ratio=bp, clint_hepatocyte=clint
    )
    assert (c.fraction_unbound_plasma, c.log_p, c.blood_to_plasma_ratio, c.clint_hepatocyte) == (
        fu,
        log_p,
        bp,
        clint,
    )
    assert Compound.from_dict(c.to_dict()) == c


def test_names_are_those_of_the_physiology_room():
    assert _fields.SPECIES == organs.SPECIES
    assert _fields.ORGANS == organs.ORGANS
    assert _fields.TISSUES == organs.TISSUES


def test_every_numeric_field_is_a_field():
    assert set(_fields.NUMBERS) <= set(field_names())
