"""``pbpk-hybrid train allometry``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .groups import with_groups
from .options import Debug, Quiet
from .terminal import check_folder, console, reporting
from .train import Folder, TrainingRun, TrainingSeed, app


@app.command("allometry")
@with_groups
def allometry(
    out: Folder = Path("allometry"),
    *,
    run: TrainingRun,
    seed: TrainingSeed = 20261123,
    members: Annotated[
        int | None, typer.Option(min=1, help="Members per inner fold [default: the shipped one's].")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a checkpoint that exists.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train Neural Allometry on the shipped cross-species table."""
    with reporting(debug, "the state of the run is kept: the same command goes on"):
        check_folder(out)
        from .._core.errors import CheckpointError
        from ..learn.allometry import AllometryConfig, NeuralAllometry

        path = out / "allometry.safetensors"
        if path.exists() and not overwrite:
            raise CheckpointError(
                "--out", str(path), "a file that is not there yet", hint="--overwrite replaces it"
            )
        settings = {k: v for k, v in (("steps", run.steps), ("seeds", members)) if v is not None}
        model = NeuralAllometry.fit(
            config=AllometryConfig(seed=seed, **settings),
            folder=out,
            progress=not quiet,
            max_minutes=run.max_minutes,
            threads=run.threads,
        )
        model.save(path, overwrite=overwrite)
        if not quiet:
            console().print(
                f"{model.log.seconds:.0f} s, loss {model.log.history['loss'][-1]:.4f}; "
                f"written: {path}",
                soft_wrap=True,
            )
