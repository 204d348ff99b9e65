"""``pbpk-hybrid simulate``: a compound in a population; curves, analysis and figure in a folder.

The command reads its options (:func:`read_study`), draws the subjects, integrates,
analyses and writes (:func:`simulate_to_folder`), or streams a cohort into a store
(:func:`stream_to_store`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .._core.errors import InputError
from . import options as opt
from .parsing import parse_names, parse_settings, parse_times
from .simulate_output import Results, print_summary, write_results
from .subjects import SubjectChoice
from .terminal import SUBJECTS_FAILED, check_folder, reporting, stage

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from ..compounds import Compound
    from ..dosing import Regimen
    from ..solvers import TimeGrid
    from .cohort import Chunks
    from .study import SingleDose


@dataclass(frozen=True)
class StudyOptions:
    """What is simulated and what it is compared with, as typed."""

    compound: str | None
    compound_file: Path | None
    dose: str | None
    times: str | None
    observed: str
    species: str
    settings: dict[str, str]


@dataclass(frozen=True)
class Study:
    """What is simulated and what it is compared with, read and checked."""

    compound: Compound
    dose: str
    regimen: Regimen
    single_dose: SingleDose | None  # None: the regimen has several doses
    times: np.ndarray | TimeGrid  # [h]
    observations: xr.Dataset | None
    settings: tuple[str, ...] = ()  # fields that were set on the command line


@dataclass(frozen=True)
class OutputOptions:
    """What is written where."""

    out: Path
    report: Path | None
    kind: str
    quiet: bool

    @property
    def is_store(self) -> bool:
        """True for ``--out NAME.zarr``."""
        return self.out.suffix == ".zarr"


def simulate(
    compound: opt.CompoundName = None,
    compound_file: opt.CompoundFile = None,
    dose: opt.Dose = None,
    ka: opt.AbsorptionRate = None,
    set_: opt.Settings = None,
    subjects: opt.SubjectCount = 100,
    species: opt.Species = "human",
    age: opt.Age = None,
    sex: opt.Sex = None,
    body_weight: opt.BodyWeight = None,
    bmi: opt.BMI = None,
    egfr: opt.EGFR = None,
    population: opt.Generator = "survey",
    times: opt.Times = None,
    compartments: opt.Compartments = None,
    variability: opt.Variability = True,
    clearance: opt.Clearance = None,
    distribution: opt.Distribution = None,
    partition_method: opt.PartitionMethod = None,
    hepatic_model: opt.HepaticModel = None,
    backend: opt.Backend = "auto",
    method: opt.Method = None,
    rtol: opt.RelativeTolerance = None,
    observed: opt.Observed = "auto",
    kind: opt.FigureKind = "band",
    out: opt.OutFolder = Path("results"),
    report: opt.ReportFile = None,
    chunk: opt.Chunk = 10_000,
    workers: opt.Workers = None,
    scheduler: opt.Scheduler = None,
    overwrite: opt.Overwrite = False,
    seed: opt.Seed = None,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Simulate a compound in virtual subjects.

    Writes simulation.nc (all curves), nca.csv (Cmax, AUC, half-life, ... of each
    subject) and profile.png into the folder --out. Files of these names are replaced.
    """
    output = OutputOptions(out, report, kind, quiet)
    filters = {"age": age, "sex": sex, "body_weight": body_weight, "bmi": bmi, "egfr": egfr}
    choice = SubjectChoice(subjects, species, population, filters)
    model: dict[str, Any] = {
        "backend": backend,
        "variability": "default" if variability else None,
        "clearance": clearance,
        "distribution": distribution,
        "partition_method": partition_method,
        "hepatic_model": hepatic_model,
    }
    resumable = "finished chunks are kept: the same command with the same --seed goes on"
    with reporting(debug, resumable if output.is_store else "nothing was written"):
        if output.is_store and subjects > chunk and scheduler is None:
            from ..scale.workers import warm_up

            warm_up(workers)  # they load the engine while this process does
        from .._core.random import generator
        from .cohort import Chunks

        # everything that can be refused is looked at before the work begins
        settings = parse_settings(set_, ka)
        study_options = StudyOptions(
            compound, compound_file, dose, times, observed, species, settings
        )
        study = read_study(study_options, output)
        check_output(output)
        model["options"] = solver_options(method, rtol)
        seed_used = generator(seed)[1]
        saved = parse_names(compartments)
        if output.is_store:
            chunks = Chunks(chunk, workers, scheduler, overwrite, quiet)
            model["compartments"] = saved or ("plasma",)
            failed = stream_to_store(study, choice, seed_used, model, chunks, output)
        else:
            model["compartments"] = saved
            failed = simulate_to_folder(study, choice, seed_used, model, output)
        if failed:
            raise typer.Exit(SUBJECTS_FAILED)


# ---- reading ------------------------------------------------------------------------------------


def read_study(options: StudyOptions, output: OutputOptions) -> Study:
    """Compound, regimen, times and observations from the options.

    Raises
    ------
    InputError
        No compound or two, no dose where none is usual, times that cannot be read, or a
        name of a file where ``--out`` needs that of a folder.
    UnknownNameError
        A compound, a word of the dose or a collection of observations that does not exist.
    """
    from ..dosing import Regimen
    from .study import known_choice, published, single_dose, usual_dose

    if not output.is_store:
        check_folder(output.out)
    compound = read_compound(options.compound, options.compound_file, options.settings)
    known_choice(options.observed)
    # a store keeps no observations beside the curves: they only fill in dose and times
    needed = not output.is_store or options.dose is None or options.times is None
    observations = published(compound.name, options.species, options.observed) if needed else None
    dose = options.dose or usual_dose(observations)
    if dose is None:
        raise InputError(
            "--dose",
            None,
            'a dose such as "100 mg oral"',
            hint=f"no usual dose of {compound.name} in {options.species} is known here",
        )
    regimen = Regimen.parse(dose)
    single = single_dose(regimen)
    if options.times is not None:
        times = parse_times(options.times)
    else:
        times = default_times(observations, single)
    return Study(compound, dose, regimen, single, times, observations, tuple(options.settings))


def read_compound(
    name: str | None, file: Path | None, settings: dict[str, str] | None = None
) -> Compound:
    """The compound by name, or from a file, with some of its fields set anew.

    Raises
    ------
    InputError
        Both are given, or neither.
    """
    from ..compounds import get_compound, load_compound_file

    if (name is None) == (file is None):
        raise InputError("compound", name, "either the name of a compound or --compound-file")
    compound = get_compound(name) if name is not None else load_compound_file(file)
    return compound.replace(**settings) if settings else compound


def default_times(observations: xr.Dataset | None, dose: SingleDose | None) -> TimeGrid:
    """The usual grid; after a single dose it reaches the last observation it is compared with."""
    from ..solvers import TimeGrid
    from .study import matching

    if dose is None:
        return TimeGrid()
    # the amount of a dose per kg is known only once the subjects are drawn
    compared = matching(observations, dose, dose.amount) if dose.amount > 0 else observations
    return TimeGrid() if compared is None else TimeGrid(at_least=float(compared["time"].max()))


def check_output(output: OutputOptions) -> None:
    """
    Raises
    ------
    InputError
        A report that is not an HTML file, or one beside a store; an unknown kind of figure.
    """
    from ..plots.style import check_kind

    report = output.report
    if report is not None and (report.suffix.lower() not in (".html", ".htm") or output.is_store):
        raise InputError("--report", str(report), "a name that ends in .html, and --out a folder")
    check_kind(output.kind, ("band", "spaghetti"))


def solver_options(method: str | None, rtol: float | None):
    """:class:`~pbpk_hybrid.solvers.SolverOptions` with the defaults for what is not given."""
    from ..solvers import SolverOptions

    chosen = {"method": method, "rtol": rtol}
    return SolverOptions(**{name: value for name, value in chosen.items() if value is not None})


# ---- running ------------------------------------------------------------------------------------


def stream_to_store(
    study: Study,
    choice: SubjectChoice,
    seed: int,
    model: dict[str, Any],
    chunks: Chunks,
    output: OutputOptions,
) -> int:
    """Simulate in chunks into the store ``--out``; returns the number of failed subjects."""
    from .cohort import simulate_to_store

    return simulate_to_store(
        study.compound,
        study.regimen,
        study.times,
        output.out,
        cohort=choice.cohort(seed),
        chunks=chunks,
        keywords=model,
    )


def simulate_to_folder(
    study: Study, choice: SubjectChoice, seed: int, model: dict[str, Any], output: OutputOptions
) -> int:
    """Draw, integrate, analyse and write; returns the number of failed subjects."""
    from ..simulation import single as simulation
    from .study import matching

    with stage(f"drawing {choice.count} {choice.species} subjects", output.quiet):
        people = choice.draw(seed)
    with stage("integrating", output.quiet, choice.count) as progress:
        sim = simulation.simulate(
            study.compound,
            study.regimen,
            people,
            study.times,
            seed=seed,
            progress=progress,
            **model,
        )
    sim.attrs.update(regimen=study.dose, seed=seed)
    with stage("analysing, drawing and writing", output.quiet):
        results = Results(
            sim=sim,
            nca=analyse(sim),
            compared=matching(study.observations, study.single_dose, float(sim["dose"].median())),
            dose=study.dose,
            observations_known=study.observations is not None,
            remarks=remarks(study),
        )
        files = write_results(results, study.compound, output)
    if not output.quiet:
        print_summary(results, files)
    return int((sim["status"].values != 0).sum())


def remarks(study: Study) -> tuple[str, ...]:
    """What to know of the compound's values: which were set here, which are predicted."""
    lines = []
    if study.settings:
        lines.append(f"set on the command line: {', '.join(study.settings)}")
    oral = bool((study.regimen.columns["route"] == "oral").any())
    for field in ("absorption_rate", "fraction_absorbed"):
        source = str(study.compound.for_species("human").sources.get(field, ""))
        if oral and source.startswith("predicted"):
            value = getattr(study.compound, field)
            lines.append(f"{field.replace('_', ' ')} {value:.2g}: {source}")
    return tuple(lines)


def analyse(sim: xr.Dataset) -> xr.Dataset | None:
    """What ``pbpk-hybrid nca`` makes of the file; None without plasma or without a dose.

    The doses are in the Dataset.
    """
    from ..nca import nca

    if "plasma" not in sim["compartment"].values or not bool(
        (sim["dose_time"].values <= float(sim["time"][-1])).any()
    ):
        return None
    return nca(sim)
