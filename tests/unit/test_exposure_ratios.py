"""Exposure of special populations relative to a reference population."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.results import ratio_table
from pbpk_hybrid.simulation.exposure import scenario_names


def renal_drug() -> ph.Compound:
    """Filtered and nothing else."""
    return ph.Compound.create(
        name="filtered",
        molar_mass=300.0,
        log_p=1.0,
        fraction_unbound_plasma=0.5,
        blood_to_plasma_ratio=1.0,
        clint_hepatocyte=0.0,
        gfr_fraction=1.0,
    )


def test_of_a_drug_that_is_only_filtered_the_ratio_is_that_of_the_gfr():
    people = ph.sample_population(5, seed=2, age=(20, 40), egfr=(80, 130))
    found = ph.exposure_ratios(
        renal_drug(), "100 mg iv", ["severe renal impairment"], reference=people, seed=1
    )
    impaired = ph.with_renal_impairment(people, "severe")
    expected = people["gfr"].values / impaired["gfr"].values
    np.testing.assert_allclose(found["auc_ratio"].values[0], expected, rtol=5e-3)


def test_phenotypes_of_the_drugs_own_enzymes_are_offered_and_go_the_right_way():
    names = scenario_names("metoprolol")
    assert "CYP2D6 poor" in names and "CYP2C9 poor" not in names
    found = ph.exposure_ratios(
        "metoprolol", "100 mg oral", ["CYP2D6 poor", "CYP2D6 ultrarapid"], n=4, seed=1
    )
    poor, fast = found["auc_ratio"].values
    assert (poor > 2).all() and (fast < 1).all()
    table = ratio_table(found)
    assert list(table["group"].unique()) == ["phenotype"]
    assert ((table["low"] <= table["ratio"]) & (table["ratio"] <= table["high"])).all()


def test_own_populations_are_compared_with_the_mean_of_the_reference():
    reference = ph.sample_population(6, seed=3)
    same = ph.exposure_ratios(
        "caffeine", "100 mg oral", {"the same people": reference}, reference=reference, seed=1
    )
    row = ratio_table(same).iloc[0]
    assert row["ratio"] == pytest.approx(1.0, rel=1e-9)
    assert row["low"] < 1 < row["high"]


def test_one_seed_gives_the_same_numbers():
    given = ("midazolam", "7.5 mg oral", ["65 to 79 years"])
    one, other = (ph.exposure_ratios(*given, n=4, seed=5) for _ in range(2))
    assert one.equals(other)


def test_children_need_doses_per_kilogram():
    with pytest.raises(ph.InputError, match="per kg"):
        ph.exposure_ratios("midazolam", "7.5 mg oral", ["2 to 5 years"], n=3, seed=1)
    found = ph.exposure_ratios("midazolam", "0.1 mg/kg oral", ["2 to 5 years"], n=3, seed=1)
    assert np.isfinite(found["auc_ratio"]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scenarios": ["severe kidney disease"]}, "severe renal impairment"),
        ({"scenarios": ["CYP2D6 poor"]}, "CYP2D6 poor"),
        ({"scenarios": []}, "at least one"),
        ({"scenarios": 3}, "names"),
        ({"n": 1}, "whole number"),
        ({"seed": -1}, "seed"),
        ({"times": [1, 2]}, "times"),
        ({"compartment": "livr"}, "liver"),
        ({"reference": ph.reference_individual("rat")}, "people"),
        ({"scenarios": {"rats": ph.reference_individual("rat")}}, "people"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(change, words):
    arguments = {"scenarios": ["65 to 79 years"], "n": 3, "seed": 1} | change
    with pytest.raises(ph.InputError, match=words):
        ph.exposure_ratios("caffeine", "100 mg oral", **arguments)
