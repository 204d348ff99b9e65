"""The achieved table beside the asked one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..._core.errors import InputError
from ..._core.html_table import html_table
from .quantities import Columns
from .request import Request, Statistic, read_request

ATTRIBUTE = "like"  #: of a population: the request as JSON
CLOSE = 0.01  #: relative difference at which a moment is met; of a share, absolute
#: half a step of the survey's values: quantiles of rounded values cannot be nearer
_HALF_STEP = {
    "age": 1 / 24,
    "body_weight": 0.05,
    "height": 0.05,
    "hematocrit": 0.0005,
    "serum_creatinine": 0.005,
}
_HEADER = ("statistic", "unit", "asked", "achieved", "")


@dataclass(frozen=True)
class Row:
    """One statistic as asked and as achieved."""

    statistic: Statistic
    achieved: float
    met: bool

    @property
    def verdict(self) -> str:
        """ "" where it is met, else how far off."""
        if self.met:
            return ""
        asked = self.statistic.value
        if self.statistic.kind == "share" or not asked:
            return f"off by {self.achieved - asked:+.3g}"
        return f"off by {100 * (self.achieved / asked - 1):+.1f} %"

    def cells(self) -> tuple[str, str, str, str, str]:
        """For a table of text."""
        unit = "" if self.statistic.unit == "1" else self.statistic.unit
        achieved = f"{self.achieved:.4g}"
        return self.statistic.label, unit, f"{self.statistic.value:.4g}", achieved, self.verdict


@dataclass(frozen=True)
class Comparison:
    """All statistics of a table as asked and as achieved; prints as a table.

    Parameters
    ----------
    rows : tuple of Row
        In the order of the table.
    n : int
        Number of people.
    """

    rows: tuple[Row, ...]
    n: int

    @property
    def missed(self) -> tuple[Row, ...]:
        """What is off by more than 1 %."""
        return tuple(row for row in self.rows if not row.met)

    @property
    def title(self) -> str:
        """What the table says in a sentence."""
        missed = len(self.missed)
        verdict = "all met" if not missed else f"{missed} not met"
        return f"{self.n} people, {len(self.rows)} statistics asked, {verdict} (to 1 %)"

    def __str__(self) -> str:
        cells = [_HEADER, *(row.cells() for row in self.rows)]
        width = [max(len(row[k]) for row in cells) for k in range(len(_HEADER))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, width, strict=True)) for row in cells]
        return "\n".join([self.title, *(line.rstrip() for line in lines)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self.title, _HEADER, [row.cells() for row in self.rows])


def compare(request: Request, columns: Columns) -> Comparison:
    """The statistics of people beside those asked."""
    rows = []
    for statistic in request.statistics:
        achieved = statistic.of(columns)
        rows.append(Row(statistic, achieved, _met(statistic, achieved, columns)))
    return Comparison(tuple(rows), int(columns["male"].size))


def _met(statistic: Statistic, achieved: float, columns: Columns) -> bool:
    asked, kind = statistic.value, statistic.kind
    if np.isnan(achieved):
        return False
    if kind == "min":
        return achieved >= asked * (1 - 1e-6)
    if kind == "max":
        return achieved <= asked * (1 + 1e-6)
    people = int(statistic.members(columns).sum())
    if kind == "share":
        return abs(achieved - asked) <= max(CLOSE, 0.51 / people)
    slack = CLOSE * abs(asked)
    if kind == "quantile":
        slack += _HALF_STEP.get(statistic.quantity, 0.0)
    return abs(achieved - asked) <= slack


def columns_of(people: xr.Dataset) -> dict[str, np.ndarray]:
    """Columns of a physiology Dataset of people.

    Raises
    ------
    InputError
        A variable that is needed is missing.
    """
    columns = {"male": people["sex"].values == "male"}
    for name in ("age", "body_weight", "height", "hematocrit", "gfr"):
        if name not in people:
            raise InputError("people", list(people.data_vars), f"a population with {name}")
        columns[name] = people[name].values
    n = columns["male"].size
    unknown = {"serum_creatinine": np.full(n, np.nan), "ethnicity": np.full(n, "")}
    for name, missing in unknown.items():
        columns[name] = people[name].values if name in people else missing
    return columns


def like_table(people: xr.Dataset, like: Any = None) -> Comparison:
    """The statistics that people have beside those of a table.

    Parameters
    ----------
    people : Dataset
        A population.
    like : mapping, DataFrame, path or text, optional
        The table; None: the one that the population was drawn like.

    Returns
    -------
    Comparison
        Prints as a table; ``missed`` holds the rows that are off by more than 1 %.

    Raises
    ------
    InputError
        A population that was not drawn like a table, where none is given.
    """
    if like is not None:
        return compare(read_request(like), columns_of(people))
    if ATTRIBUTE not in people.attrs:
        raise InputError(
            "people",
            people.attrs.get("method", "a Dataset"),
            "people drawn with like=, or a table to compare with",
        )
    return compare(Request.from_json(people.attrs[ATTRIBUTE]), columns_of(people))


__all__ = ["ATTRIBUTE", "Comparison", "Row", "columns_of", "compare", "like_table"]
