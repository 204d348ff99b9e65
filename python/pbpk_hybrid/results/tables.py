"""Summaries over subjects, as a pandas table and for the terminal by rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .._core.basis import basis_in_words
from .._core.errors import InputError, unknown_name

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

#: in the order of the table; those that the analysis has are shown
SHOWN = (
    "cmax",
    "tmax",
    "auc_last",
    "auc_inf_obs",
    "auc_extrapolated_obs",
    "half_life",
    "cl",
    "cl_f",
    "vz",
    "vz_f",
    "vss",
    "mrt",
    "auc_tau",
    "cavg",
    "ctrough",
    "fluctuation",
    "accumulation_auc",
    "accumulation",
)
LABELS = {
    "cmax": "Cmax",
    "tmax": "tmax",
    "auc_last": "AUC(0-tlast)",
    "auc_inf_obs": "AUC(0-inf)",
    "auc_extrapolated_obs": "AUC extrap.",
    "half_life": "t1/2",
    "cl": "CL",
    "cl_f": "CL/F",
    "vz": "Vz",
    "vz_f": "Vz/F",
    "vss": "Vss",
    "mrt": "MRT",
    "auc_tau": "AUC(tau)",
    "cavg": "Cavg",
    "ctrough": "Ctrough",
    "fluctuation": "fluctuation",
    "accumulation_auc": "accumulation",
    "accumulation": "accumulation",  # by lambda_z; not shown where it was seen
}


def nca_summary(result: xr.Dataset, variables: Sequence[str] | None = None) -> pd.DataFrame:
    r"""Summary of a noncompartmental analysis over its subjects.

    Geometric CV = :math:`100 \sqrt{e^{s^2} - 1}` with s the standard deviation of the
    logs (n - 1).

    Parameters
    ----------
    result
        Dataset over subject, or over subject and dosing interval, as returned by
        :func:`pbpk_hybrid.nca.nca`.
    variables
        None: the usual ones that are there.

    Returns
    -------
    pandas.DataFrame indexed by variable, or by interval and variable (one interval:
    ``nca_summary(last_interval(result))``), with columns units, n, geometric_mean,
    geometric_cv, median, p05, p95; n counts the subjects with a value, the geometric
    columns are NaN where one of these is not positive

    Raises
    ------
    UnknownNameError
        A variable that `result` does not have.
    """
    import pandas as pd

    if "subject" not in result.dims:
        raise InputError("result", dict(result.sizes), "a Dataset over subject")
    numeric = [str(v) for v in result.data_vars if result[v].dtype.kind == "f"]
    if "interval" in result.dims:
        parts = {
            int(k): nca_summary(result.sel(interval=k), variables)
            for k in result["interval"].values
        }
        return pd.concat(parts, names=["interval"])
    names = [v for v in SHOWN if v in numeric] if variables is None else list(variables)
    accumulation = result.get("accumulation_auc")
    if variables is None and accumulation is not None and np.isfinite(accumulation.values).any():
        names = [v for v in names if v != "accumulation"]
    rows = []
    for name in names:
        if name not in numeric:
            raise unknown_name("variables", name, numeric, what="a variable of the analysis")
        values = result[name].values
        values = values[np.isfinite(values)]
        geometric_mean = geometric_cv = median = p05 = p95 = np.nan
        if values.size:
            p05, median, p95 = np.quantile(values, (0.05, 0.5, 0.95))
            if (values > 0).all():
                logs = np.log(values)
                geometric_mean = np.exp(logs.mean())
                if values.size > 1:
                    geometric_cv = 100.0 * np.sqrt(np.expm1(logs.var(ddof=1)))
        rows.append(
            (
                name,
                result[name].attrs.get("units", ""),
                values.size,
                geometric_mean,
                geometric_cv,
                median,
                p05,
                p95,
            )
        )
    columns = ["variable", "units", "n", "geometric_mean", "geometric_cv", "median", "p05", "p95"]
    return pd.DataFrame(rows, columns=columns).set_index("variable")


def last_interval(result: xr.Dataset) -> xr.Dataset:
    """The last dosing interval of each subject: `result` over subject, with its number
    as coordinate ``interval_number``.

    A Dataset without the dimension ``interval`` comes back as it is.
    """
    if "interval" not in result.dims:
        return result
    has_dose = np.isfinite(result["dose_time"].transpose("subject", "interval").values)
    last = np.where(
        has_dose.any(axis=1), has_dose.shape[1] - 1 - np.argmax(has_dose[:, ::-1], axis=1), 0
    )
    out = result.isel(interval=xr.DataArray(last, dims="subject"))
    return out.rename({"interval": "interval_number"})


def _range(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    if not values.size:
        return "-"
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def nca_table(
    result: xr.Dataset, variables: Sequence[str] | None = None, title: str | None = None
) -> Table:
    """The summary as a ``rich.table.Table``; print it with ``rich.print``. Of several
    doses, of the last dosing interval.
    """
    from rich.table import Table

    if "interval" in result.dims:
        result = last_interval(result)
        number_, start = result["interval_number"].values, result["dose_time"].values
        which = f"dosing interval {_range(number_)}, from {_range(start)} h"
        title = f"{title}, {which}" if title else which
    summary = nca_summary(result, variables)
    table = Table(
        title=title, title_justify="left", caption=_caption(result), caption_justify="left"
    )
    table.add_column("", style="bold")
    table.add_column("unit", style="dim")
    for column in ("n", "geo. mean", "geo. CV %", "median", "5 %", "95 %"):
        table.add_column(column, justify="right")
    for name, row in summary.iterrows():
        table.add_row(
            LABELS.get(str(name), str(name)),
            row["units"],
            str(row["n"]),
            *(number(row[c]) for c in ("geometric_mean", "geometric_cv", "median", "p05", "p95")),
        )
    return table


def _caption(result: xr.Dataset) -> str | None:
    """How many subjects are flagged, and why, most frequent first."""
    if "flags" not in result:
        return None
    mask, attrs = result["flags"].values, result["flags"].attrs
    words = str(attrs["flag_meanings"]).split()
    counts = {
        w: int(np.count_nonzero(mask & m))
        for w, m in zip(words, np.atleast_1d(attrs["flag_masks"]), strict=True)
    }
    flagged = [
        f"{w.replace('_', ' ')} {n}" for w, n in sorted(counts.items(), key=lambda kv: -kv[1]) if n
    ]
    return "flagged: " + ", ".join(flagged) if flagged else "no subject flagged"


def number(value: float) -> str:
    """Three significant digits, without an exponent where that reads well; a dash for NaN."""
    if not np.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{digits}f}"


def simulation_table(ds: xr.Dataset, title: str | None = None) -> Table:
    """What was simulated and how it went, as a ``rich.table.Table`` of two columns."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    failed = int(np.count_nonzero(ds["status"].values))
    n = ds.sizes["subject"]
    attributes: dict[str, object] = {
        "subjects": n if not failed else f"{n}, of which {failed} failed",
        "times": f"{ds.sizes['time']} from {float(ds['time'][0]):g} to {float(ds['time'][-1]):g} h",
        "compartments": ds.sizes["compartment"],
    }
    if "mass_balance_error" in ds and np.isfinite(ds["mass_balance_error"].values).any():
        attributes["largest mass balance error"] = (
            f"{np.nanmax(np.abs(ds['mass_balance_error'].values)):.1e}"
        )
    shown = ("compound", "regimen", "species", "basis", "variability", "backend", "method")
    for key in (*shown, "seed", "population_seed"):
        value = basis_in_words(ds.attrs) if key == "basis" else ds.attrs.get(key, "")
        if value != "":
            attributes[key.replace("_", " ")] = value
    for key, value in attributes.items():
        table.add_row(key, str(value))
    return table
