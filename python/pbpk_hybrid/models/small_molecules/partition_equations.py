"""Tissue partition equations on plain arrays: no tables, no compounds, no species.

Every argument may be a number or an array; arrays broadcast, so tissues can run along the
last axis and subjects along the first. Complex values pass through (for complex-step
derivatives). Kpu is tissue : unbound plasma, Kp is tissue : plasma; Kp = Kpu x fraction
unbound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..._core.errors import InputError
from .ionisation import (
    PH_INTRACELLULAR,
    PH_PLASMA,
    PH_RED_CELLS,
    anion_ratio,
    cation_ratio,
    distribution_coefficient,
    ionisation,
)

if TYPE_CHECKING:
    from ..._core.numeric import FloatOrArray

# Rodgers, Leahy & Rowland (2005) J Pharm Sci 94:1259, table 1: red cells and plasma
RED_CELLS = {
    "fraction_neutral_lipid": 0.0017,
    "fraction_neutral_phospholipid": 0.0029,
    "fraction_intracellular_water": 0.603,
    "acidic_phospholipid": 0.50,
}
PLASMA = {"fraction_neutral_lipid": 0.0023, "fraction_neutral_phospholipid": 0.0013}
STRONG_BASE_PKA = 7.0
NEUTRAL_ABOVE, NEUTRAL_BELOW = 11.0, 0.0
TISSUE_BINDING_RATIO = (
    0.5  # RA of Poulin & Theil (2000): protein binding in tissue over that in plasma
)
CHARGED_PERMEATION = 1e-3  # alpha of Schmitt (2008)


def log_p_vegetable_oil(log_p: FloatOrArray) -> FloatOrArray:
    """log10 vegetable oil:water partition coefficient, 1.115 log P - 1.35 (Leo, Hansch &
    Elkins 1971).
    """
    return 1.115 * log_p - 1.35


def is_strong_base(pka_base: Sequence[float]) -> bool:
    """Whether a basic site has pKa > 7, the border between Rodgers & Rowland's two equations."""
    return any(p > STRONG_BASE_PKA for p in pka_base)


def is_neutral(pka_acid: Sequence[float], pka_base: Sequence[float]) -> bool:
    """Whether Rodgers & Rowland's equation for neutrals applies.

    Alcohols and amides (acidic pKa above 11) and groups that only strong acid protonates
    (basic pKa below 0) do not make an acid or a base; the weakest ones in their set are
    dideoxyinosine (9.1) and flunitrazepam (1.8).
    """
    return all(p > NEUTRAL_ABOVE for p in pka_acid) and all(p < NEUTRAL_BELOW for p in pka_base)


def rodgers_rowland_kpu(
    log_p: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    blood_to_plasma_ratio: FloatOrArray | None = None,
    *,
    pka_acid: Sequence[float] = (),
    pka_base: Sequence[float] = (),
    hematocrit: FloatOrArray = 0.45,
    fraction_neutral_lipid: FloatOrArray,
    fraction_neutral_phospholipid: FloatOrArray,
    fraction_extracellular_water: FloatOrArray,
    fraction_intracellular_water: FloatOrArray,
    acidic_phospholipid: FloatOrArray,
    albumin_ratio: FloatOrArray,
    lipoprotein_ratio: FloatOrArray,
    adipose: bool | np.ndarray = False,
    red_cells: dict[str, float] = RED_CELLS,
    plasma: dict[str, float] = PLASMA,
) -> tuple[np.ndarray, FloatOrArray]:
    r"""Tissue : unbound plasma partition coefficient of Rodgers & Rowland.

    .. math::
        K_{pu} = f_{ew} + \frac{1+X}{1+Y} f_{iw} + \frac{P f_{nl} + (0.3P + 0.7) f_{np}}{1+Y} + B

    B is binding to acidic phospholipids where a basic pKa exceeds 7,

    .. math:: B = K_{a} [AP]_t X^+/(1+Y), \quad
       K_a = \left\{K_{pu,bc} - \frac{1+Z}{1+Y} f_{iw,bc}
             - \frac{P f_{nl,bc} + (0.3P+0.7) f_{np,bc}}{1+Y}\right\}
             \frac{1+Y}{[AP]_{bc} Z^+}, \quad
       K_{pu,bc} = \frac{Ht - 1 + BP}{Ht\, fu}

    and binding to extracellular albumin (acids, weak bases) or lipoprotein (neutrals) otherwise,

    .. math:: B = \left\{\frac{1}{fu} - 1
       - \frac{P f_{nl,p} + (0.3P+0.7) f_{np,p}}{1+Y}\right\} \frac{[PR]_t}{[PR]_p}

    X, Y, Z: ionised over neutral form in intracellular water, plasma and red cells; X+
    and Z+ count cations only, as only cations bind to acidic phospholipids (the same as X
    and Z for a base). In adipose P is the vegetable oil : water coefficient. There is no
    (1+X)/(1+Y) on the albumin and lipoprotein term: two public codes have it, which
    leaves neutrals without any binding.

    Parameters
    ----------
    log_p : log10 octanol:water
    fraction_unbound_plasma : fu, (0, 1]
    blood_to_plasma_ratio : BP, needed where :func:`is_strong_base`
    pka_acid, pka_base : pKa values
    hematocrit : Ht
    fraction_neutral_lipid, fraction_neutral_phospholipid : volume fractions of the tissue
    fraction_extracellular_water, fraction_intracellular_water : the same
    acidic_phospholipid : [AP] [mg/g]
    albumin_ratio, lipoprotein_ratio : tissue over plasma
    adipose : True where the tissue is adipose
    red_cells, plasma : the same for blood cells and plasma

    Returns
    -------
    kpu : array
    binding : B before a negative value was set to 0, for the caller to warn about

    Raises
    ------
    InputError : no blood:plasma ratio of a strong base

    References
    ----------
    Rodgers, Leahy & Rowland (2005) J Pharm Sci 94:1259; Rodgers & Rowland (2006) J Pharm
    Sci 95:1238.
    """
    fu = fraction_unbound_plasma
    y = anion_ratio(PH_PLASMA, pka_acid) + cation_ratio(PH_PLASMA, pka_base)
    x_cation = cation_ratio(PH_INTRACELLULAR, pka_base)
    x = anion_ratio(PH_INTRACELLULAR, pka_acid) + x_cation
    p = 10.0**log_p
    p_tissue = np.where(adipose, 10.0 ** log_p_vegetable_oil(log_p), p)

    kpu = (
        fraction_extracellular_water
        + (1 + x) / (1 + y) * fraction_intracellular_water
        + _lipid(p_tissue, fraction_neutral_lipid, fraction_neutral_phospholipid) / (1 + y)
    )
    binding: FloatOrArray
    if is_strong_base(pka_base):
        if blood_to_plasma_ratio is None:
            raise InputError("blood_to_plasma_ratio", None, "a number > 0: a basic pKa is above 7")
        association = acidic_phospholipid_association(
            log_p,
            fu,
            blood_to_plasma_ratio,
            pka_acid=pka_acid,
            pka_base=pka_base,
            hematocrit=hematocrit,
            red_cells=red_cells,
        )
        binding = association * acidic_phospholipid * x_cation / (1 + y)
    else:
        ratio = lipoprotein_ratio if is_neutral(pka_acid, pka_base) else albumin_ratio
        in_plasma = _lipid(
            p, plasma["fraction_neutral_lipid"], plasma["fraction_neutral_phospholipid"]
        ) / (1 + y)
        binding = (1 / fu - 1 - in_plasma) * ratio
    return kpu + np.where(np.real(np.asarray(binding)) < 0, 0.0, binding), binding


def acidic_phospholipid_association(
    log_p: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    blood_to_plasma_ratio: FloatOrArray,
    *,
    pka_acid: Sequence[float] = (),
    pka_base: Sequence[float] = (),
    hematocrit: FloatOrArray = 0.45,
    red_cells: dict[str, float] = RED_CELLS,
) -> FloatOrArray:
    """Association constant of a base with acidic phospholipids [g/mg], from its uptake
    into red cells.

    Equation for Ka of :func:`rodgers_rowland_kpu`. Negative when the measured
    blood:plasma ratio is too low for the lipids and water of red cells alone.
    """
    y = anion_ratio(PH_PLASMA, pka_acid) + cation_ratio(PH_PLASMA, pka_base)
    z_cation = cation_ratio(PH_RED_CELLS, pka_base)
    kpu_cells = red_cell_kpu(fraction_unbound_plasma, blood_to_plasma_ratio, hematocrit)
    rest = kpu_cells - red_cell_kpu_without_binding(
        log_p, pka_acid=pka_acid, pka_base=pka_base, red_cells=red_cells
    )
    return rest * (1 + y) / (red_cells["acidic_phospholipid"] * z_cation)


def red_cell_kpu(
    fraction_unbound_plasma: FloatOrArray,
    blood_to_plasma_ratio: FloatOrArray,
    hematocrit: FloatOrArray,
) -> FloatOrArray:
    r"""Red cell : unbound plasma coefficient from the blood:plasma ratio, (Ht - 1 + BP)/(Ht fu)."""
    return (hematocrit - 1 + blood_to_plasma_ratio) / (hematocrit * fraction_unbound_plasma)


def red_cell_kpu_without_binding(
    log_p: FloatOrArray,
    *,
    pka_acid: Sequence[float] = (),
    pka_base: Sequence[float] = (),
    red_cells: dict[str, float] = RED_CELLS,
) -> FloatOrArray:
    """Red cell : unbound plasma coefficient from water and neutral lipids alone (Rodgers
    & Rowland).

    Used to predict the blood:plasma ratio of neutrals, acids and weak bases.
    """
    y = anion_ratio(PH_PLASMA, pka_acid) + cation_ratio(PH_PLASMA, pka_base)
    z = anion_ratio(PH_RED_CELLS, pka_acid) + cation_ratio(PH_RED_CELLS, pka_base)
    lipid = _lipid(
        10.0**log_p, red_cells["fraction_neutral_lipid"], red_cells["fraction_neutral_phospholipid"]
    )
    return (1 + z) / (1 + y) * red_cells["fraction_intracellular_water"] + lipid / (1 + y)


def _lipid(p, neutral_lipid, phospholipid):
    """Phospholipid behaves as 30 % octanol and 70 % water (Poulin & Theil 2000)."""
    return p * neutral_lipid + (0.3 * p + 0.7) * phospholipid


def poulin_theil_kp(
    log_p: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    *,
    pka_acid: Sequence[float] = (),
    pka_base: Sequence[float] = (),
    fraction_water: FloatOrArray,
    fraction_neutral_lipid: FloatOrArray,
    fraction_phospholipid: FloatOrArray,
    plasma: dict[str, float],
    adipose: bool | np.ndarray = False,
    binding_ratio: float = TISSUE_BINDING_RATIO,
) -> FloatOrArray:
    r"""Tissue:plasma partition coefficient of Poulin & Theil.

    .. math::
        K_p = \frac{P (V_{nl,t} + 0.3 V_{ph,t}) + V_{w,t} + 0.7 V_{ph,t}}
                   {P (V_{nl,p} + 0.3 V_{ph,p}) + V_{w,p} + 0.7 V_{ph,p}} \frac{fu}{fu_t}, \quad
        fu_t = \frac{1}{1 + RA (1-fu)/fu}

    In adipose P is D*vo = Pvo/(1+Y), the vegetable oil:water coefficient at pH 7.4, and fu_t is 1.

    Parameters
    ----------
    plasma : fraction_water, fraction_neutral_lipid, fraction_phospholipid of plasma
    binding_ratio : RA, protein binding in tissue over that in plasma (0.5)

    References
    ----------
    Poulin & Theil (2000) J Pharm Sci 89:16; (2002) J Pharm Sci 91:129.
    """
    fu = fraction_unbound_plasma
    p = _partition_or_oil(log_p, pka_acid, pka_base, adipose)
    tissue = _lipid(p, fraction_neutral_lipid, fraction_phospholipid) + fraction_water
    in_plasma = (
        _lipid(p, plasma["fraction_neutral_lipid"], plasma["fraction_phospholipid"])
        + plasma["fraction_water"]
    )
    fu_tissue = np.where(adipose, 1.0, fraction_unbound_tissue(fu, binding_ratio))
    return tissue / in_plasma * fu / fu_tissue


def berezhkovskiy_kp(
    log_p: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    *,
    pka_acid: Sequence[float] = (),
    pka_base: Sequence[float] = (),
    fraction_water: FloatOrArray,
    fraction_neutral_lipid: FloatOrArray,
    fraction_phospholipid: FloatOrArray,
    plasma: dict[str, float],
    adipose: bool | np.ndarray = False,
    binding_ratio: float = TISSUE_BINDING_RATIO,
) -> FloatOrArray:
    r"""Tissue:plasma partition coefficient of Berezhkovskiy: protein binding acts on the
    water term only.

    .. math::
        K_p = \frac{P (V_{nl,t} + 0.3 V_{ph,t}) + 0.7 V_{ph,t} + V_{w,t}/fu_t}
                   {P (V_{nl,p} + 0.3 V_{ph,p}) + 0.7 V_{ph,p} + V_{w,p}/fu}

    Parameters as in :func:`poulin_theil_kp`; in adipose P is D*vo and fu_t is 1.

    References
    ----------
    Berezhkovskiy (2004) J Pharm Sci 93:1628.
    """
    fu = fraction_unbound_plasma
    p = _partition_or_oil(log_p, pka_acid, pka_base, adipose)
    fu_tissue = np.where(adipose, 1.0, fraction_unbound_tissue(fu, binding_ratio))
    tissue = _lipid(p, fraction_neutral_lipid, fraction_phospholipid) + fraction_water / fu_tissue
    in_plasma = (
        _lipid(p, plasma["fraction_neutral_lipid"], plasma["fraction_phospholipid"])
        + plasma["fraction_water"] / fu
    )
    return tissue / in_plasma


def fraction_unbound_tissue(
    fraction_unbound_plasma: FloatOrArray, binding_ratio: float = TISSUE_BINDING_RATIO
) -> FloatOrArray:
    """fu_t = 1/(1 + RA (1 - fu)/fu), Poulin & Theil (2000)."""
    fu = fraction_unbound_plasma
    return 1 / (1 + binding_ratio * (1 - fu) / fu)


def _partition_or_oil(log_p, pka_acid, pka_base, adipose):
    y = anion_ratio(PH_PLASMA, pka_acid) + cation_ratio(PH_PLASMA, pka_base)
    return np.where(adipose, 10.0 ** log_p_vegetable_oil(log_p) / (1 + y), 10.0**log_p)


def membrane_affinity(log_p: FloatOrArray) -> FloatOrArray:
    """Phosphatidylcholine:water partition coefficient, 10^(1.294 + 0.304 log P) (Yun &
    Edginton 2013).
    """
    return 10.0 ** (1.294 + 0.304 * log_p)


def schmitt_kpu(
    log_p: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    *,
    pka_acid: Sequence[float] = (),
    pka_base: Sequence[float] = (),
    fraction_cells: FloatOrArray,
    fraction_interstitium: FloatOrArray,
    fraction_water_cells: FloatOrArray,
    fraction_lipid_cells: FloatOrArray,
    fraction_protein_cells: FloatOrArray,
    neutral_lipid_fraction_of_lipid: FloatOrArray,
    neutral_phospholipid_fraction: FloatOrArray,
    acidic_phospholipid_fraction: FloatOrArray,
    ph_cells: FloatOrArray,
    affinity: FloatOrArray | None = None,
    plasma_protein_fraction: float = 0.06951,
    ph_plasma: float = PH_PLASMA,
    alpha: float = CHARGED_PERMEATION,
) -> FloatOrArray:
    r"""Tissue : unbound plasma partition coefficient of Schmitt, in the general form of httk.

    .. math::
        K_{pu} = F_{int} K_{int} + \kappa F_{cell} K_{cell}, \quad
        K_{int} = F_{W,pl} + 0.37 (1/fu - F_{W,pl})

        K_{cell} = F_W + K_{nL} F_{nL} + K_{nPL} F_{nPL} + K_{aPL} F_{aPL} + K_P F_P

        K_{nL} = P (1 + (\alpha-1) f_{ch}), \quad K_{nPL} = MA, \quad
        K_{aPL} = MA (f_n + f_{zw} + 20 f_+ + 0.05 f_-), \quad K_P = 0.163 + 0.0221 MA

        \kappa = \frac{(f_n + f_{zw} + \alpha f_{ch})_{plasma}}
        {(f_n + f_{zw} + \alpha f_{ch})_{cell}}

    F_int and F_cell are divided by their sum.

    Parameters
    ----------
    fraction_cells, fraction_interstitium : of the tissue
    fraction_water_cells, fraction_lipid_cells, fraction_protein_cells : of cell volume
    neutral_lipid_fraction_of_lipid, neutral_phospholipid_fraction : of cell lipid
    acidic_phospholipid_fraction : of cell lipid
    ph_cells : pH
    affinity : membrane affinity MA; None predicts it from log P
    plasma_protein_fraction : 0.06951 in humans
    alpha : permeation of the charged over that of the neutral form

    References
    ----------
    Schmitt (2008) Toxicol In Vitro 22:457; httk 2.7.4 ``predict_partitioning_schmitt``;
    Pearce et al. (2017) J Pharmacokinet Pharmacodyn 44:549.
    """
    fu = fraction_unbound_plasma
    ma = membrane_affinity(log_p) if affinity is None else affinity
    cell = ionisation(ph_cells, pka_acid, pka_base)
    in_plasma = ionisation(ph_plasma, pka_acid, pka_base)

    water_plasma = 1 - plasma_protein_fraction
    k_interstitium = water_plasma + 0.37 * (1 / fu - water_plasma)
    k_neutral_lipid = distribution_coefficient(10.0**log_p, cell.charged, alpha)
    k_acidic = ma * (cell.neutral + cell.zwitterion + 20 * cell.positive + 0.05 * cell.negative)
    k_protein = 0.163 + 0.0221 * ma
    k_cell = (
        fraction_water_cells
        + k_neutral_lipid * fraction_lipid_cells * neutral_lipid_fraction_of_lipid
        + ma * fraction_lipid_cells * neutral_phospholipid_fraction
        + k_acidic * fraction_lipid_cells * acidic_phospholipid_fraction
        + k_protein * fraction_protein_cells
    )
    kappa = (in_plasma.neutral + in_plasma.zwitterion + alpha * in_plasma.charged) / (
        cell.neutral + cell.zwitterion + alpha * cell.charged
    )
    total = fraction_cells + fraction_interstitium
    return fraction_interstitium / total * k_interstitium + kappa * fraction_cells / total * k_cell


def pearce_regression(
    kpu: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    intercept: FloatOrArray,
    slope: FloatOrArray,
) -> FloatOrArray:
    r"""Kpu calibrated to measured tissue concentrations, 10^(a + b log10(Kpu fu))/fu
    (Pearce et al. 2017).
    """
    fu = fraction_unbound_plasma
    return 10.0 ** (intercept + slope * np.log10(kpu * fu)) / fu


def pksim_standard_kp(
    log_p: FloatOrArray,
    fraction_unbound_plasma: FloatOrArray,
    *,
    fraction_water: FloatOrArray,
    fraction_lipid: FloatOrArray,
    fraction_protein: FloatOrArray,
    affinity: FloatOrArray | None = None,
) -> FloatOrArray:
    r"""Tissue:plasma partition coefficient of Willmann et al., the "PK-Sim standard".

    .. math:: K_p = fu (f_w + K f_{lip} + K_P f_{prot}), \quad
       K = 10^{\log P}, \quad K_P = 0.163 + 0.0221 K

    Parameters
    ----------
    affinity : K, membrane affinity; None takes the octanol:water coefficient

    References
    ----------
    Willmann, Lippert & Schmitt (2005) Expert Opin Drug Metab Toxicol 1:159.
    """
    k = 10.0**log_p if affinity is None else affinity
    k_protein = 0.163 + 0.0221 * k
    return fraction_unbound_plasma * (
        fraction_water + k * fraction_lipid + k_protein * fraction_protein
    )
