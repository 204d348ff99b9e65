"""``pbpk-hybrid train allometry``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .groups import with_groups
from .options import Debug, Quiet
from .terminal import reporting
from .train import Folder, TrainingRun, TrainingSeed, app, report


@app.command("allometry")
@with_groups
def allometry(
    out: Folder = Path("allometry"),
    *,
    run: TrainingRun,
    seed: TrainingSeed = 20261123,
    graph: Annotated[
        bool, typer.Option("--graph", help="With the organ graph and the neural ODE.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train Neural Allometry on the shipped cross-species table.

    Writes allometry.safetensors into --out.
    """
    with reporting(debug, "the state of the run is kept: the same command goes on"):
        path = run.checkpoint(out, "allometry")
        from ..learn.allometry import AllometryConfig, NeuralAllometry

        settings = {} if run.steps is None else {"steps": run.steps}
        if graph:
            settings |= {"graph": True, "ode": True}
        model = NeuralAllometry.fit(
            config=AllometryConfig(seed=seed, **settings),
            folder=out,
            progress=not quiet,
            **run.keywords(),
        )
        model.save(path, overwrite=run.overwrite)
        if not quiet:
            report(path, model.log)
