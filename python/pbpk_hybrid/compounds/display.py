"""How a compound shows itself: one line, and a table of its values with units and sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ._fields import NUMBERS, plain_unit
from .enzymes import record

if TYPE_CHECKING:
    from .compound import Compound

HEADER = ("field", "value", "unit", "source")

_UNITS = {
    **{name: "" if spec.unit == "1" else plain_unit(spec.unit) for name, spec in NUMBERS.items()},
    "permeability_surface_area": "L/h/kg",
    "capillary_permeability_surface_area": "L/h/kg",
}
#: about the compound rather than values of it
_NOT_VALUES = ("name", "sources", "notes", "species_values")


def one_line(compound: Compound) -> str:
    """Such as ``Compound('midazolam': base, 325.8 g/mol, log P 3.15, in_vivo clearance)``."""
    parts = [compound.ionisation_class]
    if compound.molar_mass is not None:
        parts.append(f"{compound.molar_mass:g} g/mol")
    if compound.log_p is not None:
        parts.append(f"log P {compound.log_p:g}")
    if compound.fraction_unbound_plasma is not None:
        parts.append(f"fraction unbound {compound.fraction_unbound_plasma:g}")
    basis = compound.resolved_clearance_basis
    parts.append("no clearance" if basis is None else f"clearance {basis}")
    if compound.species is not None:
        parts.append(compound.species)
    return f"Compound({compound.name!r}: {', '.join(parts)})"


def value_rows(compound: Compound) -> list[tuple[str, Any, str, str]]:
    """(field, value, unit, source) of every value that is given, of other species at the end."""
    values_given = {
        field.name: getattr(compound, field.name)
        for field in fields(compound)
        if field.name not in _NOT_VALUES
    }
    rows = list(_rows(values_given, compound.sources, ""))
    for species, values in compound.species_values.items():
        rows += _rows(values, compound.sources, f"{species}.")
    return rows


def _rows(
    values: Mapping[str, Any], sources: Mapping[str, str], prefix: str
) -> Iterator[tuple[str, Any, str, str]]:
    for name, value in values.items():
        unit, source = _UNITS.get(name, ""), sources.get(prefix + name, "")
        for label, item in _items(prefix + name, value):
            yield label, item, unit, source


def _items(label: str, value: Any) -> Iterator[tuple[str, Any]]:
    """One (label, value) for a number or text, one for each entry of a mapping or list."""
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{label}.{key}", item
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield (label if len(value) == 1 else f"{label}[{i}]"), _text(item)
    else:
        yield label, value


def _text(item: Any) -> Any:
    if not is_dataclass(item):
        return item
    return ", ".join(f"{key} {value}" for key, value in record(item).items())
