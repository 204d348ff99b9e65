"""Enzymes, children, disease and pregnancy: bodies close, published facts come out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import pbpk_hybrid as ph
from pbpk_hybrid.models import whole_body_system
from pbpk_hybrid.physiology.conditions.disease import RENAL_STAGES
from pbpk_hybrid.physiology.conditions.enzymes import (
    ONTOGENY,
    PHENOTYPES,
    STRAIGHT_ONTOGENY,
    ontogeny,
)

PEDIATRICS = Path(__file__).parents[4] / "shared" / "data" / "osp" / "Pediatrics.csv"


def clearance(compound, body) -> float:
    """Plasma clearance [mL/min/kg] of a linear drug, from its AUC after a bolus."""
    t = np.r_[0.0, np.geomspace(1e-3, 400, 1500)]
    c = ph.simulate(compound, "1 mg iv", body, t, compartments=["plasma"])["concentration"].values[
        0, :, 0
    ]
    tail = c[-1] / (np.log(c[-2] / c[-1]) / (t[-1] - t[-2]))
    return 1.0 / (np.trapezoid(c, t) + tail) / float(body["body_weight"][0]) * 1000 / 60


@pytest.mark.parametrize("enzyme", [*ONTOGENY, *STRAIGHT_ONTOGENY])
def test_ontogeny_rises_from_birth_to_one_in_adults_without_a_step(enzyme):
    age = np.linspace(0, 40, 2001)
    f = ontogeny(enzyme, age)
    assert np.all(np.diff(f) >= -1e-12) and f[-1] == 1.0 and 0 <= f[0] < 0.6
    assert np.diff(f).max() < 0.5 and f[age > 25].min() == 1.0


def test_ontogeny_of_cyp3a4_is_the_published_one():
    # (1.06 - .11) x .5 + .11 at the age of half maturation, over 1.0591 at the cap of 25 years
    assert float(ontogeny("CYP3A4", 0.64)) == pytest.approx(0.585 / 1.0591, rel=1e-3)


@pytest.mark.parametrize("age", [0.0, 0.3, 1.0, 3.0, 7.5, 12.0, 15.0, 18.0])
@pytest.mark.parametrize("sex", ["male", "female"])
def test_children_of_every_age_close_and_are_plausible(age, sex):
    child = ph.check_physiology(ph.reference_child(age, sex))
    share = float(
        (child["volume"] * child["density"]).sel(organ="brain")[0] / child["body_weight"][0]
    )
    assert 0.015 < share < 0.12  # a newborn's brain is a tenth of its weight, an adult's a fiftieth
    assert float(child["volume"].min()) > 0 and float(child["blood_flow"].min()) > 0


def test_the_child_of_the_tables_is_the_table_and_eighteen_is_nearly_adult():
    child, adult = ph.reference_child(5.0), ph.reference_individual("human")
    assert float(child["body_weight"][0]) == 19.0
    liver = float((child["volume"] * child["density"]).sel(organ="liver")[0])
    assert liver == pytest.approx(0.57)
    grown = ph.reference_child(18.0)
    for name in ("body_weight", "height", "cardiac_output", "gfr", "hematocrit"):
        assert float(grown[name][0]) == pytest.approx(float(adult[name][0]), rel=0.12)


def test_filtration_of_a_newborn_is_a_third_of_mature_and_a_two_year_old_filters_like_an_adult_per_size():
    adult = ph.reference_individual("human")

    def size(child):
        ratio = lambda name: float(child[name][0] / adult[name][0])
        return ratio("gfr") / ratio("body_weight") ** 0.75

    assert size(ph.reference_child(0.0)) == pytest.approx(0.355, abs=0.01)
    assert size(ph.reference_child(2.0)) > 0.95


@pytest.mark.skipif(not PEDIATRICS.exists(), reason="the paediatric collection is not at hand")
@pytest.mark.parametrize(
    ("drug", "study", "age", "pick"),
    [("alfentanil", "Meistelman 1987", 6.0, "mean child"), ("sufentanil", "Guay 1991", 5.0, None)],
)
def test_clearance_in_children_relative_to_adults_is_within_twofold_of_the_observed(
    drug, study, age, pick
):
    table = csv.DictReader(PEDIATRICS.read_text().splitlines())
    rows = [r for r in table if r["Study"] == study and r["Analyte"].lower() == drug]
    values = [
        float(r["CL Avg"]) for r in rows if r["CL Avg"] and (pick is None or r["Grouping"] == pick)
    ]
    predicted = clearance(drug, ph.reference_child(age))
    assert 0.5 < predicted / np.mean(values) < 2.0


def test_an_infant_clears_a_cyp3a4_drug_slower_per_liver_than_a_child():
    per_liver = []
    for age in (0.0, 0.5, 2.0, 10.0):
        body = ph.reference_child(age)
        clint = float(
            whole_body_system(ph.get_compound("midazolam"), body).parameters["clint.liver"][0]
        )
        per_liver.append(clint / float(body["volume"].sel(organ="liver")[0]))
    assert np.all(np.diff(per_liver) > 0) and per_liver[0] < 0.3 * per_liver[-1]


def test_phenotypes_scale_the_share_of_their_enzyme():
    person = ph.reference_individual("human")
    clint = {}
    for phenotype in PHENOTYPES["CYP2D6"]:
        one = ph.with_enzymes(person, phenotypes={"CYP2D6": phenotype})
        clint[phenotype] = float(
            whole_body_system(ph.get_compound("metoprolol"), one).parameters["clint.liver"][0]
        )
    assert clint["poor"] == pytest.approx(0.17 * clint["normal"])
    assert clint["ultrarapid"] == pytest.approx(1.83 * clint["normal"])


def test_a_population_has_the_published_frequencies_and_varies_as_asked():
    people = ph.sample_population(2000, seed=3)
    drawn = ph.with_enzymes(people, phenotypes="population", variation=0.4, seed=5)
    again = ph.with_enzymes(people, phenotypes="population", variation=0.4, seed=5)
    np.testing.assert_array_equal(drawn["enzyme_activity"], again["enzyme_activity"])
    poor = float((drawn["phenotype_CYP2D6"] == "poor").mean())
    assert poor == pytest.approx(0.0496, abs=0.018)  # 3.7 standard errors of 2,000 people
    activity = drawn["enzyme_activity"].sel(enzyme="CYP3A4").values
    assert activity.std() / activity.mean() == pytest.approx(0.4, abs=0.05)
    gut = drawn["enzyme_activity"].sel(enzyme="CYP3A4.gut").values
    np.testing.assert_allclose(gut, activity, rtol=2e-3)  # under 25 a little apart by ontogeny
    ph.check_physiology(drawn)


#: GFR [L/h] of the reference man (73 kg, 176 cm: 1.8892 m^2) by stage: 75, 45, 22 and 8 mL/min/1.73 m^2
RENAL = {"mild": 4.9140, "moderate": 2.9484, "severe": 1.4414, "failure": 0.52416}


@pytest.mark.parametrize("stage", RENAL_STAGES)
def test_kidney_disease_lowers_renal_clearance_in_proportion(stage):
    person = ph.reference_individual("human")
    sick = ph.check_physiology(ph.with_renal_impairment(person, stage))
    drug = ph.get_compound("cimetidine")
    renal = [
        float(whole_body_system(drug, b).parameters["clearance_renal"][0]) for b in (person, sick)
    ]
    assert renal[1] / renal[0] == pytest.approx(RENAL[stage] / 7.5, rel=1e-4)


def expected_clearance(name, whole, before, after) -> float:
    """Plasma clearance [L/h] by a well-stirred liver, worked out from that of the healthy person, `whole` [L/h].

    CL = Q R CL_u/(Q R + CL_u) and a renal share that goes with GFR; the cells of blood keep their ratio to plasma.
    `before` and `after`: hepatic blood flow [L/h], hematocrit, GFR, activity of the first pathway, functional liver.
    """
    drug = ph.get_compound(name)
    share = next(m.fraction for m in drug.metabolism if m.organ == "liver")
    flow, hematocrit, gfr, activity, function = before
    renal = whole * drug.fraction_excreted_renal
    cells = (
        drug.blood_to_plasma_ratio - 1 + 0.45
    ) / 0.45  # measured ratios are of a hematocrit of 0.45
    ratio = 1 - hematocrit + hematocrit * cells
    hepatic = whole - renal
    unbound = flow * ratio * hepatic / (flow * ratio - hepatic)
    flow_, hematocrit_, gfr_, activity_, function_ = after
    ratio_ = 1 - hematocrit_ + hematocrit_ * cells
    kept = unbound * function_ / function * (1 - share + share * activity_ / activity)
    return flow_ * ratio_ * kept / (flow_ * ratio_ + kept) + renal * gfr_ / gfr


def test_cirrhosis_closes_and_clears_what_flow_and_function_leave():
    person = ph.reference_individual("human")
    # man's L/h: portal organs 54.6 + 11.7 + 3.9 + 3.9, hepatic artery 25.35; GFR 7.5
    h = 2.3 / 5.3
    before = (99.45, h, 7.5, 1.0, 1.0)
    for name, activity in (("midazolam", (1.0, 0.4, 0.4)), ("caffeine", (1.0, 0.1, 0.1))):
        whole = clearance(name, person) * 73 * 0.06
        for grade, after in (
            ("A", (74.1 * 0.40 + 25.35 * 1.3, h * 0.92, 7.5, activity[0], 0.69)),
            ("B", (74.1 * 0.36 + 25.35 * 2.3, h * 0.88, 7.5 * 0.70, activity[1], 0.55)),
            ("C", (74.1 * 0.04 + 25.35 * 3.4, h * 0.83, 7.5 * 0.36, activity[2], 0.28)),
        ):
            sick = ph.check_physiology(ph.with_hepatic_impairment(person, grade))
            expected = expected_clearance(name, whole, before, after)
            found = clearance(name, sick) * 73 * 0.06
            assert found == pytest.approx(expected, rel=5e-3), (name, grade)


def test_pregnancy_closes_at_every_week_and_is_the_woman_at_its_beginning():
    woman = ph.reference_individual("human", "female")
    start = ph.reference_pregnancy(0)
    for name in ("volume", "blood_flow", "gfr", "hematocrit"):
        np.testing.assert_allclose(start[name], woman[name], rtol=1e-9)
    for week in (10, 20, 30, 40):
        ph.check_physiology(ph.reference_pregnancy(week))
    late = ph.reference_pregnancy(36)
    # woman's liver 95.58 L/h of blood, which stays; hematocrit 1.5/3.9, and 1.85532/5.57482 at 36 weeks; GFR 1.37144 times
    weight = 60 * 1.271584
    for name, activity in (("caffeine", 0.35884), ("metoprolol", 1.3636), ("midazolam", 1.11484)):
        whole = clearance(name, woman) * 60 * 0.06
        expected = expected_clearance(
            name,
            whole,
            (95.58, 1.5 / 3.9, 1.0, 1.0, 1.0),
            (95.58, 1.85532 / 5.57482, 1.37144, activity, 1.0),
        )
        assert clearance(name, late) * weight * 0.06 == pytest.approx(expected, rel=5e-3), name


def test_what_makes_no_sense_is_refused_by_name():
    person = ph.reference_individual("human")
    for call, match in (
        (lambda: ph.reference_child(19), "age"),
        (lambda: ph.reference_child(5, body_weight=90), "body_weight"),
        (lambda: ph.with_hepatic_impairment(person, "D"), "child_pugh"),
        (lambda: ph.with_renal_impairment(person), "one of"),
        (lambda: ph.with_renal_impairment(person, egfr=500), "less than"),
        (lambda: ph.reference_pregnancy(45), "weeks"),
        (lambda: ph.with_enzymes(person, phenotypes={"CYP2D6": "por"}), "poor"),
        (lambda: ph.with_enzymes(person, variation=0.3), "seed"),
        (lambda: ph.with_enzymes(ph.reference_individual("rat")), "humans"),
        (lambda: ontogeny("CYP3A44", 1.0), "CYP3A4"),
    ):
        with pytest.raises(ph.InputError, match=match):
            call()
