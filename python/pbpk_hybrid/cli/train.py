"""``pbpk-hybrid train``: the training of the learned components, one command each;
their options in common.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a learned component; a run that was stopped goes on where it was.",
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
