"""``pbpk-hybrid population``: draw virtual subjects and look at them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from .._core.errors import InputError
from .subjects import (
    BMI,
    EGFR,
    Age,
    BodyWeight,
    Chunk,
    Extrapolate,
    Generator,
    Overwrite,
    Scheduler,
    Sex,
    Species,
    Workers,
    draw,
)
from .terminal import SUBJECTS_FAILED, Debug, Quiet, Seed, console, reporting, stage, write_table

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


def population(
    subjects: Annotated[
        str, typer.Argument(help='Number of virtual subjects; or "check", to check those of FILE.')
    ],
    file: Annotated[
        Path | None, typer.Argument(help="With check: .nc or .zarr, or .csv of httk-pop.")
    ] = None,
    species: Species = "human",
    age: Age = None,
    sex: Sex = None,
    body_weight: BodyWeight = None,
    bmi: BMI = None,
    egfr: EGFR = None,
    generator_name: Generator = "survey",
    extrapolate: Extrapolate = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write: .nc (everything), .csv (per subject) or .zarr (any number).",
        ),
    ] = None,
    chunk: Chunk = 10_000,
    workers: Workers = None,
    scheduler: Scheduler = None,
    overwrite: Overwrite = False,
    seed: Seed = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw virtual subjects; print a summary and, with --out, write them. Or: population check FILE.

    The check counts who breaks which rule of physiology; exit code 3 if anybody breaks a hard one.
    """
    with reporting(debug):
        if subjects == "check":
            from .plausibility import check_file

            if not check_file(file, out, quiet):
                raise typer.Exit(SUBJECTS_FAILED)
            return
        if not re.fullmatch(r"[0-9]{1,12}", subjects) or int(subjects) < 1 or file is not None:
            raise InputError(
                "SUBJECTS", subjects, 'a number of subjects of at least 1, or "check" and a FILE'
            )
        n = int(subjects)
        import numpy as np
        from rich.table import Table

        from .._core.random import generator
        from ..results import save_results
        from ..results.tables import number

        if out is not None and out.suffix not in (".nc", ".csv", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .nc, .zarr or .csv")
        _, used = generator(seed)
        filters = {"age": age, "sex": sex, "body_weight": body_weight, "bmi": bmi, "egfr": egfr}
        if out is not None and out.suffix == ".zarr":
            if extrapolate:
                raise InputError(
                    "--extrapolate", str(out), "a file .nc or .csv, which is drawn at once"
                )
            from .cohort import Chunks, population_to_store

            people = population_to_store(
                out,
                subjects=n,
                species=species,
                seed=used,
                generator=generator_name,
                filters=filters,
                chunks=Chunks(chunk, workers, scheduler, overwrite, quiet),
            )
        else:
            with stage(f"drawing {n} {species} subjects", quiet):
                people = draw(
                    n, species, used, generator=generator_name, extrapolate=extrapolate, **filters
                )
        if out is not None and out.suffix != ".zarr":
            if out.suffix == ".csv":
                write_table(
                    people[
                        [
                            v
                            for v in people.variables
                            if people[v].dims == ("subject",) and v != "subject"
                        ]
                    ].to_dataframe(),
                    out,
                )
            else:
                save_results(people, out, schema="physiology")
        if quiet:
            return
        females = int(np.count_nonzero(people["sex"].values == "female"))
        title = f"{n} {species} subjects, {females} female, seed {used}"
        table = Table("", "unit", "median", "5 %", "95 %", title=title, title_justify="left")
        for name in _SHOWN:
            if name in people and people[name].dims == ("subject",):
                values = people[name].values.astype(float)
                values = values[np.isfinite(values)]
                if values.size:
                    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
                    unit = str(people[name].attrs.get("units", ""))
                    table.add_row(
                        name.replace("_", " "), unit, number(middle), number(low), number(high)
                    )
        screen = console()
        screen.print(table)
        for fact, text in (
            ("extrapolated", "nobody was trained on in the asked range of"),
            ("beyond_training", "asked for beyond the people trained on, where nobody is drawn:"),
        ):
            if people.attrs.get(fact, "no") != "no":
                screen.print(f"{text} {people.attrs[fact]}", soft_wrap=True)
        if out is not None:
            screen.print(f"written: {out}", soft_wrap=True)
