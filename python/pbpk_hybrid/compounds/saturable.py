"""Michaelis-Menten elimination of a compound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .._core.errors import InputError, unknown_name
from ._fields import Number, as_records, check_organ, parse_number

_NUMBERS = {
    "vmax": Number("vmax", "mg/h/kg", "maximum rate per body weight", positive=True),
    "km": Number("km", "mg/L", "unbound concentration at half the maximum rate", positive=True),
}


@dataclass(frozen=True, kw_only=True)
class SaturablePathway:
    """One Michaelis-Menten elimination pathway.

    .. math:: v = V_{max} C_u / (K_m + C_u)

    Parameters
    ----------
    name
        The enzyme or transporter, e.g. ``"CYP3A4"``.
    organ
        Where it acts, ``"liver"`` by default.
    vmax
        [mg/h per kg of body weight].
    km
        [mg/L], unbound concentration.
    """

    name: str
    organ: str = "liver"
    vmax: float = 0.0
    km: float = 1.0

    @classmethod
    def create(
        cls, *, molar_mass: float | None = None, where: str = "saturable", **values: Any
    ) -> SaturablePathway:
        """A checked pathway; `vmax` and `km` may be molar (``"3 nmol/min/kg"``, ``"2.5
        uM"``) if `molar_mass` is given.

        Raises
        ------
        UnknownNameError
            An unknown field or organ.
        UnitError, InputError
            A unit of another dimension; vmax or km not > 0.
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise unknown_name(f"{where}.{key}", key, known, what="a field of SaturablePathway")
        name = values.get("name")
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{where}.name", name, "the name of the pathway")
        organ = values.get("organ", "liver")
        check_organ(f"{where}.organ", organ)
        for key in ("vmax", "km"):
            if values.get(key) is None:
                raise InputError(f"{where}.{key}", None, f"a number > 0 [{_NUMBERS[key].unit}]")
        return cls(
            name=name,
            organ=organ,
            **{
                k: parse_number(_NUMBERS[k], values[k], f"{where}.{k}", molar_mass)
                for k in ("vmax", "km")
            },
        )


def parse_saturable(
    field: str, value: Any, molar_mass: float | None
) -> tuple[SaturablePathway, ...]:
    """Checked pathways; `vmax` and `km` may be molar if `molar_mass` [g/mol] is given.

    Raises
    ------
    UnknownNameError, UnitError, InputError
        Names the pathway and the field.
    """
    expected = "a list of pathways, each with name, organ, vmax and km"
    pathways = []
    for i, item in enumerate(as_records(field, value, SaturablePathway, expected)):
        where = f"{field}[{i}]"
        if isinstance(item, SaturablePathway):
            item = asdict(item)
        if not isinstance(item, Mapping):
            raise InputError(where, item, "a mapping with name, organ, vmax and km")
        pathways.append(SaturablePathway.create(molar_mass=molar_mass, where=where, **item))
    names = [(p.name, p.organ) for p in pathways]
    if len(set(names)) < len(names):
        raise InputError(field, names, "pathways with different names or organs")
    return tuple(pathways)
