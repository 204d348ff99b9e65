"""Each known slip of the upstream tables: the raw table still has it, the package does not."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid.physiology import SPECIES, reference_individual
from pbpk_hybrid.physiology.adults import regressions
from pbpk_hybrid.physiology.tables.corrections import (
    CORRECTIONS,
    httk_rate,
    mcnally_reference_mass,
    notes,
)
from pbpk_hybrid.physiology.tables.files import (
    compphysiol,
    httk_physiology,
    httk_tissue,
    mcnally,
    rows,
)


@pytest.mark.parametrize(
    ("species", "parameter", "raw", "round_value"),
    [
        ("rabbit", "Cardiac Output", 212, 530.0),
        ("rabbit", "GFR", 3.12, 7.8),
        ("rabbit", "Urine", 0.0417, 0.10425),
        ("monkey", "GFR", 2.08, 10.4),
    ],
)
def test_rows_labelled_per_three_quarters_but_given_per_kg_are_used_per_kg(
    species, parameter, raw, round_value
):
    assert httk_physiology(species)[parameter] == raw  # untouched
    assert httk_rate(species, parameter) == pytest.approx(round_value, rel=1e-12)


def test_rows_that_are_per_three_quarters_stay_so():
    # the monkey's cardiac output is labelled rightly: 324.8 x 5^0.75 = 1086 mL/min
    assert httk_rate("monkey", "Cardiac Output") == pytest.approx(1086, rel=1e-3)
    assert httk_rate("dog", "GFR") == pytest.approx(61.3, rel=1e-3)


def test_woman_has_the_skin_of_icrp_not_the_mans():
    assert float(mcnally("female")["Skin"]["mass_ref"]) == 3.3  # raw
    assert mcnally_reference_mass("female", "Skin") == 2.3
    assert mcnally_reference_mass("male", "Skin") == 3.3
    woman = reference_individual("human", "female")
    assert (woman["volume"] * woman["density"]).sel(organ="skin").item() == pytest.approx(
        2.3, rel=1e-12
    )


def test_yellow_marrow_is_counted_once():
    raw = {k: v for k, (v, _) in compphysiol("human35m", "OWtis").items()}
    man = reference_individual("human")
    mass = (man["volume"] * man["density"]).isel(subject=0)
    assert mass.sel(organ="adipose").item() == pytest.approx(
        (raw["adipose_tissue"] - raw["marrow_inactive"]) / 1000, rel=1e-12
    )
    assert mass.sel(organ="bone").item() == pytest.approx(raw["total_skeleton"] / 1000, rel=1e-12)


def test_hepatocellularity_is_a_number_of_cells_not_its_logarithm():
    # Barter et al. 2007 put the geometric mean of adults at 99; its natural logarithm would be 4.6
    assert 60 < regressions.hepatocellularity(np.array([35.0]))[0] < 160
    assert 80 < reference_individual("human")["hepatocellularity"].item() < 160


def test_bone_mineral_has_no_step_at_fifty():
    before, after = regressions.bone_mineral(np.array([False, False]), np.array([49.999, 50.001]))
    assert after == pytest.approx(before, rel=1e-4)
    assert regressions.bone_mineral(np.array([False]), np.array([75.0]))[0] < before


def test_rabbit_flows_keep_davies_and_morris_and_leave_room_for_the_rest():
    raw = {k: v for k, (v, _) in httk_tissue("rabbit", "Flow (mL/min/kg^(3/4))").items()}
    systemic = ("adipose", "bone", "brain", "heart", "kidney", "liver", "muscle", "skin")
    assert sum(raw[t] for t in systemic) * 2.5**0.75 / 530 == pytest.approx(
        1.046, abs=5e-4
    )  # the overshoot
    flow = reference_individual("rabbit")["blood_flow"].isel(subject=0) / 0.06
    for organ, value in {
        "muscle": 155,
        "kidney": 80,
        "heart": 16,
        "adipose": 32,
        "liver": 37,
    }.items():
        assert flow.sel(organ=organ).item() == pytest.approx(value, rel=2e-3)
    assert flow.sel(organ="rest").item() / 530 == pytest.approx(0.05, rel=1e-9)


def test_monkey_has_room_for_the_rest_and_blood_in_its_bone():
    ds = reference_individual("monkey")
    assert (ds["volume"] * ds["density"]).sel(organ="rest").item() / 5 == pytest.approx(
        0.05, rel=1e-9
    )
    assert ds["blood_flow"].sel(organ="bone").item() / ds["cardiac_output"].item() == pytest.approx(
        0.05
    )


@pytest.mark.parametrize(("species", "individual"), [("mouse", "mouse25"), ("rat", "rat250")])
def test_rodent_muscle_flow_is_of_brown(species, individual):
    ds = reference_individual(species)
    share = ds["blood_flow"].sel(organ="muscle").item() / ds["cardiac_output"].item()
    assert share == pytest.approx(compphysiol(individual, "fqbloCO")["mus"][0] / 100, rel=1e-12)


def test_skeleton_is_lighter_than_cortical_bone():
    assert httk_tissue("human", "Density (g/cm^3)")["bone"][0] == 1.976  # raw
    assert reference_individual("human")["density"].sel(organ="bone").item() == 1.36


def test_every_correction_reaches_the_notes_of_its_species():
    for correction in CORRECTIONS:
        for species in SPECIES if correction.species == "all" else (correction.species,):
            assert any(note.startswith(correction.id) for note in notes(species))
            assert correction.id in reference_individual(species).attrs["notes"]


def test_every_row_of_our_own_table_has_unit_and_source():
    table = rows("species_reference")
    assert len(table) > 50
    for row in table:
        assert len(row["source"]) > 15, row
        assert row["unit"], row
        assert float(row["value"]) > 0, row


def test_raw_tables_carry_their_licence_and_source():
    from importlib.resources import files

    data = files("pbpk_hybrid.physiology") / "data"
    for folder in ("httk", "compphysiol", "kpcoeff"):
        assert "copyright" in (data / folder / "LICENSE").read_text().lower()
        assert len((data / folder / "SOURCE.md").read_text()) > 100
    assert (data / "own" / "SOURCE.md").is_file()
