"""Bodies that are not those of healthy volunteers: kidney disease, liver cirrhosis, pregnancy.

Each function takes people and gives back a copy that closes on body weight and cardiac
output as before. What it does not change it leaves as it was: plasma proteins (so a
compound's unbound fraction) above all, which should be changed with them. Where the numbers
of pregnancy were read stands at :func:`reference_pregnancy`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from ..._core.arguments import check_choice
from ..._core.errors import InputError, NoEffectWarning
from ..._core.units import quantity
from ..dataset import body_surface_area
from ..individual import reference_individual
from ..organs import FULL_FLOW_ORGANS, PORTAL_ORGANS, SYSTEMIC_ORGANS
from ..species import reference
from .enzymes import check_humans, check_people, multiply_activity

#: GFR [mL/min/1.73 m^2]: assumed (docs/assumptions.md), about the middle of FDA's
#: categories mild, 60 to below 90, and moderate, 30 to below 60 (read in: US label of
#: idarucizumab, 12.3), and of kidney failure, below 15 (read in: Clin Transl Sci 14:1689,
#: table 1, on FDA's draft guidance of 2020), with what lies between them for severe
RENAL_STAGES = {"mild": 75.0, "moderate": 45.0, "severe": 22.0, "failure": 8.0}

_CYTOCHROMES = ("CYP3A4", "CYP1A2", "CYP2E1", "CYP2B6", "CYP2C8", "CYP2C9", "CYP2C19", "CYP2D6")
#: Child-Pugh class -> factor of the healthy value. Edginton & Willmann (2008) Clin
#: Pharmacokinet 47:743; the enzymes after CYP2E1 from Johnson et al. (2010) Clin
#: Pharmacokinet 49:189; read in: the table of disease factors in the description of Open
#: Systems Pharmacology's populations with hepatic impairment, which has all but
#: functional_mass (assumed, docs/assumptions.md); enzymes are per gram of functional liver
CIRRHOSIS: dict[str, dict[str, Any]] = {
    "A": {
        "portal": 0.40,
        "artery": 1.3,
        "kidney": 0.88,
        "cardiac_output": 1.11,
        "hematocrit": 0.92,
        "gfr": 1.0,
        "functional_mass": 0.69,
        "enzymes": (1.0, 1.0, 1.0, 1.0, 0.69, 0.69, 0.32, 0.76),
    },
    "B": {
        "portal": 0.36,
        "artery": 2.3,
        "kidney": 0.65,
        "cardiac_output": 1.27,
        "hematocrit": 0.88,
        "gfr": 0.70,
        "functional_mass": 0.55,
        "enzymes": (0.4, 0.1, 0.83, 0.9, 0.52, 0.51, 0.26, 0.33),
    },
    "C": {
        "portal": 0.04,
        "artery": 3.4,
        "kidney": 0.48,
        "cardiac_output": 1.36,
        "hematocrit": 0.83,
        "gfr": 0.36,
        "functional_mass": 0.28,
        "enzymes": (0.4, 0.1, 0.83, 0.8, 0.32, 0.33, 0.12, 0.11),
    },
}

#: ages [year] at which a woman may be pregnant here: those of whom there are data somewhere
CHILDBEARING = (12.0, 55.0)

#: quantity -> coefficients of the powers of the gestational age [week], relative to the
#: woman before; see reference_pregnancy
PREGNANCY: dict[str, tuple[float, ...]] = {
    "body_weight": (1.0, 0.00560, 0.000054),
    "cardiac_output": (1.0, 0.01965, -0.000292),
    "plasma": (1.0, -0.00892, 0.00168, -0.000028),
    "red_cells": (1.0, 0.00658),
    "renal_flow": (1.0, 0.05022, -0.00125),
    "gfr": (1.0, 0.02839, -0.000502),
    "CYP3A4": (1.0, 0.02983, -0.00074),
    "CYP2D6": (1.0, 0.02270, -0.00035),
    "CYP1A2": (1.0, -0.03581, 0.00050),
}


def with_renal_impairment(
    people: xr.Dataset, stage: str | None = None, *, egfr: float | None = None
) -> xr.Dataset:
    """People with a lower GFR; everything else is unchanged.

    Somebody whose GFR is lower already (age takes its share: creatinine-based GFR falls
    with it) keeps their own, and a warning says how many did.

    Parameters
    ----------
    stage
        "mild", "moderate", "severe" or "failure" (:data:`RENAL_STAGES`).
    egfr
        The GFR itself [mL/min/1.73 m^2], in place of a stage.

    Raises
    ------
    UnknownNameError
        An unknown stage.
    InputError
        Both or neither, or a GFR above that of all the people.

    Warns
    -----
    NoEffectWarning
        Some of the people have less already.
    """
    check_people(people)
    if (stage is None) == (egfr is None):
        raise InputError("stage, egfr", (stage, egfr), "one of the two")
    if stage is not None:
        check_choice("stage", stage, RENAL_STAGES)
    indexed = (
        RENAL_STAGES[stage]
        if stage is not None
        else quantity(egfr, "mL/min/1.73 m^2", "egfr", positive=True)
    )
    surface = np.sqrt(people["body_weight"].values * people["height"].values / 3600)  # Mosteller
    gfr = indexed * surface / 1.73 * 0.06
    gfr_before = people["gfr"].values
    unchanged = gfr >= gfr_before
    if unchanged.all():
        best = int(np.argmax(gfr_before / surface))
        highest = gfr_before[best] / surface[best] * 1.73 / 0.06
        raise InputError(
            "egfr" if stage is None else "stage",
            indexed if stage is None else f"{stage} ({indexed:g} mL/min/1.73 m^2)",
            f"less than somebody of these people has: at most {highest:.3g} mL/min/1.73 m^2",
            subject=people["subject"].values[best] if "subject" in people.coords else best,
            hint="take a more severe stage, a lower egfr, or people with better kidneys "
            "(egfr=(low, high) when drawing them)",
        )
    if unchanged.any():
        warnings.warn(
            f"{unchanged.sum()} of {unchanged.size} people have a GFR below {indexed:g} "
            "mL/min/1.73 m^2 already and keep it; draw people with egfr=(low, high) for a "
            "group of one stage",
            NoEffectWarning,
            stacklevel=2,
        )
    return people.assign(gfr=("subject", np.minimum(gfr, gfr_before), people["gfr"].attrs))


def with_hepatic_impairment(people: xr.Dataset, child_pugh: str) -> xr.Dataset:
    """People with cirrhosis of Child-Pugh class A, B or C.

    Portal, arterial and renal flow, cardiac output, hematocrit, GFR, functional liver mass
    and enzymes by :data:`CIRRHOSIS`; the flow that is left goes to the other organs in
    proportion. The liver keeps its volume; what is left of its function is
    ``liver_function``, which multiplies all its clearance.

    Raises
    ------
    UnknownNameError
        Another class.
    """
    check_people(people)
    check_choice("child_pugh", child_pugh, CIRRHOSIS)
    f = CIRRHOSIS[child_pugh]
    organs = [str(o) for o in people["organ"].values]
    flow = people["blood_flow"].transpose("subject", "organ").values.copy()
    output = people["cardiac_output"].values * f["cardiac_output"]
    fixed = dict.fromkeys(PORTAL_ORGANS, f["portal"]) | {
        "liver": f["artery"],
        "kidney": f["kidney"],
        "brain": 1.0,
    }
    for organ, factor in fixed.items():
        flow[:, organs.index(organ)] *= factor
    others = [organs.index(o) for o in SYSTEMIC_ORGANS if o not in fixed]
    left = output - sum(flow[:, organs.index(o)] for o in fixed)
    flow[:, others] *= (left / flow[:, others].sum(axis=1))[:, None]
    flow[:, [organs.index(o) for o in FULL_FLOW_ORGANS]] = output[:, None]
    function = np.full(people.sizes["subject"], f["functional_mass"])
    text = {"units": "1", "long_name": "functional part of the liver"}
    out = people.assign(
        blood_flow=(("subject", "organ"), flow, people["blood_flow"].attrs),
        cardiac_output=("subject", output, people["cardiac_output"].attrs),
        hematocrit=(
            "subject",
            people["hematocrit"].values * f["hematocrit"],
            people["hematocrit"].attrs,
        ),
        gfr=("subject", people["gfr"].values * f["gfr"], people["gfr"].attrs),
        liver_function=("subject", function, text),
    )
    # the table is of the liver: the gut wall keeps its enzymes
    enzymes_before = out["enzyme"].values if "enzyme_activity" in out else ()
    if "CYP3A4.gut" not in enzymes_before:
        out = multiply_activity(out, {"CYP3A4.gut": np.ones(1)})
    factors = dict(zip(_CYTOCHROMES, f["enzymes"], strict=True)) | {"CYP3A4.gut": 1.0}
    return multiply_activity(out, {k: np.array([v]) for k, v in factors.items()})


def reference_pregnancy(gestational_age: float) -> xr.Dataset:
    """The reference woman at a gestational age, as a physiology Dataset with one subject.

    With GA in weeks, relative to GA = 0 (Gaohua et al. 2012, Br J Clin Pharmacol 74:873,
    table 2; read in: the model file Gaohua_2012_pregnancy_pbpk_midazolam.R of nlmixr2lib):

    - body weight 1 + 0.00560 GA + 0.000054 GA^2; cardiac output 1 + 0.01965 GA - 0.000292 GA^2
    - plasma 1 - 0.00892 GA + 0.00168 GA^2 - 0.000028 GA^3; red cells 1 + 0.00658 GA; the
      hematocrit follows from both
    - flow of the kidney 1 + 0.05022 GA - 0.00125 GA^2
    - CYP3A4 1 + 0.02983 GA - 0.00074 GA^2, CYP2D6 1 + 0.02270 GA - 0.00035 GA^2, CYP1A2 1 -
      0.03581 GA + 0.00050 GA^2

    GFR 1 + 0.02839 GA - 0.000502 GA^2 is assumed (docs/assumptions.md); at 36 weeks it is
    1.37, Xia et al. (2013) AAPS J 15:1012, table IV, have 13.8/9.9 in late pregnancy.

    Uterus, fetus, placenta and gained fat are in ``rest``, which takes what is left of
    weight and flow.

    Parameters
    ----------
    gestational_age
        [weeks], 0 to 40.

    Raises
    ------
    InputError
        Another age.
    """
    ga = _weeks(gestational_age)
    out = with_pregnancy(reference_individual("human", "female"), ga)
    out.attrs["method"] = f"reference woman, {ga:g} weeks pregnant"
    return out


def with_pregnancy(women: xr.Dataset, gestational_age: float | str) -> xr.Dataset:
    """Women at a gestational age.

    Each changes as :func:`reference_pregnancy`: output, flow of the kidney, blood, GFR and enzymes
    by the same factor as the reference woman's, weight by the same kilograms.

    Parameters
    ----------
    women
        Physiology Dataset of women from 12 to 55 years.
    gestational_age
        [weeks], 0 to 40; a number, or text such as "30 weeks".

    Raises
    ------
    InputError
        Another age; somebody who is no woman from 12 to 55 years; names the subject.
    """
    ga = _weeks(gestational_age)
    check_humans(women)
    _refuse_others(women)
    relative = lambda polynomial: sum(k * ga**i for i, k in enumerate(polynomial))
    organs = [str(o) for o in women["organ"].values]
    mass = (women["volume"] * women["density"]).transpose("subject", "organ").values.copy()
    flow = women["blood_flow"].transpose("subject", "organ").values.copy()
    cells = women["hematocrit"].values * relative(PREGNANCY["red_cells"])
    blood = (1 - women["hematocrit"].values) * relative(PREGNANCY["plasma"]) + cells
    hematocrit = cells / blood
    at = organs.index
    for organ in ("arterial_blood", "venous_blood"):
        mass[:, at(organ)] *= blood
    gain = reference("human", "female").body_weight * (relative(PREGNANCY["body_weight"]) - 1)
    weight = women["body_weight"].values + gain
    mass[:, at("rest")] += weight - mass.sum(axis=1)
    filtration = relative(PREGNANCY["gfr"])
    output = women["cardiac_output"].values * relative(PREGNANCY["cardiac_output"])
    flow[:, at("kidney")] *= relative(PREGNANCY["renal_flow"])
    systemic = [at(o) for o in SYSTEMIC_ORGANS]
    flow[:, at("rest")] += output - flow[:, systemic].sum(axis=1)
    flow[:, [at(o) for o in FULL_FLOW_ORGANS]] = output[:, None]
    density = women["density"].transpose(..., "organ").values
    changed = {
        "body_weight": weight,
        "cardiac_output": output,
        "hematocrit": hematocrit,
        "gfr": women["gfr"].values * filtration,
    }
    height = women["height"].values
    if "body_mass_index" in women:
        changed["body_mass_index"] = weight / (height / 100) ** 2
    if "body_surface_area" in women:
        changed["body_surface_area"] = body_surface_area(weight, height)
    out = women.assign(
        volume=(("subject", "organ"), mass / density, women["volume"].attrs),
        blood_flow=(("subject", "organ"), flow, women["blood_flow"].attrs),
    )
    out = out.assign(
        {name: ("subject", values, women[name].attrs) for name, values in changed.items()}
    )
    weeks = ("subject", np.full(weight.size, ga), {"units": "week"})
    out = out.assign(gestational_age=weeks)
    out.attrs = dict(women.attrs)
    enzymes = ("CYP3A4", "CYP2D6", "CYP1A2")
    return multiply_activity(out, {e: np.array([relative(PREGNANCY[e])]) for e in enzymes})


def _weeks(gestational_age: float | str) -> float:
    """
    Raises
    ------
    InputError
        Not 0 to 40 weeks.
    """
    ga = quantity(gestational_age, "week", "gestational_age")
    if not 0 <= ga <= 40:
        raise InputError("gestational_age", gestational_age, "0 to 40 weeks")
    return ga


def _refuse_others(women: xr.Dataset) -> None:
    """
    Raises
    ------
    InputError
        Somebody who is no woman from 12 to 55 years.
    """
    age = women["age"].values
    low, high = CHILDBEARING
    other = (women["sex"].values != "female") | ~((age >= low) & (age <= high))
    if other.any():
        i = int(np.argmax(other))
        raise InputError(
            "people",
            f"{women['sex'].values[i]}, {age[i]:g} years",
            f"women from {low:g} to {high:g} years",
            subject=women["subject"].values[i] if "subject" in women.coords else i,
            hint="draw them with sex='female' and an age range",
        )


__all__ = [
    "CHILDBEARING",
    "CIRRHOSIS",
    "PREGNANCY",
    "RENAL_STAGES",
    "reference_pregnancy",
    "with_hepatic_impairment",
    "with_pregnancy",
    "with_renal_impairment",
]
