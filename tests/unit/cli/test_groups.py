"""Dataclasses as groups of options: what typer sees, and what the command gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from pbpk_hybrid.cli.groups import with_groups


@dataclass(frozen=True)
class Body:
    mass: Annotated[float, typer.Option("--mass", help="[kg]")] = 70.0
    sex: Annotated[str, typer.Option(help="female or male")] = "female"


@dataclass(frozen=True)
class Drug:
    name: Annotated[str, typer.Argument()]


def run(command, *arguments):
    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_a_command_gets_its_groups_filled_from_the_options():
    got = []

    @with_groups
    def command(drug: Drug, body: Body, quiet: bool = False) -> None:
        """Says what it does."""
        got.append((drug, body, quiet))

    done = run(command, "caffeine", "--mass", "60.5", "--quiet")
    assert done.exit_code == 0, done.output
    assert got == [(Drug("caffeine"), Body(60.5, "female"), True)]


def test_help_has_the_text_and_default_of_every_field():
    @with_groups
    def command(body: Body) -> None:
        """Says what it does."""

    text = run(command, "--help").output
    assert "Says what it does." in text and "[kg]" in text and "70.0" in text


def test_a_field_without_a_default_is_required():
    @with_groups
    def command(body: Body, drug: Drug) -> None:
        pass

    assert run(command).exit_code == 2


def test_an_option_that_two_groups_define_is_refused():
    with pytest.raises(TypeError, match="defined twice"):

        @with_groups
        def command(body: Body, sex: str = "") -> None:
            pass
