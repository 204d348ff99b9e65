"""A compound from itself or its name."""

from __future__ import annotations

from .._core.arguments import check_kind
from .compound import Compound
from .database import get_compound


def as_compound(compound: Compound | str) -> Compound:
    """A Compound from a Compound or the name of one in the database.

    Parameters
    ----------
    compound : Compound or str

    Returns
    -------
    Compound

    Raises
    ------
    InputError
        Anything else.
    UnknownNameError
        No compound of this name; the nearest names are suggested.
    """
    check_kind("compound", compound, (Compound, str), "a Compound or the name of one")
    return get_compound(compound) if isinstance(compound, str) else compound


__all__ = ["as_compound"]
