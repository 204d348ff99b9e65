"""What enzymes do to a compound, and what it does to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .._core.errors import InputError, unknown_name
from ._fields import Number, as_records, parse_number

#: kind of effect -> the constants it needs
EFFECTS: Mapping[str, tuple[str, ...]] = {
    "competitive": ("ki",),
    "noncompetitive": ("ki",),
    "uncompetitive": ("ki",),
    "inactivation": ("ki", "kinact"),
    "induction": ("ec50", "emax"),
}
METABOLISING_ORGANS = ("liver", "gut")

_NUMBERS = {
    n.name: n
    for n in (
        Number("fraction", "1", "share of the organ's intrinsic clearance", minimum=0, maximum=1),
        Number("km", "mg/L", "unbound concentration at half the maximum rate", positive=True),
        Number("ki", "mg/L", "inhibition constant, unbound", positive=True),
        Number("kinact", "1/h", "largest rate of inactivation", positive=True),
        Number(
            "ec50", "mg/L", "unbound concentration of half the largest induction", positive=True
        ),
        Number(
            "emax",
            "1",
            "largest induction, as a fold of the baseline synthesis on top of it",
            positive=True,
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Metabolism:
    """The share of a compound's metabolism in one organ that one enzyme does.

    Parameters
    ----------
    enzyme
        e.g. ``"CYP3A4"``.
    fraction
        Of the organ's intrinsic clearance, [0, 1]; what the pathways leave is
        metabolism that nothing changes.
    organ
        ``"liver"`` or ``"gut"`` (the wall, on first pass).
    km
        [mg/L] unbound; None: the pathway does not saturate.
    metabolite
        Name of the compound that is formed; it is followed where it is simulated too.
    """

    enzyme: str
    fraction: float
    organ: str = "liver"
    km: float | None = None
    metabolite: str | None = None


@dataclass(frozen=True, kw_only=True)
class EnzymeEffect:
    """What a compound does to one enzyme or transporter, in every organ that has it.

    Parameters
    ----------
    enzyme
        e.g. ``"CYP3A4"``, ``"OATP1B1"``.
    kind
        ``"competitive"``, ``"noncompetitive"``, ``"uncompetitive"`` (all reversible),
        ``"inactivation"`` (mechanism-based) or ``"induction"``.
    ki
        [mg/L], unbound; of inactivation the concentration of half the largest rate, KI.
    kinact
        [1/h].
    ec50
        [mg/L], unbound.
    emax
        Largest rise of the synthesis, as a fold of its baseline (8 gives ninefold
        synthesis).
    """

    enzyme: str
    kind: str
    ki: float | None = None
    kinact: float | None = None
    ec50: float | None = None
    emax: float | None = None


def parse_records(where: str, kind: type, value: Any, molar_mass: float | None) -> tuple:
    """Checked :class:`Metabolism` or :class:`EnzymeEffect` records; constants may be
    molar if `molar_mass` is given.

    Raises
    ------
    UnknownNameError, UnitError, InputError
        Names the record and the field.
    """
    names = ", ".join(field.name for field in fields(kind))
    items = as_records(where, value, kind, f"a list of records, each with {names}")
    return tuple(
        _parse_record(f"{where}[{i}]", kind, item, molar_mass) for i, item in enumerate(items)
    )


def _parse_record(where: str, kind: type, item: Any, molar_mass: float | None):
    if isinstance(item, kind):
        item = record(item)
    if not isinstance(item, Mapping):
        raise InputError(where, item, "a mapping")
    known = [field.name for field in fields(kind)]
    values: dict[str, Any] = {}
    for key, value in item.items():
        if key not in known:
            raise unknown_name(f"{where}.{key}", key, known, what=f"a field of {kind.__name__}")
        if value is None:
            continue
        values[key] = (
            parse_number(_NUMBERS[key], value, f"{where}.{key}", molar_mass)
            if key in _NUMBERS
            else value
        )
    for key in ("enzyme", "kind", "metabolite"):
        if key in values and not (isinstance(values[key], str) and values[key].strip()):
            raise InputError(f"{where}.{key}", values[key], "a name")
    if "enzyme" not in values:
        raise InputError(f"{where}.enzyme", None, "the name of the enzyme")
    if kind is Metabolism:
        if "fraction" not in values:
            raise InputError(
                f"{where}.fraction", None, "the share of the organ's intrinsic clearance, 0 to 1"
            )
        organ = values.get("organ", "liver")
        if organ not in METABOLISING_ORGANS:
            raise unknown_name(f"{where}.organ", organ, METABOLISING_ORGANS)
        return Metabolism(**values)
    if values.get("kind") not in EFFECTS:
        raise unknown_name(f"{where}.kind", str(values.get("kind")), EFFECTS)
    needed = EFFECTS[values["kind"]]
    for key in needed:
        if key not in values:
            raise InputError(
                f"{where}.{key}", None, f"a number > 0 [{_NUMBERS[key].unit}] for {values['kind']}"
            )
    for key in set(values) - {"enzyme", "kind", *needed}:
        raise InputError(
            f"{where}.{key}", values[key], f"nothing: {values['kind']} has {' and '.join(needed)}"
        )
    return EnzymeEffect(**values)


def record(item: Metabolism | EnzymeEffect) -> dict[str, Any]:
    """The fields that are given, as plain values."""
    return {k: v for k, v in asdict(item).items() if v is not None}


def check_shares(where: str, pathways: tuple[Metabolism, ...], compound: str) -> None:
    """Shares of an organ add to at most 1, and no pathway stands twice.

    Raises
    ------
    InputError
    """
    for organ in METABOLISING_ORGANS:
        total = sum(m.fraction for m in pathways if m.organ == organ)
        if total > 1 + 1e-9:
            raise InputError(
                f"{where} ({organ})", total, "fractions that add to at most 1", subject=compound
            )
    names = [(m.enzyme, m.organ, m.metabolite) for m in pathways]
    if len(set(names)) < len(names):
        raise InputError(
            where, names, "pathways that differ in enzyme, organ or metabolite", subject=compound
        )


__all__ = ["EFFECTS", "METABOLISING_ORGANS", "EnzymeEffect", "Metabolism"]
