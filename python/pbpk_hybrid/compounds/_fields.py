"""What each field of a compound is: unit, bounds, meaning; and how text becomes its value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from .._core.errors import InputError, unknown_name
from .._core.units import quantity

SPECIES = ("mouse", "rat", "rabbit", "minipig", "dog", "monkey", "human")
ORGANS = (
    "arterial_blood",
    "venous_blood",
    "lung",
    "heart",
    "brain",
    "muscle",
    "adipose",
    "skin",
    "bone",
    "kidney",
    "gut",
    "spleen",
    "pancreas",
    "stomach",
    "liver",
    "rest",
)
# tests check that both equal physiology's: modules of the same level do not import each other
TISSUES = ORGANS[2:]

CHOICES: dict[str, tuple[str, ...]] = {
    "species": SPECIES,
    "partition_method": (
        "rodgers_rowland",
        "poulin_theil",
        "berezhkovskiy",
        "schmitt",
        "pksim_standard",
        "measured",
    ),
    "hepatic_model": ("well_stirred", "parallel_tube", "dispersion"),
    "clearance_basis": ("in_vivo", "in_vitro"),
    "distribution_basis": ("predicted", "in_vivo"),
}


@dataclass(frozen=True)
class Number:
    """One numeric field: canonical unit as documented, bounds, meaning."""

    name: str
    unit: str
    meaning: str
    positive: bool = False
    minimum: float | None = None
    maximum: float | None = None
    whole: bool = False


def _n(name: str, unit: str, meaning: str, **bounds: Any) -> Number:
    return Number(name, unit, meaning, **bounds)


NUMBERS: dict[str, Number] = {
    n.name: n
    for n in (
        _n("molar_mass", "g/mol", "molar mass", positive=True, maximum=1e6),
        _n(
            "log_p",
            "1",
            "log10 octanol:water partition coefficient, neutral form",
            minimum=-15,
            maximum=20,
        ),
        _n(
            "log_membrane_affinity",
            "1",
            "log10 membrane:water partition coefficient",
            minimum=-15,
            maximum=20,
        ),
        _n("fraction_unbound_plasma", "1", "fraction unbound in plasma", positive=True, maximum=1),
        _n("blood_to_plasma_ratio", "1", "blood:plasma concentration ratio", positive=True),
        _n(
            "clint_hepatocyte",
            "uL/min/million_cells",
            "in vitro intrinsic clearance, hepatocytes",
            minimum=0,
        ),
        _n(
            "fraction_unbound_hepatocyte",
            "1",
            "fraction unbound, hepatocyte incubation",
            positive=True,
            maximum=1,
        ),
        _n("clint_microsome", "uL/min/mg", "in vitro intrinsic clearance, microsomes", minimum=0),
        _n(
            "fraction_unbound_microsome",
            "1",
            "fraction unbound, microsomal incubation",
            positive=True,
            maximum=1,
        ),
        _n("clearance_plasma", "mL/min/kg", "total plasma clearance in vivo", minimum=0),
        _n("clearance_hepatic", "mL/min/kg", "hepatic plasma clearance in vivo", minimum=0),
        _n(
            "fraction_excreted_renal",
            "1",
            "fraction of the in vivo clearance excreted unchanged in urine",
            minimum=0,
            maximum=1,
        ),
        _n(
            "volume_steady_state",
            "L/kg",
            "volume of distribution at steady state in vivo, plasma",
            positive=True,
        ),
        _n(
            "biliary_clearance",
            "mL/min/kg",
            "intrinsic biliary clearance of unbound drug, per body weight",
            minimum=0,
        ),
        _n(
            "gallbladder_emptying_rate",
            "1/h",
            "first-order emptying of the gallbladder",
            positive=True,
        ),
        _n("gfr_fraction", "1", "renal clearance / (fraction unbound x GFR)", minimum=0),
        _n("absorption_rate", "1/h", "first-order absorption rate constant", positive=True),
        _n("fraction_absorbed", "1", "fraction absorbed", minimum=0, maximum=1),
        _n(
            "fraction_gut",
            "1",
            "fraction that passes the gut wall unmetabolised",
            minimum=0,
            maximum=1,
        ),
        _n("absorption_lag_time", "h", "lag time of absorption", minimum=0),
        _n(
            "transit_compartments",
            "1",
            "number of transit compartments before absorption",
            minimum=0,
            maximum=200,
            whole=True,
        ),
        _n("transit_rate", "1/h", "rate constant between transit compartments", positive=True),
        _n("caco2_permeability", "1e-6 cm/s", "apparent Caco-2 permeability", minimum=0),
    )
}


def plain_unit(unit: str) -> str:
    """The unit as people write it."""
    return unit.replace("million_cells", "1e6 cells")


def parse_number(spec: Number, value: Any, field: str, molar_mass: float | None) -> float | int:
    """The value of one numeric field in its canonical unit, checked against its bounds."""
    number = quantity(
        value,
        spec.unit,
        field,
        molar_mass=molar_mass,
        positive=spec.positive,
        minimum=spec.minimum,
        maximum=spec.maximum,
        percent=not (spec.whole or spec.name.startswith("log_")),
    )
    if spec.whole:
        if number != int(number):
            raise InputError(field, value, "a whole number")
        return int(number)
    return number


def parse_choice(key: str, value: Any, field: str = "") -> str | None:
    """One of the allowed words, case and hyphens forgiven; None stays None."""
    if value is None:
        return None
    word = str(value).strip().lower().replace("-", "_").replace(" ", "_")
    if word not in CHOICES[key]:
        raise unknown_name(
            field or key, value, CHOICES[key], what=f"a known {key.replace('_', ' ')}"
        )
    return word


def parse_pka(field: str, value: Any) -> tuple[float, ...]:
    """One pKa or several as an ascending tuple; "3.4, 9.1" is read too."""
    if value is None:
        return ()
    if isinstance(value, str):
        if found := re.fullmatch(r"\s*([-+]?\d+),(\d+)\s*", value):
            raise InputError(
                field,
                value,
                "one pKa, or several with a space between them",
                hint=f"write '{found[1]}.{found[2]}' for one, '{found[1]}, {found[2]}' for two",
            )
        value = [part for part in re.split(r"[;,\s]+", value.strip()) if part]
    elif isinstance(value, Mapping) or not np.iterable(value):
        value = [value]
    return tuple(
        sorted(quantity(v, "1", field, minimum=-50, maximum=50, percent=False) for v in value)
    )


def check_organ(field: str, organ: Any, organs: tuple[str, ...] = ORGANS) -> str:
    """`organ` if it is one."""
    if organ not in organs:
        raise unknown_name(field, organ, organs, what="an organ")
    return organ


def parse_organs(field: str, value: Any) -> tuple[str, ...]:
    """One tissue or several, each once."""
    organs = parse_texts(field, value)
    for organ in organs:
        check_organ(field, organ, TISSUES)
    if len(set(organs)) < len(organs):
        raise InputError(field, list(organs), "each organ once")
    return organs


def parse_kp(field: str, value: Any) -> Mapping[str, float]:
    """Tissue:plasma partition coefficients by organ (blood is not a tissue: it has the
    blood:plasma ratio).
    """
    if not isinstance(value, Mapping):
        raise InputError(field, value, "a mapping: organ -> tissue:plasma partition coefficient")
    out = {}
    for organ, kp in value.items():
        check_organ(f"{field}.{organ}", organ, TISSUES)
        out[organ] = quantity(kp, "1", f"{field}.{organ}", positive=True)
    return MappingProxyType(out)


def parse_permeability(field: str, value: Any) -> Mapping[str, float]:
    """Permeability-surface products by organ [L/h per kg of tissue]."""
    if not isinstance(value, Mapping):
        raise InputError(field, value, "a mapping: organ -> permeability-surface product [L/h/kg]")
    out = {}
    for organ, ps in value.items():
        check_organ(f"{field}.{organ}", organ, TISSUES)
        out[organ] = quantity(ps, "L/h/kg", f"{field}.{organ}", positive=True)
    return MappingProxyType(out)


def as_records(field: str, value: Any, kind: type, expected: str) -> Iterable[Any]:
    """One record or several as an iterable; the records themselves are not looked at.

    Raises
    ------
    InputError
        Text, or a value that cannot be iterated over.
    """
    if isinstance(value, (kind, Mapping)):
        return (value,)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise InputError(field, value, expected)
    return value


def parse_texts(field: str, value: Any) -> tuple[str, ...]:
    """One text or several; None: none.

    Raises
    ------
    InputError
        Not text.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not hasattr(value, "__iter__") or not all(isinstance(t, str) for t in value):
        raise InputError(field, value, "text or a list of texts")
    return tuple(value)


def parse_text_map(field: str, value: Any) -> Mapping[str, str]:
    """A mapping of text to text."""
    if value is None:
        return MappingProxyType({})
    if not isinstance(value, Mapping):
        raise InputError(field, value, "a mapping of names to text")
    for key, text in value.items():
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{field}.{key}", text, "text")
    return MappingProxyType({str(k): v for k, v in value.items()})
