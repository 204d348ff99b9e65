"""Observed concentrations: shipped sets value by value, labels of the collections, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pbpk_hybrid._core.errors import InputError, UnknownNameError
from pbpk_hybrid._core.schemas import validate
from pbpk_hybrid.compounds import list_observations, observations
from pbpk_hybrid.compounds.osp_observations import dosing_times, osp_dose, osp_route

ROOT = Path(__file__).parents[3]
OSP = ROOT / "benchmarks" / "data" / "osp" / "osp_observed_data.csv.gz"
needs_collections = pytest.mark.skipif(
    not OSP.exists(), reason="benchmarks/data is not part of this checkout"
)


@pytest.fixture(autouse=True)
def no_data_folder_of_the_user(monkeypatch):
    monkeypatch.delenv("PBPK_HYBRID_DATA", raising=False)


def test_theophylline_is_twelve_people_with_the_doses_of_the_original():
    ds = validate(observations("theophylline", "shipped"), "observation")
    assert len(set(ds["subject"].values)) == 12 and ds.sizes["sample"] == 132
    first = ds.where(ds["subject"] == "1", drop=True)
    assert first["value"].values[:3] == pytest.approx([0.74, 2.84, 6.57])
    assert first["dose"].values[0] == pytest.approx(4.02 * 79.6)  # 320 mg
    assert set(ds["route"].values) == {"oral"} and set(ds["matrix"].values) == {"serum"}
    assert np.all((ds["dose"] > 260) & (ds["dose"] < 330))


def test_warfarin_is_one_mean_curve_after_15_mg():
    ds = observations("WARFARIN", "shipped")
    assert ds["time"].values.tolist() == [0.5, 1, 2, 4, 8, 12, 24, 32]
    assert ds["value"].values[0] == pytest.approx(0.4724137)
    assert set(ds["dose"].values) == {15.0} and set(ds["subject"].values) == {"mean"}


def test_samples_of_a_profile_stand_together_in_time_order():
    ds = observations("theophylline", "shipped")
    profile = ds["profile"].values
    assert np.sum(profile[1:] != profile[:-1]) == 11
    same = profile[1:] == profile[:-1]
    assert np.all(np.diff(ds["time"].values)[same] >= 0)


def test_refusals_name_what_is_there():
    with pytest.raises(UnknownNameError, match=r"shipped"):
        observations("theophylline", "shiped")
    with pytest.raises(UnknownNameError, match=r"[Tt]heophylline"):
        observations("theophyline")
    with pytest.raises(InputError, match=r"theophylline, warfarin"):
        observations("bisphenol-a", "shipped")


def test_a_collection_that_is_not_there_says_where_it_is_sought(tmp_path):
    with pytest.raises(InputError, match=r"PBPK_HYBRID_DATA"):
        observations("midazolam", "osp", folder=tmp_path)


def test_without_collections_the_shipped_sets_are_still_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PBPK_HYBRID_DATA", str(tmp_path))
    assert set(observations("warfarin")["collection"].values) == {"shipped"}
    assert list_observations() == [
        {"compound": "theophylline", "collection": "shipped", "profiles": 12, "samples": 132},
        {"compound": "warfarin", "collection": "shipped", "profiles": 1, "samples": 8},
    ]


# ------------------------------------------------------------------ labels
@pytest.mark.parametrize(
    ("label", "first_sample", "times", "start"),
    [
        ("0.0", 0.1, "0", 0),
        ("1.0", 1.5, "0", 1),
        ("24.0", 0.25, "0", 0),
        ("0-12-24", 0.5, "0;12;24", 0),
        ("S0-T8-R3", 0.5, "0;8;16", 0),
        ("(S-0,T-24,R-3)", 0.5, "0;24;48", 0),
        ("(S0-T12-R2)-(S48-T24-R2)", 1, "0;12;48;72", 0),
        ("0,S96-24-R2", 1, "", 0),
        ("S12-T24-R2", 12.5, "0;24", 12),
        (None, 0.5, "", 0),
        (float("nan"), 0.5, "", 0),
        ("0-(S-72,T-12,R-2)-432", 0.5, "0;72;84;432", 0),
        ("some words", 0.5, "", 0),
    ],
)
def test_dosing_labels(label, first_sample, times, start):
    assert dosing_times(label, np.array([first_sample, first_sample + 1])) == (times, start)


@pytest.mark.parametrize(
    ("label", "dataset", "mg", "mg_per_kg"),
    [
        ("200 mg", "", 200, None),
        ("15 µg/kg", "", None, 0.015),
        ("0.05 mg/kg", "", None, 0.05),
        ("1 g", "", 1000, None),
        ("250 µg", "", 0.25, None),
        ("50 mg SD", "", 50, None),
        ("40.0", "", 40, None),
        ("0.375", "x_0.375mgkg_IV", None, 0.375),
        ("100, 200 mg", "", None, None),
        ("50 mg BID", "", None, None),
        (None, "", None, None),
        ("unknown", "", None, None),
    ],
)
def test_dose_labels(label, dataset, mg, mg_per_kg):
    expected = [np.nan if v is None else v for v in (mg, mg_per_kg)]
    assert osp_dose(label, dataset) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("route", "form", "dataset", "kind", "duration"),
    [
        ("IV", ".", "x", "iv", np.nan),
        ("IV", "bolus", "x", "iv_bolus", 0),
        ("IV", "i.v. infusion", "x", "iv_infusion", np.nan),
        ("IV_5min_infusion", "", "x", "iv_infusion", 5 / 60),
        ("30-min infusion", "", "x", "iv_infusion", 0.5),
        ("IV", "", "Acocella 1984 - Individual 18 (1200 mg, 1 h infusion)", "iv_infusion", 1.0),
        ("IV", "", "Gérardin 1990 - Subject 1, 2 h IV infusion", "iv_infusion", 2.0),
        ("IV", "", "Austin 1980 - 500 mg over 15 min (Regimen 2)", "iv_infusion", 0.25),
        ("PO", "", "500 mg over 15 min", "oral", 0),
        ("PO", "tablet", "x", "oral", 0),
        ("na", None, "a_iv_b", "iv", np.nan),
        (None, None, "Drug alone po", "oral", 0),
        (None, None, "x", "", np.nan),
    ],
)
def test_route_labels(route, form, dataset, kind, duration):
    got = osp_route(route, form, dataset)
    assert got[0] == kind
    assert got[1] == pytest.approx(duration, nan_ok=True)


# ------------------------------------------------------------------ collections
@needs_collections
def test_osp_profiles_are_in_mg_per_litre_whatever_their_unit():
    ds = observations("midazolam", "osp")
    iv = ds.where((ds["route"] != "oral") & (ds["dose"] <= 10), drop=True)
    assert iv["value"].max() < 5  # 10 mg cannot give more in 2 L and more of plasma
    assert ds["value"].min() >= 0
    assert set(ds["matrix"].values) <= {"plasma", "blood"}


@needs_collections
def test_dirty_labels_of_osp_are_read_by_molecule():
    ds = observations("fluvoxamine", "osp")
    assert set(ds["compound"].values) == {"fluvoxamine"}


@needs_collections
def test_arms_with_another_drug_are_marked():
    ds = observations("alfentanil", "osp")
    for label, mark in zip(ds["profile"].values, ds["interaction"].values, strict=True):
        if "Grapefruit" in label or "+ efavirenz" in label:
            assert mark == 1, label
        if "Control" in label or "alone" in label:
            assert mark == 0, label
    ds = observations("midazolam", "osp")  # Salonen is a name, not "alone"
    cimetidine = np.char.startswith(ds["profile"].values, "Salonen 1986 - 400 mg Cimetidine")
    assert cimetidine.any() and np.all(ds["interaction"].values[cimetidine] == 1)
    ds = observations("digoxin", "osp")  # St John's wort by the name of its active principle
    for label, mark in zip(ds["profile"].values, ds["interaction"].values, strict=True):
        if label.startswith("Gurley 2008b"):
            assert mark == ("with Hyperforin" in label or "with Perpetrator" in label), label


@needs_collections
def test_a_dose_a_thousand_times_too_large_is_corrected_with_a_note():
    ds = observations("sufentanil", "osp")
    bovill = ds.where(ds["study"] == "Bovill 1984", drop=True)
    assert bovill["dose_per_body_weight"].values[0] == pytest.approx(0.005)
    assert "corrected from 5 mg/kg" in bovill["group"].values[0]


@needs_collections
def test_infusions_last_as_long_as_in_the_protocol_that_the_source_simulates_them_by():
    ds = observations("digoxin", "osp")
    duration = dict(zip(ds["profile"].values, ds["infusion_duration"].values, strict=True))
    assert duration["Wagner 1981 - 0.5mg iv 3h - Digoxin - IV - 0.5 mg - Plasma - agg. (n=6)"] == 3
    assert (
        duration[
            "Greiner 1999 - iv Control (Perpetrator Placebo) - Digoxin - IV - 1 mg - Plasma - agg. (n=8)"
        ]
        == 0.5
    )
    ds = observations("alprazolam", "osp")
    bolus_and_infusion = np.char.find(ds["profile"].values, "then 72") >= 0
    assert bolus_and_infusion.any() and set(ds["dose_times"].values[bolus_and_infusion]) == {""}


@needs_collections
def test_verapamil_doses_are_base_not_hydrochloride():
    ds = observations("verapamil", "osp")
    at = np.flatnonzero(
        np.char.startswith(ds["profile"].values, "McAllister 1982 - Verapamil 10 mg IV")
    )[0]
    assert ds["dose"].values[at] == pytest.approx(10 * 454.61 / 491.07, rel=1e-4)
    assert "hydrochloride" in ds["group"].values[at]


@needs_collections
@pytest.mark.parametrize(
    ("name", "study", "last_dose"),
    [("digoxin", "Rodin 1988", 324), ("omeprazole", "Hassan-Alin2005", 96)],
)
def test_a_curve_that_rises_without_a_dose_has_its_doses_corrected_with_a_note(
    name, study, last_dose
):
    ds = observations(name, "osp")
    mine = np.char.startswith(ds["profile"].values, study)
    assert mine.any()
    for times, note in zip(ds["dose_times"].values[mine], ds["group"].values[mine], strict=True):
        assert float(times.split(";")[-1]) == last_dose
        assert "rises" in note


@needs_collections
def test_patients_children_and_poor_metabolisers_are_marked():
    ds = observations("alfentanil", "osp")
    marked = {
        p for p, m in zip(ds["profile"].values, ds["special_population"].values, strict=True) if m
    }
    assert any("cirrhosis" in p for p in marked)
    assert not any("healthy control" in p for p in marked)
    ds = observations("dapagliflozin", "osp")
    kidneys = {
        p: m
        for p, m in zip(ds["profile"].values, ds["special_population"].values, strict=True)
        if "2013b" in p
    }
    assert len(kidneys) == 5
    assert all(mark == ("impair" in profile) for profile, mark in kidneys.items())
    assert not np.any(ds["interaction"].values[np.char.find(ds["profile"].values, "2013b") >= 0])
    ds = observations("omeprazole", "osp")
    for label, mark in zip(ds["profile"].values, ds["special_population"].values, strict=True):
        assert mark == label.endswith("PM"), label
    assert 0 < ds["special_population"].values.sum() < ds["special_population"].size
    infant = observations("theophylline", "cvtdb")
    human = infant["species"].values == "human"
    assert np.all(infant["special_population"].values[human] == 1)  # 10.4 kg


@needs_collections
def test_cvtdb_profiles_have_dose_and_species():
    ds = observations("midazolam", "cvtdb")
    assert set(ds["species"].values) == {"human", "rat"}
    assert np.all(ds["dose_per_body_weight"] > 0)
    assert np.all(ds["value"] >= 0)


@needs_collections
def test_all_collections_come_together():
    ds = observations("theophylline")
    assert set(ds["collection"].values) == {"shipped", "cvtdb"}
    assert len(list_observations()) > 100


@pytest.mark.skipif(
    not (ROOT.parent / "shared" / "data" / "pbpk_pc").exists(),
    reason="data without a licence are in no checkout",
)
def test_unlicensed_profiles_are_read_where_they_lie():
    ds = observations("caffeine", "pbpk_pc", folder=ROOT.parent / "shared" / "data")
    assert set(ds["dose"].values) == {150.0}
    assert 1 < ds["value"].max() < 10
    ofloxacin = observations("ofloxacin", "pbpk_pc", folder=ROOT.parent / "shared" / "data")
    assert ofloxacin["time"].min() == 96
