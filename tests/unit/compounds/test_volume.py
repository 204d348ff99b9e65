"""A measured volume of distribution: read, kept, never lent to another species."""

from __future__ import annotations

import pytest

from pbpk_hybrid._core.errors import InputError, UnitError, UnknownNameError
from pbpk_hybrid.compounds import (
    Compound,
    compounds_from_dataset,
    compounds_to_dataset,
    get_compound,
)


def make(**values):
    return Compound.create(**{"name": "test", "molar_mass": 300.0, **values})


@pytest.mark.parametrize(
    ("given", "value"), [(4, 4.0), ("4 L/kg", 4.0), ("400 mL/kg", 0.4), ("0.5 dm^3/kg", 0.5)]
)
def test_a_volume_arrives_in_litres_per_kilogram(given, value):
    assert make(volume_steady_state=given).volume_steady_state == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (0, InputError),
        (-1, InputError),
        (float("nan"), InputError),
        ("4 L", UnitError),
        ("4 kg/L", UnitError),
    ],
)
def test_a_volume_that_cannot_be_is_refused_by_name(given, error):
    with pytest.raises(error, match="volume_steady_state"):
        make(volume_steady_state=given)


def test_the_basis_is_predicted_unless_said_otherwise():
    assert make(volume_steady_state=4).distribution_basis == "predicted"
    assert make(volume_steady_state=4, distribution_basis="In-vivo").distribution_basis == "in_vivo"
    with pytest.raises(UnknownNameError, match="in_vivo"):
        make(volume_steady_state=4, distribution_basis="in_viva")
    with pytest.raises(InputError, match="volume_steady_state"):
        make(distribution_basis="in_vivo")
    with pytest.raises(InputError, match="volume_steady_state"):
        make(volume_steady_state=4, distribution_basis="in_vivo").replace(volume_steady_state=None)


def test_a_volume_measured_in_one_species_is_never_given_to_another():
    c = make(
        volume_steady_state=4,
        distribution_basis="in_vivo",
        sources={"volume_steady_state": "man", "rat.volume_steady_state": "r"},
        species_values={"rat": {"volume_steady_state": "2 L/kg"}, "dog": {"log_p": 2}},
    )
    dog, rat, man = (c.for_species(s) for s in ("dog", "rat", "human"))
    assert (dog.volume_steady_state, dog.distribution_basis) == (None, "predicted")
    assert "volume_steady_state" not in dog.sources
    assert (
        rat.volume_steady_state,
        rat.distribution_basis,
        rat.sources["volume_steady_state"],
    ) == (2, "in_vivo", "r")
    assert (
        man.volume_steady_state,
        man.distribution_basis,
        man.sources["volume_steady_state"],
    ) == (4, "in_vivo", "man")


def test_a_species_may_have_a_basis_of_its_own():
    c = make(
        volume_steady_state=4,
        species_values={"rat": {"volume_steady_state": 2, "distribution_basis": "in_vivo"}},
    )
    assert c.for_species("rat").distribution_basis == "in_vivo"
    assert c.for_species("human").distribution_basis == "predicted"


def test_volume_and_basis_survive_dictionaries_replacement_and_datasets():
    c = make(
        volume_steady_state=4, distribution_basis="in_vivo", sources={"volume_steady_state": "man"}
    )
    assert Compound.from_dict(c.to_dict()) == c
    assert "distribution_basis" not in make().to_dict()  # a default is not written
    assert c.replace(log_p=2).sources["volume_steady_state"] == "man"
    changed = c.replace(volume_steady_state="3 L/kg")
    assert (changed.volume_steady_state, changed.distribution_basis) == (3, "in_vivo")
    assert "volume_steady_state" not in changed.sources  # the number is no longer the cited one
    ds = compounds_to_dataset([c, make(name="other")])
    assert ds["volume_steady_state"].attrs["units"] == "L/kg"
    assert compounds_from_dataset(ds) == [c, make(name="other")]
    ds["volume_steady_state"][0] = 5.0
    assert compounds_from_dataset(ds)[0].volume_steady_state == 5


def test_curated_drugs_use_their_measured_volume_where_that_was_validated_best():
    from pbpk_hybrid.compounds import list_compounds

    compounds = [get_compound(n) for n in list_compounds(curated=True)]
    # a metabolite that nobody was given has no measured volume
    formed = {m.metabolite for c in compounds for m in c.metabolism}
    assert all(c.volume_steady_state is not None for c in compounds if c.name not in formed)
    # the table of benchmarks/validation/README.md; tests/traps/test_defaults.py holds each file to its own numbers
    predicted = [c.name for c in compounds if c.distribution_basis == "predicted"]
    assert predicted == [
        "alfentanil",
        "caffeine",
        "carbamazepine",
        "hydroxyitraconazole",
        "itraconazole",
        "omeprazole",
        "sufentanil",
    ]
    assert any(
        "Na,K-ATPase" in note and "binding_organs" in note for note in get_compound("digoxin").notes
    )
