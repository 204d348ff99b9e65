"""``pbpk-hybrid train``: a command for each learned component, and the options they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

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


@dataclass(frozen=True)
class TrainingRun:
    """How long a training runs, and on how many threads."""

    steps: Steps = None
    max_minutes: MaxMinutes = None
    threads: Threads = None
