r"""Classical scaling of clearance and volume between species: one equation each, with its source.

Plain numpy on numbers or arrays. Clearances are of the whole animal [L/h], volumes of the
whole animal [L], weights [kg]; per-kg values times the body weight give them. Sources of
several animals run over the last axis. Nothing here is learned from data of this package:
these are the methods that a learned one has to beat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._core.errors import InputError, unknown_name

if TYPE_CHECKING:
    from .._core.numeric import FloatOrArray

#: body weights that cross-species tables of pharmacokinetics refer to [kg] (Davies &
#: Morris 1993, Pharm Res 10:1093)
TABLE_WEIGHT = {
    "mouse": 0.02,
    "rat": 0.25,
    "rabbit": 2.5,
    "monkey": 5.0,
    "dog": 10.0,
    "human": 70.0,
}
#: total hepatic blood flow [mL/min/kg] (Davies & Morris 1993, table III over the weights above)
HEPATIC_FLOW = {
    "mouse": 90.0,
    "rat": 55.2,
    "rabbit": 70.8,
    "monkey": 43.6,
    "dog": 30.9,
    "human": 20.7,
}
#: brain weight [kg] (Sacher 1959 as used by Mahmood & Balian 1996; Davies & Morris 1993)
BRAIN_WEIGHT = {
    "mouse": 0.00036,
    "rat": 0.0018,
    "rabbit": 0.014,
    "monkey": 0.090,
    "dog": 0.080,
    "human": 1.4,
}
#: plasma, extracellular and remainder volume [L/kg] of Oie & Tozer (1979, J Pharm Sci 68:1203)
OIE_TOZER_VOLUMES = {
    "rat": (0.0313, 0.265, 0.364),
    "monkey": (0.0448, 0.208, 0.485),
    "dog": (0.0515, 0.216, 0.450),
    "human": (0.0436, 0.151, 0.380),
}
ALBUMIN_RATIO = 1.4  # R, extravascular over intravascular binding protein (Oie & Tozer 1979)
EXPONENT_RANGE = (
    0.55,
    1.3,
)  # outside it the rule of exponents is not to be used (Mahmood & Balian 1996)


def fixed_exponent(
    values: FloatOrArray, weights: FloatOrArray, target_weight: float, exponent: float
) -> np.ndarray:
    r"""Geometric mean over the source species of :math:`P_s (W_t/W_s)^b` with the same b for all.

    b = 0.75 for clearances and 1 for volumes (West, Brown & Enquist 1997, Science
    276:122). With one source this is single-species scaling.

    Parameters
    ----------
    values : (..., n_species), NaN where a species has no data;  weights : (n_species,)
        [kg];  target_weight : [kg]

    Returns
    -------
    (...) in the unit of `values`
    """
    values, weights = _sources(values, weights)
    return np.exp(np.nanmean(np.log(values) + exponent * np.log(target_weight / weights), axis=-1))


def fit_power_law(values: FloatOrArray, weights: FloatOrArray) -> tuple[np.ndarray, np.ndarray]:
    r"""Least squares of :math:`\log P = \log a + b \log W`.

    Returns
    -------
    a (the value at 1 kg) and b, each (...); NaN with fewer than two species
    """
    values, weights = _sources(values, weights)
    y = np.log(values)
    x = np.where(np.isfinite(y), np.log(weights), np.nan)
    n = np.isfinite(y).sum(-1)
    safe = np.where(n > 1, n, 1)
    mx, my = np.nansum(x, -1) / safe, np.nansum(y, -1) / safe
    dx = x - mx[..., None]
    spread = np.nansum(dx**2, -1)
    enough = (n > 1) & (spread > 0)
    b = np.where(
        enough, np.nansum(dx * (y - my[..., None]), -1) / np.where(enough, spread, 1.0), np.nan
    )
    return np.exp(my - b * mx), b


def simple_allometry(
    values: FloatOrArray, weights: FloatOrArray, target_weight: float
) -> np.ndarray:
    r""":math:`P_t = a W_t^b` with a and b fitted to the source species (Boxenbaum 1982, J
    Pharmacokinet Biopharm 10:201).
    """
    a, b = fit_power_law(values, weights)
    return a * target_weight**b


def flow_scaling(clearance: FloatOrArray, flow: FloatOrArray, target_flow: float) -> np.ndarray:
    r"""Single-species scaling by liver blood flow: :math:`CL_t = CL_s Q_t/Q_s` (Ward &
    Smith 2004, Drug Metab Dispos 32:603).

    Parameters
    ----------
    clearance, flow, target_flow : in one unit; per kg on both sides gives per kg
    """
    return np.asarray(clearance, dtype=float) * target_flow / np.asarray(flow, dtype=float)


def maximum_lifespan(brain_weight: FloatOrArray, body_weight: FloatOrArray) -> np.ndarray:
    r"""Maximum lifespan potential [year] :math:`= 185.4\,BrW^{0.636} W^{-0.225}`, both
    [kg] (Sacher 1959).
    """
    return (
        185.4 * np.asarray(brain_weight, float) ** 0.636 * np.asarray(body_weight, float) ** -0.225
    )


def corrected_allometry(
    values: FloatOrArray,
    weights: FloatOrArray,
    target_weight: float,
    correction: FloatOrArray,
    target_correction: float,
) -> np.ndarray:
    r"""Simple allometry of :math:`P_s c_s`, divided by :math:`c_t`: c the lifespan (MLP)
    or the brain weight (BrW).

    Source: Mahmood & Balian (1996), Xenobiotica 26:887.
    """
    values, weights = _sources(values, weights)
    return (
        simple_allometry(values * np.asarray(correction, float), weights, target_weight)
        / target_correction
    )


def rule_of_exponents(
    clearance: FloatOrArray,
    weights: FloatOrArray,
    target_weight: float,
    brain_weights: FloatOrArray,
    target_brain_weight: float,
) -> np.ndarray:
    r"""Simple allometry for b <= 0.70, with MLP for 0.70 < b < 1, with brain weight for b >= 1.

    Source: Mahmood & Balian (1996), Xenobiotica 26:887. Exponents outside 0.55-1.3
    (:data:`EXPONENT_RANGE`) are computed all the same; the authors warn of them.
    """
    clearance, weights = _sources(clearance, weights)
    _, b = fit_power_law(clearance, weights)
    brain = np.asarray(brain_weights, dtype=float)
    lifespan = corrected_allometry(
        clearance,
        weights,
        target_weight,
        maximum_lifespan(brain, weights),
        float(maximum_lifespan(target_brain_weight, target_weight)),
    )
    by_brain = corrected_allometry(clearance, weights, target_weight, brain, target_brain_weight)
    simple = simple_allometry(clearance, weights, target_weight)
    return np.where(b <= 0.70, simple, np.where(b < 1.0, lifespan, by_brain))


def fu_corrected_allometry(
    clearance: FloatOrArray,
    fraction_unbound: FloatOrArray,
    weights: FloatOrArray,
    target_weight: float,
    target_fraction_unbound: FloatOrArray,
) -> np.ndarray:
    r"""Simple allometry of unbound clearance: :math:`CL_t = fu_t\, a_u W_t^{b_u}` from
    :math:`CL_s/fu_s`.

    Source: Tang, Hussain, Leal, Mayersohn & Fluhler (2007), Drug Metab Dispos 35:1886 (as
    one of the methods compared).
    """
    clearance, weights = _sources(clearance, weights)
    unbound = simple_allometry(
        clearance / np.asarray(fraction_unbound, float), weights, target_weight
    )
    return unbound * np.asarray(target_fraction_unbound, float)


def fcim(
    clearance: FloatOrArray,
    weights: FloatOrArray,
    rat_fraction_unbound: FloatOrArray,
    human_fraction_unbound: FloatOrArray,
) -> np.ndarray:
    r"""fu-corrected intercept method: human clearance [L/h] from the intercept of simple allometry.

    .. math::
        CL_h\,[\mathrm{mL/min}] = 33.35 (a / R_{fu})^{0.770}, \qquad
        R_{fu} = fu_{rat}/fu_{human}

    with a in mL/min at 1 kg. Source: Tang & Mayersohn (2005), Drug Metab Dispos 33:1297.

    Parameters
    ----------
    clearance : (..., n_species) [L/h];  weights : (n_species,) [kg]
    """
    a, _ = fit_power_law(clearance, weights)
    ratio = np.asarray(rat_fraction_unbound, float) / np.asarray(human_fraction_unbound, float)
    return 33.35 * (a / 0.06 / ratio) ** 0.770 * 0.06


def oie_tozer_tissue_binding(
    volume_per_kg: FloatOrArray, fraction_unbound: FloatOrArray, species: str
) -> np.ndarray:
    r"""Unbound fraction in tissue from Vss [L/kg], solved from the equation of
    :func:`oie_tozer_volume`.

    NaN where the volume is smaller than what plasma and extracellular water alone hold.
    """
    plasma, extra, rest = _oie_tozer(species)
    fu, v = np.asarray(fraction_unbound, float), np.asarray(volume_per_kg, float)
    left = v - plasma * (1 + ALBUMIN_RATIO) - fu * plasma * (extra / plasma - ALBUMIN_RATIO)
    return np.where(left > 0, rest * fu / np.where(left > 0, left, 1.0), np.nan)


def oie_tozer_volume(
    fraction_unbound: FloatOrArray, tissue_fraction_unbound: FloatOrArray, species: str
) -> np.ndarray:
    r"""Vss [L/kg] from binding in plasma and tissue.

    .. math:: V_{ss} = V_p (1 + R) + fu\,V_p \left(\frac{V_e}{V_p} - R\right) + V_r \frac{fu}{fu_t}

    Source: Oie & Tozer (1979), J Pharm Sci 68:1203. For a target species fu_t is the mean
    over the source animals (Obach et al. 1997, J Pharmacol Exp Ther 283:46).
    """
    plasma, extra, rest = _oie_tozer(species)
    fu = np.asarray(fraction_unbound, float)
    return (
        plasma * (1 + ALBUMIN_RATIO)
        + fu * plasma * (extra / plasma - ALBUMIN_RATIO)
        + rest * fu / np.asarray(tissue_fraction_unbound, float)
    )


def wajima_clearance(
    rat: FloatOrArray, dog: FloatOrArray, molar_mass: FloatOrArray, hydrogen_acceptors: FloatOrArray
) -> np.ndarray:
    r"""Human clearance [mL/min/kg] by regression on rat and dog.

    .. math::
        \log CL_h = 0.433 r + 1.0 d - 0.00627 M + 0.189 H_a - 0.00111 d M
        + 0.0000144 M^2 - 0.0004 M H_a - 0.707

    with r, d the log10 of rat and dog clearance [mL/min/kg], M [g/mol] and H_a
    hydrogen-bond acceptors. Source: Wajima et al. (2002), J Pharm Sci 91:2489.
    """
    r, d = np.log10(np.asarray(rat, float)), np.log10(np.asarray(dog, float))
    m, a = np.asarray(molar_mass, float), np.asarray(hydrogen_acceptors, float)
    log = (
        0.433 * r
        + d
        - 0.00627 * m
        + 0.189 * a
        - 0.00111 * d * m
        + 0.0000144 * m**2
        - 0.0004 * m * a
        - 0.707
    )
    return 10**log


def wajima_volume(rat: FloatOrArray, dog: FloatOrArray) -> np.ndarray:
    r"""Human Vss [L/kg]: :math:`\log V_h = 0.07714\,r\,d + 0.5147\,d + 0.586` with r, d the
    log10 of Vss in mL/kg.

    Source: Wajima et al. (2003), J Pharm Pharmacol 55:939.
    """
    r = np.log10(np.asarray(rat, float) * 1000)
    d = np.log10(np.asarray(dog, float) * 1000)
    return 10 ** (0.07714 * r * d + 0.5147 * d + 0.586) / 1000


def wajima_curve(
    times: np.ndarray,
    concentration: np.ndarray,
    dose: float,
    clearance: float,
    volume: float,
    target_times: np.ndarray,
    *,
    target_dose: float,
    target_clearance: float,
    target_volume: float,
) -> np.ndarray:
    r"""An animal's curve after an intravenous dose, transposed to the target by its Css and MRT.

    .. math::
        C_t(t) = \frac{C_{ss,t}}{C_{ss,s}} C_s\!\left(t \frac{MRT_s}{MRT_t}\right), \\
        C_{ss} = D/V_{ss},\; MRT = V_{ss}/CL

    Between samples the logarithm of the concentration is interpolated; outside the scaled
    times the result is NaN. Source: Wajima et al. (2004), J Pharm Sci 93:1890.

    Parameters
    ----------
    times : (n,) [h];  concentration : (n,) [mg/L] > 0;  dose, target_dose : [mg];
        clearances [L/h];  volumes [L]
    """
    c = np.asarray(concentration, dtype=float)
    if not np.all(c > 0):
        raise InputError(
            "concentration",
            float(np.nanmin(c)),
            "concentrations > 0 (leave out those below the limit)",
        )
    stretch = (target_volume / target_clearance) / (volume / clearance)
    height = (target_dose / target_volume) / (dose / volume)
    log = np.interp(
        np.asarray(target_times, float) / stretch,
        np.asarray(times, float),
        np.log(c),
        np.nan,
        np.nan,
    )
    return height * np.exp(log)


def _sources(values, weights) -> tuple[np.ndarray, np.ndarray]:
    values, weights = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    if weights.ndim != 1 or values.shape[-1:] != weights.shape:
        raise InputError(
            "weights", weights.shape, f"one weight per source species, {values.shape[-1:]}"
        )
    if not np.all(weights > 0):
        raise InputError("weights", float(weights.min()), "body weights > 0 kg")
    if np.any(values <= 0):
        raise InputError(
            "values", float(np.nanmin(values)), "values > 0, NaN where a species has none"
        )
    return values, weights


def _oie_tozer(species: str) -> tuple[float, float, float]:
    if species not in OIE_TOZER_VOLUMES:
        raise unknown_name(
            "species", species, OIE_TOZER_VOLUMES, what="a species with Oie-Tozer volumes"
        )
    return OIE_TOZER_VOLUMES[species]
