"""``pbpk-hybrid scale``: from animals (and structure) to a species without data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._core.errors import InputError
from .parsing import number_option
from .terminal import Debug, Quiet, console, reporting, write_table

_FIELDS = ("clearance", "volume", "fup", "body_weight")


def scale(
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            help='One per species: "rat: clearance=35 mL/min/kg, volume=2.1 L/kg, fup=0.2".',
        ),
    ] = None,
    smiles: Annotated[
        str | None, typer.Option(help="Structure; without it the intervals are wider.")
    ] = None,
    target: Annotated[str, typer.Option(help="Species to predict.")] = "human",
    body_weight: Annotated[
        str | None, typer.Option(help="Of the target [kg]; none: the species' usual one.")
    ] = None,
    level: Annotated[
        float, typer.Option(parser=number_option("1"), help="Of the intervals.")
    ] = 0.9,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Allow masses outside 5 g to 500 kg.")
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A model of your own; none: the shipped one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write: .csv or .nc.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict clearance, volume and unbound fraction in a species, from animals and structure."""
    with reporting(debug):
        if out is not None and out.suffix not in (".csv", ".nc"):
            raise InputError("--out", str(out), "a name that ends in .csv or .nc")
        sources = parse(source or [])
        if not sources and smiles is None:
            raise InputError("--source", None, "at least one source species, or --smiles")
        from rich.table import Table

        from ..learn import NeuralAllometry
        from ..results.tables import number

        found = NeuralAllometry.load(checkpoint).predict(
            smiles,
            sources,
            target=target,
            body_weight=body_weight,
            level=level,
            extrapolate=extrapolate,
        )
        names = [v for v in found.data_vars if f"{v}_lower" in found]
        if out is not None and out.suffix == ".nc":
            from .._core.files import atomic_path

            with atomic_path(out) as draft:
                found.to_netcdf(draft, engine="netcdf4")
        elif out is not None:
            import pandas as pd

            rows = {
                v: [
                    float(found[v]),
                    float(found[f"{v}_lower"]),
                    float(found[f"{v}_upper"]),
                    found[v].attrs["units"],
                ]
                for v in names
            }
            write_table(
                pd.DataFrame.from_dict(
                    rows, orient="index", columns=["value", "lower", "upper", "unit"]
                ).rename_axis("parameter"),
                out,
            )
        if quiet:
            return
        title = f"{target}, {found.attrs['body_weight']:g} kg, from {', '.join(sources) or 'structure alone'}"
        table = Table(
            "", "unit", "value", f"{100 * level:g} % interval", title=title, title_justify="left"
        )
        for v in names:
            reach = f"{number(float(found[f'{v}_lower']))} to {number(float(found[f'{v}_upper']))}"
            table.add_row(
                v.replace("_", " "), found[v].attrs["units"], number(float(found[v])), reach
            )
        screen = console()
        screen.print(table)
        if out is not None:
            screen.print(f"written: {out}", soft_wrap=True)


def parse(texts: list[str]) -> dict[str, dict[str, str]]:
    """``"rat: clearance=35 mL/min/kg, fup=0.2"`` -> {"rat": {"clearance": "35 mL/min/kg", "fup": "0.2"}}.

    Raises
    ------
    InputError : text of another form, or a species given twice
    """
    out: dict[str, dict[str, str]] = {}
    for text in texts:
        species, colon, rest = text.partition(":")
        species, values = species.strip(), {}
        if species in out:
            raise InputError("--source", text, "each species once")
        for part in filter(None, (p.strip() for p in rest.split(","))):
            name, equals, value = part.partition("=")
            if not equals or not value.strip():
                comma = "a decimal sign is a point: fup=0.2" if part[0].isdigit() else ""
                raise InputError(
                    "--source", part, "name=value, of " + ", ".join(_FIELDS), hint=comma
                )
            if name.strip() in values:
                raise InputError("--source", part, f"{name.strip()} once")
            values[name.strip()] = value.strip()
        if not colon or not species or not values:
            raise InputError(
                "--source", text, 'text such as "rat: clearance=35 mL/min/kg, fup=0.2"'
            )
        out[species] = values
    return out
