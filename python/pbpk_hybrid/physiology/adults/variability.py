"""Between-person variability of organ masses and flows: truncated normal and log-normal factors.

CVs by organ and sex: McNally et al., Toxicology 315:70 (2014), Table 5, as held by httk
(``mcnally_dt.csv``). Each factor is cut where the soft plausibility rule S8 cuts:
exp(+-3.5 sigma_ln) of the expected value.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import exp
from ..organs import BLOOD_POOLS, ORGANS
from ..tables.files import mcnally
from .body import INDEX

CUT = 3.5  # standard deviations

_MCNALLY = {
    "lung": ("Lung",),
    "heart": ("Heart",),
    "brain": ("Brain",),
    "skin": ("Skin",),
    "bone": ("Skeleton",),
    "kidney": ("Kidney",),
    "gut": ("Small_intestine", "Large_intestine"),
    "spleen": ("Spleen",),
    "pancreas": ("Pancreas",),
    "stomach": ("Stomach",),
    "liver": ("Liver",),
}

FAT_SD_LOGIT = 0.2
"""Spread of the fat fraction around Gallagher's line on the logit scale: 4 percentage
points at 27 % fat, the standard error of estimate of Gallagher et al. (2000), and less in
the lean, where the line leaves no room for more.
"""

FLOW_CV = 0.05  # McNally et al. 2014, every organ

CARDIAC_OUTPUT_CV = 0.17
"""Spread of cardiac output between people of one sex, age and body surface.

Between two sources, of each of which the abstract was read: 0.5/3.2 in men and 0.4/3.1 L/min/m^2 in
women by magnetic resonance (Carlsson et al. 2012, J Cardiovasc Magn Reson 14:51, 144 healthy
people), and 0.21 as the standard deviation of the logarithm for which 1.9 to 4.3 L/min/m^2 are the
normal limits (95 %) by Doppler echocardiography, the error of which is in them (Rusinaru et al.
2021, Am J Cardiol 140:128, 3,090 people). All organ flows share it.
"""

_RANGE_OF_SEVEN = 2.704  # expected range of seven normal draws, in standard deviations
#: 7 livers, 65 to 185 [1e6 cell/g], Wilson et al. (2003) Br J Clin Pharmacol 56:433
HEPATOCELLULARITY_SD_LN = np.log(185 / 65) / _RANGE_OF_SEVEN
#: 7 livers, 26 to 54 [mg/g], Wilson et al. (2003)
MICROSOMAL_PROTEIN_SD_LN = np.log(54 / 26) / _RANGE_OF_SEVEN

GFR_SD_LN = 0.2061534
"""Spread of measured around estimated GFR on the log scale, httk-pop from the CKD-EPI papers."""


def sd_ln(cv: ArrayLike) -> np.ndarray:
    """Standard deviation of the logarithm of a log-normal with the given coefficient of
    variation.
    """
    return np.sqrt(np.log1p(np.square(cv)))


@cache
def organ_cv(sex: str) -> tuple[np.ndarray, np.ndarray]:
    """CV and "is log-normal" of every organ's mass; 0 where the mass follows from closure."""
    table = mcnally(sex)
    cv, log_normal = np.zeros(len(ORGANS)), np.zeros(len(ORGANS), dtype=bool)
    for organ, parts in _MCNALLY.items():
        mass = np.array([float(table[part]["mass_ref"]) for part in parts])
        each = np.array([float(table[part]["mass_cv"]) for part in parts])
        # the parts of an organ vary independently of each other
        cv[INDEX[organ]] = np.sqrt(np.sum((mass * each) ** 2)) / mass.sum()
        log_normal[INDEX[organ]] = table[parts[0]]["mass_dist"] == "Log-normal"
    for organ in BLOOD_POOLS:
        cv[INDEX[organ]], log_normal[INDEX[organ]] = float(table["Blood"]["mass_cv"]), True
    return cv, log_normal


def truncated_normal(
    rng: np.random.Generator, low: ArrayLike, high: ArrayLike, size: int | tuple[int, ...]
) -> np.ndarray:
    """Standard normal draws inside [low, high], by inversion (exact, no rejection).

    `low` and `high` broadcast against `size`, the shape of the result.
    """
    from scipy.special import ndtr, ndtri

    p_low, p_high = ndtr(low), ndtr(high)
    return ndtri(p_low + (p_high - p_low) * rng.random(size))


def mass_factors(rng: np.random.Generator, male: np.ndarray) -> np.ndarray:
    """Factors on the expected organ masses, (n, organ); both blood pools of a person
    share one factor.
    """
    n = male.size
    by_sex = {sex: organ_cv(sex) for sex in ("male", "female")}
    cv = np.where(male[:, None], by_sex["male"][0], by_sex["female"][0])
    log_normal = np.where(male[:, None], by_sex["male"][1], by_sex["female"][1])
    sigma = sd_ln(cv)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(log_normal, -CUT, np.maximum(np.expm1(-CUT * sigma) / cv, -CUT))
    low = np.where(cv > 0, low, -CUT)
    z = truncated_normal(rng, low, CUT, (n, len(ORGANS)))
    # somebody with much blood has much of it in both pools
    z[:, INDEX["venous_blood"]] = z[:, INDEX["arterial_blood"]]
    return np.where(log_normal, np.exp(sigma * z), 1 + cv * z)


def flow_factors(rng: np.random.Generator, n: int) -> np.ndarray:
    """Factors on the expected organ flows, (n, organ), normal with a CV of 5 %."""
    return 1 + FLOW_CV * truncated_normal(rng, -CUT, CUT, (n, len(ORGANS)))


def output_factor(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) factors on the expected cardiac output: log-normal, mean 1, cut at :data:`CUT` sd."""
    return output_of_score(truncated_normal(rng, -CUT, CUT, n))


def output_of_score(z: Any) -> Any:
    """Factor on the expected cardiac output of people z standard deviations from it; mean 1."""
    sigma = float(sd_ln(CARDIAC_OUTPUT_CV))
    return exp(sigma * z - 0.5 * sigma**2)


def log_normal_factor(rng: np.random.Generator, sigma: float, n: int) -> np.ndarray:
    """exp(sigma z) with z cut at 3.5 standard deviations; median 1."""
    return np.exp(sigma * truncated_normal(rng, -CUT, CUT, n))


def scatter_fat(rng: np.random.Generator, fraction: np.ndarray) -> np.ndarray:
    """(subject,) fat fractions with normal scatter of their logit, cut at :data:`CUT` sd."""
    z = truncated_normal(rng, -CUT, CUT, fraction.size)
    return 1 / (1 + (1 - fraction) / fraction * np.exp(-FAT_SD_LOGIT * z))
