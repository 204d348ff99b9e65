"""Antibodies: closed forms, published half-lives with and without FcRn, and a target that shortens them."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph

DAYS = np.r_[0.0, np.geomspace(0.01, 200.0, 400)] * 24


def curve(antibody, regimen="100 mg iv", times=DAYS, weight=71.0):
    ds = ph.simulate_system(ph.antibody_system(antibody, weight), regimen, times)
    assert float(np.abs(ds["mass_balance_error"]).max()) < 1e-9
    return ds


def plasma(ds):
    return ds["concentration"].sel(compartment="plasma").values[0]


def half_life(c, times=DAYS) -> float:
    """[day] from the curve between 20 and 60 days."""
    late = (times > 20 * 24) & (times < 60 * 24)
    return float(np.log(2) / -np.polyfit(times[late] / 24, np.log(c[late]), 1)[0])


def test_auc_is_dose_over_clearance_and_volume_is_that_of_an_antibody():
    igg = ph.Antibody(name="igg")
    c = plasma(curve(igg))
    tail = c[-1] / (np.log(c[-2] / c[-1]) / (DAYS[-1] - DAYS[-2]))
    auc = np.trapezoid(c, DAYS) + tail
    assert auc == pytest.approx(100 / igg.clearance, rel=2e-3)  # trapezoids
    mean_time = (np.trapezoid(c * DAYS, DAYS) + tail * DAYS[-1]) / auc
    volume = mean_time * igg.clearance
    assert 4.0 < volume < 8.0  # published volumes at steady state of IgG: about 3.5 to 8 L


def test_half_life_is_the_published_three_weeks_and_a_few_days_without_fcrn():
    """IgG1 21 days; 3 days in people without FcRn (Waldmann & Terry 1990), for which the model says 4.7: lymph brings back
    what the tissues hold."""
    igg = ph.Antibody(name="igg")
    assert half_life(plasma(curve(igg))) == pytest.approx(21.0, rel=0.25)
    lost = ph.Antibody(name="no FcRn", salvage=0.0, clearance=igg.clearance / (1 - igg.salvage))
    c = plasma(curve(lost))
    early = (DAYS > 5 * 24) & (DAYS < 20 * 24)
    assert float(
        np.log(2) / -np.polyfit(DAYS[early] / 24, np.log(c[early]), 1)[0]
    ) == pytest.approx(3.0, rel=0.6)


def test_much_antibody_saturates_fcrn_and_is_cleared_faster():
    igg = ph.Antibody(name="igg", fcrn_capacity=20.0)
    small, large = (
        np.trapezoid(plasma(curve(igg, f"{dose} mg iv")), DAYS) / dose for dose in (1, 20_000)
    )
    assert large < 0.85 * small


def test_a_target_shortens_the_half_life_of_small_doses_and_is_saturated_by_large_ones():
    """kint and turnover of 1 to 2 days, 10 nmol/L: a membrane target."""
    drug = ph.Antibody(
        name="drug",
        target=10.0,
        target_on=0.5,
        target_off=0.05,
        target_turnover=0.03,
        internalisation=0.05,
    )
    free = ph.Antibody(name="free")
    auc = {d: np.trapezoid(plasma(curve(drug, f"{d} mg iv")), DAYS) / d for d in (1, 30, 1000)}
    linear = np.trapezoid(plasma(curve(free)), DAYS) / 100
    assert auc[1] < 0.2 * auc[1000] and auc[1] < auc[30] < auc[1000] < linear
    ds = curve(drug, "1000 mg iv", np.linspace(0, 48, 49))
    change = ds["amount"].sel(compartment="target_change").values[0]
    total = 10.0 * 148_000e-6 * 2.6
    assert -total * (1 + 1e-6) < change.min() < -0.95 * total  # nearly all of the target is bound


def test_a_subcutaneous_dose_arrives_by_its_bioavailability_and_peaks_after_days():
    igg = ph.Antibody(name="igg")
    c = plasma(curve(igg, ph.Regimen.dose(100.0, compartment="subcutaneous")))
    iv = plasma(curve(igg))
    assert np.trapezoid(c, DAYS) / np.trapezoid(iv, DAYS) == pytest.approx(0.65, rel=0.01)
    assert 2 < DAYS[c.argmax()] / 24 < 10


@pytest.mark.parametrize(
    "change", [{"salvage": 1.0}, {"clearance": 0.0}, {"bioavailability": 1.2}, {"target": -1.0}]
)
def test_impossible_antibodies_are_refused_by_name(change):
    with pytest.raises(ph.InputError, match=next(iter(change))):
        ph.Antibody(name="x", **change)
    with pytest.raises(ph.InputError, match="body_weight"):
        ph.antibody_system(ph.Antibody(name="x"), -1.0)
