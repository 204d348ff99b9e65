"""Between-person variability of organ masses and flows: truncated normal and log-normal factors.

Residuals of organs are normal scores n that go together (:func:`mass_scores`), taken into the
bounds of each organ by its distribution cut there, z = F^-1(F(low) + (F(high) - F(low)) F(n)) with
the normal distribution F. Nobody is beyond a bound, and nobody is moved to one.

CVs by organ and sex: McNally et al., Toxicology 315:70 (2014), Table 5, as held by httk
(``mcnally_dt.csv``). Each factor is cut where the soft plausibility rule S8 cuts:
exp(+-3.5 sigma_ln) of the expected value.
"""

from __future__ import annotations

from collections.abc import Mapping
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


#: organs whose masses go together, given sex, age and height
VISCERAL = ("lung", "heart", "kidney", "gut", "spleen", "pancreas", "stomach", "liver")
VISCERAL_CORRELATION = 0.25
"""Between the residuals of any two of :data:`VISCERAL`: assumed (docs/assumptions.md).

Masses here go with height; in life they go with weight as well: heart, liver and spleen strongly,
lungs and kidneys less, the brain not at all (4,197 autopsies, 2022, Arch Pathol Lab Med 146:1486;
read: its abstract), the kidneys with body surface (r = 0.68 in 224 kidney donors). If they go with
the surface, whose logarithm varies by 0.11 at one height, it is 0.4 to 0.6 of the spread of each,
and 0.2 to 0.3 the correlation of two.
"""
KIDNEY_AND_FILTRATION = 0.45
"""Correlation of the residuals of kidney mass and of GFR.

Volume of the kidneys and measured GFR: r = 0.62 in 76 kidney donors, 0.68 with the surface (Johnson
et al. 2011 Clin J Am Soc Nephrol 6:70; read: its abstract). At one body surface it is 0.44 to 0.52
if GFR correlates with the surface by 0.5 to 0.4, which was not read (docs/assumptions.md).
"""


def lowest_scores(male: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower bound of the residuals, CV, and whether they are log-normal, (n, organ) each.

    The upper bound is :data:`CUT`. Normal factors end where log-normal ones of the same CV do.
    """
    by_sex = {sex: organ_cv(sex) for sex in ("male", "female")}
    cv = np.where(male[:, None], by_sex["male"][0], by_sex["female"][0])
    log_normal = np.where(male[:, None], by_sex["male"][1], by_sex["female"][1])
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(log_normal, -CUT, np.maximum(np.expm1(-CUT * sd_ln(cv)) / cv, -CUT))
    return np.where(cv > 0, low, -CUT), cv, log_normal


def into_bounds(n: np.ndarray, low: ArrayLike, high: ArrayLike = CUT) -> np.ndarray:
    """Residuals inside [low, high] from normal scores n."""
    from scipy.special import ndtr, ndtri

    p_low, p_high = ndtr(low), ndtr(high)
    return ndtri(p_low + (p_high - p_low) * ndtr(n))


def out_of_bounds(z: np.ndarray, low: ArrayLike, high: ArrayLike = CUT) -> np.ndarray:
    """Normal scores of residuals inside [low, high]: what :func:`into_bounds` takes back."""
    from scipy.special import ndtr, ndtri

    p_low, p_high = ndtr(low), ndtr(high)
    return ndtri(np.clip((ndtr(z) - p_low) / (p_high - p_low), 1e-15, 1 - 1e-15))


def mass_scores(
    rng: np.random.Generator,
    residual_of_gfr: np.ndarray,
    known: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    r"""Normal scores of organ masses that go together, (n, organ).

    Organs of :data:`VISCERAL` share a factor, n_i = \sqrt r f + \sqrt{1 - r} e_i, and e of the
    kidney goes with the residual of GFR. Given the scores of some of them, the others are drawn
    from what is left: f is normal about their weighted mean.

    Parameters
    ----------
    residual_of_gfr : ndarray
        (n,) standard deviations of GFR from the expected one.
    known : mapping, optional
        Organ -> (n,) scores that are known.
    """
    known = known or {}
    noise = rng.standard_normal((residual_of_gfr.size, len(ORGANS) + 1))
    z = np.clip(residual_of_gfr, -CUT, CUT)
    loading = np.sqrt(VISCERAL_CORRELATION)
    precision, pull = np.ones(z.size), np.zeros(z.size)
    for organ, score in known.items():
        if organ in VISCERAL:
            mean, variance = own_part(organ, z)
            precision += VISCERAL_CORRELATION / variance
            pull += loading * (score - mean) / variance
    factor = pull / precision + noise[:, -1] / np.sqrt(precision)
    scores = noise[:, :-1].copy()
    for organ in VISCERAL:
        mean, variance = own_part(organ, z)
        at = INDEX[organ]
        scores[:, at] = loading * factor + mean + np.sqrt(variance) * noise[:, at]
    # somebody with much blood has much of it in both pools
    scores[:, INDEX["venous_blood"]] = scores[:, INDEX["arterial_blood"]]
    return scores


def own_part(organ: str, residual_of_gfr: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean (n,) and variance of a visceral organ's score without the shared factor."""
    left = 1 - VISCERAL_CORRELATION
    if organ != "kidney":
        return np.zeros(residual_of_gfr.size), left
    return KIDNEY_AND_FILTRATION * residual_of_gfr, left - KIDNEY_AND_FILTRATION**2


def mass_factors(
    rng: np.random.Generator,
    male: np.ndarray,
    residual_of_gfr: np.ndarray,
    known: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Factors on the expected organ masses, (n, organ); both blood pools of a person share one.

    Parameters
    ----------
    residual_of_gfr, known
        As of :func:`mass_scores`.
    """
    low, cv, log_normal = lowest_scores(male)
    z = into_bounds(mass_scores(rng, residual_of_gfr, known), low)
    return np.where(log_normal, np.exp(sd_ln(cv) * z), 1 + cv * z)


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
