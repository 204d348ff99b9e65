"""Absorption along the gut: mass, closed forms, solubility, release, and published fractions absorbed."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models.small_molecules.absorption import FLUID, GASTRIC_RESIDENCE, SMALL_INTESTINE


def drug(**more) -> ph.Compound:
    values = {
        "name": "drug",
        "molar_mass": 300.0,
        "log_p": 2.0,
        "fraction_unbound_plasma": 0.2,
        "blood_to_plasma_ratio": 1.0,
        "clint_hepatocyte": 10.0,
        "fraction_unbound_hepatocyte": 1.0,
    }
    return ph.Compound.create(**(values | more))


def solution(peff: float, **more) -> ph.GutAbsorption:
    return ph.GutAbsorption(effective_permeability=peff, **more)


def particles(**more) -> ph.GutAbsorption:
    values = {
        "formulation": "immediate_release",
        "effective_permeability": 5.0,
        "solubility": 1000.0,
    }
    return ph.GutAbsorption(**(values | more))


@pytest.mark.parametrize("peff", [0.05, 0.5, 2.0, 8.0])
def test_fraction_absorbed_of_a_solution_is_the_closed_form_of_the_cat_model(peff):
    fa = float(ph.bioavailability(drug(), "10 mg oral", absorption=solution(peff))["fa"][0])
    ka, kt = 2 * peff * 0.36 / 1.75, 7 / 3.32
    assert fa == pytest.approx(1 - (1 + ka / kt) ** -7, rel=1e-6)
    # the form in which it was published, with .54 for 2 x 3.32/(7 x 1.75) = .542
    assert fa == pytest.approx(1 - (1 + 0.54 * peff * 0.36) ** -7, rel=5e-3)


def test_permeability_alone_decides_for_a_solution_and_goes_from_nothing_to_all():
    fa = [
        float(ph.bioavailability(drug(), "10 mg oral", absorption=solution(p))["fa"][0])
        for p in (1e-4, 1.0, 100.0)
    ]
    assert fa[0] < 1e-3 and 0.5 < fa[1] < 1 and fa[2] > 0.9999


@pytest.mark.parametrize(
    "absorption",
    [
        solution(1.0),
        particles(),
        particles(food="fed", particle_radius=60.0),
        particles(solubility=5.0, colon_permeability=0.2),
        solution(2.0, formulation="zero_order", release_time=6.0),
        solution(2.0, formulation="weibull", release_time=3.0, release_shape=1.4),
    ],
    ids=lambda a: f"{a.formulation}, {a.food}",
)
def test_mass_is_kept_whatever_the_formulation(absorption):
    ds = ph.simulate(drug(), "50 mg oral q12h x3", times=[0, 1, 6, 24, 100], absorption=absorption)
    assert float(np.abs(ds["mass_balance_error"]).max()) < 1e-9
    solids = [c for c in ds["compartment"].values if str(c).endswith((".solid", ".dissolved"))]
    assert (
        float(ds["amount"].sel(compartment=solids).min()) > -1e-6
    )  # up to the solver's tolerance of a 50 mg dose
    assert float(ds["amount"].sel(compartment="metabolised")[0, -1]) > 1.0


@pytest.mark.parametrize("radius", [10.0, 60.0], ids=["thin layer", "layer of 30 um"])
@pytest.mark.parametrize("dose", [1e-3, 400.0], ids=["sink", "saturating"])
def test_particles_dissolve_by_the_equation_of_noyes_and_whitney(radius, dose):
    """The stomach by itself: what dissolves there depends on nothing that comes after.

    3 D/(rho h r), D = 9.9e-5 M^-.453 cm2/s, h = min(r, 30 um); 285 mL of fluid, a residence of .25 h. Without saturation
    solid is dose exp(-(1/.25 + z S) t) and dissolved dose exp(-t/.25) less that.
    """
    from scipy.integrate import solve_ivp

    solubility, r = 500.0, radius * 1e-4  # mg/L, cm
    z = 3 * 9.9e-5 * 300.0**-0.453 * 3600 / (1.2e3 * min(r, 30e-4) * r) * 1e-3  # L/(mg h)
    emptying, fluid = 1 / 0.25, 0.045 + 0.24
    t = np.array([0.02, 0.1, 0.3, 0.8])
    ds = ph.simulate(
        drug(),
        f"{dose} mg oral",
        times=t,
        absorption=particles(solubility=solubility, particle_radius=radius),
        options=ph.SolverOptions(rtol=1e-9),
    )
    solid, dissolved = (
        ds["amount"].sel(compartment=f"stomach.{kind}").values[0] for kind in ("solid", "dissolved")
    )

    def slope(_, x):
        flux = z * x[0] * (solubility - x[1] / fluid)
        return [-flux - emptying * x[0], flux - emptying * x[1]]

    right = solve_ivp(slope, (0, 1), [dose, 0], "LSODA", t, rtol=1e-11, atol=1e-13 * dose).y
    np.testing.assert_allclose(solid, right[0], rtol=1e-5, atol=1e-8 * dose)
    np.testing.assert_allclose(dissolved, right[1], rtol=1e-5, atol=1e-8 * dose)
    if dose < 1:
        closed = dose * np.exp(-(emptying + z * solubility) * t)
        np.testing.assert_allclose(solid, closed, rtol=1e-4, atol=1e-8 * dose)
        np.testing.assert_allclose(dissolved, dose * np.exp(-emptying * t) - closed, rtol=1e-4)
    else:
        assert dissolved.max() > 0.25 * solubility * fluid  # the fluid does fill


def test_fine_soluble_particles_are_a_solution_and_coarse_or_insoluble_ones_absorb_less():
    fa = {
        name: float(ph.bioavailability(drug(), "100 mg oral", absorption=a)["fa"][0])
        for name, a in {
            "solution": solution(5.0),
            "fine": particles(solubility=1e5, particle_radius=1.0),
            "coarse": particles(particle_radius=150.0),
            "insoluble": particles(solubility=2.0),
        }.items()
    }
    assert fa["fine"] == pytest.approx(fa["solution"], rel=1e-3)
    assert fa["coarse"] < 0.95 * fa["fine"]
    assert fa["insoluble"] < 0.5 * fa["fine"]


def test_absorption_limited_by_solubility_does_not_grow_with_the_dose():
    model = particles(solubility=2.0)
    small, large = (
        float(ph.bioavailability(drug(), f"{d} mg oral", absorption=model)["fa"][0]) * d
        for d in (200, 2000)
    )
    assert large < 2.0 * small  # ten times the dose
    # what a saturated fluid can at most give while all of the drug is in the small intestine
    assert large < 2.0 * (1 + 0.01) * sum(FLUID["fasted"]) * 60 * 24


def test_solubility_follows_ph_and_bile_salts():
    weak_base, acid = drug(pka_base=[5.0]), drug(pka_acid=[4.0])
    form = ph.GutAbsorption(solubility=10.0, solubility_ph=9.0)
    assert form.solubility_at(weak_base, 3.0) == pytest.approx(
        10.0 * (1 + 10 ** (5.0 - 3.0)), rel=1e-3
    )
    assert form.solubility_at(acid, 1.0) / form.solubility_at(acid, 6.0) == pytest.approx(
        1.001 / (1 + 10**2), rel=1e-3
    )
    neutral = drug(log_p=4.0)
    expected = 10.0 * (1 + 0.015 / 55.5 * 10 ** (2.23 + 0.61 * 4))
    assert form.solubility_at(neutral, 6.5, 0.015) == pytest.approx(expected)


@pytest.mark.filterwarnings(
    "ignore::pbpk_hybrid.OutOfRangeWarning"
)  # its adipose Kp is large, which is not the point
def test_food_helps_a_lipophilic_drug_and_delays_a_soluble_one():
    greasy = drug(log_p=4.5, fraction_unbound_plasma=0.01)
    fasted, fed = (
        float(
            ph.bioavailability(greasy, "200 mg oral", absorption=particles(solubility=3.0, food=f))[
                "fa"
            ][0]
        )
        for f in ("fasted", "fed")
    )
    assert fed > 1.3 * fasted
    times = np.linspace(0, 8, 161)
    peaks = []
    for food in ("fasted", "fed"):
        ds = ph.simulate(
            drug(),
            "10 mg oral",
            times=times,
            absorption=solution(5.0, food=food),
            compartments=["plasma"],
        )
        peaks.append(times[int(ds["concentration"].values[0, :, 0].argmax())])
    assert peaks[1] > peaks[0]


def test_constant_release_and_weibull_release_give_what_they_say():
    model = solution(5.0, formulation="zero_order", release_time=2.0)
    released = model.release(ph.Regimen.oral(100.0)).columns
    assert released["amount"].sum() == pytest.approx(100.0)
    assert (released["amount"] / released["duration"]).max() == pytest.approx(50.0)
    assert {c.split(".")[0] for c in released["compartment"]} == {"stomach", *SMALL_INTESTINE[:4]}
    weibull = solution(5.0, formulation="weibull", release_time=2.0, release_shape=0.8)
    c = weibull.release(ph.Regimen.oral(100.0)).columns
    by = c["time"] + c["duration"] <= 2.0 + 1e-9
    # up to one piece of 1.7 %
    assert c["amount"][by].sum() == pytest.approx(100 * (1 - np.exp(-1)), abs=1.8)
    instant = solution(5.0, formulation="zero_order", release_time=0.01)
    a, b = (
        ph.bioavailability(drug(), "10 mg oral", absorption=m)["fa"].values
        for m in (instant, solution(5.0))
    )
    np.testing.assert_allclose(a, b, rtol=1e-3)


def test_what_reaches_the_blood_is_fa_fg_fh():
    metabolised = drug(fraction_gut=0.6)
    out = ph.bioavailability(metabolised, "10 mg oral", absorption=solution(1.0))
    assert float(out["fg"][0]) == pytest.approx(0.6, rel=1e-9)
    t = np.linspace(0, 200, 8001)
    oral = ph.simulate(
        metabolised, "10 mg oral", times=t, absorption=solution(1.0), compartments=["plasma"]
    )
    iv = ph.simulate(metabolised, "10 mg iv over 1 h", times=t, compartments=["plasma"])
    ratio = np.trapezoid(oral["concentration"].values[0, :, 0], t) / np.trapezoid(
        iv["concentration"].values[0, :, 0], t
    )
    # the kidney clears too, so that only drug on its first way through the liver counts in Fh: exact for the AUC ratio
    assert ratio == pytest.approx(float(out["f"][0]), rel=2e-3)


def test_first_order_absorption_reports_the_compounds_own_fractions():
    given = drug(absorption_rate=1.0, fraction_absorbed=0.7, fraction_gut=0.8)
    out = ph.bioavailability(given, "10 mg oral")
    assert (float(out["fa"][0]), float(out["fg"][0])) == (
        pytest.approx(0.7, rel=1e-6),
        pytest.approx(0.8, rel=1e-6),
    )


# Peff [1e-4 cm/s] of the human jejunum and fraction absorbed: Winiwarter et al. (1998) J Med Chem 41:4939, passive drugs
PUBLISHED = {
    "antipyrine": (5.6, 1.00),
    "carbamazepine": (4.3, 1.00),
    "ketoprofen": (8.7, 1.00),
    "naproxen": (8.5, 0.99),
    "piroxicam": (6.65, 1.00),
    "desipramine": (4.5, 1.00),
    "propranolol": (2.91, 1.00),
    "metoprolol": (1.34, 0.95),
    "terbutaline": (0.3, 0.62),
    "atenolol": (0.2, 0.50),
    "cimetidine": (0.26, 0.64),
}


def test_published_fractions_absorbed_of_passive_drugs():
    """From the permeability of the jejunum alone. Well absorbed drugs within .15; hydrophilic ones, which also pass between
    cells and in the colon, come out too low, by up to .35: the known limit of one permeability for all segments."""
    for name, (peff, published) in PUBLISHED.items():
        fa = float(ph.bioavailability(drug(), "1 mg oral", absorption=solution(peff))["fa"][0])
        assert abs(fa - published) < (0.15 if peff > 1 else 0.36), name
        assert (fa > 0.8) == (published > 0.8), name


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"formulation": "tablet"}, "formulation"),
        ({"food": "hungry"}, "food"),
        ({"solubility": -1.0}, "solubility"),
        ({"formulation": "immediate_release"}, "solubility"),
        ({"formulation": "zero_order"}, "release_time"),
        ({"effective_permeability": 0.0}, "effective_permeability"),
        ({"colon_permeability": -0.1}, "colon"),
    ],
)
def test_impossible_gut_models_are_refused_by_name(change, match):
    with pytest.raises(ph.InputError, match=match):
        ph.GutAbsorption(**change)


def test_what_is_missing_is_named():
    with pytest.raises(ph.InputError, match="permeability"):
        ph.simulate(drug(), "1 mg oral", absorption=ph.GutAbsorption())
    with pytest.raises(ph.InputError, match="one oral dose"):
        ph.bioavailability(drug(), "1 mg iv", absorption=solution(1.0))


@pytest.mark.parametrize(("food", "residence"), [("fasted", 0.25), ("fed", 1.0)])
def test_the_stomach_empties_at_one_rate_that_food_slows(food, residence):
    assert GASTRIC_RESIDENCE[food] == residence
    times = np.array([0.0, 0.1, 0.25, 0.5, 1.0, 2.0])
    ds = ph.simulate(drug(), "10 mg oral", times=times, absorption=solution(8.0, food=food))
    left = ds["amount"].sel(compartment="stomach.dissolved").values[0]
    np.testing.assert_allclose(left, 10 * np.exp(-times / residence), rtol=1e-4, atol=1e-6)


def test_food_delays_a_solution_by_the_longer_stay_in_the_stomach_and_nothing_else():
    """Mean time of absorption: stomach, then 1/(ka + kt) in each segment it reaches; only the first differs."""
    fa, mean = {}, {}
    times = np.r_[0.0, np.geomspace(1e-3, 80, 4000)]
    for food in ("fasted", "fed"):
        model = solution(8.0, food=food)
        ds = ph.simulate(drug(), "10 mg oral", times=times, absorption=model)
        segments = [f"{s}.dissolved" for s in SMALL_INTESTINE]
        rate = ds["amount"].sel(compartment=segments).sum("compartment").values[0]
        mean[food] = np.trapezoid(times * rate, times) / np.trapezoid(rate, times)
        fa[food] = float(ph.bioavailability(drug(), "10 mg oral", absorption=model)["fa"][0])
    assert fa["fed"] == pytest.approx(fa["fasted"], rel=1e-6)
    assert mean["fed"] - mean["fasted"] == pytest.approx(0.75, rel=2e-3)
