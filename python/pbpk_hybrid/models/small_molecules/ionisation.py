"""Ionisation of weak acids, bases and ampholytes at a given pH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..._core.numeric import FloatOrArray

PH_PLASMA = 7.4
PH_INTRACELLULAR = 7.0  # intracellular water, Rodgers & Rowland 2005
PH_RED_CELLS = 7.22  # Rodgers & Rowland 2005


@dataclass(frozen=True)
class Ionisation:
    """Fractions of a compound by charge; they add up to 1. Each has the shape of the pH given."""

    neutral: np.ndarray
    zwitterion: np.ndarray
    positive: np.ndarray
    negative: np.ndarray

    @property
    def charged(self) -> np.ndarray:
        """Fraction with a net charge."""
        return self.positive + self.negative


def ionisation(
    ph: FloatOrArray, pka_acid: Sequence[float] = (), pka_base: Sequence[float] = ()
) -> Ionisation:
    r"""Fractions neutral, zwitterionic, positive and negative at `ph`.

    With all sites, acidic and basic, sorted by pKa, the molecule loses its protons one by
    one; the state after k steps relates to the fully protonated one as

    .. math:: r_k = 10^{\sum_{i \le k} (pH - pK_{a,i})}

    and its net charge is the number of protonated bases minus that of ionised acids. A
    state of net charge 0 is neutral when no site is ionised, else a zwitterion.

    Parameters
    ----------
    ph : number or array
    pka_acid, pka_base : pKa of acidic sites and of the conjugate acids of basic sites, any order

    Returns
    -------
    Ionisation : arrays with the shape of `ph`

    References
    ----------
    Henderson-Hasselbalch for any number of sites, in the form of httk 2.7.4 (``calc_ionization``).
    """
    ph = np.asarray(ph)
    ph = ph.astype(np.result_type(ph.dtype, float))
    sites = sorted([(float(p), True) for p in pka_acid] + [(float(p), False) for p in pka_base])
    log_ratio = [np.zeros_like(ph)]
    for pka, _ in sites:
        log_ratio.append(log_ratio[-1] + (ph - pka))
    highest = log_ratio[0]
    for r in log_ratio[1:]:
        highest = np.where(
            np.real(r) > np.real(highest), r, highest
        )  # the largest weight becomes 1: no overflow
    weights = [10.0 ** (r - highest) for r in log_ratio]
    total = sum(weights)
    kinds = {
        "neutral": np.zeros_like(ph),
        "zwitterion": np.zeros_like(ph),
        "positive": np.zeros_like(ph),
        "negative": np.zeros_like(ph),
    }
    donated, protonated = 0, len(pka_base)
    for k, weight in enumerate(weights):
        if k:
            if sites[k - 1][1]:
                donated += 1
            else:
                protonated -= 1
        charge = protonated - donated
        kind = (
            "positive"
            if charge > 0
            else "negative"
            if charge < 0
            else "zwitterion"
            if donated
            else "neutral"
        )
        kinds[kind] = kinds[kind] + weight / total
    return Ionisation(**kinds)


def charge_ratio(
    ph: FloatOrArray, pka_acid: Sequence[float] = (), pka_base: Sequence[float] = ()
) -> FloatOrArray:
    r"""Ionised over neutral form at `ph`: the X, Y and Z of Rodgers & Rowland.

    .. math::
        \sum_k 10^{k\,pH - pK_{a,1} - \dots - pK_{a,k}} +
        \sum_k 10^{pK_{b,1} + \dots + pK_{b,k} - k\,pH}

    with acids in ascending and bases in descending order of pKa: one acid 10^(pH-pKa),
    one base 10^(pKa-pH), an ampholyte the sum of both, no site 0.

    References
    ----------
    Rodgers & Rowland (2006) J Pharm Sci 95:1238, appendix.
    """
    return anion_ratio(ph, pka_acid) + cation_ratio(ph, pka_base)


def anion_ratio(ph: FloatOrArray, pka_acid: Sequence[float] = ()) -> FloatOrArray:
    """Negative over neutral form at `ph`; see :func:`charge_ratio`."""
    ph = np.asarray(ph)
    total, exponent = 0.0 * ph, 0.0 * ph
    for pka in sorted(pka_acid):
        exponent = exponent + (ph - pka)
        total = total + 10.0**exponent
    return total


def cation_ratio(ph: FloatOrArray, pka_base: Sequence[float] = ()) -> FloatOrArray:
    """Positive over neutral form at `ph`; see :func:`charge_ratio`."""
    ph = np.asarray(ph)
    total, exponent = 0.0 * ph, 0.0 * ph
    for pka in sorted(pka_base, reverse=True):
        exponent = exponent + (pka - ph)
        total = total + 10.0**exponent
    return total


def distribution_coefficient(
    p: FloatOrArray, fraction_charged: FloatOrArray, alpha: float = 1e-3
) -> FloatOrArray:
    r"""Octanol:water distribution coefficient D at the pH of `fraction_charged`.

    .. math:: D = P (1 + (\alpha - 1) f_{charged})

    Parameters
    ----------
    p : partition coefficient of the neutral form, not its logarithm
    fraction_charged : fraction with a net charge; zwitterions count as neutral
    alpha : P of the charged over that of the neutral form

    References
    ----------
    Schmitt (2008) Toxicol In Vitro 22:457, equations 13 and 14, in the form of httk 2.7.4
    (``calc_dow``).
    """
    return p * (1.0 + (alpha - 1.0) * fraction_charged)
