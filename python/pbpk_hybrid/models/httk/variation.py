"""httk's Monte Carlo of its steady-state model: people, and uncertain measurements.

Written from the description of ``create_mc_samples`` and ``invitro_mc`` of httk 2.7.4 (Ring et al.
2017, Environ Int 106:105; Wambaugh et al. 2019, Toxicol Sci 172:235). Draws are by numpy, so
quantiles agree with httk's within the error of sampling, never draw by draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..._core.arguments import check_real
from ..._core.errors import InputError
from ...compounds import Compound, get_compound
from ...compounds.httk_table import httk_bioavailability
from ...physiology.tables.files import httk_physiology
from ..small_molecules import binding
from ..small_molecules import partition_equations as eq
from ..small_molecules.clearance import hepatic_clearance
from ..small_molecules.ionisation import distribution_coefficient, ionisation
from .parameterisation import (
    LIVER_DENSITY,
    PLASMA_PH,
    _composition,
    _needed,
    _predicted_absorption,
    _steady_state,
    httk_steady_state_parameters,
)

#: smallest fraction unbound of httk's Monte Carlo (``minimum.Funbound.plasma``)
_LEAST = 1e-4
#: fraction unbound of a chemical whose own was below the limit of detection (httk)
UNDETECTED = 0.005
#: normal quantile of a two-sided interval of 95 %
_Z = 1.96
#: organs whose blood goes to the liver
_PORTAL = ("stomach", "gut", "spleen", "pancreas")


@dataclass(frozen=True)
class HttkVariation:
    """What varies beside the bodies; 0 for nothing.

    Parameters
    ----------
    fup_uncertainty, clint_uncertainty : float
        Coefficient of variation of what was measured, where the table has no interval.
    fup_people, clint_people : float
        Coefficient of variation between people.
    caco2_uncertainty : float
        Standard deviation of the measured permeability [1e-6 cm/s], as httk takes it.
    caco2_people : float
        Standard deviation of its decimal logarithm between people.
    poor_metabolisers : float
        Share of people with a tenth of the clearance.
    fup_lod : float
        Limit of detection of the fraction unbound.
    """

    fup_uncertainty: float = 0.4
    clint_uncertainty: float = 0.3
    fup_people: float = 0.3
    clint_people: float = 0.3
    caco2_uncertainty: float = 0.3
    caco2_people: float = 0.3
    poor_metabolisers: float = 0.05
    fup_lod: float = 0.01

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_real(name, value, "a number from 0 to 2")
            if not 0 <= value <= 2:
                raise InputError(name, value, "a number from 0 to 2")
        if self.poor_metabolisers > 1:
            raise InputError("poor_metabolisers", self.poor_metabolisers, "a share from 0 to 1")

    @classmethod
    def none(cls) -> HttkVariation:
        """Nothing varies but the bodies."""
        return cls(**dict.fromkeys(cls.__dataclass_fields__, 0.0) | {"fup_lod": 0.01})

    def describe(self) -> str:
        """In one sentence."""
        if self == self.none():
            return "fraction unbound, clearance and permeability are the same in all"
        return (
            "uncertainty of fraction unbound and clearance by the intervals of httk's table, else "
            f"CV {self.fup_uncertainty:g} and {self.clint_uncertainty:g}; between people CV "
            f"{self.fup_people:g} and {self.clint_people:g}; {100 * self.poor_metabolisers:g} % "
            "with a tenth of the clearance"
        )

    def draw(
        self,
        drug: Compound,
        record: Mapping[str, str],
        point: Mapping[str, float],
        bodies: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """httk's parameters of each person.

        Parameters
        ----------
        drug : Compound
        record : mapping
            Row of httk's table, column -> text; {} for none.
        point : mapping
            Parameters of the average person (``httk_steady_state_parameters``).
        bodies : mapping
            Of :func:`person_at_steady_state`.
        rng : numpy.random.Generator
        """
        n = bodies["BW"].size
        charge = ionisation(PLASMA_PH, drug.pka_acid, drug.pka_base)
        dow = distribution_coefficient(
            min(10.0**drug.log_p, binding.LARGEST_PARTITION), charge.charged
        )
        p: dict[str, Any] = {**point, **bodies}
        fu = self._fraction_unbound(record, point, n, rng)
        lipid = httk_physiology("human")["Plasma Effective Neutral Lipid Volume Fraction"]
        fu = binding.corrected_fraction_unbound(fu, dow, lipid)
        if self.fup_people:
            fu = _truncated(rng, fu, self.fup_people * fu, 0.0, 1.0)
        p["Funbound.plasma"] = np.clip(fu, _LEAST, 1.0)
        p["Clint"] = self._clint(record, point, n, rng) / point["Fhep.assay.correction"]
        p["Rblood2plasma"] = _blood_to_plasma(drug, p, point)
        flow = p["Qtotal.liverc"] / p["BW"] ** 0.25
        p["CLint"] = (
            p["Clint"] * p["million.cells.per.gliver"] * p["Vliverc"] * 1000 * LIVER_DENSITY
        ) * 60e-6
        bound = p["Funbound.plasma"] * p["CLint"] / p["Rblood2plasma"]
        p["hepatic.bioavailability"] = flow / (flow + bound)
        p["Fabsgut"] = self._absorbed(drug, record, point, p, rng)
        return p

    def _fraction_unbound(
        self, record: Mapping[str, str], point: Mapping[str, float], n: int, rng: Any
    ) -> np.ndarray:
        """What may have been measured, not yet corrected for lipid, (n,)."""
        median, low, high = _interval(record.get("Human.Funbound.plasma", ""), 3)
        if not np.isfinite(median):
            median = float(point["unadjusted.Funbound.plasma"])
        if not self.fup_uncertainty:
            return np.full(n, max(float(point["unadjusted.Funbound.plasma"]), _LEAST))
        if not np.isfinite(low):
            low = max(median * (1 - _Z * self.fup_uncertainty), 0.0)
            high = min(median * (1 + _Z * self.fup_uncertainty), 1.0)
        if low >= 1:
            return np.ones(n)
        if median < _LEAST:
            if high <= _LEAST:
                return rng.uniform(_LEAST, self.fup_lod, n) if median == 0 else np.full(n, _LEAST)
            return _half_below(rng, n, high, _LEAST, self.fup_lod)
        a, b = _beta(min(median, 1 - 1e-3), low, high)
        drawn = rng.beta(a, b, n)
        if median >= 1:
            drawn[drawn > np.median(drawn)] = 1.0
        return np.clip(drawn, _LEAST, 1.0)

    def _clint(
        self, record: Mapping[str, str], point: Mapping[str, float], n: int, rng: Any
    ) -> np.ndarray:
        """Intrinsic clearance in the incubation [uL/min/1e6 cells], (n,)."""
        given = float(point["Clint"] * point["Fhep.assay.correction"])
        median, low, high, p_value = _interval(record.get("Human.Clint", ""), 4)
        drawn = np.full(n, given)
        if self.clint_uncertainty:
            if not np.isfinite(low):  # no interval in the table
                median, p_value = given, 0.0
                low = max(median * (1 - _Z * self.clint_uncertainty), 1e-3)
                high = median * (1 + _Z * self.clint_uncertainty)
            if high <= 0:
                return np.zeros(n)
            drawn = (
                _half_below(rng, n, high, 0.0, high / 100)
                if median == 0
                else median * np.exp(_log_sd(median, low, high) * rng.standard_normal(n))
            )
            none = round(p_value * n) - int((drawn == 0).sum())
            if none > 0:
                drawn[drawn <= np.sort(drawn)[round(p_value * n) - 1]] = 0.0
        mean = np.where(rng.random(n) < self.poor_metabolisers, 0.1, 1.0) * drawn
        if not self.clint_people:
            return mean
        varied = _truncated(rng, mean, np.maximum(self.clint_people * mean, 1e-300), 0.0, np.inf)
        return np.where(mean > 0, varied, 0.0)

    def _absorbed(
        self,
        drug: Compound,
        record: Mapping[str, str],
        point: Mapping[str, float],
        p: dict[str, Any],
        rng: Any,
    ) -> np.ndarray:
        """Share that reaches the liver: measured ones as they are, predicted ones varied."""
        n = p["BW"].size
        predicted = _predicted_absorption(drug, dict(point), "human")
        measured = not np.isclose(
            point["Fabsgut"], min(predicted["Fabs"] * predicted["Fgut"], 1.0), rtol=1e-6
        )
        if measured or not (self.caco2_uncertainty or self.caco2_people):
            return np.full(n, float(point["Fabsgut"]))
        _, low, high = _interval(record.get("Human.Caco2.Pab", ""), 3)
        sd = (high - low) / (2 * _Z) if np.isfinite(low) else self.caco2_uncertainty
        pab = predicted["Caco2.Pab"] + sd * rng.standard_normal(n)
        pab = np.maximum(pab, 1e-3) * 10 ** (self.caco2_people * rng.standard_normal(n))
        out = np.empty(n)
        for i in range(n):
            own = {**point, **{k: float(np.ravel(p[k])[i]) for k in _OF_GUT}}
            found = _predicted_absorption(_Permeable(float(pab[i])), own, "human")
            out[i] = found["Fabs"] * found["Fgut"]
        return np.minimum(out, 1.0)


def average_person(source: Compound | str, record: Mapping[str, str]) -> dict[str, float]:
    """httk's parameters of its average person; a fraction unbound that was not detected is
    :data:`UNDETECTED`.

    Raises
    ------
    InputError, UnknownNameError
        As of :func:`.httk_steady_state_parameters`.
    """
    if isinstance(source, str) and _interval(record.get("Human.Funbound.plasma", ""), 3)[0] == 0:
        chemical = get_compound(source, collection="httk")
        if chemical.fraction_unbound_plasma is None:
            chemical = chemical.replace(fraction_unbound_plasma=UNDETECTED)
            for field in ("log_p", "molar_mass", "clint_hepatocyte"):
                _needed(chemical, field)
            return _steady_state(chemical, (*httk_bioavailability(source, "human"), True), "human")
    return httk_steady_state_parameters(source)


#: what the prediction of absorption takes of a person
_OF_GUT = ("BW", "Qtotal.liverc", "Funbound.plasma", "Clint", "Vliverc")


@dataclass(frozen=True)
class _Permeable:
    """All that the prediction of absorption asks of a compound."""

    caco2_permeability: float


def person_at_steady_state(people: xr.Dataset, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Bodies as httk's steady-state model takes them, (n,) each.

    Cells per gram of liver fall with age, 10^(3.10 - 0.66 log10 age) with what is left of a
    variance whose 95 % interval is 23 to 444 (Barter et al. 2007, Curr Drug Metab 8:33, figure 5,
    as httk reads it).

    Raises
    ------
    InputError
        Children or animals: the model's constants are those of adults.
    """
    if set(np.unique(people["species"].values.astype(str))) != {"human"}:
        raise InputError("people", list(np.unique(people["species"].values)), "humans")
    age = people["age"].values.astype(float)
    if (age < 18).any():
        raise InputError("people", float(age.min()), "adults, of 18 years and more")
    weight = people["body_weight"].values.astype(float)
    organ = [str(o) for o in people["organ"].values]
    flow = people["blood_flow"].transpose("subject", "organ").values
    volume = people["volume"].transpose("subject", "organ").values
    # the liver's own flow is its artery's; that of the gut, spleen, pancreas and stomach joins it
    liver = flow[:, [organ.index(o) for o in ("liver", *_PORTAL)]].sum(axis=1)
    cells = 10 ** (3.10 - 0.66 * np.log10(np.maximum(age, 19)))
    total = np.log(444 / 23) / 4
    left = np.sqrt((1 - _CELLS_R2) * total**2)
    return {
        "BW": weight,
        "hematocrit": people["hematocrit"].values.astype(float),
        "Qgfrc": people["gfr"].values / weight**0.75,
        "Qtotal.liverc": liver / weight**0.75,
        "Vliverc": volume[:, organ.index("liver")] / weight,
        "million.cells.per.gliver": cells * np.exp(left * rng.standard_normal(weight.size)),
    }


#: share of the variance of log cells per gram of liver that age explains: F/(1 + F) where F is
#: exceeded with probability 0.012/2 at 1 and 26 degrees of freedom (the p of Barter's figure 5; as
#: httk computes it)
_CELLS_R2 = 0.8995217604846143


def steady_state_concentration(p: Mapping[str, Any]) -> np.ndarray:
    """Plasma [mg/L] at 1 mg/kg/day, (n,): absorbed dose over renal and hepatic clearance."""
    flow = p["Qtotal.liverc"] / p["BW"] ** 0.25
    fu, ratio = p["Funbound.plasma"], p["Rblood2plasma"]
    clearance = p["Qgfrc"] / p["BW"] ** 0.25 * fu + ratio * hepatic_clearance(
        p["CLint"], flow, fu / ratio
    )
    return np.asarray(p["Fabsgut"] * p["hepatic.bioavailability"] / 24 / clearance)


def _blood_to_plasma(
    drug: Compound, p: Mapping[str, Any], point: Mapping[str, float]
) -> np.ndarray:
    """Blood over plasma at each person's hematocrit; red cells as measured, else by Schmitt."""
    if drug.blood_to_plasma_ratio is not None:
        own = point["hematocrit"]
        cells = (point["Rblood2plasma"] - 1 + own) / (own * point["Funbound.plasma"])
    else:
        protein = httk_physiology("human")["Plasma Protein Volume Fraction"]
        cells = eq.schmitt_kpu(
            drug.log_p,
            p["Funbound.plasma"],
            pka_acid=drug.pka_acid,
            pka_base=drug.pka_base,
            affinity=point["MA"],
            plasma_protein_fraction=protein,
            **_composition("human")["red blood cells"],
        )
    return binding.blood_to_plasma(cells, p["Funbound.plasma"], p["hematocrit"])


def _interval(text: str, count: int) -> tuple[float, ...]:
    """Median and limits of an entry such as "19.9,10.2,29.8,0"; NaN for what it does not have."""
    try:
        parts = [float(t) for t in text.split(",")]
    except ValueError:  # "", "NA", "No analytical method"
        parts = []
    if len(parts) == count:
        return tuple(parts)
    return (parts[0] if parts else np.nan, *[np.nan] * (count - 1))


def _truncated(rng: Any, mean: Any, sd: Any, low: float, high: float) -> np.ndarray:
    """Normal draws between two limits, by their distribution function."""
    from scipy.special import ndtr, ndtri

    mean, sd = np.asarray(mean, dtype=float), np.asarray(sd, dtype=float)
    a, b = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
    return mean + sd * ndtri(a + (b - a) * rng.random(mean.shape))


def _log_sd(median: float, low: float, high: float) -> float:
    """Standard deviation of the log with 95 % between `low` and `high` around `median`."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    upper = np.log(high / median)
    lower = np.log(low / median) if low > 0 else -np.inf
    inside = lambda sd: float(ndtr(upper / sd) - ndtr(lower / sd) - 0.95)
    if inside(1e-4) < 0 or inside(20.0) > 0:  # the median lies outside of its own interval
        return max(upper / _Z, 1e-4)
    return float(brentq(inside, 1e-4, 20.0))


def _beta(median: float, low: float, high: float) -> tuple[float, float]:
    """Parameters of the beta distribution with this median and 95 % between the limits."""
    from scipy.optimize import brentq
    from scipy.stats import beta

    def parameters(size: float) -> tuple[float, float]:
        """a and b with a + b = 2/3 + size, whose median is nearly that of a fraction."""
        a = 1 / 3 + size * median
        return a, 2 / 3 + size - a

    inside = lambda log: float(
        beta.cdf(high, *parameters(np.exp(log))) - beta.cdf(low, *parameters(np.exp(log))) - 0.95
    )
    first, last = np.log(0.5), np.log(1e7)
    if inside(first) > 0:
        return parameters(np.exp(first))
    return parameters(np.exp(brentq(inside, first, last)))


def _half_below(rng: Any, n: int, high: float, low: float, limit: float) -> np.ndarray:
    """Where the median is not detected and the upper limit is: half below the limit of detection,
    half log-uniform up to `high`, and one in forty above it.
    """
    half = n // 2
    if high > limit:
        below = rng.uniform(low, limit, half)
        above = np.exp(rng.uniform(np.log(limit), np.log(high), n - half))
        beyond = rng.uniform(high, high + (high - limit), n)
    else:
        below = np.full(half, low)
        above = np.exp(rng.uniform(np.log(max(low, 1e-12)), np.log(high), n - half))
        beyond = rng.uniform(high, high + (high - low), n)
    drawn = rng.permutation(np.concatenate([below, above]))
    upper = np.flatnonzero(drawn > np.median(drawn))
    chosen = rng.choice(upper, min(int(0.05 * n / 2), upper.size), replace=False)
    drawn[chosen] = beyond[chosen]
    return np.maximum(drawn, low)


__all__ = [
    "HttkVariation",
    "average_person",
    "person_at_steady_state",
    "steady_state_concentration",
]
