"""``pbpk-hybrid nca``: noncompartmental analysis of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._core.errors import FileFormatError, InputError, SchemaError
from .parsing import number_option
from .subjects import Chunk, Overwrite, Scheduler, Workers
from .terminal import Debug, Quiet, console, reporting, write_table

if TYPE_CHECKING:
    import xarray as xr

    from .cohort import Chunks

#: column names of CSV files that are understood, in small letters
_COLUMNS = {
    "subject": ("subject", "id", "subject_id"),
    "time": ("time", "time [h]", "time_h"),
    "value": ("concentration", "conc", "value", "dv", "concentration [mg/l]"),
    "dose": ("dose", "dose [mg]", "dose_mg"),
}


def nca(
    file: Annotated[
        Path,
        typer.Argument(
            help="Simulation (.nc, .zarr), or .csv with subject, time [h], concentration [mg/L]."
        ),
    ],
    route: Annotated[str, typer.Option(help="iv_bolus, iv_infusion or oral.")] = "oral",
    dose: Annotated[
        str | None, typer.Option(help='Such as "320 mg"; none: the file\'s own.')
    ] = None,
    infusion_duration: Annotated[str, typer.Option(help='Such as "2 h", for iv_infusion.')] = "0",
    lloq: Annotated[
        str | None, typer.Option(help='Limit of quantification, such as "0.05 mg/L".')
    ] = None,
    compartment: Annotated[str, typer.Option(help="Compartment of the simulation.")] = "plasma",
    method: Annotated[
        str, typer.Option(help="linear_up_log_down, linear, linear_log or log.")
    ] = "linear_up_log_down",
    tau: Annotated[
        float | None, typer.Option(parser=number_option("h"), help="Dosing interval [h].")
    ] = None,
    dose_time: Annotated[
        float, typer.Option(parser=number_option("h"), help="Time of the dose [h].")
    ] = 0.0,
    steady_state: Annotated[
        bool, typer.Option("--steady-state", help="The interval is at steady state.")
    ] = False,
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
    """Noncompartmental analysis of every subject in FILE; prints a summary and, with --out, writes each subject's values."""
    with reporting(debug):
        from ..nca import NCAOptions
        from ..nca import nca as analyse
        from ..results import nca_table, save_results

        if out is not None and out.suffix not in (".csv", ".nc", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .csv, .nc or .zarr")
        options = NCAOptions(
            auc_method=method, tau=tau, dose_time=dose_time, steady_state=steady_state
        )
        if out is not None and out.suffix == ".zarr":
            from .cohort import Chunks

            chunks = Chunks(chunk, workers, scheduler, overwrite, quiet)
            result = _to_store(
                file,
                out,
                chunks,
                dose,
                route,
                infusion_duration,
                lloq=lloq,
                compartment=compartment,
                options=options,
            )
        else:
            data = _read(file)
            result = analyse(
                data,
                dose,
                route,
                infusion_duration,
                lloq=lloq,
                compartment=compartment,
                options=options,
            )
        if out is not None and out.suffix != ".zarr":
            if out.suffix == ".csv":
                write_table(result.to_dataframe(), out)
            else:
                save_results(result, out)
        if not quiet:
            screen = console()
            screen.print(nca_table(result, title=f"{file.name}, {compartment}, {route}"))
            if out is not None:
                screen.print(f"written: {out}", soft_wrap=True)


def _to_store(
    file: Path, out: Path, chunks: Chunks, dose, route, infusion_duration, **keywords
) -> xr.Dataset:
    """Analyse a store of any size chunk by chunk, into another one."""
    from ..scale import nca_cohort, open_cohort

    if file.suffix != ".zarr":
        raise InputError("FILE", str(file), "a store, NAME.zarr, when --out is one")
    n = open_cohort(file).sizes.get("subject", 0)
    with chunks.run("analysing", n) as how:
        return nca_cohort(file, dose, route, infusion_duration, store=out, **how, **keywords)


def _read(file: Path) -> xr.Dataset:
    from ..results import open_results

    if file.suffix.lower() != ".csv":
        ds = open_results(file, schema=None)
        if "concentration" not in ds.variables and "sample" not in ds.dims:
            raise SchemaError("file", str(file), "a simulation or observation Dataset")
        return ds
    return _read_csv(file)


def _read_csv(file: Path) -> xr.Dataset:
    import numpy as np
    import pandas as pd
    import xarray as xr

    from .._core.schemas import attrs

    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise FileFormatError(
            "file", str(file), "a CSV file that can be read", hint=str(error)
        ) from error
    names = {str(c).strip().lower(): c for c in table.columns}
    found = {
        key: next((names[n] for n in known if n in names), None) for key, known in _COLUMNS.items()
    }
    for key in ("time", "value"):
        if found[key] is None:
            raise FileFormatError(
                "file", list(map(str, table.columns)), f"a column {' or '.join(_COLUMNS[key][:3])}"
            )
    n = len(table)
    data = {
        "subject": (
            "sample",
            table[found["subject"]].astype(str).to_numpy(str)
            if found["subject"]
            else np.full(n, "1"),
        ),
        "matrix": ("sample", np.full(n, "plasma")),
        "study": ("sample", np.full(n, file.stem)),
        "reference": ("sample", np.full(n, str(file))),
    }
    for key in ("time", "value", "dose"):
        if found[key] is not None:
            numbers = pd.to_numeric(table[found[key]], errors="coerce")
            bad = numbers.isna() & table[found[key]].notna() & (key != "value")
            if bad.any():  # a concentration may be text such as "BLQ"
                row = int(np.flatnonzero(bad)[0])
                raise FileFormatError(
                    f"{found[key]} (row {row + 2})", str(table[found[key]].iloc[row]), "a number"
                )
            unit = {"units": "mg"} if key == "dose" else attrs("observation", key)
            data[key] = ("sample", numbers.to_numpy(float), unit)
    text = table[found["value"]].astype(object).fillna("").astype(str).str.strip().str.lower()
    blq = text.str.startswith(("<", "blq", "bql", "bloq", "lloq")).to_numpy()
    unreadable = np.isnan(data["value"][1]) & ~blq & ~text.isin(("nan", "", ".", "na")).to_numpy()
    if unreadable.any():
        row = int(np.flatnonzero(unreadable)[0])
        raise FileFormatError(
            f"{found['value']} (row {row + 2})", text.iloc[row], 'a number, "BLQ" or nothing'
        )
    data["censored"] = ("sample", blq.astype(int))
    return xr.Dataset(data)
