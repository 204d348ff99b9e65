"""All commands. Each module imports what it works with only when its command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from . import (
    analysis,
    compounds,
    doctor,
    dose,
    fit,
    forecast,
    interaction,
    julia,
    plot,
    population,
    simulate,
    train,
)
from . import scale as _scale
from . import train_allometry as _train_allometry  # noqa: F401 - registers its command
from . import train_pcdm as _train_pcdm  # noqa: F401 - registers its command
from . import train_transformer as _train_transformer  # noqa: F401 - registers its command
from . import webapp as _webapp

app = typer.Typer(
    name="pbpk-hybrid",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # plain help: units in brackets stay as they are, and rich is not imported
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Physiologically based pharmacokinetics in virtual populations.",
    epilog="Exit codes: 0 done, 1 unexpected error, 2 bad input, 3 some subjects failed, "
    "4 backend or package missing, 5 store in use, damaged or full.",
)


def _version(show: bool) -> None:
    if show:
        from .._core.provenance import VERSION

        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Physiologically based pharmacokinetics in virtual populations."""


app.command("simulate")(simulate.simulate)
app.command("interaction")(interaction.interaction)
app.add_typer(compounds.app, name="compounds")
app.command("population")(population.population)
app.command("forecast")(forecast.forecast)
app.command("nca")(analysis.nca)
app.command("plot")(plot.plot)
app.command("fit")(fit.fit)
app.command("dose")(dose.dose)
app.command("scale")(_scale.scale)
app.command("app")(_webapp.app)
app.command("doctor")(doctor.doctor)
app.add_typer(julia.app, name="julia")
app.add_typer(train.app, name="train")
