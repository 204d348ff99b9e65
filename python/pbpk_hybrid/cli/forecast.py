"""``pbpk-hybrid forecast``: what is still to come, from a data set of doses and samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._core.errors import InputError
from .parsing import parse_names, parse_times
from .subjects import Chunk, Overwrite, Scheduler, Workers
from .terminal import Debug, Quiet, reporting, stage, write_table

#: columns of the data set -> covariates
_COVARIATES = {"WT": "body_weight", "AGE": "age", "HT": "height", "SEX": "sex"}


def forecast(
    data: Annotated[
        Path,
        typer.Argument(
            help="NONMEM-style CSV: ID, TIME, AMT, DV, ... (WT, AGE, HT [cm], SEX if known)."
        ),
    ],
    times: Annotated[str, typer.Option(help='[h] "first:last:step" or a list with commas.')],
    route: Annotated[str, typer.Option(help="Of all doses: iv or oral.")] = "iv",
    compound: Annotated[
        str | None, typer.Option(help="Name of a compound in the database, if it is one.")
    ] = None,
    species: Annotated[str, typer.Option(help="Of all subjects.")] = "human",
    unit: Annotated[str, typer.Option(help="Of the concentrations in DV.")] = "mg/L",
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
        if route not in ("iv", "oral"):
            raise InputError("--route", route, "iv or oral")
        grid = parse_times(times)
        import numpy as np
        import xarray as xr

        from ..dosing import Regimen, read_nonmem
        from ..learn.transformer import Forecaster
        from ..results.storage import save_results

        study = read_nonmem(data, concentration_unit=unit)
        c = study.regimen.columns
        way = (
            "oral"
            if route == "oral"
            else np.where((c["duration"] > 0) | (c["rate"] > 0), "iv_infusion", "iv_bolus")
        )
        regimen = Regimen(
            {**c, "route": np.where(c["evid"] == 1, way, ""), "compartment": ""},
            span=study.regimen.span,
        )
        people, sites = _people(study.covariates, species), parse_names(compartments) or ("plasma",)
        if out.suffix == ".zarr":
            from ..scale import forecast_cohort
            from .cohort import Chunks

            who = people.pop("subject")
            known = xr.Dataset(
                {k: ("subject", np.broadcast_to(v, len(who))) for k, v in people.items()},
                {"subject": who},
            )
            with Chunks(chunk, workers, scheduler, overwrite, quiet).run(
                "forecasting", len(who)
            ) as how:
                result = forecast_cohort(
                    study.observations,
                    regimen,
                    known,
                    times=grid,
                    store=out,
                    checkpoint=checkpoint,
                    compound=compound,
                    compartments=sites,
                    **how,
                )
        else:
            with stage("forecasting", quiet):
                result = Forecaster.load(checkpoint).forecast(
                    study.observations, regimen, people, compound, times=grid, compartments=sites
                )
            if out.suffix == ".csv":
                table = result["concentration_quantile"].to_dataframe().reset_index()
                write_table(table.set_index("subject"), out)
            else:
                save_results(result, out)
        if not quiet:
            n = result.sizes["subject"]
            typer.echo(f"{n} subjects, {len(grid)} times; written: {out}")


def _people(covariates, species: str) -> dict[str, object]:
    """The covariates of the data set by our names; those that change within a subject are left out."""
    given: dict[str, object] = {
        "subject": [str(s) for s in covariates["subject"].values],
        "species": species,
    }
    names = {str(n).upper(): str(n) for n in covariates.data_vars}
    for column, name in _COVARIATES.items():
        if column in names and covariates[names[column]].dims == ("subject",):
            values = covariates[names[column]].values
            given[name] = [str(v).lower() if name == "sex" else float(v) for v in values]
    return given
