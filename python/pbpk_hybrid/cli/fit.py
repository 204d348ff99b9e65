"""``pbpk-hybrid fit``: parameters of a compound's whole-body model from a NONMEM-style data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._core.errors import InputError
from .parsing import number_option
from .terminal import Debug, Quiet, console, reporting, stage, staged_folder

if TYPE_CHECKING:
    import xarray as xr


def fit(
    data: Annotated[
        Path,
        typer.Argument(
            help="NONMEM-style CSV: ID, TIME, AMT, DV, ...; WT (kg) is each person's weight."
        ),
    ],
    compound: Annotated[str, typer.Option(help="A known compound, or a YAML or TOML file.")],
    parameter: Annotated[
        list[str],
        typer.Option(
            "--parameter",
            "-p",
            help='"clint.liver", estimated as a multiple of the model\'s value.',
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for estimates.csv, predictions.csv and the pictures."
        ),
    ],
    random: Annotated[
        list[str] | None,
        typer.Option(
            "--random", "-r", help="Parameters that differ between people (hierarchical fit)."
        ),
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help='"clint.liver=1,0.3": log-normal, median of the multiple and sd of its log.'
        ),
    ] = None,
    error: Annotated[
        str, typer.Option(help="additive, proportional, combined or lognormal.")
    ] = "proportional",
    unit: Annotated[str, typer.Option(help="Unit of DV.")] = "mg/L",
    amount: Annotated[str, typer.Option(help="Unit of AMT.")] = "mg",
    compartment: Annotated[
        list[str] | None,
        typer.Option(help='"1=oral": what a number of CMT means: oral, iv or a compartment.'),
    ] = None,
    lloq: Annotated[
        str | None,
        typer.Option(help='Limit of quantification, in the unit of DV or such as "5 ng/mL": M3.'),
    ] = None,
    starts: Annotated[int, typer.Option(help="Starts of the search, without --random.")] = 1,
    level: Annotated[
        float, typer.Option(parser=number_option("1"), help="Of the intervals.")
    ] = 0.95,
    species: Annotated[str, typer.Option(help="Species of the subjects.")] = "human",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Estimate parameters of a compound from concentrations, by maximum likelihood or with priors."""
    with reporting(debug):
        from ..compounds import get_compound, load_compound_file
        from ..dosing import read_nonmem
        from ..estimation import (
            LogNormal,
            Parameter,
            fit_population,
            plot_observed_predicted,
            plot_residuals,
        )
        from ..estimation import fit as estimate
        from ..models import whole_body_system

        if not 0 < level < 1:
            raise InputError("--level", level, "a number between 0 and 1")
        is_file = Path(compound).suffix in (".yaml", ".yml", ".toml")
        drug = load_compound_file(compound) if is_file else get_compound(compound)
        table = read_nonmem(
            data,
            amount_unit=amount,
            concentration_unit=unit,
            compartments=_compartments(compartment) or None,
            missing={"DV": ["BLQ", "NA"]},
        )
        people = _people(table, species)
        observed = table.observations if lloq is None else _censor(table.observations, lloq, unit)
        system = whole_body_system(drug, people)
        parameters = {
            name: Parameter(factor=True, targets=(name,)) for name in dict.fromkeys(parameter)
        }
        priors = {}
        for text in prior or []:
            name, median, sd = _prior(text)
            priors[name] = LogNormal(median, sd)
        common = {
            "regimen": table.regimen,
            "error": error,
            "body_weight": people["body_weight"].values,
            "lag_time": drug.absorption_lag_time or 0.0,
        }
        with stage("estimating", quiet):
            if random:
                found = fit_population(system, observed, parameters, random, priors, **common)
            else:
                found = estimate(system, observed, parameters, priors, starts=starts, **common)
        estimates = found.table(level)
        import matplotlib

        matplotlib.use("Agg")
        with staged_folder(out) as folder:
            estimates.to_csv(folder / "estimates.csv")
            found.predictions().to_dataframe().to_csv(folder / "predictions.csv", index=False)
            if random:
                found.individuals().to_dataframe().to_csv(folder / "individuals.csv")
            plot_observed_predicted(found).figure.savefig(
                folder / "observed_predicted.png", dpi=150
            )
            plot_residuals(found).figure.savefig(folder / "residuals.png", dpi=150)
        if quiet:
            return
        _show(found, estimates, level, out)


def _show(found, estimates, level: float, out: Path) -> None:
    from rich.table import Table

    from ..results.tables import number

    state = "" if found.converged else ", NOT settled"
    title = f"{found.facts['observations']} observations, -2 log = {found.minus_two_log:.2f}{state}"
    shown = Table(
        "parameter",
        "value",
        "standard error",
        f"{100 * level:g} % interval",
        title=title,
        title_justify="left",
    )
    for name, row in estimates.iterrows():
        reach = f"{number(row['lower'])} to {number(row['upper'])}"
        shown.add_row(str(name), number(row["value"]), number(row["standard_error"]), reach)
    screen = console()
    screen.print(shown)
    screen.print(f"written: {out}", soft_wrap=True)


def _people(table, species: str) -> xr.Dataset:
    """One reference individual per ID, of the weight in WT where there is one."""
    import numpy as np
    import xarray as xr

    from ..physiology import reference_individual

    ids = table.covariates["subject"].values
    known = "WT" in table.covariates and table.covariates["WT"].dims == ("subject",)
    weights = table.covariates["WT"].values.astype(float) if known else [None] * len(ids)
    each = [reference_individual(species, body_weight=w) for w in weights]
    people = xr.concat(
        each, "subject", data_vars="all", coords="minimal", compat="override", join="override"
    )
    return people.assign_coords(subject=np.asarray(ids, dtype=int))


def _censor(observed: xr.Dataset, lloq: str, unit: str) -> xr.Dataset:
    """Values below the limit, zeros among them, as censored ones."""
    import numpy as np

    from .._core.numbers_in_text import split_number
    from .._core.units import quantity

    given = split_number(lloq, "--lloq", f"a number [{unit}]", f"0.05 {unit}")
    text = lloq if given.unit else f"{lloq} {unit}"
    limit = quantity(text, "mg/L", "--lloq", positive=True)
    value = observed["value"].values
    below = ~(value >= limit)
    return observed.assign(
        value=("sample", np.where(below, np.nan, value), observed["value"].attrs),
        lloq=("sample", np.full(len(value), limit), {"units": "mg/L"}),
        censored=("sample", below.astype(int)),
    )


def _compartments(texts: list[str] | None) -> dict[int, str]:
    out = {}
    for text in texts or []:
        number, equals, name = text.partition("=")
        if not equals or not re.fullmatch(r"[0-9]{1,9}", number.strip()) or not name.strip():
            raise InputError("--compartment", text, 'text such as "1=oral"')
        out[int(number)] = name.strip()
    return out


def _prior(text: str) -> tuple[str, float, float]:
    name, _, rest = text.partition("=")
    from .._core.units import quantity

    if rest.count(",") != 1:
        raise InputError("--prior", text, 'text such as "clint.liver=1,0.3"')
    median, sd = (
        quantity(number, "1", f"--prior {name}", positive=True) for number in rest.split(",")
    )
    return name.strip(), median, sd
