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
from .options import Debug, Quiet
from .parsing import parse_names, parse_times
from .terminal import reporting, stage, write_table
from .train import Device, Precision

if TYPE_CHECKING:
    import xarray as xr

    from ..dosing import NonmemData


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
    debug: Debug = False,
) -> None:
    """Forecast concentrations of every subject from its doses and samples, with intervals."""
    with reporting(debug):
        if out.suffix not in (".nc", ".csv", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .nc, .csv or .zarr")
        keywords = wanted.keywords()
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
        if not quiet:
            n, n_times = result.sizes["subject"], len(keywords["times"])
            typer.echo(f"{n} subjects, {n_times} times; written: {out}")


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
