"""First in human: doses by hand, curves that follow the draws, and one call from animals to a starting dose."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.compounds import Compound
from pbpk_hybrid.models.small_molecules.disposition import DispositionChoices, resolve_disposition
from pbpk_hybrid.translation.animals import read_animals
from pbpk_hybrid.translation.human import human_draws
from pbpk_hybrid.translation.starting_dose import (
    Safety,
    dose_limits,
    human_equivalent_dose,
    parse_safety,
    receptor_bound_concentration,
)
from pbpk_hybrid.translation.targets import parse_target

DRUG = Compound.create(
    name="new",
    molar_mass=300,
    log_p=2.0,
    fraction_unbound_plasma=0.2,
    blood_to_plasma_ratio=1.0,
    clearance_plasma=8.0,
    volume_steady_state=2.0,
    clearance_basis="in_vivo",
    distribution_basis="in_vivo",
    fraction_excreted_renal=0.2,
    absorption_rate=1.0,
    fraction_absorbed=0.8,
)
ANIMALS = {
    "rat": {"clearance": 30.0, "volume": 1.5, "fup": 0.2},
    "dog": {"clearance": "12 mL/min/kg", "volume": "1.1 L/kg"},
    "monkey": {"clearance": "9 mL/min/kg", "volume": 1.3, "fup": 0.15},
}


# ---- doses by hand ----
@pytest.mark.parametrize(
    ("species", "dose", "expected"),
    # FDA (2005), table 1 and its worked example: 18 mg/kg in rats, 150 in mice, 50 in dogs
    [("mouse", 150.0, 12.195), ("rat", 18.0, 2.903), ("dog", 50.0, 27.78), ("minipig", 11.0, 10.0)],
)
def test_the_human_equivalent_dose_is_that_of_the_guidance(species, dose, expected):
    assert human_equivalent_dose(dose, species) == pytest.approx(expected, rel=1e-3)


def test_occupancy_follows_the_law_of_mass_action():
    for kd in (0.01, 3.0):
        for occupancy in (0.1, 0.5, 0.9):
            c = receptor_bound_concentration(kd, occupancy)
            assert c / (c + kd) == pytest.approx(occupancy)


def test_every_limit_is_what_it_says():
    rng = np.random.default_rng(1)
    cmax, auc = np.exp(rng.normal(-3, 0.4, 500)), np.exp(rng.normal(-1, 0.5, 500))
    free = np.full(500, 0.1)
    safety = Safety(
        noael={"rat": 62.0}, noael_auc={"dog": 50.0}, noael_cmax={"dog": 5.0}, mabel=0.002
    )
    found = {x.method: x.dose for x in dose_limits(safety, {"auc": auc, "cmax": cmax}, free)}
    assert found["NOAEL in rat, surface area"] == pytest.approx(62 / 6.2 * 60 / 10)
    below = lambda values, bound: np.mean(values <= bound)
    assert below(found["AUC at the NOAEL in dog"] * auc, 5.0) == pytest.approx(0.95, abs=0.005)
    assert below(found["CMAX at the NOAEL in dog"] * cmax, 0.5) == pytest.approx(0.95, abs=0.005)
    assert below(found["MABEL"] * cmax * free, 0.002) == pytest.approx(0.95, abs=0.005)


def test_molar_constants_need_the_molar_mass():
    told = parse_safety({"mabel": {"kd": "10 nM"}}, 300.0)
    assert told.mabel == pytest.approx(10e-9 * 300 * 1e3 / 9)
    with pytest.raises(ph.UnitError):
        parse_safety({"mabel": {"kd": "10 nM"}}, None)


# ---- draws ----
def test_draws_come_back_as_the_clearance_and_volume_they_were():
    person = ph.reference_individual("human")
    cl, v, fu = np.array([4.0, 30.0, 60.0]), np.array([20.0, 150.0, 600.0]), np.full(3, 0.2)
    draws = human_draws(DRUG, cl, v, fu)
    assert draws.held == 0
    typical = resolve_disposition(DRUG, person, DispositionChoices()).scaled(draws.factors)
    value = lambda name: np.ravel(typical.entries[name].value)
    flow = sum(value(f"flow.{o}")[0] for o in ("gut", "spleen", "pancreas", "stomach", "liver"))
    x = value("clint.liver") * fu
    assert flow * x / (flow + x) + value("clearance_renal") == pytest.approx(cl, rel=1e-9)
    tissues = [n.removeprefix("kp.") for n in typical.entries if n.startswith("kp.")]
    held = sum(value(f"volume.{o}")[0] * value(f"kp.{o}") for o in tissues)
    blood = value("volume.arterial_blood")[0] + value("volume.venous_blood")[0]
    assert held + blood == pytest.approx(v, rel=1e-9)


def test_draws_that_no_body_has_are_held_and_counted():
    draws = human_draws(DRUG, np.array([20.0, 900.0]), np.array([100.0, 1.0]), np.full(2, 0.2))
    assert draws.held == 1
    assert all(np.isfinite(f).all() and (f > 0).all() for f in draws.factors.values())


# ---- animals ----
def test_a_curve_gives_its_clearance_and_volume():
    times = np.array([0.05, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0])
    notes: list[str] = []
    curve = {
        "dose": "2 mg/kg iv",
        "times": times,
        "concentrations": (2 / 1.5 * np.exp(-0.4 * times)).tolist(),
    }
    found = read_animals({"rat": {"curve": curve, "fup": 0.3}}, 300.0, notes)["rat"]
    assert float(found["clearance"].split()[0]) == pytest.approx(0.25 * 1.5 * 0.4, rel=0.02)
    assert float(found["volume"].split()[0]) == pytest.approx(0.25 * 1.5, rel=0.02)
    assert found["fup"] == 0.3 and "from the curve" in notes[0]


def test_a_curve_of_the_whole_body_model_is_fitted_to_what_made_it():
    pytest.importorskip("torch")  # of the package that holds the model of a species
    rat = DRUG.replace(
        species="rat", clearance_plasma=25.0, volume_steady_state=1.2, fraction_excreted_renal=0.0
    )
    times = np.array([0.1, 0.3, 0.6, 1.0, 2.0, 3.0, 5.0])
    body = ph.reference_individual("rat")
    run = ph.simulate(rat, "2 mg/kg iv", body, times=times, compartments=("plasma",))
    curve = {
        "dose": "2 mg/kg iv",
        "times": times,
        "concentrations": run["concentration"].values[0, :, 0].tolist(),
        "method": "fit",
    }
    notes: list[str] = []
    found = read_animals({"rat": {"curve": curve}}, 300.0, notes, rat)["rat"]
    assert float(found["clearance"].split()[0]) == pytest.approx(25.0, rel=0.02)
    assert float(found["volume"].split()[0]) == pytest.approx(1.2, rel=0.03)
    assert "whole-body model" in notes[0]


# ---- the whole way ----
@pytest.fixture(scope="module")
def found():
    pytest.importorskip("torch")
    pytest.importorskip("rdkit")
    return ph.first_in_human(
        "CC(=O)Nc1ccc(O)cc1",
        ANIMALS,
        target_exposure="AUC 20 mg*h/L",
        safety={
            "noael": {"rat": "60 mg/kg", "dog": "20 mg/kg"},
            "noael_auc": {"dog": "200 mg*h/L"},
            "mabel": {"concentration": "0.05 mg/L"},
        },
        n=60,
        seed=3,
    )


def test_the_dose_reaches_its_target(found):
    assert found.needed.shape == (60,) and (found.needed > 0).all()
    reached = found.exposure["auc"] * found.dose
    assert np.median(reached) == pytest.approx(20.0, rel=0.02)
    # AUC = F dose / CL in every person: what is needed grows with the drawn clearance
    assert np.corrcoef(np.log(found.needed), np.log(found.draws.clearance))[0, 1] > 0.5


def test_the_starting_dose_is_the_smallest_limit(found):
    assert found.starting_dose == min(x.dose for x in found.limits)
    assert {x.method for x in found.limits} == {
        "NOAEL in rat, surface area",
        "NOAEL in dog, surface area",
        "AUC at the NOAEL in dog",
        "MABEL",
    }
    assert found.table.loc["maximum recommended starting dose", "median"] == found.starting_dose
    margins = found.margins().set_index("over that of the dose")["margin"]
    assert margins["MABEL: dose"] == pytest.approx(found.limits[-1].dose / found.dose)


def test_table_picture_page_and_words_say_the_same(found, tmp_path):
    text = str(found)
    assert "maximum recommended starting dose" in text and "no basis for treating anyone" in text
    figure = found.plot()
    assert len(figure.axes) == 2
    page = found.report(tmp_path / "page.html").read_text()
    assert "MABEL" in page and "data:image/png" in page and "<script" not in page
    assert f"{found.starting_dose:.3g}" in page


def test_the_compound_is_one_that_simulate_takes(found):
    run = ph.simulate(found.compound, "100 mg oral", times=[0, 1, 2], compartments=("plasma",))
    assert np.isfinite(run["concentration"]).all()


def test_the_same_seed_gives_the_same_doses(found):
    again = ph.first_in_human(
        "CC(=O)Nc1ccc(O)cc1", ANIMALS, target_exposure="AUC 20 mg*h/L", n=60, seed=3
    )
    assert np.array_equal(again.needed, found.needed)


def test_a_dose_at_steady_state_has_trough_and_average():
    pytest.importorskip("rdkit")
    pytest.importorskip("torch")
    one = ph.first_in_human(DRUG, ANIMALS, dose="50 mg iv", interval=12, n=20, seed=1)
    e = one.exposure
    assert set(e) == {"auc", "cmax", "cavg", "ctrough"}
    assert e["cavg"] == pytest.approx(e["auc"] / 12)
    assert (e["ctrough"] < e["cavg"]).all() and (e["cavg"] < e["cmax"]).all()
    assert one.starting_dose is None and one.needed is None


def test_targets_are_read():
    assert parse_target("fCmax 30 nM", 300.0, None).free
    one = parse_target("AUC24 48 mg*h/L", None, 12.0)
    assert (one.metric, one.value) == ("cavg", 2.0)
    assert parse_target("free Cavg >= 0.2 ug/mL", None, 24.0).value == pytest.approx(0.2)
