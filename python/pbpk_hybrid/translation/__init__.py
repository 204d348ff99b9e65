"""From animals to the first dose in people: parameters, curves, doses and their margins."""

from __future__ import annotations

from .._core.lazy import lazy_names

_WHERE = {
    "prediction": ("first_in_human", "FirstInHuman"),
    "starting_dose": ("human_equivalent_dose", "receptor_bound_concentration"),
}
__all__, __getattr__ = lazy_names(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted(__all__)
