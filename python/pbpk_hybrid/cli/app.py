"""All commands. Each module imports what it works with only when its command runs, and a module
is imported only when its command is wanted.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

#: command -> (module, name of its function or of its group of commands)
COMMANDS = {
    "simulate": ("simulate", "simulate"),
    "interaction": ("interaction", "interaction"),
    "compounds": ("compounds", "app"),
    "population": ("population", "population"),
    "forecast": ("forecast", "forecast"),
    "nca": ("analysis", "nca"),
    "plot": ("plot", "plot"),
    "fit": ("fit", "fit"),
    "dose": ("dose", "dose"),
    "scale": ("scale", "scale"),
    "first-in-human": ("first_in_human", "first_in_human"),
    "report": ("report", "report"),
    "requalify": ("requalify", "requalify"),
    "app": ("webapp", "app"),
    "doctor": ("doctor", "doctor"),
    "julia": ("julia", "app"),
    "train": ("train", "app"),
}
#: group -> modules that add their commands to it
_MEMBERS = {"train": ("train_allometry", "train_pcdm", "train_transformer")}


def build(only: str | None = None) -> typer.Typer:
    """The application.

    Parameters
    ----------
    only : str, optional
        The one command to load; None, or a name that is no command: all of them.
    """
    built = typer.Typer(
        name="pbpk-hybrid",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # plain help: units in brackets stay as they are, and rich is not imported
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Physiologically based pharmacokinetics in virtual populations.",
        epilog="Exit codes: 0 done, 1 unexpected error, 2 bad input, 3 some subjects failed, "
        "4 backend or package missing, 5 store in use, damaged or full, 6 not equivalent, "
        "130 interrupted.",
    )
    built.callback()(root)
    for name, (module, member) in COMMANDS.items():
        if only in COMMANDS and name != only:
            continue
        command = getattr(import_module(f".{module}", __package__), member)
        for part in _MEMBERS.get(name, ()):
            import_module(f".{part}", __package__)
        if isinstance(command, typer.Typer):
            built.add_typer(command, name=name)
        else:
            built.command(name)(command)
    return built


def _version(show: bool) -> None:
    if show:
        from .._core.provenance import VERSION

        typer.echo(VERSION)
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Physiologically based pharmacokinetics in virtual populations."""


def __getattr__(name: str) -> Any:
    """``app``, with every command, when it is first asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = whole = build()
    return whole


__all__ = ["COMMANDS", "build"]
