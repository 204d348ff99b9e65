"""``pbpk-hybrid scale``: from animals (and structure) to a species without data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from .._core.errors import InputError
from .options import Debug, Quiet
from .parsing import number_option
from .terminal import console, reporting, write_table
from .train import Device, Precision

if TYPE_CHECKING:
    import xarray as xr

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
        str | None,
        typer.Option(help="Body weight of the target [kg]; none: the usual one of the species."),
    ] = None,
    level: Annotated[
        float, typer.Option(parser=number_option("1"), help="Level of the intervals.")
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
    device: Device = "cpu",
    precision: Precision = "float32",
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
        from ..learn import NeuralAllometry

        found = NeuralAllometry.load(checkpoint, device=device, precision=precision).predict(
            smiles,
            sources,
            target=target,
            body_weight=body_weight,
            level=level,
            extrapolate=extrapolate,
        )
        predictions = {
            name: Prediction(
                float(found[name]),
                float(found[f"{name}_lower"]),
                float(found[f"{name}_upper"]),
                found[name].attrs["units"],
            )
            for name in found.data_vars
            if f"{name}_lower" in found
        }
        if out is not None:
            _write(found, predictions, out)
        if quiet:
            return
        basis = ", ".join(sources) or "structure alone"
        _show(predictions, f"{target}, {found.attrs['body_weight']:g} kg, from {basis}", level)
        if out is not None:
            console().print(f"written: {out}", soft_wrap=True)


class Prediction(NamedTuple):
    """A predicted value with its interval."""

    value: float
    lower: float
    upper: float
    unit: str


def _write(found: xr.Dataset, predictions: dict[str, Prediction], out: Path) -> None:
    if out.suffix == ".nc":
        from .._core.files import atomic_path

        with atomic_path(out) as draft:
            found.to_netcdf(draft, engine="netcdf4")
        return
    import pandas as pd

    table = pd.DataFrame.from_dict(
        predictions, orient="index", columns=["value", "lower", "upper", "unit"]
    )
    write_table(table.rename_axis("parameter"), out)


def _show(predictions: dict[str, Prediction], title: str, level: float) -> None:
    from rich.table import Table

    from ..results.tables import number

    interval = f"{100 * level:g} % interval"
    table = Table("", "unit", "value", interval, title=title, title_justify="left")
    for name, p in predictions.items():
        limits = f"{number(p.lower)} to {number(p.upper)}"
        table.add_row(name.replace("_", " "), p.unit, number(p.value), limits)
    console().print(table)


def parse(texts: list[str]) -> dict[str, dict[str, str]]:
    """``"rat: clearance=35 mL/min/kg, fup=0.2"`` -> {"rat": {"clearance": "35
    mL/min/kg", "fup": "0.2"}}.

    Raises
    ------
    InputError
        Text of another form, or a species given twice.
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
