"""Children: the ICRP 89 reference child of any age, with maturation of the kidney.

- organ masses, weight, height: ICRP 89 at 0, 1, 5, 10 and 15 years, straight lines between;
  from 15 to the adult at 20
- cardiac output: ICRP 89, at the same ages; every organ's share goes by its mass and the
  adult's flow per mass
- GFR: the adult's x (W/W_adult)^(3/4) x PMA^3.4/(47.7^3.4 + PMA^3.4), postmenstrual age PMA
  in weeks (Rhodin et al. 2009, Pediatr Nephrol 24:67; read in: public code that quotes its
  abstract, where the adult filters 121.2 mL/min per 70 kg), for term birth at 40 weeks
- hematocrit: Dallman (1977) in Rudolph, Pediatrics, 16th ed., p. 1111, means at one week,
  0.5 to 2, 2 to 6, 6 to 12 and 12 to 18 years; read in: appendix 11 of Nathan & Oski's
  Hematology of Infancy and Childhood, 5th ed., as reprinted
- microsomal protein: Barter et al. (2008); hepatocytes per gram as in adults
- enzymes: :func:`.enzymes.with_enzymes`, applied here
"""

from __future__ import annotations

from functools import cache

import numpy as np
import xarray as xr

from ..._core.arguments import check_kind
from ..._core.errors import InputError
from ..._core.units import quantity
from ..adults import regressions as r
from ..conditions.enzymes import with_enzymes
from ..dataset import build
from ..individual import check_sex
from ..organs import FULL_FLOW_ORGANS, ORGANS
from ..species import ICRP_MASS, arterial_share, reference
from ..tables.files import compphysiol

ADULT_AT = 20.0  # year
_AGES = (0.0, 1.0, 5.0, 10.0, 15.0)
#: [L/min] at _AGES, ICRP 89. 0.6, 1.2 and 5.0 were read in NRC (1999) Risk Assessment of
#: Radon in Drinking Water, appendix A, after Williams (1993), who has 3.7 and 6.2 at 5 and
#: 15 years; 3.4 and 6.1 are assumed (docs/assumptions.md)
_CARDIAC_OUTPUT = (0.6, 1.2, 3.4, 5.0, 6.1)
#: at _AGES; boys and girls differ from 15 years on; Dallman (1977), see above
_HEMATOCRIT = {"male": (0.54, 0.36, 0.37, 0.40, 0.43), "female": (0.54, 0.36, 0.37, 0.40, 0.41)}
_WEEKS = 365.25 / 7


def reference_child(
    age: float | str,
    sex: str | None = None,
    *,
    body_weight: float | str | None = None,
    enzymes: bool = True,
) -> xr.Dataset:
    """The reference child of an age, as a physiology Dataset with one subject.

    Parameters
    ----------
    age
        [year] or a string with a unit, 0 to 18.
    sex
        "male" (default) or "female"; they differ from 10 years on.
    body_weight
        [kg]; organs scale with it, flows and GFR with its 3/4 power. None: the reference
        weight of the age.
    enzymes
        Put in ``enzyme_activity`` by the ontogeny functions.

    Returns
    -------
    Dataset
        Physiology Dataset; masses add to the body weight and flows to the cardiac output
        exactly.

    Raises
    ------
    InputError
        An age outside 0 to 18, a weight below half or above twice the reference of the age.
    """
    years = quantity(age, "year", "age")
    if not 0 <= years <= 18:
        raise InputError("age", age, "0 to 18 years", hint="reference_individual makes adults")
    sex = check_sex("human", sex)
    check_kind("enzymes", enzymes, (bool, np.bool_), "True or False")
    adult = reference("human", sex)
    average = reference_children(np.array([sex == "male"]), np.array([years]))
    reference_weight, height = float(average["weight"][0]), float(average["height"][0])
    weight = reference_weight
    if body_weight is not None:
        weight = quantity(body_weight, "kg", "body_weight", positive=True)
        if not reference_weight / 2 <= weight <= 2 * reference_weight:
            low, high = reference_weight / 2, 2 * reference_weight
            raise InputError("body_weight", body_weight, f"{low:.3g} to {high:.3g} kg at this age")
    size = weight / reference_weight
    output = float(average["cardiac_output"][0]) * size**0.75
    organs, flow = average["mass"][0], average["flow_share"][0] * output
    mature = float(maturation_of_filtration(np.array([years]))[0])
    ones = np.ones(1)
    ds = build(
        (organs * size)[None, :],
        flow[None, :],
        "human",
        {
            "sex": np.array([sex]),
            "age": ones * years,
            "body_weight": ones * weight,
            "height": ones * height,
            "hematocrit": average["hematocrit"],
            "gfr": ones * adult.gfr * (weight / adult.body_weight) ** 0.75 * mature,
            "cardiac_output": ones * output,
            # Haycock et al. (1978) J Pediatr 93:62
            "body_surface_area": ones * 0.024265 * weight**0.5378 * height**0.3964,
            "body_mass_index": ones * weight / (height / 100) ** 2,
            "hepatocellularity": ones * adult.hepatocellularity,
            "microsomal_protein": ones * r.microsomal_protein(np.array([years])),
        },
        {
            "method": "reference child",
            "sources": "ICRP 89 via compphysiol; Rhodin et al. 2009; Dallman 1977; "
            "Barter et al. 2008; Haycock et al. 1978",
            "notes": __doc__.strip(),
        },
    )
    return with_enzymes(ds) if enzymes else ds


@cache
def _tables(sex: str) -> dict[str, np.ndarray]:
    """Weight [kg], height [cm], masses [kg], cardiac output [L/h], hematocrit of a sex at
    _AGES and of its adult.
    """
    adult = reference("human", sex)
    names = ["human0u", "human1u", "human5u", "human10u", f"human15{sex[0]}"]

    def icrp(parameter: str, tissue: str = "") -> list[float]:
        return [compphysiol(name, parameter)[tissue][0] for name in names]

    weight = np.array([*icrp("BW"), adult.body_weight])
    mass = np.zeros((len(weight), len(ORGANS)))
    for organ, parts in ICRP_MASS.items():
        by_age = np.sum([icrp("OWtis", part) for part in parts], axis=0) / 1000
        mass[:, ORGANS.index(organ)] = [*by_age, adult.mass[ORGANS.index(organ)]]
    fat = (
        np.array(icrp("OWtis", "adipose_tissue")) - np.array(icrp("OWtis", "marrow_inactive"))
    ) / 1000
    mass[:, ORGANS.index("adipose")] = [*fat, adult.mass[ORGANS.index("adipose")]]
    blood = np.array([*(np.array(icrp("OWtbl")) / 1000), adult.mass[:2].sum()])
    mass[:, ORGANS.index("arterial_blood")] = arterial_share() * blood
    mass[:, ORGANS.index("venous_blood")] = (1 - arterial_share()) * blood
    return {
        "weight": weight,
        "height": np.array([*icrp("BH"), adult.height]),
        "mass": mass,
        "cardiac_output": np.array([*(60 * np.array(_CARDIAC_OUTPUT)), adult.cardiac_output]),
        "hematocrit": np.array([*_HEMATOCRIT[sex], adult.hematocrit]),
    }


def reference_children(male: np.ndarray, age: np.ndarray) -> dict[str, np.ndarray]:
    """Weight, height, organ masses, cardiac output, share of it in each organ and
    hematocrit of the reference children.

    Parameters
    ----------
    male, age : (n,)
        Age [year], 0 to 20.

    Returns
    -------
    dict[str, np.ndarray]
        ``weight`` [kg], ``height`` [cm], ``cardiac_output`` [L/h], ``hematocrit``, each
        (n,); ``mass`` [kg] and ``flow_share``, (n, organ); masses add to the weight, shares
        of the systemic organs to 1.
    """
    male, age = np.asarray(male, bool), np.asarray(age, float)
    at, full = (*_AGES, ADULT_AT), [ORGANS.index(organ) for organ in FULL_FLOW_ORGANS]
    out: dict[str, np.ndarray] = {}
    for sex in ("male", "female"):
        pick = male == (sex == "male")
        for name, values in _tables(sex).items():
            columns = np.reshape(values, (len(at), -1))  # (age of the table, 1 or organ)
            at_age = np.stack([np.interp(age[pick], at, c) for c in columns.T], axis=1)
            target = out.setdefault(name, np.empty((age.size, columns.shape[1])))
            target[pick] = at_age
        adult = reference("human", sex)
        share = out.setdefault("flow_share", np.empty((age.size, len(ORGANS))))
        out["mass"][pick, ORGANS.index("rest")] = 0.0
        organs = out["mass"][pick].sum(axis=1)
        out["mass"][pick, ORGANS.index("rest")] = out["weight"][pick, 0] - organs
        # the adult's flow per mass; what all blood passes through is not part of the sum
        flow = out["mass"][pick] * adult.blood_flow / adult.mass
        flow[:, full] = 0.0
        share[pick] = flow / flow.sum(axis=1, keepdims=True)
        share[np.ix_(pick, full)] = 1.0
    return {name: values[:, 0] if values.shape[1] == 1 else values for name, values in out.items()}


def maturation_of_filtration(age: np.ndarray) -> np.ndarray:
    """GFR per W^(3/4) relative to adults at an age [year], term birth (Rhodin et al. 2009)."""
    weeks = 40 + np.asarray(age, float) * _WEEKS
    return weeks**3.4 / (47.7**3.4 + weeks**3.4)


__all__ = ["maturation_of_filtration", "reference_child", "reference_children"]
