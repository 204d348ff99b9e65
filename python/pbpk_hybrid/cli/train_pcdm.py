"""``pbpk-hybrid train pcdm``: the virtual-patient model, from people of the survey."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .groups import with_groups
from .options import Debug, Quiet
from .terminal import reporting
from .train import Folder, TrainingRun, TrainingSeed, app, report


@app.command("pcdm")
@with_groups
def pcdm(
    out: Folder = Path("results/pcdm"),
    seed: TrainingSeed = 1,
    *,
    run: TrainingRun,
    copies: Annotated[
        int, typer.Option(min=1, help="Bodies per survey person, each with other organs.")
    ] = 8,
    physics_weight: Annotated[
        float | None, typer.Option(min=0, help="Weight of the physics loss; 0: without.")
    ] = None,
    projection: Annotated[bool, typer.Option(help="Project samples onto the rules.")] = True,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the physiologically constrained diffusion model on the people of NHANES.

    Writes pcdm.safetensors into --out.
    """
    with reporting(debug, kept="the last state is kept: the same command goes on"):
        path = run.checkpoint(out, "pcdm")
        from dataclasses import replace

        from ..learn.diffusion import PCDM, PCDMConfig
        from ..physiology import training_people

        settings = {"training_steps": run.steps, "physics_weight": physics_weight}
        config = replace(
            PCDMConfig(projection=projection),
            **{k: v for k, v in settings.items() if v is not None},
        )
        model = PCDM.fit(
            training_people("train", copies=copies, seed=seed),
            seed,
            validation=training_people("validation", seed=seed),
            config=config,
            folder=out,
            progress=not quiet,
            **run.keywords(),
        )
        model.save(path, overwrite=run.overwrite)
        if not quiet:
            report(path, model.log)
