"""``pbpk-hybrid train pcdm``: the virtual-patient model, from people of the survey."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .groups import with_groups
from .options import Debug, Quiet
from .terminal import check_folder, reporting
from .train import Folder, TrainingRun, TrainingSeed, app


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
        check_folder(out)
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
            max_minutes=run.max_minutes,
            threads=run.threads,
            progress=not quiet,
        )
        path = model.save(out / "pcdm.safetensors", overwrite=True)
        if not quiet:
            log = model.log_
            best = f"best validation loss {log.best:.5g} at step {log.best_step}"
            typer.echo(f"{best}, {log.seconds / 60:.1f} min; written: {path}")
