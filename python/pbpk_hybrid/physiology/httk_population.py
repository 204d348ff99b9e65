"""Populations of httk-pop, as its function `httkpop_generate` writes them to CSV, read for the plausibility check.

They are not closed (organ flows leave up to a tenth of the cardiac output to nobody, body weight moves after the organs are
drawn),
so they cannot be simulated; the check says by how much.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from pathlib import Path

import numpy as np

from .._core.errors import FileFormatError
from .._core.numbers_in_text import NUMBER, meant
from .dataset import body_surface_area
from .human import INDEX
from .plausibility import Body

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
    """What the plausibility rules look at, of a population in httk-pop's columns (masses kg, flows L/h, hematocrit %).

    Parameters
    ----------
    path : CSV file, ``.gz`` allowed

    Raises
    ------
    FileFormatError : not there, not such a table, or a value that is not a number; names the column and the line
    """
    path = Path(path).expanduser()
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", newline="", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
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

    def column(name: str) -> np.ndarray:
        values = np.empty(len(table))
        for i, row in enumerate(table):
            text = row[name]
            if not isinstance(text, str) or not NUMBER.fullmatch(text.strip()):
                hint = meant(text) if isinstance(text, str) else ""
                raise FileFormatError(
                    f"{path.name}, line {i + 2}, {name}", text, "a number", hint=hint
                )
            values[i] = float(text)
        return values

    n, output = len(table), column("CO")
    mass, flow = np.zeros((n, 16)), np.zeros((n, 16))
    for organ, names in _PARTS.items():
        mass[:, INDEX[organ]] = sum(column(f"{name}_mass") for name in names)
        flow[:, INDEX[organ]] = sum(column(f"{name}_flow") for name in names)
    mass[:, INDEX["rest"]] = column("Other_mass") + column("Gonads_mass")
    mass[:, :2] = column("Blood_mass")[:, None] / 2
    flow[:, INDEX["rest"]] = (
        column("Gonads_flow") + flow[:, INDEX["lung"]]
    )  # its lung carries the bronchial flow
    flow[:, [INDEX[o] for o in ("arterial_blood", "venous_blood", "lung")]] = output[:, None]
    weight, height = column("weight_adj"), column("height")
    unknown = np.full(n, np.nan)
    return Body(
        mass=mass,
        flow=flow,
        male=np.array([row["gender"] == "Male" for row in table]),
        weight=weight,
        height=height,
        hematocrit=column("hematocrit") / 100,
        gfr=column("gfr_est") * body_surface_area(weight, height) / 1.73 * 0.06,
        output=output,
        creatinine=column("serum_creat"),
        bmi=unknown,
        surface=unknown,
    )
