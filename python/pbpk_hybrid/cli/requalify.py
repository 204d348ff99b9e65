"""``pbpk-hybrid requalify OLD NEW``: does a new version give what the old one gave?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options as opt
from .parsing import number_option
from .terminal import NOT_EQUIVALENT, console, reporting, rows_of, say_json, stage

Version = 'A Python interpreter, a virtual environment, a .json of results, or "this".'


def requalify(
    old: Annotated[str, typer.Argument(help=Version)],
    new: Annotated[str, typer.Argument(help=Version)] = "this",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Certificate to write: .html, .docx or .pdf."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="NAME.json for the results of NEW, to compare the next version with."),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            parser=number_option("1"), help="Share by which a mean ratio may differ from 1."
        ),
    ] = 0.01,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Only this scenario; again for more.")
    ] = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Run a frozen matrix of scenarios on two versions and test their equivalence.

    Exit code 6 where they are not equivalent.
    """
    with reporting(debug):
        from ..report.requalification import requalify as compare

        with stage("running both versions", quiet or as_json):
            found = compare(old, new, out=out, store=store, margin=margin, scenarios=scenario)
        files = [str(path) for path in (out, store) if path is not None]
        if as_json:
            facts = {"old": found.old, "new": found.new, "margin": margin}
            table = rows_of(found.table)
            say_json({**facts, "equivalent": found.equivalent, "table": table, "files": files})
        elif not quiet:
            _show(found, files)
        if not found.equivalent:
            raise typer.Exit(NOT_EQUIVALENT)


def _show(found, files: list[str]) -> None:
    from rich.table import Table

    table = Table("scenario", "", "ratio", "90 % interval", "equivalent", title_justify="left")
    for row in found.table.to_dict("records"):
        interval = row["remark"] or f"{row['low']:.6f} to {row['high']:.6f}"
        ratio = "-" if row["ratio"] != row["ratio"] else f"{row['ratio']:.6f}"
        metric = {"auc": "AUC", "cmax": "Cmax"}[row["metric"]]
        table.add_row(
            row["scenario"], metric, ratio, interval, "yes" if row["equivalent"] else "NO"
        )
    screen = console()
    screen.print(table)
    screen.print(str(found), soft_wrap=True)
    if files:
        screen.print("written: " + ", ".join(files), soft_wrap=True)
