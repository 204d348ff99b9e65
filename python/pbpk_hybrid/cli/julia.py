"""``pbpk-hybrid julia``: whether Julia can run here, and setting it up."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .options import Debug
from .terminal import reporting

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Julia, the optional second backend: status, setup.",
)


@app.command()
def status(debug: Debug = False) -> None:
    """Report the state of Julia as JSON; nothing is downloaded or started."""
    with reporting(debug):
        from ..solvers.julia.setup import status as facts

        typer.echo(json.dumps(facts(), indent=2, default=str))


@app.command()
def setup(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before downloading.")] = False,
    debug: Debug = False,
) -> None:
    """Install Julia and its packages and compile them; asks before it downloads."""
    with reporting(debug):
        from ..solvers.julia.setup import setup as install

        def confirm(plan: str) -> bool:
            typer.echo(plan)
            return yes or typer.confirm("Go ahead?")

        if not install(confirm, typer.echo):
            typer.echo("nothing was installed")
