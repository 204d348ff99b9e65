"""``pbpk-hybrid simulate``: a compound in a population; curves, analysis and figure into one folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._core.errors import InputError
from .parsing import number_option, parse_names, parse_times
from .subjects import (
    BMI,
    EGFR,
    Age,
    BodyWeight,
    Chunk,
    Generator,
    Overwrite,
    Scheduler,
    Sex,
    Species,
    Workers,
    draw,
)
from .terminal import SUBJECTS_FAILED, Debug, Quiet, Seed, console, reporting, stage, staged_folder

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from ..compounds import Compound
    from ..dosing import Regimen

_INTERVAL = (
    "cmax",
    "tmax",
    "auc_tau",
    "cavg",
    "ctrough",
    "fluctuation",
    "half_life",
    "accumulation",
)


def simulate(
    compound: Annotated[
        str | None, typer.Argument(help="Name, alias, CAS number or DTXSID of a compound.")
    ] = None,
    compound_file: Annotated[
        Path | None, typer.Option(help="YAML or TOML file of a compound of your own.")
    ] = None,
    dose: Annotated[
        str | None,
        typer.Option(
            help='Such as "320 mg oral" or "100 mg iv over 2 h q24h x7"; none: the usual dose of the published studies.'
        ),
    ] = None,
    subjects: Annotated[
        int, typer.Option("--subjects", "-n", min=1, help="Number of virtual subjects.")
    ] = 100,
    species: Species = "human",
    age: Age = None,
    sex: Sex = None,
    body_weight: BodyWeight = None,
    bmi: BMI = None,
    egfr: EGFR = None,
    population: Generator = "survey",
    times: Annotated[
        str | None, typer.Option(help='[h] "first:last:step" or a list with commas.')
    ] = None,
    compartments: Annotated[
        str | None, typer.Option(help='What to save, such as "plasma,liver"; none: all.')
    ] = None,
    variability: Annotated[
        bool,
        typer.Option(
            help="Let enzyme activity and absorption differ between subjects, not only their anatomy."
        ),
    ] = True,
    partition_method: Annotated[
        str | None, typer.Option(help="Method for the partition coefficients.")
    ] = None,
    hepatic_model: Annotated[
        str | None, typer.Option(help="well_stirred, parallel_tube or dispersion.")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, embedded or julia.")] = "auto",
    method: Annotated[
        str | None, typer.Option(help="rodas5p, rodas4, rodas4p or expm [default: rodas5p].")
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option(
            parser=number_option("1"), help="Relative tolerance per step [default: 2e-7]."
        ),
    ] = None,
    observed: Annotated[
        str, typer.Option(help="Published data to compare with: auto, none, shipped, osp or cvtdb.")
    ] = "auto",
    kind: Annotated[
        str, typer.Option(help="Figure: band (median, 5-95 %) or spaghetti (a line per subject).")
    ] = "band",
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the files; or NAME.zarr for a cohort of any size, curves only.",
        ),
    ] = Path("results"),
    report: Annotated[
        Path | None, typer.Option(help="Also write this self-contained HTML report.")
    ] = None,
    chunk: Chunk = 10_000,
    workers: Workers = None,
    scheduler: Scheduler = None,
    overwrite: Overwrite = False,
    seed: Seed = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Simulate a compound in virtual subjects.

    Writes simulation.nc (all curves), nca.csv (Cmax, AUC, half-life, ... of each subject) and profile.png into the
    folder --out. Files of these names are replaced.
    """
    resumable = "finished chunks are kept: the same command with the same --seed goes on"
    with reporting(debug, resumable if out.suffix == ".zarr" else "nothing was written"):
        if out.suffix == ".zarr" and subjects > chunk and scheduler is None:
            from ..scale.workers import warm_up

            warm_up(workers)  # they load the engine while this process does
        from .. import simulation
        from .._core.random import generator
        from ..dosing import Regimen
        from ..solvers import SolverOptions
        from ..variability import Variability
        from .study import known_choice, matching, published, single_dose, usual_dose

        # everything that can be refused is looked at before the work begins
        drug = _compound(compound, compound_file)
        # the store keeps no observations beside the curves: they are read only to fill in what was not said
        known_choice(observed)
        needed = out.suffix != ".zarr" or dose is None or times is None
        known = published(drug.name, species, observed) if needed else None
        text = dose or usual_dose(known)
        if text is None:
            raise InputError(
                "--dose",
                None,
                'a dose such as "100 mg oral"',
                hint=f"no usual dose of {drug.name} in {species} is known here",
            )
        regimen = Regimen.parse(text)
        one = single_dose(regimen)
        if report is not None and (
            report.suffix.lower() not in (".html", ".htm") or out.suffix == ".zarr"
        ):
            raise InputError(
                "--report", str(report), "a name that ends in .html, and --out a folder"
            )
        options = SolverOptions(
            **{k: v for k, v in (("method", method), ("rtol", rtol)) if v is not None}
        )
        _known_kind(kind)
        grid = parse_times(times) if times is not None else _default_times(regimen, known)
        _, number = generator(seed)
        if out.suffix == ".zarr":
            from .cohort import Chunks, simulate_to_store

            failed = simulate_to_store(
                drug,
                regimen,
                grid,
                out,
                subjects=subjects,
                species=species,
                seed=number,
                filters={
                    "age": age,
                    "sex": sex,
                    "body_weight": body_weight,
                    "bmi": bmi,
                    "egfr": egfr,
                },
                chunks=Chunks(chunk, workers, scheduler, overwrite, quiet),
                keywords={
                    "compartments": parse_names(compartments) or ("plasma",),
                    "backend": backend,
                    "options": options,
                    "variability": Variability() if variability else None,
                    "partition_method": partition_method,
                    "hepatic_model": hepatic_model,
                },
                generator=population,
            )
            if failed:
                raise typer.Exit(SUBJECTS_FAILED)
            return
        with stage(f"drawing {subjects} {species} subjects", quiet):
            people = draw(
                subjects,
                species,
                number,
                generator=population,
                age=age,
                sex=sex,
                body_weight=body_weight,
                bmi=bmi,
                egfr=egfr,
            )
        with stage("integrating", quiet, subjects) as progress:
            sim = simulation.simulate(
                drug,
                regimen,
                people,
                grid,
                compartments=parse_names(compartments),
                backend=backend,
                options=options,
                variability=Variability() if variability else None,
                seed=number,
                partition_method=partition_method,
                hepatic_model=hepatic_model,
                progress=progress,
            )
        sim.attrs.update(regimen=text, seed=number)
        compared = matching(known, one, float(sim["dose"].median()))
        with stage("analysing, drawing and writing", quiet):
            result = _analysis(sim, regimen, one)
            files = _write(sim, result, compared, kind, text, out)
            if report is not None:
                from ..report import write_report

                files.append(
                    write_report(
                        report,
                        sim,
                        compound=drug,
                        result=result,
                        observed=compared,
                        kind=kind,
                        title=_title(sim, text),
                        command=_command(sys.argv),
                    )
                )
        failed = int((sim["status"].values != 0).sum())
        if not quiet:
            _report(sim, result, compared, known, text, files)
        if failed:
            raise typer.Exit(SUBJECTS_FAILED)


def _compound(name: str | None, file: Path | None) -> Compound:
    from ..compounds import get_compound, load_compound_file

    if (name is None) == (file is None):
        raise InputError("compound", name, "either the name of a compound or --compound-file")
    return get_compound(name) if name is not None else load_compound_file(file)


def _known_kind(kind: str) -> None:
    from ..plots.style import check_kind

    check_kind(kind, ("band", "spaghetti"))


def _default_times(regimen: Regimen, known) -> np.ndarray | None:
    """Close after each dose, wider later; to the end of the observations, at least a day after the last dose."""
    import numpy as np

    from .study import dose_times

    doses = dose_times(regimen)
    if not doses.size:
        return None
    after = 24.0
    if len(doses) > 1:
        after = max(after, float(doses[-1] - doses[-2]))
    elif known is not None:
        after = max(after, float(np.ceil(np.nanmax(known["time"].values))))
    end = doses[-1] + after
    # 15 minutes for six hours after each dose and a day after the last, one hour for a week, then six
    close = (doses[:, None] + np.arange(0, 6.1, 0.25)).ravel()
    wide = [np.arange(0, min(end, 168) + 0.1), np.arange(168, end + 0.1, 6)]
    grid = np.unique(
        np.concatenate([close, doses[-1] + np.arange(0, 24.1, 0.25), *wide, [end]]).round(9)
    )
    return grid[grid <= end]


def _analysis(sim: xr.Dataset, regimen: Regimen, one) -> xr.Dataset | None:
    """A single dose is analysed whole; of several doses the exposure over the last interval."""
    from ..nca import NCAOptions, nca
    from .study import dose_times

    if "plasma" not in sim["compartment"].values:
        return None
    if one is not None:
        return nca(
            sim,
            route=one.route,
            infusion_duration=one.duration if one.route == "iv_infusion" else 0.0,
        )
    doses = dose_times(regimen)
    if not doses.size or doses[-1] >= sim["time"].values[-1]:
        return None
    interval = float(doses[-1] - doses[-2]) if len(doses) > 1 else None
    options = NCAOptions(dose_time=float(doses[-1]), tau=interval)
    # The route only decides what happens before the first sample, and there is a sample at the last dose; clearance needs
    # a single dose or a steady state, so no dose is passed on.
    return nca(sim.drop_vars("dose"), route="oral", options=options)


def _write(sim, result, compared, kind: str, dose: str, out: Path) -> list[Path]:
    from matplotlib.figure import Figure

    from ..plots import profile_figure, save_figure
    from ..results import save_results
    from .terminal import write_table

    with staged_folder(out) as folder:
        save_results(sim, folder / "simulation.nc")
        names = ["simulation.nc"]
        if result is not None:
            write_table(result.to_dataframe(), folder / "nca.csv")
            # a Figure of its own, so that no window system is asked for
            figure = Figure(figsize=(9.2, 3.9), layout="constrained")
            profile_figure(sim, compared, kind=kind, title=_title(sim, dose), figure=figure)
            save_figure(figure, folder / "profile.png")
            names += ["nca.csv", "profile.png"]
    return [out / name for name in names]


def _command(arguments: list[str]) -> str:
    return " ".join(["pbpk-hybrid", *map(shlex.quote, arguments[1:])])


def _title(sim: xr.Dataset, dose: str) -> str:
    n = int((sim["status"].values == 0).sum())
    return f"{sim.attrs.get('compound', '')}, {dose}, {n} virtual {sim.attrs.get('species', '')} subject{'s' if n != 1 else ''}"


def _report(sim, result, compared, known, dose: str, files: list[Path]) -> None:
    from ..results import nca_table, simulation_table
    from .study import credit

    screen = console()
    screen.print(_title(sim, dose), style="bold", soft_wrap=True)
    screen.print(simulation_table(sim))
    if result is not None:
        after = float(result.attrs.get("dose_time", 0.0))
        if after:  # AUC to infinity of the last of several doses is nobody's number
            title = f"plasma, dosing interval after the last dose (at {after:g} h)"
            screen.print(nca_table(result, [v for v in _INTERVAL if v in result], title=title))
        else:
            screen.print(nca_table(result, title="plasma, noncompartmental analysis"))
            part = float(result["auc_extrapolated_obs"].median())
            if part > 20:
                screen.print(
                    f"{part:.0f} % of the AUC is extrapolated in the median subject: take AUC(0-inf), t1/2 and "
                    "what follows from them with care, or simulate longer (--times)",
                    soft_wrap=True,
                )
    if compared is not None:
        screen.print(f"compared with {credit(compared)}", soft_wrap=True)
    elif known is not None:
        screen.print("published observations are known, but none of this dose and route")
    screen.print("written: " + ", ".join(map(str, files)), soft_wrap=True)
