"""Distribution from a measured volume: one factor on every Kp, so that the reference
individual has the literature's Vss.

.. math::
    V_{ss} = V_{blood}\\,BP + f \\sum_t V_t Kp_t
    \\quad\\Rightarrow\\quad
    f = \\frac{V_{ss} - V_{blood}\\,BP}{\\sum_t V_t Kp_t}

The volume is that of equilibrium with plasma. Organs that eliminate hold less than that,
and a non-compartmental CL x MRT sees it: exactly, for a bolus into venous blood with
linear elimination in liver and kidney,

.. math::
    CL \\cdot MRT = V_{ve} BP + (1 - E)(V_{ar} BP + V_{lu} Kp_{lu}) + \\sum_{other} V Kp
    + (1 - E_h) \\sum_{portal} V Kp + (1 - E_h)^2 V_{li} Kp_{li} + (1 - E_k) V_{ki} Kp_{ki}

with the extraction E of the whole body (CL_b/Q), the liver and the kidney. The factor
leaves extraction out, so that it depends on distribution alone: Kp stays the same
whatever clearance, hepatic model or enzyme kinetics go with it.

Where the target that binds a drug is known (``binding_organs``: digoxin and Na,K-ATPase of
muscle and heart), the factor is on the Kp b of those organs alone:

.. math::
    f = \\frac{V_{ss} - V_{blood}\\,BP - \\sum_{t \\ne b} V_t Kp_t}{\\sum_b V_b Kp_b}
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from ..._core.arguments import check_mapping
from ..._core.errors import InputError, OutOfRangeWarning
from ..._core.units import quantity
from ...compounds import Compound
from ...physiology.organs import TISSUES
from ..system.graph import ARTERIAL, VENOUS, OrganGraph
from .partition import kp_of_tissues
from .reference import ReferenceBody

BLOOD = (ARTERIAL, VENOUS)
#: outside it the partition method does not describe how the drug distributes
USUAL_FACTOR = (0.1, 10.0)


def tissue_partition(
    compound: Compound,
    graph: OrganGraph,
    method: str | None = None,
    kp: Mapping[str, float] | None = None,
    reference: ReferenceBody | None = None,
) -> tuple[dict[str, float], dict[str, str | float]]:
    """Kp of every tissue as the model uses it, and what was done to get it.

    Parameters
    ----------
    compound : with the values of its species put in (``compound.for_species``)
    method : partition method; None takes the compound's own
    kp : values that override everything else, the factor included
    reference : the compound in its reference individual, where it is known already

    Returns
    -------
    Kp by tissue [1]; attributes ``distribution_basis`` ("predicted", "in_vivo", or
    "given" where `kp` has every tissue) and ``kp_factor`` [1]

    Raises
    ------
    InputError, UnknownNameError : a Kp that is not > 0 or not of a tissue; what the
        partition method or the factor need is missing
    """
    tissues = [o for o in graph.organs if o not in graph.blood_pools]
    override = {
        o: quantity(v, "1", f"kp.{o}", percent=False)
        for o, v in check_mapping("kp", kp, "a mapping: organ -> partition coefficient").items()
    }
    for organ, value in override.items():
        graph.number(organ)  # a typed error for an organ that is not there
        if organ in graph.blood_pools:
            raise InputError(f"kp.{organ}", value, f"a tissue: {tissues}", subject=compound.name)
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"kp.{organ}", value, "a number > 0", subject=compound.name)
    if set(override) == set(tissues):
        return override, {"distribution_basis": "given", "kp_factor": 1.0}
    own = dict(compound.kp)
    if set(own) != set(tissues):  # else nothing is left to predict
        predicted, _ = kp_of_tissues(compound, compound.species, method)
        of_tissue = dict(zip(TISSUES, predicted, strict=True))
        own = {o: float(of_tissue[o]) for o in tissues} | own
    in_vivo = compound.distribution_basis == "in_vivo"
    factor = kp_factor(compound, own, reference) if in_vivo else 1.0
    attributes = {"distribution_basis": compound.distribution_basis, "kp_factor": factor}
    scaled = compound.binding_organs or tissues
    return {o: factor * own[o] if o in scaled else own[o] for o in tissues} | override, attributes


def equilibrium_volume(
    compound: Compound, kp: Mapping[str, float], reference: ReferenceBody | None = None
) -> tuple[float, float]:
    """Volume of distribution of the species' reference individual, in two parts [L/kg of
    plasma volume].

    Parameters
    ----------
    compound : with the values of its species put in (``compound.for_species``)
    kp : tissue:plasma partition coefficient of every tissue [1]
    reference : the compound in its reference individual, where it is known already

    Returns
    -------
    of the blood, V BP; of the tissues, sum V Kp

    Source
    ------
    Oie & Tozer (1979) J Pharm Sci 68:1203; as a sum over tissues Sawada et al. (1984) J
    Pharmacokinet Biopharm 12:587.
    """
    reference = reference or ReferenceBody(compound)
    person = reference.individual
    weight = float(person.variables["body_weight"].values[0])
    volume = {
        str(o): float(v)
        for o, v in zip(
            person.variables["organ"].values, person.variables["volume"].values[0], strict=True
        )
    }
    blood = sum(volume[o] for o in BLOOD) * reference.blood_to_plasma
    tissues = sum(volume[o] * kp[o] for o in volume if o not in BLOOD)
    return blood / weight, tissues / weight


def kp_factor(
    compound: Compound, kp: Mapping[str, float], reference: ReferenceBody | None = None
) -> float:
    """The factor on all Kp, or on those of ``binding_organs``, with which the reference
    individual has the compound's ``volume_steady_state``.

    Parameters
    ----------
    compound : with the values of its species put in, and ``distribution_basis="in_vivo"``
    kp : tissue:plasma partition coefficient of every tissue before scaling [1]
    reference : the compound in its reference individual, where it is known already

    Returns
    -------
    factor > 0 [1]

    Raises
    ------
    InputError : no volume is given for this species, or it is not above what the blood (and
        the organs without the factor) alone hold

    Warns
    -----
    OutOfRangeWarning : a factor on all Kp outside 0.1 to 10
    """
    measured = compound.volume_steady_state
    if measured is None:
        raise InputError(
            "volume_steady_state",
            None,
            f"a number > 0 [L/kg] for the {compound.species}",
            subject=compound.name,
            hint="with distribution_basis='in_vivo'; use 'predicted' where no volume was measured",
        )
    blood, tissues = equilibrium_volume(compound, kp, reference)
    fixed, scaled = blood, tissues
    if compound.binding_organs:
        binding = {o: kp[o] if o in compound.binding_organs else 0.0 for o in kp}
        scaled = equilibrium_volume(compound, binding, reference)[1]
        fixed = blood + tissues - scaled
    factor = (measured - fixed) / scaled
    if not factor > 0:
        holder = "the blood alone holds"
        if compound.binding_organs:
            holder = f"the body without {', '.join(compound.binding_organs)} holds"
        raise InputError(
            "volume_steady_state",
            measured,
            f"more than {fixed:.3g} L/kg, which {holder}",
            subject=compound.name,
            hint="check blood_to_plasma_ratio, and that the volume is per kg and of plasma",
        )
    low, high = USUAL_FACTOR
    if not low <= factor <= high and not compound.binding_organs:
        warnings.warn(
            f"Kp of {compound.name}: the factor {factor:.3g} to the volume_steady_state of "
            f"{measured:g} L/kg in the "
            f"{compound.species} (predicted: {blood + tissues:.3g} L/kg) is outside {low:g} to "
            f"{high:g}; the partition "
            "method then says little about where the drug is",
            OutOfRangeWarning,
            stacklevel=2,
        )
    return factor


__all__ = ["equilibrium_volume", "kp_factor", "tissue_partition"]
