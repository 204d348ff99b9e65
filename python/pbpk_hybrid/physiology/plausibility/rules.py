"""Rules that a body must obey, and a check of every subject against every rule.

Hard rules (H) are definitions and conservation laws: no subject may break one. Soft rules (S) are wide bounds of what is
seen in adults: below .1 % of the NHANES people fall outside each bound on a measured quantity, so a small rate is normal
and none at all would be suspicious. Children below 18 have their own bounds under the same names (:data:`CHILD_RULES`): of
the children of NHANES by age and sex, and of the ICRP reference child of that age. Flows and cardiac output of children
(S6, S7), their lean mass (S4_lean) and what the survey did not measure at an age are not evaluated, nor are the soft rules
for animals. S9, on ranks, is about a population and not about a person: :func:`check_ranks`.

Three numbers describe a population, :func:`summary`: who breaks a hard rule, who breaks a soft one, and how many of the
held-out people of the survey break a soft one.

A rule's residual is how far a subject is beyond the bound, in the rule's unit: negative or zero is satisfied. Residuals
work on numpy arrays and on torch tensors, through which they can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import xarray as xr

from ..._core.provenance import provenance
from ..._core.schemas import validate
from ..adults import regressions as r
from ..adults.body import INDEX, by_sex
from ..adults.survey import ADULT_AGE
from ..adults.variability import CUT, organ_cv, sd_ln
from ..arrays import fmax, isfinite, largest, log, maximum, minimum, smallest, where
from ..children.usual import reference_height, reference_mass, usual_range
from ..dataset import CLOSURE_TOLERANCE, body_surface_area
from ..organs import FULL_FLOW_ORGANS, ORGANS, PORTAL_ORGANS, SYSTEMIC_ORGANS


@dataclass(frozen=True)
class Body:
    """What the rules look at; organ arrays are (subject, organ) in the order of ``ORGANS``."""

    mass: np.ndarray  # kg
    flow: np.ndarray  # L/h
    male: np.ndarray
    weight: np.ndarray  # kg
    height: np.ndarray  # cm
    hematocrit: np.ndarray
    gfr: np.ndarray  # L/h
    output: np.ndarray  # L/h
    creatinine: np.ndarray  # mg/dL
    bmi: np.ndarray  # as stated by the Dataset
    surface: np.ndarray  # as stated by the Dataset
    age: np.ndarray | None = None  # year; None: adults

    def organ(self, name: str) -> np.ndarray:
        return self.mass[:, INDEX[name]]

    def share(self, *names: str) -> np.ndarray:
        """Flow through organs as a fraction of cardiac output."""
        return self.flow[:, [INDEX[name] for name in names]].sum(axis=1) / self.output


@dataclass(frozen=True)
class Rule:
    """One rule: ``residual(body)`` is positive where it is broken, NaN where it does not apply."""

    id: str
    kind: str  # hard | soft
    text: str
    unit: str
    source: str
    residual: Callable[[Body], np.ndarray]


def _outside(value, low, high) -> np.ndarray:
    return maximum(low - value, value - high)


def _bound_by_sex(body: Body, value, men, women) -> np.ndarray:
    low = where(body.male, men[0], women[0])
    high = where(body.male, men[1], women[1])
    return _outside(value, low, high)


def _positive(body: Body) -> np.ndarray:
    least = minimum(smallest(body.mass), smallest(body.flow))
    finite = isfinite(body.mass).all(axis=1) & isfinite(body.flow).all(axis=1)
    # exactly zero is not positive either
    return where(finite, maximum(-least, (least == 0) * 1e-300), np.inf)


def _mass_closure(body: Body) -> np.ndarray:
    return abs(body.mass.sum(axis=1) / body.weight - 1) - CLOSURE_TOLERANCE


def _flow_closure(body: Body) -> np.ndarray:
    systemic = body.share(*SYSTEMIC_ORGANS)
    through = body.flow[:, [INDEX[o] for o in FULL_FLOW_ORGANS]] / body.output[:, None]
    return maximum(abs(systemic - 1), largest(abs(through - 1))) - CLOSURE_TOLERANCE


def _definitions(body: Body) -> np.ndarray:
    bmi = abs(body.bmi / (body.weight / (body.height / 100) ** 2) - 1)
    surface = abs(body.surface / body_surface_area(body.weight, body.height) - 1)
    return fmax(bmi, surface) - CLOSURE_TOLERANCE  # NaN (animals) does not apply


def _fractions(body: Body) -> np.ndarray:
    filtration = body.gfr / (body.flow[:, INDEX["kidney"]] * (1 - body.hematocrit))
    return maximum(filtration - 1, _outside(body.hematocrit, 0.0, 1.0))


def _lean_mass(body: Body) -> np.ndarray:
    expected = r.fat_free_mass(body.male, body.weight, body.weight / (body.height / 100) ** 2)
    return abs((body.weight - body.organ("adipose")) / expected - 1) - 0.25


#: organs of rule S8
SCALED = ("lung", "heart", "kidney", "gut", "spleen", "pancreas", "stomach", "liver", "muscle")


def _organ_spread(body: Body) -> np.ndarray:
    """Largest excess of |ln(mass / height-scaled ICRP mass)| over 3.5 sigma_ln among the organs."""
    return largest(organ_excess(body))


def organ_excess(body: Body) -> np.ndarray:
    """(n, organ of ``SCALED``) excess of |ln(mass / height-scaled ICRP mass)| over 3.5 sigma_ln."""
    index = [INDEX[o] for o in SCALED]
    scale = r.height_scale(body.height, by_sex(body.male, lambda ref: ref.height))
    return _beyond_spread(body, by_sex(body.male, lambda ref: ref.mass[index]) * scale[:, None])


def _beyond_spread(body: Body, expected) -> np.ndarray:
    index = [INDEX[o] for o in SCALED]
    men, women = (np.array(organ_cv(sex)[0][index]) for sex in ("male", "female"))
    # McNally et al. 2014 for muscle, whose organ_cv is 0 because closure makes it
    men[SCALED.index("muscle")] = women[SCALED.index("muscle")] = 0.27
    spread = where(body.male[:, None], sd_ln(men), sd_ln(women))
    with np.errstate(invalid="ignore", divide="ignore"):
        return abs(log(body.mass[:, index] / expected)) - CUT * spread - 1e-9


def _child_definitions(body: Body) -> np.ndarray:
    """Body surface of a child may be Mosteller's or Haycock's."""
    bmi = abs(body.bmi / (body.weight / (body.height / 100) ** 2) - 1)
    haycock = r.haycock_surface(body.weight, body.height)
    stated = [
        abs(body.surface / s - 1) for s in (body_surface_area(body.weight, body.height), haycock)
    ]
    return fmax(bmi, minimum(*stated)) - CLOSURE_TOLERANCE


def _child_range(name: str, value: Callable[[Body], np.ndarray]) -> Callable[[Body], np.ndarray]:
    return lambda b: _outside(value(b), *usual_range(name, b.male, b.age))


def _child_organ(name: str, low: float, high: float) -> Callable[[Body], np.ndarray]:
    """The bounds of adults [kg] times the ICRP mass at that age over the adult's."""

    def residual(b: Body) -> np.ndarray:
        adult = by_sex(b.male, lambda ref: ref.mass[INDEX[name]])
        share = reference_mass(b.male, b.age)[:, INDEX[name]] / adult
        return _outside(b.organ(name), low * share, high * share)

    return residual


def _child_spread(body: Body) -> np.ndarray:
    index = [INDEX[o] for o in SCALED]
    scale = r.height_scale(body.height, reference_height(body.male, body.age))
    return largest(
        _beyond_spread(body, reference_mass(body.male, body.age)[:, index] * scale[:, None])
    )


_NHANES = "NHANES 2013-2018, .1 and 99.9 % of adults"
_ICRP = "ICRP 89, widened"

RULES: tuple[Rule, ...] = (
    Rule(
        "H1",
        "hard",
        "every mass and flow is finite and positive",
        "kg or L/h",
        "definition",
        _positive,
    ),
    Rule("H2", "hard", "organ masses add to the body weight", "1", "closure", _mass_closure),
    Rule(
        "H3",
        "hard",
        "systemic flows add to the cardiac output; lung and pools carry it",
        "1",
        "closure",
        _flow_closure,
    ),
    Rule(
        "H4",
        "hard",
        "BMI and body surface agree with weight and height",
        "1",
        "definition; Mosteller 1987",
        _definitions,
    ),
    Rule(
        "H5",
        "hard",
        "hematocrit in (0, 1); GFR at most the renal plasma flow",
        "1",
        "definition",
        _fractions,
    ),
    Rule(
        "S1",
        "soft",
        "hematocrit 25 to 60 %",
        "1",
        _NHANES,
        lambda b: _outside(b.hematocrit, 0.25, 0.60),
    ),
    Rule(
        "S2_weight",
        "soft",
        "body weight 45-186 (M), 39-179 kg (F)",
        "kg",
        _NHANES,
        lambda b: _bound_by_sex(b, b.weight, (45, 186), (39, 179)),
    ),
    Rule(
        "S2_height",
        "soft",
        "height 151-197 (M), 141-184 cm (F)",
        "cm",
        _NHANES,
        lambda b: _bound_by_sex(b, b.height, (151, 197), (141, 184)),
    ),
    Rule(
        "S2_bmi",
        "soft",
        "BMI 16.2-58 (M), 16.2-65.7 kg/m2 (F)",
        "kg/m^2",
        _NHANES,
        lambda b: _bound_by_sex(b, b.weight / (b.height / 100) ** 2, (16.2, 58), (16.2, 65.7)),
    ),
    Rule(
        "S3_creatinine",
        "soft",
        "creatinine .51-6.0 (M), .35-4.8 mg/dL (F)",
        "mg/dL",
        _NHANES,
        lambda b: _bound_by_sex(b, b.creatinine, (0.51, 6.0), (0.35, 4.8)),
    ),
    Rule(
        "S3_gfr",
        "soft",
        "GFR 5 to 200 mL/min/1.73 m2",
        "mL/min/1.73 m^2",
        "KDIGO stages, widened",
        lambda b: _outside(b.gfr / 0.06 * 1.73 / body_surface_area(b.weight, b.height), 5, 200),
    ),
    Rule(
        "S4_adipose",
        "soft",
        "adipose tissue 3 to 65 % of body weight",
        "1",
        _ICRP,
        lambda b: _outside(b.organ("adipose") / b.weight, 0.03, 0.65),
    ),
    Rule(
        "S4_lean",
        "soft",
        "weight less adipose within 25 % of fat-free mass",
        "1",
        "Janmahasatian et al. 2005",
        _lean_mass,
    ),
    Rule(
        "S5_liver",
        "soft",
        "liver .8 to 6 % of body weight",
        "1",
        _ICRP,
        lambda b: _outside(b.organ("liver") / b.weight, 0.008, 0.06),
    ),
    Rule(
        "S5_heart", "soft", "heart at least .12 kg", "kg", _ICRP, lambda b: 0.12 - b.organ("heart")
    ),
    Rule("S5_skin", "soft", "skin at most 12 kg", "kg", _ICRP, lambda b: b.organ("skin") - 12),
    Rule(
        "S5_stomach",
        "soft",
        "stomach at least .03 kg",
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
        lambda b: _outside(b.organ("brain"), 1.0, 1.9),
    ),
    Rule(
        "S6_output",
        "soft",
        "cardiac output 2.5 to 10 L/min",
        "L/min",
        _ICRP,
        lambda b: _outside(b.output / 60, 2.5, 10),
    ),
    Rule(
        "S6_index",
        "soft",
        "cardiac index 1.8 to 5 L/min/m2",
        "L/min/m^2",
        "clinical range at rest, widened",
        lambda b: _outside(b.output / 60 / body_surface_area(b.weight, b.height), 1.8, 5),
    ),
    Rule(
        "S7_kidney",
        "soft",
        "kidney flow 12 to 28 % of cardiac output",
        "1",
        _ICRP,
        lambda b: _outside(b.share("kidney"), 0.12, 0.28),
    ),
    Rule(
        "S7_liver",
        "soft",
        "total liver flow 18 to 35 % of cardiac output",
        "1",
        _ICRP,
        lambda b: _outside(b.share("liver", *PORTAL_ORGANS), 0.18, 0.35),
    ),
    Rule(
        "S7_brain",
        "soft",
        "brain flow 6 to 18 % of cardiac output",
        "1",
        _ICRP,
        lambda b: _outside(b.share("brain"), 0.06, 0.18),
    ),
    Rule(
        "S7_muscle",
        "soft",
        "muscle flow 8 to 25 % of cardiac output",
        "1",
        _ICRP,
        lambda b: _outside(b.share("muscle"), 0.08, 0.25),
    ),
    Rule(
        "S8",
        "soft",
        "organ masses within 3.5 sigma_ln of the height-scaled ICRP mass",
        "1",
        "ICRP 89; McNally et al. 2014",
        _organ_spread,
    ),
)

_NHANES_CHILDREN = "NHANES 2013-2018, .1 and 99.9 % of children of that age and sex"
_ICRP_CHILDREN = "ICRP 89 reference children, bounds of adults in proportion"

CHILD_RULES: tuple[Rule, ...] = (
    Rule(
        "H4",
        "hard",
        "BMI and body surface agree with weight and height",
        "1",
        "definition; Mosteller 1987 or Haycock et al. 1978",
        _child_definitions,
    ),
    Rule(
        "S1",
        "soft",
        "hematocrit usual at that age (from 1 year)",
        "1",
        _NHANES_CHILDREN,
        _child_range("hematocrit", lambda b: b.hematocrit),
    ),
    Rule(
        "S2_weight",
        "soft",
        "body weight usual at that age",
        "kg",
        _NHANES_CHILDREN,
        _child_range("body_weight", lambda b: b.weight),
    ),
    Rule(
        "S2_height",
        "soft",
        "height usual at that age",
        "cm",
        _NHANES_CHILDREN,
        _child_range("height", lambda b: b.height),
    ),
    Rule(
        "S2_bmi",
        "soft",
        "BMI usual at that age",
        "kg/m^2",
        _NHANES_CHILDREN,
        _child_range("body_mass_index", lambda b: b.weight / (b.height / 100) ** 2),
    ),
    Rule(
        "S3_creatinine",
        "soft",
        "creatinine usual at that age (from 12 years)",
        "mg/dL",
        _NHANES_CHILDREN,
        _child_range("serum_creatinine", lambda b: b.creatinine),
    ),
    Rule(
        "S5_heart",
        "soft",
        "heart at least .12 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        _child_organ("heart", 0.12, np.inf),
    ),
    Rule(
        "S5_skin",
        "soft",
        "skin at most 12 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        _child_organ("skin", 0.0, 12),
    ),
    Rule(
        "S5_stomach",
        "soft",
        "stomach at least .03 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        _child_organ("stomach", 0.03, np.inf),
    ),
    Rule(
        "S5_brain",
        "soft",
        "brain 1.0 to 1.9 kg times ICRP of that age over adult",
        "kg",
        _ICRP_CHILDREN,
        _child_organ("brain", 1.0, 1.9),
    ),
    Rule(
        "S8",
        "soft",
        "organ masses within 3.5 sigma_ln of the height-scaled ICRP mass of that age",
        "1",
        "ICRP 89; McNally et al. 2014 (spread of adults)",
        _child_spread,
    ),
)
_SAME_FOR_CHILDREN = frozenset(
    {"S3_gfr", "S4_adipose", "S5_liver"}
)  # ICRP children from birth on are well inside


_NOT = Rule("", "", "not evaluated", "", "", lambda b: np.full(len(b.male), np.nan))


def child_rule(rule: Rule) -> Rule | None:
    """What a rule is for somebody below 18; None: not evaluated."""
    for child in CHILD_RULES:
        if child.id == rule.id:
            return child
    return rule if rule.kind == "hard" or rule.id in _SAME_FOR_CHILDREN else None


def body_of(ds: xr.Dataset) -> Body:
    """The arrays that the rules look at, from a physiology Dataset."""
    ds = ds.sel(organ=list(ORGANS))
    volume = ds["volume"].transpose("subject", "organ")

    def column(name: str) -> np.ndarray:
        return ds[name].values.astype(float) if name in ds else np.full(ds.sizes["subject"], np.nan)

    return Body(
        mass=(volume * ds["density"]).transpose("subject", "organ").values,
        flow=ds["blood_flow"].transpose("subject", "organ").values,
        male=ds["sex"].values == "male",
        weight=column("body_weight"),
        height=column("height"),
        hematocrit=column("hematocrit"),
        gfr=column("gfr"),
        output=column("cardiac_output"),
        creatinine=column("serum_creatinine"),
        bmi=column("body_mass_index"),
        surface=column("body_surface_area"),
        age=column("age"),
    )


def check_plausibility(ds: xr.Dataset, rules: tuple[Rule, ...] = RULES) -> xr.Dataset:
    """Every subject against every rule.

    Parameters
    ----------
    ds : physiology Dataset; it need not be closed (that is what H2 and H3 find out)
    rules : rules to apply, default all

    Returns
    -------
    Dataset over ``rule`` and ``subject``: ``residual`` (positive: broken; NaN: does not apply), ``violated`` (bool);
    coordinates ``kind``, ``text``, ``unit``, ``source`` over ``rule``; attributes ``hard_violation_rate`` and
    ``soft_violation_rate``, the fractions of subjects that break at least one rule of the kind.

    Raises
    ------
    SchemaError : not a physiology Dataset
    """
    validate(ds, "physiology")
    subject = ds["subject"].values if "subject" in ds.coords else None
    return check_bodies(body_of(ds), rules, human=ds["species"].values == "human", subject=subject)


check = check_plausibility


def check_bodies(
    body: Body,
    rules: tuple[Rule, ...] = RULES,
    *,
    human: np.ndarray | None = None,
    subject: np.ndarray | None = None,
) -> xr.Dataset:
    """As :func:`check_plausibility`, for arrays; `human` (n,) says where the soft rules apply, None: everywhere."""
    human = np.ones(len(body.male), dtype=bool) if human is None else human
    # an age that is not known counts as adult
    young = human & (body.age < ADULT_AGE) if body.age is not None else np.zeros_like(human)
    children = _rows(body, young) if young.any() else None
    residual = np.full((len(rules), human.size), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        for row, rule in zip(residual, rules, strict=True):
            adult = ~young if rule.kind == "hard" else human & ~young
            if adult.any():
                row[adult] = rule.residual(body)[adult]
            child = child_rule(rule)
            if children is not None and child is not None:
                row[young] = child.residual(children)
    violated = residual > 0
    kind = np.array([rule.kind for rule in rules])
    rates = {name: float(violated[kind == name].any(axis=0).mean()) for name in ("hard", "soft")}
    return xr.Dataset(
        {
            "residual": (
                ("rule", "subject"),
                residual,
                {"long_name": "distance beyond the bound, unit by rule"},
            ),
            "violated": (("rule", "subject"), violated, {"long_name": "rule broken"}),
        },
        coords={
            "rule": [rule.id for rule in rules],
            "subject": np.arange(human.size) if subject is None else subject,
            **{
                name: ("rule", [getattr(rule, name) for rule in rules])
                for name in ("kind", "text", "unit", "source")
            },
            "text_children": ("rule", [(child_rule(rule) or _NOT).text for rule in rules]),
        },
        attrs=provenance(
            title="plausibility",
            hard_violation_rate=rates["hard"],
            soft_violation_rate=rates["soft"],
        ),
    )


def _rows(body: Body, rows: np.ndarray) -> Body:
    return Body(
        **{name: None if value is None else value[rows] for name, value in vars(body).items()}
    )


def summary(population: xr.Dataset) -> dict[str, float]:
    """The three numbers of a population, as fractions of its people.

    Returns
    -------
    ``hard``, ``soft`` : who breaks a rule of the kind
    ``soft_of_real_people`` : how many of the held-out adults of NHANES break a soft rule, by survey weight; a population
        that scores far below has cut off real tails

    Raises
    ------
    SchemaError : not a physiology Dataset
    """
    result = check_plausibility(population)
    return {
        "hard": result.attrs["hard_violation_rate"],
        "soft": result.attrs["soft_violation_rate"],
        "soft_of_real_people": soft_rate_of_real_people(),
    }


@cache
def soft_rate_of_real_people() -> float:
    """Share of the held-out adults of NHANES, by survey weight, who break a soft rule."""
    from ..adults.training_people import (
        training_people,  # the people are completed by modules that need this one
    )

    people = training_people("test")
    violated = check_plausibility(people)
    soft = violated["violated"].values[violated["kind"].values == "soft"].any(axis=0)
    return float(np.average(soft, weights=people["survey_weight"].values))


def check_ranks(population: xr.Dataset) -> xr.Dataset:
    """S9: how quantities go together in the adults of a population.

    Heavier people have more adipose tissue (rank correlation above .5), older people filter less per body surface (below
    0), men have the higher mean hematocrit. A filtered population (one age, one weight) may rightly break them.

    Parameters
    ----------
    population : physiology Dataset

    Returns
    -------
    Dataset over ``rule``: ``value``, ``bound``, ``violated``; NaN and False where there are not at least 20 adults (or 20 of
    each sex) with the quantities

    Raises
    ------
    SchemaError : not a physiology Dataset
    """
    from scipy.stats import spearmanr

    validate(population, "physiology")
    body = body_of(population)
    adult = (population["species"].values == "human") & ~(body.age < ADULT_AGE)
    adult &= np.isfinite(body.weight)
    body = _rows(body, adult)

    def rank(a: np.ndarray, b: np.ndarray) -> float:
        known = np.isfinite(a) & np.isfinite(b)
        # equal values of everybody have no ranks
        return (
            float(spearmanr(a[known], b[known])[0])
            if known.sum() >= 20 and np.ptp(a[known]) and np.ptp(b[known])
            else np.nan
        )

    men, women = body.hematocrit[body.male], body.hematocrit[~body.male]
    men, women = men[np.isfinite(men)], women[np.isfinite(women)]
    surface = body_surface_area(body.weight, body.height)
    values = np.array(
        [
            rank(body.weight, body.organ("adipose")),
            rank(body.age, body.gfr / surface),
            men.mean() - women.mean() if min(men.size, women.size) >= 20 else np.nan,
        ]
    )
    bounds = np.array([0.5, 0.0, 0.0])
    with np.errstate(invalid="ignore"):
        violated = np.array(
            [values[0] <= bounds[0], values[1] >= bounds[1], values[2] <= bounds[2]]
        )
    return xr.Dataset(
        {
            "value": (
                "rule",
                values,
                {"long_name": "rank correlation, rank correlation, difference of fractions"},
            ),
            "bound": ("rule", bounds),
            "violated": ("rule", violated, {"long_name": "rule broken"}),
        },
        coords={
            "rule": ["S9_adipose", "S9_filtration", "S9_hematocrit"],
            "text": (
                "rule",
                [
                    "weight and adipose tissue rise together, rho > .5",
                    "filtration falls with age, rho < 0",
                    "men have the higher mean hematocrit",
                ],
            ),
        },
        attrs=provenance(title="ranks", source="NHANES 2013-2018"),
    )
