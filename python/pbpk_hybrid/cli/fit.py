"""``pbpk-hybrid fit``: parameters of a compound's whole-body model from a NONMEM-style data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.basis import basis_in_words
from .._core.errors import InputError
from .data_set import DataSetOptions, people_of, read_data_set, say_notes
from .groups import with_groups
from .options import Debug, Json, ModelChoices, Quiet
from .parsing import number_option, read_compound
from .terminal import (
    check_folder,
    console,
    reporting,
    rows_of,
    say_json,
    stage,
    staged_folder,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from ..compounds import Compound
    from ..dosing import NonmemData
    from ..models import System


@dataclass(frozen=True)
class Estimation:
    """What is estimated and how, as typed."""

    parameter: Annotated[
        list[str],
        typer.Option(
            "--parameter",
            "-p",
            help='"clint.liver", estimated as a multiple of the model\'s value.',
        ),
    ]
    random: Annotated[
        list[str] | None,
        typer.Option(
            "--random", "-r", help="Parameters that differ between people (hierarchical fit)."
        ),
    ] = None
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help='"clint.liver=1,0.3": log-normal, median of the multiple and sd of its log.'
        ),
    ] = None
    error: Annotated[str, typer.Option(help="additive, proportional, combined or lognormal.")] = (
        "proportional"
    )
    lloq: Annotated[
        str | None,
        typer.Option(help='Limit of quantification, in the unit of DV or such as "5 ng/mL": M3.'),
    ] = None
    starts: Annotated[int, typer.Option(help="Starts of the search, without --random.")] = 1
    level: Annotated[
        float, typer.Option(parser=number_option("1"), help="Level of the intervals.")
    ] = 0.95


@with_groups
def fit(
    data: Annotated[
        Path,
        typer.Argument(
            help="NONMEM-style CSV: ID, TIME, AMT, DV, ...; WT (kg), AGE (years), HT (cm), SEX "
            "of people."
        ),
    ],
    compound: Annotated[str, typer.Option(help="A known compound, or a YAML or TOML file.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for estimates.csv, predictions.csv and the figures."
        ),
    ],
    estimation: Estimation,
    data_set: DataSetOptions,
    model: ModelChoices,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Estimate parameters of a compound from concentrations.

    By maximum likelihood, or with priors by maximum a posteriori probability.
    """
    with reporting(debug):
        check_folder(out)
        quiet = quiet or as_json
        from ..models import whole_body_system

        level = estimation.level
        if not 0 < level < 1:
            raise InputError("--level", level, "a number between 0 and 1")
        drug = compound_or_file(compound)
        table = read_data_set(data, data_set, estimation.lloq)
        notes: list[str] = []
        people = people_of(table.covariates, data_set.species, data_set.baseline, notes)
        observed = after_the_first_dose(table, notes)
        say_notes(table, quiet, notes)
        system = whole_body_system(drug, people, **model.keywords())
        doses = {
            "regimen": table.regimen,
            "body_weight": people["body_weight"].values,
            "lag_time": drug.absorption_lag_time or 0.0,
        }
        with stage("estimating", quiet):
            found = _estimate(estimation, system, observed, doses)
        estimates = found.table(level)
        _write(found, observed, estimates, out, hierarchical=bool(estimation.random))
        if as_json:
            say_json(_facts(found, estimates, out))
            return
        if quiet:
            return
        if steady := found.facts.get("steady_state_doses"):
            typer.echo(f"note: steady states (SS) are {steady} doses before the record")
        typer.echo(f"model: {basis_in_words(system.attrs)}")
        _show(found, estimates, level, out)


def compound_or_file(name: str) -> Compound:
    """A known compound, or one from a file."""
    is_file = Path(name).suffix in (".yaml", ".yml", ".toml")
    return read_compound(name, name if is_file else None)


def _estimate(
    estimation: Estimation, system: System, observed: xr.Dataset, doses: dict[str, Any]
) -> Any:
    """The fit: hierarchical where parameters differ between subjects.

    `doses`: regimen, body weights [kg] and lag time [h].
    """
    from ..estimation import LogNormal, Parameter, fit_population
    from ..estimation import fit as fit_together

    names = dict.fromkeys(estimation.parameter)  # each once, in order
    parameters = {name: Parameter(factor=True, targets=(name,)) for name in names}
    priors = {}
    for text in estimation.prior or ():
        name, median, sd = parse_prior(text)
        priors[name] = LogNormal(median, sd)
    common = {**doses, "error": estimation.error}
    if estimation.random:
        return fit_population(system, observed, parameters, estimation.random, priors, **common)
    return fit_together(system, observed, parameters, priors, starts=estimation.starts, **common)


def _facts(found, estimates, out: Path) -> dict[str, Any]:
    """What the summary says, for ``--json``."""
    return {
        "observations": found.facts["observations"],
        "minus_two_log": found.minus_two_log,
        "converged": bool(found.converged),
        "estimates": rows_of(estimates),
        "folder": str(out),
    }


def _write(found, observed: xr.Dataset, estimates, out: Path, *, hierarchical: bool) -> None:
    """Estimates, predictions, individual values of a hierarchical fit, and figures."""
    import matplotlib
    from matplotlib.figure import Figure

    from ..estimation import plot_goodness_of_fit, plot_observed_predicted, plot_residuals
    from ..plots import save_figure

    matplotlib.use("Agg")
    with staged_folder(out) as folder:
        estimates.to_csv(folder / "estimates.csv")
        found.predictions().to_dataframe().to_csv(folder / "predictions.csv", index=False)
        if hierarchical:
            found.individuals().to_dataframe().to_csv(folder / "individuals.csv")
        figure = plot_observed_predicted(found).figure
        figure.savefig(folder / "observed_predicted.png", dpi=150)
        plot_residuals(found).figure.savefig(folder / "residuals.png", dpi=150)
        panels = plot_goodness_of_fit(found, figure=Figure(figsize=(9, 7.4), layout="constrained"))
        save_figure(panels, folder / "goodness_of_fit.png", dpi=150)
        save_figure(_curves(found, observed, hierarchical), folder / "curves.png", dpi=150)


def _curves(found, observed: xr.Dataset, hierarchical: bool) -> Figure:
    """The fitted curve of each person through their samples."""
    import numpy as np
    from matplotlib.figure import Figure

    from ..plots.individual_profiles import individual_profiles, panel_size

    last = float(observed["time"].max())
    times = np.linspace(0.0, last if last > 0 else 1.0, 241)
    matrices = set(observed["matrix"].values.astype(str)) & {"plasma", "serum"}
    compartment = "plasma" if matrices else str(observed["matrix"].values[0])
    curves = found.simulate(times=times, compartments=[compartment])
    typical = None
    if hierarchical:
        typical = found.simulate(times=times, compartments=[compartment], typical=True)
    count = min(curves.sizes["subject"], 12)
    figure = Figure(figsize=panel_size(count), layout="constrained")
    options = {"compartment": compartment, "figure": figure, "title": "fitted curves"}
    individual_profiles(curves, observed, typical=typical, **options)
    return figure


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


def after_the_first_dose(table: NonmemData, notes: list[str]) -> xr.Dataset:
    """The samples without those before the first dose has entered.

    The model predicts 0 for them, for which a relative error model is not defined.
    """
    import numpy as np

    c, observed = table.regimen.columns, table.observations
    labels = [str(s) for s in table.covariates["subject"].values]
    ids = [int(s) for s in labels] if all(s.isdigit() for s in labels) else list(range(len(labels)))
    number = dict(zip(labels, ids, strict=True))
    dose = (c["evid"] == 1) | (c["evid"] == 4)
    keep = np.ones(observed.sizes["sample"], dtype=bool)
    before = (
        observed["before_dose"].values.astype(bool)
        if "before_dose" in observed
        else np.zeros(len(keep), dtype=bool)
    )
    for i, subject in enumerate(observed["subject"].values):
        own_doses = np.flatnonzero(dose & (c["subject"] == number[str(subject)]))
        if not own_doses.size:
            raise InputError("data", "no dose", "a dose for every person", subject=subject)
        entry = c["time"][own_doses] + c["lag_time"][own_doses]
        first = own_doses[np.argmin(entry)]
        at_once = c["route"][first] == "iv_bolus" or c["steady_state"][first] > 0
        time = float(observed["time"].values[i])
        keep[i] = time > entry.min() or (time == entry.min() and at_once and not before[i])
    if not keep.all():
        notes.append(
            f"{int((~keep).sum())} samples from before the first dose entered are left out"
        )
    return observed.isel(sample=np.flatnonzero(keep))


def parse_prior(text: str) -> tuple[str, float, float]:
    """Name, median and sd of the log of "clint.liver=1,0.3"."""
    name, _, rest = text.partition("=")
    from .._core.units import quantity

    if rest.count(",") != 1:
        raise InputError("--prior", text, 'text such as "clint.liver=1,0.3"')
    median, sd = (
        quantity(number, "1", f"--prior {name}", positive=True) for number in rest.split(",")
    )
    return name.strip(), median, sd
