"""``pbpk-hybrid nca``: noncompartmental analysis of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError, SchemaError
from .cohort import Chunks
from .groups import with_groups
from .options import Debug, Json, Quiet
from .parsing import number_option
from .terminal import console, reporting, rows_of, say_json, write_table

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class DoseOptions:
    """How the dose was given, of a file that does not say it."""

    route: Annotated[
        str | None,
        typer.Option(help="iv_bolus, iv_infusion or oral; none: that of the file; never guessed."),
    ] = None
    dose: Annotated[str | None, typer.Option(help='Such as "320 mg"; none: the file\'s own.')] = (
        None
    )
    infusion_duration: Annotated[
        str | None, typer.Option(help='Such as "2 h", for iv_infusion; none: the file\'s own.')
    ] = None

    def arguments(self) -> tuple[str | None, str | None, str | None]:
        """Dose, route and infusion duration, as :func:`pbpk_hybrid.nca` takes them."""
        return self.dose, self.route, self.infusion_duration


@dataclass(frozen=True)
class AnalysisOptions:
    """Rules of the analysis, as typed."""

    lloq: Annotated[
        str | None, typer.Option(help='Limit of quantification, such as "0.05 mg/L".')
    ] = None
    compartment: Annotated[str, typer.Option(help="Compartment of the simulation.")] = "plasma"
    method: Annotated[
        str | None,
        typer.Option(
            help="linear_up_log_down, linear, linear_log or log; none: areas of a simulation as "
            "integrated, and linear_up_log_down for samples."
        ),
    ] = None
    tau: Annotated[
        float | None,
        typer.Option(
            parser=number_option("h"), help="Dosing interval [h]; a simulation knows its own."
        ),
    ] = None
    dose_time: Annotated[
        float | None,
        typer.Option(
            parser=number_option("h"),
            help="Time of the dose [h]; with several doses in a simulation, the one to analyse.",
        ),
    ] = None
    steady_state: Annotated[
        bool, typer.Option("--steady-state", help="The interval is at steady state.")
    ] = False

    def keywords(self) -> dict[str, Any]:
        """Keywords of :func:`pbpk_hybrid.nca`."""
        from ..nca import NCAOptions

        options = NCAOptions(
            auc_method=self.method,
            tau=self.tau,
            dose_time=self.dose_time,
            steady_state=self.steady_state,
        )
        return {"lloq": self.lloq, "compartment": self.compartment, "options": options}


@dataclass(frozen=True)
class TextFileOptions:
    """How a .csv is read."""

    unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of the concentrations in a .csv; none: that of the header, else mg/L."
        ),
    ] = None
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column of a .csv to leave out unread.")
    ] = None


@with_groups
def nca(
    file: Annotated[
        Path,
        typer.Argument(
            help="Simulation (.nc, .zarr), or .csv with subject, time [h], concentration [mg/L]."
        ),
    ],
    doses: DoseOptions,
    rules: AnalysisOptions,
    text_file: TextFileOptions,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for the results: .csv, .nc or, of any size, .zarr."),
    ] = None,
    *,
    chunks: Chunks,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Noncompartmental analysis of every subject in FILE.

    Prints a summary and, with --out, writes the values of each subject.

    A simulation carries its dose records. Other files need --dose and --route, unless
    their columns have them. With several doses each dosing interval is analysed; the
    summary is of the last.
    """
    with reporting(debug):
        from ..nca import nca as analyse
        from ..results import nca_summary, nca_table

        quiet = quiet or as_json
        if out is not None and out.suffix not in (".csv", ".nc", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .csv, .nc or .zarr")
        keywords = rules.keywords()
        if out is not None and out.suffix == ".zarr":
            with chunks.run("analysing", _subjects(file), quiet) as chunk_keywords:
                keywords |= {"store": out, **chunk_keywords}
                result = _to_store(file, doses, keywords)
        else:
            result = analyse(_read(file, text_file, quiet), *doses.arguments(), **keywords)
            if out is not None:
                _write(result, out)
        if as_json:
            facts = {"file": str(file), "compartment": rules.compartment, "route": result.route}
            summary = rows_of(nca_summary(result))
            say_json({**facts, "nca": summary, "files": [] if out is None else [str(out)]})
        elif not quiet:
            screen = console()
            title = f"{file.name}, {rules.compartment}, {result.route}"
            screen.print(nca_table(result, title=title))
            if out is not None:
                screen.print(f"written: {out}", soft_wrap=True)


def _write(result: xr.Dataset, out: Path) -> None:
    from ..results import save_results

    if out.suffix == ".csv":
        write_table(result.to_dataframe(), out)
    else:
        save_results(result, out)


def _subjects(file: Path) -> int:
    """The number of subjects of a store.

    Raises
    ------
    InputError
        A file that is no store.
    """
    from ..scale import open_cohort

    if file.suffix != ".zarr":
        raise InputError("FILE", str(file), "a store, NAME.zarr, when --out is one")
    return open_cohort(file).sizes.get("subject", 0)


def _to_store(file: Path, doses: DoseOptions, keywords: dict[str, Any]) -> xr.Dataset:
    """Analyse a store of any size chunk by chunk into another store."""
    from ..scale import nca_cohort

    return nca_cohort(file, *doses.arguments(), **keywords)


def _read(file: Path, text_file: TextFileOptions, quiet: bool) -> xr.Dataset:
    """A simulation, or the samples of a text file."""
    from ..results import open_results

    if file.name.lower().endswith((".csv", ".csv.gz", ".txt", ".tsv", ".dat")):
        from ..nca.tables import read_profile_table

        observations, notes = read_profile_table(
            file, unit=text_file.unit, ignore=tuple(text_file.ignore or ())
        )
        for note in () if quiet else notes:
            typer.echo("note: " + note)
        return observations
    for option, value in (("--unit", text_file.unit), ("--ignore", text_file.ignore)):
        if value:
            raise InputError(option, value, "a .csv file, to which alone it applies")
    ds = open_results(file, schema=None)
    if "concentration" not in ds.variables and "sample" not in ds.dims:
        raise SchemaError("file", str(file), "a simulation or observation Dataset")
    return ds
