"""``pbpk-hybrid train pcdm``: the virtual-patient model, from people of the survey."""

from __future__ import annotations

from pathlib import Path

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
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the physiologically constrained diffusion model on the people of NHANES.

    They are of 0 to 89 years. Writes pcdm.safetensors into --out.
    """
    with reporting(debug, kept="the last state is kept: the same command goes on"):
        path = run.checkpoint(out, "pcdm")
        from dataclasses import replace

        from ..learn.diffusion import PCDM, PCDMConfig
        from ..physiology import training_people

        config = PCDMConfig()
        if run.steps is not None:
            config = replace(config, training_steps=run.steps)
        model = PCDM.fit(
            training_people("train", seed=seed, ages="all"),
            seed,
            validation=training_people("validation", seed=seed, ages="all"),
            config=config,
            folder=out,
            progress=not quiet,
            **run.keywords(),
        )
        model.save(path, overwrite=run.overwrite)
        if not quiet:
            report(path, model.log)
