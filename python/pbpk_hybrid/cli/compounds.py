"""``pbpk-hybrid compounds``: what is known about which drug."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from .completion import complete_compound, complete_species
from .options import Debug, Json
from .terminal import console, reporting, say_json

if TYPE_CHECKING:
    from ..compounds import Compound

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, search and show compounds."
)

_SHORT = {
    "log_p": "logP",
    "fraction_unbound_plasma": "fup",
    "blood_to_plasma_ratio": "B:P",
    "clint_hepatocyte": "CLint",
    "caco2_permeability": "Caco-2",
    "clearance_plasma": "CL",
    "absorption_rate": "ka",
}


@app.command("list")
def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="Also the measured chemicals of httk, thousands of them.")
    ] = False,
    route: Annotated[
        str | None,
        typer.Option(help="iv or oral: only compounds whose doses by it can be simulated."),
    ] = None,
    table: Annotated[
        bool,
        typer.Option("--table", help="With what can be simulated by which route, and its quality."),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Names of the compounds, one per line."""
    with reporting(debug):
        from ..compounds import list_compounds

        names = list_compounds(None if everything else True, route=route)
        if as_json:
            say_json({"compounds": names})
            return
        if table:
            _print_overview(names)
            return
        for name in names:
            typer.echo(name)


def _print_overview(names: list[str]) -> None:
    """A line of each: routes, what absorption is, quality and the figures of the validation."""
    from ..compounds import compound_overview

    found = compound_overview().set_index("name")
    width = max((len(name) for name in names), default=4) + 2
    typer.echo(f"{'name':{width}}{'routes':14}{'absorption':12}{'quality':12}validation")
    for name in names:
        row = found.loc[name]
        routes = ", ".join(r for r in ("iv", "oral") if row[r]) or "-"
        figures = row["missing"] and f"lacks {row['missing']}"
        if row["profiles"]:
            figures = (
                f"AUC {row['auc_gmfe']:.2f}, Cmax {row['cmax_gmfe']:.2f} (n {row['profiles']})"
            )
        typer.echo(
            f"{name:{width}}{routes:14}{row['absorption'] or '-':12}{row['quality']:12}{figures}"
        )


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Part of a name, alias, CAS number or DTXSID.")],
    limit: Annotated[int, typer.Option(min=1, help="Rows to show at most.")] = 20,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compounds whose name or identifier contains TEXT."""
    with reporting(debug):
        from rich.table import Table

        from ..compounds import search_compounds

        rows = search_compounds(text)
        if not rows:
            typer.echo(f"no compound contains {text!r}", err=True)
            raise typer.Exit(2)
        if as_json:
            say_json({"compounds": rows[:limit]})
            return
        table = Table("name", "collection", "CAS", "molar mass [g/mol]", "known")
        for row in rows[:limit]:
            mass = "" if row["molar_mass"] is None else f"{row['molar_mass']:.5g}"
            table.add_row(
                row["name"],
                row["collection"],
                row["cas"],
                mass,
                ", ".join(_SHORT.get(h, h) for h in row["has"]),
            )
        console().print(table)
        if len(rows) > limit:
            typer.echo(f"{len(rows) - limit} more; --limit {len(rows)} shows them")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(help="Name, alias, CAS number or DTXSID.", autocompletion=complete_compound),
    ],
    species: Annotated[
        str | None,
        typer.Option(
            help="With the values of this species put in.", autocompletion=complete_species
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Every value of one compound, with its source."""
    with reporting(debug):
        from ..compounds import compound_status, get_compound, list_compounds

        compound = get_compound(name)
        curated = compound.name in list_compounds(curated=True)
        status = compound_status(compound, "curated" if curated else "httk")
        if species is not None:
            compound = compound.for_species(species)
        rows = _rows(compound)
        routes = [r for r in ("iv", "oral") if getattr(status, r)]
        if as_json:
            facts = {"routes": routes, "missing": status.missing, "quality": status.quality}
            say_json({"name": compound.name, **facts, "fields": [row._asdict() for row in rows]})
            return
        from rich.table import Table

        table = Table(title=compound.name, title_justify="left")
        for head, whole in (("field", True), ("value", False), ("unit", True), ("source", False)):
            table.add_column(head, no_wrap=whole)
        for row in rows:
            table.add_row(row.field, _text(row.value), row.unit, row.source)
        console().print(table)
        lacks = f"; lacks {', '.join(status.missing)}" if status.missing else ""
        typer.echo(f"can be simulated: {', '.join(routes) or 'not'}{lacks}; {status.quality}")
        if status.badge is not None:
            typer.echo(f"validation: {status.badge}")


class Row(NamedTuple):
    """One value of a compound."""

    field: str
    value: Any
    unit: str  # "" for a number without one
    source: str


def _rows(compound: Compound) -> list[Row]:
    """Every value that is known, those of single species last."""
    rows = []
    for field in dataclasses.fields(compound):
        value = getattr(compound, field.name)
        if field.name == "clearance_basis":
            value = compound.resolved_clearance_basis
        known = value is not None and value != () and value != {}
        if known and field.name not in ("name", "sources", "species_values"):
            source = str(compound.sources.get(field.name, ""))
            rows.append(Row(field.name, value, _unit(field.name), source))
    for kind, values in compound.species_values.items():
        for name, value in values.items():
            source = compound.sources.get(f"{kind}.{name}", compound.sources.get(f"{name}.{kind}"))
            rows.append(Row(f"{kind}: {name}", value, _unit(name), str(source or "")))
    return rows


def _unit(field: str) -> str:
    from ..compounds._fields import NUMBERS

    unit = NUMBERS[field].unit if field in NUMBERS else ""
    return "" if unit == "1" else unit.replace("million_cells", "1e6 cells")


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(_text(v) for v in value)
    if hasattr(value, "items"):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    return str(value)
