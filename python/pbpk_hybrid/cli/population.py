"""``pbpk-hybrid population``: draw virtual subjects and look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._core.errors import InputError
from .subjects import BMI, EGFR, Age, BodyWeight, Sex, Species, draw
from .terminal import Debug, Quiet, Seed, console, reporting, stage, write_table

_SHOWN = ("age", "body_weight", "height", "body_mass_index", "hematocrit", "gfr", "cardiac_output", "serum_creatinine")


def population(
    subjects: Annotated[int, typer.Argument(min=1, help="Number of virtual subjects.")],
    species: Species = "human",
    age: Age = None,
    sex: Sex = None,
    body_weight: BodyWeight = None,
    bmi: BMI = None,
    egfr: EGFR = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write: .nc (everything) or .csv (per subject).")
    ] = None,
    seed: Seed = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw virtual subjects; print a summary and, with --out, write them."""
    with reporting(debug):
        import numpy as np
        from rich.table import Table

        from .._core.random import generator
        from ..results import save_results
        from ..results.tables import number

        if out is not None and out.suffix not in (".nc", ".csv", ".zarr"):
            raise InputError("--out", str(out), "a name that ends in .nc, .zarr or .csv")
        _, used = generator(seed)
        with stage(f"drawing {subjects} {species} subjects", quiet):
            people = draw(subjects, species, used, age=age, sex=sex, body_weight=body_weight, bmi=bmi, egfr=egfr)
        if out is not None:
            if out.suffix == ".csv":
                write_table(people[[v for v in people.variables if people[v].dims == ("subject",) and v != "subject"]]
                            .to_dataframe(), out)  # fmt: skip
            else:
                save_results(people, out, schema="physiology")
        if quiet:
            return
        females = int(np.count_nonzero(people["sex"].values == "female"))
        title = f"{subjects} {species} subjects, {females} female, seed {used}"
        table = Table("", "unit", "median", "5 %", "95 %", title=title, title_justify="left")
        for name in _SHOWN:
            if name in people and people[name].dims == ("subject",):
                values = people[name].values.astype(float)
                values = values[np.isfinite(values)]
                if values.size:
                    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
                    unit = str(people[name].attrs.get("units", ""))
                    table.add_row(name.replace("_", " "), unit, number(middle), number(low), number(high))
        screen = console()
        screen.print(table)
        if out is not None:
            screen.print(f"written: {out}", soft_wrap=True)
