"""``pbpk-hybrid train``: a command for each learned component, and the options they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..learn.training import TrainingLog

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a learned component. The same command resumes a run that was stopped.",
)

Folder = Annotated[
    Path,
    typer.Option(
        "--out", help="Folder of the run: its state, log.csv, and the checkpoint at the end."
    ),
]
TrainingSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random draws.")]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=1, help="Optimiser steps [default: the shipped checkpoint's]."),
]
MaxMinutes = Annotated[
    float | None, typer.Option("--max-minutes", min=0, help="Stop after this wall time [min].")
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads of torch [default: torch's own].")
]


Device = Annotated[
    str, typer.Option("--device", help='Where the network runs, such as "cuda" (untested on CUDA).')
]
Precision = Annotated[
    str, typer.Option("--precision", help="float32, or bf16 for automatic mixed precision.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a checkpoint that exists in --out.")
]


@dataclass(frozen=True)
class TrainingRun:
    """How long a training runs, where, and whether it may replace what is there."""

    steps: Steps = None
    max_minutes: MaxMinutes = None
    threads: Threads = None
    device: Device = "cpu"
    precision: Precision = "float32"
    overwrite: Overwrite = False

    def keywords(self) -> dict[str, Any]:
        """Keywords of every component's ``fit``."""
        names = ("max_minutes", "threads", "device", "precision")
        return {name: getattr(self, name) for name in names}

    def checkpoint(self, out: Path, name: str) -> Path:
        """The file the run will write; refused before a step is taken.

        Raises
        ------
        CheckpointError
            it is there, and ``--overwrite`` was not given
        InputError
            a folder that cannot be written, a device that is not there, another precision
        """
        from .._core.errors import CheckpointError
        from ..learn.devices import as_device, as_precision
        from .terminal import check_folder

        check_folder(out)
        as_device(self.device), as_precision(self.precision)
        path = out / f"{name}.safetensors"
        if path.exists() and not self.overwrite:
            raise CheckpointError(
                "--out", str(path), "a file that is not there yet", hint="--overwrite replaces it"
            )
        return path


def report(path: Path, log: TrainingLog) -> None:
    """Say how a training went and where its model is."""
    loss = f"best validation loss {log.best:.5g} at step {log.best_step}"
    if log.best_step and log.best == -(log.best_step - 1):  # validation that takes the last step
        loss = f"loss {log.history['loss'][-1]:.4f}"
    skipped = f", {log.skipped} steps skipped (not finite)" if log.skipped else ""
    typer.echo(f"{loss}, {log.seconds / 60:.1f} min{skipped}; written: {path}")
