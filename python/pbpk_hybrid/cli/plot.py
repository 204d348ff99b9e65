"""``pbpk-hybrid plot``: figures of a simulation file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._core.errors import InputError, NoEffectWarning
from .completion import complete_compound
from .options import Debug, Quiet
from .parsing import parse_names
from .terminal import console, reporting

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def plot(
    file: Annotated[Path, typer.Argument(help="Simulation (.nc or .zarr).")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Figure to write: .png, .svg or .pdf.")
    ] = Path("profile.png"),
    kind: Annotated[
        str, typer.Option(help="band (median, 5-95 %) or spaghetti (a line per subject).")
    ] = "band",
    compartment: Annotated[str, typer.Option(help="Compartment to show.")] = "plasma",
    organs: Annotated[
        str | None,
        typer.Option(help='Small multiples instead: "all" or names such as "liver,brain".'),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Logarithmic axis (of the small multiples).")
    ] = False,
    dose_normalise: Annotated[
        bool, typer.Option("--dose-normalise", help="Divide by dose.")
    ] = False,
    observed: Annotated[
        str | None,
        typer.Option(
            help="Compound whose published observations are drawn too, or a .csv of your own with "
            "subject, time [h] and concentration [mg/L]; none: no observations.",
            autocompletion=complete_compound,
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw concentration over time, on a linear and a log axis, or in every organ."""
    with reporting(debug):
        from matplotlib.figure import Figure

        from ..plots import profile_figure, save_figure
        from ..results import open_results

        sim = open_results(file)
        if organs is not None:
            beside = {
                "--observed": observed is not None,
                "--compartment": compartment != "plasma",
                "--dose-normalise": dose_normalise,
            }
            _refuse_beside_organs(organs, beside)
            figure = _organs(sim, parse_names(organs), kind, log)
        else:
            if log:
                _no_effect("--log changes nothing without --organs: both axes are drawn anyway")
            data = None if observed is None else _observations(sim, observed)
            figure = Figure(figsize=(9.2, 3.9), layout="constrained")
            profile_figure(
                sim,
                data,
                kind=kind,
                compartment=compartment,
                dose_normalise=dose_normalise,
                figure=figure,
            )
        save_figure(figure, out)
        console(quiet).print(f"written: {out}", soft_wrap=True)


def _refuse_beside_organs(organs: str, given: dict[str, bool]) -> None:
    """Refuse options that the small multiples do not have."""
    for option, is_given in given.items():
        if is_given:
            raise InputError(
                "--organs", organs, f"no {option} beside it", hint="leave out one of the two"
            )


def _organs(sim: xr.Dataset, names: tuple[str, ...] | None, kind: str, log: bool) -> Figure:
    """One panel for each organ, at most four in a row."""
    from matplotlib.figure import Figure

    from ..plots import organ_panels

    count = len(names) if names else sim.sizes["compartment"]
    columns = min(4, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(0.5 + 2.25 * columns, 0.7 + 1.75 * rows), layout="constrained")
    organ_panels(sim, names, kind=kind, log=log, columns=columns, figure=figure)
    return figure


def _no_effect(text: str) -> None:
    warnings.warn(text, NoEffectWarning, stacklevel=2)


def _observations(sim: xr.Dataset, name: str) -> xr.Dataset:
    """Plasma observations of a compound in the species of the simulation, or of a file.

    Raises
    ------
    UnknownNameError, InputError
        A file that cannot be read, an unknown compound, or one without such observations.
    """
    from ..compounds import get_compound
    from .study import is_table, own_observations, published

    species = str(sim.attrs.get("species", "human"))
    if is_table(name):
        found, notes = own_observations(name, str(sim.attrs.get("compound", "")), species)
        for note in notes:
            typer.echo(f"note: {note}", err=True)
        return found
    if Path(name).suffix.lower() in _OTHER_FILES:
        raise InputError("--observed", name, "a .csv file, or the name of a compound")
    compound = get_compound(name).name
    found = published(compound, species)
    if found is None:
        raise InputError(
            "--observed",
            name,
            f"a compound with plasma observations in the {species}",
            hint="pbpk-hybrid compounds NAME lists what is known of a compound",
        )
    return found


_OTHER_FILES = (".xlsx", ".xls", ".nc", ".zarr", ".parquet", ".json")
