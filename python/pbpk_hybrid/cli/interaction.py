"""``pbpk-hybrid interaction``: does drug A change drug B? A table and a forest plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._core.errors import InputError
from . import options as opt
from .parsing import number_option
from .subjects import SubjectChoice
from .terminal import (
    check_folder,
    console,
    reporting,
    rows_of,
    say_json,
    stage,
    staged_folder,
)

if TYPE_CHECKING:
    import xarray as xr

    from ..compounds import Compound

With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        help='Perpetrator, such as ketoconazole or "ketoconazole: 400 mg oral q24h x4"; again for '
        "another column. Without a dose: as in published studies.",
    ),
]
Victims = Annotated[
    list[str], typer.Argument(help="Drugs whose exposure is asked for, each as for --with.")
]


def interaction(
    victims: Victims,
    with_: With = None,
    together: Annotated[
        bool, typer.Option("--together", help="Give all perpetrators at once, as one column.")
    ] = False,
    delay: Annotated[
        str | None,
        typer.Option(help='[h] by which the victim is given later, such as "0,4,12".'),
    ] = None,
    victim_time: Annotated[
        float | None,
        typer.Option(
            parser=number_option("h"),
            help="[h] after the first dose of the perpetrators; none: as in the published study, "
            "else with the last dose.",
        ),
    ] = None,
    duration: Annotated[
        float,
        typer.Option(parser=number_option("h"), help="[h] of the victim's curve."),
    ] = 96.0,
    subjects: opt.SubjectCount = 50,
    age: opt.Age = None,
    sex: opt.Sex = None,
    body_weight: opt.BodyWeight = None,
    bmi: opt.BMI = None,
    egfr: opt.EGFR = None,
    constants: Annotated[
        str,
        typer.Option(
            help="default: shifted and spread as the comparison with published ratios found; "
            "none: as in the drugs' files."
        ),
    ] = "default",
    draws: Annotated[
        int, typer.Option(min=1, help="Draws of the constants for the interval of the mean.")
    ] = 100,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "interaction"
    ),
    seed: opt.Seed = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Ratios of AUC and Cmax of drugs with others over those alone.

    Writes interactions.nc, ratios.csv and forest.png into the folder --out. Files of these
    names are replaced.
    """
    filters = {"age": age, "sex": sex, "body_weight": body_weight, "bmi": bmi, "egfr": egfr}
    with reporting(debug):
        from .._core.random import generator
        from ..simulation.interaction_matrix import interactions

        check_folder(out)
        if not with_:
            raise InputError(
                "--with", None, "at least one perpetrator, such as --with ketoconazole"
            )
        if constants not in ("default", "none"):
            raise InputError("--constants", constants, "default or none")
        seed_used = generator(seed)[1]
        asked = read_drugs(victims, "victims"), read_drugs(with_, "--with")
        choice = SubjectChoice(subjects, "human", "survey", filters)
        with stage(f"drawing {subjects} subjects", quiet):
            people = choice.draw(seed_used)
        with stage("simulating every pair", quiet):
            found = interactions(
                *asked,
                people,
                together=together,
                delays=read_delays(delay),
                victim_time=victim_time,
                duration=duration,
                constants=None if constants == "none" else "default",
                draws=draws,
                seed=seed_used,
            )
        files = write(found, out)
        if as_json:
            from ..results import ratio_table

            facts = {"subjects": subjects, "seed": seed_used, "files": files}
            say_json({**facts, "ratios": rows_of(ratio_table(found))})
        elif not quiet:
            show(found, files)


def read_drugs(texts: list[str], field: str) -> list[tuple[Compound, Any]]:
    """``"ketoconazole: 400 mg oral q24h x4"`` -> (compound, regimen); no regimen: None.

    Raises
    ------
    InputError, UnknownNameError
        A compound or a regimen that cannot be understood.
    """
    from ..compounds import get_compound, load_compound_file
    from ..dosing import Regimen

    out = []
    for text in texts:
        name, colon, dose = text.partition(":")
        name, dose = name.strip(), dose.strip()
        if not name or (colon and not dose):
            raise InputError(field, text, 'a drug, or "drug: dose"')
        is_file = Path(name).suffix.lower() in (".toml", ".yaml", ".yml")
        compound = load_compound_file(name) if is_file else get_compound(name)
        if dose:
            Regimen.parse(dose)  # refused here, before anything is simulated
        out.append((compound, dose or None))
    return out


def read_delays(text: str | None) -> tuple[Any, ...]:
    """``"0,4,12"`` -> delays [h]."""
    if text is None:
        return (0.0,)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InputError("--delay", text, 'delays [h] such as "0,4,12"')
    return tuple(parts)


def write(found: xr.Dataset, out: Path) -> list[str]:
    """The three files; returns their paths."""
    from ..plots import forest_plot, save_figure
    from ..results import ratio_table

    table = ratio_table(found)
    with staged_folder(out) as folder:
        found.to_netcdf(folder / "interactions.nc", engine="netcdf4")
        table.to_csv(folder / "ratios.csv", index=False, float_format="%.6g")
        save_figure(forest_plot(table, figure=_figure(len(table))), folder / "forest.png")
    return [str(out / name) for name in ("interactions.nc", "ratios.csv", "forest.png")]


def _figure(rows: int):
    from matplotlib.figure import Figure

    return Figure(figsize=(8.6, 1.6 + 0.32 * rows), layout="constrained")


def show(found: xr.Dataset, files: list[str]) -> None:
    """The doses and the ratios."""
    from rich.table import Table

    from ..results import ratio_table

    screen = console()
    for v in found["victim"].values:
        screen.print(f"victim {v}: {found['victim_dose'].sel(victim=v).item()}")
    for p in found["perpetrator"].values:
        mine = found.sel(perpetrator=p)
        screen.print(
            f"perpetrator {p}: {mine['perpetrator_dose'].item()}; the victim at "
            f"{float(mine['victim_time']):g} h"
        )
    for victim, rows in ratio_table(found).groupby("group", sort=False):
        table = Table(box=None, padding=(0, 2, 0, 0), title=victim, title_justify="left")
        for head in ("with", "", "ratio", "90 % of mean", "90 % of people", "static"):
            table.add_column(head, no_wrap=True)
        for row in rows.to_dict("records"):
            table.add_row(
                row["label"],
                row["quantity"],
                _text(row["ratio"]),
                _pair(row["low"], row["high"]),
                _pair(row["person_low"], row["person_high"]),
                _text(row["static"]) if row["quantity"] == "AUC" else "",
            )
        screen.print(table)
    screen.print(f"{found.sizes['subject']} people; seed {found.attrs['seed']}")
    screen.print("written: " + ", ".join(files), soft_wrap=True)


def _text(value: float) -> str:
    return "-" if value != value else f"{value:.3g}"


def _pair(low: float, high: float) -> str:
    return "" if low != low else f"{low:.2g} to {high:.2g}"
