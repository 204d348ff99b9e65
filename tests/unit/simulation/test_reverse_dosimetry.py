"""Oral equivalent doses: httk's steady state for its average person, its quantiles, simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, lognorm

import pbpk_hybrid as ph
from pbpk_hybrid._core.errors import (
    InputError,
    OutOfRangeWarning,
    SchemaError,
    UnitError,
    UnknownNameError,
)
from pbpk_hybrid.models import httk_css
from pbpk_hybrid.models.httk import variation as v

CHEMICALS = ("bisphenol-a", "15972-60-8", "116-06-3", "theophylline", "midazolam", "90-43-7")


def of_average(name: str) -> tuple[dict, dict]:
    """httk's average person as one body, and the parameters of the chemical in it."""
    from pbpk_hybrid.simulation.reverse_dosimetry import _record

    point = v.average_person(name, _record(name))
    names = ("BW", "hematocrit", "Qgfrc", "Qtotal.liverc", "Vliverc", "million.cells.per.gliver")
    return point, {n: np.array([point[n]]) for n in names}


@pytest.mark.parametrize("name", CHEMICALS)
def test_without_variation_the_average_person_has_the_concentration_of_httk(name):
    point, body = of_average(name)
    drug = ph.get_compound(name, collection="httk")
    drawn = v.HttkVariation.none().draw(drug, {}, point, body, np.random.default_rng(0))
    css = v.steady_state_concentration(drawn)
    assert css == pytest.approx([httk_css(name, model="3compartmentss")], rel=1e-9)


def test_the_dose_is_the_concentration_over_that_of_one_mg_per_kg_and_day():
    found = ph.oral_equivalent_dose("bisphenol-a", "10 uM", people=50, seed=3)
    molar_mass = ph.get_compound("bisphenol-a", collection="httk").molar_mass
    assert found.concentration == pytest.approx(10e-3 * molar_mass, rel=1e-9)
    expected = found.concentration / np.quantile(found.css, [0.95, 0.5, 0.05])
    assert found.doses == pytest.approx(expected)
    again = ph.oral_equivalent_dose("bisphenol-a", found.concentration, people=50, seed=3)
    assert again.doses == pytest.approx(found.doses)
    assert found.doses[0] < found.doses[1] < found.doses[2]
    assert list(found.table().columns) == ["dose_mg_per_kg_day", "css_mg_per_l"]
    assert "seed 3" in str(found) and found.to_dataset()["css"].size == 50


#: what httk prints in tests/montecarlo_tests.Rout.save: (chemical, samples, 95 % of Css [mg/L]);
#: 10 samples: version 2.3.1, 5 samples: version 2.7.4; bisphenol A from 10 uM over 2.788 mg/kg/day
PRINTED = [
    ("116-06-3", 10, 3.76),
    ("15972-60-8", 10, 0.2076),
    ("101-05-3", 10, 13.29),
    ("DTXSID5041726", 10, 2112.0),
    ("bisphenol-a", 10, 10e-3 * 228.291 / 2.788),
    ("116-06-3", 5, 1.494),
    ("101-05-3", 5, 2.369),
    ("15972-60-8", 5, 0.1354),
    ("DTXSID5041726", 5, 1901.0),
]


@pytest.mark.parametrize(("name", "samples", "printed"), PRINTED)
def test_what_httk_prints_of_few_samples_is_likely(name, samples, printed):
    """Its quantile of 5 or 10 draws lies within 99 % of those of as many of ours."""
    css = ph.oral_equivalent_dose(name, 1.0, people=400, seed=1).css
    rng = np.random.default_rng(0)
    quantiles = np.quantile(rng.choice(css, (4000, samples)), 0.95, axis=1)
    low, high = np.quantile(quantiles, [0.005, 0.995])
    assert low < printed < high


def test_intervals_of_the_table_are_kept():
    """95 % of the draws lie within the interval, half below the median."""
    rng = np.random.default_rng(1)
    record = {"Human.Funbound.plasma": "0.0385,0.0334,0.0456", "Human.Clint": "19.9,10.2,29.8,0"}
    quiet = v.HttkVariation(fup_people=0, clint_people=0, poor_metabolisers=0)
    point = {"unadjusted.Funbound.plasma": 0.0385, "Clint": 19.9, "Fhep.assay.correction": 1.0}
    fu = quiet._fraction_unbound(record, point, 20_000, rng)
    assert np.median(fu) == pytest.approx(0.0385, rel=0.01)
    assert ((fu > 0.0334) & (fu < 0.0456)).mean() == pytest.approx(0.95, abs=0.005)
    clint = quiet._clint(record, point, 20_000, rng)
    assert np.median(clint) == pytest.approx(19.9, rel=0.02)
    assert ((clint > 10.2) & (clint < 29.8)).mean() == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize(
    ("median", "low", "high"), [(0.5, 0.2, 0.7), (0.003, 0.001, 0.02), (0.98, 0.9, 1.0)]
)
def test_the_beta_distribution_has_the_median_and_the_interval(median, low, high):
    a, b = v._beta(median, low, high)
    assert beta.ppf(0.5, a, b) == pytest.approx(median, rel=0.05)
    assert beta.cdf(high, a, b) - beta.cdf(low, a, b) == pytest.approx(0.95, abs=2e-3)


def test_the_log_normal_has_the_interval():
    sd = v._log_sd(20.0, 10.0, 30.0)
    assert lognorm.cdf(30, sd, scale=20) - lognorm.cdf(10, sd, scale=20) == pytest.approx(0.95)


def test_a_clearance_that_may_be_none_is_none_in_that_share():
    rng = np.random.default_rng(1)
    record = {"Human.Clint": "5,1,12,0.3"}
    point = {"Clint": 5.0, "Fhep.assay.correction": 1.0}
    drawn = v.HttkVariation(poor_metabolisers=0)._clint(record, point, 1000, rng)
    assert (drawn == 0).mean() == pytest.approx(0.3, abs=0.002)


def test_free_concentrations_need_higher_doses():
    total = ph.oral_equivalent_dose("bisphenol-a", 1.0, people=40, seed=1)
    free = ph.oral_equivalent_dose("bisphenol-a", 1.0, people=40, seed=1, free=True)
    assert (free.doses > 5 * total.doses).all()


def test_many_chemicals_in_the_same_people_and_why_some_have_no_dose():
    wanted = {"bisphenol-a": "3 uM", "theophylline": 2.0, "nothing at all": 1.0}
    table = ph.oral_equivalent_doses(wanted, people=30, seed=5)
    alone = ph.oral_equivalent_dose("theophylline", 2.0, people=30, seed=5)
    assert table.loc["theophylline", [0.05, 0.5, 0.95]].tolist() == pytest.approx(alone.doses)
    assert np.isnan(table.loc["nothing at all", 0.5])
    assert "a known compound" in table.loc["nothing at all", "problem"]


def test_a_simulation_of_one_dose_gives_what_repeated_doses_reach():
    """Average over a day at steady state of q24h, against the oral equivalent of that average."""
    people = ph.sample_population(3, seed=2)
    one = ph.simulate("theophylline", "1 mg/kg oral", people, compartments=["plasma"])
    found = ph.oral_equivalent_dose(one, 1.0)
    many = ph.simulate(
        "theophylline",
        "1 mg/kg oral q24h x12",
        people,
        np.linspace(240, 264, 481),
        compartments=["plasma"],
    )
    c = many["concentration"].values[:, :, 0]
    average = np.trapezoid(c, many["time"].values, axis=1) / 24
    assert found.css == pytest.approx(average, rel=2e-3)


def test_the_draws_of_a_posterior():
    patient = ph.Patient("320 mg oral q12h x2", {2: 7.4, 11.9: 4.4})
    drawn = ph.posterior("theophylline", patient, error={"proportional": 0.1}, seed=1)
    sim = drawn.simulate("320 mg oral", np.linspace(0, 96, 193), compartments=["plasma"])
    with pytest.raises(InputError, match="body_weight"):
        ph.oral_equivalent_dose(sim, "10 mg/L")
    found = ph.oral_equivalent_dose(sim, "10 mg/L", quantiles=[0.05, 0.95], body_weight=73)
    # a dose of 320 mg per day to 73 kg, whose area is F dose / CL
    area = np.trapezoid(sim["concentration"].values[:, :, 0], sim["time"].values, axis=1)
    assert np.median(found.css) == pytest.approx(np.median(area) / (320 / 73) / 24, rel=0.02)
    assert found.css.size == sim.sizes["subject"] and found.doses[0] < found.doses[1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"source": "nothing at all"}, UnknownNameError, "a known compound"),
        ({"concentration": 0}, InputError, "> 0"),
        ({"concentration": "3"}, UnitError, "unit"),
        ({"concentration": "3 mg"}, UnitError, "mg/L"),
        ({"quantiles": [0.5, 1.0]}, InputError, "between 0 and 1"),
        ({"quantiles": []}, InputError, "at least one"),
        ({"people": "many"}, InputError, "a number of people"),
        ({"people": 0}, InputError, "n"),
        (
            {"variation": v.HttkVariation(fup_people=0.1), "source": "tannic acid"},
            InputError,
            "molar_mass",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(change, error, words):
    given = {"source": "bisphenol-a", "concentration": 1.0, "people": 5, "seed": 1, **change}
    source, concentration = given.pop("source"), given.pop("concentration")
    with pytest.raises(error, match=words):
        ph.oral_equivalent_dose(source, concentration, **given)


def test_children_and_animals_are_refused():
    with pytest.raises(InputError, match="adults"):
        ph.oral_equivalent_dose("bisphenol-a", 1.0, people=ph.reference_child(5.0), seed=1)
    with pytest.raises(InputError, match="humans"):
        ph.oral_equivalent_dose("bisphenol-a", 1.0, people=ph.reference_individual("rat"), seed=1)


def test_simulations_that_say_nothing_of_a_steady_state_are_refused():
    person = ph.reference_individual("human")
    with pytest.raises(SchemaError, match="a simulation of one oral dose"):
        ph.oral_equivalent_dose(person, 1.0)
    several = ph.simulate("theophylline", "1 mg/kg oral q24h x3", person, compartments=["plasma"])
    with pytest.raises(InputError, match="a single oral dose"):
        ph.oral_equivalent_dose(several, 1.0)
    bolus = ph.simulate("theophylline", "1 mg/kg iv", person, compartments=["plasma"])
    with pytest.raises(InputError, match="a single oral dose"):
        ph.oral_equivalent_dose(bolus, 1.0)
    rising = ph.simulate(
        "theophylline", "1 mg/kg oral", person, [0, 0.5, 1.0], compartments=["plasma"]
    )
    with pytest.raises(InputError, match="simulate longer"):
        ph.oral_equivalent_dose(rising, 1.0)
    short = ph.simulate(
        "theophylline", "1 mg/kg oral", person, np.linspace(0, 8, 81), compartments=["plasma"]
    )
    with pytest.warns(OutOfRangeWarning, match="extrapolated"):
        ph.oral_equivalent_dose(short, 1.0)


@pytest.mark.parametrize("field", ["fup_people", "clint_uncertainty", "poor_metabolisers"])
@pytest.mark.parametrize("value", [-0.1, 3, float("nan"), True])
def test_a_variation_that_cannot_be_is_refused(field, value):
    with pytest.raises(InputError, match=field):
        v.HttkVariation(**{field: value})
