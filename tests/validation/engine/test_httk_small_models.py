"""httk's three- and one-compartment models against its equations written down again and its analytic steady states."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

import pbpk_hybrid as ph
from pbpk_hybrid.models import httk_parameters

EXACT = ph.SolverOptions(method="expm")
TIMES = np.array([0.25, 1.0, 4.0, 12.0, 48.0])
NAMES = ("theophylline", "midazolam", "bisphenol-a", "atrazine")


def model3comp(p):
    """model3comp.c of httk 2.7.4 as a matrix, per hour: intestine, portal vein, liver, systemic, metabolised, tubules."""
    qc = p["Qcardiacc"] * p["BW"] ** 0.75
    qgut, qliver, qgfr = qc * p["Qgutf"], qc * p["Qliverf"], p["Qgfrc"] * p["BW"] ** 0.75
    ratio, fu = p["Rblood2plasma"], p["Funbound.plasma"]
    portal = 1 / (p["Vgutc"] * p["BW"])
    liver = ratio / fu / p["Kliver2pu"] / (p["Vliverc"] * p["BW"])
    systemic = ratio / fu / p["Krest2pu"] / (p["Vrestc"] * p["BW"])
    met, ka = p["Clmetabolismc"] * p["BW"] / ratio, p["kgutabs"]
    k = np.zeros((6, 6))
    k[0, 0], k[1, 0] = -ka, ka
    k[1, 3], k[1, 1] = qgut * systemic, -qgut * portal
    k[2, 1], k[2, 3], k[2, 2] = qgut * portal, qliver * systemic, -(qliver + qgut + met) * liver
    k[3, 2], k[3, 3] = (qgut + qliver) * liver, -(qgut + qliver + fu / ratio * qgfr) * systemic
    k[4, 2], k[5, 3] = met * liver, fu / ratio * qgfr * systemic
    return k, systemic / ratio


@pytest.mark.parametrize("species", ["human", "rat"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("route", ["oral", "iv"])
def test_three_compartments_are_httks_equations(name, species, route):
    p = httk_parameters(name, species, "3compartment")
    k, plasma = model3comp(p)
    start = np.zeros(6)
    start[0 if route == "oral" else 3] = 10 * p["Fabsgut"] if route == "oral" else 10
    dose = ph.Regimen.oral(10) if route == "oral" else ph.Regimen.bolus(10)
    ds = ph.simulate_system(ph.httk_3compartment(name, species), dose, TIMES, options=EXACT)
    expected = np.array([expm(k * t) @ start for t in TIMES])
    for i, state in enumerate(
        ("gut_lumen", "portal_vein", "liver", "rest", "metabolised", "tubules")
    ):
        got = ds["amount"].sel(compartment=state)[0].values
        got = (
            got * p["Fabsgut"] if state == "gut_lumen" else got
        )  # httk's lumen never holds what is not absorbed
        np.testing.assert_allclose(got, expected[:, i], rtol=1e-9, atol=1e-12, err_msg=state)
    np.testing.assert_allclose(
        ds["concentration"].sel(compartment="plasma")[0],
        expected[:, 3] * plasma,
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", NAMES)
def test_one_compartment_is_its_closed_form(name):
    p = httk_parameters(name, "human", "1compartment")
    ke, ka, fraction = p["kelim"], p["kgutabs"], p["Fabsgut"] * p["hepatic.bioavailability"]
    ds = ph.simulate_system(
        ph.httk_1compartment(name),
        ph.Regimen.oral(70),
        TIMES,
        compartments=["plasma"],
        options=EXACT,
    )
    expected = fraction / p["Vdist"] * ka / (ka - ke) * (np.exp(-ke * TIMES) - np.exp(-ka * TIMES))
    np.testing.assert_allclose(ds["concentration"][0, :, 0], expected, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("model", "build"),
    [
        ("pbtk", ph.httk_pbtk),
        ("3compartment", ph.httk_3compartment),
        ("1compartment", ph.httk_1compartment),
    ],
)
def test_a_constant_oral_dose_reaches_httks_analytic_steady_state(name, model, build):
    # the plasma area of a single dose is the steady state of one such dose per unit of time
    system = build(name)
    weight = system.parameters["BW"][0]
    ds = ph.simulate_system(
        system, ph.Regimen.oral(weight), [1e5], compartments=["area"], options=EXACT
    )
    # slowest compound: what is left after 1e5 h is below 1e-9 of the whole
    assert float(ds["amount"][0, 0, 0]) / 24 == pytest.approx(
        ph.httk_css(name, model=model), rel=1e-8
    )


def test_parameters_of_ones_own_take_the_place_of_httks():
    heavy = ph.httk_pbtk(
        "midazolam", changes={"BW": [60.0, 90.0], "Fabsgut": 1.0}, subjects=["a", "b"]
    )
    assert heavy.n_subjects == 2 and list(heavy.subjects) == ["a", "b"]
    ds = ph.simulate_system(heavy, "5 mg oral", [1.0, 24.0], sensitivities=["Clmetabolismc"])
    assert (ds["amount"].sel(compartment="not_absorbed") == 0).all()
    assert (ds["concentration_sensitivity"].sel(compartment="plasma", time=24.0) < 0).all()
    assert (
        ds["amount"].sel(compartment="plasma", time=1.0)[0]
        != ds["amount"].sel(compartment="plasma", time=1.0)[1]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ph.httk_pbtk("midazolam", "hamster"), "hamster"),
        (lambda: ph.httk_pbtk("no such drug"), "no such drug"),
        (lambda: ph.httk_pbtk("midazolam", changes={"BWW": 3}), "BWW"),
        (lambda: ph.httk_pbtk({"BW": 70.0}), "parameters"),
        (
            lambda: ph.httk_pbtk(
                "midazolam", changes={"BW": [1.0, 2.0], "Fabsgut": [1.0, 1.0, 1.0]}
            ),
            "number of subjects",
        ),
        (lambda: ph.httk_pbtk("midazolam", changes={"BW": float("nan")}), "BW"),
        (lambda: ph.httk_css("midazolam", model="2compartment"), "2compartment"),
        (
            lambda: ph.httk_1compartment("clotrimazole"),
            "Fabsgut",
        ),  # its measured oral bioavailability is 0
        (
            lambda: httk_parameters(ph.Compound.create(name="x", molar_mass=300, log_p=2)),
            "fraction_unbound_plasma",
        ),
    ],
)
def test_what_httk_does_not_have_is_refused_by_name(call, message):
    with pytest.raises(ph.InputError, match=message):
        call()
