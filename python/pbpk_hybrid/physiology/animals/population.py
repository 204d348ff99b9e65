"""Random animals: log-normal variation around the reference animal, closed by construction.

Organ fractions of body weight and of cardiac output are multiplied by log-normal
factors and divided by their sum, so masses add to the body weight and flows to the
cardiac output whatever is drawn. The CVs are stated in :data:`CV`; no common source
gives them for all species, so organ CVs are those of humans by analogy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..._core.errors import InputError, unknown_name
from ..._core.units import quantity
from ..adults.body import INDEX
from ..adults.variability import CUT, FLOW_CV, GFR_SD_LN, organ_cv, sd_ln, truncated_normal
from ..dataset import build
from ..individual import ANIMAL_WEIGHT_FACTOR
from ..organs import FULL_FLOW_ORGANS, ORGANS, SEXES, SYSTEMIC_ORGANS
from ..species import SpeciesReference, reference

CV = {
    "body_weight": (
        0.10,
        "OECD Test Guideline 408: weights within +-20 % of the mean, read as two standard "
        "deviations",
    ),
    "organ mass": (
        np.nan,
        "by organ, analogy: humans, McNally et al. 2014; muscle 0.27 and adipose 0.42 likewise",
    ),
    "blood_flow": (FLOW_CV, "analogy: humans, McNally et al. 2014"),
    "cardiac_output": (
        FLOW_CV,
        "analogy: flow CV of humans, McNally et al. 2014, at given body weight",
    ),
    "hematocrit": (0.05, "assumption: half the CV of human blood mass in McNally et al. 2014"),
    "gfr": (float(np.sqrt(np.expm1(GFR_SD_LN**2))), "analogy: scatter of human GFR, httk-pop"),
}
"""Coefficient of variation and where it is from."""

#: organs whose mass follows from closure in humans; McNally et al. 2014, rest as muscle
_REMAINDER_CV = {"muscle": 0.27, "adipose": 0.42, "rest": 0.27}


def sample_animals(
    n: int, species: str, rng: np.random.Generator, seed: int, sex: Any, body_weight: Any
) -> xr.Dataset:
    """n animals; see :func:`pbpk_hybrid.physiology.sample_population` for the arguments."""
    ref = reference(species, "unknown")
    ratio = _weight_ratios(rng, n, ref, body_weight)
    weight = ref.body_weight * ratio
    mass = _masses(rng, ref, weight)
    output = ref.cardiac_output * ratio**0.75 * np.exp(sd_ln(FLOW_CV) * _normal(rng, n, 1)[:, 0])
    flow = _flows(rng, ref, output)
    hematocrit = ref.hematocrit * np.exp(sd_ln(CV["hematocrit"][0]) * _normal(rng, n, 1)[:, 0])
    gfr = _filtration(rng, ref.gfr * ratio**0.75, flow[:, INDEX["kidney"]] * (1 - hematocrit))
    return build(
        mass,
        flow,
        species,
        {
            "sex": _sexes(rng, n, sex),
            "age": np.full(n, np.nan),
            "body_weight": weight,
            "height": np.full(n, np.nan),
            "hematocrit": hematocrit,
            "gfr": gfr,
            "cardiac_output": output,
            "hepatocellularity": np.full(n, ref.hepatocellularity),
            "microsomal_protein": np.full(n, ref.microsomal_protein),
        },
        {
            "method": "log-normal variation around the reference animal",
            "seed": seed,
            "variability": "; ".join(f"{k}: CV {v:.3g} ({why})" for k, (v, why) in CV.items()),
            "notes": "\n".join(ref.notes),
        },
    )


def _weight_ratios(
    rng: np.random.Generator, n: int, ref: SpeciesReference, body_weight: Any
) -> np.ndarray:
    """(n,) body weights relative to the reference, inside the range `body_weight` or of all."""
    sigma = sd_ln(CV["body_weight"][0])
    if body_weight is None:
        return np.exp(sigma * truncated_normal(rng, np.full(n, -CUT), np.full(n, CUT), n))
    limits = _weight_limits(ref.species, ref.body_weight, body_weight)
    low, high = (np.full(n, np.log(limit / ref.body_weight) / sigma) for limit in limits)
    ratio = np.exp(sigma * truncated_normal(rng, low, high, n))
    # the last digit of exp(log(...)) may be outside
    return np.clip(ratio, limits[0] / ref.body_weight, limits[1] / ref.body_weight)


def _masses(rng: np.random.Generator, ref: SpeciesReference, weight: np.ndarray) -> np.ndarray:
    """(animal, organ) masses [kg] that add to the weight (animal,)."""
    cv = organ_cv("male")[0].copy()
    for organ, value in _REMAINDER_CV.items():
        cv[INDEX[organ]] = value
    mass = ref.mass * np.exp(sd_ln(cv) * _normal(rng, weight.size))
    mass *= (weight / mass.sum(axis=1))[:, None]
    return mass


def _flows(rng: np.random.Generator, ref: SpeciesReference, output: np.ndarray) -> np.ndarray:
    """(animal, organ) blood flows [L/h] that add to the cardiac output (animal,)."""
    systemic = [INDEX[organ] for organ in SYSTEMIC_ORGANS]
    factors = np.exp(sd_ln(FLOW_CV) * _normal(rng, output.size, len(systemic)))
    share = ref.blood_flow[systemic] * factors
    flow = np.empty((output.size, len(ORGANS)))
    flow[:, systemic] = share * (output / share.sum(axis=1))[:, None]
    flow[:, [INDEX[organ] for organ in FULL_FLOW_ORGANS]] = output[:, None]
    return flow


def _filtration(
    rng: np.random.Generator, expected: np.ndarray, renal_plasma_flow: np.ndarray
) -> np.ndarray:
    """(animal,) GFR [L/h] about the expected one.

    The scatter ends where all plasma that reaches the kidney would be filtered (rule H5).
    """
    highest = np.minimum(CUT, np.log(renal_plasma_flow / expected) / GFR_SD_LN)
    z = truncated_normal(rng, np.full(expected.size, -CUT), highest, expected.size)
    return expected * np.exp(GFR_SD_LN * z)


def _normal(rng: np.random.Generator, n: int, columns: int = len(ORGANS)) -> np.ndarray:
    """(n, columns) standard normal, cut at :data:`CUT`."""
    return truncated_normal(rng, -CUT, CUT, (n, columns))


def _weight_limits(species: str, reference_weight: float, value: Any) -> tuple[float, float]:
    """(low, high) [kg] of a filter.

    Raises
    ------
    InputError
        Not a pair, or not within a quarter to four times the reference weight.
    """
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise InputError("body_weight", value, "a pair (low, high) [kg]")
    low, high = (quantity(v, "kg", "body_weight", positive=True) for v in value)
    smallest, largest = (
        reference_weight / ANIMAL_WEIGHT_FACTOR,
        reference_weight * ANIMAL_WEIGHT_FACTOR,
    )
    if not smallest <= low <= high <= largest:
        raise InputError(
            "body_weight",
            value,
            f"low <= high within {smallest:g} to {largest:g} kg for a {species}",
        )
    return low, high


def _sexes(rng: np.random.Generator, n: int, sex: Any) -> np.ndarray:
    """(n,) labels; a fraction of females holds exactly, in random order.

    Raises
    ------
    UnknownNameError
        Another sex.
    InputError
        A fraction outside of 0 to 1.
    """
    if sex is None:
        return np.full(n, "unknown")
    if isinstance(sex, str):
        if sex not in SEXES:
            raise unknown_name(
                "sex", sex, SEXES, what="'male', 'female' or the fraction of females"
            )
        return np.full(n, sex)
    fraction = quantity(sex, "1", "sex")
    if not 0 <= fraction <= 1:
        raise InputError("sex", sex, "'male', 'female' or the fraction of females, 0 to 1")
    labels = np.full(n, "male", dtype="<U6")
    labels[: round(n * fraction)] = "female"
    return rng.permutation(labels)
