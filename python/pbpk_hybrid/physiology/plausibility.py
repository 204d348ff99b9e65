"""Rules that a body must obey, and a check of every subject against every rule.

Hard rules (H) are definitions and conservation laws: no subject may break one. Soft rules (S) are wide bounds of what is
seen in adults: below .1 % of the NHANES people fall outside each bound on a measured quantity, so a small rate is normal
and none at all would be suspicious. The soft rules are for human adults; for animals and children they are not evaluated.

A rule's residual is how far a subject is beyond the bound, in the rule's unit: negative or zero is satisfied. Residuals
work on numpy arrays and on torch tensors, through which they can be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .._core.provenance import provenance
from .._core.schemas import validate
from . import regressions as r
from .arrays import fmax, isfinite, largest, log, maximum, minimum, smallest, where
from .dataset import CLOSURE_TOLERANCE, body_surface_area
from .human import INDEX, by_sex
from .nhanes import ADULT_AGE
from .organs import FULL_FLOW_ORGANS, ORGANS, PORTAL_ORGANS, SYSTEMIC_ORGANS
from .variability import CUT, organ_cv, sd_ln


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


_SCALED = ("lung", "heart", "kidney", "gut", "spleen", "pancreas", "stomach", "liver", "muscle")


def _organ_spread(body: Body) -> np.ndarray:
    """Largest excess of |ln(mass / height-scaled ICRP mass)| over 3.5 sigma_ln among the organs."""
    index = [INDEX[o] for o in _SCALED]
    scale = r.height_scale(body.height, by_sex(body.male, lambda ref: ref.height))
    expected = by_sex(body.male, lambda ref: ref.mass[index]) * scale[:, None]
    men, women = (np.array(organ_cv(sex)[0][index]) for sex in ("male", "female"))
    # McNally et al. 2014 for muscle, whose organ_cv is 0 because closure makes it
    men[_SCALED.index("muscle")] = women[_SCALED.index("muscle")] = 0.27
    spread = where(body.male[:, None], sd_ln(men), sd_ln(women))
    with np.errstate(invalid="ignore", divide="ignore"):
        return largest(abs(log(body.mass[:, index] / expected)) - CUT * spread) - 1e-9


_NHANES = "NHANES 2013-2018, .1 and 99.9 % of adults"
_ICRP = "ICRP 89, widened"

RULES: tuple[Rule, ...] = (
    Rule("H1", "hard", "every mass and flow is finite and positive", "kg or L/h", "definition", _positive),
    Rule("H2", "hard", "organ masses add to the body weight", "1", "closure", _mass_closure),
    Rule("H3", "hard", "systemic flows add to the cardiac output; lung and pools carry it", "1", "closure",
         _flow_closure),
    Rule("H4", "hard", "BMI and body surface agree with weight and height", "1", "definition; Mosteller 1987",
         _definitions),
    Rule("H5", "hard", "hematocrit in (0, 1); GFR at most the renal plasma flow", "1", "definition", _fractions),
    Rule("S1", "soft", "hematocrit 25 to 60 %", "1", _NHANES, lambda b: _outside(b.hematocrit, 0.25, 0.60)),
    Rule("S2_weight", "soft", "body weight 45-186 (M), 39-179 kg (F)", "kg", _NHANES,
         lambda b: _bound_by_sex(b, b.weight, (45, 186), (39, 179))),
    Rule("S2_height", "soft", "height 151-197 (M), 141-184 cm (F)", "cm", _NHANES,
         lambda b: _bound_by_sex(b, b.height, (151, 197), (141, 184))),
    Rule("S2_bmi", "soft", "BMI 16.2-58 (M), 16.2-65.7 kg/m2 (F)", "kg/m^2", _NHANES,
         lambda b: _bound_by_sex(b, b.weight / (b.height / 100) ** 2, (16.2, 58), (16.2, 65.7))),
    Rule("S3_creatinine", "soft", "creatinine .51-6.0 (M), .35-4.8 mg/dL (F)", "mg/dL", _NHANES,
         lambda b: _bound_by_sex(b, b.creatinine, (0.51, 6.0), (0.35, 4.8))),
    Rule("S3_gfr", "soft", "GFR 5 to 200 mL/min/1.73 m2", "mL/min/1.73 m^2", "KDIGO stages, widened",
         lambda b: _outside(b.gfr / 0.06 * 1.73 / body_surface_area(b.weight, b.height), 5, 200)),
    Rule("S4_adipose", "soft", "adipose tissue 3 to 65 % of body weight", "1", _ICRP,
         lambda b: _outside(b.organ("adipose") / b.weight, 0.03, 0.65)),
    Rule("S4_lean", "soft", "weight less adipose within 25 % of fat-free mass", "1", "Janmahasatian et al. 2005",
         _lean_mass),
    Rule("S5_liver", "soft", "liver .8 to 6 % of body weight", "1", _ICRP,
         lambda b: _outside(b.organ("liver") / b.weight, 0.008, 0.06)),
    Rule("S5_heart", "soft", "heart at least .12 kg", "kg", _ICRP, lambda b: 0.12 - b.organ("heart")),
    Rule("S5_skin", "soft", "skin at most 12 kg", "kg", _ICRP, lambda b: b.organ("skin") - 12),
    Rule("S5_stomach", "soft", "stomach at least .03 kg", "kg", _ICRP, lambda b: 0.03 - b.organ("stomach")),
    Rule("S5_brain", "soft", "brain 1.0 to 1.9 kg", "kg", _ICRP, lambda b: _outside(b.organ("brain"), 1.0, 1.9)),
    Rule("S6_output", "soft", "cardiac output 2.5 to 10 L/min", "L/min", _ICRP,
         lambda b: _outside(b.output / 60, 2.5, 10)),
    Rule("S6_index", "soft", "cardiac index 1.8 to 5 L/min/m2", "L/min/m^2", "clinical range at rest, widened",
         lambda b: _outside(b.output / 60 / body_surface_area(b.weight, b.height), 1.8, 5)),
    Rule("S7_kidney", "soft", "kidney flow 12 to 28 % of cardiac output", "1", _ICRP,
         lambda b: _outside(b.share("kidney"), 0.12, 0.28)),
    Rule("S7_liver", "soft", "total liver flow 18 to 35 % of cardiac output", "1", _ICRP,
         lambda b: _outside(b.share("liver", *PORTAL_ORGANS), 0.18, 0.35)),
    Rule("S7_brain", "soft", "brain flow 6 to 18 % of cardiac output", "1", _ICRP,
         lambda b: _outside(b.share("brain"), 0.06, 0.18)),
    Rule("S7_muscle", "soft", "muscle flow 8 to 25 % of cardiac output", "1", _ICRP,
         lambda b: _outside(b.share("muscle"), 0.08, 0.25)),
    Rule("S8", "soft", "organ masses within 3.5 sigma_ln of the height-scaled ICRP mass", "1",
         "ICRP 89; McNally et al. 2014", _organ_spread),
)  # fmt: skip


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
    human = ds["species"].values == "human"
    if "age" in ds:
        human &= ~(ds["age"].values < ADULT_AGE)  # an age that is not known counts as adult
    return check_bodies(body_of(ds), rules, human=human, subject=subject)


def check_bodies(
    body: Body, rules: tuple[Rule, ...] = RULES, *, human: np.ndarray | None = None, subject: np.ndarray | None = None
) -> xr.Dataset:
    """As :func:`check_plausibility`, for arrays; `human` (n,) says where the soft rules apply, None: everywhere."""
    human = np.ones(len(body.male), dtype=bool) if human is None else human
    with np.errstate(invalid="ignore"):
        residual = np.stack([np.where(human | (rule.kind == "hard"), rule.residual(body), np.nan) for rule in rules])
    violated = residual > 0
    kind = np.array([rule.kind for rule in rules])
    rates = {name: float(violated[kind == name].any(axis=0).mean()) for name in ("hard", "soft")}
    return xr.Dataset(
        {
            "residual": (("rule", "subject"), residual, {"long_name": "distance beyond the bound, unit by rule"}),
            "violated": (("rule", "subject"), violated, {"long_name": "rule broken"}),
        },
        coords={
            "rule": [rule.id for rule in rules],
            "subject": np.arange(human.size) if subject is None else subject,
            **{name: ("rule", [getattr(rule, name) for rule in rules]) for name in ("kind", "text", "unit", "source")},
        },
        attrs=provenance(
            title="plausibility",
            hard_violation_rate=rates["hard"],
            soft_violation_rate=rates["soft"],
        ),
    )
