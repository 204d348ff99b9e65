"""``pbpk-hybrid forecast``: what is still to come, from a data set of doses and samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError
from .cohort import Chunks
from .data_set import (
    Analyte,
    Baseline,
    Cmt,
    Compartment,
    Dvid,
    Ignore,
    Missing,
    Occasions,
    Route,
    covariates_of,
    read_data_set,
    say_notes,
)
from .options import Chunk, Debug, Overwrite, Quiet, Scheduler, Workers
from .parsing import parse_names, parse_times
from .terminal import reporting, stage, write_table

if TYPE_CHECKING:
    import xarray as xr

    from ..dosing import NonmemData


def forecast(
    data: Annotated[
        Path,
        typer.Argument(
            help="NONMEM-style CSV: ID, TIME, AMT, DV, ... (WT, AGE, HT [cm], SEX if known)."
        ),
    ],
    times: Annotated[str, typer.Option(help='[h] "first:last:step" or a list with commas.')],
    route: Route = None,
    compartment: Compartment = None,
    dvid: Dvid = None,
    analyte: Analyte = None,
    cmt: Cmt = None,
    lloq: Annotated[float | None, typer.Option(help="Limit of quantification, unit of DV.")] = None,
    compound: Annotated[
        str | None, typer.Option(help="Name of a compound in the database, if it is one.")
    ] = None,
    species: Annotated[str, typer.Option(help="Of all subjects.")] = "human",
    unit: Annotated[
        str | None, typer.Option(help="Unit of DV; none: that of the header, else mg/L.")
    ] = None,
    amount: Annotated[
        str | None, typer.Option(help="Unit of AMT; none: that of the header, else mg.")
    ] = None,
    baseline: Baseline = False,
    occasions: Occasions = None,
    ignore: Ignore = None,
    missing: Missing = None,
    compartments: Annotated[
        str, typer.Option(help='What to forecast, such as "plasma,liver".')
    ] = "plasma",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Another forecaster than the shipped one.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="NAME.nc (all quantiles), .csv or, of any size, .zarr."),
    ] = Path("forecast.nc"),
    chunk: Chunk = 10_000,
    workers: Workers = None,
    scheduler: Scheduler = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast concentrations of every subject from its doses and samples, with intervals."""
    with reporting(debug):
        if out.suffix not in (".nc", ".csv", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .nc, .csv or .zarr")
        grid = parse_times(times)
        study = read_data_set(
            data,
            route=route,
            compartment=compartment,
            ignore=ignore,
            missing=missing,
            amount_unit=amount,
            concentration_unit=unit,
            dvid=dvid,
            analyte=analyte,
            cmt=cmt,
            occasions=occasions,
            lloq=lloq,
        )
        notes: list[str] = []
        people = {
            "subject": [str(s) for s in study.covariates["subject"].values],
            "species": species,
            **covariates_of(study.covariates, baseline, notes),
        }
        wanted = {
            "times": grid,
            "compound": compound,
            "compartments": parse_names(compartments) or ("plasma",),
        }
        say_notes(study, quiet, notes)
        if out.suffix == ".zarr":
            chunks = Chunks(chunk, workers, scheduler, overwrite, quiet)
            result = _to_store(study, people, checkpoint, out, chunks, wanted)
        else:
            with stage("forecasting", quiet):
                result = _to_file(study, people, checkpoint, out, wanted)
        if not quiet:
            n = result.sizes["subject"]
            typer.echo(f"{n} subjects, {len(grid)} times; written: {out}")


def _to_store(
    study: NonmemData,
    people: dict[str, Any],
    checkpoint: Path | None,
    out: Path,
    chunks: Chunks,
    wanted: dict[str, Any],
) -> xr.Dataset:
    """Forecast chunk by chunk into the store `out`."""
    import numpy as np
    import xarray as xr

    from ..scale import forecast_cohort

    labels = people["subject"]
    values = {name: value for name, value in people.items() if name != "subject"}
    physiology = xr.Dataset(
        {name: ("subject", np.broadcast_to(v, len(labels))) for name, v in values.items()},
        {"subject": labels},
    )
    with chunks.run("forecasting", len(labels)) as chunk_keywords:
        return forecast_cohort(
            study.observations,
            study.regimen,
            physiology,
            store=out,
            checkpoint=checkpoint,
            **wanted,
            **chunk_keywords,
        )


def _to_file(
    study: NonmemData,
    people: dict[str, Any],
    checkpoint: Path | None,
    out: Path,
    wanted: dict[str, Any],
) -> xr.Dataset:
    """Forecast at once and write `out`."""
    from ..learn.transformer import Forecaster
    from ..results.storage import save_results

    forecaster = Forecaster.load(checkpoint)
    result = forecaster.forecast(study.observations, study.regimen, people, **wanted)
    if out.suffix == ".csv":
        table = result["concentration_quantile"].to_dataframe().reset_index()
        write_table(table.set_index("subject"), out)
    else:
        save_results(result, out)
    return result
