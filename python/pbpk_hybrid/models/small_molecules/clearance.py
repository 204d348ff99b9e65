"""Clearance: from the test tube to the liver, through the liver, out of the kidney, and back.

Plain numpy arithmetic on numbers or arrays; complex values pass through (for complex-step
derivatives). Symbols: Q hepatic blood flow, fu_b = fu/BP fraction unbound in blood, CLint
intrinsic clearance of unbound drug, R = fu_b CLint/Q. Clearances of this module are
**blood** clearances unless a name says plasma: CL_blood = CL_plasma/BP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..._core.errors import InputError, unknown_name

if TYPE_CHECKING:
    from ..._core.numeric import FloatOrArray

HEPATIC_MODELS = ("well_stirred", "parallel_tube", "dispersion")
DISPERSION_NUMBER = 0.17  # Roberts & Rowland (1986)
_UL_MIN_TO_L_H = 60.0 / 1e6

# hepatocytes [1e6/g] and microsomal protein [mg/g] per gram of liver
HEPATOCELLULARITY = {
    "human": (110.0, "Carlile et al. (1997), as in httk 2.7.4"),
    "rat": (117.0, "Smith et al. (2008)"),
    "mouse": (135.0, "Sohlenius-Sternbeck (2006)"),
    "rabbit": (114.0, "Sohlenius-Sternbeck (2006)"),
    "dog": (215.0, "Sohlenius-Sternbeck (2006)"),
    "monkey": (120.0, "Sohlenius-Sternbeck (2006)"),
    "minipig": (124.0, "esqlabsR species table"),
}
MICROSOMAL_PROTEIN = {
    "human": (40.0, "Barter et al. (2007)"),
    "rat": (45.0, "Houston (1994)"),
    "mouse": (45.0, "Houston (1994), rat value"),
    "dog": (43.0, "Heikkinen et al. (2015)"),
    "monkey": (45.0, "Houston (1994), rat value"),
}


# ---- in vitro to in vivo ----
def clint_liver_from_hepatocytes(
    clint: FloatOrArray,
    liver_mass: FloatOrArray,
    hepatocellularity: FloatOrArray,
    fraction_unbound: FloatOrArray = 1.0,
) -> FloatOrArray:
    r"""Intrinsic clearance of a whole liver from hepatocytes.

    .. math:: CL_{int,u} = \frac{CL_{int}}{fu_{inc}} N M \frac{60}{10^6}

    Parameters
    ----------
    clint : [uL/min/1e6 cell]
    liver_mass : M [g]
    hepatocellularity : N [1e6 cell/g]
    fraction_unbound : fu_inc, unbound in the incubation

    Returns
    -------
    [L/h], of unbound drug
    """
    return clint / fraction_unbound * hepatocellularity * liver_mass * _UL_MIN_TO_L_H


def clint_liver_from_microsomes(
    clint: FloatOrArray,
    liver_mass: FloatOrArray,
    microsomal_protein: FloatOrArray,
    fraction_unbound: FloatOrArray = 1.0,
) -> FloatOrArray:
    r"""Intrinsic clearance of a whole liver from microsomes.

    Parameters
    ----------
    clint : [uL/min/mg];  liver_mass : [g];  microsomal_protein : [mg/g];
        fraction_unbound : in the incubation

    Returns
    -------
    [L/h], of unbound drug
    """
    return clint / fraction_unbound * microsomal_protein * liver_mass * _UL_MIN_TO_L_H


# ---- liver models ----
def hepatic_clearance(
    clint: FloatOrArray,
    flow: FloatOrArray,
    fraction_unbound_blood: FloatOrArray,
    model: str = "well_stirred",
    *,
    dispersion_number: float = DISPERSION_NUMBER,
) -> FloatOrArray:
    r"""Hepatic blood clearance from intrinsic clearance.

    .. math::
        \text{well-stirred: } \frac{Q\,CL_u}{Q + CL_u} \qquad
        \text{parallel tube: } Q (1 - e^{-R}) \qquad CL_u = fu_b CL_{int},\; R = CL_u/Q

        \text{dispersion: } Q \left\{1 -
            \frac{4a}{(1+a)^2 e^{(a-1)/(2D_N)} - (1-a)^2 e^{-(a+1)/(2D_N)}}\right\},
        \; a = \sqrt{1 + 4 R D_N}

    Always well-stirred <= dispersion <= parallel tube <= min(Q, fu_b CLint).

    Parameters
    ----------
    clint : of the whole liver, unbound drug [L/h];  flow : Q [L/h];  fraction_unbound_blood : fu/BP
    model : "well_stirred", "parallel_tube" or "dispersion"
    dispersion_number : D_N; towards 0 it gives the tube, towards infinity the stirred tank

    Returns
    -------
    blood clearance [L/h]

    References
    ----------
    Rowland, Benet & Graham (1973); Pang & Rowland (1977) J Pharmacokinet Biopharm 5:625;
    Roberts & Rowland (1986) J Pharmacokinet Biopharm 14:227.
    """
    check_model(model)
    unbound = fraction_unbound_blood * clint
    if model == "well_stirred":
        return flow * unbound / (flow + unbound)
    ratio = unbound / flow
    if model == "parallel_tube":
        return -flow * np.expm1(-ratio)
    return flow * _extraction_dispersion(ratio, dispersion_number)


def _extraction_dispersion(ratio, dn):
    """Extraction ratio of the dispersion model; expm1 keeps small R exact."""
    a = np.sqrt(1 + 4 * ratio * dn)
    # a - 1 without cancellation, and everything divided by exp((a-1)/(2 D_N)) so that
    # nothing overflows
    a_minus_1 = 4 * ratio * dn / (a + 1)
    echo = np.exp(-a / dn)
    denominator = (1 + a) ** 2 - a_minus_1**2 * echo
    # two forms of the same number, by (1+a)^2 - 4a = (a-1)^2: the first keeps the digits
    # of a small extraction, the second never exceeds 1
    extraction = (a_minus_1**2 * (1 - echo) - 4 * a * np.expm1(-a_minus_1 / (2 * dn))) / denominator
    complement = 1 - 4 * a * np.exp(-a_minus_1 / (2 * dn)) / denominator
    return np.where(np.real(extraction) < 0.5, extraction, complement)[()]


def check_model(model: str) -> str:
    """`model` if it is a hepatic model."""
    if model not in HEPATIC_MODELS:
        raise unknown_name("hepatic_model", model, HEPATIC_MODELS, what="a hepatic model")
    return model


def clint_from_hepatic_clearance(
    clearance: FloatOrArray,
    flow: FloatOrArray,
    fraction_unbound_blood: FloatOrArray,
    model: str = "well_stirred",
    *,
    dispersion_number: float = DISPERSION_NUMBER,
    compound: str = "",
    subjects: Sequence[object] | np.ndarray | None = None,
) -> FloatOrArray:
    r"""Intrinsic clearance that gives an observed hepatic blood clearance:
    :func:`hepatic_clearance` inverted.

    .. math::
        \text{well-stirred: } \frac{CL}{fu_b (1 - E)} \qquad
        \text{parallel tube: } \frac{-Q \ln(1 - E)}{fu_b} \qquad E = CL/Q

    The dispersion model is inverted by Newton's method, to rounding.

    Parameters
    ----------
    clearance : hepatic blood clearance [L/h];  flow : Q [L/h];  fraction_unbound_blood : fu/BP
    compound, subjects : for the message

    Returns
    -------
    intrinsic clearance of unbound drug, whole liver [L/h]

    Raises
    ------
    InputError : where the clearance is not below the flow, since no intrinsic clearance
        then gives it
    """
    check_model(model)
    extraction = np.asarray(clearance / flow)
    _check_extraction(extraction, clearance, flow, compound, subjects)
    if model == "well_stirred":
        return clearance / (fraction_unbound_blood * (1 - extraction))
    tube = -np.log1p(-extraction)
    if model == "parallel_tube":
        return flow * tube / fraction_unbound_blood
    return flow * _ratio_dispersion(tube, dispersion_number) / fraction_unbound_blood


def _ratio_dispersion(tube, dn):
    """R with -log(1 - E(R)) = tube, by Newton: the left side is nearly linear in R.

    The start R = tube lies below the root, as dispersion only lowers the extraction.
    """
    ratio, extra = tube, 0
    for _ in range(60):
        value, slope = _log_survival(ratio, dn)
        step = (tube - value) / slope
        ratio = ratio + step
        # two more steps after the real part has settled: an imaginary part (complex step)
        # settles later
        extra += bool(np.all(np.abs(np.real(step)) <= 1e-14 * np.abs(np.real(ratio))))
        if extra == 3:
            break
    return ratio


def _log_survival(ratio, dn):
    """-log(1 - E) of the dispersion model and its derivative with respect to R."""
    a = np.sqrt(1 + 4 * ratio * dn)
    a_minus_1 = 4 * ratio * dn / (a + 1)
    echo = np.exp(-a / dn)
    denominator = (1 + a) ** 2 - a_minus_1**2 * echo
    value = a_minus_1 / (2 * dn) + np.log(denominator / (4 * a))
    slope_denominator = 2 * (1 + a) - 2 * a_minus_1 * echo + a_minus_1**2 * echo / dn
    slope_a = 1 / (2 * dn) + slope_denominator / denominator - 1 / a
    return value, slope_a * 2 * dn / a


def _check_extraction(extraction, clearance, flow, compound, subjects) -> None:
    real = np.real(extraction)
    bad = ~(real < 1) | ~(real >= 0)
    if not bad.any():
        return
    i = int(np.flatnonzero(bad)[0])
    cl = float(np.real(np.broadcast_to(clearance, bad.shape).ravel()[i]))
    q = float(np.real(np.broadcast_to(flow, bad.shape).ravel()[i]))
    who = None
    if bad.ndim:
        who = np.ravel(subjects)[i] if subjects is not None else i
        who = who.item() if hasattr(who, "item") else who
    name = f"hepatic blood clearance of {compound}" if compound else "hepatic blood clearance"
    if not real.ravel()[i] >= 0:
        raise InputError(name, cl, "a number >= 0 [L/h]", subject=who)
    raise InputError(
        name,
        cl,
        f"less than the hepatic blood flow, {q:.4g} L/h",
        subject=who,
        hint=f"the liver extracts at most what it is given ({int(bad.sum())} of {bad.size} "
        "affected): check clearance_plasma, "
        "blood_to_plasma_ratio (a higher ratio lowers the blood clearance) and "
        "fraction_excreted_renal, or use clearance_basis='in_vitro'",
    )


def fraction_escaping(clearance: FloatOrArray, flow: FloatOrArray) -> FloatOrArray:
    """F_H = 1 - CL/Q, the fraction of absorbed drug that passes the liver once."""
    return 1 - clearance / flow


# ---- kidney ----
def renal_clearance(
    gfr: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    gfr_fraction: FloatOrArray = 1.0,
    secretion: FloatOrArray = 0.0,
    fraction_reabsorbed: FloatOrArray = 0.0,
) -> FloatOrArray:
    r"""Renal **plasma** clearance, (fu GFR k + CL_sec)(1 - F_reabs).

    Parameters
    ----------
    gfr : glomerular filtration rate [L/h];  gfr_fraction : k, net handling as a multiple
        of filtration
    secretion : tubular secretion, plasma clearance [L/h];  fraction_reabsorbed : [0, 1]

    Returns
    -------
    [L/h]
    """
    return (fraction_unbound_plasma * gfr * gfr_fraction + secretion) * (1 - fraction_reabsorbed)


def split_clearance(
    clearance_plasma: FloatOrArray,
    fraction_excreted_renal: FloatOrArray | None,
    body_weight: FloatOrArray,
    blood_to_plasma_ratio: FloatOrArray,
) -> tuple[FloatOrArray, FloatOrArray]:
    r"""In vivo total plasma clearance as hepatic blood clearance and renal plasma clearance.

    Parameters
    ----------
    clearance_plasma : [mL/min/kg];  fraction_excreted_renal : fe (None counts as 0);
        body_weight : [kg]

    Returns
    -------
    hepatic blood clearance CL (1 - fe)/BP [L/h], renal plasma clearance CL fe [L/h]
    """
    fe = 0.0 if fraction_excreted_renal is None else fraction_excreted_renal
    total = clearance_plasma * body_weight * 60.0 / 1000.0
    return total * (1 - fe) / blood_to_plasma_ratio, total * fe


def gfr_fraction_from_clearance(
    clearance_renal: FloatOrArray, gfr: FloatOrArray, fraction_unbound_plasma: FloatOrArray
) -> FloatOrArray:
    """Renal plasma clearance over fu GFR: the ``gfr_fraction`` that gives a measured
    renal clearance.
    """
    return clearance_renal / (gfr * fraction_unbound_plasma)


# ---- saturable metabolism ----
def michaelis_menten(
    concentration_unbound: FloatOrArray,
    vmax: FloatOrArray,
    km: FloatOrArray,
    inhibitor_over_ki: FloatOrArray = 0.0,
) -> FloatOrArray:
    r"""Rate of a saturable pathway, Vmax Cu/(Km (1 + I/Ki) + Cu).

    Parameters
    ----------
    concentration_unbound : Cu [mg/L];  vmax : [mg/h];  km : [mg/L];  inhibitor_over_ki :
        I/Ki of competitive inhibitors

    Returns
    -------
    [mg/h]
    """
    return vmax * concentration_unbound / (km * (1 + inhibitor_over_ki) + concentration_unbound)


def intrinsic_clearance_saturable(
    vmax: FloatOrArray, km: FloatOrArray, concentration_unbound: FloatOrArray = 0.0
) -> FloatOrArray:
    """Vmax/(Km + Cu): the intrinsic clearance of a saturable pathway, at low
    concentration by default [L/h].
    """
    return vmax / (km + concentration_unbound)


def vmax_from_microsomes(
    vmax: FloatOrArray,
    molar_mass: FloatOrArray,
    liver_mass: FloatOrArray,
    microsomal_protein: FloatOrArray,
    body_weight: FloatOrArray,
) -> FloatOrArray:
    r"""Vmax of the whole liver per body weight from a microsomal one.

    Parameters
    ----------
    vmax : [pmol/min/mg];  molar_mass : [g/mol];  liver_mass : [g];  microsomal_protein :
        [mg/g];  body_weight : [kg]

    Returns
    -------
    [mg/h/kg], as ``SaturablePathway.vmax``
    """
    return vmax * molar_mass * 1e-9 * 60.0 * microsomal_protein * liver_mass / body_weight


# ---- permeability ----
def absorption_rate_from_caco2(
    permeability: FloatOrArray, intestinal_radius: float = 1.75
) -> FloatOrArray:
    r"""First-order absorption rate constant in humans from Caco-2 permeability.

    .. math::
        P_{eff} = 10^{0.4926 \log_{10} P_{app} - 0.1454}\ [10^{-4} cm/s], \quad
        k_a = 2 P_{eff}/R

    Parameters
    ----------
    permeability : apparent, apical to basal [1e-6 cm/s];  intestinal_radius : R [cm]

    Returns
    -------
    ka [1/h]

    References
    ----------
    Yang, Yu, Honda et al. in httk 2.7.4 (``calc_peff``, ``calc_kgutabs``); Yu & Amidon
    (1999) Int J Pharm 186:119.
    """
    effective = 10.0 ** (0.4926 * np.log10(permeability) - 0.1454)
    return 2 * effective * 1e-4 * 3600 / intestinal_radius
