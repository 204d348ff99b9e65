"""Ratios of exposure as a table: one row a comparison, with its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.arguments import check_real
from .._core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: columns of a table of ratios, in their order
RATIO_COLUMNS = (
    "group",
    "label",
    "quantity",
    "ratio",
    "low",
    "high",
    "person_low",
    "person_high",
    "static",
)


def ratio_table(found: xr.Dataset, level: float = 0.90) -> pd.DataFrame:
    """One row for each comparison of an interaction matrix or of scenarios, and quantity.

    Parameters
    ----------
    found
        Result of :func:`pbpk_hybrid.interactions` or :func:`pbpk_hybrid.exposure_ratios`.
    level
        Of both intervals, between 0 and 1.

    Returns
    -------
    DataFrame
        ``group`` and ``label`` (what is compared), ``quantity`` (AUC or Cmax), ``ratio`` (geometric
        mean over the people), ``low`` and ``high`` (interval of that mean for what is uncertain:
        the constants of an interaction, or the people drawn), ``person_low`` and ``person_high``
        (interval that holds `level` of the people; missing for one person), ``static`` (ratio of
        the static model, of interactions).

    Raises
    ------
    InputError
        Another Dataset, or a level outside 0 to 1.
    """
    import pandas as pd

    level = check_real("level", level, "a number between 0 and 1")
    if not 0.0 < level < 1.0:
        raise InputError("level", level, "a number between 0 and 1")
    if not isinstance(found, xr.Dataset) or "auc_ratio" not in found:
        raise InputError(
            "found", type(found).__name__, "the result of interactions or exposure_ratios"
        )
    if "perpetrator" in found["auc_ratio"].dims:
        rows = _of_interactions(found, level)
    elif "scenario" in found["auc_ratio"].dims:
        rows = _of_scenarios(found, level)
    else:
        raise InputError(
            "found",
            list(found["auc_ratio"].dims),
            "the result of interactions or exposure_ratios",
            hint="`interaction` has one ratio for each person already",
        )
    return pd.DataFrame(rows, columns=list(RATIO_COLUMNS))


def _of_interactions(found: xr.Dataset, level: float) -> list[dict]:
    tails = 100 * np.array([(1 - level) / 2, (1 + level) / 2])
    rows = []
    several = found.sizes["delay"] > 1
    for v in range(found.sizes["victim"]):
        for p in range(found.sizes["perpetrator"]):
            for d in range(found.sizes["delay"]):
                wait = float(found["delay"].values[d])
                name = str(found["perpetrator"].values[p])
                for quantity, variable in (("AUC", "auc_ratio"), ("Cmax", "cmax_ratio")):
                    people = found[variable].values[v, p, d]
                    drawn = found[f"{variable}_drawn"].values[v, p, d]
                    row = {
                        "group": str(found["victim"].values[v]),
                        "label": f"{name}, {wait:+g} h" if several else name,
                        "quantity": quantity,
                        **_people(people, tails),
                        "static": float(found["auc_ratio_static"].values[v, p])
                        if quantity == "AUC"
                        else np.nan,
                    }
                    if drawn.size:
                        row["low"], row["high"] = row["ratio"] * np.nanpercentile(drawn, tails)
                    rows.append(row)
    return rows


def _of_scenarios(found: xr.Dataset, level: float) -> list[dict]:
    tails = 100 * np.array([(1 - level) / 2, (1 + level) / 2])
    rows = []
    for i, name in enumerate(found["scenario"].values):
        for quantity, variable in (("AUC", "auc_ratio"), ("Cmax", "cmax_ratio")):
            people = found[variable].values[i]
            row = {
                "group": str(found["group"].values[i]),
                "label": str(name),
                "quantity": quantity,
                **_people(people[np.isfinite(people)], tails),
                "static": np.nan,
            }
            drawn = found[f"{variable}_drawn"].values[i]
            if np.isfinite(drawn).any():
                row["low"], row["high"] = np.nanpercentile(drawn, tails)
            rows.append(row)
    return rows


def _people(ratios: np.ndarray, tails: np.ndarray) -> dict[str, float]:
    """Geometric mean and the interval of the people; no interval of one."""
    out = dict.fromkeys(("low", "high", "person_low", "person_high"), np.nan)
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    out["ratio"] = float(np.exp(np.log(known).mean())) if known.size else np.nan
    if known.size > 1:
        out["person_low"], out["person_high"] = (float(x) for x in np.percentile(known, tails))
    return out


__all__ = ["RATIO_COLUMNS", "ratio_table"]
