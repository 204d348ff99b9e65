"""Which tissues fill slowly by default: one rule for every compound.

A partition method explains some volume of distribution; what a measured volume has beyond that
(factor on Kp above 1, :mod:`.distribution`) is bound in cells, and drug reaches it through their
membranes. A drug that crosses membranes easily gets there with the blood. So every tissue but
the liver is divided into extracellular space and cells (:mod:`.permeability`) where

- the compound names no ``permeability_surface_area`` of its own,
- its Kp are those of the partition method times a factor above 1, on all organs: where
  ``binding_organs`` names the target, nothing is left to explain,
- its Caco-2 permeability, measured or else predicted from log P, molar mass and charge, is below
  10e-6 cm/s (above, compounds are well absorbed: Yee (1997) Pharm Res 14:763),

with PS of the membranes, per kg of tissue, proportional to that permeability. Every other
compound is flow-limited, as the liver always is: its capillaries are open, and transporters have
a model of their own (:mod:`.transport`). Organs whose cells would hold less than half of the drug
stay flow-limited too.

The factor of proportionality is 0.3 L/h/kg for 1e-6 cm/s (83 cm2 of membrane per gram). It was
chosen on the intravenous profiles of alfentanil, dapagliflozin and vancomycin alone
(``benchmarks/validation/slow_tissues.md``). That one surface per tissue and a permeability in
vitro predict how fast tissues fill was shown in rats ("Estimation of the minimum permeability
coefficient in rats for perfusion-limited tissue distribution", PMID 28215648; read in: its
abstract).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...compounds import Compound
from ...compounds.predicted_absorption import predict_caco2
from ..system.graph import LIVER
from .permeability import Barriers, barrier_parameters
from .reference import ReferenceBody

#: PS of cell membranes per kg of tissue for a Caco-2 permeability of 1e-6 cm/s [L/h/kg]
SURFACE = 0.3
#: Caco-2 permeability from which on a compound is flow-limited [1e-6 cm/s]
WELL_PERMEABLE = 10.0
_LEAST_IN_CELLS = 0.5


def membrane_permeability(compound: Compound) -> tuple[float, str] | None:
    """Caco-2 permeability [1e-6 cm/s] and how it is known; None where it cannot be said.

    Parameters
    ----------
    compound : Compound
    """
    if compound.caco2_permeability is not None:
        return compound.caco2_permeability, "measured"
    predicted = predict_caco2(
        compound.log_p, compound.molar_mass, compound.pka_acid, compound.pka_base
    )
    return None if predicted is None else (predicted, "predicted from structure")


def slow_tissues(
    compound: Compound, kp: Mapping[str, float], factor: float, reference: ReferenceBody
) -> dict[str, float]:
    """Organ -> PS of its cell membranes [L/h per kg of tissue], by the rule of this module.

    Parameters
    ----------
    compound : Compound
        With the values of its species put in.
    kp : mapping of str to float
        Tissue:plasma partition coefficients as the model uses them [1].
    factor : float
        What the partition method's Kp were multiplied by.
    reference : ReferenceBody
        The compound in its reference individual.
    """
    known = membrane_permeability(compound)
    explained = factor <= 1.0 or bool(compound.binding_organs)
    if explained or compound.permeability_surface_area or known is None:
        return {}
    if known[0] >= WELL_PERMEABLE:
        return {}
    ps = SURFACE * known[0]
    return {
        o: ps
        for o in kp
        if o != LIVER and _share_in_cells(o, compound, kp, reference) > _LEAST_IN_CELLS
    }


def _share_in_cells(
    organ: str, compound: Compound, kp: Mapping[str, float], reference: ReferenceBody
) -> float:
    """Of the drug in an organ at equilibrium, in the reference individual."""
    barrier = Barriers(organ, 1.0)
    body = reference.individual
    p = barrier_parameters({organ: barrier}, str(compound.species), body)
    p |= {
        f"volume.{organ}": body["volume"].sel(organ=organ).values.astype(float),
        f"kp.{organ}": np.array([kp[organ]]),
        "blood_to_plasma_ratio": np.array([reference.blood_to_plasma]),
        "fraction_unbound_plasma": np.array([compound.fraction_unbound_plasma]),
    }
    held = barrier.capacities(p)
    return float(held[barrier.inside][0] / (p[f"volume.{organ}"][0] * kp[organ]))


__all__ = ["SURFACE", "WELL_PERMEABLE", "membrane_permeability", "slow_tissues"]
