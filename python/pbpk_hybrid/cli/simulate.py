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
from .cohort import Chunks
from .groups import with_groups
from .parsing import parse_names, parse_settings, parse_times, read_compound
from .simulate_output import Results, print_summary, write_results
from .subjects import SubjectChoice, SubjectOptions
from .terminal import SUBJECTS_FAILED, check_folder, reporting, say_json, stage

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from ..compounds import Compound
    from ..dosing import Regimen
    from ..scale import Cohort
    from ..solvers import SolverOptions, TimeGrid
    from .study import SingleDose


@dataclass(frozen=True)
class StudyOptions:
    """What is simulated and what it is compared with, as typed."""

    compound: opt.CompoundName = None
    compound_file: opt.CompoundFile = None
    dose: opt.Dose = None
    ka: opt.AbsorptionRate = None
    set_: opt.Settings = None
    subjects: opt.SubjectCount = 100
    times: opt.Times = None
    compartments: opt.Compartments = None
    observed: opt.Observed = "auto"


@dataclass(frozen=True)
class RunOptions:
    """How it is integrated, as typed."""

    variability: opt.Variability = True
    backend: opt.Backend = "auto"
    method: opt.Method = None
    rtol: opt.RelativeTolerance = None

    def keywords(self) -> dict[str, Any]:
        """Keywords of :func:`pbpk_hybrid.simulate`."""
        return {
            "backend": self.backend,
            "variability": "default" if self.variability else None,
            "options": solver_options(self.method, self.rtol),
        }


@dataclass(frozen=True)
class Study:
    """What is simulated and what it is compared with, read and checked."""

    compound: Compound
    dose: str
    regimen: Regimen
    single_dose: SingleDose | None  # None: the regimen has several doses
    times: np.ndarray | TimeGrid  # [h]
    observations: xr.Dataset | None
    settings: tuple[str, ...] = ()  # fields of the compound that were set on the command line
    own: bool = False  # the observations are a file of somebody's own
    notes: tuple[str, ...] = ()  # how that file was read

    def compared(self, amount: float) -> xr.Dataset | None:
        """The observations to draw: one's own all of them, published ones of this dose.

        Parameters
        ----------
        amount : float
            [mg] what the simulated subjects got, as a median.
        """
        from .study import matching

        return (
            self.observations if self.own else matching(self.observations, self.single_dose, amount)
        )


@dataclass(frozen=True)
class OutputOptions:
    """What is written where, as typed."""

    kind: opt.FigureKind = "band"
    out: opt.OutFolder = Path("results")
    report: opt.ReportFile = None

    @property
    def is_store(self) -> bool:
        """True for ``--out NAME.zarr``."""
        return self.out.suffix == ".zarr"


@with_groups
def simulate(
    study: StudyOptions,
    people: SubjectOptions,
    model: opt.ModelChoices,
    run: RunOptions,
    output: OutputOptions,
    chunks: Chunks,
    seed: opt.Seed = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Simulate a compound in virtual subjects.

    Writes simulation.nc (all curves), nca.csv (Cmax, AUC, half-life, ... of each
    subject) and profile.png into the folder --out. Files of these names are replaced.
    """
    resumable = "finished chunks are kept: the same command with the same --seed goes on"
    with reporting(debug, resumable if output.is_store else "nothing was written"):
        choice = people.choice(study.subjects)
        if output.is_store and study.subjects > chunks.chunk and chunks.scheduler is None:
            from ..scale.workers import warm_up

            warm_up(chunks.workers)  # they load the engine while this process does
        from .._core.random import generator

        # everything that can be refused is checked before the work begins
        plan = read_study(study, people.species, output)
        check_output(output, as_json)
        saved = parse_names(study.compartments)
        keywords = {**run.keywords(), **model.keywords(), "compartments": saved}
        seed_used = generator(seed)[1]
        if output.is_store:
            keywords["compartments"] = saved or ("plasma",)
            failed = stream_to_store(
                plan, choice.cohort(seed_used), keywords, chunks, output, quiet
            )
        else:
            failed = simulate_to_folder(
                plan, choice, seed_used, keywords, output, quiet, as_json=as_json
            )
        if failed:
            raise typer.Exit(SUBJECTS_FAILED)


# ---- reading ------------------------------------------------------------------------------------


def read_study(options: StudyOptions, species: str, output: OutputOptions) -> Study:
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
    from .study import is_table, known_choice, own_observations, published, single_dose, usual_dose

    if not output.is_store:
        check_folder(output.out)
    if (options.compound is None) == (options.compound_file is None):
        expected = "either the name of a compound or --compound-file"
        raise InputError("compound", options.compound, expected)
    compound = read_compound(options.compound, options.compound_file)
    settings = parse_settings(options.set_, options.ka)
    if settings:
        compound = compound.replace(**settings)
    known_choice(options.observed)
    # a store keeps no observations beside the curves: they only fill in dose and times
    needed = not output.is_store or options.dose is None or options.times is None
    notes: tuple[str, ...] = ()
    own = is_table(options.observed)
    observations = None
    if own:
        observations, notes = own_observations(options.observed, compound.name, species)
    elif needed:
        observations = published(compound.name, species, options.observed)
    dose = options.dose or (None if own else usual_dose(observations))
    if dose is None:
        raise InputError(
            "--dose",
            None,
            'a dose such as "100 mg oral"',
            hint="a table of your own does not say how the dose was given"
            if own
            else f"no usual dose of {compound.name} in {species} is known here",
        )
    regimen = Regimen.parse(dose)
    single = single_dose(regimen)
    if options.times is not None:
        times = parse_times(options.times)
    else:
        times = default_times(observations, single, own=own)
    return Study(compound, dose, regimen, single, times, observations, tuple(settings), own, notes)


def default_times(
    observations: xr.Dataset | None, dose: SingleDose | None, *, own: bool = False
) -> TimeGrid:
    """The usual grid; it reaches the last observation it is compared with: of one's own `own`
    file any, of published ones those of the single dose.
    """
    from ..solvers import TimeGrid
    from .study import matching

    if own and observations is not None:
        return TimeGrid(at_least=float(observations["time"].max()))
    if dose is None:
        return TimeGrid()
    # the amount of a dose per kg is known only once the subjects are drawn
    compared = matching(observations, dose, dose.amount) if dose.amount > 0 else observations
    return TimeGrid() if compared is None else TimeGrid(at_least=float(compared["time"].max()))


def check_output(output: OutputOptions, as_json: bool = False) -> None:
    """
    Raises
    ------
    InputError
        A report that is not an HTML file, or one beside a store; an unknown kind of figure;
        a summary as JSON of a store.
    """
    from ..plots.style import check_kind

    if as_json and output.is_store:
        raise InputError("--json", str(output.out), "--out a folder; a store has no summary")
    report = output.report
    if report is not None and (report.suffix.lower() not in (".html", ".htm") or output.is_store):
        raise InputError("--report", str(report), "a name that ends in .html, and --out a folder")
    check_kind(output.kind, ("band", "spaghetti"))


def solver_options(method: str | None, rtol: float | None) -> SolverOptions:
    """:class:`~pbpk_hybrid.solvers.SolverOptions` with the defaults for what is not given."""
    from ..solvers import SolverOptions

    chosen = {"method": method, "rtol": rtol}
    return SolverOptions(**{name: value for name, value in chosen.items() if value is not None})


# ---- running ------------------------------------------------------------------------------------


def stream_to_store(
    study: Study,
    cohort: Cohort,
    keywords: dict[str, Any],
    chunks: Chunks,
    output: OutputOptions,
    quiet: bool,
) -> int:
    """Simulate in chunks into the store ``--out``; returns the number of failed subjects."""
    from .cohort import simulate_to_store

    return simulate_to_store(
        study.compound,
        study.regimen,
        study.times,
        output.out,
        cohort=cohort,
        chunks=chunks,
        quiet=quiet,
        keywords=keywords,
    )


def simulate_to_folder(
    study: Study,
    choice: SubjectChoice,
    seed: int,
    keywords: dict[str, Any],
    output: OutputOptions,
    quiet: bool,
    *,
    as_json: bool = False,
) -> int:
    """Draw, integrate, analyse and write; returns the number of failed subjects."""
    from ..simulation import single as simulation

    with stage(f"drawing {choice.count} {choice.species} subjects", quiet):
        people = choice.draw(seed)
    with stage("integrating", quiet, choice.count) as progress:
        sim = simulation.simulate(
            study.compound,
            study.regimen,
            people,
            study.times,
            seed=seed,
            progress=progress,
            **keywords,
        )
    sim.attrs.update(regimen=study.dose, seed=seed)
    with stage("analysing, drawing and writing", quiet):
        results = Results(
            sim=sim,
            nca=analyse(sim),
            compared=study.compared(float(sim["dose"].median())),
            dose=study.dose,
            observations_known=study.observations is not None,
            remarks=(*special_people(people, study), *remarks(study)),
        )
        files = write_results(results, study.compound, output)
    if as_json:
        say_json(results.facts(files))
    elif not quiet:
        print_summary(results, files)
    return int((sim["status"].values != 0).sum())


def special_people(people: xr.Dataset, study: Study) -> tuple[str, ...]:
    """Who they are, where they are no average people, and that published data are of others."""
    special = str(people.attrs.get("special", "no"))
    if special == "no":
        return ()
    others = study.observations is not None and not study.own
    text = "; the published data are of people without that" if others else ""
    return (f"special population: {special}{text}",)


def remarks(study: Study) -> tuple[str, ...]:
    """What to know of the compound's values: which were set here, which are predicted."""
    lines = [f"{study.observations['reference'].values[0]}: {note}" for note in study.notes]
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
    """The analysis of ``pbpk-hybrid nca``; None without plasma or without a dose."""
    from ..nca import nca

    if "plasma" not in sim["compartment"].values or not bool(
        (sim["dose_time"].values <= float(sim["time"][-1])).any()
    ):
        return None
    return nca(sim)
