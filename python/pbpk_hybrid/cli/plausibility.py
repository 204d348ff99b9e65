"""``pbpk-hybrid population check FILE``: every person of a population against every rule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._core.errors import InputError
from .terminal import console

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table


def check_file(path: Path | None, out: Path | None, quiet: bool) -> bool:
    """Check every person of a file against every rule of physiology.

    Parameters
    ----------
    path : Path
        A population: .nc or .zarr of this package, or .csv of httk-pop.
    out : Path, optional
        Where rule x subject is written.
    quiet : bool
        Do not print the rates by rule.

    Returns
    -------
    bool
        Whether nobody violates a hard rule.

    Raises
    ------
    InputError
        No file, or a name of the output with another ending than .nc and .zarr.
    """
    from ..results import save_results

    if path is None:
        raise InputError(
            "FILE", None, "a population: .nc or .zarr of this package, or .csv of httk-pop"
        )
    if out is not None and out.suffix not in (".nc", ".zarr"):
        raise InputError("--out", str(out), "a name that ends in .nc or .zarr")
    result, ranks = _check(path)
    if out is not None:
        save_results(result, out)
    if not quiet:
        _print(result, ranks, str(path))
    return result.attrs["hard_violation_rate"] == 0.0


def _check(path: Path) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Rule x subject, and the rules on rank correlations; None for bodies of httk-pop."""
    from ..physiology import check_plausibility, check_ranks
    from ..physiology.plausibility.check import check_bodies
    from ..physiology.plausibility.httk_population import read_httk_population
    from ..results import open_results

    if path.name.endswith((".csv", ".csv.gz")):
        return check_bodies(read_httk_population(path)), None
    people = open_results(path, schema="physiology")
    return check_plausibility(people), check_ranks(people)


def _print(result: xr.Dataset, ranks: xr.Dataset | None, title: str) -> None:
    """The violated rules, the rates, and the violated rules on rank correlations."""
    from ..physiology.plausibility.summary import soft_rate_of_real_people

    real = soft_rate_of_real_people()
    screen = console()
    table = _violations(result, title)
    if table.row_count:
        screen.print(table)
    hard, soft = result.attrs["hard_violation_rate"], result.attrs["soft_violation_rate"]
    screen.print(
        f"{result.sizes['subject']} people; hard rules broken by {100 * hard:.2f} %, "
        f"soft rules by {100 * soft:.2f} % "
        f"(of real people of the survey, held out: {100 * real:.2f} %)",
        soft_wrap=True,
    )
    if ranks is None:
        return
    rules = (ranks[name].values for name in ("rule", "text", "value", "violated"))
    for rule, text, value, violated in zip(*rules, strict=True):
        if violated:
            screen.print(f"{rule}: {text}; here {value:.2f}", soft_wrap=True)


def _violations(result: xr.Dataset, title: str) -> Table:
    """A row for each rule that somebody violates."""
    from rich.table import Table

    table = Table("rule", "kind", "what it says", "people", "%", title=title, title_justify="left")
    n, counts = result.sizes["subject"], result["violated"].sum("subject").values
    rules = (result[name].values for name in ("rule", "kind", "text"))
    for rule, kind, text, count in zip(*rules, counts, strict=True):
        if count:
            share = f"{100 * int(count) / n:.2f}"
            table.add_row(str(rule), str(kind), str(text), str(int(count)), share)
    return table
