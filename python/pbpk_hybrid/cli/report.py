"""``pbpk-hybrid report``: the dossier of a model, as HTML, Word and PDF."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from .._core.errors import InputError
from . import options as opt
from .groups import with_groups
from .parsing import parse_settings, read_compound
from .subjects import SubjectOptions
from .terminal import reporting, say_json, stage


@dataclass(frozen=True)
class Statements:
    """What only the author can say; what is not given is marked in the document."""

    question_of_interest: Annotated[
        str | None, typer.Option("--question", help="The question that the model helps to answer.")
    ] = None
    context_of_use: Annotated[
        str | None, typer.Option(help="Role and scope of the model in answering it.")
    ] = None
    model_influence: Annotated[
        str | None, typer.Option(help='A rating and why: "medium: a study is there as well".')
    ] = None
    consequence_of_wrong_decision: Annotated[
        str | None, typer.Option("--consequence", help="Of a wrong decision: a rating and why.")
    ] = None
    model_risk: Annotated[str | None, typer.Option(help="A rating and why.")] = None
    model_impact: Annotated[str | None, typer.Option(help="A rating and why.")] = None
    appropriateness: Annotated[
        str | None, typer.Option(help="Why a model of this kind is fit for the question.")
    ] = None
    technical_criteria: Annotated[
        str | None, typer.Option(help="What the model has to fulfil, set beforehand.")
    ] = None


@with_groups
def report(
    compound: opt.CompoundName = None,
    compound_file: opt.CompoundFile = None,
    dose: opt.Dose = None,
    ka: opt.AbsorptionRate = None,
    set_: opt.Settings = None,
    observed: Annotated[
        str | None,
        typer.Option(help="A .csv of your own, after this dose; none: all published single doses."),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", help="File to write: .html, .docx or .pdf; again for more."),
    ] = None,
    subjects: opt.SubjectCount = 100,
    title: Annotated[str | None, typer.Option(help="Of the document.")] = None,
    *,
    statements: Statements,
    people: SubjectOptions,
    model: opt.ModelChoices,
    seed: opt.Seed = None,
    quiet: opt.Quiet = False,
    as_json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Write the dossier of a model: question, model, verification, validation, sensitivity.

    Laid out along ICH M15 and ASME V&V 40. What the program knows is run and filled in; the
    rest is marked as to be stated.
    """
    with reporting(debug):
        from .._core.random import generator
        from ..dosing import Regimen
        from ..report.assessment import Assessment
        from ..report.render import writer
        from .study import is_table

        targets = out or [Path("dossier.html")]
        for target in targets:
            writer(target)
        if (compound is None) == (compound_file is None):
            raise InputError("compound", compound, "either a compound or --compound-file")
        if dose is None:
            raise InputError("--dose", None, 'the dose of the context of use, "5 mg oral"')
        Regimen.parse(dose)
        stated = Assessment(**asdict(statements))
        if observed is not None and not is_table(observed):
            raise InputError("--observed", observed, "a .csv file that exists")
        drug = read_compound(compound, compound_file)
        if settings := parse_settings(set_, ka):
            drug = drug.replace(**settings)
        seed_used = generator(seed)[1]
        from ..report.dossier import dossier

        quiet = quiet or as_json
        with stage(f"drawing {subjects} {people.species} subjects", quiet):
            drawn = people.choice(subjects).draw(seed_used)
        with stage("running, checking and writing", quiet):
            files = dossier(
                targets,
                drug,
                dose,
                drawn,
                assessment=stated,
                observed=observed,
                title=title,
                seed=seed_used,
                **{name: value for name, value in model.keywords().items() if value is not None},
            )
        if as_json:
            say_json({"seed": seed_used, "files": [str(file) for file in files]})
        elif not quiet:
            typer.echo(f"seed {seed_used}; written: {', '.join(map(str, files))}")
