"""From what a user writes for the fields of a compound to checked values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .._core.errors import InputError, UnknownNameError, unknown_name
from ._fields import (
    NUMBERS,
    parse_choice,
    parse_kp,
    parse_number,
    parse_organs,
    parse_permeability,
    parse_pka,
)
from .enzymes import EnzymeEffect, Metabolism, parse_records
from .saturable import parse_saturable
from .transporters import Transporter, parse_transporters

EMPTY: Mapping[str, Any] = MappingProxyType({})

#: fields that hold a list of records
RECORDS: Mapping[str, type] = {
    "metabolism": Metabolism,
    "enzyme_effects": EnzymeEffect,
    "transporters": Transporter,
}
PERMEABILITIES = ("permeability_surface_area", "capillary_permeability_surface_area")
_CHOSEN = ("clearance_basis", "distribution_basis", "partition_method", "hepatic_model")

#: what other programs and papers call a field
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("mw", "molecular_weight", "mol_weight", "molweight"), ("molar_mass",)),
    **dict.fromkeys(("logp", "log_pow", "lipophilicity"), ("log_p",)),
    **dict.fromkeys(
        ("fu", "fup", "fu_p", "fu_plasma", "fraction_unbound"), ("fraction_unbound_plasma",)
    ),
    **dict.fromkeys(("bp", "b_p", "bpr", "rbp", "rb2p", "b2p"), ("blood_to_plasma_ratio",)),
    **dict.fromkeys(
        ("clint", "cl_int", "clearance_intrinsic"), ("clint_hepatocyte", "clint_microsome")
    ),
    **dict.fromkeys(("cl", "clearance", "cl_plasma"), ("clearance_plasma",)),
    **dict.fromkeys(("vss", "vd", "volume"), ("volume_steady_state",)),
    **dict.fromkeys(("pka",), ("pka_acid", "pka_base")),
    **dict.fromkeys(("ka",), ("absorption_rate",)),
    **dict.fromkeys(("fa", "fabs"), ("fraction_absorbed",)),
    **dict.fromkeys(("fg", "fgut"), ("fraction_gut",)),
    **dict.fromkeys(("fe", "fe_urine"), ("fraction_excreted_renal",)),
    **dict.fromkeys(("papp", "caco2"), ("caco2_permeability",)),
    **dict.fromkeys(("tlag", "lag", "lag_time"), ("absorption_lag_time",)),
}


def parse_fields(
    values: Mapping[str, Any], molar_mass: float | None, prefix: str
) -> dict[str, Any]:
    """The fields that may differ between species, parsed; `prefix` goes before the name
    in errors.
    """
    parsed: dict[str, Any] = {}
    for key, spec in NUMBERS.items():
        if key != "molar_mass" and values.get(key) is not None:
            parsed[key] = parse_number(spec, values[key], prefix + key, molar_mass)
    for key in ("pka_acid", "pka_base"):
        if key in values:
            parsed[key] = parse_pka(prefix + key, values[key])
    for key in _CHOSEN:
        if values.get(key) is not None:
            parsed[key] = parse_choice(key, values[key], prefix + key)
    if values.get("kp"):
        parsed["kp"] = parse_kp(prefix + "kp", values["kp"])
    if values.get("binding_organs"):
        parsed["binding_organs"] = parse_organs(prefix + "binding_organs", values["binding_organs"])
    for key in PERMEABILITIES:
        if values.get(key):
            parsed[key] = parse_permeability(prefix + key, values[key])
    if values.get("saturable"):
        parsed["saturable"] = parse_saturable(prefix + "saturable", values["saturable"], molar_mass)
    for key, kind in RECORDS.items():
        if not values.get(key):
            continue
        if kind is Transporter:
            parsed[key] = parse_transporters(prefix + key, values[key], molar_mass)
        else:
            parsed[key] = parse_records(prefix + key, kind, values[key], molar_mass)
    return parsed


def parse_species_values(value: Any, molar_mass: float | None) -> Mapping[str, Mapping[str, Any]]:
    """Values by species, in the units of :class:`Compound`.

    Parameters
    ----------
    value
        Mapping species -> field -> value, with units as in :meth:`Compound.create`; empty
        or None for none.
    molar_mass
        [g/mol], for values in moles.

    Raises
    ------
    InputError
        Not such a mapping, or a value that cannot be used.
    UnknownNameError
        A species or field that does not exist.
    """
    if not value:
        return EMPTY
    if not isinstance(value, Mapping):
        raise InputError("species_values", value, "a mapping: species -> field -> value")
    allowed = (
        *(k for k in NUMBERS if k != "molar_mass"),
        "pka_acid",
        "pka_base",
        *_CHOSEN,
        "kp",
        "binding_organs",
        *PERMEABILITIES,
        *RECORDS,
        "saturable",
    )
    out = {}
    for key, values in value.items():
        species = parse_choice("species", key, f"species_values.{key}")
        if not isinstance(values, Mapping):
            raise InputError(f"species_values.{key}", values, "a mapping: field -> value")
        for name in values:
            if name not in allowed:
                raise unknown_field(name, allowed, f"species_values.{species}")
        out[species] = MappingProxyType(
            parse_fields(values, molar_mass, f"species_values.{species}.")
        )
    return MappingProxyType(out)


def unknown_field(key: str, known: tuple[str, ...], where: str = "") -> UnknownNameError:
    """The error for a field that does not exist; suggests what other programs call by that name."""
    name = str(key).strip().lower().replace("-", "_")
    meant = [field for field in _OTHER_NAMES.get(name, ()) if field in known]
    if meant:
        hint = "did you mean " + " or ".join(map(repr, meant)) + "?"
        return UnknownNameError(where or "field", key, "a field of Compound", hint=hint)
    return unknown_name(where or "field", key, known, what="a field of Compound")
