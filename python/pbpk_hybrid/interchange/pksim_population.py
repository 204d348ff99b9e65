"""Populations of PK-Sim: tables whose columns are paths of parameters."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.errors import FileFormatError, InputError, NoEffectWarning
from .._core.limits import read_table_text
from .simulation_file import DELIMITER

if TYPE_CHECKING:
    import pandas as pd

_ID = "IndividualId"
_UNIT = re.compile(r"\s*\[[^\]]*\]\s*$")


@dataclass(frozen=True, eq=False)
class Individuals:
    """Who is simulated.

    Parameters
    ----------
    labels : one each
    values : path -> (n,) in base units
    covariates : further columns
    """

    labels: np.ndarray
    values: dict[str, np.ndarray]
    covariates: dict[str, np.ndarray] = field(default_factory=dict)


def read_individuals(
    population: pd.DataFrame | str | os.PathLike,
    known: Collection[str],
    *,
    paths: bool = True,
) -> Individuals:
    """A population as PK-Sim exports it (CSV), or the same as a DataFrame.

    A column whose name is the path of a parameter gives its values in base units; a unit
    in brackets behind the path is left out, as PK-Sim leaves it out. Columns of
    percentiles, and paths that the simulation does not have, change nothing.

    Parameters
    ----------
    paths : names of parameters are PK-Sim's paths: a column without the sign between
        their parts is a covariate. False: so is every unknown column, and each is named
        in the warning

    Raises
    ------
    InputError, FileFormatError : no individuals, an individual twice, something that is
        not a number

    Warns
    -----
    NoEffectWarning : paths that the simulation does not have
    """
    table = population if hasattr(population, "columns") else _read_table(population)
    if not len(table):
        raise InputError("population", 0, "at least one individual")
    columns = {_UNIT.sub("", str(name)): table[name] for name in table.columns}
    labels = np.asarray(columns.pop(_ID)) if _ID in columns else np.arange(len(table))
    counts = Counter(labels.tolist())
    if len(counts) != len(labels):
        twice = next(v for v, n in counts.items() if n > 1)
        raise InputError(f"population.{_ID}", twice, "each individual once")
    values, covariates, unknown = {}, {}, []
    for name, column in columns.items():
        if name in known:
            values[name] = _numbers(name, column, labels)
        elif DELIMITER in name:
            if name.rpartition(DELIMITER)[2] != "Percentile":
                unknown.append(name)
        else:
            covariates[name] = np.asarray(column)
    if not paths:
        unknown += list(covariates)
    if unknown:
        shown = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        warnings.warn(
            f"population: {len(unknown)} columns are {'paths' if paths else 'names'} that the "
            f"{'simulation' if paths else 'model'} does not have ({shown}); they change nothing",
            NoEffectWarning,
            stacklevel=4,
        )
    return Individuals(labels, values, covariates)


def _numbers(name: str, column: Any, labels: np.ndarray) -> np.ndarray:
    try:
        values = np.asarray(column, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"population[{name!r}]", column.iloc[0], "numbers") from None
    if (bad := np.flatnonzero(~np.isfinite(values))).size:
        raise InputError(
            f"population[{name!r}]",
            float(values[bad[0]]),
            "a finite number",
            subject=labels[bad[0]],
        )
    return values


def _read_table(path: str | os.PathLike) -> pd.DataFrame:
    import pandas as pd

    text = read_table_text(path, field="population", expected="a table of individuals")
    for separator in (",", ";", "\t"):
        try:
            # PK-Sim writes lines of remarks first
            table = pd.read_csv(io.StringIO(text), sep=separator, comment="#")
        except (ValueError, UnicodeError):  # pandas' parser errors are ValueErrors
            continue
        if _ID in table.columns:
            return table
    raise FileFormatError(
        "population",
        str(path),
        f"a table separated by commas, semicolons or tabs with a column {_ID}",
    )
