"""``pbpk-hybrid nca``: noncompartmental analysis of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError, SchemaError
from .cohort import Chunks
from .options import Chunk, Debug, Overwrite, Quiet, Scheduler, Workers
from .parsing import number_option
from .terminal import console, reporting, write_table

if TYPE_CHECKING:
    import xarray as xr


def nca(
    file: Annotated[
        Path,
        typer.Argument(
            help="Simulation (.nc, .zarr), or .csv with subject, time [h], concentration [mg/L]."
        ),
    ],
    route: Annotated[
        str | None,
        typer.Option(help="iv_bolus, iv_infusion or oral; none: the file's own, and no guess."),
    ] = None,
    dose: Annotated[
        str | None, typer.Option(help='Such as "320 mg"; none: the file\'s own.')
    ] = None,
    infusion_duration: Annotated[
        str | None, typer.Option(help='Such as "2 h", for iv_infusion; none: the file\'s own.')
    ] = None,
    lloq: Annotated[
        str | None, typer.Option(help='Limit of quantification, such as "0.05 mg/L".')
    ] = None,
    compartment: Annotated[str, typer.Option(help="Compartment of the simulation.")] = "plasma",
    method: Annotated[
        str | None,
        typer.Option(
            help="linear_up_log_down, linear, linear_log or log; none: areas of a simulation as "
            "integrated, and linear_up_log_down for samples."
        ),
    ] = None,
    tau: Annotated[
        float | None,
        typer.Option(
            parser=number_option("h"), help="Dosing interval [h]; a simulation knows its own."
        ),
    ] = None,
    dose_time: Annotated[
        float | None,
        typer.Option(
            parser=number_option("h"),
            help="Time of the dose [h]; of several in a simulation, the one wanted.",
        ),
    ] = None,
    steady_state: Annotated[
        bool, typer.Option("--steady-state", help="The interval is at steady state.")
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of the concentrations in a .csv; none: that of the header, else mg/L."
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column of a .csv to leave out unread.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for the results: .csv, .nc or, of any size, .zarr."),
    ] = None,
    chunk: Chunk = 10_000,
    workers: Workers = None,
    scheduler: Scheduler = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Noncompartmental analysis of every subject in FILE.

    Prints a summary and, with --out, writes the values of each subject.

    A simulation carries its doses: nothing needs to be said of them. Other files need
    --dose and --route, unless their columns say it. Of several doses each dosing
    interval is analysed; the summary is of the last.
    """
    with reporting(debug):
        from ..nca import NCAOptions
        from ..nca import nca as analyse
        from ..results import nca_table

        if out is not None and out.suffix not in (".csv", ".nc", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .csv, .nc or .zarr")
        options = NCAOptions(
            auc_method=method, tau=tau, dose_time=dose_time, steady_state=steady_state
        )
        doses = (dose, route, infusion_duration)
        keywords = {"lloq": lloq, "compartment": compartment, "options": options}
        if out is not None and out.suffix == ".zarr":
            chunks = Chunks(chunk, workers, scheduler, overwrite, quiet)
            result = _to_store(file, out, chunks, doses, keywords)
        else:
            result = analyse(_read(file, unit, ignore or (), quiet), *doses, **keywords)
            if out is not None:
                _write(result, out)
        if not quiet:
            screen = console()
            screen.print(nca_table(result, title=f"{file.name}, {compartment}, {result.route}"))
            if out is not None:
                screen.print(f"written: {out}", soft_wrap=True)


def _write(result: xr.Dataset, out: Path) -> None:
    from ..results import save_results

    if out.suffix == ".csv":
        write_table(result.to_dataframe(), out)
    else:
        save_results(result, out)


def _to_store(
    file: Path,
    out: Path,
    chunks: Chunks,
    doses: tuple[str | None, str | None, str | None],
    keywords: dict[str, Any],
) -> xr.Dataset:
    """Analyse a store of any size chunk by chunk, into another one."""
    from ..scale import nca_cohort, open_cohort

    if file.suffix != ".zarr":
        raise InputError("FILE", str(file), "a store, NAME.zarr, when --out is one")
    n = open_cohort(file).sizes.get("subject", 0)
    with chunks.run("analysing", n) as chunk_keywords:
        return nca_cohort(file, *doses, store=out, **chunk_keywords, **keywords)


def _read(file: Path, unit: str | None, ignore: Sequence[str], quiet: bool) -> xr.Dataset:
    from ..results import open_results

    if file.name.lower().endswith((".csv", ".csv.gz", ".txt", ".tsv", ".dat")):
        from ..nca.tables import read_profile_table

        observations, notes = read_profile_table(file, unit=unit, ignore=tuple(ignore))
        for note in () if quiet else notes:
            typer.echo("note: " + note)
        return observations
    for option, value in (("--unit", unit), ("--ignore", ignore)):
        if value:
            raise InputError(option, value, "a .csv file, to which alone it applies")
    ds = open_results(file, schema=None)
    if "concentration" not in ds.variables and "sample" not in ds.dims:
        raise SchemaError("file", str(file), "a simulation or observation Dataset")
    return ds
