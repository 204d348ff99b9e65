r"""How a compound spreads over tissues by its log P and pKa: Kp as a function of the fraction
unbound.

By Rodgers & Rowland's equations, as the engine has them, Kp of a tissue is linear in fu wherever
its binding is positive,

.. math::
    K_p(f_u) = a f_u + \max(0, 1 - c f_u)\, r

so three numbers per tissue say it for every species and every fu. The blood:plasma ratio is
:math:`1 - H + H k f_u` for all but strong bases, whose ratio is taken as 1 (from it the equations
derive their binding in tissue).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...compounds import Compound
from ...models.small_molecules.partition import (
    REFERENCE_HEMATOCRIT,
    blood_to_plasma_ratio,
    partition_coefficients,
)
from ...models.small_molecules.partition_equations import is_strong_base
from ...physiology.organs import TISSUES

if TYPE_CHECKING:
    from rdkit.Chem import Mol

#: strongest pKa of a compound whose only acidic (basic) group this is: medians of the 253
#: compounds of both tables, ours and that of httk 2.7.4 (ChemAxon; MIT), that have the same name
ACID_PKA = {
    "carboxylic_acid": 3.67,
    "phosphoric_acid": 1.25,
    "sulfonic_acid": -2.0,
    "tetrazole": 3.67,  # none in the tables: as a carboxylic acid
    "acyl_sulfonamide": 3.67,  # likewise
    "phenol": 8.85,
    "sulfonamide": 9.4,
}
BASE_PKA = {
    "primary_amine": 9.79,
    "secondary_amine": 9.585,
    "tertiary_amine": 8.67,
    "quaternary_amine": 14.0,  # a permanent cation
    "amidine": 9.81,
    "guanidine": 11.5,
}
LOG_P_RANGE = (-3.0, 7.0)  # beyond it Crippen's sum of atoms says little
N_TISSUES = len(TISSUES)
#: columns of :func:`composition`: a and r of every tissue; c; 1 of a strong base; k of red cells
WIDTH = 2 * N_TISSUES + 3
_SMALL = 1e-6  # a fraction unbound at which binding in plasma is positive whatever the lipid
_LARGE = 1e6  # one at which none is left


def ionisation(mol: Mol, counts: dict[str, int]) -> tuple[float, tuple, tuple]:
    """log P (Wildman & Crippen 1999, J Chem Inf Comput Sci 39:868), acidic and basic pKa.

    Parameters
    ----------
    mol
        standardised, see :func:`.features.molecule`
    counts
        of the groups of :data:`.features.GROUPS`
    """
    from ..._core.optional import require

    crippen = require("rdkit.Chem.Crippen", "learn", "structures")
    log_p = float(np.clip(crippen.MolLogP(mol), *LOG_P_RANGE))
    acids = sorted(pka for group, pka in ACID_PKA.items() if counts[group])
    bases = sorted((pka for group, pka in BASE_PKA.items() if counts[group]), reverse=True)
    return log_p, tuple(acids[:2]), tuple(bases[:2])


@lru_cache(maxsize=4096)
def composition(log_p: float, pka_acid: Sequence[float], pka_base: Sequence[float]) -> np.ndarray:
    """(WIDTH,) see the module."""
    strong = is_strong_base(pka_base)
    drug = Compound.create(
        name="compound",
        molar_mass=300.0,  # no equation here uses it
        log_p=log_p,
        pka_acid=tuple(pka_acid),
        pka_base=tuple(pka_base),
        fraction_unbound_plasma=0.5,
        blood_to_plasma_ratio=1.0 if strong else None,
    )
    unbound = np.array([_SMALL, 2 * _SMALL, _LARGE])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Kp out of range: these fu are no compound's
        kp = partition_coefficients(drug, "human", fraction_unbound_plasma=unbound).values
        cells = 0.0
        if not strong:
            hematocrit = REFERENCE_HEMATOCRIT["human"]
            one = drug.replace(fraction_unbound_plasma=1.0)
            cells = (float(blood_to_plasma_ratio(one, "human")) - 1 + hematocrit) / hematocrit
    a = kp[2] / _LARGE
    slope = (kp[1] - kp[0]) / _SMALL
    r = np.maximum(kp[0] - slope * _SMALL, 0.0)
    o = int(np.argmax(r))
    c = max((a[o] - slope[o]) / r[o], 0.0) if r[o] > 0 else 0.0
    return np.r_[a, r, c, float(strong), cells]
