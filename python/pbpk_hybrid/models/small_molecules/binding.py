"""Binding in plasma, blood and in vitro incubations: plain equations on numbers or arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..._core.numeric import FloatOrArray

LIPID_FRACTION_PLASMA = {
    "human": 0.0073,
    "rat": 0.00174,
}  # effective neutral lipid volume, httk physiology_data.csv
LARGEST_PARTITION = (
    1e6  # httk: a higher partition coefficient would not equilibrate within an assay
)


def corrected_fraction_unbound(
    fraction_unbound_plasma: FloatOrArray,
    distribution_ph74: FloatOrArray,
    lipid_fraction: FloatOrArray = 0.0073,
) -> FloatOrArray:
    r"""Fraction unbound in vivo, from one measured in vitro, for extra binding to plasma lipid.

    .. math:: fu = \frac{1}{D_{7.4} F_{lipid} + 1/fu_{in\,vitro}}, \quad D_{7.4} \le 10^6

    Parameters
    ----------
    distribution_ph74 : octanol:water distribution coefficient at pH 7.4, computed with P
        not above 1e6
    lipid_fraction : effective neutral lipid fraction of plasma: human 0.0073, rat 0.00174

    References
    ----------
    Pearce et al. (2017) J Pharmacokinet Pharmacodyn 44:549; httk 2.7.4 ``calc_fup_correction``.
    """
    d = _capped(distribution_ph74)
    return 1 / (d * lipid_fraction + 1 / fraction_unbound_plasma)


def blood_to_plasma(
    red_cell_kpu: FloatOrArray, fraction_unbound_plasma: FloatOrArray, hematocrit: FloatOrArray
) -> FloatOrArray:
    """Blood:plasma ratio, 1 - Ht + Ht Kpu fu, from the red cell : unbound plasma coefficient."""
    return 1 - hematocrit + hematocrit * red_cell_kpu * fraction_unbound_plasma


def blood_to_plasma_at_hematocrit(
    ratio: FloatOrArray, hematocrit_measured: FloatOrArray, hematocrit: FloatOrArray
) -> FloatOrArray:
    r"""A blood:plasma ratio measured at one hematocrit, at another; red cells keep their
    concentration.

    .. math:: BP = 1 - Ht + Ht \frac{BP_m - 1 + Ht_m}{Ht_m}
    """
    red_cells_over_plasma = (ratio - 1 + hematocrit_measured) / hematocrit_measured
    return 1 - hematocrit + hematocrit * red_cells_over_plasma


def fraction_unbound_hepatocytes(
    log_p_or_d: FloatOrArray, cell_volume_ratio: float = 0.005
) -> FloatOrArray:
    r"""Fraction unbound in an incubation of hepatocytes.

    .. math:: fu_{hep} = 1/(1 + 125 V_R 10^{0.072 x^2 + 0.067 x - 1.126})

    Parameters
    ----------
    log_p_or_d : x, log10 P for a compound that is mostly a cation at pH 7.4, else log10 D
        at pH 7.4; P not above 1e6
    cell_volume_ratio : V_R, cells over incubation volume; 0.005 for 1e6 cells/mL

    References
    ----------
    Kilford et al. (2008) Drug Metab Dispos 36:1194.
    """
    x = log_p_or_d
    return 1 / (1 + 125 * cell_volume_ratio * 10.0 ** (0.072 * x**2 + 0.067 * x - 1.126))


def fraction_unbound_microsomes(log_p_or_d: FloatOrArray, protein: float = 1.0) -> FloatOrArray:
    r"""Fraction unbound in an incubation of liver microsomes, 1/(1 + C 10^(0.56 x - 1.41)).

    Parameters
    ----------
    log_p_or_d : x, log10 P for bases (pKa > 7.4), else log10 D at pH 7.4
    protein : C, microsomal protein [mg/mL]

    References
    ----------
    Austin et al. (2002) Drug Metab Dispos 30:1497.
    """
    return 1 / (1 + protein * 10.0 ** (0.56 * log_p_or_d - 1.41))


def _capped(p):
    return np.where(np.real(p) > LARGEST_PARTITION, LARGEST_PARTITION, p)
