"""Populations of httk-pop, as its function `httkpop_generate` writes them to CSV, read
for the plausibility check.

They are not closed (organ flows leave up to a tenth of the cardiac output to nobody,
body weight moves after the organs are drawn), so they cannot be simulated; the check
says by how much.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..._core.errors import FileFormatError
from ..._core.limits import table_file
from ..._core.numbers_in_text import NUMBER, meant
from ..adults.body import INDEX
from ..dataset import body_surface_area
from ..organs import BLOOD_POOLS, FULL_FLOW_ORGANS, ORGANS
from .body import Body

_PARTS = {
    "lung": ["Lung"],
    "heart": ["Heart"],
    "brain": ["Brain"],
    "muscle": ["Muscle"],
    "adipose": ["Adipose"],
    "skin": ["Skin"],
    "bone": ["Skeleton"],
    "kidney": ["Kidneys"],
    "gut": ["Small_intestine", "Large_intestine"],
    "spleen": ["Spleen"],
    "pancreas": ["Pancreas"],
    "stomach": ["Stomach"],
    "liver": ["Liver"],
}
_OTHERS = (
    "gender",
    "CO",
    "Other_mass",
    "Gonads_mass",
    "Gonads_flow",
    "Blood_mass",
    "weight_adj",
    "height",
    "hematocrit",
    "gfr_est",
    "serum_creat",
)
_COLUMNS = (
    *_OTHERS,
    *(f"{name}_{what}" for names in _PARTS.values() for name in names for what in ("mass", "flow")),
)


def read_httk_population(path: str | os.PathLike) -> Body:
    """What the plausibility rules look at, of a population in httk-pop's columns
    (masses kg, flows L/h, hematocrit %).

    Parameters
    ----------
    path
        CSV file, ``.gz`` allowed.

    Raises
    ------
    FileFormatError
        Not there, not such a table, or a value that is not a number; names the column
        and the line.
    """
    path = Path(path).expanduser()
    table = _rows(path)
    columns = {name: _numbers(path, table, name) for name in _COLUMNS if name != "gender"}
    output, weight, height = (columns[name] for name in ("CO", "weight_adj", "height"))
    unknown = np.full(len(table), np.nan)
    return Body(
        mass=_masses(columns),
        flow=_flows(columns),
        male=np.array([row["gender"] == "Male" for row in table]),
        weight=weight,
        height=height,
        hematocrit=columns["hematocrit"] / 100,
        gfr=columns["gfr_est"] * body_surface_area(weight, height) / 1.73 * 0.06,
        output=output,
        creatinine=columns["serum_creat"],
        bmi=unknown,
        surface=unknown,
    )


def _rows(path: Path) -> list[dict[str, str]]:
    """The file as column -> text, one dict per person.

    Raises
    ------
    FileFormatError
        It cannot be read, holds nobody, or lacks a column.
    """
    try:
        table = list(csv.DictReader(table_file(path, expected="a CSV file of httk-pop")))
    except csv.Error as error:
        raise FileFormatError(
            "path", str(path), "a CSV file of httk-pop", hint=str(error)
        ) from error
    if not table:
        raise FileFormatError("path", str(path), "at least one person")
    missing = [name for name in _COLUMNS if name not in table[0]]
    if missing:
        raise FileFormatError(
            "path", str(path), f"the columns of httk-pop; missing: {', '.join(missing[:5])}"
        )
    return table


def _numbers(path: Path, table: list[dict[str, str]], name: str) -> np.ndarray:
    """(person,) values of a column.

    Raises
    ------
    FileFormatError
        A value is not a number.
    """
    values = np.empty(len(table))
    for i, row in enumerate(table):
        text = row[name]
        if not isinstance(text, str) or not NUMBER.fullmatch(text.strip()):
            hint = meant(text) if isinstance(text, str) else ""
            raise FileFormatError(f"{path.name}, line {i + 2}, {name}", text, "a number", hint=hint)
        values[i] = float(text)
    return values


def _masses(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """(person, organ) masses [kg]; blood half arterial, half venous."""
    mass = np.zeros((columns["CO"].size, len(ORGANS)))
    for organ, names in _PARTS.items():
        mass[:, INDEX[organ]] = sum(columns[f"{name}_mass"] for name in names)
    mass[:, INDEX["rest"]] = columns["Other_mass"] + columns["Gonads_mass"]
    for organ in BLOOD_POOLS:
        mass[:, INDEX[organ]] = columns["Blood_mass"] / 2
    return mass


def _flows(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """(person, organ) blood flows [L/h]."""
    flow = np.zeros((columns["CO"].size, len(ORGANS)))
    for organ, names in _PARTS.items():
        flow[:, INDEX[organ]] = sum(columns[f"{name}_flow"] for name in names)
    # httk's lung carries the bronchial flow alone, which is part of the rest here
    flow[:, INDEX["rest"]] = columns["Gonads_flow"] + flow[:, INDEX["lung"]]
    for organ in FULL_FLOW_ORGANS:
        flow[:, INDEX[organ]] = columns["CO"]
    return flow
