"""``pbpk-hybrid population``: draw virtual subjects into a file, and look at them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError
from . import options as opt
from .cohort import Chunks, population_to_store
from .groups import with_groups
from .subjects import SubjectChoice, SubjectOptions
from .terminal import SUBJECTS_FAILED, console, reporting, say_json, stage, write_table
from .train import Device, Precision

if TYPE_CHECKING:
    import xarray as xr

#: variables in the printed summary
_SHOWN = (
    "age",
    "body_weight",
    "height",
    "body_mass_index",
    "hematocrit",
    "gfr",
    "cardiac_output",
    "serum_creatinine",
)
#: attribute of the population -> the sentence that it ends
_REMARKS = {
    "extrapolated": "no training data in the given range of",
    "over_79": "assumed, people over 79:",
    "beyond_training": "outside the range of the training data, nobody is drawn:",
}

CountOrCheck = Annotated[
    str, typer.Argument(help='Number of virtual subjects; or "check", to check those of FILE.')
]
CheckedFile = Annotated[
    Path | None, typer.Argument(help="With check: .nc or .zarr, or .csv of httk-pop.")
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write: .nc (everything), .csv (per subject) or .zarr (any number).",
    ),
]


@with_groups
def population(
    subjects: CountOrCheck,
    file: CheckedFile = None,
    *,
    people: SubjectOptions,
    extrapolate: opt.Extrapolate = False,
    like: opt.Like = None,
    where: opt.Where = None,
    strict: opt.Strict = False,
    device: Device = "cpu",
    precision: Precision = "float32",
    out: OutFile = None,
    chunks: Chunks,
    seed: opt.Seed = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Draw virtual subjects; print a summary and, with --out, write them. Or: check FILE.

    The check counts the people that violate each rule of physiology; exit code 3 if
    anybody violates a hard rule.
    """
    with reporting(debug):
        if subjects == "check":
            from .plausibility import check_file

            if not check_file(file, out, quiet):
                raise typer.Exit(SUBJECTS_FAILED)
            return
        from .._core.random import generator

        count = read_count(subjects, file)
        check_out(out, extrapolate)
        seed_used = generator(seed)[1]
        table = read_table_options(like, where, strict)
        choice = replace(
            people.choice(count, extrapolate, table),
            computing=read_computing(device, precision, people.generator, out),
        )
        if out is not None and out.suffix == ".zarr":
            cohort = choice.cohort(seed_used)
            drawn = population_to_store(out, cohort=cohort, chunks=chunks, quiet=quiet)
        else:
            with stage(f"drawing {count} {people.species} subjects", quiet):
                drawn = choice.draw(seed_used)
            if out is not None:
                write_population(drawn, out)
        if as_json:
            files = [] if out is None else [str(out)]
            say_json({"subjects": count, "seed": seed_used, **summary(drawn), "files": files})
        elif not quiet:
            print_population(drawn, choice, seed_used, out)


def read_table_options(like: str | None, where: str | None, strict: bool) -> dict[str, Any]:
    """``like``, ``where`` and ``strict`` of ``sample_population``; those not given are left out.

    Raises
    ------
    InputError
        ``--strict`` without a table.
    """
    given = {"like": like, "where": where}
    found: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "like" in found and ";" in found["like"]:
        found["like"] = "\n".join(part.strip() for part in found["like"].split(";"))
    if strict and "like" not in found:
        raise InputError("--strict", strict, "a table given by --like")
    return {**found, "strict": True} if strict else found


def read_computing(device: str, precision: str, generator: str, out: Path | None) -> dict[str, str]:
    """Device and precision of the diffusion model; empty where they are the usual ones.

    Raises
    ------
    InputError
        A generator without a network, or a store, whose chunks are drawn on the CPU.
    """
    given = {"device": device, "precision": precision}
    usual = {"device": "cpu", "precision": "float32"}
    different = [name for name in given if given[name] != usual[name]]
    if not different:
        return {}
    name = different[0]
    if generator != "pcdm":
        raise InputError(f"--{name}", given[name], "--generator pcdm: the survey has no network")
    if out is not None and out.suffix == ".zarr":
        raise InputError(f"--{name}", given[name], "a file .nc or .csv, which is drawn at once")
    return given


def read_count(text: str, file: Path | None) -> int:
    """The number of subjects.

    Raises
    ------
    InputError
        Not a whole number of at least 1, or a file beside it.
    """
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < 1 or file is not None:
        raise InputError(
            "SUBJECTS", text, 'a number of subjects of at least 1, or "check" and a FILE'
        )
    return int(text)


def check_out(out: Path | None, extrapolate: bool) -> None:
    """
    Raises
    ------
    InputError
        A name with another ending than .nc, .csv and .zarr; a store with ``--extrapolate``.
    """
    if out is None:
        return
    if out.suffix not in (".nc", ".csv", ".zarr"):
        raise InputError("--out", str(out), "a name that ends in .nc, .zarr or .csv")
    if out.suffix == ".zarr" and extrapolate:
        raise InputError("--extrapolate", str(out), "a file .nc or .csv, which is drawn at once")


def write_population(people: xr.Dataset, out: Path) -> None:
    """Everything as NetCDF, or one row for each subject as CSV."""
    from ..results import save_results

    if out.suffix == ".csv":
        columns = [v for v in people.variables if people[v].dims == ("subject",) and v != "subject"]
        write_table(people[columns].to_dataframe(), out)
    else:
        save_results(people, out, schema="physiology")


def summary(people: xr.Dataset) -> dict[str, Any]:
    """How many women, and median and 5 to 95 % of the summary variables."""
    import numpy as np

    variables = {}
    for name in _SHOWN:
        if name not in people or people[name].dims != ("subject",):
            continue
        values = people[name].values.astype(float)
        values = values[np.isfinite(values)]
        if values.size:
            low, median, high = map(float, np.quantile(values, (0.05, 0.5, 0.95)))
            unit = str(people[name].attrs.get("units", ""))
            variables[name] = {"units": unit, "median": median, "p05": low, "p95": high}
    female = int(np.count_nonzero(people["sex"].values == "female"))
    return {"female": female, "variables": variables}


def print_population(
    people: xr.Dataset, choice: SubjectChoice, seed: int, out: Path | None
) -> None:
    """Print median and 5 to 95 % of the summary variables, and remarks of the generator."""
    from rich.table import Table

    from ..results.tables import number

    facts = summary(people)
    title = f"{choice.count} {choice.species} subjects, {facts['female']} female, seed {seed}"
    table = Table("", "unit", "median", "5 %", "95 %", title=title, title_justify="left")
    for name, of in facts["variables"].items():
        row = (number(of[key]) for key in ("median", "p05", "p95"))
        table.add_row(name.replace("_", " "), of["units"], *row)
    screen = console()
    screen.print(table)
    if "like" in people.attrs:
        screen.print(str(people.pk.like()), soft_wrap=True, markup=False, highlight=False)
    for attribute, text in _REMARKS.items():
        if people.attrs.get(attribute, "no") != "no":
            screen.print(f"{text} {people.attrs[attribute]}", soft_wrap=True)
    if out is not None:
        screen.print(f"written: {out}", soft_wrap=True)
