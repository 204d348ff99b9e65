"""``pbpk-hybrid train transformer``: the forecaster, from simulated patients to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .groups import with_groups
from .options import Debug, Quiet
from .terminal import reporting
from .train import Folder, TrainingRun, app, report


@app.command("transformer")
@with_groups
def transformer(
    out: Folder = Path("results/forecaster"),
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings [default: those of the shipped one].")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a run to continue, such as to anneal a run of constant rate; or a "
            "checkpoint file."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of all random draws [default: the config's].")
    ] = None,
    *,
    run: TrainingRun,
    tensorboard: Annotated[bool, typer.Option(help="Event files in --out too.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the forecaster on patients that are simulated during training.

    Writes forecaster.safetensors into --out.
    """
    with reporting(debug, kept="the last state is kept: the same command goes on"):
        path = run.checkpoint(out, "forecaster")
        from dataclasses import replace

        from ..learn.transformer import Forecaster, ForecasterConfig

        settings = ForecasterConfig() if config is None else ForecasterConfig.from_toml(config)
        if seed is not None:
            settings = replace(settings, seed=seed)
        begin = None
        if start is not None and start.is_dir():
            begin = Forecaster.from_run(start, settings, averaged=False)
        elif start is not None:
            begin = Forecaster.load(start)
        model = Forecaster.fit(
            settings,
            start=begin,
            steps=run.steps,
            folder=out,
            progress=not quiet,
            tensorboard=tensorboard,
            **run.keywords(),
        )
        model.save(path, overwrite=run.overwrite)
        if not quiet:
            report(path, model.log)
