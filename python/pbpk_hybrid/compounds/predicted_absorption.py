r"""Absorption of compounds whose absorption nobody measured, with an interval.

.. math::
    P_{eff} = 10^{0.4926 \log_{10} P_{app} - 0.1454}\ [10^{-4} cm/s], \quad k_a = 2 P_{eff}/R, \quad
    F_a = 1 - (1 + 0.54\,P_{eff})^{-7}

(Caco-2 to effective permeability as in httk 2.7.4; Yu & Amidon (1999) Int J Pharm 186:119 for both
others, R = 1.75 cm.) Without a Caco-2 permeability it is predicted from log P, molar mass and
charge. The numbers and their spread come from ``benchmarks/absorption``; its file is read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_FILE = Path(__file__).parent / "data" / "predicted_absorption.json"
_RADIUS = 1.75  # cm
_Z90 = 1.6448536269514722  # of a normal distribution, 90 % between -z and z
_PH = 7.4


@dataclass(frozen=True)
class PredictedAbsorption:
    """Absorption rate constant [1/h] and fraction absorbed, with 90 % intervals.

    Parameters
    ----------
    rate, rate_low, rate_high
        [1/h].
    fraction, fraction_low, fraction_high
        Of an oral dose that enters the gut wall.
    source
        From what.
    """

    rate: float
    rate_low: float
    rate_high: float
    fraction: float
    fraction_low: float
    fraction_high: float
    source: str

    def cite_rate(self) -> str:
        """For `sources` of a compound."""
        return (
            f"predicted from {self.source}; 90 % interval "
            f"{self.rate_low:.2g} to {self.rate_high:.2g} 1/h"
        )

    def cite_fraction(self) -> str:
        """For `sources` of a compound."""
        return (
            f"predicted from {self.source}; 90 % interval "
            f"{self.fraction_low:.2g} to {self.fraction_high:.2g}"
        )


@cache
def _learned() -> dict[str, Any]:
    return json.loads(_FILE.read_text(encoding="utf-8"))


def peff_from_caco2(permeability: Any) -> Any:
    """Effective permeability in the human jejunum [1e-4 cm/s] from Caco-2 [1e-6 cm/s]."""
    return 10.0 ** (0.4926 * np.log10(permeability) - 0.1454)


def fraction_absorbed(peff: Any) -> Any:
    """Fraction absorbed from seven segments of small intestine; `peff` in 1e-4 cm/s."""
    return 1.0 - (1.0 + 0.54 * np.asarray(peff)) ** -7.0


def features(
    log_p: float, molar_mass: float, pka_acid: Iterable[float], pka_base: Iterable[float]
) -> list[float]:
    """What the permeability is predicted from."""
    acid = any(p < _PH for p in pka_acid)
    base = any(p > _PH for p in pka_base)
    return [
        1.0,
        log_p,
        log_p**2,
        float(np.log10(molar_mass)),
        float(acid),
        float(base),
        float(acid and base),
    ]


def predict_caco2(
    log_p: float | None,
    molar_mass: float | None,
    pka_acid: Iterable[float] = (),
    pka_base: Iterable[float] = (),
) -> float | None:
    """Caco-2 permeability [1e-6 cm/s] from structure; None without log P and molar mass."""
    if log_p is None or not molar_mass:
        return None
    x = features(log_p, molar_mass, pka_acid, pka_base)
    return float(10.0 ** np.dot(_learned()["structure"], x))


def predict_absorption(
    caco2: float | None,
    log_p: float | None,
    molar_mass: float | None,
    pka_acid: Iterable[float] = (),
    pka_base: Iterable[float] = (),
) -> PredictedAbsorption | None:
    """Absorption from Caco-2 permeability [1e-6 cm/s], else from structure.

    Returns
    -------
    PredictedAbsorption or None
        None where neither is known.
    """
    learned = _learned()
    spread = learned["sd_log10_peff"]
    if caco2 is not None and caco2 > 0:
        log_peff = float(np.log10(peff_from_caco2(caco2)))
        source = f"the Caco-2 permeability ({caco2:g}e-6 cm/s)"
    elif (predicted := predict_caco2(log_p, molar_mass, pka_acid, pka_base)) is not None:
        log_peff = float(np.log10(peff_from_caco2(predicted)))
        spread = float(np.hypot(spread, 0.4926 * learned["sd_log10_caco2"]))
        source = "log P, molar mass and charge"
    else:
        return None
    peff, low, high = (10.0 ** (log_peff + s * _Z90 * spread) for s in (0.0, -1.0, 1.0))
    rate = lambda p: float(2 * p * 1e-4 * 3600 / _RADIUS)
    fraction = lambda p: float(fraction_absorbed(p))
    return PredictedAbsorption(
        rate(peff), rate(low), rate(high), fraction(peff), fraction(low), fraction(high), source
    )


__all__ = [
    "PredictedAbsorption",
    "features",
    "fraction_absorbed",
    "peff_from_caco2",
    "predict_absorption",
    "predict_caco2",
]
