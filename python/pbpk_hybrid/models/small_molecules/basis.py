"""On which measurements a compound's clearance and distribution stand, and how that is
changed for one simulation.
"""

from __future__ import annotations

from ..._core.errors import InputError
from ...compounds import Compound


def on_basis(
    compound: Compound, clearance: str | None = None, distribution: str | None = None
) -> Compound:
    """The compound with another ``clearance_basis`` or ``distribution_basis``; None keeps its own.

    Parameters
    ----------
    compound : with the values of its species put in (``compound.for_species``)
    clearance : "in_vivo" or "in_vitro"
    distribution : "predicted" or "in_vivo"

    Raises
    ------
    UnknownNameError : another name
    InputError : the compound lacks the measurement; all its elimination is by saturable
        pathways, to which linear clearance would be added
    """
    changes = {}
    if clearance is not None:
        changes["clearance_basis"] = clearance
    if distribution is not None:
        changes["distribution_basis"] = distribution
    if not changes:
        return compound
    changed = compound.replace(**changes)
    if clearance is not None and compound.saturable and compound.clearance_basis is None:
        raise InputError(
            "clearance",
            clearance,
            "nothing: the saturable pathways are all the hepatic clearance of this compound",
            subject=compound.name,
            hint="set clearance_basis in the compound to have linear clearance beside them",
        )
    return changed


def clearance_in_words(compound: Compound) -> str:
    """Attribute ``clearance_basis`` of a result: "in_vivo", "in_vitro", "saturable" or "none"."""
    if compound.saturable and compound.clearance_basis is None:
        return "saturable"
    return compound.resolved_clearance_basis or "none"


__all__ = ["clearance_in_words", "on_basis"]
