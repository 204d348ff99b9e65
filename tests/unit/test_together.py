"""Several compounds in one body: the dynamic model returns what theory says of constant concentrations."""

from __future__ import annotations

import numpy as np
import pytest

import pbpk_hybrid as ph

KDEG_LIVER, KDEG_GUT = np.log(2) / 23.1, np.log(2) / 23.1
FM, FM_GUT, FG = 0.9, 1.0, 0.6


def victim(**more) -> ph.Compound:
    """Linear, cleared by the liver and the gut wall alone."""
    values = {
        "name": "victim",
        "molar_mass": 300.0,
        "log_p": 1.5,
        "fraction_unbound_plasma": 0.2,
        "blood_to_plasma_ratio": 1.0,
        "clint_hepatocyte": 15.0,
        "fraction_unbound_hepatocyte": 1.0,
        "gfr_fraction": 0.0,
        "absorption_rate": 1.5,
        "fraction_absorbed": 0.9,
        "fraction_gut": FG,
        "metabolism": [
            {"enzyme": "CYP3A4", "fraction": FM},
            {"enzyme": "CYP3A4", "fraction": FM_GUT, "organ": "gut"},
        ],
    }
    return ph.Compound.create(**(values | more))


def eternal(*effects, name: str = "eternal") -> ph.Compound:
    """A drug that nothing eliminates: its unbound concentration is the same everywhere and stays."""
    return ph.Compound.create(
        name=name,
        molar_mass=400.0,
        log_p=1.0,
        fraction_unbound_plasma=0.5,
        blood_to_plasma_ratio=1.0,
        clint_hepatocyte=0.0,
        fraction_unbound_hepatocyte=1.0,
        gfr_fraction=0.0,
        absorption_rate=1.0,
        enzyme_effects=list(effects),
    )


def effect(kind, **values):
    return ph.EnzymeEffect(enzyme="CYP3A4", kind=kind, **values)


def unbound_concentration(drug, regimen, at) -> float:
    ds = ph.simulate_together({drug: regimen}, times=[at], compartments=["plasma"])
    return 0.5 * float(ds["concentration"][0, 0, 0])


def static_ratio(a_h=1.0, b_h=1.0, c_h=1.0, a_g=1.0, b_g=1.0, c_g=1.0) -> float:
    """AUCR of Fahmi et al. (2009): hepatic and gut factors of inactivation, induction and reversible inhibition."""
    return 1 / (a_g * b_g * c_g * (1 - FG) + FG) / (a_h * b_h * c_h * FM + 1 - FM)


WAIT = 600.0  # h: more than 16 half-lives of the slowest enzyme; what is left is 1e-5


@pytest.mark.parametrize("kind", ["competitive", "noncompetitive"])
def test_reversible_inhibition_at_constant_concentration_is_the_static_ratio(kind):
    drug = eternal(effect(kind, ki=0.5))
    i = unbound_concentration(drug, "200 mg iv", 90.0)
    out = ph.interaction((victim(), "5 mg oral"), {drug: "200 mg iv"}, victim_time=90.0)
    c = 1 / (1 + i / 0.5)
    assert c < 0.5
    np.testing.assert_allclose(
        out["auc_ratio"], static_ratio(c_h=c, c_g=c), rtol=1e-3
    )  # trapezoid of 300 points


@pytest.mark.parametrize("kind", ["competitive", "noncompetitive", "uncompetitive"])
def test_inhibition_of_a_saturable_enzyme_has_its_closed_form(kind):
    """A victim infused until nothing changes, cleared by one saturable enzyme of the liver alone.

    With x = Cu/Km and w = rate / (CLint Km), elimination balances the infusion where x/(F + x B) = w, so
    x = w F/(1 - w B); F = 1 + I/Ki competitive, B = 1 + I/Ki uncompetitive, both noncompetitive (Cornish-Bowden 2012).
    """
    drug = eternal(effect(kind, ki=0.5))
    i = unbound_concentration(drug, "20 mg iv", 200.0)
    more = 1 + i / 0.5
    assert 1.3 < more < 3.0
    km = 0.3
    sold = victim(metabolism=[{"enzyme": "CYP3A4", "fraction": 1.0, "km": km}])
    one = ph.whole_body_system(sold, ph.reference_individual("human"))
    clint = float(one.parameters["clint.liver"][0])
    w = 0.25
    rate = w * clint * km
    given = ph.Regimen.infusion(rate * 600.0, 600.0)
    ratio = {}
    for name, drugs in {
        "alone": {sold: given},
        "inhibited": {sold: given, drug: "20 mg iv"},
    }.items():
        ds = ph.simulate_together(drugs, times=[400.0, 599.0], compartments=["victim:liver"])
        early, late = ds["concentration"].values[0, :, 0]
        assert early == pytest.approx(late, rel=1e-6)  # it has settled
        ratio[name] = late
    free = 1.0 if kind == "uncompetitive" else more
    bound = 1.0 if kind == "competitive" else more
    expected = free * (1 - w) / (1 - w * bound)
    assert ratio["inhibited"] / ratio["alone"] == pytest.approx(expected, rel=1e-5)


def test_inactivation_at_constant_concentration_is_the_static_ratio():
    drug = eternal(effect("inactivation", ki=1.0, kinact=0.3))
    i = unbound_concentration(drug, "60 mg iv", WAIT)
    out = ph.interaction((victim(), "5 mg oral"), {drug: "60 mg iv"}, victim_time=WAIT)
    a = [k / (k + 0.3 * i / (1.0 + i)) for k in (KDEG_LIVER, KDEG_GUT)]
    assert a[0] < 0.5
    np.testing.assert_allclose(out["auc_ratio"], static_ratio(a_h=a[0], a_g=a[1]), rtol=1e-3)


def test_induction_at_constant_concentration_is_the_static_ratio():
    drug = eternal(effect("induction", ec50=0.4, emax=8.0))
    i = unbound_concentration(drug, "40 mg iv", WAIT)
    out = ph.interaction((victim(), "5 mg oral"), {drug: "40 mg iv"}, victim_time=WAIT)
    # the gut wall meets an inducer as often as its sources say: here the blood alone brings it
    b = 1 + 8.0 * i / (0.4 + i)
    assert b > 2
    np.testing.assert_allclose(out["auc_ratio"], static_ratio(b_h=b, b_g=b), rtol=1e-3)


def test_all_at_once_and_a_half_life_of_ones_own():
    drug = eternal(
        effect("induction", ec50=0.4, emax=5.0),
        effect("inactivation", ki=1.0, kinact=0.2),
        effect("competitive", ki=0.7),
    )
    i = unbound_concentration(drug, "80 mg iv", WAIT)
    half = {"CYP3A4.liver": 20.0, "CYP3A4.gut": 10.0}
    out = ph.interaction(
        (victim(), "5 mg oral"), {drug: "80 mg iv"}, victim_time=WAIT, enzyme_half_lives=half
    )
    rates = [np.log(2) / h for h in half.values()]
    a = [k / (k + 0.2 * i / (1.0 + i)) for k in rates]
    b, c = 1 + 5.0 * i / (0.4 + i), 1 / (1 + i / 0.7)
    np.testing.assert_allclose(out["auc_ratio"], static_ratio(a[0], b, c, a[1], b, c), rtol=1e-3)


def test_an_intravenous_victim_is_inhibited_in_the_liver_alone():
    drug = eternal(effect("competitive", ki=0.2))
    i = unbound_concentration(drug, "200 mg iv", 90.0)
    out = ph.interaction((victim(), "5 mg iv"), {drug: "200 mg iv"}, victim_time=90.0)
    person = ph.reference_individual("human")
    q = float(
        ph.whole_body_graph(tuple(person["organ"].values)).inflow(
            "liver",
            {
                o: person["blood_flow"].sel(organ=o).values
                for o in person["organ"].values
                if o not in ("arterial_blood", "venous_blood", "lung")
            },
        )[0]
    )
    cl = 0.2 * float(ph.whole_body_system(victim(), person).parameters["clint.liver"][0])
    inhibited = cl * (FM / (1 + i / 0.2) + 1 - FM)
    expected = (q * cl / (q + cl)) / (q * inhibited / (q + inhibited))
    np.testing.assert_allclose(
        out["auc_ratio"], expected, rtol=4e-3
    )  # trapezoids of a bolus that distributes in minutes


def test_alone_it_is_the_model_of_one_compound():
    times = np.linspace(0, 24, 49)
    together = ph.simulate_together(
        {victim(): "5 mg oral"}, times=times, compartments=["plasma", "victim:liver"]
    )
    alone = ph.simulate(victim(), "5 mg oral", times=times, compartments=["plasma", "liver"])
    # the gut wall holds the drug for seconds (18 L/h through .12 L), which the model of one compound does not
    a, b = together["concentration"].values[0, 1:], alone["concentration"].values[0, 1:]
    np.testing.assert_allclose(a[4:], b[4:], rtol=5e-3)
    assert abs(float(together["mass_balance_error"].max())) < 1e-10


def test_saturation_of_an_enzyme_raises_exposure_more_than_the_dose():
    pathways = [{"enzyme": "CYP3A4", "fraction": 1.0, "km": 0.05}]
    drug = victim(metabolism=pathways, fraction_gut=1.0)
    small, large = (
        ph.simulate_together(
            {drug: f"{d} mg oral"}, times=np.linspace(0, 48, 193), compartments=["plasma"]
        )["concentration"]
        .values[0, :, 0]
        .sum()
        / d
        for d in (1, 100)
    )
    assert large > 1.5 * small


def test_a_metabolite_appears_and_mass_is_kept_across_a_change_of_molar_mass():
    parent = victim(
        metabolism=[{"enzyme": "CYP3A4", "fraction": 1.0, "metabolite": "product"}],
        fraction_gut=1.0,
    )
    product = ph.Compound.create(
        name="product",
        molar_mass=330.0,
        log_p=1.0,
        fraction_unbound_plasma=0.5,
        blood_to_plasma_ratio=1.0,
        clint_hepatocyte=0.0,
        fraction_unbound_hepatocyte=1.0,
        gfr_fraction=0.0,
    )
    ds = ph.simulate_together({parent: "10 mg oral", product: None}, times=[0.0, 12.0, 400.0])
    assert abs(float(np.abs(ds["mass_balance_error"]).max())) < 1e-10
    views = ("product:plasma", "product:blood")
    stays = [
        c for c in ds["compartment"].values if str(c).startswith("product:") and c not in views
    ]
    # everything absorbed becomes product, which is heavier and is not eliminated
    total = float(ds["amount"].sel(compartment=stays)[0, -1].sum())
    assert total == pytest.approx(10.0 * 0.9 * 330 / 300, rel=1e-3)


def test_activity_of_a_subject_scales_both_organs_and_the_ratio_differs_between_subjects():
    import xarray as xr

    people = ph.sample_population(3, seed=4)
    people["enzyme_activity"] = xr.DataArray(
        [[1.0], [2.0], [0.0]], dims=("subject", "enzyme"), coords={"enzyme": ["CYP3A4"]}
    )
    base = ph.whole_body_system(victim(), people.drop_vars("enzyme_activity")).parameters
    own = ph.whole_body_system(victim(), people).parameters
    np.testing.assert_allclose(
        own["clint.liver"] / base["clint.liver"], [1.0, 1 + FM, 1 - FM], rtol=1e-12
    )
    np.testing.assert_allclose(own["fraction_gut"], [FG, FG / (FG + 2 * (1 - FG)), 1.0], rtol=1e-12)
    out = ph.interaction(
        (victim(), "5 mg oral"), {eternal(effect("competitive", ki=0.5)): "100 mg iv"}, people
    )
    assert out["auc_ratio"][2] == pytest.approx(1.0, abs=1e-6)  # nothing to inhibit
    assert out["auc_ratio"][1] > out["auc_ratio"][0] > 1.2


def test_sensitivities_reach_the_constants_of_the_other_drug():
    drug = eternal(effect("competitive", ki=0.5), effect("inactivation", ki=1.0, kinact=0.3))
    asked = [
        "eternal:ki[0.CYP3A4]",
        "eternal:kinact[1.CYP3A4]",
        "kdeg[CYP3A4.liver]",
        "victim:share[0]",
    ]
    given = {
        "times": [1.0, 6.0],
        "compartments": ["plasma"],
        "options": ph.SolverOptions(rtol=1e-9),
    }
    ds = ph.simulate_together(
        {victim(): "5 mg oral", drug: "50 mg iv"}, sensitivities=asked, **given
    )
    moved = eternal(
        effect("competitive", ki=0.5 * 1.0001), effect("inactivation", ki=1.0, kinact=0.3)
    )
    there = ph.simulate_together({victim(): "5 mg oral", moved: "50 mg iv"}, **given)
    slope = (there["concentration"] - ds["concentration"]).values[0, :, 0] / (0.5 * 1e-4)
    np.testing.assert_allclose(ds["concentration_sensitivity"].values[0, :, 0, 0], slope, rtol=2e-3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"metabolism": [{"enzyme": "CYP3A4", "fraction": 1.2}]}, "fraction"),
        (
            {
                "metabolism": [
                    {"enzyme": "CYP3A4", "fraction": 0.7},
                    {"enzyme": "CYP2D6", "fraction": 0.6},
                ]
            },
            "at most 1",
        ),
        ({"metabolism": [{"enzyme": "CYP3A4", "fraction": 0.7, "organ": "brain"}]}, "organ"),
        ({"enzyme_effects": [{"enzyme": "CYP3A4", "kind": "competitve", "ki": 1}]}, "competitive"),
        ({"enzyme_effects": [{"enzyme": "CYP3A4", "kind": "inactivation", "ki": 1}]}, "kinact"),
        ({"enzyme_effects": [{"enzyme": "CYP3A4", "kind": "competitive", "ki": -1}]}, "ki"),
        (
            {"enzyme_effects": [{"enzyme": "CYP3A4", "kind": "competitive", "ki": 1, "emax": 2}]},
            "emax",
        ),
    ],
)
def test_impossible_enzyme_records_are_refused_by_name(change, match):
    with pytest.raises(ph.InputError, match=match):
        victim(**change)


def test_constants_may_be_molar_and_records_survive_a_round_trip():
    drug = victim(enzyme_effects=[{"enzyme": "CYP3A4", "kind": "competitive", "ki": "2 uM"}])
    assert drug.enzyme_effects[0].ki == pytest.approx(0.6)  # 2 umol/L x 300 g/mol
    again = ph.Compound.from_dict(drug.to_dict())
    assert again == drug and again.metabolism == drug.metabolism


def test_bad_studies_are_refused():
    with pytest.raises(ph.InputError, match="name of its own"):
        ph.simulate_together([(victim(), "5 mg oral"), (victim(), "5 mg oral")])
    with pytest.raises(ph.InputError, match="victim_time"):
        ph.interaction((victim(), "5 mg oral"), {}, victim_time=-1)
    with pytest.raises(ph.UnknownNameError, match=r"CYP3A4\.liver"):
        ph.simulate_together({victim(): "5 mg oral"}, enzyme_half_lives={"CYP3A4.livr": 3.0})
    with pytest.raises(ph.UnknownNameError, match="turnover"):
        ph.simulate_together(
            [
                (victim(metabolism=[{"enzyme": "CYP9Z9", "fraction": 0.5}]), "5 mg oral"),
                (
                    eternal(ph.EnzymeEffect(enzyme="CYP9Z9", kind="induction", ec50=1.0, emax=2.0)),
                    "5 mg oral",
                ),
            ]
        )


def test_a_gut_model_inside_several_compounds_is_that_of_one_alone():
    drug = victim(caco2_permeability=20.0)
    people, times = ph.sample_population(2, seed=1), [0, 0.5, 2, 6, 24]
    for gut in (
        ph.GutAbsorption(),
        ph.GutAbsorption(formulation="immediate_release", solubility=20.0, particle_radius=25.0),
        ph.GutAbsorption(formulation="weibull", release_time=2.0),
    ):
        alone = ph.simulate(
            drug,
            "50 mg oral",
            people,
            times,
            absorption=gut,
            compartments=["plasma"],
            variability=None,  # several compounds together have none
        )
        both = ph.simulate_together(
            {drug: "50 mg oral", eternal(): "1 mg iv"},
            people,
            times,
            compartments=["victim:plasma"],
            absorption={"victim": gut},
        )
        # first pass by the wall's own compartment instead of the fraction Fg: the same amount, seconds later
        np.testing.assert_allclose(
            both["concentration"][:, 2:], alone["concentration"][:, 2:], rtol=5e-3
        )


def test_an_inhibitor_that_dissolves_slowly_inhibits_the_gut_wall_longer():
    inhibitor = ph.Compound.create(
        name="inhibitor",
        molar_mass=400.0,
        log_p=2.0,
        fraction_unbound_plasma=0.01,
        blood_to_plasma_ratio=1.0,
        clint_hepatocyte=50.0,
        fraction_unbound_hepatocyte=1.0,
        gfr_fraction=0.0,
        absorption_rate=3.0,
        caco2_permeability=30.0,
        enzyme_effects=[effect("competitive", ki=1.0)],
    )
    slow = ph.GutAbsorption(formulation="weibull", release_time=4.0)
    ratio = []
    for gut in (None, {"inhibitor": slow}):
        out = ph.interaction(
            (victim(), "5 mg oral"), {inhibitor: "100 mg oral"}, victim_time=4.0, absorption=gut
        )
        ratio.append(float(out["auc_ratio"][0]))
    assert ratio[1] > ratio[0] > 1
    with pytest.raises(ph.UnknownNameError, match="inhibitor"):
        ph.simulate_together({victim(): "5 mg oral"}, absorption={"inhibitor": slow})


def test_steady_state_records_are_refused_with_the_doses_to_give_instead():
    with pytest.raises(ph.InputError, match=r"q12h x21") as caught:
        ph.simulate_together(
            {victim(): ph.Regimen.oral(5.0, steady_state=1, interval=12.0), eternal(): "1 mg iv"}
        )
    assert caught.value.field == "regimen"


def test_phenotypes_of_an_enzyme_that_no_compound_names_are_warned_of():
    people = ph.with_enzymes(ph.sample_population(2, seed=1), phenotypes={"CYP2D6": "poor"})
    with pytest.warns(ph.NoEffectWarning, match="CYP2D6"):
        ds = ph.simulate(victim(), "5 mg oral", people, [0, 1])
    assert ds.attrs["enzymes_without_effect"] == "CYP2D6"
    with pytest.warns(ph.NoEffectWarning, match="victim, eternal"):
        ph.simulate_together({victim(): "5 mg oral", eternal(): "1 mg iv"}, people, [0, 1])
    named = victim(metabolism=[{"enzyme": "CYP2D6", "fraction": 0.5}])
    assert "enzymes_without_effect" not in ph.simulate(named, "5 mg oral", people, [0, 1]).attrs
    child = ph.simulate(victim(metabolism=[]), "5 mg oral", ph.reference_child(2.0), [0, 1])
    assert (
        "CYP3A4" in child.attrs["enzymes_without_effect"]
    )  # age is no phenotype: said, not warned of
