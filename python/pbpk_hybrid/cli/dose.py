"""``pbpk-hybrid dose``: the regimen that brings one patient of a data set to a target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from .._core.basis import basis_in_words
from .._core.errors import InputError, unknown_name
from .._core.units import quantity
from .data_set import DataSetOptions, people_of, read_data_set, say_notes
from .fit import after_the_first_dose, compound_or_file, parse_prior
from .groups import with_groups
from .options import Debug, Json, ModelChoices, Quiet
from .parsing import number_option, parse_names
from .terminal import check_folder, reporting, rows_of, say_json, stage, staged_folder

if TYPE_CHECKING:
    import xarray as xr

    from ..dosing import Regimen
    from ..estimation import DoseResult, Parameter, Posterior
    from ..estimation.parameters import Prior
    from ..estimation.patient import Patient
    from ..models import System


@dataclass(frozen=True)
class Request:
    """What the dose is for and what can be given, as typed."""

    target: Annotated[
        str,
        typer.Option(help='"trough 10-15 mg/L", "AUC24 400-600 mg*h/L", "fT>MIC 100 % of 2 mg/L".'),
    ]
    interval: Annotated[
        str | None,
        typer.Option(help='[h] "12" or several, "8,12,24"; none: that of the doses so far.'),
    ] = None
    new_route: Annotated[
        str | None, typer.Option(help="Of the new doses: iv or oral; none: as the last dose.")
    ] = None
    infusion: Annotated[
        str | None, typer.Option(help='Duration of the new doses: "1 h", "30 min".')
    ] = None
    amounts: Annotated[
        str | None,
        typer.Option(help='"250,500,750" [mg] or "multiples of 250 mg up to 3000 mg".'),
    ] = None
    loss: Annotated[
        str, typer.Option(help="missed (most probable) or distance (least far outside).")
    ] = "missed"
    when: Annotated[
        str | None, typer.Option(help="[h] after the start; none: at steady state.")
    ] = None
    start: Annotated[
        str | None, typer.Option(help="[h] of the first new dose; none: when the next is due.")
    ] = None
    measured: Annotated[
        bool, typer.Option("--measured", help="Judge a measurement, with its error, of the target.")
    ] = False

    def keywords(self) -> dict[str, Any]:
        """Arguments of :func:`pbpk_hybrid.dose`."""
        hours = {
            name: None if text is None else _hours(text, f"--{name}")
            for name, text in (
                ("infusion", self.infusion),
                ("when", self.when),
                ("start", self.start),
            )
        }
        intervals = None
        if self.interval is not None:
            intervals = [_hours(t, "--interval") for t in parse_names(self.interval) or ()]
        return {
            "target": self.target,
            "interval": intervals,
            "route": self.new_route,
            "amounts": self._amounts(),
            "loss": self.loss,
            "measured": self.measured,
            **hours,
        }

    def _amounts(self) -> list[float | str] | str | None:
        """A step as it was typed, or a list of amounts."""
        if self.amounts is None or self.amounts.strip().lower().startswith("multiples"):
            return self.amounts
        return [_plain(t) for t in parse_names(self.amounts) or ()]


@dataclass(frozen=True)
class Knowledge:
    """What is known of the parameters and the samples, as typed."""

    subject: Annotated[
        str | None, typer.Option(help="ID of the patient, where there are several.")
    ] = None
    prior: Annotated[
        list[str] | None,
        typer.Option(
            help='"clint.liver=1,0.4": log-normal, median of the multiple, sd of its log.'
        ),
    ] = None
    error: Annotated[
        str,
        typer.Option(help='"proportional" (estimated) or "proportional=0.15" (known), and others.'),
    ] = "proportional"
    discrepancy: Annotated[
        float | None,
        typer.Option(
            parser=number_option("1"), help="sd of the log of what the model has wrong besides."
        ),
    ] = None
    lloq: Annotated[
        str | None, typer.Option(help="Limit of quantification, in the unit of DV: M3.")
    ] = None
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0


@with_groups
def dose(
    data: Annotated[
        Path,
        typer.Argument(
            help="NONMEM-style CSV of one patient: ID, TIME, AMT, DV; WT (kg), AGE, HT (cm), SEX."
        ),
    ],
    compound: Annotated[str, typer.Option(help="A known compound, or a YAML or TOML file.")],
    request: Request,
    knowledge: Knowledge,
    data_set: DataSetOptions,
    model: ModelChoices,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for candidates.csv, parameters.csv and figures."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the dose that is expected to bring a patient to a target.

    Over the whole posterior of the model's parameters. Research software, not a medical device.
    """
    with reporting(debug):
        if out is not None:
            check_folder(out)
        from ..estimation import dose as find_dose
        from ..estimation.dose_targets import as_target
        from ..models import whole_body_system

        as_target(request.target)  # refused before anything is read
        table = read_data_set(data, data_set, knowledge.lloq)
        drug = compound_or_file(compound)
        notes: list[str] = []
        people = people_of(table.covariates, data_set.species, data_set.baseline, notes)
        observed = after_the_first_dose(table, notes)
        patient = _patient(table.regimen, observed, people, knowledge.subject)
        say_notes(table, quiet or as_json, notes)
        system = whole_body_system(drug, patient.person, **model.keywords())
        with stage("estimating", quiet):
            lag_time = drug.absorption_lag_time or 0.0
            found = _posterior(system, patient, knowledge, lag_time)
        with stage("searching", quiet):
            result = find_dose(found, **request.keywords())
        if out is not None:
            _write(result, out)
        if as_json:
            say_json(_facts(result, out))
        elif not quiet:
            typer.echo(f"model: {basis_in_words(system.attrs)}")
            typer.echo(str(result))
            typer.echo(f"next sample: {result.next_sample()!r}")
            if out is not None:
                typer.echo(f"written: {out}")


def _facts(result: DoseResult, out: Path | None) -> dict[str, Any]:
    """What the summary says, for ``--json``."""
    loading = result.loading
    return {
        "target": str(result.target),
        "best": {
            "regimen": result.text,
            "amount_mg": result.best.amount,
            "interval_h": result.best.interval,
            "attainment": result.attainment,
        },
        "first_dose_mg": None if loading is None else loading.amount,
        "candidates": rows_of(result.table),
        "folder": None if out is None else str(out),
    }


def _posterior(
    system: System, patient: Patient, knowledge: Knowledge, lag_time: float
) -> Posterior:
    """Draws of the patient's parameters."""
    from ..estimation import posterior

    parameters, priors = _priors(knowledge.prior, system, patient)
    return posterior(
        system,
        patient,
        priors,
        parameters=parameters,
        error=_error_model(knowledge.error),
        discrepancy=knowledge.discrepancy,
        lag_time=lag_time,
        seed=knowledge.seed,
    )


def _plain(text: str) -> float | str:
    """A number, or text with its unit."""
    try:
        return float(text)
    except ValueError:
        return text


def _hours(text: str, field: str) -> float:
    return quantity(_plain(text), "h", field, minimum=0.0)


def _patient(
    regimen: Regimen, observed: xr.Dataset, people: xr.Dataset, subject: str | None
) -> Patient:
    """The records of one person.

    Raises
    ------
    InputError, UnknownNameError
        Several people and none named, or one that is not in the data set.
    """
    from ..dosing import Regimen
    from ..estimation.patient import Patient

    labels = [str(s) for s in people["subject"].values]
    if subject is None and len(labels) > 1:
        raise InputError("--subject", None, f"the ID of one of {len(labels)} people")
    who = labels[0] if subject is None else subject
    if who not in labels:
        raise unknown_name("--subject", who, labels, what="an ID of the data set")
    i = labels.index(who)
    number = int(who) if all(s.isdigit() for s in labels) else i
    c = regimen.columns
    mine = np.isin(c["subject"], (number, -1))
    own = {name: column[mine] for name, column in c.items()}
    own["subject"] = np.full(int(mine.sum()), -1)
    rows = np.flatnonzero(observed["subject"].values.astype(str) == who)
    samples = observed.isel(sample=rows) if rows.size else None
    return Patient(Regimen(own, span=regimen.span), samples, people.isel(subject=[i]))


def _priors(
    texts: list[str] | None, system: System, patient: Patient
) -> tuple[dict[str, Parameter], dict[str, Prior]]:
    """Multiples of the model's parameters with log-normal priors; none typed: the usual ones."""
    from ..estimation import LogNormal, Parameter, usual_priors

    if not texts:
        parameters, priors = usual_priors(system, patient)
        for name, p in priors.items():
            typer.echo(
                f"assumed prior: {name} x log-normal(median {p.median:g}, sd {p.sd:g})", err=True
            )
        return parameters, priors
    parameters, priors = {}, {}
    for text in texts:
        name, median, sd = parse_prior(text)
        if not name.startswith("error."):
            parameters[name] = Parameter(factor=True, targets=(name,))
        priors[name] = LogNormal(median, sd)
    return parameters, priors


def _error_model(text: str) -> str | dict[str, float]:
    """ "proportional", or its known value: "proportional=0.15"."""
    name, equals, value = text.partition("=")
    if not equals:
        return text.strip()
    return {name.strip(): quantity(_plain(value.strip()), "1", "--error", positive=True)}


def _write(result: DoseResult, out: Path) -> None:
    """Candidates, parameters, the curve of attainment and the curve of concentrations."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from ..plots import time_profile

    with staged_folder(out) as folder:
        result.table.to_csv(folder / "candidates.csv", index=False)
        found = result.source.posterior
        found.table().to_csv(folder / "parameters.csv")
        result.next_sample().table.to_csv(folder / "next_sample.csv", index=False)
        ax = result.plot()
        ax.figure.savefig(folder / "attainment.png", dpi=150)
        plt.close(ax.figure)
        end = result.start + 4 * result.best.interval
        run = found.simulate(
            result.regimen(4),
            np.linspace(0.0, end, 241),
            after=result.start,
            compartments=["plasma"],
        )
        ax = time_profile(run)
        ax.figure.savefig(folder / "concentrations.png", dpi=150)
        plt.close(ax.figure)
