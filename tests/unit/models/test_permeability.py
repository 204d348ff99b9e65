"""Permeability-limited tissues and enterohepatic recirculation: limits, mass balance, equilibrium and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid import Compound, InputError, simulate
from pbpk_hybrid._core.errors import UnknownNameError
from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system
from pbpk_hybrid.physiology import reference_individual

TISSUES = (
    "lung",
    "heart",
    "brain",
    "muscle",
    "adipose",
    "skin",
    "bone",
    "kidney",
    "gut",
    "spleen",
    "pancreas",
    "stomach",
    "liver",
    "rest",
)
TIMES = np.r_[0.0, 0.05, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0]
EXACT = ph.SolverOptions(method="expm")


def drug(**changes) -> Compound:
    values = {
        "name": "test drug",
        "molar_mass": 300.0,
        "fraction_unbound_plasma": 0.2,
        "blood_to_plasma_ratio": 0.9,
        "clint_hepatocyte": 10.0,
        "fraction_unbound_hepatocyte": 1.0,
        "gfr_fraction": 1.0,
        "absorption_rate": 1.0,
        "kp": dict.fromkeys(TISSUES, 2.0) | {"adipose": 8.0, "brain": 1.2},
        "partition_method": "measured",
    }
    return Compound.create(**values | changes)


def run(compound, regimen="100 mg iv", times=TIMES, options=EXACT, **model):
    system = whole_body_system(compound, reference_individual("human"), **model)
    return ph.simulate_system(system, regimen, times, options=options, backend="embedded"), system


@pytest.mark.parametrize("regimen", ["100 mg iv", "100 mg oral"])
@pytest.mark.parametrize("ps", [1e9, (1e9, 1e9)])
def test_an_infinite_permeability_is_the_flow_limited_model(regimen, ps):
    options = ph.SolverOptions(
        rtol=1e-9
    )  # rates of 1e10/h cost the matrix exponential its digits, not a stiff method
    flow, _ = run(drug(), regimen, options=options)
    limited, system = run(
        drug(), regimen, options=options, permeability_limited=dict.fromkeys(TISSUES, ps)
    )
    assert system.n_states == 21 + (14 if np.ndim(ps) == 0 else 28)
    names = ["plasma", *TISSUES]
    a = flow["concentration"].sel(compartment=names, time=TIMES[2:]).values
    b = limited["concentration"].sel(compartment=names, time=TIMES[2:]).values
    # flow/(fu PS) is at most 4e-6 (lung); what is left of it after the first minutes, and the integration error at 1e-9
    np.testing.assert_allclose(b, a, rtol=1e-6)


@pytest.mark.parametrize("method", ["rodas5p", "rodas4"])
def test_every_method_takes_the_model_unchanged(method):
    ps = {o: (0.5, 5.0) for o in TISSUES}
    exact, _ = run(drug(), permeability_limited=ps)
    other, _ = run(
        drug(), permeability_limited=ps, options=ph.SolverOptions(method=method, rtol=1e-9)
    )
    a, b = (d["amount"].values for d in (exact, other))
    # amounts in mg of a 100 mg dose; rtol 1e-9 per step
    np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-7)


def test_mass_is_conserved_with_barriers_and_bile():
    compound = drug(biliary_clearance=5.0, gallbladder_emptying_rate=0.5)
    result, system = run(
        compound, "100 mg oral", permeability_limited={"muscle": 0.3, "liver": (2.0, 20.0)}
    )
    assert system.closed
    assert np.abs(result["mass_balance_error"].values).max() < 1e-11
    assert float(result["amount"].sel(compartment="gallbladder").max()) > 0


def test_an_impermeable_cell_membrane_keeps_drug_out_of_the_cells():
    result, _ = run(drug(), permeability_limited={"muscle": 1e-12})
    inside = result["amount"].sel(compartment="muscle.cells")
    # 24 h x 1e-12 L/h/kg x 29 kg x a few mg/L
    assert float(inside.max()) < 1e-8
    assert float(result["amount"].sel(compartment="muscle.extracellular").max()) > 0.1


@pytest.mark.parametrize("ps", [0.05, (0.05, 0.5)])
def test_steady_state_of_an_infusion_reproduces_kp(ps):
    compound = drug()
    organs = ("muscle", "adipose", "brain", "skin")
    times = np.array([0.0, 39999.0])
    result, system = run(
        compound, "2400 mg iv over 40000 h", times, permeability_limited=dict.fromkeys(organs, ps)
    )
    last = result["concentration"].isel(time=-1, subject=0)
    # the plasma that tissues without elimination see
    arterial = (
        float(last.sel(compartment="arterial_blood"))
        / system.parameters["blood_to_plasma_ratio"][0]
    )
    for organ in organs:
        assert float(last.sel(compartment=organ)) / arterial == pytest.approx(
            compound.kp[organ], rel=1e-8
        )


def test_an_organ_is_the_sum_of_its_parts():
    result, _ = run(drug(), permeability_limited={"muscle": (0.3, 3.0)})
    amount = result["amount"]
    parts = sum(
        amount.sel(compartment=f"muscle.{p}").values for p in ("blood", "interstitium", "cells")
    )
    np.testing.assert_allclose(amount.sel(compartment="muscle").values, parts, rtol=1e-12)


def test_a_slower_barrier_delays_the_tissue_and_leaves_the_exposure():
    times = np.r_[np.linspace(0, 20, 401), np.linspace(21, 2000, 1980)]
    exposure, peak = [], []
    for ps in (1e3, 0.05):
        result, _ = run(drug(), times=times, permeability_limited={"muscle": ps})
        muscle, cells = (
            result["concentration"].sel(compartment=c).values[0] for c in ("muscle", "muscle.cells")
        )
        exposure.append(np.trapezoid(muscle, times))
        peak.append(times[cells.argmax()])
    assert peak[1] > 2 * peak[0]
    # trapezoids every 0.1 h miss a little of the first minutes
    assert exposure[1] == pytest.approx(exposure[0], rel=5e-3)


def test_extended_clearance_of_a_permeability_limited_liver():
    """1/CLu = 1/PS + 1/CLint: AUC in blood is dose over the well-stirred clearance with that CLu plus filtration."""
    ps = 0.8
    result, system = run(drug(), times=np.array([0.0, 5000.0]), permeability_limited={"liver": ps})
    p = {k: float(v[0]) for k, v in system.parameters.items()}
    fu, bp = p["fraction_unbound_plasma"], p["blood_to_plasma_ratio"]
    cl = p["clint.liver"] * p["ps_cells.liver"] / (p["clint.liver"] + p["ps_cells.liver"]) * fu / bp
    flow = sum(p[f"flow.{o}"] for o in ("liver", "gut", "spleen", "pancreas", "stomach"))
    hepatic, renal = flow * cl / (flow + cl), p["clearance_renal"] / bp
    out = result["amount"].isel(time=-1, subject=0)
    metabolised, excreted = (
        float(out.sel(compartment=c)) for c in ("metabolised", "excreted_renal")
    )
    # venous bolus: the arterial blood that the kidney filters and the liver's inflow have the same AUC
    assert metabolised / excreted == pytest.approx(hepatic / renal, rel=1e-9)


def test_in_vivo_clearance_is_kept_by_a_liver_with_a_barrier():
    compound = drug(
        clint_hepatocyte=None,
        fraction_unbound_hepatocyte=None,
        clearance_plasma=0.5,
        fraction_excreted_renal=0.2,
    )
    share = []
    for ps in ({}, {"liver": (8.0, 40.0)}):
        result, _ = run(compound, times=np.array([0.0, 9000.0]), permeability_limited=ps)
        share.append(
            float(result["amount"].sel(compartment="excreted_renal").isel(time=-1, subject=0))
        )
    assert share[1] == pytest.approx(share[0], rel=1e-9)
    with pytest.raises(InputError, match="slower than the drug is cleared"):
        run(compound, permeability_limited={"liver": 1e-3})


@pytest.mark.parametrize("emptying", [None, 0.3])
def test_recirculation_raises_exposure_as_the_closed_form_says(emptying):
    """Bile X, blood AUC A, hepatic elimination H: D + (1 - E) r X = A (CLh + CLr); H = E r X + CLh A; X = b H."""
    compound = drug(
        biliary_clearance=20.0,
        gallbladder_emptying_rate=emptying,
        fraction_absorbed=0.7,
        fraction_gut=0.8,
    )
    end = 2000.0
    result, system = run(compound, times=np.array([0.0, end]))
    p = {k: float(v[0]) for k, v in system.parameters.items()}
    fu, bp = p["fraction_unbound_plasma"], p["blood_to_plasma_ratio"]
    total = p["clint.liver"] + p["clint.biliary"]
    flow = sum(p[f"flow.{o}"] for o in ("liver", "gut", "spleen", "pancreas", "stomach"))
    extraction = total * fu / bp / (flow + total * fu / bp)
    hepatic, renal = flow * extraction, p["clearance_renal"] / bp
    b, r = p["clint.biliary"] / total, 0.7 * 0.8
    x_per_a = b * hepatic / (1.0 - b * extraction * r)
    area = 100.0 / (hepatic + renal - (1.0 - extraction) * r * x_per_a)
    out = result["amount"].isel(time=-1, subject=0)
    assert float(out.sel(compartment="excreted_renal")) == pytest.approx(renal * area, rel=1e-9)
    # faeces get what of the bile is not absorbed
    assert float(out.sel(compartment="faeces")) == pytest.approx(0.3 * x_per_a * area, rel=1e-9)


def test_recirculation_makes_a_second_peak_when_the_gallbladder_holds_bile():
    compound = drug(biliary_clearance=100.0, gallbladder_emptying_rate=0.1)
    plain, _ = run(drug(clint_hepatocyte=10.0), times=np.array([0.0, 48.0]))
    again, _ = run(compound, times=np.array([0.0, 48.0]))
    ratio = float(
        again["concentration"].sel(compartment="plasma").isel(time=-1, subject=0)
    ) / float(plain["concentration"].sel(compartment="plasma").isel(time=-1, subject=0))
    assert ratio > 1.5


def test_the_compound_says_which_organs_are_permeability_limited():
    compound = drug(
        permeability_surface_area={"muscle": "0.5 L/h/kg", "brain": 0.02},
        capillary_permeability_surface_area={"brain": 0.01},
    )
    system = whole_body_system(compound, reference_individual("human"))
    assert {
        "muscle.extracellular",
        "muscle.cells",
        "brain.blood",
        "brain.interstitium",
        "brain.cells",
    } <= set(system.states)
    assert system.attrs["permeability_limited"] == "brain, muscle"
    assert (
        "muscle.cells"
        not in whole_body_system(
            compound, reference_individual("human"), permeability_limited={}
        ).states
    )
    again = Compound.from_dict(compound.to_dict())
    assert dict(again.permeability_surface_area) == {"muscle": 0.5, "brain": 0.02}
    result = simulate(
        compound,
        "10 mg iv",
        times=[0, 1, 2],
        compartments=["plasma", "muscle.cells"],
        backend="embedded",
    )
    assert result.sizes["compartment"] == 2


def test_sensitivities_by_the_barrier_agree_with_differences():
    # central differences of 1e-4 relative, their error about 1e-7
    model = {"permeability_limited": {"muscle": 0.3}}
    options = ph.SolverOptions(rtol=1e-10)
    system = whole_body_system(drug(), reference_individual("human"), **model)
    ask = {
        "times": [0.0, 1.0, 4.0],
        "compartments": ["plasma", "muscle.cells"],
        "options": options,
        "backend": "embedded",
    }
    slope = ph.simulate_system(system, "100 mg iv", sensitivities=["ps_cells.muscle"], **ask)[
        "concentration_sensitivity"
    ]
    values = []
    for factor in (1 + 1e-4, 1 - 1e-4):
        factors = {"ps_cells.muscle": np.array([factor])}
        moved = whole_body_system(drug(), reference_individual("human"), factors=factors, **model)
        values.append(ph.simulate_system(moved, "100 mg iv", **ask)["concentration"].values)
    size = float(system.parameters["ps_cells.muscle"][0])
    np.testing.assert_allclose(
        slope.values[..., 0], (values[0] - values[1]) / (2e-4 * size), rtol=1e-4, atol=1e-9
    )


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"muscle": 0.0}, "muscle"),
        ({"muscle": float("nan")}, "muscle"),
        ({"arterial_blood": 1.0}, "a tissue"),
        ({"muscle": (1.0, 2.0, 3.0)}, "one PS, or two"),
        ("all", "none for"),
        (-1.0, "cell membranes"),
    ],
)
def test_bad_permeabilities_are_named(asked, says):
    with pytest.raises(InputError, match=says):
        run(drug(), permeability_limited=asked)


def test_unknown_organs_and_words_are_refused():
    with pytest.raises(UnknownNameError, match="muscle"):
        run(drug(), permeability_limited={"muscel": 1.0})
    with pytest.raises(UnknownNameError):
        run(drug(), permeability_limited="every")
    with pytest.raises(UnknownNameError):
        drug(permeability_surface_area={"muscel": 1.0})


def test_a_drug_that_does_not_fill_blood_and_interstitium_is_refused():
    with pytest.raises(InputError, match="flow-limited"):
        run(drug(kp=dict.fromkeys(TISSUES, 0.02)), permeability_limited={"muscle": 1.0})


def test_bile_needs_a_gut_to_go_to():
    with pytest.raises(InputError, match="absorption_rate"):
        run(drug(biliary_clearance=1.0, absorption_rate=None))
    with pytest.raises(InputError, match="gallbladder_emptying_rate"):
        drug(gallbladder_emptying_rate=1.0)
    with pytest.raises(InputError, match="capillary"):
        drug(capillary_permeability_surface_area={"muscle": 1.0})
