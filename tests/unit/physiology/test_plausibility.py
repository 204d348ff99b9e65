"""Plausibility: each rule can be broken, and our own populations break no hard one."""

from __future__ import annotations

import numpy as np
import pytest

from pbpk_hybrid._core.errors import SchemaError
from pbpk_hybrid.physiology import (
    RULES,
    SPECIES,
    check_plausibility,
    reference_individual,
    sample_population,
)


def test_reference_people_break_no_rule():
    for sex in ("male", "female"):
        assert not check_plausibility(reference_individual("human", sex))["violated"].any()


@pytest.mark.parametrize("species", SPECIES)
def test_no_hard_rule_is_broken_by_any_population(species):
    result = check_plausibility(sample_population(5000, species, seed=11))
    assert result.attrs["hard_violation_rate"] == 0.0


def test_soft_rules_are_broken_no_more_than_by_the_survey_itself():
    result = check_plausibility(sample_population(20_000, seed=11))
    organ = [r.id for r in RULES if r.id[:2] in ("S4", "S5", "S6", "S7", "S8")]
    # covariates are real people's: nine .1 % tails of about twelve; organs are drawn until plausible
    assert result.attrs["soft_violation_rate"] < 0.02
    assert result["violated"].sel(rule=organ).any("rule").mean() < 0.002


def test_soft_rules_do_not_apply_to_animals():
    result = check_plausibility(sample_population(10, "mouse", seed=1))
    assert np.isnan(result["residual"].where(result["kind"] == "soft", drop=True)).all()


BREAK = {
    "H2": ("volume", "muscle", 2.0),
    "H3": ("blood_flow", "muscle", 2.0),
    "H4": ("body_mass_index", None, 1.1),
    "H5": ("gfr", None, 20.0),
    "S1": ("hematocrit", None, 0.5),
    "S2_weight": ("body_weight", None, 3.0),
    "S2_height": ("height", None, 1.3),
    "S2_bmi": ("height", None, 0.5),
    "S3_creatinine": ("serum_creatinine", None, 20.0),
    "S3_gfr": ("gfr", None, 0.01),
    "S4_adipose": ("volume", "adipose", 0.05),
    "S4_lean": ("volume", "adipose", 3.0),
    "S5_liver": ("volume", "liver", 3.0),
    "S5_heart": ("volume", "heart", 0.1),
    "S5_skin": ("volume", "skin", 5.0),
    "S5_stomach": ("volume", "stomach", 0.1),
    "S5_brain": ("volume", "brain", 2.0),
    "S6_output": ("cardiac_output", None, 2.0),
    "S6_index": ("cardiac_output", None, 0.4),
    "S7_kidney": ("blood_flow", "kidney", 2.0),
    "S7_liver": ("blood_flow", "liver", 4.0),
    "S7_brain": ("blood_flow", "brain", 2.0),
    "S7_muscle": ("blood_flow", "muscle", 2.0),
    "S8": ("volume", "spleen", 10.0),
}


@pytest.mark.parametrize("rule", [r.id for r in RULES if r.id != "H1"])
def test_each_rule_sees_its_own_violation(rule):
    ds = reference_individual("human")
    ds["serum_creatinine"] = (("subject",), np.array([0.9]))
    name, organ, factor = BREAK[rule]
    if organ is None:
        ds[name] = ds[name] * factor
    else:
        ds[name].loc[{"organ": organ}] *= factor
    residual = check_plausibility(ds)["residual"].sel(rule=rule)
    assert residual.item() > 0


def test_first_rule_sees_a_negative_mass():
    from pbpk_hybrid.physiology.plausibility.body import body_of
    from pbpk_hybrid.physiology.plausibility.rules import RULES as rules

    body = body_of(reference_individual("human"))
    body.mass[0, 3] = -1.0
    assert rules[0].residual(body)[0] > 0


def test_rules_carry_text_unit_and_source():
    result = check_plausibility(reference_individual("human"))
    for name in ("text", "unit", "source"):
        assert all(str(v) for v in result[name].values)
    assert len(set(result["rule"].values)) == len(RULES)
    assert set(result["kind"].values) == {"hard", "soft"}


def test_wrong_schema_is_refused():
    with pytest.raises(SchemaError):
        check_plausibility(reference_individual("human").drop_vars("sex"))
