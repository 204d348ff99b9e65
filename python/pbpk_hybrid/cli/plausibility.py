"""``pbpk-hybrid population check FILE``: every person of a population against every rule."""

from __future__ import annotations

from pathlib import Path

from .._core.errors import InputError
from .terminal import console


def check_file(path: Path | None, out: Path | None, quiet: bool) -> bool:
    """Print the rates by rule and, with `out`, write rule x subject; returns whether no
    hard rule is broken.
    """
    from rich.table import Table

    from ..physiology import check_plausibility, check_ranks
    from ..physiology.plausibility.summary import soft_rate_of_real_people
    from ..results import open_results, save_results

    if path is None:
        raise InputError(
            "FILE", None, "a population: .nc or .zarr of this package, or .csv of httk-pop"
        )
    if out is not None and out.suffix not in (".nc", ".zarr"):
        raise InputError("--out", str(out), "a name that ends in .nc or .zarr")
    if path.name.endswith((".csv", ".csv.gz")):
        from ..physiology.plausibility.check import check_bodies
        from ..physiology.plausibility.httk_population import read_httk_population

        body = read_httk_population(path)
        result, ranks = check_bodies(body), None
    else:
        people = open_results(path, schema="physiology")
        result, ranks = check_plausibility(people), check_ranks(people)
    if out is not None:
        save_results(result, out)
    real = soft_rate_of_real_people()
    if not quiet:
        table = Table(
            "rule", "kind", "what it says", "people", "%", title=str(path), title_justify="left"
        )
        broken = result["violated"].sum("subject").values
        n = result.sizes["subject"]
        for i, rule in enumerate(result["rule"].values):
            count = int(broken[i])
            if count:
                kind, text = str(result["kind"].values[i]), str(result["text"].values[i])
                table.add_row(str(rule), kind, text, str(count), f"{100 * count / n:.2f}")
        screen = console()
        if table.row_count:
            screen.print(table)
        hard, soft = result.attrs["hard_violation_rate"], result.attrs["soft_violation_rate"]
        screen.print(
            f"{n} people; hard rules broken by {100 * hard:.2f} %, soft rules by {100 * soft:.2f} % "
            f"(of real people of the survey, held out: {100 * real:.2f} %)",
            soft_wrap=True,
        )
        if ranks is not None:
            for rule, text, value, broken_ in zip(
                ranks["rule"].values,
                ranks["text"].values,
                ranks["value"].values,
                ranks["violated"].values,
                strict=True,
            ):
                if broken_:
                    screen.print(f"{rule}: {text}; here {value:.2f}", soft_wrap=True)
    return result.attrs["hard_violation_rate"] == 0.0
