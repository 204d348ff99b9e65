"""Bodies that are not those of healthy volunteers: kidney disease, liver cirrhosis, pregnancy.

Each function takes people and gives back a copy that closes on body weight and cardiac output as before. What it does not
change it leaves as it was: plasma proteins (so a compound's unbound fraction) above all, which should be changed with them.
The polynomials of pregnancy are as commonly quoted from their papers, not checked against the originals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .._core.arguments import check_choice
from .._core.errors import InputError
from .._core.units import quantity
from .enzymes import check_people, multiply_activity
from .individual import reference_individual
from .organs import FULL_FLOW_ORGANS, PORTAL_ORGANS, SYSTEMIC_ORGANS

#: GFR [mL/min/1.73 m^2], middle of FDA's (2020) categories: 60 to 89, 30 to 59, 15 to 29, below 15; from memory, to check
RENAL_STAGES = {"mild": 75.0, "moderate": 45.0, "severe": 22.0, "failure": 8.0}

_CYTOCHROMES = ("CYP3A4", "CYP1A2", "CYP2E1", "CYP2B6", "CYP2C8", "CYP2C9", "CYP2C19", "CYP2D6")
#: Child-Pugh class -> factor of the healthy value. Edginton & Willmann (2008) Clin Pharmacokinet 47:743; the enzymes after
#: CYP2E1 from Johnson et al. (2010) Clin Pharmacokinet 49:189, as tabulated by Open Systems Pharmacology;
#: enzymes are per gram of functional liver
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


def with_renal_impairment(
    people: xr.Dataset, stage: str | None = None, *, egfr: float | None = None
) -> xr.Dataset:
    """People with a lower GFR; everything else is unchanged.

    Parameters
    ----------
    stage : "mild", "moderate", "severe" or "failure" (:data:`RENAL_STAGES`)
    egfr : or a GFR [mL/min/1.73 m^2]

    Raises
    ------
    UnknownNameError, InputError : an unknown stage, both or neither, a GFR above what the people have
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
    above = gfr > people["gfr"].values
    if above.any():
        s = int(np.argmax(above))
        raise InputError(
            "egfr",
            indexed,
            f"less than the person has, {people['gfr'].values[s]:.3g} L/h in all",
            subject=s,
        )
    return people.assign(gfr=("subject", gfr, people["gfr"].attrs))


def with_hepatic_impairment(people: xr.Dataset, child_pugh: str) -> xr.Dataset:
    """People with cirrhosis of Child-Pugh class A, B or C.

    Portal, arterial and renal flow, cardiac output, hematocrit, GFR, functional liver mass and enzymes by
    :data:`CIRRHOSIS`; the flow that is left goes to the other organs in proportion. The liver keeps its volume; what is
    left of its function is ``liver_function``, which multiplies all its clearance.

    Raises
    ------
    UnknownNameError : another class
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
    own = out["enzyme"].values if "enzyme_activity" in out else ()
    if "CYP3A4.gut" not in own:
        out = multiply_activity(out, {"CYP3A4.gut": np.ones(1)})
    factors = dict(zip(_CYTOCHROMES, f["enzymes"], strict=True)) | {"CYP3A4.gut": 1.0}
    return multiply_activity(out, {k: np.array([v]) for k, v in factors.items()})


def reference_pregnancy(gestational_age: float) -> xr.Dataset:
    """The reference woman at a gestational age, as a physiology Dataset with one subject.

    With GA in weeks, relative to GA = 0 (Abduljalil et al. 2012, Clin Pharmacokinet 51:365):

    - body weight 61.1 + .2409 GA + .0038 GA^2 kg; cardiac output 301 + 5.916 GA - .088 GA^2 L/h
    - plasma 2.50 - .0223 GA + .0042 GA^2 - .00007 GA^3 L; hematocrit 39.1 - .0544 GA - .0021 GA^2 %
    - GFR 114 + 3.2367 GA - .0572 GA^2 mL/min, the flow of the kidney with it
    - CYP3A4 1 + .0129 GA, CYP2D6 1 + .0163 GA, CYP1A2 1 - .0177 GA (Gaohua et al. 2012, Br J Clin Pharmacol 74:873)

    Uterus, fetus, placenta and gained fat are in ``rest``, which takes what is left of weight and flow.

    Parameters
    ----------
    gestational_age : [weeks], 0 to 40

    Raises
    ------
    InputError : another age
    """
    ga = quantity(gestational_age, "week", "gestational_age")
    if not 0 <= ga <= 40:
        raise InputError("gestational_age", gestational_age, "0 to 40 weeks")
    relative = lambda *c: sum(k * ga**i for i, k in enumerate(c)) / c[0]
    woman = reference_individual("human", "female")
    organs = [str(o) for o in woman["organ"].values]
    mass = (woman["volume"] * woman["density"]).transpose("subject", "organ").values.copy()
    flow = woman["blood_flow"].transpose("subject", "organ").values.copy()
    hematocrit = woman["hematocrit"].values * relative(39.1, -0.0544, -0.0021)
    plasma = relative(2.50, -0.0223, 0.0042, -0.00007)
    blood = plasma * (1 - woman["hematocrit"].values) / (1 - hematocrit)
    at = organs.index
    for organ in ("arterial_blood", "venous_blood"):
        mass[:, at(organ)] *= blood
    weight = woman["body_weight"].values * relative(61.1, 0.2409, 0.0038)
    mass[:, at("rest")] += weight - mass.sum(axis=1)
    filtration = relative(114.0, 3.2367, -0.0572)
    output = woman["cardiac_output"].values * relative(301.0, 5.916, -0.088)
    flow[:, at("kidney")] *= filtration
    systemic = [at(o) for o in SYSTEMIC_ORGANS]
    flow[:, at("rest")] += output - flow[:, systemic].sum(axis=1)
    flow[:, [at(o) for o in FULL_FLOW_ORGANS]] = output[:, None]
    out = woman.assign(
        volume=(("subject", "organ"), mass / woman["density"].values, woman["volume"].attrs),
        blood_flow=(("subject", "organ"), flow, woman["blood_flow"].attrs),
        body_weight=("subject", weight, woman["body_weight"].attrs),
        cardiac_output=("subject", output, woman["cardiac_output"].attrs),
        hematocrit=("subject", hematocrit, woman["hematocrit"].attrs),
        gfr=("subject", woman["gfr"].values * filtration, woman["gfr"].attrs),
    )
    out.attrs = {**woman.attrs, "method": f"reference woman, {ga:g} weeks pregnant"}
    factors = {"CYP3A4": 1 + 0.0129 * ga, "CYP2D6": 1 + 0.0163 * ga, "CYP1A2": 1 - 0.0177 * ga}
    return multiply_activity(out, {k: np.array([v]) for k, v in factors.items()})


__all__ = [
    "CIRRHOSIS",
    "RENAL_STAGES",
    "reference_pregnancy",
    "with_hepatic_impairment",
    "with_renal_impairment",
]
