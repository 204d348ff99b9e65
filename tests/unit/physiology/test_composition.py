"""Tissue composition: complete, traceable, physically possible, and equal to the shipped tables."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.errors import UnknownNameError
from pbpk_hybrid.physiology import METHODS, ORGANS, SPECIES, tissue_composition
from pbpk_hybrid.physiology.organs import BLOOD_POOLS, TISSUES
from pbpk_hybrid.physiology.tables.composition import COMPOSITION_ORGANS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("species", SPECIES)
def test_every_tissue_has_every_value_and_a_source(species, method):
    ds = tissue_composition(species, method)
    assert tuple(ds["organ"].values) == COMPOSITION_ORGANS
    assert set(ORGANS) - set(BLOOD_POOLS) <= set(COMPOSITION_ORGANS)
    tissues = ds.sel(organ=list(TISSUES))
    for name, values in tissues.items():
        assert np.isfinite(values).all(), name
        assert ds[name].attrs["units"]
        assert ds[name].attrs["long_name"]
    assert all(len(str(text)) > 10 for text in ds["source"].values)
    assert ds.attrs["composition_species"] in ("rat", "human")
    assert ("note" in ds.attrs) == (ds.attrs["composition_species"] != species)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("species", SPECIES)
def test_fractions_are_fractions_and_do_not_exceed_the_whole(species, method):
    ds = tissue_composition(species, method)
    for name, values in ds.items():
        if name.startswith("fraction_"):
            v = values.values[np.isfinite(values.values)]
            assert ((v >= 0) & (v <= 1)).all(), name
    if method == "rodgers_rowland":
        parts = (
            "neutral_lipid",
            "neutral_phospholipid",
            "extracellular_water",
            "intracellular_water",
        )
    elif method == "schmitt":
        parts = ("cells", "interstitium")
    else:
        parts = ("water", "neutral_lipid", "phospholipid")
    total = sum(ds[f"fraction_{part}"] for part in parts).sel(organ=list(TISSUES))
    # adipose of Rodgers & Rowland sums to 1.0066 as published
    assert float(total.max()) <= 1.01


def test_rat_liver_of_rodgers_and_rowland_is_as_published():
    liver = tissue_composition("rat", "rodgers_rowland").sel(organ="liver")
    published = {
        "fraction_neutral_lipid": 0.014,
        "fraction_neutral_phospholipid": 0.0240,
        "fraction_extracellular_water": 0.161,
        "fraction_intracellular_water": 0.573,
        "acidic_phospholipid": 4.56,
        "albumin_ratio": 0.086,
        "lipoprotein_ratio": 0.161,
    }
    assert {name: float(liver[name]) for name in published} == published
    assert float(liver["fraction_vascular"]) == 0.115


def test_human_muscle_and_plasma_of_poulin_and_theil_are_as_published():
    ds = tissue_composition("human", "poulin_theil")
    names = ("fraction_water", "fraction_neutral_lipid", "fraction_phospholipid")
    assert [float(ds[n].sel(organ="muscle")) for n in names] == [0.76, 0.0238, 0.0072]
    assert [float(ds[n].sel(organ="plasma")) for n in names] == [0.945, 0.0035, 0.00225]


def test_animal_composition_of_poulin_and_theil_joins_the_two_kinds_of_phospholipid():
    rat, rr = (
        tissue_composition("rat", "poulin_theil"),
        tissue_composition("rat", "rodgers_rowland"),
    )
    expected = rr["fraction_neutral_phospholipid"] + rr["acidic_phospholipid"] / 1000
    tissue = list(TISSUES)
    np.testing.assert_allclose(
        rat["fraction_phospholipid"].sel(organ=tissue), expected.sel(organ=tissue), rtol=1e-12
    )


def test_berezhkovskiy_uses_the_table_of_poulin_and_theil():
    a, b = (tissue_composition("human", m) for m in ("poulin_theil", "berezhkovskiy"))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_schmitt_differs_between_rat_and_human_and_uses_human_for_the_dog():
    rat, human, dog = (tissue_composition(s, "schmitt") for s in ("rat", "human", "dog"))
    assert float(human["fraction_cells"].sel(organ="skin")) == 0.4
    assert float(rat["fraction_cells"].sel(organ="skin")) == 0.681
    tissue = list(TISSUES)
    np.testing.assert_array_equal(
        dog["fraction_cells"].sel(organ=tissue), human["fraction_cells"].sel(organ=tissue)
    )
    # plasma protein is the dog's own
    assert float(dog["fraction_protein_cells"].sel(organ="plasma")) == 0.09


@pytest.mark.parametrize("method", METHODS)
def test_stand_ins_are_named_and_equal_their_tissue(method):
    ds = tissue_composition("human", method)
    named = {
        str(o): str(s) for o, s in zip(ds["organ"].values, ds["stand_in"].values, strict=True) if s
    }
    assert named["stomach"] == "gut"
    assert named["rest"] == "muscle"
    for organ, other in named.items():
        if other in TISSUES:
            for name in ds:
                assert float(ds[name].sel(organ=organ)) == float(ds[name].sel(organ=other))


@pytest.mark.parametrize(
    ("args", "hint"), [(("humn", "schmitt"), "human"), (("rat", "rodgers"), "rodgers_rowland")]
)
def test_unknown_names_are_refused_with_suggestions(args, hint):
    with pytest.raises(UnknownNameError, match=hint):
        tissue_composition(*args)
