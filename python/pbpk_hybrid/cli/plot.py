"""``pbpk-hybrid plot``: figures of a simulation file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .parsing import parse_names
from .terminal import Debug, Quiet, console, reporting


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
            help="Compound whose published observations to lay over it; none: no observations."
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw concentration over time, on a linear and a log axis, or in every organ."""
    with reporting(debug):
        from matplotlib.figure import Figure

        from ..plots import organ_panels, profile_figure, save_figure
        from ..results import open_results
        from .study import published

        sim = open_results(file)
        if organs is not None:
            names = parse_names(organs)
            count = len(names) if names else sim.sizes["compartment"]
            columns = min(4, count)
            rows = -(-count // columns)
            figure = Figure(figsize=(0.5 + 2.25 * columns, 0.7 + 1.75 * rows), layout="constrained")
            organ_panels(sim, names, kind=kind, log=log, columns=columns, figure=figure)
        else:
            data = (
                None
                if observed is None
                else published(observed, str(sim.attrs.get("species", "human")))
            )
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
