"""Rules that a body must obey.

Hard rules (H) are definitions and conservation laws: no subject may break one. Soft
rules (S) are wide bounds of what is seen in adults: less than 0.1 % of the NHANES
people fall outside each bound on a measured quantity, so a small rate is normal and
none at all would be suspicious.

Children below 18 have their own bounds under the same names (:data:`CHILD_RULES`): of
the children of NHANES by age and sex, and of the ICRP reference child of that age. Not
evaluated are flows and cardiac output of children (S6, S7), their lean mass (S4_lean),
what the survey did not measure at an age, and the soft rules for animals. S9, on ranks,
is about a population and not about a subject: :func:`.check.check_ranks`.

A rule's residual (:mod:`.residuals`) is how far a subject is beyond the bound, in the
rule's unit: negative or zero is satisfied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..dataset import body_surface_area
from ..organs import PORTAL_ORGANS
from . import residuals as res
from .body import Body


@dataclass(frozen=True)
class Rule:
    """One rule: ``residual(body)`` is positive where it is broken, NaN where it does not apply."""

    id: str
    kind: str  # hard | soft
    text: str
    unit: str
    source: str
    residual: Callable[[Body], np.ndarray]


_NHANES = "NHANES 2013-2018, 0.1 and 99.9 % of adults"
_ICRP = "ICRP 89, widened"
_OUTPUT = "ICRP 89 by age and surface with a CV of 17 %, 0.1 and 99.9 % widened"

RULES: tuple[Rule, ...] = (
    Rule(
        "H1",
        "hard",
        "every mass and flow is finite and positive",
        "kg or L/h",
        "definition",
        res.positive_masses_and_flows,
    ),
    Rule("H2", "hard", "organ masses add to the body weight", "1", "closure", res.mass_closure),
    Rule(
        "H3",
        "hard",
        "systemic flows add to the cardiac output; lung and pools carry it",
        "1",
        "closure",
        res.flow_closure,
    ),
    Rule(
        "H4",
        "hard",
        "BMI and body surface agree with weight and height",
        "1",
        "definition; Mosteller 1987",
        res.definitions,
    ),
    Rule(
        "H5",
        "hard",
        "hematocrit in (0, 1); GFR at most the renal plasma flow",
        "1",
        "definition",
        res.hematocrit_and_filtration,
    ),
    Rule(
        "S1",
        "soft",
        "hematocrit 25 to 60 %",
        "1",
        _NHANES,
        lambda b: res.outside(b.hematocrit, 0.25, 0.60),
    ),
    Rule(
        "S2_weight",
        "soft",
        "body weight 45-186 (M), 39-179 kg (F)",
        "kg",
        _NHANES,
        lambda b: res.bound_by_sex(b, b.weight, (45, 186), (39, 179)),
    ),
    Rule(
        "S2_height",
        "soft",
        "height 151-197 (M), 141-184 cm (F)",
        "cm",
        _NHANES,
        lambda b: res.bound_by_sex(b, b.height, (151, 197), (141, 184)),
    ),
    Rule(
        "S2_bmi",
        "soft",
        "BMI 16.2-58 (M), 16.2-65.7 kg/m2 (F)",
        "kg/m^2",
        _NHANES,
        lambda b: res.bound_by_sex(b, b.weight / (b.height / 100) ** 2, (16.2, 58), (16.2, 65.7)),
    ),
    Rule(
        "S3_creatinine",
        "soft",
        "creatinine 0.51-6.0 (M), 0.35-4.8 mg/dL (F)",
        "mg/dL",
        _NHANES,
        lambda b: res.bound_by_sex(b, b.creatinine, (0.51, 6.0), (0.35, 4.8)),
    ),
    Rule(
        "S3_gfr",
        "soft",
        "GFR 5 to 200 mL/min/1.73 m2",
        "mL/min/1.73 m^2",
        "KDIGO stages, widened",
        lambda b: res.outside(b.gfr / 0.06 * 1.73 / body_surface_area(b.weight, b.height), 5, 200),
    ),
    Rule(
        "S4_adipose",
        "soft",
        "adipose tissue 3 to 65 % of body weight",
        "1",
        _ICRP,
        lambda b: res.outside(b.organ("adipose") / b.weight, 0.03, 0.65),
    ),
    Rule(
        "S4_lean",
        "soft",
        "weight less adipose within 25 % of fat-free mass",
        "1",
        "Janmahasatian et al. 2005",
        res.lean_mass,
    ),
    Rule(
        "S5_liver",
        "soft",
        "liver 0.8 to 6 % of body weight",
        "1",
        _ICRP,
        lambda b: res.outside(b.organ("liver") / b.weight, 0.008, 0.06),
    ),
    Rule(
        "S5_heart", "soft", "heart at least 0.12 kg", "kg", _ICRP, lambda b: 0.12 - b.organ("heart")
    ),
    Rule("S5_skin", "soft", "skin at most 12 kg", "kg", _ICRP, lambda b: b.organ("skin") - 12),
    Rule(
        "S5_stomach",
        "soft",
        "stomach at least 0.03 kg",
        "kg",
        _ICRP,
        lambda b: 0.03 - b.organ("stomach"),
    ),
    Rule(
        "S5_brain",
        "soft",
        "brain 1.0 to 1.9 kg",
        "kg",
        _ICRP,
        lambda b: res.outside(b.organ("brain"), 1.0, 1.9),
    ),
    Rule(
        "S6_output",
        "soft",
        "cardiac output 2.5 to 14 L/min",
        "L/min",
        _OUTPUT,
        lambda b: res.outside(b.output / 60, 2.5, 14),
    ),
    Rule(
        "S6_index",
        "soft",
        "cardiac index 1.6 to 6.2 L/min/m2",
        "L/min/m^2",
        _OUTPUT,
        lambda b: res.outside(b.output / 60 / body_surface_area(b.weight, b.height), 1.6, 6.2),
    ),
    Rule(
        "S7_kidney",
        "soft",
        "kidney flow 12 to 28 % of cardiac output",
        "1",
        _ICRP,
        lambda b: res.outside(b.share("kidney"), 0.12, 0.28),
    ),
    Rule(
        "S7_liver",
        "soft",
        "total liver flow 18 to 35 % of cardiac output",
        "1",
        _ICRP,
        lambda b: res.outside(b.share("liver", *PORTAL_ORGANS), 0.18, 0.35),
    ),
    Rule(
        "S7_brain",
        "soft",
        "brain flow 6 to 18 % of cardiac output",
        "1",
        _ICRP,
        lambda b: res.outside(b.share("brain"), 0.06, 0.18),
    ),
    Rule(
        "S7_muscle",
        "soft",
        "muscle flow 8 to 25 % of cardiac output",
        "1",
        _ICRP,
        lambda b: res.outside(b.share("muscle"), 0.08, 0.25),
    ),
    Rule(
        "S8",
        "soft",
        "organ masses within 3.5 sigma_ln of the height-scaled ICRP mass",
        "1",
        "ICRP 89; McNally et al. 2014",
        res.organ_spread,
    ),
)

_NHANES_CHILDREN = "NHANES 2013-2018, 0.1 and 99.9 % of children of that age and sex"
_ICRP_CHILDREN = "ICRP 89 reference children, bounds of adults in proportion"

CHILD_RULES: tuple[Rule, ...] = (
    Rule(
        "H4",
        "hard",
        "BMI and body surface agree with weight and height",
        "1",
        "definition; Mosteller 1987, Haycock et al. 1978, or between",
        res.child_definitions,
    ),
    Rule(
        "S1",
        "soft",
        "hematocrit usual at that age (from 1 year)",
        "1",
        _NHANES_CHILDREN,
        res.child_range("hematocrit", lambda b: b.hematocrit),
    ),
    Rule(
        "S2_weight",
        "soft",
        "body weight usual at that age",
        "kg",
        _NHANES_CHILDREN,
        res.child_range("body_weight", lambda b: b.weight),
    ),
    Rule(
        "S2_height",
        "soft",
        "height usual at that age",
        "cm",
        _NHANES_CHILDREN,
        res.child_range("height", lambda b: b.height),
    ),
    Rule(
        "S2_bmi",
        "soft",
        "BMI usual at that age",
        "kg/m^2",
        _NHANES_CHILDREN,
        res.child_range("body_mass_index", lambda b: b.weight / (b.height / 100) ** 2),
    ),
    Rule(
        "S3_creatinine",
        "soft",
        "creatinine usual at that age (from 12 years)",
        "mg/dL",
        _NHANES_CHILDREN,
        res.child_range("serum_creatinine", lambda b: b.creatinine),
    ),
    Rule(
        "S5_heart",
        "soft",
        "heart at least 0.12 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        res.child_organ("heart", 0.12, np.inf),
    ),
    Rule(
        "S5_skin",
        "soft",
        "skin at most 12 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        res.child_organ("skin", 0.0, 12),
    ),
    Rule(
        "S5_stomach",
        "soft",
        "stomach at least 0.03 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        res.child_organ("stomach", 0.03, np.inf),
    ),
    Rule(
        "S5_brain",
        "soft",
        "brain 1.0 to 1.9 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        res.child_organ("brain", 1.0, 1.9),
    ),
    Rule(
        "S8",
        "soft",
        "organ masses within 3.5 sigma_ln of the height-scaled ICRP mass of that age",
        "1",
        "ICRP 89; McNally et al. 2014 (spread of adults)",
        res.child_organ_spread,
    ),
)
#: ICRP children from birth on are well inside the bounds of adults
_SAME_FOR_CHILDREN = frozenset({"S3_gfr", "S4_adipose", "S5_liver"})


def child_rule(rule: Rule) -> Rule | None:
    """The rule for subjects below 18 years; None: not evaluated."""
    for child in CHILD_RULES:
        if child.id == rule.id:
            return child
    return rule if rule.kind == "hard" or rule.id in _SAME_FOR_CHILDREN else None
