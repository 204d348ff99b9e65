"""Quantities that a table about people can name: spellings, units, how they are computed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..._core.errors import UnknownNameError, nearest_names
from ..adults import regressions as r
from ..adults.survey import ETHNICITIES
from ..dataset import body_surface_area

Columns = Mapping[str, np.ndarray]
"""Name -> (person,): male, age, body_weight, height, hematocrit, serum_creatinine, gfr, ..."""

CREATININE_MOLAR_MASS = 113.12  # g/mol, C4H7N3O


@dataclass(frozen=True)
class Quantity:
    """A number that every person has.

    Parameters
    ----------
    name : str
        As in the filters of ``sample_population``.
    unit : str
        Unit of the values.
    spellings : tuple of str
        Other names, in lower case.
    value : callable
        Columns -> (person,).
    molar_mass : float or None
        [g/mol], where amounts may be given in mol.
    """

    name: str
    unit: str
    spellings: tuple[str, ...]
    value: Callable[[Columns], np.ndarray]
    molar_mass: float | None = None


def _column(name: str) -> Callable[[Columns], np.ndarray]:
    return lambda columns: columns[name]


def _surface(columns: Columns) -> np.ndarray:
    return body_surface_area(columns["body_weight"], columns["height"])


def _bmi(columns: Columns) -> np.ndarray:
    return columns["body_weight"] / (columns["height"] / 100) ** 2


def _cockcroft_gault(columns: Columns) -> np.ndarray:
    """Creatinine clearance [mL/min]: (140 - age) W / (72 S), women 0.85 of it.

    Cockcroft and Gault (1976) Nephron 16:31, with W [kg] and S [mg/dL].
    """
    clearance = (140 - columns["age"]) * columns["body_weight"] / (72 * columns["serum_creatinine"])
    return clearance * np.where(columns["male"], 1.0, 0.85)


def _ckd_epi(columns: Columns) -> np.ndarray:
    return r.ckd_epi_2021(columns["male"], columns["age"], columns["serum_creatinine"])


def _fat_free_mass(columns: Columns) -> np.ndarray:
    return r.fat_free_mass(columns["male"], columns["body_weight"], _bmi(columns))


QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity("age", "year", ("age at baseline", "age at enrolment"), _column("age")),
        Quantity(
            "body_weight",
            "kg",
            ("weight", "body weight", "bw", "wt", "bodyweight", "body mass", "total body weight"),
            _column("body_weight"),
        ),
        Quantity("height", "cm", ("ht", "body height", "stature"), _column("height")),
        Quantity("bmi", "kg/m^2", ("body mass index", "quetelet index"), _bmi),
        Quantity("bsa", "m^2", ("body surface area", "body surface"), _surface),
        Quantity("hematocrit", "1", ("haematocrit", "hct", "ht fraction"), _column("hematocrit")),
        Quantity(
            "serum_creatinine",
            "mg/dL",
            ("creatinine", "serum creatinine", "scr", "s-creatinine", "plasma creatinine"),
            _column("serum_creatinine"),
            CREATININE_MOLAR_MASS,
        ),
        Quantity("gfr", "L/h", ("absolute gfr",), _column("gfr")),
        Quantity(
            "egfr",
            "mL/min/1.73 m^2",
            ("estimated gfr", "gfr indexed", "mgfr", "measured gfr"),
            lambda columns: columns["gfr"] / 0.06 * 1.73 / _surface(columns),
        ),
        Quantity(
            "egfr_ckd_epi",
            "mL/min/1.73 m^2",
            ("ckd-epi", "egfr ckd-epi", "ckd-epi egfr", "ckd epi egfr", "egfr creatinine"),
            _ckd_epi,
        ),
        Quantity(
            "creatinine_clearance",
            "mL/min",
            ("creatinine clearance", "crcl", "clcr", "clcrea", "cockcroft-gault", "ccr"),
            _cockcroft_gault,
        ),
        Quantity(
            "fat_free_mass",
            "kg",
            ("ffm", "fat-free mass", "fat free mass", "lean body weight", "lean body mass"),
            _fat_free_mass,
        ),
    )
}

#: quantities that need creatinine
OF_CREATININE = ("serum_creatinine", "egfr_ckd_epi", "creatinine_clearance")

#: name of a share of people -> spellings, and who counts
_HISPANIC = ("Mexican American", "Other Hispanic")
SHARES: dict[str, tuple[tuple[str, ...], Callable[[Columns], np.ndarray]]] = {
    "female": (
        ("women", "females", "sex female", "female sex", "sex women", "female gender", "girls"),
        lambda columns: ~columns["male"],
    ),
    "male": (
        ("men", "males", "sex male", "male sex", "sex men", "male gender", "boys"),
        lambda columns: columns["male"],
    ),
    "white": (
        ("caucasian", "non-hispanic white", "race white", "white race", "whites"),
        lambda columns: columns["ethnicity"] == "Non-Hispanic White",
    ),
    "black": (
        ("african american", "black or african american", "non-hispanic black", "race black"),
        lambda columns: columns["ethnicity"] == "Non-Hispanic Black",
    ),
    "hispanic": (
        ("hispanic or latino", "latino", "hispanic/latino", "ethnicity hispanic"),
        lambda columns: np.isin(columns["ethnicity"], _HISPANIC),
    ),
    "mexican american": ((), lambda columns: columns["ethnicity"] == "Mexican American"),
    "other hispanic": ((), lambda columns: columns["ethnicity"] == "Other Hispanic"),
    "other ethnicity": (
        ("other race", "race other"),
        lambda columns: columns["ethnicity"] == "Other",
    ),
}
#: words that restrict a row to one sex -> whether male
GROUPS = {
    "male": True,
    "males": True,
    "men": True,
    "female": False,
    "females": False,
    "women": False,
}


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", " ", text.strip().lower())


def _spellings() -> dict[str, str]:
    table = {}
    for name, quantity in QUANTITIES.items():
        for spelling in (name, *quantity.spellings):
            table[_plain(spelling)] = name
    for name, (spellings, _) in SHARES.items():
        for spelling in (name, *spellings):
            table[_plain(spelling)] = name
    return table


_NAMES = _spellings()


def known_name(text: str) -> str | None:
    """The quantity or share that `text` names, or None."""
    return _NAMES.get(_plain(text))


def unknown_row(field: str, text: str) -> UnknownNameError:
    """The error for a row that names nothing that people of the survey have."""
    hints = {
        "asian": "the survey has them among 'other ethnicity'",
        "ethnicity": f"give the share of one group, such as 'white': {', '.join(SHARES)}",
        "race": f"give the share of one group, such as 'white': {', '.join(SHARES)}",
        "sex": "give the share of 'female' or 'male'",
    }
    known = (*QUANTITIES, *SHARES)
    near = nearest_names(text, known)
    usual = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)
    return UnknownNameError(
        field, text, "a quantity or share of people", hint=hints.get(_plain(text), usual)
    )


__all__ = [
    "ETHNICITIES",
    "GROUPS",
    "OF_CREATININE",
    "QUANTITIES",
    "SHARES",
    "Columns",
    "Quantity",
    "known_name",
    "unknown_row",
]
