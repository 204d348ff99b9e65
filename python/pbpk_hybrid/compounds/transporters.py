"""Transporters that carry a compound across the membranes of an organ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .._core.errors import InputError, unknown_name
from ._fields import TISSUES, Number, as_records, check_organ, parse_number

DIRECTIONS = ("uptake", "efflux", "secretion")
BARRIERS = ("cells", "capillary")
#: where secretion goes
LUMINAL = ("liver", "kidney", "gut")

_NUMBERS = {
    n.name: n
    for n in (
        Number(
            "clint",
            "L/h/kg",
            "intrinsic clearance by transport, unbound, per kg of tissue",
            minimum=0,
        ),
        Number("jmax", "mg/h/kg", "largest rate of transport per kg of tissue", minimum=0),
        Number("km", "mg/L", "unbound concentration at half the largest rate", positive=True),
    )
}


@dataclass(frozen=True, kw_only=True)
class Transporter:
    """Active transport of a compound in one organ, by the unbound concentration on the
    side it takes from.

    .. math:: J = CL_{int,T}\\,C_u, \\qquad J = \\frac{J_{max} C_u}{K_m + C_u}

    Parameters
    ----------
    name
        e.g. ``"OATP1B1"``, ``"P-gp"``; by it people's activities and other compounds'
        effects find it.
    organ
        A tissue.
    direction
        ``"uptake"`` (into the cells), ``"efflux"`` (out of them), both across a
        barrier, or ``"secretion"`` (out of the cells into bile, urine or the gut lumen,
        of liver, kidney, gut).
    barrier
        ``"cells"`` (their membrane) or ``"capillary"`` (its wall, e.g. the blood-brain
        barrier: efflux takes from the interstitium and gives to the blood).
    clint
        [L/h per kg of tissue], does not saturate; or.
    jmax, km
        [mg/h per kg of tissue], [mg/L] unbound.

    Notes
    -----
    Of hepatocytes: 1 uL/min/1e6 cells is 6.6 L/h/kg at 110e6 cells per g of liver.
    """

    name: str
    organ: str = "liver"
    direction: str = "uptake"
    barrier: str = "cells"
    clint: float | None = None
    jmax: float | None = None
    km: float | None = None

    @property
    def label(self) -> str:
        """Its name in parameters: ``transport[OATP1B1.liver.uptake]``."""
        wall = ".capillary" if self.barrier == "capillary" else ""
        return f"{self.name}.{self.organ}.{self.direction}{wall}"

    @property
    def none(self) -> bool:
        """Whether it carries nothing."""
        return not (self.clint or self.jmax)

    @property
    def slope(self) -> float:
        """Intrinsic clearance at low concentration [L/h per kg of tissue]."""
        return self.clint if self.clint is not None else self.jmax / self.km


def parse_transporters(where: str, value: Any, molar_mass: float | None) -> tuple[Transporter, ...]:
    """Checked transporters; constants may be molar if `molar_mass` is given.

    Raises
    ------
    UnknownNameError, UnitError, InputError
        Names the transporter and the field.
    """
    names = ", ".join(field.name for field in fields(Transporter))
    items = as_records(where, value, Transporter, f"a list of transporters, each with {names}")
    out = tuple(
        _parse_transporter(f"{where}[{i}]", item, molar_mass) for i, item in enumerate(items)
    )
    labels = [t.label for t in out]
    if len(set(labels)) < len(labels):
        raise InputError(
            where, labels, "transporters that differ in name, organ, direction or barrier"
        )
    return out


def _parse_transporter(where: str, item: Any, molar_mass: float | None) -> Transporter:
    if isinstance(item, Transporter):
        item = {field.name: getattr(item, field.name) for field in fields(Transporter)}
    if not isinstance(item, Mapping):
        raise InputError(where, item, "a mapping")
    known = [field.name for field in fields(Transporter)]
    values: dict[str, Any] = {}
    for key, value in item.items():
        if key not in known:
            raise unknown_name(f"{where}.{key}", key, known, what="a field of Transporter")
        if value is not None:
            values[key] = (
                parse_number(_NUMBERS[key], value, f"{where}.{key}", molar_mass)
                if key in _NUMBERS
                else value
            )
    if not isinstance(values.get("name"), str) or not values["name"].strip():
        raise InputError(f"{where}.name", values.get("name"), "the name of the transporter")
    check_organ(f"{where}.organ", values.get("organ", "liver"), TISSUES)
    for key, choices in (("direction", DIRECTIONS), ("barrier", BARRIERS)):
        if values.get(key, choices[0]) not in choices:
            raise unknown_name(f"{where}.{key}", str(values[key]), choices)
    out = Transporter(**values)
    if out.direction == "secretion" and (out.organ not in LUMINAL or out.barrier != "cells"):
        raise InputError(
            f"{where}.direction",
            "secretion",
            f"out of the cells of {', '.join(LUMINAL)}",
            hint="efflux goes from the cells back to the interstitium",
        )
    saturable = out.jmax is not None or out.km is not None
    if (out.clint is not None) == saturable or (saturable and (out.jmax is None or out.km is None)):
        raise InputError(
            where,
            {k: values.get(k) for k in _NUMBERS},
            "either clint, or jmax and km",
            subject=out.name,
        )
    return out


__all__ = ["BARRIERS", "DIRECTIONS", "Transporter", "parse_transporters"]
