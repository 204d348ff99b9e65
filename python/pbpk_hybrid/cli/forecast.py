"""``pbpk-hybrid forecast``: future concentrations, from a data set of doses and samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError
from .cohort import Chunks
from .data_set import DataSetOptions, covariates_of, read_data_set, say_notes
from .groups import with_groups
from .options import Debug, Json, Quiet
from .parsing import parse_names, parse_times
from .terminal import console, reporting, say_json, stage, write_table
from .train import Device, Precision

if TYPE_CHECKING:
    import xarray as xr

    from ..dosing import NonmemData

#: people whose forecasts are printed
_SHOWN = 12


@dataclass(frozen=True)
class ForecastOptions:
    """What is forecast by what, as typed."""

    times: Annotated[str, typer.Option(help='[h] "first:last:step" or a list with commas.')]
    compound: Annotated[
        str | None, typer.Option(help="Name of a compound in the database, if it is one.")
    ] = None
    compartments: Annotated[str, typer.Option(help='What to forecast, such as "plasma,liver".')] = (
        "plasma"
    )
    lloq: Annotated[float | None, typer.Option(help="Limit of quantification, unit of DV.")] = None
    checkpoint: Annotated[
        Path | None, typer.Option(help="Another forecaster than the shipped one.")
    ] = None
    device: Device = "cpu"
    precision: Precision = "float32"

    def computing(self) -> dict[str, Any]:
        """Where and in which numbers the network runs."""
        return {"device": self.device, "precision": self.precision}

    def keywords(self) -> dict[str, Any]:
        """Keywords of :meth:`pbpk_hybrid.learn.Forecaster.forecast`."""
        return {
            "times": parse_times(self.times),
            "compound": self.compound,
            "compartments": parse_names(self.compartments) or ("plasma",),
        }


@with_groups
def forecast(
    data: Annotated[
        Path,
        typer.Argument(
            help="NONMEM-style CSV: ID, TIME, AMT, DV, ... (WT, AGE, HT [cm], SEX if known)."
        ),
    ],
    wanted: ForecastOptions,
    data_set: DataSetOptions,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="NAME.nc (all quantiles), .csv or, of any size, .zarr."),
    ] = Path("forecast.nc"),
    *,
    chunks: Chunks,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Forecast concentrations of every subject from its doses and samples, with intervals."""
    with reporting(debug):
        if out.suffix not in (".nc", ".csv", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .nc, .csv or .zarr")
        keywords = wanted.keywords()
        quiet = quiet or as_json
        study = read_data_set(data, data_set, wanted.lloq)
        notes: list[str] = []
        people = {
            "subject": [str(s) for s in study.covariates["subject"].values],
            "species": data_set.species,
            **covariates_of(study.covariates, data_set.baseline, notes),
        }
        say_notes(study, quiet, notes)
        if out.suffix == ".zarr":
            with chunks.run("forecasting", len(people["subject"]), quiet) as chunk_keywords:
                keywords |= {"store": out, "checkpoint": wanted.checkpoint, **chunk_keywords}
                keywords |= wanted.computing()
                result = _to_store(study, people, keywords)
        else:
            with stage("forecasting", quiet):
                result = _to_file(study, people, wanted, out, keywords)
        picture = None
        if out.suffix != ".zarr":
            picture = _draw(result, study, out)
        if as_json:
            say_json(_facts(result, [out, picture]))
        elif not quiet:
            if result.sizes["subject"] <= _SHOWN:
                _show(result)
            if picture is not None:
                typer.echo(f"curves through the samples: {picture}")
            n, n_times = result.sizes["subject"], len(keywords["times"])
            typer.echo(f"{n} subjects, {n_times} times; written: {out}")


def _draw(result: xr.Dataset, study: NonmemData, out: Path) -> Path | None:
    """The median and interval of each person through their samples, beside `out`; None where
    there is no plasma to draw.
    """
    from matplotlib.figure import Figure

    from ..plots import save_figure
    from ..plots.individual_profiles import individual_profiles, panel_size

    if "plasma" not in result["compartment"].values:
        return None
    figure = Figure(figsize=panel_size(min(result.sizes["subject"], 12)), layout="constrained")
    individual_profiles(result, study.observations, title="forecasts", figure=figure)
    return save_figure(figure, out.with_suffix(".png"), dpi=150)


def _rows(result: xr.Dataset) -> list[dict[str, Any]]:
    """Median and widest interval of every person, compartment and time."""
    values = result["concentration_quantile"].transpose(
        "subject", "compartment", "time", "quantile"
    )
    levels = values["quantile"].values
    at = [int(levels.argmin()), int(abs(levels - 0.5).argmin()), int(levels.argmax())]
    return [
        {
            "subject": str(s),
            "compartment": str(c),
            "time_h": float(t),
            "low": float(values.values[i, j, k, at[0]]),
            "median": float(values.values[i, j, k, at[1]]),
            "high": float(values.values[i, j, k, at[2]]),
        }
        for i, s in enumerate(values["subject"].values)
        for j, c in enumerate(values["compartment"].values)
        for k, t in enumerate(values["time"].values)
    ]


def _facts(result: xr.Dataset, files: list[Path | None]) -> dict[str, Any]:
    """What the summary says, for ``--json``; concentrations in mg/L."""
    levels = result["quantile"].values
    return {
        "subjects": result.sizes["subject"],
        "interval": [float(levels.min()), float(levels.max())],
        "units": "mg/L",
        "forecasts": _rows(result) if result.sizes["subject"] <= _SHOWN else None,
        "files": [str(file) for file in files if file is not None],
    }


def _show(result: xr.Dataset) -> None:
    """A table of the forecasts; of more than a few times, evenly chosen ones."""
    import numpy as np
    from rich.table import Table

    from ..results.tables import number

    levels = result["quantile"].values
    few = np.unique(np.linspace(0, result.sizes["time"] - 1, 8).round().astype(int))
    reach = f"{100 * levels.min():g} to {100 * levels.max():g} %"
    table = Table(
        "subject", "compartment", "time [h]", "median [mg/L]", reach, title_justify="left"
    )
    for row in _rows(result.isel(time=few)):
        numbers = number(row["median"]), f"{number(row['low'])} to {number(row['high'])}"
        table.add_row(row["subject"], row["compartment"], f"{row['time_h']:g}", *numbers)
    console().print(table)


def _to_store(study: NonmemData, people: dict[str, Any], keywords: dict[str, Any]) -> xr.Dataset:
    """Forecast chunk by chunk into a store; `keywords` of :func:`.forecast_cohort`."""
    import numpy as np
    import xarray as xr

    from ..scale import forecast_cohort

    labels = people["subject"]
    values = {name: value for name, value in people.items() if name != "subject"}
    physiology = xr.Dataset(
        {name: ("subject", np.broadcast_to(v, len(labels))) for name, v in values.items()},
        {"subject": labels},
    )
    return forecast_cohort(study.observations, study.regimen, physiology, **keywords)


def _to_file(
    study: NonmemData,
    people: dict[str, Any],
    wanted: ForecastOptions,
    out: Path,
    keywords: dict[str, Any],
) -> xr.Dataset:
    """Forecast at once and write `out`."""
    from ..learn.transformer import Forecaster
    from ..results.storage import save_results

    forecaster = Forecaster.load(wanted.checkpoint, **wanted.computing())
    result = forecaster.forecast(study.observations, study.regimen, people, **keywords)
    if out.suffix == ".csv":
        table = result["concentration_quantile"].to_dataframe().reset_index()
        write_table(table.set_index("subject"), out)
    else:
        save_results(result, out)
    return result
