"""Transporters: extended clearance, the passive and the saturated limit, people's activities, inhibition."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid import Compound, InputError
from pbpk_hybrid.models.small_molecules.whole_body import whole_body_system

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
MAN = ph.reference_individual("human")
TIGHT = ph.SolverOptions(rtol=1e-10, atol=1e-13)
UPTAKE = {"name": "OATP1B1", "direction": "uptake", "clint": 40.0}
EFFLUX = {"name": "MRP3", "direction": "efflux", "clint": 7.0}
BILE = {"name": "MRP2", "direction": "secretion", "clint": 12.0}


def drug(*transporters, **changes) -> Compound:
    values = {
        "name": "statin",
        "molar_mass": 400.0,
        "fraction_unbound_plasma": 0.05,
        "blood_to_plasma_ratio": 0.7,
        "clint_hepatocyte": 10.0,
        "fraction_unbound_hepatocyte": 1.0,
        "gfr_fraction": 1.0,
        "absorption_rate": 1.0,
        "fraction_absorbed": 0.0,
        "kp": dict.fromkeys(TISSUES, 0.6),
        "partition_method": "measured",
        "permeability_surface_area": {"liver": 3.0},
        "transporters": transporters,
    }
    return Compound.create(**values | changes)


def run(compound, regimen="1 mg iv", times=(0.0, 6000.0), people=MAN, options=TIGHT, **more):
    system = whole_body_system(compound, people)
    return ph.simulate_system(
        system, regimen, list(times), options=options, backend="embedded", **more
    ), system


def amounts(ds, *names):
    return [float(ds["amount"].sel(compartment=n).isel(time=-1, subject=0)) for n in names]


def extended(p, uptake, efflux, secretion, capillary=None):
    """(metabolism + bile, renal) blood clearance by the extended clearance model."""
    fu, bp = p["fraction_unbound_plasma"], p["blood_to_plasma_ratio"]
    inside = p["clint.liver"] + secretion
    clu = (p["ps_cells.liver"] + uptake) * inside / (p["ps_cells.liver"] + efflux + inside)
    if capillary is not None:
        clu = 1 / (1 / clu + 1 / capillary)
    flow = sum(p[f"flow.{o}"] for o in ("liver", "gut", "spleen", "pancreas", "stomach"))
    return flow * clu * fu / bp / (flow + clu * fu / bp), p["clearance_renal"] / bp


@pytest.mark.parametrize("wall", [None, 30.0])
def test_hepatic_clearance_is_that_of_the_extended_clearance_model(wall):
    more = {} if wall is None else {"capillary_permeability_surface_area": {"liver": wall}}
    ds, system = run(drug(UPTAKE, EFFLUX, BILE, **more))
    p = {k: float(np.ravel(v)[0]) for k, v in system.parameters.items()}
    uptake, efflux, secretion = (
        p[f"transport[{t}]"]
        for t in ("OATP1B1.liver.uptake", "MRP3.liver.efflux", "MRP2.liver.secretion")
    )
    hepatic, renal = extended(p, uptake, efflux, secretion, p.get("ps_capillary.liver"))
    metabolised, faeces, urine = amounts(ds, "metabolised", "faeces", "excreted_renal")
    # the arterial blood that the kidney filters and the liver's inflow have the same AUC after a venous dose
    assert (metabolised + faeces) / urine == pytest.approx(hepatic / renal, rel=1e-6)
    assert faeces / metabolised == pytest.approx(secretion / p["clint.liver"], rel=1e-6)
    assert np.abs(ds["mass_balance_error"]).max() < 1e-9 and system.closed


def test_uptake_that_limits_gives_a_clearance_of_uptake_alone():
    ds, system = run(drug(UPTAKE, clint_hepatocyte=1e5))
    p = {k: float(np.ravel(v)[0]) for k, v in system.parameters.items()}
    fu, bp = p["fraction_unbound_plasma"], p["blood_to_plasma_ratio"]
    inward = (p["ps_cells.liver"] + p["transport[OATP1B1.liver.uptake]"]) * fu / bp
    flow = sum(p[f"flow.{o}"] for o in ("liver", "gut", "spleen", "pancreas", "stomach"))
    metabolised, urine = amounts(ds, "metabolised", "excreted_renal")
    assert metabolised / urine == pytest.approx(
        flow * inward / (flow + inward) / (p["clearance_renal"] / bp), rel=1e-3
    )


def test_transporters_that_carry_nothing_are_the_passive_model_to_the_bit():
    nothing = [t | {"clint": 0.0} for t in (UPTAKE, EFFLUX, BILE)] + [
        {"name": "OCT1", "jmax": 0.0, "km": 1.0}
    ]
    times = np.linspace(0, 24, 9)
    a, b = (run(c, times=times)[0] for c in (drug(*nothing), drug()))
    np.testing.assert_array_equal(a["amount"].values, b["amount"].values)


def test_saturable_uptake_is_linear_at_small_and_passive_at_large_doses():
    times = np.linspace(0, 24, 9)
    saturable = {"name": "OATP1B1", "jmax": 40.0 * 0.02, "km": 0.02}

    def curve(dose, *transporters):
        return run(drug(*transporters), ph.Regimen.bolus(dose), times)[0]["amount"].values / dose

    linear, passive = curve(1.0, UPTAKE), curve(1.0)
    np.testing.assert_allclose(curve(1e-6, saturable), linear, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(curve(1e9, saturable), passive, rtol=1e-5, atol=1e-9)
    assert np.abs(curve(10.0, saturable) - linear).max() > 1e-3


def test_equilibrium_across_a_barrier_without_elimination_is_uptake_over_efflux():
    """Kp,uu = (PS + U)/(PS + E); blood-brain efflux acts across the capillary wall."""
    inert = {"clint_hepatocyte": 0.0, "gfr_fraction": 0.0}
    ds, system = run(drug(UPTAKE, EFFLUX, **inert))
    plain, _ = run(drug(**inert))
    ratio = [
        float(
            (
                d["amount"].sel(compartment="liver.cells")
                / d["amount"].sel(compartment="liver.extracellular")
            )[0, -1]
        )
        for d in (ds, plain)
    ]
    p = {k: float(np.ravel(v)[0]) for k, v in system.parameters.items()}
    kpuu = (p["ps_cells.liver"] + p["transport[OATP1B1.liver.uptake]"]) / (
        p["ps_cells.liver"] + p["transport[MRP3.liver.efflux]"]
    )
    assert ratio[0] / ratio[1] == pytest.approx(kpuu, rel=1e-7)
    brain = {
        "permeability_surface_area": {"brain": 5.0},
        "capillary_permeability_surface_area": {"brain": 0.5},
    }
    pump = {
        "name": "P-gp",
        "organ": "brain",
        "direction": "efflux",
        "barrier": "capillary",
        "clint": 4.5,
    }
    over_plasma = []
    for t in ((pump,), ()):
        inside, outside = amounts(run(drug(*t, **brain, **inert))[0], "brain.cells", "venous_blood")
        over_plasma.append(inside / outside)
    assert over_plasma[0] / over_plasma[1] == pytest.approx(0.5 / 5.0, rel=1e-6)


def test_secretion_by_the_kidney_adds_to_the_urine_and_needs_no_barrier():
    pump = {"name": "MATE1", "organ": "kidney", "direction": "secretion", "clint": 50.0}
    more, less = (amounts(run(drug(*t))[0], "excreted_renal")[0] for t in ((pump,), ()))
    assert more > 1.3 * less


@pytest.mark.parametrize("wall", [{}, {"capillary_permeability_surface_area": {"liver": 80.0}}])
def test_in_vivo_clearance_is_kept_by_active_uptake_and_falls_with_its_activity(wall):
    measured = {
        "clint_hepatocyte": None,
        "fraction_unbound_hepatocyte": None,
        "clearance_plasma": 0.5,
        "fraction_excreted_renal": 0.1,
    }
    transported = drug(UPTAKE, EFFLUX, **measured, **wall)
    passive = drug(**measured, permeability_surface_area={})
    urine = [amounts(run(c)[0], "excreted_renal")[0] for c in (transported, passive)]
    assert urine[0] == pytest.approx(urine[1], rel=1e-7)
    poor = ph.with_transporters(MAN, phenotypes={"OATP1B1": "poor"})
    assert amounts(run(transported, people=poor)[0], "excreted_renal")[0] > 1.3 * urine[0]
    with pytest.raises(InputError, match="uptake"):
        run(drug(UPTAKE | {"clint": 1.0}, **measured, **wall))
    with pytest.raises(InputError, match="uptake"):
        run(drug(UPTAKE, **measured, capillary_permeability_surface_area={"liver": 1.0}))


def test_people_differ_by_phenotype_and_spread_repeatably():
    people = ph.sample_population(2000, seed=4)
    out = ph.with_transporters(people, phenotypes="population", variation=0.3)
    same = ph.with_transporters(people, phenotypes="population", variation=0.3)
    np.testing.assert_array_equal(out["enzyme_activity"].values, same["enzyme_activity"].values)
    assert float((out["phenotype_OATP1B1"] == "normal").mean()) == pytest.approx(0.7056, abs=0.04)
    p = whole_body_system(drug(UPTAKE), out.isel(subject=slice(0, 50))).parameters[
        "transport[OATP1B1.liver.uptake]"
    ]
    activity = out["enzyme_activity"].sel(enzyme="OATP1B1").values[:50]
    mass = (out["volume"] * out["density"]).sel(organ="liver").values[:50]
    np.testing.assert_allclose(p, 40.0 * mass * activity, rtol=1e-12)


def test_derivatives_by_a_transporter_agree_with_differences():
    times, name = [0.0, 3.0], "transport[OATP1B1.liver.uptake]"
    ds, system = run(drug(UPTAKE, BILE), times=times, sensitivities=[name], compartments=["plasma"])
    got = float(ds["concentration_sensitivity"].values.ravel()[-1])
    base = float(system.parameters[name][0])
    ends = []
    for f in (0.999, 1.001):
        ds, _ = run(drug(UPTAKE | {"clint": 40.0 * f}, BILE), times=times)
        ends.append(ds["concentration"].sel(compartment="plasma").values[0, -1])
    assert got == pytest.approx((ends[1] - ends[0]) / (0.002 * base), rel=1e-4)


def constant(*effects) -> Compound:
    """An inhibitor that nothing eliminates."""
    return Compound.create(
        name="inhibitor",
        molar_mass=400.0,
        log_p=1.0,
        fraction_unbound_plasma=0.5,
        blood_to_plasma_ratio=1.0,
        clint_hepatocyte=0.0,
        fraction_unbound_hepatocyte=1.0,
        gfr_fraction=0.0,
        enzyme_effects=effects,
    )


@pytest.mark.parametrize("kind", ["competitive", "noncompetitive"])
def test_inhibition_of_uptake_at_constant_concentration_is_uptake_over_one_plus_i_over_ki(kind):
    ki, victim = 0.4, drug(UPTAKE, EFFLUX)
    inhibitor = constant({"enzyme": "OATP1B1", "kind": kind, "ki": ki})
    ds = ph.simulate_together({inhibitor: "100 mg iv"}, times=[200.0], compartments=["plasma"])
    i = 0.5 * float(ds["concentration"][0, 0, 0])
    times = [0.0, 200.0, 3000.0]
    both = ph.simulate_together(
        [(victim, ph.Regimen.bolus(1.0).shift(200.0)), (inhibitor, "100 mg iv")],
        times=times,
        options=TIGHT,
    )
    metabolised, urine = (
        float(both["amount"].sel(compartment=f"statin:{c}")[0, -1])
        for c in ("metabolised", "excreted_renal")
    )
    p = {k: float(np.ravel(v)[0]) for k, v in whole_body_system(victim, MAN).parameters.items()}
    uptake = p["transport[OATP1B1.liver.uptake]"] / (1 + i / ki)
    hepatic, renal = extended(p, uptake, p["transport[MRP3.liver.efflux]"], 0.0)
    assert i > ki
    # the inhibitor is in equilibrium with all tissues to 1e-4 when the victim comes
    assert metabolised / urine == pytest.approx(hepatic / renal, rel=1e-3)
    assert float(np.abs(both["mass_balance_error"]).max()) < 1e-8


def test_two_compounds_without_effects_are_as_alone():
    times = np.linspace(0, 24, 9)
    victim = drug(UPTAKE, BILE, {"name": "OATP1B3", "jmax": 0.5, "km": 0.02})
    alone = run(victim, "5 mg iv", times)[0]["amount"].sel(compartment="metabolised").values
    both = ph.simulate_together(
        [(victim, "5 mg iv"), (constant(), "100 mg iv")], times=times, options=TIGHT
    )
    np.testing.assert_allclose(
        both["amount"].sel(compartment="statin:metabolised").values, alone, rtol=1e-7, atol=1e-10
    )


def test_an_induced_transporter_needs_a_half_life_and_then_takes_up_more():
    inducer = constant({"enzyme": "OATP1B1", "kind": "induction", "ec50": 0.01, "emax": 3.0})
    victim, later = drug(UPTAKE), ph.Regimen.bolus(1.0).shift(300.0)
    with pytest.raises(ph.UnknownNameError, match="turnover"):
        ph.simulate_together([(victim, later), (inducer, "100 mg iv")], times=[0.0, 400.0])
    metabolised = [
        float(
            ph.simulate_together(
                pairs, times=[0.0, 301.0], enzyme_half_lives={"OATP1B1.liver": 24.0}
            )["amount"].sel(compartment="statin:metabolised")[0, -1]
        )
        for pairs in ([(victim, later), (inducer, "100 mg iv")], [(victim, later)])
    ]
    assert metabolised[0] > 1.5 * metabolised[1]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"name": "X", "organ": "livr", "clint": 1.0}, "liver"),
        ({"name": "X", "direction": "in", "clint": 1.0}, "direction"),
        ({"name": "X", "clint": 1.0, "km": 1.0}, "either clint"),
        ({"name": "X"}, "either clint"),
        ({"name": "X", "jmax": 1.0}, "either clint"),
        ({"name": "X", "clint": -1.0}, "clint"),
        ({"name": "X", "clint": "3 mg"}, "clint"),
        ({"name": "", "clint": 1.0}, "name"),
        ({"name": "X", "organ": "brain", "direction": "secretion", "clint": 1.0}, "secretion"),
        ({"name": "X", "clnt": 1.0}, "clint"),
    ],
)
def test_what_cannot_be_is_refused_by_name(bad, message):
    with pytest.raises(ph.PBPKError, match=message):
        drug(bad)


def test_uptake_needs_a_barrier_and_bile_a_way_out():
    with pytest.raises(InputError, match="permeability"):
        run(drug(UPTAKE, permeability_surface_area={}))
    with pytest.raises(InputError, match="capillary"):
        run(drug(UPTAKE | {"barrier": "capillary"}))
    with pytest.raises(InputError, match="absorption_rate"):
        run(drug(BILE, absorption_rate=None))
    with pytest.raises(InputError, match="transporters"):
        ph.bioavailability(drug(UPTAKE), "1 mg oral")
    with pytest.raises(InputError, match="differ"):
        drug(UPTAKE, UPTAKE)
    with pytest.raises(ph.UnknownNameError, match="poor"):
        ph.with_transporters(MAN, phenotypes={"OATP1B1": "por"})


def test_a_compound_with_transporters_survives_dictionary_pickle_and_units():
    import pickle

    a = drug(
        UPTAKE,
        {
            "name": "P-gp",
            "organ": "brain",
            "direction": "efflux",
            "jmax": "2 umol/h/kg",
            "km": "5 uM",
        },
    )
    assert Compound.from_dict(a.to_dict()) == a == pickle.loads(pickle.dumps(a))
    assert a.transporters[1].jmax == pytest.approx(0.8) and a.transporters[1].km == pytest.approx(
        2.0
    )
    rat = drug(species_values={"rat": {"transporters": [UPTAKE | {"clint": 90.0}]}}).for_species(
        "rat"
    )
    assert rat.transporters[0].clint == 90.0
