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
    "S6_output": ("cardiac_output", None, 2.5),
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


# ------------------------------------------------------------------------------------------------ edges, by their values
def _organ_mass(organ):
    def put(ds, value):
        ds["volume"].loc[{"organ": organ}] = value / ds["density"].sel(organ=organ).item()

    return put


def _organ_share(organ):
    return lambda ds, value: _organ_mass(organ)(ds, value * ds["body_weight"].item())


def _flow_share(*organs):
    """The share of cardiac output through all of them together, changed in the first."""

    def put(ds, value):
        others = float(ds["blood_flow"].sel(organ=list(organs[1:])).sum())
        ds["blood_flow"].loc[{"organ": organs[0]}] = value * ds["cardiac_output"].item() - others

    return put


def _covariate(name):
    def put(ds, value):
        ds[name] = (("subject",), np.array([float(value)]))

    return put


def _surface(ds):
    return np.sqrt(ds["height"].item() * ds["body_weight"].item() / 3600)  # Mosteller


def _lean(ds, share):
    """Everything but fat, as a share of Janmahasatian's fat-free mass."""
    w, male = ds["body_weight"].item(), ds["sex"].item() == "male"
    bmi = w / (ds["height"].item() / 100) ** 2
    free = 9270 * w / ((6680 + 216 * bmi) if male else (8780 + 244 * bmi))
    _organ_mass("adipose")(ds, w - share * free)


def _spread(organ, cv):
    """e^z of the ICRP mass, in sigmas."""

    def put(ds, z):
        mass = (ds["volume"] * ds["density"]).sel(organ=organ).item()
        _organ_mass(organ)(ds, mass * np.exp(z * np.sqrt(np.log(1 + cv**2))))

    return put


#: rule -> (what is set, low and high for men, for women); None: no bound on that side
EDGES = {
    "S1": (_covariate("hematocrit"), (0.25, 0.60), (0.25, 0.60)),
    "S2_weight": (_covariate("body_weight"), (45, 186), (39, 179)),
    "S2_height": (_covariate("height"), (151, 197), (141, 184)),
    "S2_bmi": (
        lambda ds, v: _covariate("body_weight")(ds, v * (ds["height"].item() / 100) ** 2),
        (16.2, 58),
        (16.2, 65.7),
    ),
    "S3_creatinine": (_covariate("serum_creatinine"), (0.51, 6.0), (0.35, 4.8)),
    "S3_gfr": (
        lambda ds, v: _covariate("gfr")(ds, v * 0.06 * _surface(ds) / 1.73),
        (5, 200),
        (5, 200),
    ),
    "S4_adipose": (_organ_share("adipose"), (0.03, 0.65), (0.03, 0.65)),
    "S4_lean": (_lean, (0.75, 1.25), (0.75, 1.25)),
    "S5_liver": (_organ_share("liver"), (0.008, 0.06), (0.008, 0.06)),
    "S5_heart": (_organ_mass("heart"), (0.12, None), (0.12, None)),
    "S5_skin": (_organ_mass("skin"), (None, 12), (None, 12)),
    "S5_stomach": (_organ_mass("stomach"), (0.03, None), (0.03, None)),
    "S5_brain": (_organ_mass("brain"), (1.0, 1.9), (1.0, 1.9)),
    "S6_output": (lambda ds, v: _covariate("cardiac_output")(ds, 60 * v), (2.5, 14), (2.5, 14)),
    "S6_index": (
        lambda ds, v: _covariate("cardiac_output")(ds, 60 * v * _surface(ds)),
        (1.6, 6.2),
        (1.6, 6.2),
    ),
    "S7_kidney": (_flow_share("kidney"), (0.12, 0.28), (0.12, 0.28)),
    "S7_liver": (
        _flow_share("liver", "gut", "spleen", "pancreas", "stomach"),
        (None, 0.35),
        (None, 0.35),
    ),
    "S7_brain": (_flow_share("brain"), (0.06, 0.18), (0.06, 0.18)),
    "S7_muscle": (_flow_share("muscle"), (0.08, 0.25), (0.08, 0.25)),
    "S8": (_spread("muscle", 0.27), (-3.5, 3.5), (-3.5, 3.5)),
}


def _broken(rule, sex, put, value):
    ds = reference_individual("human", sex)
    ds["serum_creatinine"] = (("subject",), np.array([0.9]))
    put(ds, value)
    return bool(check_plausibility(ds)["violated"].sel(rule=rule).item())


@pytest.mark.parametrize("sex", ["male", "female"])
@pytest.mark.parametrize("rule", EDGES)
def test_a_rule_is_kept_just_inside_its_bounds_and_broken_just_outside(rule, sex):
    put, men, women = EDGES[rule]
    low, high = men if sex == "male" else women
    step = 1e-5
    for bound, outwards in ((low, -1), (high, 1)):
        if bound is None:
            continue
        by = step * abs(bound) * outwards
        assert not _broken(rule, sex, put, bound - by), bound
        assert _broken(rule, sex, put, bound + by), bound


def test_every_soft_rule_of_adults_has_its_edges_here():
    assert set(EDGES) == {r.id for r in RULES if r.kind == "soft"}


@pytest.mark.parametrize(("by", "broken"), [(0.9e-6, False), (1.1e-6, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_closures_hold_to_a_millionth(by, broken, sign):
    whole = reference_individual("human")
    mass = float((whole["volume"] * whole["density"]).sum())
    heavy = whole.copy(deep=True)
    heavy["body_weight"] = heavy["body_weight"] * 0 + mass / (1 + sign * by)
    ruled = check_plausibility(heavy)["violated"].sel(rule="H2")
    assert bool(ruled.item()) is broken
    flow = whole.copy(deep=True)
    flow["cardiac_output"] = flow["blood_flow"].sel(organ="lung") / (1 + sign * by)
    assert bool(check_plausibility(flow)["violated"].sel(rule="H3").item()) is broken


@pytest.mark.parametrize(("share", "broken"), [(1 - 1e-9, False), (1 + 1e-9, True)])
def test_filtration_may_reach_the_renal_plasma_flow_and_no_more(share, broken):
    ds = reference_individual("human")
    plasma = ds["blood_flow"].sel(organ="kidney").item() * (1 - ds["hematocrit"].item())
    ds["gfr"] = (("subject",), np.array([share * plasma]))
    assert bool(check_plausibility(ds)["violated"].sel(rule="H5").item()) is broken
